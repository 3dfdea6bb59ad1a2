/* WEIGHT_STRING: what text is compared by; of integers, dates and times the eight bytes that sort
 * as they do. Other numbers have none. */
#include "sql/func/families.h"

/* MYSQL: the room that is made for the weights of so many bytes of text, each taken for a
 * character. */
static uint64_t weight_bytes(const struct collation *c, uint64_t bytes)
{
    enum { LEVEL_0900 = 16, BETWEEN_LEVELS = 2 };
    unsigned levels = collation_levels(c);
    switch (c->id) {
    case COLL_UTF8MB3_GENERAL_CI:
    case COLL_UTF8MB3_BIN:
    case COLL_UTF8MB4_GENERAL_CI: return bytes * 2;
    case COLL_UTF8MB4_BIN: return bytes * 3;
    default: break;
    }
    return c->sortlen == 0 ? bytes * LEVEL_0900 * levels + (levels - 1) * BETWEEN_LEVELS
                           : bytes * c->sortlen * c->cs->maxlen;
}

enum weight_of { WEIGHT_NONE, WEIGHT_TEXT, WEIGHT_NUMBER };

static bool sorts_as_number(const struct sql_type *t)
{
    return type_is_integer(t) || t->id == TYPE_BIT || t->id == TYPE_YEAR || t->id == TYPE_ENUM ||
           t->id == TYPE_SET || type_is_temporal(t);
}

/* A date or time as MySQL packs it, that bits of one field follow those of a greater. */
static int64_t packed_moment(enum type_id id, int64_t v)
{
    enum { MONTHS = 13, TIME_BASE_BIT = 47 };
    struct time_parts p;
    if (id == TYPE_TIME) {
        time_unpack(v, &p);
    } else {
        datetime_unpack(v, &p);
    }
    if (id == TYPE_DATE) {
        return (int64_t)p.year << 9 | (int64_t)p.month << 5 | p.day;
    }
    int64_t clock = ((int64_t)p.hour << 12 | (int64_t)p.minute << 6 | p.second) << 24 | p.micro;
    if (id == TYPE_TIME) {
        return (p.neg ? ~clock : clock) + (1ll << TIME_BASE_BIT);
    }
    return (((int64_t)p.year * MONTHS + p.month) << 5 | p.day) << 41 | clock;
}

/* WEIGHT_STRING(s), (s, is_binary, count) for s AS ..., (s, bytes, count, flags). */
db_err string_bind_weight(BIND_ARGS)
{
    enum { ANNOUNCED_MIN = 8 };
    const struct collation *c;
    int64_t count = 0;
    int64_t binary = 0;
    int64_t bytes = 0;
    if (call->arg_count >= 3) {
        (void)func__const_int(ctx, &args[1], call->arg_count == 4 ? &bytes : &binary);
        (void)func__const_int(ctx, &args[2], &count);
    }
    bool json = args[0].type.id == TYPE_JSON;
    uint64_t from = func__byte_length(&args[0].type);
    if (binary == 0 && sorts_as_number(&args[0].type)) {
        call->variant = WEIGHT_NUMBER;
        if (args[0].type.id == TYPE_TIMESTAMP) {
            func__want_datetime(&args[0]);
        } else if (args[0].type.id == TYPE_ENUM || args[0].type.id == TYPE_SET) {
            func__want(&args[0], type_int(TYPE_BIGINT, false));
        }
    } else {
        bool text = func__is_text(&args[0].type) || json || binary != 0;
        call->variant = text ? WEIGHT_TEXT : WEIGHT_NONE;
        func__want_text(ctx, &args[0]);
    }
    call->coercibility = 4;
    TRY(collation_require_id(json ? (unsigned)COLL_UTF8MB4_BIN : args[0].type.collation, ctx->diag,
                             &c));
    call->collation = c->id;
    from = (uint64_t)count > from ? (uint64_t)count : from;
    uint64_t to = bytes > 0     ? (uint64_t)bytes
                  : binary != 0 ? (uint64_t)count
                                : weight_bytes(c, from);
    func__result_null(call, func__text(to < ANNOUNCED_MIN ? ANNOUNCED_MIN : to, COLL_BINARY));
    return ERR_OK;
}

/* s AS BINARY(n): cut, with a warning, or filled up, as CAST does it. */
static db_err weight_of_bytes(struct eval_ctx *ctx, const struct func_call *call,
                              struct vector *const *args, uint32_t row, struct vector *out)
{
    uint64_t len = vec_u64(args[2], row);
    if (len > func__packet_max(ctx)) {
        vec_set_null(out, row);
        func__warn(ctx, ER_WARN_ALLOWED_PACKET_OVERFLOWED, "cast_as_binary",
                   (long)func__packet_max(ctx));
        return ERR_OK;
    }
    struct value v;
    struct sql_type t = type_char(TYPE_BINARY, (uint32_t)len, COLL_BINARY);
    vector_get(args[0], row, &v);
    TRY(value_cast(ctx->cast, &call->arg_types[0], &v, &t, &v));
    if (v.is_null) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    vec_set_str_ref(out, row, v.str);
    return ERR_OK;
}

/* What of the text has weights, and how many bytes of them there are. */
struct weight_extent {
    uint64_t chars; /* 0: all of the text */
    uint64_t bytes; /* 0: all of them */
    bool fill;      /* to that many */
};

static db_err fill_weights(const struct collation *c, struct slice s, const struct weight_extent *x,
                           struct buf *b)
{
    uint8_t space[8];
    SCOPE_BUF(weight, sizeof(space));
    if (c->pad == COLLATION_PAD_SPACE) {
        unsigned space_len = charset_encode(c->cs, ' ', space);
        TRY(collation_weight_string(c, slice_of(space, space_len), &weight));
        for (size_t have = charset_char_count(c->cs, s); have < x->chars; have++) {
            TRY(buf_append_slice(b, buf_slice(&weight)));
        }
    } else {
        TRY(buf_append_u8(&weight, 0));
    }
    while (x->fill && b->len < x->bytes) {
        TRY(buf_append_slice(b, buf_slice(&weight)));
    }
    if (x->bytes != 0 && b->len > x->bytes) {
        b->len = x->bytes;
    }
    return ERR_OK;
}

/* Most significant byte first; what has a sign begins in the middle. */
static db_err weight_of_number(const struct sql_type *t, int64_t v, struct vector *out,
                               uint32_t row)
{
    uint8_t bytes[sizeof(uint64_t)];
    bool uns = type_is_unsigned(t) || t->id == TYPE_BIT || t->id == TYPE_YEAR;
    uint64_t u = (uint64_t)(type_is_temporal(t) ? packed_moment((enum type_id)t->id, v) : v);
    u ^= uns ? 0 : 1ull << 63;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(u >> (56 - 8 * i));
    }
    return vec_set_str(out, row, slice_of(bytes, sizeof(bytes)));
}

db_err string_weight(EVAL_ARGS)
{
    enum { FLAG_FILL = 128 };
    const struct collation *c = collation_by_id(call->collation);
    SCOPE_BUF(b, SIZE_MAX / 2);
    EACH_ROW(row)
    {
        if (call->variant == WEIGHT_NUMBER) {
            TRY(weight_of_number(&call->arg_types[0], vec_i64(args[0], row), out, row));
            continue;
        }
        if (call->variant == WEIGHT_NONE) {
            vec_set_null(out, row);
            continue;
        }
        if (call->arg_count == 3 && vec_i64(args[1], row) != 0) {
            TRY(weight_of_bytes(ctx, call, args, row, out));
            continue;
        }
        struct slice s = vec_str(args[0], row);
        struct weight_extent x = {0};
        if (call->arg_count >= 3) {
            x.chars = vec_u64(args[2], row);
        }
        if (call->arg_count == 4) {
            x.bytes = vec_u64(args[1], row);
            x.fill = (vec_u64(args[3], row) & FLAG_FILL) != 0;
        }
        uint64_t from = x.chars > s.len ? x.chars : s.len;
        if ((x.bytes != 0 ? x.bytes : weight_bytes(c, from)) > func__packet_max(ctx)) {
            func__too_long(ctx, call, out, row);
            continue;
        }
        if (x.chars != 0) {
            s = charset_substring(c->cs, s, 0, x.chars);
        }
        buf_reset(&b);
        TRY(collation_weight_string(c, s, &b));
        TRY(fill_weights(c, s, &x, &b));
        TRY(func__set_buf(ctx, out, row, &b));
    }
    return ERR_OK;
}
