/* Literals and parameters. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/types/cast.h"
#include "sql/types/sql_mode.h"
#include "sql/types/temporal.h"

/* Bytes behind an introducer: whole units, and valid text of the charset. What a charset of one
 * byte a character leaves open is told of and stays. The message shows the bad bytes, six at most.
 */
static db_err introduced(struct binder *b, const struct charset *cs, struct slice *io)
{
    TRY(charset_whole_units(cs, *io, b->arena, io));
    if (cs->default_collation == COLL_BINARY) {
        return ERR_OK;
    }
    size_t good = charset_text_prefix(cs, *io);
    if (good == io->len) {
        return ERR_OK;
    }
    char shown[13] = "";
    size_t most = cs->maxlen == 1 ? 3 : 6;
    for (size_t i = 0; i < most && good + i < io->len; i++) {
        snprintf(shown + 2 * i, 3, "%02X", io->ptr[good + i]);
    }
    if (cs->maxlen == 1) {
        bind__warn(b, ER_INVALID_CHARACTER_STRING, cs->name, shown);
        return ERR_OK;
    }
    return my_error(b->diag, ER_INVALID_CHARACTER_STRING, cs->name, shown);
}

static db_err text_literal(struct binder *b, const struct ast_literal *l, struct bexpr **ret)
{
    uint16_t collation = b->opts->connection_collation;
    struct slice text = l->text;
    if (l->charset.ptr != NULL) {
        const struct charset *cs;
        TRY(charset_require(l->charset, b->diag, &cs));
        collation = bind_charset_collation(b->opts, cs)->id;
        TRY(introduced(b, cs, &text));
    } else if (b->opts->charset_client != 0) {
        const struct collation *from = collation_by_id(b->opts->charset_client);
        const struct collation *to = collation_by_id(collation);
        if (from->cs != to->cs && !(to->cs->ascii_superset && utf8_is_ascii(text))) {
            TRY(charset_convert_arena(from->cs, text, to->cs, b->arena, &text, NULL));
        }
    }
    const struct collation *c;
    TRY(collation_require_id(collation, b->diag, &c));
    struct value v = value_str(text, collation);
    size_t chars = charset_char_count(c->cs, text);
    struct sql_type t = type_char(TYPE_VARCHAR, (uint32_t)chars, collation);
    t.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    return bind__const(b, &v, &t, 4, ret);
}

static db_err int_literal(struct binder *b, const struct ast_literal *l, struct bexpr **ret)
{
    bool big = l->u64 > INT64_MAX;
    struct value v = big ? value_uint(l->u64) : value_int((int64_t)l->u64);
    struct sql_type t = type_int(TYPE_BIGINT, big);
    t.length = (l->text.len != 0 ? (uint32_t)l->text.len : 19) + !big; /* the sign counts */
    t.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    return bind__const(b, &v, &t, 5, ret);
}

static db_err decimal_literal(struct binder *b, const struct ast_literal *l, struct bexpr **ret)
{
    struct decimal d;
    unsigned cond = decimal_from_text(l->text, &d);
    unsigned digits = decimal_int_digits(&d) + d.scale;
    if ((cond & DECIMAL_OVERFLOW) != 0) { /* MYSQL: the largest number is told of */
        char shown[DECIMAL_TEXT_MAX];
        struct slice text = slice_of(shown, decimal_to_text(&d, shown));
        bind__warn(b, ER_TRUNCATED_WRONG_VALUE, "DECIMAL", arena_strdup(b->arena, text));
        decimal_fit(&d, DECIMAL_PRECISION_MAX, 0, &d);
        digits = DECIMAL_PRECISION_MAX;
    }
    /* MYSQL: the digits as written count, but for leading zeros beyond the first, which takes room
     * of the others. */
    enum { BEHIND_ZERO_MAX = 72 };
    const uint8_t *point = memchr(l->text.ptr, '.', l->text.len);
    bool zero_point = point != NULL && point != l->text.ptr && digits == d.scale;
    if (zero_point && d.scale > BEHIND_ZERO_MAX) {
        (void)decimal_round(&d, BEHIND_ZERO_MAX, DECIMAL_TRUNCATE, &d);
        digits = BEHIND_ZERO_MAX;
    }
    struct value v = value_decimal(&d);
    if (zero_point) {
        digits++;
    }
    struct sql_type t = type_decimal(digits == 0 ? 1 : digits, d.scale, false);
    t.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    return bind__const(b, &v, &t, 5, ret);
}

static db_err double_literal(struct binder *b, const struct ast_literal *l, struct bexpr **ret)
{
    size_t used;
    bool overflow;
    double d = text_to_double(l->text, &used, &overflow);
    if (overflow) {
        return my_error(b->diag, ER_ILLEGAL_VALUE_FOR_TYPE, "double",
                        arena_printf(b->arena, "%.*s", SLICE_FMT(l->text)));
    }
    struct value v = value_double(d);
    struct sql_type t = type_double();
    t.length = (uint32_t)l->text.len;
    t.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    return bind__const(b, &v, &t, 5, ret);
}

static db_err bytes_literal(struct binder *b, const struct ast_literal *l, struct bexpr **ret)
{
    uint16_t collation = COLL_BINARY;
    struct slice text = l->text;
    size_t chars = text.len;
    if (l->charset.ptr != NULL) {
        const struct charset *cs;
        TRY(charset_require(l->charset, b->diag, &cs));
        collation = bind_charset_collation(b->opts, cs)->id;
        TRY(introduced(b, cs, &text));
        chars = cs->maxlen == 1 ? text.len : charset_char_count(cs, text);
    }
    struct value v = value_str(text, collation);
    struct sql_type t = type_char(collation == COLL_BINARY ? TYPE_VARBINARY : TYPE_VARCHAR,
                                  (uint32_t)chars, collation);
    v.type = t.id;
    t.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    if (collation == COLL_BINARY && l->charset.ptr == NULL) {
        t.flags |= TYPE_F_BYTES_NUMBER;
        t.wire = TYPE_W_NO_DECIMALS | (l->kind == AST_LIT_HEX ? TYPE_W_UNSIGNED : 0);
    }
    return bind__const(b, &v, &t, 4, ret);
}

/* Of a temporal literal only its delimiters are spoken of: what is none at all is an error. */
static void warn_delimiter(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    (void)level;
    if (number == ER_WARN_DEPRECATED_DATETIME_DELIMITER ||
        number == ER_WARN_DEPRECATED_SUPERFLUOUS_DELIMITER) {
        bind__warn_text(arg, (enum my_errno)number, text);
    }
}

/* MYSQL: it is wholly what it says: a date has no time, a timestamp has one. *ret_decimals: digits
 * of the second's fraction. */
static bool is_wholly(const struct binder *b, enum type_id id, struct slice text,
                      uint8_t *ret_decimals)
{
    int64_t packed;
    int64_t datetime = 0;
    int32_t offset;
    struct temporal_note note = {0};
    unsigned flags = temporal_flags(b->opts->sql_mode);
    unsigned cond =
        id == TYPE_TIME
            ? time_parse(text, TIME_DECIMALS_MAX, flags, &packed, &datetime, &offset, &note)
            : datetime_parse(text, TIME_DECIMALS_MAX, flags, &packed, &offset, &note);
    *ret_decimals = note.fraction > TIME_DECIMALS_MAX ? TIME_DECIMALS_MAX : note.fraction;
    if (id == TYPE_TIME) {
        return (cond & (TEMPORAL_INVALID | TEMPORAL_TRUNCATED | TEMPORAL_IS_DATETIME |
                        TEMPORAL_OUT_OF_RANGE)) == 0;
    }
    bool is_date = (cond & TEMPORAL_NO_TIME) != 0;
    return (cond & (TEMPORAL_INVALID | TEMPORAL_TRUNCATED)) == 0 && is_date == (id == TYPE_DATE);
}

static db_err temporal_literal(struct binder *b, const struct ast_literal *l, struct bexpr **ret)
{
    enum type_id id = l->kind == AST_LIT_DATE   ? TYPE_DATE
                      : l->kind == AST_LIT_TIME ? TYPE_TIME
                                                : TYPE_DATETIME;
    uint8_t decimals = 0;
    bool wholly = is_wholly(b, id, l->text, &decimals);
    struct sql_type t = type_temporal(id, id == TYPE_DATE ? 0 : decimals);
    t.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    struct value text = value_str(l->text, COLL_UTF8MB4_0900_AI_CI);
    struct sql_type from = type_char(TYPE_VARCHAR, (uint32_t)l->text.len, COLL_UTF8MB4_0900_AI_CI);
    struct cast_ctx cast;
    cast_ctx_init(&cast, b->arena, b->diag);
    cast.sql_mode = b->opts->sql_mode;
    if (id == TYPE_TIME) { /* MYSQL: it is rounded, whatever the sql_mode */
        cast.sql_mode &= ~SQL_MODE_TIME_TRUNCATE_FRACTIONAL;
    }
    cast.row = 1;
    cast.warn = warn_delimiter;
    cast.warn_arg = b;
    if (b->opts->tz != NULL) {
        cast.tz = b->opts->tz;
    }
    struct value v;
    if (l->braces && !wholly) {
        return text_literal(b, l, ret);
    }
    TRY(value_cast(&cast, &from, &text, &t, &v));
    if (v.is_null || !wholly) {
        static const char *const names[] = {"DATE", "TIME", "DATETIME"};
        return my_error(b->diag, ER_WRONG_VALUE,
                        names[id == TYPE_DATE   ? 0
                              : id == TYPE_TIME ? 1
                                                : 2],
                        arena_printf(b->arena, "%.*s", SLICE_FMT(l->text)));
    }
    return bind__const(b, &v, &t, 5, ret);
}

db_err bind__literal(struct binder *b, const struct ast_literal *l, struct bexpr **ret)
{
    struct sql_type t;
    struct value v;
    switch (l->kind) {
    case AST_LIT_NULL:
        t = type_null();
        v = value_null();
        return bind__const(b, &v, &t, 6, ret);
    case AST_LIT_TRUE:
    case AST_LIT_FALSE:
        t = type_int(TYPE_BIGINT, false);
        t.length = 1;
        t.flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR | TYPE_F_BOOL;
        v = value_int(l->kind == AST_LIT_TRUE);
        return bind__const(b, &v, &t, 5, ret);
    case AST_LIT_INT: return int_literal(b, l, ret);
    case AST_LIT_DECIMAL: return decimal_literal(b, l, ret);
    case AST_LIT_FLOAT: return double_literal(b, l, ret);
    case AST_LIT_STRING: return text_literal(b, l, ret);
    case AST_LIT_HEX:
    case AST_LIT_BIT: return bytes_literal(b, l, ret);
    case AST_LIT_DATE:
    case AST_LIT_TIME:
    case AST_LIT_TIMESTAMP: return temporal_literal(b, l, ret);
    }
    return diag_set(b->diag, ERR_INVALID, "internal: literal of kind %d", (int)l->kind);
}

/* A lifted literal's plan serves all literals of its kind: the type must hold any of them. */
/* *ret_decimals: as many as are written. */
static db_err lifted_type(struct binder *b, const struct ast_literal *l, struct sql_type *ret,
                          uint8_t *ret_decimals, const struct value **ret_value)
{
    struct bexpr *e = NULL;
    TRY(bind__literal(b, l, &e));
    *ret = e->type;
    *ret_decimals = ret->decimals;
    *ret_value = &e->u.constant;
    switch ((int)ret->id) {
    case TYPE_DECIMAL: *ret = type_decimal(DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, false); break;
    case TYPE_DOUBLE: *ret = type_double(); break;
    case TYPE_BIGINT: *ret = type_int(TYPE_BIGINT, type_is_unsigned(&e->type)); break;
    case TYPE_VARCHAR:
    case TYPE_VARBINARY: ret->length = VARCHAR_BYTES_MAX / 4; break;
    default: break;
    }
    if (l->kind != AST_LIT_NULL) {
        ret->flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    }
    return ERR_OK;
}

/* How many types there is room for when `count` are in use: powers of two, or an IN list of
 * thousands would be copied thousands of times. */
static uint32_t param_room(uint32_t count)
{
    uint32_t room = 8;
    while (room < count) {
        room *= 2;
    }
    return count == 0 ? 0 : room;
}

static db_err grow_places(struct binder *b, uint32_t index)
{
    struct bound_stmt *s = b->stmt;
    struct param_place *grown = BIND_ARRAY(b, struct param_place, param_room(index + 1));
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (s->param_count != 0) {
        memcpy(grown, s->param_places, s->param_count * sizeof(*grown));
    }
    s->param_places = grown;
    return ERR_OK;
}

/* MYSQL: a parameter may be NULL, whatever it is now, and its numbers have the widest room. */
static void as_described(struct sql_type *t)
{
    enum { INTEGER_WIDTH = 21, REAL_WIDTH = 23 };
    t->flags = (uint8_t)((t->flags & ~TYPE_F_NOT_NULL) | TYPE_F_EXPR);
    t->length = t->id == TYPE_BIGINT   ? INTEGER_WIDTH
                : t->id == TYPE_DOUBLE ? REAL_WIDTH
                                       : t->length;
}

static db_err in_manner(struct binder *b, const struct param_manner *m, struct bexpr **io)
{
    if (m->placed) {
        (*io)->coercibility = m->coercibility;
    }
    (*io)->placed = m->placed;
    (*io)->own = m->own;
    if (m->reads == 0) {
        return ERR_OK;
    }
    struct sql_type t = bind_number_type((enum func_number)(m->reads - 1));
    as_described(&t);
    TRY(bind__cast(b, *io, &t, false, io));
    (*io)->coercibility = 5;
    return ERR_OK;
}

db_err bind__param(struct binder *b, const struct ast_param *p, struct bexpr **ret)
{
    struct sql_type t = type_null();
    uint8_t decimals = 0;
    const struct value *lifted = NULL;
    if (p->index < b->opts->param_count) {
        t = b->opts->param_types[p->index];
    } else if (p->literal != NULL) {
        TRY(lifted_type(b, p->literal, &t, &decimals, &lifted));
    }
    if (t.id == TYPE_NULL && b->opts->prepare) {
        t = type_char(TYPE_VARCHAR, VARCHAR_BYTES_MAX / 4, b->opts->connection_collation);
    }
    struct bound_stmt *s = b->stmt;
    if (p->index >= param_room(s->param_count)) {
        struct sql_type *grown = BIND_ARRAY(b, struct sql_type, param_room(p->index + 1));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (s->param_count != 0) {
            memcpy(grown, s->param_types, s->param_count * sizeof(*grown));
        }
        s->param_types = grown;
        TRY(b->opts->prepare ? grow_places(b, p->index) : ERR_OK);
    }
    if (p->index >= s->param_count) {
        s->param_count = p->index + 1;
    }
    s->param_types[p->index] = t;
    struct bexpr *e = bind__new(b, BEXPR_PARAM, &t, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->u.param = p->index;
    e->placeholder = p->literal == NULL;
    if (e->placeholder) {
        as_described(&e->type);
    }
    e->lifted_decimals = decimals;
    e->lifted = lifted;
    e->has_param = true;
    e->position = p->expr.pos.offset + 1;
    *ret = e;
    return e->placeholder && b->opts->param_manners != NULL && p->index < b->opts->param_count
               ? in_manner(b, &b->opts->param_manners[p->index], ret)
               : ERR_OK;
}
