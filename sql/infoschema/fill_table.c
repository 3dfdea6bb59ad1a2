/* SCHEMATA, TABLES, PARTITIONS and their extensions. */
#include "sql/catalog/table_format.h"
#include "sql/charset/charset.h"
#include "sql/codec/table_keys.h"
#include "sql/ddl/ddl.h"
#include "sql/exec/row_writer.h"
#include "sql/infoschema/fill.h"
#include "sql/storage/storage.h"

static const struct collation *collation_of(uint16_t id)
{
    const struct collation *c = collation_by_id(id);
    return c == NULL ? collation_by_id(COLL_BINARY) : c;
}

db_err is__fill_schemata(struct is_rows *r)
{
    for (uint32_t i = 0; i < snapshot_schema_count(r->env.snapshot); i++) {
        const struct schema_def *s = snapshot_schema_at(r->env.snapshot, i);
        if (!is__sees_schema(r, s)) {
            continue;
        }
        const struct collation *c = collation_of(s->collation);
        is__str(r, "def");
        is__text(r, s->name);
        is__str(r, c->cs->name);
        is__str(r, c->name);
        is__null(r);
        is__str(r, "NO");
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_schemata_extensions(struct is_rows *r)
{
    for (uint32_t i = 0; i < snapshot_schema_count(r->env.snapshot); i++) {
        const struct schema_def *s = snapshot_schema_at(r->env.snapshot, i);
        if (!is__sees_schema(r, s)) {
            continue;
        }
        is__str(r, "def");
        is__text(r, s->name);
        is__str(r, s->read_only ? "READ ONLY=1" : "");
        TRY(is__end(r));
    }
    return ERR_OK;
}

/* ---- TABLES ---- */

struct sizes {
    uint64_t rows, data, index;
};

static db_err estimate(struct is_rows *r, struct slice prefix, uint64_t *ret_rows,
                       uint64_t *ret_bytes)
{
    SCOPE_BUF(end, 64);
    TRY(buf_append_slice(&end, prefix));
    key_prefix_end(&end);
    return storage_estimate(r->env.storage, prefix, buf_slice(&end), ret_rows, ret_bytes);
}

static db_err sizes_of(struct is_rows *r, const struct table_def *t, struct sizes *ret)
{
    *ret = (struct sizes){0};
    if (r->env.storage == NULL || t->format == NULL) {
        return ERR_OK;
    }
    TRY(estimate(r, t->format->row_prefix, &ret->rows, &ret->data));
    for (uint32_t i = 1; i < t->index_count; i++) {
        uint64_t rows;
        uint64_t bytes;
        TRY(estimate(r, t->format->index_prefixes[i], &rows, &bytes));
        ret->index += bytes;
    }
    return ERR_OK;
}

struct option_name {
    const char *name, *shown;
};
/* MYSQL: another order than SHOW CREATE TABLE's, and most names in small letters. */
static const struct option_name option_names[] = {
    {"MAX_ROWS", "max_rows"},
    {"MIN_ROWS", "min_rows"},
    {"AVG_ROW_LENGTH", "avg_row_length"},
    {"ROW_FORMAT", "row_format"},
    {"KEY_BLOCK_SIZE", "KEY_BLOCK_SIZE"},
    {"STATS_SAMPLE_PAGES", "stats_sample_pages"},
    {"STATS_AUTO_RECALC", "stats_auto_recalc"},
    {"COMPRESSION", "COMPRESSION"},
    {"STATS_PERSISTENT", "stats_persistent"},
    {"PACK_KEYS", "pack_keys"},
    {"CHECKSUM", "checksum"},
    {"DELAY_KEY_WRITE", "delay_key_write"},
};

static db_err options_text(struct is_rows *r, const struct table_def *t, struct slice *ret)
{
    const char *text = "";
    for (size_t i = 0; i < ARRAY_COUNT(option_names); i++) {
        struct slice v = ddl_table_option(t, option_names[i].name);
        if (v.ptr == NULL) {
            continue;
        }
        bool quoted = v.len >= 2 && v.ptr[0] == '\'';
        struct slice inner = quoted ? slice_of(v.ptr + 1, v.len - 2) : v;
        const char *quote = quoted ? "\"" : "";
        text = arena_printf(r->arena, "%s%s%s=%s%.*s%s", text, text[0] == '\0' ? "" : " ",
                            option_names[i].shown, quote, SLICE_FMT(inner), quote);
        if (text == NULL) {
            return ERR_NOMEM;
        }
    }
    *ret = slice_str(text);
    return ERR_OK;
}

static void next_number(struct is_rows *r, const struct table_def *t)
{
    uint8_t key[16];
    uint64_t next = 0;
    if (t->auto_increment < 0 || is__hides_primary(r, t)) {
        is__null(r);
        return;
    }
    struct slice name = sequence_key(t, false, key);
    if (r->env.storage == NULL ||
        storage_sequence_peek(r->env.storage, name, NULL, &next) != ERR_OK) {
        next = 0;
    }
    next = next < t->auto_increment_start ? t->auto_increment_start : next;
    if (next <= 1) {
        is__null(r); /* MYSQL: no number has been given yet */
    } else {
        is__uint(r, next);
    }
}

static const char *row_format(const struct table_def *t)
{
    static const char *const formats[] = {"Compact", "Redundant", "Compressed", "Fixed"};
    struct slice v = ddl_table_option(t, "ROW_FORMAT");
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (slice_eq_nocase(v, slice_str(formats[i]))) {
            return formats[i];
        }
    }
    return "Dynamic";
}

static db_err virtual_table(struct is_rows *r, const struct table_def *t)
{
    is__str(r, "def");
    is__text(r, t->schema_name);
    is__text(r, t->name);
    bool perf = !slice_eq(t->schema_name, SLICE_LIT("information_schema"));
    is__str(r, perf ? "BASE TABLE" : "SYSTEM VIEW");
    is__str(r, perf ? "PERFORMANCE_SCHEMA" : NULL);
    is__uint(r, 10);
    is__str(r, perf ? "Dynamic" : NULL);
    for (int i = 0; i < 6; i++) {
        is__uint(r, 0);
    }
    is__null(r);
    is__time(r, 1);
    is__nulls(r, 2);
    is__str(r, perf ? collation_of(t->collation)->name : NULL);
    is__null(r);
    is__str(r, "");
    is__str(r, "");
    return is__end(r);
}

static db_err view_row(struct is_rows *r, const struct table_def *t)
{
    is__str(r, "def");
    is__text(r, t->schema_name);
    is__text(r, t->name);
    is__str(r, "VIEW");
    is__nulls(r, 10);
    is__time(r, t->create_time_us);
    is__nulls(r, 5);
    is__str(r, "VIEW");
    return is__end(r);
}

static db_err one_table(struct is_rows *r, const struct schema_def *s, const struct table_def *t)
{
    (void)s;
    struct sizes z;
    struct slice options;
    if (t->kind == TABLE_VIEW) {
        return view_row(r, t);
    }
    if (t->kind != TABLE_BASE) {
        return virtual_table(r, t);
    }
    TRY(sizes_of(r, t, &z));
    TRY(options_text(r, t, &options));
    is__str(r, "def");
    is__text(r, t->schema_name);
    is__text(r, t->name);
    is__str(r, "BASE TABLE");
    is__text(r, t->engine);
    is__uint(r, 10);
    is__str(r, row_format(t));
    is__uint(r, z.rows);
    is__uint(r, z.rows == 0 ? 0 : z.data / z.rows);
    is__uint(r, z.data);
    is__uint(r, 0);
    is__uint(r, z.index);
    is__uint(r, 0);
    next_number(r, t);
    is__time(r, t->create_time_us);
    is__nulls(r, 2);
    is__str(r, collation_of(t->collation)->name);
    is__null(r);
    is__text(r, options);
    is__text(r, t->comment.len == 0 ? SLICE_LIT("") : t->comment);
    return is__end(r);
}

db_err is__fill_tables(struct is_rows *r)
{
    return is__each_table(r, one_table);
}

static db_err one_table_extension(struct is_rows *r, const struct schema_def *s,
                                  const struct table_def *t)
{
    (void)s;
    is__str(r, "def");
    is__text(r, t->schema_name);
    is__text(r, t->name);
    is__nulls(r, 2);
    return is__end(r);
}

db_err is__fill_tables_extensions(struct is_rows *r)
{
    return is__each_table(r, one_table_extension);
}

static db_err one_partition(struct is_rows *r, const struct schema_def *s,
                            const struct table_def *t)
{
    (void)s;
    struct sizes z;
    TRY(sizes_of(r, t, &z));
    is__str(r, "def");
    is__text(r, t->schema_name);
    is__text(r, t->name);
    is__nulls(r, 10);
    is__uint(r, z.rows);
    is__uint(r, z.rows == 0 ? 0 : z.data / z.rows);
    is__uint(r, z.data);
    is__uint(r, 0);
    is__uint(r, z.index);
    is__uint(r, 0);
    is__time(r, t->create_time_us);
    is__nulls(r, 3);
    is__str(r, "");
    is__str(r, "");
    is__null(r);
    return is__end(r);
}

db_err is__fill_partitions(struct is_rows *r)
{
    return is__each_table(r, one_partition);
}
