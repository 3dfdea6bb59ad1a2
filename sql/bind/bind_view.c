/* Views.
 *
 * A view is kept as the text of a SELECT that depends on nothing around it: every table has its
 * schema, every column its table, no star is left. bind_view_query brings a tree into that form
 * while it binds it; a reference parses the text and stands for a derived table, which the
 * optimiser merges as it merges any other.
 *
 * MYSQL: whatever is wrong inside a view is told as 1356 with the name of the outermost one. */
#include "sql/bind/bind_int.h"

#include "sql/bind/hints.h"
#include "sql/charset/deprecated.h"
#include "sql/parser/parser.h"

/* ---- references ---- */

static db_err note_view(struct binder *b, const struct table_def *def)
{
    struct bound_stmt *st = b->stmt;
    for (uint32_t i = 0; i < st->view_count; i++) {
        if (st->views[i] == def) {
            return ERR_OK;
        }
    }
    const struct table_def **grown = BIND_ARRAY(b, const struct table_def *, st->view_count + 1);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (st->view_count != 0) {
        memcpy(grown, st->views, st->view_count * sizeof(struct table_def *));
    }
    grown[st->view_count++] = def;
    st->views = grown;
    st->uses_tables = true; /* whether the definition is current is asked of what reads tables */
    return ERR_OK;
}

static db_err parse_query(struct binder *b, const struct table_def *def,
                          const struct ast_query **ret)
{
    struct diag_area heard;
    struct parse_warnings warnings = {.area = &heard,
                                      .charset = charset_warn_deprecated,
                                      .collation = collation_name_warn_deprecated};
    struct parse_options o = {.warnings = &warnings};
    struct ast_stmt *stmt;
    size_t consumed;
    diag_area_init(&heard);
    heard.max = UINT32_MAX; /* what is kept of it the session knows */
    db_err err = parser_parse(b->arena, def->view_text, &o, b->diag, &stmt, &consumed);
    for (uint32_t i = 0; i < heard.count && err == ERR_OK; i++) {
        const struct diag_condition *c = &heard.conditions[i];
        bind__warn_text(b, (enum my_errno)c->number, arena_strdup(b->arena, c->text));
    }
    diag_area_fini(&heard);
    TRY(err);
    if (stmt->kind != AST_STMT_SELECT) {
        return ERR_CORRUPT;
    }
    if (stmt->hinted != NULL) {
        const struct hint_env env = {.tell = bind__tell_hint,
                                     .ansi_quotes = (b->opts->sql_mode & SQL_MODE_ANSI_QUOTES) != 0,
                                     .of_view = true,
                                     .arg = b};
        TRY(hints_collect(b->arena, &env, stmt));
    }
    *ret = ((const struct ast_select_stmt *)stmt)->query;
    return ERR_OK;
}

static db_err frozen_names(struct binder *b, const struct table_def *def,
                           struct ast_ident_list *ret)
{
    uint32_t n = def->column_count;
    struct ast_ident *names = BIND_ARRAY(b, struct ast_ident, n + 1);
    ret->items = BIND_ARRAY(b, struct ast_ident *, n + 1);
    if (names == NULL || ret->items == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        names[i].name = def->columns[i].name;
        ret->items[i] = &names[i];
    }
    ret->count = ret->cap = n;
    return ERR_OK;
}

static db_err bind_text(struct binder *b, const struct table_def *def, struct slice alias,
                        struct lnode **ret)
{
    const struct ast_query *q;
    struct ast_ident_list names;
    struct lnode *root;
    uint32_t visible;
    TRY(parse_query(b, def, &q));
    TRY(frozen_names(b, def, &names));
    TRY(bind__query(b, NULL, NULL, q, &root, &visible));
    TRY(bind__wrap(b, root, visible, ret));
    (*ret)->u.project.view = def;
    return bind__derived_columns(b, alias.ptr != NULL ? alias : def->name, &names, *ret, visible);
}

/* Names inside the view see neither the statement's tables nor its expressions. */
static db_err bind_apart(struct binder *b, const struct table_def *def, struct slice alias,
                         struct lnode **ret)
{
    struct view_use use = {.outer = b->views, .def = def, .of_subquery = b->of_subquery};
    const struct view_read *reads = b->view_reads;
    TRY(arena_copy(b->arena, alias.ptr != NULL ? alias : def->name, &use.alias));
    if (use.outer != NULL) {
        use.of_subquery = use.outer->of_subquery;
    }
    struct binder saved = *b;
    struct bind_opts *opts = BIND_NEW(b, struct bind_opts);
    if (opts == NULL) {
        return ERR_NOMEM;
    }
    *opts = *b->opts;
    opts->current_schema = def->schema_name;
    opts->charset_client = def->view.utf8_text ? COLL_UTF8MB4_0900_AI_CI : def->view.charset_client;
    opts->connection_collation = def->view.collation_connection;
    opts->complete_tree = false;
    b->opts = opts;
    b->func.connection_collation = opts->connection_collation;
    b->views = &use;
    b->ctes = NULL;
    b->derived_depth++;
    b->set_in_table = false; /* MYSQL: as when the text is a statement */
    b->column_use = PRIV_NEED_READ;
    if (!def->view.invoker) {
        b->definer = (struct acl_name){def->view.definer_user, def->view.definer_host};
    }
    db_err err = bind_text(b, def, alias, ret);
    if (err == ERR_OK &&
        (def->view.algorithm == VIEW_TEMPTABLE || !bind__rows_merge((*ret)->children[0]))) {
        b->view_reads = reads;
    }
    b->definer = saved.definer;
    b->column_use = saved.column_use;
    b->opts = saved.opts;
    b->func.connection_collation = saved.func.connection_collation;
    b->views = saved.views;
    b->ctes = saved.ctes;
    b->derived_depth = saved.derived_depth;
    b->set_in_table = saved.set_in_table;
    b->unsteady = saved.unsteady;
    return err;
}

static bool means_invalid(const struct diag *d)
{
    switch (d->number) {
    case ER_NO_SUCH_TABLE:
    case ER_BAD_DB_ERROR:
    case ER_UNKNOWN_TABLE:
    case ER_BAD_FIELD_ERROR:
    case ER_BAD_TABLE_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_COLUMNACCESS_DENIED_ERROR:
    case ER_SP_DOES_NOT_EXIST:
    case ER_VIEW_WRONG_LIST: return true;
    default: return false;
    }
}

db_err bind__view(struct binder *b, const struct table_def *def, struct slice alias,
                  struct lnode **ret)
{
    enum { NESTING_MAX = 63 }; /* MYSQL: of queries in queries */
    uint32_t depth = 0;
    const char *schema = arena_strdup(b->arena, def->schema_name);
    const char *name = arena_strdup(b->arena, def->name);
    if (schema == NULL || name == NULL) {
        return ERR_NOMEM;
    }
    for (const struct view_use *u = b->views; u != NULL; u = u->outer, depth++) {
        if (u->def->id == def->id) {
            return my_error(b->diag, ER_VIEW_RECURSIVE, schema, name);
        }
    }
    if (depth >= NESTING_MAX) {
        return my_error(b->diag, ER_TOO_HIGH_LEVEL_OF_NESTING_FOR_SELECT);
    }
    uint32_t need;
    TRY(note_view(b, def));
    TRY(bind__need(b, def, b->access, &need));
    if (b->opts->explain && b->opts->priv != NULL &&
        priv_need_table(b->opts->priv, PRIV_SHOW_VIEW, def->schema_name, def->name, b->diag) !=
            ERR_OK) {
        diag_reset(b->diag);
        return my_error(b->diag, ER_VIEW_NO_EXPLAIN);
    }
    db_err err = bind_apart(b, def, alias, ret);
    if (err != ERR_OK) {
        if (err == ERR_SQL && b->views == NULL && means_invalid(b->diag)) {
            diag_reset(b->diag);
            return my_error(b->diag, ER_VIEW_INVALID, schema, name);
        }
        return err;
    }
    (*ret)->u.project.view_need = need;
    for (uint32_t i = 0; i < (*ret)->column_count; i++) {
        (*ret)->columns[i].schema = def->schema_name;
        (*ret)->columns[i].need = need;
        (*ret)->columns[i].need_column = i;
    }
    return ERR_OK;
}

bool bind__view_could_change(const struct lnode *n)
{
    while (n->kind == LNODE_PROJECT || n->kind == LNODE_FILTER || n->kind == LNODE_SORT) {
        bool own_rows = n->kind == LNODE_PROJECT && n->u.project.view != NULL &&
                        n->u.project.view->view.algorithm == VIEW_TEMPTABLE;
        if (n->child_count == 0 || own_rows) {
            return false;
        }
        n = n->children[0];
    }
    return (n->kind == LNODE_TABLE || n->kind == LNODE_JOIN) && bind__view_merges(n);
}

/* ---- completing the tree of a view in the making ---- */

static db_err push_item(struct binder *b, struct ast_select_list *io, struct ast_select_item *item)
{
    if (io->count == io->cap) {
        uint32_t cap = io->cap == 0 ? 8 : io->cap * 2;
        struct ast_select_item **grown = BIND_ARRAY(b, struct ast_select_item *, cap);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (io->count != 0) {
            memcpy(grown, io->items, io->count * sizeof(*grown));
        }
        io->items = grown;
        io->cap = cap;
    }
    io->items[io->count++] = item;
    return ERR_OK;
}

/* MYSQL: a view's text does not name the schema of what has an alias; the note of EXPLAIN does. */
static void name_column(const struct binder *b, struct ast_column *c, const struct lcolumn *found)
{
    bool own_name =
        b->opts->completes_note || found->def == NULL || slice_eq(found->table, found->org_table);
    c->table = found->table;
    c->schema = own_name && found->schema.len != 0 ? found->schema : SLICE_EMPTY;
    c->name = found->name;
}

db_err bind__complete_star(struct binder *b, const struct lcolumn *c, bool unnamed,
                           struct ast_select_list *io_items)
{
    if (!b->opts->complete_tree) {
        return ERR_OK;
    }
    struct ast_select_item *item = BIND_NEW(b, struct ast_select_item);
    struct ast_column *column = BIND_NEW(b, struct ast_column);
    if (item == NULL || column == NULL) {
        return ERR_NOMEM;
    }
    column->expr.kind = AST_EXPR_COLUMN;
    name_column(b, column, c);
    item->expr = &column->expr;
    item->text = c->name;
    item->alias = unnamed && b->derived_depth == 0 ? SLICE_EMPTY : c->name;
    return push_item(b, io_items, item);
}

static bool is_taken(const struct ast_select_list *items, struct slice name)
{
    for (uint32_t i = 0; i < items->count; i++) {
        if (slice_eq_nocase(items->items[i]->alias, name)) {
            return true;
        }
    }
    return false;
}

/* MYSQL: what has neither an alias nor a column's name gets another name when its own is taken. */
static db_err own_name(struct binder *b, const struct ast_select_item *a, struct slice name,
                       const struct ast_select_list *items, struct slice *ret)
{
    enum { NAME_CHARS_MAX = 64 };
    *ret = name;
    if (b->opts->completes_note) {
        return ERR_OK;
    }
    bool named = a->alias.ptr != NULL || a->expr->kind == AST_EXPR_COLUMN;
    const struct charset *utf8 = collation_by_id(COLL_UTF8MB4_BIN)->cs;
    bool fit = name.len != 0 && name.ptr[name.len - 1] != ' ' &&
               charset_char_count(utf8, name) <= NAME_CHARS_MAX;
    if (!named && !fit) { /* MYSQL: what cannot be a name is called after its place */
        const char *text = arena_printf(b->arena, "Name_exp_%u", (unsigned)items->count + 1);
        *ret = text == NULL ? name : slice_str(text);
        return text == NULL ? ERR_NOMEM : ERR_OK;
    }
    for (uint32_t i = 0; !named && is_taken(items, *ret); i++) {
        const char *text =
            i == 0 ? arena_printf(b->arena, "Name_exp_%.*s", SLICE_FMT(name))
                   : arena_printf(b->arena, "Name_exp_%u_%.*s", (unsigned)i, SLICE_FMT(name));
        if (text == NULL) {
            return ERR_NOMEM;
        }
        *ret = slice_str(text);
        if (charset_char_count(utf8, *ret) > NAME_CHARS_MAX) {
            ret->len = utf8->ops->char_offset(utf8, *ret, NAME_CHARS_MAX);
        }
    }
    return ERR_OK;
}

db_err bind__complete_item(struct binder *b, const struct ast_select_item *a, struct slice name,
                           bool unnamed, struct ast_select_list *io_items)
{
    if (!b->opts->complete_tree) {
        return ERR_OK;
    }
    struct ast_select_item *item = BIND_NEW(b, struct ast_select_item);
    if (item == NULL) {
        return ERR_NOMEM;
    }
    *item = *a;
    if (!unnamed || b->derived_depth != 0) {
        TRY(own_name(b, a, name, io_items, &item->alias));
    }
    return push_item(b, io_items, item);
}

void bind__complete_items(struct binder *b, const struct ast_select *s,
                          const struct ast_select_list *items)
{
    if (b->opts->complete_tree) {
        struct ast_select *mine = (struct ast_select *)(uintptr_t)s;
        mine->items = *items;
    }
}

void bind__complete_column(struct binder *b, const struct ast_column *c,
                           const struct lcolumn *found)
{
    struct ast_column *mine = (struct ast_column *)(uintptr_t)c;
    if (!b->opts->complete_tree || found->table.len == 0) {
        return;
    }
    const struct column_def *written = NULL;
    if (b->opts->completes_note && bind__inserted_column(b, found, &written)) {
        mine->expr.kind = AST_EXPR_VALUES;
    }
    if (written != NULL) {
        bind__complete_stored(b, c, b->stmt->targets[0].def, written);
    } else {
        name_column(b, mine, found);
    }
}

void bind__complete_stored(struct binder *b, const struct ast_column *c,
                           const struct table_def *def, const struct column_def *column)
{
    struct ast_column *mine = (struct ast_column *)(uintptr_t)c;
    if (b->opts->complete_tree) {
        mine->schema = def->schema_name;
        mine->table = def->name;
        mine->name = column->name;
    }
}

static struct ast_expr *column_of(struct binder *b, const struct lcolumn *c)
{
    struct ast_column *column = BIND_NEW(b, struct ast_column);
    if (column == NULL) {
        return NULL;
    }
    column->expr.kind = AST_EXPR_COLUMN;
    column->expr.depth = 1;
    name_column(b, column, c);
    return &column->expr;
}

struct ast_expr *bind__ast_both(struct binder *b, enum ast_op op, struct ast_expr *x,
                                struct ast_expr *y)
{
    struct ast_binary *e = BIND_NEW(b, struct ast_binary);
    if (e == NULL || x == NULL || y == NULL) {
        return NULL;
    }
    e->expr.kind = AST_EXPR_BINARY;
    e->expr.depth = (uint16_t)((x->depth > y->depth ? x->depth : y->depth) + 1);
    e->op = op;
    e->left = x;
    e->right = y;
    return &e->expr;
}

db_err bind__complete_merged(struct binder *b, const struct ast_table_join *j,
                             const struct lcolumn *left, const struct lcolumn *right)
{
    struct ast_table_join *mine = (struct ast_table_join *)(uintptr_t)j;
    bool swapped = j->kind == AST_JOIN_RIGHT;
    if (!b->opts->complete_tree || j->kind == AST_JOIN_FULL) {
        return ERR_OK;
    }
    struct ast_expr *e = bind__ast_both(b, AST_OP_EQ, column_of(b, swapped ? right : left),
                                        column_of(b, swapped ? left : right));
    mine->on = mine->on == NULL ? e : bind__ast_both(b, AST_OP_AND, mine->on, e);
    return mine->on == NULL ? ERR_NOMEM : ERR_OK;
}

void bind__complete_where(struct binder *b, struct ast_expr *const *written, struct ast_expr *where)
{
    if (b->opts->complete_tree) {
        struct ast_expr **mine = (struct ast_expr **)(uintptr_t)written;
        *mine = where;
    }
}

void bind__complete_join(struct binder *b, const struct ast_table_join *j)
{
    if (b->opts->complete_tree) {
        struct ast_table_join *mine = (struct ast_table_join *)(uintptr_t)j;
        mine->natural = false;
        mine->using_.count = 0;
    }
}

void bind__complete_table(struct binder *b, const struct ast_name *name,
                          const struct table_def *def)
{
    if (b->opts->complete_tree) {
        struct ast_name *mine = (struct ast_name *)(uintptr_t)name;
        mine->schema = def->schema_name;
        mine->name = def->name;
    }
}

static db_err check_names(const struct bound_stmt *st, struct arena *arena, struct diag *diag)
{
    for (uint32_t i = 0; i < st->result_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (slice_eq_nocase(st->result[i].name, st->result[k].name)) {
                return my_error(diag, ER_DUP_FIELDNAME, arena_strdup(arena, st->result[i].name));
            }
        }
    }
    return ERR_OK;
}

/* The query once completed, bound once more: its items have their names now. */
static db_err bind_completed(struct arena *arena, const struct bind_opts *opts,
                             const struct ast_stmt *stmt, struct diag *diag,
                             struct bound_stmt **ret)
{
    struct bind_opts plain = *opts;
    struct bound_stmt *st;
    plain.complete_tree = false;
    plain.limits_select = false;
    TRY(bind_statement(arena, &plain, stmt, diag, &st));
    for (uint32_t i = 0; i < st->result_count; i++) {
        const struct lcolumn keep = st->result[i];
        if (st->result[i].def == NULL) {
            bind__column_as_stored(&st->result[i]);
        }
        st->result[i].org_name = keep.org_name;
    }
    *ret = st;
    return ERR_OK;
}

db_err bind_explained(struct arena *arena, const struct bind_opts *opts,
                      const struct ast_stmt *stmt, struct diag *diag)
{
    struct bind_opts o = *opts;
    struct bound_stmt *st;
    o.complete_tree = o.completes_note = o.defines_view = true;
    o.limits_select = false;
    o.warn = NULL;
    o.temporaries = NULL;
    return bind_statement(arena, &o, stmt, diag, &st);
}

db_err bind_view_query(struct arena *arena, const struct bind_opts *opts, struct ast_query *query,
                       struct diag *diag, struct bound_stmt **ret_bound)
{
    struct ast_select_stmt select = {.stmt.kind = AST_STMT_SELECT, .query = query};
    struct bind_opts completed = *opts;
    completed.defines_view = true;
    struct bind_opts completing = completed;
    struct bound_stmt *st;
    completing.complete_tree = true;
    completing.limits_select = false;
    completing.warn = NULL; /* the tree is bound once more */
    TRY(bind_statement(arena, &completing, &select.stmt, diag, &st));
    if (st->uses_variables || st->param_count != 0) {
        return my_error(diag, ER_VIEW_SELECT_VARIABLE);
    }
    TRY(bind_completed(arena, &completed, &select.stmt, diag, &st));
    st->updatable = bind__view_could_change(st->root);
    TRY(opts->names_may_repeat ? ERR_OK : check_names(st, arena, diag));
    *ret_bound = st;
    return ERR_OK;
}
