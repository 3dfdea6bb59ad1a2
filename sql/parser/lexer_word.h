/* The table of words, private to the folder. */
#ifndef SKEIN_SQL_PARSER_LEXER_WORD_H
#define SKEIN_SQL_PARSER_LEXER_WORD_H

#include "base/slice.h"

enum word_class {
    WORD_RESERVED,
    WORD_PLAIN,
    WORD_LABEL_ROLE,
    WORD_LABEL,
    WORD_ROLE,
    WORD_VAR,
    WORD_FUNCTION,
};

struct word_entry {
    const char *word; /* upper case; NULL: an empty slot */
    uint16_t len;
    uint16_t class; /* enum word_class */
    int token;
};

/* NULL when text is no word. */
const struct word_entry *lex_word_find(struct slice text);
/* Is text the name of a character set that may introduce a literal (without its '_')? */
bool lex_is_charset(struct slice text);

#endif
