#include "proto/kv_codec.h"

#include "proto/codec_int.h"

/* Calls of the meta service: everything is control, so that all of it stands in the header. */

db_err meta_call_encode(const struct meta_call *call, struct buf *header)
{
    Skein__Kv__MetaRequest m = SKEIN__KV__META_REQUEST__INIT;
    struct arena arena;
    m.count = call->count;
    m.floor = call->floor;
    m.step = call->step;
    m.offset = call->offset;
    m.name = proto_bytes(call->name);
    m.start = proto_bytes(call->start);
    m.end = proto_bytes(call->end);
    m.node = call->node;
    m.ts = call->ts;
    m.n_ranges = call->desc_count;
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
    if (m == NULL) {
        return ERR_CORRUPT;
    }
    TRY(proto_ranges_take(m->ranges, m->n_ranges, arena, &descs));
    *ret_call = (struct meta_call){.count = m->count,
                                   .floor = m->floor,
                                   .step = m->step,
                                   .offset = m->offset,
                                   .name = proto_slice(m->name),
                                   .start = proto_slice(m->start),
                                   .end = proto_slice(m->end),
                                   .node = m->node,
                                   .ts = m->ts,
                                   .descs = descs,
                                   .desc_count = (unsigned)m->n_ranges};
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
    m.safe_point = answer->safe_point;
    m.leader = answer->leader;
    m.n_ranges = answer->desc_count;
    arena_init(&arena, NULL, NULL, 0);
    db_err result = proto_ranges(answer->descs, answer->desc_count, &arena, &m.ranges);
    if (result == ERR_OK) {
        result = message_put(&m.base, header);
    }
    arena_fini(&arena);
    return result;
}

db_err meta_answer_decode(struct slice header, struct arena *arena, struct diag *diag,
                          struct meta_answer *ret_answer)
{
    const Skein__Kv__MetaReply *m = (const Skein__Kv__MetaReply *)message_take(
        &skein__kv__meta_reply__descriptor, header, arena);
    struct range_desc *descs = NULL;
    if (m == NULL || m->err >= ERR__COUNT ||
        proto_ranges_take(m->ranges, m->n_ranges, arena, &descs) != ERR_OK) {
        return diag_set(diag, ERR_CORRUPT, "a malformed reply");
    }
    *ret_answer = (struct meta_answer){.first = m->first,
                                       .descs = descs,
                                       .desc_count = (unsigned)m->n_ranges,
                                       .safe_point = m->safe_point,
                                       .leader = m->leader};
    if (m->err != ERR_OK) {
        return diag_set(diag, (db_err)m->err, "%.*s", SLICE_FMT(proto_slice(m->text)));
    }
    return ERR_OK;
}
