/* EXTRACTVALUE(xml, xpath) and UPDATEXML(xml, xpath, new). */
#include "sql/func/families.h"

#include "sql/func/xml/xml_int.h"

enum { RESULT_CHARS = 1 << 24 };

/* MYSQL: SHOW WARNINGS has a second error behind some. True: it is in *ret_second. */
static bool has_second(struct slice rest, struct diag *ret_second)
{
    if (rest.ptr == NULL) {
        return false;
    }
    diag_reset(ret_second);
    (void)diag_set_sql(ret_second, 1105, "HY000", "XPATH syntax error: '%.*s'", SLICE_FMT(rest));
    return true;
}

/* MYSQL: a query that is a constant is read when the statement is looked at. */
static db_err check_query(struct func_bind_ctx *ctx, struct slice query)
{
    struct slice rest = SLICE_EMPTY;
    struct xpath_expr *ignored;
    struct diag second;
    db_err err = xpath_parse(ctx->arena, query, ctx->diag, &ignored, &rest);
    bool two = err == ERR_SQL && ctx->warn != NULL && ctx->diag != NULL;
    if (two && has_second(rest, &second)) {
        ctx->warn(ctx->warn_arg, CAST_ERROR, ctx->diag->number, ctx->diag->text);
        ctx->warn(ctx->warn_arg, CAST_ERROR, second.number, second.text);
    }
    return err;
}

db_err xml_bind(BIND_ARGS)
{
    if (!args[1].is_const && !args[1].is_given) {
        return diag_set_sql(ctx->diag, 1105, "HY000", "Only constant XPATH queries are supported");
    }
    const struct value *path = args[1].constant;
    if (path == NULL && args[1].lifted != NULL) {
        path = args[1].lifted;
        ctx->by_text = true;
    }
    func__want_texts(ctx, args, call->arg_count);
    TRY(func__result_text(ctx, call, args, 0, call->arg_count, RESULT_CHARS));
    const struct charset *cs = collation_by_id(call->collation)->cs;
    if (cs->minlen > 1) {
        return diag_set_sql(ctx->diag, 1105, "HY000",
                            "Character set '%s' is not supported by XPATH", cs->name);
    }
    if (path == NULL || path->phys != PHYS_STR || path->is_null ||
        collation_by_id(path->collation)->cs->minlen > 1) {
        return ERR_OK;
    }
    /* A `$` may be a variable, which the statement may assign. MYSQL: it is read in each row. */
    call->varies = memchr(path->str.ptr, '$', path->str.len) != NULL;
    return check_query(ctx, path->str);
}

static db_err parse_query(struct eval_ctx *ctx, struct slice query, struct xpath_expr **ret)
{
    struct slice rest = SLICE_EMPTY;
    struct diag second;
    db_err err = xpath_parse(ctx->arena, query, ctx->diag, ret, &rest);
    if (err == ERR_SQL && has_second(rest, &second)) {
        func__tell_two(ctx, &second);
    }
    return err;
}

/* False: NULL with a warning. */
static db_err parse_row(struct eval_ctx *ctx, struct slice text, struct vector *out, uint32_t row,
                        struct xml_doc *ret, bool *ret_good)
{
    char message[XML_MESSAGE_SIZE];
    db_err err;
    *ret_good = xml_parse(ctx->arena, text, message, ret, &err);
    TRY(err);
    if (!*ret_good) {
        vec_set_null(out, row);
        func__warn(ctx, ER_WRONG_VALUE, "XML", message);
    }
    return ERR_OK;
}

db_err xml_extract(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct xpath_expr *query;
        struct xml_doc doc;
        struct slice text;
        bool good;
        TRY(parse_query(ctx, vec_str(args[1], row), &query));
        TRY(parse_row(ctx, vec_str(args[0], row), out, row, &doc, &good));
        if (good) {
            bool is_null;
            TRY(xpath_text(ctx, query, &doc, collation_by_id(call->collation), &is_null, &text));
            if (is_null) {
                vec_set_null(out, row);
                continue;
            }
            TRY(vec_set_str(out, row, text));
        }
    }
    return ERR_OK;
}

/* MYSQL: only when the query finds exactly one node is it replaced. */
static db_err replace_one(struct eval_ctx *ctx, const struct xml_doc *doc, const bool *marks,
                          struct slice text, struct slice by, struct vector *out, uint32_t row)
{
    uint32_t found = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < doc->count; i++) {
        if (marks[i]) {
            found = i;
            count++;
        }
    }
    if (count != 1) {
        return vec_set_str(out, row, text);
    }
    if (found == 0) {
        return vec_set_str(out, row, by);
    }
    struct slice old = doc->nodes[found].outer;
    size_t before = (size_t)(old.ptr - text.ptr);
    size_t after = text.len - before - old.len;
    uint8_t *p;
    TRY(func__bytes(ctx, before + by.len + after, &p));
    memcpy(p, text.ptr, before);
    memcpy(p + before, by.ptr, by.len);
    memcpy(p + before + by.len, old.ptr + old.len, after);
    vec_set_str_ref(out, row, slice_of(p, before + by.len + after));
    return ERR_OK;
}

db_err xml_update(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct xpath_expr *query;
        struct xml_doc doc;
        bool *marks;
        bool good;
        struct slice text = vec_str(args[0], row);
        TRY(parse_query(ctx, vec_str(args[1], row), &query));
        TRY(parse_row(ctx, text, out, row, &doc, &good));
        if (!good) {
            continue;
        }
        TRY(xpath_nodes(ctx, query, &doc, collation_by_id(call->collation), &marks));
        if (marks == NULL) {
            vec_set_null(out, row);
            continue;
        }
        TRY(replace_one(ctx, &doc, marks, text, vec_str(args[2], row), out, row));
    }
    return ERR_OK;
}
