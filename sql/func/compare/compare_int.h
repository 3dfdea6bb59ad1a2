/* Private to sql/func/compare. A comparison's call->variant is the operator, and COMPARE_NEAR when
 * doubles compare within a tolerance (func_compares_near); call->data points to the struct
 * compare_plan that bind has made. */
#ifndef SKEIN_SQL_FUNC_COMPARE_INT_H
#define SKEIN_SQL_FUNC_COMPARE_INT_H

#include "sql/charset/charset.h"
#include "sql/func/func.h"
#include "sql/types/compare.h"

enum compare_op { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE };
enum { COMPARE_OP_MASK = 7, COMPARE_NEAR = 8 };

struct compare_plan {
    enum compare_kind kind;
    const struct collation *collation; /* COMPARE_STRING */
    bool bytewise;                     /* equal strings are equal bytes */
    double tolerance;                  /* COMPARE_NEAR */
    /* COMPARE_INT of an integer column and constant text whose value comes later: 1 + the text's
     * argument; else 0. */
    uint8_t text_arg;
    bool warns; /* text_arg: of text that is no number; else whoever runs the statement has said it
                 */
    /* GREATEST, LEAST of dates among texts: how the winner is written. */
    bool date_only;
    bool json; /* GREATEST, LEAST with JSON among the arguments */
    uint8_t decimals;
};

/* ---- moment.c: constants beside dates and times; each looks at its two arguments in this order
 * ---- */

/* Says what a column of dates or times does not take of a constant number. ERR_SQL where a change
 * is strict. */
MUST_USE db_err compare__tell_of_number(struct func_bind_ctx *ctx, const struct func_arg *column,
                                        const struct func_arg *number);
/* Text beside TIME: *io_as_text is set where both are compared as text. */
MUST_USE db_err compare__time_text(struct func_bind_ctx *ctx, const struct func_arg *time,
                                   struct func_arg *text, bool *io_as_text);
/* The same of a bound of BETWEEN, which is a time whatever it says. */
MUST_USE db_err compare__time_bound(struct func_bind_ctx *ctx, const struct func_arg *time,
                                    struct func_arg *text);
/* Constant text that is no date: ERR_SQL (1525, or 1292 where a change is strict). */
MUST_USE db_err compare__date_text(struct func_bind_ctx *ctx, const struct func_arg *date,
                                   const struct func_arg *text);
/* What an execution says of constant text names the column. */
void compare__name_text(const struct func_arg *date, struct func_arg *text);
/* Text whose value comes later, but for a parameter's: the execution finds what is no date. */
void compare__refuse_later(const struct func_arg *date, struct func_arg *text);
/* MYSQL: text that is no date is the zero date, other values that are none are below every date;
 * constant text (above) is refused first. A parameter that is none is NULL, but lowest: <=> does
 * not find it equal to NULL, nor does a list of IN beside a DATE. */
void compare__lowest_if_none(const struct func_arg *date, struct func_arg *other, bool lowest);

/* func_call.needs of INTERVAL. */
bool compare_interval_needs(struct eval_ctx *ctx, const struct func_call *call,
                            struct vector *const *args, uint32_t k, uint32_t row);

#endif
