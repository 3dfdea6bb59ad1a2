/* The in-memory storage: for embedding the SQL library, for tests and tools.
 *
 * Multi-version, with the isolation, locks and errors of storage.h; usable from the fibers of any
 * number of loops. Nothing survives the process. */
#ifndef SKEIN_SQL_STORAGE_MEM_MEM_H
#define SKEIN_SQL_STORAGE_MEM_MEM_H

#include "sql/storage/storage.h"

struct mem_storage_opts {
    size_t bytes_max; /* keys, values and their versions; writes get ERR_LIMIT past it; 0: none */
};

/* The caller owns it: storage_close, once no transaction is left. opts may be NULL. ERR_NOMEM. */
MUST_USE db_err mem_storage_new(const struct mem_storage_opts *opts, struct storage **ret_storage);

struct mem_storage_stats {
    uint64_t keys;     /* with at least one version */
    uint64_t versions; /* kept: newest ones and those that a snapshot may need */
    uint64_t bytes;
    uint64_t commits;
    uint64_t retired; /* unlinked, not yet freed */
};
void mem_storage_stats(struct storage *s, struct mem_storage_stats *ret_stats);

#endif
