/* The locks that changes of many rows need, asked for together.
 *
 * Each write of a row asks for the locks of its unique keys when it comes to them: the old entry's,
 * and that of the key that must be new. Where the storage is another node each is a round trip. So
 * what some rows are going to ask for is asked for at once beforehand, in the order of the keys and
 * without waiting; who is refused here waits in its turn. That is all: the writes look and complain
 * as before. A statement that fails half-way keeps locks of rows that it has not come to. */
#include "sql/exec/row_writer.h"

#include "sql/storage/storage.h"

struct key_list {
    struct slice *keys;
    size_t count;
};

struct keys_of_rows {
    struct row_writer *w;
    struct arena arena;
    struct buf key, value;
    struct key_list old, fresh;
};

static db_err add(struct keys_of_rows *k, struct slice key, struct key_list *list)
{
    if (key.len > STORAGE_KEY_SIZE_MAX) {
        return ERR_OK;
    }
    return arena_copy(&k->arena, key, &list->keys[list->count++]);
}

/* Its key is in k->key; *ret_unique: it must be nobody else's. */
static db_err encode(struct keys_of_rows *k, uint32_t i, const struct value *row, bool *ret_unique)
{
    bool null = false;
    buf_reset(&k->key);
    buf_reset(&k->value);
    TRY(i == 0 ? row_key_encode(&k->w->format->indexes[0], row, &k->key)
               : index_entry_encode(&k->w->format->indexes[i], row, &k->key, &k->value, &null));
    *ret_unique = !null;
    return ERR_OK;
}

static db_err add_index(struct keys_of_rows *k, uint32_t i, const struct row_change *c)
{
    bool was_unique = false;
    bool unique = false;
    struct slice old = SLICE_EMPTY;
    if (c->old != NULL) {
        TRY(encode(k, i, c->old, &was_unique));
        TRY(arena_copy(&k->arena, buf_slice(&k->key), &old));
    }
    if (c->new_row != NULL) {
        TRY(encode(k, i, c->new_row, &unique));
        if (c->old != NULL && slice_eq(old, buf_slice(&k->key))) {
            return ERR_OK; /* it stays where it is */
        }
    }
    TRY(unique ? add(k, buf_slice(&k->key), &k->fresh) : ERR_OK);
    /* The row itself has been read for update. */
    return was_unique && i != 0 ? add(k, old, &k->old) : ERR_OK;
}

/* Entries of several values are left to the writes. */
static bool is_asked_for(const struct row_writer *w, uint32_t i, const bool *touched)
{
    const struct table_def *t = w->table;
    bool unique = i == 0 ? t->has_primary : w->format->indexes[i].unique;
    return unique && (touched == NULL || touched[i] || touched[0]) &&
           index_multi_part(t, &t->indexes[i]) < 0;
}

bool row_locks_worth(const struct row_writer *w, const bool *touched, bool inserts)
{
    for (uint32_t i = inserts || touched != NULL ? 0 : 1; i < w->table->index_count; i++) {
        if (is_asked_for(w, i, touched)) {
            return true;
        }
    }
    return false;
}

static db_err add_all(struct keys_of_rows *k, const struct row_change *rows, uint32_t n,
                      const bool *touched)
{
    size_t room = (size_t)n * k->w->table->index_count;
    k->old.keys = ARENA_ARRAY(&k->arena, struct slice, room);
    k->fresh.keys = ARENA_ARRAY(&k->arena, struct slice, room);
    if (k->old.keys == NULL || k->fresh.keys == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t i = 0; i < k->w->table->index_count; i++) {
            TRY(is_asked_for(k->w, i, touched) ? add_index(k, i, &rows[r]) : ERR_OK);
        }
    }
    return ERR_OK;
}

db_err row_lock_keys(struct row_writer *w, const struct row_change *rows, uint32_t n,
                     const bool *touched)
{
    struct exec_ctx *ctx = w->ctx;
    struct keys_of_rows k = {.w = w};
    arena_init(&k.arena, NULL, ctx->mem, 0);
    buf_init(&k.key, STORAGE_VALUE_SIZE_MAX); /* whether one is too long, the write tells */
    buf_init(&k.value, STORAGE_VALUE_SIZE_MAX);
    db_err err = add_all(&k, rows, n, touched);
    if (err == ERR_OK && k.old.count > 1) {
        err = storage_lock(ctx->txn, k.old.keys, k.old.count, STORAGE_READ_EXCLUSIVE,
                           STORAGE_SKIP_LOCKED, ctx->diag);
    }
    if (err == ERR_OK && k.fresh.count > 1) {
        err = storage_lock_new(ctx->txn, k.fresh.keys, k.fresh.count, ctx->diag);
    }
    buf_fini(&k.value);
    buf_fini(&k.key);
    arena_fini(&k.arena);
    return err;
}

db_err row_lock_new(struct row_writer *w, const struct value *rows, uint32_t n)
{
    struct row_change some[ROW_LOCKS_MAX];
    uint32_t count = n < ROW_LOCKS_MAX ? n : ROW_LOCKS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        some[i] = (struct row_change){.new_row = &rows[(size_t)i * w->table->column_count]};
    }
    return count > 1 ? row_lock_keys(w, some, count, NULL) : ERR_OK;
}
