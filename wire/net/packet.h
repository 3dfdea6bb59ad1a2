/* Framing: a payload is carried by frames of a 4-byte header (length, sequence number) and at most
 * 0xffffff bytes; a frame that is full is followed by another.
 *
 * packet_in turns received bytes into payloads without copying them: a payload is a slice of the
 * buffer in which it was received. Only the headers inside a payload of 16 MB and more are taken
 * out, each as soon as it arrives, so that what is moved is at most one read.
 * packet_out builds packets one after the other in one buffer.
 *
 * Buffers come from a small pool of the loop (io_pool) and go back when they are empty. Not
 * thread-safe. */
#ifndef SKEIN_WIRE_NET_PACKET_H
#define SKEIN_WIRE_NET_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "wire/net/protocol.h"

enum {
    IN_BUFFER_SIZE = 16 * 1024,
    OUT_BUFFER_SIZE = 64 * 1024,
    OUT_FLUSH_SIZE = 48 * 1024, /* finished packets are sent from here on */
    POOL_KEEP = 32,             /* spare buffers of each size */
};
#define OUT_PACKET_MAX ((size_t)1 << 30)

/* Spare buffers of one loop. */
struct io_pool {
    uint8_t *in[POOL_KEEP];
    uint8_t *out[POOL_KEEP];
    unsigned in_count;
    unsigned out_count;
    _Atomic uint64_t bytes; /* in buffers, held by connections or spare */
};
void io_pool_fini(struct io_pool *pool);

/* Who answers for the memory that large packets take. */
struct packet_count {
    bool (*keep)(struct packet_count *count, size_t bytes); /* false: it may not be had */
    void (*give_back)(struct packet_count *count, size_t bytes);
    /* What was refused last is told to the client: writes an error packet. */
    db_err (*tell)(struct packet_count *count);
};

struct packet_in {
    uint8_t *ptr; /* NULL while nothing is buffered */
    size_t cap;
    struct packet_count *count; /* NULL: nobody does */
    size_t counted;             /* bytes beyond IN_BUFFER_SIZE */
    size_t start;               /* of the packet at hand: its first header */
    size_t end;                 /* of what was received */
    size_t joined;              /* payload bytes of frames that are complete */
    size_t frame;               /* length of the frame being received, when in_frame */
    bool in_frame;
    bool taken; /* the packet at hand was handed out */
};

enum packet_result { PACKET_MORE, PACKET_READY, PACKET_OUT_OF_ORDER, PACKET_TOO_LARGE };

/* Looks for a whole packet in what was received. seq: the expected number, counted on for each
 * frame. TOO_LARGE as soon as a header says that the payload would reach `max`. */
enum packet_result packet_in_next(struct packet_in *in, uint8_t *seq, size_t max,
                                  struct slice *ret_payload);
/* Gives the packet that was handed out back. */
void packet_in_consume(struct packet_in *in);
/* Room to receive into: grows with what has really arrived, never with what a header promises.
 * Moves bytes, so no payload may be handed out. ERR_NOMEM, ERR_LIMIT (struct packet_count). */
MUST_USE db_err packet_in_room(struct packet_in *in, struct io_pool *pool, uint8_t **ret_ptr,
                               size_t *ret_size);
/* The same for a known number of bytes. */
MUST_USE db_err packet_in_reserve(struct packet_in *in, struct io_pool *pool, size_t size);
static inline size_t packet_in_left(const struct packet_in *in)
{
    return in->end - in->start;
}
/* From now on this one does, or nobody; what there is, is not counted any more. */
void packet_in_count(struct packet_in *in, struct packet_count *count);
/* Gives the memory back; what was buffered is lost. */
void packet_in_release(struct packet_in *in, struct io_pool *pool);

struct packet_out {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    size_t packet; /* where the packet being built begins */
    uint8_t seq;
    struct io_pool *pool;
};

/* Makes room for `extra` bytes and returns where they go. NULL: ERR_LIMIT or ERR_NOMEM. */
uint8_t *packet_out_grow(struct packet_out *o, size_t extra);
static inline uint8_t *packet_out_room(struct packet_out *o, size_t extra)
{
    if (LIKELY(extra <= o->cap - o->len)) {
        return o->ptr + o->len;
    }
    return packet_out_grow(o, extra);
}

/* Begins a packet: keeps a place for the header. ERR_NOMEM. */
MUST_USE db_err packet_out_begin(struct packet_out *o);
/* Ends it: writes the header(s), counts seq. ERR_NOMEM. */
MUST_USE db_err packet_out_finish(struct packet_out *o);
/* Forgets the packet being built, if one is. */
static inline void packet_out_abandon(struct packet_out *o)
{
    o->len = o->packet;
}
void packet_out_release(struct packet_out *o);

/* Writers. Each makes its room. ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err put_u8(struct packet_out *o, uint8_t v);
MUST_USE db_err put_uint(struct packet_out *o, uint64_t v, unsigned size); /* little-endian */
MUST_USE db_err put_bytes(struct packet_out *o, struct slice s);
MUST_USE db_err put_zeros(struct packet_out *o, size_t count);
MUST_USE db_err put_lenenc(struct packet_out *o, uint64_t v);
MUST_USE db_err put_lenenc_bytes(struct packet_out *o, struct slice s);
MUST_USE db_err put_cstr(struct packet_out *o, struct slice s);

enum { LENENC_SIZE_MAX = 9 };
/* Unchecked, for callers that made room: LENENC_SIZE_MAX at most; returns the end. */
static inline uint8_t *lenenc_write(uint8_t *p, uint64_t v)
{
    if (LIKELY(v < 251)) {
        *p = (uint8_t)v;
        return p + 1;
    }
    if (v <= 0xffff) {
        *p = 252;
        memcpy(p + 1, &v, 2);
        return p + 3;
    }
    if (v <= 0xffffff) {
        *p = 253;
        memcpy(p + 1, &v, 3);
        return p + 4;
    }
    *p = 254;
    memcpy(p + 1, &v, 8);
    return p + 9;
}
static inline size_t lenenc_size(uint64_t v)
{
    return v < 251 ? 1 : v <= 0xffff ? 3 : v <= 0xffffff ? 4 : 9;
}

#endif
