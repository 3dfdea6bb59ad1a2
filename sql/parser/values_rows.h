/* INSERT of many rows of literals, split without parsing.
 *
 * A statement INSERT [INTO] table [(columns)] VALUES (literal, ...), ... has as many literals as it
 * likes but the shape of its first row. So one row of it, parsed, gives the plan of all, and the
 * other rows are nothing but values. One pass of the lexer tells whether a statement is such a one
 * and finds the literals. */
#ifndef SKEIN_SQL_PARSER_VALUES_ROWS_H
#define SKEIN_SQL_PARSER_VALUES_ROWS_H

#include "sql/parser/digest.h"

struct row_literal {
    int kind;        /* of the token: NUM, DECIMAL_NUM, FLOAT_NUM, TEXT_STRING; 0: NULL */
    bool negative;   /* a '-' stands before the number */
    uint8_t flags;   /* of the token */
    uint32_t offset; /* of the token's text, without quotes */
    uint32_t len;
};

struct values_rows {
    struct slice one; /* the statement with one of its rows: the text itself or in the arena */
    uint32_t row_count, column_count;
    struct row_literal *literals; /* row-major, in the arena */
    size_t consumed;              /* as digest_compute's */
};

/* *ret_is false: the statement is none of those (or of one row, or of rows that cannot be split
 * so): parse it. Literals are plain numbers, with '-' or without, strings without prefix, and NULL;
 * one row at least has neither '-' nor NULL. ERR_NOMEM, ERR_LIMIT: the arena. */
MUST_USE db_err values_rows_split(struct arena *arena, struct slice text,
                                  const struct parse_options *opts, bool *ret_is,
                                  struct values_rows *ret_rows);

/* Digits and nothing else. */
bool row_literal_is_integer(const struct row_literal *literal);
/* As digest_literal_value, for a literal that is not NULL; the '-' is not part of it. */
MUST_USE db_err row_literal_value(struct arena *arena, struct slice text,
                                  const struct row_literal *literal, uint32_t mode,
                                  struct ast_literal *ret_literal);

#endif
