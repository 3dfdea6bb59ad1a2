/* What types are called, how wide they are, and how result sets describe them. One row per type id.
 */
#include "sql/types/type.h"

#include <stdio.h>

#include "base/assert.h"
#include "sql/charset/charset.h"
#include "sql/types/sql_mode.h"

const uint8_t type_phys_table[TYPE__COUNT] = {
    [TYPE_NULL] = PHYS_INT,        [TYPE_TINYINT] = PHYS_INT,    [TYPE_SMALLINT] = PHYS_INT,
    [TYPE_MEDIUMINT] = PHYS_INT,   [TYPE_INT] = PHYS_INT,        [TYPE_BIGINT] = PHYS_INT,
    [TYPE_DECIMAL] = PHYS_DECIMAL, [TYPE_FLOAT] = PHYS_DOUBLE,   [TYPE_DOUBLE] = PHYS_DOUBLE,
    [TYPE_BIT] = PHYS_INT,         [TYPE_DATE] = PHYS_TIME,      [TYPE_TIME] = PHYS_TIME,
    [TYPE_DATETIME] = PHYS_TIME,   [TYPE_TIMESTAMP] = PHYS_TIME, [TYPE_YEAR] = PHYS_INT,
    [TYPE_CHAR] = PHYS_STR,        [TYPE_VARCHAR] = PHYS_STR,    [TYPE_BINARY] = PHYS_STR,
    [TYPE_VARBINARY] = PHYS_STR,   [TYPE_TINYTEXT] = PHYS_STR,   [TYPE_TEXT] = PHYS_STR,
    [TYPE_MEDIUMTEXT] = PHYS_STR,  [TYPE_LONGTEXT] = PHYS_STR,   [TYPE_TINYBLOB] = PHYS_STR,
    [TYPE_BLOB] = PHYS_STR,        [TYPE_MEDIUMBLOB] = PHYS_STR, [TYPE_LONGBLOB] = PHYS_STR,
    [TYPE_ENUM] = PHYS_INT,        [TYPE_SET] = PHYS_INT,        [TYPE_JSON] = PHYS_STR,
    [TYPE_GEOMETRY] = PHYS_STR,    [TYPE_VECTOR] = PHYS_STR,
};

struct type_info {
    const char *name;
    uint8_t wire;
    uint8_t width_signed; /* display width of integers */
    uint8_t width_unsigned;
    uint8_t int_digits;
    uint8_t int_digits_unsigned;
    uint64_t max_bytes; /* of the blob families */
};

static const struct type_info infos[TYPE__COUNT] = {
    [TYPE_NULL] = {"null", WIRE_TYPE_NULL, 0, 0, 0, 0, 0},
    [TYPE_TINYINT] = {"tinyint", WIRE_TYPE_TINY, 4, 3, 3, 3, 0},
    [TYPE_SMALLINT] = {"smallint", WIRE_TYPE_SHORT, 6, 5, 5, 5, 0},
    [TYPE_MEDIUMINT] = {"mediumint", WIRE_TYPE_INT24, 9, 8, 7, 8, 0},
    [TYPE_INT] = {"int", WIRE_TYPE_LONG, 11, 10, 10, 10, 0},
    [TYPE_BIGINT] = {"bigint", WIRE_TYPE_LONGLONG, 20, 20, 19, 20, 0},
    [TYPE_DECIMAL] = {"decimal", WIRE_TYPE_NEWDECIMAL, 0, 0, 0, 0, 0},
    [TYPE_FLOAT] = {"float", WIRE_TYPE_FLOAT, 12, 12, 0, 0, 0},
    [TYPE_DOUBLE] = {"double", WIRE_TYPE_DOUBLE, 22, 22, 0, 0, 0},
    [TYPE_BIT] = {"bit", WIRE_TYPE_BIT, 0, 0, 20, 20, 0},
    [TYPE_DATE] = {"date", WIRE_TYPE_DATE, 10, 10, 8, 8, 0},
    [TYPE_TIME] = {"time", WIRE_TYPE_TIME, 10, 10, 7, 7, 0},
    [TYPE_DATETIME] = {"datetime", WIRE_TYPE_DATETIME, 19, 19, 14, 14, 0},
    [TYPE_TIMESTAMP] = {"timestamp", WIRE_TYPE_TIMESTAMP, 19, 19, 14, 14, 0},
    [TYPE_YEAR] = {"year", WIRE_TYPE_YEAR, 4, 4, 4, 4, 0},
    [TYPE_CHAR] = {"char", WIRE_TYPE_STRING, 0, 0, 0, 0, 0},
    [TYPE_VARCHAR] = {"varchar", WIRE_TYPE_VAR_STRING, 0, 0, 0, 0, 0},
    [TYPE_BINARY] = {"binary", WIRE_TYPE_STRING, 0, 0, 0, 0, 0},
    [TYPE_VARBINARY] = {"varbinary", WIRE_TYPE_VAR_STRING, 0, 0, 0, 0, 0},
    [TYPE_TINYTEXT] = {"tinytext", WIRE_TYPE_BLOB, 0, 0, 0, 0, 0xff},
    [TYPE_TEXT] = {"text", WIRE_TYPE_BLOB, 0, 0, 0, 0, 0xffff},
    [TYPE_MEDIUMTEXT] = {"mediumtext", WIRE_TYPE_BLOB, 0, 0, 0, 0, 0xffffff},
    [TYPE_LONGTEXT] = {"longtext", WIRE_TYPE_BLOB, 0, 0, 0, 0, 0xffffffff},
    [TYPE_TINYBLOB] = {"tinyblob", WIRE_TYPE_BLOB, 0, 0, 0, 0, 0xff},
    [TYPE_BLOB] = {"blob", WIRE_TYPE_BLOB, 0, 0, 0, 0, 0xffff},
    [TYPE_MEDIUMBLOB] = {"mediumblob", WIRE_TYPE_BLOB, 0, 0, 0, 0, 0xffffff},
    [TYPE_LONGBLOB] = {"longblob", WIRE_TYPE_BLOB, 0, 0, 0, 0, 0xffffffff},
    [TYPE_ENUM] = {"enum", WIRE_TYPE_STRING, 0, 0, 0, 0, 0},
    [TYPE_SET] = {"set", WIRE_TYPE_STRING, 0, 0, 0, 0, 0},
    [TYPE_JSON] = {"json", WIRE_TYPE_JSON, 0, 0, 0, 0, 0xffffffff},
    [TYPE_GEOMETRY] = {"geometry", WIRE_TYPE_GEOMETRY, 0, 0, 0, 0, 0xffffffff},
    [TYPE_VECTOR] = {"vector", WIRE_TYPE_VECTOR, 0, 0, 0, 0, 0},
};

static const char *const geometry_names[] = {
    [GEOM_GEOMETRY] = "geometry",         [GEOM_POINT] = "point",
    [GEOM_LINESTRING] = "linestring",     [GEOM_POLYGON] = "polygon",
    [GEOM_MULTIPOINT] = "multipoint",     [GEOM_MULTILINESTRING] = "multilinestring",
    [GEOM_MULTIPOLYGON] = "multipolygon", [GEOM_COLLECTION] = "geomcollection",
};

static struct sql_type make(enum type_id id, uint32_t length)
{
    return (struct sql_type){.id = (uint8_t)id, .length = length, .collation = COLL_BINARY};
}

struct sql_type type_null(void)
{
    return make(TYPE_NULL, 0);
}

struct sql_type type_int(enum type_id id, bool is_unsigned)
{
    struct sql_type t = make(id, is_unsigned ? infos[id].width_unsigned : infos[id].width_signed);
    t.flags = is_unsigned ? TYPE_F_UNSIGNED : 0;
    return t;
}

uint32_t type_int_chars(const struct sql_type *t)
{
    const struct type_info *i = &infos[t->id];
    uint32_t natural = type_is_unsigned(t) ? i->width_unsigned : i->width_signed;
    bool expr = (t->flags & TYPE_F_EXPR) != 0 && (t->flags & TYPE_F_ZEROFILL) == 0;
    return expr || t->length > natural ? t->length : natural;
}

struct sql_type type_decimal(unsigned precision, unsigned scale, bool is_unsigned)
{
    struct sql_type t = make(TYPE_DECIMAL, precision);
    t.decimals = (uint8_t)scale;
    t.flags = is_unsigned ? TYPE_F_UNSIGNED : 0;
    return t;
}

struct sql_type type_double(void)
{
    struct sql_type t = make(TYPE_DOUBLE, infos[TYPE_DOUBLE].width_signed);
    t.decimals = DECIMALS_NOT_FIXED;
    return t;
}

struct sql_type type_float(void)
{
    struct sql_type t = make(TYPE_FLOAT, infos[TYPE_FLOAT].width_signed);
    t.decimals = DECIMALS_NOT_FIXED;
    return t;
}

struct sql_type type_bit(unsigned bits)
{
    struct sql_type t = make(TYPE_BIT, bits);
    t.flags = TYPE_F_UNSIGNED;
    return t;
}

struct sql_type type_temporal(enum type_id id, unsigned decimals)
{
    struct sql_type t = make(id, infos[id].width_signed + (decimals != 0 ? decimals + 1 : 0));
    t.decimals = (uint8_t)decimals;
    t.flags = id == TYPE_YEAR ? TYPE_F_UNSIGNED | TYPE_F_ZEROFILL : 0;
    return t;
}

struct sql_type type_char(enum type_id id, uint32_t length, unsigned collation)
{
    struct sql_type t = make(id, length);
    t.collation = (uint16_t)collation;
    t.decimals = id == TYPE_BINARY || id == TYPE_CHAR || id == TYPE_VARCHAR || id == TYPE_VARBINARY
                     ? DECIMALS_NOT_FIXED
                     : 0;
    return t;
}

struct sql_type type_blob(enum type_id id, unsigned collation)
{
    struct sql_type t = make(id, (uint32_t)infos[id].max_bytes);
    t.collation = (uint16_t)collation;
    t.decimals = DECIMALS_NOT_FIXED;
    return t;
}

struct sql_type type_names_of(enum type_id id, const struct type_names *names, unsigned collation)
{
    struct sql_type t = make(id, 0);
    t.flags = TYPE_F_UNSIGNED;
    t.collation = (uint16_t)collation;
    t.names = names;
    const struct collation *c = collation_by_id(collation);
    uint32_t longest = 0;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        uint32_t chars =
            (uint32_t)(c != NULL && c->cs->ops != NULL ? charset_char_count(c->cs, names->names[i])
                                                       : names->names[i].len);
        longest = chars > longest ? chars : longest;
        sum += chars;
    }
    t.length = id == TYPE_ENUM ? longest : sum + (names->count > 1 ? names->count - 1 : 0);
    return t;
}

struct sql_type type_vector(uint32_t entries)
{
    return make(TYPE_VECTOR, entries);
}

bool type_reads_padded(const struct sql_type *t, uint64_t sql_mode)
{
    return (sql_mode & SQL_MODE_PAD_CHAR_TO_FULL_LENGTH) != 0 && t->id == TYPE_CHAR;
}

bool type_is_numeric(const struct sql_type *t)
{
    return (t->id >= TYPE_TINYINT && t->id <= TYPE_BIT) || t->id == TYPE_YEAR;
}

uint64_t type_max_bytes(const struct sql_type *t)
{
    switch ((int)t->id) {
    case TYPE_CHAR:
    case TYPE_VARCHAR: {
        const struct collation *c = collation_by_id(t->collation);
        return (uint64_t)t->length * (c == NULL ? 1 : c->cs->maxlen);
    }
    case TYPE_BINARY:
    case TYPE_VARBINARY: return t->length;
    case TYPE_VECTOR: return (uint64_t)t->length * 4;
    default: break;
    }
    if (type_is_blob(t) && t->length != 0) {
        return t->length;
    }
    return infos[t->id].max_bytes;
}

unsigned type_int_digits(const struct sql_type *t)
{
    if (t->id == TYPE_DECIMAL) {
        return t->length - t->decimals;
    }
    return type_is_unsigned(t) ? infos[t->id].int_digits_unsigned : infos[t->id].int_digits;
}

bool type_equal(const struct sql_type *a, const struct sql_type *b)
{
    if (a->id != b->id || a->flags != b->flags || a->decimals != b->decimals ||
        a->length != b->length || a->collation != b->collation || a->geometry != b->geometry ||
        a->srid_plus_1 != b->srid_plus_1 || (a->names == NULL) != (b->names == NULL)) {
        return false;
    }
    if (a->names == NULL || a->names == b->names) {
        return true;
    }
    if (a->names->count != b->names->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->names->count; i++) {
        if (!slice_eq(a->names->names[i], b->names->names[i])) {
            return false;
        }
    }
    return true;
}

void type_int_range(const struct sql_type *t, int64_t *ret_min, uint64_t *ret_max)
{
    unsigned bits = 64;
    switch ((int)t->id) {
    case TYPE_TINYINT: bits = 8; break;
    case TYPE_SMALLINT: bits = 16; break;
    case TYPE_MEDIUMINT: bits = 24; break;
    case TYPE_INT: bits = 32; break;
    case TYPE_BIT: bits = t->length; break;
    default: break;
    }
    if (type_is_unsigned(t)) {
        *ret_min = 0;
        *ret_max = bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
    } else {
        *ret_max = (1ull << (bits - 1)) - 1;
        *ret_min = -(int64_t)*ret_max - 1;
    }
}

const char *type_data_type(const struct sql_type *t)
{
    return t->id == TYPE_GEOMETRY ? geometry_names[t->geometry] : infos[t->id].name;
}

/* 'it''s' */
static db_err print_quoted(struct slice s, struct buf *out)
{
    TRY(buf_append_u8(out, '\''));
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\'') {
            TRY(buf_append_u8(out, '\''));
        }
        TRY(buf_append_u8(out, s.ptr[i]));
    }
    return buf_append_u8(out, '\'');
}

/* Members are in the column's charset, what is printed is UTF-8. */
static db_err print_member(const struct charset *cs, struct slice s, struct buf *out)
{
    struct buf text;
    if (cs == NULL || cs->ops == NULL || (cs->ascii_superset && utf8_is_ascii(s))) {
        return print_quoted(s, out);
    }
    buf_init(&text, s.len * 4 + 16);
    db_err err = charset_convert(cs, s, collation_by_id(COLL_UTF8MB4_BIN)->cs, &text, NULL);
    if (err == ERR_OK) {
        err = print_quoted(buf_slice(&text), out);
    }
    buf_fini(&text);
    return err;
}

static db_err print_names(const struct sql_type *t, struct buf *out)
{
    const struct type_names *names = t->names;
    const struct collation *c = collation_by_id(t->collation);
    TRY(buf_append_u8(out, '('));
    for (uint32_t i = 0; i < names->count; i++) {
        if (i != 0) {
            TRY(buf_append_u8(out, ','));
        }
        TRY(print_member(c == NULL ? NULL : c->cs, names->names[i], out));
    }
    return buf_append_u8(out, ')');
}

static db_err print_length(const struct sql_type *t, struct buf *out)
{
    switch ((int)t->id) {
    case TYPE_TINYINT:
        if ((t->flags & TYPE_F_ZEROFILL) != 0 || (t->length == 1 && !type_is_unsigned(t))) {
            return buf_printf(out, "(%u)", t->length);
        }
        return ERR_OK;
    case TYPE_SMALLINT:
    case TYPE_MEDIUMINT:
    case TYPE_INT:
    case TYPE_BIGINT:
        return (t->flags & TYPE_F_ZEROFILL) != 0 ? buf_printf(out, "(%u)", t->length) : ERR_OK;
    case TYPE_DECIMAL: return buf_printf(out, "(%u,%u)", t->length, t->decimals);
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
        return t->decimals == DECIMALS_NOT_FIXED
                   ? ERR_OK
                   : buf_printf(out, "(%u,%u)", t->length, t->decimals);
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: return t->decimals == 0 ? ERR_OK : buf_printf(out, "(%u)", t->decimals);
    case TYPE_BIT:
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_BINARY:
    case TYPE_VARBINARY: return buf_printf(out, "(%u)", t->length);
    case TYPE_VECTOR: /* MYSQL: VECTOR(0) holds nothing, and is shown so */
        return buf_printf(out, "(%u)", t->length == 0 ? UINT32_MAX : t->length);
    case TYPE_ENUM:
    case TYPE_SET: return print_names(t, out);
    default: return ERR_OK;
    }
}

db_err type_print(const struct sql_type *t, struct buf *out)
{
    TRY(buf_append_slice(out, slice_str(type_data_type(t))));
    TRY(print_length(t, out));
    if (type_is_integer(t) || t->id == TYPE_DECIMAL || t->id == TYPE_FLOAT ||
        t->id == TYPE_DOUBLE) {
        if (type_is_unsigned(t)) {
            TRY(buf_append_slice(out, SLICE_LIT(" unsigned")));
        }
        if ((t->flags & TYPE_F_ZEROFILL) != 0) {
            TRY(buf_append_slice(out, SLICE_LIT(" zerofill")));
        }
    }
    return ERR_OK;
}

static uint32_t text_wire_length(uint32_t chars, unsigned results_collation,
                                 const struct collation *own)
{
    const struct collation *c = results_collation != 0 ? collation_by_id(results_collation) : own;
    uint64_t bytes = (uint64_t)chars * (c == NULL ? 1 : c->cs->maxlen);
    return bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

static uint32_t wire_length(const struct sql_type *t)
{
    switch ((int)t->id) {
    case TYPE_DECIMAL: /* digits, sign and point */
        return t->length + (t->decimals != 0) + (type_is_unsigned(t) ? 0 : 1) +
               ((t->wire & TYPE_W_LONG_PRECISION) != 0);
    case TYPE_JSON:
    case TYPE_GEOMETRY: return UINT32_MAX;
    case TYPE_VECTOR: return t->length > UINT32_MAX / 4 ? UINT32_MAX : t->length * 4;
    default: return t->length;
    }
}

void type_wire_column(const struct sql_type *t, unsigned results_collation, struct wire_column *ret)
{
    const struct collation *own = collation_by_id(t->collation);
    bool is_text = (type_is_string(t) || t->id == TYPE_ENUM || t->id == TYPE_SET) &&
                   t->collation != COLL_BINARY;
    unsigned flags = 0;
    ret->type = infos[t->id].wire;
    ret->decimals = type_is_temporal(t) || type_is_numeric(t) ? t->decimals : 0;
    if ((t->flags & TYPE_F_EXPR) != 0) {
        if (type_is_string(t)) {
            ret->decimals = (t->wire & TYPE_W_NO_DECIMALS) != 0 ? 0 : DECIMALS_NOT_FIXED;
            if (!type_is_blob(t)) {
                bool fixed =
                    t->id == TYPE_CHAR || (t->id == TYPE_BINARY && (t->wire & TYPE_W_VARYING) == 0);
                ret->type = fixed ? WIRE_TYPE_STRING : WIRE_TYPE_VAR_STRING;
            } else if (t->id == TYPE_MEDIUMTEXT || t->id == TYPE_MEDIUMBLOB) {
                ret->type = WIRE_TYPE_MEDIUM_BLOB;
            } else if (t->id == TYPE_LONGTEXT || t->id == TYPE_LONGBLOB) {
                ret->type = WIRE_TYPE_LONG_BLOB;
            }
        }
        if (!is_text && t->id != TYPE_BIT) {
            flags |= WIRE_FLAG_BINARY;
        }
        if (t->id == TYPE_ENUM || t->id == TYPE_SET) {
            ret->type = t->id == TYPE_ENUM ? WIRE_TYPE_ENUM : WIRE_TYPE_SET;
            ret->decimals = DECIMALS_NOT_FIXED;
        }
    }
    flags |= t->id == TYPE_NULL ? WIRE_FLAG_BINARY : 0;
    flags |= (t->wire & TYPE_W_UNSIGNED) != 0 ? WIRE_FLAG_UNSIGNED : 0;
    if (is_text) {
        ret->length = text_wire_length(t->length, results_collation, own);
        ret->charset = (uint16_t)(results_collation != 0 ? results_collation : t->collation);
        if (own != NULL && strstr(own->name, "_bin") != NULL) {
            flags |= WIRE_FLAG_BINARY;
        }
    } else {
        ret->length = wire_length(t);
        ret->charset = COLL_BINARY;
        if (type_is_temporal(t) || type_is_string(t) || t->id == TYPE_JSON ||
            t->id == TYPE_GEOMETRY || t->id == TYPE_VECTOR) {
            flags |= WIRE_FLAG_BINARY;
        }
    }
    bool json_expr = t->id == TYPE_JSON && (t->flags & TYPE_F_EXPR) != 0;
    if (json_expr) { /* MYSQL: of an expression it is text of the results' charset */
        ret->charset = (uint16_t)(results_collation != 0 ? results_collation : COLL_UTF8MB4_BIN);
        ret->length = UINT32_MAX - 3;
        ret->decimals = DECIMALS_NOT_FIXED;
    }
    flags |= (t->flags & TYPE_F_NOT_NULL) != 0 ? WIRE_FLAG_NOT_NULL : 0;
    bool year = t->id == TYPE_YEAR && (t->flags & TYPE_F_EXPR) != 0;
    flags |= (t->flags & TYPE_F_ZEROFILL) != 0 && !year ? WIRE_FLAG_ZEROFILL : 0;
    if (type_is_unsigned(t) && t->id != TYPE_ENUM && t->id != TYPE_SET) {
        flags |= WIRE_FLAG_UNSIGNED;
    }
    ret->decimals = t->id == TYPE_VECTOR ? DECIMALS_NOT_FIXED : ret->decimals;
    bool expr_blob = type_is_blob(t) && (t->flags & TYPE_F_EXPR) != 0;
    if ((type_is_blob(t) && !expr_blob) || (t->id == TYPE_JSON && !json_expr) ||
        t->id == TYPE_GEOMETRY || (t->id == TYPE_VECTOR && (t->flags & TYPE_F_EXPR) == 0)) {
        flags |= WIRE_FLAG_BLOB;
    }
    bool is_expr = (t->flags & TYPE_F_EXPR) != 0;
    flags |= t->id == TYPE_ENUM && !is_expr ? WIRE_FLAG_ENUM : 0;
    flags |= t->id == TYPE_SET && !is_expr ? WIRE_FLAG_SET : 0;
    ret->flags = (uint16_t)flags;
}

/* 4 for 9 digits, fewer for the rest, of each side. */
static uint32_t decimal_row_bytes(const struct sql_type *t)
{
    static const uint8_t rest[] = {0, 1, 1, 2, 2, 3, 3, 4, 4};
    uint32_t whole = t->length - t->decimals;
    return whole / 9 * 4 + rest[whole % 9] + t->decimals / 9u * 4 + rest[t->decimals % 9];
}

uint32_t type_row_bytes(const struct sql_type *t)
{
    uint32_t fraction = (t->decimals + 1u) / 2;
    uint32_t names = t->names == NULL ? 0 : t->names->count;
    switch ((int)t->id) {
    case TYPE_TINYINT:
    case TYPE_YEAR: return 1;
    case TYPE_SMALLINT: return 2;
    case TYPE_MEDIUMINT:
    case TYPE_DATE: return 3;
    case TYPE_INT:
    case TYPE_FLOAT: return 4;
    case TYPE_BIGINT:
    case TYPE_DOUBLE: return 8;
    case TYPE_DECIMAL: return decimal_row_bytes(t);
    case TYPE_BIT: return (t->length + 7) / 8;
    case TYPE_TIME: return 3 + fraction;
    case TYPE_TIMESTAMP: return 4 + fraction;
    case TYPE_DATETIME: return 5 + fraction;
    case TYPE_ENUM: return names > 255 ? 2 : 1;
    case TYPE_SET: return names > 32 ? 8 : names == 0 ? 1 : (names + 7) / 8;
    default: return 0;
    }
}
