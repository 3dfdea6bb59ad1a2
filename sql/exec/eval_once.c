/* How often what is the same for all rows is told of.
 *
 * Here it is computed once for all rows of a chunk. MYSQL: for each of them, and what it says is
 * said with each. But what a comparison makes a number of (its constant text), and in conditions
 * the functions of constants, is computed once in a statement (expr_state.once), when the first row
 * asks for it. A list of expressions that is gone through once more for the order of what it says
 * (eval_list.c) hears that again, at its place. */
#include "sql/exec/exec_int.h"

struct once_value {
    struct vector out;
    uint32_t round; /* of a list, in which it was computed (exec_ctx.once_round) */
};

void exec__mark_compared(struct expr_state *s)
{
    const struct bexpr *e = s->e;
    if (e->kind != BEXPR_FUNC || e->u.func->among ||
        (e->u.func->def->flags & (FUNC_COMPARISON | FUNC_TRUTHS)) == 0) {
        return;
    }
    for (uint32_t i = 0; i < s->arg_count; i++) {
        const struct bexpr *a = s->args[i]->e;
        s->args[i]->once = s->args[i]->fixed && a->kind == BEXPR_CAST && !a->u.cast.explicit_cast &&
                           type_is_string(&a->args[0]->type);
    }
}

/* The value that IN, BETWEEN or CASE looks for, as one of their comparisons makes it of text; or
 * NULL. */
static struct expr_state *looked_for(const struct expr_state *s)
{
    const struct bexpr *e = s->e;
    if (e->kind != BEXPR_FUNC || !e->u.func->among || s->arg_count != 2) {
        return NULL;
    }
    const struct bexpr *x = s->args[0]->e;
    bool made = x->kind == BEXPR_CAST && !x->u.cast.explicit_cast && x->u.cast.early == NULL &&
                type_is_string(&x->args[0]->type);
    return made ? s->args[0] : NULL;
}

static void mark_again(struct expr_state **list, uint32_t count, uint32_t step)
{
    for (uint32_t i = step; i < count; i += step) {
        struct expr_state *again = looked_for(list[i]);
        for (uint32_t k = 0; k < i && again != NULL && !again->silent; k += step) {
            const struct expr_state *x = looked_for(list[k]);
            again->silent = x != NULL && x->e->type.id == again->e->type.id &&
                            bexpr_equal(x->e->args[0], again->e->args[0]);
        }
    }
}

void exec__mark_again(struct expr_state *s)
{
    const struct bexpr *e = s->e;
    bool both = e->kind == BEXPR_FUNC && s->arg_count == 2 && looked_for(s->args[0]) != NULL;
    if (e->kind == BEXPR_OR || e->kind == BEXPR_AND || e->kind == BEXPR_CASE || both) {
        mark_again(s->args, s->arg_count, e->kind == BEXPR_CASE ? 2 : 1);
    }
}

/* MYSQL: x IN (SELECT 5) is x = 5. */
static bool is_equality(const struct bexpr *e)
{
    const struct plan *plan = e->u.subquery.sub->plan;
    const struct plan_node *n = plan == NULL ? NULL : plan->root;
    while (n != NULL && n->kind == PLAN_PROJECT) {
        n = n->children[0];
    }
    return e->kind == BEXPR_SUBQUERY_IN && n != NULL && n->kind == PLAN_DUAL;
}

void exec__mark_silent(struct expr_state *s, bool silent)
{
    enum bexpr_kind kind = s->e->kind;
    if (kind != BEXPR_SUBQUERY_IN && kind != BEXPR_SUBQUERY_QUANTIFIED) {
        return;
    }
    silent = silent && !is_equality(s->e);
    for (uint32_t i = 0; i < s->arg_count; i++) {
        const struct bexpr *a = s->args[i]->e;
        s->args[i]->silent = silent && a->kind == BEXPR_CAST && !a->u.cast.explicit_cast &&
                             type_is_numeric(&a->type) && type_is_string(&a->args[0]->type);
    }
}

static void mark_functions(struct expr_state *s)
{
    const struct bexpr *e = s->e;
    if (s->once || s->arg_count == 0) {
        return;
    }
    bool computed = e->kind == BEXPR_FUNC || (e->kind == BEXPR_CAST && e->u.cast.explicit_cast);
    if (s->fixed && computed) {
        s->once = true;
        return;
    }
    for (uint32_t i = 0; i < s->arg_count; i++) {
        mark_functions(s->args[i]);
    }
}

db_err exec__prepare_conditions(struct exec_ctx *ctx, struct bexpr *const *list, uint32_t count,
                                struct expr_state ***ret)
{
    TRY(exec__prepare_list(ctx, list, count, ret));
    exec__share_room(*ret, count);
    mark_again(*ret, count, 1);
    for (uint32_t i = 0; i < count; i++) {
        mark_functions((*ret)[i]);
        if (list[i]->kind == BEXPR_SUBQUERY_QUANTIFIED ||
            (list[i]->kind == BEXPR_SUBQUERY_IN && !list[i]->u.subquery.negated)) {
            exec__mark_silent((*ret)[i], false);
        }
    }
    return ERR_OK;
}

static db_err keep(struct exec_ctx *ctx, const struct expr_state *s, const struct vector *from,
                   uint32_t row, struct once_value **io)
{
    struct once_value *kept = *io;
    if (kept == NULL) {
        enum phys_kind phys = type_phys(&s->e->type);
        kept = ARENA_NEW(ctx->arena, struct once_value);
        if (kept == NULL) {
            return ERR_LIMIT;
        }
        kept->out.data = arena_alloc_aligned(ctx->arena, phys_size_table[phys], 16);
        if (kept->out.data == NULL) {
            return ERR_LIMIT;
        }
        kept->out.type = &s->e->type;
        kept->out.phys = (uint8_t)phys;
        kept->out.capacity = 1;
        kept->out.arena = ctx->arena;
    }
    struct value v;
    vector_get(from, row, &v);
    vector_reset(&kept->out);
    TRY(vector_set(&kept->out, 0, &v));
    kept->out.index_mask = 0;
    *io = kept;
    return ERR_OK;
}

db_err exec__eval_once(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                       struct vector **ret)
{
    struct cast_ctx *cast = ctx->eval.cast;
    struct once_value *kept = s->once_value;
    if (kept == NULL || (ctx->once_again != 0 && kept->round == ctx->once_again)) {
        uint16_t row = rows->n == 0 ? 0 : (uint16_t)eval_row(rows, 0);
        struct eval_rows one = {.in = rows->in, .sel = &row, .n = 1};
        struct vector *v;
        s->once = false;
        db_err err = exec__eval(ctx, s, &one, &v);
        s->once = true;
        TRY(err);
        if (cast->refused) {
            *ret = v;
            return ERR_OK;
        }
        TRY(keep(ctx, s, v, row, &s->once_value));
        kept = s->once_value;
        kept->round = ctx->once_round;
    }
    *ret = &kept->out;
    return ERR_OK;
}

db_err exec__fixed_truth(struct exec_ctx *ctx, struct expr_state *s, const struct vector *v,
                         bool *ret)
{
    if (!s->known || (ctx->once_again != 0 && s->known_round == ctx->once_again)) {
        TRY(exec__truth(ctx, v, 0, &s->truth));
        s->known = !ctx->eval.cast->refused;
        s->known_round = ctx->once_round;
    }
    *ret = s->truth;
    return ERR_OK;
}

void exec__say_per_row(struct exec_ctx *ctx, struct listener *said, uint32_t rows)
{
    exec__listen_end(ctx, said);
    if (said->first == NULL) {
        return;
    }
    for (uint32_t i = 0; i < rows; i++) {
        exec__listen_retell(said);
    }
}
