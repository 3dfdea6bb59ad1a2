/* Table-driven state machines, for every object with more than three states: the allowed moves are
 * data, a move that is not allowed aborts and prints how the object got where it is, an invariant
 * is checked around each move, and the last moves are kept for a debugger or a log line.
 *
 *     enum { CONN_GREETING, CONN_AUTH, CONN_READY, CONN_CLOSED };
 *     static const struct sm_state g_conn_states[] = {
 *         [CONN_GREETING] = {"greeting", SM_TO(CONN_AUTH) | SM_TO(CONN_CLOSED), SM_INITIAL},
 *         [CONN_AUTH]     = {"auth",     SM_TO(CONN_READY) | SM_TO(CONN_CLOSED), 0},
 *         [CONN_READY]    = {"ready",    SM_TO(CONN_CLOSED), 0},
 *         [CONN_CLOSED]   = {"closed",   0, SM_FINAL},
 *     };
 *     sm_init(&conn->sm, "conn", g_conn_states, ARRAY_COUNT(g_conn_states), CONN_GREETING,
 * check_conn, conn);
 *
 * Not thread-safe: as the object it belongs to. */
#ifndef SKEIN_BASE_SM_H
#define SKEIN_BASE_SM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/buf.h"

enum {
    SM_INITIAL = 1, /* sm_init may begin here */
    SM_FINAL = 2,   /* sm_fini may end here; no move leaves it */
    SM_FAILURE = 4, /* for people who read a trace: the object did not end well */
};

enum { SM_STATES_MAX = 64, SM_TRACE = 16 };

#define SM_TO(state) ((uint64_t)1 << (state))

struct sm_state {
    const char *name;
    uint64_t allowed; /* SM_TO(next) | ... */
    unsigned flags;
};

struct sm_trace_entry {
    uint8_t from;
    uint8_t to;
    int line;
    const char *file;
};

struct sm {
    const char *name; /* of the kind of object */
    const struct sm_state *states;
    unsigned count;
    unsigned state;
    uint64_t moves; /* so far; the last SM_TRACE of them are in trace, the newest at (moves - 1) %
                       SM_TRACE */
    bool (*invariant)(const struct sm *sm, void *ctx, unsigned previous);
    void *ctx;
    struct sm_trace_entry trace[SM_TRACE];
};

/* The table, the name and ctx are borrowed for the machine's life. invariant (may be NULL) is
 * called after the beginning (previous == the state) and after each move: false aborts. */
void sm_init(struct sm *sm, const char *name, const struct sm_state *states, unsigned count,
             unsigned initial, bool (*invariant)(const struct sm *sm, void *ctx, unsigned previous),
             void *ctx);
/* Asserts that the state is a final one. */
void sm_fini(const struct sm *sm);

void sm_move_at(struct sm *sm, unsigned to, const char *file, int line);
#define sm_move(sm, to) sm_move_at((sm), (to), __FILE__, __LINE__)

static inline unsigned sm_state(const struct sm *sm)
{
    return sm->state;
}

static inline const char *sm_state_name(const struct sm *sm)
{
    return sm->states[sm->state].name;
}

static inline bool sm_can_move(const struct sm *sm, unsigned to)
{
    return to < sm->count && (sm->states[sm->state].allowed & SM_TO(to)) != 0;
}

static inline bool sm_is_final(const struct sm *sm)
{
    return (sm->states[sm->state].flags & SM_FINAL) != 0;
}

/* Appends "conn: greeting > auth (conn.c:12) > ready (conn.c:40)": the moves that are kept, oldest
 * first. */
MUST_USE db_err sm_trace(const struct sm *sm, struct buf *out);

#endif
