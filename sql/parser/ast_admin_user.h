/* Accounts: names, authentication, GRANT and REVOKE. */
#ifndef SKEIN_SQL_PARSER_AST_ADMIN_USER_H
#define SKEIN_SQL_PARSER_AST_ADMIN_USER_H

#include "sql/parser/ast_expr.h"

/* 'name'@'host'. host.ptr NULL: not written (means '%'). current: CURRENT_USER or USER(). */
struct ast_user {
    struct ast_pos pos;
    bool current;
    struct slice name, host;
};
AST_LIST_OF(ast_user_list, struct ast_user *);

enum ast_auth_kind {
    AST_AUTH_NONE,
    AST_AUTH_BY,        /* [WITH plugin] BY 'clear text' */
    AST_AUTH_BY_RANDOM, /* [WITH plugin] BY RANDOM PASSWORD */
    AST_AUTH_AS,        /* WITH plugin AS 'hash' */
    AST_AUTH_PLUGIN,    /* WITH plugin */
    AST_AUTH_INITIAL,   /* INITIAL AUTHENTICATION IDENTIFIED BY .. (passwordless factors) */
};

struct ast_auth {
    enum ast_auth_kind kind;
    uint32_t factor;     /* 1..3 */
    struct slice plugin; /* ptr NULL: the default one */
    struct slice secret;
    bool has_replace; /* REPLACE 'old' */
    struct slice replace;
    bool retain_current;
    bool discard_old;
    enum { AST_FACTOR_DEFAULT, AST_FACTOR_ADD, AST_FACTOR_MODIFY, AST_FACTOR_DROP } factor_op;
};
AST_LIST_OF(ast_auth_list, struct ast_auth *);

struct ast_user_spec {
    struct ast_user *user;
    struct ast_auth_list auth;
    bool discard_old_password;
};
AST_LIST_OF(ast_user_spec_list, struct ast_user_spec *);

enum ast_user_option_kind {
    AST_UOPT_REQUIRE_NONE,
    AST_UOPT_REQUIRE_SSL,
    AST_UOPT_REQUIRE_X509,
    AST_UOPT_REQUIRE_CIPHER,  /* text */
    AST_UOPT_REQUIRE_ISSUER,  /* text */
    AST_UOPT_REQUIRE_SUBJECT, /* text */
    AST_UOPT_MAX_QUERIES,     /* number */
    AST_UOPT_MAX_UPDATES,
    AST_UOPT_MAX_CONNECTIONS,
    AST_UOPT_MAX_USER_CONNECTIONS,
    AST_UOPT_EXPIRE, /* PASSWORD EXPIRE */
    AST_UOPT_EXPIRE_DEFAULT,
    AST_UOPT_EXPIRE_NEVER,
    AST_UOPT_EXPIRE_INTERVAL, /* number of days */
    AST_UOPT_HISTORY,         /* number, or is_default */
    AST_UOPT_REUSE_INTERVAL,  /* number, or is_default */
    AST_UOPT_REQUIRE_CURRENT, /* yes, or is_default */
    AST_UOPT_FAILED_LOGINS,   /* number */
    AST_UOPT_LOCK_TIME,       /* number, or UNBOUNDED: UINT64_MAX */
    AST_UOPT_ACCOUNT_LOCK,    /* yes: LOCK, else UNLOCK */
    AST_UOPT_COMMENT,         /* text */
    AST_UOPT_ATTRIBUTE,       /* text: JSON */
};
struct ast_user_option {
    enum ast_user_option_kind kind;
    bool is_default;
    bool yes;
    uint64_t number;
    struct slice text;
};
AST_LIST_OF(ast_user_option_list, struct ast_user_option *);

/* CREATE USER, ALTER USER. */
struct ast_user_ddl {
    struct ast_stmt stmt;
    bool if_exists, if_not_exists;
    struct ast_user_spec_list users;
    struct ast_user_option_list options;
    struct ast_user_list default_roles; /* CREATE USER .. DEFAULT ROLE; ALTER USER u DEFAULT ROLE */
    enum { AST_ROLES_UNSET, AST_ROLES_LIST, AST_ROLES_ALL, AST_ROLES_NONE } default_role_kind;
    bool registration; /* ALTER USER .. n FACTOR INITIATE/FINISH REGISTRATION, UNREGISTER */
};

/* DROP USER, CREATE ROLE, DROP ROLE. */
struct ast_drop_user {
    struct ast_stmt stmt;
    bool if_exists, if_not_exists;
    struct ast_user_list users;
};

struct ast_rename_user {
    struct ast_stmt stmt;
    struct ast_user_list from, to; /* of equal count */
};

enum ast_grant_kind { AST_GRANT_PRIVILEGES, AST_GRANT_ROLES, AST_GRANT_PROXY };
enum ast_grant_object {
    AST_OBJECT_TABLE,
    AST_OBJECT_FUNCTION,
    AST_OBJECT_PROCEDURE,
    AST_OBJECT_LIBRARY
};

/* One privilege as written: "SELECT", "CREATE TEMPORARY TABLES", "BACKUP_ADMIN"; or a role's name.
 */
struct ast_privilege {
    struct ast_pos pos;
    struct slice name;  /* words joined by one blank, upper case for built-in privileges */
    struct slice host;  /* of a role written r@h */
    bool is_identifier; /* not a built-in word: a dynamic privilege or a role */
    struct ast_ident_list columns;
};
AST_LIST_OF(ast_privilege_list, struct ast_privilege *);

struct ast_set_role; /* ast_admin.h */
struct ast_grant {
    struct ast_stmt stmt;
    enum ast_grant_kind kind;
    bool all; /* ALL [PRIVILEGES] */
    struct ast_privilege_list privileges;
    struct ast_user_list roles; /* AST_GRANT_ROLES */
    enum ast_grant_object object;
    bool object_written;
    /* ON: "*.*" has any_schema and any_table, "db.*" a schema and any_table, "*" any_table alone.
     */
    bool has_on;
    bool any_schema, any_table;
    struct slice schema, name;
    struct ast_pos object_pos;
    struct ast_user *proxy; /* AST_GRANT_PROXY: ON user */
    struct ast_user_list users;
    bool with_grant_option; /* or REVOKE .., GRANT OPTION */
    bool with_admin_option;
    struct ast_user *as_user;      /* GRANT .. AS user [WITH ROLE ..] */
    struct ast_set_role *as_roles; /* which roles; NULL: not written, its default roles */
    bool if_exists;                /* REVOKE IF EXISTS */
    bool ignore_unknown_user;      /* REVOKE .. IGNORE UNKNOWN USER */
};

#endif
