#include "proto/codec_int.h"

#include "base/assert.h"
#include "proto/flat.h"

db_err take_slices(struct reader *r, size_t count, struct arena *arena,
                   const struct slice **ret_slices)
{
    if (count > (size_t)(r->end - r->pos) / 4) {
        return ERR_CORRUPT;
    }
    struct slice *s = ARENA_ARRAY(arena, struct slice, count);
    if (s == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        s[i] = take_slice(r);
    }
    *ret_slices = s;
    return r->bad ? ERR_CORRUPT : ERR_OK;
}

db_err message_put(const ProtobufCMessage *m, struct buf *b)
{
    db_err err = flat_put(m, b);
    if (LIKELY(err != ERR_UNSUPPORTED)) {
        return err;
    }
    size_t size = protobuf_c_message_get_packed_size(m);
    TRY(buf_reserve(b, size));
    b->len += protobuf_c_message_pack(m, b->ptr + b->len);
    return ERR_OK;
}

static void *allocate(void *data, size_t size)
{
    return arena_alloc(data, size);
}

static void release(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

ProtobufCMessage *message_take(const ProtobufCMessageDescriptor *d, struct slice bytes,
                               struct arena *arena)
{
    ProtobufCMessage *m = NULL;
    db_err err = flat_take(d, bytes, arena, &m);
    if (LIKELY(err != ERR_UNSUPPORTED)) {
        return m;
    }
    ProtobufCAllocator in_arena = {allocate, release, arena};
    return protobuf_c_message_unpack(d, &in_arena, bytes.len, bytes.ptr);
}

static db_err fill_range(const struct range_desc *d, struct arena *arena, Skein__Kv__Range *m)
{
    ASSERT(d->replica_count <= RANGE_REPLICAS_MAX);
    Skein__Kv__Replica *replicas = ARENA_ARRAY(arena, Skein__Kv__Replica, d->replica_count);
    Skein__Kv__Replica **list = ARENA_ARRAY(arena, Skein__Kv__Replica *, d->replica_count);
    if (replicas == NULL || list == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < d->replica_count; i++) {
        skein__kv__replica__init(&replicas[i]);
        replicas[i].node = d->replicas[i].node;
        replicas[i].replica_id = d->replicas[i].replica_id;
        replicas[i].kind = d->replicas[i].kind;
        list[i] = &replicas[i];
    }
    skein__kv__range__init(m);
    m->id = d->id;
    m->start = proto_bytes(d->start);
    m->end = proto_bytes(d->end);
    m->version = d->epoch.version;
    m->conf = d->epoch.conf;
    m->n_replicas = d->replica_count;
    m->replicas = list;
    m->leader = d->leader_hint;
    m->load = d->load;
    return ERR_OK;
}

db_err proto_ranges(const struct range_desc *descs, unsigned count, struct arena *arena,
                    Skein__Kv__Range ***ret_ranges)
{
    Skein__Kv__Range *ranges = ARENA_ARRAY(arena, Skein__Kv__Range, count);
    Skein__Kv__Range **list = ARENA_ARRAY(arena, Skein__Kv__Range *, count);
    if (ranges == NULL || list == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        TRY(fill_range(&descs[i], arena, &ranges[i]));
        list[i] = &ranges[i];
    }
    *ret_ranges = list;
    return ERR_OK;
}

db_err proto_ranges_take(Skein__Kv__Range *const *ranges, size_t count, struct arena *arena,
                         struct range_desc **ret_descs)
{
    struct range_desc *descs = ARENA_ARRAY(arena, struct range_desc, count);
    if (descs == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const Skein__Kv__Range *m = ranges[i];
        if (m->n_replicas > RANGE_REPLICAS_MAX || m->id == 0) {
            return ERR_CORRUPT;
        }
        descs[i] = (struct range_desc){.id = m->id,
                                       .start = proto_slice(m->start),
                                       .end = proto_slice(m->end),
                                       .epoch = {m->version, m->conf},
                                       .replica_count = (unsigned)m->n_replicas,
                                       .leader_hint = m->leader,
                                       .load = m->load};
        for (size_t k = 0; k < m->n_replicas; k++) {
            if (m->replicas[k]->kind > REPLICA_OUTGOING) {
                return ERR_CORRUPT;
            }
            descs[i].replicas[k] =
                (struct replica_desc){m->replicas[k]->node, m->replicas[k]->replica_id,
                                      (enum replica_kind)m->replicas[k]->kind};
        }
    }
    *ret_descs = descs;
    return ERR_OK;
}
