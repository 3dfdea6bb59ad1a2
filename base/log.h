/* Structured log: stable event names and typed fields, one line per event, to stderr.
 *
 *     LOG_WARN("range.split.retry", F_U64("range", id), F_ERR(err));
 *
 * Library code returns errors; the layer that handles an error logs it, once. No user data or
 * secrets at INFO and above. Thread-safe; one write(2) per line. */
#ifndef SKEIN_BASE_LOG_H
#define SKEIN_BASE_LOG_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
    const char *name;
    enum { LOG_F_U64, LOG_F_I64, LOG_F_F64, LOG_F_STR, LOG_F_SLICE, LOG_F_ERR } kind;
    union {
        uint64_t u64;
        int64_t i64;
        double f64;
        const char *str;
        struct slice slice;
        db_err err;
    } v;
};

#define F_U64(n, x)   ((struct log_field){(n), LOG_F_U64, {.u64 = (uint64_t)(x)}})
#define F_I64(n, x)   ((struct log_field){(n), LOG_F_I64, {.i64 = (int64_t)(x)}})
#define F_F64(n, x)   ((struct log_field){(n), LOG_F_F64, {.f64 = (x)}})
#define F_STR(n, x)   ((struct log_field){(n), LOG_F_STR, {.str = (x)}})
#define F_SLICE(n, x) ((struct log_field){(n), LOG_F_SLICE, {.slice = (x)}})
#define F_ERR(x)      ((struct log_field){"error", LOG_F_ERR, {.err = (x)}})

void log_configure(enum log_level min_level, enum log_format format);
/* For the simulator and tests: gets every line instead of stderr (NULL: stderr again). */
void log_set_sink(void (*sink)(void *ctx, enum log_level level, const char *line, size_t len),
                  void *ctx);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

#define LOG_AT(level, event, ...)                                                                  \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct log_field log_fields_[] = {F_U64(NULL, 0), ##__VA_ARGS__};                \
            log_write((level), (event), log_fields_ + 1, ARRAY_COUNT(log_fields_) - 1);            \
        }                                                                                          \
    } while (0)
#define LOG_DEBUG(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event, ##__VA_ARGS__)
#define LOG_INFO(event, ...)  LOG_AT(LOG_LEVEL_INFO, event, ##__VA_ARGS__)
#define LOG_WARN(event, ...)  LOG_AT(LOG_LEVEL_WARN, event, ##__VA_ARGS__)
#define LOG_ERROR(event, ...) LOG_AT(LOG_LEVEL_ERROR, event, ##__VA_ARGS__)

#endif
