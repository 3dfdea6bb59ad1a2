/* INSERT, REPLACE, UPDATE, DELETE.
 *
 * The root gives the rows to write (INSERT) or the whole old rows of the targets (UPDATE, DELETE).
 * Assignments are bound on the old row's columns; the executor applies them left to right, so that
 * a later one sees what an earlier one has set (MYSQL: UPDATE t SET a = a + 1, b = a uses the new
 * a). ON DUPLICATE KEY UPDATE sees the old row under the table's name and the row that was to be
 * inserted as VALUES(c) or under the row alias. */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"
#include "sql/parser/parser.h"

/* A view that the statement would change, or whatever else is no table. */
static db_err refuse_target(struct binder *b, const struct lnode *n, const char *verb)
{
    const struct lcolumn *c = n->column_count != 0 ? &n->columns[0] : NULL;
    const char *name = c == NULL ? "" : arena_strdup(b->arena, c->table);
    return my_error(b->diag, verb[0] == 'I' ? ER_NON_INSERTABLE_TABLE : ER_NON_UPDATABLE_TABLE,
                    name, verb);
}

/* The table and the views above it, the one that is named first. */
db_err bind__need_target(struct binder *b, const struct lnode *table, priv_t whole, priv_t any)
{
    for (uint32_t i = 0; i < table->u.table.via_view_count; i++) {
        TRY(bind__need_table(b, table->u.table.via_views[i], whole, any));
    }
    return bind__need_table(b, table->u.table.need, whole, any);
}

/* A column that is written: of the view that is named, and of the table itself. */
db_err bind__need_written(struct binder *b, const struct lnode *table, uint32_t ordinal, int kind)
{
    const struct lcolumn *c = &table->columns[ordinal];
    TRY(bind__need_column(b, c->need, c->need_column, kind));
    return table->u.table.via_view_count == 0
               ? ERR_OK
               : bind__need_column(b, table->u.table.need, ordinal, kind);
}

static db_err new_target(struct binder *b, struct lnode *table, struct bound_target *t)
{
    const struct table_def *def = table->u.table.def;
    if (def->kind == TABLE_VIRTUAL && b->opts->priv != NULL &&
        slice_eq_nocase(def->schema_name, SLICE_LIT("information_schema"))) {
        return priv_deny_schema(b->opts->priv, def->schema_name, b->diag);
    }
    if (def->kind != TABLE_BASE) {
        return my_error(b->diag, ER_NON_UPDATABLE_TABLE, arena_strdup(b->arena, def->name),
                        "change");
    }
    t->def = def;
    t->table_node = table;
    t->view_checks = table->u.table.view_checks;
    t->view_check_count = table->u.table.view_check_count;
    t->columns = BIND_ARRAY(b, col_id_t, def->column_count + 1);
    if (t->columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < def->column_count; i++) {
        t->columns[i] = table->columns[i].id;
    }
    return ERR_OK;
}

/* ---- INSERT ---- */

const struct column_def *bind__column_named(const struct lnode *table, const struct ast_column *c)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct lcolumn *l = &table->columns[i];
        if (slice_eq_nocase(l->name, c->name) && !l->def->hidden &&
            (c->table.ptr == NULL || slice_eq(c->table, l->table))) {
            return l->def;
        }
    }
    return NULL;
}

/* view_ids: the table's columns in the order of the view that is named, NULL: none is. */
static db_err insert_column_list(struct binder *b, const struct ast_insert *s,
                                 const struct lnode *table, const col_id_t *view_ids,
                                 uint32_t view_count)
{
    const struct table_def *def = table->u.table.def;
    uint32_t given = s->source == AST_INSERT_SET ? s->set.count : s->columns.count;
    /* MYSQL: () is as no list. */
    bool listed = s->source == AST_INSERT_SET || given != 0 || s->fills;
    struct bound_stmt *st = b->stmt;
    st->insert_columns = BIND_ARRAY(b, uint32_t, (listed ? given : def->column_count) + 1);
    bool *seen = BIND_ARRAY(b, bool, def->column_count + 1);
    if (st->insert_columns == NULL || seen == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; listed && i < given; i++) {
        const struct ast_column *c = s->source == AST_INSERT_SET
                                         ? s->set.items[i]->column
                                         : (const struct ast_column *)s->columns.items[i];
        const struct column_def *col = bind__column_named(table, c);
        if (col == NULL) {
            return my_error(b->diag, ER_BAD_FIELD_ERROR, arena_strdup(b->arena, c->name),
                            "field list");
        }
        if (seen[col->ordinal]) {
            return my_error(b->diag, ER_FIELD_SPECIFIED_TWICE, arena_strdup(b->arena, col->name));
        }
        seen[col->ordinal] = true;
        bind__complete_stored(b, c, def, col);
        TRY(bind__need_written(b, table, col->ordinal, PRIV_NEED_INSERT));
        st->insert_columns[st->insert_column_count++] = col->ordinal;
    }
    TRY(listed && given != 0 ? ERR_OK : bind__need_target(b, table, PRIV_INSERT, 0));
    for (uint32_t i = 0; !listed && i < view_count; i++) {
        st->insert_columns[st->insert_column_count++] =
            (uint32_t)(view_ids[i] - table->columns[0].id);
    }
    for (uint32_t i = 0; !listed && view_ids == NULL && i < def->column_count; i++) {
        if (!def->columns[i].hidden && !def->columns[i].invisible) {
            st->insert_columns[st->insert_column_count++] = i;
        }
    }
    return ERR_OK;
}

db_err bind__check_generated(struct binder *b, const struct table_def *def, uint32_t ordinal,
                             const struct bexpr *e)
{
    const struct column_def *c = &def->columns[ordinal];
    if (c->generated != GENERATED_NO && e->kind != BEXPR_DEFAULT) {
        return my_error(b->diag, ER_NON_DEFAULT_VALUE_FOR_GENERATED_COLUMN,
                        arena_strdup(b->arena, c->name), arena_strdup(b->arena, def->name));
    }
    return ERR_OK;
}

/* What a column holds that nothing was assigned to yet. MYSQL: its constant default, else NULL or,
 * where there can be none, the zero of its type. */
static db_err unassigned(struct binder *b, const struct column_def *c, struct bexpr **ret)
{
    struct value v;
    if (c->default_kind == DEFAULT_CONST) {
        return bind__held_const(b, &c->default_value, &c->type, ret);
    }
    if ((c->type.flags & TYPE_F_NOT_NULL) != 0) {
        value_set_zero(&v, &c->type);
    } else {
        value_set_null(&v, &c->type);
    }
    return bind__held_const(b, &v, &c->type, ret);
}

/* A column that DEFAULT was assigned to before. An expression that reads columns is computed only
 * when the row is there. */
static db_err assigned_default(struct binder *b, const struct table_def *t,
                               const struct column_def *c, struct bexpr **ret)
{
    if (c->default_kind == DEFAULT_EXPR) {
        struct parse_options po = {0};
        struct ast_expr *ast;
        TRY(parser_parse_expr(b->arena, c->default_expr, &po, b->diag, &ast));
        TRY(bind_scalar(b->arena, b->opts, ast, t, b->diag, ret));
        if (!bexpr_reads_columns(*ret)) {
            return bind__held(b, *ret, &c->type, ret);
        }
    }
    return unassigned(b, c, ret);
}

/* MYSQL: a value may read the columns of the row that stand before it, as assigned, and what the
 * others hold before: each reference becomes the expression that was assigned. */
static db_err earlier_columns(struct binder *b, const struct bound_target *t, struct bexpr **row,
                              uint32_t done, struct bexpr *e, struct bexpr **ret)
{
    *ret = e;
    if (e->kind == BEXPR_DEFAULT) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(earlier_columns(b, t, row, done, e->args[i], &e->args[i]));
    }
    if (e->kind != BEXPR_COLUMN) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < done; i++) {
        uint32_t ordinal = b->stmt->insert_columns[i];
        if (t->columns[ordinal] == e->u.column.id) {
            if (row[i]->kind == BEXPR_DEFAULT) {
                return assigned_default(b, t->def, &t->def->columns[ordinal], ret);
            }
            *ret = bexpr_clone(b->arena, row[i]);
            return *ret == NULL ? ERR_NOMEM
                                : bind__held(b, *ret, &t->def->columns[ordinal].type, ret);
        }
    }
    for (uint32_t i = 0; i < t->def->column_count; i++) {
        if (t->columns[i] == e->u.column.id) {
            return unassigned(b, &t->def->columns[i], ret);
        }
    }
    return ERR_OK;
}

static db_err insert_row(struct binder *b, struct scope *scope, struct ast_expr *const *items,
                         uint32_t n, const struct table_def *def, struct bexpr ***ret)
{
    uint32_t width = b->stmt->insert_column_count;
    struct bexpr **row = BIND_ARRAY(b, struct bexpr *, width + 1);
    if (row == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < width; i++) {
        if (n == 0) { /* VALUES (): all defaults */
            struct sql_type t = type_null();
            row[i] = bind__new(b, BEXPR_DEFAULT, &t, 0);
            if (row[i] == NULL) {
                return ERR_NOMEM;
            }
            row[i]->u.left_out = true;
            continue;
        }
        TRY(bind__expr(b, scope, items[i], &row[i]));
        if (items[i]->kind != AST_EXPR_LITERAL && items[i]->kind != AST_EXPR_PARAM) {
            TRY(earlier_columns(b, &b->stmt->targets[0], row, i, row[i], &row[i]));
        }
        if (row[i]->kind == BEXPR_ROW) {
            return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
        }
        TRY(bind__check_generated(b, def, b->stmt->insert_columns[i], row[i]));
        TRY(bind__note_stored(b, row[i], &def->columns[b->stmt->insert_columns[i]].type));
    }
    *ret = row;
    return ERR_OK;
}

static db_err insert_values(struct binder *b, const struct ast_insert *s, const struct lnode *table)
{
    const struct table_def *def = table->u.table.def;
    struct bound_stmt *st = b->stmt;
    struct lnode *n = bind__node(b, LNODE_VALUES, NULL);
    uint32_t rows = s->source == AST_INSERT_SET ? 1 : s->rows.count;
    uint32_t width = st->insert_column_count;
    struct scope scope = {
        .place = PLACE_FIELDS, .columns = table->columns, .count = table->column_count};
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->u.values.rows = BIND_ARRAY(b, struct bexpr **, rows + 1);
    n->columns = BIND_ARRAY(b, struct lcolumn, width + 1);
    if (n->u.values.rows == NULL || n->columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < rows; i++) {
        if (s->source == AST_INSERT_SET) {
            struct ast_expr **items = BIND_ARRAY(b, struct ast_expr *, width + 1);
            if (items == NULL) {
                return ERR_NOMEM;
            }
            for (uint32_t c = 0; c < width; c++) {
                items[c] = s->set.items[c]->value;
            }
            TRY(insert_row(b, &scope, items, width, def, &n->u.values.rows[i]));
            continue;
        }
        const struct ast_expr_list *items = &s->rows.items[i]->items;
        /* MYSQL: empty rows mean all defaults, only without a column list, or with an empty one. */
        bool empty = s->columns.count == 0 && s->rows.items[0]->items.count == 0;
        if (items->count != (empty ? 0 : width)) {
            return my_error(b->diag, ER_WRONG_VALUE_COUNT_ON_ROW, i + 1ul);
        }
        TRY(insert_row(b, &scope, items->items, items->count, def, &n->u.values.rows[i]));
    }
    n->u.values.row_count = rows;
    n->column_count = width;
    for (uint32_t c = 0; c < width; c++) {
        n->columns[c] = (struct lcolumn){.id = bind__new_col(b),
                                         .type = def->columns[st->insert_columns[c]].type};
    }
    st->root = n;
    return ERR_OK;
}

static db_err insert_query(struct binder *b, const struct ast_insert *s)
{
    uint32_t visible;
    b->source_body = s->on_duplicate.count == 0 ? NULL : s->query->body;
    TRY(bind__query(b, NULL, NULL, s->query, &b->stmt->root, &visible));
    if (visible != b->stmt->insert_column_count) {
        return my_error(b->diag, ER_WRONG_VALUE_COUNT_ON_ROW, 1ul);
    }
    const struct table_def *def = b->stmt->targets[0].def;
    for (uint32_t i = 0; i < visible; i++) {
        const struct column_def *c = &def->columns[b->stmt->insert_columns[i]];
        if (c->generated != GENERATED_NO) {
            return my_error(b->diag, ER_NON_DEFAULT_VALUE_FOR_GENERATED_COLUMN,
                            arena_strdup(b->arena, c->name), arena_strdup(b->arena, def->name));
        }
    }
    return ERR_OK;
}

static db_err insert_through_view(struct binder *b, struct lnode **io_table, col_id_t **ret_ids,
                                  uint32_t *ret_count)
{
    struct lnode *view = *io_table;
    struct lnode *n;
    TRY(bind__view_target(b, view, true, ret_ids, &n));
    if (n == view) {
        bool merges =
            view->kind == LNODE_PROJECT && view->u.project.view != NULL && bind__view_merges(view);
        if (!merges || b->insert == NULL) {
            return refuse_target(b, view, b->insert == NULL ? "LOAD" : "INSERT");
        }
        if (!bind__is_join_view(view)) {
            TRY(bind__computed_column_named(b, b->insert, view));
            return refuse_target(b, view, "INSERT");
        }
        TRY(bind__insert_into_join(b, b->insert, view, io_table));
        return bind__view_insertable(b, *io_table);
    }
    *io_table = bind__target_table(n);
    *ret_count = view->column_count;
    return bind__view_insertable(b, *io_table);
}

db_err bind__insert_target(struct binder *b, const struct ast_name *name, struct lnode **ret_table,
                           col_id_t **ret_view_ids, uint32_t *ret_view_count)
{
    struct bound_stmt *st = b->stmt;
    struct lnode *table;
    b->access = PRIV_INSERT | b->target_access;
    TRY(bind__base_table(b, name, SLICE_EMPTY, &table));
    b->access = PRIV_SELECT;
    if (table->kind != LNODE_TABLE) {
        TRY(insert_through_view(b, &table, ret_view_ids, ret_view_count));
    }
    st->kind = BOUND_INSERT;
    st->targets = BIND_ARRAY(b, struct bound_target, 1);
    if (st->targets == NULL) {
        return ERR_NOMEM;
    }
    st->target_count = 1;
    *ret_table = table;
    return new_target(b, table, &st->targets[0]);
}

db_err bind__insert(struct binder *b, const struct ast_insert *s)
{
    struct bound_stmt *st = b->stmt;
    struct lnode *table;
    if (s->partitions.count != 0) {
        return my_error(b->diag, ER_PARTITION_CLAUSE_ON_NONPARTITIONED);
    }
    b->target_access = s->replace ? PRIV_DELETE : 0;
    b->insert = s;
    TRY(bind__insert_hints(b, s));
    if ((s->flags & AST_DML_DELAYED) != 0) {
        const char *word = s->replace ? "REPLACE" : "INSERT";
        bind__warn(b, ER_WARN_LEGACY_SYNTAX_CONVERTED, word, word);
    }
    col_id_t *ids = NULL;
    uint32_t view_count = 0;
    TRY(bind__insert_target(b, &s->table, &table, &ids, &view_count));
    bind__complete_table(b, &s->table, table->u.table.def);
    st->replace = s->replace;
    st->ignore = (s->flags & AST_DML_IGNORE) != 0;
    b->func.strict = !st->ignore && !s->fills && (b->opts->sql_mode & SQL_MODE_STRICT) != 0;
    TRY(bind__need_target(b, table, s->replace ? PRIV_DELETE : 0u,
                          s->on_duplicate.count != 0 ? PRIV_UPDATE : 0u));
    TRY(insert_column_list(b, s, table, ids, view_count));
    if (s->source == AST_INSERT_QUERY) {
        st->unsafe = st->unsafe || s->replace || st->ignore || s->on_duplicate.count != 0;
        TRY(insert_query(b, s));
    } else {
        TRY(insert_values(b, s, table));
    }
    return bind__on_duplicate(b, s, table);
}

/* ---- UPDATE and DELETE ---- */

static void lock_exclusive(struct lnode *n, const struct bound_stmt *st)
{
    for (uint32_t i = 0; i < n->child_count; i++) {
        lock_exclusive(n->children[i], st);
    }
    if (n->kind == LNODE_TABLE && n->u.table.def->kind == TABLE_BASE) {
        n->u.table.lock =
            ROW_LOCK_SHARED; /* MYSQL: tables only read by a DML join are read with S locks */
        for (uint32_t i = 0; i < st->target_count; i++) {
            if (st->targets[i].table_node == n) {
                n->u.table.lock = ROW_LOCK_EXCLUSIVE;
            }
        }
    }
}

static struct lnode *find_table(struct lnode *n, struct slice schema, struct slice alias)
{
    if (n->kind == LNODE_TABLE) {
        bool fits = slice_eq(n->u.table.alias, alias) &&
                    (schema.ptr == NULL || slice_eq(n->u.table.def->schema_name, schema));
        return fits ? n : NULL;
    }
    for (uint32_t i = 0; i < n->child_count && (n->kind == LNODE_JOIN || n->kind == LNODE_FILTER);
         i++) {
        struct lnode *t = find_table(n->children[i], schema, alias);
        if (t != NULL) {
            return t;
        }
    }
    return NULL;
}

/* A view of that name among the tables. */
static struct lnode *find_view(struct lnode *n, struct slice alias)
{
    if (n->kind == LNODE_PROJECT) {
        bool is = n->u.project.view != NULL && n->column_count != 0 &&
                  slice_eq(n->columns[0].table, alias);
        return is ? n : NULL;
    }
    for (uint32_t i = 0; i < n->child_count && (n->kind == LNODE_JOIN || n->kind == LNODE_FILTER);
         i++) {
        struct lnode *v = find_view(n->children[i], alias);
        if (v != NULL) {
            return v;
        }
    }
    return NULL;
}

static struct lnode *table_of_column(struct lnode *n, col_id_t id)
{
    if (n->kind == LNODE_TABLE) {
        bool mine = n->column_count != 0 && id >= n->columns[0].id &&
                    id < n->columns[0].id + n->column_count;
        return mine ? n : NULL;
    }
    for (uint32_t i = 0; i < n->child_count && (n->kind == LNODE_JOIN || n->kind == LNODE_FILTER);
         i++) {
        struct lnode *t = table_of_column(n->children[i], id);
        if (t != NULL) {
            return t;
        }
    }
    return NULL;
}

static db_err target_index(struct binder *b, struct lnode *table, uint32_t *ret)
{
    struct bound_stmt *st = b->stmt;
    for (uint32_t i = 0; i < st->target_count; i++) {
        if (st->targets[i].table_node == table) {
            *ret = i;
            return ERR_OK;
        }
    }
    struct bound_target *grown = BIND_ARRAY(b, struct bound_target, st->target_count + 1);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (st->target_count != 0) {
        memcpy(grown, st->targets, st->target_count * sizeof(*grown));
    }
    st->targets = grown;
    TRY(new_target(b, table, &grown[st->target_count]));
    *ret = st->target_count++;
    return ERR_OK;
}

/* MYSQL: of the tables of an UPDATE or DELETE that are no targets, SELECT is needed. */
static db_err need_read_tables(struct binder *b, struct lnode *n, priv_t change)
{
    if (n->kind == LNODE_TABLE) {
        for (uint32_t i = 0; i < b->stmt->target_count; i++) {
            if (b->stmt->targets[i].table_node == n) {
                return bind__need_target(b, n, change == PRIV_DELETE ? change : 0,
                                         change == PRIV_DELETE ? 0 : change);
            }
        }
        return bind__need_target(b, n, 0, PRIV_SELECT);
    }
    for (uint32_t i = 0; i < n->child_count && (n->kind == LNODE_JOIN || n->kind == LNODE_FILTER);
         i++) {
        TRY(need_read_tables(b, n->children[i], change));
    }
    return ERR_OK;
}

/* WHERE, ORDER BY and LIMIT of a change; the latter two of a single table. */
static db_err dml_rows(struct binder *b, struct scope *scope, bool multi,
                       struct ast_expr *const *where, const struct ast_order_list *order,
                       const struct ast_limit *limit, struct lnode **io)
{
    b->of_block = multi;
    struct ast_expr *condition = *where;
    TRY(bind__filter(b, scope, condition, io));
    TRY(bind__last_id(b, scope, &condition, *io));
    bind__complete_where(b, where, condition);
    b->of_block = false;
    if (order->count != 0) {
        struct lnode *s = bind__node(b, LNODE_SORT, *io);
        if (s == NULL) {
            return ERR_NOMEM;
        }
        s->u.sort.keys = BIND_ARRAY(b, struct lsort_key, order->count);
        if (s->u.sort.keys == NULL) {
            return ERR_NOMEM;
        }
        scope->place = PLACE_ORDER;
        for (uint32_t i = 0; i < order->count; i++) {
            struct lsort_key *k = &s->u.sort.keys[s->u.sort.count++];
            TRY(bind__scalar_expr(b, scope, order->items[i]->expr, &k->expr));
            k->descending = order->items[i]->desc;
        }
        *io = s;
    }
    return bind__limit(b, limit, false, io);
}

static bool assigns_primary(const struct bound_stmt *st, uint32_t target)
{
    const struct table_def *t = st->targets[target].def;
    for (uint32_t i = 0; i < st->assign_count; i++) {
        const struct bound_assign *a = &st->assigns[i];
        for (uint32_t p = 0; a->table == target && p < t->indexes[0].part_count; p++) {
            if (t->indexes[0].parts[p].column == a->column) {
                return true;
            }
        }
    }
    return false;
}

/* MYSQL: a row is changed under one name and found again by its key under the other. */
static db_err check_same_table(struct binder *b)
{
    const struct bound_stmt *st = b->stmt;
    for (uint32_t i = 0; i < st->target_count; i++) {
        for (uint32_t k = 0; k < st->target_count; k++) {
            const struct lnode *x = st->targets[i].table_node;
            const struct lnode *y = st->targets[k].table_node;
            bool pair = x->columns[0].id < y->columns[0].id && x->u.table.def == y->u.table.def;
            if (pair && (assigns_primary(st, i) || assigns_primary(st, k))) {
                return diag_set_sql(b->diag, ER_MULTI_UPDATE_KEY_CONFLICT, "HY000",
                                    "Primary key/partition key update is not allowed since the "
                                    "table is updated both as '%.*s' and '%.*s'.",
                                    SLICE_FMT(x->u.table.alias), SLICE_FMT(y->u.table.alias));
            }
        }
    }
    return ERR_OK;
}

static const struct lcolumn *column_by_id(const struct scope *s, const struct bexpr *e)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->columns[i].id == e->u.column.id) {
            return &s->columns[i];
        }
    }
    return NULL;
}

/* MYSQL: JSON_SET, JSON_REPLACE and JSON_REMOVE of the column that they are assigned to change its
 * bytes where they are, as long as the new values fit there. */
static bool change_in_place(struct bexpr *e, col_id_t column, const struct func_call *before)
{
    if (e->kind == BEXPR_COLUMN) {
        return e->u.column.id == column;
    }
    return e->kind == BEXPR_FUNC && e->arg_count != 0 && e->type.id == TYPE_JSON &&
           change_in_place(e->args[0], column, before) &&
           func_json_in_place(e->u.func,
                              e->args[0]->kind == BEXPR_FUNC ? e->args[0]->u.func : before);
}

static bool is_partial(const struct bexpr *e, col_id_t column)
{
    while (e->kind == BEXPR_FUNC && e->arg_count != 0 && e->type.id == TYPE_JSON &&
           func_json_may_in_place(e->u.func)) {
        e = e->args[0];
        if (e->kind == BEXPR_COLUMN) {
            return e->u.column.id == column;
        }
    }
    return false;
}

/* MYSQL: of several tables only the first is written as it is read; a column that is assigned
 * anything else, too, is written anew. */
static void note_in_place(struct bound_stmt *st)
{
    for (uint32_t i = 0; i < st->assign_count && st->target_count == 1; i++) {
        const struct bound_assign *a = &st->assigns[i];
        col_id_t id = st->targets[a->table].columns[a->column];
        const struct func_call *before = NULL; /* what has changed the column already */
        bool partial = true;
        for (uint32_t k = 0; k < st->assign_count; k++) {
            const struct bound_assign *other = &st->assigns[k];
            bool same = other->column == a->column;
            partial = partial && (!same || is_partial(other->expr, id));
            before = same && partial && k < i ? other->expr->u.func : before;
        }
        if (partial) {
            (void)change_in_place(a->expr, id, before);
        }
    }
}

/* MYSQL: what is wrong in WHERE comes before what is in ON, that before SET. Notes that, for a
 * second run. */
static db_err unless_where(struct binder *b, const struct scope *scope, const void *stmt,
                           const struct ast_expr *where, bool of_set, db_err err)
{
    if (err == ERR_SQL && ((where != NULL && of_set) || scope->place == PLACE_ON)) {
        b->condition_of = bind__is_told(b, stmt) ? b->condition_of : stmt;
    }
    return err;
}

/* The second run. */
static db_err tell_where_first(struct binder *b, const struct ast_table *table,
                               const struct ast_expr *where)
{
    struct scope scope = {.place = PLACE_FIELDS, .skip_on = true};
    struct lnode *from;
    TRY(bind__from(b, &scope, table, &from));
    scope.columns = from->columns;
    scope.count = from->column_count;
    TRY(bind__filter(b, &scope, where, &from));
    TRY(bind__joins_later(b, &scope));
    *b->diag = *b->condition_err;
    return ERR_SQL;
}

/* A column that SET assigns to, as *a, and its table. */
static db_err assigned_column(struct binder *b, struct scope *scope, const struct ast_update *s,
                              const struct ast_column *target, struct lnode *from,
                              struct bound_assign *a, struct lnode **ret_table)
{
    struct bexpr *column;
    b->column_use = PRIV_NEED_UPDATE;
    TRY(unless_where(b, scope, s, s->where, true, bind__column(b, scope, target, &column)));
    b->column_use = PRIV_NEED_READ;
    struct lnode *table =
        column->kind == BEXPR_COLUMN ? table_of_column(from, column->u.column.id) : NULL;
    const struct lcolumn *named =
        table == NULL && column->kind == BEXPR_COLUMN ? column_by_id(scope, column) : NULL;
    a->column = table == NULL ? 0 : column->u.column.id - table->columns[0].id;
    bool written = table != NULL;
    if (named != NULL) {
        TRY(bind__view_column(b, from, named, &table, &a->column));
    }
    if (table == NULL && from->kind == LNODE_PROJECT) {
        return refuse_target(b, from, "UPDATE");
    }
    if (table == NULL) {
        return my_error(
            b->diag, ER_NON_UPDATABLE_TABLE,
            arena_strdup(b->arena, target->table.ptr != NULL ? target->table : target->name),
            "UPDATE");
    }
    TRY(target_index(b, table, &a->table));
    struct lnode *view = named == NULL ? NULL : bind__view_of(from, named->id);
    if (view != NULL && bind__has_check(view)) {
        TRY(bind__joined_checks(b, from, view, &b->stmt->targets[a->table]));
    }
    if (written) {
        TRY(bind__need_written(b, table, a->column, PRIV_NEED_UPDATE));
    }
    *ret_table = table;
    return ERR_OK;
}

/* MYSQL: all columns first, then the values. */
static db_err update_set(struct binder *b, struct scope *scope, const struct ast_update *s,
                         struct lnode *from)
{
    struct bound_stmt *st = b->stmt;
    const struct ast_assignment_list *set = &s->set;
    struct lnode **tables = BIND_ARRAY(b, struct lnode *, set->count + 1);
    st->assigns = BIND_ARRAY(b, struct bound_assign, set->count + 1);
    if (st->assigns == NULL || tables == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        TRY(assigned_column(b, scope, s, set->items[i]->column, from,
                            &st->assigns[st->assign_count++], &tables[i]));
    }
    for (uint32_t i = 0; i < set->count; i++) {
        struct bound_assign *a = &st->assigns[i];
        db_err err = bind__expr(b, scope, set->items[i]->value, &a->expr);
        TRY(unless_where(b, scope, s, s->where, true, err));
        if (a->expr->kind == BEXPR_ROW) {
            return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
        }
        const struct table_def *def = tables[i]->u.table.def;
        TRY(bind__check_generated(b, def, a->column, a->expr));
        TRY(bind__note_stored(b, a->expr, &def->columns[a->column].type));
    }
    return ERR_OK;
}

db_err bind__update(struct binder *b, const struct ast_update *s)
{
    struct bound_stmt *st = b->stmt;
    struct scope scope = {.place = PLACE_FIELDS};
    struct lnode *from;
    st->ignore = (s->flags & AST_DML_IGNORE) != 0;
    b->func.strict = !st->ignore && (b->opts->sql_mode & SQL_MODE_STRICT) != 0;
    st->unsafe = st->unsafe || st->ignore;
    TRY(bind__push_ctes(b, NULL, NULL, s->with));
    if (bind__is_told(b, s)) {
        return tell_where_first(b, s->table, s->where);
    }
    TRY(bind__block_hints(b, &scope, s->hints, s->table));
    b->dml_target = b->of_block = true;
    b->target_access = s->table->kind == AST_TABLE_BASE ? PRIV_UPDATE : 0;
    TRY(unless_where(b, &scope, s, s->where, false, bind__from(b, &scope, s->table, &from)));
    b->dml_target = b->of_block = false;
    scope.columns = from->columns;
    scope.count = from->column_count;
    st->kind = BOUND_UPDATE;
    bool multi =
        bind__target_table(from) == NULL &&
        (from->kind != LNODE_PROJECT || (from->u.project.view != NULL && bind__is_join_view(from)));
    if (multi && (s->order_by.count != 0 || s->limit != NULL)) {
        return my_error(b->diag, ER_WRONG_USAGE, "UPDATE",
                        s->order_by.count != 0 ? "ORDER BY" : "LIMIT");
    }
    TRY(update_set(b, &scope, s, from));
    TRY(check_same_table(b));
    note_in_place(st);
    TRY(s->limit == NULL ? ERR_OK : bind__view_limit(b, from, "UPDATE"));
    TRY(need_read_tables(b, from, PRIV_UPDATE));
    struct lnode *root = from;
    TRY(dml_rows(b, &scope, multi, &s->where, &s->order_by, s->limit, &root));
    lock_exclusive(root, st);
    st->root = root;
    return ERR_OK;
}

db_err bind__delete(struct binder *b, const struct ast_delete *s)
{
    struct bound_stmt *st = b->stmt;
    struct scope scope = {.place = PLACE_FIELDS};
    struct lnode *from;
    uint32_t index;
    st->ignore = (s->flags & AST_DML_IGNORE) != 0;
    b->func.strict = !st->ignore && (b->opts->sql_mode & SQL_MODE_STRICT) != 0;
    TRY(bind__push_ctes(b, NULL, NULL, s->with));
    if (bind__is_told(b, s)) {
        return tell_where_first(b, s->table, s->where);
    }
    TRY(bind__block_hints(b, &scope, s->hints, s->table));
    b->dml_target = b->of_block = true;
    b->target_access = s->multi ? 0 : PRIV_DELETE;
    TRY(unless_where(b, &scope, s, s->where, false, bind__from(b, &scope, s->table, &from)));
    b->dml_target = b->of_block = false;
    scope.columns = from->columns;
    scope.count = from->column_count;
    st->kind = BOUND_DELETE;
    for (uint32_t i = 0; s->multi && i < s->targets.count; i++) {
        const struct ast_name *n = s->targets.items[i];
        struct lnode *t = find_table(from, n->schema, n->name);
        struct lnode *view = t == NULL ? find_view(from, n->name) : NULL;
        if (view != NULL) {
            TRY(bind__view_rows(b, from, view, &t));
            if (t == NULL) {
                return refuse_target(b, view, "DELETE");
            }
        }
        if (t == NULL) {
            return my_error(b->diag, ER_UNKNOWN_TABLE, arena_strdup(b->arena, n->name),
                            "MULTI DELETE");
        }
        TRY(target_index(b, t, &index));
        if (view == NULL && t->u.table.via_view_count == 0) {
            bind__complete_table(b, n, t->u.table.def);
        }
    }
    struct lnode *target = bind__target_table(from);
    if (!s->multi && target == NULL) {
        TRY(bind__view_rows(b, from, from, &target));
    }
    if (!s->multi && target == NULL) {
        return refuse_target(b, from, "DELETE");
    }
    if (!s->multi) {
        TRY(target_index(b, target, &index));
    }
    TRY(s->limit == NULL ? ERR_OK : bind__view_limit(b, from, "DELETE"));
    TRY(need_read_tables(b, from, PRIV_DELETE));
    struct lnode *root = from;
    TRY(dml_rows(b, &scope, s->multi, &s->where, &s->order_by, s->limit, &root));
    lock_exclusive(root, st);
    st->root = root;
    return ERR_OK;
}
