/* Private to the window operator: the current partition, the frame of the current row, the calls.
 *
 * The rows of a partition lie in the store: the child's columns, then computed ones (arguments,
 * keys). window_frame.c finds peers and frames, window_call.c computes functions. */
#ifndef SKEIN_SQL_EXEC_WINDOW_RUN_H
#define SKEIN_SQL_EXEC_WINDOW_RUN_H

#include "sql/exec/exec_int.h"
#include "sql/exec/row_store.h"

struct window_end {
    enum frame_bound bound;
    uint64_t rows;       /* ROWS: the offset */
    uint32_t value, key; /* RANGE: columns of the store */
    uint64_t at;         /* RANGE with an offset: where the last row's frame ended */
    struct vector scratch;
};

struct window_call {
    const struct plan_window_call *plan;
    uint32_t *columns; /* of the arguments, in the store */
    int64_t number;
    struct window_agg *agg;
};

struct window_run {
    const struct plan_window *plan;
    struct packed_format format;
    struct row_store store;
    uint32_t width; /* columns of the child */
    uint32_t *partition, *order;
    struct window_end start, end;
    struct window_call *calls;
    bool needs_peers;
    /* the partition: rows [first, last) of the store */
    uint64_t first, last;
    /* the current row, its peers, its frame */
    uint64_t row;
    uint64_t peer_first, peer_last, peer_number;
    uint64_t frame_first, frame_last;
};

/* Numbers that are the same for all rows. Errors: 1210, 3586. */
MUST_USE db_err window_frame_open(struct window_run *r, struct exec_ctx *ctx);
/* The partition [first, last) is complete: its first row comes next. */
void window_frame_begin(struct window_run *r);
/* Sets peers and frame of r->row. */
MUST_USE db_err window_frame_set(struct window_run *r, struct exec_ctx *ctx);

MUST_USE db_err window_call_open(struct window_run *r, struct exec_ctx *ctx, struct window_call *c);
void window_call_begin(struct window_run *r, struct window_call *c);
/* The result for the current row into row `at` of out. */
MUST_USE db_err window_call_result(struct window_run *r, struct exec_ctx *ctx,
                                   struct window_call *c, struct vector *out, uint32_t at);
void window_call_close(struct window_call *c);

#endif
