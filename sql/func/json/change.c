/* What gives a changed document: JSON_SET and relatives, JSON_REMOVE, merging.
 *
 * The containers on the way of a path are expanded, all else stays as stored bytes. A leg [0] or
 * [last] on what is no array stands for the value itself, as in reading. */
#include "sql/func/families.h"

db_err json_bind_changes(BIND_ARGS)
{
    for (uint32_t i = 1; i < call->arg_count; i += 2) {
        func__want_text(ctx, &args[i]);
    }
    json__result(call);
    return ERR_OK;
}

db_err json_bind_docs(BIND_ARGS)
{
    (void)ctx;
    (void)args;
    json__result(call);
    return ERR_OK;
}

/* The slot that holds the value of the first `count` legs; NULL: there is none. */
static db_err follow(struct arena *arena, struct json_node **root, const struct json_path *path,
                     uint32_t count, struct json_node ***ret)
{
    struct json_node **slot = root;
    *ret = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct json_leg *leg = &path->legs[i];
        struct json_node *n = *slot;
        uint32_t at;
        if (leg->kind == JSON_LEG_KEY) {
            if (n->type != JSON_OBJECT) {
                return ERR_OK;
            }
            TRY(json_expand(arena, n));
            if (!json_find_member(n, leg->key, &at)) {
                return ERR_OK;
            }
            slot = &n->u.object.members[at].value;
        } else if (n->type == JSON_ARRAY) {
            TRY(json_expand(arena, n));
            if (!json_leg_index(leg, n->u.array.count, &at)) {
                return ERR_OK;
            }
            slot = &n->u.array.items[at];
        } else if (!json_leg_index(leg, 1, &at)) {
            return ERR_OK;
        }
    }
    *ret = slot;
    return ERR_OK;
}

/* Nothing stands at the path: adds the value where its last leg says, if its parent is there. */
static db_err add_at(struct arena *arena, struct json_node **root, const struct json_path *path,
                     struct json_node *value)
{
    const struct json_leg *leg = &path->legs[path->count - 1];
    struct json_node **parent;
    uint32_t at;
    TRY(follow(arena, root, path, path->count - 1, &parent));
    if (parent == NULL) {
        return ERR_OK;
    }
    if (leg->kind == JSON_LEG_KEY) {
        if ((*parent)->type != JSON_OBJECT) {
            return ERR_OK;
        }
        TRY(json_expand(arena, *parent));
        return json_set_member(arena, *parent, leg->key, value);
    }
    struct json_node *array = json_wrap(arena, *parent);
    if (array == NULL) {
        return ERR_LIMIT;
    }
    TRY(json_expand(arena, array));
    (void)json_leg_index(leg, array->u.array.count, &at);
    *parent = array;
    return json_insert_item(arena, array, at, value);
}

static db_err append_at(struct arena *arena, struct json_node **slot, struct json_node *value)
{
    struct json_node *array = json_wrap(arena, *slot);
    if (array == NULL) {
        return ERR_LIMIT;
    }
    TRY(json_expand(arena, array));
    *slot = array;
    return json_append_item(arena, array, value);
}

static db_err array_insert(struct eval_ctx *ctx, struct json_node **root,
                           const struct json_path *path, struct json_node *value)
{
    struct json_node **parent;
    uint32_t at;
    if (path->count == 0 || path->legs[path->count - 1].kind != JSON_LEG_INDEX) {
        return my_error(ctx->diag, ER_INVALID_JSON_PATH_ARRAY_CELL);
    }
    TRY(follow(ctx->arena, root, path, path->count - 1, &parent));
    if (parent == NULL || (*parent)->type != JSON_ARRAY) {
        return ERR_OK;
    }
    TRY(json_expand(ctx->arena, *parent));
    (void)json_leg_index(&path->legs[path->count - 1], (*parent)->u.array.count, &at);
    return json_insert_item(ctx->arena, *parent, at, value);
}

static db_err change(struct eval_ctx *ctx, enum json_change kind, struct json_node **root,
                     const struct json_path *path, struct json_node *value)
{
    struct json_node **slot;
    if (kind == JSON_CHANGE_ARRAY_INSERT) {
        return array_insert(ctx, root, path, value);
    }
    TRY(follow(ctx->arena, root, path, path->count, &slot));
    if (kind == JSON_CHANGE_APPEND) {
        return slot == NULL ? ERR_OK : append_at(ctx->arena, slot, value);
    }
    if (slot != NULL) {
        *slot = kind == JSON_CHANGE_INSERT ? *slot : value;
        return ERR_OK;
    }
    return kind == JSON_CHANGE_REPLACE ? ERR_OK : add_at(ctx->arena, root, path, value);
}

/* ---- in place ---- */

/* What `data` of a call points to when its first argument is the column. */
static const char g_of_column = 0;

bool func_json_may_in_place(const struct func_call *call)
{
    func_vec_fn eval = call->def->eval;
    bool set = eval == json_set &&
               (call->variant == JSON_CHANGE_SET || call->variant == JSON_CHANGE_REPLACE);
    return set || eval == json_remove;
}

bool func_json_in_place(struct func_call *call, const struct func_call *inner)
{
    if (!func_json_may_in_place(call)) {
        return false;
    }
    call->data = inner == NULL ? (const void *)&g_of_column : inner;
    return true;
}

bool json__changes_in_place(const struct func_call *call)
{
    return call->data != NULL;
}

/* One change of the row's document. *ret_null: the path is NULL. */
static db_err change_in_place(struct eval_ctx *ctx, const struct func_call *call,
                              struct vector *const *args, uint32_t i, uint32_t row,
                              struct slice document, bool *ret_null, enum json_in_place *ret)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)document.ptr;
    const struct json_path *path;
    struct json_node *value;
    struct slice written;
    TRY(json__path(ctx, call, args, i, row, false, &path, ret_null));
    if (*ret_null) {
        return ERR_OK;
    }
    if (call->def->eval == json_remove) {
        *ret =
            path->count == 0 ? JSON_NOT_IN_PLACE : json_remove_in_place(bytes, document.len, path);
        return ERR_OK;
    }
    TRY(json__value(ctx, call, args, i + 1, row, &value));
    TRY(json_write_arena(value, ctx->arena, ctx->diag, &written));
    *ret =
        json_set_in_place(bytes, document.len, path, written, call->variant == JSON_CHANGE_REPLACE);
    return ERR_OK;
}

/* *ret_done: the row has its result. All of the statement's changes to a column are made in place,
 * or none: what an inner call has written anew stays so. */
static db_err row_in_place(struct eval_ctx *ctx, const struct func_call *call,
                           struct vector *const *args, uint32_t row, struct vector *out,
                           bool *ret_done)
{
    uint64_t *rewritten;
    uint64_t *inner;
    uint32_t step = call->def->eval == json_remove ? 1 : 2;
    struct slice document;
    bool changed = false;
    *ret_done = false;
    TRY(json__rewritten(ctx, call, &rewritten));
    rewritten[row >> 6] |= 1ull << (row & 63);
    if (vec_is_null(args[0], row)) {
        return ERR_OK;
    }
    if (call->data != &g_of_column) {
        TRY(json__rewritten(ctx, call->data, &inner));
        if ((inner[row >> 6] >> (row & 63) & 1) != 0) {
            return ERR_OK;
        }
    }
    TRY(arena_copy(ctx->arena, vec_str(args[0], row), &document));
    for (uint32_t i = 1; i < call->arg_count; i += step) {
        enum json_in_place how = JSON_NOT_IN_PLACE;
        bool null;
        TRY(change_in_place(ctx, call, args, i, row, document, &null, &how));
        if (null || how == JSON_NOT_IN_PLACE) {
            return ERR_OK;
        }
        changed = changed || how == JSON_IN_PLACE;
    }
    rewritten[row >> 6] &= ~(1ull << (row & 63));
    vec_set_str_ref(out, row, changed ? document : vec_str(args[0], row));
    *ret_done = true;
    return ERR_OK;
}

static db_err set_row(struct eval_ctx *ctx, const struct func_call *call,
                      struct vector *const *args, uint32_t row, struct vector *out)
{
    struct json_node *root = NULL;
    bool null;
    TRY(json__doc_node(ctx, call, args, 0, row, &root, &null));
    for (uint32_t i = 1; i < call->arg_count && !null; i += 2) {
        const struct json_path *path;
        struct json_node *value;
        TRY(json__path(ctx, call, args, i, row, false, &path, &null));
        if (!null) {
            TRY(json__value(ctx, call, args, i + 1, row, &value));
            TRY(change(ctx, (enum json_change)call->variant, &root, path, value));
        }
    }
    if (null) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    return json__set(ctx, out, row, root);
}

db_err json_set(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        bool done = false;
        if (json__changes_in_place(call)) {
            TRY(row_in_place(ctx, call, args, row, out, &done));
        }
        if (!done) {
            TRY(set_row(ctx, call, args, row, out));
        }
    }
    return ERR_OK;
}

static db_err remove_at(struct eval_ctx *ctx, struct json_node **root, const struct json_path *path)
{
    struct json_node **parent = NULL;
    const struct json_leg *leg = NULL;
    uint32_t count = path->count;
    uint32_t at;
    /* [0] of what is no array is the value itself: then the leg before says what goes. */
    for (; count > 0; count--) {
        leg = &path->legs[count - 1];
        TRY(follow(ctx->arena, root, path, count - 1, &parent));
        if (parent == NULL || leg->kind == JSON_LEG_KEY || (*parent)->type == JSON_ARRAY ||
            !json_leg_index(leg, 1, &at)) {
            break;
        }
    }
    if (parent == NULL || count == 0) {
        return ERR_OK;
    }
    struct json_node *n = *parent;
    TRY(json_expand(ctx->arena, n));
    if (leg->kind == JSON_LEG_KEY) {
        if (n->type == JSON_OBJECT && json_find_member(n, leg->key, &at)) {
            json_remove_member(n, at);
        }
    } else if (n->type == JSON_ARRAY && json_leg_index(leg, n->u.array.count, &at)) {
        json_remove_item(n, at);
    }
    return ERR_OK;
}

db_err json_remove(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct json_node *root = NULL;
        bool vacuous = false;
        bool null;
        bool done = false;
        if (json__changes_in_place(call)) {
            TRY(row_in_place(ctx, call, args, row, out, &done));
        }
        if (done) {
            continue;
        }
        TRY(json__doc_node(ctx, call, args, 0, row, &root, &null));
        for (uint32_t i = 1; i < call->arg_count && !null; i++) {
            const struct json_path *path;
            TRY(json__path(ctx, call, args, i, row, false, &path, &null));
            vacuous = vacuous || (!null && path->count == 0);
            if (!null && !vacuous) {
                TRY(remove_at(ctx, &root, path));
            }
        }
        if (vacuous) {
            return my_error(ctx->diag, ER_JSON_VACUOUS_PATH);
        }
        if (null) {
            vec_set_null(out, row);
        } else {
            TRY(json__set(ctx, out, row, root));
        }
    }
    return ERR_OK;
}

db_err json_merge(EVAL_ARGS)
{
    if (call->variant == 1) {
        func__warn(ctx, ER_WARN_DEPRECATED_SYNTAX, "JSON_MERGE",
                   "JSON_MERGE_PRESERVE/JSON_MERGE_PATCH");
    }
    EACH_ROW(row)
    {
        struct json_node *root = NULL;
        bool null = false;
        for (uint32_t i = 0; i < call->arg_count && !null; i++) {
            struct json_node *next = NULL;
            TRY(json__doc_node(ctx, call, args, i, row, &next, &null));
            if (!null) {
                if (i == 0) {
                    root = next;
                } else {
                    TRY(json_merge_preserve(ctx->arena, root, next, &root));
                }
            }
        }
        if (null) {
            vec_set_null(out, row);
        } else {
            TRY(json__set(ctx, out, row, root));
        }
    }
    return ERR_OK;
}

/* A NULL argument makes the result NULL until an argument that is no object replaces it all. */
db_err json_patch(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct json_node *root = NULL;
        for (uint32_t i = 0; i < call->arg_count; i++) {
            struct json_node *next = NULL;
            bool null;
            TRY(json__doc_node(ctx, call, args, i, row, &next, &null));
            if (null) {
                root = NULL;
            } else if (i == 0 || next->type != JSON_OBJECT) {
                root = next;
            } else if (root != NULL) {
                TRY(json_merge_patch(ctx->arena, root, next, &root));
            }
        }
        if (root == NULL) {
            vec_set_null(out, row);
        } else {
            TRY(json__set(ctx, out, row, root));
        }
    }
    return ERR_OK;
}
