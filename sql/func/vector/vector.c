/* Vectors and their text.
 *
 * The text is "[1,2.5]" with white space around brackets and numbers; a number is what strtof()
 * takes to its end, in the C locale that the process keeps, but no infinity, no NaN and nothing
 * that is out of a float's range (a denormal is). The bytes are 32-bit floats, little endian; bytes
 * that are no vector's are taken for one as long as their number is a multiple of four. */
#include "sql/func/families.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ENTRY_BYTES = 4,
    ENTRY_TEXT_CHARS = 16, /* MYSQL: what the type of the text counts for each entry */
    ENTRY_TEXT_MAX = 16,   /* "-1.17549e-38,": what an entry needs */
    DIM_DIGITS = 10,
    MESSAGE_TEXT_MAX = 512,
    RANGE_TEXT_MAX = 32, /* MYSQL: bytes of a value that 1690 shows */
    WIDE_TEXT = 1, /* variant: MYSQL: messages end at the first zero byte, which is the first */
};

static const char *mysql_name(const struct func_call *call)
{
    return call->def->eval == vector_from_text ? "to_vector"
           : call->def->eval == vector_to_text ? "from_vector"
                                               : "vector_dim";
}

/* The text of a message: to the first NUL; what is no UTF-8 shows as question marks. */
static void shown_text(struct slice s, size_t max, char *out)
{
    const struct charset *utf8 = charset_by_name(SLICE_LIT("utf8mb4"));
    size_t n = 0;
    for (size_t i = 0; i < s.len && n < max && s.ptr[i] != '\0';) {
        size_t limit = s.len - i < 4 ? s.len - i : 4;
        size_t len = 1;
        while (len <= limit && utf8->ops->valid_prefix(utf8, slice_of(s.ptr + i, len)) != len) {
            len++;
        }
        if (len > limit) {
            out[n++] = '?';
            i++;
            continue;
        }
        if (n + len > max) {
            break;
        }
        memcpy(out + n, s.ptr + i, len);
        n += len;
        i += len;
    }
    out[n] = '\0';
}

static db_err no_vector(struct eval_ctx *ctx, struct slice text)
{
    char shown[MESSAGE_TEXT_MAX + 1];
    shown_text(text, MESSAGE_TEXT_MAX, shown);
    return my_error(ctx->diag, ER_TO_VECTOR_CONVERSION, shown);
}

static db_err too_long(struct eval_ctx *ctx, const struct func_call *call, struct slice text)
{
    char part[RANGE_TEXT_MAX + 1];
    char shown[RANGE_TEXT_MAX + sizeof("... ")];
    shown_text(text, RANGE_TEXT_MAX, part);
    snprintf(shown, sizeof(shown), "%s... ", part);
    return my_error(ctx->diag, ER_DATA_OUT_OF_RANGE, shown, mysql_name(call));
}

/* ---- from text ---- */

db_err vector_bind_from_text(BIND_ARGS)
{
    const struct sql_type *t = &args[0].type;
    if (type_is_numeric(t) || t->id == TYPE_JSON || t->id == TYPE_GEOMETRY) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, mysql_name(call));
    }
    func__want_text(ctx, &args[0]);
    if (type_is_string(t) && t->collation != COLL_BINARY && !func__charset(t)->ascii_superset) {
        func__want(&args[0], func__text(func__chars(t), COLL_UTF8MB4_0900_AI_CI));
        call->variant = WIDE_TEXT;
    }
    func__result_null(call, type_vector(VECTOR_LENGTH_MAX));
    call->coercibility = 2;
    return ERR_OK;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static const char *skip_spaces(const char *p)
{
    while (is_space(*p)) {
        p++;
    }
    return p;
}

/* text: its bytes with a NUL behind them; out: room for VECTOR_LENGTH_MAX entries at most, and for
 * half as many as the text has bytes. False: it is no vector's text. *ret_count is beyond
 * VECTOR_LENGTH_MAX when it has more entries. */
static bool parse_entries(const char *text, size_t len, uint8_t *out, uint32_t *ret_count)
{
    uint32_t n = 0;
    const char *p = skip_spaces(text);
    if (*p != '[') {
        return false;
    }
    do {
        char *end;
        errno = 0;
        float f = strtof(++p, &end);
        if (end == p || errno == ERANGE || !isfinite(f)) {
            return false;
        }
        if (n < VECTOR_LENGTH_MAX) {
            memcpy(out + (size_t)n * ENTRY_BYTES, &f, ENTRY_BYTES);
        }
        n++;
        p = skip_spaces(end);
    } while (*p == ',');
    if (*p != ']') {
        return false;
    }
    p = skip_spaces(p + 1);
    *ret_count = n;
    return (size_t)(p - text) == len;
}

db_err vector_from_text(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        size_t room = (s.len / 2 > VECTOR_LENGTH_MAX ? VECTOR_LENGTH_MAX : s.len / 2) + 1;
        uint8_t *bytes;
        uint8_t *text;
        uint32_t count;
        TRY(func__bytes(ctx, room * ENTRY_BYTES, &bytes));
        TRY(func__bytes(ctx, s.len + 1, &text));
        if (s.len != 0) {
            memcpy(text, s.ptr, s.len);
        }
        text[s.len] = '\0';
        if (!parse_entries((const char *)text, s.len, bytes, &count)) {
            return no_vector(ctx, call->variant == WIDE_TEXT ? SLICE_EMPTY : s);
        }
        if (count > VECTOR_LENGTH_MAX) {
            return too_long(ctx, call, s);
        }
        vec_set_str_ref(out, row, slice_of(bytes, (size_t)count * ENTRY_BYTES));
    }
    return ERR_OK;
}

/* ---- to text, and the number of entries ---- */

static db_err want_vector(struct func_bind_ctx *ctx, const struct func_call *call,
                          struct func_arg *arg)
{
    const struct sql_type *t = &arg->type;
    bool bytes = type_is_string(t) && (t->collation == COLL_BINARY || arg->is_placeholder);
    if (!bytes && t->id != TYPE_VECTOR && t->id != TYPE_NULL) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, mysql_name(call));
    }
    if (t->id == TYPE_NULL) {
        func__want_text(ctx, arg);
    }
    return ERR_OK;
}

db_err vector_bind_to_text(BIND_ARGS)
{
    TRY(want_vector(ctx, call, &args[0]));
    func__result_null(call, type_null());
    func__result_ascii(ctx, call, (uint64_t)VECTOR_LENGTH_MAX * ENTRY_TEXT_CHARS);
    return ERR_OK;
}

db_err vector_bind_dim(BIND_ARGS)
{
    TRY(want_vector(ctx, call, &args[0]));
    func__result_null(call, func__bigint(DIM_DIGITS));
    return ERR_OK;
}

static bool is_vector(struct slice s)
{
    return s.len != 0 && s.len % ENTRY_BYTES == 0;
}

db_err vector_to_text(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        if (!is_vector(s)) {
            return no_vector(ctx, s);
        }
        if (s.len > (size_t)VECTOR_LENGTH_MAX * ENTRY_BYTES) {
            return too_long(ctx, call, s);
        }
        uint8_t *bytes;
        size_t room = s.len / ENTRY_BYTES * ENTRY_TEXT_MAX + 2;
        TRY(func__bytes(ctx, room, &bytes));
        size_t used = 0;
        for (size_t i = 0; i < s.len; i += ENTRY_BYTES) {
            float f;
            memcpy(&f, s.ptr + i, ENTRY_BYTES);
            bytes[used++] = i == 0 ? '[' : ',';
            used += (size_t)snprintf((char *)bytes + used, room - used, "%.5e", (double)f);
        }
        bytes[used++] = ']';
        if (func__charset(&call->type)->ascii_superset) {
            vec_set_str_ref(out, row, slice_of(bytes, used));
        } else {
            TRY(func__set_ascii(ctx, out, row, slice_of(bytes, used)));
        }
    }
    return ERR_OK;
}

db_err vector_dim(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        if (!is_vector(s)) {
            return no_vector(ctx, s);
        }
        vec_set_i64(out, row, (int64_t)(s.len / ENTRY_BYTES));
    }
    return ERR_OK;
}
