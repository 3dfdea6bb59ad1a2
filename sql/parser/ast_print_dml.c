/* Prints INSERT, REPLACE, UPDATE and DELETE, and whole statements. */
#include "sql/parser/ast_print_int.h"

static void print_dml_flags(struct printer *p, uint32_t flags)
{
    print__text(p, (flags & AST_DML_LOW_PRIORITY) != 0 ? " LOW_PRIORITY" : "");
    print__text(p, (flags & AST_DML_HIGH_PRIORITY) != 0 ? " HIGH_PRIORITY" : "");
    print__text(p, (flags & AST_DML_DELAYED) != 0 ? " DELAYED" : "");
    print__text(p, (flags & AST_DML_QUICK) != 0 ? " QUICK" : "");
    print__text(p, (flags & AST_DML_IGNORE) != 0 ? " IGNORE" : "");
}

static void print_set(struct printer *p, const char *word, const struct ast_assignment_list *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        print__text(p, i > 0 ? ", " : word);
        print__expr(p, &set->items[i]->column->expr);
        print__text(p, " = ");
        print__expr(p, set->items[i]->value);
    }
}

static void print_statement_hints(struct printer *p, const struct ast_hints *hints)
{
    print__hints(p, hints);
    if (p->view) {
        print__hints_in_front(p);
    }
}

/* MYSQL: SET is shown as a list of columns and a row, an empty list not at all. */
static void print_columns(struct printer *p, const struct ast_insert *s)
{
    bool of_set = p->view && s->source == AST_INSERT_SET;
    if (!of_set && (!s->has_columns || (p->view && s->columns.count == 0))) {
        return;
    }
    print__text(p, " (");
    for (uint32_t i = 0; of_set && i < s->set.count; i++) {
        print__text(p, i > 0 ? ", " : "");
        print__expr(p, &s->set.items[i]->column->expr);
    }
    if (!of_set) {
        print__exprs(p, &s->columns);
    }
    print__text(p, ")");
}

static void print_values_of_set(struct printer *p, const struct ast_assignment_list *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        print__text(p, i > 0 ? ", " : " VALUES (");
        print__expr(p, set->items[i]->value);
    }
    print__text(p, ")");
}

static void print_source(struct printer *p, const struct ast_insert *s)
{
    switch (s->source) {
    case AST_INSERT_VALUES:
    case AST_INSERT_VALUES_ROW:
        for (uint32_t i = 0; i < s->rows.count; i++) {
            print__text(p, i == 0 ? " VALUES (" : p->view ? ",(" : ", (");
            print__exprs(p, &s->rows.items[i]->items);
            print__text(p, ")");
        }
        break;
    case AST_INSERT_SET:
        if (p->view) {
            print_values_of_set(p, &s->set);
        } else {
            print_set(p, " SET ", &s->set);
        }
        break;
    case AST_INSERT_QUERY: {
        struct ast_query q = *s->query;
        q.with = p->view ? NULL : q.with;
        print__text(p, " ");
        print__query(p, &q);
        break;
    }
    }
}

/* MYSQL: the note shows WITH first, and neither DELAYED nor the alias of the row. */
static void print_insert(struct printer *p, const struct ast_insert *s)
{
    size_t from = p->buf->len;
    print__text(p, s->replace ? "REPLACE" : "INSERT");
    print_statement_hints(p, s->hints);
    print_dml_flags(p, p->view ? s->flags & ~(uint32_t)AST_DML_DELAYED : s->flags);
    print__text(p, " INTO ");
    print__table_name(p, &s->table);
    print__partitions(p, &s->partitions);
    print_columns(p, s);
    print_source(p, s);
    if (!p->view) {
        print__alias(p, s->row_alias, &s->row_alias_columns);
    }
    print_set(p, " ON DUPLICATE KEY UPDATE ", &s->on_duplicate);
    if (p->view && s->source == AST_INSERT_QUERY) {
        print__with_before(p, s->query->with, from);
    }
}

static void print_update(struct printer *p, const struct ast_update *s)
{
    size_t from = p->buf->len;
    print__with(p, p->count_selects ? NULL : s->with);
    print__text(p, "UPDATE");
    print_statement_hints(p, s->hints);
    print_dml_flags(p, s->flags);
    print__text(p, " ");
    print__from(p, s->table);
    print_set(p, " SET ", &s->set);
    print__condition_clause(p, " WHERE ", s->where);
    print__order(p, &s->order_by);
    print__limit(p, s->limit);
    print__with_before(p, p->count_selects ? s->with : NULL, from);
}

static void print_delete(struct printer *p, const struct ast_delete *s)
{
    size_t from = p->buf->len;
    print__with(p, p->count_selects ? NULL : s->with);
    print__text(p, "DELETE");
    print_statement_hints(p, s->hints);
    print_dml_flags(p, s->flags);
    for (uint32_t i = 0; i < s->targets.count; i++) {
        print__slice(p, i > 0 ? SLICE_LIT(", ") : SLICE_LIT(" "));
        print__table_name(p, s->targets.items[i]);
    }
    print__text(p, " FROM ");
    if (s->multi || p->view) {
        print__from(p, s->table);
    } else { /* here the alias stands before the partitions */
        const struct ast_table_base *t = (const struct ast_table_base *)s->table;
        print__table_name(p, &t->name);
        print__alias(p, t->alias, NULL);
        print__partitions(p, &t->partitions);
    }
    print__condition_clause(p, " WHERE ", s->where);
    print__order(p, &s->order_by);
    print__limit(p, s->limit);
    print__with_before(p, p->count_selects ? s->with : NULL, from);
}

static db_err print_stmt(struct printer *p, const struct ast_stmt *stmt)
{
    switch ((int)stmt->kind) {
    case AST_STMT_SELECT: print__query(p, ((const struct ast_select_stmt *)stmt)->query); break;
    case AST_STMT_INSERT: print_insert(p, (const struct ast_insert *)stmt); break;
    case AST_STMT_UPDATE: print_update(p, (const struct ast_update *)stmt); break;
    case AST_STMT_DELETE: print_delete(p, (const struct ast_delete *)stmt); break;
    case AST_STMT_DO:
        print__text(p, "DO");
        print__items(p, &((const struct ast_do *)stmt)->items);
        break;
    case AST_STMT_CALL:
        print__text(p, "CALL ");
        print__table_name(p, &((const struct ast_call *)stmt)->name);
        print__text(p, "(");
        print__exprs(p, &((const struct ast_call *)stmt)->args);
        print__text(p, ")");
        break;
    default: return ERR_UNSUPPORTED;
    }
    return p->err;
}

db_err ast_print_stmt(struct buf *buf, const struct ast_stmt *stmt)
{
    struct printer p = {.buf = buf};
    return print_stmt(&p, stmt);
}

db_err ast_print_lifted(struct buf *buf, const struct ast_stmt *stmt)
{
    struct printer p = {.buf = buf, .number_lifted = true};
    return print_stmt(&p, stmt);
}

/* MYSQL: UPDATE, DELETE and INSERT .. VALUES are the first query block themselves. */
db_err ast_print_explained(struct buf *buf, const struct ast_stmt *stmt, struct slice hints,
                           const struct ast_name_style *style)
{
    struct printer p = {.buf = buf,
                        .view = true,
                        .shown = true,
                        .count_selects = true,
                        .hints = hints,
                        .style = style};
    if (stmt->kind == AST_STMT_SELECT) {
        p.first = print__first_block(((const struct ast_select_stmt *)stmt)->query);
    } else if (stmt->kind != AST_STMT_INSERT ||
               ((const struct ast_insert *)stmt)->source != AST_INSERT_QUERY) {
        p.selects = 1;
    }
    return print_stmt(&p, stmt);
}
