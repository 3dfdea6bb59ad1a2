/* Parameters whose places ask for numbers, as PREPARE has found (struct bound_stmt.param_numbers).
 *
 * MYSQL: such a parameter takes text for the kind of number that it has, and keeps the widest kind
 * that it was given. NULL is NULL. */
#include "sql/session/session_int.h"
#include "sql/types/decimal.h"

enum fit { FIT_WHOLE, FIT_PART, FIT_OUT_OF_RANGE };

static void note_said(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    enum fit *fit = arg;
    enum fit now = number == ER_WARN_DATA_OUT_OF_RANGE ? FIT_OUT_OF_RANGE : FIT_PART;
    (void)level;
    (void)text;
    *fit = now > *fit ? now : *fit;
}

/* How much of the text such a number holds, by what the cast says of it. */
static enum fit cast_fit(const struct cast_ctx *cast, const struct sql_type *from,
                         const struct value *v, const struct sql_type *to)
{
    struct cast_ctx quiet = *cast;
    struct diag scratch;
    struct value ignored;
    enum fit fit = FIT_WHOLE;
    diag_reset(&scratch);
    quiet.diag = &scratch;
    quiet.warn = note_said;
    quiet.warn_arg = &fit;
    return value_cast(&quiet, from, v, to, &ignored) == ERR_OK ? fit : FIT_OUT_OF_RANGE;
}

/* MYSQL: text that is a number, but is not written as an integer from 0 on, makes a DECIMAL of a
 * parameter that was to be an integer. */
static bool is_wide_text(const struct cast_ctx *cast, const struct sql_type *t,
                         const struct value *v)
{
    struct sql_type whole = bind_number_type(NUM_INT);
    struct sql_type decimal = bind_number_type(NUM_DECIMAL);
    size_t at = 0;
    while (at < v->str.len && v->str.ptr[at] == ' ') {
        at++;
    }
    bool negative = at < v->str.len && v->str.ptr[at] == '-';
    return (negative || cast_fit(cast, t, v, &whole) != FIT_WHOLE) &&
           cast_fit(cast, t, v, &decimal) == FIT_WHOLE;
}

/* The number that text begins with, with the decimals that are written. */
static void own_decimals(struct slice text, struct value *v)
{
    struct decimal d;
    unsigned lost = decimal_from_text(text, &d) & DECIMAL_OVERFLOW;
    if (lost == 0 && d.scale <= DECIMAL_SCALE_MAX && decimal_cmp(&d, &v->dec) == 0) {
        v->dec = d;
    }
}

static db_err convert(struct cast_ctx *cast, const struct sql_type *to, struct value *v,
                      struct sql_type *t)
{
    struct slice text = type_is_string(t) ? v->str : SLICE_EMPTY;
    if (to->id == TYPE_DECIMAL && type_is_integer(t)) { /* nor are zeros put behind it */
        struct decimal d;
        type_is_unsigned(t) ? decimal_from_uint(v->u, &d) : decimal_from_int(v->i, &d);
        *v = value_decimal(&d);
    } else {
        TRY(value_cast(cast, t, v, to, v));
    }
    if (to->id == TYPE_DECIMAL && text.len != 0) {
        own_decimals(text, v);
    }
    *t = *to;
    t->flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    return ERR_OK;
}

db_err param__number(struct sql_session *s, uint8_t *io_number, bool changes, struct value *v,
                     struct sql_type *t)
{
    enum func_number given = func_number_of(t);
    unsigned place =
        *io_number & (PARAM_NUMBER_COMPARED | PARAM_NUMBER_QUOTIENT | PARAM_NUMBER_ASKED);
    enum func_number kind = (enum func_number)(*io_number - place - 1);
    bool compared = place == PARAM_NUMBER_COMPARED;
    bool text = type_is_string(t);
    struct cast_ctx cast;
    if (v->is_null && !compared) {
        *t = bind_number_type(kind);
        t->flags |= TYPE_F_EXPR;
        value_set_null(v, t);
    }
    if (v->is_null || type_is_temporal(t) || t->id == TYPE_JSON) {
        return ERR_OK;
    }
    query__cast_ctx(s, &cast, false);
    cast.arena = &s->stmt_arena;
    if (!text) {
        kind = given > kind ? given : kind;
        *io_number = (uint8_t)(kind + place + 1);
        if (given == kind || compared) {
            return ERR_OK;
        }
    } else if (kind == NUM_INT && is_wide_text(&cast, t, v)) {
        kind = NUM_DECIMAL;
        *io_number = (uint8_t)(kind + place + 1);
    }
    struct sql_type to = bind_number_type(kind);
    struct sql_type decimal = bind_number_type(NUM_DECIMAL);
    /* what a change refuses is so where it is evaluated; what is too large compares as it is */
    if (place == PARAM_NUMBER_ASKED && text && changes && cast_fit(&cast, t, v, &to) != FIT_WHOLE) {
        return ERR_OK;
    }
    if (compared && ((changes && cast_fit(&cast, t, v, &to) != FIT_WHOLE) ||
                     cast_fit(&cast, t, v, &decimal) == FIT_OUT_OF_RANGE)) {
        return ERR_OK;
    }
    TRY(convert(&cast, place == PARAM_NUMBER_QUOTIENT && kind == NUM_INT ? &decimal : &to, v, t));
    if (place == PARAM_NUMBER_QUOTIENT && kind == NUM_INT) {
        t->decimals = 0;
    }
    return ERR_OK;
}
