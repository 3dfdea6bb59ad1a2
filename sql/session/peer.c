/* What the other nodes of the cluster ask of this engine (sql/storage/coord.h), and the form in
 * which sessions travel between engines.
 *
 * A session in a list: id, seconds (8 bytes each, big endian), then user, host, schema, command,
 * state, info, each with a length of 2 bytes; 0xffff: NULL. */
#include "sql/session/peer.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "sql/priv/acl.h"
#include "sql/session/globals.h"
#include "sql/session/lock_list.h"
#include "sql/session/session_int.h"
#include "sql/session/user_lock.h"
#include "sql/session/waits.h"

/* ---- tables locked on behalf of another node ---- */

struct sql_peer_lock {
    struct mdl_owner owner;
};

static struct sql_engine *engine_of(struct sql_peer *p)
{
    return CONTAINER_OF(p, struct sql_engine, peer);
}

static db_err peer_lock(struct sql_peer *p, void *owner, uint64_t connection_id,
                        const uint64_t *table_ids, uint32_t count, uint64_t deadline_ns,
                        struct diag *diag, struct sql_peer_lock **ret_lock)
{
    struct sql_engine *e = engine_of(p);
    if (owner != NULL) { /* the session's own statement gives it back */
        *ret_lock = NULL;
        return mdl_lock_exclusive(e->mdl, owner, table_ids, count, deadline_ns, diag);
    }
    struct sql_peer_lock *l = mem_calloc(1, sizeof(*l));
    if (l == NULL) {
        return ERR_NOMEM;
    }
    l->owner.session = connection_id;
    db_err err = mdl_lock_exclusive(e->mdl, &l->owner, table_ids, count, deadline_ns, diag);
    if (err != ERR_OK) {
        mem_free(l);
        return err;
    }
    *ret_lock = l;
    return ERR_OK;
}

static void peer_unlock(struct sql_peer *p, struct sql_peer_lock *lock)
{
    if (lock != NULL) {
        mdl_release_all(engine_of(p)->mdl, &lock->owner);
        mem_free(lock);
    }
}

static db_err peer_refresh_schema(struct sql_peer *p, uint64_t version, struct diag *diag)
{
    return catalog_refresh(engine_of(p)->catalog, version, diag);
}

static db_err peer_fence_schema(struct sql_peer *p, struct diag *diag)
{
    uint64_t version;
    TRY(catalog_fence(engine_of(p)->catalog, diag, &version));
    return accounts_fence(engine_of(p)->accounts, diag);
}

static db_err peer_refresh_accounts(struct sql_peer *p, struct diag *diag)
{
    return accounts_reload(engine_of(p)->accounts, diag);
}

static db_err peer_refresh_globals(struct sql_peer *p, struct diag *diag)
{
    return globals__refresh(engine_of(p), diag);
}

static db_err peer_run(struct sql_peer *p, struct diag *diag, uint64_t *ret_run)
{
    TRY(user_locks_share(engine_of(p)->user_locks, diag));
    *ret_run = atomic_load(&engine_of(p)->run);
    return ERR_OK;
}

static void peer_lock_owner(struct sql_peer *p, uint64_t connection_id, uint64_t *ret_engine,
                            bool *ret_known)
{
    struct user_locks *u = engine_of(p)->user_locks;
    *ret_engine = user_locks_engine(u);
    *ret_known = user_locks_knows(u, *ret_engine, connection_id);
}

static void peer_wake_lock(struct sql_peer *p, uint64_t connection_id)
{
    user_locks_wake(engine_of(p)->user_locks, connection_id);
}

static uint64_t peer_owner_connection(const void *owner)
{
    return ((const struct mdl_owner *)owner)->session;
}

static db_err peer_waits(struct sql_peer *p, uint64_t until_ns, unsigned max, struct arena *arena,
                         struct sql_wait_edge **ret_edges, unsigned *ret_count)
{
    return engine_waits(engine_of(p), until_ns, max, arena, ret_edges, ret_count);
}

static void peer_refuse_wait(struct sql_peer *p, uint64_t wait)
{
    engine_refuse_wait(engine_of(p), wait);
}

static uint64_t peer_session_txn(struct sql_peer *p, uint64_t connection_id)
{
    return engine_session_txn(engine_of(p), connection_id);
}

/* ---- sessions ---- */

static db_err put_number(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(v >> (56 - 8 * i));
    }
    return buf_append(b, bytes, sizeof(bytes));
}

enum { TEXT_NULL = 0xffff };

static db_err put_text(struct buf *b, struct slice s, bool is_null)
{
    size_t n = s.len < TEXT_NULL ? s.len : TEXT_NULL - 1;
    size_t shown = is_null ? TEXT_NULL : n;
    TRY(buf_append_u8(b, (uint8_t)(shown >> 8)));
    TRY(buf_append_u8(b, (uint8_t)shown));
    return is_null ? ERR_OK : buf_append(b, s.ptr, n);
}

db_err peer_session_put(struct buf *b, const struct infoschema_process *p)
{
    TRY(put_number(b, p->id));
    TRY(put_number(b, p->seconds));
    TRY(put_text(b, p->user, false));
    TRY(put_text(b, p->host, false));
    TRY(put_text(b, p->schema, p->schema.ptr == NULL));
    TRY(put_text(b, p->command, false));
    TRY(put_text(b, p->state, false));
    return put_text(b, p->info, p->info.ptr == NULL);
}

static bool take_number(struct slice *io, uint64_t *ret)
{
    if (io->len < 8) {
        return false;
    }
    *ret = 0;
    for (int i = 0; i < 8; i++) {
        *ret = *ret << 8 | io->ptr[i];
    }
    *io = slice_from(*io, 8);
    return true;
}

static bool take_text(struct slice *io, struct slice *ret)
{
    if (io->len < 2) {
        return false;
    }
    size_t n = (size_t)io->ptr[0] << 8 | io->ptr[1];
    *io = slice_from(*io, 2);
    if (n == TEXT_NULL) {
        *ret = SLICE_EMPTY;
        return true;
    }
    if (n > io->len) {
        return false;
    }
    *ret = slice_of(io->ptr, n);
    *io = slice_from(*io, n);
    return true;
}

bool peer_session_take(struct slice *io, struct infoschema_process *ret)
{
    *ret = (struct infoschema_process){0};
    return take_number(io, &ret->id) && take_number(io, &ret->seconds) &&
           take_text(io, &ret->user) && take_text(io, &ret->host) && take_text(io, &ret->schema) &&
           take_text(io, &ret->command) && take_text(io, &ret->state) && take_text(io, &ret->info);
}

static db_err peer_list(struct sql_peer *p, struct buf *out)
{
    struct sql_engine *e = engine_of(p);
    struct arena arena;
    db_err err = ERR_OK;
    arena_init(&arena, NULL, NULL, 0);
    fiber_mutex_lock(&e->sessions_mutex);
    LIST_FOREACH (node, &e->sessions) {
        struct infoschema_process one = {0};
        arena_reset(&arena);
        err = session__describe(CONTAINER_OF(node, struct sql_session, node), &arena, &one);
        if (err == ERR_OK) {
            err = peer_session_put(out, &one);
        }
        if (err != ERR_OK) {
            break;
        }
    }
    fiber_mutex_unlock(&e->sessions_mutex);
    arena_fini(&arena);
    return err;
}

static db_err peer_list_locks(struct sql_peer *p, struct buf *out)
{
    return engine_list_locks(engine_of(p), out);
}

static db_err peer_kill(struct sql_peer *p, uint64_t connection_id, bool connection,
                        const struct sql_killer *by, struct diag *diag)
{
    return sql_engine_kill_here(engine_of(p), connection_id, connection, by, diag);
}

const struct sql_peer_ops sql_engine_peer_ops = {
    .lock_tables = peer_lock,
    .unlock_tables = peer_unlock,
    .refresh_schema = peer_refresh_schema,
    .fence_schema = peer_fence_schema,
    .refresh_accounts = peer_refresh_accounts,
    .refresh_globals = peer_refresh_globals,
    .run = peer_run,
    .lock_owner = peer_lock_owner,
    .wake_lock = peer_wake_lock,
    .owner_connection = peer_owner_connection,
    .waits = peer_waits,
    .refuse_wait = peer_refuse_wait,
    .session_txn = peer_session_txn,
    .list_sessions = peer_list,
    .list_locks = peer_list_locks,
    .kill = peer_kill,
};

struct sql_peer *sql_engine_peer(struct sql_engine *engine)
{
    return &engine->peer;
}
