/* LEFT JOIN whose right side a condition above cannot accept as NULLs is an inner join; RIGHT JOIN
 * is LEFT JOIN with its sides exchanged; FULL JOIN loses the side whose NULLs are refused.
 * Conditions are looked for in the filters between the join and the next node that is neither
 * filter, join, sort nor limit-free. */
#include "sql/opt/opt_int.h"

static bool some_rejects(const struct conjuncts *c, const struct lnode *n)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (lnode_nulls_refused(n, NULL, c->list[i])) {
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
    n->u.join.kind = join_without_nulls(n->u.join.kind, some_rejects(above, n->children[0]),
                                        some_rejects(above, n->children[1]));
    if (n->u.join.kind == JOIN_RIGHT) {
        to_left(n);
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
