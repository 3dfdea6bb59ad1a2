/* A whole node in one process: loops, storage, SQL engine, listeners, admin port; started and
 * stopped in order. */
#ifndef SKEIN_NODE_MAIN_SERVER_H
#define SKEIN_NODE_MAIN_SERVER_H

#include "base/diag.h"
#include "node/main/config.h"

#define SKEIN_VERSION       "0.1"
#define SKEIN_MYSQL_VERSION "9.7.4-SkeinDB-" SKEIN_VERSION

/* Runs a node until SIGTERM or SIGINT and returns the process's exit status: 0 after a clean stop,
 * 1 when it could not start. Call it on the main thread before any other thread exists. */
int server_run(const struct config *config);

#endif
