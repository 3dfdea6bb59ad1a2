/* What is hashed, token by token:
 *   - its kind; for a name, a word that may be a name, a literal that stays, or a hint, also its
 * text. Names keep their case: tables may differ by it;
 *   - for a lifted literal its class instead of its text: what of a value can decide a type. An
 * integer's class is whether it fits a signed or an unsigned 64-bit integer, a decimal's its digits
 * before and after the point, a string's whether it is all ASCII (that decides which collations it
 * can be compared with);
 *   - within a SELECT list the source as it stands, blanks and letter case too, because it names
 * columns.
 *
 * The bytes are collected in a small buffer; a text longer than it is hashed in pieces. */
#include "sql/parser/digest.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "sql/parser/lift.h"
#include "sql_grammar.h"

enum { PIECE = 2048, LITERALS_FIRST = 8 };

struct hasher {
    uint8_t piece[PIECE];
    size_t len;
    bool streaming;
    XXH3_state_t state;
};

static void put(struct hasher *h, const void *data, size_t len)
{
    if (h->len + len <= PIECE) {
        if (len > 0) {
            memcpy(h->piece + h->len, data, len);
        }
        h->len += len;
        return;
    }
    if (!h->streaming) {
        h->streaming = true;
        XXH3_128bits_reset(&h->state);
    }
    XXH3_128bits_update(&h->state, h->piece, h->len);
    h->len = 0;
    if (len <= PIECE) {
        memcpy(h->piece, data, len);
        h->len = len;
    } else {
        XXH3_128bits_update(&h->state, data, len);
    }
}

static void put_kind(struct hasher *h, int kind)
{
    uint16_t k = (uint16_t)kind;
    put(h, &k, sizeof(k));
}

static void put_text(struct hasher *h, int kind, struct slice text)
{
    struct {
        uint16_t kind, mark;
        uint32_t len;
    } head = {(uint16_t)kind, 0xFFFF, (uint32_t)text.len};
    put(h, &head, sizeof(head));
    put(h, text.ptr, text.len);
}

static void finish(struct hasher *h, struct digest *d)
{
    XXH128_hash_t v;
    if (h->streaming) {
        XXH3_128bits_update(&h->state, h->piece, h->len);
        v = XXH3_128bits_digest(&h->state);
    } else {
        v = XXH3_128bits(h->piece, h->len);
    }
    d->high = v.high64;
    d->low = v.low64;
}

/* Digits without leading zeros against the largest 64-bit integers: 0 signed, 1 unsigned, 2 beyond.
 */
static uint8_t int_class(struct slice digits)
{
    while (digits.len > 0 && digits.ptr[0] == '0') {
        digits = slice_from(digits, 1);
    }
    if (digits.len < 19) {
        return 0;
    }
    if (digits.len == 19) {
        return memcmp(digits.ptr, "9223372036854775807", 19) <= 0 ? 0 : 1;
    }
    if (digits.len == 20) {
        return memcmp(digits.ptr, "18446744073709551615", 20) <= 0 ? 1 : 2;
    }
    return 2;
}

static void put_class(struct hasher *h, const struct lex_token *t)
{
    struct {
        uint16_t mark, kind;
        uint16_t before, after;
    } c = {0xFFFE, (uint16_t)t->kind, 0, 0};
    if (t->kind == NUM) {
        c.before = int_class(t->text);
        if (c.before == 2) {
            c.after = (uint16_t)t->text.len;
        }
    } else if (t->kind == DECIMAL_NUM) {
        const uint8_t *point = memchr(t->text.ptr, '.', t->text.len);
        size_t before = point != NULL ? (size_t)(point - t->text.ptr) : t->text.len;
        c.before = (uint16_t)before;
        c.after = (uint16_t)(t->text.len - before);
    } else if (t->kind == TEXT_STRING) {
        c.before = (t->flags & LEX_NON_ASCII) != 0;
    }
    put(h, &c, sizeof(c));
}

enum ast_literal_kind digest_literal_kind(const struct lex_token *t)
{
    switch (t->kind) {
    case NUM: return int_class(t->text) == 2 ? AST_LIT_DECIMAL : AST_LIT_INT;
    case DECIMAL_NUM: return AST_LIT_DECIMAL;
    case FLOAT_NUM: return AST_LIT_FLOAT;
    default: return AST_LIT_STRING;
    }
}

static db_err add_literal(struct arena *arena, struct digest *d, uint32_t *cap,
                          const struct lex_token *t)
{
    if (d->literal_count == *cap) {
        uint32_t more = *cap == 0 ? LITERALS_FIRST : *cap * 2;
        struct digest_literal *all = arena_alloc(arena, more * sizeof(*all));
        if (all == NULL) {
            return arena_refusal(arena);
        }
        if (d->literal_count > 0) {
            memcpy(all, d->literals, d->literal_count * sizeof(*all));
        }
        d->literals = all;
        *cap = more;
    }
    d->literals[d->literal_count++] = (struct digest_literal){digest_literal_kind(t), *t};
    return ERR_OK;
}

static bool has_text(const struct lex_token *t)
{
    return t->text.ptr != NULL && (t->flags & LEX_RESERVED) == 0;
}

/* One token of a statement whose literals are lifted. */
static db_err put_token(struct arena *arena, struct hasher *h, struct digest *d, uint32_t *cap,
                        bool in_list, bool lifted, const struct lex_token *t, struct slice with_gap)
{
    if (lifted) {
        put_class(h, t);
        return add_literal(arena, d, cap, t);
    }
    if (in_list) {
        put_text(h, t->kind, with_gap);
    } else if (has_text(t)) {
        bool escaped = (t->flags & LEX_ESCAPED) != 0;
        put_text(h, t->kind == IDENT_QUOTED && !escaped ? IDENT : t->kind, t->text);
        if (escaped) { /* what the raw text stands for depends on the quotes */
            put_kind(h, (int)(t->flags & (LEX_DOUBLE_QUOTE | LEX_BACKQUOTE)));
        }
    } else {
        put_kind(h, t->kind);
    }
    return ERR_OK;
}

size_t digest_after_semicolon(struct slice text, size_t pos)
{
    for (size_t i = pos; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c != ';' && c != ' ' && (c < '\t' || c > '\r')) {
            return pos;
        }
    }
    return text.len;
}

db_err digest_compute(struct arena *arena, struct slice text, const struct parse_options *opts,
                      struct digest *ret_digest)
{
    struct digest d = {0};
    struct hasher h;
    h.len = 0;
    h.streaming = false;
    struct lift lift;
    lift_init(&lift);
    struct lexer lx;
    lexer_init(&lx, lexer_trim(text), opts->mode);
    struct lex_token t[2];
    unsigned cur = 0;
    uint32_t cap = 0;
    uint32_t last_end = 0;
    lexer_next(&lx, &t[0]);
    while (t[cur].kind != 0 && t[cur].kind != ';') {
        if (t[cur].kind == LEX_BAD) {
            return ERR_INVALID;
        }
        lexer_next(&lx, &t[cur ^ 1]);
        bool in_list = lift.list_depth != 0;
        bool lifted = lift_token(&lift, t[cur].kind, t[cur].end - t[cur].offset, t[cur ^ 1].kind);
        if (!lift.on) { /* it may hold a program with ';' in it: only the parser knows where it ends
                         */
            put_text(&h, 0, text);
            finish(&h, &d);
            *ret_digest = d;
            return ERR_OK;
        }
        in_list = in_list && lift.list_depth != 0;
        struct slice gap = slice_of(text.ptr + last_end, t[cur].end - last_end);
        d.has_params = d.has_params || t[cur].kind == '?';
        TRY(put_token(arena, &h, &d, &cap, in_list, lifted, &t[cur], gap));
        last_end = t[cur].end;
        cur ^= 1;
    }
    if (lx.warned) { /* each parse has to say it */
        return ERR_INVALID;
    }
    d.consumed = t[cur].kind == ';' ? digest_after_semicolon(text, t[cur].end) : text.len;
    d.lifts = lift.on;
    finish(&h, &d);
    *ret_digest = d;
    return ERR_OK;
}

db_err digest_literal_value(struct arena *arena, const struct digest_literal *literal,
                            uint32_t mode, struct ast_literal *ret_literal)
{
    const struct lex_token *t = &literal->token;
    struct ast_literal l = {
        .expr = {AST_EXPR_LITERAL, 0, 1, {t->offset, t->end - t->offset}},
        .kind = literal->kind,
    };
    TRY(lex_unescape(arena, t, mode, NULL, &l.text));
    if (l.kind == AST_LIT_INT) {
        for (size_t i = 0; i < l.text.len; i++) {
            l.u64 = l.u64 * 10 + (uint64_t)(l.text.ptr[i] - '0');
        }
    } else if (l.kind == AST_LIT_STRING) {
        l.first_part_len = (uint32_t)l.text.len;
    }
    *ret_literal = l;
    return ERR_OK;
}
