/* Private to node/log: the structures that its files share. See README.md for how they fit
 * together. */
#ifndef SKEIN_NODE_LOG_LOG_INT_H
#define SKEIN_NODE_LOG_LOG_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/disk.h"
#include "base/list.h"
#include "base/loop.h"
#include "node/log/format.h"
#include "node/log/limits.h"
#include "node/log/log.h"

/* The encoded records of one batch. First the batch's buffer, then what is written, then part of
 * the tail cache; pages that readers hold keep it alive. */
struct log_chunk {
    _Atomic uint32_t refs;
    uint32_t cap; /* of data */
    uint32_t len;
    struct list node; /* log->cache; the writer's */
    uint8_t data[];
};

struct raft_log_batch {
    struct loop_task task; /* the first batch of a loop and round carries the loop's wake-up */
    struct raft_log_batch *next;
    struct raft_log *log; /* until it is submitted; when it completes the log may be gone */
    struct log_chunk *chunk;
    struct loop *loop;
    struct log_guest *guest; /* counts it; NULL: nobody does */
    raft_log_done_fn done;
    void *arg;
    uint64_t seen_failure; /* newest failure delivered on the submitting thread */
    uint64_t failure;      /* of this batch, when it was refused */
    db_err refused;        /* then it is empty */
    uint32_t records;
    uint32_t entries;
    uint32_t size_max;
    db_err err;
    bool has_append;
    bool here;    /* the loop may wait for the disk */
    bool repeats; /* raft_log_repeat: void if the group is not as it was then */
    uint64_t repeats_changed;
};

struct log_segment {
    struct list node; /* log->segments or log->ready; guarded by seg_lock */
    uint64_t no;
    struct disk_file *files[LOG_HANDLES_MAX]; /* one for the syncs of each writer, and one for those
                                                 of guests; [0] for all else */
    struct disk_file *direct; /* for writes past the kernel's memory; NULL: there are none */
    uint64_t size;
    _Atomic uint64_t used;    /* the writer's next offset; fixed once another segment is active */
    uint64_t first_seq;       /* 0: no record yet. The writer's */
    _Atomic uint32_t refs;    /* 1 for the list, 1 for each reader of the file */
    struct list entry_groups; /* groups whose oldest entry is here; guarded by seg_lock */
    struct list state_groups; /* groups whose state would be lost with it; the writer's */
};

struct log_term_run {
    uint64_t first_index;
    uint64_t term;
};
/* Records of the group that lie in [off, off + span) of the segment hold the entries from
 * first_index up to the next reference's. */
struct log_ref {
    uint64_t first_index;
    struct log_segment *seg;
    uint32_t off;
    uint32_t span;
};
/* One APPEND record in a cached chunk. */
struct log_cached {
    uint64_t first_index;
    struct log_chunk *chunk;
    uint32_t off;
};

/* A vector that is consumed at the front: items are [head, count). */
#define LOG_VEC(type)                                                                              \
    struct {                                                                                       \
        type *items;                                                                               \
        uint32_t head, count, cap;                                                                 \
    }

/* Changed by the writer only, under the stripe's lock; read under the stripe's lock (the writer
 * reads without). */
struct log_group {
    struct log_group *hash_next;
    uint64_t id;
    bool exists;
    bool has_hard_state;
    struct raft_log_hard_state hard_state;
    uint64_t compacted_index;
    uint64_t compacted_term;
    uint64_t last_index;
    uint64_t changed; /* number of the newest record that changed its entries */
    LOG_VEC(struct log_term_run) runs;
    LOG_VEC(struct log_ref) refs;
    LOG_VEC(struct log_cached) cached;
    /* the writer's */
    struct list entry_node; /* guarded by seg_lock */
    struct list state_node;
    struct log_segment *entry_seg;
    struct log_segment *state_seg; /* the older of the two below */
    struct log_segment *hard_seg;
    struct log_segment *compact_seg;
    uint64_t lost_failure; /* newest failure that hit a batch of this group; 0: none */
    /* recovery: the group's beginning was in a segment that is gone; a compaction up to gap_until
     * must still come. Compactions seen since that fall short of it are remembered: an overwrite
     * may move the gap down to them. */
    uint64_t gap_until;
    uint64_t gap_known_index;
    uint64_t gap_known_term;
    /* what the group will be when the batches gathered in this round are durable */
    struct log_group *touch_next;
    bool touched;
    bool tent_exists;
    uint64_t tent_compacted;
    uint64_t tent_last;
    uint32_t tent_appends;
};

struct log_stripe {
    pthread_mutex_t lock;
    struct log_group **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

/* Batches that are written together. */
struct round {
    struct raft_log_batch *head, **tail; /* tail: while it is gathered */
    uint32_t batches;
    uint32_t records;
    uint64_t bytes;
    uint64_t no;      /* 1, 2, ... in the order of writing */
    uint64_t base;    /* its offset in the segment */
    uint64_t end_seq; /* the number after its last record's */
};

enum { WRITER_AWAKE, WRITER_SLEEPS_LONG, WRITER_SLEEPS_SHORT /* until a time */ };

struct log_writer {
    struct raft_log *log;
    unsigned no; /* its handle's */
    bool started;
    pthread_t thread;
    _Atomic uint32_t sleeping; /* futex: WRITER_AWAKE, ... */
    uint8_t pad[64];           /* submitters look at `sleeping` */
};

/* What guest.c knows of a loop; only that loop's thread uses it, but for the first three. */
struct log_guest {
    _Atomic unsigned refs; /* the log, each batch of the loop that is not completed, the task */
    pthread_mutex_t lock;  /* held by a visit */
    struct raft_log *log;  /* NULL: closed. Guarded by lock */
    struct loop *loop;
    struct loop_task task;
    bool armed;
    int quiet;     /* how much it has been alone of late */
    unsigned out;  /* batches submitted and not completed */
    uint64_t turn; /* of the loop, in which the newest was submitted */
};

enum log_ready_state { LOG_READY_OK, LOG_READY_FULL, LOG_READY_FAILED };

struct raft_log {
    struct raft_log_opts opts;
    char *dir;
    uint64_t log_id;

    /* submitted batches, newest first */
    uint8_t pad_queue[64]; /* submitters share this line with nothing that the writer writes */
    struct raft_log_batch *_Atomic queue;
    uint8_t pad_stopping[64];
    _Atomic bool stopping;
    _Atomic uint64_t begun_ns;      /* when a writer was last woken or began to sync */
    _Atomic uint64_t usual_sync_ns; /* about the shortest of late; 0: none yet */
    struct log_writer writers[LOG_WRITERS_MAX];
    _Atomic bool attention; /* there is something for the first writer that it may have missed */
    struct log_guest *_Atomic guests[LOG_GUESTS_MAX]; /* by the loop's index; NULL: not yet */
    _Atomic uint64_t guests_rest_until_ns;
    _Atomic uint64_t guest_covers; /* a guest's sync covers the rounds up to this one, and they are
                                      not completed; 0: none */
    _Atomic bool guest_busy;       /* a guest syncs; set by who has the turn */
    struct log_guest *guest_in;    /* it; its own to look at */

    /* the writer's: of who has the turn */
    pthread_mutex_t turn;
    unsigned turn_of;                    /* the handle of who has it */
    struct log_writer guest_writer;      /* without a thread: the handle of guests */
    struct round flight[LOG_FLIGHT_MAX]; /* a ring: written, not known to be durable */
    unsigned flight_head, flight_count;
    uint64_t round_no; /* of the newest round */
    struct raft_log_batch *pending, **pending_tail;
    struct log_segment *active; /* NULL until the first write or after a failed one; changed under
                                   seg_lock too */
    bool active_dirty;          /* a mark was written without a sync */
    bool active_reserve; /* active is the reserve: control records only, until space returns */
    bool marked;         /* the last record is a mark */
    uint64_t next_seq;
    uint64_t durable_seq;   /* records below are durable */
    uint64_t trim_retry_ns; /* a trim met a full disk: not again before this time */
    struct log_group *touched;
    struct raft_log_batch *done_head, **done_tail;
    void *stage_memory;
    uint8_t *stage; /* LOG_STAGE_SIZE, at a DISK_BLOCK: chunks of a round are gathered here */
    /* direct.c */
    bool direct; /* until the file system refuses a write */
    size_t staged;
    const struct log_segment *tail_seg; /* the stage begins with the block in which ... */
    uint64_t tail_end;                  /* ... this is, the segment's end */

    _Atomic bool failed;

    struct log_stripe stripes[LOG_STRIPES];
    _Atomic uint64_t group_count;

    struct list cache; /* chunks, oldest first; the writer's */
    _Atomic size_t cache_bytes;

    pthread_mutex_t seg_lock;
    pthread_cond_t seg_wake;  /* to the preparer */
    pthread_cond_t seg_ready; /* to the writer */
    struct list segments;     /* in use, oldest first; the last is active (or was) */
    struct list ready;        /* prepared, in the order of their numbers */
    struct list garbage;      /* dropped: to be recycled or removed by the preparer */
    unsigned ready_count;
    unsigned segment_count;
    enum log_ready_state ready_state;
    _Atomic bool low; /* written under seg_lock */
    uint64_t next_no;
    bool prep_stop;
    bool prep_busy; /* a step has released the lock */
    bool prep_started;
    pthread_t prep_thread;

    /* statistics: written by the writer with relaxed atomics */
    _Atomic uint64_t st_rounds, st_batches, st_records, st_entries, st_bytes, st_write_ns,
        st_sync_ns, st_round_max, st_guest_rounds, st_wakeups, st_stalls, st_full, st_disk_reads,
        st_cache_reads;
    uint64_t recovered_records, cut_bytes;
};

/* ---- batch.c */
void log__chunk_ref(struct log_chunk *c);
void log__chunk_unref(struct log_chunk *c);
/* Room for one record with `body` bytes in it; *ret_body points at them (zeroed padding included).
 */
MUST_USE db_err log__batch_record(struct raft_log_batch *b, uint8_t type, uint64_t group,
                                  uint16_t count, size_t body, uint8_t **ret_body);
/* The record's body is complete: its checksum is taken. */
void log__batch_record_end(struct raft_log_batch *b, uint8_t *body);

/* One record of entries with consecutive indexes, `body` bytes long; term steps if they are of
 * several terms (then there is no more than LOG_TERM_STEP_MAX between two). */
MUST_USE db_err log__batch_append_record(struct raft_log_batch *b, uint64_t group,
                                         const struct raft_log_entry *entries, size_t count,
                                         size_t body);
/* How many terms begin in an APPEND record after its first entry. */
uint32_t log__append_steps(const struct log_rec_header *h);

/* ---- index.c */
MUST_USE db_err log__index_init(struct raft_log *log);
void log__index_fini(struct raft_log *log);
struct log_stripe *log__stripe(struct raft_log *log, uint64_t group);
/* With the stripe's lock held, or on the writer. NULL: no such group (a shell counts as found). */
struct log_group *log__group_find(const struct log_stripe *s, uint64_t group);
/* Writer: found or made as a shell that does not exist yet. ERR_NOMEM. */
MUST_USE db_err log__group_shell(struct raft_log *log, uint64_t group,
                                 struct log_group **ret_group);
/* Writer: drops a shell that does not exist. */
void log__group_drop_shell(struct raft_log *log, struct log_group *g);
/* Writer: memory for n more appends, so that applying them cannot fail. */
MUST_USE db_err log__group_reserve(struct raft_log *log, struct log_group *g, uint32_t n);
/* Writer: a durable record takes effect. chunk: where it is cached, or NULL. */
void log__apply(struct raft_log *log, struct log_group *g, const struct log_rec_header *h,
                struct log_segment *seg, uint64_t off, struct log_chunk *chunk, uint32_t chunk_off);
/* Positions in the vectors: the item that holds `index` (the last with first_index <= index). */
uint32_t log__ref_at(const struct log_group *g, uint64_t index);
uint32_t log__cached_at(const struct log_group *g, uint64_t index);
uint64_t log__term_at(const struct log_group *g, uint64_t index);
/* Writer: the chunk joins the cache; the oldest leave it. */
void log__cache_add(struct raft_log *log, struct log_chunk *chunk);
void log__cache_fini(struct raft_log *log);

/* ---- segment.c */
/* path: DISK_PATH_MAX bytes. */
void log__segment_path(const struct raft_log *log, uint64_t no, char *path);
/* An object with one reference for the file; owns it. ERR_NOMEM: file is not closed. */
MUST_USE db_err log__segment_new(uint64_t no, struct disk_file *file, uint64_t size,
                                 struct log_segment **ret_seg);
void log__segment_unref(struct log_segment *seg);
/* Opens the handles beside the first. ERR_IO, ERR_NOMEM: as many as there are. */
MUST_USE db_err log__segment_handles(struct raft_log *log, struct log_segment *seg);
/* Writes and syncs the header. */
MUST_USE db_err log__segment_header(struct raft_log *log, struct log_segment *seg);
/* One step of the preparer's work: recycles or removes one dropped segment, or makes a new one.
 * seg_lock is held at entry and exit and released while the disk works. False when there was
 * nothing to do, or no space to do it. */
bool log__prepare_step(struct raft_log *log);
void *log__prepare_main(void *arg);
/* Writer: the next prepared segment becomes active. append: entries are to be written, they may not
 * take the reserve, nor, unless the disk is full, the one before it. Waits for the preparer if it
 * must. ERR_DISK_FULL, ERR_IO. */
MUST_USE db_err log__segment_roll(struct raft_log *log, bool append);
/* Writer: may the active segment take entries now? */
bool log__segment_may_append(struct raft_log *log);

/* ---- direct.c: writing to the end of the active segment, past the kernel's memory if possible */
/* True: so many bytes may go that way. Then add all parts, and end (end: the segment's end with
 * them). False: write them the other way. */
bool log__direct_begin(struct raft_log *log, uint64_t bytes);
void log__direct_add(struct raft_log *log, const void *bytes, size_t len);
/* ERR_INVALID: nothing was written, now the other way. Others: as disk_pwritev. */
MUST_USE db_err log__direct_end(struct raft_log *log, uint64_t end);
/* One piece, one way or the other. */
MUST_USE db_err log__write_end(struct raft_log *log, const void *bytes, size_t len);

/* ---- recover.c */
MUST_USE db_err log__recover(struct raft_log *log, struct diag *diag);
/* A record of known type whose parts fit into its size; its checksum is right already. */
bool log__record_sound(const struct log_rec_header *h);

/* ---- truncate.c */
/* Writer: the entries of g now begin in seg (or NULL). */
void log__entry_move(struct raft_log *log, struct log_group *g, struct log_segment *seg);
/* Writer: hard_seg or compact_seg has changed. */
void log__state_move(struct log_group *g);
/* Writer: the oldest segment could go. */
bool log__trim_due(struct raft_log *log);
/* Writer: the batch that carries the state of groups out of the segments that can go, and says that
 * they go. It is built from the durable state: it must be the first of its round. */
MUST_USE db_err log__trim_batch(struct raft_log *log, struct raft_log_batch **ret_batch);
/* Writer: gives up the segments below no. */
void log__trim_apply(struct raft_log *log, uint64_t no);

/* ---- writer.c */
/* arg: a struct log_writer. */
void *log__writer_main(void *arg);
/* One round from the queue to the disk, and all that was on its way before it; for manual mode, or
 * without writers. True when it left batches waiting. */
bool log__writer_round(struct raft_log *log);
/* Writes a mark, without a sync; the active segment has room. */
MUST_USE db_err log__mark_write(struct raft_log *log, bool clean);
/* The same where there is room, with all that can go wrong dealt with; clean: syncs it too, nothing
 * may be written afterwards. */
void log__writer_mark(struct raft_log *log, bool clean);
/* Something waits: wakes a writer if one is needed. */
void log__writer_wake(struct raft_log *log);
void log__writers_wake(struct raft_log *log); /* all of them */
/* The log cannot go on: tells the owner, once. */
void log__fail(struct raft_log *log, db_err err, const char *what, uint64_t segment_no);

#endif
