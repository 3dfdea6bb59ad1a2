/* Transactions of a session.
 *
 * TXN_STATEMENT: autocommit, one statement long. TXN_IMPLICIT: autocommit is off and a statement
 * began it. TXN_EXPLICIT: BEGIN. A failed statement inside a longer transaction is undone to the
 * savepoint taken before it; errors after which MySQL has rolled back the whole transaction end it
 * here too. Metadata locks live as long as the transaction. */
#include "sql/session/session_int.h"

#include "base/clock.h"
#include "base/fiber.h"
#include "sql/storage/split.h"

#define LICENCE_WAIT_NS (4 * NS_PER_S)
#define LICENCE_LOOK_NS (20 * NS_PER_MS)

/* A node that has lost the others may not use definitions that they may have changed. It finds them
 * again soon when it was only away for a moment, or the meta range has a new leader: a client waits
 * for that rather than being turned away. */
db_err txn__wait_licence(struct sql_session *s)
{
    struct sql_coord *c = s->engine->opts.coord;
    if (c == NULL || s->txn != NULL) { /* a transaction keeps its own */
        return ERR_OK;
    }
    s->txn_licence = c->ops->licence(c);
    if (LIKELY(s->txn_licence != 0)) {
        return ERR_OK;
    }
    uint64_t end = clock_mono_ns() + LICENCE_WAIT_NS;
    while (s->txn_licence == 0 && clock_mono_ns() < end) {
        TRY(fiber_sleep(LICENCE_LOOK_NS));
        s->txn_licence = c->ops->licence(c);
    }
    return s->txn_licence != 0
               ? ERR_OK
               : diag_set(&s->diag, ERR_UNAVAILABLE,
                          "this node cannot reach the majority of the cluster: connect to another "
                          "node, or try again");
}

/* One that has run out may be as good as before when it is renewed: that is waited for. */
static bool licence_holds(const struct sql_session *s)
{
    struct sql_coord *c = s->engine->opts.coord;
    uint64_t number = c == NULL ? 0 : c->ops->licence(c);
    if (LIKELY(c == NULL || number == s->txn_licence)) {
        return true;
    }
    uint64_t end = clock_mono_ns() + LICENCE_WAIT_NS;
    while (number == 0 && clock_mono_ns() < end && fiber_sleep(LICENCE_LOOK_NS) == ERR_OK) {
        number = c->ops->licence(c);
    }
    return number == s->txn_licence;
}

struct storage_txn_opts txn__opts(struct sql_session *s, bool read_only, bool autocommit,
                                  bool single_get)
{
    return (struct storage_txn_opts){.isolation = s->next.has_isolation ? s->next.isolation
                                                                        : s->vars.isolation,
                                     .read_only = read_only,
                                     .autocommit = autocommit,
                                     .single_get = single_get,
                                     .lock_wait_timeout_ms = s->vars.lock_wait_timeout_s * 1000u,
                                     .told_id = &s->txn_id,
                                     .mem = &s->mem,
                                     .temp_dir = s->engine->opts.temp_dir};
}

/* From when on a snapshot is fresh enough for skein_read_staleness. Clocks of nodes that count the
 * same second differ by less than the fiftieth that is taken off. */
static uint64_t fresh_from(const struct sql_session *s)
{
    uint64_t now = clock_mono_ns();
    uint64_t age = s->vars.read_staleness_ms * (NS_PER_MS - NS_PER_MS / 50);
    uint64_t from = age < now ? now - age : 1;
    uint64_t changed = catalog_changed_ns(s->engine->catalog);
    return changed > from ? changed : from;
}

static db_err begin_storage(struct sql_session *s, bool read_only, bool autocommit, bool single_get)
{
    TRY(txn__wait_licence(s));
    struct storage_txn_opts o = txn__opts(s, read_only, autocommit, single_get);
    if (UNLIKELY(s->vars.read_staleness_ms != 0) && autocommit && read_only) {
        o.fresh_from_ns = fresh_from(s);
    }
    return storage_txn_begin(session__storage(s), &o, &s->diag, &s->txn);
}

static void ended(struct sql_session *s)
{
    s->txn = NULL;
    atomic_store_explicit(&s->txn_id, 0, memory_order_relaxed);
    s->txn_mode = TXN_NONE;
    s->txn_read_only = false;
    s->savepoints = NULL;
    track_txn__end(s);
    if (s->txn_arena.used != 0) {
        arena_reset(&s->txn_arena);
    }
    mdl_release_all(s->engine->mdl, &s->mdl);
    s->temporaries.made = s->temporaries.dropped = false;
    if (UNLIKELY(s->temporaries.storage != NULL)) {
        temporaries__trim(s);
    }
}

void txn__forget_next(struct sql_session *s)
{
    s->next.has_isolation = s->next.has_access = false;
    track_txn__next(s);
}

bool txn__is_read_only(const struct sql_session *s)
{
    if (s->txn_mode != TXN_NONE) {
        return s->txn_read_only;
    }
    return s->next.has_access ? s->next.read_only : s->vars.tx_read_only;
}

db_err txn__begin_statement(struct sql_session *s, bool read_only_statement, bool single_get)
{
    if (s->txn_mode == TXN_NONE) {
        bool autocommit = s->vars.autocommit || s->commits_alone;
        bool told_so = txn__is_read_only(s);
        bool read_only = told_so || (autocommit && read_only_statement);
        TRY(begin_storage(s, read_only, autocommit, autocommit && single_get));
        s->txn_mode = autocommit ? TXN_STATEMENT : TXN_IMPLICIT;
        s->txn_read_only = told_so;
    }
    if (UNLIKELY(!licence_holds(s))) {
        txn__rollback(s);
        return my_error(&s->diag, ER_TABLE_DEF_CHANGED);
    }
    if (s->txn_read_only && !read_only_statement) {
        if (s->txn_mode == TXN_STATEMENT) {
            txn__rollback(s); /* MYSQL: what SET TRANSACTION has said is not used up */
        }
        return my_error(&s->diag, ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION);
    }
    return storage_txn_stmt_begin(s->txn, &s->diag);
}

db_err txn__commit(struct sql_session *s)
{
    db_err err = ERR_OK;
    if (s->txn != NULL && UNLIKELY(!licence_holds(s)) && split_txn_has_shared_writes(s->txn)) {
        txn__rollback(s);
        return my_error(&s->diag, ER_TABLE_DEF_CHANGED);
    }
    if (s->txn != NULL) {
        err = temporaries__before_commit(s);
        if (UNLIKELY(err != ERR_OK)) {
            txn__rollback(s);
            return err;
        }
        struct storage_txn *t = s->txn;
        s->txn = NULL;
        err = storage_txn_commit(t, &s->diag, NULL);
    }
    ended(s);
    return err;
}

void txn__rollback(struct sql_session *s)
{
    if (s->txn != NULL) {
        storage_txn_rollback(s->txn);
    }
    ended(s);
}

db_err txn__end_statement(struct sql_session *s, db_err err)
{
    bool aborts = err != ERR_OK && s->txn != NULL && err_map_aborts_txn(err);
    if (s->txn_mode != TXN_STATEMENT && !aborts) {
        return err;
    }
    if (err != ERR_OK) {
        txn__rollback(s);
    } else {
        err = txn__commit(s);
    }
    txn__forget_next(s);
    return err;
}

db_err txn__implicit_commit(struct sql_session *s)
{
    db_err err = ERR_OK;
    if (s->txn_mode != TXN_NONE) {
        err = txn__commit(s);
    }
    track_txn__end(s);
    txn__forget_next(s);
    return err;
}

/* MYSQL: the transaction that is over may have been a read-only one, the session not. */
db_err txn__commit_to_change(struct sql_session *s)
{
    TRY(txn__implicit_commit(s));
    return s->vars.tx_read_only ? my_error(&s->diag, ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION)
                                : ERR_OK;
}

db_err txn__start(struct sql_session *s, const struct ast_begin *b)
{
    if (s->txn_mode != TXN_NONE) {
        TRY(txn__commit(s));
    }
    if (table_locks__active(s)) {
        table_locks__release(s); /* MYSQL: a transaction's beginning unlocks the tables */
    }
    if (b->access != AST_ACCESS_UNSET) {
        s->next.has_access = true;
        s->next.read_only = b->access == AST_ACCESS_READ_ONLY;
        track_txn__next(s);
    }
    bool read_only = txn__is_read_only(s);
    TRY(begin_storage(s, read_only, false, false));
    s->txn_mode = TXN_EXPLICIT;
    s->txn_read_only = read_only;
    track_txn__begin(s, b->consistent_snapshot);
    return b->consistent_snapshot ? storage_txn_take_snapshot(s->txn, &s->diag) : ERR_OK;
}

static struct savepoint *find(struct sql_session *s, struct slice name,
                              struct savepoint ***ret_link)
{
    struct savepoint **link = &s->savepoints;
    while (*link != NULL && !slice_eq_nocase((*link)->name, name)) {
        link = &(*link)->outer;
    }
    *ret_link = link;
    return *link;
}

db_err txn__savepoint(struct sql_session *s, const struct ast_savepoint *sp)
{
    struct savepoint **link;
    if (s->txn_mode == TXN_NONE) {
        if (s->vars.autocommit) {
            return ERR_OK; /* MYSQL: nothing to go back to */
        }
        TRY(txn__begin_statement(s, true, false));
    }
    struct savepoint *same = find(s, sp->name, &link);
    if (same != NULL) {
        *link = same->outer;
    }
    struct savepoint *p = ARENA_NEW(&s->txn_arena, struct savepoint);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    TRY(arena_copy(&s->txn_arena, sp->name, &p->name));
    TRY(storage_txn_savepoint(s->txn, &p->number));
    p->outer = s->savepoints;
    s->savepoints = p;
    return ERR_OK;
}

static db_err not_found(struct sql_session *s, struct slice name)
{
    return my_error(&s->diag, ER_SP_DOES_NOT_EXIST, "SAVEPOINT",
                    arena_strdup(&s->stmt_arena, name));
}

db_err txn__rollback_to(struct sql_session *s, const struct ast_savepoint *sp)
{
    struct savepoint **link;
    struct savepoint *p = find(s, sp->name, &link);
    if (p == NULL) {
        return not_found(s, sp->name);
    }
    TRY(storage_txn_rollback_to(s->txn, p->number));
    s->savepoints = p; /* those taken after it are gone, it stays */
    return ERR_OK;
}

db_err txn__release(struct sql_session *s, const struct ast_savepoint *sp)
{
    struct savepoint **link;
    struct savepoint *p = find(s, sp->name, &link);
    if (p == NULL) {
        return not_found(s, sp->name);
    }
    s->savepoints = p->outer;
    return ERR_OK;
}
