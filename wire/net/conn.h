/* One client connection: its socket, its buffers, its packets and its life.
 *
 * A connection belongs to one loop and all members are for that loop's thread only, but for
 * conn_kill. What a connection does with its packets is told by struct conn_ops: net/ knows
 * framing, not commands. An idle connection holds no fiber and no buffer.
 *
 * Writing: conn_begin, put_* (wire/net/packet.h) on c->out, conn_finish for each packet;
 * conn_flush sends. conn_finish sends by itself when enough has gathered; both may park until the
 * client has read (net_write_timeout, then the connection is lost). After any error from a function
 * of this header the connection can only be closed: return the error from the ops member. */
#ifndef SKEIN_WIRE_NET_CONN_H
#define SKEIN_WIRE_NET_CONN_H

#include <uv.h>

#include "base/diag.h"
#include "base/err.h"
#include "base/fiber.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/slice.h"
#include "base/sm.h"
#include "wire/net/packet.h"
#include "wire/net/protocol.h"

struct conn;
struct wire_loop;
struct wire_net;
struct tls_stream;
struct compress_stream;

struct conn_ops {
    const char *name;
    /* Writes the greeting packet. No fiber: may not park. */
    db_err (*greet)(struct conn *c);
    /* The first packet of the client; returns ERR_OK when it has logged in. In a fiber. */
    db_err (*login)(struct conn *c, struct slice packet);
    /* One command; its packet is valid until the next conn_read_packet. In a fiber. */
    db_err (*command)(struct conn *c, struct slice packet);
    /* Frees what the members above have hung on c->user. In a fiber, once, also after a failed
     * login (but not when no packet came). */
    void (*end)(struct conn *c);
};

enum conn_state {
    CONN_GREETED, /* waits for the client's first packet; no fiber */
    CONN_LOGIN,   /* a fiber authenticates */
    CONN_IDLE,    /* logged in, waits for a command; no fiber */
    CONN_BUSY,    /* a fiber runs a command */
    CONN_ENDING,  /* a fiber frees the session */
    CONN_LINGER,  /* we have said our last word and let the client read it; no fiber */
    CONN_CLOSED,  /* the handle is being closed */
};

enum conn_transport { CONN_TCP, CONN_UNIX };

/* Why a connection was told to end. */
enum conn_doom {
    DOOM_NONE,
    DOOM_QUIT,     /* COM_QUIT */
    DOOM_TIMEOUT,  /* waited too long for the client */
    DOOM_KILLED,   /* KILL */
    DOOM_SHUTDOWN, /* the server stops */
    DOOM_ERROR,    /* broken protocol: the error packet is in the output */
    DOOM_LOST,     /* the socket failed, or the client went away */
};

struct conn {
    /* hot: what a command touches */
    struct packet_in in;   /* bytes of the client, framing state */
    struct packet_out out; /* bytes for the client, `seq` of the next packet either way */
    uint32_t caps;         /* CAP_* both sides have, set by login */
    enum conn_doom doom;
    bool eof;    /* the client will send no more */
    bool torn;   /* sending ended within a packet, perhaps: nothing may follow */
    bool secure; /* TLS, or a unix socket: passwords may be sent in clear */
    uint8_t transport;
    uint8_t poll_events; /* what the handle waits for now */
    uint8_t want;        /* what the waiter waits for */
    struct wire_loop *loop;
    const struct conn_ops *ops;
    void *user; /* for the ops */
    struct fiber *fiber;
    struct waiter *waiter;
    uint64_t bytes_in, bytes_out;   /* that nobody has counted for the session yet */
    uint64_t active_ns;             /* when the client was last heard of */
    uint32_t max_packet;            /* max_allowed_packet */
    uint32_t read_timeout_s;        /* net_read_timeout */
    uint32_t write_timeout_s;       /* net_write_timeout */
    uint32_t idle_timeout_s;        /* wait_timeout */
    struct tls_stream *tls;         /* or NULL */
    struct compress_stream *packed; /* compressed protocol, or NULL */

    /* cold */
    int fd;
    uint32_t id;
    struct sm sm; /* enum conn_state */
    struct loop_timer timer;
    uint64_t opened_ns;
    struct list link;         /* of all connections of the loop */
    struct list preauth_link; /* of those that have not logged in, oldest first */
    bool counted;             /* has a place among max_connections */
    bool freeing;             /* closed: the memory waits for kill_task */
    bool lingers;             /* at the end let the client read what we said */
    uint64_t timer_at;        /* deadline of the armed timer, or DEADLINE_NONE */
    struct slice packet;      /* the packet that woke the fiber */
    _Atomic uint32_t command_seq;
    _Atomic uint32_t kill_request; /* see conn_kill */
    struct loop_task kill_task;
    char peer[64]; /* numeric address of the client, "" for a unix socket */
    uint8_t nonce[NONCE_SIZE + 1];
    uv_poll_t poll;
};

/* Takes the socket: an accepted one, on its loop. Sends the greeting. Closes it on failure. */
void conn_start(struct wire_loop *loop, int fd, enum conn_transport transport, const char *peer);

/* ---- for ops, in their fiber ---- */

/* Gives the packet at hand back and waits for the next one (net_read_timeout, or what is left of
 * connect_timeout). ERR_CLOSED: the client has gone; ERR_TIMEOUT; ERR_CANCELED: doomed;
 * ERR_INVALID: a protocol error whose error packet is in the output already. */
MUST_USE db_err conn_read_packet(struct conn *c, struct slice *ret_packet);
/* Moves the packet at hand, with its memory, to *ret_kept, so that it stays valid while others are
 * read, until conn_drop_packet. ERR_NOMEM. */
MUST_USE db_err conn_keep_packet(struct conn *c, struct packet_in *ret_kept);
void conn_drop_packet(struct conn *c, struct packet_in *kept);
/* Sends what was finished. May park. */
MUST_USE db_err conn_flush(struct conn *c);
/* Ends a packet (see packet_out_finish) and sends when enough has gathered. May park. */
MUST_USE db_err conn_finish(struct conn *c);
/* Speaks TLS from here on: what is in the input is its beginning. May park. ERR_CLOSED, ERR_IO. */
MUST_USE db_err conn_start_tls(struct conn *c);
/* Speaks the compressed protocol from here on. level: of zstd; 0 = zlib. */
MUST_USE db_err conn_start_compression(struct conn *c, bool zstd, int level);
/* Counts against max_connections. *ret_last: it takes the place beyond them, which is kept for
 * administrators. ERR_BUSY: too many. */
MUST_USE db_err conn_admit(struct conn *c, bool *ret_last);
/* Gives the place back: the connection is about to end, but may linger. */
void conn_unadmit(struct conn *c);

/* A packet holding an error. No '#sqlstate' before the client's capabilities are known. */
MUST_USE db_err conn_put_error(struct conn *c, uint16_t number, const char *sqlstate,
                               struct slice text);

/* Any thread, while the owner of `c` makes sure that it lives (until ops->end returns): cancels the
 * command that runs now (no other), or with `whole` ends the connection. */
void conn_kill(struct conn *c, bool whole);
/* In the fiber of a command: while it waits for something else than the client (on), a client that
 * goes away ends the connection. */
void conn_watch(struct conn *c, bool on);

static inline enum conn_state conn_state(const struct conn *c)
{
    return (enum conn_state)sm_state(&c->sm);
}

MUST_USE static inline db_err conn_begin(struct conn *c)
{
    return packet_out_begin(&c->out);
}

#endif
