/* Each thread has a shard: one 64-bit cell for each counter and, for histograms, one for each
 * bucket, the count and the sum. Only its thread writes to a shard, with a relaxed load and a
 * relaxed store; readers add up the shards of all threads. When a thread ends, its shard (and what
 * it has counted) goes to the next thread that starts. A thread for which there is no memory counts
 * in one common shard with atomic additions: slower, nothing lost.
 *
 * Gauges are set, not added to: one cell each for the whole process. */
#include "base/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

enum kind { KIND_COUNTER, KIND_UPDOWN, KIND_GAUGE, KIND_HISTOGRAM, KIND_HISTOGRAM_NS };

static const struct row {
    const char *name;
    const char *labels;
    const char *help;
    enum kind kind;
} g_rows[] = {
#define COUNTER(id, name, labels, help)   [METRIC_##id] = {name, labels, help, KIND_COUNTER},
#define UPDOWN(id, name, labels, help)    [METRIC_##id] = {name, labels, help, KIND_UPDOWN},
#define GAUGE(id, name, labels, help)     [METRIC_##id] = {name, labels, help, KIND_GAUGE},
#define HISTOGRAM(id, name, labels, help) [METRIC_##id] = {name, labels, help, KIND_HISTOGRAM},
#define HISTOGRAM_NS(id, name, labels, help)                                                       \
    [METRIC_##id] = {name, labels, help, KIND_HISTOGRAM_NS},
#include "base/metrics.def"
#undef COUNTER
#undef UPDOWN
#undef GAUGE
#undef HISTOGRAM
#undef HISTOGRAM_NS
};

/* Every row has a place for its cells in the shard, as a member of this struct. */
struct histogram_cells {
    _Atomic uint64_t sum;
    _Atomic uint64_t buckets[METRICS_BUCKETS + 1];
};
struct cells {
#define COUNTER(id, name, labels, help)      _Atomic uint64_t id;
#define UPDOWN(id, name, labels, help)       _Atomic uint64_t id;
#define GAUGE(id, name, labels, help)        _Atomic uint64_t id;
#define HISTOGRAM(id, name, labels, help)    struct histogram_cells id;
#define HISTOGRAM_NS(id, name, labels, help) struct histogram_cells id;
#include "base/metrics.def"
#undef COUNTER
#undef UPDOWN
#undef GAUGE
#undef HISTOGRAM
#undef HISTOGRAM_NS
};

static const uint32_t g_offsets[] = {
#define METRIC_ROW(id, name, labels, help) [METRIC_##id] = offsetof(struct cells, id),
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
};

struct shard {
    struct list link;
    bool in_use; /* guarded by g_lock */
    struct cells cells;
};

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list g_shards = {&g_shards, &g_shards};    /* guarded by g_lock */
static struct list g_sources = {&g_sources, &g_sources}; /* guarded by g_lock */
static struct cells g_common;                            /* threads without a shard, and gauges */
static pthread_key_t g_thread_end;
static pthread_once_t g_once = PTHREAD_ONCE_INIT;
static _Thread_local struct shard *t_shard;
static _Thread_local bool t_no_shard;

static void on_thread_end(void *arg)
{
    struct shard *shard = arg;
    t_shard = NULL;
    t_no_shard = true; /* what runs even later in this thread counts in the common cells */
    pthread_mutex_lock(&g_lock);
    shard->in_use = false;
    pthread_mutex_unlock(&g_lock);
}

static void init_once(void)
{
    int rc = pthread_key_create(&g_thread_end, on_thread_end);
    ASSERT(rc == 0);
}

static struct shard *reuse_shard(void)
{
    LIST_FOREACH (n, &g_shards) {
        struct shard *s = CONTAINER_OF(n, struct shard, link);
        if (!s->in_use) {
            return s;
        }
    }
    return NULL;
}

__attribute__((noinline)) static struct shard *get_shard_slow(void)
{
    if (t_no_shard) {
        return NULL;
    }
    pthread_once(&g_once, init_once);
    pthread_mutex_lock(&g_lock);
    struct shard *s = reuse_shard();
    if (s == NULL) {
        s = mem_calloc(1, sizeof(*s));
        if (s != NULL) {
            list_push_back(&g_shards, &s->link);
        }
    }
    if (s != NULL) {
        s->in_use = true;
    }
    pthread_mutex_unlock(&g_lock);
    if (s == NULL || pthread_setspecific(g_thread_end, s) != 0) {
        t_no_shard = true;
        return NULL;
    }
    t_shard = s;
    return s;
}

static inline _Atomic uint64_t *cell_at(struct cells *cells, size_t offset)
{
    return (_Atomic uint64_t *)(void *)((char *)cells + offset);
}

static inline void add_at(size_t offset, uint64_t n)
{
    struct shard *s = t_shard;
    if (UNLIKELY(s == NULL)) {
        s = get_shard_slow();
        if (s == NULL) {
            atomic_fetch_add_explicit(cell_at(&g_common, offset), n, memory_order_relaxed);
            return;
        }
    }
    _Atomic uint64_t *cell = cell_at(&s->cells, offset);
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static uint64_t sum_at(size_t offset)
{
    uint64_t sum = atomic_load_explicit(cell_at(&g_common, offset), memory_order_relaxed);
    pthread_mutex_lock(&g_lock);
    LIST_FOREACH (n, &g_shards) {
        struct shard *s = CONTAINER_OF(n, struct shard, link);
        sum += atomic_load_explicit(cell_at(&s->cells, offset), memory_order_relaxed);
    }
    pthread_mutex_unlock(&g_lock);
    return sum;
}

static bool is_histogram(enum metric_id id)
{
    return g_rows[id].kind == KIND_HISTOGRAM || g_rows[id].kind == KIND_HISTOGRAM_NS;
}

void metrics_add(enum metric_id id, uint64_t n)
{
    ASSERT_SLOW(g_rows[id].kind == KIND_COUNTER || g_rows[id].kind == KIND_UPDOWN);
    add_at(g_offsets[id], n);
}

void metrics_sub(enum metric_id id, uint64_t n)
{
    ASSERT_SLOW(g_rows[id].kind == KIND_UPDOWN);
    add_at(g_offsets[id], 0 - n);
}

void metrics_set(enum metric_id id, int64_t value)
{
    ASSERT_SLOW(g_rows[id].kind == KIND_GAUGE);
    atomic_store_explicit(cell_at(&g_common, g_offsets[id]), (uint64_t)value, memory_order_relaxed);
}

int64_t metrics_get(enum metric_id id)
{
    if (is_histogram(id)) {
        struct metrics_histogram h;
        metrics_get_histogram(id, &h);
        return (int64_t)h.count;
    }
    return (int64_t)sum_at(g_offsets[id]);
}

/* --- histograms --- */

/* log2 of the first bucket's bound: 1.024 us for durations, 1 for the rest. */
static inline unsigned first_shift(enum metric_id id)
{
    return g_rows[id].kind == KIND_HISTOGRAM_NS ? 10 : 0;
}

uint64_t metrics_bucket_bound(enum metric_id id, unsigned bucket)
{
    ASSERT(bucket < METRICS_BUCKETS);
    uint64_t octave = (uint64_t)1 << (first_shift(id) + bucket / 2);
    return bucket % 2 == 0 ? octave : octave + octave / 2;
}

/* The first bucket whose bound is not below the value; METRICS_BUCKETS when there is none. */
static unsigned bucket_of(enum metric_id id, uint64_t value)
{
    unsigned shift = first_shift(id);
    if (value <= (uint64_t)1 << shift) {
        return 0;
    }
    /* 2^log2 <= value - 1 < 2^(log2 + 1), so that bounds themselves fall into the bucket below
     * them. */
    unsigned log2 = 63u - (unsigned)__builtin_clzll(value - 1);
    unsigned bucket = 2 * (log2 - shift) + 1;
    if (bucket < METRICS_BUCKETS && value > metrics_bucket_bound(id, bucket)) {
        bucket++;
    }
    return bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS;
}

void metrics_observe(enum metric_id id, uint64_t value)
{
    ASSERT_SLOW(is_histogram(id));
    size_t base = g_offsets[id];
    add_at(base + offsetof(struct histogram_cells, sum), value);
    add_at(base + offsetof(struct histogram_cells, buckets) +
               bucket_of(id, value) * sizeof(uint64_t),
           1);
}

void metrics_get_histogram(enum metric_id id, struct metrics_histogram *ret_histogram)
{
    ASSERT(is_histogram(id));
    size_t base = g_offsets[id];
    ret_histogram->sum = sum_at(base + offsetof(struct histogram_cells, sum));
    ret_histogram->count = 0;
    for (unsigned i = 0; i <= METRICS_BUCKETS; i++) {
        ret_histogram->buckets[i] =
            sum_at(base + offsetof(struct histogram_cells, buckets) + i * sizeof(uint64_t));
        ret_histogram->count += ret_histogram->buckets[i];
    }
}

uint64_t metrics_quantile(enum metric_id id, const struct metrics_histogram *h, double q)
{
    uint64_t below = 0;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        below += h->buckets[i];
        if (below > 0 && (double)below >= q * (double)h->count) {
            return metrics_bucket_bound(id, i);
        }
    }
    return h->count == 0 ? 0 : metrics_bucket_bound(id, METRICS_BUCKETS - 1);
}

/* --- registered sources --- */

db_err metrics_register(struct metrics_source *source)
{
    for (unsigned i = 0; i < METRIC__COUNT; i++) {
        if (strcmp(g_rows[i].name, source->name) == 0) {
            return ERR_EXISTS;
        }
    }
    db_err err = ERR_OK;
    pthread_mutex_lock(&g_lock);
    struct list *at = &g_sources;
    LIST_FOREACH (n, &g_sources) {
        const struct metrics_source *s = CONTAINER_OF(n, struct metrics_source, link);
        if (strcmp(s->name, source->name) == 0) {
            at = n->next; /* rows of one name stay together */
            if (strcmp(s->labels, source->labels) == 0) {
                err = ERR_EXISTS;
            }
        }
    }
    if (err == ERR_OK) {
        list_insert_before(at, &source->link);
    }
    pthread_mutex_unlock(&g_lock);
    return err;
}

void metrics_unregister(struct metrics_source *source)
{
    pthread_mutex_lock(&g_lock);
    list_remove(&source->link);
    pthread_mutex_unlock(&g_lock);
}

/* --- rendering --- */

static db_err render_help(struct buf *out, const char *name, const char *help, const char *type)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* name{labels} value; `extra` is one more label or "". */
static db_err render_labels(struct buf *out, const char *name, const char *suffix,
                            const char *labels, const char *extra)
{
    if (labels[0] == '\0' && extra[0] == '\0') {
        return buf_printf(out, "%s%s ", name, suffix);
    }
    const char *comma = labels[0] != '\0' && extra[0] != '\0' ? "," : "";
    return buf_printf(out, "%s%s{%s%s%s} ", name, suffix, labels, comma, extra);
}

static db_err render_histogram(struct buf *out, enum metric_id id)
{
    const struct row *row = &g_rows[id];
    double scale = row->kind == KIND_HISTOGRAM_NS ? 1e-9 : 1.0;
    struct metrics_histogram h;
    metrics_get_histogram(id, &h);
    uint64_t below = 0;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        char le[48];
        below += h.buckets[i];
        snprintf(le, sizeof(le), "le=\"%.9g\"", (double)metrics_bucket_bound(id, i) * scale);
        TRY(render_labels(out, row->name, "_bucket", row->labels, le));
        TRY(buf_printf(out, "%llu\n", (unsigned long long)below));
    }
    TRY(render_labels(out, row->name, "_bucket", row->labels, "le=\"+Inf\""));
    TRY(buf_printf(out, "%llu\n", (unsigned long long)h.count));
    TRY(render_labels(out, row->name, "_sum", row->labels, ""));
    TRY(buf_printf(out, "%.9g\n", (double)h.sum * scale));
    TRY(render_labels(out, row->name, "_count", row->labels, ""));
    return buf_printf(out, "%llu\n", (unsigned long long)h.count);
}

static db_err render_row(struct buf *out, enum metric_id id)
{
    static const char *const types[] = {
        [KIND_COUNTER] = "counter",     [KIND_UPDOWN] = "gauge",           [KIND_GAUGE] = "gauge",
        [KIND_HISTOGRAM] = "histogram", [KIND_HISTOGRAM_NS] = "histogram",
    };
    const struct row *row = &g_rows[id];
    if (id == 0 || strcmp(g_rows[id - 1].name, row->name) != 0) {
        TRY(render_help(out, row->name, row->help, types[row->kind]));
    }
    if (is_histogram(id)) {
        return render_histogram(out, id);
    }
    TRY(render_labels(out, row->name, "", row->labels, ""));
    return buf_printf(out, "%lld\n", (long long)metrics_get(id));
}

static db_err render_sources(struct buf *out)
{
    const char *last = "";
    LIST_FOREACH (n, &g_sources) {
        const struct metrics_source *s = CONTAINER_OF(n, struct metrics_source, link);
        if (strcmp(last, s->name) != 0) {
            TRY(render_help(out, s->name, s->help, s->counter ? "counter" : "gauge"));
            last = s->name;
        }
        TRY(render_labels(out, s->name, "", s->labels, ""));
        TRY(buf_printf(out, "%.17g\n", s->value(s->ctx)));
    }
    return ERR_OK;
}

db_err metrics_render(struct buf *out)
{
    for (unsigned i = 0; i < METRIC__COUNT; i++) {
        TRY(render_row(out, (enum metric_id)i));
    }
    pthread_mutex_lock(&g_lock);
    db_err err = render_sources(out);
    pthread_mutex_unlock(&g_lock);
    return err;
}
