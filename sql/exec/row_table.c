#include "sql/exec/row_table.h"

#include <stdatomic.h>

#include "base/alloc.h"

enum { BUCKETS_MIN = 64 };

void row_table_init(struct row_table *t, const struct packed_format *format, uint32_t key_count,
                    struct mem_tracker *mem, size_t budget)
{
    *t = (struct row_table){.format = format, .key_count = key_count, .mem = mem, .budget = budget};
    arena_init(&t->rows, NULL, mem, 0);
}

static void free_buckets(struct row_table *t)
{
    if (t->mem != NULL && t->bucket_count != 0) {
        mem_tracker_release(t->mem, t->bucket_count * sizeof(*t->buckets));
    }
    mem_free(t->buckets);
    t->buckets = NULL;
    t->bucket_count = 0;
}

void row_table_fini(struct row_table *t)
{
    free_buckets(t);
    arena_fini(&t->rows);
    t->first = t->last = NULL;
    t->count = 0;
}

void row_table_clear(struct row_table *t)
{
    free_buckets(t);
    arena_reset(&t->rows);
    t->first = t->last = NULL;
    t->count = 0;
}

size_t row_table_bytes(const struct row_table *t)
{
    return t->rows.used + t->bucket_count * sizeof(*t->buckets);
}

bool row_memory_is_short(const struct mem_tracker *mem, size_t held, size_t budget)
{
    enum { FAIR_SHARE = 4, RESERVE = 4 };
    if (held > budget) {
        return true;
    }
    if (held < budget / FAIR_SHARE) {
        return false;
    }
    for (; mem != NULL; mem = mem->parent) {
        size_t used = atomic_load_explicit(&mem->used, memory_order_relaxed);
        if (mem->limit != 0 && used > mem->limit - mem->limit / RESERVE) {
            return true;
        }
    }
    return false;
}

struct row_node *row_table_match(const struct row_table *t, struct row_node *from, uint64_t hash,
                                 struct vector *const *keys, uint32_t row)
{
    for (; from != NULL; from = from->next) {
        if (from->row.hash == hash &&
            packed_equal_vectors(t->format, t->key_count, keys, row, &from->row)) {
            return from;
        }
    }
    return NULL;
}

static void link_node(struct row_table *t, struct row_node *n)
{
    struct row_node **bucket = &t->buckets[n->row.hash & (t->bucket_count - 1)];
    n->next = *bucket;
    *bucket = n;
}

static db_err set_buckets(struct row_table *t, uint64_t count)
{
    size_t bytes = count * sizeof(*t->buckets);
    if (t->rows.used + bytes > t->budget && count > BUCKETS_MIN) {
        return ERR_LIMIT;
    }
    if (t->mem != NULL) {
        TRY(mem_tracker_charge(t->mem, bytes));
    }
    struct row_node **buckets = mem_calloc(count, sizeof(*buckets));
    if (buckets == NULL) {
        if (t->mem != NULL) {
            mem_tracker_release(t->mem, bytes);
        }
        return ERR_NOMEM;
    }
    free_buckets(t);
    t->buckets = buckets;
    t->bucket_count = count;
    return ERR_OK;
}

static void reverse(struct row_table *t)
{
    struct row_node *done = NULL;
    t->last = t->first;
    for (struct row_node *n = t->first; n != NULL;) {
        struct row_node *newer = n->newer;
        n->newer = done;
        done = n;
        n = newer;
    }
    t->first = done;
}

/* Rows without a key are all in one. */
static uint64_t buckets_wanted(const struct row_table *t)
{
    uint64_t count = BUCKETS_MIN;
    while (t->key_count != 0 && count < t->count + t->count / 2) {
        count *= 2;
    }
    return count;
}

static db_err build(struct row_table *t, uint64_t count)
{
    TRY(set_buckets(t, count));
    reverse(t); /* the last one linked is found first */
    for (struct row_node *n = t->first; n != NULL; n = n->newer) {
        link_node(t, n);
    }
    reverse(t);
    return ERR_OK;
}

db_err row_table_build(struct row_table *t)
{
    return build(t, buckets_wanted(t));
}

db_err row_table_build_small(struct row_table *t)
{
    uint64_t count = buckets_wanted(t);
    db_err err = build(t, count);
    while (err == ERR_LIMIT && count > BUCKETS_MIN) {
        count /= 2;
        err = build(t, count);
    }
    return err;
}

static db_err new_node(struct row_table *t, size_t size, struct row_node **ret)
{
    size_t bytes = offsetof(struct row_node, row) + size;
    bool block_full = t->rows.pos == NULL || (size_t)(t->rows.end - t->rows.pos) < bytes;
    if (block_full && t->count != 0 &&
        row_memory_is_short(t->mem, row_table_bytes(t) + bytes, t->budget)) {
        return ERR_LIMIT;
    }
    struct row_node *n = arena_alloc(&t->rows, bytes);
    if (n == NULL) {
        return ERR_LIMIT;
    }
    n->next = n->newer = NULL;
    n->extra = NULL;
    *ret = n;
    return ERR_OK;
}

static void list_node(struct row_table *t, struct row_node *n)
{
    if (t->last == NULL) {
        t->first = n;
    } else {
        t->last->newer = n;
    }
    t->last = n;
    t->count++;
}

/* Room for one more; a table that may not grow its buckets gets slower, not smaller. */
static db_err grow_buckets(struct row_table *t)
{
    if (t->count < t->bucket_count) {
        return ERR_OK;
    }
    uint64_t before = t->bucket_count;
    db_err err = set_buckets(t, before == 0 ? BUCKETS_MIN : before * 4);
    if (err != ERR_OK) {
        return before == 0 ? err : ERR_OK;
    }
    for (struct row_node *n = t->first; n != NULL; n = n->newer) {
        link_node(t, n);
    }
    return ERR_OK;
}

db_err row_table_append(struct row_table *t, uint64_t hash, struct vector *const *vectors,
                        uint32_t row)
{
    struct row_node *n;
    size_t size = packed_size(t->format, vectors, row);
    TRY(new_node(t, size, &n));
    packed_write(t->format, vectors, row, size, &n->row);
    n->row.hash = hash;
    list_node(t, n);
    return ERR_OK;
}

db_err row_table_append_packed(struct row_table *t, const struct packed_row *row)
{
    struct row_node *n;
    TRY(new_node(t, row->size, &n));
    memcpy(&n->row, row, row->size);
    list_node(t, n);
    return ERR_OK;
}

db_err row_table_insert(struct row_table *t, uint64_t hash, struct vector *const *vectors,
                        uint32_t row, struct row_node **ret_node)
{
    TRY(grow_buckets(t));
    TRY(row_table_append(t, hash, vectors, row));
    link_node(t, t->last);
    *ret_node = t->last;
    return ERR_OK;
}
