/* Private to sql/session: GET_LOCK and relatives, over all nodes.
 *
 * Names come as GET_LOCK compares them (in lower case). All calls may park. */
#ifndef SKEIN_SQL_SESSION_USER_LOCK_H
#define SKEIN_SQL_SESSION_USER_LOCK_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/slice.h"
#include "sql/storage/coord.h"
#include "sql/storage/storage.h"

struct user_locks;

/* storage and coord (or NULL) outlive it. node: this one's id. ERR_NOMEM, ERR_IO. */
MUST_USE db_err user_locks_new(struct storage *storage, struct sql_coord *coord, uint64_t node,
                               struct user_locks **ret_locks);
void user_locks_free(struct user_locks *u); /* NULL is fine; no connection holds one */

/* *ret_got false: not until the deadline. 3058: who would wait waits for itself. ERR_CANCELED,
 * ERR_TIMEOUT (the fiber's deadline), the storage's errors: nothing was got. */
MUST_USE db_err user_lock_get(struct user_locks *u, uint64_t connection, struct slice name,
                              uint64_t deadline_ns, struct diag *diag, bool *ret_got);
/* *ret: 1 given back, 0 another's, -1 nobody's. */
MUST_USE db_err user_lock_release(struct user_locks *u, uint64_t connection, struct slice name,
                                  struct diag *diag, int *ret);
/* *ret: the connection, -1 for none. */
MUST_USE db_err user_lock_holder(struct user_locks *u, struct slice name, struct diag *diag,
                                 int64_t *ret);
/* At the end of a connection too: what the storage does not take now others find orphaned. *ret
 * counts GET_LOCKs. */
void user_locks_release_all(struct user_locks *u, uint64_t connection, int64_t *ret);

/* From other nodes: a lock was handed to a connection of this one; does one of this life of the
 * engine still hold locks or wait for one? */
void user_locks_wake(struct user_locks *u, uint64_t connection);
bool user_locks_knows(struct user_locks *u, uint64_t engine, uint64_t connection);
/* Another node is about to serve clients: from now on locks are where it can see them. */
MUST_USE db_err user_locks_share(struct user_locks *u, struct diag *diag);
uint64_t user_locks_engine(const struct user_locks *u);

/* ---- for who looks ---- */

/* Is told of each wait. Before the first lock. */
void user_locks_set_watch(struct user_locks *u, const struct sql_wait_watch *watch);
/* A connection of this node that waits for a named lock, and one (of the node) that has it or comes
 * before. */
struct user_lock_edge {
    uint64_t wait, waiter, blocker, blocker_node;
};
/* Those that began to wait at or before until_ns; at most max edges. What lies in the arena is the
 * callee's. Parks. */
MUST_USE db_err user_locks_waits(struct user_locks *u, uint64_t until_ns, uint32_t max,
                                 struct arena *a, struct diag *diag, struct user_lock_edge *out,
                                 uint32_t *ret_count);
/* Ends the wait of this number with 3058. False: it is over. */
bool user_locks_refuse(struct user_locks *u, uint64_t wait);

struct user_lock_info {
    struct slice name; /* in the arena */
    uint64_t connection;
    bool waits;
};
/* All named locks of the cluster, held and waited for, in the arena. */
MUST_USE db_err user_locks_list(struct user_locks *u, struct arena *a, struct diag *diag,
                                struct user_lock_info **ret_list, uint32_t *ret_count);

#endif
