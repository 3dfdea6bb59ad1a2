/* CREATE TABLE and SHOW CREATE TABLE against what MySQL answered (testdata/show_create.txt, written
 * by scripts/gen/record_show_create.py). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fiber.h"
#include "base/test_main.h"
#include "sql/charset/charset.h"
#include "sql/ddl/ddl.h"
#include "sql/ddl/mdl.h"
#include "sql/diag/diag_area.h"
#include "sql/parser/parser.h"
#include "sql/storage/mem/mem.h"
#include "sql/types/sql_mode.h"

enum { TEXT_MAX = 1 << 20 };

struct world {
    struct storage *storage;
    struct catalog *catalog;
    struct mdl *mdl;
    struct mdl_owner owner;
    struct diag_area warnings;
    struct arena arena;
    struct diag diag;
};

static db_err execute(struct world *w, const char *text)
{
    struct parse_options options = {0};
    struct ast_stmt *stmt;
    size_t used;
    diag_reset(&w->diag);
    TRY(parser_parse(&w->arena, slice_str(text), &options, &w->diag, &stmt, &used));
    const struct catalog_snapshot *snap = catalog_acquire(w->catalog);
    struct bind_opts bind = {.snapshot = snap,
                             .current_schema = SLICE_LIT("test"),
                             .sql_mode = SQL_MODE_STRICT_TRANS_TABLES | SQL_MODE_NO_ZERO_DATE |
                                         SQL_MODE_NO_ZERO_IN_DATE | SQL_MODE_NO_ENGINE_SUBSTITUTION,
                             .connection_collation = COLL_UTF8MB4_0900_AI_CI,
                             .charset_client = COLL_UTF8MB4_0900_AI_CI,
                             .div_precision_increment = 4,
                             .max_allowed_packet = 64 << 20};
    struct ddl_ctx ctx = {.catalog = w->catalog,
                          .storage = w->storage,
                          .arena = &w->arena,
                          .diag = &w->diag,
                          .bind = &bind,
                          .server_collation = COLL_UTF8MB4_0900_AI_CI,
                          .warnings = &w->warnings,
                          .mdl = w->mdl,
                          .mdl_owner = &w->owner};
    CHECK(ddl_handles(stmt->kind));
    db_err err = ddl_execute(&ctx, stmt);
    mdl_release_all(w->mdl, &w->owner);
    catalog_release(snap);
    return err;
}

static void open_world(struct world *w)
{
    *w = (struct world){0};
    arena_init(&w->arena, NULL, NULL, 0);
    diag_area_init(&w->warnings);
    CHECK_OK(mem_storage_new(NULL, &w->storage));
    CHECK_OK(catalog_open(w->storage, &w->diag, &w->catalog));
    CHECK_OK(mdl_new(&w->mdl));
    CHECK_OK(execute(w, "CREATE DATABASE test"));
}

static void close_world(struct world *w)
{
    diag_area_fini(&w->warnings);
    mdl_free(w->mdl);
    catalog_close(w->catalog);
    storage_close(w->storage);
    arena_fini(&w->arena);
}

/* The result as the file has it. */
static void answer(struct world *w, const char *statement, struct buf *out)
{
    struct buf text;
    CHECK_OK(execute(w, "DROP TABLE IF EXISTS t"));
    db_err err = execute(w, statement);
    if (err != ERR_OK) {
        CHECK(err == ERR_SQL);
        CHECK_OK(buf_printf(out, "! %u %s\n", (unsigned)w->diag.number, w->diag.text));
        return;
    }
    const struct catalog_snapshot *snap = catalog_acquire(w->catalog);
    const struct table_def *t = snapshot_table(snap, SLICE_LIT("test"), SLICE_LIT("t"));
    CHECK(t != NULL);
    buf_init(&text, TEXT_MAX);
    CHECK_OK(ddl_show_create_table(&w->arena, t, &text));
    catalog_release(snap);
    CHECK_OK(buf_append_u8(&text, '\0'));
    char *save = NULL;
    for (char *line = strtok_r((char *)text.ptr, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        CHECK_OK(buf_printf(out, "| %s\n", line));
    }
    buf_fini(&text);
}

static unsigned compare(struct world *w, const char *statement, const struct buf *expected)
{
    struct buf got;
    buf_init(&got, TEXT_MAX);
    answer(w, statement, &got);
    bool same = slice_eq(buf_slice(&got), buf_slice(expected));
    if (!same) {
        print_error("%s\n-- MySQL:\n%.*s-- here:\n%.*s", statement, SLICE_FMT(buf_slice(expected)),
                    SLICE_FMT(buf_slice(&got)));
    }
    buf_fini(&got);
    arena_reset(&w->arena);
    return same ? 0 : 1;
}

static void run_file(void *arg)
{
    unsigned *failed = arg;
    struct world w;
    char *line = NULL;
    size_t cap = 0;
    char *statement = NULL;
    struct buf expected;
    ssize_t n;
    FILE *f = fopen(DDL_TESTDATA "/show_create.txt", "r");
    CHECK(f != NULL);
    open_world(&w);
    buf_init(&expected, TEXT_MAX);
    do {
        n = getline(&line, &cap, f);
        bool result = n > 0 && (line[0] == '|' || line[0] == '!');
        if (result) {
            CHECK_OK(buf_append(&expected, line, (size_t)n));
            continue;
        }
        if (statement != NULL) {
            *failed += compare(&w, statement, &expected);
            free(statement);
            statement = NULL;
            buf_reset(&expected);
        }
        if (n > 1 && line[0] != '#') {
            line[n - 1] = '\0';
            statement = strdup(line);
        }
    } while (n > 0);
    buf_fini(&expected);
    free(line);
    fclose(f);
    close_world(&w);
}

static void test_recorded(void **state)
{
    unsigned failed = 0;
    (void)state;
    assert_int_equal(loop_run_main(run_file, &failed), ERR_OK);
    assert_int_equal(failed, 0);
}

/* ---- what is left behind ---- */

static uint32_t pending(struct world *w)
{
    struct pending_drop *drops;
    uint32_t count;
    CHECK_OK(catalog_pending_drops(w->catalog, &w->arena, NULL, &drops, &count));
    return count;
}

static void run_clean_up(void *arg)
{
    struct world w;
    struct pending_drop drop = {.table_id = 77, .index_id = 3};
    (void)arg;
    open_world(&w);
    CHECK_OK(execute(&w, "CREATE TABLE a (x INT PRIMARY KEY, y INT, KEY (y))"));
    CHECK_OK(execute(&w, "ALTER TABLE a DROP KEY y, ADD UNIQUE k (y)"));
    CHECK_OK(execute(&w, "ALTER TABLE a DROP PRIMARY KEY"));
    CHECK_OK(execute(&w, "TRUNCATE a"));
    CHECK_OK(execute(&w, "DROP TABLE a"));
    CHECK(pending(&w) == 0);
    /* As after a crash between the change and the deletion. */
    CHECK_OK(catalog_put_drop(w.catalog, &drop, true, NULL));
    drop.index_id = 0;
    CHECK_OK(catalog_put_drop(w.catalog, &drop, true, NULL));
    CHECK(pending(&w) == 2);
    CHECK_OK(ddl_recover(w.catalog, w.storage, 0, NULL));
    CHECK(pending(&w) == 0);
    close_world(&w);
}

static void test_clean_up(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(run_clean_up, NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
