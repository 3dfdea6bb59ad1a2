/* From packets to the SQL engine: login, and one handler per command (commands.def). */
#ifndef SKEIN_WIRE_COMMAND_COMMAND_H
#define SKEIN_WIRE_COMMAND_COMMAND_H

#include "wire/net/conn.h"

struct auth_server;
struct sql_engine;

/* What the handlers of a server share: the ctx of its struct wire_net. */
struct command_server {
    struct sql_engine *engine;
    struct auth_server *auth;
    const char *version;
};

/* The ops for the connections of a server. */
extern const struct conn_ops command_conn_ops;

#endif
