/* LOCK TABLES and UNLOCK TABLES.
 *
 * A lock excludes other sessions of all nodes by metadata locks (sql/ddl/mdl.h): WRITE takes the
 * table's definition and its rows exclusively, READ keeps writers out of the rows and, by a shared
 * lock on this node, schema statements out of the definition. They belong to an owner of their own,
 * since they outlive transactions. While a session has such locks its statements may use only what
 * is listed, under the aliases that are listed (1100, 1099), and take no metadata locks of their
 * own.
 *
 * All exclusive locks of a statement are asked for at once, and what was held before is given back
 * first, so nobody waits for a session while that session waits for him.
 *
 * A schema statement may change tables that are locked for WRITE. Those that got a new id by it are
 * locked anew; somebody who has waited may come between. */
#include "base/alloc.h"
#include "base/clock.h"
#include "sql/session/session_int.h"

enum { LOCKS_MAX = 65536 };

struct table_lock {
    struct slice schema, name, alias;
    table_id_t id; /* 0: a view */
    bool write;
};

static struct mdl *mdl_of(struct sql_session *s)
{
    return s->engine->mdl;
}

static const struct sql_coord_ops *coord_ops(struct sql_session *s)
{
    return s->engine->opts.coord == NULL ? NULL : s->engine->opts.coord->ops;
}

void table_locks__release(struct sql_session *s)
{
    struct session_table_locks *l = &s->table_locks;
    if (l->everywhere != NULL) {
        coord_ops(s)->unlock_tables(l->everywhere);
        l->everywhere = NULL;
    }
    mdl_release_all(mdl_of(s), &l->owner);
    l->count = 0;
    l->list = NULL;
    if (l->has_arena) {
        arena_fini(&l->arena);
        l->has_arena = false;
    }
    l->active = false;
}

/* ---- taking them ---- */

static db_err add(struct sql_session *s, struct slice schema, struct slice name, struct slice alias,
                  table_id_t id, bool write)
{
    struct session_table_locks *l = &s->table_locks;
    if (l->count == LOCKS_MAX) {
        return ERR_LIMIT;
    }
    if (l->count == l->cap || l->list == NULL) {
        uint32_t cap = l->list == NULL ? 16 : l->cap * 2;
        struct table_lock *grown = ARENA_ARRAY(&l->arena, struct table_lock, cap);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (l->count != 0) {
            memcpy(grown, l->list, l->count * sizeof(*grown));
        }
        l->list = grown;
        l->cap = cap;
    }
    struct table_lock *t = &l->list[l->count];
    TRY(arena_copy(&l->arena, schema, &t->schema));
    TRY(arena_copy(&l->arena, name, &t->name));
    TRY(arena_copy(&l->arena, alias, &t->alias));
    t->id = id;
    t->write = write;
    l->count++;
    return ERR_OK;
}

/* A view stands for itself and for the tables that it reads, under their own names. */
static db_err add_view(struct sql_session *s, const struct table_def *view, bool write)
{
    struct ast_body_table table = {
        .body = {.kind = AST_BODY_TABLE},
        .name = {.schema = view->schema_name, .name = view->name},
    };
    struct ast_query query = {.body = &table.body};
    struct ast_select_stmt stmt = {.stmt = {.kind = AST_STMT_SELECT}, .query = &query};
    struct plan *plan;
    TRY(query__plan(s, &stmt.stmt, NULL, false, &plan)); /* in the name of its definer */
    db_err err = ERR_OK;
    for (uint32_t i = 0; i < plan->table_count && err == ERR_OK; i++) {
        const struct table_def *t = plan->tables[i];
        if (t->kind == TABLE_BASE && !table_is_temporary(t)) {
            err = add(s, t->schema_name, t->name, t->name, t->id, write);
        }
    }
    plan_unref(plan);
    return err;
}

static db_err resolve_item(struct sql_session *s, const struct catalog_snapshot *snap,
                           const struct ast_lock_item *item)
{
    struct slice schema = item->table.schema.ptr != NULL ? item->table.schema
                          : s->has_schema                ? s->schema
                                                         : SLICE_EMPTY;
    if (schema.ptr == NULL) {
        return my_error(&s->diag, ER_NO_DB_ERROR);
    }
    const struct table_def *t = snapshot_table(snap, schema, item->table.name);
    const struct schema_def *sd = snapshot_schema(snap, schema);
    if (sd != NULL && sd->virtual) {
        return my_error(&s->diag, ER_DBACCESS_DENIED_ERROR, arena_strdup(&s->stmt_arena, s->user),
                        arena_strdup(&s->stmt_arena, s->host),
                        arena_strdup(&s->stmt_arena, sd->name));
    }
    if (t == NULL) {
        return my_error(&s->diag, ER_NO_SUCH_TABLE, arena_strdup(&s->stmt_arena, schema),
                        arena_strdup(&s->stmt_arena, item->table.name));
    }
    struct slice alias = item->alias.ptr != NULL ? item->alias : item->table.name;
    for (uint32_t i = 0; i < s->table_locks.count; i++) {
        const struct table_lock *l = &s->table_locks.list[i];
        if (slice_eq(l->alias, alias) && slice_eq(l->schema, schema)) {
            return my_error(&s->diag, ER_NONUNIQ_TABLE, arena_strdup(&s->stmt_arena, alias));
        }
    }
    if (table_is_temporary(t) || t->kind == TABLE_VIRTUAL) {
        return ERR_OK; /* the session's own, and what nobody writes */
    }
    return add(s, schema, t->name, alias, t->kind == TABLE_VIEW ? 0 : t->id, item->write);
}

static db_err resolve_all(struct sql_session *s, const struct catalog_snapshot *snap,
                          const struct ast_lock_item_list *items)
{
    struct session_table_locks *l = &s->table_locks;
    l->count = 0;
    l->list = NULL;
    for (uint32_t i = 0; i < items->count; i++) {
        TRY(resolve_item(s, snap, items->items[i]));
    }
    uint32_t named = l->count;
    for (uint32_t i = 0; i < named; i++) {
        struct table_lock t = l->list[i];
        if (t.id == 0) {
            TRY(add_view(s, snapshot_table(snap, t.schema, t.name), t.write));
        }
    }
    return ERR_OK;
}

/* The locks of the list, on all nodes. */
static db_err take(struct sql_session *s, uint64_t deadline_ns)
{
    struct session_table_locks *l = &s->table_locks;
    uint64_t *ids = ARENA_ARRAY(&s->stmt_arena, uint64_t, l->count * 2 + 1);
    uint32_t n = 0;
    if (ids == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        const struct table_lock *t = &l->list[i];
        if (t->id != 0 && t->write) {
            ids[n++] = t->id;
            ids[n++] = mdl_rows(t->id);
        } else if (t->id != 0) {
            ids[n++] = mdl_no_writes(t->id);
        }
    }
    if (n != 0) {
        TRY(coord_ops(s) == NULL
                ? mdl_lock_exclusive(mdl_of(s), &l->owner, ids, n, deadline_ns, &s->diag)
                : coord_ops(s)->lock_tables(s->engine->opts.coord, ids, n, &l->owner, deadline_ns,
                                            &s->diag, &l->everywhere));
    }
    for (uint32_t i = 0; i < l->count; i++) {
        const struct table_lock *t = &l->list[i];
        if (t->id != 0) {
            TRY(mdl_lock_shared(mdl_of(s), &l->owner, t->id, deadline_ns, &s->diag));
        }
    }
    return ERR_OK;
}

/* Do the names still mean what was locked? */
static bool still(struct sql_session *s, const struct catalog_snapshot *snap)
{
    for (uint32_t i = 0; i < s->table_locks.count; i++) {
        const struct table_lock *t = &s->table_locks.list[i];
        const struct table_def *now = snapshot_permanent(snap, t->schema, t->name);
        if (now == NULL || (now->kind == TABLE_VIEW ? 0 : now->id) != t->id) {
            return false;
        }
    }
    return true;
}

static db_err try_once(struct sql_session *s, const struct ast_lock_item_list *items,
                       uint64_t deadline_ns, bool *ret_same)
{
    const struct catalog_snapshot *snap;
    TRY(session__snapshot(s, &snap));
    db_err err = resolve_all(s, snap, items);
    catalog_release(snap);
    TRY(err);
    TRY(take(s, deadline_ns));
    TRY(session__snapshot(s, &snap));
    *ret_same = still(s, snap);
    catalog_release(snap);
    return ERR_OK;
}

static db_err lock_list(struct sql_session *s, const struct ast_lock_item_list *items)
{
    uint64_t deadline = clock_mono_ns() + s->vars.ddl_lock_wait_timeout_s * NS_PER_S;
    bool same = false;
    db_err err = ERR_OK;
    atomic_store_explicit(&s->state, "Waiting for table metadata lock", memory_order_release);
    while (err == ERR_OK && !same) {
        table_locks__release(s);
        arena_init(&s->table_locks.arena, NULL, NULL, 0);
        s->table_locks.has_arena = true;
        err = try_once(s, items, deadline, &same);
    }
    if (err != ERR_OK) {
        struct diag why = s->diag;
        table_locks__release(s);
        s->diag = why;
    }
    atomic_store_explicit(&s->state, NULL, memory_order_release);
    s->table_locks.active = err == ERR_OK;
    return err;
}

static db_err lock_items(struct sql_session *s, const struct ast_lock_item_list *items)
{
    bool writes = false;
    for (uint32_t i = 0; i < items->count; i++) {
        writes = writes || items->items[i]->write;
    }
    if (writes && s->global_locks.read) {
        return my_error(&s->diag, ER_CANT_UPDATE_WITH_READLOCK);
    }
    TRY(writes ? txn__commit_to_change(s) : txn__implicit_commit(s));
    table_locks__release(s);
    track_txn__unlock(s);
    TRY(lock_list(s, items));
    track_txn__use(s, TRACK_LOCKED);
    return ERR_OK;
}

db_err table_locks__lock(struct statement *st, const struct ast_lock_item_list *items)
{
    struct sql_session *s = st->session;
    TRY(lock_items(s, items));
    for (uint32_t i = 0; i < s->table_locks.count; i++) {
        track_txn__use(s, s->table_locks.list[i].write ? TRACK_WRITE : TRACK_READ);
    }
    return session__ok(st, 0, SLICE_EMPTY);
}

db_err table_locks__unlock(struct statement *st)
{
    struct sql_session *s = st->session;
    if (table_locks__active(s)) { /* MYSQL: only then is the transaction committed */
        db_err err = txn__implicit_commit(s);
        table_locks__release(s);
        track_txn__unlock(s);
        TRY(err);
    }
    global_lock__unlock_read(s);
    return session__ok(st, 0, SLICE_EMPTY);
}

/* FLUSH TABLES a, b WITH READ LOCK */
db_err table_locks__flush(struct statement *st, const struct ast_name_list *tables)
{
    struct sql_session *s = st->session;
    struct ast_lock_item *items = ARENA_ARRAY(&s->stmt_arena, struct ast_lock_item, tables->count);
    struct ast_lock_item **list =
        ARENA_ARRAY(&s->stmt_arena, struct ast_lock_item *, tables->count);
    const struct catalog_snapshot *snap;
    db_err err = ERR_OK;
    if (items == NULL || list == NULL) {
        return ERR_NOMEM;
    }
    TRY(session__snapshot(s, &snap));
    for (uint32_t i = 0; i < tables->count && err == ERR_OK; i++) {
        const struct ast_name *n = tables->items[i];
        struct slice schema = n->schema.ptr != NULL ? n->schema : s->schema;
        const struct table_def *t = snapshot_table(snap, schema, n->name);
        if (t != NULL && t->kind == TABLE_VIEW) {
            err = my_error(&s->diag, ER_WRONG_OBJECT, arena_strdup(&s->stmt_arena, schema),
                           arena_strdup(&s->stmt_arena, n->name), "BASE TABLE");
        }
        items[i] = (struct ast_lock_item){.table = *n};
        list[i] = &items[i];
    }
    catalog_release(snap);
    TRY(err);
    struct ast_lock_item_list all = {.items = list, .count = tables->count};
    TRY(lock_items(s, &all));
    return session__ok(st, 0, SLICE_EMPTY);
}

/* ---- what statements may use ---- */

static const struct table_lock *find(const struct sql_session *s, table_id_t id)
{
    const struct table_lock *found = NULL;
    bool found_plain = false; /* the lock under the table's own name is the one that counts */
    for (uint32_t i = 0; i < s->table_locks.count; i++) {
        const struct table_lock *l = &s->table_locks.list[i];
        bool plain = slice_eq(l->alias, l->name);
        if (l->id == id && (found == NULL || plain || (l->write && !found_plain))) {
            found = l;
            found_plain = found_plain || plain;
        }
    }
    return found;
}

bool table_locks__has(const struct sql_session *s, table_id_t id)
{
    return find(s, id) != NULL;
}

db_err table_locks__may_use(void *env, struct slice schema, struct slice name, struct slice alias,
                            struct diag *diag)
{
    struct sql_session *s = env;
    for (uint32_t i = 0; i < s->table_locks.count; i++) {
        const struct table_lock *l = &s->table_locks.list[i];
        if (slice_eq(l->alias, alias) && slice_eq(l->name, name) && slice_eq(l->schema, schema)) {
            return ERR_OK;
        }
    }
    return my_error(diag, ER_TABLE_NOT_LOCKED, arena_strdup(&s->stmt_arena, alias));
}

static db_err may_write(struct sql_session *s, const struct table_def *t)
{
    const char *name = arena_strdup(&s->stmt_arena, t->name);
    const struct table_lock *l = find(s, t->id);
    if (l == NULL) {
        return my_error(&s->diag, ER_TABLE_NOT_LOCKED, name);
    }
    return l->write ? ERR_OK : my_error(&s->diag, ER_TABLE_NOT_LOCKED_FOR_WRITE, name);
}

db_err table_locks__check_targets(struct sql_session *s, const struct plan *plan)
{
    uint32_t count;
    const struct plan_target *targets = query__targets(plan, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (!table_is_temporary(targets[i].table)) {
            TRY(may_write(s, targets[i].table));
        }
    }
    return ERR_OK;
}

db_err table_locks__check_name(struct sql_session *s, const struct catalog_snapshot *snap,
                               const struct ast_name *name, bool write)
{
    struct slice schema = name->schema.ptr != NULL ? name->schema : s->schema;
    const struct table_def *t = snapshot_table(snap, schema, name->name);
    if (t != NULL && (table_is_temporary(t) || t->kind == TABLE_VIRTUAL)) {
        return ERR_OK;
    }
    if (t == NULL || (find(s, t->id) == NULL && t->kind == TABLE_BASE)) {
        return my_error(&s->diag, ER_TABLE_NOT_LOCKED, arena_strdup(&s->stmt_arena, name->name));
    }
    return t->kind == TABLE_BASE && write ? may_write(s, t) : ERR_OK;
}

db_err table_locks__check_flush(struct sql_session *s)
{
    for (uint32_t i = 0; i < s->table_locks.count; i++) {
        const struct table_lock *l = &s->table_locks.list[i];
        if (!l->write) {
            return my_error(&s->diag, ER_TABLE_NOT_LOCKED_FOR_WRITE,
                            arena_strdup(&s->stmt_arena, l->name));
        }
    }
    return ERR_OK;
}

/* ---- schema statements under LOCK TABLES ---- */

static db_err check_names(struct sql_session *s, const struct catalog_snapshot *snap,
                          const struct ast_name_list *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        TRY(table_locks__check_name(s, snap, names->items[i], true));
    }
    return ERR_OK;
}

/* MYSQL: TRUNCATE looks for a table, which no lock on a view is. */
static db_err check_truncated(struct sql_session *s, const struct catalog_snapshot *snap,
                              const struct ast_name *name)
{
    struct slice schema = name->schema.ptr != NULL ? name->schema : s->schema;
    const struct table_def *t = snapshot_table(snap, schema, name->name);
    if (t != NULL && t->kind == TABLE_VIEW) {
        return my_error(&s->diag, ER_TABLE_NOT_LOCKED, arena_strdup(&s->stmt_arena, name->name));
    }
    return table_locks__check_name(s, snap, name, true);
}

static db_err check_statement(struct sql_session *s, const struct catalog_snapshot *snap,
                              const struct ast_stmt *ast)
{
    switch ((int)ast->kind) {
    case AST_STMT_CREATE_TABLE:
        return my_error(
            &s->diag, ER_TABLE_NOT_LOCKED,
            arena_strdup(&s->stmt_arena, ((const struct ast_create_table *)ast)->name.name));
    case AST_STMT_DROP_TABLE:
        return check_names(s, snap, &((const struct ast_drop_table *)ast)->names);
    case AST_STMT_TRUNCATE_TABLE:
        return check_truncated(s, snap, &((const struct ast_truncate_table *)ast)->name);
    case AST_STMT_ALTER_TABLE:
        return table_locks__check_name(s, snap, &((const struct ast_alter_table *)ast)->name, true);
    case AST_STMT_CREATE_INDEX:
        return table_locks__check_name(s, snap, &((const struct ast_create_index *)ast)->table,
                                       true);
    case AST_STMT_DROP_INDEX:
        return table_locks__check_name(s, snap, &((const struct ast_drop_index *)ast)->table, true);
    case AST_STMT_RENAME_TABLE: {
        const struct ast_rename_table *r = (const struct ast_rename_table *)ast;
        for (uint32_t i = 0; i < r->pairs.count; i++) {
            TRY(table_locks__check_name(s, snap, &r->pairs.items[i]->from, true));
        }
        return ERR_OK;
    }
    default: return my_error(&s->diag, ER_LOCK_OR_ACTIVE_TRANSACTION);
    }
}

db_err table_locks__check_ddl(struct sql_session *s, const struct ast_stmt *ast)
{
    const struct catalog_snapshot *snap;
    TRY(session__snapshot(s, &snap));
    db_err err = check_statement(s, snap, ast);
    catalog_release(snap);
    return err;
}

/* By id first (RENAME), then by name (a copy has a new id). NULL: it is gone. */
static const struct table_def *follow(const struct catalog_snapshot *snap,
                                      const struct table_lock *l)
{
    const struct table_def *t = l->id == 0 ? NULL : snapshot_table_by_id(snap, l->id);
    return t != NULL ? t : snapshot_permanent(snap, l->schema, l->name);
}

db_err table_locks__after_ddl(struct sql_session *s)
{
    struct session_table_locks *l = &s->table_locks;
    const struct catalog_snapshot *snap;
    uint64_t deadline = clock_mono_ns() + s->vars.ddl_lock_wait_timeout_s * NS_PER_S;
    bool moved = false;
    uint32_t n = 0;
    TRY(session__snapshot(s, &snap));
    db_err err = ERR_OK;
    for (uint32_t i = 0; i < l->count && err == ERR_OK; i++) {
        struct table_lock t = l->list[i];
        const struct table_def *now = follow(snap, &t);
        if (now == NULL) {
            moved = true;
            continue;
        }
        table_id_t id = now->kind == TABLE_VIEW ? 0 : now->id;
        moved = moved || id != t.id;
        if (!slice_eq(t.name, now->name) || !slice_eq(t.schema, now->schema_name)) {
            bool same = slice_eq(t.alias, t.name);
            err = arena_copy(&l->arena, now->schema_name, &t.schema);
            err = err != ERR_OK ? err : arena_copy(&l->arena, now->name, &t.name);
            t.alias = same ? t.name : t.alias;
        }
        t.id = id;
        l->list[n++] = t;
    }
    catalog_release(snap);
    l->count = n;
    if (err == ERR_OK && n == 0) {
        table_locks__release(s); /* MYSQL: the last one was dropped */
        return ERR_OK;
    }
    if (err == ERR_OK && moved) {
        if (l->everywhere != NULL) {
            coord_ops(s)->unlock_tables(l->everywhere);
            l->everywhere = NULL;
        }
        mdl_release_all(mdl_of(s), &l->owner);
        err = take(s, deadline);
    }
    if (err != ERR_OK) {
        struct diag why = s->diag;
        table_locks__release(s);
        s->diag = why;
    }
    return err;
}
