/* Private to the writer: a round, and what its parts call of each other. All run on the writer's
 * thread but raft_log_submit and completions. */
#ifndef SKEIN_NODE_LOG_WRITER_INT_H
#define SKEIN_NODE_LOG_WRITER_INT_H

#include "node/log/log_int.h"

struct round {
    struct raft_log_batch *head, **tail;
    uint32_t batches;
    uint32_t records;
    uint64_t bytes;
};

static inline void stat_add(_Atomic uint64_t *s, uint64_t n)
{
    atomic_fetch_add_explicit(s, n, memory_order_relaxed);
}

#define BATCH_EACH(h, b)                                                                           \
    for (const struct log_rec_header *h = (const void *)(b)->chunk->data;                          \
         (const uint8_t *)h < (b)->chunk->data + (b)->chunk->len;                                  \
         h = (const void *)((const uint8_t *)h + h->size))

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
/* A batch was refused, perhaps half-way: only the batches of the round count. */
void log__recheck_round(struct raft_log *log, const struct round *r);
/* The round is over: groups are what they are. */
void log__untouch_all(struct raft_log *log, bool keep_shells);
/* The disk was full: the batch gets a number of a failure, its groups remember it. */
void log__lose_batch(struct raft_log *log, struct raft_log_batch *b);
/* A new number of a failure; they count over all logs of the process. */
uint64_t log__failure_next(void);

#endif
