/* Builders of schema statements other than ALTER TABLE. */
#include "sql/parser/ast_build.h"

void *ast_database(struct parse_ctx *ctx, enum ast_stmt_kind kind, struct slice name,
                   struct sql_loc loc, bool exists_clause, struct ast_list *options)
{
    struct ast_database_ddl *d = AST_NEW(ctx, ast_database_ddl);
    d->stmt.kind = kind;
    d->name = (struct ast_ident){name, ast_pos_of(loc)};
    d->if_not_exists = exists_clause && kind == AST_STMT_CREATE_DATABASE;
    d->if_exists = exists_clause && kind == AST_STMT_DROP_DATABASE;
    for (uint32_t i = 0; options != NULL && i < options->count; i++) {
        const struct attr *a = options->items[i];
        switch (a->kind) {
        case DATTR_CHARSET: d->charset = a->text; break;
        case DATTR_COLLATE: d->collation = a->text; break;
        case DATTR_ENCRYPTION: d->encryption = a->text; break;
        default: d->read_only = (enum ast_tristate)a->number; break;
        }
    }
    return d;
}

/* ---- CREATE TABLE ---- */

void *ast_create_body(struct parse_ctx *ctx, struct ast_list *elements, struct ast_list *options,
                      void *partition, void *query)
{
    struct ast_list *columns = NULL;
    struct ast_list *indexes = NULL;
    struct ast_list *checks = NULL;
    for (uint32_t i = 0; elements != NULL && i < elements->count; i++) {
        const struct table_element *e = elements->items[i];
        switch (e->kind) {
        case ELEMENT_COLUMN: columns = LISTADD(columns, e->node); break;
        case ELEMENT_INDEX: indexes = LISTADD(indexes, e->node); break;
        case ELEMENT_CHECK: checks = LISTADD(checks, e->node); break;
        }
    }
    struct ast_create_table *t = AST_NEW(ctx, ast_create_table);
    t->columns = LIST(ast_column_def_list, columns);
    t->indexes = LIST(ast_index_def_list, indexes);
    t->checks = LIST(ast_check_list, checks);
    t->options = LIST(ast_table_option_list, options);
    t->partition = partition;
    const struct create_source *s = query;
    if (s != NULL) {
        t->duplicates = s->duplicates;
        t->query = s->query;
    }
    return t;
}

void *ast_create_like(struct parse_ctx *ctx, void *name)
{
    struct ast_create_table *t = AST_NEW(ctx, ast_create_table);
    t->has_like = true;
    t->like = *NAME(name);
    return t;
}

void *ast_create_table(struct parse_ctx *ctx, uint64_t flags, uint64_t if_not_exists, void *name,
                       void *body)
{
    (void)ctx;
    struct ast_create_table *t = body;
    t->stmt.kind = AST_STMT_CREATE_TABLE;
    t->temporary = (flags & CREATE_TEMPORARY) != 0;
    t->external = (flags & CREATE_EXTERNAL) != 0;
    t->if_not_exists = if_not_exists != 0;
    t->name = *NAME(name);
    return t;
}

static void column_storage_attr(struct ast_column_def *c, const struct attr *a)
{
    switch (a->kind) {
    case CATTR_FORMAT: c->format = (enum ast_column_format)a->number; break;
    case CATTR_STORAGE: c->storage = (enum ast_storage_media)a->number; break;
    case CATTR_SRID:
        c->has_srid = true;
        c->srid = a->number;
        break;
    case CATTR_VISIBLE: c->visible = AST_YES; break;
    case CATTR_INVISIBLE: c->visible = AST_NO; break;
    case CATTR_NOT_SECONDARY: c->not_secondary = true; break;
    case CATTR_ENGINE_ATTRIBUTE:
        c->has_engine_attribute = true;
        c->engine_attribute = a->text;
        break;
    default: c->secondary_engine_attribute = a->text; break;
    }
}

static void column_attr(struct ast_column_def *c, const struct attr *a)
{
    switch (a->kind) {
    case CATTR_NULL:
        c->nullability = AST_NULL_YES;
        c->null_behind_auto_increment = c->auto_increment;
        break;
    case CATTR_NOT_NULL: c->nullability = AST_NULL_NO; break;
    case CATTR_DEFAULT:
        c->default_kind = AST_DEFAULT_LITERAL;
        c->default_value = a->node;
        break;
    case CATTR_DEFAULT_EXPR:
        c->default_kind = AST_DEFAULT_EXPR;
        c->default_value = a->node;
        c->default_text = a->text;
        break;
    case CATTR_ON_UPDATE: c->on_update = a->node; break;
    case CATTR_AUTO_INCREMENT:
        c->auto_increment = true;
        c->null_behind_auto_increment = false;
        break;
    case CATTR_SERIAL:
        c->serial_default = true;
        c->auto_increment = true;
        c->nullability = AST_NULL_NO;
        c->unique = true;
        break;
    case CATTR_UNIQUE: c->unique = true; break;
    case CATTR_PRIMARY: c->primary = true; break;
    case CATTR_COMMENT:
        c->has_comment = true;
        c->comment = a->text;
        break;
    case CATTR_COLLATE: c->collation = a->text; break;
    default: column_storage_attr(c, a); break;
    }
}

void *ast_column_def(struct parse_ctx *ctx, struct sql_loc loc, void *type, struct slice collation,
                     struct ast_list *attrs)
{
    struct ast_column_def *c = AST_NEW(ctx, ast_column_def);
    c->pos = ast_pos_of(loc);
    c->type = type;
    c->collation = collation;
    struct ast_list *checks = NULL;
    for (uint32_t i = 0; attrs != NULL && i < attrs->count; i++) {
        const struct attr *a = attrs->items[i];
        if (a->kind == CATTR_CHECK) {
            checks = LISTADD(checks, a->node);
        } else {
            column_attr(c, a);
        }
    }
    c->checks = LIST(ast_check_list, checks);
    return c;
}

void *ast_column_generated(struct parse_ctx *ctx, struct sql_loc loc, void *type,
                           struct slice collation, void *expr, struct sql_loc expr_loc, bool stored,
                           struct ast_list *attrs)
{
    struct ast_column_def *c = ast_column_def(ctx, loc, type, collation, attrs);
    c->generated = expr;
    c->generated_text = parse__text_at(ctx, expr_loc);
    c->stored = stored;
    return c;
}

void *ast_column_named(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, void *column,
                       void *references)
{
    (void)ctx;
    struct ast_column_def *c = column;
    c->name = name;
    c->pos = ast_pos_of(loc);
    c->references = references;
    return c;
}

/* CONSTRAINT without a name: not absent, but empty. */
struct slice ast_constraint_name(struct parse_ctx *ctx, struct slice name)
{
    (void)ctx;
    return name.ptr != NULL ? name : slice_of("", 0);
}

/* ---- indexes ---- */

static void index_option(struct ast_index_def *d, const struct attr *a)
{
    switch (a->kind) {
    case IATTR_KEY_BLOCK_SIZE:
        d->has_key_block_size = true;
        d->key_block_size = a->number;
        break;
    case IATTR_ALGORITHM: d->algorithm = (enum ast_index_algorithm)a->number; break;
    case IATTR_PARSER: d->parser = a->text; break;
    case IATTR_COMMENT:
        d->has_comment = true;
        d->comment = a->text;
        break;
    case IATTR_VISIBLE: d->visible = (enum ast_tristate)a->number; break;
    case IATTR_ENGINE_ATTRIBUTE: d->engine_attribute = a->text; break;
    default: d->secondary_engine_attribute = a->text; break;
    }
}

void *ast_index(struct parse_ctx *ctx, struct sql_loc loc, uint32_t kind, struct slice constraint,
                struct slice name, struct sql_loc name_loc, uint64_t algorithm,
                struct ast_list *parts, struct ast_list *options)
{
    struct ast_index_def *d = AST_NEW(ctx, ast_index_def);
    d->pos = ast_pos_of(loc);
    d->kind = (enum ast_index_kind)kind;
    d->has_constraint = constraint.ptr != NULL;
    d->constraint = constraint.len > 0 ? constraint : SLICE_EMPTY;
    d->name = name;
    d->name_pos = ast_pos_of(name_loc);
    d->algorithm = (enum ast_index_algorithm)algorithm;
    d->parts = LIST(ast_key_part_list, parts);
    for (uint32_t i = 0; options != NULL && i < options->count; i++) {
        index_option(d, options->items[i]);
    }
    return d;
}

void *ast_foreign_key(struct parse_ctx *ctx, struct sql_loc loc, struct slice constraint,
                      struct slice name, struct sql_loc name_loc, struct ast_list *parts,
                      void *references)
{
    struct ast_index_def *d =
        ast_index(ctx, loc, AST_INDEX_FOREIGN, constraint, name, name_loc, 0, parts, NULL);
    d->references = references;
    return d;
}

void *ast_references(struct parse_ctx *ctx, struct sql_loc loc, void *table,
                     struct ast_list *columns, uint64_t match, void *actions)
{
    struct ast_references *r = AST_NEW(ctx, ast_references);
    r->pos = ast_pos_of(loc);
    r->table = *NAME(table);
    r->columns = LIST(ast_ident_list, columns);
    r->match = (enum ast_ref_match)match;
    if (actions != NULL) {
        r->on_delete = ((const struct ref_actions *)actions)->on_delete;
        r->on_update = ((const struct ref_actions *)actions)->on_update;
    }
    return r;
}

void *ast_key_part(struct parse_ctx *ctx, struct sql_loc loc, struct slice column, uint64_t prefix,
                   uint64_t order)
{
    struct ast_key_part *p = AST_NEW(ctx, ast_key_part);
    p->pos = ast_pos_of(loc);
    p->column = column;
    p->prefix = prefix;
    p->has_order = order != 0;
    p->desc = order == 2;
    return p;
}

void *ast_key_prefix(uint64_t prefix, void *part)
{
    ((struct ast_key_part *)part)->empty_prefix = prefix == 0;
    return part;
}

void *ast_key_part_expr(struct parse_ctx *ctx, struct sql_loc loc, void *expr,
                        struct sql_loc expr_loc, uint64_t order)
{
    struct ast_key_part *p = ast_key_part(ctx, loc, SLICE_EMPTY, 0, order);
    p->expr = expr;
    p->text = parse__text_at(ctx, expr_loc);
    return p;
}

static void modifier(struct ast_alter_modifiers *m, const struct ast_alter_action *a)
{
    switch ((enum modifier_kind)a->number) {
    case MODIFIER_ALGORITHM: m->algorithm = a->name; break;
    case MODIFIER_LOCK: m->lock = a->name; break;
    case MODIFIER_VALIDATION: m->validation = a->name.len > 0 ? AST_YES : AST_NO; break;
    }
}

void *ast_modifiers_add(struct parse_ctx *ctx, void *modifiers, void *item)
{
    struct ast_alter_modifiers *m =
        modifiers != NULL ? modifiers : AST_NEW(ctx, ast_alter_modifiers);
    modifier(m, item);
    return m;
}

void *ast_create_index(struct parse_ctx *ctx, void *table, void *index, void *modifiers)
{
    struct ast_create_index *c = AST_NEW(ctx, ast_create_index);
    c->stmt.kind = AST_STMT_CREATE_INDEX;
    c->table = *NAME(table);
    c->index = index;
    if (modifiers != NULL) {
        c->modifiers = *(const struct ast_alter_modifiers *)modifiers;
    }
    return c;
}

void *ast_drop_index(struct parse_ctx *ctx, struct slice name, struct sql_loc loc, void *table,
                     void *modifiers)
{
    struct ast_drop_index *d = AST_NEW(ctx, ast_drop_index);
    d->stmt.kind = AST_STMT_DROP_INDEX;
    d->index = (struct ast_ident){name, ast_pos_of(loc)};
    d->table = *NAME(table);
    if (modifiers != NULL) {
        d->modifiers = *(const struct ast_alter_modifiers *)modifiers;
    }
    return d;
}

/* ---- partitions ---- */

void *ast_partition_expr(struct parse_ctx *ctx, enum ast_partition_kind kind, bool linear,
                         void *expr, struct sql_loc expr_loc)
{
    struct ast_partition_by *p = AST_NEW(ctx, ast_partition_by);
    p->kind = kind;
    p->linear = linear;
    p->expr = expr;
    p->expr_text = parse__text_at(ctx, expr_loc);
    return p;
}

void *ast_partition_columns(struct parse_ctx *ctx, enum ast_partition_kind kind, bool linear,
                            uint64_t algorithm, struct ast_list *columns)
{
    struct ast_partition_by *p = AST_NEW(ctx, ast_partition_by);
    p->kind = kind;
    p->linear = linear;
    p->key_algorithm = algorithm;
    p->columns = LIST(ast_ident_list, columns);
    return p;
}

void *ast_partition_count(struct parse_ctx *ctx, void *method, uint64_t count)
{
    (void)ctx;
    ((struct ast_partition_by *)method)->count = count;
    return method;
}

void *ast_partition_by(struct parse_ctx *ctx, struct sql_loc loc, void *method, uint64_t count,
                       void *sub, struct ast_list *defs)
{
    (void)ctx;
    struct ast_partition_by *p = method;
    p->pos = ast_pos_of(loc);
    p->count = count;
    p->has_sub = sub != NULL;
    p->sub = sub;
    p->defs = LIST(ast_partition_def_list, defs);
    return p;
}

void *ast_partition_def(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, void *values,
                        struct ast_list *options, struct ast_list *subpartitions)
{
    struct ast_partition_def *d = AST_NEW(ctx, ast_partition_def);
    d->pos = ast_pos_of(loc);
    d->name = name;
    const struct partition_values *v = values;
    if (v != NULL) {
        d->values = v->kind;
        d->rows = LIST(ast_row_list, v->rows);
    }
    d->options = LIST(ast_table_option_list, options);
    d->subpartitions = LIST(ast_partition_def_list, subpartitions);
    return d;
}

/* VALUES IN (1, 2) and VALUES IN ((1, 2), (3, 4)): each element is a row of its own. */
struct ast_list *ast_partition_in(struct parse_ctx *ctx, void *row)
{
    const struct ast_row *all = row;
    struct ast_list *rows = NULL;
    for (uint32_t i = 0; i < all->items.count && ctx->err == ERR_OK; i++) {
        struct ast_expr *e = all->items.items[i];
        if (e != NULL && e->kind == AST_EXPR_ROW) {
            rows = LISTADD(rows, e);
        } else {
            struct sql_loc loc = {all->expr.pos.offset, all->expr.pos.offset + all->expr.pos.len};
            rows = LISTADD(rows, ast_row(ctx, loc, LIST1(e)));
        }
    }
    return rows;
}

/* ---- views ---- */

void *ast_view_rest(struct parse_ctx *ctx, bool if_not_exists, void *name, struct ast_list *columns,
                    void *query, struct sql_loc query_loc, uint64_t check_option)
{
    struct ast_create_view *v = AST_NEW(ctx, ast_create_view);
    v->if_not_exists = if_not_exists;
    v->name = *NAME(name);
    v->columns = LIST(ast_ident_list, columns);
    v->query = query;
    v->text = parse__text_at(ctx, query_loc);
    v->check_option = (enum ast_check_option)check_option;
    return v;
}

void *ast_create_view(struct parse_ctx *ctx, uint32_t flags, void *head, void *rest)
{
    (void)ctx;
    struct ast_create_view *v = rest;
    v->stmt.kind = AST_STMT_CREATE_VIEW;
    v->alter = (flags & VIEW_ALTER) != 0;
    v->or_replace = (flags & VIEW_OR_REPLACE) != 0;
    v->materialized = (flags & VIEW_MATERIALIZED) != 0;
    const struct view_head *h = head;
    if (h != NULL) {
        v->algorithm = h->algorithm;
        v->definer = h->definer;
        v->security = h->security;
    }
    return v;
}
