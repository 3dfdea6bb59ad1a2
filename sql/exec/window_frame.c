/* Peers and frames.
 *
 * Both ends of a frame only move forward from row to row, so that a partition costs as many steps
 * as it has rows, whatever the frame. RANGE with an offset compares the ordering value of rows with
 * the value at which the frame of the current row ends, computed when the row was read; a row whose
 * ordering value is NULL has its peers as frame, and is in no other row's. */
#include "sql/exec/window_run.h"

#include "sql/diag/my_error.h"

static db_err illegal(struct exec_ctx *ctx, const struct plan_window *w)
{
    return my_error(ctx->diag, ER_WINDOW_FRAME_ILLEGAL, arena_strdup(ctx->arena, w->name));
}

static bool is_negative(const struct value *v)
{
    switch (v->phys) {
    case PHYS_INT: return !v->is_unsigned && v->i < 0;
    case PHYS_DOUBLE: return v->d < 0;
    case PHYS_DECIMAL: return v->dec.neg;
    default: return false;
    }
}

static db_err open_end(struct window_run *r, struct exec_ctx *ctx, const struct plan_frame_end *p,
                       struct window_end *e)
{
    e->bound = p->bound;
    if (p->value != NULL) {
        TRY(vector_init_rows(&e->scratch, r->format.columns[e->value].type, 1, ctx->arena));
    }
    if (p->offset == NULL) {
        return ERR_OK;
    }
    struct value v;
    TRY(expr_eval_scalar(ctx, p->offset, &v));
    if (v.is_null || is_negative(&v) || (r->plan->rows && v.phys != PHYS_INT)) {
        return illegal(ctx, r->plan);
    }
    e->rows = v.phys == PHYS_INT ? v.u : 0;
    return ERR_OK;
}

db_err window_frame_open(struct window_run *r, struct exec_ctx *ctx)
{
    TRY(open_end(r, ctx, &r->plan->start, &r->start));
    return open_end(r, ctx, &r->plan->end, &r->end);
}

void window_frame_begin(struct window_run *r)
{
    r->row = r->first;
    r->peer_first = r->peer_last = r->first;
    r->peer_number = 0;
    r->start.at = r->end.at = r->first;
    for (uint32_t i = 0; i < r->plan->call_count; i++) {
        window_call_begin(r, &r->calls[i]);
    }
}

static bool are_peers(const struct window_run *r, const struct packed_row *a,
                      const struct packed_row *b)
{
    for (uint32_t i = 0; i < r->plan->order_count; i++) {
        if (packed_compare(&r->format, r->order[i], a, b) != 0) {
            return false;
        }
    }
    return true;
}

static db_err next_peers(struct window_run *r, struct exec_ctx *ctx)
{
    const struct packed_row *here;
    const struct packed_row *there;
    r->peer_first = r->row;
    r->peer_number++;
    if (r->plan->order_count == 0) {
        r->peer_last = r->last;
        return ERR_OK;
    }
    TRY(row_store_get(&r->store, ctx, r->row, &here));
    r->peer_last = r->row + 1;
    while (r->peer_last < r->last) {
        TRY(row_store_get(&r->store, ctx, r->peer_last, &there));
        if (!are_peers(r, here, there)) {
            break;
        }
        here = there; /* stays near, should the rows come from a file */
        r->peer_last++;
    }
    return ERR_OK;
}

/* The first row at or behind e->at that is in the frame (is_last: behind it). */
static db_err range_offset(struct window_run *r, struct exec_ctx *ctx, struct window_end *e,
                           bool is_last, uint64_t *ret)
{
    const struct packed_row *row;
    TRY(row_store_get(&r->store, ctx, r->row, &row));
    if (packed_is_null(row, e->key)) {
        *ret = is_last ? r->peer_last : r->peer_first;
        return ERR_OK;
    }
    vector_reset(&e->scratch);
    packed_read(&r->format, &row, 1, e->value, &e->scratch, 0);
    if (vec_is_null(&e->scratch, 0)) {
        /* MYSQL: out of the range of dates is above all of them. As ends never go back, which the
         * sums of moving frames rely on, in ascending order it is so for the rows behind, too. */
        e->at = r->plan->descending ? e->at : r->last;
        *ret = e->at;
        return ERR_OK;
    }
    for (; e->at < r->last; e->at++) {
        TRY(row_store_get(&r->store, ctx, e->at, &row));
        int order = packed_compare_vector(&r->format, e->key, &e->scratch, 0, row);
        order = r->plan->descending ? -order : order; /* of the end's value and the row's */
        bool null_last = r->plan->descending && packed_is_null(row, e->key);
        if (null_last || (is_last ? order < 0 : order <= 0)) {
            break;
        }
    }
    *ret = e->at;
    return ERR_OK;
}

static uint64_t rows_first(const struct window_run *r, const struct window_end *e)
{
    switch (e->bound) {
    case FRAME_UNBOUNDED_PRECEDING: return r->first;
    case FRAME_PRECEDING: return r->row - r->first < e->rows ? r->first : r->row - e->rows;
    case FRAME_CURRENT_ROW: return r->row;
    case FRAME_FOLLOWING: return r->last - r->row < e->rows ? r->last : r->row + e->rows;
    case FRAME_UNBOUNDED_FOLLOWING: break;
    }
    return r->last;
}

static uint64_t rows_last(const struct window_run *r, const struct window_end *e)
{
    switch (e->bound) {
    case FRAME_UNBOUNDED_PRECEDING: return r->first;
    case FRAME_PRECEDING: return r->row - r->first < e->rows ? r->first : r->row - e->rows + 1;
    case FRAME_CURRENT_ROW: return r->row + 1;
    case FRAME_FOLLOWING: return r->last - r->row <= e->rows ? r->last : r->row + e->rows + 1;
    case FRAME_UNBOUNDED_FOLLOWING: break;
    }
    return r->last;
}

static db_err range_end(struct window_run *r, struct exec_ctx *ctx, struct window_end *e,
                        bool is_last, uint64_t *ret)
{
    switch (e->bound) {
    case FRAME_UNBOUNDED_PRECEDING: *ret = r->first; return ERR_OK;
    case FRAME_UNBOUNDED_FOLLOWING: *ret = r->last; return ERR_OK;
    case FRAME_CURRENT_ROW: *ret = is_last ? r->peer_last : r->peer_first; return ERR_OK;
    case FRAME_PRECEDING:
    case FRAME_FOLLOWING: break;
    }
    return range_offset(r, ctx, e, is_last, ret);
}

db_err window_frame_set(struct window_run *r, struct exec_ctx *ctx)
{
    if (r->needs_peers && r->row == r->peer_last) {
        TRY(next_peers(r, ctx));
    }
    if (r->plan->rows) {
        r->frame_first = rows_first(r, &r->start);
        r->frame_last = rows_last(r, &r->end);
    } else {
        TRY(range_end(r, ctx, &r->start, false, &r->frame_first));
        TRY(range_end(r, ctx, &r->end, true, &r->frame_last));
    }
    if (r->frame_last < r->frame_first) {
        r->frame_last = r->frame_first;
    }
    return ERR_OK;
}
