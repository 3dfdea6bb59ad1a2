/* Row estimates: from histograms where a column has one and is compared with a constant; else
 * textbook selectivities (Selinger et al. 1979), good enough to tell an index from a scan and a
 * small side from a large one. Costs are in units of one row read in key order. */
#include "sql/opt/opt_int.h"

#include <math.h>

#include "sql/charset/charset.h"
#include "sql/types/compare.h"

double opt__table_rows(const struct optimizer *o, const struct table_def *t)
{
    double rows = o->opts->table_rows != NULL ? o->opts->table_rows(o->opts->env, t) : 1000;
    return rows < 1 ? 1 : rows;
}

double opt__index_rows(const struct optimizer *o, const struct table_def *t,
                       const struct index_def *ix, uint32_t parts)
{
    double table = opt__table_rows(o, t);
    bool known = parts != 0 && ix->distinct != NULL && ix->distinct[parts - 1] != 0;
    double rows = known ? table / (double)ix->distinct[parts - 1] : table * pow(0.05, parts);
    return rows < 1 ? 1 : rows;
}

/* ---- what a histogram says ---- */

/* false: it is no number, or of a kind that compares by itself. ret may be NULL. */
static bool as_number(const struct value *v, double *ret)
{
    double d = 0;
    switch ((int)v->phys) {
    case PHYS_INT: d = v->is_unsigned ? (double)v->u : (double)v->i; break;
    case PHYS_DOUBLE: d = v->d; break;
    case PHYS_DECIMAL: d = decimal_to_double(&v->dec); break;
    case PHYS_TIME: d = (double)v->t; break; /* not even, but in order */
    default: return false;
    }
    if (ret != NULL) {
        *ret = d;
    }
    return true;
}

/* Which part of a bucket's rows lies below v; of text: half. */
static double place_within(const struct value *lower, const struct value *upper,
                           const struct value *v)
{
    double a;
    double b;
    double x;
    if (!as_number(lower, &a) || !as_number(upper, &b) || !as_number(v, &x)) {
        return lower == upper ? 0 : 0.5;
    }
    double width = b - a + (lower->phys == PHYS_INT ? 1 : 0);
    return width <= 0 ? 0 : (x - a) / width;
}

static bool comparable(const struct value *a, const struct value *b)
{
    bool numbers =
        a->phys != PHYS_TIME && b->phys != PHYS_TIME && as_number(a, NULL) && as_number(b, NULL);
    return !a->is_null && !b->is_null && (a->phys == b->phys || numbers);
}

static int compare(const struct value *a, const struct value *b, const struct collation *c)
{
    double x;
    double y;
    if (a->phys != b->phys && as_number(a, &x) && as_number(b, &y)) {
        return (x > y) - (x < y);
    }
    return value_compare_same(a, b, c);
}

/* The share of rows below v; *ret_equal: that of v itself. */
static double share_below(const struct histogram *h, const struct collation *c,
                          const struct value *v, double *ret_equal)
{
    uint32_t i = 0;
    *ret_equal = 0;
    while (i < h->count && compare(&h->upper[i], v, c) < 0) {
        i++;
    }
    double before = i == 0 ? 0 : h->cumulative[i - 1];
    if (i == h->count || compare(&h->lower[i], v, c) > 0) {
        return before;
    }
    double share = h->cumulative[i] - before;
    *ret_equal = share / (double)h->distinct[i];
    return before + share * place_within(&h->lower[i], &h->upper[i], v);
}

/* Of a column of the table, if there is one. */
static const struct histogram *histogram_of(const struct lnode *table, const struct bexpr *e)
{
    if (table == NULL || e->kind != BEXPR_COLUMN) {
        return NULL;
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct lcolumn *c = &table->columns[i];
        if (c->id == e->u.column.id) {
            return c->def == NULL ? NULL : c->def->histogram;
        }
    }
    return NULL;
}

/* column op constant, or the other way round; false: it is not that, or nothing is known. */
static bool by_histogram(const struct lnode *table, const struct bexpr *e, double *ret)
{
    const struct bexpr *column = e->args[0];
    const struct bexpr *other = e->arg_count == 2 ? e->args[1] : NULL;
    const char *op = e->u.func->def->name;
    bool swapped = other != NULL && other->kind == BEXPR_COLUMN;
    if (swapped) {
        column = e->args[1];
        other = e->args[0];
    }
    const struct histogram *h = histogram_of(table, column);
    if (h == NULL) {
        return false;
    }
    if (strcmp(op, "op_is_null") == 0 || strcmp(op, "op_is_not_null") == 0) {
        *ret = strcmp(op, "op_is_null") == 0 ? h->nulls : 1 - h->nulls;
        return true;
    }
    if (other == NULL || other->kind != BEXPR_CONST || h->count == 0 ||
        !comparable(&h->lower[0], &other->u.constant)) {
        return false;
    }
    double equal;
    double below =
        share_below(h, collation_by_id(column->type.collation), &other->u.constant, &equal);
    double above = 1 - h->nulls - below - equal;
    bool less = strcmp(op, swapped ? "op_gt" : "op_lt") == 0;
    bool less_equal = strcmp(op, swapped ? "op_ge" : "op_le") == 0;
    bool more = strcmp(op, swapped ? "op_lt" : "op_gt") == 0;
    bool more_equal = strcmp(op, swapped ? "op_le" : "op_ge") == 0;
    bool same = strcmp(op, "op_eq") == 0 || strcmp(op, "op_nulleq") == 0;
    *ret = less         ? below
           : less_equal ? below + equal
           : more       ? above
           : more_equal ? above + equal
           : same       ? equal
                        : 1 - h->nulls - equal;
    return less || less_equal || more || more_equal || same || strcmp(op, "op_ne") == 0;
}

/* a IN (1, 2): the sum of the equalities. */
static bool list_by_histogram(const struct lnode *table, const struct bexpr *e, double *ret)
{
    double sum = 0;
    const struct bexpr *column = e->args[0];
    const struct histogram *h = histogram_of(table, column);
    for (uint32_t i = 1; i < e->arg_count; i++) {
        const struct bexpr *v = e->args[i];
        double equal;
        if (h == NULL || h->count == 0 || v->kind != BEXPR_CONST ||
            !comparable(&h->lower[0], &v->u.constant)) {
            return false;
        }
        share_below(h, collation_by_id(column->type.collation), &v->u.constant, &equal);
        sum += equal;
    }
    *ret = sum > 1 ? 1 : sum;
    return true;
}

static double not_zero(double share)
{
    const double least = 0.0001; /* there may be rows that the histogram has not seen */
    return share < least ? least : share;
}

double opt__selectivity(const struct lnode *table, const struct bexpr *e)
{
    double told;
    switch ((int)e->kind) {
    case BEXPR_AND: {
        double s = 1;
        for (uint32_t i = 0; i < e->arg_count; i++) {
            s *= opt__selectivity(table, e->args[i]);
        }
        return s;
    }
    case BEXPR_OR: {
        double keep = 1;
        for (uint32_t i = 0; i < e->arg_count; i++) {
            keep *= 1 - opt__selectivity(table, e->args[i]);
        }
        return 1 - keep;
    }
    case BEXPR_IN_LIST: {
        if (list_by_histogram(table, e, &told)) {
            return not_zero(e->u.negated ? 1 - told : told);
        }
        double s = 0.05 * (e->arg_count - 1);
        s = s > 0.5 ? 0.5 : s;
        return e->u.negated ? 1 - s : s;
    }
    case BEXPR_FUNC: break;
    default: return 0.5;
    }
    if (e->arg_count != 0 && by_histogram(table, e, &told)) {
        return not_zero(told);
    }
    const char *name = e->u.func->def->name;
    if (strcmp(name, "op_eq") == 0 || strcmp(name, "op_nulleq") == 0) {
        return 0.05;
    }
    if (strcmp(name, "op_ne") == 0 || strcmp(name, "op_is_not_null") == 0) {
        return 0.9;
    }
    if (strcmp(name, "op_is_null") == 0) {
        return 0.1;
    }
    if (strncmp(name, "op_l", 4) == 0 || strncmp(name, "op_g", 4) == 0) {
        return 0.3; /* <, <=, >, >=, LIKE */
    }
    return 0.5;
}

static double join_rows(struct optimizer *o, struct lnode *n)
{
    double l = opt__estimate(o, n->children[0]);
    double r = opt__estimate(o, n->children[1]);
    double s = 1;
    for (uint32_t i = 0; i < n->u.join.on_count; i++) {
        const struct bexpr *e = n->u.join.on[i];
        bool equi = e->kind == BEXPR_FUNC && strcmp(e->u.func->def->name, "op_eq") == 0 &&
                    opt__reads_any(e, n->children[0]) && opt__reads_any(e, n->children[1]);
        s *= equi ? 1 / (l > r ? l : r) : opt__selectivity(NULL, e);
    }
    double rows = l * r * s;
    switch ((int)n->u.join.kind) {
    case JOIN_LEFT: return rows < l ? l : rows;
    case JOIN_FULL: return rows < l + r ? l + r : rows;
    case JOIN_SEMI: return l * 0.5;
    case JOIN_ANTI: return l * 0.5;
    default: return rows < 1 ? 1 : rows;
    }
}

static double estimate(struct optimizer *o, struct lnode *n)
{
    double rows =
        n->child_count != 0 && n->kind != LNODE_JOIN ? opt__estimate(o, n->children[0]) : 1;
    switch ((int)n->kind) {
    case LNODE_TABLE:
        rows = opt__table_rows(o, n->u.table.def);
        for (uint32_t i = 0; i < n->u.table.filter_count; i++) {
            rows *= opt__selectivity(n, n->u.table.filters[i]);
        }
        return rows < 1 ? 1 : rows;
    case LNODE_VALUES: return n->u.values.row_count;
    case LNODE_TABLE_FUNC: return 2; /* MYSQL: its guess too */
    case LNODE_FILTER:
        for (uint32_t i = 0; i < n->u.filter.count; i++) {
            rows *= opt__selectivity(NULL, n->u.filter.conjuncts[i]);
        }
        return rows < 1 ? 1 : rows;
    case LNODE_JOIN: return join_rows(o, n);
    case LNODE_AGGREGATE: return n->u.aggregate.group_count == 0 ? 1 : rows * 0.1 + 1;
    case LNODE_DISTINCT: return rows * 0.5 + 1;
    case LNODE_CTE_REF: {
        enum { ROUND_ROWS = 10 };
        struct lnode *root = o->stmt->ctes[n->u.cte_ref.cte];
        return n->u.cte_ref.working || root == NULL ? ROUND_ROWS : opt__estimate(o, root);
    }
    case LNODE_RECURSIVE: {
        enum { ROUNDS = 10 };
        return rows + opt__estimate(o, n->children[1]) * ROUNDS;
    }
    case LNODE_SETOP:
        for (uint32_t i = 1; i < n->child_count; i++) {
            rows += opt__estimate(o, n->children[i]);
        }
        return rows;
    case LNODE_LIMIT: {
        const struct bexpr *l = n->u.limit.limit;
        if (l != NULL && l->kind == BEXPR_CONST && !l->u.constant.is_null &&
            (double)l->u.constant.u < rows) {
            return (double)l->u.constant.u;
        }
        return rows;
    }
    default: return rows;
    }
}

double opt__estimate(struct optimizer *o, struct lnode *n)
{
    if (n->rows < 0) {
        n->rows = estimate(o, n);
    }
    return n->rows;
}
