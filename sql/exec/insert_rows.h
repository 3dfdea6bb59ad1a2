/* Rows of an INSERT on their way to the table: shared by the operator and the short path. */
#ifndef SKEIN_SQL_EXEC_INSERT_ROWS_H
#define SKEIN_SQL_EXEC_INSERT_ROWS_H

#include "sql/exec/row_rules.h"
#include "sql/exec/row_writer.h"

struct insert_rows {
    const struct plan_node *node; /* PLAN_INSERT */
    const struct table_def *table;
    const bool *given; /* by ordinal: in the column list */
    bool *told;        /* by ordinal: that NULL became the implicit default has been warned of */
    uint64_t number;   /* rows completed so far */
    struct row_rules rules;
    bool
        *pending; /* by ordinal: the row's default is computed from its other columns; NULL: none */
    struct arena *kept; /* where the state of rules goes when ctx->arena is reset between rows;
                         * NULL: it is not (then rules.values says where the rows' text goes) */
    const struct column_def *lacks_default; /* the row's first one, which is told of; or NULL */
    uint64_t
        *made; /* of the rows numbered last: what AUTO_INCREMENT made for the row, 0: nothing */
    uint32_t made_room;
    uint32_t expected; /* rows of the value list: numbered may be fewer, when one is wrong */
    bool numbered;     /* a number was made for a row of the statement */
    bool *documents;   /* by ordinal: the row's value is a document that was computed; NULL: none */
    bool skip; /* a check is violated and the statement has IGNORE: the row is not to be written */
};

/* Does the statement look for a conflict of each row, so that a row may not become a new one? */
static inline bool insert_rows_looks(const struct plan_node *node)
{
    return node->u.insert.replace || node->u.insert.ignore || node->u.insert.update_count != 0;
}
/* Everything in ctx->arena. */
MUST_USE db_err insert_rows_init(struct insert_rows *s, struct exec_ctx *ctx,
                                 const struct plan_node *node);
/* Stores v, of the type, in the column that stands at `position` of the column list. */
MUST_USE db_err insert_rows_assign(struct insert_rows *s, struct exec_ctx *ctx, uint32_t position,
                                   const struct sql_type *type, const struct value *v,
                                   struct value *row);
/* Between these two calls of a row the given columns are assigned. `many`: the statement has more
 * than one row. */
static inline void insert_rows_begin(struct insert_rows *s)
{
    s->number++;
    s->skip = false;
    if (s->pending != NULL) {
        memset(s->pending, 0, s->table->column_count * sizeof(*s->pending));
    }
}
MUST_USE db_err insert_rows_complete(struct insert_rows *s, struct exec_ctx *ctx, struct value *row,
                                     bool many);
/* Column i is NOT NULL, and NULL is what it was given: an error, or under IGNORE, and in loose mode
 * for many rows, a warning and the implicit default. document: bexpr_makes_document. */
MUST_USE db_err insert_rows_null(struct insert_rows *s, struct exec_ctx *ctx, uint32_t i, bool many,
                                 bool document, struct value *row);
/* A row of VALUES: each value keeps its own type. */
MUST_USE db_err insert_rows_literal(struct insert_rows *s, struct exec_ctx *ctx,
                                    struct bexpr *const *exprs, struct value *row, bool many);
/* AUTO_INCREMENT numbers and hidden row ids of n completed rows, row-major: one reservation, so
 * that the numbers are consecutive. insert_rows_written for each that became a new one. May park.
 */
MUST_USE db_err insert_rows_number(struct insert_rows *s, struct exec_ctx *ctx, struct value *rows,
                                   uint32_t n);
/* MYSQL: LAST_INSERT_ID() is the first number made for a row that became a new one, also when the
 * statement is refused for the sake of a later one. made: s->made of the row. */
static inline void insert_rows_written(struct exec_ctx *ctx, uint64_t made)
{
    ctx->first_insert_id = ctx->first_insert_id == 0 ? made : ctx->first_insert_id;
}
/* An update has written `row` for `old`: the numbers that are given go on from its own. May park.
 */
MUST_USE db_err insert_rows_number_set(struct exec_ctx *ctx, const struct table_def *t,
                                       const struct value *old, const struct value *row);

#endif
