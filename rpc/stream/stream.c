/* Streams with credit.
 *
 * Credit. Each chunk costs its bytes and a fixed charge (so that a window cannot be filled with
 * millions of empty chunks). A writer starts with a window of credit; the reader gives back what it
 * has consumed in steps of a quarter window. A writer that sends more than it was granted breaks
 * the protocol and the stream is aborted.
 *
 * Ends. END closes one direction. DONE, from the serving side, carries the handler's error and is
 * the end of all; what the handler had written before it can still be read. ABORT, from either
 * side, ends both directions at once and drops what is not read yet.
 *
 * Locking. Frames come in on the connection's reading thread, the fibers run on loops of their own:
 * one mutex per stream, held for a few instructions, never across a wait. A waiter is signalled
 * under it, so that a fiber whose wait was broken off can tell under it whether a signal is still
 * to come. */
#include "rpc/stream/stream.h"

#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber.h"
#include "base/list.h"
#include "base/scope.h"
#include "rpc/stream/endpoint.h"

enum { CHUNK_CHARGE = 64, CREDIT_STEP = RPC_STREAM_WINDOW / 4 };

struct chunk {
    struct list link;
    struct rpc_msg msg;
    uint32_t charge;
};

struct rpc_stream {
    _Atomic uint32_t refs;
    struct rpc_conn *conn;
    uint64_t id;
    bool opener;
    void (*forget)(void *ctx, uint64_t id);
    void *forget_ctx;
    uint32_t to_return; /* reader's: charge of the chunk it holds now */

    pthread_mutex_t lock; /* guards the rest */
    struct list chunks;
    int64_t granted;   /* what the other side may still send us */
    int64_t credit;    /* what we may still send */
    uint32_t consumed; /* not given back yet */
    struct waiter *reader;
    struct waiter *writer;
    bool read_end;  /* the other side has ended its direction */
    bool write_end; /* we have */
    bool done;      /* DONE was received or sent */
    bool forgotten;
    db_err err; /* of the whole stream: aborted, lost, handler failed */
    struct diag diag;
};

struct rpc_stream *rpc_stream_new(struct rpc_conn *conn, uint64_t id, bool opener,
                                  void (*forget)(void *ctx, uint64_t id), void *ctx)
{
    struct rpc_stream *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    atomic_init(&s->refs, 1);
    s->conn = rpc_conn_ref(conn);
    s->id = id;
    s->opener = opener;
    s->forget = forget;
    s->forget_ctx = ctx;
    s->granted = RPC_STREAM_WINDOW;
    s->credit = RPC_STREAM_WINDOW;
    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->chunks);
    return s;
}

void rpc_stream_set_id(struct rpc_stream *s, uint64_t id)
{
    s->id = id;
}

struct rpc_stream *rpc_stream_ref(struct rpc_stream *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void drop_chunks(struct rpc_stream *s)
{
    struct list *n;
    while ((n = list_pop_front(&s->chunks)) != NULL) {
        struct chunk *k = CONTAINER_OF(n, struct chunk, link);
        rpc_msg_release(&k->msg);
        mem_free(k);
    }
}

void rpc_stream_unref(struct rpc_stream *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        drop_chunks(s);
        rpc_conn_unref(s->conn);
        pthread_mutex_destroy(&s->lock);
        mem_free(s);
    }
}

/* --- with the lock held --- */

static void wake(struct waiter **slot)
{
    struct waiter *w = *slot;
    *slot = NULL;
    if (w != NULL) {
        wait_signal(w, 0);
    }
}

static void fail(struct rpc_stream *s, db_err err, const struct diag *diag)
{
    if (s->err == ERR_OK) {
        s->err = err;
        if (diag != NULL && diag->err != ERR_OK) {
            s->diag = *diag;
        } else {
            diag_set(&s->diag, err, "%s", err_text(err));
        }
    }
    wake(&s->reader);
    wake(&s->writer);
}

static db_err stream_error(struct rpc_stream *s, struct diag *diag)
{
    if (s->err != ERR_OK && diag != NULL) {
        *diag = s->diag;
    }
    return s->err;
}

/* Waits until *slot is woken; gives the lock back and takes it again. */
static db_err wait_on(struct rpc_stream *s, struct waiter **slot)
{
    struct waiter w;
    wait_init(&w);
    ASSERT(*slot == NULL);
    *slot = &w;
    pthread_mutex_unlock(&s->lock);
    db_err err = wait_block(&w, DEADLINE_NONE);
    pthread_mutex_lock(&s->lock);
    if (err != ERR_OK && *slot == &w) {
        *slot = NULL;
    } else if (err != ERR_OK) {
        /* Signalled under the lock: it has come. */
        wait_block_uncancelable(&w);
    }
    return err;
}

/* --- sending --- */

static db_err send_frame(struct rpc_stream *s, uint8_t type, uint32_t arg, struct slice header)
{
    const struct rpc_frame_head head = {.type = type, .id = s->id, .arg = arg};
    return rpc_conn_queue2(s->conn, &head, header, SLICE_EMPTY, NULL, 0, true, NULL);
}

static void send_error(struct rpc_stream *s, uint8_t type, db_err err, const struct diag *diag)
{
    uint8_t block[RPC_ERROR_BLOCK_MAX];
    size_t len = rpc_error_encode(err, diag, block);
    db_err sent = send_frame(s, type, 0, slice_of(block, len));
    (void)sent; /* then the connection is gone, and the other side knows */
}

static void forget(struct rpc_stream *s)
{
    pthread_mutex_lock(&s->lock);
    bool first = !s->forgotten;
    s->forgotten = true;
    pthread_mutex_unlock(&s->lock);
    if (first && s->forget != NULL) {
        s->forget(s->forget_ctx, s->id);
    }
}

db_err rpc_stream_write(struct rpc_stream *s, struct slice header, const struct rpc_part *parts,
                        unsigned part_count, struct diag *diag)
{
    size_t size = header.len;
    for (unsigned i = 0; i < part_count; i++) {
        size += parts[i].bytes.len;
    }
    if (size > RPC_STREAM_CHUNK_MAX) {
        return diag_set(diag, ERR_LIMIT, "a chunk of %zu bytes, more than %d", size,
                        RPC_STREAM_CHUNK_MAX);
    }
    int64_t charge = (int64_t)size + CHUNK_CHARGE;
    pthread_mutex_lock(&s->lock);
    ASSERT(!s->write_end);
    db_err err = stream_error(s, diag);
    while (err == ERR_OK && s->credit < charge && !s->done) {
        err = wait_on(s, &s->writer);
        /* What ended the stream tells more than that somebody cancelled us because of it. */
        err = s->err != ERR_OK ? stream_error(s, diag) : err;
    }
    bool ended = err == ERR_OK && s->done;
    if (err == ERR_OK && !ended) {
        s->credit -= charge;
    }
    pthread_mutex_unlock(&s->lock);
    if (ended) {
        return diag_set(diag, ERR_CLOSED, "the other side has ended the stream");
    }
    const struct rpc_frame_head head = {.type = RPC_FRAME_STREAM_DATA, .id = s->id};
    while (err == ERR_OK) {
        err = rpc_conn_queue(s->conn, &head, header, parts, part_count, NULL);
        if (err != ERR_BUSY) {
            break;
        }
        err = rpc_conn_wait_space(s->conn, DEADLINE_NONE);
        if (err == ERR_TIMEOUT || err == ERR_CANCELED) {
            SCOPE_LOCK(&s->lock);
            s->credit += charge; /* nothing was sent */
            err = s->err != ERR_OK ? stream_error(s, diag) : err;
        }
    }
    if (err == ERR_CLOSED) {
        SCOPE_LOCK(&s->lock);
        /* The connection's; it may not have told the stream yet. */
        err = s->err != ERR_OK ? stream_error(s, diag)
                               : diag_set(diag, ERR_OUTCOME_UNKNOWN, "the connection was lost");
    }
    return err;
}

void rpc_stream_end(struct rpc_stream *s)
{
    pthread_mutex_lock(&s->lock);
    bool send = !s->write_end && s->err == ERR_OK && !s->done;
    s->write_end = true;
    pthread_mutex_unlock(&s->lock);
    if (send) {
        db_err err = send_frame(s, RPC_FRAME_STREAM_END, 0, SLICE_EMPTY);
        (void)err; /* the reader of the connection tells */
    }
}

/* --- reading --- */

/* With the lock held: credit that is to be given back now. */
static uint32_t take_credit(struct rpc_stream *s)
{
    s->consumed += s->to_return;
    s->to_return = 0;
    if (s->consumed < CREDIT_STEP || s->read_end || s->err != ERR_OK) {
        return 0;
    }
    uint32_t credit = s->consumed;
    s->consumed = 0;
    s->granted += credit;
    return credit;
}

static void give_credit(struct rpc_stream *s, uint32_t credit)
{
    if (credit > 0) {
        db_err err = send_frame(s, RPC_FRAME_STREAM_CREDIT, credit, SLICE_EMPTY);
        (void)err; /* the reader of the connection tells */
    }
}

db_err rpc_stream_read(struct rpc_stream *s, struct diag *diag, struct rpc_msg *ret_chunk,
                       bool *ret_end)
{
    pthread_mutex_lock(&s->lock);
    uint32_t credit = take_credit(s);
    if (credit > 0) {
        pthread_mutex_unlock(&s->lock);
        give_credit(s, credit);
        pthread_mutex_lock(&s->lock);
    }
    db_err err = ERR_OK;
    while (err == ERR_OK && list_empty(&s->chunks) && !s->read_end && s->err == ERR_OK) {
        err = wait_on(s, &s->reader);
    }
    struct chunk *k = NULL;
    if (!list_empty(&s->chunks)) {
        k = CONTAINER_OF(list_pop_front(&s->chunks), struct chunk, link);
        s->to_return = k->charge;
        err = ERR_OK;
    } else if (s->err != ERR_OK) {
        err = stream_error(s, diag);
    } else if (s->read_end) {
        err = ERR_OK;
    }
    pthread_mutex_unlock(&s->lock);
    if (err == ERR_OK) {
        *ret_end = k == NULL;
        *ret_chunk = k != NULL ? k->msg : (struct rpc_msg){0};
    }
    mem_free(k);
    return err;
}

db_err rpc_stream_finish(struct rpc_stream *s, struct diag *diag)
{
    ASSERT(s->opener);
    rpc_stream_end(s);
    pthread_mutex_lock(&s->lock);
    db_err err = ERR_OK;
    while (err == ERR_OK && !s->done && s->err == ERR_OK) {
        struct list *n = list_pop_front(&s->chunks);
        if (n == NULL) {
            err = wait_on(s, &s->reader);
            continue;
        }
        struct chunk *k = CONTAINER_OF(n, struct chunk, link);
        s->to_return = k->charge;
        uint32_t credit = take_credit(s);
        pthread_mutex_unlock(&s->lock);
        rpc_msg_release(&k->msg);
        mem_free(k);
        give_credit(s, credit);
        pthread_mutex_lock(&s->lock);
    }
    if (s->done || s->err != ERR_OK) {
        err = stream_error(s, diag);
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

/* --- ends --- */

void rpc_stream_abort(struct rpc_stream *s, db_err err, const char *text)
{
    struct diag diag;
    diag_set(&diag, err, "%s", text);
    pthread_mutex_lock(&s->lock);
    bool send = s->err == ERR_OK && !s->done;
    fail(s, err, &diag);
    drop_chunks(s);
    pthread_mutex_unlock(&s->lock);
    if (send) {
        send_error(s, RPC_FRAME_STREAM_ABORT, err, &diag);
    }
    forget(s);
}

void rpc_stream_free(struct rpc_stream *s)
{
    if (s != NULL) {
        rpc_stream_abort(s, ERR_CANCELED, "the stream was given up");
        rpc_stream_unref(s);
    }
}

void rpc_stream_lost(struct rpc_stream *s, db_err err, const char *text)
{
    struct diag diag;
    diag_set(&diag, err, "%s", text);
    SCOPE_LOCK(&s->lock);
    s->forgotten = true;
    if (!s->done) {
        fail(s, err, &diag);
    }
}

void rpc_stream_done(struct rpc_stream *s, db_err err, const struct diag *diag)
{
    pthread_mutex_lock(&s->lock);
    bool send = s->err == ERR_OK;
    s->done = true;
    s->write_end = true;
    fail(s, ERR_CLOSED, NULL);
    drop_chunks(s);
    pthread_mutex_unlock(&s->lock);
    if (send) {
        send_error(s, RPC_FRAME_STREAM_DONE, err, diag);
    }
    forget(s);
}

/* --- frames --- */

static void on_data(struct rpc_stream *s, struct blob *blob, const struct rpc_frame *frame)
{
    struct chunk *k = mem_calloc(1, sizeof(*k));
    if (k == NULL || rpc_msg_take(blob, frame->header, frame->payload, &k->msg) != ERR_OK) {
        mem_free(k);
        rpc_stream_abort(s, ERR_NOMEM, "out of memory");
        return;
    }
    k->charge = (uint32_t)(frame->header.len + frame->payload.len) + CHUNK_CHARGE;
    pthread_mutex_lock(&s->lock);
    bool over = k->charge > s->granted;
    bool keep = !over && s->err == ERR_OK && !s->read_end;
    if (keep) {
        s->granted -= k->charge;
        list_push_back(&s->chunks, &k->link);
        wake(&s->reader);
    }
    pthread_mutex_unlock(&s->lock);
    if (!keep) {
        rpc_msg_release(&k->msg);
        mem_free(k);
    }
    if (over) {
        rpc_stream_abort(s, ERR_CORRUPT, "more was sent than there was credit for");
    }
}

/* DONE and ABORT. */
static void on_ended(struct rpc_stream *s, const struct rpc_frame *frame)
{
    struct diag diag;
    diag_reset(&diag);
    db_err err;
    struct slice rest;
    if (rpc_error_decode(frame->header, &diag, &err, &rest) != ERR_OK) {
        err = diag_set(&diag, ERR_CORRUPT, "a stream's end that is not sound");
    }
    SCOPE_LOCK(&s->lock);
    if (frame->head.type == RPC_FRAME_STREAM_DONE) {
        s->done = true;
        s->read_end = true;
    } else {
        drop_chunks(s);
        err = err == ERR_OK ? ERR_CANCELED : err;
    }
    if (err != ERR_OK) {
        fail(s, err, &diag);
    }
    wake(&s->reader);
    wake(&s->writer);
    s->forgotten = true;
}

bool rpc_stream_on_frame(struct rpc_stream *s, struct blob *blob, const struct rpc_frame *frame)
{
    switch ((int)frame->head.type) {
    case RPC_FRAME_STREAM_DATA: on_data(s, blob, frame); return false;
    case RPC_FRAME_STREAM_CREDIT: {
        SCOPE_LOCK(&s->lock);
        s->credit += frame->head.arg;
        if (s->credit > RPC_STREAM_WINDOW) {
            s->credit = RPC_STREAM_WINDOW;
        }
        wake(&s->writer);
        return false;
    }
    case RPC_FRAME_STREAM_END: {
        SCOPE_LOCK(&s->lock);
        s->read_end = true;
        wake(&s->reader);
        return false;
    }
    default: on_ended(s, frame); return true;
    }
}
