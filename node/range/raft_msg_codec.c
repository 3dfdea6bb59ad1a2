#include "node/range/transport.h"

#include "base/alloc.h"
#include "node/store/keyspace.h"
#include "node/store/varint.h"

/* The portable form of messages between range stores.
 *
 * Most messages are small and most of their fields are 0, so the header is a version, the type, the
 * flags, a bit map of the fields that are not 0, and those as varints. Entries follow as (type,
 * term above the one before, length): their indexes are consecutive and their data is the payload,
 * which is neither copied here nor on the way in. Whatever bytes come in, decoding ends with a
 * message or with ERR_CORRUPT; whether the message makes sense is the Raft core's to judge. */

enum { MSG_VERSION = 1, MSG_ENTRIES_MAX = 1 << 20, SCALARS = 10 };

enum { HAS_ENTRIES = 1 << SCALARS, HAS_SNAPSHOT = 1 << (SCALARS + 1) };

/* A table of pointers would do in one place what two lists do; but the order is the format. */
static void scalars_of(const struct raft_msg *m, uint64_t v[SCALARS])
{
    v[0] = m->from;
    v[1] = m->to;
    v[2] = m->term;
    v[3] = m->index;
    v[4] = m->log_term;
    v[5] = m->commit;
    v[6] = m->hint;
    v[7] = m->sent_ns;
    v[8] = m->context;
    v[9] = m->epoch;
}

static void scalars_to(const uint64_t v[SCALARS], struct raft_msg *m)
{
    m->from = v[0];
    m->to = v[1];
    m->term = v[2];
    m->index = v[3];
    m->log_term = v[4];
    m->commit = v[5];
    m->hint = v[6];
    m->sent_ns = v[7];
    m->context = v[8];
    m->epoch = v[9];
}

size_t raft_msg_payload_size(const struct raft_msg *msg)
{
    size_t size = 0;
    for (size_t i = 0; i < msg->entry_count; i++) {
        size += msg->entries[i].data.len;
    }
    return size;
}

static db_err put_entries(struct buf *b, const struct raft_msg *m)
{
    uint8_t bytes[1 + 2 * VARINT_MAX];
    uint64_t term = m->log_term;
    TRY(buf_append(b, bytes, varint_put(bytes, m->entry_count)));
    TRY(buf_reserve(b, m->entry_count * 4));
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct raft_entry *e = &m->entries[i];
        size_t n = 0;
        bytes[n++] = e->type;
        n += varint_put(bytes + n, e->term - term); /* terms do not decrease */
        n += varint_put(bytes + n, e->data.len);
        TRY(buf_append(b, bytes, n));
        term = e->term;
    }
    return ERR_OK;
}

static db_err put_snapshot(struct buf *b, const struct raft_snapshot_meta *s)
{
    uint8_t bytes[2 * VARINT_MAX + 2 + RAFT_CONF_ENCODED_MAX];
    uint8_t conf[RAFT_CONF_ENCODED_MAX];
    size_t conf_size = raft_conf_encode(&s->conf, conf);
    size_t n = varint_put(bytes, s->index);
    n += varint_put(bytes + n, s->term);
    n += varint_put(bytes + n, conf_size);
    memcpy(bytes + n, conf, conf_size);
    return buf_append(b, bytes, n + conf_size);
}

db_err raft_msg_encode(struct buf *b, range_id_t range, const struct raft_msg *msg)
{
    uint8_t bytes[8 + (SCALARS + 1) * VARINT_MAX];
    uint64_t v[SCALARS];
    uint64_t map = 0;
    size_t before = b->len;
    scalars_of(msg, v);
    for (unsigned i = 0; i < SCALARS; i++) {
        map |= v[i] != 0 ? 1ull << i : 0;
    }
    map |= msg->entry_count != 0 ? HAS_ENTRIES : 0;
    map |= msg->snapshot != NULL ? HAS_SNAPSHOT : 0;
    size_t n = 0;
    bytes[n++] = MSG_VERSION;
    bytes[n++] = msg->type;
    bytes[n++] = msg->flags;
    n += varint_put(bytes + n, map);
    n += varint_put(bytes + n, range);
    for (unsigned i = 0; i < SCALARS; i++) {
        n += v[i] != 0 ? varint_put(bytes + n, v[i]) : 0;
    }
    db_err err = buf_append(b, bytes, n);
    if (err == ERR_OK && msg->entry_count != 0) {
        err = put_entries(b, msg);
    }
    if (err == ERR_OK && msg->snapshot != NULL) {
        err = put_snapshot(b, msg->snapshot);
    }
    if (err != ERR_OK) {
        b->len = before;
    }
    return err;
}

struct msg_reader {
    const uint8_t *pos;
    const uint8_t *end;
};

static bool get_u8(struct msg_reader *r, uint8_t *ret_v)
{
    if (r->pos == r->end) {
        return false;
    }
    *ret_v = *r->pos++;
    return true;
}

static bool get_varint(struct msg_reader *r, uint64_t *ret_v)
{
    return varint_get(&r->pos, r->end, ret_v);
}

static db_err get_entries(struct msg_reader *r, struct blob *blob, struct slice payload,
                          struct arena *arena, struct raft_msg *m)
{
    uint64_t count;
    uint64_t term = m->log_term;
    size_t used = 0;
    /* each takes three bytes here: a count that lies takes no memory */
    if (!get_varint(r, &count) || count == 0 || count > MSG_ENTRIES_MAX ||
        count > (uint64_t)(r->end - r->pos) / 3) {
        return ERR_CORRUPT;
    }
    struct raft_entry *entries = ARENA_ARRAY(arena, struct raft_entry, count);
    if (entries == NULL) {
        return ERR_NOMEM;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint8_t type;
        uint64_t step;
        uint64_t len;
        if (!get_u8(r, &type) || !get_varint(r, &step) || !get_varint(r, &len) ||
            len > payload.len - used || (len != 0 && blob == NULL)) {
            return ERR_CORRUPT;
        }
        term += step;
        entries[i] =
            (struct raft_entry){.index = m->index + 1 + i,
                                .term = term,
                                .data = slice_of(len == 0 ? NULL : payload.ptr + used, len),
                                .blob = len == 0 ? NULL : blob,
                                .type = type};
        used += len;
    }
    if (used != payload.len) {
        return ERR_CORRUPT;
    }
    m->entries = entries;
    m->entry_count = count;
    return ERR_OK;
}

static db_err get_snapshot(struct msg_reader *r, struct arena *arena, struct raft_msg *m)
{
    uint64_t len;
    struct raft_snapshot_meta *s = ARENA_NEW(arena, struct raft_snapshot_meta);
    if (s == NULL) {
        return ERR_NOMEM;
    }
    if (!get_varint(r, &s->index) || !get_varint(r, &s->term) || !get_varint(r, &len) ||
        len > (uint64_t)(r->end - r->pos)) {
        return ERR_CORRUPT;
    }
    TRY(raft_conf_decode(slice_of(r->pos, len), &s->conf));
    r->pos += len;
    m->snapshot = s;
    return ERR_OK;
}

db_err raft_msg_decode(struct slice header, struct blob *blob, struct slice payload,
                       struct arena *arena, range_id_t *ret_range, struct raft_msg *ret_msg)
{
    struct msg_reader r = {header.ptr, header.ptr + header.len};
    struct raft_msg m = {0};
    uint64_t v[SCALARS] = {0};
    uint64_t map;
    uint64_t range;
    uint8_t version;
    if (!get_u8(&r, &version) || version != MSG_VERSION || !get_u8(&r, &m.type) ||
        !get_u8(&r, &m.flags) || !get_varint(&r, &map) || map >> (SCALARS + 2) != 0 ||
        !get_varint(&r, &range) || range == 0) {
        return ERR_CORRUPT;
    }
    for (unsigned i = 0; i < SCALARS; i++) {
        if ((map >> i & 1) != 0 && !get_varint(&r, &v[i])) {
            return ERR_CORRUPT;
        }
    }
    scalars_to(v, &m);
    if ((map & HAS_ENTRIES) != 0) {
        TRY(get_entries(&r, blob, payload, arena, &m));
    } else if (payload.len != 0) {
        return ERR_CORRUPT;
    }
    if ((map & HAS_SNAPSHOT) != 0) {
        TRY(get_snapshot(&r, arena, &m));
    }
    if (r.pos != r.end) {
        return ERR_CORRUPT;
    }
    *ret_range = range;
    *ret_msg = m;
    return ERR_OK;
}

/* ---- links ---- */

void link_msg_encode(const struct link_msg *msg, uint8_t out[LINK_MSG_SIZE])
{
    out[0] = MSG_VERSION;
    out[1] = msg->kind;
    out[2] = msg->lane;
    out[3] = msg->flags;
    put_be64(out + 4, msg->incarnation);
    put_be64(out + 12, msg->sent_ns);
    put_be64(out + 20, msg->epoch);
}

db_err link_msg_decode(struct slice bytes, struct link_msg *ret_msg)
{
    if (bytes.len != LINK_MSG_SIZE || bytes.ptr[0] != MSG_VERSION ||
        (bytes.ptr[1] != LINK_HEARTBEAT && bytes.ptr[1] != LINK_ACK) ||
        bytes.ptr[2] >= RAFT_LANES) {
        return ERR_CORRUPT;
    }
    *ret_msg = (struct link_msg){.kind = bytes.ptr[1],
                                 .lane = bytes.ptr[2],
                                 .flags = bytes.ptr[3],
                                 .incarnation = get_be64(bytes.ptr + 4),
                                 .sent_ns = get_be64(bytes.ptr + 12),
                                 .epoch = get_be64(bytes.ptr + 20)};
    return ERR_OK;
}
