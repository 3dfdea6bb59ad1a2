/* The SQL library alone, without network, cluster or RocksDB: an engine on the in-memory storage,
 * and one on a storage that an integrator brought. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/test_main.h"
#include "base/loop.h"
#include "sql/storage/mem/mem.h"
#include "sql/test_sink.h"
#include "tests/embed/csv_storage.h"

static char g_result[4096]; /* rows as text, or "ERROR number" */

struct answer {
    struct test_sink t;
    struct buf text;
};

static void put_row(struct test_sink *t, const struct sql_rows *rows, uint32_t row)
{
    struct buf *text = &CONTAINER_OF(t, struct answer, t)->text;
    for (uint32_t i = 0; i < t->columns; i++) {
        test_sink_cell(text, rows, row, i);
        CHECK_OK(buf_append_u8(text, i + 1 < t->columns ? ',' : ';'));
    }
}

/* The result of the statements, on an engine of their own. */
static const char *query(struct storage *storage, const char *sql)
{
    struct test_engine e;
    struct answer a = {.t = {.on_row = put_row}};
    buf_init(&a.text, sizeof(g_result) / 2);
    test_engine_open(&e, &(struct sql_engine_opts){.storage = storage});
    test_sink_query(&a.t, e.session, slice_str(sql));
    test_engine_close(&e);
    int n = snprintf(g_result, sizeof(g_result), "%.*s", SLICE_FMT(buf_slice(&a.text)));
    if (a.t.errors != 0) {
        snprintf(g_result + n, sizeof(g_result) - (size_t)n, "ERROR %u: %s", a.t.error,
                 a.t.error_text);
    }
    buf_fini(&a.text);
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
