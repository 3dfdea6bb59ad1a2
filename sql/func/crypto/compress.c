/* COMPRESS: the length in four bytes, little endian, then a zlib stream; a full stop is added when
 * the last byte is a space, which a column would cut off. */
#include "sql/func/families.h"

#include <zlib.h>

enum { HEADER = 4, LENGTH_MASK = 0x3fffffff };

db_err crypto_bind_compress(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    uint64_t bytes = func__byte_length(&args[0].type);
    bytes += 18;
    func__result_null(call, func__text(bytes > FUNC_BLOB_MAX ? FUNC_BLOB_MAX : bytes, COLL_BINARY));
    call->coercibility = 4;
    return ERR_OK;
}

db_err crypto_bind_length(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    func__result(call, args, func__bigint(11));
    return ERR_OK;
}

db_err crypto_compress(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        if (s.len == 0) {
            vec_set_str_ref(out, row, SLICE_EMPTY);
            continue;
        }
        uLongf len = compressBound(s.len);
        uint8_t *p;
        TRY(func__bytes(ctx, len + HEADER + 1, &p));
        if (compress(p + HEADER, &len, s.ptr, s.len) != Z_OK) {
            vec_set_null(out, row);
            continue;
        }
        for (int i = 0; i < HEADER; i++) {
            p[i] = (uint8_t)((s.len & LENGTH_MASK) >> (8 * i));
        }
        len += HEADER;
        if (p[len - 1] == ' ') {
            p[len++] = '.';
        }
        vec_set_str_ref(out, row, slice_of(p, len));
    }
    return ERR_OK;
}

static uint32_t stored_length(struct slice s)
{
    return ((uint32_t)s.ptr[0] | (uint32_t)s.ptr[1] << 8 | (uint32_t)s.ptr[2] << 16 |
            (uint32_t)s.ptr[3] << 24) &
           LENGTH_MASK;
}

static void warn(struct eval_ctx *ctx, uint16_t number, const char *text)
{
    if (ctx->cast->warn != NULL) {
        ctx->cast->warn(ctx->cast->warn_arg, CAST_WARNING, number, text);
    }
}

db_err crypto_uncompress(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        if (s.len == 0) {
            vec_set_str_ref(out, row, SLICE_EMPTY);
            continue;
        }
        vec_set_null(out, row);
        if (s.len <= HEADER) {
            warn(ctx, ER_ZLIB_Z_DATA_ERROR, "ZLIB: Input data corrupted");
            continue;
        }
        uLongf len = stored_length(s);
        if (len > func__packet_max(ctx)) {
            const char *text = arena_printf(
                ctx->arena,
                "Uncompressed data size too large; the maximum size is %llu (probably, length of "
                "uncompressed data was corrupted)",
                (unsigned long long)func__packet_max(ctx));
            warn(ctx, ER_TOO_BIG_FOR_UNCOMPRESS, text == NULL ? "" : text);
            continue;
        }
        uint8_t *p;
        TRY(func__bytes(ctx, len, &p));
        int rc = uncompress(p, &len, s.ptr + HEADER, s.len - HEADER);
        if (rc != Z_OK) {
            warn(ctx, rc == Z_BUF_ERROR ? ER_ZLIB_Z_BUF_ERROR : ER_ZLIB_Z_DATA_ERROR,
                 rc == Z_BUF_ERROR ? "ZLIB: Not enough room in the output buffer (probably, length "
                                     "of uncompressed data was corrupted)"
                                   : "ZLIB: Input data corrupted");
            continue;
        }
        out->nulls[row >> 6] &= ~(1ull << (row & 63));
        vec_set_str_ref(out, row, slice_of(p, len));
    }
    return ERR_OK;
}

db_err crypto_length(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        vec_set_i64(out, row, s.len > HEADER ? stored_length(s) : 0);
        if (s.len > HEADER || s.len == 0) {
            continue;
        }
        warn(ctx, ER_ZLIB_Z_DATA_ERROR, "ZLIB: Input data corrupted");
    }
    return ERR_OK;
}
