/* Runs SQL from standard input on the in-memory storage and prints results, tab-separated: the SQL
 * library without a network. sqlrun < file.sql */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/loop.h"
#include "sql/sql.h"
#include "sql/storage/mem/mem.h"
#include "sql/storage/storage.h"

static uint32_t g_columns;

static db_err on_columns(struct sql_sink *s, const struct sql_column *c, uint32_t n)
{
    (void)s;
    g_columns = n;
    for (uint32_t i = 0; i < n; i++) {
        printf("%s%.*s", i == 0 ? "" : "\t", SLICE_FMT(c[i].name));
    }
    printf("\n");
    return ERR_OK;
}

static void print_cell(const struct sql_cell *c)
{
    const struct sql_time *t = &c->v.time;
    switch (c->kind) {
    case SQL_CELL_NULL: printf("NULL"); break;
    case SQL_CELL_INT: printf("%" PRId64, c->v.i64); break;
    case SQL_CELL_UINT: printf("%" PRIu64, c->v.u64); break;
    case SQL_CELL_FLOAT:
    case SQL_CELL_DOUBLE: printf("%.15g", c->v.f64); break;
    case SQL_CELL_TEXT: printf("%.*s", SLICE_FMT(c->v.text)); break;
    case SQL_CELL_TIME:
        printf("%s%02u:%02u:%02u", t->negative ? "-" : "", t->hour, t->minute, t->second);
        break;
    case SQL_CELL_DATE: printf("%04u-%02u-%02u", t->year, t->month, t->day); break;
    case SQL_CELL_DATETIME:
        printf("%04u-%02u-%02u %02u:%02u:%02u", t->year, t->month, t->day, t->hour, t->minute,
               t->second);
        break;
    }
}

static db_err on_rows(struct sql_sink *s, const struct sql_rows *rows)
{
    (void)s;
    for (uint32_t r = 0; r < sql_rows_count(rows); r++) {
        for (uint32_t i = 0; i < g_columns; i++) {
            struct sql_cell c;
            sql_rows_cell(rows, r, i, &c);
            printf("%s", i == 0 ? "" : "\t");
            print_cell(&c);
        }
        printf("\n");
    }
    return ERR_OK;
}

static db_err on_end(struct sql_sink *s, const struct sql_status *st, bool more)
{
    (void)s;
    (void)st;
    (void)more;
    printf("--\n");
    return ERR_OK;
}

static db_err on_ok(struct sql_sink *s, const struct sql_status *st, bool more)
{
    (void)s;
    (void)more;
    printf("ok affected=%" PRIu64 " id=%" PRIu64 " warnings=%u %.*s\n", st->affected_rows,
           st->last_insert_id, st->warnings, SLICE_FMT(st->info));
    return ERR_OK;
}

static db_err on_error(struct sql_sink *s, const struct diag *d)
{
    (void)s;
    printf("ERROR %u (%s): %s\n", d->number, d->sqlstate, d->text);
    return ERR_OK;
}

static const struct sql_sink_ops g_ops = {on_columns, on_rows, on_end, on_ok, on_error, NULL};

static void run(void *arg)
{
    struct diag d;
    struct storage *storage = NULL;
    struct sql_engine *engine = NULL;
    struct sql_session *session = NULL;
    struct sql_sink sink = {&g_ops};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    (void)arg;
    diag_reset(&d);
    if (mem_storage_new(NULL, &storage) != ERR_OK ||
        sql_engine_open(&(struct sql_engine_opts){.storage = storage}, &d, &engine) != ERR_OK) {
        fprintf(stderr, "no engine: %s\n", d.text);
        exit(1);
    }
    struct sql_session_opts o = {.connection_id = 1,
                                 .user = SLICE_LIT("root"),
                                 .host = SLICE_LIT("localhost"),
                                 .charset = 255,
                                 .multi_statements = true};
    if (sql_session_open(engine, &o, &d, &session) != ERR_OK) {
        fprintf(stderr, "no session: %s\n", d.text);
        exit(1);
    }
    while ((n = getline(&line, &cap, stdin)) > 0) {
        if (sql_session_query(session, slice_of(line, (size_t)n), &sink) != ERR_OK) {
            break;
        }
    }
    free(line);
    sql_session_close(session);
    sql_engine_close(engine);
    storage_close(storage);
}

int main(void)
{
    return loop_run_main(run, NULL) == ERR_OK ? 0 : 1;
}
