/* Text to tokens. The lexer neither allocates nor fails: what cannot be a token is LEX_BAD, which
 * no rule accepts.
 *
 * Token kinds are those of the grammar (the generated sql_grammar.h): 0 is the end, single
 * characters stand for themselves. A token's text is raw: without quotes and prefixes, but with
 * escapes (lex_unescape removes them). */
#ifndef SKEIN_SQL_PARSER_LEXER_H
#define SKEIN_SQL_PARSER_LEXER_H

#include "base/arena.h"
#include "base/slice.h"

enum lex_token_flags {
    LEX_ESCAPED = 1, /* text holds escapes or doubled quotes */
    LEX_QUOTED = 2,
    LEX_NON_ASCII = 4,
    LEX_DOUBLE_QUOTE = 8, /* the quote is " */
    LEX_BACKQUOTE = 16,
    LEX_RESERVED = 32, /* a reserved word: never a name */
};

struct lex_token {
    int kind;
    uint32_t flags;
    uint32_t offset, end; /* bytes of the text, quotes and prefix included */
    struct slice text;
};

struct parse_charset;
struct diag_area;

struct lexer {
    const uint8_t *start, *pos, *end;
    const struct parse_charset *charset; /* NULL: UTF-8 */
    uint32_t mode;                       /* enum parse_mode */
    bool in_version_comment;
    int prev; /* kind of the token before */
    /* Warnings of what is deprecated: where they go (NULL: nowhere), and whether there were any. */
    struct diag_area *warnings;
    bool warned;
};

/* MYSQL: blanks and ';' at the end are no part of what is parsed, so "near" never shows them. */
struct slice lexer_trim(struct slice text);
/* Text that begins with a version comment's opening mark: the mark's bytes when what follows
 * counts, 0 when it is a comment. */
size_t lexer_version_comment(struct slice text);
void lexer_init(struct lexer *lx, struct slice text, uint32_t mode);
void lexer_next(struct lexer *lx, struct lex_token *ret_token);

/* The content of a quoted token: its text itself when nothing is escaped, else a copy in the arena.
 * NO_BACKSLASH_ESCAPES comes from mode. charset as in struct lexer. ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err lex_unescape(struct arena *arena, const struct lex_token *token, uint32_t mode,
                             const struct parse_charset *charset, struct slice *ret_text);

/* Is word (any case) reserved, so that printing it as an identifier needs quotes? */
bool lex_is_reserved(struct slice word);

/* 1 for the first line. */
uint32_t lex_line_of(struct slice text, uint32_t offset);

#endif
