/* Large statements are let in as the memory of all statements allows. */
#ifndef SKEIN_SQL_SESSION_STATEMENT_ROOM_H
#define SKEIN_SQL_SESSION_STATEMENT_ROOM_H

#include <stddef.h>

#include "base/fiber.h"
#include "base/list.h"
#include "base/slice.h"

struct sql_session;
struct sql_param;

/* Of an engine. */
struct statement_room {
    struct fiber_mutex mutex; /* guards the rest */
    struct fiber_cond changed;
    size_t granted;      /* bytes, of all large statements that run */
    uint64_t given_ns;   /* when one gave its bytes back */
    struct list waiting; /* the next one first */
};

void statement_room_init(struct statement_room *a);

/* Before a statement's text is read: waits until what it will take, as its text tells, fits beside
 * what other large statements were granted. Returns the bytes granted, for statement_room_give; 0
 * for a small statement, which never waits, and for one that has waited STATEMENT_ROOM_WAIT_S in
 * which none gave its bytes back, or was killed, and goes on with what memory there is. Parks. */
enum { STATEMENT_ROOM_WAIT_S = 10 };
size_t statement_room_take(struct sql_session *s, struct slice text);
/* The same for a prepared statement, of what its parameters tell, and for who knows its need. */
size_t statement_room_take_params(struct sql_session *s, const struct sql_param *params,
                                  uint32_t count);
size_t statement_room_take_bytes(struct sql_session *s, size_t need);
void statement_room_give(struct sql_session *s, size_t granted);

/* What a statement of this text is expected to take, in bytes. */
size_t statement_room_estimate(struct slice text);

#endif
