/* FORMAT(number, decimals[, locale]): rounded, with the locale's point and groups of digits. */
#include "sql/func/families.h"
#include "sql/func/math/math_int.h"

#include <math.h>

struct number_locale {
    const char *name;
    const char *point;
    struct slice separator; /* bg_BG has a zero byte, as in MySQL */
    uint8_t first_group;    /* digits next to the point; 0: no groups */
    uint8_t next_groups;
};

static const struct number_locale g_locales[] = {
#define LOCALE(name, point, separator, first, next)                                                \
    {name, point, {(const uint8_t *)separator, sizeof(separator) - 1}, first, next},
#include "sql/func/math/number_locales.def"
#undef LOCALE
};

static const struct number_locale g_plain = {"en_US", ".", {(const uint8_t *)",", 1}, 3, 3};

/* NULL: unknown. */
static const struct number_locale *locale_named(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_locales); i++) {
        if (slice_eq_nocase(name, slice_str(g_locales[i].name))) {
            return &g_locales[i];
        }
    }
    return NULL;
}

static const char *unknown(struct arena *arena, struct slice name)
{
    enum { SHOWN_MAX = 40 };
    return arena_printf(arena, "Unknown locale: '%.*s'",
                        (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX), (const char *)name.ptr);
}

static const struct number_locale *find_locale(struct eval_ctx *ctx, struct slice name)
{
    const struct number_locale *l = locale_named(name);
    if (l == NULL && ctx->cast->warn != NULL) {
        const char *text = unknown(ctx->arena, name);
        if (text != NULL) {
            ctx->cast->warn(ctx->cast->warn_arg, CAST_WARNING, ER_UNKNOWN_LOCALE, text);
        }
    }
    return l != NULL ? l : &g_plain;
}

db_err math__constant_locale(struct func_bind_ctx *ctx, struct func_call *call,
                             const struct func_arg *arg)
{
    const struct value *v = arg->constant != NULL ? arg->constant : arg->lifted;
    if (v == NULL || (!v->is_null && v->phys != PHYS_STR)) {
        return ERR_OK;
    }
    struct slice name = v->is_null ? SLICE_LIT("NULL") : v->str;
    const struct number_locale *l = v->is_null ? NULL : locale_named(name);
    if (l == NULL && ctx->warn != NULL) {
        const char *text = unknown(ctx->arena, name);
        if (text == NULL) {
            return ERR_NOMEM;
        }
        ctx->warn(ctx->warn_arg, CAST_WARNING, ER_UNKNOWN_LOCALE, text);
    }
    ctx->by_text = ctx->by_text || arg->lifted != NULL;
    call->data = l != NULL ? l : &g_plain;
    return ERR_OK;
}

/* text: [-]digits[.digits]. */
static db_err group(struct slice text, const struct number_locale *l, struct buf *b)
{
    size_t i = 0;
    size_t end = 0;
    if (text.len != 0 && text.ptr[0] == '-') {
        TRY(buf_append_u8(b, '-'));
        i = 1;
    }
    for (end = i; end < text.len && text.ptr[end] != '.'; end++) {
    }
    for (; i < end; i++) {
        TRY(buf_append_u8(b, text.ptr[i]));
        size_t left = end - i - 1;
        bool first = l->first_group != 0 && left == l->first_group;
        bool later = l->next_groups != 0 && left > l->first_group &&
                     (left - l->first_group) % l->next_groups == 0;
        if (first || later) {
            TRY(buf_append_slice(b, l->separator));
        }
    }
    if (end < text.len) {
        TRY(buf_append_slice(b, slice_str(l->point)));
        TRY(buf_append(b, text.ptr + end + 1, text.len - end - 1));
    }
    return ERR_OK;
}

static struct slice number_text(const struct func_call *call, const struct vector *v, uint32_t row,
                                int64_t digits, char *text)
{
    if (call->variant == NUM_DOUBLE) {
        double d = vec_double(v, row);
        double power = pow(10.0, (double)digits);
        if (isfinite(d * power)) {
            d = rint(d * power) / power;
        }
        return slice_of(text, double_to_text(d, (unsigned)digits, text));
    }
    struct decimal d;
    (void)decimal_round(vec_decimal(v, row), (int)digits, DECIMAL_HALF_UP, &d);
    return slice_of(text, decimal_to_text(&d, text));
}

db_err math_format(EVAL_ARGS)
{
    enum { TEXT_MAX = 1024 };
    EACH_ROW(row)
    {
        if (vec_is_null(args[0], row) || vec_is_null(args[1], row)) {
            vec_set_null(out, row);
            continue;
        }
        const struct number_locale *l = call->data != NULL ? call->data : &g_plain;
        if (call->data != NULL) {
            /* bind has looked at it */
        } else if (call->arg_count == 3 && !vec_is_null(args[2], row)) {
            l = find_locale(ctx, vec_str(args[2], row));
        } else if (call->arg_count == 3) {
            l = find_locale(ctx, SLICE_LIT("NULL"));
        }
        int64_t digits = (int32_t)(uint32_t)vec_u64(args[1], row); /* MYSQL: its low 32 bits */
        digits = digits < 0 ? 0 : digits > DECIMAL_SCALE_MAX ? DECIMAL_SCALE_MAX : digits;
        char text[NUMBER_TEXT_MAX];
        SCOPE_BUF(b, TEXT_MAX);
        TRY(group(number_text(call, args[0], row, digits, text), l, &b));
        TRY(func__set_ascii(ctx, out, row, buf_slice(&b)));
    }
    return ERR_OK;
}
