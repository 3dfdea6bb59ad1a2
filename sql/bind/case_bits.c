/* What a client is sent of BIT values that went through IF, CASE and functions.
 *
 * MYSQL: what the outermost query sends of a BIT or a DECIMAL is its text, and IF and CASE ask the
 * branch that is chosen for it. The text of a BIT is its bytes, as many as that branch has; they
 * are taken for characters of latin1, as digits are, and reach the client in its charset. COALESCE,
 * GREATEST and other functions know no bits: their text is the number's digits. What has been in a
 * temporary table (DISTINCT, groups, windows, UNION) is a BIT or a DECIMAL as a column is. NULLIF
 * gives its first argument as it is.
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
    bool converted = cast != NULL && cast->kind == BEXPR_CAST && !cast->u.cast.explicit_cast &&
                     (cast->type.id == TYPE_DECIMAL || cast->type.id == TYPE_BIT) &&
                     type_is_numeric(&cast->args[0]->type);
    return converted ? cast->args[0] : branch;
}

static bool asks_branch(const struct bexpr *e)
{
    bool as_text = e->type.id == TYPE_BIT || e->type.id == TYPE_DECIMAL;
    return as_text && e->kind == BEXPR_CASE && !e->u.nullif;
}

static bool is_digits(const struct bexpr *e)
{
    return e->type.id == TYPE_BIT && (e->kind == BEXPR_COALESCE || e->kind == BEXPR_FUNC);
}

static bool differs(const struct bexpr *e)
{
    for (uint32_t i = 0; asks_branch(e) && i < e->arg_count; i++) {
        if (is_branch(e, i)) {
            const struct bexpr *own = own_value(e->args[i]);
            if (own->type.id == TYPE_BIT || differs(own)) {
                return true;
            }
        }
    }
    return is_digits(e);
}

static db_err text_of(struct binder *b, struct bexpr *e, struct bexpr **ret)
{
    struct sql_type t =
        type_char(TYPE_VARCHAR, (uint32_t)func_text_chars(&e->type), COLL_LATIN1_SWEDISH_CI);
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
            TRY(text_of(b, own_value(c->args[i]), &c->args[i]));
            t.length = c->args[i]->type.length > t.length ? c->args[i]->type.length : t.length;
        }
    }
    t.flags |= TYPE_F_EXPR;
    c->type = t;
    *ret = c;
    return ERR_OK;
}

db_err bind__sent_bits(struct binder *b, struct bexpr *e, struct bexpr **ret)
{
    *ret = NULL;
    return differs(e) ? text_of(b, e, ret) : ERR_OK;
}
