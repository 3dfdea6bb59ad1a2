/* Rows as bytes.
 *
 *   byte 0      format version (1)
 *   byte 1      flags: bit 0 = offsets are 4 bytes wide, not 2
 *   varint      length of the id bitmap in bytes
 *   bitmap      bit (id - 1) set: the column is in this row
 *   nulls       a bit per column that is in the row, in order of id: 1 = NULL
 *   fixed       values of fixed width in order of id (NULL ones hold zeros), little endian
 *   ends        for each column of variable width, in order of id: where its bytes end
 *   bytes       of those columns, one after the other
 *
 * Every offset in the fixed part follows from the bitmap alone. So a reader turns a bitmap into a
 * plan (where each wanted column is) once, recognises rows with the same header by memcmp, and then
 * only loads. It keeps two plans: of the layout's current columns and of the last other bitmap met,
 * because rows of before an ALTER come in long runs. */
#include "sql/codec/row_codec.h"

#include <string.h>

#include "base/assert.h"
#include "sql/codec/table_keys.h"

enum { FLAG_WIDE = 1, HEADER_FIXED = 2, BITMAP_MAX = (ROW_COLUMN_ID_MAX + 7) / 8 };

/* How a value lies in the row. */
enum form {
    FORM_INT, /* `size` bytes, signed or not */
    FORM_FLOAT,
    FORM_DOUBLE,
    FORM_DECIMAL,
    FORM_DATE,    /* 3 bytes: year, month, day */
    FORM_SECONDS, /* DATETIME(0), TIMESTAMP(0): 5 bytes, without the fraction */
    FORM_TIME_S,  /* TIME(0): 4 bytes of seconds */
    FORM_TIME,    /* 8 bytes */
    FORM_VAR,
};

struct column_form {
    uint8_t form; /* enum form */
    uint8_t size; /* 0 for FORM_VAR */
};

/* Where a column is in rows of one bitmap. */
struct place {
    uint32_t offset;   /* fixed: from the fixed part's begin; variable: which one it is */
    uint32_t null_bit; /* UINT32_MAX: not in the row */
    uint8_t form;
    uint8_t size;
    bool is_unsigned;
};

struct row_layout {
    uint32_t count;
    struct row_column *columns; /* by position */
    struct column_form *forms;  /* by position */
    uint32_t *by_id;            /* positions in order of column id */
    /* Of new rows: */
    uint8_t *header; /* version .. bitmap, flags 0 */
    uint32_t header_size;
    uint32_t live_count;
    uint32_t *live;       /* positions of columns that are not dropped, in order of id */
    struct place *places; /* by position */
    uint32_t null_bytes;
    uint32_t fixed_size;
    uint32_t var_count;
};

static struct column_form form_of(const struct sql_type *t)
{
    switch ((enum type_id)t->id) {
    case TYPE_TINYINT: return (struct column_form){FORM_INT, 1};
    case TYPE_SMALLINT:
    case TYPE_YEAR:
    case TYPE_ENUM: return (struct column_form){FORM_INT, 2};
    case TYPE_MEDIUMINT: return (struct column_form){FORM_INT, 3};
    case TYPE_INT: return (struct column_form){FORM_INT, 4};
    case TYPE_NULL:
    case TYPE_BIGINT:
    case TYPE_BIT:
    case TYPE_SET: return (struct column_form){FORM_INT, 8};
    case TYPE_FLOAT: return (struct column_form){FORM_FLOAT, 4};
    case TYPE_DOUBLE: return (struct column_form){FORM_DOUBLE, 8};
    case TYPE_DECIMAL:
        return (struct column_form){FORM_DECIMAL, (uint8_t)decimal_fixed_size(t->length)};
    case TYPE_DATE: return (struct column_form){FORM_DATE, 3};
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP:
        return t->decimals == 0 ? (struct column_form){FORM_SECONDS, 5}
                                : (struct column_form){FORM_TIME, 8};
    case TYPE_TIME:
        return t->decimals == 0 ? (struct column_form){FORM_TIME_S, 4}
                                : (struct column_form){FORM_TIME, 8};
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_BINARY:
    case TYPE_VARBINARY:
    case TYPE_TINYTEXT:
    case TYPE_TEXT:
    case TYPE_MEDIUMTEXT:
    case TYPE_LONGTEXT:
    case TYPE_TINYBLOB:
    case TYPE_BLOB:
    case TYPE_MEDIUMBLOB:
    case TYPE_LONGBLOB:
    case TYPE_JSON:
    case TYPE_GEOMETRY:
    case TYPE_VECTOR:
    case TYPE__COUNT: break;
    }
    return (struct column_form){FORM_VAR, 0};
}

/* ---- layout ---- */

static void sort_by_id(struct row_layout *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        uint32_t at = i;
        while (at > 0 && l->columns[l->by_id[at - 1]].id > l->columns[i].id) {
            l->by_id[at] = l->by_id[at - 1];
            at--;
        }
        l->by_id[at] = i;
    }
}

static db_err make_header(struct row_layout *l, struct arena *arena)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < l->live_count; i++) {
        last = l->columns[l->live[i]].id;
    }
    uint32_t bitmap_size = (last + 7) / 8;
    struct buf b;
    buf_init(&b, HEADER_FIXED + 16 + BITMAP_MAX);
    db_err err;
    TRY_GOTO(buf_append_u8(&b, ROW_FORMAT_VERSION), out);
    TRY_GOTO(buf_append_u8(&b, 0), out);
    TRY_GOTO(key_append_varint(&b, bitmap_size), out);
    TRY_GOTO(buf_reserve(&b, bitmap_size), out);
    uint8_t *bits = b.ptr + b.len;
    memset(bits, 0, bitmap_size);
    for (uint32_t i = 0; i < l->live_count; i++) {
        uint32_t bit = l->columns[l->live[i]].id - 1;
        bits[bit / 8] = (uint8_t)(bits[bit / 8] | 1u << bit % 8);
    }
    b.len += bitmap_size;
    struct slice copy;
    TRY_GOTO(arena_copy(arena, buf_slice(&b), &copy), out);
    l->header = (uint8_t *)(uintptr_t)copy.ptr;
    l->header_size = (uint32_t)copy.len;
out:
    buf_fini(&b);
    return err;
}

static struct place place_at(const struct row_layout *l, uint32_t position, uint32_t null_bit,
                             uint32_t fixed, uint32_t var)
{
    struct column_form f = l->forms[position];
    return (struct place){.offset = f.form == FORM_VAR ? var : fixed,
                          .null_bit = null_bit,
                          .form = f.form,
                          .size = f.size,
                          .is_unsigned = type_is_unsigned(&l->columns[position].type)};
}

/* The next one in order of id. */
static void add_place(struct row_layout *l, uint32_t position)
{
    if (l->columns[position].dropped) {
        l->places[position] = (struct place){.null_bit = UINT32_MAX};
        return;
    }
    l->places[position] = place_at(l, position, l->live_count, l->fixed_size, l->var_count);
    l->live[l->live_count++] = position;
    l->fixed_size += l->forms[position].size;
    l->var_count += l->forms[position].form == FORM_VAR;
}

db_err row_layout_new(struct arena *arena, const struct row_column *columns, uint32_t count,
                      const struct row_layout **ret_layout)
{
    if (count > ROW_COLUMNS_MAX) {
        return ERR_LIMIT;
    }
    struct row_layout *l = ARENA_NEW(arena, struct row_layout);
    if (l == NULL) {
        return ERR_NOMEM;
    }
    l->count = count;
    l->columns = ARENA_ARRAY(arena, struct row_column, count + 1);
    l->forms = ARENA_ARRAY(arena, struct column_form, count + 1);
    l->by_id = ARENA_ARRAY(arena, uint32_t, count + 1);
    l->live = ARENA_ARRAY(arena, uint32_t, count + 1);
    l->places = ARENA_ARRAY(arena, struct place, count + 1);
    if (l->columns == NULL || l->forms == NULL || l->by_id == NULL || l->live == NULL ||
        l->places == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        l->columns[i] = columns[i];
        TRY(value_copy(&columns[i].absent, arena, &l->columns[i].absent));
        l->forms[i] = form_of(&columns[i].type);
    }
    sort_by_id(l);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = l->columns[l->by_id[i]].id;
        if (id == 0 || id > ROW_COLUMN_ID_MAX || (i > 0 && l->columns[l->by_id[i - 1]].id == id)) {
            return ERR_INVALID;
        }
        add_place(l, l->by_id[i]);
    }
    l->null_bytes = (l->live_count + 7) / 8;
    TRY(make_header(l, arena));
    *ret_layout = l;
    return ERR_OK;
}

uint32_t row_layout_count(const struct row_layout *l)
{
    return l->count;
}

const struct row_column *row_layout_column(const struct row_layout *l, uint32_t position)
{
    ASSERT(position < l->count);
    return &l->columns[position];
}

/* ---- encode ---- */

static void put_fixed(const struct row_column *c, struct column_form f, const void *data,
                      uint8_t *out)
{
    int64_t i;
    double d;
    switch ((enum form)f.form) {
    case FORM_INT:
    case FORM_TIME: memcpy(out, data, f.size); break; /* little endian: the low bytes come first */
    case FORM_FLOAT: {
        memcpy(&d, data, 8);
        float narrow = (float)d;
        memcpy(out, &narrow, 4);
        break;
    }
    case FORM_DOUBLE: memcpy(out, data, 8); break;
    case FORM_DECIMAL: decimal_to_fixed(data, c->type.length, c->type.decimals, out); break;
    case FORM_DATE:
        memcpy(&i, data, 8);
        i >>= 37;
        memcpy(out, &i, 3);
        break;
    case FORM_SECONDS:
        memcpy(&i, data, 8);
        i >>= 20;
        memcpy(out, &i, 5);
        break;
    case FORM_TIME_S: {
        memcpy(&i, data, 8);
        int32_t seconds = (int32_t)(i / 1000000);
        memcpy(out, &seconds, 4);
        break;
    }
    case FORM_VAR: break;
    }
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the row format is copied from little-endian memory");

/* One value of the row being written, from a scalar or from a vector. */
struct source {
    const void *data; /* fixed forms */
    struct slice text;
    bool is_null;
};

static inline struct source from_value(const struct value *v)
{
    struct source s = {&v->i, SLICE_EMPTY, v->is_null};
    if (v->phys == PHYS_STR && !v->is_null) {
        s.text = v->str;
    }
    return s;
}

static inline struct source from_vector(const struct vector *v, uint32_t row)
{
    struct source s = {NULL, SLICE_EMPTY, vec_is_null(v, row)};
    if (s.is_null) {
        return s;
    }
    switch ((int)v->phys) {
    case PHYS_STR: s.text = vec_str(v, row); break;
    case PHYS_DECIMAL: s.data = vec_decimal(v, row); break;
    default: s.data = vec_i64s(v) + vec_at(v, row); break;
    }
    return s;
}

/* values or vectors, the other is NULL. */
static inline struct source source_at(const struct value *values,
                                      const struct vector *const *vectors, uint32_t row,
                                      uint32_t position)
{
    return values != NULL ? from_value(&values[position]) : from_vector(vectors[position], row);
}

static db_err encode(const struct row_layout *l, const struct value *values,
                     const struct vector *const *vectors, uint32_t row, struct buf *out)
{
    size_t text_size = 0;
    if (l->var_count != 0) {
        for (uint32_t k = 0; k < l->live_count; k++) {
            if (l->forms[l->live[k]].form == FORM_VAR) {
                text_size += source_at(values, vectors, row, l->live[k]).text.len;
            }
        }
    }
    if (text_size > UINT32_MAX) {
        return ERR_LIMIT;
    }
    unsigned width = text_size > UINT16_MAX ? 4 : 2;
    size_t size = (size_t)l->header_size + l->null_bytes + l->fixed_size +
                  (size_t)l->var_count * width + text_size;
    TRY(buf_reserve(out, size));
    uint8_t *base = out->ptr + out->len;
    memcpy(base, l->header, l->header_size);
    base[1] = width == 4 ? FLAG_WIDE : 0;
    uint8_t *nulls = base + l->header_size;
    uint8_t *fixed = nulls + l->null_bytes;
    uint8_t *ends = fixed + l->fixed_size;
    uint8_t *text = ends + (size_t)l->var_count * width;
    uint32_t text_end = 0;
    memset(nulls, 0, l->null_bytes);
    for (uint32_t k = 0; k < l->live_count; k++) {
        uint32_t position = l->live[k];
        struct column_form f = l->forms[position];
        struct source s = source_at(values, vectors, row, position);
        if (s.is_null) {
            nulls[k / 8] = (uint8_t)(nulls[k / 8] | 1u << k % 8);
        }
        if (f.form == FORM_VAR) {
            if (s.text.len != 0) {
                memcpy(text + text_end, s.text.ptr, s.text.len);
                text_end += (uint32_t)s.text.len;
            }
            memcpy(ends, &text_end, width);
            ends += width;
            continue;
        }
        if (s.is_null) {
            memset(fixed, 0, f.size);
        } else {
            put_fixed(&l->columns[position], f, s.data, fixed);
        }
        fixed += f.size;
    }
    out->len += size;
    return ERR_OK;
}

db_err row_encode(const struct row_layout *l, const struct value *values, struct buf *out)
{
    return encode(l, values, NULL, 0, out);
}

db_err row_encode_vectors(const struct row_layout *l, const struct vector *const *vectors,
                          uint32_t row, struct buf *out)
{
    return encode(l, NULL, vectors, row, out);
}

/* ---- read ---- */

struct plan {
    uint8_t *header; /* flags byte 0; header_size 0: no plan yet */
    uint32_t header_size;
    uint32_t header_capacity; /* 0: the layout's */
    uint32_t null_bytes;
    uint32_t fixed_size;
    uint32_t var_count;
    struct place *places; /* one per wanted column */
};

struct row_reader {
    struct arena *arena;
    const struct row_layout *layout;
    uint32_t count;
    const uint32_t *positions;
    struct plan current; /* of rows as they are written now; made from the layout's */
    struct plan other;
};

static bool bit_is_set(const uint8_t *bits, size_t size, uint32_t bit)
{
    return bit / 8 < size && (bits[bit / 8] >> bit % 8 & 1) != 0;
}

static void place_column(const struct row_reader *r, struct plan *plan, uint32_t position,
                         struct place at)
{
    for (uint32_t k = 0; k < r->count && !r->layout->columns[position].dropped; k++) {
        if (r->positions[k] == position) {
            plan->places[k] = at;
        }
    }
}

/* Plans for rows that begin with this header. ERR_CORRUPT when it names a column that the layout
 * does not know. */
static db_err make_plan(struct row_reader *r, struct slice header, const uint8_t *bits,
                        size_t bitmap_size, struct plan *plan)
{
    const struct row_layout *l = r->layout;
    plan->header_size = 0;
    if (plan->places == NULL) {
        plan->places = ARENA_ARRAY(r->arena, struct place, r->count + 1);
        if (plan->places == NULL) {
            return ERR_NOMEM;
        }
    }
    for (uint32_t k = 0; k < r->count; k++) {
        plan->places[k] = (struct place){.null_bit = UINT32_MAX};
    }
    uint32_t present = 0;
    uint32_t fixed = 0;
    uint32_t var = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        uint32_t position = l->by_id[i];
        if (!bit_is_set(bits, bitmap_size, l->columns[position].id - 1)) {
            continue;
        }
        place_column(r, plan, position, place_at(l, position, present, fixed, var));
        present++;
        fixed += l->forms[position].size;
        var += l->forms[position].form == FORM_VAR;
    }
    uint32_t named = 0;
    for (size_t i = 0; i < bitmap_size; i++) {
        named += (uint32_t)__builtin_popcount(bits[i]);
    }
    if (named != present) {
        return ERR_CORRUPT;
    }
    if (plan->header_capacity < header.len) {
        plan->header = arena_alloc(r->arena, header.len);
        if (plan->header == NULL) {
            return ERR_NOMEM;
        }
        plan->header_capacity = (uint32_t)header.len;
    }
    memcpy(plan->header, header.ptr, header.len);
    plan->header[1] = 0;
    plan->header_size = (uint32_t)header.len;
    plan->null_bytes = (present + 7) / 8;
    plan->fixed_size = fixed;
    plan->var_count = var;
    return ERR_OK;
}

db_err row_reader_new(struct arena *arena, const struct row_layout *l, const uint32_t *positions,
                      uint32_t count, struct row_reader **ret_reader)
{
    struct row_reader *r = ARENA_NEW(arena, struct row_reader);
    uint32_t *copy = arena_alloc(arena, (count + 1) * sizeof(*copy));
    struct place *places = arena_alloc(arena, (count + 1) * sizeof(*places));
    if (r == NULL || copy == NULL || places == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t k = 0; k < count; k++) {
        ASSERT(positions[k] < l->count);
        copy[k] = positions[k];
        places[k] = l->places[positions[k]];
    }
    r->arena = arena;
    r->layout = l;
    r->count = count;
    r->positions = copy;
    r->current = (struct plan){.header = l->header,
                               .header_size = l->header_size,
                               .null_bytes = l->null_bytes,
                               .fixed_size = l->fixed_size,
                               .var_count = l->var_count,
                               .places = places};
    *ret_reader = r;
    return ERR_OK;
}

static inline bool header_matches(const struct plan *p, struct slice row)
{
    return p->header_size != 0 && row.len >= p->header_size && row.ptr[0] == p->header[0] &&
           memcmp(row.ptr + HEADER_FIXED, p->header + HEADER_FIXED,
                  p->header_size - HEADER_FIXED) == 0;
}

static db_err find_plan(struct row_reader *r, struct slice row, const struct plan **ret_plan)
{
    if (LIKELY(header_matches(&r->current, row))) {
        *ret_plan = &r->current;
        return ERR_OK;
    }
    if (header_matches(&r->other, row)) {
        *ret_plan = &r->other;
        return ERR_OK;
    }
    if (row.len < HEADER_FIXED + 1) {
        return ERR_CORRUPT;
    }
    if (row.ptr[0] != ROW_FORMAT_VERSION) {
        return row.ptr[0] > ROW_FORMAT_VERSION ? ERR_UNSUPPORTED : ERR_CORRUPT;
    }
    struct slice rest = slice_from(row, HEADER_FIXED);
    uint64_t bitmap_size;
    TRY(key_take_varint(&rest, &bitmap_size));
    if (bitmap_size > rest.len || bitmap_size > BITMAP_MAX) {
        return ERR_CORRUPT;
    }
    struct slice header = {row.ptr, (size_t)(rest.ptr - row.ptr) + (size_t)bitmap_size};
    TRY(make_plan(r, header, rest.ptr, (size_t)bitmap_size, &r->other));
    *ret_plan = &r->other;
    return ERR_OK;
}

static inline int64_t load_int(const uint8_t *p, unsigned size, bool is_unsigned)
{
    switch (size) {
    case 1: return is_unsigned ? *p : (int8_t)*p;
    case 2: {
        uint16_t v;
        memcpy(&v, p, 2);
        return is_unsigned ? v : (int16_t)v;
    }
    case 3: {
        uint32_t v = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
        return is_unsigned ? (int64_t)v : (int32_t)(v << 8) >> 8;
    }
    case 4: {
        uint32_t v;
        memcpy(&v, p, 4);
        return is_unsigned ? (int64_t)v : (int32_t)v;
    }
    default: {
        int64_t v;
        memcpy(&v, p, 8);
        return v;
    }
    }
}

static inline int64_t load_time(const uint8_t *p, unsigned form)
{
    int64_t v = 0;
    switch (form) {
    case FORM_DATE: memcpy(&v, p, 3); return v << 37;
    case FORM_SECONDS: memcpy(&v, p, 5); return v << 20;
    case FORM_TIME_S: {
        int32_t seconds;
        memcpy(&seconds, p, 4);
        return (int64_t)seconds * 1000000;
    }
    default: memcpy(&v, p, 8); return v;
    }
}

static inline double load_double(const uint8_t *p, unsigned form)
{
    if (form == FORM_FLOAT) {
        float f;
        memcpy(&f, p, 4);
        return (double)f;
    }
    double d;
    memcpy(&d, p, 8);
    return d;
}

/* The parts of a row; checked once, so that loads of fixed values need no check. */
struct parts {
    const uint8_t *nulls;
    const uint8_t *fixed;
    const uint8_t *ends;
    const uint8_t *text;
    size_t text_size;
    unsigned width;
};

static inline db_err split(const struct plan *plan, struct slice row, struct parts *ret)
{
    unsigned width = (row.ptr[1] & FLAG_WIDE) != 0 ? 4 : 2;
    size_t before = (size_t)plan->header_size + plan->null_bytes + plan->fixed_size +
                    (size_t)plan->var_count * width;
    if (UNLIKELY(row.len < before || row.ptr[1] > FLAG_WIDE)) {
        return ERR_CORRUPT;
    }
    ret->nulls = row.ptr + plan->header_size;
    ret->fixed = ret->nulls + plan->null_bytes;
    ret->ends = ret->fixed + plan->fixed_size;
    ret->text = row.ptr + before;
    ret->text_size = row.len - before;
    ret->width = width;
    return ERR_OK;
}

static inline uint32_t end_at(const struct parts *p, uint32_t index)
{
    if (p->width == 2) {
        uint16_t v;
        memcpy(&v, p->ends + (size_t)index * 2, 2);
        return v;
    }
    uint32_t v;
    memcpy(&v, p->ends + (size_t)index * 4, 4);
    return v;
}

static inline db_err load_text(const struct parts *p, uint32_t index, struct slice *ret)
{
    uint32_t from = index == 0 ? 0 : end_at(p, index - 1);
    uint32_t to = end_at(p, index);
    if (UNLIKELY(to < from || to > p->text_size)) {
        return ERR_CORRUPT;
    }
    *ret = slice_of(p->text + from, to - from);
    return ERR_OK;
}

static inline bool is_null_at(const struct parts *p, uint32_t bit)
{
    return (p->nulls[bit / 8] >> bit % 8 & 1) != 0;
}

db_err row_read(struct row_reader *r, struct slice stored, struct vector *const *vectors,
                uint32_t row, bool copy)
{
    const struct plan *plan;
    struct parts p;
    TRY(find_plan(r, stored, &plan));
    TRY(split(plan, stored, &p));
    for (uint32_t k = 0; k < r->count; k++) {
        const struct place *at = &plan->places[k];
        struct vector *v = vectors[k];
        if (UNLIKELY(at->null_bit == UINT32_MAX)) {
            TRY(vector_set(v, row, &r->layout->columns[r->positions[k]].absent));
            continue;
        }
        if (is_null_at(&p, at->null_bit)) {
            vec_set_null(v, row);
            continue;
        }
        const uint8_t *data = p.fixed + at->offset;
        switch ((enum form)at->form) {
        case FORM_INT: vec_set_i64(v, row, load_int(data, at->size, at->is_unsigned)); break;
        case FORM_FLOAT:
        case FORM_DOUBLE: vec_set_double(v, row, load_double(data, at->form)); break;
        case FORM_DATE:
        case FORM_SECONDS:
        case FORM_TIME_S:
        case FORM_TIME: vec_set_i64(v, row, load_time(data, at->form)); break;
        case FORM_DECIMAL: {
            const struct sql_type *t = &r->layout->columns[r->positions[k]].type;
            decimal_from_fixed(data, t->length, t->decimals, &vec_decimals(v)[row]);
            break;
        }
        case FORM_VAR: {
            struct slice s;
            TRY(load_text(&p, at->offset, &s));
            if (copy) {
                TRY(vec_set_str(v, row, s));
            } else {
                vec_set_str_ref(v, row, s);
            }
            break;
        }
        }
    }
    return ERR_OK;
}

db_err row_read_values(struct row_reader *r, struct slice stored, struct value *values)
{
    const struct plan *plan;
    struct parts p;
    TRY(find_plan(r, stored, &plan));
    TRY(split(plan, stored, &p));
    for (uint32_t k = 0; k < r->count; k++) {
        const struct place *at = &plan->places[k];
        const struct row_column *column = &r->layout->columns[r->positions[k]];
        struct value *v = &values[k];
        if (at->null_bit == UINT32_MAX) {
            *v = column->absent;
            continue;
        }
        value_tag(v, &column->type);
        if (is_null_at(&p, at->null_bit)) {
            v->is_null = true;
            v->i = 0;
            continue;
        }
        const uint8_t *data = p.fixed + at->offset;
        switch ((enum form)at->form) {
        case FORM_INT: v->i = load_int(data, at->size, at->is_unsigned); break;
        case FORM_FLOAT:
        case FORM_DOUBLE: v->d = load_double(data, at->form); break;
        case FORM_DATE:
        case FORM_SECONDS:
        case FORM_TIME_S:
        case FORM_TIME: v->t = load_time(data, at->form); break;
        case FORM_DECIMAL:
            decimal_from_fixed(data, column->type.length, column->type.decimals, &v->dec);
            break;
        case FORM_VAR: TRY(load_text(&p, at->offset, &v->str)); break;
        }
    }
    return ERR_OK;
}
