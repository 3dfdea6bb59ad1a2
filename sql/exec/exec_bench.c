/* What one statement costs from text or prepared handle to rows, on the in-memory storage, one
 * session: sysbench's statements. exec_bench [seconds per statement] [name part] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "sql/sql.h"
#include "sql/storage/mem/mem.h"
#include "sql/storage/storage.h"

enum { ROWS = 10000, BATCH = 200 };

static uint64_t g_rows;
static uint64_t g_bytes;
static unsigned g_errors;
static uint32_t g_columns;

static db_err on_columns(struct sql_sink *s, const struct sql_column *c, uint32_t n)
{
    (void)s;
    (void)c;
    g_columns = n;
    return ERR_OK;
}

static db_err on_rows(struct sql_sink *s, const struct sql_rows *rows)
{
    (void)s;
    for (uint32_t r = 0; r < sql_rows_count(rows); r++) {
        for (uint32_t i = 0; i < g_columns; i++) {
            struct sql_cell c;
            sql_rows_cell(rows, r, i, &c);
            g_bytes += c.kind == SQL_CELL_TEXT ? c.v.text.len : 8;
        }
        g_rows++;
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
    (void)s;
    if (g_errors++ == 0) {
        fprintf(stderr, "error %u: %s\n", d->number, d->text);
    }
    return ERR_OK;
}

static const struct sql_sink_ops g_ops = {on_columns, on_rows, on_end, on_end, on_error, NULL};
static struct sql_sink g_sink = {&g_ops};

static void query(struct sql_session *s, const char *sql)
{
    if (sql_session_query(s, slice_str(sql), &g_sink) != ERR_OK) {
        abort();
    }
}

static void fill(struct sql_session *s)
{
    struct buf b;
    buf_init(&b, 1u << 22);
    for (unsigned from = 1; from <= ROWS; from += BATCH) {
        buf_reset(&b);
        bool ok = buf_printf(&b, "INSERT INTO sbtest1 VALUES ") == ERR_OK;
        for (unsigned i = from; i < from + BATCH; i++) {
            unsigned x = i * 2654435761u;
            ok = ok && buf_printf(&b, "%s(%u,%u,'", i == from ? "" : ",", i, x % ROWS) == ERR_OK;
            for (int k = 0; k < 10; k++) {
                x = x * 1664525u + 1013904223u;
                ok = ok && buf_printf(&b, "%011u%s", x, k == 9 ? "" : "-") == ERR_OK;
            }
            ok = ok && buf_printf(&b, "','%011u-%011u-%011u-%011u-%011u')", x, x / 3, x / 5, x / 7,
                                  x / 9) == ERR_OK;
        }
        if (!ok || buf_append_u8(&b, 0) != ERR_OK) {
            abort();
        }
        query(s, (const char *)b.ptr);
    }
    buf_fini(&b);
}

struct bench_case {
    const char *name;
    const char *sql;
    int params; /* the first is a row id, the second that + 99 unless `second` says otherwise */
    bool insert;
};

static const struct bench_case g_cases[] = {
    {"point select", "SELECT c FROM sbtest1 WHERE id=?", 1, false},
    {"simple range", "SELECT c FROM sbtest1 WHERE id BETWEEN ? AND ?", 2, false},
    {"sum range", "SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN ? AND ?", 2, false},
    {"order range", "SELECT c FROM sbtest1 WHERE id BETWEEN ? AND ? ORDER BY c", 2, false},
    {"distinct range", "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN ? AND ? ORDER BY c", 2,
     false},
    {"update index", "UPDATE sbtest1 SET k=k+1 WHERE id=?", 1, false},
    {"update non-index", "UPDATE sbtest1 SET c='a text that is new' WHERE id=?", 1, false},
    {"delete", "DELETE FROM sbtest1 WHERE id=?", 1, false},
    {"insert", "INSERT INTO sbtest1 (id, k, c, pad) VALUES (?, 1, 'some text', 'more')", 1, true},
};

static uint32_t next_id(const struct bench_case *c, uint64_t i)
{
    return c->insert ? (uint32_t)(ROWS + 1 + i) : (uint32_t)((i * 7919) % (ROWS - 100) + 1);
}

static uint64_t run_prepared(struct sql_session *s, const struct bench_case *c, uint64_t until)
{
    struct sql_stmt *stmt;
    struct diag d;
    diag_reset(&d);
    if (sql_stmt_prepare(s, slice_str(c->sql), &d, &stmt) != ERR_OK) {
        fprintf(stderr, "%s: %s\n", c->name, d.text);
        return 0;
    }
    uint64_t n = 0;
    for (; (n & 63) != 0 || clock_mono_ns() < until; n++) {
        uint32_t id = next_id(c, n);
        struct sql_param p[2] = {{.type = 8, .cell = {.kind = SQL_CELL_INT, .v.i64 = id}},
                                 {.type = 8, .cell = {.kind = SQL_CELL_INT, .v.i64 = id + 99}}};
        if (sql_stmt_execute(stmt, p, (uint32_t)c->params, false, &g_sink) != ERR_OK) {
            abort();
        }
    }
    sql_stmt_close(stmt);
    return n;
}

static uint64_t run_text(struct sql_session *s, const struct bench_case *c, uint64_t until)
{
    uint64_t n = 0;
    for (; (n & 63) != 0 || clock_mono_ns() < until; n++) {
        char sql[400];
        uint32_t ids[2] = {next_id(c, n) + (c->insert ? 100000000u : 0), 0};
        ids[1] = ids[0] + 99;
        int len = 0;
        int at = 0;
        for (const char *p = c->sql; *p != 0 && len < (int)sizeof(sql) - 20; p++) {
            if (*p == '?') {
                len += snprintf(sql + len, 20, "%u", ids[at++]);
            } else {
                sql[len++] = *p;
            }
        }
        if (sql_session_query(s, slice_of(sql, (size_t)len), &g_sink) != ERR_OK) {
            abort();
        }
    }
    return n;
}

struct args {
    double seconds;
    const char *part;
};

static void run(void *arg)
{
    const struct args *a = arg;
    struct storage *storage;
    struct sql_engine *engine;
    struct sql_session *s;
    struct diag d;
    diag_reset(&d);
    struct sql_session_opts o = {.connection_id = 1,
                                 .user = SLICE_LIT("root"),
                                 .host = SLICE_LIT("localhost"),
                                 .charset = 255};
    if (mem_storage_new(NULL, &storage) != ERR_OK ||
        sql_engine_open(&(struct sql_engine_opts){.storage = storage}, &d, &engine) != ERR_OK ||
        sql_session_open(engine, &o, &d, &s) != ERR_OK) {
        fprintf(stderr, "no engine: %s\n", d.text);
        return;
    }
    query(s, "CREATE DATABASE sbtest");
    query(s, "USE sbtest");
    query(s, "CREATE TABLE sbtest1 (id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, "
             "c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', PRIMARY KEY (id), "
             "KEY k_1 (k))");
    fill(s);
    for (size_t i = 0; i < sizeof(g_cases) / sizeof(g_cases[0]); i++) {
        const struct bench_case *c = &g_cases[i];
        if (a->part != NULL && strstr(c->name, a->part) == NULL) {
            continue;
        }
        for (int text = 0; text < 2; text++) {
            uint64_t start = clock_mono_ns();
            uint64_t until = start + (uint64_t)(a->seconds * 1e9);
            g_rows = 0;
            uint64_t n = text ? run_text(s, c, until) : run_prepared(s, c, until);
            double us = (double)(clock_mono_ns() - start) / 1e3 / (double)(n == 0 ? 1 : n);
            printf("%-18s %-8s %8.2f us  %9" PRIu64 " statements, %.1f rows each, %u errors\n",
                   c->name, text ? "text" : "prepared", us, n, (double)g_rows / (double)(n + !n),
                   g_errors);
            g_errors = 0;
        }
    }
    sql_session_close(s);
    sql_engine_close(engine);
    storage_close(storage);
}

int main(int argc, char **argv)
{
    struct args a = {argc > 1 ? strtod(argv[1], NULL) : 0.5, argc > 2 ? argv[2] : NULL};
    return loop_run_main(run, &a) == ERR_OK ? 0 : 1;
}
