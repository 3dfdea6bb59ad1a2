/* ALTER TABLE, CREATE INDEX, DROP INDEX.
 *
 * The table is locked exclusively for the whole statement. What is written before the descriptors
 * change (a copy under a new table id, entries of new indexes) is announced by a record of a
 * pending drop first: a crash or an error leaves a range that recovery deletes. The change that
 * makes the new descriptor the table's removes that record and announces the old ranges instead, in
 * one storage transaction. */
#include "base/faults.h"
#include "sql/catalog/table_format.h"
#include "sql/ddl/alter_int.h"
#include "sql/ddl/fk_int.h"
#include "sql/exec/row_writer.h"
#include "sql/storage/storage.h"

struct drop_set {
    struct pending_drop *items;
    uint32_t count;
};

static db_err rename_edit(struct alter *a, struct catalog_change *change, table_id_t id)
{
    struct slice schema = a->new_name.ptr == NULL ? a->old->schema_name : a->new_schema;
    struct slice name = a->new_name.ptr == NULL ? a->old->name : a->new_name;
    if (slice_eq(schema, a->old->schema_name) && slice_eq(name, a->old->name)) {
        return ERR_OK;
    }
    TRY(ddl__check_adopted(a->ctx, catalog_change_view(change),
                           snapshot_table_by_id(catalog_change_view(change), id), schema, name,
                           false));
    return catalog_rename_table(change, id, schema, name, a->ctx->diag);
}

static db_err finish_change(struct alter *a, struct catalog_change *change, db_err err)
{
    if (err != ERR_OK) {
        catalog_change_abort(change);
        return err;
    }
    FAULT(ddl_before_swap);
    return ddl__commit(a->ctx, change);
}

/* Ranges that were announced and filled for nothing. The statement's own error is the one to tell.
 */
static db_err undo(struct alter *a, const struct drop_set *made, db_err err)
{
    struct diag ignored;
    diag_reset(&ignored);
    db_err ignored_err =
        ddl__delete_ranges(a->ctx->catalog, a->ctx->storage, made->items, made->count, &ignored);
    (void)ignored_err; /* the records stay: recovery does it */
    return err;
}

static db_err announce(struct alter *a, const struct drop_set *made)
{
    for (uint32_t i = 0; i < made->count; i++) {
        TRY(catalog_put_drop(a->ctx->catalog, &made->items[i], true, a->ctx->diag));
    }
    return ERR_OK;
}

static bool checks_parents(const struct alter *a)
{
    return a->ctx->foreign_key_checks && ddl__has_new_fk(&a->draft);
}

/* ---- by copy ---- */

static db_err swap_tables(struct alter *a, const struct table_def *def,
                          const struct pending_drop *made, const struct pending_drop *gone)
{
    struct catalog_change *change;
    struct diag *diag = a->ctx->diag;
    TRY(catalog_change_begin(a->ctx->catalog, diag, &change));
    db_err err = catalog_add_drop(change, gone, diag);
    err = err != ERR_OK ? err : catalog_cancel_drop(change, made, diag);
    err = err != ERR_OK ? err : catalog_drop_table(change, a->old->id, diag);
    err = err != ERR_OK ? err : catalog_create_table(change, def, diag, NULL);
    err = err != ERR_OK ? err : ddl__rename_referenced(&a->draft, change);
    err = err != ERR_OK ? err : rename_edit(a, change, def->id);
    return finish_change(a, change, err);
}

static db_err alter_by_copy(struct alter *a)
{
    struct ddl_ctx *ctx = a->ctx;
    struct table_def def;
    struct pending_drop made = {0};
    struct pending_drop gone = {.table_id = a->old->id};
    struct drop_set set = {&made, 1};
    TRY(catalog_new_table_id(ctx->catalog, ctx->diag, &made.table_id));
    TRY(ddl__finish(&a->draft, false, &def));
    def.id = made.table_id;
    def.create_time_us = 0;
    def.auto_increment_start = a->set_number ? def.auto_increment_start : 0;
    TRY(table_format_new(ctx->arena, &def, &def.format));
    TRY(announce(a, &set));
    db_err err = ddl__copy_rows(a, &def);
    if (err == ERR_OK && checks_parents(a)) {
        err = ddl__check_fk_rows(a, &def);
    }
    if (err == ERR_OK) {
        err = swap_tables(a, &def, &made, &gone);
    }
    if (err != ERR_OK) {
        return err == ERR_COMMIT_UNKNOWN ? err : undo(a, &set, err);
    }
    return ddl__delete_ranges(ctx->catalog, ctx->storage, &gone, 1, ctx->diag);
}

/* ---- in place ---- */

struct index_sets {
    bool *is_new; /* by new ordinal */
    struct drop_set made, gone;
};

static bool in_table(const struct table_def *t, index_id_t id)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        if (t->indexes[i].id == id) {
            return true;
        }
    }
    return false;
}

static db_err compare_indexes(struct alter *a, const struct table_def *def, struct index_sets *s)
{
    struct arena *arena = a->ctx->arena;
    s->is_new = ARENA_ARRAY(arena, bool, def->index_count + 1);
    s->made.items = ARENA_ARRAY(arena, struct pending_drop, def->index_count + 1);
    s->gone.items = ARENA_ARRAY(arena, struct pending_drop, a->old->index_count + 1);
    if (s->is_new == NULL || s->made.items == NULL || s->gone.items == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < def->index_count; i++) {
        s->is_new[i] = !in_table(a->old, def->indexes[i].id);
        if (s->is_new[i]) {
            s->made.items[s->made.count++] = (struct pending_drop){def->id, def->indexes[i].id, 0};
        }
    }
    for (uint32_t i = 0; i < a->old->index_count; i++) {
        if (!in_table(def, a->old->indexes[i].id)) {
            s->gone.items[s->gone.count++] =
                (struct pending_drop){def->id, a->old->indexes[i].id, 0};
        }
    }
    return ERR_OK;
}

static db_err commit_in_place(struct alter *a, const struct table_def *def,
                              const struct index_sets *s)
{
    struct catalog_change *change;
    struct diag *diag = a->ctx->diag;
    TRY(catalog_change_begin(a->ctx->catalog, diag, &change));
    db_err err = ERR_OK;
    for (uint32_t i = 0; i < s->made.count && err == ERR_OK; i++) {
        err = catalog_cancel_drop(change, &s->made.items[i], diag);
    }
    for (uint32_t i = 0; i < s->gone.count && err == ERR_OK; i++) {
        err = catalog_add_drop(change, &s->gone.items[i], diag);
    }
    err = err != ERR_OK ? err : catalog_replace_table(change, def, diag);
    err = err != ERR_OK ? err : ddl__rename_referenced(&a->draft, change);
    err = err != ERR_OK ? err : rename_edit(a, change, def->id);
    return finish_change(a, change, err);
}

static db_err raise_number(struct alter *a, const struct table_def *def)
{
    uint8_t key[16];
    if (!a->set_number || def->auto_increment < 0 || def->auto_increment_start < 2) {
        return ERR_OK;
    }
    return storage_sequence_raise(a->ctx->storage, sequence_key(def, false, key),
                                  def->auto_increment_start - 1, a->ctx->diag);
}

static db_err alter_in_place(struct alter *a)
{
    struct ddl_ctx *ctx = a->ctx;
    struct table_def def;
    struct index_sets s = {0};
    TRY(ddl__finish(&a->draft, true, &def));
    TRY(table_format_new(ctx->arena, &def, &def.format));
    TRY(compare_indexes(a, &def, &s));
    TRY(raise_number(a, &def));
    TRY(announce(a, &s.made));
    db_err err = s.made.count == 0 ? ERR_OK : ddl__fill_indexes(a, &def, s.is_new);
    if (err == ERR_OK && checks_parents(a)) {
        err = ddl__check_fk_rows(a, &def);
    }
    if (err == ERR_OK) {
        err = commit_in_place(a, &def, &s);
    }
    if (err != ERR_OK) {
        return err == ERR_COMMIT_UNKNOWN ? err : undo(a, &s.made, err);
    }
    return ddl__delete_ranges(ctx->catalog, ctx->storage, s.gone.items, s.gone.count, ctx->diag);
}

/* ---- ALGORITHM and LOCK ---- */

static bool word_is(struct slice s, const char *word)
{
    return slice_eq_nocase(s, slice_str(word));
}

static db_err check_modifiers(struct ddl_ctx *ctx, const struct ast_alter_modifiers *m)
{
    if (m->algorithm.ptr != NULL && !word_is(m->algorithm, "DEFAULT") &&
        !word_is(m->algorithm, "INSTANT") && !word_is(m->algorithm, "INPLACE") &&
        !word_is(m->algorithm, "COPY")) {
        return diag_set_sql(ctx->diag, ER_UNKNOWN_ALTER_ALGORITHM, "HY000",
                            "Unknown ALGORITHM '%.*s'", SLICE_FMT(m->algorithm));
    }
    if (m->lock.ptr != NULL && !word_is(m->lock, "DEFAULT") && !word_is(m->lock, "NONE") &&
        !word_is(m->lock, "SHARED") && !word_is(m->lock, "EXCLUSIVE")) {
        return diag_set_sql(ctx->diag, ER_UNKNOWN_ALTER_LOCK, "HY000", "Unknown LOCK type '%.*s'",
                            SLICE_FMT(m->lock));
    }
    if (word_is(m->algorithm, "INSTANT") && m->lock.ptr != NULL && !word_is(m->lock, "DEFAULT")) {
        return my_error(ctx->diag, ER_WRONG_USAGE, "ALGORITHM=INSTANT",
                        "LOCK=NONE/SHARED/EXCLUSIVE");
    }
    return ERR_OK;
}

/* MYSQL: NULLs can become values, which is a copy, when the mode is not strict. */
static bool loses_null(const struct alter *a, const struct draft_column *c)
{
    const struct column_def *old = c->source < 0 ? NULL : &a->old->columns[c->source];
    return old != NULL && old->generated == GENERATED_NO &&
           (a->ctx->bind->sql_mode & SQL_MODE_STRICT) == 0 &&
           (old->type.flags & TYPE_F_NOT_NULL) == 0 && (c->def.type.flags & TYPE_F_NOT_NULL) != 0;
}

/* MYSQL: a type that is a copy, whatever may be NULL. */
static bool retypes(const struct alter *a, const struct draft_column *c)
{
    if (c->source < 0) {
        return false;
    }
    struct sql_type from = a->old->columns[c->source].type;
    struct sql_type to = c->def.type;
    from.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    to.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    if (ddl__recollates_in_place(&from, &to) && !ddl__is_key_part(&a->draft, c)) {
        from.collation = to.collation;
    }
    return !ddl__same_stored_form(&from, &to, false);
}

/* MYSQL: why ALGORITHM cannot be what was written; NULL: no reason is told. */
static const char *reason_to_copy(const struct alter *a, bool instant)
{
    const char *why = NULL;
    for (uint32_t i = 0; i < a->draft.column_count; i++) {
        if (retypes(a, a->draft.columns[i])) {
            return instant ? "Need to rebuild the table to change column type"
                           : "Cannot change column type INPLACE";
        }
        if (loses_null(a, a->draft.columns[i])) {
            why = "cannot silently convert NULL values, as required in this SQL_MODE";
        }
    }
    return why;
}

static bool fills_indexes(const struct alter *a)
{
    for (uint32_t i = 0; i < a->draft.index_count; i++) {
        if (a->draft.indexes[i]->source < 0) {
            return true;
        }
    }
    return false;
}

/* Others go on with the table while nothing but its descriptor changes; whoever looks at its rows
 * keeps them out. */
static db_err check_lock(const struct alter *a, const struct ast_alter_modifiers *m,
                         enum alter_way way)
{
    bool none = word_is(m->lock, "NONE");
    if (!none && !word_is(m->lock, "SHARED")) {
        return ERR_OK;
    }
    if (a->new_name.ptr != NULL) {
        return my_error(a->ctx->diag, ER_ALTER_OPERATION_NOT_SUPPORTED, "LOCK=NONE/SHARED",
                        "LOCK=EXCLUSIVE");
    }
    if (way == ALTER_COPY || fills_indexes(a) || checks_parents(a) || ddl__checks_rows(&a->draft)) {
        return my_error(a->ctx->diag, ER_ALTER_OPERATION_NOT_SUPPORTED,
                        none ? "LOCK=NONE" : "LOCK=SHARED", "LOCK=EXCLUSIVE");
    }
    return ERR_OK;
}

static db_err check_algorithm(struct alter *a, const struct ast_alter_modifiers *m,
                              enum alter_way way)
{
    bool instant = word_is(m->algorithm, "INSTANT");
    const char *why =
        instant || word_is(m->algorithm, "INPLACE") ? reason_to_copy(a, instant) : NULL;
    if (why != NULL) {
        return my_error(a->ctx->diag, ER_ALTER_OPERATION_NOT_SUPPORTED_REASON,
                        instant ? "ALGORITHM=INSTANT" : "ALGORITHM=INPLACE", why,
                        instant ? "ALGORITHM=COPY/INPLACE" : "ALGORITHM=COPY");
    }
    if (way == ALTER_COPY && word_is(m->algorithm, "INPLACE")) {
        return my_error(a->ctx->diag, ER_ALTER_OPERATION_NOT_SUPPORTED, "ALGORITHM=INPLACE",
                        "ALGORITHM=COPY");
    }
    if (word_is(m->algorithm, "INPLACE") && checks_parents(a)) {
        return my_error(a->ctx->diag, ER_ALTER_OPERATION_NOT_SUPPORTED_REASON, "ALGORITHM=INPLACE",
                        "Adding foreign keys needs foreign_key_checks=OFF", "ALGORITHM=COPY");
    }
    if (instant && (way == ALTER_COPY || fills_indexes(a))) {
        return my_error(a->ctx->diag, ER_ALTER_OPERATION_NOT_SUPPORTED, "ALGORITHM=INSTANT",
                        way == ALTER_COPY ? "ALGORITHM=COPY" : "ALGORITHM=COPY/INPLACE");
    }
    return ERR_OK;
}

/* ---- the statements ---- */

static bool computes_rows(const struct alter *a, const struct draft_column *c)
{
    if (c->source >= 0) {
        const struct column_def *old = &a->old->columns[c->source];
        return old->generated != c->def.generated || old->auto_increment != c->def.auto_increment ||
               !slice_eq(old->generated_expr, c->def.generated_expr);
    }
    return c->def.generated == GENERATED_STORED || c->row_default;
}

/* MYSQL: affected rows are told where values are converted or computed, checks or new foreign keys
 * look at rows, rows are ordered, the primary key goes, or ALGORITHM=COPY is written. */
static bool counts_rows(const struct alter *a)
{
    if (a->draft.copy || ddl__checks_rows(&a->draft) || checks_parents(a) || a->order_by != NULL) {
        return true;
    }
    if (a->old->has_primary && ddl__primary(&a->draft) == NULL) {
        return true; /* MYSQL: a copy, too */
    }
    for (uint32_t i = 0; i < a->draft.column_count; i++) {
        const struct draft_column *c = a->draft.columns[i];
        if (computes_rows(a, c)) {
            return true;
        }
        if (c->source < 0) {
            continue;
        }
        if (loses_null(a, c) || retypes(a, c)) {
            return true;
        }
    }
    return false;
}

/* A temporary table is always copied, as MySQL does: nobody else can be in the way. */
static db_err alter_temporary(struct alter *a)
{
    struct ddl_ctx *ctx = a->ctx;
    struct ddl_temporaries *own = ctx->temporaries;
    struct table_def def;
    table_id_t id;
    if (ddl__has_new_fk(&a->draft)) {
        return my_error(ctx->diag, ER_CANNOT_ADD_FOREIGN);
    }
    a->tells_copy = true;
    TRY(own->new_id(own, ctx, &id));
    TRY(ddl__finish(&a->draft, false, &def));
    def.id = id;
    def.create_time_us = 0;
    def.auto_increment_start = a->set_number ? def.auto_increment_start : 0;
    if (a->new_name.ptr != NULL) {
        const struct schema_def *schema = snapshot_schema(ctx->bind->snapshot, a->new_schema);
        if (schema == NULL) {
            return my_error(ctx->diag, ER_BAD_DB_ERROR, ddl__text(ctx, a->new_schema));
        }
        if (snapshot_temporary(ctx->bind->snapshot, a->new_schema, a->new_name) != NULL) {
            return my_error(ctx->diag, ER_TABLE_EXISTS_ERROR, ddl__text(ctx, a->new_name));
        }
        def.schema_id = schema->id;
        def.schema_name = schema->name;
        def.name = a->new_name;
    }
    TRY(table_format_new(ctx->arena, &def, &def.format));
    db_err err = ddl__copy_rows(a, &def);
    table_id_t gone = a->old->id;
    if (err == ERR_OK) {
        err = own->put(own, gone, &def);
    }
    if (err != ERR_OK) {
        db_err ignored = ddl__delete_temporary(ctx, id);
        (void)ignored; /* the statement's own error is the one to tell */
        return err;
    }
    ctx->affected_rows = a->copied;
    ctx->tells_rows = true;
    return ddl__delete_temporary(ctx, gone);
}

/* The table, and those that new foreign keys refer to. */
static db_err list_targets(struct ddl_ctx *ctx, const struct ddl_target *table,
                           const struct ast_alter_action_list *actions,
                           struct ddl_target **ret_targets, uint32_t *ret_count, bool *ret_renames)
{
    uint32_t room = 2;
    for (uint32_t i = 0; i < actions->count; i++) {
        const struct ast_alter_action *x = actions->items[i];
        room += 2 + x->columns.count + x->indexes.count;
        *ret_renames = *ret_renames || x->kind == AST_ALTER_RENAME_TABLE ||
                       x->kind == AST_ALTER_RENAME_COLUMN || x->kind == AST_ALTER_CHANGE_COLUMN;
    }
    struct ddl_target *list = ARENA_ARRAY(ctx->arena, struct ddl_target, room);
    if (list == NULL) {
        return ERR_NOMEM;
    }
    list[0] = *table;
    uint32_t n = 1;
    for (uint32_t i = 0; i < actions->count; i++) {
        const struct ast_alter_action *x = actions->items[i];
        ddl__parents_of(ctx, x->column == NULL ? NULL : x->column->references, table->schema, list,
                        &n);
        ddl__parents_of(ctx, x->index == NULL ? NULL : x->index->references, table->schema, list,
                        &n);
        for (uint32_t k = 0; k < x->columns.count; k++) {
            ddl__parents_of(ctx, x->columns.items[k]->references, table->schema, list, &n);
        }
        for (uint32_t k = 0; k < x->indexes.count; k++) {
            ddl__parents_of(ctx, x->indexes.items[k]->references, table->schema, list, &n);
        }
    }
    *ret_targets = list;
    *ret_count = n;
    return ERR_OK;
}

/* Before anything is done with rows. */
static db_err check_foreign_keys(struct alter *a)
{
    uint32_t n;
    struct table_def def;
    if (table_is_temporary(a->old)) {
        return ERR_OK;
    }
    snapshot_children(a->snapshot, a->old->schema_name, a->old->name, &n);
    if (n == 0 && a->draft.fk_count == 0) {
        return ERR_OK;
    }
    if (!slice_eq_nocase(a->draft.def.engine, SLICE_LIT("InnoDB"))) {
        return my_error(a->ctx->diag, ER_FK_CANNOT_CHANGE_ENGINE);
    }
    TRY(ddl__finish(&a->draft, true, &def));
    return ddl__check_fks(&a->draft, &def, a->snapshot);
}

typedef db_err (*apply_fn)(struct alter *a, const void *arg);

static db_err run_locked(struct ddl_ctx *ctx, const struct ddl_target *t,
                         const struct catalog_snapshot *snap,
                         const struct ast_alter_modifiers *modifiers, apply_fn apply,
                         const void *arg)
{
    struct alter a = {.ctx = ctx, .old = t->def, .snapshot = snap};
    enum alter_way way;
    if (t->def == NULL) {
        return snapshot_schema(ctx->bind->snapshot, t->schema) == NULL
                   ? my_error(ctx->diag, ER_BAD_DB_ERROR, ddl__text(ctx, t->schema))
                   : my_error(ctx->diag, ER_NO_SUCH_TABLE, ddl__text(ctx, t->schema),
                              ddl__text(ctx, t->name));
    }
    if (t->def->kind != TABLE_BASE) {
        return my_error(ctx->diag, ER_WRONG_OBJECT, ddl__text(ctx, t->schema),
                        ddl__text(ctx, t->name), "BASE TABLE");
    }
    TRY(ddl__draft_of(ctx, t->def, &a.draft));
    TRY(apply(&a, arg));
    if (ctx->require_primary && ddl__primary(&a.draft) == NULL) {
        return my_error(ctx->diag, ER_TABLE_WITHOUT_PK);
    }
    TRY(ddl__plan_alter(&a, &way));
    a.draft.copy = word_is(modifiers->algorithm, "COPY");
    TRY(check_foreign_keys(&a));
    TRY(check_algorithm(&a, modifiers, way));
    TRY(counts_rows(&a) ? ddl__fk_columns_stay(&a.draft, snap) : ERR_OK);
    way = a.draft.copy ? ALTER_COPY : way;
    TRY(check_lock(&a, modifiers, way));
    if (table_is_temporary(t->def)) {
        return alter_temporary(&a);
    }
    a.tells_copy = counts_rows(&a);
    TRY(way == ALTER_COPY ? alter_by_copy(&a) : alter_in_place(&a));
    ctx->affected_rows = a.tells_copy ? a.copied : 0;
    ctx->tells_rows = !a.only_rename || a.draft.copy;
    return ERR_OK;
}

/* The actions are NULL for statements on indexes. */
static db_err run(struct ddl_ctx *ctx, const struct ast_name *name,
                  const struct ast_alter_action_list *actions,
                  const struct ast_alter_modifiers *modifiers, apply_fn apply, const void *arg)
{
    struct ddl_target first = {.name = name->name};
    struct ddl_target *targets = &first;
    const struct catalog_snapshot *snap;
    uint32_t n = 1;
    bool renames = false;
    TRY(ddl__schema_of(ctx, name, &first.schema));
    TRY(ddl__writable_schema(ctx, first.schema));
    TRY(check_modifiers(ctx, modifiers));
    first.def = snapshot_temporary(ctx->bind->snapshot, first.schema, first.name);
    if (first.def != NULL) {
        return run_locked(ctx, &first, ctx->bind->snapshot, modifiers, apply, arg);
    }
    if (actions != NULL) {
        TRY(list_targets(ctx, &first, actions, &targets, &n, &renames));
    }
    TRY(ddl__lock_family(ctx, targets, n, renames ? 1 : 0, &snap));
    db_err err = run_locked(ctx, targets, snap, modifiers, apply, arg);
    catalog_release(snap);
    return err;
}

static db_err apply_alter(struct alter *a, const void *arg)
{
    return ddl__apply_actions(a, arg);
}

db_err ddl__alter_table(struct ddl_ctx *ctx, const struct ast_alter_table *s)
{
    TRY(ddl__actions_allowed(ctx, &s->actions));
    return run(ctx, &s->name, &s->actions, &s->modifiers, apply_alter, &s->actions);
}

static db_err apply_one(struct alter *a, struct ast_alter_action *action)
{
    struct ast_alter_action *items[] = {action};
    struct ast_alter_action_list list = {items, 1, 1};
    return ddl__apply_actions(a, &list);
}

static db_err apply_create(struct alter *a, const void *arg)
{
    struct ast_alter_action add = {.kind = AST_ALTER_ADD_INDEX};
    add.index = ((const struct ast_create_index *)arg)->index;
    return apply_one(a, &add);
}

db_err ddl__create_index(struct ddl_ctx *ctx, const struct ast_create_index *s)
{
    return run(ctx, &s->table, NULL, &s->modifiers, apply_create, s);
}

static db_err apply_drop(struct alter *a, const void *arg)
{
    struct ast_alter_action drop = {.kind = AST_ALTER_DROP_INDEX};
    drop.name = ((const struct ast_drop_index *)arg)->index.name;
    return apply_one(a, &drop);
}

db_err ddl__drop_index(struct ddl_ctx *ctx, const struct ast_drop_index *s)
{
    return run(ctx, &s->table, NULL, &s->modifiers, apply_drop, s);
}
