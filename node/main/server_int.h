/* Private to node/main: what server.c and the parts it starts share. */
#ifndef SKEIN_NODE_MAIN_SERVER_INT_H
#define SKEIN_NODE_MAIN_SERVER_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/fiber.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "node/admin/admin.h"
#include "node/main/config.h"
#include "node/main/memory.h"
#include "node/main/node.h"
#include "sql/sql.h"
#include "wire/wire.h"

struct server {
    const struct config *config;
    struct memory_plan memory;
    struct config_address mysql, rpc, admin_address; /* numeric; ports real once bound */
    struct loop_group *loops;
    struct admin *admin;
    struct node *node;       /* NULL: storage in memory */
    struct storage *storage; /* the node's, or owned when there is none */
    struct sql_engine *engine;
    struct meta_other_waits sql_waits; /* the engine's */
    struct memory_waits *memory_waits; /* NULL with a node */
    struct wire_server *wire;          /* changed under mutex, as the admin's thread reads it */
    uint64_t start_ns;
    /* The fiber that starts, waits and stops. */
    pthread_mutex_t mutex;
    bool stop_wanted; /* guarded by mutex */
    bool waiting;     /* stop is initialised; guarded by mutex */
    struct waiter stop;
    _Atomic bool start_stop; /* stop_wanted, for a start that waits */
    _Atomic bool serving;    /* started, and not stopping */
    _Atomic bool leaving;    /* told to leave the cluster */
    _Atomic bool said_left;
    int done_fd; /* an eventfd: the fiber has ended */
    int exit_status;
    /* What /metrics shows of wire. */
    struct wire_counters counters; /* the admin's thread */
    uint64_t allocated, held, statements;
    struct metrics_source *sources;
    unsigned source_count;
};

/* One thing that is started; stopped in reverse order. Both run in a fiber. */
struct part {
    const char *name;
    db_err (*start)(struct server *s, struct diag *diag);
    void (*stop)(struct server *s); /* NULL: nothing to do */
};
extern const struct part g_server_parts[];
extern const unsigned g_server_part_count;

/* server.c: as a signal would. Any thread. */
void server_ask_to_stop(struct server *s);

/* operate.c: what operators may do, for the admin port and for other nodes. */
extern const struct admin_cluster g_admin_cluster;
MUST_USE db_err operate_drain(void *ctx, bool on, struct diag *diag);
void operate_leaving(void *ctx, bool leaving);
void operate_left(void *ctx, const char *text);
/* No new clients, no new leases, /readyz says no; or all of that again. */
void operate_close(struct server *s, bool closed);

/* server_report.c */
void server_refresh(void *ctx);
MUST_USE db_err server_status(void *ctx, struct buf *inout_json);
MUST_USE db_err server_register_metrics(struct server *s);
void server_unregister_metrics(struct server *s);

#endif
