/* Queries with fragments must answer as without: an engine over a storage that hands a fragment's
 * keys out in pieces of random size, some to be run by the statement, the others encoded, decoded
 * and run by pushdown_run over a snapshot of their own. */
#include "base/test_main.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/loop.h"
#include "base/rand.h"
#include "sql/pushdown/pushdown.h"
#include "sql/storage/mem/mem.h"
#include "sql/test_sink.h"

enum { ROWS = 700, ROUNDS = 6, CUT_ROWS_MAX = 90 };

/* ---- the storage ---- */

static struct storage *g_mem;
static struct storage g_storage; /* the in-memory storage, with fragments */
static struct rand g_rand;
static unsigned g_pages, g_here, g_refused;

struct pieces {
    struct storage_scan base;
    struct storage_txn *txn;
    struct arena arena;
    struct buf plan, page;
    const struct storage_span *spans;
    size_t count, at;
    struct slice pos;
};

struct outer_txn {
    struct storage_txn base;
    struct storage_txn *in;
};

static struct storage_txn *in_of(const struct storage_txn *t)
{
    struct storage_txn *in = CONTAINER_OF(t, const struct outer_txn, base)->in;
    in->conflict = t->conflict;
    return in;
}

static struct storage_caps t_caps(struct storage *s)
{
    (void)s;
    return storage_caps(g_mem);
}

static db_err t_begin(struct storage *s, const struct storage_txn_opts *opts, struct diag *diag,
                      struct storage_txn **ret_txn)
{
    struct outer_txn *t = mem_calloc(1, sizeof(*t));
    t->base.ops = s->ops;
    CHECK_OK(storage_txn_begin(g_mem, opts, diag, &t->in));
    *ret_txn = &t->base;
    return ERR_OK;
}

static db_err t_stmt_begin(struct storage_txn *t, struct diag *diag)
{
    return storage_txn_stmt_begin(in_of(t), diag);
}

static db_err t_take_snapshot(struct storage_txn *t, struct diag *diag)
{
    return storage_txn_take_snapshot(in_of(t), diag);
}

static db_err t_commit(struct storage_txn *t, struct diag *diag, uint64_t *ret_ts)
{
    struct storage_txn *in = in_of(t);
    mem_free(t);
    return storage_txn_commit(in, diag, ret_ts);
}

static void t_rollback(struct storage_txn *t)
{
    storage_txn_rollback(in_of(t));
    mem_free(t);
}

static db_err t_savepoint(struct storage_txn *t, uint64_t *ret)
{
    return storage_txn_savepoint(in_of(t), ret);
}

static db_err t_rollback_to(struct storage_txn *t, uint64_t savepoint)
{
    return storage_txn_rollback_to(in_of(t), savepoint);
}

static bool t_has_writes(const struct storage_txn *t)
{
    return storage_txn_has_writes(in_of(t));
}

static db_err t_get(struct storage_txn *t, struct slice key, enum storage_read_mode mode,
                    enum storage_wait wait, struct arena *arena, struct diag *diag, bool *found,
                    struct slice *value)
{
    return storage_get(in_of(t), key, mode, wait, arena, diag, found, value);
}

static db_err t_multi_get(struct storage_txn *t, const struct slice *keys, size_t count,
                          enum storage_read_mode mode, enum storage_wait wait, struct arena *arena,
                          struct diag *diag, bool *found, struct slice *values)
{
    return storage_multi_get(in_of(t), keys, count, mode, wait, arena, diag, found, values);
}

static db_err t_scan_open(struct storage_txn *t, const struct storage_scan_opts *opts,
                          struct diag *diag, struct storage_scan **ret)
{
    return storage_scan_open(in_of(t), opts, diag, ret);
}

static db_err t_put(struct storage_txn *t, struct slice key, struct slice value, unsigned flags,
                    struct diag *diag)
{
    return storage_put(in_of(t), key, value, flags, diag);
}

static db_err t_del(struct storage_txn *t, struct slice key, unsigned flags, struct diag *diag)
{
    return storage_del(in_of(t), key, flags, diag);
}

static db_err t_lock(struct storage_txn *t, const struct slice *keys, size_t count,
                     enum storage_read_mode mode, enum storage_wait wait, struct diag *diag)
{
    return storage_lock(in_of(t), keys, count, mode, wait, diag);
}

static db_err t_sequence_next(struct storage *s, struct slice key, uint64_t floor, uint64_t count,
                              uint64_t step, uint64_t offset, struct diag *diag, uint64_t *ret)
{
    (void)s;
    return storage_sequence_next(g_mem, key, floor, count, step, offset, diag, ret);
}

static db_err t_sequence_raise(struct storage *s, struct slice key, uint64_t value,
                               struct diag *diag)
{
    (void)s;
    return storage_sequence_raise(g_mem, key, value, diag);
}

static db_err t_delete_range(struct storage *s, struct slice start, struct slice end,
                             struct diag *diag)
{
    (void)s;
    return storage_delete_range(g_mem, start, end, diag);
}

static db_err t_estimate(struct storage *s, struct slice start, struct slice end, uint64_t *rows,
                         uint64_t *bytes)
{
    (void)s;
    return storage_estimate(g_mem, start, end, rows, bytes);
}

static db_err open_pieces(struct storage_txn *t, const struct storage_fragment *fragment,
                          const struct storage_span *spans, size_t count, bool always, bool eager,
                          struct diag *diag, struct storage_scan **ret_scan)
{
    (void)eager;
    (void)diag;
    if (!always || storage_txn_has_writes(t)) {
        return ERR_OK;
    }
    struct pieces *p = mem_calloc(1, sizeof(*p));
    p->base.ops = t->ops;
    p->txn = t;
    arena_init(&p->arena, NULL, NULL, 0);
    buf_init(&p->plan, PUSHDOWN_PLAN_MAX);
    buf_init(&p->page, PUSHDOWN_PAGE_MAX);
    p->spans = spans; /* the statement's, which outlives this */
    p->count = count;
    p->pos = spans[0].start;
    CHECK_OK(pushdown_encode(fragment, &p->plan));
    *ret_scan = &p->base;
    return ERR_OK;
}

/* The key after so many rows of the span; false: it has no more. */
static bool cut_after(struct pieces *p, uint64_t rows, struct slice *ret)
{
    struct storage_scan_opts opts = {
        .start = p->pos, .end = p->spans[p->at].end, .batch_rows = 1, .mode = STORAGE_READ_PLAIN};
    struct storage_scan *scan;
    const struct storage_kv *kv;
    size_t n = 1;
    bool found = false;
    CHECK_OK(storage_scan_open(p->txn, &opts, NULL, &scan));
    for (uint64_t i = 0; i <= rows && n != 0; i++) {
        CHECK_OK(storage_scan_next(scan, NULL, &kv, &n));
        if (i == rows && n != 0) {
            CHECK_OK(arena_copy(&p->arena, kv[0].key, ret));
            found = true;
        }
    }
    storage_scan_close(scan);
    return found;
}

static db_err next_piece(struct storage_scan *base, struct diag *diag,
                         struct storage_piece *ret_piece, bool *ret_end)
{
    struct pieces *p = CONTAINER_OF(base, struct pieces, base);
    (void)diag;
    *ret_end = p->at == p->count;
    if (*ret_end) {
        return ERR_OK;
    }
    struct storage_span span = {p->pos, p->spans[p->at].end};
    struct slice next;
    if (cut_after(p, rand_below(&g_rand, CUT_ROWS_MAX), &next)) {
        span.end = next;
        p->pos = next;
    } else if (++p->at < p->count) {
        p->pos = p->spans[p->at].start;
    }
    *ret_piece = (struct storage_piece){.here = rand_below(&g_rand, 3) == 0, .span = span};
    if (slice_eq(span.start, span.end)) {
        ret_piece->here = false;
        ret_piece->page = SLICE_EMPTY;
        return ERR_OK;
    }
    if (!ret_piece->here) {
        struct pushdown_job job = {
            .plan = buf_slice(&p->plan), .storage = g_mem, .span = span, .bytes_max = SIZE_MAX};
        struct diag quiet;
        bool complete;
        diag_reset(&quiet);
        buf_reset(&p->page);
        db_err err = pushdown_run(&job, &quiet, &p->page, &complete);
        g_refused += err == ERR_UNSUPPORTED;
        ret_piece->here = err == ERR_UNSUPPORTED;
        CHECK(err == ERR_OK || ret_piece->here);
        ret_piece->page = buf_slice(&p->page);
    }
    g_pages += !ret_piece->here;
    g_here += ret_piece->here;
    return ERR_OK;
}

static void close_pieces(struct storage_scan *base)
{
    struct pieces *p = CONTAINER_OF(base, struct pieces, base);
    buf_fini(&p->plan);
    buf_fini(&p->page);
    arena_fini(&p->arena);
    mem_free(p);
}

static const struct storage_ops g_ops = {
    .name = "pieces",
    .caps = t_caps,
    .txn_begin = t_begin,
    .txn_stmt_begin = t_stmt_begin,
    .txn_take_snapshot = t_take_snapshot,
    .txn_commit = t_commit,
    .txn_rollback = t_rollback,
    .txn_savepoint = t_savepoint,
    .txn_rollback_to = t_rollback_to,
    .txn_has_writes = t_has_writes,
    .get = t_get,
    .multi_get = t_multi_get,
    .scan_open = t_scan_open,
    .put = t_put,
    .del = t_del,
    .lock = t_lock,
    .sequence_next = t_sequence_next,
    .sequence_raise = t_sequence_raise,
    .delete_range = t_delete_range,
    .estimate = t_estimate,
    .fragment_open = open_pieces,
    .fragment_next = next_piece,
    .fragment_close = close_pieces,
};

/* ---- the client ---- */

static struct buf g_text;

static void put_row(struct test_sink *t, const struct sql_rows *rows, uint32_t row)
{
    for (uint32_t i = 0; i < t->columns; i++) {
        test_sink_cell(&g_text, rows, row, i);
        CHECK_OK(buf_append_u8(&g_text, i + 1 < t->columns ? ',' : '\n'));
    }
}

static void query(struct sql_session *s, const char *sql)
{
    struct test_sink t = {.on_row = put_row};
    test_sink_query(&t, s, slice_str(sql));
    if (t.errors != 0) {
        CHECK_OK(buf_printf(&g_text, "ERROR %u: %s\n", t.error, t.error_text));
    } else {
        CHECK_OK(buf_printf(&g_text, "warnings %u\n", t.warnings));
    }
}

/* ---- the data and the questions ---- */

static void make_table(struct sql_session *s)
{
    static const char *const texts[] = {
        "NULL",       "'Alpha'", "'alpha'", "'beta'", "'a text of more than twelve bytes'",
        "'7 dwarfs'", "''"};
    char sql[400];
    query(s, "create database d");
    query(s, "use d");
    query(s, "create table t(id int primary key, a int, b varchar(60), d decimal(12,3), f double, "
             "e enum('x','y','z'), dt datetime, ts timestamp null, u bigint unsigned, "
             "c char(9) as (left(b, 9)) stored, key ka(a), key kb(b, a))");
    for (int i = 0; i < ROWS; i++) {
        char a[16] = "NULL";
        if (rand_below(&g_rand, 9) != 0) {
            snprintf(a, sizeof(a), "%d", (int)rand_below(&g_rand, 30) - 5);
        }
        snprintf(sql, sizeof(sql),
                 "insert into t values(%d,%s,%s,%d.%03d,%d.25,%d,'2024-0%d-1%d 10:0%d:00',"
                 "'2024-0%d-11 12:00:00',%llu,default)",
                 i, a, texts[rand_below(&g_rand, ARRAY_COUNT(texts))],
                 (int)rand_below(&g_rand, 100000), (int)rand_below(&g_rand, 1000),
                 (int)rand_below(&g_rand, 100), (int)rand_below(&g_rand, 3) + 1,
                 (int)rand_below(&g_rand, 9) + 1, (int)rand_below(&g_rand, 10),
                 (int)rand_below(&g_rand, 10), (int)rand_below(&g_rand, 9) + 1,
                 (unsigned long long)rand_u64(&g_rand));
        query(s, sql);
    }
}

static const char *const g_queries[] = {
    "select count(*) from t",
    "select count(*), sum(a), min(a), max(a), avg(a), sum(d), avg(d), min(b), max(b), count(b), "
    "sum(u), avg(u), min(u), max(u), min(dt), max(ts) from t",
    "select sum(f), avg(f), std(a) from t",
    "select a, count(*), sum(d), avg(id), min(b), max(e) from t group by a",
    "select b, count(*), min(id) from t group by b",
    "select e, count(distinct a), sum(a) from t group by e",
    "select * from t where a = 7 and d > 100 order by id",
    "select id, b from t where b like 'A%' and b like '%h_'",
    "select id, b from t where b like ? escape '!'",
    "select id, upper(b), d*2, f from t where id between 90 and 210",
    "select id from t where dt > '2024-05-01' and e = 'y' order by f desc, id limit 10",
    "select id, b, dt from t order by b, id limit 25",
    "select id, b from t order by b limit 7 offset 3",
    "select id from t limit 5",
    "select id from t where a is null limit 3 offset 7",
    "select a from t where a in (3,5,9) group by a",
    "select count(*) from t where dt > date_add('2024-01-01', interval 3 month)",
    "select count(*) from t where date_add(dt, interval id hour) > '2024-05-01 11:00:00'",
    "select count(*) from t where ts < now()",
    "select sum(a/0) from t",
    "select count(*) from t where b = 5",
    "select id from t where b > 3 order by id",
    "select id, a div 0 from t where id < 5",
    "select sum(9223372036854775807 + id) from t",
    "select case when a > 10 then 'x' when a is null then 'n' else b end k, count(*) from t "
    "group by k",
    "select count(*) from t t1 join t t2 on t1.id = t2.id where t1.a = t2.a",
    "select (select count(*) from t where a > 3) x, max(id) from t",
    "select x.a, (select count(*) from t where t.a = x.a and t.id < 50) c from t x where id < 20",
    "select dt, count(*) from t group by dt having count(*) > 2 order by 1 limit 5",
    "select bit_and(a), bit_or(a), bit_xor(id) from t",
    "select group_concat(e order by id), json_arrayagg(id) from t where id < 50",
    "select distinct e from t",
    "select count(*), sum(a) from t where id < -1",
    "select a, count(*) from t where id < -1 group by a",
    "select concat(b, ' ', a) x, hex(b), length(b) from t where coalesce(a, 1) = 1",
    "select cast(d as signed) x, sum(id) from t group by x order by x limit 10",
    "select year(dt), month(dt), sum(d) from t group by 1, 2 order by 1, 2",
    "select hour(ts), e + 0, concat(e) from t where e > 1 and ts > '2024-03-01'",
    "select greatest(a, 3), least(b, 'b'), strcmp(b, 'Alpha') from t where id < 300",
    "select count(*) from t where b regexp '^a.*a$' or b in ('beta', 'x') or not (a > 3)",
    "select count(*), min(b) from t where b in ('', 'beta', 'b', 'x', 'y') or b = ''",
    "select json_extract(json_object('k', a), '$.k') from t where id < 40",
    "select a, b from t where a between 3 and 9 and b is not null",
    "select count(*) from t where @v := 3",
    "select count(*) from t where a > @w",
    "select count(rand() < 2) from t",
    "select date_format(dt, '%Y %b'), count(*) from t group by 1",
};

/* Under sql_mode PAD_CHAR_TO_FULL_LENGTH. */
static const char *const g_padded[] = {
    "select id, c, length(c), concat(c, '|') from t where id < 60",
    "select c, count(*), max(length(c)) from t group by c",
    "select count(*) from t where c = 'beta'",
    "select count(*) from t where c = 'beta     ' and c like 'b% '",
    "select id, hex(c) from t order by c desc, id limit 10",
    "select sum(length(c)), count(distinct c) from t where concat(c, b) <> 'x'",
};

static void ask(struct sql_session *s, const char *sql, struct buf *ret)
{
    buf_reset(&g_text);
    query(s, sql);
    query(s, "show warnings");
    buf_reset(ret);
    CHECK_OK(buf_append_slice(ret, buf_slice(&g_text)));
}

static void compare(struct sql_session *s, const char *sql)
{
    struct buf without, with;
    buf_init(&without, 1 << 24);
    buf_init(&with, 1 << 24);
    query(s, "set skein_pushdown = OFF");
    ask(s, sql, &without);
    query(s, "set skein_pushdown = ALWAYS");
    ask(s, sql, &with);
    if (!slice_eq(buf_slice(&without), buf_slice(&with))) {
        fprintf(stderr, "%s\nwithout:\n%.*s\nwith:\n%.*s\n", sql, SLICE_FMT(buf_slice(&without)),
                SLICE_FMT(buf_slice(&with)));
        CHECK(false);
    }
    buf_fini(&without);
    buf_fini(&with);
}

static void body(void *arg)
{
    struct test_engine e;
    (void)arg;
    rand_seed(&g_rand, 7);
    buf_init(&g_text, 1 << 24);
    CHECK_OK(mem_storage_new(NULL, &g_mem));
    g_storage.ops = &g_ops;
    test_engine_open(&e, &(struct sql_engine_opts){.storage = &g_storage});
    struct sql_session *session = e.session;
    make_table(session);
    query(session, "set time_zone = '+05:30', @w = 4");
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < ARRAY_COUNT(g_queries); i++) {
            compare(session, g_queries[i]);
        }
    }
    query(session, "set sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'");
    unsigned before = g_pages;
    for (size_t i = 0; i < ARRAY_COUNT(g_padded); i++) {
        compare(session, g_padded[i]);
    }
    CHECK(g_pages > before);
    /* Own writes: nothing is asked of others. */
    unsigned pages = g_pages;
    query(session, "start transaction");
    query(session, "delete from t where id < 100");
    compare(session, "select count(*), sum(a) from t");
    query(session, "rollback");
    CHECK(g_pages == pages);
    CHECK(g_pages > 500 && g_here > 100 && g_refused > 10);
    test_engine_close(&e);
    storage_close(g_mem);
    buf_fini(&g_text);
}

static void test_with_and_without(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(body, NULL), ERR_OK);
}

/* ---- plans that lie ---- */

static void bad_plans(void *arg)
{
    static const char *const bad[] = {"", "x", "\x08\x01", "\x12\x00", "\xff\xff\xff\xff\xff"};
    (void)arg;
    struct storage *mem;
    struct buf page;
    CHECK_OK(mem_storage_new(NULL, &mem));
    buf_init(&page, 1 << 20);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct pushdown_job job = {.plan = slice_str(bad[i]), .storage = mem};
        struct diag diag;
        bool complete;
        diag_reset(&diag);
        db_err err = pushdown_run(&job, &diag, &page, &complete);
        CHECK(err == ERR_CORRUPT || err == ERR_UNSUPPORTED);
    }
    buf_fini(&page);
    storage_close(mem);
}

static void test_bad_plans(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(bad_plans, NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_and_without),
        cmocka_unit_test(test_bad_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
