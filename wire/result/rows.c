/* Rows, text and binary, from cells straight into the output buffer.
 *
 * Room is made once per cell for the widest it can be; numbers are written in place with their
 * length byte filled in behind. A row is a packet of its own, so the output is sent between rows
 * and what is held never passes one row more than OUT_FLUSH_SIZE. */
#include "wire/result/result.h"

#include <string.h>

#include "wire/result/format.h"

static size_t text_of(char *out, const struct sql_cell *cell)
{
    switch (cell->kind) {
    case SQL_CELL_INT: return format_i64(out, cell->v.i64);
    case SQL_CELL_UINT: return format_u64(out, cell->v.u64);
    case SQL_CELL_FLOAT: return format_float(out, (float)cell->v.f64, cell->decimals);
    case SQL_CELL_DOUBLE: return format_double(out, cell->v.f64, cell->decimals);
    case SQL_CELL_TIME: return format_time(out, &cell->v.time);
    case SQL_CELL_DATE: return format_date(out, &cell->v.time);
    case SQL_CELL_DATETIME: return format_datetime(out, &cell->v.time);
    case SQL_CELL_NULL:
    case SQL_CELL_TEXT: break;
    }
    return 0;
}

static size_t zero_fill(char *text, size_t size, uint8_t width)
{
    if (size >= width || text[0] == '-') {
        return size;
    }
    memmove(text + (width - size), text, size);
    memset(text, '0', width - size);
    return width;
}

/* A cell as length-encoded text. */
static db_err put_text(struct packet_out *o, const struct sql_cell *cell, uint8_t zerofill)
{
    if (cell->kind == SQL_CELL_TEXT) {
        return put_lenenc_bytes(o, cell->v.text);
    }
    enum { LENGTH_ROOM = 3, FILL_ROOM = 256 };
    char *p = (char *)packet_out_room(o, LENGTH_ROOM + FORMAT_MAX + FILL_ROOM);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    size_t size = text_of(p + 1, cell);
    if (UNLIKELY(zerofill > 0)) {
        size = zero_fill(p + 1, size, zerofill);
    }
    if (UNLIKELY(size >= 251)) {
        memmove(p + LENGTH_ROOM, p + 1, size);
        lenenc_write((uint8_t *)p, size);
        o->len += LENGTH_ROOM + size;
        return ERR_OK;
    }
    *p = (char)size;
    o->len += 1 + size;
    return ERR_OK;
}

db_err result_text_rows(struct conn *c, const struct result_format *formats, uint32_t column_count,
                        const struct sql_rows *rows)
{
    uint32_t count = sql_rows_count(rows);
    for (uint32_t i = 0; i < count; i++) {
        TRY(conn_begin(c));
        for (uint32_t k = 0; k < column_count; k++) {
            struct sql_cell cell;
            sql_rows_cell(rows, i, k, &cell);
            if (cell.kind == SQL_CELL_NULL) {
                TRY(put_u8(&c->out, 251));
            } else {
                TRY(put_text(&c->out, &cell, formats[k].zerofill));
            }
        }
        TRY(conn_finish(c));
    }
    return ERR_OK;
}

/* --- binary --- */

static int64_t int_of(const struct sql_cell *cell)
{
    switch ((int)cell->kind) {
    case SQL_CELL_UINT: return (int64_t)cell->v.u64;
    case SQL_CELL_FLOAT:
    case SQL_CELL_DOUBLE: return (int64_t)cell->v.f64;
    default: return cell->v.i64;
    }
}

static double double_of(const struct sql_cell *cell)
{
    switch ((int)cell->kind) {
    case SQL_CELL_INT: return (double)cell->v.i64;
    case SQL_CELL_UINT: return (double)cell->v.u64;
    default: return cell->v.f64;
    }
}

static bool is_number(const struct sql_cell *cell)
{
    return cell->kind == SQL_CELL_INT || cell->kind == SQL_CELL_UINT ||
           cell->kind == SQL_CELL_FLOAT || cell->kind == SQL_CELL_DOUBLE;
}

static db_err put_datetime(struct packet_out *o, const struct sql_time *t, bool date_only)
{
    uint8_t b[12] = {0};
    uint8_t size = 4;
    memcpy(b + 1, &t->year, 2);
    b[3] = t->month;
    b[4] = t->day;
    if (!date_only && t->microsecond != 0) {
        size = 11;
    } else if (!date_only && (t->hour != 0 || t->minute != 0 || t->second != 0)) {
        size = 7;
    } else if (t->year == 0 && t->month == 0 && t->day == 0) {
        size = 0;
    }
    b[0] = size;
    b[5] = (uint8_t)t->hour;
    b[6] = t->minute;
    b[7] = t->second;
    memcpy(b + 8, &t->microsecond, 4);
    return put_bytes(o, slice_of(b, 1 + (size_t)size));
}

static db_err put_time(struct packet_out *o, const struct sql_time *t)
{
    uint8_t b[13] = {0};
    uint32_t days = t->hour / 24;
    bool zero = t->hour == 0 && t->minute == 0 && t->second == 0 && t->microsecond == 0;
    b[0] = zero ? 0 : t->microsecond != 0 ? 12 : 8;
    b[1] = t->negative;
    memcpy(b + 2, &days, 4);
    b[6] = (uint8_t)(t->hour % 24);
    b[7] = t->minute;
    b[8] = t->second;
    memcpy(b + 9, &t->microsecond, 4);
    return put_bytes(o, slice_of(b, 1 + (size_t)b[0]));
}

/* The column's type says how many bytes a client will read, whatever kind the cell has. A text cell
 * in a numeric column cannot be sent: the engine's contract forbids it. */
static db_err put_binary(struct packet_out *o, uint8_t type, const struct sql_cell *cell)
{
    switch ((int)type) {
    case TYPE_TINY: return put_uint(o, (uint64_t)int_of(cell), 1);
    case TYPE_SHORT:
    case TYPE_YEAR: return put_uint(o, (uint64_t)int_of(cell), 2);
    case TYPE_LONG:
    case TYPE_INT24: return put_uint(o, (uint64_t)int_of(cell), 4);
    case TYPE_LONGLONG: return put_uint(o, (uint64_t)int_of(cell), 8);
    case TYPE_FLOAT: {
        float f = (float)double_of(cell);
        return put_bytes(o, slice_of(&f, sizeof(f)));
    }
    case TYPE_DOUBLE: {
        double d = double_of(cell);
        return put_bytes(o, slice_of(&d, sizeof(d)));
    }
    case TYPE_DATE:
    case TYPE_NEWDATE: return put_datetime(o, &cell->v.time, true);
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: return put_datetime(o, &cell->v.time, false);
    case TYPE_TIME: return put_time(o, &cell->v.time);
    default: return put_text(o, cell, 0);
    }
}

static bool fits(uint8_t type, const struct sql_cell *cell)
{
    switch ((int)type) {
    case TYPE_TINY:
    case TYPE_SHORT:
    case TYPE_YEAR:
    case TYPE_LONG:
    case TYPE_INT24:
    case TYPE_LONGLONG:
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return is_number(cell);
    case TYPE_DATE:
    case TYPE_NEWDATE:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: return cell->kind == SQL_CELL_DATE || cell->kind == SQL_CELL_DATETIME;
    case TYPE_TIME: return cell->kind == SQL_CELL_TIME;
    case TYPE_NULL: return false;
    default: return true;
    }
}

static db_err put_binary_row(struct conn *c, const struct result_format *formats,
                             uint32_t column_count, const struct sql_rows *rows, uint32_t row)
{
    struct packet_out *o = &c->out;
    enum { FIRST_BIT = 2 };
    TRY(conn_begin(c));
    TRY(put_u8(o, 0));
    size_t nulls = o->len;
    TRY(put_zeros(o, (column_count + 7 + FIRST_BIT) / 8));
    for (uint32_t k = 0; k < column_count; k++) {
        struct sql_cell cell;
        sql_rows_cell(rows, row, k, &cell);
        if (cell.kind == SQL_CELL_NULL) {
            uint32_t bit = k + FIRST_BIT;
            o->ptr[nulls + bit / 8] |= (uint8_t)(1u << (bit % 8));
            continue;
        }
        if (UNLIKELY(!fits(formats[k].type, &cell))) {
            return ERR_INVALID;
        }
        TRY(put_binary(o, formats[k].type, &cell));
    }
    return conn_finish(c);
}

db_err result_binary_rows(struct conn *c, const struct result_format *formats,
                          uint32_t column_count, const struct sql_rows *rows)
{
    uint32_t count = sql_rows_count(rows);
    for (uint32_t i = 0; i < count; i++) {
        TRY(put_binary_row(c, formats, column_count, rows, i));
    }
    return ERR_OK;
}
