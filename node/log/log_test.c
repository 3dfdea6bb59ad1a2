#include "node/log/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "base/test_scarce.h"
#include "node/log/format.h"
#include "node/log/log_model.h"
#include "node/log/testing.h"

struct fixture {
    struct t_log t;
    struct diag diag;
    _Atomic unsigned done_ok;
    _Atomic unsigned done_full;
    _Atomic unsigned done_invalid;
    _Atomic unsigned done_io;
    _Atomic unsigned done_nomem;
    uint64_t moved; /* by move_on */
    db_err repeated;
};

static void setup(struct fixture *f, bool manual, uint64_t space)
{
    memset(f, 0, sizeof(*f));
    t_log_init(&f->t, space, 64 << 10);
    f->t.opts.manual = manual;
    t_log_open(&f->t);
}

static void count_done(void *arg, db_err err)
{
    struct fixture *f = arg;
    switch ((int)err) {
    case ERR_OK: f->done_ok++; break;
    case ERR_DISK_FULL: f->done_full++; break;
    case ERR_INVALID: f->done_invalid++; break;
    case ERR_IO: f->done_io++; break;
    case ERR_NOMEM: f->done_nomem++; break;
    default: CHECK_OK(err);
    }
}

static void on_repeat(void *arg, db_err err)
{
    ((struct fixture *)arg)->repeated = err;
}

static void submit(struct fixture *f, struct raft_log_batch *b)
{
    raft_log_submit(f->t.log, b, count_done, f);
}

/* n entries of `size` bytes; the data tells index and term. */
static db_err add_entries(struct raft_log_batch *b, uint64_t group, uint64_t first, size_t n,
                          uint64_t term, size_t size)
{
    static _Thread_local uint8_t data[200][4096];
    struct raft_log_entry e[200];
    CHECK(n <= 200 && size <= 4096 && size >= 16);
    for (size_t i = 0; i < n; i++) {
        uint64_t head[2] = {first + i, term};
        memset(data[i], (int)(first + i), size);
        memcpy(data[i], head, sizeof(head));
        e[i] = (struct raft_log_entry){first + i, term, 1, slice_of(data[i], size)};
    }
    return raft_log_batch_append(b, group, e, n);
}

static void append(struct fixture *f, uint64_t group, uint64_t first, size_t n, uint64_t term,
                   size_t size)
{
    struct raft_log_batch *b = t_batch_new(&f->t);
    assert_int_equal(add_entries(b, group, first, n, term, size), ERR_OK);
    submit(f, b);
    if (f->t.opts.manual) {
        t_log_pump(&f->t);
    }
}

static void compact(struct fixture *f, uint64_t group, uint64_t index, uint64_t term)
{
    struct raft_log_batch *b = t_batch_new(&f->t);
    assert_int_equal(raft_log_batch_compact(b, group, index, term), ERR_OK);
    submit(f, b);
    t_log_pump(&f->t);
}

static size_t read_all(struct fixture *f, uint64_t group, uint64_t lo, uint64_t hi,
                       size_t max_bytes, uint64_t term)
{
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    size_t pages = 0;
    while (lo < hi) {
        struct raft_log_page p;
        db_err err = raft_log_entries(f->t.log, group, lo, hi, max_bytes, RAFT_LOG_READ_ANY, &a,
                                      &f->diag, &p);
        assert_int_equal(err, ERR_OK);
        assert_true(p.count > 0);
        assert_true(p.count == 1 || p.bytes <= max_bytes);
        for (size_t i = 0; i < p.count; i++, lo++) {
            uint64_t head[2];
            assert_int_equal(p.entries[i].index, lo);
            assert_int_equal(p.entries[i].term, term);
            memcpy(head, p.entries[i].data.ptr, sizeof(head));
            assert_int_equal(head[0], lo);
            assert_int_equal(head[1], term);
        }
        pages++;
    }
    arena_fini(&a);
    return pages;
}

static struct raft_log_group info_of(struct fixture *f, uint64_t group)
{
    struct raft_log_group info = {0};
    assert_int_equal(raft_log_group_get(f->t.log, group, &info), ERR_OK);
    return info;
}

/* ---- what operations do */

static void append_overwrite_and_read(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, true, 0);
    append(&f, 7, 1, 100, 1, 128);
    append(&f, 7, 101, 50, 2, 128);
    append(&f, 7, 121, 5, 3, 128);
    assert_int_equal(f.done_ok, 3);
    for (int life = 0; life < 2; life++) {
        struct raft_log_group g = info_of(&f, 7);
        assert_int_equal(g.first_index, 1);
        assert_int_equal(g.last_index, 125);
        assert_int_equal(g.last_term, 3);
        assert_false(g.has_hard_state);
        assert_true(read_all(&f, 7, 1, 101, 1000, 1) > 10);
        read_all(&f, 7, 101, 121, 1 << 20, 2);
        read_all(&f, 7, 121, 126, 1 << 20, 3);
        uint64_t term = 0;
        assert_int_equal(raft_log_term(f.t.log, 7, 0, &term), ERR_OK);
        assert_int_equal(term, 0);
        assert_int_equal(raft_log_term(f.t.log, 7, 120, &term), ERR_OK);
        assert_int_equal(term, 2);
        assert_int_equal(raft_log_term(f.t.log, 7, 126, &term), ERR_NOT_FOUND);
        assert_int_equal(raft_log_term(f.t.log, 8, 1, &term), ERR_NOT_FOUND);
        t_log_reopen(&f.t);
    }
    t_log_fini(&f.t);
}

static void hard_state_reset_compact_remove(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, true, 0);
    struct raft_log_batch *b = t_batch_new(&f.t);
    assert_int_equal(raft_log_batch_hard_state(b, 1, (struct raft_log_hard_state){4, 2, 9}),
                     ERR_OK);
    assert_int_equal(raft_log_batch_reset(b, 1, 500, 4), ERR_OK);
    assert_int_equal(add_entries(b, 1, 501, 10, 4, 20), ERR_OK);
    assert_int_equal(raft_log_batch_compact(b, 1, 505, 4), ERR_OK);
    assert_int_equal(add_entries(b, 2, 1, 10, 4, 20), ERR_OK);
    assert_int_equal(raft_log_batch_remove(b, 2), ERR_OK);
    submit(&f, b);
    t_log_pump(&f.t);
    assert_int_equal(f.done_ok, 1);
    for (int life = 0; life < 2; life++) {
        struct raft_log_group g = info_of(&f, 1);
        assert_int_equal(g.first_index, 506);
        assert_int_equal(g.last_index, 510);
        assert_int_equal(g.compacted_term, 4);
        assert_int_equal(g.hard_state.term, 4);
        assert_int_equal(g.hard_state.vote, 2);
        assert_int_equal(g.hard_state.commit, 9);
        assert_int_equal(raft_log_group_get(f.t.log, 2, &g), ERR_NOT_FOUND);
        read_all(&f, 1, 506, 511, 100, 4);
        t_log_reopen(&f.t);
    }
    append(&f, 2, 1, 3, 9, 20); /* the id lives again */
    assert_int_equal(info_of(&f, 2).last_index, 3);
    compact(&f, 1, 510, 4);
    assert_int_equal(info_of(&f, 1).last_index, 510);
    assert_int_equal(info_of(&f, 1).first_index, 511);
    struct raft_log_stats st;
    raft_log_stats(f.t.log, &st);
    assert_int_equal(st.groups, 2);
    t_log_fini(&f.t);
}

static void contradictions_are_refused_whole(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, true, 0);
    append(&f, 1, 1, 10, 1, 32);
    compact(&f, 1, 4, 1);
    struct raft_log_batch *good = t_batch_new(&f.t);
    struct raft_log_batch *gap = t_batch_new(&f.t);
    struct raft_log_batch *low = t_batch_new(&f.t);
    struct raft_log_batch *past = t_batch_new(&f.t);
    struct raft_log_batch *more = t_batch_new(&f.t);
    assert_int_equal(add_entries(good, 1, 11, 1, 1, 32), ERR_OK);
    assert_int_equal(add_entries(gap, 9, 1, 5, 1, 32), ERR_OK); /* undone with the rest */
    assert_int_equal(add_entries(gap, 1, 13, 1, 1, 32), ERR_OK);
    assert_int_equal(add_entries(low, 1, 4, 1, 1, 32), ERR_OK);
    assert_int_equal(raft_log_batch_compact(past, 1, 12, 1), ERR_OK);
    assert_int_equal(add_entries(more, 1, 12, 1, 1, 32), ERR_OK);
    struct raft_log_batch *all[] = {good, gap, low, past, more};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        submit(&f, all[i]);
    }
    t_log_pump(&f.t);
    assert_int_equal(f.done_ok, 4);
    assert_int_equal(f.done_invalid, 3);
    assert_int_equal(info_of(&f, 1).last_index, 12);
    struct raft_log_group g;
    assert_int_equal(raft_log_group_get(f.t.log, 9, &g), ERR_NOT_FOUND);
    struct raft_log_entry bad[2] = {{1, 1, 0, SLICE_EMPTY}, {3, 1, 0, SLICE_EMPTY}};
    struct raft_log_batch *b = t_batch_new(&f.t);
    assert_int_equal(raft_log_batch_append(b, 1, bad, 2), ERR_INVALID);
    assert_int_equal(raft_log_batch_append(b, 0, bad, 1), ERR_INVALID);
    assert_int_equal(raft_log_batch_append(b, 1, bad, 0), ERR_INVALID);
    assert_true(raft_log_batch_empty(b));
    submit(&f, b); /* an empty batch completes */
    t_log_pump(&f.t);
    assert_int_equal(f.done_ok, 5);
    t_log_fini(&f.t);
}

static void empty_and_large_entries(void **state)
{
    (void)state;
    struct fixture f;
    memset(&f, 0, sizeof(f));
    assert_int_equal(disk_sim_new(0, &f.t.disk), ERR_OK);
    assert_int_equal(disk_mkdir(f.t.disk, "/log"), ERR_OK);
    f.t.opts = (struct raft_log_opts){.disk = f.t.disk, .segment_size = 16 << 20, .manual = true};
    t_log_open(&f.t);
    size_t big = 5 << 20;
    uint8_t *data = test_malloc(big);
    memset(data, 7, big);
    struct raft_log_entry e[] = {{1, 1, 0, SLICE_EMPTY},
                                 {2, 1, 1, slice_of(data, big)},
                                 {3, 1, 2, slice_of(data, 10)},
                                 {4, 2, 3, slice_of(data, 2 << 20)}};
    struct raft_log_batch *b = t_batch_new(&f.t);
    assert_int_equal(raft_log_batch_append(b, 1, e, 4), ERR_OK);
    size_t size = raft_log_batch_size(b);
    e[0].index = 5;
    e[0].term = 2;
    e[0].data = slice_of(data, big);
    e[1].index = 6;
    e[1].term = 2;
    assert_int_equal(raft_log_batch_append(b, 1, e, 2), ERR_LIMIT); /* more than a segment */
    assert_int_equal(raft_log_batch_size(b), size);
    submit(&f, b);
    t_log_pump(&f.t);
    assert_int_equal(f.done_ok, 1);
    for (int life = 0; life < 2; life++) {
        struct arena a;
        struct raft_log_page p;
        arena_init(&a, NULL, NULL, 0);
        assert_int_equal(
            raft_log_entries(f.t.log, 1, 1, 5, 1000, RAFT_LOG_READ_ANY, &a, &f.diag, &p), ERR_OK);
        assert_int_equal(p.count, 1);
        assert_int_equal(p.entries[0].data.len, 0);
        assert_int_equal(
            raft_log_entries(f.t.log, 1, 2, 5, 1000, RAFT_LOG_READ_ANY, &a, &f.diag, &p), ERR_OK);
        assert_int_equal(p.count, 1);
        assert_int_equal(p.entries[0].data.len, big);
        assert_memory_equal(p.entries[0].data.ptr, data, big);
        assert_int_equal(
            raft_log_entries(f.t.log, 1, 3, 5, SIZE_MAX, RAFT_LOG_READ_ANY, &a, &f.diag, &p),
            ERR_OK);
        assert_true(p.count >= 1);
        assert_int_equal(p.entries[0].data.len, 10);
        arena_fini(&a);
        t_log_reopen(&f.t);
    }
    test_free(data);
    t_log_fini(&f.t);
}

static void cache_and_disk(void **state)
{
    (void)state;
    struct fixture f;
    struct arena a;
    struct raft_log_page p;
    setup(&f, true, 0);
    f.t.opts.cache_size = 20000;
    t_log_reopen(&f.t);
    for (uint64_t i = 0; i < 40; i++) {
        append(&f, 1, i * 10 + 1, 10, 1, 128);
    }
    arena_init(&a, NULL, NULL, 0);
    assert_int_equal(
        raft_log_entries(f.t.log, 1, 1, 5, 1000, RAFT_LOG_READ_CACHED, &a, &f.diag, &p),
        ERR_WOULD_BLOCK);
    assert_int_equal(
        raft_log_entries(f.t.log, 1, 395, 500, 9000, RAFT_LOG_READ_CACHED, &a, &f.diag, &p),
        ERR_OK);
    assert_int_equal(p.count, 6);
    assert_int_equal(
        raft_log_entries(f.t.log, 1, 401, 500, 9000, RAFT_LOG_READ_CACHED, &a, &f.diag, &p),
        ERR_NOT_FOUND);
    /* Borrowed bytes outlive their place in the cache. */
    assert_int_equal(
        raft_log_entries(f.t.log, 1, 395, 401, 9000, RAFT_LOG_READ_CACHED, &a, &f.diag, &p),
        ERR_OK);
    for (uint64_t i = 40; i < 100; i++) {
        append(&f, 1, i * 10 + 1, 10, 1, 128);
    }
    uint64_t head = 0;
    memcpy(&head, p.entries[0].data.ptr, sizeof(head));
    assert_int_equal(head, 395);
    struct raft_log_stats st;
    raft_log_stats(f.t.log, &st);
    assert_true(st.cache_bytes <= 20000);
    assert_true(st.disk_reads == 0);
    read_all(&f, 1, 1, 1001, 5000, 1);
    raft_log_stats(f.t.log, &st);
    assert_true(st.disk_reads > 0);
    arena_fini(&a);
    t_log_fini(&f.t);
}

/* ---- space */

static void segments_go_round(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, true, 0);
    struct raft_log_batch *b = t_batch_new(&f.t);
    assert_int_equal(raft_log_batch_hard_state(b, 9, (struct raft_log_hard_state){1, 2, 3}),
                     ERR_OK);
    submit(&f, b);
    t_log_pump(&f.t);
    uint64_t next = 1;
    for (int i = 0; i < 400; i++, next += 10) {
        append(&f, 1, next, 10, 1, 200);
        if (next > 100) {
            compact(&f, 1, next - 100, 1);
        }
    }
    struct raft_log_stats st;
    raft_log_stats(f.t.log, &st);
    assert_true(st.segments_used <= 3);
    assert_true(st.disk_bytes <= 7 * (64u << 10));
    assert_true(st.newest_segment > 10);
    assert_int_equal(info_of(&f, 9).hard_state.commit, 3); /* carried all the way */
    t_log_reopen(&f.t);
    assert_int_equal(info_of(&f, 9).hard_state.commit, 3);
    assert_int_equal(info_of(&f, 1).last_index, next - 1);
    read_all(&f, 1, info_of(&f, 1).first_index, next, 3000, 1);
    t_log_fini(&f.t);
}

static void an_idle_group_is_named(void **state)
{
    (void)state;
    struct fixture f;
    struct raft_log_holder h[4];
    size_t n = 0;
    setup(&f, true, 0);
    append(&f, 5, 1, 3, 1, 100);
    raft_log_oldest(f.t.log, h, 4, &n);
    assert_int_equal(n, 0); /* one segment: nothing is held back */
    for (uint64_t i = 0; i < 100; i++) {
        append(&f, 6, i * 10 + 1, 10, 1, 200);
        compact(&f, 6, i * 10 + 10, 1);
    }
    raft_log_oldest(f.t.log, h, 4, &n);
    assert_int_equal(n, 1);
    assert_int_equal(h[0].group, 5);
    assert_int_equal(h[0].need_index, 3);
    assert_true(h[0].behind_bytes > 100000);
    struct raft_log_stats before;
    struct raft_log_stats after;
    raft_log_stats(f.t.log, &before);
    compact(&f, 5, 3, 1);
    raft_log_stats(f.t.log, &after);
    assert_true(after.segments_used < before.segments_used);
    assert_true(after.oldest_segment > before.oldest_segment);
    t_log_fini(&f.t);
}

static void move_on(struct fixture *f, uint64_t group, uint64_t rounds)
{
    uint64_t first = f->moved + 1;
    for (uint64_t i = 0; i < rounds; i++, first += 10) {
        append(f, group, first, 10, 1, 200);
        compact(f, group, first + 9, 1);
    }
    f->moved = first - 1;
}

static uint64_t oldest_segment(struct fixture *f)
{
    struct raft_log_stats st;
    raft_log_stats(f->t.log, &st);
    return st.oldest_segment;
}

static db_err repeat(struct fixture *f, uint64_t group)
{
    return raft_log_repeat(f->t.log, group, 1 << 20, on_repeat, f, &f->diag);
}

/* A group that holds an old segment does not once it is repeated: its entries, of several terms, a
 * part of them compacted, are there, now and after a start from the segments that are left. */
static void an_idle_group_is_repeated(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, true, 0);
    assert_int_equal(repeat(&f, 5), ERR_NOT_FOUND);
    for (uint64_t t = 0; t < 3; t++) {
        append(&f, 5, 1 + t * 4, 4, 1 + 1000 * t, 100);
        move_on(&f, 6, 40);
    }
    struct raft_log_batch *b = t_batch_new(&f.t);
    assert_int_equal(raft_log_batch_hard_state(b, 5, (struct raft_log_hard_state){2001, 7, 9}),
                     ERR_OK);
    submit(&f, b);
    compact(&f, 5, 6, 1001); /* in the midst of a record */
    for (int round = 0; round < 4; round++) {
        uint64_t before = oldest_segment(&f);
        f.t.opts.cache_size = round % 2 == 0 ? 1 : 0;
        assert_int_equal(repeat(&f, 5), ERR_OK);
        t_log_pump(&f.t);
        assert_int_equal(f.repeated, ERR_OK);
        move_on(&f, 6, 40);
        assert_true(oldest_segment(&f) > before);
        (void)read_all(&f, 5, 7, 9, 1 << 20, 1001);
        (void)read_all(&f, 5, 9, 13, 1 << 20, 2001);
        t_log_reopen(&f.t);
        struct raft_log_group info = info_of(&f, 5);
        assert_int_equal(info.compacted_index, 6);
        assert_int_equal(info.compacted_term, 1001);
        assert_int_equal(info.last_index, 12);
        assert_int_equal(info.hard_state.vote, 7);
        (void)read_all(&f, 5, 7, 9, 1 << 20, 1001);
        (void)read_all(&f, 5, 9, 13, 1 << 20, 2001);
    }
    append(&f, 5, 13, 4, 3001, 100);
    append(&f, 5, 10, 3, 4001, 100); /* replaces a part of what was repeated */
    (void)read_all(&f, 5, 9, 10, 1 << 20, 2001);
    (void)read_all(&f, 5, 10, 13, 1 << 20, 4001);
    assert_int_equal(info_of(&f, 5).last_index, 12);
    for (uint64_t i = 0; i < 15; i++) {
        append(&f, 7, 1 + i * 10, 10, 1, 4000);
    }
    assert_int_equal(repeat(&f, 7), ERR_LIMIT);
    append(&f, 8, 1, 1, 1, 100);
    append(&f, 8, 2, 1, 1 + (1 << 24), 100);
    assert_int_equal(repeat(&f, 8), ERR_LIMIT);
    t_log_fini(&f.t);
}

/* What others have submitted before is not undone; what they submit behind it finds its place. */
static void a_repeat_comes_between(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, true, 0);
    append(&f, 5, 1, 4, 1, 100);
    struct raft_log_batch *b = t_batch_new(&f.t);
    assert_int_equal(add_entries(b, 5, 5, 2, 1, 100), ERR_OK);
    submit(&f, b);
    assert_int_equal(repeat(&f, 5), ERR_OK); /* read before, written behind */
    t_log_pump(&f.t);
    assert_int_equal(f.repeated, ERR_BUSY);
    assert_int_equal(info_of(&f, 5).last_index, 6);
    b = t_batch_new(&f.t); /* the last index stays, the entry does not */
    assert_int_equal(add_entries(b, 5, 6, 1, 2, 100), ERR_OK);
    submit(&f, b);
    assert_int_equal(repeat(&f, 5), ERR_OK);
    t_log_pump(&f.t);
    assert_int_equal(f.repeated, ERR_BUSY);
    (void)read_all(&f, 5, 6, 7, 1 << 20, 2);
    assert_int_equal(repeat(&f, 5), ERR_OK);
    b = t_batch_new(&f.t);
    assert_int_equal(add_entries(b, 5, 7, 2, 2, 100), ERR_OK);
    submit(&f, b);
    b = t_batch_new(&f.t);
    assert_int_equal(raft_log_batch_compact(b, 5, 1, 1), ERR_OK);
    submit(&f, b);
    t_log_pump(&f.t);
    assert_int_equal(f.repeated, ERR_OK);
    assert_int_equal(info_of(&f, 5).last_index, 8);
    /* gone, and made anew as it was by its numbers */
    append(&f, 9, 1, 1, 1, 100);
    b = t_batch_new(&f.t);
    assert_int_equal(raft_log_batch_remove(b, 9), ERR_OK);
    submit(&f, b);
    b = t_batch_new(&f.t);
    assert_int_equal(add_entries(b, 9, 1, 1, 2, 100), ERR_OK);
    submit(&f, b);
    assert_int_equal(repeat(&f, 9), ERR_OK);
    t_log_pump(&f.t);
    assert_int_equal(f.repeated, ERR_BUSY);
    (void)read_all(&f, 9, 1, 2, 1 << 20, 2);
    t_log_reopen(&f.t);
    (void)read_all(&f, 5, 2, 6, 1 << 20, 1);
    (void)read_all(&f, 5, 6, 9, 1 << 20, 2);
    (void)read_all(&f, 9, 1, 2, 1 << 20, 2);
    t_log_fini(&f.t);
}

/* A full disk: entries are refused, what frees space is not, and it goes on by itself. */
static void a_full_disk(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, true, 6 * (64 << 10));
    uint64_t next = 1;
    while (f.done_full == 0) {
        append(&f, 1, next, 10, 1, 200);
        next += f.done_full == 0 ? 10 : 0;
        assert_true(next < 10000);
    }
    assert_int_equal(info_of(&f, 1).last_index, next - 1);
    struct raft_log_batch *b = t_batch_new(&f.t);
    assert_int_equal(raft_log_batch_hard_state(b, 1, (struct raft_log_hard_state){7, 7, 7}),
                     ERR_OK);
    submit(&f, b);
    t_log_pump(&f.t);
    assert_int_equal(info_of(&f, 1).hard_state.term, 7);
    unsigned full = f.done_full;
    append(&f, 1, next, 10, 1, 200);
    assert_int_equal(f.done_full, full + 1);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(info_of(&f, 1).last_index, next - 1);
        read_all(&f, 1, 1, next, 3000, 1);
        if (life == 0) {
            assert_int_equal(f.t.fatal, 0);
            disk_sim_kill_process(f.t.disk);
            t_log_reopen(&f.t);
        }
    }
    /* Compaction alone brings the space back. */
    compact(&f, 1, next - 11, 1);
    t_log_pump(&f.t);
    unsigned ok = f.done_ok;
    append(&f, 1, next, 10, 1, 200);
    assert_int_equal(f.done_ok, ok + 1);
    next += 10;
    for (int i = 0; i < 200; i++, next += 10) {
        append(&f, 1, next, 10, 1, 200);
        compact(&f, 1, next + 5, 1);
    }
    assert_int_equal(f.done_ok, ok + 401);
    t_log_reopen(&f.t);
    read_all(&f, 1, info_of(&f, 1).first_index, next, 3000, 1);
    t_log_fini(&f.t);
}

/* The write itself meets a full disk (a file system that does not overwrite in place). */
static void a_write_without_space(void **state)
{
    (void)state;
    for (uint64_t skip = 0; skip < 3; skip++) {
        struct fixture f;
        setup(&f, true, 0);
        append(&f, 1, 1, 10, 1, 200);
        disk_sim_fail(f.t.disk, DISK_SIM_WRITE, 0, 1, ERR_DISK_FULL);
        struct raft_log_batch *a = t_batch_new(&f.t);
        struct raft_log_batch *b = t_batch_new(&f.t);
        assert_int_equal(add_entries(a, 1, 11, 10, 1, 200), ERR_OK);
        assert_int_equal(add_entries(b, 2, 1, 10, 1, 200), ERR_OK);
        submit(&f, a);
        submit(&f, b);
        (void)raft_log_pump(f.t.log);
        assert_int_equal(f.done_full, 2);
        assert_int_equal(f.t.fatal, 0);
        assert_int_equal(info_of(&f, 1).last_index, 10);
        if (skip == 1) {
            disk_sim_crash(f.t.disk, 5);
            raft_log_close(f.t.log);
            t_log_open(&f.t);
        }
        if (skip != 2) {
            append(&f, 1, 11, 10, 2, 190);
            assert_int_equal(f.done_ok, 2);
        }
        disk_sim_crash(f.t.disk, skip);
        raft_log_close(f.t.log);
        t_log_open(&f.t);
        assert_int_equal(info_of(&f, 1).last_index, skip == 2 ? 10 : 20);
        struct raft_log_group g;
        assert_int_equal(raft_log_group_get(f.t.log, 2, &g), ERR_NOT_FOUND);
        t_log_fini(&f.t);
    }
}

static void a_failed_sync_is_fatal(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, true, 0);
    append(&f, 1, 1, 10, 1, 200);
    disk_sim_fail(f.t.disk, DISK_SIM_SYNC, 0, 1, ERR_IO);
    append(&f, 1, 11, 10, 1, 200);
    append(&f, 1, 21, 10, 1, 200); /* the disk is fine again: it must not matter */
    assert_int_equal(f.done_ok, 1);
    assert_int_equal(f.done_io, 2);
    assert_int_equal(f.t.fatal, 1);
    read_all(&f, 1, 1, 11, 1000, 1);
    disk_sim_crash(f.t.disk, 3);
    raft_log_close(f.t.log);
    t_log_open(&f.t);
    assert_true(info_of(&f, 1).last_index >= 10);
    assert_true(info_of(&f, 1).last_index <= 20);
    t_log_fini(&f.t);
}

static db_err unlink_in(void *ctx, const char *name)
{
    char path[DISK_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", (const char *)ctx, name);
    return disk_unlink(disk_real(), path);
}

/* Whichever allocation of the writer fails: a batch is refused whole or takes effect whole. */
static void memory_runs_out(void **state)
{
    (void)state;
    char dir[] = "log_test_XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct fixture f = {0};
    mem_set_allocator(&scarce_allocator);
    f.t.opts = (struct raft_log_opts){.segment_size = 64 << 10, .manual = true};
    assert_int_equal(raft_log_open(dir, &f.t.opts, &f.diag, &f.t.log), ERR_OK);
    uint64_t last[3] = {0};
    for (unsigned budget = 0; budget < 60; budget++) {
        uint64_t group = 1 + budget / 20;
        struct raft_log_batch *b = t_batch_new(&f.t);
        assert_int_equal(add_entries(b, group, last[group - 1] + 1, 10, budget + 1, 100), ERR_OK);
        unsigned ok = f.done_ok;
        submit(&f, b);
        scarce_left = budget % 20;
        t_log_pump(&f.t);
        scarce_left = SCARCE_NEVER;
        last[group - 1] += f.done_ok > ok ? 10 : 0;
        struct raft_log_group g = {0};
        db_err err = raft_log_group_get(f.t.log, group, &g);
        assert_int_equal(g.last_index, last[group - 1]);
        assert_true(err == ERR_OK || last[group - 1] == 0);
    }
    assert_true(f.done_nomem > 3);
    assert_true(f.done_ok > 20);
    assert_int_equal(f.t.fatal, 0);
    raft_log_close(f.t.log);
    mem_set_allocator(NULL);
    assert_int_equal(disk_list(disk_real(), dir, unlink_in, dir), ERR_OK);
    assert_int_equal(disk_rmdir(disk_real(), dir), ERR_OK);
}

static void bad_options(void **state)
{
    (void)state;
    struct raft_log *log = NULL;
    struct diag d;
    const uint64_t sizes[] = {1, 4096, 65537, 2ull << 30};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        const struct raft_log_opts o = {.segment_size = sizes[i]};
        assert_int_equal(raft_log_open("nowhere", &o, &d, &log), ERR_INVALID);
    }
    assert_int_equal(raft_log_open("does-not-exist", NULL, &d, &log), ERR_NOT_FOUND);
    assert_null(log);
}

static void the_segment_size_may_change(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, true, 0);
    append(&f, 1, 1, 100, 1, 300);
    f.t.opts.segment_size = 128 << 10;
    t_log_reopen(&f.t);
    append(&f, 1, 101, 200, 1, 300);
    f.t.opts.segment_size = 64 << 10;
    t_log_reopen(&f.t);
    append(&f, 1, 301, 100, 1, 300);
    read_all(&f, 1, 1, 401, 5000, 1);
    t_log_fini(&f.t);
}

/* ---- threads and loops */

static void wait_for(_Atomic unsigned *v, unsigned want)
{
    uint64_t until = clock_mono_ns() + 60 * NS_PER_S;
    while (*v < want) {
        assert_true(clock_mono_ns() < until);
        (void)usleep(200);
    }
}

static void an_idle_log_proves_its_end(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, false, 0);
    append(&f, 1, 1, 10, 1, 100);
    wait_for(&f.done_ok, 1);
    uint64_t until = clock_mono_ns() + 60 * NS_PER_S;
    while (!t_log_is_marked(&f.t) && clock_mono_ns() < until) {
        (void)usleep(10000);
    }
    disk_sim_kill_process(f.t.disk);
    raft_log_close(f.t.log);
    char path[] = "/log/0000000000000001.seg";
    uint64_t off = LOG_DATA_START + 40;
    assert_int_equal(disk_sim_flip_bit(f.t.disk, path, off, 1), ERR_OK);
    struct diag d;
    assert_int_equal(raft_log_open("/log", &f.t.opts, &d, &f.t.log), ERR_CORRUPT);
    assert_non_null(strstr(d.text, "offset 4096"));
    assert_int_equal(disk_sim_flip_bit(f.t.disk, path, off, 1), ERR_OK);
    t_log_open(&f.t);
    read_all(&f, 1, 1, 11, 1000, 1);
    t_log_fini(&f.t);
}

struct producer {
    struct fixture *f;
    uint64_t group;
    unsigned rounds;
    _Atomic unsigned done; /* batches that are durable */
    _Atomic bool ended;    /* touches the log no more */
    struct loop *loop;
};

static void produced(void *arg, db_err err)
{
    struct producer *p = arg;
    CHECK_OK(err);
    CHECK(loop_current() == p->loop);
    p->done++;
}

static void produce(struct producer *p)
{
    for (unsigned i = 0; i < p->rounds; i++) {
        struct raft_log_batch *b = NULL;
        CHECK_OK(raft_log_batch_new(p->f->t.log, 0, &b));
        CHECK_OK(add_entries(b, p->group, i * 5 + 1, 5, 1, 100));
        CHECK_OK(raft_log_batch_hard_state(b, p->group, (struct raft_log_hard_state){1, 1, i}));
        raft_log_submit(p->f->t.log, b, produced, p);
        if (i % 50 == 49) { /* keep the group from running far ahead, as a window does */
            while (p->done + 60 < i) {
                if (fiber_self() != NULL) {
                    CHECK_OK(fiber_sleep(NS_PER_MS));
                } else {
                    (void)usleep(500);
                }
            }
            struct raft_log_group g = {0};
            bool known = p->done != 0;
            db_err err = raft_log_group_get(p->f->t.log, p->group, &g);
            CHECK(err == ERR_OK || !known);
            /* nobody is told of its end: rounds that follow it are, so the last makes none */
            if (g.last_index > 100 + g.compacted_index && i + 1 < p->rounds) {
                t_compact(p->f->t.log, p->group, g.last_index - 100, 1);
            }
        }
    }
    while (p->done < p->rounds) {
        if (fiber_self() != NULL) {
            CHECK_OK(fiber_sleep(NS_PER_MS));
        } else {
            (void)usleep(500);
        }
    }
    p->ended = true;
}

static void *produce_thread(void *arg)
{
    produce(arg);
    return NULL;
}

static void produce_fiber(void *arg)
{
    produce(arg);
}

static _Atomic bool reader_stop;

static void *read_thread(void *arg)
{
    struct fixture *f = arg;
    struct arena a;
    struct diag d;
    arena_init(&a, NULL, NULL, 0);
    for (uint64_t n = 0; !reader_stop; n++) {
        struct raft_log_group g;
        struct raft_log_page p;
        uint64_t group = 1 + n % 4;
        if (raft_log_group_get(f->t.log, group, &g) != ERR_OK || g.first_index > g.last_index) {
            continue;
        }
        uint64_t lo = g.first_index + n % (g.last_index - g.first_index + 1);
        db_err err = raft_log_entries(f->t.log, group, lo, g.last_index + 1, 2000,
                                      RAFT_LOG_READ_ANY, &a, &d, &p);
        CHECK(err == ERR_OK || err == ERR_NOT_FOUND); /* compacted in between */
        for (size_t i = 0; err == ERR_OK && i < p.count; i++) {
            uint64_t head = 0;
            memcpy(&head, p.entries[i].data.ptr, sizeof(head));
            CHECK(head == lo + i && p.entries[i].index == lo + i);
        }
        struct raft_log_holder h[2];
        struct raft_log_stats st;
        size_t count = 0;
        raft_log_oldest(f->t.log, h, 2, &count);
        raft_log_stats(f->t.log, &st);
        err = n % 8 == 0 ? raft_log_repeat(f->t.log, group, 1 << 20, NULL, NULL, &d) : ERR_OK;
        CHECK(err == ERR_OK || err == ERR_NOT_FOUND || err == ERR_LIMIT);
        arena_reset(&a);
    }
    arena_fini(&a);
    return NULL;
}

static void producers_and_readers(unsigned writers, unsigned rounds)
{
    struct fixture f;
    struct producer p[4];
    pthread_t threads[2];
    pthread_t reader;
    struct loop_group *loops = NULL;
    setup(&f, false, 0);
    f.t.opts.cache_size = 30000;
    f.t.opts.writers = writers;
    t_log_reopen(&f.t);
    const struct loop_group_opts lo = {.count = 2};
    assert_int_equal(loop_group_start(&lo, &loops), ERR_OK);
    reader_stop = false;
    assert_int_equal(pthread_create(&reader, NULL, read_thread, &f), 0);
    for (unsigned i = 0; i < 4; i++) {
        p[i].f = &f;
        p[i].group = i + 1;
        p[i].rounds = rounds;
        p[i].done = 0;
        p[i].ended = false;
        p[i].loop = i < 2 ? NULL : loop_group_get(loops, i - 2);
        if (i < 2) {
            assert_int_equal(pthread_create(&threads[i], NULL, produce_thread, &p[i]), 0);
        } else {
            assert_int_equal(fiber_spawn(p[i].loop, produce_fiber, &p[i]), ERR_OK);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (unsigned i = 2; i < 4; i++) {
        while (!p[i].ended) {
            (void)usleep(500);
        }
    }
    reader_stop = true;
    (void)pthread_join(reader, NULL);
    for (int life = 0; life < 2; life++) {
        for (uint64_t g = 1; g <= 4; g++) {
            struct raft_log_group info = info_of(&f, g);
            assert_int_equal(info.last_index, rounds * 5);
            assert_int_equal(info.hard_state.commit, rounds - 1);
            read_all(&f, g, info.first_index, rounds * 5 + 1, 3000, 1);
        }
        t_log_reopen(&f.t);
    }
    loop_group_stop(
        loops); /* the log that posted to them is closed: nobody touches them any more */
    struct raft_log_stats st;
    raft_log_stats(f.t.log, &st);
    assert_true(st.oldest_segment > 1);
    t_log_fini(&f.t);
}

static void two_writers(void **state)
{
    (void)state;
    producers_and_readers(2, 1500);
}

static void one_and_four_writers(void **state)
{
    (void)state;
    producers_and_readers(1, 500);
    producers_and_readers(4, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_overwrite_and_read),
        cmocka_unit_test(hard_state_reset_compact_remove),
        cmocka_unit_test(contradictions_are_refused_whole),
        cmocka_unit_test(empty_and_large_entries),
        cmocka_unit_test(cache_and_disk),
        cmocka_unit_test(segments_go_round),
        cmocka_unit_test(an_idle_group_is_named),
        cmocka_unit_test(an_idle_group_is_repeated),
        cmocka_unit_test(a_repeat_comes_between),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_write_without_space),
        cmocka_unit_test(a_failed_sync_is_fatal),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(the_segment_size_may_change),
        cmocka_unit_test(an_idle_log_proves_its_end),
        cmocka_unit_test(two_writers),
        cmocka_unit_test(one_and_four_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
