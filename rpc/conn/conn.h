/* One connection, as clients and servers share it: frames in and out over a pipe, its own pings.
 *
 * Out: rpc_conn_queue from any thread; whoever finds no write under way writes, for all. In: the
 * frames of one read are handed on together, on the pipe's thread. A connection ends once: `closed`
 * comes after the last `frames`. */
#ifndef SKEIN_RPC_CONN_CONN_H
#define SKEIN_RPC_CONN_CONN_H

#include <pthread.h>

#include "base/fiber.h"
#include "rpc/conn/frame.h"
#include "rpc/transport/transport.h"

struct rpc_conn;

struct rpc_conn_ops {
    /* Sound frames but PING and PONG. The slices lie in the blob; borrowed for the call. One call
     * at a time per connection. True: go on reading. False: read no more until rpc_conn_resume. */
    bool (*frames)(void *ctx, struct rpc_conn *c, struct blob *blob, const struct rpc_frame *frames,
                   unsigned count);
    /* Once, when nothing will be read any more and nothing can be queued; why as it was ended. */
    void (*closed)(void *ctx, struct rpc_conn *c, db_err err, const char *text);
};

/* Takes the pipe in every case; one reference is the caller's. Nothing is read yet. NULL when
 * memory is out. */
struct rpc_conn *rpc_conn_new(struct rpc_pipe *pipe, const struct rpc_conn_ops *ops, void *ctx,
                              size_t queue_max);
/* Begins to read. Once. */
void rpc_conn_start(struct rpc_conn *c);
struct rpc_conn *rpc_conn_ref(struct rpc_conn *c); /* returns it */
void rpc_conn_unref(struct rpc_conn *c);           /* NULL is fine */

/* The first frames have been exchanged: frames of this size are welcome now. */
void rpc_conn_open(struct rpc_conn *c, size_t frame_max);
bool rpc_conn_is_open(const struct rpc_conn *c);
/* Ends it; the first reason counts. Any thread; `closed` may be called from within. */
void rpc_conn_close(struct rpc_conn *c, db_err err, const char *text);
/* After `frames` has returned false. */
void rpc_conn_resume(struct rpc_conn *c);

/* Queues a frame and sees to it that it is written: size and header_size of the head are filled in.
 * *ret_end (may be NULL): where the frame ends in the sequence of all bytes, see
 * rpc_conn_submitted; set before the frame can be written. Never parks.
 * ERR_CLOSED; ERR_BUSY (the queue is full; not for urgent frames); ERR_LIMIT (larger than
 * frame_max); ERR_NOMEM. Then nothing was queued. */
MUST_USE db_err rpc_conn_queue(struct rpc_conn *c, const struct rpc_frame_head *head,
                               struct slice header, const struct rpc_part *parts,
                               unsigned part_count, uint64_t *ret_end);
/* The same for a header in two pieces, and the choice to pass the queue's bound. */
MUST_USE db_err rpc_conn_queue2(struct rpc_conn *c, const struct rpc_frame_head *head,
                                struct slice header, struct slice header2,
                                const struct rpc_part *parts, unsigned part_count, bool urgent,
                                uint64_t *ret_end);
/* May the frame that ended at *end have been given to the network? *end may be set by a
 * rpc_conn_queue that runs now. After `closed` the answer is final. */
bool rpc_conn_submitted(struct rpc_conn *c, const uint64_t *end);
/* Parks until the queue is below its bound. ERR_CLOSED, ERR_TIMEOUT, ERR_CANCELED. */
MUST_USE db_err rpc_conn_wait_space(struct rpc_conn *c, uint64_t deadline_ns);
size_t rpc_conn_queued(struct rpc_conn *c); /* bytes not written yet */

/* The clockwork of an open connection: pings after ping_ms of silence, ends it after dead_ms. */
void rpc_conn_tick(struct rpc_conn *c, uint64_t now_ns, const struct rpc_timing *timing);
const struct rpc_pipe *rpc_conn_pipe(const struct rpc_conn *c); /* its names and addresses */
/* From `frames`: what comes in is read on this loop before long, if the transport can do that. */
void rpc_conn_move(struct rpc_conn *c, struct loop *loop);

/* Reads a received message out of the read buffer: a small one is copied to a blob of its own, of a
 * large one the blob is shared. ERR_NOMEM. */
MUST_USE db_err rpc_msg_take(struct blob *blob, struct slice header, struct slice payload,
                             struct rpc_msg *ret_msg);

/* ms until a deadline, for a frame: 0 none, at least 1. */
uint32_t rpc_deadline_to_ms(uint64_t deadline_ns);
uint64_t rpc_deadline_of_ms(uint32_t ms);

/* Counts what must be over before an object can go. */
struct rpc_latch {
    pthread_mutex_t lock;
    pthread_cond_t zero;
    unsigned count;
    struct waiter *waiter;
};
void rpc_latch_init(struct rpc_latch *l, unsigned count);
void rpc_latch_enter(struct rpc_latch *l);
void rpc_latch_leave(struct rpc_latch *l); /* the object may be gone afterwards */
/* Waits for zero: a fiber parks, a thread blocks. Then nobody touches the latch any more. */
void rpc_latch_wait(struct rpc_latch *l);
void rpc_latch_fini(struct rpc_latch *l);

#endif
