/* A network inside one process, on base's simulated loops: seeded delays, connections that break,
 * hosts that cannot reach each other. The same seed gives the same run.
 *
 * A host is one simulated process: a name ("n1") and the loop its completions run on. Addresses are
 * "n1:7000". Bytes of a connection arrive in order or not at all; what TCP would do to a lost
 * packet is a longer delay. While two hosts are cut off, bytes wait, dials hang; when the cut is
 * over the bytes arrive. Single-threaded, as the group. */
#ifndef SKEIN_RPC_TRANSPORT_SIM_TRANSPORT_H
#define SKEIN_RPC_TRANSPORT_SIM_TRANSPORT_H

#include "rpc/transport/transport.h"

struct rpc_sim_net;

struct rpc_sim_opts {
    uint64_t seed;
    uint64_t delay_min_ns; /* one way; 0: 50 us */
    uint64_t delay_max_ns; /* 0: 500 us */
    double slow_chance;    /* of a delivery to take up to slow_max_ns instead */
    uint64_t slow_max_ns;  /* 0: 50 ms */
    double reset_chance;   /* of a delivery to break the connection instead */
    double split_chance;   /* of a send to take only part of its bytes */
    size_t buffer_max;     /* bytes under way per direction before a sender waits; 0: 1 MiB */
};

MUST_USE db_err rpc_sim_net_new(const struct rpc_sim_opts *opts, struct rpc_sim_net **ret_net);
/* After the transports of all hosts were freed and the group has stopped. NULL is fine. */
void rpc_sim_net_free(struct rpc_sim_net *net);
/* The transport of one host. The loop is used for what dial and listen do not name one for. */
MUST_USE db_err rpc_sim_transport_new(struct rpc_sim_net *net, const char *host, struct loop *loop,
                                      struct rpc_transport **ret_transport);

/* From now on (or no longer) nothing goes from host a to host b. "*" is every host. */
void rpc_sim_net_cut(struct rpc_sim_net *net, const char *from, const char *to, bool cut);
void rpc_sim_net_heal(struct rpc_sim_net *net);                                 /* no cuts at all */
void rpc_sim_net_set(struct rpc_sim_net *net, const struct rpc_sim_opts *opts); /* but the seed */
/* The host's process dies: its listeners and connections are gone at once without an event on its
 * side, the others see their connections break. Call it right before or after loop_sim_kill. What
 * the dead transport and its pipes hold is freed with the net; the host may start anew with another
 * rpc_sim_transport_new. */
void rpc_sim_net_kill(struct rpc_sim_net *net, const char *host);

#endif
