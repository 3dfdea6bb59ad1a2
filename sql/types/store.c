/* Assigning a value to a column: which family does it, and how its conditions become errors or
 * warnings.
 *
 * MySQL's rules here are not those of CAST: text is rounded when it becomes an integer, what does
 * not fit is clipped with a warning or refused, and which number is given depends on the pair of
 * types. The families are in store_number.c, store_temporal.c and store_text.c. */
#include "sql/types/store_int.h"

#include <math.h>
#include <stdio.h>

#include "base/assert.h"

db_err store__condition(const struct store *s, uint16_t number)
{
    unsigned long long row = s->target->row;
    if (s->ctx->strict) {
        return cast_error(s->ctx, number, s->target->column, row);
    }
    cast_warn(s->ctx, CAST_WARNING, number == 1406 ? 1265 : number, s->target->column, row);
    return ERR_OK;
}

db_err store__incorrect(const struct store *s, const char *what)
{
    char shown[MESSAGE_VALUE_MAX];
    unsigned long long row = s->target->row;
    cast__printable(s->v->collation, s->v->str, shown);
    if (s->ctx->strict) {
        return cast_error(s->ctx, 1366, what, shown, s->target->column, row);
    }
    cast_warn(s->ctx, CAST_WARNING, 1366, what, shown, s->target->column, row);
    return ERR_OK;
}

void store__note_truncated(const struct store *s)
{
    cast_warn(s->ctx, CAST_NOTE, 1265, s->target->column, (unsigned long long)s->target->row);
}

/* The value is one of the column's own already: nothing can go wrong and nothing is to be computed.
 */
static bool fits_as_is(const struct sql_type *to, const struct value *v)
{
    switch ((int)to->id) {
    case TYPE_BIGINT:
        return v->phys == PHYS_INT && v->type == TYPE_BIGINT &&
               v->is_unsigned == type_is_unsigned(to);
    case TYPE_INT:
        return v->type == TYPE_BIGINT && !v->is_unsigned && !type_is_unsigned(to) &&
               v->i == (int32_t)v->i;
    case TYPE_DOUBLE:
        return v->phys == PHYS_DOUBLE && to->decimals == DECIMALS_NOT_FIXED &&
               !type_is_unsigned(to) && isfinite(v->d);
    default: return false;
    }
}

static bool holds(const struct value *v, uint64_t n)
{
    uint64_t u = 0;
    switch (v->phys) {
    case PHYS_INT: return v->u == n;
    case PHYS_DOUBLE: return v->type == TYPE_FLOAT ? v->d == (float)n : v->d == (double)n;
    case PHYS_DECIMAL: return decimal_to_uint(&v->dec, &u) == 0 && u == n;
    default: return false;
    }
}

/* x'10' is a number where a number is wanted. MYSQL: more than eight bytes are the greatest number
 * of 64 bits, as are eight where that has a sign and they have none; which is said, if the column
 * did not say it. */
static db_err store_bytes(struct cast_ctx *ctx, const struct sql_type *to,
                          const struct store_target *target, const struct sql_type *from,
                          const struct value *v, struct value *ret)
{
    static const struct sql_type number = {
        .id = TYPE_BIGINT, .flags = TYPE_F_UNSIGNED, .length = 20};
    bool without_sign = type_is_unsigned(to) || to->id == TYPE_BIT;
    uint64_t n = cast__last_bytes(v->str);
    bool over = v->str.len > sizeof(n) || (!without_sign && n > INT64_MAX);
    if (over) {
        n = without_sign ? UINT64_MAX : INT64_MAX;
    }
    struct value x = value_uint(n);
    TRY(type_store(ctx, to, target, &number, &x, ret));
    const struct store s = {ctx, to, target, from, v};
    return over && holds(ret, n) ? store__condition(&s, 1264) : ERR_OK;
}

db_err type_store(struct cast_ctx *ctx, const struct sql_type *to,
                  const struct store_target *target, const struct sql_type *from,
                  const struct value *v, struct value *ret)
{
    if (v->is_null) {
        value_set_null(ret, to);
        return ERR_OK;
    }
    struct value r;
    value_tag(&r, to);
    if (fits_as_is(to, v)) {
        r.i = v->i;
        *ret = r;
        return ERR_OK;
    }
    ctx->row = target->row;
    if (type_is_numeric(to) && (from->flags & TYPE_F_BYTES_NUMBER) != 0 && v->phys == PHYS_STR) {
        return store_bytes(ctx, to, target, from, v, ret);
    }
    const struct store s = {ctx, to, target, from, v};
    if (from->id != to->id && (from->id == TYPE_GEOMETRY || to->id == TYPE_GEOMETRY)) {
        char text[80];
        snprintf(text, sizeof(text), "%s into a %s column", type_data_type(from),
                 type_data_type(to));
        return cast_error(ctx, 1235, text);
    }
    if (from->id == TYPE_JSON && to->id != TYPE_JSON && to->id != TYPE_VECTOR) {
        TRY(store__from_json(&s, &r));
        *ret = r;
        return ERR_OK;
    }
    switch ((enum type_id)to->id) {
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_MEDIUMINT:
    case TYPE_INT:
    case TYPE_BIGINT: TRY(store__integer(&s, &r)); break;
    case TYPE_DECIMAL: TRY(store__decimal(&s, &r)); break;
    case TYPE_FLOAT:
    case TYPE_DOUBLE: TRY(store__double(&s, &r)); break;
    case TYPE_BIT: TRY(store__bit(&s, &r)); break;
    case TYPE_YEAR: TRY(store__year(&s, &r)); break;
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: TRY(store__temporal(&s, &r)); break;
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_BINARY:
    case TYPE_VARBINARY:
    case TYPE_TINYTEXT:
    case TYPE_TEXT:
    case TYPE_MEDIUMTEXT:
    case TYPE_LONGTEXT:
    case TYPE_TINYBLOB:
    case TYPE_BLOB:
    case TYPE_MEDIUMBLOB:
    case TYPE_LONGBLOB: TRY(store__text(&s, &r)); break;
    case TYPE_ENUM: TRY(store__enum(&s, &r)); break;
    case TYPE_SET: TRY(store__set(&s, &r)); break;
    case TYPE_JSON: TRY(store__json(&s, &r)); break;
    case TYPE_GEOMETRY: r.str = v->str; break;
    case TYPE_VECTOR: TRY(store__vector(&s, &r)); break;
    case TYPE_NULL:
    case TYPE__COUNT: ASSERT(false); /* a column of no type */
    }
    *ret = r;
    return ERR_OK;
}
