/* Writes of one transaction that it will not look at before it commits (STORAGE_W_BULK): as many as
 * the disk holds. They are collected in memory, sorted, and put into an unnamed temporary file, run
 * after run; readers merge the runs in key order.
 *
 * One fiber at a time; everything but the counts may park. Errors: ERR_LIMIT (of the tracker),
 * ERR_NOMEM, ERR_IO, ERR_DISK_FULL, with a text in the diag. */
#ifndef SKEIN_SQL_STORAGE_WRITE_RUNS_H
#define SKEIN_SQL_STORAGE_WRITE_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

struct write_runs;
struct write_runs_reader;

struct write_record {
    struct slice key, value;
    bool must_be_new;
    bool fresh;   /* may not be there yet */
    bool deleted; /* no value */
    bool seen;    /* nobody has changed it since the transaction's snapshot */
};

/* dir: of the file, kept as it is (outlives the runs); mem: charged for what is in memory, may be
 * NULL. run_bytes: of one run. */
MUST_USE db_err write_runs_new(const char *dir, struct mem_tracker *mem, size_t run_bytes,
                               struct write_runs **ret_runs);
void write_runs_free(struct write_runs *w); /* readers first; NULL is fine */
/* Copies the record. A key may come twice. */
MUST_USE db_err write_runs_add(struct write_runs *w, const struct write_record *r,
                               struct diag *diag);
uint64_t write_runs_count(const struct write_runs *w);
/* Is something in the file? Else all is in memory and small. */
bool write_runs_spilled(const struct write_runs *w);

/* All records in the order of their keys, those of one key in the order in which they came. Nothing
 * may be added while there is a reader. */
MUST_USE db_err write_runs_read(struct write_runs *w, struct diag *diag,
                                struct write_runs_reader **ret_reader);
/* *ret_end: there is no more. The record is valid until the next call. */
MUST_USE db_err write_runs_next(struct write_runs_reader *r, struct diag *diag,
                                struct write_record *ret_record, bool *ret_end);
void write_runs_close(struct write_runs_reader *r); /* NULL is fine */

#endif
