/* Transactions, SET, SHOW, EXPLAIN and administration. */
#ifndef SKEIN_SQL_PARSER_AST_ADMIN_H
#define SKEIN_SQL_PARSER_AST_ADMIN_H

#include "sql/parser/ast_admin_user.h"
#include "sql/parser/ast_query.h"

/* ---- transactions ---- */

enum ast_access_mode { AST_ACCESS_UNSET, AST_ACCESS_READ_WRITE, AST_ACCESS_READ_ONLY };
enum ast_isolation {
    AST_ISO_UNSET,
    AST_ISO_READ_UNCOMMITTED,
    AST_ISO_READ_COMMITTED,
    AST_ISO_REPEATABLE_READ,
    AST_ISO_SERIALIZABLE,
};

struct ast_begin {
    struct ast_stmt stmt;
    bool consistent_snapshot;
    enum ast_access_mode access;
};

/* COMMIT, ROLLBACK; chain and release are AST_UNSET when completion_type decides. */
struct ast_txn_end {
    struct ast_stmt stmt;
    enum ast_tristate chain, release;
};

struct ast_savepoint {
    struct ast_stmt stmt;
    struct slice name;
};

enum ast_xa_op {
    AST_XA_START, /* also XA BEGIN */
    AST_XA_END,
    AST_XA_PREPARE,
    AST_XA_COMMIT,
    AST_XA_ROLLBACK,
    AST_XA_RECOVER,
};
struct ast_xa {
    struct ast_stmt stmt;
    enum ast_xa_op op;
    struct slice gtrid, bqual;
    uint64_t format_id; /* 1 when not written */
    bool join, resume;  /* START */
    bool suspend, for_migrate;
    bool one_phase;   /* COMMIT */
    bool convert_xid; /* RECOVER */
};

/* ---- SET ---- */

enum ast_set_kind {
    AST_SET_SYS_VAR,  /* [GLOBAL|SESSION|..] name = value, @@name = value; may turn out a local
                         variable */
    AST_SET_USER_VAR, /* @name = value */
    AST_SET_NAMES,    /* text, collation; is_default: SET NAMES DEFAULT */
    AST_SET_CHARSET,  /* SET CHARACTER SET: text, is_default */
};
struct ast_set_item {
    enum ast_set_kind kind;
    struct ast_pos pos;
    enum ast_scope scope;
    bool at_at;             /* written with @@ */
    struct slice component; /* component.name, or NEW.column */
    struct slice name;
    struct ast_expr
        *value; /* NULL: DEFAULT; a bare word (ON, ALL, BINARY, ROW, SYSTEM) is a string literal */
    bool is_default;
    struct slice text, collation;
};
AST_LIST_OF(ast_set_item_list, struct ast_set_item *);
struct ast_set {
    struct ast_stmt stmt;
    struct ast_set_item_list items;
};

struct ast_set_transaction {
    struct ast_stmt stmt;
    enum ast_scope scope; /* AST_SCOPE_DEFAULT: the next transaction only */
    enum ast_isolation isolation;
    enum ast_access_mode access;
};

struct ast_set_password {
    struct ast_stmt stmt;
    struct ast_user *user; /* NULL: the current one */
    bool random;           /* TO RANDOM */
    struct slice password;
    bool has_replace;
    struct slice replace;
    bool retain_current;
};

struct ast_set_role {
    struct ast_stmt stmt;
    bool set_default; /* SET DEFAULT ROLE .. TO users */
    enum {
        AST_ROLE_LIST,
        AST_ROLE_ALL,
        AST_ROLE_ALL_EXCEPT,
        AST_ROLE_NONE,
        AST_ROLE_DEFAULT
    } which;
    struct ast_user_list roles;
    struct ast_user_list users;
};

struct ast_set_resource_group {
    struct ast_stmt stmt;
    struct slice name;
    struct ast_expr_list threads; /* FOR 1, 2 */
};

/* ---- SHOW, DESCRIBE, EXPLAIN ---- */

enum ast_show_kind {
    AST_SHOW_BINARY_LOGS,
    AST_SHOW_BINARY_LOG_STATUS,
    AST_SHOW_BINLOG_EVENTS,
    AST_SHOW_CHARACTER_SET,
    AST_SHOW_COLLATION,
    AST_SHOW_COLUMNS, /* table, schema, full, extended */
    AST_SHOW_CREATE_DATABASE,
    AST_SHOW_CREATE_EVENT,
    AST_SHOW_CREATE_FUNCTION,
    AST_SHOW_CREATE_PROCEDURE,
    AST_SHOW_CREATE_TABLE,
    AST_SHOW_CREATE_TRIGGER,
    AST_SHOW_CREATE_USER, /* user */
    AST_SHOW_CREATE_VIEW,
    AST_SHOW_CREATE_LIBRARY,
    AST_SHOW_DATABASES,
    AST_SHOW_ENGINE_STATUS, /* name (engine; "ALL" for all) */
    AST_SHOW_ENGINE_MUTEX,
    AST_SHOW_ENGINE_LOGS,
    AST_SHOW_ENGINES,
    AST_SHOW_ERRORS,   /* limit; count: SHOW COUNT(*) ERRORS */
    AST_SHOW_WARNINGS, /* limit; count */
    AST_SHOW_EVENTS,
    AST_SHOW_FUNCTION_STATUS,
    AST_SHOW_PROCEDURE_STATUS,
    AST_SHOW_LIBRARY_STATUS,
    AST_SHOW_FUNCTION_CODE,
    AST_SHOW_PROCEDURE_CODE,
    AST_SHOW_GRANTS, /* user or NULL, roles: USING */
    AST_SHOW_INDEX,  /* table, schema, extended */
    AST_SHOW_OPEN_TABLES,
    AST_SHOW_PLUGINS,
    AST_SHOW_PRIVILEGES,
    AST_SHOW_PROCESSLIST,
    AST_SHOW_PROFILE,
    AST_SHOW_PROFILES,
    AST_SHOW_RELAYLOG_EVENTS,
    AST_SHOW_REPLICA_STATUS,
    AST_SHOW_REPLICAS,
    AST_SHOW_STATUS, /* scope */
    AST_SHOW_TABLE_STATUS,
    AST_SHOW_TABLES, /* schema, full, extended */
    AST_SHOW_TRIGGERS,
    AST_SHOW_VARIABLES, /* scope */
    AST_SHOW_PARSE_TREE,
};

struct ast_show {
    struct ast_stmt stmt;
    enum ast_show_kind what;
    enum ast_scope scope;
    bool full, extended;
    bool count;         /* COUNT(*) WARNINGS / ERRORS */
    bool if_not_exists; /* SHOW CREATE DATABASE IF NOT EXISTS */
    struct ast_name name;
    struct slice schema; /* FROM/IN schema; for columns and indexes it wins over name.schema */
    struct ast_pos schema_pos;
    struct ast_text *like;  /* or NULL */
    struct ast_expr *where; /* or NULL */
    struct ast_limit *limit;
    struct ast_user *user;
    struct ast_user_list roles;
    uint32_t profile_types; /* bits: 1 ALL, 2 BLOCK IO, 4 CONTEXT SWITCHES, 8 CPU, 16 IPC, 32
                               MEMORY, .. */
    uint64_t profile_query; /* FOR QUERY n, 0: the last */
    struct slice log_name;  /* BINLOG/RELAYLOG EVENTS IN, FOR CHANNEL in name.name */
    uint64_t log_pos;
};

/* DESCRIBE t [column | 'pattern'] */
struct ast_describe {
    struct ast_stmt stmt;
    struct ast_name table;
    struct slice column; /* ptr NULL: all; else a LIKE pattern or a column's name */
};

struct ast_explain {
    struct ast_stmt stmt;
    bool analyze;
    struct slice format;   /* ptr NULL: explain_format decides */
    struct slice into_var; /* INTO @var, ptr NULL: none */
    struct slice for_schema;
    bool for_connection;
    uint64_t connection_id;
    struct ast_stmt *target; /* SELECT, INSERT, UPDATE, DELETE; NULL for a connection */
};

/* ---- the rest ---- */

struct ast_use {
    struct ast_stmt stmt;
    struct ast_ident schema;
};

struct ast_kill {
    struct ast_stmt stmt;
    bool query; /* KILL QUERY, else the connection */
    struct ast_expr *id;
};

enum ast_flush_what {
    AST_FLUSH_BINARY_LOGS = 1,
    AST_FLUSH_ENGINE_LOGS = 2,
    AST_FLUSH_ERROR_LOGS = 4,
    AST_FLUSH_GENERAL_LOGS = 8,
    AST_FLUSH_LOGS = 16,
    AST_FLUSH_PRIVILEGES = 32,
    AST_FLUSH_OPTIMIZER_COSTS = 64,
    AST_FLUSH_RELAY_LOGS = 128,
    AST_FLUSH_SLOW_LOGS = 256,
    AST_FLUSH_STATUS = 512,
    AST_FLUSH_USER_RESOURCES = 1024,
    AST_FLUSH_TABLES = 2048,
};
struct ast_flush {
    struct ast_stmt stmt;
    bool no_binlog; /* NO_WRITE_TO_BINLOG, LOCAL */
    uint32_t what;  /* enum ast_flush_what */
    struct ast_name_list tables;
    bool with_read_lock;
    bool for_export;
    struct slice channel; /* RELAY LOGS FOR CHANNEL */
};

enum ast_table_admin_op {
    AST_ADMIN_ANALYZE,
    AST_ADMIN_CHECK,
    AST_ADMIN_CHECKSUM,
    AST_ADMIN_OPTIMIZE,
    AST_ADMIN_REPAIR,
};
enum ast_table_admin_flags {
    AST_ADMIN_QUICK = 1,
    AST_ADMIN_EXTENDED = 2,
    AST_ADMIN_FAST = 4,
    AST_ADMIN_MEDIUM = 8,
    AST_ADMIN_CHANGED = 16,
    AST_ADMIN_FOR_UPGRADE = 32,
    AST_ADMIN_USE_FRM = 64,
};
#define AST_BUCKETS_ZERO UINT64_MAX
struct ast_table_admin {
    struct ast_stmt stmt;
    enum ast_table_admin_op op;
    bool no_binlog;
    uint32_t flags; /* enum ast_table_admin_flags */
    struct ast_name_list tables;
    enum { AST_HISTOGRAM_NONE, AST_HISTOGRAM_UPDATE, AST_HISTOGRAM_DROP } histogram;
    struct ast_ident_list columns;
    uint64_t buckets; /* 0: the default; AST_BUCKETS_ZERO: 0 was written */
    enum ast_tristate auto_update;
    struct slice histogram_data; /* USING DATA '..' */
};

struct ast_lock_item {
    struct ast_name table;
    struct slice alias;
    bool write;
    bool local;        /* READ LOCAL */
    bool low_priority; /* LOW_PRIORITY WRITE */
};
AST_LIST_OF(ast_lock_item_list, struct ast_lock_item *);
struct ast_lock_tables {
    struct ast_stmt stmt;
    struct ast_lock_item_list items;
};

struct ast_prepare {
    struct ast_stmt stmt;
    struct slice name;
    struct slice text;     /* the statement as a literal; ptr NULL when a variable */
    struct slice variable; /* @variable */
};

struct ast_execute {
    struct ast_stmt stmt;
    struct slice name;
    struct ast_ident_list variables; /* USING @a, @b */
};

struct ast_deallocate {
    struct ast_stmt stmt;
    struct slice name;
};

enum ast_diag_item_kind {
    AST_DIAG_NUMBER,
    AST_DIAG_ROW_COUNT,
    AST_DIAG_CLASS_ORIGIN,
    AST_DIAG_SUBCLASS_ORIGIN,
    AST_DIAG_CONSTRAINT_CATALOG,
    AST_DIAG_CONSTRAINT_SCHEMA,
    AST_DIAG_CONSTRAINT_NAME,
    AST_DIAG_CATALOG_NAME,
    AST_DIAG_SCHEMA_NAME,
    AST_DIAG_TABLE_NAME,
    AST_DIAG_COLUMN_NAME,
    AST_DIAG_CURSOR_NAME,
    AST_DIAG_MESSAGE_TEXT,
    AST_DIAG_MYSQL_ERRNO,
    AST_DIAG_RETURNED_SQLSTATE,
};
struct ast_diag_item {
    struct ast_expr *target; /* GET: AST_EXPR_USER_VAR or AST_EXPR_COLUMN; SIGNAL: NULL */
    struct ast_expr *value;  /* SIGNAL: the value; GET: NULL */
    enum ast_diag_item_kind item;
};
AST_LIST_OF(ast_diag_item_list, struct ast_diag_item *);
struct ast_get_diagnostics {
    struct ast_stmt stmt;
    bool stacked;
    struct ast_expr *condition; /* NULL: statement information */
    struct ast_diag_item_list items;
};

struct ast_signal {
    struct ast_stmt stmt;
    bool resignal;
    struct slice sqlstate;  /* or ptr NULL */
    struct slice condition; /* a named condition, or ptr NULL */
    struct ast_diag_item_list items;
};

struct ast_reset_persist {
    struct ast_stmt stmt;
    bool if_exists;
    struct slice component;
    struct slice name; /* ptr NULL: all */
};

struct ast_help {
    struct ast_stmt stmt;
    struct slice topic;
};

#endif
