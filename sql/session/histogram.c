/* Histograms: how the values of a column are distributed.
 *
 * One query gives a column's values in their order, each with the number of its rows. With no more
 * values than buckets every value is a bucket (singleton). Otherwise buckets of about the same
 * number of rows are made (equi-height): the smallest size for which the values fit into the
 * buckets is searched for. A bucket is closed when the next value would make it larger than that,
 * or when for each value that is left there is a bucket.
 *
 * The values are kept in memory while this goes on, so a large table is sampled: as many rows as
 * histogram_generation_max_mem_size allows. Text is cut to 42 characters, as in MySQL. */
#include "sql/session/histogram.h"

#include <stdio.h>

#include <stdlib.h>

#include "base/clock.h"
#include "sql/session/own_query.h"
#include "base/scope.h"

enum { TEXT_CHARS = 42, BUCKETS_DEFAULT = 100, BUCKETS_MAX = 1024, BYTES_OF_A_VALUE = 256 };

struct group {
    struct value value;
    uint64_t rows;
};

struct gather {
    struct sql_sink sink;
    struct arena *arena;
    struct group *groups; /* not NULL, in order */
    size_t count, room;
    uint64_t nulls, rows; /* all rows, those of NULL among them */
};

/* ---- reading ---- */

static db_err take_rows(struct sql_sink *sink, const struct sql_rows *rows)
{
    struct gather *g = (struct gather *)sink;
    for (uint32_t i = 0; i < rows->chunk->count; i++) {
        struct value v;
        struct value n;
        vector_get(&rows->chunk->columns[0], chunk_row(rows->chunk, i), &v);
        vector_get(&rows->chunk->columns[1], chunk_row(rows->chunk, i), &n);
        g->rows += n.u;
        if (v.is_null) {
            g->nulls += n.u;
            continue;
        }
        if (g->count == g->room) {
            size_t room = g->room == 0 ? 256 : g->room * 2;
            struct group *grown = ARENA_ARRAY(g->arena, struct group, room);
            if (grown == NULL) {
                return ERR_LIMIT;
            }
            if (g->count != 0) {
                memcpy(grown, g->groups, g->count * sizeof(*grown));
            }
            g->groups = grown;
            g->room = room;
        }
        TRY(value_copy(&v, g->arena, &g->groups[g->count].value));
        g->groups[g->count++].rows = n.u;
    }
    return ERR_OK;
}

static db_err query_of(const struct table_def *t, const struct column_def *c, double share,
                       struct buf *out)
{
    bool number = c->type.id == TYPE_ENUM || c->type.id == TYPE_SET || c->type.id == TYPE_BIT;
    bool text = !number && type_phys(&c->type) == PHYS_STR;
    TRY(buf_append_slice(out, number ? SLICE_LIT("SELECT CAST(")
                              : text ? SLICE_LIT("SELECT LEFT(")
                                     : SLICE_LIT("SELECT (")));
    TRY(buf_append_quoted(out, c->name, '`'));
    TRY(number ? buf_append_slice(out, SLICE_LIT(" AS UNSIGNED)"))
        : text ? buf_printf(out, ", %d)", (int)TEXT_CHARS)
               : buf_append_u8(out, ')'));
    TRY(buf_append_slice(out, SLICE_LIT(" AS v, COUNT(*) FROM ")));
    TRY(buf_append_quoted(out, t->schema_name, '`'));
    TRY(buf_append_u8(out, '.'));
    TRY(buf_append_quoted(out, t->name, '`'));
    if (share < 1) {
        TRY(buf_printf(out, " WHERE RAND() < %.6f", share));
    }
    return buf_append_slice(out, SLICE_LIT(" GROUP BY 1 ORDER BY 1"));
}

static db_err read_column(struct statement *st, const struct table_def *t,
                          const struct column_def *c, double share, struct gather *g)
{
    static const struct sql_sink_ops ops = {own_query__columns, take_rows,         own_query__done,
                                            own_query__done,    own_query__failed, NULL};
    struct sql_session *s = st->session;
    struct slice text;
    SCOPE_BUF(sql, 16 * 1024);
    TRY(query_of(t, c, share, &sql));
    TRY(arena_copy(&s->stmt_arena, buf_slice(&sql), &text));
    *g = (struct gather){.sink = {.ops = &ops}, .arena = &s->stmt_arena};
    struct statement query = {.session = s, .sink = &g->sink, .text = text};
    bool alone = s->commits_alone;
    uint64_t time_limit = s->vars.max_execution_time_ms;
    s->commits_alone = true; /* whatever autocommit says */
    s->vars.max_execution_time_ms = 0;
    db_err err = own_query__run(&query, text);
    s->commits_alone = alone;
    s->vars.max_execution_time_ms = time_limit;
    return err;
}

/* ---- buckets ---- */

/* Does the bucket that ends with group i end there? `filled`: its rows; `left`: buckets behind. */
static bool ends(const struct gather *g, size_t i, uint64_t filled, uint64_t size, uint32_t left)
{
    size_t behind = g->count - i - 1;
    return behind == 0 || behind <= left || filled + g->groups[i + 1].rows > size;
}

static bool fits(const struct gather *g, uint64_t size, uint32_t buckets)
{
    uint32_t used = 1;
    uint64_t filled = 0;
    for (size_t i = 0; i < g->count; i++) {
        filled += g->groups[i].rows;
        if (i + 1 < g->count && ends(g, i, filled, size, buckets - used)) {
            if (++used > buckets) {
                return false;
            }
            filled = 0;
        }
    }
    return true;
}

static uint64_t bucket_size(const struct gather *g, uint32_t buckets)
{
    uint64_t low = 0;
    uint64_t high = g->rows - g->nulls;
    while (high > low + 1) {
        uint64_t middle = low + (high - low) / 2;
        if (fits(g, middle, buckets)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}

static void fill_buckets(const struct gather *g, bool singleton, struct histogram *h)
{
    uint64_t size = singleton ? 0 : bucket_size(g, h->wanted);
    uint64_t before = 0;
    uint64_t filled = 0;
    uint64_t distinct = 0;
    for (size_t i = 0; i < g->count; i++) {
        if (distinct == 0) {
            h->lower[h->count] = g->groups[i].value;
        }
        filled += g->groups[i].rows;
        distinct++;
        if (singleton || ends(g, i, filled, size, h->wanted - h->count - 1)) {
            before += filled;
            h->upper[h->count] = g->groups[i].value;
            h->cumulative[h->count] = (double)before / (double)g->rows;
            h->distinct[h->count++] = distinct;
            filled = distinct = 0;
        }
    }
}

static db_err build(struct sql_session *s, const struct gather *g, uint32_t buckets,
                    struct histogram **ret)
{
    struct arena *a = &s->stmt_arena;
    struct histogram *h = ARENA_NEW(a, struct histogram);
    bool singleton = g->count <= buckets;
    if (h == NULL) {
        return ERR_LIMIT;
    }
    *h = (struct histogram){
        .lower = ARENA_ARRAY(a, struct value, buckets + 1),
        .cumulative = ARENA_ARRAY(a, double, buckets + 1),
        .distinct = ARENA_ARRAY(a, uint64_t, buckets + 1),
        .nulls = g->rows == 0 ? 0 : (double)g->nulls / (double)g->rows,
        .wanted = buckets,
        .made_us = clock_wall_us(),
    };
    h->upper = singleton ? h->lower : ARENA_ARRAY(a, struct value, buckets + 1);
    if (h->lower == NULL || h->upper == NULL || h->cumulative == NULL || h->distinct == NULL) {
        return ERR_LIMIT;
    }
    fill_buckets(g, singleton, h);
    *ret = h;
    return ERR_OK;
}

static db_err make(struct statement *st, const struct table_def *t, const struct column_def *c,
                   uint32_t buckets, bool auto_update, struct histogram **ret)
{
    struct sql_session *s = st->session;
    struct gather g;
    double rows = estimate_table_rows(s->engine, session__storage(s), t);
    double room = (double)vars__get(s, VAR_histogram_generation_max_mem_size)->i / BYTES_OF_A_VALUE;
    double share = rows > room ? room / rows : 1;
    TRY(read_column(st, t, c, share, &g));
    TRY(build(s, &g, buckets, ret));
    (*ret)->sampling = share;
    (*ret)->auto_update = auto_update;
    return ERR_OK;
}

/* ---- the statement ---- */

db_err histogram_check(struct sql_session *s, const struct ast_table_admin *a)
{
    const struct ast_ident_list *names = &a->columns;
    for (uint32_t i = 0; i < names->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (slice_eq_nocase(names->items[i]->name, names->items[k]->name)) {
                return my_error(&s->diag, ER_DUP_FIELDNAME,
                                arena_strdup(&s->stmt_arena, names->items[i]->name));
            }
        }
    }
    if (a->histogram_data.ptr != NULL) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET, "UPDATE HISTOGRAM ... USING DATA");
    }
    if (a->buckets > BUCKETS_MAX) {
        return my_error(&s->diag, ER_DATA_OUT_OF_RANGE, "Number of buckets", "ANALYZE TABLE");
    }
    return ERR_OK;
}

static bool covered(const struct table_def *t, uint32_t column)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        if (ix->kind <= INDEX_UNIQUE && ix->part_count == 1 && ix->parts[0].column == column) {
            return true;
        }
    }
    return false;
}

static const struct column_def *column_named(const struct table_def *t, struct slice name)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (!t->columns[i].hidden && slice_eq_nocase(t->columns[i].name, name)) {
            return &t->columns[i];
        }
    }
    return NULL;
}

struct run {
    struct statement *st;
    const struct table_def *t;
    const struct ast_table_admin *ast;
    histogram_tell_fn tell;
    void *arg;
    const struct histogram **all; /* by column, as they will be */
    bool changed;
};

static db_err tell_column(struct run *r, const char *kind, const char *format, struct slice name)
{
    char text[400];
    snprintf(text, sizeof(text), format, SLICE_FMT(name));
    const char *kept = arena_strdup(&r->st->session->stmt_arena, slice_str(text));
    return kept == NULL ? ERR_LIMIT : r->tell(r->arg, kind, kept);
}

static db_err one_column(struct run *r, struct slice name)
{
    const struct column_def *c = column_named(r->t, name);
    uint32_t buckets = r->ast->buckets == 0 ? BUCKETS_DEFAULT : (uint32_t)r->ast->buckets;
    struct histogram *h;
    if (c == NULL) {
        return tell_column(r, "Error", "The column '%.*s' does not exist.", name);
    }
    if (r->ast->histogram == AST_HISTOGRAM_DROP) {
        bool had = r->all[c->ordinal] != NULL;
        r->all[c->ordinal] = NULL;
        r->changed = r->changed || had;
        return had ? tell_column(r, "status", "Histogram statistics removed for column '%.*s'.",
                                 c->name)
                   : tell_column(r, "Error", "No histogram statistics found for column '%.*s'.",
                                 c->name);
    }
    if (c->type.id >= TYPE_JSON) {
        return tell_column(r, "Error", "The column '%.*s' has an unsupported data type.", c->name);
    }
    if (covered(r->t, c->ordinal)) {
        return tell_column(r, "Error",
                           "The column '%.*s' is covered by a single-part unique index.", c->name);
    }
    TRY(make(r->st, r->t, c, buckets, r->ast->auto_update == AST_YES, &h));
    r->all[c->ordinal] = h;
    r->changed = true;
    return tell_column(r, "status", "Histogram statistics created for column '%.*s'.", c->name);
}

static db_err store(struct run *r)
{
    struct sql_session *s = r->st->session;
    struct ddl_ctx ctx = {.catalog = s->engine->catalog,
                          .storage = s->engine->opts.storage,
                          .arena = &s->stmt_arena,
                          .diag = &s->diag,
                          .coord = s->engine->opts.coord};
    return r->changed ? ddl_store_histograms(&ctx, r->t, r->all) : ERR_OK;
}

static db_err begin(struct run *r)
{
    r->all = arena_alloc(&r->st->session->stmt_arena, (r->t->column_count + 1) * sizeof(*r->all));
    if (r->all == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < r->t->column_count; i++) {
        r->all[i] = r->t->columns[i].histogram;
    }
    return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

db_err histogram_run(struct statement *st, const struct table_def *t,
                     const struct ast_table_admin *a, histogram_tell_fn tell, void *arg)
{
    struct run r = {.st = st, .t = t, .ast = a, .tell = tell, .arg = arg};
    if (a->tables.count != 1) {
        return tell(arg, "Error",
                    "Only one table can be specified while modifying histogram statistics.");
    }
    if (t->kind == TABLE_VIEW || t->kind == TABLE_VIRTUAL) {
        return tell(arg, "Error", "Cannot create histogram statistics for a view.");
    }
    if (table_is_temporary(t)) {
        return tell(arg, "Error", "Cannot create histogram statistics for a temporary table.");
    }
    struct slice *names = ARENA_ARRAY(&st->session->stmt_arena, struct slice, a->columns.count + 1);
    if (names == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < a->columns.count; i++) {
        names[i] = a->columns.items[i]->name;
    }
    qsort(names, a->columns.count, sizeof(*names), by_name);
    TRY(begin(&r));
    for (uint32_t i = 0; i < a->columns.count; i++) {
        TRY(one_column(&r, names[i]));
    }
    return store(&r);
}

db_err histogram_renew(struct statement *st, table_id_t table)
{
    const struct catalog_snapshot *snap;
    struct run r = {.st = st};
    db_err err = ERR_OK;
    TRY(session__snapshot(st->session, &snap));
    r.t = snapshot_table_by_id(snap, table);
    if (r.t != NULL) {
        err = begin(&r);
    }
    for (uint32_t i = 0; err == ERR_OK && r.t != NULL && i < r.t->column_count; i++) {
        const struct histogram *old = r.t->columns[i].histogram;
        struct histogram *h;
        if (old != NULL && old->auto_update) {
            err = make(st, r.t, &r.t->columns[i], old->wanted, true, &h);
            r.all[i] = err == ERR_OK ? h : old;
            r.changed = true;
        }
    }
    err = err == ERR_OK && r.changed ? store(&r) : err;
    catalog_release(snap);
    return err;
}
