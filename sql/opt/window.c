/* The physical node of window functions. Its rows come out in the order in which they came in. */
#include "sql/opt/opt_int.h"

static db_err resolve_end(struct optimizer *o, const struct frame_end *e, const struct phys *child,
                          struct plan_frame_end *ret)
{
    uint32_t width = child->node->column_count;
    ret->bound = e->bound;
    if (e->offset != NULL) {
        TRY(opt__resolve(o, e->offset, NULL, 0, &ret->offset));
    }
    if (e->value != NULL) {
        TRY(opt__resolve(o, e->value, child->cols, width, &ret->value));
        TRY(opt__resolve(o, e->key, child->cols, width, &ret->key));
    }
    return ERR_OK;
}

static db_err resolve_calls(struct optimizer *o, const struct lnode *n, const struct phys *child,
                            struct plan_window *w)
{
    w->calls = OPT_ARRAY(o, struct plan_window_call, n->u.window.call_count);
    if (w->calls == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->u.window.call_count; i++) {
        const struct lwindow_call *c = &n->u.window.calls[i];
        struct plan_window_call *out = &w->calls[w->call_count++];
        out->func = c->func;
        out->call = c->call;
        out->arg_count = c->arg_count;
        TRY(opt__resolve_list(o, c->args, c->arg_count, child->cols, child->node->column_count,
                              &out->args));
        if (c->number != NULL) {
            TRY(opt__resolve(o, c->number, NULL, 0, &out->number));
        }
    }
    return ERR_OK;
}

static db_err resolve_window(struct optimizer *o, const struct lnode *n, const struct phys *child,
                             struct plan_window *w)
{
    uint32_t width = child->node->column_count;
    uint32_t count = n->u.window.order_count;
    struct bexpr **order = OPT_ARRAY(o, struct bexpr *, count);
    if (order == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        order[i] = n->u.window.order[i].expr;
    }
    w->name = n->u.window.name;
    w->partition_count = n->u.window.partition_count;
    w->order_count = count;
    w->descending = count != 0 && n->u.window.order[0].descending;
    w->rows = n->u.window.frame.rows;
    TRY(opt__resolve_list(o, n->u.window.partition, w->partition_count, child->cols, width,
                          &w->partition));
    TRY(opt__resolve_list(o, order, count, child->cols, width, &w->order));
    TRY(resolve_end(o, &n->u.window.frame.start, child, &w->start));
    TRY(resolve_end(o, &n->u.window.frame.end, child, &w->end));
    return resolve_calls(o, n, child, w);
}

db_err opt__window(struct optimizer *o, struct lnode *n, const struct want *want, struct phys *ret)
{
    struct want down = *want;
    down.limit = -1;
    for (uint32_t i = 0; i < want->order_count; i++) {
        if (!opt__reads_only(want->order[i].expr, n->children[0])) {
            down.order_count = 0;
        }
    }
    TRY(opt__physical(o, n->children[0], &down, ret));
    uint32_t width = ret->node->column_count;
    struct plan_window *w = OPT_NEW(o, struct plan_window);
    struct plan_node *p = opt__node(o, PLAN_WINDOW, width + n->u.window.call_count);
    col_id_t *cols = OPT_ARRAY(o, col_id_t, width + n->u.window.call_count);
    if (w == NULL || p == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    TRY(resolve_window(o, n, ret, w));
    for (uint32_t i = 0; i < width; i++) {
        p->types[i] = ret->node->types[i];
        cols[i] = ret->cols[i];
    }
    for (uint32_t i = 0; i < n->u.window.call_count; i++) {
        p->types[width + i] = &n->u.window.calls[i].type;
        cols[width + i] = n->u.window.calls[i].out;
    }
    p->u.window = w;
    p->children[0] = ret->node;
    p->child_count = 1;
    p->rows = ret->node->rows;
    p->cost = ret->node->cost + p->rows;
    ret->node = p;
    ret->cols = cols;
    return ERR_OK;
}
