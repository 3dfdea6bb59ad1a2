/* Readiness of sockets on a loop.
 *
 * Each edge (readable, writable, hung up) of a watched descriptor calls `ready` on the loop's
 * thread, outside of any fiber. Edges are not repeated: whoever meets EAGAIN waits for the next
 * one; an edge that comes while nobody waits is lost to nobody, because the next attempt succeeds.
 * A receive that took less than it had room for has met the end of what was there, too: more bytes
 * are a new edge. Only the end of the stream may have come with them, under the same edge: of that
 * and of errors `ended` tells.
 *
 * Watches are added and removed from any thread. The holder counts references: `hold` is called
 * before `ready`, under the watcher's lock, so that what `ready` works on cannot go away meanwhile;
 * `ready` gives that reference back. After fd_watch_remove no `hold` begins any more. */
#ifndef SKEIN_BASE_FD_WATCH_H
#define SKEIN_BASE_FD_WATCH_H

#include <stdbool.h>

#include "base/loop.h"

struct fd_watch {
    void (*hold)(struct fd_watch *w);
    /* ended: nothing more comes in, perhaps after what is there. */
    void (*ready)(struct fd_watch *w, bool ended);
    struct loop *loop; /* internal, from here on */
    int fd;
    uint32_t slot;
};

/* hold and ready are set. Any thread. ERR_NOMEM; ERR_LIMIT of the system; ERR_UNSUPPORTED: a loop
 * of a simulated group. */
MUST_USE db_err fd_watch_add(struct loop *loop, struct fd_watch *w, int fd);
/* Once; before the descriptor is closed. Any thread, from within `ready` too. */
void fd_watch_remove(struct fd_watch *w);

#endif
