/* Private to sql/func/temporal: variants of the rows, and facts shared by its files. */
#ifndef SKEIN_SQL_FUNC_TEMPORAL_INT_H
#define SKEIN_SQL_FUNC_TEMPORAL_INT_H

#include "sql/func/func_int.h"
#include "sql/types/temporal.h"

enum {
    TEMPORAL_NOW,
    TEMPORAL_SYSDATE,
    TEMPORAL_CURDATE,
    TEMPORAL_CURTIME,
    TEMPORAL_UTC_NOW,
    TEMPORAL_UTC_DATE,
    TEMPORAL_UTC_TIME,
};
enum {
    PART_YEAR,
    PART_MONTH,
    PART_DAY,
    PART_QUARTER,
    PART_DAYOFWEEK, /* these and the following need a real date */
    PART_WEEKDAY,
    PART_DAYOFYEAR,
    PART_TO_DAYS,
    PART_TO_SECONDS,
    PART_WEEKOFYEAR,
    PART_WEEK,
    PART_YEARWEEK,
};
enum { CLOCK_HOUR, CLOCK_MINUTE, CLOCK_SECOND, CLOCK_MICROSECOND, CLOCK_TO_SEC };
enum {
    TEMPORAL_ADD_OP, /* (date, amount, unit) */
    TEMPORAL_SUB_OP,
    TEMPORAL_ADD_DAYS, /* (date, days) */
    TEMPORAL_SUB_DAYS,
    TEMPORAL_STAMP_ADD, /* (unit, amount, date) */
};

/* The unit of a number that the binder gives for the word (enum ast_interval_unit of the parser,
 * which this layer may not include). False: no such unit. */
bool temporal__unit(int64_t number, enum interval_unit *ret);
/* The unit among the arguments; it is always a constant. */
MUST_USE db_err temporal__unit_arg(struct func_bind_ctx *ctx, const struct func_arg *arg,
                                   enum interval_unit *ret);
/* Fraction digits a value of this argument has: of a constant text as many as it shows, of other
 * texts and doubles six. */
unsigned temporal__decimals(const struct func_arg *arg);
/* Text that may be a TIME or a DATETIME. *ret_is_datetime tells which *ret is; false: neither (a
 * warning 1292 was given). */
bool temporal__parse_any(struct eval_ctx *ctx, struct slice text, int64_t *ret,
                         bool *ret_is_datetime);
/* Pattern arguments are utf8. */
void temporal__want_pattern(struct func_bind_ctx *ctx, struct func_arg *arg);
uint64_t temporal__pattern_chars(const struct func_arg *arg);
/* p formatted by an utf8 pattern into the result's charset. */
MUST_USE db_err temporal__format(struct eval_ctx *ctx, const struct time_parts *p, bool is_time,
                                 struct slice pattern, struct vector *out, uint32_t row);
/* Seconds since 1970 and microseconds as a packed local DATETIME; NULL when out of range. */
void temporal__set_unix(struct eval_ctx *ctx, const struct timezone *tz, int64_t seconds,
                        uint32_t micro, struct vector *out, uint32_t row);

#endif
