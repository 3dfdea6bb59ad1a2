/* Error codes and their propagation.
 *
 * Every function that can fail returns db_err (0 = ok) and is marked MUST_USE. Details for people
 * go to a struct diag (base/diag.h) that the caller owns. There is no longjmp anywhere. */
#ifndef SKEIN_BASE_ERR_H
#define SKEIN_BASE_ERR_H

#define MUST_USE                            __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_index, first_index) __attribute__((format(printf, fmt_index, first_index)))
#define UNUSED                              __attribute__((unused))
#define LIKELY(x)                           __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                         __builtin_expect(!!(x), 0)
#define ARRAY_COUNT(a)                      (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member)     ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

typedef enum db_err {
#define ERR(name, class, text) ERR_##name,
#include "base/err_codes.def"
#undef ERR
    ERR__COUNT
} db_err;

enum err_class {
    ERR_CLASS_OK,
    ERR_CLASS_RETRY_SAME,
    ERR_CLASS_RETRY_ROUTE,
    ERR_CLASS_RETRY_TXN,
    ERR_CLASS_AMBIGUOUS,
    ERR_CLASS_USER,
    ERR_CLASS_FATAL,
};

/* Static strings and classes; an unknown code gives "unknown error" and FATAL. */
const char *err_name(db_err err);
const char *err_text(db_err err);
enum err_class err_class(db_err err);

/* TRY(call): return the error of a call at once. TRY_GOTO(call, out): needs a variable `err` and a
 * label. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        db_err try_err_ = (call);                                                                  \
        if (UNLIKELY(try_err_ != ERR_OK)) {                                                        \
            return try_err_;                                                                       \
        }                                                                                          \
    } while (0)

#define TRY_GOTO(call, label)                                                                      \
    do {                                                                                           \
        err = (call);                                                                              \
        if (UNLIKELY(err != ERR_OK)) {                                                             \
            goto label;                                                                            \
        }                                                                                          \
    } while (0)

/* Keeps the first error while cleaning up: err = ERR_FIRST(err, close(x)). */
static inline db_err err_first(db_err first, db_err second)
{
    return first != ERR_OK ? first : second;
}

#endif
