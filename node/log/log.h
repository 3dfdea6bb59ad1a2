/* The node's shared Raft log: one durable, segmented, checksummed log for the Raft groups of all
 * ranges.
 *
 * Owner loops gather what their groups want to make durable into a batch and submit it. A writer
 * thread takes all batches that wait, writes them with one write into a preallocated segment, syncs
 * once, and then completes them: with one loop_post per loop and round. While one sync takes
 * long, another writer can write and sync the next round. What was completed with
 * ERR_OK survives a crash; nothing else is visible: the read functions show only what is durable (a
 * Raft core keeps its own unstable entries until then).
 *
 * Rules for one group: batches that name it are submitted by one thread at a time (its owner loop),
 * in order, and they complete in that order. Different groups are independent. A group exists from
 * its first append, hard state or reset until raft_log_batch_remove. Group ids are any uint64 but
 * 0.
 *
 * Threads: all functions are thread-safe unless they say otherwise. Nothing here parks a fiber.
 * What may block on the disk says so and belongs on the blocking pool (base/fiber.h).
 *
 * On-disk format and recovery rules: docs/formats/raft_log.md. */
#ifndef SKEIN_NODE_LOG_LOG_H
#define SKEIN_NODE_LOG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

struct raft_log;
struct raft_log_batch;
struct disk; /* base/disk.h */

struct raft_log_opts {
    struct disk *disk;       /* NULL: the system's; outlives the log */
    uint64_t segment_size;   /* bytes, a multiple of 4096, 64 KiB..1 GiB; 0: 64 MiB. May change
                                between opens */
    unsigned spare_segments; /* kept ready ahead of the writer, without the reserve; 0: 2 */
    uint64_t keep_free;      /* bytes of the file system that segments made ahead leave to others */
    size_t cache_size;       /* bound of the tail cache in bytes; 0: 32 MiB */
    uint64_t log_id;         /* identity stamped into a new log; 0: from the kernel's generator */
    unsigned writers;        /* threads that write and sync, 1..4; 0: 2 (README.md) */
    unsigned spin_us; /* how long an idle writer looks for work before it sleeps; 0: not at all,
                       * which measured best (README.md) */
    bool manual;      /* no threads: raft_log_pump does the work (simulator) */
    /* Manual: there is something to pump. On the submitting thread; may not pump. May be NULL. */
    void (*on_submit)(void *arg);
    void *on_submit_arg;
    /* The log cannot go on (a failed sync or write; never for a full disk). Called once, on the
     * thread that met it (a writer's, a loop's, manual: from pump). Every batch since then
     * completes with ERR_IO. The node must stop: what was not acknowledged is of unknown
     * durability, and asking the kernel again would not tell the truth. May be NULL. */
    void (*on_fatal)(void *arg, const struct diag *diag);
    void *on_fatal_arg;
};

struct raft_log_hard_state {
    uint64_t term;
    uint64_t vote;
    uint64_t commit;
};

struct raft_log_group {
    uint64_t group;
    uint64_t first_index;     /* first entry that can be read; last_index + 1 when there is none */
    uint64_t last_index;      /* first_index - 1 when there is none */
    uint64_t last_term;       /* term of last_index */
    uint64_t compacted_index; /* = first_index - 1; 0 when nothing was compacted */
    uint64_t compacted_term;  /* its term: raft_log_term answers for compacted_index too */
    struct raft_log_hard_state hard_state; /* zeros until set */
    bool has_hard_state;
};

/* One Raft entry. `type` is the caller's own. */
struct raft_log_entry {
    uint64_t index;
    uint64_t term;
    uint8_t type;
    struct slice data;
};

/* Opens or creates the log in dir (which must exist; the caller holds the data directory's lock),
 * replays it and starts the threads. Blocks on the disk. *ret_log is owned by the caller:
 * raft_log_close. Errors: ERR_CORRUPT (a hole or damage that is not an unsynced tail; diag names
 * file, offset, what was expected and what the operator can do), ERR_UNSUPPORTED (another format
 * version), ERR_DISK_FULL, ERR_IO, ERR_NOMEM, ERR_INVALID (opts). */
MUST_USE db_err raft_log_open(const char *dir, const struct raft_log_opts *opts, struct diag *diag,
                              struct raft_log **ret_log);
/* Completes what was submitted before, marks the log as closed cleanly, stops the threads, frees
 * all. Nobody may use the log any more; pages still held by arenas stay valid. NULL is fine.
 * Blocks; not from a loop that still has completions to run. */
void raft_log_close(struct raft_log *log);

/* Manual mode only, the crash of a process: frees all, writes nothing, completes nothing (what is
 * queued is dropped without its callbacks). NULL is fine. */
void raft_log_kill(struct raft_log *log);

/* What a group holds now. ERR_NOT_FOUND. */
MUST_USE db_err raft_log_group_get(struct raft_log *log, uint64_t group,
                                   struct raft_log_group *ret_info);
/* Calls fn for every group, in no order, e.g. after open. fn must not call into the log. */
void raft_log_group_each(struct raft_log *log,
                         void (*fn)(void *arg, const struct raft_log_group *info), void *arg);

/* ---- writing
 * --------------------------------------------------------------------------------------------------
 */

/* `err` tells all that was in the batch: all of it is durable, or (as long as the node lives) none
 * of it. The batch is freed by the log after the call; do not keep it. ERR_DISK_FULL  nothing of it
 * was written; the same operations may be submitted again later (also returned for batches that
 * followed a failed one and would leave a gap) ERR_INVALID    an operation contradicts the log: a
 * gap before an append, an append at or below the compacted index, a compaction past the last
 * entry; a bug of the caller ERR_IO         the log has failed (see on_fatal); the outcome is
 * unknown until the node starts again ERR_NOMEM, ERR_CLOSED */
typedef void (*raft_log_done_fn)(void *arg, db_err err);

/* A batch holds operations of any number of groups, applied in the order in which they were added,
 * atomically. Not thread-safe. Entry data is copied into the batch when it is added: the only copy
 * on the way to the disk; the same bytes then serve as the tail cache. size_hint: bytes expected, 0
 * if not known. ERR_NOMEM. */
MUST_USE db_err raft_log_batch_new(struct raft_log *log, size_t size_hint,
                                   struct raft_log_batch **ret_batch);
/* Only for a batch that is not submitted. NULL is fine. */
void raft_log_batch_free(struct raft_log_batch *batch);
bool raft_log_batch_empty(const struct raft_log_batch *batch);
size_t raft_log_batch_size(const struct raft_log_batch *batch); /* bytes it will take in the log */

/* All return ERR_LIMIT when the batch would pass RAFT_LOG_BATCH_MAX or what one segment can hold,
 * or ERR_NOMEM; the batch is then as before the call. */
enum { RAFT_LOG_BATCH_MAX = 32 << 20, RAFT_LOG_ENTRY_MAX = 24 << 20 };

/* Entries with consecutive indexes and terms that do not decrease. What the group holds at or after
 * entries[0].index is replaced (suffix overwrite). A group without a past starts at index 1, or
 * after a reset at its index + 1. Also ERR_INVALID: indexes not consecutive, count 0, group 0. */
MUST_USE db_err raft_log_batch_append(struct raft_log_batch *batch, uint64_t group,
                                      const struct raft_log_entry *entries, size_t count);
MUST_USE db_err raft_log_batch_hard_state(struct raft_log_batch *batch, uint64_t group,
                                          struct raft_log_hard_state hs);
/* Forgets the entries up to and with `index` (whose term is `term`); what follows stays. Below or
 * at the present compacted index: no effect. */
MUST_USE db_err raft_log_batch_compact(struct raft_log_batch *batch, uint64_t group, uint64_t index,
                                       uint64_t term);
/* Forgets all entries; the next one to come is index + 1 (after a snapshot that the log does not
 * match). */
MUST_USE db_err raft_log_batch_reset(struct raft_log_batch *batch, uint64_t group, uint64_t index,
                                     uint64_t term);
/* The group is gone: entries and hard state. The id may be used anew afterwards. */
MUST_USE db_err raft_log_batch_remove(struct raft_log_batch *batch, uint64_t group);

/* The loop that submits the batch has nothing that may not wait for one sync: when it has been
 * alone with its batches for a while it writes and syncs this one itself, at the end of its turn,
 * instead of waking a thread (guest.c). */
void raft_log_batch_here(struct raft_log_batch *batch);

/* Hands the batch to the writer; takes ownership. done runs exactly once: on the loop that runs on
 * the submitting thread (loop_current()), together with all others of that loop and round; or, when
 * the thread has no loop, on the writer's thread (then it must not block). Manual: from pump, or by
 * loop_post if a loop ran at submit. Never inline. done may be NULL. Does not block; wakes the
 * writer only when it sleeps. */
void raft_log_submit(struct raft_log *log, struct raft_log_batch *batch, raft_log_done_fn done,
                     void *arg);

/* Manual mode only: one round (write, sync, complete) and the housekeeping due. True if more waits.
 * Blocks. */
bool raft_log_pump(struct raft_log *log);
/* Manual mode only: writes a round and leaves it on its way, as a writer does whose sync takes
 * long; the next pump completes it. Blocks. */
void raft_log_pump_ahead(struct raft_log *log);

/* ---- reading
 * --------------------------------------------------------------------------------------------------
 */

/* The term of an entry, or of compacted_index (0 for index 0). From memory, never blocks.
 * ERR_NOT_FOUND: no such group, index compacted away or past the end. */
MUST_USE db_err raft_log_term(struct raft_log *log, uint64_t group, uint64_t index,
                              uint64_t *ret_term);

enum raft_log_read_mode {
    RAFT_LOG_READ_CACHED, /* never blocks: ERR_WOULD_BLOCK when the first entry is not in the tail
                             cache */
    RAFT_LOG_READ_ANY     /* may block on the disk: from the blocking pool */
};

struct raft_log_page {
    const struct raft_log_entry *entries; /* in the arena */
    size_t count;
    size_t bytes; /* of data */
};

/* The entries lo, lo+1, ... below hi, as many as fit max_bytes of data but at least one. A page may
 * end early (where the cache ends, or after a bounded read from the disk): ask again from the index
 * after its last. The entries and their data live as long as the arena is not reset; cached data is
 * borrowed, not copied (the arena holds a reference). lo < hi. Errors: ERR_NOT_FOUND (no such
 * group; lo compacted or past the end), ERR_WOULD_BLOCK (mode CACHED), ERR_CORRUPT (a checksum on
 * the disk; diag names file and offset), ERR_IO, ERR_NOMEM, ERR_LIMIT (the arena's). */
MUST_USE db_err raft_log_entries(struct raft_log *log, uint64_t group, uint64_t lo, uint64_t hi,
                                 size_t max_bytes, enum raft_log_read_mode mode,
                                 struct arena *arena, struct diag *diag,
                                 struct raft_log_page *ret_page);

/* ---- space
 * ----------------------------------------------------------------------------------------------------
 */

/* A group that keeps the oldest segment from being recycled. To free it: compact the group to
 * need_index or beyond (make its applied index durable first). */
struct raft_log_holder {
    uint64_t group;
    uint64_t need_index;
    uint64_t behind_bytes; /* log bytes from the oldest segment to the end */
};
/* Up to max holders of the oldest segment; *ret_count 0 when nothing is held back (one segment in
 * use). */
void raft_log_oldest(struct raft_log *log, struct raft_log_holder *holders, size_t max,
                     size_t *ret_count);

/* Writes all that the group holds once more, at the end of the log: what is old need not be kept
 * for it any more. For a group that holds little, is not written to and cannot be compacted.
 * Nothing else changes, and what others submit is not disturbed: done (may be NULL; as for
 * raft_log_submit) gets ERR_BUSY when the group was changed meanwhile. Blocks on the disk. Errors:
 * ERR_NOT_FOUND (no such group, or it holds nothing), ERR_LIMIT (it holds more than max_bytes, in
 * thousands of places, or terms too far apart), ERR_NOMEM and those of raft_log_entries; done is
 * not called then. */
enum { RAFT_LOG_REPEAT_MAX = 512 << 10 };
MUST_USE db_err raft_log_repeat(struct raft_log *log, uint64_t group, size_t max_bytes,
                                raft_log_done_fn done, void *arg, struct diag *diag);

/* The disk is full, and what is left of the log is for what is on its way: submit nothing new. */
bool raft_log_low(const struct raft_log *log);

struct raft_log_stats {
    uint64_t rounds, batches, records, entries, bytes; /* since open */
    uint64_t write_ns, sync_ns;                        /* sums over rounds */
    uint64_t round_bytes_max;
    uint64_t guest_rounds; /* done by a loop itself */
    uint64_t wakeups;      /* submits that had to wake a sleeping writer */
    uint64_t stalls;       /* rounds that waited for a segment to be prepared */
    uint64_t disk_full;    /* batches refused */
    uint64_t disk_reads, cache_reads;
    uint64_t cache_bytes;
    uint64_t groups;
    uint64_t segments_used, segments_spare, disk_bytes;
    uint64_t oldest_segment, newest_segment;
    uint64_t recovered_records, cut_bytes; /* of this open */
};
void raft_log_stats(struct raft_log *log, struct raft_log_stats *ret_stats);

#endif
