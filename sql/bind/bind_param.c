/* The kinds of number that PREPARE finds for parameters by the places where they stand.
 *
 * MYSQL: a parameter beside a number in arithmetic, a comparison or among the branches of CASE, IF
 * and COALESCE is a number of that kind, one that a function asks for an integer is an integer, and
 * one in a condition, too. What EXECUTE does with values of other kinds: sql/session. The first
 * place that says something counts; where nothing is said a parameter has its value's type. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"

enum { PARAMS_MAX = 65536 };

static bool is_param(const struct bexpr *e)
{
    return e->kind == BEXPR_PARAM && e->placeholder;
}

static db_err note(struct binder *b, const struct bexpr *param, unsigned number)
{
    if (param->u.param >= PARAMS_MAX || !b->opts->prepare) {
        return ERR_OK;
    }
    if (b->stmt->param_numbers == NULL) {
        b->stmt->param_numbers = BIND_ARRAY(b, uint8_t, PARAMS_MAX);
        if (b->stmt->param_numbers == NULL) {
            return ERR_NOMEM;
        }
    }
    uint8_t *known = &b->stmt->param_numbers[param->u.param];
    *known = *known == 0 ? (uint8_t)number : *known;
    return ERR_OK;
}

struct sql_type bind_number_type(enum func_number kind)
{
    return kind == NUM_INT       ? type_int(TYPE_BIGINT, false)
           : kind == NUM_DECIMAL ? type_decimal(DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, false)
                                 : type_double();
}

/* What is made of the parameter is described as that number. */
static db_err note_typed(struct binder *b, struct bexpr *e, enum func_number kind, unsigned flag)
{
    if (!is_param(e) || !b->opts->prepare) {
        return ERR_OK;
    }
    TRY(note(b, e, 1u + (unsigned)kind + flag));
    e->type = bind_number_type(kind);
    e->type.flags |= TYPE_F_EXPR;
    e->coercibility = 5;
    return ERR_OK;
}

db_err bind__note_number(struct binder *b, struct bexpr *e, enum func_number kind)
{
    return note_typed(b, e, kind, PARAM_NUMBER_ASKED);
}

db_err bind__note_argument(struct binder *b, struct bexpr *e)
{
    return note_typed(b, e, NUM_INT, PARAM_NUMBER_ARGUMENT);
}

/* PARAM_DATE or PARAM_DATETIME, where the first that is no parameter is a date; or 0. */
static unsigned beside_date(struct bexpr *const *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_type *t = &args[i]->type;
        if (!is_param(args[i])) {
            unsigned moment = t->id == TYPE_DATE ? PARAM_DATE : PARAM_DATETIME;
            return type_has_date(t) ? PARAM_NUMBER_COMPARED + moment : 0;
        }
    }
    return 0;
}

db_err bind__note_compared(struct binder *b, struct bexpr *const *args, uint32_t count, bool widest)
{
    bool text = false;
    unsigned number = b->opts->prepare ? beside_date(args, count) : 0;
    bool date = number != 0;
    for (uint32_t i = 0; i < count && b->opts->prepare && !date; i++) {
        const struct sql_type *t = &args[i]->type;
        if (!args[i]->placeholder && type_is_numeric(t)) {
            unsigned n = PARAM_NUMBER_COMPARED + 1u + func_number_of(t);
            number = number == 0 || (widest && n > number) ? n : number;
        }
        bool names = t->id == TYPE_ENUM || t->id == TYPE_SET;
        text = text ||
               (!args[i]->has_param && t->collation != COLL_BINARY && (type_is_string(t) || names));
    }
    number = number == 0 && text ? PARAM_NUMBER_TEXT : number;
    for (uint32_t i = 0; i < count && number != 0; i++) {
        if (is_param(args[i])) {
            TRY(note(b, args[i], number));
        }
    }
    return ERR_OK;
}

/* What moments all branches are that are no parameters; 0: others are among them, or none. */
static unsigned moment_of(struct bexpr **args, uint32_t first, uint32_t step, uint32_t count)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_type *t = &args[first + i * step]->type;
        if (is_param(args[first + i * step]) || t->id == TYPE_NULL) {
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

/* Parameters among branches that are moments. */
static db_err note_moments(struct binder *b, unsigned moment, struct bexpr **args, uint32_t first,
                           uint32_t step, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct bexpr *e = args[first + i * step];
        if (is_param(e)) {
            TRY(note(b, e, moment));
            e->type = moment == PARAM_DATE   ? type_temporal(TYPE_DATE, 0)
                      : moment == PARAM_TIME ? type_temporal(TYPE_TIME, TIME_DECIMALS_MAX)
                                             : type_temporal(TYPE_DATETIME, TIME_DECIMALS_MAX);
            e->type.flags |= TYPE_F_EXPR;
            e->coercibility = 5;
        }
    }
    return ERR_OK;
}

db_err bind__note_branches(struct binder *b, struct bexpr **args, uint32_t first, uint32_t step,
                           uint32_t count)
{
    bool found = false;
    enum func_number kind = NUM_INT;
    unsigned moment = b->opts->prepare ? moment_of(args, first, step, count) : 0;
    if (moment != 0) {
        return note_moments(b, moment, args, first, step, count);
    }
    for (uint32_t i = 0; i < count && b->opts->prepare; i++) {
        const struct bexpr *e = args[first + i * step];
        if (is_param(e) || e->type.id == TYPE_NULL) {
            continue;
        }
        if (!type_is_numeric(&e->type) || e->type.id == TYPE_BIT) {
            return ERR_OK;
        }
        enum func_number n = func_number_of(&e->type);
        kind = found && kind > n ? kind : n;
        found = true;
    }
    for (uint32_t i = 0; i < count && found; i++) {
        TRY(bind__note_number(b, args[first + i * step], kind));
    }
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
    bool both = is_param(args[0]) && is_param(args[1]);
    enum func_number kinds[] = {func_number_of(&args[1]->type), func_number_of(&args[0]->type)};
    for (uint32_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        enum func_number kind = both ? NUM_DOUBLE : kinds[i];
        if (!both && is_param(args[i]) && type_is_string(&args[1 - i]->type)) {
            TRY(note(b, args[i], PARAM_NUMBER_TEXT));
            continue;
        }
        TRY(note_typed(b, args[i], kind, kind == NUM_INT ? flag : 0));
    }
    return ERR_OK;
}

db_err bind__note_operands(struct binder *b, const struct func_def *def, struct bexpr **args,
                           uint32_t count)
{
    static const char *const arithmetic[] = {"op_add", "op_sub", "op_mul",   "op_div",
                                             "op_mod", "mod",    "op_intdiv"};
    static const char *const extremes[] = {"greatest", "least"};
    if (!b->opts->prepare) {
        return ERR_OK;
    }
    if (count == 2 && is_one_of(def->name, arithmetic, ARRAY_COUNT(arithmetic))) {
        return note_arithmetic(b, def->name, args);
    }
    if (is_one_of(def->name, extremes, ARRAY_COUNT(extremes))) {
        return bind__note_branches(b, args, 0, 1, count);
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
    if (!b->opts->prepare || !is_param(e) || e->u.param >= PARAMS_MAX || !text ||
        column->collation == COLL_BINARY) {
        return ERR_OK;
    }
    if (b->stmt->param_collations == NULL) {
        b->stmt->param_collations = BIND_ARRAY(b, uint16_t, PARAMS_MAX);
        if (b->stmt->param_collations == NULL) {
            return ERR_NOMEM;
        }
    }
    b->stmt->param_collations[e->u.param] = (uint16_t)column->collation;
    return ERR_OK;
}
