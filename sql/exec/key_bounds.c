/* Bounds as the column's type has them.
 *
 * A bound is a value of any type; the column's type may not have it. It is stored as the column
 * would (clipped, rounded) and compared with the original: if they differ, an equality has no row,
 * and an interval's end moves to the side that keeps the condition true for exactly the same column
 * values. Of c > 5.5 on INT 6 is stored, which is more, so that c >= 6 is looked for; of c >
 * 3000000000 it is 2147483647, which is less: c > 2147483647, nothing. A descending part has its
 * order of keys reversed, NULLs included. */
#include "sql/exec/key_bounds.h"

#include <math.h>

#include "sql/codec/table_keys.h"
#include "sql/types/sql_mode.h"

enum {
    SEARCH_CHARS_MAX = 64 * 1024, /* many times what a key can have: the rest decides nothing */
    YEAR_MIN = 1901,
    YEAR_MAX = 2155
};

static void stored_integer(const struct sql_type *column, const struct value *v, struct value *ret,
                           int *ret_order)
{
    int64_t min;
    uint64_t max;
    type_int_range(column, &min, &max);
    bool negative = !v->is_unsigned && v->i < 0;
    *ret = *v;
    ret->is_unsigned = type_is_unsigned(column);
    ret->type = column->id;
    if (negative && v->i < min) {
        ret->i = min;
        *ret_order = 1; /* what is stored is greater than the bound */
    } else if (!negative && v->u > max) {
        ret->u = max;
        *ret_order = -1;
    }
}

/* Years are compared as the numbers that they are; those between 0 and YEAR_MIN are none. */
static db_err stored_year(struct cast_ctx *quiet, const struct sql_type *column,
                          const struct sql_type *type, const struct value *v, struct value *ret,
                          int *ret_order)
{
    double number;
    TRY(value_to_double(quiet, type, v, &number));
    double year = number <= 0         ? 0
                  : number < YEAR_MIN ? YEAR_MIN
                  : number > YEAR_MAX ? YEAR_MAX
                                      : floor(number);
    value_tag(ret, column);
    ret->u = (uint64_t)year;
    *ret_order = (year > number) - (year < number);
    return ERR_OK;
}

/* A date as a bound of TIMESTAMPs: what none of them is becomes the nearest one. Of others nothing
 * is done, and *ret_order is 0. */
static void nearest_stamp(const struct cast_ctx *cast, const struct sql_type *column,
                          const struct value *v, struct value *ret, int *ret_order)
{
    int64_t utc;
    *ret_order = 0;
    if (column->id != TYPE_TIMESTAMP || (v->type != TYPE_DATE && v->type != TYPE_DATETIME)) {
        return;
    }
    *ret_order = timestamp_nearest(cast->tz, v->t, &utc);
    if (*ret_order != 0 && datetime_round(utc, column->decimals, true, &utc)) {
        value_tag(ret, column);
        ret->t = utc;
    }
}

db_err exec__stored_form(struct exec_ctx *ctx, const struct sql_type *column,
                         const struct sql_type *type, const struct value *v, struct value *ret,
                         int *ret_order)
{
    *ret_order = 0;
    bool same_text = type_phys(column) == PHYS_STR && v->phys == PHYS_STR;
    if (same_text) {
        *ret = *v;
        if (type_reads_padded(column, ctx->sql_mode)) { /* keys are without blanks */
            ret->str = charset_trim_pad(collation_by_id(column->collation)->cs, v->str);
        }
        return ERR_OK;
    }
    bool named = type->id == TYPE_ENUM || type->id == TYPE_SET;
    if (v->phys == PHYS_INT && (type_is_integer(column) || (column->id == TYPE_BIT && !named))) {
        stored_integer(column, v, ret, ret_order);
        return ERR_OK;
    }
    struct cast_ctx quiet = *ctx->eval.cast;
    struct diag scratch;
    quiet.strict = false;
    quiet.warn = NULL;
    quiet.diag = &scratch;
    quiet.arena = ctx->arena;
    if (column->id == TYPE_YEAR && v->phys != PHYS_TIME && type->id != TYPE_JSON) {
        return stored_year(&quiet, column, type, v, ret, ret_order);
    }
    struct value number;
    struct sql_type real = type_double();
    if (type_is_integer(column) && v->phys == PHYS_STR) {
        if (text_whole_number(v->str, &number)) {
            stored_integer(column, &number, ret, ret_order);
            return ERR_OK;
        }
        TRY(value_cast(&quiet, type, v, &real, &number)); /* whoever compares says what is wrong */
        type = &real;
        v = &number;
    }
    if (type_is_temporal(column) && v->phys == PHYS_TIME && v->t == TEMPORAL_LOWEST) {
        value_tag(ret, column);
        ret->t = column->id == TYPE_TIME ? -TIME_MICROS_MAX : 0;
        *ret_order = 1; /* what is stored is greater, also a zero date */
        return ERR_OK;
    }
    if (type_has_date(column) && v->phys == PHYS_TIME) { /* any date is in the keys' order */
        quiet.sql_mode &= ~(uint64_t)(SQL_MODE_NO_ZERO_DATE | SQL_MODE_NO_ZERO_IN_DATE);
        quiet.sql_mode |= SQL_MODE_ALLOW_INVALID_DATES;
        quiet.sql_mode |= SQL_MODE_TIME_TRUNCATE_FRACTIONAL; /* what is rounded up may be none */
        nearest_stamp(&quiet, column, v, ret, ret_order);
        if (*ret_order != 0) {
            return ERR_OK;
        }
    }
    struct store_target target = {.column = "", .row = 1};
    TRY(type_store(&quiet, column, &target, type, v, ret));
    if (ret->is_null) {
        *ret_order = 1;
        return ERR_OK;
    }
    enum compare_kind kind = compare_kind(column, type);
    double tolerance = kind == COMPARE_DOUBLE ? compare_tolerance(column, type) : 0;
    if (tolerance != 0) {
        double stored;
        double searched;
        TRY(value_to_double(&quiet, column, ret, &stored));
        TRY(value_to_double(&quiet, type, v, &searched));
        *ret_order = compare_near(stored, searched, tolerance);
        return ERR_OK;
    }
    return value_compare(&quiet, kind, collation_by_id(column->collation), column, ret, type, v,
                         ret_order);
}

/* MYSQL: by the key of a DECIMAL column text is looked for to its last digit, also where rows and
 * text compare as doubles, of which many decimals of over 15 digits are the same one. What it was
 * made a double for has said what is wrong with it. */
static db_err take_digits(struct exec_ctx *ctx, const struct bexpr *e,
                          const struct sql_type *column, struct value *io)
{
    struct value text;
    struct decimal d;
    if (column->id != TYPE_DECIMAL || e->kind != BEXPR_CAST || e->type.id != TYPE_DOUBLE ||
        !type_is_string(&e->args[0]->type) ||
        !collation_by_id(e->args[0]->type.collation)->cs->ascii_superset) {
        return ERR_OK;
    }
    TRY(expr_eval_scalar(ctx, e->args[0], &text));
    if (!text.is_null && decimal_from_text(text.str, &d) == DECIMAL_OK) {
        *io = value_decimal(&d);
    }
    return ERR_OK;
}

db_err exec__eval_bound(struct exec_ctx *ctx, const struct bexpr *e, const struct sql_type *column,
                        struct value *ret, int *ret_order)
{
    struct value v;
    TRY(expr_eval_scalar(ctx, e, &v));
    TRY(take_digits(ctx, e, column, &v));
    *ret_order = 0;
    if (v.is_null) {
        *ret = v;
        return ERR_OK;
    }
    struct sql_type own = value_type(&v);
    bool other = e->type.id == TYPE_NULL || type_phys(&e->type) != (enum phys_kind)v.phys;
    return exec__stored_form(ctx, column, other ? &own : &e->type, &v, ret, ret_order);
}

db_err exec__eval_interval_end(struct exec_ctx *ctx, const struct bexpr *e, bool inclusive,
                               bool is_low, const struct sql_type *column, struct bound *ret,
                               bool *ret_empty)
{
    int order;
    *ret = (struct bound){.inclusive = inclusive};
    if (e == NULL) {
        return ERR_OK;
    }
    TRY(exec__eval_bound(ctx, e, column, &ret->v, &order));
    if (ret->v.is_null) {
        *ret_empty = true;
        return ERR_OK;
    }
    if (order != 0 && type_is_temporal(column) && type_phys(&e->type) != PHYS_TIME) {
        return ERR_OK; /* a number that no column's value is: rows are compared, too */
    }
    ret->given = true;
    if (order != 0) {
        ret->inclusive = is_low ? order > 0 : order < 0;
    }
    return ERR_OK;
}

/* Text that is looked for may be longer than any that a key holds. No key that is stored is longer
 * than STORAGE_KEY_SIZE_MAX, and none is the beginning of another one: what a longer key has behind
 * that does not change where it stands among them. */
db_err exec__put_value(const struct key_column *kc, const struct value *v, struct buf *key)
{
    struct value searched = *v;
    if (v->phys == PHYS_STR && v->str.len > SEARCH_CHARS_MAX) {
        searched.str = charset_substring(kc->collation->cs, v->str, 0, SEARCH_CHARS_MAX);
    }
    TRY(key_encode(kc, &searched, key));
    key->len = key->len > STORAGE_KEY_SIZE_MAX ? STORAGE_KEY_SIZE_MAX : key->len;
    return ERR_OK;
}

/* start/end of the interval behind `prefix`, which is in `base`. */
static db_err interval_start(struct exec_ctx *ctx, const struct key_column *kc, bool not_null,
                             const struct bound *low, const struct bound *high, struct buf *base,
                             struct slice prefix, struct key_range *ret)
{
    const struct bound *first = kc->desc ? high : low;
    bool skip_null = kc->nullable && not_null;
    if (first->given) {
        TRY(exec__put_value(kc, &first->v, base));
        if (!first->inclusive) {
            key_prefix_end(base);
        }
    } else if (skip_null && !kc->desc) {
        TRY(key_encode_null(kc, base));
        key_prefix_end(base);
    }
    TRY(arena_copy(ctx->arena, buf_slice(base), &ret->start));
    buf_reset(base); /* the end of 0xff bytes changes what stands before them */
    return buf_append_slice(base, prefix);
}

static db_err interval_end(struct exec_ctx *ctx, const struct key_column *kc, bool not_null,
                           const struct bound *low, const struct bound *high, struct buf *base,
                           struct key_range *ret)
{
    const struct bound *last = kc->desc ? low : high;
    bool skip_null = kc->nullable && not_null;
    if (last->given) {
        TRY(exec__put_value(kc, &last->v, base));
        if (last->inclusive) {
            key_prefix_end(base);
        }
    } else if (skip_null && kc->desc) {
        TRY(key_encode_null(kc, base));
    } else {
        key_prefix_end(base);
    }
    return arena_copy(ctx->arena, buf_slice(base), &ret->end);
}

db_err exec__put_interval(struct exec_ctx *ctx, const struct key_column *kc, bool not_null,
                          const struct bound *low, const struct bound *high, struct buf *base,
                          struct slice *ret_before, struct key_range *ret)
{
    TRY(arena_copy(ctx->arena, buf_slice(base), ret_before));
    TRY(interval_start(ctx, kc, not_null, low, high, base, *ret_before, ret));
    return interval_end(ctx, kc, not_null, low, high, base, ret);
}
