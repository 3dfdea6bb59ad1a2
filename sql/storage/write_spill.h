/* The part of a transaction's write buffer that does not fit into memory: runs in an unnamed
 * temporary file, in key order, the newest last. Unlike those of write_runs.h they are looked up,
 * scanned and taken back to savepoints.
 *
 * A run is a whole write buffer as it was, with what its savepoints would restore. A key that is in
 * several runs is as the newest says: who changes a key that a run has adopts it from there first
 * (wb_adopt). So is what is known of its lock.
 *
 * One fiber at a time. Add, find and collect park. Errors: ERR_LIMIT (of the tracker), ERR_NOMEM,
 * ERR_IO, ERR_DISK_FULL; everything is then as before the call. */
#ifndef SKEIN_SQL_STORAGE_WRITE_SPILL_H
#define SKEIN_SQL_STORAGE_WRITE_SPILL_H

#include "base/diag.h"
#include "sql/storage/write_buffer.h"

struct write_spill;

/* dir: of the file, kept as it is (outlives the spill); mem: charged for filters and indexes, may
 * be NULL. */
MUST_USE db_err write_spill_new(const char *dir, struct mem_tracker *mem,
                                struct write_spill **ret_spill);
void write_spill_free(struct write_spill *w); /* NULL is fine */

/* All entries of the buffer, which stays as it is, become the newest run. */
MUST_USE db_err write_spill_add(struct write_spill *w, const struct write_buffer *wb,
                                struct diag *diag);
/* How many runs there are; also the number that the next will have. */
uint32_t write_spill_count(const struct write_spill *w);
/* As it was at the savepoint `pos` of the buffer that became the run of that number: later runs are
 * forgotten. Savepoints before it stay good. */
void write_spill_back_to(struct write_spill *w, uint32_t run, uint64_t pos);

bool write_spill_has_writes(const struct write_spill *w);
bool write_spill_has_shared(const struct write_spill *w); /* keys that are locked shared */

/* ret_entry: without links; key and value in the arena. Costs no read when no run has the key,
 * nearly always. */
MUST_USE db_err write_spill_find(struct write_spill *w, struct slice key, struct arena *arena,
                                 struct diag *diag, bool *ret_found, struct wb_entry *ret_entry);

struct write_spill_span {
    struct slice start; /* inclusive */
    struct slice end;   /* exclusive; empty = no bound */
    bool reverse;       /* from end down to start */
    bool writes_only;
    bool keys_only; /* values come empty */
};
/* The first `max` entries of the span, or fewer when they are large; all in the arena. *ret_more:
 * there may be some after the last one that is returned (at least one is then). */
MUST_USE db_err write_spill_collect(struct write_spill *w, const struct write_spill_span *span,
                                    size_t max, struct arena *arena, struct diag *diag,
                                    struct wb_entry ***ret_entries, size_t *ret_count,
                                    bool *ret_more);

#endif
