/* Rounds that are on their way at the same time. */
#include "node/log/log.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/test_scarce.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/disk_sim.h"
#include "base/test_main.h"
#include "node/log/log_model.h"
#include "node/log/writer_int.h"

enum { GROUPS = 4 };

struct fixture {
    struct disk *disk;
    struct raft_log *log;
    struct raft_log_opts opts;
    uint64_t last[GROUPS + 1]; /* what was submitted to each group */
    _Atomic unsigned done[8];  /* by error; see slot */
    uint64_t order[64];        /* the indexes of group 1 in the order of their completion */
    _Atomic size_t order_count;
    uint64_t refused[64]; /* and of those that failed */
    size_t refused_count;
    _Atomic unsigned fatal;
};

struct ticket {
    struct fixture *f;
    uint64_t index; /* of group 1, or 0 */
};

static const struct disk_ops *plain;
static struct disk_ops gated;
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

/* sync: instead of the disk's, or NULL. */
static void setup(struct fixture *f, unsigned writers, db_err (*sync)(struct disk_file *file))
{
    memset(f, 0, sizeof(*f));
    ticket_count = 0;
    assert_int_equal(disk_sim_new(0, &f->disk), ERR_OK);
    if (sync != NULL) {
        plain = f->disk->ops;
        gated = *plain;
        gated.sync = sync;
        f->disk->ops = &gated;
    }
    assert_int_equal(disk_mkdir(f->disk, "/log"), ERR_OK);
    assert_int_equal(disk_sync_dir(f->disk, "/"), ERR_OK);
    f->opts = (struct raft_log_opts){.disk = f->disk,
                                     .segment_size = 64 << 10,
                                     .log_id = 3,
                                     .manual = writers == 0,
                                     .writers = writers,
                                     .on_fatal = on_fatal,
                                     .on_fatal_arg = f};
    open_log(f);
}

static void teardown(struct fixture *f)
{
    raft_log_close(f->log);
    disk_sim_free(f->disk);
}

static struct raft_log_batch *batch_new(struct fixture *f)
{
    struct raft_log_batch *b = NULL;
    assert_int_equal(raft_log_batch_new(f->log, 0, &b), ERR_OK);
    return b;
}

static void add(struct raft_log_batch *b, uint64_t group, uint64_t index, uint64_t term,
                size_t size)
{
    static uint8_t data[64 << 10];
    memset(data, (int)index, size);
    const struct raft_log_entry e = {index, term, 1, slice_of(data, size)};
    assert_int_equal(raft_log_batch_append(b, group, &e, 1), ERR_OK);
}

/* index: of group 1, or 0. */
static void submit(struct fixture *f, struct raft_log_batch *b, uint64_t index)
{
    assert_true(ticket_count < ARRAY_COUNT(tickets));
    struct ticket *t = &tickets[ticket_count++];
    *t = (struct ticket){f, index};
    raft_log_submit(f->log, b, on_done, t);
}

static void append_at(struct fixture *f, uint64_t group, uint64_t index)
{
    struct raft_log_batch *b = batch_new(f);
    add(b, group, index, 1, 100);
    submit(f, b, group == 1 ? index : 0);
}

static void append(struct fixture *f, uint64_t group)
{
    append_at(f, group, ++f->last[group]);
}

static uint64_t last_of(struct fixture *f, uint64_t group)
{
    struct raft_log_group g = {0};
    db_err err = raft_log_group_get(f->log, group, &g);
    assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
    return err == ERR_OK ? g.last_index : 0;
}

static void pump(struct fixture *f)
{
    while (raft_log_pump(f->log)) {
    }
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
        raft_log_pump_ahead(f.log);
    }
    assert_int_equal(f.done[SLOT_OK], 0);
    assert_int_equal(last_of(&f, 1), 0);
    pump(&f);
    assert_int_equal(f.done[SLOT_OK], 6);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(f.order[i], i + 1);
    }
    assert_int_equal(last_of(&f, 1), 3);
    /* An empty batch says that what was before it is durable. */
    append(&f, 1);
    raft_log_pump_ahead(f.log);
    submit(&f, batch_new(&f), 99);
    raft_log_pump_ahead(f.log);
    assert_int_equal(f.order_count, 3);
    pump(&f);
    assert_int_equal(f.order[3], 4);
    assert_int_equal(f.order[4], 99);
    teardown(&f);
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
        raft_log_pump_ahead(f.log);
    }
    pump(&f);
    for (unsigned i = 0; i < 2000; i++) {
        ticket_count = 0;
        append(&f, 2);
        if (i % 100 == 99) {
            assert_int_equal(raft_log_compact(f.log, 2, f.last[2] - 1, 1), ERR_OK);
        }
        raft_log_pump_ahead(f.log);
    }
    for (uint64_t g = 3; g <= GROUPS; g++) {
        assert_int_equal(raft_log_compact(f.log, g, f.last[g], 1), ERR_OK);
    }
    pump(&f);
    struct raft_log_stats st;
    raft_log_stats(f.log, &st);
    assert_true(st.oldest_segment > 1);
    raft_log_close(f.log);
    open_log(&f);
    for (uint64_t g = 2; g <= GROUPS; g++) {
        assert_int_equal(last_of(&f, g), f.last[g]);
    }
    teardown(&f);
}

/* Who contradicts is refused by what the rounds on their way will have done, and they pass. */
static void a_refusal_among_them(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 0, NULL);
    append(&f, 1);
    raft_log_pump_ahead(f.log);
    append(&f, 1);
    append_at(&f, 1, 9);
    append(&f, 1);
    raft_log_pump_ahead(f.log);
    append(&f, 1);
    raft_log_pump_ahead(f.log);
    assert_int_equal(f.done[SLOT_INVALID], 0); /* its turn has not come */
    pump(&f);
    assert_int_equal(f.done[SLOT_OK], 4);
    assert_int_equal(f.done[SLOT_INVALID], 1);
    assert_int_equal(last_of(&f, 1), 4);
    teardown(&f);
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
        raft_log_pump_ahead(f.log);
        disk_sim_fail(f.disk, DISK_SIM_WRITE, 0, 1, ERR_DISK_FULL);
        append(&f, 1);
        raft_log_pump_ahead(f.log);
        assert_int_equal(f.done[SLOT_OK], 2);
        assert_int_equal(f.done[SLOT_FULL], 1);
        assert_int_equal(f.fatal, 0);
        if (crash == 1) {
            disk_sim_crash(f.disk, 7);
            raft_log_kill(f.log);
            open_log(&f);
        }
        assert_int_equal(last_of(&f, 1), 1);
        append_at(&f, 1, 2);
        pump(&f);
        assert_int_equal(last_of(&f, 1), 2);
        assert_int_equal(last_of(&f, 2), 1);
        teardown(&f);
    }
}

/* What was admitted stays so, although a batch behind it fails for another of its groups and makes
 * that failure known to all of them. */
static void failures_behind_what_was_admitted(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 0, NULL);
    struct raft_log_batch *b = batch_new(&f);
    add(b, 1, 1, 1, 40 << 10);
    submit(&f, b, 1);
    b = batch_new(&f);
    add(b, 2, 1, 1, 30 << 10); /* not in one round with that */
    submit(&f, b, 0);
    b = batch_new(&f);
    add(b, 1, 2, 1, 100);
    add(b, 2, 2, 1, 100);
    submit(&f, b, 0);
    append_at(&f, 3, 9); /* contradicts: the others are checked again */
    disk_sim_fail(f.disk, DISK_SIM_WRITE, 0, 1, ERR_DISK_FULL);
    pump(&f);
    assert_int_equal(f.done[SLOT_OK], 1);
    assert_int_equal(f.done[SLOT_FULL], 2);
    assert_int_equal(f.done[SLOT_INVALID], 1);
    assert_int_equal(last_of(&f, 1), 0);
    assert_int_equal(last_of(&f, 2), 1);
    teardown(&f);
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
        pump(&f);
        assert_int_equal(raft_log_compact(f.log, 1, 1, 1), ERR_OK);
    }
    raft_log_pump_ahead(f.log);
    assert_int_equal(raft_log_repeat(f.log, 1, 1 << 20, on_repeated, &repeated, &diag), ERR_OK);
    raft_log_pump_ahead(f.log);
    log__turn_take(f.log, 0);
    log__round_synced(f.log, f.log->round_no - 1);
    log__turn_give(f.log);
    append_at(&f, 2, 9); /* contradicts: the others are checked again */
    raft_log_pump_ahead(f.log);
    pump(&f);
    assert_int_equal(f.done[SLOT_INVALID], 1);
    assert_int_equal(repeated, ERR_OK);
    assert_int_equal(last_of(&f, 1), 3);
    teardown(&f);
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
        pump(&f);
    }
    for (uint64_t index = 3; index <= 4; index++) { /* each replaces one */
        struct raft_log_batch *b = batch_new(&f);
        add(b, 1, index, 2, 100);
        submit(&f, b, 0);
    }
    scarce_once = true;
    scarce_left = 0; /* the next one fails */
    pump(&f);
    assert_int_equal(scarce_left, SCARCE_NEVER);
    assert_int_equal(f.done[SLOT_OK], 4);
    assert_int_equal(f.done[SLOT_FULL], 1);
    assert_int_equal(last_of(&f, 1), 4);
    assert_int_equal(raft_log_term(f.log, 1, 4, &term), ERR_OK);
    assert_int_equal(term, 1);
    teardown(&f);
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
    disk_sim_fail(f.disk, DISK_SIM_WRITE, 0, 1, ERR_DISK_FULL);
    pump(&f);
    static const uint64_t all[] = {1, 7, 2, 8};
    assert_int_equal(f.refused_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(f.refused[i], all[i]);
    }
    assert_int_equal(f.done[SLOT_FULL], 2);
    assert_int_equal(f.done[SLOT_INVALID], 2);
    teardown(&f);
}

/* A failed sync says nothing about any of them. */
static void a_failed_sync(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 0, NULL);
    append(&f, 1);
    pump(&f);
    for (int i = 0; i < 3; i++) {
        append(&f, 1);
        raft_log_pump_ahead(f.log);
    }
    disk_sim_fail(f.disk, DISK_SIM_SYNC, 0, 1, ERR_IO);
    pump(&f);
    append(&f, 1);
    pump(&f);
    assert_int_equal(f.done[SLOT_OK], 1);
    assert_int_equal(f.done[SLOT_IO], 4);
    assert_int_equal(f.fatal, 1);
    assert_int_equal(last_of(&f, 1), 1);
    disk_sim_crash(f.disk, 3);
    raft_log_close(f.log);
    open_log(&f);
    assert_true(last_of(&f, 1) >= 1 && last_of(&f, 1) <= 4);
    teardown(&f);
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
    return plain->sync(file);
}

/* A commit that comes while a sync is under way is written and synced beside it. */
static void a_commit_overtakes_a_slow_sync(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 2, gated_sync);
    struct raft_log_stats st = {0};
    uint64_t until = clock_mono_ns() + 20 * NS_PER_S;
    append(&f, 4); /* there is an active segment, too */
    while ((st.segments_spare < 3 || f.done[SLOT_OK] == 0) &&
           clock_mono_ns() < until) { /* then nobody else syncs */
        raft_log_stats(f.log, &st);
        (void)usleep(1000);
    }
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
    teardown(&f);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
