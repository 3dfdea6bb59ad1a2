/* JSON_VALUE(doc, path RETURNING type ... ON EMPTY ... ON ERROR): a call with two more arguments,
 * constants of the returned type that stand for what ON EMPTY and ON ERROR give, and a number that
 * says which of these are errors. */
#include "sql/func/families.h"

db_err json_bind_value(BIND_ARGS)
{
    struct sql_type t = args[2].type;
    int64_t errors = 0;
    if (!args[0].is_placeholder) {
        TRY(json__takes(ctx->diag, call, &args[0].type, 0));
    }
    func__want_text(ctx, &args[1]);
    (void)func__const_int(ctx, &args[4], &errors);
    call->variant = (int)errors;
    t.flags &= TYPE_F_UNSIGNED;
    func__result_null(call, t);
    call->collation = t.collation;
    call->coercibility = t.id == TYPE_JSON ? 2 : type_is_string(&t) ? 4 : 5;
    return ERR_OK;
}

/* The returned type as messages name it. */
static const char *type_word(const struct sql_type *t)
{
    switch ((int)t->id) {
    case TYPE_DATE: return "DATE";
    case TYPE_TIME: return "TIME";
    case TYPE_DATETIME: return "DATETIME";
    case TYPE_YEAR: return "YEAR";
    case TYPE_DECIMAL: return "DECIMAL";
    case TYPE_FLOAT: return "FLOAT";
    case TYPE_DOUBLE: return "DOUBLE";
    default: break;
    }
    return type_is_string(t) ? "STRING" : type_is_unsigned(t) ? "UNSIGNED" : "SIGNED";
}

static db_err copy_default(struct vector *out, uint32_t row, const struct vector *from)
{
    struct value v;
    vector_get(from, row, &v);
    return vector_set(out, row, &v);
}

static db_err value_row(struct eval_ctx *ctx, const struct func_call *call,
                        struct vector *const *args, uint32_t row, struct vector *out)
{
    bool fail_empty = (call->variant & JSON_VALUE_FAIL_EMPTY) != 0;
    bool fail_error = (call->variant & JSON_VALUE_FAIL_ERROR) != 0;
    struct json_hits hits = {.arena = ctx->arena};
    const struct json_path *path;
    struct json_view doc;
    struct value v;
    bool null;
    bool fits = false;
    TRY(json__path(ctx, call, args, 1, row, true, &path, &null));
    const struct sql_type *type = args[0]->type;
    if (type_is_string(type) && type->collation == COLL_BINARY && !vec_is_null(args[0], row)) {
        return my_error(ctx->diag, ER_INVALID_JSON_CHARSET,
                        "binary"); /* MYSQL: and no second one */
    }
    db_err err = json__doc(ctx, call, args, 0, row, &doc, &null);
    if (err == ERR_SQL && !fail_error && ctx->diag != NULL &&
        ctx->diag->number == ER_INVALID_JSON_TEXT_IN_PARAM) {
        if (ctx->cast->warn != NULL) {
            ctx->cast->warn(ctx->cast->warn_arg, CAST_WARNING, ctx->diag->number, ctx->diag->text);
        }
        diag_reset(ctx->diag);
        return copy_default(out, row, args[3]);
    }
    TRY(err);
    if (null) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    TRY(json_seek(&doc, path, JSON_SEEK_WRAP, &hits));
    if (hits.count == 0) {
        return fail_empty ? my_error(ctx->diag, ER_MISSING_JSON_VALUE, json__func_name(call))
                          : copy_default(out, row, args[2]);
    }
    if (hits.count > 1) {
        return fail_error ? my_error(ctx->diag, ER_MULTIPLE_JSON_VALUES, json__func_name(call))
                          : copy_default(out, row, args[3]);
    }
    struct cast_ctx cast = *ctx->cast;
    cast.arena = ctx->arena;
    if (hits.views[0].type == JSON_NULL) {
        value_set_null(&v, &call->type);
        fits = true;
    } else {
        TRY(json_coerce(&cast, &hits.views[0], &call->type, &v, &fits));
    }
    if (fits) {
        return vector_set(out, row, &v);
    }
    return fail_error ? my_error(ctx->diag, ER_DATA_OUT_OF_RANGE, type_word(&call->type),
                                 json__func_name(call))
                      : copy_default(out, row, args[3]);
}

db_err json_value(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        TRY(value_row(ctx, call, args, row, out));
    }
    return ERR_OK;
}
