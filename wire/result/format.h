/* Numbers and times as MySQL's text protocol shows them. Each writes without a NUL and returns the
 * length; the buffer must hold FORMAT_MAX bytes. */
#ifndef SKEIN_WIRE_RESULT_FORMAT_H
#define SKEIN_WIRE_RESULT_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "sql/sql.h"

/* DBL_MAX with 30 decimals: sign, 309 digits, point, 30 digits. */
enum { FORMAT_MAX = 352, FORMAT_DECIMALS_ANY = 31 };

size_t format_u64(char *out, uint64_t v);
size_t format_i64(char *out, int64_t v);
/* decimals 31: the shortest text that reads back the same; otherwise that many decimals. */
size_t format_double(char *out, double v, uint8_t decimals);
/* A 4-byte float: six significant digits, or fixed decimals. */
size_t format_float(char *out, float v, uint8_t decimals);
size_t format_date(char *out, const struct sql_time *t);
size_t format_datetime(char *out, const struct sql_time *t);
size_t format_time(char *out, const struct sql_time *t);

#endif
