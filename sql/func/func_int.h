/* Shared by the families of built-in functions: row loops, what arguments are asked to become,
 * warnings, results of strings. Private to sql/func. */
#ifndef SKEIN_SQL_FUNC_FUNC_INT_H
#define SKEIN_SQL_FUNC_FUNC_INT_H

#include "base/scope.h"
#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/func/func.h"
#include "sql/types/cast.h"

/* for each selected row: `row` is the physical row. */
#define EACH_ROW(row)                                                                              \
    for (uint32_t row##_i = 0, row = sel == NULL ? 0 : sel[0]; row##_i < n;                        \
         row##_i++, row = row##_i >= n ? 0 : (sel == NULL ? row##_i : sel[row##_i]))

#define BIND_ARGS struct func_bind_ctx *ctx, struct func_call *call, struct func_arg *args
#define EVAL_ARGS                                                                                  \
    struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,                \
        const uint16_t *sel, uint32_t n, struct vector *out

/* The widest string result: texts longer than max_allowed_packet are NULL with warning 1301. */
enum { FUNC_TEXT_CHARS_MAX = 65535 };
/* MYSQL: some results are described as no longer than this. */
enum { FUNC_BLOB_MAX = 16777216 };

/* ---- result types; TYPE_F_NOT_NULL is set when every argument has it ---- */

void func__result(struct func_call *call, const struct func_arg *args, struct sql_type type);
/* As func__result, but the result may be NULL whatever the arguments are. */
void func__result_null(struct func_call *call, struct sql_type type);
void func__result_not_null(struct func_call *call, struct sql_type type);
struct sql_type func__bool(void);
/* BIGINT of that display length (sign included). */
struct sql_type func__bigint(uint32_t length);
struct sql_type func__ubigint(uint32_t length);
struct sql_type func__double(void);
/* Text of at most `chars` characters: VARCHAR, or the TEXT type that is wide enough. */
struct sql_type func__text(uint64_t chars, unsigned collation);
/* Text in the connection's collation: for results that are ASCII (dates, numbers, names). */
void func__result_ascii(struct func_bind_ctx *ctx, struct func_call *call, uint64_t chars);
/* Text in the collation that args[first .. first+count) agree on; also sets call->collation.
 * `chars` are filled by the caller. ERR_SQL 1267... */
MUST_USE db_err func__result_text(struct func_bind_ctx *ctx, struct func_call *call,
                                  struct func_arg *args, uint32_t first, uint32_t count,
                                  uint64_t chars);

/* A number that meets text as text does: one that a user variable holds, as a column of the
 * connection's collation, or that has a collation. */
bool func__meets_as_text(const struct func_arg *a);
/* May text be compared with JSON: do their collations agree? ERR_SQL 1267... */
MUST_USE db_err func__may_meet(struct func_bind_ctx *ctx, const char *operation,
                               const struct func_arg *args, uint32_t count);
/* Error 3854, which shows the text's first bytes. */
MUST_USE db_err func__cannot_convert(struct func_bind_ctx *ctx, struct slice text,
                                     const struct collation *from, const struct collation *to);
/* Binary text is taken for text of the collation; what is none is error 3854. Other text stays. */
void func__want_valid(struct func_arg *a, unsigned collation);
/* Text in the collation of one argument, whatever the others' are: they become text of its
 * character set. Sets call->collation and call->coercibility. ERR_SQL 3854: a constant among the
 * others has a character that this character set does not have. */
MUST_USE db_err func__subject_text(struct func_bind_ctx *ctx, struct func_call *call,
                                   struct func_arg *subject, struct func_arg *const *others,
                                   uint32_t count);
/* The same, but what has no such character is told of when it is looked for. MYSQL: TRIM and
 * SUBSTRING_INDEX convert where they compute. */
MUST_USE db_err func__subject_text_later(struct func_bind_ctx *ctx, struct func_call *call,
                                         struct func_arg *subject, struct func_arg *const *others,
                                         uint32_t count);

/* ---- what arguments become ---- */

void func__want(struct func_arg *arg, struct sql_type type);
void func__want_int(struct func_arg *arg);
void func__want_double(struct func_arg *arg);
/* As what is told true from false is read: text as a DOUBLE, a time as a DECIMAL; JSON as it is. */
void func__want_truth(struct func_arg *arg);
/* DECIMAL that holds any value of the argument's type. */
void func__want_decimal(struct func_arg *arg);
/* Text. What is not text becomes text in the connection's collation. */
void func__want_text(struct func_bind_ctx *ctx, struct func_arg *arg);
void func__want_texts(struct func_bind_ctx *ctx, struct func_arg *args, uint32_t count);
/* DATE; DATETIME stays as it is. lenient: a zero month or day is no error. */
void func__want_date(struct func_arg *arg, bool lenient);
/* DATETIME (DATE and DATETIME stay as they are: the same packing). */
void func__want_datetime(struct func_arg *arg);
void func__want_time(struct func_arg *arg);

/* ---- facts of types ---- */

/* Characters a value has as text at most. */
uint64_t func__chars(const struct sql_type *t);
/* Bytes of that text: numbers and dates are ASCII. */
uint64_t func__byte_length(const struct sql_type *t);
/* Decimal digits of an integer operand, sign not counted. */
unsigned func__int_precision(const struct sql_type *t);
/* All digits of an exact operand. */
unsigned func__precision(const struct sql_type *t);
bool func__is_text(const struct sql_type *t);

/* func_number_of. */
enum func_number func__number(const struct sql_type *t);

/* A constant argument as an integer. False: it is no constant, or NULL. MYSQL: text that is no
 * whole number warns while the statement is bound, and again when the call is evaluated. */
bool func__const_int(struct func_bind_ctx *ctx, const struct func_arg *arg, int64_t *ret);

/* ---- conditions ---- */

/* SHOW WARNINGS has two errors: the statement's, which ctx->diag says, and a second one. */
void func__tell_two(struct eval_ctx *ctx, const struct diag *second);

/* A warning of MySQL's number and text to the statement. */
void func__warn(struct eval_ctx *ctx, enum my_errno number, ...);
/* The same while the statement is bound. */
void func__bind_warn(const struct func_bind_ctx *ctx, enum my_errno number, ...);
/* Division by zero: NULL with warning 1365, or an error, as sql_mode says. */
MUST_USE db_err func__div_zero(struct eval_ctx *ctx, struct vector *out, uint32_t row);
/* The same without a place for the NULL. */
MUST_USE db_err func__division_by_zero(struct eval_ctx *ctx);
/* Error 1690. kind: "BIGINT", "BIGINT UNSIGNED", "DECIMAL", "DOUBLE". */
db_err func__out_of_range(struct eval_ctx *ctx, const struct func_call *call, const char *kind);
/* Warning 1411: the argument, as the statement has it, is no value of `what`. NULL is the result.
 */
void func__wrong_value(struct eval_ctx *ctx, const struct func_call *call, uint32_t arg,
                       const char *what, struct vector *out, uint32_t row);
/* Warning 6527: the call's result is no value of `what`. */
void func__warn_overflow(struct eval_ctx *ctx, const struct func_call *call, const char *what);
/* Warning 6527: the call's result is no value of `what`. NULL is the result. */
void func__temporal_overflow(struct eval_ctx *ctx, const struct func_call *call, const char *what,
                             struct vector *out, uint32_t row);
uint64_t func__packet_max(const struct eval_ctx *ctx);
/* The result would be longer than max_allowed_packet: NULL with warning 1301. */
void func__too_long(struct eval_ctx *ctx, const struct func_call *call, struct vector *out,
                    uint32_t row);

/* What a call keeps between the chunks of one execution (a generator, a compiled pattern): `size`
 * zeroed bytes of the statement's arena; *ret_fresh the first time. ERR_LIMIT. */
MUST_USE db_err func__state(struct eval_ctx *ctx, const struct func_call *call, size_t size,
                            void **ret, bool *ret_fresh);

/* ---- strings ---- */

/* Memory for a result of `len` bytes in this chunk's arena. ERR_LIMIT. */
MUST_USE db_err func__bytes(struct eval_ctx *ctx, size_t len, uint8_t **ret);
/* The row's text is a copy of the buffer. */
MUST_USE db_err func__set_buf(struct eval_ctx *ctx, struct vector *out, uint32_t row,
                              const struct buf *b);
/* ASCII text into a result column of any charset that takes ASCII in. */
MUST_USE db_err func__set_ascii(struct eval_ctx *ctx, struct vector *out, uint32_t row,
                                struct slice s);
static inline const struct charset *func__charset(const struct sql_type *t)
{
    return collation_by_id(t->collation)->cs;
}

#endif
