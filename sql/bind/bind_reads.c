/* Subqueries that read a table whose rows the statement changes.
 *
 * MYSQL: they may do so only through what is complete before the first change: a derived table, or
 * a view that is not merged. Of a view that is, any table is meant, also one that a subquery or a
 * derived table of the view reads. */
#include "sql/bind/bind_int.h"

db_err bind__note_view_read(struct binder *b, struct lnode *table)
{
    const struct view_use *outermost = b->views;
    while (outermost != NULL && outermost->outer != NULL) {
        outermost = outermost->outer;
    }
    if (outermost == NULL) {
        return ERR_OK;
    }
    table->u.table.view = outermost->def;
    table->u.table.view_alias = outermost->alias;
    if (outermost->of_subquery) {
        struct view_read *r = BIND_NEW(b, struct view_read);
        if (r == NULL) {
            return ERR_NOMEM;
        }
        *r = (struct view_read){b->view_reads, table};
        b->view_reads = r;
    }
    return ERR_OK;
}

/* What is derived within is a source as tables are. */
static bool is_source(const struct lnode *n)
{
    return n->kind == LNODE_TABLE || n->kind == LNODE_CTE_REF || n->kind == LNODE_TABLE_FUNC ||
           (n->kind == LNODE_PROJECT && n->u.project.derived);
}

bool bind__rows_merge(const struct lnode *n)
{
    if (is_source(n)) {
        return true;
    }
    switch ((int)n->kind) {
    case LNODE_FILTER:
    case LNODE_SORT:
    case LNODE_PROJECT: return n->child_count != 0 && bind__rows_merge(n->children[0]);
    case LNODE_JOIN: return bind__rows_merge(n->children[0]) && bind__rows_merge(n->children[1]);
    default: return false;
    }
}

/* named: only as this; NULL: as anything. */
static bool reads_directly(const struct lnode *n, const struct table_def *def,
                           const struct slice *named)
{
    if (n->kind == LNODE_TABLE && n->u.table.def->id == def->id && !n->u.table.in_derived &&
        (named == NULL || slice_eq(n->u.table.alias, *named))) {
        return true;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (reads_directly(n->children[i], def, named)) {
            return true;
        }
    }
    return false;
}

/* read: through a view; NULL: as it is. */
static db_err refuse(struct binder *b, const struct lnode *target, const struct lnode *read)
{
    const struct table_def *view = target->u.table.view;
    const char *name =
        arena_strdup(b->arena, view == NULL ? target->u.table.alias : target->u.table.view_alias);
    const char *by = read == NULL ? name : arena_strdup(b->arena, read->u.table.view_alias);
    const char *operation = b->stmt->kind == BOUND_INSERT   ? "INSERT"
                            : b->stmt->kind == BOUND_UPDATE ? "UPDATE"
                                                            : "DELETE";
    bool again = view == NULL ? read == NULL : read != NULL && read->u.table.view->id == view->id;
    return name == NULL || by == NULL ? ERR_NOMEM
           : again                    ? my_error(b->diag, ER_UPDATE_TABLE_USED, name)
                   : my_error(b->diag, ER_VIEW_PREVENT_UPDATE, by, operation, name);
}

db_err bind__check_reads(struct binder *b)
{
    bool insert = b->stmt->kind == BOUND_INSERT;
    for (uint32_t t = 0; t < b->stmt->target_count; t++) {
        const struct bound_target *target = &b->stmt->targets[t];
        /* MYSQL: that of a value list may read it also under another name. */
        const struct slice *named = insert ? &target->def->name : NULL;
        for (uint32_t i = 0; i < b->stmt->subquery_count; i++) {
            if (reads_directly(b->subqueries[i]->root, target->def, named)) {
                return refuse(b, target->table_node, NULL);
            }
        }
        for (const struct view_read *r = b->view_reads; r != NULL; r = r->next) {
            if (r->table->u.table.def->id == target->def->id) {
                return refuse(b, target->table_node, r->table);
            }
        }
    }
    return ERR_OK;
}
