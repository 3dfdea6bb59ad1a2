/* FORMAT_BYTES and FORMAT_PICO_TIME: a number with the largest unit that leaves a whole part. */
#include "sql/func/families.h"

#include <math.h>
#include <stdio.h>

enum { UNIT_TEXT_CHARS = 11 };

struct unit {
    double size;
    const char *name;
};

db_err info_bind_unit(BIND_ARGS)
{
    func__want_double(&args[0]);
    func__result_ascii(ctx, call, UNIT_TEXT_CHARS);
    return ERR_OK;
}

/* variant 0: FORMAT_BYTES, 1: FORMAT_PICO_TIME. */
db_err info_unit(EVAL_ARGS)
{
    static const struct unit bytes[] = {{0x1p60, "EiB"}, {0x1p50, "PiB"}, {0x1p40, "TiB"},
                                        {0x1p30, "GiB"}, {0x1p20, "MiB"}, {0x1p10, "KiB"}};
    static const struct unit times[] = {{8.64e16, "d"}, {3.6e15, "h"}, {6e13, "min"}, {1e12, "s"},
                                        {1e9, "ms"},    {1e6, "us"},   {1e3, "ns"}};
    const struct unit *units = call->variant == 0 ? bytes : times;
    size_t count = call->variant == 0 ? ARRAY_COUNT(bytes) : ARRAY_COUNT(times);
    EACH_ROW(row)
    {
        char text[64];
        double v = vec_double(args[0], row);
        size_t at = 0;
        int len;
        while (at < count && fabs(v) < units[at].size) {
            at++;
        }
        if (at == count) {
            len = call->variant == 0 ? snprintf(text, sizeof(text), "%4d bytes", (int)v)
                                     : snprintf(text, sizeof(text), "%3d ps", (int)v);
        } else {
            double shown = v / units[at].size;
            bool big = fabs(shown) >= 100000.0;
            len = big ? snprintf(text, sizeof(text), "%4.2e %s", shown, units[at].name)
                      : snprintf(text, sizeof(text), "%4.2f %s", shown, units[at].name);
        }
        TRY(func__set_ascii(ctx, out, row, slice_of(text, (size_t)len)));
    }
    return ERR_OK;
}

/* MYSQL: without a policy of passwords every password has the strength 0. */
db_err info_bind_strength(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    func__result_null(call, func__bigint(10));
    return ERR_OK;
}

db_err info_strength(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    (void)args;
    EACH_ROW(row)
    {
        vec_set_i64(out, row, 0);
    }
    return ERR_OK;
}

/* BENCHMARK(count, expression): the executor evaluates the expression that often (FUNC_REPEATS);
 * here are the rows of one round, and what is wrong with the count. */
db_err info_bind_benchmark(BIND_ARGS)
{
    (void)ctx;
    struct sql_type t = func__bigint(1);
    func__want_int(&args[0]);
    func__result_null(call, t);
    return ERR_OK;
}

db_err info_benchmark(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        if (vec_is_null(args[0], row)) {
            vec_set_null(out, row);
        } else if (vec_i64(args[0], row) < 0 && !type_is_unsigned(args[0]->type)) {
            char text[NUMBER_TEXT_MAX + 1];
            text[int64_to_text(vec_i64(args[0], row), text)] = '\0';
            vec_set_null(out, row);
            func__warn(ctx, ER_WRONG_VALUE_FOR_TYPE, "count", text, "benchmark");
        } else {
            vec_set_i64(out, row, 0);
        }
    }
    return ERR_OK;
}
