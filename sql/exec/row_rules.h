/* Runs what a table computes of its rows (sql/bind/table_rules.h) on one row after another. */
#ifndef SKEIN_SQL_EXEC_ROW_RULES_H
#define SKEIN_SQL_EXEC_ROW_RULES_H

#include "sql/bind/table_rules.h"
#include "sql/exec/exec_int.h"

struct row_rules {
    const struct table_def *table;
    const struct table_rules *rules; /* NULL: none */
    struct expr_state **defaults, **generated, **checks;
    struct arena *values; /* of the row's text; NULL: ctx->arena */
    struct chunk row;     /* one row, by ordinal: what the expressions read is kept up to date */
};

/* State in ctx->arena. */
MUST_USE db_err row_rules_init(struct row_rules *r, struct exec_ctx *ctx,
                               const struct table_def *table, const struct table_rules *rules);
/* Gives the columns for which pending[ordinal] is set their defaults, as far as these are rules:
 * other columns have their values. pending NULL: all of them. */
MUST_USE db_err row_rules_default(struct row_rules *r, struct exec_ctx *ctx, const bool *pending,
                                  uint64_t number, struct value *row);
/* The default of one column, if it is a rule, from the row as it is now. */
MUST_USE db_err row_rules_default_of(struct row_rules *r, struct exec_ctx *ctx, uint32_t ordinal,
                                     uint64_t number, struct value *row);
/* Computes the generated columns of the row (values by ordinal; text in r->values) and then the
 * checks. *ret_pass false: a check is violated and the statement has IGNORE: it has been warned of,
 * and the row is not to be written. `number`: 1-based row of the statement, for messages.
 * Errors: ERR_SQL 3819, 1048, and those of evaluating and storing. */
MUST_USE db_err row_rules_apply(struct row_rules *r, struct exec_ctx *ctx, uint64_t number,
                                struct value *row, bool *ret_pass);

#endif
