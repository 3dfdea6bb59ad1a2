/* The time of the statement, and of the call for SYSDATE(). */
#include "sql/func/families.h"

#include "base/clock.h"

db_err temporal_bind_now(BIND_ARGS)
{
    int64_t decimals = 0;
    if (call->arg_count == 1) {
        if (!func__const_int(ctx, &args[0], &decimals) || decimals < 0) {
            return my_error(ctx->diag, ER_WRONG_ARGUMENTS, call->def->name);
        }
        if (decimals > TIME_DECIMALS_MAX) {
            return my_error(ctx->diag, ER_TOO_BIG_PRECISION, (int)decimals, call->def->name,
                            (unsigned long)TIME_DECIMALS_MAX);
        }
        func__want_int(&args[0]);
    }
    enum type_id id = TYPE_DATETIME;
    if (call->variant == TEMPORAL_CURDATE || call->variant == TEMPORAL_UTC_DATE) {
        id = TYPE_DATE;
    } else if (call->variant == TEMPORAL_CURTIME || call->variant == TEMPORAL_UTC_TIME) {
        id = TYPE_TIME;
    }
    struct sql_type t = type_temporal(id, (unsigned)decimals);
    if (id == TYPE_TIME) {
        t.length = 8 + (uint32_t)(decimals == 0 ? 0 : decimals + 1); /* MYSQL: never three digits */
    }
    func__result_not_null(call, t);
    return ERR_OK;
}

db_err temporal_now(EVAL_ARGS)
{
    (void)args;
    uint64_t us =
        ctx->env != NULL && call->variant != TEMPORAL_SYSDATE ? ctx->env->now_us : clock_wall_us();
    const struct timezone *tz = call->variant >= TEMPORAL_UTC_NOW ? timezone_utc() : ctx->cast->tz;
    int64_t local = 0;
    (void)timezone_from_unix(tz, (int64_t)(us / US_PER_SECOND), (uint32_t)(us % US_PER_SECOND),
                             &local);
    (void)datetime_round(local, call->type.decimals, true, &local);
    if (call->type.id == TYPE_DATE) {
        local = datetime_date(local);
    } else if (call->type.id == TYPE_TIME) {
        local = datetime_time(local);
    }
    EACH_ROW(row)
    {
        vec_set_i64(out, row, local);
    }
    return ERR_OK;
}
