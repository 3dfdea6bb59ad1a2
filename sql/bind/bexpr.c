#include "sql/bind/bexpr.h"

#include "sql/bind/logical.h"
#include "sql/types/compare.h"

bool bexpr_walk(const struct bexpr *e, bool (*fn)(const struct bexpr *e, void *ctx), void *ctx)
{
    if (!fn(e, ctx)) {
        return false;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (!bexpr_walk(e->args[i], fn, ctx)) {
            return false;
        }
    }
    return true;
}

static bool const_equal(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null) {
        return a->is_null && b->is_null;
    }
    if (a->phys != b->phys || a->type != b->type || a->is_unsigned != b->is_unsigned ||
        a->decimals != b->decimals) {
        return false;
    }
    if (a->phys == PHYS_STR) {
        return a->collation == b->collation && slice_eq(a->str, b->str);
    }
    return value_compare_same(a, b, NULL) == 0;
}

static bool agg_equal(const struct bexpr *a, const struct bexpr *b)
{
    const struct agg_call *x = a->u.agg.call;
    const struct agg_call *y = b->u.agg.call;
    if (x == NULL || y == NULL || x->def != y->def || x->distinct != y->distinct ||
        x->data != y->data || a->u.agg.order_count != b->u.agg.order_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->u.agg.order_count; i++) {
        if (a->u.agg.order_desc[i] != b->u.agg.order_desc[i] ||
            !bexpr_equal(a->u.agg.order_by[i], b->u.agg.order_by[i])) {
            return false;
        }
    }
    return true;
}

/* Also an operator and the function that it stands for: j->p and JSON_EXTRACT(j, p). */
static bool same_function(const struct func_def *a, const struct func_def *b)
{
    return a == b ||
           (a->eval == b->eval && a->bind == b->bind && a->flags == (b->flags ^ FUNC_HIDDEN));
}

static bool node_equal(const struct bexpr *a, const struct bexpr *b)
{
    switch (a->kind) {
    case BEXPR_CONST: return const_equal(&a->u.constant, &b->u.constant);
    case BEXPR_PARAM: return a->u.param == b->u.param;
    case BEXPR_COLUMN:
    case BEXPR_INSERT_VALUE: return a->u.column.id == b->u.column.id;
    case BEXPR_OUTER:
        return a->u.column.id == b->u.column.id && a->u.column.depth == b->u.column.depth;
    case BEXPR_FUNC:
        return same_function(a->u.func->def, b->u.func->def) &&
               a->u.func->variant == b->u.func->variant &&
               a->u.func->collation == b->u.func->collation;
    case BEXPR_AGG: return agg_equal(a, b);
    case BEXPR_IN_LIST: return a->u.negated == b->u.negated;
    case BEXPR_USER_VAR:
    case BEXPR_SYSTEM_VAR:
        return slice_eq(a->u.var.name, b->u.var.name) && a->u.var.scope == b->u.var.scope;
    case BEXPR_CAST:
    case BEXPR_AND:
    case BEXPR_OR:
    case BEXPR_CASE:
    case BEXPR_COALESCE:
    case BEXPR_GROUPING:
    case BEXPR_HOLD: /* and what is held: see `equal` */
    case BEXPR_ROW: return true;
    case BEXPR_SUBQUERY_SCALAR:
    case BEXPR_SUBQUERY_EXISTS:
    case BEXPR_SUBQUERY_IN:
    case BEXPR_SUBQUERY_QUANTIFIED:
        return a->u.subquery.sub == b->u.subquery.sub &&
               a->u.subquery.column == b->u.subquery.column;
    case BEXPR_WINDOW:
        return a->u.agg.window == b->u.agg.window && a->u.agg.window_func == b->u.agg.window_func &&
               (a->u.agg.call == NULL ? b->u.agg.call == NULL : agg_equal(a, b)) &&
               (a->u.agg.number == b->u.agg.number ||
                (a->u.agg.number != NULL && b->u.agg.number != NULL &&
                 bexpr_equal(a->u.agg.number, b->u.agg.number)));
    case BEXPR_USER_VAR_SET:
    case BEXPR_HELD:
    case BEXPR_DEFAULT: return false;
    }
    return false;
}

/* A branch as it was before it was cast to the DECIMAL of all: a CASE whose value is shown with its
 * own decimals has no such casts. */
static const struct bexpr *branch(const struct bexpr *e)
{
    for (;;) {
        const struct bexpr *c = e->kind == BEXPR_CONST && e->folded != NULL ? e->folded : e;
        if (c->kind != BEXPR_CAST || c->u.cast.explicit_cast || c->type.id != TYPE_DECIMAL ||
            (c->args[0]->type.id != TYPE_DECIMAL && !type_is_integer(&c->args[0]->type))) {
            return e;
        }
        e = c->args[0];
    }
}

/* The HOLDs around two nodes that are compared: where one has a HELD, the other has that of its
 * HOLD. */
struct held_pair {
    const struct held_pair *outer;
    col_id_t a, b;
};

static bool held_equal(const struct bexpr *a, const struct bexpr *b, const struct held_pair *pairs)
{
    for (; pairs != NULL; pairs = pairs->outer) {
        if (pairs->a == a->u.held || pairs->b == b->u.held) {
            return pairs->a == a->u.held && pairs->b == b->u.held;
        }
    }
    return a->u.held == b->u.held;
}

static bool equal(const struct bexpr *a, const struct bexpr *b, bool volatile_too,
                  const struct held_pair *pairs)
{
    struct held_pair pair;
    if ((a->is_volatile || b->is_volatile) && !volatile_too) {
        return a->item != 0 && a->item == b->item;
    }
    if (a == b) {
        return true;
    }
    if (a->kind != b->kind || a->arg_count != b->arg_count || !type_equal(&a->type, &b->type) ||
        !(a->kind == BEXPR_HELD ? held_equal(a, b, pairs) : node_equal(a, b))) {
        return false;
    }
    if (a->kind == BEXPR_HOLD) {
        pair = (struct held_pair){pairs, a->u.held, b->u.held};
        pairs = &pair;
    }
    bool branches =
        a->type.id == TYPE_DECIMAL && (a->kind == BEXPR_CASE || a->kind == BEXPR_COALESCE);
    for (uint32_t i = 0; i < a->arg_count; i++) {
        const struct bexpr *x = a->args[i];
        const struct bexpr *y = b->args[i];
        if (!equal(branches ? branch(x) : x, branches ? branch(y) : y, volatile_too, pairs)) {
            return false;
        }
    }
    return true;
}

bool bexpr_equal(const struct bexpr *a, const struct bexpr *b)
{
    return equal(a, b, false, NULL);
}

bool bexpr_same_form(const struct bexpr *a, const struct bexpr *b)
{
    return equal(a, b, true, NULL);
}

struct bexpr *bexpr_clone(struct arena *arena, const struct bexpr *e)
{
    struct bexpr *c = ARENA_NEW(arena, struct bexpr);
    if (c == NULL) {
        return NULL;
    }
    *c = *e;
    if (e->arg_count == 0) {
        return c;
    }
    c->args = ARENA_ARRAY(arena, struct bexpr *, e->arg_count);
    if (c->args == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        c->args[i] = bexpr_clone(arena, e->args[i]);
        if (c->args[i] == NULL) {
            return NULL;
        }
    }
    return c;
}

bool bexpr_is_fixed(const struct bexpr *e)
{
    bool same = false;
    switch ((int)e->kind) {
    case BEXPR_CONST:
    case BEXPR_PARAM: return true;
    case BEXPR_USER_VAR:
    case BEXPR_SYSTEM_VAR: return !e->is_volatile;
    case BEXPR_FUNC:
    case BEXPR_CAST:
    case BEXPR_AND:
    case BEXPR_OR:
    case BEXPR_CASE:
    case BEXPR_COALESCE:
    case BEXPR_IN_LIST: same = !e->is_volatile; break;
    default: break;
    }
    for (uint32_t i = 0; i < e->arg_count && same; i++) {
        same = bexpr_is_fixed(e->args[i]);
    }
    return same;
}

bool bexpr_makes_document(const struct bexpr *e)
{
    e = e->kind == BEXPR_CONST && e->folded != NULL ? e->folded : e;
    bool made = e->kind == BEXPR_FUNC || e->kind == BEXPR_CASE || e->kind == BEXPR_COALESCE ||
                e->kind == BEXPR_SUBQUERY_SCALAR;
    return made && e->type.id == TYPE_JSON;
}

static bool assigns_nothing(const struct bexpr *e, void *arg)
{
    (void)arg;
    return e->kind != BEXPR_USER_VAR_SET;
}

bool bexpr_assigns(const struct bexpr *e)
{
    return e->is_volatile && !bexpr_walk(e, assigns_nothing, NULL);
}

const struct bexpr *bexpr_only(const struct bexpr *e)
{
    const struct bexpr *only = e;
    while (only->kind == BEXPR_SUBQUERY_SCALAR) {
        const struct lnode *root = only->u.subquery.sub->root;
        if (root->kind != LNODE_PROJECT || root->children[0]->kind != LNODE_DUAL) {
            break;
        }
        only = root->u.project.exprs[only->u.subquery.column].expr;
    }
    return only;
}

bool bexpr_reads_columns(const struct bexpr *e)
{
    if (e->kind == BEXPR_COLUMN) {
        return true;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (bexpr_reads_columns(e->args[i])) {
            return true;
        }
    }
    return false;
}
