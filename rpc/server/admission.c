#include "base/metrics.h"
#include "rpc/server/server_int.h"

static const unsigned g_count_max[RPC_CLASS__COUNT] = {4096, 16384, 256};
#define BYTES_MAX_DEFAULT (512ull * 1024 * 1024)

void admission_init(struct admission *a, enum rpc_class class, unsigned count_max, size_t bytes_max)
{
    atomic_init(&a->count, 0);
    atomic_init(&a->bytes, 0);
    a->count_max = count_max != 0 ? count_max : g_count_max[class];
    a->bytes_max = bytes_max != 0 ? bytes_max : BYTES_MAX_DEFAULT;
}

bool admission_enter(struct admission *a, size_t bytes)
{
    unsigned count = atomic_fetch_add(&a->count, 1);
    size_t before = atomic_fetch_add(&a->bytes, bytes);
    /* A single request is let in however large: its size has a bound of its own. */
    if (count >= a->count_max || (before > 0 && before + bytes > a->bytes_max)) {
        atomic_fetch_sub(&a->count, 1);
        atomic_fetch_sub(&a->bytes, bytes);
        metrics_add(METRIC_rpc_requests_busy, 1);
        return false;
    }
    metrics_add(METRIC_rpc_requests, 1);
    metrics_add(METRIC_rpc_requests_live, 1);
    return true;
}

void admission_leave(struct admission *a, size_t bytes)
{
    metrics_sub(METRIC_rpc_requests_live, 1);
    atomic_fetch_sub(&a->count, 1);
    atomic_fetch_sub(&a->bytes, bytes);
}
