/* What variables forbid a statement: read_only, super_read_only, sql_safe_updates, sql_big_selects
 * and max_join_size. */
#include "sql/session/session_int.h"

db_err guard__write(struct sql_session *s)
{
    if (LIKELY(!atomic_load_explicit(&s->engine->read_only, memory_order_relaxed))) {
        return ERR_OK;
    }
    if (atomic_load_explicit(&s->engine->super_read_only, memory_order_relaxed)) {
        return my_error(&s->diag, ER_OPTION_PREVENTS_STATEMENT, "--super-read-only");
    }
    return priv_has(&s->priv.subject, PRIV_SUPER, DYN_BIT(CONNECTION_ADMIN))
               ? ERR_OK
               : my_error(&s->diag, ER_OPTION_PREVENTS_STATEMENT, "--read-only");
}

static bool is_target(const struct plan_node *change, const struct table_def *t)
{
    for (uint32_t i = 0; i < change->u.dml.target_count; i++) {
        if (change->u.dml.targets[i].table == t) {
            return true;
        }
    }
    return false;
}

static bool has_limit(const struct plan_node *n)
{
    while (n->child_count == 1 && n->kind != PLAN_LIMIT && n->kind != PLAN_TOPN) {
        n = n->children[0];
    }
    return n->kind == PLAN_LIMIT || n->kind == PLAN_TOPN;
}

/* A table that is changed is read from end to end. */
static bool scans_target(const struct plan_node *change, const struct plan_node *n)
{
    if ((n->kind == PLAN_TABLE_SCAN || n->kind == PLAN_INDEX_SCAN) && n->u.scan.range_count == 0 &&
        is_target(change, n->u.scan.table)) {
        return true;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (scans_target(change, n->children[i])) {
            return true;
        }
    }
    return false;
}

/* Rows that are looked at, as estimated: for a join those of one side for each of the other. */
static double examined(const struct plan_node *n)
{
    double rows = n->child_count == 0 ? n->rows : examined(n->children[0]);
    for (uint32_t i = 1; i < n->child_count; i++) {
        double right = examined(n->children[i]);
        rows = n->kind == PLAN_SETOP ? rows + right : rows * (right < 1 ? 1 : right);
    }
    return rows;
}

static db_err check_select(struct sql_session *s, const struct plan *plan)
{
    if (s->vars.big_selects || s->vars.max_join_size == UINT64_MAX || !plan->uses_tables) {
        return ERR_OK;
    }
    return examined(plan->root) > (double)s->vars.max_join_size
               ? my_error(&s->diag, ER_TOO_BIG_SELECT)
               : ERR_OK;
}

static bool changes_only_temporary(const struct plan_node *root)
{
    if (root->kind == PLAN_INSERT) {
        return table_is_temporary(root->u.insert.target->table);
    }
    for (uint32_t i = 0; i < root->u.dml.target_count; i++) {
        if (!table_is_temporary(root->u.dml.targets[i].table)) {
            return false;
        }
    }
    return true;
}

db_err guard__plan(struct sql_session *s, const struct plan *plan)
{
    if (plan->kind == BOUND_SELECT) {
        return check_select(s, plan);
    }
    if (UNLIKELY(atomic_load_explicit(&s->engine->read_only, memory_order_relaxed)) &&
        !changes_only_temporary(plan->root)) {
        return guard__write(s);
    }
    if (UNLIKELY(s->global_locks.read) && !changes_only_temporary(plan->root)) {
        return my_error(&s->diag, ER_CANT_UPDATE_WITH_READLOCK);
    }
    const struct plan_node *root = plan->root;
    if (s->vars.safe_updates && root->kind != PLAN_INSERT && root->u.dml.limit == NULL &&
        !has_limit(root->children[0]) && scans_target(root, root->children[0])) {
        return my_error(&s->diag, ER_UPDATE_WITHOUT_KEY_IN_SAFE_MODE, "");
    }
    return ERR_OK;
}
