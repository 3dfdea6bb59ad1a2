#include "sql/parser/values_rows.h"

#include "sql/parser/testlib.h"

static bool split(const char *text, uint32_t mode, struct values_rows *ret)
{
    struct parse_options opts = {.mode = mode, .flags = 0};
    bool is = false;
    assert_int_equal(values_rows_split(&test_arena, slice_str(text), &opts, &is, ret), ERR_OK);
    return is;
}

static void simple(void **state)
{
    (void)state;
    const char *text =
        "INSERT INTO t (a, b) VALUES (-1, NULL), (22, 'x''y') , (3.5, \"z\"); SELECT 1";
    struct values_rows r;
    assert_true(split(text, 0, &r));
    assert_int_equal(r.row_count, 3);
    assert_int_equal(r.column_count, 2);
    assert_string_equal(text + r.consumed, " SELECT 1");
    /* the first row that is nothing but liftable literals stands for all */
    assert_true(slice_eq(r.one, SLICE_LIT("INSERT INTO t (a, b) VALUES (22, 'x''y')")));
    assert_true(r.literals[0].negative && row_literal_is_integer(&r.literals[0]));
    assert_int_equal(r.literals[1].kind, 0);
    struct ast_literal l;
    assert_int_equal(row_literal_value(&test_arena, slice_str(text), &r.literals[2], 0, &l),
                     ERR_OK);
    assert_true(l.kind == AST_LIT_INT && l.u64 == 22);
    assert_int_equal(row_literal_value(&test_arena, slice_str(text), &r.literals[3], 0, &l),
                     ERR_OK);
    assert_true(l.kind == AST_LIT_STRING && slice_eq(l.text, SLICE_LIT("x'y")));
    assert_int_equal(row_literal_value(&test_arena, slice_str(text), &r.literals[4], 0, &l),
                     ERR_OK);
    assert_true(l.kind == AST_LIT_DECIMAL && slice_eq(l.text, SLICE_LIT("3.5")));
    assert_true(split("insert t values (1),(2)", 0, &r));
    assert_true(split("INSERT INTO `values` VALUES (1) /* c */, (2) -- end", 0, &r));
}

static void others(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t VALUES (1), (2, 3)",
        "INSERT INTO t VALUES (1), ()",
        "INSERT INTO t VALUES (), ()",
        "INSERT INTO t VALUES (1), (2),",
        "INSERT INTO t VALUES (1), (2) ON DUPLICATE KEY UPDATE a = 1",
        "INSERT INTO t VALUES (1), (2) AS n",
        "INSERT INTO t VALUES (1), (2) garbage",
        "INSERT INTO t VALUES (1), (DEFAULT)",
        "INSERT INTO t VALUES (1), (1 + 1)",
        "INSERT INTO t VALUES (1), (?)",
        "INSERT INTO t VALUES (1), (- - 1)",
        "INSERT INTO t VALUES (1), (-'1')",
        "INSERT INTO t VALUES (NULL), (-1)",
        "INSERT INTO t VALUES (1), (_utf8mb4'x')",
        "INSERT INTO t VALUES (1), (X'41')",
        "INSERT INTO t VALUES ('a' 'b'), ('c' 'd')",
        "INSERT INTO t VALUES ROW(1), ROW(2)",
        "INSERT IGNORE INTO t VALUES (1), (2)",
        "INSERT INTO t /*!80000 VALUES (1), */ (2)",
        "INSERT INTO t VALUES (1), /*!80000 (2), */ (3)",
        "INSERT INTO t SELECT a FROM (VALUES ROW(1), ROW(2)) v",
        "INSERT INTO t SET a = 1",
        "REPLACE INTO t VALUES (1), (2)",
        "SELECT 1",
        "INSERT",
        "",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct values_rows r;
        if (split(texts[i], 0, &r)) {
            fail_msg("split: %s", texts[i]);
        }
    }
}

static void modes(void **state)
{
    (void)state;
    struct values_rows r;
    assert_true(split("INSERT INTO t VALUES (\"a\"), ('b')", 0, &r));
    assert_false(split("INSERT INTO t VALUES (\"a\"), ('b')", PARSE_MODE_ANSI_QUOTES, &r));
    assert_true(split("INSERT INTO t VALUES ('a\\'), ('), ('b')", 0, &r));
    assert_int_equal(r.row_count, 2);
    assert_true(split("INSERT INTO t VALUES ('a\\'), ('b')", PARSE_MODE_NO_BACKSLASH_ESCAPES, &r));
    assert_int_equal(r.row_count, 2);
}

static void no_memory(void **state)
{
    (void)state;
    struct parse_options opts = {0};
    struct mem_tracker little;
    struct arena arena;
    struct values_rows r;
    bool is;
    mem_tracker_init(&little, NULL, 100);
    arena_init(&arena, NULL, &little, 0);
    assert_int_equal(
        values_rows_split(&arena, SLICE_LIT("INSERT t VALUES (1), (2)"), &opts, &is, &r),
        ERR_LIMIT);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple),
        cmocka_unit_test(others),
        cmocka_unit_test(modes),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
