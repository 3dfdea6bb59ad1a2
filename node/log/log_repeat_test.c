/* Groups whose entries are written once more: where they lie, and what they give back. */
#include "node/log/log.h"

#include "node/log/testing.h"

enum { IDLE = 5, BUSY = 6, PLACES = 300 };

struct fixture {
    struct t_log t;
    uint64_t last; /* of BUSY */
};

static void setup(struct fixture *f)
{
    f->last = 0;
    t_log_init(&f->t, 0, 64 << 10);
    f->t.opts.manual = true;
    f->t.opts.cache_size = 1;
    t_log_open(&f->t);
}

static void append(struct fixture *f, uint64_t group, uint64_t index, size_t size)
{
    struct raft_log_batch *b = t_batch_new(&f->t);
    t_batch_add(b, group, index, 1, size);
    raft_log_submit(f->t.log, b, NULL, NULL);
    t_log_pump(&f->t);
}

/* More than one reference of the index takes. */
static void move_on(struct fixture *f)
{
    append(f, BUSY, ++f->last, 20 << 10);
    t_compact(f->t.log, BUSY, f->last, 1);
    t_log_pump(&f->t);
}

static uint64_t oldest_segment(struct fixture *f)
{
    struct raft_log_stats st;
    raft_log_stats(f->t.log, &st);
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
            raft_log_entries(f->t.log, IDLE, i, i + 1, 1000, RAFT_LOG_READ_ANY, &a, &diag, &p),
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
    assert_int_equal(raft_log_repeat(f.t.log, IDLE, 200 * PLACES, on_repeated, &repeated, &diag),
                     ERR_OK);
    t_log_pump(&f.t);
    assert_int_equal(repeated, ERR_OK);
    expect_entries(&f);
    for (int i = 0; i < 10; i++) {
        move_on(&f);
    }
    assert_true(oldest_segment(&f) > PLACES / 4);
    expect_entries(&f);
    assert_int_equal(raft_log_repeat(f.t.log, IDLE, 50 * PLACES, NULL, NULL, &diag), ERR_LIMIT);
    t_log_fini(&f.t);
}

/* A group that was set to the very beginning and never went on keeps no segment either. */
static void reset_to_the_beginning(void **state)
{
    (void)state;
    struct fixture f;
    struct raft_log_group g;
    setup(&f);
    struct raft_log_batch *b = t_batch_new(&f.t);
    assert_int_equal(raft_log_batch_reset(b, IDLE, 0, 0), ERR_OK);
    raft_log_submit(f.t.log, b, NULL, NULL);
    for (int i = 0; i < 30; i++) {
        move_on(&f);
    }
    assert_true(oldest_segment(&f) > 1);
    assert_int_equal(raft_log_group_get(f.t.log, IDLE, &g), ERR_OK);
    assert_int_equal(g.last_index, 0);
    t_log_fini(&f.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_places),
                                       cmocka_unit_test(reset_to_the_beginning)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
