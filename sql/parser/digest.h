/* The key of a statement in the plan cache, without parsing it.
 *
 * One pass of the lexer gives a 128-bit digest of the statement with its liftable literals (lift.h)
 * taken out, and those literals in order. parser_parse() with PARSE_LIFT_LITERALS makes the same
 * literals AST_EXPR_PARAM nodes with the same numbers; so a plan made from that tree runs for every
 * text of the same digest, with its literals.
 *
 * Equal digests mean: equal trees but for the values of lifted literals, and equal names of result
 * columns. What is not in the text (sql_mode, character sets, the current schema, schema versions)
 * the caller adds to the key. A statement of another kind has a digest of its exact text and no
 * literals. */
#ifndef SKEIN_SQL_PARSER_DIGEST_H
#define SKEIN_SQL_PARSER_DIGEST_H

#include "sql/parser/ast_expr.h"
#include "sql/parser/lexer.h"
#include "sql/parser/parser.h"

/* A lifted literal, not yet converted: most runs of a cached plan convert it straight to the
 * column's type. */
struct digest_literal {
    enum ast_literal_kind kind; /* INT, DECIMAL, FLOAT or STRING */
    struct lex_token token;     /* slices point into the text */
};

struct digest {
    uint64_t high, low;
    bool lifts;      /* the statement is of a kind whose literals are lifted */
    bool has_params; /* it holds `?` (known when lifts is set) */
    uint32_t literal_count;
    struct digest_literal *literals; /* in the arena */
    size_t
        consumed; /* as parser_parse's: where the next statement begins; 0 when lifts is not set */
};

/* ERR_INVALID when the text has no digest, because the lexer cannot read it, or warns of it: parse
 * it for the message. ERR_NOMEM, ERR_LIMIT: the arena. */
MUST_USE db_err digest_compute(struct arena *arena, struct slice text,
                               const struct parse_options *opts, struct digest *ret_digest);

/* Of a number's or a string's token. */
enum ast_literal_kind digest_literal_kind(const struct lex_token *token);
/* Where the next statement begins, with pos behind a ';': the end if nothing but blanks follows. */
size_t digest_after_semicolon(struct slice text, size_t pos);

/* The literal as the parser would build it (its position included). ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err digest_literal_value(struct arena *arena, const struct digest_literal *literal,
                                     uint32_t mode, struct ast_literal *ret_literal);

#endif
