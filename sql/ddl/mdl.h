/* Metadata locks: who uses a table's definition on this node, and LOCK TABLES.
 *
 * A statement takes a shared lock on each table that it names and its transaction keeps it to the
 * end; a schema statement takes an exclusive one. Locks are by table id, so that a lock never
 * outlives the definition that it stands for: after waiting, resolve the name again.
 *
 * There are no deadlocks among metadata locks of one node: an exclusive request takes all its
 * tables at once or waits holding nothing new, and an owner that already has locks is not held up
 * by exclusive requests that wait, only by those that were granted. Through other locks (rows,
 * named ones) and other nodes there are; who sees them all (node/meta/deadlock.c) asks for the
 * waits.
 *
 * An owner is used by one fiber at a time. All functions are for any thread. */
#ifndef SKEIN_SQL_DDL_MDL_H
#define SKEIN_SQL_DDL_MDL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"
#include "base/list.h"
#include "sql/storage/coord.h"

struct mdl;

/* A table's rows have a lock of their own beside the definition's, for LOCK TABLES. Who changes
 * rows shares mdl_rows(id). LOCK TABLES ... READ takes mdl_no_writes(id) exclusively, which keeps
 * those out but is compatible with itself; ... WRITE takes both id and mdl_rows(id) exclusively. */
#define MDL_ROWS_BIT  ((uint64_t)1 << 61)
#define MDL_GROUP_BIT ((uint64_t)1 << 60)
static inline uint64_t mdl_rows(uint64_t table_id)
{
    return table_id | MDL_ROWS_BIT;
}
static inline uint64_t mdl_no_writes(uint64_t table_id)
{
    return table_id | MDL_ROWS_BIT | MDL_GROUP_BIT;
}

enum { MDL_INLINE_TICKETS = 8 };

struct mdl_ticket {
    uint64_t table_id;
    uint16_t slot; /* where the shared lock is counted */
    bool exclusive;
};

/* Lives in the session. Zeroed memory is an owner that holds nothing. What it holds others may look
 * at (mdl_waits, mdl_list): it stays where it is while it holds locks. */
struct mdl_owner {
    uint64_t session;    /* a connection of some node, for who looks; 0: nobody's. Set it first */
    struct list link;    /* of the slot `home`, while count is not 0 */
    uint16_t home;       /* this and the rest: changed under the slot's lock */
    uint32_t count, cap; /* cap 0: the inline tickets */
    struct mdl_ticket inline_tickets[MDL_INLINE_TICKETS];
    struct mdl_ticket *more; /* heap, when there are more than fit */
};

MUST_USE db_err mdl_new(struct mdl **ret_mdl);
void mdl_free(struct mdl *mdl); /* nobody may hold or wait; NULL is fine */

/* Is told of each wait. Before the first lock. */
void mdl_set_watch(struct mdl *mdl, const struct sql_wait_watch *watch);

/* A shared lock, kept until mdl_release_*. Again for a table that the owner has: nothing happens.
 * Parks while another owner has the table exclusively, or waits for that and this owner has no lock
 * at all. Errors: 1205 after deadline_ns (DEADLINE_NONE: never), ERR_DEADLOCK (mdl_refuse),
 * ERR_CANCELED, ERR_NOMEM. */
MUST_USE db_err mdl_lock_shared(struct mdl *mdl, struct mdl_owner *owner, uint64_t table_id,
                                uint64_t deadline_ns, struct diag *diag);
/* Exclusive locks on all the tables, or on none. Parks until every other owner has released them.
 * Shared locks of the owner itself on them become exclusive. Duplicates are fine. Errors as above.
 */
MUST_USE db_err mdl_lock_exclusive(struct mdl *mdl, struct mdl_owner *owner,
                                   const uint64_t *table_ids, uint32_t count, uint64_t deadline_ns,
                                   struct diag *diag);

/* Everything, at the end of a transaction (and of a schema statement). Frees what the owner has on
 * the heap. */
void mdl_release_all(struct mdl *mdl, struct mdl_owner *owner);
/* A mark of what the owner has now; release down to it: a statement that fails before it has read
 * anything gives back its own locks only (ROLLBACK TO SAVEPOINT likewise). Exclusive locks that
 * were shared at the mark become shared again only with mdl_release_all. */
static inline uint32_t mdl_mark(const struct mdl_owner *owner)
{
    return owner->count;
}
void mdl_release_to(struct mdl *mdl, struct mdl_owner *owner, uint32_t mark);
bool mdl_holds(const struct mdl_owner *owner, uint64_t table_id, bool exclusive);

/* ---- for who looks ---- */

/* A wait and one session in its way. */
struct mdl_wait_edge {
    uint64_t wait; /* its number */
    bool exclusive;
    uint64_t waiter, blocker; /* sessions, two */
};
/* The waits that began at or before until_ns; at most max edges. Edges may come twice. */
uint32_t mdl_waits(struct mdl *mdl, uint64_t until_ns, uint32_t max, struct mdl_wait_edge *out);
/* Ends the wait with ERR_DEADLOCK. False: it is over. */
bool mdl_refuse(struct mdl *mdl, uint64_t wait);

/* A lock that is held, or waited for. */
struct mdl_lock_info {
    uint64_t session, id; /* id: with its bits */
    bool exclusive, waits;
};
/* Copies at most max of them and returns how many there are, about. */
uint32_t mdl_list(struct mdl *mdl, uint32_t max, struct mdl_lock_info *out);

#endif
