/* JSON columns, and JSON values in other columns. */
#include "sql/types/store_int.h"

#include <stdio.h>

#include "sql/types/json.h"

static db_err invalid(const struct store *s, const char *message, size_t position)
{
    const char *table = s->target->table == NULL ? "" : s->target->table;
    return cast_error(s->ctx, 3140, message, (unsigned)position, table, table[0] == '\0' ? "" : ".",
                      s->target->column);
}

/* Text is parsed; of other types only JSON itself is taken, whatever the mode. MYSQL: but a column
 * of dates is copied as its text, and ALTER TABLE copies all so. */
db_err store__json(const struct store *s, struct value *ret)
{
    struct json_syntax why;
    struct json_node *n;
    struct slice text;
    if (s->from->id == TYPE_JSON) {
        ret->str = s->v->str;
        return ERR_OK;
    }
    bool named = s->from->id == TYPE_ENUM || s->from->id == TYPE_SET;
    bool column =
        s->v->phys != PHYS_STR &&
        (s->target->as_text || ((s->from->flags & TYPE_F_EXPR) == 0 && type_is_temporal(s->from)));
    if (!named && !column && s->v->phys != PHYS_STR) {
        return invalid(s, "not a JSON text, may need CAST", 0);
    }
    const struct collation *c = collation_by_id(named    ? s->from->collation
                                                : column ? (unsigned)COLL_UTF8MB4_BIN
                                                         : s->v->collation);
    if (c == NULL || c->id == COLL_BINARY) {
        return cast_error(s->ctx, 3144, "binary");
    }
    TRY(value_to_text(s->ctx, s->from, s->v, &text));
    TRY(charset_convert_arena(c->cs, text, charset_by_name(SLICE_LIT("utf8mb4")), s->ctx->arena,
                              &text, NULL));
    db_err err = json_parse(s->ctx->arena, text, &n, &why);
    if (err == ERR_INVALID) {
        return why.message != NULL ? invalid(s, why.message, why.position)
                                   : cast_error(s->ctx, 3157);
    }
    TRY(err);
    return json_write_arena(n, s->ctx->arena, s->ctx->diag, &ret->str);
}

/* Numbers and times go through what the JSON value is; other columns get its text. */
db_err store__from_json(const struct store *s, struct value *ret)
{
    struct json_view v = json_view_of(s->v->str);
    struct cast_ctx *ctx = s->ctx;
    struct value plain;
    struct sql_type t;
    bool number = type_is_numeric(s->to) && s->to->id != TYPE_YEAR && s->to->id != TYPE_BIT;
    if (number) {
        t = s->to->id == TYPE_DECIMAL
                ? type_decimal(DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, false)
            : s->to->id == TYPE_FLOAT || s->to->id == TYPE_DOUBLE
                ? type_double()
                : type_int(TYPE_BIGINT, v.type == JSON_UINT || type_is_unsigned(s->to));
        if (type_is_integer(s->to) && v.type == JSON_INT) {
            t = type_int(TYPE_BIGINT, false);
        }
        TRY(json_to_value(ctx, &v, &t, &plain));
    } else if (s->to->id >= TYPE_DATETIME && type_is_temporal(s->to) && ctx->strict &&
               json_is_date_only(&v)) {
        char text[MESSAGE_VALUE_MAX];
        char where[MESSAGE_VALUE_MAX];
        cast__printable(COLL_UTF8MB4_BIN, json_str(&v), text);
        snprintf(where, sizeof(where), " for column '%s' at row %llu", s->target->column,
                 (unsigned long long)s->target->row);
        return cast_error(ctx, 1292, "Incorrect", "datetime", text, where);
    } else if (type_is_temporal(s->to)) {
        t = type_temporal((enum type_id)(s->to->id == TYPE_TIMESTAMP ? TYPE_DATETIME : s->to->id),
                          TIME_DECIMALS_MAX);
        TRY(json_to_value(ctx, &v, &t, &plain));
    } else {
        t = type_blob(TYPE_LONGTEXT, COLL_UTF8MB4_BIN);
        value_tag(&plain, &t);
        TRY(json_text(s->v->str, ctx->arena, &plain.str));
    }
    return type_store(ctx, s->to, s->target, &t, &plain, ret);
}
