#include "wire/command/params.h"

#include "wire/net/protocol.h"

enum { TYPE_MASK = 0xff };

bool param_type_ok(uint16_t type)
{
    switch ((int)(type & TYPE_MASK)) {
    case TYPE_DECIMAL:
    case TYPE_TINY:
    case TYPE_SHORT:
    case TYPE_LONG:
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
    case TYPE_NULL:
    case TYPE_TIMESTAMP:
    case TYPE_LONGLONG:
    case TYPE_INT24:
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_VARCHAR:
    case TYPE_BIT:
    case TYPE_BOOL:
    case TYPE_JSON:
    case TYPE_NEWDECIMAL:
    case TYPE_ENUM:
    case TYPE_SET:
    case TYPE_TINY_BLOB:
    case TYPE_MEDIUM_BLOB:
    case TYPE_LONG_BLOB:
    case TYPE_BLOB:
    case TYPE_VAR_STRING:
    case TYPE_STRING:
    case TYPE_GEOMETRY:
    case TYPE_VECTOR: return true;
    default: return false;
    }
}

static void set_integer(struct sql_param *p, uint64_t raw, unsigned size)
{
    if (p->is_unsigned) {
        p->cell.kind = SQL_CELL_UINT;
        p->cell.v.u64 = raw;
        return;
    }
    unsigned shift = 64 - 8 * size;
    p->cell.kind = SQL_CELL_INT;
    p->cell.v.i64 = (int64_t)(raw << shift) >> shift;
}

static void read_datetime(struct reader *r, bool date_only, struct sql_param *p)
{
    struct sql_time *t = &p->cell.v.time;
    uint8_t size = read_u8(r);
    *t = (struct sql_time){0};
    p->cell.kind = date_only ? SQL_CELL_DATE : SQL_CELL_DATETIME;
    bool has_time = size == 7 || size == 11;
    if (size != 0 && size != 4 && (date_only || !has_time)) {
        r->bad = true;
        return;
    }
    if (size >= 4) {
        t->year = read_u16(r);
        t->month = read_u8(r);
        t->day = read_u8(r);
    }
    if (size >= 7) {
        t->hour = read_u8(r);
        t->minute = read_u8(r);
        t->second = read_u8(r);
    }
    if (size == 11) {
        t->microsecond = read_u32(r);
    }
    t->decimals = t->microsecond != 0 ? 6 : 0;
}

static void read_time(struct reader *r, struct sql_param *p)
{
    struct sql_time *t = &p->cell.v.time;
    uint8_t size = read_u8(r);
    *t = (struct sql_time){0};
    p->cell.kind = SQL_CELL_TIME;
    if (size != 0 && size != 8 && size != 12) {
        r->bad = true;
        return;
    }
    if (size >= 8) {
        t->negative = read_u8(r) != 0;
        uint32_t days = read_u32(r);
        days = days > 100000 ? 100000 : days;
        t->hour = days * 24 + read_u8(r);
        t->minute = read_u8(r);
        t->second = read_u8(r);
    }
    if (size == 12) {
        t->microsecond = read_u32(r);
    }
    t->decimals = t->microsecond != 0 ? 6 : 0;
}

void param_read(struct reader *r, uint16_t type, struct sql_param *p)
{
    *p = (struct sql_param){
        .type = (uint8_t)(type & TYPE_MASK),
        .is_unsigned = (type & PARAM_UNSIGNED) != 0,
    };
    switch ((int)p->type) {
    case TYPE_NULL: p->is_null = true; break;
    case TYPE_TINY:
    case TYPE_BOOL: set_integer(p, read_u8(r), 1); break;
    case TYPE_SHORT: set_integer(p, read_u16(r), 2); break;
    case TYPE_LONG:
    case TYPE_INT24: set_integer(p, read_u32(r), 4); break;
    case TYPE_LONGLONG: set_integer(p, read_uint(r, 8), 8); break;
    case TYPE_FLOAT: {
        uint32_t bits = read_u32(r);
        float f;
        memcpy(&f, &bits, sizeof(f));
        p->cell = (struct sql_cell){.kind = SQL_CELL_FLOAT, .decimals = 31, .v.f64 = (double)f};
        break;
    }
    case TYPE_DOUBLE: {
        uint64_t bits = read_uint(r, 8);
        p->cell = (struct sql_cell){.kind = SQL_CELL_DOUBLE, .decimals = 31};
        memcpy(&p->cell.v.f64, &bits, sizeof(bits));
        break;
    }
    case TYPE_DATE: read_datetime(r, true, p); break;
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: read_datetime(r, false, p); break;
    case TYPE_TIME: read_time(r, p); break;
    default:
        p->cell.kind = SQL_CELL_TEXT;
        p->cell.v.text = read_lenenc_bytes(r);
        break;
    }
}

bool query_attributes_count(struct reader *r, uint32_t *ret_count)
{
    enum { COUNT_MAX = 65535 };
    uint64_t count = read_lenenc(r);
    uint64_t sets = read_lenenc(r);
    if (r->bad || sets != 1 || count > COUNT_MAX || count > reader_left(r)) {
        return false;
    }
    *ret_count = (uint32_t)count;
    return true;
}

bool query_attributes_read(struct reader *r, uint32_t count, struct sql_attribute *ret_attributes)
{
    if (count == 0) {
        return true;
    }
    struct slice nulls = read_bytes(r, ((uint64_t)count + 7) / 8);
    if (read_u8(r) != 1 || r->bad) {
        return false;
    }
    struct reader types = *r;
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        (void)read_u16(r);
        (void)read_lenenc_bytes(r);
    }
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct sql_attribute *a = &ret_attributes[i];
        uint16_t type = read_u16(&types);
        *a = (struct sql_attribute){.name = read_lenenc_bytes(&types), .value.is_null = true};
        if ((nulls.ptr[i / 8] >> (i % 8) & 1) == 0) {
            param_read(r, type, &a->value);
        }
    }
    return !r->bad;
}
