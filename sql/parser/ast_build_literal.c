/* Builders of literals. */
#include "sql/parser/ast_build.h"

/* Digits to a number; false when it does not fit 64 bits. */
static bool to_u64(struct slice digits, uint64_t *ret_value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(digits.ptr[i] - '0'), &v)) {
            return false;
        }
    }
    *ret_value = v;
    return true;
}

static struct ast_literal *literal(struct parse_ctx *ctx, struct sql_loc loc,
                                   enum ast_literal_kind kind, struct slice text)
{
    struct ast_literal *l = ast_expr_new(ctx, sizeof(*l), AST_EXPR_LITERAL, loc, 0);
    l->kind = kind;
    l->text = text;
    return l;
}

/* The literal itself, or the parameter that stands for it. */
static void *lifted(struct parse_ctx *ctx, struct ast_literal *l, struct sql_tok tok)
{
    if (tok.lift == 0) {
        return l;
    }
    struct ast_param *p =
        ast_expr_new(ctx, sizeof(*p), AST_EXPR_PARAM,
                     (struct sql_loc){l->expr.pos.offset, l->expr.pos.offset + l->expr.pos.len}, 0);
    p->index = tok.lift - 1;
    p->literal = l;
    return p;
}

void *ast_number(struct parse_ctx *ctx, struct sql_loc loc, enum ast_literal_kind kind,
                 struct sql_tok tok)
{
    struct ast_literal *l = literal(ctx, loc, kind, TOK_TEXT(tok));
    if (kind == AST_LIT_INT && !to_u64(l->text, &l->u64)) {
        l->kind = AST_LIT_DECIMAL;
    }
    return lifted(ctx, l, tok);
}

void *ast_string(struct parse_ctx *ctx, struct sql_loc loc, struct sql_tok tok)
{
    struct ast_literal *l = literal(ctx, loc, AST_LIT_STRING, TOK_TEXT(tok));
    l->first_part_len = tok.len;
    return lifted(ctx, l, tok);
}

void *ast_string_cs(struct parse_ctx *ctx, struct sql_loc loc, struct sql_tok tok,
                    struct slice charset)
{
    struct ast_literal *l = literal(ctx, loc, AST_LIT_STRING, TOK_TEXT(tok));
    l->first_part_len = tok.len;
    l->charset = charset;
    return l;
}

void *ast_string_append(struct parse_ctx *ctx, struct sql_loc loc, void *left, struct sql_tok tok)
{
    struct ast_literal *l = left;
    if (ctx->err != ERR_OK || l->expr.kind != AST_EXPR_LITERAL) {
        return left;
    }
    size_t len = l->text.len + tok.len;
    uint8_t *text = arena_alloc(ctx->arena, len);
    if (text == NULL) {
        parse__fail(ctx, ERR_NOMEM);
        return left;
    }
    if (l->text.len > 0) {
        memcpy(text, l->text.ptr, l->text.len);
    }
    if (tok.len > 0) {
        memcpy(text + l->text.len, tok.ptr, tok.len);
    }
    l->text = slice_of(text, len);
    l->expr.pos = ast_pos_of(loc);
    return l;
}

void *ast_word_string(struct parse_ctx *ctx, struct sql_loc loc)
{
    struct slice text = parse__text_at(ctx, loc);
    struct ast_literal *l = literal(ctx, loc, AST_LIT_STRING, text);
    l->first_part_len = (uint32_t)text.len;
    return l;
}

void *ast_word_literal(struct parse_ctx *ctx, struct sql_loc loc, enum ast_literal_kind kind)
{
    return literal(ctx, loc, kind, SLICE_EMPTY);
}

static unsigned hex_digit(uint8_t c)
{
    return c <= '9' ? c - (unsigned)'0' : (c | 32u) - (unsigned)'a' + 10;
}

/* x'4142' and 0x4142 to bytes, an odd count of digits from the right; b'..' to as few bytes as hold
 * the digits. */
struct slice ast_text_append(struct parse_ctx *ctx, struct slice text, struct sql_tok tok)
{
    struct slice more = TOK_NAME(tok);
    const char *joined = arena_printf(ctx->arena, "%.*s%.*s", SLICE_FMT(text), SLICE_FMT(more));
    if (joined == NULL) {
        parse__fail(ctx, ERR_NOMEM);
        return text;
    }
    return slice_of(joined, text.len + more.len);
}

struct slice ast_bytes(struct parse_ctx *ctx, struct sql_tok tok, bool hex)
{
    size_t per_byte = hex ? 2 : 8;
    size_t len = (tok.len + per_byte - 1) / per_byte;
    uint8_t *out = ctx->err == ERR_OK ? arena_calloc(ctx->arena, len, 1) : NULL;
    if (out == NULL) {
        parse__fail(ctx, ERR_NOMEM);
        return slice_of("", 0);
    }
    for (size_t i = 0; i < tok.len; i++) { /* from the last digit on */
        uint8_t c = tok.ptr[tok.len - 1 - i];
        unsigned v = hex ? hex_digit(c) << (i % 2 * 4) : (c - (unsigned)'0') << (i % 8);
        out[len - 1 - i / per_byte] = (uint8_t)(out[len - 1 - i / per_byte] | v);
    }
    return slice_of(out, len);
}

void *ast_bin_literal(struct parse_ctx *ctx, struct sql_loc loc, enum ast_literal_kind kind,
                      struct sql_tok tok, struct slice charset)
{
    struct ast_literal *l = literal(ctx, loc, kind, ast_bytes(ctx, tok, kind == AST_LIT_HEX));
    l->charset = charset;
    return l;
}

void *ast_temporal(struct parse_ctx *ctx, struct sql_loc loc, enum ast_literal_kind kind,
                   struct sql_tok tok)
{
    return literal(ctx, loc, kind, TOK_TEXT(tok));
}

uint64_t ast_u64(struct parse_ctx *ctx, struct sql_tok tok)
{
    (void)ctx;
    struct slice digits = TOK_TEXT(tok);
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9') {
            digits.len = i; /* 1.5 and 1e2 where an integer is wanted count up to the point */
            break;
        }
    }
    uint64_t v;
    return to_u64(digits, &v) ? v : UINT64_MAX;
}

uint64_t ast_u64_hex(struct parse_ctx *ctx, struct sql_tok tok)
{
    (void)ctx;
    uint64_t v = 0;
    for (uint32_t i = 0; i < tok.len; i++) {
        if (v >> 60 != 0) {
            return UINT64_MAX;
        }
        v = v << 4 | hex_digit(tok.ptr[i]);
    }
    return v;
}
