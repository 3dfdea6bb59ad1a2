/* The calendar, packing, checks, rounding and canonical text of dates and times. */
#include "sql/types/temporal.h"

#include <string.h>

#include "base/assert.h"
#include "sql/types/cast.h"
#include "sql/types/sql_mode.h"

static const uint8_t days_in_month[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
static const uint32_t pow10_table[10] = {1,      10,      100,      1000,      10000,
                                         100000, 1000000, 10000000, 100000000, 1000000000};

bool year_is_leap(unsigned year)
{
    return (year & 3) == 0 && (year % 100 != 0 || (year % 400 == 0 && year != 0));
}

unsigned month_days(unsigned year, unsigned month)
{
    return days_in_month[month] + (month == 2 && year_is_leap(year));
}

/* Years begin in March here, so that the leap day is the last of its year and months follow one
 * formula. Day 60 is 0000-03-01; January and February of year 0 (which MySQL takes for no leap
 * year) stand before it. */
enum { DAYS_BEFORE_MARCH_0 = 60, DAYS_400_YEARS = 146097 };

uint32_t date_to_days(unsigned year, unsigned month, unsigned day)
{
    if (year == 0 && month <= 2) {
        return month == 0 ? 0 : 31 * (month - 1) + day;
    }
    unsigned y = month <= 2 ? year - 1 : year;
    unsigned m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 + DAYS_BEFORE_MARCH_0;
}

bool date_from_days(int64_t days, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    *ret_year = *ret_month = *ret_day = 0;
    if (days < date_to_days(1, 1, 1) || days > date_to_days(9999, 12, 31)) {
        return false;
    }
    uint32_t z = (uint32_t)days - DAYS_BEFORE_MARCH_0;
    uint32_t era = z / DAYS_400_YEARS;
    uint32_t doe = z % DAYS_400_YEARS;
    uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint32_t m = (5 * doy + 2) / 153;
    *ret_day = doy - (153 * m + 2) / 5 + 1;
    *ret_month = m < 10 ? m + 3 : m - 9;
    *ret_year = era * 400 + yoe + (m >= 10);
    return true;
}

unsigned date_weekday(uint32_t days, bool sunday_first)
{
    return (days + 5u + (sunday_first ? 1u : 0u)) % 7;
}

/* The day on which week 1 of the year begins. by_majority: week 1 has four days of the year at
 * least; else it begins with the first Monday (or Sunday). */
static int64_t first_week(unsigned year, bool monday_first, bool by_majority)
{
    int64_t january = date_to_days(year, 1, 1);
    int64_t weekday = date_weekday((uint32_t)january, !monday_first);
    if (by_majority ? weekday <= 3 : weekday == 0) {
        return january - weekday;
    }
    return january - weekday + 7;
}

/* The year before 0 has 365 days. */
static int64_t week_of_year_minus_one(bool monday_first, bool by_majority)
{
    enum { DAYS = 365, WHOLE_WEEKS = 53 * 7 };
    int64_t january = date_to_days(0, 1, 1);
    int64_t weekday = (date_weekday((uint32_t)january, !monday_first) + WHOLE_WEEKS - DAYS) % 7;
    bool same = by_majority ? weekday <= 3 : weekday == 0;
    return january - DAYS - weekday + (same ? 0 : 7);
}

/* Does the year's first day lie in its week 1? */
static bool begins_week(unsigned year, bool monday_first, bool by_majority)
{
    return first_week(year, monday_first, by_majority) <= date_to_days(year, 1, 1);
}

/* MYSQL: in unsigned numbers, that have no days before the year: what is before it comes after all
 * of its weeks. */
static unsigned week_without_month(unsigned year, uint32_t days, bool own_year, bool next_begins,
                                   unsigned *ret_year)
{
    if (own_year && days >= 52u * 7 && next_begins) {
        *ret_year = year + 1;
        return 1;
    }
    *ret_year = year;
    return days / 7 + 1;
}

unsigned date_week(const struct time_parts *p, unsigned mode, unsigned *ret_year)
{
    bool monday_first = (mode & 1) != 0;
    bool own_year =
        (mode & 2) != 0; /* days before week 1 belong to the last week of the year before */
    bool by_majority = ((mode & 4) != 0) != monday_first;
    int64_t today = date_to_days(p->year, p->month, p->day);
    unsigned year = p->year;
    int64_t start = first_week(year, monday_first, by_majority);
    if (p->month == 0) {
        return week_without_month(year, (uint32_t)(today - start), own_year,
                                  begins_week(year + 1, monday_first, by_majority), ret_year);
    }
    if (p->day == 0 && begins_week(year, monday_first, by_majority)) {
        own_year = own_year || p->month == 1; /* MYSQL: not so when the year begins with week 0 */
    }
    if (today < start) {
        if (!own_year) {
            *ret_year = year;
            return 0;
        }
        start = year == 0 ? week_of_year_minus_one(monday_first, by_majority)
                          : first_week(year - 1, monday_first, by_majority);
        year--; /* MYSQL: UINT_MAX before year 0 */
    } else if (own_year && today >= first_week(year + 1, monday_first, by_majority)) {
        *ret_year = year + 1;
        return 1;
    }
    *ret_year = year;
    return today < start ? 0 : (unsigned)(today - start) / 7 + 1;
}

int64_t datetime_time(int64_t v)
{
    struct time_parts p;
    datetime_unpack(v, &p);
    return time_pack(&p);
}

int64_t time_pack(const struct time_parts *p)
{
    int64_t us = (((int64_t)p->hour * 60 + p->minute) * 60 + p->second) * US_PER_SECOND + p->micro;
    return p->neg ? -us : us;
}

void time_unpack(int64_t v, struct time_parts *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->neg = v < 0;
    uint64_t us = v < 0 ? -(uint64_t)v : (uint64_t)v;
    ret->micro = (uint32_t)(us % 1000000);
    us /= 1000000;
    ret->second = (uint32_t)(us % 60);
    us /= 60;
    ret->minute = (uint32_t)(us % 60);
    ret->hour = (uint32_t)(us / 60);
}

int64_t datetime_to_micros(int64_t v)
{
    struct time_parts p;
    datetime_unpack(v, &p);
    int64_t days = date_to_days(p.year, p.month, p.day);
    return days * US_PER_DAY + time_pack(&p);
}

bool datetime_from_micros(int64_t us, int64_t *ret)
{
    int64_t days = us / US_PER_DAY;
    int64_t rest = us % US_PER_DAY;
    if (rest < 0) {
        rest += US_PER_DAY;
        days--;
    }
    struct time_parts p;
    time_unpack(rest, &p);
    unsigned year;
    unsigned month;
    unsigned day;
    if (days >= 1 &&
        days < date_to_days(1, 1, 1)) { /* year 0: FROM_DAYS does not know it, arithmetic does */
        year = 0;
        month = 1;
        day = (unsigned)days;
        while (day > days_in_month[month]) {
            day -= days_in_month[month++];
        }
    } else if (!date_from_days(days, &year, &month, &day)) {
        return false;
    }
    *ret = datetime_make(year, month, day, p.hour, p.minute, p.second, p.micro);
    return true;
}

bool date_is_real(const struct time_parts *p)
{
    return p->month >= 1 && p->month <= 12 && p->day >= 1 &&
           p->day <= month_days(p->year, p->month);
}

unsigned temporal_flags(uint64_t sql_mode)
{
    unsigned flags = 0;
    flags |= (sql_mode & SQL_MODE_NO_ZERO_DATE) != 0 ? TEMPORAL_F_NO_ZERO_DATE : 0;
    flags |= (sql_mode & SQL_MODE_NO_ZERO_IN_DATE) != 0 ? TEMPORAL_F_NO_ZERO_IN_DATE : 0;
    flags |= (sql_mode & SQL_MODE_ALLOW_INVALID_DATES) != 0 ? TEMPORAL_F_INVALID_DATES : 0;
    flags |= (sql_mode & SQL_MODE_TIME_TRUNCATE_FRACTIONAL) != 0 ? TEMPORAL_F_TRUNCATE : 0;
    return flags;
}

unsigned datetime_check(int64_t v, unsigned flags)
{
    struct time_parts p;
    datetime_unpack(v, &p);
    if (p.year == 0 && p.month == 0 && p.day == 0) {
        /* A date of zeros with a time of day is no "zero date", but has zeros in it. */
        if (v != 0) {
            return (flags & TEMPORAL_F_NO_ZERO_IN_DATE) != 0
                       ? TEMPORAL_ZERO_IN_DATE | TEMPORAL_INVALID
                       : TEMPORAL_OK;
        }
        return (flags & TEMPORAL_F_NO_ZERO_DATE) != 0 ? TEMPORAL_ZERO_DATE | TEMPORAL_INVALID
                                                      : TEMPORAL_OK;
    }
    if (p.month == 0 || p.day == 0) {
        return (flags & TEMPORAL_F_NO_ZERO_IN_DATE) != 0 ? TEMPORAL_ZERO_IN_DATE | TEMPORAL_INVALID
                                                         : TEMPORAL_OK;
    }
    if ((flags & TEMPORAL_F_INVALID_DATES) == 0 && p.day > month_days(p.year, p.month)) {
        return TEMPORAL_INVALID;
    }
    return TEMPORAL_OK;
}

bool datetime_round(int64_t v, unsigned decimals, bool truncate, int64_t *ret)
{
    if (decimals >= 6) {
        *ret = v;
        return true;
    }
    uint32_t unit = pow10_table[6 - decimals];
    uint32_t micro = (uint32_t)v & 0xfffff;
    uint32_t rest = micro % unit;
    v -= rest;
    if (truncate || rest * 2 < unit) {
        *ret = v;
        return true;
    }
    if (micro - rest + unit < 1000000) {
        *ret = v + unit;
        return true;
    }
    struct time_parts p;
    datetime_unpack(v, &p);
    p.micro = 0;
    if (p.month == 0 || p.day == 0) { /* no calendar to carry into: only within the day */
        int64_t us = time_pack(&p) + US_PER_SECOND;
        if (us >= US_PER_DAY) {
            return false;
        }
        struct time_parts t;
        time_unpack(us, &t);
        *ret = datetime_make(p.year, p.month, p.day, t.hour, t.minute, t.second, 0);
        return true;
    }
    return datetime_from_micros(datetime_to_micros(datetime_pack(&p)) + US_PER_SECOND, ret);
}

bool time_round(int64_t v, unsigned decimals, bool truncate, int64_t *ret)
{
    if (decimals < 6) {
        int64_t unit = (int64_t)pow10_table[6 - decimals];
        int64_t rest = v % unit;
        v -= rest;
        if (!truncate && (rest < 0 ? -rest : rest) * 2 >= unit) {
            v += rest < 0 ? -unit : unit;
        }
    }
    *ret = v;
    return v >= -TIME_MICROS_MAX && v <= TIME_MICROS_MAX;
}

static char *put2(char *o, unsigned v)
{
    o[0] = (char)('0' + v / 10 % 10);
    o[1] = (char)('0' + v % 10);
    return o + 2;
}

static char *put_date(char *o, const struct time_parts *p)
{
    o = put2(o, p->year / 100);
    o = put2(o, p->year % 100);
    *o++ = '-';
    o = put2(o, p->month);
    *o++ = '-';
    return put2(o, p->day);
}

static char *put_time(char *o, const struct time_parts *p, unsigned decimals)
{
    if (p->hour >= 100) {
        *o++ = (char)('0' + p->hour / 100);
    }
    o = put2(o, p->hour % 100);
    *o++ = ':';
    o = put2(o, p->minute);
    *o++ = ':';
    o = put2(o, p->second);
    if (decimals != 0) {
        *o++ = '.';
        uint32_t micro = p->micro;
        for (unsigned i = 0; i < decimals; i++) {
            *o++ = (char)('0' + micro / pow10_table[5 - i] % 10);
        }
    }
    return o;
}

unsigned date_to_text(int64_t v, char out[TEMPORAL_TEXT_MAX])
{
    struct time_parts p;
    datetime_unpack(v, &p);
    return (unsigned)(put_date(out, &p) - out);
}

unsigned datetime_to_text(int64_t v, unsigned decimals, char out[TEMPORAL_TEXT_MAX])
{
    struct time_parts p;
    datetime_unpack(v, &p);
    char *o = put_date(out, &p);
    *o++ = ' ';
    return (unsigned)(put_time(o, &p, decimals > 6 ? 6 : decimals) - out);
}

unsigned time_to_text(int64_t v, unsigned decimals, char out[TEMPORAL_TEXT_MAX])
{
    struct time_parts p;
    time_unpack(v, &p);
    char *o = out;
    if (p.neg) {
        *o++ = '-';
    }
    return (unsigned)(put_time(o, &p, decimals > 6 ? 6 : decimals) - out);
}

int64_t date_to_number(int64_t v)
{
    struct time_parts p;
    datetime_unpack(v, &p);
    return (int64_t)p.year * 10000 + p.month * 100 + p.day;
}

int64_t datetime_to_number(int64_t v)
{
    struct time_parts p;
    datetime_unpack(v, &p);
    return date_to_number(v) * 1000000 + p.hour * 10000 + p.minute * 100 + p.second;
}

int64_t time_to_number(int64_t v)
{
    struct time_parts p;
    time_unpack(v, &p);
    int64_t n = (int64_t)p.hour * 10000 + p.minute * 100 + p.second;
    return p.neg ? -n : n;
}
