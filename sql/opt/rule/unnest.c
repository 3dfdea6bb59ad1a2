/* Subqueries that WHERE or HAVING asks for a truth become joins: EXISTS and IN a semi-join, NOT
 * EXISTS an anti-join; NOT IN too where no NULL can make it unknown.
 *
 * The subquery's tables become the right side. Of its conditions those that read the enclosing
 * row's columns move to the join's condition, where these are ordinary columns; nothing else of it
 * may read them. An uncorrelated IN on one column stays: its rows are a hash set already. */
#include "sql/opt/opt_int.h"

#include "sql/bind/hints.h"

struct unnest {
    struct optimizer *o;
    const struct lnode *outer; /* the enclosing rows */
    struct bsubquery *sub;
    struct lnode *tables; /* the right side */
    struct conjuncts on, rest;
    struct lproj *shown; /* IN: what the subquery shows, in terms of `tables` */
    uint32_t shown_count;
};

/* ---- what reads the enclosing row ---- */

bool opt__reads_outer(const struct bexpr *e, const struct lnode *outer)
{
    if (e->kind == BEXPR_OUTER && (outer == NULL || lnode_gives(outer, e->u.column.id))) {
        return true;
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        const struct bsubquery *s = e->u.subquery.sub;
        for (uint32_t i = 0; i < s->outer_count; i++) {
            if (outer == NULL || lnode_gives(outer, s->outer_columns[i])) {
                return true;
            }
        }
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (opt__reads_outer(e->args[i], outer)) {
            return true;
        }
    }
    return false;
}

static bool any_reads_outer(struct bexpr *const *list, uint32_t n, const struct lnode *outer)
{
    for (uint32_t i = 0; i < n; i++) {
        if (list[i] != NULL && opt__reads_outer(list[i], outer)) {
            return true;
        }
    }
    return false;
}

/* Of trees with other nodes than those below it is said that they may read the enclosing row. */
bool opt__tree_reads_outer(const struct lnode *n, const struct lnode *outer)
{
    switch ((int)n->kind) {
    case LNODE_DUAL: return false;
    case LNODE_TABLE: return any_reads_outer(n->u.table.filters, n->u.table.filter_count, outer);
    case LNODE_FILTER:
        if (any_reads_outer(n->u.filter.conjuncts, n->u.filter.count, outer)) {
            return true;
        }
        break;
    case LNODE_PROJECT:
        for (uint32_t i = 0; i < n->u.project.count; i++) {
            if (opt__reads_outer(n->u.project.exprs[i].expr, outer)) {
                return true;
            }
        }
        break;
    case LNODE_JOIN:
        if (any_reads_outer(n->u.join.on, n->u.join.on_count, outer)) {
            return true;
        }
        break;
    case LNODE_AGGREGATE:
        for (uint32_t i = 0; i < n->u.aggregate.group_count; i++) {
            if (opt__reads_outer(n->u.aggregate.groups[i].expr, outer)) {
                return true;
            }
        }
        for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
            const struct lagg *a = &n->u.aggregate.aggs[i];
            if (any_reads_outer(a->args, a->call->arg_count, outer) || a->order_count != 0) {
                return true;
            }
        }
        break;
    case LNODE_SORT:
        for (uint32_t i = 0; i < n->u.sort.count; i++) {
            if (opt__reads_outer(n->u.sort.keys[i].expr, outer)) {
                return true;
            }
        }
        break;
    case LNODE_LIMIT: /* its numbers read no columns */
    case LNODE_SETOP:
    case LNODE_DISTINCT: break;
    case LNODE_CTE_REF: return false;
    default: return true;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (opt__tree_reads_outer(n->children[i], outer)) {
            return true;
        }
    }
    return false;
}

/* e with the enclosing row's columns as columns. NULL: out of memory. */
struct bexpr *opt__from_within(struct optimizer *o, const struct bexpr *e,
                               const struct lnode *outer)
{
    struct bexpr *c = bexpr_clone(o->arena, e);
    if (c == NULL) {
        return NULL;
    }
    if (c->kind == BEXPR_OUTER && lnode_gives(outer, c->u.column.id)) {
        c->kind = BEXPR_COLUMN;
    }
    for (uint32_t i = 0; i < c->arg_count; i++) {
        c->args[i] = opt__from_within(o, e->args[i], outer);
        if (c->args[i] == NULL) {
            return NULL;
        }
    }
    return c;
}

/* ---- taking the subquery apart ---- */

static bool keeps_a_row(const struct lnode *n)
{
    const struct bexpr *l = n->u.limit.limit;
    return n->u.limit.offset == NULL && l != NULL && l->kind == BEXPR_CONST &&
           !l->u.constant.is_null && l->u.constant.u > 0;
}

/* Strips what does not matter for the truth: the projection (kept in `shown`), DISTINCT, ORDER BY.
 */
static db_err strip(struct unnest *u, struct lnode *n, bool exists, bool *ret_fits)
{
    *ret_fits = false;
    for (;;) {
        if (n->kind == LNODE_PROJECT) {
            struct lproj *shown = OPT_ARRAY(u->o, struct lproj, n->u.project.count);
            if (shown == NULL) {
                return ERR_NOMEM;
            }
            if (u->shown == NULL) {
                for (uint32_t i = 0; i < n->u.project.count; i++) {
                    shown[i] = n->u.project.exprs[i];
                }
                u->shown = shown;
                u->shown_count = n->u.project.count;
            } else {
                for (uint32_t i = 0; i < u->shown_count; i++) {
                    u->shown[i].expr = opt__substitute(u->o, u->shown[i].expr, n->u.project.exprs,
                                                       n->u.project.count);
                    if (u->shown[i].expr == NULL) {
                        return ERR_NOMEM;
                    }
                }
            }
        } else if (n->kind == LNODE_LIMIT ? !(exists && keeps_a_row(n))
                                          : n->kind != LNODE_DISTINCT && n->kind != LNODE_SORT) {
            break;
        }
        n = n->children[0];
    }
    for (uint32_t i = 0; i < u->shown_count; i++) {
        const struct bexpr *e = u->shown[i].expr;
        if (e->is_volatile || e->has_subquery || opt__too_high(e)) {
            return ERR_OK;
        }
    }
    while (n->kind == LNODE_FILTER) {
        for (uint32_t i = 0; i < n->u.filter.count; i++) {
            struct bexpr *e = n->u.filter.conjuncts[i];
            bool outer = opt__reads_outer(e, u->outer);
            if (outer && (e->has_subquery || e->is_volatile)) {
                return ERR_OK;
            }
            if (outer) {
                e = opt__from_within(u->o, e, u->outer);
                if (e == NULL) {
                    return ERR_NOMEM;
                }
            }
            TRY(opt__add_conjunct(u->o, outer ? &u->on : &u->rest, e));
        }
        n = n->children[0];
    }
    u->tables = n;
    *ret_fits = n->kind != LNODE_DUAL && !opt__tree_reads_outer(n, u->outer);
    return ERR_OK;
}

/* Left side = what the subquery shows, for each column. */
static db_err add_equalities(struct unnest *u, const struct bexpr *e, bool anti, bool *ret_fits)
{
    const struct bsubquery *sub = u->sub;
    *ret_fits = sub->equal != NULL;
    for (uint32_t i = 0; *ret_fits && i < e->arg_count; i++) {
        const struct bexpr *eq = sub->equal[i];
        if (eq->kind != BEXPR_FUNC || eq->arg_count != 2) {
            *ret_fits = false;
            break;
        }
        struct bexpr *right = eq->args[1];
        if (u->shown != NULL) {
            right = opt__substitute(u->o, right, u->shown, u->shown_count);
        }
        right = right == NULL ? NULL : opt__from_within(u->o, right, u->outer);
        struct bexpr *c = bexpr_clone(u->o->arena, eq);
        if (right == NULL || c == NULL) {
            return ERR_NOMEM;
        }
        c->args[0] = e->args[i];
        c->args[1] = right;
        if (anti && !((c->args[0]->type.flags & TYPE_F_NOT_NULL) != 0 &&
                      right->kind == BEXPR_COLUMN && (right->type.flags & TYPE_F_NOT_NULL) != 0)) {
            *ret_fits = false;
        }
        TRY(opt__add_conjunct(u->o, &u->on, c));
    }
    return ERR_OK;
}

static db_err with_filter(struct unnest *u, struct lnode **io)
{
    if (u->rest.count == 0) {
        return ERR_OK;
    }
    struct lnode *f = lnode_new(u->o->arena, LNODE_FILTER, 1);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    f->columns = (*io)->columns;
    f->column_count = (*io)->column_count;
    f->children[0] = *io;
    f->u.filter.conjuncts = u->rest.list;
    f->u.filter.count = u->rest.count;
    *io = f;
    return ERR_OK;
}

static bool stands_once(const struct optimizer *o, const struct bsubquery *sub);

/* MYSQL: SUBQUERY(..) leaves no semijoin. NO_SEMIJOIN of some strategies leaves the others; when
 * there is none left, one that we do not have. */
static bool may_join(const struct optimizer *o, const struct hint_block *b)
{
    enum ast_tristate said = b == NULL ? AST_UNSET : b->switches[HINT_SEMIJOIN];
    if ((b != NULL && b->subquery != 0) || (said == AST_NO && b->semijoin == 0)) {
        return false;
    }
    return said != AST_UNSET || opt__switch(o, OPT_SEMIJOIN);
}

/* FIRSTMATCH looks the rows up, MATERIALIZATION makes them a set. */
static enum join_way way_of(const struct optimizer *o, const struct hint_block *b)
{
    bool named = b != NULL && b->switches[HINT_SEMIJOIN] != AST_UNSET && b->semijoin != 0;
    bool on = named && b->switches[HINT_SEMIJOIN] == AST_YES;
    bool first =
        named ? on == ((b->semijoin & HINT_FIRSTMATCH) != 0) : opt__switch(o, OPT_FIRSTMATCH);
    bool set = named ? on == ((b->semijoin & HINT_MATERIALIZATION) != 0)
                     : opt__switch(o, OPT_MATERIALIZATION);
    return first == set ? JOIN_BY_COST : first ? JOIN_BY_LOOKUP : JOIN_BY_HASH;
}

/* The join in place of the conjunct; *ret NULL: it stays. */
static db_err try_unnest(struct optimizer *o, struct lnode *input, const struct bexpr *e,
                         struct lnode **ret)
{
    bool negated = false;
    bool fits;
    *ret = NULL;
    while (e->kind == BEXPR_FUNC && e->arg_count == 1 &&
           strcmp(e->u.func->def->name, "op_not") == 0) {
        negated = !negated;
        e = e->args[0];
    }
    bool exists = e->kind == BEXPR_SUBQUERY_EXISTS;
    if (!exists && e->kind != BEXPR_SUBQUERY_IN) {
        return ERR_OK;
    }
    negated = negated != e->u.subquery.negated;
    struct bsubquery *sub = e->u.subquery.sub;
    bool asked = sub->block != NULL && sub->block->switches[HINT_SEMIJOIN] == AST_YES;
    bool worth = sub->correlated || (!exists && e->arg_count > 1) || asked;
    if (!worth || !may_join(o, sub->block) ||
        (e->has_subquery && e->arg_count != 0 && any_reads_outer(e->args, e->arg_count, input))) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (e->args[i]->has_subquery || e->args[i]->is_volatile) {
            return ERR_OK;
        }
    }
    if (!stands_once(o, sub)) {
        return ERR_OK;
    }
    struct unnest u = {.o = o, .outer = input, .sub = sub};
    TRY(strip(&u, exists ? sub->root : sub->compared, exists, &fits));
    if (fits && !exists) {
        TRY(add_equalities(&u, e, negated, &fits));
    }
    if (!fits || u.on.count == 0) {
        return ERR_OK;
    }
    TRY(with_filter(&u, &u.tables));
    struct lnode *j = lnode_new(o->arena, LNODE_JOIN, 2);
    if (j == NULL) {
        return ERR_NOMEM;
    }
    j->columns = input->columns;
    j->column_count = input->column_count;
    j->children[0] = input;
    j->children[1] = u.tables;
    j->u.join.kind = negated ? JOIN_ANTI : JOIN_SEMI;
    j->u.join.way = (uint8_t)way_of(o, sub->block);
    j->u.join.on = u.on.list;
    j->u.join.on_count = u.on.count;
    sub->unnested = true;
    *ret = j;
    return ERR_OK;
}

/* ---- how often a subquery is asked: one that stands twice must stay ---- */

struct uses {
    const struct bsubquery *sub;
    uint32_t count;
};

static bool note_use(const struct bexpr *e, void *arg)
{
    struct uses *u = arg;
    bool subquery = e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED;
    u->count += subquery && e->u.subquery.sub == u->sub;
    return true;
}

static void list_uses(struct bexpr *const *list, uint32_t n, struct uses *u)
{
    for (uint32_t i = 0; i < n; i++) {
        bexpr_walk(list[i], note_use, u);
    }
}

static void tree_uses(const struct lnode *n, struct uses *u)
{
    switch ((int)n->kind) {
    case LNODE_TABLE: list_uses(n->u.table.filters, n->u.table.filter_count, u); break;
    case LNODE_VALUES:
        for (uint32_t i = 0; i < n->u.values.row_count; i++) {
            list_uses(n->u.values.rows[i], n->column_count, u);
        }
        break;
    case LNODE_FILTER: list_uses(n->u.filter.conjuncts, n->u.filter.count, u); break;
    case LNODE_PROJECT:
        for (uint32_t i = 0; i < n->u.project.count; i++) {
            bexpr_walk(n->u.project.exprs[i].expr, note_use, u);
        }
        break;
    case LNODE_JOIN: list_uses(n->u.join.on, n->u.join.on_count, u); break;
    case LNODE_AGGREGATE:
        for (uint32_t i = 0; i < n->u.aggregate.group_count; i++) {
            bexpr_walk(n->u.aggregate.groups[i].expr, note_use, u);
        }
        for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
            const struct lagg *a = &n->u.aggregate.aggs[i];
            list_uses(a->args, a->call->arg_count, u);
            for (uint32_t k = 0; k < a->order_count; k++) {
                bexpr_walk(a->order[k].expr, note_use, u);
            }
        }
        break;
    case LNODE_SORT:
        for (uint32_t i = 0; i < n->u.sort.count; i++) {
            bexpr_walk(n->u.sort.keys[i].expr, note_use, u);
        }
        break;
    case LNODE_WINDOW:
        list_uses(n->u.window.partition, n->u.window.partition_count, u);
        for (uint32_t i = 0; i < n->u.window.order_count; i++) {
            bexpr_walk(n->u.window.order[i].expr, note_use, u);
        }
        for (uint32_t i = 0; i < n->u.window.call_count; i++) {
            list_uses(n->u.window.calls[i].args, n->u.window.calls[i].arg_count, u);
        }
        break;
    default: break;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        tree_uses(n->children[i], u);
    }
}

static bool stands_once(const struct optimizer *o, const struct bsubquery *sub)
{
    const struct bound_stmt *s = o->stmt;
    struct uses u = {sub, 0};
    tree_uses(s->root, &u);
    for (uint32_t i = 0; i < s->subquery_count; i++) {
        if (!s->subqueries[i]->unnested) { /* else it is part of another tree */
            tree_uses(s->subqueries[i]->root, &u);
        }
    }
    for (uint32_t i = 0; i < s->cte_count; i++) {
        if (s->ctes[i] != NULL) {
            tree_uses(s->ctes[i], &u);
        }
    }
    return u.count == 1;
}

/* ---- the walk ---- */

/* Scalar subqueries in what is evaluated for every row of *io_input. */
static db_err unnest_within(struct optimizer *o, struct bexpr **io, bool limited,
                            struct lnode **io_input)
{
    struct bexpr *e = *io;
    if (!e->has_subquery) {
        return ERR_OK;
    }
    if (e->kind == BEXPR_SUBQUERY_SCALAR) {
        return stands_once(o, e->u.subquery.sub) ? opt__unnest_scalar(o, e, limited, io_input, io)
                                                 : ERR_OK;
    }
    bool all = e->kind == BEXPR_FUNC || e->kind == BEXPR_CAST;
    bool first = e->kind == BEXPR_COALESCE || e->kind == BEXPR_CASE || e->kind == BEXPR_AND ||
                 e->kind == BEXPR_OR;
    for (uint32_t i = 0; i < e->arg_count && (all || (first && i == 0)); i++) {
        TRY(unnest_within(o, &e->args[i], limited, io_input));
    }
    return ERR_OK;
}

static db_err unnest_filter(struct optimizer *o, struct lnode *f, bool limited)
{
    struct conjuncts stay = {0};
    for (uint32_t i = 0; i < f->u.filter.count; i++) {
        struct bexpr *e = f->u.filter.conjuncts[i];
        struct lnode *join = NULL;
        if (e->has_subquery) {
            TRY(try_unnest(o, f->children[0], e, &join));
        }
        if (join != NULL) {
            f->children[0] = join;
            continue;
        }
        TRY(unnest_within(o, &e, limited, &f->children[0]));
        TRY(opt__add_conjunct(o, &stay, e));
    }
    f->u.filter.conjuncts = stay.list;
    f->u.filter.count = stay.count;
    return ERR_OK;
}

static db_err unnest_aggregate(struct optimizer *o, struct lnode *n)
{
    for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
        const struct lagg *a = &n->u.aggregate.aggs[i];
        for (uint32_t k = 0; k < a->call->arg_count; k++) {
            TRY(unnest_within(o, &a->args[k], false, &n->children[0]));
        }
    }
    return ERR_OK;
}

/* limited: a LIMIT above may make do with few of the rows, or the tree runs again and again. */
static db_err walk(struct optimizer *o, struct lnode *n, bool limited)
{
    switch ((int)n->kind) {
    case LNODE_FILTER: TRY(unnest_filter(o, n, limited)); break;
    case LNODE_PROJECT:
        for (uint32_t i = 0; i < n->u.project.count; i++) {
            TRY(unnest_within(o, &n->u.project.exprs[i].expr, limited, &n->children[0]));
        }
        break;
    case LNODE_AGGREGATE: TRY(unnest_aggregate(o, n)); break;
    default: break;
    }
    bool takes_all = n->kind == LNODE_SORT || n->kind == LNODE_AGGREGATE || n->kind == LNODE_WINDOW;
    limited = (limited && !takes_all) || (n->kind == LNODE_LIMIT && n->u.limit.limit != NULL);
    bool again = n->kind == LNODE_RECURSIVE || (n->kind == LNODE_JOIN && n->u.join.lateral);
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(walk(o, n->children[i], limited || (again && i == 1)));
    }
    return ERR_OK;
}

db_err opt__unnest(struct optimizer *o, struct lnode **io_root, bool runs_often)
{
    bool any = o->stmt->kind == BOUND_SELECT && o->stmt->subquery_count != 0;
    return any ? walk(o, *io_root, runs_often) : ERR_OK;
}
