/* Types of the grammar as sql_types, with MySQL's limits. */
#include "sql/bind/bind.h"

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/types/sql_mode.h"

struct type_ctx {
    struct arena *arena;
    const struct ast_type *ast;
    uint16_t default_collation;
    const struct bind_opts *opts;
    const char *column;
    struct diag *diag;
};

const struct collation *bind_charset_collation(const struct bind_opts *opts,
                                               const struct charset *cs)
{
    const struct collation *c =
        opts->utf8mb4_collation == 0 ? NULL : collation_by_id(opts->utf8mb4_collation);
    return c != NULL && c->cs == cs ? c : charset_default_collation(cs);
}

static db_err text_collation(const struct type_ctx *c, uint16_t *ret)
{
    const struct ast_type *a = c->ast;
    const struct collation *coll = collation_by_id(c->default_collation);
    if (a->charset.ptr != NULL) {
        const struct charset *cs;
        TRY(charset_require(a->charset, c->diag, &cs));
        coll = bind_charset_collation(c->opts, cs);
    }
    if (a->collation.ptr != NULL) {
        const struct collation *wanted;
        TRY(collation_require(a->collation, c->diag, &wanted));
        if (a->charset.ptr != NULL && wanted->cs != coll->cs) {
            return my_error(c->diag, ER_COLLATION_CHARSET_MISMATCH, wanted->name, coll->cs->name);
        }
        coll = wanted;
    }
    if ((a->flags & AST_TYPE_F_NATIONAL) != 0 && a->charset.ptr == NULL) {
        coll = collation_by_id(COLL_UTF8MB3_GENERAL_CI);
    }
    if ((a->flags & AST_TYPE_F_BINARY) != 0) {
        coll = charset_bin_collation(coll->cs);
    }
    if (coll == NULL || coll->ops == NULL) {
        return my_error(c->diag, ER_NOT_SUPPORTED_YET,
                        coll == NULL ? "this collation" : coll->name);
    }
    *ret = coll->id;
    return ERR_OK;
}

static db_err bind_char(const struct type_ctx *c, struct sql_type *ret)
{
    const struct ast_type *a = c->ast;
    bool fixed = a->kind == AST_TYPE_CHAR || a->kind == AST_TYPE_BINARY;
    uint64_t length = (a->flags & AST_TYPE_F_LENGTH) != 0 ? a->length : 1;
    uint16_t collation = COLL_BINARY;
    bool binary = a->kind == AST_TYPE_BINARY || a->kind == AST_TYPE_VARBINARY ||
                  (a->flags & AST_TYPE_F_BYTE) != 0;
    if (!binary) {
        TRY(text_collation(c, &collation));
        binary = collation == COLL_BINARY;
    }
    if (fixed && length > CHAR_LENGTH_MAX) {
        return my_error(c->diag, ER_TOO_BIG_FIELDLENGTH, c->column, (unsigned long)CHAR_LENGTH_MAX);
    }
    unsigned maxlen = collation_by_id(collation)->cs->maxlen;
    if (length > UINT32_MAX) {
        return my_error(c->diag, ER_TOO_BIG_DISPLAYWIDTH, c->column, (unsigned long)UINT32_MAX);
    }
    if (!fixed && length > VARCHAR_BYTES_MAX / maxlen) {
        return my_error(c->diag, ER_TOO_BIG_FIELDLENGTH, c->column,
                        (unsigned long)(VARCHAR_BYTES_MAX / maxlen));
    }
    enum type_id id =
        fixed ? (binary ? TYPE_BINARY : TYPE_CHAR) : (binary ? TYPE_VARBINARY : TYPE_VARCHAR);
    *ret = type_char(id, (uint32_t)length, collation);
    return ERR_OK;
}

static db_err bind_blob(const struct type_ctx *c, struct sql_type *ret)
{
    static const uint8_t ids[] = {TYPE_TINYTEXT, TYPE_TEXT, TYPE_MEDIUMTEXT, TYPE_LONGTEXT,
                                  TYPE_TINYBLOB, TYPE_BLOB, TYPE_MEDIUMBLOB, TYPE_LONGBLOB};
    const struct ast_type *a = c->ast;
    enum type_id id = (enum type_id)ids[a->kind - AST_TYPE_TINYTEXT];
    uint16_t collation = COLL_BINARY;
    bool text = a->kind <= AST_TYPE_LONGTEXT;
    if (text) {
        TRY(text_collation(c, &collation));
        if (collation == COLL_BINARY) {
            id = (enum type_id)(id + (TYPE_TINYBLOB - TYPE_TINYTEXT));
        }
    }
    /* MYSQL: TEXT(n), BLOB(n): the smallest type that holds n characters. */
    if ((a->kind == AST_TYPE_TEXT || a->kind == AST_TYPE_BLOB) &&
        (a->flags & AST_TYPE_F_LENGTH) != 0) {
        uint64_t bytes = a->length * collation_by_id(collation)->cs->maxlen;
        unsigned step = bytes <= 0xff ? 0 : bytes <= 0xffff ? 1 : bytes <= 0xffffff ? 2 : 3;
        if (a->length > UINT32_MAX) {
            return my_error(c->diag, ER_TOO_BIG_DISPLAYWIDTH, c->column, (unsigned long)UINT32_MAX);
        }
        id = (enum type_id)((id >= TYPE_TINYBLOB ? TYPE_TINYBLOB : TYPE_TINYTEXT) + (int)step);
    }
    *ret = type_blob(id, collation);
    return ERR_OK;
}

static db_err bind_decimal(const struct type_ctx *c, struct sql_type *ret)
{
    const struct ast_type *a = c->ast;
    uint64_t precision = (a->flags & AST_TYPE_F_LENGTH) != 0 ? a->length : 10;
    uint64_t scale = (a->flags & AST_TYPE_F_DEC) != 0 ? a->dec : 0;
    if (scale > DECIMAL_SCALE_MAX) {
        return my_error(c->diag, ER_TOO_BIG_SCALE, (unsigned)scale, c->column,
                        (unsigned long)DECIMAL_SCALE_MAX);
    }
    if (precision > DECIMAL_PRECISION_MAX) {
        return my_error(c->diag, ER_TOO_BIG_PRECISION, (unsigned)precision, c->column,
                        (unsigned long)DECIMAL_PRECISION_MAX);
    }
    if (scale > precision) {
        return my_error(c->diag, ER_M_BIGGER_THAN_D, c->column);
    }
    if (precision == 0) { /* MYSQL: of 0 digits is as if nothing were said */
        precision = 10;
    }
    *ret =
        type_decimal((unsigned)precision, (unsigned)scale, (a->flags & AST_TYPE_F_UNSIGNED) != 0);
    return ERR_OK;
}

static db_err bind_float(const struct type_ctx *c, struct sql_type *ret)
{
    const struct ast_type *a = c->ast;
    bool real_float = a->kind == AST_TYPE_REAL && (c->opts->sql_mode & SQL_MODE_REAL_AS_FLOAT) != 0;
    bool is_float = a->kind == AST_TYPE_FLOAT || real_float;
    if (a->kind == AST_TYPE_FLOAT && (a->flags & AST_TYPE_F_DEC) == 0 &&
        (a->flags & AST_TYPE_F_LENGTH) != 0) {
        if (a->length > 53) {
            return my_error(c->diag, ER_WRONG_FIELD_SPEC, c->column);
        }
        is_float = a->length <= 24;
    }
    *ret = is_float ? type_float() : type_double();
    if ((a->flags & AST_TYPE_F_DEC) != 0) {
        if (a->dec > DECIMAL_SCALE_MAX) {
            return my_error(c->diag, ER_TOO_BIG_SCALE, (unsigned)a->dec, c->column,
                            (unsigned long)DECIMAL_SCALE_MAX);
        }
        if (a->length > 255) {
            return my_error(c->diag, ER_TOO_BIG_DISPLAYWIDTH, c->column, 255ul);
        }
        if (a->dec > a->length) {
            return my_error(c->diag, ER_M_BIGGER_THAN_D, c->column);
        }
        if (a->length == 0) {
            return my_error(c->diag, ER_TOO_BIG_DISPLAYWIDTH, c->column, 255ul);
        }
        ret->length = (uint32_t)a->length;
        ret->decimals = (uint8_t)a->dec;
    }
    if ((a->flags & AST_TYPE_F_UNSIGNED) != 0) {
        ret->flags |= TYPE_F_UNSIGNED;
    }
    return ERR_OK;
}

/* Members are kept in the column's charset; they come in UTF-8. */
static db_err member_text(const struct type_ctx *c, const struct charset *cs, struct slice text,
                          struct slice *ret)
{
    const struct charset *utf8 = collation_by_id(COLL_UTF8MB4_BIN)->cs;
    struct slice s = text;
    if (strcmp(cs->name, "binary") != 0) {
        s = charset_trim_space(text);
    }
    if (cs->ops != NULL && strcmp(cs->name, "binary") != 0) {
        TRY(charset_convert_arena(utf8, s, cs, c->arena, &s, NULL));
    }
    return arena_copy(c->arena, s, ret);
}

/* MYSQL: bytes are what the charset's text begins with; zeros before them fill its first character
 * up. */
static db_err member_bytes(const struct type_ctx *c, const struct charset *cs, struct slice bytes,
                           struct slice *ret)
{
    if (cs->ops == NULL || strcmp(cs->name, "binary") == 0) {
        return arena_copy(c->arena, bytes, ret);
    }
    size_t zeros = (cs->minlen - bytes.len % cs->minlen) % cs->minlen;
    uint8_t *text = arena_calloc(c->arena, zeros + bytes.len, 1);
    if (text == NULL) {
        return ERR_NOMEM;
    }
    if (bytes.len != 0) {
        memcpy(text + zeros, bytes.ptr, bytes.len);
    }
    struct slice s = slice_of(text, zeros + bytes.len);
    s.len = cs->ops->valid_prefix(cs, s);
    *ret = charset_trim_pad(cs, s);
    return ERR_OK;
}

static db_err bind_names(const struct type_ctx *c, struct sql_type *ret)
{
    enum { MEMBER_CHARS_MAX = 255 };
    const struct ast_type *a = c->ast;
    bool is_set = a->kind == AST_TYPE_SET;
    uint16_t collation;
    TRY(text_collation(c, &collation));
    if (a->values.count > (is_set ? (uint32_t)SET_MEMBERS_MAX : (uint32_t)ENUM_MEMBERS_MAX)) {
        return is_set ? my_error(c->diag, ER_TOO_BIG_SET, c->column)
                      : my_error(c->diag, ER_TOO_BIG_ENUM, c->column);
    }
    struct type_names *names = ARENA_NEW(c->arena, struct type_names);
    struct slice *list = ARENA_ARRAY(c->arena, struct slice, a->values.count);
    if (names == NULL || list == NULL) {
        return ERR_NOMEM;
    }
    const struct collation *coll = collation_by_id(collation);
    for (uint32_t i = 0; i < a->values.count; i++) {
        const struct ast_text *member = a->values.items[i];
        TRY(member->is_bytes ? member_bytes(c, coll->cs, member->text, &list[i])
                             : member_text(c, coll->cs, member->text, &list[i]));
        if (coll->cs->ops != NULL && charset_char_count(coll->cs, list[i]) > MEMBER_CHARS_MAX) {
            return my_error(c->diag, ER_TOO_LONG_SET_ENUM_VALUE, c->column);
        }
        for (uint32_t k = 0; k < i; k++) {
            if (collation_compare(coll, list[i], list[k]) == 0) {
                return my_error(c->diag, ER_DUPLICATED_VALUE_IN_TYPE, c->column,
                                arena_strdup(c->arena, list[k]), is_set ? "SET" : "ENUM");
            }
        }
        if (is_set && memchr(list[i].ptr, ',', list[i].len) != NULL) {
            return my_error(c->diag, ER_ILLEGAL_VALUE_FOR_TYPE, "set",
                            arena_strdup(c->arena, list[i]));
        }
    }
    names->count = a->values.count;
    names->names = list;
    *ret = type_names_of(is_set ? TYPE_SET : TYPE_ENUM, names, collation);
    return ERR_OK;
}

static db_err bind_temporal(const struct type_ctx *c, struct sql_type *ret)
{
    static const uint8_t ids[] = {TYPE_DATE, TYPE_TIME, TYPE_DATETIME, TYPE_TIMESTAMP, TYPE_YEAR};
    const struct ast_type *a = c->ast;
    enum type_id id = (enum type_id)ids[a->kind - AST_TYPE_DATE];
    uint64_t decimals = (a->flags & AST_TYPE_F_LENGTH) != 0 && id != TYPE_YEAR ? a->length : 0;
    if (decimals > TIME_DECIMALS_MAX) {
        return my_error(c->diag, ER_TOO_BIG_PRECISION, (unsigned)decimals, c->column,
                        (unsigned long)TIME_DECIMALS_MAX);
    }
    if (id == TYPE_YEAR && (a->flags & AST_TYPE_F_LENGTH) != 0 && a->length != 4) {
        return my_error(c->diag, ER_INVALID_YEAR_COLUMN_LENGTH, "YEAR");
    }
    *ret = type_temporal(id, (unsigned)decimals);
    return ERR_OK;
}

static db_err bind_int(const struct type_ctx *c, enum type_id id, struct sql_type *ret)
{
    const struct ast_type *a = c->ast;
    bool is_unsigned = (a->flags & (AST_TYPE_F_UNSIGNED | AST_TYPE_F_ZEROFILL)) != 0;
    *ret = type_int(id, is_unsigned);
    if ((a->flags & AST_TYPE_F_LENGTH) != 0) {
        if (a->length > 255) {
            return my_error(c->diag, ER_TOO_BIG_DISPLAYWIDTH, c->column, 255ul);
        }
        if (a->length != 0 &&
            ((a->flags & AST_TYPE_F_ZEROFILL) != 0 || (id == TYPE_TINYINT && a->length == 1))) {
            ret->length = (uint32_t)a->length;
        }
    }
    return ERR_OK;
}

/* MYSQL: bytes are counted in 32 bits. */
static db_err bind_vector(const struct type_ctx *c, struct sql_type *ret)
{
    const struct ast_type *a = c->ast;
    if (a->collation.ptr != NULL) {
        return my_error(c->diag, ER_COLLATION_CHARSET_MISMATCH,
                        arena_strdup(c->arena, a->collation), "binary");
    }
    if ((a->flags & AST_TYPE_F_LENGTH) == 0) {
        *ret = type_vector(VECTOR_LENGTH_DEFAULT);
        return ERR_OK;
    }
    if (a->length > VECTOR_LENGTH_MAX) {
        uint32_t bytes = (uint32_t)(a->length * 4);
        return my_error(c->diag, ER_EXCEEDS_VECTOR_MAX_DIMENSIONS, (unsigned long)bytes, bytes / 4,
                        (unsigned long)VECTOR_LENGTH_MAX * 4, (unsigned)VECTOR_LENGTH_MAX,
                        c->column);
    }
    *ret = type_vector((uint32_t)a->length);
    return ERR_OK;
}

static db_err bind_by_kind(const struct type_ctx *c, struct sql_type *ret)
{
    const struct ast_type *a = c->ast;
    if (a->kind <= AST_TYPE_BIGINT) {
        return bind_int(c, (enum type_id)(TYPE_TINYINT + (int)(a->kind - AST_TYPE_TINYINT)), ret);
    }
    if (a->kind >= AST_TYPE_TINYTEXT && a->kind <= AST_TYPE_LONGBLOB) {
        return bind_blob(c, ret);
    }
    if (a->kind >= AST_TYPE_DATE && a->kind <= AST_TYPE_YEAR) {
        return bind_temporal(c, ret);
    }
    switch ((int)a->kind) {
    case AST_TYPE_DECIMAL: return bind_decimal(c, ret);
    case AST_TYPE_FLOAT:
    case AST_TYPE_DOUBLE:
    case AST_TYPE_REAL: return bind_float(c, ret);
    case AST_TYPE_BOOL:
        *ret = type_int(TYPE_TINYINT, false);
        ret->length = 1;
        return ERR_OK;
    case AST_TYPE_SERIAL: *ret = type_int(TYPE_BIGINT, true); return ERR_OK;
    case AST_TYPE_BIT:
        if ((a->flags & AST_TYPE_F_LENGTH) != 0 && a->length > BIT_LENGTH_MAX) {
            return my_error(c->diag, ER_TOO_BIG_DISPLAYWIDTH, c->column,
                            (unsigned long)BIT_LENGTH_MAX);
        }
        if ((a->flags & AST_TYPE_F_LENGTH) != 0 && a->length == 0) {
            return my_error(c->diag, ER_INVALID_FIELD_SIZE, c->column);
        }
        *ret = type_bit((a->flags & AST_TYPE_F_LENGTH) != 0 ? (unsigned)a->length : 1);
        return ERR_OK;
    case AST_TYPE_CHAR:
    case AST_TYPE_VARCHAR:
    case AST_TYPE_BINARY:
    case AST_TYPE_VARBINARY: return bind_char(c, ret);
    case AST_TYPE_ENUM:
    case AST_TYPE_SET: return bind_names(c, ret);
    case AST_TYPE_JSON:
        if (a->collation.ptr != NULL) {
            return my_error(c->diag, ER_COLLATION_CHARSET_MISMATCH,
                            arena_strdup(c->arena, a->collation), "binary");
        }
        *ret = type_blob(TYPE_JSON, COLL_BINARY);
        return ERR_OK;
    case AST_TYPE_VECTOR: return bind_vector(c, ret);
    default: return my_error(c->diag, ER_NOT_SUPPORTED_YET, "spatial types");
    }
}

db_err bind_type(struct arena *arena, const struct ast_type *type, uint16_t default_collation,
                 const struct bind_opts *opts, struct slice column_name, struct diag *diag,
                 struct sql_type *ret_type)
{
    struct type_ctx c = {arena, type, default_collation, opts, arena_strdup(arena, column_name),
                         diag};
    if (c.column == NULL) {
        return ERR_NOMEM;
    }
    bool bytes = type->kind == AST_TYPE_BINARY || type->kind == AST_TYPE_VARBINARY ||
                 (type->kind >= AST_TYPE_TINYBLOB && type->kind <= AST_TYPE_LONGBLOB);
    if (bytes && type->collation.ptr != NULL) {
        const struct collation *wanted;
        TRY(collation_require(type->collation, diag, &wanted));
        if (wanted->id != COLL_BINARY) {
            return my_error(diag, ER_COLLATION_CHARSET_MISMATCH, wanted->name, "binary");
        }
    }
    struct sql_type t;
    TRY(bind_by_kind(&c, &t));
    if ((type->flags & AST_TYPE_F_ZEROFILL) != 0) {
        t.flags |= TYPE_F_ZEROFILL | TYPE_F_UNSIGNED;
    }
    *ret_type = t;
    return ERR_OK;
}
