/* Collations that compare bytes: binary and utf8mb4_0900_bin (no padding), and the _bin collations
 * of UTF-8 (PAD SPACE; the order of the bytes is the order of the code points). */
#include "sql/charset/charset_int.h"
#include "sql/charset/hash.h"

static int bytes_compare(const struct collation *c UNUSED, struct slice a, struct slice b)
{
    return slice_cmp(a, b);
}

static uint64_t bytes_hash(const struct collation *c UNUSED, struct slice s, uint64_t seed)
{
    return hash_bytes(s.ptr, s.len, seed);
}

static db_err bytes_sort_key(const struct collation *c UNUSED, struct slice s, struct buf *out)
{
    return buf_append_slice(out, s);
}

static int bytes_compare_char(const struct collation *c UNUSED, uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int bin_compare(const struct collation *c UNUSED, struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int cmp = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    if (cmp != 0 || a.len == b.len) {
        return cmp;
    }
    bool a_longer = a.len > b.len;
    struct slice rest = slice_from(a_longer ? a : b, n);
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.ptr[i] != ' ') {
            return (rest.ptr[i] > ' ') == a_longer ? 1 : -1;
        }
    }
    return 0;
}

static uint64_t bin_hash(const struct collation *c UNUSED, struct slice s, uint64_t seed)
{
    s = charset_trim_space(s);
    return hash_bytes(s.ptr, s.len, seed);
}

static db_err bin_sort_key(const struct collation *c UNUSED, struct slice s, struct buf *out)
{
    return buf_append_slice(out, charset_trim_space(s));
}

const struct collation_ops collation_bytes_ops = {
    "bytes", bytes_compare, bytes_hash, bytes_sort_key, bytes_compare_char,
};
const struct collation_ops collation_bin_ops = {
    "bin", bin_compare, bin_hash, bin_sort_key, bytes_compare_char,
};
