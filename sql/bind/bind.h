/* The binder: resolves names, types and collations of a statement and makes a logical plan.
 *
 * In: the parser's tree and the catalog's snapshot. Out: struct bound_stmt in the plan's arena,
 * which needs neither the tree nor the statement's text afterwards (what it keeps is copied).
 * Nothing parks. Errors are MySQL's, in the diag. */
#ifndef SKEIN_SQL_BIND_BIND_H
#define SKEIN_SQL_BIND_BIND_H

#include "sql/bind/logical.h"
#include "sql/parser/ast_dml.h"
#include "sql/parser/ast_query.h"

struct charset;
struct collation;

/* What an expression of a definition is for: decides what may stand in it. */
enum bind_use {
    BIND_USE_ANY,
    BIND_USE_GENERATED,
    BIND_USE_DEFAULT,
    BIND_USE_CHECK,
    BIND_USE_INDEX, /* a functional key part */
};

/* What is known of a `?` besides its type. */
struct param_manner {
    uint8_t coercibility; /* of text: it is placed, it has the collation of its place; else 0 */
    bool placed;
    bool own;      /* its place would make a moment of it, but it is of its value's type */
    uint8_t reads; /* text that is read as a number of this kind: 1 + enum func_number; or 0 */
};

struct bind_opts {
    const struct catalog_snapshot *snapshot;
    struct slice current_schema; /* ptr NULL: none (1046) */
    uint64_t sql_mode;
    uint16_t connection_collation;
    uint16_t utf8mb4_collation;  /* @@default_collation_for_utf8mb4; 0: the charset's own */
    bool localized;              /* lc_time_names is not en_US: names of days are no constants */
    uint16_t database_collation; /* collation_database: LOAD DATA's files */
    uint16_t charset_client;     /* default collation of character_set_client: literals' charset */
    uint32_t div_precision_increment;
    uint64_t max_allowed_packet;
    uint64_t group_concat_max_len;
    uint32_t version_chars;    /* of VERSION() */
    const struct timezone *tz; /* constants are folded in it */
    /* Types of `?` and lifted literals, by index; TYPE_NULL: not known yet (at PREPARE: taken as
     * text). Lifted literals that are not in the list take their type from the literal itself. */
    const struct sql_type *param_types;
    const struct param_manner *param_manners; /* likewise, of `?`; NULL: of none */
    uint32_t param_count;
    bool limits_select; /* a SELECT that has no LIMIT of its own has select_limit */
    uint64_t select_limit;
    bool use_invisible_indexes; /* index hints may name them */
    bool view_limit_needs_key;  /* updatable_views_with_limit is off */
    bool prepare;               /* parameters have no values yet */
    bool prepared;         /* it is executed: PREPARE has told what the statement itself says */
    bool defines_view;     /* constant text is looked at when the view is used */
    bool complete_tree;    /* only for bind_view_query: the syntax tree is written to */
    bool names_may_repeat; /* bind_view_query: of the result's columns; else 1060 */
    bool completes_note;   /* with complete_tree: as bind_explained() says (it sets it) */
    /* With complete_tree: temporary tables of this snapshot must not be named (1352); NULL: none */
    const struct catalog_snapshot *temporaries;
    const struct priv_session *priv; /* whose privileges are checked; NULL: nobody's */
    bool sent;                       /* a SELECT's rows, if there are any, go to a client */
    struct slice
        creates;       /* the table that the query fills; ptr NULL: none. It locks no rows (1746) */
    bool auto_is_null; /* sql_auto_is_null */
    bool explain;      /* views are shown from within: 1345 without SHOW VIEW */
    /* Type of @name and of @@name as they are now. NULL members: user variables are text, system
     * variables unknown. */
    void *env;
    bool (*user_var_type)(void *env, struct slice name, struct sql_type *ret_type,
                          uint16_t *ret_collation); /* of its text; 0: it was never set */
    /* ERR_SQL 1193 unknown, 1238 wrong scope. *ret_unsafe: see struct bound_stmt. */
    db_err (*system_var)(void *env, int scope, struct slice name, struct diag *diag,
                         struct sql_type *ret_type, const void **ret_sysvar, bool *ret_unsafe);
    bool *unsafe; /* bind_scalar: set to true where the expression is; may be NULL */
    /* May the statement use the table or view under this alias? NULL: any. Not asked of what a view
     * uses. */
    db_err (*may_use)(void *env, struct slice schema, struct slice name, struct slice alias,
                      struct diag *diag);
    bool tells_table; /* bind_scalar: messages show a column with its table (CHECK) */
    /* bind_scalar for a definition: of the column, constraint or index `owner` (3102, 3763 ...). */
    enum bind_use use;
    const char *owner;
    /* Warnings made while binding (1052-like notes, folded constants); may be NULL. */
    void (*warn)(void *env, int level, uint16_t number, const char *text);
};

/* SELECT, INSERT, REPLACE, UPDATE, DELETE, LOAD DATA. Others: ERR_INVALID (the session handles
 * them). */
MUST_USE db_err bind_statement(struct arena *arena, const struct bind_opts *opts,
                               const struct ast_stmt *stmt, struct diag *diag,
                               struct bound_stmt **ret_bound);

/* The query of a view in the making. The tree itself is completed, so that its text no longer
 * depends on the session nor on later changes of the tables: tables get their schema, columns their
 * table, stars become columns, select items of the outermost block names. The result's types are
 * those that a column of a table would have. Errors: those of a SELECT, 1351, 1060. */
MUST_USE db_err bind_view_query(struct arena *arena, const struct bind_opts *opts,
                                struct ast_query *query, struct diag *diag,
                                struct bound_stmt **ret_bound);

/* Completes the tree of a statement that bind_statement() takes in the same way, as EXPLAIN's note
 * shows it: its own names stay as they are, what has an alias is named by that, and the row of ON
 * DUPLICATE KEY UPDATE by VALUES(). Nobody hears warnings. The tree is of no use for anything but
 * printing then. Errors: those of bind_statement(). */
MUST_USE db_err bind_explained(struct arena *arena, const struct bind_opts *opts,
                               const struct ast_stmt *stmt, struct diag *diag);

/* One expression without columns (SET, DO, LIMIT, defaults), or on the columns of `table` when it
 * is not NULL: column ordinals become BEXPR_COLUMN with id = ordinal + 1 and slot = ordinal. For
 * DEFAULT (expr), CHECK and generated columns. */
MUST_USE db_err bind_scalar(struct arena *arena, const struct bind_opts *opts,
                            const struct ast_expr *expr, const struct table_def *table,
                            struct diag *diag, struct bexpr **ret_expr);

/* Refuses what MySQL's parser refuses of an expression though it is no error of syntax: names of
 * charsets and collations, counts of arguments. */
MUST_USE db_err bind_definition_parses(struct arena *arena, const struct bind_opts *opts,
                                       const struct ast_expr *expr, struct diag *diag);
/* That, and what the definition opts->use may not hold (3102, 3763, 3772, 3814 ...), without
 * looking at the columns that it names. */
MUST_USE db_err bind_definition_allows(struct arena *arena, const struct bind_opts *opts,
                                       const struct ast_expr *expr, struct diag *diag);
/* NULL, unless the expression is CAST(e AS type ARRAY), of which only an index can be made. */
const struct ast_cast *bind_array_cast(const struct ast_expr *expr);
/* The e of such a cast as a JSON document, bound as by bind_scalar, and the type of the values that
 * an index on it holds. Errors: 1235 for a type that no index can have, 3146 and those of
 * bind_scalar. */
MUST_USE db_err bind_array_source(struct arena *arena, const struct bind_opts *opts,
                                  const struct ast_cast *cast, const struct table_def *table,
                                  struct diag *diag, struct bexpr **ret_source,
                                  struct sql_type *ret_element);

/* An expression's type as a column's that is to hold its values. */
void bind_stored_type(struct sql_type *io);

/* What the charset's name alone means: of an introducer, or in a definition. */
const struct collation *bind_charset_collation(const struct bind_opts *opts,
                                               const struct charset *cs);

/* A column or cast type of the grammar as a sql_type. default_collation is the table's (or
 * connection's); of opts: sql_mode, utf8mb4_collation. Errors: 1074, 1426, 1425, 1427, 1439, 3505
 * ..., as MySQL checks lengths. */
MUST_USE db_err bind_type(struct arena *arena, const struct ast_type *type,
                          uint16_t default_collation, const struct bind_opts *opts,
                          struct slice column_name, struct diag *diag, struct sql_type *ret_type);

/* The type of a parameter that is to be a number of this kind. */
struct sql_type bind_number_type(enum func_number kind);
/* The type of a parameter that is text by its place. */
struct sql_type bind_param_text_type(const struct param_place *place);

/* The value of a literal that was lifted out of a statement, as a parameter of the plan. Text is in
 * the arena. */
MUST_USE db_err bind_literal(struct arena *arena, const struct bind_opts *opts,
                             const struct ast_literal *literal, struct diag *diag,
                             struct value *ret_value);

#endif
