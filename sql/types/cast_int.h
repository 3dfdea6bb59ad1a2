/* Private to sql/types: pieces that casts and column stores share. */
#ifndef SKEIN_SQL_TYPES_CAST_INT_H
#define SKEIN_SQL_TYPES_CAST_INT_H

#include "sql/types/cast.h"

enum { MESSAGE_VALUE_MAX = 400 };

/* A value's bytes as messages show them: valid UTF-8, what is not text as \xHH, cut at the end.
 * NUL-terminated. */
void cast__printable(unsigned collation, struct slice s, char out[MESSAGE_VALUE_MAX]);

/* "Truncated incorrect INTEGER value: '12abc'" (1292). */
void cast__warn_truncated(struct cast_ctx *ctx, const char *what, unsigned collation,
                          struct slice text);

/* Text without a digit that becomes a DECIMAL (1366). */
void cast__warn_no_digit(struct cast_ctx *ctx);

/* value_to_decimal. wire: of the cast's target, TYPE_W_COLUMN_TEXT and TYPE_W_MADE_TEXT. */
MUST_USE db_err cast__decimal(struct cast_ctx *ctx, const struct sql_type *from,
                              const struct value *v, unsigned wire, struct decimal *ret);

/* A PHYS_STR value as ASCII-compatible bytes (text of wide charsets is converted). */
MUST_USE db_err cast__ascii(struct cast_ctx *ctx, const struct value *v, struct slice *ret);

/* What conversion to a temporal found; nothing is reported yet. */
struct temporal_result {
    int64_t v; /* packed DATETIME, or TIME */
    unsigned cond;
    struct temporal_note note; /* for cast_warn_delimiter */
};
/* Any value to DATETIME (also for DATE) or TIME, with `decimals` digits. flags: TEMPORAL_F_*. */
MUST_USE db_err cast__to_datetime(struct cast_ctx *ctx, const struct sql_type *from,
                                  const struct value *v, unsigned decimals, unsigned flags,
                                  struct temporal_result *ret);
/* MYSQL: where zero parts are let through, CAST to DATE takes a number up to 131 for a month and a
 * day of 2000, be they zero. False: it is none of those. */
bool cast__small_date(const struct cast_ctx *ctx, const struct sql_type *from,
                      const struct value *v, int64_t *ret);
/* Tells that a date is stored as zero. */
MUST_USE db_err cast__tell_zero(struct cast_ctx *ctx, const struct sql_type *from,
                                const struct value *v, unsigned decimals);
/* value_to_datetime with the messages of a DATE when for_date. */
MUST_USE db_err cast__datetime(struct cast_ctx *ctx, const struct sql_type *from,
                               const struct value *v, unsigned decimals, bool for_date,
                               int64_t *ret, bool *ret_null);
MUST_USE db_err cast__to_time(struct cast_ctx *ctx, const struct sql_type *from,
                              const struct value *v, unsigned decimals, unsigned flags,
                              struct temporal_result *ret);
/* Splits a decimal or double at the point: whole part and billionths. False when it is beyond
 * int64. */
bool cast__split_number(const struct value *v, int64_t *ret_whole, uint32_t *ret_nanos,
                        bool *ret_neg);

/* A literal such as x'41' where a number is wanted: *ret is the BIGINT UNSIGNED of its bytes, or 0,
 * with a warning, if they are too many. False: v is anything else. */
bool cast__bytes_number(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                        struct value *ret);
uint64_t cast__last_bytes(struct slice s); /* the number of the last eight bytes */

/* The member's text of an ENUM value; of a SET joined by commas. */
struct slice cast__enum_text(const struct sql_type *t, uint64_t index);
MUST_USE db_err cast__set_text(struct cast_ctx *ctx, const struct sql_type *t, uint64_t bits,
                               struct slice *ret);
/* BIT(n) as its bytes. */
MUST_USE db_err cast__bit_text(struct cast_ctx *ctx, unsigned bits, uint64_t v, struct slice *ret);

#endif
