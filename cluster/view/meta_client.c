#include "cluster/view/meta_client.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"

/* Each try goes to the node that is thought to lead. ERR_NOT_LEADER names another or nobody; a node
 * that cannot be reached, or does not answer in time, is no longer thought to lead. Without a guess
 * the members are asked by turns, the one that was silent last not at once again. All calls may be
 * repeated: what an unknown outcome can cost is a gap in numbers. */

#define TRY_TIME_NS      (1 * NS_PER_S)
#define BACKOFF_FIRST_NS (2 * NS_PER_MS)
#define BACKOFF_MAX_NS   (100 * NS_PER_MS)

static struct meta_client *client_of(struct meta_service *s)
{
    return CONTAINER_OF(s, struct meta_client, base);
}

void meta_client_members(struct meta_client *c, const node_id_t *nodes, unsigned count)
{
    pthread_mutex_lock(&c->mutex);
    c->count = count < META_CLIENT_NODES_MAX ? count : META_CLIENT_NODES_MAX;
    memcpy(c->nodes, nodes, c->count * sizeof(*nodes));
    pthread_mutex_unlock(&c->mutex);
}

/* Whom to ask; this node itself comes round too. */
static node_id_t choose(struct meta_client *c)
{
    node_id_t leader = atomic_load_explicit(&c->leader, memory_order_relaxed);
    if (leader != 0) {
        return leader;
    }
    pthread_mutex_lock(&c->mutex);
    node_id_t node;
    do {
        unsigned turn = c->next++ % (c->count + 1);
        node = turn == c->count ? c->self : c->nodes[turn];
    } while (node == c->silent && c->count > 0);
    c->silent = 0;
    pthread_mutex_unlock(&c->mutex);
    return node;
}

db_err meta_call_peer(struct rpc_peer *peer, enum rpc_method rpc, enum meta_method method,
                      const struct meta_call *call, struct arena *arena, struct diag *diag,
                      struct meta_answer *ret_answer)
{
    struct buf header;
    struct rpc_reply back = {0};
    buf_init(&header, KV_WIRE_HEADER_MAX);
    db_err err = buf_append_u8(&header, (uint8_t)method);
    if (err == ERR_OK) {
        err = meta_call_encode(call, &header);
    }
    if (err == ERR_OK) {
        struct rpc_call c = {.method = rpc,
                             .header = buf_slice(&header),
                             .deadline_ns = clock_mono_ns() + TRY_TIME_NS};
        err = rpc_call(peer, &c, diag, &back);
        if (err == ERR_OK) {
            err = meta_answer_decode(back.msg.header, arena, diag, ret_answer);
        }
        rpc_msg_release(&back.msg);
    }
    buf_fini(&header);
    return err;
}

/* ---- one try on this node ---- */

static db_err ask_local(struct meta_client *c, enum meta_method method,
                        const struct meta_call *call, struct arena *arena, struct diag *diag,
                        struct meta_answer *a)
{
    struct meta_service *l = c->local;
    if (l == NULL) {
        return ERR_NOT_LEADER;
    }
    switch ((int)method) {
    case META_METHOD_TIMESTAMPS:
        return l->ops->timestamps(l, (uint32_t)call->count, diag, &a->first);
    case META_METHOD_LOOKUP:
        return l->ops->lookup(l, call->start, call->end, (unsigned)call->count, arena, diag,
                              &a->descs, &a->desc_count);
    case META_METHOD_SEQUENCE_NEXT:
        return l->ops->sequence_next(l, call->name, call->floor, call->count, call->step,
                                     call->offset, diag, &a->first);
    case META_METHOD_REPORT_READS: return l->ops->report_reads(l, call->node, &call->reads, diag);
    case META_METHOD_RANGES_CHANGED:
        return l->ops->ranges_changed(l, call->node, call->descs, call->desc_count, diag);
    case META_METHOD_JOIN: return l->ops->join(l, call->name, call->self, arena, diag, &a->dir);
    case META_METHOD_HEARTBEAT: return l->ops->heartbeat(l, call->self, arena, diag, &a->dir);
    case META_METHOD_SET_NODE_STATE:
        return l->ops->set_node_state(l, call->node, call->state, diag);
    case META_METHOD_FENCE: return l->ops->fence(l, call->node, (uint32_t)call->count, diag);
    case META_METHOD_REPORT_WAITS:
        return l->ops->report_waits(l, call->node, call->waits, call->wait_count, arena, diag,
                                    &a->victims, &a->victim_count);
    default: return ERR_UNSUPPORTED;
    }
}

/* ---- any number of tries ---- */

/* What a refusal teaches. False: the error is the answer. */
static bool learn(struct meta_client *c, node_id_t asked, db_err err, const struct diag *diag)
{
    node_id_t expected = asked;
    switch ((int)err) {
    case ERR_NOT_LEADER: {
        node_id_t leader = diag->data != asked ? (node_id_t)diag->data : 0;
        atomic_compare_exchange_strong(&c->leader, &expected, leader);
        if (expected == 0 && leader != 0) {
            atomic_compare_exchange_strong(&c->leader, &expected, leader);
        }
        return true;
    }
    case ERR_UNAVAILABLE:
    case ERR_OUTCOME_UNKNOWN:
    case ERR_CLOSED:
    case ERR_TIMEOUT:
        atomic_compare_exchange_strong(&c->leader, &expected, 0);
        pthread_mutex_lock(&c->mutex);
        c->silent = asked;
        pthread_mutex_unlock(&c->mutex);
        return true;
    case ERR_BUSY: return true;
    default: return false;
    }
}

static db_err ask(struct meta_service *s, enum meta_method method, const struct meta_call *call,
                  struct arena *arena, struct diag *diag, struct meta_answer *a)
{
    struct meta_client *c = client_of(s);
    struct diag own;
    uint64_t start = 0;
    uint64_t backoff = BACKOFF_FIRST_NS;
    struct diag *d = diag != NULL ? diag : &own;
    for (;;) {
        node_id_t node = choose(c);
        diag_reset(d);
        db_err err;
        if (node == c->self) {
            err = ask_local(c, method, call, arena, d, a);
        } else {
            struct rpc_peer *peer = c->rpc == NULL ? NULL : rpc_client_peer(c->rpc, node);
            err = peer == NULL ? ERR_UNAVAILABLE
                               : meta_call_peer(peer, RPC_M_meta, method, call, arena, d, a);
        }
        if (err == ERR_OK) {
            atomic_store_explicit(&c->leader, node, memory_order_relaxed);
            return ERR_OK;
        }
        uint64_t now = clock_mono_ns();
        start = start == 0 ? now : start;
        uint64_t end =
            fiber_deadline() != DEADLINE_NONE ? fiber_deadline() : start + META_CLIENT_TIME_MAX_NS;
        if (!learn(c, node, err, d)) {
            return err;
        }
        if (now >= end) {
            return diag_set(d, ERR_UNAVAILABLE, "nobody leads the meta range now");
        }
        bool pointed =
            err == ERR_NOT_LEADER && atomic_load_explicit(&c->leader, memory_order_relaxed) != 0;
        if (!pointed || backoff > BACKOFF_FIRST_NS * 8) {
            TRY(fiber_sleep(backoff));
        }
        backoff = backoff * 2 < BACKOFF_MAX_NS ? backoff * 2 : BACKOFF_MAX_NS;
    }
}

/* ---- the service ---- */

static db_err ask_timestamps(struct meta_client *c, uint32_t count, struct diag *diag,
                             ts_t *ret_first)
{
    struct meta_call call = {.count = count};
    struct meta_answer a = {0};
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = ask(&c->base, META_METHOD_TIMESTAMPS, &call, &arena, diag, &a);
    arena_fini(&arena);
    if (err == ERR_OK) {
        *ret_first = a.first;
    }
    return err;
}

static db_err single_timestamps(struct meta_service *s, uint32_t count, struct diag *diag,
                                ts_t *ret_first)
{
    return ask_timestamps(CONTAINER_OF(s, struct meta_client, single), count, diag, ret_first);
}

static db_err timestamps(struct meta_service *s, uint32_t count, struct diag *diag, ts_t *ret_first)
{
    struct meta_client *c = client_of(s);
    if (LIKELY(meta_client_leads(c))) { /* the common way of a node that leads, without detours */
        db_err err = c->local->ops->timestamps(c->local, count, diag, ret_first);
        if (LIKELY(err == ERR_OK)) {
            return ERR_OK;
        }
    }
    return count == 1 ? ts_client_next(&c->gather, diag, ret_first)
                      : ask_timestamps(c, count, diag, ret_first);
}

static db_err lookup(struct meta_service *s, struct slice start, struct slice end, unsigned max,
                     struct arena *arena, struct diag *diag, struct range_desc **ret_descs,
                     unsigned *ret_count)
{
    struct meta_call call = {.start = start, .end = end, .count = max};
    struct meta_answer a = {0};
    TRY(ask(s, META_METHOD_LOOKUP, &call, arena, diag, &a));
    *ret_descs = a.descs;
    *ret_count = a.desc_count;
    return ERR_OK;
}

static db_err sequence_next(struct meta_service *s, struct slice name, uint64_t floor,
                            uint64_t count, uint64_t step, uint64_t offset, struct diag *diag,
                            uint64_t *ret_first)
{
    struct meta_call call = {
        .name = name, .floor = floor, .count = count, .step = step, .offset = offset};
    struct meta_answer a = {0};
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = ask(s, META_METHOD_SEQUENCE_NEXT, &call, &arena, diag, &a);
    arena_fini(&arena);
    if (err == ERR_OK) {
        *ret_first = a.first;
    }
    return err;
}

/* A call whose answer is but its error. */
static db_err tell(struct meta_service *s, enum meta_method method, const struct meta_call *call,
                   struct diag *diag)
{
    struct meta_answer a = {0};
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = ask(s, method, call, &arena, diag, &a);
    arena_fini(&arena);
    return err;
}

static db_err report_reads(struct meta_service *s, node_id_t node, const struct kv_reads *reads,
                           struct diag *diag)
{
    struct meta_call call = {.node = node, .reads = *reads};
    return tell(s, META_METHOD_REPORT_READS, &call, diag);
}

static db_err ranges_changed(struct meta_service *s, node_id_t node, const struct range_desc *descs,
                             unsigned count, struct diag *diag)
{
    struct meta_call call = {.node = node, .descs = descs, .desc_count = count};
    return tell(s, META_METHOD_RANGES_CHANGED, &call, diag);
}

static db_err join(struct meta_service *s, struct slice token, const struct node_info *self,
                   struct arena *arena, struct diag *diag, struct node_directory *ret_dir)
{
    struct meta_call call = {.name = token, .self = self};
    struct meta_answer a = {0};
    TRY(ask(s, META_METHOD_JOIN, &call, arena, diag, &a));
    *ret_dir = a.dir;
    return ERR_OK;
}

static db_err heartbeat(struct meta_service *s, const struct node_info *self, struct arena *arena,
                        struct diag *diag, struct node_directory *ret_dir)
{
    struct meta_call call = {.self = self};
    struct meta_answer a = {0};
    TRY(ask(s, META_METHOD_HEARTBEAT, &call, arena, diag, &a));
    *ret_dir = a.dir;
    return ERR_OK;
}

static db_err set_node_state(struct meta_service *s, node_id_t node, enum node_state state,
                             struct diag *diag)
{
    struct meta_call call = {.node = node, .state = state};
    return tell(s, META_METHOD_SET_NODE_STATE, &call, diag);
}

static db_err fence(struct meta_service *s, node_id_t node, uint32_t silent_ms, struct diag *diag)
{
    struct meta_call call = {.node = node, .count = silent_ms};
    return tell(s, META_METHOD_FENCE, &call, diag);
}

static db_err report_waits(struct meta_service *s, node_id_t node, const struct kv_wait_edge *edges,
                           unsigned count, struct arena *arena, struct diag *diag,
                           uint64_t **ret_victims, unsigned *ret_count)
{
    struct meta_call call = {.node = node, .waits = edges, .wait_count = count};
    struct meta_answer a = {0};
    TRY(ask(s, META_METHOD_REPORT_WAITS, &call, arena, diag, &a));
    *ret_victims = a.victims;
    *ret_count = a.victim_count;
    return ERR_OK;
}

static const struct meta_service_ops client_ops = {
    .name = "client",
    .timestamps = timestamps,
    .lookup = lookup,
    .sequence_next = sequence_next,
    .report_reads = report_reads,
    .ranges_changed = ranges_changed,
    .join = join,
    .heartbeat = heartbeat,
    .set_node_state = set_node_state,
    .fence = fence,
    .report_waits = report_waits,
};

static const struct meta_service_ops single_ops = {
    .name = "client, one by one",
    .timestamps = single_timestamps,
};

void meta_client_init(struct meta_client *c, node_id_t self, struct meta_service *local,
                      struct rpc_client *rpc)
{
    static const _Atomic bool far;
    *c = (struct meta_client){
        .base = {&client_ops}, .single = {&single_ops}, .self = self, .local = local, .rpc = rpc};
    ts_client_init(&c->gather, &c->single, &far);
    atomic_init(&c->leader, local != NULL ? self : 0);
    pthread_mutex_init(&c->mutex, NULL);
}

void meta_client_fini(struct meta_client *c)
{
    ts_client_fini(&c->gather);
    pthread_mutex_destroy(&c->mutex);
}
