/* Dates and times.
 *
 * PHYS_TIME is an int64_t whose order is the order of the values:
 *   DATE, DATETIME   bit fields  year<<46 | month<<42 | day<<37 | hour<<32 | minute<<26 |
 * second<<20 | micro; DATE has zeros for the time of day, so both compare directly. Month and day
 * may be 0. TIMESTAMP        the same packing of the time in UTC; 0 is '0000-00-00 00:00:00'. It
 * becomes local time when it is cast to anything (also to text), with the time zone of the
 * cast_ctx. TIME             signed microseconds, within +-838:59:59.000000. YEAR is an unsigned
 * integer (0, 1901..2155), not PHYS_TIME.
 *
 * All functions are pure; ranges are checked only where the comment says so. */
#ifndef SKEIN_SQL_TYPES_TEMPORAL_H
#define SKEIN_SQL_TYPES_TEMPORAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "sql/types/type.h"

struct time_parts {
    uint32_t year;
    uint32_t month;
    uint32_t day;
    uint32_t hour; /* to 838 for TIME */
    uint32_t minute;
    uint32_t second;
    uint32_t micro;
    bool neg; /* TIME only */
};

#define TIME_MICROS_MAX (((838ll * 60 + 59) * 60 + 59) * 1000000)
/* Below every date: what a cast to TYPE_W_LOW_DATE makes of what is no date. */
#define TEMPORAL_LOWEST INT64_MIN
#define US_PER_SECOND   1000000ll
#define US_PER_HOUR     (3600ll * US_PER_SECOND)
#define US_PER_DAY      (86400ll * US_PER_SECOND)

static inline int64_t datetime_make(unsigned year, unsigned month, unsigned day, unsigned hour,
                                    unsigned minute, unsigned second, unsigned micro)
{
    return (int64_t)year << 46 | (int64_t)month << 42 | (int64_t)day << 37 | (int64_t)hour << 32 |
           (int64_t)minute << 26 | (int64_t)second << 20 | (int64_t)micro;
}
static inline int64_t datetime_pack(const struct time_parts *p)
{
    return datetime_make(p->year, p->month, p->day, p->hour, p->minute, p->second, p->micro);
}
static inline void datetime_unpack(int64_t v, struct time_parts *ret)
{
    ret->year = (uint32_t)(v >> 46);
    ret->month = (uint32_t)(v >> 42) & 15;
    ret->day = (uint32_t)(v >> 37) & 31;
    ret->hour = (uint32_t)(v >> 32) & 31;
    ret->minute = (uint32_t)(v >> 26) & 63;
    ret->second = (uint32_t)(v >> 20) & 63;
    ret->micro = (uint32_t)v & 0xfffff;
    ret->neg = false;
}
/* The date with the time of day cleared; the time of day as TIME. */
static inline int64_t datetime_date(int64_t v)
{
    return v & ~((1ll << 37) - 1);
}
int64_t datetime_time(int64_t v);
int64_t time_pack(const struct time_parts *p);
void time_unpack(int64_t v, struct time_parts *ret);

/* ---- calendar (proleptic Gregorian as MySQL's) ---- */

bool year_is_leap(unsigned year);
unsigned month_days(unsigned year, unsigned month); /* month 1..12 */
/* TO_DAYS(): day number since year 0; 0 for year, month and day 0. */
uint32_t date_to_days(unsigned year, unsigned month, unsigned day);
/* FROM_DAYS(): false (and 0000-00-00) outside 0001-01-01 .. 9999-12-31. */
bool date_from_days(int64_t days, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day);
unsigned date_weekday(uint32_t days, bool sunday_first); /* 0 = Monday, or 0 = Sunday */
/* WEEK() with MySQL's mode bits (1: Monday first, 2: year range 1-53, 4: first weekday); *ret_year
 * for YEARWEEK. */
unsigned date_week(const struct time_parts *p, unsigned mode, unsigned *ret_year);
/* Microseconds since 0000-01-01 of a valid date and back; back is false outside year 0..9999. */
int64_t datetime_to_micros(int64_t v);
bool datetime_from_micros(int64_t us, int64_t *ret);
/* Month 1..12, day within the month. */
bool date_is_real(const struct time_parts *p);

/* ---- text and numbers to temporal ---- */

/* Conditions, or-ed. */
enum temporal_cond {
    TEMPORAL_OK = 0,
    TEMPORAL_TRUNCATED =
        1, /* text went on after the value; with INVALID: it does not look like one at all */
    TEMPORAL_INVALID = 2, /* no value: NULL in expressions, zero when stored without strict mode */
    TEMPORAL_OUT_OF_RANGE = 4,  /* TIME was clipped to its range */
    TEMPORAL_ZERO_DATE = 8,     /* '0000-00-00' under NO_ZERO_DATE: INVALID is set too */
    TEMPORAL_ZERO_IN_DATE = 16, /* a month or day of 0 under NO_ZERO_IN_DATE: INVALID is set too */
    TEMPORAL_HAS_OFFSET = 32, /* text ended with an offset such as +02:00, given in ret_offset_s */
    TEMPORAL_DEPRECATED =
        64, /* a delimiter other than the standard one (warning 4095), see the note */
    TEMPORAL_SUPERFLUOUS = 128, /* a superfluous delimiter (warning 4096), see the note */
    TEMPORAL_NO_TIME = 256,     /* the text was a date only */
    TEMPORAL_IS_DATETIME = 512, /* TIME from text or a number that was a DATETIME */
    TEMPORAL_EMPTY =
        1024, /* time_parse: nothing there, or a number with an exponent; INVALID is set too */
};
/* Where a delimiter is deprecated, and how many digits the fraction of the second has. */
struct temporal_note {
    uint32_t position;
    char delimiter;
    char preferred; /* 0 for a superfluous one */
    uint8_t fraction;
};
/* What is acceptable; derived from sql_mode with temporal_flags(). */
enum temporal_flag {
    TEMPORAL_F_NO_ZERO_DATE = 1,
    TEMPORAL_F_NO_ZERO_IN_DATE = 2,
    TEMPORAL_F_INVALID_DATES = 4, /* 2024-02-31 */
    TEMPORAL_F_TRUNCATE = 8,      /* cut fractions instead of rounding */
    TEMPORAL_F_DATE_ONLY = 16,
};
unsigned temporal_flags(uint64_t sql_mode);

/* DATE/DATETIME text of all forms (delimited, compact, two-digit years, 'T', fractions, offsets).
 * Fractions are rounded to `decimals`. With TEMPORAL_HAS_OFFSET *ret is the time at that offset:
 * shift it by the caller's time zone. ret_note may be NULL. Returns conditions. */
unsigned datetime_parse(struct slice text, unsigned decimals, unsigned flags, int64_t *ret,
                        int32_t *ret_offset_s, struct temporal_note *ret_note);
/* TIME text ('-12:34:56.7', '1 10:00', '123456'). DATETIME text gives its time of day and
 * TEMPORAL_IS_DATETIME, with the whole in *ret_datetime (may be NULL), where TEMPORAL_HAS_OFFSET
 * matters as above. */
unsigned time_parse(struct slice text, unsigned decimals, unsigned flags, int64_t *ret,
                    int64_t *ret_datetime, int32_t *ret_offset_s, struct temporal_note *ret_note);
/* Numbers such as 20240131 or 240131123456, with nanoseconds of the fraction. */
unsigned datetime_from_number(int64_t number, uint32_t nanos, unsigned decimals, unsigned flags,
                              int64_t *ret);
unsigned time_from_number(int64_t number, uint32_t nanos, bool neg, unsigned decimals,
                          unsigned flags, int64_t *ret);
/* Checks zero parts and days of the month against the flags. */
unsigned datetime_check(int64_t v, unsigned flags);
/* To `decimals` fraction digits; false when the year would pass 9999 or TIME its range. */
bool datetime_round(int64_t v, unsigned decimals, bool truncate, int64_t *ret);
bool time_round(int64_t v, unsigned decimals, bool truncate, int64_t *ret);

/* ---- temporal to text and numbers ---- */

enum { TEMPORAL_TEXT_MAX = 32 };
/* Canonical text; returns its length. No NUL. */
unsigned date_to_text(int64_t v, char out[TEMPORAL_TEXT_MAX]);
unsigned datetime_to_text(int64_t v, unsigned decimals, char out[TEMPORAL_TEXT_MAX]);
unsigned time_to_text(int64_t v, unsigned decimals, char out[TEMPORAL_TEXT_MAX]);
/* 20240131 / 20240131123456 / -123456, without the fraction. */
int64_t date_to_number(int64_t v);
int64_t datetime_to_number(int64_t v);
int64_t time_to_number(int64_t v);

/* ---- INTERVAL ---- */

struct decimal;

enum interval_unit {
    INTERVAL_YEAR,
    INTERVAL_QUARTER,
    INTERVAL_MONTH,
    INTERVAL_WEEK,
    INTERVAL_DAY,
    INTERVAL_HOUR,
    INTERVAL_MINUTE,
    INTERVAL_SECOND,
    INTERVAL_MICROSECOND,
    INTERVAL_YEAR_MONTH,
    INTERVAL_DAY_HOUR,
    INTERVAL_DAY_MINUTE,
    INTERVAL_DAY_SECOND,
    INTERVAL_HOUR_MINUTE,
    INTERVAL_HOUR_SECOND,
    INTERVAL_MINUTE_SECOND,
    INTERVAL_DAY_MICROSECOND,
    INTERVAL_HOUR_MICROSECOND,
    INTERVAL_MINUTE_MICROSECOND,
    INTERVAL_SECOND_MICROSECOND,
    INTERVAL__COUNT,
};
struct interval {
    uint64_t year;
    uint64_t month;
    uint64_t day;
    uint64_t hour;
    uint64_t minute;
    uint64_t second;
    uint64_t micro;
    bool neg;
};
/* From a whole number (an unsigned one too large for int64 counts as the negative one of its bits,
 * as in MySQL), or text ("1:30", "-2 10:00:00.5"). False: no such interval. */
bool interval_from_int(int64_t v, enum interval_unit unit, struct interval *ret);
bool interval_from_text(struct slice text, enum interval_unit unit, struct interval *ret);
/* SECOND: with a fraction, of which six digits count. At most 18 digits stand before it. */
bool interval_from_seconds(const struct decimal *seconds, struct interval *ret);
/* Has the unit a part below the day / below the second? (decides the type of DATE + INTERVAL) */
bool interval_has_time(enum interval_unit unit);
bool interval_has_micro(enum interval_unit unit);
/* value + interval (subtract: - interval). False when the result leaves 0000..9999 (NULL with
 * warning 1441). A zero month or day with year/month units works as in MySQL; day and smaller units
 * on it give false. */
bool datetime_add_interval(int64_t v, const struct interval *iv, bool subtract,
                           enum interval_unit unit, int64_t *ret);
bool time_add_interval(int64_t v, const struct interval *iv, bool subtract, int64_t *ret);
/* TIMESTAMPDIFF(unit, a, b). */
int64_t datetime_diff(int64_t a, int64_t b, enum interval_unit unit);
/* EXTRACT(unit FROM v). */
int64_t temporal_extract(const struct time_parts *p, bool is_time, enum interval_unit unit);

/* ---- DATE_FORMAT, TIME_FORMAT, STR_TO_DATE ---- */

struct date_locale {
    const char *name; /* "en_US" */
    const char *months[12];
    const char *months_short[12];
    const char *days[7]; /* Monday first */
    const char *days_short[7];
};
const struct date_locale *date_locale_by_name(struct slice name); /* NULL when unknown */
const struct date_locale *date_locale_by_number(uint64_t number);
extern const struct date_locale *const date_locale_en_us;
/* Appends p formatted by a DATE_FORMAT pattern (utf8). is_time: p is a TIME. *ret_null is set when
 * a specifier has no value for p (the result is NULL). */
MUST_USE db_err temporal_format(const struct time_parts *p, bool is_time, struct slice pattern,
                                const struct date_locale *locale, struct buf *out, bool *ret_null);
/* STR_TO_DATE: parses text by a pattern. *ret_kind: TYPE_DATE, TYPE_TIME or TYPE_DATETIME as the
 * pattern's parts ask. False when the text does not match. Dates are not checked: see
 * datetime_check. */
bool temporal_parse_format(struct slice text, struct slice pattern, struct time_parts *ret_parts,
                           enum type_id *ret_kind, bool *ret_trailing);
/* What STR_TO_DATE's result type is for a constant pattern; *ret_decimals 0 or 6. */
enum type_id temporal_format_kind(struct slice pattern, unsigned *ret_decimals);

#endif
