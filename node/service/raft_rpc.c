#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "node/service/rpc_services.h"

/* Raft messages, link messages and snapshots between nodes.
 *
 * Out: a message is its header and the data of its entries as the payload; rpc/ gathers what one
 * turn of a loop sends to one peer into one write. Long entries are not copied: the piece holds a
 * reference of their blob. In: handlers run on the thread that has read the message and queue it at
 * its replica, whose loop is woken at once: a message takes one hand-over, and none once all that
 * has come for a while was of the lanes of one loop, which then reads the connection itself. The
 * payload of all entries is one blob, copied when it is short, so that a long-lived entry does not
 * keep a whole read buffer alive. */

enum { COPY_BELOW = 8 * 1024, PARTS_MAX = 64, SNAPSHOT_PIECE = RPC_STREAM_CHUNK_MAX - 4096 };

/* ---- out ---- */

static struct rpc_peer *peer_of(struct replica_transport *t, node_id_t node)
{
    struct rpc_replica_transport *r = CONTAINER_OF(t, struct rpc_replica_transport, base);
    struct rpc_client *client = atomic_load_explicit(&r->client, memory_order_acquire);
    return client == NULL ? NULL : rpc_client_peer(client, node);
}

/* Entries in parts: the short ones are copied by the call, and runs of them that lie side by side
 * (one proposal's blob) go as one piece. False: more pieces than one message may have. */
static bool gather(const struct raft_msg *msg, struct rpc_part *parts, unsigned *ret_count)
{
    unsigned n = 0;
    for (size_t i = 0; i < msg->entry_count; i++) {
        const struct raft_entry *e = &msg->entries[i];
        if (e->data.len == 0) {
            continue;
        }
        struct rpc_part *last = n == 0 ? NULL : &parts[n - 1];
        if (last != NULL && last->owner == NULL && e->data.len < COPY_BELOW &&
            last->bytes.ptr + last->bytes.len == e->data.ptr) {
            last->bytes.len += e->data.len;
            continue;
        }
        if (n == PARTS_MAX) {
            return false;
        }
        bool whole = e->blob != NULL && e->data.len >= COPY_BELOW;
        parts[n++] = (struct rpc_part){e->data, whole ? blob_ref(e->blob) : NULL};
    }
    *ret_count = n;
    return true;
}

/* Many pieces: one after the other into one blob. */
static struct blob *flatten(const struct raft_msg *msg)
{
    struct blob *b = blob_new(raft_msg_payload_size(msg));
    size_t at = 0;
    for (size_t i = 0; b != NULL && i < msg->entry_count; i++) {
        struct slice d = msg->entries[i].data;
        if (d.len != 0) {
            memcpy(b->data + at, d.ptr, d.len);
        }
        at += d.len;
    }
    return b;
}

static void raft_send(struct replica_transport *t, node_id_t to, range_id_t range,
                      const struct raft_msg *msg)
{
    struct rpc_peer *peer = peer_of(t, to);
    struct rpc_part parts[PARTS_MAX];
    unsigned count = 0;
    struct buf header;
    buf_init(&header, 1 << 20);
    if (peer == NULL || raft_msg_encode(&header, range, msg) != ERR_OK) {
        buf_fini(&header);
        return; /* as lost on the way */
    }
    if (!gather(msg, parts, &count)) {
        struct blob *all = flatten(msg);
        for (unsigned i = 0; i < PARTS_MAX; i++) {
            blob_unref(parts[i].owner);
        }
        count = all == NULL ? 0 : 1;
        parts[0] =
            (struct rpc_part){all == NULL ? SLICE_EMPTY : slice_of(all->data, all->size), all};
        if (all == NULL) {
            buf_fini(&header);
            return;
        }
    }
    bool sent = rpc_send(peer, RPC_M_raft_messages, buf_slice(&header), parts, count);
    (void)sent;
    for (unsigned i = 0; i < count; i++) {
        blob_unref(parts[i].owner);
    }
    buf_fini(&header);
}

static void raft_send_link(struct replica_transport *t, node_id_t to, const struct link_msg *msg)
{
    struct rpc_peer *peer = peer_of(t, to);
    uint8_t bytes[LINK_MSG_SIZE];
    if (peer != NULL) {
        link_msg_encode(msg, bytes);
        bool sent = rpc_send(peer, RPC_M_raft_heartbeats, slice_of(bytes, sizeof(bytes)), NULL, 0);
        (void)sent;
    }
}

/* ---- snapshots out ---- */

/* The transport's stream is rpc's. */
static struct rpc_stream *stream_of(struct snapshot_stream *s)
{
    return (struct rpc_stream *)(void *)s;
}

static db_err snapshot_open(struct replica_transport *t, node_id_t to, struct slice header,
                            struct diag *diag, struct snapshot_stream **ret_stream)
{
    struct rpc_peer *peer = peer_of(t, to);
    struct rpc_stream *s;
    if (peer == NULL) {
        return diag_set(diag, ERR_UNAVAILABLE, "this node has no connections yet");
    }
    TRY(rpc_stream_open(peer, RPC_M_raft_snapshot, header, DEADLINE_NONE, diag, &s));
    *ret_stream = (struct snapshot_stream *)(void *)s;
    return ERR_OK;
}

static db_err snapshot_write(struct snapshot_stream *s, struct slice chunk)
{
    while (chunk.len != 0) {
        size_t n = chunk.len < SNAPSHOT_PIECE ? chunk.len : SNAPSHOT_PIECE;
        struct rpc_part part = RPC_PART(slice_of(chunk.ptr, n));
        TRY(rpc_stream_write(stream_of(s), SLICE_EMPTY, &part, 1, NULL));
        chunk = slice_from(chunk, n);
    }
    return ERR_OK;
}

static db_err snapshot_finish(struct snapshot_stream *s, bool commit, struct diag *diag)
{
    struct rpc_stream *r = stream_of(s);
    if (commit) {
        rpc_stream_end(r);
    } else {
        rpc_stream_abort(r, ERR_CANCELED, "the sender gave the snapshot up");
    }
    db_err err = rpc_stream_finish(r, diag);
    rpc_stream_free(r);
    return err;
}

static const struct replica_transport_ops rpc_transport_ops = {
    .name = "rpc",
    .send = raft_send,
    .send_link = raft_send_link,
    .flush = NULL,
    .snapshot_open = snapshot_open,
    .snapshot_write = snapshot_write,
    .snapshot_finish = snapshot_finish,
};

void rpc_replica_transport_init(struct rpc_replica_transport *t)
{
    t->base.ops = &rpc_transport_ops;
    atomic_init(&t->client, NULL);
}

void rpc_replica_transport_use(struct rpc_replica_transport *t, struct rpc_client *client)
{
    atomic_store_explicit(&t->client, client, memory_order_release);
}

/* ---- in ---- */

/* *payload is moved to where the blob has it. NULL for an empty payload; false without memory. */
static bool keep(const struct rpc_msg *msg, struct slice *payload, struct blob **ret_blob)
{
    *ret_blob = NULL;
    *payload = msg->payload;
    if (payload->len == 0) {
        return true;
    }
    if (payload->len < COPY_BELOW) {
        struct blob *b = blob_new(payload->len);
        if (b == NULL) {
            return false;
        }
        memcpy(b->data, payload->ptr, payload->len);
        *payload = slice_of(b->data, payload->len);
        *ret_blob = b;
        return true;
    }
    *ret_blob = blob_ref(msg->blob);
    return true;
}

static void on_message(void *ctx, const struct rpc_peer_info *from, const struct rpc_msg *msg)
{
    struct rpc_services *s = ctx;
    struct arena arena;
    struct slice payload;
    struct blob *blob;
    struct raft_msg m;
    range_id_t range;
    if (!keep(msg, &payload, &blob)) {
        return;
    }
    arena_init(&arena, NULL, NULL, 0);
    db_err err = raft_msg_decode(msg->header, blob, payload, &arena, &range, &m);
    if (err == ERR_OK) {
        range_store_receive(s->ranges, from->node, range, &m);
        rpc_oneway_was_for(from, range_store_lane_loop(s->ranges, range_lane(range)));
    } else {
        LOG_WARN("raft.message.malformed", F_U64("node", from->node), F_ERR(err));
    }
    blob_unref(blob);
    arena_fini(&arena);
}

static void on_link(void *ctx, const struct rpc_peer_info *from, const struct rpc_msg *msg)
{
    struct rpc_services *s = ctx;
    struct link_msg m;
    if (link_msg_decode(msg->header, &m) == ERR_OK) {
        range_store_receive_link(s->ranges, from->node, &m);
    }
}

struct stream_reader {
    struct snapshot_reader base;
    struct rpc_stream *stream;
    struct rpc_msg chunk;
    struct diag *diag;
};

static db_err next_chunk(struct snapshot_reader *r, struct slice *ret_chunk)
{
    struct stream_reader *sr = CONTAINER_OF(r, struct stream_reader, base);
    bool end;
    do {
        rpc_msg_release(&sr->chunk);
        TRY(rpc_stream_read(sr->stream, sr->diag, &sr->chunk, &end));
    } while (!end && sr->chunk.payload.len == 0);
    *ret_chunk = end ? SLICE_EMPTY : sr->chunk.payload;
    return ERR_OK;
}

static db_err on_snapshot(void *ctx, const struct rpc_peer_info *from, struct slice header,
                          struct rpc_stream *stream, struct diag *diag)
{
    static const struct snapshot_reader_ops ops = {"rpc", next_chunk};
    struct rpc_services *s = ctx;
    struct stream_reader r = {.base = {&ops}, .stream = stream, .diag = diag};
    db_err err = range_store_receive_snapshot(s->ranges, from->node, header, &r.base, diag);
    rpc_msg_release(&r.chunk);
    return err;
}

void rpc_raft_register(struct rpc_services *s, struct rpc_server *server)
{
    rpc_server_handle_oneway_direct(server, RPC_M_raft_messages, on_message, s);
    rpc_server_handle_oneway_direct(server, RPC_M_raft_heartbeats, on_link, s);
    rpc_server_handle_stream(server, RPC_M_raft_snapshot, on_snapshot, s);
}

void rpc_services_register(struct rpc_services *s, struct rpc_server *server)
{
    rpc_kv_register(s, server);
    rpc_meta_register(s, server);
    rpc_raft_register(s, server);
    rpc_coord_register(s, server);
}
