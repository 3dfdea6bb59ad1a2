/* Conversions between types, and storing into columns.
 *
 * Two rules of MySQL live side by side:
 *   cast     what an expression does (CAST, implicit conversion): a bad part gives a warning and a
 * best effort value, or NULL; store    what INSERT and UPDATE do with a column: range and length
 * checks whose outcome is an error when the statement is strict and a warning with a clipped value
 * when it is not.
 *
 * Results borrow from the source where they can, else their bytes are in ctx->arena. Nothing parks
 * the fiber. A cast_ctx belongs to one fiber. Errors: ERR_SQL with ctx->diag filled, ERR_NOMEM,
 * ERR_LIMIT. */
#ifndef SKEIN_SQL_TYPES_CAST_H
#define SKEIN_SQL_TYPES_CAST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/err.h"
#include "sql/charset/charset.h"
#include "sql/types/sql_mode.h"
#include "sql/types/temporal.h"
#include "sql/types/timezone.h"
#include "sql/types/type.h"
#include "sql/types/value.h"
#include "sql/types/vector.h"

enum cast_level { CAST_NOTE, CAST_WARNING, CAST_ERROR };

struct cast_ctx {
    uint64_t sql_mode; /* SQL_MODE_* */
    bool strict; /* conditions of type_store are errors: a data change under strict mode without
                    IGNORE */
    /* A strict data change has met what is a warning elsewhere (cast_tell): the error is in diag,
     * and whoever evaluates returns it (cast_refusal). */
    bool refused;
    const struct diag *refusal; /* that error, whatever diag says by then; in the arena; or NULL */
    /* Itself while one row is evaluated: each such error goes to warn when it is met. A copy, and
     * who looks at several rows at once, tells of none. */
    const struct cast_ctx *telling;
    const char *refused_type; /* set while a value is cast to a TYPE_W_REFUSE_DATE: its name */
    bool whole_date;          /* likewise, TYPE_W_WHOLE_DATE */
    bool compared;            /* likewise, TYPE_W_COMPARED: expr is the column, or NULL */
    bool lenient_date;        /* set while a value is cast to a TYPE_W_LENIENT_DATE */
    uint8_t div_precision_increment; /* 4 by default */
    uint16_t collation;              /* of text made from numbers and times: collation_connection */
    const struct timezone *tz;       /* @@time_zone */
    /* The statement's start, for those who ask (cast_now_local): TIME -> DATETIME takes its date.
     * Few do, and it takes a calendar. */
    uint64_t now_us;         /* UTC; 0: now_local is made of it already */
    int64_t now_local;       /* packed DATETIME in tz */
    bool asked_now;          /* the value is of this statement only */
    const char *expr;        /* text of the cast for messages; may be NULL */
    const char *json_source; /* where a JSON value comes from, for messages; may be NULL */
    uint64_t row;            /* number of the row for messages; 1 at first */
    struct arena *arena;     /* bytes of results */
    struct diag *diag;       /* for ERR_SQL; may be NULL */
    /* Gets each condition that is not an error; may be NULL. `text` is borrowed for the call. */
    void (*warn)(void *arg, enum cast_level level, uint16_t number, const char *text);
    void *warn_arg;
};
void cast_ctx_init(struct cast_ctx *ctx, struct arena *arena, struct diag *diag);
int64_t cast_now_local(struct cast_ctx *ctx);

/* Number with printf arguments to ctx->warn; the text is the message of that number
 * (sql/types/cast_messages.def). */
void cast_warn(struct cast_ctx *ctx, enum cast_level level, unsigned number, ...);
/* The same with the text. ctx->warn is not NULL. MYSQL: strict mode turns some warnings into errors
 * anywhere in a data change: then ctx->diag has it, and whoever evaluates finds `refused`. */
void cast_tell(struct cast_ctx *ctx, enum cast_level level, uint16_t number, const char *sqlstate,
               const char *text);
/* An evaluation has ended with err: ERR_SQL and diag when a value was refused in it, which goes
 * before an error that was met later. Forgets that one was. */
db_err cast_refusal(struct cast_ctx *ctx, db_err err);
/* Warnings 4095 and 4096 about a delimiter in text, when what datetime_parse() or time_parse()
 * answered says so. */
void cast_warn_delimiter(struct cast_ctx *ctx, unsigned cond, const struct temporal_note *note,
                         unsigned collation, struct slice text);
/* Bytes as messages show them: what is no printable ASCII as \xNN. With a NUL. */
enum { CAST_BYTES_TEXT_MAX = 128 };
void cast_bytes_text(struct slice s, char *out);
/* The same of the first six bytes, and dots when there are more. */
void cast_bytes_start(struct slice s, char *out);
/* Fills ctx->diag; returns ERR_SQL. */
db_err cast_error(struct cast_ctx *ctx, unsigned number, ...);

/* ---- scalars ---- */

/* Converts as CAST and implicit conversion do. `from` describes *v (it is needed for ENUM and SET).
 * A NULL stays NULL. May set *ret NULL. ret may alias v. */
MUST_USE db_err value_cast(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                           const struct sql_type *to, struct value *ret);
/* Single families, for code that knows what it wants; same warnings. ret is untouched when
 * *ret_null is set. */
MUST_USE db_err value_to_int(struct cast_ctx *ctx, const struct sql_type *from,
                             const struct value *v, int64_t *ret, bool *ret_unsigned);
MUST_USE db_err value_to_double(struct cast_ctx *ctx, const struct sql_type *from,
                                const struct value *v, double *ret);
MUST_USE db_err value_to_decimal(struct cast_ctx *ctx, const struct sql_type *from,
                                 const struct value *v, struct decimal *ret);
/* The same, where `from` says of text where it comes from: TYPE_W_COLUMN_TEXT, TYPE_W_MADE_TEXT. */
MUST_USE db_err text_to_decimal(struct cast_ctx *ctx, const struct sql_type *from,
                                const struct value *v, struct decimal *ret);
/* Text of any value, in the charset of ret's collation for text and in ASCII for the rest. MYSQL: a
 * DOUBLE is fitted into 24 characters when it is a column's, a FLOAT into 12; the text of what an
 * expression computes has 22, and all digits of a FLOAT. */
MUST_USE db_err value_to_text(struct cast_ctx *ctx, const struct sql_type *from,
                              const struct value *v, struct slice *ret);
/* DATE/DATETIME (packed local) and TIME. *ret_null: no such value (a warning was given). */
MUST_USE db_err value_to_datetime(struct cast_ctx *ctx, const struct sql_type *from,
                                  const struct value *v, unsigned decimals, int64_t *ret,
                                  bool *ret_null);
MUST_USE db_err value_to_time(struct cast_ctx *ctx, const struct sql_type *from,
                              const struct value *v, unsigned decimals, int64_t *ret,
                              bool *ret_null);
/* WHERE's truth: not 0. NULL is false. */
MUST_USE db_err value_is_true(struct cast_ctx *ctx, const struct sql_type *from,
                              const struct value *v, bool *ret);

/* ---- vectors ---- */

/* Converts the rows (sel, count) of src to dst (dst->type is the target; rows keep their physical
 * number). Fast loops for the plain numeric pairs, value_cast for the rest. */
MUST_USE db_err vector_cast(struct cast_ctx *ctx, const struct vector *src, const uint16_t *sel,
                            uint32_t count, struct vector *dst);

/* ---- columns ---- */

/* Who is assigned, for messages. */
struct store_target {
    const char *column;
    uint64_t row;               /* 1-based number of the row in the statement */
    const char *table;          /* for 3140; NULL: not known */
    bool as_text;               /* a JSON column takes the text of numbers, and other text keeps
                                   the zeros of ZEROFILL (ALTER TABLE) */
    const struct value *before; /* UPDATE: what the column has; NULL: a new row */
};
/* Assigns v to a column of type `to` as INSERT does: 1264 out of range, 1265 data truncated, 1366
 * incorrect value, 1292 incorrect temporal value, 1406 data too long, 3140 invalid JSON ... NULL
 * into NOT NULL is the caller's business (1048, 1364): a NULL stays NULL. TIMESTAMP results are in
 * UTC. CHAR loses trailing spaces, BINARY(n) is padded with zero bytes. */
MUST_USE db_err type_store(struct cast_ctx *ctx, const struct sql_type *to,
                           const struct store_target *target, const struct sql_type *from,
                           const struct value *v, struct value *ret);

/* ---- text of numbers ---- */

enum { NUMBER_TEXT_MAX = 400 };
/* Decimal digits, no NUL; returns the length. */
unsigned int64_to_text(int64_t v, char *out); /* room for 24 */
unsigned uint64_to_text(uint64_t v, char *out);
/* DOUBLE as MySQL prints it: shortest text that reads back equal, or `decimals` fixed digits when
 * it is not DECIMALS_NOT_FIXED. FLOAT likewise with float's precision. */
unsigned double_to_text(double v, unsigned decimals, char out[NUMBER_TEXT_MAX]);
/* The same in at most `width` (10 at least) characters, by an exponent or by fewer digits; a number
 * of fixed decimals is as long as it is. */
unsigned double_to_text_within(double v, unsigned decimals, unsigned width,
                               char out[NUMBER_TEXT_MAX]);
/* The same in at most `width` characters, however few. A double that is too wide for them gives up
 * digits without a word: 99.995 is "100" in 5, 9.3e18 "9e18"; a fraction that is not below a
 * thousandth may give up all of them and be "0". When one digit is left and the text fills the
 * width (1.79e308: "2e308"), *ret_known is false. */
unsigned double_to_text_cut(double d, uint32_t width, char out[NUMBER_TEXT_MAX], bool *ret_known);
/* A number's text with leading zeros up to the width of its column, if that has ZEROFILL; DECIMAL
 * needs DECIMAL_TEXT_MAX bytes of room, others NUMBER_TEXT_MAX. Returns the length. */
unsigned number_zerofill(const struct sql_type *t, char *io_text, unsigned len);
unsigned float_to_text(float v, unsigned decimals, char out[NUMBER_TEXT_MAX]);
unsigned float_to_text_within(float v, unsigned decimals, unsigned width,
                              char out[NUMBER_TEXT_MAX]);
/* The longest prefix that is a number; *ret_used its bytes (leading spaces counted), 0 when there
 * is none. *ret_overflow: the value was clipped to +-DBL_MAX. */
double text_to_double(struct slice s, size_t *ret_used, bool *ret_overflow);
/* Integer prefix with sign; clipped to int64/uint64 with *ret_overflow. */
int64_t text_to_int(struct slice s, bool *ret_unsigned, size_t *ret_used, bool *ret_overflow);

#endif
