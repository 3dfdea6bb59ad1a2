#include "sql/parser/lexer_word.h"

#include "sql/parser/lexer.h"
#include "sql/parser/parser.h"
#include "sql_grammar.h"

#include "keyword_hash.inc"

static inline uint8_t upper(uint8_t c)
{
    return c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
}

const struct word_entry *lex_word_find(struct slice text)
{
    if (text.len > WORD_LEN_MAX || text.len == 0) {
        return NULL;
    }
    uint8_t buf[WORD_LEN_MAX];
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < text.len; i++) {
        buf[i] = upper(text.ptr[i]);
        h = (h ^ buf[i]) * 16777619u;
    }
    uint32_t disp = word_disp[h & (WORD_BUCKETS - 1)];
    uint32_t slot = (((h >> 9) ^ (disp * 0x9E3779B1u)) * 0x85EBCA6Bu) >> 22;
    const struct word_entry *e = &word_slots[slot];
    if (e->len != text.len || memcmp(e->word, buf, text.len) != 0) {
        return NULL;
    }
    return e;
}

bool lex_is_charset(struct slice text)
{
    static const struct slice names[] = {
#define CHARSET_WORD(name) {(const uint8_t *)#name, sizeof(#name) - 1},
#include "sql/parser/charset_words.def"
#undef CHARSET_WORD
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_eq_nocase(names[i], text)) {
            return true;
        }
    }
    return false;
}

bool lex_is_reserved(struct slice word)
{
    const struct word_entry *e = lex_word_find(word);
    return e != NULL && e->class == WORD_RESERVED;
}

bool parser_is_keyword(struct slice word)
{
    const struct word_entry *e = lex_word_find(word);
    return e != NULL && e->class != WORD_FUNCTION;
}
