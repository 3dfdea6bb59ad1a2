/* Numbers from and to text.
 *
 * A DOUBLE prints as the fewest digits that read back as the same number: plainly, but with an
 * exponent when it is a whole number of more than 15 digits ("1e15"), or below 1e-15 ("1.5e-16");
 * no plus, no leading zeros. FLOAT prints six digits. Within a width it takes an exponent earlier,
 * and gives up digits when that is not enough. strtod and snprintf are correct to the last
 * digit with glibc; the C locale is assumed (the process never sets another one). */
#include "sql/types/cast.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/double_text.h"

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

unsigned uint64_to_text(uint64_t v, char *out)
{
    char digits[20];
    unsigned at = sizeof(digits);
    while (v >= 100) {
        unsigned two = (unsigned)(v % 100) * 2;
        v /= 100;
        digits[--at] = pairs[two + 1];
        digits[--at] = pairs[two];
    }
    if (v >= 10) {
        digits[--at] = pairs[v * 2 + 1];
        digits[--at] = pairs[v * 2];
    } else {
        digits[--at] = (char)('0' + v);
    }
    unsigned len = (unsigned)sizeof(digits) - at;
    memcpy(out, digits + at, len);
    return len;
}

unsigned int64_to_text(int64_t v, char *out)
{
    if (v >= 0) {
        return uint64_to_text((uint64_t)v, out);
    }
    out[0] = '-';
    return 1 + uint64_to_text(-(uint64_t)v, out + 1);
}

/* Splits "d.ddde[+-]x" into digits without trailing zeros and the place of the point. */
static unsigned split_digits(const char *sci, char *digits, int *ret_point)
{
    unsigned n = 0;
    const char *p = sci;
    for (; *p != 'e'; p++) {
        if (*p != '.') {
            digits[n++] = *p;
        }
    }
    *ret_point = (int)strtol(p + 1, NULL, 10) + 1;
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    return n;
}

static unsigned layout(bool neg, const char *digits, unsigned n, int point, char *out)
{
    char *o = out;
    if (neg) {
        *o++ = '-';
    }
    if ((point > 15 && (unsigned)point >= n) || point < -14) {
        *o++ = digits[0];
        if (n > 1) {
            *o++ = '.';
            memcpy(o, digits + 1, n - 1);
            o += n - 1;
        }
        *o++ = 'e';
        o += int64_to_text(point - 1, o);
    } else if (point <= 0) {
        *o++ = '0';
        *o++ = '.';
        memset(o, '0', (size_t)-point);
        o -= point;
        memcpy(o, digits, n);
        o += n;
    } else if ((unsigned)point >= n) {
        memcpy(o, digits, n);
        memset(o + n, '0', (unsigned)point - n);
        o += point;
    } else {
        memcpy(o, digits, (size_t)point);
        o += point;
        *o++ = '.';
        memcpy(o, digits + point, n - (unsigned)point);
        o += n - (unsigned)point;
    }
    return (unsigned)(o - out);
}

/* The fewest digits that give the number back: how many, at least 1, and where the point is. */
static unsigned shortest_digits(double magnitude, char *digits, int *ret_point)
{
    char sci[DOUBLE_TEXT_MAX];
    double_shortest(magnitude, sci);
    return split_digits(sci, digits, ret_point);
}

/* MYSQL: behind the digits that tell the number apart there are zeros. False: those digits have to
 * be rounded. */
static bool padded_text(double v, unsigned decimals, char *out, unsigned *ret_len)
{
    char digits[24];
    int point;
    unsigned n = shortest_digits(fabs(v), digits, &point);
    if ((int)n - point > (int)decimals) {
        return false;
    }
    char *o = out;
    if (signbit(v)) {
        *o++ = '-';
    }
    for (int i = point < 1 ? point - 1 : 0; i < point + (int)decimals; i++) {
        if (i == point) {
            *o++ = '.';
        }
        *o++ = i >= 0 && i < (int)n ? digits[i] : '0';
    }
    *ret_len = (unsigned)(o - out);
    return true;
}

static unsigned fixed_text(double v, unsigned decimals, char out[NUMBER_TEXT_MAX])
{
    /* As many digits as a double surely has are the same either way. */
    unsigned len;
    if (fabs(v) * pow(10.0, (double)decimals) >= 1e15 && padded_text(v, decimals, out, &len)) {
        return len;
    }
    int n = snprintf(out, NUMBER_TEXT_MAX, "%.*f", (int)decimals, v);
    return n < 0 ? 0 : n >= NUMBER_TEXT_MAX ? NUMBER_TEXT_MAX - 1 : (unsigned)n;
}

static unsigned special_text(double v, char *out)
{
    const char *text = isnan(v) ? "nan" : v < 0 ? "-inf" : "inf";
    size_t len = strlen(text);
    memcpy(out, text, len);
    return (unsigned)len;
}

/* Whole numbers of up to 15 digits, the most common doubles in practice. */
static bool small_integer(double v, char *out, unsigned *ret_len)
{
    if (!(v > -1e15 && v < 1e15) || v != (double)(int64_t)v || (v == 0 && signbit(v))) {
        return false;
    }
    *ret_len = int64_to_text((int64_t)v, out);
    return true;
}

unsigned double_to_text(double v, unsigned decimals, char out[NUMBER_TEXT_MAX])
{
    if (!isfinite(v)) {
        return special_text(v, out);
    }
    if (decimals < DECIMALS_NOT_FIXED) {
        return fixed_text(v, decimals, out);
    }
    unsigned len;
    if (small_integer(v, out, &len)) {
        return len;
    }
    if (v == 0) {
        memcpy(out, "-0", 2);
        return 2;
    }
    char digits[24];
    int point;
    unsigned n = shortest_digits(fabs(v), digits, &point);
    return layout(v < 0, digits, n, point, out);
}

/* The text of v, whose digits are known, does not fit: it gives up as many of them as it has to,
 * behind the point when at most two zeros precede them there, and else as one with an exponent. */
static unsigned squeezed_text(double v, const char *digits, unsigned n, int point, unsigned width,
                              char *out)
{
    enum { ZEROS_MAX = 2 };
    char *o = out;
    double magnitude = fabs(v);
    int room = (int)width - (v < 0 ? 1 : 0);
    if (v < 0) {
        *o++ = '-';
    }
    if (point >= -ZEROS_MAX && point <= room) {
        int decimals = room - 1 - (point <= 0 ? 1 : point);
        o += snprintf(o, NUMBER_TEXT_MAX - 1, "%.*f", decimals < 0 ? 0 : decimals, magnitude);
        while (decimals > 0 && o[-1] == '0') {
            o--;
        }
        return (unsigned)(o - out) - (o[-1] == '.' ? 1 : 0);
    }
    char exponent[24];
    char fewer[24];
    unsigned e_len = int64_to_text(point - 1, exponent);
    room -= (int)e_len + 1 + (n > 1 ? 1 : 0);
    if (room < (int)n) {
        char sci[DOUBLE_TEXT_MAX];
        snprintf(sci, sizeof(sci), "%.*e", room < 1 ? 0 : room - 1, magnitude);
        n = split_digits(sci, fewer, &point);
        e_len = int64_to_text(point - 1, exponent);
        digits = fewer;
    }
    *o++ = digits[0];
    if (n > 1) {
        *o++ = '.';
        memcpy(o, digits + 1, n - 1);
        o += n - 1;
    }
    *o++ = 'e';
    memcpy(o, exponent, e_len);
    return (unsigned)(o - out) + e_len;
}

unsigned double_to_text_within(double v, unsigned decimals, unsigned width,
                               char out[NUMBER_TEXT_MAX])
{
    unsigned len = double_to_text(v, decimals, out);
    if (len <= width || decimals < DECIMALS_NOT_FIXED) {
        return len;
    }
    char digits[24];
    int point;
    unsigned n = shortest_digits(fabs(v), digits, &point);
    return squeezed_text(v, digits, n, point, width, out);
}

/* The six digits of a FLOAT that are shown. */
static unsigned float_digits(float v, char *digits, int *ret_point)
{
    char sci[40];
    snprintf(sci, sizeof(sci), "%.5e", fabs((double)v));
    return split_digits(sci, digits, ret_point);
}

unsigned float_to_text(float v, unsigned decimals, char out[NUMBER_TEXT_MAX])
{
    if (!isfinite(v)) {
        return special_text((double)v, out);
    }
    if (decimals < DECIMALS_NOT_FIXED) {
        return fixed_text((double)v, decimals, out);
    }
    if (v == 0) {
        memcpy(out, "-0", 2);
        return signbit(v) ? 2 : (out[0] = '0', 1);
    }
    char digits[24];
    int point;
    unsigned n = float_digits(v, digits, &point);
    return layout(v < 0, digits, n, point, out);
}

unsigned float_to_text_within(float v, unsigned decimals, unsigned width, char out[NUMBER_TEXT_MAX])
{
    unsigned len = float_to_text(v, decimals, out);
    if (len <= width || decimals < DECIMALS_NOT_FIXED) {
        return len;
    }
    char digits[24];
    int point;
    unsigned n = float_digits(v, digits, &point);
    return squeezed_text((double)v, digits, n, point, width, out);
}

unsigned double_to_text_cut(double d, uint32_t width, char out[NUMBER_TEXT_MAX], bool *ret_known)
{
    enum { SEVERAL_DIGITS = 10 }; /* as long as a text with more than one digit can have to be */
    if (width >= SEVERAL_DIGITS) {
        *ret_known = true;
        return double_to_text_within(d, DECIMALS_NOT_FIXED, width, out);
    }
    double magnitude = d < 0 ? -d : d;
    double one = 0; /* the magnitude with one digit */
    int first = magnitude < 1e15 && magnitude >= 1e-5 && width != 0 ? (int)width - 1 : 16;
    for (int precision = first > 16 ? 16 : first; precision >= 0; precision--) {
        char sci[40];
        bool overflow;
        size_t used;
        snprintf(sci, sizeof(sci), "%.*e", precision, d);
        double back = text_to_double(slice_str(sci), &used, &overflow);
        one = back < 0 ? -back : back;
        unsigned len = double_to_text(back, DECIMALS_NOT_FIXED, out);
        if (overflow || len > width) { /* with an exponent, without the zeros before it */
            char *e = strchr(sci, 'e');
            int exponent = 0;
            (void)sscanf(e + 1, "%d", &exponent);
            while (e > sci + 1 && e[-1] == '0' && precision > 0) {
                e--;
            }
            e -= e[-1] == '.';
            *e = '\0';
            len = (unsigned)snprintf(out, NUMBER_TEXT_MAX, "%se%d", sci, exponent);
        }
        if (len <= width) {
            bool one_digit = len > 2 && out[d < 0 ? 2 : 1] == 'e';
            *ret_known = !one_digit || len < width || (!overflow && back == d);
            return len;
        }
    }
    bool fraction = one < 1 && one >= 1e-3 && width != 0;
    *ret_known = fraction && width >= (d < 0 ? 3 : 2);
    out[0] = fraction ? '0' : out[0];
    return fraction ? 1 : width;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

/* The end of the number that begins at s.ptr[from], or from when there is none. */
static size_t scan_number(struct slice s, size_t from)
{
    size_t i = from;
    if (i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-')) {
        i++;
    }
    size_t digits = 0;
    for (; i < s.len && is_digit(s.ptr[i]); i++) {
        digits++;
    }
    if (i < s.len && s.ptr[i] == '.') {
        i++;
        for (; i < s.len && is_digit(s.ptr[i]); i++) {
            digits++;
        }
    }
    if (digits == 0) {
        return from;
    }
    size_t e = i;
    if (e < s.len && (s.ptr[e] == 'e' || s.ptr[e] == 'E')) {
        e++;
        if (e < s.len && (s.ptr[e] == '+' || s.ptr[e] == '-')) {
            e++;
        }
        if (e < s.len && is_digit(s.ptr[e])) {
            while (e < s.len && is_digit(s.ptr[e])) {
                e++;
            }
            i = e;
        }
    }
    return i;
}

double text_to_double(struct slice s, size_t *ret_used, bool *ret_overflow)
{
    size_t from = 0;
    while (from < s.len && is_space(s.ptr[from])) {
        from++;
    }
    size_t end = scan_number(s, from);
    *ret_overflow = false;
    *ret_used = end == from ? 0 : end;
    if (end == from) {
        return 0;
    }
    char small[512];
    size_t len = end - from;
    char *text = len < sizeof(small) ? small : mem_alloc(len + 1);
    if (text == NULL) { /* out of memory: the head has the precision, if not the magnitude */
        text = small;
        len = sizeof(small) - 1;
    }
    memcpy(text, s.ptr + from, len);
    text[len] = '\0';
    double v = strtod(text, NULL);
    if (text != small) {
        mem_free(text);
    }
    if (isinf(v)) {
        *ret_overflow = true;
        v = v < 0 ? -DBL_MAX : DBL_MAX;
    }
    return v;
}

int64_t text_to_int(struct slice s, bool *ret_unsigned, size_t *ret_used, bool *ret_overflow)
{
    size_t i = 0;
    while (i < s.len && (s.ptr[i] == ' ' || s.ptr[i] == '\t')) { /* MYSQL: other blanks end it */
        i++;
    }
    bool neg = false;
    if (i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-')) {
        neg = s.ptr[i++] == '-';
    }
    size_t first = i;
    uint64_t v = 0;
    bool overflow = false;
    for (; i < s.len && is_digit(s.ptr[i]); i++) {
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        overflow |= __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v);
    }
    *ret_used = i == first ? 0 : i;
    *ret_unsigned = false;
    if (neg) {
        overflow |= v > (uint64_t)INT64_MAX + 1;
        *ret_overflow = overflow;
        return overflow ? INT64_MIN : (int64_t)-v;
    }
    *ret_overflow = overflow;
    *ret_unsigned = overflow || v > (uint64_t)INT64_MAX;
    return overflow ? -1 : (int64_t)v;
}
