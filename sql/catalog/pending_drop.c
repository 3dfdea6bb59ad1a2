/* Records of key ranges to delete: KEYSPACE_SYSTEM, 'D', table id (8 bytes), index id (4 bytes),
 * big endian; the value is the node that works on it (8 bytes, big endian). */
#include "sql/catalog/catalog_int.h"

enum { DROP_KEY_SIZE = 14, OWNER_SIZE = 8 };

static struct slice drop_key(const struct pending_drop *d, uint8_t out[DROP_KEY_SIZE])
{
    system_key_head(out, SYSTEM_PENDING_DROP);
    for (int i = 0; i < 8; i++) {
        out[2 + i] = (uint8_t)(d->table_id >> (56 - 8 * i));
    }
    for (int i = 0; i < 4; i++) {
        out[10 + i] = (uint8_t)(d->index_id >> (24 - 8 * i));
    }
    return slice_of(out, DROP_KEY_SIZE);
}

static db_err write_record(const struct catalog *c, struct storage_txn *txn,
                           const struct pending_drop *drop, bool present, struct diag *diag)
{
    uint8_t bytes[DROP_KEY_SIZE];
    uint8_t owner[OWNER_SIZE];
    struct slice key = drop_key(drop, bytes);
    for (int i = 0; i < OWNER_SIZE; i++) {
        owner[i] = (uint8_t)(c->owner >> (56 - 8 * i));
    }
    return present ? storage_put(txn, key, slice_of(owner, OWNER_SIZE), 0, diag)
                   : storage_del(txn, key, 0, diag);
}

db_err catalog_add_drop(struct catalog_change *c, const struct pending_drop *drop,
                        struct diag *diag)
{
    return write_record(c->catalog, c->txn, drop, true, diag);
}

db_err catalog_cancel_drop(struct catalog_change *c, const struct pending_drop *drop,
                           struct diag *diag)
{
    return write_record(c->catalog, c->txn, drop, false, diag);
}

db_err catalog_put_drop(struct catalog *catalog, const struct pending_drop *drop, bool present,
                        struct diag *diag)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_READ_COMMITTED};
    struct storage_txn *txn;
    TRY(storage_txn_begin(catalog->storage, &opts, diag, &txn));
    db_err err = write_record(catalog, txn, drop, present, diag);
    if (err != ERR_OK) {
        storage_txn_rollback(txn);
        return err;
    }
    return storage_txn_commit(txn, diag, NULL);
}

struct drop_list {
    struct arena *arena;
    struct pending_drop *items;
    uint32_t count, cap;
};

static db_err list_add(void *arg, const struct storage_kv *kv)
{
    struct drop_list *l = arg;
    struct slice key = kv->key;
    if (key.len != DROP_KEY_SIZE) {
        return ERR_CORRUPT;
    }
    if (l->count == l->cap) {
        uint32_t cap = l->cap == 0 ? 16 : l->cap * 2;
        struct pending_drop *items = ARENA_ARRAY(l->arena, struct pending_drop, cap);
        if (items == NULL) {
            return ERR_NOMEM;
        }
        if (l->count != 0) {
            memcpy(items, l->items, l->count * sizeof(*items));
        }
        l->items = items;
        l->cap = cap;
    }
    struct pending_drop d = {0};
    for (int i = 0; i < 8; i++) {
        d.table_id = d.table_id << 8 | key.ptr[2 + i];
    }
    for (int i = 0; i < 4; i++) {
        d.index_id = d.index_id << 8 | key.ptr[10 + i];
    }
    for (size_t i = 0; i < OWNER_SIZE && kv->value.len == OWNER_SIZE; i++) {
        d.owner = d.owner << 8 | kv->value.ptr[i];
    }
    l->items[l->count++] = d;
    return ERR_OK;
}

static db_err read_records(struct storage_txn *txn, struct arena *arena, struct diag *diag,
                           struct drop_list *l)
{
    struct system_range of;
    system_range(&of, SYSTEM_PENDING_DROP, SYSTEM_PENDING_DROP);
    struct storage_scan_opts opts = {.start = of.start, .end = of.end};
    l->arena = arena;
    return storage_scan_each(txn, &opts, list_add, l, diag);
}

db_err catalog_pending_drops(struct catalog *catalog, struct arena *arena, struct diag *diag,
                             struct pending_drop **ret_drops, uint32_t *ret_count)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    struct drop_list l = {0};
    struct storage_txn *txn;
    TRY(storage_txn_begin(catalog->storage, &opts, diag, &txn));
    db_err err = read_records(txn, arena, diag, &l);
    storage_txn_rollback(txn);
    if (err == ERR_OK) {
        *ret_drops = l.items;
        *ret_count = l.count;
    }
    return err;
}
