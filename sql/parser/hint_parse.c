/* The text of an optimizer hint comment: a language of its own, with words of its own.
 *
 * What cannot be read is warned of, with number 1064, and ends the list: the hints before it hold.
 */
#include "sql/parser/hint_parse.h"

#include <inttypes.h>
#include <string.h>

enum token_kind {
    T_END,
    T_BAD,
    T_WORD,     /* a name */
    T_HINT,     /* the name of a hint; unquoted it is nothing else */
    T_STRATEGY, /* so too */
    T_BLOCK,    /* @name */
    T_NUMBER,
    T_SIZE, /* a number with K, M or G */
    T_DECIMAL,
    T_TEXT,
    T_SIGN, /* one byte */
};

struct token {
    enum token_kind kind;
    const uint8_t *begin; /* for "near" */
    struct slice text;    /* without quotes */
    bool followed;        /* by @ at once */
    uint8_t sign;
    uint32_t strategy;
    enum ast_hint_kind hint;
    bool off;
};

struct reader {
    struct parse_ctx *ctx;
    const uint8_t *pos, *end;
    struct token t;
    bool failed;
};

struct spelling {
    const char *on, *off;
    enum ast_hint_class class;
};

static const struct spelling spellings[HINT_KINDS] = {
#define AST_HINT(name, on, off, class) [HINT_##name] = {on, off, HINT_CLASS_##class},
#include "sql/parser/hint_kinds.def"
#undef AST_HINT
};

static const struct {
    const char *word;
    uint32_t strategy;
} strategies[] = {{"DUPSWEEDOUT", HINT_DUPSWEEDOUT},
                  {"FIRSTMATCH", HINT_FIRSTMATCH},
                  {"LOOSESCAN", HINT_LOOSESCAN},
                  {"MATERIALIZATION", HINT_MATERIALIZATION},
                  {"INTOEXISTS", HINT_INTOEXISTS}};

const char *ast_hint_name(enum ast_hint_kind kind, bool off)
{
    return off ? spellings[kind].off : spellings[kind].on;
}

enum ast_hint_class ast_hint_class_of(enum ast_hint_kind kind)
{
    return spellings[kind].class;
}

/* ---- tokens ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool in_word(uint8_t c)
{
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '$' || c >= 0x80;
}

static const uint8_t *end_of_word(const struct reader *r, const uint8_t *p)
{
    while (p < r->end && in_word(*p)) {
        p++;
    }
    return p;
}

/* From a quote on to behind its partner; a doubled one stands for itself. No backslash escapes
 * here. Empty text is none. */
static void read_quoted(struct reader *r, struct token *t, enum token_kind kind)
{
    uint8_t quote = *r->pos;
    const uint8_t *p = r->pos + 1;
    bool doubled = false;
    while (p < r->end && (*p != quote || (p + 1 < r->end && p[1] == quote))) {
        doubled = doubled || *p == quote;
        p += *p == quote ? 2 : 1;
    }
    t->kind = T_BAD;
    if (p >= r->end || p == r->pos + 1) {
        return;
    }
    t->kind = kind;
    t->text = slice_of(r->pos + 1, (size_t)(p - r->pos) - 1);
    r->pos = p + 1;
    if (doubled) {
        uint8_t *copy = ast_alloc(r->ctx, t->text.len);
        size_t n = 0;
        for (size_t i = 0; i < t->text.len && r->ctx->err == ERR_OK; i++) {
            copy[n++] = t->text.ptr[i];
            i += t->text.ptr[i] == quote ? 1 : 0;
        }
        t->text = slice_of(copy, n);
    }
}

/* 5, 5M, 5.5; 5a, 0x5 and 5e5 are words. False: none of them. */
static bool read_number(struct reader *r, struct token *t)
{
    const uint8_t *p = r->pos;
    while (p < r->end && is_digit(*p)) {
        p++;
    }
    t->kind = T_NUMBER;
    if (p < r->end && (*p == 'K' || *p == 'M' || *p == 'G')) {
        p++;
        t->kind = T_SIZE;
    } else if (p + 1 < r->end && *p == '.' && is_digit(p[1])) {
        for (p++; p < r->end && is_digit(*p);) {
            p++;
        }
        t->kind = T_DECIMAL;
    }
    if (p < r->end && in_word(*p)) {
        t->kind = t->kind == T_DECIMAL ? T_BAD : T_WORD;
        return t->kind == T_BAD;
    }
    t->text = slice_of(r->pos, (size_t)(p - r->pos));
    r->pos = p;
    return true;
}

/* What an unquoted word is. */
static void classify(struct token *t)
{
    for (size_t i = 0; i < ARRAY_COUNT(strategies); i++) {
        if (slice_eq_nocase(t->text, slice_str(strategies[i].word))) {
            t->kind = T_STRATEGY;
            t->strategy = strategies[i].strategy;
        }
    }
    for (int k = 0; k < HINT_KINDS; k++) {
        for (int off = 0; off < 2; off++) {
            const char *name = ast_hint_name((enum ast_hint_kind)k, off != 0);
            if (name != NULL && slice_eq_nocase(t->text, slice_str(name))) {
                t->kind = T_HINT;
                t->hint = (enum ast_hint_kind)k;
                t->off = off != 0;
            }
        }
    }
}

static void read_word(struct reader *r, struct token *t)
{
    const uint8_t *p = end_of_word(r, r->pos);
    t->kind = T_WORD;
    t->text = slice_of(r->pos, (size_t)(p - r->pos));
    r->pos = p;
    classify(t);
}

/* MYSQL: an @ with no name at once behind it is an error there, not at the @. */
static void read_block(struct reader *r, struct token *t, bool ansi)
{
    r->pos++;
    if (r->pos < r->end && (*r->pos == '`' || (*r->pos == '"' && ansi))) {
        t->begin = r->pos;
        read_quoted(r, t, T_BLOCK);
        t->begin = t->kind == T_BLOCK ? t->begin - 1 : t->begin;
    } else {
        const uint8_t *p = end_of_word(r, r->pos);
        t->kind = p == r->pos ? T_BAD : T_BLOCK;
        t->begin = p == r->pos ? p : t->begin;
        t->text = slice_of(r->pos, (size_t)(p - r->pos));
        r->pos = p;
    }
}

static void next(struct reader *r)
{
    bool ansi = (r->ctx->opts.mode & PARSE_MODE_ANSI_QUOTES) != 0;
    struct token *t = &r->t;
    while (r->pos < r->end && is_blank(*r->pos)) {
        r->pos++;
    }
    *t = (struct token){.begin = r->pos};
    uint8_t c = r->pos < r->end ? *r->pos : 0;
    if (r->pos == r->end) {
        t->kind = T_END;
    } else if (c == '\'' || (c == '"' && !ansi)) {
        read_quoted(r, t, T_TEXT);
    } else if (c == '`' || c == '"') {
        read_quoted(r, t, T_WORD);
    } else if (c == '@') {
        read_block(r, t, ansi);
    } else if (is_digit(c) && read_number(r, t)) {
        ;
    } else if (in_word(c)) {
        read_word(r, t);
    } else {
        t->kind = T_SIGN;
        t->sign = c;
        r->pos++;
    }
    t->followed = r->pos < r->end && *r->pos == '@';
    if (t->kind == T_WORD || t->kind == T_BLOCK || t->kind == T_TEXT) {
        t->text = parse__to_utf8(r->ctx, t->text);
    }
}

/* ---- warnings ---- */

enum { NEAR_MAX = 80 };

static void warn_near(struct reader *r, enum my_errno what, const uint8_t *at)
{
    struct parse_ctx *ctx = r->ctx;
    char text[NEAR_MAX + 1];
    const uint8_t *end = ctx->text.ptr + ctx->text.len;
    /* MYSQL: of what is behind the list only its closing mark is shown. */
    size_t n = at == r->end ? 2 : (size_t)(end - at);
    n = n < NEAR_MAX ? n : NEAR_MAX;
    memcpy(text, at, n);
    text[n] = '\0';
    diag_area_warn(parse__deprecated(ctx), ER_PARSE_ERROR, my_error_format(what), text,
                   (int)lex_line_of(ctx->text, (uint32_t)(at - ctx->text.ptr)));
}

static bool fail_at(struct reader *r, enum my_errno what, const uint8_t *at)
{
    if (!r->failed) {
        warn_near(r, what, at);
    }
    r->failed = true;
    return false;
}

static bool fail(struct reader *r)
{
    return fail_at(r, ER_WARN_OPTIMIZER_HINT_SYNTAX_ERROR, r->t.begin);
}

/* ---- grammar ---- */

static bool is_sign(const struct reader *r, uint8_t sign)
{
    return r->t.kind == T_SIGN && r->t.sign == sign;
}

static bool take(struct reader *r, uint8_t sign)
{
    if (!is_sign(r, sign)) {
        return fail(r);
    }
    next(r);
    return true;
}

static bool take_name(struct reader *r, struct slice *ret)
{
    if (r->t.kind != T_WORD) {
        return fail(r);
    }
    *ret = r->t.text;
    next(r);
    return true;
}

static void opt_block(struct reader *r, struct slice *ret)
{
    if (r->t.kind == T_BLOCK) {
        *ret = r->t.text;
        next(r);
    }
}

/* table[@block]: nothing between them */
static bool table(struct reader *r, bool may_have_block, struct ast_list **io_list)
{
    struct ast_hint_table *t = AST_NEW(r->ctx, ast_hint_table);
    bool followed = r->t.followed;
    if (!take_name(r, &t->name)) {
        return false;
    }
    if (followed && !may_have_block) {
        return fail_at(r, ER_WARN_OPTIMIZER_HINT_SYNTAX_ERROR, r->t.begin + 1);
    }
    if (followed) {
        if (r->t.kind != T_BLOCK) {
            return fail(r);
        }
        opt_block(r, &t->block);
    }
    *io_list = ast_list_add(r->ctx, *io_list, t);
    return *io_list != NULL;
}

static bool tables(struct reader *r, struct ast_hint *h)
{
    struct ast_list *list = NULL;
    opt_block(r, &h->block);
    if (is_sign(r, ')')) {
        return true;
    }
    while (table(r, true, &list)) {
        if (!is_sign(r, ',')) {
            h->tables = LIST(ast_hint_table_list, list);
            return true;
        }
        next(r);
    }
    return false;
}

static bool table_and_indexes(struct reader *r, struct ast_hint *h)
{
    struct ast_list *table_list = NULL;
    struct ast_list *indexes = NULL;
    opt_block(r, &h->block);
    if (!table(r, h->block.ptr == NULL, &table_list)) {
        return false;
    }
    h->tables = LIST(ast_hint_table_list, table_list);
    while (!is_sign(r, ')') || indexes != NULL) {
        struct ast_ident *i = AST_NEW(r->ctx, ast_ident);
        if (!take_name(r, &i->name)) {
            return false;
        }
        indexes = ast_list_add(r->ctx, indexes, i);
        if (indexes == NULL) {
            return false;
        }
        if (!is_sign(r, ',')) {
            break;
        }
        next(r);
    }
    h->indexes = LIST(ast_ident_list, indexes);
    return true;
}

/* One of SUBQUERY's; any number of SEMIJOIN's. */
static bool strategy_list(struct reader *r, struct ast_hint *h)
{
    uint32_t of_subquery = HINT_MATERIALIZATION | HINT_INTOEXISTS;
    uint32_t allowed = h->kind == HINT_SUBQUERY ? of_subquery : ~(uint32_t)HINT_INTOEXISTS;
    opt_block(r, &h->block);
    if (h->kind == HINT_SEMIJOIN && is_sign(r, ')')) {
        return true;
    }
    for (;;) {
        if (r->t.kind != T_STRATEGY || (r->t.strategy & allowed) == 0) {
            return fail(r);
        }
        h->strategies |= r->t.strategy;
        next(r);
        if (h->kind == HINT_SUBQUERY || !is_sign(r, ',')) {
            return true;
        }
        next(r);
    }
}

/* The digits, times 1,024 for each step of K, M, G. */
static bool number_of(const struct token *t, uint64_t *ret)
{
    uint64_t n = 0;
    size_t digits = t->text.len - (t->kind == T_SIZE ? 1 : 0);
    for (size_t i = 0; i < digits; i++) {
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(t->text.ptr[i] - '0'), &n)) {
            return false;
        }
    }
    uint8_t unit = t->kind == T_SIZE ? t->text.ptr[digits] : 0;
    unsigned shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
    *ret = n << shift;
    return *ret >> shift == n;
}

static bool time_limit(struct reader *r, struct ast_hint *h, bool *ret_dropped)
{
    if (r->t.kind != T_NUMBER) {
        return fail(r);
    }
    *ret_dropped = !number_of(&r->t, &h->number) || h->number > UINT32_MAX;
    next(r);
    if (*ret_dropped) {
        warn_near(r, ER_WARN_BAD_MAX_EXECUTION_TIME, r->t.begin);
    }
    return true;
}

/* The name of a variable: of a hint's name that is one, too. */
static bool variable_name(struct reader *r, struct slice *ret)
{
    if (r->t.kind == T_HINT && r->t.hint == HINT_MAX_EXECUTION_TIME) {
        *ret = slice_str("max_execution_time");
        next(r);
        return true;
    }
    return take_name(r, ret);
}

static bool variable(struct reader *r, struct ast_hint *h)
{
    if (!variable_name(r, &h->name) || !take(r, '=')) {
        return false;
    }
    enum token_kind kind = r->t.kind;
    if (kind == T_NUMBER || kind == T_SIZE) {
        h->value_kind = HINT_VALUE_NUMBER;
        if (!number_of(&r->t, &h->number)) {
            return fail_at(r, ER_WRONG_SIZE_NUMBER, r->t.begin);
        }
    } else if (kind == T_DECIMAL || kind == T_WORD || kind == T_TEXT) {
        h->value_kind = kind == T_TEXT      ? HINT_VALUE_TEXT
                        : kind == T_DECIMAL ? HINT_VALUE_DECIMAL
                                            : HINT_VALUE_WORD;
    } else {
        return fail(r);
    }
    h->value = r->t.text;
    next(r);
    return true;
}

static bool arguments(struct reader *r, struct ast_hint *h, bool *ret_dropped)
{
    switch (ast_hint_class_of(h->kind)) {
    case HINT_CLASS_BLOCK: opt_block(r, &h->block); return true;
    case HINT_CLASS_STRATEGIES: return strategy_list(r, h);
    case HINT_CLASS_TABLES:
    case HINT_CLASS_TABLE: return tables(r, h);
    case HINT_CLASS_INDEX: return table_and_indexes(r, h);
    case HINT_CLASS_STATEMENT: break;
    }
    return h->kind == HINT_MAX_EXECUTION_TIME ? time_limit(r, h, ret_dropped)
           : h->kind == HINT_SET_VAR          ? variable(r, h)
                                              : take_name(r, &h->name);
}

/* False: what stands here cannot be read. */
static bool hint(struct reader *r, struct ast_list **io_list)
{
    if (r->t.kind != T_HINT) {
        return fail(r);
    }
    struct ast_hint *h = AST_NEW(r->ctx, ast_hint);
    bool dropped = false;
    h->kind = r->t.hint;
    h->off = r->t.off;
    next(r);
    if (!take(r, '(') || !arguments(r, h, &dropped) || !take(r, ')')) {
        return false;
    }
    if (!dropped) {
        *io_list = ast_list_add(r->ctx, *io_list, h);
    }
    return r->ctx->err == ERR_OK;
}

struct ast_hints *parse__hints(struct parse_ctx *ctx, struct slice text)
{
    struct ast_hints *h = AST_NEW(ctx, ast_hints);
    struct reader r = {.ctx = ctx, .pos = text.ptr, .end = text.ptr + text.len};
    struct ast_list *list = NULL;
    next(&r);
    do {
        if (!hint(&r, &list)) {
            break;
        }
    } while (r.t.kind != T_END);
    h->text = text;
    h->list = LIST(ast_hint_list, list);
    return h;
}
