/* Metadata locks: who uses a table's definition on this node, and LOCK TABLES.
 *
 * A statement takes a shared lock on each table that it names and its transaction keeps it to the
 * end; a schema statement takes an exclusive one. Locks are by table id, so that a lock never
 * outlives the definition that it stands for: after waiting, resolve the name again.
 *
 * There are no deadlocks among metadata locks: an exclusive request takes all its tables at once or
 * waits holding nothing new, and an owner that already has locks is not held up by exclusive
 * requests that wait, only by those that were granted.
 *
 * An owner is used by one fiber at a time. All functions are for any thread. */
#ifndef SKEIN_SQL_DDL_MDL_H
#define SKEIN_SQL_DDL_MDL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"

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

/* Lives in the session. Zeroed memory is an owner that holds nothing. */
struct mdl_owner {
    uint32_t count, cap; /* cap 0: the inline tickets */
    struct mdl_ticket inline_tickets[MDL_INLINE_TICKETS];
    struct mdl_ticket *more; /* heap, when there are more than fit */
};

MUST_USE db_err mdl_new(struct mdl **ret_mdl);
void mdl_free(struct mdl *mdl); /* nobody may hold or wait; NULL is fine */

/* A shared lock, kept until mdl_release_*. Again for a table that the owner has: nothing happens.
 * Parks while another owner has the table exclusively, or waits for that and this owner has no lock
 * at all. Errors: 1205 after deadline_ns (DEADLINE_NONE: never), ERR_CANCELED, ERR_NOMEM. */
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

#endif
