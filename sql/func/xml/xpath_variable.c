/* User variables in XPath queries: what `$@name` is when it is evaluated. */
#include "sql/func/xml/xpath_int.h"

#include "sql/types/cast.h"

/* MYSQL: an integer, a DOUBLE and a DECIMAL count as what they are; of a DECIMAL arithmetic shows
 * as many decimals as there can be. */
static db_err of_number(struct eval_ctx *ctx, const struct sql_type *type, const struct value *v,
                        struct xv *ret)
{
    ret->kind = XV_NUMBER;
    ret->exact = type->id == TYPE_DECIMAL;
    ret->decimals = ret->exact ? DECIMAL_SCALE_MAX : type_is_integer(type) ? 0 : DECIMALS_NOT_FIXED;
    return value_to_double(ctx->cast, type, v, &ret->number);
}

db_err xpath_variable(struct eval_ctx *ctx, struct slice name, const struct collation *collation,
                      struct xv *ret)
{
    struct sql_type type;
    struct value v;
    struct value text;
    *ret = (struct xv){.kind = XV_TEXT, .is_null = true};
    if (ctx->env == NULL) {
        return ERR_OK;
    }
    TRY(ctx->env->ops->user_variable(ctx->env, name, ctx->arena, &type, &v));
    if (v.is_null) {
        return ERR_OK;
    }
    ret->is_null = false;
    ret->of_variable = true;
    bool binary = type_is_string(&type) && type.collation == COLL_BINARY;
    struct sql_type to = type_blob(TYPE_LONGTEXT, collation->id);
    TRY(binary ? ERR_OK : value_cast(ctx->cast, &type, &v, &to, &text));
    ret->text = binary ? v.str : text.str;
    return type_is_numeric(&type) ? of_number(ctx, &type, &v, ret) : ERR_OK;
}
