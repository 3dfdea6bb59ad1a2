/* Common table expressions: one that is used once becomes a part of the query that uses it, so that
 * conditions and limits reach into it; one that is used more often, or once by a subquery that runs
 * again and again, runs once and keeps its rows. */
#include "sql/opt/opt_int.h"

#include "sql/bind/hints.h"

/* The reference becomes a projection of the expression, under the reference's column ids. */
static db_err put_in_place(struct optimizer *o, struct lnode *n)
{
    struct lnode *root = o->stmt->ctes[n->u.cte_ref.cte];
    struct lproj *exprs = OPT_ARRAY(o, struct lproj, n->column_count);
    if (exprs == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        struct bexpr *e = opt__column(o, &root->columns[i]);
        if (e == NULL) {
            return ERR_NOMEM;
        }
        exprs[i] = (struct lproj){e, n->columns[i].id};
    }
    o->stmt->ctes[n->u.cte_ref.cte] = NULL;
    const struct hint_block *block = n->u.cte_ref.block;
    const struct hint_table *hinted = n->u.cte_ref.hinted;
    memset(&n->u, 0, sizeof(n->u));
    n->kind = LNODE_PROJECT;
    n->u.project.derived = true;
    n->u.project.block = block;
    n->u.project.hinted = hinted;
    n->u.project.exprs = exprs;
    n->u.project.count = n->column_count;
    n->children[0] = root;
    n->child_count = 1;
    return ERR_OK;
}

static bool is_merged(const struct lnode *n)
{
    return hints_switch(n->u.cte_ref.block, n->u.cte_ref.hinted, HINT_MERGE) == AST_YES;
}

static db_err walk(struct optimizer *o, struct lnode *n, bool runs_often)
{
    const struct bound_stmt *s = o->stmt;
    if (n->kind == LNODE_CTE_REF && !n->u.cte_ref.working) {
        struct lnode *root = s->ctes[n->u.cte_ref.cte];
        if (s->cte_references[n->u.cte_ref.cte] == 1 &&
            (!runs_often || opt__is_simple(root) || is_merged(n))) {
            TRY(put_in_place(o, n));
        }
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        bool often = (n->kind == LNODE_RECURSIVE && i == 1) ||
                     (n->kind == LNODE_JOIN && n->u.join.lateral && i == 1);
        TRY(walk(o, n->children[i], runs_often || often));
    }
    return ERR_OK;
}

db_err opt__inline_ctes(struct optimizer *o)
{
    struct bound_stmt *s = o->stmt;
    if (s->cte_count == 0) {
        return ERR_OK;
    }
    TRY(walk(o, s->root, false));
    for (uint32_t i = 0; i < s->subquery_count; i++) {
        TRY(walk(o, s->subqueries[i]->root, s->subqueries[i]->correlated));
    }
    /* Backwards: what the last one holds once is part of it now. */
    for (uint32_t i = s->cte_count; i-- > 0;) {
        if (s->ctes[i] != NULL) {
            TRY(walk(o, s->ctes[i], false));
        }
    }
    return ERR_OK;
}

db_err opt__plan_ctes(struct optimizer *o)
{
    struct bound_stmt *s = o->stmt;
    struct want nothing = {.limit = -1};
    o->plan->cte_count = s->cte_count;
    o->plan->ctes = OPT_ARRAY(o, struct plan_node *, s->cte_count);
    if (o->plan->ctes == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->cte_count; i++) {
        struct phys root;
        if (s->ctes[i] == NULL) {
            continue;
        }
        TRY(opt__unnest(o, &s->ctes[i], false));
        TRY(opt__rewrite(o, &s->ctes[i]));
        TRY(opt__physical(o, s->ctes[i], &nothing, &root));
        o->plan->ctes[i] = root.node;
    }
    return ERR_OK;
}

static db_err own_columns(struct optimizer *o, const struct lnode *n, enum plan_kind kind,
                          struct phys *ret)
{
    struct plan_node *p = opt__node(o, kind, n->column_count);
    col_id_t *cols = OPT_ARRAY(o, col_id_t, n->column_count);
    if (p == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        p->types[i] = &n->columns[i].type;
        cols[i] = n->columns[i].id;
    }
    *ret = (struct phys){.node = p, .cols = cols};
    return ERR_OK;
}

db_err opt__cte_ref(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    TRY(own_columns(o, n, PLAN_CTE_REF, ret));
    ret->node->rows = opt__estimate(o, n);
    ret->node->u.cte_ref.cte = n->u.cte_ref.cte;
    ret->node->u.cte_ref.working = n->u.cte_ref.working;
    return ERR_OK;
}

db_err opt__keep(struct optimizer *o, struct phys *io)
{
    struct plan *p = o->plan;
    struct plan_node **grown = OPT_ARRAY(o, struct plan_node *, p->cte_count + 1);
    struct plan_node *ref = opt__node(o, PLAN_CTE_REF, io->node->column_count);
    if (grown == NULL || ref == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < p->cte_count; i++) {
        grown[i] = p->ctes[i];
    }
    grown[p->cte_count] = io->node;
    p->ctes = grown;
    memcpy(ref->types, io->node->types, ref->column_count * sizeof(*ref->types));
    ref->rows = io->node->rows;
    ref->u.cte_ref.cte = p->cte_count++;
    *io = (struct phys){.node = ref, .cols = io->cols, .one_row = io->one_row};
    return ERR_OK;
}

db_err opt__recursive(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    struct want nothing = {.limit = -1};
    TRY(own_columns(o, n, PLAN_RECURSIVE, ret));
    struct plan_node *p = ret->node;
    for (uint32_t i = 0; i < 2; i++) {
        struct phys side;
        TRY(opt__physical(o, n->children[i], &nothing, &side));
        p->children[i] = side.node;
    }
    p->child_count = 2;
    p->rows = opt__estimate(o, n);
    p->u.recursive.cte = n->u.recursive.cte;
    p->u.recursive.distinct = n->u.recursive.distinct;
    p->u.recursive.names = OPT_ARRAY(o, const char *, n->column_count);
    if (p->u.recursive.names == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        p->u.recursive.names[i] = arena_strdup(o->arena, n->columns[i].name);
        if (p->u.recursive.names[i] == NULL) {
            return ERR_NOMEM;
        }
    }
    return ERR_OK;
}
