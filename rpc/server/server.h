/* The serving side: listens, checks who calls, runs handlers.
 *
 * One-way messages of a connection are handled one after the other, inline on the connection's
 * loop: such a handler must not park. Calls and streams run in a fiber each; calls go to one
 * loop as long as it keeps up, else to the next. When a connection ends, or the caller gives up,
 * the fibers that still work for it are cancelled (fiber_cancel). */
#ifndef SKEIN_RPC_SERVER_SERVER_H
#define SKEIN_RPC_SERVER_SERVER_H

#include "base/arena.h"
#include "base/loop.h"
#include "rpc/conn/rpc.h"
#include "rpc/stream/stream.h"
#include "rpc/transport/transport.h"

struct rpc_server;
struct rpc_request;

/* The bytes are good during the call; take a reference of msg->blob to keep them. */
typedef void (*rpc_oneway_fn)(void *ctx, const struct rpc_peer_info *from,
                              const struct rpc_msg *msg);

/* Answers by rpc_respond, once, and returns ERR_OK; or returns an error, which the caller gets with
 * the diag (by a stable number; text, MySQL number, data travel too). May park. fiber_deadline() is
 * the caller's. */
typedef db_err (*rpc_call_fn)(void *ctx, struct rpc_request *req, struct diag *diag);
/* The stream's handler: header is what rpc_stream_open was given. The stream ends when it returns.
 */
typedef db_err (*rpc_stream_fn)(void *ctx, const struct rpc_peer_info *from, struct slice header,
                                struct rpc_stream *stream, struct diag *diag);

const struct rpc_peer_info *rpc_request_peer(const struct rpc_request *req);
const struct rpc_msg *rpc_request_msg(const struct rpc_request *req);
/* Freed after the reply was queued. Limited to 256 MiB. */
struct arena *rpc_request_arena(struct rpc_request *req);
/* Queues the reply. May park while the connection's queue is full. ERR_LIMIT (too large: the caller
 * gets that error), ERR_NOMEM, ERR_CLOSED (the caller has gone: nothing to do about it). */
MUST_USE db_err rpc_respond(struct rpc_request *req, struct slice header,
                            const struct rpc_part *parts, unsigned part_count);
/* The header that goes with the error the handler is going to return; in the request's arena. */
void rpc_request_set_error_header(struct rpc_request *req, struct slice header);

struct rpc_server_opts {
    struct rpc_transport *transport; /* borrowed */
    const char *address;             /* host:port; port 0: any */
    struct rpc_identity identity;    /* kind RPC_PEER_NODE */
    struct loop *const *loops;       /* copied; the first runs the clockwork */
    unsigned loop_count;
    struct rpc_timing timing;
    size_t queue_max;         /* bytes of replies waiting per connection; 0: 64 MiB */
    size_t frame_max;         /* 0: 64 MiB */
    unsigned unknown_max;     /* connections that have not said who they are; 0: 64 */
    unsigned connections_max; /* 0: 4096 */
    /* Requests under way and their bytes, by class; 0: RAFT 4096, SQL 16384, BULK 256; 512 MiB. */
    unsigned requests_max[RPC_CLASS__COUNT];
    size_t request_bytes_max[RPC_CLASS__COUNT];
    /* Lets in who has no node identity: kind JOIN or CTL, its token, its certificate's name (in
     * from). Refused when NULL. Must not park, any thread. diag says why not. */
    db_err (*admit)(void *ctx, const struct rpc_peer_info *from, struct slice token,
                    struct diag *diag);
    void *ctx;
};

/* Not yet listening. ERR_NOMEM, ERR_INVALID. */
MUST_USE db_err rpc_server_new(const struct rpc_server_opts *opts, struct rpc_server **ret_server);
/* Before rpc_server_listen. One per method; replaces an earlier one. The kind must be the row's. */
void rpc_server_handle_oneway(struct rpc_server *s, enum rpc_method m, rpc_oneway_fn fn, void *ctx);
/* As oneway, but the handler is called on the thread that has read the message, without a way over
 * a loop: for one that only passes the message on. It must not block and needs no loop; the
 * messages of a connection still come one by one and in order among those handled so. */
void rpc_server_handle_oneway_direct(struct rpc_server *s, enum rpc_method m, rpc_oneway_fn fn,
                                     void *ctx);
/* From a direct handler: it has passed the message on to this loop. A connection whose messages are
 * all for one loop is read there before long, which spares the way from one loop to the other. */
void rpc_oneway_was_for(const struct rpc_peer_info *from, struct loop *loop);
void rpc_server_handle_call(struct rpc_server *s, enum rpc_method m, rpc_call_fn fn, void *ctx);
void rpc_server_handle_stream(struct rpc_server *s, enum rpc_method m, rpc_stream_fn fn, void *ctx);
/* ERR_IO, ERR_INVALID; diag says why. */
MUST_USE db_err rpc_server_listen(struct rpc_server *s, struct diag *diag, uint16_t *ret_port);
/* Closes listener and connections, cancels handlers, waits until all have returned, frees. From a
 * fiber it parks; from a thread that is no loop it blocks. Fine when not listening; NULL is fine.
 */
void rpc_server_stop(struct rpc_server *s);
/* Connections of a living peer; 0: none. */
unsigned rpc_server_connections(struct rpc_server *s, uint64_t node);

#endif
