/* Aggregate functions of an enclosing block.
 *
 * MYSQL: in (SELECT SUM(t.a) FROM u) of a query over t the sum is the outer query's, which so
 * becomes an aggregated one: a function belongs to the innermost block whose columns it reads.
 * Where that block may not aggregate (its WHERE, its FROM) the function stays where it stands; one
 * that reads no columns, COUNT(*), is then of the outermost block that may.
 *
 * The call is bound as the owner's; the subquery reads a column that the owner's aggregation gives.
 * What its arguments seemed to read of the owner is forgotten again. */
#include "sql/bind/bind_int.h"

struct outer_reads {
    struct outer_reads *up;
    struct bsubquery *sub;
    uint32_t count;
    bool correlated;
};

db_err bind__outer_reads(struct binder *b, const struct scope *scope, struct outer_reads **ret)
{
    struct outer_reads **at = ret;
    *ret = NULL;
    for (const struct scope *s = scope; s != NULL; s = s->parent) {
        *at = BIND_NEW(b, struct outer_reads);
        if (*at == NULL) {
            return ERR_NOMEM;
        }
        if (s->sub != NULL) {
            **at = (struct outer_reads){NULL, s->sub, s->sub->outer_count, s->sub->correlated};
        }
        at = &(*at)->up;
    }
    return ERR_OK;
}

/* How far out the innermost column is that e reads; false: it cannot be told, or it is ours. */
static bool innermost(const struct bexpr *e, uint32_t *io_depth)
{
    if (e->kind == BEXPR_COLUMN ||
        (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED)) {
        return false;
    }
    if (e->kind == BEXPR_OUTER && e->u.column.depth < *io_depth) {
        *io_depth = e->u.column.depth;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (!innermost(e->args[i], io_depth)) {
            return false;
        }
    }
    return true;
}

static void move_out(struct bexpr *e, uint32_t depth)
{
    if (e->kind == BEXPR_OUTER) {
        e->u.column.depth -= depth;
        e->kind = e->u.column.depth == 0 ? BEXPR_COLUMN : BEXPR_OUTER;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        move_out(e->args[i], depth);
    }
}

struct scope *bind__agg_owner(struct scope *scope, struct bexpr *e,
                              const struct outer_reads *before, uint32_t *ret_depth)
{
    uint32_t depth = UINT32_MAX;
    bool outer = innermost(e, &depth);
    for (uint32_t i = 0; i < e->u.agg.order_count && outer; i++) {
        outer = innermost(e->u.agg.order_by[i], &depth);
    }
    *ret_depth = 0;
    if (!outer || (depth == UINT32_MAX && scope->aggs_allowed)) {
        return scope;
    }
    struct scope *owner = scope;
    if (depth == UINT32_MAX) { /* it reads no columns: of the outermost block that may aggregate */
        uint32_t n = 0;
        for (struct scope *up = scope; up != NULL; up = up->parent, n++) {
            if (up->aggs_allowed && up->in_agg == 0) {
                owner = up;
                depth = n;
            }
        }
        if (depth == UINT32_MAX) {
            return scope;
        }
    } else {
        for (uint32_t i = 0; i < depth; i++) {
            owner = owner->parent;
        }
    }
    if (!owner->aggs_allowed || owner->in_agg != 0) {
        return scope;
    }
    for (uint32_t i = 0; i < depth; i++, before = before->up) {
        if (before->sub != NULL) {
            before->sub->outer_count = before->count;
            before->sub->correlated = before->correlated;
        }
    }
    move_out(e, depth);
    for (uint32_t i = 0; i < e->u.agg.order_count; i++) {
        move_out(e->u.agg.order_by[i], depth);
    }
    *ret_depth = depth;
    return owner;
}

db_err bind__outer_agg(struct binder *b, struct scope *scope, struct scope *owner, uint32_t depth,
                       struct bexpr *call, struct bexpr **ret)
{
    struct outer_agg *a = BIND_NEW(b, struct outer_agg);
    if (a == NULL) {
        return ERR_NOMEM;
    }
    *a = (struct outer_agg){owner->outer_aggs, call, bind__new_col(b)};
    owner->outer_aggs = a;
    struct lcolumn c = {.id = a->out, .type = call->type, .coercibility = call->coercibility};
    *ret = bind__made_column(b, &c);
    if (*ret == NULL) {
        return ERR_NOMEM;
    }
    (*ret)->kind = BEXPR_OUTER;
    (*ret)->u.column.depth = depth;
    return bind__note_outer(b, scope, owner, a->out);
}
