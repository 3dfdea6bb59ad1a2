/* Evaluation of bound expressions over chunks.
 *
 * Each node has a state with a result vector that is used again for every chunk. Columns,
 * parameters and constants cost nothing: they are vectors already. A function whose arguments are
 * all constant for the chunk is run for one row and its result is a constant vector. Functions that
 * are NULL when an argument is NULL never see such rows: the evaluator takes them out of the
 * selection. Node kinds that must not evaluate everything (AND, OR, CASE, COALESCE) narrow the
 * selection themselves (eval_logic.c). */
#include "sql/exec/exec_int.h"

#include "base/clock.h"
#include "base/fiber.h"
#include "sql/diag/my_error.h"

enum { SMALL_ROWS = 8, CHECKED_LEVELS = 16 };

/* Columns, variables that the statement assigns and subqueries are not; `args` have been prepared.
 */
static bool is_fixed(const struct expr_state *s)
{
    const struct bexpr *e = s->e;
    if (e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM) {
        return true;
    }
    if (e->kind == BEXPR_USER_VAR || e->kind == BEXPR_SYSTEM_VAR) {
        return !e->is_volatile;
    }
    bool fixed = (e->kind == BEXPR_FUNC || e->kind == BEXPR_CAST) && !e->is_volatile;
    for (uint32_t i = 0; i < s->arg_count && fixed; i++) {
        fixed = s->args[i]->fixed;
    }
    return fixed;
}

db_err expr_prepare(struct exec_ctx *ctx, const struct bexpr *e, struct expr_state **ret_state)
{
    TRY(my_stack_reserve(ctx->diag, MY_STACK_STEP));
    struct expr_state *s = ARENA_NEW(ctx->arena, struct expr_state);
    if (s == NULL) {
        return ERR_LIMIT;
    }
    s->e = e;
    s->arg_count = e->arg_count;
    if (e->arg_count != 0) {
        s->args = ARENA_ARRAY(ctx->arena, struct expr_state *, e->arg_count);
        s->many = e->arg_count > ARRAY_COUNT(s->arg_vectors)
                      ? ARENA_ARRAY(ctx->arena, struct vector *, e->arg_count)
                      : s->arg_vectors;
        if (s->args == NULL || s->many == NULL) {
            return ERR_LIMIT;
        }
        for (uint32_t i = 0; i < e->arg_count; i++) {
            TRY(expr_prepare(ctx, e->args[i], &s->args[i]));
            s->assigns = s->assigns || s->args[i]->assigns;
            s->height = s->args[i]->height >= s->height ? s->args[i]->height + 1 : s->height;
        }
    }
    s->assigns = s->assigns || e->kind == BEXPR_USER_VAR_SET;
    s->fixed = is_fixed(s);
    exec__mark_compared(s);
    exec__mark_silent(s, true);
    exec__mark_again(s);
    if (e->kind == BEXPR_AND || e->kind == BEXPR_OR) {
        exec__share_room(s->args, s->arg_count);
    }
    *ret_state = s;
    return ERR_OK;
}

db_err exec__prepare_list(struct exec_ctx *ctx, struct bexpr *const *list, uint32_t count,
                          struct expr_state ***ret)
{
    struct expr_state **states = ARENA_ARRAY(ctx->arena, struct expr_state *, count + 1);
    if (states == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(expr_prepare(ctx, list[i], &states[i]));
    }
    *ret = states;
    return ERR_OK;
}

static db_err make_room(struct exec_ctx *ctx, struct expr_state *s, uint32_t rows)
{
    uint32_t cap = rows <= 1 ? 1 : rows <= SMALL_ROWS ? SMALL_ROWS : CHUNK_ROWS;
    if (s->cap < cap) {
        enum phys_kind phys = type_phys(&s->e->type);
        s->out.data =
            s->before != NULL && s->before->cap >= cap
                ? s->before->out.data
                : arena_alloc_aligned(ctx->arena, (size_t)phys_size_table[phys] * cap, 16);
        if (s->out.data == NULL) {
            return ERR_LIMIT;
        }
        s->out.type = &s->e->type;
        s->out.phys = (uint8_t)phys;
        s->out.capacity = (uint16_t)cap;
        s->cap = cap;
    }
    s->out.arena = ctx->eval.arena;
    vector_reset(&s->out);
    return ERR_OK;
}

db_err exec__result(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                    struct vector **ret)
{
    TRY(make_room(ctx, s, eval_extent(rows)));
    *ret = &s->out;
    return ERR_OK;
}

db_err exec__const_result(struct exec_ctx *ctx, struct expr_state *s, const struct value *v,
                          struct vector **ret)
{
    TRY(make_room(ctx, s, 1));
    TRY(vector_set(&s->out, 0, v));
    s->out.index_mask = 0;
    *ret = &s->out;
    return ERR_OK;
}

uint16_t *exec__scratch(struct exec_ctx *ctx, struct expr_state *s)
{
    if (s->sel == NULL && s->before != NULL) {
        s->sel = s->before->sel;
    }
    if (s->sel == NULL) {
        s->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(uint16_t));
    }
    return s->sel;
}

void exec__copy_rows(struct vector *dst, const struct vector *src, const uint16_t *sel, uint32_t n)
{
    size_t size = phys_size_table[dst->phys];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel == NULL ? i : sel[i];
        if (vec_is_null(src, row)) {
            vec_set_null(dst, row);
        } else {
            memcpy((uint8_t *)dst->data + row * size,
                   (const uint8_t *)src->data + (row & src->index_mask) * size, size);
        }
    }
}

/* Of the rows those where v is not NULL, in the state's scratch. */
static db_err drop_nulls(struct exec_ctx *ctx, struct expr_state *s, const struct vector *v,
                         struct eval_rows *io_rows)
{
    uint16_t *sel = exec__scratch(ctx, s);
    uint32_t n = 0;
    if (sel == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < io_rows->n; i++) {
        uint32_t row = eval_row(io_rows, i);
        sel[n] = (uint16_t)row;
        n += !vec_is_null(v, row);
    }
    io_rows->sel = sel;
    io_rows->n = n;
    return ERR_OK;
}

/* Is the argument converted, and are characters that its new charset does not have an error? */
static bool may_refuse(const struct bexpr *func, const struct bexpr *e)
{
    return (func->u.func->def->flags & FUNC_NULL_IF_ANY) != 0 && e->kind == BEXPR_CAST &&
           !e->u.cast.explicit_cast && (e->type.wire & TYPE_W_REFUSE_LOSS) != 0;
}

/* The index of the argument that is evaluated as the k-th. */
static uint32_t arg_at(const struct expr_state *s, uint32_t k)
{
    unsigned flags = s->e->u.func->def->flags & FUNC_ORDERS;
    return LIKELY(flags == 0) ? k : exec__arg_in_order(flags, s->arg_count, k);
}

/* The k-th argument, one that may_refuse, when all others have been evaluated.
 * MYSQL: text is not converted behind an argument that is NULL in the row, nor, but for
 * FUNC_CONVERTS_FIRST, to the charset of another text that is NULL. */
static db_err eval_converted(struct exec_ctx *ctx, struct expr_state *s,
                             const struct eval_rows *rows, uint32_t k)
{
    uint32_t i = arg_at(s, k);
    const struct sql_type *to = &s->args[i]->e->type;
    bool first = (s->e->u.func->def->flags & FUNC_CONVERTS_FIRST) != 0;
    struct eval_rows some = *rows;
    for (uint32_t other = 0; other < s->arg_count; other++) {
        uint32_t x = arg_at(s, other);
        const struct bexpr *e = s->args[x]->e;
        bool same = !first && type_is_string(&e->type) && e->type.collation == to->collation;
        bool counts = other < k || (same && !may_refuse(s->e, e)); /* it has been computed */
        if (!counts || !s->many[x]->has_nulls) {
            continue;
        }
        TRY(drop_nulls(ctx, s, s->many[x], &some));
        if (some.n == 0) { /* there is a NULL in each row */
            s->many[i] = s->many[x];
            return ERR_OK;
        }
    }
    return exec__eval(ctx, s->args[i], &some, &s->many[i]);
}

/* The i-th argument in the rows that need it. */
static db_err eval_needed(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                          uint32_t i)
{
    const struct func_call *call = s->e->u.func;
    uint16_t *sel = exec__scratch(ctx, s);
    uint32_t n = 0;
    if (sel == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t row = eval_row(rows, k);
        sel[n] = (uint16_t)row;
        n += call->needs(&ctx->eval, call, s->many, i, row);
    }
    if (n == 0) {
        s->many[i] = s->many[arg_at(s, 0)]; /* nobody looks at it */
        return ERR_OK;
    }
    struct eval_rows some = {.in = rows->in, .sel = sel, .n = n};
    return exec__eval(ctx, s->args[i], &some, &s->many[i]);
}

/* The arguments but those that may_refuse. *ret_later: there are such, still to come. *ret_stopped:
 * there is an error behind which nothing more is computed. */
static db_err eval_plain_args(struct exec_ctx *ctx, struct expr_state *s,
                              const struct eval_rows *rows, bool *ret_later, bool *ret_stopped)
{
    unsigned flags = s->e->u.func->def->flags;
    bool stops = (flags & FUNC_NULL_IF_ANY) != 0 && (flags & FUNC_SEES_ALL) == 0;
    struct eval_rows left = *rows;
    struct vector *null = NULL; /* one of those whose NULLs have been dropped */
    uint32_t seen = 0;          /* arguments that have been looked at for NULLs */
    for (uint32_t k = 0; k < s->arg_count; k++) {
        uint32_t i = arg_at(s, k);
        if (may_refuse(s->e, s->args[i]->e)) {
            *ret_later = true;
            continue;
        }
        for (; stops && seen < k && exec__is_computed(s->args[i]->e); seen++) {
            uint32_t x = arg_at(s, seen);
            if (!may_refuse(s->e, s->args[x]->e) && s->many[x]->has_nulls) {
                null = s->many[x];
                TRY(drop_nulls(ctx, s, null, &left));
            }
        }
        if (left.n == 0 && null != NULL) {
            s->many[i] = null; /* some argument is NULL in each row */
        } else if (k != 0 && s->e->u.func->needs != NULL && exec__is_computed(s->args[i]->e)) {
            TRY(eval_needed(ctx, s, &left, i));
        } else {
            TRY(exec__eval(ctx, s->args[i], &left, &s->many[i]));
        }
        if (UNLIKELY(ctx->eval.cast->refused) && exec__stops(ctx, s, rows, i)) {
            *ret_stopped = true;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

static db_err eval_args(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                        bool *ret_all_const, bool *ret_any_nulls, bool *ret_stopped)
{
    bool all_const = true;
    bool nulls = false;
    bool later = false;
    TRY(eval_plain_args(ctx, s, rows, &later, ret_stopped));
    if (UNLIKELY(*ret_stopped)) {
        return ERR_OK;
    }
    for (uint32_t k = 0; k < s->arg_count; k++) {
        uint32_t i = arg_at(s, k);
        if (later && may_refuse(s->e, s->args[i]->e)) {
            TRY(eval_converted(ctx, s, rows, k));
        }
        all_const = all_const && vec_is_const(s->many[i]);
        nulls = nulls || s->many[i]->has_nulls;
    }
    *ret_all_const = all_const;
    *ret_any_nulls = nulls;
    return ERR_OK;
}

/* FUNC_REPEATS: args[1] of each row as often as args[0] says; what strings it makes goes after each
 * round. Its last value is args[1]. */
static db_err eval_repeated(struct exec_ctx *ctx, struct expr_state *s,
                            const struct eval_rows *rows)
{
    struct arena *outer = ctx->eval.arena;
    struct arena scratch;
    db_err err = ERR_OK;
    struct pace pace = {0};
    uint32_t done = 0;
    uint64_t began = clock_mono_ns();
    arena_init(&scratch, outer, outer->tracker, 0);
    TRY(exec__eval(ctx, s->args[0], rows, &s->many[0]));
    for (uint32_t i = 0; i < rows->n && err == ERR_OK; i++) {
        uint16_t row = (uint16_t)eval_row(rows, i);
        struct eval_rows one = {.in = rows->in, .sel = &row, .n = 1};
        int64_t count = vec_is_null(s->many[0], row) ? 0 : vec_i64(s->many[0], row);
        ctx->eval.arena = &scratch;
        for (int64_t k = 0; k < count && err == ERR_OK; k++) {
            err = exec__eval(ctx, s->args[1], &one, &s->many[1]);
            if (++done == pace_next(&pace) && err == ERR_OK) {
                pace_took(&pace, done, clock_mono_ns() - began);
                arena_reset(&scratch);
                err = fiber_checkpoint();
                began = clock_mono_ns();
                done = 0;
            }
        }
        ctx->eval.arena = outer;
    }
    arena_fini(&scratch);
    s->many[1] = s->many[0]; /* the function looks at the count alone */
    return err;
}

/* The rows where no argument is NULL; the others become NULL in out. Arguments are looked at in the
 * order in which they were evaluated: behind one that is NULL there may be nothing. */
static uint32_t without_nulls(struct expr_state *s, const struct eval_rows *rows,
                              struct vector *out, uint16_t *sel)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t row = eval_row(rows, i);
        bool null = false;
        for (uint32_t k = 0; k < s->arg_count && !null; k++) {
            null = vec_is_null(s->many[arg_at(s, k)], row);
        }
        if (null) {
            vec_set_null(out, row);
        } else {
            sel[n++] = (uint16_t)row;
        }
    }
    return n;
}

/* What is done to some rows of a chunk. */
struct piece {
    struct exec_ctx *ctx;
    struct expr_state *s;
    const struct vector *from; /* of a cast */
    struct vector *out;
};

static db_err call_some(void *arg, const uint16_t *sel, uint32_t n)
{
    const struct piece *p = arg;
    const struct func_call *call = p->s->e->u.func;
    return call->def->eval(&p->ctx->eval, call, p->s->many, sel, n, p->out);
}

static db_err cast_some(void *arg, const uint16_t *sel, uint32_t n)
{
    const struct piece *p = arg;
    struct cast_ctx *cast = p->ctx->eval.cast;
    TRY(vector_cast(cast, p->from, sel, n, p->out));
    cast->row += n; /* of the first of the next ones */
    return ERR_OK;
}

/* What is the same for so many rows, done for one: what it says is said with each. */
static db_err piece_for_all(struct exec_ctx *ctx, struct piece *piece, const struct eval_rows *one,
                            uint32_t rows,
                            db_err (*some)(void *arg, const uint16_t *sel, uint32_t n))
{
    struct listener said = {.arena = ctx->eval.arena};
    if (rows > 1) {
        exec__listen_within(ctx, &said);
    }
    db_err err = some(piece, one->sel, one->n);
    if (rows > 1) {
        exec__say_per_row(ctx, &said, err == ERR_OK && !ctx->eval.cast->refused ? rows : 1);
    }
    return err;
}

static db_err eval_func(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *all,
                        struct vector **ret)
{
    const struct func_call *call = s->e->u.func;
    struct eval_rows rows = *all;
    bool all_const;
    bool any_nulls;
    bool stopped = false;
    if ((call->def->flags & FUNC_REPEATS) != 0) {
        TRY(eval_repeated(ctx, s, all));
        all_const = any_nulls = false;
    } else if (call->unread) {
        all_const = true;
        any_nulls = false;
    } else {
        TRY(eval_args(ctx, s, all, &all_const, &any_nulls, &stopped));
        if (UNLIKELY(stopped)) {
            return exec__stopped_result(ctx, s, all, ret);
        }
    }
    bool once = all_const && (call->def->flags & FUNC_VOLATILE) == 0 && !call->varies;
    if (once) {
        rows = (struct eval_rows){.in = all->in, .n = 1};
    }
    struct vector *out;
    TRY(exec__result(ctx, s, &rows, &out));
    const uint16_t *sel = rows.sel;
    uint32_t n = rows.n;
    if (any_nulls && (call->def->flags & FUNC_NULL_IF_ANY) != 0 && !call->takes_null) {
        uint16_t *scratch = exec__scratch(ctx, s);
        if (scratch == NULL) {
            return ERR_LIMIT;
        }
        n = without_nulls(s, &rows, out, scratch);
        sel = scratch;
    }
    if (n != 0) {
        struct piece piece = {.ctx = ctx, .s = s, .out = out};
        TRY(once ? piece_for_all(ctx, &piece, &rows, all->n, call_some)
                 : pace_rows(&s->pace, sel, n, call_some, &piece));
    }
    if (once) {
        out->index_mask = 0;
    }
    *ret = out;
    return ERR_OK;
}

static db_err eval_const(struct exec_ctx *ctx, struct expr_state *s, const struct value *v,
                         struct vector **ret)
{
    if (s->cap !=
        0) { /* made by an earlier chunk: constants never change, their bytes are the plan's */
        *ret = &s->out;
        return ERR_OK;
    }
    TRY(make_room(ctx, s, 1));
    if (v->is_null) {
        vec_set_null(&s->out, 0);
    } else if (s->out.phys == PHYS_STR) {
        vec_set_str_ref(&s->out, 0, v->str);
    } else {
        TRY(vector_set(&s->out, 0, v));
    }
    s->out.index_mask = 0;
    *ret = &s->out;
    return ERR_OK;
}

/* Error 1690 of a cast names what was cast, that of a cast to FLOAT the cast. */
static db_err name_wide(struct exec_ctx *ctx, const struct bexpr *cast, db_err err)
{
    bool real = cast->type.id == TYPE_FLOAT && cast->u.cast.explicit_cast;
    bool whole = (type_is_integer(&cast->type) || cast->type.id == TYPE_YEAR) &&
                 (cast->type.wire & TYPE_W_REFUSE_WIDE) != 0;
    if (err != ERR_SQL || ctx->eval.diag->number != ER_DATA_OUT_OF_RANGE || (!real && !whole)) {
        return err;
    }
    struct buf text;
    buf_init(&text, DIAG_TEXT_SIZE);
    if (real || cast->u.cast.wide == NULL) { /* what a message has no room for is left out */
        bexpr_print(real ? cast : bexpr_only(cast->args[0]), &text);
    }
    err = buf_append_u8(&text, 0) != ERR_OK
              ? err
              : my_error(ctx->eval.diag, ER_DATA_OUT_OF_RANGE, real ? "DOUBLE" : "BIGINT",
                         cast->u.cast.wide != NULL ? cast->u.cast.wide : (const char *)text.ptr);
    buf_fini(&text);
    return err;
}

static db_err eval_cast(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *all,
                        struct vector **ret)
{
    struct eval_rows rows = *all;
    struct vector *from;
    struct vector *out;
    const struct early_cast *early = s->e->u.cast.early;
    if (early != NULL && ctx->early != NULL) {
        return eval_const(ctx, s, &ctx->early[early->index], ret);
    }
    TRY(exec__eval(ctx, s->args[0], all, &from));
    bool once = vec_is_const(from);
    if (once) {
        rows = (struct eval_rows){.in = all->in, .n = 1};
    }
    TRY(exec__result(ctx, s, &rows, &out));
    struct vector real = *from;
    const struct sql_type *type = &s->e->args[0]->type;
    if (type->id == TYPE_DOUBLE || type->id == TYPE_FLOAT) {
        real.type = type; /* a column's text, also where the column holds what was computed */
        from = &real;
    }
    struct cast_ctx *cast = ctx->eval.cast;
    const char *expr = cast->expr;
    uint64_t first_row = cast->row;
    cast->expr = s->e->u.cast.name != NULL ? s->e->u.cast.name : expr;
    cast->json_source = s->e->args[0]->json_source;
    struct piece piece = {.ctx = ctx, .s = s, .from = from, .out = out};
    void (*warn)(void *, enum cast_level, uint16_t, const char *) = cast->warn;
    bool strict = cast->strict;
    if (UNLIKELY(s->e->u.cast.silent || s->silent)) {
        cast->warn = exec__hush;
        cast->strict = false;
    }
    db_err err = once ? piece_for_all(ctx, &piece, &rows, all->n, cast_some)
                      : pace_rows(&s->pace, rows.sel, rows.n, cast_some, &piece);
    cast->warn = warn;
    cast->strict = strict;
    cast->expr = expr;
    cast->row = first_row;
    cast->json_source = NULL;
    TRY(name_wide(ctx, s->e, err));
    if (once) {
        out->index_mask = 0;
    }
    *ret = out;
    return ERR_OK;
}

static db_err eval_outer(struct exec_ctx *ctx, struct expr_state *s, struct vector **ret)
{
    for (const struct outer_frame *f = ctx->outer; f != NULL; f = f->up) {
        for (uint32_t i = 0; i < f->count; i++) {
            if (f->ids[i] == s->e->u.column.id) {
                return s->e->u.column.padded ? exec__padded_value(ctx, s, &f->values[i], ret)
                                             : exec__const_result(ctx, s, &f->values[i], ret);
            }
        }
    }
    return diag_set(ctx->diag, ERR_INVALID, "internal: outer column %u has no value",
                    (unsigned)s->e->u.column.id);
}

/* Text of another charset than the type has; bytes are of none. */
static bool other_letters(const struct sql_type *type, const struct value *v)
{
    if (v->phys != PHYS_STR || !type_is_string(type) || v->collation == COLL_BINARY ||
        type->collation == COLL_BINARY) {
        return false;
    }
    const struct collation *own = collation_by_id(v->collation);
    return own != NULL && own->cs != collation_by_id(type->collation)->cs;
}

/* MYSQL: a variable has the type that it had when the statement was prepared; a value of another
 * one is made of it, and nothing said of what is lost. */
static db_err as_bound(struct exec_ctx *ctx, const struct sql_type *type, struct value *io)
{
    if (io->is_null || (io->phys == (uint8_t)type_phys(type) && !other_letters(type, io))) {
        return ERR_OK;
    }
    struct cast_ctx quiet = *ctx->eval.cast;
    struct sql_type from = value_type(io);
    quiet.strict = false;
    quiet.warn = NULL;
    quiet.arena = ctx->arena;
    return value_cast(&quiet, &from, io, type, io);
}

static db_err eval_var(struct exec_ctx *ctx, struct expr_state *s, struct vector **ret)
{
    struct value v;
    const struct bexpr *e = s->e;
    if (s->fixed && s->cap != 0) { /* evaluated before; its bytes are the statement's */
        *ret = &s->out;
        return ERR_OK;
    }
    TRY(e->kind == BEXPR_USER_VAR ? ctx->vars->user_get(ctx, e->u.var.name, &v)
                                  : ctx->vars->system_get(ctx, e, &v));
    TRY(as_bound(ctx, &e->type, &v));
    if (s->fixed) {
        TRY(value_copy(&v, ctx->arena, &v));
        return eval_const(ctx, s, &v, ret);
    }
    return exec__const_result(ctx, s, &v, ret);
}

static db_err eval_var_set(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                           struct vector **ret)
{
    const struct sql_type *type = &s->args[0]->e->type;
    struct vector *v;
    TRY(exec__eval(ctx, s->args[0], rows, &v));
    for (uint32_t i = 0; i < rows->n; i++) {
        struct value x;
        vector_get(v, eval_row(rows, i), &x);
        if (x.is_null && type->id == TYPE_VARBINARY && type->length == 0) {
            x = value_null(); /* as the binder describes it */
        } else if (!x.is_null && (type->id == TYPE_ENUM || type->id == TYPE_SET)) {
            struct slice text; /* a variable has no list of names */
            TRY(value_to_text(ctx->eval.cast, type, &x, &text));
            x = value_str(text, type->collation);
        } else if (!x.is_null && type->id == TYPE_BIT) {
            x = value_uint(x.u); /* MYSQL: a variable keeps the number */
        }
        TRY(ctx->vars->user_set(ctx, s->e->u.var.name, &x));
    }
    *ret = v;
    return ERR_OK;
}

static db_err eval_hold(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                        struct vector **ret)
{
    struct held_value held = {.up = ctx->held, .id = s->e->u.held};
    TRY(exec__eval(ctx, s->args[0], rows, &held.value));
    if (UNLIKELY(ctx->eval.cast->refused) && rows->n == 1) {
        return exec__stopped_result(ctx, s, rows, ret);
    }
    ctx->held = &held;
    db_err err = exec__eval(ctx, s->args[1], rows, ret);
    ctx->held = held.up;
    return err;
}

/* The rows are some of those that it was evaluated for. */
static db_err eval_held(struct exec_ctx *ctx, const struct expr_state *s, struct vector **ret)
{
    const struct held_value *h = ctx->held;
    while (h != NULL && h->id != s->e->u.held) {
        h = h->up;
    }
    if (h == NULL) {
        return diag_set(ctx->diag, ERR_INVALID, "internal: a value is not held");
    }
    *ret = h->value;
    return ERR_OK;
}

db_err exec__eval(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                  struct vector **ret)
{
    const struct bexpr *e = s->e;
    if (UNLIKELY(s->height >= CHECKED_LEVELS) && s->height % CHECKED_LEVELS == 0) {
        TRY(my_stack_for_levels(ctx->diag, CHECKED_LEVELS));
    }
    if (UNLIKELY(s->once)) {
        return exec__eval_once(ctx, s, rows, ret);
    }
    switch (e->kind) {
    case BEXPR_COLUMN:
        ASSERT_SLOW(rows->in != NULL && e->u.column.slot < rows->in->column_count);
        *ret = &rows->in->columns[e->u.column.slot];
        return UNLIKELY(e->u.column.padded) ? exec__padded(ctx, s, rows, ret) : ERR_OK;
    case BEXPR_CONST: return eval_const(ctx, s, &e->u.constant, ret);
    case BEXPR_PARAM: return eval_const(ctx, s, &ctx->params[e->u.param], ret);
    case BEXPR_FUNC:
        return exec__stops_at_equal(s) ? exec__eval_first_equal(ctx, s, rows, ret)
                                       : eval_func(ctx, s, rows, ret);
    case BEXPR_CAST: return eval_cast(ctx, s, rows, ret);
    case BEXPR_AND:
    case BEXPR_OR: return exec__eval_and_or(ctx, s, rows, ret);
    case BEXPR_CASE: return exec__eval_case(ctx, s, rows, ret);
    case BEXPR_COALESCE: return exec__eval_coalesce(ctx, s, rows, ret);
    case BEXPR_IN_LIST: return exec__eval_in_list(ctx, s, rows, ret);
    case BEXPR_OUTER: return eval_outer(ctx, s, ret);
    case BEXPR_SUBQUERY_SCALAR:
    case BEXPR_SUBQUERY_EXISTS:
    case BEXPR_SUBQUERY_IN:
    case BEXPR_SUBQUERY_QUANTIFIED: return exec__eval_subquery(ctx, s, rows, ret);
    case BEXPR_USER_VAR:
    case BEXPR_SYSTEM_VAR: return eval_var(ctx, s, ret);
    case BEXPR_USER_VAR_SET: return eval_var_set(ctx, s, rows, ret);
    case BEXPR_HOLD: return eval_hold(ctx, s, rows, ret);
    case BEXPR_HELD: return eval_held(ctx, s, ret);
    case BEXPR_ROW:
    case BEXPR_AGG:
    case BEXPR_WINDOW:
    case BEXPR_GROUPING:
    case BEXPR_INSERT_VALUE:
    case BEXPR_DEFAULT: break;
    }
    return diag_set(ctx->diag, ERR_INVALID, "internal: expression kind %d cannot be evaluated",
                    (int)e->kind);
}

db_err expr_eval(struct exec_ctx *ctx, struct expr_state *state, const struct chunk *in,
                 struct vector **ret)
{
    struct eval_rows rows = {
        .in = in, .sel = in == NULL ? NULL : in->sel, .n = in == NULL ? 1 : in->count};
    struct cast_ctx *cast = ctx->eval.cast;
    const struct cast_ctx *telling = cast->telling;
    cast->telling = rows.n == 1 ? cast : NULL;
    db_err err = exec__eval(ctx, state, &rows, ret);
    if (UNLIKELY(cast->refused)) {
        err = exec__refused(ctx, state, &rows, err, ret);
    }
    cast->telling = telling;
    return err;
}

db_err expr_eval_scalar(struct exec_ctx *ctx, const struct bexpr *e, struct value *ret)
{
    struct expr_state *s;
    struct vector *v;
    if (e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM) {
        *ret = e->kind == BEXPR_CONST ? e->u.constant : ctx->params[e->u.param];
        return ERR_OK;
    }
    TRY(expr_prepare(ctx, e, &s));
    TRY(expr_eval(ctx, s, NULL, &v));
    vector_get(v, 0, ret);
    return ERR_OK;
}

db_err exec__truth(struct exec_ctx *ctx, const struct vector *v, uint32_t row, bool *ret)
{
    switch (v->phys) {
    case PHYS_INT: *ret = vec_i64(v, row) != 0; return ERR_OK;
    case PHYS_DOUBLE: *ret = vec_double(v, row) != 0; return ERR_OK;
    case PHYS_DECIMAL: *ret = !decimal_is_zero(vec_decimal(v, row)); return ERR_OK;
    default: break;
    }
    struct value x;
    vector_get(v, row, &x);
    if (type_reads_padded(v->type, ctx->sql_mode)) { /* MYSQL: the number that a column is */
        x.str = charset_trim_pad(collation_by_id(v->type->collation)->cs, x.str);
    }
    return value_is_true(ctx->eval.cast, v->type, &x, ret);
}

db_err exec__limit_value(struct exec_ctx *ctx, const struct bexpr *e, uint64_t none, uint64_t *ret)
{
    struct value v;
    if (e == NULL) {
        *ret = none;
        return ERR_OK;
    }
    TRY(expr_eval_scalar(ctx, e, &v));
    if (v.is_null) {
        *ret = 0;
        return ERR_OK;
    }
    if (v.phys != PHYS_INT) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, "EXECUTE");
    }
    if (!v.is_unsigned && v.i < 0) {
        return my_error(ctx->diag, ER_DATA_OUT_OF_RANGE, "unsigned integer", "EXECUTE");
    }
    *ret = v.u;
    return ERR_OK;
}
