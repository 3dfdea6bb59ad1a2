/* Running a decoded fragment: an execution context of its own, without session, parameters or
 * temporary files. Whatever warns or fails as a statement would is not said here. */
#include "sql/codec/chunk_codec.h"
#include "sql/pushdown/pushdown_int.h"

struct run {
    struct arena arena;  /* plan and operators */
    struct arena chunks; /* of evaluation, reset between chunks */
    struct decoded plan;
    struct cast_ctx cast;
    struct eval_env env;
    struct exec_ctx ctx;
    struct op *root;
    bool said; /* something that the user must hear */
};

static void on_warning(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    (void)level;
    (void)number;
    (void)text;
    ((struct run *)arg)->said = true;
}

static db_err prepare(struct run *r, const struct pushdown_job *job, struct diag *diag)
{
    const pb_env *e = r->plan.env;
    cast_ctx_init(&r->cast, &r->chunks, diag);
    r->cast.sql_mode = e->sql_mode;
    r->cast.div_precision_increment = (uint8_t)e->div_precision_increment;
    r->cast.collation = (uint16_t)e->cast_collation;
    r->cast.now_local = e->now_local;
    r->cast.warn = on_warning;
    r->cast.warn_arg = r;
    if (timezone_find(slice_of(e->time_zone.data, e->time_zone.len), diag, &r->cast.tz) != ERR_OK) {
        return ERR_UNSUPPORTED;
    }
    r->env = (struct eval_env){.now_us = e->now_us,
                               .sql_mode = e->sql_mode,
                               .div_precision_increment = e->div_precision_increment,
                               .default_week_format = e->default_week_format,
                               .block_encryption_mode = e->block_encryption_mode,
                               .group_concat_max_len = e->group_concat_max_len,
                               .max_allowed_packet = e->max_allowed_packet,
                               .connection_collation = (uint16_t)e->connection_collation};
    r->ctx = (struct exec_ctx){.storage = job->storage,
                               .arena = &r->arena,
                               .mem = job->mem,
                               .diag = diag,
                               .sql_mode = e->sql_mode,
                               .span_node = r->plan.scan,
                               .span = job->span};
    r->ctx.eval = (struct eval_ctx){.arena = &r->chunks,
                                    .statement = &r->arena,
                                    .cast = &r->cast,
                                    .diag = diag,
                                    .env = &r->env};
    return ERR_OK;
}

static db_err drain(struct run *r, const struct pushdown_job *job, struct buf *page,
                    bool *ret_complete)
{
    size_t start = page->len;
    uint64_t rows = 0;
    TRY(exec_build(&r->ctx, r->plan.root, &r->root));
    TRY(op_open(r->root, &r->ctx));
    for (;;) {
        struct chunk *chunk;
        arena_reset(&r->chunks);
        TRY(op_next(r->root, &r->ctx, &chunk));
        if (r->said) {
            return ERR_UNSUPPORTED;
        }
        if (chunk == NULL) {
            break;
        }
        rows += chunk->count;
        if (chunk->count != 0) {
            TRY(chunk_encode(chunk, page));
        }
        /* Operators that have taken in the whole span give it all: what they have left is lost
         * otherwise. */
        enum plan_kind top = r->plan.root->kind;
        bool streams = top != PLAN_HASH_AGG && top != PLAN_STREAM_AGG && top != PLAN_TOPN;
        if (streams && page->len - start >= job->bytes_max) {
            break;
        }
    }
    const struct plan_node *n = r->plan.root;
    *ret_complete = n->kind == PLAN_LIMIT && rows >= n->u.limit.limit->u.constant.u;
    return ERR_OK;
}

static db_err run_with(struct run *r, const struct pushdown_job *job, struct diag *diag,
                       struct buf *page, bool *ret_complete)
{
    const struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    TRY(prepare(r, job, diag));
    TRY(storage_txn_begin(job->storage, &opts, diag, &r->ctx.txn));
    db_err err = drain(r, job, page, ret_complete);
    op_close(r->root, &r->ctx);
    storage_txn_rollback(r->ctx.txn);
    return err;
}

db_err pushdown_run(const struct pushdown_job *job, struct diag *diag, struct buf *page,
                    bool *ret_complete)
{
    struct run r = {0};
    arena_init(&r.arena, NULL, job->mem, 0);
    arena_init(&r.chunks, NULL, job->mem, 0);
    db_err err = pushdown__decode(job->plan, &r.arena, diag, &r.plan);
    if (err == ERR_OK) {
        err = run_with(&r, job, diag, page, ret_complete);
    }
    table_descriptor_free(r.plan.table);
    arena_fini(&r.chunks);
    arena_fini(&r.arena);
    return err == ERR_SQL || err == ERR_LIMIT ? ERR_UNSUPPORTED : err;
}
