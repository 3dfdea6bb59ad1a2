/* STR_TO_DATE: reading text by a pattern. */
#include "sql/types/temporal.h"

#include <string.h>

struct parse {
    const uint8_t *p;
    const uint8_t *end;
    struct time_parts t;
    bool has_date;
    bool has_time;
    bool half; /* %p was seen */
    bool pm;
    bool hour12;
    int weekday; /* 1 = Monday .. 7, 0 = none */
    int yearday; /* 0 = none */
    int week;    /* -1 = none */
    bool week_sunday_first;
    bool week_own_year; /* %V %v with %X %x */
    int week_year;
};

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

static bool take_number(struct parse *s, unsigned width, uint32_t *ret, unsigned *ret_digits)
{
    uint32_t v = 0;
    unsigned n = 0;
    for (; n < width && s->p < s->end && is_digit(*s->p); n++, s->p++) {
        v = v * 10 + (uint32_t)(*s->p - '0');
    }
    *ret = v;
    *ret_digits = n;
    return n > 0;
}

/* Matches one of the names, ignoring case; returns its number from 1, 0 for none. */
static int take_name(struct parse *s, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        size_t len = strlen(names[i]);
        if ((size_t)(s->end - s->p) >= len &&
            slice_eq_nocase(slice_of(s->p, len), slice_str(names[i]))) {
            s->p += len;
            return i + 1;
        }
    }
    return 0;
}

static bool take_year(struct parse *s, char c, uint32_t *ret)
{
    unsigned digits;
    if (!take_number(s, c == 'y' ? 2 : 4, ret, &digits)) {
        return false;
    }
    if (c == 'y' || digits <= 2) {
        *ret += *ret < 70 ? 2000 : 1900;
    }
    return true;
}

static bool take_fraction(struct parse *s)
{
    unsigned digits;
    if (!take_number(s, 6, &s->t.micro, &digits)) {
        return false;
    }
    for (; digits < 6; digits++) {
        s->t.micro *= 10;
    }
    return true;
}

static bool parse_date_part(struct parse *s, char c, bool *ret_known)
{
    const struct date_locale *loc = date_locale_en_us;
    unsigned digits;
    uint32_t v;
    int name;
    s->has_date = true;
    switch (c) {
    case 'Y':
    case 'y': return take_year(s, c, &s->t.year);
    case 'm':
    case 'c': return take_number(s, 2, &s->t.month, &digits);
    case 'M':
    case 'b':
        name = take_name(s, c == 'M' ? loc->months : loc->months_short, 12);
        s->t.month = (uint32_t)name;
        return name != 0;
    case 'd':
    case 'e': return take_number(s, 2, &s->t.day, &digits);
    case 'D':
        if (!take_number(s, 2, &s->t.day, &digits)) {
            return false;
        }
        s->p += s->end - s->p < 2 ? s->end - s->p : 2; /* st, nd, rd, th */
        return true;
    case 'W':
    case 'a': return (s->weekday = take_name(s, c == 'W' ? loc->days : loc->days_short, 7)) != 0;
    case 'w':
        if (!take_number(s, 1, &v, &digits) || v >= 7) {
            return false;
        }
        s->weekday = v == 0 ? 7 : (int)v;
        return true;
    case 'j':
        if (!take_number(s, 3, &v, &digits)) {
            return false;
        }
        s->yearday = (int)v;
        return true;
    case 'U':
    case 'u':
    case 'V':
    case 'v':
        s->week_sunday_first = c == 'U' || c == 'V';
        s->week_own_year = c == 'V' || c == 'v';
        if (!take_number(s, 2, &v, &digits) || v > 53 || (s->week_own_year && v == 0)) {
            return false;
        }
        s->week = (int)v;
        return true;
    case 'X':
    case 'x':
        if (!take_number(s, 4, &v, &digits)) {
            return false;
        }
        s->week_year = (int)v;
        return true;
    default: *ret_known = false; return true;
    }
}

static bool parse_clock(struct parse *s, bool hour12)
{
    unsigned digits;
    uint32_t *parts[3] = {&s->t.hour, &s->t.minute, &s->t.second};
    for (int i = 0; i < 3; i++) {
        if (i != 0) {
            if (s->p >= s->end) {
                return true;
            }
            if (*s->p != ':') {
                return false;
            }
            s->p++;
        }
        if (!take_number(s, 2, parts[i], &digits)) {
            return false;
        }
    }
    s->hour12 |= hour12;
    return true;
}

static bool parse_half(struct parse *s)
{
    static const char *const halves[] = {"AM", "PM"};
    int name = take_name(s, halves, 2);
    s->half = name != 0;
    s->pm = name == 2;
    return name != 0;
}

static void skip_spaces(struct parse *s)
{
    while (s->p < s->end && *s->p == ' ') {
        s->p++;
    }
}

static bool parse_time_part(struct parse *s, char c, bool *ret_known)
{
    unsigned digits;
    s->has_time = true;
    switch (c) {
    case 'H':
    case 'k': return take_number(s, 2, &s->t.hour, &digits);
    case 'h':
    case 'I':
    case 'l': s->hour12 = true; return take_number(s, 2, &s->t.hour, &digits);
    case 'i': return take_number(s, 2, &s->t.minute, &digits);
    case 'S':
    case 's': return take_number(s, 2, &s->t.second, &digits);
    case 'f': return take_fraction(s);
    case 'p': return parse_half(s);
    case 'T': return parse_clock(s, false);
    case 'r':
        if (!parse_clock(s, true)) {
            return false;
        }
        skip_spaces(s);
        return parse_half(s);
    default: *ret_known = false; return true;
    }
}

/* '%.' punctuation, '%@' letters, '%#' digits. */
static bool skip_class(struct parse *s, char c, bool *ret_known)
{
    for (;;) {
        if (s->p >= s->end) {
            return true;
        }
        uint8_t ch = *s->p;
        uint8_t low = ch | 0x20;
        bool letter = low >= 'a' && low <= 'z';
        bool in;
        switch (c) {
        case '#': in = is_digit(ch); break;
        case '@': in = letter; break;
        case '.': in = ch > ' ' && ch < 0x7f && !is_digit(ch) && !letter; break;
        default: *ret_known = false; return true;
        }
        if (!in) {
            return true;
        }
        s->p++;
    }
}

static bool parse_pattern(struct parse *s, struct slice pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        skip_spaces(s);
        if (s->p >= s->end) {
            /* The text may end before the pattern; what is missing stays zero. */
            for (; i + 1 < pattern.len; i++) {
                if (pattern.ptr[i] == '%') {
                    char c = (char)pattern.ptr[++i];
                    s->has_time |= strchr("HkhIliSsfpTr", c) != NULL;
                    s->has_date |= strchr("YymcMbdeDWawjUuVvXx", c) != NULL;
                }
            }
            return true;
        }
        char c = (char)pattern.ptr[i];
        if (c != '%' || i + 1 == pattern.len) {
            if (c == ' ') {
                continue;
            }
            if ((char)*s->p != c) {
                return false;
            }
            s->p++;
            continue;
        }
        c = (char)pattern.ptr[++i];
        bool known = true;
        bool ok;
        if (strchr("HkhIliSsfpTr", c) != NULL) {
            ok = parse_time_part(s, c, &known);
        } else if (strchr("YymcMbdeDWawjUuVvXx", c) != NULL) {
            ok = parse_date_part(s, c, &known);
        } else {
            ok = skip_class(s, c, &known);
        }
        if (!ok || !known) {
            return false;
        }
    }
    return true;
}

/* Fills month and day from the day of the year or from week and weekday. */
static bool settle_date(struct parse *s)
{
    int64_t days = -1;
    if (s->yearday > 0) {
        days = (int64_t)date_to_days(s->t.year, 1, 1) + s->yearday - 1;
    } else if (s->week >= 0 && s->weekday != 0) {
        if (s->week_own_year ? s->week_year == 0 : s->week_year != 0) {
            return false;
        }
        unsigned year = s->week_own_year ? (unsigned)s->week_year : s->t.year;
        int64_t january = date_to_days(year, 1, 1);
        int64_t first = date_weekday((uint32_t)january, s->week_sunday_first);
        int64_t start; /* of week 1 */
        if (s->week_sunday_first) {
            start = january + (first == 0 ? 0 : 7 - first);
            days = start + (s->week - 1) * 7 + s->weekday % 7;
        } else {
            start = january + (first <= 3 ? -first : 7 - first);
            days = start + (s->week - 1) * 7 + (s->weekday - 1);
        }
    }
    if (days >= 0) {
        unsigned year;
        unsigned month;
        unsigned day;
        if (!date_from_days(days, &year, &month, &day)) {
            return false;
        }
        s->t.year = year;
        s->t.month = month;
        s->t.day = day;
    }
    return s->t.month <= 12 && s->t.day <= 31;
}

static enum type_id kind_of(bool has_date, bool has_time)
{
    return has_date && has_time ? TYPE_DATETIME : has_time ? TYPE_TIME : TYPE_DATE;
}

bool temporal_parse_format(struct slice text, struct slice pattern, struct time_parts *ret_parts,
                           enum type_id *ret_kind, bool *ret_trailing)
{
    struct parse s = {.p = text.ptr, .end = text.ptr + text.len, .week = -1};
    if (!parse_pattern(&s, pattern)) {
        return false;
    }
    if (s.half || s.hour12) {
        if (s.t.hour > 12 || s.t.hour < 1) {
            return false;
        }
        s.t.hour = s.t.hour % 12 + (s.pm ? 12 : 0);
    }
    if (!settle_date(&s) || s.t.hour > 23 || s.t.minute > 59 || s.t.second > 59) {
        return false;
    }
    skip_spaces(&s);
    *ret_trailing = s.p < s.end;
    *ret_parts = s.t;
    *ret_kind = kind_of(s.has_date, s.has_time);
    return true;
}

enum type_id temporal_format_kind(struct slice pattern, unsigned *ret_decimals)
{
    bool has_date = false;
    bool has_time = false;
    *ret_decimals = 0;
    for (size_t i = 0; i + 1 < pattern.len; i++) {
        if (pattern.ptr[i] == '%') {
            char c = (char)pattern.ptr[++i];
            has_time |= strchr("HkhIliSsfpTr", c) != NULL;
            has_date |= strchr("YymcMbdeDWawjUuVvXx", c) != NULL;
            if (c == 'f') {
                *ret_decimals = 6;
            }
        }
    }
    return kind_of(has_date, has_time);
}
