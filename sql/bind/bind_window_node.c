/* Window functions: from calls to nodes.
 *
 * When a block is bound (and aggregated), the calls of each window become columns of one window
 * node above a sort by the window's partition and order; windows with equal partition and order
 * stand on top of one another, so that the later ones find their input sorted. Those whose results
 * are as long as their frames (JSON_ARRAYAGG) come last: the others' sorts do not carry them. */
#include "sql/bind/bind_window.h"

#include "sql/diag/my_error.h"

struct compute {
    struct binder *b;
    const struct block_windows *windows;
    uint32_t *canon;      /* by window: the first one equal to it */
    struct bexpr **calls; /* distinct */
    col_id_t *outs;
    uint32_t count, cap;
};

static bool same_keys(const struct block_window *x, const struct block_window *y)
{
    if (x->partition_count != y->partition_count || x->order_count != y->order_count) {
        return false;
    }
    for (uint32_t i = 0; i < x->partition_count; i++) {
        if (!bexpr_equal(x->partition[i], y->partition[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < x->order_count; i++) {
        if (x->order[i].descending != y->order[i].descending ||
            !bexpr_equal(x->order[i].expr, y->order[i].expr)) {
            return false;
        }
    }
    return true;
}

static bool same_bound(const struct ast_frame_bound *x, const struct ast_frame_bound *y)
{
    if (x->kind != y->kind || !window_is_offset(x)) {
        return x->kind == y->kind;
    }
    const struct ast_literal *v = (const struct ast_literal *)x->value;
    const struct ast_literal *w = (const struct ast_literal *)y->value;
    return x->value->kind == AST_EXPR_LITERAL && y->value->kind == AST_EXPR_LITERAL &&
           v->kind == AST_LIT_INT && w->kind == AST_LIT_INT && v->u64 == w->u64;
}

static bool same_frame(const struct ast_window *x, const struct ast_window *y)
{
    if (x == NULL || y == NULL) {
        return x == y;
    }
    return x->frame_unit == y->frame_unit && same_bound(&x->start, &y->start) &&
           same_bound(&x->end, &y->end);
}

static db_err find_equal_windows(struct compute *c)
{
    const struct block_windows *all = c->windows;
    c->canon = BIND_ARRAY(c->b, uint32_t, all->count + 1);
    if (c->canon == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        uint32_t k = 0;
        while (k < i && (!same_keys(all->list[k], all->list[i]) ||
                         !same_frame(all->list[k]->frame, all->list[i]->frame))) {
            k++;
        }
        c->canon[i] = k;
    }
    return ERR_OK;
}

static db_err add_call(struct compute *c, struct bexpr *e, col_id_t *ret)
{
    e->u.agg.window = c->canon[e->u.agg.window];
    for (uint32_t i = 0; i < c->count; i++) {
        if (bexpr_equal(c->calls[i], e)) {
            *ret = c->outs[i];
            return ERR_OK;
        }
    }
    if (c->count == c->cap) {
        uint32_t cap = c->cap == 0 ? 8 : c->cap * 2;
        struct bexpr **calls = BIND_ARRAY(c->b, struct bexpr *, cap);
        col_id_t *outs = BIND_ARRAY(c->b, col_id_t, cap);
        if (calls == NULL || outs == NULL) {
            return ERR_NOMEM;
        }
        if (c->count != 0) {
            memcpy(calls, c->calls, c->count * sizeof(struct bexpr *));
            memcpy(outs, c->outs, c->count * sizeof(*outs));
        }
        c->calls = calls;
        c->outs = outs;
        c->cap = cap;
    }
    *ret = bind__new_col(c->b);
    c->outs[c->count] = *ret;
    c->calls[c->count++] = e;
    return ERR_OK;
}

/* e with its calls replaced by columns. */
static db_err replace(struct compute *c, struct bexpr *e, struct bexpr **ret)
{
    *ret = e;
    if (!e->has_window) {
        return ERR_OK;
    }
    if (e->kind == BEXPR_WINDOW) {
        struct lcolumn column = {.type = e->type, .coercibility = e->coercibility};
        TRY(add_call(c, e, &column.id));
        *ret = bind__made_column(c->b, &column);
        return *ret == NULL ? ERR_NOMEM : ERR_OK;
    }
    struct bexpr *copy = BIND_NEW(c->b, struct bexpr);
    struct bexpr **args = BIND_ARRAY(c->b, struct bexpr *, e->arg_count + 1);
    if (copy == NULL || args == NULL) {
        return ERR_NOMEM;
    }
    *copy = *e;
    copy->args = args;
    copy->has_window = false;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(replace(c, e->args[i], &args[i]));
    }
    *ret = copy;
    return ERR_OK;
}

static bool is_negative_or_null(const struct bexpr *e)
{
    if (e->kind != BEXPR_CONST) {
        return false;
    }
    const struct value *v = &e->u.constant;
    if (v->is_null) {
        return true;
    }
    switch (v->phys) {
    case PHYS_INT: return !v->is_unsigned && v->i < 0;
    case PHYS_DOUBLE: return v->d < 0;
    case PHYS_DECIMAL: return v->dec.neg;
    case PHYS_STR: return v->str.len != 0 && v->str.ptr[0] == '-';
    default: return false;
    }
}

/* The value at which the frame of a row ends: its key, plus or minus the offset. */
static db_err range_value(struct compute *c, const struct block_window *w,
                          const struct ast_frame_bound *f, struct frame_end *out)
{
    struct binder *b = c->b;
    const struct lsort_key *k = &w->order[0];
    struct scope none = {.place = PLACE_FIELDS};
    bool minus = (f->kind == AST_BOUND_PRECEDING) != k->descending;
    struct bexpr *key = bexpr_clone(b->arena, k->expr);
    struct bexpr *value = bexpr_clone(b->arena, k->expr);
    struct bexpr *offset;
    struct bexpr *eq;
    if (key == NULL || value == NULL) {
        return ERR_NOMEM;
    }
    if (f->value->kind == AST_EXPR_INTERVAL) {
        const struct ast_interval *iv = (const struct ast_interval *)f->value;
        if (iv->amount->kind == AST_EXPR_COLUMN) {
            return my_error(b->diag, ER_WINDOW_RANGE_BOUND_NOT_CONSTANT, bind__window_name(b, w));
        }
        TRY(bind__expr(b, &none, iv->amount, &offset));
        TRY(bind__add_interval(b, value, offset, iv->unit, minus, &value));
    } else {
        TRY(bind__expr(b, &none, f->value, &offset));
        TRY(bind__op2(b, minus ? "op_sub" : "op_add", value, offset, &value));
        out->offset = offset;
    }
    if (is_negative_or_null(offset)) {
        return my_error(b->diag, ER_WINDOW_FRAME_ILLEGAL, bind__window_name(b, w));
    }
    TRY(bind__comparison(b, AST_OP_EQ, key, value, &eq));
    if (eq->kind == BEXPR_FUNC && eq->arg_count == 2) {
        key = eq->args[0];
        value = eq->args[1];
    }
    if (type_phys(&key->type) != type_phys(&value->type)) {
        return my_error(b->diag, ER_WINDOW_RANGE_FRAME_ORDER_TYPE, bind__window_name(b, w));
    }
    if (type_phys(&key->type) == PHYS_INT &&
        type_is_unsigned(&key->type) != type_is_unsigned(&value->type)) {
        /* NO_UNSIGNED_SUBTRACTION: the end may be below 0, the keys beyond what is signed */
        enum { INT_DIGITS = 20 };
        struct sql_type both = type_decimal(INT_DIGITS, 0, false);
        TRY(bind__cast(b, key, &both, false, &key));
        TRY(bind__cast(b, value, &both, false, &value));
    }
    out->key = key;
    out->value = value;
    return ERR_OK;
}

static db_err bind_bound(struct compute *c, const struct block_window *w,
                         const struct ast_frame_bound *f, struct frame_end *out)
{
    struct scope none = {.place = PLACE_FIELDS};
    static const uint8_t kinds[] = {FRAME_UNBOUNDED_PRECEDING, FRAME_PRECEDING, FRAME_CURRENT_ROW,
                                    FRAME_FOLLOWING, FRAME_UNBOUNDED_FOLLOWING};
    out->bound = (enum frame_bound)kinds[f->kind];
    if (!window_is_offset(f)) {
        return ERR_OK;
    }
    return w->frame->frame_unit == AST_FRAME_ROWS ? bind__expr(c->b, &none, f->value, &out->offset)
                                                  : range_value(c, w, f, out);
}

/* MYSQL: without a frame it is RANGE UNBOUNDED PRECEDING with an order, else the partition. */
static db_err bind_frame(struct compute *c, const struct block_window *w, struct window_frame *out)
{
    out->start.bound = FRAME_UNBOUNDED_PRECEDING;
    if (w->frame == NULL) {
        out->end.bound = w->order_count != 0 ? FRAME_CURRENT_ROW : FRAME_UNBOUNDED_FOLLOWING;
        return ERR_OK;
    }
    out->rows = w->frame->frame_unit == AST_FRAME_ROWS;
    TRY(bind_bound(c, w, &w->frame->start, &out->start));
    return bind_bound(c, w, &w->frame->end, &out->end);
}

static db_err sort_below(struct compute *c, const struct block_window *w, struct lnode **io)
{
    uint32_t n = 0;
    struct lsort_key *keys =
        BIND_ARRAY(c->b, struct lsort_key, w->partition_count + w->order_count + 1);
    if (keys == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < w->partition_count; i++) {
        if (!w->partition[i]->is_const) {
            keys[n++] = (struct lsort_key){w->partition[i], false};
        }
    }
    for (uint32_t i = 0; i < w->order_count; i++) {
        if (!w->order[i].expr->is_const) {
            keys[n++] = w->order[i];
        }
    }
    if (n == 0) {
        return ERR_OK;
    }
    struct lnode *s = bind__node(c->b, LNODE_SORT, *io);
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->u.sort.keys = keys;
    s->u.sort.count = n;
    s->u.sort.whole = true;
    *io = s;
    return ERR_OK;
}

static db_err window_columns(struct compute *c, uint32_t window, struct lnode *n)
{
    struct lnode *child = n->children[0];
    struct lwindow_call *calls = BIND_ARRAY(c->b, struct lwindow_call, c->count);
    struct lcolumn *cols = BIND_ARRAY(c->b, struct lcolumn, child->column_count + c->count + 1);
    if (calls == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    if (child->column_count != 0) {
        memcpy(cols, child->columns, child->column_count * sizeof(*cols));
    }
    n->columns = cols;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct bexpr *e = c->calls[i];
        if (e->u.agg.window != window) {
            continue;
        }
        calls[n->u.window.call_count++] =
            (struct lwindow_call){.func = (enum window_func)e->u.agg.window_func,
                                  .call = e->u.agg.call,
                                  .args = e->args,
                                  .arg_count = e->arg_count,
                                  .number = e->u.agg.number,
                                  .type = e->type,
                                  .coercibility = e->coercibility,
                                  .out = c->outs[i]};
        cols[n->column_count++] =
            (struct lcolumn){.id = c->outs[i], .type = e->type, .coercibility = e->coercibility};
    }
    n->u.window.calls = calls;
    return ERR_OK;
}

static db_err window_node(struct compute *c, uint32_t window, struct lnode **io)
{
    const struct block_window *w = c->windows->list[window];
    TRY(sort_below(c, w, io));
    struct lnode *n = bind__node(c->b, LNODE_WINDOW, *io);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->u.window.partition = w->partition;
    n->u.window.partition_count = w->partition_count;
    n->u.window.order = w->order;
    n->u.window.order_count = w->order_count;
    n->u.window.name = w->name;
    TRY(bind_frame(c, w, &n->u.window.frame));
    TRY(window_columns(c, window, n));
    *io = n;
    return ERR_OK;
}

/* Is a window called at all, and by something whose results are each as long as a frame? */
static bool is_used(const struct compute *c, uint32_t window, bool *ret_long)
{
    bool used = false;
    *ret_long = false;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct bexpr *e = c->calls[i];
        if (e->u.agg.window == window) {
            used = true;
            *ret_long =
                *ret_long || (e->u.agg.window_func == WINDOW_AGG && e->type.id == TYPE_JSON);
        }
    }
    return used;
}

/* The nodes of the windows with long results, or of the others; windows with the same keys beside
 * one another. done: by window, those that have a node or need none. */
static db_err compute_some(struct compute *c, bool are_long, bool *done, struct lnode **io_root)
{
    const struct block_windows *all = c->windows;
    for (uint32_t i = 0; i < all->count; i++) {
        bool begun = false;
        for (uint32_t k = i; k < all->count; k++) {
            bool is_long;
            bool fits = !done[k] && is_used(c, k, &is_long) && is_long == are_long;
            if (fits && (k == i || (begun && same_keys(all->list[i], all->list[k])))) {
                TRY(window_node(c, k, io_root));
                begun = done[k] = true;
            }
        }
    }
    return ERR_OK;
}

db_err bind__compute_windows(struct binder *b, const struct block_windows *windows,
                             struct bexpr **exprs, uint32_t count, struct lnode **io_root)
{
    struct compute c = {.b = b, .windows = windows};
    TRY(find_equal_windows(&c));
    for (uint32_t i = 0; i < count; i++) {
        TRY(replace(&c, exprs[i], &exprs[i]));
    }
    bool *done = BIND_ARRAY(b, bool, windows->count);
    if (done == NULL) {
        return ERR_NOMEM;
    }
    TRY(compute_some(&c, false, done, io_root));
    return compute_some(&c, true, done, io_root);
}
