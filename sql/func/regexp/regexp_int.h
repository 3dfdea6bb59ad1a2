/* Compiled patterns and subjects. Private to sql/func/regexp.
 *
 * ICU works on UTF-16: the subject is converted per row into a buffer that is used again. A pattern
 * is compiled once while it stays the same, per execution (ICU's matchers are not thread-safe), and
 * freed with the statement's arena. */
#ifndef SKEIN_SQL_FUNC_REGEXP_INT_H
#define SKEIN_SQL_FUNC_REGEXP_INT_H

#include <unicode/uregex.h>

#include "sql/func/func_int.h"

struct regexp {
    URegularExpression *re;
    uint32_t flags;
    struct buf pattern; /* as given, in the call's charset */
    struct buf subject; /* UTF-16 */
    struct buf scratch; /* UTF-16 of the pattern or the replacement */
};

/* The call's matcher, kept in the statement. */
MUST_USE db_err regexp__open(struct eval_ctx *ctx, const struct func_call *call,
                             struct regexp **ret);
/* Compiles pattern (unless it is the last one) with the options of args[mode_arg], if there is such
 * an argument, and sets the row's subject. */
MUST_USE db_err regexp__start(struct eval_ctx *ctx, const struct func_call *call, struct regexp *r,
                              struct vector *const *args, uint32_t row, uint32_t mode_arg);
/* Goes to the occurrence-th match at or after character `from` (1-based). */
MUST_USE db_err regexp__find(struct eval_ctx *ctx, struct regexp *r, int64_t from,
                             int64_t occurrence, bool *ret_found);
/* UTF-16 units before character `from` (1-based); -1: past the end. */
int32_t regexp__unit(const struct regexp *r, int64_t from);
/* Characters before that unit. */
int64_t regexp__chars(const struct regexp *r, int32_t unit);
/* UTF-16 to the result's charset. */
MUST_USE db_err regexp__set(struct eval_ctx *ctx, struct vector *out, uint32_t row,
                            const UChar *text, int32_t len);
/* MySQL's error for ICU's. */
db_err regexp__error(struct eval_ctx *ctx, UErrorCode status, const UParseError *where);
/* Of which texts of the type are read and written. MYSQL: bytes are characters of latin1. */
const struct charset *regexp__charset(const struct sql_type *t);
/* Appends the text as UTF-16. */
MUST_USE db_err regexp__utf16(struct slice s, const struct charset *cs, struct buf *out);

#endif
