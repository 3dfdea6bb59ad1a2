/* INSERT through views that are joins.
 *
 * MYSQL: the columns that are named must be of one table; the row goes to it, and the others are
 * not looked at. A check option is asked of the new row with NULL for what other tables show. */
#include "sql/bind/bind_int.h"

#include "sql/bind/table_rules.h"

struct join_target {
    struct binder *b;
    struct lnode *view, *table;
    struct view_rules rules; /* of the views above the table */
};

static db_err of_view(struct binder *b, enum my_errno number, const struct lnode *view)
{
    const char *schema = arena_strdup(b->arena, view->u.project.view->schema_name);
    const char *name = arena_strdup(b->arena, view->u.project.view->name);
    switch ((int)number) {
    case ER_VIEW_MULTIUPDATE: return my_error(b->diag, ER_VIEW_MULTIUPDATE, schema, name);
    case ER_VIEW_NO_INSERT_FIELD_LIST:
        return my_error(b->diag, ER_VIEW_NO_INSERT_FIELD_LIST, schema, name);
    default: return my_error(b->diag, ER_VIEW_DELETE_MERGE_VIEW, schema, name);
    }
}

static const struct lcolumn *shown(const struct lnode *view, const struct ast_column *c)
{
    for (uint32_t i = 0; i < view->column_count; i++) {
        if (!view->columns[i].hidden && slice_eq_nocase(view->columns[i].name, c->name)) {
            return &view->columns[i];
        }
    }
    return NULL;
}

static db_err named(struct join_target *t, const struct ast_column *c)
{
    struct binder *b = t->b;
    uint32_t ordinal;
    const struct lcolumn *col = shown(t->view, c);
    if (col == NULL) {
        return my_error(b->diag, ER_BAD_FIELD_ERROR, arena_strdup(b->arena, c->name), "field list");
    }
    struct lnode *table = bind__trace(t->view, col->id, &ordinal);
    if (table == NULL) {
        return my_error(b->diag, ER_NONUPDATEABLE_COLUMN, arena_strdup(b->arena, col->name));
    }
    if (t->table != NULL && t->table != table) {
        return of_view(b, ER_VIEW_MULTIUPDATE, t->view);
    }
    t->table = table;
    return ERR_OK;
}

static db_err named_columns(struct join_target *t, const struct ast_insert *s)
{
    bool set = s->source == AST_INSERT_SET;
    uint32_t count = set ? s->set.count : s->columns.count;
    if (count == 0) {
        return of_view(t->b, ER_VIEW_NO_INSERT_FIELD_LIST, t->view);
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(named(t,
                  set ? s->set.items[i]->column : (const struct ast_column *)s->columns.items[i]));
    }
    if (s->replace) {
        return of_view(t->b, ER_VIEW_DELETE_MERGE_VIEW, t->view);
    }
    for (uint32_t i = 0; i < s->on_duplicate.count; i++) {
        TRY(named(t, s->on_duplicate.items[i]->column));
    }
    return ERR_OK;
}

/* A condition's columns become the table's, by ordinal; those of others NULL. */
static db_err of_new_row(struct join_target *t, struct lnode *below, struct bexpr *e,
                         struct bexpr **ret)
{
    *ret = e;
    if (e->has_subquery || e->kind == BEXPR_COLUMN) {
        uint32_t ordinal = 0;
        struct lnode *table =
            e->kind == BEXPR_COLUMN ? bind__trace(below, e->u.column.id, &ordinal) : NULL;
        if (table != t->table) {
            struct value null;
            value_set_null(&null, &e->type);
            return bind__const(t->b, &null, &e->type, 6, ret);
        }
        e->u.column.id = t->table->columns[ordinal].id;
        e->u.column.slot = ordinal;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(of_new_row(t, below, e->args[i], &e->args[i]));
    }
    return ERR_OK;
}

static db_err add_checks(struct join_target *t, struct lnode *below, struct bexpr *const *list,
                         uint32_t count)
{
    struct rule_check *grown =
        BIND_ARRAY(t->b, struct rule_check, t->rules.check_count + count + 1);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (t->rules.check_count != 0) {
        memcpy(grown, t->rules.checks, t->rules.check_count * sizeof(*grown));
    }
    t->rules.checks = grown;
    for (uint32_t i = 0; i < count; i++) {
        struct bexpr *e = bexpr_clone(t->b->arena, list[i]);
        if (e == NULL) {
            return ERR_NOMEM;
        }
        TRY(of_new_row(t, below, e, &e));
        grown[t->rules.check_count++] =
            (struct rule_check){.expr = e,
                                .of_view = true,
                                .name = t->view->u.project.view->name,
                                .schema = t->view->u.project.view->schema_name};
    }
    return ERR_OK;
}

static db_err gather(struct join_target *t, struct lnode *n, bool cascaded, bool checked)
{
    if (n->kind == LNODE_PROJECT && n->u.project.view != NULL) {
        enum view_check_option option = n->u.project.view->view.check_option;
        cascaded = cascaded || option == VIEW_CHECK_CASCADED;
        checked = cascaded || option == VIEW_CHECK_LOCAL;
        if (bind__is_below(n, t->table)) {
            TRY(bind__add_view_need(t->b, &t->rules, n->u.project.view_need));
        }
    }
    if (checked && n->kind == LNODE_FILTER) {
        TRY(add_checks(t, n->children[0], n->u.filter.conjuncts, n->u.filter.count));
    }
    if (checked && n->kind == LNODE_JOIN) {
        TRY(add_checks(t, n, n->u.join.on, n->u.join.on_count));
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(gather(t, n->children[i], cascaded, checked));
    }
    return ERR_OK;
}

static db_err rename_columns(struct join_target *t)
{
    struct lcolumn *cols;
    TRY(bind__under_view(t->b, t->table, t->view, &t->rules, &cols));
    for (uint32_t i = 0; i < t->view->column_count; i++) {
        const struct lcolumn *v = &t->view->columns[i];
        uint32_t ordinal;
        if (!v->hidden && bind__trace(t->view, v->id, &ordinal) == t->table) {
            bind__show_as(&cols[ordinal], v);
        }
    }
    return ERR_OK;
}

db_err bind__insert_into_join(struct binder *b, const struct ast_insert *s, struct lnode *view,
                              struct lnode **ret_table)
{
    struct join_target t = {.b = b, .view = view};
    TRY(named_columns(&t, s));
    TRY(gather(&t, view, false, false));
    TRY(rename_columns(&t));
    *ret_table = t.table;
    return ERR_OK;
}

db_err bind__computed_column_named(struct binder *b, const struct ast_insert *s, struct lnode *view)
{
    bool set = s->source == AST_INSERT_SET;
    uint32_t count = set ? s->set.count : s->columns.count;
    uint32_t ordinal;
    for (uint32_t i = 0; i < (count == 0 ? view->column_count : count); i++) {
        const struct lcolumn *c =
            count == 0 ? &view->columns[i]
                       : shown(view, set ? s->set.items[i]->column
                                         : (const struct ast_column *)s->columns.items[i]);
        if (c != NULL && bind__trace(view, c->id, &ordinal) == NULL) {
            return my_error(b->diag, ER_NONUPDATEABLE_COLUMN, arena_strdup(b->arena, c->name));
        }
    }
    return ERR_OK;
}
