#include "sql/exec/packed_row.h"

#include "base/hash.h"
#include "sql/types/compare.h"
#include "sql/types/json.h"

struct string_slot {
    uint32_t at, len;
};

static size_t round8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

db_err packed_format_init(struct packed_format *f, const struct sql_type *const *types,
                          uint32_t count, struct arena *arena)
{
    struct packed_column *columns = ARENA_ARRAY(arena, struct packed_column, count + 1);
    if (columns == NULL) {
        return ERR_LIMIT;
    }
    size_t at = round8(sizeof(struct packed_row) + (count + 7) / 8);
    *f = (struct packed_format){.column_count = count, .columns = columns};
    for (uint32_t i = 0; i < count; i++) {
        struct packed_column *c = &columns[i];
        c->type = types[i];
        c->phys = (uint8_t)type_phys(types[i]);
        c->is_unsigned =
            type_is_unsigned(types[i]) || types[i]->id == TYPE_BIT || types[i]->id == TYPE_SET;
        c->at = (uint32_t)at;
        if (c->phys == PHYS_STR) {
            const struct collation *coll =
                type_is_string(types[i]) ? collation_by_id(types[i]->collation) : NULL;
            bool bytes = coll == NULL || coll->ops == NULL || collation_is_binary(coll);
            c->collation = types[i]->id == TYPE_JSON ? &json_collation : bytes ? NULL : coll;
            f->has_strings = true;
        }
        at += c->phys == PHYS_DECIMAL ? sizeof(struct decimal) : 8;
    }
    f->fixed_size = (uint32_t)at;
    return ERR_OK;
}

size_t packed_size(const struct packed_format *f, struct vector *const *vectors, uint32_t row)
{
    size_t size = f->fixed_size;
    for (uint32_t i = 0; f->has_strings && i < f->column_count; i++) {
        if (f->columns[i].phys == PHYS_STR && !vec_is_null(vectors[i], row)) {
            size += vec_strs(vectors[i])[vec_at(vectors[i], row)].len;
        }
    }
    return round8(size);
}

void packed_write(const struct packed_format *f, struct vector *const *vectors, uint32_t row,
                  size_t size, struct packed_row *out)
{
    uint8_t *base = (uint8_t *)out;
    uint8_t *nulls = base + sizeof(*out);
    uint32_t tail = f->fixed_size;
    *out = (struct packed_row){.size = (uint32_t)size};
    memset(nulls, 0, (f->column_count + 7) / 8);
    for (uint32_t i = 0; i < f->column_count; i++) {
        const struct packed_column *c = &f->columns[i];
        const struct vector *v = vectors[i];
        ASSERT_SLOW(v->phys == c->phys);
        if (vec_is_null(v, row)) {
            nulls[i >> 3] |= (uint8_t)(1u << (i & 7));
            memset(base + c->at, 0, c->phys == PHYS_DECIMAL ? sizeof(struct decimal) : 8);
        } else if (c->phys == PHYS_STR) {
            struct slice s = vec_str(v, row);
            struct string_slot slot = {tail, (uint32_t)s.len};
            memcpy(base + c->at, &slot, sizeof(slot));
            if (s.len != 0) {
                memcpy(base + tail, s.ptr, s.len);
            }
            tail += (uint32_t)s.len;
        } else {
            size_t width = phys_size_table[c->phys];
            memcpy(base + c->at, (const uint8_t *)v->data + vec_at(v, row) * width, width);
        }
    }
    memset(base + tail, 0, size - tail); /* what goes to files is never uninitialised */
}

static struct slice string_of(const struct packed_column *c, const struct packed_row *r)
{
    struct string_slot slot;
    memcpy(&slot, (const uint8_t *)r + c->at, sizeof(slot));
    return slice_of((const uint8_t *)r + slot.at, slot.len);
}

struct slice packed_str(const struct packed_format *f, const struct packed_row *r, uint32_t column)
{
    return string_of(&f->columns[column], r);
}

void packed_read(const struct packed_format *f, const struct packed_row *const *rows, uint32_t n,
                 uint32_t column, struct vector *dst, uint32_t at)
{
    const struct packed_column *c = &f->columns[column];
    size_t width = phys_size_table[c->phys];
    ASSERT_SLOW(dst->phys == c->phys);
    for (uint32_t i = 0; i < n; i++) {
        const struct packed_row *r = rows[i];
        if (r == NULL || packed_is_null(r, column)) {
            vec_set_null(dst, at + i);
        } else if (c->phys == PHYS_STR) {
            vec_set_str_ref(dst, at + i, string_of(c, r));
        } else if (width == 8) {
            memcpy((int64_t *)dst->data + at + i, (const uint8_t *)r + c->at, 8);
        } else {
            memcpy((uint8_t *)dst->data + (at + i) * width, (const uint8_t *)r + c->at, width);
        }
    }
}

static int compare_slots(const struct packed_column *c, const uint8_t *a, const uint8_t *b)
{
    if (c->phys == PHYS_DECIMAL) {
        return decimal_cmp((const struct decimal *)(const void *)a,
                           (const struct decimal *)(const void *)b);
    }
    if (c->phys == PHYS_DOUBLE) {
        double x;
        double y;
        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        return compare_doubles(x, y);
    }
    int64_t x;
    int64_t y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    if (c->is_unsigned) {
        return ((uint64_t)x > (uint64_t)y) - ((uint64_t)x < (uint64_t)y);
    }
    return (x > y) - (x < y);
}

static int compare_strings(const struct packed_column *c, struct slice a, struct slice b)
{
    return c->collation == NULL ? slice_cmp(a, b) : collation_compare(c->collation, a, b);
}

int packed_compare(const struct packed_format *f, uint32_t column, const struct packed_row *a,
                   const struct packed_row *b)
{
    const struct packed_column *c = &f->columns[column];
    bool a_null = packed_is_null(a, column);
    bool b_null = packed_is_null(b, column);
    if (a_null || b_null) {
        return (int)b_null - (int)a_null;
    }
    if (c->phys == PHYS_STR) {
        return compare_strings(c, string_of(c, a), string_of(c, b));
    }
    return compare_slots(c, (const uint8_t *)a + c->at, (const uint8_t *)b + c->at);
}

int packed_compare_vector(const struct packed_format *f, uint32_t column, const struct vector *a,
                          uint32_t row, const struct packed_row *b)
{
    const struct packed_column *c = &f->columns[column];
    bool a_null = vec_is_null(a, row);
    bool b_null = packed_is_null(b, column);
    if (a_null || b_null) {
        return (int)b_null - (int)a_null;
    }
    if (c->phys == PHYS_STR) {
        return compare_strings(c, vec_str(a, row), string_of(c, b));
    }
    return compare_slots(c, (const uint8_t *)a->data + vec_at(a, row) * phys_size_table[c->phys],
                         (const uint8_t *)b + c->at);
}

bool packed_equal_vectors(const struct packed_format *f, uint32_t count,
                          struct vector *const *vectors, uint32_t row, const struct packed_row *b)
{
    for (uint32_t i = 0; i < count; i++) {
        if (packed_compare_vector(f, i, vectors[i], row, b) != 0) {
            return false;
        }
    }
    return true;
}

static uint64_t hash_one(const struct packed_column *c, const struct vector *v, uint32_t row,
                         uint64_t seed)
{
    enum { NULL_HASH = 0x6e756c6c };
    if (vec_is_null(v, row)) {
        return hash_combine(seed, NULL_HASH);
    }
    switch ((enum phys_kind)c->phys) {
    case PHYS_INT:
    case PHYS_TIME: return hash_combine(seed, vec_u64(v, row));
    case PHYS_DOUBLE: {
        double d = vec_double(v, row);
        uint64_t bits = 0;
        if (d != 0) { /* 0 and -0 are equal */
            memcpy(&bits, &d, sizeof(bits));
        }
        return hash_combine(seed, bits);
    }
    case PHYS_DECIMAL: return decimal_hash(vec_decimal(v, row), seed);
    case PHYS_STR: {
        struct slice s = vec_str(v, row);
        return c->collation == NULL ? hash_bytes(s, seed) : collation_hash(c->collation, s, seed);
    }
    case PHYS__COUNT: break;
    }
    return seed;
}

void packed_hash(const struct packed_format *f, uint32_t count, struct vector *const *vectors,
                 const uint16_t *sel, uint32_t n, uint64_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        out[i] = 0;
    }
    for (uint32_t k = 0; k < count; k++) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t row = sel == NULL ? i : sel[i];
            out[i] = hash_one(&f->columns[k], vectors[k], row, out[i]);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        out[i] = hash_u64(out[i]); /* partitions take the high bits, buckets the low ones */
    }
}
