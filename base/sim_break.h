/* Deliberate faults, to prove that the simulation (tests/sim) catches them. They exist in one test
 * program only, which compiles the modules with SKEIN_SIM_BREAKS; elsewhere SIM_BROKEN is false at
 * compile time.
 *
 * To add one: a row here, SIM_BROKEN at the place that it breaks, a row in tests/sim/nodes/teeth.c.
 */
#ifndef SKEIN_BASE_SIM_BREAK_H
#define SKEIN_BASE_SIM_BREAK_H

enum sim_break {
    SIM_BREAK_FENCE = 1 << 0,   /* a commit does not ask whether its locks were held */
    SIM_BREAK_LEASE = 1 << 1,   /* a leader serves when its lease is over */
    SIM_BREAK_QUORUM = 1 << 2,  /* the leader's own disk is enough */
    SIM_BREAK_PENDING = 1 << 3, /* a snapshot does not wait for earlier commits on their way */
    SIM_BREAK_SPLIT_INTENTS = 1 << 4, /* a split forgets that there are intents */
    SIM_BREAK_RECORDS = 1 << 5,       /* a prewrite ignores that it was rolled back before */
    SIM_BREAK_RETRY_BLIND = 1 << 6,   /* a repeated 1PC does not look whether it was applied */
    SIM_BREAK_LATE_1PC = 1 << 7,      /* a 1PC that comes late ignores what was decided */
    SIM_BREAK_FOLLOWER = 1 << 8,      /* a replica answers that has not applied enough */
    SIM_BREAK_SPANS = 1 << 9,         /* a locking scan does not keep others from inserting */
};

#ifdef SKEIN_SIM_BREAKS
extern unsigned sim_breaks;
#define SIM_BROKEN(name) ((sim_breaks & SIM_BREAK_##name) != 0)
#else
#define SIM_BROKEN(name) 0
#endif

#endif
