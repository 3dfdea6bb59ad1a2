/* What is run again for each row of an enclosing query, or each round of a recursion, reads again
 * only what may differ: the counters of EXPLAIN ANALYZE say how often a table was read. */
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "sql/storage/mem/mem.h"
#include "sql/test_sink.h"

#include "base/test_main.h"

struct told { /* the first column of the first row */
    struct test_sink t;
    struct buf text;
};

static void keep_first(struct test_sink *t, const struct sql_rows *rows, uint32_t row)
{
    if (t->rows == 0 && row == 0) {
        test_sink_cell(&CONTAINER_OF(t, struct told, t)->text, rows, 0, 0);
    }
}

/* ret is released with buf_fini. */
static void query(struct sql_session *session, const char *sql, struct buf *ret)
{
    struct told told = {.t = {.on_row = keep_first}};
    buf_init(&told.text, 1 << 16);
    test_sink_query(&told.t, session, slice_str(sql));
    if (told.t.errors != 0) {
        fprintf(stderr, "%s: %u %s\n", sql, told.t.error, told.t.error_text);
    }
    CHECK(told.t.errors == 0);
    CHECK_OK(buf_append_u8(&told.text, 0));
    *ret = told.text;
}

struct rescan_case {
    const char *sql;
    const char *reads; /* of the line that names the table */
    const char *loops;
};

/* b is built; it has 40 rows, and so have the others. */
static const struct rescan_case g_cases[] = {
    {"WITH RECURSIVE c AS (SELECT id FROM a WHERE k = 0 UNION ALL SELECT b.id FROM c JOIN b ON b.k "
     "= c.id) SELECT COUNT(*) FROM c",
     "scan on b ", "rows=40 loops=1)"},
    {"SELECT SUM((SELECT COUNT(*) FROM c JOIN b ON b.k = c.k WHERE c.id > a.id)) FROM a",
     "scan on b ", "rows=40 loops=1)"},
    {"SELECT SUM((SELECT COUNT(*) FROM c LEFT JOIN (SELECT k, MAX(id) m FROM b GROUP BY k) d ON "
     "d.k = "
     "c.k WHERE c.id > a.id)) FROM a",
     "scan on b ", "rows=40 loops=1)"},
    {"SELECT COUNT(*) FROM a, LATERAL (SELECT c.id FROM c LEFT JOIN b ON b.k = c.k WHERE c.id > "
     "a.id LIMIT 3) x",
     "scan on b ", "rows=40 loops=1)"},
    {"SELECT COUNT(*) FROM a, LATERAL (SELECT c.id FROM c LEFT JOIN b ON b.k > c.k WHERE c.id > "
     "a.id LIMIT 3) x",
     "scan on b ", "rows=40 loops=1)"},
    /* b's rows depend on the enclosing row, or on chance */
    {"SELECT SUM((SELECT COUNT(*) FROM c JOIN b ON b.k = c.k AND b.k <> a.id WHERE c.id > a.id)) "
     "FROM a",
     "Filter: (b.k <> a.id)", "loops=40)"},
    {"SELECT SUM((SELECT COUNT(*) FROM c LEFT JOIN (SELECT DISTINCT k + FLOOR(RAND()) AS k FROM b) "
     "d ON d.k = c.k WHERE c.id > a.id)) FROM a",
     "scan on b ", "loops=40)"},
};

static void run_case(struct sql_session *session, const struct rescan_case *c)
{
    char sql[512];
    snprintf(sql, sizeof(sql), "EXPLAIN ANALYZE %s", c->sql);
    struct buf told;
    query(session, sql, &told);
    const char *text = (const char *)told.ptr;
    const char *line = strstr(text, c->reads);
    size_t len = line == NULL ? 0 : strcspn(line, "\n");
    const char *loops = line == NULL ? NULL : strstr(line, c->loops);
    if (loops == NULL || loops > line + len) {
        fprintf(stderr, "%s\nwant %s\n%s\n", c->sql, c->loops, text);
        CHECK(false);
    }
    buf_fini(&told);
}

struct kept_case {
    const char *sql;
    const char *examined; /* rows that the statement has read from its storage */
};

/* a's 40 rows, and b's twice: what the second run reads is kept. */
static const struct kept_case g_kept[] = {
    {"SELECT SUM((SELECT COUNT(*) FROM b WHERE b.k > a.k)) FROM a", "120"},
    {"SELECT COUNT(*) FROM a, LATERAL (SELECT b.id FROM b WHERE b.k > a.k) x", "120"},
    {"SELECT COUNT(*) FROM a, LATERAL (SELECT k FROM b WHERE k > a.k AND id > 20) x", "80"},
    /* the range varies; what is not read to its end is not kept */
    {"SELECT SUM((SELECT COUNT(*) FROM b WHERE b.id > a.id)) FROM a", "820"},
    {"SELECT SUM((SELECT b.id FROM b WHERE b.k >= a.k - 40 LIMIT 1)) FROM a", "1320"},
};

static void run_kept(struct sql_session *session, const struct kept_case *c)
{
    struct buf told;
    test_sink_must(session, c->sql);
    query(
        session,
        "SELECT ROWS_EXAMINED FROM performance_schema.events_statements_history ORDER BY EVENT_ID "
        "DESC LIMIT 1",
        &told);
    if (strcmp((const char *)told.ptr, c->examined) != 0) {
        fprintf(stderr, "%s\nwant %s rows, got %s\n", c->sql, c->examined, (const char *)told.ptr);
        CHECK(false);
    }
    buf_fini(&told);
}

static void run(void *arg)
{
    (void)arg;
    struct storage *storage;
    struct test_engine e;
    CHECK_OK(mem_storage_new(NULL, &storage));
    test_engine_open(
        &e, &(struct sql_engine_opts){.storage = storage, .temp_dir = "/tmp", .version = "9.7.4"});
    struct sql_session *session = e.session;
    test_sink_must(session, "CREATE DATABASE again");
    test_sink_must(session, "USE again");
    test_sink_must(session, "CREATE TABLE a (id INT PRIMARY KEY, k INT)");
    test_sink_must(session,
                   "INSERT INTO a WITH RECURSIVE w (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM w "
                   "WHERE n < 40) SELECT n, n - 1 FROM w");
    test_sink_must(session, "CREATE TABLE b LIKE a");
    test_sink_must(session, "INSERT INTO b SELECT * FROM a");
    test_sink_must(session, "CREATE TABLE c LIKE a");
    test_sink_must(session, "INSERT INTO c SELECT * FROM a");
    for (size_t i = 0; i < ARRAY_COUNT(g_cases); i++) {
        run_case(session, &g_cases[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_kept); i++) {
        run_kept(session, &g_kept[i]);
    }
    test_engine_close(&e);
    storage_close(storage);
}

static void test_what_stays_is_read_once(void **state)
{
    (void)state;
    CHECK_OK(loop_run_main(run, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_stays_is_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
