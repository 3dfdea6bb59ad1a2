/* A network on simulated loops.
 *
 * A connection is two ends; what one sends becomes a packet on its way to the other, with a delay
 * drawn from the seed, in order. Each end belongs to a loop, and only that loop's turn touches its
 * timer and calls its owner back; others leave what they have for it and post its task. All loops
 * of the group are run by one thread, so that nothing needs a lock.
 *
 * Ends, dials and listeners are kept in lists of the net, in the order in which they were made:
 * nothing is decided by an address. What belonged to a host that was killed stays there, untouched,
 * until the net is freed: its loop has dropped its tasks and timers. */
#include "rpc/transport/sim_transport.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/rand.h"

enum { HOST_NAME_MAX_ = 64, CUTS_MAX = 256, FIRST_PORT = 40000 };
#define RECHECK_NS (5 * NS_PER_MS)

struct cut {
    char from[HOST_NAME_MAX_];
    char to[HOST_NAME_MAX_];
};

struct rpc_sim_net {
    struct rpc_sim_opts opts;
    struct rand rand;
    struct list hosts;
    struct list ends;
    struct list dials;
    struct cut cuts[CUTS_MAX];
    unsigned cut_count;
    uint16_t next_port;
};

struct sim_host {
    struct rpc_transport base;
    struct rpc_sim_net *net;
    struct list link;
    struct list listeners;
    struct loop *loop;
    bool dead;
    char name[HOST_NAME_MAX_];
};

struct rpc_listener {
    struct list link;
    struct sim_host *host;
    uint16_t port;
    struct rpc_listen listen;
};

struct packet {
    struct list link;
    uint64_t delay_ns; /* until it was noticed by the receiver's loop, then due_ns */
    uint64_t due_ns;   /* 0: not noticed yet */
    bool last;         /* the sender has closed */
    size_t len;
    size_t taken;
    uint8_t bytes[];
};

struct sim_end {
    struct rpc_pipe base;
    struct rpc_sim_net *net;
    struct list link; /* net->ends */
    struct sim_host *host;
    struct loop *loop;
    struct sim_end *other; /* NULL: freed or its host is dead */
    struct sim_host *other_host;
    struct list coming; /* of packet: on their way to us */
    size_t coming_bytes;
    uint64_t last_due_ns;
    struct list arrived; /* of packet */
    uint8_t *recv_ptr;
    size_t recv_len;
    size_t send_bytes; /* under way: waits for room */
    bool broken;       /* nothing more will come, nothing can be sent */
    bool closed;       /* by its owner */
    bool freed;        /* by its owner */
    bool task_queued;
    struct loop_task task;
    struct loop_timer timer;
    struct rpc_listener *accept_by; /* not given to the listener yet */
};

struct sim_dial {
    struct list link;
    struct sim_host *host;
    struct rpc_dial *dial;
    struct loop *loop;
    bool canceled;
    char address[RPC_ADDRESS_MAX];
    struct loop_task task;
    struct loop_timer timer;
};

static bool is_cut(const struct rpc_sim_net *net, const char *from, const char *to)
{
    for (unsigned i = 0; i < net->cut_count; i++) {
        const struct cut *c = &net->cuts[i];
        if ((strcmp(c->from, "*") == 0 || strcmp(c->from, from) == 0) &&
            (strcmp(c->to, "*") == 0 || strcmp(c->to, to) == 0)) {
            return true;
        }
    }
    return false;
}

static uint64_t draw_delay(struct rpc_sim_net *net)
{
    const struct rpc_sim_opts *o = &net->opts;
    uint64_t max = o->delay_max_ns;
    if (o->slow_chance > 0 && rand_unit(&net->rand) < o->slow_chance) {
        max = o->slow_max_ns;
    }
    return o->delay_min_ns +
           (max > o->delay_min_ns ? rand_below(&net->rand, max - o->delay_min_ns) : 0);
}

static void start_timer(struct loop *loop, struct loop_timer *timer, uint64_t due_ns)
{
    db_err err = loop_timer_start(loop, timer, due_ns);
    ASSERT(err == ERR_OK);
}

static void poke(struct sim_end *e)
{
    if (!e->task_queued && !e->host->dead) {
        e->task_queued = true;
        loop_post(e->loop, &e->task);
    }
}

/* --- ends --- */

static void drop_packets(struct list *packets)
{
    struct list *n;
    while ((n = list_pop_front(packets)) != NULL) {
        mem_free(CONTAINER_OF(n, struct packet, link));
    }
}

static void end_destroy(struct sim_end *e)
{
    drop_packets(&e->coming);
    drop_packets(&e->arrived);
    list_remove(&e->link);
    mem_free(e);
}

static struct packet *packet_new(struct rpc_sim_net *net, size_t len, bool last)
{
    struct packet *k = mem_alloc(sizeof(*k) + len);
    if (k != NULL) {
        *k = (struct packet){.delay_ns = draw_delay(net), .last = last, .len = len};
    }
    return k;
}

static void packet_send(struct sim_end *e, struct packet *k)
{
    struct sim_end *to = e->other;
    list_push_back(&to->coming, &k->link);
    to->coming_bytes += k->len;
    poke(to);
}

static void end_break(struct sim_end *e)
{
    if (e != NULL && !e->broken) {
        e->broken = true;
        poke(e);
    }
}

/* Takes arrived bytes; 0: there are none. */
static size_t take(struct sim_end *e, uint8_t *ptr, size_t len)
{
    size_t done = 0;
    while (done < len && !list_empty(&e->arrived)) {
        struct packet *k = CONTAINER_OF(e->arrived.next, struct packet, link);
        size_t n = k->len - k->taken < len - done ? k->len - k->taken : len - done;
        memcpy(ptr + done, k->bytes + k->taken, n);
        done += n;
        k->taken += n;
        if (k->taken == k->len) {
            list_remove(&k->link);
            mem_free(k);
        }
    }
    if (done > 0 && e->coming_bytes >= e->net->opts.buffer_max && e->other != NULL) {
        poke(e->other); /* there may be room now */
    }
    e->coming_bytes -= done;
    return done;
}

/* Moves what is due from coming to arrived; arms the timer for the rest. */
static void arrive(struct sim_end *e)
{
    uint64_t now_ns = loop_now_ns(e->loop);
    struct rpc_sim_net *net = e->net;
    LIST_FOREACH (n, &e->coming) {
        struct packet *k = CONTAINER_OF(n, struct packet, link);
        if (k->due_ns == 0) {
            uint64_t due_ns = now_ns + k->delay_ns;
            k->due_ns = due_ns > e->last_due_ns ? due_ns : e->last_due_ns;
            e->last_due_ns = k->due_ns;
        }
    }
    while (!list_empty(&e->coming) && !e->broken) {
        struct packet *k = CONTAINER_OF(e->coming.next, struct packet, link);
        if (k->due_ns > now_ns) {
            start_timer(e->loop, &e->timer, k->due_ns);
            return;
        }
        if (is_cut(net, e->other_host->name, e->host->name)) {
            start_timer(e->loop, &e->timer, now_ns + RECHECK_NS);
            return;
        }
        list_remove(&k->link);
        if (k->last ||
            (net->opts.reset_chance > 0 && rand_unit(&net->rand) < net->opts.reset_chance)) {
            if (!k->last) {
                end_break(e->other);
            }
            e->broken = true;
            mem_free(k);
        } else {
            list_push_back(&e->arrived, &k->link);
        }
    }
}

static bool has_room(const struct sim_end *e)
{
    return e->other == NULL || e->other->coming_bytes < e->net->opts.buffer_max;
}

/* The end's own loop: whatever may have changed. */
static void end_turn(struct sim_end *e)
{
    if (e->host->dead) {
        return;
    }
    if (e->freed) {
        loop_timer_stop(e->loop, &e->timer);
        end_destroy(e);
        return;
    }
    if (e->accept_by != NULL) {
        struct rpc_listener *l = e->accept_by;
        e->accept_by = NULL;
        l->listen.accepted(l->listen.ctx, &e->base);
        poke(e); /* it may be gone already: look again in a turn of its own */
        return;
    }
    arrive(e);
    if (e->send_bytes > 0 && (e->broken || e->closed || has_room(e))) {
        size_t n = e->send_bytes;
        bool ok = !e->broken && !e->closed;
        e->send_bytes = 0;
        poke(e);
        e->base.events.sent(e->base.ctx, ok ? ERR_OK : ERR_CLOSED, ok ? n : 0);
        return;
    }
    if (e->recv_ptr == NULL) {
        return;
    }
    size_t n = e->closed ? 0 : take(e, e->recv_ptr, e->recv_len);
    if (n > 0 || e->broken || e->closed) {
        e->recv_ptr = NULL;
        e->base.events.received(e->base.ctx, n > 0 ? ERR_OK : ERR_CLOSED, n);
    }
}

static void on_end_task(struct loop_task *task)
{
    struct sim_end *e = CONTAINER_OF(task, struct sim_end, task);
    e->task_queued = false;
    end_turn(e);
}

static void on_end_timer(struct loop_timer *timer)
{
    struct sim_end *e = CONTAINER_OF(timer, struct sim_end, timer);
    if (!e->freed) {
        end_turn(e);
    }
}

static bool pipe_send(struct rpc_pipe *base, const struct slice *iov, unsigned count,
                      struct rpc_io *ret_io)
{
    struct sim_end *e = CONTAINER_OF(base, struct sim_end, base);
    size_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        total += iov[i].len;
    }
    struct rpc_sim_net *net = e->net;
    if (net->opts.split_chance > 0 && total > 1 && rand_unit(&net->rand) < net->opts.split_chance) {
        total = 1 + rand_below(&net->rand, total - 1);
    }
    struct packet *k = NULL;
    if (!e->closed && !e->broken && e->other != NULL) {
        k = packet_new(net, total, false);
    }
    if (k == NULL) {
        *ret_io = (struct rpc_io){ERR_CLOSED, 0};
        return true;
    }
    size_t done = 0;
    for (unsigned i = 0; i < count && done < total; i++) {
        size_t n = iov[i].len < total - done ? iov[i].len : total - done;
        memcpy(k->bytes + done, iov[i].ptr, n);
        done += n;
    }
    packet_send(e, k);
    if (has_room(e)) {
        *ret_io = (struct rpc_io){ERR_OK, total};
        return true;
    }
    e->send_bytes = total;
    return false;
}

static bool pipe_recv(struct rpc_pipe *base, void *ptr, size_t len, struct rpc_io *ret_io)
{
    struct sim_end *e = CONTAINER_OF(base, struct sim_end, base);
    ASSERT(e->recv_ptr == NULL);
    size_t n = e->closed ? 0 : take(e, ptr, len);
    if (n > 0 || e->closed || e->broken) {
        *ret_io = (struct rpc_io){n > 0 ? ERR_OK : ERR_CLOSED, n};
        return true;
    }
    e->recv_ptr = ptr;
    e->recv_len = len;
    return false;
}

static void pipe_close(struct rpc_pipe *base)
{
    struct sim_end *e = CONTAINER_OF(base, struct sim_end, base);
    if (e->closed) {
        return;
    }
    e->closed = true;
    if (e->other != NULL && !e->broken) {
        struct packet *k = packet_new(e->net, 0, true);
        if (k != NULL) {
            packet_send(e, k);
        } else {
            end_break(e->other);
        }
    }
    poke(e);
}

static void pipe_free(struct rpc_pipe *base)
{
    struct sim_end *e = CONTAINER_OF(base, struct sim_end, base);
    pipe_close(base);
    if (e->other != NULL) {
        e->other->other = NULL;
        e->other = NULL;
    }
    e->freed = true;
    poke(e);
}

static const struct rpc_pipe_ops g_pipe_ops = {
    .name = "sim", .send = pipe_send, .recv = pipe_recv, .close = pipe_close, .free = pipe_free};

static struct sim_end *end_new(struct sim_host *host, struct loop *loop, struct sim_host *other)
{
    struct sim_end *e = mem_calloc(1, sizeof(*e));
    if (e == NULL) {
        return NULL;
    }
    e->base.ops = &g_pipe_ops;
    snprintf(e->base.remote, sizeof(e->base.remote), "%s", other->name);
    e->net = host->net;
    e->host = host;
    e->other_host = other;
    e->loop = loop;
    list_init(&e->coming);
    list_init(&e->arrived);
    e->task.fn = on_end_task;
    loop_timer_init(&e->timer, on_end_timer);
    list_push_back(&e->net->ends, &e->link);
    return e;
}

/* --- dialling --- */

static struct rpc_listener *find_listener(struct rpc_sim_net *net, const char *address)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL) {
        return NULL;
    }
    size_t len = (size_t)(colon - address);
    unsigned long port = strtoul(colon + 1, NULL, 10);
    LIST_FOREACH (n, &net->hosts) {
        struct sim_host *h = CONTAINER_OF(n, struct sim_host, link);
        if (h->dead || strlen(h->name) != len || memcmp(h->name, address, len) != 0) {
            continue;
        }
        LIST_FOREACH (m, &h->listeners) {
            struct rpc_listener *l = CONTAINER_OF(m, struct rpc_listener, link);
            if (l->port == port) {
                return l;
            }
        }
    }
    return NULL;
}

static void dial_over(struct sim_dial *d, db_err err, const char *text, struct rpc_pipe *pipe)
{
    struct rpc_dial *dial = d->dial;
    list_remove(&d->link);
    mem_free(d);
    dial->done(dial, err, text, pipe);
}

static void on_dial_timer(struct loop_timer *timer)
{
    struct sim_dial *d = CONTAINER_OF(timer, struct sim_dial, timer);
    struct rpc_sim_net *net = d->host->net;
    char to[HOST_NAME_MAX_];
    snprintf(to, sizeof(to), "%.*s", (int)strcspn(d->address, ":"), d->address);
    if (d->host->dead) {
        return;
    }
    if (d->canceled) {
        dial_over(d, ERR_CANCELED, "no answer in time", NULL);
        return;
    }
    if (is_cut(net, d->host->name, to) || is_cut(net, to, d->host->name)) {
        start_timer(d->loop, &d->timer, loop_now_ns(d->loop) + RECHECK_NS);
        return;
    }
    struct rpc_listener *l = find_listener(net, d->address);
    if (l == NULL) {
        dial_over(d, ERR_UNAVAILABLE, "connection refused", NULL);
        return;
    }
    struct sim_end *a = end_new(d->host, d->loop, l->host);
    struct sim_end *b =
        end_new(l->host, l->listen.loop != NULL ? l->listen.loop : l->host->loop, d->host);
    if (a == NULL || b == NULL) {
        struct sim_end *made = a != NULL ? a : b;
        if (made != NULL) {
            end_destroy(made);
        }
        dial_over(d, ERR_NOMEM, "out of memory", NULL);
        return;
    }
    a->other = b;
    b->other = a;
    b->accept_by = l;
    poke(b);
    dial_over(d, ERR_OK, NULL, &a->base);
}

static void on_dial_task(struct loop_task *task)
{
    struct sim_dial *d = CONTAINER_OF(task, struct sim_dial, task);
    start_timer(d->loop, &d->timer, loop_now_ns(d->loop) + 2 * draw_delay(d->host->net));
}

static void transport_dial(struct rpc_transport *base, struct rpc_dial *dial)
{
    struct sim_host *h = CONTAINER_OF(base, struct sim_host, base);
    struct sim_dial *d = mem_calloc(1, sizeof(*d));
    if (d == NULL) {
        dial->done(dial, ERR_NOMEM, "out of memory", NULL);
        return;
    }
    d->host = h;
    d->dial = dial;
    d->loop = dial->loop != NULL ? dial->loop : h->loop;
    snprintf(d->address, sizeof(d->address), "%.*s", SLICE_FMT(dial->address));
    d->task.fn = on_dial_task;
    loop_timer_init(&d->timer, on_dial_timer);
    list_push_back(&h->net->dials, &d->link);
    loop_post(d->loop, &d->task);
}

static void transport_dial_cancel(struct rpc_transport *base, struct rpc_dial *dial)
{
    struct sim_host *h = CONTAINER_OF(base, struct sim_host, base);
    LIST_FOREACH (n, &h->net->dials) {
        struct sim_dial *d = CONTAINER_OF(n, struct sim_dial, link);
        if (d->dial == dial) {
            d->canceled = true; /* its timer goes on until then */
        }
    }
}

/* --- listening --- */

static db_err transport_listen(struct rpc_transport *base, const struct rpc_listen *listen,
                               struct diag *diag, uint16_t *ret_port,
                               struct rpc_listener **ret_listener)
{
    struct sim_host *h = CONTAINER_OF(base, struct sim_host, base);
    const char *colon = strrchr(listen->address, ':');
    unsigned long port = colon != NULL ? strtoul(colon + 1, NULL, 10) : 0;
    LIST_FOREACH (n, &h->listeners) {
        if (port != 0 && CONTAINER_OF(n, struct rpc_listener, link)->port == port) {
            return diag_set(diag, ERR_IO, "%s: port %lu is in use", h->name, port);
        }
    }
    struct rpc_listener *l = mem_calloc(1, sizeof(*l));
    if (l == NULL) {
        return ERR_NOMEM;
    }
    l->host = h;
    l->port = port != 0 ? (uint16_t)port : h->net->next_port++;
    l->listen = *listen;
    list_push_back(&h->listeners, &l->link);
    *ret_port = l->port;
    *ret_listener = l;
    return ERR_OK;
}

static void transport_listener_close(struct rpc_transport *base UNUSED, struct rpc_listener *l)
{
    LIST_FOREACH (n, &l->host->net->ends) {
        struct sim_end *e = CONTAINER_OF(n, struct sim_end, link);
        if (e->accept_by == l) { /* nobody will have it */
            e->accept_by = NULL;
            pipe_free(&e->base);
        }
    }
    list_remove(&l->link);
    mem_free(l);
}

static void transport_free(struct rpc_transport *base)
{
    struct sim_host *h = CONTAINER_OF(base, struct sim_host, base);
    /* The host is kept by the net: packets on their way may still name it. */
    ASSERT(list_empty(&h->listeners));
}

static const struct rpc_transport_ops g_transport_ops = {
    .name = "sim",
    .dial = transport_dial,
    .dial_cancel = transport_dial_cancel,
    .listen = transport_listen,
    .listener_close = transport_listener_close,
    .free = transport_free,
};

/* --- the net --- */

db_err rpc_sim_transport_new(struct rpc_sim_net *net, const char *host, struct loop *loop,
                             struct rpc_transport **ret_transport)
{
    struct sim_host *h = mem_calloc(1, sizeof(*h));
    if (h == NULL) {
        return ERR_NOMEM;
    }
    h->base.ops = &g_transport_ops;
    h->net = net;
    h->loop = loop;
    list_init(&h->listeners);
    snprintf(h->name, sizeof(h->name), "%s", host);
    list_push_back(&net->hosts, &h->link);
    *ret_transport = &h->base;
    return ERR_OK;
}

void rpc_sim_net_set(struct rpc_sim_net *net, const struct rpc_sim_opts *opts)
{
    net->opts = *opts;
    struct rpc_sim_opts *o = &net->opts;
    o->delay_min_ns = o->delay_min_ns != 0 ? o->delay_min_ns : 50 * NS_PER_US;
    o->delay_max_ns = o->delay_max_ns != 0 ? o->delay_max_ns : 500 * NS_PER_US;
    o->slow_max_ns = o->slow_max_ns != 0 ? o->slow_max_ns : 50 * NS_PER_MS;
    o->buffer_max = o->buffer_max != 0 ? o->buffer_max : 1 << 20;
}

db_err rpc_sim_net_new(const struct rpc_sim_opts *opts, struct rpc_sim_net **ret_net)
{
    struct rpc_sim_net *net = mem_calloc(1, sizeof(*net));
    if (net == NULL) {
        return ERR_NOMEM;
    }
    list_init(&net->hosts);
    list_init(&net->ends);
    list_init(&net->dials);
    rand_seed(&net->rand, opts->seed);
    rpc_sim_net_set(net, opts);
    net->next_port = FIRST_PORT;
    *ret_net = net;
    return ERR_OK;
}

void rpc_sim_net_free(struct rpc_sim_net *net)
{
    if (net == NULL) {
        return;
    }
    LIST_FOREACH_SAFE (n, &net->ends) {
        end_destroy(CONTAINER_OF(n, struct sim_end, link));
    }
    LIST_FOREACH_SAFE (n, &net->dials) {
        mem_free(CONTAINER_OF(n, struct sim_dial, link));
    }
    LIST_FOREACH_SAFE (n, &net->hosts) {
        struct sim_host *h = CONTAINER_OF(n, struct sim_host, link);
        LIST_FOREACH_SAFE (m, &h->listeners) {
            mem_free(CONTAINER_OF(m, struct rpc_listener, link));
        }
        mem_free(h);
    }
    mem_free(net);
}

void rpc_sim_net_cut(struct rpc_sim_net *net, const char *from, const char *to, bool cut)
{
    for (unsigned i = net->cut_count; i > 0; i--) {
        struct cut *c = &net->cuts[i - 1];
        if (strcmp(c->from, from) == 0 && strcmp(c->to, to) == 0) {
            *c = net->cuts[--net->cut_count];
        }
    }
    if (cut) {
        ASSERT(net->cut_count < CUTS_MAX);
        struct cut *c = &net->cuts[net->cut_count++];
        snprintf(c->from, sizeof(c->from), "%s", from);
        snprintf(c->to, sizeof(c->to), "%s", to);
    }
}

void rpc_sim_net_heal(struct rpc_sim_net *net)
{
    net->cut_count = 0;
}

void rpc_sim_net_kill(struct rpc_sim_net *net, const char *host)
{
    LIST_FOREACH (n, &net->hosts) {
        struct sim_host *h = CONTAINER_OF(n, struct sim_host, link);
        if (!h->dead && strcmp(h->name, host) == 0) {
            h->dead = true;
        }
    }
    LIST_FOREACH (n, &net->ends) {
        struct sim_end *e = CONTAINER_OF(n, struct sim_end, link);
        if (e->host->dead && e->other != NULL) {
            e->other->other = NULL;
            end_break(e->other);
            e->other = NULL;
        }
    }
}
