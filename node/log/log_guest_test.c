/* Loops that write and sync what they have submitted themselves. */
#include "node/log/log.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "node/log/testing.h"
#include "node/log/writer_int.h"

enum { ROUNDS = 300, GUEST_ROUNDS = 30, WINDOW = 8, PRODUCERS = 3 };

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
    struct t_log t;
    struct producer p[PRODUCERS];
    _Atomic unsigned running;
};

/* As long as a disk's: the loop is asleep when it ends. */
static db_err sync_as_disks(struct disk_file *file)
{
    (void)usleep(100);
    return t_plain(file->disk)->sync(file);
}

/* sync: instead of the disk's, or NULL. */
static void setup(struct fixture *f, db_err (*sync)(struct disk_file *file))
{
    memset(f, 0, sizeof(*f));
    t_log_init(&f->t, 0, 256 << 10);
    f->t.special.sync = sync != NULL ? sync : sync_as_disks;
    for (unsigned i = 0; i < PRODUCERS; i++) {
        f->p[i] =
            (struct producer){.f = f, .group = i + 1, .here = true, .count = ROUNDS, .batches = 1};
    }
    t_log_open(&f->t);
}

static uint64_t guest_rounds(struct fixture *f)
{
    struct raft_log_stats st;
    raft_log_stats(f->t.log, &st);
    return st.guest_rounds;
}

static void on_done(void *arg, db_err err)
{
    wait_signal(arg, (int)err);
}

static void submit(struct producer *p, struct waiter *w)
{
    struct raft_log_batch *b = t_batch_new(&p->f->t);
    t_batch_add(b, p->group, ++p->last, 1, 100);
    if (p->here) {
        raft_log_batch_here(b);
    }
    wait_init(w);
    raft_log_submit(p->f->t.log, b, on_done, w);
}

static void await(struct producer *p, struct waiter *w)
{
    wait_block_uncancelable(w);
    p->failed += w->result != ERR_OK;
}

static void append(struct producer *p)
{
    struct waiter w[4];
    CHECK(p->batches <= ARRAY_COUNT(w));
    for (unsigned i = 0; i < p->batches; i++) {
        submit(p, &w[i]);
    }
    for (unsigned i = 0; i < p->batches; i++) {
        await(p, &w[i]);
    }
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
    uint64_t until = clock_mono_ns() + 60 * NS_PER_S;
    while (guest_rounds(p->f) < before + guests) {
        append(p);
        CHECK(clock_mono_ns() < until);
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
    uint64_t until = clock_mono_ns() + 60 * NS_PER_S;
    uint64_t guests = 0;
    while (guests < WINDOW * 3 / 4) { /* most are, when nothing is in the way */
        uint64_t before = guest_rounds(f);
        for (unsigned i = 0; i < WINDOW; i++) {
            append(&f->p[0]);
        }
        guests = guest_rounds(f) - before;
        CHECK(clock_mono_ns() < until);
    }
    f->p[0].batches = 2;
    struct raft_log_stats before;
    struct raft_log_stats st;
    for (unsigned i = 0;; i++) { /* what is submitted in one turn is one round */
        raft_log_stats(f->t.log, &before);
        append(&f->p[0]);
        raft_log_stats(f->t.log, &st);
        if (st.guest_rounds == before.guest_rounds + 1) {
            CHECK(st.rounds == before.rounds + 1 && st.batches == before.batches + 2);
            return;
        }
        CHECK(i < 100);
        f->p[0].batches = 1;
        append_until(&f->p[0], GUEST_ROUNDS);
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
    raft_log_stats(f.t.log, &st);
    uint64_t marks = (clock_mono_ns() - t0) / (LOG_IDLE_MARK_MS * NS_PER_MS) + 1;
    assert_int_equal(f.p[0].failed, 0);
    assert_true(st.wakeups <= st.rounds - st.guest_rounds + 2 * marks);
    assert_int_equal(t_last_of(&f.t, 1), f.p[0].last);
    t_log_reopen(&f.t);
    assert_int_equal(t_last_of(&f.t, 1), f.p[0].last);
    t_log_fini(&f.t);
}

static void not_unasked(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, NULL);
    f.p[0].here = false;
    run_alone(&f);
    assert_int_equal(guest_rounds(&f), 0);
    assert_int_equal(t_last_of(&f.t, 1), ROUNDS);
    t_log_fini(&f.t);
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
        disk_sim_crash(f.t.disk, seed);
        t_log_reopen(&f.t); /* the close only frees: its handles are stale */
        assert_int_equal(t_last_of(&f.t, 1), f.p[0].last);
        t_log_fini(&f.t);
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
    assert_int_equal(t_last_of(&f.t, 1), ROUNDS);
    t_log_fini(&f.t);
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
    assert_int_equal(t_last_of(&f.t, 1), f.p[0].last);
    t_log_fini(&f.t);
}

static db_err sync_slowly(struct disk_file *file)
{
    (void)usleep(2 * LOG_GUEST_SYNC_MAX_US);
    return t_plain(file->disk)->sync(file);
}

static void no_guests_on_slow_disks(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, sync_slowly);
    f.p[0].count = 100;
    run_alone(&f);
    assert_int_equal(guest_rounds(&f), 0);
    assert_int_equal(t_last_of(&f.t, 1), 100);
    t_log_fini(&f.t);
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
    CHECK(atomic_load(&p->f->t.fatal) == 0);
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
    assert_int_equal(f.t.fatal, 1);
    assert_int_equal(t_last_of(&f.t, 1), f.p[0].last - 1);
    t_log_fini(&f.t);
}

static void await_mark(struct fixture *f)
{
    unsigned ms = 0;
    while (!t_log_is_marked(&f->t)) {
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
    t_log_fini(&f.t);
}

/* Guests on several loops, writers beside them, segments that roll; and now and then much from a
 * thread without a loop, which is no guest's to write. */
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
    uint64_t much = 0;
    while (atomic_load(&f.running) != 0) {
        (void)usleep(10000);
        struct raft_log_batch *b = t_batch_new(&f.t);
        t_batch_add(b, PRODUCERS + 1, ++much, 1, 70 << 10);
        raft_log_submit(f.t.log, b, NULL, NULL);
    }
    loop_group_stop(loops);
    for (int life = 0; life < 2; life++) {
        for (unsigned i = 0; i < PRODUCERS; i++) {
            assert_int_equal(f.p[i].failed, 0);
            assert_int_equal(t_last_of(&f.t, i + 1), 2000);
        }
        t_log_reopen(&f.t);
    }
    t_log_fini(&f.t);
}

static _Atomic unsigned slow_ms; /* the next sync of a loop takes so long */

static db_err sync_slow_once(struct disk_file *file)
{
    unsigned ms = loop_current() != NULL ? atomic_exchange(&slow_ms, 0) : 0;
    (void)usleep(ms * 1000);
    return sync_as_disks(file);
}

static void await_slow(struct producer *p)
{
    while (atomic_load(&slow_ms) != 0) {
        append(p);
    }
}

static void one_slow(void *arg)
{
    struct producer *p = arg;
    append_until(p, 10);
    atomic_store(&slow_ms, 50);
    await_slow(p);
    uint64_t before = guest_rounds(p->f);
    uint64_t until = clock_mono_ns() + (uint64_t)50 * NS_PER_MS * LOG_GUEST_REST / 2;
    for (unsigned i = 0; i < 4 * LOG_GUEST_QUIET && clock_mono_ns() < until; i++) {
        append(p);
        CHECK(clock_mono_ns() >= until || guest_rounds(p->f) == before);
    }
    append_until(p, 1); /* it is no reason to keep away for ever */
}

/* A disk that is slow now and then keeps loops for a small part of their time. */
static void a_slow_sync_is_paid_for(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, sync_slow_once);
    assert_int_equal(loop_run_main(one_slow, &f.p[0]), ERR_OK);
    assert_int_equal(t_last_of(&f.t, 1), f.p[0].last);
    t_log_fini(&f.t);
}

/* Somebody who has the turn when a guest's sync ends, until the loop has gone on. */
static struct {
    struct fixture *f;
    pthread_t thread;
    _Atomic bool wanted, has_it, loop_went_on, gave_up;
} holder;

static void *hold_turn(void *arg UNUSED)
{
    uint64_t until = clock_mono_ns() + 20 * NS_PER_S;
    log__turn_take(holder.f->t.log, 0);
    atomic_store(&holder.has_it, true);
    while (!atomic_load(&holder.loop_went_on) && clock_mono_ns() < until) {
        (void)usleep(1000);
    }
    atomic_store(&holder.gave_up, !atomic_load(&holder.loop_went_on));
    log__turn_give(holder.f->t.log);
    return NULL;
}

static db_err sync_with_holder(struct disk_file *file)
{
    if (loop_current() != NULL && atomic_exchange(&holder.wanted, false)) {
        CHECK(pthread_create(&holder.thread, NULL, hold_turn, NULL) == 0);
        while (!atomic_load(&holder.has_it)) {
            (void)usleep(100);
        }
    }
    return sync_as_disks(file);
}

static void until_held(void *arg)
{
    struct producer *p = arg;
    while (!atomic_load(&holder.has_it)) {
        append(p);
    }
    atomic_store(&p->f->running, 0);
}

/* What else the loop has to do. */
static void goes_on(void *arg)
{
    struct fixture *f = arg;
    append_until(&f->p[0], 1);
    atomic_store(&f->running, 1);
    atomic_store(&holder.wanted, true);
    CHECK_OK(fiber_spawn(loop_current(), until_held, &f->p[0]));
    while (!atomic_load(&holder.has_it)) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    atomic_store(&holder.loop_went_on, true);
    while (atomic_load(&f->running) != 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    CHECK(!atomic_load(&holder.gave_up));
    append_until(&f->p[0], 1);
}

/* Whoever has the turn may wait for the disk himself, or for room: the loop does not. */
static void a_guest_waits_for_nobody(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, sync_with_holder);
    holder.f = &f;
    assert_int_equal(loop_run_main(goes_on, &f), ERR_OK);
    assert_int_equal(pthread_join(holder.thread, NULL), 0);
    assert_int_equal(f.p[0].failed, 0);
    assert_int_equal(t_last_of(&f.t, 1), f.p[0].last);
    t_log_fini(&f.t);
}

/* ---- the end of the log, while loops have something of it on their way */

static void *close_log(void *arg)
{
    struct fixture *f = arg;
    raft_log_close(f->t.log);
    f->t.log = NULL;
    return NULL;
}

static void counts(void *arg, db_err err)
{
    CHECK(err == ERR_OK);
    ++*(unsigned *)arg;
}

/* A guest that is to come, and a completion that nobody waits for, are left when it is closed. */
static void closed_within_a_turn(void *arg)
{
    struct fixture *f = arg;
    pthread_t thread;
    struct waiter w;
    unsigned done = 0;
    append_until(&f->p[0], 1);
    for (unsigned i = 0; f->t.log->guests[0]->quiet < LOG_GUEST_QUIET; i++) {
        append(&f->p[0]);
        CHECK(i < 100000);
    }
    submit(&f->p[0], &w);
    struct raft_log_batch *b = t_batch_new(&f->t);
    t_batch_add(b, 2, 1, 1, 10);
    raft_log_submit(f->t.log, b, counts, &done);
    CHECK(pthread_create(&thread, NULL, close_log, f) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    await(&f->p[0], &w);
    CHECK(f->p[0].failed == 0);
    while (done == 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
}

static void loops_outlive_the_log(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, NULL);
    assert_int_equal(loop_run_main(closed_within_a_turn, &f), ERR_OK);
    t_log_open(&f.t);
    assert_int_equal(t_last_of(&f.t, 1), f.p[0].last);
    assert_int_equal(t_last_of(&f.t, 2), 1);
    t_log_fini(&f.t);
}

static struct {
    struct fixture *f;
    pthread_t thread;
    _Atomic bool wanted;
    _Atomic bool in;
} closer;

static db_err sync_while_closed(struct disk_file *file)
{
    if (loop_current() != NULL && atomic_exchange(&closer.wanted, false)) {
        CHECK(pthread_create(&closer.thread, NULL, close_log, closer.f) == 0);
        (void)usleep(100000); /* it is closing now */
        atomic_store(&closer.in, true);
    }
    return sync_as_disks(file);
}

static void until_closed(void *arg)
{
    struct producer *p = arg;
    append_until(p, 1);
    atomic_store(&closer.wanted, true);
    while (!atomic_load(&closer.in)) {
        append(p);
    }
    CHECK(p->failed == 0);
}

/* Whoever closes the log waits for the guest that is in. */
static void a_close_waits_for_the_guest(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, sync_while_closed);
    closer.f = &f;
    assert_int_equal(loop_run_main(until_closed, &f.p[0]), ERR_OK);
    assert_int_equal(pthread_join(closer.thread, NULL), 0);
    t_log_open(&f.t);
    assert_int_equal(t_last_of(&f.t, 1), f.p[0].last);
    t_log_fini(&f.t);
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
        cmocka_unit_test(a_slow_sync_is_paid_for),
        cmocka_unit_test(a_guest_waits_for_nobody),
        cmocka_unit_test(loops_outlive_the_log),
        cmocka_unit_test(a_close_waits_for_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
