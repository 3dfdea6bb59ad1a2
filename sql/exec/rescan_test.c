/* What is run again for each row of an enclosing query, or each round of a recursion, reads again
 * only what may differ: the counters of EXPLAIN ANALYZE say how often a table was read. */
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "sql/sql.h"
#include "sql/storage/mem/mem.h"

#include "base/test_main.h"

/* ---- a sink that keeps one text ---- */

struct told {
    struct sql_sink sink;
    unsigned error;
    char text[8192];
};

static db_err on_columns(struct sql_sink *s, const struct sql_column *c, uint32_t n)
{
    (void)s;
    (void)c;
    (void)n;
    return ERR_OK;
}

static db_err on_rows(struct sql_sink *s, const struct sql_rows *rows)
{
    struct told *t = CONTAINER_OF(s, struct told, sink);
    struct sql_cell cell;
    if (sql_rows_count(rows) == 0) {
        return ERR_OK;
    }
    sql_rows_cell(rows, 0, 0, &cell);
    if (cell.kind == SQL_CELL_TEXT) {
        snprintf(t->text, sizeof(t->text), "%.*s", SLICE_FMT(cell.v.text));
    } else {
        CHECK(cell.kind == SQL_CELL_INT || cell.kind == SQL_CELL_UINT);
        snprintf(t->text, sizeof(t->text), "%llu", (unsigned long long)cell.v.u64);
    }
    return ERR_OK;
}

static db_err on_end(struct sql_sink *s, const struct sql_status *st, bool more)
{
    (void)s;
    (void)st;
    (void)more;
    return ERR_OK;
}

static db_err on_error(struct sql_sink *s, const struct diag *d)
{
    struct told *t = CONTAINER_OF(s, struct told, sink);
    t->error = d->number;
    snprintf(t->text, sizeof(t->text), "%s", d->text);
    return ERR_OK;
}

static const struct sql_sink_ops g_ops = {on_columns, on_rows, on_end, on_end, on_error, NULL};

static struct told query(struct sql_session *session, const char *sql)
{
    struct told t = {.sink = {&g_ops}};
    CHECK_OK(sql_session_query(session, slice_str(sql), &t.sink));
    if (t.error != 0) {
        fprintf(stderr, "%s: %u %s\n", sql, t.error, t.text);
    }
    CHECK(t.error == 0);
    return t;
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
    struct told t = query(session, sql);
    const char *line = strstr(t.text, c->reads);
    size_t len = line == NULL ? 0 : strcspn(line, "\n");
    const char *loops = line == NULL ? NULL : strstr(line, c->loops);
    if (loops == NULL || loops > line + len) {
        fprintf(stderr, "%s\nwant %s\n%s\n", c->sql, c->loops, t.text);
        CHECK(false);
    }
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
    query(session, c->sql);
    struct told t = query(session, "SELECT ROWS_EXAMINED FROM "
                                   "performance_schema.events_statements_history ORDER BY EVENT_ID "
                                   "DESC LIMIT 1");
    if (strcmp(t.text, c->examined) != 0) {
        fprintf(stderr, "%s\nwant %s rows, got %s\n", c->sql, c->examined, t.text);
        CHECK(false);
    }
}

static void run(void *arg)
{
    (void)arg;
    struct storage *storage;
    struct sql_engine *engine;
    struct sql_session *session;
    struct diag d;
    diag_reset(&d);
    CHECK_OK(mem_storage_new(NULL, &storage));
    struct sql_engine_opts eo = {.storage = storage, .temp_dir = "/tmp", .version = "9.7.4"};
    CHECK_OK(sql_engine_open(&eo, &d, &engine));
    struct sql_session_opts so = {.connection_id = 1,
                                  .user = SLICE_LIT("root"),
                                  .host = SLICE_LIT("localhost"),
                                  .charset = 255};
    CHECK_OK(sql_session_open(engine, &so, &d, &session));
    query(session, "CREATE DATABASE again");
    query(session, "USE again");
    query(session, "CREATE TABLE a (id INT PRIMARY KEY, k INT)");
    query(session, "INSERT INTO a WITH RECURSIVE w (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM w "
                   "WHERE n < 40) SELECT n, n - 1 FROM w");
    query(session, "CREATE TABLE b LIKE a");
    query(session, "INSERT INTO b SELECT * FROM a");
    query(session, "CREATE TABLE c LIKE a");
    query(session, "INSERT INTO c SELECT * FROM a");
    for (size_t i = 0; i < ARRAY_COUNT(g_cases); i++) {
        run_case(session, &g_cases[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_kept); i++) {
        run_kept(session, &g_kept[i]);
    }
    sql_session_close(session);
    sql_engine_close(engine);
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
