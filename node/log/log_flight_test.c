/* Rounds that are on their way at the same time. */
#include "node/log/log.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "base/test_scarce.h"
#include "node/log/testing.h"
#include "node/log/writer_int.h"

enum { GROUPS = 4 };

struct fixture {
    struct t_log t;
    uint64_t last[GROUPS + 1]; /* what was submitted to each group */
    _Atomic unsigned done[8];  /* by error; see slot */
    uint64_t order[64];        /* the indexes of group 1 in the order of their completion */
    _Atomic size_t order_count;
    uint64_t refused[64]; /* and of those that failed */
    size_t refused_count;
};

struct ticket {
    struct fixture *f;
    uint64_t index; /* of group 1, or 0 */
};

static struct ticket tickets[256];
static size_t ticket_count;

enum slot { SLOT_OK, SLOT_FULL, SLOT_INVALID, SLOT_IO };

static void on_done(void *arg, db_err err)
{
    struct ticket *t = arg;
    enum slot s = err == ERR_OK          ? SLOT_OK
                  : err == ERR_DISK_FULL ? SLOT_FULL
                  : err == ERR_INVALID   ? SLOT_INVALID
                                         : SLOT_IO;
    if (t->index != 0 && err == ERR_OK) {
        t->f->order[t->f->order_count++] = t->index;
    } else if (t->index != 0) {
        t->f->refused[t->f->refused_count++] = t->index;
    }
    t->f->done[s]++;
}

/* sync: instead of the disk's, or NULL. */
static void setup(struct fixture *f, unsigned writers, db_err (*sync)(struct disk_file *file))
{
    memset(f, 0, sizeof(*f));
    ticket_count = 0;
    t_log_init(&f->t, 0, 64 << 10);
    f->t.special.sync = sync != NULL ? sync : f->t.special.sync;
    f->t.opts.manual = writers == 0;
    f->t.opts.writers = writers;
    t_log_open(&f->t);
}

/* index: of group 1, or 0. */
static void submit(struct fixture *f, struct raft_log_batch *b, uint64_t index)
{
    assert_true(ticket_count < ARRAY_COUNT(tickets));
    struct ticket *t = &tickets[ticket_count++];
    *t = (struct ticket){f, index};
    raft_log_submit(f->t.log, b, on_done, t);
}

static void append_at(struct fixture *f, uint64_t group, uint64_t index)
{
    struct raft_log_batch *b = t_batch_new(&f->t);
    t_batch_add(b, group, index, 1, 100);
    submit(f, b, group == 1 ? index : 0);
}

static void append(struct fixture *f, uint64_t group)
{
    append_at(f, group, ++f->last[group]);
}

/* Nothing is seen of a round before a sync that covers it; then all complete in order. */
static void nothing_shows_before_its_sync(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 0, NULL);
    for (int i = 0; i < 3; i++) {
        append(&f, 1);
        append(&f, 2);
        raft_log_pump_ahead(f.t.log);
    }
    assert_int_equal(f.done[SLOT_OK], 0);
    assert_int_equal(t_last_of(&f.t, 1), 0);
    t_log_pump(&f.t);
    assert_int_equal(f.done[SLOT_OK], 6);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(f.order[i], i + 1);
    }
    assert_int_equal(t_last_of(&f.t, 1), 3);
    /* An empty batch says that what was before it is durable. */
    append(&f, 1);
    raft_log_pump_ahead(f.t.log);
    submit(&f, t_batch_new(&f.t), 99);
    raft_log_pump_ahead(f.t.log);
    assert_int_equal(f.order_count, 3);
    t_log_pump(&f.t);
    assert_int_equal(f.order[3], 4);
    assert_int_equal(f.order[4], 99);
    t_log_fini(&f.t);
}

/* More rounds than may be on their way: the oldest are made durable first. Segments are rolled and
 * dropped in between. */
static void many_rounds(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 0, NULL);
    for (unsigned i = 0; i < 60; i++) {
        for (uint64_t g = 1; g <= GROUPS; g++) {
            if (g != 1) {
                ticket_count = ticket_count > 200 ? 100 : ticket_count;
                append(&f, g);
            }
        }
        raft_log_pump_ahead(f.t.log);
    }
    t_log_pump(&f.t);
    for (unsigned i = 0; i < 2000; i++) {
        ticket_count = 0;
        append(&f, 2);
        if (i % 100 == 99) {
            t_compact(f.t.log, 2, f.last[2] - 1, 1);
        }
        raft_log_pump_ahead(f.t.log);
    }
    for (uint64_t g = 3; g <= GROUPS; g++) {
        t_compact(f.t.log, g, f.last[g], 1);
    }
    t_log_pump(&f.t);
    struct raft_log_stats st;
    raft_log_stats(f.t.log, &st);
    assert_true(st.oldest_segment > 1);
    t_log_reopen(&f.t);
    for (uint64_t g = 2; g <= GROUPS; g++) {
        assert_int_equal(t_last_of(&f.t, g), f.last[g]);
    }
    t_log_fini(&f.t);
}

/* Who contradicts is refused by what the rounds on their way will have done, and they pass. */
static void a_refusal_among_them(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 0, NULL);
    append(&f, 1);
    raft_log_pump_ahead(f.t.log);
    append(&f, 1);
    append_at(&f, 1, 9);
    append(&f, 1);
    raft_log_pump_ahead(f.t.log);
    append(&f, 1);
    raft_log_pump_ahead(f.t.log);
    assert_int_equal(f.done[SLOT_INVALID], 0); /* its turn has not come */
    t_log_pump(&f.t);
    assert_int_equal(f.done[SLOT_OK], 4);
    assert_int_equal(f.done[SLOT_INVALID], 1);
    assert_int_equal(t_last_of(&f.t, 1), 4);
    t_log_fini(&f.t);
}

/* A round that the disk has no space for fails alone; those before it are safe. */
static void a_full_disk_behind_them(void **state)
{
    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        struct fixture f;
        setup(&f, 0, NULL);
        append(&f, 1);
        append(&f, 2);
        raft_log_pump_ahead(f.t.log);
        disk_sim_fail(f.t.disk, DISK_SIM_WRITE, 0, 1, ERR_DISK_FULL);
        append(&f, 1);
        raft_log_pump_ahead(f.t.log);
        assert_int_equal(f.done[SLOT_OK], 2);
        assert_int_equal(f.done[SLOT_FULL], 1);
        assert_int_equal(f.t.fatal, 0);
        if (crash == 1) {
            disk_sim_crash(f.t.disk, 7);
            raft_log_kill(f.t.log);
            t_log_open(&f.t);
        }
        assert_int_equal(t_last_of(&f.t, 1), 1);
        append_at(&f, 1, 2);
        t_log_pump(&f.t);
        assert_int_equal(t_last_of(&f.t, 1), 2);
        assert_int_equal(t_last_of(&f.t, 2), 1);
        t_log_fini(&f.t);
    }
}

/* What was admitted stays so, although a batch behind it fails for another of its groups and makes
 * that failure known to all of them. */
static void failures_behind_what_was_admitted(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 0, NULL);
    struct raft_log_batch *b = t_batch_new(&f.t);
    t_batch_add(b, 1, 1, 1, 40 << 10);
    submit(&f, b, 1);
    b = t_batch_new(&f.t);
    t_batch_add(b, 2, 1, 1, 30 << 10); /* not in one round with that */
    submit(&f, b, 0);
    b = t_batch_new(&f.t);
    t_batch_add(b, 1, 2, 1, 100);
    t_batch_add(b, 2, 2, 1, 100);
    submit(&f, b, 0);
    append_at(&f, 3, 9); /* contradicts: the others are checked again */
    disk_sim_fail(f.t.disk, DISK_SIM_WRITE, 0, 1, ERR_DISK_FULL);
    t_log_pump(&f.t);
    assert_int_equal(f.done[SLOT_OK], 1);
    assert_int_equal(f.done[SLOT_FULL], 2);
    assert_int_equal(f.done[SLOT_INVALID], 1);
    assert_int_equal(t_last_of(&f.t, 1), 0);
    assert_int_equal(t_last_of(&f.t, 2), 1);
    t_log_fini(&f.t);
}

static void on_repeated(void *arg, db_err err)
{
    *(db_err *)arg = err;
}

/* A repeat is on its way when a record before it takes effect that changes nothing. */
static void a_repeat_behind_an_old_compaction(void **state)
{
    (void)state;
    struct fixture f;
    struct diag diag;
    db_err repeated = ERR_IO;
    setup(&f, 0, NULL);
    diag_reset(&diag);
    for (int i = 0; i < 3; i++) {
        append(&f, 1);
    }
    for (int i = 0; i < 2; i++) {
        t_log_pump(&f.t);
        t_compact(f.t.log, 1, 1, 1);
    }
    raft_log_pump_ahead(f.t.log);
    assert_int_equal(raft_log_repeat(f.t.log, 1, 1 << 20, on_repeated, &repeated, &diag), ERR_OK);
    raft_log_pump_ahead(f.t.log);
    log__turn_take(f.t.log, 0);
    log__round_synced(f.t.log, f.t.log->round_no - 1);
    log__turn_give(f.t.log);
    append_at(&f, 2, 9); /* contradicts: the others are checked again */
    raft_log_pump_ahead(f.t.log);
    t_log_pump(&f.t);
    assert_int_equal(f.done[SLOT_INVALID], 1);
    assert_int_equal(repeated, ERR_OK);
    assert_int_equal(t_last_of(&f.t, 1), 3);
    t_log_fini(&f.t);
}

/* A batch that fails for want of memory comes again: what is on its way behind it does not go
 * first. */
static void no_memory_for_the_first(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t term = 0;
    mem_set_allocator(&scarce_allocator);
    setup(&f, 0, NULL);
    for (int i = 0; i < 4; i++) { /* as many as there is memory for */
        append(&f, 1);
        t_log_pump(&f.t);
    }
    for (uint64_t index = 3; index <= 4; index++) { /* each replaces one */
        struct raft_log_batch *b = t_batch_new(&f.t);
        t_batch_add(b, 1, index, 2, 100);
        submit(&f, b, 0);
    }
    scarce_once = true;
    scarce_left = 0; /* the next one fails */
    t_log_pump(&f.t);
    assert_int_equal(scarce_left, SCARCE_NEVER);
    assert_int_equal(f.done[SLOT_OK], 4);
    assert_int_equal(f.done[SLOT_FULL], 1);
    assert_int_equal(t_last_of(&f.t, 1), 4);
    assert_int_equal(raft_log_term(f.t.log, 1, 4, &term), ERR_OK);
    assert_int_equal(term, 1);
    t_log_fini(&f.t);
    mem_set_allocator(NULL);
}

/* What is refused ends behind those before it, also when their round fails: so its owner comes
 * again with them in the order in which they belong. */
static void failures_in_order(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 0, NULL);
    append_at(&f, 1, 1);
    append_at(&f, 1, 7); /* contradicts */
    append_at(&f, 1, 2);
    append_at(&f, 1, 8);
    disk_sim_fail(f.t.disk, DISK_SIM_WRITE, 0, 1, ERR_DISK_FULL);
    t_log_pump(&f.t);
    static const uint64_t all[] = {1, 7, 2, 8};
    assert_int_equal(f.refused_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(f.refused[i], all[i]);
    }
    assert_int_equal(f.done[SLOT_FULL], 2);
    assert_int_equal(f.done[SLOT_INVALID], 2);
    t_log_fini(&f.t);
}

/* A failed sync says nothing about any of them. */
static void a_failed_sync(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 0, NULL);
    append(&f, 1);
    t_log_pump(&f.t);
    for (int i = 0; i < 3; i++) {
        append(&f, 1);
        raft_log_pump_ahead(f.t.log);
    }
    disk_sim_fail(f.t.disk, DISK_SIM_SYNC, 0, 1, ERR_IO);
    t_log_pump(&f.t);
    append(&f, 1);
    t_log_pump(&f.t);
    assert_int_equal(f.done[SLOT_OK], 1);
    assert_int_equal(f.done[SLOT_IO], 4);
    assert_int_equal(f.t.fatal, 1);
    assert_int_equal(t_last_of(&f.t, 1), 1);
    disk_sim_crash(f.t.disk, 3);
    t_log_reopen(&f.t);
    assert_true(t_last_of(&f.t, 1) >= 1 && t_last_of(&f.t, 1) <= 4);
    t_log_fini(&f.t);
}

/* ---- threads */

static _Atomic unsigned syncing;
static _Atomic bool gate;

/* The first sync does not end before another has begun. */
static db_err gated_sync(struct disk_file *file)
{
    if (atomic_load(&gate)) {
        if (atomic_fetch_add(&syncing, 1) == 0) {
            uint64_t until = clock_mono_ns() + 20 * NS_PER_S;
            while (atomic_load(&syncing) < 2 && clock_mono_ns() < until) {
                (void)usleep(100);
            }
        }
    }
    return t_plain(file->disk)->sync(file);
}

/* An entry is written, so there is an active segment; those ahead of it are made, so nobody but a
 * writer syncs. */
static void come_to_rest(struct fixture *f)
{
    struct raft_log_stats st = {0};
    uint64_t until = clock_mono_ns() + 20 * NS_PER_S;
    append(f, 4);
    while (f->done[SLOT_OK] == 0 && clock_mono_ns() < until) {
        (void)usleep(1000);
    }
    while (st.segments_spare < 3 &&
           clock_mono_ns() < until) { /* the writer has taken one of them */
        raft_log_stats(f->t.log, &st);
        (void)usleep(1000);
    }
}

/* A commit that comes while a sync is under way is written and synced beside it. */
static void a_commit_overtakes_a_slow_sync(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 2, gated_sync);
    uint64_t until = clock_mono_ns() + 20 * NS_PER_S;
    come_to_rest(&f);
    atomic_store(&gate, true);
    append(&f, 2);
    while (atomic_load(&syncing) == 0 && clock_mono_ns() < until) {
        (void)usleep(100);
    }
    (void)usleep(5000); /* now it is slow */
    append(&f, 3);
    while (f.done[SLOT_OK] < 3 && clock_mono_ns() < until) {
        (void)usleep(100);
    }
    assert_int_equal(f.done[SLOT_OK], 3);
    atomic_store(&gate, false);
    t_log_fini(&f.t);
}

static _Atomic bool fails; /* the next operation */

/* Fails when somebody else has the turn. */
static db_err failing_sync(struct disk_file *file)
{
    if (!atomic_exchange(&fails, false)) {
        return t_plain(file->disk)->sync(file);
    }
    atomic_store(&syncing, 1);
    while (atomic_load(&syncing) != 2) {
        (void)usleep(100);
    }
    return ERR_IO;
}

/* Who syncs beside a sync that fails may come to the turn first: he does not speak for what the
 * other could not make durable. */
static void a_failure_is_known_at_once(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1, failing_sync);
    uint64_t until = clock_mono_ns() + 60 * NS_PER_S;
    come_to_rest(&f);
    atomic_store(&syncing, 0);
    atomic_store(&fails, true);
    append(&f, 1);
    while (atomic_load(&syncing) != 1 && clock_mono_ns() < until) {
        (void)usleep(100);
    }
    log__turn_take(f.t.log, 0);
    atomic_store(&syncing, 2);
    uint64_t soon = clock_mono_ns() + 20 * NS_PER_S;
    while (atomic_load(&f.t.fatal) == 0 && clock_mono_ns() < soon) {
        (void)usleep(100);
    }
    log__round_synced(f.t.log, UINT64_MAX); /* as if another sync had ended well */
    log__turn_give(f.t.log);
    assert_int_equal(f.t.fatal, 1);
    while (f.done[SLOT_IO] == 0 && clock_mono_ns() < until) {
        (void)usleep(100);
    }
    assert_int_equal(f.done[SLOT_IO], 1);
    assert_int_equal(f.done[SLOT_OK], 1);
    t_log_fini(&f.t);
}

/* ---- failures that one loop has been told of, and another not */

static db_err full_once(struct disk_file *file, const struct slice *parts, size_t count,
                        uint64_t offset)
{
    if (atomic_exchange(&fails, false)) {
        return ERR_DISK_FULL;
    }
    return t_plain(file->disk)->pwritev(file, parts, count, offset);
}

struct told {
    struct fixture *f;
    db_err mine; /* ERR__COUNT: not yet */
    db_err after;
};

static void on_mine(void *arg, db_err err)
{
    ((struct told *)arg)->mine = err;
}

static void on_after(void *arg, db_err err)
{
    ((struct told *)arg)->after = err;
}

static void hard_state(struct told *t, raft_log_done_fn done)
{
    struct raft_log_batch *b = t_batch_new(&t->f->t);
    CHECK_OK(raft_log_batch_hard_state(b, 1, (struct raft_log_hard_state){2, 1, 0}));
    raft_log_submit(t->f->t.log, b, done, t);
}

/* The batch of a thread without a loop completes here, before ours does. */
static void on_others(void *arg, db_err err)
{
    struct told *t = arg;
    CHECK(err == ERR_DISK_FULL && t->mine == ERR__COUNT);
    hard_state(t, on_after); /* it belongs behind the one that has failed */
}

static void *submit_others(void *arg)
{
    struct told *t = arg;
    struct raft_log_batch *b = t_batch_new(&t->f->t);
    t_batch_add(b, 2, 1, 1, 100);
    raft_log_submit(t->f->t.log, b, on_others, t);
    return NULL;
}

static void told_later(void *arg)
{
    struct told *t = arg;
    pthread_t thread;
    hard_state(t, on_mine);
    CHECK(pthread_create(&thread, NULL, submit_others, t) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    atomic_store(&fails, true);
    t_log_pump(&t->f->t);
    while (t->after == ERR__COUNT) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
}

/* A loop knows of a failure of its own batches when it has been told of it, not when another's is
 * delivered on its thread. */
static void what_others_were_told(void **state)
{
    (void)state;
    struct fixture f;
    struct told t = {&f, ERR__COUNT, ERR__COUNT};
    setup(&f, 0, NULL);
    append(&f, 3);
    t_log_pump(&f.t);
    f.t.special.pwritev = full_once;
    assert_int_equal(loop_run_main(told_later, &t), ERR_OK);
    assert_int_equal(t.mine, ERR_DISK_FULL);
    assert_int_equal(t.after, ERR_DISK_FULL);
    t_log_fini(&f.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_shows_before_its_sync),
        cmocka_unit_test(many_rounds),
        cmocka_unit_test(a_refusal_among_them),
        cmocka_unit_test(a_full_disk_behind_them),
        cmocka_unit_test(failures_behind_what_was_admitted),
        cmocka_unit_test(a_repeat_behind_an_old_compaction),
        cmocka_unit_test(no_memory_for_the_first),
        cmocka_unit_test(failures_in_order),
        cmocka_unit_test(a_failed_sync),
        cmocka_unit_test(a_commit_overtakes_a_slow_sync),
        cmocka_unit_test(a_failure_is_known_at_once),
        cmocka_unit_test(what_others_were_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
