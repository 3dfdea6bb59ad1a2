/* Derived tables, views and common table expressions that stand where they are used: whether they
 * are a part of the query around them, as they are without a word, or run as one of their own that
 * runs once and keeps its rows (NO_MERGE, optimizer_switch without derived_merge).
 *
 * MYSQL: that is a choice only for a query of tables, joins and conditions. What groups, sorts out
 * doubles or limits is a table of its own there; here its rows are passed on as they come. */
#include "sql/opt/opt_int.h"

#include "sql/bind/hints.h"

bool opt__is_simple(const struct lnode *n)
{
    switch ((int)n->kind) {
    case LNODE_DUAL:
    case LNODE_TABLE: return true;
    case LNODE_FILTER:
    case LNODE_PROJECT:
    case LNODE_JOIN: break;
    default: return false;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (!opt__is_simple(n->children[i])) {
            return false;
        }
    }
    return true;
}

/* MYSQL: could be merged. top: n is the table's own topmost node. */
static bool could_merge(const struct lnode *n, bool top)
{
    switch ((int)n->kind) {
    case LNODE_TABLE:
    case LNODE_CTE_REF:
    case LNODE_TABLE_FUNC:
    case LNODE_JOIN: return true;
    case LNODE_PROJECT:
        if (n->u.project.derived && !top) {
            return true;
        }
        return could_merge(n->children[0], false);
    case LNODE_FILTER:
    case LNODE_SORT: return could_merge(n->children[0], false);
    default: return false;
    }
}

/* Does it hold a table that the statement changes, or rows of the last round of a recursion? */
static bool changes(const struct optimizer *o, const struct lnode *n)
{
    if (n->kind == LNODE_CTE_REF && n->u.cte_ref.working) {
        return true;
    }
    for (uint32_t i = 0; i < o->stmt->target_count; i++) {
        if (o->stmt->targets[i].table_node == n) {
            return true;
        }
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (changes(o, n->children[i])) {
            return true;
        }
    }
    return false;
}

/* ---- */

static bool is_unmerged(const struct optimizer *o, const struct lnode *n)
{
    enum ast_tristate merge = hints_switch(n->u.project.block, n->u.project.hinted, HINT_MERGE);
    return merge == AST_NO || (merge == AST_UNSET && !opt__switch(o, OPT_DERIVED_MERGE));
}

bool opt__derived_is_kept(const struct optimizer *o, const struct lnode *n)
{
    return n->u.project.derived && is_unmerged(o, n) && could_merge(n, true) && !changes(o, n) &&
           !opt__tree_reads_outer(n, NULL);
}

bool opt__derived_takes_conditions(const struct optimizer *o, const struct lnode *n)
{
    if (!n->u.project.derived) {
        return true;
    }
    enum ast_tristate push =
        hints_switch(n->u.project.block, n->u.project.hinted, HINT_DERIVED_CONDITION_PUSHDOWN);
    bool off =
        push == AST_NO || (push == AST_UNSET && !opt__switch(o, OPT_DERIVED_CONDITION_PUSHDOWN));
    return !off || (could_merge(n, true) && !is_unmerged(o, n));
}
