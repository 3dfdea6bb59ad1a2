/* tis620_thai_ci: bytes compare in the order in which Thai is sorted, PAD SPACE.
 *
 * A vowel that is written before its consonant counts behind it. Tone marks and their like count
 * after everything else: the last byte becomes a number for the last mark, lower the more
 * characters stand before it. ASCII letters compare in lower case. */
#include "sql/charset/charset_int.h"
#include "sql/charset/hash.h"

enum { STACK_MAX = 512 };

static bool is_consonant(uint8_t c)
{
    return c >= 0xa1 && c <= 0xce;
}

static bool is_leading_vowel(uint8_t c)
{
    return c >= 0xe0 && c <= 0xe4;
}

/* Rank of a mark, 0: none. */
static unsigned mark_rank(uint8_t c)
{
    return c == 0xec ? 1 : c == 0xe7 ? 2 : c >= 0xe8 && c <= 0xeb ? c - 0xe8u + 3 : 0;
}

/* In place. */
static void make_sortable(uint8_t *s, size_t len)
{
    unsigned bias = 248;
    size_t at = 0;
    for (size_t left = len; left > 0; left--) {
        uint8_t c = s[at];
        if (c < 0x80) {
            bias -= 8;
            s[at++] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
            continue;
        }
        if (is_consonant(c)) {
            bias -= 8;
        }
        if (is_leading_vowel(c) && left > 1 && is_consonant(s[at + 1])) {
            s[at] = s[at + 1];
            s[at + 1] = c;
            at += 2;
            left--;
            continue;
        }
        unsigned rank = mark_rank(c);
        if (rank == 0) {
            at++;
            continue;
        }
        memmove(s + at, s + at + 1, left - 1);
        s[len - 1] = (uint8_t)(bias + rank);
    }
}

/* The sortable form in `stack` or, when it is too long, in *b; without memory the text itself. */
static struct slice sortable(struct slice s, uint8_t stack[STACK_MAX], struct buf *b)
{
    s = charset_trim_space(s);
    uint8_t *to = stack;
    if (s.len > STACK_MAX) {
        if (buf_append_slice(b, s) != ERR_OK) {
            return s;
        }
        to = b->ptr;
    } else if (s.len != 0) {
        memcpy(to, s.ptr, s.len);
    }
    make_sortable(to, s.len);
    return slice_of(to, s.len);
}

static int thai_compare(const struct collation *c UNUSED, struct slice a, struct slice b)
{
    uint8_t stack_a[STACK_MAX];
    uint8_t stack_b[STACK_MAX];
    struct buf more_a;
    struct buf more_b;
    buf_init(&more_a, SIZE_MAX / 2);
    buf_init(&more_b, SIZE_MAX / 2);
    int cmp =
        collation_bin_ops.compare(c, sortable(a, stack_a, &more_a), sortable(b, stack_b, &more_b));
    buf_fini(&more_a);
    buf_fini(&more_b);
    return cmp;
}

static uint64_t thai_hash(const struct collation *c UNUSED, struct slice s, uint64_t seed)
{
    uint8_t stack[STACK_MAX];
    struct buf more;
    buf_init(&more, SIZE_MAX / 2);
    struct slice sorted = charset_trim_space(sortable(s, stack, &more));
    uint64_t h = hash_bytes(sorted.ptr, sorted.len, seed);
    buf_fini(&more);
    return h;
}

static db_err thai_sort_key(const struct collation *c UNUSED, struct slice s, struct buf *out)
{
    s = charset_trim_space(s);
    size_t start = out->len;
    TRY(buf_append_slice(out, s));
    make_sortable(out->ptr + start, s.len);
    while (out->len > start && out->ptr[out->len - 1] == ' ') {
        out->len--;
    }
    return ERR_OK;
}

static uint32_t lower_ascii(uint32_t c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static int thai_compare_char(const struct collation *c UNUSED, uint32_t a, uint32_t b)
{
    a = lower_ascii(a);
    b = lower_ascii(b);
    return (a > b) - (a < b);
}

const struct collation_ops collation_thai_ops = {
    "thai", thai_compare, thai_hash, thai_sort_key, thai_compare_char,
};
