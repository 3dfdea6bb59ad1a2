/* The connection of one class to one peer: when to dial, first frames, up, down.
 *
 *     idle --wanted--> dialing --> hello --> up --> down --pause over--> dialing ...
 *
 * All moves out of time (dial, give up, ping) are made by the client's clockwork, on its loop; the
 * moves that a transport's thread makes are those to hello (dial done), up (welcome read) and down
 * (closed). Calls that find no connection wait in `waiting` while the breaker is closed.
 *
 * A connection's callbacks take the link's lock; nothing that may call them (rpc_conn_close,
 * rpc_conn_start) is called with it held. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/scope.h"
#include "rpc/client/client.h"
#include "rpc/client/client_int.h"
#include "rpc/conn/limits.h"
#include "rpc/transport/tls.h"

#define UP_SHORT_NS NS_PER_S

static const struct sm_state g_states[LINK__COUNT] = {
    [LINK_IDLE] = {"idle", SM_TO(LINK_DIALING), SM_INITIAL},
    [LINK_DIALING] = {"dialing", SM_TO(LINK_HELLO) | SM_TO(LINK_DOWN), 0},
    [LINK_HELLO] = {"hello", SM_TO(LINK_UP) | SM_TO(LINK_DOWN), 0},
    [LINK_UP] = {"up", SM_TO(LINK_DOWN), 0},
    [LINK_DOWN] = {"down", SM_TO(LINK_DIALING) | SM_TO(LINK_IDLE), 0},
};

void link__init(struct link *l, struct rpc_peer *peer, enum rpc_class class, unsigned lane)
{
    struct rpc_client *client = peer->client;
    l->peer = peer;
    l->client = client;
    l->class = class;
    l->lane = lane;
    pthread_mutex_init(&l->lock, NULL);
    sm_init(&l->sm, "rpc link", g_states, LINK__COUNT, LINK_IDLE, NULL, NULL);
    breaker_init(
        &l->breaker, client->opts.timing.redial_ms, client->opts.timing.redial_max_ms,
        hash_combine(client->seed, hash_combine(peer->node, (uint64_t) class + 16 * lane)));
    list_init(&l->waiting);
    snprintf(l->why, sizeof(l->why), "not connected yet");
}

void link__fini(struct link *l)
{
    ASSERT(list_empty(&l->waiting));
    ASSERT(l->conn == NULL);
    mem_free(l->slots);
    pthread_mutex_destroy(&l->lock);
}

static void wake_waiting(struct link *l)
{
    struct list *n;
    while ((n = list_pop_front(&l->waiting)) != NULL) {
        wait_signal(&CONTAINER_OF(n, struct up_waiter, link)->waiter, 0);
    }
}

/* With the lock held. */
static void go_down(struct link *l, const char *why, bool failed)
{
    sm_move(&l->sm, LINK_DOWN);
    uint64_t now_ns = clock_mono_ns();
    if (failed) {
        bool first = !breaker_is_open(&l->breaker);
        l->until_ns = breaker_failed(&l->breaker, now_ns);
        metrics_add(METRIC_rpc_dials_failed, 1);
        if (first || strcmp(l->why, why) != 0) {
            LOG_INFO("rpc.peer.down", F_STR("peer", l->peer->label),
                     F_STR("class", rpc_class_name(l->class)), F_STR("reason", why));
        }
    } else {
        /* A first attempt at once, calls may wait for it; not if connections come and go. */
        uint64_t pause_ns = l->client->opts.timing.redial_ms * NS_PER_MS;
        l->until_ns = now_ns - l->up_ns < UP_SHORT_NS ? now_ns + pause_ns : now_ns;
        if (l->wanted) {
            LOG_INFO("rpc.peer.lost", F_STR("peer", l->peer->label),
                     F_STR("class", rpc_class_name(l->class)), F_STR("reason", why));
        }
    }
    snprintf(l->why, sizeof(l->why), "%s", why);
    if (failed) {
        wake_waiting(l);
    }
}

void link__want(struct link *l)
{
    if (!l->wanted) {
        l->wanted = true;
        client__kick(l->client);
    }
}

/* --- connecting --- */

static void dial_unref(struct link_dial *d)
{
    if (atomic_fetch_sub(&d->refs, 1) == 1) {
        mem_free(d);
    }
}

static void conn_closed(void *ctx, struct rpc_conn *c, db_err err, const char *text);
static const struct rpc_conn_ops g_conn_ops = {link__on_frames, conn_closed};

static db_err send_hello(struct link *l, struct rpc_conn *c)
{
    const struct rpc_identity *id = &l->client->opts.identity;
    struct rpc_hello hello = {
        .version = RPC_PROTOCOL_VERSION,
        .kind = (uint8_t)id->kind,
        .class = (uint8_t)l->class,
        .node = id->node,
        .boot_id = id->boot_id,
        .to_node = l->peer->node,
        .token = id->token != NULL ? slice_str(id->token) : SLICE_EMPTY,
    };
    memcpy(hello.cluster, id->cluster, sizeof(hello.cluster));
    SCOPE_BUF(bytes, RPC_FRAME_MAX_HELLO);
    TRY(rpc_hello_encode(&hello, &bytes));
    const struct rpc_frame_head head = {.type = RPC_FRAME_HELLO};
    return rpc_conn_queue(c, &head, buf_slice(&bytes), NULL, 0, NULL);
}

static void dialed(struct rpc_dial *dial, db_err err, const char *text, struct rpc_pipe *pipe)
{
    struct link_dial *d = CONTAINER_OF(dial, struct link_dial, dial);
    struct link *l = d->link;
    struct rpc_client *client = l->client;
    struct rpc_conn *c = NULL;
    if (err == ERR_OK) {
        c = rpc_conn_new(pipe, &g_conn_ops, l, client->opts.queue_max);
        err = c == NULL ? ERR_NOMEM : ERR_OK;
        text = "out of memory";
    }
    pthread_mutex_lock(&l->lock);
    ASSERT(l->dial == d);
    l->dial = NULL;
    dial_unref(d);
    if (c != NULL) {
        sm_move(&l->sm, LINK_HELLO);
        l->conn = c;
        l->until_ns = clock_mono_ns() + client->opts.timing.hello_ms * NS_PER_MS;
        rpc_conn_ref(c);
        rpc_latch_enter(&client->latch);
    } else {
        char why[256];
        snprintf(why, sizeof(why), "%s: %s", d->address, text);
        go_down(l, why, true);
    }
    bool wanted = l->wanted;
    pthread_mutex_unlock(&l->lock);
    if (c != NULL) {
        /* Not wanted any more: the closed connection tells so. */
        err = wanted ? send_hello(l, c) : ERR_CLOSED;
        if (err != ERR_OK) {
            rpc_conn_close(c, err, "given up");
        }
        rpc_conn_start(c);
        rpc_conn_unref(c);
    }
    client__kick(client);
    dial_unref(d);
    rpc_latch_leave(&client->latch);
}

static db_err find_address(struct link *l, char *ret_address)
{
    const struct rpc_client_opts *o = &l->client->opts;
    if (l->peer->node == 0) {
        memcpy(ret_address, l->peer->address, RPC_ADDRESS_MAX);
        return ERR_OK;
    }
    return o->resolve != NULL ? o->resolve(o->ctx, l->peer->node, ret_address, RPC_ADDRESS_MAX)
                              : ERR_NOT_FOUND;
}

/* A lane is its loop's; the others are spread. */
static unsigned loop_of(const struct link *l)
{
    const struct rpc_client_opts *o = &l->client->opts;
    unsigned first = (unsigned)l->peer->node + (unsigned)l->class;
    return (o->lanes > 1 && has_lanes(l->class) ? l->lane : first) % o->loop_count;
}

/* Clockwork; with the lock held, gives it back. Nobody else looks for l->dial meanwhile. */
static void dial_now(struct link *l, uint64_t now_ns)
{
    struct rpc_client *client = l->client;
    uint64_t node = l->peer->node;
    sm_move(&l->sm, LINK_DIALING);
    pthread_mutex_unlock(&l->lock);
    metrics_add(METRIC_rpc_dials, 1);
    struct link_dial *d = mem_calloc(1, sizeof(*d));
    db_err err = d == NULL ? ERR_NOMEM : find_address(l, d->address);
    pthread_mutex_lock(&l->lock);
    if (err != ERR_OK) {
        mem_free(d);
        go_down(l, err == ERR_NOT_FOUND ? "its address is not known" : err_text(err), true);
        pthread_mutex_unlock(&l->lock);
        return;
    }
    if (node != 0) {
        snprintf(d->server_name, sizeof(d->server_name), "node-%" PRIu64, node);
    } else {
        snprintf(d->server_name, sizeof(d->server_name), "%s", RPC_TLS_ANY_NODE);
    }
    d->link = l;
    atomic_init(&d->refs, 3); /* done, the link, this call */
    d->dial = (struct rpc_dial){
        .address = slice_str(d->address),
        .server_name = d->server_name,
        .loop = client->loops[loop_of(l)],
        .done = dialed,
    };
    l->dial = d;
    l->until_ns = now_ns + client->opts.timing.dial_ms * NS_PER_MS;
    rpc_latch_enter(&client->latch);
    pthread_mutex_unlock(&l->lock);
    rpc_dial(client->opts.transport, &d->dial);
    dial_unref(d);
}

/* The transport's thread: the answer to our first frame. */
static void check_welcome(struct link *l, struct rpc_conn *c, const struct rpc_frame *frame,
                          struct diag *diag, struct rpc_welcome *ret_w)
{
    const struct rpc_identity *id = &l->client->opts.identity;
    static const uint8_t none[16];
    db_err err;
    struct slice rest;
    if (frame->head.type != RPC_FRAME_WELCOME ||
        rpc_welcome_decode(frame->header, ret_w) != ERR_OK ||
        rpc_error_decode(ret_w->error, diag, &err, &rest) != ERR_OK) {
        diag_set(diag, ERR_CORRUPT, "the answer is no welcome");
        return;
    }
    const struct rpc_pipe *pipe = rpc_conn_pipe(c);
    char name[32];
    snprintf(name, sizeof(name), "node-%" PRIu64, ret_w->node);
    if (err != ERR_OK) {
        char text[256];
        snprintf(text, sizeof(text), "%.250s", diag->text);
        diag_set(diag, err, "refused: %s", text);
    } else if (ret_w->version != RPC_PROTOCOL_VERSION) {
        diag_set(diag, ERR_UNSUPPORTED, "it speaks protocol version %u, this node %d",
                 ret_w->version, RPC_PROTOCOL_VERSION);
    } else if (memcmp(id->cluster, none, 16) != 0 && memcmp(id->cluster, ret_w->cluster, 16) != 0) {
        diag_set(diag, ERR_INVALID, "it belongs to another cluster");
    } else if (l->peer->node != 0 && ret_w->node != l->peer->node) {
        diag_set(diag, ERR_INVALID, "it is node %" PRIu64 ", not node %" PRIu64, ret_w->node,
                 l->peer->node);
    } else if (pipe->encrypted && strcmp(pipe->peer_name, name) != 0) {
        diag_set(diag, ERR_INVALID, "it says it is %s, its certificate says %s", name,
                 pipe->peer_name);
    }
}

void link__on_welcome(struct link *l, struct rpc_conn *c, const struct rpc_frame *frame)
{
    struct diag diag;
    struct rpc_welcome w = {0};
    diag_reset(&diag);
    check_welcome(l, c, frame, &diag, &w);
    if (diag.err != ERR_OK) {
        rpc_conn_close(c, diag.err, diag.text);
        return;
    }
    rpc_conn_open(c, l->client->opts.frame_max);
    pthread_mutex_lock(&l->lock);
    if (l->conn == c && sm_state(&l->sm) == LINK_HELLO) {
        sm_move(&l->sm, LINK_UP);
        memcpy(l->cluster, w.cluster, sizeof(l->cluster));
        l->node = w.node;
        atomic_store(&l->peer->said_node, w.node);
        l->generation++;
        l->up_ns = clock_mono_ns();
        breaker_succeeded(&l->breaker);
        wake_waiting(l);
    }
    pthread_mutex_unlock(&l->lock);
    LOG_INFO("rpc.peer.up", F_U64("node", w.node), F_STR("class", rpc_class_name(l->class)),
             F_STR("address", rpc_conn_pipe(c)->remote));
    client__kick(l->client);
}

static void conn_closed(void *ctx, struct rpc_conn *c, db_err err, const char *text)
{
    struct link *l = ctx;
    struct rpc_client *client = l->client;
    char why[256];
    snprintf(why, sizeof(why), "%s: %s", rpc_conn_pipe(c)->remote, text);
    pthread_mutex_lock(&l->lock);
    ASSERT(l->conn == c);
    bool was_up = sm_state(&l->sm) == LINK_UP;
    l->conn = NULL;
    /* After silence nobody waits for the next connection: a frozen process's are accepted too. */
    go_down(l, why, !was_up || err == ERR_TIMEOUT);
    link__fail_pending(l, c, err == ERR_CANCELED ? ERR_CLOSED : ERR_UNAVAILABLE, why);
    pthread_mutex_unlock(&l->lock);
    client__kick(client);
    rpc_conn_unref(c);
    rpc_latch_leave(&client->latch);
}

/* --- clockwork --- */

static void tell(struct link *l)
{
    const struct rpc_client_opts *o = &l->client->opts;
    char why[256];
    pthread_mutex_lock(&l->lock);
    bool up = sm_state(&l->sm) == LINK_UP;
    bool down_first = l->told_up && (!up || l->told_generation != l->generation);
    bool then_up = up && (!l->told_up || down_first);
    uint64_t node = l->peer->node != 0 ? l->peer->node : l->node;
    memcpy(why, l->why, sizeof(why));
    l->told_up = up;
    l->told_generation = l->generation;
    pthread_mutex_unlock(&l->lock);
    if (l->lane != 0) { /* the first one speaks for all */
        return;
    }
    if (o->state != NULL && down_first) {
        o->state(o->ctx, node, l->class, false, why);
    }
    if (o->state != NULL && then_up) {
        o->state(o->ctx, node, l->class, true, "");
    }
}

void link__tick(struct link *l, uint64_t now_ns)
{
    struct rpc_client *client = l->client;
    tell(l);
    pthread_mutex_lock(&l->lock);
    struct rpc_conn *c = NULL;
    switch (sm_state(&l->sm)) {
    case LINK_IDLE:
        if (l->wanted) {
            dial_now(l, now_ns);
            return;
        }
        break;
    case LINK_DOWN:
        if (!l->wanted) {
            sm_move(&l->sm, LINK_IDLE);
            breaker_succeeded(&l->breaker);
            wake_waiting(l);
        } else if (now_ns >= l->until_ns) {
            dial_now(l, now_ns);
            return;
        }
        break;
    case LINK_DIALING:
        if (now_ns >= l->until_ns || !l->wanted) {
            struct link_dial *d = l->dial;
            l->until_ns = DEADLINE_NONE;
            atomic_fetch_add(&d->refs, 1);
            pthread_mutex_unlock(&l->lock);
            rpc_dial_cancel(client->opts.transport, &d->dial);
            dial_unref(d);
            return;
        }
        break;
    default: c = rpc_conn_ref(l->conn);
    }
    bool hello = sm_state(&l->sm) == LINK_HELLO;
    bool late = hello && now_ns >= l->until_ns;
    bool wanted = l->wanted;
    pthread_mutex_unlock(&l->lock);
    if (c != NULL) {
        if (!wanted) {
            rpc_conn_close(c, ERR_CANCELED, "disconnected");
        } else if (late) {
            rpc_conn_close(c, ERR_TIMEOUT, "no welcome in time");
        } else if (!hello) {
            rpc_conn_tick(c, now_ns, &client->opts.timing);
        }
        rpc_conn_unref(c);
    }
}

void link__end(struct link *l)
{
    pthread_mutex_lock(&l->lock);
    l->wanted = false;
    snprintf(l->why, sizeof(l->why), "this node is stopping");
    wake_waiting(l);
    pthread_mutex_unlock(&l->lock);
    link__tick(l, clock_mono_ns());
}

/* --- waiting for it --- */

/* With the lock held. ERR_BUSY: wait. */
static db_err link_ready(struct link *l, struct diag *diag, struct rpc_conn **ret_conn)
{
    if (atomic_load(&l->client->closing)) {
        return diag_set(diag, ERR_CLOSED, "this node is stopping");
    }
    if (sm_state(&l->sm) == LINK_UP) {
        *ret_conn = rpc_conn_ref(l->conn);
        return ERR_OK;
    }
    link__want(l);
    if (breaker_is_open(&l->breaker)) {
        return diag_set(diag, ERR_UNAVAILABLE, "%s is not reachable: %s", l->peer->label, l->why);
    }
    return ERR_BUSY;
}

db_err link__wait_up(struct link *l, uint64_t deadline_ns, struct diag *diag,
                     struct rpc_conn **ret_conn)
{
    for (;;) {
        struct up_waiter w;
        pthread_mutex_lock(&l->lock);
        db_err err = link_ready(l, diag, ret_conn);
        if (err != ERR_BUSY) {
            pthread_mutex_unlock(&l->lock);
            return err;
        }
        wait_init(&w.waiter);
        list_push_back(&l->waiting, &w.link);
        pthread_mutex_unlock(&l->lock);
        err = wait_block(&w.waiter, deadline_ns);
        if (err != ERR_OK) {
            pthread_mutex_lock(&l->lock);
            bool chosen = list_empty(&w.link);
            list_remove(&w.link);
            pthread_mutex_unlock(&l->lock);
            if (chosen) {
                wait_block_uncancelable(&w.waiter);
            }
            return diag_set(diag, err, "waiting for a connection to %s: %s", l->peer->label,
                            err_text(err));
        }
    }
}
