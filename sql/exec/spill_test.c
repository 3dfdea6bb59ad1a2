/* Operators that must use temporary files, through SQL: the same statements on an engine with
 * memory to spare and on one with far too little give the same rows, and with too little and no
 * place for temporary files they fail with a clear error (which proves that they did spill). Others
 * need no more memory for many rows than for few. */
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/loop.h"
#include "sql/storage/mem/mem.h"
#include "sql/storage/storage.h"
#include "sql/test_sink.h"

#include "base/test_main.h"

enum { ROWS = 24000, BATCH = 400, TINY = 2 * 1024 * 1024, SMALL = 2 * TINY };

/* ---- what identifies a result ---- */

struct result {
    struct test_sink t;
    uint64_t ordered; /* hash of the rows in their order */
    uint64_t loose;   /* in any order */
};

static uint64_t cell_hash(const struct sql_cell *c, uint64_t seed)
{
    switch (c->kind) {
    case SQL_CELL_NULL: return hash_combine(seed, 7);
    case SQL_CELL_INT:
    case SQL_CELL_UINT: return hash_combine(seed, c->v.u64);
    case SQL_CELL_TEXT: return hash_bytes(c->v.text, seed);
    case SQL_CELL_FLOAT:
    case SQL_CELL_DOUBLE:
    case SQL_CELL_TIME:
    case SQL_CELL_DATE:
    case SQL_CELL_DATETIME: break;
    }
    CHECK(false);
    return 0;
}

static void hash_row(struct test_sink *t, const struct sql_rows *rows, uint32_t row)
{
    struct result *r = CONTAINER_OF(t, struct result, t);
    uint64_t h = 1;
    for (uint32_t c = 0; c < t->columns; c++) {
        struct sql_cell cell;
        sql_rows_cell(rows, row, c, &cell);
        h = cell_hash(&cell, h);
    }
    r->ordered = hash_combine(r->ordered, h);
    r->loose += hash_u64(h);
}

static struct result query(struct sql_session *session, const char *sql)
{
    struct result r = {.t = {.on_row = hash_row}};
    test_sink_query(&r.t, session, slice_str(sql));
    return r;
}

/* ---- data ---- */

static void fill(struct sql_session *session, const char *table, unsigned salt)
{
    struct buf sql;
    buf_init(&sql, 1u << 20);
    for (unsigned from = 0; from < ROWS; from += BATCH) {
        buf_reset(&sql);
        CHECK_OK(buf_printf(&sql, "INSERT INTO %s VALUES ", table));
        for (unsigned i = from; i < from + BATCH; i++) {
            unsigned x = (i * 2654435761u) ^ salt;
            CHECK_OK(buf_printf(&sql, "%s(%u,%u,%u,'%s%08u-some-text-to-make-it-longer',%u.%02u)",
                                i == from ? "" : ",", i, x % 50, x % 9000,
                                x % 3 == 0 ? "Key" : "key", x % 12000, x % 700, x % 100));
        }
        CHECK_OK(buf_append_u8(&sql, 0));
        test_sink_must(session, (const char *)sql.ptr);
    }
    buf_fini(&sql);
}

struct world {
    struct storage *storage;
    struct test_engine e;
    struct sql_session *session;
};

static struct world open_world(size_t memory, const char *temp_dir)
{
    struct world w;
    CHECK_OK(mem_storage_new(NULL, &w.storage));
    test_engine_open(&w.e, &(struct sql_engine_opts){.storage = w.storage,
                                                     .statement_memory = memory,
                                                     .temp_dir = temp_dir,
                                                     .version = "9.7.4"});
    w.session = w.e.session;
    test_sink_must(w.session, "CREATE DATABASE spill");
    test_sink_must(w.session, "USE spill");
    test_sink_must(w.session, "CREATE TABLE big (id INT PRIMARY KEY, k INT, v INT, s VARCHAR(60), "
                              "d DECIMAL(12,2))");
    test_sink_must(w.session, "CREATE TABLE other LIKE big");
    test_sink_must(w.session, "SET group_concat_max_len = 1000000");
    fill(w.session, "big", 0x5bd1e995u);
    fill(w.session, "other", 0x12345678u);
    return w;
}

static void close_world(struct world *w)
{
    test_engine_close(&w->e);
    storage_close(w->storage);
}

struct spill_case {
    const char *sql;
    bool ordered; /* rows must come in the same order */
};

static const struct spill_case g_cases[] = {
    {"SELECT id, v, s FROM big ORDER BY s, id DESC", true},
    {"SELECT id, d FROM big ORDER BY d DESC, s, id", true},
    {"SELECT id, s FROM big ORDER BY s DESC, id LIMIT 9000 OFFSET 12000", true},
    {"SELECT s, COUNT(*), SUM(d), MIN(id), MAX(v) FROM big GROUP BY s", false},
    {"SELECT v, k, COUNT(*), SUM(id) FROM big GROUP BY v, k", false},
    {"SELECT COUNT(DISTINCT s), COUNT(DISTINCT v, s), COUNT(*), SUM(DISTINCT id) FROM big", true},
    {"SELECT k, COUNT(DISTINCT s), SUM(DISTINCT v) FROM big GROUP BY k", false},
    {"SELECT k, GROUP_CONCAT(DISTINCT v ORDER BY s DESC, id SEPARATOR '|') FROM big GROUP BY k",
     false},
    {"SELECT DISTINCT s, v FROM big", true},
    {"SELECT a.id, b.id, a.s, b.d FROM big a JOIN other b ON a.s = b.s WHERE b.id < 20000", false},
    {"SELECT STRAIGHT_JOIN a.id, b.id, a.d FROM big a LEFT JOIN other b ON a.s = b.s AND b.v > a.v",
     false},
    {"SELECT a.id FROM big a LEFT JOIN other b ON a.s = b.s AND a.d = b.d WHERE b.id IS NULL",
     false},
    {"SELECT a.id, b.id FROM big a FULL OUTER JOIN other b ON a.v = b.v AND a.s = b.s", false},
    /* the right side is of one key, or of none: it is read in blocks */
    {"SELECT STRAIGHT_JOIN a.id, b.id, b.s FROM big a JOIN other b ON a.k * 0 = b.k * 0 WHERE a.id "
     "< 30",
     false},
    {"SELECT STRAIGHT_JOIN a.id, b.id, b.s FROM big a LEFT JOIN other b ON a.k * 0 = b.k * 0 AND "
     "b.v > a.v + 8900 WHERE a.id < 400",
     false},
    {"SELECT a.id FROM big a WHERE a.id < 400 AND EXISTS (SELECT 1 FROM other b WHERE a.k * 0 = "
     "b.k * 0 AND b.v > a.v + 8990 AND b.s > a.s)",
     true},
    {"SELECT a.id FROM big a WHERE a.id < 400 AND NOT EXISTS (SELECT 1 FROM other b WHERE a.k * 0 "
     "= b.k * 0 AND b.v > a.v + 8990 AND b.s > a.s)",
     true},
    {"SELECT a.id, b.id FROM (SELECT * FROM big WHERE id < 60) a FULL OUTER JOIN other b ON a.k * "
     "0 "
     "= b.k * 0 AND b.v > a.v + 8900",
     false},
    {"SELECT STRAIGHT_JOIN a.id, b.id FROM big a JOIN other b ON IF(a.id % 3 = 0, 1, a.id) = "
     "IF(b.id "
     "% 3 <> 0, 1, b.id) WHERE a.id < 100 AND b.s <> ''",
     false},
    {"SELECT STRAIGHT_JOIN a.id, b.id, b.s FROM big a JOIN other b WHERE a.id < 20", false},
    {"SELECT STRAIGHT_JOIN a.id, b.id, b.s FROM big a LEFT JOIN other b ON b.v > a.v + 8900 WHERE "
     "a.id < 400",
     false},
    {"SELECT a.id FROM big a WHERE a.id < 400 AND EXISTS (SELECT 1 FROM other b WHERE b.v > a.v + "
     "8990 AND b.s > a.s)",
     true},
    {"SELECT a.id FROM big a WHERE a.id < 400 AND NOT EXISTS (SELECT 1 FROM other b WHERE b.v > "
     "a.v + 8990 AND b.s > a.s)",
     true},
    {"SELECT a.id, b.id FROM (SELECT * FROM big WHERE id < 60) a FULL OUTER JOIN other b ON b.v > "
     "a.v + 8900",
     false},
    /* a join that does not fit, run again for each outer row */
    {"SELECT SUM((SELECT STRAIGHT_JOIN COUNT(*) + MAX(LENGTH(CONCAT(a.s, b.s))) FROM big a JOIN "
     "other b ON a.s = b.s AND a.d <> b.d WHERE a.id > o.id + 23000)) FROM other o WHERE o.id < 7",
     true},
    {"SELECT s, v FROM big UNION SELECT s, v FROM other", false},
    {"SELECT s, k FROM big INTERSECT SELECT s, k FROM other", false},
    {"SELECT s, k FROM big INTERSECT ALL SELECT s, k FROM other", false},
    {"SELECT s, d FROM big EXCEPT SELECT s, d FROM other", false},
    {"WITH c AS (SELECT s, d, id FROM big) SELECT x.s, y.d FROM c x JOIN c y ON x.id = y.id + 1",
     false},
    {"SELECT id, s, COUNT(*) OVER (), LAG(s, 5000) OVER w, FIRST_VALUE(s) OVER w FROM big WINDOW w "
     "AS (ORDER BY id)",
     true},
    {"SELECT id, s, SUM(v) OVER (PARTITION BY k % 3 ORDER BY s, id ROWS BETWEEN 900 PRECEDING AND "
     "700 FOLLOWING), LEAD(s) OVER (PARTITION BY k % 3 ORDER BY s, id) FROM big",
     false},
    {"SELECT id, MAX(s) OVER (PARTITION BY k % 2 ORDER BY v, id ROWS BETWEEN CURRENT ROW AND "
     "UNBOUNDED FOLLOWING), RANK() OVER (PARTITION BY s ORDER BY d) FROM big",
     false},
    {"SELECT id, s, RANK() OVER (PARTITION BY v % 5 > 0 AND v > 20 ORDER BY d, id), LAG(s) OVER "
     "(PARTITION BY v % 5 > 0 AND v > 20, v % 97 ORDER BY d, id) FROM big",
     false},
    {"SELECT s, d FROM big EXCEPT ALL SELECT s, d FROM other", false},
};

static void run_case(const struct spill_case *c, struct world *rich, struct world *poor,
                     struct world *stuck)
{
    struct result want = query(rich->session, c->sql);
    struct result got = query(poor->session, c->sql);
    struct result none = query(stuck->session, c->sql);
    if (want.t.error != 0 || got.t.error != 0 || want.t.rows != got.t.rows ||
        want.loose != got.loose || (c->ordered && want.ordered != got.ordered) ||
        none.t.error == 0) {
        fprintf(stderr, "%s\n  want %" PRIu64 " rows (%u %s)\n  got %" PRIu64 " rows (%u %s)\n",
                c->sql, want.t.rows, want.t.error, want.t.error_text, got.t.rows, got.t.error,
                got.t.error_text);
        fprintf(stderr, "  without files: %u %s\n", none.t.error, none.t.error_text);
        CHECK(false);
    }
}

/* What these keep does not grow with the rows that they read. */
static const char *const g_steady[] = {
    "SELECT id FROM big WHERE CONCAT(s, s, id) = 'none'",
    "SELECT * FROM (SELECT CONCAT(s, s, id) AS c FROM big LIMIT 23999) x WHERE c = 'none'",
    "SELECT CONCAT(s, s, id) FROM big LIMIT 5 OFFSET 23990",
    "SELECT SUM((SELECT b.v FROM big b WHERE b.id > o.id ORDER BY b.id LIMIT 1)) FROM other o",
    "SELECT SUM((SELECT b.v FROM big b WHERE b.id BETWEEN o.id AND o.id + 3 ORDER BY b.d, b.id "
    "LIMIT 1)) FROM other o",
    "SELECT SUM((SELECT b.v FROM big b WHERE b.id = o.id + 1)) FROM other o",
    "SELECT SUM((SELECT b.v FROM big b WHERE b.id IN (o.id, o.id + 1, o.id - 1) LIMIT 1)) FROM "
    "other o",
    "SELECT SUM((SELECT LENGTH(GROUP_CONCAT(b.v ORDER BY b.d)) FROM big b WHERE b.id > o.id AND "
    "b.id < o.id + 3)) FROM other o",
    "SELECT COUNT(*) FROM other o, LATERAL (SELECT b.v FROM big b WHERE b.id > o.id ORDER BY b.id "
    "LIMIT 1) x",
    "SELECT COUNT(*), MAX(x.s) FROM (SELECT id FROM other WHERE id < 4) o, LATERAL (SELECT b.s, "
    "b.v "
    "FROM big b WHERE b.id > o.id) x",
    "SELECT o.id, x.s FROM (SELECT id FROM other WHERE id < 4) o LEFT JOIN LATERAL (SELECT b.s, "
    "b.v "
    "FROM big b WHERE b.id > o.id) x ON x.v = 77 AND x.s LIKE '%7%' ORDER BY 1, 2",
    "SELECT COUNT(*) FROM other WHERE id >= ALL (SELECT id FROM big)",
    "SELECT COUNT(*) FROM other WHERE CONCAT(s, s) < ANY (SELECT CONCAT(s, s, s) FROM big)",
    "SELECT 1 IN (SELECT id + 24000 FROM big WHERE CONCAT(s, s, id) <> 'none' AND id % 8 = 0)",
    /* the long results are made last: no sort and no other window carries them */
    "SELECT SUM(JSON_LENGTH(x)), SUM(y), SUM(z) FROM (SELECT JSON_ARRAYAGG(id) OVER (ORDER BY id) "
    "AS x, LAG(v) OVER (ORDER BY d, id) AS y, COUNT(*) OVER (PARTITION BY k) AS z FROM big WHERE "
    "id < 500) t",
};

static void run_steady(const char *sql, struct world *rich, struct world *stuck)
{
    struct result want = query(rich->session, sql);
    struct result got = query(stuck->session, sql);
    if (want.t.error != 0 || got.t.error != 0 || want.t.rows != got.t.rows ||
        want.ordered != got.ordered) {
        fprintf(stderr, "%s\n  want %" PRIu64 " rows (%u %s)\n  got %" PRIu64 " rows (%u %s)\n",
                sql, want.t.rows, want.t.error, want.t.error_text, got.t.rows, got.t.error,
                got.t.error_text);
        CHECK(false);
    }
}

/* Changes of rows that a join gives, some more than once: what is collected does not fit, what is
 * written does. They leave the same behind. */
static const char *const g_changes[] = {
    "UPDATE big a JOIN other b ON a.k = b.k AND b.id < 100 SET a.v = IF(a.id % 50 = 0, a.v + 1, "
    "a.v), a.s = IF(a.id % 77 = 0, CONCAT(a.s, 'x'), a.s) WHERE a.id < 3000",
    "UPDATE big a LEFT JOIN other b ON a.v = b.v AND b.id < 200 SET a.d = IF(b.id IS NULL AND "
    "a.id "
    "% 90 = 3, 1, a.d), b.d = IF(b.id % 60 = 1, b.d + 5, b.d) WHERE a.id < 3000",
    "UPDATE big SET v = IF(id % 100 = 1, v + id, v) WHERE id < 5000 ORDER BY s, id",
    "DELETE a, b FROM big a JOIN other b ON a.id = b.id JOIN other c ON c.k = a.k AND c.id < 40 "
    "WHERE a.id BETWEEN 1000 AND 3500",
    "DELETE FROM big WHERE id BETWEEN 7000 AND 9500 ORDER BY s DESC LIMIT 2000",
};

static struct result state_of(struct world *w, const char *table)
{
    char sql[80];
    (void)snprintf(sql, sizeof(sql), "SELECT * FROM %s", table);
    return query(w->session, sql);
}

static void run_change(const char *sql, struct world *rich, struct world *poor, struct world *stuck)
{
    struct result want = query(rich->session, sql);
    struct result got = query(poor->session, sql);
    struct result none = query(stuck->session, sql);
    if (want.t.error != 0 || got.t.error != 0 || none.t.error == 0) {
        fprintf(stderr, "%s\n  %u %s\n  %u %s\n  without files: %u %s\n", sql, want.t.error,
                want.t.error_text, got.t.error, got.t.error_text, none.t.error, none.t.error_text);
        CHECK(false);
    }
    for (int i = 0; i < 2; i++) {
        want = state_of(rich, i == 0 ? "big" : "other");
        got = state_of(poor, i == 0 ? "big" : "other");
        CHECK(want.t.rows == got.t.rows && want.loose == got.loose);
    }
}

static void run(void *arg)
{
    (void)arg;
    struct world rich = open_world(0, "/tmp");
    struct world poor = open_world(TINY, "/tmp");
    struct world stuck = open_world(TINY, "/nonexistent/directory");
    for (size_t i = 0; i < ARRAY_COUNT(g_cases); i++) {
        run_case(&g_cases[i], &rich, &poor, &stuck);
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_steady); i++) {
        run_steady(g_steady[i], &rich, &stuck);
    }
    close_world(&poor);
    poor = open_world(SMALL, "/tmp"); /* the memory engine keeps locks in memory */
    for (size_t i = 0; i < ARRAY_COUNT(g_changes); i++) {
        run_change(g_changes[i], &rich, &poor, &stuck);
    }
    close_world(&stuck);
    close_world(&poor);
    close_world(&rich);
}

static void test_spilling_gives_the_same_rows(void **state)
{
    (void)state;
    CHECK_OK(loop_run_main(run, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spilling_gives_the_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
