/* Rows of a chunk that are evaluated for somebody who may not want all of them.
 *
 * MYSQL: below a LIMIT a row is looked at when it is asked for, so that nobody hears of what is
 * wrong with the rows behind. Here the whole chunk is evaluated, as ever, and nobody can tell so
 * long as nothing is said. Else the rows are gone through one by one to learn which of them say
 * something; the chunk then goes up in pieces, each of which ends before such a row. Its parent
 * takes what it needs of a piece before it asks for the next. */
#include "sql/exec/exec_int.h"

enum { SPLIT_MAX = 4096 }; /* warnings of an operator for which chunks are cut into pieces */

void exec__some_begin(struct some_rows *s, const struct chunk *in)
{
    s->in = *in;
    s->at = 0;
    s->split = false;
}

bool exec__evaluated_once(struct expr_state *const *states, uint32_t count)
{
    bool once = false;
    for (uint32_t i = 0; i < count; i++) {
        once = once || states[i]->e->is_volatile || states[i]->assigns;
    }
    return once;
}

/* The rows from one place to before another. */
static struct chunk rows_of(const struct some_rows *s, uint32_t from, uint32_t to)
{
    struct chunk c = s->in;
    c.sel = s->sel + from;
    c.count = to - from;
    return c;
}

static db_err number_rows(struct some_rows *s, struct exec_ctx *ctx)
{
    s->sel = ARENA_ARRAY(ctx->eval.arena, uint16_t, s->in.count);
    if (s->sel == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < s->in.count; i++) {
        s->sel[i] = (uint16_t)chunk_row(&s->in, i);
    }
    return ERR_OK;
}

/* For the values alone: what is said has been heard. */
static db_err quietly(struct some_rows *s, struct exec_ctx *ctx, const struct chunk *rows)
{
    struct cast_ctx *cast = ctx->eval.cast;
    struct cast_ctx before = *cast;
    cast->warn = exec__hush;
    cast->strict = false;
    db_err err = s->eval(s->arg, ctx, rows);
    cast->warn = before.warn;
    cast->strict = before.strict;
    return err;
}

/* One row after the other, up to one that fails: the error of that one. */
static db_err ask_rows(struct some_rows *s, struct exec_ctx *ctx)
{
    db_err err = ERR_OK;
    s->said = (struct listener){.arena = ctx->eval.arena};
    s->failed = s->in.count;
    exec__listen_within(ctx, &s->said);
    for (uint32_t i = 0; i < s->in.count && err == ERR_OK; i++) {
        struct chunk one = rows_of(s, i, i + 1);
        s->said.row = i;
        err = s->eval(s->arg, ctx, &one);
        s->failed = err == ERR_OK ? s->failed : i;
    }
    exec__listen_end(ctx, &s->said);
    return err;
}

/* What to do when the rows together have said something, or failed. Some things are said once only
 * (eval_list.c): where the rows alone do not say as much, the first time counts. */
static db_err split(struct some_rows *s, struct exec_ctx *ctx, struct listener *io_first,
                    db_err first_err)
{
    struct diag first = *ctx->diag;
    TRY(number_rows(s, ctx));
    if (first_err != ERR_OK) {
        diag_reset(ctx->diag);
    }
    db_err err = ask_rows(s, ctx);
    if (err != ERR_OK && err != ERR_SQL) {
        return err;
    }
    if (err == first_err && (err == ERR_SQL || s->said.count == io_first->count)) {
        s->split = true;
        s->failure = *ctx->diag;
        if (err == ERR_SQL) {
            diag_reset(ctx->diag);
        }
        return ERR_OK;
    }
    *ctx->diag = first;
    exec__listen_tell(io_first, 0);
    return first_err != ERR_OK ? first_err : quietly(s, ctx, &s->in);
}

/* The whole chunk for a start. */
static db_err look(struct some_rows *s, struct exec_ctx *ctx)
{
    struct cast_ctx *cast = ctx->eval.cast;
    if (s->in.count > 1 && s->one_by_one) {
        s->split = true;
        return number_rows(s, ctx);
    }
    if (s->in.count < 2 || cast->warn == NULL || cast->diag != ctx->diag) {
        return s->eval(s->arg, ctx, &s->in);
    }
    struct listener heard = {.arena = ctx->eval.arena};
    exec__listen_within(ctx, &heard);
    db_err err = s->eval(s->arg, ctx, &s->in);
    exec__listen_end(ctx, &heard);
    s->said_count += heard.count;
    if (err == ERR_SQL || (err == ERR_OK && heard.count != 0 && s->said_count < SPLIT_MAX)) {
        return split(s, ctx, &heard, err);
    }
    exec__listen_tell(&heard, 0);
    return err;
}

static db_err next_piece(struct some_rows *s, struct exec_ctx *ctx, struct chunk *ret)
{
    uint32_t from = s->at;
    if (s->one_by_one) {
        *ret = rows_of(s, from, from + 1);
        s->at++;
        return s->eval(s->arg, ctx, ret);
    }
    exec__listen_tell(&s->said, from);
    if (from == s->failed) {
        *ctx->diag = s->failure;
        return ERR_SQL;
    }
    uint64_t next = exec__listen_row(&s->said);
    s->at = next < s->failed ? (uint32_t)next : s->failed;
    *ret = rows_of(s, from, s->at);
    return quietly(s, ctx, ret);
}

db_err exec__some_next(struct some_rows *s, struct exec_ctx *ctx, struct chunk *ret_piece)
{
    if (s->at == 0) {
        TRY(look(s, ctx));
    }
    if (s->split) {
        return next_piece(s, ctx, ret_piece);
    }
    *ret_piece = s->in;
    s->at = s->in.count;
    return ERR_OK;
}
