/* Chunked transfer with credit: a sequence of messages each way between two fibers on two nodes.
 *
 * Each side grants the other a window of bytes (RPC_STREAM_WINDOW); a writer without credit parks;
 * a reader that releases what it has read gives credit back. So a stream never holds more than a
 * window at the receiver, however slow that is. Used for range snapshots and for results that come
 * in pieces.
 *
 * Life: the opening side gets it from rpc_stream_open and ends with rpc_stream_finish (or abort)
 * and rpc_stream_free; the serving side gets it as its handler's argument: returning from the
 * handler ends the stream with the handler's error.
 *
 * One fiber reads and one writes (the same one or two of the same loop or of different loops). */
#ifndef SKEIN_RPC_STREAM_STREAM_H
#define SKEIN_RPC_STREAM_STREAM_H

#include "rpc/conn/rpc.h"

struct rpc_stream;

enum {
    RPC_STREAM_WINDOW = 1024 * 1024,
    RPC_STREAM_CHUNK_MAX = 256 * 1024, /* of header and payload together */
};

/* Sends a chunk. Parks while there is no credit or the connection's queue is full.
 * ERR_LIMIT (larger than RPC_STREAM_CHUNK_MAX), ERR_TIMEOUT, ERR_CANCELED (the stream goes on
 * after either), ERR_OUTCOME_UNKNOWN (connection lost), or the error the other side aborted or
 * ended with (diag has its text). */
MUST_USE db_err rpc_stream_write(struct rpc_stream *s, struct slice header,
                                 const struct rpc_part *parts, unsigned part_count,
                                 struct diag *diag);
/* No more chunks from this side. Never parks. Idempotent. */
void rpc_stream_end(struct rpc_stream *s);
/* The next chunk; parks until there is one. *ret_end true: the other side has ended in order, no
 * chunk. The caller releases ret_chunk. Its credit goes back with the next read. Errors as of
 * write. */
MUST_USE db_err rpc_stream_read(struct rpc_stream *s, struct diag *diag, struct rpc_msg *ret_chunk,
                                bool *ret_end);
/* The opening side: ends its direction, drops what still comes, parks until the handler has
 * returned. Its error with its text; ERR_OK: it has returned ERR_OK. */
MUST_USE db_err rpc_stream_finish(struct rpc_stream *s, struct diag *diag);
/* Ends both directions at once; the other side's reads and writes get err and text. Never parks. */
void rpc_stream_abort(struct rpc_stream *s, db_err err, const char *text);
/* The opening side; aborts with ERR_CANCELED if not finished. NULL is fine. Never parks. */
void rpc_stream_free(struct rpc_stream *s);

#endif
