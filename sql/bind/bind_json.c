/* JSON_VALUE: its type, and the values that ON EMPTY and ON ERROR give. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/types/cast.h"
#include "sql/types/json.h"

static const char *default_word(const struct sql_type *t)
{
    switch ((int)t->id) {
    case TYPE_DATE: return "DATE DEFAULT";
    case TYPE_TIME: return "TIME DEFAULT";
    case TYPE_DATETIME: return "DATETIME DEFAULT";
    case TYPE_YEAR: return "YEAR DEFAULT";
    case TYPE_DECIMAL: return "DECIMAL DEFAULT";
    case TYPE_FLOAT: return "FLOAT DEFAULT";
    case TYPE_DOUBLE: return "DOUBLE DEFAULT";
    default: break;
    }
    return type_is_string(t)     ? "CHAR DEFAULT"
           : type_is_unsigned(t) ? "UNSIGNED DEFAULT"
                                 : "SIGNED DEFAULT";
}

/* A default's literal as a value of the returned type; it must be one. */
static db_err default_value(struct binder *b, const struct sql_type *t, const struct bexpr *e,
                            struct value *ret)
{
    const struct store_target target = {.column = "json_value", .row = 1};
    struct cast_ctx cast;
    struct diag why;
    diag_reset(&why);
    if (t->id == TYPE_JSON && type_is_string(&e->type)) {
        struct json_syntax syntax;
        struct json_node *n;
        db_err err = json_parse(b->arena, e->u.constant.str, &n, &syntax);
        if (err == ERR_INVALID) {
            return syntax.message == NULL
                       ? my_error(b->diag, ER_JSON_DOCUMENT_TOO_DEEP)
                       : my_error(b->diag, ER_INVALID_JSON_TEXT_IN_PARAM, 1u, "json_value",
                                  syntax.message, (unsigned)syntax.position, "");
        }
        TRY(err);
        value_tag(ret, t);
        return json_write_arena(n, b->arena, b->diag, &ret->str);
    }
    cast_ctx_init(&cast, b->arena, &why);
    cast.sql_mode = b->opts->sql_mode;
    cast.strict = true;
    db_err err = type_store(&cast, t, &target, &e->type, &e->u.constant, ret);
    bool lost = err == ERR_OK && t->id == TYPE_DECIMAL && e->type.id == TYPE_DECIMAL &&
                decimal_cmp(&ret->dec, &e->u.constant.dec) != 0;
    if (err == ERR_SQL || lost) {
        return my_error(b->diag, ER_DATA_OUT_OF_RANGE, default_word(t), "json_value");
    }
    return err;
}

static db_err bind_on(struct binder *b, const struct ast_json_on *on, const struct sql_type *t,
                      struct bexpr **ret)
{
    struct value v;
    value_set_null(&v, t);
    if (on->kind == AST_JSON_ON_DEFAULT) {
        struct bexpr *e;
        TRY(bind__expr(b, NULL, on->value, &e));
        if (e->kind != BEXPR_CONST) {
            return diag_set(b->diag, ERR_INVALID, "internal: a DEFAULT that is no literal");
        }
        if (!e->u.constant.is_null) {
            TRY(default_value(b, t, e, &v));
        }
    }
    return bind__const(b, &v, t, 5, ret);
}

db_err bind__json_condition(struct binder *b, struct bexpr **io)
{
    if ((*io)->type.id != TYPE_JSON) {
        return ERR_OK;
    }
    struct sql_type t = type_double();
    return bind__cast(b, *io, &t, false, io);
}

db_err bind__json_between(struct binder *b, struct bexpr **x, struct bexpr **low,
                          struct bexpr **high)
{
    struct bexpr **const all[3] = {x, low, high};
    struct sql_type t = type_blob(TYPE_LONGTEXT, COLL_UTF8MB4_BIN);
    for (uint32_t i = 0; i < 3; i++) {
        t = type_is_numeric(&(*all[i])->type) ? type_double() : t;
    }
    for (uint32_t i = 0; i < 3; i++) {
        if ((*all[i])->type.id == TYPE_JSON) {
            TRY(bind__cast(b, *all[i], &t, false, all[i]));
        }
    }
    return ERR_OK;
}

static db_err json_like(struct binder *b, struct bexpr **io, const struct bexpr *other)
{
    struct sql_type t =
        type_is_numeric(&other->type) ? type_double() : type_blob(TYPE_LONGTEXT, COLL_UTF8MB4_BIN);
    bool same = !type_is_numeric(&other->type) && !type_is_string(&other->type);
    return same || (*io)->type.id != TYPE_JSON ? ERR_OK : bind__cast(b, *io, &t, false, io);
}

db_err bind__json_when(struct binder *b, struct bexpr **x, struct bexpr **y)
{
    TRY(json_like(b, x, *y));
    return json_like(b, y, *x);
}

db_err bind__json_value(struct binder *b, struct scope *scope, const struct ast_json_value *e,
                        struct bexpr **ret)
{
    enum { DEFAULT_CHARS = 512 };
    struct sql_type t = type_char(TYPE_VARCHAR, DEFAULT_CHARS, COLL_UTF8MB4_0900_BIN);
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 5);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    if (e->returning != NULL) {
        bool text = e->returning->kind == AST_TYPE_CHAR || e->returning->kind == AST_TYPE_BINARY;
        TRY(bind__cast_target(b, e->returning, &t, SLICE_LIT("CAST"), &t));
        if (text && (e->returning->flags & AST_TYPE_F_LENGTH) == 0) {
            t = type_blob(t.collation == COLL_BINARY ? TYPE_LONGBLOB : TYPE_LONGTEXT, t.collation);
        }
        if (type_is_string(&t) && t.collation != COLL_BINARY && e->returning->charset.ptr == NULL) {
            t.collation = COLL_UTF8MB4_0900_BIN;
        }
    }
    TRY(bind__expr(b, scope, e->doc, &args[0]));
    TRY(bind__expr(b, scope, e->path, &args[1]));
    TRY(bind_on(b, &e->on_empty, &t, &args[2]));
    TRY(bind_on(b, &e->on_error, &t, &args[3]));
    struct value flags = value_int((e->on_empty.kind == AST_JSON_ON_ERROR ? 1 : 0) |
                                   (e->on_error.kind == AST_JSON_ON_ERROR ? 2 : 0));
    struct sql_type flags_type = type_int(TYPE_BIGINT, false);
    TRY(bind__const(b, &flags, &flags_type, 5, &args[4]));
    return bind__op(b, "op_json_value", args, 5, ret);
}
