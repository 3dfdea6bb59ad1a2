/* The lexer works on bytes: all that SQL's own syntax is made of is ASCII, and bytes above 127 only
 * occur in names, strings and comments, where they are taken as they are.
 *
 * What depends on context is decided here with one token of memory (`prev`) and one character of
 * look-ahead:
 *   - a word in "word.name" and the word after that '.' are names, whatever they spell; the latter
 * may begin with a digit;
 *   - a word of FUNCTION_WORD is one only before '(';
 *   - an optimizer hint is a token after SELECT, INSERT, REPLACE, UPDATE and DELETE, else a
 * comment;
 *   - @name is one token, so that user@host needs no mode;
 *   - version comments are entered or skipped, so the grammar never sees them.
 * MYSQL: literals, identifiers, comments: reference manual, "Language Structure". */
#include "sql/parser/lexer.h"

#include "sql/diag/diag_area.h"
#include "sql/parser/lexer_word.h"
#include "sql/parser/parser.h"
#include "sql_grammar.h"

enum { MYSQL_VERSION_NUMBER = 90704 };

enum {
    C_IDENT = 1, /* may be within a name */
    C_DIGIT = 2,
    C_SPACE = 4,
    C_HEX = 8,
    C_ALPHA = 16,
};

static const uint8_t char_class[256] = {
    ['\t'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\v'] = C_SPACE,
    ['\f'] = C_SPACE,
    ['\r'] = C_SPACE,
    [' '] = C_SPACE,
    ['$'] = C_IDENT,
    ['_'] = C_IDENT,
    ['0' ... '9'] = C_IDENT | C_DIGIT | C_HEX,
    ['a' ... 'f'] = C_IDENT | C_HEX | C_ALPHA,
    ['g' ... 'z'] = C_IDENT | C_ALPHA,
    ['A' ... 'F'] = C_IDENT | C_HEX | C_ALPHA,
    ['G' ... 'Z'] = C_IDENT | C_ALPHA,
    [0x80 ... 0xff] = C_IDENT,
};

static inline bool is_class(uint8_t c, uint8_t cls)
{
    return (char_class[c] & cls) != 0;
}

/* The character n bytes ahead, 0 past the end (a real NUL is no character of any token either). */
static inline uint8_t peek(const struct lexer *lx, size_t n)
{
    return n < (size_t)(lx->end - lx->pos) ? lx->pos[n] : 0;
}

/* MYSQL: a zero byte ends the text when nothing but space and more of them come after it: some
 * clients send the one that ends their string along. */
static struct slice without_zeros(struct slice text)
{
    size_t n = text.len;
    while (n > 0 && (text.ptr[n - 1] == 0 || is_class(text.ptr[n - 1], C_SPACE))) {
        n--;
    }
    const void *zero = n < text.len ? memchr(text.ptr + n, 0, text.len - n) : NULL;
    return zero == NULL ? text : slice_of(text.ptr, n);
}

struct slice lexer_trim(struct slice text)
{
    while (text.len > 0 &&
           (text.ptr[text.len - 1] == ';' || is_class(text.ptr[text.len - 1], C_SPACE))) {
        text.len--;
    }
    return text;
}

void lexer_init(struct lexer *lx, struct slice text, uint32_t mode)
{
    text = without_zeros(text);
    *lx = (struct lexer){
        .start = text.ptr, .pos = text.ptr, .end = text.ptr + text.len, .mode = mode, .prev = 0};
}

static void skip_line(struct lexer *lx)
{
    const uint8_t *nl =
        lx->pos < lx->end ? memchr(lx->pos, '\n', (size_t)(lx->end - lx->pos)) : NULL;
    lx->pos = nl != NULL ? nl + 1 : lx->end;
}

static void warn_nested(struct lexer *lx)
{
    lx->warned = true;
    diag_area_warn_as(lx->warnings, ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT,
                      ER_WARN_DEPRECATED_NESTED_COMMENT_SYNTAX);
}

/* pos is past the opening mark. False when the comment does not end. A skipped version comment may
 * hold comments. */
static bool skip_block(struct lexer *lx, bool nested)
{
    while (lx->pos < lx->end) {
        if (lx->pos[0] == '*' && peek(lx, 1) == '/') {
            lx->pos += 2;
            return true;
        }
        if (nested && lx->pos[0] == '/' && peek(lx, 1) == '*') {
            lx->pos += 2;
            if (!skip_block(lx, false)) {
                return false;
            }
            warn_nested(lx);
            continue;
        }
        lx->pos++;
    }
    return false;
}

static bool takes_hint(int kind)
{
    return kind == KW_SELECT || kind == KW_INSERT || kind == KW_REPLACE || kind == KW_UPDATE ||
           kind == KW_DELETE;
}

enum skip_result { SKIP_TOKEN, SKIP_HINT, SKIP_BAD };

/* MYSQL: a version has five digits, or six with a blank behind them. */
size_t lexer_version_comment(struct slice text)
{
    enum { MARK = 3, SHORT_DIGITS = 5, LONG_DIGITS = 6 };
    size_t digits = 0;
    uint32_t version = 0;
    uint32_t short_version = 0;
    while (digits < LONG_DIGITS && MARK + digits < text.len &&
           is_class(text.ptr[MARK + digits], C_DIGIT)) {
        version = version * 10 + (text.ptr[MARK + digits] - (uint32_t)'0');
        digits++;
        short_version = digits == SHORT_DIGITS ? version : short_version;
    }
    if (digits < SHORT_DIGITS) {
        return MARK;
    }
    bool blank = MARK + digits < text.len && is_class(text.ptr[MARK + digits], C_SPACE);
    if (digits == LONG_DIGITS && !blank) {
        digits = SHORT_DIGITS;
        version = short_version;
    }
    return version <= MYSQL_VERSION_NUMBER ? MARK + digits : 0;
}

/* At a version comment, whether it counts or not: a blank is to stand behind the version. */
static void warn_no_blank(struct lexer *lx)
{
    enum { MARK = 3, SHORT_DIGITS = 5, LONG_DIGITS = 6 };
    unsigned digits = 0;
    while (digits < LONG_DIGITS && is_class(peek(lx, MARK + digits), C_DIGIT)) {
        digits++;
    }
    if (digits >= SHORT_DIGITS && !is_class(peek(lx, MARK + digits), C_SPACE)) {
        lx->warned = true;
        diag_area_warn(lx->warnings, ER_WARN_NO_SPACE_VERSION_COMMENT);
    }
}

/* At a slash and a star: passes the comment, or its opening mark when the text within counts. */
static enum skip_result skip_comment(struct lexer *lx)
{
    if (peek(lx, 2) == '!') {
        const uint8_t *open = lx->pos;
        warn_no_blank(lx);
        size_t mark = lexer_version_comment(slice_of(open, (size_t)(lx->end - open)));
        if (mark != 0) {
            lx->pos += mark;
            lx->in_version_comment = true;
            return SKIP_TOKEN;
        }
        lx->pos += 3;
        if (skip_block(lx, true)) {
            return SKIP_TOKEN;
        }
        lx->pos = open;
        return SKIP_BAD;
    }
    if (peek(lx, 2) == '+' && takes_hint(lx->prev)) {
        return SKIP_HINT;
    }
    const uint8_t *open = lx->pos;
    lx->pos += 2;
    if (skip_block(lx, false)) {
        if (lx->in_version_comment) {
            warn_nested(lx);
        }
        return SKIP_TOKEN;
    }
    lx->pos = open;
    return SKIP_BAD;
}

/* Passes blanks and comments. */
static enum skip_result skip_blanks(struct lexer *lx)
{
    for (;;) {
        while (lx->pos < lx->end && is_class(*lx->pos, C_SPACE)) {
            lx->pos++;
        }
        if (lx->pos == lx->end) {
            return SKIP_TOKEN;
        }
        uint8_t c = *lx->pos;
        if (c == '#') {
            skip_line(lx);
        } else if (c == '-' && peek(lx, 1) == '-' &&
                   (lx->end - lx->pos == 2 || peek(lx, 2) <= ' ' || peek(lx, 2) == 0x7f)) {
            skip_line(lx);
        } else if (c == '/' && peek(lx, 1) == '*') {
            enum skip_result r = skip_comment(lx);
            if (r != SKIP_TOKEN) {
                return r;
            }
        } else if (c == '*' && peek(lx, 1) == '/' && lx->in_version_comment) {
            lx->in_version_comment = false;
            lx->pos += 2;
        } else {
            return SKIP_TOKEN;
        }
    }
}

static void bad(struct lexer *lx, struct lex_token *t)
{
    t->kind = LEX_BAD;
    lx->pos = lx->end;
}

/* A byte of a character of several may look like a quote or a backslash: how many bytes follow the
 * first one, at p. UTF-8 has no such bytes. */
static inline size_t trail_bytes(const struct parse_charset *cs, const uint8_t *p,
                                 const uint8_t *end)
{
    return LIKELY(cs == NULL) ? 0 : cs->char_size(cs->arg, p, end) - 1;
}

/* A quoted token; pos is at the opening quote. */
static void lex_quoted(struct lexer *lx, int kind, struct lex_token *t)
{
    uint8_t quote = *lx->pos++;
    const uint8_t *begin = lx->pos;
    bool backslash =
        quote != '`' && (lx->mode & PARSE_MODE_NO_BACKSLASH_ESCAPES) == 0 && kind != IDENT_QUOTED;
    uint32_t flags =
        LEX_QUOTED | (quote == '"' ? LEX_DOUBLE_QUOTE : 0u) | (quote == '`' ? LEX_BACKQUOTE : 0u);
    for (const uint8_t *p = begin; p < lx->end; p++) {
        uint8_t c = *p;
        if (c == quote) {
            if (p + 1 < lx->end && p[1] == quote) {
                flags |= LEX_ESCAPED;
                p++;
                continue;
            }
            t->kind = kind;
            t->flags = flags;
            t->text = slice_of(begin, (size_t)(p - begin));
            lx->pos = p + 1;
            return;
        }
        if (c == '\\' && backslash) {
            flags |= LEX_ESCAPED;
            p++;
        } else if (c >= 0x80) {
            flags |= LEX_NON_ASCII;
            p += trail_bytes(lx->charset, p, lx->end);
        }
    }
    bad(lx, t);
}

/* x'..' and b'..': pos is at the prefix. False when it is not one. */
static bool lex_quoted_digits(struct lexer *lx, struct lex_token *t)
{
    bool hex = (*lx->pos | 32) == 'x';
    const uint8_t *begin = lx->pos + 2;
    const uint8_t *p = begin;
    while (p < lx->end && (hex ? is_class(*p, C_HEX) : *p == '0' || *p == '1')) {
        p++;
    }
    if (p == lx->end || *p != '\'' || (hex && (p - begin) % 2 != 0)) {
        bad(lx, t);
        return true;
    }
    t->kind = hex ? HEX_NUM : BIN_NUM;
    t->text = slice_of(begin, (size_t)(p - begin));
    lx->pos = p + 1;
    return true;
}

/* Past the blanks after a word: is '(' next? */
static bool paren_follows(const struct lexer *lx)
{
    const uint8_t *p = lx->pos;
    if ((lx->mode & PARSE_MODE_IGNORE_SPACE) != 0) {
        while (p < lx->end && is_class(*p, C_SPACE)) {
            p++;
        }
    }
    return p < lx->end && *p == '(';
}

/* A name or a word; pos is at its first byte, which may be a digit. */
static void lex_word(struct lexer *lx, struct lex_token *t)
{
    const uint8_t *begin = lx->pos;
    while (lx->pos < lx->end && is_class(*lx->pos, C_IDENT)) {
        lx->pos += *lx->pos < 0x80 ? 1 : 1 + trail_bytes(lx->charset, lx->pos, lx->end);
    }
    t->text = slice_of(begin, (size_t)(lx->pos - begin));
    t->kind = IDENT;
    if (*begin == '$') {
        lx->warned = true;
        diag_area_warn(lx->warnings, ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT,
                       "$ as the first character of an unquoted identifier");
    }
    bool qualifies = peek(lx, 0) == '.' && is_class(peek(lx, 1), C_IDENT);
    if (lx->prev == DOT_IDENT || (qualifies && lx->prev != AT_AT)) {
        return;
    }
    const struct word_entry *e = lex_word_find(t->text);
    if (e != NULL) {
        if (e->class == WORD_FUNCTION && !paren_follows(lx)) {
            return;
        }
        t->kind = e->token;
        t->flags = e->class == WORD_RESERVED ? LEX_RESERVED : 0u;
    } else if (*begin == '_' && t->text.len > 1 && lx->prev != AT_AT &&
               lex_is_charset(slice_from(t->text, 1))) {
        t->kind = CHARSET_INTRO;
        t->text = slice_from(t->text, 1);
    }
}

/* Digits, or '.' and a digit. Names may begin with digits. */
static void lex_number(struct lexer *lx, struct lex_token *t)
{
    const uint8_t *begin = lx->pos;
    const uint8_t *p = begin;
    if (*p == '0' && lx->end - p > 2 && (p[1] == 'x' || p[1] == 'b')) {
        bool hex = p[1] == 'x';
        const uint8_t *q = p + 2;
        while (q < lx->end && (hex ? is_class(*q, C_HEX) : *q == '0' || *q == '1')) {
            q++;
        }
        if (q > p + 2 && !(q < lx->end && is_class(*q, C_IDENT))) {
            t->kind = hex ? HEX_NUM : BIN_NUM;
            t->text = slice_of(p + 2, (size_t)(q - p - 2));
            lx->pos = q;
            return;
        }
    }
    t->kind = NUM;
    while (p < lx->end && is_class(*p, C_DIGIT)) {
        p++;
    }
    bool integer = true;
    if (p < lx->end && *p == '.') {
        integer = false;
        t->kind = DECIMAL_NUM;
        for (p++; p < lx->end && is_class(*p, C_DIGIT); p++) {
        }
    }
    if (p < lx->end && (*p == 'e' || *p == 'E')) {
        const uint8_t *q = p + 1;
        if (q < lx->end && (*q == '+' || *q == '-')) {
            q++;
        }
        if (q < lx->end && is_class(*q, C_DIGIT)) {
            while (q < lx->end && is_class(*q, C_DIGIT)) {
                q++;
            }
            t->kind = FLOAT_NUM;
            p = q;
            integer = false;
        }
    }
    if (integer && p < lx->end && is_class(*p, C_IDENT)) {
        lex_word(lx, t);
        return;
    }
    lx->pos = p;
    t->text = slice_of(begin, (size_t)(p - begin));
}

/* $$ text $$ and $tag$ text $tag$. False when the text is not so quoted. */
static bool lex_dollar(struct lexer *lx, struct lex_token *t)
{
    const uint8_t *p = lx->pos + 1;
    while (p < lx->end && *p != '$' && is_class(*p, C_IDENT)) {
        p++;
    }
    if (p == lx->end || *p != '$') {
        return false;
    }
    size_t tag = (size_t)(p + 1 - lx->pos);
    const uint8_t *body = p + 1;
    const uint8_t *close =
        body < lx->end ? memmem(body, (size_t)(lx->end - body), lx->pos, tag) : NULL;
    if (close == NULL) {
        bad(lx, t);
        return true;
    }
    t->kind = DOLLAR_STRING;
    t->text = slice_of(body, (size_t)(close - body));
    lx->pos = close + tag;
    return true;
}

/* '@': a user variable, the host of an account, or "@@". */
static void lex_at(struct lexer *lx, struct lex_token *t)
{
    uint8_t c = peek(lx, 1);
    if (c == '@') {
        t->kind = AT_AT;
        lx->pos += 2;
    } else if (c == '\'' || c == '"' || c == '`') {
        lx->pos++;
        lex_quoted(lx, USER_VAR, t);
    } else {
        const uint8_t *begin = ++lx->pos;
        while (lx->pos < lx->end && (is_class(*lx->pos, C_IDENT) || *lx->pos == '.')) {
            lx->pos++;
        }
        t->kind = USER_VAR;
        t->text = slice_of(begin, (size_t)(lx->pos - begin));
    }
}

/* '.': DOT_IDENT when a name follows at once, so that keywords lose their meaning. */
static void lex_dot(struct lexer *lx, struct lex_token *t)
{
    bool after_name = lx->prev == IDENT || lx->prev == IDENT_QUOTED;
    bool adjacent = lx->pos > lx->start && !is_class(lx->pos[-1], C_SPACE);
    if (is_class(peek(lx, 1), C_DIGIT) && !(after_name && adjacent)) {
        lex_number(lx, t);
        return;
    }
    t->kind = is_class(peek(lx, 1), C_IDENT) ? DOT_IDENT : '.';
    lx->pos++;
}

static int two(struct lexer *lx, int kind)
{
    lx->pos++;
    return kind;
}

static bool is_comparison_char(uint8_t c)
{
    return c == '<' || c == '>' || c == '=' || c == '!';
}

/* Comparisons are read greedily: two characters, from '<' on three. `==` and `=!` are no operators,
 * not two. */
static int lex_comparison(struct lexer *lx, uint8_t c, uint8_t n)
{
    if (!is_comparison_char(n)) {
        return c;
    }
    lx->pos++;
    uint8_t third = peek(lx, 0);
    if (c == '<' && is_comparison_char(third)) {
        return n == '=' && third == '>' ? two(lx, OP_NSEQ) : LEX_BAD;
    }
    switch (c) {
    case '<': return n == '=' ? OP_LE : n == '>' ? OP_NE : n == '<' ? OP_SHL : LEX_BAD;
    case '>': return n == '=' ? OP_GE : n == '>' ? OP_SHR : LEX_BAD;
    case '!': return n == '=' ? OP_NE : LEX_BAD;
    default: return LEX_BAD;
    }
}

static int lex_operator(struct lexer *lx)
{
    uint8_t c = *lx->pos++;
    uint8_t n = peek(lx, 0);
    switch (c) {
    case '<':
    case '>':
    case '!':
    case '=': return lex_comparison(lx, c, n);
    case '&': return n == '&' ? two(lx, OP_ANDAND) : '&';
    case '|':
        if (n != '|') {
            return '|';
        }
        return two(lx, (lx->mode & PARSE_MODE_PIPES_AS_CONCAT) != 0 ? OP_CONCAT : OP_OROR);
    case ':': return n == '=' ? two(lx, OP_ASSIGN) : ':';
    case '-':
        if (n == '>') {
            return peek(lx, 1) == '>' ? (lx->pos += 2, OP_ARROW2) : two(lx, OP_ARROW);
        }
        return '-';
    case '+':
    case '*':
    case '/':
    case '%':
    case '^':
    case '~':
    case '(':
    case ')':
    case ',':
    case ';':
    case '{':
    case '}':
    case '?': return c;
    default: return LEX_BAD;
    }
}

static void lex_hint(struct lexer *lx, struct lex_token *t)
{
    const uint8_t *begin = lx->pos + 3;
    lx->pos += 3;
    if (!skip_block(lx, false)) {
        bad(lx, t);
        return;
    }
    t->kind = HINT;
    t->text = slice_of(begin, (size_t)(lx->pos - begin - 2));
}

static void lex_one(struct lexer *lx, struct lex_token *t)
{
    uint8_t c = *lx->pos;
    uint8_t n = peek(lx, 1);
    if (is_class(c, C_DIGIT)) {
        if (lx->prev == DOT_IDENT) {
            lex_word(lx, t);
        } else {
            lex_number(lx, t);
        }
    } else if (c == '\'') {
        lex_quoted(lx, TEXT_STRING, t);
    } else if (n == '\'' && lx->prev != DOT_IDENT && ((c | 32) == 'x' || (c | 32) == 'b')) {
        lex_quoted_digits(lx, t);
    } else if (n == '\'' && lx->prev != DOT_IDENT && (c | 32) == 'n') {
        lx->pos++;
        lex_quoted(lx, NCHAR_STRING, t);
    } else if (c == '$' && lx->prev != DOT_IDENT && lex_dollar(lx, t)) {
        return;
    } else if (is_class(c, C_IDENT)) {
        lex_word(lx, t);
    } else if (c == '`') {
        lex_quoted(lx, IDENT_QUOTED, t);
    } else if (c == '"') {
        lex_quoted(lx, (lx->mode & PARSE_MODE_ANSI_QUOTES) != 0 ? IDENT_QUOTED : TEXT_STRING, t);
    } else if (c == '@') {
        lex_at(lx, t);
    } else if (c == '.') {
        lex_dot(lx, t);
    } else {
        t->kind = lex_operator(lx);
    }
}

/* After '@@': a name, which may begin with a digit. */
static void lex_system_variable(struct lexer *lx, struct lex_token *t)
{
    if (*lx->pos == '`') {
        lex_quoted(lx, IDENT_QUOTED, t);
    } else if (is_class(*lx->pos, C_IDENT)) {
        lex_word(lx, t);
    } else {
        bad(lx, t);
    }
}

void lexer_next(struct lexer *lx, struct lex_token *t)
{
    t->flags = 0;
    /* A name follows '@@' and a '.' before a name at once. */
    bool at_once = lx->prev == DOT_IDENT || lx->prev == AT_AT;
    enum skip_result r = at_once ? SKIP_TOKEN : skip_blanks(lx);
    t->offset = (uint32_t)(lx->pos - lx->start);
    t->text = SLICE_EMPTY;
    if (r == SKIP_BAD) {
        bad(lx, t);
    } else if (r == SKIP_HINT) {
        lex_hint(lx, t);
    } else if (lx->pos == lx->end) {
        t->kind = lx->in_version_comment ? LEX_BAD : 0;
    } else if (lx->prev == AT_AT) {
        lex_system_variable(lx, t);
    } else {
        lex_one(lx, t);
    }
    t->end = (uint32_t)(lx->pos - lx->start);
    lx->prev = t->kind;
}

/* What a backslash before c stands for. */
static uint8_t escape_value(uint8_t c)
{
    switch (c) {
    case '0': return 0;
    case 'b': return '\b';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'Z': return 26;
    default: return c;
    }
}

db_err lex_unescape(struct arena *arena, const struct lex_token *token, uint32_t mode,
                    const struct parse_charset *charset, struct slice *ret_text)
{
    if ((token->flags & LEX_ESCAPED) == 0) {
        *ret_text = token->text;
        return ERR_OK;
    }
    bool backslash = (token->flags & LEX_BACKQUOTE) == 0 && token->kind != IDENT_QUOTED &&
                     (mode & PARSE_MODE_NO_BACKSLASH_ESCAPES) == 0;
    uint8_t quote = (token->flags & LEX_BACKQUOTE) != 0      ? '`'
                    : (token->flags & LEX_DOUBLE_QUOTE) != 0 ? '"'
                                                             : '\'';
    uint8_t *out = arena_alloc(arena, token->text.len);
    if (out == NULL) {
        return arena_refusal(arena);
    }
    size_t n = 0;
    const uint8_t *end = token->text.ptr + token->text.len;
    for (const uint8_t *p = token->text.ptr; p < end; p++) {
        if (*p == '\\' && backslash && p + 1 < end) {
            p++;
            if (*p == '%' || *p == '_') { /* kept for LIKE */
                out[n++] = '\\';
            }
            out[n++] = escape_value(*p);
        } else if (*p >= 0x80 && charset != NULL) {
            size_t size = 1 + trail_bytes(charset, p, end);
            memcpy(out + n, p, size);
            n += size;
            p += size - 1;
        } else {
            out[n++] = *p;
            if (*p == quote) {
                p++;
            }
        }
    }
    *ret_text = slice_of(out, n);
    return ERR_OK;
}

uint32_t lex_line_of(struct slice text, uint32_t offset)
{
    uint32_t line = 1;
    for (uint32_t i = 0; i < offset && i < text.len; i++) {
        line += text.ptr[i] == '\n';
    }
    return line;
}
