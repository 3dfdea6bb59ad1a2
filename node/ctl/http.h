/* One request to a node's admin port. Blocks, for ten minutes (a range may be large) at most
 * between two pieces of the answer. */
#ifndef SKEIN_NODE_CTL_HTTP_H
#define SKEIN_NODE_CTL_HTTP_H

#include "base/buf.h"
#include "base/diag.h"

/* address is HOST:PORT. The body is appended to out. ERR_IO, ERR_INVALID (no HTTP), ERR_LIMIT. */
MUST_USE db_err http_request(const char *address, const char *method, const char *target,
                             struct diag *diag, struct buf *out, unsigned *ret_status);

#endif
