/* The connections of all loops: what they share, and the listeners that feed them. Between the
 * connection (conn.h) and the server (wire/server.c). */
#ifndef SKEIN_WIRE_NET_NET_H
#define SKEIN_WIRE_NET_NET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/diag.h"
#include "base/list.h"
#include "base/loop.h"
#include "wire/net/conn.h"

struct tls_context;

enum { COMMAND_COUNTERS = 64 };

/* Written by the loop's thread alone, read by any: relaxed loads and stores. */
struct wire_loop_counters {
    _Atomic uint64_t accepted, refused, evicted, aborted_connects, aborted_clients;
    _Atomic uint64_t bytes_in, bytes_out, commands, tls;
    _Atomic uint64_t command[COMMAND_COUNTERS];
};
static inline void counter_add(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* What one loop's connections share. */
struct wire_loop {
    struct wire_net *net;
    struct loop *loop;
    struct io_pool pool;
    struct list conns;
    struct list preauth; /* oldest first */
    unsigned preauth_count;
    bool draining;
    _Atomic uint32_t load; /* connections on the loop or on their way to it */
    _Atomic uint32_t preauth_now;
    struct wire_loop_counters counters;
    struct loop_task control_task;
    _Atomic int control_done;
};

struct wire_net_limits {
    uint32_t preauth_per_loop;
    /* Asked at each connect, as they are settings that may change. */
    uint64_t (*connections_max)(void *ctx);
    uint32_t (*connect_timeout_s)(void *ctx);
    void *ctx;
};

struct wire_net {
    const struct conn_ops *ops;
    void *ctx; /* for the ops: the server */
    struct wire_net_limits limits;
    struct tls_context *tls; /* or NULL */
    _Atomic uint32_t next_id;
    _Atomic uint64_t admitted; /* logged in now */
    _Atomic bool refusing;     /* who connects is told that the server stops */
    _Atomic uint32_t alive;    /* connections that still have memory */
    unsigned loop_count;
    struct wire_loop **loops;
};

/* ERR_NOMEM. */
MUST_USE db_err wire_net_init(struct wire_net *net, struct loop_group *group);
/* No connection may be left. */
void wire_net_fini(struct wire_net *net);
/* Tells every connection to end: the idle ones now, the busy ones after their command, or with
 * `cancel` as soon as they notice. Does not wait. Not from the loops' own callbacks; from a fiber
 * it may park. */
void wire_net_end_all(struct wire_net *net, bool cancel);

/* ---- listeners ---- */

struct listener;
/* Binds a TCP address ("127.0.0.1", "::", ...) or, with path, a unix socket; accepts on the given
 * loop and hands each socket to the loop with the fewest connections. ERR_INVALID, ERR_IO,
 * ERR_NOMEM. */
MUST_USE db_err listener_open(struct wire_net *net, struct loop *loop, const char *host,
                              uint16_t port, const char *path, struct diag *diag,
                              struct listener **ret_listener);
uint16_t listener_port(const struct listener *l);
/* Stops accepting and frees; from outside the listener's loop, or a fiber. NULL is fine. */
void listener_close(struct listener *l);

/* Runs fn(arg) on the loop's thread and waits for it: parks a fiber, blocks a thread. */
void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg);
/* Waits a moment: parks a fiber, blocks a thread. */
void wire_pause(uint64_t ns);

/* Connection internals shared by conn.c and conn_io.c. */
void conn__on_poll(uv_poll_t *poll, int status, int events);
void conn__doom(struct conn *c, enum conn_doom doom);
void conn__poll(struct conn *c, int events);
MUST_USE db_err conn__wait(struct conn *c, int events, uint64_t deadline_ns);
/* One receive into the input. ret_drained: the socket has (very likely) nothing more now.
 * ERR_CLOSED: end of stream or broken. */
MUST_USE db_err conn__fill(struct conn *c, bool *ret_drained);
/* Sends the finished output as far as that goes without waiting, for last words and greetings. */
void conn__send_now(struct conn *c);
/* Looks for the next packet; on a protocol error puts the error packet and returns ERR_INVALID. */
MUST_USE db_err conn__next(struct conn *c, bool *ret_ready, struct slice *ret_packet);

#endif
