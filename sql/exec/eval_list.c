/* Several expressions of the same rows, whose warnings come in the order of the rows.
 *
 * Expressions are evaluated one after the other, each for all rows of a chunk. MYSQL: a row after
 * the other. Where nothing is said nobody can tell; where something is, the rows are gone through
 * once more one by one, and what is said then is what counts; and once more as before for the
 * values, as each evaluation takes the place of the one before. The first error is found the same
 * way.
 *
 * Some things are said once only (a constant part's warnings, when it is first evaluated): if the
 * second time does not say as much as the first, the first holds. What may not be evaluated twice,
 * and subqueries, are evaluated plainly. So is everything when a statement has said so much that
 * nobody sees the rest. */
#include "sql/exec/exec_int.h"

enum { SAID_MAX = 4096 }; /* warnings of a statement that are put in order */

struct heard {
    struct heard *next;
    uint64_t row;
    enum cast_level level;
    uint16_t number;
    char *text;
};

static void hear(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    struct listener *l = arg;
    struct heard *h = ARENA_NEW(l->arena, struct heard);
    char *copy = arena_strdup(l->arena, slice_str(text));
    l->count++;
    if (h == NULL || copy == NULL) {
        return; /* as diag_area_add does */
    }
    *h = (struct heard){NULL, l->row, level, number, copy};
    if (l->last == NULL) {
        l->first = h;
    } else {
        l->last->next = h;
    }
    l->last = h;
}

void exec__listen_within(struct exec_ctx *ctx, struct listener *l)
{
    struct cast_ctx *cast = ctx->eval.cast;
    if (cast->warn != NULL) {
        l->warn = cast->warn;
        l->warn_arg = cast->warn_arg;
        cast->warn = hear;
        cast->warn_arg = l;
    }
}

void exec__listen(struct exec_ctx *ctx, struct listener *l)
{
    if (ctx->eval.cast->warn != hear) {
        exec__listen_within(ctx, l);
    }
}

void exec__listen_end(struct exec_ctx *ctx, struct listener *l)
{
    if (l->warn != NULL) {
        ctx->eval.cast->warn = l->warn;
        ctx->eval.cast->warn_arg = l->warn_arg;
    }
}

void exec__listen_tell(struct listener *l, uint64_t last_row)
{
    for (; l->first != NULL && l->first->row <= last_row; l->first = l->first->next) {
        l->warn(l->warn_arg, l->first->level, l->first->number, l->first->text);
    }
    l->last = l->first == NULL ? NULL : l->last;
}

void exec__listen_retell(const struct listener *l)
{
    for (const struct heard *h = l->first; h != NULL; h = h->next) {
        l->warn(l->warn_arg, h->level, h->number, h->text);
    }
}

uint64_t exec__listen_row(const struct listener *l)
{
    return l->first == NULL ? UINT64_MAX : l->first->row;
}

void exec__hush(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    (void)arg;
    (void)level;
    (void)number;
    (void)text;
}

static bool may_repeat(const struct eval_list *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (!exec__may_repeat(l->states[i])) {
            return false;
        }
    }
    return l->count != 0;
}

static db_err plain(struct eval_list *l, struct exec_ctx *ctx, const struct chunk *in)
{
    for (uint32_t i = 0; i < l->count; i++) {
        TRY(expr_eval(ctx, l->states[i], in, l->results[i]));
    }
    return ERR_OK;
}

static db_err row_by_row(struct eval_list *l, struct exec_ctx *ctx, const struct chunk *in)
{
    struct cast_ctx *cast = ctx->eval.cast;
    uint64_t first = cast->row;
    db_err err = ERR_OK;
    for (uint32_t r = 0; r < in->count && err == ERR_OK; r++) {
        uint16_t row = (uint16_t)chunk_row(in, r);
        struct chunk one = *in;
        one.sel = &row;
        one.count = 1;
        cast->row = first + r;
        err = plain(l, ctx, &one);
    }
    cast->row = first;
    return err;
}

/* Again for the values alone. */
static db_err quietly(struct eval_list *l, struct exec_ctx *ctx, const struct chunk *in)
{
    struct cast_ctx *cast = ctx->eval.cast;
    bool strict = cast->strict;
    cast->warn = exec__hush;
    cast->strict = false;
    db_err err = plain(l, ctx, in);
    cast->strict = strict;
    return err;
}

static db_err in_order(struct eval_list *l, struct exec_ctx *ctx, const struct chunk *in,
                       struct listener *io_first, db_err err)
{
    struct listener second = {.arena = ctx->eval.arena};
    struct diag found = *ctx->diag;
    if (err == ERR_SQL) {
        diag_reset(ctx->diag);
    }
    ctx->eval.cast->warn_arg = &second;
    ctx->once_again = ctx->once_round++; /* what is told of once has been heard */
    db_err again = row_by_row(l, ctx, in);
    ctx->once_again = 0;
    if (again != err && again != ERR_SQL && again != ERR_OK) {
        return again;
    }
    if (err != ERR_SQL || again != ERR_SQL) {
        *ctx->diag = found;
    }
    if (err == ERR_SQL && again != ERR_SQL) {
        return err;
    }
    if (err == ERR_SQL || second.count == io_first->count) {
        io_first->first = second.first;
    }
    return err != ERR_OK ? err : quietly(l, ctx, in);
}

db_err exec__eval_list(struct eval_list *l, struct exec_ctx *ctx, const struct chunk *in)
{
    struct cast_ctx *cast = ctx->eval.cast;
    if (!l->known) {
        l->known = true;
        l->ordered = may_repeat(l);
    }
    if (!l->ordered || in->count < 2 || cast->warn == NULL || cast->warn == hear ||
        cast->diag != ctx->diag) {
        return plain(l, ctx, in);
    }
    struct listener heard = {.arena = ctx->eval.arena};
    exec__listen(ctx, &heard);
    ctx->once_round++;
    db_err err = plain(l, ctx, in);
    if (UNLIKELY((err == ERR_OK && heard.count != 0) || err == ERR_SQL)) {
        l->said += heard.count;
        l->ordered = l->said < SAID_MAX;
        err = in_order(l, ctx, in, &heard, err);
    }
    exec__listen_end(ctx, &heard);
    exec__listen_tell(&heard, 0);
    return err;
}
