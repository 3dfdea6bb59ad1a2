#include "rpc/transport/transport.h"

#include "base/assert.h"

void rpc_dial(struct rpc_transport *t, struct rpc_dial *dial)
{
    ASSERT(dial->done != NULL);
    t->ops->dial(t, dial);
}

void rpc_dial_cancel(struct rpc_transport *t, struct rpc_dial *dial)
{
    t->ops->dial_cancel(t, dial);
}

db_err rpc_listen(struct rpc_transport *t, const struct rpc_listen *listen, struct diag *diag,
                  uint16_t *ret_port, struct rpc_listener **ret_listener)
{
    ASSERT(listen->accepted != NULL);
    return t->ops->listen(t, listen, diag, ret_port, ret_listener);
}

void rpc_listener_close(struct rpc_transport *t, struct rpc_listener *listener)
{
    if (listener != NULL) {
        t->ops->listener_close(t, listener);
    }
}

void rpc_transport_free(struct rpc_transport *t)
{
    if (t != NULL) {
        t->ops->free(t);
    }
}

void rpc_pipe_attach(struct rpc_pipe *pipe, const struct rpc_pipe_events *events, void *ctx)
{
    ASSERT(events->sent != NULL);
    ASSERT(events->received != NULL);
    pipe->events = *events;
    pipe->ctx = ctx;
}

bool rpc_pipe_send(struct rpc_pipe *pipe, const struct slice *iov, unsigned count,
                   struct rpc_io *ret_io)
{
    ASSERT(count > 0 && count <= RPC_IOV_MAX);
    return pipe->ops->send(pipe, iov, count, ret_io);
}

bool rpc_pipe_recv(struct rpc_pipe *pipe, void *ptr, size_t len, struct rpc_io *ret_io)
{
    ASSERT(len > 0);
    return pipe->ops->recv(pipe, ptr, len, ret_io);
}

void rpc_pipe_move(struct rpc_pipe *pipe, struct loop *loop)
{
    if (pipe->ops->move != NULL) {
        pipe->ops->move(pipe, loop);
    }
}

void rpc_pipe_close(struct rpc_pipe *pipe)
{
    pipe->ops->close(pipe);
}

void rpc_pipe_free(struct rpc_pipe *pipe)
{
    pipe->ops->free(pipe);
}
