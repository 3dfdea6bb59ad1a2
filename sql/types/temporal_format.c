/* DATE_FORMAT and TIME_FORMAT. Names of months and days are those of lc_time_names. */
#include "sql/types/temporal.h"

#include <string.h>

#define NAMES(...)                                                                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define LOCALE(number, name, months, months_short, days, days_short)                               \
    [number] = {name, months, months_short, days, days_short},
static const struct date_locale g_locales[] = {
#include "sql/types/locales.def"
};
#undef LOCALE
#undef NAMES

enum { LOCALES = sizeof(g_locales) / sizeof(g_locales[0]) };

const struct date_locale *const date_locale_en_us = &g_locales[0];

const struct date_locale *date_locale_by_name(struct slice name)
{
    for (unsigned i = 0; i < LOCALES; i++) {
        if (slice_eq_nocase(name, slice_str(g_locales[i].name))) {
            return &g_locales[i];
        }
    }
    return NULL;
}

const struct date_locale *date_locale_by_number(uint64_t number)
{
    return number < LOCALES ? &g_locales[number] : NULL;
}

static db_err put_text(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

static const char *day_suffix(unsigned day)
{
    if (day >= 10 && day <= 19) {
        return "th";
    }
    switch (day % 10) {
    case 1: return "st";
    case 2: return "nd";
    case 3: return "rd";
    default: return "th";
    }
}

static db_err format_week(const struct time_parts *p, char c, struct buf *out)
{
    static const struct {
        char c;
        uint8_t mode;
        bool year;
    } rows[] = {{'U', 4, false}, {'u', 1, false}, {'V', 2, false},
                {'v', 3, false}, {'X', 2, true},  {'x', 3, true}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].c == c) {
            unsigned year;
            unsigned week = date_week(p, c == 'U' ? 0 : rows[i].mode, &year);
            return rows[i].year ? buf_printf(out, "%04u", year) : buf_printf(out, "%02u", week);
        }
    }
    return ERR_OK;
}

static db_err format_date_part(const struct time_parts *p, char c, const struct date_locale *locale,
                               struct buf *out, bool *ret_null)
{
    switch (c) {
    case 'M':
    case 'b':
        if (p->month == 0) {
            *ret_null = true;
            return ERR_OK;
        }
        return put_text(out, (c == 'M' ? locale->months : locale->months_short)[p->month - 1]);
    case 'W':
    case 'a':
    case 'w': {
        if (p->month == 0 && p->year == 0) {
            *ret_null = true;
            return ERR_OK;
        }
        uint32_t days = date_to_days(p->year, p->month, p->day);
        if (c == 'w') {
            return buf_printf(out, "%u", date_weekday(days, true));
        }
        return put_text(out,
                        (c == 'W' ? locale->days : locale->days_short)[date_weekday(days, false)]);
    }
    case 'D': return buf_printf(out, "%u%s", p->day, day_suffix(p->day));
    case 'Y': return buf_printf(out, "%04u", p->year);
    case 'y': return buf_printf(out, "%02u", p->year % 100);
    case 'm': return buf_printf(out, "%02u", p->month);
    case 'c': return buf_printf(out, "%u", p->month);
    case 'd': return buf_printf(out, "%02u", p->day);
    case 'e': return buf_printf(out, "%u", p->day);
    case 'j':
        return buf_printf(out, "%03d",
                          (int)date_to_days(p->year, p->month, p->day) -
                              (int)date_to_days(p->year, 1, 1) + 1);
    default: return format_week(p, c, out);
    }
}

static db_err format_time_part(const struct time_parts *p, char c, struct buf *out)
{
    unsigned hour12 = (p->hour % 24 + 11) % 12 + 1;
    const char *half = p->hour % 24 < 12 ? "AM" : "PM";
    switch (c) {
    case 'f': return buf_printf(out, "%06u", p->micro);
    case 'H': return buf_printf(out, "%02u", p->hour);
    case 'h':
    case 'I': return buf_printf(out, "%02u", hour12);
    case 'i': return buf_printf(out, "%02u", p->minute);
    case 'k': return buf_printf(out, "%u", p->hour);
    case 'l': return buf_printf(out, "%u", hour12);
    case 'p': return put_text(out, half);
    case 'r': return buf_printf(out, "%02u:%02u:%02u %s", hour12, p->minute, p->second, half);
    case 'S':
    case 's': return buf_printf(out, "%02u", p->second);
    default: return buf_printf(out, "%02u:%02u:%02u", p->hour, p->minute, p->second); /* T */
    }
}

db_err temporal_format(const struct time_parts *p, bool is_time, struct slice pattern,
                       const struct date_locale *locale, struct buf *out, bool *ret_null)
{
    *ret_null = false;
    if (is_time && p->neg) {
        TRY(buf_append_u8(out, '-'));
    }
    for (size_t i = 0; i < pattern.len && !*ret_null; i++) {
        char c = (char)pattern.ptr[i];
        if (c != '%' || i + 1 == pattern.len) {
            TRY(buf_append_u8(out, (uint8_t)c));
            continue;
        }
        c = (char)pattern.ptr[++i];
        if (strchr("fHhIiklprSsT", c) != NULL) {
            TRY(format_time_part(p, c, out));
        } else if (strchr("MbWawDYymcdejUuVvXx", c) != NULL) {
            TRY(format_date_part(p, c, locale, out, ret_null));
        } else {
            TRY(buf_append_u8(out, (uint8_t)c));
        }
    }
    return ERR_OK;
}
