/* What statements need besides what the binder asks of their tables.
 *
 * Each kind of statement is looked at once, before it runs; the order of the questions is MySQL's.
 * Statements that are parsed but not built yet are asked too, so that who may not run them hears
 * that first. */
#include <string.h>

#include "sql/session/session_int.h"

static struct slice schema_of(const struct sql_session *s, const struct ast_name *n)
{
    return n->schema.ptr != NULL ? n->schema : s->has_schema ? s->schema : SLICE_EMPTY;
}

/* MYSQL: who made a temporary table may do everything with it. */
static bool is_temporary(struct sql_session *s, struct slice schema, struct slice name)
{
    const struct catalog_snapshot *snap;
    if (LIKELY(s->temporaries.count == 0) || session__snapshot(s, &snap) != ERR_OK) {
        return false;
    }
    bool is = snapshot_temporary(snap, schema, name) != NULL;
    catalog_release(snap);
    return is;
}

/* A name without a database, when there is no current one, is an error of the statement's own. */
static db_err need(struct sql_session *s, const struct ast_name *n, priv_t want)
{
    struct slice schema = schema_of(s, n);
    return schema.ptr == NULL ? ERR_OK : priv_need_table(&s->priv, want, schema, n->name, &s->diag);
}

/* Of statements that mean the temporary table where there is one of the name. (Those that make a
 * table or view, or mean a base table or view whatever hides it, ask `need`.) */
static db_err need_unless_temporary(struct sql_session *s, const struct ast_name *n, priv_t want)
{
    struct slice schema = schema_of(s, n);
    return schema.ptr != NULL && is_temporary(s, schema, n->name) ? ERR_OK : need(s, n, want);
}

/* A column's privilege is enough. */
static db_err need_somewhere(struct sql_session *s, const struct ast_name *n, priv_t want)
{
    struct slice schema = schema_of(s, n);
    return schema.ptr == NULL || is_temporary(s, schema, n->name)
               ? ERR_OK
               : priv_need_somewhere(&s->priv, want, schema, n->name, &s->diag);
}

db_err access__schema(struct sql_session *s, struct slice schema, struct diag *diag)
{
    return s->priv.accounts == NULL || priv_uses_schema(&s->priv.subject, schema)
               ? ERR_OK
               : priv_deny_schema(&s->priv, schema, diag);
}

static db_err may_list(struct sql_session *s, struct slice schema)
{
    return schema.ptr == NULL || priv_lists_schema(&s->priv.subject, schema)
               ? ERR_OK
               : priv_deny_schema(&s->priv, schema, &s->diag);
}

/* ---- schema statements ---- */

static db_err need_references(struct sql_session *s, const struct ast_references *r)
{
    if (r == NULL) {
        return ERR_OK;
    }
    struct slice schema = schema_of(s, &r->table);
    const char *name =
        arena_printf(&s->stmt_arena, "%.*s.%.*s", SLICE_FMT(schema), SLICE_FMT(r->table.name));
    priv_t have = priv_on_table(&s->priv.subject, schema, r->table.name, NULL);
    return schema.ptr == NULL || (have & PRIV_REFERENCES) != 0
               ? ERR_OK
               : priv_deny_table(&s->priv, PRIV_REFERENCES, slice_str(name == NULL ? "?" : name),
                                 &s->diag);
}

static db_err columns_refer(struct sql_session *s, const struct ast_column_def_list *columns,
                            const struct ast_index_def_list *indexes)
{
    for (uint32_t i = 0; i < columns->count; i++) {
        TRY(need_references(s, columns->items[i]->references));
    }
    for (uint32_t i = 0; i < indexes->count; i++) {
        TRY(need_references(s, indexes->items[i]->references));
    }
    return ERR_OK;
}

static db_err create_table(struct sql_session *s, const struct ast_create_table *c)
{
    if (c->temporary) {
        struct slice schema = schema_of(s, &c->name);
        TRY(schema.ptr == NULL ? ERR_OK
                               : priv_need_schema(&s->priv, PRIV_CREATE_TMP, schema, &s->diag));
    } else {
        TRY(need(s, &c->name, PRIV_CREATE | (c->query != NULL ? PRIV_INSERT : 0u)));
    }
    TRY(c->has_like ? need_somewhere(s, &c->like, PRIV_SELECT) : ERR_OK);
    return columns_refer(s, &c->columns, &c->indexes);
}

/* MYSQL: a table gets another name by ALTER and DROP on the old one, CREATE and INSERT on the new.
 */
static const priv_t rename_from = PRIV_ALTER | PRIV_DROP, rename_to = PRIV_CREATE | PRIV_INSERT;

static db_err alter_table(struct sql_session *s, const struct ast_alter_table *a)
{
    TRY(need_unless_temporary(s, &a->name, PRIV_ALTER));
    for (uint32_t i = 0; i < a->actions.count; i++) {
        const struct ast_alter_action *x = a->actions.items[i];
        if (x->kind == AST_ALTER_RENAME_TABLE) {
            TRY(need_unless_temporary(s, &a->name, rename_from));
            TRY(need(s, &x->table, rename_to));
        }
        if (x->kind == AST_ALTER_DROP_PARTITION || x->kind == AST_ALTER_TRUNCATE_PARTITION) {
            TRY(need_unless_temporary(s, &a->name, PRIV_DROP));
        }
        TRY(need_references(s, x->column == NULL ? NULL : x->column->references));
        TRY(need_references(s, x->index == NULL ? NULL : x->index->references));
        TRY(columns_refer(s, &x->columns, &x->indexes));
    }
    return ERR_OK;
}

/* The SELECT itself is checked where it is bound. */
static db_err create_view(struct sql_session *s, const struct ast_create_view *v)
{
    struct acl_name definer;
    TRY(need(s, &v->name, PRIV_CREATE_VIEW | (v->alter || v->or_replace ? PRIV_DROP : 0u)));
    if (v->definer == NULL || v->definer->current) {
        return ERR_OK;
    }
    TRY(account__name(s, v->definer, &definer));
    if (slice_eq(definer.user, s->priv.user) && slice_eq_nocase(definer.host, s->priv.host)) {
        return ERR_OK;
    }
    TRY(priv_need_any(&s->priv, PRIV_SUPER, DYN_BIT(SET_ANY_DEFINER), "SUPER or SET_ANY_DEFINER",
                      &s->diag));
    TRY(account__may_change(s, s->priv.acl, &definer));
    if (acl_find(s->priv.acl, definer.user, definer.host) == NULL) {
        TRY(priv_need_any(&s->priv, PRIV_SUPER, DYN_BIT(ALLOW_NONEXISTENT_DEFINER),
                          "SUPER or ALLOW_NONEXISTENT_DEFINER", &s->diag));
        diag_area_note(&s->conditions, ER_NO_SUCH_USER, arena_strdup(&s->stmt_arena, definer.user),
                       arena_strdup(&s->stmt_arena, definer.host));
    }
    return ERR_OK;
}

static db_err database(struct sql_session *s, const struct ast_database_ddl *d, priv_t want)
{
    struct slice name = d->name.name.ptr != NULL ? d->name.name
                        : s->has_schema          ? s->schema
                                                 : SLICE_EMPTY;
    return name.ptr == NULL ? ERR_OK : priv_need_schema(&s->priv, want, name, &s->diag);
}

db_err access__handler(struct sql_session *s, const struct ast_name *table)
{
    TRY(priv_refresh(&s->priv));
    return need_somewhere(s, table, PRIV_SELECT);
}

static db_err each_table(struct sql_session *s, const struct ast_name_list *names, priv_t want)
{
    for (uint32_t i = 0; i < names->count; i++) {
        TRY(need_unless_temporary(s, names->items[i], want));
    }
    return ERR_OK;
}

/* MYSQL: a view of an account that has SYSTEM_USER goes only by another such one. */
static db_err may_replace_view(struct sql_session *s, const struct ast_name *n)
{
    const struct catalog_snapshot *snap = catalog_acquire(s->engine->catalog);
    const struct table_def *t = snapshot_table(snap, schema_of(s, n), n->name);
    db_err err = ERR_OK;
    if (t != NULL && t->kind == TABLE_VIEW) {
        struct acl_name definer = {t->view.definer_user, t->view.definer_host};
        err = account__may_change(s, s->priv.acl, &definer);
    }
    catalog_release(snap);
    return err;
}

static db_err drop_view(struct sql_session *s, const struct ast_drop_table *d)
{
    for (uint32_t i = 0; i < d->names.count; i++) {
        TRY(need(s, d->names.items[i], PRIV_DROP));
    }
    for (uint32_t i = 0; i < d->names.count; i++) {
        TRY(may_replace_view(s, d->names.items[i]));
    }
    return ERR_OK;
}

static db_err rename_tables(struct sql_session *s, const struct ast_rename_table *r)
{
    for (uint32_t i = 0; i < r->pairs.count; i++) {
        TRY(need(s, &r->pairs.items[i]->from, rename_from));
        TRY(need(s, &r->pairs.items[i]->to, rename_to));
    }
    return ERR_OK;
}

static db_err schema_statement(struct sql_session *s, const struct ast_stmt *ast)
{
    switch ((int)ast->kind) {
    case AST_STMT_CREATE_DATABASE:
        return database(s, (const struct ast_database_ddl *)ast, PRIV_CREATE);
    case AST_STMT_ALTER_DATABASE:
        return database(s, (const struct ast_database_ddl *)ast, PRIV_ALTER);
    case AST_STMT_DROP_DATABASE:
        return database(s, (const struct ast_database_ddl *)ast, PRIV_DROP);
    case AST_STMT_CREATE_TABLE: return create_table(s, (const struct ast_create_table *)ast);
    case AST_STMT_ALTER_TABLE: return alter_table(s, (const struct ast_alter_table *)ast);
    case AST_STMT_DROP_TABLE: {
        const struct ast_drop_table *d = (const struct ast_drop_table *)ast;
        return d->temporary ? ERR_OK : each_table(s, &d->names, PRIV_DROP);
    }
    case AST_STMT_DROP_VIEW: return drop_view(s, (const struct ast_drop_table *)ast);
    case AST_STMT_RENAME_TABLE: return rename_tables(s, (const struct ast_rename_table *)ast);
    case AST_STMT_TRUNCATE_TABLE:
        return need_unless_temporary(s, &((const struct ast_truncate_table *)ast)->name, PRIV_DROP);
    case AST_STMT_CREATE_INDEX:
        return need_unless_temporary(s, &((const struct ast_create_index *)ast)->table, PRIV_INDEX);
    case AST_STMT_DROP_INDEX:
        return need_unless_temporary(s, &((const struct ast_drop_index *)ast)->table, PRIV_INDEX);
    case AST_STMT_CREATE_VIEW: return create_view(s, (const struct ast_create_view *)ast);
    default: return ERR_OK;
    }
}

/* ---- administration ---- */

#define NEED(any, dynamic, text) priv_need_any(&s->priv, any, dynamic, text, &s->diag)

static db_err flush(struct sql_session *s, const struct ast_flush *f)
{
    static const struct {
        uint32_t what;
        priv_dyn_t dynamic;
        const char *text;
    } rows[] = {
        {AST_FLUSH_PRIVILEGES, DYN_BIT(FLUSH_PRIVILEGES), "RELOAD or FLUSH_PRIVILEGES"},
        {AST_FLUSH_TABLES, DYN_BIT(FLUSH_TABLES), "RELOAD or FLUSH_TABLES"},
        {AST_FLUSH_STATUS, DYN_BIT(FLUSH_STATUS), "RELOAD or FLUSH_STATUS"},
        {AST_FLUSH_USER_RESOURCES, DYN_BIT(FLUSH_USER_RESOURCES), "RELOAD or FLUSH_USER_RESOURCES"},
        {AST_FLUSH_OPTIMIZER_COSTS, DYN_BIT(FLUSH_OPTIMIZER_COSTS),
         "RELOAD or FLUSH_OPTIMIZER_COSTS"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (f->what == rows[i].what) {
            return NEED(PRIV_RELOAD, rows[i].dynamic, rows[i].text);
        }
    }
    return NEED(PRIV_RELOAD, 0, "RELOAD");
}

static db_err show_of_table(struct sql_session *s, struct slice schema, struct slice table)
{
    return schema.ptr == NULL || slice_eq_nocase(schema, SLICE_LIT("information_schema")) ||
                   priv_shows_table(&s->priv.subject, schema, table) ||
                   is_temporary(s, schema, table)
               ? ERR_OK
               : priv_deny_table(&s->priv, PRIV_SELECT, table, &s->diag);
}

/* MYSQL: CHECK asks what SHOW COLUMNS does, CHECKSUM reads, the others write as well; a column's
 * privilege is enough. */
static db_err table_admin(struct sql_session *s, const struct ast_table_admin *t)
{
    priv_t want = PRIV_SELECT | (t->op == AST_ADMIN_CHECKSUM ? 0u : PRIV_INSERT);
    /* MYSQL: with this privilege no other is needed. */
    if (t->op == AST_ADMIN_OPTIMIZE && t->no_binlog) {
        return NEED(0, DYN_BIT(OPTIMIZE_LOCAL_TABLE), "OPTIMIZE_LOCAL_TABLE");
    }
    for (uint32_t i = 0; s->priv.accounts != NULL && i < t->tables.count; i++) {
        const struct ast_name *n = t->tables.items[i];
        TRY(t->op == AST_ADMIN_CHECK ? show_of_table(s, schema_of(s, n), n->name)
                                     : need_somewhere(s, n, want));
    }
    return ERR_OK;
}

static db_err lock_tables(struct sql_session *s, const struct ast_lock_tables *l)
{
    for (uint32_t i = 0; i < l->items.count; i++) {
        const struct ast_name *n = &l->items.items[i]->table;
        struct slice schema = schema_of(s, n);
        if (schema.ptr != NULL && !is_temporary(s, schema, n->name)) {
            TRY(priv_need_schema(&s->priv, PRIV_LOCK_TABLES, schema, &s->diag));
            TRY(need_somewhere(s, n, PRIV_SELECT));
        }
    }
    return ERR_OK;
}

static db_err unsupported(struct sql_session *s, const char *feature)
{
    static const struct {
        const char *feature;
        priv_t any;
        priv_dyn_t dynamic;
        const char *text;
    } rows[] = {
        {"START REPLICA", PRIV_SUPER, DYN_BIT(REPLICATION_SLAVE_ADMIN),
         "SUPER or REPLICATION_SLAVE_ADMIN"},
        {"STOP REPLICA", PRIV_SUPER, DYN_BIT(REPLICATION_SLAVE_ADMIN),
         "SUPER or REPLICATION_SLAVE_ADMIN"},
        {"CHANGE REPLICATION SOURCE TO", PRIV_SUPER, DYN_BIT(REPLICATION_SLAVE_ADMIN),
         "SUPER or REPLICATION_SLAVE_ADMIN"},
        {"CHANGE REPLICATION FILTER", PRIV_SUPER, DYN_BIT(REPLICATION_SLAVE_ADMIN),
         "SUPER or REPLICATION_SLAVE_ADMIN"},
        {"RESET REPLICA / BINARY LOGS", PRIV_RELOAD, DYN_BIT(FLUSH_TABLES),
         "RELOAD or FLUSH_TABLES"},
        {"PURGE BINARY LOGS", PRIV_SUPER, DYN_BIT(BINLOG_ADMIN), "SUPER or BINLOG_ADMIN"},
        {"CREATE SERVER", PRIV_SUPER, 0, "SUPER"},
        {"ALTER SERVER", PRIV_SUPER, 0, "SUPER"},
        {"DROP SERVER", PRIV_SUPER, 0, "SUPER"},
        {"CREATE TABLESPACE", PRIV_CREATE_TABLESPACE, 0, "CREATE TABLESPACE"},
        {"ALTER TABLESPACE", PRIV_CREATE_TABLESPACE, 0, "CREATE TABLESPACE"},
        {"DROP TABLESPACE", PRIV_CREATE_TABLESPACE, 0, "CREATE TABLESPACE"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].feature, feature) == 0) {
            return NEED(rows[i].any, rows[i].dynamic, rows[i].text);
        }
    }
    return ERR_OK;
}

/* MYSQL: what an account with an expired password may still say. */
static bool sets_password(const struct ast_stmt *ast)
{
    switch ((int)ast->kind) {
    case AST_STMT_SET_PASSWORD:
    case AST_STMT_ALTER_USER:
    case AST_STMT_EMPTY: return true;
    default: return false;
    }
}

db_err access__check(struct statement *st, const struct ast_stmt *ast)
{
    struct sql_session *s = st->session;
    TRY(priv_refresh(&s->priv));
    if (s->password_expired && !sets_password(ast)) {
        return my_error(&s->diag, ER_MUST_CHANGE_PASSWORD);
    }
    if (ddl_handles(ast->kind)) {
        TRY(session__count(s, true));
        return schema_statement(s, ast);
    }
    switch ((int)ast->kind) {
    case AST_STMT_LOAD_DATA:
        return ((const struct ast_load_data *)ast)->local ||
                       priv_has(&s->priv.subject, PRIV_FILE, 0)
                   ? ERR_OK
                   : priv_deny_account(&s->priv, &s->diag);
    case AST_STMT_FLUSH: return flush(s, (const struct ast_flush *)ast);
    case AST_STMT_TABLE_ADMIN: return table_admin(s, (const struct ast_table_admin *)ast);
    case AST_STMT_LOCK_TABLES: return lock_tables(s, (const struct ast_lock_tables *)ast);
    case AST_STMT_LOCK_INSTANCE:
    case AST_STMT_UNLOCK_INSTANCE: return NEED(0, DYN_BIT(BACKUP_ADMIN), "BACKUP_ADMIN");
    case AST_STMT_SHUTDOWN:
    case AST_STMT_RESTART: return NEED(PRIV_SHUTDOWN, 0, "SHUTDOWN");
    case AST_STMT_UNSUPPORTED:
        return unsupported(s, ((const struct ast_unsupported *)ast)->feature);
    default: return ERR_OK;
    }
}

/* ---- SHOW ---- */

static db_err deny_show(struct sql_session *s, struct slice table)
{
    return my_error(
        &s->diag, ER_TABLEACCESS_DENIED_ERROR, "SHOW", arena_strdup(&s->stmt_arena, s->priv.user),
        arena_strdup(&s->stmt_arena, s->priv.client_host), arena_strdup(&s->stmt_arena, table));
}

/* MYSQL: a definer that does not exist is noted. */
static bool is_view(struct sql_session *s, struct slice schema, struct slice name)
{
    const struct catalog_snapshot *snap = catalog_acquire(s->engine->catalog);
    const struct table_def *t = snapshot_table(snap, schema, name);
    bool is = t != NULL && t->kind == TABLE_VIEW;
    if (is && acl_find(s->priv.acl, t->view.definer_user, t->view.definer_host) == NULL) {
        diag_area_note(&s->conditions, ER_NO_SUCH_USER,
                       arena_strdup(&s->stmt_arena, t->view.definer_user),
                       arena_strdup(&s->stmt_arena, t->view.definer_host));
    }
    catalog_release(snap);
    return is;
}

/* MYSQL: of a table any privilege on all of it will do, of a view SHOW VIEW is asked for as well.
 */
static db_err show_create_table(struct sql_session *s, struct slice schema, struct slice name)
{
    priv_t have = priv_on_table(&s->priv.subject, schema, name, NULL);
    if (is_temporary(s, schema, name)) {
        return ERR_OK;
    }
    if ((have & priv_all(PRIV_LEVEL_TABLE, false)) == 0) {
        return deny_show(s, name);
    }
    return is_view(s, schema, name)
               ? priv_need_table(&s->priv, PRIV_SHOW_VIEW, schema, name, &s->diag)
               : ERR_OK;
}

static db_err show_create(struct sql_session *s, const struct ast_show *show)
{
    struct slice schema = schema_of(s, &show->name);
    struct slice name = show->name.name;
    if (schema.ptr == NULL || slice_eq_nocase(schema, SLICE_LIT("information_schema"))) {
        return ERR_OK;
    }
    if (show->what == AST_SHOW_CREATE_TABLE) {
        return show_create_table(s, schema, name);
    }
    TRY(priv_need_somewhere(&s->priv, PRIV_SELECT, schema, name, &s->diag));
    return is_view(s, schema, name)
               ? priv_need_table(&s->priv, PRIV_SHOW_VIEW, schema, name, &s->diag)
               : ERR_OK;
}

static db_err show_create_database(struct sql_session *s, const struct ast_show *show)
{
    struct priv_subject now = priv_anew(&s->priv); /* MYSQL: also of the current database */
    return priv_uses_schema(&now, show->name.name)
               ? ERR_OK
               : my_error(&s->diag, ER_DBACCESS_DENIED_ERROR,
                          arena_strdup(&s->stmt_arena, s->priv.user),
                          arena_strdup(&s->stmt_arena, s->priv.client_host),
                          arena_strdup(&s->stmt_arena, show->name.name));
}

static db_err show(struct sql_session *s, const struct ast_show *w)
{
    struct slice schema = w->schema.ptr != NULL ? w->schema : schema_of(s, &w->name);
    switch ((int)w->what) {
    case AST_SHOW_CREATE_TABLE:
    case AST_SHOW_CREATE_VIEW: return show_create(s, w);
    case AST_SHOW_CREATE_DATABASE: return show_create_database(s, w);
    case AST_SHOW_COLUMNS:
    case AST_SHOW_INDEX: return show_of_table(s, schema, w->name.name);
    case AST_SHOW_TABLES:
    case AST_SHOW_TABLE_STATUS:
    case AST_SHOW_TRIGGERS: return may_list(s, schema);
    case AST_SHOW_EVENTS:
        return schema.ptr == NULL ? ERR_OK
                                  : priv_need_schema(&s->priv, PRIV_EVENT, schema, &s->diag);
    case AST_SHOW_BINARY_LOGS:
    case AST_SHOW_BINARY_LOG_STATUS:
    case AST_SHOW_REPLICA_STATUS:
        return NEED(PRIV_SUPER | PRIV_REPL_CLIENT, 0, "SUPER, REPLICATION CLIENT");
    case AST_SHOW_BINLOG_EVENTS:
    case AST_SHOW_RELAYLOG_EVENTS:
    case AST_SHOW_REPLICAS: return NEED(PRIV_REPL_SLAVE, 0, "REPLICATION SLAVE");
    case AST_SHOW_ENGINE_STATUS:
    case AST_SHOW_ENGINE_MUTEX:
    case AST_SHOW_ENGINE_LOGS: return NEED(PRIV_PROCESS, 0, "PROCESS");
    default: return ERR_OK;
    }
}

db_err access__show(struct sql_session *s, const struct ast_stmt *ast)
{
    if (s->priv.accounts == NULL) {
        return ERR_OK;
    }
    if (ast->kind == AST_STMT_SHOW) {
        return show(s, (const struct ast_show *)ast);
    }
    const struct ast_describe *d = (const struct ast_describe *)ast;
    return show_of_table(s, schema_of(s, &d->table), d->table.name);
}

db_err access__resource_group(struct sql_session *s)
{
    return NEED(PRIV_SUPER, DYN_BIT(RESOURCE_GROUP_ADMIN) | DYN_BIT(RESOURCE_GROUP_USER),
                "SUPER OR RESOURCE_GROUP_ADMIN OR RESOURCE_GROUP_USER");
}

/* ---- variables ---- */

/* What cannot be set at all is told by whoever sets it. */
static db_err need_persist_only(struct sql_session *s)
{
    priv_dyn_t both = DYN_BIT(SYSTEM_VARIABLES_ADMIN) | DYN_BIT(PERSIST_RO_VARIABLES_ADMIN);
    return s->priv.accounts == NULL || (s->priv.subject.dynamic & both) == both
               ? ERR_OK
               : my_error(&s->diag, ER_PERSIST_ONLY_ACCESS_DENIED_ERROR,
                          "SYSTEM_VARIABLES_ADMIN and PERSIST_RO_VARIABLES_ADMIN");
}

db_err access__reset_persist(struct sql_session *s, bool dynamic)
{
    return dynamic ? NEED(PRIV_SUPER, DYN_BIT(SYSTEM_VARIABLES_ADMIN),
                          "SUPER or SYSTEM_VARIABLES_ADMIN")
                   : need_persist_only(s);
}

/* MYSQL: what ends other connections needs the right to do that, too. */
static db_err need_offline(struct sql_session *s)
{
    priv_dyn_t both = DYN_BIT(SYSTEM_VARIABLES_ADMIN) | DYN_BIT(CONNECTION_ADMIN);
    TRY(NEED(PRIV_SUPER, DYN_BIT(SYSTEM_VARIABLES_ADMIN), "SUPER or SYSTEM_VARIABLES_ADMIN"));
    return s->priv.accounts == NULL || (s->priv.subject.dynamic & both) == both
               ? ERR_OK
               : NEED(PRIV_SUPER, 0, "SYSTEM_VARIABLES_ADMIN plus CONNECTION_ADMIN or SUPER");
}

db_err access__encryption(struct sql_session *s)
{
    priv_dyn_t both = DYN_BIT(SYSTEM_VARIABLES_ADMIN) | DYN_BIT(TABLE_ENCRYPTION_ADMIN);
    return (s->priv.subject.dynamic & both) == both
               ? ERR_OK
               : NEED(PRIV_SUPER, 0, "SUPER or SYSTEM_VARIABLES_ADMIN and TABLE_ENCRYPTION_ADMIN");
}

/* SET GLOBAL */
static db_err need_global(struct sql_session *s, enum sysvar_id id)
{
    if (id == VAR_offline_mode) {
        return need_offline(s);
    }
    TRY(NEED(PRIV_SUPER, DYN_BIT(SYSTEM_VARIABLES_ADMIN), "SUPER or SYSTEM_VARIABLES_ADMIN"));
    switch ((int)id) {
    case VAR_default_table_encryption: return access__encryption(s);
    case VAR_table_encryption_privilege_check: return NEED(PRIV_SUPER, 0, "SUPER");
    default: return ERR_OK;
    }
}

db_err access__variable(struct sql_session *s, enum sysvar_id id, enum ast_scope scope)
{
    const struct sysvar_def *d = &sysvar_defs[id];
    priv_dyn_t system = DYN_BIT(SYSTEM_VARIABLES_ADMIN);
    priv_dyn_t own = system | DYN_BIT(SESSION_VARIABLES_ADMIN);
    bool persistable = scope == AST_SCOPE_PERSIST_ONLY && (d->flags & SYSVAR_NOPERSIST) == 0 &&
                       (d->scope & SYSVAR_GLOBAL) != 0;
    if ((d->flags & SYSVAR_DYNAMIC) == 0 && !persistable) {
        return ERR_OK;
    }
    switch (scope) {
    case AST_SCOPE_GLOBAL:
    case AST_SCOPE_PERSIST: return (d->scope & SYSVAR_GLOBAL) == 0 ? ERR_OK : need_global(s, id);
    case AST_SCOPE_PERSIST_ONLY:
        return (d->scope & SYSVAR_GLOBAL) == 0 ? ERR_OK : need_persist_only(s);
    case AST_SCOPE_DEFAULT:
    case AST_SCOPE_SESSION: break;
    }
    if ((d->flags & SYSVAR_ADMIN) != 0) {
        return NEED(PRIV_SUPER, own, "SUPER, SYSTEM_VARIABLES_ADMIN or SESSION_VARIABLES_ADMIN");
    }
    if ((d->flags & SYSVAR_OPERATOR) != 0) {
        return NEED(0, own, "SYSTEM_VARIABLES_ADMIN or SESSION_VARIABLES_ADMIN");
    }
    return (d->flags & SYSVAR_APPLIER) == 0
               ? ERR_OK
               : NEED(PRIV_SUPER, own | DYN_BIT(REPLICATION_APPLIER),
                      "SUPER, SYSTEM_VARIABLES_ADMIN, SESSION_VARIABLES_ADMIN or "
                      "REPLICATION_APPLIER");
}
