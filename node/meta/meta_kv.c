#include "node/meta/meta_int.h"
#include "node/store/keyspace.h"

/* Meta's own records are versions at a fixed timestamp, so that each is overwritten in place and
 * needs no oracle; they lie in the meta range's part of the key space and move with it. */

enum { META_VERSION_TS = 1 };

static size_t key_prefix(enum meta_key_kind kind, uint8_t *out)
{
    out[0] = KEYSPACE_META;
    out[1] = (uint8_t)kind;
    return 2;
}

static db_err data_key(struct buf *b, enum meta_key_kind kind, struct slice name)
{
    uint8_t prefix[2];
    uint8_t ts[DATA_TS_SIZE];
    put_be64(ts, ~(uint64_t)META_VERSION_TS);
    TRY(buf_append(b, prefix, key_prefix(kind, prefix)));
    TRY(buf_append_slice(b, name));
    return buf_append(b, ts, sizeof(ts));
}

enum { META_KEY_MAX = 64 * 1024 };

db_err meta_kv_put(struct store_batch *b, enum meta_key_kind kind, struct slice name,
                   struct slice value)
{
    static const uint8_t put[] = {DATA_PUT};
    struct buf key;
    buf_init(&key, META_KEY_MAX);
    db_err err = data_key(&key, kind, name);
    if (err == ERR_OK) {
        err = store_batch_put_parts(b, ENGINE_DATA, buf_slice(&key), SLICE_EMPTY, slice_of(put, 1),
                                    value);
    }
    buf_fini(&key);
    return err;
}

db_err meta_kv_delete(struct store_batch *b, enum meta_key_kind kind, struct slice name)
{
    struct buf key;
    buf_init(&key, META_KEY_MAX);
    db_err err = data_key(&key, kind, name);
    if (err == ERR_OK) {
        err = store_batch_delete(b, ENGINE_DATA, buf_slice(&key));
    }
    buf_fini(&key);
    return err;
}

db_err meta_kv_get(struct meta *m, enum meta_key_kind kind, struct slice name, struct arena *arena,
                   bool *ret_found, struct slice *ret_value)
{
    struct buf key;
    struct slice v;
    bool found = false;
    buf_init(&key, META_KEY_MAX);
    db_err err = data_key(&key, kind, name);
    if (err == ERR_OK) {
        err = engine_get(m->engine, ENGINE_DATA, buf_slice(&key), arena, &found, &v);
    }
    buf_fini(&key);
    if (err == ERR_OK && found && (v.len == 0 || v.ptr[0] != DATA_PUT)) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        *ret_found = found;
        if (found) {
            *ret_value = slice_from(v, 1);
        }
    }
    return err;
}

struct each_job {
    struct meta *m;
    enum meta_key_kind kind;
    db_err (*fn)(void *arg, struct slice name, struct slice value);
    void *arg;
    db_err err;
};

static db_err each_entry(struct each_job *j, struct engine_iter *it, struct slice prefix)
{
    while (it->valid) {
        struct slice user = data_key_user(it->key);
        if (!slice_starts_with(user, prefix)) {
            break;
        }
        if (it->value.len == 0 || it->value.ptr[0] != DATA_PUT) {
            return ERR_CORRUPT;
        }
        TRY(j->fn(j->arg, slice_from(user, prefix.len), slice_from(it->value, 1)));
        TRY(engine_iter_next(it));
    }
    return ERR_OK;
}

static void each_blocking(void *arg)
{
    struct each_job *j = arg;
    struct engine_iter_opts opts = {.tier = ENGINE_ANY};
    struct engine_iter *it = NULL;
    struct buf key;
    uint8_t prefix[2];
    size_t n = key_prefix(j->kind, prefix);
    buf_init(&key, META_KEY_MAX);
    j->err = data_key_set(&key, slice_of(prefix, n), UINT64_MAX);
    if (j->err == ERR_OK) {
        j->err = engine_iter_open(j->m->engine, ENGINE_DATA, &opts, &it);
    }
    if (j->err == ERR_OK) {
        j->err = engine_iter_seek(it, buf_slice(&key));
    }
    if (j->err == ERR_OK) {
        j->err = each_entry(j, it, slice_of(prefix, n));
    }
    engine_iter_close(it);
    buf_fini(&key);
}

db_err meta_kv_each(struct meta *m, enum meta_key_kind kind,
                    db_err (*fn)(void *arg, struct slice name, struct slice value), void *arg)
{
    struct each_job j = {.m = m, .kind = kind, .fn = fn, .arg = arg};
    blocking_run(each_blocking, &j);
    return j.err;
}

db_err meta_kv_write(struct meta *m, uint64_t term, const struct store_batch *b, struct diag *diag)
{
    if (term == 0) { /* the lease has gone since it was looked at */
        return diag_set(diag, ERR_NOT_LEADER, "this node does not lead the meta range");
    }
    return range_store_write(m->rs, RANGE_ID_META, term, b, diag);
}

db_err meta_kv_write_u64(struct meta *m, uint64_t term, enum meta_key_kind kind, struct slice name,
                         uint64_t value, struct diag *diag)
{
    struct store_batch b;
    uint8_t bytes[8];
    store_batch_init(&b);
    put_be64(bytes, value);
    db_err err = meta_kv_put(&b, kind, name, slice_of(bytes, sizeof(bytes)));
    if (err == ERR_OK) {
        err = meta_kv_write(m, term, &b, diag);
    }
    store_batch_fini(&b);
    return err;
}

db_err meta_kv_u64(struct slice value, uint64_t *ret_value)
{
    if (value.len != 8) {
        return ERR_CORRUPT;
    }
    *ret_value = get_be64(value.ptr);
    return ERR_OK;
}
