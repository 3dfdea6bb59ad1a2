/* STDDEV and VARIANCE: a running mean and sum of squared distances, which merge exactly. */
#include "sql/func/families.h"

#include <math.h>

#include "sql/func/aggregate/aggregate_int.h"

db_err agg_bind_variance(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args)
{
    if (args[0].type.id == TYPE_GEOMETRY || args[0].type.id == TYPE_VECTOR) {
        return my_error(ctx->diag, ER_WRONG_ARGUMENTS, call->def->name);
    }
    func__want_double(&args[0]);
    call->type = func__double();
    call->type.flags = TYPE_F_EXPR;
    call->coercibility = 5;
    return ERR_OK;
}

db_err agg_update_variance(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                           struct vector *const *args, const uint16_t *sel, uint32_t n,
                           void *const *states)
{
    (void)ctx;
    (void)call;
    (void)arena;
    EACH_ROW(row)
    {
        struct agg_variance_state *s = states[row_i];
        if (vec_is_null(args[0], row)) {
            continue;
        }
        double x = vec_double(args[0], row);
        double distance = x - s->mean;
        s->count++;
        s->mean += distance / (double)s->count;
        s->squares += distance * (x - s->mean);
    }
    return ERR_OK;
}

db_err agg_merge_variance(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                          void *into, const void *from)
{
    (void)ctx;
    (void)call;
    (void)arena;
    struct agg_variance_state *a = into;
    const struct agg_variance_state *b = from;
    if (b->count == 0) {
        return ERR_OK;
    }
    double na = (double)a->count;
    double nb = (double)b->count;
    double distance = b->mean - a->mean;
    a->count += b->count;
    a->mean += distance * nb / (na + nb);
    a->squares += b->squares + distance * distance * na * nb / (na + nb);
    return ERR_OK;
}

/* variant: bit 0 sample, bit 1 variance. */
db_err agg_result_variance(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                           struct vector *out, uint32_t row)
{
    (void)ctx;
    const struct agg_variance_state *s = state;
    int64_t count = s->count - ((call->variant & 1) != 0);
    if (count <= 0) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    double v = s->squares / (double)count;
    vec_set_double(out, row, (call->variant & 2) != 0 ? v : sqrt(v));
    return ERR_OK;
}
