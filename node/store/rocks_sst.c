/* Sorted files: written for snapshots and bulk loads, ingested, and hard-linked by a checkpoint. */
#include "node/store/rocks_int.h"

#include "base/alloc.h"

struct rocks_sst {
    struct engine_sst base;
    rocksdb_sstfilewriter_t *writer;
    rocksdb_envoptions_t *env;
    uint64_t count;
};

static struct rocks_sst *sst_of(struct engine_sst *s)
{
    return CONTAINER_OF(s, struct rocks_sst, base);
}

static db_err sst_put(struct engine_sst *base, struct slice key, struct slice value)
{
    struct rocks_sst *s = sst_of(base);
    char *text = NULL;
    rocksdb_sstfilewriter_put(s->writer, (const char *)key.ptr, key.len, (const char *)value.ptr,
                              value.len, &text);
    s->count++;
    return text == NULL ? ERR_OK : rocks__err(text, NULL);
}

static db_err sst_finish(struct engine_sst *base, uint64_t *ret_size)
{
    struct rocks_sst *s = sst_of(base);
    char *text = NULL;
    if (s->count == 0) {
        return ERR_INVALID;
    }
    rocksdb_sstfilewriter_finish(s->writer, &text);
    if (text != NULL) {
        return rocks__err(text, NULL);
    }
    rocksdb_sstfilewriter_file_size(s->writer, ret_size);
    return ERR_OK;
}

static void sst_close(struct engine_sst *base)
{
    struct rocks_sst *s = sst_of(base);
    rocksdb_sstfilewriter_destroy(s->writer);
    rocksdb_envoptions_destroy(s->env);
    mem_free(s);
}

static const struct engine_sst_ops sst_ops = {
    .put = sst_put, .finish = sst_finish, .close = sst_close};

db_err rocks__sst_open(struct engine *e, enum engine_cf cf, const char *path,
                       struct engine_sst **ret_sst)
{
    struct rocks_engine *r = rocks_of(e);
    struct rocks_sst *s = mem_calloc(1, sizeof(*s));
    char *text = NULL;
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->base.ops = &sst_ops;
    s->env = rocksdb_envoptions_create();
    s->writer = rocksdb_sstfilewriter_create(s->env, r->options[1 + cf]);
    rocksdb_sstfilewriter_open(s->writer, path, &text);
    if (text != NULL) {
        sst_close(&s->base);
        return rocks__err(text, NULL);
    }
    *ret_sst = &s->base;
    return ERR_OK;
}

db_err rocks__ingest(struct engine *e, enum engine_cf cf, const char *const *paths, size_t count,
                     struct diag *diag)
{
    struct rocks_engine *r = rocks_of(e);
    char *text = NULL;
    rocksdb_ingestexternalfileoptions_t *o = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(o, 1);
    rocksdb_ingestexternalfileoptions_set_snapshot_consistency(o, 1);
    struct rocks_change change;
    rocks__change_begin(r, &change);
    rocks__change_all(r, &change);
    rocksdb_ingest_external_file_cf(r->db, r->cf[cf], paths, count, o, &text);
    rocks__change_end(r, &change);
    rocksdb_ingestexternalfileoptions_destroy(o);
    return text == NULL ? ERR_OK : rocks__err(text, diag);
}

db_err rocks__checkpoint(struct engine *e, const char *dir, struct diag *diag)
{
    struct rocks_engine *r = rocks_of(e);
    char *text = NULL;
    TRY(engine_flush_wait(e));
    rocksdb_checkpoint_t *c = rocksdb_checkpoint_object_create(r->db, &text);
    if (text != NULL) {
        return rocks__err(text, diag);
    }
    rocksdb_checkpoint_create(c, dir, 0, &text);
    rocksdb_checkpoint_object_destroy(c);
    return text == NULL ? rocks__points_copy(r, dir) : rocks__err(text, diag);
}
