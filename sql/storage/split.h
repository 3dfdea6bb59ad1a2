/* A storage made of two: keys that a predicate claims live in one, all others in the other. A
 * session that has temporary tables uses it: its own keys are in memory, the rest where everyone's
 * are.
 *
 * A transaction is one of each. The commit is that of the shared side first; once it has succeeded
 * the private side's follows, which nobody else can be in the way of. Savepoints name a state of
 * both. Calls whose keys span both sides do not occur: a call's keys are of one table. */
#ifndef SKEIN_SQL_STORAGE_SPLIT_H
#define SKEIN_SQL_STORAGE_SPLIT_H

#include "sql/storage/storage.h"

struct split_storage_opts {
    struct storage *shared; /* borrowed */
    struct storage *own;    /* an in-memory one; owned: closed with the split storage */
    bool (*is_own)(struct slice key);
};

/* ERR_NOMEM: `own` is still the caller's. */
MUST_USE db_err split_storage_new(const struct split_storage_opts *opts,
                                  struct storage **ret_storage);
/* A transaction of the shared side that has begun becomes one of both. Its savepoints stay good: on
 * the own side they mean the beginning. On failure the transaction is as it was. */
MUST_USE db_err split_storage_adopt(struct storage *split, struct storage_txn *shared,
                                    const struct storage_txn_opts *opts, struct diag *diag,
                                    struct storage_txn **ret_txn);
/* Does the transaction write to keys that others see? Of any transaction, split or not. */
bool split_txn_has_shared_writes(const struct storage_txn *t);

#endif
