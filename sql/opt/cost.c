/* Row estimates. Without histograms: textbook selectivities (Selinger et al. 1979), good enough to
 * tell an index from a scan and a small side from a large one. Costs are in units of one row read
 * in key order. */
#include "sql/opt/opt_int.h"

#include <math.h>

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

double opt__selectivity(const struct bexpr *e)
{
    switch ((int)e->kind) {
    case BEXPR_AND: {
        double s = 1;
        for (uint32_t i = 0; i < e->arg_count; i++) {
            s *= opt__selectivity(e->args[i]);
        }
        return s;
    }
    case BEXPR_OR: {
        double keep = 1;
        for (uint32_t i = 0; i < e->arg_count; i++) {
            keep *= 1 - opt__selectivity(e->args[i]);
        }
        return 1 - keep;
    }
    case BEXPR_IN_LIST: {
        double s = 0.05 * (e->arg_count - 1);
        s = s > 0.5 ? 0.5 : s;
        return e->u.negated ? 1 - s : s;
    }
    case BEXPR_FUNC: break;
    default: return 0.5;
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
        s *= equi ? 1 / (l > r ? l : r) : opt__selectivity(e);
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
            rows *= opt__selectivity(n->u.table.filters[i]);
        }
        return rows < 1 ? 1 : rows;
    case LNODE_VALUES: return n->u.values.row_count;
    case LNODE_TABLE_FUNC: return 2; /* MYSQL: its guess too */
    case LNODE_FILTER:
        for (uint32_t i = 0; i < n->u.filter.count; i++) {
            rows *= opt__selectivity(n->u.filter.conjuncts[i]);
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
    case LNODE_SETOP: return rows + opt__estimate(o, n->children[1]);
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
