/* TCP on the loops themselves: a connection is watched by one loop, which reads what arrives and
 * hands it on from there. NNG's streams take a reply over three threads (its poller, its pool, the
 * loop), this takes it over one.
 *
 * A send or a receive is tried at once, by whoever asks. What would block is remembered under the
 * pipe's lock and done by the loop when the socket is ready; since the attempt is made under the
 * same lock, an edge cannot slip in between. Sockets are watched edge-triggered, so that waiting
 * costs no call of the system; nor does a receive behind one that has taken all that there was: it
 * waits for the next edge without being tried.
 *
 * Closing shuts the socket down: that is an edge, and the loop ends what is under way. The
 * descriptor is closed with the last reference (the owner's, or an event's).
 *
 * Names are looked up on a thread of its own, started at the first name that is no number. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fd_watch.h"
#include "base/list.h"
#include "base/scope.h"
#include "rpc/transport/transport.h"

enum { BACKLOG = 511, LOOPS_MAX = 64 };

struct tcp_transport {
    struct rpc_transport base;
    struct loop *loops[LOOPS_MAX];
    unsigned loop_count;
    _Atomic unsigned next_loop;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    pthread_cond_t wake;
    unsigned live;        /* pipes and attempts; guarded by lock */
    struct list attempts; /* guarded by lock */
    struct list names;    /* attempts whose name is to be looked up; guarded by lock */
    pthread_t resolver;
    bool has_resolver, stop; /* guarded by lock */
};

struct tcp_pipe;

struct pipe_watch {
    struct fd_watch watch;
    struct tcp_pipe *pipe;
};

struct tcp_pipe {
    struct rpc_pipe base;
    struct tcp_transport *t;
    struct pipe_watch watches[2]; /* the other one is for a move */
    unsigned watched;             /* which of them; only by who may move or free */
    int fd;
    _Atomic unsigned refs; /* the owner; an event */
    pthread_mutex_t lock;  /* guards the rest */
    bool closed;
    bool rx_waits, tx_waits;
    bool rx_drained; /* the last receive took all, and no edge has come since */
    bool rx_ended;   /* an edge said so: the end is behind what is there */
    void *rx_ptr;
    size_t rx_len;
    struct iovec tx[RPC_IOV_MAX];
    unsigned tx_count;
};

struct attempt {
    struct tcp_transport *t;
    struct rpc_dial *dial;
    struct loop *loop; /* of the connection */
    struct fd_watch watch;
    int fd;
    _Atomic unsigned refs;            /* being at work; an event; the resolver */
    bool watched, finished, canceled; /* guarded by t->lock */
    struct loop_task cancel;
    struct list link;      /* t->attempts */
    struct list name_link; /* t->names */
    char host[RPC_ADDRESS_MAX];
    char port[8];
    char address[RPC_ADDRESS_MAX];
};

struct rpc_listener {
    struct tcp_transport *t;
    struct fd_watch watch;
    int fd;
    int spare; /* given up for a moment when there are no descriptors: else a caller waits for ever
                */
    void (*accepted)(void *ctx, struct rpc_pipe *pipe);
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t quiet;
    bool closed;      /* guarded by lock */
    unsigned running; /* events at work; guarded by lock */
};

static struct tcp_transport *transport_of(struct rpc_transport *base)
{
    return CONTAINER_OF(base, struct tcp_transport, base);
}

static struct loop *next_loop(struct tcp_transport *t)
{
    return t->loops[atomic_fetch_add(&t->next_loop, 1) % t->loop_count];
}

static void count_live(struct tcp_transport *t, int change)
{
    SCOPE_LOCK(&t->lock);
    t->live = (unsigned)((int)t->live + change);
    if (t->live == 0) {
        pthread_cond_broadcast(&t->idle);
    }
}

/* --- pipes --- */

static struct tcp_pipe *pipe_of(struct rpc_pipe *base)
{
    return CONTAINER_OF(base, struct tcp_pipe, base);
}

static void pipe_unref(struct tcp_pipe *p)
{
    if (atomic_fetch_sub(&p->refs, 1) == 1) {
        struct tcp_transport *t = p->t;
        close(p->fd);
        pthread_mutex_destroy(&p->lock);
        mem_free(p);
        count_live(t, -1);
    }
}

static bool again(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* With the lock held. False: not now. */
static bool try_send(struct tcp_pipe *p, struct iovec *iov, unsigned count, struct rpc_io *ret_io)
{
    const struct msghdr m = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n = p->closed ? -1 : sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && !p->closed && again()) {
        return false;
    }
    *ret_io = (struct rpc_io){n > 0 ? ERR_OK : ERR_CLOSED, n > 0 ? (size_t)n : 0};
    return true;
}

static bool try_recv(struct tcp_pipe *p, void *ptr, size_t len, struct rpc_io *ret_io)
{
    if (p->rx_drained && !p->closed) {
        return false;
    }
    ssize_t n = p->closed ? -1 : recv(p->fd, ptr, len, MSG_DONTWAIT);
    if (n < 0 && !p->closed && again()) {
        return false;
    }
    p->rx_drained = n > 0 && (size_t)n < len && !p->rx_ended;
    *ret_io = (struct rpc_io){n > 0 ? ERR_OK : ERR_CLOSED, n > 0 ? (size_t)n : 0};
    return true;
}

static bool pipe_send(struct rpc_pipe *base, const struct slice *iov, unsigned count,
                      struct rpc_io *ret_io)
{
    struct tcp_pipe *p = pipe_of(base);
    SCOPE_LOCK(&p->lock);
    ASSERT(!p->tx_waits);
    for (unsigned i = 0; i < count; i++) {
        p->tx[i] = (struct iovec){(void *)(uintptr_t)iov[i].ptr, iov[i].len};
    }
    p->tx_count = count;
    p->tx_waits = !try_send(p, p->tx, count, ret_io);
    return !p->tx_waits;
}

static bool pipe_recv(struct rpc_pipe *base, void *ptr, size_t len, struct rpc_io *ret_io)
{
    struct tcp_pipe *p = pipe_of(base);
    SCOPE_LOCK(&p->lock);
    ASSERT(!p->rx_waits);
    p->rx_ptr = ptr;
    p->rx_len = len;
    p->rx_waits = !try_recv(p, ptr, len, ret_io);
    return !p->rx_waits;
}

static void pipe_close(struct rpc_pipe *base)
{
    struct tcp_pipe *p = pipe_of(base);
    SCOPE_LOCK(&p->lock);
    if (!p->closed) {
        p->closed = true;
        shutdown(p->fd, SHUT_RDWR);
    }
}

static void pipe_free(struct rpc_pipe *base)
{
    struct tcp_pipe *p = pipe_of(base);
    pipe_close(base);
    fd_watch_remove(&p->watches[p->watched].watch);
    pipe_unref(p);
}

/* For a moment both loops have its edges: of a send or receive under way each is done by whoever
 * comes first. */
static void pipe_move(struct rpc_pipe *base, struct loop *loop)
{
    struct tcp_pipe *p = pipe_of(base);
    unsigned other = p->watched ^ 1;
    if (p->watches[p->watched].watch.loop != loop &&
        fd_watch_add(loop, &p->watches[other].watch, p->fd) == ERR_OK) {
        fd_watch_remove(&p->watches[p->watched].watch);
        p->watched = other;
    }
}

static const struct rpc_pipe_ops g_pipe_ops = {"tcp",     pipe_send,  pipe_recv,
                                               pipe_move, pipe_close, pipe_free};

static void pipe_hold(struct fd_watch *w)
{
    atomic_fetch_add(&CONTAINER_OF(w, struct pipe_watch, watch)->pipe->refs, 1);
}

static void pipe_ready(struct fd_watch *w, bool ended)
{
    struct tcp_pipe *p = CONTAINER_OF(w, struct pipe_watch, watch)->pipe;
    struct rpc_io tx = {0};
    struct rpc_io rx = {0};
    pthread_mutex_lock(&p->lock);
    p->rx_drained = false;
    p->rx_ended = p->rx_ended || ended;
    bool sent = p->tx_waits && try_send(p, p->tx, p->tx_count, &tx);
    bool received = p->rx_waits && try_recv(p, p->rx_ptr, p->rx_len, &rx);
    p->tx_waits = p->tx_waits && !sent;
    p->rx_waits = p->rx_waits && !received;
    pthread_mutex_unlock(&p->lock);
    if (sent) {
        p->base.events.sent(p->base.ctx, tx.err, tx.bytes);
    }
    if (received) {
        p->base.events.received(p->base.ctx, rx.err, rx.bytes);
    }
    pipe_unref(p);
}

/* Takes the descriptor in every case. */
static struct rpc_pipe *pipe_new(struct tcp_transport *t, struct loop *loop, int fd,
                                 const char *remote)
{
    int on = 1;
    struct tcp_pipe *p = mem_calloc(1, sizeof(*p));
    if (p == NULL) {
        close(fd);
        return NULL;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    p->base.ops = &g_pipe_ops;
    p->t = t;
    p->fd = fd;
    for (unsigned i = 0; i < 2; i++) {
        p->watches[i] = (struct pipe_watch){{.hold = pipe_hold, .ready = pipe_ready}, p};
    }
    atomic_init(&p->refs, 1);
    pthread_mutex_init(&p->lock, NULL);
    snprintf(p->base.remote, sizeof(p->base.remote), "%s", remote);
    count_live(t, 1);
    if (fd_watch_add(loop, &p->watches[0].watch, fd) != ERR_OK) {
        pipe_unref(p);
        return NULL;
    }
    return &p->base;
}

/* --- addresses --- */

/* HOST:PORT or [V6]:PORT into two texts. */
static bool split(struct slice address, char *host, size_t host_size, char port[8])
{
    char text[RPC_ADDRESS_MAX];
    snprintf(text, sizeof(text), "%.*s", SLICE_FMT(address));
    char *colon = strrchr(text, ':');
    if (colon == NULL || strlen(colon + 1) == 0 || strlen(colon + 1) > 5) {
        return false;
    }
    *colon = '\0';
    size_t len = strlen(text);
    bool v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
    if (v6) {
        text[len - 1] = '\0';
    }
    snprintf(host, host_size, "%s", v6 ? text + 1 : text);
    snprintf(port, 8, "%s", colon + 1);
    return true;
}

static int look_up(const char *host, const char *port, int flags, struct addrinfo **ret)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    return getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, ret);
}

static void format_address(const struct sockaddr *sa, socklen_t len, char out[RPC_ADDRESS_MAX])
{
    char host[64];
    char port[8];
    out[0] = '\0';
    if (getnameinfo(sa, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        snprintf(out, RPC_ADDRESS_MAX, sa->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    }
}

/* --- dialling --- */

static void attempt_unref(struct attempt *a)
{
    if (atomic_fetch_sub(&a->refs, 1) == 1) {
        struct tcp_transport *t = a->t;
        if (a->fd >= 0) {
            close(a->fd);
        }
        mem_free(a);
        count_live(t, -1);
    }
}

/* Once, by whoever comes first: tells the caller, and lets go. */
static void finish(struct attempt *a, db_err err, const char *text)
{
    struct tcp_transport *t = a->t;
    struct rpc_pipe *pipe = NULL;
    pthread_mutex_lock(&t->lock);
    bool first = !a->finished;
    a->finished = true;
    bool watched = a->watched;
    list_remove(&a->link);
    pthread_mutex_unlock(&t->lock);
    if (!first) {
        return;
    }
    if (watched) {
        fd_watch_remove(&a->watch);
    }
    if (err == ERR_OK) {
        pipe = pipe_new(t, a->loop, a->fd, a->address);
        a->fd = -1;
        err = pipe != NULL ? ERR_OK : ERR_NOMEM;
        text = "out of memory";
    }
    a->dial->done(a->dial, err, text, pipe);
    attempt_unref(a);
}

static void attempt_hold(struct fd_watch *w)
{
    atomic_fetch_add(&CONTAINER_OF(w, struct attempt, watch)->refs, 1);
}

static void attempt_ready(struct fd_watch *w, bool ended UNUSED)
{
    struct attempt *a = CONTAINER_OF(w, struct attempt, watch);
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int code = 0;
    socklen_t size = sizeof(code);
    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0) {
        code = errno;
    }
    /* The first edge may be that of a socket that is only about to connect. */
    if (code != 0 || getpeername(w->fd, (struct sockaddr *)&sa, &len) == 0) {
        finish(a, code == 0 ? ERR_OK : ERR_UNAVAILABLE, code == 0 ? "" : strerror(code));
    }
    attempt_unref(a);
}

/* Whether it is under way; else it was finished. The watch is added last: its first edge may come
 * at once. */
static void connect_to(struct attempt *a, const struct addrinfo *to)
{
    struct tcp_transport *t = a->t;
    a->fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0) {
        finish(a, ERR_UNAVAILABLE, strerror(errno));
        return;
    }
    if (connect(a->fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS) {
        finish(a, ERR_UNAVAILABLE, strerror(errno));
        return;
    }
    atomic_fetch_add(&a->refs, 1);
    pthread_mutex_lock(&t->lock);
    db_err err = ERR_OK;
    if (!a->finished) {
        a->watched = true; /* a cancel waits for the lock */
        err = fd_watch_add(a->loop, &a->watch, a->fd);
        a->watched = err == ERR_OK;
    }
    pthread_mutex_unlock(&t->lock);
    if (err != ERR_OK) {
        finish(a, ERR_NOMEM, "out of memory");
    }
    attempt_unref(a);
}

/* One of what a name stands for: members mostly listen on IPv4. */
static const struct addrinfo *pick(const struct addrinfo *list)
{
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        if (a->ai_family == AF_INET) {
            return a;
        }
    }
    return list;
}

static void *resolver_main(void *arg)
{
    struct tcp_transport *t = arg;
    pthread_setname_np(pthread_self(), "rpc-names");
    pthread_mutex_lock(&t->lock);
    while (!t->stop || !list_empty(&t->names)) {
        struct list *n = list_pop_front(&t->names);
        if (n == NULL) {
            pthread_cond_wait(&t->wake, &t->lock);
            continue;
        }
        pthread_mutex_unlock(&t->lock);
        struct attempt *a = CONTAINER_OF(n, struct attempt, name_link);
        struct addrinfo *to = NULL;
        int rc = look_up(a->host, a->port, 0, &to);
        if (rc != 0) {
            finish(a, ERR_UNAVAILABLE, gai_strerror(rc));
        } else {
            connect_to(a, pick(to));
            freeaddrinfo(to);
        }
        attempt_unref(a);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void resolve_later(struct attempt *a)
{
    struct tcp_transport *t = a->t;
    atomic_fetch_add(&a->refs, 1);
    pthread_mutex_lock(&t->lock);
    if (!t->has_resolver) {
        t->has_resolver = pthread_create(&t->resolver, NULL, resolver_main, t) == 0;
    }
    bool ok = t->has_resolver;
    if (ok) {
        list_push_back(&t->names, &a->name_link);
        pthread_cond_signal(&t->wake);
    }
    pthread_mutex_unlock(&t->lock);
    if (!ok) {
        finish(a, ERR_NOMEM, "no thread to look up the name");
        attempt_unref(a);
    }
}

static void transport_dial(struct rpc_transport *base, struct rpc_dial *dial)
{
    struct tcp_transport *t = transport_of(base);
    struct attempt *a = mem_calloc(1, sizeof(*a));
    struct addrinfo *to = NULL;
    if (a == NULL) {
        dial->done(dial, ERR_NOMEM, "out of memory", NULL);
        return;
    }
    a->t = t;
    a->dial = dial;
    a->loop = dial->loop != NULL && loop_uv(dial->loop) != NULL ? dial->loop : next_loop(t);
    a->fd = -1;
    a->watch.hold = attempt_hold;
    a->watch.ready = attempt_ready;
    atomic_init(&a->refs, 2); /* its work; this call */
    list_init(&a->link);
    list_init(&a->name_link);
    snprintf(a->address, sizeof(a->address), "%.*s", SLICE_FMT(dial->address));
    bool sound = split(dial->address, a->host, sizeof(a->host), a->port);
    pthread_mutex_lock(&t->lock);
    t->live++;
    list_push_back(&t->attempts, &a->link);
    pthread_mutex_unlock(&t->lock);
    if (!sound) {
        finish(a, ERR_UNAVAILABLE, "the address is not HOST:PORT");
    } else if (look_up(a->host, a->port, AI_NUMERICHOST, &to) == 0) {
        connect_to(a, pick(to));
        freeaddrinfo(to);
    } else {
        resolve_later(a);
    }
    attempt_unref(a);
}

static void cancel_run(struct loop_task *task)
{
    struct attempt *a = CONTAINER_OF(task, struct attempt, cancel);
    finish(a, ERR_CANCELED, "no answer in time");
    attempt_unref(a);
}

/* Ends it from its loop: who cancels may hold what `done` wants. */
static void transport_dial_cancel(struct rpc_transport *base, struct rpc_dial *dial)
{
    struct tcp_transport *t = transport_of(base);
    pthread_mutex_lock(&t->lock);
    LIST_FOREACH (n, &t->attempts) {
        struct attempt *a = CONTAINER_OF(n, struct attempt, link);
        if (a->dial == dial && !a->finished && !a->canceled) {
            a->canceled = true;
            a->cancel.fn = cancel_run;
            atomic_fetch_add(&a->refs, 1);
            loop_post(a->loop, &a->cancel);
            break;
        }
    }
    pthread_mutex_unlock(&t->lock);
}

/* --- listening --- */

static int open_spare(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* One caller; false: there is none left for now. */
static bool accept_one(struct rpc_listener *l)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    char remote[RPC_ADDRESS_MAX];
    int fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        format_address((struct sockaddr *)&sa, len, remote);
        struct rpc_pipe *pipe = pipe_new(l->t, next_loop(l->t), fd, remote);
        if (pipe != NULL) {
            l->accepted(l->ctx, pipe);
        }
        return true;
    }
    if ((errno == EMFILE || errno == ENFILE) && l->spare >= 0) {
        close(l->spare);
        fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
        }
        l->spare = open_spare();
        return fd >= 0 && l->spare >= 0;
    }
    return errno == ECONNABORTED || errno == EINTR;
}

static void listener_hold(struct fd_watch *w)
{
    struct rpc_listener *l = CONTAINER_OF(w, struct rpc_listener, watch);
    SCOPE_LOCK(&l->lock);
    l->running++;
}

static void listener_ready(struct fd_watch *w, bool ended UNUSED)
{
    struct rpc_listener *l = CONTAINER_OF(w, struct rpc_listener, watch);
    bool more = true;
    while (more) {
        pthread_mutex_lock(&l->lock);
        bool closed = l->closed;
        pthread_mutex_unlock(&l->lock);
        more = !closed && accept_one(l);
    }
    pthread_mutex_lock(&l->lock);
    l->running--;
    pthread_cond_broadcast(&l->quiet);
    pthread_mutex_unlock(&l->lock);
}

static void listener_free(struct rpc_listener *l)
{
    if (l->fd >= 0) {
        close(l->fd);
    }
    if (l->spare >= 0) {
        close(l->spare);
    }
    pthread_cond_destroy(&l->quiet);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

/* Binds and listens; the text of what is wrong, or NULL. */
static const char *bind_to(struct rpc_listener *l, const struct addrinfo *at, uint16_t *ret_port)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int on = 1;
    l->fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        return strerror(errno);
    }
    (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(l->fd, at->ai_addr, at->ai_addrlen) != 0 || listen(l->fd, BACKLOG) != 0 ||
        getsockname(l->fd, (struct sockaddr *)&sa, &len) != 0) {
        return strerror(errno);
    }
    *ret_port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                               : ((struct sockaddr_in *)&sa)->sin_port);
    return NULL;
}

static db_err transport_listen(struct rpc_transport *base, const struct rpc_listen *listen,
                               struct diag *diag, uint16_t *ret_port,
                               struct rpc_listener **ret_listener)
{
    char host[RPC_ADDRESS_MAX];
    char port[8];
    struct addrinfo *at = NULL;
    uint16_t bound = 0;
    if (!split(slice_str(listen->address), host, sizeof(host), port)) {
        return diag_set(diag, ERR_INVALID, "cannot listen on %s: not HOST:PORT", listen->address);
    }
    int rc = look_up(host, port, AI_PASSIVE, &at);
    if (rc != 0) {
        return diag_set(diag, ERR_IO, "cannot listen on %s: %s", listen->address, gai_strerror(rc));
    }
    struct rpc_listener *l = mem_calloc(1, sizeof(*l));
    if (l == NULL) {
        freeaddrinfo(at);
        return ERR_NOMEM;
    }
    l->t = transport_of(base);
    l->watch.hold = listener_hold;
    l->watch.ready = listener_ready;
    l->accepted = listen->accepted;
    l->ctx = listen->ctx;
    l->spare = open_spare();
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->quiet, NULL);
    const char *wrong = bind_to(l, pick(at), &bound);
    freeaddrinfo(at);
    if (wrong != NULL) {
        listener_free(l);
        return diag_set(diag, ERR_IO, "cannot listen on %s: %s", listen->address, wrong);
    }
    *ret_port = bound;
    *ret_listener = l;
    db_err err = fd_watch_add(next_loop(l->t), &l->watch, l->fd);
    if (err != ERR_OK) {
        listener_free(l);
    }
    return err;
}

static void transport_listener_close(struct rpc_transport *base UNUSED, struct rpc_listener *l)
{
    fd_watch_remove(&l->watch);
    pthread_mutex_lock(&l->lock);
    l->closed = true;
    while (l->running != 0) {
        pthread_cond_wait(&l->quiet, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    listener_free(l);
}

static void transport_free(struct rpc_transport *base)
{
    struct tcp_transport *t = transport_of(base);
    pthread_mutex_lock(&t->lock);
    while (t->live > 0) {
        pthread_cond_wait(&t->idle, &t->lock);
    }
    t->stop = true;
    pthread_cond_signal(&t->wake);
    bool join = t->has_resolver;
    pthread_mutex_unlock(&t->lock);
    if (join) {
        pthread_join(t->resolver, NULL);
    }
    pthread_cond_destroy(&t->idle);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

static const struct rpc_transport_ops g_transport_ops = {
    .name = "tcp",
    .dial = transport_dial,
    .dial_cancel = transport_dial_cancel,
    .listen = transport_listen,
    .listener_close = transport_listener_close,
    .free = transport_free,
};

db_err rpc_tcp_transport_new(struct loop *const *loops, unsigned count,
                             struct rpc_transport **ret_transport)
{
    ASSERT(count > 0);
    struct tcp_transport *t = mem_calloc(1, sizeof(*t));
    if (t == NULL) {
        return ERR_NOMEM;
    }
    t->base.ops = &g_transport_ops;
    t->loop_count = count < LOOPS_MAX ? count : LOOPS_MAX;
    memcpy(t->loops, loops, t->loop_count * sizeof(*loops));
    list_init(&t->attempts);
    list_init(&t->names);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->idle, NULL);
    pthread_cond_init(&t->wake, NULL);
    *ret_transport = &t->base;
    return ERR_OK;
}
