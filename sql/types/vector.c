#include "sql/types/vector.h"

#include "sql/charset/charset.h"

const uint8_t phys_size_table[PHYS__COUNT] = {
    [PHYS_INT] = sizeof(int64_t),
    [PHYS_DOUBLE] = sizeof(double),
    [PHYS_DECIMAL] = sizeof(struct decimal),
    [PHYS_TIME] = sizeof(int64_t),
    [PHYS_STR] = sizeof(struct strv),
};

static db_err init(struct vector *v, const struct sql_type *type, struct arena *arena,
                   uint32_t capacity)
{
    enum phys_kind phys = type_phys(type);
    void *data = arena_alloc(arena, (size_t)capacity * phys_size_table[phys]);
    if (data == NULL) {
        return ERR_NOMEM;
    }
    /* What lies in rows that nobody set must be readable: a stray string view would have a wild
     * pointer, a decimal a wild length. */
    if (phys == PHYS_STR || phys == PHYS_DECIMAL) {
        memset(data, 0, (size_t)capacity * phys_size_table[phys]);
    }
    memset(v, 0, sizeof(*v));
    v->type = type;
    v->data = data;
    v->arena = arena;
    v->index_mask = UINT32_MAX;
    v->capacity = (uint16_t)capacity;
    v->phys = (uint8_t)phys;
    return ERR_OK;
}

db_err vector_init(struct vector *v, const struct sql_type *type, struct arena *arena)
{
    return init(v, type, arena, CHUNK_ROWS);
}

db_err vector_init_rows(struct vector *v, const struct sql_type *type, uint32_t rows,
                        struct arena *arena)
{
    ASSERT(rows > 0 && rows <= CHUNK_ROWS);
    return init(v, type, arena, rows);
}

db_err vector_init_const(struct vector *v, const struct sql_type *type, const struct value *value,
                         struct arena *arena)
{
    struct vector made;
    TRY(init(&made, type, arena, 1));
    TRY(vector_set(&made, 0, value));
    made.index_mask = 0;
    *v = made;
    return ERR_OK;
}

void vector_get(const struct vector *v, uint32_t row, struct value *ret)
{
    value_tag(ret, v->type);
    if (vec_is_null(v, row)) {
        ret->is_null = true;
        ret->i = 0;
        return;
    }
    switch ((enum phys_kind)v->phys) {
    case PHYS_INT:
    case PHYS_TIME: ret->i = vec_i64(v, row); break;
    case PHYS_DOUBLE: ret->d = vec_double(v, row); break;
    case PHYS_DECIMAL: ret->dec = *vec_decimal(v, row); break;
    case PHYS_STR: ret->str = vec_str(v, row); break;
    case PHYS__COUNT: break;
    }
}

db_err vector_set(struct vector *v, uint32_t row, const struct value *value)
{
    if (value->is_null) {
        vec_set_null(v, row);
        return ERR_OK;
    }
    ASSERT(value->phys == v->phys);
    switch ((enum phys_kind)v->phys) {
    case PHYS_INT:
    case PHYS_TIME: vec_set_i64(v, row, value->i); break;
    case PHYS_DOUBLE: vec_set_double(v, row, value->d); break;
    case PHYS_DECIMAL: vec_set_decimal(v, row, &value->dec); break;
    case PHYS_STR: return vec_set_str(v, row, value->str);
    case PHYS__COUNT: break;
    }
    return ERR_OK;
}

static db_err gather_strings(struct vector *dst, uint32_t dst_row, const struct vector *src,
                             const uint16_t *rows, uint32_t count)
{
    struct strv *out = vec_strs(dst) + dst_row;
    const struct strv *in = vec_strs(src);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows == NULL ? i : rows[i];
        const struct strv *s = &in[row & src->index_mask];
        if (strv_is_inline(s) || vec_is_null(src, row)) {
            out[i] = *s;
        } else {
            struct slice copy;
            TRY(arena_copy(dst->arena, strv_slice(s), &copy));
            strv_set(&out[i], copy.ptr, copy.len);
        }
    }
    return ERR_OK;
}

db_err vector_gather(struct vector *dst, uint32_t dst_row, const struct vector *src,
                     const uint16_t *src_rows, uint32_t count)
{
    ASSERT(dst->phys == src->phys && dst_row + count <= dst->capacity);
    if (src->has_nulls) {
        for (uint32_t i = 0; i < count; i++) {
            if (vec_is_null(src, src_rows == NULL ? i : src_rows[i])) {
                vec_set_null(dst, dst_row + i);
            }
        }
    }
    switch ((enum phys_kind)dst->phys) {
    case PHYS_INT:
    case PHYS_TIME:
    case PHYS_DOUBLE: {
        int64_t *out = vec_i64s(dst) + dst_row;
        const int64_t *in = vec_i64s(src);
        if (src_rows == NULL && !vec_is_const(src)) {
            memcpy(out, in, count * sizeof(*out));
        } else {
            for (uint32_t i = 0; i < count; i++) {
                out[i] = in[(src_rows == NULL ? i : src_rows[i]) & src->index_mask];
            }
        }
        break;
    }
    case PHYS_DECIMAL:
        for (uint32_t i = 0; i < count; i++) {
            vec_decimals(dst)[dst_row + i] = *vec_decimal(src, src_rows == NULL ? i : src_rows[i]);
        }
        break;
    case PHYS_STR: return gather_strings(dst, dst_row, src, src_rows, count);
    case PHYS__COUNT: break;
    }
    return ERR_OK;
}

db_err chunk_init(struct chunk *c, const struct sql_type *const *types, uint32_t column_count,
                  struct arena *arena)
{
    return chunk_init_rows(c, types, column_count, CHUNK_ROWS, arena);
}

db_err chunk_init_rows(struct chunk *c, const struct sql_type *const *types, uint32_t column_count,
                       uint32_t rows, struct arena *arena)
{
    struct vector *columns = arena_calloc(arena, column_count, sizeof(*columns));
    if (columns == NULL && column_count != 0) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < column_count; i++) {
        TRY(vector_init_rows(&columns[i], types[i], rows, arena));
    }
    *c = (struct chunk){.column_count = column_count, .columns = columns};
    return ERR_OK;
}
