/* Builders of ALTER TABLE. */
#include "sql/parser/ast_build.h"

/* ALGORITHM, LOCK, VALIDATION stand among the actions; as an item of a kind that no action has. */
void *ast_alter_modifier(struct parse_ctx *ctx, enum modifier_kind kind, struct slice text)
{
    struct ast_alter_action *a = AST_NEW(ctx, ast_alter_action);
    a->kind = (enum ast_alter_kind)ALTER_MODIFIER;
    a->number = (uint64_t)kind;
    a->name = text;
    return a;
}

void *ast_alter_table(struct parse_ctx *ctx, void *name, struct ast_list *items)
{
    struct ast_alter_table *t = AST_NEW(ctx, ast_alter_table);
    t->stmt.kind = AST_STMT_ALTER_TABLE;
    t->name = *NAME(name);
    struct ast_list *actions = NULL;
    for (uint32_t i = 0; items != NULL && i < items->count; i++) {
        struct ast_alter_action *a = items->items[i];
        if ((int)a->kind == ALTER_MODIFIER) {
            ast_modifiers_add(ctx, &t->modifiers, a);
        } else {
            actions = LISTADD(actions, a);
        }
    }
    t->actions = LIST(ast_alter_action_list, actions);
    return t;
}

void *ast_alter_elements(struct parse_ctx *ctx, struct sql_loc loc, struct ast_list *elements)
{
    const struct ast_create_table *all = ast_create_body(ctx, elements, NULL, NULL, NULL);
    struct ast_alter_action *a = AST_NEW(ctx, ast_alter_action);
    a->kind = AST_ALTER_ADD_ELEMENTS;
    a->pos = ast_pos_of(loc);
    if (ctx->err == ERR_OK) {
        a->columns = all->columns;
        a->indexes = all->indexes;
        a->checks = all->checks;
    }
    return a;
}

void *ast_alter_column(struct parse_ctx *ctx, struct sql_loc loc, enum ast_alter_kind kind,
                       void *column, void *place)
{
    struct ast_alter_action *a = AST_NEW(ctx, ast_alter_action);
    a->kind = kind;
    a->pos = ast_pos_of(loc);
    a->column = column;
    if (ctx->err == ERR_OK) {
        a->name = a->column->name;
        a->name_pos = a->column->pos;
    }
    if (place != NULL) {
        a->place = ((const struct column_place *)place)->place;
        a->after = ((const struct column_place *)place)->after;
    }
    return a;
}

void *ast_alter_change(struct parse_ctx *ctx, struct sql_loc loc, struct slice name,
                       struct sql_loc name_loc, void *column, void *place)
{
    struct ast_alter_action *a = ast_alter_column(ctx, loc, AST_ALTER_CHANGE_COLUMN, column, place);
    a->name = name;
    a->name_pos = ast_pos_of(name_loc);
    return a;
}
