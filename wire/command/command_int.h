#ifndef SKEIN_WIRE_COMMAND_COMMAND_INT_H
#define SKEIN_WIRE_COMMAND_COMMAND_INT_H

#include "base/diag.h"
#include "base/slice.h"
#include "sql/sql.h"
#include "wire/auth/auth.h"
#include "wire/auth/handshake.h"
#include "wire/command/command.h"
#include "wire/command/stmt_table.h"
#include "wire/net/net.h"
#include "wire/result/result.h"

enum { CONNECT_ATTRIBUTES_MAX = 1024 }; /* bytes that are kept of a connection */

/* A client that has logged in: hangs on conn->user. */
struct client {
    struct conn *conn;
    struct command_server *server;
    struct sql_session *session;
    struct stmt_table stmts;
    uint32_t next_stmt_id;
    struct packet_count count;        /* of what comes in: the node's memory */
    struct diag refused;              /* why that could not be had */
    struct sql_attribute *attributes; /* of the command that runs */
    uint32_t attribute_cap;
};

#define COMMAND(code, name, handler)                                                               \
    MUST_USE db_err command__##handler(struct client *cl, struct slice body);
#include "wire/command/commands.def"
#undef COMMAND

/* Takes timeouts and limits over from the session, which a statement may have changed. */
void command__refresh(struct client *cl);
/* With a NUL; what does not fit is cut off. */
void command__copy_text(char *to, size_t size, struct slice from);
/* 1835. */
MUST_USE db_err command__malformed(struct client *cl);
/* Authenticates and answers an error itself: ret_accepted false then. user is copied by the caller.
 */
MUST_USE db_err command__authenticate(struct conn *c, struct command_server *server,
                                      const struct auth_request *request,
                                      struct auth_outcome *ret_outcome, bool *ret_accepted);
void command__session_opts(struct conn *c, struct slice user, uint16_t charset,
                           const struct auth_outcome *outcome, struct sql_session_opts *ret_opts);
/* The OK packet after login and COM_CHANGE_USER; schema empty: none was chosen. */
MUST_USE db_err command__ok_schema(struct client *cl, struct slice schema);
/* Room for `count` query attributes in cl->attributes. */
MUST_USE db_err command__attribute_room(struct client *cl, uint64_t count);
/* The command that had `count` of them is over; the room for many is given back. */
void command__forget_attributes(struct client *cl, uint32_t count);
void command__free_stmts(struct client *cl);

#endif
