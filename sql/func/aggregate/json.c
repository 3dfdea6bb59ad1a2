/* JSON_ARRAYAGG and JSON_OBJECTAGG. A state keeps the documents given, written down one after the
 * other; the result is put together from them once. */
#include "sql/func/families.h"

#include "sql/func/aggregate/aggregate_int.h"

enum { FIRST_CAP = 64, LENGTH_BYTES = 4 };

db_err agg_bind_json(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    if (call->variant == 1) {
        func__want_text(ctx, &args[0]);
    }
    call->type = json__type();
    call->collation = COLL_BINARY;
    call->coercibility = 2;
    return ERR_OK;
}

static db_err append(struct arena *arena, struct agg_json_state *s, struct slice bytes)
{
    size_t need = s->len + LENGTH_BYTES + bytes.len;
    uint32_t len = (uint32_t)bytes.len;
    if (need > JSON_TEXT_MAX) {
        return ERR_LIMIT;
    }
    if (need > s->cap) {
        size_t cap = s->cap == 0 ? FIRST_CAP : s->cap;
        while (cap < need) {
            cap *= 2;
        }
        uint8_t *p = arena_alloc(arena, cap);
        if (p == NULL) {
            return ERR_LIMIT;
        }
        if (s->len != 0) {
            memcpy(p, s->ptr, s->len);
        }
        s->ptr = p;
        s->cap = cap;
    }
    memcpy(s->ptr + s->len, &len, LENGTH_BYTES);
    if (len != 0) {
        memcpy(s->ptr + s->len + LENGTH_BYTES, bytes.ptr, len);
    }
    s->len = need;
    return ERR_OK;
}

static db_err append_value(struct eval_ctx *ctx, struct arena *arena, const struct vector *v,
                           uint32_t row, struct agg_json_state *s)
{
    struct json_node *n;
    struct slice doc;
    struct vector *const args[1] = {(struct vector *)(uintptr_t)v};
    TRY(json__value(ctx, NULL, args, 0, row, &n));
    TRY(json_write_arena(n, ctx->arena, ctx->diag, &doc));
    return append(arena, s, doc);
}

db_err agg_update_json(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                       struct vector *const *args, const uint16_t *sel, uint32_t n,
                       void *const *states)
{
    bool object = call->variant == 1;
    EACH_ROW(row)
    {
        struct agg_json_state *s = states[row_i];
        if (object) {
            struct slice key;
            if (vec_is_null(args[0], row)) {
                return my_error(ctx->diag, ER_JSON_DOCUMENT_NULL_KEY);
            }
            if (args[0]->type->collation == COLL_BINARY) {
                return my_error(ctx->diag, ER_INVALID_JSON_CHARSET, "binary");
            }
            TRY(json__utf8(ctx, args[0]->type, vec_str(args[0], row), &key));
            TRY(append(arena, s, key));
        }
        TRY(append_value(ctx, arena, args[object ? 1 : 0], row, s));
        s->rows++;
    }
    return ERR_OK;
}

db_err agg_merge_json(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                      void *into, const void *from)
{
    (void)ctx;
    unsigned per_row = call->variant == 1 ? 2 : 1;
    struct agg_json_state *a = into;
    const struct agg_json_state *b = from;
    size_t at = 0;
    for (uint64_t i = 0; i < b->rows * per_row; i++) {
        uint32_t len;
        memcpy(&len, b->ptr + at, LENGTH_BYTES);
        TRY(append(arena, a, slice_of(b->ptr + at + LENGTH_BYTES, len)));
        at += LENGTH_BYTES + len;
    }
    a->rows += b->rows;
    return ERR_OK;
}

static struct slice next(const struct agg_json_state *s, size_t *io_at)
{
    uint32_t len;
    memcpy(&len, s->ptr + *io_at, LENGTH_BYTES);
    struct slice bytes = slice_of(s->ptr + *io_at + LENGTH_BYTES, len);
    *io_at += LENGTH_BYTES + len;
    return bytes;
}

static db_err build(const struct agg_json_state *s, bool object, struct arena *arena,
                    struct json_node **ret)
{
    struct json_node *n = json_node_new(arena, object ? JSON_OBJECT : JSON_ARRAY);
    size_t at = 0;
    if (n == NULL) {
        return ERR_LIMIT;
    }
    for (uint64_t i = 0; i < s->rows; i++) {
        struct slice key = object ? next(s, &at) : SLICE_EMPTY;
        struct json_view v = json_view_of(next(s, &at));
        struct json_node *item = json_node_of(arena, &v);
        if (item == NULL) {
            return ERR_LIMIT;
        }
        TRY(object ? json_set_member(arena, n, key, item) : json_append_item(arena, n, item));
    }
    *ret = n;
    return ERR_OK;
}

db_err agg_result_json(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                       struct vector *out, uint32_t row)
{
    const struct agg_json_state *s = state;
    struct json_node *n = NULL;
    struct slice doc;
    struct arena scratch;
    if (s->rows == 0) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    arena_init(&scratch, NULL, ctx->arena->tracker, 0);
    db_err err = build(s, call->variant == 1, &scratch, &n);
    if (err == ERR_OK) {
        err = json_write_arena(n, &scratch, ctx->diag, &doc);
    }
    if (err == ERR_OK) {
        err = vec_set_str(out, row, doc);
    }
    arena_fini(&scratch);
    return err;
}
