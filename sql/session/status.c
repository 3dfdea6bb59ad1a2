/* Status counters: who counts, and the rows that SHOW STATUS and performance_schema show.
 *
 * Each event is counted twice: for its session, which alone touches those counters, and for the
 * engine, in the stripe of the loop that runs it. Statements are counted by their class when they
 * are known, before anything of them runs. What is not counted is not shown. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sql/session/perf_event.h"
#include "sql/session/session_int.h"

enum { INNODB_PAGE_SIZE = 16384 }; /* as @@innodb_page_size: what limits of InnoDB follow from */

void status__add(struct sql_session *s, enum engine_counter counter, uint64_t n)
{
    if (n != 0) {
        s->counts[counter] += n;
        engine__count(s->engine, counter, n);
    }
}

void status__count(struct sql_session *s, enum engine_counter counter)
{
    status__add(s, counter, 1);
}

void sql_session_traffic(struct sql_session *session, uint64_t received, uint64_t sent)
{
    status__add(session, COUNT_BYTES_RECEIVED, received);
    status__add(session, COUNT_BYTES_SENT, sent);
}

void status__count_run(struct sql_session *s, const struct plan *plan, const struct exec_ctx *ctx)
{
    if (plan->has_reads || ctx->sorts != 0) {
        perf__count_run(s, plan, ctx);
    }
    if (s->shows_status) { /* MYSQL: looking changes nothing of what is looked at */
        return;
    }
    if (plan->has_reads) {
        status__add(s, COUNT_TMP_TABLES, plan->reads.temporaries);
        status__add(s, COUNT_FULL_JOIN, plan->reads.full_joins);
        status__add(s, COUNT_FULL_RANGE_JOIN, plan->reads.range_joins);
        status__add(s, COUNT_RANGE, plan->reads.ranges);
        status__add(s, COUNT_SCAN, plan->reads.scans);
    }
    if (ctx->sorts != 0) {
        status__add(s, COUNT_SORT_MERGES, ctx->sort_merges);
        status__add(s, COUNT_SORT_ROWS, ctx->sorted_rows);
        status__add(s, COUNT_SORTS, ctx->sorts);
    }
}

void status__count_class(struct sql_session *s, enum event_class class)
{
    if (class < EVENT_SP_STMT) {
        status__count(s, (enum engine_counter)(COUNT_CLASSES + (int)class));
    }
}

void status__flush(struct sql_session *s)
{
    struct sql_engine *e = s->engine;
    memset(s->counts, 0, sizeof(s->counts));
    atomic_store(&e->session_count_max, atomic_load(&e->session_count));
    atomic_store(&e->flushed_us, clock_wall_us());
}

void sql_session_count(struct sql_session *session, enum sql_counted what)
{
    switch (what) {
    case SQL_COUNTED_INIT_DB: status__count_class(session, EVENT_SQL_CHANGE_DB); break;
    case SQL_COUNTED_SET_OPTION: status__count_class(session, EVENT_SQL_SET_OPTION); break;
    case SQL_COUNTED_STATISTICS: status__count_class(session, EVENT_SQL_SHOW_STATUS); return;
    case SQL_COUNTED_LONG_DATA: status__count(session, COUNT_STMT_SEND_LONG_DATA); break;
    case SQL_COUNTED_ADMIN: status__count(session, COUNT_ADMIN_COMMANDS); break;
    case SQL_COUNTED_PING: status__count(session, COUNT_ADMIN_COMMANDS); return;
    case SQL_COUNTED_STMT_CLOSE:
        status__count(session, COUNT_STMT_CLOSE);
        status__count(session, COUNT_NO_QUESTIONS);
        return;
    case SQL_COUNTED_STMT_RESET:
        status__count(session, COUNT_STMT_RESET);
        status__count(session, COUNT_NO_QUESTIONS);
        return;
    }
    status__count(session, COUNT_QUESTIONS);
}

/* ---- rows ---- */

struct rows {
    struct sql_session *s;
    bool global;
    struct infoschema_name_sink *sink;
};

static db_err add_number(const struct rows *r, const char *name, uint64_t n)
{
    const char *text = arena_printf(&r->s->stmt_arena, "%" PRIu64, n);
    return text == NULL ? ERR_NOMEM : r->sink->add(r->sink, slice_str(name), slice_str(text));
}

static db_err add_count(const struct rows *r, const char *name, enum engine_counter counter)
{
    return add_number(r, name,
                      r->global ? engine__counted(r->s->engine, counter) : r->s->counts[counter]);
}

struct com_counter {
    const char *name;
    enum engine_counter counter;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct com_counter *)a)->name, ((const struct com_counter *)b)->name);
}

/* MYSQL: SHOW tells how often statements of each kind have come; the tables do not, as
 * performance_schema has its summaries of statements. */
static db_err add_commands(const struct rows *r)
{
    static const bool counted[EVENT__COUNT] = {
#define EVENT_CLASS(symbol, name) [EVENT_##symbol] = true,
#define EVENT_UNCOUNTED(symbol, name)
#include "sql/session/event_classes.def"
#undef EVENT_CLASS
    };
    static const struct com_counter others[] = {
        {"Com_admin_commands", COUNT_ADMIN_COMMANDS},
        {"Com_stmt_close", COUNT_STMT_CLOSE},
        {"Com_stmt_execute", COUNT_STMT_EXECUTE},
        {"Com_stmt_fetch", COUNT_STMT_FETCH},
        {"Com_stmt_prepare", COUNT_STMT_PREPARE},
        {"Com_stmt_reprepare", COUNT_STMT_REPREPARE},
        {"Com_stmt_reset", COUNT_STMT_RESET},
        {"Com_stmt_send_long_data", COUNT_STMT_SEND_LONG_DATA},
    };
    static const size_t prefix = sizeof("statement/sql/") - 1;
    struct com_counter list[EVENT_SP_STMT + ARRAY_COUNT(others)];
    size_t n = ARRAY_COUNT(others);
    memcpy(list, others, sizeof(others));
    for (int i = 0; i < EVENT_SP_STMT; i++) {
        if (counted[i]) {
            list[n].counter = (enum engine_counter)(COUNT_CLASSES + i);
            list[n].name = arena_printf(&r->s->stmt_arena, "Com_%s", event_class_names[i] + prefix);
            TRY(list[n++].name == NULL ? ERR_NOMEM : ERR_OK);
        }
    }
    qsort(list, n, sizeof(*list), by_name);
    for (size_t i = 0; i < n; i++) {
        TRY(add_count(r, list[i].name, list[i].counter));
    }
    return ERR_OK;
}

static db_err add_reading(const struct rows *r)
{
    static const struct com_counter list[] = {
        {"Select_full_join", COUNT_FULL_JOIN}, {"Select_full_range_join", COUNT_FULL_RANGE_JOIN},
        {"Select_range", COUNT_RANGE},         {"Select_scan", COUNT_SCAN},
        {"Slow_queries", COUNT_SLOW_QUERIES},  {"Sort_merge_passes", COUNT_SORT_MERGES},
        {"Sort_rows", COUNT_SORT_ROWS},        {"Sort_scan", COUNT_SORTS},
    };
    for (size_t i = 0; i < ARRAY_COUNT(list); i++) {
        TRY(add_count(r, list[i].name, list[i].counter));
    }
    return ERR_OK;
}

/* Sessions that are in the midst of a command. */
static uint64_t running(struct sql_engine *e)
{
    uint64_t n = 0;
    fiber_mutex_lock(&e->sessions_mutex);
    LIST_FOREACH (node, &e->sessions) {
        struct sql_session *s = CONTAINER_OF(node, struct sql_session, node);
        spin_lock(&s->info_lock);
        n += s->command != NULL;
        spin_unlock(&s->info_lock);
    }
    fiber_mutex_unlock(&e->sessions_mutex);
    return n;
}

static db_err add_connection(const struct rows *r)
{
    const char *cipher = r->s->opts.tls_cipher != NULL ? r->s->opts.tls_cipher : "";
    const char *version = r->s->opts.tls_version != NULL ? r->s->opts.tls_version : "";
    TRY(r->sink->add(r->sink, SLICE_LIT("Ssl_cipher"), slice_str(cipher)));
    return r->sink->add(r->sink, SLICE_LIT("Ssl_version"), slice_str(version));
}

db_err session__status_rows(void *session, bool global, struct infoschema_name_sink *sink)
{
    struct sql_session *s = session;
    struct sql_engine *e = s->engine;
    struct rows r = {s, global, sink};
    uint64_t now = clock_wall_us();
    uint64_t questions = engine__counted(e, COUNT_QUESTIONS);
    TRY(add_count(&r, "Bytes_received", COUNT_BYTES_RECEIVED));
    TRY(add_count(&r, "Bytes_sent", COUNT_BYTES_SENT));
    TRY(s->shows_status ? add_commands(&r) : ERR_OK);
    TRY(add_number(&r, "Connections", engine__counted(e, COUNT_CONNECTIONS)));
    TRY(add_count(&r, "Created_tmp_tables", COUNT_TMP_TABLES));
    TRY(add_number(&r, "Innodb_page_size", INNODB_PAGE_SIZE));
    TRY(add_number(&r, "Max_used_connections", atomic_load(&e->session_count_max)));
    TRY(add_number(&r, "Prepared_stmt_count", atomic_load(&e->prepared_count)));
    TRY(add_number(&r, "Queries", questions + engine__counted(e, COUNT_NO_QUESTIONS)));
    TRY(add_count(&r, "Questions", COUNT_QUESTIONS));
    TRY(add_reading(&r));
    TRY(add_number(&r, "Threads_connected", atomic_load(&e->session_count)));
    TRY(add_number(&r, "Threads_running", running(e)));
    TRY(add_number(&r, "Uptime", (now - e->start_us) / 1000000u));
    TRY(add_number(&r, "Uptime_since_flush_status",
                   (now - atomic_load(&e->flushed_us)) / 1000000u));
    return add_connection(&r);
}
