/* The text of IF and CASE of numbers.
 *
 * MYSQL: IF, CASE and NULLIF ask the branch that is chosen for its text, whatever number they are
 * of themselves: with the zeros of its ZEROFILL, the digits of its FLOAT or DOUBLE(M,D), as many as
 * a column's text has, and of a BIT its bytes, as many as that branch has; these are taken for
 * characters of latin1, as digits are. Text that was given for a parameter which is a number among
 * them is shown as it is. COALESCE, GREATEST and other functions know no branches:
 * their text is the number's digits. What the outermost query sends of a BIT or a DECIMAL is its
 * text, too (NULLIF of a BIT gives it as it is). What has been in a temporary table (DISTINCT,
 * groups, windows, UNION) is a number as a column is.
 */
#include "sql/bind/bind_int.h"

static bool is_branch(const struct bexpr *c, uint32_t i)
{
    return i % 2 != 0 || i + 1 == c->arg_count;
}

/* The branch before it was converted to the number of all. */
static struct bexpr *own_value(struct bexpr *branch)
{
    const struct bexpr *cast = branch->kind == BEXPR_CONST ? branch->folded : branch;
    if (cast == NULL || cast->kind != BEXPR_CAST || cast->u.cast.explicit_cast ||
        !type_is_numeric(&cast->type)) {
        return branch;
    }
    struct bexpr *from = cast->args[0];
    if (!type_is_numeric(&from->type)) {
        return from->placeholder && type_is_string(&from->type) ? from : branch;
    }
    struct bexpr *given = own_value(from);
    return given->placeholder && type_is_string(&given->type) ? given : from;
}

static bool asks_branch(const struct bexpr *e)
{
    return e->kind == BEXPR_CASE && type_is_numeric(&e->type);
}

static bool is_digits(const struct bexpr *e)
{
    return e->type.id == TYPE_BIT && (e->kind == BEXPR_COALESCE || e->kind == BEXPR_FUNC);
}

static bool is_real(const struct sql_type *t)
{
    return t->id == TYPE_DOUBLE || t->id == TYPE_FLOAT;
}

/* Has a value of t another text than as a number of the type of all? (bind__own_decimals knows
 * those of DECIMAL.) */
static bool text_differs(const struct sql_type *t, const struct sql_type *all)
{
    bool filled = (t->flags & TYPE_F_ZEROFILL) != 0;
    bool column = is_real(t) && (t->flags & TYPE_F_EXPR) == 0;
    bool real = is_real(all) && (t->id != all->id || t->decimals != all->decimals || column);
    return t->id == TYPE_BIT || type_is_string(t) || (filled && t->id != TYPE_NULL) ||
           (real && t->id != TYPE_NULL);
}

static bool differs(const struct bexpr *e)
{
    for (uint32_t i = 0; asks_branch(e) && i < e->arg_count; i++) {
        if (is_branch(e, i)) {
            const struct bexpr *own = own_value(e->args[i]);
            if ((asks_branch(own) ? differs(own) : text_differs(&own->type, &e->type))) {
                return true;
            }
        }
    }
    return is_digits(e);
}

/* The collation of text that was given for a branch; digits are of latin1. */
static unsigned text_collation(struct bexpr *e)
{
    if (type_is_string(&e->type)) {
        return e->type.collation;
    }
    unsigned collation = COLL_LATIN1_SWEDISH_CI;
    for (uint32_t i = 0; asks_branch(e) && i < e->arg_count; i++) {
        if (is_branch(e, i) && collation == COLL_LATIN1_SWEDISH_CI) {
            collation = text_collation(own_value(e->args[i]));
        }
    }
    return collation;
}

static db_err text_of(struct binder *b, struct bexpr *e, unsigned collation, struct bexpr **ret)
{
    struct sql_type t = type_char(TYPE_VARCHAR, (uint32_t)func_text_chars(&e->type), collation);
    if (!asks_branch(e)) {
        struct sql_type number = type_int(TYPE_BIGINT, true);
        if (is_digits(e)) {
            t.length = number.length;
            TRY(bind__cast(b, e, &number, false, &e));
        }
        return bind__cast(b, e, &t, false, ret);
    }
    struct bexpr *c = bexpr_clone(b->arena, e);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < c->arg_count; i++) {
        if (is_branch(c, i)) {
            TRY(text_of(b, own_value(c->args[i]), collation, &c->args[i]));
            t.length = c->args[i]->type.length > t.length ? c->args[i]->type.length : t.length;
        }
    }
    t.flags |= TYPE_F_EXPR;
    c->type = t;
    *ret = c;
    return ERR_OK;
}

db_err bind__sent_text(struct binder *b, struct bexpr *e, struct bexpr **ret)
{
    *ret = NULL;
    bool as_text = e->type.id == TYPE_BIT || e->type.id == TYPE_DECIMAL;
    bool bits = e->type.id == TYPE_BIT && e->kind == BEXPR_CASE && e->u.nullif;
    return as_text && !bits && differs(e) ? text_of(b, e, text_collation(e), ret) : ERR_OK;
}

db_err bind__chosen_text(struct binder *b, struct bexpr *e, struct bexpr **ret)
{
    *ret = NULL;
    return asks_branch(e) && differs(e) ? text_of(b, e, text_collation(e), ret) : ERR_OK;
}
