/* Formatting for the text protocol.
 *
 * Doubles are shown with the fewest digits that read back the same number. Most numbers people keep
 * (prices, counts) have at most 15 significant digits and few decimals: if v * 10^k is an integer
 * below 10^15 that divides back to v exactly, its digits are the answer, as no two texts of up to
 * 15 digits are the same double. Only the rest tries 15, 16 and 17 digits with the C library.
 *
 * Below a power of two doubles are twice as dense as above it: there the nearest text of a length
 * may read back as a neighbour while the next larger one does not, so that one is tried, too.
 *
 * MySQL writes an exponent when the decimal point would stand more than 15 digits behind the first
 * digit (unless a fraction follows), or the first digit more than 14 zeros behind the point; no
 * '+', no leading zero. */
#include "wire/result/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/double_text.h"
#include "base/err.h"

enum { DIGITS_MAX = 20, POINT_MIN = -14, POINT_MAX = 15 };

static const char g_pairs[201] = "00010203040506070809101112131415161718192021222324"
                                 "25262728293031323334353637383940414243444546474849"
                                 "50515253545556575859606162636465666768697071727374"
                                 "75767778798081828384858687888990919293949596979899";

static char *put2(char *out, unsigned v)
{
    memcpy(out, g_pairs + (v % 100) * 2, 2);
    return out + 2;
}

size_t format_u64(char *out, uint64_t v)
{
    char tmp[DIGITS_MAX];
    char *end = tmp + DIGITS_MAX;
    char *p = end;
    while (v >= 100) {
        uint64_t rest = v / 100;
        p -= 2;
        memcpy(p, g_pairs + (v - rest * 100) * 2, 2);
        v = rest;
    }
    if (v >= 10) {
        p -= 2;
        memcpy(p, g_pairs + v * 2, 2);
    } else {
        *--p = (char)('0' + v);
    }
    memcpy(out, p, (size_t)(end - p));
    return (size_t)(end - p);
}

size_t format_i64(char *out, int64_t v)
{
    if (v >= 0) {
        return format_u64(out, (uint64_t)v);
    }
    *out = '-';
    return 1 + format_u64(out + 1, 0 - (uint64_t)v);
}

/* Lays out digits[0..count) whose decimal point stands after `point` digits. */
static size_t lay_out(char *out, bool negative, const char *digits, int count, int point)
{
    char *p = out;
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    if (negative) {
        *p++ = '-';
    }
    if (point < POINT_MIN || (point > POINT_MAX && count <= point)) {
        *p++ = digits[0];
        if (count > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, (size_t)count - 1);
            p += count - 1;
        }
        *p++ = 'e';
        p += format_i64(p, point - 1);
        return (size_t)(p - out);
    }
    if (point <= 0) {
        *p++ = '0';
        *p++ = '.';
        memset(p, '0', (size_t)-point);
        p += -point;
        memcpy(p, digits, (size_t)count);
        return (size_t)(p + count - out);
    }
    int whole = count < point ? count : point;
    memcpy(p, digits, (size_t)whole);
    p += whole;
    memset(p, '0', (size_t)(point - whole));
    p += point - whole;
    if (count > point) {
        *p++ = '.';
        memcpy(p, digits + point, (size_t)(count - point));
        p += count - point;
    }
    return (size_t)(p - out);
}

/* The text of "%.*e" taken apart. */
static size_t lay_out_e(char *out, const char *text)
{
    char digits[DIGITS_MAX];
    int count = 0;
    bool negative = *text == '-';
    text += negative;
    for (; *text != 'e'; text++) {
        if (*text != '.') {
            digits[count++] = *text;
        }
    }
    int exponent = (int)strtol(text + 1, NULL, 10);
    return lay_out(out, negative, digits, count, exponent + 1);
}

static size_t format_special(char *out, double v)
{
    const char *text = isnan(v) ? "nan" : v < 0 ? "-inf" : "inf";
    size_t n = strlen(text);
    memcpy(out, text, n);
    return n;
}

static size_t format_zero(char *out, double v)
{
    size_t n = signbit(v) ? 1 : 0;
    out[0] = '-';
    out[n] = '0';
    return n + 1;
}

static size_t format_shortest(char *out, double v)
{
    double a = fabs(v);
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    for (int k = 0; a < 1e15 && a >= 1e-5 && k < (int)ARRAY_COUNT(powers); k++) {
        double scaled = a * powers[k];
        if (scaled >= 1e15) {
            break;
        }
        uint64_t n = (uint64_t)scaled;
        if ((double)n == scaled && (double)n / powers[k] == a) {
            char digits[DIGITS_MAX];
            int count = (int)format_u64(digits, n);
            return lay_out(out, v < 0, digits, count, count - k);
        }
    }
    char text[DOUBLE_TEXT_MAX];
    double_shortest(v, text);
    return lay_out_e(out, text);
}

size_t format_double(char *out, double v, uint8_t decimals)
{
    if (UNLIKELY(!isfinite(v))) {
        return format_special(out, v);
    }
    if (decimals < FORMAT_DECIMALS_ANY) {
        return (size_t)snprintf(out, FORMAT_MAX, "%.*f", decimals, v);
    }
    return v == 0 ? format_zero(out, v) : format_shortest(out, v);
}

size_t format_float(char *out, float v, uint8_t decimals)
{
    if (UNLIKELY(!isfinite(v))) {
        return format_special(out, (double)v);
    }
    if (decimals < FORMAT_DECIMALS_ANY) {
        return (size_t)snprintf(out, FORMAT_MAX, "%.*f", decimals, (double)v);
    }
    if (v == 0) {
        return format_zero(out, (double)v);
    }
    float a = fabsf(v);
    if (a < 1e6f && a == (float)(uint32_t)a) {
        return format_i64(out, (int64_t)v);
    }
    char text[40];
    snprintf(text, sizeof(text), "%.5e", (double)v);
    return lay_out_e(out, text);
}

/* --- times --- */

static char *put_fraction(char *p, uint32_t microsecond, uint8_t decimals)
{
    if (decimals == 0) {
        return p;
    }
    char digits[6];
    uint32_t rest = microsecond;
    for (int i = 5; i >= 0; i--) {
        digits[i] = (char)('0' + rest % 10);
        rest /= 10;
    }
    size_t n = decimals > 6 ? 6 : decimals;
    *p++ = '.';
    memcpy(p, digits, n);
    return p + n;
}

static char *put_date(char *p, const struct sql_time *t)
{
    p = put2(p, t->year / 100u);
    p = put2(p, t->year % 100u);
    *p++ = '-';
    p = put2(p, t->month);
    *p++ = '-';
    return put2(p, t->day);
}

static char *put_clock(char *p, const struct sql_time *t)
{
    *p++ = ':';
    p = put2(p, t->minute);
    *p++ = ':';
    p = put2(p, t->second);
    return put_fraction(p, t->microsecond, t->decimals);
}

size_t format_date(char *out, const struct sql_time *t)
{
    return (size_t)(put_date(out, t) - out);
}

size_t format_datetime(char *out, const struct sql_time *t)
{
    char *p = put_date(out, t);
    *p++ = ' ';
    p = put2(p, t->hour);
    return (size_t)(put_clock(p, t) - out);
}

size_t format_time(char *out, const struct sql_time *t)
{
    char *p = out;
    if (t->negative) {
        *p++ = '-';
    }
    if (t->hour < 100) {
        p = put2(p, t->hour);
    } else {
        p += format_u64(p, t->hour);
    }
    return (size_t)(put_clock(p, t) - out);
}
