/* Compiled patterns and subjects. Private to sql/func/regexp.
 *
 * ICU works on UTF-16: the subject is converted per row into a buffer that is used again. A pattern
 * is compiled once while it stays the same, per execution (ICU's matchers are not thread-safe), and
 * freed with the statement's arena. */
#ifndef SKEIN_SQL_FUNC_REGEXP_INT_H
#define SKEIN_SQL_FUNC_REGEXP_INT_H

#include <unicode/uregex.h>

#include "sql/func/func_int.h"

/* ICU's limit counts attempts of one kind only, and a search may begin at each character of a long
 * text: others have their turn while it runs, and the statement can be ended. */
struct regexp_turns {
    uint32_t work;   /* of fiber_work */
    size_t per_find; /* as much may be done wherever a match is looked for, without a step more */
    bool often;      /* the search parks at each place, not only where many steps were made */
    db_err stopped;  /* why, behind U_REGEX_STOPPED_BY_CALLER */
};
/* For the searches in the subject that was set: they park. What cannot take long is not looked
 * after at each place: that costs as much as to look for a short pattern. `io_turns`, which belongs
 * to the matcher, lives as long as it. Parks. */
MUST_USE db_err regexp__take_turns(URegularExpression *re, size_t pattern_units,
                                   size_t subject_units, struct regexp_turns *io_turns);

struct regexp {
    URegularExpression *re;
    uint32_t flags;
    struct regexp_turns turns;
    size_t pattern_units;
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
/* Goes to the occurrence-th match at or after character `from` (1-based). Parks. */
MUST_USE db_err regexp__find(struct eval_ctx *ctx, struct regexp *r, int64_t from,
                             int64_t occurrence, bool *ret_found);
/* Goes to the match behind the current one. Parks. */
MUST_USE db_err regexp__next(struct eval_ctx *ctx, struct regexp *r, bool *ret_found);
/* UTF-16 units before character `from` (1-based); -1: past the end. */
int32_t regexp__unit(const struct regexp *r, int64_t from);
/* Characters before that unit. */
int64_t regexp__chars(const struct regexp *r, int32_t unit);
/* UTF-16 to the result's charset. */
MUST_USE db_err regexp__set(struct eval_ctx *ctx, struct vector *out, uint32_t row,
                            const UChar *text, int32_t len);
/* MySQL's error for ICU's. */
db_err regexp__error(struct eval_ctx *ctx, UErrorCode status, const UParseError *where);
/* The same for a search, which may have been ended from outside. */
db_err regexp__find_error(struct eval_ctx *ctx, UErrorCode status,
                          const struct regexp_turns *turns);
/* Of which texts of the type are read and written. MYSQL: bytes are characters of latin1. */
const struct charset *regexp__charset(const struct sql_type *t);
/* Appends the text as UTF-16. Errors: ER_CANNOT_CONVERT_STRING of bytes that are no characters of
 * cs; with diag NULL U+FFFD stands for them. */
MUST_USE db_err regexp__utf16(struct diag *diag, struct slice s, const struct charset *cs,
                              struct buf *out);

#endif
