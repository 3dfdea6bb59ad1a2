/* FLUSH TABLES WITH READ LOCK, and LOCK INSTANCE FOR BACKUP.
 *
 * Who changes the schema or accounts shares one lock, mdl_rows(ALL_DEFINITIONS); both statements
 * here keep those out on all nodes, without keeping each other out. The read lock then locks all
 * tables for READ as well, as LOCK TABLES would. The two steps are needed: a schema statement that
 * runs may wait for rows that the second step would hold already. Statements that wait for a schema
 * lock hold nothing that the steps ask for.
 *
 * A transaction that has changed rows holds its share of their tables to its end, so the read lock
 * comes when it has ended; MySQL would let it go on until its COMMIT. */
#include "base/clock.h"
#include "sql/session/session_int.h"

/* No table has these ids. */
enum { ALL_DEFINITIONS = 0 };
#define ALL_ACCOUNTS ((uint64_t)1 << 59)

static db_err take(struct sql_session *s, struct global_lock *l, const uint64_t *ids, uint32_t n,
                   uint64_t deadline_ns)
{
    struct sql_coord *c = s->engine->opts.coord;
    if (n == 0) {
        return ERR_OK;
    }
    return c == NULL
               ? mdl_lock_exclusive(s->engine->mdl, &l->owner, ids, n, deadline_ns, &s->diag)
               : c->ops->lock_tables(c, ids, n, &l->owner, deadline_ns, &s->diag, &l->everywhere);
}

static void give_back(struct sql_session *s, struct global_lock *l)
{
    if (l->everywhere != NULL) {
        s->engine->opts.coord->ops->unlock_tables(l->everywhere);
        l->everywhere = NULL;
    }
    mdl_release_all(s->engine->mdl, &l->owner);
}

db_err global_lock__accounts(struct sql_session *s)
{
    const uint64_t id = ALL_ACCOUNTS;
    uint64_t deadline = clock_mono_ns() + s->vars.ddl_lock_wait_timeout_s * NS_PER_S;
    return take(s, &s->global_locks.accounts, &id, 1, deadline);
}

void global_lock__accounts_end(struct sql_session *s)
{
    give_back(s, &s->global_locks.accounts);
}

static db_err take_definitions(struct sql_session *s, struct global_lock *l, uint64_t deadline_ns)
{
    const uint64_t id = mdl_no_writes(ALL_DEFINITIONS);
    return take(s, l, &id, 1, deadline_ns);
}

static db_err take_tables(struct sql_session *s, uint64_t deadline_ns, uint64_t *ret_version)
{
    const struct catalog_snapshot *snap = catalog_acquire(s->engine->catalog);
    uint32_t count = 0;
    uint32_t n = 0;
    for (uint32_t k = 0; k < snapshot_schema_count(snap); k++) {
        count += snapshot_table_count(snap, snapshot_schema_at(snap, k));
    }
    uint64_t *ids = ARENA_ARRAY(&s->stmt_arena, uint64_t, count + 1);
    for (uint32_t k = 0; k < snapshot_schema_count(snap) && ids != NULL; k++) {
        const struct schema_def *schema = snapshot_schema_at(snap, k);
        for (uint32_t i = 0; i < snapshot_table_count(snap, schema); i++) {
            const struct table_def *t = snapshot_table_at(snap, schema, i);
            if (t->kind == TABLE_BASE) {
                ids[n++] = mdl_no_writes(t->id);
            }
        }
    }
    *ret_version = snapshot_version(snap);
    catalog_release(snap);
    return ids == NULL ? ERR_LIMIT : take(s, &s->global_locks.rows, ids, n, deadline_ns);
}

static db_err take_all(struct sql_session *s, uint64_t deadline_ns)
{
    struct session_global_locks *g = &s->global_locks;
    uint64_t version = 0;
    TRY(take_definitions(s, &g->definitions, deadline_ns));
    do { /* under LOCK TABLES the schema can still change */
        give_back(s, &g->rows);
        TRY(take_tables(s, deadline_ns, &version));
    } while (version != catalog_version(s->engine->catalog));
    return ERR_OK;
}

static void waiting(struct sql_session *s, const char *state)
{
    atomic_store_explicit(&s->state, state, memory_order_release);
}

static uint64_t deadline_of(const struct sql_session *s)
{
    return clock_mono_ns() + s->vars.ddl_lock_wait_timeout_s * NS_PER_S;
}

db_err global_lock__read(struct statement *st)
{
    struct sql_session *s = st->session;
    struct session_global_locks *g = &s->global_locks;
    if (table_locks__active(s)) {
        return my_error(&s->diag, ER_LOCK_OR_ACTIVE_TRANSACTION);
    }
    TRY(txn__implicit_commit(s));
    if (!g->read) {
        waiting(s, "Waiting for global read lock");
        db_err err = take_all(s, deadline_of(s));
        waiting(s, NULL);
        if (err != ERR_OK) {
            struct diag why = s->diag;
            global_lock__unlock_read(s);
            s->diag = why;
            return err;
        }
        g->read = true;
    }
    return session__ok(st, 0, SLICE_EMPTY);
}

void global_lock__unlock_read(struct sql_session *s)
{
    give_back(s, &s->global_locks.rows);
    give_back(s, &s->global_locks.definitions);
    s->global_locks.read = false;
}

db_err global_lock__instance(struct statement *st, bool lock)
{
    struct sql_session *s = st->session;
    struct session_global_locks *g = &s->global_locks;
    if (lock && !g->instance) {
        waiting(s, "Waiting for backup lock");
        db_err err = take_definitions(s, &g->backup, deadline_of(s));
        waiting(s, NULL);
        TRY(err);
        g->instance = true;
    } else if (!lock) {
        give_back(s, &g->backup);
        g->instance = false;
    }
    return session__ok(st, 0, SLICE_EMPTY);
}

void global_lock__release(struct sql_session *s)
{
    global_lock__unlock_read(s);
    give_back(s, &s->global_locks.backup);
    s->global_locks.instance = false;
}

db_err global_lock__change_definitions(struct sql_session *s)
{
    if (s->global_locks.read) {
        return my_error(&s->diag, ER_CANT_UPDATE_WITH_READLOCK);
    }
    /* Under LOCK TABLES somebody may wait for this session's tables: it waits for nobody. */
    if (s->global_locks.instance || table_locks__active(s)) {
        return ERR_OK;
    }
    waiting(s, "Waiting for backup lock");
    db_err err = mdl_lock_shared(s->engine->mdl, &s->mdl, mdl_rows(ALL_DEFINITIONS), deadline_of(s),
                                 &s->diag);
    waiting(s, NULL);
    return err;
}
