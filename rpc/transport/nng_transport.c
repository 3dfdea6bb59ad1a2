/* TCP by NNG's byte streams (nng_stream_*), not its messaging sockets.
 *
 * Threads. NNG waits for sockets on a thread of its own and calls completions on a pool of others.
 * Nothing here takes a lock in a completion but for the list of attempts.
 *
 * Sending. NNG tries to write in the caller's thread as soon as it is asked; only when the socket
 * is full does it wait. But an operation with a completion function is always completed by way of
 * the thread pool, a wake-up and a hop per write. So a send is first tried with an operation that
 * has no completion function and is cancelled at once: either it was done, then its count is there,
 * or nothing of it was (NNG completes a write on the first byte), and it is given to the operation
 * that completes later. Receiving goes the same way: when more has arrived while the last bytes
 * were handled, which is the rule under load, the thread that is at it goes on.
 *
 * A small frame must not wait for the acknowledgement of the one before (Nagle's algorithm against
 * delayed acknowledgements: 40 ms): NNG's streams have that on unless told otherwise.
 *
 * Closing. An operation that is begun on a closed stream is never completed by NNG 1.5. So a pipe
 * knows that it was closed: what is begun then fails at once, and what was begun at the same moment
 * is cancelled. The look at the mark comes after NNG was given the operation, when its completion
 * may have made the owner free the pipe: a reference is held over it.
 *
 * Freeing. NNG's free functions wait for a running completion, so they may not be called from one,
 * and a loop should not wait at all: what is to be freed goes to one thread, the reaper. */
#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/list.h"
#include "base/scope.h"
#include "rpc/transport/transport.h"

enum { ACCEPT_PAUSE_MS = 100, URL_MAX = RPC_ADDRESS_MAX + 8 };

struct nng_transport {
    struct rpc_transport base;
    pthread_t reaper;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_cond_t idle;
    struct list dead;     /* of reapable; guarded by lock */
    struct list attempts; /* guarded by lock */
    unsigned live;        /* pipes and attempts not freed yet; guarded by lock */
    bool stop;            /* guarded by lock */
};

/* Something the reaper frees. */
struct reapable {
    struct list link;
    void (*free)(struct reapable *r);
};

struct nng_pipe_conn {
    struct rpc_pipe base;
    struct nng_transport *t;
    nng_stream *stream;
    nng_aio *rx;
    nng_aio *tx;
    nng_aio *tx_now; /* without completion: see above */
    nng_aio *rx_now;
    _Atomic bool closed;
    _Atomic unsigned refs; /* the owner; who begins an operation */
    struct reapable reap;
};

struct attempt {
    struct nng_transport *t;
    struct rpc_dial *dial;
    nng_stream_dialer *dialer;
    nng_aio *aio;
    bool canceled; /* guarded by t->lock */
    char address[RPC_ADDRESS_MAX];
    struct list link; /* t->attempts */
    struct reapable reap;
};

struct rpc_listener {
    struct nng_transport *t;
    nng_stream_listener *listener;
    nng_aio *aio;
    bool pausing; /* the aio sleeps after a failed accept */
    void (*accepted)(void *ctx, struct rpc_pipe *pipe);
    void *ctx;
};

static db_err err_of(int rc)
{
    switch (rc) {
    case 0: return ERR_OK;
    case NNG_ENOMEM: return ERR_NOMEM;
    case NNG_ECANCELED: return ERR_CANCELED;
    default: return ERR_CLOSED;
    }
}

/* --- the reaper --- */

static void reap_later(struct nng_transport *t, struct reapable *r)
{
    SCOPE_LOCK(&t->lock);
    list_push_back(&t->dead, &r->link);
    pthread_cond_signal(&t->wake);
}

static void *reaper_main(void *arg)
{
    struct nng_transport *t = arg;
    pthread_setname_np(pthread_self(), "rpc-reaper");
    pthread_mutex_lock(&t->lock);
    for (;;) {
        struct list *n = list_pop_front(&t->dead);
        if (n != NULL) {
            struct reapable *r = CONTAINER_OF(n, struct reapable, link);
            pthread_mutex_unlock(&t->lock);
            r->free(r);
            pthread_mutex_lock(&t->lock);
            t->live--;
            if (t->live == 0) {
                pthread_cond_broadcast(&t->idle);
            }
        } else if (t->stop) {
            break;
        } else {
            pthread_cond_wait(&t->wake, &t->lock);
        }
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* --- pipes --- */

static void on_rx(void *arg)
{
    struct nng_pipe_conn *p = arg;
    db_err err = err_of(nng_aio_result(p->rx));
    size_t bytes = err == ERR_OK ? nng_aio_count(p->rx) : 0;
    if (err == ERR_OK && bytes == 0) {
        err = ERR_CLOSED;
    }
    p->base.events.received(p->base.ctx, err == ERR_CANCELED ? ERR_CLOSED : err, bytes);
}

static void on_tx(void *arg)
{
    struct nng_pipe_conn *p = arg;
    db_err err = err_of(nng_aio_result(p->tx));
    size_t bytes = err == ERR_OK ? nng_aio_count(p->tx) : 0;
    p->base.events.sent(p->base.ctx, err == ERR_CANCELED ? ERR_CLOSED : err, bytes);
}

static void pipe_unref(struct nng_pipe_conn *p)
{
    if (atomic_fetch_sub(&p->refs, 1) == 1) {
        reap_later(p->t, &p->reap);
    }
}

/* Gives the operation to NNG. */
static void begin(struct nng_pipe_conn *p, void (*op)(nng_stream *stream, nng_aio *aio),
                  nng_aio *aio)
{
    atomic_fetch_add(&p->refs, 1);
    op(p->stream, aio);
    if (atomic_load(&p->closed)) {
        nng_aio_cancel(aio);
    }
    pipe_unref(p);
}

/* What can be done without waiting. False: nothing was done. */
static bool try_now(struct nng_pipe_conn *p, void (*op)(nng_stream *stream, nng_aio *aio),
                    nng_aio *aio, const nng_iov *v, unsigned count, struct rpc_io *ret_io)
{
    int rc = nng_aio_set_iov(aio, count, v);
    ASSERT(rc == 0);
    op(p->stream, aio);
    nng_aio_cancel(aio);
    nng_aio_wait(aio);
    db_err err = err_of(nng_aio_result(aio));
    if (err == ERR_CANCELED) {
        return false;
    }
    size_t bytes = err == ERR_OK ? nng_aio_count(aio) : 0;
    *ret_io = (struct rpc_io){err == ERR_OK && bytes == 0 ? ERR_CLOSED : err, bytes};
    return true;
}

static bool pipe_send(struct rpc_pipe *base, const struct slice *iov, unsigned count,
                      struct rpc_io *ret_io)
{
    struct nng_pipe_conn *p = CONTAINER_OF(base, struct nng_pipe_conn, base);
    nng_iov v[RPC_IOV_MAX];
    if (atomic_load(&p->closed)) {
        *ret_io = (struct rpc_io){ERR_CLOSED, 0};
        return true;
    }
    for (unsigned i = 0; i < count; i++) {
        v[i] = (nng_iov){.iov_buf = (void *)(uintptr_t)iov[i].ptr, .iov_len = iov[i].len};
    }
    if (try_now(p, nng_stream_send, p->tx_now, v, count, ret_io)) {
        return true;
    }
    int rc = nng_aio_set_iov(p->tx, count, v);
    ASSERT(rc == 0);
    begin(p, nng_stream_send, p->tx);
    return false;
}

static bool pipe_recv(struct rpc_pipe *base, void *ptr, size_t len, struct rpc_io *ret_io)
{
    struct nng_pipe_conn *p = CONTAINER_OF(base, struct nng_pipe_conn, base);
    if (atomic_load(&p->closed)) {
        *ret_io = (struct rpc_io){ERR_CLOSED, 0};
        return true;
    }
    nng_iov v = {.iov_buf = ptr, .iov_len = len};
    if (try_now(p, nng_stream_recv, p->rx_now, &v, 1, ret_io)) {
        return true;
    }
    int rc = nng_aio_set_iov(p->rx, 1, &v);
    ASSERT(rc == 0);
    begin(p, nng_stream_recv, p->rx);
    return false;
}

static void pipe_close(struct rpc_pipe *base)
{
    struct nng_pipe_conn *p = CONTAINER_OF(base, struct nng_pipe_conn, base);
    if (!atomic_exchange(&p->closed, true)) {
        nng_stream_close(p->stream);
    }
}

static void pipe_reap(struct reapable *r)
{
    struct nng_pipe_conn *p = CONTAINER_OF(r, struct nng_pipe_conn, reap);
    nng_aio_free(p->rx);
    nng_aio_free(p->tx);
    nng_aio_free(p->tx_now);
    nng_aio_free(p->rx_now);
    nng_stream_free(p->stream);
    mem_free(p);
}

static void pipe_free(struct rpc_pipe *base)
{
    struct nng_pipe_conn *p = CONTAINER_OF(base, struct nng_pipe_conn, base);
    pipe_close(base);
    pipe_unref(p);
}

static const struct rpc_pipe_ops g_pipe_ops = {
    .name = "nng", .send = pipe_send, .recv = pipe_recv, .close = pipe_close, .free = pipe_free};

static void format_remote(nng_stream *stream, char *out, size_t size)
{
    nng_sockaddr sa;
    out[0] = '\0';
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &sa) != 0) {
        return;
    }
    if (sa.s_family == NNG_AF_INET) {
        const uint8_t *a = (const uint8_t *)&sa.s_in.sa_addr;
        const uint8_t *port = (const uint8_t *)&sa.s_in.sa_port;
        snprintf(out, size, "%u.%u.%u.%u:%u", a[0], a[1], a[2], a[3],
                 (unsigned)port[0] << 8 | port[1]);
    } else if (sa.s_family == NNG_AF_INET6) {
        const uint8_t *a = sa.s_in6.sa_addr;
        const uint8_t *port = (const uint8_t *)&sa.s_in6.sa_port;
        int n = snprintf(out, size, "[");
        for (int i = 0; i < 16; i += 2) {
            n += snprintf(out + n, size - (size_t)n, "%s%x", i == 0 ? "" : ":",
                          (unsigned)a[i] << 8 | a[i + 1]);
        }
        snprintf(out + n, size - (size_t)n, "]:%u", (unsigned)port[0] << 8 | port[1]);
    }
}

/* Takes the stream in every case. The caller has counted the pipe in t->live. */
static struct rpc_pipe *pipe_new(struct nng_transport *t, nng_stream *stream)
{
    struct nng_pipe_conn *p = mem_calloc(1, sizeof(*p));
    if (p == NULL || nng_aio_alloc(&p->rx, on_rx, p) != 0 || nng_aio_alloc(&p->tx, on_tx, p) != 0 ||
        nng_aio_alloc(&p->tx_now, NULL, NULL) != 0 || nng_aio_alloc(&p->rx_now, NULL, NULL) != 0) {
        if (p != NULL) {
            nng_aio_free(p->rx);
            nng_aio_free(p->tx);
            nng_aio_free(p->tx_now);
            mem_free(p);
        }
        nng_stream_close(stream);
        nng_stream_free(stream);
        return NULL;
    }
    p->base.ops = &g_pipe_ops;
    p->t = t;
    p->stream = stream;
    atomic_init(&p->refs, 1);
    p->reap.free = pipe_reap;
    list_init(&p->reap.link);
    format_remote(stream, p->base.remote, sizeof(p->base.remote));
    return &p->base;
}

static void count_live(struct nng_transport *t, int change)
{
    SCOPE_LOCK(&t->lock);
    t->live = (unsigned)((int)t->live + change);
    if (t->live == 0) {
        pthread_cond_broadcast(&t->idle);
    }
}

/* --- dialling --- */

static void attempt_reap(struct reapable *r)
{
    struct attempt *a = CONTAINER_OF(r, struct attempt, reap);
    nng_aio_free(a->aio);
    nng_stream_dialer_free(a->dialer);
    mem_free(a);
}

static void on_dialed(void *arg)
{
    struct attempt *a = arg;
    struct nng_transport *t = a->t;
    int rc = nng_aio_result(a->aio);
    pthread_mutex_lock(&t->lock);
    list_remove(&a->link);
    bool canceled = a->canceled;
    if (rc == 0) {
        t->live++;
    }
    pthread_mutex_unlock(&t->lock);
    struct rpc_dial *dial = a->dial;
    if (rc == 0) {
        struct rpc_pipe *pipe = pipe_new(t, nng_aio_get_output(a->aio, 0));
        if (pipe == NULL) {
            count_live(t, -1);
        } else {
            snprintf(pipe->remote, sizeof(pipe->remote), "%s", a->address);
        }
        dial->done(dial, pipe != NULL ? ERR_OK : ERR_NOMEM, "out of memory", pipe);
    } else {
        dial->done(dial, canceled ? ERR_CANCELED : ERR_UNAVAILABLE,
                   canceled ? "no answer in time" : nng_strerror(rc), NULL);
    }
    reap_later(t, &a->reap);
}

static void transport_dial(struct rpc_transport *base, struct rpc_dial *dial)
{
    struct nng_transport *t = CONTAINER_OF(base, struct nng_transport, base);
    char url[URL_MAX];
    snprintf(url, sizeof(url), "tcp://%.*s", SLICE_FMT(dial->address));
    struct attempt *a = mem_calloc(1, sizeof(*a));
    if (a == NULL) {
        dial->done(dial, ERR_NOMEM, "out of memory", NULL);
        return;
    }
    snprintf(a->address, sizeof(a->address), "%.*s", SLICE_FMT(dial->address));
    int rc = nng_stream_dialer_alloc(&a->dialer, url);
    rc = rc != 0 ? rc : nng_stream_dialer_set_bool(a->dialer, NNG_OPT_TCP_NODELAY, true);
    rc = rc != 0 ? rc : nng_aio_alloc(&a->aio, on_dialed, a);
    if (rc != 0) {
        if (a->dialer != NULL) {
            nng_stream_dialer_free(a->dialer);
        }
        mem_free(a);
        dial->done(dial, rc == NNG_ENOMEM ? ERR_NOMEM : ERR_UNAVAILABLE, nng_strerror(rc), NULL);
        return;
    }
    a->t = t;
    a->dial = dial;
    a->reap.free = attempt_reap;
    list_init(&a->reap.link);
    list_init(&a->link);
    pthread_mutex_lock(&t->lock);
    t->live++;
    list_push_back(&t->attempts, &a->link);
    pthread_mutex_unlock(&t->lock);
    nng_stream_dialer_dial(a->dialer, a->aio);
}

static void transport_dial_cancel(struct rpc_transport *base, struct rpc_dial *dial)
{
    struct nng_transport *t = CONTAINER_OF(base, struct nng_transport, base);
    SCOPE_LOCK(&t->lock);
    LIST_FOREACH (n, &t->attempts) {
        struct attempt *a = CONTAINER_OF(n, struct attempt, link);
        if (a->dial == dial) {
            /* Its completion cannot have freed it: that needs this lock first. */
            a->canceled = true;
            nng_aio_cancel(a->aio);
            return;
        }
    }
}

/* --- listening --- */

static void on_accept(void *arg)
{
    struct rpc_listener *l = arg;
    int rc = nng_aio_result(l->aio);
    if (rc == NNG_ECLOSED || rc == NNG_ECANCELED) {
        return;
    }
    if (l->pausing) {
        l->pausing = false;
    } else if (rc == 0) {
        count_live(l->t, 1);
        struct rpc_pipe *pipe = pipe_new(l->t, nng_aio_get_output(l->aio, 0));
        if (pipe == NULL) {
            count_live(l->t, -1);
        } else {
            l->accepted(l->ctx, pipe);
        }
    } else {
        /* Out of descriptors or memory, or the caller has gone: not as fast as it goes. */
        l->pausing = true;
        nng_sleep_aio(ACCEPT_PAUSE_MS, l->aio);
        return;
    }
    nng_stream_listener_accept(l->listener, l->aio);
}

static db_err transport_listen(struct rpc_transport *base, const struct rpc_listen *listen,
                               struct diag *diag, uint16_t *ret_port,
                               struct rpc_listener **ret_listener)
{
    struct rpc_listener *l = mem_calloc(1, sizeof(*l));
    if (l == NULL) {
        return ERR_NOMEM;
    }
    char url[URL_MAX];
    snprintf(url, sizeof(url), "tcp://%s", listen->address);
    l->t = CONTAINER_OF(base, struct nng_transport, base);
    l->accepted = listen->accepted;
    l->ctx = listen->ctx;
    int port = 0;
    int rc = nng_stream_listener_alloc(&l->listener, url);
    rc = rc != 0 ? rc : nng_stream_listener_set_bool(l->listener, NNG_OPT_TCP_NODELAY, true);
    rc = rc != 0 ? rc : nng_aio_alloc(&l->aio, on_accept, l);
    rc = rc != 0 ? rc : nng_stream_listener_listen(l->listener);
    rc = rc != 0 ? rc : nng_stream_listener_get_int(l->listener, NNG_OPT_TCP_BOUND_PORT, &port);
    if (rc != 0) {
        nng_aio_free(l->aio);
        if (l->listener != NULL) {
            nng_stream_listener_free(l->listener);
        }
        mem_free(l);
        return diag_set(diag, rc == NNG_ENOMEM ? ERR_NOMEM : ERR_IO, "cannot listen on %s: %s",
                        listen->address, nng_strerror(rc));
    }
    *ret_port = (uint16_t)port;
    *ret_listener = l;
    nng_stream_listener_accept(l->listener, l->aio);
    return ERR_OK;
}

static void transport_listener_close(struct rpc_transport *base UNUSED, struct rpc_listener *l)
{
    nng_stream_listener_close(l->listener);
    nng_aio_stop(l->aio);
    nng_aio_free(l->aio);
    nng_stream_listener_free(l->listener);
    mem_free(l);
}

static void transport_free(struct rpc_transport *base)
{
    struct nng_transport *t = CONTAINER_OF(base, struct nng_transport, base);
    pthread_mutex_lock(&t->lock);
    while (t->live > 0) {
        pthread_cond_wait(&t->idle, &t->lock);
    }
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->reaper, NULL);
    pthread_cond_destroy(&t->idle);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

static const struct rpc_transport_ops g_transport_ops = {
    .name = "nng",
    .dial = transport_dial,
    .dial_cancel = transport_dial_cancel,
    .listen = transport_listen,
    .listener_close = transport_listener_close,
    .free = transport_free,
};

db_err rpc_nng_transport_new(struct rpc_transport **ret_transport)
{
    struct nng_transport *t = mem_calloc(1, sizeof(*t));
    if (t == NULL) {
        return ERR_NOMEM;
    }
    t->base.ops = &g_transport_ops;
    list_init(&t->dead);
    list_init(&t->attempts);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    pthread_cond_init(&t->idle, NULL);
    if (pthread_create(&t->reaper, NULL, reaper_main, t) != 0) {
        pthread_cond_destroy(&t->idle);
        pthread_cond_destroy(&t->wake);
        pthread_mutex_destroy(&t->lock);
        mem_free(t);
        return ERR_NOMEM;
    }
    *ret_transport = &t->base;
    return ERR_OK;
}
