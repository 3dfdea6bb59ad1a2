#include "node/main/membership.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/kv/kv.h"
#include "node/main/membership_int.h"
#include "node/main/node.h"

/* Members come to be known by heartbeats (their answers list all), by the answer to a join, and at
 * a restart from a file, so that there is somebody to send the first heartbeat to. Each known
 * member has an address for the RPC client's resolver and a KV service for routing; both stay for
 * good, so that whoever holds one needs no care. */

#define LICENCE_WAIT_NS  (60 * NS_PER_S)
#define LICENCE_RETRY_NS (50 * NS_PER_MS)

/* ---- what is known ---- */

/* Under the mutex. */
static struct known_member *find(struct membership *m, node_id_t id)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (m->members[i].info.id == id) {
            return &m->members[i];
        }
    }
    return NULL;
}

static void learn(struct membership *m, const struct node_info *nodes, unsigned count)
{
    pthread_mutex_lock(&m->mutex);
    for (unsigned i = 0; i < count; i++) {
        struct known_member *k = find(m, nodes[i].id);
        if (k == NULL && m->count < MEMBERS_MAX) {
            k = &m->members[m->count++];
            *k = (struct known_member){0};
            m->listed = false;
        }
        if (k != NULL) {
            bool moved = strcmp(k->info.rpc, nodes[i].rpc) != 0;
            m->listed = m->listed && !moved;
            k->moved = k->moved || moved || k->info.boot_id != nodes[i].boot_id;
            k->info = nodes[i];
        }
    }
    pthread_mutex_unlock(&m->mutex);
}

unsigned membership_nodes(struct membership *m, struct node_info *out, unsigned max)
{
    pthread_mutex_lock(&m->mutex);
    unsigned n = m->count;
    for (unsigned i = 0; i < n && i < max; i++) {
        out[i] = m->members[i].info;
    }
    pthread_mutex_unlock(&m->mutex);
    return n;
}

struct write_job {
    struct membership *m;
    struct node_info nodes[MEMBERS_MAX];
    unsigned count;
    db_err err;
};

static void write_blocking(void *arg)
{
    struct write_job *j = arg;
    j->err = members_file_write(j->m->opts.data_dir, j->nodes, j->count);
}

/* What is not written is written after the next heartbeat; said once. */
static void note_written(struct membership *m, db_err err)
{
    pthread_mutex_lock(&m->mutex);
    bool news = err != ERR_OK && m->unwritten == ERR_OK;
    m->unwritten = err;
    m->listed = m->listed && err == ERR_OK;
    m->writing = false;
    pthread_mutex_unlock(&m->mutex);
    if (news) {
        LOG_WARN("node.members.write", F_ERR(err));
    }
}

static void keep_file(struct membership *m)
{
    pthread_mutex_lock(&m->mutex);
    bool due = !m->listed && !m->writing;
    m->listed = m->listed || due;
    m->writing = m->writing || due;
    pthread_mutex_unlock(&m->mutex);
    if (!due) {
        return;
    }
    struct write_job *j = mem_calloc(1, sizeof(*j));
    if (j == NULL) {
        note_written(m, ERR_NOMEM);
        return;
    }
    struct node_info *all = j->nodes;
    unsigned known = membership_nodes(m, all, MEMBERS_MAX);
    for (unsigned i = 0; i < known; i++) {
        if (all[i].id != m->ident.node_id) {
            all[j->count++] = all[i];
        }
    }
    j->m = m;
    blocking_run(write_blocking, j);
    note_written(m, j->err);
    mem_free(j);
}

/* ---- services of the others ---- */

static void make_kv(struct membership *m, node_id_t id)
{
    struct rpc_peer *peer = rpc_client_peer(m->client, id);
    pthread_mutex_lock(&m->mutex);
    struct known_member *k = find(m, id);
    if (k != NULL && peer != NULL && !k->has_kv) {
        remote_kv_service_init(&k->kv, peer);
        k->has_kv = true;
    }
    bool ready = k != NULL && k->has_kv;
    bool moved = k != NULL && k->moved;
    if (k != NULL) {
        k->moved = false;
    }
    pthread_mutex_unlock(&m->mutex);
    if (ready && m->storage != NULL &&
        cluster_storage_member(m->storage, id, &k->kv.base) != ERR_OK) {
        LOG_WARN("node.members.full", F_U64("node", id));
    }
    if (peer != NULL) {
        rpc_peer_connect(peer, RPC_CLASS_RAFT);
        rpc_peer_connect(peer, RPC_CLASS_SQL);
        if (moved) {
            rpc_peer_poke(peer); /* somebody new is there: no need to wait out a back-off */
        }
    }
}

/* A node that has left is not dialled any more. What points to its services stays. */
static void forget(struct membership *m, node_id_t id)
{
    pthread_mutex_lock(&m->mutex);
    struct known_member *k = find(m, id);
    bool due = k != NULL && k->has_kv && !k->gone;
    if (k != NULL) {
        k->gone = true;
    }
    pthread_mutex_unlock(&m->mutex);
    struct rpc_peer *peer = due ? rpc_client_peer(m->client, id) : NULL;
    if (peer != NULL) {
        rpc_peer_disconnect(peer);
    }
}

static void use_members(struct membership *m)
{
    struct node_info nodes[MEMBERS_MAX];
    node_id_t ids[MEMBERS_MAX];
    unsigned others = 0;
    unsigned known = membership_nodes(m, nodes, MEMBERS_MAX);
    for (unsigned i = 0; i < known; i++) {
        if (nodes[i].id != m->ident.node_id && nodes[i].state != NODE_LEFT) {
            ids[others++] = nodes[i].id;
            make_kv(m, nodes[i].id);
        } else if (nodes[i].state == NODE_LEFT) {
            forget(m, nodes[i].id);
        }
    }
    meta_client_members(&m->meta_client, ids, others);
}

/* ---- what meta makes this node do ---- */

static void describe_self(void *ctx, struct node_info *self)
{
    struct membership *m = ctx;
    snprintf(self->rpc, sizeof(self->rpc), "%.*s:%u", (int)sizeof(self->rpc) - 8, m->host, m->port);
    self->flags |= atomic_load(&m->draining) ? (unsigned)NODE_DRAINING : 0u;
    if (m->opts.describe != NULL) {
        m->opts.describe(m->opts.describe_ctx, self);
    }
}

/* Was this node told to leave, or to stay after all? */
static void note_own_state(struct membership *m, const struct node_directory *dir)
{
    for (unsigned i = 0; i < dir->count; i++) {
        bool leaving = dir->nodes[i].state == NODE_DECOMMISSIONING;
        if (dir->nodes[i].id == m->ident.node_id && leaving != m->leaving) {
            m->leaving = leaving;
            LOG_INFO("node.leaving", F_STR("leaving", leaving ? "yes" : "no"));
            if (m->opts.leaving != NULL) {
                m->opts.leaving(m->opts.operator_ctx, leaving);
            }
        }
    }
}

static uint32_t own_fences(const struct membership *m, const struct node_directory *dir)
{
    for (unsigned i = 0; i < dir->count; i++) {
        if (dir->nodes[i].id == m->ident.node_id) {
            return dir->nodes[i].fences;
        }
    }
    return 0;
}

/* Wall clocks decide nothing between nodes (timestamps are the oracle's), but NOW(), logs and
 * certificates go by them: the operator is told. The answer was written somewhere between the
 * question and now. */
static void look_at_clock(struct membership *m, const struct node_directory *dir)
{
    uint64_t way_us = (clock_mono_ns() - dir->asked_ns) / 1000;
    int64_t ahead_us = (int64_t)(clock_wall_us() - dir->wall_us - way_us / 2);
    uint64_t off_us = (uint64_t)(ahead_us < 0 ? -ahead_us : ahead_us);
    if (dir->wall_us == 0 || way_us > CLOCK_OFF_US / 2) {
        return;
    }
    metrics_set(METRIC_node_clock_off_ms, off_us / 1000);
    if ((off_us > CLOCK_OFF_US) == m->clock_off) {
        return;
    }
    m->clock_off = !m->clock_off;
    if (m->clock_off) {
        LOG_WARN("node.clock.off", F_I64("ahead_ms", ahead_us / 1000),
                 F_STR("of", "the node that leads the meta range"));
    } else {
        LOG_INFO("node.clock.right", F_I64("ahead_ms", ahead_us / 1000));
    }
}

static void on_members(void *ctx, const struct node_directory *dir)
{
    struct membership *m = ctx;
    look_at_clock(m, dir);
    uint32_t fences = own_fences(m, dir);
    m->accepted = true;
    if (m->storage != NULL) {
        cluster_storage_fenced(m->storage, fences);
    }
    note_own_state(m, dir);
    learn(m, dir->nodes, dir->count);
    if (m->client != NULL) {
        use_members(m);
        keep_file(m);
    }
    atomic_store(&m->meta_local, meta_client_leads(&m->meta_client));
    if (atomic_load(&m->has_sql)) {
        cluster_coord_renew(&m->coord, dir->asked_ns, fences);
    }
}

static void on_expelled(void *ctx, db_err err, const char *text)
{
    struct membership *m = ctx;
    if (err == ERR_NOT_FOUND && m->accepted && m->opts.left != NULL) {
        m->opts.left(m->opts.operator_ctx, text);
    } else {
        m->opts.on_fatal(m->opts.on_fatal_ctx, err, text);
    }
}

static db_err do_change_replicas(void *ctx, node_id_t leader, range_id_t range,
                                 const struct replica_change *changes, size_t count,
                                 struct diag *diag)
{
    struct membership *m = ctx;
    return leader == m->ident.node_id
               ? range_store_change_replicas(m->ranges, range, changes, count, diag)
               : rpc_change_replicas(m->client, leader, range, changes, count, diag);
}

static db_err do_transfer_lease(void *ctx, node_id_t leader, range_id_t range, node_id_t to,
                                enum lease_locks locks, struct diag *diag)
{
    struct membership *m = ctx;
    return leader == m->ident.node_id
               ? range_store_transfer_lease(m->ranges, range, to, locks, diag)
               : rpc_transfer_lease(m->client, leader, range, to, locks, diag);
}

static db_err do_weigh(void *ctx, node_id_t leader, range_id_t range, struct diag *diag,
                       uint64_t *ret_bytes)
{
    struct membership *m = ctx;
    return leader == m->ident.node_id ? range_store_weigh(m->ranges, range, diag, ret_bytes)
                                      : rpc_weigh(m->client, leader, range, diag, ret_bytes);
}

/* ---- what the engines tell each other ---- */

static unsigned coord_members(void *ctx, bool fresh, struct node_info *out, unsigned max)
{
    struct membership *m = ctx;
    if (fresh) {
        meta_heartbeat_round(m->meta);
    }
    return membership_nodes(m, out, max);
}

static db_err coord_fence(void *ctx, node_id_t node, uint32_t silent_ms)
{
    struct membership *m = ctx;
    struct meta_service *c = &m->meta_client.base;
    struct diag diag;
    diag_reset(&diag);
    return c->ops->fence(c, node, silent_ms, &diag);
}

struct sql_coord *membership_coord(struct membership *m)
{
    return m->client == NULL ? NULL : &m->coord.base;
}

/* Statements are refused without it, and a new node's first heartbeats may come to nothing while
 * the leader of the meta range changes. */
static db_err wait_for_licence(struct membership *m, struct diag *diag)
{
    uint64_t end = clock_mono_ns() + LICENCE_WAIT_NS;
    for (;;) {
        meta_heartbeat_round(m->meta);
        if (m->coord.base.ops->licence(&m->coord.base) != 0) {
            return ERR_OK;
        }
        if (clock_mono_ns() >= end) {
            return diag_set(diag, ERR_UNAVAILABLE, "nobody answers who leads the meta range");
        }
        TRY(fiber_sleep(LICENCE_RETRY_NS));
    }
}

static db_err use_engine(struct membership *m, struct sql_peer *peer, struct diag *diag)
{
    rpc_services_attach(&m->services, peer);
    TRY(peer->ops->refresh_schema(peer, UINT64_MAX, diag));
    TRY(peer->ops->refresh_accounts(peer, diag));
    TRY(peer->ops->refresh_globals(peer, diag));
    cluster_coord_attach(&m->coord, peer);
    atomic_store(&m->has_sql, true);
    return wait_for_licence(m, diag);
}

db_err membership_attach_sql(struct membership *m, struct sql_peer *peer, struct diag *diag)
{
    if (m->client == NULL) {
        return ERR_OK;
    }
    db_err err = peer == NULL ? ERR_CANCELED : use_engine(m, peer, diag);
    if (err != ERR_OK) { /* it is about to be closed */
        atomic_store(&m->has_sql, false);
        rpc_services_detach(&m->services);
        cluster_coord_detach(&m->coord);
    }
    return peer == NULL ? ERR_OK : err;
}

/* ---- RPC's questions ---- */

static db_err resolve(void *ctx, uint64_t node, char *ret_address, size_t size)
{
    struct membership *m = ctx;
    db_err err = ERR_NOT_FOUND;
    pthread_mutex_lock(&m->mutex);
    const struct known_member *k = find(m, node);
    if (k != NULL && k->info.rpc[0] != '\0' && strlen(k->info.rpc) < size) {
        memcpy(ret_address, k->info.rpc, strlen(k->info.rpc) + 1);
        err = ERR_OK;
    }
    pthread_mutex_unlock(&m->mutex);
    return err;
}

static void on_state(void *ctx, uint64_t node, enum rpc_class class, bool up, const char *text)
{
    struct membership *m = ctx;
    LOG_INFO("node.peer", F_U64("node", node), F_STR("class", rpc_class_name(class)),
             F_STR("state", up ? "up" : "down"), F_STR("reason", text == NULL ? "" : text));
    if (!up && class == RPC_CLASS_RAFT && m->ranges != NULL) {
        range_store_peer_down(m->ranges, node);
    }
}

/* The token is checked by the leader of the meta range; an operator must be on this machine. */
static db_err admit(void *ctx, const struct rpc_peer_info *from, struct slice token,
                    struct diag *diag)
{
    (void)ctx;
    (void)token;
    return from->kind == RPC_PEER_JOIN
               ? ERR_OK
               : diag_set(diag, ERR_UNSUPPORTED, "operators use the admin port");
}

/* ---- life ---- */

static db_err read_members(struct membership *m, struct diag *diag)
{
    struct node_info nodes[MEMBERS_MAX];
    unsigned count;
    TRY(members_file_read(m->opts.data_dir, nodes, MEMBERS_MAX, diag, &count));
    learn(m, nodes, count);
    m->listed = true;
    return ERR_OK;
}

static db_err join_cluster(struct membership *m, struct store_ident *ret_ident, struct diag *diag)
{
    struct arena arena;
    struct node_directory dir;
    struct node_info self = {.boot_id = m->boot_id};
    arena_init(&arena, NULL, NULL, 0);
    describe_self(m, &self);
    db_err err = membership_ask_to_join(m, &self, &arena, diag, &dir);
    if (err == ERR_OK) {
        *ret_ident =
            (struct store_ident){.format_version = STORE_FORMAT_VERSION, .node_id = dir.you};
        memcpy(ret_ident->cluster_id, dir.cluster_id, sizeof(ret_ident->cluster_id));
        learn(m, dir.nodes, dir.count);
        err = m->tls ? membership_tls_take(m, &dir, diag) : ERR_OK;
    }
    if (err == ERR_OK) {
        LOG_INFO("node.joined", F_U64("node", dir.you));
    }
    arena_fini(&arena);
    return err;
}

static db_err split_address(struct membership *m, struct diag *diag)
{
    const char *a = m->opts.rpc_address;
    const char *colon = strrchr(a, ':');
    unsigned port;
    if (colon == NULL || (size_t)(colon - a) >= sizeof(m->host) ||
        sscanf(colon + 1, "%u", &port) != 1 || port > UINT16_MAX) {
        return diag_set(diag, ERR_INVALID, "the rpc address must be HOST:PORT and not \"%s\"", a);
    }
    snprintf(m->host, sizeof(m->host), "%.*s", (int)(colon - a), a);
    if (m->opts.advertise != NULL && m->opts.advertise[0] != '\0') {
        snprintf(m->host, sizeof(m->host), "%s", m->opts.advertise);
    }
    m->port = (uint16_t)port;
    return ERR_OK;
}

static db_err new_transport(struct membership *m)
{
    const struct node_world *w = m->opts.world;
    struct loop *loops[64];
    unsigned count = loop_group_count(m->opts.loops);
    if (w != NULL) {
        return w->transport(w->ctx, &m->transport);
    }
    if (m->opts.nng) {
        return rpc_nng_transport_new(&m->transport);
    }
    count = count < ARRAY_COUNT(loops) ? count : (unsigned)ARRAY_COUNT(loops);
    for (unsigned i = 0; i < count; i++) {
        loops[i] = loop_group_get(m->opts.loops, i);
    }
    return rpc_tcp_transport_new(loops, count, &m->transport);
}

/* With TLS over a transport of its own: there is no certificate to show yet. */
static db_err join_over(struct membership *m, struct store_ident *inout_ident, struct diag *diag)
{
    if (!m->tls) {
        return join_cluster(m, inout_ident, diag);
    }
    TRY(membership_tls_pin(m, diag));
    TRY(join_cluster(m, inout_ident, diag));
    rpc_transport_free(m->transport);
    m->transport = NULL;
    return new_transport(m);
}

static db_err open_rpc(struct membership *m, bool found, struct store_ident *inout_ident,
                       struct diag *diag, bool *ret_joining)
{
    if (m->opts.rpc_address == NULL) {
        return ERR_OK;
    }
    TRY(split_address(m, diag));
    TRY(rpc_boot_id(&m->boot_id));
    TRY(new_transport(m));
    bool joins = !found && m->opts.join != NULL && m->opts.join[0] != '\0';
    TRY(read_members(m, diag));
    if (m->opts.join_token != NULL && m->opts.join_token[0] != '\0') {
        snprintf(m->token, sizeof(m->token), "%s", m->opts.join_token);
    } else {
        TRY(token_file(m->opts.data_dir, !found && !joins, diag, m->token));
    }
    TRY(membership_tls_token(m, diag));
    m->tls = m->opts.tls == MEMBERSHIP_TLS_ON ||
             (m->opts.tls == MEMBERSHIP_TLS_AUTO && (m->pin[0] != '\0' || membership_tls_begun(m)));
    m->actions.issue = m->tls ? membership_tls_issue : NULL;
    if (joins) {
        TRY(join_over(m, inout_ident, diag));
        *ret_joining = true;
    }
    return m->tls ? membership_tls_open(m, found, diag) : ERR_OK;
}

db_err membership_open(const struct membership_opts *opts, bool found,
                       struct store_ident *inout_ident, struct diag *diag, bool *ret_joining,
                       struct membership **ret_m)
{
    struct membership *m = mem_calloc_aligned(sizeof(*m), _Alignof(struct membership));
    if (m == NULL) {
        return ERR_NOMEM;
    }
    *ret_joining = false;
    m->opts = *opts;
    pthread_mutex_init(&m->mutex, NULL);
    rpc_tls_pair_init(&m->ca);
    rpc_tls_pair_init(&m->own);
    m->actions = (struct meta_actions){.ctx = m,
                                       .describe_self = describe_self,
                                       .members = on_members,
                                       .expelled = on_expelled,
                                       .change_replicas = do_change_replicas,
                                       .transfer_lease = do_transfer_lease,
                                       .weigh = do_weigh};
    rpc_replica_transport_init(&m->replicas);
    meta_client_init(&m->meta_client, 0, NULL, NULL);
    db_err err = open_rpc(m, found, inout_ident, diag, ret_joining);
    if (err != ERR_OK) {
        membership_close(m);
        return err;
    }
    *ret_m = m;
    return ERR_OK;
}

struct replica_transport *membership_transport(struct membership *m)
{
    return m->opts.rpc_address == NULL ? NULL : &m->replicas.base;
}

static struct rpc_identity identity(const struct membership *m)
{
    struct rpc_identity id = {
        .node = m->ident.node_id, .boot_id = m->boot_id, .kind = RPC_PEER_NODE};
    memcpy(id.cluster, m->ident.cluster_id, sizeof(id.cluster));
    return id;
}

static db_err start_rpc(struct membership *m, struct diag *diag)
{
    struct loop *loops[64];
    unsigned count = loop_group_count(m->opts.loops);
    count = count < ARRAY_COUNT(loops) ? count : (unsigned)ARRAY_COUNT(loops);
    for (unsigned i = 0; i < count; i++) {
        loops[i] = loop_group_get(m->opts.loops, i);
    }
    struct rpc_client_opts co = {.transport = m->transport,
                                 .identity = identity(m),
                                 .loops = loops,
                                 .loop_count = count,
                                 .lanes = m->opts.world == NULL && !m->opts.nng ? count : 0,
                                 .resolve = resolve,
                                 .state = on_state,
                                 .ctx = m};
    struct rpc_server_opts so = {.transport = m->transport,
                                 .address = m->opts.rpc_address,
                                 .identity = identity(m),
                                 .loops = loops,
                                 .loop_count = count,
                                 .admit = admit,
                                 .ctx = m};
    TRY(rpc_client_start(&co, &m->client));
    m->meta_client.rpc = m->client;
    TRY(rpc_server_new(&so, &m->server));
    rpc_services_register(&m->services, m->server);
    TRY(rpc_server_listen(m->server, diag, &m->port));
    rpc_replica_transport_use(&m->replicas, m->client);
    return ERR_OK;
}

db_err membership_listen(struct membership *m, const struct store_ident *ident,
                         struct range_store *ranges, struct kv_service *kv,
                         struct meta_service *local_meta, struct meta *meta, struct diag *diag)
{
    m->ident = *ident;
    m->ranges = ranges;
    m->meta_client.self = ident->node_id;
    m->meta_client.local = local_meta;
    atomic_store(&m->meta_client.leader, 0);
    m->meta = meta;
    m->services = (struct rpc_services){.kv = kv,
                                        .meta = meta,
                                        .meta_anywhere = &m->meta_client.base,
                                        .ranges = ranges,
                                        .drain = m->opts.drain,
                                        .drain_ctx = m->opts.operator_ctx};
    const struct coord_env env = {m, coord_members, coord_fence};
    rpc_services_init(&m->services);
    if (m->opts.rpc_address == NULL) {
        return ERR_OK;
    }
    TRY(start_rpc(m, diag));
    cluster_coord_init(&m->coord, ident->node_id, m->client, &env);
    use_members(m);
    keep_file(m); /* one that has just joined: it knows nobody else by the next start */
    if (m->meta_client.count != 0) {
        membership_announce(m);
    }
    return ERR_OK;
}

struct meta_service *membership_meta_client(struct membership *m)
{
    return &m->meta_client.base;
}

const struct meta_actions *membership_actions(struct membership *m)
{
    return &m->actions;
}

void membership_attach(struct membership *m, struct storage *storage)
{
    m->storage = storage;
    if (m->client != NULL) {
        use_members(m);
    }
}

const _Atomic bool *membership_meta_is_local(struct membership *m)
{
    return &m->meta_local;
}

void membership_drain(struct membership *m, bool on)
{
    atomic_store(&m->draining, on);
}

bool membership_drains(const struct membership *m)
{
    return atomic_load(&m->draining);
}

const char *membership_token(const struct membership *m)
{
    return m->token;
}

void membership_ca(const struct membership *m, struct slice *ret_cert, struct slice *ret_key)
{
    bool has = m->ca.key.len != 0;
    *ret_cert = has ? buf_slice(&m->ca.cert) : SLICE_EMPTY;
    *ret_key = has ? buf_slice(&m->ca.key) : SLICE_EMPTY;
}

uint64_t membership_boot_id(const struct membership *m)
{
    return m->boot_id;
}

uint16_t membership_port(const struct membership *m)
{
    return m->port;
}

struct rpc_client *membership_client(struct membership *m)
{
    return m->client;
}

void membership_stop(struct membership *m)
{
    if (m == NULL) {
        return;
    }
    membership_announced(m);
    rpc_server_stop(m->server);
    m->server = NULL;
    rpc_replica_transport_use(&m->replicas, NULL);
    rpc_client_stop(m->client);
    m->client = NULL;
}

void membership_close(struct membership *m)
{
    if (m == NULL) {
        return;
    }
    ASSERT(m->client == NULL && m->server == NULL);
    rpc_transport_free(m->transport);
    rpc_tls_pair_fini(&m->own);
    rpc_tls_pair_fini(&m->ca);
    meta_client_fini(&m->meta_client);
    pthread_mutex_destroy(&m->mutex);
    mem_free_aligned(m);
}
