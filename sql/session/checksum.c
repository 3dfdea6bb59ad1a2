/* CHECKSUM TABLE: the sum over all rows of a CRC-32 of the row.
 *
 * The number is MySQL's, so that a table can be compared with its copy there: a row's CRC goes over
 * the bytes that MySQL has for it in memory. First the bits that say which columns are NULL, then
 * column by column: text of variable length, BLOB, JSON and BIT as their bytes, all others in
 * MySQL's storage form, CHAR filled up with blanks. Functional key parts, which no query can read,
 * are not among the columns. */
#include "sql/session/checksum.h"

#include <zlib.h>

#include "base/scope.h"
#include "sql/charset/charset.h"
#include "sql/session/own_query.h"
#include "sql/types/temporal.h"

enum { FIELD_MAX = 256 };

struct checksum {
    struct sql_sink sink;
    const struct table_def *table;
    uint32_t count;
    const struct column_def **columns;
    bool packed; /* there are columns of variable length */
    uint64_t sum;
    db_err err;
};

/* ---- storage forms ---- */

static void big_endian(uint8_t *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    }
}

static unsigned little_endian(uint8_t *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(v >> (8 * i));
    }
    return bytes;
}

/* Fractions of a second take a byte for two digits. */
static unsigned fraction(uint8_t *out, int64_t micro, unsigned decimals)
{
    static const int32_t unit[] = {1000000, 10000, 100, 1};
    unsigned bytes = (decimals + 1) / 2;
    big_endian(out, (uint64_t)(micro / unit[bytes]), bytes);
    return bytes;
}

static unsigned put_time(uint8_t *out, int64_t v, unsigned decimals)
{
    struct time_parts p;
    time_unpack(v, &p);
    int64_t packed = (((int64_t)p.hour << 12 | p.minute << 6 | p.second) << 24) + p.micro;
    packed = p.neg ? -packed : packed;
    if (decimals > 4) {
        big_endian(out, (uint64_t)(packed + 0x800000000000ll), 6);
        return 6;
    }
    big_endian(out, (uint64_t)((packed >> 24) + 0x800000), 3);
    return 3 + fraction(out + 3, packed % (1 << 24), decimals);
}

static unsigned put_datetime(uint8_t *out, int64_t v, unsigned decimals)
{
    struct time_parts p;
    datetime_unpack(v, &p);
    uint64_t ymd = ((uint64_t)p.year * 13 + p.month) << 5 | p.day;
    uint64_t hms = (uint64_t)p.hour << 12 | p.minute << 6 | p.second;
    big_endian(out, (ymd << 17 | hms) + 0x8000000000ull, 5);
    return 5 + fraction(out + 5, p.micro, decimals);
}

static unsigned put_timestamp(uint8_t *out, int64_t v, unsigned decimals)
{
    int64_t seconds = 0;
    uint32_t micro = 0;
    if (v != 0 && !timezone_to_unix(timezone_utc(), v, &seconds, &micro, NULL)) {
        seconds = 0;
    }
    big_endian(out, (uint64_t)seconds, 4);
    return 4 + fraction(out + 4, micro, decimals);
}

/* Nine digits in four bytes, what is left over in fewer; the sign turns the first bit, and for
 * negative numbers all. */
static unsigned digits(uint8_t *out, const char *text, unsigned n, bool leading_rest)
{
    static const uint8_t bytes_of[] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
    unsigned at = 0;
    unsigned rest = n % 9;
    for (unsigned i = 0; i < n;) {
        unsigned take = leading_rest && i == 0 && rest != 0 ? rest : n - i < 9 ? n - i : 9;
        uint64_t v = 0;
        for (unsigned k = 0; k < take; k++) {
            v = v * 10 + (uint64_t)(text[i + k] - '0');
        }
        big_endian(out + at, v, bytes_of[take]);
        at += bytes_of[take];
        i += take;
    }
    return at;
}

static unsigned put_decimal(uint8_t *out, const struct decimal *d, const struct sql_type *t)
{
    char text[DECIMAL_TEXT_MAX];
    char whole[DECIMAL_PRECISION_MAX + 1];
    char part[DECIMAL_PRECISION_MAX + 1];
    unsigned len = decimal_to_text(d, text);
    unsigned at = len != 0 && text[0] == '-' ? 1 : 0;
    bool neg = at == 1;
    unsigned n_whole = t->length - t->decimals;
    unsigned point = at;
    while (point < len && text[point] != '.') {
        point++;
    }
    memset(whole, '0', sizeof(whole));
    memset(part, '0', sizeof(part));
    for (unsigned i = 0; i < n_whole && i < point - at; i++) {
        whole[n_whole - 1 - i] = text[point - 1 - i];
    }
    for (unsigned i = 0; i < t->decimals && point + 1 + i < len; i++) {
        part[i] = text[point + 1 + i];
    }
    unsigned n = digits(out, whole, n_whole, true);
    n += digits(out + n, part, t->decimals, false);
    for (unsigned i = 0; i < n && neg; i++) {
        out[i] = (uint8_t)~out[i];
    }
    out[0] ^= 0x80;
    return n;
}

static unsigned put_double(uint8_t *out, double d, bool single)
{
    if (single) {
        float f = (float)d;
        memcpy(out, &f, sizeof(f));
        return sizeof(f);
    }
    memcpy(out, &d, sizeof(d));
    return sizeof(d);
}

static unsigned set_bytes(const struct sql_type *t)
{
    unsigned n = t->names == NULL ? 1 : (t->names->count + 7) / 8;
    return n > 4 ? 8 : n;
}

/* A value of fixed length; NULL is like zero. */
static unsigned put_fixed(uint8_t *out, const struct sql_type *t, const struct value *v)
{
    bool null = v->is_null;
    switch ((int)t->id) {
    case TYPE_TINYINT: return little_endian(out, null ? 0 : v->u, 1);
    case TYPE_SMALLINT: return little_endian(out, null ? 0 : v->u, 2);
    case TYPE_MEDIUMINT: return little_endian(out, null ? 0 : v->u, 3);
    case TYPE_INT: return little_endian(out, null ? 0 : v->u, 4);
    case TYPE_BIGINT: return little_endian(out, null ? 0 : v->u, 8);
    case TYPE_YEAR: return little_endian(out, null || v->u == 0 ? 0 : v->u - 1900, 1);
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return put_double(out, null ? 0 : v->d, t->id == TYPE_FLOAT);
    case TYPE_DECIMAL: {
        struct decimal zero;
        decimal_zero(&zero);
        return put_decimal(out, null ? &zero : &v->dec, t);
    }
    case TYPE_DATE: {
        struct time_parts p;
        datetime_unpack(null ? 0 : v->t, &p);
        return little_endian(out, (uint64_t)p.year << 9 | p.month << 5 | p.day, 3);
    }
    case TYPE_TIME: return put_time(out, null ? 0 : v->t, t->decimals);
    case TYPE_DATETIME: return put_datetime(out, null ? 0 : v->t, t->decimals);
    case TYPE_TIMESTAMP: return put_timestamp(out, null ? 0 : v->t, t->decimals);
    case TYPE_ENUM:
        return little_endian(out, null ? 0 : v->u,
                             t->names != NULL && t->names->count > 255 ? 2 : 1);
    case TYPE_SET: return little_endian(out, null ? 0 : v->u, set_bytes(t));
    default: return 0;
    }
}

/* ---- rows ---- */

static bool is_varying(const struct sql_type *t)
{
    return t->id == TYPE_VARCHAR || t->id == TYPE_VARBINARY ||
           (t->id >= TYPE_TINYTEXT && t->id <= TYPE_LONGBLOB) || t->id >= TYPE_JSON;
}

static uint32_t crc_of(uint32_t crc, const void *data, size_t len)
{
    return len == 0 ? crc : (uint32_t)crc32_z(crc, data, len);
}

static uint32_t filled(uint32_t crc, const struct sql_type *t, const struct value *v)
{
    uint8_t blanks[64];
    bool text = t->id == TYPE_CHAR;
    size_t have = v->is_null ? 0 : v->str.len;
    size_t all = (size_t)t->length * (text ? collation_by_id(t->collation)->cs->maxlen : 1);
    memset(blanks, text ? ' ' : 0, sizeof(blanks));
    crc = crc_of(crc, v->str.ptr, have);
    while (have < all) {
        size_t n = all - have < sizeof(blanks) ? all - have : sizeof(blanks);
        crc = crc_of(crc, blanks, n);
        have += n;
    }
    return crc;
}

static uint32_t field_crc(uint32_t crc, const struct sql_type *t, const struct value *v)
{
    uint8_t bytes[FIELD_MAX];
    if (is_varying(t)) {
        return v->is_null ? crc : crc_of(crc, v->str.ptr, v->str.len);
    }
    if (t->id == TYPE_BIT) {
        unsigned n = (t->length + 7) / 8;
        big_endian(bytes, v->is_null ? 0 : v->u, n);
        return crc_of(crc, bytes, n);
    }
    if (t->id == TYPE_CHAR || t->id == TYPE_BINARY) {
        return filled(crc, t, v);
    }
    return crc_of(crc, bytes, put_fixed(bytes, t, v));
}

/* Which nullable columns are NULL; the bits that are left over are set, and the first one is when
 * no column has a variable length. */
static uint32_t null_crc(const struct checksum *c, const struct value *row)
{
    uint8_t bits[CATALOG_COLUMNS_MAX / 8 + 1] = {0};
    unsigned at = c->packed ? 0 : 1;
    for (uint32_t i = 0; i < c->count; i++) {
        if ((c->columns[i]->type.flags & TYPE_F_NOT_NULL) == 0) {
            bits[at / 8] |= (uint8_t)(row[i].is_null << (at % 8));
            at++;
        }
    }
    unsigned bytes = (at + 7) / 8;
    if (bytes == 0) {
        return 0;
    }
    bits[bytes - 1] |= (uint8_t)(256 - (1 << (at % 8)));
    bits[0] |= c->packed ? 0 : 1;
    return crc_of(0, bits, bytes);
}

static db_err add_rows(struct sql_sink *sink, const struct sql_rows *rows)
{
    struct checksum *c = (struct checksum *)sink;
    struct value *row = ARENA_ARRAY(rows->arena, struct value, c->count + 1);
    if (row == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < rows->chunk->count; i++) {
        for (uint32_t k = 0; k < c->count; k++) {
            vector_get(&rows->chunk->columns[k], chunk_row(rows->chunk, i), &row[k]);
        }
        uint32_t crc = null_crc(c, row);
        for (uint32_t k = 0; k < c->count; k++) {
            crc = field_crc(crc, &c->columns[k]->type, &row[k]);
        }
        c->sum += crc;
    }
    return ERR_OK;
}

static db_err query_of(const struct checksum *c, struct buf *out)
{
    TRY(buf_printf(out, "SELECT "));
    for (uint32_t i = 0; i < c->count; i++) {
        TRY(i == 0 ? ERR_OK : buf_append_u8(out, ','));
        TRY(buf_append_quoted(out, c->columns[i]->name, '`'));
    }
    TRY(buf_printf(out, " FROM "));
    TRY(buf_append_quoted(out, c->table->schema_name, '`'));
    TRY(buf_append_u8(out, '.'));
    return buf_append_quoted(out, c->table->name, '`');
}

db_err checksum_table(struct statement *st, const struct table_def *t, uint64_t *ret_sum)
{
    enum { QUERY_MAX = 16 * 1024 * 1024 };
    static const struct sql_sink_ops ops = {own_query__columns, add_rows,          own_query__done,
                                            own_query__done,    own_query__failed, NULL};
    struct sql_session *s = st->session;
    struct checksum c = {.sink = {.ops = &ops}, .table = t};
    SCOPE_BUF(sql, QUERY_MAX);
    struct slice text;
    c.columns = ARENA_ARRAY(&s->stmt_arena, const struct column_def *, t->column_count + 1);
    if (c.columns == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (!t->columns[i].hidden) {
            c.columns[c.count++] = &t->columns[i];
            c.packed = c.packed || is_varying(&t->columns[i].type);
        }
    }
    TRY(query_of(&c, &sql));
    TRY(arena_copy(&s->stmt_arena, buf_slice(&sql), &text));
    struct statement query = {.session = s, .sink = &c.sink, .text = text};
    TRY(own_query__run(&query, text));
    *ret_sum = c.sum & UINT32_MAX;
    return ERR_OK;
}
