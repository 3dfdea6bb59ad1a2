/* Private to user_lock*.c: who has a lock and who waits, and where that is written. */
#ifndef SKEIN_SQL_SESSION_USER_LOCK_INT_H
#define SKEIN_SQL_SESSION_USER_LOCK_INT_H

#include "base/arena.h"
#include "base/fiber.h"
#include "base/hash.h"
#include "sql/session/user_lock.h"

struct lock_owner {
    uint64_t node;
    uint64_t
        engine; /* drawn when an engine opens: a node that starts again has other connections */
    uint64_t connection; /* 0: nobody */
};

struct lock_record {
    struct slice name;
    struct lock_owner owner;
    struct lock_owner *waiters; /* the next owner first */
    uint32_t count;
};

struct local_lock; /* of a node that is alone */

struct user_locks {
    struct storage *storage;
    struct sql_coord *coord;
    uint64_t node, engine;
    struct fiber_mutex mutex; /* guards the rest */
    bool shared;              /* records are in the storage; for good once it is so */
    struct hash_table local;
    struct hash_table holders; /* connections of this node that hold locks or wait for one */
    struct fiber_cond woken;
    uint64_t last_wait;
    struct sql_wait_watch watch; /* fixed */
};

/* One record, locked from begin to end. Changes are made by commit, or not at all. */
struct lock_edit {
    struct user_locks *locks;
    struct arena arena;
    struct lock_record record;
    struct storage_txn *txn;  /* shared */
    struct local_lock *local; /* alone: the mutex is held; NULL: the lock is free */
    bool alone;
};
MUST_USE db_err lock__edit_begin(struct user_locks *u, struct slice name, struct diag *diag,
                                 struct lock_edit *ret_edit);
MUST_USE db_err lock__edit_commit(struct lock_edit *e, struct diag *diag);
void lock__edit_end(struct lock_edit *e);
/* The first waiter becomes the owner; nobody when nobody waits. */
void lock__hand_over(struct lock_record *r);
bool lock__same(const struct lock_owner *a, const struct lock_owner *b);
/* Adds to the end, once. ERR_NOMEM. */
MUST_USE db_err lock__add_waiter(struct lock_edit *e, const struct lock_owner *w);
void lock__drop_waiter(struct lock_record *r, const struct lock_owner *w);

/* All records, or one (found with owner 0 when nobody has it), as of now. */
MUST_USE db_err lock__all(struct user_locks *u, struct arena *a, struct diag *diag,
                          struct lock_record **ret_records, uint32_t *ret_count);
MUST_USE db_err lock__one(struct user_locks *u, struct slice name, struct arena *a,
                          struct diag *diag, struct lock_record *ret_record);
void lock__tables_fini(struct user_locks *u);

#endif
