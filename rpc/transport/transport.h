/* The seam under rpc/: byte connections between nodes. Four implementations: TCP on the loops,
 * NNG's byte streams over TCP, TLS (OpenSSL) around another transport, and a simulated network.
 *
 * A transport dials and listens; what comes out is a pipe: bytes both ways, in order. At most one
 * send and one receive of a pipe are under way at a time. Nothing here parks or blocks.
 *
 * Completions are called from any thread (NNG's own, for one), never with a lock of the transport
 * held; in a simulated group on the loop that was given to dial or listen. They must be quick. */
#ifndef SKEIN_RPC_TRANSPORT_TRANSPORT_H
#define SKEIN_RPC_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/slice.h"

enum {
    RPC_IOV_MAX = 8,       /* slices of one send: what NNG takes */
    RPC_ADDRESS_MAX = 128, /* "host:port" or "[v6]:port" with its NUL: what NNG takes */
    RPC_PEER_NAME_MAX = 64,
};

struct rpc_transport;
struct rpc_pipe;
struct rpc_listener;

/* What a pipe tells its owner. bytes > 0 with ERR_OK. ERR_CLOSED: by either side, or broken; the
 * pipe is of no use any more. */
struct rpc_pipe_events {
    void (*sent)(void *ctx, db_err err, size_t bytes);
    void (*received)(void *ctx, db_err err, size_t bytes);
};

struct rpc_io {
    db_err err;
    size_t bytes;
};

struct rpc_pipe_ops {
    const char *name;
    /* Each returns true when it is complete at once, with the result in *ret_io and no event;
     * false when the event will follow. A send may take less than it was given. The bytes must stay
     * until it is complete. */
    bool (*send)(struct rpc_pipe *pipe, const struct slice *iov, unsigned count,
                 struct rpc_io *ret_io);
    bool (*recv)(struct rpc_pipe *pipe, void *ptr, size_t len, struct rpc_io *ret_io);
    /* Events come on this loop before long; a few may still come on the one before. NULL: they come
     * where the transport has them. Any thread, from within an event too, not beside free. */
    void (*move)(struct rpc_pipe *pipe, struct loop *loop);
    /* What is under way completes with ERR_CLOSED. Idempotent, any thread. */
    void (*close)(struct rpc_pipe *pipe);
    /* After close, with nothing under way. From any thread, from within an event too. */
    void (*free)(struct rpc_pipe *pipe);
};

struct rpc_pipe {
    const struct rpc_pipe_ops *ops;
    struct rpc_pipe_events events; /* set by rpc_pipe_attach before the first send or recv */
    void *ctx;
    char remote[RPC_ADDRESS_MAX];      /* for log lines; may be "" */
    bool encrypted;                    /* TLS */
    char peer_name[RPC_PEER_NAME_MAX]; /* TLS: common name of the peer's verified certificate, "" if
                                          it has shown none */
};

/* One attempt to connect. The caller owns the memory until done was called, once, also after
 * rpc_dial_cancel; it may free it then. */
struct rpc_dial {
    struct slice address;    /* host:port; borrowed for the call of rpc_dial */
    const char *server_name; /* TLS: the name the certificate must carry; borrowed until done */
    struct loop *loop;       /* where the pipe completes (not NNG's) */
    /* ERR_OK: the pipe is the callee's. Else pipe is NULL: ERR_UNAVAILABLE (refused, unreachable,
     * no such host, handshake failed), ERR_CANCELED, ERR_NOMEM. text says why (static or borrowed
     * for the call). Any thread; may be called from within rpc_dial. */
    void (*done)(struct rpc_dial *dial, db_err err, const char *text, struct rpc_pipe *pipe);
    void *impl; /* the transport's */
};

struct rpc_listen {
    const char *address; /* host:port, numeric or a name; port 0: any free one */
    struct loop *loop;   /* where a simulated pipe completes */
    /* The pipe is the callee's. Any thread. For TLS: after the handshake. */
    void (*accepted)(void *ctx, struct rpc_pipe *pipe);
    void *ctx;
    unsigned handshakes_max; /* connections that may be between accept and `accepted` at a time; 0:
                                64. More are closed. */
};

struct rpc_transport_ops {
    const char *name;
    void (*dial)(struct rpc_transport *t, struct rpc_dial *dial);
    void (*dial_cancel)(struct rpc_transport *t, struct rpc_dial *dial);
    /* ERR_IO (address in use, not ours), ERR_INVALID, ERR_NOMEM; diag says why. *ret_port: the
     * bound one. */
    db_err (*listen)(struct rpc_transport *t, const struct rpc_listen *listen, struct diag *diag,
                     uint16_t *ret_port, struct rpc_listener **ret_listener);
    /* No `accepted` begins after it has returned. Blocks shortly; not from an event. */
    void (*listener_close)(struct rpc_transport *t, struct rpc_listener *listener);
    /* After all pipes and listeners are gone. Waits for the transport's own threads. */
    void (*free)(struct rpc_transport *t);
};

struct rpc_transport {
    const struct rpc_transport_ops *ops;
};

/* Callers use these, not the members. */
void rpc_dial(struct rpc_transport *t, struct rpc_dial *dial);
/* Hastens `done`; harmless when it is being called. Not after it has returned. */
void rpc_dial_cancel(struct rpc_transport *t, struct rpc_dial *dial);
MUST_USE db_err rpc_listen(struct rpc_transport *t, const struct rpc_listen *listen,
                           struct diag *diag, uint16_t *ret_port,
                           struct rpc_listener **ret_listener);
void rpc_listener_close(struct rpc_transport *t, struct rpc_listener *listener); /* NULL is fine */
void rpc_transport_free(struct rpc_transport *t);                                /* NULL is fine */

void rpc_pipe_attach(struct rpc_pipe *pipe, const struct rpc_pipe_events *events, void *ctx);
bool rpc_pipe_send(struct rpc_pipe *pipe, const struct slice *iov, unsigned count,
                   struct rpc_io *ret_io);
bool rpc_pipe_recv(struct rpc_pipe *pipe, void *ptr, size_t len, struct rpc_io *ret_io);
void rpc_pipe_move(struct rpc_pipe *pipe, struct loop *loop); /* a wish */
void rpc_pipe_close(struct rpc_pipe *pipe);
void rpc_pipe_free(struct rpc_pipe *pipe);

/* TCP over NNG's streams. One per process is enough. ERR_NOMEM. */
MUST_USE db_err rpc_nng_transport_new(struct rpc_transport **ret_transport);

/* TCP on the given loops (copied), which outlive it: each connection completes on one of them.
 * ERR_NOMEM. */
MUST_USE db_err rpc_tcp_transport_new(struct loop *const *loops, unsigned count,
                                      struct rpc_transport **ret_transport);

#endif
