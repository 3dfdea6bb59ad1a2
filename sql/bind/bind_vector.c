/* Where a VECTOR may stand. Most functions refuse one (1210), under the names that MySQL's own
 * items have; what stands in for one another must all be vectors (6135, func_agree_type). */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"

/* MYSQL: what a condition calls a function whose SQL name is another. */
static const char *item_name(const struct func_def *def)
{
    static const char *const names[][2] = {
        {"op_add", "+"},
        {"op_sub", "-"},
        {"op_mul", "*"},
        {"op_div", "/"},
        {"op_intdiv", "DIV"},
        {"op_mod", "%"},
        {"mod", "%"},
        {"op_neg", "-"},
        {"op_bitand", "&"},
        {"op_bitor", "|"},
        {"op_bitxor", "^"},
        {"op_bitnot", "~"},
        {"op_shl", "<<"},
        {"op_shr", ">>"},
        {"op_eq", "="},
        {"op_nulleq", "<=>"},
        {"op_lt", "<"},
        {"op_le", "<="},
        {"op_gt", ">"},
        {"op_ge", ">="},
        {"op_not", "="},
        {"op_like", "like"},
        {"op_concat", "concat"},
        {"op_json_extract", "json_extract"},
        {"op_json_cast", "cast_as_json"},
        {"op_member_of", "member of"},
        {"op_date_add", "date_add_interval"},
        {"op_date_sub", "date_add_interval"},
        {"adddate", "date_add_interval"},
        {"subdate", "date_add_interval"},
        {"timestampadd", "date_add_interval"},
        {"addtime", "add_time"},
        {"subtime", "add_time"},
        {"datediff", "to_days"},
        {"date", "cast_as_date"},
        {"time", "cast_as_time"},
        {"timestamp", "cast_as_datetime"},
        {"day", "dayofmonth"},
        {"weekofyear", "week"},
        {"ceil", "ceiling"},
        {"atan2", "atan"},
        {"power", "pow"},
        {"bin", "conv"},
        {"oct", "conv"},
        {"ucase", "upper"},
        {"lcase", "lower"},
        {"substring", "substr"},
        {"mid", "substr"},
        {"character", "char"},
        {"json_merge", "json_merge_preserve"},
        {"name_const", "NAME_CONST"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i][0], def->name) == 0) {
            return names[i][1];
        }
    }
    return def->name;
}

static bool any_vector(struct bexpr *const *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (args[i]->type.id == TYPE_VECTOR) {
            return true;
        }
    }
    return false;
}

/* TRIM names its side, WEIGHT_STRING takes one AS BINARY only. */
static const char *special_name(const struct func_def *def, struct bexpr *const *args,
                                uint32_t count)
{
    bool known = args[0]->kind == BEXPR_CONST && args[0]->u.constant.phys == PHYS_INT;
    if (strcmp(def->name, "trim") == 0 && known && args[0]->u.constant.i != 0) {
        return args[0]->u.constant.i == 1 ? "ltrim" : "rtrim";
    }
    bool weight = strcmp(def->name, "weight_string") == 0;
    bool as_binary = count == 3 && args[1]->kind == BEXPR_CONST && args[1]->u.constant.i != 0;
    return weight && !as_binary ? def->name : NULL;
}

/* MYSQL: = and <=> take two vectors, and in IN, CASE and NULLIF anything beside one. */
static bool compares(const struct binder *b, const struct func_def *def, struct bexpr *const *args)
{
    bool equal = strcmp(def->name, "op_eq") == 0 || strcmp(def->name, "op_nulleq") == 0;
    return !equal || b->func.among || args[0]->placeholder || args[1]->placeholder ||
           args[0]->type.id == args[1]->type.id;
}

db_err bind__vector_bytes(struct binder *b, struct bexpr **io)
{
    struct sql_type t = type_blob(TYPE_LONGBLOB, COLL_BINARY);
    uint8_t coercibility = (*io)->coercibility;
    if ((*io)->type.id != TYPE_VECTOR) {
        return ERR_OK;
    }
    t.flags |= TYPE_F_EXPR;
    TRY(bind__cast(b, *io, &t, false, io));
    (*io)->coercibility = coercibility;
    return ERR_OK;
}

db_err bind__take_vectors(struct binder *b, const struct func_def *def, struct bexpr **args,
                          uint32_t count)
{
    if (!any_vector(args, count)) {
        return ERR_OK;
    }
    const char *special = special_name(def, args, count);
    if (special == NULL && (def->flags & FUNC_VECTOR_BYTES) != 0) {
        for (uint32_t i = 0; i < count; i++) {
            TRY(bind__vector_bytes(b, &args[i]));
        }
        return ERR_OK;
    }
    if (special == NULL && (def->flags & FUNC_TAKES_VECTORS) != 0 && compares(b, def, args)) {
        return ERR_OK;
    }
    return my_error(b->diag, ER_WRONG_ARGUMENTS, special != NULL ? special : item_name(def));
}

db_err bind__refuse_vector(struct binder *b, const char *name, const struct bexpr *arg)
{
    return arg->type.id == TYPE_VECTOR ? my_error(b->diag, ER_WRONG_ARGUMENTS, name) : ERR_OK;
}

db_err bind__refuse_agg_vectors(struct binder *b, const struct agg_def *def,
                                struct bexpr *const *args, uint32_t count)
{
    static const char *const take[] = {"count", "group_concat", "any_value"};
    if (!any_vector(args, count)) {
        return ERR_OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(take); i++) {
        if (strcmp(take[i], def->name) == 0) {
            return ERR_OK;
        }
    }
    return my_error(b->diag, ER_WRONG_ARGUMENTS, bexpr_agg_name(def));
}

db_err bind__refuse_vector_cast(struct binder *b, const struct ast_type *to,
                                const struct bexpr *arg)
{
    const char *name = NULL;
    if (arg->type.id != TYPE_VECTOR) {
        return ERR_OK;
    }
    switch ((int)to->kind) {
    case AST_TYPE_BINARY: return ERR_OK;
    case AST_TYPE_CHAR: name = "cast_as_char"; break;
    case AST_TYPE_SIGNED: name = "cast_as_signed"; break;
    case AST_TYPE_UNSIGNED: name = "cast_as_unsigned"; break;
    case AST_TYPE_DECIMAL: name = "cast_as_decimal"; break;
    case AST_TYPE_DATE: name = "cast_as_date"; break;
    case AST_TYPE_TIME: name = "cast_as_time"; break;
    case AST_TYPE_DATETIME: name = "cast_as_datetime"; break;
    case AST_TYPE_YEAR: name = "cast_as_year"; break;
    case AST_TYPE_JSON: name = "cast_as_json"; break;
    default: name = "cast_as_real"; break;
    }
    return my_error(b->diag, ER_WRONG_ARGUMENTS, name);
}

db_err bind__refuse_vector_order(struct binder *b, enum ast_op op, const struct sql_type *x,
                                 const struct sql_type *y)
{
    const char *sign = op == AST_OP_LT   ? "<"
                       : op == AST_OP_LE ? "<="
                       : op == AST_OP_GT ? ">"
                       : op == AST_OP_GE ? ">="
                       : op == AST_OP_EQ ? "="
                                         : "<>";
    bool vectors = x->id == TYPE_VECTOR && y->id == TYPE_VECTOR;
    bool none = x->id != TYPE_VECTOR && y->id != TYPE_VECTOR;
    if (none || op == AST_OP_NE || (vectors && op == AST_OP_EQ)) {
        return ERR_OK;
    }
    return my_error(b->diag, ER_WRONG_ARGUMENTS, sign);
}
