/* Who may come in: the first frame of a connection.
 *
 * A member says its cluster, node id and boot id; with TLS its certificate must carry the same node
 * id. Somebody without an identity (joining, operator) is let in by the owner's `admit`, which
 * looks at the token and the certificate's name. Whoever is refused gets the reason and the
 * connection ends. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/scope.h"
#include "rpc/conn/limits.h"
#include "rpc/server/server.h"
#include "rpc/server/server_int.h"

static struct known_node *find_node(struct rpc_server *s, uint64_t node)
{
    for (struct hash_node *n = hash_first(&s->nodes, hash_u64(node)); n != NULL; n = hash_next(n)) {
        struct known_node *k = CONTAINER_OF(n, struct known_node, by_node);
        if (k->node == node) {
            return k;
        }
    }
    return NULL;
}

unsigned rpc_server_connections(struct rpc_server *s, uint64_t node)
{
    SCOPE_LOCK(&s->lock);
    struct known_node *k = find_node(s, node);
    return k != NULL ? k->connections : 0;
}

/* An id belongs to one process at a time. */
static db_err claim_node(struct rpc_server *s, struct server_conn *sc, struct diag *diag)
{
    SCOPE_LOCK(&s->lock);
    struct known_node *k = find_node(s, sc->info.node);
    if (k != NULL && k->boot_id != sc->info.boot_id) {
        return diag_set(diag, ERR_EXISTS,
                        "node %" PRIu64 " is connected already, by another process with the same "
                        "id (if it was restarted a moment ago this ends by itself)",
                        sc->info.node);
    }
    if (k == NULL) {
        k = mem_calloc(1, sizeof(*k));
        if (k == NULL || hash_insert(&s->nodes, &k->by_node, hash_u64(sc->info.node)) != ERR_OK) {
            mem_free(k);
            return ERR_NOMEM;
        }
        k->node = sc->info.node;
        k->boot_id = sc->info.boot_id;
    }
    k->connections++;
    sc->counted_node = true;
    return ERR_OK;
}

void server__forget_node(struct rpc_server *s, struct server_conn *sc)
{
    if (!sc->counted_node) {
        return;
    }
    sc->counted_node = false;
    struct known_node *k = find_node(s, sc->info.node);
    k->connections--;
    if (k->connections == 0) {
        hash_remove(&s->nodes, &k->by_node);
        mem_free(k);
    }
}

static db_err check_cluster(struct rpc_server *s, const struct rpc_hello *h, struct diag *diag)
{
    static const uint8_t none[16];
    const struct rpc_identity *me = &s->opts.identity;
    bool known = memcmp(h->cluster, none, 16) != 0;
    if ((known || h->kind == RPC_PEER_NODE) && memcmp(h->cluster, me->cluster, 16) != 0) {
        return diag_set(diag, ERR_INVALID, "this node belongs to another cluster");
    }
    if (h->to_node != 0 && h->to_node != me->node) {
        return diag_set(diag, ERR_INVALID, "this is node %" PRIu64 ", not node %" PRIu64, me->node,
                        h->to_node);
    }
    return ERR_OK;
}

static db_err check_member(struct rpc_server *s, struct server_conn *sc, struct diag *diag)
{
    char name[32];
    snprintf(name, sizeof(name), "node-%" PRIu64, sc->info.node);
    if (sc->info.node == 0 || sc->info.boot_id == 0) {
        return diag_set(diag, ERR_INVALID, "a member without a node id");
    }
    if (sc->info.encrypted && strcmp(sc->info.name, name) != 0) {
        return diag_set(diag, ERR_INVALID, "it says it is %s, its certificate says '%s'", name,
                        sc->info.name);
    }
    if (sc->info.node == s->opts.identity.node && sc->info.boot_id != s->opts.identity.boot_id) {
        return diag_set(diag, ERR_EXISTS, "node %" PRIu64 " is this node's own id", sc->info.node);
    }
    return claim_node(s, sc, diag);
}

static db_err check_hello(struct server_conn *sc, const struct rpc_hello *h, struct diag *diag)
{
    struct rpc_server *s = sc->server;
    if (h->version != RPC_PROTOCOL_VERSION) {
        return diag_set(diag, ERR_UNSUPPORTED, "this node speaks protocol version %d, not %u",
                        RPC_PROTOCOL_VERSION, h->version);
    }
    TRY(check_cluster(s, h, diag));
    if (h->kind == RPC_PEER_NODE) {
        return check_member(s, sc, diag);
    }
    if (s->opts.admit == NULL) {
        return diag_set(diag, ERR_UNSUPPORTED, "this node lets in members only");
    }
    return s->opts.admit(s->opts.ctx, &sc->info, h->token, diag);
}

static void fill_info(struct server_conn *sc, const struct rpc_hello *h)
{
    const struct rpc_pipe *pipe = rpc_conn_pipe(sc->conn);
    sc->info.kind = (enum rpc_peer_kind)h->kind;
    sc->info.node = h->kind == RPC_PEER_NODE ? h->node : 0;
    sc->info.boot_id = h->boot_id;
    sc->info.class = (enum rpc_class)h->class;
    sc->info.encrypted = pipe->encrypted;
    snprintf(sc->info.name, sizeof(sc->info.name), "%s", pipe->peer_name);
    snprintf(sc->info.remote, sizeof(sc->info.remote), "%s", pipe->remote);
}

static db_err send_welcome(struct server_conn *sc, db_err err, const struct diag *diag)
{
    uint8_t block[RPC_ERROR_BLOCK_MAX];
    const struct rpc_identity *me = &sc->server->opts.identity;
    struct rpc_welcome w = {
        .version = RPC_PROTOCOL_VERSION,
        .node = me->node,
        .boot_id = me->boot_id,
        .error = slice_of(block, rpc_error_encode(err, diag, block)),
    };
    memcpy(w.cluster, me->cluster, sizeof(w.cluster));
    SCOPE_BUF(bytes, RPC_FRAME_MAX_HELLO);
    TRY(rpc_welcome_encode(&w, &bytes));
    const struct rpc_frame_head head = {.type = RPC_FRAME_WELCOME};
    return rpc_conn_queue(sc->conn, &head, buf_slice(&bytes), NULL, 0, NULL);
}

bool server__hello(struct server_conn *sc, const struct rpc_frame *frame)
{
    struct rpc_server *s = sc->server;
    struct rpc_hello h;
    struct diag diag;
    diag_reset(&diag);
    if (frame->head.type != RPC_FRAME_HELLO || rpc_hello_decode(frame->header, &h) != ERR_OK) {
        /* Nobody who would understand an answer. */
        LOG_WARN("rpc.hello.refused", F_STR("peer", rpc_conn_pipe(sc->conn)->remote),
                 F_STR("reason", "the first frame is no hello"));
        metrics_add(METRIC_rpc_hellos_refused, 1);
        rpc_conn_close(sc->conn, ERR_CORRUPT, "the first frame is no hello");
        return false;
    }
    fill_info(sc, &h);
    db_err err = check_hello(sc, &h, &diag);
    if (err != ERR_OK) {
        LOG_WARN("rpc.hello.refused", F_STR("peer", sc->info.remote), F_U64("node", h.node),
                 F_STR("reason", diag.text[0] != '\0' ? diag.text : err_text(err)));
        metrics_add(METRIC_rpc_hellos_refused, 1);
    } else {
        pthread_mutex_lock(&s->lock);
        sc->open = true;
        s->unknown_count--;
        pthread_mutex_unlock(&s->lock);
        rpc_conn_open(sc->conn, s->opts.frame_max);
    }
    db_err sent = send_welcome(sc, err, &diag);
    if (err == ERR_OK && sent == ERR_OK) {
        return true;
    }
    rpc_conn_close(sc->conn, ERR_INVALID, diag.text);
    return false;
}
