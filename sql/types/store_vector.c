/* VECTOR columns: 32-bit floats, little endian, one after the other. */
#include "sql/types/store_int.h"

#include <string.h>

/* MYSQL: sizes that messages give to numbers. */
enum { INCOMPATIBLE_NUMBER = 8, INCOMPATIBLE_DECIMAL = 64 };

static bool has_nan_or_inf(struct slice s)
{
    const uint32_t exponent = 0x7f800000;
    for (size_t i = 0; i + 4 <= s.len; i += 4) {
        uint32_t bits;
        memcpy(&bits, s.ptr + i, 4);
        if ((bits & exponent) == exponent) {
            return true;
        }
    }
    return false;
}

/* MYSQL: bytes are taken, and temporal values as their text; text and numbers are refused, whatever
 * the mode. What is too long for a statement that is not strict leaves what is there, which in a
 * new row, or instead of NULL, is a vector without entries. */
db_err store__vector(const struct store *s, struct value *ret)
{
    struct slice bytes;
    enum phys_kind phys = (enum phys_kind)s->v->phys;
    bool name = s->from->id == TYPE_ENUM || s->from->id == TYPE_SET;
    bool number = !s->target->as_text && !name;
    if (number && (phys == PHYS_DECIMAL || phys == PHYS_DOUBLE || phys == PHYS_INT)) {
        return cast_error(
            s->ctx, 6136, "numeric",
            (unsigned long)(phys == PHYS_DECIMAL ? INCOMPATIBLE_DECIMAL : INCOMPATIBLE_NUMBER));
    }
    TRY(value_to_text(s->ctx, s->from, s->v, &bytes));
    bool text =
        name || s->from->id == TYPE_JSON || (phys == PHYS_STR && s->v->collation != COLL_BINARY);
    if (text || bytes.len == 0 || bytes.len % 4 != 0) {
        return cast_error(s->ctx, 6136, "string", (unsigned long)bytes.len);
    }
    if (bytes.len > type_max_bytes(s->to)) {
        const struct value *before = s->target->before;
        ret->str = before == NULL || before->is_null ? SLICE_EMPTY : before->str;
        if (s->ctx->strict) {
            return cast_error(s->ctx, 1406, s->target->column, (unsigned long long)s->target->row);
        }
        cast_warn(s->ctx, CAST_WARNING, 1406, s->target->column,
                  (unsigned long long)s->target->row);
        return ERR_OK;
    }
    if (has_nan_or_inf(bytes)) {
        return cast_error(s->ctx, 6136, "NAN or INF", (unsigned long)bytes.len);
    }
    ret->str = bytes;
    return ERR_OK;
}
