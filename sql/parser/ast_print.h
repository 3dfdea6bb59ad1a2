/* Trees back to SQL: for EXPLAIN's warnings, the definitions of views, and the parser's own tests.
 *
 * The text is canonical: names in backquotes, every operation in parentheses, keywords in upper
 * case. Parsed again (with mode 0) it gives the same tree but for positions. */
#ifndef SKEIN_SQL_PARSER_AST_PRINT_H
#define SKEIN_SQL_PARSER_AST_PRINT_H

#include "base/buf.h"
#include "sql/parser/ast_ddl.h"
#include "sql/parser/ast_dml.h"

/* Each appends to buf. ERR_LIMIT, ERR_NOMEM: the buffer's; its content is then cut off somewhere.
 */
MUST_USE db_err ast_print_expr(struct buf *buf, const struct ast_expr *expr);
MUST_USE db_err ast_print_query(struct buf *buf, const struct ast_query *query);
MUST_USE db_err ast_print_type(struct buf *buf, const struct ast_type *type);
/* A view's query as it is kept: keywords in small letters, no blanks behind commas. It reads back
 * in mode 0, with texts in UTF-8: client is the charset they are in now (NULL: UTF-8); hints
 * (empty: none) stand in front of its first SELECT; arena: scratch. */
struct arena;
struct parse_charset;
MUST_USE db_err ast_print_view(struct buf *buf, const struct ast_query *query, struct slice hints,
                               const struct parse_charset *client, struct arena *arena);
/* How SHOW writes names: sql_mode and sql_quote_show_create say so. */
struct ast_name_style {
    bool double_quotes; /* ANSI_QUOTES */
    bool bare;          /* no quotes where a name needs none */
};
MUST_USE db_err ast_print_name(struct buf *buf, struct slice name,
                               const struct ast_name_style *style);
/* What is kept in the form in which MySQL shows it (ast_print_shown.c, ast_print_condition.c).
 * Names of the schema `hide` (ptr NULL: none) go without it. With names in backquotes (style NULL)
 * it reads back in mode 0 as a query that means the same. hints: as of ast_print_view. */
MUST_USE db_err ast_print_shown(struct buf *buf, const struct ast_query *query, struct slice hints,
                                struct slice hide, const struct ast_name_style *style);
/* The text of the hints that stand in front of a view's first SELECT, without its marks, in the
 * tree; empty: there are none. */
struct slice ast_hints_in_front(const struct ast_query *query);
/* The name that MySQL shows of a function that has several; other names are given back. */
struct slice ast_function_shown(struct slice name);
/* SELECT, INSERT, REPLACE, UPDATE or DELETE as a view is kept, with the number of each SELECT in a
 * comment, and `hints` (empty: none) behind its first word: the note of EXPLAIN. */
MUST_USE db_err ast_print_explained(struct buf *buf, const struct ast_stmt *stmt,
                                    struct slice hints, const struct ast_name_style *style);
/* SELECT, INSERT, REPLACE, UPDATE, DELETE, DO, CALL; ERR_UNSUPPORTED for another statement. */
MUST_USE db_err ast_print_stmt(struct buf *buf, const struct ast_stmt *stmt);
/* As ast_print_stmt, with $index@offset for each lifted literal: what a cached plan is made of. */
MUST_USE db_err ast_print_lifted(struct buf *buf, const struct ast_stmt *stmt);

#endif
