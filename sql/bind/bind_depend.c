/* Functional dependence (MYSQL: ONLY_FULL_GROUP_BY): which columns have one value per group.
 *
 * Beginning with the grouping columns, what is known spreads until nothing is new: columns that
 * WHERE or an inner join's ON equates with a constant or a known column, also by IN, whose subquery
 * is then one of the tables that are joined, as is that of EXISTS; all columns of a table of which
 * a unique key without NULLs is known; generated columns of known columns, but where an outer join
 * may make up the row (none whose NULLs a condition above refuses); through an outer join from the
 * outer side to the inner one; the results of an aggregation whose groups are known; expressions of
 * known columns. Of a derived table that is kept apart, and not made part of the query, nothing is
 * learnt before one of its columns is known, and nothing where an outer join may make up its rows.
 * WHERE with the inner joins' ON, and an outer join's ON with those in its inner side, tell nothing
 * when a part of them is FALSE of itself.
 */
#include "sql/bind/bind_int.h"

#include "sql/bind/table_rules.h"
#include "sql/parser/parser.h"

struct depend {
    struct binder *b;
    bool *known;         /* by col_id */
    const bool **reads;  /* by col_id: of a generated column, by ordinal; NULL: not looked at yet */
    struct bexpr **made; /* by col_id: what a merged derived table shows as the column, or NULL */
    uint32_t depth;      /* subqueries around what is looked at, up to the query that asks */
    bool changed;
    bool never; /* the conditions of what is looked at are FALSE of themselves: they tell nothing */
};

/* The conditions above a node. */
struct above {
    const struct above *next;
    struct bexpr *const *conjuncts;
    uint32_t count;
};

static db_err spread(struct depend *d, const struct lnode *n, const struct above *above,
                     bool inner);

/* Are the conditions of n, and of what is joined into it, FALSE of themselves? */
static db_err is_never(struct depend *d, const struct lnode *n, const struct above *above,
                       bool *ret);

static void learn(struct depend *d, col_id_t id)
{
    d->changed = d->changed || !d->known[id];
    d->known[id] = true;
}

/* What stands in a comparison, without what has been put around it to compare it. */
static const struct bexpr *compared(const struct bexpr *e)
{
    while (e->kind == BEXPR_CAST && !e->u.cast.explicit_cast) {
        e = e->args[0];
    }
    return e;
}

/* A column of the query that asks, or of what is joined with it. */
static bool is_column(const struct depend *d, const struct bexpr *e)
{
    return e->kind == BEXPR_COLUMN || (e->kind == BEXPR_OUTER && e->u.column.depth <= d->depth);
}

static bool is_fixed(const struct depend *d, const struct bexpr *e)
{
    bool outer = e->kind == BEXPR_OUTER && !is_column(d, e);
    return e->kind == BEXPR_PARAM || outer || bind__is_known_early(e);
}

static bool has_one_value(const struct depend *d, const struct bexpr *e)
{
    return is_fixed(d, e) || (is_column(d, e) && d->known[e->u.column.id]);
}

/* The select items of a subquery that is a semi-join's side; NULL: its rows are groups, or
 * limited. */
static const struct lnode *joined_side(const struct lnode *n, bool exists)
{
    while (n != NULL && (n->kind == LNODE_DISTINCT || n->kind == LNODE_SORT ||
                         (exists && n->kind == LNODE_LIMIT && n->u.limit.offset == NULL))) {
        n = n->children[0];
    }
    if (n == NULL || n->kind != LNODE_PROJECT) {
        return NULL;
    }
    const struct lnode *from = n->children[0];
    while (from->kind == LNODE_FILTER) {
        from = from->children[0];
    }
    bool derived = from->kind == LNODE_PROJECT && from->u.project.derived;
    bool rows = from->kind == LNODE_TABLE || from->kind == LNODE_JOIN || from->kind == LNODE_DUAL ||
                from->kind == LNODE_CTE_REF || from->kind == LNODE_TABLE_FUNC || derived;
    return rows ? n : NULL;
}

/* column IN (SELECT item ...): they are equal. */
static void of_items(struct depend *d, const struct bexpr *in, const struct lnode *items,
                     const struct lnode *into)
{
    for (uint32_t i = 0; i < in->arg_count && i < items->u.project.count; i++) {
        const struct bexpr *x = compared(in->args[i]);
        const struct bexpr *y = compared(items->u.project.exprs[i].expr);
        bool of_x = has_one_value(d, x);
        d->depth++;
        bool of_y = has_one_value(d, y);
        if (of_x && is_column(d, y)) {
            learn(d, y->u.column.id);
        }
        d->depth--;
        if (of_y && is_column(d, x) && (into == NULL || lnode_gives(into, x->u.column.id))) {
            learn(d, x->u.column.id);
        }
    }
}

/* MYSQL: IN (SELECT ...) and EXISTS become joins. */
static db_err of_subquery(struct depend *d, const struct bexpr *e, const struct lnode *into)
{
    bool in = e->kind == BEXPR_SUBQUERY_IN;
    const struct bsubquery *sub = e->u.subquery.sub;
    const struct lnode *items = joined_side(in ? sub->compared : sub->root, !in);
    if (e->u.subquery.negated || items == NULL) {
        return ERR_OK;
    }
    bool around = d->never;
    TRY(is_never(d, items->children[0], NULL, &d->never));
    bool never = d->never;
    d->depth++;
    db_err err = spread(d, items->children[0], NULL, false);
    d->depth--;
    d->never = around;
    if (err == ERR_OK && in && !never) {
        of_items(d, e, items, into);
    }
    return err;
}

/* into: as of equalities. */
static db_err subqueries(struct depend *d, struct bexpr *const *list, uint32_t n,
                         const struct lnode *into)
{
    for (uint32_t i = 0; i < n && !d->never; i++) {
        if (list[i]->kind == BEXPR_SUBQUERY_IN || list[i]->kind == BEXPR_SUBQUERY_EXISTS) {
            TRY(of_subquery(d, list[i], into));
        }
    }
    return ERR_OK;
}

/* column = column, column = constant, of whatever types. `into`: only columns of this side are
 * learnt, from columns (an outer join's condition); NULL: of both. */
static void equalities(struct depend *d, struct bexpr *const *list, uint32_t n,
                       const struct lnode *into, bool constants)
{
    for (uint32_t i = 0; i < n && !d->never; i++) {
        const struct bexpr *c = list[i];
        if (c->kind != BEXPR_FUNC || c->arg_count != 2 ||
            strcmp(c->u.func->def->name, "op_eq") != 0) {
            continue;
        }
        for (int k = 0; k < 2; k++) {
            const struct bexpr *x = compared(c->args[k]);
            const struct bexpr *y = compared(c->args[1 - k]);
            if (!is_column(d, x) || (into != NULL && !lnode_gives(into, x->u.column.id))) {
                continue;
            }
            if (constants ? has_one_value(d, y) : is_column(d, y) && d->known[y->u.column.id]) {
                learn(d, x->u.column.id);
            }
        }
    }
}

static void of_table(struct depend *d, const struct lnode *t)
{
    const struct table_def *def = t->u.table.def;
    for (uint32_t i = 0; i < def->index_count; i++) {
        const struct index_def *ix = &def->indexes[i];
        bool all = (ix->kind == INDEX_PRIMARY || ix->kind == INDEX_UNIQUE) &&
                   !(i == 0 && !def->has_primary);
        for (uint32_t p = 0; p < ix->part_count && all; p++) {
            const struct column_def *c = &def->columns[ix->parts[p].column];
            all = (c->type.flags & TYPE_F_NOT_NULL) != 0 && ix->parts[p].prefix_len == 0 &&
                  d->known[t->columns[ix->parts[p].column].id];
        }
        for (uint32_t k = 0; all && k < t->column_count; k++) {
            learn(d, t->columns[k].id);
        }
    }
}

static db_err columns_read(struct depend *d, const struct table_def *def,
                           const struct column_def *c, const bool **ret)
{
    struct binder *b = d->b;
    struct parse_options po = {0};
    struct bind_opts quiet = *b->opts;
    struct ast_expr *ast;
    struct bexpr *e;
    bool *reads = BIND_ARRAY(b, bool, def->column_count + 1);
    if (reads == NULL) {
        return ERR_NOMEM;
    }
    quiet.warn = NULL;
    TRY(parser_parse_expr(b->arena, c->generated_expr, &po, b->diag, &ast));
    TRY(bind_scalar(b->arena, &quiet, ast, def, b->diag, &e));
    bexpr_note_columns(e, reads);
    *ret = reads;
    return ERR_OK;
}

static db_err generated_columns(struct depend *d, const struct lnode *t)
{
    const struct table_def *def = t->u.table.def;
    for (uint32_t i = 0; i < def->column_count; i++) {
        col_id_t id = t->columns[i].id;
        if (def->columns[i].generated == GENERATED_NO || def->columns[i].hidden || d->known[id]) {
            continue;
        }
        if (d->reads[id] == NULL) {
            TRY(columns_read(d, def, &def->columns[i], &d->reads[id]));
        }
        bool all = true;
        for (uint32_t k = 0; k < def->column_count && all; k++) {
            all = !d->reads[id][k] || d->known[t->columns[k].id];
        }
        if (all) {
            learn(d, id);
        }
    }
    return ERR_OK;
}

struct all_known {
    const struct depend *d;
    bool yes;
    bool reads; /* some column */
};

static bool is_subquery(const struct bexpr *e)
{
    return e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED;
}

static bool check_known(const struct bexpr *e, void *arg)
{
    struct all_known *a = arg;
    if (is_column(a->d, e)) {
        a->yes = a->yes && a->d->known[e->u.column.id];
        a->reads = true;
    } else if (is_subquery(e)) {
        const struct bsubquery *sub = e->u.subquery.sub;
        a->yes = a->yes && !sub->repeats;
        for (uint32_t i = 0; i < sub->outer_count; i++) {
            a->yes = a->yes && a->d->known[sub->outer_columns[i]];
            a->reads = true;
        }
    }
    return a->yes;
}

/* kept: a derived table that is kept apart. MYSQL: in others what reads no column has one value,
 * though it be RAND(). */
static void of_project(struct depend *d, const struct lnode *n, bool kept)
{
    for (uint32_t i = 0; i < n->u.project.count; i++) {
        const struct lproj *p = &n->u.project.exprs[i];
        struct all_known a = {d, true, false};
        bexpr_walk(p->expr, check_known, &a);
        if (a.yes && !(p->expr->is_volatile && (kept || a.reads))) {
            learn(d, p->out);
        }
        if (p->expr->kind == BEXPR_COLUMN && d->known[p->out]) {
            learn(d, p->expr->u.column.id);
        }
    }
}

/* MYSQL: by the arguments alone. */
static void of_windows(struct depend *d, const struct lnode *n)
{
    for (uint32_t i = 0; i < n->u.window.call_count; i++) {
        const struct lwindow_call *c = &n->u.window.calls[i];
        struct all_known a = {d, true, false};
        for (uint32_t k = 0; k < c->arg_count; k++) {
            bexpr_walk(c->args[k], check_known, &a);
        }
        if (a.yes) {
            learn(d, c->out);
        }
    }
}

static void of_aggregate(struct depend *d, const struct lnode *n)
{
    if (n->u.aggregate.rollup) {
        return;
    }
    for (uint32_t i = 0; i < n->u.aggregate.group_count; i++) {
        if (!d->known[n->u.aggregate.groups[i].out]) {
            return;
        }
    }
    for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
        learn(d, n->u.aggregate.aggs[i].out);
    }
}

/* ---- derived tables ---- */

static bool check_own(const struct bexpr *e, void *arg)
{
    bool *own = arg;
    bool subquery = is_subquery(e);
    *own = e->kind == BEXPR_COLUMN || e->is_volatile ||
           (subquery && (e->u.subquery.sub->outer_count != 0 || e->u.subquery.sub->repeats));
    return !*own;
}

bool bind__items_repeat(const struct lnode *n)
{
    for (; n != NULL; n = n->child_count == 1 ? n->children[0] : NULL) {
        for (uint32_t i = 0; n->kind == LNODE_PROJECT && i < n->u.project.count; i++) {
            bool own = false;
            const struct bexpr *e = n->u.project.exprs[i].expr;
            if (e->has_subquery && !bexpr_walk(e, check_own, &own)) {
                return true;
            }
        }
        if (n->kind != LNODE_SORT && !(n->kind == LNODE_PROJECT && n->u.project.derived)) {
            return false;
        }
    }
    return false;
}

static bool is_kept(const struct binder *b, const struct lnode *query)
{
    const struct table_def *view = query->kind == LNODE_PROJECT ? query->u.project.view : NULL;
    return (view != NULL && view->view.algorithm == VIEW_TEMPTABLE) || bind__is_stored(b, query) ||
           bind__items_repeat(query);
}

/* Is nothing to be learnt of what lies in a derived table that is kept apart? */
static bool shut(const struct depend *d, const struct lnode *n, const struct lnode *query,
                 bool inner)
{
    if (!is_kept(d->b, query)) {
        return false;
    }
    bool any = false;
    for (uint32_t i = 0; i < n->column_count && !any; i++) {
        any = d->known[n->columns[i].id];
    }
    return inner || !any;
}

static db_err spread_all(struct depend *d, const struct lnode *n, bool inner)
{
    TRY(d->never ? ERR_OK : is_never(d, n, NULL, &d->never));
    do {
        d->changed = false;
        TRY(spread(d, n, NULL, inner));
    } while (d->changed);
    return ERR_OK;
}

/* Each reference to a common table expression stands for rows of its own. */
static db_err of_reference(struct depend *d, const struct lnode *n, bool inner)
{
    if (n->u.cte_ref.working) {
        return ERR_OK;
    }
    const struct lnode *query = d->b->stmt->ctes[n->u.cte_ref.cte];
    if (shut(d, n, query, inner)) {
        return ERR_OK;
    }
    struct depend own = {.b = d->b,
                         .known = BIND_ARRAY(d->b, bool, d->b->next_col + 1),
                         .reads = d->reads,
                         .made = d->made,
                         .depth = d->depth,
                         .never = d->never && !is_kept(d->b, query)};
    if (own.known == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        own.known[query->columns[i].id] = d->known[n->columns[i].id];
    }
    TRY(spread_all(&own, query, inner));
    for (uint32_t i = 0; i < n->column_count; i++) {
        if (own.known[query->columns[i].id]) {
            learn(d, n->columns[i].id);
        }
    }
    return ERR_OK;
}

static bool nulls_refused(const struct depend *d, const struct above *a, const struct lnode *n)
{
    for (; a != NULL; a = a->next) {
        for (uint32_t i = 0; i < a->count; i++) {
            if (lnode_nulls_refused(n, d->made, a->conjuncts[i])) {
                return true;
            }
        }
    }
    return false;
}

struct side_known {
    const struct depend *d;
    const struct lnode *side;
    bool yes;
};

static bool check_side(const struct bexpr *e, void *arg)
{
    struct side_known *a = arg;
    if (e->kind == BEXPR_COLUMN) {
        a->yes = a->yes && (!lnode_gives(a->side, e->u.column.id) || a->d->known[e->u.column.id]);
    } else if (is_subquery(e)) {
        const struct bsubquery *sub = e->u.subquery.sub;
        a->yes = a->yes && !sub->repeats;
        for (uint32_t i = 0; i < sub->outer_count; i++) {
            col_id_t id = sub->outer_columns[i];
            a->yes = a->yes && (!lnode_gives(a->side, id) || a->d->known[id]);
        }
    }
    return a->yes;
}

/* An outer join's condition. MYSQL: when all that it reads of the outer side is known, either all
 * outer rows of a group have partners, or none has, and constants tell of those as of an inner
 * join's. */
static db_err of_outer_on(struct depend *d, const struct lnode *n, bool right, bool inner)
{
    const struct lnode *made_up = n->children[right ? 0 : 1];
    struct side_known a = {d, n->children[right ? 1 : 0], !inner};
    for (uint32_t i = 0; i < n->u.join.on_count && a.yes; i++) {
        a.yes = !n->u.join.on[i]->is_volatile;
        bexpr_walk(n->u.join.on[i], check_side, &a);
    }
    equalities(d, n->u.join.on, n->u.join.on_count, made_up, a.yes);
    return a.yes ? subqueries(d, n->u.join.on, n->u.join.on_count, made_up) : ERR_OK;
}

static enum join_kind kind_of_join(const struct depend *d, const struct lnode *n,
                                   const struct above *above)
{
    bool l = nulls_refused(d, above, n->children[0]);
    bool r = nulls_refused(d, above, n->children[1]);
    return join_without_nulls(n->u.join.kind, l, r);
}

static void note_made(struct depend *d, const struct lnode *n)
{
    for (uint32_t i = 0; i < n->u.project.count; i++) {
        d->made[n->u.project.exprs[i].out] = n->u.project.exprs[i].expr;
    }
}

static db_err is_never_join(struct depend *d, const struct lnode *n, const struct above *above,
                            bool *ret)
{
    const struct above on = {above, n->u.join.on, n->u.join.on_count};
    enum join_kind k = kind_of_join(d, n, above);
    if (k != JOIN_INNER && k != JOIN_CROSS) {
        bool outer = k == JOIN_LEFT || k == JOIN_RIGHT;
        return outer ? is_never(d, n->children[k == JOIN_RIGHT], above, ret) : ERR_OK;
    }
    TRY(bind__never_true(d->b, n->u.join.on, n->u.join.on_count, ret));
    for (int i = 0; i < 2 && !*ret; i++) {
        TRY(is_never(d, n->children[i], &on, ret));
    }
    return ERR_OK;
}

static db_err is_never(struct depend *d, const struct lnode *n, const struct above *above,
                       bool *ret)
{
    *ret = false;
    switch ((int)n->kind) {
    case LNODE_FILTER: {
        const struct above where = {above, n->u.filter.conjuncts, n->u.filter.count};
        TRY(bind__never_true(d->b, n->u.filter.conjuncts, n->u.filter.count, ret));
        return *ret ? ERR_OK : is_never(d, n->children[0], &where, ret);
    }
    case LNODE_JOIN: return is_never_join(d, n, above, ret);
    case LNODE_CTE_REF: {
        const struct lnode *query = d->b->stmt->ctes[n->u.cte_ref.cte];
        bool kept = n->u.cte_ref.working || is_kept(d->b, query);
        return kept ? ERR_OK : is_never(d, query, NULL, ret);
    }
    case LNODE_PROJECT:
        if (n->u.project.derived && is_kept(d->b, n)) {
            return ERR_OK;
        }
        note_made(d, n);
        return is_never(d, n->children[0], above, ret);
    case LNODE_SORT:
    case LNODE_DISTINCT:
    case LNODE_LIMIT:
    case LNODE_WINDOW: return is_never(d, n->children[0], NULL, ret);
    default: return ERR_OK;
    }
}

/* A side of a join whose rows an outer join makes up, and the join's condition. */
static db_err of_made_up(struct depend *d, const struct lnode *n, bool right,
                         const struct above *above, bool inner)
{
    bool around = d->never;
    const struct lnode *side = n->children[right ? 0 : 1];
    TRY(bind__never_true(d->b, n->u.join.on, n->u.join.on_count, &d->never));
    TRY(d->never ? ERR_OK : is_never(d, side, above, &d->never));
    TRY(of_outer_on(d, n, right, inner));
    TRY(spread(d, side, d->never ? NULL : above, true));
    d->never = around;
    return ERR_OK;
}

/* A derived table that is kept apart. */
static db_err of_kept(struct depend *d, const struct lnode *n, bool inner)
{
    bool around = d->never;
    TRY(is_never(d, n, NULL, &d->never));
    TRY(spread(d, n, NULL, inner));
    d->never = around;
    return ERR_OK;
}

static db_err of_join(struct depend *d, const struct lnode *n, const struct above *above,
                      bool inner)
{
    const struct lnode *l = n->children[0], *r = n->children[1];
    const struct above on = {above, n->u.join.on, n->u.join.on_count};
    const struct above only_on = {NULL, n->u.join.on, n->u.join.on_count};
    enum join_kind k = kind_of_join(d, n, above);
    if (k == JOIN_INNER || k == JOIN_CROSS) {
        equalities(d, n->u.join.on, n->u.join.on_count, NULL, !inner);
        TRY(inner ? ERR_OK : subqueries(d, n->u.join.on, n->u.join.on_count, NULL));
        TRY(spread(d, l, &on, inner));
        return spread(d, r, &on, inner);
    }
    if (k == JOIN_FULL) {
        TRY(spread(d, l, NULL, true));
        return spread(d, r, NULL, true);
    }
    TRY(of_made_up(d, n, k == JOIN_RIGHT, &only_on, inner));
    return spread(d, k == JOIN_RIGHT ? r : l, above, inner);
}

/* inner: the rows may be those that an outer join makes up. */
static db_err spread(struct depend *d, const struct lnode *n, const struct above *above, bool inner)
{
    bool kept;
    switch ((int)n->kind) {
    case LNODE_TABLE: of_table(d, n); return inner ? ERR_OK : generated_columns(d, n);
    case LNODE_FILTER: {
        const struct above where = {above, n->u.filter.conjuncts, n->u.filter.count};
        equalities(d, n->u.filter.conjuncts, n->u.filter.count, NULL, !inner);
        TRY(inner ? ERR_OK : subqueries(d, n->u.filter.conjuncts, n->u.filter.count, NULL));
        return spread(d, n->children[0], d->never ? NULL : &where, inner);
    }
    case LNODE_CTE_REF: return of_reference(d, n, inner);
    case LNODE_PROJECT:
        if (n->u.project.derived && shut(d, n, n, inner)) {
            return ERR_OK;
        }
        kept = n->u.project.derived && is_kept(d->b, n);
        of_project(d, n, kept);
        if (kept) {
            return of_kept(d, n->children[0], inner);
        }
        note_made(d, n);
        return spread(d, n->children[0], above, inner);
    case LNODE_AGGREGATE: of_aggregate(d, n); return ERR_OK;
    case LNODE_JOIN: return of_join(d, n, above, inner);
    case LNODE_SORT:
    case LNODE_DISTINCT:
    case LNODE_LIMIT: break;
    case LNODE_WINDOW: of_windows(d, n); break;
    default: return ERR_OK;
    }
    return spread(d, n->children[0], NULL, inner);
}

db_err bind__dependent_columns(struct binder *b, const struct lnode *input,
                               const struct lproj *groups, uint32_t count, const bool **ret_known)
{
    struct depend d = {.b = b,
                       .known = BIND_ARRAY(b, bool, b->next_col + 1),
                       .reads = BIND_ARRAY(b, const bool *, b->next_col + 1),
                       .made = BIND_ARRAY(b, struct bexpr *, b->next_col + 1)};
    if (d.known == NULL || d.reads == NULL || d.made == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (groups[i].expr->kind == BEXPR_COLUMN) {
            d.known[groups[i].expr->u.column.id] = true;
        }
    }
    TRY(spread_all(&d, input, false));
    *ret_known = d.known;
    return ERR_OK;
}
