/* Aggregations: what they read, and in which order.
 *
 * ROLLUP takes its input sorted by the groups; some aggregates give the groups sorted. The least or
 * the greatest value of a column is the first row of an index that has all conditions. */
#include "sql/opt/opt_int.h"

static const struct want g_want_nothing = {.limit = -1};

static db_err read_by_aggregate(struct optimizer *o, const struct lnode *n, struct col_set *ret)
{
    TRY(opt__set_init(o, ret));
    for (uint32_t i = 0; i < n->u.aggregate.group_count; i++) {
        TRY(opt__set_add_expr(o, ret, n->u.aggregate.groups[i].expr));
    }
    for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
        const struct lagg *a = &n->u.aggregate.aggs[i];
        for (uint32_t k = 0; k < a->call->arg_count; k++) {
            TRY(opt__set_add_expr(o, ret, a->args[k]));
        }
        for (uint32_t k = 0; k < a->order_count; k++) {
            TRY(opt__set_add_expr(o, ret, a->order[k].expr));
        }
    }
    return ERR_OK;
}

/* What is computed for each row below the aggregation: `used` of the child's columns, and more. */
struct computed {
    struct lnode *project;
    struct lproj *exprs;
};

/* Adds e, whose values are `id` then; the result is that column. NULL: out of memory. */
static struct bexpr *add_computed(struct optimizer *o, struct computed *p, struct bexpr *e,
                                  col_id_t id)
{
    struct lcolumn c = {.id = id, .type = e->type, .coercibility = e->coercibility};
    p->exprs[p->project->column_count] = (struct lproj){e, id};
    p->project->columns[p->project->column_count++] = c;
    return opt__column(o, &c);
}

static db_err begin_computed(struct optimizer *o, struct lnode *n, uint32_t more,
                             struct computed *ret)
{
    struct lnode *child = n->children[0];
    struct lnode *p = lnode_new(o->arena, LNODE_PROJECT, 1);
    struct lproj *exprs = OPT_ARRAY(o, struct lproj, child->column_count + more);
    struct col_set used;
    if (p == NULL || exprs == NULL) {
        return ERR_NOMEM;
    }
    p->children[0] = child;
    p->columns = OPT_ARRAY(o, struct lcolumn, child->column_count + more);
    if (p->columns == NULL) {
        return ERR_NOMEM;
    }
    TRY(read_by_aggregate(o, n, &used));
    for (uint32_t i = 0; i < child->column_count; i++) {
        const struct lcolumn *c = &child->columns[i];
        if (opt__set_has(&used, c->id)) {
            exprs[p->column_count] = (struct lproj){opt__column(o, c), c->id};
            if (exprs[p->column_count].expr == NULL) {
                return ERR_NOMEM;
            }
            p->columns[p->column_count++] = *c;
        }
    }
    *ret = (struct computed){p, exprs};
    return ERR_OK;
}

/* Sorting and dividing into groups must see the same values: groups that are volatile are computed
 * once a row, below both. Variables are assigned for one row after the other, as projections do it.
 */
static db_err compute_below(struct optimizer *o, struct lnode *n)
{
    uint32_t count = n->u.aggregate.group_count;
    uint32_t more = count;
    struct lproj *groups = OPT_ARRAY(o, struct lproj, count);
    struct computed p;
    for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
        more += n->u.aggregate.aggs[i].call->arg_count;
    }
    if (groups == NULL) {
        return ERR_NOMEM;
    }
    TRY(begin_computed(o, n, more, &p));
    for (uint32_t i = 0; i < count; i++) {
        groups[i] = n->u.aggregate.groups[i];
        if (groups[i].expr->is_volatile) {
            groups[i].expr = add_computed(o, &p, groups[i].expr, groups[i].out);
            if (groups[i].expr == NULL) {
                return ERR_NOMEM;
            }
        }
    }
    for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
        struct lagg *a = &n->u.aggregate.aggs[i];
        for (uint32_t k = 0; k < a->call->arg_count; k++) {
            if (bexpr_assigns(a->args[k])) {
                a->args[k] = add_computed(o, &p, a->args[k], ++o->stmt->next_col);
            }
            if (a->args[k] == NULL) {
                return ERR_NOMEM;
            }
        }
    }
    p.project->u.project.exprs = p.exprs;
    p.project->u.project.count = p.project->column_count;
    n->u.aggregate.groups = groups;
    n->children[0] = p.project;
    return ERR_OK;
}

static bool any_assigns(const struct lnode *n)
{
    bool any = false;
    for (uint32_t i = 0; i < n->u.aggregate.group_count; i++) {
        any = any || bexpr_assigns(n->u.aggregate.groups[i].expr);
    }
    for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
        const struct lagg *a = &n->u.aggregate.aggs[i];
        for (uint32_t k = 0; k < a->call->arg_count; k++) {
            any = any || bexpr_assigns(a->args[k]);
        }
    }
    return any;
}

/* The child of an aggregation with rollup. */
static db_err sorted_by_groups(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    bool is_volatile = any_assigns(n);
    for (uint32_t i = 0; i < n->u.aggregate.group_count; i++) {
        is_volatile = is_volatile || n->u.aggregate.groups[i].expr->is_volatile;
    }
    TRY(is_volatile ? compute_below(o, n) : ERR_OK);
    struct lnode *child = n->children[0];
    struct lnode *sort = lnode_new(o->arena, LNODE_SORT, 1);
    struct lsort_key *keys = OPT_ARRAY(o, struct lsort_key, n->u.aggregate.group_count);
    if (sort == NULL || keys == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->u.aggregate.group_count; i++) {
        keys[i].expr = n->u.aggregate.groups[i].expr;
    }
    sort->children[0] = child;
    sort->columns = child->columns;
    sort->column_count = child->column_count;
    sort->rows = child->rows;
    sort->u.sort.keys = keys;
    sort->u.sort.count = n->u.aggregate.group_count;
    sort->u.sort.groups = sort->u.sort.whole = true;
    return opt__physical(o, sort, &g_want_nothing, ret);
}

/* ---- the least and the greatest by an index ---- */

static bool is_extreme(const struct lnode *n, bool *ret_greatest)
{
    const struct lnode *t = n->children[0];
    if (n->u.aggregate.group_count != 0 || n->u.aggregate.agg_count != 1 || n->u.aggregate.rollup ||
        t->kind != LNODE_TABLE || t->u.table.def->kind != TABLE_BASE ||
        t->u.table.lock != ROW_LOCK_NONE) {
        return false;
    }
    const struct lagg *a = &n->u.aggregate.aggs[0];
    *ret_greatest = strcmp(a->call->def->name, "max") == 0;
    return (*ret_greatest || strcmp(a->call->def->name, "min") == 0) &&
           a->args[0]->kind == BEXPR_COLUMN;
}

/* NULL is no value of MIN, and comes before all: the scan begins behind it. */
static db_err skip_null(struct optimizer *o, const struct lnode *t, col_id_t id,
                        struct scan_spec *s)
{
    uint32_t part = s->range_count == 0 ? 0 : s->ranges[0].eq_count;
    if (part == s->index->part_count || t->columns[s->index->parts[part].column].id != id) {
        return ERR_OK; /* an equality gives it: it is not NULL, or is nothing else */
    }
    if (s->range_count == 0) {
        s->ranges = OPT_ARRAY(o, struct scan_range, 1);
        if (s->ranges == NULL) {
            return ERR_NOMEM;
        }
        s->range_count = 1;
    }
    s->ranges[0].not_null = true;
    return ERR_OK;
}

/* The first row in the order of an index, when that has all conditions, instead of all rows;
 * *ret_done false: there is no such index. */
static db_err extreme_row(struct optimizer *o, struct lnode *n, bool greatest, struct phys *ret,
                          bool *ret_done)
{
    struct lsort_key key = {n->u.aggregate.aggs[0].args[0], greatest};
    struct want first = {.order = &key, .order_count = 1, .limit = 1};
    struct lnode *t = n->children[0];
    *ret_done = false;
    TRY(opt__scan(o, t, &first, ret));
    struct scan_spec *s = &ret->node->u.scan;
    if (ret->order_count == 0 || s->filter_count != 0 || s->range_count > 1 || s->repeats) {
        return ERR_OK;
    }
    TRY(greatest ? ERR_OK : skip_null(o, t, key.expr->u.column.id, s));
    struct plan_node *p = opt__above(o, PLAN_LIMIT, ret);
    struct bexpr *one = OPT_NEW(o, struct bexpr);
    if (p == NULL || one == NULL) {
        return ERR_NOMEM;
    }
    *one = (struct bexpr){.kind = BEXPR_CONST, .is_const = true, .u.constant = value_uint(1)};
    one->type = type_int(TYPE_BIGINT, true);
    p->u.limit.limit = one;
    p->rows = 1;
    ret->node = p;
    *ret_done = true;
    return ERR_OK;
}

static db_err phys_input(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    bool greatest;
    bool done = false;
    if (n->u.aggregate.rollup) {
        return sorted_by_groups(o, n, ret);
    }
    TRY(any_assigns(n) ? compute_below(o, n) : ERR_OK);
    if (is_extreme(n, &greatest)) {
        TRY(extreme_row(o, n, greatest, ret, &done));
    }
    return done ? ERR_OK : opt__physical(o, n->children[0], &g_want_nothing, ret);
}

/* The groups, which come in any order, by their keys. */
static db_err sort_groups(struct optimizer *o, const struct lnode *n, struct phys *ret)
{
    uint32_t count = n->u.aggregate.group_count;
    struct plan_node *p = opt__above(o, PLAN_SORT, ret);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->u.sort.keys = OPT_ARRAY(o, struct plan_sort_key, count);
    ret->order = OPT_ARRAY(o, struct order_key, count);
    if (p->u.sort.keys == NULL || ret->order == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct bexpr *key = opt__column(o, &n->columns[i]);
        if (key == NULL) {
            return ERR_NOMEM;
        }
        TRY(opt__resolve(o, key, ret->cols, p->column_count, &p->u.sort.keys[i].expr));
        ret->order[i] = (struct order_key){n->columns[i].id, false};
    }
    p->u.sort.count = count;
    ret->order_count = count;
    ret->node = p;
    return ERR_OK;
}

db_err opt__aggregate(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    uint32_t groups = n->u.aggregate.group_count;
    uint32_t aggs = n->u.aggregate.agg_count;
    bool rollup = n->u.aggregate.rollup;
    enum plan_kind kind = rollup ? PLAN_ROLLUP_AGG : groups == 0 ? PLAN_STREAM_AGG : PLAN_HASH_AGG;
    TRY(phys_input(o, n, ret));
    struct plan_node *p = opt__node(o, kind, groups + aggs + rollup);
    col_id_t *cols = OPT_ARRAY(o, col_id_t, groups + aggs + rollup);
    if (p == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    p->u.agg.groups = OPT_ARRAY(o, struct bexpr *, groups);
    p->u.agg.aggs = OPT_ARRAY(o, struct plan_agg, aggs);
    if (p->u.agg.groups == NULL || p->u.agg.aggs == NULL) {
        return ERR_NOMEM;
    }
    uint32_t width = ret->node->column_count;
    for (uint32_t i = 0; i < groups; i++) {
        TRY(opt__resolve(o, n->u.aggregate.groups[i].expr, ret->cols, width, &p->u.agg.groups[i]));
        p->types[i] = &p->u.agg.groups[i]->type;
        cols[i] = n->u.aggregate.groups[i].out;
    }
    for (uint32_t i = 0; i < aggs; i++) {
        const struct lagg *a = &n->u.aggregate.aggs[i];
        struct plan_agg *out = &p->u.agg.aggs[i];
        out->call = a->call;
        TRY(opt__resolve_list(o, a->args, a->call->arg_count, ret->cols, width, &out->args));
        out->order = OPT_ARRAY(o, struct plan_sort_key, a->order_count);
        if (out->order == NULL) {
            return ERR_NOMEM;
        }
        out->order_count = a->order_count;
        for (uint32_t k = 0; k < a->order_count; k++) {
            out->order[k].descending = a->order[k].descending;
            TRY(opt__resolve(o, a->order[k].expr, ret->cols, width, &out->order[k].expr));
        }
        p->types[groups + i] = &a->call->type;
        cols[groups + i] = a->out;
    }
    p->u.agg.group_count = groups;
    p->u.agg.agg_count = aggs;
    if (rollup) {
        p->types[groups + aggs] = &n->columns[groups + aggs].type;
        cols[groups + aggs] = n->u.aggregate.rolled_up;
    }
    p->children[0] = ret->node;
    p->child_count = 1;
    p->rows = opt__estimate(o, n);
    *ret = (struct phys){.node = p, .cols = cols, .one_row = groups == 0};
    return n->u.aggregate.sorted ? sort_groups(o, n, ret) : ERR_OK;
}
