/* x IN (list). The list's constants are collected at the first evaluation: sorted out of NULLs and
 * kept in a hash set, so that a list of thousands costs one probe a row. Members that are not
 * constant are compared one by one. */
#include "sql/exec/exec_int.h"

struct in_list {
    const struct collation *collation;
    uint32_t mask;
    uint32_t *slots; /* index + 1 into values, 0 = free */
    struct value *values;
    uint32_t value_count;
    bool has_null;
    uint32_t *varying; /* argument numbers */
    uint32_t varying_count;
};

static bool fixed(const struct bexpr *e)
{
    return e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM;
}

static bool find(const struct in_list *l, const struct value *v)
{
    if (l->value_count == 0) {
        return false;
    }
    uint32_t at = (uint32_t)value_hash(v, l->collation, 0) & l->mask;
    while (l->slots[at] != 0) {
        if (value_compare_same(&l->values[l->slots[at] - 1], v, l->collation) == 0) {
            return true;
        }
        at = (at + 1) & l->mask;
    }
    return false;
}

static void add(struct in_list *l, const struct value *v)
{
    if (v->is_null) {
        l->has_null = true;
        return;
    }
    if (find(l, v)) {
        return;
    }
    l->values[l->value_count] = *v;
    uint32_t at = (uint32_t)value_hash(v, l->collation, 0) & l->mask;
    while (l->slots[at] != 0) {
        at = (at + 1) & l->mask;
    }
    l->slots[at] = ++l->value_count;
}

static db_err build(struct exec_ctx *ctx, struct expr_state *s)
{
    const struct bexpr *e = s->e;
    uint32_t n = e->arg_count - 1;
    uint32_t size = 8;
    while (size < n * 2) {
        size *= 2;
    }
    struct in_list *l = ARENA_NEW(ctx->arena, struct in_list);
    if (l == NULL) {
        return ERR_LIMIT;
    }
    l->collation = collation_by_id(e->type.collation);
    l->mask = size - 1;
    l->slots = ARENA_ARRAY(ctx->arena, uint32_t, size);
    l->values = ARENA_ARRAY(ctx->arena, struct value, n + 1);
    l->varying = ARENA_ARRAY(ctx->arena, uint32_t, n + 1);
    if (l->slots == NULL || l->values == NULL || l->varying == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 1; i <= n; i++) {
        if (fixed(e->args[i])) {
            const struct bexpr *a = e->args[i];
            add(l, a->kind == BEXPR_CONST ? &a->u.constant : &ctx->params[a->u.param]);
        } else {
            l->varying[l->varying_count++] = i;
        }
    }
    s->in_list = l;
    return ERR_OK;
}

static void put(struct vector *out, uint32_t row, bool found, bool null, bool negated)
{
    if (!found && null) {
        vec_set_null(out, row);
    } else {
        vec_set_i64(out, row, found != negated);
    }
}

db_err exec__eval_in_list(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                          struct vector **ret)
{
    struct vector *x;
    struct vector *out;
    if (s->in_list == NULL) {
        TRY(build(ctx, s));
    }
    const struct in_list *l = s->in_list;
    TRY(exec__eval(ctx, s->args[0], rows, &x));
    for (uint32_t i = 0; i < l->varying_count; i++) {
        TRY(exec__eval(ctx, s->args[l->varying[i]], rows, &s->many[l->varying[i]]));
    }
    TRY(exec__result(ctx, s, rows, &out));
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t row = eval_row(rows, i);
        if (vec_is_null(x, row)) {
            vec_set_null(out, row);
            continue;
        }
        struct value v;
        vector_get(x, row, &v);
        bool found = find(l, &v);
        bool null = l->has_null;
        for (uint32_t k = 0; k < l->varying_count && !found; k++) {
            const struct vector *y = s->many[l->varying[k]];
            if (vec_is_null(y, row)) {
                null = true;
                continue;
            }
            struct value w;
            vector_get(y, row, &w);
            found = value_compare_same(&v, &w, l->collation) == 0;
        }
        put(out, row, found, null, s->e->u.negated);
    }
    *ret = out;
    return ERR_OK;
}
