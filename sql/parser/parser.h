/* The parser's face: text in, one statement's tree out.
 *
 * Nothing here parks the fiber, takes a lock or keeps state between calls; all memory comes from
 * the arena given. */
#ifndef SKEIN_SQL_PARSER_PARSER_H
#define SKEIN_SQL_PARSER_PARSER_H

#include "base/arena.h"
#include "base/diag.h"
#include "sql/diag/diag_area.h"
#include "sql/parser/ast.h"

/* The bits of sql_mode that change how text is read. */
enum parse_mode {
    PARSE_MODE_ANSI_QUOTES = 1,
    PARSE_MODE_PIPES_AS_CONCAT = 2,
    PARSE_MODE_NO_BACKSLASH_ESCAPES = 4,
    PARSE_MODE_IGNORE_SPACE = 8,
    PARSE_MODE_HIGH_NOT_PRECEDENCE = 16,
};

enum parse_flags {
    PARSE_LIFT_LITERALS =
        1, /* literals that digest_compute() lifts become AST_EXPR_PARAM with `literal` set */
    PARSE_PREPARE = 2,      /* `?` is allowed, and a second statement after ';' is an error */
    PARSE_MULTI = 4,        /* text after ';' is left for the next call (CLIENT_MULTI_STATEMENTS) */
    PARSE_NO_FULL_JOIN = 8, /* refuse what only we have, as MySQL would */
};

/* The client's charset when it is not UTF-8. Names, comments and other texts that are no values
 * become UTF-8; literals stay as they were written. */
struct parse_charset {
    const void *arg;
    /* Bytes of the character at p, at least 1; p is not ASCII. */
    size_t (*char_size)(const void *arg, const uint8_t *p, const uint8_t *end);
    /* Borrows the text when nothing changes. ERR_NOMEM, ERR_LIMIT. */
    db_err (*to_utf8)(const void *arg, struct arena *arena, struct slice text,
                      struct slice *ret_text);
};

/* Where the warnings of what a text uses that is deprecated go, in the order of the text. Nobody
 * listens: what has been parsed before, and told of then, is parsed without. */
struct parse_warnings {
    struct diag_area *area;
    /* A character set or a collation is named; the parser knows none of them. */
    void (*charset)(struct diag_area *area, struct slice name);
    void (*collation)(struct diag_area *area, struct slice name);
    /* A system variable is read; may be NULL. */
    void (*variable)(struct diag_area *area, enum ast_scope scope, struct slice name);
};

struct parse_options {
    uint32_t mode;                         /* enum parse_mode */
    uint32_t flags;                        /* enum parse_flags */
    const struct parse_charset *charset;   /* NULL: UTF-8 */
    const struct parse_warnings *warnings; /* NULL: nobody listens */
};

/* Parses the first statement of text. *ret_consumed is the offset of what follows it: past
 * the ';', or text.len. Positions count from the start of text. Text longer than 4 GiB is refused.
 * AST_STMT_EMPTY for text without a statement.
 * Errors: ERR_SQL with 1064 (syntax, `position` set; also in multi text without PARSE_MULTI), 1436
 * (nested too deep) and the numbers of what only the parser sees (1149, 1465, ...), ERR_NOMEM,
 * ERR_LIMIT (the arena's limit). */
MUST_USE db_err parser_parse(struct arena *arena, struct slice text,
                             const struct parse_options *opts, struct diag *diag,
                             struct ast_stmt **ret_stmt, size_t *ret_consumed);

/* Parses one expression (a stored DEFAULT, CHECK or generated column, a functional key part). */
MUST_USE db_err parser_parse_expr(struct arena *arena, struct slice text,
                                  const struct parse_options *opts, struct diag *diag,
                                  struct ast_expr **ret_expr);

/* Is it a word of the grammar, reserved or not, as INFORMATION_SCHEMA.KEYWORDS lists them? */
bool parser_is_keyword(struct slice word);

#endif
