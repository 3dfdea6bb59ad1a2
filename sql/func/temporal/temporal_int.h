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
/* What a time, or a date with a time, is for: that says what a wrong one gives. */
enum temporal_role {
    TEMPORAL_OPERAND,   /* NULL */
    TEMPORAL_SUMMAND,   /* NULL with a warning about the date */
    TEMPORAL_AMOUNT,    /* a date is read as a time */
    TEMPORAL_EXTRACTED, /* NULL with a warning about the datetime */
    TEMPORAL_SHOWN,     /* the same; any day of a month will do, and none */
};
/* Text that is a time, or a date with or without one. False: it is neither, a warning says so. */
bool temporal__parse_any(struct eval_ctx *ctx, struct slice text, enum temporal_role role,
                         int64_t *ret, bool *ret_is_datetime);
/* Text in a character set whose bytes below 0x80 are ASCII. */
void temporal__want_ascii(struct func_bind_ctx *ctx, struct func_arg *arg);
/* Temporal values as they are, text, or a number as DECIMAL. */
void temporal__want_any(struct func_bind_ctx *ctx, struct func_arg *arg);
MUST_USE db_err temporal__get_any(struct eval_ctx *ctx, const struct sql_type *t,
                                  const struct vector *v, uint32_t row, enum temporal_role role,
                                  int64_t *ret, bool *ret_is_datetime, bool *ret_null);
/* The same, taken apart. */
MUST_USE db_err temporal__get_parts(struct eval_ctx *ctx, const struct sql_type *t,
                                    const struct vector *v, uint32_t row, enum temporal_role role,
                                    struct time_parts *ret, bool *ret_is_datetime, bool *ret_null);
/* MYSQL: the YEAR of a column is its first day, at midnight; that of an expression is a number. */
bool temporal__is_year(const struct sql_type *t);
/* Is it a number that is a date in digits where one is asked for? Not of bytes, nor a year. */
bool temporal__is_number(const struct sql_type *t);
/* Such a number's date; its time, too, when it has more digits than a date, else what stands behind
 * the point is told of. sql_mode: which zeros may be in it. */
MUST_USE db_err temporal__number_moment(struct eval_ctx *ctx, const struct sql_type *t,
                                        const struct vector *numbers, uint32_t row,
                                        uint64_t sql_mode, int64_t *ret, bool *ret_date_only,
                                        bool *ret_null);
/* A number of seconds: exact numbers become DECIMAL, text and doubles stay what they are, so that
 * more digits of them are seen than a column of DECIMAL has. */
void temporal__want_seconds(struct func_arg *arg);
MUST_USE db_err temporal__get_seconds(struct eval_ctx *ctx, const struct sql_type *t,
                                      const struct vector *v, uint32_t row, struct decimal *ret);
/* What becomes of digits below a result's: the session's sql_mode says. */
enum decimal_round_mode temporal__rounding(const struct eval_ctx *ctx);
/* MYSQL: more than 18 digits before the point are no number of seconds, with a warning. */
bool temporal__seconds_fit(struct eval_ctx *ctx, const struct decimal *seconds);
/* temporal__decimals; 6 for all text but literals of bytes, which are whole numbers. */
unsigned temporal__seconds_decimals(const struct func_arg *arg);
/* temporal__decimals; 6 for constant text that is no date, or no time. */
unsigned temporal__date_decimals(const struct func_arg *arg);
unsigned temporal__time_decimals(const struct func_arg *arg);
/* Pattern arguments are utf8. */
void temporal__want_pattern(struct func_bind_ctx *ctx, struct func_arg *arg);
uint64_t temporal__pattern_chars(const struct func_arg *arg);
/* p formatted by an utf8 pattern into the result's charset. */
MUST_USE db_err temporal__format(struct eval_ctx *ctx, const struct time_parts *p, bool is_time,
                                 struct slice pattern, struct vector *out, uint32_t row);
/* Microseconds of 0000-01-01: before it is no date. */
int64_t temporal__first_moment(void);
/* Seconds since 1970 and microseconds as a packed local DATETIME; NULL when out of range. */
void temporal__set_unix(struct eval_ctx *ctx, const struct timezone *tz, int64_t seconds,
                        uint32_t micro, struct vector *out, uint32_t row);

#endif
