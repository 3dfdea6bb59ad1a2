/* /metrics: the counters of base/metrics, and the storage's own, read once per page. */
#include <dirent.h>
#include <microhttpd.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "node/admin/admin_int.h"

struct source_row {
    size_t offset;
    bool counter;
    const char *name;
    const char *help;
};

enum { GAUGE, COUNTER };
static const struct source_row g_sources[] = {
#define SOURCE(field, kind, name, help)                                                            \
    {offsetof(struct admin_snapshot, field), kind == COUNTER, name, help},
#include "node/admin/storage_metrics.def"
#undef SOURCE
};

#define SOURCE(field, kind, name, help)                                                            \
    _Static_assert(sizeof(((struct admin_snapshot *)0)->field) == 8, "a 64-bit number");
#include "node/admin/storage_metrics.def"
#undef SOURCE

static double value_of(void *ctx)
{
    return (double)*(const uint64_t *)ctx;
}

db_err admin__register_metrics(struct admin *a)
{
    ASSERT(a->sources == NULL);
    a->sources = mem_calloc(ARRAY_COUNT(g_sources), sizeof(*a->sources));
    if (a->sources == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < ARRAY_COUNT(g_sources); i++) {
        const struct source_row *row = &g_sources[i];
        a->sources[i] = (struct metrics_source){.name = row->name,
                                                .labels = "",
                                                .help = row->help,
                                                .value = value_of,
                                                .ctx = (char *)&a->snapshot + row->offset,
                                                .counter = row->counter};
        db_err err = metrics_register(&a->sources[i]);
        if (err != ERR_OK) {
            admin__unregister_metrics(a);
            return err;
        }
        a->source_count = i + 1;
    }
    return ERR_OK;
}

void admin__unregister_metrics(struct admin *a)
{
    for (unsigned i = 0; i < a->source_count; i++) {
        metrics_unregister(&a->sources[i]);
    }
    a->source_count = 0;
    mem_free(a->sources);
    a->sources = NULL;
}

/* Entries of a folder of /proc, which stand for threads or descriptors. */
static uint64_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return 0;
    }
    uint64_t n = 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        n += e->d_name[0] != '.';
    }
    closedir(dir);
    return n;
}

void admin__process_snapshot(struct admin_snapshot *s)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long pages = 0;
    if (file != NULL) {
        if (fscanf(file, "%*s %llu", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    s->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        s->cpu_ms = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                    (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
    }
    s->threads = count_entries("/proc/self/task");
    s->open_files = count_entries("/proc/self/fd");
}

void admin__metrics(struct request *r)
{
    struct admin *a = r->admin;
    struct range_store *ranges;
    struct raft_log *log;
    struct admin_snapshot *s = &a->snapshot;
    if (admin__borrow(a, &ranges, &log)) {
        if (log != NULL) {
            raft_log_stats(log, &s->log);
        }
        engine_get_stats(range_store_engine(ranges), &s->engine);
        range_store_get_stats(ranges, &s->ranges);
        s->write_stopped = s->engine.write_stopped;
        s->disk_full = s->ranges.disk_full;
        admin__health(a, ranges, &s->health);
        admin__return(a);
    }
    admin__process_snapshot(s);
    if (a->opts.refresh != NULL) {
        a->opts.refresh(a->opts.ctx);
    }
    r->content_type = "text/plain; version=0.0.4; charset=utf-8";
    db_err err = metrics_render(&r->reply);
    if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "%s", err_text(err));
    }
}
