/* A statement in normal form, as MySQL 9.7 makes it: values become `?`, lists of them `...`, names
 * are quoted, comments and blanks are gone (STATEMENT_DIGEST_TEXT, performance_schema). Unlike
 * digest.h's key it says nothing about plans.
 *
 * The form is made in two steps: the statement's tokens, which are hashed, and their text. */
#ifndef SKEIN_SQL_PARSER_STATEMENT_DIGEST_H
#define SKEIN_SQL_PARSER_STATEMENT_DIGEST_H

#include "base/buf.h"
#include "sql/parser/parser.h"

/* Appends the tokens of the one statement that text holds, in MySQL's encoding (two bytes each,
 * names with their bytes), as many as fit into size_max bytes. The lexer reads no further than they
 * go. Text that the parser would refuse gives tokens, too: of what the lexer can read. ERR_NOMEM,
 * ERR_LIMIT: the buffer. */
MUST_USE db_err statement_digest_tokens(struct slice text, const struct parse_options *opts,
                                        size_t size_max, struct buf *tokens);
/* Appends the tokens' text; in the character set of the statement. */
MUST_USE db_err statement_digest_text(struct slice tokens, struct buf *text);

#endif
