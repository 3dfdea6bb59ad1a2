/* For tests and benches through SQL: a sink that counts what a statement answered and gives each
 * row to whoever wants it, and an engine with one session. All of it runs on a fiber of a loop. */
#ifndef SKEIN_SQL_TEST_SINK_H
#define SKEIN_SQL_TEST_SINK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sql/sql.h"

struct test_sink {
    struct sql_sink sink;
    /* Sees row `row` of a chunk; NULL: rows are only counted. */
    void (*on_row)(struct test_sink *t, const struct sql_rows *rows, uint32_t row);
    uint32_t columns;
    uint64_t rows;
    uint32_t warnings;
    uint16_t server_status;
    unsigned errors; /* statements that failed */
    unsigned error;  /* of the last of them, with its text */
    char error_text[600];
};

static inline db_err test_sink_columns(struct sql_sink *s, const struct sql_column *c, uint32_t n)
{
    (void)c;
    CONTAINER_OF(s, struct test_sink, sink)->columns = n;
    return ERR_OK;
}

static inline db_err test_sink_rows(struct sql_sink *s, const struct sql_rows *rows)
{
    struct test_sink *t = CONTAINER_OF(s, struct test_sink, sink);
    uint32_t n = sql_rows_count(rows);
    for (uint32_t r = 0; r < n && t->on_row != NULL; r++) {
        t->on_row(t, rows, r);
    }
    t->rows += n;
    return ERR_OK;
}

static inline db_err test_sink_end(struct sql_sink *s, const struct sql_status *st, bool more)
{
    (void)more;
    struct test_sink *t = CONTAINER_OF(s, struct test_sink, sink);
    t->warnings = st->warnings;
    t->server_status = st->server_status;
    return ERR_OK;
}

static inline db_err test_sink_error(struct sql_sink *s, const struct diag *d)
{
    struct test_sink *t = CONTAINER_OF(s, struct test_sink, sink);
    t->errors++;
    t->error = d->number;
    snprintf(t->error_text, sizeof(t->error_text), "%s", d->text);
    return ERR_OK;
}

static const struct sql_sink_ops test_sink_ops = {test_sink_columns, test_sink_rows,  test_sink_end,
                                                  test_sink_end,     test_sink_error, NULL};

/* Runs a statement, with everything that it answers in *t, which goes on counting; on_row is the
 * caller's. An error of the statement is not one of the call. */
static inline void test_sink_query(struct test_sink *t, struct sql_session *s, struct slice sql)
{
    t->sink.ops = &test_sink_ops;
    if (sql_session_query(s, sql, &t->sink) != ERR_OK) {
        fprintf(stderr, "the session ends: %.*s\n", SLICE_FMT(sql));
        abort();
    }
}

/* A statement that may not fail. */
static inline void test_sink_must(struct sql_session *s, const char *sql)
{
    struct test_sink t = {.on_row = NULL};
    test_sink_query(&t, s, slice_str(sql));
    if (t.errors != 0) {
        fprintf(stderr, "%.80s: %u %s\n", sql, t.error, t.error_text);
        abort();
    }
}

/* Numbers as their digits, texts as they are, NULL as that word. */
static inline void test_sink_cell(struct buf *to, const struct sql_rows *rows, uint32_t row,
                                  uint32_t column)
{
    struct sql_cell c;
    db_err err = ERR_OK;
    sql_rows_cell(rows, row, column, &c);
    switch (c.kind) {
    case SQL_CELL_NULL: err = buf_append_slice(to, SLICE_LIT("NULL")); break;
    case SQL_CELL_TEXT: err = buf_append_slice(to, c.v.text); break;
    case SQL_CELL_INT: err = buf_printf(to, "%lld", (long long)c.v.i64); break;
    case SQL_CELL_UINT: err = buf_printf(to, "%llu", (unsigned long long)c.v.u64); break;
    case SQL_CELL_FLOAT:
    case SQL_CELL_DOUBLE: err = buf_printf(to, "%.17g", c.v.f64); break;
    case SQL_CELL_TIME:
    case SQL_CELL_DATE:
    case SQL_CELL_DATETIME:
        err = buf_printf(to, "%u-%u-%u %u:%u:%u.%u", c.v.time.year, c.v.time.month, c.v.time.day,
                         c.v.time.hour, c.v.time.minute, c.v.time.second, c.v.time.microsecond);
        break;
    }
    if (err != ERR_OK) {
        abort();
    }
}

struct test_engine {
    struct sql_engine *engine;
    struct sql_session *session; /* of root */
};

/* The storage stays the caller's. */
static inline void test_engine_open(struct test_engine *e, const struct sql_engine_opts *opts)
{
    struct sql_session_opts so = {.connection_id = 1,
                                  .user = SLICE_LIT("root"),
                                  .host = SLICE_LIT("localhost"),
                                  .charset = 255,
                                  .multi_statements = true};
    struct diag d;
    diag_reset(&d);
    if (sql_engine_open(opts, &d, &e->engine) != ERR_OK ||
        sql_session_open(e->engine, &so, &d, &e->session) != ERR_OK) {
        fprintf(stderr, "no engine: %s\n", d.text);
        abort();
    }
}

static inline void test_engine_close(struct test_engine *e)
{
    sql_session_close(e->session);
    sql_engine_close(e->engine);
}

#endif
