#include "tests/embed/csv_storage.h"

#include <stdlib.h>

#include "base/alloc.h"

/* Rows lie in a sorted array for the storage's whole life, so that results can be borrowed from it.
 * There are no writers: a transaction has no state, and locks are always free. */

struct csv_storage {
    struct storage base;
    struct arena arena; /* keys and values */
    struct storage_kv *rows;
    size_t count;
    struct storage_txn txn; /* stateless: one for all */
};

struct csv_scan {
    struct storage_scan base;
    const struct storage_kv *rows;
    size_t from, to; /* what is left of the array */
    bool reverse;
    struct storage_kv one; /* of a reverse scan */
};

static int order(const void *a, const void *b)
{
    return slice_cmp(((const struct storage_kv *)a)->key, ((const struct storage_kv *)b)->key);
}

/* The first row at or after the key. */
static size_t place(const struct csv_storage *s, struct slice key)
{
    size_t lo = 0;
    size_t hi = s->count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (slice_cmp(s->rows[mid].key, key) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static struct csv_storage *storage_of(struct storage_txn *t)
{
    return CONTAINER_OF(t, struct csv_storage, txn);
}

/* ---- transactions ---- */

static struct storage_caps csv_caps(struct storage *s)
{
    (void)s;
    return (struct storage_caps){.persistent = true};
}

static void csv_close(struct storage *base)
{
    struct csv_storage *s = CONTAINER_OF(base, struct csv_storage, base);
    arena_fini(&s->arena);
    mem_free(s->rows);
    mem_free(s);
}

static db_err csv_begin(struct storage *base, const struct storage_txn_opts *opts,
                        struct diag *diag, struct storage_txn **ret_txn)
{
    (void)opts;
    (void)diag;
    *ret_txn = &CONTAINER_OF(base, struct csv_storage, base)->txn;
    return ERR_OK;
}

static db_err csv_commit(struct storage_txn *t, struct diag *diag, uint64_t *ret_ts)
{
    (void)t, (void)diag;
    *ret_ts = 1;
    return ERR_OK;
}

static void csv_rollback(struct storage_txn *t)
{
    (void)t;
}

/* ---- reads ---- */

static db_err csv_get(struct storage_txn *t, struct slice key, enum storage_read_mode mode,
                      enum storage_wait wait, struct arena *arena, struct diag *diag,
                      bool *ret_found, struct slice *ret_value)
{
    const struct csv_storage *s = storage_of(t);
    size_t at = place(s, key);
    (void)mode, (void)wait, (void)arena, (void)diag;
    *ret_found = at < s->count && slice_eq(s->rows[at].key, key);
    if (*ret_found) {
        *ret_value = s->rows[at].value;
    }
    return ERR_OK;
}

static db_err csv_scan_open(struct storage_txn *t, const struct storage_scan_opts *opts,
                            struct diag *diag, struct storage_scan **ret_scan)
{
    const struct csv_storage *s = storage_of(t);
    struct csv_scan *scan = mem_calloc(1, sizeof(*scan));
    (void)diag;
    if (scan == NULL) {
        return ERR_NOMEM;
    }
    *scan = (struct csv_scan){.base = {t->ops},
                              .rows = s->rows,
                              .from = place(s, opts->start),
                              .to = opts->end.len == 0 ? s->count : place(s, opts->end),
                              .reverse = opts->reverse};
    *ret_scan = &scan->base;
    return ERR_OK;
}

enum { BATCH_ROWS = 1024 };

static db_err csv_scan_next(struct storage_scan *base, struct diag *diag,
                            const struct storage_kv **ret_rows, size_t *ret_count)
{
    struct csv_scan *s = CONTAINER_OF(base, struct csv_scan, base);
    size_t left = s->to > s->from ? s->to - s->from : 0;
    (void)diag;
    if (s->reverse && left != 0) {
        s->one = s->rows[--s->to];
        *ret_rows = &s->one;
        *ret_count = 1;
        return ERR_OK;
    }
    *ret_count = left < BATCH_ROWS ? left : BATCH_ROWS;
    *ret_rows = s->rows + s->from;
    s->from += *ret_count;
    return ERR_OK;
}

static void csv_scan_close(struct storage_scan *base)
{
    mem_free(CONTAINER_OF(base, struct csv_scan, base));
}

static db_err csv_estimate(struct storage *base, struct slice start, struct slice end,
                           uint64_t *ret_rows, uint64_t *ret_bytes)
{
    const struct csv_storage *s = CONTAINER_OF(base, struct csv_storage, base);
    size_t to = end.len == 0 ? s->count : place(s, end);
    size_t from = place(s, start);
    *ret_rows = to > from ? to - from : 0;
    *ret_bytes = *ret_rows * 64;
    return ERR_OK;
}

static const struct storage_ops csv_ops = {
    .name = "csv",
    .caps = csv_caps,
    .close = csv_close,
    .txn_begin = csv_begin,
    .txn_commit = csv_commit,
    .txn_rollback = csv_rollback,
    .get = csv_get,
    .scan_open = csv_scan_open,
    .scan_next = csv_scan_next,
    .scan_close = csv_scan_close,
    .estimate = csv_estimate,
};

struct storage *csv_storage_of(struct arena *arena, struct storage_kv *rows, size_t count)
{
    struct csv_storage *s = mem_calloc(1, sizeof(*s));
    if (s != NULL) {
        *s = (struct csv_storage){.base = {&csv_ops},
                                  .arena = *arena,
                                  .rows = rows,
                                  .count = count,
                                  .txn = {.ops = &csv_ops}};
        qsort(rows, count, sizeof(*rows), order);
    }
    return s == NULL ? NULL : &s->base;
}
