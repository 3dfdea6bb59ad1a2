/* COUNT, SUM, AVG, and the bit aggregates.
 *
 * Exact sums: an integer, or a decimal of one 64-bit word with the scale of those before it, is
 * added to a 128-bit integer, which no real number of rows can overflow; other decimals take the
 * general addition. Both parts meet in the result. */
#include "sql/func/families.h"

#include "sql/func/aggregate/aggregate_int.h"

typedef __int128 wide;

static struct sql_type expr(struct sql_type t, bool not_null)
{
    t.flags =
        (uint8_t)((t.flags & TYPE_F_UNSIGNED) | TYPE_F_EXPR | (not_null ? TYPE_F_NOT_NULL : 0));
    return t;
}

/* ---- COUNT ---- */

db_err agg_bind_count(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    (void)ctx;
    (void)args;
    call->type = expr(func__bigint(21), true);
    call->coercibility = 5;
    return ERR_OK;
}

db_err agg_update_count(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                        struct vector *const *args, const uint16_t *sel, uint32_t n,
                        void *const *states)
{
    (void)ctx;
    (void)arena;
    bool nulls = false;
    for (uint32_t k = 0; k < call->arg_count; k++) {
        nulls = nulls || args[k]->has_nulls;
    }
    EACH_ROW(row)
    {
        bool skip = false;
        for (uint32_t k = 0; nulls && k < call->arg_count; k++) {
            skip = skip || vec_is_null(args[k], row);
        }
        ((struct agg_count_state *)states[row_i])->count += !skip;
    }
    return ERR_OK;
}

db_err agg_merge_count(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                       void *into, const void *from)
{
    (void)ctx;
    (void)call;
    (void)arena;
    ((struct agg_count_state *)into)->count += ((const struct agg_count_state *)from)->count;
    return ERR_OK;
}

db_err agg_result_count(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                        struct vector *out, uint32_t row)
{
    (void)ctx;
    (void)call;
    vec_set_i64(out, row, ((const struct agg_count_state *)state)->count);
    return ERR_OK;
}

/* ---- SUM, AVG ---- */

/* MYSQL: it has the decimals of FLOAT(M,D), as far as there may be so many. */
static struct sql_type sum_of_doubles(const struct sql_type *t, unsigned more_scale)
{
    enum { DIGITS = 17 };
    struct sql_type sum = func__double();
    bool real = t->id == TYPE_FLOAT || t->id == TYPE_DOUBLE;
    if (real && t->decimals + more_scale < DECIMALS_NOT_FIXED) {
        sum.decimals = (uint8_t)(t->decimals + more_scale);
        sum.length = DIGITS + sum.decimals;
    }
    return sum;
}

static db_err bind_sum(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args,
                       unsigned more_digits, unsigned more_scale)
{
    const struct sql_type *t = &args[0].type;
    if (t->id == TYPE_GEOMETRY || t->id == TYPE_VECTOR) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, call->def->name);
    }
    enum func_number kind = func__number(t);
    call->variant = (int)kind;
    call->coercibility = 5;
    if (kind == NUM_DOUBLE) {
        call->type = expr(sum_of_doubles(t, more_scale), false);
        func__want_double(&args[0]);
        return ERR_OK;
    }
    unsigned scale = (t->id == TYPE_DECIMAL || type_is_temporal(t) ? t->decimals : 0u) + more_scale;
    unsigned precision = func__precision(t) + more_digits;
    if (kind == NUM_INT) {
        func__want_int(&args[0]);
    } else {
        func__want_decimal(&args[0]);
    }
    call->type =
        expr(type_decimal(precision > DECIMAL_PRECISION_MAX ? DECIMAL_PRECISION_MAX : precision,
                          more_scale != 0 && scale > DECIMAL_SCALE_MAX ? DECIMAL_SCALE_MAX : scale,
                          false),
             false);
    return ERR_OK;
}

db_err agg_bind_sum(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    enum { SUM_DIGITS = 22 }; /* MYSQL: room for as many rows as there can be */
    return bind_sum(ctx, call, args, SUM_DIGITS, 0);
}

db_err agg_bind_avg(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    return bind_sum(ctx, call, args, ctx->div_precision_increment, ctx->div_precision_increment);
}

static wide get_fast(const struct agg_sum_state *s)
{
    return (wide)((unsigned __int128)(uint64_t)s->fast_high << 64 | s->fast_low);
}

static void add_fast(struct agg_sum_state *s, wide v)
{
    wide sum = get_fast(s) + v;
    s->fast_low = (uint64_t)sum;
    s->fast_high = (int64_t)(sum >> 64);
    s->has_fast = true;
}

static db_err add_exact(struct eval_ctx *ctx, struct agg_sum_state *s, const struct decimal *d)
{
    if (d->used <= 1 && (!s->has_fast || s->scale == d->scale)) {
        wide v = d->used == 0 ? 0 : (wide)d->limb[0];
        s->scale = d->scale;
        add_fast(s, d->neg ? -v : v);
        return ERR_OK;
    }
    if (!s->has_exact) {
        s->exact = *d;
        s->has_exact = true;
        return ERR_OK;
    }
    if ((decimal_add(&s->exact, d, &s->exact) & DECIMAL_OVERFLOW) != 0) {
        return my_error(ctx->diag, ER_DATA_OUT_OF_RANGE, "DECIMAL", "sum");
    }
    return ERR_OK;
}

static bool arg_unsigned(const struct agg_call *call)
{
    const struct sql_type *t = &call->arg_types[0];
    return type_is_unsigned(t) || t->id == TYPE_BIT || t->id == TYPE_YEAR;
}

db_err agg_update_sum(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                      struct vector *const *args, const uint16_t *sel, uint32_t n,
                      void *const *states)
{
    (void)arena;
    bool is_unsigned = arg_unsigned(call);
    const struct vector *v = args[0];
    EACH_ROW(row)
    {
        struct agg_sum_state *s = states[row_i];
        if (vec_is_null(v, row)) {
            continue;
        }
        s->count++;
        if (call->variant == NUM_INT) {
            add_fast(s, is_unsigned ? (wide)vec_u64(v, row) : (wide)vec_i64(v, row));
        } else if (call->variant == NUM_DOUBLE) {
            s->real += vec_double(v, row);
        } else {
            struct decimal own;
            TRY(add_exact(ctx, s, decimal_own(vec_decimal(v, row), &own)));
        }
    }
    return ERR_OK;
}

static void fast_decimal(const struct agg_sum_state *s, struct decimal *ret)
{
    wide v = get_fast(s);
    unsigned __int128 m = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    decimal_zero(ret);
    ret->limb[0] = (uint64_t)m;
    ret->limb[1] = (uint64_t)(m >> 64);
    ret->used = ret->limb[1] != 0 ? 2 : ret->limb[0] != 0 ? 1 : 0;
    ret->scale = s->scale;
    ret->neg = v < 0;
}

void agg__sum_total(const struct agg_sum_state *s, struct decimal *ret)
{
    fast_decimal(s, ret);
    if (s->has_exact && s->has_fast) {
        (void)decimal_add(ret, &s->exact, ret);
    } else if (s->has_exact) {
        *ret = s->exact;
    }
}

db_err agg_merge_sum(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                     void *into, const void *from)
{
    (void)arena;
    struct agg_sum_state *a = into;
    const struct agg_sum_state *b = from;
    if (b->count == 0) {
        return ERR_OK;
    }
    a->count += b->count;
    a->real += b->real;
    if (call->variant == NUM_DOUBLE) {
        return ERR_OK;
    }
    if (!b->has_exact && (!a->has_fast || a->scale == b->scale)) {
        a->scale = b->scale;
        add_fast(a, get_fast(b));
        return ERR_OK;
    }
    struct decimal d;
    agg__sum_total(b, &d);
    return add_exact(ctx, a, &d);
}

db_err agg_result_sum(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                      struct vector *out, uint32_t row)
{
    const struct agg_sum_state *s = state;
    if (s->count == 0) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    if (call->variant == NUM_DOUBLE) {
        vec_set_double(out, row, s->real);
        return ERR_OK;
    }
    struct decimal d;
    agg__sum_total(s, &d);
    unsigned own = d.scale;
    if ((decimal_round(&d, call->type.decimals, DECIMAL_HALF_UP, &d) & DECIMAL_OVERFLOW) != 0) {
        return my_error(ctx->diag, ER_DATA_OUT_OF_RANGE, "DECIMAL", "sum");
    }
    decimal_set_filled(&d, own);
    vec_set_decimal(out, row, &d);
    return ERR_OK;
}

db_err agg_result_avg(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                      struct vector *out, uint32_t row)
{
    const struct agg_sum_state *s = state;
    if (s->count == 0) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    if (call->variant == NUM_DOUBLE) {
        vec_set_double(out, row, s->real / (double)s->count);
        return ERR_OK;
    }
    struct decimal sum;
    struct decimal count;
    agg__sum_total(s, &sum);
    decimal_from_int(s->count, &count);
    (void)decimal_div(&sum, &count, ctx->cast->div_precision_increment, &sum);
    unsigned own = sum.scale;
    (void)decimal_round(&sum, call->type.decimals, DECIMAL_HALF_UP, &sum);
    decimal_set_filled(&sum, own);
    vec_set_decimal(out, row, &sum);
    return ERR_OK;
}
