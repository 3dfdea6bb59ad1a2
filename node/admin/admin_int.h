/* Private to node/admin. */
#ifndef SKEIN_NODE_ADMIN_ADMIN_INT_H
#define SKEIN_NODE_ADMIN_ADMIN_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/metrics.h"
#include "node/admin/admin.h"
#include "node/log/log.h"
#include "node/range/range.h"
#include "node/store/engine.h"

struct MHD_Connection;
struct MHD_Daemon;

enum {
    ADMIN_BODY_MAX = 64 * 1024,  /* of a request */
    ADMIN_REPLY_MAX = 32 << 20,  /* 100,000 ranges fit */
    ADMIN_CONNECTIONS_MAX = 128, /* probes and scrapers; one thread serves them */
    ADMIN_IDLE_TIMEOUT_S = 10,   /* also the time to send a request */
    ADMIN_CONNECTION_MEMORY = 32 * 1024
};

/* The cluster as this node sees it. */
struct cluster_health {
    uint64_t nodes, alive, suspect, dead, draining;
    uint64_t under_replicated; /* of the ranges led here */
};
void admin__health(const struct admin *a, struct range_store *ranges,
                   struct cluster_health *ret_health);

/* What the metrics page shows of the storage, taken once per page. */
struct admin_snapshot {
    struct raft_log_stats log;
    struct engine_stats engine;
    struct range_store_stats ranges;
    struct cluster_health health;
    uint64_t write_stopped, disk_full; /* 0 or 1 */
    uint64_t resident_bytes, cpu_ms, threads, open_files;
};

struct admin {
    struct admin_opts opts;
    struct MHD_Daemon *daemon;
    uint64_t start_us;
    _Atomic int state; /* enum admin_state */
    pthread_mutex_t mutex;
    struct range_store *ranges;     /* guarded by mutex; NULL: detached */
    struct raft_log *log;           /* guarded by mutex */
    unsigned users;                 /* requests that use them; guarded by mutex */
    unsigned fibers;                /* handlers that run in fibers; guarded by mutex */
    struct admin_snapshot snapshot; /* the admin's thread */
    struct metrics_source *sources;
    unsigned source_count; /* registered */
};

/* One request. A handler reads it and fills reply and status. */
struct request {
    struct admin *admin;
    struct MHD_Connection *connection;
    const struct route *route;
    struct range_store *ranges; /* of an ATTACHED route; NULL where the storage is not open */
    struct raft_log *log;
    struct buf body;
    struct buf reply;
    char query[256]; /* the value of ?key=, "" when there is none */
    const char *content_type;
    unsigned status; /* of HTTP; 200 unless a handler says otherwise */
    bool too_large;
    bool begun, done;
};

/* Replaces the reply by a line of text. */
void request_fail(struct request *r, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Appends text as a JSON string, or bytes as one of hexadecimal digits. */
MUST_USE db_err json_string(struct buf *b, const char *text);
MUST_USE db_err json_hex(struct buf *b, struct slice bytes);

/* Takes and gives back the attached parts; false when there are none. */
bool admin__borrow(struct admin *a, struct range_store **ret_ranges, struct raft_log **ret_log);
void admin__return(struct admin *a);
/* Metrics of the storage and the process (metrics_page.c). */
MUST_USE db_err admin__register_metrics(struct admin *a);
void admin__unregister_metrics(struct admin *a);
void admin__process_snapshot(struct admin_snapshot *s);

#define ROUTE(method, path, flags, handler, help) void admin__##handler(struct request *r);
#include "node/admin/routes.def"
#undef ROUTE

#endif
