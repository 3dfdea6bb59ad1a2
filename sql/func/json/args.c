/* Arguments of JSON functions, and their results.
 *
 * Documents given as text and paths are mostly the same for every row: what was parsed last is kept
 * with the call, and found again by comparing the bytes. */
#include "sql/func/json/json_func.h"

struct parsed_arg {
    struct slice path_text, doc_text; /* ptr NULL: nothing kept */
    struct json_path path;
    struct slice doc;
    uint32_t misses;
};
/* Of a call that changes its column in place: the rows whose document was written anew. */
struct rewritten_rows {
    uint64_t bits[CHUNK_NULL_WORDS];
};
enum { MISSES_MAX = 8 }; /* texts that change are not kept: the statement's memory would grow */

const char *json__func_name(const struct func_call *call)
{
    const char *name = call->def->name;
    if (strcmp(name, "json_length") == 0 && call->arg_count == 2) {
        return "json_extract"; /* MYSQL: rewritten to the length of what is extracted */
    }
    return strcmp(name, "json_merge") == 0        ? "json_merge_preserve"
           : strcmp(name, "op_json_cast") == 0    ? "cast_as_json"
           : strcmp(name, "op_array_cast") == 0   ? "cast_as_array"
           : strcmp(name, "op_json_extract") == 0 ? "json_extract"
           : strcmp(name, "op_json_value") == 0   ? "json_value"
           : strcmp(name, "op_member_of") == 0    ? "member of"
                                                  : name;
}

struct sql_type json__type(void)
{
    struct sql_type t = type_blob(TYPE_JSON, COLL_BINARY);
    t.flags |= TYPE_F_EXPR;
    return t;
}

void json__result(struct func_call *call)
{
    func__result_null(call, json__type());
    call->coercibility = 2;
    call->collation = COLL_BINARY;
}

static db_err kept(struct eval_ctx *ctx, const struct func_call *call, uint32_t i,
                   struct parsed_arg **ret)
{
    void *state;
    bool fresh;
    size_t size = call->arg_count * sizeof(struct parsed_arg);
    size += json__changes_in_place(call) ? sizeof(struct rewritten_rows) : 0;
    TRY(func__state(ctx, call, size, &state, &fresh));
    *ret = (struct parsed_arg *)state + i;
    return ERR_OK;
}

db_err json__rewritten(struct eval_ctx *ctx, const struct func_call *call, uint64_t **ret)
{
    struct parsed_arg *k;
    TRY(kept(ctx, call, call->arg_count, &k));
    *ret = ((struct rewritten_rows *)(void *)k)->bits;
    return ERR_OK;
}

/* Where to keep what is parsed now. */
static struct arena *keep_in(struct eval_ctx *ctx, struct parsed_arg *k, const struct vector *arg)
{
    return vec_is_const(arg) && k->misses++ < MISSES_MAX ? ctx->statement : ctx->arena;
}

db_err json__utf8(struct eval_ctx *ctx, const struct sql_type *type, struct slice s,
                  struct slice *ret)
{
    const struct charset *utf8 = charset_by_name(SLICE_LIT("utf8mb4"));
    const struct charset *cs = func__charset(type);
    if (cs == utf8) {
        *ret = s;
        return ERR_OK;
    }
    return charset_convert_arena(cs, s, utf8, ctx->arena, ret, NULL);
}

db_err json__parse(struct eval_ctx *ctx, const char *name, uint32_t number, struct slice text,
                   struct arena *arena, struct json_node **ret)
{
    struct json_syntax why;
    db_err err = json_parse(arena, text, ret, &why);
    if (err != ERR_INVALID) {
        return err;
    }
    return why.message == NULL ? my_error(ctx->diag, ER_JSON_DOCUMENT_TOO_DEEP)
                               : my_error(ctx->diag, ER_INVALID_JSON_TEXT_IN_PARAM, number, name,
                                          why.message, (unsigned)why.position, "");
}

db_err json__takes(struct diag *diag, const struct func_call *call, const struct sql_type *t,
                   uint32_t i)
{
    return type_is_string(t) || t->id == TYPE_NULL || t->id == TYPE_JSON
               ? ERR_OK
               : my_error(diag, ER_INVALID_TYPE_FOR_JSON, (unsigned)(i + 1), json__func_name(call));
}

/* MYSQL: SHOW WARNINGS has a second error then, as of a number. */
static db_err bytes_refused(struct eval_ctx *ctx, const struct func_call *call, uint32_t i)
{
    struct diag second;
    diag_reset(&second);
    db_err err = my_error(ctx->diag, ER_INVALID_JSON_CHARSET, "binary");
    (void)my_error(&second, ER_INVALID_TYPE_FOR_JSON, (unsigned)(i + 1), json__func_name(call));
    func__tell_two(ctx, &second);
    return err;
}

/* The text of an argument that is to be a document, in utf8mb4. */
static db_err doc_text(struct eval_ctx *ctx, const struct func_call *call, const struct vector *arg,
                       uint32_t i, uint32_t row, struct slice *ret)
{
    const struct sql_type *t = arg->type;
    TRY(json__takes(ctx->diag, call, t, i));
    if (t->collation == COLL_BINARY) {
        *ret = vec_str(arg, row);
        return (call->def->flags & FUNC_JSON_BYTES) != 0 ? ERR_OK : bytes_refused(ctx, call, i);
    }
    return json__utf8(ctx, t, vec_str(arg, row), ret);
}

db_err json__doc(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,
                 uint32_t i, uint32_t row, struct json_view *ret, bool *ret_null)
{
    const struct vector *arg = args[i];
    struct slice text;
    struct parsed_arg *k;
    struct json_node *n;
    struct slice doc;
    *ret_null = vec_is_null(arg, row);
    if (*ret_null) {
        return json__takes(ctx->diag, call, arg->type, i); /* MYSQL: also of NULL */
    }
    if (arg->type->id == TYPE_JSON) {
        *ret = json_view_of(vec_str(arg, row));
        return ERR_OK;
    }
    TRY(doc_text(ctx, call, arg, i, row, &text));
    TRY(kept(ctx, call, i, &k));
    if (k->doc_text.ptr == NULL || !slice_eq(k->doc_text, text)) {
        TRY(json__parse(ctx, json__func_name(call), i + 1, text, ctx->arena, &n));
        struct arena *arena = keep_in(ctx, k, arg);
        TRY(json_write_arena(n, arena, ctx->diag, &doc));
        if (arena == ctx->statement) {
            TRY(arena_copy(arena, text, &k->doc_text));
            k->doc = doc;
        }
        *ret = json_view_of(doc);
        return ERR_OK;
    }
    *ret = json_view_of(k->doc);
    return ERR_OK;
}

db_err json__doc_node(struct eval_ctx *ctx, const struct func_call *call,
                      struct vector *const *args, uint32_t i, uint32_t row, struct json_node **ret,
                      bool *ret_null)
{
    struct json_view v;
    TRY(json__doc(ctx, call, args, i, row, &v, ret_null));
    if (*ret_null) {
        return ERR_OK;
    }
    *ret = json_node_of(ctx->arena, &v);
    if (*ret == NULL) {
        return ERR_LIMIT;
    }
    return json_unused(&v) == 0 ? ERR_OK : json_expand_all(ctx->arena, *ret);
}

db_err json__path(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,
                  uint32_t i, uint32_t row, bool many, const struct json_path **ret, bool *ret_null)
{
    const struct vector *arg = args[i];
    struct parsed_arg *k;
    struct slice text;
    struct json_path *path;
    size_t position;
    *ret_null = vec_is_null(arg, row);
    if (*ret_null) {
        return ERR_OK;
    }
    if (arg->type->collation == COLL_BINARY) {
        return my_error(ctx->diag, ER_INVALID_JSON_CHARSET, "binary");
    }
    TRY(kept(ctx, call, i, &k));
    text = vec_str(arg, row);
    if (k->path_text.ptr != NULL && slice_eq(k->path_text, text)) {
        path = &k->path;
    } else {
        struct slice copy;
        struct slice utf8;
        struct arena *arena = keep_in(ctx, k, arg);
        path = ARENA_NEW(ctx->arena, struct json_path);
        if (path == NULL) {
            return ERR_LIMIT;
        }
        TRY(arena_copy(arena, text, &copy));
        TRY(json__utf8(ctx, arg->type, copy, &utf8));
        if (arena == ctx->statement && utf8.ptr != copy.ptr) {
            TRY(arena_copy(arena, utf8, &utf8));
        }
        db_err err = json_path_parse(arena, utf8, path, &position, ctx->diag);
        if (err == ERR_INVALID) {
            return my_error(ctx->diag, ER_INVALID_JSON_PATH, (unsigned)position, "");
        }
        TRY(err);
        if (arena == ctx->statement && copy.len != 0) {
            k->path_text = copy;
            k->path = *path;
        }
    }
    if (!many && path->many) {
        return my_error(ctx->diag, ER_INVALID_JSON_PATH_WILDCARD);
    }
    *ret = path;
    return ERR_OK;
}

db_err json__value(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,
                   uint32_t i, uint32_t row, struct json_node **ret)
{
    (void)call;
    struct value v;
    vector_get(args[i], row, &v);
    if (v.is_null) {
        *ret = json_node_new(ctx->arena, JSON_NULL);
        return *ret == NULL ? ERR_LIMIT : ERR_OK;
    }
    struct cast_ctx cast = *ctx->cast;
    cast.arena = ctx->arena;
    if (v.phys == PHYS_STR && v.str.len <= STRV_INLINE_MAX) {
        TRY(arena_copy(ctx->arena, v.str, &v.str)); /* the view is the vector's own */
    }
    TRY(json_from_value(&cast, args[i]->type, &v, ret));
    bool stored = (*ret)->stored && json_unused(&(*ret)->u.view) != 0;
    return stored ? json_expand_all(ctx->arena, *ret) : ERR_OK;
}

db_err json__set(struct eval_ctx *ctx, struct vector *out, uint32_t row, const struct json_node *n)
{
    struct slice doc;
    TRY(json_write_arena(n, ctx->arena, ctx->diag, &doc));
    vec_set_str_ref(out, row, doc);
    return ERR_OK;
}

db_err json__set_view(struct eval_ctx *ctx, struct vector *out, uint32_t row,
                      const struct json_view *v)
{
    struct slice doc;
    TRY(json_document(v, ctx->arena, &doc));
    vec_set_str_ref(out, row, doc);
    return ERR_OK;
}

db_err json__one_or_all(struct eval_ctx *ctx, const struct func_call *call,
                        struct vector *const *args, uint32_t i, uint32_t row, bool *ret_all,
                        bool *ret_null)
{
    *ret_null = vec_is_null(args[i], row);
    if (*ret_null) {
        return ERR_OK;
    }
    struct slice s = vec_str(args[i], row);
    if (slice_eq_nocase(s, SLICE_LIT("one")) || slice_eq_nocase(s, SLICE_LIT("all"))) {
        *ret_all = (s.ptr[0] | 32) == 'a';
        return ERR_OK;
    }
    return my_error(ctx->diag, ER_JSON_BAD_ONE_OR_ALL_ARG, json__func_name(call));
}
