/* One type for values that stand in for each other (CASE, COALESCE, UNION...). How their text
 * agrees on a collation: collate.c. */
#include "sql/func/func.h"

#include "sql/func/func_int.h"

enum family {
    FAM_NULL,
    FAM_INT,
    FAM_DECIMAL,
    FAM_DOUBLE,
    FAM_TEMPORAL,
    FAM_STRING,
    FAM_JSON,
    FAM_OTHER
};

static enum family family_of(const struct sql_type *t)
{
    switch ((int)t->id) {
    case TYPE_NULL: return FAM_NULL;
    case TYPE_DECIMAL: return FAM_DECIMAL;
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return FAM_DOUBLE;
    case TYPE_BIT:
    case TYPE_YEAR: return FAM_INT;
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: return FAM_TEMPORAL;
    case TYPE_JSON: return FAM_JSON;
    case TYPE_GEOMETRY:
    case TYPE_VECTOR: return FAM_OTHER;
    default: return type_is_integer(t) ? FAM_INT : FAM_STRING;
    }
}

static uint32_t text_length(const struct sql_type *t)
{
    switch (family_of(t)) {
    case FAM_NULL: return 0;
    case FAM_INT: return t->length;
    case FAM_DECIMAL: return t->length + (t->decimals != 0) + !type_is_unsigned(t);
    case FAM_DOUBLE: return t->id == TYPE_FLOAT ? t->length : 22;
    case FAM_TEMPORAL:
    case FAM_STRING:
    case FAM_JSON:
    case FAM_OTHER: break;
    }
    return t->length;
}

/* Step of the TEXT family: 0 TINY .. 3 LONG; -1: no such type. */
static int blob_step(const struct sql_type *t)
{
    return !type_is_blob(t)         ? -1
           : t->id >= TYPE_TINYBLOB ? (int)t->id - TYPE_TINYBLOB
                                    : (int)t->id - TYPE_TINYTEXT;
}

/* MYSQL: with a TEXT among them the result is the widest TEXT's type, TEXT at least; its length
 * counts a column's bytes as characters. */
static struct sql_type text_type(uint32_t chars, unsigned collation, int step)
{
    const struct collation *c = collation_by_id(collation);
    uint64_t bytes = (uint64_t)chars * c->cs->maxlen;
    bool binary = collation == COLL_BINARY;
    if (step < 0 && bytes <= VARCHAR_BYTES_MAX) {
        return type_char(binary ? TYPE_VARBINARY : TYPE_VARCHAR, chars, collation);
    }
    if (step < 0) {
        return func__text(chars, collation);
    }
    int id = (binary ? TYPE_TINYBLOB : TYPE_TINYTEXT) + step;
    struct sql_type t = type_blob((enum type_id)id, collation);
    t.length = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    return t;
}

static enum type_id int_id(const struct sql_type *t)
{
    return type_is_integer(t)  ? (enum type_id)t->id
           : t->id == TYPE_BIT ? TYPE_BIGINT
                               : TYPE_SMALLINT;
}

/* The narrowest integer type for both; a display width is the wider one's. */
static struct sql_type wider_int(const struct sql_type *a, const struct sql_type *b)
{
    bool ua = type_is_unsigned(a) && a->id != TYPE_YEAR; /* a year fits a signed SMALLINT */
    bool ub = type_is_unsigned(b) && b->id != TYPE_YEAR;
    ua = ua || a->id == TYPE_BIT;
    ub = ub || b->id == TYPE_BIT;
    enum type_id ia = int_id(a);
    enum type_id ib = int_id(b);
    enum type_id id = ia > ib ? ia : ib;
    enum type_id unsigned_id = ua ? ia : ib;
    struct sql_type t;
    if (ua == ub) {
        t = type_int(id, ua);
    } else if (unsigned_id < id) {
        t = type_int(id, false);
    } else if (unsigned_id < TYPE_BIGINT) {
        t = type_int((enum type_id)(unsigned_id + 1), false);
    } else {
        return type_decimal(20, 0, false);
    }
    t.length = a->length > b->length ? a->length : b->length;
    t.flags |= (a->flags | b->flags) & TYPE_F_EXPR; /* its digits are as many as the length says */
    return t;
}

static struct sql_type wider_decimal(const struct sql_type *a, const struct sql_type *b)
{
    unsigned ia = a->id == TYPE_DECIMAL ? type_int_digits(a) : func__int_precision(a);
    unsigned ib = b->id == TYPE_DECIMAL ? type_int_digits(b) : func__int_precision(b);
    unsigned sa = family_of(a) == FAM_DECIMAL ? a->decimals : 0;
    unsigned sb = family_of(b) == FAM_DECIMAL ? b->decimals : 0;
    unsigned scale = sa > sb ? sa : sb;
    unsigned precision = (ia > ib ? ia : ib) + scale;
    if (precision > DECIMAL_PRECISION_MAX) {
        precision = DECIMAL_PRECISION_MAX;
    }
    return type_decimal(precision == 0 ? 1 : precision, scale,
                        type_is_unsigned(a) && type_is_unsigned(b));
}

/* MYSQL: a DECIMAL, so that neither a bit nor a sign is lost. */
static struct sql_type bits_and_int(const struct sql_type *a, const struct sql_type *b)
{
    const struct sql_type *number = a->id == TYPE_BIT ? b : a;
    if (!type_is_unsigned(number) && number->id != TYPE_YEAR) {
        return wider_decimal(a, b);
    }
    struct sql_type t = type_int(TYPE_BIGINT, true);
    t.length = a->length > b->length ? a->length : b->length;
    return t;
}

static struct sql_type wider_temporal(const struct sql_type *a, const struct sql_type *b)
{
    unsigned decimals = a->decimals > b->decimals ? a->decimals : b->decimals;
    if (a->id == b->id) {
        return type_temporal((enum type_id)a->id, decimals);
    }
    return type_temporal(TYPE_DATETIME, decimals);
}

/* MYSQL: FLOAT with integers of at most three bytes stays FLOAT. */
static bool stays_float(const struct sql_type *a, const struct sql_type *b)
{
    enum { MEDIUMINT_DIGITS = 7 };
    return a->id == TYPE_FLOAT && a->decimals == DECIMALS_NOT_FIXED && type_is_integer(b) &&
           b->id != TYPE_INT &&
           (b->id != TYPE_BIGINT ||
            ((b->flags & TYPE_F_EXPR) != 0 && b->length <= MEDIUMINT_DIGITS + 1));
}

/* Digits after the point that a number shows, and its characters before them. */
static unsigned shown_decimals(const struct sql_type *t)
{
    enum family f = family_of(t);
    return f == FAM_DECIMAL || f == FAM_DOUBLE ? t->decimals : 0;
}

static uint32_t shown_before_decimals(const struct sql_type *t)
{
    uint32_t all = family_of(t) == FAM_DOUBLE ? t->length : text_length(t);
    return all - shown_decimals(t);
}

/* FLOAT(M,D) and DOUBLE(M,D) among numbers: as many decimals as any of them has. */
static struct sql_type wider_double(const struct sql_type *a, const struct sql_type *b)
{
    bool is_float = a->id == TYPE_FLOAT && b->id == TYPE_FLOAT;
    struct sql_type t = is_float ? type_float() : func__double();
    unsigned da = shown_decimals(a);
    unsigned db = shown_decimals(b);
    t.length = 23;
    if (da < DECIMALS_NOT_FIXED && db < DECIMALS_NOT_FIXED) {
        uint32_t ba = shown_before_decimals(a);
        uint32_t bb = shown_before_decimals(b);
        t.decimals = (uint8_t)(da > db ? da : db);
        t.length = (ba > bb ? ba : bb) + t.decimals;
    }
    return t;
}

/* MYSQL: CHAR with all but VARCHAR and TEXT is CHAR. */
static bool keeps_char(const struct sql_type *a, const struct sql_type *b)
{
    const struct sql_type *other = a->id == TYPE_CHAR ? b : a;
    bool is_char = a->id == TYPE_CHAR || b->id == TYPE_CHAR;
    return is_char && (other->id == TYPE_CHAR || !type_is_string(other)) && other->id != TYPE_JSON;
}

static struct sql_type merge(const struct sql_type *a, const struct sql_type *b, unsigned collation)
{
    enum family fa = family_of(a);
    enum family fb = family_of(b);
    if (fa == FAM_NULL || fb == FAM_NULL) {
        return fa == FAM_NULL ? *b : *a;
    }
    if (fa == fb) {
        switch (fa) {
        case FAM_INT:
            if (type_equal(a, b)) {
                return *a;
            }
            if (a->id == TYPE_BIT && b->id == TYPE_BIT) {
                return a->length > b->length ? *a : *b;
            }
            if (a->id == TYPE_BIT || b->id == TYPE_BIT) {
                return bits_and_int(a, b);
            }
            return wider_int(a, b);
        case FAM_DECIMAL: return wider_decimal(a, b);
        case FAM_DOUBLE: return wider_double(a, b);
        case FAM_TEMPORAL: return wider_temporal(a, b);
        case FAM_JSON:
        case FAM_OTHER: return *a;
        case FAM_NULL:
        case FAM_STRING: break;
        }
    } else if (fa <= FAM_DOUBLE && fb <= FAM_DOUBLE) {
        if (stays_float(a, b) || stays_float(b, a)) {
            return wider_double(fa == FAM_DOUBLE ? a : b, fa == FAM_DOUBLE ? a : b);
        }
        return fa == FAM_DOUBLE || fb == FAM_DOUBLE ? wider_double(a, b) : wider_decimal(a, b);
    } else if (fa == FAM_JSON && fb == FAM_JSON) {
        return *a;
    }
    uint32_t la = text_length(a);
    uint32_t lb = text_length(b);
    if (collation == COLL_BINARY) { /* text counts its bytes */
        la *= fa == FAM_STRING ? collation_by_id(a->collation)->cs->maxlen : 1u;
        lb *= fb == FAM_STRING ? collation_by_id(b->collation)->cs->maxlen : 1u;
    }
    int step = blob_step(a) > blob_step(b) ? blob_step(a) : blob_step(b);
    if (step == 0 && blob_step(a) != blob_step(b)) {
        step = 1; /* TINYTEXT and VARCHAR */
    }
    struct sql_type t = text_type(la > lb ? la : lb, collation, step);
    if (t.id == TYPE_VARCHAR && keeps_char(a, b)) {
        t.id = TYPE_CHAR;
    } else if (t.id == TYPE_VARBINARY && a->id == TYPE_BINARY && b->id == TYPE_BINARY) {
        t.id = TYPE_BINARY;
        t.wire = (a->wire | b->wire) & TYPE_W_VARYING;
    }
    return t;
}

/* MYSQL: the type as conditions call it; temporal columns of today have no name there. */
static const char *field_name(const struct sql_type *t)
{
    bool is_expr = (t->flags & TYPE_F_EXPR) != 0;
    switch ((enum type_id)t->id) {
    case TYPE_NULL: return "NULL";
    case TYPE_TINYINT: return "TINY";
    case TYPE_SMALLINT: return "SHORT";
    case TYPE_MEDIUMINT: return "INT24";
    case TYPE_INT: return "LONG";
    case TYPE_BIGINT: return "LONGLONG";
    case TYPE_DECIMAL: return "NEWDECIMAL";
    case TYPE_FLOAT: return "FLOAT";
    case TYPE_DOUBLE: return "DOUBLE";
    case TYPE_BIT: return "BIT";
    case TYPE_DATE: return is_expr ? "DATE" : "NEWDATE";
    case TYPE_TIME: return is_expr ? "TIME" : "?-unknown-?";
    case TYPE_DATETIME: return is_expr ? "DATETIME" : "?-unknown-?";
    case TYPE_TIMESTAMP: return is_expr ? "TIMESTAMP" : "?-unknown-?";
    case TYPE_YEAR: return "YEAR";
    case TYPE_CHAR:
    case TYPE_BINARY: return is_expr ? "VARCHAR" : "STRING";
    case TYPE_VARCHAR:
    case TYPE_VARBINARY: return "VARCHAR";
    case TYPE_ENUM: return "ENUM";
    case TYPE_SET: return "SET";
    case TYPE_JSON: return "JSON";
    case TYPE_GEOMETRY: return "GEOMETRY";
    case TYPE_VECTOR: return "VECTOR";
    case TYPE_TINYTEXT:
    case TYPE_TEXT:
    case TYPE_MEDIUMTEXT:
    case TYPE_LONGTEXT:
    case TYPE_TINYBLOB:
    case TYPE_BLOB:
    case TYPE_MEDIUMBLOB:
    case TYPE_LONGBLOB:
    case TYPE__COUNT: break;
    }
    return "BLOB";
}

/* Only vectors, and NULL, stand in for a vector. */
static db_err agree_vectors(struct func_bind_ctx *ctx, const struct sql_type *a,
                            const struct sql_type *b)
{
    bool null = a->id == TYPE_NULL || b->id == TYPE_NULL;
    if (null || (a->id == TYPE_VECTOR) == (b->id == TYPE_VECTOR)) {
        return ERR_OK;
    }
    return my_error(ctx->diag, ER_INCOMPATIBLE_TYPE_AGG, field_name(a), field_name(b));
}

/* The display width of a column is no property of its values. */
static struct sql_type operand_type(const struct sql_type *t)
{
    struct sql_type own = *t;
    if (type_is_integer(t)) {
        own.length = type_int_chars(t);
    }
    return own;
}

void func_agreed_sign(struct sql_type *io)
{
    if (io->id == TYPE_DECIMAL || io->id == TYPE_FLOAT || io->id == TYPE_DOUBLE) {
        io->flags &= (uint8_t)~TYPE_F_UNSIGNED;
    }
}

/* Do the arguments agree on text? Otherwise none of them is asked for a collation, also not a
 * number that has one beside text (REGEXP). */
static bool agree_on_text(const struct func_arg *args, uint32_t count)
{
    struct sql_type t = type_null();
    for (uint32_t i = 0; i < count; i++) {
        struct sql_type own = operand_type(&args[i].type);
        t = i == 0 ? own : merge(&t, &own, COLL_BINARY);
    }
    return type_is_string(&t) || t.id == TYPE_ENUM || t.id == TYPE_SET;
}

db_err func_agree_type(struct func_bind_ctx *ctx, const char *operation, struct func_arg *args,
                       uint32_t count, struct sql_type *ret_type, uint8_t *ret_coercibility)
{
    uint16_t collation = COLL_BINARY;
    uint8_t coercibility = 5;
    if (agree_on_text(args, count)) {
        TRY(func_agree_collation(ctx, operation, args, count, &collation, &coercibility));
    }
    struct sql_type t = type_null();
    bool not_null = count > 0;
    bool same = true;
    for (uint32_t i = 0; i < count; i++) {
        not_null = not_null && (args[i].type.flags & TYPE_F_NOT_NULL) != 0;
        same = same && type_equal(&args[0].type, &args[i].type);
        if (i != 0) {
            TRY(agree_vectors(ctx, &t, &args[i].type));
        }
        struct sql_type own = operand_type(&args[i].type);
        t = i == 0 ? own : merge(&t, &own, collation);
    }
    if (same && count > 0) {
        t = operand_type(&args[0].type);
    }
    if (t.id == TYPE_ENUM || t.id == TYPE_SET) {
        t = type_char(TYPE_VARCHAR, t.length, t.collation);
    }
    if (t.id == TYPE_VECTOR) { /* MYSQL: of no certain length */
        t.length = UINT32_MAX;
    }
    if (collation == COLL_BINARY && family_of(&t) == FAM_STRING) {
        t = merge(&t, &t, collation); /* NULL and text of no certain collation: its bytes */
    } else if (type_is_string(&t)) {
        t.collation = collation;
    }
    func_agreed_sign(&t);
    t.flags = (uint8_t)(t.flags &
                        ~(TYPE_F_NOT_NULL | TYPE_F_ZEROFILL | TYPE_F_BOOL | TYPE_F_BYTES_NUMBER));
    t.flags |= (uint8_t)((not_null ? TYPE_F_NOT_NULL : 0) | TYPE_F_EXPR);
    t.wire &= t.id == TYPE_BINARY ? TYPE_W_VARYING : 0u;
    if (t.id == TYPE_FLOAT || t.id == TYPE_DOUBLE) {
        t.length = t.decimals == DECIMALS_NOT_FIXED ? 23 : t.length;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct func_arg *a = &args[i];
        bool differs =
            type_phys(&a->type) != type_phys(&t) || a->type.id == TYPE_ENUM ||
            a->type.id == TYPE_SET || (a->type.id == TYPE_NULL && t.id != TYPE_NULL) ||
            (t.id == TYPE_DECIMAL && a->type.decimals != t.decimals) ||
            (type_phys(&t) == PHYS_TIME && a->type.id != t.id) ||
            (type_phys(&t) == PHYS_INT && type_is_unsigned(&a->type) != type_is_unsigned(&t)) ||
            (t.id == TYPE_JSON) != (a->type.id == TYPE_JSON);
        if (differs) {
            unsigned given = a->want.wire & TYPE_W_OF_PARAM;
            a->want_cast = true;
            a->want = t;
            a->want.wire |= (uint16_t)(type_is_string(&t) ? TYPE_W_REFUSE_LOSS | given : 0u);
        }
    }
    *ret_type = t;
    *ret_coercibility = type_is_string(&t) ? coercibility : 5;
    return ERR_OK;
}
