/* Drives lexer and grammar.
 *
 * parse__next_token() stands between them. It looks one token ahead, which settles what LALR(1)
 * cannot: WITH ROLLUP, FULL OUTER, and whether a literal is lifted. It tells words that are options
 * from the same words as names by the token before (SQL_NO_CACHE, QUICK), counts how deep queries
 * nest, and makes a token's text into its value.
 *
 * A failure anywhere is kept in ctx->err; the token stream then ends with LEX_BAD, and Bison gives
 * up. Bison's stacks grow in the arena. */
#include "sql/parser/parser.h"

#include "sql/diag/my_error.h"
#include "sql/parser/ast_build.h"
#include "sql/parser/hint_parse.h"
#include "sql_grammar.h"

void parse__fail(struct parse_ctx *ctx, db_err err)
{
    if (ctx->err == ERR_OK) {
        ctx->err = err;
        diag_set(ctx->diag, err, "%s", err_text(err));
    }
}

void parse__syntax_error(struct parse_ctx *ctx, uint32_t offset)
{
    if (ctx->err != ERR_OK) {
        return;
    }
    char near[81]; /* the message shows 80 bytes at most */
    size_t n =
        ctx->text.len - offset < sizeof(near) - 1 ? ctx->text.len - offset : sizeof(near) - 1;
    memcpy(near, ctx->text.ptr + offset, n);
    near[n] = '\0';
    ctx->err = my_error_at(ctx->diag, offset, ER_PARSE_ERROR, my_error_format(ER_SYNTAX_ERROR),
                           near, (int)lex_line_of(ctx->text, offset));
}

void parse__stack_full(struct parse_ctx *ctx, uint32_t offset)
{
    if (ctx->err != ERR_OK) {
        return;
    }
    ctx->err = my_error_at(ctx->diag, offset, ER_STACK_OVERRUN_NEED_MORE, (long)PARSER_DEPTH_MAX,
                           (long)PARSER_DEPTH_MAX, 1L);
}

struct diag_area *parse__deprecated(struct parse_ctx *ctx)
{
    ctx->warned = true;
    return ctx->opts.warnings != NULL ? ctx->opts.warnings->area : NULL;
}

/* Whether there is a word to say of the name, the listener knows. */
static void named(struct parse_ctx *ctx, struct slice name,
                  void (*tell)(struct diag_area *area, struct slice name))
{
    uint64_t before = ctx->opts.warnings->area->total;
    tell(ctx->opts.warnings->area, name);
    ctx->warned = ctx->warned || ctx->opts.warnings->area->total != before;
}

void parse__charset_named(struct parse_ctx *ctx, struct slice name)
{
    if (ctx->opts.warnings != NULL && ctx->err == ERR_OK) {
        named(ctx, name, ctx->opts.warnings->charset);
    }
}

void parse__collation_named(struct parse_ctx *ctx, struct slice name)
{
    if (ctx->opts.warnings != NULL && ctx->err == ERR_OK) {
        named(ctx, name, ctx->opts.warnings->collation);
    }
}

void parse__variable_named(struct parse_ctx *ctx, enum ast_scope scope, struct slice name)
{
    const struct parse_warnings *w = ctx->opts.warnings;
    if (w != NULL && w->variable != NULL && ctx->err == ERR_OK) {
        uint64_t before = w->area->total;
        w->variable(w->area, scope, name);
        ctx->warned = ctx->warned || w->area->total != before;
    }
}

void *parse__stack_alloc(struct parse_ctx *ctx, size_t size)
{
    void *p = arena_alloc(ctx->arena, size);
    if (p == NULL) {
        parse__fail(ctx, ERR_NOMEM);
    }
    return p;
}

/* ---- tokens ---- */

static void read_token(struct parse_ctx *ctx, struct lex_token *t)
{
    if (ctx->has_ahead) {
        *t = ctx->ahead;
        ctx->has_ahead = false;
    } else {
        lexer_next(&ctx->lexer, t);
    }
}

static const struct lex_token *peek_token(struct parse_ctx *ctx)
{
    if (!ctx->has_ahead) {
        lexer_next(&ctx->lexer, &ctx->ahead);
        ctx->has_ahead = true;
    }
    return &ctx->ahead;
}

/* An open parenthesis that holds a query was met: no more than PARSER_QUERY_DEPTH_MAX within each
 * other. */
static void count_query(struct parse_ctx *ctx, const struct lex_token *t)
{
    if (ctx->query_count == PARSER_QUERY_DEPTH_MAX) {
        if (ctx->err == ERR_OK) {
            ctx->err = my_error_at(ctx->diag, t->offset, ER_TOO_HIGH_LEVEL_OF_NESTING_FOR_SELECT);
        }
        return;
    }
    ctx->query_parens[ctx->query_count++] = ctx->paren_depth;
}

static void count_paren(struct parse_ctx *ctx, int kind)
{
    if (kind == '(') {
        ctx->paren_depth++;
        return;
    }
    if (ctx->query_count > 0 && ctx->query_parens[ctx->query_count - 1] == ctx->paren_depth) {
        ctx->query_count--;
    }
    if (ctx->paren_depth > 0) {
        ctx->paren_depth--;
    }
}

static bool after_select_option(int kind)
{
    switch (kind) {
    case KW_SELECT:
    case HINT:
    case KW_DISTINCT:
    case KW_ALL:
    case KW_HIGH_PRIORITY:
    case KW_STRAIGHT_JOIN:
    case KW_SQL_SMALL_RESULT:
    case KW_SQL_BIG_RESULT:
    case KW_SQL_CALC_FOUND_ROWS:
    case OPT_SQL_BUFFER_RESULT:
    case OPT_SQL_NO_CACHE: return true;
    default: return false;
    }
}

static bool after_delete_option(int kind)
{
    return kind == KW_DELETE || kind == HINT || kind == KW_LOW_PRIORITY || kind == KW_IGNORE ||
           kind == OPT_QUICK;
}

/* What a word is where its meaning depends on its neighbours. */
static int adjust_word(struct parse_ctx *ctx, struct lex_token *t)
{
    switch (t->kind) {
    case KW_WITH:
        if (peek_token(ctx)->kind == KW_ROLLUP) {
            t->end = ctx->ahead.end;
            ctx->has_ahead = false;
            return KW_WITH_ROLLUP;
        }
        return KW_WITH;
    case KW_FULL:
        if ((ctx->opts.flags & PARSE_NO_FULL_JOIN) == 0 && peek_token(ctx)->kind == KW_OUTER) {
            t->end = ctx->ahead.end;
            ctx->has_ahead = false;
            return KW_FULL_OUTER;
        }
        return KW_FULL;
    case KW_NOT: return (ctx->opts.mode & PARSE_MODE_HIGH_NOT_PRECEDENCE) != 0 ? KW_NOT2 : KW_NOT;
    case KW_SQL_BUFFER_RESULT:
        return after_select_option(ctx->last_kind) ? OPT_SQL_BUFFER_RESULT : t->kind;
    case KW_SQL_NO_CACHE: return after_select_option(ctx->last_kind) ? OPT_SQL_NO_CACHE : t->kind;
    case KW_QUICK: return after_delete_option(ctx->last_kind) ? OPT_QUICK : t->kind;
    case KW_SELECT:
    case KW_TABLE:
        if (ctx->last_kind == '(') {
            count_query(ctx, t);
        }
        return t->kind;
    default: return t->kind;
    }
}

struct slice parse__to_utf8(struct parse_ctx *ctx, struct slice text)
{
    const struct parse_charset *cs = ctx->opts.charset;
    struct slice ret = text;
    if (UNLIKELY(cs != NULL) && ctx->err == ERR_OK) {
        db_err err = cs->to_utf8(cs->arg, ctx->arena, text, &ret);
        if (err != ERR_OK) {
            parse__fail(ctx, err);
            ret = text;
        }
    }
    return ret;
}

static void set_value(struct parse_ctx *ctx, const struct lex_token *t, bool lifted,
                      union sql_value *value)
{
    switch (t->kind) {
    case NUM:
    case DECIMAL_NUM:
    case FLOAT_NUM:
    case HEX_NUM:
    case BIN_NUM:
        value->tok =
            (struct sql_tok){t->text.ptr, (uint32_t)t->text.len, lifted ? ctx->lift.count : 0};
        break;
    case TEXT_STRING:
    case NCHAR_STRING:
    case IDENT_QUOTED:
    case USER_VAR: {
        struct slice text = t->text;
        if ((t->flags & LEX_ESCAPED) != 0) {
            db_err err = lex_unescape(ctx->arena, t, ctx->opts.mode, ctx->opts.charset, &text);
            if (err != ERR_OK) {
                parse__fail(ctx, err);
            }
        }
        if (t->kind == IDENT_QUOTED || t->kind == USER_VAR) {
            value->text = parse__to_utf8(ctx, text);
        } else {
            value->tok =
                (struct sql_tok){text.ptr, (uint32_t)text.len, lifted ? ctx->lift.count : 0};
        }
        break;
    }
    case IDENT: value->text = parse__to_utf8(ctx, t->text); break;
    case HINT: value->node = parse__hints(ctx, t->text); break;
    default: value->text = t->text; break;
    }
}

int parse__next_token(struct parse_ctx *ctx, union sql_value *value, struct sql_loc *loc)
{
    if (!ctx->started) {
        ctx->started = true;
        *loc = (struct sql_loc){0, 0};
        return ctx->start_mark;
    }
    struct lex_token t;
    read_token(ctx, &t);
    bool lifted = false;
    if ((ctx->opts.flags & PARSE_LIFT_LITERALS) != 0) {
        int next = t.kind == 0 ? 0 : peek_token(ctx)->kind;
        lifted = lift_token(&ctx->lift, t.kind, t.end - t.offset, next);
    }
    int kind = t.kind;
    if (kind > WORDS_BEGIN) {
        kind = adjust_word(ctx, &t);
    } else if (kind == '(' || kind == ')') {
        count_paren(ctx, kind);
    }
    *loc = (struct sql_loc){t.offset, t.end};
    set_value(ctx, &t, lifted, value);
    ctx->last_kind = kind;
    return ctx->err == ERR_OK ? kind : LEX_BAD;
}

/* ---- results ---- */

/* Whether the expressions that were read assign it; of very many assignments that is taken for
 * granted. */
static bool is_assigned(const struct parse_ctx *ctx, struct slice name)
{
    enum { ASSIGNS_MAX = 64 };
    uint32_t n = 0;
    for (const struct ast_user_var *a = ctx->assigns; a != NULL; a = a->before) {
        if (++n > ASSIGNS_MAX || slice_eq_nocase(a->name, name)) {
            return true;
        }
    }
    return false;
}

static void mark_assigned(struct parse_ctx *ctx)
{
    for (struct ast_user_var *v = ctx->vars; v != NULL && ctx->assigns != NULL; v = v->before) {
        v->assigned = is_assigned(ctx, v->name);
    }
}

void parse__finish(struct parse_ctx *ctx, void *stmt, struct sql_loc loc, uint32_t end,
                   bool has_semicolon)
{
    if (ctx->err != ERR_OK) {
        return;
    }
    ctx->stmt = stmt;
    ctx->stmt->pos = ast_pos_of(loc);
    ctx->stmt->param_count = ctx->params;
    ctx->stmt->hinted = ast_hinted(ctx);
    mark_assigned(ctx);
    ctx->stmt->warned = ctx->warned || ctx->lexer.warned;
    ctx->consumed = has_semicolon ? end : ctx->text.len;
}

static void ctx_init(struct parse_ctx *ctx, struct arena *arena, struct slice text,
                     const struct parse_options *opts, struct diag *diag, int start_mark)
{
    ctx->arena = arena;
    ctx->text = text;
    ctx->opts = opts != NULL ? *opts : (struct parse_options){0};
    ctx->diag = diag;
    ctx->err = ERR_OK;
    lexer_init(&ctx->lexer, text, ctx->opts.mode);
    ctx->lexer.charset = ctx->opts.charset;
    ctx->lexer.warnings = ctx->opts.warnings != NULL ? ctx->opts.warnings->area : NULL;
    lift_init(&ctx->lift);
    ctx->has_ahead = false;
    ctx->started = false;
    ctx->start_mark = start_mark;
    ctx->last_kind = 0;
    ctx->warned = false;
    ctx->params = 0;
    ctx->vars = ctx->assigns = NULL;
    ctx->last_block = NULL;
    ctx->hints = NULL;
    ctx->subquery = 0;
    ctx->limited = false;
    ctx->paren_depth = 0;
    ctx->depth = 0;
    ctx->query_count = 0;
    ctx->stmt = NULL;
    ctx->expr = NULL;
    ctx->consumed = 0;
}

static db_err run(struct parse_ctx *ctx)
{
    int rc = sqlyyparse(ctx);
    if (rc != 0 && ctx->err == ERR_OK) {
        parse__stack_full(ctx, 0);
    }
    return ctx->err;
}

/* After ';': only PARSE_MULTI allows another statement. */
static db_err check_rest(struct parse_ctx *ctx)
{
    if (ctx->consumed == ctx->text.len) {
        return ERR_OK;
    }
    struct lex_token t;
    read_token(ctx, &t);
    if (t.kind == 0) {
        ctx->consumed = ctx->text.len;
    } else if ((ctx->opts.flags & PARSE_MULTI) == 0) {
        parse__syntax_error(ctx, t.offset);
    }
    return ctx->err;
}

/* MYSQL: what the grammar takes and nothing runs is told when all of it is read, and before any
 * name in it is looked for. */
static db_err refuse_limit(const struct parse_ctx *ctx)
{
    return ctx->limited
               ? my_error(ctx->diag, ER_NOT_SUPPORTED_YET, "LIMIT & IN/ALL/ANY/SOME subquery")
               : ERR_OK;
}

db_err parser_parse(struct arena *arena, struct slice text, const struct parse_options *opts,
                    struct diag *diag, struct ast_stmt **ret_stmt, size_t *ret_consumed)
{
    if (text.len >= UINT32_MAX) {
        return diag_set(diag, ERR_LIMIT, "the statement is longer than 4 GiB");
    }
    struct parse_ctx ctx;
    struct slice trimmed = lexer_trim(text);
    ctx_init(&ctx, arena, trimmed, opts, diag, MARK_STMT);
    db_err err = run(&ctx);
    if (err == ERR_NOMEM && arena->tracker != NULL) {
        diag_reset(diag); /* nearly always the statement's own */
        return ERR_LIMIT;
    }
    TRY(err);
    TRY(check_rest(&ctx));
    TRY(refuse_limit(&ctx));
    TRY(my_stack_for_levels(diag, ctx.depth));
    *ret_stmt = ctx.stmt;
    if (ret_consumed != NULL) {
        *ret_consumed = ctx.consumed == trimmed.len ? text.len : ctx.consumed;
    }
    return ERR_OK;
}

db_err parser_parse_expr(struct arena *arena, struct slice text, const struct parse_options *opts,
                         struct diag *diag, struct ast_expr **ret_expr)
{
    if (text.len >= UINT32_MAX) {
        return diag_set(diag, ERR_LIMIT, "the expression is longer than 4 GiB");
    }
    struct parse_ctx ctx;
    ctx_init(&ctx, arena, text, opts, diag, MARK_EXPR);
    TRY(run(&ctx));
    TRY(refuse_limit(&ctx));
    TRY(my_stack_for_levels(diag, ctx.depth));
    mark_assigned(&ctx);
    *ret_expr = ctx.expr;
    return ERR_OK;
}
