/* Login, dispatch and the end of a client.
 *
 * Everything that the first packet holds is copied before the plugin asks for more, as reading a
 * packet gives the one at hand back. A connection counts against max_connections only when its
 * password was right. */
#include "wire/command/command.h"

#include <stdio.h>

#include "base/alloc.h"
#include "wire/command/command_int.h"
#include "wire/net/reader.h"
#include "wire/net/tls.h"

struct login_copy {
    char user[USER_NAME_MAX + 1];
    char schema[SCHEMA_NAME_MAX + 1];
    char plugin[64];
    char attributes[CONNECT_ATTRIBUTES_MAX];
    size_t attributes_len;
    size_t user_len;
};

void command__copy_text(char *to, size_t size, struct slice from)
{
    size_t n = from.len < size - 1 ? from.len : size - 1;
    if (n > 0) {
        memcpy(to, from.ptr, n);
    }
    to[n] = '\0';
}

static struct command_server *server_of(const struct conn *c)
{
    return c->loop->net->ctx;
}

static db_err greet(struct conn *c)
{
    return handshake_put_greeting(c, server_of(c)->version);
}

static db_err bad_handshake(struct conn *c, bool with_state)
{
    c->caps |= with_state ? CAP_PROTOCOL_41 : 0;
    TRY(conn_put_error(c, 1043, "08S01", SLICE_LIT("Bad handshake")));
    return ERR_INVALID;
}

/* The login packet itself, behind the wish for TLS if there was one. */
static db_err read_login(struct conn *c, struct slice packet, struct login_packet *ret_login)
{
    uint32_t server_caps = handshake_server_caps(c->loop->net->tls != NULL && c->tls == NULL);
    enum login_kind kind = handshake_parse(packet, server_caps, ret_login);
    if (kind == LOGIN_TLS) {
        TRY(conn_start_tls(c));
        TRY(conn_read_packet(c, &packet));
        server_caps &= ~CAP_SSL;
        kind = handshake_parse(packet, server_caps, ret_login);
    }
    if (kind == LOGIN_OLD) {
        TRY(conn_put_error(c, 1251, "08004",
                           SLICE_LIT("Client does not support authentication protocol requested by "
                                     "server; consider upgrading MySQL client")));
        return ERR_INVALID;
    }
    if (kind != LOGIN_OK) {
        return bad_handshake(c, kind != LOGIN_BAD_OLD);
    }
    c->caps = ret_login->caps & server_caps;
    return ERR_OK;
}

static db_err deny(struct conn *c, const struct auth_request *request,
                   const struct auth_outcome *outcome)
{
    const char *host = auth_client_host(c);
    if (outcome->block.days != 0) {
        char days[2][16];
        int32_t n[] = {outcome->block.days, outcome->block.days_left};
        for (int i = 0; i < 2; i++) {
            snprintf(days[i], sizeof(days[i]), n[i] < 0 ? "unlimited" : "%d", (int)n[i]);
        }
        return result_error_text(
            c, 3955, "HY000",
            "Access denied for user '%.*s'@'%s'. Account is blocked for %s "
            "day(s) (%s day(s) remaining) due to %u consecutive failed logins.",
            SLICE_FMT(request->user), host, days[0], days[1], (unsigned)outcome->block.failures);
    }
    if (outcome->accepted && outcome->account.locked) {
        return result_error_text(c, 3118, "HY000",
                                 "Access denied for user '%.*s'@'%s'. Account is locked.",
                                 SLICE_FMT(request->user), host);
    }
    if (outcome->accepted) {
        return result_error_text(c, 1862, "HY000",
                                 "Your password has expired. To log in you must change it using a "
                                 "client that supports expired passwords.");
    }
    if (outcome->plugin_missing) {
        return result_error_text(c, 1524, "HY000", "Plugin '%s' is not loaded",
                                 outcome->account.plugin);
    }
    return result_error_text(c, 1045, "28000",
                             "Access denied for user '%.*s'@'%s' (using password: %s)",
                             SLICE_FMT(request->user), host, outcome->used_password ? "YES" : "NO");
}

db_err command__authenticate(struct conn *c, struct command_server *server,
                             const struct auth_request *request, struct auth_outcome *ret_outcome,
                             bool *ret_accepted)
{
    struct diag diag = {0};
    if (c->tls == NULL && c->transport != CONN_UNIX &&
        sql_engine_requires_secure_transport(server->engine)) {
        *ret_accepted = false;
        return result_error_text(c, 3159, "HY000",
                                 "Connections using insecure transport are prohibited while "
                                 "--require_secure_transport=ON.");
    }
    db_err err = auth_run(server->auth, c, request, &diag, ret_outcome);
    if (err != ERR_OK) {
        if (diag.err != ERR_OK) { /* the look-up failed, not the client */
            TRY(result_error(c, &diag));
        }
        return err;
    }
    const struct sql_account *a = &ret_outcome->account;
    *ret_accepted = ret_outcome->accepted && !a->locked &&
                    (!a->password_expired || (c->caps & CAP_EXPIRED_PASSWORDS) != 0);
    return *ret_accepted ? ERR_OK : deny(c, request, ret_outcome);
}

static void wake(void *ctx, bool connection)
{
    conn_kill(ctx, connection);
}

static void watch(void *ctx, bool on)
{
    conn_watch(ctx, on);
}

void command__session_opts(struct conn *c, struct slice user, uint16_t charset,
                           const struct auth_outcome *outcome, struct sql_session_opts *ret_opts)
{
    *ret_opts = (struct sql_session_opts){
        .connection_id = c->id,
        .user = user,
        .host = slice_str(auth_client_host(c)),
        .address = slice_str(c->peer),
        .tls_cipher = c->tls != NULL ? tls_cipher(c->tls) : NULL,
        .tls_version = c->tls != NULL ? tls_version(c->tls) : NULL,
        .unix_socket = c->transport == CONN_UNIX,
        .ends_by_ok = (c->caps & CAP_DEPRECATE_EOF) != 0,
        .found_rows = (c->caps & CAP_FOUND_ROWS) != 0,
        .ignore_space = (c->caps & CAP_IGNORE_SPACE) != 0,
        .local_files = (c->caps & CAP_LOCAL_FILES) != 0,
        .interactive = (c->caps & CAP_INTERACTIVE) != 0,
        .multi_statements = (c->caps & CAP_MULTI_STATEMENTS) != 0,
        .charset = charset,
        .account_host = slice_str(outcome->account.host_pattern),
        .anonymous = outcome->account.anonymous,
        .used_password = outcome->used_password,
        .wake = wake,
        .watch = watch,
        .wake_ctx = c,
    };
}

void command__refresh(struct client *cl)
{
    struct conn *c = cl->conn;
    c->max_packet = sql_session_max_allowed_packet(cl->session);
    c->idle_timeout_s = sql_session_wait_timeout_s(cl->session);
    c->read_timeout_s = sql_session_net_read_timeout_s(cl->session);
    c->write_timeout_s = sql_session_net_write_timeout_s(cl->session);
}

db_err command__ok_schema(struct client *cl, struct slice schema)
{
    struct sql_state_change change = {.kind = SQL_TRACK_SCHEMA, .value = schema};
    struct sql_status status = {
        .server_status = sql_session_status(cl->session),
        .state_changes = schema.len == 0 ? NULL : &change,
    };
    return result_ok(cl->conn, &status, false);
}

static db_err too_many(struct conn *c)
{
    TRY(conn_put_error(c, 1040, "08004", SLICE_LIT("Too many connections")));
    return ERR_BUSY;
}

/* ---- memory of packets that come in ---- */

static bool keep(struct packet_count *count, size_t bytes)
{
    struct client *cl = CONTAINER_OF(count, struct client, count);
    cl->refused = (struct diag){0};
    db_err err = sql_session_receive(cl->session, bytes, &cl->refused);
    cl->refused.err = err;
    return err == ERR_OK;
}

static void give_back(struct packet_count *count, size_t bytes)
{
    sql_session_received(CONTAINER_OF(count, struct client, count)->session, bytes);
}

static db_err tell(struct packet_count *count)
{
    struct client *cl = CONTAINER_OF(count, struct client, count);
    return result_error(cl->conn, &cl->refused);
}

/* last: of the place that is kept for administrators. */
static db_err open_session(struct conn *c, const struct login_copy *copy, uint16_t charset,
                           const struct auth_outcome *outcome, bool last)
{
    struct command_server *server = server_of(c);
    struct sql_session_opts opts;
    struct diag diag = {0};
    struct client *cl = mem_calloc(1, sizeof(*cl));
    if (cl == NULL) {
        return ERR_NOMEM;
    }
    cl->conn = c;
    cl->server = server;
    cl->next_stmt_id = 1;
    cl->count = (struct packet_count){keep, give_back, tell};
    c->user = cl;
    command__session_opts(c, slice_of(copy->user, copy->user_len), charset, outcome, &opts);
    opts.connect_attributes = slice_of(copy->attributes, copy->attributes_len);
    db_err err = sql_session_open(server->engine, &opts, &diag, &cl->session);
    if (UNLIKELY(last) && err == ERR_OK && !sql_session_is_admin(cl->session)) {
        counter_add(&c->loop->counters.refused, 1);
        conn_unadmit(c);
        return too_many(c);
    }
    if (err == ERR_OK && copy->schema[0] != '\0') {
        err = sql_session_use(cl->session, slice_str(copy->schema), &diag);
    }
    if (err != ERR_OK) {
        diag.err = err;
        TRY(result_error(c, &diag));
        return err;
    }
    sql_session_log(cl->session, SQL_LOGGED_CONNECT);
    command__refresh(cl);
    packet_in_count(&c->in, &cl->count);
    return command__ok_schema(cl, slice_str(copy->schema));
}

static db_err login(struct conn *c, struct slice packet)
{
    struct login_packet l;
    struct login_copy copy;
    struct auth_outcome outcome;
    bool accepted;
    bool last;
    TRY(read_login(c, packet, &l));
    command__copy_text(copy.user, sizeof(copy.user), l.user);
    command__copy_text(copy.schema, sizeof(copy.schema), l.schema);
    command__copy_text(copy.plugin, sizeof(copy.plugin), l.plugin);
    copy.attributes_len =
        l.attributes.len < sizeof(copy.attributes) ? l.attributes.len : sizeof(copy.attributes);
    memcpy(copy.attributes, l.attributes.len == 0 ? "" : (const char *)l.attributes.ptr,
           copy.attributes_len);
    copy.user_len = strlen(copy.user);
    struct auth_request request = {
        .user = slice_of(copy.user, copy.user_len),
        .response = l.response,
        .plugin = slice_str(copy.plugin),
    };
    TRY(command__authenticate(c, server_of(c), &request, &outcome, &accepted));
    if (!accepted) {
        return ERR_SQL;
    }
    if (conn_admit(c, &last) != ERR_OK) {
        return too_many(c);
    }
    TRY(open_session(c, &copy, l.charset, &outcome, last));
    if ((c->caps & CAP_COMPRESS) != 0) {
        return conn_start_compression(c, false, 0);
    }
    if ((c->caps & CAP_ZSTD_COMPRESSION) != 0) {
        return conn_start_compression(c, true, l.zstd_level > 22 ? 22 : l.zstd_level);
    }
    return ERR_OK;
}

/* --- dispatch --- */

static db_err unknown(struct client *cl)
{
    return conn_put_error(cl->conn, 1047, "08S01", SLICE_LIT("Unknown command"));
}

db_err command__malformed(struct client *cl)
{
    return conn_put_error(cl->conn, 1835, "HY000", SLICE_LIT("Malformed communication packet."));
}

static db_err dispatch(struct client *cl, uint8_t code, struct slice body)
{
    switch (code) {
#define COMMAND(value, name, handler)                                                              \
    case value:                                                                                    \
        return command__##handler(cl, body);
#include "wire/command/commands.def"
#undef COMMAND
    default: return unknown(cl);
    }
}

/* What came and went since the last command, and the command itself. */
static void count_traffic(struct client *cl)
{
    struct conn *c = cl->conn;
    sql_session_traffic(cl->session, c->bytes_in, c->bytes_out);
    c->bytes_in = c->bytes_out = 0;
}

static db_err command(struct conn *c, struct slice packet)
{
    struct client *cl = c->user;
    count_traffic(cl);
    if (packet.len == 0) {
        return unknown(cl);
    }
    TRY(dispatch(cl, packet.ptr[0], slice_from(packet, 1)));
    if (UNLIKELY(sql_session_killed(cl->session))) {
        c->doom = DOOM_KILLED;
        return ERR_CLOSED;
    }
    return ERR_OK;
}

static void end(struct conn *c)
{
    struct client *cl = c->user;
    if (cl != NULL) {
        if (cl->session != NULL) {
            count_traffic(cl);
        }
        command__free_stmts(cl);
        packet_in_count(&c->in, NULL);
        sql_session_close(cl->session);
        mem_free(cl->attributes);
        mem_free(cl);
        c->user = NULL;
    }
}

const struct conn_ops command_conn_ops = {
    .name = "mysql",
    .greet = greet,
    .login = login,
    .command = command,
    .end = end,
};
