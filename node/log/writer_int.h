/* Private to the writers: what their parts call of each other. All of it but raft_log_submit, the
 * completions on loops, and the waking needs the turn: one of the writers has it (manual: the only
 * thread there is). Elsewhere in this module "the writer" is who has the turn. */
#ifndef SKEIN_NODE_LOG_WRITER_INT_H
#define SKEIN_NODE_LOG_WRITER_INT_H

#include "node/log/log_int.h"

/* no: which of its handles a sync by this thread goes to. */
static inline void log__turn_take(struct raft_log *log, unsigned no)
{
    (void)pthread_mutex_lock(&log->turn);
    log->turn_of = no;
}

static inline bool log__turn_try(struct raft_log *log, unsigned no)
{
    if (pthread_mutex_trylock(&log->turn) != 0) {
        return false;
    }
    log->turn_of = no;
    return true;
}

static inline void log__turn_give(struct raft_log *log)
{
    (void)pthread_mutex_unlock(&log->turn);
}

/* Bytes that still fit. NULL: none. */
static inline uint64_t log__segment_room(const struct log_segment *seg)
{
    return seg == NULL ? 0 : seg->size - atomic_load_explicit(&seg->used, memory_order_relaxed);
}

static inline void stat_add(_Atomic uint64_t *s, uint64_t n)
{
    atomic_fetch_add_explicit(s, n, memory_order_relaxed);
}

#define BATCH_EACH(h, b)                                                                           \
    for (const struct log_rec_header *h = (const void *)(b)->chunk->data;                          \
         (const uint8_t *)h < (b)->chunk->data + (b)->chunk->len;                                  \
         h = (const void *)((const uint8_t *)h + h->size))

/* ---- round.c */
/* What waits is pending: what was submitted, behind what the log itself has to write. Rounds that a
 * guest's sync has covered are complete. May sync, if too much is on its way. */
void log__round_prepare(struct raft_log *log);
/* Writes as much of what is pending as one round holds; what is refused completes. Returns the
 * round's number: a sync that begins now covers the rounds up to it. 0: nothing was written. */
uint64_t log__round_write(struct raft_log *log);
/* A sync of the active segment has ended that covers the rounds up to this one: those of them that
 * are still on their way take effect and complete (if the log has failed: with ERR_IO). */
void log__round_synced(struct raft_log *log, uint64_t covers);
/* Syncs, if anything is on its way or a mark is not durable, and completes all. ERR_IO: the log has
 * failed. */
MUST_USE db_err log__settle(struct raft_log *log);
/* Nothing that a failed write may have left in the active segment is ever read: it ends where that
 * write began, and there is no active segment any more. */
void log__abandon_active(struct raft_log *log);

/* ---- submit.c */
/* The queue, turned into the order of submission, joins the pending batches. */
void log__take_queue(struct raft_log *log);
/* The batch is done with; log__complete_round tells its owner. */
void log__finish(struct raft_log *log, struct raft_log_batch *b, db_err err);
/* One post per loop for all that is finished. */
void log__complete_round(struct raft_log *log);

/* ---- check.c */
/* Does the batch agree with what its groups will be after the batches before it? If so it counts
 * from now on. On an error call log__recheck_round. ERR_INVALID, ERR_DISK_FULL, ERR_NOMEM. */
MUST_USE db_err log__check_batch(struct raft_log *log, const struct raft_log_batch *b);
/* A batch was refused, perhaps half-way: only the batches of the rounds on their way, and those of
 * this one, count. */
void log__recheck_round(struct raft_log *log, const struct round *r);
/* Nothing is on its way: groups are what they are. */
void log__untouch_all(struct raft_log *log, bool keep_shells);
/* It failed and will come again: it gets a number of a failure, its groups remember it. */
void log__lose_batch(struct raft_log *log, struct raft_log_batch *b);
/* A new number of a failure; they count over all logs of the process. */
uint64_t log__failure_next(void);

/* ---- writer.c */
/* With the turn, which it has given back at the end, and while it syncs: a round of what is
 * pending. */
void log__writer_round_sync(struct log_writer *w);

/* ---- guest.c: all but the last on a loop's thread */
/* A batch was submitted. True: its loop sees to it that it is written. */
bool log__guest_takes(struct raft_log *log, struct raft_log_batch *b);
/* The guest's sync has ended, its outcome is known to all: completes the rounds up to this one, or
 * has a writer do it. Without the turn. */
void log__guest_synced(struct raft_log *log, uint64_t covers);
/* The turn was given back. pending: batches are left; marked: the last record is a mark. */
void log__guest_left(struct raft_log *log, bool pending, bool marked);
/* So many batches of the loop are about to complete. The log may be gone. */
void log__guest_completed(struct log_guest *g, unsigned batches);
/* The log is about to be closed: waits for the guest that is in, there are no others any more. */
void log__guests_leave(struct raft_log *log);

#endif
