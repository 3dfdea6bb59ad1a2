/* Network addresses as numbers and bytes. */
#include "sql/func/families.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { V4_BYTES = 4, V6_BYTES = 16 };

db_err info_bind_inet_aton(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    func__result_null(call, func__ubigint(21));
    return ERR_OK;
}

db_err info_bind_inet_ntoa(BIND_ARGS)
{
    enum { CHARS = 31 };
    func__want_int(&args[0]);
    func__result_ascii(ctx, call, CHARS);
    return ERR_OK;
}

/* variant 1: INET6_NTOA. */
db_err info_bind_inet6(BIND_ARGS)
{
    enum { CHARS = 39 };
    func__want_text(ctx, &args[0]);
    if (call->variant == 1) {
        func__result_ascii(ctx, call, CHARS);
    } else {
        func__result_null(call, func__text(V6_BYTES, COLL_BINARY));
        call->coercibility = 4;
    }
    return ERR_OK;
}

enum { IP_OF_NUMBER = 4 }; /* with the variants of info_is_ip */

db_err info_bind_is_ip(BIND_ARGS)
{
    /* MYSQL: no number is an address, nor is NULL among numbers */
    call->variant |= type_is_numeric(&args[0].type) ? IP_OF_NUMBER : 0;
    func__want_text(ctx, &args[0]);
    func__result(call, args, func__bool());
    return ERR_OK;
}

/* MYSQL: up to four parts of a byte each; with fewer the last part stands at the end: 127.1. */
static bool parse_v4(struct slice s, uint64_t *ret)
{
    uint64_t all = 0;
    uint64_t part = 0;
    unsigned dots = 0;
    uint8_t last = '.';
    for (size_t i = 0; i < s.len; i++) {
        last = s.ptr[i];
        if (last >= '0' && last <= '9') {
            part = part * 10 + (last - '0');
            if (part > 255) {
                return false;
            }
        } else if (last == '.' && dots < 3) {
            dots++;
            all = all << 8 | part;
            part = 0;
        } else {
            return false;
        }
    }
    if (last == '.') {
        return false;
    }
    for (unsigned d = dots; d < 3 && dots != 0; d++) {
        all <<= 8;
    }
    *ret = all << 8 | part;
    return true;
}

db_err info_inet_aton(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        uint64_t v;
        if (parse_v4(s, &v)) {
            vec_set_i64(out, row, (int64_t)v);
        } else {
            func__wrong_value(ctx, call, 0, "string", out, row);
        }
    }
    return ERR_OK;
}

db_err info_inet_ntoa(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        uint64_t v = vec_u64(args[0], row);
        if (v > UINT32_MAX) {
            func__wrong_value(ctx, call, 0, "integer", out, row);
            continue;
        }
        char text[INET_ADDRSTRLEN];
        int len =
            snprintf(text, sizeof(text), "%u.%u.%u.%u", (unsigned)(v >> 24),
                     (unsigned)(v >> 16 & 255), (unsigned)(v >> 8 & 255), (unsigned)(v & 255));
        TRY(func__set_ascii(ctx, out, row, slice_of(text, (size_t)len)));
    }
    return ERR_OK;
}

/* Copies the text, the numbers of a v4 address in it, or at its end, without the zeros before them:
 * MySQL takes up to three digits, inet_pton() no such zeros. */
static void copy_plain(struct slice s, char *out)
{
    enum { DIGITS_MAX = 3 };
    size_t at = s.len;
    while (at > 0 && s.ptr[at - 1] != ':') {
        at--;
    }
    bool v4 = memchr(s.ptr + at, '.', s.len - at) != NULL;
    memcpy(out, s.ptr, at);
    size_t len = at;
    while (at < s.len) {
        size_t end = at;
        while (end < s.len && s.ptr[end] >= '0' && s.ptr[end] <= '9') {
            end++;
        }
        for (size_t n = end - at; v4 && n > 1 && n <= DIGITS_MAX && s.ptr[at] == '0'; n--) {
            at++;
        }
        end += end < s.len; /* what ends the number */
        memcpy(out + len, s.ptr + at, end - at);
        len += end - at;
        at = end;
    }
    out[len] = '\0';
}

/* The bytes of a v4 or v6 address; 0: the text is neither. */
static size_t parse_any(struct slice s, bool v4, bool v6, uint8_t bytes[V6_BYTES])
{
    char text[INET6_ADDRSTRLEN + 1];
    if (s.len >= sizeof(text) || memchr(s.ptr, 0, s.len) != NULL) {
        return 0;
    }
    copy_plain(s, text);
    if (v4 && inet_pton(AF_INET, text, bytes) == 1) {
        return V4_BYTES;
    }
    return v6 && inet_pton(AF_INET6, text, bytes) == 1 ? V6_BYTES : 0;
}

db_err info_inet6_aton(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        uint8_t bytes[V6_BYTES];
        size_t len = s.len == 0 ? 0 : parse_any(s, true, true, bytes);
        if (len == 0) {
            func__wrong_value(ctx, call, 0, "string", out, row);
            continue;
        }
        TRY(vec_set_str(out, row, slice_of(bytes, len)));
    }
    return ERR_OK;
}

db_err info_inet6_ntoa(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        char text[INET6_ADDRSTRLEN];
        bool binary = call->arg_types[0].collation == COLL_BINARY;
        if (!binary || (s.len != V4_BYTES && s.len != V6_BYTES) ||
            inet_ntop(s.len == V4_BYTES ? AF_INET : AF_INET6, s.ptr, text, sizeof(text)) == NULL) {
            func__wrong_value(ctx, call, 0, "string", out, row);
            continue;
        }
        TRY(func__set_ascii(ctx, out, row, slice_str(text)));
    }
    return ERR_OK;
}

static bool is_embedded(struct slice s, bool mapped)
{
    static const uint8_t zeros[12];
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    if (s.len != V6_BYTES) {
        return false;
    }
    if (mapped) {
        return memcmp(s.ptr, prefix, sizeof(prefix)) == 0;
    }
    /* ::0 and ::1 are no IPv4 addresses. */
    bool high = s.ptr[12] != 0 || s.ptr[13] != 0 || s.ptr[14] != 0 || s.ptr[15] > 1;
    return memcmp(s.ptr, zeros, sizeof(zeros)) == 0 && high;
}

/* variant: 0 is_ipv4, 1 is_ipv6, 2 is_ipv4_compat, 3 is_ipv4_mapped. */
db_err info_is_ip(EVAL_ARGS)
{
    (void)ctx;
    bool number = (call->variant & IP_OF_NUMBER) != 0;
    EACH_ROW(row)
    {
        if (number) {
            vec_set_i64(out, row, 0);
            continue;
        }
        if (vec_is_null(args[0], row)) {
            vec_set_null(out, row);
            continue;
        }
        struct slice s = vec_str(args[0], row);
        uint8_t bytes[V6_BYTES];
        bool is = call->variant >= 2 ? is_embedded(s, call->variant == 3)
                                     : s.len != 0 && parse_any(s, call->variant == 0,
                                                               call->variant == 1, bytes) != 0;
        vec_set_i64(out, row, is);
    }
    return ERR_OK;
}
