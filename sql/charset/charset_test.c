#include "sql/charset/charset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_registry(void **state UNUSED)
{
    const struct collation *c = collation_by_id(COLL_UTF8MB4_0900_AI_CI);
    assert_non_null(c);
    assert_string_equal(c->name, "utf8mb4_0900_ai_ci");
    assert_string_equal(c->cs->name, "utf8mb4");
    assert_ptr_equal(charset_default_collation(c->cs), c);
    assert_ptr_equal(collation_by_name(SLICE_LIT("UTF8MB4_0900_AI_CI")), c);
    assert_int_equal(collation_by_name(SLICE_LIT("utf8_general_ci"))->id, COLL_UTF8MB3_GENERAL_CI);
    assert_string_equal(charset_by_name(SLICE_LIT("UTF8"))->name, "utf8mb3");
    assert_null(collation_by_id(0));
    assert_null(collation_by_id(99999));
    assert_int_equal(charset_bin_collation(c->cs)->id, COLL_UTF8MB4_BIN);
    size_t usable = 0;
    for (size_t i = 0; collation_at(i) != NULL; i++) {
        c = collation_at(i);
        assert_ptr_equal(collation_by_id(c->id), c);
        assert_ptr_equal(collation_by_name(slice_str(c->name)), c);
        if (c->ops != NULL) {
            assert_non_null(c->cs->ops);
            usable++;
        }
    }
    assert_true(usable > 60);
    for (size_t i = 0; charset_at(i) != NULL; i++) {
        assert_non_null(charset_default_collation(charset_at(i)));
    }
}

static void test_require(void **state UNUSED)
{
    struct diag diag;
    const struct collation *c = NULL;
    diag_reset(&diag);
    assert_int_equal(collation_require(SLICE_LIT("nonsense"), &diag, &c), ERR_SQL);
    assert_int_equal(diag.number, 1273);
    const struct charset *cs = NULL;
    assert_int_equal(charset_require(SLICE_LIT("nonsense"), &diag, &cs), ERR_SQL);
    assert_int_equal(diag.number, 1115);
    assert_null(c);
    assert_null(cs);
}

static void test_characters(void **state UNUSED)
{
    const struct charset *cs = charset_by_name(SLICE_LIT("utf8mb4"));
    struct slice s = SLICE_LIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z long ascii tail");
    assert_true(charset_valid(cs, s));
    assert_int_equal(charset_char_count(cs, s), 5 + 16);
    assert_true(slice_eq(charset_substring(cs, s, 1, 2), SLICE_LIT("\xc3\xa9\xe2\x82\xac")));
    assert_true(slice_eq(charset_substring(cs, s, 3, 100), slice_from(s, 6)));
    assert_int_equal(charset_substring(cs, s, 100, 1).len, 0);
    static const char *const bad[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xff",     "\xe2\x82",     "\xf0\x80\x80\x80"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(utf8mb4_valid_prefix(slice_str(bad[i])), 0);
    }
    assert_false(charset_valid(charset_by_name(SLICE_LIT("utf8mb3")), s));
    assert_false(charset_valid(charset_by_name(SLICE_LIT("ascii")), s));
}

static void expect_convert(const char *from, struct slice s, const char *to, struct slice want,
                           size_t want_lossy)
{
    struct buf b;
    buf_init(&b, 4096);
    size_t lossy = 99;
    assert_int_equal(charset_convert(charset_by_name(slice_str(from)), s,
                                     charset_by_name(slice_str(to)), &b, &lossy),
                     ERR_OK);
    assert_true(slice_eq(buf_slice(&b), want));
    assert_int_equal(lossy, want_lossy);
    buf_fini(&b);
}

static void check_pad(struct arena *arena, const char *charset, struct slice text, size_t chars,
                      struct slice wanted)
{
    const struct charset *cs = charset_by_name(slice_str(charset));
    struct slice full;
    assert_int_equal(charset_pad(cs, text, chars, arena, &full), ERR_OK);
    assert_true(slice_eq(full, wanted));
    assert_true(slice_eq(charset_trim_pad(cs, full), charset_trim_pad(cs, text)));
}

static void test_pad(void **state UNUSED)
{
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    check_pad(&arena, "latin1", SLICE_LIT("a"), 3, SLICE_LIT("a  "));
    check_pad(&arena, "latin1", SLICE_EMPTY, 2, SLICE_LIT("  "));
    check_pad(&arena, "utf8mb4", SLICE_LIT("\xc3\xa9"), 3, SLICE_LIT("\xc3\xa9  "));
    check_pad(&arena, "gbk", SLICE_LIT("\xd2\xbb"), 2, SLICE_LIT("\xd2\xbb "));
    check_pad(&arena, "utf16", SLICE_LIT("\0a"), 2, SLICE_LIT("\0a\0 "));
    struct slice own = SLICE_LIT("abc");
    struct slice full;
    assert_int_equal(charset_pad(charset_by_name(SLICE_LIT("utf8mb4")), own, 3, &arena, &full),
                     ERR_OK);
    assert_ptr_equal(full.ptr, own.ptr);
    arena_fini(&arena);
}

static void test_convert(void **state UNUSED)
{
    expect_convert("utf8mb4", SLICE_LIT("caf\xc3\xa9 \xe2\x82\xac"), "latin1",
                   SLICE_LIT("caf\xe9 \x80"), 0);
    expect_convert("latin1", SLICE_LIT("\x80\x81\xff"), "utf8mb4",
                   SLICE_LIT("\xe2\x82\xac\xc2\x81\xc3\xbf"), 0);
    expect_convert("utf8mb4", SLICE_LIT("\xd0\x96z"), "latin1", SLICE_LIT("?z"), 1);
    expect_convert("utf8mb4", SLICE_LIT("\xf0\x9f\x98\x80z"), "utf8mb3", SLICE_LIT("?z"), 1);
    expect_convert("utf8mb4", SLICE_LIT("\xff z"), "latin1", SLICE_LIT("? z"), 1);
    expect_convert("utf8mb4", SLICE_LIT("\xff"), "binary", SLICE_LIT("\xff"), 0);
    expect_convert("utf8mb4", SLICE_LIT("\xe6\x97\xa5z"), "sjis", SLICE_LIT("\x93\xfaz"), 0);
    expect_convert("sjis", SLICE_LIT("\x93\xfaz"), "utf8mb4", SLICE_LIT("\xe6\x97\xa5z"), 0);
    expect_convert("utf8mb4", SLICE_LIT("a\xf0\x9f\x98\x80"), "utf16",
                   SLICE_LIT("\0a\xd8\x3d\xde\0"), 0);
    expect_convert("koi8r", SLICE_LIT("\xd6"), "utf8mb4", SLICE_LIT("\xd0\xb6"), 0);
}

static size_t locate_from(unsigned collation, const char *needle, const char *s, size_t from)
{
    size_t at;
    assert_int_equal(
        collation_locate(collation_by_id(collation), slice_str(s), slice_str(needle), from, &at),
        ERR_OK);
    return at;
}

static size_t locate(unsigned collation, const char *needle, const char *s)
{
    return locate_from(collation, needle, s, 0);
}

static void test_locate(void **state UNUSED)
{
    enum { AI_CI = COLL_UTF8MB4_0900_AI_CI, AS_CI = 305, GENERAL = 45, UNICODE = 224 };
    assert_int_equal(locate(AI_CI, "abc", "xxABC"), 2);
    assert_true(locate(AI_CI, "abd", "xxABC") == SIZE_MAX);
    assert_int_equal(locate(AI_CI, "A", "\xc3\xa9\x61"), 2);
    assert_int_equal(locate_from(AI_CI, "", "abc", 3), 3);
    /* weights, however many bytes they come from */
    assert_int_equal(locate(AI_CI, "a", "x\xc3\xa4"), 1);
    assert_int_equal(locate(AI_CI, "e\xcc\x81", "x\xc3\xa9"), 1);
    assert_int_equal(locate(AI_CI, "\xc3\xa9", "oe"), 1);
    assert_int_equal(locate(AI_CI, "ss", "stra\xc3\x9f\x65"), 4);
    assert_int_equal(locate(AI_CI, "s", "a\xc3\x9f"), 1);
    assert_true(locate(AI_CI, "sb", "a\xc3\x9f\x62") == SIZE_MAX);
    assert_int_equal(locate(UNICODE, "a", "\xc3\xa4"), 0);
    /* on each level */
    assert_int_equal(locate(AS_CI, "a", "\xc3\xa4"), 0);
    assert_true(locate(AS_CI, "\xc3\xa4", "ab") == SIZE_MAX);
    assert_int_equal(locate(GENERAL, "sb", "a\xc3\x9f\x62"), 1);
    assert_true(locate(GENERAL, "ss", "a\xc3\x9f") == SIZE_MAX);
    assert_true(locate(COLL_BINARY, "a", "ABC") == SIZE_MAX);
}

/* Equal text has one hash, wherever in it a character has no weight, or is no ASCII. */
static void test_hash(void **state UNUSED)
{
    static const char text[] = "The quick brown fox jumps";
    static const struct {
        const char *in;
        bool same;
    } inserted[] = {
        {"", true}, {"\x01", true}, {"\xcc\x81", true}, {"x", false}, {"\xc3\xa9", false}};
    const struct collation *c = collation_by_id(COLL_UTF8MB4_0900_AI_CI);
    for (size_t len = 0; len < sizeof(text); len++) {
        struct slice plain = slice_of(text, len);
        uint64_t hash = collation_hash(c, plain, 7);
        for (size_t at = 0; at <= len; at++) {
            for (size_t i = 0; i < ARRAY_COUNT(inserted); i++) {
                char other[64];
                int n = snprintf(other, sizeof(other), "%.*s%s%.*s", (int)at, text, inserted[i].in,
                                 (int)(len - at), text + at);
                for (size_t k = 0; k < at; k++) {
                    other[k] =
                        (char)(other[k] >= 'a' && other[k] <= 'z' ? other[k] - 32 : other[k]);
                }
                struct slice s = slice_of(other, (size_t)n);
                assert_true((collation_compare(c, plain, s) == 0) == inserted[i].same);
                assert_true((collation_hash(c, s, 7) == hash) == inserted[i].same);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry),   cmocka_unit_test(test_require),
        cmocka_unit_test(test_characters), cmocka_unit_test(test_pad),
        cmocka_unit_test(test_convert),    cmocka_unit_test(test_locate),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
