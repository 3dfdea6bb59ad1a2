#include "sql/exec/kept_rows.h"

#include "sql/exec/exec_int.h"
#include "sql/opt/steady.h"

enum {
    UNFINISHED_MAX = 2,
    SHARE = 8 /* of what an operator may hold: several scans may be run again */
};

static db_err start(struct kept_rows *k, struct exec_ctx *ctx, const struct plan_node *scan)
{
    k->vectors = ARENA_ARRAY(ctx->arena, struct vector *, scan->column_count + 1);
    if (k->vectors == NULL) {
        return ERR_LIMIT;
    }
    TRY(packed_format_init(&k->format, scan->types, scan->column_count, ctx->arena));
    row_store_init(&k->store, ctx, &k->format);
    k->store.budget /= SHARE;
    k->state = KEPT_ADDED;
    return ERR_OK;
}

static void give_up(struct kept_rows *k)
{
    row_store_fini(&k->store);
    k->state = KEPT_OFF;
}

db_err kept_rows_again(struct kept_rows *k, struct exec_ctx *ctx, const struct plan_node *scan)
{
    switch (k->state) {
    case KEPT_NONE:
        /* the store says that memory is short only where it could spill */
        if (!ctx->plan->read_only || ctx->cursor_key != NULL || !spill_possible(ctx) ||
            ctx->span_node == scan || !plan_scan_is_steady(&scan->u.scan)) {
            k->state = KEPT_OFF;
            return ERR_OK;
        }
        return start(k, ctx, scan);
    case KEPT_ADDED:
        if (++k->unfinished == UNFINISHED_MAX) {
            give_up(k);
        } else {
            row_store_clear(&k->store, ctx);
        }
        return ERR_OK;
    case KEPT_WHOLE: k->at = 0; return ERR_OK;
    case KEPT_OFF: return ERR_OK;
    }
    return ERR_OK;
}

void kept_rows_add(struct kept_rows *k, struct exec_ctx *ctx, struct chunk *c)
{
    for (uint32_t i = 0; i < c->column_count; i++) {
        k->vectors[i] = &c->columns[i];
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (row_store_add(&k->store, ctx, k->vectors, i) != ERR_OK) {
            give_up(k);
            return;
        }
    }
}

void kept_rows_end(struct kept_rows *k)
{
    k->state = KEPT_WHOLE;
    k->at = k->store.count;
}

uint32_t kept_rows_left(const struct kept_rows *k)
{
    uint64_t left = k->store.count - k->at;
    return left < CHUNK_ROWS ? (uint32_t)left : CHUNK_ROWS;
}

db_err kept_rows_read(struct kept_rows *k, struct exec_ctx *ctx, struct chunk *c, uint32_t n)
{
    chunk_reset(c);
    TRY(row_store_read(&k->store, ctx, k->at, n, c->columns, c->column_count, 0));
    c->count = n;
    k->at += n;
    return ERR_OK;
}

void kept_rows_fini(struct kept_rows *k)
{
    row_store_fini(&k->store);
    k->state = KEPT_OFF;
}
