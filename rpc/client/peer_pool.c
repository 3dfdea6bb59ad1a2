/* The pool of peers and its clockwork: one timer on the client's first loop looks at every link
 * some twenty times a second; whoever wants it sooner kicks. Peers and links are only ever added
 * while the client lives, so that their lists can be walked without the lock once the head is
 * known. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/rand.h"
#include "base/scope.h"
#include "rpc/client/client.h"
#include "rpc/client/client_int.h"

static void look_at_links(struct rpc_client *client)
{
    pthread_mutex_lock(&client->lock);
    struct link *l = client->links;
    pthread_mutex_unlock(&client->lock);
    uint64_t now_ns = clock_mono_ns();
    for (; l != NULL; l = l->next) {
        link__tick(l, now_ns);
    }
}

static void arm(struct rpc_client *client)
{
    db_err err = loop_timer_start(client->loops[0], &client->timer,
                                  clock_mono_ns() + client->opts.timing.tick_ms * NS_PER_MS);
    ASSERT(err == ERR_OK);
}

static void on_timer(struct loop_timer *timer)
{
    struct rpc_client *client = CONTAINER_OF(timer, struct rpc_client, timer);
    look_at_links(client);
    arm(client);
}

static void on_start(struct loop_task *task)
{
    struct rpc_client *client = CONTAINER_OF(task, struct rpc_client, start_task);
    if (!client->stopped) {
        arm(client);
    }
    rpc_latch_leave(&client->latch);
}

static void on_kick(struct loop_task *task)
{
    struct rpc_client *client = CONTAINER_OF(task, struct rpc_client, kick_task);
    pthread_mutex_lock(&client->lock);
    client->kicked = false;
    pthread_mutex_unlock(&client->lock);
    look_at_links(client);
    rpc_latch_leave(&client->latch);
}

static void on_stop(struct loop_task *task)
{
    struct rpc_client *client = CONTAINER_OF(task, struct rpc_client, stop_task);
    client->stopped = true;
    loop_timer_stop(client->loops[0], &client->timer);
    for (struct link *l = client->links; l != NULL; l = l->next) {
        link__end(l);
    }
    rpc_latch_leave(&client->latch);
}

void client__kick(struct rpc_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool post = !client->kicked && !client->closing;
    if (post) {
        client->kicked = true;
        rpc_latch_enter(&client->latch);
    }
    pthread_mutex_unlock(&client->lock);
    if (post) {
        loop_post(client->loops[0], &client->kick_task);
    }
}

db_err client__enter(struct rpc_client *client, struct diag *diag)
{
    /* Once the last one has left nobody enters: the latch is left for all calls once. */
    unsigned calls = atomic_load(&client->calls);
    do {
        if (UNLIKELY(calls == 0 || atomic_load(&client->closing))) {
            return diag_set(diag, ERR_CLOSED, "this node is stopping");
        }
    } while (!atomic_compare_exchange_weak(&client->calls, &calls, calls + 1));
    return ERR_OK;
}

void client__leave(struct rpc_client *client)
{
    if (atomic_fetch_sub(&client->calls, 1) == 1) {
        rpc_latch_leave(&client->latch);
    }
}

db_err rpc_client_start(const struct rpc_client_opts *opts, struct rpc_client **ret_client)
{
    ASSERT(opts->loop_count > 0);
    ASSERT(opts->identity.boot_id != 0);
    struct rpc_client *client = mem_calloc(1, sizeof(*client));
    struct loop **loops = mem_calloc(opts->loop_count, sizeof(*loops));
    if (client == NULL || loops == NULL) {
        mem_free(client);
        mem_free(loops);
        return ERR_NOMEM;
    }
    memcpy(loops, opts->loops, opts->loop_count * sizeof(*loops));
    client->opts = *opts;
    client->loops = loops;
    client->opts.lanes = opts->lanes < RPC_LANES_MAX ? opts->lanes : RPC_LANES_MAX;
    rpc_timing_defaults(&client->opts.timing);
    client->seed = hash_combine(opts->identity.boot_id, opts->identity.node);
    pthread_mutex_init(&client->lock, NULL);
    hash_init(&client->by_node);
    client->kick_task.fn = on_kick;
    client->stop_task.fn = on_stop;
    client->start_task.fn = on_start;
    loop_timer_init(&client->timer, on_timer);
    atomic_init(&client->calls, 1);
    rpc_latch_init(&client->latch, 3); /* the start task; the stop task; the calls */
    loop_post(loops[0], &client->start_task);
    *ret_client = client;
    return ERR_OK;
}

static void free_all(struct rpc_client *client)
{
    struct rpc_peer *peer = client->peers;
    while (peer != NULL) {
        struct rpc_peer *next = peer->next;
        for (unsigned i = 0; i < client__links(client); i++) {
            link__fini(&peer->links[i]);
        }
        mem_free(peer);
        peer = next;
    }
    hash_fini(&client->by_node);
    rpc_latch_fini(&client->latch);
    pthread_mutex_destroy(&client->lock);
    mem_free(client->loops);
    mem_free(client);
}

void rpc_client_stop(struct rpc_client *client)
{
    if (client == NULL) {
        return;
    }
    pthread_mutex_lock(&client->lock);
    client->closing = true;
    pthread_mutex_unlock(&client->lock);
    client__leave(client);
    loop_post(client->loops[0], &client->stop_task);
    rpc_latch_wait(&client->latch);
    free_all(client);
}

/* --- peers --- */

/* With the lock held. */
static struct rpc_peer *peer_new(struct rpc_client *client, uint64_t node, const char *address)
{
    struct rpc_peer *peer = mem_calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return NULL;
    }
    peer->client = client;
    peer->node = node;
    atomic_init(&peer->said_node, node);
    snprintf(peer->address, sizeof(peer->address), "%s", address);
    if (node != 0) {
        snprintf(peer->label, sizeof(peer->label), "node %" PRIu64, node);
    } else {
        snprintf(peer->label, sizeof(peer->label), "%s", address);
    }
    if (node != 0 && hash_insert(&client->by_node, &peer->by_node, hash_u64(node)) != ERR_OK) {
        mem_free(peer);
        return NULL;
    }
    for (unsigned i = 0; i < client__links(client); i++) {
        struct link *l = &peer->links[i];
        unsigned more = i < RPC_CLASS__COUNT ? 0 : i - RPC_CLASS__COUNT;
        bool lane = i >= RPC_CLASS__COUNT;
        link__init(l, peer, (enum rpc_class)(lane ? more % LANED_CLASSES : i),
                   lane ? more / LANED_CLASSES + 1 : 0);
        l->next = client->links;
        client->links = l;
    }
    peer->next = client->peers;
    client->peers = peer;
    return peer;
}

struct rpc_peer *rpc_client_peer(struct rpc_client *client, uint64_t node)
{
    ASSERT(node != 0);
    SCOPE_LOCK(&client->lock);
    for (struct hash_node *n = hash_first(&client->by_node, hash_u64(node)); n != NULL;
         n = hash_next(n)) {
        struct rpc_peer *peer = CONTAINER_OF(n, struct rpc_peer, by_node);
        if (peer->node == node) {
            return peer;
        }
    }
    return peer_new(client, node, "");
}

struct rpc_peer *rpc_client_peer_at(struct rpc_client *client, const char *address)
{
    SCOPE_LOCK(&client->lock);
    for (struct rpc_peer *peer = client->peers; peer != NULL; peer = peer->next) {
        if (peer->node == 0 && strcmp(peer->address, address) == 0) {
            return peer;
        }
    }
    return peer_new(client, 0, address);
}

uint64_t rpc_peer_node(const struct rpc_peer *peer)
{
    return atomic_load(&peer->said_node);
}

void rpc_peer_connect(struct rpc_peer *peer, enum rpc_class class)
{
    for (unsigned i = 0; i < client__links(peer->client); i++) {
        struct link *l = &peer->links[i];
        /* One-way messages are lost without a connection; calls wait for theirs. */
        if (l->class != class || (l->lane != 0 && class != RPC_CLASS_RAFT)) {
            continue;
        }
        SCOPE_LOCK(&l->lock);
        if (!atomic_load(&peer->client->closing)) {
            link__want(l);
        }
    }
}

bool rpc_peer_is_up(const struct rpc_peer *peer, enum rpc_class class)
{
    struct link *l = (struct link *)&peer->links[class];
    SCOPE_LOCK(&l->lock);
    return sm_state(&l->sm) == LINK_UP;
}

void rpc_peer_disconnect(struct rpc_peer *peer)
{
    for (unsigned i = 0; i < client__links(peer->client); i++) {
        struct link *l = &peer->links[i];
        SCOPE_LOCK(&l->lock);
        l->wanted = false;
    }
    client__kick(peer->client);
}

void rpc_peer_poke(struct rpc_peer *peer)
{
    for (unsigned i = 0; i < client__links(peer->client); i++) {
        struct link *l = &peer->links[i];
        SCOPE_LOCK(&l->lock);
        breaker_hurry(&l->breaker);
        if (sm_state(&l->sm) == LINK_DOWN) {
            l->until_ns = 0;
        }
    }
    client__kick(peer->client);
}

db_err rpc_peer_identity(struct rpc_peer *peer, enum rpc_class class, uint8_t ret_cluster[16],
                         uint64_t *ret_node)
{
    struct link *l = &peer->links[class];
    SCOPE_LOCK(&l->lock);
    if (l->generation == 0) {
        return ERR_UNAVAILABLE;
    }
    memcpy(ret_cluster, l->cluster, sizeof(l->cluster));
    *ret_node = l->node;
    return ERR_OK;
}
