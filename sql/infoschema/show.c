/* SHOW as SELECT.
 *
 * Each statement is a row of show_specs: the result's columns as expressions over one table, the
 * column that LIKE speaks of, and the order. Without WHERE the SELECT is flat; WHERE speaks of the
 * result's column names, so it stands around a derived table. The text is made for the default
 * sql_mode but reads the same under all. */
#include "sql/infoschema/show.h"

#include "base/buf.h"
#include "base/scope.h"
#include "sql/charset/charset.h"
#include "sql/ddl/ddl.h"
#include "sql/diag/my_error.h"
#include "sql/exec/row_writer.h"
#include "sql/parser/ast_print.h"
#include "sql/storage/storage.h"

enum { SHOW_TEXT_MAX = 1024 * 1024, SPEC_COLUMNS_MAX = 20 };

enum spec_flags {
    SPEC_SCHEMA = 1, /* TABLE_SCHEMA-like column `schema_column` = the schema */
    SPEC_TABLE = 2,  /* and TABLE_NAME = the table */
    SPEC_GLOBAL = 4, /* of SHOW GLOBAL only */
};

struct spec_column {
    const char *name; /* of the result */
    const char *expr;
    bool full; /* only with FULL */
};

struct show_spec {
    enum ast_show_kind what;
    unsigned flags;
    const char *table;         /* in information_schema, or with its schema */
    const char *schema_column; /* SPEC_SCHEMA */
    const char *where;         /* or NULL */
    const char *like;          /* expression that LIKE matches */
    const char *order;         /* expression, or NULL: as the table gives them */
    struct spec_column columns[SPEC_COLUMNS_MAX];
};

#define ROUTINE_COLUMNS                                                                            \
    {                                                                                              \
        {"Db", "ROUTINE_SCHEMA", false}, {"Name", "ROUTINE_NAME", false},                          \
            {"Type", "ROUTINE_TYPE", false}, {"Language", "EXTERNAL_LANGUAGE", false},             \
            {"Definer", "DEFINER", false}, {"Modified", "LAST_ALTERED", false},                    \
            {"Created", "CREATED", false}, {"Security_type", "SECURITY_TYPE", false},              \
            {"Comment", "ROUTINE_COMMENT", false},                                                 \
            {"character_set_client", "CHARACTER_SET_CLIENT", false},                               \
            {"collation_connection", "COLLATION_CONNECTION", false},                               \
            {"Database Collation", "DATABASE_COLLATION", false},                                   \
    }

static const struct show_spec show_specs[] = {
    {AST_SHOW_DATABASES,
     0,
     "SCHEMATA",
     NULL,
     NULL,
     "SCHEMA_NAME",
     "SCHEMA_NAME",
     {{"Database", "SCHEMA_NAME", false}}},
    {AST_SHOW_TABLES,
     SPEC_SCHEMA,
     "TABLES",
     "TABLE_SCHEMA",
     NULL,
     "TABLE_NAME",
     "TABLE_NAME",
     {{"Tables_in_", "TABLE_NAME", false}, {"Table_type", "TABLE_TYPE", true}}},
    {AST_SHOW_COLUMNS,
     SPEC_SCHEMA | SPEC_TABLE,
     "COLUMNS",
     "TABLE_SCHEMA",
     NULL,
     "COLUMN_NAME",
     "ORDINAL_POSITION",
     {{"Field", "COLUMN_NAME", false},
      {"Type", "COLUMN_TYPE", false},
      {"Collation", "COLLATION_NAME", true},
      {"Null", "IS_NULLABLE", false},
      {"Key", "COLUMN_KEY", false},
      {"Default", "COLUMN_DEFAULT", false},
      {"Extra", "EXTRA", false},
      {"Privileges", "PRIVILEGES", true},
      {"Comment", "COLUMN_COMMENT", true}}},
    {AST_SHOW_INDEX,
     SPEC_SCHEMA | SPEC_TABLE,
     "STATISTICS",
     "TABLE_SCHEMA",
     NULL,
     NULL,
     NULL,
     {{"Table", "TABLE_NAME", false},
      {"Non_unique", "NON_UNIQUE", false},
      {"Key_name", "INDEX_NAME", false},
      {"Seq_in_index", "SEQ_IN_INDEX", false},
      {"Column_name", "COLUMN_NAME", false},
      {"Collation", "COLLATION", false},
      {"Cardinality", "CARDINALITY", false},
      {"Sub_part", "SUB_PART", false},
      {"Packed", "PACKED", false},
      {"Null", "NULLABLE", false},
      {"Index_type", "INDEX_TYPE", false},
      {"Comment", "COMMENT", false},
      {"Index_comment", "INDEX_COMMENT", false},
      {"Visible", "IS_VISIBLE", false},
      {"Expression", "EXPRESSION", false}}},
    {AST_SHOW_TABLE_STATUS,
     SPEC_SCHEMA,
     "TABLES",
     "TABLE_SCHEMA",
     NULL,
     "TABLE_NAME",
     "TABLE_NAME",
     {{"Name", "TABLE_NAME", false},
      {"Engine", "ENGINE", false},
      {"Version", "VERSION", false},
      {"Row_format", "ROW_FORMAT", false},
      {"Rows", "TABLE_ROWS", false},
      {"Avg_row_length", "AVG_ROW_LENGTH", false},
      {"Data_length", "DATA_LENGTH", false},
      {"Max_data_length", "MAX_DATA_LENGTH", false},
      {"Index_length", "INDEX_LENGTH", false},
      {"Data_free", "DATA_FREE", false},
      {"Auto_increment", "AUTO_INCREMENT", false},
      {"Create_time", "CREATE_TIME", false},
      {"Update_time", "UPDATE_TIME", false},
      {"Check_time", "CHECK_TIME", false},
      {"Collation", "TABLE_COLLATION", false},
      {"Checksum", "CHECKSUM", false},
      {"Create_options", "CREATE_OPTIONS", false},
      {"Comment", "TABLE_COMMENT", false}}},
    {AST_SHOW_CHARACTER_SET,
     0,
     "CHARACTER_SETS",
     NULL,
     NULL,
     "CHARACTER_SET_NAME",
     "CHARACTER_SET_NAME",
     {{"Charset", "CHARACTER_SET_NAME", false},
      {"Description", "DESCRIPTION", false},
      {"Default collation", "DEFAULT_COLLATE_NAME", false},
      {"Maxlen", "MAXLEN", false}}},
    {AST_SHOW_COLLATION,
     0,
     "COLLATIONS",
     NULL,
     NULL,
     "COLLATION_NAME",
     "COLLATION_NAME",
     {{"Collation", "COLLATION_NAME", false},
      {"Charset", "CHARACTER_SET_NAME", false},
      {"Id", "ID", false},
      {"Default", "IS_DEFAULT", false},
      {"Compiled", "IS_COMPILED", false},
      {"Sortlen", "SORTLEN", false},
      {"Pad_attribute", "PAD_ATTRIBUTE", false}}},
    {AST_SHOW_ENGINES,
     0,
     "ENGINES",
     NULL,
     NULL,
     NULL,
     NULL,
     {{"Engine", "ENGINE", false},
      {"Support", "SUPPORT", false},
      {"Comment", "COMMENT", false},
      {"Transactions", "TRANSACTIONS", false},
      {"XA", "XA", false},
      {"Savepoints", "SAVEPOINTS", false}}},
    {AST_SHOW_PROCESSLIST,
     0,
     "PROCESSLIST",
     NULL,
     NULL,
     NULL,
     "ID",
     {{"Id", "ID", false},
      {"User", "USER", false},
      {"Host", "HOST", false},
      {"db", "DB", false},
      {"Command", "COMMAND", false},
      {"Time", "TIME", false},
      {"State", "STATE", false},
      {"Info", "INFO", false}}},
    {AST_SHOW_TRIGGERS,
     SPEC_SCHEMA,
     "TRIGGERS",
     "TRIGGER_SCHEMA",
     NULL,
     "EVENT_OBJECT_TABLE",
     "TRIGGER_NAME",
     {{"Trigger", "TRIGGER_NAME", false},
      {"Event", "EVENT_MANIPULATION", false},
      {"Table", "EVENT_OBJECT_TABLE", false},
      {"Statement", "ACTION_STATEMENT", false},
      {"Timing", "ACTION_TIMING", false},
      {"Created", "CREATED", false},
      {"sql_mode", "SQL_MODE", false},
      {"Definer", "DEFINER", false},
      {"character_set_client", "CHARACTER_SET_CLIENT", false},
      {"collation_connection", "COLLATION_CONNECTION", false},
      {"Database Collation", "DATABASE_COLLATION", false}}},
    {AST_SHOW_EVENTS,
     SPEC_SCHEMA,
     "EVENTS",
     "EVENT_SCHEMA",
     NULL,
     "EVENT_NAME",
     "EVENT_NAME",
     {{"Db", "EVENT_SCHEMA", false},
      {"Name", "EVENT_NAME", false},
      {"Definer", "DEFINER", false},
      {"Time zone", "TIME_ZONE", false},
      {"Type", "EVENT_TYPE", false},
      {"Execute at", "EXECUTE_AT", false},
      {"Interval value", "INTERVAL_VALUE", false},
      {"Interval field", "INTERVAL_FIELD", false},
      {"Starts", "STARTS", false},
      {"Ends", "ENDS", false},
      {"Status", "STATUS", false},
      {"Originator", "ORIGINATOR", false},
      {"character_set_client", "CHARACTER_SET_CLIENT", false},
      {"collation_connection", "COLLATION_CONNECTION", false},
      {"Database Collation", "DATABASE_COLLATION", false}}},
    {AST_SHOW_PROCEDURE_STATUS, 0, "ROUTINES", NULL, "ROUTINE_TYPE = 'PROCEDURE'", "ROUTINE_NAME",
     "ROUTINE_NAME", ROUTINE_COLUMNS},
    {AST_SHOW_FUNCTION_STATUS, 0, "ROUTINES", NULL, "ROUTINE_TYPE = 'FUNCTION'", "ROUTINE_NAME",
     "ROUTINE_NAME", ROUTINE_COLUMNS},
    {AST_SHOW_PLUGINS,
     0,
     "PLUGINS",
     NULL,
     NULL,
     NULL,
     NULL,
     {{"Name", "PLUGIN_NAME", false},
      {"Status", "PLUGIN_STATUS", false},
      {"Type", "PLUGIN_TYPE", false},
      {"Library", "PLUGIN_LIBRARY", false},
      {"License", "PLUGIN_LICENSE", false}}},
    {AST_SHOW_VARIABLES,
     SPEC_GLOBAL,
     "performance_schema.global_variables",
     NULL,
     NULL,
     "VARIABLE_NAME",
     NULL,
     {{"Variable_name", "VARIABLE_NAME", false}, {"Value", "VARIABLE_VALUE", false}}},
    {AST_SHOW_VARIABLES,
     0,
     "performance_schema.session_variables",
     NULL,
     NULL,
     "VARIABLE_NAME",
     NULL,
     {{"Variable_name", "VARIABLE_NAME", false}, {"Value", "VARIABLE_VALUE", false}}},
    {AST_SHOW_STATUS,
     SPEC_GLOBAL,
     "performance_schema.global_status",
     NULL,
     NULL,
     "VARIABLE_NAME",
     NULL,
     {{"Variable_name", "VARIABLE_NAME", false}, {"Value", "VARIABLE_VALUE", false}}},
    {AST_SHOW_STATUS,
     0,
     "performance_schema.session_status",
     NULL,
     NULL,
     "VARIABLE_NAME",
     NULL,
     {{"Variable_name", "VARIABLE_NAME", false}, {"Value", "VARIABLE_VALUE", false}}},
    /* No table is open in MySQL's sense: descriptors are shared snapshots. */
    {AST_SHOW_OPEN_TABLES,
     0,
     "TABLES",
     NULL,
     "FALSE",
     "TABLE_NAME",
     NULL,
     {{"Database", "TABLE_SCHEMA", false},
      {"Table", "TABLE_NAME", false},
      {"In_use", "0", false},
      {"Name_locked", "0", false}}},
};

struct request {
    const struct show_spec *spec;
    bool full;
    struct slice schema, table;
    struct slice like; /* ptr NULL: none */
    const struct ast_expr *where;
    struct buf *out;
};

/* ---- text ---- */

static db_err put(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

static db_err put_literal(struct buf *out, struct slice text)
{
    TRY(put(out, "'"));
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        TRY(put(out, c == '\'' ? "'" : c == '\\' ? "\\" : ""));
        TRY(buf_append_u8(out, c));
    }
    return put(out, "'");
}

static db_err put_quoted(struct buf *out, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        TRY(put(out, name.ptr[i] == '`' ? "`" : ""));
        TRY(buf_append_u8(out, name.ptr[i]));
    }
    return ERR_OK;
}

/* MYSQL: the name of the first column of SHOW DATABASES and SHOW TABLES holds schema and pattern.
 */
static db_err put_alias(const struct request *r, const struct spec_column *c)
{
    bool tables = r->spec->what == AST_SHOW_TABLES && c == r->spec->columns;
    bool databases = r->spec->what == AST_SHOW_DATABASES;
    TRY(put(r->out, "`"));
    TRY(put(r->out, c->name));
    if (tables) {
        TRY(put_quoted(r->out, r->schema));
    }
    if ((tables || databases) && r->like.ptr != NULL) {
        TRY(put(r->out, " ("));
        TRY(put_quoted(r->out, r->like));
        TRY(put(r->out, ")"));
    }
    return put(r->out, "`");
}

static bool is_info_column(const struct request *r, const struct spec_column *c)
{
    return r->spec->what == AST_SHOW_PROCESSLIST && !r->full && strcmp(c->name, "Info") == 0;
}

static db_err put_columns(const struct request *r, bool with_exprs)
{
    bool first = true;
    for (const struct spec_column *c = r->spec->columns;
         c < r->spec->columns + SPEC_COLUMNS_MAX && c->name != NULL; c++) {
        if (c->full && !r->full) {
            continue;
        }
        TRY(put(r->out, first ? "" : ", "));
        if (with_exprs) {
            TRY(buf_printf(r->out, is_info_column(r, c) ? "LEFT(%s, 100)" : "%s", c->expr));
            TRY(put(r->out, " AS "));
        }
        TRY(put_alias(r, c));
        first = false;
    }
    return ERR_OK;
}

static db_err put_upper(struct buf *out, struct slice name)
{
    TRY(put(out, "'"));
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        TRY(put(out, c == '\'' ? "'" : ""));
        TRY(buf_append_u8(out, c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c));
    }
    return put(out, "'");
}

static db_err put_conditions(const struct request *r)
{
    const struct show_spec *s = r->spec;
    const char *glue = " WHERE ";
    bool info = slice_eq_nocase(r->schema, SLICE_LIT("information_schema"));
    if ((s->flags & SPEC_SCHEMA) != 0) {
        TRY(buf_printf(r->out, "%s%s = ", glue, s->schema_column));
        TRY(put_literal(r->out, info ? SLICE_LIT("information_schema") : r->schema));
        glue = " AND ";
    }
    if ((s->flags & SPEC_TABLE) != 0) {
        TRY(buf_printf(r->out, "%sTABLE_NAME = ", glue));
        TRY(info ? put_upper(r->out, r->table) : put_literal(r->out, r->table));
        glue = " AND ";
    }
    if (s->where != NULL) {
        TRY(buf_printf(r->out, "%s%s", glue, s->where));
        glue = " AND ";
    }
    if (r->like.ptr != NULL && s->like != NULL) {
        TRY(buf_printf(r->out, "%s%s LIKE ", glue, s->like));
        TRY(put_literal(r->out, r->like));
    }
    return ERR_OK;
}

static db_err put_select(const struct request *r)
{
    const struct show_spec *s = r->spec;
    bool nested = r->where != NULL;
    TRY(put(r->out, "SELECT "));
    if (nested) {
        TRY(put_columns(r, false));
        TRY(put(r->out, " FROM (SELECT "));
    }
    TRY(put_columns(r, true));
    if (nested && s->order != NULL) {
        TRY(buf_printf(r->out, ", %s AS `show order`", s->order));
    }
    TRY(buf_printf(r->out, " FROM %s%s", strchr(s->table, '.') == NULL ? "information_schema." : "",
                   s->table));
    TRY(put_conditions(r));
    if (nested) {
        TRY(put(r->out, ") AS `show_rows` WHERE "));
        TRY(ast_print_expr(r->out, r->where));
    }
    if (s->order == NULL) {
        return ERR_OK;
    }
    return buf_printf(r->out, " ORDER BY %s", nested ? "`show order`" : s->order);
}

/* ---- SHOW PRIVILEGES: a list of literals ---- */

static db_err put_privileges(struct buf *out)
{
    static const struct {
        const char *name, *context, *comment;
    } rows[] = {
#define PRIVILEGE(name, context, comment) {name, context, comment},
#include "sql/infoschema/privileges.def"
#undef PRIVILEGE
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        TRY(put(out, i == 0 ? "SELECT " : " UNION ALL SELECT "));
        TRY(put_literal(out, slice_str(rows[i].name)));
        TRY(put(out, i == 0 ? " AS `Privilege`, " : ", "));
        TRY(put_literal(out, slice_str(rows[i].context)));
        TRY(put(out, i == 0 ? " AS `Context`, " : ", "));
        TRY(put_literal(out, slice_str(rows[i].comment)));
        TRY(put(out, i == 0 ? " AS `Comment`" : ""));
    }
    return ERR_OK;
}

/* ---- the statements ---- */

static const struct show_spec *find_spec(enum ast_show_kind what, bool global)
{
    for (size_t i = 0; i < ARRAY_COUNT(show_specs); i++) {
        if (show_specs[i].what == what && (global || (show_specs[i].flags & SPEC_GLOBAL) == 0)) {
            return &show_specs[i];
        }
    }
    return NULL;
}

static struct request request_of(const struct ast_stmt *stmt, struct slice current_schema)
{
    struct request r = {.schema = current_schema};
    if (stmt->kind == AST_STMT_DESCRIBE) {
        const struct ast_describe *d = (const struct ast_describe *)stmt;
        r.spec = find_spec(AST_SHOW_COLUMNS, false);
        r.schema = d->table.schema.ptr != NULL ? d->table.schema : current_schema;
        r.table = d->table.name;
        r.like = d->column;
    } else if (stmt->kind == AST_STMT_SHOW) {
        const struct ast_show *s = (const struct ast_show *)stmt;
        r.spec = find_spec(s->what, s->scope == AST_SCOPE_GLOBAL);
        r.full = s->full;
        r.schema = s->schema.ptr != NULL        ? s->schema
                   : s->name.schema.ptr != NULL ? s->name.schema
                                                : current_schema;
        r.table = s->name.name;
        r.like = s->like == NULL ? SLICE_EMPTY : s->like->text;
        r.where = s->where;
        if (r.like.ptr == NULL && s->like != NULL) {
            r.like = SLICE_LIT("");
        }
    }
    return r;
}

db_err show_rewrite(struct arena *arena, const struct ast_stmt *stmt, struct slice current_schema,
                    struct diag *diag, struct slice *ret_sql, bool *ret_done)
{
    SCOPE_BUF(out, SHOW_TEXT_MAX);
    struct request r = request_of(stmt, current_schema);
    bool privileges =
        stmt->kind == AST_STMT_SHOW && ((const struct ast_show *)stmt)->what == AST_SHOW_PRIVILEGES;
    r.out = &out;
    *ret_done = r.spec != NULL || privileges;
    if (privileges) {
        TRY(put_privileges(&out));
        return arena_copy(arena, buf_slice(&out), ret_sql);
    }
    if (r.spec == NULL) {
        return ERR_OK;
    }
    if ((r.spec->flags & SPEC_SCHEMA) != 0 && r.schema.ptr == NULL) {
        return my_error(diag, ER_NO_DB_ERROR);
    }
    TRY(put_select(&r));
    return arena_copy(arena, buf_slice(&out), ret_sql);
}

static db_err no_such_table(struct arena *arena, struct slice schema, struct slice table,
                            struct diag *diag)
{
    const char *s = arena_strdup(arena, schema);
    const char *t = arena_strdup(arena, table);
    return s == NULL || t == NULL ? ERR_NOMEM : my_error(diag, ER_NO_SUCH_TABLE, s, t);
}

db_err show_check(struct arena *arena, const struct catalog_snapshot *snapshot,
                  const struct ast_stmt *stmt, struct slice current_schema, struct diag *diag,
                  const struct table_def **ret_table)
{
    struct request r = request_of(stmt, current_schema);
    *ret_table = NULL;
    if (r.spec == NULL || (r.spec->flags & SPEC_SCHEMA) == 0 || r.schema.ptr == NULL) {
        return ERR_OK;
    }
    if (snapshot_schema(snapshot, r.schema) == NULL) {
        const char *name = arena_strdup(arena, r.schema);
        return name == NULL ? ERR_NOMEM : my_error(diag, ER_BAD_DB_ERROR, name);
    }
    if ((r.spec->flags & SPEC_TABLE) != 0) {
        *ret_table = snapshot_table(snapshot, r.schema, r.table);
        return *ret_table == NULL ? no_such_table(arena, r.schema, r.table, diag) : ERR_OK;
    }
    return ERR_OK;
}

/* ---- SHOW CREATE ---- */

static db_err create_table_row(struct arena *arena, const struct table_def *t,
                               struct storage *storage, const struct ddl_show_opts *form,
                               struct show_row *row)
{
    SCOPE_BUF(out, SHOW_TEXT_MAX * 16);
    struct ddl_show_opts opts = *form;
    uint8_t key[16];
    if (storage != NULL && t->auto_increment >= 0 &&
        storage_sequence_peek(storage, sequence_key(t, false, key), NULL,
                              &opts.next_auto_increment) != ERR_OK) {
        opts.next_auto_increment = 0;
    }
    if (opts.next_auto_increment < t->auto_increment_start) {
        opts.next_auto_increment = t->auto_increment_start;
    }
    if (t->auto_increment >= 0 && type_is_integer(&t->columns[t->auto_increment].type)) {
        int64_t min;
        uint64_t max; /* MYSQL: the last number is shown again when there is none behind it */
        type_int_range(&t->columns[t->auto_increment].type, &min, &max);
        opts.next_auto_increment = opts.next_auto_increment > max ? max : opts.next_auto_increment;
    }
    TRY(ddl_show_create_table_opts(arena, t, &opts, &out));
    *row = (struct show_row){.count = 2, .names = {"Table", "Create Table"}, .lengths = {64, 1024}};
    row->cells[0] = t->name;
    return arena_copy(arena, buf_slice(&out), &row->cells[1]);
}

/* MYSQL: names go without the schema when it is the current one. */
static db_err create_view_row(struct arena *arena, const struct catalog_snapshot *snapshot,
                              const struct table_def *t, struct slice current_schema,
                              const struct ddl_show_opts *form, struct diag *diag,
                              struct show_row *row)
{
    SCOPE_BUF(out, SHOW_TEXT_MAX * 16);
    bool here = current_schema.ptr != NULL && slice_eq(current_schema, t->schema_name);
    const struct collation *client = collation_by_id(t->view.charset_client);
    const struct collation *connection = collation_by_id(t->view.collation_connection);
    TRY(ddl_show_create_view(arena, snapshot, t, here, form, diag, &out));
    *row = (struct show_row){
        .count = 4,
        .names = {"View", "Create View", "character_set_client", "collation_connection"},
        .lengths = {64, 1024, 64, 64},
        .of_view = true};
    row->cells[0] = t->name;
    row->cells[2] = slice_str(client == NULL ? "" : client->cs->name);
    row->cells[3] = slice_str(connection == NULL ? "" : connection->name);
    return arena_copy(arena, buf_slice(&out), &row->cells[1]);
}

/* MYSQL: tables of INFORMATION_SCHEMA are shown as temporary ones. */
static db_err create_virtual_row(struct arena *arena, struct slice schema,
                                 const struct table_def *t, const struct ddl_show_opts *form,
                                 struct show_row *row)
{
    SCOPE_BUF(out, SHOW_TEXT_MAX * 16);
    bool info = slice_eq_nocase(schema, SLICE_LIT("information_schema"));
    bool performance = slice_eq_nocase(schema, SLICE_LIT("performance_schema"));
    struct ddl_show_opts opts = {.sql_mode = form->sql_mode, .bare = form->bare, .temporary = info};
    struct table_def shown = *t;
    shown.engine = slice_str(info ? "MEMORY" : performance ? "PERFORMANCE_SCHEMA" : "InnoDB");
    TRY(ddl_show_create_table_opts(arena, &shown, &opts, &out));
    *row = (struct show_row){.count = 2, .names = {"Table", "Create Table"}, .lengths = {64, 1024}};
    row->cells[0] = t->name;
    return arena_copy(arena, buf_slice(&out), &row->cells[1]);
}

static db_err create_schema_row(struct arena *arena, const struct schema_def *s, bool if_not_exists,
                                const struct ddl_show_opts *form, struct show_row *row)
{
    SCOPE_BUF(out, SHOW_TEXT_MAX);
    TRY(ddl_show_create_schema(s, if_not_exists, form, &out));
    *row = (struct show_row){
        .count = 2, .names = {"Database", "Create Database"}, .lengths = {64, 1024}};
    row->cells[0] = s->name;
    return arena_copy(arena, buf_slice(&out), &row->cells[1]);
}

db_err show_create_row(struct arena *arena, const struct catalog_snapshot *snapshot,
                       struct storage *storage, const struct ast_show *show,
                       struct slice current_schema, const struct ddl_show_opts *form,
                       struct diag *diag, struct show_row *ret_row)
{
    struct show_row row;
    bool database = show->what == AST_SHOW_CREATE_DATABASE;
    struct slice schema = database                        ? show->name.name
                          : show->name.schema.ptr != NULL ? show->name.schema
                                                          : current_schema;
    bool view = show->what == AST_SHOW_CREATE_VIEW;
    ASSERT(database || view || show->what == AST_SHOW_CREATE_TABLE);
    if (schema.ptr == NULL) {
        return my_error(diag, ER_NO_DB_ERROR);
    }
    const struct schema_def *s = snapshot_schema(snapshot, schema);
    if (s == NULL) {
        const char *name = arena_strdup(arena, schema);
        return name == NULL ? ERR_NOMEM : my_error(diag, ER_BAD_DB_ERROR, name);
    }
    if (database) {
        TRY(create_schema_row(arena, s, show->if_not_exists, form, &row));
    } else {
        const struct table_def *t = snapshot_table(snapshot, schema, show->name.name);
        if (t == NULL) {
            return no_such_table(arena, schema, show->name.name, diag);
        }
        if (view && t->kind != TABLE_VIEW) {
            const char *name = arena_strdup(arena, t->name);
            return my_error(diag, ER_WRONG_OBJECT, arena_strdup(arena, schema), name, "VIEW");
        }
        if (t->kind == TABLE_VIEW) {
            TRY(create_view_row(arena, snapshot, t, current_schema, form, diag, &row));
            *ret_row = row;
            return ERR_OK;
        }
        TRY(t->kind == TABLE_BASE ? create_table_row(arena, t, storage, form, &row)
                                  : create_virtual_row(arena, schema, t, form, &row));
    }
    *ret_row = row;
    return ERR_OK;
}
