/* What looks into one document: JSON_EXTRACT, JSON_KEYS, JSON_LENGTH, JSON_TYPE, texts. */
#include "sql/func/families.h"

/* (doc, path...) */
db_err json_bind_paths(BIND_ARGS)
{
    func__want_texts(ctx, args + 1, call->arg_count - 1);
    json__result(call);
    return ERR_OK;
}

/* Gives what the paths found: several values, or paths that could find several, make an array. */
static db_err set_hits(struct eval_ctx *ctx, struct vector *out, uint32_t row,
                       const struct json_hits *hits, bool as_array)
{
    if (hits->count == 0) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    if (!as_array) {
        return json__set_view(ctx, out, row, &hits->views[0]);
    }
    struct json_node *a = json_node_new(ctx->arena, JSON_ARRAY);
    if (a == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < hits->count; i++) {
        struct json_node *n = json_node_of(ctx->arena, &hits->views[i]);
        if (n == NULL) {
            return ERR_LIMIT;
        }
        TRY(json_append_item(ctx->arena, a, n));
    }
    return json__set(ctx, out, row, a);
}

static db_err extract_row(struct eval_ctx *ctx, const struct func_call *call,
                          struct vector *const *args, uint32_t row, struct vector *out)
{
    struct json_hits hits = {.arena = ctx->arena};
    struct json_view doc;
    bool null;
    bool as_array = call->arg_count > 2;
    TRY(json__doc(ctx, call, args, 0, row, &doc, &null));
    for (uint32_t i = 1; i < call->arg_count && !null; i++) {
        const struct json_path *path;
        TRY(json__path(ctx, call, args, i, row, true, &path, &null));
        if (!null) {
            as_array = as_array || path->many;
            TRY(json_seek(&doc, path, JSON_SEEK_WRAP, &hits));
        }
    }
    if (null) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    return set_hits(ctx, out, row, &hits, as_array);
}

db_err json_extract(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        TRY(extract_row(ctx, call, args, row, out));
    }
    return ERR_OK;
}

/* The document, or with an optional path argument what that finds. */
static db_err doc_at_path(struct eval_ctx *ctx, const struct func_call *call,
                          struct vector *const *args, uint32_t row, bool many, unsigned flags,
                          struct json_hits *hits)
{
    static const struct json_path whole = {0};
    const struct json_path *path = &whole;
    struct json_view doc;
    bool null;
    TRY(json__doc(ctx, call, args, 0, row, &doc, &null));
    if (!null && call->arg_count == 2) {
        TRY(json__path(ctx, call, args, 1, row, many, &path, &null));
    }
    return null ? ERR_OK : json_seek(&doc, path, flags, hits);
}

db_err json_keys(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct json_hits hits = {.arena = ctx->arena};
        TRY(doc_at_path(ctx, call, args, row, false, 0, &hits));
        if (hits.count == 0 || hits.views[0].type != JSON_OBJECT) {
            vec_set_null(out, row);
            continue;
        }
        struct json_node *a = json_node_new(ctx->arena, JSON_ARRAY);
        for (uint32_t i = 0; a != NULL && i < json_count(&hits.views[0]); i++) {
            struct json_node *key = json_node_str(ctx->arena, json_key_at(&hits.views[0], i));
            if (key == NULL) {
                return ERR_LIMIT;
            }
            TRY(json_append_item(ctx->arena, a, key));
        }
        if (a == NULL) {
            return ERR_LIMIT;
        }
        TRY(json__set(ctx, out, row, a));
    }
    return ERR_OK;
}

/* ---- numbers ---- */

/* variant 1: the second argument is a path; 2: NULL only for NULL; 3: a truth value. */
db_err json_bind_number(BIND_ARGS)
{
    if (call->variant == JSON_NUMBER_LENGTH && call->arg_count == 2) {
        func__want_text(ctx, &args[1]);
    }
    if (call->variant == JSON_NUMBER_UNUSED) {
        func__result(call, args, func__bigint(21));
    } else {
        func__result_null(call, func__bigint(21));
    }
    call->type.flags |= call->variant == JSON_NUMBER_VALID ? TYPE_F_BOOL : 0;
    return ERR_OK;
}

db_err json_length(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct json_hits hits = {.arena = ctx->arena};
        TRY(doc_at_path(ctx, call, args, row, true, JSON_SEEK_WRAP, &hits));
        if (hits.count == 0) {
            vec_set_null(out, row);
            continue;
        }
        const struct json_path *path;
        bool null;
        bool many = false;
        if (call->arg_count == 2) {
            TRY(json__path(ctx, call, args, 1, row, true, &path, &null));
            many = !null && path->many;
        }
        vec_set_i64(out, row, many ? hits.count : json_count(&hits.views[0]));
    }
    return ERR_OK;
}

db_err json_number_of(EVAL_ARGS)
{
    static uint32_t (*const numbers[])(const struct json_view *) = {
        [JSON_NUMBER_DEPTH] = json_depth,
        [JSON_NUMBER_SIZE] = json_size,
        [JSON_NUMBER_UNUSED] = json_unused,
    };
    EACH_ROW(row)
    {
        struct json_view doc;
        bool null;
        TRY(json__doc(ctx, call, args, 0, row, &doc, &null));
        if (null) {
            vec_set_null(out, row);
        } else {
            vec_set_i64(out, row, numbers[call->variant](&doc));
        }
    }
    return ERR_OK;
}

db_err json_is_valid(EVAL_ARGS)
{
    (void)call;
    const struct sql_type *t = args[0]->type;
    bool text = type_is_string(t) && t->collation != COLL_BINARY;
    bool may_be = type_is_string(t) || t->id == TYPE_JSON || t->id == TYPE_NULL;
    EACH_ROW(row)
    {
        bool valid = t->id == TYPE_JSON;
        if (may_be && vec_is_null(args[0], row)) {
            vec_set_null(out, row); /* MYSQL: of other types NULL is as invalid as the rest */
            continue;
        }
        if (text) {
            struct slice s;
            TRY(json__utf8(ctx, t, vec_str(args[0], row), &s));
            TRY(json_valid(ctx->arena, s, ctx->diag, &valid));
        }
        vec_set_i64(out, row, valid);
    }
    return ERR_OK;
}

/* ---- texts ---- */

static void result_bin(struct func_call *call, uint64_t chars)
{
    struct sql_type t = func__text(chars, COLL_UTF8MB4_BIN);
    func__result_null(call, t);
    call->collation = COLL_UTF8MB4_BIN;
    call->coercibility = 4;
}

db_err json_bind_text(BIND_ARGS)
{
    enum { TYPE_NAME_CHARS = 17, QUOTED_CHAR = 6, PRETTY_CHARS = 1 << 24 };
    const struct sql_type *t = &args[0].type;
    uint64_t chars = func__chars(t);
    bool text = func__is_text(t) || t->id == TYPE_NULL;
    (void)ctx;
    switch ((enum json_text_form)call->variant) {
    case JSON_TEXT_TYPE: result_bin(call, TYPE_NAME_CHARS); return ERR_OK;
    case JSON_TEXT_PRETTY: result_bin(call, PRETTY_CHARS); return ERR_OK;
    case JSON_TEXT_QUOTE:
    case JSON_TEXT_UNQUOTE: break;
    }
    bool quote = call->variant == JSON_TEXT_QUOTE;
    if (text) {
        func__want_text(ctx, &args[0]);
    }
    result_bin(call, quote ? (chars < UINT32_MAX / QUOTED_CHAR ? QUOTED_CHAR * chars + 2 : chars)
                           : chars);
    return ERR_OK;
}

db_err json_type_of(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct json_view doc;
        bool null;
        TRY(json__doc(ctx, call, args, 0, row, &doc, &null));
        if (null) {
            vec_set_null(out, row);
        } else {
            vec_set_str_ref(out, row, slice_str(json_type_name(&doc)));
        }
    }
    return ERR_OK;
}

/* MYSQL: which types are taken is looked at with the first value. */
static db_err takes(struct eval_ctx *ctx, const struct func_call *call, const struct sql_type *t)
{
    bool document = call->variant == JSON_TEXT_UNQUOTE && t->id == TYPE_JSON;
    if (!type_is_string(t) && !document) {
        return my_error(ctx->diag, ER_INCORRECT_TYPE, "1", call->def->name);
    }
    return type_is_string(t) && t->collation == COLL_BINARY
               ? my_error(ctx->diag, ER_INVALID_JSON_CHARSET, "binary")
               : ERR_OK;
}

db_err json_quoted(EVAL_ARGS)
{
    SCOPE_BUF(b, JSON_TEXT_MAX);
    EACH_ROW(row)
    {
        struct slice s;
        buf_reset(&b);
        TRY(takes(ctx, call, args[0]->type));
        TRY(json__utf8(ctx, args[0]->type, vec_str(args[0], row), &s));
        TRY(json_quote(s, &b));
        TRY(func__set_buf(ctx, out, row, &b));
    }
    return ERR_OK;
}

static db_err unquote_text(struct eval_ctx *ctx, struct slice s, struct buf *b)
{
    struct json_syntax why;
    if (s.len < 2 || s.ptr[0] != '"' || s.ptr[s.len - 1] != '"') {
        return buf_append_slice(b, s);
    }
    db_err err = json_unquote(s, b, &why);
    if (err == ERR_INVALID) {
        return my_error(ctx->diag, ER_INVALID_JSON_TEXT_IN_PARAM, 1u, "json_unquote", why.message,
                        (unsigned)why.position, "");
    }
    return err;
}

db_err json_unquoted(EVAL_ARGS)
{
    SCOPE_BUF(b, JSON_TEXT_MAX);
    bool json = args[0]->type->id == TYPE_JSON;
    EACH_ROW(row)
    {
        TRY(takes(ctx, call, args[0]->type));
        struct slice s = vec_str(args[0], row);
        buf_reset(&b);
        if (!json) {
            TRY(json__utf8(ctx, args[0]->type, s, &s));
            TRY(unquote_text(ctx, s, &b));
        } else {
            struct json_view v = json_view_of(s);
            TRY(json_print_unquoted(&v, &b));
        }
        TRY(func__set_buf(ctx, out, row, &b));
    }
    return ERR_OK;
}

db_err json_pretty_text(EVAL_ARGS)
{
    SCOPE_BUF(b, JSON_TEXT_MAX);
    EACH_ROW(row)
    {
        struct json_view doc;
        bool null;
        TRY(json__doc(ctx, call, args, 0, row, &doc, &null));
        if (null) {
            vec_set_null(out, row);
            continue;
        }
        buf_reset(&b);
        TRY(json_pretty(&doc, &b));
        TRY(func__set_buf(ctx, out, row, &b));
    }
    return ERR_OK;
}
