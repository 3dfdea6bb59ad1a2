/* How the node shares its file system: by its size, what is kept back for what. */
#ifndef SKEIN_NODE_RANGE_SPACE_H
#define SKEIN_NODE_RANGE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"

struct space_plan {
    uint64_t memtable;   /* bytes of one memtable at most: a flush must fit what is kept back */
    uint64_t log_size;   /* Raft log above which the engine is flushed */
    uint64_t keep_free;  /* left by log segments that are made ahead */
    uint64_t refuse_at;  /* with less free, new writes are refused */
    uint64_t ballast;    /* size of a file that is removed when space has run out */
    uint64_t release_at; /* with less free, it is removed */
};

/* For a file system of disk_size bytes and a Raft log of segments of segment_size (0: the default).
 */
void space_plan_make(uint64_t disk_size, uint64_t segment_size, struct space_plan *ret_plan);

/* Before anything in `dir` is opened: the plan for its file system, and the ballast removed if
 * there is so little space that opening might fail for it. Blocks. ERR_DISK_FULL: it still would;
 * ERR_IO, ERR_LIMIT (path). */
MUST_USE db_err space_prepare(const char *dir, uint64_t segment_size, struct diag *diag,
                              struct space_plan *ret_plan);

/* With so much free, are new writes refused? `refuse`: they were until now; they are taken again
 * when there is clearly more than what they are refused at. */
bool space_to_refuse(const struct space_plan *plan, uint64_t space, bool refuse);

#endif
