/* x IN (list). The list's constants are collected at the first evaluation: sorted out of NULLs and
 * kept in a hash set, so that a list of thousands costs one probe a row. Members that are not
 * constant are compared one by one, up to the one that is equal. MYSQL: those behind it are not
 * evaluated; so is it with FIELD. */
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
    bool known; /* MYSQL: none differs from row to row: all are evaluated before any is compared */
};

const struct value *exec__constant(const struct exec_ctx *ctx, const struct bexpr *e)
{
    while (e->kind == BEXPR_CAST && !e->u.cast.explicit_cast) {
        if (e->u.cast.early != NULL && ctx->early != NULL) {
            return &ctx->early[e->u.cast.early->index];
        }
        const struct sql_type *from = &e->args[0]->type;
        bool text = type_is_string(&e->type) && type_is_string(from) && e->type.id != TYPE_JSON &&
                    from->id != TYPE_JSON;
        if (!text || e->u.cast.early != NULL ||
            collation_by_id(e->type.collation)->cs != collation_by_id(from->collation)->cs) {
            return NULL;
        }
        e = e->args[0];
    }
    return e->kind == BEXPR_CONST   ? &e->u.constant
           : e->kind == BEXPR_PARAM ? &ctx->params[e->u.param]
                                    : NULL;
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
    l->known = true;
    for (uint32_t i = 1; i <= n; i++) {
        const struct value *v = exec__constant(ctx, e->args[i]);
        if (v != NULL) {
            add(l, v);
        } else {
            l->varying[l->varying_count++] = i;
            l->known = l->known && e->args[i]->is_const;
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

/* Rows in which nothing has been found yet. */
struct undecided {
    uint16_t *sel;
    uint32_t n;
    bool null[CHUNK_ROWS]; /* by row: there has been one */
};

/* Leaves those where x and y are not equal. */
static void leave_unequal(const struct in_list *l, const struct vector *x, const struct vector *y,
                          bool negated, struct undecided *u, struct vector *out)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < u->n; i++) {
        uint32_t row = u->sel[i];
        if (vec_is_null(x, row) || vec_is_null(y, row)) {
            u->null[row] = true;
        } else {
            struct value v;
            struct value w;
            vector_get(x, row, &v);
            vector_get(y, row, &w);
            if (value_compare_same(&v, &w, l->collation) == 0) {
                put(out, row, true, false, negated);
                continue;
            }
        }
        u->sel[left++] = (uint16_t)row;
    }
    u->n = left;
}

/* Compares with the constants. MYSQL: where x is NULL the others are evaluated all the same, but
 * for text. */
static void find_constants(const struct in_list *l, const struct vector *x,
                           const struct eval_rows *rows, bool negated, struct undecided *u,
                           struct vector *out)
{
    bool text = x->phys == PHYS_STR && l->collation != NULL;
    u->n = 0;
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t row = eval_row(rows, i);
        struct value v;
        u->null[row] = l->has_null || vec_is_null(x, row);
        if (!vec_is_null(x, row)) {
            vector_get(x, row, &v);
            if (find(l, &v)) {
                put(out, row, true, false, negated);
                continue;
            }
        } else if (text) {
            put(out, row, false, true, negated);
            continue;
        }
        u->sel[u->n++] = (uint16_t)row;
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
    bool negated = s->e->u.negated;
    struct undecided u;
    u.sel = exec__scratch(ctx, s);
    if (u.sel == NULL) {
        return ERR_LIMIT;
    }
    TRY(exec__eval(ctx, s->args[0], rows, &x));
    if (UNLIKELY(ctx->eval.cast->refused) && rows->n == 1) {
        return exec__stopped_result(ctx, s, rows, ret);
    }
    TRY(exec__result(ctx, s, rows, &out));
    for (uint32_t k = 0; k < l->varying_count && l->known; k++) {
        TRY(exec__eval(ctx, s->args[l->varying[k]], rows, &s->many[k]));
        if (UNLIKELY(ctx->eval.cast->refused) && rows->n == 1) {
            return exec__stopped_result(ctx, s, rows, ret);
        }
    }
    find_constants(l, x, rows, negated, &u, out);
    for (uint32_t k = 0; k < l->varying_count && u.n != 0; k++) {
        struct eval_rows left = {rows->in, u.sel, u.n};
        if (!l->known) {
            TRY(exec__eval(ctx, s->args[l->varying[k]], &left, &s->many[k]));
            if (UNLIKELY(ctx->eval.cast->refused) && rows->n == 1) {
                return exec__stopped_result(ctx, s, rows, ret);
            }
        }
        leave_unequal(l, x, s->many[k], negated, &u, out);
    }
    for (uint32_t i = 0; i < u.n; i++) {
        put(out, u.sel[i], false, u.null[u.sel[i]], negated);
    }
    *ret = out;
    return ERR_OK;
}

/* ---- FIELD ---- */

bool exec__stops_at_equal(const struct expr_state *s)
{
    bool computed = false;
    if ((s->e->u.func->def->flags & FUNC_FIRST_EQUAL) == 0) {
        return false;
    }
    for (uint32_t i = 1; i < s->arg_count; i++) {
        computed = computed || exec__is_computed(s->args[i]->e);
    }
    return computed;
}

/* out of the rows says where they are equal; the rows where they are not. */
static uint32_t take_equal(struct vector *out, uint16_t *sel, uint32_t n, uint32_t argument)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (vec_i64(out, sel[i]) != 0) {
            vec_set_i64(out, sel[i], argument);
        } else {
            sel[left++] = sel[i];
        }
    }
    return left;
}

db_err exec__eval_first_equal(struct exec_ctx *ctx, struct expr_state *s,
                              const struct eval_rows *rows, struct vector **ret)
{
    const struct func_call *call = s->e->u.func;
    struct sql_type types[2] = {call->arg_types[0], call->arg_types[0]};
    struct func_call pair = *call;
    struct eval_rows left = {.in = rows->in};
    struct vector *both[2];
    struct vector *out;
    uint16_t *sel = exec__scratch(ctx, s);
    if (sel == NULL) {
        return ERR_LIMIT;
    }
    pair.arg_count = 2;
    pair.arg_types = types;
    left.sel = sel;
    TRY(exec__eval(ctx, s->args[0], rows, &both[0]));
    TRY(exec__result(ctx, s, rows, &out));
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t row = eval_row(rows, i);
        vec_set_i64(out, row, 0);
        sel[left.n] = (uint16_t)row;
        left.n += !vec_is_null(both[0], row);
    }
    for (uint32_t i = 1; i < s->arg_count && left.n != 0; i++) {
        types[1] = call->arg_types[i];
        TRY(exec__eval(ctx, s->args[i], &left, &both[1]));
        TRY(call->def->eval(&ctx->eval, &pair, both, sel, left.n, out));
        left.n = take_equal(out, sel, left.n, i);
    }
    *ret = out;
    return ERR_OK;
}
