/* FROM: tables, derived tables, common table expressions and joins become relational nodes; their
 * columns the scope of the block. USING and NATURAL merge columns: one of each pair stays visible
 * to unqualified names. */
#include "sql/bind/bind_int.h"

#include "sql/types/cast.h"

#include "sql/diag/my_error.h"

struct lnode *bind__node(struct binder *b, enum lnode_kind kind, struct lnode *child)
{
    struct lnode *n = lnode_new(b->arena, kind, child != NULL);
    if (n != NULL && child != NULL) {
        n->children[0] = child;
        n->columns = child->columns;
        n->column_count = child->column_count;
    }
    return n;
}

static db_err table_columns(struct binder *b, const struct table_def *def, struct slice alias,
                            struct lnode *n)
{
    struct lcolumn *cols = BIND_ARRAY(b, struct lcolumn, def->column_count + 1);
    if (cols == NULL) {
        return ERR_NOMEM;
    }
    /* MYSQL: these tables are views, and a view's columns are shown by their own names. */
    bool system_view =
        def->kind == TABLE_VIRTUAL && slice_eq(def->schema_name, SLICE_LIT("information_schema"));
    for (uint32_t i = 0; i < def->column_count; i++) {
        const struct column_def *c = &def->columns[i];
        cols[i] = (struct lcolumn){.id = bind__new_col(b),
                                   .type = c->type,
                                   .coercibility = 2,
                                   .name = c->name,
                                   .org_name = c->name,
                                   .table = alias,
                                   .org_table = def->name,
                                   .schema = def->schema_name,
                                   .def = c,
                                   .own_name = system_view,
                                   .need = n->u.table.need,
                                   .need_column = i};
    }
    n->columns = cols;
    n->column_count = def->column_count;
    return ERR_OK;
}

/* MYSQL: a temporary table can be used once in a statement. */
static db_err open_temporary(struct binder *b, const struct table_def *def, struct slice alias)
{
    for (const struct open_temporary *o = b->temporaries; o != NULL; o = o->next) {
        if (o->def == def) {
            return my_error(b->diag, ER_CANT_REOPEN_TABLE, arena_strdup(b->arena, o->alias));
        }
    }
    struct open_temporary *o = BIND_NEW(b, struct open_temporary);
    if (o == NULL) {
        return ERR_NOMEM;
    }
    *o = (struct open_temporary){.next = b->temporaries, .def = def, .alias = alias};
    b->temporaries = o;
    return ERR_OK;
}

/* MYSQL: tables of INFORMATION_SCHEMA have names in capitals. */
static db_err unknown_virtual(struct binder *b, struct slice schema, struct slice table)
{
    char *name = arena_strdup(b->arena, table);
    for (char *c = name;
         c != NULL && *c != '\0' && slice_eq_nocase(schema, SLICE_LIT("information_schema")); c++) {
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    }
    return my_error(b->diag, ER_UNKNOWN_TABLE, name, arena_strdup(b->arena, schema));
}

db_err bind__base_table(struct binder *b, const struct ast_name *name, struct slice alias,
                        struct lnode **ret)
{
    struct slice schema = name->schema.ptr != NULL ? name->schema : b->opts->current_schema;
    if (schema.ptr == NULL) {
        return my_error(b->diag, ER_NO_DB_ERROR);
    }
    const struct schema_def *sd = snapshot_schema(b->opts->snapshot, schema);
    /* MYSQL: names in a view never mean temporary tables. */
    const struct table_def *def = b->views != NULL
                                      ? snapshot_permanent(b->opts->snapshot, schema, name->name)
                                      : snapshot_table(b->opts->snapshot, schema, name->name);
    if (def == NULL && b->opts->priv != NULL && b->views == NULL && (sd == NULL || !sd->virtual)) {
        TRY(priv_need_table(b->opts->priv, b->access, schema, name->name, b->diag));
    }
    if (sd == NULL) {
        return my_error(b->diag, ER_BAD_DB_ERROR, arena_strdup(b->arena, schema));
    }
    if (b->opts->complete_tree && b->opts->temporaries != NULL &&
        snapshot_temporary(b->opts->temporaries, schema, name->name) != NULL) {
        return my_error(b->diag, ER_VIEW_SELECT_TMPTABLE, arena_strdup(b->arena, name->name));
    }
    if (UNLIKELY(b->opts->may_use != NULL) && b->views == NULL && !sd->virtual &&
        (def == NULL || (def->kind != TABLE_VIRTUAL && !table_is_temporary(def)))) {
        TRY(b->opts->may_use(b->opts->env, schema, name->name,
                             alias.ptr != NULL ? alias : name->name, b->diag));
    }
    if (def == NULL) {
        if (sd->virtual) {
            return unknown_virtual(b, schema, name->name);
        }
        return my_error(b->diag, ER_NO_SUCH_TABLE, arena_strdup(b->arena, schema),
                        arena_strdup(b->arena, name->name));
    }
    bind__complete_table(b, name, def);
    if (def->kind == TABLE_VIEW) {
        return bind__view(b, def, alias, ret);
    }
    struct lnode *n = bind__node(b, LNODE_TABLE, NULL);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    struct slice shown;
    TRY(arena_copy(b->arena, alias.ptr != NULL ? alias : def->name, &shown));
    if (table_is_temporary(def)) { /* MYSQL: who made it may do everything with it */
        TRY(open_temporary(b, def, shown));
    } else {
        TRY(bind__need(b, def, b->access, &n->u.table.need));
    }
    n->u.table.def = def;
    n->u.table.alias = shown;
    n->u.table.in_derived = b->derived_depth > 0;
    TRY(bind__note_view_read(b, n));
    b->stmt->uses_tables = true;
    TRY(table_columns(b, def, shown, n));
    *ret = n;
    return ERR_OK;
}

static db_err bind_hints(struct binder *b, const struct ast_table_base *t, struct lnode *n)
{
    if (t->hints.count == 0) {
        return ERR_OK;
    }
    n->u.table.hints = BIND_ARRAY(b, struct index_hint, t->hints.count);
    bool use = false;
    bool force = false;
    if (n->u.table.hints == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->hints.count; i++) {
        const struct ast_index_hint *h = t->hints.items[i];
        struct index_hint *out = &n->u.table.hints[n->u.table.hint_count++];
        out->kind = h->kind;
        out->scope = h->scope;
        out->indexes = BIND_ARRAY(b, const struct index_def *, h->indexes.count + 1);
        if (out->indexes == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t k = 0; k < h->indexes.count; k++) {
            struct slice name = h->indexes.items[k]->name;
            const struct index_def *ix = table_index(n->u.table.def, name);
            if (ix == NULL || (ix->invisible && !b->opts->use_invisible_indexes)) {
                return my_error(b->diag, ER_KEY_DOES_NOT_EXITS, arena_strdup(b->arena, name),
                                arena_strdup(b->arena, n->u.table.alias));
            }
            out->indexes[out->count++] = ix;
        }
        use = use || h->kind == AST_HINT_USE;
        force = force || h->kind == AST_HINT_FORCE;
    }
    return use && force ? my_error(b->diag, ER_WRONG_USAGE, "USE INDEX", "FORCE INDEX") : ERR_OK;
}

bool bind__is_stored(const struct binder *b, const struct lnode *n)
{
    if (n->kind == LNODE_CTE_REF) {
        return n->u.cte_ref.working || bind__is_stored(b, b->stmt->ctes[n->u.cte_ref.cte]);
    }
    for (const struct lnode *top = n; n != NULL; n = n->child_count == 1 ? n->children[0] : NULL) {
        bool table = n != top && n->kind == LNODE_PROJECT && n->u.project.derived;
        if (table) {
            return false;
        }
        switch ((int)n->kind) {
        case LNODE_AGGREGATE:
        case LNODE_WINDOW:
        case LNODE_DISTINCT:
        case LNODE_LIMIT:
        case LNODE_SETOP:
        case LNODE_DUAL:
        case LNODE_VALUES: return true;
        case LNODE_FILTER:
        case LNODE_PROJECT:
        case LNODE_SORT: break;
        default: return false;
        }
    }
    return false;
}

/* A derived table of no table, or one that is read from elsewhere, has no columns of its own names.
 */
static bool reads_table(const struct lnode *n)
{
    while (n->child_count == 1) {
        n = n->children[0];
    }
    return n->child_count != 0 || n->kind == LNODE_TABLE;
}

/* MYSQL: what a result says of where a derived column comes from: a base column's table, unless a
 * view stands before it; no table for an expression. */
static void show_origin(struct lcolumn *c, struct slice table, bool view, bool stored)
{
    bool of_base = c->base != NULL && (stored || !view);
    c->org_name = c->name;
    c->org_table = of_base ? c->org_table : view ? table : SLICE_EMPTY;
}

/* MYSQL: an expression's integer of at most nine digits is kept as INT. */
void bind__column_as_stored(struct lcolumn *c)
{
    struct sql_type *t = &c->type;
    enum { INT_LENGTH = 9 };
    bool subquery = c->made == MADE_SUBQUERY && type_is_integer(t); /* MYSQL: goes by its length */
    bool narrow = t->id == TYPE_BIGINT && (t->flags & TYPE_F_EXPR) != 0 && t->length <= INT_LENGTH;
    if (t->id != TYPE_NULL) {
        bind_stored_type(t);
    }
    if (subquery || narrow) {
        t->id = t->length <= INT_LENGTH ? TYPE_INT : TYPE_BIGINT;
    }
    c->org_name = c->name;
    c->made = MADE_STORED;
    c->text_collation = 0;
    c->copied = NULL;
}

/* MYSQL: the extreme of a column lies in one like it, with its zeros. */
static db_err keep_zeros(struct binder *b, struct lnode *n, const struct column_def *of,
                         struct lcolumn *io)
{
    if (of == NULL || (of->type.flags & TYPE_F_ZEROFILL) == 0 || of->type.id != io->type.id) {
        return ERR_OK;
    }
    while (n->kind == LNODE_SORT || n->kind == LNODE_LIMIT || n->kind == LNODE_DISTINCT ||
           n->kind == LNODE_FILTER) {
        n = n->children[0];
    }
    for (uint32_t i = 0; n->kind == LNODE_PROJECT && i < n->u.project.count; i++) {
        if (n->u.project.exprs[i].out == io->id) {
            io->type.flags |= TYPE_F_ZEROFILL;
            io->type.length = of->type.length;
            return bind__cast(b, n->u.project.exprs[i].expr, &io->type, false,
                              &n->u.project.exprs[i].expr);
        }
    }
    return ERR_OK;
}

/* MYSQL: what is longer than this and no column lies in a BLOB. */
#define STORED_BYTES_MAX 512

static bool is_long_bytes(const struct lcolumn *c)
{
    bool column = c->base != NULL || c->def != NULL || c->copied != NULL;
    return !column && c->type.id == TYPE_VARBINARY && c->type.length > STORED_BYTES_MAX;
}

/* Gives a bound query's visible columns a table name (and names) of their own. */
db_err bind__derived_columns(struct binder *b, struct slice alias,
                             const struct ast_ident_list *names, struct lnode *root,
                             uint32_t visible)
{
    if (names->count != 0 && names->count != visible) {
        return my_error(b->diag, ER_VIEW_WRONG_LIST);
    }
    struct lcolumn *cols = bind__add_columns(b, root->columns, root->column_count, NULL, 0);
    struct slice table;
    if (cols == NULL) {
        return ERR_NOMEM;
    }
    TRY(arena_copy(b->arena, alias, &table));
    bool stored = bind__is_stored(b, root);
    bool view = root->kind == LNODE_PROJECT && root->u.project.view != NULL;
    if (root->kind == LNODE_PROJECT) {
        root->u.project.derived = true;
    }
    bool kept = stored || bind__items_repeat(root);
    TRY(kept ? bind__settle_decimals(b, root) : ERR_OK);
    for (uint32_t i = 0; i < root->column_count; i++) {
        struct lcolumn *c = &cols[i];
        c->in_blob = kept && is_long_bytes(c);
        if (kept) {
            const struct column_def *copied = c->copied;
            bind__column_as_stored(c);
            TRY(keep_zeros(b, root, copied, c));
        }
        c->type.flags &= (uint8_t)~TYPE_F_BOOL; /* MYSQL: a number in JSON */
        c->own_name = !stored && reads_table(root);
        c->table = table;
        c->steady = bind__is_steady(b, root, c->id);
        c->need = 0;
        c->schema = SLICE_EMPTY;
        c->hidden = i >= visible;
        if (i < visible && names->count != 0) {
            TRY(arena_copy(b->arena, names->items[i]->name, &c->name));
        }
        for (uint32_t k = 0; k < i && i < visible; k++) {
            if (slice_eq_nocase(cols[k].name, c->name)) {
                return my_error(b->diag, ER_DUP_FIELDNAME, arena_strdup(b->arena, c->name));
            }
        }
        c->keyed = stored ? NULL : c->base != NULL ? c->base : c->keyed;
        show_origin(c, table, view, stored);
    }
    root->columns = cols;
    return ERR_OK;
}

/* MYSQL: a table of results of variables is made, and its column has all digits of its type. */
static db_err in_own_column(struct binder *b, struct bexpr **io)
{
    struct sql_type t = (*io)->type;
    bool digits =
        b->stmt->uses_variables && t.id == TYPE_DECIMAL && t.decimals == DECIMAL_SCALE_MAX;
    if (t.id == TYPE_DECIMAL &&
        (t.decimals > DECIMAL_SCALE_MAX || t.length > DECIMAL_PRECISION_MAX)) {
        bind_stored_type(&t);
        digits = true;
    }
    return digits ? bind__cast(b, *io, &t, false, io) : ERR_OK;
}

/* A node of its own on top, so that renaming touches no shared column list. */
db_err bind__wrap(struct binder *b, struct lnode *root, uint32_t visible, struct lnode **ret)
{
    struct lnode *p = bind__node(b, LNODE_PROJECT, root);
    struct lproj *exprs = BIND_ARRAY(b, struct lproj, visible + 1);
    struct lcolumn *cols = BIND_ARRAY(b, struct lcolumn, visible + 1);
    if (p == NULL || exprs == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < visible; i++) {
        exprs[i].expr = bind__column_expr(b, &root->columns[i]);
        if (exprs[i].expr == NULL) {
            return ERR_NOMEM;
        }
        TRY(in_own_column(b, &exprs[i].expr));
        exprs[i].out = bind__new_col(b);
        cols[i] = root->columns[i];
        cols[i].id = exprs[i].out;
        cols[i].base = cols[i].def != NULL ? cols[i].def : cols[i].base;
        cols[i].def = NULL;
        cols[i].need = 0;
    }
    p->u.project.exprs = exprs;
    p->u.project.count = visible;
    p->columns = cols;
    p->column_count = visible;
    *ret = p;
    return ERR_OK;
}

static db_err bind_derived(struct binder *b, struct scope *scope, const struct ast_table_derived *d,
                           struct lnode **ret)
{
    struct scope *outer = scope->parent;
    struct bsubquery *sub = scope->sub;
    if (d->lateral) {
        TRY(bind__lateral(b, scope, &outer, &sub));
    }
    if (d->alias.ptr == NULL) {
        return my_error(b->diag, ER_DERIVED_MUST_HAVE_ALIAS);
    }
    struct lnode *root;
    uint32_t visible;
    struct unsteady before = b->unsteady;
    const struct view_read *reads = b->view_reads;
    bool stored = b->set_in_table;
    b->derived_depth++;
    b->set_in_table = true;
    TRY(bind__query(b, outer, sub, d->query, &root, &visible));
    b->derived_depth--;
    b->set_in_table = stored;
    b->unsteady = before;
    b->view_reads = bind__rows_merge(root) ? b->view_reads : reads;
    TRY(bind__wrap(b, root, visible, ret));
    TRY(bind__derived_columns(b, d->alias, &d->columns, *ret, visible));
    for (uint32_t i = 0; i < (*ret)->column_count && d->lateral; i++) {
        (*ret)->columns[i].steady = false; /* its row is another for each of the tables before */
    }
    return ERR_OK;
}

/* MYSQL: only a secondary engine takes samples, and there is none. */
static db_err sampled(struct binder *b, const struct ast_table_base *t)
{
    struct bexpr *e;
    struct lnode *table;
    struct cast_ctx cast;
    double percent = 0;
    TRY(bind__base_table(b, &t->name, t->alias, &table));
    TRY(bind__expr(b, NULL, t->sample_percent, &e));
    cast_ctx_init(&cast, b->arena, b->diag);
    if (e->kind == BEXPR_CONST && !e->u.constant.is_null) {
        TRY(value_to_double(&cast, &e->type, &e->u.constant, &percent));
    }
    if (percent < 0 || percent > 100) {
        return my_error(b->diag, ER_TABLESAMPLE_PERCENTAGE);
    }
    const struct slice schema =
        t->name.schema.ptr != NULL ? t->name.schema : b->opts->current_schema;
    return my_error(b->diag, ER_SECONDARY_ENGINE,
                    arena_printf(b->arena,
                                 "You have not defined the secondary engine for at least one of "
                                 "the query tables [%.*s.%.*s].",
                                 SLICE_FMT(schema), SLICE_FMT(t->name.name)));
}

static db_err bind_base(struct binder *b, struct scope *scope, const struct ast_table_base *t,
                        struct lnode **ret)
{
    for (struct cte_def *c = b->ctes; c != NULL && t->name.schema.ptr == NULL; c = c->outer) {
        if (slice_eq(c->ast->name, t->name.name)) {
            return bind__cte(b, scope, c, t->alias, ret);
        }
    }
    if (t->sample != AST_SAMPLE_NONE) {
        return sampled(b, t);
    }
    bool target = b->dml_target && scope->parent == NULL && b->derived_depth == 0;
    b->access = target ? b->target_access : PRIV_SELECT;
    b->of_subquery = scope->parent != NULL && b->derived_depth == 0;
    TRY(bind__base_table(b, &t->name, t->alias, ret));
    b->of_subquery = false;
    if (t->partitions.count != 0) {
        return my_error(b->diag, ER_PARTITION_CLAUSE_ON_NONPARTITIONED);
    }
    if (target) {
        col_id_t *ids;
        TRY(bind__view_target(b, *ret, false, &ids, ret));
    }
    return (*ret)->kind == LNODE_TABLE ? bind_hints(b, t, *ret) : ERR_OK;
}

/* ---- joins ---- */

static struct lcolumn *visible_named(struct lcolumn *cols, uint32_t n, struct slice name,
                                     uint32_t *ret_found)
{
    struct lcolumn *found = NULL;
    *ret_found = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!cols[i].hidden && (cols[i].def == NULL || !cols[i].def->hidden) &&
            slice_eq_nocase(cols[i].name, name)) {
            found = &cols[i];
            (*ret_found)++;
        }
    }
    return found;
}

static db_err merge_column(struct binder *b, const struct ast_table_join *j, struct lnode *join,
                           uint32_t left_count, struct slice name)
{
    uint32_t found_left;
    uint32_t found_right;
    struct lcolumn *l = visible_named(join->columns, left_count, name, &found_left);
    struct lcolumn *r = visible_named(join->columns + left_count, join->column_count - left_count,
                                      name, &found_right);
    if (found_left > 1 || found_right > 1) {
        return my_error(b->diag, ER_NON_UNIQ_ERROR, arena_strdup(b->arena, name), "from clause");
    }
    if (l == NULL || r == NULL) {
        return my_error(b->diag, ER_BAD_FIELD_ERROR, arena_strdup(b->arena, name), "from clause");
    }
    struct bexpr *x = bind__column_expr(b, l);
    struct bexpr *y = bind__column_expr(b, r);
    struct bexpr **on = BIND_ARRAY(b, struct bexpr *, join->u.join.on_count + 1);
    if (x == NULL || y == NULL || on == NULL) {
        return ERR_NOMEM;
    }
    if (join->u.join.on_count != 0) {
        memcpy(on, join->u.join.on, join->u.join.on_count * sizeof(*on));
    }
    TRY(bind__comparison(b, AST_OP_EQ, x, y, &on[join->u.join.on_count]));
    join->u.join.on = on;
    join->u.join.on_count++;
    (join->u.join.kind == JOIN_RIGHT ? l : r)->hidden = true;
    return bind__complete_merged(b, j, l, r);
}

/* MYSQL: SELECT * of USING and NATURAL shows the merged columns first, in the order of the table
 * and not of USING, then the others; the right table of a RIGHT JOIN stands before the left one. */
static void merged_first(struct lnode *join, uint32_t left_count, struct slice const *names,
                         uint32_t n, struct lcolumn *scratch)
{
    uint32_t k = 0;
    uint32_t total = join->column_count;
    uint32_t start = join->u.join.kind == JOIN_RIGHT ? left_count : 0;
    for (uint32_t at = 0; at < total; at++) {
        const struct lcolumn *c = &join->columns[(start + at) % total];
        for (uint32_t i = 0; i < n; i++) {
            if (!c->hidden && slice_eq_nocase(c->name, names[i])) {
                scratch[k++] = *c;
                break;
            }
        }
    }
    for (uint32_t at = 0; at < total; at++) {
        uint32_t c = (start + at) % total;
        bool merged = false;
        for (uint32_t i = 0; i < k; i++) {
            merged = merged || scratch[i].id == join->columns[c].id;
        }
        if (!merged) {
            scratch[k++] = join->columns[c];
        }
    }
    memcpy(join->columns, scratch, k * sizeof(*scratch));
}

/* The merged columns of a FULL JOIN are neither side's: of each row that one has which is there. */
static db_err merge_full(struct binder *b, const struct ast_table_join *j, struct lnode **io_join,
                         uint32_t left_count, struct slice const *names, uint32_t n)
{
    struct lnode *join = *io_join;
    uint32_t total = join->column_count;
    struct select_item *items = BIND_ARRAY(b, struct select_item, n + total + 1);
    if (items == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t found;
        struct lcolumn *l = visible_named(join->columns, left_count, names[i], &found);
        struct lcolumn *r =
            visible_named(join->columns + left_count, total - left_count, names[i], &found);
        struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 2);
        if (l == NULL || r == NULL || args == NULL) {
            return args == NULL ? ERR_NOMEM
                                : my_error(b->diag, ER_BAD_FIELD_ERROR,
                                           arena_strdup(b->arena, names[i]), "from clause");
        }
        args[0] = bind__column_expr(b, l);
        args[1] = bind__column_expr(b, r);
        if (args[0] == NULL || args[1] == NULL) {
            return ERR_NOMEM;
        }
        TRY(bind__coalesce(b, "coalesce", args, 2, &items[i].expr));
        items[i].column = (struct lcolumn){.name = l->name};
        TRY(merge_column(b, j, join, left_count, names[i]));
        l->hidden = true;
    }
    for (uint32_t i = 0; i < total; i++) {
        items[n + i].column = join->columns[i];
        items[n + i].expr = bind__column_expr(b, &join->columns[i]);
        if (items[n + i].expr == NULL) {
            return ERR_NOMEM;
        }
    }
    return bind__project(b, items, n + total, io_join);
}

static db_err merge_columns(struct binder *b, const struct ast_table_join *j,
                            struct lnode **io_join, uint32_t left_count)
{
    struct lnode *join = *io_join;
    uint32_t n = 0;
    struct slice *names = BIND_ARRAY(b, struct slice, join->column_count + j->using_.count + 1);
    struct lcolumn *scratch = BIND_ARRAY(b, struct lcolumn, join->column_count + 1);
    if (names == NULL || scratch == NULL) {
        return ERR_NOMEM;
    }
    if (j->natural) {
        for (uint32_t i = 0; i < left_count; i++) {
            uint32_t found;
            struct lcolumn *c = &join->columns[i];
            if (!c->hidden && (c->def == NULL || !c->def->hidden) &&
                visible_named(join->columns + left_count, join->column_count - left_count, c->name,
                              &found) != NULL) {
                names[n++] = c->name;
            }
        }
    } else {
        for (uint32_t i = 0; i < j->using_.count; i++) {
            names[n++] = j->using_.items[i]->name;
        }
    }
    if (join->u.join.kind == JOIN_FULL) {
        return merge_full(b, j, io_join, left_count, names, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(merge_column(b, j, join, left_count, names[i]));
    }
    bind__complete_join(b, j);
    merged_first(join, left_count, names, n, scratch);
    return ERR_OK;
}

static enum join_kind join_kind_of(const struct ast_table_join *j)
{
    switch (j->kind) {
    case AST_JOIN_LEFT: return JOIN_LEFT;
    case AST_JOIN_RIGHT: return JOIN_RIGHT;
    case AST_JOIN_FULL: return JOIN_FULL;
    case AST_JOIN_INNER:
    case AST_JOIN_STRAIGHT: break;
    }
    return JOIN_INNER;
}

static db_err check_alias_twice(struct binder *b, const struct lnode *l, const struct lnode *r)
{
    for (uint32_t i = 0; i < l->column_count; i++) {
        bool first = i == 0 || !slice_eq(l->columns[i].table, l->columns[i - 1].table) ||
                     !slice_eq(l->columns[i].schema, l->columns[i - 1].schema);
        for (uint32_t k = 0; first && k < r->column_count; k++) {
            const struct lcolumn *a = &l->columns[i];
            const struct lcolumn *c = &r->columns[k];
            if (slice_eq(a->table, c->table) && a->table.len != 0 &&
                slice_eq(a->schema, c->schema)) {
                return my_error(b->diag, ER_NONUNIQ_TABLE, arena_strdup(b->arena, c->table));
            }
        }
    }
    return ERR_OK;
}

/* MYSQL: the right table of a RIGHT JOIN (and of our FULL JOIN) cannot depend on the left one. */
static db_err bind_right_side(struct binder *b, struct scope *scope, const struct ast_table_join *j,
                              const struct lnode *l, struct lnode **ret,
                              const struct lateral_use **ret_mark)
{
    const struct left_tables *saved = scope->left;
    struct left_tables left = {saved, l->columns, l->column_count};
    *ret_mark = b->laterals;
    if (j->kind != AST_JOIN_RIGHT && j->kind != AST_JOIN_FULL) {
        scope->left = &left;
    }
    b->null_side += j->kind == AST_JOIN_LEFT || j->kind == AST_JOIN_FULL;
    db_err err = bind__from(b, scope, j->right, ret);
    b->null_side -= j->kind == AST_JOIN_LEFT || j->kind == AST_JOIN_FULL;
    scope->left = saved;
    return err;
}

/* MYSQL: a constant that a merged table shows is converted to the text that it is compared with
 * whether there are rows or not. */
static db_err constants_fit(struct binder *b, const struct lnode *n, const struct bexpr *e)
{
    bool text = e->kind == BEXPR_CAST && (e->type.wire & TYPE_W_REFUSE_LOSS) != 0 &&
                type_is_string(&e->type) && e->args[0]->kind == BEXPR_COLUMN;
    struct bexpr *made = text ? bind__constant_of(b, n, e->args[0]->u.column.id) : NULL;
    if (made != NULL && !b->opts->defines_view) {
        return bind__text_fits(b, made, e->type.collation);
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(constants_fit(b, n, e->args[i]));
    }
    return ERR_OK;
}

static db_err bind_conditions(struct binder *b, struct scope *scope, const struct ast_expr *e,
                              const struct lnode *input, struct bexpr ***ret, uint32_t *ret_count)
{
    TRY(bind__conjuncts(b, scope, e, ret, ret_count));
    for (uint32_t i = 0; i < *ret_count; i++) {
        TRY(constants_fit(b, input, (*ret)[i]));
    }
    return bind__refuse_dates(b, *ret, *ret_count);
}

/* MYSQL: a join's conditions come after those within the table that it has added, which is the
 * right one, the left one of a RIGHT JOIN; those of the other table come last. */
static db_err join_later(struct binder *b, struct scope *scope, const struct ast_table_join *j,
                         const struct lnode *join, struct on_later *left)
{
    struct on_later *right = scope->on_later;
    bool swapped = j->kind == AST_JOIN_RIGHT;
    struct on_later *parts[] = {swapped ? left : right, NULL, swapped ? right : left};
    if (j->on != NULL) {
        parts[1] = BIND_NEW(b, struct on_later);
        if (parts[1] == NULL) {
            return ERR_NOMEM;
        }
        *parts[1] = (struct on_later){NULL, j->on, join->columns, join->column_count};
    }
    struct on_later **end = &scope->on_later;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        *end = parts[i];
        while (*end != NULL) {
            end = &(*end)->next;
        }
    }
    return ERR_OK;
}

db_err bind__joins_later(struct binder *b, const struct scope *scope)
{
    for (const struct on_later *l = scope->on_later; l != NULL; l = l->next) {
        struct scope on = *scope;
        struct bexpr **conjuncts = NULL;
        uint32_t count = 0;
        on.columns = l->columns;
        on.count = l->count;
        on.place = PLACE_ON;
        on.aggs_allowed = false;
        TRY(bind__conjuncts(b, &on, l->on, &conjuncts, &count));
    }
    return ERR_OK;
}

static db_err bind_join(struct binder *b, struct scope *scope, const struct ast_table_join *j,
                        struct lnode **ret)
{
    struct lnode *join = bind__node(b, LNODE_JOIN, NULL);
    const struct lateral_use *mark;
    if (join == NULL) {
        return ERR_NOMEM;
    }
    struct lnode *l;
    struct lnode *r;
    b->null_side += j->kind == AST_JOIN_RIGHT || j->kind == AST_JOIN_FULL;
    TRY(bind__from(b, scope, j->left, &l));
    struct on_later *left_on = scope->on_later;
    scope->on_later = NULL;
    b->null_side -= j->kind == AST_JOIN_RIGHT || j->kind == AST_JOIN_FULL;
    TRY(bind_right_side(b, scope, j, l, &r, &mark));
    TRY(check_alias_twice(b, l, r));
    join->children[0] = l;
    join->children[1] = r;
    join->child_count = 2;
    join->column_count = l->column_count + r->column_count;
    join->columns = bind__add_columns(b, l->columns, l->column_count, r->columns, r->column_count);
    if (join->columns == NULL) {
        return ERR_NOMEM;
    }
    join->u.join.kind = join_kind_of(j);
    join->u.join.straight = j->kind == AST_JOIN_STRAIGHT || scope->straight;
    for (uint32_t i = 0; i < join->column_count; i++) {
        bool right = i >= l->column_count;
        bool outer = join->u.join.kind == JOIN_FULL || (right && join->u.join.kind == JOIN_LEFT) ||
                     (!right && join->u.join.kind == JOIN_RIGHT);
        if (outer) {
            join->columns[i].type.flags = (uint8_t)(join->columns[i].type.flags & ~TYPE_F_NOT_NULL);
        }
    }
    TRY(bind__lateral_join(b, mark, join));
    const struct ast_expr *written = j->on; /* before a view's tree is completed */
    if (j->natural || j->using_.count != 0) {
        TRY(merge_columns(b, j, &join, l->column_count));
    }
    if (scope->skip_on) {
        TRY(join_later(b, scope, j, join, left_on));
    } else if (written != NULL) {
        struct scope on = *scope;
        on.columns = join->columns;
        on.count = join->column_count;
        on.place = PLACE_ON;
        on.aggs_allowed = false;
        db_err err =
            bind_conditions(b, &on, written, join, &join->u.join.on, &join->u.join.on_count);
        scope->place = err == ERR_OK ? scope->place : PLACE_ON;
        TRY(err);
    }
    *ret = join;
    return ERR_OK;
}

static db_err bind_reference(struct binder *b, struct scope *scope, const struct ast_table *t,
                             struct lnode **ret)
{
    switch (t->kind) {
    case AST_TABLE_BASE: return bind_base(b, scope, (const struct ast_table_base *)t, ret);
    case AST_TABLE_DERIVED: return bind_derived(b, scope, (const struct ast_table_derived *)t, ret);
    case AST_TABLE_JOIN: return bind_join(b, scope, (const struct ast_table_join *)t, ret);
    case AST_TABLE_JSON: return bind__json_table(b, scope, (const struct ast_json_table *)t, ret);
    }
    return ERR_INVALID;
}

db_err bind__from(struct binder *b, struct scope *scope, const struct ast_table *t,
                  struct lnode **ret)
{
    TRY(bind_reference(b, scope, t, ret));
    bind__table_hints(scope, t, *ret);
    return ERR_OK;
}

db_err bind__filter(struct binder *b, struct scope *scope, const struct ast_expr *where,
                    struct lnode **io_root)
{
    if (where == NULL) {
        return ERR_OK;
    }
    struct lnode *f = bind__node(b, LNODE_FILTER, *io_root);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    scope->place = PLACE_WHERE;
    TRY(bind_conditions(b, scope, where, f, &f->u.filter.conjuncts, &f->u.filter.count));
    for (uint32_t i = 0; i < f->u.filter.count; i++) {
        TRY(bind__zero_date(b, scope, &f->u.filter.conjuncts[i]));
    }
    *io_root = f;
    return ERR_OK;
}
