#include "sql/parser/ast_build.h"

_Static_assert(sizeof(struct ast_alter_action) <= sizeof(((struct parse_ctx *)0)->scratch),
               "the largest node fits the scratch memory");

void ast_warn(struct parse_ctx *ctx, enum my_errno number, enum my_errno format_of)
{
    diag_area_warn_as(parse__deprecated(ctx), number, format_of);
}

void ast_warn_word(struct parse_ctx *ctx, const char *word, const char *instead)
{
    diag_area_warn(parse__deprecated(ctx), ER_WARN_DEPRECATED_SYNTAX, word, instead);
}

void ast_warn_super(struct parse_ctx *ctx)
{
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, ER_WARN_DEPRECATED_SYNTAX, my_error_sqlstate(ER_WARN_DEPRECATED_SYNTAX),
                 "The SUPER privilege identifier is deprecated");
    diag_area_add(parse__deprecated(ctx), DIAG_WARNING, &d);
}

void *ast_alloc(struct parse_ctx *ctx, size_t size)
{
    void *p = ctx->err == ERR_OK ? arena_alloc(ctx->arena, size) : NULL;
    if (UNLIKELY(p == NULL)) {
        parse__fail(ctx, ERR_NOMEM);
        p = ctx->scratch;
    }
    memset(p, 0, size);
    return p;
}

void *ast_syntax_error(struct parse_ctx *ctx, struct sql_loc loc)
{
    parse__syntax_error(ctx, loc.offset);
    return ctx->scratch;
}

void *ast_copy(struct parse_ctx *ctx, const void *node, size_t size)
{
    void *p = ctx->err == ERR_OK ? arena_alloc(ctx->arena, size) : NULL;
    if (UNLIKELY(p == NULL)) {
        parse__fail(ctx, ERR_NOMEM);
        memset(ctx->scratch, 0, sizeof(ctx->scratch));
        return ctx->scratch;
    }
    memcpy(p, node, size);
    return p;
}

struct ast_list *ast_list_add(struct parse_ctx *ctx, struct ast_list *list, void *item)
{
    if (ctx->err != ERR_OK) {
        return NULL;
    }
    if (list == NULL) {
        list = ast_alloc(ctx, sizeof(*list));
    }
    if (list->count == list->cap) {
        uint32_t cap = list->cap == 0 ? 2 : list->cap * 2;
        void **items = arena_alloc(ctx->arena, cap * sizeof(*items));
        if (items == NULL) {
            parse__fail(ctx, ERR_NOMEM);
            return NULL;
        }
        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof(*items));
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = item;
    return list;
}

struct ast_list *ast_list_concat(struct parse_ctx *ctx, struct ast_list *a,
                                 const struct ast_list *b)
{
    for (uint32_t i = 0; b != NULL && i < b->count && ctx->err == ERR_OK; i++) {
        a = ast_list_add(ctx, a, b->items[i]);
    }
    return a;
}

struct ast_list *ast_list_prepend(struct parse_ctx *ctx, struct ast_list *list, void *item)
{
    return ast_list_concat(ctx, ast_list_add(ctx, NULL, item), list);
}

const struct ast_list *ast_list_or_empty(const struct ast_list *list)
{
    static const struct ast_list empty = {NULL, 0, 0};
    return list != NULL ? list : &empty;
}

uint16_t ast_list_depth(const struct ast_list *exprs)
{
    uint16_t depth = 0;
    for (uint32_t i = 0; exprs != NULL && i < exprs->count; i++) {
        depth = ast_deeper(depth, ast_depth(exprs->items[i]));
    }
    return depth;
}

uint16_t ast_order_depth(const struct ast_list *items)
{
    uint16_t depth = 0;
    for (uint32_t i = 0; items != NULL && i < items->count; i++) {
        depth =
            ast_deeper(depth, ast_depth(((const struct ast_order_item *)items->items[i])->expr));
    }
    return depth;
}

uint16_t ast_level(struct parse_ctx *ctx, struct sql_loc loc, uint16_t depth)
{
    if (depth >= PARSER_DEPTH_MAX) {
        parse__stack_full(ctx, loc.offset);
        return depth;
    }
    depth++;
    ctx->depth = depth > ctx->depth ? depth : ctx->depth;
    return depth;
}

void *ast_expr_new(struct parse_ctx *ctx, size_t size, enum ast_expr_kind kind, struct sql_loc loc,
                   uint16_t depth)
{
    uint16_t level = ast_level(ctx, loc, depth);
    struct ast_expr *e = ast_alloc(ctx, size);
    e->kind = kind;
    e->depth = level;
    e->pos = ast_pos_of(loc);
    return e;
}
