#include "sql/parser/values_rows.h"

#include "sql_grammar.h"

/* Before VALUES there are the table's name and maybe a list of columns. */
enum { HEAD_TOKENS_MAX = 10000, LITERALS_FIRST = 256 };

struct split {
    struct lexer lx;
    struct lex_token t;
    struct arena *arena;
    struct slice text;
    struct values_rows rows;
    size_t count, cap;           /* literals */
    uint32_t head_end;           /* behind VALUES */
    uint32_t one_start, one_end; /* of the row that stands for all; one_end 0: none yet */
};

static void next(struct split *s)
{
    lexer_next(&s->lx, &s->t);
}

/* Up to VALUES; what stands between is for the parser to judge, from the text with one row. */
static bool skip_head(struct split *s)
{
    next(s);
    if (s->t.kind != KW_INSERT) {
        return false;
    }
    uint32_t depth = 0;
    for (int i = 0; i < HEAD_TOKENS_MAX; i++) {
        next(s);
        switch (s->t.kind) {
        case '(': depth++; break;
        case ')': depth--; break;
        case KW_VALUES:
        case KW_VALUE: s->head_end = s->t.end; return depth == 0;
        case 0:
        case ';':
        case '?':
        case LEX_BAD:
        case KW_IGNORE:
        case KW_SELECT:
        case KW_SET: return false;
        default: break;
        }
    }
    return false;
}

static db_err add(struct split *s, bool negative, bool null)
{
    if (s->count == s->cap) {
        size_t cap = s->cap == 0 ? LITERALS_FIRST : s->cap * 2;
        struct row_literal *all = arena_alloc(s->arena, cap * sizeof(*all));
        if (all == NULL) {
            return arena_refusal(s->arena);
        }
        if (s->count != 0) {
            memcpy(all, s->rows.literals, s->count * sizeof(*all));
        }
        s->rows.literals = all;
        s->cap = cap;
    }
    s->rows.literals[s->count++] =
        (struct row_literal){.kind = null ? 0 : s->t.kind,
                             .negative = negative,
                             .flags = (uint8_t)s->t.flags,
                             .offset = (uint32_t)(s->t.text.ptr - s->text.ptr),
                             .len = (uint32_t)s->t.text.len};
    return ERR_OK;
}

/* A literal and what follows it; *ret_plain stays only if it has neither '-' nor NULL. */
static db_err take_literal(struct split *s, bool *ret_is, bool *ret_plain)
{
    bool negative = s->t.kind == '-';
    bool null = s->t.kind == KW_NULL;
    if (negative) {
        next(s);
    }
    bool number = s->t.kind == NUM || s->t.kind == DECIMAL_NUM || s->t.kind == FLOAT_NUM;
    *ret_is = number || (!negative && (s->t.kind == TEXT_STRING || null));
    if (!*ret_is) {
        return ERR_OK;
    }
    *ret_plain = *ret_plain && !negative && !null;
    TRY(add(s, negative, null));
    next(s);
    return ERR_OK;
}

/* From '(' to behind ')'. */
static db_err take_row(struct split *s, bool *ret_is)
{
    uint32_t start = s->t.offset;
    size_t first = s->count;
    bool plain = true;
    *ret_is = false;
    do {
        next(s);
        TRY(take_literal(s, ret_is, &plain));
    } while (*ret_is && s->t.kind == ',');
    size_t n = s->count - first;
    if (!*ret_is || s->t.kind != ')' || n > UINT16_MAX || s->lx.in_version_comment ||
        (s->rows.row_count != 0 && n != s->rows.column_count)) {
        *ret_is = false;
        return ERR_OK;
    }
    s->rows.column_count = (uint32_t)n;
    s->rows.row_count++;
    if (plain && s->one_end == 0) {
        s->one_start = start;
        s->one_end = s->t.end;
    }
    next(s);
    return ERR_OK;
}

static db_err statement_of_one(struct split *s, struct slice *ret)
{
    size_t row = s->one_end - s->one_start;
    uint8_t *p = arena_alloc(s->arena, s->head_end + 1 + row);
    if (p == NULL) {
        return arena_refusal(s->arena);
    }
    memcpy(p, s->text.ptr, s->head_end);
    p[s->head_end] = ' ';
    memcpy(p + s->head_end + 1, s->text.ptr + s->one_start, row);
    *ret = slice_of(p, s->head_end + 1 + row);
    return ERR_OK;
}

db_err values_rows_split(struct arena *arena, struct slice text, const struct parse_options *opts,
                         bool *ret_is, struct values_rows *ret_rows)
{
    struct split s = {.arena = arena, .text = text};
    *ret_is = false;
    lexer_init(&s.lx, text, opts->mode);
    if (text.len > UINT32_MAX || !skip_head(&s)) {
        return ERR_OK;
    }
    bool is;
    do {
        next(&s);
        if (s.t.kind != '(') {
            return ERR_OK;
        }
        TRY(take_row(&s, &is));
    } while (is && s.t.kind == ',');
    if (!is || (s.t.kind != 0 && s.t.kind != ';') || s.rows.row_count < 2 || s.one_end == 0) {
        return ERR_OK;
    }
    s.rows.consumed = s.t.kind == ';' ? digest_after_semicolon(text, s.t.end) : text.len;
    TRY(statement_of_one(&s, &s.rows.one));
    *ret_is = true;
    *ret_rows = s.rows;
    return ERR_OK;
}

bool row_literal_is_integer(const struct row_literal *literal)
{
    return literal->kind == NUM;
}

db_err row_literal_value(struct arena *arena, struct slice text, const struct row_literal *literal,
                         uint32_t mode, struct ast_literal *ret_literal)
{
    struct digest_literal l = {.token = {.kind = literal->kind,
                                         .flags = literal->flags,
                                         .offset = literal->offset,
                                         .end = literal->offset + literal->len,
                                         .text = {text.ptr + literal->offset, literal->len}}};
    l.kind = digest_literal_kind(&l.token);
    return digest_literal_value(arena, &l, mode, ret_literal);
}
