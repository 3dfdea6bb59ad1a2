/* Time zones: SYSTEM, offsets such as '+05:30', and named zones (ICU's tables behind this
 * interface).
 *
 * A struct timezone lives for the whole process, is immutable and may be used from any thread. */
#ifndef SKEIN_SQL_TYPES_TIMEZONE_H
#define SKEIN_SQL_TYPES_TIMEZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

struct timezone;

/* '+hh:mm' from -13:59 to +14:00, SYSTEM, UTC, 'Europe/Berlin'. Errors: ERR_SQL 1298 (unknown time
 * zone), ERR_NOMEM. */
MUST_USE db_err timezone_find(struct slice name, struct diag *diag, const struct timezone **ret_tz);
const struct timezone *timezone_utc(void);
/* The machine's: TZ (a zone's name, or a POSIX rule without summer time), else where /etc/localtime
 * points; UTC if neither says. */
const struct timezone *timezone_system(void);
/* What the machine calls its zone at the time of the first call, such as CEST: @@system_time_zone.
 * Static. */
const char *timezone_system_abbreviation(void);
/* As @@time_zone shows it. */
const char *timezone_name(const struct timezone *tz);
/* Offset from UTC in seconds at that moment. */
int32_t timezone_offset_at(const struct timezone *tz, int64_t unix_seconds);

/* Seconds since 1970 of a packed local DATETIME and its microseconds. *ret_gap (may be NULL) is set
 * when the local time does not exist (daylight saving): the moment of the change is given. A time
 * that exists twice gives the first. False when the date has zero parts. The TIMESTAMP range is not
 * checked. */
bool timezone_to_unix(const struct timezone *tz, int64_t local, int64_t *ret_seconds,
                      uint32_t *ret_micro, bool *ret_gap);
/* The packed local DATETIME of a moment; false outside year 0..9999. */
bool timezone_from_unix(const struct timezone *tz, int64_t unix_seconds, uint32_t micro,
                        int64_t *ret_local);

/* Packed local DATETIME <-> packed UTC as TIMESTAMP columns hold it. 0 stays 0. False when it is
 * outside '1970-01-01 00:00:01' .. '2038-01-19 03:14:07.999999' UTC or has zero parts. */
bool timestamp_from_local(const struct timezone *tz, int64_t local, int64_t *ret_utc,
                          bool *ret_gap);
/* The TIMESTAMP that is a local date, or the nearest one: the date may be outside the range, have
 * zero parts or a day that its month does not have. Returns how what is found compares with it. */
int timestamp_nearest(const struct timezone *tz, int64_t local, int64_t *ret_utc);
int64_t timestamp_to_local(const struct timezone *tz, int64_t utc);

#endif
