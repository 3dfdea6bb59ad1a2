/* IF and CASE as a date, a time or a number.
 *
 * MYSQL: asked for one of these they ask the branch that is chosen. A number is then a date in
 * digits, a TIME a time of today, a date its digits, a name of ENUM its place and BIT its number,
 * although the value of all branches is text, and that text would be read as something else, or as
 * nothing. COALESCE does not, nor does CAST to an integer, nor what is stored; what is compared is
 * asked for numbers only.
 *
 * MYSQL: UNIX_TIMESTAMP asked for an integer leaves its fraction out, where other decimals are
 * rounded; not by CAST to UNSIGNED, which asks for the decimals, nor where it is stored.
 */
#include "sql/bind/bind_int.h"

static bool is_asked_for(const struct sql_type *to, enum bind_asker asker)
{
    if (type_is_temporal(to) && to->id != TYPE_YEAR) {
        return asker != BIND_ASKED_BY_COMPARISON;
    }
    return to->id == TYPE_DOUBLE || to->id == TYPE_FLOAT || to->id == TYPE_DECIMAL ||
           (type_is_integer(to) && asker != BIND_ASKED_BY_CAST);
}

/* The IF or CASE, also where it is a constant by now; NULL: there is nothing to ask. By its alias
 * it may be a group, and then it is read from the groups' rows. */
static const struct bexpr *choice(const struct bexpr *e)
{
    if (e->by_name) {
        return NULL;
    }
    const struct bexpr *c = e->kind == BEXPR_CONST ? e->folded : e;
    return c != NULL && c->kind == BEXPR_CASE && type_is_string(&c->type) ? c : NULL;
}

static bool is_branch(const struct bexpr *c, uint32_t i)
{
    return i % 2 != 0 || i + 1 == c->arg_count;
}

/* The branch before it was converted to the text of all. */
static struct bexpr *own_value(struct bexpr *branch)
{
    const struct bexpr *cast = branch->kind == BEXPR_CONST ? branch->folded : branch;
    bool converted = cast != NULL && cast->kind == BEXPR_CAST && !cast->u.cast.explicit_cast &&
                     type_is_string(&cast->type) && !type_is_string(&cast->args[0]->type);
    return converted ? cast->args[0] : branch;
}

/* Is there a branch that is more than its text? */
static bool differs(const struct bexpr *c)
{
    for (uint32_t i = 0; i < c->arg_count; i++) {
        if (is_branch(c, i)) {
            const struct bexpr *inner = choice(c->args[i]);
            if (own_value(c->args[i]) != c->args[i] || (inner != NULL && differs(inner))) {
                return true;
            }
        }
    }
    return false;
}

static bool is_seconds(const struct bexpr *e)
{
    return e->kind == BEXPR_FUNC && e->type.id == TYPE_DECIMAL &&
           strcmp(e->u.func->def->name, "unix_timestamp") == 0;
}

/* Seconds without their fraction, also those of branches of IF and CASE: *io is changed, no node
 * below it is. */
static db_err whole_seconds(struct binder *b, struct bexpr **io)
{
    struct bexpr *e = *io;
    bool cast = e->kind == BEXPR_CAST && !e->u.cast.explicit_cast && e->type.id == TYPE_DECIMAL;
    if (is_seconds(e)) {
        struct value zero = value_int(0);
        struct sql_type t = type_int(TYPE_BIGINT, false);
        struct bexpr *digits;
        TRY(bind__const(b, &zero, &t, 5, &digits));
        return bind__op2(b, "truncate", e, digits, io);
    }
    if (cast) {
        struct bexpr *own = e->args[0];
        TRY(whole_seconds(b, &own));
        return own == e->args[0] ? ERR_OK : bind__cast(b, own, &e->type, false, io);
    }
    for (uint32_t i = 0; i < e->arg_count && e->kind == BEXPR_CASE; i++) {
        struct bexpr *own = e->args[i];
        TRY(is_branch(e, i) ? whole_seconds(b, &own) : ERR_OK);
        if (own == e->args[i]) {
            continue;
        }
        if (e == *io) {
            *io = bexpr_clone(b->arena, e);
            if (*io == NULL) {
                return ERR_NOMEM;
            }
        }
        (*io)->args[i] = own;
    }
    return ERR_OK;
}

static bool asks_integer(const struct sql_type *to, enum bind_asker asker)
{
    bool by_cast = asker == BIND_ASKED_BY_CAST;
    return asker != BIND_ASKED_BY_COMPARISON &&
           (to->id == TYPE_YEAR || (type_is_integer(to) && !(by_cast && type_is_unsigned(to))));
}

/* MYSQL: a literal or parameter that is no number, as DECIMAL, is told of as cut; a column's text
 * without a digit as a wrong value before that; text that is computed, and that of TEXT, as a wrong
 * value only, and what stands behind its digits not at all. */
unsigned bind__text_source(const struct bexpr *e)
{
    if (!type_is_string(&e->type) || e->type.id == TYPE_JSON) {
        return 0;
    }
    if (e->kind == BEXPR_COLUMN || e->kind == BEXPR_OUTER) {
        return type_is_blob(&e->type) ? TYPE_W_MADE_TEXT : TYPE_W_COLUMN_TEXT;
    }
    if (e->kind == BEXPR_CAST && !e->u.cast.explicit_cast) {
        return bind__text_source(e->args[0]); /* what all branches agree on */
    }
    if (e->kind == BEXPR_CONST) {
        return e->folded == NULL ? 0 : bind__text_source(e->folded);
    }
    return e->kind == BEXPR_PARAM ? 0 : TYPE_W_MADE_TEXT;
}

/* MYSQL: text of a variable is an integer without a word, when a function asks for one. */
static bool read_silently(const struct bexpr *e, const struct sql_type *to)
{
    return e->kind == BEXPR_USER_VAR && type_is_string(&e->type) && type_is_integer(to) &&
           to->id != TYPE_YEAR;
}

db_err bind__cast_asked(struct binder *b, struct bexpr *e, const struct sql_type *to,
                        enum bind_asker asker, struct bexpr **ret)
{
    if (asks_integer(to, asker)) {
        TRY(whole_seconds(b, &e));
    }
    const struct bexpr *from = is_asked_for(to, asker) ? choice(e) : NULL;
    bool decimal = to->id == TYPE_DECIMAL && asker != BIND_ASKED_BY_COMPARISON;
    if (from == NULL || (!differs(from) && !decimal)) {
        struct sql_type t = *to;
        if (decimal) {
            t.wire &= (uint16_t) ~(TYPE_W_COLUMN_TEXT | TYPE_W_MADE_TEXT);
            t.wire |= (uint16_t)bind__text_source(e);
        }
        TRY(bind__cast(b, e, &t, asker == BIND_ASKED_BY_CAST, ret));
        if (asker == BIND_ASKED && read_silently(e, to) && (*ret)->kind == BEXPR_CAST) {
            (*ret)->u.cast.silent = true;
        }
        return ERR_OK;
    }
    struct bexpr *c = bexpr_clone(b->arena, from);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < c->arg_count; i++) {
        if (is_branch(c, i)) {
            TRY(bind__cast_asked(b, own_value(c->args[i]), to, asker, &c->args[i]));
        }
    }
    c->type = *to;
    c->type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    bind__inherit(c);
    return bind__fold(b, c, ret);
}

/* The moment that a value is, as text; *io stays as it is when the value's own text says it. */
static db_err moment_text(struct binder *b, const struct sql_type *text, struct bexpr **io)
{
    struct bexpr *own = own_value(*io);
    if (type_is_temporal(&own->type)) {
        struct sql_type t = type_temporal(TYPE_DATETIME, own->type.decimals);
        TRY(bind__cast(b, own, &t, false, &own));
    } else if (type_is_numeric(&own->type) && own->type.id != TYPE_BIT) {
        struct value zero = value_int(0);
        struct sql_type t = type_int(TYPE_BIGINT, false);
        struct bexpr *days;
        TRY(bind__const(b, &zero, &t, 5, &days));
        TRY(bind__op2(b, "adddate", own, days, &own)); /* a date, or one with its time */
    } else {
        return bind__moment_choice(b, io);
    }
    return bind__cast(b, own, text, false, io);
}

db_err bind__moment_choice(struct binder *b, struct bexpr **io)
{
    enum { MOMENT_CHARS = 29 };
    const struct bexpr *from = choice(*io);
    if (from == NULL || !differs(from)) {
        return ERR_OK;
    }
    struct bexpr *c = bexpr_clone(b->arena, from);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    struct sql_type text = type_char(TYPE_VARCHAR, MOMENT_CHARS, c->type.collation);
    for (uint32_t i = 0; i < c->arg_count; i++) {
        TRY(is_branch(c, i) ? moment_text(b, &text, &c->args[i]) : ERR_OK);
    }
    if (!type_is_blob(&c->type) && c->type.length < MOMENT_CHARS) {
        c->type.length = MOMENT_CHARS;
    }
    bind__inherit(c);
    return bind__fold(b, c, io);
}
