/* JSON_CONTAINS, JSON_CONTAINS_PATH, JSON_SEARCH, JSON_OVERLAPS, MEMBER OF. */
#include "sql/func/families.h"

#include "base/fiber.h"

db_err json_bind_contains(BIND_ARGS)
{
    if (call->arg_count == 3) {
        func__want_text(ctx, &args[2]);
    }
    func__result_null(call, func__bigint(21));
    call->type.flags |= TYPE_F_BOOL;
    return ERR_OK;
}

/* variant 0: (doc, one_or_all, path...); 1: (doc, one_or_all, text [, escape, path...]). */
db_err json_bind_search(BIND_ARGS)
{
    func__want_texts(ctx, args + 1, call->arg_count - 1);
    if (call->variant == 1) {
        json__result(call);
    } else {
        func__result_null(call, func__bigint(21));
        call->type.flags |= TYPE_F_BOOL;
    }
    return ERR_OK;
}

db_err json_bind_test(BIND_ARGS)
{
    (void)ctx;
    func__result(call, args, func__bool());
    return ERR_OK;
}

static db_err contains_row(struct eval_ctx *ctx, const struct func_call *call,
                           struct vector *const *args, uint32_t row, struct vector *out)
{
    struct json_hits hits = {.arena = ctx->arena};
    struct json_view doc;
    struct json_view part;
    bool null;
    TRY(json__doc(ctx, call, args, 0, row, &doc, &null));
    if (!null) {
        TRY(json__doc(ctx, call, args, 1, row, &part, &null));
    }
    if (!null && call->arg_count == 3) {
        const struct json_path *path;
        TRY(json__path(ctx, call, args, 2, row, false, &path, &null));
        if (!null) {
            TRY(json_seek(&doc, path, JSON_SEEK_ONE | JSON_SEEK_WRAP, &hits));
            null = hits.count == 0;
            doc = null ? doc : hits.views[0];
        }
    }
    if (null) {
        vec_set_null(out, row);
    } else {
        bool found;
        TRY(json_contains(&doc, &part, &found));
        vec_set_i64(out, row, found);
    }
    return ERR_OK;
}

db_err json_contains_value(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        TRY(contains_row(ctx, call, args, row, out));
    }
    return ERR_OK;
}

static db_err contains_path_row(struct eval_ctx *ctx, const struct func_call *call,
                                struct vector *const *args, uint32_t row, struct vector *out)
{
    struct json_view doc;
    bool null;
    bool all = false;
    TRY(json__doc(ctx, call, args, 0, row, &doc, &null));
    if (!null) {
        TRY(json__one_or_all(ctx, call, args, 1, row, &all, &null));
    }
    if (null) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    bool found = false;
    for (uint32_t i = 2; i < call->arg_count; i++) {
        struct json_hits hits = {.arena = ctx->arena};
        const struct json_path *path;
        TRY(json__path(ctx, call, args, i, row, true, &path, &null));
        if (null) {
            vec_set_null(out, row);
            return ERR_OK;
        }
        TRY(json_seek(&doc, path, JSON_SEEK_ONE | JSON_SEEK_WRAP, &hits));
        found = hits.count != 0;
        if (found != all) {
            break; /* decided */
        }
    }
    vec_set_i64(out, row, found);
    return ERR_OK;
}

db_err json_contains_path(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        TRY(contains_path_row(ctx, call, args, row, out));
    }
    return ERR_OK;
}

db_err json_overlap(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct json_view a;
        struct json_view b;
        bool null;
        TRY(json__doc(ctx, call, args, 0, row, &a, &null));
        if (!null) {
            TRY(json__doc(ctx, call, args, 1, row, &b, &null));
        }
        if (null) {
            vec_set_null(out, row);
        } else {
            bool found;
            TRY(json_overlaps(&a, &b, &found));
            vec_set_i64(out, row, found);
        }
    }
    return ERR_OK;
}

db_err json_is_member(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct json_view b;
        struct json_node *x;
        struct slice doc;
        bool null = vec_is_null(args[0], row);
        if (!null) {
            TRY(json__doc(ctx, call, args, 1, row, &b, &null));
        }
        if (null) {
            vec_set_null(out, row);
            continue;
        }
        TRY(json__value(ctx, call, args, 0, row, &x));
        TRY(json_write_arena(x, ctx->arena, ctx->diag, &doc));
        struct json_view a = json_view_of(doc);
        bool found;
        TRY(json_member_of(&a, &b, &found));
        vec_set_i64(out, row, found);
    }
    return ERR_OK;
}

/* ---- JSON_SEARCH ---- */

enum { SEARCH_PATH_MAX = 1 << 20, VALUE_WORK = 8 };

struct search {
    struct eval_ctx *ctx;
    const struct collation *collation;
    struct slice pattern;
    uint32_t escape;
    bool all;
    bool done;
    struct buf path;         /* of the value looked at */
    struct json_node *found; /* array of paths */
    uint32_t work;           /* of fiber_work */
};

static db_err add_found(struct search *s)
{
    struct slice path;
    TRY(fiber_work(&s->work, s->found->u.array.count));
    for (uint32_t i = 0; i < s->found->u.array.count; i++) {
        if (slice_eq(s->found->u.array.items[i]->u.str, buf_slice(&s->path))) {
            return ERR_OK;
        }
    }
    TRY(arena_copy(s->ctx->arena, buf_slice(&s->path), &path));
    struct json_node *n = json_node_str(s->ctx->arena, path);
    if (n == NULL) {
        return ERR_LIMIT;
    }
    s->done = !s->all;
    return json_append_item(s->ctx->arena, s->found, n);
}

static db_err search_below(struct search *s, const struct json_view *v)
{
    TRY(fiber_work(&s->work, VALUE_WORK));
    if (v->type == JSON_STRING) {
        bool match;
        TRY(collation_like(s->collation, json_str(v), s->pattern, s->escape, &match));
        return match ? add_found(s) : ERR_OK;
    }
    size_t len = s->path.len;
    for (uint32_t i = 0; json_is_container(v) && i < json_count(v) && !s->done; i++) {
        struct json_view child = json_at(v, i);
        TRY(v->type == JSON_ARRAY ? buf_printf(&s->path, "[%u]", i)
                                  : json_print_leg(json_key_at(v, i), &s->path));
        TRY(search_below(s, &child));
        s->path.len = len;
    }
    return ERR_OK;
}

/* The step to child i; MYSQL: an index that counts from the end is shown as it was written. */
static db_err print_step(struct search *s, const struct json_view *v, const struct json_leg *leg,
                         uint32_t i)
{
    if (v->type != JSON_ARRAY) {
        return json_print_leg(json_key_at(v, i), &s->path);
    }
    if (leg->kind != JSON_LEG_INDEX || !leg->from_end) {
        return buf_printf(&s->path, "[%u]", i);
    }
    return leg->from == 0 ? buf_printf(&s->path, "[last]")
                          : buf_printf(&s->path, "[last-%u]", leg->from);
}

/* Goes to what a path with wildcards finds, keeping the text of the way there. */
static db_err search_path(struct search *s, const struct json_view *v, const struct json_path *path,
                          uint32_t leg_index)
{
    TRY(fiber_work(&s->work, VALUE_WORK));
    if (leg_index == path->count) {
        return search_below(s, v);
    }
    const struct json_leg *leg = &path->legs[leg_index];
    bool array = v->type == JSON_ARRAY;
    uint32_t count = json_count(v);
    uint32_t from = 0;
    uint32_t to = count;
    uint32_t next = leg_index + 1;
    size_t len = s->path.len;
    switch ((enum json_leg_kind)leg->kind) {
    case JSON_LEG_ELLIPSIS:
        TRY(search_path(s, v, path, next));
        next = leg_index;
        to = json_is_container(v) ? count : 0;
        break;
    case JSON_LEG_KEY:
    case JSON_LEG_ANY_KEY: to = v->type == JSON_OBJECT ? count : 0; break;
    case JSON_LEG_ANY_INDEX: to = array ? count : 0; break;
    case JSON_LEG_INDEX:
        count = array ? count : 0;
        to = json_leg_index(leg, count, &from) ? from + 1 : from;
        break;
    case JSON_LEG_RANGE: json_leg_range(leg, array ? count : 0, &from, &to); break;
    }
    for (uint32_t i = from; i < to && !s->done; i++) {
        if (leg->kind == JSON_LEG_KEY && !slice_eq(json_key_at(v, i), leg->key)) {
            continue;
        }
        struct json_view child = json_at(v, i);
        TRY(print_step(s, v, leg, i));
        TRY(search_path(s, &child, path, next));
        s->path.len = len;
    }
    return ERR_OK;
}

/* The escape character: '\\' unless the argument says otherwise. */
static db_err escape_of(struct eval_ctx *ctx, const struct func_call *call,
                        struct vector *const *args, uint32_t row, uint32_t *ret)
{
    *ret = '\\';
    if (call->arg_count < 4 || vec_is_null(args[3], row)) {
        return ERR_OK;
    }
    struct slice s;
    TRY(json__utf8(ctx, args[3]->type, vec_str(args[3], row), &s));
    if (s.len == 0) {
        return ERR_OK;
    }
    if (utf8mb4_decode(s.ptr, s.ptr + s.len, ret) != s.len) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, "ESCAPE");
    }
    return ERR_OK;
}

static db_err search_row(struct search *s, const struct func_call *call, struct vector *const *args,
                         uint32_t row, struct vector *out)
{
    struct eval_ctx *ctx = s->ctx;
    struct json_view doc;
    bool null;
    TRY(escape_of(ctx, call, args, row, &s->escape));
    TRY(json__doc(ctx, call, args, 0, row, &doc, &null));
    if (!null) {
        TRY(json__one_or_all(ctx, call, args, 1, row, &s->all, &null));
    }
    null = null || vec_is_null(args[2], row);
    for (uint32_t i = 4; i < call->arg_count && !null; i++) {
        const struct json_path *path;
        TRY(json__path(ctx, call, args, i, row, true, &path, &null));
    }
    if (null) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    TRY(json__utf8(ctx, args[2]->type, vec_str(args[2], row), &s->pattern));
    s->done = false;
    s->found = json_node_new(ctx->arena, JSON_ARRAY);
    if (s->found == NULL) {
        return ERR_LIMIT;
    }
    static const struct json_path whole = {0};
    for (uint32_t i = 4; i < call->arg_count || i == 4; i++) {
        const struct json_path *path = &whole;
        if (i < call->arg_count) {
            TRY(json__path(ctx, call, args, i, row, true, &path, &null));
        }
        buf_reset(&s->path);
        TRY(buf_append_u8(&s->path, '$'));
        if (!s->done) {
            TRY(search_path(s, &doc, path, 0));
        }
    }
    if (s->found->u.array.count == 0) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    bool single = s->found->u.array.count == 1;
    return json__set(ctx, out, row, single ? s->found->u.array.items[0] : s->found);
}

db_err json_search(EVAL_ARGS)
{
    struct search s = {.ctx = ctx, .collation = collation_by_id(COLL_UTF8MB4_BIN)};
    db_err err = ERR_OK;
    buf_init(&s.path, SEARCH_PATH_MAX);
    for (uint32_t k = 0; k < n && err == ERR_OK; k++) {
        err = search_row(&s, call, args, sel == NULL ? k : sel[k], out);
    }
    buf_fini(&s.path);
    return err;
}
