/* A line is put together in a buffer on the stack and leaves with one write(2): no lock, no
 * allocation, lines of different threads do not mix (stderr is a pipe, a file opened for appending,
 * or a terminal).
 *
 * A line has a maximum. A field that does not fit is left out with all that follow, and the line
 * says so: what a machine reads must stay well-formed JSON.
 *
 * Text: 2031-05-06T07:08:09.000123Z WARN  range.split.retry range=7 error=NOT_LEADER
 * JSON:
 * {"ts":"2031-05-06T07:08:09.000123Z","level":"warn","event":"range.split.retry","range":7,...} */
#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"

enum {
    LINE_SIZE = 8192,
    TAIL_ROOM = 64,   /* for what closes a line: ,"truncated":true} */
    VALUE_MAX = 2048, /* bytes of a string value that are shown */
};

struct line {
    char text[LINE_SIZE];
    size_t len;
    bool full; /* something did not fit */
};

static _Atomic int g_min_level = LOG_LEVEL_INFO;
static _Atomic int g_format = LOG_FORMAT_TEXT;
static void (*g_sink)(void *ctx, enum log_level level, const char *line, size_t len);
static void *g_sink_ctx;

static const struct {
    const char *text;
    const char *json;
    enum metric_id metric;
} g_levels[] = {
    [LOG_LEVEL_DEBUG] = {"DEBUG", "debug", METRIC_log_lines_debug},
    [LOG_LEVEL_INFO] = {"INFO ", "info", METRIC_log_lines_info},
    [LOG_LEVEL_WARN] = {"WARN ", "warn", METRIC_log_lines_warn},
    [LOG_LEVEL_ERROR] = {"ERROR", "error", METRIC_log_lines_error},
};

void log_configure(enum log_level min_level, enum log_format format)
{
    atomic_store_explicit(&g_min_level, (int)min_level, memory_order_relaxed);
    atomic_store_explicit(&g_format, (int)format, memory_order_relaxed);
}

void log_set_sink(void (*sink)(void *ctx, enum log_level level, const char *line, size_t len),
                  void *ctx)
{
    g_sink = sink;
    g_sink_ctx = ctx;
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&g_min_level, memory_order_relaxed);
}

static void put(struct line *l, const char *text, size_t len)
{
    if (len > LINE_SIZE - TAIL_ROOM - l->len) {
        l->full = true;
        return;
    }
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

static void put_str(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

static void put_timestamp(struct line *l)
{
    uint64_t us = clock_wall_us();
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char text[40];
    int n = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     (unsigned)(us % 1000000));
    put(l, text, (size_t)n);
}

/* The length of the well-formed UTF-8 sequence at the start of s; 0 when there is none. */
static size_t utf8_length(struct slice s)
{
    uint8_t c = s.ptr[0];
    if (c < 0x80) {
        return 1;
    }
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || s.len < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s.ptr[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates, past U+10FFFF: all show in the second byte. */
    uint8_t d = s.ptr[1];
    bool bad = (c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
               (c == 0xf4 && d > 0x8f);
    return bad ? 0 : len;
}

static void put_escaped_char(struct line *l, uint8_t c)
{
    char text[8];
    switch (c) {
    case '"': put_str(l, "\\\""); break;
    case '\\': put_str(l, "\\\\"); break;
    case '\n': put_str(l, "\\n"); break;
    case '\r': put_str(l, "\\r"); break;
    case '\t': put_str(l, "\\t"); break;
    default: snprintf(text, sizeof(text), "\\u%04x", c); put_str(l, text);
    }
}

/* The inside of a quoted string, the same in both formats. What is not UTF-8 becomes U+FFFD. */
static void put_escaped(struct line *l, struct slice s)
{
    bool cut = s.len > VALUE_MAX;
    if (cut) {
        s.len = VALUE_MAX;
    }
    while (s.len > 0 && !l->full) {
        size_t len = utf8_length(s);
        if (len == 0) {
            put_str(l, "\\ufffd");
            len = 1;
        } else if (len == 1 &&
                   (s.ptr[0] < 0x20 || s.ptr[0] == 0x7f || s.ptr[0] == '"' || s.ptr[0] == '\\')) {
            put_escaped_char(l, s.ptr[0]);
        } else {
            put(l, (const char *)s.ptr, len);
        }
        s = slice_from(s, len);
    }
    if (cut) {
        put_str(l, "...");
    }
}

static void put_quoted(struct line *l, struct slice s)
{
    put(l, "\"", 1);
    put_escaped(l, s);
    put(l, "\"", 1);
}

static bool is_plain(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f || s.ptr[i] == '"' || s.ptr[i] == '=' ||
            s.ptr[i] == '\\') {
            return false;
        }
    }
    return s.len > 0;
}

static void put_string(struct line *l, enum log_format format, struct slice s)
{
    if (format == LOG_FORMAT_TEXT && s.len <= VALUE_MAX && is_plain(s)) {
        put(l, (const char *)s.ptr, s.len);
    } else {
        put_quoted(l, s);
    }
}

static void put_value(struct line *l, enum log_format format, const struct log_field *f)
{
    char text[40];
    switch (f->kind) {
    case LOG_F_U64:
        snprintf(text, sizeof(text), "%llu", (unsigned long long)f->v.u64);
        put_str(l, text);
        break;
    case LOG_F_I64:
        snprintf(text, sizeof(text), "%lld", (long long)f->v.i64);
        put_str(l, text);
        break;
    case LOG_F_F64:
        if (!isfinite(f->v.f64)) {
            put_str(l, "null"); /* JSON has no infinity */
            break;
        }
        snprintf(text, sizeof(text), "%.15g", f->v.f64);
        put_str(l, text);
        break;
    case LOG_F_STR:
        put_string(l, format, f->v.str == NULL ? SLICE_LIT("(null)") : slice_str(f->v.str));
        break;
    case LOG_F_SLICE: put_string(l, format, f->v.slice); break;
    case LOG_F_ERR: put_string(l, format, slice_str(err_name(f->v.err))); break;
    }
}

static void put_field(struct line *l, enum log_format format, const struct log_field *f)
{
    size_t len_before = l->len;
    if (format == LOG_FORMAT_JSON) {
        put(l, ",", 1);
        put_quoted(l, slice_str(f->name));
        put(l, ":", 1);
    } else {
        put(l, " ", 1);
        put_str(l, f->name);
        put(l, "=", 1);
    }
    put_value(l, format, f);
    if (l->full) {
        l->len = len_before;
    }
}

static void put_head(struct line *l, enum log_format format, enum log_level level,
                     const char *event)
{
    if (format == LOG_FORMAT_JSON) {
        put_str(l, "{\"ts\":\"");
        put_timestamp(l);
        put_str(l, "\",\"level\":\"");
        put_str(l, g_levels[level].json);
        put_str(l, "\",\"event\":");
        put_quoted(l, slice_str(event));
    } else {
        put_timestamp(l);
        put(l, " ", 1);
        put_str(l, g_levels[level].text);
        put(l, " ", 1);
        put_str(l, event);
    }
}

static void put_tail(struct line *l, enum log_format format)
{
    const char *tail = format == LOG_FORMAT_JSON ? (l->full ? ",\"truncated\":true}\n" : "}\n")
                                                 : (l->full ? " truncated=true\n" : "\n");
    size_t len = strlen(tail); /* TAIL_ROOM was kept for it */
    memcpy(l->text + l->len, tail, len);
    l->len += len;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    enum log_format format = (enum log_format)atomic_load_explicit(&g_format, memory_order_relaxed);
    struct line l;
    l.len = 0;
    l.full = false;
    put_head(&l, format, level, event);
    for (size_t i = 0; i < count && !l.full; i++) {
        put_field(&l, format, &fields[i]);
    }
    put_tail(&l, format);
    metrics_add(g_levels[level].metric, 1);
    if (g_sink != NULL) {
        g_sink(g_sink_ctx, level, l.text, l.len);
        return;
    }
    int saved = errno;
    ssize_t n = write(STDERR_FILENO, l.text, l.len);
    (void)n; /* there is nobody left to tell */
    errno = saved;
}
