/* Tokens are appended one by one; what stands for several is put in their place as soon as the last
 * of them is there:
 *
 *     value  ->  ?        value , value  ->  ?, ...
 *     ( ? )  ->  (?)      (?) , (?)      ->  (?) and a comment that there are more
 *     ( ?, ... )  ->  (...)              IN with one of these  ->  IN (...)
 *
 * so that nothing but the end of the array is looked at. A sign belongs to the number behind it
 * where no operand precedes. NULL is a value where an operand may stand; in a column's definition,
 * after IS, and in the ON clauses of JSON functions it is a word. A number that is an item of ORDER
 * BY, GROUP BY or PARTITION BY names a column and stays. MySQL knows these places from its grammar;
 * here the tokens around them tell.
 *
 * Names are written behind their token with their length, and are never looked at again:
 * `names_end` is where the last one ends. */
#include "sql/parser/statement_digest.h"

#include "sql/parser/lexer.h"
#include "sql/parser/lexer_word.h"
#include "sql_grammar.h"

enum {
    T_VALUE = 1100,
    T_VALUES = 1101,
    T_ROW_ONE = 1102,
    T_ROWS_ONE = 1103,
    T_ROW = 1104,
    T_ROWS = 1105,
    T_NAME = 1106,
    T_NAME_AT = 1107, /* of a hint, a query block's name follows: name@block */
    T_HINT_OPEN = 1108,
    T_HINT_CLOSE = 1109,
    T_IN_LIST = 1110,
    T_COLUMN_NUMBER = 1111,
    T_SHARED = 1, /* the word decides */
    T_SIZE = 2,
    NEST_MAX = 64,
};

static const uint16_t numbers[] = {
#define DIGEST_TOKEN(kind, number, text) [kind] = number,
#define DIGEST_WORD(word, number, text)
#define DIGEST_HINT(word, number)
#include "sql/parser/statement_digest.def"
#undef DIGEST_TOKEN
#undef DIGEST_WORD
#undef DIGEST_HINT
    [KW_BOOL] = T_SHARED,     [FN_AGG_PLAIN] = T_SHARED, [FN_AGG_DISTINCT] = T_SHARED,
    [FN_DATE_ADD] = T_SHARED, [FN_ADDDATE] = T_SHARED,
};

/* Several words of ours may be one of MySQL's. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const char *const texts[] = {
#define DIGEST_TOKEN(kind, number, text) [number] = text,
#define DIGEST_WORD(word, number, text)  [number] = text,
#define DIGEST_HINT(word, number)        [number] = #word,
#include "sql/parser/statement_digest.def"
#undef DIGEST_TOKEN
#undef DIGEST_WORD
#undef DIGEST_HINT
    [T_VALUE] = "?",          [T_VALUES] = "?, ...",
    [T_ROW_ONE] = "(?)",      [T_ROWS_ONE] = "(?) /* , ... */",
    [T_ROW] = "(...)",        [T_ROWS] = "(...) /* , ... */",
    [T_HINT_OPEN] = "/*+",    [T_HINT_CLOSE] = "*/",
    [T_IN_LIST] = "IN (...)",
};
#pragma GCC diagnostic pop

struct special {
    const char *word;
    uint16_t number;
};
static const struct special shared_words[] = {
#define DIGEST_TOKEN(kind, number, text)
#define DIGEST_WORD(word, number, text) {#word, number},
#define DIGEST_HINT(word, number)
#include "sql/parser/statement_digest.def"
#undef DIGEST_WORD
#undef DIGEST_HINT
};
static const struct special hint_words[] = {
#define DIGEST_WORD(word, number, text)
#define DIGEST_HINT(word, number) {#word, number},
#include "sql/parser/statement_digest.def"
#undef DIGEST_TOKEN
#undef DIGEST_WORD
#undef DIGEST_HINT
};

static uint16_t special_number(const struct special *list, size_t count, struct slice word)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_nocase(slice_str(list[i].word), word)) {
            return list[i].number;
        }
    }
    return 0;
}

struct maker {
    struct buf *out;
    size_t start, size_max, names_end;
    bool full;
    uint32_t depth;
    bool numbered[NEST_MAX]; /* at this depth of parentheses numbers may be columns */
    struct lex_token at[5];  /* two tokens before, the one at hand, two after */
    bool hinted;             /* within a hint */
};
enum { BEFORE2, BEFORE, HERE, NEXT, NEXT2 };

/* ---- the array ---- */

static size_t size_of(const struct maker *m)
{
    return m->out->len - m->start;
}

/* The token `back` places from the end, 0: a name is in between, or there is none. */
static uint16_t peek(const struct maker *m, size_t back)
{
    size_t n = (back + 1) * T_SIZE;
    if (m->out->len < m->names_end + n) {
        return 0;
    }
    const uint8_t *p = m->out->ptr + m->out->len - n;
    return (uint16_t)(p[0] | p[1] << 8);
}

static void drop(struct maker *m, size_t count)
{
    m->out->len -= count * T_SIZE;
}

static db_err put(struct maker *m, uint16_t token)
{
    const uint8_t bytes[T_SIZE] = {(uint8_t)token, (uint8_t)(token >> 8)};
    if (size_of(m) + T_SIZE > m->size_max) {
        m->full = true;
        return ERR_OK;
    }
    return buf_append(m->out, bytes, sizeof(bytes));
}

/* quote: doubled, it stands for itself; 0: none. */
static db_err put_name(struct maker *m, uint16_t token, struct slice name, uint8_t quote)
{
    size_t doubled = 0;
    for (size_t i = 0; quote != 0 && i + 1 < name.len; i++) {
        if (name.ptr[i] == quote && name.ptr[i + 1] == quote) {
            doubled++;
            i++;
        }
    }
    size_t len = name.len - doubled;
    if (len > UINT16_MAX || size_of(m) + 2 * T_SIZE + len > m->size_max) {
        m->full = true;
        return ERR_OK;
    }
    TRY(put(m, token));
    TRY(put(m, (uint16_t)len));
    for (size_t i = 0; doubled != 0 && i < name.len; i++) {
        TRY(buf_append(m->out, &name.ptr[i], 1));
        i += name.ptr[i] == quote && i + 1 < name.len && name.ptr[i + 1] == quote;
    }
    if (doubled == 0) {
        TRY(buf_append(m->out, name.ptr, name.len));
    }
    m->names_end = m->out->len;
    return ERR_OK;
}

/* ---- values ---- */

static db_err put_value(struct maker *m)
{
    if (peek(m, 0) == ',' && (peek(m, 1) == T_VALUE || peek(m, 1) == T_VALUES)) {
        drop(m, 2);
        return put(m, T_VALUES);
    }
    return put(m, T_VALUE);
}

/* Tokens of the array behind which an operand begins. */
static bool begins_operand(uint16_t token)
{
    static const int kinds[] = {'<',         '=',       '>',     OP_NSEQ,   OP_NE,      OP_LE,
                                OP_GE,       OP_SHL,    OP_SHR,  OP_ANDAND, OP_OROR,    OP_CONCAT,
                                KW_AND,      KW_OR,     KW_XOR,  KW_NOT,    KW_BETWEEN, KW_LIKE,
                                KW_REGEXP,   KW_SELECT, KW_CASE, KW_WHEN,   KW_THEN,    KW_ELSE,
                                KW_INTERVAL, KW_DIV,    KW_MOD,  KW_DEFAULT};
    if (token < 128) {
        return token != 0 && strchr("(,+-*/%^|&", token) != NULL;
    }
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (numbers[kinds[i]] == token) {
            return true;
        }
    }
    return false;
}

static db_err put_number(struct maker *m)
{
    while ((peek(m, 0) == '-' || peek(m, 0) == '+') && begins_operand(peek(m, 1))) {
        drop(m, 1);
    }
    return put_value(m);
}

/* Words of the text before an operand, for NULL. */
static bool operand_follows(const struct lex_token *t)
{
    switch (t->kind) {
    case KW_SELECT:
    case KW_DISTINCT:
    case KW_ALL:
    case KW_WHERE:
    case KW_HAVING:
    case KW_QUALIFY:
    case KW_ON:
    case KW_AND:
    case KW_OR:
    case KW_XOR:
    case KW_BETWEEN:
    case KW_LIKE:
    case KW_REGEXP:
    case KW_ESCAPE:
    case KW_CASE:
    case KW_WHEN:
    case KW_THEN:
    case KW_ELSE:
    case KW_INTERVAL:
    case KW_DIV:
    case KW_MOD:
    case KW_DEFAULT:
    case KW_BY:
    case KW_BINARY:
    case KW_RETURN:
    case KW_IF:
    case KW_ELSEIF:
    case KW_WHILE:
    case KW_UNTIL:
    case KW_DO:
    case KW_FROM:
    case KW_FOR:
    case KW_BOTH:
    case KW_LEADING:
    case KW_TRAILING:
    case KW_IN:
    case KW_OF:
    case KW_SQL_CALC_FOUND_ROWS:
    case KW_SQL_NO_CACHE:
    case KW_SQL_SMALL_RESULT:
    case KW_SQL_BIG_RESULT:
    case KW_SQL_BUFFER_RESULT:
    case KW_STRAIGHT_JOIN:
    case KW_HIGH_PRIORITY:
    case KW_CONDITION:
    case OP_ASSIGN:
    case OP_NSEQ:
    case OP_NE:
    case OP_LE:
    case OP_GE:
    case OP_SHL:
    case OP_SHR:
    case OP_ANDAND:
    case OP_OROR:
    case OP_CONCAT: return true;
    default: return t->kind > 0 && t->kind < 128 && t->kind != ')' && t->kind != '}';
    }
}

static bool null_is_value(const struct maker *m)
{
    if (m->at[NEXT].kind == KW_ON &&
        (m->at[NEXT2].kind == KW_EMPTY || m->at[NEXT2].kind == KW_ERROR)) {
        return false;
    }
    return operand_follows(&m->at[m->at[BEFORE].kind == KW_NOT ? BEFORE2 : BEFORE]);
}

/* ---- numbers of columns ---- */

/* Words that go on with an item, so that a number before them is no column's. */
static bool continues_item(int kind)
{
    switch (kind) {
    case 0:
    case ',':
    case ')':
    case ';': return false;
    case KW_AND:
    case KW_OR:
    case KW_XOR:
    case KW_DIV:
    case KW_MOD:
    case KW_IS:
    case KW_IN:
    case KW_NOT:
    case KW_LIKE:
    case KW_BETWEEN:
    case KW_REGEXP:
    case KW_COLLATE:
    case KW_MEMBER:
    case KW_SOUNDS: return true;
    default: return kind < 128 || (kind >= OP_ASSIGN && kind <= OP_CONCAT);
    }
}

static void follow_lists(struct maker *m, int kind)
{
    bool *on = &m->numbered[m->depth < NEST_MAX ? m->depth : NEST_MAX - 1];
    int before = m->at[BEFORE].kind;
    switch (kind) {
    case KW_BY: *on = before == KW_ORDER || before == KW_GROUP || before == KW_PARTITION; break;
    case KW_LIMIT:
    case KW_HAVING:
    case KW_WINDOW:
    case KW_QUALIFY:
    case KW_FOR:
    case KW_LOCK:
    case KW_UNION:
    case KW_EXCEPT:
    case KW_INTERSECT:
    case KW_INTO:
    case KW_ROWS:
    case KW_RANGE:
    case KW_GROUPS:
    case KW_SEPARATOR:
    case KW_PARTITIONS:
    case KW_SELECT: *on = false; break;
    case '(':
        m->depth++;
        m->numbered[m->depth < NEST_MAX ? m->depth : NEST_MAX - 1] = false;
        break;
    case ')': m->depth -= m->depth > 0 ? 1 : 0; break;
    default: break;
    }
}

static uint64_t number_of(struct slice digits)
{
    uint64_t n = 0;
    for (size_t i = 0; i < digits.len; i++) {
        n = n * 10 + (uint64_t)(digits.ptr[i] - '0');
    }
    return n;
}

static bool is_column_number(const struct maker *m, const struct lex_token *t)
{
    enum { DIGITS_MAX = 10 };
    uint16_t last = peek(m, 0);
    return t->kind == NUM && t->text.len <= DIGITS_MAX && number_of(t->text) <= UINT32_MAX &&
           m->depth < NEST_MAX && m->numbered[m->depth] && !continues_item(m->at[NEXT].kind) &&
           (last == numbers[KW_BY] ||
            (last == ',' && peek(m, 1) != T_VALUE && peek(m, 1) != T_VALUES));
}

static db_err put_column_number(struct maker *m, struct slice digits)
{
    uint32_t n = (uint32_t)number_of(digits);
    if (size_of(m) + 3 * T_SIZE > m->size_max) {
        m->full = true;
        return ERR_OK;
    }
    TRY(put(m, T_COLUMN_NUMBER));
    TRY(put(m, (uint16_t)n));
    TRY(put(m, (uint16_t)(n >> 16)));
    m->names_end = m->out->len;
    return ERR_OK;
}

/* ---- tokens ---- */

static db_err put_close(struct maker *m)
{
    uint16_t inner = peek(m, 0);
    if ((inner != T_VALUE && inner != T_VALUES) || peek(m, 1) != '(') {
        return put(m, ')');
    }
    drop(m, 2);
    if (peek(m, 0) == numbers[KW_IN]) {
        drop(m, 1);
        return put(m, T_IN_LIST);
    }
    uint16_t one = inner == T_VALUE ? T_ROW_ONE : T_ROW;
    uint16_t many = inner == T_VALUE ? T_ROWS_ONE : T_ROWS;
    if (peek(m, 0) == ',' && (peek(m, 1) == one || peek(m, 1) == many)) {
        drop(m, 2);
        return put(m, many);
    }
    return put(m, one);
}

static uint8_t quote_of(const struct lex_token *t)
{
    return (t->flags & LEX_ESCAPED) == 0 ? 0 : (t->flags & LEX_DOUBLE_QUOTE) != 0 ? '"' : '`';
}

static db_err put_user_variable(struct maker *m, const struct lex_token *t)
{
    TRY(put(m, '@'));
    if (m->full) {
        return ERR_OK;
    }
    if ((t->flags & LEX_BACKQUOTE) != 0) {
        return put_name(m, T_NAME, t->text, quote_of(t));
    }
    return t->text.len == 0 && (t->flags & LEX_QUOTED) == 0 ? ERR_OK : put_value(m);
}

/* A hint's text: names of hints, of tables and query blocks, numbers. MySQL reads it with a lexer
 * of its own. */
static db_err put_hint(struct maker *m, const struct lex_token *hint)
{
    struct lexer lx;
    struct lex_token t;
    bool any = false;
    lexer_init(&lx, hint->text, 0);
    for (lexer_next(&lx, &t); t.kind != 0 && t.kind != LEX_BAD && !m->full; lexer_next(&lx, &t)) {
        if (!any) {
            TRY(put(m, T_HINT_OPEN));
            any = true;
        }
        uint16_t word = t.kind == IDENT_QUOTED || t.text.ptr == NULL
                            ? 0
                            : special_number(hint_words, ARRAY_COUNT(hint_words), t.text);
        if (t.kind == NUM || t.kind == DECIMAL_NUM || t.kind == FLOAT_NUM ||
            t.kind == TEXT_STRING) {
            TRY(put_value(m));
        } else if (t.kind == ')') {
            TRY(put_close(m));
        } else if (t.kind > 0 && t.kind < 128) {
            TRY(put(m, (uint16_t)t.kind));
        } else if (t.kind == USER_VAR) {
            TRY(put(m, '@'));
            TRY(m->full ? ERR_OK : put_name(m, T_NAME, t.text, quote_of(&t)));
        } else if (word != 0) {
            TRY(put(m, word));
        } else if (t.text.ptr != NULL) {
            bool at = lx.pos < lx.end && *lx.pos == '@';
            TRY(put_name(m, at ? T_NAME_AT : T_NAME, t.text,
                         t.kind == IDENT_QUOTED ? quote_of(&t) : 0));
        }
    }
    return any && !m->full ? put(m, T_HINT_CLOSE) : ERR_OK;
}

static db_err put_word(struct maker *m, const struct lex_token *t)
{
    uint16_t n = (size_t)t->kind < ARRAY_COUNT(numbers) ? numbers[t->kind] : 0;
    if (t->kind == KW_WITH && m->at[NEXT].kind == KW_ROLLUP) {
        n = numbers[KW_WITH_ROLLUP];
    } else if (t->kind == KW_ROLLUP && m->at[BEFORE].kind == KW_WITH) {
        return ERR_OK;
    } else if (n == T_SHARED) {
        n = special_number(shared_words, ARRAY_COUNT(shared_words), t->text);
    }
    if (n == 0 && t->kind > 0 && t->kind < 128) {
        n = (uint16_t)t->kind;
    }
    return n != 0 ? put(m, n) : ERR_OK;
}

static db_err add(struct maker *m, uint32_t mode)
{
    const struct lex_token *t = &m->at[HERE];
    db_err err = ERR_OK;
    follow_lists(m, t->kind);
    switch (t->kind) {
    case NUM:
    case DECIMAL_NUM:
    case FLOAT_NUM:
    case HEX_NUM:
    case BIN_NUM:
        err = is_column_number(m, t) ? put_column_number(m, t->text) : put_number(m);
        break;
    case TEXT_STRING:
    case NCHAR_STRING:
    case '?': err = put_value(m); break;
    case KW_NULL: err = null_is_value(m) ? put_value(m) : put_word(m, t); break;
    case KW_NOT:
        err = put(m, numbers[(mode & PARSE_MODE_HIGH_NOT_PRECEDENCE) != 0 ? KW_NOT2 : KW_NOT]);
        break;
    case ')': err = put_close(m); break;
    case IDENT:
    case IDENT_QUOTED:
        err = put_name(m, T_NAME, t->text, t->kind == IDENT_QUOTED ? quote_of(t) : 0);
        break;
    case USER_VAR: err = put_user_variable(m, t); break;
    case AT_AT:
        TRY(put(m, '@'));
        err = m->full ? ERR_OK : put(m, '@');
        break;
    case DOT_IDENT: err = put(m, '.'); break;
    case HINT: err = put_hint(m, t); break;
    default: err = put_word(m, t); break;
    }
    return err;
}

db_err statement_digest_tokens(struct slice text, const struct parse_options *opts, size_t size_max,
                               struct buf *tokens)
{
    struct maker m = {.out = tokens, .size_max = size_max};
    struct lexer lx;
    m.start = m.names_end = tokens->len;
    lexer_init(&lx, lexer_trim(text), opts->mode);
    lx.charset = opts->charset;
    lexer_next(&lx, &m.at[HERE]);
    lexer_next(&lx, &m.at[NEXT]);
    while (m.at[HERE].kind != 0 && m.at[HERE].kind != LEX_BAD && !m.full) {
        m.at[NEXT2] = m.at[NEXT];
        if (m.at[NEXT].kind != 0 && m.at[NEXT].kind != LEX_BAD) {
            lexer_next(&lx, &m.at[NEXT2]);
        }
        TRY(add(&m, opts->mode));
        memmove(m.at, m.at + 1, 4 * sizeof(m.at[0]));
    }
    return ERR_OK;
}

/* ---- text ---- */

static uint16_t take(struct slice *tokens)
{
    uint16_t n = (uint16_t)(tokens->ptr[0] | tokens->ptr[1] << 8);
    *tokens = slice_from(*tokens, T_SIZE);
    return n;
}

/* MYSQL: what is too long for a name is no name, and no blank follows it. */
static db_err name_text(struct slice *tokens, struct buf *out, bool *ret_glued)
{
    enum { NAME_CHARS_MAX = 64 };
    size_t len = take(tokens);
    size_t chars = 0;
    len = len < tokens->len ? len : tokens->len;
    struct slice name = slice_of(tokens->ptr, len);
    *tokens = slice_from(*tokens, len);
    for (size_t i = 0; i < len; i++) {
        chars += (name.ptr[i] & 0xC0) != 0x80 ? 1 : 0;
    }
    *ret_glued = len == 0 || chars > NAME_CHARS_MAX;
    if (*ret_glued) {
        return len == 0 ? ERR_OK : buf_append_slice(out, SLICE_LIT("..."));
    }
    TRY(buf_append_u8(out, '`'));
    TRY(buf_append_slice(out, name));
    return buf_append_u8(out, '`');
}

/* ret_glued: the next token follows without a blank. */
static db_err token_text(uint16_t token, struct slice *tokens, struct buf *out, bool *ret_glued)
{
    *ret_glued = token == '@';
    switch (token) {
    case T_NAME: return name_text(tokens, out, ret_glued);
    case T_NAME_AT:
        TRY(name_text(tokens, out, ret_glued));
        *ret_glued = true;
        return ERR_OK;
    case T_COLUMN_NUMBER: {
        uint32_t n = take(tokens);
        n |= (uint32_t)take(tokens) << 16;
        return buf_printf(out, "%u", n);
    }
    default: break;
    }
    if (token < 128) {
        return buf_append_u8(out, (uint8_t)token);
    }
    const char *text = token < ARRAY_COUNT(texts) ? texts[token] : NULL;
    return buf_append_slice(out, slice_str(text == NULL ? "(unknown)" : text));
}

db_err statement_digest_text(struct slice tokens, struct buf *text)
{
    bool glued = true;
    while (tokens.len >= T_SIZE) {
        if (!glued) {
            TRY(buf_append_u8(text, ' '));
        }
        uint16_t token = take(&tokens);
        TRY(token_text(token, &tokens, text, &glued));
    }
    return ERR_OK;
}
