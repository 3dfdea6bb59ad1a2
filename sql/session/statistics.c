/* Counting different values by reading an index in its order: whenever the first parts of an entry
 * differ from those of the one before, there is one value more. That takes no memory, and gives the
 * counts for all leading parts at once. Of a large index only the first entries are read, and the
 * counts are scaled to the number of rows that the storage estimates.
 *
 * Not counted: parts that are prefixes or expressions, FULLTEXT and SPATIAL indexes. NULLs count as
 * one value. */
#include "sql/session/statistics.h"

#include "base/scope.h"
#include "sql/charset/charset.h"
#include "sql/session/own_query.h"
#include "sql/types/compare.h"

enum { ENTRIES_MAX = 2000000 };

struct count {
    struct sql_sink sink;
    uint32_t parts;
    const struct collation *collations[CATALOG_INDEX_PARTS_MAX];
    uint64_t entries;
    uint64_t *distinct;
    struct value last[CATALOG_INDEX_PARTS_MAX]; /* of the chunk before */
    struct arena kept[2];                       /* their text, in turns */
    unsigned turn;
};

static bool differs(const struct count *c, const struct value *a, const struct value *b,
                    uint32_t part)
{
    return a->is_null != b->is_null ||
           (!a->is_null && value_compare_same(a, b, c->collations[part]) != 0);
}

static void count_row(struct count *c, const struct value *row, const struct value *before)
{
    uint32_t from = 0;
    while (from < c->parts && c->entries != 0 && !differs(c, &row[from], &before[from], from)) {
        from++;
    }
    for (uint32_t i = from; i < c->parts; i++) {
        c->distinct[i]++;
    }
    c->entries++;
}

static void read_row(const struct count *c, const struct chunk *chunk, uint32_t i,
                     struct value *ret)
{
    for (uint32_t k = 0; k < c->parts; k++) {
        vector_get(&chunk->columns[k], chunk_row(chunk, i), &ret[k]);
    }
}

static db_err count_rows(struct sql_sink *sink, const struct sql_rows *rows)
{
    struct count *c = (struct count *)sink;
    struct value row[2][CATALOG_INDEX_PARTS_MAX];
    const struct value *before = c->last;
    for (uint32_t i = 0; i < rows->chunk->count; i++) {
        read_row(c, rows->chunk, i, row[i % 2]);
        count_row(c, row[i % 2], before);
        before = row[i % 2];
    }
    c->turn ^= 1;
    arena_reset(&c->kept[c->turn]);
    for (uint32_t k = 0; k < c->parts && before != c->last; k++) {
        TRY(value_copy(&before[k], &c->kept[c->turn], &c->last[k]));
    }
    return ERR_OK;
}

static db_err parts_text(const struct table_def *t, const struct index_def *ix, bool order,
                         struct buf *out)
{
    for (uint32_t i = 0; i < ix->part_count; i++) {
        TRY(i == 0 ? ERR_OK : buf_append_u8(out, ','));
        TRY(buf_append_quoted(out, t->columns[ix->parts[i].column].name, '`'));
        TRY(order && ix->parts[i].descending ? buf_append_slice(out, SLICE_LIT(" DESC")) : ERR_OK);
    }
    return ERR_OK;
}

static db_err query_of(const struct table_def *t, const struct index_def *ix, struct buf *out)
{
    TRY(buf_append_slice(out, SLICE_LIT("SELECT ")));
    TRY(parts_text(t, ix, false, out));
    TRY(buf_append_slice(out, SLICE_LIT(" FROM ")));
    TRY(buf_append_quoted(out, t->schema_name, '`'));
    TRY(buf_append_u8(out, '.'));
    TRY(buf_append_quoted(out, t->name, '`'));
    if (!ix->invisible) {
        TRY(buf_append_slice(out, SLICE_LIT(" FORCE INDEX (")));
        TRY(buf_append_quoted(out, ix->name, '`'));
        TRY(buf_append_u8(out, ')'));
    }
    TRY(buf_append_slice(out, SLICE_LIT(" ORDER BY ")));
    TRY(parts_text(t, ix, true, out));
    return buf_printf(out, " LIMIT %d", (int)ENTRIES_MAX);
}

/* What was counted in a part stands for all rows. */
static void scale(struct sql_session *s, const struct table_def *t, struct count *c)
{
    if (c->entries < ENTRIES_MAX) {
        return;
    }
    double rows = estimate_table_rows(s->engine, session__storage(s), t);
    double times = rows / (double)c->entries;
    for (uint32_t i = 0; i < c->parts && times > 1; i++) {
        c->distinct[i] = (uint64_t)((double)c->distinct[i] * times);
    }
}

static db_err count_index(struct statement *st, const struct table_def *t,
                          const struct index_def *ix, uint64_t *distinct)
{
    static const struct sql_sink_ops ops = {own_query__columns, count_rows,        own_query__done,
                                            own_query__done,    own_query__failed, NULL};
    struct sql_session *s = st->session;
    struct count c = {.sink = {.ops = &ops}, .parts = ix->part_count, .distinct = distinct};
    struct slice text;
    SCOPE_BUF(sql, 64 * 1024);
    for (uint32_t i = 0; i < c.parts; i++) {
        c.collations[i] = collation_by_id(t->columns[ix->parts[i].column].type.collation);
    }
    TRY(query_of(t, ix, &sql));
    TRY(arena_copy(&s->stmt_arena, buf_slice(&sql), &text));
    struct statement query = {.session = s, .sink = &c.sink, .text = text};
    arena_init(&c.kept[0], NULL, &s->mem, 0);
    arena_init(&c.kept[1], NULL, &s->mem, 0);
    db_err err = own_query__run(&query, text);
    arena_fini(&c.kept[0]);
    arena_fini(&c.kept[1]);
    scale(s, t, &c);
    return err;
}

static bool countable(const struct table_def *t, const struct index_def *ix)
{
    if (ix->kind == INDEX_FULLTEXT || ix->kind == INDEX_SPATIAL) {
        return false;
    }
    for (uint32_t i = 0; i < ix->part_count; i++) {
        if (ix->parts[i].prefix_len != 0 || t->columns[ix->parts[i].column].hidden) {
            return false;
        }
    }
    return true;
}

static db_err count_all(struct statement *st, const struct table_def *t, uint64_t **distinct)
{
    struct arena *a = &st->session->stmt_arena;
    for (uint32_t i = 0; i < t->index_count; i++) {
        if (countable(t, &t->indexes[i])) {
            distinct[i] = ARENA_ARRAY(a, uint64_t, t->indexes[i].part_count + 1);
            TRY(distinct[i] == NULL ? ERR_LIMIT : count_index(st, t, &t->indexes[i], distinct[i]));
        }
    }
    return ERR_OK;
}

db_err statistics_collect(struct statement *st, const struct table_def *t)
{
    struct sql_session *s = st->session;
    uint64_t **distinct = ARENA_ARRAY(&s->stmt_arena, uint64_t *, t->index_count + 1);
    uint64_t time_limit = s->vars.max_execution_time_ms;
    bool alone = s->commits_alone;
    if (distinct == NULL) {
        return ERR_LIMIT;
    }
    s->commits_alone = true; /* whatever autocommit says */
    s->vars.max_execution_time_ms = 0;
    db_err err = count_all(st, t, distinct);
    s->commits_alone = alone;
    s->vars.max_execution_time_ms = time_limit;
    TRY(err);
    struct ddl_ctx ctx = {.catalog = s->engine->catalog,
                          .storage = s->engine->opts.storage,
                          .arena = &s->stmt_arena,
                          .diag = &s->diag,
                          .coord = s->engine->opts.coord};
    return ddl_store_statistics(&ctx, t, distinct);
}
