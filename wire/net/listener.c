/* Accepting connections and handing them out.
 *
 * One loop accepts for all: the spread over the loops is then exact (the loop with the fewest
 * connections takes the next), where SO_REUSEPORT leaves it to a hash. The price is one posted task
 * per connection, paid at connect and not per command.
 *
 * When the process is out of file descriptors the handle is switched off for a moment, as the
 * pending connection would wake the loop without end. */
#include "wire/net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

enum { BACKLOG = 4096, ACCEPT_PER_EVENT = 64 };
#define PAUSE_NS (50 * NS_PER_MS)

struct listener {
    struct wire_net *net;
    struct loop *loop;
    int fd;
    uint16_t port;
    enum conn_transport transport;
    unsigned turn; /* where the search for the least loaded loop begins */
    uv_poll_t poll;
    struct loop_timer pause;
    _Atomic bool closed;
    char path[108];
};

struct handoff {
    struct loop_task task;
    struct wire_loop *to;
    int fd;
    enum conn_transport transport;
    char peer[64];
};

static void on_handoff(struct loop_task *task)
{
    struct handoff *h = CONTAINER_OF(task, struct handoff, task);
    conn_start(h->to, h->fd, h->transport, h->peer);
    mem_free(h);
}

static struct wire_loop *least_loaded(struct listener *l)
{
    struct wire_net *net = l->net;
    struct wire_loop *best = NULL;
    uint32_t best_load = UINT32_MAX;
    unsigned first = l->turn++;
    for (unsigned i = 0; i < net->loop_count; i++) {
        struct wire_loop *w = net->loops[(first + i) % net->loop_count];
        uint32_t load = atomic_load_explicit(&w->load, memory_order_relaxed);
        if (load < best_load) {
            best = w;
            best_load = load;
        }
    }
    return best;
}

static void peer_name(const struct sockaddr_storage *a, char *ret_name, size_t size)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (a->ss_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, text, sizeof(text));
    } else if (a->ss_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)a)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(in6)) {
            inet_ntop(AF_INET, in6->s6_addr + 12, text, sizeof(text));
        } else {
            inet_ntop(AF_INET6, in6, text, sizeof(text));
        }
    }
    snprintf(ret_name, size, "%s", text);
}

static void hand_out(struct listener *l, int fd, const struct sockaddr_storage *from)
{
    if (l->transport == CONN_TCP) {
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    struct handoff *h = mem_alloc(sizeof(*h));
    if (h == NULL) {
        close(fd);
        return;
    }
    *h = (struct handoff){.task.fn = on_handoff, .fd = fd, .transport = l->transport};
    peer_name(from, h->peer, sizeof(h->peer));
    h->to = least_loaded(l);
    atomic_fetch_add(&h->to->load, 1);
    if (h->to->loop == l->loop) {
        on_handoff(&h->task);
    } else {
        loop_post(h->to->loop, &h->task);
    }
}

static void on_incoming(uv_poll_t *poll, int status UNUSED, int events UNUSED)
{
    struct listener *l = poll->data;
    for (int i = 0; i < ACCEPT_PER_EVENT; i++) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof(from);
        int fd = accept4(l->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            hand_out(l, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            LOG_WARN("wire.accept.exhausted", F_STR("reason", strerror(errno)));
            uv_poll_stop(&l->poll);
            db_err err = loop_timer_start(l->loop, &l->pause, loop_now_ns(l->loop) + PAUSE_NS);
            if (err != ERR_OK) {
                uv_poll_start(&l->poll, UV_READABLE, on_incoming);
            }
            return;
        }
        if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void on_pause_over(struct loop_timer *timer)
{
    struct listener *l = CONTAINER_OF(timer, struct listener, pause);
    uv_poll_start(&l->poll, UV_READABLE, on_incoming);
}

/* --- opening --- */

static db_err bind_tcp(const char *host, uint16_t port, struct diag *diag, int *ret_fd)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const struct sockaddr *addr = (const struct sockaddr *)&in4;
    socklen_t size = sizeof(in4);
    if (inet_pton(AF_INET, host, &in4.sin_addr) != 1) {
        if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1) {
            return diag_set(diag, ERR_INVALID, "'%s' is not a numeric address to listen on", host);
        }
        addr = (const struct sockaddr *)&in6;
        size = sizeof(in6);
    }
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, addr, size) != 0) {
        int e = errno;
        if (fd >= 0) {
            close(fd);
        }
        return diag_set(diag, ERR_IO, "cannot listen on %s port %u: %s", host, port, strerror(e));
    }
    *ret_fd = fd;
    return ERR_OK;
}

/* A socket file whose server has gone is replaced, one in use is not. */
static db_err bind_unix(const char *path, struct diag *diag, int *ret_fd)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(un.sun_path)) {
        return diag_set(diag, ERR_INVALID, "socket path is too long: %s", path);
    }
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return diag_set(diag, ERR_IO, "cannot make a socket: %s", strerror(errno));
    }
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0 && errno == ECONNREFUSED) {
        unlink(path);
    }
    close(fd);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) != 0 || chmod(path, 0777) != 0) {
        int e = errno;
        if (fd >= 0) {
            close(fd);
        }
        return diag_set(diag, ERR_IO, "cannot listen on %s: %s", path, strerror(e));
    }
    *ret_fd = fd;
    return ERR_OK;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t size = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &size) != 0) {
        return 0;
    }
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

static void start_on_loop(void *arg)
{
    struct listener *l = arg;
    int rc = uv_poll_init(loop_uv(l->loop), &l->poll, l->fd);
    ASSERT(rc == 0);
    l->poll.data = l;
    rc = uv_poll_start(&l->poll, UV_READABLE, on_incoming);
    ASSERT(rc == 0);
}

db_err listener_open(struct wire_net *net, struct loop *loop, const char *host, uint16_t port,
                     const char *path, struct diag *diag, struct listener **ret_listener)
{
    struct listener *l = mem_calloc(1, sizeof(*l));
    if (l == NULL) {
        return diag_set(diag, ERR_NOMEM, "out of memory");
    }
    db_err err = path != NULL ? bind_unix(path, diag, &l->fd) : bind_tcp(host, port, diag, &l->fd);
    if (err == ERR_OK && listen(l->fd, BACKLOG) != 0) {
        err = diag_set(diag, ERR_IO, "cannot listen: %s", strerror(errno));
        close(l->fd);
    }
    if (err != ERR_OK) {
        mem_free(l);
        return err;
    }
    l->net = net;
    l->loop = loop;
    l->transport = path != NULL ? CONN_UNIX : CONN_TCP;
    l->port = path != NULL ? 0 : bound_port(l->fd);
    snprintf(l->path, sizeof(l->path), "%s", path == NULL ? "" : path);
    loop_timer_init(&l->pause, on_pause_over);
    loop_call(loop, start_on_loop, l);
    *ret_listener = l;
    return ERR_OK;
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    close(l->fd);
    atomic_store(&l->closed, true);
}

static void stop_on_loop(void *arg)
{
    struct listener *l = arg;
    loop_timer_stop(l->loop, &l->pause);
    uv_close((uv_handle_t *)&l->poll, on_listener_closed);
}

void listener_close(struct listener *l)
{
    if (l == NULL) {
        return;
    }
    if (l->path[0] != '\0') {
        unlink(l->path);
    }
    loop_call(l->loop, stop_on_loop, l);
    while (!atomic_load(&l->closed)) {
        wire_pause(NS_PER_MS / 5);
    }
    mem_free(l);
}
