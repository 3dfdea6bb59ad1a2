/* Round trips of the binary form, and what SQL text cannot reach: large containers, hashes that
 * agree with comparison, paths that reach a value twice, damaged text. SQL behaviour is in
 * tests/sql. */
#include "sql/types/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rand.h"

static struct arena g_arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&g_arena, NULL, NULL, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&g_arena);
    return 0;
}

static struct slice document(const char *text)
{
    struct json_node *n;
    struct json_syntax why;
    struct slice doc;
    assert_int_equal(json_parse(&g_arena, slice_str(text), &n, &why), ERR_OK);
    assert_int_equal(json_write_arena(n, &g_arena, NULL, &doc), ERR_OK);
    return doc;
}

static void assert_prints(struct slice doc, const char *want)
{
    struct slice text;
    assert_int_equal(json_text(doc, &g_arena, &text), ERR_OK);
    assert_int_equal(text.len, strlen(want));
    assert_memory_equal(text.ptr, want, text.len);
}

static void round_trip(void **state)
{
    static const char *const texts[][2] = {
        {"{}", "{}"},
        {" [ ] ", "[]"},
        {"{\"b\":1,\"aa\":[true,false,null],\"a\":-1}",
         "{\"a\": -1, \"b\": 1, \"aa\": [true, false, null]}"},
        {"[32767,32768,-32769,65536,4294967296,18446744073709551615,-9223372036854775808]",
         "[32767, 32768, -32769, 65536, 4294967296, 18446744073709551615, -9223372036854775808]"},
        {"[0.5,-0.0,1e300]", "[0.5, -0.0, 1e300]"},
        {"\"\\u00e9\\ud83d\\ude00\\n\"", "\"\xc3\xa9\xf0\x9f\x98\x80\\n\""},
        {"{\"a\":1,\"a\":2}", "{\"a\": 2}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_prints(document(texts[i][0]), texts[i][1]);
    }
}

/* Past 64 KiB containers take their large form; a small one within it keeps its own. */
static void large(void **state)
{
    enum { COUNT = 30000 };
    (void)state;
    struct json_node *o = json_node_new(&g_arena, JSON_OBJECT);
    struct slice doc;
    for (uint32_t i = 0; i < COUNT; i++) {
        char *key = arena_printf(&g_arena, "k%u", i);
        struct json_node *a = json_node_new(&g_arena, JSON_ARRAY);
        struct json_node *n = json_node_new(&g_arena, JSON_INT);
        n->u.i = (int64_t)i * 1000;
        assert_int_equal(json_append_item(&g_arena, a, n), ERR_OK);
        assert_int_equal(json_set_member(&g_arena, o, slice_str(key), a), ERR_OK);
    }
    assert_int_equal(json_write_arena(o, &g_arena, NULL, &doc), ERR_OK);
    struct json_view v = json_view_of(doc);
    assert_int_equal(json_count(&v), COUNT);
    assert_int_equal(json_size(&v), doc.len);
    for (uint32_t i = 0; i < COUNT; i += 7) {
        struct json_view found;
        char *key = arena_printf(&g_arena, "k%u", i);
        assert_true(json_member(&v, slice_str(key), &found));
        assert_int_equal(found.type, JSON_ARRAY);
        found = json_at(&found, 0);
        assert_int_equal(json_int(&found), (int64_t)i * 1000);
    }
    struct json_view none;
    assert_false(json_member(&v, SLICE_LIT("k30000"), &none));
}

static void decimals(void **state)
{
    static const char *const texts[] = {
        "0",
        "-1",
        "1.25",
        "-0.001",
        "12345678901234567890.123456789012345678",
        "100000000.5",
        "999999999",
        "0.000000001",
        "-99999999999999999999999999999999999.999999999999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct json_node *n = json_node_new(&g_arena, JSON_DECIMAL);
        struct slice doc;
        n->u.dec = ARENA_NEW(&g_arena, struct decimal);
        (void)decimal_from_text(slice_str(texts[i]), n->u.dec);
        assert_int_equal(json_write_arena(n, &g_arena, NULL, &doc), ERR_OK);
        assert_prints(doc, texts[i]);
    }
}

/* Values in ascending order: each compares so with every other, equal ones have equal hashes. */
static void order(void **state)
{
    static const char *const texts[] = {"null",
                                        "-1e300",
                                        "-9223372036854775808",
                                        "-1",
                                        "0",
                                        "0.5",
                                        "1",
                                        "1.0",
                                        "9007199254740992",
                                        "9007199254740993",
                                        "18446744073709551615",
                                        "1.8446744073709552e19",
                                        "1e300",
                                        "\"\"",
                                        "\"a\"",
                                        "\"b\"",
                                        "{}",
                                        "{\"a\":1}",
                                        "{\"b\":0}",
                                        "{\"a\":0,\"b\":1}",
                                        "[]",
                                        "[0,1]",
                                        "[1]",
                                        "[1,0]",
                                        "false",
                                        "true"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        for (size_t k = 0; k < ARRAY_COUNT(texts); k++) {
            struct json_view a = json_view_of(document(texts[i]));
            struct json_view b = json_view_of(document(texts[k]));
            bool same = i == k || (i == 6 && k == 7) || (i == 7 && k == 6);
            int want = same ? 0 : i < k ? -1 : 1;
            int c = json_compare(&a, &b);
            assert_int_equal((c > 0) - (c < 0), want);
            if (same) {
                assert_int_equal(json_hash(&a, 5), json_hash(&b, 5));
            }
        }
    }
}

static uint32_t hits(const char *doc, const char *path, unsigned flags)
{
    struct json_view v = json_view_of(document(doc));
    struct json_hits h = {.arena = &g_arena};
    struct json_path p;
    size_t position;
    assert_int_equal(json_path_parse(&g_arena, slice_str(path), &p, &position, NULL), ERR_OK);
    assert_int_equal(json_seek(&v, &p, flags, &h), ERR_OK);
    return h.count;
}

static void seeking(void **state)
{
    (void)state;
    assert_int_equal(hits("[[1]]", "$**[0]", JSON_SEEK_WRAP), 2); /* [1] and 1, each once */
    assert_int_equal(hits("{\"a\":1}", "$[0]", JSON_SEEK_WRAP), 1);
    assert_int_equal(hits("{\"a\":1}", "$[0]", 0), 0);
    assert_int_equal(hits("[1,2,3]", "$[last-1 to last]", 0), 2);
    assert_int_equal(hits("[1,2,3]", "$[*]", JSON_SEEK_ONE), 1);
    assert_int_equal(hits("[1]", "$[last-4 to 9]", 0), 1);
}

/* Whatever the text is, the parser ends with a document or a position within it. */
static void damaged(void **state)
{
    static const char good[] =
        "{\"a\": [1, -2.5e3, \"x\\u00e9\\n\", {\"b\": null}], \"c\": {\"d\": true, \"e\": []}}";
    (void)state;
    struct rand r;
    rand_seed(&r, 42);
    for (unsigned i = 0; i < 20000; i++) {
        char text[sizeof(good)];
        struct json_syntax why = {0};
        struct json_node *n;
        memcpy(text, good, sizeof(good));
        size_t len = 1 + rand_u64(&r) % (sizeof(good) - 1);
        for (unsigned k = 0; k < 2; k++) {
            text[rand_u64(&r) % len] = "{}[]\",:\\u01e-.tfn "[rand_u64(&r) % 18];
        }
        db_err err = json_parse(&g_arena, slice_of(text, len), &n, &why);
        if (err == ERR_OK) {
            struct slice doc;
            struct slice printed;
            assert_int_equal(json_write_arena(n, &g_arena, NULL, &doc), ERR_OK);
            assert_int_equal(json_text(doc, &g_arena, &printed), ERR_OK);
            bool valid = false;
            assert_int_equal(json_valid(&g_arena, printed, NULL, &valid), ERR_OK);
            assert_true(valid);
        } else {
            assert_int_equal(err, ERR_INVALID);
            assert_non_null(why.message);
            assert_true(why.position <= len);
        }
        arena_reset(&g_arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(decimals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(seeking, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
