#include "sql/parser/limits.h"
#include "sql/parser/parser_int.h"
#include "sql/parser/testlib.h"

/* Texts as a live MySQL sends them. */
static void near_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *near;
        int line;
    } cases[] = {
        {"select * from t where a = ", "", 1},
        {"select 1 from\n", "", 1},
        {"select a b c from t", "c from t", 1},
        {"set x y", "y", 1},
        {"select end(1)", "(1)", 1},
        {"select 1\nfrom t\nwhere where", "where", 3},
        {"select 'abc", "'abc", 1},
        {"insert into t values (1,2,", "", 1},
        {"select * from t limit -1", "-1", 1},
        {"select count (*) from t", "*) from t", 1},
        {"create table (a int)", "(a int)", 1},
        {"NOSUCH STATEMENT", "NOSUCH STATEMENT", 1},
        {"SELECT 1; SELECT 2", "SELECT 2", 1},
        {"SELECT FROM", "FROM", 1},
        {"SELECT ;", "", 1},
        {"; SELECT 1", "; SELECT 1", 1},
        {")", ")", 1},
        {"select a is true is true from t", "is true from t", 1},
        {"select 1 == 2", "== 2", 1},
        {"SELECT * FROM .t", ".t", 1},
        {"delete from t returning a", "a", 1},
        {"select aaaaaaaaaa from t bbbbbbbbbb cccccccccc dddddddddd eeeeeeeeee ffffffffff "
         "gggggggggg "
         "hhhhhhhhhh iiiiiiiiii",
         "cccccccccc dddddddddd eeeeeeeeee ffffffffff gggggggggg hhhhhhhhhh iiiiiiiiii", 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct ast_stmt *stmt;
        char want[512];
        snprintf(want, sizeof(want),
                 "You have an error in your SQL syntax; check the manual that corresponds to your "
                 "MySQL server version for the right syntax to use near '%s' at line %d",
                 cases[i].near, cases[i].line);
        assert_int_equal(test_parse(slice_str(cases[i].text), 0, 0, &stmt), ERR_SQL);
        assert_int_equal(test_diag.number, 1064);
        assert_string_equal(test_diag.sqlstate, "42000");
        assert_string_equal(test_diag.text, want);
    }
}

static void cut_near(void **state)
{
    (void)state;
    char text[400] = "SELECT 1 x y";
    memset(text + 12, 'z', 200);
    struct ast_stmt *stmt;
    assert_int_equal(test_parse(slice_str(text), 0, 0, &stmt), ERR_SQL);
    char want[100];
    snprintf(want, sizeof(want), "near '%.80s' at line 1", text + 11);
    assert_non_null(strstr(test_diag.text, want));
}

/* before * n, middle, after * n */
static struct slice nested(const char *before, const char *middle, const char *after, size_t n)
{
    size_t b = strlen(before), m = strlen(middle), a = strlen(after);
    char *text = arena_alloc(&test_arena, 16 + n * (a + b) + m);
    char *p = text;
    memcpy(p, "SELECT ", 7);
    p += 7;
    for (size_t i = 0; i < n; i++, p += b) {
        memcpy(p, before, b);
    }
    memcpy(p, middle, m);
    p += m;
    for (size_t i = 0; i < n; i++, p += a) {
        memcpy(p, after, a);
    }
    return slice_of(text, (size_t)(p - text));
}

static void depth(void **state)
{
    (void)state;
    static const struct {
        const char *before, *middle, *after;
        size_t count;
        int number;
    } cases[] = {
        {"(", "1", ")", 10000, 0}, /* parentheses alone make no tree */
        {"(", "1", ")", 100000, 1436},
        {"", "1", "+1", 300, 0},
        {"", "1", "+1", 100000, 1436},
        {"", "1", " OR a = 1", 100000, 0}, /* chains of AND and OR are balanced */
        {"", "1", " AND (a OR b)", 10000, 0},
        {"NOT ", "1", "", 10000, 1436},
        {"-", "1", "", 10000, 1436},
        {"- ", "1", "", 300, 0},
        {"(SELECT ", "1", ")", 60, 0},
        {"(SELECT ", "1", ")", 70, 1473},
        {"(SELECT ", "1", ")", 100000, 1473},
        {"f(", "1", ")", 10000, 1436},
        {"CASE WHEN ", "1", " THEN 1 END", 10000, 1436},
        {"1 FROM (", "a", " JOIN a)", 1, 0},
        {"", "1 FROM t", " JOIN t", 300, 0},
        {"", "1 FROM t", " JOIN t", 10000, 1436},
        {"", "1 FROM t", ", t", 10000, 1436},
        {"", "1", " UNION SELECT 1", 100000, 0}, /* one operation has any number of operands */
        {"", "1", " UNION SELECT 1 UNION ALL SELECT 2", 10000, 0},
        {"", "1", " EXCEPT ALL SELECT 1 EXCEPT SELECT 2", 10000, 0},
        {"", "1", " UNION SELECT 1 INTERSECT SELECT 2", 10000, 0},
        {"", "1", " UNION SELECT 1 EXCEPT SELECT 2", 31, 0},
        {"", "1", " UNION SELECT 1 EXCEPT SELECT 2", 32, 1473},
        {"", "1", " UNION SELECT 1 EXCEPT SELECT 2", 10000, 1473},
        {"", "1", " INTERSECT ALL SELECT 1", 63, 0},
        {"", "1", " INTERSECT ALL SELECT 1", 64, 1473},
        {"a IN (", "1", ")", 10000, 1436},
        {"", "1", ", 1", 100000, 0},
        {"@a := ", "1", "", 10000, 1436},
        {"{x ", "1", "}", 10000, 0},
        {"", "1", " COLLATE x", 10000, 1436},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct slice text =
            nested(cases[i].before, cases[i].middle, cases[i].after, cases[i].count);
        struct ast_stmt *stmt;
        db_err err = test_parse(text, 0, 0, &stmt);
        int got = err == ERR_OK ? 0 : err == ERR_SQL ? test_diag.number : -(int)err;
        if (got != cases[i].number) {
            fail_msg("%s %s %s: %d instead of %d: %s", cases[i].before, cases[i].middle,
                     cases[i].after, got, cases[i].number, test_diag.text);
        }
        arena_reset(&test_arena);
    }
}

/* Whatever the limit of the arena, the parser reports it and nothing breaks. */
static void no_memory(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "SELECT a, b + 1, 'x''y', f(c AS d) FROM t JOIN u ON t.a = u.a WHERE a = 1 OR b IN (1, 2) "
        "OR "
        "c BETWEEN 1 AND 2 GROUP BY a ORDER BY b LIMIT 3 FOR UPDATE",
        "CREATE TABLE t (a INT DEFAULT 1 CHECK (a > 0), KEY k (a), FOREIGN KEY (a) REFERENCES u "
        "(b)) "
        "PARTITION BY LIST (a) (PARTITION p VALUES IN (1, 2))",
        "ALTER TABLE t ADD (a INT, KEY (a)), DROP b, ALGORITHM=COPY",
        "INSERT INTO t (a, b) VALUES (1, 'x'), (2, x'4142') ON DUPLICATE KEY UPDATE a = 2",
        "GRANT CREATE VIEW, SELECT (a) ON *.* TO u@h",
        "CREATE USER u IDENTIFIED BY 'x' AND IDENTIFIED BY 'y' REQUIRE SSL PASSWORD EXPIRE NEVER",
        "SELECT SUM(a) OVER (PARTITION BY b ORDER BY c ROWS 1 PRECEDING) FROM (SELECT 1) d",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        bool done = false;
        for (size_t limit = 1; limit < (1u << 20) && !done; limit += limit / 16 + 1) {
            struct arena arena;
            arena_init(&arena, NULL, NULL, limit);
            struct ast_stmt *stmt;
            size_t consumed;
            db_err err =
                parser_parse(&arena, slice_str(texts[i]), NULL, &test_diag, &stmt, &consumed);
            done = err == ERR_OK;
            if (!done && err != ERR_NOMEM && err != ERR_LIMIT) {
                fail_msg("limit %zu: %s: %s", limit, texts[i], test_diag.text);
            }
            arena_fini(&arena);
        }
        assert_true(done);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_texts),
        cmocka_unit_test(cut_near),
        cmocka_unit_test(depth),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
