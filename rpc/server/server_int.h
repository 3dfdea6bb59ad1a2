/* Private to rpc/server. */
#ifndef SKEIN_RPC_SERVER_SERVER_INT_H
#define SKEIN_RPC_SERVER_SERVER_INT_H

#include "base/fiber.h"
#include "base/hash.h"
#include "base/list.h"
#include "rpc/conn/conn.h"
#include "rpc/server/server.h"
#include "rpc/stream/endpoint.h"

enum {
    CALLS_PER_LOOP = 4, /* that a loop has not begun yet, before the next one gets some */
    MOVE_AFTER = 16,    /* messages in a row that were for one other loop */
};

struct handler {
    rpc_oneway_fn oneway;
    bool direct; /* oneway is called by the reading thread */
    rpc_call_fn call;
    rpc_stream_fn stream;
    void *ctx;
};

/* Requests under way of one class, against its bounds. */
struct admission {
    _Atomic unsigned count;
    _Atomic size_t bytes;
    unsigned count_max;
    size_t bytes_max;
};
void admission_init(struct admission *a, enum rpc_class class, unsigned count_max,
                    size_t bytes_max);
/* False: there are too many. */
bool admission_enter(struct admission *a, size_t bytes);
void admission_leave(struct admission *a, size_t bytes);

/* A node with at least one open connection. */
struct known_node {
    struct hash_node by_node;
    uint64_t node;
    uint64_t boot_id;
    unsigned connections;
};

struct rpc_server {
    struct rpc_server_opts opts;
    struct loop **loops;
    _Atomic unsigned *waiting; /* by loop: requests that it has not begun */
    struct handler handlers[RPC_METHOD_MAX];
    struct admission admission[RPC_CLASS__COUNT];
    struct rpc_listener *listener;
    struct rpc_latch latch; /* the clockwork's tasks, connections with all their requests */
    struct loop_task start_task;
    struct loop_task stop_task;
    struct loop_timer timer;       /* clockwork's loop only */
    bool stopped;                  /* clockwork's loop only */
    _Atomic unsigned next_loop;    /* of connections */
    _Atomic unsigned request_loop; /* that gets requests at present */

    pthread_mutex_t lock; /* guards the rest */
    struct list conns;    /* of server_conn */
    unsigned conn_count;
    unsigned unknown_count; /* of them, not let in yet */
    struct hash_table nodes;
    bool closing;
};

/* A connection; lives until its last request has ended. */
struct server_conn {
    struct rpc_server *server;
    struct rpc_conn *conn;
    _Atomic unsigned refs; /* the connection's end, requests, batches */
    struct list link;      /* server->conns; guarded by server->lock */
    struct loop *loop;     /* one-way messages */
    struct loop *meant;    /* for which the last one was, if for another than the reading one; */
    unsigned meant_count;  /* so many in a row: the reading thread */
    uint64_t hello_until_ns;
    bool open;         /* reading thread, then constant; clockwork reads it under server->lock */
    bool counted_node; /* guarded by server->lock */
    struct rpc_peer_info info; /* constant once open */

    pthread_mutex_t lock;       /* guards the rest */
    struct hash_table requests; /* by id */
    bool closed;
    bool parked; /* the reader waits for batches to be handled */
    unsigned batches;
};

struct rpc_request {
    struct loop_task task;
    unsigned loop; /* index */
    struct server_conn *sc;
    struct hash_node by_id; /* guarded by sc->lock */
    uint64_t id;
    uint16_t method;
    bool responded;
    bool canceled;       /* guarded by sc->lock */
    struct fiber *fiber; /* guarded by sc->lock; NULL: has not begun */
    struct rpc_stream *stream;
    uint64_t deadline_ns;
    size_t bytes; /* as admitted */
    struct rpc_msg msg;
    struct slice error_header;
    struct arena arena;
};

/* server.c */
void server_conn__unref(struct server_conn *sc);
/* hello.c: the reading thread; the first frame. False: refused, the connection ends. */
bool server__hello(struct server_conn *sc, const struct rpc_frame *frame);
void server__forget_node(struct rpc_server *s, struct server_conn *sc); /* with s->lock held */
/* dispatch.c */
bool server__on_frames(void *ctx, struct rpc_conn *c, struct blob *blob,
                       const struct rpc_frame *frames, unsigned count);
void server__cancel_all(struct server_conn *sc, const char *text);

#endif
