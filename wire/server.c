/* The server: puts loops, listeners, authentication and commands together. */
#include "wire/wire.h"

#include <sys/resource.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "sql/sql.h"
#include "wire/auth/auth.h"
#include "wire/command/command.h"
#include "wire/net/net.h"
#include "wire/net/tls.h"

enum { PREAUTH_DEFAULT = 4096, CONNECTION_ID_FIRST = 8 };

struct wire_server {
    struct wire_net net;
    struct command_server command;
    struct listener *tcp;
    struct listener *local;
    char *version;
    bool drained;
};

static uint64_t connections_max(void *ctx)
{
    return sql_engine_max_connections(((struct wire_server *)ctx)->command.engine);
}

static uint32_t connect_timeout_s(void *ctx)
{
    return sql_engine_connect_timeout_s(((struct wire_server *)ctx)->command.engine);
}

/* Clients that never log in may hold a quarter of the descriptors at most. */
static uint32_t preauth_per_loop(uint32_t wanted, unsigned loops)
{
    uint64_t max = wanted == 0 ? PREAUTH_DEFAULT : wanted;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY &&
        max > files.rlim_cur / 4) {
        max = files.rlim_cur / 4;
    }
    uint64_t each = max / loops;
    return each == 0 ? 1 : (uint32_t)each;
}

static db_err prepare(struct wire_server *s, const struct wire_server_opts *opts, struct diag *diag)
{
    s->version = mem_strdup(opts->version);
    if (s->version == NULL) {
        return diag_set(diag, ERR_NOMEM, "out of memory");
    }
    s->command.engine = opts->engine;
    s->command.version = s->version;
    TRY(auth_server_new(opts->engine, opts->data_dir, &s->command.auth));
    s->net.ops = &command_conn_ops;
    s->net.ctx = &s->command;
    s->net.limits = (struct wire_net_limits){
        .preauth_per_loop = preauth_per_loop(opts->preauth_max, loop_group_count(opts->loops)),
        .connections_max = connections_max,
        .connect_timeout_s = connect_timeout_s,
        .ctx = s,
    };
    atomic_init(&s->net.next_id,
                opts->connection_id_first == 0 ? CONNECTION_ID_FIRST : opts->connection_id_first);
    TRY(wire_net_init(&s->net, opts->loops));
    if (opts->tls) {
        struct tls_opts tls = {opts->tls_cert, opts->tls_key, opts->tls_ca, opts->data_dir};
        TRY(tls_context_new(&tls, diag, &s->net.tls));
    }
    return ERR_OK;
}

static void server_free(struct wire_server *s)
{
    wire_net_fini(&s->net);
    tls_context_free(s->net.tls);
    auth_server_free(s->command.auth);
    mem_free(s->version);
    mem_free(s);
}

db_err wire_server_start(const struct wire_server_opts *opts, struct diag *diag,
                         struct wire_server **ret_server)
{
    struct wire_server *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return diag_set(diag, ERR_NOMEM, "out of memory");
    }
    db_err err;
    struct loop *acceptor = loop_group_get(opts->loops, 0);
    TRY_GOTO(prepare(s, opts, diag), failed);
    if (opts->host != NULL) {
        TRY_GOTO(listener_open(&s->net, acceptor, opts->host, opts->port, NULL, diag, &s->tcp),
                 failed);
    }
    if (opts->socket_path != NULL) {
        TRY_GOTO(listener_open(&s->net, acceptor, NULL, 0, opts->socket_path, diag, &s->local),
                 failed);
    }
    *ret_server = s;
    return ERR_OK;
failed:
    wire_server_stop(s);
    return err;
}

uint16_t wire_server_port(const struct wire_server *server)
{
    return server->tcp == NULL ? 0 : listener_port(server->tcp);
}

/* A connection on its way to its loop is counted in the loop's load, a living one too. */
static bool all_gone(struct wire_server *s)
{
    for (unsigned i = 0; i < s->net.loop_count; i++) {
        if (atomic_load(&s->net.loops[i]->load) != 0) {
            return false;
        }
    }
    return atomic_load(&s->net.alive) == 0;
}

void wire_server_refuse(struct wire_server *server, bool refuse)
{
    atomic_store(&server->net.refusing, refuse);
}

void wire_server_drain(struct wire_server *server, uint64_t deadline_ns)
{
    enum { POLL_MS = 2 };
    listener_close(server->tcp);
    listener_close(server->local);
    server->tcp = server->local = NULL;
    wire_net_end_all(&server->net, false);
    while (!all_gone(server) && clock_mono_ns() < deadline_ns) {
        wire_pause(POLL_MS * NS_PER_MS);
    }
    while (!all_gone(server)) {
        wire_net_end_all(&server->net, true);
        wire_pause(POLL_MS * NS_PER_MS);
    }
}

void wire_server_stop(struct wire_server *server)
{
    if (server == NULL) {
        return;
    }
    wire_server_drain(server, 0);
    server_free(server);
}

void wire_server_counters(const struct wire_server *server, struct wire_counters *ret_counters)
{
    struct wire_counters sum = {0};
    sum.connections_now = atomic_load(&server->net.admitted);
    for (unsigned i = 0; i < server->net.loop_count; i++) {
        struct wire_loop *l = server->net.loops[i];
        struct wire_loop_counters *n = &l->counters;
#define SUM(to, from) sum.to += atomic_load_explicit(&(from), memory_order_relaxed)
        SUM(preauth_now, l->preauth_now);
        SUM(connections_total, n->accepted);
        SUM(connections_refused, n->refused);
        SUM(preauth_evicted, n->evicted);
        SUM(aborted_connects, n->aborted_connects);
        SUM(aborted_clients, n->aborted_clients);
        SUM(bytes_received, n->bytes_in);
        SUM(bytes_sent, n->bytes_out);
        SUM(commands, n->commands);
        SUM(tls_connections, n->tls);
        SUM(buffer_bytes, l->pool.bytes);
        for (int k = 0; k < COMMAND_COUNTERS; k++) {
            SUM(command[k], n->command[k]);
        }
#undef SUM
    }
    *ret_counters = sum;
}
