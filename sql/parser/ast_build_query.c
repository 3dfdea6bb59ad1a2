/* Builders of queries. A query's depth is that of the deepest thing within it, so that the depth of
 * an expression counts what its subqueries hold. */
#include "sql/parser/ast_build.h"

static uint16_t body_depth(const void *body)
{
    return ((const struct ast_body *)body)->depth;
}

void *ast_query(struct parse_ctx *ctx, struct sql_loc loc, void *with, void *body,
                struct ast_list *order_by, void *limit)
{
    uint16_t depth = ast_deeper(body_depth(body), ast_order_depth(order_by));
    const struct ast_with *w = with;
    for (uint32_t i = 0; w != NULL && i < w->ctes.count; i++) {
        depth = ast_deeper(depth, w->ctes.items[i]->query->depth);
    }
    uint16_t level = ast_level(ctx, loc, depth);
    struct ast_query *q = AST_NEW(ctx, ast_query);
    q->pos = ast_pos_of(loc);
    q->depth = level;
    q->with = with;
    q->body = body;
    q->order_by = LIST(ast_order_list, order_by);
    q->limit = limit;
    return q;
}

void *ast_query_close(struct parse_ctx *ctx, void *query)
{
    (void)ctx;
    return query;
}

/* A parenthesised query to which a clause is added becomes the body of a new one. */
void *ast_query_wrap(struct parse_ctx *ctx, struct sql_loc loc, void *query)
{
    return ast_query(ctx, loc, NULL, ast_body_query(ctx, loc, query), NULL, NULL);
}

void *ast_query_tail(struct parse_ctx *ctx, struct sql_loc loc, void *query, void *tail)
{
    (void)ctx;
    struct ast_query *q = query;
    const struct query_tail *t = tail;
    q->pos = ast_pos_of(loc);
    q->locking = LIST(ast_locking_list, t->locking);
    q->into = t->into;
    return q;
}

/* An operand of a set operation, or the body under added clauses. A query that is nothing but its
 * body needs no node of its own. */
void *ast_body_query(struct parse_ctx *ctx, struct sql_loc loc, void *query)
{
    struct ast_query *q = query;
    if (q->with == NULL && q->order_by.count == 0 && q->limit == NULL && q->locking.count == 0 &&
        q->into == NULL && q->body != NULL && ctx->err == ERR_OK) {
        q->body->parens = true;
        return q->body;
    }
    struct ast_body_query *b = AST_NEW(ctx, ast_body_query);
    b->body.kind = AST_BODY_QUERY;
    b->body.depth = q->depth;
    b->body.pos = ast_pos_of(loc);
    b->query = q;
    return b;
}

/* Query blocks are told apart by the order in which they end; those of common table expressions are
 * no part of the text around them. */
static void end_block(struct parse_ctx *ctx, struct ast_body *block)
{
    block->before = ctx->last_block;
    ctx->last_block = block;
}

void *ast_cte(struct parse_ctx *ctx, struct sql_loc loc, struct slice name,
              struct ast_list *columns, void *query)
{
    struct ast_cte *c = AST_NEW(ctx, ast_cte);
    c->name = name;
    c->columns = LIST(ast_ident_list, columns);
    c->query = query;
    c->pos = ast_pos_of(loc);
    struct ast_body *b = ctx->err == ERR_OK ? ctx->last_block : NULL;
    for (; b != NULL && b->pos.offset >= loc.offset; b = b->before) {
        b->in_cte = true;
    }
    return c;
}

void ast_add_hints(struct parse_ctx *ctx, struct ast_hints *hints)
{
    if (UNLIKELY(hints != NULL)) {
        ctx->hints = ast_list_add(ctx, ctx->hints, hints);
    }
}

struct ast_hinted *ast_hinted(struct parse_ctx *ctx)
{
    if (LIKELY(ctx->hints == NULL)) {
        return NULL;
    }
    struct ast_hinted *h = AST_NEW(ctx, ast_hinted);
    h->lists = LIST(ast_hints_list, ctx->hints);
    h->last_block = ctx->last_block;
    return h;
}

void *ast_body_table(struct parse_ctx *ctx, struct sql_loc loc, void *name)
{
    struct ast_body_table *b = AST_NEW(ctx, ast_body_table);
    b->body.kind = AST_BODY_TABLE;
    b->body.depth = 1;
    b->body.pos = ast_pos_of(loc);
    b->name = *NAME(name);
    end_block(ctx, &b->body);
    return b;
}

/* Looks at the links before the new one. Those of one operation that are ALL in part only make two
 * of it, one below the other. */
static void look_before(struct ast_setop *s, struct ast_set_link *link)
{
    const struct ast_set_link *before = s->links.count == 0 ? NULL : ast_set_last(s);
    if (before == NULL || before->op != link->op) {
        link->nests = before != NULL;
        s->run_all = link->all;
        s->run_mixed = false;
    } else if (link->op == AST_SETOP_INTERSECT) {
        link->nests = s->run_all && link->all;
        s->run_all = link->nests;
    } else if (!s->run_mixed && link->all != before->all) {
        s->run_mixed = true;
        s->deeper++;
    }
    s->nests = (uint16_t)(s->nests + link->nests);
    s->deeper = (uint16_t)(s->deeper + link->nests);
}

void *ast_setop(struct parse_ctx *ctx, struct sql_loc loc, enum ast_setop_kind op, bool all,
                void *left, void *right)
{
    struct ast_setop *s = left;
    if (s->body.kind != AST_BODY_SETOP || ctx->err != ERR_OK) {
        s = AST_NEW(ctx, ast_setop);
        s->body.kind = AST_BODY_SETOP;
        s->first = left;
        s->operand_depth = body_depth(left);
    }
    struct ast_set_link *link = AST_NEW(ctx, ast_set_link);
    if (ctx->err != ERR_OK) {
        return s;
    }
    *link = (struct ast_set_link){.op = op, .all = all, .body = right};
    look_before(s, link);
    if (s->nests > PARSER_QUERY_DEPTH_MAX) {
        ctx->err = my_error_at(ctx->diag, loc.offset, ER_TOO_HIGH_LEVEL_OF_NESTING_FOR_SELECT);
        return s;
    }
    ast_list_add(ctx, (struct ast_list *)&s->links, link);
    s->operand_depth = ast_deeper(s->operand_depth, body_depth(right));
    s->body.depth = ast_level(ctx, loc, (uint16_t)(s->operand_depth + s->deeper));
    s->body.pos = ast_pos_of(loc);
    s->body.parens = false;
    return s;
}

void *ast_values(struct parse_ctx *ctx, struct sql_loc loc, struct ast_list *rows)
{
    struct ast_values *b = AST_NEW(ctx, ast_values);
    b->body.kind = AST_BODY_VALUES;
    b->body.depth = ast_list_depth(rows);
    b->body.pos = ast_pos_of(loc);
    b->rows = LIST(ast_row_list, rows);
    end_block(ctx, &b->body);
    return b;
}

struct group {
    struct ast_list *exprs;
    enum ast_group_mode mode;
};

/* The address says FROM DUAL; it is never read. */
static struct ast_table dual;

void *ast_dual(struct parse_ctx *ctx)
{
    (void)ctx;
    return &dual;
}

void *ast_group_exprs(struct parse_ctx *ctx, struct ast_list *exprs, enum ast_group_mode mode)
{
    return ast_copy(ctx, &(struct group){exprs, mode}, sizeof(struct group));
}

static uint16_t select_depth(const struct ast_select *s, const struct ast_list *windows)
{
    uint16_t depth = ast_deeper(ast_depth(s->where), ast_depth(s->having));
    depth = ast_deeper(depth, ast_depth(s->qualify));
    depth = ast_deeper(depth, ast_list_depth((const struct ast_list *)&s->group_by));
    for (uint32_t i = 0; i < s->items.count; i++) {
        depth = ast_deeper(depth, ast_depth(s->items.items[i]->expr));
    }
    for (uint32_t i = 0; windows != NULL && i < windows->count; i++) {
        const struct ast_window *w = windows->items[i];
        depth = ast_deeper(depth, ast_list_depth((const struct ast_list *)&w->partition_by));
        depth = ast_deeper(depth, ast_order_depth((const struct ast_list *)&w->order_by));
    }
    return s->from != NULL ? ast_deeper(depth, s->from->depth) : depth;
}

void *ast_select(struct parse_ctx *ctx, struct sql_loc loc, void *hints, uint64_t options,
                 struct ast_list *items, void *into, void *from, void *where, void *group,
                 void *having, struct ast_list *windows, void *qualify)
{
    struct ast_select *s = AST_NEW(ctx, ast_select);
    s->body.kind = AST_BODY_SELECT;
    s->body.pos = ast_pos_of(loc);
    s->options = (uint32_t)options;
    s->hints = hints;
    s->items = LIST(ast_select_list, items);
    s->from_dual = from == &dual;
    s->from = s->from_dual ? NULL : from;
    s->where = where;
    const struct group *g = group;
    if (g != NULL) {
        s->group_by = LIST(ast_expr_list, g->exprs);
        s->group_mode = g->mode;
    }
    s->having = having;
    s->windows = LIST(ast_window_list, windows);
    s->qualify = qualify;
    s->into = into;
    s->body.depth = ctx->err == ERR_OK ? select_depth(s, windows) : 1;
    end_block(ctx, &s->body);
    ast_add_hints(ctx, hints);
    return s;
}

static bool at(struct slice s, size_t i, const char *word)
{
    return slice_starts_with(slice_from(s, i), slice_str(word));
}

/* Where the part of the text ends that begins at i with `close` as its end. */
static size_t end_of(struct slice s, size_t i, const char *close)
{
    while (i < s.len && !at(s, i, close)) {
        i++;
    }
    return i < s.len ? i + strlen(close) : s.len;
}

static size_t end_of_quoted(struct slice s, size_t i, bool escapes)
{
    uint8_t quote = s.ptr[i];
    for (i++; i < s.len; i++) {
        if (s.ptr[i] == '\\' && escapes && quote != '`') {
            i++;
        } else if (s.ptr[i] == quote) {
            return i + 1;
        }
    }
    return s.len;
}

/* MYSQL: an item is named as if comments whose text counts had no marks, and as if those that do
 * not count were not there. */
static struct slice without_version_comments(struct parse_ctx *ctx, struct slice s)
{
    size_t n = 0;
    bool any = false;
    for (size_t i = 0; i + 1 < s.len && !any; i++) {
        any = s.ptr[i] == '*' ? s.ptr[i + 1] == '/' : s.ptr[i] == '/' && at(s, i, "/*!");
    }
    uint8_t *out = any ? arena_alloc(ctx->arena, s.len + 1) : NULL;
    if (out == NULL) {
        return s;
    }
    for (size_t i = 0; i < s.len;) {
        uint8_t c = s.ptr[i];
        size_t end = i + 1;
        size_t skip = 0;
        if (c == '\'' || c == '"' || c == '`') {
            end = end_of_quoted(s, i, (ctx->lexer.mode & PARSE_MODE_NO_BACKSLASH_ESCAPES) == 0);
        } else if (at(s, i, "/*!")) {
            skip = lexer_version_comment(slice_from(s, i));
            skip = skip != 0 ? skip : end_of(s, i, "*/") - i;
        } else if (at(s, i, "*/")) {
            skip = 2;
        } else if (at(s, i, "/*")) {
            end = end_of(s, i + 2, "*/");
        } else if (c == '#' || at(s, i, "-- ") || at(s, i, "--\n")) {
            end = end_of(s, i, "\n");
        }
        if (skip != 0) {
            i += skip;
            continue;
        }
        memcpy(out + n, s.ptr + i, end - i);
        n += end - i;
        i = end;
    }
    return slice_of(out, n);
}

void *ast_select_item(struct parse_ctx *ctx, struct sql_loc loc, void *expr, struct slice alias)
{
    struct ast_select_item *i = AST_NEW(ctx, ast_select_item);
    i->expr = expr;
    i->alias = alias;
    i->text = parse__to_utf8(ctx, without_version_comments(ctx, parse__text_at(ctx, loc)));
    i->pos = ast_pos_of(loc);
    return i;
}

/* ---- INTO ---- */

void *ast_file_format(struct parse_ctx *ctx, struct slice charset, void *fields, void *lines)
{
    struct ast_file_format *f = AST_NEW(ctx, ast_file_format);
    if (fields != NULL) {
        *f = *(const struct ast_file_format *)fields;
    }
    if (lines != NULL) {
        f->line_start = ((const struct ast_file_format *)lines)->line_start;
        f->line_term = ((const struct ast_file_format *)lines)->line_term;
    }
    f->charset = charset;
    return f;
}

static struct slice or_else(struct slice later, struct slice earlier)
{
    return later.ptr != NULL ? later : earlier;
}

void *ast_format_merge(struct parse_ctx *ctx, void *a, void *b)
{
    const struct ast_file_format *x = a;
    const struct ast_file_format *y = b;
    struct ast_file_format both = {
        .field_term = or_else(y->field_term, x->field_term),
        .field_enclosed = or_else(y->field_enclosed, x->field_enclosed),
        .field_escaped = or_else(y->field_escaped, x->field_escaped),
        .optionally_enclosed = x->optionally_enclosed || y->optionally_enclosed,
        .line_start = or_else(y->line_start, x->line_start),
        .line_term = or_else(y->line_term, x->line_term),
    };
    return ast_copy(ctx, &both, sizeof(both));
}

void *ast_into_file(struct parse_ctx *ctx, struct sql_loc loc, enum ast_into_kind kind,
                    struct slice file, void *format)
{
    struct ast_into *i = AST_NEW(ctx, ast_into);
    i->kind = kind;
    i->pos = ast_pos_of(loc);
    i->file = file;
    if (format != NULL) {
        i->format = *(const struct ast_file_format *)format;
    }
    return i;
}
