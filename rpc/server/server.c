/* Listener, connections, clockwork.
 *
 * A connection is counted in the server's latch until its last request has ended; the server goes
 * when the latch is at zero. One timer on the first loop looks at all connections: first frames
 * that do not come, silence. */
#include "rpc/server/server.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/scope.h"
#include "rpc/conn/limits.h"
#include "rpc/server/server_int.h"

enum { UNKNOWN_MAX_DEFAULT = 64, CONNECTIONS_MAX_DEFAULT = 4096 };

void server_conn__unref(struct server_conn *sc)
{
    if (atomic_fetch_sub(&sc->refs, 1) > 1) {
        return;
    }
    struct rpc_server *s = sc->server;
    rpc_conn_unref(sc->conn);
    hash_fini(&sc->requests);
    pthread_mutex_destroy(&sc->lock);
    mem_free(sc);
    rpc_latch_leave(&s->latch);
}

static void conn_closed(void *ctx, struct rpc_conn *c UNUSED, db_err err UNUSED, const char *text)
{
    struct server_conn *sc = ctx;
    struct rpc_server *s = sc->server;
    pthread_mutex_lock(&s->lock);
    list_remove(&sc->link);
    s->conn_count--;
    s->unknown_count -= sc->open ? 0 : 1;
    server__forget_node(s, sc);
    pthread_mutex_unlock(&s->lock);
    if (sc->open) {
        LOG_DEBUG("rpc.server.closed", F_U64("node", sc->info.node), F_STR("reason", text));
    }
    server__cancel_all(sc, text);
    server_conn__unref(sc);
}

static const struct rpc_conn_ops g_conn_ops = {server__on_frames, conn_closed};

static void on_accepted(void *ctx, struct rpc_pipe *pipe)
{
    struct rpc_server *s = ctx;
    struct server_conn *sc = mem_calloc(1, sizeof(*sc));
    struct rpc_conn *c = sc == NULL ? NULL : rpc_conn_new(pipe, &g_conn_ops, sc, s->opts.queue_max);
    if (c == NULL) {
        if (sc == NULL) {
            rpc_pipe_close(pipe);
            rpc_pipe_free(pipe);
        }
        mem_free(sc);
        return;
    }
    sc->server = s;
    sc->conn = c;
    atomic_init(&sc->refs, 2); /* the connection's end; this call */
    list_init(&sc->link);
    pthread_mutex_init(&sc->lock, NULL);
    hash_init(&sc->requests);
    sc->loop = s->loops[atomic_fetch_add(&s->next_loop, 1) % s->opts.loop_count];
    sc->hello_until_ns = clock_mono_ns() + s->opts.timing.hello_ms * NS_PER_MS;
    rpc_latch_enter(&s->latch);
    pthread_mutex_lock(&s->lock);
    bool full = s->closing || s->unknown_count >= s->opts.unknown_max ||
                s->conn_count >= s->opts.connections_max;
    list_push_back(&s->conns, &sc->link);
    s->conn_count++;
    s->unknown_count++;
    pthread_mutex_unlock(&s->lock);
    if (full) {
        LOG_WARN("rpc.server.full", F_STR("peer", pipe->remote));
        rpc_conn_close(c, ERR_BUSY, "too many connections");
    }
    rpc_conn_start(c);
    server_conn__unref(sc);
}

/* --- clockwork --- */

/* Looks at one connection after the other without holding the lock meanwhile; those of a list that
 * changes may be looked at in the next round. end: ends them. False: no memory. */
static bool look_at_conns(struct rpc_server *s, bool end)
{
    struct server_conn **conns;
    size_t count = 0;
    pthread_mutex_lock(&s->lock);
    conns = mem_calloc(s->conn_count + 1, sizeof(*conns));
    LIST_FOREACH (n, &s->conns) {
        if (conns != NULL) {
            conns[count++] = CONTAINER_OF(n, struct server_conn, link);
            atomic_fetch_add(&conns[count - 1]->refs, 1);
        }
    }
    uint64_t now_ns = clock_mono_ns();
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < count; i++) {
        struct server_conn *sc = conns[i];
        pthread_mutex_lock(&s->lock);
        bool open = sc->open;
        pthread_mutex_unlock(&s->lock);
        if (end) {
            rpc_conn_close(sc->conn, ERR_CANCELED, "this node is stopping");
        } else if (open) {
            rpc_conn_tick(sc->conn, now_ns, &s->opts.timing);
        } else if (now_ns >= sc->hello_until_ns) {
            rpc_conn_close(sc->conn, ERR_TIMEOUT, "no hello in time");
        }
        server_conn__unref(sc);
    }
    mem_free(conns);
    return conns != NULL;
}

static void arm(struct rpc_server *s)
{
    db_err err = loop_timer_start(s->loops[0], &s->timer,
                                  clock_mono_ns() + s->opts.timing.tick_ms * NS_PER_MS);
    ASSERT(err == ERR_OK);
}

static void on_timer(struct loop_timer *timer)
{
    struct rpc_server *s = CONTAINER_OF(timer, struct rpc_server, timer);
    look_at_conns(s, false);
    arm(s);
}

static void on_start(struct loop_task *task)
{
    struct rpc_server *s = CONTAINER_OF(task, struct rpc_server, start_task);
    if (!s->stopped) {
        arm(s);
    }
    rpc_latch_leave(&s->latch);
}

static void on_stop(struct loop_task *task)
{
    struct rpc_server *s = CONTAINER_OF(task, struct rpc_server, stop_task);
    s->stopped = true;
    loop_timer_stop(s->loops[0], &s->timer);
    if (look_at_conns(s, true)) {
        rpc_latch_leave(&s->latch);
    } else {
        loop_post(s->loops[0], task); /* until there is memory */
    }
}

/* --- life --- */

static db_err echo(void *ctx UNUSED, struct rpc_request *req, struct diag *diag UNUSED)
{
    const struct rpc_msg *msg = rpc_request_msg(req);
    const struct rpc_part part = {msg->payload, msg->blob};
    return rpc_respond(req, msg->header, &part, 1);
}

db_err rpc_server_new(const struct rpc_server_opts *opts, struct rpc_server **ret_server)
{
    if (opts->loop_count == 0 || opts->identity.node == 0 || opts->identity.boot_id == 0) {
        return ERR_INVALID;
    }
    struct rpc_server *s = mem_calloc(1, sizeof(*s));
    struct loop **loops = mem_calloc(opts->loop_count, sizeof(*loops));
    _Atomic unsigned *waiting = mem_calloc(opts->loop_count, sizeof(*waiting));
    if (s == NULL || loops == NULL || waiting == NULL) {
        mem_free(s);
        mem_free(loops);
        mem_free((void *)waiting);
        return ERR_NOMEM;
    }
    memcpy(loops, opts->loops, opts->loop_count * sizeof(*loops));
    s->opts = *opts;
    s->loops = loops;
    s->waiting = waiting;
    s->opts.unknown_max = opts->unknown_max != 0 ? opts->unknown_max : UNKNOWN_MAX_DEFAULT;
    s->opts.connections_max =
        opts->connections_max != 0 ? opts->connections_max : CONNECTIONS_MAX_DEFAULT;
    s->opts.frame_max = opts->frame_max != 0 ? opts->frame_max : RPC_FRAME_MAX_DEFAULT;
    rpc_timing_defaults(&s->opts.timing);
    for (int i = 0; i < RPC_CLASS__COUNT; i++) {
        admission_init(&s->admission[i], (enum rpc_class)i, opts->requests_max[i],
                       opts->request_bytes_max[i]);
    }
    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->conns);
    hash_init(&s->nodes);
    s->start_task.fn = on_start;
    s->stop_task.fn = on_stop;
    loop_timer_init(&s->timer, on_timer);
    rpc_latch_init(&s->latch, 1); /* the stop task */
    rpc_server_handle_call(s, RPC_M_echo, echo, NULL);
    *ret_server = s;
    return ERR_OK;
}

static struct handler *handler_of(struct rpc_server *s, enum rpc_method m, enum rpc_kind kind)
{
    const struct rpc_method_info *info = rpc_method_info(m);
    ASSERT(info != NULL && info->kind == kind);
    ASSERT(s->listener == NULL);
    return &s->handlers[m];
}

void rpc_server_handle_oneway(struct rpc_server *s, enum rpc_method m, rpc_oneway_fn fn, void *ctx)
{
    *handler_of(s, m, RPC_ONEWAY) = (struct handler){.oneway = fn, .ctx = ctx};
}

void rpc_server_handle_oneway_direct(struct rpc_server *s, enum rpc_method m, rpc_oneway_fn fn,
                                     void *ctx)
{
    *handler_of(s, m, RPC_ONEWAY) = (struct handler){.oneway = fn, .direct = true, .ctx = ctx};
}

void rpc_server_handle_call(struct rpc_server *s, enum rpc_method m, rpc_call_fn fn, void *ctx)
{
    *handler_of(s, m, RPC_UNARY) = (struct handler){.call = fn, .ctx = ctx};
}

void rpc_server_handle_stream(struct rpc_server *s, enum rpc_method m, rpc_stream_fn fn, void *ctx)
{
    *handler_of(s, m, RPC_STREAM) = (struct handler){.stream = fn, .ctx = ctx};
}

db_err rpc_server_listen(struct rpc_server *s, struct diag *diag, uint16_t *ret_port)
{
    ASSERT(s->listener == NULL);
    const struct rpc_listen listen = {.address = s->opts.address,
                                      .loop = s->loops[0],
                                      .accepted = on_accepted,
                                      .ctx = s,
                                      .handshakes_max = s->opts.unknown_max};
    TRY(rpc_listen(s->opts.transport, &listen, diag, ret_port, &s->listener));
    rpc_latch_enter(&s->latch);
    loop_post(s->loops[0], &s->start_task);
    return ERR_OK;
}

void rpc_server_stop(struct rpc_server *s)
{
    if (s == NULL) {
        return;
    }
    rpc_listener_close(s->opts.transport, s->listener);
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_mutex_unlock(&s->lock);
    loop_post(s->loops[0], &s->stop_task);
    rpc_latch_wait(&s->latch);
    ASSERT(list_empty(&s->conns));
    hash_fini(&s->nodes);
    rpc_latch_fini(&s->latch);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->loops);
    mem_free((void *)s->waiting);
    mem_free(s);
}
