/* What a long condition takes does not grow with the rows of a chunk for each of its parts: of AND
 * and OR one argument's results are done with before the next one's are made. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/loop.h"
#include "sql/storage/mem/mem.h"
#include "sql/test_sink.h"

#include "base/test_main.h"

enum { ROWS = 3001, PARTS = 1000, ROOM = 16 << 20, TEXT_MAX = 1 << 20 };

static void append(struct buf *b, const char *text)
{
    CHECK_OK(buf_append(b, text, strlen(text)));
}

/* Of `count` parts; %u: its number, twice. */
static void put_parts(struct buf *b, const char *part, const char *between, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), part, i, i * 2);
        append(b, i == 0 ? "" : between);
        append(b, text);
    }
}

static void expect_rows(struct sql_session *session, const char *head, const char *part,
                        const char *between, const char *tail, uint64_t rows)
{
    struct buf sql;
    struct test_sink t = {.on_row = NULL};
    buf_init(&sql, TEXT_MAX);
    append(&sql, head);
    put_parts(&sql, part, between, PARTS);
    append(&sql, tail);
    test_sink_query(&t, session, buf_slice(&sql));
    if (t.errors != 0) {
        fprintf(stderr, "%s...: %u %s\n", head, t.error, t.error_text);
    }
    CHECK(t.errors == 0 && t.rows == rows);
    buf_fini(&sql);
}

static void run(void *arg)
{
    (void)arg;
    struct storage *storage;
    struct test_engine e;
    CHECK_OK(mem_storage_new(NULL, &storage));
    test_engine_open(&e, &(struct sql_engine_opts){.storage = storage,
                                                   .temp_dir = "/tmp",
                                                   .version = "9.7.4",
                                                   .statement_memory = ROOM});
    struct sql_session *session = e.session;
    test_sink_must(session, "CREATE DATABASE room");
    test_sink_must(session, "USE room");
    test_sink_must(session, "SET cte_max_recursion_depth = 5000");
    test_sink_must(session, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c INT)");
    test_sink_must(session,
                   "INSERT INTO t WITH RECURSIVE w (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM w "
                   "WHERE n < 3000) SELECT n, n, n * 2, n % 7 FROM w");
    expect_rows(session, "SELECT id FROM t WHERE (a, b) IN (", "(%u, %u)", ", ", ")", PARTS);
    expect_rows(session, "SELECT id FROM t WHERE ", "(a = %u AND b = %u)", " OR ", "", PARTS);
    expect_rows(session, "SELECT id FROM t WHERE NOT (", "(a + c = %u + c AND (b < %u) IS FALSE)",
                " OR ", ")", ROWS - PARTS);
    expect_rows(session, "SELECT id FROM t WHERE ", "NOT (a = %u XOR b = %u)", " AND ", "", ROWS);
    test_engine_close(&e);
    storage_close(storage);
}

static void test_long_conditions(void **state)
{
    (void)state;
    CHECK_OK(loop_run_main(run, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_long_conditions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
