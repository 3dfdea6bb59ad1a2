/* The commands about the session itself. */
#include <stdio.h>

#include "base/log.h"
#include "wire/command/command_int.h"
#include "wire/net/reader.h"

db_err command__quit(struct client *cl, struct slice body UNUSED)
{
    cl->conn->doom = DOOM_QUIT;
    return ERR_CLOSED;
}

db_err command__ping(struct client *cl, struct slice body UNUSED)
{
    sql_session_count(cl->session, SQL_COUNTED_PING);
    return result_plain_ok(cl->conn, cl->session);
}

db_err command__init_db(struct client *cl, struct slice body)
{
    struct diag diag = {0};
    sql_session_count(cl->session, SQL_COUNTED_INIT_DB);
    if (body.len == 0) {
        return conn_put_error(cl->conn, 1046, "3D000", SLICE_LIT("No database selected"));
    }
    db_err err = sql_session_use(cl->session, body, &diag);
    if (err != ERR_OK) {
        diag.err = err;
        return result_error(cl->conn, &diag);
    }
    sql_session_log(cl->session, SQL_LOGGED_INIT_DB);
    return command__ok_schema(cl, body);
}

db_err command__statistics(struct client *cl, struct slice body UNUSED)
{
    enum { TEXT_MAX = 4096 };
    struct buf text;
    sql_session_count(cl->session, SQL_COUNTED_STATISTICS);
    buf_init(&text, TEXT_MAX);
    db_err err;
    TRY_GOTO(sql_engine_statistics(cl->server->engine, &text), out);
    TRY_GOTO(conn_begin(cl->conn), out);
    TRY_GOTO(put_bytes(&cl->conn->out, buf_slice(&text)), out);
    TRY_GOTO(conn_finish(cl->conn), out);
out:
    buf_fini(&text);
    return err;
}

static db_err put_end(struct client *cl)
{
    struct sql_status status = {
        .server_status = sql_session_status(cl->session),
        .warnings = sql_session_warning_count(cl->session),
    };
    return result_end(cl->conn, &status, false);
}

db_err command__debug(struct client *cl, struct slice body UNUSED)
{
    struct buf text;
    sql_session_count(cl->session, SQL_COUNTED_ADMIN);
    buf_init(&text, 4096);
    if (sql_engine_statistics(cl->server->engine, &text) == ERR_OK) {
        LOG_INFO("wire.debug", F_U64("connection", cl->conn->id),
                 F_SLICE("statistics", buf_slice(&text)));
    }
    buf_fini(&text);
    return put_end(cl);
}

db_err command__set_option(struct client *cl, struct slice body)
{
    struct reader r = reader_of(body);
    uint16_t option = read_u16(&r);
    sql_session_count(cl->session, SQL_COUNTED_SET_OPTION);
    if (r.bad) {
        return command__malformed(cl);
    }
    if (option > 1) {
        return conn_put_error(cl->conn, 1047, "08S01", SLICE_LIT("Unknown command"));
    }
    sql_session_set_multi_statements(cl->session, option == 0);
    return put_end(cl);
}

db_err command__reset_connection(struct client *cl, struct slice body UNUSED)
{
    struct diag diag = {0};
    sql_session_count(cl->session, SQL_COUNTED_ADMIN);
    command__free_stmts(cl);
    db_err err = sql_session_reset(cl->session, &diag);
    if (err != ERR_OK) {
        diag.err = err;
        return result_error(cl->conn, &diag);
    }
    command__refresh(cl);
    return result_plain_ok(cl->conn, cl->session);
}

db_err command__change_user(struct client *cl, struct slice body)
{
    struct conn *c = cl->conn;
    struct login_packet l;
    struct auth_outcome outcome;
    struct sql_session_opts opts;
    struct diag diag = {0};
    char user[USER_NAME_MAX + 1];
    char schema[SCHEMA_NAME_MAX + 1];
    char attributes[CONNECT_ATTRIBUTES_MAX];
    uint16_t charset;
    bool accepted;
    if (!handshake_parse_change_user(body, c->caps, &charset, &l)) {
        TRY(conn_put_error(c, 1047, "08S01", SLICE_LIT("Unknown command")));
        return ERR_INVALID;
    }
    command__copy_text(user, sizeof(user), l.user);
    command__copy_text(schema, sizeof(schema), l.schema);
    size_t attributes_len =
        l.attributes.len < sizeof(attributes) ? l.attributes.len : sizeof(attributes);
    memcpy(attributes, l.attributes.len == 0 ? "" : (const char *)l.attributes.ptr, attributes_len);
    struct auth_request request = {.user = slice_str(user), .fresh = true};
    TRY(command__authenticate(c, cl->server, &request, &outcome, &accepted));
    if (!accepted) {
        return ERR_SQL;
    }
    sql_session_count(cl->session, SQL_COUNTED_ADMIN);
    command__free_stmts(cl);
    command__session_opts(c, slice_str(user), charset, &outcome, &opts);
    opts.connect_attributes = slice_of(attributes, attributes_len);
    db_err err = sql_session_change_user(cl->session, &opts, &diag);
    if (err == ERR_OK && schema[0] != '\0') {
        err = sql_session_use(cl->session, slice_str(schema), &diag);
    }
    if (err != ERR_OK) {
        diag.err = err;
        TRY(result_error(c, &diag));
        return err;
    }
    sql_session_log(cl->session, SQL_LOGGED_CHANGE_USER);
    command__refresh(cl);
    return command__ok_schema(cl, slice_str(schema));
}
