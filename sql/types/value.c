#include "sql/types/value.h"

#include "sql/charset/charset.h"

/* BINARY(n) is never shorter than n. */
static struct slice zero_bytes(uint32_t count)
{
    static const uint8_t zeros[CHAR_LENGTH_MAX];
    return slice_of(zeros, count < sizeof(zeros) ? count : sizeof(zeros));
}

void value_set_zero(struct value *v, const struct sql_type *t)
{
    value_tag(v, t);
    v->is_null = false;
    switch (type_phys(t)) {
    case PHYS_INT: v->i = t->id == TYPE_ENUM ? 1 : 0; break;
    case PHYS_DOUBLE: v->d = 0; break;
    case PHYS_DECIMAL:
        decimal_zero(&v->dec);
        v->dec.scale = t->decimals;
        break;
    case PHYS_TIME: v->t = 0; break;
    case PHYS_STR: v->str = t->id == TYPE_BINARY ? zero_bytes(t->length) : SLICE_LIT(""); break;
    case PHYS__COUNT: break;
    }
}

struct value value_null(void)
{
    return (struct value){
        .phys = PHYS_INT, .type = TYPE_NULL, .is_null = true, .collation = COLL_BINARY};
}

struct value value_int(int64_t i)
{
    return (struct value){.phys = PHYS_INT, .type = TYPE_BIGINT, .collation = COLL_BINARY, .i = i};
}

struct value value_uint(uint64_t u)
{
    return (struct value){.phys = PHYS_INT,
                          .type = TYPE_BIGINT,
                          .is_unsigned = true,
                          .collation = COLL_BINARY,
                          .u = u};
}

struct value value_double(double d)
{
    return (struct value){.phys = PHYS_DOUBLE,
                          .type = TYPE_DOUBLE,
                          .decimals = DECIMALS_NOT_FIXED,
                          .collation = COLL_BINARY,
                          .d = d};
}

struct value value_decimal(const struct decimal *d)
{
    return (struct value){.phys = PHYS_DECIMAL,
                          .type = TYPE_DECIMAL,
                          .decimals = d->scale,
                          .collation = COLL_BINARY,
                          .dec = *d};
}

struct value value_str(struct slice s, unsigned collation)
{
    return (struct value){.phys = PHYS_STR,
                          .type = collation == COLL_BINARY ? TYPE_VARBINARY : TYPE_VARCHAR,
                          .decimals = DECIMALS_NOT_FIXED,
                          .collation = (uint16_t)collation,
                          .str = s};
}

struct value value_temporal(enum type_id id, int64_t packed, unsigned decimals)
{
    return (struct value){.phys = PHYS_TIME,
                          .type = (uint8_t)id,
                          .decimals = (uint8_t)decimals,
                          .collation = COLL_BINARY,
                          .t = packed};
}

struct sql_type value_type(const struct value *v)
{
    switch ((int)v->type) {
    case TYPE_NULL: return type_null();
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_MEDIUMINT:
    case TYPE_INT:
    case TYPE_BIGINT: return type_int((enum type_id)v->type, v->is_unsigned);
    case TYPE_DECIMAL: {
        unsigned digits = v->is_null ? 1 : decimal_int_digits(&v->dec) + v->dec.scale;
        return type_decimal(digits == 0 ? 1 : digits, v->is_null ? 0 : v->dec.scale,
                            v->is_unsigned);
    }
    case TYPE_FLOAT: return type_float();
    case TYPE_DOUBLE: return type_double();
    case TYPE_BIT: return type_bit(BIT_LENGTH_MAX);
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP:
    case TYPE_YEAR: return type_temporal((enum type_id)v->type, v->decimals);
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_BINARY:
    case TYPE_VARBINARY: {
        const struct collation *c = collation_by_id(v->collation);
        size_t chars = v->is_null                        ? 0
                       : c == NULL || c->cs->ops == NULL ? v->str.len
                                                         : charset_char_count(c->cs, v->str);
        return type_char((enum type_id)v->type, (uint32_t)chars, v->collation);
    }
    default: return type_blob((enum type_id)v->type, v->collation);
    }
}

db_err value_copy(const struct value *v, struct arena *arena, struct value *ret)
{
    struct value copy = *v;
    if (v->phys == PHYS_STR && !v->is_null) {
        TRY(arena_copy(arena, v->str, &copy.str));
    }
    *ret = copy;
    return ERR_OK;
}
