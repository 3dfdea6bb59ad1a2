#include "proto/flat.h"

#include <stddef.h>

/* protobuf's bytes for messages of plain fields, in one pass over the descriptor. The library asks
 * three times for each field (its size, its bytes, and when reading its place), which took a fifth
 * of the instructions of a read on another node. What is not plain is left to it. */

_Static_assert(sizeof(size_t) == sizeof(uint64_t) && sizeof(void *) == sizeof(uint64_t),
               "lengths, counts and pointers are looked at as numbers");
_Static_assert(offsetof(ProtobufCBinaryData, len) == 0, "of bytes the length comes first");

enum { VARINT_MAX = 10, TAG_MAX = 5, WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

static db_err put_number(struct buf *b, uint32_t id, uint64_t v)
{
    TRY(buf_reserve(b, TAG_MAX + VARINT_MAX));
    uint8_t *p = put_varint(b->ptr + b->len, (uint64_t)id << 3 | WIRE_VARINT);
    b->len = (size_t)(put_varint(p, v) - b->ptr);
    return ERR_OK;
}

static db_err put_fixed64(struct buf *b, uint32_t id, uint64_t v)
{
    TRY(buf_reserve(b, TAG_MAX + sizeof(v)));
    uint8_t *p = put_varint(b->ptr + b->len, (uint64_t)id << 3 | WIRE_FIXED64);
    memcpy(p, &v, sizeof(v)); /* little-endian, as the machine */
    b->len = (size_t)(p - b->ptr) + sizeof(v);
    return ERR_OK;
}

static db_err put_bytes(struct buf *b, uint32_t id, const ProtobufCBinaryData *d)
{
    TRY(buf_reserve(b, TAG_MAX + VARINT_MAX + d->len));
    uint8_t *p = put_varint(b->ptr + b->len, (uint64_t)id << 3 | WIRE_BYTES);
    p = put_varint(p, d->len);
    memcpy(p, d->data, d->len);
    b->len = (size_t)(p - b->ptr) + d->len;
    return ERR_OK;
}

/* The field's value, or of bytes the length, of a message whether it is there, of many how many. */
static inline uint64_t value_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const uint8_t *p = (const uint8_t *)m;
    uint32_t small;
    uint64_t large;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        memcpy(&large, p + f->quantifier_offset, sizeof(size_t));
        return large;
    }
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_BOOL: memcpy(&small, p + f->offset, sizeof(small)); return small;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: memcpy(&large, p + f->offset, sizeof(large)); return large;
    default: return 1; /* put_field says no */
    }
}

static db_err put_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, uint64_t v,
                        struct buf *b)
{
    ProtobufCBinaryData bytes;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        return ERR_UNSUPPORTED;
    }
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_UINT64: return put_number(b, f->id, v);
    case PROTOBUF_C_TYPE_FIXED64: return put_fixed64(b, f->id, v);
    case PROTOBUF_C_TYPE_BYTES:
        memcpy(&bytes, (const uint8_t *)m + f->offset, sizeof(bytes));
        return put_bytes(b, f->id, &bytes);
    default: return ERR_UNSUPPORTED;
    }
}

db_err flat_put(const ProtobufCMessage *m, struct buf *b)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    size_t before = b->len;
    db_err err = m->n_unknown_fields == 0 ? ERR_OK : ERR_UNSUPPORTED;
    for (unsigned i = 0; i < d->n_fields && err == ERR_OK; i++) {
        uint64_t v = value_of(m, &d->fields[i]);
        if (v != 0) { /* what is zero is not written */
            err = put_field(m, &d->fields[i], v, b);
        }
    }
    if (err != ERR_OK) {
        b->len = before;
    }
    return err;
}

/* ---- reading ---- */

struct cursor {
    const uint8_t *pos;
    const uint8_t *end;
};

static bool take_varint(struct cursor *c, uint64_t *ret_v)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 7 * VARINT_MAX && c->pos < c->end; shift += 7) {
        uint8_t byte = *c->pos++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_v = v;
            return true;
        }
    }
    return false;
}

static bool take_fixed64(struct cursor *c, uint64_t *ret_v)
{
    if ((size_t)(c->end - c->pos) < sizeof(*ret_v)) {
        return false;
    }
    memcpy(ret_v, c->pos, sizeof(*ret_v));
    c->pos += sizeof(*ret_v);
    return true;
}

static db_err take_bytes(struct cursor *c, struct arena *arena, ProtobufCBinaryData *ret_bytes)
{
    uint64_t n;
    struct slice copy;
    if (!take_varint(c, &n) || n > (size_t)(c->end - c->pos)) {
        return ERR_UNSUPPORTED;
    }
    TRY(arena_copy(arena, slice_of(c->pos, (size_t)n), &copy));
    c->pos += n;
    *ret_bytes = (ProtobufCBinaryData){copy.len, (uint8_t *)(uintptr_t)copy.ptr};
    return ERR_OK;
}

static db_err take_field(struct cursor *c, const ProtobufCFieldDescriptor *f, unsigned wire,
                         struct arena *arena, uint8_t *to)
{
    uint64_t v;
    uint32_t small;
    ProtobufCBinaryData bytes;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        return ERR_UNSUPPORTED;
    }
    if (f->type == PROTOBUF_C_TYPE_BYTES && wire == WIRE_BYTES) {
        TRY(take_bytes(c, arena, &bytes));
        memcpy(to, &bytes, sizeof(bytes));
        return ERR_OK;
    }
    if (f->type == PROTOBUF_C_TYPE_FIXED64 && wire == WIRE_FIXED64 && take_fixed64(c, &v)) {
        memcpy(to, &v, sizeof(v));
        return ERR_OK;
    }
    if (wire != WIRE_VARINT || !take_varint(c, &v)) {
        return ERR_UNSUPPORTED;
    }
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT64: memcpy(to, &v, sizeof(v)); return ERR_OK;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_BOOL:
        small = f->type == PROTOBUF_C_TYPE_BOOL ? v != 0 : (uint32_t)v;
        memcpy(to, &small, sizeof(small));
        return ERR_OK;
    default: return ERR_UNSUPPORTED;
    }
}

/* Our messages are numbered without gaps; another one is not found. */
static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *d, uint64_t id)
{
    return id != 0 && id <= d->n_fields && d->fields[id - 1].id == id ? &d->fields[id - 1] : NULL;
}

db_err flat_take(const ProtobufCMessageDescriptor *d, struct slice bytes, struct arena *arena,
                 ProtobufCMessage **ret_m)
{
    struct cursor c = {bytes.ptr, bytes.ptr + bytes.len};
    ProtobufCMessage *m = arena_alloc(arena, d->sizeof_message);
    if (m == NULL) {
        return ERR_NOMEM;
    }
    d->message_init(m);
    while (c.pos < c.end) {
        uint64_t tag;
        const ProtobufCFieldDescriptor *f = take_varint(&c, &tag) ? field_of(d, tag >> 3) : NULL;
        if (f == NULL) {
            return ERR_UNSUPPORTED;
        }
        TRY(take_field(&c, f, (unsigned)(tag & 7), arena, (uint8_t *)m + f->offset));
    }
    *ret_m = m;
    return ERR_OK;
}
