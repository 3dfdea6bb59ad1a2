/* SHOW about what this server does not have: logs of changes, replicas, libraries, stored programs,
 * and what an engine tells of itself. They answer as a MySQL server does that has none of them: no
 * rows, or that the one that is named does not exist. */
#include <assert.h>

#include "sql/ddl/ddl.h"
#include "sql/session/session_int.h"

enum { SHOWN_MAX = 62 };

/* A result's columns: text of so many characters, whole numbers, times. */
struct shown {
    const char *name;
    enum type_id type;
    uint32_t length;
};

#define TEXT(name, length)                                                                         \
    {                                                                                              \
        name, TYPE_VARCHAR, length                                                                 \
    }
#define NUMBER(name)                                                                               \
    {                                                                                              \
        name, TYPE_INT, 0                                                                          \
    }
#define POSITION(name)                                                                             \
    {                                                                                              \
        name, TYPE_BIGINT, 0                                                                       \
    }

static const struct shown log_events[] = {
    TEXT("Log_name", 20), POSITION("Pos"),         TEXT("Event_type", 20),
    NUMBER("Server_id"),  POSITION("End_log_pos"), TEXT("Info", 20),
};
static const struct shown log_status[] = {
    TEXT("File", 512),
    POSITION("Position"),
    TEXT("Binlog_Do_DB", 255),
    TEXT("Binlog_Ignore_DB", 255),
    TEXT("Executed_Gtid_Set", 0),
};
static const struct shown replicas[] = {
    NUMBER("Server_Id"), TEXT("Host", 255),        NUMBER("Port"),
    NUMBER("Source_Id"), TEXT("Replica_UUID", 36),
};
static const struct shown libraries[] = {
    TEXT("Db", 64),
    TEXT("Name", 64),
    TEXT("Language", 64),
    TEXT("Creator", 288),
    {"Modified", TYPE_TIMESTAMP, 0},
    {"Created", TYPE_TIMESTAMP, 0},
    TEXT("Comment", 65535),
};
static const struct shown engine[] = {TEXT("Type", 10), TEXT("Name", 512), TEXT("Status", 10)};
static const struct shown replica_status[] = {
    TEXT("Replica_IO_State", 14),
    TEXT("Source_Host", 256),
    TEXT("Source_User", 97),
    NUMBER("Source_Port"),
    NUMBER("Connect_Retry"),
    TEXT("Source_Log_File", 512),
    POSITION("Read_Source_Log_Pos"),
    TEXT("Relay_Log_File", 512),
    POSITION("Relay_Log_Pos"),
    TEXT("Relay_Source_Log_File", 512),
    TEXT("Replica_IO_Running", 3),
    TEXT("Replica_SQL_Running", 3),
    TEXT("Replicate_Do_DB", 20),
    TEXT("Replicate_Ignore_DB", 20),
    TEXT("Replicate_Do_Table", 20),
    TEXT("Replicate_Ignore_Table", 23),
    TEXT("Replicate_Wild_Do_Table", 24),
    TEXT("Replicate_Wild_Ignore_Table", 28),
    NUMBER("Last_Errno"),
    TEXT("Last_Error", 20),
    NUMBER("Skip_Counter"),
    POSITION("Exec_Source_Log_Pos"),
    POSITION("Relay_Log_Space"),
    TEXT("Until_Condition", 6),
    TEXT("Until_Log_File", 512),
    POSITION("Until_Log_Pos"),
    TEXT("Source_SSL_Allowed", 7),
    TEXT("Source_SSL_CA_File", 512),
    TEXT("Source_SSL_CA_Path", 512),
    TEXT("Source_SSL_Cert", 512),
    TEXT("Source_SSL_Cipher", 512),
    TEXT("Source_SSL_Key", 512),
    POSITION("Seconds_Behind_Source"),
    TEXT("Source_SSL_Verify_Server_Cert", 3),
    NUMBER("Last_IO_Errno"),
    TEXT("Last_IO_Error", 20),
    NUMBER("Last_SQL_Errno"),
    TEXT("Last_SQL_Error", 20),
    TEXT("Replicate_Ignore_Server_Ids", 512),
    NUMBER("Source_Server_Id"),
    TEXT("Source_UUID", 36),
    TEXT("Source_Info_File", 1024),
    NUMBER("SQL_Delay"),
    NUMBER("SQL_Remaining_Delay"),
    TEXT("Replica_SQL_Running_State", 20),
    POSITION("Source_Retry_Count"),
    TEXT("Source_Bind", 256),
    TEXT("Last_IO_Error_Timestamp", 20),
    TEXT("Last_SQL_Error_Timestamp", 20),
    TEXT("Source_SSL_Crl", 512),
    TEXT("Source_SSL_Crlpath", 512),
    TEXT("Retrieved_Gtid_Set", 0),
    TEXT("Executed_Gtid_Set", 0),
    NUMBER("Auto_Position"),
    TEXT("Replicate_Rewrite_DB", 24),
    TEXT("Channel_Name", 192),
    TEXT("Source_TLS_Version", 512),
    TEXT("Source_public_key_path", 512),
    NUMBER("Get_Source_public_key"),
    TEXT("Network_Namespace", 193),
};
static_assert(ARRAY_COUNT(replica_status) <= SHOWN_MAX, "the widest");

static db_err no_rows(struct statement *st, const struct shown *columns, uint32_t count)
{
    const char *names[SHOWN_MAX];
    struct sql_type types[SHOWN_MAX];
    struct text_result r;
    for (uint32_t i = 0; i < count; i++) {
        const struct shown *c = &columns[i];
        names[i] = c->name;
        types[i] = c->type == TYPE_VARCHAR
                       ? type_char(TYPE_VARCHAR, c->length, COLL_UTF8MB3_GENERAL_CI)
                   : c->type == TYPE_TIMESTAMP ? type_temporal(TYPE_TIMESTAMP, 0)
                                               : type_int(c->type, false);
    }
    TRY(text_result_begin_typed(st, &r, names, types, count));
    return text_result_end(&r);
}

#define NO_ROWS(st, columns) no_rows(st, columns, ARRAY_COUNT(columns))

/* What is named has a schema, given or current. */
static db_err in_schema(struct sql_session *s, const struct ast_show *show)
{
    bool given = show->name.schema.ptr != NULL;
    if (!given && !s->has_schema) {
        return my_error(&s->diag, ER_NO_DB_ERROR);
    }
    if (show->what != AST_SHOW_CREATE_TRIGGER && show->what != AST_SHOW_CREATE_EVENT) {
        return ERR_OK;
    }
    struct slice schema = given ? show->name.schema : s->schema;
    TRY(access__schema(s, schema, &s->diag));
    if (show->what == AST_SHOW_CREATE_EVENT) {
        return ERR_OK;
    }
    const struct catalog_snapshot *snap;
    TRY(session__snapshot(s, &snap));
    bool known = snapshot_schema(snap, schema) != NULL;
    catalog_release(snap);
    return known ? ERR_OK
                 : my_error(&s->diag, ER_BAD_DB_ERROR, arena_strdup(&s->stmt_arena, schema));
}

static db_err no_program(struct sql_session *s, const struct ast_show *show)
{
    const char *name = arena_strdup(&s->stmt_arena, show->name.name);
    TRY(in_schema(s, show));
    switch ((int)show->what) {
    case AST_SHOW_CREATE_TRIGGER: return my_error(&s->diag, ER_TRG_DOES_NOT_EXIST);
    case AST_SHOW_CREATE_EVENT: return my_error(&s->diag, ER_EVENT_DOES_NOT_EXIST, name);
    case AST_SHOW_PROCEDURE_CODE:
    case AST_SHOW_FUNCTION_CODE:
        return my_error(&s->diag, ER_FEATURE_DISABLED, "SHOW PROCEDURE|FUNCTION CODE",
                        "--with-debug");
    default: break;
    }
    const char *kind = show->what == AST_SHOW_CREATE_PROCEDURE  ? "PROCEDURE"
                       : show->what == AST_SHOW_CREATE_FUNCTION ? "FUNCTION"
                                                                : "LIBRARY";
    return my_error(&s->diag, ER_SP_DOES_NOT_EXIST, kind, name);
}

/* The engine that keeps the tables tells the server's counters; the others have nothing to tell. */
static db_err engine_status(struct statement *st, const struct ast_show *show)
{
    struct sql_session *s = st->session;
    struct slice shown;
    struct slice name = show->name.name;
    bool all = slice_eq_nocase(name, SLICE_LIT("all"));
    if (!all && !ddl_engine_known(name, &shown)) {
        return my_error(&s->diag, ER_UNKNOWN_STORAGE_ENGINE, arena_strdup(&s->stmt_arena, name));
    }
    if (show->what != AST_SHOW_ENGINE_STATUS || (!all && !slice_eq(shown, SLICE_LIT("InnoDB")))) {
        return NO_ROWS(st, engine);
    }
    return query__run_text(
        st, SLICE_LIT("SELECT 'InnoDB' AS `Type`, '' AS `Name`, JSON_PRETTY(JSON_OBJECTAGG("
                      "VARIABLE_NAME, VARIABLE_VALUE)) AS `Status` FROM "
                      "performance_schema.global_status"));
}

db_err show_none__run(struct statement *st, const struct ast_show *show)
{
    switch ((int)show->what) {
    case AST_SHOW_BINARY_LOGS: return my_error(&st->session->diag, ER_NO_BINARY_LOGGING);
    case AST_SHOW_BINLOG_EVENTS:
    case AST_SHOW_RELAYLOG_EVENTS: return NO_ROWS(st, log_events);
    case AST_SHOW_BINARY_LOG_STATUS: return NO_ROWS(st, log_status);
    case AST_SHOW_REPLICAS: return NO_ROWS(st, replicas);
    case AST_SHOW_REPLICA_STATUS: return NO_ROWS(st, replica_status);
    case AST_SHOW_LIBRARY_STATUS: return NO_ROWS(st, libraries);
    case AST_SHOW_ENGINE_STATUS:
    case AST_SHOW_ENGINE_MUTEX:
    case AST_SHOW_ENGINE_LOGS: return engine_status(st, show);
    default: return no_program(st->session, show);
    }
}
