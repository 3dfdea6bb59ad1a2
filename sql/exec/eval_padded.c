/* sql_mode PAD_CHAR_TO_FULL_LENGTH: text of CHAR(n) is read with blanks behind it, n characters in
 * all.
 *
 * Rows and keys are the same under any mode, without them. What sees the blanks is an expression
 * that names such a column: the binder marks the node (bexpr.u.column.padded), and they are made
 * when it is evaluated. So what reads rows by their slots and not by expressions (UPDATE's old row,
 * foreign keys, entries of indexes) never meets them, unless a projection lies between. Text that
 * is long enough stays as it is: a column of a derived table may be padded twice. */
#include "sql/exec/exec_int.h"

#include "sql/charset/charset.h"

static db_err padded(struct exec_ctx *ctx, const struct sql_type *type, struct slice text,
                     struct slice *ret)
{
    const struct collation *c = collation_by_id(type->collation);
    return charset_pad(c->cs, text, type->length, ctx->eval.arena, ret);
}

db_err exec__padded_value(struct exec_ctx *ctx, struct expr_state *s, const struct value *v,
                          struct vector **ret)
{
    struct value full = *v;
    if (!v->is_null) {
        TRY(padded(ctx, &s->e->type, v->str, &full.str));
    }
    return exec__const_result(ctx, s, &full, ret);
}

db_err exec__padded(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                    struct vector **io)
{
    const struct vector *from = *io;
    struct vector *out;
    if (vec_is_const(from)) {
        struct value v;
        vector_get(from, 0, &v);
        return exec__padded_value(ctx, s, &v, io);
    }
    TRY(exec__result(ctx, s, rows, &out));
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t row = eval_row(rows, i);
        struct slice text;
        if (vec_is_null(from, row)) {
            vec_set_null(out, row);
            continue;
        }
        TRY(padded(ctx, &s->e->type, vec_str(from, row), &text));
        vec_set_str_ref(out, row, text);
    }
    *io = out;
    return ERR_OK;
}

void exec__unpad_row(const struct exec_ctx *ctx, const struct table_def *t, struct value *row)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct sql_type *type = &t->columns[i].type;
        if (type_reads_padded(type, ctx->sql_mode) && !row[i].is_null) {
            row[i].str = charset_trim_pad(collation_by_id(type->collation)->cs, row[i].str);
        }
    }
}
