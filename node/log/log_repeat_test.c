/* Groups whose entries are written once more: where they lie, and what they give back. */
#include "node/log/log.h"

#include <string.h>

#include "base/disk.h"
#include "base/disk_sim.h"
#include "base/test_main.h"

enum { IDLE = 5, BUSY = 6, PLACES = 300 };

struct fixture {
    struct disk *disk;
    struct raft_log *log;
    uint64_t last; /* of BUSY */
};

static void setup(struct fixture *f)
{
    struct diag diag;
    memset(f, 0, sizeof(*f));
    diag_reset(&diag);
    assert_int_equal(disk_sim_new(0, &f->disk), ERR_OK);
    assert_int_equal(disk_mkdir(f->disk, "/log"), ERR_OK);
    assert_int_equal(disk_sync_dir(f->disk, "/"), ERR_OK);
    const struct raft_log_opts opts = {
        .disk = f->disk, .segment_size = 64 << 10, .cache_size = 1, .log_id = 3, .manual = true};
    assert_int_equal(raft_log_open("/log", &opts, &diag, &f->log), ERR_OK);
}

static void teardown(struct fixture *f)
{
    raft_log_close(f->log);
    disk_sim_free(f->disk);
}

static void pump(struct fixture *f)
{
    while (raft_log_pump(f->log)) {
    }
}

static void append(struct fixture *f, uint64_t group, uint64_t index, size_t size)
{
    static uint8_t data[32 << 10];
    struct raft_log_batch *b = NULL;
    memset(data, (int)index, size);
    const struct raft_log_entry e = {index, 1, 1, slice_of(data, size)};
    assert_int_equal(raft_log_batch_new(f->log, 0, &b), ERR_OK);
    assert_int_equal(raft_log_batch_append(b, group, &e, 1), ERR_OK);
    raft_log_submit(f->log, b, NULL, NULL);
    pump(f);
}

/* More than one reference of the index takes. */
static void move_on(struct fixture *f)
{
    append(f, BUSY, ++f->last, 20 << 10);
    assert_int_equal(raft_log_compact(f->log, BUSY, f->last, 1), ERR_OK);
    pump(f);
}

static uint64_t oldest_segment(struct fixture *f)
{
    struct raft_log_stats st;
    raft_log_stats(f->log, &st);
    return st.oldest_segment;
}

static void on_repeated(void *arg, db_err err)
{
    *(db_err *)arg = err;
}

static void expect_entries(struct fixture *f)
{
    struct arena a;
    struct diag diag;
    diag_reset(&diag);
    for (uint64_t i = 1; i <= PLACES; i++) {
        struct raft_log_page p = {0};
        arena_init(&a, NULL, NULL, 0);
        assert_int_equal(
            raft_log_entries(f->log, IDLE, i, i + 1, 1000, RAFT_LOG_READ_ANY, &a, &diag, &p),
            ERR_OK);
        assert_int_equal(p.entries[0].index, i);
        assert_int_equal(p.entries[0].data.len, 100);
        assert_int_equal(p.entries[0].data.ptr[99], (uint8_t)i);
        arena_fini(&a);
    }
}

/* It holds little, but each entry elsewhere: more places than one page of a read follows. */
static void many_places(void **state)
{
    (void)state;
    struct fixture f;
    struct diag diag;
    db_err repeated = ERR_IO;
    setup(&f);
    diag_reset(&diag);
    for (uint64_t i = 1; i <= PLACES; i++) {
        append(&f, IDLE, i, 100);
        move_on(&f);
    }
    assert_int_equal(oldest_segment(&f), 1);
    assert_int_equal(raft_log_repeat(f.log, IDLE, 200 * PLACES, on_repeated, &repeated, &diag),
                     ERR_OK);
    pump(&f);
    assert_int_equal(repeated, ERR_OK);
    expect_entries(&f);
    for (int i = 0; i < 10; i++) {
        move_on(&f);
    }
    assert_true(oldest_segment(&f) > PLACES / 4);
    expect_entries(&f);
    assert_int_equal(raft_log_repeat(f.log, IDLE, 50 * PLACES, NULL, NULL, &diag), ERR_LIMIT);
    teardown(&f);
}

/* A group that was set to the very beginning and never went on keeps no segment either. */
static void reset_to_the_beginning(void **state)
{
    (void)state;
    struct fixture f;
    struct raft_log_batch *b = NULL;
    struct raft_log_group g;
    setup(&f);
    assert_int_equal(raft_log_batch_new(f.log, 0, &b), ERR_OK);
    assert_int_equal(raft_log_batch_reset(b, IDLE, 0, 0), ERR_OK);
    raft_log_submit(f.log, b, NULL, NULL);
    for (int i = 0; i < 30; i++) {
        move_on(&f);
    }
    assert_true(oldest_segment(&f) > 1);
    assert_int_equal(raft_log_group_get(f.log, IDLE, &g), ERR_OK);
    assert_int_equal(g.last_index, 0);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_places),
                                       cmocka_unit_test(reset_to_the_beginning)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
