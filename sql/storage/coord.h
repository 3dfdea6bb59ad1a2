/* The second seam below SQL: what the nodes of a cluster must agree on beyond data. Implemented by
 * cluster/view over RPC; a process alone has none (NULL) and loses nothing.
 *
 * Schema changes. A statement that changes tables locks them exclusively on every living node (each
 * waits for its own transactions, as a metadata lock does), commits its change to the storage,
 * tells every node to read the new schema, and gives the locks back. So no transaction ever meets a
 * definition that is not the one its locks stand for, and a change is visible everywhere when its
 * statement returns.
 *
 * A node that cannot reach the others may not go on using definitions that they may have changed:
 * its licence runs out (coord_licensed), before the others stop waiting for it. The number of the
 * licence changes when others have gone on meanwhile: a transaction that began under another one
 * must not commit.
 *
 * All calls may park unless said otherwise. */
#ifndef SKEIN_SQL_STORAGE_COORD_H
#define SKEIN_SQL_STORAGE_COORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "base/err.h"

struct sql_coord;
struct sql_coord_lock; /* the implementation's own */

/* Who says KILL. A connection is ended by who has logged in under the same name, or may end
 * anyone's
 * (`any`: CONNECTION_ADMIN); one that has SYSTEM_USER only by who has that, too (`system`). */
struct sql_killer {
    struct slice user;
    bool any, system;
};

struct sql_coord_ops {
    const char *name;
    /* The licence's number, 0: it has run out, perhaps for a moment. Cheap; does not park; any
     * thread. */
    uint64_t (*licence)(struct sql_coord *c);
    /* Exclusive use of the tables on all living nodes, this one included (by calling back
     * sql_peer_ops.lock_tables, in its place in the order of nodes: no two changes wait for each
     * other). ERR_SQL 1205 after deadline_ns, ERR_CANCELED, ERR_UNAVAILABLE, ERR_NOMEM: nothing is
     * held. */
    db_err (*lock_tables)(struct sql_coord *c, const uint64_t *table_ids, uint32_t count,
                          void *local_owner, uint64_t deadline_ns, struct diag *diag,
                          struct sql_coord_lock **ret_lock);
    /* Still held everywhere? Before the change commits. */
    bool (*holds)(const struct sql_coord_lock *lock);
    void (*unlock_tables)(struct sql_coord_lock *lock); /* frees it; NULL is fine */
    /* The schema, or the accounts, may be others than the nodes think, and cannot be read now: this
     * node runs no statement before it has read them again; those that hold the lock (NULL: there
     * is none) give these tables to nobody before they have read the schema. */
    void (*lose_schema)(struct sql_coord *c, struct sql_coord_lock *lock);
    /* Returns when every living node's catalog is at the version or later. */
    db_err (*publish_schema)(struct sql_coord *c, uint64_t version, struct diag *diag);
    /* Accounts have changed: the other nodes read them again before this returns. */
    db_err (*publish_accounts)(struct sql_coord *c, struct diag *diag);
    /* Global variables have changed: the other nodes read them again before this returns. */
    db_err (*publish_globals)(struct sql_coord *c, struct diag *diag);
    /* Does a node that can be reached say that it belongs to this run of the cluster
     * (sql_peer_ops.run)? */
    bool (*runs)(struct sql_coord *c, uint64_t run);
    /* Are there other members? Cheap; does not park. */
    bool (*has_others)(struct sql_coord *c);
    /* Has another node's engine ended, or does it not know the connection
     * (sql_peer_ops.lock_owner)? A node that does not answer is fenced first; false while that is
     * not possible. */
    bool (*lock_owner_gone)(struct sql_coord *c, uint64_t node, uint64_t engine,
                            uint64_t connection_id);
    /* The transaction of another node's connection, as lock tables know it; 0: it has none, or the
     * node does not answer. */
    uint64_t (*session_txn)(struct sql_coord *c, uint64_t node, uint64_t connection_id);
    /* A named lock was handed to a connection of another node: it is told if it can be reached. */
    void (*wake_lock)(struct sql_coord *c, uint64_t node, uint64_t connection_id);
    /* Appends the other nodes' sessions (sql_peer_ops.list_sessions). Nodes that do not answer are
     * left out. */
    db_err (*list_sessions)(struct sql_coord *c, struct buf *out, struct diag *diag);
    /* Appends the other nodes' locks (sql_peer_ops.list_locks), as list_sessions. */
    db_err (*list_locks)(struct sql_coord *c, struct buf *out, struct diag *diag);
    /* KILL of a connection of another node. ERR_NOT_FOUND; ERR_SQL: 1095. */
    db_err (*kill)(struct sql_coord *c, uint64_t connection_id, bool connection,
                   const struct sql_killer *by, struct diag *diag);
};

struct sql_coord {
    const struct sql_coord_ops *ops;
};

/* ---- waits, for finding deadlocks ----
 *
 * Sessions wait for each other by metadata locks and named locks, transactions by row locks, and a
 * circle may go through all of them. In edges a session is its connection's id with SQL_WAIT_BIT; a
 * transaction is the number by which lock tables know it. A session that waits stands for its
 * transaction: an edge from that to the session is told with the wait. */
#define SQL_WAIT_BIT ((uint64_t)1 << 63)
struct sql_wait_edge {
    uint64_t wait; /* SQL_WAIT_BIT, the kind, a number: see sql_wait_number */
    uint64_t waiter, blocker;
};
/* MYSQL: of those in a circle the lowest kind gives up. */
enum sql_wait_kind { SQL_WAIT_USE, SQL_WAIT_NAMED, SQL_WAIT_CHANGE };
static inline uint64_t sql_wait_number(enum sql_wait_kind kind, uint64_t number)
{
    return SQL_WAIT_BIT | (uint64_t)kind << 61 | (number & (((uint64_t)1 << 61) - 1));
}
static inline enum sql_wait_kind sql_wait_kind(uint64_t wait)
{
    return (enum sql_wait_kind)(wait >> 61 & 3);
}

/* Who finds deadlocks, of what an engine tells: a wait has begun, or ended. Does not park; any
 * thread. */
struct sql_wait_watch {
    void (*wait)(void *ctx, bool begins);
    void *ctx;
};

/* A lock of the storage, held or waited for. */
struct sql_data_lock {
    uint64_t txn;  /* who; as lock tables know it */
    uint64_t wait; /* its number at the node; 0: it is held */
    bool span;     /* of the keys [key, end), against inserts */
    bool shared, insert;
    bool for_span;   /* an insert that waits for locks of spans */
    uint64_t packed; /* not 0: of so many keys, from `key` to `end` */
    struct slice key, end;
};
/* The locks that lie at this node: calls fn for each, then `wait` for each wait and who is in its
 * way. They may not park. */
struct sql_lock_source {
    db_err (*each)(void *ctx, db_err (*fn)(void *arg, const struct sql_data_lock *l),
                   db_err (*wait)(void *arg, const struct sql_wait_edge *e), void *arg);
    void *ctx;
};

/* The other direction: what the other nodes ask of this one's engine; implemented by sql/engine.c,
 * called by the coordinator's server side. */
struct sql_peer;
struct sql_peer_lock;

struct sql_peer_ops {
    /* owner NULL: on behalf of a connection of another node, with an owner of its own; else the
     * session's. ERR_DEADLOCK: refuse_wait. */
    db_err (*lock_tables)(struct sql_peer *p, void *owner, uint64_t connection_id,
                          const uint64_t *table_ids, uint32_t count, uint64_t deadline_ns,
                          struct diag *diag, struct sql_peer_lock **ret_lock);
    /* The connection that a local_owner of sql_coord_ops.lock_tables is of. */
    uint64_t (*owner_connection)(const void *owner);
    void (*unlock_tables)(struct sql_peer *p, struct sql_peer_lock *lock);
    /* Reads the catalog again unless it is at the version or later. */
    db_err (*refresh_schema)(struct sql_peer *p, uint64_t version, struct diag *diag);
    /* A change, of the schema or of accounts, whose coordinator is not heard of any more: it is in
     * the storage, and known here, or it can never be committed. Errors as of a schema change; to
     * be tried again. */
    db_err (*fence_schema)(struct sql_peer *p, struct diag *diag);
    db_err (*refresh_accounts)(struct sql_peer *p, struct diag *diag);
    db_err (*refresh_globals)(struct sql_peer *p, struct diag *diag);
    /* Names the time since the whole cluster was last down: what SET GLOBAL has set in it lasts as
     * long. The node that asks is about to serve clients: named locks are shared from now on. */
    db_err (*run)(struct sql_peer *p, struct diag *diag, uint64_t *ret_run);
    /* The number of this life of the engine, and whether the connection has named locks, or waits
     * for one. */
    void (*lock_owner)(struct sql_peer *p, uint64_t connection_id, uint64_t *ret_engine,
                       bool *ret_known);
    void (*wake_lock)(struct sql_peer *p, uint64_t connection_id);
    /* sql_coord_ops.session_txn of one of this node's. */
    uint64_t (*session_txn)(struct sql_peer *p, uint64_t connection_id);
    /* The waits for metadata and named locks here that began at or before until_ns, ascending by
     * number, at most max edges of them. Parks. */
    db_err (*waits)(struct sql_peer *p, uint64_t until_ns, unsigned max, struct arena *arena,
                    struct sql_wait_edge **ret_edges, unsigned *ret_count);
    /* Ends the wait of this number, which closes a circle: 1213, or 3058 for a named lock. */
    void (*refuse_wait)(struct sql_peer *p, uint64_t wait);
    /* Appends this node's sessions in a form of its own, which the asking engine decodes. */
    db_err (*list_sessions)(struct sql_peer *p, struct buf *out);
    db_err (*list_locks)(struct sql_peer *p, struct buf *out); /* likewise */
    /* As sql_coord_ops.kill, of this node's. */
    db_err (*kill)(struct sql_peer *p, uint64_t connection_id, bool connection,
                   const struct sql_killer *by, struct diag *diag);
};

struct sql_peer {
    const struct sql_peer_ops *ops;
};

#endif
