/* What clients, servers and streams of rpc/ share: classes, methods, received bytes, limits.
 *
 * Bytes in a message: a header (protobuf-c or a codec of the caller's own, small) and a raw payload
 * (row batches, log entries, file chunks). rpc/ looks into neither. */
#ifndef SKEIN_RPC_CONN_RPC_H
#define SKEIN_RPC_CONN_RPC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

/* Each class has connections of its own, so that a snapshot does not delay a heartbeat. */
enum rpc_class { RPC_CLASS_RAFT, RPC_CLASS_SQL, RPC_CLASS_BULK, RPC_CLASS__COUNT };
enum rpc_kind { RPC_ONEWAY, RPC_UNARY, RPC_STREAM };
/* Who may call a method: a member; somebody who joins (token, no identity yet); the operator. */
enum { RPC_BY_NODE = 1, RPC_BY_JOIN = 2, RPC_BY_CTL = 4 };

/* The methods are rows of rpc/conn/methods.def; the numbers travel. */
enum rpc_method {
#define METHOD(number, name, kind, class, callers, text) RPC_M_##name = (number),
#include "rpc/conn/methods.def"
#undef METHOD
};
enum { RPC_METHOD_MAX = 1024 }; /* numbers are below */

struct rpc_method_info {
    const char *name;
    enum rpc_kind kind;
    enum rpc_class class;
    unsigned callers;
};
/* NULL: no such method. */
const struct rpc_method_info *rpc_method_info(unsigned number);
const char *rpc_class_name(enum rpc_class class);

/* A piece of a payload to be sent. owner NULL: the bytes are copied during the call. With an owner
 * large pieces are not copied: a reference is held until they are written. */
struct rpc_part {
    struct slice bytes;
    struct blob *owner;
};
#define RPC_PART(s) ((struct rpc_part){(s), NULL})

/* A received message. The slices lie in the blob: good for as long as a reference is held. */
struct rpc_msg {
    struct slice header;
    struct slice payload;
    struct blob *blob; /* may be shared with neighbours from the same read (up to 64 KiB) */
};
/* Drops the reference and empties the message. Fine on a zeroed one. */
void rpc_msg_release(struct rpc_msg *msg);

/* Who is at the other end, from its first frame and, with TLS, its certificate. */
enum rpc_peer_kind { RPC_PEER_NODE, RPC_PEER_JOIN, RPC_PEER_CTL };
struct rpc_peer_info {
    enum rpc_peer_kind kind;
    uint64_t node;    /* 0 unless RPC_PEER_NODE */
    uint64_t boot_id; /* drawn anew at each start of a process */
    enum rpc_class class;
    bool encrypted;
    char name[64];    /* common name of its certificate, "" for none */
    char remote[128]; /* address */
};

/* What a node says about itself in the first frame of each connection. */
struct rpc_identity {
    uint8_t cluster[16]; /* all zero: not known yet (join and ctl only) */
    uint64_t node;       /* 0: none */
    uint64_t boot_id;
    enum rpc_peer_kind kind;
    const char
        *token; /* RPC_PEER_JOIN, RPC_PEER_CTL: up to 512 bytes, borrowed for life; or NULL */
};
/* A random boot id that is not 0. ERR_IO. */
MUST_USE db_err rpc_boot_id(uint64_t *ret_boot_id);

/* Errors travel under a number that does not depend on the order of base/err_codes.def: a hash of
 * the name. An unknown number becomes ERR_OUTCOME_UNKNOWN. */
uint32_t rpc_err_number(db_err err);
db_err rpc_err_of(uint32_t number);

/* Timing shared by both ends; 0 takes the default. */
struct rpc_timing {
    uint32_t tick_ms;       /* how often connections are looked at; 50 */
    uint32_t ping_ms;       /* asks after so much silence; 300 */
    uint32_t dead_ms;       /* gives up after so much silence; 1500: a
                             * frozen node is noticed about when others lead its ranges */
    uint32_t hello_ms;      /* for the first frames; 5000 */
    uint32_t dial_ms;       /* for one attempt to connect; 2000 */
    uint32_t redial_ms;     /* first pause after a failed attempt; doubles, with jitter; 50 */
    uint32_t redial_max_ms; /* 1000 */
};
void rpc_timing_defaults(struct rpc_timing *timing);

#endif
