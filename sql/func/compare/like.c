/* LIKE. A constant pattern is looked at once, in bind: one without wildcards under a bytewise
 * collation, and 'abc%' under one, are decided by memcmp; all else goes to the collation. */
#include "sql/func/families.h"

#include "sql/types/sql_mode.h"

enum like_form { LIKE_GENERAL, LIKE_EXACT, LIKE_PREFIX };

struct like_plan {
    const struct collation *collation;
    enum like_form form;
    struct slice literal; /* LIKE_EXACT, LIKE_PREFIX */
    uint32_t escape;
};

static db_err escape_char(struct eval_ctx *ctx, struct diag *diag, const struct charset *cs,
                          struct slice s, uint32_t *ret)
{
    (void)ctx;
    uint32_t cp = 0;
    if (s.len != 0) {
        unsigned len = charset_decode(cs, s.ptr, s.ptr + s.len, &cp);
        if (len != s.len) {
            return my_error(diag, ER_WRONG_ARGUMENTS, "ESCAPE");
        }
    }
    *ret = cp;
    return ERR_OK;
}

static void simplify(struct like_plan *p, struct slice pattern)
{
    if (!collation_is_bytewise(p->collation)) {
        return;
    }
    for (size_t i = 0; i < pattern.len; i++) {
        uint8_t c = pattern.ptr[i];
        if (c == '%' && i + 1 == pattern.len) {
            p->form = LIKE_PREFIX;
            p->literal = slice_of(pattern.ptr, i);
            return;
        }
        if (c == '%' || c == '_' || c == p->escape) {
            return;
        }
    }
    p->form = LIKE_EXACT;
    p->literal = pattern;
}

/* MYSQL: no pattern is looked at for a text that is NULL. */
static bool like_needs(struct eval_ctx *ctx, const struct func_call *call,
                       struct vector *const *args, uint32_t k, uint32_t row)
{
    (void)ctx;
    (void)call;
    return k != 1 || !vec_is_null(args[0], row);
}

db_err compare_bind_like(BIND_ARGS)
{
    uint16_t collation;
    uint8_t coercibility;
    struct like_plan *p = ARENA_NEW(ctx->arena, struct like_plan);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    func__want_texts(ctx, args, call->arg_count);
    TRY(func_agree_collation(ctx, "like", args, 2, &collation, &coercibility));
    call->collation = collation;
    TRY(collation_require_id(collation, ctx->diag, &p->collation));
    p->escape = (ctx->sql_mode & SQL_MODE_NO_BACKSLASH_ESCAPES) != 0 ? 0 : '\\';
    if (call->arg_count == 3 && args[2].constant != NULL && !args[2].constant->is_null &&
        args[2].constant->phys == PHYS_STR) {
        const struct charset *cs = func__charset(&args[2].type);
        TRY(escape_char(NULL, ctx->diag, cs, args[2].constant->str, &p->escape));
    }
    const struct value *pattern = args[1].constant;
    if (pattern != NULL && !pattern->is_null && pattern->phys == PHYS_STR &&
        func__charset(&args[1].type) == p->collation->cs) {
        simplify(p, pattern->str);
    }
    call->data = p;
    call->needs = like_needs;
    struct func_call two = *call;
    two.arg_count = 2;
    func__result(&two, args, func__bool());
    call->type = two.type;
    return ERR_OK;
}

static db_err matches(const struct like_plan *p, struct slice s, struct slice pattern,
                      uint32_t escape, bool *ret)
{
    switch (p->form) {
    case LIKE_EXACT: *ret = slice_eq(s, p->literal); return ERR_OK;
    case LIKE_PREFIX: *ret = slice_starts_with(s, p->literal); return ERR_OK;
    case LIKE_GENERAL: break;
    }
    return collation_like(p->collation, s, pattern, escape, ret);
}

/* NULL only when the text or the pattern is; a NULL escape is the default one. */
db_err compare_like(EVAL_ARGS)
{
    const struct like_plan *p = call->data;
    EACH_ROW(row)
    {
        if (vec_is_null(args[0], row) || vec_is_null(args[1], row)) {
            vec_set_null(out, row);
            continue;
        }
        uint32_t escape = p->escape;
        if (call->arg_count == 3 && call->arg_consts[2] == NULL && !vec_is_null(args[2], row)) {
            const struct charset *cs = func__charset(&call->arg_types[2]);
            TRY(escape_char(ctx, ctx->diag, cs, vec_str(args[2], row), &escape));
        }
        bool match;
        TRY(matches(p, vec_str(args[0], row), vec_str(args[1], row), escape, &match));
        vec_set_i64(out, row, match);
    }
    return ERR_OK;
}
