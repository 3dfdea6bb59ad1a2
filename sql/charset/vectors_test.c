/* Collations against what MySQL answered (data/vectors/, made by
 * scripts/gen/record_charset_vectors.py). */
#include "sql/charset/charset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static FILE *open_vectors(const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", CHARSET_VECTORS, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static const struct collation *find(const char *name)
{
    const struct collation *c = NULL;
    assert_int_equal(collation_require(slice_str(name), NULL, &c), ERR_OK);
    return c;
}

/* "'41C3A9" -> bytes. */
static struct slice unhex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (hex++; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        out[n++] = (uint8_t)byte;
    }
    return slice_of(out, n);
}

static void expect_bytes(const char *what, const char *line, struct slice got, struct slice want)
{
    if (!slice_eq(got, want)) {
        fprintf(stderr, "%s differs: %s got ", what, line);
        for (size_t i = 0; i < got.len; i++) {
            fprintf(stderr, "%02X", got.ptr[i]);
        }
        fprintf(stderr, "\n");
    }
    assert_true(slice_eq(got, want));
}

static void test_weights(void **state UNUSED)
{
    FILE *f = open_vectors("weights.txt");
    char line[256];
    unsigned blocks = 0;
    struct buf key;
    buf_init(&key, 1 << 16);
    while (fgets(line, sizeof(line), f) != NULL) {
        char name[64];
        unsigned page;
        unsigned long long want;
        if (sscanf(line, "%63s %X %llX", name, &page, &want) != 3 || name[0] == '#') {
            continue;
        }
        const struct collation *c = find(name);
        uint64_t h = 0xcbf29ce484222325ull;
        for (uint32_t cp = page << 8; cp < (page + 1) << 8; cp++) {
            uint8_t enc[4];
            unsigned n = utf8mb4_encode(cp, enc);
            assert_true(n != 0);
            buf_reset(&key);
            /* The space of a PAD SPACE collation is trimmed from a key; its weight is known. */
            if (cp == ' ' && c->pad == COLLATION_PAD_SPACE) {
                assert_int_equal(buf_append(&key, "\0 ", 2), ERR_OK);
            } else {
                assert_int_equal(collation_sort_key(c, slice_of(enc, n), &key), ERR_OK);
            }
            assert_int_equal(buf_append_u8(&key, (uint8_t)key.len), ERR_OK);
            for (size_t i = 0; i < key.len; i++) {
                h = (h ^ key.ptr[i]) * 0x100000001b3ull;
            }
        }
        if (h != want) {
            fprintf(stderr, "%s block %X differs\n", name, page);
        }
        assert_true(h == want);
        blocks++;
    }
    buf_fini(&key);
    fclose(f);
    assert_true(blocks > 2000);
}

/* WEIGHT_STRING of a _bin collation shows code points in three bytes; ours are the bytes
 * themselves. */
static bool weights_comparable(const struct collation *c)
{
    return strstr(c->name, "utf8mb4_bin") == NULL && strstr(c->name, "utf8mb3_bin") == NULL;
}

static void test_strings(void **state UNUSED)
{
    FILE *f = open_vectors("strings.txt");
    char line[4096];
    struct buf b;
    buf_init(&b, 1 << 16);
    unsigned count = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        char name[64];
        static char hex[4][1024];
        static uint8_t bytes[4][512];
        if (line[0] == '#' || sscanf(line, "%63s %1023s %1023s %1023s %1023s", name, hex[0], hex[1],
                                     hex[2], hex[3]) != 5) {
            continue;
        }
        const struct collation *c = find(name);
        struct slice v[4];
        for (int i = 0; i < 4; i++) {
            v[i] = unhex(hex[i], bytes[i]);
        }
        if (weights_comparable(c)) {
            buf_reset(&b);
            assert_int_equal(collation_sort_key(c, v[0], &b), ERR_OK);
            struct slice want = v[1];
            if (c->pad == COLLATION_PAD_SPACE) { /* trailing spaces are not in our keys */
                unsigned unit = c->cs->maxlen == 1 ? 1 : 2;
                while (want.len >= unit && want.ptr[want.len - 1] == ' ' &&
                       (unit == 1 || want.ptr[want.len - 2] == 0)) {
                    want.len -= unit;
                }
            }
            expect_bytes("weight string", line, buf_slice(&b), want);
        }
        buf_reset(&b);
        assert_int_equal(collation_upper(c, v[0], &b), ERR_OK);
        expect_bytes("upper", line, buf_slice(&b), v[2]);
        buf_reset(&b);
        assert_int_equal(collation_lower(c, v[0], &b), ERR_OK);
        expect_bytes("lower", line, buf_slice(&b), v[3]);
        count++;
    }
    buf_fini(&b);
    fclose(f);
    assert_true(count > 1000);
}

static void test_compare(void **state UNUSED)
{
    FILE *f = open_vectors("compare.txt");
    char line[4096];
    unsigned count = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        char name[64];
        static char hex[2][1024];
        static uint8_t bytes[2][512];
        int order;
        int like;
        if (line[0] == '#' ||
            sscanf(line, "%63s %1023s %1023s %d %d", name, hex[0], hex[1], &order, &like) != 5) {
            continue;
        }
        const struct collation *c = find(name);
        struct slice a = unhex(hex[0], bytes[0]);
        struct slice b = unhex(hex[1], bytes[1]);
        int got = collation_compare(c, a, b);
        got = (got > 0) - (got < 0);
        bool got_like;
        assert_int_equal(collation_like(c, a, b, '\\', &got_like), ERR_OK);
        if (got != order || got_like != like) {
            fprintf(stderr, "compare %d like %d: %s", got, got_like, line);
        }
        assert_int_equal(got, order);
        assert_int_equal(got_like, like);
        int back = collation_compare(c, b, a);
        assert_int_equal((back > 0) - (back < 0), -order);
        if (order == 0) {
            assert_true(collation_hash(c, a, 7) == collation_hash(c, b, 7));
        }
        count++;
    }
    fclose(f);
    assert_true(count > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
