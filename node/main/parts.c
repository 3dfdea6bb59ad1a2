/* The parts of a node, in the order in which they start.
 *
 * The admin port comes first, so that a long replay of the log can be watched; MySQL clients come
 * last. A failed start stops what had been started, in reverse order, as a stop does: clients are
 * drained, then the engine has no sessions, then the storage has no transactions. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scope.h"
#include "node/main/listen.h"
#include "node/main/lock_source.h"
#include "node/main/membership.h"
#include "node/main/memory_waits.h"
#include "node/main/server.h"
#include "node/main/server_int.h"
#include "sql/storage/coord.h"
#include "sql/storage/mem/mem.h"

#define ENGINE_RETRY_NS (500 * NS_PER_MS)

enum { ADMIN_BACKLOG = 64, PATH_TEXT_MAX = 1024 };

static bool in_memory(const struct server *s)
{
    return s->config->storage == 1;
}

/* ---- the data directory ----
 * node_start takes the lock. Asking here too, before anything else, gives the real reason instead
 * of an address that is in use. */

static db_err start_directory(struct server *s, struct diag *diag)
{
    char path[PATH_TEXT_MAX];
    if (in_memory(s)) {
        return ERR_OK;
    }
    snprintf(path, sizeof(path), "%s/LOCK", s->config->data);
    SCOPE_FD(fd) = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return ERR_OK; /* no such directory yet; any other reason is node_start's to tell */
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return diag_set(diag, ERR_BUSY,
                        "%s is in use by another process: stop it, or use another directory",
                        s->config->data);
    }
    return ERR_OK;
}

/* ---- admin ---- */

static db_err start_admin(struct server *s, struct diag *diag)
{
    struct admin_opts opts = {.listen_fd = -1,
                              .loops = s->loops,
                              .version = SKEIN_MYSQL_VERSION,
                              .data_dir = in_memory(s) ? "" : s->config->data,
                              .refresh = server_refresh,
                              .status = server_status,
                              .cluster = in_memory(s) ? NULL : &g_admin_cluster,
                              .replicas = (unsigned)s->config->replicas,
                              .ctx = s};
    TRY(listen_open("admin", ADMIN_BACKLOG, &s->admin_address, diag, &opts.listen_fd));
    TRY(server_register_metrics(s));
    db_err err = admin_start(&opts, diag, &s->admin);
    if (err != ERR_OK) {
        close(opts.listen_fd);
        server_unregister_metrics(s);
    }
    return err;
}

static void stop_admin(struct server *s)
{
    admin_stop(s->admin);
    s->admin = NULL;
    server_unregister_metrics(s);
}

/* ---- storage ---- */

/* Nothing that goes on may be trusted with data: what was acknowledged is safe in the log. */
static void on_fatal(void *arg, db_err err, const char *text)
{
    (void)arg;
    LOG_ERROR("server.fatal", F_ERR(err), F_STR("reason", text));
    _exit(1);
}

static db_err make_temp_dir(struct server *s, struct diag *diag)
{
    char path[PATH_TEXT_MAX];
    if (s->config->temp_dir[0] != '\0' || in_memory(s)) {
        return ERR_OK;
    }
    snprintf(path, sizeof(path), "%s/temp", s->config->data);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return diag_set(diag, ERR_IO, "cannot make %s: %s", path, strerror(errno));
    }
    return ERR_OK;
}

static unsigned rpc_tls(const struct server *s)
{
    static const unsigned chosen[] = {MEMBERSHIP_TLS_AUTO, MEMBERSHIP_TLS_ON, MEMBERSHIP_TLS_OFF};
    bool beyond = !listen_is_loopback(&s->rpc);
    return s->config->rpc_tls == 0 && beyond && !s->config->insecure ? (unsigned)MEMBERSHIP_TLS_ON
                                                                     : chosen[s->config->rpc_tls];
}

/* What the other members are told of this node. */
static void describe(void *ctx, struct node_info *self)
{
    struct server *s = ctx;
    snprintf(self->version, sizeof(self->version), "%s", SKEIN_VERSION);
    pthread_mutex_lock(&s->mutex);
    listen_format(&s->mysql, self->mysql, sizeof(self->mysql));
    listen_format(&s->admin_address, self->admin, sizeof(self->admin));
    pthread_mutex_unlock(&s->mutex);
}

static db_err start_storage(struct server *s, struct diag *diag)
{
    char rpc[CONFIG_HOST_MAX + 16];
    if (in_memory(s)) {
        struct mem_storage_opts opts = {.bytes_max = s->memory.store};
        return mem_storage_new(&opts, &s->storage);
    }
    listen_format(&s->rpc, rpc, sizeof(rpc));
    struct node_opts opts = {
        .data_dir = s->config->data,
        .loops = s->loops,
        .memory_size = s->memory.store,
        .range_size_max = s->config->range_size,
        .merge_after_ms = (uint32_t)(s->config->range_merge_after > UINT32_MAX / 1000
                                         ? UINT32_MAX
                                         : s->config->range_merge_after * 1000),
        .split_load = (uint32_t)s->config->range_split_load,
        .lock_memory_max = s->memory.range_locks,
        .gc_age_ms = (uint32_t)(s->config->gc_age > UINT32_MAX / 1000 ? UINT32_MAX
                                                                      : s->config->gc_age * 1000),
        .rpc_address = rpc,
        .advertise = s->config->advertise,
        .join = s->config->join,
        .join_token = s->config->join_token,
        .rpc_tls = rpc_tls(s),
        .rpc_transport = (unsigned)s->config->rpc_transport,
        .replicas = (unsigned)s->config->replicas,
        .dead_after_ms = (uint32_t)s->config->dead_after * 1000,
        .describe = describe,
        .describe_ctx = s,
        .drain = operate_drain,
        .leaving = operate_leaving,
        .left = operate_left,
        .operator_ctx = s,
        .start_stop = &s->start_stop,
        .on_fatal = on_fatal};
    TRY(node_start(&opts, diag, &s->node));
    s->storage = node_storage(s->node);
    s->rpc.port = membership_port(node_membership(s->node));
    db_err err = make_temp_dir(s, diag);
    if (err == ERR_OK) {
        err = admin_attach(s->admin, node_ranges(s->node), node_log(s->node));
    }
    if (err != ERR_OK) {
        node_stop(s->node);
        s->node = NULL;
        s->storage = NULL;
    }
    return err;
}

static void stop_storage(struct server *s)
{
    if (s->node == NULL) {
        storage_close(s->storage);
    } else {
        admin_detach(s->admin);
        node_stop(s->node);
    }
    s->node = NULL;
    s->storage = NULL;
}

/* ---- SQL ---- */

/* It reads the catalog, which a majority may leave without a leader for a while. */
static db_err open_engine(struct server *s, const struct sql_engine_opts *opts, struct diag *diag)
{
    for (;;) {
        db_err err = sql_engine_open(opts, diag, &s->engine);
        enum err_class class = err_class(err);
        if ((class != ERR_CLASS_RETRY_SAME && class != ERR_CLASS_RETRY_ROUTE) || s->node == NULL) {
            return err;
        }
        LOG_WARN("server.start.waits", F_STR("for", "the catalog"), F_STR("reason", diag->text),
                 F_ERR(err));
        if (atomic_load(&s->start_stop)) {
            return diag_set(diag, ERR_CANCELED, "told to stop while it waited for the catalog");
        }
        TRY(fiber_sleep(ENGINE_RETRY_NS));
        diag_reset(diag);
    }
}

/* Its waits, for who finds deadlocks. */
static void sql_wait(void *ctx, bool begins)
{
    struct server *s = ctx;
    meta_other_wait(node_meta(s->node), begins);
}

static db_err sql_wait_edges(void *ctx, uint64_t until_ns, unsigned max, struct arena *arena,
                             struct kv_wait_edge **ret_edges, unsigned *ret_count)
{
    struct server *s = ctx;
    struct sql_peer *p = sql_engine_peer(s->engine);
    struct sql_wait_edge *told;
    unsigned count;
    TRY(p->ops->waits(p, until_ns, max, arena, &told, &count));
    struct kv_wait_edge *edges = ARENA_ARRAY(arena, struct kv_wait_edge, count + 1);
    if (edges == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        edges[i] = (struct kv_wait_edge){told[i].wait, told[i].waiter, told[i].blocker};
    }
    *ret_edges = edges;
    *ret_count = count;
    return ERR_OK;
}

static void sql_wait_refuse(void *ctx, uint64_t wait)
{
    struct server *s = ctx;
    struct sql_peer *p = sql_engine_peer(s->engine);
    p->ops->refuse_wait(p, wait);
}

static db_err start_sql(struct server *s, struct diag *diag)
{
    char temp[PATH_TEXT_MAX];
    const struct config *c = s->config;
    bool own_temp = c->temp_dir[0] == '\0' && !in_memory(s);
    snprintf(temp, sizeof(temp), own_temp ? "%s/temp" : "%s", own_temp ? c->data : c->temp_dir);
    struct sql_wait_watch watch = {sql_wait, s};
    const struct sql_lock_source locks = {lock_source_each, s->node};
    struct sql_engine_opts opts = {
        .storage = s->storage,
        .version = SKEIN_MYSQL_VERSION,
        .memory_limit = s->memory.statements,
        .statement_memory = s->memory.one_statement,
        .plan_cache_bytes = s->memory.plan_cache,
        .secure_file_priv = strcmp(c->secure_file_priv, "NULL") == 0 ? NULL : c->secure_file_priv,
        .temp_dir = temp[0] == '\0' ? NULL : temp,
        .port = s->mysql.port,
        .socket_path = c->socket[0] == '\0' ? NULL : c->socket,
        .data_dir = c->data,
        .server_id = s->node == NULL ? 1 : range_store_ident(node_ranges(s->node)).node_id,
        .coord = s->node == NULL ? NULL : membership_coord(node_membership(s->node)),
        .wait_watch = &watch,
        .lock_source = s->node == NULL ? NULL : &locks,
    };
    if (s->node == NULL) {
        TRY(memory_waits_new(s->loops, &s->memory_waits));
        watch = (struct sql_wait_watch){memory_waits_wait, s->memory_waits};
    }
    db_err err = open_engine(s, &opts, diag);
    if (err != ERR_OK) {
        memory_waits_free(s->memory_waits);
        s->memory_waits = NULL;
        return err;
    }
    if (s->node == NULL) {
        memory_waits_attach(s->memory_waits, s->engine);
        return ERR_OK;
    }
    err = membership_attach_sql(node_membership(s->node), sql_engine_peer(s->engine), diag);
    if (err != ERR_OK) {
        sql_engine_close(s->engine);
        s->engine = NULL;
        return err;
    }
    s->sql_waits = (struct meta_other_waits){s, sql_wait_edges, sql_wait_refuse};
    meta_set_other_waits(node_meta(s->node), &s->sql_waits);
    return ERR_OK;
}

static void stop_sql(struct server *s)
{
    if (s->node != NULL) {
        meta_set_other_waits(node_meta(s->node), NULL);
        db_err err = membership_attach_sql(node_membership(s->node), NULL, NULL);
        (void)err; /* cannot fail */
    }
    memory_waits_free(s->memory_waits);
    s->memory_waits = NULL;
    sql_engine_close(s->engine);
    s->engine = NULL;
}

/* ---- who may reach this node ---- */

/* Before anything listens. */
static db_err start_ports(struct server *s, struct diag *diag)
{
    if (s->config->insecure) {
        return ERR_OK;
    }
    if (!listen_is_loopback(&s->admin_address)) {
        return diag_set(diag, ERR_INVALID,
                        "the admin port has no authentication: it may not listen on %s, beyond "
                        "loopback, without --insecure",
                        s->admin_address.host);
    }
    if (!in_memory(s) && !listen_is_loopback(&s->rpc) && rpc_tls(s) == MEMBERSHIP_TLS_OFF) {
        return diag_set(
            diag, ERR_INVALID,
            "the rpc port may not listen on %s, beyond loopback, with --rpc-tls off and "
            "without --insecure",
            s->rpc.host);
    }
    return ERR_OK;
}

static db_err start_access(struct server *s, struct diag *diag)
{
    if (s->config->insecure) {
        return ERR_OK;
    }
    if (listen_is_loopback(&s->mysql)) {
        return ERR_OK;
    }
    if (!s->config->tls) {
        return diag_set(diag, ERR_INVALID,
                        "the mysql port may not listen on %s, beyond loopback, without TLS: leave "
                        "--tls on, or say --insecure",
                        s->mysql.host);
    }
    struct sql_account root;
    TRY(sql_engine_find_account(s->engine, SLICE_LIT("root"), SLICE_LIT("localhost"), diag, &root));
    if (root.exists && !root.locked && root.auth_string_len == 0) {
        return diag_set(diag, ERR_INVALID,
                        "the mysql port may not listen on %s, beyond loopback, while root has no "
                        "password: start on loopback and set one (ALTER USER), or say --insecure",
                        s->mysql.host);
    }
    return ERR_OK;
}

/* ---- listeners ---- */

static const char *path_or_null(const char *path)
{
    return path[0] == '\0' ? NULL : path;
}

/* Connections of different nodes have different ids, so that KILL finds them from anywhere. */
static uint32_t first_connection(const struct server *s)
{
    uint64_t id = s->node == NULL ? 1 : range_store_ident(node_ranges(s->node)).node_id;
    return id <= 1 ? 8 : (uint32_t)(id % 256) << 24 | 8;
}

static db_err start_mysql(struct server *s, struct diag *diag)
{
    const struct config *c = s->config;
    struct wire_server_opts opts = {.loops = s->loops,
                                    .engine = s->engine,
                                    .version = SKEIN_MYSQL_VERSION,
                                    .host = s->mysql.host,
                                    .port = s->mysql.port,
                                    .socket_path = path_or_null(c->socket),
                                    .tls = c->tls,
                                    .tls_cert = path_or_null(c->tls_cert),
                                    .tls_key = path_or_null(c->tls_key),
                                    .tls_ca = path_or_null(c->tls_ca),
                                    .data_dir = in_memory(s) ? NULL : c->data,
                                    .preauth_max = (uint32_t)c->preauth_max,
                                    .connection_id_first = first_connection(s)};
    struct wire_server *wire;
    TRY(wire_server_start(&opts, diag, &wire));
    SCOPE_LOCK(&s->mutex);
    s->mysql.port = wire_server_port(wire);
    s->wire = wire;
    return ERR_OK;
}

static void stop_mysql(struct server *s)
{
    struct wire_server *wire = s->wire;
    wire_server_drain(wire, clock_mono_ns() + s->config->stop_timeout * NS_PER_S);
    pthread_mutex_lock(&s->mutex);
    s->wire = NULL;
    pthread_mutex_unlock(&s->mutex);
    wire_server_stop(wire);
}

const struct part g_server_parts[] = {
    {"directory", start_directory, NULL}, {"ports", start_ports, NULL},
    {"admin", start_admin, stop_admin},   {"storage", start_storage, stop_storage},
    {"sql", start_sql, stop_sql},         {"access", start_access, NULL},
    {"mysql", start_mysql, stop_mysql},
};
const unsigned g_server_part_count = ARRAY_COUNT(g_server_parts);
