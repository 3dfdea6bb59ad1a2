/* Whole nodes in one thread: several members (node/main/node.h: transactions, routing, RPC,
 * services, ranges, Raft, MVCC, engine) on a virtual clock, a simulated network and simulated disks
 * for their logs, all from one seed. One run belongs to one process: what a killed node held on the
 * heap stays there until the process ends. */
#ifndef SKEIN_TESTS_SIM_NODES_WORLD_H
#define SKEIN_TESTS_SIM_NODES_WORLD_H

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/disk_sim.h"
#include "base/fiber.h"
#include "base/rand.h"
#include "node/main/node.h"
#include "rpc/transport/sim_transport.h"

enum { MEMBERS_MAX_ = 6, VIOLATION_SIZE = 512, HOST_SIZE = 8, DIR_SIZE = 128 };

struct world;
struct history;

enum member_state { MEMBER_DOWN, MEMBER_STARTING, MEMBER_UP };

/* One simulated machine, and the process on it when there is one. */
struct member {
    struct node_world below; /* what its process stands on */
    struct world *w;
    unsigned slot; /* from 1 */
    char host[HOST_SIZE];
    char dir[DIR_SIZE]; /* of the present life */
    struct loop_group *loops;
    struct disk *disk;
    enum member_state state;
    unsigned life; /* counts its processes */
    struct raft_log *log;
    struct node *node; /* while UP */
    node_id_t id;      /* 0: has never been up */
    unsigned clients;  /* fibers of this life that run */
    uint64_t disk_max_ns;
    bool pump_posted;
    struct loop_task pump_task;
    struct loop_timer pump_timer;
    unsigned kills;
};

struct world_opts {
    uint64_t seed;
    bool verbose;
    unsigned members;
    unsigned loops; /* of each node */
};

struct world_totals {
    uint64_t turns_ns; /* virtual time */
    uint64_t commits, unknown, refused, reads, audits;
    uint64_t old_reads, by_copies; /* may be old; answered by a replica without the lease */
    uint64_t spills; /* transactions whose writes went to disk before they committed */
    uint64_t kills, cuts, splits, moves, transfers, drifts, merges;
};

struct world {
    struct world_opts opts;
    struct rand rand;    /* of the faults and everything of this program */
    struct rand secrets; /* what rand_secure gives */
    struct loop_group *group;
    struct loop *loop; /* the world's own: faults, disks */
    struct rpc_sim_net *net;
    struct rpc_sim_opts net_opts;
    struct member members[MEMBERS_MAX_ + 1];
    char dir[DIR_SIZE - 16];
    uint64_t tick; /* counts events, for "before" */
    bool healing;  /* no more faults */
    bool stopping; /* clients end */
    bool dying;    /* a process is being killed */
    bool done;
    bool failed;
    bool stuck; /* it failed because nothing went on, not by what was answered */
    char violation[VIOLATION_SIZE];
    struct world_totals totals;
    struct history *history;
    uint64_t gc_age_ms;
    uint64_t log_size_max;
    uint32_t dead_after_ms;
    uint32_t merge_after_ms;
};

void world_init(struct world *w, const struct world_opts *opts);
/* Removes the files. */
void world_fini(struct world *w);
/* Runs fn in a fiber on the world's loop until it returns, at most for so long, or until something
 * is violated. */
void world_run(struct world *w, void (*fn)(struct world *w), uint64_t time_max_ns);

/* The first one counts; the run ends. */
void world_violated(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* As that: what must happen in time does not. */
void world_stuck(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A line of the trace, with -v. */
void world_say(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A line a fault or a client writes into the trace, always hashed. */
static inline uint64_t world_tick(struct world *w)
{
    return ++w->tick;
}
static inline uint64_t world_now(const struct world *w)
{
    return loop_group_sim_now_ns(w->group);
}

/* Begins to start the process of a member that is down: it is STARTING, then UP or DOWN again. */
void member_start(struct member *m);
/* The process dies, and what its log had not synced is lost. Not from a loop of the member. */
void member_kill(struct member *m);
/* Waits until it is up; parks. False: not in time. */
bool member_wait_up(struct member *m, uint64_t within_ns);
/* Runs fn(arg) in a fiber of a member that is up. Does not wait. */
void member_spawn(struct member *m, fiber_fn fn, void *arg);
struct member *world_member_of(struct world *w, node_id_t id); /* NULL */

/* ---- what goes on (each in a file of its own) ---- */

/* workload.c: clients on every member that is up, until stopping. */
void clients_start(struct member *m);
/* The first state of all rows; on the world's loop; parks. */
void workload_load(struct world *w);
/* All has healed, no client runs: reads everything and judges. On the world's loop; parks. */
void workload_judge(struct world *w);

/* faults.c: on the world's loop; parks for as long as it goes. */
void faults_run(struct world *w, uint64_t for_ns);
void faults_heal(struct world *w);
void faults_split_first(struct world *w); /* pieces to begin with */
void faults_tell_ranges(struct world *w); /* into the trace */

#endif
