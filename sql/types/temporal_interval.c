/* INTERVAL arithmetic, TIMESTAMPDIFF and EXTRACT. */
#include "sql/types/temporal.h"

#include <string.h>

#include "base/assert.h"
#include "sql/types/decimal.h"

/* Which parts text of a compound unit fills, largest first. */
struct unit_info {
    uint8_t first; /* enum part */
    uint8_t count;
};
enum part { PART_YEAR, PART_MONTH, PART_DAY, PART_HOUR, PART_MINUTE, PART_SECOND, PART_MICRO };

static const struct unit_info units[INTERVAL__COUNT] = {
    [INTERVAL_YEAR] = {PART_YEAR, 1},
    [INTERVAL_QUARTER] = {PART_MONTH, 1},
    [INTERVAL_MONTH] = {PART_MONTH, 1},
    [INTERVAL_WEEK] = {PART_DAY, 1},
    [INTERVAL_DAY] = {PART_DAY, 1},
    [INTERVAL_HOUR] = {PART_HOUR, 1},
    [INTERVAL_MINUTE] = {PART_MINUTE, 1},
    [INTERVAL_SECOND] = {PART_SECOND, 1},
    [INTERVAL_MICROSECOND] = {PART_MICRO, 1},
    [INTERVAL_YEAR_MONTH] = {PART_YEAR, 2},
    [INTERVAL_DAY_HOUR] = {PART_DAY, 2},
    [INTERVAL_DAY_MINUTE] = {PART_DAY, 3},
    [INTERVAL_DAY_SECOND] = {PART_DAY, 4},
    [INTERVAL_HOUR_MINUTE] = {PART_HOUR, 2},
    [INTERVAL_HOUR_SECOND] = {PART_HOUR, 3},
    [INTERVAL_MINUTE_SECOND] = {PART_MINUTE, 2},
    [INTERVAL_DAY_MICROSECOND] = {PART_DAY, 5},
    [INTERVAL_HOUR_MICROSECOND] = {PART_HOUR, 4},
    [INTERVAL_MINUTE_MICROSECOND] = {PART_MINUTE, 3},
    [INTERVAL_SECOND_MICROSECOND] = {PART_SECOND, 2},
};

static uint64_t *part_of(struct interval *iv, unsigned part)
{
    switch (part) {
    case PART_YEAR: return &iv->year;
    case PART_MONTH: return &iv->month;
    case PART_DAY: return &iv->day;
    case PART_HOUR: return &iv->hour;
    case PART_MINUTE: return &iv->minute;
    case PART_SECOND: return &iv->second;
    default: return &iv->micro;
    }
}

bool interval_has_time(enum interval_unit unit)
{
    return units[unit].first + units[unit].count > PART_HOUR;
}

bool interval_has_micro(enum interval_unit unit)
{
    return units[unit].first + units[unit].count > PART_MICRO;
}

static bool scale_unit(enum interval_unit unit, uint64_t *value)
{
    unsigned factor = unit == INTERVAL_QUARTER ? 3 : unit == INTERVAL_WEEK ? 7 : 1;
    return !__builtin_mul_overflow(*value, factor, value) && (factor == 1 || *value <= INT64_MAX);
}

bool interval_from_int(int64_t v, enum interval_unit unit, struct interval *ret)
{
    struct interval iv = {0};
    uint64_t magnitude = (uint64_t)v;
    if (v == INT64_MIN) {
        return false;
    }
    if (v < 0) {
        iv.neg = true;
        magnitude = -magnitude;
    }
    uint64_t *part;
    if (units[unit].count > 1) { /* a number is text too: it fills the last part */
        part = part_of(&iv, units[unit].first + units[unit].count - 1u);
    } else {
        part = part_of(&iv, units[unit].first);
        if (!scale_unit(unit, &magnitude)) {
            return false;
        }
    }
    *part = magnitude;
    *ret = iv;
    return true;
}

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

bool interval_from_text(struct slice text, enum interval_unit unit, struct interval *ret)
{
    const uint8_t *p = text.ptr;
    const uint8_t *end = p + text.len;
    uint64_t values[PART_MICRO + 1] = {0};
    unsigned digits = 0; /* of the last number */
    unsigned want = units[unit].count;
    struct interval iv = {0};
    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r'))) {
        p++;
    }
    if (p < end && *p == '-') {
        iv.neg = true;
        p++;
    }
    while (p < end && !is_digit(*p)) {
        p++;
    }
    unsigned found = 0;
    while (p < end && found < want) {
        uint64_t v = 0;
        digits = 0;
        for (; p < end && is_digit(*p); p++, digits++) {
            if (__builtin_mul_overflow(v, 10u, &v) ||
                __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v)) {
                return false;
            }
        }
        values[found++] = v;
        while (p < end && !is_digit(*p)) {
            p++;
        }
    }
    if (want > 1 && p < end) {
        return false; /* more numbers than the unit has parts */
    }
    if (interval_has_micro(unit) && want > 1 && found > 0) {
        for (; digits < 6; digits++) { /* "1.5": a fraction, not five microseconds */
            values[found - 1] *= 10;
        }
    }
    /* Fewer numbers than parts: they are the last ones. */
    for (unsigned i = 0; i < found; i++) {
        *part_of(&iv, units[unit].first + want - found + i) = values[i];
    }
    if (want == 1 && !scale_unit(unit, part_of(&iv, units[unit].first))) {
        return false;
    }
    *ret = iv;
    return true;
}

bool interval_from_seconds(const struct decimal *seconds, struct interval *ret)
{
    struct decimal million, cut, whole, rest;
    int64_t second, micro;
    decimal_from_int(US_PER_SECOND, &million);
    (void)decimal_round(seconds, 0, DECIMAL_TRUNCATE, &whole);
    (void)decimal_sub(seconds, &whole, &rest);
    (void)decimal_round(&rest, TIME_DECIMALS_MAX, DECIMAL_TRUNCATE, &cut);
    (void)decimal_mul(&cut, &million, &rest);
    if (decimal_to_int(&whole, &second) != DECIMAL_OK ||
        decimal_to_int(&rest, &micro) != DECIMAL_OK) {
        return false;
    }
    *ret = (struct interval){.second = second < 0 ? -(uint64_t)second : (uint64_t)second,
                             .micro = (uint64_t)(micro < 0 ? -micro : micro),
                             .neg = second < 0 || micro < 0};
    return true;
}

/* Days and smaller parts in microseconds; false when absurd. */
static bool interval_micros(const struct interval *iv, int64_t *ret)
{
    __extension__ typedef __int128 i128;
    i128 us = (i128)iv->day * 86400 + (i128)iv->hour * 3600 + (i128)iv->minute * 60 + iv->second;
    if (us > (i128)10000 * 366 * 86400) {
        return false;
    }
    us = us * 1000000 + iv->micro;
    if (us > (i128)10000 * 366 * US_PER_DAY) {
        return false;
    }
    *ret = (int64_t)us;
    return true;
}

static bool add_months(struct time_parts *p, const struct interval *iv, bool neg)
{
    if (iv->year > 10000 || iv->month > 120000) {
        return false;
    }
    int64_t delta = (int64_t)(iv->year * 12 + iv->month);
    int64_t months = (int64_t)p->year * 12 + (int64_t)p->month - 1 + (neg ? -delta : delta);
    if (p->month == 0 && iv->month == 0) { /* only years: the zero month stays */
        int64_t year = (int64_t)p->year + (neg ? -(int64_t)iv->year : (int64_t)iv->year);
        if (year < 0 || year > 9999) {
            return false;
        }
        p->year = (uint32_t)year;
        return true;
    }
    if (months < 0 || months >= 120000) {
        return false;
    }
    p->year = (uint32_t)(months / 12);
    p->month = (uint32_t)(months % 12) + 1;
    unsigned last = month_days(p->year, p->month);
    if (p->day > last) {
        p->day = last;
    }
    return true;
}

bool datetime_add_interval(int64_t v, const struct interval *iv, bool subtract,
                           enum interval_unit unit, int64_t *ret)
{
    struct time_parts p;
    datetime_unpack(v, &p);
    bool neg = iv->neg != subtract;
    if (units[unit].first <= PART_MONTH) {
        if (!add_months(&p, iv, neg)) {
            return false;
        }
        *ret = datetime_pack(&p);
        return true;
    }
    if (p.month == 0 || p.day == 0) {
        return false;
    }
    int64_t us;
    if (!interval_micros(iv, &us)) {
        return false;
    }
    int64_t from = datetime_to_micros(v);
    return datetime_from_micros(neg ? from - us : from + us, ret);
}

bool time_add_interval(int64_t v, const struct interval *iv, bool subtract, int64_t *ret)
{
    int64_t us;
    if (!interval_micros(iv, &us)) {
        return false;
    }
    v += iv->neg != subtract ? -us : us;
    if (v < -TIME_MICROS_MAX || v > TIME_MICROS_MAX) {
        return false;
    }
    *ret = v;
    return true;
}

static int64_t months_between(int64_t from, int64_t to)
{
    struct time_parts a;
    struct time_parts b;
    datetime_unpack(from, &a);
    datetime_unpack(to, &b);
    int64_t months = ((int64_t)b.year * 12 + b.month) - ((int64_t)a.year * 12 + a.month);
    /* A month that is not over does not count: compare what lies below the month. */
    int64_t mask = (1ll << 42) - 1;
    return (to & mask) < (from & mask) ? months - 1 : months;
}

int64_t datetime_diff(int64_t a, int64_t b, enum interval_unit unit)
{
    bool neg = a > b;
    int64_t from = neg ? b : a;
    int64_t to = neg ? a : b;
    int64_t n;
    switch ((int)unit) {
    case INTERVAL_YEAR: n = months_between(from, to) / 12; break;
    case INTERVAL_QUARTER: n = months_between(from, to) / 3; break;
    case INTERVAL_MONTH: n = months_between(from, to); break;
    default: {
        int64_t us = datetime_to_micros(to) - datetime_to_micros(from);
        switch ((int)unit) {
        case INTERVAL_WEEK: n = us / (7 * US_PER_DAY); break;
        case INTERVAL_DAY: n = us / US_PER_DAY; break;
        case INTERVAL_HOUR: n = us / (3600 * US_PER_SECOND); break;
        case INTERVAL_MINUTE: n = us / (60 * US_PER_SECOND); break;
        case INTERVAL_SECOND: n = us / US_PER_SECOND; break;
        default: n = us; break;
        }
    }
    }
    return neg ? -n : n;
}

int64_t temporal_extract(const struct time_parts *p, bool is_time, enum interval_unit unit)
{
    int64_t sign = p->neg ? -1 : 1;
    int64_t hour = p->hour;
    int64_t day = p->day;
    if (is_time && unit != INTERVAL_HOUR && unit != INTERVAL_HOUR_MINUTE &&
        unit != INTERVAL_HOUR_SECOND && unit != INTERVAL_HOUR_MICROSECOND) {
        day = 0;
    }
    int64_t hms = hour * 10000 + p->minute * 100 + p->second;
    switch (unit) {
    case INTERVAL_YEAR: return p->year;
    case INTERVAL_QUARTER: return (p->month + 2) / 3;
    case INTERVAL_MONTH: return p->month;
    case INTERVAL_WEEK: {
        unsigned year;
        return date_week(p, 0, &year);
    }
    case INTERVAL_DAY: return day;
    case INTERVAL_HOUR: return sign * hour;
    case INTERVAL_MINUTE: return sign * p->minute;
    case INTERVAL_SECOND: return sign * p->second;
    case INTERVAL_MICROSECOND: return sign * p->micro;
    case INTERVAL_YEAR_MONTH: return (int64_t)p->year * 100 + p->month;
    case INTERVAL_DAY_HOUR: return sign * (day * 100 + hour);
    case INTERVAL_DAY_MINUTE: return sign * (day * 10000 + hour * 100 + p->minute);
    case INTERVAL_DAY_SECOND: return sign * (day * 1000000 + hms);
    case INTERVAL_HOUR_MINUTE: return sign * (hour * 100 + p->minute);
    case INTERVAL_HOUR_SECOND: return sign * hms;
    case INTERVAL_MINUTE_SECOND: return sign * ((int64_t)p->minute * 100 + p->second);
    case INTERVAL_DAY_MICROSECOND: return sign * ((day * 1000000 + hms) * 1000000 + p->micro);
    case INTERVAL_HOUR_MICROSECOND: return sign * (hms * 1000000 + p->micro);
    case INTERVAL_MINUTE_MICROSECOND:
        return sign * (((int64_t)p->minute * 100 + p->second) * 1000000 + p->micro);
    case INTERVAL_SECOND_MICROSECOND: return sign * ((int64_t)p->second * 1000000 + p->micro);
    case INTERVAL__COUNT: break;
    }
    return 0;
}
