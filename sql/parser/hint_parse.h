/* Reads the text of an optimizer hint comment. */
#ifndef SKEIN_SQL_PARSER_HINT_PARSE_H
#define SKEIN_SQL_PARSER_HINT_PARSE_H

#include "sql/parser/ast_hint.h"
#include "sql/parser/parser_int.h"

/* text: what stands between the marks, a part of ctx->text. Never NULL. What cannot be read is
 * warned of (1064) where warnings of what is deprecated go, and ends the list. */
struct ast_hints *parse__hints(struct parse_ctx *ctx, struct slice text);

#endif
