/* Moves conjuncts as far down as they stay true: through projections (by substitution), sorts, set
 * operations, aggregates (on grouping columns) and windows (on partition columns), to the side of a
 * join that they read, into the table's own filter list.
 *
 * A conjunct with a volatile function, and one with a subquery that could fail on rows that another
 * conjunct takes away, stays where it stood; so does one that is the same for all rows: asked once
 * there, it spares what is below (op_simple.c). LIMIT stops everything. */
#include "sql/opt/opt_int.h"

static db_err push(struct optimizer *o, struct lnode **io, struct conjuncts *c);

static db_err append(struct optimizer *o, struct conjuncts *to, struct bexpr *const *list,
                     uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        TRY(opt__add_conjunct(o, to, list[i]));
    }
    return ERR_OK;
}

static bool all_fixed(struct bexpr *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!bexpr_is_fixed(list[i])) {
            return false;
        }
    }
    return true;
}

/* Behind the conditions that stand there already, when all are asked once. */
static db_err keep_here(struct optimizer *o, struct lnode **io, struct conjuncts *stay)
{
    if (stay->count == 0) {
        return ERR_OK;
    }
    struct lnode *below = *io;
    if (below->kind == LNODE_FILTER && all_fixed(stay->list, stay->count) &&
        all_fixed(below->u.filter.conjuncts, below->u.filter.count)) {
        struct conjuncts all = {0};
        TRY(append(o, &all, below->u.filter.conjuncts, below->u.filter.count));
        TRY(append(o, &all, stay->list, stay->count));
        below->u.filter.conjuncts = all.list;
        below->u.filter.count = all.count;
        return ERR_OK;
    }
    struct lnode *f = lnode_new(o->arena, LNODE_FILTER, 1);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    f->children[0] = *io;
    f->columns = (*io)->columns;
    f->column_count = (*io)->column_count;
    f->u.filter.conjuncts = stay->list;
    f->u.filter.count = stay->count;
    *io = f;
    return ERR_OK;
}

static db_err into_table(struct optimizer *o, struct lnode **io, struct conjuncts *c)
{
    struct lnode *n = *io;
    struct conjuncts all = {0};
    TRY(append(o, &all, n->u.table.filters, n->u.table.filter_count));
    TRY(append(o, &all, c->list, c->count));
    n->u.table.filters = all.list;
    n->u.table.filter_count = all.count;
    return ERR_OK;
}

static db_err through_project(struct optimizer *o, struct lnode **io, struct conjuncts *c)
{
    struct lnode *n = *io;
    struct conjuncts down = {0};
    struct conjuncts fixed = {0};
    struct conjuncts stay = {0};
    bool blocked = !opt__derived_takes_conditions(o, n);
    for (uint32_t i = 0; i < n->u.project.count; i++) {
        blocked = blocked || n->u.project.exprs[i].expr->is_volatile;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (blocked || c->list[i]->is_volatile || c->list[i]->has_subquery ||
            opt__grows_too_large(c->list[i], n->u.project.exprs, n->u.project.count)) {
            TRY(opt__add_conjunct(o, &stay, c->list[i]));
            continue;
        }
        struct bexpr *e = opt__substitute(o, c->list[i], n->u.project.exprs, n->u.project.count);
        if (e == NULL) {
            return ERR_NOMEM;
        }
        if (e->has_subquery || opt__too_high(e)) { /* it is computed here, and once */
            TRY(opt__add_conjunct(o, &stay, c->list[i]));
        } else {
            TRY(opt__add_conjunct(o, bexpr_is_fixed(e) ? &fixed : &down, e));
        }
    }
    TRY(push(o, &n->children[0], &down));
    TRY(keep_here(o, &n->children[0], &fixed));
    return keep_here(o, io, &stay);
}

static bool no_text(const struct bexpr *e, void *ctx)
{
    (void)ctx;
    return e->kind != BEXPR_COLUMN || !type_is_string(&e->type);
}

/* Is e the same for all rows whose keys are equal? Texts that a collation calls equal need not be
 * the same text: of them only a comparison in that collation is. */
static bool same_for_equal_keys(const struct bexpr *e)
{
    if (e->kind == BEXPR_FUNC && e->arg_count == 2 &&
        (e->u.func->def->flags & FUNC_COMPARISON) != 0) {
        for (int k = 0; k < 2; k++) {
            const struct bexpr *x = e->args[k];
            if (x->kind == BEXPR_COLUMN && type_is_string(&x->type) &&
                x->type.collation == e->u.func->collation && opt__is_free(e->args[1 - k]) &&
                strcmp(e->u.func->def->name, "op_like") != 0) {
                return true;
            }
        }
    }
    return bexpr_walk(e, no_text, NULL);
}

static db_err through_aggregate(struct optimizer *o, struct lnode **io, struct conjuncts *c)
{
    struct lnode *n = *io;
    struct conjuncts down = {0};
    struct conjuncts stay = {0};
    struct lnode groups = {.column_count = n->u.aggregate.group_count, .columns = n->columns};
    for (uint32_t i = 0; i < c->count; i++) {
        bool movable =
            n->u.aggregate.group_count != 0 && !n->u.aggregate.rollup && !c->list[i]->is_volatile &&
            !c->list[i]->has_subquery && opt__reads_only(c->list[i], &groups) &&
            same_for_equal_keys(c->list[i]) &&
            !opt__grows_too_large(c->list[i], n->u.aggregate.groups, n->u.aggregate.group_count);
        if (!movable) {
            TRY(opt__add_conjunct(o, &stay, c->list[i]));
            continue;
        }
        struct bexpr *e =
            opt__substitute(o, c->list[i], n->u.aggregate.groups, n->u.aggregate.group_count);
        if (e == NULL) {
            return ERR_NOMEM;
        }
        if (e->has_subquery || e->is_volatile || opt__too_high(e)) {
            TRY(opt__add_conjunct(o, &stay, c->list[i]));
        } else {
            TRY(opt__add_conjunct(o, &down, e));
        }
    }
    TRY(push(o, &n->children[0], &down));
    return keep_here(o, io, &stay);
}

/* A condition on partition columns alone takes away whole partitions: below as well as above. */
static db_err through_window(struct optimizer *o, struct lnode **io, struct conjuncts *c)
{
    struct lnode *n = *io;
    struct conjuncts down = {0};
    struct conjuncts stay = {0};
    struct lnode keys = {.columns = OPT_ARRAY(o, struct lcolumn, n->u.window.partition_count)};
    if (keys.columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->u.window.partition_count; i++) {
        const struct bexpr *e = n->u.window.partition[i];
        if (e->kind == BEXPR_COLUMN) {
            keys.columns[keys.column_count++].id = e->u.column.id;
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        struct bexpr *e = c->list[i];
        bool movable = keys.column_count != 0 && !e->is_volatile && !e->has_subquery &&
                       opt__reads_only(e, &keys) && bexpr_reads_columns(e) &&
                       same_for_equal_keys(e);
        TRY(opt__add_conjunct(o, movable ? &down : &stay, e));
    }
    TRY(push(o, &n->children[0], &down));
    return keep_here(o, io, &stay);
}

static db_err through_setop(struct optimizer *o, struct lnode **io, struct conjuncts *c)
{
    struct lnode *n = *io;
    struct conjuncts stay = {0};
    for (uint32_t s = 0; s < n->child_count; s++) {
        struct conjuncts side = {0};
        struct lproj *by = OPT_ARRAY(o, struct lproj, n->column_count);
        if (by == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t i = 0; i < n->column_count; i++) {
            struct bexpr *col = opt__column(o, &n->children[s]->columns[i]);
            if (col == NULL) {
                return ERR_NOMEM;
            }
            by[i] = (struct lproj){col, n->columns[i].id};
        }
        for (uint32_t i = 0; i < c->count; i++) {
            if (c->list[i]->is_volatile || c->list[i]->has_subquery) {
                continue;
            }
            struct bexpr *e = opt__substitute(o, c->list[i], by, n->column_count);
            if (e == NULL) {
                return ERR_NOMEM;
            }
            TRY(opt__add_conjunct(o, &side, e));
        }
        TRY(push(o, &n->children[s], &side));
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->list[i]->is_volatile || c->list[i]->has_subquery) {
            TRY(opt__add_conjunct(o, &stay, c->list[i]));
        }
    }
    return keep_here(o, io, &stay);
}

/* Where a conjunct of WHERE (or of ON, for_on) may go at a join. */
enum side { SIDE_LEFT, SIDE_RIGHT, SIDE_ON, SIDE_ABOVE };

static enum side side_of(const struct lnode *n, const struct bexpr *e, bool for_on)
{
    enum join_kind k = n->u.join.kind;
    if (e->is_volatile) {
        return for_on ? SIDE_ON : SIDE_ABOVE;
    }
    bool left = opt__reads_any(e, n->children[0]);
    bool right = opt__reads_any(e, n->children[1]);
    bool inner = k == JOIN_INNER || k == JOIN_CROSS;
    if (inner && bexpr_is_fixed(e)) {
        return SIDE_ABOVE;
    }
    bool left_ok = inner || (k == JOIN_LEFT && !for_on) ||
                   ((k == JOIN_SEMI || k == JOIN_ANTI) && !for_on) || (k == JOIN_SEMI && for_on);
    bool right_ok = inner || (for_on && (k == JOIN_LEFT || k == JOIN_SEMI || k == JOIN_ANTI));
    if (!right && left_ok && (left || inner)) {
        return SIDE_LEFT;
    }
    if (right && !left && right_ok) {
        return SIDE_RIGHT;
    }
    return inner || for_on ? SIDE_ON : SIDE_ABOVE;
}

/* The conditions of a filter that is the right side of an outer join or a semijoin go their way
 * with those of ON: nothing stands between the join and its table. What is the same for all rows
 * decides a semijoin as a whole; an outer join asks it before it reads that side. */
static db_err of_right(struct optimizer *o, struct lnode *n, struct conjuncts *to)
{
    enum join_kind k = n->u.join.kind;
    bool by_on = k == JOIN_LEFT || k == JOIN_ANTI;
    enum side fixed = k == JOIN_SEMI ? SIDE_ABOVE : by_on ? SIDE_ON : SIDE_RIGHT;
    while (n->children[1]->kind == LNODE_FILTER) {
        const struct lnode *f = n->children[1];
        for (uint32_t i = 0; i < f->u.filter.count; i++) {
            struct bexpr *e = f->u.filter.conjuncts[i];
            TRY(opt__add_conjunct(o, &to[bexpr_is_fixed(e) ? fixed : SIDE_RIGHT], e));
        }
        n->children[1] = f->children[0];
    }
    return ERR_OK;
}

/* What has stayed above a side, as it is the same for all rows, is so above the join. */
static db_err lift_fixed(struct optimizer *o, struct lnode *n, uint32_t side,
                         struct conjuncts *above)
{
    const struct lnode *f = n->children[side];
    enum join_kind k = n->u.join.kind;
    bool inner = k == JOIN_INNER || k == JOIN_CROSS;
    bool left = side == 0 && (k == JOIN_LEFT || k == JOIN_SEMI || k == JOIN_ANTI);
    if (f->kind != LNODE_FILTER || !(inner || left)) {
        return ERR_OK;
    }
    if (!all_fixed(f->u.filter.conjuncts, f->u.filter.count)) {
        return ERR_OK;
    }
    TRY(append(o, above, f->u.filter.conjuncts, f->u.filter.count));
    n->children[side] = f->children[0];
    return ERR_OK;
}

static db_err through_join(struct optimizer *o, struct lnode **io, struct conjuncts *c)
{
    struct lnode *n = *io;
    struct conjuncts to[4] = {{0}, {0}, {0}, {0}};
    bool inner = n->u.join.kind == JOIN_INNER || n->u.join.kind == JOIN_CROSS;
    TRY(inner ? ERR_OK : of_right(o, n, to));
    /* MYSQL: what WHERE says is looked at before what an inner join says. */
    for (uint32_t i = 0; i < c->count; i++) {
        TRY(opt__add_conjunct(o, &to[side_of(n, c->list[i], false)], c->list[i]));
    }
    for (uint32_t i = 0; i < n->u.join.on_count; i++) {
        TRY(opt__add_conjunct(o, &to[side_of(n, n->u.join.on[i], true)], n->u.join.on[i]));
    }
    n->u.join.on = to[SIDE_ON].list;
    n->u.join.on_count = to[SIDE_ON].count;
    if (n->u.join.kind == JOIN_CROSS && n->u.join.on_count != 0) {
        n->u.join.kind = JOIN_INNER;
    }
    TRY(push(o, &n->children[0], &to[SIDE_LEFT]));
    TRY(push(o, &n->children[1], &to[SIDE_RIGHT]));
    struct conjuncts above = {0}; /* what a side has asked before goes first */
    TRY(lift_fixed(o, n, 0, &above));
    TRY(lift_fixed(o, n, 1, &above));
    TRY(append(o, &above, to[SIDE_ABOVE].list, to[SIDE_ABOVE].count));
    return keep_here(o, io, &above);
}

static db_err through_filter(struct optimizer *o, struct lnode **io, struct conjuncts *c)
{
    struct lnode *n = *io;
    struct conjuncts fixed = {0};
    struct conjuncts others = {0};
    for (uint32_t i = 0; i < n->u.filter.count; i++) {
        struct bexpr *e = n->u.filter.conjuncts[i];
        TRY(opt__add_conjunct(o, bexpr_is_fixed(e) ? &fixed : &others, e));
    }
    for (uint32_t i = 0; i < c->count; i++) {
        TRY(opt__add_conjunct(o, bexpr_is_fixed(c->list[i]) ? &fixed : &others, c->list[i]));
    }
    *io = n->children[0];
    TRY(push(o, io, &others));
    return keep_here(o, io, &fixed);
}

static db_err push(struct optimizer *o, struct lnode **io, struct conjuncts *c)
{
    struct lnode *n = *io;
    struct conjuncts none = {0};
    switch ((int)n->kind) {
    case LNODE_FILTER: return through_filter(o, io, c);
    case LNODE_TABLE: return into_table(o, io, c);
    case LNODE_PROJECT: return through_project(o, io, c);
    case LNODE_AGGREGATE: return through_aggregate(o, io, c);
    case LNODE_WINDOW: return through_window(o, io, c);
    case LNODE_SETOP: return through_setop(o, io, c);
    case LNODE_JOIN: return through_join(o, io, c);
    case LNODE_SORT:
    case LNODE_DISTINCT: return push(o, &n->children[0], c);
    default: break;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(push(o, &n->children[i], &none));
    }
    return keep_here(o, io, c);
}

db_err rule_push_filters(struct optimizer *o, struct lnode **io_root)
{
    struct conjuncts none = {0};
    return push(o, io_root, &none);
}
