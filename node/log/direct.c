/* Writing past the kernel's memory.
 *
 * What is to be durable at once gains nothing from lying in the page cache first: the copy, the
 * dirty page and its way back through writeback cost more processor time than the write itself. So
 * small rounds go straight to the disk, in whole blocks: the block that the segment's last record
 * ends in is kept in memory (at the beginning of `stage`), and is written again with what comes
 * behind, zeros behind that. Rewritten sectors get the bytes that they have, so a torn write harms
 * none of them. The sync that follows has nothing to write and flushes the disk's own cache.
 *
 * Large rounds, where the kernel can have many requests under way, go the other way, and so does
 * everything where the file system knows no direct writes. The two may alternate: the kernel drops
 * what it has of the blocks that are written directly, and the end of a segment that was written
 * the other way is read again.
 *
 * All with the turn. */
#include "node/log/writer_int.h"

#include <string.h>

#include "base/assert.h"

_Static_assert(LOG_DIRECT_MAX + 2 * DISK_BLOCK <= LOG_STAGE_SIZE, "a round fits the stage");
_Static_assert(LOG_DATA_START % DISK_BLOCK == 0, "the first block is a record's");

bool log__direct_begin(struct raft_log *log, uint64_t bytes)
{
    struct log_segment *seg = log->active;
    uint64_t used = atomic_load_explicit(&seg->used, memory_order_relaxed);
    bool known = log->tail_seg == seg && log->tail_end == used;
    log->tail_seg = NULL; /* until it is written */
    log->staged = (size_t)(used % DISK_BLOCK);
    return log->direct && seg->direct != NULL && bytes <= LOG_DIRECT_MAX &&
           log_round_up(used + bytes, DISK_BLOCK) <= seg->size &&
           (log->staged == 0 || known ||
            disk_pread_full(seg->files[0], log->stage, log->staged, used - log->staged) == ERR_OK);
}

void log__direct_add(struct raft_log *log, const void *bytes, size_t len)
{
    ASSERT(len <= LOG_STAGE_SIZE - log->staged);
    memcpy(log->stage + log->staged, bytes, len);
    log->staged += len;
}

db_err log__direct_end(struct raft_log *log, uint64_t end)
{
    struct log_segment *seg = log->active;
    size_t whole = log_round_up(log->staged, DISK_BLOCK);
    size_t keep = log->staged % DISK_BLOCK;
    memset(log->stage + log->staged, 0, whole - log->staged);
    db_err err = disk_pwrite(seg->direct, log->stage, whole, end - log->staged);
    log->direct = err != ERR_INVALID;
    TRY(err);
    if (keep != 0 && log->staged > DISK_BLOCK) {
        memcpy(log->stage, log->stage + (log->staged - keep), keep);
    }
    log->tail_seg = seg;
    log->tail_end = end;
    return ERR_OK;
}

db_err log__write_end(struct raft_log *log, const void *bytes, size_t len)
{
    struct log_segment *seg = log->active;
    uint64_t used = atomic_load_explicit(&seg->used, memory_order_relaxed);
    if (log__direct_begin(log, len)) {
        log__direct_add(log, bytes, len);
        db_err err = log__direct_end(log, used + len);
        if (err != ERR_INVALID) {
            return err;
        }
    }
    return disk_pwrite(seg->files[0], bytes, len, used);
}
