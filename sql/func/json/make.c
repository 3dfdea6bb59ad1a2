/* JSON_ARRAY, JSON_OBJECT, CAST(... AS JSON). */
#include "sql/func/families.h"

db_err json_bind_make(BIND_ARGS)
{
    for (uint32_t i = 0; call->variant == 2 && i < call->arg_count; i += 2) {
        if (args[i].constant != NULL && args[i].type.id == TYPE_DOUBLE) {
            /* MYSQL: the text of such a literal has no charset. */
            return my_error(ctx->diag, ER_INVALID_JSON_CHARSET, "binary");
        }
        func__want_text(ctx, &args[i]); /* names */
    }
    json__result(call);
    return ERR_OK;
}

db_err json_make_array(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct json_node *a = json_node_new(ctx->arena, JSON_ARRAY);
        if (a == NULL) {
            return ERR_LIMIT;
        }
        for (uint32_t i = 0; i < call->arg_count; i++) {
            struct json_node *v;
            TRY(json__value(ctx, call, args, i, row, &v));
            TRY(json_append_item(ctx->arena, a, v));
        }
        TRY(json__set(ctx, out, row, a));
    }
    return ERR_OK;
}

db_err json_make_object(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct json_node *o = json_node_new(ctx->arena, JSON_OBJECT);
        if (o == NULL) {
            return ERR_LIMIT;
        }
        for (uint32_t i = 0; i < call->arg_count; i += 2) {
            struct json_node *v;
            struct slice key;
            if (vec_is_null(args[i], row)) {
                return my_error(ctx->diag, ER_JSON_DOCUMENT_NULL_KEY);
            }
            if (args[i]->type->collation == COLL_BINARY) {
                return my_error(ctx->diag, ER_INVALID_JSON_CHARSET, "binary");
            }
            TRY(json__utf8(ctx, args[i]->type, vec_str(args[i], row), &key));
            TRY(json__value(ctx, call, args, i + 1, row, &v));
            TRY(json_set_member(ctx->arena, o, key, v));
        }
        TRY(json__set(ctx, out, row, o));
    }
    return ERR_OK;
}

db_err json_bind_cast(BIND_ARGS)
{
    (void)ctx;
    (void)args;
    json__result(call);
    return ERR_OK;
}

/* Text is parsed, other values become the scalar they are. */
db_err json_cast(EVAL_ARGS)
{
    const struct sql_type *t = args[0]->type;
    bool text = type_is_string(t) && t->collation != COLL_BINARY;
    EACH_ROW(row)
    {
        if (vec_is_null(args[0], row)) {
            vec_set_null(out, row);
            continue;
        }
        if (t->id == TYPE_JSON) { /* as its bytes are */
            vec_set_str_ref(out, row, vec_str(args[0], row));
        } else if (text) {
            struct json_view v;
            bool null;
            TRY(json__doc(ctx, call, args, 0, row, &v, &null));
            TRY(json__set_view(ctx, out, row, &v));
        } else {
            struct json_node *v;
            TRY(json__value(ctx, call, args, 0, row, &v));
            TRY(json__set(ctx, out, row, v));
        }
    }
    return ERR_OK;
}

/* What CAST(.. AS .. ARRAY) takes its values from: a document, or the text of one. */
db_err json_array_source(EVAL_ARGS)
{
    const struct sql_type *t = args[0]->type;
    if (!type_is_string(t) && t->id != TYPE_NULL) { /* MYSQL: also of NULL */
        return my_error(ctx->diag, ER_INVALID_TYPE_FOR_JSON, 1U, json__func_name(call));
    }
    EACH_ROW(row)
    {
        struct json_view v;
        bool null;
        TRY(json__doc(ctx, call, args, 0, row, &v, &null));
        if (null) {
            vec_set_null(out, row);
        } else {
            TRY(json__set_view(ctx, out, row, &v));
        }
    }
    return ERR_OK;
}
