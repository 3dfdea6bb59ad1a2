/* The aggregates of one operator: arguments, states, DISTINCT and ORDER BY inside the call.
 *
 * agg_run_eval for each input chunk, then agg_run_update with the rows and the states they belong
 * to; agg_run_finish when all rows were given, then agg_run_result for each state. May park. */
#ifndef SKEIN_SQL_EXEC_AGG_RUN_H
#define SKEIN_SQL_EXEC_AGG_RUN_H

#include "sql/exec/row_table.h"
#include "sql/exec/sorter.h"

struct agg_one;

struct agg_run {
    const struct plan_node *node;
    struct agg_one *aggs;
    uint32_t count;
    uint32_t opened;
    size_t state_size; /* of all aggregates of a group */
    struct arena states;
    struct arena scratch;
    void **offsets;           /* states of one aggregate, by row */
    struct eval_list *inputs; /* of all aggregates */
    bool initialised;
};

MUST_USE db_err agg_run_open(struct agg_run *r, struct exec_ctx *ctx, const struct plan_node *node);
/* A new group's states. NULL: no memory. */
void *agg_run_new_state(struct agg_run *r);
MUST_USE db_err agg_run_eval(struct agg_run *r, struct exec_ctx *ctx, const struct chunk *in);
/* Rows sel[0..n) (physical, of the chunk evaluated last; NULL: 0..n)); states[i] from new_state. */
MUST_USE db_err agg_run_update(struct agg_run *r, struct exec_ctx *ctx, const uint16_t *sel,
                               uint32_t n, void *const *states);
MUST_USE db_err agg_run_finish(struct agg_run *r, struct exec_ctx *ctx);
/* Row `row` of columns[0..count). */
MUST_USE db_err agg_run_result(struct agg_run *r, struct exec_ctx *ctx, const void *state,
                               struct vector *columns, uint32_t row);
/* After finish: ready for more rows, of other states; results of the old ones stay valid. */
MUST_USE db_err agg_run_restart(struct agg_run *r, struct exec_ctx *ctx);
/* The same, and forgets all states. */
MUST_USE db_err agg_run_reset(struct agg_run *r, struct exec_ctx *ctx);
void agg_run_close(struct agg_run *r); /* also of a zeroed or half-open one */

#endif
