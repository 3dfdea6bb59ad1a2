/* Numbers handed out in steps: the arithmetic of sequences and AUTO_INCREMENT. */
#ifndef SKEIN_BASE_COUNTER_H
#define SKEIN_BASE_COUNTER_H

#include <stdint.h>

#include "base/err.h"

/* Takes `count` (> 0) numbers from a counter whose highest number given is *last: the first is the
 * smallest above *last and `floor` that is `offset` modulo `step` (> 0), the others follow in
 * steps. Moves *last to the last of them. ERR_LIMIT: there are not so many left. */
MUST_USE static inline db_err counter_take(uint64_t *last, uint64_t floor, uint64_t count,
                                           uint64_t step, uint64_t offset, uint64_t *ret_first)
{
    uint64_t base = *last > floor ? *last : floor;
    if (base == UINT64_MAX) {
        return ERR_LIMIT;
    }
    uint64_t first = base + 1;
    uint64_t up = (offset % step + (step - first % step)) % step;
    if (up > UINT64_MAX - first) {
        return ERR_LIMIT;
    }
    first += up;
    if (count - 1 > (UINT64_MAX - first) / step) {
        return ERR_LIMIT;
    }
    *last = first + (count - 1) * step;
    *ret_first = first;
    return ERR_OK;
}

#endif
