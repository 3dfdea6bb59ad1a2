/* Says when to try again and whether calls should wait for that: closed while attempts succeed,
 * open from a failed attempt until the next success. Pauses double up to a maximum; each is drawn
 * between half and the whole of it, so that the nodes of a cluster do not all dial at the same
 * moment. */
#ifndef SKEIN_RPC_CLIENT_BREAKER_H
#define SKEIN_RPC_CLIENT_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rand.h"

struct breaker {
    uint64_t pause_min_ns;
    uint64_t pause_max_ns;
    uint64_t pause_ns; /* the next one's upper bound; 0: no failure since the last success */
    struct rand rand;
};
void breaker_init(struct breaker *b, uint32_t pause_min_ms, uint32_t pause_max_ms, uint64_t seed);
/* An attempt has failed: the time of the next. */
uint64_t breaker_failed(struct breaker *b, uint64_t now_ns);
void breaker_succeeded(struct breaker *b);
/* The next pause is the shortest one, but it stays as open as it is. */
void breaker_hurry(struct breaker *b);
bool breaker_is_open(const struct breaker *b);

#endif
