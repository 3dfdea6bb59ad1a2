/* Fault points: named places where a test can make the process crash, fail, wait or lose something.
 *
 * Compiled in when SKEIN_FAULTS is 1. As long as nothing is armed a point costs one relaxed load.
 * Thread-safe.
 *
 * An action, as text:
 *     off                     nothing (the point is disarmed)
 *     crash                   the process ends at once, as by kill -9 (exit status 137)
 *     error=DISK_FULL         FAULT_ERR gives ERR_DISK_FULL (a name from base/err_codes.def)
 *     delay=50                waits 50 ms (a fiber parks, a thread sleeps)
 *     drop                    FAULT_DROP gives true
 * and, after a colon, any of:
 *     after=3                 the first 3 hits pass
 *     count=2                 only so many hits act, then the point is disarmed
 *     prob=0.1                each hit acts with this probability (after `after`)
 *     seed=7                  for prob; 0 if not given
 * Example: "error=IO:after=10:count=1". */
#ifndef SKEIN_BASE_FAULTS_H
#define SKEIN_BASE_FAULTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/err.h"

enum fault_id {
#define FAULT_POINT(name, text) FAULT_##name,
#include "base/faults.def"
#undef FAULT_POINT
    FAULT__COUNT
};

struct fault_outcome {
    db_err err;
    bool drop;
};

extern _Atomic unsigned g_faults_armed; /* how many points are armed */

/* The point was reached while some point is armed. May park (delay). */
struct fault_outcome faults_hit(enum fault_id id);

static inline struct fault_outcome faults_check(enum fault_id id)
{
    if (LIKELY(atomic_load_explicit(&g_faults_armed, memory_order_relaxed) == 0)) {
        return (struct fault_outcome){ERR_OK, false};
    }
    return faults_hit(id);
}

#if defined(SKEIN_FAULTS) && SKEIN_FAULTS
/* A statement: crash and delay act, error and drop have no one to act on. */
#define FAULT(name) ((void)faults_check(FAULT_##name))
/* A db_err: ERR_OK or the error the point is armed with. */
#define FAULT_ERR(name) (faults_check(FAULT_##name).err)
/* A bool: lose it? */
#define FAULT_DROP(name) (faults_check(FAULT_##name).drop)
#else
#define FAULT(name)      ((void)0)
#define FAULT_ERR(name)  (ERR_OK)
#define FAULT_DROP(name) (false)
#endif

/* Arms, re-arms or disarms a point; its count of hits starts anew. ERR_NOT_FOUND: no such point.
 * ERR_INVALID: not an action. ERR_UNSUPPORTED: faults are not compiled in. */
MUST_USE db_err faults_set(const char *name, const char *action);
/* Several: "name=action;name=action". Those before the one that is wrong stay armed; diag says
 * which and why. */
MUST_USE db_err faults_set_list(const char *list, struct diag *diag);
/* faults_set_list with the environment variable SKEIN_FAULTS_ARM, if there is one. */
MUST_USE db_err faults_arm_from_env(struct diag *diag);
void faults_reset(void); /* disarms all */

/* How often an armed point was reached, and how often it acted, since it was armed. ERR_NOT_FOUND.
 */
MUST_USE db_err faults_hits(const char *name, uint64_t *ret_hits, uint64_t *ret_acted);
/* Appends one line per point: "name<TAB>action<TAB>hits<TAB>acted<TAB>description". */
MUST_USE db_err faults_list(struct buf *out);

#endif
