/* Values of parameters as their places ask for them (struct bound_stmt.param_places; how PREPARE
 * finds what a place says: sql/bind/bind_param.c).
 *
 * MYSQL: text that is given is text of the place's collation, 3988 if that cannot have it; bytes
 * are taken for such text as they are. A parameter that is a number takes text for the kind of
 * number that it has. A value that does not fit (a DECIMAL for an integer, a number for text) makes
 * the server prepare the statement again: each parameter is then of the type of the value that it
 * has just been given, text that is a number of the former kind stays one, and of NULL the place
 * decides anew.
 *
 * MYSQL: what is no such number stays text within, and is read as a number where a number is asked
 * for. A branch of IF, CASE or NULLIF that is a DECIMAL is asked for its text when it is shown:
 * the binder has the text, and its number as a cast (struct param_manner). Everywhere else the
 * number is made here, and told of once.
 *
 * MYSQL: what is to be a date or time takes text and numbers, too. When the statement is prepared
 * again, such a one is of what it was given wholly: a DATE, a DATETIME or a TIME. Otherwise it is
 * of its value's type, and compares as a variable does (struct param_manner, `own`). */
#include "sql/charset/charset.h"
#include "sql/session/session_int.h"
#include "sql/types/decimal.h"
#include "sql/types/sql_mode.h"
#include "sql/types/temporal.h"

enum fit { FIT_WHOLE, FIT_PART, FIT_OUT_OF_RANGE };

static void note_said(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    enum fit *fit = arg;
    bool written = number == ER_WARN_DEPRECATED_DATETIME_DELIMITER ||
                   number == ER_WARN_DEPRECATED_SUPERFLUOUS_DELIMITER;
    enum fit now = number == ER_WARN_DATA_OUT_OF_RANGE ? FIT_OUT_OF_RANGE
                   : written                           ? FIT_WHOLE
                                                       : FIT_PART;
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

static unsigned moment_of(unsigned number)
{
    unsigned moment = number & PARAM_MOMENTS;
    return moment >= PARAM_DATE ? moment : 0;
}

static bool is_number(unsigned number)
{
    return moment_of(number) == 0 && (number & ~(unsigned)PARAM_NUMBER_FLAGS) != 0;
}

static enum func_number kind_of(unsigned number)
{
    return (enum func_number)((number & ~(unsigned)PARAM_NUMBER_FLAGS) - 1);
}

/* A value as the kind of number that its parameter has. */
static db_err as_number(struct cast_ctx *cast, const struct param_state *p, bool changes,
                        struct value *v, struct sql_type *t)
{
    unsigned number = p->number;
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
    if (p->place.is_unsigned && p->given == 0 && to.id == TYPE_BIGINT) {
        to = type_int(TYPE_BIGINT, true);
    }
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

/* MYSQL: any date that can be written is one, whatever sql_mode says of its zeros and of days that
 * its month does not have; nothing is told of what is behind it. */
static struct cast_ctx of_any_date(const struct cast_ctx *cast, struct diag *scratch)
{
    struct cast_ctx quiet = *cast;
    diag_reset(scratch);
    quiet.diag = scratch;
    quiet.warn = NULL;
    quiet.sql_mode &= ~(uint64_t)(SQL_MODE_NO_ZERO_DATE | SQL_MODE_NO_ZERO_IN_DATE);
    quiet.sql_mode |= SQL_MODE_ALLOW_INVALID_DATES;
    return quiet;
}

/* MYSQL: of a number a DATE may be a day of no month; a DATETIME may not. */
static db_err any_date(const struct cast_ctx *any, unsigned moment, const struct sql_type *t,
                       const struct value *v, const struct sql_type *to, struct value *ret)
{
    struct cast_ctx cast = *any;
    struct diag scratch;
    struct sql_type lenient = *to;
    bool day = moment == PARAM_DATE && type_is_numeric(t);
    lenient.wire |= TYPE_W_LENIENT_DATE;
    if (day) {
        diag_reset(&scratch);
        cast.diag = &scratch;
        cast.warn = NULL;
        db_err err = value_cast(&cast, t, v, to, ret);
        if (err == ERR_OK && !ret->is_null) {
            return ERR_OK;
        }
        cast = *any;
    }
    return value_cast(&cast, t, v, day ? &lenient : to, ret);
}

static unsigned moment_of_type(const struct sql_type *t)
{
    return t->id == TYPE_DATE ? PARAM_DATE : t->id == TYPE_TIME ? PARAM_TIME : PARAM_DATETIME;
}

/* MYSQL: a number is a DATE as long as it has no time of day, but 0 is a DATETIME; text is one that
 * is written without. In text and integers a TIME may be found to be a DATETIME. */
static unsigned moment_written(const struct cast_ctx *quiet, unsigned asked, const struct value *v,
                               const struct sql_type *t)
{
    enum { LAST_DAY = 99991231 };
    const int64_t last_time = 10000000000;
    struct cast_ctx cast = *quiet;
    struct sql_type integer = bind_number_type(NUM_INT);
    struct value whole;
    int64_t ignored;
    int32_t offset;
    if (type_is_string(t)) {
        unsigned said =
            asked == PARAM_TIME
                ? time_parse(v->str, TIME_DECIMALS_MAX, 0, &ignored, NULL, &offset, NULL)
                : datetime_parse(v->str, TIME_DECIMALS_MAX, TEMPORAL_F_INVALID_DATES, &ignored,
                                 &offset, NULL);
        return asked == PARAM_TIME && (said & TEMPORAL_IS_DATETIME) == 0 ? PARAM_TIME
               : (said & TEMPORAL_NO_TIME) != 0                          ? PARAM_DATE
                                                                         : PARAM_DATETIME;
    }
    if (value_cast(&cast, t, v, &integer, &whole) != ERR_OK || whole.is_null) {
        return PARAM_DATETIME;
    }
    if (asked == PARAM_TIME) {
        return type_is_integer(t) && whole.i > last_time ? PARAM_DATETIME : PARAM_TIME;
    }
    return whole.i != 0 && whole.i <= LAST_DAY ? PARAM_DATE : PARAM_DATETIME;
}

/* What the value is where such a moment is asked for; 0: wholly none. */
static unsigned made_moment(const struct cast_ctx *cast, unsigned asked, const struct value *v,
                            const struct sql_type *t)
{
    struct diag scratch;
    struct value made;
    enum fit fit = FIT_WHOLE;
    if (type_is_temporal(t)) {
        return moment_of_type(t);
    }
    if (!type_is_string(t) && !type_is_numeric(t)) {
        return 0;
    }
    struct sql_type to =
        type_temporal(asked == PARAM_TIME ? TYPE_TIME : TYPE_DATETIME, TIME_DECIMALS_MAX);
    struct cast_ctx any = of_any_date(cast, &scratch);
    any.warn = note_said;
    any.warn_arg = &fit;
    bool is = any_date(&any, asked, t, v, &to, &made) == ERR_OK && !made.is_null;
    any.warn = NULL;
    return is && fit == FIT_WHOLE ? moment_written(&any, asked, v, t) : 0;
}

/* What a function asks for; what is wholly none is left to it. */
static db_err as_asked(const struct cast_ctx *cast, unsigned moment, struct value *v,
                       struct sql_type *t)
{
    struct diag scratch;
    struct value made;
    struct sql_type to =
        moment == PARAM_DATE
            ? type_temporal(TYPE_DATE, 0)
            : type_temporal(moment == PARAM_TIME ? TYPE_TIME : TYPE_DATETIME, TIME_DECIMALS_MAX);
    if (v->is_null) {
        to.flags |= TYPE_F_EXPR;
        *t = to;
        value_set_null(v, t);
        return ERR_OK;
    }
    struct sql_type with_time =
        moment == PARAM_DATE ? type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX) : to;
    bool other = type_is_temporal(t) && !(t->id == TYPE_DATE && moment == PARAM_DATETIME) &&
                 !(t->id == TYPE_DATETIME && moment == PARAM_TIME);
    if (other || cast_fit(cast, t, v, &with_time) != FIT_WHOLE) {
        return ERR_OK;
    }
    struct cast_ctx any = of_any_date(cast, &scratch);
    TRY(any_date(&any, moment, t, v, &with_time, &made));
    *v = value_temporal(to.id, made.t, to.decimals);
    *t = to;
    t->flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    return ERR_OK;
}

/* A number or text beside dates, as a date with a time of day. What is none stays as it is. */
static db_err as_date(const struct cast_ctx *cast, unsigned number, struct value *v,
                      struct sql_type *t)
{
    struct diag scratch;
    struct value date;
    struct sql_type to = type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX);
    if (number == PARAM_TIME && !v->is_null && type_has_date(t)) { /* what of it is a time */
        return as_asked(cast, number, v, t);
    }
    if (v->is_null || number == PARAM_TIME || (!type_is_string(t) && !type_is_numeric(t))) {
        return ERR_OK;
    }
    struct cast_ctx quiet = of_any_date(cast, &scratch);
    db_err err = any_date(&quiet, number, t, v, &to, &date);
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

/* A number or text among branches that are moments, as one of microseconds, or as a DATE. What is
 * none is told of and is NULL, but a change refuses it where it is used. */
static db_err as_branch(const struct cast_ctx *cast, unsigned moment, bool changes, struct value *v,
                        struct sql_type *t)
{
    struct diag scratch;
    struct value made;
    struct sql_type to =
        type_temporal(moment == PARAM_TIME ? TYPE_TIME : TYPE_DATETIME, TIME_DECIMALS_MAX);
    bool same = type_is_temporal(t) && moment_of_type(t) == moment;
    bool other = same || (!type_is_string(t) && !type_is_numeric(t) && !type_is_temporal(t));
    if ((!v->is_null && other) ||
        (changes && !v->is_null && cast_fit(cast, t, v, &to) != FIT_WHOLE)) {
        return ERR_OK;
    }
    to.wire |= moment == PARAM_DATE ? TYPE_W_NAME_DATE : 0u;
    bool whole = !v->is_null && made_moment(cast, moment, v, t) != 0;
    struct cast_ctx any = of_any_date(cast, &scratch);
    any.diag = whole ? &scratch : cast->diag;
    any.warn = whole ? NULL : cast->warn;
    made = *v;
    if (!v->is_null) {
        TRY(any_date(&any, moment, t, v, &to, &made));
    }
    to = moment == PARAM_DATE ? type_temporal(TYPE_DATE, 0) : to;
    to.wire = 0;
    to.flags |= TYPE_F_EXPR | (made.is_null ? 0u : TYPE_F_NOT_NULL);
    *t = to;
    if (made.is_null) {
        value_set_null(v, t);
    } else {
        *v = value_temporal(to.id, made.t, to.decimals);
    }
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
    unsigned moment = moment_of(p->number);
    if (moment != 0 && !v->is_null) {
        unsigned made = made_moment(cast, moment, v, t);
        bool typed =
            type_is_temporal(t) && (t->id == TYPE_DATE || moment_of(p->place.number) != moment);
        return made == 0 || made == moment || (moment == PARAM_TIME && !typed) ||
               (moment == PARAM_DATETIME && (made == PARAM_DATE || t->id == TYPE_TIME));
    }
    unsigned has = is_number(p->number) ? 1u + (unsigned)kind_of(p->number) : p->given;
    if (v->is_null || (given == 0 && has != 1u + NUM_INT)) {
        return true;
    }
    bool was_unsigned = p->place.is_unsigned && p->given == 0;
    if (was_unsigned && given == 1u + NUM_INT && !type_is_unsigned(t)) {
        return false;
    }
    if (given == 0) {
        return !is_number(p->number) || wide_text(cast, t, v) == NUM_INT;
    }
    return given == has || (given < has && has <= 1u + NUM_DOUBLE);
}

/* The flags of a number that is given where a place says what `place` does. */
static unsigned flags_of(unsigned place)
{
    bool branch = moment_of(place) != 0 && (place & PARAM_NUMBER_COMPARED) == 0;
    return branch ? PARAM_NUMBER_ASKED : place & PARAM_NUMBER_FLAGS;
}

/* The statement is prepared again: the parameter is of its value's type. MYSQL: what was a moment,
 * and is given what is one, is the moment that it is given. */
static void take(const struct cast_ctx *cast, struct param_state *io, const struct value *v,
                 const struct sql_type *t)
{
    unsigned given = v->is_null ? 0 : class_of(t);
    unsigned moment = moment_of(io->number);
    unsigned made = moment != 0 && !v->is_null ? made_moment(cast, moment, v, t) : 0;
    if (v->is_null) {
        io->number = io->place.number;
    } else if (made != 0) {
        io->number = (uint8_t)((io->place.number & PARAM_NUMBER_FLAGS) | made);
        given = 0;
    } else if (given != 0) {
        bool number = io->place.number != 0 && given <= 1u + NUM_DOUBLE;
        io->number = number ? (uint8_t)(flags_of(io->place.number) + given) : 0;
    } else if (is_number(io->number)) {
        struct sql_type to = bind_number_type(kind_of(io->number));
        enum func_number wide = kind_of(io->number) == NUM_INT ? wide_text(cast, t, v) : NUM_INT;
        if (wide != NUM_INT) {
            io->number = (uint8_t)((io->number & PARAM_NUMBER_FLAGS) + 1u + wide);
        } else if (cast_fit(cast, t, v, &to) != FIT_WHOLE) {
            io->number = 0;
        }
    } else if (moment != 0) {
        io->number = 0;
    }
    io->given = (uint16_t)given;
    io->own_text =
        !v->is_null && given == 0 && !is_number(io->number) && moment_of(io->number) == 0;
}

static uint32_t alone(const struct ast_expr *e, struct param_state *io_states)
{
    if (e == NULL || e->kind != AST_EXPR_PARAM) {
        return 0;
    }
    if (io_states != NULL) {
        struct param_state *p = &io_states[((const struct ast_param *)e)->index];
        if (p->place.number == 0) {
            p->place.number = PARAM_NUMBER_ALONE;
        }
        p->number = p->place.number;
    }
    return 1;
}

static uint32_t alone_among(const struct ast_select_list *items, struct param_state *io_states)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < items->count; i++) {
        count += alone(items->items[i]->expr, io_states);
    }
    return count;
}

uint32_t param__alone(const struct ast_stmt *ast, struct param_state *io_states)
{
    uint32_t count = 0;
    if (ast->kind == AST_STMT_DO) {
        return alone_among(&((const struct ast_do *)ast)->items, io_states);
    }
    if (ast->kind == AST_STMT_SELECT) {
        const struct ast_body *body = ((const struct ast_select_stmt *)ast)->query->body;
        return body->kind != AST_BODY_SELECT
                   ? 0
                   : alone_among(&((const struct ast_select *)body)->items, io_states);
    }
    const struct ast_set_item_list *items =
        ast->kind == AST_STMT_SET ? &((const struct ast_set *)ast)->items : NULL;
    for (uint32_t i = 0; items != NULL && i < items->count; i++) {
        count += alone(items->items[i]->value, io_states);
    }
    return count;
}

/* Text that a column or place of another charset is to have. */
static db_err convert_text(struct sql_session *s, const struct value *v, unsigned from_id,
                           unsigned to_id, struct slice *ret)
{
    const struct collation *from = collation_by_id(from_id);
    const struct collation *to = collation_by_id(to_id);
    size_t lost = 0;
    *ret = v->str;
    if (from->cs == to->cs || from_id == COLL_BINARY || to_id == COLL_BINARY) {
        return ERR_OK;
    }
    TRY(charset_convert_arena(from->cs, v->str, to->cs, &s->stmt_arena, ret, &lost));
    return lost == 0 ? ERR_OK
                     : my_error(&s->diag, ER_IMPOSSIBLE_STRING_CONVERSION, from->name, to->name,
                                "parameter");
}

/* MYSQL: a parameter that no place says anything of is text of the connection's collation. */
static void null_text(const struct sql_session *s, struct value *v, struct sql_type *t)
{
    *t = type_char(TYPE_VARCHAR, VARCHAR_BYTES_MAX / 4, s->vars.collation_connection);
    t->flags |= TYPE_F_EXPR;
    value_set_null(v, t);
}

void param__no_place(const struct sql_session *s, struct param_values *io)
{
    for (uint32_t i = 0; i < io->count; i++) {
        if (io->values[i].is_null) {
            null_text(s, &io->values[i], &io->types[i]);
        }
    }
}

/* Text, or NULL, as text of the place. MYSQL: one that a number was given is none any more, nor one
 * that is prepared again. */
static db_err as_text(struct sql_session *s, const struct param_state *p, struct value *v,
                      struct sql_type *t, struct param_manner *manner)
{
    struct slice text;
    const struct param_place *place = &p->place;
    bool alone = !place->known || place->number == PARAM_NUMBER_ALONE;
    if ((p->own_text || (alone && p->given == 0)) && v->is_null && !place->is_compared) {
        null_text(s, v, t);
        return ERR_OK;
    }
    if (place->collation == 0 || p->given != 0 || p->own_text ||
        (v->is_null && place->is_compared) || (!v->is_null && !type_is_string(t))) {
        return ERR_OK;
    }
    struct sql_type to = bind_param_text_type(place);
    to.flags |= TYPE_F_EXPR;
    if (v->is_null) {
        value_set_null(v, &to);
    } else {
        TRY(convert_text(s, v, t->collation, place->collation, &text));
        *v = value_str(text, place->collation);
        v->type = to.id;
        to.flags |= TYPE_F_NOT_NULL;
    }
    *t = to;
    manner->placed = true;
    manner->coercibility = place->coercibility;
    return ERR_OK;
}

/* Text that stays text, of which a number is made where one is asked for. */
static bool reads_number(const struct cast_ctx *cast, const struct param_state *p,
                         const struct value *v, const struct sql_type *t)
{
    struct sql_type to = bind_number_type(kind_of(p->number));
    return p->place.is_late && !v->is_null && type_is_string(t) &&
           cast_fit(cast, t, v, &to) != FIT_WHOLE;
}

static db_err place_one(struct sql_session *s, struct cast_ctx *cast, const struct param_state *p,
                        bool changes, struct value *v, struct sql_type *t,
                        struct param_manner *manner)
{
    unsigned moment = moment_of(p->number);
    manner->own = moment == 0 && moment_of(p->place.number) != 0;
    if (moment != 0 && (p->number & PARAM_NUMBER_COMPARED) != 0) {
        return as_date(cast, moment, v, t);
    }
    if (moment != 0 && (p->number & PARAM_NUMBER_ASKED) != 0) {
        return as_asked(cast, moment, v, t);
    }
    if (moment != 0) {
        return as_branch(cast, moment, changes, v, t);
    }
    bool text = manner->own && type_is_string(t) && (p->number & PARAM_NUMBER_ASKED) != 0;
    if (!is_number(p->number) || text) { /* MYSQL: it meets the others as text all the same */
        return as_text(s, p, v, t, manner);
    }
    bool seconds = (p->place.number & PARAM_NUMBER_FLAGS) == PARAM_NUMBER_SECONDS;
    if (seconds && !v->is_null && !type_is_integer(t)) {
        return ERR_OK;
    }
    if (reads_number(cast, p, v, t)) {
        manner->reads = (uint8_t)(1u + kind_of(p->number));
        return ERR_OK;
    }
    return as_number(cast, p, changes, v, t);
}

db_err param__place(struct sql_session *s, struct param_state *io_states, bool changes,
                    struct param_values *io)
{
    struct cast_ctx cast;
    bool again = false;
    query__cast_ctx(s, &cast, false);
    cast.arena = &s->stmt_arena;
    for (uint32_t i = 0; i < io->count; i++) {
        struct slice ignored;
        const struct value *v = &io->values[i];
        const struct sql_type *t = &io->types[i];
        if (io_states[i].place.stored != 0 && !v->is_null && type_is_string(t)) {
            TRY(convert_text(s, v, t->collation, io_states[i].place.stored, &ignored));
        }
        again = again || !fits(&cast, &io_states[i], v, t);
    }
    for (uint32_t i = 0; i < io->count; i++) {
        struct value *v = &io->values[i];
        struct sql_type *t = &io->types[i];
        if (again) {
            take(&cast, &io_states[i], v, t);
        }
        TRY(place_one(s, &cast, &io_states[i], changes, v, t, &io->manners[i]));
    }
    return ERR_OK;
}
