/* What is known of statements: their normal form, the attributes that came with the one that runs,
 * and performance_schema's number of a connection. */
#include "sql/func/families.h"

static db_err need_env(struct eval_ctx *ctx)
{
    return ctx->env != NULL ? ERR_OK
                            : diag_set(ctx->diag, ERR_INVALID, "internal: no session to ask");
}

db_err info_bind_digest(BIND_ARGS)
{
    enum { HASH_CHARS = 64, TEXT_CHARS = 64 << 20 };
    if (type_is_string(&args[0].type) && args[0].type.collation == COLL_BINARY) {
        return my_error(ctx->diag, ER_FUNCTION_DOES_NOT_SUPPORT_CHARACTER_SET, call->def->name,
                        "binary");
    }
    func__want_text(ctx, &args[0]);
    func__result_ascii(ctx, call, call->variant == INFO_DIGEST_HASH ? HASH_CHARS : TEXT_CHARS);
    if (call->variant == INFO_DIGEST_TEXT) {
        call->type = type_blob(TYPE_LONGTEXT, call->collation);
        call->type.length = TEXT_CHARS;
    }
    call->type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    return ERR_OK;
}

db_err info_digest(EVAL_ARGS)
{
    TRY(need_env(ctx));
    EACH_ROW(row)
    {
        struct slice digest;
        TRY(ctx->env->ops->digest(ctx->env, vec_str(args[0], row),
                                  call->variant == INFO_DIGEST_HASH, ctx->arena, ctx->diag,
                                  &digest));
        TRY(vec_set_str(out, row, digest));
    }
    return ERR_OK;
}

db_err info_bind_thread(BIND_ARGS)
{
    (void)ctx;
    if (call->arg_count == 0) {
        func__result_null(call, func__ubigint(21));
        return ERR_OK;
    }
    func__want_int(&args[0]);
    func__result_null(call, func__ubigint(21));
    return ERR_OK;
}

db_err info_thread(EVAL_ARGS)
{
    TRY(need_env(ctx));
    EACH_ROW(row)
    {
        uint64_t connection =
            call->arg_count == 0 ? ctx->env->connection_id : vec_u64(args[0], row);
        uint64_t id = ctx->env->ops->thread_id(ctx->env, connection);
        if (id == 0) {
            vec_set_null(out, row);
        } else {
            vec_set_i64(out, row, (int64_t)id);
        }
    }
    return ERR_OK;
}

db_err info_bind_attribute(BIND_ARGS)
{
    enum { VALUE_CHARS = 1024 };
    /* MYSQL: a loadable function, that looks at its arguments itself */
    bool text = call->arg_count == 1 && (func__is_text(&args[0].type) ||
                                         args[0].type.id == TYPE_NULL || args[0].is_placeholder);
    if (!text) {
        return my_error(ctx->diag, ER_CANT_INITIALIZE_UDF, call->def->name,
                        call->arg_count == 1
                            ? "mysql_query_attribute_string() expects a string argument"
                            : "mysql_query_attribute_string() expects 1 argument");
    }
    func__want_text(ctx, &args[0]);
    func__result_ascii(ctx, call, VALUE_CHARS);
    call->type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    return ERR_OK;
}

db_err info_attribute(EVAL_ARGS)
{
    (void)call;
    TRY(need_env(ctx));
    EACH_ROW(row)
    {
        struct slice value;
        TRY(ctx->env->ops->query_attribute(ctx->env, vec_str(args[0], row), ctx->arena, &value));
        if (value.ptr == NULL) {
            vec_set_null(out, row);
        } else {
            TRY(vec_set_str(out, row, value));
        }
    }
    return ERR_OK;
}

db_err info_bind_role_graph(BIND_ARGS)
{
    enum { GRAPH_CHARS = 50331648 }; /* MYSQL */
    (void)ctx;
    (void)args;
    struct sql_type t = func__text(GRAPH_CHARS, COLL_UTF8MB3_GENERAL_CI);
    func__result_null(call, t);
    call->collation = COLL_UTF8MB3_GENERAL_CI;
    call->coercibility = 3;
    return ERR_OK;
}

db_err info_role_graph(EVAL_ARGS)
{
    (void)call;
    (void)args;
    struct slice text;
    TRY(need_env(ctx));
    TRY(ctx->env->ops->role_graph(ctx->env, ctx->arena, &text));
    EACH_ROW(row)
    {
        vec_set_str_ref(out, row, text);
    }
    return ERR_OK;
}
