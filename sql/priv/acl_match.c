/* Which account a client is, and which database patterns fit a name. */
#include <arpa/inet.h>

#include "sql/priv/acl_int.h"

/* ---- hosts ---- */

/* % any run, _ one character; without case. Iterative: the last % is where a mismatch goes back
 * to, so that a pattern of many % costs no more than length times length. */
static bool host_like(const char *pattern, struct slice host)
{
    const char *star = NULL;
    size_t at = 0;
    size_t star_at = 0;
    while (at < host.len) {
        if (*pattern == '%') {
            star = ++pattern;
            star_at = at;
        } else if (*pattern != '\0' &&
                   (*pattern == '_' ||
                    slice_eq_nocase(slice_of(pattern, 1), slice_of(host.ptr + at, 1)))) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*pattern == '%') {
        pattern++;
    }
    return *pattern == '\0';
}

/* address/mask or address/bits, both IPv4 or (bits only) IPv6. */
static bool parse_ip(struct slice text, uint8_t ret[16], int *ret_family)
{
    char s[64];
    if (text.len >= sizeof(s)) {
        return false;
    }
    memcpy(s, text.ptr, text.len);
    s[text.len] = '\0';
    *ret_family = AF_INET;
    if (inet_pton(AF_INET, s, ret) == 1) {
        return true;
    }
    *ret_family = AF_INET6;
    return inet_pton(AF_INET6, s, ret) == 1;
}

static bool parse_bits(struct slice text, unsigned max, unsigned *ret)
{
    unsigned n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || n > max) {
            return false;
        }
        n = n * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *ret = n;
    return text.len != 0 && n <= max;
}

static bool in_network(struct slice pattern, size_t slash, struct slice host)
{
    uint8_t net[16] = {0};
    uint8_t mask[16] = {0};
    uint8_t ip[16] = {0};
    int family;
    int other;
    unsigned bits;
    struct slice tail = slice_from(pattern, slash + 1);
    if (!parse_ip(slice_of(pattern.ptr, slash), net, &family) || !parse_ip(host, ip, &other) ||
        family != other) {
        return false;
    }
    size_t size = family == AF_INET ? 4 : 16;
    if (parse_bits(tail, (unsigned)size * 8, &bits)) {
        for (unsigned i = 0; i < bits; i++) {
            mask[i / 8] |= (uint8_t)(0x80 >> (i % 8));
        }
    } else if (!parse_ip(tail, mask, &other) || other != family) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if ((ip[i] & mask[i]) != net[i]) {
            return false; /* MYSQL: an address with bits outside of its mask fits nothing */
        }
    }
    return true;
}

bool acl_host_fits(const char *pattern, struct slice host)
{
    struct slice p = slice_str(pattern);
    const char *slash = strchr(pattern, '/');
    if (slash != NULL && in_network(p, (size_t)(slash - pattern), host)) {
        return true;
    }
    return host_like(pattern, host);
}

/* MYSQL: what has no wildcard comes first, then by the length of what stands before it. */
unsigned acl_specificity(struct slice pattern)
{
    enum { LITERAL = 1000 };
    unsigned n = 0;
    for (size_t i = 0; i < pattern.len; i++, n++) {
        if (pattern.ptr[i] == '\\' && i + 1 < pattern.len) {
            i++;
        } else if (pattern.ptr[i] == '%' || pattern.ptr[i] == '_') {
            return n;
        }
    }
    return LITERAL;
}

unsigned acl_host_rank(const struct acl_user *u, struct slice host)
{
    enum { EXACT = 3000, LITERAL = 2000 };
    if (slice_eq_nocase(u->host, host)) {
        return EXACT;
    }
    bool network = memchr(u->host.ptr, '/', u->host.len) != NULL;
    unsigned n = acl_specificity(u->host);
    return n == 1000 && !network ? LITERAL : n;
}

const struct acl_user *acl_match(const struct acl *acl, struct slice user, struct slice host)
{
    const struct acl_user *best = NULL;
    unsigned best_rank = 0;
    for (uint32_t i = 0; i < acl->count; i++) {
        const struct acl_user *u = acl->users[i];
        bool anonymous = u->user.len == 0;
        if ((!anonymous && !slice_eq(u->user, user)) || !acl_host_fits(u->account.host, host)) {
            continue;
        }
        unsigned rank = acl_host_rank(u, host) * 2 + (anonymous ? 0 : 1) + 1;
        if (rank > best_rank) {
            best = u;
            best_rank = rank;
        }
    }
    return best;
}

const struct acl_user *acl_find(const struct acl *acl, struct slice user, struct slice host)
{
    uint32_t low = 0;
    uint32_t high = acl->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct acl_user *u = acl->users[mid];
        int c = name__cmp(u->user, u->host, user, host);
        if (c == 0) {
            return u;
        }
        if (c < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

/* ---- databases ---- */

enum glyph_kind { GLYPH_CHAR, GLYPH_ONE, GLYPH_MANY };
struct glyph {
    enum glyph_kind kind;
    uint8_t c;
    uint8_t size; /* bytes of the text */
};

/* `at` is within s. */
static struct glyph glyph_at(struct slice s, size_t at, bool is_pattern)
{
    uint8_t c = s.ptr[at];
    if (is_pattern && c == '\\' && at + 1 < s.len) {
        return (struct glyph){GLYPH_CHAR, s.ptr[at + 1], 2};
    }
    if (is_pattern && (c == '%' || c == '_')) {
        return (struct glyph){c == '%' ? GLYPH_MANY : GLYPH_ONE, c, 1};
    }
    return (struct glyph){GLYPH_CHAR, c, 1};
}

/* Does everything that `text` stands for fit the pattern? What one glyph of the pattern covers is
 * one glyph of the text; a % of the text only a % covers. */
static bool covers(struct slice pattern, struct slice text, bool text_is_pattern)
{
    size_t p = 0;
    size_t at = 0;
    size_t star = SIZE_MAX;
    size_t star_at = 0;
    while (at < text.len) {
        struct glyph t = glyph_at(text, at, text_is_pattern);
        struct glyph g = {GLYPH_CHAR, 0, 0};
        if (p < pattern.len) {
            g = glyph_at(pattern, p, true);
        }
        if (g.kind == GLYPH_MANY) {
            star = ++p;
            star_at = at;
        } else if (g.size != 0 && (g.kind == GLYPH_ONE ? t.kind != GLYPH_MANY
                                                       : t.kind == GLYPH_CHAR && t.c == g.c)) {
            p += g.size;
            at += t.size;
        } else if (star != SIZE_MAX) {
            p = star;
            star_at += glyph_at(text, star_at, text_is_pattern).size;
            at = star_at;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '%') {
        p++;
    }
    return p == pattern.len;
}

bool acl_db_fits(struct slice pattern, struct slice schema)
{
    return covers(pattern, schema, false);
}

bool acl_db_covers(struct slice pattern, struct slice other)
{
    return covers(pattern, other, true);
}
