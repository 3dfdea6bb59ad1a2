#include "wire/result/result.h"

/* The part that has no length of its own. */
enum { FIXED_SIZE = 12 };

static uint8_t *write_fixed(uint8_t *p, const struct sql_column *column)
{
    *p++ = FIXED_SIZE;
    memcpy(p, &column->charset_id, 2);
    memcpy(p + 2, &column->length, 4);
    p[6] = column->type;
    memcpy(p + 7, &column->flags, 2);
    p[9] = column->decimals;
    p[10] = p[11] = 0;
    return p + FIXED_SIZE;
}

/* Each result has these: room is made once for all that has a bound. */
db_err result_column(struct conn *c, const struct sql_column *column, bool with_default)
{
    struct packet_out *o = &c->out;
    const struct slice names[] = {SLICE_LIT("def"),  column->schema, column->table,
                                  column->org_table, column->name,   column->org_name};
    size_t room = 1 + FIXED_SIZE;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        room += LENENC_SIZE_MAX + names[i].len;
    }
    TRY(conn_begin(c));
    uint8_t *p = packet_out_room(o, room);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        p = lenenc_write(p, names[i].len);
        if (names[i].len != 0) {
            memcpy(p, names[i].ptr, names[i].len);
        }
        p += names[i].len;
    }
    o->len = (size_t)(write_fixed(p, column) - o->ptr);
    if (with_default) {
        if (column->default_value.ptr == NULL) {
            TRY(put_u8(o, 251));
        } else {
            TRY(put_lenenc_bytes(o, column->default_value));
        }
    }
    return conn_finish(c);
}
