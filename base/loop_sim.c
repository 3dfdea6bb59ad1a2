/* The simulated backend: one thread pumps all loops of a group on a virtual clock.
 *
 * Time stands still while code runs. In each round every loop that has something to run gets one
 * turn, in an order drawn from the seed. When no loop has, time jumps to the earliest timer of any
 * loop. Nothing else moves time, no other thread takes part, and no address or real clock decides
 * anything, so a seed reproduces a run.
 *
 * A loop's own clock may drift: local = base + (group - base) * (1 + ppm / 10^6). Timers are set in
 * local time; the jump is computed back into the group's time, rounded up, so that the timer is due
 * when the jump has been made. */
#include "base/loop.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber.h"
#include "base/loop_int.h"

#define SIM_START_NS (1 * NS_PER_S)
#define SIM_WALL_US  1893456000000000u /* 2030-01-01 00:00 UTC */
enum { PPM = 1000000 };

struct loop_group_sim {
    struct rand rand;
    uint64_t now_ns;
    uint64_t start_ns;
    uint64_t wall_us;
    bool broken; /* loop_group_sim_break was called */
    struct clock_ops clock;
    uint64_t digest;
    struct loop_group **groups; /* the first one began it */
    unsigned group_count;
    struct loop **loops; /* of all groups, in the order in which they came */
    struct loop **order; /* [loop_count], shuffled again for each round */
    unsigned loop_count;
};

static struct loop_group *g_sim_group;

static void sim_wake(struct loop *loop UNUSED)
{
    /* The pump looks at every inbox. */
}

static bool sim_has_events(struct loop *loop UNUSED)
{
    return false;
}

static const struct loop_backend g_sim_backend = {"sim", true, sim_wake, sim_has_events};

static uint64_t local_now(const struct loop *loop, uint64_t group_ns)
{
    __int128 elapsed = (__int128)group_ns - loop->drift_global_ns;
    return loop->drift_local_ns + (uint64_t)(elapsed * (PPM + loop->drift_ppm) / PPM);
}

/* The first group time at which the loop's own clock shows local_ns. */
static uint64_t group_time_of(const struct loop *loop, uint64_t local_ns)
{
    if (local_ns <= loop->drift_local_ns) {
        return loop->drift_global_ns;
    }
    __int128 elapsed = (__int128)local_ns - loop->drift_local_ns;
    __int128 rate = PPM + loop->drift_ppm;
    __int128 ns = loop->drift_global_ns + (elapsed * PPM + rate - 1) / rate;
    return ns < DEADLINE_NONE ? (uint64_t)ns : DEADLINE_NONE;
}

static uint64_t sim_mono_ns(void *ctx)
{
    const struct loop_group_sim *sim = ctx;
    const struct loop *loop = loop_current();
    if (loop != NULL && loop->group->sim == sim) {
        return local_now(loop, sim->now_ns);
    }
    return sim->now_ns;
}

static uint64_t sim_wall_us(void *ctx)
{
    const struct loop_group_sim *sim = ctx;
    return sim->wall_us + (sim_mono_ns(ctx) - sim->start_ns) / NS_PER_US;
}

uint64_t loop__sim_rand_below(struct loop *loop, uint64_t bound)
{
    return rand_below(&loop->group->sim->rand, bound);
}

/* The group's loops join those that the pump runs. */
static db_err add_group(struct loop_group_sim *sim, struct loop_group *group)
{
    unsigned count = sim->loop_count + group->count;
    struct loop **loops = mem_realloc(sim->loops, count * sizeof(struct loop *));
    if (loops == NULL) {
        return ERR_NOMEM;
    }
    sim->loops = loops;
    struct loop **order = mem_realloc(sim->order, count * sizeof(struct loop *));
    if (order == NULL) {
        return ERR_NOMEM;
    }
    sim->order = order;
    struct loop_group **groups =
        mem_realloc(sim->groups, (sim->group_count + 1) * sizeof(struct loop_group *));
    if (groups == NULL) {
        return ERR_NOMEM;
    }
    sim->groups = groups;
    sim->groups[sim->group_count++] = group;
    for (unsigned i = 0; i < group->count; i++) {
        struct loop *loop = group->loops[i];
        sim->loops[sim->loop_count] = sim->order[sim->loop_count] = loop;
        sim->loop_count++;
        loop->drift_global_ns = sim->now_ns;
        loop->drift_local_ns = sim->now_ns;
    }
    group->sim = sim;
    return ERR_OK;
}

static void sim_free(struct loop_group_sim *sim)
{
    mem_free(sim->groups);
    mem_free(sim->loops);
    mem_free(sim->order);
    mem_free(sim);
}

db_err loop_group_start_sim(const struct loop_sim_opts *opts, struct loop_group **ret_group)
{
    ASSERT(opts->count > 0);
    if (g_sim_group != NULL) {
        return ERR_BUSY;
    }
    struct loop_group_sim *sim = mem_calloc(1, sizeof(*sim));
    if (sim == NULL) {
        return ERR_NOMEM;
    }
    struct loop_group *group = NULL;
    db_err err = loop__group_new(&g_sim_backend, opts->count, opts->fiber_stack_size,
                                 opts->fibers_max, &group);
    rand_seed(&sim->rand, opts->seed);
    sim->start_ns = opts->start_ns != 0 ? opts->start_ns : SIM_START_NS;
    sim->now_ns = sim->start_ns;
    sim->wall_us = opts->wall_us != 0 ? opts->wall_us : SIM_WALL_US;
    sim->clock = (struct clock_ops){"sim", sim_mono_ns, sim_wall_us, sim};
    if (err == ERR_OK) {
        err = add_group(sim, group);
    }
    if (err != ERR_OK) {
        if (group != NULL) {
            loop__group_free(group);
        }
        sim_free(sim);
        return err;
    }
    clock_set(&sim->clock);
    g_sim_group = group;
    *ret_group = group;
    return ERR_OK;
}

db_err loop_group_join_sim(struct loop_group *world, unsigned count, struct loop_group **ret_group)
{
    struct loop_group *group = NULL;
    ASSERT(world == g_sim_group);
    ASSERT(count > 0);
    TRY(loop__group_new(&g_sim_backend, count, world->stack_size, world->fibers_max, &group));
    db_err err = add_group(world->sim, group);
    if (err != ERR_OK) {
        loop__group_free(group);
        return err;
    }
    *ret_group = group;
    return ERR_OK;
}

static void shuffle(struct loop_group_sim *sim)
{
    for (unsigned i = sim->loop_count; i > 1; i--) {
        unsigned j = (unsigned)rand_below(&sim->rand, i);
        struct loop *t = sim->order[i - 1];
        sim->order[i - 1] = sim->order[j];
        sim->order[j] = t;
    }
}

static bool can_run(const struct loop *loop, uint64_t group_ns)
{
    return !loop->paused &&
           (loop__has_work(loop) || loop__timers_next_ns(loop) <= local_now(loop, group_ns));
}

static unsigned number_of(const struct loop_group_sim *sim, const struct loop *loop)
{
    unsigned i = 0;
    while (sim->loops[i] != loop) {
        i++;
    }
    return i;
}

static void note_turn(struct loop_group_sim *sim, const struct loop *loop)
{
    sim->digest = (sim->digest ^ sim->now_ns) * 0x9e3779b97f4a7c15u;
    sim->digest ^= (sim->digest >> 29) + number_of(sim, loop);
}

/* One turn of each loop that has something to run. False: none had. */
static bool run_round(struct loop_group_sim *sim)
{
    bool ran = false;
    shuffle(sim);
    for (unsigned i = 0; i < sim->loop_count && !sim->broken; i++) {
        struct loop *loop = sim->order[i];
        if (can_run(loop, sim->now_ns)) {
            note_turn(sim, loop);
            loop__set_current(loop);
            loop->now_ns = 0;
            loop__turn(loop);
            loop->now_ns = 0;
            loop__set_current(NULL);
            ran = true;
        }
    }
    return ran;
}

static uint64_t next_timer(const struct loop_group_sim *sim)
{
    uint64_t first_ns = DEADLINE_NONE;
    for (unsigned i = 0; i < sim->loop_count; i++) {
        uint64_t local_ns = loop__timers_next_ns(sim->loops[i]);
        if (local_ns != DEADLINE_NONE && !sim->loops[i]->paused) {
            uint64_t ns = group_time_of(sim->loops[i], local_ns);
            first_ns = ns < first_ns ? ns : first_ns;
        }
    }
    return first_ns;
}

/* True: at rest, with no timer before until_ns. False: broken off. */
static bool pump(struct loop_group *group, uint64_t until_ns)
{
    struct loop_group_sim *sim = group->sim;
    ASSERT(loop_current() == NULL);
    sim->broken = false;
    for (;;) {
        bool ran = run_round(sim);
        if (sim->broken) {
            return false;
        }
        if (ran) {
            continue;
        }
        uint64_t next_ns = next_timer(sim);
        if (next_ns == DEADLINE_NONE || next_ns > until_ns) {
            return true;
        }
        ASSERT(next_ns > sim->now_ns);
        sim->now_ns = next_ns;
    }
}

void loop_group_sim_run(struct loop_group *group, uint64_t until_ns)
{
    if (pump(group, until_ns) && until_ns != DEADLINE_NONE && group->sim->now_ns < until_ns) {
        group->sim->now_ns = until_ns;
    }
}

bool loop_group_sim_settle(struct loop_group *group, uint64_t until_ns)
{
    return pump(group, until_ns) && next_timer(group->sim) == DEADLINE_NONE;
}

void loop_group_sim_break(struct loop_group *group)
{
    group->sim->broken = true;
}

uint64_t loop_group_sim_now_ns(const struct loop_group *group)
{
    return group->sim->now_ns;
}

uint64_t loop_group_sim_digest(const struct loop_group *group)
{
    return group->sim->digest;
}

void loop_sim_set_drift(struct loop *loop, int64_t ppm)
{
    ASSERT(loop->backend->simulated);
    ASSERT(ppm > -PPM / 2 && ppm < PPM / 2);
    uint64_t now_ns = loop->group->sim->now_ns;
    loop->drift_local_ns = local_now(loop, now_ns);
    loop->drift_global_ns = now_ns;
    loop->drift_ppm = ppm;
}

void loop_sim_pause(struct loop *loop, bool paused)
{
    ASSERT(loop->backend->simulated);
    ASSERT(loop_current() != loop);
    loop->paused = paused;
}

void loop_sim_kill(struct loop *loop)
{
    ASSERT(loop->backend->simulated);
    ASSERT(loop_current() != loop);
    loop->paused = false;
    heap_init(&loop->timers);
    loop->turn_end_first = loop->turn_end_last = NULL;
    loop->after_turn_first = loop->after_turn_last = NULL;
    atomic_store(&loop->inbox, NULL);
    atomic_store(&loop->nudge_queued, false);
    fiber__drop_all(loop);
}

static bool all_idle(const struct loop_group_sim *sim)
{
    for (unsigned i = 0; i < sim->group_count; i++) {
        if (!loop__group_idle(sim->groups[i])) {
            return false;
        }
    }
    return true;
}

void loop__sim_stop(struct loop_group *group)
{
    struct loop_group_sim *sim = group->sim;
    ASSERT(group == g_sim_group);
    for (unsigned i = 0; i < sim->group_count; i++) {
        atomic_store(&sim->groups[i]->stopping, true);
    }
    /* Periodic timers never come to rest: only fibers count, for as long as something can still
     * wake them. */
    for (unsigned i = 0; i < sim->loop_count; i++) {
        sim->loops[i]->paused = false;
    }
    while (!all_idle(sim)) {
        uint64_t next_ns = next_timer(sim);
        if (run_round(sim)) {
            continue;
        }
        if (next_ns == DEADLINE_NONE) {
            break;
        }
        sim->now_ns = next_ns > sim->now_ns ? next_ns : sim->now_ns;
    }
    for (unsigned i = 0; i < sim->loop_count; i++) {
        fiber__drop_all(sim->loops[i]);
    }
    for (unsigned i = 0; i < sim->group_count; i++) {
        loop__group_drain(sim->groups[i]);
    }
    clock_set(NULL);
    g_sim_group = NULL;
    for (unsigned i = 0; i < sim->group_count; i++) {
        sim->groups[i]->sim = NULL;
        loop__group_free(sim->groups[i]);
    }
    sim_free(sim);
}
