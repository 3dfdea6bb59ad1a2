/* Loops that write and sync what they have submitted themselves. */
#include "node/log/log.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/disk_sim.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "base/test_main.h"
#include "node/log/writer_int.h"

enum { ROUNDS = 300, PRODUCERS = 3 };

struct fixture;

/* A fiber that appends to a group of its own, one entry after the other. */
struct producer {
    struct fixture *f;
    uint64_t group;
    bool here;
    unsigned count;
    unsigned batches; /* at a time */
    uint64_t last;
    unsigned failed;
    unsigned pauses; /* a pause after each so many; 0: none */
};

struct fixture {
    struct disk *disk;
    struct raft_log *log;
    struct raft_log_opts opts;
    struct producer p[PRODUCERS];
    _Atomic unsigned running;
    _Atomic unsigned fatal;
};

static void on_fatal(void *arg, const struct diag *diag)
{
    (void)diag;
    ((struct fixture *)arg)->fatal++;
}

static void open_log(struct fixture *f)
{
    struct diag diag;
    diag_reset(&diag);
    if (raft_log_open("/log", &f->opts, &diag, &f->log) != ERR_OK) {
        fail_msg("open: %s", diag.text);
    }
}

static const struct disk_ops *plain;
static struct disk_ops special;

/* As long as a disk's: the loop is asleep when it ends. */
static db_err sync_as_disks(struct disk_file *file)
{
    (void)usleep(100);
    return plain->sync(file);
}

/* sync: instead of the disk's, or NULL. */
static void setup(struct fixture *f, db_err (*sync)(struct disk_file *file))
{
    memset(f, 0, sizeof(*f));
    assert_int_equal(disk_sim_new(0, &f->disk), ERR_OK);
    plain = f->disk->ops;
    special = *plain;
    special.sync = sync != NULL ? sync : sync_as_disks;
    f->disk->ops = &special;
    assert_int_equal(disk_mkdir(f->disk, "/log"), ERR_OK);
    assert_int_equal(disk_sync_dir(f->disk, "/"), ERR_OK);
    f->opts = (struct raft_log_opts){.disk = f->disk,
                                     .segment_size = 256 << 10,
                                     .log_id = 3,
                                     .on_fatal = on_fatal,
                                     .on_fatal_arg = f};
    for (unsigned i = 0; i < PRODUCERS; i++) {
        f->p[i] =
            (struct producer){.f = f, .group = i + 1, .here = true, .count = ROUNDS, .batches = 1};
    }
    open_log(f);
}

static void teardown(struct fixture *f)
{
    raft_log_close(f->log);
    disk_sim_free(f->disk);
}

static uint64_t last_of(struct fixture *f, uint64_t group)
{
    struct raft_log_group g = {0};
    db_err err = raft_log_group_get(f->log, group, &g);
    assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
    return err == ERR_OK ? g.last_index : 0;
}

static uint64_t guest_rounds(struct fixture *f)
{
    struct raft_log_stats st;
    raft_log_stats(f->log, &st);
    return st.guest_rounds;
}

static void on_done(void *arg, db_err err)
{
    wait_signal(arg, (int)err);
}

static void append(struct producer *p)
{
    struct waiter w[4];
    CHECK(p->batches <= ARRAY_COUNT(w));
    for (unsigned i = 0; i < p->batches; i++) {
        struct raft_log_batch *b = NULL;
        uint8_t data[100];
        memset(data, (int)(p->last + i), sizeof(data));
        const struct raft_log_entry e = {p->last + i + 1, 1, 1, slice_of(data, sizeof(data))};
        CHECK_OK(raft_log_batch_new(p->f->log, 0, &b));
        CHECK_OK(raft_log_batch_append(b, p->group, &e, 1));
        if (p->here) {
            raft_log_batch_here(b);
        }
        wait_init(&w[i]);
        raft_log_submit(p->f->log, b, on_done, &w[i]);
    }
    for (unsigned i = 0; i < p->batches; i++) {
        wait_block_uncancelable(&w[i]);
        p->failed += w[i].result != ERR_OK;
    }
    p->last += p->batches;
}

static void produce(void *arg)
{
    struct producer *p = arg;
    for (unsigned i = 0; i < p->count; i++) {
        append(p);
        if (p->pauses != 0 && i % p->pauses == 0) {
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
    }
    atomic_fetch_sub(&p->f->running, 1);
}

/* Until guests have done so many more rounds: on a machine that is busy it takes a while. */
static void append_until(struct producer *p, uint64_t guests)
{
    uint64_t before = guest_rounds(p->f);
    for (unsigned i = 0; guest_rounds(p->f) < before + guests; i++) {
        append(p);
        CHECK(i < 20000);
    }
}

/* The producer alone on a loop. */
static void run_alone(struct fixture *f)
{
    atomic_store(&f->running, 1);
    assert_int_equal(loop_run_main(produce, &f->p[0]), ERR_OK);
}

static void one_then_two(void *arg)
{
    struct fixture *f = arg;
    append_until(&f->p[0], ROUNDS);
    f->p[0].batches = 2;
    struct raft_log_stats before;
    struct raft_log_stats st;
    for (unsigned i = 0;; i++) { /* what is submitted in one turn is one round */
        raft_log_stats(f->log, &before);
        append(&f->p[0]);
        raft_log_stats(f->log, &st);
        if (st.guest_rounds == before.guest_rounds + 1) {
            CHECK(st.rounds == before.rounds + 1 && st.batches == before.batches + 2);
            return;
        }
        CHECK(i < 100);
        f->p[0].batches = 1;
        append_until(&f->p[0], ROUNDS);
        f->p[0].batches = 2;
    }
}

/* No thread is woken any more, but now and then for a mark. */
static void a_lone_loop_does_it_itself(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, NULL);
    uint64_t t0 = clock_mono_ns();
    assert_int_equal(loop_run_main(one_then_two, &f), ERR_OK);
    struct raft_log_stats st;
    raft_log_stats(f.log, &st);
    uint64_t marks = (clock_mono_ns() - t0) / (LOG_IDLE_MARK_MS * NS_PER_MS) + 1;
    assert_int_equal(f.p[0].failed, 0);
    assert_true(st.wakeups <= st.rounds - st.guest_rounds + 2 * marks);
    assert_int_equal(last_of(&f, 1), f.p[0].last);
    raft_log_close(f.log);
    open_log(&f);
    assert_int_equal(last_of(&f, 1), f.p[0].last);
    teardown(&f);
}

static void not_unasked(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, NULL);
    f.p[0].here = false;
    run_alone(&f);
    assert_int_equal(guest_rounds(&f), 0);
    assert_int_equal(last_of(&f, 1), ROUNDS);
    teardown(&f);
}

static void some_guests(void *arg)
{
    append_until(arg, 3);
}

/* What was acknowledged is there after a power failure. */
static void durable_when_told(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture f;
        setup(&f, NULL);
        assert_int_equal(loop_run_main(some_guests, &f.p[0]), ERR_OK);
        disk_sim_crash(f.disk, seed);
        raft_log_close(f.log); /* only frees: its handles are stale */
        open_log(&f);
        assert_int_equal(last_of(&f, 1), f.p[0].last);
        teardown(&f);
    }
}

static void busy_beside(void *arg)
{
    struct fixture *f = arg;
    atomic_store(&f->running, 1);
    CHECK_OK(fiber_spawn(loop_current(), produce, &f->p[0]));
    while (atomic_load(&f->running) != 0) {
        fiber_yield();
    }
}

/* Whoever has something else to do has a writer do it. */
static void a_busy_loop_is_no_guest(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, NULL);
    assert_int_equal(loop_run_main(busy_beside, &f), ERR_OK);
    assert_int_equal(guest_rounds(&f), 0);
    assert_int_equal(last_of(&f, 1), ROUNDS);
    teardown(&f);
}

static struct loop_task caller;

static void nothing(struct loop_task *task)
{
    (void)task;
}

static db_err sync_with_a_caller(struct disk_file *file)
{
    if (loop_current() != NULL) {
        caller.fn = nothing;
        loop_post(loop_current(), &caller);
    }
    return sync_as_disks(file);
}

static void many_and_a_guest(void *arg)
{
    struct producer *p = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        append(p);
    }
    append_until(p, 1);
}

/* A guest for whom somebody waits each time is soon none. */
static void what_comes_meanwhile_counts(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, sync_with_a_caller);
    assert_int_equal(loop_run_main(many_and_a_guest, &f.p[0]), ERR_OK);
    assert_true(guest_rounds(&f) <= f.p[0].last / LOG_GUEST_HARM + 1);
    assert_int_equal(last_of(&f, 1), f.p[0].last);
    teardown(&f);
}

static db_err sync_slowly(struct disk_file *file)
{
    (void)usleep(2 * LOG_GUEST_SYNC_MAX_US);
    return plain->sync(file);
}

static void no_guests_on_slow_disks(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, sync_slowly);
    f.p[0].count = 100;
    run_alone(&f);
    assert_int_equal(guest_rounds(&f), 0);
    assert_int_equal(last_of(&f, 1), 100);
    teardown(&f);
}

static _Atomic bool syncs_fail;

static db_err sync_fails_on_loops(struct disk_file *file)
{
    if (loop_current() != NULL && atomic_load(&syncs_fail)) {
        return ERR_IO;
    }
    return sync_as_disks(file);
}

static void until_it_fails(void *arg)
{
    struct producer *p = arg;
    append_until(p, 1);
    CHECK(atomic_load(&p->f->fatal) == 0);
    atomic_store(&syncs_fail, true);
    append_until(p, 1);
    CHECK(p->failed == 1);
}

/* A guest's failed sync ends the log as a writer's does. */
static void a_failed_sync_is_fatal(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, sync_fails_on_loops);
    assert_int_equal(loop_run_main(until_it_fails, &f.p[0]), ERR_OK);
    assert_int_equal(f.fatal, 1);
    assert_int_equal(last_of(&f, 1), f.p[0].last - 1);
    teardown(&f);
}

static bool is_marked(struct fixture *f)
{
    log__turn_take(f->log, 0);
    bool marked = f->log->marked && f->log->flight_count == 0;
    log__turn_give(f->log);
    return marked;
}

static void await_mark(struct fixture *f)
{
    unsigned ms = 0;
    while (!is_marked(f)) {
        CHECK_OK(fiber_sleep(20 * NS_PER_MS));
        CHECK((ms += 20) < 60000);
    }
}

static void with_idle_times(void *arg)
{
    struct producer *p = arg;
    append_until(p, 1);
    for (unsigned i = 0; i < 3; i++) {
        await_mark(p->f);
        CHECK_OK(fiber_sleep(20 * NS_PER_MS)); /* the writer sleeps without end */
        append_until(p, 1);
    }
    await_mark(p->f);
}

/* An idle log proves that its last round is durable, although its writer slept through that. */
static void the_writer_puts_the_mark(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, NULL);
    assert_int_equal(loop_run_main(with_idle_times, &f.p[0]), ERR_OK);
    teardown(&f);
}

/* Guests on several loops, writers beside them, segments that roll. */
static void many_loops(void **state)
{
    (void)state;
    struct fixture f;
    struct loop_group *loops = NULL;
    setup(&f, NULL);
    const struct loop_group_opts lo = {.count = PRODUCERS};
    assert_int_equal(loop_group_start(&lo, &loops), ERR_OK);
    atomic_store(&f.running, PRODUCERS);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        f.p[i].count = 2000;
        f.p[i].pauses = i == 0 ? 0 : 40 * i;
        assert_int_equal(fiber_spawn(loop_group_get(loops, i), produce, &f.p[i]), ERR_OK);
    }
    while (atomic_load(&f.running) != 0) {
        (void)usleep(1000);
    }
    loop_group_stop(loops);
    for (int life = 0; life < 2; life++) {
        for (unsigned i = 0; i < PRODUCERS; i++) {
            assert_int_equal(f.p[i].failed, 0);
            assert_int_equal(last_of(&f, i + 1), 2000);
        }
        raft_log_close(f.log);
        open_log(&f);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_loop_does_it_itself),
        cmocka_unit_test(not_unasked),
        cmocka_unit_test(durable_when_told),
        cmocka_unit_test(a_busy_loop_is_no_guest),
        cmocka_unit_test(what_comes_meanwhile_counts),
        cmocka_unit_test(no_guests_on_slow_disks),
        cmocka_unit_test(a_failed_sync_is_fatal),
        cmocka_unit_test(the_writer_puts_the_mark),
        cmocka_unit_test(many_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
