/* How many rows an expression is evaluated for until others have their turn. */
#ifndef SKEIN_SQL_EXEC_PACE_H
#define SKEIN_SQL_EXEC_PACE_H

#include <stdint.h>

#include "base/err.h"

/* Of one work of many steps that are alike; begins as all 0. Nobody knows what a step takes, an
 * addition or a regular expression over megabytes: so it is one at first, then as many as the
 * clock allows. */
struct pace {
    uint32_t steps; /* that were found to be quick; 0: none was done yet */
};

static inline uint32_t pace_next(const struct pace *p)
{
    return p->steps == 0 ? 1 : p->steps;
}
/* `done` steps, not more than pace_next, took so long. */
void pace_took(struct pace *p, uint32_t done, uint64_t ns);

/* Calls fn for the rows sel[0..n) (NULL: 0..n)), some at a time, with checkpoints between them.
 * n <= CHUNK_ROWS. Parks only there. Errors: fn's, those of fiber_checkpoint. */
MUST_USE db_err pace_rows(struct pace *p, const uint16_t *sel, uint32_t n,
                          db_err (*fn)(void *arg, const uint16_t *sel, uint32_t n), void *arg);

#endif
