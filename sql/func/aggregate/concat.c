/* GROUP_CONCAT. The operator gives the rows in order and without duplicates; here they are joined,
 * up to group_concat_max_len bytes, where the text is cut at a character with warning 1260. */
#include "sql/func/families.h"

#include "sql/func/aggregate/aggregate_int.h"

enum { MAX_LEN_DEFAULT = 1024, FIRST_CAP = 64 };

/* Text of at most so many bytes. MYSQL: up to 512 characters are no TEXT. */
static struct sql_type text_of(uint64_t bytes, unsigned collation)
{
    enum { VARCHAR_CHARS = 512 };
    const struct charset *cs = collation_by_id(collation)->cs;
    bool binary = collation == COLL_BINARY;
    bytes = bytes == 0 ? (uint64_t)MAX_LEN_DEFAULT : bytes;
    uint64_t chars = bytes / cs->minlen;
    struct sql_type t;
    if (chars <= VARCHAR_CHARS) {
        t = type_char(binary ? TYPE_VARBINARY : TYPE_VARCHAR, (uint32_t)chars, collation);
    } else {
        uint64_t length;
        t = type_blob(binary ? TYPE_LONGBLOB : TYPE_LONGTEXT, collation);
        bool huge = __builtin_mul_overflow(bytes, (uint64_t)cs->maxlen * cs->maxlen, &length);
        t.length = huge || length > UINT32_MAX ? UINT32_MAX : (uint32_t)length;
    }
    t.flags = TYPE_F_EXPR;
    return t;
}

db_err agg_bind_concat(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    func__want_texts(ctx, args, call->arg_count);
    TRY(func_agree_collation(ctx, "group_concat", args, call->arg_count, &call->collation,
                             &call->coercibility));
    bool bytes = false;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        bytes = bytes || args[i].type.id == TYPE_BIT || args[i].type.id == TYPE_VECTOR;
    }
    bool nothing = true;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        nothing = nothing && args[i].type.id == TYPE_NULL;
    }
    call->collation = bytes || nothing ? (uint16_t)COLL_BINARY : call->collation;
    const struct charset *cs = collation_by_id(call->collation)->cs;
    const struct collation *own = collation_by_id(ctx->connection_collation);
    if (call->data != NULL && own != NULL && cs != own->cs && call->collation != COLL_BINARY) {
        struct slice *s = ARENA_NEW(ctx->arena, struct slice);
        if (s == NULL) {
            return ERR_NOMEM;
        }
        TRY(charset_convert_arena(own->cs, *(const struct slice *)call->data, cs, ctx->arena, s,
                                  NULL));
        call->data = s;
    }
    call->type = text_of(ctx->group_concat_max_len, call->collation);
    return ERR_OK;
}

static uint64_t max_len(const struct eval_ctx *ctx)
{
    return ctx->env != NULL && ctx->env->group_concat_max_len != 0 ? ctx->env->group_concat_max_len
                                                                   : (uint64_t)MAX_LEN_DEFAULT;
}

static db_err append(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                     struct agg_concat_state *s, struct slice text)
{
    uint64_t max = max_len(ctx);
    if (s->cut) {
        return ERR_OK;
    }
    if (s->len + (uint64_t)text.len > max) {
        text.len = (size_t)(max - s->len);
        text.len = collation_by_id(call->collation)
                       ->cs->ops->valid_prefix(collation_by_id(call->collation)->cs, text);
        s->cut = true;
        func__warn(ctx, ER_CUT_VALUE_GROUP_CONCAT, (unsigned)s->rows);
    }
    if (s->len + (uint64_t)text.len > s->cap) {
        uint64_t cap = s->cap == 0 ? FIRST_CAP : s->cap;
        while (cap < s->len + (uint64_t)text.len) {
            cap *= 2;
        }
        uint8_t *p = cap > UINT32_MAX ? NULL : arena_alloc(arena, cap);
        if (p == NULL) {
            return ERR_LIMIT;
        }
        if (s->len != 0) {
            memcpy(p, s->ptr, s->len);
        }
        s->ptr = p;
        s->cap = (uint32_t)cap;
    }
    if (text.len != 0) {
        memcpy(s->ptr + s->len, text.ptr, text.len);
    }
    s->len += (uint32_t)text.len;
    return ERR_OK;
}

static struct slice separator(const struct agg_call *call)
{
    return call->data != NULL ? *(const struct slice *)call->data : SLICE_LIT(",");
}

db_err agg_update_concat(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                         struct vector *const *args, const uint16_t *sel, uint32_t n,
                         void *const *states)
{
    EACH_ROW(row)
    {
        struct agg_concat_state *s = states[row_i];
        bool null = false;
        for (uint32_t k = 0; k < call->arg_count; k++) {
            null = null || vec_is_null(args[k], row);
        }
        if (null) {
            continue;
        }
        if (s->rows++ != 0) {
            TRY(append(ctx, call, arena, s, separator(call)));
        }
        for (uint32_t k = 0; k < call->arg_count; k++) {
            TRY(append(ctx, call, arena, s, vec_str(args[k], row)));
        }
    }
    return ERR_OK;
}

db_err agg_merge_concat(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                        void *into, const void *from)
{
    struct agg_concat_state *a = into;
    const struct agg_concat_state *b = from;
    if (b->rows == 0) {
        return ERR_OK;
    }
    if (a->rows != 0) {
        TRY(append(ctx, call, arena, a, separator(call)));
    }
    a->rows += b->rows;
    return append(ctx, call, arena, a, slice_of(b->ptr, b->len));
}

db_err agg_result_concat(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                         struct vector *out, uint32_t row)
{
    (void)ctx;
    (void)call;
    const struct agg_concat_state *s = state;
    if (s->rows == 0) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    return vec_set_str(out, row, slice_of(s->ptr, s->len));
}
