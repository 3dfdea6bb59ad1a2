/* From the rewritten logical tree to operators. Column ids become slots here: each physical subtree
 * comes with the list of the ids that its output slots hold, and with the order of its rows when it
 * has one. */
#include "sql/charset/charset.h"
#include "sql/opt/opt_int.h"

#include "sql/diag/my_error.h"

struct plan_node *opt__node(struct optimizer *o, enum plan_kind kind, uint32_t columns)
{
    struct plan_node *n = plan_node_new(o->arena, kind);
    if (n == NULL) {
        return NULL;
    }
    n->id = o->node_count++;
    n->column_count = columns;
    n->types = OPT_ARRAY(o, const struct sql_type *, columns);
    return n->types == NULL ? NULL : n;
}

uint32_t opt__slot(const col_id_t *cols, uint32_t count, col_id_t id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (cols[i] == id) {
            return i;
        }
    }
    return UINT32_MAX;
}

static db_err resolve(struct optimizer *o, struct bexpr *e, const col_id_t *cols, uint32_t count)
{
    if (e->kind == BEXPR_COLUMN) {
        uint32_t slot = opt__slot(cols, count, e->u.column.id);
        if (slot == UINT32_MAX) {
            return diag_set(o->diag, ERR_INVALID,
                            "internal: column %u is not in the operator's input",
                            (unsigned)e->u.column.id);
        }
        e->u.column.slot = slot;
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        const struct bsubquery *sub = e->u.subquery.sub;
        e->u.subquery.outer_slots = OPT_ARRAY(o, uint32_t, sub->outer_count);
        if (e->u.subquery.outer_slots == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t i = 0; i < sub->outer_count; i++) {
            e->u.subquery.outer_slots[i] = opt__slot(cols, count, sub->outer_columns[i]);
        }
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(resolve(o, e->args[i], cols, count));
    }
    return ERR_OK;
}

db_err opt__resolve(struct optimizer *o, const struct bexpr *e, const col_id_t *cols,
                    uint32_t count, struct bexpr **ret)
{
    if (e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM) {
        *ret =
            (struct bexpr *)(uintptr_t)e; /* nothing to resolve: a bulk INSERT has many of these */
        return ERR_OK;
    }
    struct bexpr *c = bexpr_clone(o->arena, e);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    TRY(resolve(o, c, cols, count));
    *ret = c;
    return ERR_OK;
}

db_err opt__resolve_list(struct optimizer *o, struct bexpr *const *list, uint32_t n,
                         const col_id_t *cols, uint32_t count, struct bexpr ***ret)
{
    struct bexpr **out = OPT_ARRAY(o, struct bexpr *, n);
    if (out == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(opt__resolve(o, list[i], cols, count, &out[i]));
    }
    *ret = out;
    return ERR_OK;
}

struct plan_node *opt__above(struct optimizer *o, enum plan_kind kind, const struct phys *child)
{
    struct plan_node *n = opt__node(o, kind, child->node->column_count);
    if (n != NULL) {
        n->children[0] = child->node;
        n->child_count = 1;
        n->rows = child->node->rows;
        n->cost = child->node->cost;
        memcpy(n->types, child->node->types, n->column_count * sizeof(*n->types));
    }
    return n;
}

static const struct want g_want_nothing = {.limit = -1};

static db_err phys_dual(struct optimizer *o, struct phys *ret)
{
    ret->node = opt__node(o, PLAN_DUAL, 0);
    ret->cols = OPT_ARRAY(o, col_id_t, 0);
    ret->one_row = true;
    return ret->node == NULL || ret->cols == NULL ? ERR_NOMEM : ERR_OK;
}

static db_err phys_values(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    struct plan_node *p = opt__node(o, PLAN_VALUES, n->column_count);
    ret->cols = OPT_ARRAY(o, col_id_t, n->column_count);
    if (p == NULL || ret->cols == NULL) {
        return ERR_NOMEM;
    }
    p->u.values.row_count = n->u.values.row_count;
    p->u.values.rows = OPT_ARRAY(o, struct bexpr **, n->u.values.row_count);
    if (p->u.values.rows == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->u.values.row_count; i++) {
        TRY(opt__resolve_list(o, n->u.values.rows[i], n->column_count, NULL, 0,
                              &p->u.values.rows[i]));
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        p->types[i] = &n->columns[i].type;
        ret->cols[i] = n->columns[i].id;
    }
    p->rows = n->u.values.row_count;
    ret->node = p;
    return ERR_OK;
}

static db_err phys_table_func(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    struct plan_node *p = opt__node(o, PLAN_JSON_TABLE, n->column_count);
    struct bexpr **doc;
    ret->cols = OPT_ARRAY(o, col_id_t, n->column_count);
    if (p == NULL || ret->cols == NULL) {
        return ERR_NOMEM;
    }
    TRY(opt__resolve_list(o, &n->u.table_func.doc, 1, NULL, 0, &doc));
    p->u.table_func.doc = doc[0];
    p->u.table_func.spec = n->u.table_func.spec;
    for (uint32_t i = 0; i < n->column_count; i++) {
        p->types[i] = &n->columns[i].type;
        ret->cols[i] = n->columns[i].id;
    }
    p->rows = opt__estimate(o, n);
    ret->node = p;
    return ERR_OK;
}

static db_err phys_filter(struct optimizer *o, struct lnode *n, const struct want *want,
                          struct phys *ret)
{
    struct want down = *want;
    down.limit = -1;
    TRY(opt__physical(o, n->children[0], &down, ret));
    struct plan_node *p = opt__above(o, PLAN_FILTER, ret);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    TRY(opt__resolve_list(o, n->u.filter.conjuncts, n->u.filter.count, ret->cols, p->column_count,
                          &p->u.filter.conjuncts));
    p->u.filter.count = n->u.filter.count;
    p->rows = opt__estimate(o, n);
    ret->node = p;
    return ERR_OK;
}

/* An order wanted of projected columns, said in the columns below. count 0: cannot be said. */
static db_err want_below(struct optimizer *o, const struct lnode *n, const struct want *want,
                         struct want *ret)
{
    *ret = (struct want){.limit = want->limit};
    struct lsort_key *keys = OPT_ARRAY(o, struct lsort_key, want->order_count);
    if (keys == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < want->order_count; i++) {
        struct bexpr *e =
            opt__substitute(o, want->order[i].expr, n->u.project.exprs, n->u.project.count);
        if (e == NULL) {
            return ERR_NOMEM;
        }
        if (e->kind != BEXPR_COLUMN) {
            return ERR_OK;
        }
        keys[i] = (struct lsort_key){e, want->order[i].descending};
    }
    ret->order = keys;
    ret->order_count = want->order_count;
    ret->order_for = want->order_for;
    return ERR_OK;
}

static void order_above(struct phys *p, const struct lnode *n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->order_count; i++) {
        col_id_t out = 0;
        for (uint32_t k = 0; k < n->u.project.count && out == 0; k++) {
            const struct lproj *e = &n->u.project.exprs[k];
            if (e->expr->kind == BEXPR_COLUMN && e->expr->u.column.id == p->order[i].id) {
                out = e->out;
            }
        }
        if (out == 0) {
            break;
        }
        p->order[kept++] = (struct order_key){out, p->order[i].descending};
    }
    p->order_count = kept;
}

static db_err phys_project(struct optimizer *o, struct lnode *n, const struct want *want,
                           struct phys *ret)
{
    struct want down;
    TRY(want_below(o, n, want, &down));
    TRY(opt__physical(o, n->children[0], &down, ret));
    uint32_t count = n->u.project.count;
    struct plan_node *p = opt__node(o, PLAN_PROJECT, count);
    col_id_t *cols = OPT_ARRAY(o, col_id_t, count);
    if (p == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    p->u.project.exprs = OPT_ARRAY(o, struct bexpr *, count);
    if (p->u.project.exprs == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(opt__resolve(o, n->u.project.exprs[i].expr, ret->cols, ret->node->column_count,
                         &p->u.project.exprs[i]));
        p->types[i] = &p->u.project.exprs[i]->type;
        cols[i] = n->u.project.exprs[i].out;
    }
    p->children[0] = ret->node;
    p->child_count = 1;
    p->rows = ret->node->rows;
    p->cost = ret->node->cost;
    order_above(ret, n);
    ret->node = p;
    ret->cols = cols;
    return UNLIKELY(opt__derived_is_kept(o, n)) ? opt__keep(o, ret) : ERR_OK;
}

static bool has_order(const struct phys *p, const struct lsort_key *keys, uint32_t count)
{
    if (count > p->order_count) {
        return p->one_row;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i].expr->kind != BEXPR_COLUMN || keys[i].expr->u.column.id != p->order[i].id ||
            keys[i].descending != p->order[i].descending) {
            return p->one_row;
        }
    }
    return true;
}

/* MYSQL: max_sort_length is for collations that pad. */
static bool may_be_cut(const struct sql_type *t)
{
    return type_is_string(t) && collation_by_id(t->collation)->pad == COLLATION_PAD_SPACE;
}

static db_err phys_sort(struct optimizer *o, struct lnode *n, const struct want *want,
                        struct phys *ret)
{
    struct want down = {.order_for = n->u.sort.groups ? INDEX_FOR_GROUP : INDEX_FOR_ORDER,
                        .order = n->u.sort.keys,
                        .order_count = n->u.sort.count,
                        .limit = want->limit};
    TRY(opt__physical(o, n->children[0], &down, ret));
    if (has_order(ret, n->u.sort.keys, n->u.sort.count)) {
        return ERR_OK;
    }
    struct plan_node *p = opt__above(o, PLAN_SORT, ret);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->u.sort.keys = OPT_ARRAY(o, struct plan_sort_key, n->u.sort.count);
    ret->order = OPT_ARRAY(o, struct order_key, n->u.sort.count);
    if (p->u.sort.keys == NULL || ret->order == NULL) {
        return ERR_NOMEM;
    }
    p->u.sort.count = n->u.sort.count;
    p->u.sort.cuts = !n->u.sort.whole;
    ret->order_count = 0;
    for (uint32_t i = 0; i < n->u.sort.count; i++) {
        const struct lsort_key *k = &n->u.sort.keys[i];
        p->u.sort.keys[i].descending = k->descending;
        TRY(opt__resolve(o, k->expr, ret->cols, p->column_count, &p->u.sort.keys[i].expr));
        bool cut = p->u.sort.cuts && may_be_cut(&k->expr->type);
        if (k->expr->kind == BEXPR_COLUMN && ret->order_count == i && !cut) {
            ret->order[ret->order_count++] =
                (struct order_key){k->expr->u.column.id, k->descending};
        }
    }
    ret->node = p;
    return ERR_OK;
}

static double limit_rows(const struct lnode *n)
{
    const struct bexpr *l = n->u.limit.limit;
    const struct bexpr *f = n->u.limit.offset;
    if (l == NULL || n->u.limit.calc_found_rows) {
        return -1;
    }
    double rows = l->kind == BEXPR_CONST ? (double)l->u.constant.u : 100;
    return rows + (f != NULL && f->kind == BEXPR_CONST ? (double)f->u.constant.u : 0);
}

static db_err phys_limit(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    struct want down = {.limit = limit_rows(n)};
    TRY(opt__physical(o, n->children[0], &down, ret));
    struct bexpr *limit = NULL;
    struct bexpr *offset = NULL;
    if (n->u.limit.limit != NULL) {
        TRY(opt__resolve(o, n->u.limit.limit, NULL, 0, &limit));
    }
    if (n->u.limit.offset != NULL) {
        TRY(opt__resolve(o, n->u.limit.offset, NULL, 0, &offset));
    }
    if (ret->node->kind == PLAN_SORT && limit != NULL && !n->u.limit.calc_found_rows) {
        ret->node->kind = PLAN_TOPN;
        ret->node->u.sort.limit = limit;
        ret->node->u.sort.offset = offset;
        return ERR_OK;
    }
    struct plan_node *p = opt__above(o, PLAN_LIMIT, ret);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->u.limit.limit = limit;
    p->u.limit.offset = offset;
    p->u.limit.calc_found_rows = n->u.limit.calc_found_rows;
    p->rows = opt__estimate(o, n);
    ret->node = p;
    return ERR_OK;
}

static db_err phys_distinct(struct optimizer *o, struct lnode *n, const struct want *want,
                            struct phys *ret)
{
    struct want down = *want;
    down.limit = -1;
    TRY(opt__physical(o, n->children[0], &down, ret));
    struct plan_node *p = opt__above(o, PLAN_DISTINCT, ret);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->u.distinct.keys = n->u.distinct.keys;
    p->rows = opt__estimate(o, n);
    ret->node = p; /* rows come out in the order they came in */
    return ERR_OK;
}

static db_err phys_setop(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    struct phys side;
    struct plan_node *p = opt__node(o, PLAN_SETOP, n->column_count);
    col_id_t *cols = OPT_ARRAY(o, col_id_t, n->column_count);
    struct plan_node **children = OPT_ARRAY(o, struct plan_node *, n->child_count);
    if (p == NULL || cols == NULL || children == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(opt__physical(o, n->children[i], &g_want_nothing, &side));
        children[i] = side.node;
    }
    p->children = children;
    p->child_count = n->child_count;
    for (uint32_t i = 0; i < n->column_count; i++) {
        p->types[i] = &n->columns[i].type;
        cols[i] = n->columns[i].id;
    }
    p->u.setop.op = n->u.setop.op;
    p->u.setop.distinct = n->u.setop.distinct;
    p->rows = opt__estimate(o, n);
    *ret = (struct phys){.node = p, .cols = cols};
    return ERR_OK;
}

db_err opt__physical(struct optimizer *o, struct lnode *n, const struct want *want,
                     struct phys *ret)
{
    *ret = (struct phys){0};
    switch (n->kind) {
    case LNODE_DUAL: return phys_dual(o, ret);
    case LNODE_TABLE: return opt__scan(o, n, want, ret);
    case LNODE_VALUES: return phys_values(o, n, ret);
    case LNODE_FILTER: return phys_filter(o, n, want, ret);
    case LNODE_PROJECT: return phys_project(o, n, want, ret);
    case LNODE_JOIN: return opt__join(o, n, want, ret);
    case LNODE_AGGREGATE: return opt__aggregate(o, n, ret);
    case LNODE_DISTINCT: return phys_distinct(o, n, want, ret);
    case LNODE_SORT: return phys_sort(o, n, want, ret);
    case LNODE_LIMIT: return phys_limit(o, n, ret);
    case LNODE_SETOP: return phys_setop(o, n, ret);
    case LNODE_WINDOW: return opt__window(o, n, want, ret);
    case LNODE_CTE_REF: return opt__cte_ref(o, n, ret);
    case LNODE_RECURSIVE: return opt__recursive(o, n, ret);
    case LNODE_TABLE_FUNC: return phys_table_func(o, n, ret);
    }
    return ERR_INVALID;
}
