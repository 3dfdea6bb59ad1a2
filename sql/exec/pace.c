#include "sql/exec/pace.h"

#include "base/clock.h"
#include "base/fiber.h"
#include "sql/types/vector.h"

/* A quarter of a fiber's time slice; growing fourfold stays within it. */
enum { LONG_NS = 250000, QUICK_NS = LONG_NS / 4, GROWTH = 4 };

void pace_took(struct pace *p, uint32_t done, uint64_t ns)
{
    uint32_t steps = pace_next(p);
    if (ns > LONG_NS) {
        uint64_t fit = (uint64_t)done * LONG_NS / ns;
        p->steps = fit == 0 ? 1 : (uint32_t)fit;
    } else if (done == steps && ns < QUICK_NS) {
        p->steps = steps < CHUNK_ROWS / GROWTH ? steps * GROWTH : CHUNK_ROWS;
    }
}

/* Where rows are counted and none is left out. */
static const uint16_t *numbers_from(uint32_t from, uint32_t n, uint16_t *room)
{
    for (uint32_t i = 0; i < n; i++) {
        room[i] = (uint16_t)(from + i);
    }
    return room;
}

db_err pace_rows(struct pace *p, const uint16_t *sel, uint32_t n,
                 db_err (*fn)(void *arg, const uint16_t *sel, uint32_t n), void *arg)
{
    if (n == 1) { /* whoever goes from row to row looks after the time by himself */
        return fn(arg, sel, n);
    }
    uint16_t room[CHUNK_ROWS];
    for (uint32_t done = 0; done < n;) {
        uint32_t some = pace_next(p) < n - done ? pace_next(p) : n - done;
        const uint16_t *rows = some == n     ? sel
                               : sel != NULL ? sel + done
                                             : numbers_from(done, some, room);
        uint64_t began = clock_mono_ns();
        TRY(fn(arg, rows, some));
        pace_took(p, some, clock_mono_ns() - began);
        done += some;
        if (done < n) {
            TRY(fiber_checkpoint());
        }
    }
    return ERR_OK;
}
