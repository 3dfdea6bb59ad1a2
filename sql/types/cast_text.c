/* Values as text. */
#include "sql/types/cast_int.h"

#include <string.h>

#include "base/assert.h"
#include "sql/types/json.h"

struct slice cast__enum_text(const struct sql_type *t, uint64_t index)
{
    if (index == 0 || t->names == NULL || index > t->names->count) {
        return SLICE_EMPTY; /* 0 is the empty string of a refused value */
    }
    return t->names->names[index - 1];
}

db_err cast__set_text(struct cast_ctx *ctx, const struct sql_type *t, uint64_t bits,
                      struct slice *ret)
{
    const struct collation *coll = collation_by_id(t->collation);
    uint8_t comma[8] = {','};
    unsigned width =
        coll == NULL || coll->cs->minlen == 1 ? 1 : charset_encode(coll->cs, ',', comma);
    size_t size = 0;
    for (uint32_t i = 0; i < t->names->count && i < SET_MEMBERS_MAX; i++) {
        size += (bits >> i & 1) != 0 ? t->names->names[i].len + width : 0;
    }
    uint8_t *out = arena_alloc(ctx->arena, size);
    if (out == NULL) {
        return ERR_NOMEM;
    }
    size_t n = 0;
    for (uint32_t i = 0; i < t->names->count && i < SET_MEMBERS_MAX; i++) {
        if ((bits >> i & 1) != 0) {
            struct slice name = t->names->names[i];
            if (n != 0) {
                memcpy(out + n, comma, width);
                n += width;
            }
            if (name.len != 0) {
                memcpy(out + n, name.ptr, name.len);
            }
            n += name.len;
        }
    }
    *ret = slice_of(out, n);
    return ERR_OK;
}

db_err cast__bit_text(struct cast_ctx *ctx, unsigned bits, uint64_t v, struct slice *ret)
{
    unsigned size = (bits + 7) / 8;
    uint8_t *out = arena_alloc(ctx->arena, size);
    if (out == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < size; i++) {
        out[i] = (uint8_t)(v >> (8 * (size - 1 - i)));
    }
    *ret = slice_of(out, size);
    return ERR_OK;
}

unsigned number_zerofill(const struct sql_type *t, char *io_text, unsigned len)
{
    enum { WIDTH_MAX = 255 };
    unsigned width = t->length + (t->id == TYPE_DECIMAL && t->decimals != 0 ? 1 : 0);
    if ((t->flags & TYPE_F_ZEROFILL) == 0 || len >= width || width > WIDTH_MAX) {
        return len;
    }
    memmove(io_text + (width - len), io_text, len);
    memset(io_text, '0', width - len);
    return width;
}

static db_err int_like_text(struct cast_ctx *ctx, const struct sql_type *from,
                            const struct value *v, char *buffer, struct slice *ret)
{
    switch ((int)from->id) {
    case TYPE_ENUM: *ret = cast__enum_text(from, v->u); return ERR_OK;
    case TYPE_SET: return cast__set_text(ctx, from, v->u, ret);
    case TYPE_BIT: return cast__bit_text(ctx, from->length, v->u, ret);
    default:
        *ret = slice_of(buffer, v->is_unsigned ? uint64_to_text(v->u, buffer)
                                               : int64_to_text(v->i, buffer));
        return ERR_OK;
    }
}

static unsigned temporal_text(const struct cast_ctx *ctx, const struct sql_type *from,
                              const struct value *v, char *out)
{
    switch ((int)v->type) {
    case TYPE_DATE: return date_to_text(v->t, out);
    case TYPE_TIME: return time_to_text(v->t, from->decimals, out);
    case TYPE_TIMESTAMP:
        return datetime_to_text(timestamp_to_local(ctx->tz, v->t), from->decimals, out);
    default: return datetime_to_text(v->t, from->decimals, out);
    }
}

static unsigned real_text(const struct sql_type *from, double d, char *out)
{
    enum { COLUMN_DOUBLE = 24, COLUMN_FLOAT = 12, COMPUTED = 22 };
    if ((from->flags & TYPE_F_EXPR) != 0 && (from->wire & TYPE_W_COLUMN_REAL) == 0) {
        return double_to_text_within(d, from->decimals, COMPUTED, out);
    }
    return from->id == TYPE_FLOAT
               ? float_to_text_within((float)d, from->decimals, COLUMN_FLOAT, out)
               : double_to_text_within(d, from->decimals, COLUMN_DOUBLE, out);
}

db_err value_to_text(struct cast_ctx *ctx, const struct sql_type *from, const struct value *v,
                     struct slice *ret)
{
    ASSERT_SLOW(!v->is_null);
    char buffer[NUMBER_TEXT_MAX];
    struct slice s;
    switch ((enum phys_kind)v->phys) {
    case PHYS_STR:
        if (from->id == TYPE_JSON) {
            return json_text(v->str, ctx->arena, ret);
        }
        *ret = v->str;
        return ERR_OK;
    case PHYS_INT:
        TRY(int_like_text(ctx, from, v, buffer, &s));
        if (s.ptr != (const uint8_t *)buffer) {
            *ret = s;
            return ERR_OK;
        }
        break;
    case PHYS_DOUBLE: s = slice_of(buffer, real_text(from, v->d, buffer)); break;
    case PHYS_DECIMAL: s = slice_of(buffer, decimal_to_text(&v->dec, buffer)); break;
    case PHYS_TIME: s = slice_of(buffer, temporal_text(ctx, from, v, buffer)); break;
    case PHYS__COUNT:
    default: s = SLICE_EMPTY; break;
    }
    if (UNLIKELY((from->flags & TYPE_F_ZEROFILL) != 0) && v->phys != PHYS_TIME) {
        s.len = number_zerofill(from, buffer, (unsigned)s.len);
    }
    struct slice copy;
    TRY(arena_copy(ctx->arena, s, &copy));
    *ret = copy;
    return ERR_OK;
}
