/* What one statement costs from text or prepared handle to rows, on the in-memory storage, one
 * session: sysbench's statements. exec_bench [seconds per statement] [name part] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "sql/storage/mem/mem.h"
#include "sql/storage/storage.h"
#include "sql/test_sink.h"

enum { ROWS = 10000, BATCH = 200 };

static uint64_t g_bytes;

static void read_row(struct test_sink *t, const struct sql_rows *rows, uint32_t row)
{
    for (uint32_t i = 0; i < t->columns; i++) {
        struct sql_cell c;
        sql_rows_cell(rows, row, i, &c);
        g_bytes += c.kind == SQL_CELL_TEXT ? c.v.text.len : 8;
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
        test_sink_must(s, (const char *)b.ptr);
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

static uint64_t run_prepared(struct sql_session *s, const struct bench_case *c, uint64_t until,
                             struct test_sink *sink)
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
        if (sql_stmt_execute(stmt, p, (uint32_t)c->params, false, &sink->sink) != ERR_OK) {
            abort();
        }
    }
    sql_stmt_close(stmt);
    return n;
}

static uint64_t run_text(struct sql_session *s, const struct bench_case *c, uint64_t until,
                         struct test_sink *sink)
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
        test_sink_query(sink, s, slice_of(sql, (size_t)len));
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
    struct test_engine e;
    if (mem_storage_new(NULL, &storage) != ERR_OK) {
        abort();
    }
    test_engine_open(&e, &(struct sql_engine_opts){.storage = storage});
    struct sql_session *s = e.session;
    test_sink_must(s, "CREATE DATABASE sbtest");
    test_sink_must(s, "USE sbtest");
    test_sink_must(
        s, "CREATE TABLE sbtest1 (id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, "
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
            struct test_sink sink = {.sink = {&test_sink_ops}, .on_row = read_row};
            uint64_t n = text ? run_text(s, c, until, &sink) : run_prepared(s, c, until, &sink);
            double us = (double)(clock_mono_ns() - start) / 1e3 / (double)(n == 0 ? 1 : n);
            printf("%-18s %-8s %8.2f us  %9" PRIu64 " statements, %.1f rows each, %u errors\n",
                   c->name, text ? "text" : "prepared", us, n, (double)sink.rows / (double)(n + !n),
                   sink.errors);
            if (sink.errors != 0) {
                fprintf(stderr, "error %u: %s\n", sink.error, sink.error_text);
            }
        }
    }
    test_engine_close(&e);
    storage_close(storage);
}

int main(int argc, char **argv)
{
    struct args a = {argc > 1 ? strtod(argv[1], NULL) : 0.5, argc > 2 ? argv[2] : NULL};
    return loop_run_main(run, &a) == ERR_OK ? 0 : 1;
}
