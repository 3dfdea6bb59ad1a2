/* Frames: what goes over a connection. docs/formats/rpc.md. */
#ifndef SKEIN_RPC_CONN_FRAME_H
#define SKEIN_RPC_CONN_FRAME_H

#include "base/buf.h"
#include "rpc/conn/rpc.h"

enum { RPC_FRAME_HEAD = 24, RPC_PROTOCOL_VERSION = 1 };

enum rpc_frame_type {
    RPC_FRAME_HELLO = 1,
    RPC_FRAME_WELCOME = 2,
    RPC_FRAME_ONEWAY = 3,
    RPC_FRAME_REQUEST = 4,
    RPC_FRAME_REPLY = 5,
    RPC_FRAME_CANCEL = 6,
    RPC_FRAME_PING = 7,
    RPC_FRAME_PONG = 8,
    RPC_FRAME_STREAM_OPEN = 9,
    RPC_FRAME_STREAM_DATA = 10,
    RPC_FRAME_STREAM_CREDIT = 11,
    RPC_FRAME_STREAM_END = 12,   /* of one direction */
    RPC_FRAME_STREAM_ABORT = 13, /* of both; an error block */
    RPC_FRAME_STREAM_DONE = 14,  /* the handler has returned; an error block */
};
enum {
    RPC_FLAG_ERROR = 1, /* REPLY: the header begins with an error block */
    RPC_FLAGS_KNOWN = 1,
};

struct rpc_frame_head {
    uint32_t size; /* of the whole frame */
    uint8_t type;
    uint8_t flags;
    uint16_t method;
    uint64_t id;
    uint32_t arg; /* REQUEST, STREAM_OPEN: ms until the deadline, 0 = none; STREAM_CREDIT: bytes */
    uint32_t header_size;
};

struct rpc_frame {
    struct rpc_frame_head head;
    struct slice header;
    struct slice payload;
};

void rpc_frame_encode(const struct rpc_frame_head *head, uint8_t out[RPC_FRAME_HEAD]);
/* What stands in the first RPC_FRAME_HEAD bytes. ERR_LIMIT: larger than size_max (head is filled);
 * ERR_CORRUPT: no frame of ours. */
MUST_USE db_err rpc_frame_decode(const uint8_t in[RPC_FRAME_HEAD], size_t size_max,
                                 struct rpc_frame_head *ret_head);

/* Error block: number of the error, diag. */
enum { RPC_ERROR_BLOCK_MAX = 4 + 2 + 6 + 4 + 8 + 2 + 511 };
/* diag may be NULL. Returns its size. */
size_t rpc_error_encode(db_err err, const struct diag *diag, uint8_t out[RPC_ERROR_BLOCK_MAX]);
/* diag may be NULL; *ret_rest is what follows the block. ERR_CORRUPT. */
MUST_USE db_err rpc_error_decode(struct slice in, struct diag *diag, db_err *ret_err,
                                 struct slice *ret_rest);

/* First frames. Both slices borrow from the input. */
struct rpc_hello {
    uint16_t version;
    uint8_t kind;  /* enum rpc_peer_kind */
    uint8_t class; /* enum rpc_class */
    uint8_t cluster[16];
    uint64_t node;
    uint64_t boot_id;
    uint64_t to_node; /* whom the sender believes to talk to, 0 = whoever */
    struct slice token;
};
struct rpc_welcome {
    uint16_t version;
    uint8_t cluster[16];
    uint64_t node;
    uint64_t boot_id;
    struct slice error; /* an error block; ERR_OK: come in */
};
MUST_USE db_err rpc_hello_encode(const struct rpc_hello *hello, struct buf *out);
MUST_USE db_err rpc_hello_decode(struct slice in, struct rpc_hello *ret_hello); /* ERR_CORRUPT */
MUST_USE db_err rpc_welcome_encode(const struct rpc_welcome *welcome, struct buf *out);
MUST_USE db_err rpc_welcome_decode(struct slice in, struct rpc_welcome *ret_welcome);

static inline void rpc_put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void rpc_put_u32(uint8_t *p, uint32_t v)
{
    rpc_put_u16(p, (uint16_t)v);
    rpc_put_u16(p + 2, (uint16_t)(v >> 16));
}
static inline void rpc_put_u64(uint8_t *p, uint64_t v)
{
    rpc_put_u32(p, (uint32_t)v);
    rpc_put_u32(p + 4, (uint32_t)(v >> 32));
}
static inline uint16_t rpc_get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t rpc_get_u32(const uint8_t *p)
{
    return rpc_get_u16(p) | (uint32_t)rpc_get_u16(p + 2) << 16;
}
static inline uint64_t rpc_get_u64(const uint8_t *p)
{
    return rpc_get_u32(p) | (uint64_t)rpc_get_u32(p + 4) << 32;
}

#endif
