/* Private to node/main: the membership's parts. */
#ifndef SKEIN_NODE_MAIN_MEMBERSHIP_INT_H
#define SKEIN_NODE_MAIN_MEMBERSHIP_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "cluster/view/cluster_coord.h"
#include "cluster/view/meta_client.h"
#include "cluster/view/remote_kv.h"
#include "node/main/membership.h"
#include "node/service/rpc_services.h"
#include "rpc/client/client.h"
#include "rpc/server/server.h"
#include "rpc/transport/tls.h"
#include "rpc/transport/transport.h"

enum { MEMBERS_MAX = 64, TOKEN_SIZE = 256, CLOCK_OFF_US = 1000000 };

struct known_member {
    struct node_info info;
    bool has_kv;
    bool gone;                   /* has left, and was hung up on */
    bool moved;                  /* another address or process than before */
    struct remote_kv_service kv; /* lives as long as the membership */
};

struct membership {
    struct membership_opts opts;
    char host[NODE_ADDRESS_MAX]; /* that others connect to */
    char token[TOKEN_SIZE];      /* without a fingerprint */
    bool tls;
    char pin[65];           /* the CA's fingerprint, hexadecimal; "": not known */
    struct rpc_tls_pair ca; /* its key only where it was made */
    struct rpc_tls_pair own;
    uint16_t port;
    struct store_ident ident;
    uint64_t boot_id;
    struct rpc_transport *transport;
    struct rpc_client *client;
    struct rpc_server *server;
    struct rpc_replica_transport replicas;
    struct rpc_services services;
    struct meta_client meta_client;
    struct meta_actions actions;
    struct meta *meta;
    struct cluster_coord coord;
    _Atomic bool has_sql;
    struct range_store *ranges;
    struct storage *storage; /* NULL until attached */
    _Atomic bool meta_local;
    _Atomic bool draining;
    _Atomic bool announcing; /* that fiber lives */
    _Atomic bool announce_end;
    /* The heartbeat's: */
    _Atomic bool accepted; /* as a member, since this process began */
    bool leaving;
    bool clock_off;        /* this node's, from that of who leads meta */
    pthread_mutex_t mutex; /* guards the rest */
    struct known_member members[MEMBERS_MAX];
    unsigned count;
    bool listed;      /* the file holds these, or is about to */
    bool writing;     /* it, just now */
    db_err unwritten; /* why the last write of it failed */
};

/* members_file.c: ids and RPC addresses, so that a restart finds somebody to ask. Block. */
MUST_USE db_err members_file_read(const char *data_dir, struct node_info *out, unsigned max,
                                  struct diag *diag, unsigned *ret_count);
MUST_USE db_err members_file_write(const char *data_dir, const struct node_info *nodes,
                                   unsigned count);

/* <data>/join-token: read, or with `make` made when it is not there. Blocks. */
MUST_USE db_err token_file(const char *data_dir, bool make, struct diag *diag,
                           char ret_token[TOKEN_SIZE]);

/* membership_join.c: asks the members in turn, for a minute, until one answers; parks. */
MUST_USE db_err membership_ask_to_join(struct membership *m, const struct node_info *self,
                                       struct arena *arena, struct diag *diag,
                                       struct node_directory *ret_dir);

/* membership_tls.c. All park but the first two. */
bool membership_tls_begun(const struct membership *m); /* are there certificates? */
/* Splits the token into itself and the fingerprint. */
MUST_USE db_err membership_tls_token(struct membership *m, struct diag *diag);
/* The transport becomes one that joins: it trusts the fingerprint and shows no certificate. */
MUST_USE db_err membership_tls_pin(struct membership *m, struct diag *diag);
/* Keeps what the answer to a join brought. */
MUST_USE db_err membership_tls_take(struct membership *m, const struct node_directory *dir,
                                    struct diag *diag);
/* The transport becomes a member's; the first node makes the CA. found: it has an identity. */
MUST_USE db_err membership_tls_open(struct membership *m, bool found, struct diag *diag);
/* meta_actions.issue */
MUST_USE db_err membership_tls_issue(void *ctx, struct slice ca_cert, struct slice ca_key,
                                     node_id_t node, struct arena *arena, struct diag *diag,
                                     struct slice *ret_cert, struct slice *ret_key);

/* membership_announce.c: tells the leader of the meta range, in a fiber of its own, where this node
 * listens now. The node listens. */
void membership_announce(struct membership *m);

#endif
