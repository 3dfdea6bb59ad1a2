/* What the session knows. Without a session (env NULL) these functions cannot be evaluated. */
#include "sql/func/families.h"

#include <stdio.h>
#include <unicode/uversion.h>

static db_err need_env(struct eval_ctx *ctx)
{
    return ctx->env != NULL ? ERR_OK
                            : diag_set(ctx->diag, ERR_INVALID, "internal: no session to ask");
}

db_err info_bind_text(BIND_ARGS)
{
    static const uint32_t chars[] = {60, 288, 288, 1 << 24, 64, 4, 62};
    (void)args;
    bool version = call->variant == INFO_VERSION && ctx->version_chars != 0;
    struct sql_type t =
        func__text(version ? ctx->version_chars : chars[call->variant], COLL_UTF8MB3_GENERAL_CI);
    if (call->variant == INFO_VERSION || call->variant == INFO_ICU ||
        call->variant == INFO_VERSION_UPDATE) {
        func__result_not_null(call, t);
    } else {
        func__result_null(call, t);
    }
    call->collation = COLL_UTF8MB3_GENERAL_CI;
    call->coercibility = 3;
    return ERR_OK;
}

/* MYSQL: behind the three numbers of the version stands that of an update of it, 0. */
static db_err version_with_update(struct eval_ctx *ctx, struct slice version, struct slice *ret)
{
    size_t n = 0;
    while (n < version.len &&
           ((version.ptr[n] >= '0' && version.ptr[n] <= '9') || version.ptr[n] == '.')) {
        n++;
    }
    char *text = arena_printf(ctx->arena, "%.*s.0%.*s", (int)n, (const char *)version.ptr,
                              (int)(version.len - n), (const char *)version.ptr + n);
    *ret = text == NULL ? SLICE_EMPTY : slice_str(text);
    return text == NULL ? ERR_NOMEM : ERR_OK;
}

db_err info_text(EVAL_ARGS)
{
    (void)args;
    TRY(need_env(ctx));
    const struct eval_env *e = ctx->env;
    char icu[U_MAX_VERSION_STRING_LENGTH];
    struct slice s = SLICE_EMPTY;
    switch (call->variant) {
    case INFO_VERSION: s = e->version; break;
    case INFO_USER: s = e->user; break;
    case INFO_CURRENT_USER: s = e->current_user; break;
    case INFO_CURRENT_ROLE:
        s = e->current_role.len == 0 ? SLICE_LIT("NONE") : e->current_role;
        break;
    case INFO_SCHEMA: s = e->current_schema; break;
    case INFO_VERSION_UPDATE: TRY(version_with_update(ctx, e->version, &s)); break;
    default: {
        UVersionInfo v;
        u_getVersion(v);
        int len = snprintf(icu, sizeof(icu), "%d.%d", v[0], v[1]);
        s = slice_of(icu, (size_t)len);
        break;
    }
    }
    EACH_ROW(row)
    {
        if (s.ptr == NULL) {
            vec_set_null(out, row);
        } else {
            TRY(vec_set_str(out, row, s));
        }
    }
    return ERR_OK;
}

db_err info_bind_number(BIND_ARGS)
{
    (void)ctx;
    if (call->arg_count == 1) {
        func__want_int(&args[0]);
        func__result(call, args, func__ubigint(21));
        return ERR_OK;
    }
    bool uns = call->variant == INFO_CONNECTION || call->variant == INFO_LAST_INSERT_ID;
    call->steady = true;
    func__result_not_null(call, uns ? func__ubigint(21) : func__bigint(21));
    return ERR_OK;
}

db_err info_number(EVAL_ARGS)
{
    TRY(need_env(ctx));
    struct eval_env *e = ctx->env;
    EACH_ROW(row)
    {
        if (call->arg_count == 1) { /* LAST_INSERT_ID(n) remembers n */
            if (vec_is_null(args[0], row)) {
                vec_set_null(out, row);
                e->ops->set_last_insert_id(e, 0);
                continue;
            }
            e->ops->set_last_insert_id(e, vec_u64(args[0], row));
            vec_set_i64(out, row, vec_i64(args[0], row));
            continue;
        }
        switch (call->variant) {
        case INFO_CONNECTION: vec_set_i64(out, row, (int64_t)e->connection_id); break;
        case INFO_LAST_INSERT_ID: vec_set_i64(out, row, e->last_insert_id); break;
        case INFO_ROW_COUNT: vec_set_i64(out, row, e->row_count); break;
        default: vec_set_i64(out, row, e->found_rows); break;
        }
    }
    return ERR_OK;
}

db_err info_bind_sleep(BIND_ARGS)
{
    (void)ctx;
    func__want_double(&args[0]);
    func__result_not_null(call, func__bigint(21));
    return ERR_OK;
}

/* 0 when it slept, 1 when it was interrupted: then the statement ends when it looks at that. */
db_err info_sleep(EVAL_ARGS)
{
    (void)call;
    TRY(need_env(ctx));
    EACH_ROW(row)
    {
        double seconds = vec_is_null(args[0], row) ? -1 : vec_double(args[0], row);
        if (seconds < 0) {
            return my_error(ctx->diag, ER_WRONG_ARGUMENTS, "sleep."); /* MYSQL: its own full stop */
        }
        const double seconds_max = 1e9;
        seconds = seconds > seconds_max ? seconds_max : seconds;
        bool cut = ctx->env->cut;
        TRY(cut ? ERR_OK
                : ctx->env->ops->sleep(ctx->env, (uint64_t)(seconds * US_PER_SECOND), &cut));
        ctx->env->cut = cut;
        vec_set_i64(out, row, cut);
    }
    return ERR_OK;
}

db_err info_bind_name_const(BIND_ARGS)
{
    if (args[0].constant == NULL || args[1].constant == NULL) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, "NAME_CONST");
    }
    if (args[0].constant->is_null) {
        return my_error(ctx->diag, ER_RESERVED_SYNTAX, "NAME_CONST");
    }
    func__result_null(call, args[1].type);
    call->coercibility = args[1].coercibility;
    return ERR_OK;
}

static void copy_rows(const struct vector *v, const uint16_t *sel, uint32_t n, struct vector *out)
{
    size_t size = phys_size_table[out->phys];
    EACH_ROW(row)
    {
        if (vec_is_null(v, row)) {
            vec_set_null(out, row);
            continue;
        }
        memcpy((uint8_t *)out->data + row * size,
               (const uint8_t *)v->data + (row & v->index_mask) * size, size);
    }
}

db_err info_name_const(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    copy_rows(args[1], sel, n, out);
    return ERR_OK;
}

/* ANY_VALUE outside of an aggregation is its argument. */
db_err info_bind_same(BIND_ARGS)
{
    (void)ctx;
    call->type = args[0].type;
    call->type.flags &= (uint8_t)~TYPE_F_BOOL;
    func_agreed_sign(&call->type);
    if (call->type.id == TYPE_VECTOR) { /* MYSQL: of no certain length */
        call->type.length = UINT32_MAX;
    }
    call->coercibility = args[0].coercibility;
    if (call->type.id == TYPE_ENUM || call->type.id == TYPE_SET) {
        call->type = type_char(TYPE_CHAR, call->type.length, call->type.collation);
        func__want(&args[0], call->type);
    }
    return ERR_OK;
}

db_err info_same(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    copy_rows(args[0], sel, n, out);
    return ERR_OK;
}

/* ---- user locks ---- */

db_err info_bind_lock(BIND_ARGS)
{
    if (call->arg_count >= 1) {
        func__want_text(ctx, &args[0]);
    }
    if (call->arg_count == 2) {
        func__want_double(&args[1]);
    }
    if (call->variant == LOCK_RELEASE_ALL) {
        func__result_not_null(call, func__ubigint(21));
    } else if (call->variant == LOCK_IS_USED) {
        func__result_null(call, func__ubigint(21));
    } else {
        func__result_null(call, func__bool());
    }
    return ERR_OK;
}

static db_err lock_one(struct eval_ctx *ctx, const struct func_call *call, struct slice name,
                       double timeout, int64_t *ret, bool *ret_null)
{
    enum { NAME_CHARS_MAX = 64 };
    struct eval_env *e = ctx->env;
    const struct charset *cs = func__charset(&call->arg_types[0]);
    if (charset_char_count(cs, name) > NAME_CHARS_MAX) {
        return my_error(ctx->diag, ER_USER_LOCK_OVERLONG_NAME, arena_strdup(ctx->arena, name),
                        NAME_CHARS_MAX);
    }
    if (!charset_valid(collation_by_id(COLL_UTF8MB4_BIN)->cs, name)) {
        char bytes[CAST_BYTES_TEXT_MAX];
        cast_bytes_text(name, bytes);
        return my_error(ctx->diag, ER_USER_LOCK_WRONG_NAME, bytes);
    }
    if (name.len == 0) {
        return my_error(ctx->diag, ER_USER_LOCK_WRONG_NAME,
                        name.ptr == NULL ? "NULL" : arena_strdup(ctx->arena, name));
    }
    int r = 0;
    int64_t holder = -1;
    switch (call->variant) {
    case LOCK_GET: TRY(e->ops->get_lock(e, name, timeout, ctx->diag, &r)); break;
    case LOCK_RELEASE: TRY(e->ops->release_lock(e, name, ctx->diag, &r)); break;
    default:
        TRY(e->ops->lock_holder(e, name, &holder));
        *ret_null = call->variant == LOCK_IS_USED && holder < 0;
        *ret = call->variant == LOCK_IS_USED ? holder : holder < 0;
        return ERR_OK;
    }
    *ret_null = r < 0;
    *ret = r;
    return ERR_OK;
}

db_err info_lock(EVAL_ARGS)
{
    TRY(need_env(ctx));
    EACH_ROW(row)
    {
        int64_t v = 0;
        bool null = false;
        if (call->variant == LOCK_RELEASE_ALL) {
            TRY(ctx->env->ops->release_all_locks(ctx->env, &v));
        } else {
            struct slice name = vec_is_null(args[0], row) ? SLICE_EMPTY : vec_str(args[0], row);
            double timeout =
                call->arg_count == 2 && !vec_is_null(args[1], row) ? vec_double(args[1], row) : -1;
            TRY(lock_one(ctx, call, name, timeout, &v, &null));
        }
        vec_set_i64(out, row, v);
        if (null) {
            vec_set_null(out, row);
        }
    }
    return ERR_OK;
}
