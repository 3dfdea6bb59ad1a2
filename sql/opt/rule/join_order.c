/* The order of inner joins.
 *
 * A tree of inner joins is taken apart into relations and conjuncts and put together greedily:
 * begin with the relation that has the fewest rows, then always add the one that makes the smallest
 * intermediate result, connected relations first, of those that come behind nothing that is still
 * to come (STRAIGHT_JOIN and hints, join_hints.c). Outer joins are single relations here: nothing
 * is moved across them. The number of relations bounds the work to a cubic one, so a 60-table join
 * is ordered in milliseconds.
 *
 * Where hints order the block's tables, a left join is taken apart, too: its right side comes
 * somewhere behind what its condition reads, by a left join of its own,
 *
 *     (a LEFT JOIN b ON p(a, b)) JOIN c ON q(a, b, c)  =  ((a JOIN c) LEFT JOIN b ON p) WHERE q
 *
 * and a condition of the inner joins that can be asked only then is asked of its rows. */
#include "sql/opt/rule/join_hints.h"

#include "sql/bind/hints.h"

enum { JOIN_RELATIONS_MAX = 512 };

struct group {
    struct lnode *rel[JOIN_RELATIONS_MAX];
    struct lnode **outer; /* by relation: the left join whose right side it is; NULL: no such */
    bool used[JOIN_RELATIONS_MAX];
    uint32_t count;
    struct conjuncts conds;
    bool *cond_used;
    struct straight *straight;
    struct join_deps deps;
};

static bool is_inner(const struct lnode *n)
{
    return n->kind == LNODE_JOIN &&
           (n->u.join.kind == JOIN_INNER || n->u.join.kind == JOIN_CROSS) && !n->u.join.lateral;
}

static bool is_divisible(const struct lnode *n)
{
    bool divisible = n->kind == LNODE_JOIN && n->u.join.kind == JOIN_LEFT && !n->u.join.lateral;
    for (uint32_t i = 0; divisible && i < n->u.join.on_count; i++) {
        divisible = !n->u.join.on[i]->is_volatile;
    }
    return divisible;
}

/* Do hints say more of the order of the block's tables than that it is the text's? */
static bool is_ordered(const struct optimizer *o, const struct lnode *n)
{
    const struct hint_block *b = o->stmt->hinted ? join_block(n) : NULL;
    return b != NULL && b->orders != NULL;
}

static db_err collect(struct optimizer *o, struct lnode *n, struct group *g);

static db_err collect_left(struct optimizer *o, struct lnode *n, struct group *g)
{
    TRY(collect(o, n->children[0], g));
    if (g->count == JOIN_RELATIONS_MAX) {
        return ERR_LIMIT;
    }
    g->outer[g->count] = n;
    g->rel[g->count++] = n->children[1];
    return ERR_OK;
}

static db_err collect(struct optimizer *o, struct lnode *n, struct group *g)
{
    if (g->outer != NULL && is_divisible(n)) {
        return collect_left(o, n, g);
    }
    if (!is_inner(n) || g->count + 2 > JOIN_RELATIONS_MAX) {
        if (g->count == JOIN_RELATIONS_MAX) {
            return ERR_LIMIT;
        }
        g->rel[g->count++] = n;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < n->u.join.on_count; i++) {
        TRY(opt__add_conjunct(o, &g->conds, n->u.join.on[i]));
    }
    uint32_t left = g->count;
    TRY(collect(o, n->children[0], g));
    uint32_t right = g->count;
    TRY(collect(o, n->children[1], g));
    if (n->u.join.straight) {
        struct straight *s = OPT_NEW(o, struct straight);
        if (s == NULL) {
            return ERR_NOMEM;
        }
        *s = (struct straight){g->straight, left, right, g->count};
        g->straight = s;
    }
    return ERR_OK;
}

/* The left join that the conditions stand above. */
static db_err make_left(struct optimizer *o, const struct lnode *outer, struct lnode *n,
                        const struct conjuncts *above, struct lnode **ret)
{
    for (uint32_t i = n->children[0]->column_count; i < n->column_count; i++) {
        n->columns[i].type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    }
    n->u.join.kind = JOIN_LEFT;
    n->u.join.on = outer->u.join.on;
    n->u.join.on_count = outer->u.join.on_count;
    *ret = n;
    if (above->count == 0) {
        return ERR_OK;
    }
    struct lnode *f = lnode_new(o->arena, LNODE_FILTER, 1);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    f->columns = n->columns;
    f->column_count = n->column_count;
    f->children[0] = n;
    f->u.filter.conjuncts = above->list;
    f->u.filter.count = above->count;
    *ret = f;
    return ERR_OK;
}

/* Of what is joined so far and relation `at`. */
static db_err make_join(struct optimizer *o, struct group *g, struct lnode *l, uint32_t at,
                        bool take, struct lnode **ret, bool *ret_connected)
{
    struct lnode *r = g->rel[at];
    const struct lnode *outer = g->outer == NULL ? NULL : g->outer[at];
    struct lnode *n = lnode_new(o->arena, LNODE_JOIN, 2);
    struct lcolumn *cols = OPT_ARRAY(o, struct lcolumn, l->column_count + r->column_count);
    struct conjuncts on = {0};
    if (n == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    memcpy(cols, l->columns, l->column_count * sizeof(*cols));
    memcpy(cols + l->column_count, r->columns, r->column_count * sizeof(*cols));
    n->columns = cols;
    n->column_count = l->column_count + r->column_count;
    n->children[0] = l;
    n->children[1] = r;
    *ret_connected = outer != NULL;
    for (uint32_t i = 0; i < g->conds.count; i++) {
        if (!g->cond_used[i] && opt__reads_only(g->conds.list[i], n)) {
            TRY(opt__add_conjunct(o, &on, g->conds.list[i]));
            *ret_connected = *ret_connected || opt__reads_any(g->conds.list[i], r);
            g->cond_used[i] = take;
        }
    }
    if (outer != NULL) {
        return make_left(o, outer, n, &on, ret);
    }
    n->u.join.kind = JOIN_INNER;
    n->u.join.on = on.list;
    n->u.join.on_count = on.count;
    *ret = n;
    return ERR_OK;
}

static bool may_come(const struct group *g, uint32_t i)
{
    return !g->used[i] && join_deps_met(&g->deps, i, g->used);
}

/* FORCE INDEX for what nothing but a join's condition may say: the table is to be looked up. */
static bool wants_lookup(const struct lnode *n)
{
    return n->kind == LNODE_TABLE && n->u.table.filter_count == 0 &&
           opt__index_forced(n, INDEX_FOR_JOIN);
}

static uint32_t smallest(struct optimizer *o, const struct group *g)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < g->count; i++) {
        if (!may_come(g, i)) {
            continue;
        }
        bool later = best != UINT32_MAX && wants_lookup(g->rel[i]);
        bool sooner = best != UINT32_MAX && wants_lookup(g->rel[best]);
        bool fewer =
            best != UINT32_MAX && opt__estimate(o, g->rel[i]) < opt__estimate(o, g->rel[best]);
        if (best == UINT32_MAX || (sooner && !later) || (fewer && sooner == later)) {
            best = i;
        }
    }
    return best;
}

static db_err next_relation(struct optimizer *o, struct group *g, struct lnode *tree, uint32_t *ret)
{
    uint32_t best = UINT32_MAX;
    double best_rows = 0;
    bool best_connected = false;
    for (uint32_t i = 0; i < g->count; i++) {
        if (!may_come(g, i)) {
            continue;
        }
        bool connected;
        struct lnode *j;
        TRY(make_join(o, g, tree, i, false, &j, &connected));
        double rows = opt__estimate(o, j);
        if (best == UINT32_MAX || (connected && !best_connected) ||
            (connected == best_connected && rows < best_rows)) {
            best = i;
            best_rows = rows;
            best_connected = connected;
        }
    }
    *ret = best;
    return ERR_OK;
}

static db_err order(struct optimizer *o, struct lnode **io)
{
    struct lnode *n = *io;
    bool ordered = is_ordered(o, n);
    if (!is_inner(n) && !(ordered && is_divisible(n))) {
        for (uint32_t i = 0; i < n->child_count; i++) {
            TRY(order(o, &n->children[i]));
        }
        return ERR_OK;
    }
    struct group *g = OPT_NEW(o, struct group);
    if (g == NULL) {
        return ERR_NOMEM;
    }
    g->outer = ordered ? OPT_ARRAY(o, struct lnode *, JOIN_RELATIONS_MAX) : NULL;
    if (ordered && g->outer == NULL) {
        return ERR_NOMEM;
    }
    TRY(collect(o, n, g));
    g->cond_used = OPT_ARRAY(o, bool, g->conds.count);
    if (g->cond_used == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->count; i++) {
        TRY(order(o, &g->rel[i]));
    }
    TRY(join_deps_make(o, g->rel, g->count, g->straight, g->outer, &g->deps));
    uint32_t at = smallest(o, g);
    struct lnode *tree = g->rel[at];
    g->used[at] = true;
    for (uint32_t k = 1; k < g->count; k++) {
        bool connected;
        TRY(next_relation(o, g, tree, &at));
        g->used[at] = true;
        TRY(make_join(o, g, tree, at, true, &tree, &connected));
    }
    *io = tree;
    return ERR_OK;
}

db_err rule_order_joins(struct optimizer *o, struct lnode **io_root)
{
    return order(o, io_root);
}
