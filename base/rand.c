/* xoshiro256** (Blackman and Vigna): 256 bits of state, passes the usual test batteries, about 1 ns
 * a number. The seed is spread over the state by splitmix64, so that neighbouring seeds give
 * unrelated streams and the all-zero state cannot happen. */
#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rand_seed(struct rand *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        r->s[i] = splitmix64(&seed);
    }
}

static inline uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rand_u64(struct rand *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rand_below(struct rand *r, uint64_t bound)
{
    ASSERT(bound > 0);
    /* The high half of a 128-bit product is uniform but for the few low halves that would come up
     * once too often: those are drawn again. */
    unsigned __int128 product = (unsigned __int128)rand_u64(r) * bound;
    if ((uint64_t)product < bound) {
        uint64_t reject = (0 - bound) % bound;
        while ((uint64_t)product < reject) {
            product = (unsigned __int128)rand_u64(r) * bound;
        }
    }
    return (uint64_t)(product >> 64);
}

double rand_unit(struct rand *r)
{
    return (double)(rand_u64(r) >> 11) * 0x1.0p-53;
}

static struct rand *g_simulated; /* NULL: the kernel's */

void rand_secure_simulate(struct rand *r)
{
    g_simulated = r;
}

db_err rand_secure(void *out, size_t size)
{
    char *pos = out;
    for (; g_simulated != NULL && size > 0; size--) {
        *pos++ = (char)rand_u64(g_simulated);
    }
    while (size > 0) {
        ssize_t n = getrandom(pos, size, 0);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return ERR_IO;
        }
        pos += n;
        size -= (size_t)n;
    }
    return ERR_OK;
}
