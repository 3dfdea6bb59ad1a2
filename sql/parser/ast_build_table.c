/* Builders of table references. */
#include "sql/parser/ast_build.h"

#include "sql/diag/my_error.h"

static void *table_new(struct parse_ctx *ctx, size_t size, enum ast_table_kind kind,
                       struct sql_loc loc, uint16_t depth)
{
    uint16_t level = ast_level(ctx, loc, depth);
    struct ast_table *t = ast_alloc(ctx, size);
    t->kind = kind;
    t->depth = level;
    t->pos = ast_pos_of(loc);
    return t;
}

void *ast_table_base(struct parse_ctx *ctx, struct sql_loc loc, void *name,
                     struct ast_list *partitions, struct slice alias, struct ast_list *hints,
                     void *sample)
{
    struct ast_table_base *t = table_new(ctx, sizeof(*t), AST_TABLE_BASE, loc, 0);
    t->name = *NAME(name);
    t->alias = alias;
    t->partitions = LIST(ast_ident_list, partitions);
    t->hints = LIST(ast_index_hint_list, hints);
    if (sample != NULL) {
        t->sample = ((const struct table_sample *)sample)->kind;
        t->sample_percent = ((const struct table_sample *)sample)->percent;
    }
    return t;
}

void *ast_derived(struct parse_ctx *ctx, struct sql_loc loc, void *query, struct slice alias,
                  struct ast_list *columns, bool lateral)
{
    struct ast_table_derived *t = table_new(ctx, sizeof(*t), AST_TABLE_DERIVED, loc,
                                            ((const struct ast_query *)query)->depth);
    t->query = query;
    t->alias = alias;
    t->columns = LIST(ast_ident_list, columns);
    t->lateral = lateral;
    return t;
}

void *ast_join(struct parse_ctx *ctx, struct sql_loc loc, uint32_t kind, void *left, void *right,
               void *on, struct ast_list *columns)
{
    const struct ast_table *l = left;
    const struct ast_table *r = right;
    uint16_t depth = ast_deeper(ast_deeper(l->depth, r->depth), ast_depth(on));
    struct ast_table_join *j = table_new(ctx, sizeof(*j), AST_TABLE_JOIN, loc, depth);
    j->kind = (enum ast_join_kind)(kind & JOIN_KIND_MASK);
    j->natural = (kind & JOIN_NATURAL) != 0;
    j->comma = (kind & JOIN_COMMA) != 0;
    j->cross = (kind & JOIN_CROSS) != 0;
    j->left = left;
    j->right = right;
    j->on = on;
    j->using_ = LIST(ast_ident_list, columns);
    return j;
}

/* The join that t is, when it may be taken apart. */
static struct ast_table_join *open_join(void *t)
{
    struct ast_table *table = t;
    return table->kind == AST_TABLE_JOIN && !table->parens ? t : NULL;
}

/* A join without a condition. The grammar reads `a JOIN b LEFT JOIN c ON x` as a JOIN (b LEFT JOIN
 * c ON x), because it cannot know in time that no condition follows for the first; the standard and
 * MySQL mean (a JOIN b) LEFT JOIN c ON x, where x may name a. So the leftmost table of the right
 * side is replaced by its join with the left side. */
void *ast_join_bare(struct parse_ctx *ctx, struct sql_loc loc, uint32_t kind, void *left,
                    void *right)
{
    struct ast_table_join *top = open_join(right);
    if (top == NULL || ctx->err != ERR_OK) {
        return ast_join(ctx, loc, kind, left, right, NULL, NULL);
    }
    struct ast_table_join *lowest = top;
    uint32_t steps = 1;
    while (open_join(lowest->left) != NULL) {
        lowest = open_join(lowest->left);
        steps++;
    }
    const struct ast_table *l = left;
    const struct ast_table *x = lowest->left;
    struct sql_loc inner = {l->pos.offset, x->pos.offset + x->pos.len};
    struct ast_table_join *j = ast_join(ctx, inner, kind, left, lowest->left, NULL, NULL);
    lowest->left = &j->table;
    /* The left edge grew by what the left side holds: bounds for depth and the new start. */
    uint16_t added = (uint16_t)(j->table.depth + steps);
    for (struct ast_table_join *t = top; t != NULL && t != j; t = open_join(t->left)) {
        t->table.depth = ast_deeper(t->table.depth, added--);
        t->table.pos.len += t->table.pos.offset - l->pos.offset;
        t->table.pos.offset = l->pos.offset;
    }
    ast_level(ctx, loc, (uint16_t)(top->table.depth - 1));
    return top;
}

void *ast_table_parens(struct parse_ctx *ctx, void *table)
{
    (void)ctx;
    ((struct ast_table *)table)->parens = true;
    return table;
}

void *ast_json_table(struct parse_ctx *ctx, struct sql_loc loc, void *doc, struct slice path,
                     struct ast_list *columns, struct slice alias)
{
    if (alias.ptr == NULL && ctx->err == ERR_OK) {
        ctx->err = my_error_at(ctx->diag, loc.offset, ER_TF_MUST_HAVE_ALIAS);
    }
    struct ast_json_table *t = table_new(ctx, sizeof(*t), AST_TABLE_JSON, loc, ast_depth(doc));
    t->doc = doc;
    t->path = path;
    t->columns = LIST(ast_json_column_list, columns);
    t->alias = alias;
    return t;
}
