/* Seeds against the log on a disk that fails and forgets.
 *
 * Each seed runs several lives of one log. A life submits random operations and pumps; at a random
 * call of the disk an error strikes (or none), then the machine loses power: what was not synced is
 * lost or torn. The next life must find exactly what was acknowledged, plus some prefix of what was
 * on its way, and nothing else. LOG_TORTURE_SEED=n replays one seed, LOG_TORTURE_SEEDS=n runs that
 * many. */
#include "node/log/log.h"

#include <stdlib.h>

#include "node/log/log_model.h"

enum { FLIGHT_MAX = 2048, TICKETS_MAX = 64, SEEDS = 300, LIVES = 8 };

struct run;
struct ticket {
    struct run *run;
    size_t upto; /* operations in flight that are durable with it */
};

struct run {
    struct disk *disk;
    struct rand rand;
    struct model acked;     /* durable for sure */
    struct model tentative; /* if all that was submitted succeeds */
    struct model_op flight[FLIGHT_MAX];
    size_t flight_count;
    size_t flight_acked; /* completed with ERR_OK: a prefix */
    struct ticket tickets[TICKETS_MAX];
    size_t ticket_count;
    bool dead; /* the log has failed */
    bool uniform;
    bool ahead; /* rounds are written while others are on their way */
};

static void on_done(void *arg, db_err err)
{
    struct ticket *t = arg;
    if (err == ERR_OK) {
        assert_false(t->run->dead);
        assert_true(t->upto >= t->run->flight_acked);
        t->run->flight_acked = t->upto;
    } else {
        assert_int_equal(err, ERR_IO);
        t->run->dead = true;
    }
}

/* Batches that all look alike, so that a record of a cut tail would fit where a later one of its
 * number belongs. */
static size_t pick_uniform(struct run *run, struct model_op *ops)
{
    const struct model_group *g = &run->tentative.groups[0];
    if (g->last - g->compacted > MODEL_ENTRIES / 2) {
        ops[0] =
            (struct model_op){.kind = OP_COMPACT, .index = g->last, .term = model_term(g, g->last)};
        return 1;
    }
    ops[0] = (struct model_op){.kind = OP_APPEND, .index = g->last + 1};
    ops[0].entry = (struct model_entry){1, rand_u64(&run->rand), 600};
    return 1;
}

static void submit_one(struct run *run, struct raft_log *log)
{
    struct raft_log_batch *batch = NULL;
    assert_int_equal(raft_log_batch_new(log, 0, &batch), ERR_OK);
    uint64_t calls = run->uniform ? 1 : 1 + rand_below(&run->rand, 4);
    for (uint64_t c = 0; c < calls; c++) {
        struct model_op ops[16];
        size_t n = run->uniform
                       ? pick_uniform(run, ops)
                       : model_pick(&run->rand, &run->tentative, ops, ARRAY_COUNT(ops), true);
        if (n == 0) {
            continue;
        }
        model_encode(batch, ops, n);
        for (size_t i = 0; i < n; i++) {
            model_apply(&run->tentative, &ops[i]);
            assert_true(run->flight_count < FLIGHT_MAX);
            run->flight[run->flight_count++] = ops[i];
        }
    }
    assert_true(run->ticket_count < TICKETS_MAX);
    struct ticket *t = &run->tickets[run->ticket_count++];
    *t = (struct ticket){run, run->flight_count};
    raft_log_submit(log, batch, on_done, t);
}

/* Changes nothing, whenever it is and however it ends. */
static void maybe_repeat(struct run *run, struct raft_log *log)
{
    struct diag diag;
    diag_reset(&diag);
    if (rand_below(&run->rand, 3) == 0) {
        uint64_t group = 1 + rand_below(&run->rand, MODEL_GROUPS);
        db_err err = raft_log_repeat(log, group, 1 << 20, NULL, NULL, &diag);
        assert_true(err == ERR_OK || err == ERR_NOT_FOUND || err == ERR_LIMIT || err == ERR_IO);
    }
}

/* The queue is empty and the log alive: all that was submitted is durable. */
static void settle(struct run *run)
{
    assert_int_equal(run->flight_acked, run->flight_count);
    for (size_t i = 0; i < run->flight_count; i++) {
        model_apply(&run->acked, &run->flight[i]);
    }
    run->flight_count = run->flight_acked = run->ticket_count = 0;
}

static void compare(struct run *run, struct raft_log *log)
{
    static struct model got;
    static struct model want;
    model_extract(log, &got);
    want = run->acked;
    for (size_t k = 0; k <= run->flight_count; k++) {
        if (k >= run->flight_acked && model_equal(&got, &want)) {
            run->acked = run->tentative = got;
            run->flight_count = run->flight_acked = run->ticket_count = 0;
            return;
        }
        if (k < run->flight_count) {
            model_apply(&want, &run->flight[k]);
        }
    }
    fail_msg("what was recovered is not what was acknowledged plus a prefix of the rest");
}

static void maybe_break_disk(struct run *run, uint64_t span)
{
    enum disk_sim_op op = rand_below(&run->rand, 2) == 0 ? DISK_SIM_WRITE : DISK_SIM_SYNC;
    if (rand_below(&run->rand, 3) != 0) {
        disk_sim_fail(run->disk, op, rand_below(&run->rand, span), 1000000, ERR_IO);
    }
}

static void power_off(struct run *run)
{
    disk_sim_fail(run->disk, DISK_SIM_WRITE, 0, 0, ERR_OK);
    disk_sim_fail(run->disk, DISK_SIM_SYNC, 0, 0, ERR_OK);
}

static db_err open_log(struct run *run, struct diag *diag, struct raft_log **ret_log)
{
    const struct raft_log_opts opts = {.disk = run->disk,
                                       .segment_size = 64 << 10,
                                       .spare_segments = 1,
                                       .cache_size = rand_below(&run->rand, 2) == 0 ? 1 : 200000,
                                       .log_id = 77,
                                       .manual = true};
    diag_reset(diag);
    return raft_log_open("/log", &opts, diag, ret_log);
}

static void life(struct run *run, bool last)
{
    struct raft_log *log = NULL;
    struct diag diag;
    if (rand_below(&run->rand, 4) == 0) { /* the power fails during recovery */
        maybe_break_disk(run, 12);
        if (open_log(run, &diag, &log) == ERR_OK) {
            raft_log_close(log);
        }
        power_off(run);
        disk_sim_crash(run->disk, rand_u64(&run->rand));
    }
    db_err err = open_log(run, &diag, &log);
    if (err != ERR_OK) {
        fail_msg("open: %s: %s", err_name(err), diag.text);
    }
    compare(run, log);
    run->dead = false;
    maybe_break_disk(run, run->uniform ? 12 : 200);
    uint64_t turns = rand_below(&run->rand, run->uniform ? 4 : 60);
    for (uint64_t turn = 0; turn < turns && !run->dead; turn++) {
        uint64_t batches = 1 + rand_below(&run->rand, 4);
        for (uint64_t b = 0; b < batches; b++) {
            submit_one(run, log);
            maybe_repeat(run, log);
            if (run->ahead && rand_below(&run->rand, 2) == 0) {
                raft_log_pump_ahead(log);
            }
        }
        if (run->ahead && rand_below(&run->rand, 8) == 0) {
            break; /* the power fails with rounds on their way */
        }
        while (raft_log_pump(log) && !run->dead) {
        }
        if (!run->dead) {
            settle(run);
        }
    }
    uint64_t end = rand_below(&run->rand, 3);
    power_off(run);
    if (end == 0 && !run->dead) { /* a clean close */
        raft_log_close(log);
        if (rand_below(&run->rand, 2) == 0) {
            disk_sim_crash(run->disk, rand_u64(&run->rand));
        }
        return;
    }
    if (last) {
        raft_log_close(log);
        return;
    }
    disk_sim_crash(run->disk, rand_u64(&run->rand));
    if (rand_below(&run->rand, 2) == 0) {
        raft_log_kill(log);
    } else {
        raft_log_close(log); /* only frees: its handles are stale */
    }
}

static void run_seed(uint64_t seed)
{
    static struct run run;
    memset(&run, 0, sizeof(run));
    rand_seed(&run.rand, seed);
    run.uniform = seed % 4 == 0;
    run.ahead = seed % 3 != 0;
    assert_int_equal(disk_sim_new(0, &run.disk), ERR_OK);
    assert_int_equal(disk_mkdir(run.disk, "/log"), ERR_OK);
    assert_int_equal(disk_sync_dir(run.disk, "/"), ERR_OK);
    int lives = run.uniform ? LIVES * 4 : LIVES;
    for (int i = 0; i < lives; i++) {
        life(&run, i == lives - 1);
    }
    disk_sim_free(run.disk);
}

static void torture(void **state)
{
    (void)state;
    const char *one = getenv("LOG_TORTURE_SEED");
    const char *many = getenv("LOG_TORTURE_SEEDS");
    if (one != NULL) {
        run_seed(strtoull(one, NULL, 10));
        return;
    }
    uint64_t seeds = many != NULL ? strtoull(many, NULL, 10) : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        if (many != NULL || seed % 100 == 1) {
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        }
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(torture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
