/* Builders of INSERT, UPDATE, DELETE, LOAD. */
#include "sql/parser/ast_build.h"

/* MYSQL: VALUES ROW(..) alone, in parentheses or not, are rows as those of VALUES (..): each value
 * goes into its column by itself, may be DEFAULT or name a column; ORDER BY and LIMIT say nothing.
 */
static void take_rows(struct ast_insert *i)
{
    const struct ast_query *q = i->query;
    if (i->source == AST_INSERT_QUERY && q->with == NULL && q->into == NULL &&
        q->body->kind == AST_BODY_VALUES) {
        i->rows = ((const struct ast_values *)q->body)->rows;
        i->source = AST_INSERT_VALUES_ROW;
        i->query = NULL;
    }
}

/* The parts between the table and ON DUPLICATE KEY, as an ast_insert that lacks the rest. */
void *ast_insert_body(struct parse_ctx *ctx, void *source, bool has_columns,
                      struct ast_list *columns, void *alias)
{
    const struct insert_source *s = source;
    struct ast_insert *i = AST_NEW(ctx, ast_insert);
    i->source = s->kind;
    i->rows = LIST(ast_row_list, s->rows);
    i->set = LIST(ast_assignment_list, s->set);
    i->query = s->query;
    take_rows(i);
    i->has_columns = has_columns;
    i->columns = LIST(ast_expr_list, columns);
    const struct row_alias *a = alias;
    if (a != NULL) {
        i->row_alias = a->name;
        i->row_alias_columns = LIST(ast_ident_list, a->columns);
    }
    return i;
}

void *ast_insert(struct parse_ctx *ctx, bool replace, void *hints, uint64_t flags, void *table,
                 struct ast_list *partitions, void *body, struct ast_list *on_duplicate)
{
    struct ast_insert *i = body;
    i->stmt.kind = AST_STMT_INSERT;
    i->replace = replace;
    i->flags = (uint32_t)flags;
    i->hints = hints;
    ast_add_hints(ctx, hints);
    i->table = *NAME(table);
    i->partitions = LIST(ast_ident_list, partitions);
    i->on_duplicate = LIST(ast_assignment_list, on_duplicate);
    return i;
}

void *ast_update(struct parse_ctx *ctx, void *with, void *hints, uint64_t flags, void *table,
                 struct ast_list *set, void *where, struct ast_list *order_by, void *limit)
{
    struct ast_update *u = AST_NEW(ctx, ast_update);
    u->stmt.kind = AST_STMT_UPDATE;
    u->flags = (uint32_t)flags;
    u->hints = hints;
    ast_add_hints(ctx, hints);
    u->with = with;
    u->table = table;
    u->set = LIST(ast_assignment_list, set);
    u->where = where;
    u->order_by = LIST(ast_order_list, order_by);
    u->limit = limit;
    return u;
}

void *ast_delete(struct parse_ctx *ctx, void *with, void *hints, uint64_t flags,
                 struct ast_list *targets, void *table, void *where, struct ast_list *order_by,
                 void *limit)
{
    struct ast_delete *d = AST_NEW(ctx, ast_delete);
    d->stmt.kind = AST_STMT_DELETE;
    d->flags = (uint32_t)flags;
    d->hints = hints;
    ast_add_hints(ctx, hints);
    d->with = with;
    d->multi = targets != NULL;
    d->targets = LIST(ast_name_list, targets);
    d->table = table;
    d->where = where;
    d->order_by = LIST(ast_order_list, order_by);
    d->limit = limit;
    return d;
}

void *ast_load(struct parse_ctx *ctx, uint64_t xml, uint64_t flags, struct slice file, void *table,
               struct ast_list *partitions, void *format, struct slice rows_identified,
               uint64_t ignore_lines, struct ast_list *columns, struct ast_list *set)
{
    struct ast_load_data *l = AST_NEW(ctx, ast_load_data);
    l->stmt.kind = AST_STMT_LOAD_DATA;
    l->xml = xml != 0;
    l->local = (flags & LOAD_LOCAL) != 0;
    l->flags = ((flags & LOAD_LOW_PRIORITY) != 0 ? AST_DML_LOW_PRIORITY : 0u) |
               ((flags & LOAD_CONCURRENT) != 0 ? AST_DML_DELAYED : 0u);
    l->file = file;
    l->duplicates = (flags & LOAD_REPLACE) != 0  ? AST_LOAD_REPLACE
                    : (flags & LOAD_IGNORE) != 0 ? AST_LOAD_IGNORE
                                                 : AST_LOAD_ERROR;
    l->table = *NAME(table);
    l->partitions = LIST(ast_ident_list, partitions);
    l->format = *(const struct ast_file_format *)format;
    l->rows_identified_by = rows_identified;
    l->ignore_lines = ignore_lines;
    l->columns = LIST(ast_expr_list, columns);
    l->set = LIST(ast_assignment_list, set);
    return l;
}

void *ast_handler_read(struct parse_ctx *ctx, struct sql_loc loc, void *read)
{
    if (ctx->subquery > loc.offset) {
        parse__syntax_error(ctx, ctx->subquery - 1);
    }
    return read;
}
