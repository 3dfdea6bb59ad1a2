/* INSERT ... ON DUPLICATE KEY UPDATE.
 *
 * Its expressions see the old row under the table's name, the row that was to be inserted as
 * VALUES(c) or under the row alias, and, when the rows come from a query that does not group, the
 * columns of the query's tables. What they read of those is carried along behind the columns that
 * are inserted. */
#include "sql/bind/bind_int.h"

static struct lcolumn *duplicate_scope(struct binder *b, const struct ast_insert *s,
                                       const struct lnode *table, uint32_t *ret_count)
{
    uint32_t n = table->u.table.def->column_count;
    bool alias = s->row_alias.ptr != NULL;
    uint32_t own = alias ? 2 * n : n;
    struct lcolumn *cols = bind__add_columns(b, table->columns, n, table->columns, alias ? n : 0);
    for (uint32_t i = 0; cols != NULL && alias && i < n; i++) {
        struct lcolumn *c = &cols[n + i];
        c->id = b->stmt->odku_new[i];
        c->table = s->row_alias;
        c->schema = SLICE_EMPTY;
        c->need = 0;
        c->hidden = true; /* only by its qualified name, unless the alias names columns */
        for (uint32_t k = 0; k < b->stmt->insert_column_count && k < s->row_alias_columns.count;
             k++) {
            if (b->stmt->insert_columns[k] == i) {
                c->name = s->row_alias_columns.items[k]->name;
                c->hidden = false;
            }
        }
    }
    *ret_count = own + b->source_column_count;
    return cols == NULL
               ? NULL
               : bind__add_columns(b, cols, own, b->source_columns, b->source_column_count);
}

bool bind__inserted_column(const struct binder *b, const struct lcolumn *found,
                           const struct column_def **ret)
{
    const struct bound_stmt *st = b->stmt;
    const struct table_def *def =
        b->insert == NULL || st->target_count == 0 ? NULL : st->targets[0].def;
    for (uint32_t i = 0; def != NULL && i < def->column_count; i++) {
        bool inserted = st->odku_new != NULL && st->odku_new[i] == found->id;
        if (inserted || st->targets[0].columns[i] == found->id) {
            *ret = &def->columns[i];
            return inserted;
        }
    }
    return false;
}

static bool reads(const struct bexpr *e, col_id_t id)
{
    if (e->kind == BEXPR_COLUMN) {
        return e->u.column.id == id;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (reads(e->args[i], id)) {
            return true;
        }
    }
    return false;
}

static bool subquery_reads(const struct binder *b, col_id_t id)
{
    for (uint32_t i = 0; i < b->stmt->subquery_count; i++) {
        const struct bsubquery *q = b->subqueries[i];
        for (uint32_t k = 0; q != NULL && k < q->outer_count; k++) {
            if (q->outer_columns[k] == id) {
                return true;
            }
        }
    }
    return false;
}

static db_err carry_source(struct binder *b)
{
    struct bound_stmt *st = b->stmt;
    st->odku_source = BIND_ARRAY(b, col_id_t, b->source_column_count + 1);
    if (st->odku_source == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < b->source_column_count; i++) {
        const struct lcolumn *c = &b->source_columns[i];
        bool needed = subquery_reads(b, c->id);
        for (uint32_t k = 0; k < st->assign_count; k++) {
            needed = needed || reads(st->assigns[k].expr, c->id);
        }
        if (needed) {
            TRY(bind__carry(b, st->root, c));
            st->odku_source[st->odku_source_count++] = c->id;
        }
    }
    return ERR_OK;
}

static db_err unknown_column(struct binder *b, const struct ast_column *c)
{
    const char *name = c->table.ptr == NULL ? arena_strdup(b->arena, c->name)
                                            : arena_printf(b->arena, "%.*s.%.*s",
                                                           SLICE_FMT(c->table), SLICE_FMT(c->name));
    return my_error(b->diag, ER_BAD_FIELD_ERROR, name, "field list");
}

static db_err bind_assign(struct binder *b, struct scope *scope, const struct lnode *table,
                          const struct ast_assignment *a)
{
    const struct column_def *col = bind__column_named(table, a->column);
    struct bound_assign *out = &b->stmt->assigns[b->stmt->assign_count++];
    if (col == NULL) {
        return unknown_column(b, a->column);
    }
    bind__complete_stored(b, a->column, table->u.table.def, col);
    out->column = col->ordinal;
    TRY(bind__need_written(b, table, col->ordinal, PRIV_NEED_UPDATE));
    TRY(bind__expr(b, scope, a->value, &out->expr));
    if (out->expr->kind == BEXPR_ROW) {
        return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
    }
    const struct table_def *def = table->u.table.def;
    TRY(bind__check_generated(b, def, col->ordinal, out->expr));
    return bind__note_stored(b, out->expr, &def->columns[col->ordinal].type);
}

db_err bind__on_duplicate(struct binder *b, const struct ast_insert *s, struct lnode *table)
{
    struct bound_stmt *st = b->stmt;
    uint32_t n = table->u.table.def->column_count;
    if (s->on_duplicate.count == 0) {
        return ERR_OK;
    }
    st->odku_old = st->targets[0].columns;
    st->odku_new = BIND_ARRAY(b, col_id_t, n + 1);
    st->assigns = BIND_ARRAY(b, struct bound_assign, s->on_duplicate.count);
    if (st->odku_new == NULL || st->assigns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        st->odku_new[i] = bind__new_col(b);
    }
    struct scope scope = {
        .place = PLACE_FIELDS, .insert_target = &st->targets[0], .insert_new = st->odku_new};
    scope.columns = duplicate_scope(b, s, table, &scope.count);
    if (scope.columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->on_duplicate.count; i++) {
        TRY(bind_assign(b, &scope, table, s->on_duplicate.items[i]));
    }
    return carry_source(b);
}
