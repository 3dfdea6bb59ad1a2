#include "sql/storage/conformance_int.h"

/* Reads, writes, snapshots, savepoints, inserts, sequences. */

#define V(text) SLICE_LIT(text)

static void case_put_get_commit(struct conf *c)
{
    struct slice a = conf_key(c, "a");
    struct slice b = conf_key(c, "b");
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    CHECK(t != NULL && !storage_txn_has_writes(t));
    CHECK_OK(storage_put(t, a, V("1"), 0, &c->diag));
    CHECK_OK(storage_put(t, b, V(""), 0, &c->diag));
    CHECK(storage_txn_has_writes(t));
    CHECK(conf_absent(c, a));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("1")));
    CHECK(conf_sees(c, t, STORAGE_READ_EXCLUSIVE, b, V("")));
    uint64_t ts = 0;
    CHECK_OK(storage_txn_commit(t, &c->diag, &ts));
    CHECK(ts != 0);
    CHECK(conf_has(c, a, V("1")) && conf_has(c, b, V("")));

    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    CHECK_OK(storage_del(t, a, 0, &c->diag));
    CHECK(conf_sees_none(c, t, a));
    CHECK_OK(storage_put(t, b, V("2"), 0, &c->diag));
    storage_txn_rollback(t);
    CHECK(conf_has(c, a, V("1")) && conf_has(c, b, V("")));

    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    CHECK_OK(storage_del(t, a, 0, &c->diag));
    CHECK_OK(storage_put(t, a, V("3"), 0, &c->diag));
    CHECK_OK(storage_del(t, a, 0, &c->diag));
    CHECK_OK(storage_del(t, conf_key(c, "never"), 0, &c->diag));
    CHECK_OK(storage_txn_commit(t, &c->diag, &ts));
    CHECK(conf_absent(c, a));
}

static void case_values(struct conf *c)
{
    size_t len = 1 << 20;
    uint8_t *big = arena_alloc(&c->arena, len);
    CHECK(big != NULL);
    memset(big, 0xa5, len);
    struct slice k = conf_key(c, "big");
    CHECK_OK(conf_put(c, k, slice_of(big, len)));
    CHECK(conf_has(c, k, slice_of(big, len)));
    struct slice bin = conf_key_n(c, 0xff00ff0000000001ull);
    CHECK_OK(conf_put(c, bin, slice_of("\0\xff\0", 3)));
    CHECK(conf_has(c, bin, slice_of("\0\xff\0", 3)));

    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    uint8_t *long_key = arena_calloc(&c->arena, 1, STORAGE_KEY_SIZE_MAX + 1);
    CHECK(long_key != NULL);
    CHECK_ERR(storage_put(t, slice_of(long_key, STORAGE_KEY_SIZE_MAX + 1), V("x"), 0, &c->diag),
              ERR_LIMIT);
    storage_txn_rollback(t);
}

static void case_repeatable_read(struct conf *c)
{
    struct slice a = conf_key(c, "a");
    struct slice b = conf_key(c, "b");
    CHECK_OK(conf_put(c, a, V("1")));
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("1")));
    CHECK_OK(conf_put(c, a, V("2")));
    CHECK_OK(conf_put(c, b, V("2")));
    CHECK_OK(storage_txn_stmt_begin(t, &c->diag));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("1")));
    CHECK(conf_sees_none(c, t, b));
    CHECK(conf_sees(c, t, STORAGE_READ_EXCLUSIVE, a, V("2")));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("1")));
    CHECK_OK(storage_put(t, a, V("3"), STORAGE_W_LOCKED, &c->diag));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("3")));
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    CHECK(conf_has(c, a, V("3")));

    /* the snapshot is taken by the first read, or when asked */
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    CHECK_OK(conf_put(c, a, V("4")));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("4")));
    storage_txn_rollback(t);
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    CHECK_OK(storage_txn_take_snapshot(t, &c->diag));
    CHECK_OK(conf_put(c, a, V("5")));
    CHECK_OK(storage_txn_take_snapshot(t, &c->diag));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("4")));
    storage_txn_rollback(t);
}

static void case_read_committed(struct conf *c)
{
    struct slice a = conf_key(c, "a");
    CHECK_OK(conf_put(c, a, V("1")));
    struct storage_txn *t = conf_begin(c, STORAGE_READ_COMMITTED);
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("1")));
    CHECK_OK(conf_put(c, a, V("2")));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("1")));
    CHECK_OK(storage_txn_stmt_begin(t, &c->diag));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("2")));
    storage_txn_rollback(t);
}

static void case_snapshot_conflict(struct conf *c)
{
    struct slice a = conf_key(c, "a");
    struct slice b = conf_key(c, "b");
    CHECK_OK(conf_put(c, a, V("1")));
    CHECK_OK(conf_put(c, b, V("1")));
    struct storage_txn *t = conf_begin(c, STORAGE_SNAPSHOT);
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("1")));
    CHECK_OK(conf_put(c, a, V("2")));
    db_err err = storage_put(t, a, V("3"), 0, &c->diag);
    if (err == ERR_OK) {
        err = storage_txn_commit(t, &c->diag, NULL);
    } else {
        storage_txn_rollback(t);
    }
    CHECK(err == ERR_WRITE_CONFLICT);
    CHECK(conf_has(c, a, V("2")));

    t = conf_begin(c, STORAGE_SNAPSHOT);
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("2")));
    CHECK_OK(storage_put(t, b, V("3"), 0, &c->diag));
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    CHECK(conf_has(c, b, V("3")));
}

static void case_savepoints(struct conf *c)
{
    struct slice a = conf_key(c, "a");
    struct slice b = conf_key(c, "b");
    CHECK_OK(conf_put(c, a, V("0")));
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    uint64_t s0;
    uint64_t s1;
    uint64_t s2;
    CHECK_OK(storage_txn_savepoint(t, &s0));
    CHECK_OK(storage_put(t, a, V("1"), 0, &c->diag));
    CHECK_OK(storage_txn_savepoint(t, &s1));
    CHECK_OK(storage_put(t, a, V("2"), 0, &c->diag));
    CHECK_OK(storage_put(t, a, V("2b"), 0, &c->diag));
    CHECK_OK(storage_put(t, b, V("2"), 0, &c->diag));
    CHECK_OK(storage_txn_savepoint(t, &s2));
    CHECK_OK(storage_del(t, a, 0, &c->diag));
    CHECK_OK(storage_del(t, b, 0, &c->diag));
    CHECK_OK(storage_txn_rollback_to(t, s2));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("2b")));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, b, V("2")));
    CHECK_OK(storage_put(t, b, V("3"), 0, &c->diag));
    CHECK_OK(storage_txn_rollback_to(t, s1));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("1")));
    CHECK(conf_sees_none(c, t, b));
    CHECK_OK(storage_put(t, a, V("4"), 0, &c->diag));
    CHECK_OK(storage_txn_rollback_to(t, s1));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("1")));
    CHECK_OK(storage_txn_rollback_to(t, s0));
    CHECK(conf_sees(c, t, STORAGE_READ_PLAIN, a, V("0")));
    CHECK(!storage_txn_has_writes(t));
    CHECK_OK(storage_put(t, b, V("5"), 0, &c->diag));
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    CHECK(conf_has(c, a, V("0")) && conf_has(c, b, V("5")));
}

static void case_insert(struct conf *c)
{
    struct slice a = conf_key(c, "a");
    struct slice b = conf_key(c, "b");
    struct buf conflict;
    buf_init(&conflict, STORAGE_KEY_SIZE_MAX);
    CHECK_OK(conf_put(c, a, V("1")));
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    t->conflict = &conflict;
    CHECK_ERR(storage_put(t, a, V("x"), STORAGE_W_INSERT, &c->diag), ERR_KEY_EXISTS);
    CHECK(slice_eq(buf_slice(&conflict), a));
    CHECK_OK(storage_put(t, b, V("1"), STORAGE_W_INSERT, &c->diag));
    buf_reset(&conflict);
    CHECK_ERR(storage_put(t, b, V("2"), STORAGE_W_INSERT, &c->diag), ERR_KEY_EXISTS);
    CHECK(slice_eq(buf_slice(&conflict), b));
    CHECK_ERR(storage_put(t, b, V("2"), STORAGE_W_INSERT | STORAGE_W_DEFER, &c->diag),
              ERR_KEY_EXISTS);
    CHECK_OK(storage_del(t, b, 0, &c->diag));
    CHECK_OK(storage_put(t, b, V("3"), STORAGE_W_INSERT, &c->diag));
    CHECK_OK(storage_del(t, a, 0, &c->diag));
    CHECK_OK(storage_put(t, a, V("4"), STORAGE_W_INSERT, &c->diag));
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    CHECK(conf_has(c, a, V("4")) && conf_has(c, b, V("3")));
    buf_fini(&conflict);
}

static void case_insert_deferred(struct conf *c)
{
    struct slice a = conf_key(c, "a");
    struct slice b = conf_key(c, "b");
    struct slice d = conf_key(c, "d");
    const unsigned defer = STORAGE_W_INSERT | STORAGE_W_DEFER;
    struct buf conflict;
    buf_init(&conflict, STORAGE_KEY_SIZE_MAX);
    CHECK_OK(conf_put(c, b, V("1")));

    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    CHECK_OK(storage_put(t, a, V("1"), defer, &c->diag));
    CHECK_OK(storage_put(t, d, V("1"), defer, &c->diag));
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    CHECK(conf_has(c, a, V("1")) && conf_has(c, d, V("1")));

    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    t->conflict = &conflict;
    db_err err = storage_put(t, conf_key(c, "c"), V("2"), defer, &c->diag);
    if (err == ERR_OK) {
        err = storage_put(t, b, V("2"), defer, &c->diag);
    }
    if (err == ERR_OK) {
        err = storage_txn_commit(t, &c->diag, NULL);
    } else {
        storage_txn_rollback(t);
    }
    CHECK(err == ERR_KEY_EXISTS && slice_eq(buf_slice(&conflict), b));
    CHECK(conf_has(c, b, V("1")) && conf_absent(c, conf_key(c, "c")));

    /* a deletion of the inserted row does not undo the insert's demand */
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    err = storage_put(t, b, V("2"), defer, &c->diag);
    if (err == ERR_OK) {
        err = storage_del(t, b, 0, &c->diag);
    }
    if (err == ERR_OK) {
        err = storage_txn_commit(t, &c->diag, NULL);
    } else {
        storage_txn_rollback(t);
    }
    CHECK(err == ERR_KEY_EXISTS && conf_has(c, b, V("1")));

    /* deleted first, then inserted: fine */
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    CHECK_OK(storage_del(t, b, 0, &c->diag));
    CHECK_OK(storage_put(t, b, V("3"), defer, &c->diag));
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    CHECK(conf_has(c, b, V("3")));
    buf_fini(&conflict);
}

static void case_multi_get(struct conf *c)
{
    enum { N = 200 };
    struct slice keys[N + 2];
    bool found[N + 2];
    struct slice values[N + 2];
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    for (uint64_t i = 0; i < N; i += 2) {
        struct slice k = conf_key_n(c, i);
        CHECK_OK(storage_put(t, k, k, 0, &c->diag));
    }
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    CHECK_OK(storage_put(t, conf_key_n(c, 1), V("own"), 0, &c->diag));
    CHECK_OK(storage_del(t, conf_key_n(c, 2), 0, &c->diag));
    for (uint64_t i = 0; i < N; i++) {
        keys[i] = conf_key_n(c, (i * 73) % N);
    }
    keys[N] = keys[0];
    keys[N + 1] = conf_key_n(c, 1);
    for (int mode = STORAGE_READ_PLAIN; mode <= STORAGE_READ_EXCLUSIVE; mode++) {
        CHECK_OK(storage_multi_get(t, keys, N + 2, (enum storage_read_mode)mode, STORAGE_WAIT,
                                   &c->arena, &c->diag, found, values));
        for (uint64_t i = 0; i < N; i++) {
            uint64_t n = (i * 73) % N;
            if (n == 1) {
                CHECK(found[i] && slice_eq(values[i], V("own")));
            } else if (n == 2 || n % 2 == 1) {
                CHECK(!found[i] && values[i].ptr == NULL);
            } else {
                CHECK(found[i] && slice_eq(values[i], keys[i]));
            }
        }
        CHECK(found[N] == found[0] && slice_eq(values[N], values[0]));
        CHECK(found[N + 1] && slice_eq(values[N + 1], V("own")));
    }
    storage_txn_rollback(t);
}

static void case_sequences(struct conf *c)
{
    struct slice k = conf_key(c, "seq");
    uint64_t n;
    CHECK_OK(storage_sequence_next(c->s, k, 0, 1, 1, 0, &c->diag, &n));
    CHECK(n >= 1);
    uint64_t last = n;
    CHECK_OK(storage_sequence_next(c->s, k, 0, 10, 1, 0, &c->diag, &n));
    CHECK(n > last);
    last = n + 9;
    CHECK_OK(storage_sequence_next(c->s, k, last + 100, 1, 1, 0, &c->diag, &n));
    CHECK(n > last + 100);
    last = n;
    CHECK_OK(storage_sequence_next(c->s, k, 0, 3, 10, 7, &c->diag, &n));
    CHECK(n > last && n % 10 == 7);
    last = n + 20;
    CHECK_OK(storage_sequence_raise(c->s, k, last + 5000, &c->diag));
    CHECK_OK(storage_sequence_next(c->s, k, 0, 1, 1, 0, &c->diag, &n));
    CHECK(n > last + 5000);
    last = n;
    uint64_t peeked = 0;
    uint64_t again = 0;
    db_err err = storage_sequence_peek(c->s, k, &c->diag, &peeked);
    CHECK(err == ERR_OK || err == ERR_UNSUPPORTED);
    if (err == ERR_OK) { /* looks and takes nothing */
        CHECK_OK(storage_sequence_peek(c->s, k, &c->diag, &again));
        CHECK(peeked == n + 1 && again == peeked);
    }
    CHECK_OK(storage_sequence_raise(c->s, k, 5, &c->diag));
    CHECK_OK(storage_sequence_next(c->s, k, 0, 1, 1, 0, &c->diag, &n));
    CHECK(n > last);
    uint64_t other;
    CHECK_OK(storage_sequence_next(c->s, conf_key(c, "other"), 0, 1, 1, 0, &c->diag, &other));
    CHECK(other < last);
    CHECK_ERR(
        storage_sequence_next(c->s, conf_key(c, "top"), UINT64_MAX - 1, 2, 1, 0, &c->diag, &other),
        ERR_LIMIT);
}

static void case_delete_range(struct conf *c)
{
    enum { N = 3000 };
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    for (uint64_t i = 0; i < N; i++) {
        CHECK_OK(storage_put(t, conf_key_n(c, i), V("some value"), STORAGE_W_BLIND, &c->diag));
    }
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    uint64_t rows;
    uint64_t bytes;
    CHECK_OK(storage_estimate(c->s, conf_key_n(c, 0), conf_end(c), &rows, &bytes));
    CHECK(rows > 0 && bytes > 0);
    CHECK_OK(storage_delete_range(c->s, conf_key_n(c, 10), conf_key_n(c, N - 10), &c->diag));
    CHECK(conf_has(c, conf_key_n(c, 9), V("some value")));
    CHECK(conf_absent(c, conf_key_n(c, 10)) && conf_absent(c, conf_key_n(c, N - 11)));
    CHECK(conf_has(c, conf_key_n(c, N - 10), V("some value")));
    CHECK_OK(conf_put(c, conf_key_n(c, 500), V("again")));
    CHECK(conf_has(c, conf_key_n(c, 500), V("again")));
}

static void case_memory_limit(struct conf *c)
{
    struct mem_tracker mem;
    mem_tracker_init(&mem, NULL, 1 << 20);
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .mem = &mem};
    struct storage_txn *t;
    CHECK_OK(storage_txn_begin(c->s, &opts, &c->diag, &t));
    uint8_t *value = arena_calloc(&c->arena, 1, 10000);
    db_err err = ERR_OK;
    for (uint64_t i = 0; i < 1000 && err == ERR_OK; i++) {
        err = storage_put(t, conf_key_n(c, i), slice_of(value, 10000),
                          STORAGE_W_INSERT | STORAGE_W_DEFER, &c->diag);
    }
    CHECK(err == ERR_LIMIT);
    CHECK(mem.used > 0);
    storage_txn_rollback(t);
    CHECK(mem.used == 0);
    CHECK(conf_absent(c, conf_key_n(c, 0)));
}

const struct conf_row conf_basic_cases[] = {
    {"put_get_commit", case_put_get_commit},
    {"values", case_values},
    {"repeatable_read", case_repeatable_read},
    {"read_committed", case_read_committed},
    {"snapshot_conflict", case_snapshot_conflict},
    {"savepoints", case_savepoints},
    {"insert", case_insert},
    {"insert_deferred", case_insert_deferred},
    {"multi_get", case_multi_get},
    {"sequences", case_sequences},
    {"delete_range", case_delete_range},
    {"memory_limit", case_memory_limit},
    {NULL, NULL},
};
