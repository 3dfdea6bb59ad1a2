/* The algorithm of a join: lookup when the right side is a table with an index on the keys and the
 * left side is small beside it, hash when there are equalities, nested loops otherwise. The right
 * side is the one that is built, looked up or rescanned; the left side keeps its order. */
#include "sql/opt/opt_int.h"

#include <math.h>

#include "sql/bind/hints.h"
#include "sql/diag/my_error.h"

struct keys {
    struct bexpr *left[CATALOG_INDEX_PARTS_MAX * 2];
    struct bexpr *right[CATALOG_INDEX_PARTS_MAX * 2];
    bool null_safe[CATALOG_INDEX_PARTS_MAX * 2];
    uint32_t count;
    struct conjuncts rest;
};

static bool as_key(const struct lnode *n, struct bexpr *e, struct keys *k)
{
    if (e->kind != BEXPR_FUNC || e->arg_count != 2 || e->has_subquery || e->is_volatile ||
        k->count == ARRAY_COUNT(k->left) || func_compares_near(e->u.func)) {
        return false;
    }
    bool safe = strcmp(e->u.func->def->name, "op_nulleq") == 0;
    if (!safe && strcmp(e->u.func->def->name, "op_eq") != 0) {
        return false;
    }
    for (int side = 0; side < 2; side++) {
        struct bexpr *x = e->args[side];
        struct bexpr *y = e->args[1 - side];
        bool fits = opt__reads_only(x, n->children[0]) && opt__reads_only(y, n->children[1]) &&
                    opt__reads_any(x, n->children[0]) && opt__reads_any(y, n->children[1]);
        bool one_kind = type_phys(&x->type) == type_phys(&y->type) &&
                        (type_phys(&x->type) != PHYS_INT ||
                         type_is_unsigned(&x->type) == type_is_unsigned(&y->type)) &&
                        (!type_is_string(&x->type) || x->type.collation == y->type.collation) &&
                        (type_phys(&x->type) != PHYS_TIME || x->type.id == y->type.id) &&
                        x->type.id < TYPE_ENUM && y->type.id < TYPE_ENUM;
        if (fits && one_kind) {
            k->left[k->count] = x;
            k->right[k->count] = y;
            k->null_safe[k->count++] = safe;
            return true;
        }
    }
    return false;
}

static db_err split_conditions(struct optimizer *o, const struct lnode *n, struct keys *k)
{
    for (uint32_t i = 0; i < n->u.join.on_count; i++) {
        if (!as_key(n, n->u.join.on[i], k)) {
            TRY(opt__add_conjunct(o, &k->rest, n->u.join.on[i]));
        }
    }
    return ERR_OK;
}

static bool left_only(enum join_kind k)
{
    return k == JOIN_SEMI || k == JOIN_ANTI;
}

static db_err join_node(struct optimizer *o, struct lnode *n, enum plan_kind kind,
                        const struct phys *l, const struct phys *r, struct phys *ret,
                        col_id_t **ret_both)
{
    uint32_t nl = l->node->column_count;
    uint32_t nr = r->node->column_count;
    uint32_t out = left_only(n->u.join.kind) ? nl : nl + nr;
    struct plan_node *p = opt__node(o, kind, out);
    col_id_t *cols = OPT_ARRAY(o, col_id_t, nl + nr);
    if (p == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < nl + nr; i++) {
        cols[i] = i < nl ? l->cols[i] : r->cols[i - nl];
        if (i < out) {
            p->types[i] = i < nl ? l->node->types[i] : r->node->types[i - nl];
        }
    }
    p->children[0] = l->node;
    p->children[1] = r->node;
    p->child_count = 2;
    p->u.join.kind = n->u.join.kind;
    p->rows = opt__estimate(o, n);
    *ret = (struct phys){.node = p,
                         .cols = cols,
                         .one_row = l->one_row && r->one_row && n->u.join.kind != JOIN_FULL};
    if (n->u.join.kind != JOIN_FULL) {
        ret->order = l->order;
        ret->order_count = l->order_count;
    }
    *ret_both = cols;
    return ERR_OK;
}

static db_err set_keys(struct optimizer *o, struct plan_node *p, const struct keys *k,
                       const struct phys *l, const struct phys *r)
{
    p->u.join.key_count = k->count;
    p->u.join.null_safe = OPT_ARRAY(o, bool, k->count);
    if (p->u.join.null_safe == NULL) {
        return ERR_NOMEM;
    }
    memcpy(p->u.join.null_safe, k->null_safe, k->count * sizeof(bool));
    TRY(opt__resolve_list(o, k->left, k->count, l->cols, l->node->column_count,
                          &p->u.join.left_keys));
    return opt__resolve_list(o, k->right, k->count, r->cols, r->node->column_count,
                             &p->u.join.right_keys);
}

/* ---- lookup ---- */

/* The index that the bare-column keys of the right side can use. */
static const struct index_def *lookup_index(const struct optimizer *o, const struct lnode *right,
                                            const struct keys *k, uint32_t *ret_parts,
                                            uint32_t *ret_keys)
{
    col_id_t ids[CATALOG_INDEX_PARTS_MAX * 2];
    for (uint32_t i = 0; i < k->count; i++) {
        const struct bexpr *e = k->right[i];
        bool usable = e->kind == BEXPR_COLUMN && !k->null_safe[i];
        ids[i] = usable ? e->u.column.id : 0;
    }
    return opt__lookup_index(o, right, ids, k->count, ret_parts, ret_keys);
}

/* MYSQL: NO_BNL of the table that is joined leaves it no hash join; HASH_JOIN and NO_HASH_JOIN say
 * nothing any more. What is joined for its truth is a set of its own. */
static bool may_hash(const struct optimizer *o, const struct lnode *n)
{
    enum ast_tristate said = AST_UNSET;
    const struct lnode *t = n->children[1];
    while (t->kind == LNODE_JOIN || t->kind == LNODE_FILTER) {
        t = t->children[0];
    }
    if (left_only(n->u.join.kind) || n->u.join.kind == JOIN_FULL) {
        return true;
    }
    if (t->kind == LNODE_TABLE) {
        said = hints_switch(t->u.table.block, t->u.table.hinted, HINT_BNL);
    } else if (t->kind == LNODE_PROJECT) {
        said = hints_switch(t->u.project.block, t->u.project.hinted, HINT_BNL);
    } else if (t->kind == LNODE_CTE_REF) {
        said = hints_switch(t->u.cte_ref.block, t->u.cte_ref.hinted, HINT_BNL);
    }
    return said == AST_YES || (said == AST_UNSET && opt__switch(o, OPT_BLOCK_NESTED_LOOP));
}

static bool lookup_pays(struct optimizer *o, const struct lnode *n, const struct index_def *ix,
                        uint32_t parts)
{
    if (n->u.join.way != JOIN_BY_COST) {
        return n->u.join.way == JOIN_BY_LOOKUP;
    }
    if (!may_hash(o, n) || opt__index_forced(n->children[1], INDEX_FOR_JOIN)) {
        return true;
    }
    double left = n->children[0]->rows;
    double table = opt__table_rows(o, n->children[1]->u.table.def);
    bool unique = ix->kind != INDEX_PLAIN && parts == ix->part_count;
    double per_row = unique ? 1 : opt__index_rows(o, n->children[1]->u.table.def, ix, parts);
    return left * (3 + per_row * 2) < table + left;
}

static db_err lookup_join(struct optimizer *o, struct lnode *n, const struct keys *k,
                          const struct index_def *ix, uint32_t parts, const uint32_t *part_keys,
                          const struct phys *l, struct phys *ret)
{
    struct lnode *rn = n->children[1];
    struct plan_node *scan = opt__node(o, PLAN_INDEX_SCAN, 0);
    struct phys r = {.node = scan};
    col_id_t *both;
    if (scan == NULL) {
        return ERR_NOMEM;
    }
    const struct table_def *t = rn->u.table.def;
    bool covering = ix->id == INDEX_ID_CLUSTERED ||
                    (opt__covers(t, ix, rn->u.table.used) && rn->u.table.lock == ROW_LOCK_NONE);
    TRY(opt__scan_columns(o, rn, covering && ix->id != INDEX_ID_CLUSTERED, scan, &r));
    TRY(join_node(o, n, PLAN_LOOKUP_JOIN, l, &r, ret, &both));
    struct plan_node *p = ret->node;
    p->child_count = 1;
    p->children[1] = NULL;
    struct scan_spec *s = &p->u.join.lookup;
    *s = scan->u.scan;
    s->index = ix;
    s->covering = covering;
    s->ranges = OPT_ARRAY(o, struct scan_range, 1);
    if (s->ranges == NULL) {
        return ERR_NOMEM;
    }
    s->range_count = 1;
    struct scan_range *range = &s->ranges[0];
    range->eq = OPT_ARRAY(o, struct bexpr *, parts);
    range->eq_null_safe = OPT_ARRAY(o, bool, parts);
    if (range->eq == NULL || range->eq_null_safe == NULL) {
        return ERR_NOMEM;
    }
    range->eq_count = parts;
    for (uint32_t i = 0; i < parts; i++) {
        TRY(opt__resolve(o, k->left[part_keys[i]], l->cols, l->node->column_count, &range->eq[i]));
    }
    TRY(opt__resolve_list(o, rn->u.table.filters, rn->u.table.filter_count, r.cols,
                          scan->column_count, &s->filters));
    s->filter_count = rn->u.table.filter_count;
    s->possible = OPT_ARRAY(o, const struct index_def *, 1);
    if (s->possible == NULL) {
        return ERR_NOMEM;
    }
    s->possible[0] = ix;
    s->possible_count = 1;
    s->rows = p->rows / (l->node->rows < 1 ? 1 : l->node->rows);
    /* All conditions are checked again on the joined row: a key that the index could not state
     * exactly stays true. */
    TRY(opt__resolve_list(o, n->u.join.on, n->u.join.on_count, both,
                          l->node->column_count + scan->column_count, &p->u.join.filters));
    p->u.join.filter_count = n->u.join.on_count;
    return ERR_OK;
}

/* The right side is run for each left row, which gives it its outer columns. */
static db_err set_apply(struct optimizer *o, const struct lnode *n, const struct phys *l,
                        struct plan_node *p)
{
    uint32_t count = n->u.join.lateral_count;
    p->u.join.apply = true;
    p->u.join.outer_ids = n->u.join.lateral_ids;
    p->u.join.outer_count = count;
    p->u.join.outer_slots = OPT_ARRAY(o, uint32_t, count);
    if (p->u.join.outer_slots == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = opt__slot(l->cols, l->node->column_count, n->u.join.lateral_ids[i]);
        if (slot == UINT32_MAX) {
            return diag_set(o->diag, ERR_INVALID, "internal: a lateral column is not there");
        }
        p->u.join.outer_slots[i] = slot;
    }
    return ERR_OK;
}

db_err opt__join(struct optimizer *o, struct lnode *n, const struct want *want, struct phys *ret)
{
    struct phys l;
    struct phys r;
    struct keys k = {.count = 0};
    struct want left_want = {.limit = -1};
    struct want nothing = {.limit = -1};
    col_id_t *both;
    ASSERT(n->u.join.kind != JOIN_RIGHT); /* the rule about outer joins has turned them round */
    bool order_of_left = want->order_count != 0;
    for (uint32_t i = 0; i < want->order_count; i++) {
        order_of_left = order_of_left && opt__reads_only(want->order[i].expr, n->children[0]);
    }
    if (order_of_left) {
        left_want.order = want->order;
        left_want.order_count = want->order_count;
        left_want.order_for = want->order_for;
    }
    opt__estimate(o, n);
    if (n->u.join.lateral) {
        k.rest = (struct conjuncts){n->u.join.on, n->u.join.on_count, n->u.join.on_count};
    } else {
        TRY(split_conditions(o, n, &k));
    }
    TRY(opt__physical(o, n->children[0], &left_want, &l));
    struct lnode *rn = n->children[1];
    if (k.count != 0 && rn->kind == LNODE_TABLE && rn->u.table.def->kind == TABLE_BASE &&
        n->u.join.kind != JOIN_FULL) {
        uint32_t parts;
        uint32_t part_keys[CATALOG_INDEX_PARTS_MAX];
        const struct index_def *ix = lookup_index(o, rn, &k, &parts, part_keys);
        if (ix != NULL && lookup_pays(o, n, ix, parts)) {
            return lookup_join(o, n, &k, ix, parts, part_keys, &l, ret);
        }
    }
    if (k.count != 0 && !may_hash(o, n)) {
        k.count = 0;
        k.rest = (struct conjuncts){n->u.join.on, n->u.join.on_count, n->u.join.on_count};
    }
    TRY(opt__physical(o, rn, &nothing, &r));
    TRY(join_node(o, n, k.count != 0 ? PLAN_HASH_JOIN : PLAN_NL_JOIN, &l, &r, ret, &both));
    struct plan_node *p = ret->node;
    if (n->u.join.lateral) {
        TRY(set_apply(o, n, &l, p));
    }
    p->cost = l.node->cost + r.node->cost + p->rows;
    TRY(set_keys(o, p, &k, &l, &r));
    TRY(opt__resolve_list(o, k.rest.list, k.rest.count, both,
                          l.node->column_count + r.node->column_count, &p->u.join.filters));
    p->u.join.filter_count = k.rest.count;
    p->u.join.keeps_right = opt__keeps_right(o, p);
    return ERR_OK;
}
