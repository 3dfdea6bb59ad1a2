/* Compiling and matching: the shared part of the REGEXP functions. */
#include "sql/func/regexp/regexp_int.h"

#include <unicode/ustring.h>

#include "base/fiber.h"

enum { TIME_LIMIT_STEPS = 32, STACK_BYTES = 8000000 };

/* ---- UTF-16 ---- */

const struct charset *regexp__charset(const struct sql_type *t)
{
    const struct charset *cs = func__charset(t);
    return cs != collation_by_id(COLL_BINARY)->cs ? cs
                                                  : collation_by_id(COLL_LATIN1_SWEDISH_CI)->cs;
}

static db_err no_characters(struct diag *diag, struct slice s, const struct charset *cs)
{
    char shown[CAST_BYTES_TEXT_MAX];
    cast_bytes_start(s, shown);
    return my_error(diag, ER_CANNOT_CONVERT_STRING, shown, cs->name, "utf16le");
}

db_err regexp__utf16(struct diag *diag, struct slice s, const struct charset *cs, struct buf *out)
{
    TRY(buf_reserve(out, (s.len + 1) * 2 * sizeof(UChar)));
    for (size_t i = 0; i < s.len;) {
        uint32_t cp = s.ptr[i];
        unsigned len =
            cp < 0x80 && cs->ascii_superset ? 1 : charset_decode(cs, s.ptr + i, s.ptr + s.len, &cp);
        UChar units[2] = {(UChar)cp, 0};
        unsigned count = 1;
        if (len == 0 || cp > UCHAR_MAX_VALUE) {
            TRY(diag == NULL ? ERR_OK : no_characters(diag, s, cs));
            units[0] = 0xfffd;
            len = len == 0 ? 1 : len;
        } else if (cp > 0xffff) {
            units[0] = (UChar)(0xd7c0 + (cp >> 10));
            units[1] = (UChar)(0xdc00 | (cp & 0x3ff));
            count = 2;
        }
        TRY(buf_append(out, units, count * sizeof(UChar)));
        i += len;
    }
    return ERR_OK;
}

static const UChar *subject(const struct regexp *r)
{
    return (const UChar *)(const void *)r->subject.ptr;
}

static int32_t subject_units(const struct regexp *r)
{
    return (int32_t)(r->subject.len / sizeof(UChar));
}

int32_t regexp__unit(const struct regexp *r, int64_t from)
{
    const UChar *p = subject(r);
    int32_t units = subject_units(r);
    int32_t at = 0;
    for (int64_t i = 1; i < from; i++) {
        if (at >= units) {
            return -1;
        }
        at += (p[at] & 0xfc00) == 0xd800 ? 2 : 1;
    }
    return at;
}

int64_t regexp__chars(const struct regexp *r, int32_t unit)
{
    return unit == 0 ? 0 : u_countChar32(subject(r), unit);
}

db_err regexp__set(struct eval_ctx *ctx, struct vector *out, uint32_t row, const UChar *text,
                   int32_t len)
{
    const struct charset *cs = regexp__charset(out->type);
    uint8_t *p;
    size_t at = 0;
    TRY(func__bytes(ctx, (size_t)len * 4 + 1, &p));
    for (int32_t i = 0; i < len;) {
        uint32_t cp = text[i++];
        if ((cp & 0xfc00) == 0xd800 && i < len) {
            cp = ((cp & 0x3ff) << 10 | (text[i++] & 0x3ffu)) + 0x10000;
        }
        unsigned n = charset_encode(cs, cp, p + at);
        if (n == 0) {
            p[at] = '?';
            n = 1;
        }
        at += n;
    }
    vec_set_str_ref(out, row, slice_of(p, at));
    return ERR_OK;
}

/* ---- errors ---- */

struct icu_error {
    UErrorCode status;
    uint16_t number;
    const char *text;
};

static const struct icu_error g_errors[] = {
    {U_REGEX_BAD_ESCAPE_SEQUENCE, 3689, "Unrecognized escape sequence in regular expression."},
    {U_REGEX_MISMATCHED_PAREN, 3691, "Mismatched parenthesis in regular expression."},
    {U_REGEX_BAD_INTERVAL, 3692, "Incorrect description of a {min,max} interval."},
    {U_REGEX_MAX_LT_MIN, 3693, "The maximum is less than the minumum in a {min,max} interval."},
    {U_REGEX_INVALID_BACK_REF, 3694, "Invalid back-reference in regular expression."},
    {U_REGEX_LOOK_BEHIND_LIMIT, 3695,
     "The look-behind assertion exceeds the limit in regular expression."},
    {U_REGEX_MISSING_CLOSE_BRACKET, 3696,
     "The regular expression contains an unclosed bracket expression."},
    {U_REGEX_INVALID_RANGE, 3697,
     "The regular expression contains an [x-y] character range where x comes after y."},
    {U_REGEX_STACK_OVERFLOW, 3698, "Overflow in the regular expression backtrack stack."},
    {U_REGEX_TIME_OUT, 3699, "Timeout exceeded in regular expression match."},
    {U_REGEX_INVALID_CAPTURE_GROUP_NAME, 3887, "A capture group has an invalid name."},
    {U_INDEX_OUTOFBOUNDS_ERROR, 3686, "Index out of bounds in regular expression search."},
    {U_ILLEGAL_ARGUMENT_ERROR, 3685, "Illegal argument to a regular expression."},
    {U_REGEX_PROPERTY_SYNTAX, 3685, "Illegal argument to a regular expression."},
};

db_err regexp__error(struct eval_ctx *ctx, UErrorCode status, const UParseError *where)
{
    if (status == U_REGEX_RULE_SYNTAX && where != NULL) {
        return my_error(ctx->diag, ER_REGEXP_RULE_SYNTAX, (unsigned)where->line,
                        (unsigned)where->offset);
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_errors); i++) {
        if (g_errors[i].status == status) {
            return diag_set_sql(ctx->diag, g_errors[i].number, "HY000", "%s", g_errors[i].text);
        }
    }
    return my_error(ctx->diag, ER_REGEXP_INTERNAL_ERROR);
}

db_err regexp__find_error(struct eval_ctx *ctx, UErrorCode status, const struct regexp_turns *turns)
{
    return status == U_REGEX_STOPPED_BY_CALLER ? turns->stopped : regexp__error(ctx, status, NULL);
}

/* ---- turns ---- */

/* Before a match is looked for one character on. */
static UBool on_find(const void *arg, int64_t at)
{
    struct regexp_turns *t = (struct regexp_turns *)(uintptr_t)arg;
    (void)at;
    t->stopped = fiber_work(&t->work, t->per_find);
    return t->stopped == ERR_OK;
}

/* After some 10,000 attempts. */
static UBool on_match(const void *arg, int32_t steps)
{
    struct regexp_turns *t = (struct regexp_turns *)(uintptr_t)arg;
    (void)steps;
    t->stopped = fiber_checkpoint();
    return t->stopped == ERR_OK;
}

db_err regexp__take_turns(URegularExpression *re, size_t pattern_units, size_t subject_units,
                          struct regexp_turns *io_turns)
{
    enum { WORK_AT_ONCE = 1 << 19 };
    UErrorCode status = U_ZERO_ERROR;
    size_t work = pattern_units * subject_units;
    bool often = work > WORK_AT_ONCE;
    io_turns->per_find = pattern_units;
    if (often != io_turns->often) {
        uregex_setFindProgressCallback(re, often ? on_find : NULL, io_turns, &status);
        io_turns->often = often;
    }
    uregex_setMatchCallback(re, on_match, io_turns, &status);
    return fiber_work(&io_turns->work, often ? 0 : work);
}

/* ---- matchers ---- */

static void close_matcher(void *arg)
{
    struct regexp *r = arg;
    uregex_close(r->re);
    buf_fini(&r->pattern);
    buf_fini(&r->subject);
    buf_fini(&r->scratch);
    r->re = NULL;
}

db_err regexp__open(struct eval_ctx *ctx, const struct func_call *call, struct regexp **ret)
{
    void *state;
    bool fresh;
    TRY(func__state(ctx, call, sizeof(struct regexp), &state, &fresh));
    struct regexp *r = state;
    if (fresh) {
        buf_init(&r->pattern, SIZE_MAX / 4);
        buf_init(&r->subject, SIZE_MAX / 4);
        buf_init(&r->scratch, SIZE_MAX / 4);
        TRY(arena_on_reset(ctx->statement, close_matcher, r));
    }
    *ret = r;
    return ERR_OK;
}

/* Letters of match_type; the last of c and i wins. The collation decides when neither is there. */
static db_err mode_flags(struct eval_ctx *ctx, const struct func_call *call, struct slice mode,
                         uint32_t *ret)
{
    const char *name = collation_by_id(call->collation)->name;
    size_t len = strlen(name);
    bool ci = len > 3 && strcmp(name + len - 3, "_ci") == 0;
    uint32_t flags = ci ? UREGEX_CASE_INSENSITIVE : 0;
    for (size_t i = 0; i < mode.len; i++) {
        switch (mode.ptr[i]) {
        case 'c': flags &= ~(uint32_t)UREGEX_CASE_INSENSITIVE; break;
        case 'i': flags |= UREGEX_CASE_INSENSITIVE; break;
        case 'm': flags |= UREGEX_MULTILINE; break;
        case 'n': flags |= UREGEX_DOTALL; break;
        case 'u': flags |= UREGEX_UNIX_LINES; break;
        default: return my_error(ctx->diag, ER_WRONG_ARGUMENTS, call->def->name);
        }
    }
    *ret = flags;
    return ERR_OK;
}

static db_err compile(struct eval_ctx *ctx, struct regexp *r, struct slice pattern,
                      const struct charset *cs, uint32_t flags)
{
    if (r->re != NULL && r->flags == flags && slice_eq(pattern, buf_slice(&r->pattern))) {
        return ERR_OK;
    }
    UErrorCode status = U_ZERO_ERROR;
    UParseError where;
    uregex_close(r->re);
    r->re = NULL;
    buf_reset(&r->pattern);
    buf_reset(&r->scratch);
    TRY(buf_append_slice(&r->pattern, pattern));
    TRY(regexp__utf16(ctx->diag, pattern, cs, &r->scratch));
    if (pattern.len == 0) {
        return regexp__error(ctx, U_ILLEGAL_ARGUMENT_ERROR, NULL);
    }
    int32_t units = (int32_t)(r->scratch.len / sizeof(UChar));
    r->re = uregex_open((const UChar *)(const void *)r->scratch.ptr, units, flags, &where, &status);
    if (U_FAILURE(status)) {
        r->re = NULL;
        return regexp__error(ctx, status, &where);
    }
    r->flags = flags;
    uint32_t steps = ctx->env == NULL ? 0 : ctx->env->regexp_time_limit;
    uint32_t stack = ctx->env == NULL ? 0 : ctx->env->regexp_stack_limit;
    uregex_setTimeLimit(r->re, steps != 0 ? (int32_t)steps : TIME_LIMIT_STEPS, &status);
    uregex_setStackLimit(r->re, stack != 0 ? (int32_t)stack : STACK_BYTES, &status);
    r->turns = (struct regexp_turns){.work = r->turns.work};
    r->pattern_units = (size_t)units;
    return ERR_OK;
}

db_err regexp__start(struct eval_ctx *ctx, const struct func_call *call, struct regexp *r,
                     struct vector *const *args, uint32_t row, uint32_t mode_arg)
{
    struct slice mode = SLICE_EMPTY;
    uint32_t flags = 0;
    if (mode_arg < call->arg_count) {
        mode = vec_str(args[mode_arg], row);
    }
    TRY(mode_flags(ctx, call, mode, &flags));
    TRY(compile(ctx, r, vec_str(args[1], row), regexp__charset(args[1]->type), flags));
    buf_reset(&r->subject);
    TRY(regexp__utf16(ctx->diag, vec_str(args[0], row), regexp__charset(args[0]->type),
                      &r->subject));
    UErrorCode status = U_ZERO_ERROR;
    uregex_setText(r->re, subject(r), subject_units(r), &status);
    if (U_FAILURE(status)) {
        return regexp__error(ctx, status, NULL);
    }
    return regexp__take_turns(r->re, r->pattern_units, (size_t)subject_units(r), &r->turns);
}

db_err regexp__find(struct eval_ctx *ctx, struct regexp *r, int64_t from, int64_t occurrence,
                    bool *ret_found)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t start = from < 1 ? -1 : regexp__unit(r, from);
    if (start < 0) {
        return regexp__error(ctx, U_INDEX_OUTOFBOUNDS_ERROR, NULL);
    }
    bool found = uregex_find(r->re, start, &status);
    if (U_FAILURE(status)) {
        return regexp__find_error(ctx, status, &r->turns);
    }
    for (int64_t i = 1; i < occurrence && found; i++) {
        TRY(regexp__next(ctx, r, &found));
    }
    *ret_found = found;
    return ERR_OK;
}

db_err regexp__next(struct eval_ctx *ctx, struct regexp *r, bool *ret_found)
{
    UErrorCode status = U_ZERO_ERROR;
    TRY(fiber_work(&r->turns.work, r->turns.per_find));
    *ret_found = uregex_findNext(r->re, &status);
    return U_FAILURE(status) ? regexp__find_error(ctx, status, &r->turns) : ERR_OK;
}
