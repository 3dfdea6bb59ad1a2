/* What a session keeps, and what it must not: by the library's interface, on the in-memory storage,
 * with little memory for statements. */
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "base/test_counting.h"
#include "base/test_main.h"
#include "sql/storage/mem/mem.h"
#include "sql/test_sink.h"

enum { STATEMENT_MEMORY = 4 << 20, SQL_MAX = 512 };

struct fixture {
    struct storage *storage;
    struct sql_engine *engine;
    struct sql_session *session;
};

/* ---- what was seen of a result: its last row ---- */

struct seen {
    struct test_sink t;
    uint64_t wrong;
    char row[256];
};

static void keep_row(struct test_sink *t, const struct sql_rows *rows, uint32_t row)
{
    struct seen *seen = CONTAINER_OF(t, struct seen, t);
    struct buf text;
    buf_init(&text, sizeof(seen->row) - 1);
    for (uint32_t i = 0; i < t->columns; i++) {
        CHECK_OK(buf_append_slice(&text, slice_str(i == 0 ? "" : ",")));
        test_sink_cell(&text, rows, row, i);
    }
    snprintf(seen->row, sizeof(seen->row), "%.*s", SLICE_FMT(buf_slice(&text)));
    buf_fini(&text);
}

/* Of a result of one column of DECIMAL(30,4) that counts. */
static void count_row(struct test_sink *t, const struct sql_rows *rows, uint32_t row)
{
    char want[32];
    struct sql_cell c;
    sql_rows_cell(rows, row, 0, &c);
    snprintf(want, sizeof(want), "%llu.0000", (unsigned long long)t->rows + row + 1);
    CONTAINER_OF(t, struct seen, t)->wrong += !slice_eq(c.v.text, slice_str(want));
}

static struct seen run(struct sql_session *s, const char *sql)
{
    struct seen seen = {.t = {.on_row = keep_row}};
    test_sink_query(&seen.t, s, slice_str(sql));
    if (seen.t.error != 0) {
        print_message("%u: %s\n", seen.t.error, seen.t.error_text);
    }
    return seen;
}

static struct sql_session_opts root(uint64_t id)
{
    return (struct sql_session_opts){.connection_id = id,
                                     .user = SLICE_LIT("root"),
                                     .host = SLICE_LIT("localhost"),
                                     .charset = 255};
}

static void set_up(struct fixture *f)
{
    struct sql_session_opts first = root(1);
    CHECK_OK(mem_storage_new(NULL, &f->storage));
    struct sql_engine_opts eo = {.storage = f->storage, .statement_memory = STATEMENT_MEMORY};
    CHECK_OK(sql_engine_open(&eo, NULL, &f->engine));
    CHECK_OK(sql_session_open(f->engine, &first, NULL, &f->session));
}

static void tear_down(struct fixture *f)
{
    sql_session_close(f->session);
    sql_engine_close(f->engine);
    storage_close(f->storage);
}

static struct sql_stmt *prepare(struct sql_session *s, const char *sql)
{
    struct diag diag;
    struct sql_stmt *stmt;
    diag_reset(&diag);
    db_err err = sql_stmt_prepare(s, slice_str(sql), &diag, &stmt);
    if (err != ERR_OK) {
        fprintf(stderr, "%s: %s\n", sql, diag.text);
    }
    CHECK_OK(err);
    return stmt;
}

/* ---- cursors ---- */

/* All rows of a cursor in one fetch: their text need not be in memory at once. */
static void fetch_much(struct fixture *f)
{
    enum { ROWS = 35000 };
    char sql[SQL_MAX];
    struct seen seen = {.t = {.sink = {&test_sink_ops}, .on_row = count_row}};
    test_sink_must(f->session, "SET cte_max_recursion_depth = 1000000");
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
             "SELECT CAST(i AS DECIMAL(30,4)) FROM n",
             ROWS);
    struct sql_stmt *stmt = prepare(f->session, sql);
    CHECK_OK(sql_stmt_execute(stmt, NULL, 0, true, &seen.t.sink));
    CHECK(seen.t.error == 0);
    CHECK(seen.t.rows == 0);
    CHECK_OK(sql_stmt_fetch(stmt, UINT32_MAX, &seen.t.sink));
    CHECK(seen.t.error == 0);
    CHECK(seen.t.rows == ROWS);
    CHECK(seen.wrong == 0);
    sql_stmt_close(stmt);
}

/* What is no SELECT has no cursor: its rows come at once. */
static void cursor_of_show(struct fixture *f)
{
    enum { CURSOR_EXISTS = 64 };
    struct seen seen = {.t = {.sink = {&test_sink_ops}, .on_row = keep_row}};
    struct sql_stmt *stmt = prepare(f->session, "SHOW VARIABLES LIKE 'version_comment'");
    CHECK_OK(sql_stmt_execute(stmt, NULL, 0, true, &seen.t.sink));
    CHECK(seen.t.error == 0 && seen.t.rows == 1 && (seen.t.server_status & CURSOR_EXISTS) == 0);
    sql_stmt_close(stmt);
}

/* ---- KILL QUERY ---- */

/* One that meets an idle session is over when the next command begins, also a prepared statement's.
 */
static void kill_of_an_idle_session(struct fixture *f)
{
    enum { QUERY_TIMEOUT = 3024 };
    struct seen seen = {.t = {.sink = {&test_sink_ops}, .on_row = keep_row}};
    test_sink_must(f->session,
                   "SET cte_max_recursion_depth = 4294967295, max_execution_time = 100");
    struct sql_stmt *stmt =
        prepare(f->session, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                            "WHERE i < 1000000000) SELECT COUNT(*) FROM n");
    sql_session_kill(f->session, false);
    CHECK_OK(sql_stmt_execute(stmt, NULL, 0, false, &seen.t.sink));
    CHECK(seen.t.error == QUERY_TIMEOUT);
    sql_stmt_close(stmt);
}

/* ---- memory ---- */

static void variables_have_a_limit(struct fixture *f)
{
    enum { MANY = 100, LIMIT = 20003 };
    char sql[SQL_MAX];
    unsigned error = 0;
    int set = 0;
    for (; set < MANY && error == 0; set++) {
        snprintf(sql, sizeof(sql), "SET @v%d = REPEAT('x', 200000)", set);
        error = run(f->session, sql).t.error;
    }
    CHECK(error == LIMIT && set > 10);
    test_sink_must(f->session, "SET @v0 = 'short'");
    test_sink_must(f->session, "SET @w = REPEAT('x', 100000)"); /* in its place */
    CHECK_OK(sql_session_reset(f->session, NULL));
    test_sink_must(f->session, "SET @v0 = REPEAT('x', 200000)");
    CHECK(strcmp(run(f->session, "SELECT @v1 IS NULL, LENGTH(@v0)").row, "1,200000") == 0);
}

/* A text whose tree is larger than a statement may be. */
/* What the protocol keeps for a session is of the same memory. */
static void what_others_keep_counts(struct fixture *f)
{
    enum { PART = 64 << 10, LIMIT = 20003 };
    struct diag diag;
    diag_reset(&diag);
    size_t kept = 0;
    db_err err;
    while ((err = sql_session_keep(f->session, PART, &diag)) == ERR_OK) {
        kept += PART;
        CHECK(kept <= STATEMENT_MEMORY);
    }
    CHECK(err == ERR_SQL && diag.number == LIMIT && kept >= PART);
    struct seen seen = run(f->session, "SET @a = REPEAT('x', 200000)");
    CHECK(seen.t.error == LIMIT);
    sql_session_give_back(f->session, kept);
    test_sink_must(f->session, "SET @a = REPEAT('x', 200000)");
}

static void prepared_statements_have_a_limit(struct fixture *f)
{
    enum { ITEMS = 500000, LIMIT = 20003 };
    struct buf sql;
    struct diag diag;
    struct sql_stmt *stmt;
    diag_reset(&diag);
    buf_init(&sql, 16 << 20);
    CHECK_OK(buf_append_slice(&sql, SLICE_LIT("SELECT 1 IN (1")));
    for (int i = 0; i < ITEMS; i++) {
        CHECK_OK(buf_append_slice(&sql, SLICE_LIT(",2")));
    }
    CHECK_OK(buf_append_u8(&sql, ')'));
    CHECK(sql_stmt_prepare(f->session, buf_slice(&sql), &diag, &stmt) != ERR_OK);
    print_message("%u: %s\n", diag.number, diag.text);
    CHECK(diag.number == LIMIT);
    buf_fini(&sql);
    test_sink_must(f->session, "SELECT 1");
}

static void use_and_reset(struct fixture *f, int times)
{
    struct sql_session_opts again = root(1);
    for (int i = 0; i < times; i++) {
        test_sink_must(f->session, "SET NAMES latin1");
        test_sink_must(f->session, "SET time_zone = '+01:00', lc_time_names = 'de_DE'");
        test_sink_must(f->session, "SET NAMES utf8mb4");
        CHECK_OK(sql_session_reset(f->session, NULL));
        CHECK_OK(sql_session_change_user(f->session, &again, NULL));
    }
}

/* A pool resets its connections for years. */
static void resets_keep_nothing(struct fixture *f)
{
    enum { FIRST = 50, MORE = 1000, GROWTH_MAX = 16 << 10 };
    use_and_reset(f, FIRST);
    size_t before = atomic_load(&counting_live);
    use_and_reset(f, MORE);
    size_t after = atomic_load(&counting_live);
    if (after > before + GROWTH_MAX) {
        fprintf(stderr, "%zu bytes more after %d resets\n", after - before, MORE);
    }
    CHECK(after <= before + GROWTH_MAX);
}

/* ---- the state ---- */

static void reset_forgets(struct fixture *f)
{
    test_sink_must(f->session, "SELECT LAST_INSERT_ID(7)");
    CHECK(strcmp(run(f->session, "SELECT LAST_INSERT_ID()").row, "7") == 0);
    CHECK_OK(sql_session_reset(f->session, NULL));
    CHECK(strcmp(run(f->session, "SELECT LAST_INSERT_ID()").row, "0") == 0);
}

/* A variable may change in the statement that reads it. */
static void set_of_what_is_read(struct fixture *f)
{
    test_sink_must(f->session, "SET time_zone = '+01:00'");
    test_sink_must(f->session, "SET time_zone = '+02:00', @a = @@time_zone, time_zone = '+03:00'");
    struct seen seen = run(f->session, "SELECT CONCAT(@a, @@time_zone)");
    CHECK(strcmp(seen.row, "+02:00+03:00") == 0 || strcmp(seen.row, "+01:00+03:00") == 0);
}

/* An idle session does not hold what its last statement took. */
static void memory_is_given_back(struct fixture *f)
{
    enum { VALUES = 2000, IDLE_MAX = 100 * 1024 };
    struct buf sql;
    buf_init(&sql, 1 << 20);
    CHECK_OK(buf_append_slice(&sql, SLICE_LIT("SELECT 1 IN (2")));
    for (int i = 0; i < VALUES; i++) {
        CHECK_OK(buf_append_slice(&sql, SLICE_LIT(", 3")));
    }
    CHECK_OK(buf_append_slice(&sql, SLICE_LIT(")\0")));
    test_sink_must(f->session, (const char *)sql.ptr);
    buf_fini(&sql);
    CHECK(sql_engine_memory(f->engine) < IDLE_MAX);
}

static void (*g_body)(struct fixture *f);

static void in_loop(void *arg)
{
    struct fixture f;
    (void)arg;
    set_up(&f);
    g_body(&f);
    tear_down(&f);
}

static void run_body(void (*body)(struct fixture *f))
{
    g_body = body;
    assert_int_equal(loop_run_main(in_loop, NULL), ERR_OK);
}

#define TEST(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        run_body(name);                                                                            \
    }
TEST(fetch_much)
TEST(cursor_of_show)
TEST(kill_of_an_idle_session)
TEST(variables_have_a_limit)
TEST(what_others_keep_counts)
TEST(prepared_statements_have_a_limit)
TEST(reset_forgets)
TEST(set_of_what_is_read)
TEST(memory_is_given_back)

static void test_resets_keep_nothing(void **state)
{
    (void)state;
    mem_set_allocator(&counting_allocator);
    run_body(resets_keep_nothing);
    mem_set_allocator(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch_much),
        cmocka_unit_test(test_cursor_of_show),
        cmocka_unit_test(test_kill_of_an_idle_session),
        cmocka_unit_test(test_variables_have_a_limit),
        cmocka_unit_test(test_what_others_keep_counts),
        cmocka_unit_test(test_prepared_statements_have_a_limit),
        cmocka_unit_test(test_reset_forgets),
        cmocka_unit_test(test_set_of_what_is_read),
        cmocka_unit_test(test_memory_is_given_back),
        cmocka_unit_test(test_resets_keep_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
