/* Addresses of listeners: numeric, loopback or not, bound sockets. */
#ifndef SKEIN_NODE_MAIN_LISTEN_H
#define SKEIN_NODE_MAIN_LISTEN_H

#include <stdbool.h>

#include "base/diag.h"
#include "node/main/config.h"

/* Makes the host numeric. Blocks on DNS. diag names the option. ERR_INVALID. */
MUST_USE db_err listen_resolve(const char *option, struct config_address *inout_address,
                               struct diag *diag);
bool listen_is_loopback(const struct config_address *address); /* numeric */
/* Binds and, with a backlog > 0, listens. The address gets the real port. *ret_fd is the caller's.
 * ERR_IO, ERR_INVALID. */
MUST_USE db_err listen_open(const char *option, int backlog, struct config_address *inout_address,
                            struct diag *diag, int *ret_fd);
/* HOST:PORT as shown to people, [HOST]:PORT for IPv6. */
void listen_format(const struct config_address *address, char *out, size_t out_size);

#endif
