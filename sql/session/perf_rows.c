/* The rows of performance_schema's tables about this node's sessions and statements.
 *
 * Rows are copied into the asking statement's memory while locks are held, and given to the reader
 * afterwards. Summaries first take what the sessions have not given to the engine yet. Times are
 * picoseconds since the engine began, made of microseconds. */
#include "base/clock.h"
#include "sql/charset/charset.h"
#include "sql/parser/statement_digest.h"
#include "sql/session/perf_event.h"
#include "sql/session/session_int.h"

enum { CELLS_MAX = 48, TEXT_MAX = 32 << 20 };
static const uint64_t ps_per_us = 1000000u;

struct kept_row {
    struct kept_row *next;
    uint32_t count;
    struct infoschema_cell cells[];
};

struct rows {
    struct sql_session *s;
    struct infoschema_row_sink *sink;
    struct arena *arena;
    struct kept_row *first, *last;
    struct infoschema_cell cells[CELLS_MAX];
    uint32_t at;
};

/* ---- cells ---- */

static void put_null(struct rows *r, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        r->cells[r->at++] = (struct infoschema_cell){.kind = CELL_NULL};
    }
}

static void put_uint(struct rows *r, uint64_t u)
{
    r->cells[r->at++] = (struct infoschema_cell){.kind = CELL_UINT, .u = u};
}

static void put_zeros(struct rows *r, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put_uint(r, 0);
    }
}

/* Copied; ptr NULL is NULL. */
static db_err put_text(struct rows *r, struct slice text)
{
    struct infoschema_cell *c = &r->cells[r->at++];
    *c = (struct infoschema_cell){.kind = CELL_TEXT};
    if (text.ptr == NULL) {
        c->kind = CELL_NULL;
    } else if (text.len == 0) {
        c->text = SLICE_LIT("");
    } else {
        TRY(arena_copy(r->arena, text, &c->text));
    }
    return ERR_OK;
}

/* A client's text in UTF-8, as far as its bytes are characters; borrowed when nothing changes. */
static db_err in_utf8(struct rows *r, const struct charset *from, struct slice text,
                      struct slice *ret)
{
    const struct charset *utf8 = collation_by_id(COLL_UTF8MB4_BIN)->cs;
    from = from == NULL ? utf8 : from;
    text.len = text.len == 0 ? 0 : from->ops->valid_prefix(from, text);
    *ret = SLICE_LIT("");
    return text.len == 0 ? ERR_OK : charset_convert_arena(from, text, utf8, r->arena, ret, NULL);
}

static db_err put_client_text(struct rows *r, const struct charset *from, struct slice text)
{
    TRY(in_utf8(r, from, text, &text));
    return put_text(r, text);
}

static void put_literal(struct rows *r, const char *text)
{
    r->cells[r->at++] = (struct infoschema_cell){.kind = CELL_TEXT, .text = slice_str(text)};
}

static void put_time(struct rows *r, uint64_t us)
{
    r->cells[r->at++] = (struct infoschema_cell){.kind = CELL_TIME, .u = us};
}

static db_err end_row(struct rows *r)
{
    size_t size = sizeof(struct kept_row) + r->at * sizeof(struct infoschema_cell);
    struct kept_row *k = arena_alloc(r->arena, size);
    if (k == NULL) {
        return ERR_LIMIT;
    }
    k->next = NULL;
    k->count = r->at;
    memcpy(k->cells, r->cells, r->at * sizeof(struct infoschema_cell));
    if (r->last == NULL) {
        r->first = k;
    } else {
        r->last->next = k;
    }
    r->last = k;
    r->at = 0;
    return ERR_OK;
}

typedef db_err (*session_fn)(struct rows *r, struct sql_session *of);

static db_err each_session(struct rows *r, session_fn fn)
{
    struct sql_engine *e = r->s->engine;
    db_err err = ERR_OK;
    fiber_mutex_lock(&e->sessions_mutex);
    LIST_FOREACH (node, &e->sessions) {
        struct sql_session *of = CONTAINER_OF(node, struct sql_session, node);
        err = fn(r, of);
        if (err != ERR_OK) {
            break;
        }
    }
    fiber_mutex_unlock(&e->sessions_mutex);
    return err;
}

static db_err fold(struct rows *r, struct sql_session *of)
{
    session_stats_fold(&of->perf->stats, r->s->engine->stats);
    return ERR_OK;
}

/* ---- threads ---- */

static db_err thread_row(struct rows *r, struct sql_session *of)
{
    struct infoschema_process p = {0};
    TRY(session__describe(of, r->arena, &p));
    put_uint(r, of->connection_id);
    put_literal(r, "thread/sql/one_connection");
    put_literal(r, "FOREGROUND");
    put_uint(r, p.id);
    TRY(put_text(r, p.user));
    TRY(put_text(r, p.host));
    TRY(put_text(r, p.schema));
    TRY(put_text(r, p.command));
    put_uint(r, p.seconds);
    TRY(put_text(r, p.state.len == 0 ? SLICE_EMPTY : p.state));
    TRY(put_text(r, p.info));
    put_null(r, 2);
    put_literal(r, "YES");
    put_literal(r, "YES");
    put_literal(r, of->opts.tls_cipher != NULL ? "SSL/TLS"
                   : of->opts.unix_socket      ? "Socket"
                                               : "TCP/IP");
    put_null(r, 2);
    put_literal(r, "PRIMARY");
    size_t used = atomic_load_explicit(&of->mem.used, memory_order_relaxed);
    put_uint(r, used);
    put_uint(r, used);
    put_uint(r, used);
    put_uint(r, used);
    put_literal(r, "NO");
    return end_row(r);
}

static db_err threads(struct rows *r)
{
    return each_session(r, thread_row);
}

/* ---- statements ---- */

static db_err digest_text_of(struct rows *r, const struct digest_stats *d, struct slice *ret)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    db_err err = statement_digest_text(d->tokens, &b);
    struct slice text = SLICE_LIT("");
    err = err == ERR_OK ? in_utf8(r, d->charset, buf_slice(&b), &text) : err;
    *ret = SLICE_LIT("");
    if (err == ERR_OK && text.len != 0) {
        err = arena_copy(r->arena, text, ret);
    }
    buf_fini(&b);
    return err;
}

static db_err put_digest(struct rows *r, const struct digest_stats *d)
{
    struct slice text;
    if (d == NULL || d->tokens.ptr == NULL) {
        put_null(r, 2);
        return ERR_OK;
    }
    TRY(digest_text_of(r, d, &text));
    put_literal(r, d->hex);
    return put_text(r, text);
}

static db_err put_event_digest(struct rows *r, struct statement_stats *all,
                               const struct perf_event *e)
{
    struct digest_stats *d = statement_stats_lock(all, e->digest);
    db_err err = put_digest(r, d);
    if (d != NULL) {
        spin_unlock(&d->lock);
    }
    return err;
}

/* MYSQL: of a text that was cut the last characters are dots. */
static db_err put_event_text(struct rows *r, const struct perf_event *e)
{
    struct slice dots = SLICE_LIT("...");
    struct slice text = slice_of(e->text == NULL ? "" : e->text, e->text_len);
    if (e->secret) {
        return put_text(r, SECRET_TEXT);
    }
    TRY(in_utf8(r, e->charset, text, &text));
    if (!e->cut) {
        return put_text(r, text);
    }
    const struct charset *utf8 = collation_by_id(COLL_UTF8MB4_BIN)->cs;
    size_t chars = charset_char_count(utf8, text);
    text = charset_substring(utf8, text, 0, chars > dots.len ? chars - dots.len : 0);
    uint8_t *p = arena_alloc(r->arena, text.len + dots.len);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    memcpy(p, text.ptr, text.len);
    memcpy(p + text.len, dots.ptr, dots.len);
    r->cells[r->at++] =
        (struct infoschema_cell){.kind = CELL_TEXT, .text = slice_of(p, text.len + dots.len)};
    return ERR_OK;
}

/* How tables were read and rows sorted. */
static void put_reading(struct rows *r, const struct statement_counts *c)
{
    put_uint(r, 0);
    put_uint(r, c->tmp_tables);
    put_uint(r, c->full_joins);
    put_uint(r, c->range_joins);
    put_uint(r, c->ranges);
    put_uint(r, 0);
    put_uint(r, c->scans);
    put_uint(r, c->sort_merges);
    put_uint(r, 0);
    put_uint(r, c->sort_rows);
    put_uint(r, c->sorts);
    put_uint(r, c->no_index);
}

static db_err event_row(struct rows *r, struct sql_session *of, const struct perf_event *e)
{
    struct sql_engine *engine = r->s->engine;
    uint64_t now = clock_wall_us();
    uint64_t start = e->start_us > engine->start_us ? e->start_us - engine->start_us : 0;
    uint64_t wait = e->ended ? e->counts.wait_us : now > e->start_us ? now - e->start_us : 0;
    put_uint(r, of->connection_id);
    put_uint(r, e->id);
    if (e->ended) {
        put_uint(r, e->id);
    } else {
        put_null(r, 1);
    }
    put_literal(r, event_class_names[e->class]);
    put_null(r, 1);
    put_uint(r, start * ps_per_us);
    put_uint(r, (start + wait) * ps_per_us);
    put_uint(r, wait * ps_per_us);
    put_uint(r, 0);
    TRY(put_event_text(r, e));
    TRY(put_event_digest(r, engine->stats, e));
    TRY(put_text(r, e->has_schema ? slice_str(e->schema) : SLICE_EMPTY));
    put_null(r, 4);
    put_uint(r, (uint64_t)e->error);
    TRY(put_text(r, e->error != 0          ? slice_str(e->sqlstate)
                    : e->ended && !e->rows ? SLICE_LIT("00000")
                                           : SLICE_EMPTY));
    if (e->error != 0) {
        TRY(put_client_text(r, NULL, slice_str(e->message)));
    } else {
        put_null(r, 1);
    }
    put_uint(r, e->counts.errors);
    put_uint(r, e->counts.warnings);
    put_uint(r, e->counts.affected);
    put_uint(r, e->ended ? e->counts.sent : 0);
    put_uint(r, e->ended ? e->counts.examined : 0);
    put_reading(r, &e->counts);
    put_uint(r, 0);
    put_null(r, 2);
    put_uint(r, 0);
    put_uint(r, e->id);
    put_zeros(r, 3);
    put_literal(r, "PRIMARY");
    return end_row(r);
}

static db_err current_of(struct rows *r, struct sql_session *of)
{
    struct session_perf *p = of->perf;
    spin_lock(&p->stats.lock);
    const struct perf_event *e = &p->events[(p->next_id - 1) % EVENTS_KEPT];
    db_err err = e->id != 0 ? event_row(r, of, e) : ERR_OK;
    spin_unlock(&p->stats.lock);
    return err;
}

static db_err history_of(struct rows *r, struct sql_session *of)
{
    struct session_perf *p = of->perf;
    db_err err = ERR_OK;
    spin_lock(&p->stats.lock);
    for (uint32_t i = 0; i < EVENTS_KEPT && err == ERR_OK; i++) {
        const struct perf_event *e = &p->events[(p->next_id + i) % EVENTS_KEPT];
        bool oldest = e->id + EVENTS_KEPT == p->next_id; /* ten are shown */
        bool full = !p->events[(p->next_id - 1) % EVENTS_KEPT].ended;
        err = e->id != 0 && e->ended && (!oldest || full) ? event_row(r, of, e) : ERR_OK;
    }
    spin_unlock(&p->stats.lock);
    return err;
}

static db_err statements_current(struct rows *r)
{
    return each_session(r, current_of);
}

static db_err statements_history(struct rows *r)
{
    return each_session(r, history_of);
}

static db_err none(struct rows *r)
{
    (void)r;
    return ERR_OK;
}

/* ---- summaries ---- */

static void put_counts(struct rows *r, const struct statement_counts *c)
{
    put_uint(r, c->count);
    uint64_t n = c->count == 0 ? 1 : c->count;
    put_uint(r, c->wait_us * ps_per_us);
    put_uint(r, c->min_us * ps_per_us);
    put_uint(r, c->wait_us / n * ps_per_us + c->wait_us % n * ps_per_us / n);
    put_uint(r, c->max_us * ps_per_us);
    put_uint(r, 0);
    put_uint(r, c->errors);
    put_uint(r, c->warnings);
    put_uint(r, c->affected);
    put_uint(r, c->sent);
    put_uint(r, c->examined);
    put_reading(r, c);
    put_zeros(r, 5);
}

static uint32_t in_bucket(const struct digest_stats *d, uint32_t bucket)
{
    return d->buckets == NULL ? 0 : d->buckets[bucket];
}

static uint64_t quantile(const struct digest_stats *d, uint64_t per_thousand)
{
    uint64_t seen = 0;
    uint64_t wanted = (d->counts.count * per_thousand + 999) / 1000;
    for (uint32_t i = 0; i < STATS_BUCKETS; i++) {
        seen += in_bucket(d, i);
        if (seen >= wanted) {
            return stats_bucket_end_ps(i);
        }
    }
    return stats_bucket_end_ps(STATS_BUCKETS - 1);
}

static db_err digest_row(struct rows *r, struct digest_stats *d)
{
    if (d->counts.count == 0) {
        return ERR_OK;
    }
    TRY(put_text(r, d->schema));
    TRY(put_digest(r, d));
    put_counts(r, &d->counts);
    put_time(r, d->first_us);
    put_time(r, d->last_us);
    put_uint(r, quantile(d, 950));
    put_uint(r, quantile(d, 990));
    put_uint(r, quantile(d, 999));
    if (d->sample != NULL) {
        TRY(put_client_text(r, d->sample_charset, slice_of(d->sample, d->sample_len)));
    } else {
        put_null(r, 1);
    }
    put_time(r, d->sample != NULL ? atomic_load(&d->sample_seen_us) : d->first_us);
    put_uint(r, atomic_load(&d->sample_wait_us) * ps_per_us);
    return end_row(r);
}

static db_err by_digest(struct rows *r)
{
    struct statement_stats *all = r->s->engine->stats;
    TRY(each_session(r, fold));
    uint32_t n = statement_stats_count(all);
    db_err err = ERR_OK;
    for (uint32_t i = 1; i <= n && err == ERR_OK; i++) {
        struct digest_stats *d = statement_stats_at(all, i);
        spin_lock(&d->lock);
        err = digest_row(r, d);
        spin_unlock(&d->lock);
    }
    return err;
}

static db_err histogram(struct rows *r, const struct digest_stats *d, bool names)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < STATS_BUCKETS; i++) {
        seen += in_bucket(d, i);
        if (names) {
            TRY(put_text(r, d->schema));
            TRY(put_text(r, d->tokens.ptr == NULL ? SLICE_EMPTY : slice_str(d->hex)));
        }
        put_uint(r, i);
        put_uint(r, i == 0 ? 0 : stats_bucket_end_ps(i - 1));
        put_uint(r, i + 1 == STATS_BUCKETS ? UINT64_MAX : stats_bucket_end_ps(i));
        put_uint(r, in_bucket(d, i));
        put_uint(r, seen);
        r->cells[r->at++] = (struct infoschema_cell){
            .kind = CELL_DOUBLE,
            .d = d->counts.count == 0 ? 0 : (double)seen / (double)d->counts.count};
        TRY(end_row(r));
    }
    return ERR_OK;
}

static db_err histograms(struct rows *r, bool global)
{
    struct statement_stats *all = r->s->engine->stats;
    struct digest_stats *sum = ARENA_NEW(r->arena, struct digest_stats);
    uint32_t *buckets = ARENA_ARRAY(r->arena, uint32_t, STATS_BUCKETS);
    if (sum == NULL || buckets == NULL) {
        return ERR_LIMIT;
    }
    sum->buckets = buckets;
    TRY(each_session(r, fold));
    uint32_t n = statement_stats_count(all);
    db_err err = ERR_OK;
    for (uint32_t i = 1; i <= n && err == ERR_OK; i++) {
        struct digest_stats *d = statement_stats_at(all, i);
        spin_lock(&d->lock);
        if (global) {
            statement_counts_add(&sum->counts, &d->counts);
            for (int k = 0; k < STATS_BUCKETS; k++) {
                sum->buckets[k] += in_bucket(d, (uint32_t)k);
            }
        } else if (d->counts.count != 0) {
            err = histogram(r, d, true);
        }
        spin_unlock(&d->lock);
    }
    return err == ERR_OK && global ? histogram(r, sum, false) : err;
}

static db_err histogram_by_digest(struct rows *r)
{
    return histograms(r, false);
}

static db_err histogram_global(struct rows *r)
{
    return histograms(r, true);
}

/* ---- accounts, and statements by them ---- */

/* By what accounts are put together, and what is asked of them. */
enum { BY_USER = 1, BY_HOST = 2, WITH_CLASSES = 4 };

struct group {
    struct group *next;
    struct slice user, host; /* ptr NULL: all together */
    uint64_t current, total;
    struct statement_counts *by_class; /* EVENT__COUNT */
};

static db_err group_of(struct rows *r, struct group **list, const struct account_stats *a, int what,
                       struct group **ret)
{
    bool users = (what & BY_USER) != 0;
    bool hosts = (what & BY_HOST) != 0;
    struct group *g = users && hosts ? NULL : *list; /* each account is one */
    while (g != NULL &&
           ((users && !slice_eq(g->user, a->user)) || (hosts && !slice_eq(g->host, a->host)))) {
        g = g->next;
    }
    if (g == NULL) {
        g = ARENA_NEW(r->arena, struct group);
        if (g == NULL) {
            return ERR_LIMIT;
        }
        *g = (struct group){.next = *list,
                            .user = users ? a->user : SLICE_EMPTY,
                            .host = hosts ? a->host : SLICE_EMPTY};
        *list = g;
    }
    if ((what & WITH_CLASSES) != 0 && g->by_class == NULL) {
        g->by_class = ARENA_ARRAY(r->arena, struct statement_counts, EVENT__COUNT);
        if (g->by_class == NULL) {
            return ERR_LIMIT;
        }
        memset(g->by_class, 0, EVENT__COUNT * sizeof(*g->by_class));
    }
    *ret = g;
    return ERR_OK;
}

struct seen_account {
    struct account_stats *of;
    uint64_t current, total;
};

/* Statements wait for this lock: no more than copies under it. Accounts stay where they are. */
static db_err all_accounts(struct rows *r, struct seen_account **ret, uint32_t *ret_count)
{
    struct statement_stats *all = r->s->engine->stats;
    struct seen_account *list = ARENA_ARRAY(r->arena, struct seen_account, STATS_ACCOUNTS_MAX);
    uint32_t n = 0;
    if (list == NULL) {
        return ERR_LIMIT;
    }
    spin_lock(&all->lock);
    LIST_FOREACH (node, &all->accounts) {
        struct account_stats *a = CONTAINER_OF(node, struct account_stats, node);
        list[n++] = (struct seen_account){a, a->current, a->total};
    }
    spin_unlock(&all->lock);
    *ret = list;
    *ret_count = n;
    return ERR_OK;
}

static db_err collect(struct rows *r, int what, struct group **ret)
{
    struct seen_account *list;
    uint32_t count;
    *ret = NULL;
    TRY(each_session(r, fold));
    TRY(all_accounts(r, &list, &count));
    for (uint32_t k = 0; k < count; k++) {
        struct account_stats *a = list[k].of;
        struct group *g;
        TRY(group_of(r, ret, a, what, &g));
        g->current += list[k].current;
        g->total += list[k].total;
        spin_lock(&a->lock);
        for (int i = 0; (what & WITH_CLASSES) != 0 && i < EVENT__COUNT; i++) {
            if (a->by_class[i] != NULL) {
                statement_counts_add(&g->by_class[i], a->by_class[i]);
            }
        }
        spin_unlock(&a->lock);
    }
    return ERR_OK;
}

static db_err put_names(struct rows *r, const struct group *g, int what)
{
    if ((what & BY_USER) != 0) {
        TRY(put_text(r, g->user.len == 0 ? SLICE_LIT("") : g->user));
    }
    if ((what & BY_HOST) != 0) {
        TRY(put_text(r, g->host.len == 0 ? SLICE_LIT("") : g->host));
    }
    return ERR_OK;
}

static db_err by_class(struct rows *r, int what)
{
    struct group *g;
    TRY(collect(r, what | WITH_CLASSES, &g));
    for (; g != NULL; g = g->next) {
        for (int i = 0; i < EVENT__COUNT; i++) {
            TRY(put_names(r, g, what));
            put_literal(r, event_class_names[i]);
            put_counts(r, &g->by_class[i]);
            TRY(end_row(r));
        }
    }
    return ERR_OK;
}

static db_err by_name_global(struct rows *r)
{
    return by_class(r, 0);
}
static db_err by_name_account(struct rows *r)
{
    return by_class(r, BY_USER | BY_HOST);
}
static db_err by_name_user(struct rows *r)
{
    return by_class(r, BY_USER);
}
static db_err by_name_host(struct rows *r)
{
    return by_class(r, BY_HOST);
}

static db_err connections(struct rows *r, int what)
{
    struct group *g;
    TRY(collect(r, what, &g));
    for (; g != NULL; g = g->next) {
        TRY(put_names(r, g, what));
        put_uint(r, g->current);
        put_uint(r, g->total);
        put_zeros(r, 2);
        TRY(end_row(r));
    }
    return ERR_OK;
}

static db_err accounts(struct rows *r)
{
    return connections(r, BY_USER | BY_HOST);
}
static db_err users(struct rows *r)
{
    return connections(r, BY_USER);
}
static db_err hosts(struct rows *r)
{
    return connections(r, BY_HOST);
}

static db_err classes_of(struct rows *r, struct sql_session *of)
{
    struct session_stats *st = &of->perf->stats;
    session_stats_fold(st, r->s->engine->stats);
    for (int i = 0; i < EVENT__COUNT; i++) {
        struct statement_counts c = {0};
        spin_lock(&st->lock);
        for (int k = 0; k < STATS_CLASSES; k++) {
            if (st->classes[k].counts.count != 0 && (int)st->classes[k].class == i) {
                c = st->classes[k].counts;
            }
        }
        spin_unlock(&st->lock);
        put_uint(r, of->connection_id);
        put_literal(r, event_class_names[i]);
        put_counts(r, &c);
        TRY(end_row(r));
    }
    return ERR_OK;
}

static db_err by_name_thread(struct rows *r)
{
    return each_session(r, classes_of);
}

/* ---- connect attributes ---- */

/* A text behind its length, as the protocol writes it. */
static bool take_text(struct slice *io, struct slice *ret)
{
    if (io->len == 0) {
        return false;
    }
    size_t len = io->ptr[0];
    size_t head = 1;
    if (len == 0xfc && io->len >= 3) {
        len = io->ptr[1] | (size_t)io->ptr[2] << 8;
        head = 3;
    } else if (len > 250) {
        return false;
    }
    if (io->len < head + len) {
        return false;
    }
    *ret = slice_of(io->ptr + head, len);
    *io = slice_from(*io, head + len);
    return true;
}

static db_err attributes_of(struct rows *r, struct sql_session *of)
{
    struct session_perf *p = of->perf;
    struct slice name;
    struct slice value;
    db_err err = ERR_OK;
    spin_lock(&p->stats.lock);
    struct slice rest = p->attributes;
    for (uint32_t i = 0; err == ERR_OK && take_text(&rest, &name) && take_text(&rest, &value);
         i++) {
        put_uint(r, of->connection_id);
        err = put_client_text(r, NULL, name);
        if (value.len == 0) {
            put_null(r, 1);
        } else {
            err = err == ERR_OK ? put_client_text(r, NULL, value) : err;
        }
        put_uint(r, i);
        err = err == ERR_OK ? end_row(r) : err;
    }
    spin_unlock(&p->stats.lock);
    return err;
}

static db_err connect_attrs(struct rows *r)
{
    return each_session(r, attributes_of);
}

static db_err own_attributes_of(struct rows *r, struct sql_session *of)
{
    spin_lock(&of->info_lock); /* another command may change the user */
    bool own = slice_eq(of->user, r->s->user) && slice_eq(of->host, r->s->host);
    spin_unlock(&of->info_lock);
    return own ? attributes_of(r, of) : ERR_OK;
}

static db_err account_connect_attrs(struct rows *r)
{
    return each_session(r, own_attributes_of);
}

/* ---- what is collected ---- */

static db_err texts_row(struct rows *r, const char *const *texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put_literal(r, texts[i]);
    }
    return end_row(r);
}

static db_err setup_consumers(struct rows *r)
{
    static const char *const rows[][2] = {
        {"events_stages_current", "NO"},          {"events_stages_history", "NO"},
        {"events_stages_history_long", "NO"},     {"events_statements_cpu", "NO"},
        {"events_statements_current", "YES"},     {"events_statements_history", "YES"},
        {"events_statements_history_long", "NO"}, {"events_transactions_current", "NO"},
        {"events_transactions_history", "NO"},    {"events_transactions_history_long", "NO"},
        {"events_waits_current", "NO"},           {"events_waits_history", "NO"},
        {"events_waits_history_long", "NO"},      {"global_instrumentation", "YES"},
        {"thread_instrumentation", "YES"},        {"statements_digest", "YES"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        TRY(texts_row(r, rows[i], 2));
    }
    return ERR_OK;
}

static db_err setup_actors(struct rows *r)
{
    static const char *const row[] = {"%", "%", "%", "YES", "YES"};
    return texts_row(r, row, ARRAY_COUNT(row));
}

/* Nothing is collected of objects. */
static db_err setup_objects(struct rows *r)
{
    static const char *const kinds[] = {"EVENT", "FUNCTION", "PROCEDURE", "TABLE", "TRIGGER"};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        const char *const row[] = {kinds[i], "%", "%", "NO", "NO"};
        TRY(texts_row(r, row, ARRAY_COUNT(row)));
    }
    return ERR_OK;
}

static db_err timers(struct rows *r)
{
    put_literal(r, "MICROSECOND");
    put_uint(r, ps_per_us);
    put_uint(r, 1);
    put_null(r, 1);
    return end_row(r);
}

/* ---- the tables ---- */

static const struct {
    const char *name;
    db_err (*fill)(struct rows *r);
} tables[] = {
    {"threads", threads},
    {"events_statements_current", statements_current},
    {"events_statements_history", statements_history},
    {"events_statements_history_long", none},
    {"events_statements_summary_by_digest", by_digest},
    {"events_statements_summary_global_by_event_name", by_name_global},
    {"events_statements_summary_by_account_by_event_name", by_name_account},
    {"events_statements_summary_by_host_by_event_name", by_name_host},
    {"events_statements_summary_by_user_by_event_name", by_name_user},
    {"events_statements_summary_by_thread_by_event_name", by_name_thread},
    {"events_statements_histogram_by_digest", histogram_by_digest},
    {"events_statements_histogram_global", histogram_global},
    {"accounts", accounts},
    {"users", users},
    {"hosts", hosts},
    {"session_connect_attrs", connect_attrs},
    {"session_account_connect_attrs", account_connect_attrs},
    {"setup_consumers", setup_consumers},
    {"setup_actors", setup_actors},
    {"setup_objects", setup_objects},
    {"performance_timers", timers},
};

db_err session__perf_rows(void *session, struct slice table, struct infoschema_row_sink *sink)
{
    struct sql_session *s = session;
    struct rows *r = ARENA_NEW(&s->stmt_arena, struct rows);
    if (r == NULL) {
        return ERR_LIMIT;
    }
    memset(r, 0, sizeof(*r));
    r->s = s;
    r->sink = sink;
    r->arena = &s->stmt_arena;
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        if (slice_eq(table, slice_str(tables[i].name))) {
            TRY(tables[i].fill(r));
        }
    }
    for (const struct kept_row *k = r->first; k != NULL; k = k->next) {
        TRY(sink->row(sink, k->cells, k->count));
    }
    return ERR_OK;
}

/* ---- TRUNCATE ---- */

static db_err forget_classes(struct rows *r, struct sql_session *of)
{
    struct session_stats *st = &of->perf->stats;
    (void)r;
    spin_lock(&st->lock);
    memset(st->classes, 0, sizeof(st->classes));
    spin_unlock(&st->lock);
    return ERR_OK;
}

static db_err forget_history(struct rows *r, struct sql_session *of)
{
    struct session_perf *p = of->perf;
    (void)r;
    spin_lock(&p->stats.lock);
    for (int i = 0; i < EVENTS_KEPT; i++) {
        p->events[i].id = p->events[i].ended ? 0 : p->events[i].id;
    }
    spin_unlock(&p->stats.lock);
    return ERR_OK;
}

static db_err want_shown(struct rows *r, struct sql_session *of)
{
    struct session_perf *p = of->perf;
    spin_lock(&p->stats.lock);
    for (int i = 0; i < EVENTS_KEPT; i++) {
        if (p->events[i].id != 0) {
            statement_stats_want(r->s->engine->stats, p->events[i].digest);
        }
    }
    spin_unlock(&p->stats.lock);
    return ERR_OK;
}

static bool is_table(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        if (slice_eq(name, slice_str(tables[i].name))) {
            return true;
        }
    }
    return false;
}

/* Accounts that nobody is connected with stay in the list with nothing counted. */
static db_err forget(struct sql_session *s, struct slice name, bool *ret_known)
{
    struct rows r = {.s = s, .arena = &s->stmt_arena};
    bool digests = slice_eq(name, SLICE_LIT("events_statements_summary_by_digest")) ||
                   slice_eq(name, SLICE_LIT("events_statements_histogram_by_digest")) ||
                   slice_eq(name, SLICE_LIT("events_statements_histogram_global"));
    bool history = slice_eq(name, SLICE_LIT("events_statements_current")) ||
                   slice_eq(name, SLICE_LIT("events_statements_history")) ||
                   slice_eq(name, SLICE_LIT("events_statements_history_long"));
    bool classes = is_table(name) && name.len > 13 &&
                   slice_eq(slice_from(name, name.len - 13), SLICE_LIT("by_event_name"));
    *ret_known = digests || history || classes;
    if (history) {
        return each_session(&r, forget_history);
    }
    if (digests || classes) {
        TRY(each_session(&r, fold));
        TRY(digests ? each_session(&r, want_shown) : ERR_OK);
        statement_stats_truncate(s->engine->stats, digests, classes);
    }
    return classes ? each_session(&r, forget_classes) : ERR_OK;
}

db_err session__perf_truncate(struct statement *st, const struct ast_name *name, bool *ret_is)
{
    struct sql_session *s = st->session;
    struct slice schema = name->schema.ptr != NULL ? name->schema : s->schema;
    bool known;
    *ret_is = slice_eq_nocase(schema, SLICE_LIT("performance_schema")) &&
              (name->schema.ptr != NULL || s->has_schema);
    if (!*ret_is) {
        return ERR_OK;
    }
    TRY(forget(s, name->name, &known));
    if (known) {
        return session__ok(st, 0, SLICE_EMPTY);
    }
    const char *table = arena_strdup(&s->stmt_arena, name->name);
    const struct catalog_snapshot *snap = catalog_acquire(s->engine->catalog);
    bool exists = snapshot_table(snap, SLICE_LIT("performance_schema"), name->name) != NULL;
    catalog_release(snap);
    return exists ? my_error(&s->diag, ER_TABLEACCESS_DENIED_ERROR, "DROP",
                             arena_strdup(&s->stmt_arena, s->user),
                             arena_strdup(&s->stmt_arena, s->host), table)
                  : my_error(&s->diag, ER_NO_SUCH_TABLE, "performance_schema", table);
}
