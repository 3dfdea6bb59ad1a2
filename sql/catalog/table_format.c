#include "sql/catalog/table_format.h"

#include "base/buf.h"
#include "sql/codec/table_keys.h"

static db_err make_layout(struct arena *arena, const struct table_def *def, struct table_format *f)
{
    struct row_column *cols = ARENA_ARRAY(arena, struct row_column, def->column_count);
    if (cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < def->column_count; i++) {
        const struct column_def *c = &def->columns[i];
        cols[i].id = c->id;
        cols[i].type = c->type;
        cols[i].dropped = c->generated == GENERATED_VIRTUAL;
        if (c->has_absent) {
            cols[i].absent = c->absent;
        } else {
            value_set_null(&cols[i].absent, &c->type);
        }
    }
    return row_layout_new(arena, cols, def->column_count, &f->layout);
}

static db_err key_columns(struct arena *arena, const struct table_def *def,
                          const struct index_def *ix, struct key_column **ret_columns,
                          uint32_t **ret_positions)
{
    struct key_column *k = ARENA_ARRAY(arena, struct key_column, ix->part_count);
    uint32_t *positions = ARENA_ARRAY(arena, uint32_t, ix->part_count);
    if (k == NULL || positions == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < ix->part_count; i++) {
        const struct index_part *p = &ix->parts[i];
        const struct column_def *c = &def->columns[p->column];
        bool nullable = (c->type.flags & TYPE_F_NOT_NULL) == 0;
        TRY(key_column_init(&k[i], column_key_type(c), p->prefix_len, p->descending, nullable));
        positions[i] = p->column;
    }
    *ret_columns = k;
    *ret_positions = positions;
    return ERR_OK;
}

static db_err make_index(struct arena *arena, const struct table_def *def, uint32_t i,
                         struct table_format *f)
{
    const struct index_def *ix = &def->indexes[i];
    struct index_format *out = &f->indexes[i];
    struct key_column *columns;
    uint32_t *positions;
    TRY(key_columns(arena, def, ix, &columns, &positions));
    out->table_id = def->id;
    out->index_id = ix->id;
    out->unique = ix->kind == INDEX_PRIMARY || ix->kind == INDEX_UNIQUE || i == 0;
    out->column_count = ix->part_count;
    out->columns = columns;
    out->positions = positions;
    out->pk_count = f->indexes[0].column_count;
    out->pk_columns = f->indexes[0].columns;
    out->pk_positions = f->indexes[0].positions;
    struct buf prefix;
    buf_init(&prefix, 64);
    db_err err = index_key_prefix(&prefix, def->id, ix->id);
    if (err == ERR_OK) {
        err = arena_copy(arena, buf_slice(&prefix), &f->index_prefixes[i]);
    }
    buf_fini(&prefix);
    return err;
}

db_err table_format_new(struct arena *arena, const struct table_def *def,
                        const struct table_format **ret_format)
{
    struct table_format *f = ARENA_NEW(arena, struct table_format);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    f->index_count = def->index_count;
    f->indexes = ARENA_ARRAY(arena, struct index_format, def->index_count);
    f->index_prefixes = ARENA_ARRAY(arena, struct slice, def->index_count);
    if (f->indexes == NULL || f->index_prefixes == NULL) {
        return ERR_NOMEM;
    }
    TRY(make_layout(arena, def, f));
    for (uint32_t i = 0; i < def->index_count; i++) {
        TRY(make_index(arena, def, i, f));
    }
    f->row_prefix = f->index_prefixes[0];
    *ret_format = f;
    return ERR_OK;
}

bool table_has_generated_primary(const struct table_def *t)
{
    if (!t->has_primary || !slice_eq_nocase(t->engine, SLICE_LIT("InnoDB"))) {
        return false;
    }
    const struct index_def *ix = &t->indexes[0];
    const struct column_def *c = &t->columns[0];
    return ix->part_count == 1 && ix->parts[0].column == 0 && c->invisible && c->auto_increment &&
           c->type.id == TYPE_BIGINT && type_is_unsigned(&c->type) &&
           slice_eq_nocase(c->name, SLICE_LIT("my_row_id"));
}
