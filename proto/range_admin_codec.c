#include "base/assert.h"
#include "proto/codec_int.h"
#include "proto/kv_codec.h"

db_err range_admin_encode(const struct range_admin_call *call, struct buf *header)
{
    Skein__Kv__RangeAdmin m = SKEIN__KV__RANGE_ADMIN__INIT;
    Skein__Kv__ReplicaChange changes[RANGE_ADMIN_CHANGES_MAX];
    Skein__Kv__ReplicaChange *list[RANGE_ADMIN_CHANGES_MAX];
    ASSERT(call->change_count <= RANGE_ADMIN_CHANGES_MAX);
    for (unsigned i = 0; i < call->change_count; i++) {
        skein__kv__replica_change__init(&changes[i]);
        changes[i].op = call->changes[i].remove ? 1 : 0;
        changes[i].node = call->changes[i].node;
        list[i] = &changes[i];
    }
    m.op = call->op;
    m.range = call->range;
    m.n_changes = call->change_count;
    m.changes = list;
    m.node = call->node;
    m.key = proto_bytes(call->key);
    m.may_lose_locks = call->may_lose_locks;
    return message_put(&m.base, header);
}

db_err range_admin_decode(struct slice header, struct arena *arena,
                          struct range_admin_call *ret_call)
{
    const Skein__Kv__RangeAdmin *m = (const Skein__Kv__RangeAdmin *)message_take(
        &skein__kv__range_admin__descriptor, header, arena);
    if (m == NULL || m->n_changes > RANGE_ADMIN_CHANGES_MAX ||
        m->op < RANGE_ADMIN_CHANGE_REPLICAS || m->op > RANGE_ADMIN_WEIGH) {
        return ERR_CORRUPT;
    }
    struct range_admin_call call = {.op = (enum range_admin_op)m->op,
                                    .range = m->range,
                                    .change_count = (unsigned)m->n_changes,
                                    .node = m->node,
                                    .key = proto_slice(m->key),
                                    .may_lose_locks = m->may_lose_locks != 0};
    for (unsigned i = 0; i < call.change_count; i++) {
        call.changes[i] = (struct range_admin_change){m->changes[i]->op != 0, m->changes[i]->node};
    }
    *ret_call = call;
    return ERR_OK;
}
