/* The MySQL server: listeners, connections, authentication, commands and results on top of a SQL
 * engine (sql/sql.h). The face for main() and for tests.
 *
 * One acceptor hands every new connection to the loop that serves the fewest (SO_REUSEPORT would
 * leave the spread to a hash of addresses, which puts four of eight connections on one of four
 * loops). A connection stays on its loop; its commands run in fibers there. */
#ifndef SKEIN_WIRE_WIRE_H
#define SKEIN_WIRE_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"

struct loop_group;
struct sql_engine;
struct wire_server;

struct wire_server_opts {
    struct loop_group *loops;  /* outlives the server */
    struct sql_engine *engine; /* outlives the server */
    const char *version;       /* shown in the greeting, e.g. "9.7.4-SkeinDB-0.1"; copied */
    const char *host;          /* numeric address or NULL: no TCP listener */
    uint16_t port;             /* 0: the system chooses, see wire_server_port */
    const char *socket_path;   /* NULL: no unix socket; a stale file is replaced */
    bool tls;                  /* offer TLS */
    const char *tls_cert;      /* PEM files; NULL: made in data_dir on the first start */
    const char *tls_key;
    const char *tls_ca;   /* NULL: none, or the one made in data_dir */
    const char *data_dir; /* for the made certificate and RSA key; NULL: memory only */
    uint32_t preauth_max; /* connections that have not logged in; 0 = 4096, and never more than
                             a quarter of the process's file descriptors. When it is passed
                             the one that has waited longest goes. */
    uint32_t connection_id_first; /* 0 = 8 */
};

/* Binds, listens, makes certificates. Call it from a fiber or any thread outside the loops.
 * ERR_IO (address in use, files), ERR_INVALID (bad address or certificate), ERR_NOMEM; diag says
 * which. */
MUST_USE db_err wire_server_start(const struct wire_server_opts *opts, struct diag *diag,
                                  struct wire_server **ret_server);
/* The TCP port, 0 without a TCP listener. */
uint16_t wire_server_port(const struct wire_server *server);
/* Whoever connects from now on is refused with error 1053, or again let in; who is connected stays.
 * Any thread. */
void wire_server_refuse(struct wire_server *server, bool refuse);
/* Stops accepting, closes idle connections, lets running commands end until the deadline
 * (clock_mono_ns) and then cancels them. Returns when no connection is left. From a fiber (parks)
 * or a thread outside the loops (blocks). */
void wire_server_drain(struct wire_server *server, uint64_t deadline_ns);
/* Drains with a deadline that has passed and frees. NULL is fine. */
void wire_server_stop(struct wire_server *server);

struct wire_counters {
    uint64_t connections_now;     /* logged in */
    uint64_t preauth_now;         /* connected, not logged in */
    uint64_t connections_total;   /* accepted */
    uint64_t connections_refused; /* 1040 */
    uint64_t preauth_evicted;
    uint64_t aborted_connects; /* ended before login for any other reason */
    uint64_t aborted_clients;  /* ended after login without COM_QUIT */
    uint64_t bytes_received;
    uint64_t bytes_sent;
    uint64_t commands;
    uint64_t command[64]; /* by command byte; those above are counted under 63 */
    uint64_t tls_connections;
    uint64_t buffer_bytes; /* held by connections and pools */
};
/* A sum over the loops, each value a relaxed read. Any thread. */
void wire_server_counters(const struct wire_server *server, struct wire_counters *ret_counters);

#endif
