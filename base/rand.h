/* Pseudo-random numbers from an explicit state, so that a seed reproduces a run; and the system's
 * entropy. */
#ifndef SKEIN_BASE_RAND_H
#define SKEIN_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct rand {
    uint64_t s[4];
};
void rand_seed(struct rand *r, uint64_t seed);
uint64_t rand_u64(struct rand *r);
uint64_t rand_below(struct rand *r, uint64_t bound); /* uniform in [0, bound), bound > 0 */
double rand_unit(struct rand *r);                    /* uniform in [0, 1) */
/* Secrets, salts, ids: the kernel's generator (getrandom). */
MUST_USE db_err rand_secure(void *out, size_t size);
/* From now on rand_secure draws from r (NULL: from the kernel again). For the simulator: nothing
 * that it gives is secret then. Not thread-safe. */
void rand_secure_simulate(struct rand *r);

#endif
