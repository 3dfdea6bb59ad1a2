/* Parameters whose places ask for numbers, as PREPARE has found (struct bound_stmt.param_numbers).
 *
 * MYSQL: such a parameter takes text for the kind of number that it has. A value that does not fit
 * (a DECIMAL for an integer, a number for text) makes the server prepare the statement again: each
 * parameter is then of the type of the value that it has just been given, text that is a number of
 * the former kind stays one, and of NULL the place decides anew. */
#include "sql/charset/charset.h"
#include "sql/session/session_int.h"
#include "sql/types/decimal.h"
#include "sql/types/sql_mode.h"

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
 * parameter that was to be an integer, or a DOUBLE where it is too large for one. NUM_INT: none. */
static enum func_number wide_text(const struct cast_ctx *cast, const struct sql_type *t,
                                  const struct value *v)
{
    size_t at = 0;
    while (at < v->str.len && v->str.ptr[at] == ' ') {
        at++;
    }
    bool negative = at < v->str.len && v->str.ptr[at] == '-';
    struct sql_type to = bind_number_type(NUM_INT);
    if (!negative && cast_fit(cast, t, v, &to) == FIT_WHOLE) {
        return NUM_INT;
    }
    to = bind_number_type(NUM_DECIMAL);
    enum fit fit = cast_fit(cast, t, v, &to);
    to = bind_number_type(NUM_DOUBLE);
    return fit == FIT_WHOLE                                                    ? NUM_DECIMAL
           : fit == FIT_OUT_OF_RANGE && cast_fit(cast, t, v, &to) == FIT_WHOLE ? NUM_DOUBLE
                                                                               : NUM_INT;
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

static bool is_date(unsigned number)
{
    return number == PARAM_DATE || number == PARAM_DATETIME;
}

static bool is_number(unsigned number)
{
    return !is_date(number) && (number & ~(unsigned)PARAM_NUMBER_FLAGS) != 0;
}

static enum func_number kind_of(unsigned number)
{
    return (enum func_number)((number & ~(unsigned)PARAM_NUMBER_FLAGS) - 1);
}

/* A value as the kind of number that its parameter has. */
static db_err as_number(struct cast_ctx *cast, unsigned number, bool changes, struct value *v,
                        struct sql_type *t)
{
    enum func_number kind = kind_of(number);
    unsigned place = number & PARAM_NUMBER_FLAGS;
    bool compared = place == PARAM_NUMBER_COMPARED || place == PARAM_NUMBER_TEXT;
    if (place == PARAM_NUMBER_ARGUMENT && !v->is_null) {
        kind = type_is_string(t) ? wide_text(cast, t, v) : func_number_of(t);
    }
    bool whole_quotient = place == PARAM_NUMBER_QUOTIENT && kind == NUM_INT;
    if (v->is_null && !compared) {
        *t = bind_number_type(kind);
        t->flags |= TYPE_F_EXPR;
        value_set_null(v, t);
    }
    if (v->is_null || (!type_is_string(t) && (compared || func_number_of(t) == kind))) {
        return ERR_OK;
    }
    /* text and numbers meet as DOUBLE */
    struct sql_type to = bind_number_type(place == PARAM_NUMBER_TEXT ? NUM_DOUBLE : kind);
    struct sql_type decimal = bind_number_type(NUM_DECIMAL);
    /* what a change refuses is so where it is evaluated; what is too large compares as it is */
    bool later = compared || (place >= PARAM_NUMBER_ASKED && type_is_string(t));
    if ((later && changes && cast_fit(cast, t, v, &to) != FIT_WHOLE) ||
        (compared && cast_fit(cast, t, v, &decimal) == FIT_OUT_OF_RANGE)) {
        return ERR_OK;
    }
    TRY(convert(cast, whole_quotient ? &decimal : &to, v, t));
    t->decimals = whole_quotient ? 0 : t->decimals;
    return ERR_OK;
}

/* A number or text beside dates, as a date with a time of day. MYSQL: any that can be written is
 * one, whatever sql_mode says of its zeros and of days that its month does not have; nothing is
 * told of what is behind it. What is none stays as it is. */
static db_err as_date(const struct cast_ctx *cast, unsigned number, struct value *v,
                      struct sql_type *t)
{
    struct cast_ctx quiet = *cast;
    struct diag scratch;
    struct value date;
    struct sql_type to = type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX);
    if (v->is_null || (!type_is_string(t) && !type_is_numeric(t))) {
        return ERR_OK;
    }
    diag_reset(&scratch);
    quiet.diag = &scratch;
    quiet.warn = NULL;
    quiet.sql_mode &= ~(uint64_t)(SQL_MODE_NO_ZERO_DATE | SQL_MODE_NO_ZERO_IN_DATE);
    quiet.sql_mode |= SQL_MODE_ALLOW_INVALID_DATES;
    db_err err = value_cast(&quiet, t, v, &to, &date);
    if (err == ERR_OK && date.is_null && number == PARAM_DATE && type_is_numeric(t)) {
        to.wire |= TYPE_W_LENIENT_DATE; /* days of no month */
        err = value_cast(&quiet, t, v, &to, &date);
    }
    if (err == ERR_SQL || (err == ERR_OK && date.is_null)) {
        return ERR_OK;
    }
    TRY(err);
    *v = date;
    *t = to;
    t->wire = 0;
    t->flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    return ERR_OK;
}

/* What a parameter may be given beside text: kinds of numbers in the order in which each holds
 * those before, and one class for each other type. */
static unsigned class_of(const struct sql_type *t)
{
    enum { OTHERS = 8 };
    return type_is_string(t)    ? 0
           : type_is_numeric(t) ? 1u + (unsigned)func_number_of(t)
                                : OTHERS + (unsigned)t->id;
}

static bool fits(const struct cast_ctx *cast, const struct param_state *p, const struct value *v,
                 const struct sql_type *t)
{
    unsigned given = class_of(t);
    unsigned has = is_number(p->number) ? 1u + (unsigned)kind_of(p->number) : p->given;
    if (v->is_null || (given == 0 && has != 1u + NUM_INT)) {
        return true;
    }
    if (given == 0) {
        return !is_number(p->number) || wide_text(cast, t, v) == NUM_INT;
    }
    return given == has || (given < has && has <= 1u + NUM_DOUBLE);
}

/* The statement is prepared again: the parameter is of its value's type. */
static void take(const struct cast_ctx *cast, struct param_state *io, const struct value *v,
                 const struct sql_type *t)
{
    unsigned given = v->is_null ? 0 : class_of(t);
    if (v->is_null || is_date(io->place)) {
        io->number = io->place;
    } else if (given != 0) {
        bool number = io->place != 0 && given <= 1u + NUM_DOUBLE;
        io->number = number ? (uint8_t)((io->place & PARAM_NUMBER_FLAGS) + given) : 0;
    } else if (is_number(io->number)) {
        struct sql_type to = bind_number_type(kind_of(io->number));
        enum func_number wide = kind_of(io->number) == NUM_INT ? wide_text(cast, t, v) : NUM_INT;
        if (wide != NUM_INT) {
            io->number = (uint8_t)((io->number & PARAM_NUMBER_FLAGS) + 1u + wide);
        } else if (cast_fit(cast, t, v, &to) != FIT_WHOLE) {
            io->number = 0;
        }
    }
    io->given = (uint16_t)given;
}

db_err param__numbers(struct sql_session *s, struct param_state *io_states, uint32_t count,
                      bool changes, struct value *values, struct sql_type *types)
{
    struct cast_ctx cast;
    bool again = false;
    query__cast_ctx(s, &cast, false);
    cast.arena = &s->stmt_arena;
    for (uint32_t i = 0; i < count; i++) {
        again = again || !fits(&cast, &io_states[i], &values[i], &types[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (again) {
            take(&cast, &io_states[i], &values[i], &types[i]);
        }
        if (is_date(io_states[i].place)) {
            TRY(as_date(&cast, io_states[i].place, &values[i], &types[i]));
        } else if (is_number(io_states[i].number)) {
            TRY(as_number(&cast, io_states[i].number, changes, &values[i], &types[i]));
        }
    }
    return ERR_OK;
}

db_err param__storable(struct sql_session *s, const uint16_t *collations, uint32_t count,
                       const struct value *values, const struct sql_type *types)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct value *v = &values[i];
        if (collations[i] == 0 || v->is_null || !type_is_string(&types[i]) ||
            types[i].collation == COLL_BINARY) {
            continue;
        }
        const struct collation *from = collation_by_id(types[i].collation);
        const struct collation *to = collation_by_id(collations[i]);
        struct slice ignored;
        size_t lost = 0;
        if (from->cs != to->cs) {
            TRY(charset_convert_arena(from->cs, v->str, to->cs, &s->stmt_arena, &ignored, &lost));
        }
        if (lost != 0) {
            return my_error(&s->diag, ER_IMPOSSIBLE_STRING_CONVERSION, from->name, to->name,
                            "parameter");
        }
    }
    return ERR_OK;
}
