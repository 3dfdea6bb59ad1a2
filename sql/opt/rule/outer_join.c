/* LEFT JOIN whose right side a condition above cannot accept as NULLs is an inner join; RIGHT JOIN
 * is LEFT JOIN with its sides exchanged; FULL JOIN loses the side whose NULLs are refused.
 * Conditions are looked for in the filters between the join and the next node that is neither
 * filter, join, sort nor limit-free. */
#include "sql/opt/opt_int.h"

/* Comparisons, LIKE, IN and the like are not true of a NULL argument. */
static bool null_gives_null(const struct bexpr *e, const struct lnode *n);

static bool any_arg_null(const struct bexpr *e, const struct lnode *n)
{
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (null_gives_null(e->args[i], n)) {
            return true;
        }
    }
    return false;
}

static bool null_gives_null(const struct bexpr *e, const struct lnode *n)
{
    switch ((int)e->kind) {
    case BEXPR_COLUMN: return opt__has_column(n, e->u.column.id);
    case BEXPR_FUNC: return (e->u.func->def->flags & FUNC_NULL_IF_ANY) != 0 && any_arg_null(e, n);
    case BEXPR_CAST: return null_gives_null(e->args[0], n);
    case BEXPR_IN_LIST: return null_gives_null(e->args[0], n);
    default: return false;
    }
}

bool opt__rejects_nulls(const struct bexpr *e, const struct lnode *n)
{
    if (e->kind == BEXPR_AND) {
        for (uint32_t i = 0; i < e->arg_count; i++) {
            if (opt__rejects_nulls(e->args[i], n)) {
                return true;
            }
        }
        return false;
    }
    if (e->kind == BEXPR_OR) {
        for (uint32_t i = 0; i < e->arg_count; i++) {
            if (!opt__rejects_nulls(e->args[i], n)) {
                return false;
            }
        }
        return true;
    }
    if (e->kind == BEXPR_FUNC) {
        const char *name = e->u.func->def->name;
        bool not_null = strcmp(name, "op_is_not_null") == 0 || strcmp(name, "op_is_true") == 0 ||
                        strcmp(name, "op_is_false") == 0;
        if (not_null) {
            return null_gives_null(e->args[0], n);
        }
    }
    return null_gives_null(e, n);
}

static bool some_rejects(const struct conjuncts *c, const struct lnode *n)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (opt__rejects_nulls(c->list[i], n)) {
            return true;
        }
    }
    return false;
}

static void to_left(struct lnode *n)
{
    struct lnode *l = n->children[0];
    n->children[0] = n->children[1];
    n->children[1] = l;
    n->u.join.kind = JOIN_LEFT;
}

static db_err simplify(struct optimizer *o, struct lnode *n, struct conjuncts *above)
{
    if (n->kind == LNODE_FILTER) {
        for (uint32_t i = 0; i < n->u.filter.count; i++) {
            TRY(opt__add_conjunct(o, above, n->u.filter.conjuncts[i]));
        }
        return simplify(o, n->children[0], above);
    }
    if (n->kind != LNODE_JOIN) {
        struct conjuncts none = {0};
        for (uint32_t i = 0; i < n->child_count; i++) {
            TRY(simplify(o, n->children[i], &none));
            none.count = 0;
        }
        return ERR_OK;
    }
    if (n->u.join.kind == JOIN_FULL) {
        bool no_left_nulls = some_rejects(above, n->children[0]);
        bool no_right_nulls = some_rejects(above, n->children[1]);
        n->u.join.kind = no_left_nulls && no_right_nulls ? JOIN_INNER
                         : no_left_nulls                 ? JOIN_LEFT
                         : no_right_nulls                ? JOIN_RIGHT
                                                         : JOIN_FULL;
    }
    if (n->u.join.kind == JOIN_RIGHT) {
        to_left(n);
    }
    if (n->u.join.kind == JOIN_LEFT && some_rejects(above, n->children[1])) {
        n->u.join.kind = JOIN_INNER;
    }
    /* An inner join's own conditions refuse NULLs for the joins below it as well. */
    uint32_t before = above->count;
    if (n->u.join.kind == JOIN_INNER || n->u.join.kind == JOIN_CROSS) {
        for (uint32_t i = 0; i < n->u.join.on_count; i++) {
            TRY(opt__add_conjunct(o, above, n->u.join.on[i]));
        }
        TRY(simplify(o, n->children[0], above));
        TRY(simplify(o, n->children[1], above));
        above->count = before;
        return ERR_OK;
    }
    struct conjuncts on = {0};
    if (n->u.join.kind == JOIN_LEFT) {
        TRY(simplify(o, n->children[0], above));
        above->count = before;
        for (uint32_t i = 0; i < n->u.join.on_count; i++) {
            TRY(opt__add_conjunct(o, &on, n->u.join.on[i]));
        }
    } else {
        struct conjuncts none = {0};
        TRY(simplify(o, n->children[0], &none));
    }
    return simplify(o, n->children[1], &on);
}

db_err rule_simplify_outer_joins(struct optimizer *o, struct lnode **io_root)
{
    struct conjuncts above = {0};
    return simplify(o, *io_root, &above);
}
