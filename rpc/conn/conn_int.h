/* Private to rpc/conn: the two halves of a connection. */
#ifndef SKEIN_RPC_CONN_CONN_INT_H
#define SKEIN_RPC_CONN_CONN_INT_H

#include "base/list.h"
#include "rpc/conn/conn.h"

/* Bytes to be written: gathered copies, or borrowed from a blob. */
struct out_chunk {
    struct out_chunk *next;
    struct blob *owner; /* or NULL: the bytes follow */
    const uint8_t *data;
    size_t len;
    size_t cap; /* 0 with an owner */
};

struct rpc_conn {
    _Atomic uint32_t refs;
    struct rpc_pipe *pipe;
    const struct rpc_conn_ops *ops;
    void *ctx;
    size_t queue_max;
    _Atomic size_t frame_max;
    _Atomic bool open;
    _Atomic uint64_t heard_ns; /* something was read */
    uint64_t pinged_ns;        /* clockwork only: the last ping */
    uint64_t asked_ns;         /* clockwork only: the first ping since something was heard */

    pthread_mutex_t lock;
    /* Writer; guarded by lock. */
    struct out_chunk *out_first;
    struct out_chunk *out_last;
    struct out_chunk *spare;
    size_t out_offset;      /* of the first chunk: written already */
    size_t queued;          /* bytes in the chunks, not written yet */
    uint64_t end_offset;    /* of all that was ever queued */
    uint64_t submit_offset; /* of all that was ever given to the pipe */
    unsigned gathered;      /* frames since the last write began */
    uint64_t wrote_ns;      /* when the last write began */
    bool writing;
    bool flush_posted;    /* flush_task is on its way */
    _Atomic bool closing; /* set under the lock; the reader looks without it */
    bool end_reader;      /* the closer found the reader parked */
    db_err close_err;
    char close_text[RPC_ADDRESS_MAX + 160];
    struct list space_waiters;
    struct loop_task flush_task;

    /* Reader: by whoever reads; handed over under the lock. */
    bool started;      /* guarded by lock */
    bool read_parked;  /* guarded by lock */
    bool resume_early; /* guarded by lock: resumed before the reader had parked */
    bool read_ended;   /* guarded by lock */
    struct blob *in;
    size_t in_start; /* of what is not parsed yet */
    size_t in_end;
};

void conn__read(struct rpc_conn *c);
void conn__read_end(struct rpc_conn *c);
void conn__on_received(void *ctx, db_err err, size_t bytes);
void conn__on_sent(void *ctx, db_err err, size_t bytes);
void conn__drop_queue(struct rpc_conn *c);

#endif
