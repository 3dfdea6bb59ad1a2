/* Joining, measuring, cutting and changing strings. Results that are a part of an argument borrow
 * its bytes: they live at least as long as the chunk. */
#include "sql/func/families.h"

static const struct charset *result_charset(const struct func_call *call)
{
    return collation_by_id(call->collation)->cs;
}

/* A borrowed part of args' bytes: short ones are copied into the view. */
static void set_part(struct vector *out, uint32_t row, struct slice s)
{
    vec_set_str_ref(out, row, s);
}

/* ---- CONCAT ---- */

db_err string_concat(EVAL_ARGS)
{
    uint64_t max = func__packet_max(ctx);
    EACH_ROW(row)
    {
        uint64_t total = 0;
        for (uint32_t i = 0; i < call->arg_count; i++) {
            total += vec_str(args[i], row).len;
        }
        if (total > max) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        uint8_t small[STRV_INLINE_MAX];
        uint8_t *p = small;
        if (total > STRV_INLINE_MAX) {
            TRY(func__bytes(ctx, (size_t)total, &p));
        }
        size_t at = 0;
        for (uint32_t i = 0; i < call->arg_count; i++) {
            struct slice s = vec_str(args[i], row);
            if (s.len != 0) {
                memcpy(p + at, s.ptr, s.len);
            }
            at += s.len;
        }
        vec_set_str_ref(out, row, slice_of(p, at));
    }
    return ERR_OK;
}

db_err string_concat_ws(EVAL_ARGS)
{
    uint64_t max = func__packet_max(ctx);
    EACH_ROW(row)
    {
        if (vec_is_null(args[0], row)) {
            vec_set_null(out, row);
            continue;
        }
        struct slice separator = vec_str(args[0], row);
        uint64_t total = 0;
        for (uint32_t i = 1; i < call->arg_count; i++) {
            total += vec_is_null(args[i], row) ? 0 : vec_str(args[i], row).len + separator.len;
        }
        if (total > max) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        uint8_t *p;
        size_t at = 0;
        bool first = true;
        TRY(func__bytes(ctx, (size_t)total, &p));
        for (uint32_t i = 1; i < call->arg_count; i++) {
            if (vec_is_null(args[i], row)) {
                continue;
            }
            struct slice s = vec_str(args[i], row);
            if (!first && separator.len != 0) {
                memcpy(p + at, separator.ptr, separator.len);
                at += separator.len;
            }
            if (s.len != 0) {
                memcpy(p + at, s.ptr, s.len);
            }
            at += s.len;
            first = false;
        }
        vec_set_str_ref(out, row, slice_of(p, at));
    }
    return ERR_OK;
}

/* ---- measures ---- */

/* variant: 0 characters, else units per byte. */
db_err string_measure(EVAL_ARGS)
{
    (void)ctx;
    const struct charset *cs = func__charset(&call->arg_types[0]);
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        size_t len = call->variant == 0 ? charset_char_count(cs, s) : s.len * (size_t)call->variant;
        vec_set_i64(out, row, (int64_t)len);
    }
    return ERR_OK;
}

db_err string_case(EVAL_ARGS)
{
    const struct collation *c = collation_by_id(call->collation);
    SCOPE_BUF(b, SIZE_MAX / 2);
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        if (call->collation == COLL_BINARY) {
            set_part(out, row, s);
            continue;
        }
        buf_reset(&b);
        TRY(call->variant == 1 ? collation_upper(c, s, &b) : collation_lower(c, s, &b));
        TRY(func__set_buf(ctx, out, row, &b));
    }
    return ERR_OK;
}

db_err string_reverse(EVAL_ARGS)
{
    const struct charset *cs = result_charset(call);
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        uint8_t *p;
        TRY(func__bytes(ctx, s.len, &p));
        for (size_t i = 0; i < s.len;) {
            uint32_t cp;
            size_t len = charset_decode(cs, s.ptr + i, s.ptr + s.len, &cp);
            len = len == 0 ? 1 : len;
            memcpy(p + s.len - i - len, s.ptr + i, len);
            i += len;
        }
        vec_set_str_ref(out, row, slice_of(p, s.len));
    }
    return ERR_OK;
}

/* ---- parts ---- */

/* A count argument: negative is 0, unsigned and huge is SIZE_MAX. */
static size_t count_of(const struct func_call *call, uint32_t i, const struct vector *v,
                       uint32_t row)
{
    int64_t n = vec_i64(v, row);
    if (n < 0) {
        return type_is_unsigned(&call->arg_types[i]) ? SIZE_MAX : 0;
    }
    return (size_t)n;
}

db_err string_left(EVAL_ARGS)
{
    (void)ctx;
    const struct charset *cs = result_charset(call);
    EACH_ROW(row)
    {
        size_t count = count_of(call, 1, args[1], row);
        set_part(out, row, charset_substring(cs, vec_str(args[0], row), 0, count));
    }
    return ERR_OK;
}

db_err string_right(EVAL_ARGS)
{
    (void)ctx;
    const struct charset *cs = result_charset(call);
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        size_t count = count_of(call, 1, args[1], row);
        size_t chars = charset_char_count(cs, s);
        set_part(out, row, charset_substring(cs, s, count < chars ? chars - count : 0, SIZE_MAX));
    }
    return ERR_OK;
}

db_err string_substring(EVAL_ARGS)
{
    (void)ctx;
    const struct charset *cs = result_charset(call);
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        int64_t from = vec_i64(args[1], row);
        size_t count = call->arg_count == 3 ? count_of(call, 2, args[2], row) : SIZE_MAX;
        bool huge = from < 0 && type_is_unsigned(&call->arg_types[1]);
        size_t start = (size_t)from - 1;
        if (from == 0 || huge || count == 0) {
            set_part(out, row, SLICE_EMPTY);
            continue;
        }
        if (from < 0) {
            size_t chars = charset_char_count(cs, s);
            uint64_t back = 0 - (uint64_t)from;
            if (back > chars) {
                set_part(out, row, SLICE_EMPTY);
                continue;
            }
            start = chars - (size_t)back;
        }
        set_part(out, row, charset_substring(cs, s, start, count));
    }
    return ERR_OK;
}

static struct slice trim_run(struct slice s, struct slice what, int mode)
{
    if (what.len == 0) {
        return s;
    }
    while (mode != 2 && slice_starts_with(s, what)) {
        s = slice_from(s, what.len);
    }
    while (mode != 1 && s.len >= what.len &&
           memcmp(s.ptr + s.len - what.len, what.ptr, what.len) == 0) {
        s.len -= what.len;
    }
    return s;
}

/* variant: 0 both, 1 leading, 2 trailing. TRIM has the mode as first argument. */
db_err string_trim(EVAL_ARGS)
{
    (void)ctx;
    uint32_t at = call->arg_count == 1 ? 0 : 1;
    uint8_t space[8] = " ";
    const struct charset *cs = result_charset(call);
    size_t width = cs->minlen == 1 ? 1 : charset_encode(cs, ' ', space);
    EACH_ROW(row)
    {
        struct slice what = call->arg_count == 3 ? vec_str(args[2], row) : slice_of(space, width);
        set_part(out, row, trim_run(vec_str(args[at], row), what, call->variant));
    }
    return ERR_OK;
}

/* ---- longer strings ---- */

static void fill(uint8_t *p, size_t len, struct slice with)
{
    for (size_t at = 0; at < len; at += with.len) {
        size_t n = len - at < with.len ? len - at : with.len;
        memcpy(p + at, with.ptr, n);
    }
}

db_err string_repeat(EVAL_ARGS)
{
    uint64_t max = func__packet_max(ctx);
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        size_t count = count_of(call, 1, args[1], row);
        size_t len;
        if (s.len == 0 || count == 0) {
            set_part(out, row, SLICE_EMPTY);
            continue;
        }
        if (__builtin_mul_overflow(s.len, count, &len) || len > max) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        uint8_t *p;
        TRY(func__bytes(ctx, len, &p));
        fill(p, len, s);
        vec_set_str_ref(out, row, slice_of(p, len));
    }
    return ERR_OK;
}

db_err string_space(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        size_t count = count_of(call, 0, args[0], row);
        if (count > func__packet_max(ctx)) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        uint8_t *p;
        TRY(func__bytes(ctx, count, &p));
        memset(p, ' ', count);
        TRY(func__set_ascii(ctx, out, row, slice_of(p, count)));
    }
    return ERR_OK;
}

/* variant: 0 LPAD, 1 RPAD. */
db_err string_pad(EVAL_ARGS)
{
    const struct charset *cs = result_charset(call);
    uint64_t max = func__packet_max(ctx);
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        struct slice with = vec_str(args[2], row);
        int64_t want = vec_i64(args[1], row);
        bool huge = want < 0 && type_is_unsigned(&call->arg_types[1]);
        size_t chars = charset_char_count(cs, s);
        if (huge || (want > 0 && (uint64_t)want * cs->minlen > max)) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        if (want < 0) {
            vec_set_null(out, row);
            continue;
        }
        if ((size_t)want <= chars) {
            set_part(out, row, charset_substring(cs, s, 0, (size_t)want));
            continue;
        }
        size_t with_chars = charset_char_count(cs, with);
        if (with_chars == 0) {
            set_part(out, row, s);
            continue;
        }
        size_t missing = (size_t)want - chars;
        size_t rest = charset_substring(cs, with, 0, missing % with_chars).len;
        size_t pad = missing / with_chars * with.len + rest;
        if (pad + s.len > max) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        uint8_t *p;
        TRY(func__bytes(ctx, pad + s.len, &p));
        fill(call->variant == 0 ? p : p + s.len, pad, with);
        if (s.len != 0) {
            memcpy(call->variant == 0 ? p + pad : p, s.ptr, s.len);
        }
        vec_set_str_ref(out, row, slice_of(p, pad + s.len));
    }
    return ERR_OK;
}

db_err string_insert(EVAL_ARGS)
{
    const struct charset *cs = result_charset(call);
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        struct slice with = vec_str(args[3], row);
        int64_t from = vec_i64(args[1], row);
        int64_t count = vec_i64(args[2], row);
        size_t chars = charset_char_count(cs, s);
        if (from < 1 || (uint64_t)from > chars) {
            set_part(out, row, s);
            continue;
        }
        struct slice head = charset_substring(cs, s, 0, (size_t)from - 1);
        struct slice tail = slice_from(s, head.len);
        size_t cut = count < 0 ? SIZE_MAX : (size_t)count;
        tail = slice_from(tail, charset_substring(cs, tail, 0, cut).len);
        size_t len = head.len + with.len + tail.len;
        if (len > func__packet_max(ctx)) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        uint8_t *p;
        TRY(func__bytes(ctx, len + 1, &p));
        memcpy(p, head.ptr, head.len);
        if (with.len != 0) {
            memcpy(p + head.len, with.ptr, with.len);
        }
        memcpy(p + head.len + with.len, tail.ptr, tail.len);
        vec_set_str_ref(out, row, slice_of(p, len));
    }
    return ERR_OK;
}
