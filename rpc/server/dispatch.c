/* From frames to handlers.
 *
 * The reading thread only sorts: one-way messages of a read go to the connection's loop as one
 * batch, in order, but for those whose handler may be called where they are read; each call or
 * stream becomes a request in the connection's table and goes to one of the server's loops, the
 * same one as before while it keeps up. Cancellations and frames of streams act at once.
 *
 * A loop that does not keep up: after RPC_BATCHES_MAX unhandled batches nothing more is read from
 * the connection until one was handled. Requests are bounded by admission.
 *
 * A request ends in its own fiber, which takes it out of the table; until then the table's lock
 * guarantees that the fiber lives, so that it can be cancelled. */
#include <inttypes.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/metrics.h"
#include "base/scope.h"
#include "rpc/conn/limits.h"
#include "rpc/server/server.h"
#include "rpc/server/server_int.h"

#define ARENA_MAX (256ull * 1024 * 1024)

/* --- one-way messages --- */

struct batch {
    struct loop_task task;
    struct server_conn *sc;
    struct blob *blob;
    unsigned count;
    struct rpc_frame frames[];
};

static void run_batch(struct loop_task *task)
{
    struct batch *b = CONTAINER_OF(task, struct batch, task);
    struct server_conn *sc = b->sc;
    for (unsigned i = 0; i < b->count; i++) {
        const struct rpc_frame *f = &b->frames[i];
        const struct handler *h = &sc->server->handlers[f->head.method];
        const struct rpc_msg msg = {f->header, f->payload, b->blob};
        h->oneway(h->ctx, &sc->info, &msg);
    }
    blob_unref(b->blob);
    mem_free(b);
    pthread_mutex_lock(&sc->lock);
    sc->batches--;
    bool resume = sc->parked;
    sc->parked = false;
    pthread_mutex_unlock(&sc->lock);
    if (resume) {
        rpc_conn_resume(sc->conn);
    }
    server_conn__unref(sc);
}

/* False: no memory. */
static bool add_oneway(struct server_conn *sc, struct batch **inout_batch, struct blob *blob,
                       const struct rpc_frame *f, unsigned room)
{
    const struct rpc_method_info *m = rpc_method_info(f->head.method);
    if (m == NULL || m->kind != RPC_ONEWAY || sc->server->handlers[f->head.method].oneway == NULL ||
        (m->callers & 1u << sc->info.kind) == 0) {
        metrics_add(METRIC_rpc_oneway_dropped, 1);
        return true;
    }
    const struct handler *h = &sc->server->handlers[f->head.method];
    if (h->direct) {
        const struct rpc_msg msg = {f->header, f->payload, blob};
        h->oneway(h->ctx, &sc->info, &msg);
        return true;
    }
    struct batch *b = *inout_batch;
    if (b == NULL) {
        b = mem_alloc(sizeof(*b) + room * sizeof(b->frames[0]));
        if (b == NULL) {
            return false;
        }
        b->task.fn = run_batch;
        b->sc = sc;
        b->blob = blob_ref(blob);
        b->count = 0;
        *inout_batch = b;
    }
    b->frames[b->count++] = *f;
    return true;
}

/* True: go on reading. */
static bool post_batch(struct server_conn *sc, struct batch *b)
{
    atomic_fetch_add(&sc->refs, 1);
    pthread_mutex_lock(&sc->lock);
    sc->batches++;
    bool more = sc->batches < RPC_BATCHES_MAX;
    sc->parked = !more;
    pthread_mutex_unlock(&sc->lock);
    loop_post(sc->loop, &b->task);
    return more;
}

/* --- requests --- */

static db_err send_reply(struct server_conn *sc, uint64_t id, db_err err, const struct diag *diag,
                         struct slice header, const struct rpc_part *parts, unsigned part_count,
                         bool urgent)
{
    struct rpc_frame_head head = {.type = RPC_FRAME_REPLY, .id = id};
    uint8_t block[RPC_ERROR_BLOCK_MAX];
    if (err == ERR_OK) {
        return rpc_conn_queue2(sc->conn, &head, header, SLICE_EMPTY, parts, part_count, urgent,
                               NULL);
    }
    head.flags = RPC_FLAG_ERROR;
    size_t len = rpc_error_encode(err, diag, block);
    return rpc_conn_queue2(sc->conn, &head, slice_of(block, len), header, NULL, 0, urgent, NULL);
}

const struct rpc_peer_info *rpc_request_peer(const struct rpc_request *req)
{
    return &req->sc->info;
}

const struct rpc_msg *rpc_request_msg(const struct rpc_request *req)
{
    return &req->msg;
}

struct arena *rpc_request_arena(struct rpc_request *req)
{
    return &req->arena;
}

void rpc_request_set_error_header(struct rpc_request *req, struct slice header)
{
    req->error_header = header;
}

db_err rpc_respond(struct rpc_request *req, struct slice header, const struct rpc_part *parts,
                   unsigned part_count)
{
    ASSERT(!req->responded);
    db_err err;
    for (;;) {
        err = send_reply(req->sc, req->id, ERR_OK, NULL, header, parts, part_count, false);
        if (err != ERR_BUSY) {
            break;
        }
        err = rpc_conn_wait_space(req->sc->conn, DEADLINE_NONE);
        if (err != ERR_OK) {
            break;
        }
    }
    if (err == ERR_OK) {
        req->responded = true;
    }
    return err;
}

static void answer(struct rpc_request *req, db_err err, const struct diag *diag)
{
    if (req->responded) {
        return;
    }
    struct diag own;
    if (err == ERR_OK) {
        err = diag_set(&own, ERR_UNSUPPORTED, "the service gave no answer");
        diag = &own;
    }
    db_err sent = send_reply(req->sc, req->id, err, diag, req->error_header, NULL, 0, true);
    (void)sent; /* the caller has gone */
}

static void request_free(struct rpc_request *req)
{
    struct server_conn *sc = req->sc;
    admission_leave(&sc->server->admission[sc->info.class], req->bytes);
    arena_fini(&req->arena);
    rpc_msg_release(&req->msg);
    if (req->stream != NULL) {
        rpc_stream_unref(req->stream);
    }
    mem_free(req);
    server_conn__unref(sc);
}

static void request_take_out(struct rpc_request *req)
{
    SCOPE_LOCK(&req->sc->lock);
    hash_remove(&req->sc->requests, &req->by_id);
    req->fiber = NULL;
}

static void request_end(struct rpc_request *req, db_err err, struct diag *diag)
{
    request_take_out(req);
    if (req->stream != NULL) {
        rpc_stream_done(req->stream, err, diag);
    } else {
        answer(req, err, diag);
    }
    request_free(req);
}

static db_err run_handler(struct rpc_request *req, struct diag *diag)
{
    const struct handler *h = &req->sc->server->handlers[req->method];
    if (clock_mono_ns() >= req->deadline_ns) {
        return diag_set(diag, ERR_TIMEOUT, "the deadline passed before the request was begun");
    }
    if (req->stream != NULL) {
        return h->stream(h->ctx, &req->sc->info, req->msg.header, req->stream, diag);
    }
    return h->call(h->ctx, req, diag);
}

static void request_main(void *arg)
{
    struct rpc_request *req = arg;
    struct diag diag;
    diag_reset(&diag);
    pthread_mutex_lock(&req->sc->lock);
    req->fiber = fiber_self();
    bool canceled = req->canceled;
    pthread_mutex_unlock(&req->sc->lock);
    db_err err = ERR_CANCELED;
    if (!canceled) {
        fiber_set_deadline(req->deadline_ns);
        err = run_handler(req, &diag);
    }
    if (err != ERR_OK && diag.err == ERR_OK) {
        diag_set(&diag, err, "%s", err_text(err));
    }
    request_end(req, err, &diag);
}

static void request_begin(struct loop_task *task)
{
    struct rpc_request *req = CONTAINER_OF(task, struct rpc_request, task);
    atomic_fetch_sub_explicit(&req->sc->server->waiting[req->loop], 1, memory_order_relaxed);
    db_err err = fiber_spawn_now(request_main, req);
    if (err == ERR_OK) {
        return;
    }
    struct diag diag;
    diag_set(&diag, err, "no fiber for the request: %s", err_text(err));
    request_end(req, err, &diag);
}

static db_err request_allowed(struct server_conn *sc, const struct rpc_frame *f, struct diag *diag)
{
    const struct rpc_method_info *m = rpc_method_info(f->head.method);
    bool stream = f->head.type == RPC_FRAME_STREAM_OPEN;
    const struct handler *h = m != NULL ? &sc->server->handlers[f->head.method] : NULL;
    if (m == NULL || m->kind != (stream ? RPC_STREAM : RPC_UNARY) ||
        (stream ? h->stream == NULL : h->call == NULL)) {
        return diag_set(diag, ERR_UNSUPPORTED, "node %" PRIu64 " does not serve method %u%s%s",
                        sc->server->opts.identity.node, f->head.method, m != NULL ? " " : "",
                        m != NULL ? m->name : "");
    }
    if ((m->callers & 1u << sc->info.kind) == 0) {
        return diag_set(diag, ERR_INVALID, "%s is not for this kind of connection", m->name);
    }
    if (m->class != sc->info.class) {
        return diag_set(diag, ERR_INVALID, "%s goes over connections of class %s", m->name,
                        rpc_class_name(m->class));
    }
    return ERR_OK;
}

/* Into the table. ERR_EXISTS: the id is in use. */
static db_err request_enter(struct server_conn *sc, struct rpc_request *req)
{
    uint64_t hash = hash_u64(req->id);
    SCOPE_LOCK(&sc->lock);
    if (sc->closed) {
        return ERR_CLOSED;
    }
    for (struct hash_node *n = hash_first(&sc->requests, hash); n != NULL; n = hash_next(n)) {
        if (CONTAINER_OF(n, struct rpc_request, by_id)->id == req->id) {
            return ERR_EXISTS;
        }
    }
    return hash_insert(&sc->requests, &req->by_id, hash);
}

static db_err request_new(struct server_conn *sc, struct blob *blob, const struct rpc_frame *f,
                          struct diag *diag, struct rpc_request **ret_req)
{
    TRY(request_allowed(sc, f, diag));
    struct admission *a = &sc->server->admission[sc->info.class];
    if (!admission_enter(a, f->head.size)) {
        return diag_set(diag, ERR_BUSY, "node %" PRIu64 " has too many %s requests under way",
                        sc->server->opts.identity.node, rpc_class_name(sc->info.class));
    }
    struct rpc_request *req = mem_calloc(1, sizeof(*req));
    if (req == NULL) {
        admission_leave(a, f->head.size);
        return ERR_NOMEM;
    }
    atomic_fetch_add(&sc->refs, 1);
    req->task.fn = request_begin;
    req->sc = sc;
    req->id = f->head.id;
    req->method = f->head.method;
    req->bytes = f->head.size;
    req->deadline_ns = rpc_deadline_of_ms(f->head.arg);
    arena_init(&req->arena, NULL, NULL, ARENA_MAX);
    db_err err = rpc_msg_take(blob, f->header, f->payload, &req->msg);
    if (err == ERR_OK && f->head.type == RPC_FRAME_STREAM_OPEN) {
        req->stream = rpc_stream_new(sc->conn, req->id, false, NULL, NULL);
        err = req->stream == NULL ? ERR_NOMEM : ERR_OK;
    }
    err = err != ERR_OK ? err : request_enter(sc, req);
    if (err != ERR_OK) {
        request_free(req);
        return err;
    }
    *ret_req = req;
    return ERR_OK;
}

static void refuse(struct server_conn *sc, const struct rpc_frame *f, db_err err,
                   const struct diag *diag)
{
    db_err sent;
    if (f->head.type == RPC_FRAME_STREAM_OPEN) {
        uint8_t block[RPC_ERROR_BLOCK_MAX];
        size_t len = rpc_error_encode(err, diag, block);
        const struct rpc_frame_head head = {.type = RPC_FRAME_STREAM_ABORT, .id = f->head.id};
        sent = rpc_conn_queue2(sc->conn, &head, slice_of(block, len), SLICE_EMPTY, NULL, 0, true,
                               NULL);
    } else {
        sent = send_reply(sc, f->head.id, err, diag, SLICE_EMPTY, NULL, 0, true);
    }
    (void)sent; /* the connection has ended */
}

/* The same loop again as long as it keeps up: one that runs need not be woken. */
static unsigned choose_loop(struct rpc_server *s)
{
    unsigned n = s->opts.loop_count;
    unsigned i = atomic_load_explicit(&s->request_loop, memory_order_relaxed);
    struct loop *here = loop_current();
    for (unsigned k = 0; here != NULL && k < n; k++) { /* the one that has read it, best of all */
        i = s->loops[k] == here ? k : i;
    }
    for (unsigned k = 0; k < n; k++) {
        unsigned at = (i + k) % n;
        if (atomic_load_explicit(&s->waiting[at], memory_order_relaxed) < CALLS_PER_LOOP) {
            if (k != 0) {
                atomic_store_explicit(&s->request_loop, at, memory_order_relaxed);
            }
            return at;
        }
    }
    return atomic_fetch_add_explicit(&s->request_loop, 1, memory_order_relaxed) % n;
}

static void add_request(struct server_conn *sc, struct blob *blob, const struct rpc_frame *f)
{
    struct diag diag;
    diag_reset(&diag);
    struct rpc_request *req = NULL;
    db_err err = request_new(sc, blob, f, &diag, &req);
    if (err == ERR_OK) {
        req->loop = choose_loop(sc->server);
        atomic_fetch_add_explicit(&sc->server->waiting[req->loop], 1, memory_order_relaxed);
        loop_post(sc->server->loops[req->loop], &req->task);
    } else if (err == ERR_EXISTS) {
        rpc_conn_close(sc->conn, ERR_CORRUPT, "two requests with one id");
    } else {
        refuse(sc, f, err, &diag);
    }
}

void rpc_oneway_was_for(const struct rpc_peer_info *from, struct loop *loop)
{
    struct server_conn *sc = CONTAINER_OF(from, struct server_conn, info);
    if (loop == loop_current()) {
        sc->meant_count = 0;
        return;
    }
    sc->meant_count = loop == sc->meant ? sc->meant_count + 1 : 1;
    sc->meant = loop;
    if (sc->meant_count == MOVE_AFTER) {
        sc->meant_count = 0;
        rpc_conn_move(sc->conn, loop);
    }
}

/* --- cancellation and streams --- */

/* With the lock held. */
static struct rpc_request *find_request(struct server_conn *sc, uint64_t id)
{
    for (struct hash_node *n = hash_first(&sc->requests, hash_u64(id)); n != NULL;
         n = hash_next(n)) {
        struct rpc_request *req = CONTAINER_OF(n, struct rpc_request, by_id);
        if (req->id == id) {
            return req;
        }
    }
    return NULL;
}

/* With the lock held. */
static void cancel(struct rpc_request *req)
{
    req->canceled = true;
    if (req->fiber != NULL) {
        fiber_cancel(req->fiber);
    }
}

static void on_cancel(struct server_conn *sc, uint64_t id)
{
    SCOPE_LOCK(&sc->lock);
    struct rpc_request *req = find_request(sc, id);
    if (req != NULL) {
        cancel(req);
    }
}

void server__cancel_all(struct server_conn *sc, const char *text)
{
    SCOPE_LOCK(&sc->lock);
    sc->closed = true;
    HASH_FOREACH_SAFE(n, &sc->requests)
    {
        struct rpc_request *req = CONTAINER_OF(n, struct rpc_request, by_id);
        if (req->stream != NULL) {
            rpc_stream_lost(req->stream, ERR_OUTCOME_UNKNOWN, text);
        }
        cancel(req);
    }
}

static void on_stream_frame(struct server_conn *sc, struct blob *blob, const struct rpc_frame *f)
{
    pthread_mutex_lock(&sc->lock);
    struct rpc_request *req = find_request(sc, f->head.id);
    struct rpc_stream *s = req != NULL && req->stream != NULL ? rpc_stream_ref(req->stream) : NULL;
    pthread_mutex_unlock(&sc->lock);
    if (s == NULL) {
        return;
    }
    if (rpc_stream_on_frame(s, blob, f)) {
        on_cancel(sc, f->head.id);
    }
    rpc_stream_unref(s);
}

bool server__on_frames(void *ctx, struct rpc_conn *c, struct blob *blob,
                       const struct rpc_frame *frames, unsigned count)
{
    struct server_conn *sc = ctx;
    struct batch *batch = NULL;
    if (!sc->open) {
        server__hello(sc, &frames[0]);
        return true; /* before it is open frames come one by one */
    }
    for (unsigned i = 0; i < count; i++) {
        const struct rpc_frame *f = &frames[i];
        switch ((int)f->head.type) {
        case RPC_FRAME_ONEWAY:
            if (!add_oneway(sc, &batch, blob, f, count - i)) {
                metrics_add(METRIC_rpc_oneway_dropped, 1);
            }
            break;
        case RPC_FRAME_REQUEST:
        case RPC_FRAME_STREAM_OPEN: add_request(sc, blob, f); break;
        case RPC_FRAME_CANCEL: on_cancel(sc, f->head.id); break;
        case RPC_FRAME_STREAM_DATA:
        case RPC_FRAME_STREAM_CREDIT:
        case RPC_FRAME_STREAM_END:
        case RPC_FRAME_STREAM_ABORT: on_stream_frame(sc, blob, f); break;
        default: rpc_conn_close(c, ERR_CORRUPT, "a frame that clients do not send"); i = count;
        }
    }
    return batch == NULL || post_batch(sc, batch);
}
