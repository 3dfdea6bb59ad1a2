/* What nodes of logical trees give, and what a condition says of the NULLs of an outer join. */
#include "sql/bind/logical.h"

#include <string.h>

#include "sql/func/func.h"

struct lnode *lnode_new(struct arena *arena, enum lnode_kind kind, uint32_t children)
{
    enum { ROOM_MIN = 2 };
    uint32_t room = children < ROOM_MIN ? ROOM_MIN : children;
    struct lnode *n = arena_calloc(arena, 1, sizeof(*n) + room * sizeof(*n->children));
    if (n != NULL) {
        n->kind = kind;
        n->rows = -1;
        n->children = (struct lnode **)(n + 1);
        n->child_count = children;
    }
    return n;
}

bool lcolumn_reads_padded(const struct lcolumn *c, uint64_t sql_mode)
{
    return type_reads_padded(&c->type, sql_mode) && (c->def != NULL || c->own_char);
}

bool lnode_gives(const struct lnode *n, col_id_t id)
{
    for (uint32_t i = 0; i < n->column_count; i++) {
        if (n->columns[i].id == id) {
            return true;
        }
    }
    return false;
}

static bool is_func(const struct bexpr *e, const char *name)
{
    return e->kind == BEXPR_FUNC && strcmp(e->u.func->def->name, name) == 0;
}

/* Rows of a node all of whose columns are NULL. made: by col_id, what stands behind columns of
 * projections above the node; or NULL. */
struct nulls {
    const struct lnode *of;
    struct bexpr *const *made;
};

static bool is_null(const struct nulls *n, const struct bexpr *e);

/* Comparisons, LIKE, IN and the like are not true of a NULL argument. */
static bool any_arg_null(const struct nulls *n, const struct bexpr *e)
{
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (is_null(n, e->args[i])) {
            return true;
        }
    }
    return false;
}

static bool is_null(const struct nulls *n, const struct bexpr *e)
{
    switch ((int)e->kind) {
    case BEXPR_COLUMN: {
        struct bexpr *made = n->made != NULL ? n->made[e->u.column.id] : NULL;
        return lnode_gives(n->of, e->u.column.id) || (made != NULL && is_null(n, made));
    }
    case BEXPR_FUNC:
        if (is_func(e, "op_like")) { /* whatever escapes in it */
            return is_null(n, e->args[0]) || is_null(n, e->args[1]);
        }
        return (e->u.func->def->flags & FUNC_NULL_IF_ANY) != 0 && any_arg_null(n, e);
    case BEXPR_CAST:
    case BEXPR_IN_LIST: return is_null(n, e->args[0]);
    default: return false;
    }
}

/* Can the condition not be `value`, true or false? */
static bool is_never(const struct nulls *n, const struct bexpr *e, bool value)
{
    if (e->kind == BEXPR_AND || e->kind == BEXPR_OR) {
        bool one = (e->kind == BEXPR_AND) == value; /* one of them is enough */
        for (uint32_t i = 0; i < e->arg_count; i++) {
            if (is_never(n, e->args[i], value) == one) {
                return one;
            }
        }
        return !one;
    }
    if (is_func(e, "op_not")) {
        return is_never(n, e->args[0], !value);
    }
    if (is_func(e, value ? "op_is_not_null" : "op_is_null")) {
        return is_null(n, e->args[0]);
    }
    if (value && (is_func(e, "op_is_true") || is_func(e, "op_is_false"))) {
        return is_never(n, e->args[0], is_func(e, "op_is_true"));
    }
    if (e->kind == BEXPR_SUBQUERY_IN) {
        return value && !e->u.subquery.negated && any_arg_null(n, e);
    }
    return is_null(n, e);
}

bool lnode_nulls_refused(const struct lnode *n, struct bexpr *const *made,
                         const struct bexpr *conjunct)
{
    const struct nulls nulls = {n, made};
    return is_never(&nulls, conjunct, true);
}

enum join_kind join_without_nulls(enum join_kind kind, bool left_refused, bool right_refused)
{
    switch ((int)kind) {
    case JOIN_LEFT: return right_refused ? JOIN_INNER : kind;
    case JOIN_RIGHT: return left_refused ? JOIN_INNER : kind;
    case JOIN_FULL:
        return left_refused ? (right_refused ? JOIN_INNER : JOIN_LEFT)
                            : (right_refused ? JOIN_RIGHT : JOIN_FULL);
    default: return kind;
    }
}
