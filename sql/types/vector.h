/* Typed columns of up to CHUNK_ROWS values, and chunks of them: what operators and functions work
 * on.
 *
 * Data is an array by physical kind. NULLs are bits in 64-bit words (1 = NULL). A constant vector
 * holds one value in row 0; its index mask is 0, so that vec_i64(v, row) is right for both without
 * a branch. What lies in a NULL row is unspecified but readable. Strings are 16-byte views: up to
 * 12 bytes inline, else a 4-byte prefix and a pointer; the bytes belong to the vector's arena or to
 * whatever the producer says outlives the chunk. */
#ifndef SKEIN_SQL_TYPES_VECTOR_H
#define SKEIN_SQL_TYPES_VECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/slice.h"
#include "sql/types/decimal.h"
#include "sql/types/type.h"
#include "sql/types/value.h"

enum { CHUNK_ROWS = 1024, CHUNK_NULL_WORDS = CHUNK_ROWS / 64 };
enum { STRV_INLINE_MAX = 12 };

struct strv {
    uint32_t len;
    union {
        uint8_t bytes[STRV_INLINE_MAX]; /* len <= 12; the rest is zero */
        struct {
            uint8_t prefix[4];
            const uint8_t *ptr;
        } __attribute__((packed)) far;
    };
};
_Static_assert(sizeof(struct strv) == 16, "string views are 16 bytes");

static inline bool strv_is_inline(const struct strv *s)
{
    return s->len <= STRV_INLINE_MAX;
}
/* For an inline string the pointer is into *s: valid while the view stays where it is. */
static inline const uint8_t *strv_ptr(const struct strv *s)
{
    return strv_is_inline(s) ? s->bytes : s->far.ptr;
}
static inline struct slice strv_slice(const struct strv *s)
{
    return (struct slice){strv_ptr(s), s->len};
}
/* Borrows bytes longer than 12. len must be below 4 GiB. */
static inline void strv_set(struct strv *s, const void *ptr, size_t len)
{
    s->len = (uint32_t)len;
    if (len <= STRV_INLINE_MAX) {
        memset(s->bytes, 0, sizeof(s->bytes));
        if (len != 0) {
            memcpy(s->bytes, ptr, len);
        }
    } else {
        memcpy(s->far.prefix, ptr, 4);
        s->far.ptr = (const uint8_t *)ptr;
    }
}
/* Bytewise equality; mostly decided by the first 8 bytes. */
static inline bool strv_eq(const struct strv *a, const struct strv *b)
{
    uint64_t x;
    uint64_t y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    if (x != y) {
        return false;
    }
    if (a->len <= STRV_INLINE_MAX) {
        memcpy(&x, a->bytes + 4, 8);
        memcpy(&y, b->bytes + 4, 8);
        return x == y;
    }
    return memcmp(a->far.ptr, b->far.ptr, a->len) == 0;
}

struct vector {
    const struct sql_type *type; /* outlives the vector */
    void *data;                  /* int64_t, double, struct decimal or struct strv [capacity] */
    struct arena *arena;         /* bytes of strings; may be NULL for other kinds */
    uint32_t index_mask;         /* 0: constant; UINT32_MAX: one value per row */
    uint16_t capacity;
    uint8_t phys;   /* enum phys_kind */
    bool has_nulls; /* false: no bit of `nulls` is set */
    uint64_t nulls[CHUNK_NULL_WORDS];
};

extern const uint8_t phys_size_table[PHYS__COUNT]; /* bytes per value */

/* Allocates data for CHUNK_ROWS values from the arena (constant: for one); no value is NULL.
 * ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err vector_init(struct vector *v, const struct sql_type *type, struct arena *arena);
/* The same with room for `rows` values (1..CHUNK_ROWS) only. */
MUST_USE db_err vector_init_rows(struct vector *v, const struct sql_type *type, uint32_t rows,
                                 struct arena *arena);
MUST_USE db_err vector_init_const(struct vector *v, const struct sql_type *type,
                                  const struct value *value, struct arena *arena);
/* For the next batch: no NULLs, not constant. The arena is its owner's to reset. */
static inline void vector_reset(struct vector *v)
{
    if (v->has_nulls) {
        memset(v->nulls, 0, sizeof(v->nulls));
        v->has_nulls = false;
    }
    v->index_mask = UINT32_MAX;
}
/* *dst shows the same values as src (shares data and arena). */
static inline void vector_ref(struct vector *dst, const struct vector *src)
{
    *dst = *src;
}

static inline bool vec_is_const(const struct vector *v)
{
    return v->index_mask == 0;
}
static inline uint32_t vec_at(const struct vector *v, uint32_t row)
{
    return row & v->index_mask;
}
static inline bool vec_is_null(const struct vector *v, uint32_t row)
{
    uint32_t i = row & v->index_mask;
    return v->has_nulls && (v->nulls[i >> 6] >> (i & 63) & 1) != 0;
}
static inline void vec_set_null(struct vector *v, uint32_t row)
{
    v->nulls[row >> 6] |= 1ull << (row & 63);
    v->has_nulls = true;
}
static inline void vec_set_all_null(struct vector *v)
{
    memset(v->nulls, 0xff, sizeof(v->nulls));
    v->has_nulls = true;
}
static inline int64_t *vec_i64s(const struct vector *v)
{
    return (int64_t *)v->data;
}
static inline double *vec_doubles(const struct vector *v)
{
    return (double *)v->data;
}
static inline struct decimal *vec_decimals(const struct vector *v)
{
    return (struct decimal *)v->data;
}
static inline struct strv *vec_strs(const struct vector *v)
{
    return (struct strv *)v->data;
}
/* PHYS_INT and PHYS_TIME. */
static inline int64_t vec_i64(const struct vector *v, uint32_t row)
{
    return ((const int64_t *)v->data)[row & v->index_mask];
}
static inline uint64_t vec_u64(const struct vector *v, uint32_t row)
{
    return (uint64_t)vec_i64(v, row);
}
static inline double vec_double(const struct vector *v, uint32_t row)
{
    return ((const double *)v->data)[row & v->index_mask];
}
static inline const struct decimal *vec_decimal(const struct vector *v, uint32_t row)
{
    return &((const struct decimal *)v->data)[row & v->index_mask];
}
static inline struct slice vec_str(const struct vector *v, uint32_t row)
{
    return strv_slice(&((const struct strv *)v->data)[row & v->index_mask]);
}
static inline void vec_set_i64(struct vector *v, uint32_t row, int64_t x)
{
    ((int64_t *)v->data)[row] = x;
}
static inline void vec_set_double(struct vector *v, uint32_t row, double x)
{
    ((double *)v->data)[row] = x;
}
static inline void vec_set_decimal(struct vector *v, uint32_t row, const struct decimal *x)
{
    ((struct decimal *)v->data)[row] = *x;
}
/* Borrows. */
static inline void vec_set_str_ref(struct vector *v, uint32_t row, struct slice s)
{
    strv_set(&((struct strv *)v->data)[row], s.ptr, s.len);
}
/* Copies what does not fit inline into the arena. */
MUST_USE static inline db_err vec_set_str(struct vector *v, uint32_t row, struct slice s)
{
    if (s.len > STRV_INLINE_MAX) {
        TRY(arena_copy(v->arena, s, &s));
    }
    strv_set(&((struct strv *)v->data)[row], s.ptr, s.len);
    return ERR_OK;
}

/* One row as a scalar and back. get borrows strings (inline ones from the vector itself); set
 * copies them. The value given to set must have the vector's physical kind, or be NULL. */
void vector_get(const struct vector *v, uint32_t row, struct value *ret);
MUST_USE db_err vector_set(struct vector *v, uint32_t row, const struct value *value);
/* Copies `count` rows src[src_rows[i]] (NULL: src[i]) to dst rows from dst_row. Strings are copied
 * into dst's arena. */
MUST_USE db_err vector_gather(struct vector *dst, uint32_t dst_row, const struct vector *src,
                              const uint16_t *src_rows, uint32_t count);

/* A batch. Logical row i (0 <= i < count) is physical row sel[i], or i when sel is NULL. Vectors
 * are indexed by physical row. */
struct chunk {
    uint32_t count; /* logical rows */
    uint32_t column_count;
    struct vector *columns;
    const uint16_t *sel; /* ascending physical rows, or NULL */
};

static inline uint32_t chunk_row(const struct chunk *c, uint32_t i)
{
    return c->sel == NULL ? i : c->sel[i];
}
/* column_count vectors from the arena; strings go to the same arena. */
MUST_USE db_err chunk_init(struct chunk *c, const struct sql_type *const *types,
                           uint32_t column_count, struct arena *arena);
/* The same with room for `rows` rows (1..CHUNK_ROWS) only. */
MUST_USE db_err chunk_init_rows(struct chunk *c, const struct sql_type *const *types,
                                uint32_t column_count, uint32_t rows, struct arena *arena);
static inline void chunk_reset(struct chunk *c)
{
    c->count = 0;
    c->sel = NULL;
    for (uint32_t i = 0; i < c->column_count; i++) {
        vector_reset(&c->columns[i]);
    }
}

#endif
