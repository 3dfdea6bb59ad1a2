#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/embed/csv_storage.h"

/* The file: a line `key,value` in hexadecimal for each row. */

enum { LINE_MAX_SIZE = 1 << 20 };

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static db_err parse_hex(const char *text, size_t n, struct arena *arena, struct slice *ret)
{
    uint8_t *bytes = arena_alloc(arena, n / 2 + 1);
    if (bytes == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i + 1 < n; i += 2) {
        int high = digit(text[i]);
        int low = digit(text[i + 1]);
        if (high < 0 || low < 0) {
            return ERR_CORRUPT;
        }
        bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    *ret = slice_of(bytes, n / 2);
    return n % 2 == 0 ? ERR_OK : ERR_CORRUPT;
}

static db_err parse_line(const char *line, struct arena *arena, struct storage_kv *ret_row)
{
    const char *comma = strchr(line, ',');
    if (comma == NULL) {
        return ERR_CORRUPT;
    }
    TRY(parse_hex(line, (size_t)(comma - line), arena, &ret_row->key));
    return parse_hex(comma + 1, strcspn(comma + 1, "\r\n"), arena, &ret_row->value);
}

struct rows {
    struct storage_kv *items;
    size_t count, cap;
};

static db_err add(struct rows *r, const struct storage_kv *row)
{
    if (r->count == r->cap) {
        size_t cap = r->cap == 0 ? 256 : r->cap * 2;
        struct storage_kv *grown = mem_realloc(r->items, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        r->items = grown;
        r->cap = cap;
    }
    r->items[r->count++] = *row;
    return ERR_OK;
}

db_err csv_storage_open(const char *path, struct diag *diag, struct storage **ret_storage)
{
    struct arena arena;
    struct rows rows = {0};
    struct storage_kv row;
    db_err err = ERR_OK;
    FILE *f = fopen(path, "re");
    char *line = mem_alloc(LINE_MAX_SIZE);
    if (f == NULL || line == NULL) {
        err = diag_set(diag, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    arena_init(&arena, NULL, NULL, 0);
    while (err == ERR_OK && fgets(line, LINE_MAX_SIZE, f) != NULL) {
        err = parse_line(line, &arena, &row);
        err = err == ERR_OK ? add(&rows, &row) : err;
        if (err == ERR_CORRUPT) {
            err = diag_set(diag, err, "%s, line %zu: not KEY,VALUE in hexadecimal", path,
                           rows.count + 1);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    mem_free(line);
    struct storage *s = err == ERR_OK ? csv_storage_of(&arena, rows.items, rows.count) : NULL;
    if (s == NULL) {
        arena_fini(&arena);
        mem_free(rows.items);
        return err == ERR_OK ? ERR_NOMEM : err;
    }
    *ret_storage = s;
    return ERR_OK;
}

static bool put_hex(FILE *f, struct slice s)
{
    bool ok = true;
    for (size_t i = 0; i < s.len; i++) {
        ok = fprintf(f, "%02x", s.ptr[i]) == 2 && ok;
    }
    return ok;
}

static db_err write_rows(struct storage_txn *txn, FILE *f, struct diag *diag)
{
    struct storage_scan_opts opts = {0};
    struct storage_scan *scan;
    const struct storage_kv *rows;
    size_t count;
    TRY(storage_scan_open(txn, &opts, diag, &scan));
    db_err err;
    while ((err = storage_scan_next(scan, diag, &rows, &count)) == ERR_OK && count != 0) {
        for (size_t i = 0; i < count && err == ERR_OK; i++) {
            bool ok = put_hex(f, rows[i].key) && fputc(',', f) != EOF &&
                      put_hex(f, rows[i].value) && fputc('\n', f) != EOF;
            err = ok ? ERR_OK : diag_set(diag, ERR_IO, "cannot write: %s", strerror(errno));
        }
        if (err != ERR_OK) {
            break;
        }
    }
    storage_scan_close(scan);
    return err;
}

db_err csv_storage_export(struct storage *from, const char *path, struct diag *diag)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    struct storage_txn *txn;
    FILE *f = fopen(path, "we");
    if (f == NULL) {
        return diag_set(diag, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    db_err err = storage_txn_begin(from, &opts, diag, &txn);
    if (err == ERR_OK) {
        err = write_rows(txn, f, diag);
        storage_txn_rollback(txn);
    }
    return fclose(f) == 0 ? err : err_first(err, ERR_IO);
}
