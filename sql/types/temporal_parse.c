/* Text and numbers to dates and times: MySQL's lenient grammar.
 *
 * DATETIME text is either compact (digits up to its end or its first point, perhaps with a 'T':
 * their number decides whether the year has two or four digits, the other fields have two;
 * punctuation may stand between them all the same, so that the hour may come behind a point) or
 * delimited (fields of any length, any punctuation between them, a space only between date and
 * time). Three fields at least; what follows the last field and is not a space is reported as
 * truncated. TIME text of 12 or more characters that reads as a DATETIME with a time is one; else
 * it is [days ]hours:minutes[:seconds], or a number of the form HHMMSS. */
#include "sql/types/temporal.h"

#include <string.h>

#include "base/assert.h"

enum { FIELDS = 7 };

struct scan {
    const uint8_t *begin;
    const uint8_t *p;
    const uint8_t *end;
    unsigned cond;
    struct temporal_note note;
};

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_punct(uint8_t c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

static void note(struct scan *s, unsigned cond, const uint8_t *at, char preferred)
{
    if ((s->cond & (TEMPORAL_DEPRECATED | TEMPORAL_SUPERFLUOUS)) != 0) {
        return;
    }
    s->cond |= cond;
    s->note.position = (uint32_t)(at - s->begin);
    s->note.delimiter = (char)*at;
    s->note.preferred = preferred;
}

static void skip_spaces(struct scan *s)
{
    while (s->p < s->end && is_space(*s->p)) {
        s->p++;
    }
}

static void check_rest(struct scan *s, bool tells)
{
    const uint8_t *spaces = s->p;
    skip_spaces(s);
    if (s->p < s->end) {
        s->cond |= TEMPORAL_TRUNCATED;
    }
    if (tells && s->p > spaces) {
        note(s, TEMPORAL_SUPERFLUOUS, spaces, 0);
    }
}

/* Fraction digits at p: microseconds and, for rounding, nanoseconds below them. */
static void take_fraction(struct scan *s, uint32_t *ret_micro, uint32_t *ret_nanos)
{
    uint32_t value = 0;
    unsigned n = 0;
    for (; s->p < s->end && is_digit(*s->p); s->p++) {
        if (n < 9) {
            value = value * 10 + (uint32_t)(*s->p - '0');
            n++;
        }
    }
    s->note.fraction = (uint8_t)n;
    for (; n < 9; n++) {
        value *= 10;
    }
    *ret_micro = value / 1000;
    *ret_nanos = value % 1000;
}

/* "+hh:mm" directly behind the time. */
static bool take_offset(struct scan *s, int32_t *ret_offset_s)
{
    const uint8_t *p = s->p;
    if (s->end - p < 6 || (p[0] != '+' && p[0] != '-') || !is_digit(p[1]) || !is_digit(p[2]) ||
        p[3] != ':' || !is_digit(p[4]) || !is_digit(p[5])) {
        return false;
    }
    int32_t hours = (p[1] - '0') * 10 + (p[2] - '0');
    int32_t minutes = (p[4] - '0') * 10 + (p[5] - '0');
    int32_t offset = hours * 3600 + minutes * 60;
    if (minutes > 59 || offset > 14 * 3600 || (p[0] == '-' && offset == 0)) {
        return false;
    }
    *ret_offset_s = p[0] == '-' ? -offset : offset;
    s->p += 6;
    return true;
}

/* After field i: steps over what separates it from the next. False: text that cannot go on. */
static bool skip_delimiters(struct scan *s, unsigned i, bool compact)
{
    static const char preferred[FIELDS] = {'-', '-', ' ', ':', ':', '.', 0};
    const uint8_t *first = s->p;
    if (i == 2 && s->p < s->end && *s->p == 'T') {
        s->p++;
        s->cond |= s->p == s->end ? TEMPORAL_TRUNCATED : 0u;
        return true;
    }
    while (s->p < s->end && (is_punct(*s->p) || is_space(*s->p))) {
        if (is_space(*s->p) && i != 2) {
            const uint8_t *q = s->p;
            while (q < s->end && is_space(*q)) {
                q++;
            }
            if (q == s->end || s->p > first) {
                return true; /* only spaces are left */
            }
            return false;
        }
        s->p++;
    }
    if (s->p > first && (i == 2 || (s->p < s->end && is_digit(*s->p)))) {
        bool point = compact && i == 2 && *first == '.';
        if ((char)*first != preferred[i] && !point) {
            note(s, TEMPORAL_DEPRECATED, first, preferred[i]);
        } else if (s->p > first + 1) {
            note(s, TEMPORAL_SUPERFLUOUS, first + 1, 0);
        } else if (s->p == s->end && !point) {
            note(s, TEMPORAL_SUPERFLUOUS, first, 0);
        }
    }
    return true;
}

struct datetime_fields {
    struct time_parts parts;
    uint32_t nanos;
    unsigned count;     /* fields found */
    bool is_time_found; /* a space or compact form, with an hour */
    bool is_delimited;  /* something stands between fields */
    bool all_zero;      /* there were digits, all of them 0 */
    int32_t offset_s;
};

/* Reads one number of at most `width` digits (0: any). False when it is too large to be anything.
 */
static bool take_field(struct scan *s, unsigned width, uint32_t *ret_value, unsigned *ret_digits)
{
    uint32_t value = 0;
    unsigned n = 0;
    while (s->p < s->end && is_digit(*s->p) && (width == 0 || n < width)) {
        value = value * 10 + (uint32_t)(*s->p - '0');
        n++;
        s->p++;
        if (value > 999999) {
            return false;
        }
    }
    *ret_value = value;
    *ret_digits = n;
    return true;
}

/* Behind field i; false: the text has no more fields. *ret_ok false: it is no DATETIME. */
static bool next_field(struct scan *s, unsigned i, bool compact, bool narrow,
                       struct datetime_fields *f, bool *ret_ok)
{
    *ret_ok = true;
    if (s->p >= s->end) {
        return false;
    }
    if (i == 5) {
        if (*s->p == '.') {
            s->p++;
            take_fraction(s, &f->parts.micro, &f->nanos);
        }
        /* MYSQL: a sign begins an offset, and only an offset */
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) {
            *ret_ok = take_offset(s, &f->offset_s) && (s->p == s->end || is_space(*s->p));
            s->cond |= *ret_ok ? TEMPORAL_HAS_OFFSET : 0;
        }
        return false;
    }
    if (compact && i == 2 && *s->p == 'T') {
        s->p++;
        return s->p < s->end && is_digit(*s->p);
    }
    const uint8_t *before = s->p;
    if (narrow && is_digit(*s->p)) {
        return true;
    }
    if (!skip_delimiters(s, i, compact)) {
        *ret_ok = false;
        return false;
    }
    if (s->p == before || s->p >= s->end || !is_digit(*s->p)) {
        s->p = s->p >= s->end ? s->p : before;
        return false;
    }
    f->is_delimited = true;
    for (const uint8_t *q = before; i == 2 && q < s->p; q++) {
        f->is_time_found |= is_space(*q);
    }
    return true;
}

/* False: no DATETIME at all. */
static bool scan_datetime(struct scan *s, struct datetime_fields *f)
{
    memset(f, 0, sizeof(*f));
    const uint8_t *spaces = s->p;
    skip_spaces(s);
    if (s->p > spaces) {
        note(s, TEMPORAL_SUPERFLUOUS, spaces, 0);
    }
    if (s->p >= s->end || !is_digit(*s->p)) {
        return false;
    }
    const uint8_t *q = s->p;
    while (q < s->end && (is_digit(*q) || *q == 'T')) {
        q++;
    }
    size_t run = (size_t)(q - s->p);
    bool compact = q == s->end || *q == '.';
    bool short_year = false;
    if (compact && run < 5 && q < s->end) {
        compact = false; /* 2024.01.31, and 1.5.5 with a year of two digits */
        short_year = run != 4;
    }
    unsigned width = run == 4 || run == 8 || run >= 14 ? 4 : 2;
    bool narrow = compact || short_year ||
                  (q < s->end && *q == '.'); /* fields of two digits behind the year */
    unsigned year_digits = 0;
    uint32_t field[6] = {0};
    bool ok = true;
    unsigned i = 0;
    for (;;) {
        unsigned digits;
        if (!take_field(s, !narrow ? 0 : i == 0 ? width : 2, &field[i], &digits)) {
            return false;
        }
        if (i == 0) {
            year_digits = digits;
        }
        f->count = i + 1;
        if (!next_field(s, i, compact, narrow, f, &ok)) {
            break;
        }
        i++;
    }
    if (!ok) {
        return false;
    }
    f->is_time_found |= compact && f->count > 3 && !f->is_delimited;
    if (short_year) {
        year_digits = 2;
    }
    if (short_year && run == 1) { /* MYSQL: nothing is said of 1.5.5 */
        s->cond &= ~(unsigned)(TEMPORAL_DEPRECATED | TEMPORAL_SUPERFLUOUS);
    }
    uint32_t fields = field[0] | field[1] | field[2] | field[3] | field[4] | field[5];
    f->all_zero = s->p == s->end && fields == 0;
    if (year_digits == 2 && (fields | f->parts.micro) != 0) { /* MYSQL: of 00-00-00 06:00, too */
        field[0] += field[0] < 70 ? 2000 : 1900;
    }
    f->parts.year = field[0];
    f->parts.month = field[1];
    f->parts.day = field[2];
    f->parts.hour = field[3];
    f->parts.minute = field[4];
    f->parts.second = field[5];
    return f->count >= 3 && field[0] <= 9999 && field[1] <= 12 && field[2] <= 31 &&
           field[3] <= 23 && field[4] <= 59 && field[5] <= 59;
}

/* Adds what lies below the microseconds, rounded to microseconds. */
static bool add_nanos(int64_t v, uint32_t nanos, unsigned flags, int64_t *ret)
{
    if (nanos < 500 || (flags & TEMPORAL_F_TRUNCATE) != 0) {
        *ret = v;
        return true;
    }
    if (((uint32_t)v & 0xfffff) < 999999) {
        *ret = v + 1;
        return true;
    }
    return datetime_round(v, 5, false, ret);
}

unsigned datetime_parse(struct slice text, unsigned decimals, unsigned flags, int64_t *ret,
                        int32_t *ret_offset_s, struct temporal_note *ret_note)
{
    struct scan s = {.begin = text.ptr, .p = text.ptr, .end = text.ptr + text.len};
    struct datetime_fields f;
    if (!scan_datetime(&s, &f)) {
        *ret = 0;
        return TEMPORAL_INVALID | (f.all_zero ? 0 : TEMPORAL_TRUNCATED);
    }
    check_rest(&s, f.count != 3); /* of a date alone skip_delimiters has told */
    if (ret_note != NULL) {
        *ret_note = s.note;
    }
    if (f.count == 3) {
        s.cond |= TEMPORAL_NO_TIME;
    }
    *ret_offset_s = f.offset_s;
    int64_t v = datetime_pack(&f.parts);
    unsigned check = datetime_check(v, flags);
    if ((check & TEMPORAL_INVALID) != 0) {
        *ret = v;
        return s.cond | check;
    }
    if (!add_nanos(v, f.nanos, flags, &v)) {
        *ret = 0;
        return s.cond | TEMPORAL_INVALID | TEMPORAL_OUT_OF_RANGE | TEMPORAL_TRUNCATED;
    }
    if (!datetime_round(v, decimals, (flags & TEMPORAL_F_TRUNCATE) != 0, &v)) {
        *ret = 0;
        return s.cond | TEMPORAL_INVALID | TEMPORAL_OUT_OF_RANGE;
    }
    *ret = v;
    return s.cond;
}

static unsigned finish_time(unsigned cond, int64_t us, uint32_t nanos, unsigned decimals,
                            unsigned flags, int64_t *ret)
{
    bool truncate = (flags & TEMPORAL_F_TRUNCATE) != 0;
    if (us > TIME_MICROS_MAX || us < -TIME_MICROS_MAX) {
        *ret = us < 0 ? -TIME_MICROS_MAX : TIME_MICROS_MAX;
        return cond | TEMPORAL_OUT_OF_RANGE;
    }
    if (nanos >= 500 && !truncate) {
        us += us < 0 ? -1 : 1;
    }
    if (!time_round(us, decimals, truncate, &us)) {
        *ret = us < 0 ? -TIME_MICROS_MAX : TIME_MICROS_MAX;
        return cond | TEMPORAL_OUT_OF_RANGE;
    }
    *ret = us;
    return cond;
}

/* Text that is a DATETIME with a time of day. True when it was decided here. */
static bool time_from_datetime_text(struct slice text, unsigned decimals, unsigned flags,
                                    int64_t *ret, int64_t *ret_datetime, int32_t *ret_offset_s,
                                    struct temporal_note *ret_note, unsigned *ret_cond)
{
    struct scan s = {.begin = text.ptr, .p = text.ptr, .end = text.ptr + text.len};
    struct datetime_fields f;
    bool ok = scan_datetime(&s, &f);
    if (!f.is_time_found) {
        return false;
    }
    if (!ok) {
        *ret_cond = TEMPORAL_INVALID | TEMPORAL_TRUNCATED;
        return true;
    }
    check_rest(&s, f.count != 3);
    if (ret_note != NULL) {
        *ret_note = s.note;
    }
    int64_t v = datetime_pack(&f.parts);
    if (ret_datetime != NULL) {
        int64_t rounded;
        *ret_datetime = add_nanos(v, f.nanos, flags, &rounded) ? rounded : v;
    }
    *ret_offset_s = f.offset_s;
    struct time_parts time = f.parts;
    time.neg = false;
    *ret_cond = finish_time(s.cond | (datetime_date(v) != 0 ? TEMPORAL_IS_DATETIME : 0),
                            time_pack(&time), f.nanos, decimals, flags, ret);
    return true;
}

struct time_fields {
    uint64_t days;
    uint64_t hours;
    uint64_t minutes;
    uint64_t seconds;
    uint32_t micro;
    uint32_t nanos;
};

static uint64_t take_number(struct scan *s)
{
    uint64_t v = 0;
    for (; s->p < s->end && is_digit(*s->p); s->p++) {
        v = v > UINT32_MAX ? v : v * 10 + (uint64_t)(*s->p - '0');
    }
    return v;
}

static bool colon_follows(const struct scan *s)
{
    return s->end - s->p > 1 && s->p[0] == ':' && is_digit(s->p[1]);
}

/* minutes and seconds behind the hours */
static void take_minutes(struct scan *s, struct time_fields *f)
{
    if (colon_follows(s)) {
        s->p++;
        f->minutes = take_number(s);
        if (colon_follows(s)) {
            s->p++;
            f->seconds = take_number(s);
        }
    }
}

/* Returns conditions: TEMPORAL_INVALID and why, or none. */
static unsigned scan_time(struct scan *s, struct time_fields *f)
{
    memset(f, 0, sizeof(*f));
    bool point_first = s->end - s->p > 1 && *s->p == '.' && is_digit(s->p[1]);
    if (s->p >= s->end) {
        return TEMPORAL_INVALID | TEMPORAL_EMPTY;
    }
    if (!is_digit(*s->p) && !point_first) {
        return TEMPORAL_INVALID | TEMPORAL_TRUNCATED;
    }
    uint64_t first = take_number(s);
    const uint8_t *behind = s->p;
    skip_spaces(s);
    if (s->p > behind && s->end - s->p > 1 && is_digit(*s->p)) {
        f->days = first;
        f->hours = take_number(s);
        take_minutes(s, f);
    } else {
        s->p = behind;
        if (colon_follows(s)) {
            f->hours = first;
            take_minutes(s, f);
        } else {
            f->hours = first / 10000;
            f->minutes = first / 100 % 100;
            f->seconds = first % 100;
        }
    }
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        take_fraction(s, &f->micro, &f->nanos);
    }
    /* An exponent makes it a number that is no time. */
    if (s->end - s->p > 1 && (*s->p == 'e' || *s->p == 'E') &&
        (is_digit(s->p[1]) ||
         (s->end - s->p > 2 && (s->p[1] == '-' || s->p[1] == '+') && is_digit(s->p[2])))) {
        return TEMPORAL_INVALID | TEMPORAL_EMPTY;
    }
    if (first > UINT32_MAX || f->hours > UINT32_MAX) {
        return TEMPORAL_INVALID | TEMPORAL_TRUNCATED;
    }
    return f->minutes <= 59 && f->seconds <= 59 ? TEMPORAL_OK : TEMPORAL_INVALID;
}

unsigned time_parse(struct slice text, unsigned decimals, unsigned flags, int64_t *ret,
                    int64_t *ret_datetime, int32_t *ret_offset_s, struct temporal_note *ret_note)
{
    struct scan s = {.begin = text.ptr, .p = text.ptr, .end = text.ptr + text.len};
    *ret_offset_s = 0;
    *ret = 0;
    skip_spaces(&s);
    if (s.p > s.begin) {
        note(&s, TEMPORAL_SUPERFLUOUS, s.begin, 0);
    }
    if (ret_note != NULL) {
        *ret_note = s.note;
    }
    bool neg = s.p < s.end && *s.p == '-';
    s.p += neg;
    if (s.end - s.p >= 12 && !neg) {
        unsigned cond;
        if (time_from_datetime_text(slice_of(s.p, (size_t)(s.end - s.p)), decimals, flags, ret,
                                    ret_datetime, ret_offset_s, ret_note, &cond)) {
            return cond;
        }
    }
    struct time_fields f;
    unsigned bad = scan_time(&s, &f);
    if (bad != TEMPORAL_OK) {
        return s.cond | bad;
    }
    unsigned before = s.cond;
    check_rest(&s, true);
    if ((s.cond & TEMPORAL_TRUNCATED) != 0) {
        s.cond = before | TEMPORAL_TRUNCATED; /* no word about spaces before what is cut */
    } else if (ret_note != NULL) {
        *ret_note = s.note;
    }
    if (ret_note != NULL) {
        ret_note->fraction = s.note.fraction;
    }
    uint64_t hours = f.days > 1000 ? 100000 : f.days * 24 + (f.hours > 100000 ? 100000 : f.hours);
    int64_t us = (int64_t)((hours * 60 + f.minutes) * 60 + f.seconds) * US_PER_SECOND + f.micro;
    return finish_time(s.cond, neg ? -us : us, f.nanos, decimals, flags, ret);
}

/* A number of the form YYMMDD, YYYYMMDD, YYMMDDhhmmss or YYYYMMDDhhmmss as YYYYMMDDhhmmss; < 0:
 * none. */
static int64_t widen_number(int64_t n, bool *ret_date_only)
{
    *ret_date_only = false;
    if (n >= 10000101000000ll) {
        return n > 99991231235959ll ? -1 : n;
    }
    if (n < 101) {
        return -1;
    }
    if (n <= 991231) {
        *ret_date_only = true;
        if (n <= 691231) {
            return (n + 20000000) * 1000000;
        }
        return n < 700101 ? -1 : (n + 19000000) * 1000000;
    }
    if (n <= 99991231) {
        *ret_date_only = true;
        return n * 1000000;
    }
    if (n < 101000000) {
        return -1;
    }
    if (n <= 691231235959ll) {
        return n + 20000000000000ll;
    }
    if (n < 700101000000ll) {
        return -1;
    }
    return n <= 991231235959ll ? n + 19000000000000ll : n; /* the years 99 to 999 as they are */
}

unsigned datetime_from_number(int64_t number, uint32_t nanos, unsigned decimals, unsigned flags,
                              int64_t *ret)
{
    *ret = 0;
    if (number == 0) { /* a fraction of a second on the zero date */
        *ret = nanos / 1000;
        if (!datetime_round(*ret, decimals, (flags & TEMPORAL_F_TRUNCATE) != 0, ret) ||
            *ret >= 1 << 20) {
            *ret = 0;
            return TEMPORAL_INVALID | TEMPORAL_NO_TIME;
        }
        return datetime_check(*ret, flags) | TEMPORAL_NO_TIME;
    }
    bool date_only;
    int64_t n = widen_number(number, &date_only);
    if (n < 0) {
        return TEMPORAL_INVALID;
    }
    int64_t date = n / 1000000;
    int64_t time = n % 1000000;
    bool cut_fraction = date_only && nanos != 0;
    if (date_only) {
        nanos = 0;
    }
    struct time_parts p = {
        .year = (uint32_t)(date / 10000),
        .month = (uint32_t)(date / 100 % 100),
        .day = (uint32_t)(date % 100),
        .hour = (uint32_t)(time / 10000),
        .minute = (uint32_t)(time / 100 % 100),
        .second = (uint32_t)(time % 100),
        .micro = nanos / 1000,
    };
    if (p.month > 12 || p.day > 31 || p.hour > 23 || p.minute > 59 || p.second > 59) {
        return TEMPORAL_INVALID;
    }
    int64_t v = datetime_pack(&p);
    unsigned cond = datetime_check(v, flags) | (date_only ? TEMPORAL_NO_TIME : 0) |
                    (cut_fraction ? TEMPORAL_TRUNCATED : 0);
    if ((cond & TEMPORAL_INVALID) != 0) {
        *ret = v;
        return cond;
    }
    if (!add_nanos(v, nanos % 1000, flags, &v) ||
        !datetime_round(v, decimals, (flags & TEMPORAL_F_TRUNCATE) != 0, &v)) {
        return cond | TEMPORAL_INVALID | TEMPORAL_OUT_OF_RANGE;
    }
    *ret = v;
    return cond;
}

unsigned time_from_number(int64_t number, uint32_t nanos, bool neg, unsigned decimals,
                          unsigned flags, int64_t *ret)
{
    *ret = 0;
    neg |= number < 0;
    uint64_t n = number < 0 ? -(uint64_t)number : (uint64_t)number;
    if (n > 8385959) {
        if (n >= 10000000000ull && !neg && n <= INT64_MAX) { /* a DATETIME */
            int64_t v;
            unsigned cond = datetime_from_number((int64_t)n, 0, 0, 0, &v);
            if ((cond & TEMPORAL_INVALID) == 0) {
                return finish_time((cond & ~(unsigned)TEMPORAL_NO_TIME) | TEMPORAL_IS_DATETIME,
                                   datetime_time(v) + nanos / 1000, nanos % 1000, decimals, flags,
                                   ret);
            }
        }
        *ret = neg ? -TIME_MICROS_MAX : TIME_MICROS_MAX;
        return TEMPORAL_OUT_OF_RANGE;
    }
    uint64_t minutes = n / 100 % 100;
    uint64_t seconds = n % 100;
    if (minutes > 59 || seconds > 59) {
        return TEMPORAL_INVALID;
    }
    int64_t us =
        (int64_t)((n / 10000 * 60 + minutes) * 60 + seconds) * US_PER_SECOND + nanos / 1000;
    return finish_time(TEMPORAL_OK, neg ? -us : us, nanos % 1000, decimals, flags, ret);
}
