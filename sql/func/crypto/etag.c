/* ETAG: a hash of values that is the same as long as they are. The 128-bit XXH3 hashes of the
 * arguments are added up, so that their order does not count. What is hashed is a value's text; of
 * a JSON value it is what MySQL makes keys of: a byte for the kind of a container and of what has
 * no value of its own, numbers as doubles, times as packed integers, text as it is, keys before
 * values. What is empty or zero counts as one zero byte. */
#include "sql/func/families.h"

#include <stdio.h>
#include <xxhash.h>

#include "sql/types/json.h"
#include "sql/types/temporal.h"

enum { ETAG_CHARS = 32 };
enum { KEY_OBJECT = 5, KEY_ARRAY = 6, KEY_FALSE = 7, KEY_TRUE = 8 };

db_err crypto_bind_etag(BIND_ARGS)
{
    for (uint32_t i = 0; i < call->arg_count; i++) {
        if (args[i].type.id == TYPE_VECTOR || args[i].type.id == TYPE_GEOMETRY) {
            return my_error(ctx->diag, ER_ETAG_NOT_SUPPORTED);
        }
        if (args[i].type.id != TYPE_JSON) {
            func__want_text(ctx, &args[i]);
        }
    }
    func__result_null(call, type_null());
    func__result_ascii(ctx, call, ETAG_CHARS);
    return ERR_OK;
}

static db_err add_bytes(struct buf *key, const void *ptr, size_t len)
{
    return len == 0 ? buf_append_u8(key, 0) : buf_append(key, ptr, len);
}

static db_err add_number(struct buf *key, double d)
{
    return d == 0 ? buf_append_u8(key, 0) : buf_append(key, &d, sizeof(d));
}

/* MYSQL's packed times. */
static db_err add_time(struct buf *key, const struct json_view *v)
{
    struct time_parts p;
    bool time = v->type == JSON_TIME;
    if (time) {
        time_unpack(json_time(v), &p);
    } else {
        datetime_unpack(json_time(v), &p);
    }
    int64_t days = time ? 0 : (int64_t)((p.year * 13 + p.month) << 5 | p.day);
    int64_t clock = (int64_t)(p.hour << 12 | p.minute << 6 | p.second);
    int64_t packed = (days << 17 | clock) << 24 | p.micro;
    packed = time && p.neg ? -packed : packed;
    return packed == 0 ? buf_append_u8(key, 0) : buf_append(key, &packed, sizeof(packed));
}

/* Documents are at most JSON_DEPTH_MAX levels deep. */
static db_err add_json(struct buf *key, const struct json_view *v)
{
    switch ((enum json_type)v->type) {
    case JSON_NULL: return buf_append_u8(key, 0);
    case JSON_INT:
    case JSON_UINT:
    case JSON_DOUBLE:
    case JSON_DECIMAL: return add_number(key, json_number(v));
    case JSON_STRING:
    case JSON_OPAQUE: return add_bytes(key, json_str(v).ptr, json_str(v).len);
    case JSON_BOOLEAN: return buf_append_u8(key, json_bool(v) ? KEY_TRUE : KEY_FALSE);
    case JSON_DATE:
    case JSON_TIME:
    case JSON_DATETIME: return add_time(key, v);
    case JSON_OBJECT:
    case JSON_ARRAY: break;
    }
    TRY(buf_append_u8(key, v->type == JSON_OBJECT ? KEY_OBJECT : KEY_ARRAY));
    for (uint32_t i = 0; i < json_count(v); i++) {
        struct json_view child = json_at(v, i);
        if (v->type == JSON_OBJECT) {
            TRY(add_bytes(key, json_key_at(v, i).ptr, json_key_at(v, i).len));
        }
        TRY(add_json(key, &child));
    }
    return ERR_OK;
}

static db_err hash_of(const struct vector *v, uint32_t row, struct buf *key, unsigned __int128 *ret)
{
    static const char null[] = {1, 0};
    struct slice s = vec_is_null(v, row) ? slice_of(null, sizeof(null)) : vec_str(v, row);
    if (v->type->id == TYPE_JSON && !vec_is_null(v, row)) {
        struct json_view doc = json_view_of(s);
        buf_reset(key);
        TRY(add_json(key, &doc));
        s = buf_slice(key);
    }
    if (s.len == 0) {
        s = slice_of("", 1);
    }
    XXH128_hash_t h = XXH3_128bits(s.ptr, s.len);
    *ret = (unsigned __int128)h.high64 << 64 | h.low64;
    return ERR_OK;
}

db_err crypto_etag(EVAL_ARGS)
{
    SCOPE_BUF(key, SIZE_MAX / 2);
    EACH_ROW(row)
    {
        unsigned __int128 sum = 0;
        unsigned __int128 one;
        char text[ETAG_CHARS + 1];
        for (uint32_t i = 0; i < call->arg_count; i++) {
            TRY(hash_of(args[i], row, &key, &one));
            sum += one;
        }
        snprintf(text, sizeof(text), "%016llx%016llx", (unsigned long long)(sum >> 64),
                 (unsigned long long)sum);
        TRY(func__set_ascii(ctx, out, row, slice_of(text, ETAG_CHARS)));
    }
    return ERR_OK;
}
