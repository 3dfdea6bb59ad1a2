/* Which rule compares two types, and comparing by it. */
#include "sql/types/compare.h"

#include "base/assert.h"
#include "sql/charset/hash.h"
#include "sql/types/json.h"

static bool is_text(const struct sql_type *t)
{
    return type_is_string(t) || t->id == TYPE_ENUM || t->id == TYPE_SET || t->id == TYPE_VECTOR;
}

static bool is_int_like(const struct sql_type *t)
{
    return type_is_integer(t) || t->id == TYPE_BIT || t->id == TYPE_YEAR;
}

static bool is_real(const struct sql_type *t)
{
    return t->id == TYPE_FLOAT || t->id == TYPE_DOUBLE;
}

static enum compare_kind number_kind(const struct sql_type *a, const struct sql_type *b)
{
    if (is_real(a) || is_real(b)) {
        return COMPARE_DOUBLE;
    }
    return is_int_like(a) && is_int_like(b) ? COMPARE_INT : COMPARE_DECIMAL;
}

enum compare_kind compare_kind(const struct sql_type *a, const struct sql_type *b)
{
    if (a->id == TYPE_NULL || b->id == TYPE_NULL) {
        return COMPARE_NULL;
    }
    if (a->id == TYPE_JSON || b->id == TYPE_JSON) {
        return COMPARE_JSON;
    }
    if (type_is_temporal(a) || type_is_temporal(b)) {
        const struct sql_type *t = type_is_temporal(a) ? a : b;
        const struct sql_type *other = t == a ? b : a;
        if (type_is_temporal(other)) {
            return t->id == TYPE_TIME && other->id == TYPE_TIME ? COMPARE_TIME : COMPARE_DATETIME;
        }
        if (is_text(other)) {
            return t->id == TYPE_TIME ? COMPARE_TIME : COMPARE_DATETIME;
        }
        return COMPARE_DOUBLE; /* MYSQL: even of whole numbers */
    }
    if (is_text(a) && is_text(b)) {
        return COMPARE_STRING;
    }
    if (is_text(a) || is_text(b)) {
        return COMPARE_DOUBLE;
    }
    if (type_is_numeric(a) && type_is_numeric(b)) {
        return number_kind(a, b);
    }
    return COMPARE_STRING; /* GEOMETRY: by its bytes */
}

struct sql_type compare_type(enum compare_kind kind, const struct sql_type *t)
{
    switch (kind) {
    case COMPARE_DECIMAL:
        if (t->id == TYPE_DECIMAL) {
            return *t;
        }
        return type_decimal(is_int_like(t) ? 20 : DECIMAL_PRECISION_MAX,
                            is_int_like(t) ? 0 : DECIMAL_SCALE_MAX, false);
    case COMPARE_DOUBLE: return type_double();
    case COMPARE_DATETIME: return type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX);
    case COMPARE_TIME: return type_temporal(TYPE_TIME, TIME_DECIMALS_MAX);
    case COMPARE_STRING:
        if (t->id == TYPE_ENUM || t->id == TYPE_SET) {
            return type_char(TYPE_VARCHAR, t->length, t->collation);
        }
        return *t;
    case COMPARE_JSON: {
        struct sql_type json = type_blob(TYPE_JSON, COLL_BINARY);
        json.flags = t->flags & TYPE_F_NOT_NULL;
        return json;
    }
    case COMPARE_INT:
    case COMPARE_NULL: break;
    }
    return *t;
}

bool text_whole_number(struct slice text, struct value *ret)
{
    struct decimal d;
    struct decimal whole;
    int64_t i;
    uint64_t u;
    if (decimal_from_text(text, &d) != DECIMAL_OK ||
        decimal_round(&d, 0, DECIMAL_TRUNCATE, &whole) != DECIMAL_OK ||
        decimal_cmp(&whole, &d) != 0) {
        return false;
    }
    if (decimal_to_int(&whole, &i) == DECIMAL_OK) {
        *ret = value_int(i);
        return true;
    }
    if (decimal_to_uint(&whole, &u) == DECIMAL_OK) {
        *ret = value_uint(u);
        return true;
    }
    return false;
}

/* DECIMALS_NOT_FIXED: text, and doubles of any decimals. */
static unsigned fixed_decimals(const struct sql_type *t)
{
    if (is_int_like(t)) {
        return 0;
    }
    bool number = t->id == TYPE_DECIMAL || t->id == TYPE_FLOAT || t->id == TYPE_DOUBLE;
    return number || type_is_temporal(t) ? t->decimals : DECIMALS_NOT_FIXED;
}

double compare_tolerance(const struct sql_type *a, const struct sql_type *b)
{
    unsigned da = fixed_decimals(a);
    unsigned db = fixed_decimals(b);
    bool whole = da == 0 && db == 0 && !is_real(a) && !is_real(b);
    if (da >= DECIMALS_NOT_FIXED || db >= DECIMALS_NOT_FIXED || whole) {
        return 0;
    }
    return 0.5 / pow(10, da > db ? da : db);
}

int value_compare_same(const struct value *a, const struct value *b,
                       const struct collation *collation)
{
    switch ((enum phys_kind)a->phys) {
    case PHYS_INT: return compare_ints(a->i, a->is_unsigned, b->i, b->is_unsigned);
    case PHYS_DOUBLE: return compare_doubles(a->d, b->d);
    case PHYS_DECIMAL: return decimal_cmp(&a->dec, &b->dec);
    case PHYS_TIME: return (a->t > b->t) - (a->t < b->t);
    case PHYS_STR:
        return collation == NULL || collation->ops == NULL
                   ? slice_cmp(a->str, b->str)
                   : collation_compare(collation, a->str, b->str);
    case PHYS__COUNT: break;
    }
    return 0;
}

db_err value_compare(struct cast_ctx *ctx, enum compare_kind kind,
                     const struct collation *collation, const struct sql_type *a_type,
                     const struct value *a, const struct sql_type *b_type, const struct value *b,
                     int *ret_order)
{
    ASSERT(!a->is_null && !b->is_null);
    struct sql_type at = compare_type(kind, a_type);
    struct sql_type bt = compare_type(kind, b_type);
    struct value av = *a;
    struct value bv = *b;
    if (at.id != a_type->id) {
        TRY(value_cast(ctx, a_type, a, &at, &av));
    }
    if (bt.id != b_type->id) {
        TRY(value_cast(ctx, b_type, b, &bt, &bv));
    }
    if (kind == COMPARE_JSON) {
        collation = &json_collation;
    }
    if (av.is_null || bv.is_null) { /* text that is no date: lower than every date */
        *ret_order = (int)bv.is_null - (int)av.is_null;
        return ERR_OK;
    }
    *ret_order = value_compare_same(&av, &bv, collation);
    return ERR_OK;
}

uint64_t value_hash(const struct value *v, const struct collation *collation, uint64_t seed)
{
    if (v->is_null) {
        return hash_mix(seed, 0x6e756c6cull);
    }
    switch ((enum phys_kind)v->phys) {
    case PHYS_INT:
    case PHYS_TIME: return hash_mix(seed, v->u);
    case PHYS_DOUBLE: {
        uint64_t bits = 0;
        if (v->d != 0) { /* 0 and -0 are equal */
            memcpy(&bits, &v->d, sizeof(bits));
        }
        return hash_mix(seed, bits);
    }
    case PHYS_DECIMAL: return decimal_hash(&v->dec, seed);
    case PHYS_STR:
        return collation == NULL || collation->ops == NULL
                   ? hash_bytes(v->str.ptr, v->str.len, seed)
                   : collation_hash(collation, v->str, seed);
    case PHYS__COUNT: break;
    }
    return seed;
}
