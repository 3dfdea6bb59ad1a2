/* BIT_AND, BIT_OR, BIT_XOR: on 64-bit integers, or byte by byte on binary strings of one length
 * (then the first string is copied and the others are combined into it). */
#include "sql/func/families.h"

#include "sql/func/aggregate/aggregate_int.h"

enum { STRING_MAX = 511, VARIANT_STRING = 4 };

db_err agg_bind_bits(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    const struct sql_type *t = &args[0].type;
    bool literal = (t->flags & TYPE_F_BYTES_NUMBER) != 0;
    call->coercibility = 5;
    if (!type_is_string(t) || t->collation != COLL_BINARY || literal) {
        func__want_int(&args[0]);
        call->type = func__ubigint(21);
        call->type.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
        return ERR_OK;
    }
    uint64_t length = func__chars(t);
    if (length > STRING_MAX) {
        return my_error(ctx->diag, ER_INVALID_BITWISE_AGGREGATE_OPERANDS_SIZE);
    }
    call->variant |= VARIANT_STRING;
    /* MYSQL: one byte more than the strings have, and flagged as unsigned. */
    call->type = type_char(TYPE_VARBINARY, (uint32_t)length + 1, COLL_BINARY);
    call->type.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    call->type.wire = TYPE_W_NO_DECIMALS | TYPE_W_UNSIGNED;
    call->collation = COLL_BINARY;
    call->coercibility = 2;
    return ERR_OK;
}

static void add_int(int op, struct agg_bits_state *s, uint64_t v)
{
    if (!s->has) {
        s->has = true;
        s->bits = v;
    } else {
        s->bits = op == 0 ? s->bits & v : op == 1 ? s->bits | v : s->bits ^ v;
    }
}

static db_err add_string(struct eval_ctx *ctx, int op, struct arena *arena,
                         struct agg_bits_state *s, struct slice v)
{
    if (!s->has) {
        s->ptr = arena_alloc(arena, v.len + 1);
        if (s->ptr == NULL) {
            return ERR_LIMIT;
        }
        memcpy(s->ptr, v.ptr, v.len);
        s->len = (uint32_t)v.len;
        s->has = true;
        return ERR_OK;
    }
    if (s->len != v.len) {
        return my_error(ctx->diag, ER_INVALID_BITWISE_OPERANDS_SIZE);
    }
    for (uint32_t i = 0; i < s->len; i++) {
        uint8_t b = v.ptr[i];
        s->ptr[i] = op == 0   ? (uint8_t)(s->ptr[i] & b)
                    : op == 1 ? (uint8_t)(s->ptr[i] | b)
                              : (uint8_t)(s->ptr[i] ^ b);
    }
    return ERR_OK;
}

db_err agg_update_bits(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                       struct vector *const *args, const uint16_t *sel, uint32_t n,
                       void *const *states)
{
    int op = call->variant & ~VARIANT_STRING;
    bool strings = (call->variant & VARIANT_STRING) != 0;
    EACH_ROW(row)
    {
        if (vec_is_null(args[0], row)) {
            continue;
        }
        if (strings) {
            TRY(add_string(ctx, op, arena, states[row_i], vec_str(args[0], row)));
        } else {
            add_int(op, states[row_i], vec_u64(args[0], row));
        }
    }
    return ERR_OK;
}

db_err agg_merge_bits(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                      void *into, const void *from)
{
    const struct agg_bits_state *b = from;
    int op = call->variant & ~VARIANT_STRING;
    if (!b->has) {
        return ERR_OK;
    }
    if ((call->variant & VARIANT_STRING) != 0) {
        return add_string(ctx, op, arena, into, slice_of(b->ptr, b->len));
    }
    add_int(op, into, b->bits);
    return ERR_OK;
}

db_err agg_result_bits(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                       struct vector *out, uint32_t row)
{
    const struct agg_bits_state *s = state;
    bool is_and = (call->variant & ~VARIANT_STRING) == 0;
    if ((call->variant & VARIANT_STRING) == 0) {
        uint64_t none = is_and ? UINT64_MAX : 0;
        vec_set_i64(out, row, (int64_t)(s->has ? s->bits : none));
        return ERR_OK;
    }
    uint32_t len = s->has ? s->len : call->type.length - 1;
    uint8_t *p;
    TRY(func__bytes(ctx, len, &p));
    if (s->has) {
        memcpy(p, s->ptr, len);
    } else {
        memset(p, is_and ? 0xff : 0, len);
    }
    return vec_set_str(out, row, slice_of(p, len));
}
