/* What main tells the admin port: connections, addresses, memory. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/scope.h"
#include "node/main/listen.h"
#include "node/main/server_int.h"

enum { GAUGE, COUNTER };
static const struct {
    size_t offset; /* in struct server */
    bool counter;
    const char *name;
    const char *help;
} g_sources[] = {
#define SOURCE(field, kind, name, help)                                                            \
    {offsetof(struct server, field), kind == COUNTER, name, help},
#include "node/main/server_metrics.def"
#undef SOURCE
};

static double value_of(void *ctx)
{
    return (double)*(const uint64_t *)ctx;
}

db_err server_register_metrics(struct server *s)
{
    ASSERT(s->sources == NULL);
    s->sources = mem_calloc(ARRAY_COUNT(g_sources), sizeof(*s->sources));
    if (s->sources == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < ARRAY_COUNT(g_sources); i++) {
        s->sources[i] = (struct metrics_source){.name = g_sources[i].name,
                                                .labels = "",
                                                .help = g_sources[i].help,
                                                .value = value_of,
                                                .ctx = (char *)s + g_sources[i].offset,
                                                .counter = g_sources[i].counter};
        db_err err = metrics_register(&s->sources[i]);
        if (err != ERR_OK) {
            server_unregister_metrics(s);
            return err;
        }
        s->source_count = i + 1;
    }
    return ERR_OK;
}

void server_unregister_metrics(struct server *s)
{
    for (unsigned i = 0; i < s->source_count; i++) {
        metrics_unregister(&s->sources[i]);
    }
    s->source_count = 0;
    mem_free(s->sources);
    s->sources = NULL;
}

void server_refresh(void *ctx)
{
    struct server *s = ctx;
    memory_allocated(&s->allocated, &s->held);
    SCOPE_LOCK(&s->mutex);
    s->statements = s->engine != NULL ? sql_engine_memory(s->engine) : 0;
    if (s->wire != NULL) {
        wire_server_counters(s->wire, &s->counters);
    }
}

static db_err put_address(struct buf *b, const char *name, const struct config_address *a)
{
    char text[CONFIG_HOST_MAX + 16];
    listen_format(a, text, sizeof(text));
    return buf_printf(b, "\"%s\":\"%s\"", name, text);
}

db_err server_status(void *ctx, struct buf *inout_json)
{
    struct server *s = ctx;
    struct buf *b = inout_json;
    server_refresh(s);
    TRY(buf_printf(b, ",\"listen\":{"));
    TRY(put_address(b, "mysql", &s->mysql));
    TRY(buf_printf(b, ","));
    TRY(put_address(b, "rpc", &s->rpc));
    TRY(buf_printf(b, ","));
    TRY(put_address(b, "admin", &s->admin_address));
    TRY(buf_printf(b,
                   "},\"memory\":{\"limit_bytes\":%llu,\"store_bytes\":%llu,"
                   "\"statements_bytes\":%llu,\"allocated_bytes\":%llu,\"held_bytes\":%llu}",
                   (unsigned long long)s->memory.limit, (unsigned long long)s->memory.store,
                   (unsigned long long)s->memory.statements, (unsigned long long)s->allocated,
                   (unsigned long long)s->held));
    const struct wire_counters *c = &s->counters;
    return buf_printf(b,
                      ",\"connections\":{\"now\":%llu,\"not_logged_in\":%llu,\"total\":%llu,"
                      "\"refused\":%llu,\"commands\":%llu}",
                      (unsigned long long)c->connections_now, (unsigned long long)c->preauth_now,
                      (unsigned long long)c->connections_total,
                      (unsigned long long)c->connections_refused, (unsigned long long)c->commands);
}
