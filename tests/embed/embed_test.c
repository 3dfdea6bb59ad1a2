/* The SQL library alone, without network, cluster or RocksDB: an engine on the in-memory storage,
 * and one on a storage that an integrator brought. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/test_main.h"
#include "base/loop.h"
#include "sql/sql.h"
#include "sql/storage/mem/mem.h"
#include "tests/embed/csv_storage.h"

static char g_result[4096]; /* rows as text, or "ERROR number" */
static uint32_t g_columns;

static void add(const char *text)
{
    size_t n = strlen(g_result);
    snprintf(g_result + n, sizeof(g_result) - n, "%s", text);
}

static db_err on_columns(struct sql_sink *s, const struct sql_column *c, uint32_t n)
{
    (void)s, (void)c;
    g_columns = n;
    return ERR_OK;
}

static db_err on_rows(struct sql_sink *s, const struct sql_rows *rows)
{
    (void)s;
    for (uint32_t r = 0; r < sql_rows_count(rows); r++) {
        for (uint32_t i = 0; i < g_columns; i++) {
            struct sql_cell c;
            char text[64];
            sql_rows_cell(rows, r, i, &c);
            if (c.kind == SQL_CELL_TEXT) {
                snprintf(text, sizeof(text), "%.*s", SLICE_FMT(c.v.text));
            } else if (c.kind == SQL_CELL_NULL) {
                snprintf(text, sizeof(text), "NULL");
            } else {
                snprintf(text, sizeof(text), "%lld", (long long)c.v.i64);
            }
            add(text);
            add(i + 1 < g_columns ? "," : ";");
        }
    }
    return ERR_OK;
}

static db_err on_end(struct sql_sink *s, const struct sql_status *st, bool more)
{
    (void)s, (void)st, (void)more;
    return ERR_OK;
}

static db_err on_error(struct sql_sink *s, const struct diag *d)
{
    char text[600];
    (void)s;
    snprintf(text, sizeof(text), "ERROR %u: %s", d->number, d->text);
    add(text);
    return ERR_OK;
}

static const struct sql_sink_ops g_ops = {on_columns, on_rows, on_end, on_end, on_error, NULL};

/* The result of the statements, on an engine of their own. */
static const char *query(struct storage *storage, const char *sql)
{
    struct sql_engine *engine;
    struct sql_session *session;
    struct sql_sink sink = {&g_ops};
    struct sql_engine_opts eo = {.storage = storage};
    struct sql_session_opts so = {.connection_id = 1,
                                  .user = SLICE_LIT("root"),
                                  .host = SLICE_LIT("localhost"),
                                  .charset = 255,
                                  .multi_statements = true};
    CHECK_OK(sql_engine_open(&eo, NULL, &engine));
    CHECK_OK(sql_session_open(engine, &so, NULL, &session));
    g_result[0] = '\0';
    db_err err = sql_session_query(session, slice_str(sql), &sink);
    (void)err; /* an error of the statement is in the result */
    sql_session_close(session);
    sql_engine_close(engine);
    return g_result;
}

static char g_path[64];

static void body(void *arg)
{
    struct storage *mem;
    struct storage *csv;
    struct diag diag;
    (void)arg;
    diag_reset(&diag);
    CHECK_OK(mem_storage_new(NULL, &mem));
    CHECK(strcmp(
              query(mem,
                    "create database d; create table d.t(a int primary key, b varchar(20), key(b));"
                    "insert into d.t values(1,'one'),(2,'two'),(3,NULL)"),
              "") == 0);
    CHECK_OK(csv_storage_export(mem, g_path, &diag));
    storage_close(mem);

    CHECK_OK(csv_storage_open(g_path, &diag, &csv));
    CHECK(strcmp(query(csv, "select a, b from d.t order by a desc"), "3,NULL;2,two;1,one;") == 0);
    CHECK(strcmp(query(csv, "select a from d.t where b = 'two'"), "2;") == 0);
    CHECK(strcmp(query(csv, "select count(*), max(t.a) from d.t join d.t u on t.a = u.a + 1"),
                 "2,3;") == 0);
    CHECK(strstr(query(csv, "insert into d.t values(4,'four')"), "ERROR") != NULL);
    CHECK(strstr(query(csv, "create table d.u(a int)"), "ERROR") != NULL);
    storage_close(csv);
}

static void a_storage_of_an_integrator(void **state)
{
    (void)state;
    snprintf(g_path, sizeof(g_path), "./embed_test.XXXXXX");
    int fd = mkstemp(g_path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(loop_run_main(body, NULL), ERR_OK);
    unlink(g_path);
}

static void a_damaged_file_is_refused(void **state)
{
    struct storage *csv;
    struct diag diag;
    (void)state;
    diag_reset(&diag);
    assert_int_equal(csv_storage_open("./no such file", &diag, &csv), ERR_IO);
    FILE *f = fopen("./embed_test.damaged", "we");
    assert_non_null(f);
    fputs("00,11\nzz,11\n", f);
    fclose(f);
    assert_int_equal(csv_storage_open("./embed_test.damaged", &diag, &csv), ERR_CORRUPT);
    assert_non_null(strstr(diag.text, "line 2"));
    unlink("./embed_test.damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storage_of_an_integrator),
        cmocka_unit_test(a_damaged_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
