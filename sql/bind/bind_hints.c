/* Which tables and indexes of a query block its optimizer hints speak of. */
#include "sql/bind/bind_int.h"
#include "sql/bind/hint_text.h"

/* One table of a FROM clause. */
struct leaf {
    struct slice name;
    const struct table_def *def; /* NULL: a derived table, a view, a common table expression */
    struct leaf *next;
};

struct leaves {
    struct arena *arena;
    const struct catalog_snapshot *snapshot;
    struct slice schema;        /* of names without one; ptr NULL: there is none */
    const struct cte_def *ctes; /* what a name without one may be */
    bool completed;             /* a name without one is no table's */
    struct leaf *first;
    bool missing; /* a table that there is none of: the statement fails */
};

static bool is_cte(const struct leaves *l, struct slice name)
{
    if (l->completed) {
        return true;
    }
    for (const struct cte_def *c = l->ctes; c != NULL; c = c->outer) {
        if (slice_eq(c->ast->name, name)) {
            return true;
        }
    }
    return false;
}

static db_err add_leaf(struct leaves *l, struct slice name, const struct table_def *def)
{
    struct leaf *leaf = ARENA_NEW(l->arena, struct leaf);
    if (leaf == NULL) {
        return ERR_NOMEM;
    }
    *leaf = (struct leaf){name, def, l->first};
    l->first = leaf;
    return ERR_OK;
}

static db_err add_base(struct leaves *l, const struct ast_name *name, struct slice alias)
{
    const struct table_def *def = NULL;
    struct slice shown = alias.ptr != NULL ? alias : name->name;
    struct slice schema = name->schema.ptr != NULL ? name->schema : l->schema;
    if (name->schema.ptr != NULL || !is_cte(l, name->name)) {
        def = schema.ptr == NULL ? NULL : snapshot_table(l->snapshot, schema, name->name);
        l->missing = l->missing || def == NULL;
        def = def != NULL && def->kind == TABLE_VIEW ? NULL : def;
    }
    return add_leaf(l, shown, def);
}

static db_err add_leaves(struct leaves *l, const struct ast_table *t)
{
    if (t == NULL) {
        return ERR_OK;
    }
    switch (t->kind) {
    case AST_TABLE_BASE: {
        const struct ast_table_base *base = (const struct ast_table_base *)t;
        return add_base(l, &base->name, base->alias);
    }
    case AST_TABLE_JOIN: {
        const struct ast_table_join *j = (const struct ast_table_join *)t;
        TRY(add_leaves(l, j->left));
        return add_leaves(l, j->right);
    }
    case AST_TABLE_DERIVED: return add_leaf(l, ((const struct ast_table_derived *)t)->alias, NULL);
    case AST_TABLE_JSON: return add_leaf(l, ((const struct ast_json_table *)t)->alias, NULL);
    }
    return ERR_OK;
}

static const struct leaf *find_leaf(const struct leaves *l, struct slice name)
{
    for (const struct leaf *f = l->first; f != NULL; f = f->next) {
        if (slice_eq(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

/* ---- what is told ---- */

struct teller {
    const struct leaves *leaves;
    struct hint_block *block;
    struct hint_env env;
};

/* All that is said of one index. */
static void tell_index(struct teller *t, const struct hint_table *table, struct slice name)
{
    const struct ast_hint *said[HINT_KINDS] = {NULL}; /* a kind names an index once */
    for (const struct hint_index *i = table->indexes; i != NULL; i = i->next) {
        if (hint_names_index(i, name)) {
            said[i->kind] = i->hint;
        }
    }
    for (int k = 0; k < HINT_KINDS; k++) {
        if (said[k] != NULL) {
            hint_warn_unresolved(&t->env, said[k], t->block, table->name, name);
        }
    }
}

static bool is_named_before(const struct hint_table *table, const struct hint_index *end,
                            uint32_t end_name)
{
    struct slice name = end->names[end_name];
    for (const struct hint_index *i = table->indexes; i != end; i = i->next) {
        if (hint_names_index(i, name)) {
            return true;
        }
    }
    for (uint32_t k = 0; k < end_name; k++) {
        if (slice_eq_nocase(end->names[k], name)) {
            return true;
        }
    }
    return false;
}

static void tell_indexes(struct teller *t, const struct hint_table *table, const struct leaf *leaf)
{
    for (struct hint_index *i = table->indexes; i != NULL; i = i->next) {
        for (uint32_t k = 0; k < i->count; k++) {
            bool exists =
                leaf != NULL && leaf->def != NULL && table_index(leaf->def, i->names[k]) != NULL;
            i->unresolved = i->unresolved || !exists;
            if (!exists && !is_named_before(table, i, k)) {
                tell_index(t, table, i->names[k]);
            }
        }
    }
}

static void tell_table(struct teller *t, const struct hint_table *table)
{
    for (int k = 0; k < HINT_KINDS; k++) {
        const struct ast_hint *said = table->said[k];
        for (const struct hint_index *i = table->indexes; i != NULL && said == NULL; i = i->next) {
            bool of_table = i->all || !hint_is_per_index(i->kind);
            said = (int)i->kind == k && of_table ? i->hint : NULL;
        }
        if (said != NULL) {
            hint_warn_unresolved(&t->env, said, t->block, table->name, SLICE_EMPTY);
        }
    }
}

/* MYSQL: the first table of an order that there is none of. */
static void tell_order(struct teller *t, struct hint_order *o)
{
    for (uint32_t i = 0; i < o->hint->tables.count; i++) {
        const struct ast_hint_table *at = o->hint->tables.items[i];
        if (at->block.ptr == NULL && find_leaf(t->leaves, at->name) == NULL) {
            hint_warn_unresolved(&t->env, o->hint, NULL, at->name, SLICE_EMPTY);
            o->unresolved = true;
            return;
        }
    }
}

static void tell(struct teller *t)
{
    for (struct hint_table *table = t->block->tables; table != NULL; table = table->next) {
        const struct leaf *leaf = find_leaf(t->leaves, table->name);
        table->found = leaf != NULL;
        if (leaf == NULL) {
            tell_table(t, table);
        }
        tell_indexes(t, table, leaf);
    }
    for (struct hint_order *o = t->block->orders; o != NULL && t->leaves->first != NULL;
         o = o->next) {
        tell_order(t, o);
    }
}

void bind__tell_hint(void *b, enum my_errno number, const char *text)
{
    bind__warn_text(b, number, text);
}

static db_err look(struct binder *b, struct hint_block *block, const struct leaves *l)
{
    if (l->missing || block->looked_at || b->opts->warn == NULL) {
        return ERR_OK;
    }
    struct teller t = {.leaves = l, .block = block};
    block->looked_at = true;
    t.env.tell = bind__tell_hint;
    t.env.arg = b;
    t.env.ansi_quotes = (b->opts->sql_mode & SQL_MODE_ANSI_QUOTES) != 0;
    tell(&t);
    return ERR_OK;
}

static struct leaves leaves_of(const struct binder *b)
{
    return (struct leaves){.arena = b->arena,
                           .snapshot = b->opts->snapshot,
                           .schema = b->opts->current_schema,
                           .ctes = b->ctes};
}

db_err bind__block_hints(struct binder *b, struct scope *scope, const struct ast_hints *hints,
                         const struct ast_table *from)
{
    struct leaves l = leaves_of(b);
    if (LIKELY(hints == NULL) || hints->block == NULL) {
        return ERR_OK;
    }
    scope->hints = hints->block;
    b->stmt->hinted = true;
    TRY(add_leaves(&l, from));
    if (b->insert != NULL && b->insert->hints != NULL && b->insert->hints->block == hints->block) {
        TRY(add_base(&l, &b->insert->table, SLICE_EMPTY)); /* the block is of both */
    }
    return look(b, hints->block, &l);
}

db_err bind__insert_hints(struct binder *b, const struct ast_insert *s)
{
    struct leaves l = leaves_of(b);
    if (LIKELY(s->hints == NULL) || s->hints->block == NULL || s->source == AST_INSERT_QUERY) {
        return ERR_OK;
    }
    TRY(add_base(&l, &s->table, SLICE_EMPTY));
    return look(b, s->hints->block, &l);
}

static struct slice alias_of(const struct ast_table *t)
{
    switch (t->kind) {
    case AST_TABLE_BASE: {
        const struct ast_table_base *base = (const struct ast_table_base *)t;
        return base->alias.ptr != NULL ? base->alias : base->name.name;
    }
    case AST_TABLE_DERIVED: return ((const struct ast_table_derived *)t)->alias;
    case AST_TABLE_JSON: return ((const struct ast_json_table *)t)->alias;
    case AST_TABLE_JOIN: break;
    }
    return SLICE_EMPTY;
}

void bind__table_hints(const struct scope *scope, const struct ast_table *t, struct lnode *io)
{
    if (LIKELY(scope->hints == NULL) || t->kind == AST_TABLE_JOIN) {
        return;
    }
    const struct hint_table *said = scope->hints->tables;
    struct slice alias = alias_of(t);
    while (said != NULL && !slice_eq(said->name, alias)) {
        said = said->next;
    }
    if (io->kind == LNODE_TABLE) {
        io->u.table.block = scope->hints;
        io->u.table.hinted = said;
    } else if (io->kind == LNODE_PROJECT) {
        io->u.project.block = scope->hints;
        io->u.project.hinted = said;
    } else if (io->kind == LNODE_CTE_REF) {
        io->u.cte_ref.block = scope->hints;
        io->u.cte_ref.hinted = said;
    }
}

static db_err leaves_of_block(const struct ast_body *body, struct leaves *io)
{
    io->first = NULL;
    return body->kind == AST_BODY_SELECT ? add_leaves(io, ((const struct ast_select *)body)->from)
                                         : ERR_OK;
}

db_err hints_resolve(struct arena *arena, const struct catalog_snapshot *snapshot,
                     const struct hint_env *env, const struct ast_hinted *hinted)
{
    struct leaves l = {.arena = arena, .snapshot = snapshot, .completed = true};
    for (const struct ast_body *body = hinted->last_block; body != NULL; body = body->before) {
        TRY(leaves_of_block(body, &l));
    }
    for (struct hint_block *b = hinted->set->blocks; b != NULL && !l.missing; b = b->next) {
        const struct ast_body *body = hinted->last_block;
        while (body != NULL && hint_block_of(body) != b) {
            body = body->before;
        }
        if (body != NULL) {
            TRY(leaves_of_block(body, &l));
            tell(&(struct teller){.leaves = &l, .block = b, .env = *env});
        }
    }
    return ERR_OK;
}
