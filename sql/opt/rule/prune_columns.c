/* Marks the columns of each base table that anything reads, and drops projected columns that
 * nothing above wants. */
#include "sql/opt/opt_int.h"

static db_err prune(struct optimizer *o, struct lnode *n, struct col_set *wanted);

static db_err want_list(struct optimizer *o, struct bexpr *const *list, uint32_t n,
                        struct col_set *s)
{
    for (uint32_t i = 0; i < n; i++) {
        TRY(opt__set_add_expr(o, s, list[i]));
    }
    return ERR_OK;
}

static db_err note_idle(struct optimizer *o, struct lnode *n)
{
    n->u.table.idle = OPT_ARRAY(o, bool, n->u.table.def->column_count);
    if (n->u.table.idle == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        if (!n->u.table.used[i] && opt__set_has(o->idle, n->columns[i].id)) {
            n->u.table.used[i] = n->u.table.idle[i] = true;
        }
    }
    return ERR_OK;
}

static db_err prune_table(struct optimizer *o, struct lnode *n, struct col_set *wanted)
{
    n->u.table.used = OPT_ARRAY(o, bool, n->u.table.def->column_count);
    if (n->u.table.used == NULL) {
        return ERR_NOMEM;
    }
    TRY(want_list(o, n->u.table.filters, n->u.table.filter_count, wanted));
    for (uint32_t i = 0; i < n->column_count; i++) {
        n->u.table.used[i] = opt__set_has(wanted, n->columns[i].id);
    }
    return o->idle == NULL ? ERR_OK : note_idle(o, n);
}

static db_err prune_project(struct optimizer *o, struct lnode *n, struct col_set *wanted)
{
    struct lproj *exprs = OPT_ARRAY(o, struct lproj, n->u.project.count);
    struct lcolumn *cols = OPT_ARRAY(o, struct lcolumn, n->u.project.count);
    uint32_t k = 0;
    if (exprs == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->u.project.count; i++) {
        const struct lproj *p = &n->u.project.exprs[i];
        if (opt__set_has(wanted, p->out) || p->expr->is_volatile) {
            TRY(opt__set_add_expr(o, wanted, p->expr));
        } else if (o->idle == NULL || !opt__set_has(o->idle, p->out)) {
            continue;
        } else if (p->expr->kind == BEXPR_COLUMN) { /* a table's, seen through a view */
            TRY(opt__set_add(o, o->idle, p->expr->u.column.id));
        } else {
            TRY(opt__set_add_expr(o, wanted, p->expr));
        }
        exprs[k] = *p;
        cols[k++] = n->columns[i];
    }
    n->u.project.exprs = exprs;
    n->u.project.count = k;
    n->columns = cols;
    n->column_count = k;
    return prune(o, n->children[0], wanted);
}

static db_err prune_aggregate(struct optimizer *o, struct lnode *n, struct col_set *wanted)
{
    for (uint32_t i = 0; i < n->u.aggregate.group_count; i++) {
        TRY(opt__set_add_expr(o, wanted, n->u.aggregate.groups[i].expr));
    }
    for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
        const struct lagg *a = &n->u.aggregate.aggs[i];
        TRY(want_list(o, a->args, a->call->arg_count, wanted));
        for (uint32_t k = 0; k < a->order_count; k++) {
            TRY(opt__set_add_expr(o, wanted, a->order[k].expr));
        }
    }
    return prune(o, n->children[0], wanted);
}

static db_err want_optional(struct optimizer *o, const struct bexpr *e, struct col_set *wanted)
{
    return e == NULL ? ERR_OK : opt__set_add_expr(o, wanted, e);
}

/* The rows keep all columns that come from below; calls that nothing reads go. */
static db_err prune_window(struct optimizer *o, struct lnode *n, struct col_set *wanted)
{
    struct lwindow_call *calls = OPT_ARRAY(o, struct lwindow_call, n->u.window.call_count);
    uint32_t kept = 0;
    if (calls == NULL) {
        return ERR_NOMEM;
    }
    TRY(want_list(o, n->u.window.partition, n->u.window.partition_count, wanted));
    for (uint32_t i = 0; i < n->u.window.order_count; i++) {
        TRY(opt__set_add_expr(o, wanted, n->u.window.order[i].expr));
    }
    TRY(want_optional(o, n->u.window.frame.start.value, wanted));
    TRY(want_optional(o, n->u.window.frame.end.value, wanted));
    for (uint32_t i = 0; i < n->u.window.call_count; i++) {
        const struct lwindow_call *c = &n->u.window.calls[i];
        if (opt__set_has(wanted, c->out)) {
            TRY(want_list(o, c->args, c->arg_count, wanted));
            calls[kept++] = *c;
        }
    }
    n->u.window.calls = calls;
    n->u.window.call_count = kept;
    TRY(prune(o, n->children[0], wanted));
    const struct lnode *child = n->children[0];
    struct lcolumn *cols = OPT_ARRAY(o, struct lcolumn, child->column_count + kept);
    if (cols == NULL) {
        return ERR_NOMEM;
    }
    if (child->column_count != 0) {
        memcpy(cols, child->columns, child->column_count * sizeof(*cols));
    }
    for (uint32_t i = 0; i < kept; i++) {
        cols[child->column_count + i] = (struct lcolumn){
            .id = calls[i].out, .type = calls[i].type, .coercibility = calls[i].coercibility};
    }
    n->columns = cols;
    n->column_count = child->column_count + kept;
    return ERR_OK;
}

static db_err want_all(struct optimizer *o, const struct lnode *n, struct col_set *wanted)
{
    for (uint32_t i = 0; i < n->column_count; i++) {
        TRY(opt__set_add(o, wanted, n->columns[i].id));
    }
    return ERR_OK;
}

/* Filters and limits show what their child shows; a join both children's columns. */
static db_err refresh_columns(struct optimizer *o, struct lnode *n)
{
    if (n->child_count == 1) {
        n->columns = n->children[0]->columns;
        n->column_count = n->children[0]->column_count;
        return ERR_OK;
    }
    uint32_t count = n->children[0]->column_count;
    bool left_only = n->u.join.kind == JOIN_SEMI || n->u.join.kind == JOIN_ANTI;
    uint32_t total = count + (left_only ? 0 : n->children[1]->column_count);
    struct lcolumn *cols = OPT_ARRAY(o, struct lcolumn, total);
    if (cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < total; i++) {
        cols[i] = i < count ? n->children[0]->columns[i] : n->children[1]->columns[i - count];
    }
    n->columns = cols;
    n->column_count = total;
    return ERR_OK;
}

static db_err prune_values(struct optimizer *o, struct lnode *n, struct col_set *wanted)
{
    for (uint32_t r = 0; r < n->u.values.row_count; r++) {
        TRY(want_list(o, n->u.values.rows[r], n->column_count, wanted));
    }
    return ERR_OK;
}

static db_err prune(struct optimizer *o, struct lnode *n, struct col_set *wanted)
{
    switch ((int)n->kind) {
    case LNODE_TABLE: return prune_table(o, n, wanted);
    case LNODE_TABLE_FUNC: return ERR_OK; /* its columns are made together */
    case LNODE_PROJECT: return prune_project(o, n, wanted);
    case LNODE_AGGREGATE: return prune_aggregate(o, n, wanted);
    case LNODE_VALUES: return prune_values(o, n, wanted);
    case LNODE_WINDOW: return prune_window(o, n, wanted);
    case LNODE_FILTER: TRY(want_list(o, n->u.filter.conjuncts, n->u.filter.count, wanted)); break;
    case LNODE_SORT:
        for (uint32_t i = 0; i < n->u.sort.count; i++) {
            TRY(opt__set_add_expr(o, wanted, n->u.sort.keys[i].expr));
        }
        break;
    case LNODE_DISTINCT: TRY(want_all(o, n, wanted)); break;
    case LNODE_SETOP:
    case LNODE_RECURSIVE:
        for (uint32_t s = 0; s < n->child_count; s++) {
            TRY(want_all(o, n->children[s], wanted));
            TRY(prune(o, n->children[s], wanted));
        }
        return ERR_OK;
    case LNODE_JOIN:
        TRY(want_list(o, n->u.join.on, n->u.join.on_count, wanted));
        for (uint32_t i = 0; i < n->u.join.lateral_count; i++) {
            TRY(opt__set_add(o, wanted, n->u.join.lateral_ids[i]));
        }
        TRY(prune(o, n->children[0], wanted));
        TRY(prune(o, n->children[1], wanted));
        return refresh_columns(o, n);
    default: break;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(prune(o, n->children[i], wanted));
    }
    return n->child_count == 1 ? refresh_columns(o, n) : ERR_OK;
}

db_err rule_prune_columns(struct optimizer *o, struct lnode **io_root)
{
    struct col_set wanted;
    struct col_set idle;
    TRY(opt__set_init(o, &wanted));
    if (io_root != &o->stmt->root || !opt__change_is_plain(o)) {
        TRY(want_all(o, *io_root, &wanted));
        return prune(o, *io_root, &wanted);
    }
    TRY(opt__set_init(o, &idle));
    TRY(opt__change_wants(o, &wanted, &idle));
    o->idle = &idle;
    db_err err = prune(o, *io_root, &wanted);
    o->idle = NULL;
    return err;
}
