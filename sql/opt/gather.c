/* Which parts of a plan can run beside the data (PLAN_GATHER).
 *
 * A fragment is a chain: a scan of the rows or of an index that has all columns, then conditions
 * and projections, and on top perhaps the first step of an aggregation, of a top-N or of a limit,
 * whose second step is done with what all pieces give. The plan without fragments stays beside it:
 * which of the two is run is decided when it is run, because where the rows lie is known only then
 * (sql/exec/op_gather.c).
 *
 * What may run elsewhere: pure functions of columns, constants and parameters. Functions of the
 * statement (NOW()) of constants, and variables, are sent as the value they have here; only text of
 * a variable is not, as nobody there would say that it is no number. Subqueries, outer columns and
 * what differs from row to row stay here, and so do locking reads. */
#include "sql/opt/opt_int.h"

/* ---- expressions ---- */

static bool constant(const struct bexpr *e)
{
    return e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM;
}

static bool function_moves(const struct bexpr *e)
{
    unsigned flags = e->u.func->def->flags;
    if ((flags & (FUNC_NO_PUSHDOWN | FUNC_REPEATS | FUNC_VOLATILE)) != 0 || e->is_volatile) {
        return false;
    }
    if ((flags & FUNC_PURE) != 0) {
        return true;
    }
    bool all = (flags & FUNC_STATEMENT) != 0;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        all = all && constant(e->args[i]);
    }
    return all;
}

static bool node_moves(const struct bexpr *e, void *arg)
{
    (void)arg;
    switch ((int)e->kind) {
    case BEXPR_CONST:
    case BEXPR_PARAM:
    case BEXPR_COLUMN:
    case BEXPR_CAST:
    case BEXPR_AND:
    case BEXPR_OR:
    case BEXPR_CASE:
    case BEXPR_COALESCE:
    case BEXPR_IN_LIST: return true;
    case BEXPR_FUNC: return function_moves(e);
    case BEXPR_USER_VAR:
    case BEXPR_SYSTEM_VAR: return !e->is_volatile && !type_is_string(&e->type);
    default: return false;
    }
}

static bool moves(const struct bexpr *e)
{
    return bexpr_walk(e, node_moves, NULL);
}

static bool all_move(struct bexpr *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!moves(list[i])) {
            return false;
        }
    }
    return true;
}

/* ---- chains ---- */

static bool virtuals_move(const struct scan_spec *s)
{
    for (uint32_t i = 0; i < s->virtual_count; i++) {
        if (!moves(s->virtuals[i].expr)) {
            return false;
        }
    }
    return true;
}

static bool scan_moves(const struct plan_node *n)
{
    const struct scan_spec *s = &n->u.scan;
    bool clustered = s->index != NULL && s->index->id == INDEX_ID_CLUSTERED;
    return (n->kind == PLAN_TABLE_SCAN || (n->kind == PLAN_INDEX_SCAN && s->covering) ||
            (n->kind == PLAN_INDEX_SCAN && clustered)) &&
           s->lock == ROW_LOCK_NONE && !s->reverse && !s->repeats && s->table->kind == TABLE_BASE &&
           all_move(s->filters, s->filter_count) && virtuals_move(s);
}

/* The scan at the lower end of a chain; NULL: it is no chain that could move. */
static struct plan_node *chain_scan(struct plan_node *n)
{
    for (;; n = n->children[0]) {
        switch ((int)n->kind) {
        case PLAN_TABLE_SCAN:
        case PLAN_INDEX_SCAN: return scan_moves(n) ? n : NULL;
        case PLAN_FILTER:
            if (!all_move(n->u.filter.conjuncts, n->u.filter.count)) {
                return NULL;
            }
            break;
        case PLAN_PROJECT:
            if (!all_move(n->u.project.exprs, n->column_count)) {
                return NULL;
            }
            break;
        default: return NULL;
        }
    }
}

static bool not_outer(const struct bexpr *e, void *arg)
{
    (void)arg;
    return e->kind != BEXPR_OUTER;
}

static bool reads_no_outer(const struct bexpr *e)
{
    return bexpr_walk(e, not_outer, NULL);
}

/* Bounds of outer columns: the scan runs once for each outer row, and finds few. */
static bool bounds_vary(const struct scan_spec *s)
{
    return !opt__all_bounds(s, reads_no_outer);
}

/* With a child that is set by the caller. */
static struct plan_node *copy_node(struct optimizer *o, const struct plan_node *n)
{
    struct plan_node *c = plan_node_new(o->arena, n->kind);
    if (c != NULL) {
        struct plan_node **children = c->children;
        *c = *n;
        c->id = o->node_count++;
        c->children = children;
    }
    return c;
}

/* A leaf with the columns of the fragment's root. */
static struct plan_node *leaf_of(struct optimizer *o, struct plan_fragment *f)
{
    struct plan_node *leaf = opt__node(o, PLAN_FRAGMENT, f->root->column_count);
    if (leaf != NULL) {
        memcpy(leaf->types, f->root->types, leaf->column_count * sizeof(*leaf->types));
        leaf->rows = f->root->rows;
        leaf->u.gather = f;
    }
    return leaf;
}

static db_err put_gather(struct optimizer *o, struct plan_fragment *f, struct plan_node **io)
{
    struct plan_node *n = *io;
    struct plan_node *g = opt__node(o, PLAN_GATHER, n->column_count);
    if (g == NULL) {
        return ERR_NOMEM;
    }
    memcpy(g->types, n->types, n->column_count * sizeof(*g->types));
    g->children[0] = n;
    g->child_count = 1;
    g->rows = n->rows;
    g->cost = n->cost;
    g->u.gather = f;
    *io = g;
    return ERR_OK;
}

/* ---- aggregation in two steps ---- */

static struct bexpr *column(struct optimizer *o, uint32_t slot, const struct sql_type *type)
{
    struct bexpr *e = OPT_NEW(o, struct bexpr);
    if (e != NULL) {
        e->kind = BEXPR_COLUMN;
        e->type = *type;
        e->coercibility = 2;
        e->u.column.slot = slot;
    }
    return e;
}

/* NULL with *ret_fits unset: some aggregate cannot be split. */
static struct agg_split *split_all(struct optimizer *o, const struct plan_node *n,
                                   uint32_t *ret_parts, bool *ret_fits)
{
    uint32_t count = n->u.agg.agg_count;
    struct agg_split *splits = OPT_ARRAY(o, struct agg_split, count);
    *ret_parts = 0;
    *ret_fits = splits != NULL && all_move(n->u.agg.groups, n->u.agg.group_count);
    for (uint32_t i = 0; i < count && *ret_fits; i++) {
        const struct plan_agg *a = &n->u.agg.aggs[i];
        *ret_fits = a->order_count == 0 && all_move(a->args, a->call->arg_count) &&
                    agg_split(a->call, o->arena, &splits[i]);
        *ret_parts += splits[i].part_count;
    }
    return splits;
}

static db_err fill_join(struct optimizer *o, const struct plan_node *n,
                        const struct agg_split *splits, struct plan_node *part,
                        struct plan_node *join)
{
    uint32_t groups = n->u.agg.group_count;
    uint32_t at = 0;
    for (uint32_t i = 0; i < groups; i++) {
        part->types[i] = n->types[i];
        join->u.agg.groups[i] = column(o, i, n->types[i]);
        if (join->u.agg.groups[i] == NULL) {
            return ERR_NOMEM;
        }
    }
    for (uint32_t i = 0; i < n->u.agg.agg_count; i++) {
        struct plan_agg *to = &join->u.agg.aggs[i];
        to->call = splits[i].join;
        to->args = OPT_ARRAY(o, struct bexpr *, splits[i].part_count);
        to->order = OPT_ARRAY(o, struct plan_sort_key, 0);
        if (to->args == NULL || to->order == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t k = 0; k < splits[i].part_count; k++, at++) {
            struct plan_agg *from = &part->u.agg.aggs[at];
            *from = n->u.agg.aggs[i];
            from->call = splits[i].parts[k];
            part->types[groups + at] = &from->call->type;
            to->args[k] = column(o, groups + at, &from->call->type);
            if (to->args[k] == NULL) {
                return ERR_NOMEM;
            }
        }
    }
    return ERR_OK;
}

static db_err gather_agg(struct optimizer *o, struct plan_node **io, bool *ret_done)
{
    struct plan_node *n = *io;
    uint32_t parts;
    bool fits;
    struct plan_node *scan = chain_scan(n->children[0]);
    *ret_done = false;
    if (scan == NULL || bounds_vary(&scan->u.scan)) {
        return ERR_OK;
    }
    const struct agg_split *splits = split_all(o, n, &parts, &fits);
    if (!fits) {
        return splits == NULL ? ERR_NOMEM : ERR_OK;
    }
    uint32_t groups = n->u.agg.group_count;
    struct plan_fragment *f = OPT_NEW(o, struct plan_fragment);
    struct plan_node *part = opt__node(o, n->kind, groups + parts);
    struct plan_node *join = copy_node(o, n);
    if (f == NULL || part == NULL || join == NULL) {
        return ERR_NOMEM;
    }
    part->children[0] = n->children[0];
    part->child_count = 1;
    part->rows = n->rows;
    part->u.agg.groups = n->u.agg.groups;
    part->u.agg.group_count = groups;
    part->u.agg.aggs = OPT_ARRAY(o, struct plan_agg, parts);
    part->u.agg.agg_count = parts;
    join->u.agg.groups = OPT_ARRAY(o, struct bexpr *, groups);
    join->u.agg.aggs = OPT_ARRAY(o, struct plan_agg, n->u.agg.agg_count);
    if (part->u.agg.aggs == NULL || join->u.agg.groups == NULL || join->u.agg.aggs == NULL) {
        return ERR_NOMEM;
    }
    TRY(fill_join(o, n, splits, part, join));
    *f = (struct plan_fragment){.above = join, .root = part, .scan = scan, .eager = true};
    join->children[0] = leaf_of(o, f);
    *ret_done = true;
    return join->children[0] == NULL ? ERR_NOMEM : put_gather(o, f, io);
}

/* ---- the other tops ---- */

static bool keys_move(const struct plan_node *n)
{
    for (uint32_t i = 0; i < n->u.sort.count; i++) {
        if (!moves(n->u.sort.keys[i].expr)) {
            return false;
        }
    }
    return true;
}

/* Top-N and limit: the same node twice. */
static db_err gather_first(struct optimizer *o, struct plan_node **io, bool *ret_done)
{
    struct plan_node *n = *io;
    struct plan_node *scan = chain_scan(n->children[0]);
    bool topn = n->kind == PLAN_TOPN;
    *ret_done = false;
    if (scan == NULL || bounds_vary(&scan->u.scan) ||
        (topn ? !keys_move(n) : n->u.limit.calc_found_rows || n->u.limit.limit == NULL)) {
        return ERR_OK;
    }
    struct plan_fragment *f = OPT_NEW(o, struct plan_fragment);
    struct plan_node *part = copy_node(o, n);
    struct plan_node *rest = copy_node(o, n);
    if (f == NULL || part == NULL || rest == NULL) {
        return ERR_NOMEM;
    }
    part->children[0] = n->children[0];
    if (topn) {
        part->u.sort.partial = true;
    } else {
        part->u.limit.partial = true;
    }
    *f = (struct plan_fragment){.above = rest, .root = part, .scan = scan, .eager = topn};
    rest->children[0] = leaf_of(o, f);
    *ret_done = true;
    return rest->children[0] == NULL ? ERR_NOMEM : put_gather(o, f, io);
}

/* Rows as they are: worth it when fewer come back, or less of each. */
static db_err gather_chain(struct optimizer *o, struct plan_node **io, bool eager, bool *ret_done)
{
    struct plan_node *n = *io;
    struct plan_node *scan = chain_scan(n);
    *ret_done = false;
    if (scan == NULL || bounds_vary(&scan->u.scan)) {
        return ERR_OK;
    }
    struct plan_fragment *f = OPT_NEW(o, struct plan_fragment);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    *f = (struct plan_fragment){.root = n, .scan = scan, .eager = eager};
    f->above = leaf_of(o, f);
    *ret_done = true;
    return f->above == NULL ? ERR_NOMEM : put_gather(o, f, io);
}

db_err opt__gather(struct optimizer *o, struct plan_node **io, bool eager)
{
    struct plan_node *n = *io;
    bool done = false;
    switch ((int)n->kind) {
    case PLAN_HASH_AGG:
    case PLAN_STREAM_AGG: TRY(gather_agg(o, io, &done)); break;
    case PLAN_TOPN:
    case PLAN_LIMIT: TRY(gather_first(o, io, &done)); break;
    case PLAN_TABLE_SCAN:
    case PLAN_INDEX_SCAN:
    case PLAN_FILTER:
    case PLAN_PROJECT: TRY(gather_chain(o, io, eager, &done)); break;
    default: break;
    }
    bool apply = (n->kind == PLAN_NL_JOIN || n->kind == PLAN_HASH_JOIN) && n->u.join.apply;
    bool all = n->kind == PLAN_SORT || n->kind == PLAN_TOPN || n->kind == PLAN_HASH_AGG ||
               n->kind == PLAN_STREAM_AGG || n->kind == PLAN_DISTINCT ||
               (eager && n->kind != PLAN_LIMIT);
    for (uint32_t i = 0; i < n->child_count && !done; i++) {
        if (i == 0 || !apply) {
            TRY(opt__gather(o, &n->children[i], all));
        }
    }
    return ERR_OK;
}
