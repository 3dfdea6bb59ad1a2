#include "rpc/client/breaker.h"

#include "base/clock.h"

void breaker_init(struct breaker *b, uint32_t pause_min_ms, uint32_t pause_max_ms, uint64_t seed)
{
    b->pause_min_ns = pause_min_ms * NS_PER_MS;
    b->pause_max_ns = pause_max_ms * NS_PER_MS;
    b->pause_ns = 0;
    rand_seed(&b->rand, seed);
}

uint64_t breaker_failed(struct breaker *b, uint64_t now_ns)
{
    if (b->pause_ns == 0) {
        b->pause_ns = b->pause_min_ns;
    }
    uint64_t pause_ns = b->pause_ns / 2 + rand_below(&b->rand, b->pause_ns / 2 + 1);
    b->pause_ns = b->pause_ns * 2 < b->pause_max_ns ? b->pause_ns * 2 : b->pause_max_ns;
    return now_ns + pause_ns;
}

void breaker_succeeded(struct breaker *b)
{
    b->pause_ns = 0;
}

void breaker_hurry(struct breaker *b)
{
    if (b->pause_ns != 0) {
        b->pause_ns = b->pause_min_ns;
    }
}

bool breaker_is_open(const struct breaker *b)
{
    return b->pause_ns != 0;
}
