/* Life of a connection: references, its end, pings, and the latch.
 *
 * Three hold references: the owner (client link or server connection), the reader from start to its
 * end, and a write that is under way. The pipe is freed with the last one, when nothing of it can
 * be under way any more.
 *
 * The end: rpc_conn_close records the reason, refuses new frames, and closes the pipe; what is
 * under way then completes with an error. The reader notices, and it alone calls `closed`; a reader
 * that is parked (its owner has too much unhandled) is ended by the closer. */
#include "rpc/conn/conn.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/metrics.h"
#include "base/scope.h"
#include "rpc/conn/conn_int.h"
#include "rpc/conn/limits.h"

static const struct rpc_pipe_events g_events = {conn__on_sent, conn__on_received};

static void on_flush(struct loop_task *task);

struct rpc_conn *rpc_conn_new(struct rpc_pipe *pipe, const struct rpc_conn_ops *ops, void *ctx,
                              size_t queue_max)
{
    struct rpc_conn *c = mem_calloc(1, sizeof(*c));
    if (c == NULL) {
        rpc_pipe_close(pipe);
        rpc_pipe_free(pipe);
        return NULL;
    }
    atomic_init(&c->refs, 1);
    c->pipe = pipe;
    c->ops = ops;
    c->ctx = ctx;
    c->queue_max = queue_max != 0 ? queue_max : RPC_QUEUE_MAX_DEFAULT;
    atomic_init(&c->frame_max, RPC_FRAME_MAX_HELLO);
    atomic_init(&c->heard_ns, clock_mono_ns());
    pthread_mutex_init(&c->lock, NULL);
    list_init(&c->space_waiters);
    c->flush_task.fn = on_flush;
    rpc_pipe_attach(pipe, &g_events, c);
    metrics_add(METRIC_rpc_connections, 1);
    return c;
}

struct rpc_conn *rpc_conn_ref(struct rpc_conn *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void rpc_conn_unref(struct rpc_conn *c)
{
    if (c == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) {
        return;
    }
    ASSERT(!c->writing);
    ASSERT(!c->started || c->read_ended);
    rpc_pipe_close(c->pipe);
    rpc_pipe_free(c->pipe);
    conn__drop_queue(c);
    blob_unref(c->in);
    pthread_mutex_destroy(&c->lock);
    metrics_sub(METRIC_rpc_connections, 1);
    mem_free(c);
}

void rpc_conn_move(struct rpc_conn *c, struct loop *loop)
{
    rpc_pipe_move(c->pipe, loop);
}

const struct rpc_pipe *rpc_conn_pipe(const struct rpc_conn *c)
{
    return c->pipe;
}

void rpc_conn_start(struct rpc_conn *c)
{
    pthread_mutex_lock(&c->lock);
    ASSERT(!c->started);
    c->started = true;
    rpc_conn_ref(c);
    pthread_mutex_unlock(&c->lock);
    conn__read(c);
}

void rpc_conn_open(struct rpc_conn *c, size_t frame_max)
{
    atomic_store(&c->frame_max, frame_max != 0 ? frame_max : RPC_FRAME_MAX_DEFAULT);
    atomic_store(&c->open, true);
}

bool rpc_conn_is_open(const struct rpc_conn *c)
{
    return atomic_load_explicit(&c->open, memory_order_relaxed);
}

struct space_waiter {
    struct list link;
    struct waiter waiter;
};

/* With the lock held. */
static void wake_space_waiters(struct rpc_conn *c)
{
    struct list *n;
    while ((n = list_pop_front(&c->space_waiters)) != NULL) {
        wait_signal(&CONTAINER_OF(n, struct space_waiter, link)->waiter, 0);
    }
}

/* With the lock held. Nothing is queued or written from now on; finish_close is to follow. */
static bool begin_close(struct rpc_conn *c, db_err err, const char *text)
{
    if (c->closing) {
        return false;
    }
    atomic_store_explicit(&c->closing, true, memory_order_release);
    c->close_err = err;
    snprintf(c->close_text, sizeof(c->close_text), "%s", text);
    c->end_reader = c->read_parked;
    c->read_parked = false;
    wake_space_waiters(c);
    rpc_conn_ref(c);
    return true;
}

static void finish_close(struct rpc_conn *c)
{
    rpc_pipe_close(c->pipe);
    if (c->end_reader) {
        conn__read_end(c);
    }
    rpc_conn_unref(c);
}

/* With the lock held; gives it back. Returns err. */
static db_err close_locked(struct rpc_conn *c, db_err err, const char *text)
{
    bool first = begin_close(c, err, text);
    pthread_mutex_unlock(&c->lock);
    if (first) {
        finish_close(c);
    }
    return err;
}

void rpc_conn_close(struct rpc_conn *c, db_err err, const char *text)
{
    pthread_mutex_lock(&c->lock);
    (void)close_locked(c, err, text);
}

db_err rpc_conn_wait_space(struct rpc_conn *c, uint64_t deadline_ns)
{
    struct space_waiter w;
    wait_init(&w.waiter);
    pthread_mutex_lock(&c->lock);
    if (c->closing || c->queued < c->queue_max) {
        db_err err = c->closing ? ERR_CLOSED : ERR_OK;
        pthread_mutex_unlock(&c->lock);
        return err;
    }
    list_push_back(&c->space_waiters, &w.link);
    pthread_mutex_unlock(&c->lock);
    db_err err = wait_block(&w.waiter, deadline_ns);
    if (err != ERR_OK) {
        pthread_mutex_lock(&c->lock);
        bool chosen = list_empty(&w.link);
        list_remove(&w.link);
        pthread_mutex_unlock(&c->lock);
        if (chosen) {
            wait_block_uncancelable(&w.waiter);
        }
    }
    return err;
}

/* --- writing --- */

static struct out_chunk *chunk_new(struct rpc_conn *c)
{
    struct out_chunk *k = c->spare;
    if (k != NULL) {
        c->spare = NULL;
    } else {
        k = mem_alloc(sizeof(*k) + RPC_OUT_CHUNK);
        if (k == NULL) {
            return NULL;
        }
    }
    *k = (struct out_chunk){.data = (const uint8_t *)(k + 1), .cap = RPC_OUT_CHUNK};
    return k;
}

static void chunk_done(struct rpc_conn *c, struct out_chunk *k)
{
    if (k->owner != NULL) {
        blob_unref(k->owner);
    } else if (c->spare == NULL) {
        c->spare = k;
        return;
    }
    mem_free(k);
}

void conn__drop_queue(struct rpc_conn *c)
{
    struct out_chunk *k;
    while ((k = c->out_first) != NULL) {
        c->out_first = k->next;
        chunk_done(c, k);
    }
    mem_free(c->spare);
    c->spare = NULL;
}

static void chunk_add(struct rpc_conn *c, struct out_chunk *k)
{
    if (c->out_last == NULL) {
        c->out_first = k;
    } else {
        c->out_last->next = k;
    }
    c->out_last = k;
}

/* Copies to the end of the queue. */
static db_err out_copy(struct rpc_conn *c, struct slice s)
{
    while (s.len > 0) {
        struct out_chunk *k = c->out_last;
        if (k == NULL || k->len >= k->cap) {
            k = chunk_new(c);
            if (k == NULL) {
                return ERR_NOMEM;
            }
            chunk_add(c, k);
        }
        size_t n = k->cap - k->len < s.len ? k->cap - k->len : s.len;
        memcpy((uint8_t *)(k + 1) + k->len, s.ptr, n);
        k->len += n;
        s = slice_from(s, n);
    }
    return ERR_OK;
}

static db_err out_part(struct rpc_conn *c, const struct rpc_part *part)
{
    if (part->owner == NULL || part->bytes.len < RPC_NO_COPY_MIN) {
        return out_copy(c, part->bytes);
    }
    struct out_chunk *k = mem_alloc(sizeof(*k));
    if (k == NULL) {
        return ERR_NOMEM;
    }
    *k = (struct out_chunk){
        .owner = blob_ref(part->owner), .data = part->bytes.ptr, .len = part->bytes.len};
    chunk_add(c, k);
    return ERR_OK;
}

/* Half a frame in the queue cannot be taken back while its first bytes may be under way: the end of
 * the connection. */
static db_err out_frame(struct rpc_conn *c, const struct rpc_frame_head *head, struct slice header,
                        struct slice header2, const struct rpc_part *parts, unsigned part_count)
{
    uint8_t bytes[RPC_FRAME_HEAD];
    rpc_frame_encode(head, bytes);
    TRY(out_copy(c, slice_of(bytes, sizeof(bytes))));
    TRY(out_copy(c, header));
    TRY(out_copy(c, header2));
    for (unsigned i = 0; i < part_count; i++) {
        TRY(out_part(c, &parts[i]));
    }
    return ERR_OK;
}

/* Takes n written bytes off the front. */
static void out_consume(struct rpc_conn *c, size_t n)
{
    ASSERT(n <= c->queued);
    c->queued -= n;
    while (n > 0) {
        struct out_chunk *k = c->out_first;
        size_t left = k->len - c->out_offset;
        if (n < left) {
            c->out_offset += n;
            break;
        }
        n -= left;
        c->out_offset = 0;
        c->out_first = k->next;
        if (k->next == NULL) {
            c->out_last = NULL;
        }
        chunk_done(c, k);
    }
    if (c->queued < c->queue_max / 2 + 1) {
        wake_space_waiters(c);
    }
}

static unsigned out_iov(struct rpc_conn *c, struct slice iov[RPC_IOV_MAX])
{
    unsigned count = 0;
    size_t skip = c->out_offset;
    for (struct out_chunk *k = c->out_first; k != NULL && count < RPC_IOV_MAX; k = k->next) {
        if (k->len > skip) {
            iov[count++] = slice_of(k->data + skip, k->len - skip);
        }
        skip = 0;
    }
    return count;
}

/* With the lock held and nobody writing: writes until the queue is empty or a write stays under
 * way. Gives the lock back. */
static void write_out(struct rpc_conn *c)
{
    ASSERT(!c->writing);
    while (!c->closing && c->queued > 0) {
        struct slice iov[RPC_IOV_MAX];
        unsigned count = out_iov(c, iov);
        size_t total = 0;
        for (unsigned i = 0; i < count; i++) {
            total += iov[i].len;
        }
        c->submit_offset = c->end_offset - c->queued + total;
        c->gathered = 0;
        c->wrote_ns = clock_mono_ns();
        c->writing = true;
        rpc_conn_ref(c);
        pthread_mutex_unlock(&c->lock);
        metrics_add(METRIC_rpc_writes, 1);
        struct rpc_io io;
        if (!rpc_pipe_send(c->pipe, iov, count, &io)) {
            return;
        }
        if (io.err != ERR_OK) {
            rpc_conn_close(c, ERR_CLOSED, "the connection broke");
        }
        pthread_mutex_lock(&c->lock);
        c->writing = false;
        out_consume(c, io.bytes);
        /* Not the last reference: the caller has one. */
        atomic_fetch_sub_explicit(&c->refs, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&c->lock);
}

void conn__on_sent(void *ctx, db_err err, size_t bytes)
{
    struct rpc_conn *c = ctx;
    if (err != ERR_OK) {
        rpc_conn_close(c, ERR_CLOSED, "the connection broke");
    }
    pthread_mutex_lock(&c->lock);
    c->writing = false;
    out_consume(c, bytes);
    write_out(c);
    rpc_conn_unref(c);
}

static void on_flush(struct loop_task *task)
{
    struct rpc_conn *c = CONTAINER_OF(task, struct rpc_conn, flush_task);
    pthread_mutex_lock(&c->lock);
    c->flush_posted = false;
    if (c->writing) {
        pthread_mutex_unlock(&c->lock);
    } else {
        write_out(c);
    }
    rpc_conn_unref(c);
}

/* Write now, or gather until the loop's turn ends? With the lock held; gives it back. */
static void flush(struct rpc_conn *c)
{
    struct loop *loop = loop_current();
    if (c->writing) {
        pthread_mutex_unlock(&c->lock);
        return;
    }
    if (loop == NULL || c->gathered >= RPC_GATHER_FRAMES || c->queued >= RPC_GATHER_BYTES ||
        clock_mono_ns() - c->wrote_ns > RPC_GATHER_NS) {
        write_out(c);
        return;
    }
    if (!c->flush_posted) {
        c->flush_posted = true;
        rpc_conn_ref(c);
        loop_at_turn_end(loop, &c->flush_task);
    }
    pthread_mutex_unlock(&c->lock);
}

db_err rpc_conn_queue2(struct rpc_conn *c, const struct rpc_frame_head *head, struct slice header,
                       struct slice header2, const struct rpc_part *parts, unsigned part_count,
                       bool urgent, uint64_t *ret_end)
{
    size_t size = RPC_FRAME_HEAD + header.len + header2.len;
    for (unsigned i = 0; i < part_count; i++) {
        size += parts[i].bytes.len;
    }
    size_t frame_max = atomic_load_explicit(&c->frame_max, memory_order_relaxed);
    if (size > frame_max) {
        return ERR_LIMIT;
    }
    struct rpc_frame_head h = *head;
    h.size = (uint32_t)size;
    h.header_size = (uint32_t)(header.len + header2.len);
    pthread_mutex_lock(&c->lock);
    if (c->closing || (!urgent && c->queued >= c->queue_max)) {
        db_err err = c->closing ? ERR_CLOSED : ERR_BUSY;
        pthread_mutex_unlock(&c->lock);
        return err;
    }
    if (c->queued >= c->queue_max + frame_max + c->queue_max) {
        return close_locked(c, ERR_CLOSED, "the other side asks and does not read");
    }
    if (out_frame(c, &h, header, header2, parts, part_count) != ERR_OK) {
        /* What was queued before may be lost with it, and its senders learn that by the close. */
        return close_locked(c, ERR_NOMEM, "out of memory");
    }
    c->queued += size;
    c->end_offset += size;
    c->gathered++;
    if (ret_end != NULL) {
        *ret_end = c->end_offset;
    }
    flush(c);
    metrics_add(METRIC_rpc_frames_sent, 1);
    metrics_add(METRIC_rpc_bytes_sent, size);
    return ERR_OK;
}

db_err rpc_conn_queue(struct rpc_conn *c, const struct rpc_frame_head *head, struct slice header,
                      const struct rpc_part *parts, unsigned part_count, uint64_t *ret_end)
{
    return rpc_conn_queue2(c, head, header, SLICE_EMPTY, parts, part_count, false, ret_end);
}

bool rpc_conn_submitted(struct rpc_conn *c, const uint64_t *end)
{
    SCOPE_LOCK(&c->lock);
    /* A frame of which only a part was given away was not executed. */
    return *end <= c->submit_offset;
}

size_t rpc_conn_queued(struct rpc_conn *c)
{
    SCOPE_LOCK(&c->lock);
    return c->queued;
}

/* --- clockwork --- */

void rpc_conn_tick(struct rpc_conn *c, uint64_t now_ns, const struct rpc_timing *timing)
{
    uint64_t heard_ns = atomic_load_explicit(&c->heard_ns, memory_order_relaxed);
    uint64_t silent_ns = now_ns > heard_ns ? now_ns - heard_ns : 0;
    if (silent_ns < timing->ping_ms * NS_PER_MS) {
        return;
    }
    if (c->asked_ns <= heard_ns) {
        c->asked_ns = c->pinged_ns = now_ns; /* the first ping of this silence */
    } else if (silent_ns >= timing->dead_ms * NS_PER_MS &&
               now_ns - c->asked_ns >= timing->ping_ms * NS_PER_MS) {
        /* The second condition is for a clockwork that was late itself. */
        char text[96];
        snprintf(text, sizeof(text), "nothing was heard for %llu ms",
                 (unsigned long long)(silent_ns / NS_PER_MS));
        metrics_add(METRIC_rpc_dead, 1);
        rpc_conn_close(c, ERR_TIMEOUT, text);
        return;
    } else if (now_ns - c->pinged_ns < timing->ping_ms * NS_PER_MS) {
        return;
    }
    c->pinged_ns = now_ns;
    const struct rpc_frame_head ping = {.type = RPC_FRAME_PING};
    db_err err = rpc_conn_queue2(c, &ping, SLICE_EMPTY, SLICE_EMPTY, NULL, 0, true, NULL);
    (void)err; /* the end of the connection is noticed elsewhere */
}

uint32_t rpc_deadline_to_ms(uint64_t deadline_ns)
{
    if (deadline_ns == DEADLINE_NONE) {
        return 0;
    }
    uint64_t now_ns = clock_mono_ns();
    uint64_t ms = deadline_ns > now_ns ? (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 1;
    return ms == 0 ? 1 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

uint64_t rpc_deadline_of_ms(uint32_t ms)
{
    return ms == 0 ? DEADLINE_NONE : clock_mono_ns() + ms * NS_PER_MS;
}

/* --- latch --- */

void rpc_latch_init(struct rpc_latch *l, unsigned count)
{
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->zero, NULL);
    l->count = count;
    l->waiter = NULL;
}

void rpc_latch_enter(struct rpc_latch *l)
{
    SCOPE_LOCK(&l->lock);
    l->count++;
}

void rpc_latch_leave(struct rpc_latch *l)
{
    pthread_mutex_lock(&l->lock);
    ASSERT(l->count > 0);
    l->count--;
    struct waiter *w = NULL;
    if (l->count == 0) {
        w = l->waiter;
        l->waiter = NULL;
        pthread_cond_broadcast(&l->zero);
    }
    pthread_mutex_unlock(&l->lock);
    if (w != NULL) {
        wait_signal(w, 0);
    }
}

void rpc_latch_wait(struct rpc_latch *l)
{
    pthread_mutex_lock(&l->lock);
    if (l->count == 0) {
        pthread_mutex_unlock(&l->lock);
        return;
    }
    if (fiber_self() != NULL) {
        struct waiter w;
        wait_init(&w);
        ASSERT(l->waiter == NULL);
        l->waiter = &w;
        pthread_mutex_unlock(&l->lock);
        wait_block_uncancelable(&w);
        return;
    }
    while (l->count > 0) {
        pthread_cond_wait(&l->zero, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
}

void rpc_latch_fini(struct rpc_latch *l)
{
    pthread_cond_destroy(&l->zero);
    pthread_mutex_destroy(&l->lock);
}
