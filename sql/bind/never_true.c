/* Conditions that are not true of any row, known before a table is read. MYSQL: one such makes the
 * whole WHERE FALSE when it is resolved, before anything is concluded of what it is ANDed with. */
#include "sql/bind/bind_int.h"

/* What a condition may be: a set of these. */
enum { MAY_BE_TRUE = 1, MAY_BE_FALSE = 2, MAY_BE_NULL = 4, MAY_BE_ANY = 7 };

/* The constant that e is, made of a copy of it; e may be changed. *ret = NULL: it is none. */
static db_err constant_of(struct binder *b, struct bexpr *e, const struct bexpr **ret);

static db_err constant_args(struct binder *b, struct bexpr *e, bool *ret_all)
{
    *ret_all = true;
    for (uint32_t i = 0; i < e->arg_count && *ret_all; i++) {
        const struct bexpr *c = NULL;
        TRY(constant_of(b, e->args[i], &c));
        *ret_all = c != NULL;
        e->args[i] = (struct bexpr *)(uintptr_t)c;
    }
    return ERR_OK;
}

static db_err truth(struct binder *b, const struct bexpr *e, unsigned *ret)
{
    struct cast_ctx cast;
    struct diag diag;
    bool yes = false;
    const struct value *v = &e->u.constant;
    if (v->is_null) {
        *ret = MAY_BE_NULL;
        return ERR_OK;
    }
    diag_reset(&diag);
    cast_ctx_init(&cast, b->arena, &diag);
    cast.sql_mode = b->opts->sql_mode;
    db_err err = value_is_true(&cast, &e->type, v, &yes);
    *ret = err != ERR_OK ? MAY_BE_ANY : yes ? MAY_BE_TRUE : MAY_BE_FALSE;
    return err == ERR_NOMEM ? err : ERR_OK;
}

static db_err truth_constant(struct binder *b, const struct bexpr *like, unsigned may,
                             const struct bexpr **ret)
{
    struct value v = value_int(may == MAY_BE_TRUE);
    struct bexpr *c = NULL;
    if (may != MAY_BE_TRUE && may != MAY_BE_FALSE && may != MAY_BE_NULL) {
        return ERR_OK;
    }
    if (may == MAY_BE_NULL) {
        value_set_null(&v, &like->type);
    }
    TRY(bind__const(b, &v, &like->type, like->coercibility, &c));
    *ret = c;
    return ERR_OK;
}

/* Of AND; of OR with TRUE and FALSE exchanged. */
static unsigned both(unsigned x, unsigned y, unsigned yes, unsigned no)
{
    unsigned may = (x | y) & no;
    may |= x & y & yes;
    bool null = ((x & MAY_BE_NULL) != 0 && (y & (yes | MAY_BE_NULL)) != 0) ||
                ((y & MAY_BE_NULL) != 0 && (x & (yes | MAY_BE_NULL)) != 0);
    return may | (null ? MAY_BE_NULL : 0);
}

static unsigned opposite(unsigned may)
{
    return (may & MAY_BE_NULL) | ((may & MAY_BE_TRUE) != 0 ? MAY_BE_FALSE : 0) |
           ((may & MAY_BE_FALSE) != 0 ? MAY_BE_TRUE : 0);
}

/* constant IN (constants) */
static db_err of_list(struct binder *b, const struct bexpr *e, unsigned *ret)
{
    unsigned may = MAY_BE_FALSE;
    for (uint32_t i = 1; i < e->arg_count; i++) {
        struct bexpr *eq = NULL;
        unsigned one = MAY_BE_ANY;
        TRY(bind__op2(b, "op_eq", e->args[0], e->args[i], &eq));
        if (eq->kind == BEXPR_CONST) {
            TRY(truth(b, eq, &one));
        }
        may = both(may, one, MAY_BE_FALSE, MAY_BE_TRUE);
    }
    *ret = e->u.negated ? opposite(may) : may;
    return ERR_OK;
}

static db_err of_case(struct binder *b, struct bexpr *e, const struct bexpr **ret)
{
    for (uint32_t i = 0; i + 1 < e->arg_count; i += 2) {
        unsigned may = MAY_BE_ANY;
        TRY(truth(b, e->args[i], &may));
        if (may == MAY_BE_ANY) {
            return ERR_OK;
        }
        if (may == MAY_BE_TRUE) {
            *ret = e->args[i + 1];
            return ERR_OK;
        }
    }
    if (e->arg_count % 2 != 0) {
        *ret = e->args[e->arg_count - 1];
        return ERR_OK;
    }
    return truth_constant(b, e, MAY_BE_NULL, ret);
}

static db_err of_values(struct binder *b, struct bexpr *e, const struct bexpr **ret)
{
    unsigned may = MAY_BE_ANY;
    struct bexpr *folded = NULL;
    switch ((int)e->kind) {
    case BEXPR_AND:
    case BEXPR_OR: {
        bool and = e->kind == BEXPR_AND;
        may = and? MAY_BE_TRUE : MAY_BE_FALSE;
        for (uint32_t i = 0; i < e->arg_count; i++) {
            unsigned one;
            TRY(truth(b, e->args[i], &one));
            may = both(may, one, and? MAY_BE_TRUE : MAY_BE_FALSE, and? MAY_BE_FALSE : MAY_BE_TRUE);
        }
        return truth_constant(b, e, may, ret);
    }
    case BEXPR_IN_LIST: TRY(of_list(b, e, &may)); return truth_constant(b, e, may, ret);
    case BEXPR_CASE: return of_case(b, e, ret);
    case BEXPR_COALESCE:
        *ret = e->args[0];
        for (uint32_t i = 1; i < e->arg_count && (*ret)->u.constant.is_null; i++) {
            *ret = e->args[i];
        }
        return ERR_OK;
    case BEXPR_FUNC:
    case BEXPR_CAST:
        e->has_param = false;
        e->has_subquery = false;
        bind__inherit(e);
        TRY(bind__fold(b, e, &folded));
        *ret = folded->kind == BEXPR_CONST ? folded : NULL;
        return ERR_OK;
    default: return ERR_OK;
    }
}

static db_err constant_of(struct binder *b, struct bexpr *e, const struct bexpr **ret)
{
    bool all;
    struct bexpr *c = NULL;
    *ret = NULL;
    if (e->kind == BEXPR_CONST) {
        *ret = e;
        return ERR_OK;
    }
    if (e->kind == BEXPR_PARAM) {
        if (e->lifted != NULL) {
            b->stmt->session_bound = true;
            TRY(bind__const(b, e->lifted, &e->type, e->coercibility, &c));
            *ret = c;
        }
        return ERR_OK;
    }
    TRY(constant_args(b, e, &all));
    return all ? of_values(b, e, ret) : ERR_OK;
}

static db_err may_be(struct binder *b, const struct bexpr *e, unsigned *ret)
{
    *ret = MAY_BE_ANY;
    if (e->kind == BEXPR_AND || e->kind == BEXPR_OR) {
        unsigned yes = e->kind == BEXPR_AND ? MAY_BE_TRUE : MAY_BE_FALSE;
        unsigned no = e->kind == BEXPR_AND ? MAY_BE_FALSE : MAY_BE_TRUE;
        unsigned may = yes;
        for (uint32_t i = 0; i < e->arg_count; i++) {
            unsigned one;
            TRY(may_be(b, e->args[i], &one));
            may = both(may, one, yes, no);
        }
        *ret = may;
        return ERR_OK;
    }
    if (e->kind == BEXPR_FUNC && strcmp(e->u.func->def->name, "op_not") == 0) {
        TRY(may_be(b, e->args[0], ret));
        *ret = opposite(*ret);
        return ERR_OK;
    }
    e = bexpr_only(e);
    if (e->has_subquery || !bind__is_known_early(e)) {
        return ERR_OK;
    }
    const struct bexpr *c = NULL;
    struct bexpr *copy = bexpr_clone(b->arena, e);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    TRY(constant_of(b, copy, &c));
    return c == NULL ? ERR_OK : truth(b, c, ret);
}

db_err bind__never_true(struct binder *b, struct bexpr *const *conjuncts, uint32_t count, bool *ret)
{
    *ret = false;
    for (uint32_t i = 0; i < count && !*ret; i++) {
        unsigned may;
        TRY(may_be(b, conjuncts[i], &may));
        *ret = (may & MAY_BE_TRUE) == 0;
    }
    return ERR_OK;
}
