/* The tables that a statement may reach by foreign keys, as a graph.
 *
 * The statement's own tables are put in with what the statement does to them; from each, the tables
 * follow that refer to it, and those again if an action changes their rows. A table is in the graph
 * once, whatever the paths to it, so cycles end. The statement's own table has an entry of its own,
 * as far as it can need less: an INSERT checks parents only, an UPDATE only keys that it can
 * change. */
#include "sql/opt/fk_plan.h"

/* With one entry for each row. */
static bool begins_with(const struct table_def *t, const struct index_def *ix,
                        const uint32_t *columns, uint32_t count)
{
    if (ix->part_count < count || index_multi_part(t, ix) >= 0) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ix->parts[i].column != columns[i] || ix->parts[i].prefix_len != 0) {
            return false;
        }
    }
    return true;
}

static uint32_t first_index(const struct table_def *t)
{
    return t->has_primary ? 0 : 1;
}

uint32_t fk_child_index(const struct table_def *t, const uint32_t *columns, uint32_t count)
{
    for (uint32_t i = first_index(t); i < t->index_count; i++) {
        if (begins_with(t, &t->indexes[i], columns, count)) {
            return i;
        }
    }
    return FK_NO_INDEX;
}

uint32_t fk_parent_index(const struct table_def *t, const uint32_t *columns, uint32_t count,
                         bool *ret_whole)
{
    for (uint32_t i = first_index(t); i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        bool unique = ix->kind == INDEX_PRIMARY || ix->kind == INDEX_UNIQUE;
        if (unique && ix->part_count == count && begins_with(t, ix, columns, count)) {
            *ret_whole = true;
            return i;
        }
    }
    *ret_whole = false;
    return fk_child_index(t, columns, count);
}

/* *ret_found false: the table has no such column. */
static db_err ordinals(struct arena *arena, const struct table_def *t, const struct slice *names,
                       uint32_t count, uint32_t **ret, bool *ret_found)
{
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, count + 1);
    *ret_found = true;
    if (list == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct column_def *c = table_column(t, names[i]);
        if (c == NULL) {
            *ret_found = false;
            return ERR_OK;
        }
        list[i] = c->ordinal;
    }
    *ret = list;
    return ERR_OK;
}

db_err fk_check_make(struct arena *arena, const struct catalog_snapshot *snap,
                     const struct table_def *child, const struct foreign_key_def *def,
                     const struct table_def *self, struct fk_check *ret)
{
    bool found;
    struct fk_check c = {.child = child, .def = def, .index = FK_NO_INDEX};
    bool own = self != NULL && slice_eq(def->ref_schema, self->schema_name) &&
               slice_eq(def->ref_table, self->name);
    c.parent = own ? self : snapshot_permanent(snap, def->ref_schema, def->ref_table);
    TRY(ordinals(arena, child, def->columns, def->column_count, &c.columns, &found));
    if (!found) {
        return ERR_CORRUPT;
    }
    if (c.parent != NULL && c.parent->kind != TABLE_BASE) {
        c.parent = NULL;
    }
    if (c.parent != NULL) {
        TRY(ordinals(arena, c.parent, def->ref_columns, def->column_count, &c.ref_columns, &found));
        if (found) {
            c.index = fk_parent_index(c.parent, c.ref_columns, def->column_count, &c.whole);
        }
    }
    *ret = c;
    return ERR_OK;
}

static bool is_action(uint8_t a)
{
    return a == FK_CASCADE || a == FK_SET_NULL;
}

static db_err add_lock(struct fk_graph *g, const struct table_def *t)
{
    if (g->lock_count == g->lock_cap) {
        uint32_t cap = g->lock_cap == 0 ? 8 : g->lock_cap * 2;
        const struct table_def **grown = ARENA_ARRAY(g->arena, const struct table_def *, cap);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (g->lock_count != 0) {
            memcpy(grown, g->locks, g->lock_count * sizeof(*grown));
        }
        g->locks = grown;
        g->lock_cap = cap;
    }
    g->locks[g->lock_count++] = t;
    return ERR_OK;
}

static db_err new_table(struct fk_graph *g, const struct table_def *t, struct fk_table **ret)
{
    struct fk_table *f = ARENA_NEW(g->arena, struct fk_table);
    if (g->table_count == g->table_cap) {
        uint32_t cap = g->table_cap == 0 ? 8 : g->table_cap * 2;
        struct fk_table **grown = ARENA_ARRAY(g->arena, struct fk_table *, cap);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (g->table_count != 0) {
            memcpy(grown, g->tables, g->table_count * sizeof(*grown));
        }
        g->tables = grown;
        g->table_cap = cap;
    }
    if (f == NULL) {
        return ERR_NOMEM;
    }
    f->id = g->table_count;
    f->table = t;
    g->tables[g->table_count++] = f;
    *ret = f;
    return add_lock(g, t);
}

static bool touches(const struct table_def *t, const struct slice *names, uint32_t count,
                    const bool *changed)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct column_def *c = table_column(t, names[i]);
        if (c == NULL || changed == NULL || changed[c->ordinal]) {
            return true;
        }
    }
    return false;
}

static db_err fill_checks(struct fk_graph *g, struct fk_table *f, const bool *changed)
{
    const struct table_def *t = f->table;
    f->checks = ARENA_ARRAY(g->arena, struct fk_check, t->foreign_key_count + 1);
    if (f->checks == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        const struct foreign_key_def *def = &t->foreign_keys[i];
        if (!touches(t, def->columns, def->column_count, changed)) {
            continue;
        }
        struct fk_check *c = &f->checks[f->check_count];
        TRY(fk_check_make(g->arena, g->bind->snapshot, t, def, NULL, c));
        f->check_count++;
        if (c->parent != NULL) {
            TRY(add_lock(g, c->parent));
        }
    }
    return ERR_OK;
}

static db_err fill_refs(struct fk_graph *g, struct fk_table *f, const bool *changed);

/* The graph's entry of a table that refers to another one. */
static db_err child_table(struct fk_graph *g, const struct fk_edge *e, struct fk_table **ret)
{
    struct fk_table *f = NULL;
    const struct foreign_key_def *def = fk_of_edge(e);
    bool action = is_action(def->on_delete) || is_action(def->on_update);
    for (uint32_t i = 0; i < g->table_count && f == NULL; i++) {
        bool full = g->tables[i]->changes;
        f = g->tables[i]->table == e->child && full == action ? g->tables[i] : NULL;
    }
    if (f == NULL) {
        TRY(new_table(g, e->child, &f));
        if (action) {
            f->changes = true; /* before what follows: a cycle ends here */
            TRY(bind_table_rules(g->arena, g->bind, e->child, RULES_NO_DEFAULTS, g->diag,
                                 &f->rules));
            TRY(bind_virtual_columns(g->arena, g->bind, e->child, NULL, g->diag, &f->virtuals));
            TRY(fill_checks(g, f, NULL));
            TRY(fill_refs(g, f, NULL));
        }
    }
    *ret = f;
    return ERR_OK;
}

static db_err fill_refs(struct fk_graph *g, struct fk_table *f, const bool *changed)
{
    uint32_t n;
    const struct table_def *t = f->table;
    const struct fk_edge *edges = snapshot_children(g->bind->snapshot, t->schema_name, t->name, &n);
    struct fk_ref *refs = ARENA_ARRAY(g->arena, struct fk_ref, n + 1);
    if (refs == NULL) {
        return ERR_NOMEM;
    }
    f->refs = refs;
    for (uint32_t i = 0; i < n; i++) {
        const struct foreign_key_def *def = fk_of_edge(&edges[i]);
        struct fk_check c;
        struct fk_table *child;
        if (!touches(t, def->ref_columns, def->column_count, changed)) {
            continue;
        }
        TRY(fk_check_make(g->arena, g->bind->snapshot, edges[i].child, def, NULL, &c));
        if (c.index == FK_NO_INDEX) {
            continue;
        }
        TRY(child_table(g, &edges[i], &child));
        refs[f->ref_count++] =
            (struct fk_ref){.child = child,
                            .parent = t,
                            .def = def,
                            .columns = c.columns,
                            .ref_columns = c.ref_columns,
                            .index = fk_child_index(edges[i].child, c.columns, def->column_count),
                            .parent_index = c.index,
                            .parent_whole = c.whole};
    }
    return ERR_OK;
}

db_err fk_graph_add(struct fk_graph *g, const struct table_def *table, bool checks, bool refs,
                    const bool *changed, const struct fk_table **ret_table)
{
    uint32_t n = 0;
    struct fk_table *f;
    *ret_table = NULL;
    if (refs && !table_is_temporary(table)) {
        snapshot_children(g->bind->snapshot, table->schema_name, table->name, &n);
    }
    if (n == 0 && (!checks || table->foreign_key_count == 0)) {
        return ERR_OK;
    }
    TRY(new_table(g, table, &f));
    refs = refs && n != 0;
    if (checks) {
        TRY(fill_checks(g, f, changed));
    }
    if (refs) {
        TRY(fill_refs(g, f, changed));
    }
    *ret_table = f->check_count == 0 && f->ref_count == 0 ? NULL : f;
    return ERR_OK;
}

static bool reaches(const struct fk_table *from, const struct fk_table *to, bool *seen)
{
    for (uint32_t i = 0; i < from->ref_count; i++) {
        const struct fk_table *child = from->refs[i].child;
        if (!child->changes) {
            continue;
        }
        if (child->table == to->table) {
            return true;
        }
        if (!seen[child->id]) {
            seen[child->id] = true;
            if (reaches(child, to, seen)) {
                return true;
            }
        }
    }
    return false;
}

db_err fk_graph_finish(struct fk_graph *g)
{
    if (g->table_count == 0) {
        return ERR_OK;
    }
    bool *seen = ARENA_ARRAY(g->arena, bool, g->table_count);
    if (seen == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->table_count; i++) {
        memset(seen, 0, g->table_count * sizeof(*seen));
        for (uint32_t k = 0; k < g->table_count; k++) {
            g->tables[i]->reached =
                g->tables[i]->reached ||
                (g->tables[k]->changes && g->tables[k]->table == g->tables[i]->table);
        }
        g->tables[i]->loops = reaches(g->tables[i], g->tables[i], seen);
    }
    return ERR_OK;
}
