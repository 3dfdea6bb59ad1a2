/* UPDATE and DELETE through views whose columns are not all columns of one table: computed ones,
 * the same one twice, inner joins.
 *
 * The view stays the derived table that it is; the columns of the base table that is to change are
 * carried up through it, unnamed, behind its own. An assigned column is followed down to the base
 * column that it shows. What the view's definition says about WHERE and ON holds as it stands. */
#include "sql/bind/bind_int.h"

#include "sql/bind/table_rules.h"
#include "sql/types/cast.h"

/* Somewhere in the tree is a node that gives it. */
static bool holds(const struct lnode *n, col_id_t id)
{
    if (lnode_gives(n, id)) {
        return true;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (holds(n->children[i], id)) {
            return true;
        }
    }
    return false;
}

static db_err project_too(struct binder *b, struct lnode *n, const struct lcolumn *c)
{
    uint32_t count = n->u.project.count;
    struct lproj *grown = BIND_ARRAY(b, struct lproj, count + 1);
    struct bexpr *e = bind__column_expr(b, c);
    if (grown == NULL || e == NULL) {
        return ERR_NOMEM;
    }
    memcpy(grown, n->u.project.exprs, count * sizeof(*grown));
    grown[count] = (struct lproj){.expr = e, .out = c->id};
    n->u.project.exprs = grown;
    n->u.project.count++;
    return ERR_OK;
}

db_err bind__carry(struct binder *b, struct lnode *n, const struct lcolumn *c)
{
    if (lnode_gives(n, c->id)) {
        return ERR_OK;
    }
    switch ((int)n->kind) {
    case LNODE_PROJECT:
        if (n->child_count != 0 && holds(n->children[0], c->id)) {
            TRY(bind__carry(b, n->children[0], c));
        }
        TRY(project_too(b, n, c));
        break;
    case LNODE_JOIN:
        TRY(bind__carry(b, n->children[holds(n->children[0], c->id) ? 0 : 1], c));
        break;
    case LNODE_SORT:
    case LNODE_LIMIT:
    case LNODE_FILTER:
    case LNODE_DISTINCT: TRY(bind__carry(b, n->children[0], c)); break;
    default:
        return diag_set(b->diag, ERR_INVALID, "internal: no column can be carried through %d",
                        (int)n->kind);
    }
    n->columns = bind__add_columns(b, n->columns, n->column_count, c, 1);
    if (n->columns == NULL) {
        return ERR_NOMEM;
    }
    n->columns[n->column_count++].hidden = true;
    return ERR_OK;
}

/* MYSQL: inner joins of base tables, with conditions, in any order; views of such. */
bool bind__view_merges(const struct lnode *n)
{
    if (n->kind == LNODE_PROJECT && n->u.project.view != NULL &&
        n->u.project.view->view.algorithm == VIEW_TEMPTABLE) {
        return false;
    }
    switch ((int)n->kind) {
    case LNODE_TABLE: return n->u.table.def->kind == TABLE_BASE;
    case LNODE_FILTER:
    case LNODE_SORT:
    case LNODE_PROJECT: return n->child_count != 0 && bind__view_merges(n->children[0]);
    case LNODE_JOIN:
        return (n->u.join.kind == JOIN_INNER || n->u.join.kind == JOIN_CROSS) &&
               bind__view_merges(n->children[0]) && bind__view_merges(n->children[1]);
    default: return false;
    }
}

bool bind__has_check(const struct lnode *n)
{
    if (n->kind == LNODE_PROJECT && n->u.project.view != NULL &&
        n->u.project.view->view.check_option != VIEW_CHECK_NONE) {
        return true;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (bind__has_check(n->children[i])) {
            return true;
        }
    }
    return false;
}

/* The base column that is shown as this one. NULL: it is computed. */
struct lnode *bind__trace(struct lnode *n, col_id_t id, uint32_t *ret_ordinal)
{
    if (n->kind == LNODE_TABLE) {
        *ret_ordinal = id - n->columns[0].id;
        return lnode_gives(n, id) ? n : NULL;
    }
    for (uint32_t i = 0; n->kind == LNODE_PROJECT && i < n->u.project.count; i++) {
        const struct lproj *p = &n->u.project.exprs[i];
        if (p->out == id) {
            return p->expr->kind == BEXPR_COLUMN
                       ? bind__trace(n->children[0], p->expr->u.column.id, ret_ordinal)
                       : NULL;
        }
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        struct lnode *t = bind__trace(n->children[i], id, ret_ordinal);
        if (t != NULL) {
            return t;
        }
    }
    return NULL;
}

/* The view among the tables of the statement that shows the column. */
struct lnode *bind__view_of(struct lnode *n, col_id_t id)
{
    if (n->kind == LNODE_PROJECT) {
        return lnode_gives(n, id) ? n : NULL;
    }
    for (uint32_t i = 0; i < n->child_count && (n->kind == LNODE_JOIN || n->kind == LNODE_FILTER);
         i++) {
        struct lnode *v = bind__view_of(n->children[i], id);
        if (v != NULL) {
            return v;
        }
    }
    return NULL;
}

static db_err carry_table(struct binder *b, struct lnode *from, const struct lnode *table)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        TRY(bind__carry(b, from, &table->columns[i]));
    }
    return ERR_OK;
}

bool bind__is_below(const struct lnode *n, const struct lnode *table)
{
    bool below = n == table;
    for (uint32_t i = 0; i < n->child_count && !below; i++) {
        below = bind__is_below(n->children[i], table);
    }
    return below;
}

static db_err of_view(struct binder *b, enum my_errno number, const struct lnode *view)
{
    const struct table_def *v = view->u.project.view;
    const char *schema = arena_strdup(b->arena, v->schema_name);
    const char *name = arena_strdup(b->arena, v->name);
    return number == ER_VIEW_MULTIUPDATE
               ? my_error(b->diag, ER_VIEW_MULTIUPDATE, schema, name)
               : my_error(b->diag, ER_VIEW_DELETE_MERGE_VIEW, schema, name);
}

static bool is_ordered(const struct lnode *n)
{
    while (n->kind == LNODE_PROJECT || n->kind == LNODE_FILTER) {
        n = n->children[0];
    }
    return n->kind == LNODE_SORT;
}

db_err bind__view_column(struct binder *b, struct lnode *from, const struct lcolumn *named,
                         struct lnode **ret_table, uint32_t *ret_ordinal)
{
    struct lnode *view = bind__view_of(from, named->id);
    *ret_table = NULL;
    if (view == NULL || view->u.project.view == NULL || !bind__view_merges(view)) {
        return ERR_OK;
    }
    if (is_ordered(view) && bind__is_join_view(view)) {
        return my_error(b->diag, ER_WRONG_USAGE, "UPDATE", "ORDER BY");
    }
    struct lnode *table = bind__trace(view, named->id, ret_ordinal);
    if (table == NULL) {
        return my_error(b->diag, ER_NONUPDATEABLE_COLUMN, arena_strdup(b->arena, named->name));
    }
    for (uint32_t i = 0; i < b->stmt->target_count; i++) {
        const struct lnode *other = b->stmt->targets[i].table_node;
        if (other != table && bind__is_below(view, other)) {
            return of_view(b, ER_VIEW_MULTIUPDATE, view);
        }
    }
    TRY(bind__need_column(b, named->need, named->need_column, PRIV_NEED_UPDATE));
    *ret_table = table;
    return carry_table(b, from, table);
}

/* The only table below; *io_count counts them. */
static struct lnode *only_table(struct lnode *n, uint32_t *io_count)
{
    struct lnode *found = n->kind == LNODE_TABLE ? n : NULL;
    *io_count += found != NULL;
    for (uint32_t i = 0; i < n->child_count; i++) {
        struct lnode *t = only_table(n->children[i], io_count);
        found = found == NULL ? t : found;
    }
    return found;
}

db_err bind__view_rows(struct binder *b, struct lnode *from, struct lnode *view,
                       struct lnode **ret_table)
{
    uint32_t count = 0;
    *ret_table = NULL;
    if (view->kind != LNODE_PROJECT || view->u.project.view == NULL || !bind__view_merges(view)) {
        return ERR_OK;
    }
    struct lnode *table = only_table(view, &count);
    if (count != 1) {
        return of_view(b, ER_VIEW_DELETE_MERGE_VIEW, view);
    }
    *ret_table = table;
    return carry_table(b, from, table);
}

bool bind__is_join_view(struct lnode *view)
{
    uint32_t count = 0;
    return only_table(view, &count) != NULL && count > 1;
}

/* ---- LIMIT ---- */

static bool shows_key(const struct table_def *def, const bool *shown)
{
    bool all = true;
    for (uint32_t i = 0; i < def->index_count; i++) {
        const struct index_def *ix = &def->indexes[i];
        bool whole = ix->kind == INDEX_PRIMARY || ix->kind == INDEX_UNIQUE;
        for (uint32_t p = 0; p < ix->part_count && whole; p++) {
            const struct column_def *c = &def->columns[ix->parts[p].column];
            whole = shown[c->ordinal] && (c->type.flags & TYPE_F_NOT_NULL) != 0;
        }
        if (whole) {
            return true;
        }
    }
    for (uint32_t i = 0; i < def->column_count; i++) {
        all = all && (shown[i] || def->columns[i].hidden);
    }
    return all;
}

db_err bind__view_limit(struct binder *b, struct lnode *from, const char *kind)
{
    struct lnode *table = bind__target_table(from);
    uint32_t count = 0;
    bool flat = table != NULL;
    if (flat ? table->u.table.via_view_count == 0
             : from->kind != LNODE_PROJECT || from->u.project.view == NULL) {
        return ERR_OK;
    }
    table = flat ? table : only_table(from, &count);
    if (table == NULL || count > 1) {
        return ERR_OK;
    }
    bool *shown = BIND_ARRAY(b, bool, table->column_count + 1);
    if (shown == NULL) {
        return ERR_NOMEM;
    }
    const struct lnode *named = flat ? table : from;
    for (uint32_t i = 0; i < named->column_count; i++) {
        uint32_t ordinal = i;
        bool is = flat ? table->columns[i].name.len != 0
                       : bind__trace(from, from->columns[i].id, &ordinal) != NULL;
        shown[ordinal] = shown[ordinal] || is;
    }
    if (shows_key(table->u.table.def, shown)) {
        return ERR_OK;
    }
    if (b->opts->view_limit_needs_key) {
        b->stmt->session_bound = true;
        return my_error(b->diag, ER_NON_UPDATABLE_TABLE,
                        arena_strdup(b->arena, named->columns[0].table), kind);
    }
    b->stmt->session_bound = true; /* the note is the statement's own */
    if (b->opts->warn != NULL) {
        b->opts->warn(b->opts->env, CAST_NOTE, ER_WARN_VIEW_WITHOUT_KEY,
                      my_error_format(ER_WARN_VIEW_WITHOUT_KEY));
    }
    return ERR_OK;
}
