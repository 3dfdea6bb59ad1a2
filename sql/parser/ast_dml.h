/* INSERT, REPLACE, UPDATE, DELETE, LOAD, CALL, DO, HANDLER. */
#ifndef SKEIN_SQL_PARSER_AST_DML_H
#define SKEIN_SQL_PARSER_AST_DML_H

#include "sql/parser/ast_query.h"

/* column = value. value is AST_EXPR_DEFAULT with an empty name for the bare word DEFAULT. */
struct ast_assignment {
    struct ast_column *column;
    struct ast_expr *value;
    struct ast_pos pos;
};
AST_LIST_OF(ast_assignment_list, struct ast_assignment *);

enum ast_dml_flags {
    AST_DML_LOW_PRIORITY = 1,
    AST_DML_HIGH_PRIORITY = 2,
    AST_DML_DELAYED = 4,
    AST_DML_QUICK = 8,
    AST_DML_IGNORE = 16,
};

enum ast_insert_source {
    AST_INSERT_VALUES,     /* VALUES (..), (..): rows; an empty row means all defaults */
    AST_INSERT_VALUES_ROW, /* VALUES ROW(..), ROW(..): the same */
    AST_INSERT_SET,        /* SET a = 1: assignments */
    AST_INSERT_QUERY,      /* SELECT, TABLE, WITH, and VALUES ROW(..) that is a part of them */
};

struct ast_insert {
    struct ast_stmt stmt;
    bool replace;
    uint32_t flags;          /* enum ast_dml_flags */
    struct ast_hints *hints; /* or NULL */
    struct ast_name table;
    bool fills; /* CREATE TABLE .. SELECT: constants of the query are looked at as a SELECT does */
    struct ast_ident_list partitions;
    bool has_columns;             /* a list was written, maybe an empty one: () */
    struct ast_expr_list columns; /* AST_EXPR_COLUMN, maybe qualified */
    enum ast_insert_source source;
    struct ast_row_list rows; /* items may be AST_EXPR_DEFAULT */
    struct ast_assignment_list set;
    struct ast_query *query;
    struct slice row_alias; /* VALUES .. AS new (a, b) */
    struct ast_ident_list row_alias_columns;
    struct ast_assignment_list on_duplicate;
};

struct ast_update {
    struct ast_stmt stmt;
    uint32_t flags;
    struct ast_hints *hints; /* or NULL */
    struct ast_with *with;
    struct ast_table *table; /* one AST_TABLE_BASE, or joins (also commas): multi-table */
    struct ast_assignment_list set;
    struct ast_expr *where;
    struct ast_order_list order_by;
    struct ast_limit *limit; /* no offset */
};

struct ast_delete {
    struct ast_stmt stmt;
    uint32_t flags;
    struct ast_hints *hints; /* or NULL */
    struct ast_with *with;
    bool multi;                   /* DELETE a, b FROM .. / DELETE FROM a, b USING .. */
    struct ast_name_list targets; /* multi: names or aliases (a.* is a) */
    struct ast_table *table;      /* single: AST_TABLE_BASE with alias and partitions */
    struct ast_expr *where;
    struct ast_order_list order_by;
    struct ast_limit *limit;
};

enum ast_load_duplicates { AST_LOAD_ERROR, AST_LOAD_REPLACE, AST_LOAD_IGNORE };

struct ast_load_data {
    struct ast_stmt stmt;
    bool xml;
    bool local;
    uint32_t flags; /* LOW_PRIORITY; DELAYED stands for CONCURRENT here */
    struct slice file;
    enum ast_load_duplicates duplicates;
    struct ast_name table;
    struct ast_ident_list partitions;
    struct ast_file_format format;
    struct slice rows_identified_by; /* XML */
    uint64_t ignore_lines;
    struct ast_expr_list columns; /* AST_EXPR_COLUMN or AST_EXPR_USER_VAR */
    struct ast_assignment_list set;
};

struct ast_call {
    struct ast_stmt stmt;
    struct ast_name name;
    struct ast_expr_list args;
};

struct ast_do {
    struct ast_stmt stmt;
    struct ast_select_list items;
};

enum ast_handler_op { AST_HANDLER_OPEN, AST_HANDLER_READ, AST_HANDLER_CLOSE };
enum ast_handler_read {
    AST_READ_FIRST,
    AST_READ_NEXT,
    AST_READ_PREV,
    AST_READ_LAST,
    AST_READ_KEY, /* index op (values) */
};
struct ast_handler {
    struct ast_stmt stmt;
    enum ast_handler_op op;
    struct ast_name table;
    struct slice alias;
    enum ast_handler_read read;
    struct slice index; /* ptr NULL: the table's own order */
    enum ast_op key_op;
    struct ast_expr_list key;
    struct ast_expr *where;
    struct ast_limit *limit;
};

#endif
