/* Runs what a table computes of its rows (sql/bind/table_rules.h) on one row after another. */
#ifndef SKEIN_SQL_EXEC_ROW_RULES_H
#define SKEIN_SQL_EXEC_ROW_RULES_H

#include "sql/bind/table_rules.h"
#include "sql/exec/exec_int.h"

struct row_rules {
    const struct table_def *table;
    const struct table_rules *rules; /* NULL: none */
    struct expr_state **defaults, **generated, **checks, **reports;
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
/* What came of a check: row 0 of v. *ret_pass as below, untouched when the check holds. 1369, 3819.
 */
MUST_USE db_err row_rules_judge(struct exec_ctx *ctx, const struct rule_check *rule,
                                const struct vector *v, bool *ret_pass);
/* Computes the generated columns of the row (values by ordinal; text in r->values). There are
 * rules. Errors: those of evaluating and storing, 1048. */
MUST_USE db_err row_rules_generate(struct row_rules *r, struct exec_ctx *ctx, uint64_t number,
                                   struct value *row);
/* The same, and then the checks. *ret_pass false: a check is violated and the statement has IGNORE:
 * it has been warned of, and the row is not to be written. `number`: 1-based row of the statement,
 * for messages. Errors: ERR_SQL 3819, 1048, and those of evaluating and storing. */
MUST_USE db_err row_rules_apply(struct row_rules *r, struct exec_ctx *ctx, uint64_t number,
                                struct value *row, bool *ret_pass);

/* What a row that is read has in its VIRTUAL columns (rules of bind_virtual_columns; text in
 * r->values). strict: as strictly as the statement is, errors are those of evaluating and storing;
 * else values that do not fit are cut without a word. */
MUST_USE db_err row_rules_read(struct row_rules *r, struct exec_ctx *ctx, bool strict,
                               struct value *row);
/* v, of the type of `e`, as column `ordinal` shows it when it is computed from a row; text in the
 * arena or where it was. Errors: ERR_SQL, what does not fit when a statement that writes is strict.
 */
MUST_USE db_err row_virtual_value(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                                  const struct bexpr *e, const struct value *v, struct arena *arena,
                                  struct value *ret);

/* Reads stored rows whole, VIRTUAL columns included. */
struct whole_row {
    const struct table_def *table;
    const struct table_rules *virtuals;
    struct arena *arena; /* of the state: set by a caller whose statement's arena is not reset
                            between rows; NULL: */
    struct arena state;
    bool strict;               /* as in row_rules_read */
    struct row_reader *reader; /* NULL: not used yet */
    struct row_rules rules;
};
/* A column is computed for a row: when it is a functional key part, what is told of its value is
 * told of the key (3751, 3752). Between the two nothing else is computed; `number`: the row's. */
struct key_part {
    const char *key; /* NULL: it is none */
    uint64_t number;
    bool time_read; /* MYSQL: of a row that is there a date or time is cut, not out of range */
    void (*warn)(void *arg, enum cast_level level, uint16_t number, const char *text);
    void *warn_arg;
};
void key_part_begin(struct key_part *k, struct exec_ctx *ctx, const struct table_def *t,
                    uint32_t ordinal, uint64_t number);
/* err: of the computation. */
MUST_USE db_err key_part_end(const struct key_part *k, struct exec_ctx *ctx, db_err err);

/* virtuals: all of the table's, NULL: it has none (or they are not needed, and read as NULL). */
void whole_row_init(struct whole_row *w, struct mem_tracker *mem, const struct table_def *table,
                    const struct table_rules *virtuals);
void whole_row_fini(struct whole_row *w);
/* Values by ordinal. Text borrows `stored` or is in the arena. */
MUST_USE db_err whole_row_read(struct whole_row *w, struct exec_ctx *ctx, struct slice stored,
                               struct arena *arena, struct value *ret_row);

#endif
