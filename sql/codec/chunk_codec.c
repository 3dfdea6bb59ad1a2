#include "sql/codec/chunk_codec.h"

/* Nothing that comes in is trusted: counts are checked against the bytes that are there before
 * anything is written. */

enum { COLUMN_NULLS = 1, COLUMN_CONST = 2, COLUMN_FLAGS = 3 };
enum { DECIMAL_HEAD = 3 };

/* ---- out ---- */

static db_err put_u32(struct buf *b, uint32_t v)
{
    return buf_append(b, &v, sizeof(v));
}

static db_err put_nulls(const struct vector *v, const uint16_t *sel, uint32_t rows, struct buf *b)
{
    uint64_t words[CHUNK_NULL_WORDS] = {0};
    for (uint32_t i = 0; i < rows; i++) {
        if (vec_is_null(v, sel == NULL ? i : sel[i])) {
            words[i >> 6] |= 1ull << (i & 63);
        }
    }
    return buf_append(b, words, (rows + 63) / 64 * sizeof(words[0]));
}

static db_err put_words(const struct vector *v, const uint16_t *sel, uint32_t rows, struct buf *b)
{
    const uint64_t *in = v->data;
    if (sel == NULL && !v->has_nulls) {
        return buf_append(b, in, rows * sizeof(*in));
    }
    TRY(buf_reserve(b, rows * sizeof(*in)));
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row = sel == NULL ? i : sel[i];
        uint64_t w = vec_is_null(v, row) ? 0 : in[vec_at(v, row)];
        memcpy(b->ptr + b->len + i * sizeof(w), &w, sizeof(w));
    }
    b->len += rows * sizeof(*in);
    return ERR_OK;
}

static db_err put_decimals(const struct vector *v, const uint16_t *sel, uint32_t rows,
                           struct buf *b)
{
    static const struct decimal zero;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row = sel == NULL ? i : sel[i];
        const struct decimal *d = vec_is_null(v, row) ? &zero : vec_decimal(v, row);
        const uint8_t head[DECIMAL_HEAD] = {d->used, d->scale, d->neg};
        TRY(buf_append(b, head, sizeof(head)));
        TRY(buf_append(b, d->limb, d->used * sizeof(d->limb[0])));
    }
    return ERR_OK;
}

static db_err put_texts(const struct vector *v, const uint16_t *sel, uint32_t rows, struct buf *b)
{
    size_t at = b->len;
    TRY(buf_reserve(b, rows * sizeof(uint32_t)));
    b->len += rows * sizeof(uint32_t);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row = sel == NULL ? i : sel[i];
        struct slice s = vec_is_null(v, row) ? SLICE_EMPTY : vec_str(v, row);
        uint32_t len = (uint32_t)s.len;
        memcpy(b->ptr + at + i * sizeof(len), &len, sizeof(len));
        TRY(buf_append_slice(b, s));
    }
    return ERR_OK;
}

static db_err put_column(const struct vector *v, const uint16_t *sel, uint32_t rows, struct buf *b)
{
    bool constant = vec_is_const(v);
    uint8_t flags = (uint8_t)((v->has_nulls ? COLUMN_NULLS : 0) | (constant ? COLUMN_CONST : 0));
    TRY(buf_append_u8(b, v->phys));
    TRY(buf_append_u8(b, flags));
    if (constant) {
        sel = NULL;
        rows = 1;
    }
    if (v->has_nulls) {
        TRY(put_nulls(v, sel, rows, b));
    }
    switch ((int)v->phys) {
    case PHYS_DECIMAL: return put_decimals(v, sel, rows, b);
    case PHYS_STR: return put_texts(v, sel, rows, b);
    default: return put_words(v, sel, rows, b);
    }
}

db_err chunk_encode(const struct chunk *c, struct buf *out)
{
    ASSERT(c->count <= CHUNK_ROWS && c->column_count <= UINT16_MAX);
    uint16_t columns = (uint16_t)c->column_count;
    TRY(put_u32(out, c->count));
    TRY(buf_append(out, &columns, sizeof(columns)));
    for (uint32_t i = 0; i < c->column_count; i++) {
        TRY(put_column(&c->columns[i], c->sel, c->count, out));
    }
    return ERR_OK;
}

/* ---- in ---- */

static const uint8_t *take(struct slice *io, size_t n)
{
    if (io->len < n) {
        return NULL;
    }
    const uint8_t *p = io->ptr;
    *io = slice_from(*io, n);
    return p;
}

static db_err take_decimals(struct slice *io, uint32_t rows, struct vector *v)
{
    for (uint32_t i = 0; i < rows; i++) {
        const uint8_t *head = take(io, DECIMAL_HEAD);
        if (head == NULL || head[0] > DECIMAL_LIMBS || head[1] > DECIMAL_DIGITS_MAX ||
            head[2] > 1) {
            return ERR_CORRUPT;
        }
        struct decimal d = {.used = head[0], .scale = head[1], .neg = head[2] != 0};
        const uint8_t *limbs = take(io, d.used * sizeof(d.limb[0]));
        if (limbs == NULL) {
            return ERR_CORRUPT;
        }
        memcpy(d.limb, limbs, d.used * sizeof(d.limb[0]));
        vec_set_decimal(v, i, &d);
    }
    return ERR_OK;
}

static db_err take_texts(struct slice *io, uint32_t rows, struct vector *v)
{
    const uint8_t *lengths = take(io, rows * sizeof(uint32_t));
    if (lengths == NULL) {
        return ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t len;
        memcpy(&len, lengths + i * sizeof(len), sizeof(len));
        const uint8_t *p = take(io, len);
        if (p == NULL) {
            return ERR_CORRUPT;
        }
        vec_set_str_ref(v, i, slice_of(p, len));
    }
    return ERR_OK;
}

static db_err take_column(struct slice *io, uint32_t rows, struct vector *v)
{
    const uint8_t *head = take(io, 2);
    if (head == NULL || head[0] != v->phys || (head[1] & ~COLUMN_FLAGS) != 0) {
        return ERR_CORRUPT;
    }
    uint32_t n = (head[1] & COLUMN_CONST) != 0 ? 1 : rows;
    if ((head[1] & COLUMN_NULLS) != 0) {
        size_t size = (n + 63) / 64 * sizeof(v->nulls[0]);
        const uint8_t *words = take(io, size);
        if (words == NULL) {
            return ERR_CORRUPT;
        }
        memcpy(v->nulls, words, size);
        v->has_nulls = true;
    }
    v->index_mask = (head[1] & COLUMN_CONST) != 0 ? 0 : UINT32_MAX;
    if (v->phys == PHYS_DECIMAL) {
        return take_decimals(io, n, v);
    }
    if (v->phys == PHYS_STR) {
        return take_texts(io, n, v);
    }
    const uint8_t *words = take(io, n * sizeof(uint64_t));
    if (words == NULL) {
        return ERR_CORRUPT;
    }
    memcpy(v->data, words, n * sizeof(uint64_t));
    return ERR_OK;
}

db_err chunk_decode(struct slice *io, struct chunk *out)
{
    struct slice in = *io;
    const uint8_t *head = take(&in, sizeof(uint32_t) + sizeof(uint16_t));
    uint32_t rows;
    uint16_t columns;
    if (head == NULL) {
        return ERR_CORRUPT;
    }
    memcpy(&rows, head, sizeof(rows));
    memcpy(&columns, head + sizeof(rows), sizeof(columns));
    if (rows > CHUNK_ROWS || columns != out->column_count) {
        return ERR_CORRUPT;
    }
    chunk_reset(out);
    for (uint32_t i = 0; i < columns; i++) {
        TRY(take_column(&in, rows, &out->columns[i]));
    }
    out->count = rows;
    *io = in;
    return ERR_OK;
}
