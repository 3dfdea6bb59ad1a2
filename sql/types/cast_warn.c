/* Conditions of conversions: formatting them, and handing them to the statement. */
#include "sql/types/cast_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct message {
    uint16_t number;
    const char *sqlstate;
    const char *format;
};

static const struct message messages[] = {
#define CAST_MSG(number, sqlstate, format) {number, sqlstate, format},
#include "sql/types/cast_messages.def"
#undef CAST_MSG
};

static const struct message *find_message(unsigned number)
{
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        if (messages[i].number == number) {
            return &messages[i];
        }
    }
    ASSERT(false); /* a message that cast_messages.def does not have */
    return &messages[0];
}

void cast_ctx_init(struct cast_ctx *ctx, struct arena *arena, struct diag *diag)
{
    *ctx = (struct cast_ctx){
        .div_precision_increment = 4,
        .collation = COLL_UTF8MB4_0900_AI_CI,
        .tz = timezone_utc(),
        .row = 1,
        .arena = arena,
        .diag = diag,
    };
}

int64_t cast_now_local(struct cast_ctx *ctx)
{
    if (ctx->now_us != 0) {
        timezone_from_unix(ctx->tz, (int64_t)(ctx->now_us / 1000000u),
                           (uint32_t)(ctx->now_us % 1000000u), &ctx->now_local);
        ctx->now_us = 0;
    }
    return ctx->now_local;
}

static void set_refused(struct cast_ctx *ctx, uint16_t number, const char *sqlstate,
                        const char *text)
{
    if (ctx->telling == ctx && ctx->warn != NULL) {
        ctx->warn(ctx->warn_arg, CAST_ERROR, number, text);
    }
    if (ctx->refused) {
        return;
    }
    diag_set_sql(ctx->diag, number, sqlstate, "%s", text);
    struct diag *kept = ctx->arena == NULL ? NULL : ARENA_NEW(ctx->arena, struct diag);
    if (kept != NULL) {
        *kept = *ctx->diag;
    }
    ctx->refused = true;
    ctx->refusal = kept;
}

/* An error of strict mode? */
static bool refuse(struct cast_ctx *ctx, enum cast_level level, uint16_t number,
                   const char *sqlstate, const char *text)
{
    /* out of range; no such number or date; too long; nothing to divide by; no value for a
     * function; overflows; logarithm
     */
    static const uint16_t refused[] = {1264, 1292, 1301, 1365, 1411, 1441, 3020, 6527};
    bool is = false;
    for (size_t i = 0; ctx->strict && level == CAST_WARNING && i < ARRAY_COUNT(refused); i++) {
        is = is || number == refused[i];
    }
    if (is) {
        set_refused(ctx, number, sqlstate, text);
    }
    return is;
}

void cast__warn_no_digit(struct cast_ctx *ctx)
{
    static const char text[] = "Incorrect DECIMAL value: '0' for column '' at row -1";
    if (ctx->warn == NULL) {
        return;
    }
    if (!ctx->strict) {
        ctx->warn(ctx->warn_arg, CAST_WARNING, 1366, text);
        return;
    }
    set_refused(ctx, 1366, "HY000", text);
}

db_err cast_refusal(struct cast_ctx *ctx, db_err err)
{
    if (LIKELY(!ctx->refused)) {
        return err;
    }
    ctx->refused = false;
    if (err != ERR_OK && err != ERR_SQL) {
        return err;
    }
    if (ctx->refusal == NULL) {
        return ERR_SQL;
    }
    if (err == ERR_SQL && ctx->telling == ctx && ctx->warn != NULL &&
        (ctx->diag->number != ctx->refusal->number ||
         strcmp(ctx->diag->text, ctx->refusal->text) != 0)) {
        ctx->warn(ctx->warn_arg, CAST_ERROR, ctx->diag->number, ctx->diag->text);
    }
    *ctx->diag = *ctx->refusal;
    return ERR_SQL;
}

void cast_tell(struct cast_ctx *ctx, enum cast_level level, uint16_t number, const char *sqlstate,
               const char *text)
{
    if (!refuse(ctx, level, number, sqlstate, text)) {
        ctx->warn(ctx->warn_arg, level, number, text);
    }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

void cast_warn(struct cast_ctx *ctx, enum cast_level level, unsigned number, ...)
{
    if (ctx->warn == NULL) {
        return;
    }
    char text[DIAG_TEXT_SIZE];
    va_list args;
    va_start(args, number);
    vsnprintf(text, sizeof(text), find_message(number)->format, args);
    va_end(args);
    cast_tell(ctx, level, (uint16_t)number, find_message(number)->sqlstate, text);
}

db_err cast_error(struct cast_ctx *ctx, unsigned number, ...)
{
    const struct message *m = find_message(number);
    char text[DIAG_TEXT_SIZE];
    va_list args;
    va_start(args, number);
    vsnprintf(text, sizeof(text), m->format, args);
    va_end(args);
    return diag_set_sql(ctx->diag, m->number, m->sqlstate, "%s", text);
}

#pragma GCC diagnostic pop

void cast__printable(unsigned collation, struct slice s, char out[MESSAGE_VALUE_MAX])
{
    static const char hex[] = "0123456789ABCDEF";
    const struct collation *c = collation_by_id(collation);
    const struct charset *cs = c == NULL ? NULL : c->cs;
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    size_t n = 0;
    while (p < end && n < MESSAGE_VALUE_MAX - 8) {
        uint32_t cp = *p;
        /* MYSQL: of bytes without a character set all but printable ASCII is in hex */
        bool plain = collation == COLL_BINARY ? *p >= ' ' && *p < 0x7f : *p < 0x80;
        unsigned len = plain ? 1 : 0;
        if (len == 0 && cs != NULL && cs->ops != NULL && collation != COLL_BINARY) {
            len = charset_decode(cs, p, end, &cp);
        }
        if (len == 0) {
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = hex[*p >> 4];
            out[n++] = hex[*p & 15];
            p++;
        } else {
            n += utf8mb4_encode(cp, (uint8_t *)out + n);
            p += len;
        }
    }
    out[n] = '\0';
}

void cast__warn_truncated(struct cast_ctx *ctx, const char *what, unsigned collation,
                          struct slice text)
{
    if (ctx->warn != NULL) {
        char shown[MESSAGE_VALUE_MAX];
        const uint8_t *nul =
            strcmp(what, "DOUBLE") != 0 || text.len == 0 ? NULL : memchr(text.ptr, '\0', text.len);
        cast__printable(collation,
                        nul == NULL ? text : slice_of(text.ptr, (size_t)(nul - text.ptr)), shown);
        cast_warn(ctx, CAST_WARNING, 1292, "Truncated incorrect", what, shown, "");
    }
}

static void delimiter_text(char c, char out[8])
{
    static const struct {
        char c;
        char text[3];
    } escapes[] = {{'\t', "\\t"}, {'\n', "\\n"}, {'\r', "\\r"}, {'\\', "\\\\"}};
    snprintf(out, 8, "%c", c);
    for (size_t i = 0; i < ARRAY_COUNT(escapes); i++) {
        if (escapes[i].c == c) {
            snprintf(out, 8, "%s", escapes[i].text);
        }
    }
}

void cast_warn_delimiter(struct cast_ctx *ctx, unsigned cond, const struct temporal_note *note,
                         unsigned collation, struct slice text)
{
    if (ctx->warn == NULL) {
        return;
    }
    if ((cond & (TEMPORAL_DEPRECATED | TEMPORAL_SUPERFLUOUS)) == 0 || ctx->refused) {
        return;
    }
    char shown[MESSAGE_VALUE_MAX];
    char delimiter[8];
    char preferred[2] = {note->preferred, '\0'};
    cast__printable(collation, text, shown);
    delimiter_text(note->delimiter, delimiter);
    unsigned long long row = ctx->row;
    if ((cond & TEMPORAL_DEPRECATED) != 0) {
        cast_warn(ctx, CAST_WARNING, 4095, delimiter, note->position, shown, row, preferred);
    } else {
        cast_warn(ctx, CAST_WARNING, 4096, delimiter, note->position, shown, row);
    }
}
