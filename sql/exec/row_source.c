/* From keys and values of the storage to columns of a chunk. */
#include "base/buf.h"
#include "sql/exec/keys.h"
#include "sql/exec/row_rules.h"

static uint32_t output_of(const struct scan_spec *s, uint32_t ordinal)
{
    for (uint32_t i = 0; i < s->column_count; i++) {
        if (s->columns[i] == ordinal) {
            return i;
        }
    }
    return UINT32_MAX;
}

static uint32_t *outputs(struct exec_ctx *ctx, const struct scan_spec *s,
                         const struct key_column *columns, const uint32_t *positions,
                         uint32_t count)
{
    uint32_t *out = ARENA_ARRAY(ctx->arena, uint32_t, count + 1);
    for (uint32_t i = 0; out != NULL && i < count; i++) {
        out[i] = key_column_reversible(&columns[i]) ? output_of(s, positions[i]) : UINT32_MAX;
    }
    return out;
}

db_err exec__source_init(struct exec_ctx *ctx, const struct scan_spec *s, struct chunk *out,
                         struct row_source *ret)
{
    *ret = (struct row_source){.spec = s, .format = s->table->format};
    ret->index_ordinal = (uint32_t)(s->index - s->table->indexes);
    ret->index = &ret->format->indexes[ret->index_ordinal];
    ret->vectors = ARENA_ARRAY(ctx->arena, struct vector *, s->column_count + 1);
    if (ret->vectors == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < s->column_count; i++) {
        ret->vectors[i] = &out->columns[i];
    }
    if (ret->index_ordinal != 0 && s->covering) {
        const struct index_format *f = ret->index;
        ret->part_out = outputs(ctx, s, f->columns, f->positions, f->column_count);
        ret->pk_out = outputs(ctx, s, f->pk_columns, f->pk_positions, f->pk_count);
        return ret->part_out == NULL || ret->pk_out == NULL ? ERR_LIMIT : ERR_OK;
    }
    ret->virtuals = ARENA_ARRAY(ctx->arena, struct expr_state *, s->virtual_count + 1);
    if (ret->virtuals == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < s->virtual_count; i++) {
        TRY(expr_prepare(ctx, s->virtuals[i].expr, &ret->virtuals[i]));
    }
    return row_reader_new(ctx->arena, ret->format->layout, s->columns, s->column_count,
                          &ret->reader);
}

/* The columns were read as NULL, which goes. */
static db_err compute(struct exec_ctx *ctx, struct row_source *s, uint32_t i,
                      const struct chunk *chunk)
{
    const struct scan_virtual *virt = &s->spec->virtuals[i];
    struct vector *to = s->vectors[virt->out];
    uint32_t ordinal = s->spec->columns[virt->out];
    struct vector *from;
    struct key_part part;
    key_part_begin(&part, ctx, s->spec->table, ordinal, 1);
    part.time_read = type_is_temporal(&s->spec->table->columns[ordinal].type);
    db_err err = expr_eval(ctx, s->virtuals[i], chunk, &from);
    vector_reset(to);
    to->arena = ctx->eval.arena;
    for (uint32_t row = 0; row < chunk->count && err == ERR_OK; row++) {
        struct value x;
        struct value v;
        vector_get(from, row, &x);
        err = row_virtual_value(ctx, s->spec->table, ordinal, virt->expr, &x, ctx->eval.arena, &v);
        err = err != ERR_OK ? err : vector_set(to, row, &v);
    }
    return key_part_end(&part, ctx, err);
}

db_err exec__source_compute(struct exec_ctx *ctx, struct row_source *s, const struct chunk *chunk)
{
    for (uint32_t i = 0; chunk->count != 0 && s->virtuals != NULL && i < s->spec->virtual_count;
         i++) {
        TRY(compute(ctx, s, i, chunk));
    }
    return ERR_OK;
}

db_err exec__source_row(struct row_source *s, struct slice stored, uint32_t at)
{
    return row_read(s->reader, stored, s->vectors, at, false);
}

static db_err read_parts(struct row_source *s, const struct key_column *columns,
                         const uint32_t *out, uint32_t count, struct slice bytes, uint32_t at)
{
    for (uint32_t i = 0; i < count; i++) {
        if (out[i] == UINT32_MAX) {
            TRY(key_skip(&columns[i], &bytes));
        } else {
            TRY(key_decode_row(&columns[i], &bytes, s->vectors[out[i]], at));
        }
    }
    return ERR_OK;
}

db_err exec__source_entry(struct exec_ctx *ctx, struct row_source *s, struct slice key,
                          struct slice value, uint32_t at)
{
    struct index_entry entry;
    for (uint32_t i = 0; at == 0 && i < s->spec->column_count; i++) {
        s->vectors[i]->arena = ctx->eval.arena;
    }
    TRY(index_entry_parse(s->index, key, value, &entry));
    TRY(read_parts(s, s->index->columns, s->part_out, s->index->column_count, entry.columns, at));
    return read_parts(s, s->index->pk_columns, s->pk_out, s->index->pk_count, entry.pk_bytes, at);
}

db_err exec__entry_row_key(const struct row_source *s, struct slice key, struct slice value,
                           struct arena *arena, struct slice *ret_key)
{
    struct index_entry entry;
    TRY(index_entry_parse(s->index, key, value, &entry));
    size_t prefix = s->format->row_prefix.len;
    uint8_t *p = arena_alloc(arena, prefix + entry.pk_bytes.len);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    memcpy(p, s->format->row_prefix.ptr, prefix);
    if (entry.pk_bytes.len != 0) {
        memcpy(p + prefix, entry.pk_bytes.ptr, entry.pk_bytes.len);
    }
    *ret_key = slice_of(p, prefix + entry.pk_bytes.len);
    return ERR_OK;
}
