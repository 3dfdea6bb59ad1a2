/* DATE_FORMAT, TIME_FORMAT, STR_TO_DATE, GET_FORMAT. */
#include "sql/func/families.h"

/* variant 1: TIME_FORMAT. */
db_err temporal_bind_format(BIND_ARGS)
{
    if (call->variant == 1) {
        temporal__want_any(ctx, &args[0]);
        call->takes_null = true; /* MYSQL: the time is told of also where the format is NULL */
    } else {
        func__want_datetime(&args[0]);
        args[0].want.wire = TYPE_W_LENIENT_DATE;
        args[0].want.wire |= type_is_numeric(&args[0].type) ? TYPE_W_WHOLE_DATE : 0u;
    }
    func__result_ascii(ctx, call, temporal__pattern_chars(&args[1]));
    temporal__want_pattern(ctx, &args[1]);
    return ERR_OK;
}

db_err temporal_date_format(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct time_parts p;
        bool is_datetime;
        bool null = vec_is_null(args[0], row);
        if (null) {
            vec_set_null(out, row);
            continue;
        }
        if (call->variant == 1) {
            TRY(temporal__get_parts(ctx, &call->arg_types[0], args[0], row, TEMPORAL_SHOWN, &p,
                                    &is_datetime, &null));
        } else {
            datetime_unpack(vec_i64(args[0], row), &p);
        }
        null = null || vec_is_null(args[1], row);
        struct slice pattern = null ? SLICE_EMPTY : vec_str(args[1], row);
        if (pattern.len == 0) {
            vec_set_null(out, row);
            continue;
        }
        TRY(temporal__format(ctx, &p, call->variant == 1, pattern, out, row));
    }
    return ERR_OK;
}

db_err temporal_bind_str_to_date(BIND_ARGS)
{
    enum type_id id = TYPE_DATETIME;
    unsigned decimals = TIME_DECIMALS_MAX;
    const struct value *pattern = args[1].constant;
    if (pattern != NULL && !pattern->is_null && pattern->phys == PHYS_STR) {
        id = temporal_format_kind(pattern->str, &decimals);
    }
    temporal__want_pattern(ctx, &args[0]);
    temporal__want_pattern(ctx, &args[1]);
    func__result_null(call, type_temporal(id, decimals));
    return ERR_OK;
}

static bool parse_one(struct eval_ctx *ctx, const struct func_call *call, struct slice text,
                      struct slice pattern, int64_t *ret)
{
    struct time_parts p = {0};
    enum type_id kind;
    bool trailing = false;
    if (!temporal_parse_format(text, pattern, &p, &kind, &trailing)) {
        return false;
    }
    bool time = call->type.id == TYPE_TIME;
    if (time) {
        p.hour += p.day * 24;
        *ret = time_pack(&p);
    } else {
        *ret = datetime_pack(&p);
        if ((datetime_check(*ret, temporal_flags(ctx->cast->sql_mode)) & TEMPORAL_INVALID) != 0) {
            return false;
        }
    }
    if (trailing && pattern.len != 0) {
        const char *what = time ? "time" : call->type.id == TYPE_DATE ? "date" : "datetime";
        func__warn(ctx, ER_TRUNCATED_WRONG_VALUE, what, arena_strdup(ctx->arena, text));
    }
    return true;
}

db_err temporal_str_to_date(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct slice text = vec_str(args[0], row);
        int64_t v = 0;
        if (parse_one(ctx, call, text, vec_str(args[1], row), &v)) {
            vec_set_i64(out, row, call->type.id == TYPE_DATE ? datetime_date(v) : v);
            continue;
        }
        vec_set_null(out, row);
        func__warn(ctx, ER_WRONG_VALUE_FOR_TYPE, "datetime", arena_strdup(ctx->arena, text),
                   "str_to_date");
    }
    return ERR_OK;
}

db_err temporal_bind_get_format(BIND_ARGS)
{
    enum { FORMAT_CHARS = 17 };
    int64_t kind = 0;
    (void)func__const_int(ctx, &args[0], &kind);
    call->variant = (int)(kind < 0 || kind > 2 ? 0 : kind);
    temporal__want_ascii(ctx, &args[1]);
    func__result_ascii(ctx, call, FORMAT_CHARS);
    return ERR_OK;
}

db_err temporal_get_format(EVAL_ARGS)
{
    static const char *const names[] = {"USA", "JIS", "ISO", "EUR", "INTERNAL"};
    static const char *const formats[3][5] = {
        {"%m.%d.%Y", "%Y-%m-%d", "%Y-%m-%d", "%d.%m.%Y", "%Y%m%d"},
        {"%h:%i:%s %p", "%H:%i:%s", "%H:%i:%s", "%H.%i.%s", "%H%i%s"},
        {"%Y-%m-%d %H.%i.%s", "%Y-%m-%d %H:%i:%s", "%Y-%m-%d %H:%i:%s", "%Y-%m-%d %H.%i.%s",
         "%Y%m%d%H%i%s"}};
    EACH_ROW(row)
    {
        struct slice name = vec_str(args[1], row);
        vec_set_null(out, row);
        for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
            if (slice_eq_nocase(name, slice_str(names[i]))) {
                out->nulls[row >> 6] &= ~(1ull << (row & 63));
                TRY(func__set_ascii(ctx, out, row, slice_str(formats[call->variant][i])));
                break;
            }
        }
    }
    return ERR_OK;
}
