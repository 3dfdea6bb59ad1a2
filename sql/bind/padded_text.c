/* sql_mode PAD_CHAR_TO_FULL_LENGTH: where text of CHAR(n) is read with blanks behind it and no
 * column of a row is (that is bexpr.u.column.padded), and where it is read without. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"

/* MYSQL: the number that a column is comes of its text without blanks, and messages show that; CAST
 * to an integer or a year takes the column as text. */
db_err bind__number_source(struct binder *b, const struct sql_type *to, bool is_explicit,
                           struct bexpr **io)
{
    const struct bexpr *e = *io;
    bool column = e->kind == BEXPR_COLUMN || e->kind == BEXPR_OUTER;
    if (!column || !e->u.column.padded || !type_is_numeric(to) ||
        (is_explicit && (type_is_integer(to) || to->id == TYPE_YEAR))) {
        return ERR_OK;
    }
    *io = bexpr_clone(b->arena, e);
    if (*io == NULL) {
        return ERR_NOMEM;
    }
    (*io)->u.column.padded = false;
    return ERR_OK;
}

db_err bind__held_const(struct binder *b, const struct value *v, const struct sql_type *type,
                        struct bexpr **ret)
{
    struct value read = *v;
    if (!v->is_null && type_reads_padded(type, b->opts->sql_mode)) {
        TRY(charset_pad(collation_by_id(type->collation)->cs, v->str, type->length, b->arena,
                        &read.str));
    }
    return bind__const(b, &read, type, 2, ret);
}

db_err bind__held(struct binder *b, struct bexpr *e, const struct sql_type *type,
                  struct bexpr **ret)
{
    TRY(bind__cast(b, e, type, false, ret));
    if (!type_reads_padded(type, b->opts->sql_mode)) {
        return ERR_OK;
    }
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 3);
    struct sql_type number = type_int(TYPE_BIGINT, false);
    struct sql_type text = type_char(TYPE_VARCHAR, 1, COLL_UTF8MB4_0900_AI_CI);
    struct value length = value_int(type->length);
    struct value blank = value_str(SLICE_LIT(" "), COLL_UTF8MB4_0900_AI_CI);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    args[0] = *ret;
    TRY(bind__const(b, &length, &number, 4, &args[1]));
    TRY(bind__const(b, &blank, &text, 4, &args[2]));
    return bind__call(b, func_find(SLICE_LIT("rpad")), args, 3, ret);
}

db_err bind__pad_side(struct binder *b, const struct lcolumn *common, uint32_t count,
                      struct lnode **io)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        any = any || lcolumn_reads_padded(&common[i], b->opts->sql_mode);
    }
    if (!any) {
        return ERR_OK;
    }
    struct select_item *items = BIND_ARRAY(b, struct select_item, count + 1);
    if (items == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct lcolumn column = (*io)->columns[i];
        if (lcolumn_reads_padded(&common[i], b->opts->sql_mode)) {
            column.type.length = common[i].type.length;
            column.own_char = true;
        }
        items[i].column = column;
        items[i].column.def = items[i].column.base = items[i].column.keyed = NULL;
        items[i].expr = bind__made_column(b, &column);
        if (items[i].expr == NULL) {
            return ERR_NOMEM;
        }
    }
    return bind__project(b, items, count, io);
}
