/* Views as targets of INSERT, UPDATE and DELETE.
 *
 * What a view's reference is bound to, projections and filters over one table, is turned into the
 * table itself with the view's conditions above it. The table's columns then carry the view's
 * names; columns that the view does not show have the empty name, which no statement can write. So
 * what follows sees a table like any other and changes its rows. */
#include "sql/bind/bind_int.h"

#include "sql/bind/table_rules.h"
#include "sql/types/sql_mode.h"

struct flat {
    struct lnode *table;
    /* By column id of the level above: the table's column; expr NULL: computed for ORDER BY. */
    struct lproj *shown;
    uint32_t shown_count;
    struct bexpr **conjuncts;
    uint32_t count;
    struct view_rules rules;
    const struct table_def *top; /* the view that the statement names */
    bool under_sort;             /* the node to come stands right below ORDER BY */
    bool insert;                 /* conditions are of no use but as checks */
    col_id_t *ids;               /* as in struct rule_check, for all levels so far */
    uint32_t id_count;
};

static bool is_column(const struct bexpr *e)
{
    return e->kind == BEXPR_COLUMN;
}

static col_id_t table_id(const struct flat *f, col_id_t id)
{
    for (uint32_t i = 0; i < f->shown_count; i++) {
        if (f->shown[i].out == id) {
            return f->shown[i].expr == NULL ? 0 : f->shown[i].expr->u.column.id;
        }
    }
    return f->shown_count == 0 ? id : 0;
}

static bool to_table(const struct flat *f, struct bexpr *e)
{
    if (e->kind == BEXPR_COLUMN) {
        col_id_t id = table_id(f, e->u.column.id);
        e->u.column.id = id;
        return id != 0;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (!to_table(f, e->args[i])) {
            return false;
        }
    }
    return true;
}

/* A subquery names columns of its outer query by id: it can stay only right above the table. */
static db_err add_filter(struct binder *b, struct flat *f, const struct lnode *n, bool *ret_is)
{
    uint32_t total = f->count + n->u.filter.count;
    struct bexpr **list = BIND_ARRAY(b, struct bexpr *, total + 1);
    if (list == NULL) {
        return ERR_NOMEM;
    }
    if (f->count != 0) {
        memcpy(list, f->conjuncts, f->count * sizeof(*list));
    }
    for (uint32_t i = 0; i < n->u.filter.count && *ret_is; i++) {
        const struct bexpr *e = n->u.filter.conjuncts[i];
        struct bexpr *c = bexpr_clone(b->arena, e);
        if (c == NULL) {
            return ERR_NOMEM;
        }
        *ret_is = f->shown_count == 0 || (e->has_subquery ? f->insert : to_table(f, c));
        list[f->count + i] = c;
    }
    f->conjuncts = list;
    f->count = total;
    return ERR_OK;
}

/* By ordinal, as the table's own rules are. */
static void number_slots(struct bexpr *e, col_id_t first)
{
    if (e->kind == BEXPR_COLUMN) {
        e->u.column.slot = e->u.column.id - first;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        number_slots(e->args[i], first);
    }
}

/* Another level's names of the table's columns: of the table itself, or of those that are shown. */
static db_err add_ids(struct binder *b, struct flat *f)
{
    uint32_t n = f->table->column_count;
    col_id_t *grown = BIND_ARRAY(b, col_id_t, f->id_count + n + 1);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (f->id_count != 0) {
        memcpy(grown, f->ids, f->id_count * sizeof(*grown));
    }
    for (uint32_t i = 0; i < n && f->shown == NULL; i++) {
        grown[i] = f->table->columns[i].id;
    }
    for (uint32_t i = 0; i < f->shown_count; i++) {
        if (f->shown[i].expr == NULL) {
            continue;
        }
        grown[f->id_count + f->shown[i].expr->u.column.id - f->table->columns[0].id] =
            f->shown[i].out;
    }
    f->ids = grown;
    f->id_count += n;
    return ERR_OK;
}

static bool any_subquery(const struct lnode *n)
{
    for (uint32_t i = 0; i < n->u.filter.count; i++) {
        if (n->u.filter.conjuncts[i]->has_subquery) {
            return true;
        }
    }
    return false;
}

static db_err add_checks(struct binder *b, struct flat *f, uint32_t first)
{
    uint32_t total = f->rules.check_count + (f->count - first);
    struct rule_check *list = BIND_ARRAY(b, struct rule_check, total + 1);
    if (list == NULL) {
        return ERR_NOMEM;
    }
    if (f->rules.check_count != 0) {
        memcpy(list, f->rules.checks, f->rules.check_count * sizeof(*list));
    }
    for (uint32_t i = first; i < f->count; i++) {
        struct rule_check *c = &list[f->rules.check_count++];
        bool subquery = f->conjuncts[i]->has_subquery;
        c->expr = bexpr_clone(b->arena, f->conjuncts[i]);
        if (c->expr == NULL) {
            return ERR_NOMEM;
        }
        if (subquery) {
            c->ids = f->ids;
            c->id_count = f->id_count;
        } else {
            number_slots(c->expr, f->table->columns[0].id);
        }
        c->of_view = true;
        c->name = f->top->name;
        c->schema = f->top->schema_name;
    }
    f->rules.checks = list;
    return ERR_OK;
}

static db_err add_project(struct binder *b, struct flat *f, const struct lnode *n, bool under_sort,
                          bool *ret_is)
{
    uint32_t count = n->u.project.count;
    struct lproj *shown = BIND_ARRAY(b, struct lproj, count + 1);
    if (shown == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count && *ret_is; i++) {
        shown[i] = n->u.project.exprs[i];
        if (under_sort && !is_column(shown[i].expr)) {
            shown[i].expr = NULL;
            continue;
        }
        *ret_is = is_column(shown[i].expr);
        if (*ret_is) {
            shown[i].expr = bexpr_clone(b->arena, shown[i].expr);
            *ret_is = shown[i].expr != NULL && to_table(f, shown[i].expr);
        }
        for (uint32_t k = 0; k < i && *ret_is && !under_sort; k++) {
            *ret_is = shown[k].expr->u.column.id != shown[i].expr->u.column.id;
        }
    }
    f->shown = shown;
    f->shown_count = count;
    return *ret_is ? add_ids(b, f) : ERR_OK;
}

db_err bind__add_view_need(struct binder *b, struct view_rules *rules, uint32_t need)
{
    uint32_t *grown = BIND_ARRAY(b, uint32_t, rules->need_count + 1);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (rules->need_count != 0) {
        memcpy(grown, rules->needs, rules->need_count * sizeof(*grown));
    }
    grown[rules->need_count++] = need;
    rules->needs = grown;
    return ERR_OK;
}

/* MYSQL: CASCADED holds for the views below as well, LOCAL for the view itself. `cascaded`: a view
 * further up says so; `checked`: the conditions of this view are to hold for what is written. */
static db_err flatten(struct binder *b, struct flat *f, struct lnode *n, bool cascaded,
                      bool checked, bool *ret_is)
{
    bool under_sort = f->under_sort;
    f->under_sort = n->kind == LNODE_SORT;
    if (n->kind == LNODE_SORT) { /* the rows are changed in whatever order */
        return flatten(b, f, n->children[0], cascaded, checked, ret_is);
    }
    if (n->kind == LNODE_PROJECT && n->u.project.view != NULL) {
        const struct table_def *view = n->u.project.view;
        if (view->view.algorithm == VIEW_TEMPTABLE) {
            *ret_is = false;
            return ERR_OK;
        }
        f->top = f->top == NULL ? view : f->top;
        cascaded = cascaded || view->view.check_option == VIEW_CHECK_CASCADED;
        checked = cascaded || view->view.check_option == VIEW_CHECK_LOCAL;
        TRY(bind__add_view_need(b, &f->rules, n->u.project.view_need));
    }
    switch ((int)n->kind) {
    case LNODE_TABLE:
        f->table = n;
        *ret_is = n->u.table.def->kind == TABLE_BASE;
        return add_ids(b, f);
    case LNODE_FILTER:
    case LNODE_PROJECT: break;
    default: *ret_is = false; return ERR_OK;
    }
    TRY(flatten(b, f, n->children[0], cascaded, checked, ret_is));
    if (!*ret_is) {
        return ERR_OK;
    }
    if (n->kind == LNODE_PROJECT) {
        return add_project(b, f, n, under_sort, ret_is);
    }
    if (checked && !f->insert && any_subquery(n)) {
        *ret_is = false; /* it is needed twice: bind_view_check.c */
        return ERR_OK;
    }
    uint32_t first = f->count;
    TRY(add_filter(b, f, n, ret_is));
    return checked && *ret_is ? add_checks(b, f, first) : ERR_OK;
}

db_err bind__under_view(struct binder *b, struct lnode *table, const struct lnode *view,
                        const struct view_rules *rules, struct lcolumn **ret_columns)
{
    struct lcolumn *cols = bind__add_columns(b, table->columns, table->column_count, NULL, 0);
    if (cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        cols[i].name = SLICE_LIT("");
        cols[i].table = view->columns[0].table;
        cols[i].schema = view->columns[0].schema;
    }
    table->columns = cols;
    table->u.table.alias = view->columns[0].table;
    table->u.table.in_derived = false;
    table->u.table.view_checks = rules->checks;
    table->u.table.view_check_count = rules->check_count;
    table->u.table.via_views = rules->needs;
    table->u.table.via_view_count = rules->need_count;
    *ret_columns = cols;
    return ERR_OK;
}

/* The table's columns under the names that the view gives them. */
static db_err rename_columns(struct binder *b, const struct flat *f, const struct lnode *view,
                             col_id_t *ids)
{
    struct lcolumn *cols;
    TRY(bind__under_view(b, f->table, view, &f->rules, &cols));
    for (uint32_t i = 0; i < view->column_count; i++) {
        ids[i] = table_id(f, view->columns[i].id);
        bind__show_as(&cols[ids[i] - cols[0].id], &view->columns[i]);
    }
    return ERR_OK;
}

db_err bind__view_target(struct binder *b, struct lnode *view, bool insert, col_id_t **ret_ids,
                         struct lnode **ret)
{
    struct flat f = {.insert = insert};
    bool is = view->kind == LNODE_PROJECT && view->column_count != 0;
    *ret = view;
    if (is) {
        TRY(flatten(b, &f, view, false, false, &is));
    }
    if (!is) {
        return ERR_OK;
    }
    col_id_t *ids = BIND_ARRAY(b, col_id_t, view->column_count + 1);
    if (ids == NULL) {
        return ERR_NOMEM;
    }
    TRY(rename_columns(b, &f, view, ids));
    *ret_ids = ids;
    *ret = f.table;
    if (f.count != 0) {
        struct lnode *filter = bind__node(b, LNODE_FILTER, f.table);
        if (filter == NULL) {
            return ERR_NOMEM;
        }
        filter->u.filter.conjuncts = f.conjuncts;
        filter->u.filter.count = f.count;
        *ret = filter;
    }
    return ERR_OK;
}

struct lnode *bind__target_table(struct lnode *n)
{
    while (n->kind == LNODE_FILTER) {
        n = n->children[0];
    }
    return n->kind == LNODE_TABLE ? n : NULL;
}

/* MYSQL: a column that the view does not show must have a default. */
db_err bind__view_insertable(struct binder *b, const struct lnode *table)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct column_def *c = table->columns[i].def;
        bool missing = table->columns[i].name.len == 0 && c->default_kind == DEFAULT_NONE &&
                       !c->auto_increment && !c->hidden && c->generated == GENERATED_NO;
        if (missing && (b->opts->sql_mode & SQL_MODE_STRICT) != 0) {
            return my_error(b->diag, ER_NO_DEFAULT_FOR_VIEW_FIELD,
                            arena_strdup(b->arena, table->columns[i].schema),
                            arena_strdup(b->arena, table->columns[i].table));
        }
    }
    return ERR_OK;
}
