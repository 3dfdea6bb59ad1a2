/* Column definitions: types, defaults, attributes. */
#include <stdio.h>

#include "sql/ddl/ddl_int.h"
#include "sql/types/cast.h"

void ddl__warn_type(struct ddl_ctx *ctx, const struct sql_type *t)
{
    const enum my_errno number = ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT;
    if ((t->flags & TYPE_F_ZEROFILL) != 0 && type_is_integer(t)) {
        diag_area_warn_as(ctx->warnings, number, ER_WARN_DEPRECATED_ZEROFILL);
    }
    if ((t->id == TYPE_DOUBLE || t->id == TYPE_FLOAT) && t->decimals != DECIMALS_NOT_FIXED) {
        diag_area_warn_as(ctx->warnings, number, ER_WARN_DEPRECATED_FLOAT_DIGITS);
    }
}

/* ---- type ---- */

static db_err bind_column_type(struct draft *d, const struct ast_type *type, struct draft_column *c)
{
    return bind_type(d->ctx->arena, type, d->def.collation, d->ctx->bind, c->def.name, d->ctx->diag,
                     &c->def.type);
}

/* Is it text that is too long for a VARCHAR? */
static bool is_too_long(const struct draft *d, const struct ast_column_def *ast)
{
    bool text = ast->type->kind == AST_TYPE_VARCHAR || ast->type->kind == AST_TYPE_VARBINARY;
    return text && d->ctx->diag->number == ER_TOO_BIG_FIELDLENGTH;
}

static bool has_constant_default(const struct ast_column_def *ast)
{
    const struct ast_literal *value = (const struct ast_literal *)ast->default_value;
    bool null = ast->default_kind == AST_DEFAULT_LITERAL && value->expr.kind == AST_EXPR_LITERAL &&
                value->kind == AST_LIT_NULL;
    return ast->default_kind == AST_DEFAULT_LITERAL && !null;
}

static db_err widen(struct draft *d, const struct ast_type *written, struct draft_column *c)
{
    struct ast_type type = *written;
    type.kind = written->kind == AST_TYPE_VARCHAR ? AST_TYPE_TEXT : AST_TYPE_BLOB;
    diag_reset(d->ctx->diag);
    TRY(bind_column_type(d, &type, c));
    bool text = c->def.type.collation != COLL_BINARY;
    diag_area_note(d->ctx->warnings, ER_AUTO_CONVERT, ddl__text(d->ctx, c->def.name),
                   text ? "VARCHAR" : "VARBINARY", text ? "TEXT" : "BLOB");
    return ERR_OK;
}

/* MYSQL: where sql_mode is loose, such text becomes a TEXT, unless it has a constant default: with
 * one, what is too long whatever its character set is told of with the length in bytes. */
static db_err too_long(struct draft *d, const struct ast_column_def *ast,
                       const struct ast_type *type, struct draft_column *c)
{
    bool constant = has_constant_default(ast);
    if (!constant && (d->ctx->bind->sql_mode & SQL_MODE_STRICT) == 0) {
        return widen(d, type, c);
    }
    unsigned long max = VARCHAR_BYTES_MAX;
    return constant && type->length > max
               ? my_error(d->ctx->diag, ER_TOO_BIG_FIELDLENGTH, ddl__text(d->ctx, c->def.name), max)
               : ERR_SQL;
}

static db_err set_type(struct draft *d, const struct ast_column_def *ast, struct draft_column *c)
{
    struct ast_type type = *ast->type;
    if (ast->collation.ptr != NULL) {
        type.collation = ast->collation;
    }
    db_err err = bind_column_type(d, &type, c);
    TRY(err == ERR_SQL && is_too_long(d, ast) ? too_long(d, ast, &type, c) : err);
    c->def.explicit_collation = (type_is_string(&c->def.type) || c->def.type.id == TYPE_ENUM ||
                                 c->def.type.id == TYPE_SET) &&
                                c->def.type.collation != COLL_BINARY &&
                                (type.charset.ptr != NULL || type.collation.ptr != NULL ||
                                 (type.flags & (AST_TYPE_F_BINARY | AST_TYPE_F_NATIONAL)) != 0);
    return ERR_OK;
}

/* ---- defaults ---- */

static db_err bad_default(struct draft *d, const struct draft_column *c)
{
    return my_error(d->ctx->diag, ER_INVALID_DEFAULT, ddl__text(d->ctx, c->def.name));
}

static bool is_now_type(const struct sql_type *t)
{
    return t->id == TYPE_DATETIME || t->id == TYPE_TIMESTAMP;
}

/* CURRENT_TIMESTAMP[(n)]: the parser makes it a call with at most one number. */
static bool now_decimals_fit(const struct ast_expr *expr, const struct sql_type *t)
{
    const struct ast_func *f = (const struct ast_func *)expr;
    uint64_t decimals = 0;
    if (f->args.count == 1 && f->args.items[0]->kind == AST_EXPR_LITERAL) {
        decimals = ((const struct ast_literal *)f->args.items[0])->u64;
    }
    return is_now_type(t) && decimals == t->decimals;
}

static bool names_need_text(const struct sql_type *t, const struct bexpr *e)
{
    return (t->id == TYPE_ENUM || t->id == TYPE_SET) && !type_is_string(&e->type);
}

static bool has_no_default(const struct sql_type *t)
{
    return type_is_blob(t) || t->id == TYPE_JSON || t->id == TYPE_GEOMETRY || t->id == TYPE_VECTOR;
}

/* MYSQL: outside of strict mode DEFAULT '' of a BLOB or TEXT is told of, and leaves the column
 * without a default, also where it may be NULL. */
static db_err blob_default(struct draft *d, struct draft_column *c, const struct bexpr *e)
{
    struct ddl_ctx *ctx = d->ctx;
    const struct value *v = &e->u.constant;
    bool droppable = type_is_blob(&c->def.type) || c->def.type.id == TYPE_VECTOR;
    if (!droppable || (ctx->bind->sql_mode & SQL_MODE_STRICT) != 0 || v->phys != PHYS_STR ||
        v->str.len != 0) {
        return my_error(ctx->diag, ER_BLOB_CANT_HAVE_DEFAULT, ddl__text(ctx, c->def.name));
    }
    diag_area_warn(ctx->warnings, ER_BLOB_CANT_HAVE_DEFAULT, ddl__text(ctx, c->def.name));
    return ERR_OK;
}

/* MYSQL: a DEFAULT that loses digits is noted. */
static void note_default(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    const struct ddl_ctx *ctx = arg;
    struct diag d;
    if (level == CAST_NOTE && number == WARN_DATA_TRUNCATED) {
        diag_reset(&d);
        diag_set_sql(&d, number, my_error_sqlstate(WARN_DATA_TRUNCATED), "%s", text);
        diag_area_add(ctx->warnings, DIAG_NOTE, &d);
    }
}

/* MYSQL: a default must go into the column without a loss, whatever the mode (rounding is none). */
static db_err constant_default(struct draft *d, struct draft_column *c, const struct ast_expr *expr)
{
    struct ddl_ctx *ctx = d->ctx;
    struct bexpr *e;
    struct cast_ctx cast;
    struct diag why;
    struct value v;
    diag_reset(&why);
    if (bind_scalar(ctx->arena, ctx->bind, expr, NULL, &why, &e) != ERR_OK ||
        e->kind != BEXPR_CONST) {
        return bad_default(d, c);
    }
    if (e->u.constant.is_null) {
        c->def.default_kind = DEFAULT_NULL;
        return ERR_OK;
    }
    if (has_no_default(&c->def.type)) {
        return blob_default(d, c, e);
    }
    if (names_need_text(&c->def.type, e)) {
        return bad_default(d, c);
    }
    cast_ctx_init(&cast, ctx->arena, &why);
    cast.sql_mode = ctx->bind->sql_mode;
    cast.strict = true;
    cast.collation = ctx->bind->connection_collation;
    cast.warn = note_default;
    cast.warn_arg = ctx;
    if (ctx->bind->tz != NULL) {
        cast.tz = ctx->bind->tz;
    }
    struct store_target target = {.column = ddl__text(ctx, c->def.name), .row = 1};
    db_err err = type_store(&cast, &c->def.type, &target, &e->type, &e->u.constant, &v);
    if (err == ERR_SQL) {
        return bad_default(d, c);
    }
    TRY(err);
    if (v.is_null) {
        return bad_default(d, c);
    }
    c->def.default_kind = DEFAULT_CONST;
    return value_copy(&v, ctx->arena, &c->def.default_value);
}

/* Its names are resolved when all columns are known (ddl__check_derived). */
static void expression_default(struct draft_column *c, const struct ast_expr *expr)
{
    c->def.default_kind = DEFAULT_EXPR;
    c->expr = expr;
}

db_err ddl__set_default(struct draft *d, struct draft_column *c, enum ast_default_kind kind,
                        const struct ast_expr *expr)
{
    c->has_default = kind != AST_DEFAULT_NONE;
    c->def.default_kind = DEFAULT_NONE;
    c->def.default_expr = SLICE_EMPTY;
    c->def.default_value = value_null();
    c->expr = NULL;
    if (kind == AST_DEFAULT_EXPR) {
        expression_default(c, expr);
        return ERR_OK;
    }
    if (kind != AST_DEFAULT_LITERAL) {
        return ERR_OK;
    }
    if (expr->kind == AST_EXPR_FUNC) {
        c->def.default_kind = DEFAULT_NOW;
        return now_decimals_fit(expr, &c->def.type) ? ERR_OK : bad_default(d, c);
    }
    return constant_default(d, c, expr);
}

void ddl__settle_default(struct draft_column *c)
{
    bool not_null = (c->def.type.flags & TYPE_F_NOT_NULL) != 0;
    if (!c->has_default && !c->def.auto_increment) {
        c->def.default_kind = not_null ? DEFAULT_NONE : DEFAULT_NULL;
    }
}

/* ---- one column ---- */

static db_err refuse_unsupported(struct ddl_ctx *ctx, const struct ast_column_def *ast)
{
    if (ast->has_srid) {
        return ddl__unsupported(ctx, "spatial types");
    }
    if (ast->not_secondary) {
        return ddl__unsupported(ctx, "NOT SECONDARY");
    }
    return ast->has_engine_attribute ? ddl__unsupported(ctx, "ENGINE_ATTRIBUTE") : ERR_OK;
}

/* MYSQL: what a generated column cannot have. */
static db_err set_generated(struct draft *d, const struct ast_column_def *ast,
                            struct draft_column *c)
{
    const char *wrong = ast->default_kind != AST_DEFAULT_NONE ? "DEFAULT"
                        : ast->auto_increment                 ? "AUTO_INCREMENT"
                        : ast->on_update != NULL              ? "ON UPDATE"
                        : ast->serial_default || ast->type->kind == AST_TYPE_SERIAL ? "SERIAL"
                                                                                    : NULL;
    if (wrong != NULL) {
        return my_error(d->ctx->diag, ER_WRONG_USAGE, wrong, "generated column");
    }
    c->def.generated = ast->stored ? GENERATED_STORED : GENERATED_VIRTUAL;
    c->expr = ast->generated;
    return ERR_OK;
}

static bool can_count(const struct sql_type *t)
{
    return type_is_integer(t);
}

static db_err set_attributes(struct draft *d, const struct ast_column_def *ast,
                             struct draft_column *c)
{
    struct ddl_ctx *ctx = d->ctx;
    const char *name = ddl__text(ctx, c->def.name);
    bool serial = ast->type->kind == AST_TYPE_SERIAL || ast->serial_default;
    c->def.comment = ast->comment;
    TRY(ddl__fit_comment(ctx, &c->def.comment, DDL_COLUMN_COMMENT_MAX, ER_TOO_LONG_FIELD_COMMENT,
                         c->def.name));
    c->def.invisible = ast->visible == AST_NO;
    c->def.column_format = (uint8_t)ast->format;
    c->def.storage_media = (uint8_t)ast->storage;
    c->def.auto_increment = ast->auto_increment || serial;
    c->explicit_null = ast->nullability == AST_NULL_YES;
    bool counts_null = c->explicit_null && ast->null_behind_auto_increment;
    if (ast->nullability == AST_NULL_NO || (c->def.auto_increment && !counts_null)) {
        c->def.type.flags |= TYPE_F_NOT_NULL;
    }
    if (ctx->implied_timestamps && c->def.type.id == TYPE_TIMESTAMP && !c->explicit_null) {
        c->def.type.flags |= TYPE_F_NOT_NULL;
    }
    if (c->def.auto_increment && !can_count(&c->def.type)) {
        return my_error(ctx->diag, ER_WRONG_FIELD_SPEC, name);
    }
    if (c->def.auto_increment && ast->default_kind != AST_DEFAULT_NONE) {
        return my_error(ctx->diag, ER_INVALID_DEFAULT, name);
    }
    if (ast->on_update != NULL) {
        c->def.on_update_now = true;
        if (!now_decimals_fit(ast->on_update, &c->def.type)) {
            return my_error(ctx->diag, ER_INVALID_ON_UPDATE, name);
        }
    }
    return ERR_OK;
}

db_err ddl__column(struct draft *d, const struct ast_column_def *ast,
                   struct draft_column **ret_column)
{
    struct draft_column *c = ARENA_NEW(d->ctx->arena, struct draft_column);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    TRY(ddl__check_column_name(d->ctx, ast->name));
    TRY(refuse_unsupported(d->ctx, ast));
    c->source = -1;
    c->declared = true;
    c->def.name = ast->name;
    TRY(set_type(d, ast, c));
    TRY(set_attributes(d, ast, c));
    TRY(ddl__set_default(d, c, ast->default_kind, ast->default_value));
    if (ast->generated != NULL) {
        TRY(set_generated(d, ast, c));
    }
    if (c->has_default && c->def.default_kind == DEFAULT_NULL &&
        (c->def.type.flags & TYPE_F_NOT_NULL) != 0) {
        return bad_default(d, c);
    }
    ddl__settle_default(c);
    *ret_column = c;
    return ERR_OK;
}

/* ---- all columns together ---- */

static db_err check_primary(struct draft *d)
{
    const struct draft_index *pk = ddl__primary(d);
    for (uint32_t i = 0; pk != NULL && i < pk->part_count; i++) {
        struct draft_column *c = pk->parts[i].column;
        if (c->explicit_null) {
            return my_error(d->ctx->diag, ER_PRIMARY_CANT_HAVE_NULL);
        }
        c->def.type.flags |= TYPE_F_NOT_NULL;
        if (c->has_default && c->def.default_kind == DEFAULT_NULL) {
            return bad_default(d, c);
        }
        if (c->def.default_kind == DEFAULT_NULL) {
            c->def.default_kind = DEFAULT_NONE;
        }
    }
    return ERR_OK;
}

static db_err check_auto_increment(struct draft *d)
{
    const struct draft_column *found = NULL;
    for (uint32_t i = 0; i < d->column_count; i++) {
        if (d->columns[i]->def.auto_increment) {
            if (found != NULL) {
                return my_error(d->ctx->diag, ER_WRONG_AUTO_KEY);
            }
            found = d->columns[i];
        }
    }
    for (uint32_t i = 0; found != NULL && i < d->index_count; i++) {
        if (d->indexes[i]->parts[0].column == found) {
            return ERR_OK;
        }
    }
    return found == NULL ? ERR_OK : my_error(d->ctx->diag, ER_WRONG_AUTO_KEY);
}

/* Bytes in MySQL's in-memory row, which its limit of 65,535 speaks of. */
uint64_t ddl__row_bytes(const struct sql_type *t)
{
    const struct collation *coll = collation_by_id(t->collation);
    uint64_t maxlen = coll == NULL ? 1 : coll->cs->maxlen;
    uint64_t bytes;
    uint32_t fixed = type_row_bytes(t);
    if (fixed != 0) {
        return fixed;
    }
    switch ((int)t->id) {
    case TYPE_CHAR: return t->length * maxlen;
    case TYPE_BINARY: return t->length;
    case TYPE_VARCHAR:
    case TYPE_VARBINARY:
        bytes = t->id == TYPE_VARCHAR ? t->length * maxlen : t->length;
        return bytes + (bytes > 255 ? 2 : 1);
    case TYPE_TINYTEXT:
    case TYPE_TINYBLOB: return 9;
    case TYPE_TEXT:
    case TYPE_BLOB: return 10;
    case TYPE_MEDIUMTEXT:
    case TYPE_MEDIUMBLOB: return 11;
    case TYPE_LONGTEXT:
    case TYPE_LONGBLOB:
    case TYPE_JSON:
    case TYPE_VECTOR: return 12;
    default: return 8;
    }
}

static db_err check_row_size(struct draft *d)
{
    uint64_t total = 0;
    uint64_t null_bits = 0;
    bool visible = false;
    for (uint32_t i = 0; i < d->column_count; i++) {
        const struct column_def *c = &d->columns[i]->def;
        if (c->hidden) {
            continue;
        }
        total += ddl__row_bytes(&c->type);
        null_bits += (c->type.flags & TYPE_F_NOT_NULL) == 0 ? 1 : 0;
        visible = visible || !c->invisible;
    }
    if (!visible && d->column_count != 0) {
        return my_error(d->ctx->diag, ER_TABLE_MUST_HAVE_A_VISIBLE_COLUMN);
    }
    total += (null_bits + 7) / 8;
    return total > DDL_ROW_BYTES_MAX
               ? my_error(d->ctx->diag, ER_TOO_BIG_ROWSIZE, (long)DDL_ROW_BYTES_MAX)
               : ERR_OK;
}

db_err ddl__check_columns(struct draft *d)
{
    TRY(check_primary(d));
    TRY(check_auto_increment(d));
    TRY(check_row_size(d));
    return ddl__check_derived(d);
}
