/* Subqueries in expressions.
 *
 * An uncorrelated subquery runs once per statement, when its value is first asked for; the result
 * is kept: a value, a truth, for IN its rows, for ANY and ALL the least and the greatest of them,
 * which decide whatever is asked. A correlated one runs again for every row, with the row's columns
 * in an outer frame; so does one with random values, as if it were correlated. */
#include "sql/exec/exec_int.h"

#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/types/json.h"

struct subquery_state {
    bool done; /* uncorrelated: the result is here */
    bool has_rows;
    bool has_null; /* IN, ANY/ALL: a NULL among the values */
    uint32_t count, cap;
    uint32_t width;
    struct value *values; /* row-major; SCALAR: one */
    uint32_t mask;        /* hash set for IN with one column */
    uint32_t *slots;
    struct arena rows; /* of the values; a correlated one's are those of its last run */
    bool has_rows_arena;
    struct arena ends[2]; /* ANY/ALL: of the least and the greatest value, when it is text */
    struct op *root;      /* kept open between rows of a correlated one */
    bool open;
};

/* Run state is the statement's, also when a scan asks for its bounds in an arena of its own. */
static struct subquery_state *state_of(struct exec_ctx *ctx, const struct bsubquery *sub)
{
    struct arena *arena = ctx->eval.statement;
    if (ctx->subqueries == NULL) {
        ctx->subqueries =
            ARENA_ARRAY(arena, struct subquery_state *, ctx->plan->subquery_count + 1);
    }
    if (ctx->subqueries != NULL && ctx->subqueries[sub->id] == NULL) {
        ctx->subqueries[sub->id] = ARENA_NEW(arena, struct subquery_state);
    }
    return ctx->subqueries == NULL ? NULL : ctx->subqueries[sub->id];
}

void exec__subqueries_close(struct exec_ctx *ctx)
{
    for (uint32_t i = 0; ctx->subqueries != NULL && i < ctx->plan->subquery_count; i++) {
        struct subquery_state *st = ctx->subqueries[i];
        if (st != NULL && st->root != NULL) {
            op_close(st->root, ctx);
            st->root = NULL;
        }
        if (st != NULL && st->has_rows_arena) {
            arena_fini(&st->rows);
            arena_fini(&st->ends[0]);
            arena_fini(&st->ends[1]);
            st->has_rows_arena = false;
        }
    }
}

static db_err keep_row(struct subquery_state *st, const struct chunk *c, uint32_t row)
{
    if (st->count == st->cap) {
        uint32_t cap = st->cap == 0 ? 16 : st->cap * 2;
        struct value *values = ARENA_ARRAY(&st->rows, struct value, (size_t)cap * st->width);
        if (values == NULL) {
            return ERR_LIMIT;
        }
        if (st->count != 0) {
            memcpy(values, st->values, (size_t)st->count * st->width * sizeof(*values));
        }
        st->values = values;
        st->cap = cap;
    }
    for (uint32_t i = 0; i < st->width; i++) {
        struct value v;
        vector_get(&c->columns[i], row, &v);
        st->has_null = st->has_null || v.is_null;
        TRY(value_copy(&v, &st->rows, &st->values[(size_t)st->count * st->width + i]));
    }
    st->count++;
    return ERR_OK;
}

static const struct collation *column_collation(const struct bexpr *e, uint32_t i)
{
    if (e->args[i]->type.id == TYPE_JSON) {
        return &json_collation;
    }
    return type_is_string(&e->args[i]->type) ? collation_by_id(e->args[i]->type.collation) : NULL;
}

/* ANY, ALL: values[0] is the least so far, values[1] the greatest. */
static db_err keep_ends(struct subquery_state *st, const struct bexpr *e, const struct chunk *c,
                        uint32_t row)
{
    struct value v;
    vector_get(&c->columns[0], row, &v);
    if (v.is_null) {
        st->has_null = true;
        return ERR_OK;
    }
    if (st->values == NULL) {
        st->values = ARENA_ARRAY(&st->rows, struct value, 2);
        if (st->values == NULL) {
            return ERR_LIMIT;
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        int order =
            st->count == 0 ? 0 : value_compare_same(&v, &st->values[i], column_collation(e, 0));
        if (st->count == 0 || (i == 0 ? order < 0 : order > 0)) {
            arena_reset(&st->ends[i]);
            TRY(value_copy(&v, &st->ends[i], &st->values[i]));
        }
    }
    st->count = 2;
    return ERR_OK;
}

static db_err collect(struct exec_ctx *ctx, const struct bexpr *e, struct subquery_state *st)
{
    struct chunk *c;
    bool scalar = e->kind == BEXPR_SUBQUERY_SCALAR;
    bool exists = e->kind == BEXPR_SUBQUERY_EXISTS;
    for (;;) {
        arena_reset(ctx->eval.arena);
        TRY(op_next(st->root, ctx, &c));
        if (c == NULL) {
            return ERR_OK;
        }
        for (uint32_t i = 0; i < c->count; i++) {
            st->has_rows = true;
            if (exists) {
                return ERR_OK;
            }
            if (scalar && st->count == 1) {
                return my_error(ctx->diag, ER_SUBQUERY_NO_1_ROW);
            }
            TRY(e->kind == BEXPR_SUBQUERY_QUANTIFIED ? keep_ends(st, e, c, chunk_row(c, i))
                                                     : keep_row(st, c, chunk_row(c, i)));
        }
    }
}

static db_err start(struct exec_ctx *ctx, const struct bexpr *e, struct subquery_state *st)
{
    const struct bsubquery *sub = e->u.subquery.sub;
    if (st->root != NULL) {
        return op_rescan(st->root, ctx);
    }
    TRY(exec_build(ctx, sub->plan->root, &st->root));
    if (e->kind == BEXPR_SUBQUERY_EXISTS) {
        exec_wants_some(st->root);
    }
    return op_open(st->root, ctx);
}

/* Runs the plan under an arena of its own for chunks: the enclosing expression's vectors must stay.
 */
static db_err run(struct exec_ctx *ctx, const struct bexpr *e, struct subquery_state *st)
{
    const struct bsubquery *sub = e->u.subquery.sub;
    struct arena chunk_arena;
    TRY(my_stack_reserve(ctx->diag, MY_STACK_STEP));
    arena_init(&chunk_arena, NULL, ctx->mem, 0);
    struct saved_arenas saved = exec__enter_arena(ctx, &chunk_arena);
    struct arena *own = ctx->arena;
    ctx->arena = ctx->eval.statement;
    st->width = sub->is_row ? sub->plan->root->column_count : e->arg_count == 0 ? 1 : e->arg_count;
    if (!st->has_rows_arena) {
        arena_init(&st->rows, NULL, ctx->mem, 0);
        arena_init(&st->ends[0], NULL, ctx->mem, 0);
        arena_init(&st->ends[1], NULL, ctx->mem, 0);
        st->has_rows_arena = true;
    }
    arena_reset(&st->rows);
    st->values = NULL;
    st->count = st->cap = 0;
    st->has_rows = st->has_null = false;
    db_err err = start(ctx, e, st);
    if (err == ERR_OK) {
        err = collect(ctx, e, st);
    }
    if (st->root != NULL && (err != ERR_OK || !sub->correlated)) {
        op_close(st->root, ctx);
        st->root = NULL;
    }
    ctx->arena = own;
    exec__leave_arena(ctx, saved);
    arena_fini(&chunk_arena);
    st->done = err == ERR_OK;
    return err;
}

static db_err build_set(const struct collation *coll, struct subquery_state *st)
{
    uint32_t size = 8;
    while (size < st->count * 2) {
        size *= 2;
    }
    st->mask = size - 1;
    st->slots = ARENA_ARRAY(&st->rows, uint32_t, size);
    if (st->slots == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < st->count; i++) {
        if (st->values[i].is_null) {
            continue;
        }
        uint32_t at = (uint32_t)value_hash(&st->values[i], coll, 0) & st->mask;
        while (st->slots[at] != 0) {
            at = (at + 1) & st->mask;
        }
        st->slots[at] = i + 1;
    }
    return ERR_OK;
}

enum truth { T_FALSE, T_TRUE, T_NULL };

static enum truth in_set(const struct subquery_state *st, const struct value *v,
                         const struct collation *coll)
{
    if (st->count == 0) {
        return T_FALSE;
    }
    if (v->is_null) {
        return T_NULL;
    }
    uint32_t at = (uint32_t)value_hash(v, coll, 0) & st->mask;
    for (; st->slots[at] != 0; at = (at + 1) & st->mask) {
        if (value_compare_same(&st->values[st->slots[at] - 1], v, coll) == 0) {
            return T_TRUE;
        }
    }
    return st->has_null ? T_NULL : T_FALSE;
}

/* (a, b) IN (rows): a row with a NULL that fits otherwise makes the answer unknown. */
static enum truth in_rows(const struct bexpr *e, const struct subquery_state *st,
                          const struct value *left)
{
    enum truth result = T_FALSE;
    for (uint32_t r = 0; r < st->count; r++) {
        bool unknown = false;
        bool differs = false;
        for (uint32_t i = 0; i < st->width && !differs; i++) {
            const struct value *v = &st->values[(size_t)r * st->width + i];
            if (v->is_null || left[i].is_null) {
                unknown = true;
            } else {
                differs = value_compare_same(&left[i], v, column_collation(e, i)) != 0;
            }
        }
        if (!differs && !unknown) {
            return T_TRUE;
        }
        if (!differs) {
            result = T_NULL;
        }
    }
    return result;
}

static bool holds(enum cmp_op op, int order)
{
    switch (op) {
    case CMP_EQ:
    case CMP_NULL_EQ: return order == 0;
    case CMP_NE: return order != 0;
    case CMP_LT: return order < 0;
    case CMP_LE: return order <= 0;
    case CMP_GT: return order > 0;
    case CMP_GE: return order >= 0;
    }
    return false;
}

static enum truth quantified(const struct bexpr *e, const struct subquery_state *st,
                             const struct value *left)
{
    bool all = e->u.subquery.all;
    bool unknown = st->has_null || (left->is_null && st->count != 0);
    for (uint32_t r = 0; r < st->count && !left->is_null; r++) {
        int order = value_compare_same(left, &st->values[r], column_collation(e, 0));
        if (holds(e->u.subquery.op, order) != all) {
            return all ? T_FALSE : T_TRUE;
        }
    }
    return unknown ? T_NULL : all ? T_TRUE : T_FALSE;
}

static db_err answer(struct exec_ctx *ctx, const struct expr_state *s, struct subquery_state *st,
                     uint32_t row, struct vector *out)
{
    const struct bexpr *e = s->e;
    enum truth t;
    struct value *left = NULL;
    if (e->kind == BEXPR_SUBQUERY_SCALAR) {
        struct value null;
        value_set_null(&null, &e->type);
        return vector_set(out, row, st->count == 0 ? &null : &st->values[e->u.subquery.column]);
    }
    if (e->kind == BEXPR_SUBQUERY_EXISTS) {
        vec_set_i64(out, row, st->has_rows != e->u.subquery.negated);
        return ERR_OK;
    }
    left = ARENA_ARRAY(ctx->eval.arena, struct value, e->arg_count);
    if (left == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        vector_get(s->many[i], row, &left[i]);
    }
    if (e->kind == BEXPR_SUBQUERY_QUANTIFIED) {
        t = quantified(e, st, left);
    } else if (e->arg_count == 1 && !e->u.subquery.sub->correlated) {
        if (st->slots == NULL) {
            TRY(build_set(column_collation(e, 0), st));
        }
        t = in_set(st, left, column_collation(e, 0));
    } else {
        t = in_rows(e, st, left);
    }
    if (t == T_NULL) {
        vec_set_null(out, row);
    } else {
        vec_set_i64(out, row, (t == T_TRUE) != e->u.subquery.negated);
    }
    return ERR_OK;
}

/* The frame that gives a correlated subquery this row's columns. */
static void fill_frame(const struct bexpr *e, const struct eval_rows *rows, uint32_t row,
                       struct outer_frame *f)
{
    f->count = 0;
    const struct bsubquery *sub = e->u.subquery.sub;
    for (uint32_t i = 0; i < sub->outer_count; i++) {
        uint32_t slot = e->u.subquery.outer_slots[i];
        if (slot != UINT32_MAX && rows->in != NULL) {
            ((col_id_t *)(uintptr_t)f->ids)[f->count] = sub->outer_columns[i];
            vector_get(&rows->in->columns[slot], row, &f->values[f->count++]);
        }
    }
}

static db_err eval_correlated(struct exec_ctx *ctx, struct expr_state *s, struct subquery_state *st,
                              const struct eval_rows *rows, struct vector *out)
{
    const struct bsubquery *sub = s->e->u.subquery.sub;
    struct outer_frame frame = {.up = ctx->outer};
    frame.ids = ARENA_ARRAY(ctx->eval.arena, col_id_t, sub->outer_count + 1);
    frame.values = ARENA_ARRAY(ctx->eval.arena, struct value, sub->outer_count + 1);
    if (frame.ids == NULL || frame.values == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t row = eval_row(rows, i);
        fill_frame(s->e, rows, row, &frame);
        ctx->outer = &frame;
        db_err err = run(ctx, s->e, st);
        ctx->outer = frame.up;
        TRY(err);
        TRY(answer(ctx, s, st, row, out));
        TRY(fiber_checkpoint());
    }
    return ERR_OK;
}

db_err exec__eval_subquery(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                           struct vector **ret)
{
    struct subquery_state *st = state_of(ctx, s->e->u.subquery.sub);
    struct vector *out;
    if (st == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < s->arg_count; i++) {
        TRY(exec__eval(ctx, s->args[i], rows, &s->many[i]));
    }
    if (s->e->u.subquery.sub->correlated) {
        TRY(exec__result(ctx, s, rows, &out));
        *ret = out;
        return eval_correlated(ctx, s, st, rows, out);
    }
    if (!st->done) {
        TRY(run(ctx, s->e, st));
    }
    bool one = s->arg_count == 0;
    struct eval_rows first = {.n = 1};
    TRY(exec__result(ctx, s, one ? &first : rows, &out));
    if (one) {
        TRY(answer(ctx, s, st, 0, out));
        out->index_mask = 0;
    }
    for (uint32_t i = 0; !one && i < rows->n; i++) {
        TRY(answer(ctx, s, st, eval_row(rows, i), out));
    }
    *ret = out;
    return ERR_OK;
}
