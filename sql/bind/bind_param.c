/* What PREPARE finds of parameters by the places where they stand: struct param_place.
 *
 * MYSQL: a parameter has a type before it has a value.
 * - Where values meet or one of them is the result (comparisons, LIKE, IN, BETWEEN, CASE, NULLIF,
 *   STRCMP, FIELD; IF, CASE, IFNULL, COALESCE, LEAST, GREATEST, LAG, LEAD) the first operand that
 *   has a type gives it to the parameters among the others, whatever operands follow. CASE begins
 *   with its WHENs, rows go by their columns. An operand without a type is a parameter, or one of
 *   those that have a result made of such alone: IF(c, ?, ?) takes it on for its parameters.
 * - Of text a parameter takes collation and coercibility, too, so that it never speaks in favour of
 *   another one: LEAST(a, b, ?) of two collations of one charset is of a's. NULL gives bytes that
 *   yield to everything.
 * - In arithmetic it is a number of the other operand's kind, one that a function asks for an
 *   integer is an integer, and one in a condition, too.
 * - Functions of dates and times ask it for a date, a time or both; in what all dates or times are
 *   that have a type it is one, too.
 * - What is stored, CAST and CONVERT give it the charset that it is to have.
 * - Otherwise it is text of the connection's collation.
 * The first place that says something counts. What EXECUTE does with values of other types:
 * sql/session/param_number.c.
 *
 * Here numbers and dates are told of only where all operands are such: among others a parameter is
 * of its value's type, which is shown as MySQL shows it. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"

static bool is_param(const struct bexpr *e)
{
    return e->kind == BEXPR_PARAM && e->placeholder;
}

static struct param_place *place_of(struct binder *b, const struct bexpr *param)
{
    return &b->stmt->param_places[param->u.param];
}

struct sql_type bind_number_type(enum func_number kind)
{
    return kind == NUM_INT       ? type_int(TYPE_BIGINT, false)
           : kind == NUM_DECIMAL ? type_decimal(DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, false)
                                 : type_double();
}

struct sql_type bind_param_text_type(const struct param_place *place)
{
    if (place->is_long) {
        return func_text_type(UINT32_MAX, place->collation);
    }
    unsigned width = collation_by_id(place->collation)->cs->maxlen;
    enum type_id id = place->collation == COLL_BINARY ? TYPE_VARBINARY : TYPE_VARCHAR;
    return type_char(id, VARCHAR_BYTES_MAX / width, place->collation);
}

/* What a place says, and the type that it is described as; TYPE_NULL: as the value will be. */
struct told {
    struct param_place place;
    struct sql_type type;
};

/* One of the operands that the result is, i counts them. */
static struct bexpr *result_operand(const struct bexpr *e, uint32_t i)
{
    bool extreme = e->kind == BEXPR_FUNC && (strcmp(e->u.func->def->name, "greatest") == 0 ||
                                             strcmp(e->u.func->def->name, "least") == 0);
    if (e->kind == BEXPR_COALESCE || extreme) {
        return i < e->arg_count ? e->args[i] : NULL;
    }
    if (e->kind != BEXPR_CASE || i > e->arg_count / 2) {
        return NULL;
    }
    return e->args[i < e->arg_count / 2 ? 2 * i + 1 : e->arg_count - 1];
}

/* Has it no type yet? */
static bool is_untyped(struct binder *b, const struct bexpr *e)
{
    if (is_param(e)) {
        return !place_of(b, e)->known;
    }
    const struct bexpr *one = NULL;
    bool untyped = false;
    for (uint32_t i = 0; !untyped && (one = result_operand(e, i)) != NULL; i++) {
        untyped = is_untyped(b, one);
    }
    return untyped;
}

static void tell(struct binder *b, struct bexpr *e, const struct told *told)
{
    struct bexpr *one;
    if (!is_param(e)) {
        for (uint32_t i = 0; (one = result_operand(e, i)) != NULL; i++) {
            tell(b, one, told);
        }
        return;
    }
    struct param_place *p = place_of(b, e);
    if (p->known) {
        return;
    }
    *p = told->place;
    p->known = true;
    if (told->type.id != TYPE_NULL) {
        e->type = told->type;
        e->type.flags |= TYPE_F_EXPR;
        e->coercibility = told->place.collation != 0 ? told->place.coercibility : 5;
    }
}

static void tell_all(struct binder *b, struct bexpr *const *args, uint32_t count,
                     const struct told *told)
{
    for (uint32_t i = 0; i < count; i++) {
        if (is_untyped(b, args[i])) {
            tell(b, args[i], told);
        }
    }
}

/* The operand that gives the others its type; NULL: none has one. */
static struct bexpr *deciding(struct binder *b, struct bexpr *const *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!is_untyped(b, args[i])) {
            return args[i];
        }
    }
    return NULL;
}

static bool is_text(const struct sql_type *t)
{
    return type_is_string(t) || t->id == TYPE_ENUM || t->id == TYPE_SET || t->id == TYPE_NULL;
}

static struct told told_text(struct binder *b, const struct bexpr *e)
{
    /* MYSQL: a variable that was never set gives the connection's collation */
    bool unset = e->kind == BEXPR_USER_VAR && e->u.var.collation == 0;
    struct told told = {.place.coercibility = e->coercibility};
    told.place.collation = unset ? b->opts->connection_collation : e->type.collation;
    told.place.is_long = type_is_blob(&e->type);
    told.type = bind_param_text_type(&told.place);
    return told;
}

/* What is made of the parameter is described as that number. */
static db_err note_typed(struct binder *b, struct bexpr *e, enum func_number kind, unsigned flag,
                         bool late)
{
    if (b->opts->prepare && is_untyped(b, e)) {
        struct told told = {.place.is_late = late, .type = bind_number_type(kind)};
        told.place.number = (uint8_t)(1u + (unsigned)kind + flag);
        tell(b, e, &told);
    }
    return ERR_OK;
}

db_err bind__note_number(struct binder *b, struct bexpr *e, enum func_number kind)
{
    return note_typed(b, e, kind, PARAM_NUMBER_ASKED, false);
}

db_err bind__note_argument(struct binder *b, struct bexpr *e)
{
    return note_typed(b, e, NUM_INT, PARAM_NUMBER_ARGUMENT, false);
}

/* Numbers that are compared: the kind of the first, or the widest of all. */
static unsigned compared_number(struct bexpr *const *args, uint32_t count, bool widest)
{
    unsigned number = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_type *t = &args[i]->type;
        if (!args[i]->placeholder && type_is_numeric(t)) {
            unsigned n = PARAM_NUMBER_COMPARED + 1u + func_number_of(t);
            number = number == 0 || (widest && n > number) ? n : number;
        }
    }
    return number;
}

/* What is compared with `by`. */
static struct told told_compared(struct binder *b, const struct bexpr *by,
                                 struct bexpr *const *args, uint32_t count, enum bind_compared how)
{
    struct told told = {.type = type_null()};
    if (is_text(&by->type)) {
        told = told_text(b, by);
        bool numbers = !by->has_param && how != BIND_COMPARED_TEXT;
        told.place.number = numbers ? PARAM_NUMBER_TEXT : 0;
    } else if (how == BIND_COMPARED_TEXT) { /* text is not read as anything else */
        told.place.number = 0;
    } else if (type_has_date(&by->type)) {
        unsigned moment = by->type.id == TYPE_DATE ? PARAM_DATE : PARAM_DATETIME;
        told.place.number = (uint8_t)(PARAM_NUMBER_COMPARED + moment);
    } else if (by->type.id == TYPE_TIME) {
        told.place.number = (uint8_t)PARAM_NUMBER_COMPARED + PARAM_TIME;
    } else if (type_is_numeric(&by->type)) {
        told.place.number = (uint8_t)compared_number(args, count, how == BIND_COMPARED_SPAN);
        told.place.is_late = told.place.number != 0 && how != BIND_COMPARED_LIST;
    }
    told.place.is_compared = true;
    return told;
}

static db_err note_rows(struct binder *b, struct bexpr *const *rows, uint32_t count,
                        enum bind_compared how)
{
    struct bexpr **column = BIND_ARRAY(b, struct bexpr *, count);
    if (column == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t k = 0; k < rows[0]->arg_count; k++) {
        for (uint32_t i = 0; i < count; i++) {
            column[i] = rows[i]->args[k];
        }
        TRY(bind__note_compared(b, column, count, how));
    }
    return ERR_OK;
}

static bool are_rows(struct bexpr *const *args, uint32_t count)
{
    bool rows = true;
    for (uint32_t i = 0; i < count; i++) {
        rows = rows && args[i]->kind == BEXPR_ROW && args[i]->arg_count == args[0]->arg_count;
    }
    return rows;
}

db_err bind__note_compared(struct binder *b, struct bexpr *const *args, uint32_t count,
                           enum bind_compared how)
{
    if (!b->opts->prepare) {
        return ERR_OK;
    }
    if (are_rows(args, count)) {
        return note_rows(b, args, count, how);
    }
    const struct bexpr *by = deciding(b, args, count);
    if (by != NULL && by->kind != BEXPR_ROW) {
        struct told told = told_compared(b, by, args, count, how);
        tell_all(b, args, count, &told);
    }
    return ERR_OK;
}

void bind__note_searched(struct binder *b, struct bexpr *x, const struct bexpr *found)
{
    struct bexpr *both[] = {x, (struct bexpr *)(uintptr_t)found};
    if (b->opts->prepare && is_untyped(b, x)) {
        struct told told = told_compared(b, found, both, ARRAY_COUNT(both), BIND_COMPARED_LIST);
        told.place.collation = 0;
        told.type = type_null();
        tell(b, x, &told);
    }
}

static struct told told_moment(unsigned moment)
{
    struct told told = {.place.number = (uint8_t)moment};
    told.type = moment == PARAM_DATE   ? type_temporal(TYPE_DATE, 0)
                : moment == PARAM_TIME ? type_temporal(TYPE_TIME, TIME_DECIMALS_MAX)
                                       : type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX);
    return told;
}

/* What moments all are that have a type; 0: others are among them. */
static unsigned moment_of(struct binder *b, struct bexpr *const *args, uint32_t count)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_type *t = &args[i]->type;
        if (is_untyped(b, args[i]) || t->id == TYPE_NULL) {
            continue;
        }
        unsigned moment = t->id == TYPE_DATE   ? PARAM_DATE
                          : type_has_date(t)   ? PARAM_DATETIME
                          : t->id == TYPE_TIME ? PARAM_TIME
                                               : 0;
        if (moment == 0 || (found != 0 && (found == PARAM_TIME) != (moment == PARAM_TIME))) {
            return 0;
        }
        found = moment > found ? moment : found;
    }
    return found;
}

/* Are all that have a type numbers? */
static bool are_numbers(struct binder *b, struct bexpr *const *args, uint32_t count)
{
    bool numbers = true;
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_type *t = &args[i]->type;
        bool number = type_is_numeric(t) && t->id != TYPE_BIT;
        numbers = numbers && (number || t->id == TYPE_NULL || is_untyped(b, args[i]));
    }
    return numbers;
}

db_err bind__note_branches(struct binder *b, struct bexpr *const *args, uint32_t count)
{
    const struct bexpr *by = b->opts->prepare ? deciding(b, args, count) : NULL;
    if (by == NULL) {
        return ERR_OK;
    }
    struct told told = {.type = type_null()};
    unsigned moment = moment_of(b, args, count);
    if (is_text(&by->type)) {
        told = told_text(b, by);
    } else if (moment != 0) {
        told = told_moment(moment);
    } else if (are_numbers(b, args, count)) {
        enum func_number kind = func_number_of(&by->type);
        told.type = bind_number_type(kind);
        told.place.number = (uint8_t)(1u + (unsigned)kind + PARAM_NUMBER_ASKED);
        told.place.is_late = true;
        told.place.is_unsigned = type_is_unsigned(&by->type) && by->type.id != TYPE_YEAR;
    }
    tell_all(b, args, count, &told);
    return ERR_OK;
}

/* Functions of numbers, and the kind of those; digits: the second argument is how many of them. */
static const struct number_place {
    const char *name;
    enum func_number kind;
    bool digits;
} g_places[] = {
    {"abs", NUM_DOUBLE, false},      {"ceil", NUM_DOUBLE, false},
    {"ceiling", NUM_DOUBLE, false},  {"floor", NUM_DOUBLE, false},
    {"round", NUM_DECIMAL, true},    {"truncate", NUM_DECIMAL, true},
    {"op_not", NUM_INT, false},      {"op_xor", NUM_INT, false},
    {"op_is_true", NUM_INT, false},  {"op_is_not_true", NUM_INT, false},
    {"op_is_false", NUM_INT, false}, {"op_is_not_false", NUM_INT, false},
};

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        found = found || strcmp(name, names[i]) == 0;
    }
    return found;
}

/* MYSQL: of two parameters nothing is known but that they are numbers, beside text one is text; a
 * quotient reads what is no number to its end as a DECIMAL, whatever it was to be. */
static db_err note_arithmetic(struct binder *b, const char *name, struct bexpr **args)
{
    unsigned flag = strcmp(name, "op_div") == 0 ? PARAM_NUMBER_QUOTIENT : 0;
    bool late =
        strcmp(name, "op_add") == 0 || strcmp(name, "op_sub") == 0 || strcmp(name, "op_mul") == 0;
    bool both = is_untyped(b, args[0]) && is_untyped(b, args[1]);
    enum func_number kinds[] = {func_number_of(&args[1]->type), func_number_of(&args[0]->type)};
    for (uint32_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        enum func_number kind = both ? NUM_DOUBLE : kinds[i];
        if (!both && is_untyped(b, args[i]) && type_is_string(&args[1 - i]->type)) {
            struct told told = {.place.number = PARAM_NUMBER_TEXT, .type = type_null()};
            tell(b, args[i], &told);
            continue;
        }
        TRY(note_typed(b, args[i], kind, kind == NUM_INT ? flag : 0, late));
    }
    return ERR_OK;
}

/* Functions that ask their first argument for a DATETIME. MYSQL: also what looks at a time of day
 * does, and '4:05:06' is a date there. */
static const char *const g_of_datetimes[] = {
    "year",      "month",     "day",       "dayofmonth",    "quarter",     "dayofweek",
    "weekday",   "dayofyear", "to_days",   "to_seconds",    "week",        "weekofyear",
    "yearweek",  "hour",      "minute",    "second",        "microsecond", "time",
    "timestamp", "dayname",   "monthname", "convert_tz",    "date_format", "time_format",
    "date",      "last_day",  "datediff",  "unix_timestamp"};

/* Others, and other arguments. */
static const struct moment_place {
    const char *name;
    uint8_t arg;
    uint8_t number;
} g_moments[] = {
    {"datediff", 1, PARAM_DATETIME + PARAM_NUMBER_ASKED},
    {"extract", 1, PARAM_DATETIME + PARAM_NUMBER_ASKED},
    {"timestampdiff", 1, PARAM_DATETIME + PARAM_NUMBER_ASKED},
    {"timestampdiff", 2, PARAM_DATETIME + PARAM_NUMBER_ASKED},
    {"timestamp", 1, PARAM_TIME + PARAM_NUMBER_ASKED},
    {"addtime", 0, PARAM_TIME},
    {"addtime", 1, PARAM_TIME},
    {"subtime", 0, PARAM_TIME},
    {"subtime", 1, PARAM_TIME},
    {"adddate", 0, PARAM_DATE},
    {"subdate", 0, PARAM_DATE},
};

void bind__note_moment(struct binder *b, struct bexpr *e, unsigned number)
{
    if (b->opts->prepare && is_untyped(b, e)) {
        struct told told = told_moment(number & PARAM_MOMENTS);
        told.place.number = (uint8_t)number;
        tell(b, e, &told);
    }
}

/* MYSQL: they may have a fraction. */
static db_err note_seconds(struct binder *b, struct bexpr *e)
{
    return note_typed(b, e, NUM_DECIMAL, PARAM_NUMBER_SECONDS, false);
}

static bool is_unit_of_days(enum ast_interval_unit unit)
{
    return unit == AST_UNIT_DAY || unit == AST_UNIT_WEEK || unit == AST_UNIT_MONTH ||
           unit == AST_UNIT_QUARTER || unit == AST_UNIT_YEAR || unit == AST_UNIT_YEAR_MONTH;
}

/* MYSQL: a date to which days are added is a DATE, one to which a time is, a DATETIME. */
static db_err note_interval(struct binder *b, const char *name, struct bexpr **args)
{
    bool stamp = strcmp(name, "timestampadd") == 0;
    const struct bexpr *unit = args[stamp ? 0 : 2];
    bool days =
        unit->kind == BEXPR_CONST && is_unit_of_days((enum ast_interval_unit)unit->u.constant.i);
    bind__note_moment(b, args[stamp ? 2 : 0], days ? PARAM_DATE : PARAM_DATETIME);
    bool seconds = unit->kind == BEXPR_CONST && unit->u.constant.i == AST_UNIT_SECOND;
    return seconds ? note_seconds(b, args[1]) : ERR_OK;
}

/* What is compared as text with a date or time, and is one, is it. */
static void note_beside_moment(struct binder *b, struct bexpr **args, uint32_t count)
{
    const struct bexpr *by = deciding(b, args, count);
    unsigned moment = by != NULL && type_is_temporal(&by->type) ? moment_of(b, args, count) : 0;
    for (uint32_t i = 0; i < count && moment != 0; i++) {
        bind__note_moment(b, args[i], moment + PARAM_NUMBER_ASKED);
    }
}

/* MYSQL: what differs from a date or time is one. */
static void note_difference(struct binder *b, struct bexpr **args)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct sql_type *t = &args[1 - i]->type;
        bool time = is_untyped(b, args[1 - i]) || t->id == TYPE_TIME;
        if (time || type_has_date(t)) {
            bind__note_moment(b, args[i],
                              time                 ? PARAM_TIME
                              : t->id == TYPE_DATE ? PARAM_DATE
                                                   : PARAM_DATETIME);
        }
    }
}

static db_err note_moments(struct binder *b, const char *name, struct bexpr **args, uint32_t count)
{
    static const char *const intervals[] = {"op_date_add", "op_date_sub", "timestampadd"};
    if (count != 0 && is_one_of(name, g_of_datetimes, ARRAY_COUNT(g_of_datetimes))) {
        bind__note_moment(b, args[0], PARAM_DATETIME + PARAM_NUMBER_ASKED);
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_moments); i++) {
        if (g_moments[i].arg < count && strcmp(name, g_moments[i].name) == 0) {
            bind__note_moment(b, args[g_moments[i].arg], g_moments[i].number);
        }
    }
    if (is_one_of(name, intervals, ARRAY_COUNT(intervals))) {
        return note_interval(b, name, args);
    }
    if (strcmp(name, "timediff") == 0) {
        note_difference(b, args);
    } else if (strcmp(name, "strcmp") == 0 || strcmp(name, "field") == 0) {
        note_beside_moment(b, args, count);
    } else if (strcmp(name, "maketime") == 0) {
        return note_seconds(b, args[2]);
    } else if (strcmp(name, "from_unixtime") == 0 || strcmp(name, "sec_to_time") == 0) {
        return note_seconds(b, args[0]);
    }
    return ERR_OK;
}

db_err bind__note_operands(struct binder *b, const struct func_def *def, struct bexpr **args,
                           uint32_t count)
{
    static const char *const arithmetic[] = {"op_add", "op_sub", "op_mul",   "op_div",
                                             "op_mod", "mod",    "op_intdiv"};
    static const char *const extremes[] = {"greatest", "least"};
    static const char *const texts[] = {"op_like", "strcmp"};
    if (!b->opts->prepare) {
        return ERR_OK;
    }
    TRY(note_moments(b, def->name, args, count));
    if (count == 2 && is_one_of(def->name, arithmetic, ARRAY_COUNT(arithmetic))) {
        return note_arithmetic(b, def->name, args);
    }
    if (is_one_of(def->name, extremes, ARRAY_COUNT(extremes))) {
        return bind__note_branches(b, args, count);
    }
    if (is_one_of(def->name, texts, ARRAY_COUNT(texts))) {
        return bind__note_compared(b, args, count, BIND_COMPARED_TEXT);
    }
    if (strcmp(def->name, "field") == 0) {
        return bind__note_compared(b, args, count, BIND_COMPARED_PAIR);
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_places); i++) {
        for (uint32_t k = 0; k < count && strcmp(def->name, g_places[i].name) == 0; k++) {
            TRY(k != 0 && g_places[i].digits ? bind__note_argument(b, args[k])
                                             : bind__note_number(b, args[k], g_places[i].kind));
        }
    }
    return ERR_OK;
}

db_err bind__note_stored(struct binder *b, const struct bexpr *e, const struct sql_type *column)
{
    bool text = type_is_string(column) || column->id == TYPE_ENUM || column->id == TYPE_SET;
    if (b->opts->prepare && is_param(e) && text && column->collation != COLL_BINARY) {
        place_of(b, e)->stored = column->collation;
    }
    return ERR_OK;
}
