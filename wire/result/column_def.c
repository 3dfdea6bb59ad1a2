#include "wire/result/result.h"

db_err result_column(struct conn *c, const struct sql_column *column, bool with_default)
{
    struct packet_out *o = &c->out;
    enum { FIXED_SIZE = 12 };
    TRY(conn_begin(c));
    TRY(put_lenenc_bytes(o, SLICE_LIT("def")));
    TRY(put_lenenc_bytes(o, column->schema));
    TRY(put_lenenc_bytes(o, column->table));
    TRY(put_lenenc_bytes(o, column->org_table));
    TRY(put_lenenc_bytes(o, column->name));
    TRY(put_lenenc_bytes(o, column->org_name));
    TRY(put_u8(o, FIXED_SIZE));
    TRY(put_uint(o, column->charset_id, 2));
    TRY(put_uint(o, column->length, 4));
    TRY(put_u8(o, column->type));
    TRY(put_uint(o, column->flags, 2));
    TRY(put_u8(o, column->decimals));
    TRY(put_zeros(o, 2));
    if (with_default) {
        if (column->default_value.ptr == NULL) {
            TRY(put_u8(o, 251));
        } else {
            TRY(put_lenenc_bytes(o, column->default_value));
        }
    }
    return conn_finish(c);
}
