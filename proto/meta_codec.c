#include "proto/kv_codec.h"

#include "proto/codec_int.h"

/* Calls of the meta service: everything is control, so that all of it stands in the header. */

/* ---- members ---- */

static void fill_node(const struct node_info *n, Skein__Kv__Node *m)
{
    skein__kv__node__init(m);
    m->id = n->id;
    m->state = n->state;
    m->boot_id = n->boot_id;
    m->rpc = proto_bytes(slice_str(n->rpc));
    m->mysql = proto_bytes(slice_str(n->mysql));
    m->admin = proto_bytes(slice_str(n->admin));
    m->version = proto_bytes(slice_str(n->version));
    m->flags = n->flags;
    m->ranges = n->ranges;
    m->leases = n->leases;
    m->alive = 1u + (unsigned)n->liveness;
    m->heard_ms = n->heard_ms;
    m->incarnation = n->incarnation;
    m->fences = n->fences;
    m->load = n->load;
}

static bool take_text(ProtobufCBinaryData from, char *to, size_t size)
{
    if (from.len >= size) {
        return false;
    }
    memcpy(to, from.data != NULL ? from.data : (uint8_t *)(uintptr_t) "", from.len);
    to[from.len] = '\0';
    return true;
}

static db_err take_node(const Skein__Kv__Node *m, struct node_info *n)
{
    if (m->state > NODE_LEFT || m->alive > 1u + (unsigned)NODE_ALIVE) {
        return ERR_CORRUPT;
    }
    *n = (struct node_info){.id = m->id,
                            .state = (enum node_state)m->state,
                            .boot_id = m->boot_id,
                            .flags = m->flags,
                            .ranges = m->ranges,
                            .leases = m->leases,
                            .liveness =
                                m->alive == 0 ? NODE_DEAD : (enum node_liveness)(m->alive - 1u),
                            .heard_ms = m->heard_ms,
                            .incarnation = m->incarnation,
                            .fences = m->fences,
                            .load = m->load};
    return take_text(m->rpc, n->rpc, sizeof(n->rpc)) &&
                   take_text(m->mysql, n->mysql, sizeof(n->mysql)) &&
                   take_text(m->admin, n->admin, sizeof(n->admin)) &&
                   take_text(m->version, n->version, sizeof(n->version))
               ? ERR_OK
               : ERR_CORRUPT;
}

db_err node_info_encode(const struct node_info *info, struct buf *b)
{
    Skein__Kv__Node m;
    fill_node(info, &m);
    return message_put(&m.base, b);
}

db_err node_info_decode(struct slice bytes, struct node_info *ret_info)
{
    struct arena a;
    struct node_info info;
    arena_init(&a, NULL, NULL, 0);
    const Skein__Kv__Node *m =
        (const Skein__Kv__Node *)message_take(&skein__kv__node__descriptor, bytes, &a);
    db_err err = m == NULL ? ERR_CORRUPT : take_node(m, &info);
    arena_fini(&a);
    if (err == ERR_OK) {
        *ret_info = info;
    }
    return err;
}

/* ---- calls ---- */

db_err meta_call_encode(const struct meta_call *call, struct buf *header)
{
    Skein__Kv__MetaRequest m = SKEIN__KV__META_REQUEST__INIT;
    Skein__Kv__Node self;
    struct arena arena;
    m.count = call->count;
    m.floor = call->floor;
    m.step = call->step;
    m.offset = call->offset;
    m.name = proto_bytes(call->name);
    m.start = proto_bytes(call->start);
    m.end = proto_bytes(call->end);
    m.node = call->node;
    m.ts = call->reads.floor;
    m.n_snapshots = call->reads.count;
    m.snapshots = (uint64_t *)(uintptr_t)call->reads.snapshots;
    m.state = call->state;
    /* An edge is three numbers and no more: they travel as they lie. */
    _Static_assert(sizeof(struct kv_wait_edge) == 3 * sizeof(uint64_t), "no padding");
    m.n_waits = 3 * (size_t)call->wait_count;
    m.waits = (uint64_t *)(uintptr_t)call->waits;
    m.n_ranges = call->desc_count;
    if (call->self != NULL) {
        fill_node(call->self, &self);
        m.self = &self;
    }
    arena_init(&arena, NULL, NULL, 0);
    db_err err = proto_ranges(call->descs, call->desc_count, &arena, &m.ranges);
    if (err == ERR_OK) {
        err = message_put(&m.base, header);
    }
    arena_fini(&arena);
    return err;
}

db_err meta_call_decode(struct slice header, struct arena *arena, struct meta_call *ret_call)
{
    const Skein__Kv__MetaRequest *m = (const Skein__Kv__MetaRequest *)message_take(
        &skein__kv__meta_request__descriptor, header, arena);
    struct range_desc *descs = NULL;
    struct node_info *self = NULL;
    if (m == NULL || m->state > NODE_LEFT || m->n_waits % 3 != 0 || m->n_waits / 3 > KV_WAITS_MAX) {
        return ERR_CORRUPT;
    }
    TRY(proto_ranges_take(m->ranges, m->n_ranges, arena, &descs));
    if (m->self != NULL) {
        self = ARENA_NEW(arena, struct node_info);
        if (self == NULL) {
            return ERR_NOMEM;
        }
        TRY(take_node(m->self, self));
    }
    *ret_call = (struct meta_call){.count = m->count,
                                   .floor = m->floor,
                                   .step = m->step,
                                   .offset = m->offset,
                                   .name = proto_slice(m->name),
                                   .start = proto_slice(m->start),
                                   .end = proto_slice(m->end),
                                   .node = m->node,
                                   .reads = {m->ts, m->snapshots, m->n_snapshots},
                                   .descs = descs,
                                   .desc_count = (unsigned)m->n_ranges,
                                   .self = self,
                                   .state = (enum node_state)m->state,
                                   .waits = (const struct kv_wait_edge *)(const void *)m->waits,
                                   .wait_count = (unsigned)(m->n_waits / 3)};
    return ERR_OK;
}

/* ---- answers ---- */

static db_err fill_directory(const struct node_directory *dir, struct arena *arena,
                             Skein__Kv__MetaReply *m)
{
    Skein__Kv__Node *nodes = ARENA_ARRAY(arena, Skein__Kv__Node, dir->count);
    Skein__Kv__Node **list = ARENA_ARRAY(arena, Skein__Kv__Node *, dir->count);
    if (nodes == NULL || list == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < dir->count; i++) {
        fill_node(&dir->nodes[i], &nodes[i]);
        list[i] = &nodes[i];
    }
    m->nodes = list;
    m->n_nodes = dir->count;
    m->version = dir->version;
    m->term = dir->meta_term;
    m->wall_us = dir->wall_us;
    m->safe_point = dir->safe_point.floor;
    m->n_keep = dir->safe_point.count;
    m->keep = (uint64_t *)(uintptr_t)dir->safe_point.snapshots;
    m->node = dir->you;
    m->ca_cert = proto_bytes(dir->ca_cert);
    m->cert = proto_bytes(dir->cert);
    m->key = proto_bytes(dir->key);
    m->cluster_id = proto_bytes(slice_of(dir->cluster_id, sizeof(dir->cluster_id)));
    return ERR_OK;
}

db_err meta_answer_encode(db_err err, const struct diag *diag, const struct meta_answer *answer,
                          struct buf *header)
{
    Skein__Kv__MetaReply m = SKEIN__KV__META_REPLY__INIT;
    struct arena arena;
    m.err = (uint32_t)err;
    if (err != ERR_OK && diag != NULL) {
        m.text = proto_bytes(slice_of(diag->text, strnlen(diag->text, DIAG_TEXT_SIZE)));
    }
    m.first = answer->first;
    m.leader = answer->leader;
    m.n_ranges = answer->desc_count;
    m.n_victims = answer->victim_count;
    m.victims = answer->victims;
    arena_init(&arena, NULL, NULL, 0);
    db_err result = proto_ranges(answer->descs, answer->desc_count, &arena, &m.ranges);
    if (result == ERR_OK && answer->dir.count != 0) {
        result = fill_directory(&answer->dir, &arena, &m);
    }
    if (result == ERR_OK) {
        result = message_put(&m.base, header);
    }
    arena_fini(&arena);
    return result;
}

static db_err take_directory(const Skein__Kv__MetaReply *m, struct arena *arena,
                             struct node_directory *dir)
{
    *dir = (struct node_directory){.you = m->node,
                                   .version = m->version,
                                   .meta_term = m->term,
                                   .wall_us = m->wall_us,
                                   .safe_point = {m->safe_point, m->keep, m->n_keep},
                                   .ca_cert = proto_slice(m->ca_cert),
                                   .cert = proto_slice(m->cert),
                                   .key = proto_slice(m->key),
                                   .count = (unsigned)m->n_nodes};
    if (m->n_nodes == 0) {
        return ERR_OK;
    }
    if (m->cluster_id.len != sizeof(dir->cluster_id)) {
        return ERR_CORRUPT;
    }
    memcpy(dir->cluster_id, m->cluster_id.data, sizeof(dir->cluster_id));
    dir->nodes = ARENA_ARRAY(arena, struct node_info, m->n_nodes);
    if (dir->nodes == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < m->n_nodes; i++) {
        TRY(take_node(m->nodes[i], &dir->nodes[i]));
    }
    return ERR_OK;
}

db_err meta_answer_decode(struct slice header, struct arena *arena, struct diag *diag,
                          struct meta_answer *ret_answer)
{
    const Skein__Kv__MetaReply *m = (const Skein__Kv__MetaReply *)message_take(
        &skein__kv__meta_reply__descriptor, header, arena);
    struct meta_answer answer = {0};
    if (m == NULL || m->err >= ERR__COUNT ||
        proto_ranges_take(m->ranges, m->n_ranges, arena, &answer.descs) != ERR_OK ||
        take_directory(m, arena, &answer.dir) != ERR_OK) {
        return diag_set(diag, ERR_CORRUPT, "a malformed reply");
    }
    answer.first = m->first;
    answer.desc_count = (unsigned)m->n_ranges;
    answer.leader = m->leader;
    answer.victims = m->victims;
    answer.victim_count = (unsigned)m->n_victims;
    *ret_answer = answer;
    if (m->err != ERR_OK) {
        diag_set(diag, (db_err)m->err, "%.*s", SLICE_FMT(proto_slice(m->text)));
        if (diag != NULL) {
            diag->data = m->leader;
        }
        return (db_err)m->err;
    }
    return ERR_OK;
}
