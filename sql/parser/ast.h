/* The syntax tree: what the grammar builds and the binder reads.
 *
 * Nodes live in the arena given to parser_parse() and hold slices that point either into the
 * statement's text or into that arena, so text and arena must both outlive the tree. The tree is
 * never changed after parsing; nothing in it is resolved: names are as written (quotes and escapes
 * removed, case kept), types of literals are lexical.
 *
 * A position is a byte range of the statement's text. Every expression, table reference, SELECT
 * item and name that an error message may speak of has one.
 *
 * Lists are arrays of pointers. An absent list has count 0 (and items NULL). Absent names are
 * slices with ptr NULL. Enumerations grow at the end; a reader that meets a member that it does not
 * know says 1235. */
#ifndef SKEIN_SQL_PARSER_AST_H
#define SKEIN_SQL_PARSER_AST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct ast_pos {
    uint32_t offset; /* bytes from the start of the text given to the parser */
    uint32_t len;
};

#define AST_LIST_OF(name, type)                                                                    \
    struct name {                                                                                  \
        type *items;                                                                               \
        uint32_t count;                                                                            \
        uint32_t cap;                                                                              \
    }

struct ast_expr;
struct ast_query;
struct ast_hints;
struct ast_hinted;

/* One identifier as written. */
struct ast_ident {
    struct slice name;
    struct ast_pos pos;
};

/* schema.name; schema.ptr is NULL when not given. */
struct ast_name {
    struct slice schema;
    struct slice name;
    struct ast_pos pos;
};

/* A text literal where the grammar wants one (COMMENT 'x', PASSWORD 'y', ...), unescaped. */
struct ast_text {
    struct slice text;
    struct ast_pos pos;
    bool is_bytes; /* x'..' or b'..': of no charset yet */
};

AST_LIST_OF(ast_list, void *); /* the layout that all lists share */
AST_LIST_OF(ast_expr_list, struct ast_expr *);
AST_LIST_OF(ast_ident_list, struct ast_ident *);
AST_LIST_OF(ast_name_list, struct ast_name *);
AST_LIST_OF(ast_text_list, struct ast_text *);

enum ast_scope {
    AST_SCOPE_DEFAULT, /* not written */
    AST_SCOPE_GLOBAL,
    AST_SCOPE_SESSION, /* SESSION and LOCAL */
    AST_SCOPE_PERSIST,
    AST_SCOPE_PERSIST_ONLY,
};

/* Whether a yes/no clause was written at all. */
enum ast_tristate {
    AST_UNSET,
    AST_NO,
    AST_YES,
};

enum ast_stmt_kind {
    AST_STMT_EMPTY, /* no statement at all: error 1065 when the text is empty, else only comments */

    /* ast_query.h */
    AST_STMT_SELECT, /* struct ast_select_stmt: SELECT, TABLE, VALUES, parenthesised, WITH */

    /* ast_dml.h */
    AST_STMT_INSERT,    /* struct ast_insert: INSERT and REPLACE */
    AST_STMT_UPDATE,    /* struct ast_update */
    AST_STMT_DELETE,    /* struct ast_delete */
    AST_STMT_LOAD_DATA, /* struct ast_load_data */
    AST_STMT_CALL,      /* struct ast_call */
    AST_STMT_DO,        /* struct ast_do */
    AST_STMT_HANDLER,   /* struct ast_handler */

    /* ast_ddl.h */
    AST_STMT_CREATE_DATABASE, /* struct ast_database_ddl */
    AST_STMT_ALTER_DATABASE,  /* struct ast_database_ddl */
    AST_STMT_DROP_DATABASE,   /* struct ast_database_ddl */
    AST_STMT_CREATE_TABLE,    /* struct ast_create_table */
    AST_STMT_ALTER_TABLE,     /* struct ast_alter_table */
    AST_STMT_DROP_TABLE,      /* struct ast_drop_table */
    AST_STMT_RENAME_TABLE,    /* struct ast_rename_table */
    AST_STMT_TRUNCATE_TABLE,  /* struct ast_truncate_table */
    AST_STMT_CREATE_INDEX,    /* struct ast_create_index */
    AST_STMT_DROP_INDEX,      /* struct ast_drop_index */
    AST_STMT_CREATE_VIEW,     /* struct ast_create_view: also ALTER VIEW */
    AST_STMT_DROP_VIEW,       /* struct ast_drop_table */

    /* ast_admin.h */
    AST_STMT_BEGIN,              /* struct ast_begin: BEGIN, START TRANSACTION */
    AST_STMT_COMMIT,             /* struct ast_txn_end */
    AST_STMT_ROLLBACK,           /* struct ast_txn_end */
    AST_STMT_SAVEPOINT,          /* struct ast_savepoint */
    AST_STMT_ROLLBACK_TO,        /* struct ast_savepoint */
    AST_STMT_RELEASE_SAVEPOINT,  /* struct ast_savepoint */
    AST_STMT_XA,                 /* struct ast_xa */
    AST_STMT_SET,                /* struct ast_set: variables, NAMES, CHARACTER SET */
    AST_STMT_SET_TRANSACTION,    /* struct ast_set_transaction */
    AST_STMT_SET_PASSWORD,       /* struct ast_set_password */
    AST_STMT_SET_ROLE,           /* struct ast_set_role: SET ROLE, SET DEFAULT ROLE */
    AST_STMT_SET_RESOURCE_GROUP, /* struct ast_set_resource_group */
    AST_STMT_SHOW,               /* struct ast_show */
    AST_STMT_DESCRIBE,           /* struct ast_describe */
    AST_STMT_EXPLAIN,            /* struct ast_explain */
    AST_STMT_USE,                /* struct ast_use */
    AST_STMT_KILL,               /* struct ast_kill */
    AST_STMT_FLUSH,              /* struct ast_flush */
    AST_STMT_TABLE_ADMIN,   /* struct ast_table_admin: ANALYZE, CHECK, OPTIMIZE, REPAIR, CHECKSUM */
    AST_STMT_LOCK_TABLES,   /* struct ast_lock_tables */
    AST_STMT_UNLOCK_TABLES, /* struct ast_stmt */
    AST_STMT_LOCK_INSTANCE, /* struct ast_stmt: FOR BACKUP */
    AST_STMT_UNLOCK_INSTANCE, /* struct ast_stmt */
    AST_STMT_PREPARE,         /* struct ast_prepare */
    AST_STMT_EXECUTE,         /* struct ast_execute */
    AST_STMT_DEALLOCATE,      /* struct ast_deallocate */
    AST_STMT_GET_DIAGNOSTICS, /* struct ast_get_diagnostics */
    AST_STMT_SIGNAL,          /* struct ast_signal: SIGNAL, RESIGNAL */
    AST_STMT_CREATE_USER,     /* struct ast_user_ddl: also ALTER USER */
    AST_STMT_ALTER_USER,      /* struct ast_user_ddl */
    AST_STMT_DROP_USER,       /* struct ast_drop_user: also DROP ROLE */
    AST_STMT_RENAME_USER,     /* struct ast_rename_user */
    AST_STMT_CREATE_ROLE,     /* struct ast_drop_user (a list of names) */
    AST_STMT_DROP_ROLE,       /* struct ast_drop_user */
    AST_STMT_GRANT,           /* struct ast_grant */
    AST_STMT_REVOKE,          /* struct ast_grant */
    AST_STMT_RESET_PERSIST,   /* struct ast_reset_persist */
    AST_STMT_HELP,            /* struct ast_help */
    AST_STMT_SHUTDOWN,        /* struct ast_stmt */
    AST_STMT_RESTART,         /* struct ast_stmt */

    /* Parsed, but nothing executes it yet: error 1235 with `feature`. */
    AST_STMT_UNSUPPORTED, /* struct ast_unsupported */

    AST_STMT__COUNT
};

struct ast_stmt {
    enum ast_stmt_kind kind;
    uint32_t param_count;      /* `?` markers, numbered from 0 in the order of the text */
    struct ast_pos pos;        /* the statement without trailing ';' and comments */
    bool warned;               /* the text uses what is deprecated: each parse of it says so */
    struct ast_hinted *hinted; /* ast_hint.h; NULL: there is no optimizer hint */
};

/* A statement whose grammar is complete but that has no executor. */
struct ast_unsupported {
    struct ast_stmt stmt;
    const char *feature; /* static: "CREATE TRIGGER" */
};

#endif
