/* Looking for strings in strings. LOCATE, INSTR, FIELD and FIND_IN_SET go by the collation; REPLACE
 * and SUBSTRING_INDEX by bytes, as in MySQL. */
#include "sql/func/families.h"

#include "base/fiber.h"
#include "sql/types/compare.h"

/* variant: 0 LOCATE(needle, s [, from]), 1 INSTR(s, needle). */
db_err string_locate(EVAL_ARGS)
{
    (void)ctx;
    const struct collation *c = collation_by_id(call->collation);
    EACH_ROW(row)
    {
        size_t at;
        struct slice needle = vec_str(args[call->variant], row);
        struct slice s = vec_str(args[1 - call->variant], row);
        int64_t from = call->arg_count == 3 ? vec_i64(args[2], row) : 1;
        vec_set_i64(out, row, 0);
        if (from < 1) {
            continue;
        }
        size_t start = c->cs->ops->char_offset(c->cs, s, (size_t)from - 1);
        if (from > 1 && start == s.len && charset_char_count(c->cs, s) < (uint64_t)from - 1) {
            continue;
        }
        TRY(collation_locate(c, s, needle, start, &at));
        if (at != SIZE_MAX) {
            vec_set_i64(out, row, (int64_t)charset_char_count(c->cs, slice_of(s.ptr, at)) + 1);
        }
    }
    return ERR_OK;
}

static size_t find_bytes(struct slice s, struct slice needle, size_t from)
{
    if (s.len < from + needle.len) {
        return SIZE_MAX;
    }
    const uint8_t *p = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
    return p == NULL ? SIZE_MAX : (size_t)(p - s.ptr);
}

static db_err replace_one(struct eval_ctx *ctx, const struct func_call *call, struct slice s,
                          struct slice from, struct slice to, struct buf *b, struct vector *out,
                          uint32_t row)
{
    size_t at = from.len == 0 ? SIZE_MAX : find_bytes(s, from, 0);
    if (at == SIZE_MAX) {
        vec_set_str_ref(out, row, s);
        return ERR_OK;
    }
    size_t done = 0;
    buf_reset(b);
    while (at != SIZE_MAX) {
        TRY(buf_append(b, s.ptr + done, at - done));
        TRY(buf_append_slice(b, to));
        done = at + from.len;
        if (b->len > func__packet_max(ctx)) {
            func__too_long(ctx, call, out, row);
            return ERR_OK;
        }
        at = find_bytes(s, from, done);
    }
    TRY(buf_append(b, s.ptr + done, s.len - done));
    return func__set_buf(ctx, out, row, b);
}

db_err string_replace(EVAL_ARGS)
{
    SCOPE_BUF(b, SIZE_MAX / 2);
    EACH_ROW(row)
    {
        TRY(replace_one(ctx, call, vec_str(args[0], row), vec_str(args[1], row),
                        vec_str(args[2], row), &b, out, row));
    }
    return ERR_OK;
}

static struct slice before(struct slice s, struct slice delimiter, int64_t count)
{
    size_t at = 0;
    while (true) {
        size_t found = find_bytes(s, delimiter, at);
        if (found == SIZE_MAX) {
            return s;
        }
        if (--count == 0) {
            return slice_of(s.ptr, found);
        }
        at = found + delimiter.len;
    }
}

/* What follows the count-th delimiter from the right, where delimiters are found from the left. */
static struct slice after_counted(struct slice s, struct slice delimiter, int64_t count)
{
    int64_t found = 0;
    for (size_t at = 0; (at = find_bytes(s, delimiter, at)) != SIZE_MAX; at += delimiter.len) {
        found++;
    }
    if (found < count) {
        return s;
    }
    size_t at = 0;
    for (int64_t i = 0; i <= found - count; i++) {
        at = find_bytes(s, delimiter, at) + delimiter.len;
    }
    return slice_from(s, at);
}

/* The same where they are found from the right: MYSQL does so in charsets of one byte only, and
 * "aa" in "aaa" is another one then. */
static db_err after(struct slice s, struct slice delimiter, int64_t count, struct slice *ret)
{
    uint32_t work = 0;
    for (size_t end = s.len; end >= delimiter.len;) {
        if (memcmp(s.ptr + end - delimiter.len, delimiter.ptr, delimiter.len) != 0) {
            end--;
            TRY(fiber_work(&work, delimiter.len));
            continue;
        }
        if (--count == 0) {
            *ret = slice_from(s, end);
            return ERR_OK;
        }
        end -= delimiter.len;
    }
    *ret = s;
    return ERR_OK;
}

db_err string_substring_index(EVAL_ARGS)
{
    (void)ctx;
    bool wide = collation_by_id(call->collation)->cs->maxlen > 1;
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        struct slice delimiter = vec_str(args[1], row);
        int64_t count = vec_i64(args[2], row);
        bool huge = count < 0 && type_is_unsigned(&call->arg_types[2]);
        if (count == 0 || delimiter.len == 0) {
            s = SLICE_EMPTY;
        } else if (count > 0) {
            s = before(s, delimiter, count);
        } else if (!huge && count != INT64_MIN) {
            if (wide) {
                s = after_counted(s, delimiter, -count);
            } else {
                TRY(after(s, delimiter, -count, &s));
            }
        }
        vec_set_str_ref(out, row, s);
    }
    return ERR_OK;
}

static size_t trailing_spaces(struct slice s)
{
    size_t n = 0;
    while (n < s.len && s.ptr[s.len - 1 - n] == ' ') {
        n++;
    }
    return n;
}

/* MYSQL: spaces at the end count here whatever the collation. */
static bool is_member(const struct collation *c, struct slice a, struct slice b)
{
    return collation_compare(c, a, b) == 0 &&
           (c->pad != COLLATION_PAD_SPACE || trailing_spaces(a) == trailing_spaces(b));
}

/* The place of the member in the definition of the column's type, 0: it has none of that name. */
static uint32_t place_of(const struct type_names *names, const struct collation *c,
                         struct slice member)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (is_member(c, member, names->names[i])) {
            return i + 1;
        }
    }
    return 0;
}

static void find_in_column(const struct func_call *call, struct vector *const *args,
                           const uint16_t *sel, uint32_t n, struct vector *out)
{
    const struct sql_type *set = call->data;
    const struct collation *c = collation_by_id(call->collation);
    EACH_ROW(row)
    {
        uint32_t place = place_of(set->names, c, vec_str(args[0], row));
        bool has = place > 0 && (vec_u64(args[1], row) >> (place - 1) & 1) != 0;
        vec_set_i64(out, row, has ? place : 0);
    }
}

db_err string_find_in_set(EVAL_ARGS)
{
    (void)ctx;
    if (call->data != NULL) {
        find_in_column(call, args, sel, n, out);
        return ERR_OK;
    }
    const struct collation *c = collation_by_id(call->collation);
    EACH_ROW(row)
    {
        struct slice needle = vec_str(args[0], row);
        struct slice set = vec_str(args[1], row);
        int64_t at = 0;
        bool more = set.len != 0;
        vec_set_i64(out, row, 0);
        while (more) {
            const uint8_t *comma = charset_find_mark(c->cs, set, ',');
            size_t len = comma == NULL ? set.len : (size_t)(comma - set.ptr);
            at++;
            if (is_member(c, needle, slice_of(set.ptr, len))) {
                vec_set_i64(out, row, at);
                break;
            }
            more = comma != NULL;
            set = slice_from(set, more ? len + c->cs->minlen : len);
        }
    }
    return ERR_OK;
}

/* FIELD among doubles. */
static db_err field_number(struct eval_ctx *ctx, const struct func_call *call,
                           struct vector *const *args, uint32_t i, uint32_t row, double *ret)
{
    struct value v;
    vector_get(args[i], row, &v);
    return value_to_double(ctx->cast, &call->arg_types[i], &v, ret);
}

static db_err field_among_doubles(struct eval_ctx *ctx, const struct func_call *call,
                                  struct vector *const *args, uint32_t row, int64_t *ret)
{
    double wanted;
    double d;
    *ret = 0;
    if (vec_is_null(args[0], row)) {
        return ERR_OK;
    }
    TRY(field_number(ctx, call, args, 0, row, &wanted));
    for (uint32_t i = 1; i < call->arg_count && *ret == 0; i++) {
        if (!vec_is_null(args[i], row)) {
            TRY(field_number(ctx, call, args, i, row, &d));
            *ret = d == wanted ? i : 0;
        }
    }
    return ERR_OK;
}

static bool field_equal(const struct func_call *call, const struct collation *c,
                        struct vector *const *args, uint32_t i, uint32_t row)
{
    if (call->variant == PHYS_STR) {
        return collation_compare(c, vec_str(args[0], row), vec_str(args[i], row)) == 0;
    }
    return compare_ints(vec_i64(args[0], row), type_is_unsigned(&call->arg_types[0]),
                        vec_i64(args[i], row), type_is_unsigned(&call->arg_types[i])) == 0;
}

db_err string_field(EVAL_ARGS)
{
    const struct collation *c = collation_by_id(call->collation);
    EACH_ROW(row)
    {
        int64_t at = 0;
        if (call->variant == PHYS_DOUBLE) {
            TRY(field_among_doubles(ctx, call, args, row, &at));
            vec_set_i64(out, row, at);
            continue;
        }
        for (uint32_t i = 1; i < call->arg_count && at == 0 && !vec_is_null(args[0], row); i++) {
            if (!vec_is_null(args[i], row) && field_equal(call, c, args, i, row)) {
                at = i;
            }
        }
        vec_set_i64(out, row, at);
    }
    return ERR_OK;
}

/* ---- choosing ---- */

db_err string_elt(EVAL_ARGS)
{
    (void)ctx;
    EACH_ROW(row)
    {
        int64_t i = vec_is_null(args[0], row) ? 0 : vec_i64(args[0], row);
        if (i < 1 || i >= (int64_t)call->arg_count || vec_is_null(args[i], row)) {
            vec_set_null(out, row);
        } else {
            vec_set_str_ref(out, row, vec_str(args[i], row));
        }
    }
    return ERR_OK;
}

db_err string_make_set(EVAL_ARGS)
{
    SCOPE_BUF(b, SIZE_MAX / 2);
    EACH_ROW(row)
    {
        if (vec_is_null(args[0], row)) {
            vec_set_null(out, row);
            continue;
        }
        uint64_t bits = vec_u64(args[0], row);
        bool first = true;
        buf_reset(&b);
        for (uint32_t i = 1; i < call->arg_count && i <= 64; i++) {
            if ((bits >> (i - 1) & 1) == 0 || vec_is_null(args[i], row)) {
                continue;
            }
            TRY(buf_append_slice(&b, first ? SLICE_EMPTY : SLICE_LIT(",")));
            TRY(buf_append_slice(&b, vec_str(args[i], row)));
            first = false;
        }
        TRY(func__set_buf(ctx, out, row, &b));
    }
    return ERR_OK;
}

db_err string_export_set(EVAL_ARGS)
{
    enum { BITS = 64 };
    SCOPE_BUF(b, SIZE_MAX / 2);
    EACH_ROW(row)
    {
        uint64_t bits = vec_u64(args[0], row);
        struct slice separator = call->arg_count >= 4 ? vec_str(args[3], row) : SLICE_LIT(",");
        int64_t count = call->arg_count == 5 ? vec_i64(args[4], row) : BITS;
        count = count < 0 || count > BITS ? BITS : count;
        buf_reset(&b);
        for (int64_t i = 0; i < count; i++) {
            TRY(buf_append_slice(&b, i == 0 ? SLICE_EMPTY : separator));
            TRY(buf_append_slice(&b, vec_str(args[(bits >> i & 1) != 0 ? 1 : 2], row)));
        }
        TRY(func__set_buf(ctx, out, row, &b));
    }
    return ERR_OK;
}
