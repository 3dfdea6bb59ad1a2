/* What all joins do alike: pairs of left rows and candidates, conditions, and what each kind makes
 * of rows without a partner.
 *
 * The operator gives a left chunk and a cursor that names the candidates of a left row one by one;
 * join_run_next then gives result chunks until that left chunk is used up. Results keep the order
 * of the left rows, and of the candidates below that. May park. */
#ifndef SKEIN_SQL_EXEC_JOIN_RUN_H
#define SKEIN_SQL_EXEC_JOIN_RUN_H

#include "sql/exec/exec_int.h"
#include "sql/exec/row_table.h"

struct join_cursor {
    /* i: logical row of the left chunk; row: the physical one. NULL: no (more) candidates. */
    struct row_node *(*first)(void *arg, uint32_t i, uint32_t row);
    struct row_node *(*next)(void *arg, struct row_node *n, uint32_t i, uint32_t row);
    void *arg;
};

struct join_pair {
    uint16_t i, row;
};

struct join_run {
    const struct plan_node *node;
    enum join_kind kind;
    uint32_t left_count, right_count; /* columns */
    const struct packed_format *right;
    uint32_t right_base; /* the right side's columns in the packed rows begin here */
    bool carry;          /* the left chunk has one column more: it comes out behind all others */
    /* The left rows come again with other candidates: nothing is said yet of those without a
     * partner. Who sets it takes `matched` from one time to the next, after join_run_left. */
    bool partial;
    struct expr_state **filters;
    uint32_t filter_count;
    struct expr_state **fixed; /* conditions that are the same for all rows */
    uint32_t fixed_count;
    bool asked, never;
    struct join_cursor cursor;
    /* the left chunk */
    struct chunk *left;
    uint32_t at; /* logical row being paired; those before are complete */
    bool in_row, done;
    struct row_node *candidate;
    /* SEMI and ANTI with conditions: rows are asked in rounds, a few candidates each, so that a row
     * that found its partner costs no more */
    struct row_node **next_of; /* by logical row; NULL: no rounds, or no more candidates */
    uint32_t round_width;
    bool first_round, is_open; /* is_open: a row has candidates left */
    uint64_t matched[CHUNK_ROWS / 64];
    /* pairs not given out yet */
    uint32_t n, room;
    struct join_pair *pairs;
    struct row_node **partners; /* NULL: the left row comes alone */
    const struct packed_row **rows;
    uint16_t *sel;
    struct chunk chunk; /* left columns, right columns, carried column */
    struct chunk result;
    struct arena arena; /* of conditions */
    bool initialised;
};

/* right_types: of the right side's columns; they and the format outlive the run. carry_type: NULL
 * unless rows are carried. */
MUST_USE db_err join_run_init(struct join_run *r, struct exec_ctx *ctx,
                              const struct plan_node *node,
                              const struct sql_type *const *right_types, uint32_t right_count,
                              const struct packed_format *right, uint32_t right_base,
                              const struct sql_type *carry_type);
/* Asks once, from the first call on, the conditions that are the same for all rows; call it when
 * there is a left row and before anything is read on the right. *ret_never: one of them is not
 * true, no pair holds and the right side need not be read. Errors: those of the conditions. */
MUST_USE db_err join_run_ask(struct join_run *r, struct exec_ctx *ctx, bool *ret_never);
/* The chunk stays valid until join_run_next has given NULL. */
void join_run_left(struct join_run *r, struct chunk *left);
/* Is there nothing left of the left chunk (or none was given)? */
static inline bool join_run_idle(const struct join_run *r)
{
    return r->left == NULL;
}
MUST_USE db_err join_run_next(struct join_run *r, struct exec_ctx *ctx, struct chunk **ret);
/* FULL: right rows of the list from *io on that met no partner (mark 0), alone. *ret NULL at the
 * end. */
MUST_USE db_err join_run_rest(struct join_run *r, struct row_node **io, struct chunk **ret);
void join_run_fini(struct join_run *r); /* also of a zeroed one */

static inline bool join_gives_left_only(enum join_kind k)
{
    return k == JOIN_SEMI || k == JOIN_ANTI;
}

#endif
