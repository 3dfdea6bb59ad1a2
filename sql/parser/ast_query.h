/* Queries and table references. */
#ifndef SKEIN_SQL_PARSER_AST_QUERY_H
#define SKEIN_SQL_PARSER_AST_QUERY_H

#include "sql/parser/ast_expr.h"
#include "sql/parser/ast_hint.h"

/* ---- table references ---- */

enum ast_table_kind {
    AST_TABLE_BASE,    /* struct ast_table_base: a table, view or common table expression */
    AST_TABLE_DERIVED, /* struct ast_table_derived: (query) [AS] alias, LATERAL */
    AST_TABLE_JOIN,    /* struct ast_table_join */
    AST_TABLE_JSON,    /* struct ast_json_table */
};

struct ast_table {
    enum ast_table_kind kind;
    uint16_t depth;
    bool parens; /* within parentheses of its own */
    struct ast_pos pos;
};
AST_LIST_OF(ast_table_list, struct ast_table *);

enum ast_index_hint_kind { AST_HINT_USE, AST_HINT_FORCE, AST_HINT_IGNORE };
enum ast_index_hint_scope { AST_HINT_ALL, AST_HINT_JOIN, AST_HINT_ORDER_BY, AST_HINT_GROUP_BY };
struct ast_index_hint {
    enum ast_index_hint_kind kind;
    enum ast_index_hint_scope scope;
    struct ast_ident_list indexes; /* PRIMARY is an ordinary name here; empty: USE INDEX () */
};
AST_LIST_OF(ast_index_hint_list, struct ast_index_hint *);

enum ast_sample_kind { AST_SAMPLE_NONE, AST_SAMPLE_SYSTEM, AST_SAMPLE_BERNOULLI };

struct ast_table_base {
    struct ast_table table;
    struct ast_name name;
    struct slice alias;               /* ptr NULL: none */
    struct ast_ident_list partitions; /* PARTITION (p0, p1) */
    struct ast_index_hint_list hints;
    enum ast_sample_kind sample;
    struct ast_expr *sample_percent;
};

struct ast_table_derived {
    struct ast_table table;
    struct ast_query *query;
    struct slice alias;
    struct ast_ident_list columns;
    bool lateral;
};

enum ast_join_kind {
    AST_JOIN_INNER, /* JOIN, INNER JOIN, CROSS JOIN, and the comma when `comma` is set */
    AST_JOIN_STRAIGHT,
    AST_JOIN_LEFT,
    AST_JOIN_RIGHT,
    AST_JOIN_FULL, /* FULL OUTER JOIN: not MySQL's, ours */
};

struct ast_table_join {
    struct ast_table table;
    enum ast_join_kind kind;
    bool natural;
    bool comma;
    bool cross; /* CROSS was written */
    struct ast_table *left, *right;
    struct ast_expr *on;          /* or NULL */
    struct ast_ident_list using_; /* USING (a, b) */
};

/* JSON_TABLE(doc, path COLUMNS (...)) AS alias */
enum ast_json_column_kind {
    AST_JSON_COL_ORDINALITY,
    AST_JSON_COL_PATH,
    AST_JSON_COL_EXISTS,
    AST_JSON_COL_NESTED,
};
struct ast_json_column;
AST_LIST_OF(ast_json_column_list, struct ast_json_column *);
struct ast_json_column {
    enum ast_json_column_kind kind;
    struct ast_pos pos;
    struct slice name;
    struct ast_type *type;
    struct slice collation;
    struct slice path;
    struct ast_json_on on_empty, on_error;
    struct ast_json_column_list nested;
};
struct ast_json_table {
    struct ast_table table;
    struct ast_expr *doc;
    struct slice path;
    struct ast_json_column_list columns;
    struct slice alias;
};

/* ---- query expressions ---- */

enum ast_body_kind {
    AST_BODY_SELECT, /* struct ast_select */
    AST_BODY_SETOP,  /* struct ast_setop */
    AST_BODY_VALUES, /* struct ast_values: VALUES ROW(..), .. */
    AST_BODY_TABLE,  /* struct ast_body_table: TABLE t */
    AST_BODY_QUERY,  /* struct ast_body_query: a parenthesised query with clauses of its own */
};

struct ast_body {
    enum ast_body_kind kind;
    uint16_t depth; /* of the deepest expression, join or query within */
    bool parens;
    bool in_cte;
    struct ast_pos pos;
    struct ast_body *before; /* the query block (SELECT, VALUES or TABLE) that ended before it */
};

enum ast_setop_kind { AST_SETOP_UNION, AST_SETOP_INTERSECT, AST_SETOP_EXCEPT };
/* One operation of a chain. nests: what stands before it is one operand of it, rather than that
 * both go on as one operation of many operands. MYSQL: so for another operation, and of INTERSECT
 * ALL for each. */
struct ast_set_link {
    enum ast_setop_kind op;
    bool all; /* ALL; else DISTINCT */
    bool nests;
    struct ast_body *body;
};
AST_LIST_OF(ast_set_links, struct ast_set_link *);

/* A chain of set operations, from left to right: each link combines all before it with its body. A
 * left operand in parentheses is the beginning of the chain; the right one of an operation is one
 * body. The chain's length does not count as depth, but links that nest do; of these there are at
 * most as many as queries within queries (PARSER_QUERY_DEPTH_MAX; 1473). */
struct ast_setop {
    struct ast_body body;
    struct ast_body *first;
    struct ast_set_links links; /* at least one */
    uint16_t operand_depth;     /* of the deepest operand */
    uint16_t nests;             /* links that do */
    uint16_t deeper;            /* by how much links make it deeper */
    bool run_all, run_mixed;    /* of the last links of one operation: all are ALL; some are */
};

static inline const struct ast_set_link *ast_set_last(const struct ast_setop *s)
{
    return s->links.items[s->links.count - 1];
}

struct ast_values {
    struct ast_body body;
    struct ast_row_list rows;
};

struct ast_select;
struct ast_body_table {
    struct ast_body body;
    struct ast_name name;
    struct ast_select *select; /* in a completed tree: SELECT of all columns; else NULL */
};

struct ast_body_query {
    struct ast_body body;
    struct ast_query *query;
};

enum ast_select_options {
    AST_SELECT_DISTINCT = 1,
    AST_SELECT_ALL = 2,
    AST_SELECT_HIGH_PRIORITY = 4,
    AST_SELECT_STRAIGHT_JOIN = 8,
    AST_SELECT_SQL_SMALL_RESULT = 16,
    AST_SELECT_SQL_BIG_RESULT = 32,
    AST_SELECT_SQL_BUFFER_RESULT = 64,
    AST_SELECT_SQL_NO_CACHE = 128,
    AST_SELECT_SQL_CALC_FOUND_ROWS = 256,
};

struct ast_select_item {
    struct ast_expr *expr; /* may be AST_EXPR_STAR */
    struct slice alias;    /* ptr NULL: none (an empty alias has a ptr) */
    struct slice
        text; /* the expression's source text, without surrounding blanks: names the column */
    struct ast_pos pos;
};
AST_LIST_OF(ast_select_list, struct ast_select_item *);

enum ast_group_mode {
    AST_GROUP_PLAIN,
    AST_GROUP_ROLLUP, /* WITH ROLLUP and ROLLUP (..) */
    AST_GROUP_CUBE,
};

enum ast_into_kind { AST_INTO_VARS, AST_INTO_OUTFILE, AST_INTO_DUMPFILE };

/* FIELDS .. LINES .. of OUTFILE and LOAD DATA; ptr NULL: not given. */
struct ast_file_format {
    struct slice charset;
    struct slice field_term, field_enclosed, field_escaped;
    bool optionally_enclosed;
    struct slice line_start, line_term;
};

struct ast_into {
    enum ast_into_kind kind;
    struct ast_pos pos;
    struct ast_expr_list
        targets; /* AST_EXPR_USER_VAR, or AST_EXPR_COLUMN (a stored program's local variable) */
    struct slice file;
    struct ast_file_format format;
};

struct ast_select {
    struct ast_body body;
    uint32_t options;        /* enum ast_select_options */
    struct ast_hints *hints; /* or NULL */
    struct ast_select_list items;
    struct ast_table *from; /* NULL: none, or DUAL; commas are joins with `comma` set */
    struct ast_expr *where;
    struct ast_expr_list group_by;
    struct ast_order_list group_order; /* reserved */
    enum ast_group_mode group_mode;
    struct ast_expr *having;
    struct ast_window_list windows;
    struct ast_expr *qualify;
    struct ast_into *into; /* INTO before FROM; INTO at the end is in the query */
    bool from_dual;
};

struct ast_limit {
    struct ast_expr *count;  /* literal int, param or (stored programs) column */
    struct ast_expr *offset; /* or NULL */
};

enum ast_lock_strength { AST_LOCK_UPDATE, AST_LOCK_SHARE };
enum ast_lock_wait { AST_LOCK_WAIT, AST_LOCK_NOWAIT, AST_LOCK_SKIP_LOCKED };
struct ast_locking {
    enum ast_lock_strength strength;
    enum ast_lock_wait wait;
    bool old_syntax;             /* LOCK IN SHARE MODE */
    struct ast_name_list tables; /* OF a, b: aliases or names */
    struct ast_pos pos;
};
AST_LIST_OF(ast_locking_list, struct ast_locking *);

struct ast_cte {
    struct slice name;
    struct ast_ident_list columns;
    struct ast_query *query;
    struct ast_pos pos;
};
AST_LIST_OF(ast_cte_list, struct ast_cte *);

struct ast_with {
    bool recursive;
    struct ast_cte_list ctes;
};

struct ast_query {
    struct ast_pos pos;
    uint16_t depth;        /* as in struct ast_expr, over everything within */
    struct ast_with *with; /* or NULL */
    struct ast_body *body;
    struct ast_order_list order_by;
    struct ast_limit *limit; /* or NULL */
    struct ast_locking_list locking;
    struct ast_into *into; /* INTO at the end, or NULL */
};

struct ast_select_stmt {
    struct ast_stmt stmt;
    struct ast_query *query;
};

#endif
