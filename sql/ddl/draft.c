/* A table in the making.
 *
 * Columns and indexes point at each other by address, so that ALTER can move, rename and drop them
 * in any order; ordinals and ids are given at the end, in one place. Ids of a table that keeps its
 * id are never used again: what stays keeps its own, what is new takes the next one. A table whose
 * rows are all written anew gets a new table id and ids from 1. */
#include <stdlib.h>

#include "base/assert.h"
#include "sql/ddl/fk_int.h"

/* MYSQL: InnoDB's name of the same thing; no user's column can have it. */
#define HIDDEN_COLUMN SLICE_LIT("DB_ROW_ID")
#define HIDDEN_INDEX  SLICE_LIT("GEN_CLUST_INDEX")

static db_err grow(struct arena *arena, void *list_of_pointers, uint32_t count, uint32_t *cap)
{
    void ***list = list_of_pointers;
    if (count < *cap) {
        return ERR_OK;
    }
    uint32_t wanted = *cap == 0 ? 16 : *cap * 2;
    void **items = ARENA_ARRAY(arena, void *, wanted);
    if (items == NULL) {
        return ERR_NOMEM;
    }
    if (count != 0) {
        memcpy(items, *list, count * sizeof(*items));
    }
    *list = items;
    *cap = wanted;
    return ERR_OK;
}

db_err ddl__add_column(struct draft *d, struct draft_column *c, uint32_t at)
{
    ASSERT(at <= d->column_count);
    if (ddl__find_column(d, c->def.name) != NULL) {
        return my_error(d->ctx->diag, ER_DUP_FIELDNAME, ddl__text(d->ctx, c->def.name));
    }
    if (d->column_count >= CATALOG_COLUMNS_MAX) {
        return my_error(d->ctx->diag, ER_TOO_MANY_FIELDS);
    }
    TRY(grow(d->ctx->arena, &d->columns, d->column_count, &d->column_cap));
    memmove(d->columns + at + 1, d->columns + at, (d->column_count - at) * sizeof(*d->columns));
    d->columns[at] = c;
    d->column_count++;
    return ERR_OK;
}

struct draft_column *ddl__find_column(const struct draft *d, struct slice name)
{
    for (uint32_t i = 0; i < d->column_count; i++) {
        if (slice_eq_nocase(d->columns[i]->def.name, name)) {
            return d->columns[i];
        }
    }
    return NULL;
}

uint32_t ddl__column_at(const struct draft *d, const struct draft_column *c)
{
    uint32_t i = 0;
    while (i < d->column_count && d->columns[i] != c) {
        i++;
    }
    return i;
}

db_err ddl__add_index(struct draft *d, struct draft_index *ix)
{
    TRY(grow(d->ctx->arena, &d->indexes, d->index_count, &d->index_cap));
    ix->order = d->index_order++;
    d->indexes[d->index_count++] = ix;
    return ERR_OK;
}

struct draft_index *ddl__primary(const struct draft *d)
{
    for (uint32_t i = 0; i < d->index_count; i++) {
        if (d->indexes[i]->def.kind == INDEX_PRIMARY) {
            return d->indexes[i];
        }
    }
    return NULL;
}

/* ---- order ---- */

static bool prefix_part(const struct draft_index *ix)
{
    for (uint32_t i = 0; i < ix->part_count; i++) {
        if (ix->parts[i].prefix != 0) {
            return true;
        }
    }
    return false;
}

/* MYSQL: the primary key, unique keys without NULLs, those of whole columns before those with
 * prefixes, the others. */
static int rank(const struct draft_index *ix)
{
    if (ix->def.kind == INDEX_PRIMARY) {
        return 0;
    }
    if (ix->def.kind == INDEX_UNIQUE) {
        return 1 + (ix->nullable ? 2 : 0) + (prefix_part(ix) ? 1 : 0);
    }
    return 5;
}

static int compare_indexes(const void *a, const void *b)
{
    const struct draft_index *x = *(struct draft_index *const *)a;
    const struct draft_index *y = *(struct draft_index *const *)b;
    int c = rank(x) - rank(y);
    return c != 0 ? c : x->order < y->order ? -1 : x->order > y->order;
}

/* ---- the descriptor ---- */

static void hidden_column(const struct draft *d, struct column_def *c)
{
    *c = (struct column_def){.name = HIDDEN_COLUMN,
                             .type = type_int(TYPE_BIGINT, true),
                             .default_kind = DEFAULT_NONE,
                             .hidden = true,
                             .invisible = true};
    c->type.flags |= TYPE_F_NOT_NULL;
    c->id = d->hidden_id;
}

static db_err finish_columns(struct draft *d, bool keep_ids, struct table_def *t)
{
    bool hidden = ddl__primary(d) == NULL;
    t->column_count = d->column_count + (hidden ? 1 : 0);
    t->columns = ARENA_ARRAY(d->ctx->arena, struct column_def, t->column_count);
    if (t->columns == NULL) {
        return ERR_NOMEM;
    }
    t->auto_increment = -1;
    for (uint32_t i = 0; i < t->column_count; i++) {
        struct column_def *c = &t->columns[i];
        bool old = false;
        if (i < d->column_count) {
            *c = d->columns[i]->def;
            old = d->columns[i]->source >= 0;
        } else {
            hidden_column(d, c);
            old = d->hidden_id != 0;
        }
        if (!keep_ids) {
            c->has_absent = false;
        }
        if (!keep_ids || !old) {
            c->id = t->next_column_id++;
        }
        c->ordinal = i;
        if (c->auto_increment) {
            t->auto_increment = (int32_t)i;
        }
    }
    return ERR_OK;
}

static db_err finish_index(struct draft *d, struct draft_index *ix, bool keep_ids,
                           struct table_def *t, struct index_def *out)
{
    *out = ix->def;
    out->part_count = ix->part_count;
    out->parts = ARENA_ARRAY(d->ctx->arena, struct index_part, ix->part_count);
    if (out->parts == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < ix->part_count; i++) {
        out->parts[i] = (struct index_part){ddl__column_at(d, ix->parts[i].column),
                                            ix->parts[i].prefix, ix->parts[i].desc};
    }
    if (ix->def.kind == INDEX_PRIMARY) {
        out->id = INDEX_ID_CLUSTERED;
    } else if (!keep_ids || ix->source < 0) {
        out->id = t->next_index_id++;
    }
    return ERR_OK;
}

static db_err finish_indexes(struct draft *d, bool keep_ids, struct table_def *t)
{
    uint32_t at = 0;
    t->has_primary = ddl__primary(d) != NULL;
    t->index_count = d->index_count + (t->has_primary ? 0 : 1);
    t->indexes = ARENA_ARRAY(d->ctx->arena, struct index_def, t->index_count);
    if (t->indexes == NULL) {
        return ERR_NOMEM;
    }
    if (!t->has_primary) {
        struct index_part *part = ARENA_NEW(d->ctx->arena, struct index_part);
        if (part == NULL) {
            return ERR_NOMEM;
        }
        part->column = t->column_count - 1;
        t->indexes[at++] = (struct index_def){.id = INDEX_ID_CLUSTERED,
                                              .name = HIDDEN_INDEX,
                                              .kind = INDEX_PLAIN,
                                              .invisible = true,
                                              .part_count = 1,
                                              .parts = part};
    }
    for (uint32_t i = 0; i < d->index_count; i++) {
        TRY(finish_index(d, d->indexes[i], keep_ids, t, &t->indexes[at++]));
        const struct index_def *made = &t->indexes[at - 1];
        if (made->part_count == 1 && made->kind <= INDEX_UNIQUE) {
            t->columns[made->parts[0].column].histogram = NULL; /* MYSQL: all values differ */
        }
    }
    return ERR_OK;
}

db_err ddl__finish(struct draft *d, bool keep_ids, struct table_def *ret_def)
{
    if (d->column_count == 0) {
        return my_error(d->ctx->diag, ER_TABLE_MUST_HAVE_COLUMNS);
    }
    struct table_def t = d->def;
    t.kind = TABLE_BASE;
    t.format = NULL;
    if (!keep_ids) {
        t.next_column_id = 1;
        t.next_index_id = INDEX_ID_CLUSTERED + 1;
        t.lean_rows = true;
    }
    if (d->index_count > 1 && !d->keep_order) {
        qsort(d->indexes, d->index_count, sizeof(*d->indexes), compare_indexes);
    }
    TRY(finish_columns(d, keep_ids, &t));
    TRY(finish_indexes(d, keep_ids, &t));
    TRY(ddl__finish_fks(d, &t));
    *ret_def = t;
    return ERR_OK;
}

/* ---- from a descriptor ---- */

static db_err take_index(struct draft *d, const struct table_def *t, uint32_t ordinal,
                         struct draft_column *const *by_ordinal)
{
    const struct index_def *from = &t->indexes[ordinal];
    struct draft_index *ix = ARENA_NEW(d->ctx->arena, struct draft_index);
    if (ix == NULL) {
        return ERR_NOMEM;
    }
    ix->def = *from;
    ix->source = (int32_t)ordinal;
    ix->part_count = from->part_count;
    ix->parts = ARENA_ARRAY(d->ctx->arena, struct draft_part, from->part_count);
    if (ix->parts == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < from->part_count; i++) {
        struct draft_column *c = by_ordinal[from->parts[i].column];
        ix->parts[i] = (struct draft_part){.name = c->def.name,
                                           .column = c,
                                           .prefix = from->parts[i].prefix_len,
                                           .desc = from->parts[i].descending};
    }
    return ddl__add_index(d, ix);
}

static db_err take_checks(struct draft *d, const struct table_def *def)
{
    d->checks = ARENA_ARRAY(d->ctx->arena, struct draft_check *, def->check_count + 1);
    if (d->checks == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < def->check_count; i++) {
        struct draft_check *c = ARENA_NEW(d->ctx->arena, struct draft_check);
        if (c == NULL) {
            return ERR_NOMEM;
        }
        c->def = def->checks[i];
        d->checks[d->check_count++] = c;
    }
    return ERR_OK;
}

db_err ddl__draft_of(struct ddl_ctx *ctx, const struct table_def *def, struct draft *ret)
{
    struct draft d = {.ctx = ctx, .def = *def, .keep_order = true, .old = def};
    struct draft_column **by_ordinal =
        ARENA_ARRAY(ctx->arena, struct draft_column *, def->column_count + 1);
    if (by_ordinal == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < def->column_count; i++) {
        if (column_is_row_id(&def->columns[i])) {
            d.hidden_id = def->columns[i].id;
            continue;
        }
        struct draft_column *c = ARENA_NEW(ctx->arena, struct draft_column);
        if (c == NULL) {
            return ERR_NOMEM;
        }
        c->def = def->columns[i];
        c->source = (int32_t)i;
        by_ordinal[i] = c;
        TRY(ddl__add_column(&d, c, d.column_count));
    }
    for (uint32_t i = def->has_primary ? 0 : 1; i < def->index_count; i++) {
        TRY(take_index(&d, def, i, by_ordinal));
    }
    TRY(take_checks(&d, def));
    TRY(ddl__take_fks(&d, def));
    *ret = d;
    return ERR_OK;
}
