#include "sql/exec/multi_entries.h"

#include <stdlib.h>
#include <string.h>

#include "sql/exec/multi_value.h"

enum { KEY_BUF_MAX = 64 * 1024 };

static int by_key(const void *a, const void *b)
{
    return slice_cmp(((const struct multi_entry *)a)->key, ((const struct multi_entry *)b)->key);
}

static db_err add_entry(struct multi_entries *e, const struct index_format *f,
                        const struct value *row, struct buf *key, struct buf *value)
{
    struct multi_entry *out = &e->items[e->count];
    buf_reset(key);
    buf_reset(value);
    TRY(index_entry_encode(f, row, key, value, &out->has_null));
    TRY(arena_copy(&e->arena, buf_slice(key), &out->key));
    TRY(arena_copy(&e->arena, buf_slice(value), &out->value));
    e->count++;
    return ERR_OK;
}

static db_err make(struct multi_entries *e, const struct table_def *t, uint32_t index,
                   const struct value *row, struct buf *key, struct buf *value)
{
    const struct index_def *ix = &t->indexes[index];
    uint32_t ordinal = ix->parts[index_multi_part(t, ix)].column;
    const struct sql_type *element = t->columns[ordinal].element;
    struct value *flat = ARENA_ARRAY(&e->arena, struct value, t->column_count);
    struct value *values;
    uint32_t count;
    if (flat == NULL) {
        return ERR_LIMIT;
    }
    memcpy(flat, row, t->column_count * sizeof(*flat));
    TRY(multi_values(element, &row[ordinal], &e->arena, &values, &count));
    e->items = ARENA_ARRAY(&e->arena, struct multi_entry, count + 1);
    if (e->items == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        flat[ordinal] = values[i];
        TRY(add_entry(e, &t->format->indexes[index], flat, key, value));
    }
    if (count == 0) {
        value_set_null(&flat[ordinal], element);
        TRY(add_entry(e, &t->format->indexes[index], flat, key, value));
    }
    qsort(e->items, e->count, sizeof(*e->items), by_key);
    return ERR_OK;
}

db_err multi_entries_init(struct multi_entries *e, struct mem_tracker *mem,
                          const struct table_def *t, uint32_t index, const struct value *row)
{
    struct buf key;
    struct buf value;
    *e = (struct multi_entries){.count = 0};
    arena_init(&e->arena, NULL, mem, 0);
    buf_init(&key, KEY_BUF_MAX);
    buf_init(&value, STORAGE_VALUE_SIZE_MAX);
    db_err err = make(e, t, index, row, &key, &value);
    buf_fini(&key);
    buf_fini(&value);
    return err;
}

void multi_entries_fini(struct multi_entries *e)
{
    arena_fini(&e->arena);
}

const struct multi_entry *multi_entries_find(const struct multi_entries *e, struct slice key)
{
    const struct multi_entry wanted = {.key = key};
    return e->count == 0 ? NULL : bsearch(&wanted, e->items, e->count, sizeof(*e->items), by_key);
}
