#include "sql/storage/conformance_int.h"

/* Scans: order, bounds, both directions, own writes merged, and a random walk against a model. */

enum { MODEL = 600 };

struct model {
    bool there[MODEL];
    uint32_t value[MODEL];
};

static uint64_t key_number(struct slice key)
{
    uint64_t n = 0;
    for (size_t i = key.len - 8; i < key.len; i++) {
        n = n << 8 | key.ptr[i];
    }
    return n;
}

/* Reads [lo, hi) through a scan and compares with the model. */
static void check_scan(struct conf *c, struct storage_txn *t, const struct model *m, uint64_t lo,
                       uint64_t hi, struct storage_scan_opts opts)
{
    struct storage_scan *scan;
    opts.start = conf_key_n(c, lo);
    opts.end = conf_key_n(c, hi);
    CHECK_OK(storage_scan_open(t, &opts, &c->diag, &scan));
    uint64_t at = opts.reverse ? hi : lo;
    for (;;) {
        const struct storage_kv *rows;
        size_t count;
        CHECK_OK(storage_scan_next(scan, &c->diag, &rows, &count));
        CHECK(opts.batch_rows == 0 || count <= opts.batch_rows);
        if (count == 0) {
            break;
        }
        for (size_t i = 0; i < count; i++) {
            uint64_t n = key_number(rows[i].key);
            CHECK(slice_eq(rows[i].key, conf_key_n(c, n)));
            if (opts.reverse) {
                CHECK(n < at && n >= lo);
                for (uint64_t k = n + 1; k < at; k++) {
                    CHECK(!m->there[k]);
                }
                at = n;
            } else {
                CHECK(n >= at && n < hi);
                for (uint64_t k = at; k < n; k++) {
                    CHECK(!m->there[k]);
                }
                at = n + 1;
            }
            CHECK(m->there[n]);
            CHECK(opts.keys_only
                      ? rows[i].value.len == 0
                      : rows[i].value.len == 4 && memcmp(rows[i].value.ptr, &m->value[n], 4) == 0);
        }
    }
    for (uint64_t k = opts.reverse ? lo : at; k < (opts.reverse ? at : hi); k++) {
        CHECK(!m->there[k]);
    }
    storage_scan_close(scan);
}

static void check_all_scans(struct conf *c, struct storage_txn *t, const struct model *m)
{
    static const uint64_t bounds[][2] = {{0, MODEL}, {10, 11}, {100, 500}, {599, 600}, {300, 300}};
    for (size_t i = 0; i < ARRAY_COUNT(bounds); i++) {
        for (int way = 0; way < 8; way++) {
            struct storage_scan_opts opts = {.reverse = (way & 1) != 0,
                                             .keys_only = (way & 2) != 0,
                                             .batch_rows = (way & 4) != 0 ? 7 : 0};
            check_scan(c, t, m, bounds[i][0], bounds[i][1], opts);
            if (c->failed) {
                return;
            }
        }
    }
}

/* Under each key as a whole, and under what 256 of them have in common: never a false "no".
 * *ret_absent: how many keys it says are not there. */
static void check_any_under(struct conf *c, struct storage_txn *t, const struct model *m,
                            unsigned *ret_absent)
{
    enum { GROUPS = MODEL / 256 + 1 };
    struct slice prefixes[MODEL];
    bool any[MODEL];
    bool group_there[GROUPS] = {false};
    struct slice groups[GROUPS];
    for (uint64_t n = 0; n < MODEL; n++) {
        prefixes[MODEL - 1 - n] = conf_key_n(c, n);
        group_there[n / 256] = group_there[n / 256] || m->there[n];
    }
    for (uint64_t g = 0; g < GROUPS; g++) {
        groups[g] = conf_key_n(c, g * 256);
        groups[g].len--;
    }
    *ret_absent = 0;
    CHECK_OK(storage_any_under(t, prefixes, MODEL, &c->arena, &c->diag, any));
    for (uint64_t n = 0; n < MODEL; n++) {
        CHECK(any[MODEL - 1 - n] || !m->there[n]);
        *ret_absent += !any[MODEL - 1 - n];
    }
    CHECK_OK(storage_any_under(t, groups, GROUPS, &c->arena, &c->diag, any));
    for (unsigned g = 0; g < GROUPS; g++) {
        CHECK(any[g] || !group_there[g]);
    }
}

static db_err model_put(struct conf *c, struct storage_txn *t, struct model *m, uint64_t n,
                        uint32_t value)
{
    m->there[n] = true;
    m->value[n] = value;
    return storage_put(t, conf_key_n(c, n), slice_of(&value, 4), 0, &c->diag);
}

static db_err model_del(struct conf *c, struct storage_txn *t, struct model *m, uint64_t n)
{
    m->there[n] = false;
    return storage_del(t, conf_key_n(c, n), 0, &c->diag);
}

static void case_scan_committed(struct conf *c)
{
    struct model m = {0};
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    for (uint64_t n = 0; n < MODEL; n += 3) {
        CHECK_OK(model_put(c, t, &m, n, (uint32_t)n));
    }
    check_all_scans(c, t, &m); /* all of it in the buffer */
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    check_all_scans(c, t, &m);
    unsigned absent = 0;
    check_any_under(c, t, &m, &absent);
    CHECK(absent > MODEL / 2 || !storage_caps(c->s).distributed);
    storage_txn_rollback(t);
}

static void case_scan_merge(struct conf *c)
{
    struct model m = {0};
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    for (uint64_t n = 0; n < MODEL; n += 2) {
        CHECK_OK(model_put(c, t, &m, n, (uint32_t)n));
    }
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    struct model before = m;
    for (uint64_t n = 0; n < MODEL; n += 5) {
        CHECK_OK(n % 3 == 0 ? model_del(c, t, &m, n) : model_put(c, t, &m, n, (uint32_t)n + 7));
    }
    check_all_scans(c, t, &m);
    struct storage_txn *other = conf_begin(c, STORAGE_REPEATABLE_READ);
    check_all_scans(c, other, &before);
    storage_txn_rollback(other);
    storage_txn_rollback(t);
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    check_all_scans(c, t, &before);
    storage_txn_rollback(t);
}

/* Reads rows and writes the very rows it reads, as an UPDATE does. */
static void case_scan_while_writing(struct conf *c)
{
    struct model m = {0};
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    for (uint64_t n = 0; n < MODEL; n++) {
        CHECK_OK(model_put(c, t, &m, n, 1));
    }
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    struct storage_scan_opts opts = {.start = conf_key_n(c, 0),
                                     .end = conf_end(c),
                                     .mode = STORAGE_READ_EXCLUSIVE,
                                     .batch_rows = 50};
    struct storage_scan *scan;
    CHECK_OK(storage_scan_open(t, &opts, &c->diag, &scan));
    size_t seen = 0;
    for (;;) {
        const struct storage_kv *rows;
        size_t count;
        CHECK_OK(storage_scan_next(scan, &c->diag, &rows, &count));
        for (size_t i = 0; i < count; i++, seen++) {
            uint32_t v = 2;
            m.value[key_number(rows[i].key)] = 2;
            CHECK_OK(storage_put(t, rows[i].key, slice_of(&v, 4), STORAGE_W_LOCKED, &c->diag));
        }
        if (count == 0) {
            break;
        }
    }
    storage_scan_close(scan);
    CHECK(seen == MODEL);
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    check_all_scans(c, t, &m);
    storage_txn_rollback(t);
}

/* A row of its own, read in each way, is still what it was when many others have been written. */
static void case_scan_rows_stay(struct conf *c)
{
    enum { SIZE = 300, OTHERS = 400 };
    uint8_t value[SIZE];
    uint8_t other[SIZE];
    struct storage_scan_opts opts = {.start = conf_key_n(c, 0), .end = conf_key_n(c, 1)};
    struct slice key = conf_key_n(c, 0);
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    struct storage_scan *scan;
    const struct storage_kv *rows;
    struct slice got, many;
    size_t count;
    bool found, many_found;
    memset(value, 'v', SIZE);
    CHECK_OK(storage_put(t, key, slice_of(value, SIZE), 0, &c->diag));
    CHECK_OK(
        storage_get(t, key, STORAGE_READ_PLAIN, STORAGE_WAIT, &c->arena, &c->diag, &found, &got));
    CHECK_OK(storage_multi_get(t, &key, 1, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &c->arena,
                               &c->diag, &many_found, &many));
    CHECK_OK(storage_scan_open(t, &opts, &c->diag, &scan));
    CHECK_OK(storage_scan_next(scan, &c->diag, &rows, &count));
    for (uint64_t n = 1; n <= OTHERS; n++) {
        memset(other, (int)n, SIZE);
        CHECK_OK(
            storage_put(t, conf_key_n(c, n), slice_of(other, SIZE), STORAGE_W_BLIND, &c->diag));
    }
    CHECK(found && slice_eq(got, slice_of(value, SIZE)));
    CHECK(many_found && slice_eq(many, slice_of(value, SIZE)));
    CHECK(count == 1 && slice_eq(rows->key, key));
    CHECK(slice_eq(rows->value, slice_of(value, SIZE)));
    storage_scan_close(scan);
    storage_txn_rollback(t);
}

static void case_scan_limit(struct conf *c)
{
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    for (uint64_t n = 0; n < 100; n++) {
        CHECK_OK(storage_put(t, conf_key_n(c, n), SLICE_LIT("v"), STORAGE_W_BLIND, &c->diag));
    }
    CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    t = conf_begin(c, STORAGE_REPEATABLE_READ);
    for (int reverse = 0; reverse < 2; reverse++) {
        struct storage_scan_opts opts = {
            .start = conf_key_n(c, 0), .end = conf_end(c), .reverse = reverse != 0, .limit = 1};
        struct storage_scan *scan;
        const struct storage_kv *rows;
        size_t count;
        CHECK_OK(storage_scan_open(t, &opts, &c->diag, &scan));
        CHECK_OK(storage_scan_next(scan, &c->diag, &rows, &count));
        CHECK(count >= 1 && key_number(rows[0].key) == (reverse ? 99 : 0));
        storage_scan_close(scan);
    }
    /* the hint does not end the scan */
    struct storage_scan_opts opts = {.start = conf_key_n(c, 0), .end = conf_end(c), .limit = 3};
    struct storage_scan *scan;
    size_t total = 0;
    CHECK_OK(storage_scan_open(t, &opts, &c->diag, &scan));
    for (;;) {
        const struct storage_kv *rows;
        size_t count;
        CHECK_OK(storage_scan_next(scan, &c->diag, &rows, &count));
        if (count == 0) {
            break;
        }
        total += count;
    }
    storage_scan_close(scan);
    CHECK(total == 100);
    storage_txn_rollback(t);
}

static void case_scan_big_rows(struct conf *c)
{
    enum { N = 40, SIZE = 200000 };
    uint8_t *value = arena_calloc(&c->arena, 1, SIZE);
    CHECK(value != NULL);
    for (uint64_t n = 0; n < N; n++) {
        memset(value, (int)n, SIZE);
        CHECK_OK(conf_put(c, conf_key_n(c, n), slice_of(value, SIZE)));
    }
    struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
    struct storage_scan_opts opts = {.start = conf_key_n(c, 0), .end = conf_end(c)};
    struct storage_scan *scan;
    CHECK_OK(storage_scan_open(t, &opts, &c->diag, &scan));
    uint64_t n = 0;
    for (;;) {
        const struct storage_kv *rows;
        size_t count;
        CHECK_OK(storage_scan_next(scan, &c->diag, &rows, &count));
        if (count == 0) {
            break;
        }
        for (size_t i = 0; i < count; i++, n++) {
            CHECK(key_number(rows[i].key) == n && rows[i].value.len == SIZE);
            CHECK(rows[i].value.ptr[0] == n && rows[i].value.ptr[SIZE - 1] == n);
        }
    }
    CHECK(n == N);
    storage_scan_close(scan);
    storage_txn_rollback(t);
}

static void case_scan_random(struct conf *c)
{
    struct model committed = {0};
    for (int round = 0; round < 12; round++) {
        struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
        struct model m = committed;
        struct model saved = m;
        uint64_t savepoint;
        CHECK_OK(storage_txn_savepoint(t, &savepoint));
        for (int op = 0; op < 200; op++) {
            uint64_t n = rand_below(&c->rand, MODEL);
            uint64_t what = rand_below(&c->rand, 100);
            if (what < 55) {
                CHECK_OK(model_put(c, t, &m, n, (uint32_t)rand_u64(&c->rand)));
            } else if (what < 90) {
                CHECK_OK(model_del(c, t, &m, n));
            } else if (what < 95) {
                CHECK_OK(storage_txn_rollback_to(t, savepoint));
                m = saved;
            } else {
                CHECK_OK(storage_txn_savepoint(t, &savepoint));
                saved = m;
            }
        }
        check_all_scans(c, t, &m);
        unsigned ignored;
        check_any_under(c, t, &m, &ignored);
        if (rand_below(&c->rand, 4) == 0) {
            storage_txn_rollback(t);
        } else {
            CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
            committed = m;
        }
        if (c->failed) {
            return;
        }
    }
}

const struct conf_row conf_scan_cases[] = {
    {"scan_committed", case_scan_committed},
    {"scan_merge", case_scan_merge},
    {"scan_while_writing", case_scan_while_writing},
    {"scan_rows_stay", case_scan_rows_stay},
    {"scan_limit", case_scan_limit},
    {"scan_big_rows", case_scan_big_rows},
    {"scan_random", case_scan_random},
    {NULL, NULL},
};
