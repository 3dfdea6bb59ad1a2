/* CREATE TABLE. */
#include <stdlib.h>

#include "base/faults.h"
#include "sql/catalog/table_format.h"
#include "sql/ddl/fk_int.h"

/* A key as it was written: a definition of its own, or an attribute of a column. */
struct written_key {
    uint32_t offset;
    const struct ast_index_def *index;
    const struct ast_column_def *column;
    bool primary;
    bool foreign; /* the column's REFERENCES */
};

static int compare_written(const void *a, const void *b)
{
    const struct written_key *x = a;
    const struct written_key *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return (int)(y->primary - y->foreign) - (int)(x->primary - x->foreign);
}

/* MYSQL: keys are named in the order of the text, columns' own ones included. */
static db_err add_keys(struct draft *d, const struct ast_create_table *s)
{
    uint32_t n = 0;
    struct written_key *keys =
        ARENA_ARRAY(d->ctx->arena, struct written_key, s->columns.count * 3 + s->indexes.count + 1);
    if (keys == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->columns.count; i++) {
        const struct ast_column_def *c = s->columns.items[i];
        if (c->primary) {
            keys[n++] = (struct written_key){c->pos.offset, NULL, c, true, false};
        }
        if (c->unique || c->serial_default || c->type->kind == AST_TYPE_SERIAL) {
            keys[n++] = (struct written_key){c->pos.offset, NULL, c, false, false};
        }
        if (c->references != NULL) {
            keys[n++] = (struct written_key){c->pos.offset, NULL, c, false, true};
        }
    }
    for (uint32_t i = 0; i < s->indexes.count; i++) {
        const struct ast_index_def *ix = s->indexes.items[i];
        keys[n++] =
            (struct written_key){ix->pos.offset, ix, NULL, ix->kind == AST_INDEX_PRIMARY, false};
    }
    if (n > 1) {
        qsort(keys, n, sizeof(*keys), compare_written);
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct ast_column_def *c = keys[i].column;
        TRY(keys[i].index != NULL ? ddl__index(d, keys[i].index)
            : keys[i].foreign ? ddl__add_fk(d, SLICE_EMPTY, SLICE_EMPTY, &c->name, 1, c->references)
                              : ddl__column_key(d, c->name, keys[i].primary));
    }
    return ERR_OK;
}

struct written_check {
    const struct ast_check *ast;
    struct draft_column *column;
};

/* MYSQL: checks are numbered in the order of the text, those of columns included. */
static db_err add_checks(struct draft *d, const struct ast_create_table *s)
{
    uint32_t count = s->checks.count;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->columns.count; i++) {
        count += s->columns.items[i]->checks.count;
    }
    struct written_check *list = ARENA_ARRAY(d->ctx->arena, struct written_check, count + 1);
    if (list == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->columns.count; i++) {
        const struct ast_check_list *own = &s->columns.items[i]->checks;
        for (uint32_t k = 0; k < own->count; k++) {
            list[n++] = (struct written_check){own->items[k], d->columns[i]};
        }
    }
    for (uint32_t i = 0; i < s->checks.count; i++) {
        uint32_t at = n++;
        while (at > 0 && list[at - 1].ast->pos.offset > s->checks.items[i]->pos.offset) {
            list[at] = list[at - 1];
            at--;
        }
        list[at] = (struct written_check){s->checks.items[i], NULL};
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(ddl__add_check(d, list[i].ast, list[i].column));
    }
    return ERR_OK;
}

static db_err fill(struct draft *d, const struct ast_create_table *s)
{
    TRY(ddl__columns_allowed(d->ctx, &s->columns));
    TRY(ddl__options(d, &s->options));
    for (uint32_t i = 0; i < s->columns.count; i++) {
        struct draft_column *c;
        TRY(ddl__column(d, s->columns.items[i], &c));
        TRY(ddl__add_column(d, c, d->column_count));
    }
    ddl__promote_timestamp(d);
    TRY(ddl__select_columns(d));
    TRY(add_keys(d, s));
    TRY(add_checks(d, s));
    TRY(ddl__checks_allowed(d));
    if (d->column_count == 0) {
        return my_error(d->ctx->diag, ER_TABLE_MUST_HAVE_A_VISIBLE_COLUMN);
    }
    /* NULLs of primary key columns are settled first: the order of unique keys depends on them. */
    TRY(ddl__check_indexes(d));
    return ddl__check_columns(d);
}

static db_err fill_like(struct draft *d, const struct ast_create_table *s)
{
    struct ddl_ctx *ctx = d->ctx;
    struct slice schema;
    TRY(ddl__schema_of(ctx, &s->like, &schema));
    const struct table_def *from = snapshot_table(ctx->bind->snapshot, schema, s->like.name);
    if (from == NULL) {
        return my_error(ctx->diag, ER_NO_SUCH_TABLE, ddl__text(ctx, schema),
                        ddl__text(ctx, s->like.name));
    }
    if (from->kind != TABLE_BASE) {
        return my_error(ctx->diag, ER_WRONG_OBJECT, ddl__text(ctx, schema),
                        ddl__text(ctx, s->like.name), "BASE TABLE");
    }
    struct table_def target = d->def;
    TRY(ddl__draft_of(ctx, from, d));
    d->hidden_id = 0;
    d->def.id = 0;
    d->def.schema_id = target.schema_id;
    d->def.schema_name = target.schema_name;
    d->def.name = target.name;
    d->def.version = 0;
    d->def.auto_increment_start = 0;
    d->def.create_time_us = 0;
    d->old = NULL;
    d->fk_count = 0; /* MYSQL: foreign keys are not copied */
    for (uint32_t i = 0; i < d->column_count; i++) {
        d->columns[i]->def.histogram = NULL;
    }
    return ddl__rename_checks(ctx, &d->def);
}

static bool has_foreign_key(const struct ast_create_table *s)
{
    for (uint32_t i = 0; i < s->columns.count; i++) {
        if (s->columns.items[i]->references != NULL) {
            return true;
        }
    }
    for (uint32_t i = 0; i < s->indexes.count; i++) {
        if (s->indexes.items[i]->references != NULL) {
            return true;
        }
    }
    return false;
}

static db_err refuse_unsupported(struct ddl_ctx *ctx, const struct ast_create_table *s)
{
    if (s->temporary && ctx->temporaries == NULL) {
        return ddl__unsupported(ctx, "TEMPORARY tables");
    }
    if (s->temporary && s->partition != NULL) {
        return my_error(ctx->diag, ER_PARTITION_NO_TEMPORARY);
    }
    if (s->external) {
        return ddl__unsupported(ctx, "EXTERNAL tables");
    }
    if (s->partition != NULL && has_foreign_key(s)) {
        return my_error(ctx->diag, ER_FOREIGN_KEY_ON_PARTITIONED);
    }
    if (s->partition != NULL) {
        return ddl__unsupported(ctx, "PARTITION BY");
    }
    return ERR_OK;
}

/* made: the record of its rows, which are there already; NULL: there are none. */
static db_err commit(struct draft *d, const struct table_def *def, bool if_not_exists,
                     const struct pending_drop *made)
{
    struct ddl_ctx *ctx = d->ctx;
    struct catalog_change *change;
    TRY(catalog_change_begin(ctx->catalog, ctx->diag, &change));
    bool exists = snapshot_table(catalog_change_view(change), def->schema_name, def->name) != NULL;
    if (exists && if_not_exists && made == NULL) {
        catalog_change_abort(change);
        diag_area_note(ctx->warnings, ER_TABLE_EXISTS_ERROR, ddl__text(ctx, def->name));
        return ERR_OK;
    }
    db_err err = exists ? ERR_OK : ddl__check_fks(d, def, catalog_change_view(change));
    if (err == ERR_OK && made != NULL) {
        err = catalog_cancel_drop(change, made, ctx->diag);
    }
    err = err != ERR_OK ? err : catalog_create_table(change, def, ctx->diag, NULL);
    if (err != ERR_OK) {
        catalog_change_abort(change);
        return err;
    }
    return ddl__commit(ctx, change);
}

/* The rows first, under a record that has them deleted when the table does not come to be; then the
 * table, in one change that takes the record back. */
static db_err commit_filled(struct draft *d, struct table_def *def, bool if_not_exists)
{
    struct ddl_ctx *ctx = d->ctx;
    struct pending_drop made = {0};
    struct diag ignored;
    TRY(catalog_new_table_id(ctx->catalog, ctx->diag, &made.table_id));
    def->id = made.table_id;
    TRY(table_format_new(ctx->arena, def, &def->format));
    TRY(ddl__check_fks(d, def, ctx->bind->snapshot));
    TRY(catalog_put_drop(ctx->catalog, &made, true, ctx->diag));
    db_err err = ctx->fill(ctx->fill_arg, def);
    FAULT(ddl_before_swap);
    err = err != ERR_OK ? err : commit(d, def, if_not_exists, &made);
    if (err == ERR_OK || err == ERR_COMMIT_UNKNOWN) {
        return err;
    }
    diag_reset(&ignored);
    db_err ignored_err = ddl__delete_ranges(ctx->catalog, ctx->storage, &made, 1, &ignored);
    (void)ignored_err; /* the record stays: recovery does it */
    return err;
}

/* MYSQL: a temporary table may have the name of another table, and be in front of it. */
static bool exists_already(struct ddl_ctx *ctx, const struct ast_create_table *s,
                           struct slice schema, struct slice name)
{
    const struct catalog_snapshot *snap = ctx->bind->snapshot;
    return (s->temporary ? snapshot_temporary(snap, schema, name)
                         : snapshot_permanent(snap, schema, name)) != NULL;
}

static db_err put_temporary(struct ddl_ctx *ctx, struct table_def *def)
{
    TRY(ctx->temporaries->new_id(ctx->temporaries, ctx, &def->id));
    return ctx->temporaries->put(ctx->temporaries, 0, def);
}

/* The tables that the new one refers to. */
static db_err lock_parents(struct draft *d, const struct ast_create_table *s,
                           const struct catalog_snapshot **ret_snapshot)
{
    struct ddl_ctx *ctx = d->ctx;
    uint32_t n = 0;
    struct ddl_target *targets =
        ARENA_ARRAY(ctx->arena, struct ddl_target, s->columns.count + s->indexes.count + 1);
    *ret_snapshot = NULL;
    if (targets == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->columns.count; i++) {
        ddl__parents_of(ctx, s->columns.items[i]->references, d->def.schema_name, targets, &n);
    }
    for (uint32_t i = 0; i < s->indexes.count; i++) {
        ddl__parents_of(ctx, s->indexes.items[i]->references, d->def.schema_name, targets, &n);
    }
    return n == 0 ? ERR_OK : ddl__lock_family(ctx, targets, n, 0, ret_snapshot);
}

/* MYSQL: a table without a primary key gets my_row_id, in front of all columns. */
static db_err generate_primary(struct draft *d)
{
    struct slice name = SLICE_LIT("my_row_id");
    struct ast_type type = {.kind = AST_TYPE_BIGINT, .flags = AST_TYPE_F_UNSIGNED};
    struct ast_column_def *ast = ARENA_NEW(d->ctx->arena, struct ast_column_def);
    struct draft_column *c;
    if (ast == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < d->column_count; i++) {
        if (slice_eq_nocase(d->columns[i]->def.name, name)) {
            return my_error(d->ctx->diag, ER_GIPK_COLUMN_EXISTS,
                            ddl__text(d->ctx, d->columns[i]->def.name));
        }
        if (d->columns[i]->def.auto_increment) {
            return my_error(d->ctx->diag, ER_GIPK_FAILED_AUTOINC_COLUMN_EXISTS);
        }
    }
    *ast = (struct ast_column_def){.name = name,
                                   .type = &type,
                                   .nullability = AST_NULL_NO,
                                   .auto_increment = true,
                                   .visible = AST_NO};
    TRY(ddl__column(d, ast, &c));
    TRY(ddl__add_column(d, c, 0));
    return ddl__column_key(d, name, true);
}

static db_err fill_table(struct draft *d, const struct ast_create_table *s)
{
    TRY(s->has_like ? fill_like(d, s) : fill(d, s));
    TRY(ddl__zero_timestamps(d));
    if (ddl__primary(d) != NULL) {
        return ERR_OK;
    }
    bool innodb = slice_eq_nocase(d->def.engine, SLICE_LIT("InnoDB"));
    if (d->ctx->generate_primary && innodb && !s->has_like && !ddl__has_stand_in(d)) {
        TRY(generate_primary(d));
        return ddl__check_indexes(d);
    }
    return d->ctx->require_primary ? my_error(d->ctx->diag, ER_TABLE_WITHOUT_PK) : ERR_OK;
}

static db_err make(struct draft *d, const struct ast_create_table *s)
{
    struct table_def def;
    TRY(fill_table(d, s));
    if (s->temporary && d->fk_count != 0) {
        return my_error(d->ctx->diag, ER_CANNOT_ADD_FOREIGN);
    }
    TRY(ddl__finish(d, false, &def));
    if (s->temporary) {
        return put_temporary(d->ctx, &def);
    }
    return d->ctx->fill != NULL ? commit_filled(d, &def, s->if_not_exists)
                                : commit(d, &def, s->if_not_exists, NULL);
}

static db_err check_length(struct ddl_ctx *ctx, struct slice name)
{
    return ddl__too_long(name, DDL_NAME_CHARS_MAX)
               ? my_error(ctx->diag, ER_TOO_LONG_IDENT, ddl__text(ctx, name))
               : ERR_OK;
}

/* The members of ENUM and SET, and how wide text may be, are looked at later. */
static db_err check_parsed_type(struct ddl_ctx *ctx, const struct ast_column_def *c)
{
    struct sql_type t;
    switch ((int)c->type->kind) {
    case AST_TYPE_VARCHAR:
    case AST_TYPE_VARBINARY:
    case AST_TYPE_ENUM:
    case AST_TYPE_SET: return ERR_OK;
    default:
        return bind_type(ctx->arena, c->type, COLL_UTF8MB4_0900_AI_CI, ctx->bind, c->name,
                         ctx->diag, &t);
    }
}

/* MYSQL: what the parser finds comes before the table that is there already. */
static db_err check_identifiers(struct ddl_ctx *ctx, const struct ast_create_table *s)
{
    for (uint32_t i = 0; i < s->columns.count; i++) {
        TRY(ddl__check_column_name(ctx, s->columns.items[i]->name));
        TRY(check_parsed_type(ctx, s->columns.items[i]));
    }
    for (uint32_t i = 0; i < s->indexes.count; i++) {
        const struct ast_index_def *ix = s->indexes.items[i];
        if (ix->kind == AST_INDEX_FOREIGN) { /* of others the name is looked at later */
            TRY(check_length(ctx, ix->constraint));
            TRY(check_length(ctx, ix->name));
        }
        for (uint32_t k = 0; k < ix->parts.count; k++) {
            if (ix->parts.items[k]->empty_prefix) {
                return my_error(ctx->diag, ER_KEY_PART_0,
                                ddl__text(ctx, ix->parts.items[k]->column));
            }
        }
    }
    for (uint32_t i = 0; i < s->checks.count; i++) {
        TRY(check_length(ctx, s->checks.items[i]->name));
    }
    return ERR_OK;
}

static bool is_one_of(struct slice s, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_nocase(s, slice_str(list[i]))) {
            return true;
        }
    }
    return false;
}

/* What follows the next '_'; ptr NULL: there is none. */
static struct slice after_underscore(struct slice s)
{
    const uint8_t *p = s.len == 0 ? NULL : memchr(s.ptr, '_', s.len);
    return p == NULL ? SLICE_EMPTY : slice_from(s, (size_t)(p + 1 - s.ptr));
}

/* MYSQL: names of InnoDB's tables of full-text indexes are taken: FTS_<id>_CONFIG,
 * FTS_<id>_<id>_INDEX_1 ... */
static db_err check_not_auxiliary(struct ddl_ctx *ctx, struct slice schema, struct slice name)
{
    static const char *const common[] = {"being_deleted", "being_deleted_cache", "config",
                                         "deleted",       "deleted_cache",       "added",
                                         "stopwords"};
    static const char *const parts[] = {"index_1", "index_2", "index_3", "index_4",
                                        "index_5", "index_6", "doc_id"};
    if (name.len < 4 || !slice_eq_nocase(slice_of(name.ptr, 4), SLICE_LIT("fts_"))) {
        return ERR_OK;
    }
    struct slice rest = after_underscore(slice_from(name, 4));
    if (!is_one_of(rest, common, ARRAY_COUNT(common)) &&
        !is_one_of(after_underscore(rest), parts, ARRAY_COUNT(parts))) {
        return ERR_OK;
    }
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, ER_WRONG_TABLE_NAME, my_error_sqlstate(ER_WRONG_TABLE_NAME),
                 "Invalid table name. `%.*s/%.*s` has the form of an FTS auxiliary table name",
                 SLICE_FMT(schema), SLICE_FMT(name));
    diag_area_add(ctx->warnings, DIAG_WARNING, &d);
    return my_error(ctx->diag, ER_WRONG_TABLE_NAME, ddl__text(ctx, name));
}

db_err ddl__create_table(struct ddl_ctx *ctx, const struct ast_create_table *s)
{
    struct draft d = {.ctx = ctx};
    const struct catalog_snapshot *snap;
    TRY(ddl__schema_of(ctx, &s->name, &d.def.schema_name));
    TRY(ddl__check_table_name(ctx, s->name.name));
    TRY(ddl__writable_schema(ctx, d.def.schema_name));
    d.def.name = s->name.name;
    const struct schema_def *schema = snapshot_schema(ctx->bind->snapshot, d.def.schema_name);
    if (schema == NULL) {
        return my_error(ctx->diag, ER_BAD_DB_ERROR, ddl__text(ctx, d.def.schema_name));
    }
    TRY(refuse_unsupported(ctx, s));
    if (exists_already(ctx, s, d.def.schema_name, d.def.name)) {
        TRY(check_identifiers(ctx, s));
        if (!s->if_not_exists) {
            return my_error(ctx->diag, ER_TABLE_EXISTS_ERROR, ddl__text(ctx, d.def.name));
        }
        diag_area_note(ctx->warnings, ER_TABLE_EXISTS_ERROR, ddl__text(ctx, d.def.name));
        return ERR_OK;
    }
    TRY(check_not_auxiliary(ctx, d.def.schema_name, d.def.name));
    d.def.schema_id = schema->id;
    d.def.collation = schema->collation;
    struct slice engine = s->temporary ? ctx->default_temporary_engine : ctx->default_engine;
    d.def.engine = engine.ptr != NULL ? engine : SLICE_LIT("InnoDB");
    snap = NULL;
    if (!s->temporary) {
        TRY(lock_parents(&d, s, &snap));
    }
    db_err err = make(&d, s);
    if (snap != NULL) {
        catalog_release(snap);
    }
    return err;
}
