/* One end of a stream, as rpc/client and rpc/server make and feed it. */
#ifndef SKEIN_RPC_STREAM_ENDPOINT_H
#define SKEIN_RPC_STREAM_ENDPOINT_H

#include "rpc/conn/conn.h"
#include "rpc/stream/stream.h"

/* Takes a reference of the connection; one reference of the stream is the caller's. forget (may be
 * NULL) is called once, when the owner's table need not find the stream any more because this side
 * has ended it. NULL when memory is out. */
struct rpc_stream *rpc_stream_new(struct rpc_conn *conn, uint64_t id, bool opener,
                                  void (*forget)(void *ctx, uint64_t id), void *ctx);
/* Before the first frame, when the id was not known yet. */
void rpc_stream_set_id(struct rpc_stream *s, uint64_t id);
struct rpc_stream *rpc_stream_ref(struct rpc_stream *s);
void rpc_stream_unref(struct rpc_stream *s);
/* A frame of the stream. Any thread, one at a time. True: the stream is over, the owner may forget
 * it. */
bool rpc_stream_on_frame(struct rpc_stream *s, struct blob *blob, const struct rpc_frame *frame);
/* Its connection is gone. */
void rpc_stream_lost(struct rpc_stream *s, db_err err, const char *text);
/* The serving side: the handler has returned. */
void rpc_stream_done(struct rpc_stream *s, db_err err, const struct diag *diag);

#endif
