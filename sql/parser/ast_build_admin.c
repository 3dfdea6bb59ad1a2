/* Builders of transaction control, SET, EXPLAIN and administration. */
#include "sql/parser/ast_build.h"

void *ast_begin_merge(struct parse_ctx *ctx, struct sql_loc loc, void *a, void *b)
{
    struct ast_begin *x = a;
    const struct ast_begin *y = b;
    if (x->access != AST_ACCESS_UNSET && y->access != AST_ACCESS_UNSET) {
        parse__syntax_error(ctx, loc.offset); /* READ ONLY, READ WRITE */
    }
    x->consistent_snapshot |= y->consistent_snapshot;
    if (y->access != AST_ACCESS_UNSET) {
        x->access = y->access;
    }
    return x;
}

void *ast_xa(struct parse_ctx *ctx, enum ast_xa_op op, void *xid, uint64_t flags)
{
    struct ast_xa *s = AST_NEW(ctx, ast_xa);
    s->stmt.kind = AST_STMT_XA;
    s->op = op;
    const struct xa_xid *x = xid;
    if (x != NULL) {
        s->gtrid = x->gtrid;
        s->bqual = x->bqual;
        s->format_id = x->format_id;
    }
    s->join = (flags & XA_JOIN) != 0;
    s->resume = (flags & XA_RESUME) != 0;
    s->suspend = (flags & XA_SUSPEND) != 0;
    s->for_migrate = (flags & XA_MIGRATE) != 0;
    s->one_phase = (flags & XA_ONE_PHASE) != 0;
    s->convert_xid = (flags & XA_CONVERT) != 0;
    return s;
}

void *ast_set_scope(struct parse_ctx *ctx, void *stmt, uint32_t scope)
{
    (void)ctx;
    ((struct ast_set_transaction *)stmt)->scope = (enum ast_scope)scope;
    return stmt;
}

void *ast_set_password(struct parse_ctx *ctx, void *user, void *value)
{
    const struct password_value *v = value;
    struct ast_set_password *s = AST_NEW(ctx, ast_set_password);
    s->stmt.kind = AST_STMT_SET_PASSWORD;
    s->user = user;
    s->random = v->random;
    s->password = v->password;
    s->has_replace = v->replace.ptr != NULL;
    s->replace = v->replace;
    s->retain_current = v->retain;
    return s;
}

void *ast_set_var(struct parse_ctx *ctx, struct sql_loc loc, uint32_t scope, bool at_at,
                  struct slice component, struct slice name, void *value)
{
    struct ast_set_item *i = AST_NEW(ctx, ast_set_item);
    i->kind = AST_SET_SYS_VAR;
    i->pos = ast_pos_of(loc);
    i->scope = (enum ast_scope)scope;
    i->at_at = at_at;
    i->component = component;
    i->name = name;
    i->value = value;
    i->is_default = value == NULL;
    return i;
}

struct ast_text *ast_filter_like(void *filter)
{
    return filter != NULL ? ((struct show_filter *)filter)->like : NULL;
}

struct ast_expr *ast_filter_where(void *filter)
{
    return filter != NULL ? ((struct show_filter *)filter)->where : NULL;
}

void *ast_explain(struct parse_ctx *ctx, void *options, struct slice schema, void *target)
{
    (void)ctx;
    struct ast_explain *e = options;
    e->for_schema = schema;
    e->target = target;
    return e;
}

void *ast_explain_connection(struct parse_ctx *ctx, void *options, uint64_t id)
{
    (void)ctx;
    struct ast_explain *e = options;
    e->for_connection = true;
    e->connection_id = id;
    return e;
}

void *ast_flush_flag(struct parse_ctx *ctx, void *stmt, bool no_binlog)
{
    (void)ctx;
    ((struct ast_flush *)stmt)->no_binlog = no_binlog;
    return stmt;
}

void *ast_table_admin(struct parse_ctx *ctx, enum ast_table_admin_op op, uint64_t no_binlog,
                      struct ast_list *tables, uint64_t flags, void *histogram)
{
    struct ast_table_admin *s = AST_NEW(ctx, ast_table_admin);
    s->stmt.kind = AST_STMT_TABLE_ADMIN;
    s->op = op;
    s->no_binlog = no_binlog != 0;
    s->flags = (uint32_t)flags;
    s->tables = LIST(ast_name_list, tables);
    const struct histogram *h = histogram;
    if (h != NULL) {
        s->histogram = h->kind;
        s->columns = LIST(ast_ident_list, h->columns);
        s->buckets = h->buckets;
        s->auto_update = h->auto_update;
        s->histogram_data = h->data;
    }
    return s;
}

void *ast_lock_item(struct parse_ctx *ctx, void *table, struct slice alias, uint64_t kind)
{
    struct ast_lock_item *i = AST_NEW(ctx, ast_lock_item);
    i->table = *NAME(table);
    i->alias = alias;
    i->write = (kind & LOCK_WRITE) != 0;
    i->local = (kind & LOCK_LOCAL) != 0;
    i->low_priority = (kind & LOCK_LOW_PRIORITY) != 0;
    return i;
}

void *ast_signal(struct parse_ctx *ctx, bool resignal, void *condition, struct ast_list *items)
{
    struct ast_signal *s = AST_NEW(ctx, ast_signal);
    s->stmt.kind = AST_STMT_SIGNAL;
    s->resignal = resignal;
    if (condition != NULL) {
        s->sqlstate = ((const struct signal_condition *)condition)->sqlstate;
        s->condition = ((const struct signal_condition *)condition)->name;
    }
    s->items = LIST(ast_diag_item_list, items);
    return s;
}
