/* UUID() makes version 1 ids: a 60-bit time of 100 ns, a clock sequence and a node number, both
 * drawn once per process. The time is a process-wide atomic that only goes forward, so that no two
 * calls on any thread give the same id. */
#include "sql/func/families.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"

enum { UUID_BYTES = 16, UUID_CHARS = 36, HEX_CHARS = 32 };
/* 100 ns between 1582-10-15 and 1970-01-01. */
#define GREGORIAN_OFFSET 0x01b21dd213814000ull

static _Atomic uint64_t g_last_tick;
static _Atomic uint64_t g_short_next;
static pthread_once_t g_once = PTHREAD_ONCE_INIT;
static uint8_t g_node[8]; /* clock sequence, node */
static bool g_ready;

static void draw_node(void)
{
    uint8_t first;
    if (rand_secure(g_node, sizeof(g_node)) != ERR_OK || rand_secure(&first, 1) != ERR_OK) {
        return;
    }
    g_node[0] = (uint8_t)((g_node[0] & 0x3f) | 0x80);
    g_node[2] |= 1; /* a multicast address: no real card has it */
    enum { SECONDS_BITS = 32, COUNTER_BITS = 24 };
    uint64_t seconds = clock_wall_us() / 1000000 & ((1ull << SECONDS_BITS) - 1);
    atomic_store(&g_short_next, (uint64_t)first << 56 | seconds << COUNTER_BITS);
    g_ready = true;
}

static db_err ready(struct eval_ctx *ctx)
{
    pthread_once(&g_once, draw_node);
    return g_ready ? ERR_OK : diag_set(ctx->diag, ERR_UNAVAILABLE, "no random numbers");
}

static uint64_t next_tick(void)
{
    uint64_t now = clock_wall_us() * 10 + GREGORIAN_OFFSET;
    uint64_t last = atomic_load(&g_last_tick);
    uint64_t tick;
    do {
        tick = now > last ? now : last + 1;
    } while (!atomic_compare_exchange_weak(&g_last_tick, &last, tick));
    return tick;
}

db_err crypto_bind_uuid(BIND_ARGS)
{
    (void)ctx;
    (void)args;
    func__result_null(call, type_char(TYPE_VARCHAR, UUID_CHARS, COLL_UTF8MB3_GENERAL_CI));
    call->coercibility = 4;
    return ERR_OK;
}

static void print(const uint8_t b[UUID_BYTES], char text[UUID_CHARS])
{
    size_t at = 0;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            text[at++] = '-';
        }
        text[at++] = "0123456789abcdef"[b[i] >> 4];
        text[at++] = "0123456789abcdef"[b[i] & 15];
    }
}

db_err crypto_uuid(EVAL_ARGS)
{
    (void)call;
    (void)args;
    TRY(ready(ctx));
    EACH_ROW(row)
    {
        uint64_t t = next_tick();
        uint8_t b[UUID_BYTES];
        char text[UUID_CHARS];
        for (int i = 0; i < 4; i++) {
            b[i] = (uint8_t)(t >> (24 - 8 * i));
        }
        b[4] = (uint8_t)(t >> 40);
        b[5] = (uint8_t)(t >> 32);
        b[6] = (uint8_t)((t >> 56 & 15) | 0x10);
        b[7] = (uint8_t)(t >> 48);
        memcpy(b + 8, g_node, sizeof(g_node));
        print(b, text);
        TRY(func__set_ascii(ctx, out, row, slice_of(text, UUID_CHARS)));
    }
    return ERR_OK;
}

db_err crypto_bind_uuid_short(BIND_ARGS)
{
    (void)ctx;
    (void)args;
    func__result_not_null(call, func__ubigint(21));
    return ERR_OK;
}

db_err crypto_uuid_short(EVAL_ARGS)
{
    (void)call;
    (void)args;
    TRY(ready(ctx));
    EACH_ROW(row)
    {
        vec_set_i64(out, row, (int64_t)atomic_fetch_add(&g_short_next, 1));
    }
    return ERR_OK;
}

/* ---- text and bytes ---- */

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* 32 digits; 8-4-4-4-12; the same in braces. */
static bool parse(struct slice s, uint8_t ret[UUID_BYTES])
{
    if (s.len == UUID_CHARS + 2) {
        if (s.ptr[0] != '{' || s.ptr[s.len - 1] != '}') {
            return false;
        }
        s = slice_of(s.ptr + 1, UUID_CHARS);
    }
    bool dashes = s.len == UUID_CHARS;
    size_t at = 0;
    if (!dashes && s.len != HEX_CHARS) {
        return false;
    }
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (dashes && (i == 4 || i == 6 || i == 8 || i == 10) && s.ptr[at++] != '-') {
            return false;
        }
        int high = hex_digit(s.ptr[at]);
        int low = hex_digit(s.ptr[at + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

db_err crypto_bind_is_uuid(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    func__result_null(call, func__bool());
    return ERR_OK;
}

db_err crypto_is_uuid(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        uint8_t b[UUID_BYTES];
        vec_set_i64(out, row, parse(vec_str(args[0], row), b));
    }
    return ERR_OK;
}

static db_err wrong(struct eval_ctx *ctx, const struct func_call *call, struct slice s)
{
    char bytes[CAST_BYTES_TEXT_MAX];
    const char *shown = arena_strdup(ctx->arena, s);
    if (!charset_valid(collation_by_id(COLL_UTF8MB4_BIN)->cs, s)) {
        cast_bytes_text(s, bytes);
        shown = bytes;
    }
    return my_error(ctx->diag, ER_WRONG_VALUE_FOR_TYPE, "string", shown, call->def->name);
}

/* The time's high part first, so that ids of one time lie together. */
static void swap_in(const uint8_t b[UUID_BYTES], uint8_t ret[UUID_BYTES])
{
    memcpy(ret, b + 6, 2);
    memcpy(ret + 2, b + 4, 2);
    memcpy(ret + 4, b, 4);
    memcpy(ret + 8, b + 8, 8);
}

static void swap_out(const uint8_t b[UUID_BYTES], uint8_t ret[UUID_BYTES])
{
    memcpy(ret, b + 4, 4);
    memcpy(ret + 4, b + 2, 2);
    memcpy(ret + 6, b, 2);
    memcpy(ret + 8, b + 8, 8);
}

/* func_call.needs. MYSQL: whether parts are to be swapped is asked when there are any. */
static bool is_converted(struct eval_ctx *ctx, const struct func_call *call,
                         struct vector *const *args, uint32_t k, uint32_t row)
{
    uint8_t b[UUID_BYTES];
    (void)ctx;
    (void)k;
    if (vec_is_null(args[0], row)) {
        return false;
    }
    struct slice s = vec_str(args[0], row);
    return call->variant == 1 ? s.len == UUID_BYTES : parse(s, b);
}

/* Are the parts to be swapped? */
static db_err swaps(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,
                    uint32_t row, bool *ret)
{
    *ret = false;
    if (call->arg_count == 1 || vec_is_null(args[1], row)) {
        return ERR_OK;
    }
    struct value v;
    vector_get(args[1], row, &v);
    return value_is_true(ctx->cast, args[1]->type, &v, ret);
}

db_err crypto_bind_uuid_bin(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    if (call->arg_count == 2) {
        if (args[1].type.id == TYPE_JSON) {
            func__want_double(&args[1]);
        } else {
            func__want_truth(&args[1]);
        }
        call->needs = is_converted;
    }
    if (call->variant == 1) {
        func__result_ascii(ctx, call, UUID_CHARS);
    } else {
        func__result_null(call, func__text(UUID_BYTES, COLL_BINARY));
        call->coercibility = 4;
    }
    return ERR_OK;
}

db_err crypto_uuid_to_bin(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        uint8_t b[UUID_BYTES];
        uint8_t swapped[UUID_BYTES];
        if (vec_is_null(args[0], row)) {
            vec_set_null(out, row);
            continue;
        }
        struct slice s = vec_str(args[0], row);
        if (!parse(s, b)) {
            return wrong(ctx, call, s);
        }
        bool swap;
        TRY(swaps(ctx, call, args, row, &swap));
        swap_in(b, swapped);
        TRY(vec_set_str(out, row, slice_of(swap ? swapped : b, UUID_BYTES)));
    }
    return ERR_OK;
}

db_err crypto_bin_to_uuid(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        uint8_t plain[UUID_BYTES];
        char text[UUID_CHARS];
        if (vec_is_null(args[0], row)) {
            vec_set_null(out, row);
            continue;
        }
        struct slice s = vec_str(args[0], row);
        if (s.len != UUID_BYTES) {
            return wrong(ctx, call, s);
        }
        bool swap;
        TRY(swaps(ctx, call, args, row, &swap));
        swap_out(s.ptr, plain);
        print(swap ? plain : s.ptr, text);
        TRY(func__set_ascii(ctx, out, row, slice_of(text, UUID_CHARS)));
    }
    return ERR_OK;
}
