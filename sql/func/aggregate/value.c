/* MIN, MAX and ANY_VALUE: a state that keeps one value of the argument's physical kind. The bytes
 * of a string are kept in a piece of the operator's arena that is used again while values fit. */
#include "sql/func/families.h"

#include "sql/func/aggregate/aggregate_int.h"
#include "sql/types/compare.h"
#include "sql/types/json.h"

enum { FIRST_CAP = 32 };

static db_err bind_value(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    struct sql_type t = args[0].type;
    if (t.id == TYPE_ENUM || t.id == TYPE_SET) {
        t = type_char(TYPE_CHAR, t.length, t.collation);
        func__want(&args[0], t);
    }
    if (type_is_blob(&t) && t.collation != COLL_BINARY) {
        uint64_t bytes = (uint64_t)t.length * collation_by_id(t.collation)->cs->maxlen;
        t.length = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    }
    if (type_is_integer(&t)) {
        t.length = type_int_chars(&t);
    }
    t.wire = 0;
    t.flags = (uint8_t)((t.flags & TYPE_F_UNSIGNED) | TYPE_F_EXPR);
    if (t.id == TYPE_DOUBLE && t.decimals == DECIMALS_NOT_FIXED) {
        t.length = 23;
    }
    call->type = t;
    call->collation = t.collation;
    call->coercibility = args[0].coercibility;
    if (type_is_string(&t)) {
        const struct collation *c;
        TRY(collation_require_id(t.collation, ctx->diag, &c));
    }
    return ERR_OK;
}

db_err agg_bind_extreme(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    if (args[0].type.id == TYPE_GEOMETRY || args[0].type.id == TYPE_VECTOR) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, call->def->name);
    }
    const struct collation *c = collation_by_id(args[0].type.collation);
    if (func__is_text(&args[0].type) && args[0].coercibility == COERCIBILITY_MIX && c != NULL) {
        return my_error(ctx->diag, ER_CANT_AGGREGATE_2COLLATIONS, c->name, "NONE", c->name, "NONE",
                        call->def->name);
    }
    return bind_value(ctx, call, args);
}

/* Members of ENUM and SET stay what they are: the column of a group is one still. */
db_err agg_bind_any(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    struct sql_type t = args[0].type;
    if (t.id == TYPE_ENUM || t.id == TYPE_SET) {
        t.flags = (uint8_t)(t.flags & ~TYPE_F_NOT_NULL);
        call->type = t;
        call->collation = t.collation;
        call->coercibility = args[0].coercibility;
        return ERR_OK;
    }
    return bind_value(ctx, call, args);
}

static db_err set_bytes(struct agg_value_state *s, struct arena *arena, struct slice v)
{
    if (v.len > s->cap) {
        uint64_t cap = s->cap == 0 ? FIRST_CAP : s->cap;
        while (cap < v.len) {
            cap *= 2;
        }
        uint8_t *p = cap > UINT32_MAX ? NULL : arena_alloc(arena, cap);
        if (p == NULL) {
            return ERR_LIMIT;
        }
        s->ptr = p;
        s->cap = (uint32_t)cap;
    }
    if (v.len != 0) {
        memcpy(s->ptr, v.ptr, v.len);
    }
    s->len = (uint32_t)v.len;
    return ERR_OK;
}

static db_err set_value(struct agg_value_state *s, struct arena *arena, const struct vector *v,
                        uint32_t row)
{
    s->has = true;
    switch ((int)v->phys) {
    case PHYS_DOUBLE: s->d = vec_double(v, row); return ERR_OK;
    case PHYS_DECIMAL: s->dec = *vec_decimal(v, row); return ERR_OK;
    case PHYS_STR: return set_bytes(s, arena, vec_str(v, row));
    default: s->i = vec_i64(v, row); return ERR_OK;
    }
}

struct extreme {
    bool is_unsigned;
    const struct collation *collation;
};

static int compare_with(const struct extreme *e, const struct agg_value_state *s,
                        const struct vector *v, uint32_t row)
{
    switch ((int)v->phys) {
    case PHYS_DOUBLE: return compare_doubles(vec_double(v, row), s->d);
    case PHYS_DECIMAL: return decimal_cmp(vec_decimal(v, row), &s->dec);
    case PHYS_STR:
        return collation_compare(e->collation, vec_str(v, row), slice_of(s->ptr, s->len));
    default: return compare_ints(vec_i64(v, row), e->is_unsigned, s->i, e->is_unsigned);
    }
}

static struct extreme extreme_of(const struct agg_call *call)
{
    const struct sql_type *t = &call->arg_types[0];
    return (struct extreme){type_is_unsigned(t) || t->id == TYPE_BIT || t->id == TYPE_YEAR,
                            type_is_string(t)    ? collation_by_id(call->collation)
                            : t->id == TYPE_JSON ? &json_collation
                                                 : NULL};
}

db_err agg_update_extreme(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                          struct vector *const *args, const uint16_t *sel, uint32_t n,
                          void *const *states)
{
    (void)ctx;
    struct extreme e = extreme_of(call);
    const struct vector *v = args[0];
    EACH_ROW(row)
    {
        struct agg_value_state *s = states[row_i];
        if (vec_is_null(v, row)) {
            continue;
        }
        if (!s->has || compare_with(&e, s, v, row) * call->variant > 0) {
            TRY(set_value(s, arena, v, row));
        }
    }
    return ERR_OK;
}

static db_err take(const struct agg_call *call, struct arena *arena, struct agg_value_state *a,
                   const struct agg_value_state *b)
{
    if (type_phys(&call->type) == PHYS_STR && !b->is_null) {
        a->has = true;
        return set_bytes(a, arena, slice_of(b->ptr, b->len));
    }
    *a = *b;
    return ERR_OK;
}

db_err agg_merge_extreme(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                         void *into, const void *from)
{
    (void)ctx;
    struct extreme e = extreme_of(call);
    struct agg_value_state *a = into;
    const struct agg_value_state *b = from;
    if (!b->has) {
        return ERR_OK;
    }
    int c = 1;
    if (a->has) {
        switch ((int)type_phys(&call->type)) {
        case PHYS_DOUBLE: c = compare_doubles(b->d, a->d); break;
        case PHYS_DECIMAL: c = decimal_cmp(&b->dec, &a->dec); break;
        case PHYS_STR:
            c = collation_compare(e.collation, slice_of(b->ptr, b->len), slice_of(a->ptr, a->len));
            break;
        default: c = compare_ints(b->i, e.is_unsigned, a->i, e.is_unsigned); break;
        }
        c *= call->variant;
    }
    return c > 0 ? take(call, arena, a, b) : ERR_OK;
}

db_err agg_update_any(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                      struct vector *const *args, const uint16_t *sel, uint32_t n,
                      void *const *states)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        struct agg_value_state *s = states[row_i];
        if (s->has) {
            continue;
        }
        if (vec_is_null(args[0], row)) {
            s->has = true;
            s->is_null = true;
        } else {
            TRY(set_value(s, arena, args[0], row));
        }
    }
    return ERR_OK;
}

db_err agg_merge_any(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                     void *into, const void *from)
{
    (void)ctx;
    struct agg_value_state *a = into;
    const struct agg_value_state *b = from;
    return a->has || !b->has ? ERR_OK : take(call, arena, a, b);
}

db_err agg_result_value(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                        struct vector *out, uint32_t row)
{
    (void)ctx;
    (void)call;
    const struct agg_value_state *s = state;
    if (!s->has || s->is_null) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    switch ((int)out->phys) {
    case PHYS_DOUBLE: vec_set_double(out, row, s->d); return ERR_OK;
    case PHYS_DECIMAL: vec_set_decimal(out, row, &s->dec); return ERR_OK;
    case PHYS_STR: return vec_set_str(out, row, slice_of(s->ptr, s->len));
    default: vec_set_i64(out, row, s->i); return ERR_OK;
    }
}
