/* A scalar subquery that aggregates the rows equal to something of the enclosing row:
 *
 *     (SELECT f(aggregates) FROM t WHERE t.a = enclosing expression AND ...)
 *
 * becomes a left join with the same aggregation of t, grouped by t.a; f is computed above. A row
 * without a group has what the aggregates give for no rows: NULL, and 0 for COUNT. It pays unless
 * the enclosing rows are few and t has an index on a: then each looks its own rows up. */
#include "sql/opt/opt_int.h"

struct scalar {
    struct optimizer *o;
    struct lnode *outer;
    const struct lnode *project, *aggregate;
    struct lnode *tables;
    struct conjuncts equal, rest;
    bool *inner_first; /* by equality: which argument is the subquery's own */
};

static bool is_known(const struct lagg *a)
{
    static const char *const names[] = {"count",       "sum",        "avg",     "min",
                                        "max",         "stddev_pop", "var_pop", "group_concat",
                                        "stddev_samp", "var_samp"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(a->call->def->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* inner = outer, in one type and (text) one collation. */
static bool is_key(const struct scalar *s, const struct bexpr *e, bool *ret_inner_first)
{
    if (e->kind != BEXPR_FUNC || e->arg_count != 2 || e->has_subquery || e->is_volatile ||
        strcmp(e->u.func->def->name, "op_eq") != 0 || func_compares_near(e->u.func)) {
        return false;
    }
    for (int k = 0; k < 2; k++) {
        const struct bexpr *inner = e->args[k];
        const struct bexpr *outer = e->args[1 - k];
        bool text = type_is_string(&inner->type);
        if (!opt__reads_outer(inner, s->outer) && bexpr_reads_columns(inner) &&
            opt__reads_outer(outer, s->outer) && !bexpr_reads_columns(outer) &&
            type_phys(&inner->type) == type_phys(&outer->type) && inner->type.id < TYPE_ENUM &&
            (!text || (inner->type.collation == outer->type.collation &&
                       inner->type.collation == e->u.func->collation))) {
            *ret_inner_first = k == 0;
            return true;
        }
    }
    return false;
}

static bool simple_aggregate(const struct scalar *s, const struct lnode *n)
{
    if (n->kind != LNODE_AGGREGATE || n->u.aggregate.group_count != 0) {
        return false;
    }
    for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
        const struct lagg *a = &n->u.aggregate.aggs[i];
        if (!is_known(a)) {
            return false;
        }
        for (uint32_t k = 0; k < a->call->arg_count; k++) {
            if (opt__reads_outer(a->args[k], s->outer)) {
                return false;
            }
        }
        for (uint32_t k = 0; k < a->order_count; k++) {
            if (opt__reads_outer(a->order[k].expr, s->outer)) {
                return false;
            }
        }
    }
    return true;
}

static db_err take_apart(struct scalar *s, const struct lnode *root, bool *ret_fits)
{
    *ret_fits = false;
    if (root->kind != LNODE_PROJECT || root->column_count != 1) {
        return ERR_OK;
    }
    s->project = root;
    const struct bexpr *shown = root->u.project.exprs[0].expr;
    s->aggregate = root->children[0];
    if (shown->has_subquery || shown->is_volatile || !simple_aggregate(s, s->aggregate)) {
        return ERR_OK;
    }
    struct lnode *n = s->aggregate->children[0];
    s->inner_first = OPT_ARRAY(s->o, bool, n->kind == LNODE_FILTER ? n->u.filter.count : 0);
    if (s->inner_first == NULL) {
        return ERR_NOMEM;
    }
    if (n->kind != LNODE_FILTER) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < n->u.filter.count; i++) {
        struct bexpr *e = n->u.filter.conjuncts[i];
        if (!opt__reads_outer(e, s->outer)) {
            TRY(opt__add_conjunct(s->o, &s->rest, e));
        } else if (is_key(s, e, &s->inner_first[s->equal.count])) {
            TRY(opt__add_conjunct(s->o, &s->equal, e));
        } else {
            return ERR_OK;
        }
    }
    s->tables = n->children[0];
    *ret_fits = s->equal.count != 0 && !opt__tree_reads_outer(s->tables, s->outer);
    return ERR_OK;
}

/* column = constant for each part of a unique key: one row. */
static bool is_one_row(const struct lnode *n)
{
    if (n->kind != LNODE_FILTER || n->children[0]->kind != LNODE_TABLE) {
        return false;
    }
    const struct lnode *t = n->children[0];
    const struct table_def *def = t->u.table.def;
    for (uint32_t i = 0; i < def->index_count; i++) {
        const struct index_def *ix = &def->indexes[i];
        uint32_t fixed = 0;
        for (uint32_t p = 0; ix->kind != INDEX_PLAIN && p < ix->part_count; p++) {
            for (uint32_t c = 0; c < n->u.filter.count; c++) {
                const struct bexpr *e = n->u.filter.conjuncts[c];
                bool eq = e->kind == BEXPR_FUNC && e->arg_count == 2 &&
                          strcmp(e->u.func->def->name, "op_eq") == 0;
                for (int k = 0; eq && k < 2; k++) {
                    if (e->args[k]->kind == BEXPR_COLUMN && opt__is_free(e->args[1 - k]) &&
                        e->args[k]->u.column.id == t->columns[ix->parts[p].column].id) {
                        fixed++;
                        eq = false;
                    }
                }
            }
        }
        if (ix->part_count != 0 && fixed >= ix->part_count) {
            return true;
        }
    }
    return false;
}

static bool pays(const struct scalar *s, bool limited)
{
    enum { LOOKUP_COST = 20 };
    if (is_one_row(s->outer)) {
        return false;
    }
    if (s->tables->kind != LNODE_TABLE) {
        return !limited;
    }
    col_id_t ids[CATALOG_INDEX_PARTS_MAX];
    uint32_t n = 0;
    uint32_t parts;
    uint32_t keys[CATALOG_INDEX_PARTS_MAX];
    for (uint32_t i = 0; i < s->equal.count && n < ARRAY_COUNT(ids); i++) {
        const struct bexpr *inner = s->equal.list[i]->args[s->inner_first[i] ? 0 : 1];
        ids[n++] = inner->kind == BEXPR_COLUMN ? inner->u.column.id : 0;
    }
    if (opt__lookup_index(s->o, s->tables, ids, n, &parts, keys) == NULL) {
        return true;
    }
    return !limited && opt__estimate(s->o, s->outer) * LOOKUP_COST >
                           opt__table_rows(s->o, s->tables->u.table.def);
}

/* ---- putting it together ---- */

static struct lnode *node(struct optimizer *o, enum lnode_kind kind, struct lnode *child)
{
    struct lnode *n = lnode_new(o->arena, kind, 1);
    if (n != NULL) {
        n->columns = child->columns;
        n->column_count = child->column_count;
        n->children[0] = child;
    }
    return n;
}

static struct bexpr *column(struct optimizer *o, col_id_t id, const struct sql_type *type,
                            uint8_t coercibility)
{
    struct bexpr *e = OPT_NEW(o, struct bexpr);
    if (e != NULL) {
        e->kind = BEXPR_COLUMN;
        e->type = *type;
        e->type.flags = (uint8_t)(e->type.flags & ~TYPE_F_NOT_NULL);
        e->coercibility = coercibility;
        e->u.column.id = id;
    }
    return e;
}

static db_err grouped(struct scalar *s, struct lnode **ret)
{
    struct optimizer *o = s->o;
    struct lnode *below = s->tables;
    uint32_t groups = s->equal.count;
    uint32_t aggs = s->aggregate->u.aggregate.agg_count;
    if (s->rest.count != 0) {
        below = node(o, LNODE_FILTER, below);
        if (below == NULL) {
            return ERR_NOMEM;
        }
        below->u.filter.conjuncts = s->rest.list;
        below->u.filter.count = s->rest.count;
    }
    struct lnode *n = node(o, LNODE_AGGREGATE, below);
    struct lproj *list = OPT_ARRAY(o, struct lproj, groups);
    struct lcolumn *cols = OPT_ARRAY(o, struct lcolumn, groups + aggs);
    if (n == NULL || list == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    n->u.aggregate = s->aggregate->u.aggregate;
    n->u.aggregate.groups = list;
    n->u.aggregate.group_count = groups;
    for (uint32_t i = 0; i < groups; i++) {
        struct bexpr *e = s->equal.list[i]->args[s->inner_first[i] ? 0 : 1];
        list[i] = (struct lproj){e, ++o->stmt->next_col};
        cols[i] =
            (struct lcolumn){.id = list[i].out, .type = e->type, .coercibility = e->coercibility};
    }
    for (uint32_t i = 0; i < aggs; i++) {
        cols[groups + i] = s->aggregate->columns[i];
    }
    n->columns = cols;
    n->column_count = groups + aggs;
    *ret = n;
    return ERR_OK;
}

static db_err joined(struct scalar *s, struct lnode *right, struct lnode **ret)
{
    struct optimizer *o = s->o;
    struct lnode *left = s->outer;
    struct lnode *j = node(o, LNODE_JOIN, left);
    uint32_t total = left->column_count + right->column_count;
    struct lcolumn *cols = OPT_ARRAY(o, struct lcolumn, total);
    struct bexpr **on = OPT_ARRAY(o, struct bexpr *, s->equal.count);
    if (j == NULL || cols == NULL || on == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < total; i++) {
        bool mine = i < left->column_count;
        cols[i] = mine ? left->columns[i] : right->columns[i - left->column_count];
        if (!mine) {
            cols[i].type.flags = (uint8_t)(cols[i].type.flags & ~TYPE_F_NOT_NULL);
        }
    }
    for (uint32_t i = 0; i < s->equal.count; i++) {
        uint32_t k = s->inner_first[i] ? 0 : 1;
        const struct bexpr *eq = s->equal.list[i];
        on[i] = bexpr_clone(o->arena, eq);
        if (on[i] == NULL) {
            return ERR_NOMEM;
        }
        on[i]->args[k] =
            column(o, right->columns[i].id, &eq->args[k]->type, eq->args[k]->coercibility);
        on[i]->args[1 - k] = opt__from_within(o, eq->args[1 - k], left);
        if (on[i]->args[k] == NULL || on[i]->args[1 - k] == NULL) {
            return ERR_NOMEM;
        }
    }
    j->columns = cols;
    j->column_count = total;
    j->children[1] = right;
    j->child_count = 2;
    j->u.join.kind = JOIN_LEFT;
    j->u.join.on = on;
    j->u.join.on_count = s->equal.count;
    *ret = j;
    return ERR_OK;
}

/* What the subquery shows, of the join's columns. */
static db_err shown(struct scalar *s, struct bexpr **ret)
{
    struct optimizer *o = s->o;
    uint32_t aggs = s->aggregate->u.aggregate.agg_count;
    struct lproj *by = OPT_ARRAY(o, struct lproj, aggs);
    if (by == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < aggs; i++) {
        const struct lagg *a = &s->aggregate->u.aggregate.aggs[i];
        struct bexpr *e = column(o, a->out, &a->call->type, a->call->coercibility);
        if (e != NULL && strcmp(a->call->def->name, "count") == 0) {
            struct bexpr *both = OPT_NEW(o, struct bexpr);
            struct bexpr *zero = OPT_NEW(o, struct bexpr);
            struct bexpr **args = OPT_ARRAY(o, struct bexpr *, 2);
            if (both == NULL || zero == NULL || args == NULL) {
                return ERR_NOMEM;
            }
            *zero = (struct bexpr){.kind = BEXPR_CONST, .type = a->call->type, .is_const = true};
            zero->u.constant = value_int(0);
            *both = (struct bexpr){.kind = BEXPR_COALESCE,
                                   .type = a->call->type,
                                   .coercibility = e->coercibility,
                                   .arg_count = 2,
                                   .args = args};
            args[0] = e;
            args[1] = zero;
            e = both;
        }
        if (e == NULL) {
            return ERR_NOMEM;
        }
        by[i] = (struct lproj){e, a->out};
    }
    struct bexpr *e = opt__substitute(o, s->project->u.project.exprs[0].expr, by, aggs);
    TRY(e == NULL ? ERR_OK : opt__stack_for(o, e));
    e = e == NULL ? NULL : opt__from_within(o, e, s->outer);
    *ret = e;
    return e == NULL ? ERR_NOMEM : ERR_OK;
}

db_err opt__unnest_scalar(struct optimizer *o, struct bexpr *e, bool limited,
                          struct lnode **io_input, struct bexpr **ret)
{
    struct bsubquery *sub = e->u.subquery.sub;
    struct scalar s = {.o = o, .outer = *io_input};
    struct lnode *right;
    bool fits;
    *ret = e;
    if (!sub->correlated || sub->is_row || sub->unnested) {
        return ERR_OK;
    }
    TRY(take_apart(&s, sub->root, &fits));
    if (!fits || !pays(&s, limited)) {
        return ERR_OK;
    }
    TRY(grouped(&s, &right));
    TRY(joined(&s, right, io_input));
    TRY(shown(&s, ret));
    sub->unnested = true;
    return ERR_OK;
}
