/* Counters, gauges and histograms of the process, rendered for Prometheus.
 *
 * The rows are in base/metrics.def. A change costs a few plain instructions on memory of the
 * calling thread: no locked instruction, no cache line that bounces. Rendering adds up all threads.
 * What a thread has counted stays after its end. Thread-safe. */
#ifndef SKEIN_BASE_METRICS_H
#define SKEIN_BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"

enum metric_id {
#define METRIC_ROW(id, name, labels, help) METRIC_##id,
#define COUNTER                            METRIC_ROW
#define UPDOWN                             METRIC_ROW
#define GAUGE                              METRIC_ROW
#define HISTOGRAM                          METRIC_ROW
#define HISTOGRAM_NS                       METRIC_ROW
#include "base/metrics.def"
#undef COUNTER
#undef UPDOWN
#undef GAUGE
#undef HISTOGRAM
#undef HISTOGRAM_NS
#undef METRIC_ROW
    METRIC__COUNT
};

void metrics_add(enum metric_id id, uint64_t n);
void metrics_sub(enum metric_id id, uint64_t n); /* UPDOWN only */
void metrics_set(enum metric_id id, int64_t value);
void metrics_observe(enum metric_id id, uint64_t value);

/* The sum over all threads (of a histogram: how many were observed). */
int64_t metrics_get(enum metric_id id);

/* Histogram buckets grow by half and double: 1, 1.5, 2, 3, 4, 6, 8 ... times the first bound. */
enum { METRICS_BUCKETS = 54 };
struct metrics_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t buckets[METRICS_BUCKETS + 1]; /* not cumulative; the last one has no upper bound */
};
void metrics_get_histogram(enum metric_id id, struct metrics_histogram *ret_histogram);
/* Upper bound (inclusive) of a bucket in the units that are observed. */
uint64_t metrics_bucket_bound(enum metric_id id, unsigned bucket);
/* The value below which a share q (0..1) of the observations lies, by the bounds of its bucket. 0
 * when there are none. */
uint64_t metrics_quantile(enum metric_id id, const struct metrics_histogram *h, double q);

/* A gauge that is asked for when it is rendered. The memory is the caller's until
 * metrics_unregister. The function may be called from any thread, under a lock: it must be quick
 * and may not park. Names that are already in the table or registered with the same labels give
 * ERR_EXISTS. */
struct metrics_source {
    const char *name;
    const char *labels; /* "" for none */
    const char *help;
    double (*value)(void *ctx);
    void *ctx;
    bool counter; /* shown as a counter instead of a gauge */
    struct list link;
};
MUST_USE db_err metrics_register(struct metrics_source *source);
void metrics_unregister(struct metrics_source *source);

/* Appends all metrics in Prometheus' text format (version 0.0.4). ERR_LIMIT, ERR_NOMEM of the
 * buffer. */
MUST_USE db_err metrics_render(struct buf *out);

#endif
