/* Which parts of a plan give the same rows however often they are run within a statement.
 *
 * The right side of a hash join below something that is run again (a correlated subquery, a
 * lateral table, the rounds of a recursion) is then built once. It may read no column of an
 * enclosing query, no rows of a recursion's last round, and compute nothing that differs from time
 * to time; it takes no locks, and the statement changes nothing. Of other nodes than those below
 * it is said that they may differ. */
#include "sql/opt/steady.h"

#include "sql/opt/opt_int.h"

static bool node_is_steady(const struct bexpr *e, void *arg)
{
    (void)arg;
    if (e->kind == BEXPR_FUNC) {
        return (e->u.func->def->flags & (FUNC_VOLATILE | FUNC_REPEATS)) == 0 && !e->is_volatile;
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        return !e->u.subquery.sub->correlated;
    }
    return e->kind != BEXPR_OUTER && e->kind != BEXPR_USER_VAR_SET && !e->is_volatile;
}

static bool one_is_steady(const struct bexpr *e)
{
    return e == NULL || bexpr_walk(e, node_is_steady, NULL);
}

static bool all_are_steady(struct bexpr *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!one_is_steady(list[i])) {
            return false;
        }
    }
    return true;
}

bool plan_scan_is_steady(const struct scan_spec *s)
{
    if (!opt__all_bounds(s, one_is_steady)) {
        return false;
    }
    for (uint32_t i = 0; i < s->virtual_count; i++) {
        if (!one_is_steady(s->virtuals[i].expr)) {
            return false;
        }
    }
    return s->lock == ROW_LOCK_NONE && s->table->kind == TABLE_BASE;
}

static bool scan_gives_the_same(const struct scan_spec *s)
{
    return plan_scan_is_steady(s) && all_are_steady(s->filters, s->filter_count);
}

static bool keys_are_steady(const struct plan_sort_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!one_is_steady(keys[i].expr)) {
            return false;
        }
    }
    return true;
}

static bool aggregation_is_steady(const struct plan_node *n)
{
    for (uint32_t i = 0; i < n->u.agg.agg_count; i++) {
        const struct plan_agg *a = &n->u.agg.aggs[i];
        if (!all_are_steady(a->args, a->call->arg_count) ||
            !keys_are_steady(a->order, a->order_count)) {
            return false;
        }
    }
    return all_are_steady(n->u.agg.groups, n->u.agg.group_count);
}

static bool join_is_steady(const struct plan_node *n)
{
    bool lookup = n->kind == PLAN_LOOKUP_JOIN;
    return !n->u.join.apply && all_are_steady(n->u.join.left_keys, n->u.join.key_count) &&
           all_are_steady(n->u.join.right_keys, n->u.join.key_count) &&
           all_are_steady(n->u.join.filters, n->u.join.filter_count) &&
           (!lookup || scan_gives_the_same(&n->u.join.lookup));
}

static bool itself_is_steady(const struct plan_node *n)
{
    switch ((int)n->kind) {
    case PLAN_DUAL:
    case PLAN_DISTINCT: return true;
    case PLAN_TABLE_SCAN:
    case PLAN_INDEX_SCAN:
    case PLAN_POINT_GET: return scan_gives_the_same(&n->u.scan);
    case PLAN_FILTER: return all_are_steady(n->u.filter.conjuncts, n->u.filter.count);
    case PLAN_PROJECT: return all_are_steady(n->u.project.exprs, n->column_count);
    case PLAN_SORT:
    case PLAN_TOPN: return keys_are_steady(n->u.sort.keys, n->u.sort.count);
    case PLAN_HASH_AGG:
    case PLAN_STREAM_AGG: return aggregation_is_steady(n);
    case PLAN_HASH_JOIN:
    case PLAN_NL_JOIN:
    case PLAN_LOOKUP_JOIN: return join_is_steady(n);
    case PLAN_CTE_REF: return !n->u.cte_ref.working;
    default: return false;
    }
}

static bool gives_the_same(const struct plan_node *n)
{
    bool same = itself_is_steady(n);
    for (uint32_t i = 0; i < n->child_count && same; i++) {
        same = gives_the_same(n->children[i]);
    }
    return same;
}

bool opt__keeps_right(const struct optimizer *o, const struct plan_node *join)
{
    return o->stmt->read_only && join->u.join.kind != JOIN_FULL && !join->u.join.apply &&
           all_are_steady(join->u.join.right_keys, join->u.join.key_count) &&
           gives_the_same(join->children[1]);
}
