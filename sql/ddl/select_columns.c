/* CREATE TABLE ... SELECT: the columns that the query gives, as MySQL makes columns of them. A
 * column that is also defined in the statement is as defined there. */
#include "sql/ddl/ddl_int.h"
#include "sql/exec/exec_int.h"

static bool numeric_default(const struct sql_type *t)
{
    return type_is_integer(t) || t->id == TYPE_DECIMAL || t->id == TYPE_FLOAT ||
           t->id == TYPE_DOUBLE;
}

/* MYSQL: an expression that cannot be NULL has a default of its kind; temporal ones have none. */
static void implied_default(struct draft_column *c)
{
    struct column_def *def = &c->def;
    if ((def->type.flags & TYPE_F_NOT_NULL) == 0) {
        def->default_kind = DEFAULT_NULL;
        return;
    }
    def->default_kind = DEFAULT_NONE;
    bool text = type_is_string(&def->type) && !type_is_blob(&def->type);
    if (!text && !numeric_default(&def->type)) {
        return;
    }
    if (exec__implicit_default(NULL, def, &def->default_value) == ERR_OK) {
        def->default_kind = DEFAULT_CONST;
    }
}

static void of_base_column(struct draft_column *c, const struct column_def *from)
{
    struct column_def *def = &c->def;
    def->type = from->type;
    def->comment = from->comment;
    if (from->generated != GENERATED_NO || from->auto_increment) {
        implied_default(c);
        return;
    }
    def->default_kind = from->default_kind;
    def->default_value = from->default_value;
    def->default_expr = from->default_expr;
    if (def->default_kind == DEFAULT_EXPR) {
        implied_default(c); /* what it reads need not be in the new table */
    }
}

static db_err new_column(struct draft *d, const struct lcolumn *from)
{
    enum { INT_DIGITS = 10 };
    struct draft_column *c = ARENA_NEW(d->ctx->arena, struct draft_column);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    c->source = -1;
    c->has_default = true;
    TRY(ddl__check_column_name(d->ctx, from->name));
    TRY(arena_copy(d->ctx->arena, from->name, &c->def.name));
    c->def.type = from->type;
    if (from->def != NULL && from->table.ptr != NULL) {
        of_base_column(c, from->def);
        if ((from->type.flags & TYPE_F_NOT_NULL) == 0) {
            c->def.type.flags &= (uint8_t)~TYPE_F_NOT_NULL; /* of an outer join */
        }
    } else {
        bind_stored_type(&c->def.type);
        if (c->def.type.id == TYPE_BIGINT && c->def.type.length < INT_DIGITS &&
            !type_is_unsigned(&c->def.type)) {
            c->def.type.id = TYPE_INT;
        }
        implied_default(c);
    }
    return ddl__add_column(d, c, d->column_count);
}

db_err ddl__select_columns(struct draft *d)
{
    uint32_t written = d->column_count;
    for (uint32_t i = 0; i < d->ctx->select_count; i++) {
        const struct lcolumn *from = &d->ctx->select_columns[i];
        struct draft_column *c = ddl__find_column(d, from->name);
        if (c == NULL || ddl__column_at(d, c) >= written) {
            TRY(new_column(d, from)); /* 1060 for a second one of the name */
        } else if (c->def.comment.len == 0 && from->def != NULL && from->table.ptr != NULL) {
            c->def.comment = from->def->comment;
        }
    }
    return ERR_OK;
}
