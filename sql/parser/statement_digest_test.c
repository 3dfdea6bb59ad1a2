#include "sql/parser/statement_digest.h"

#include "sql/parser/testlib.h"

static void check(const char *statement, size_t max, const char *expected)
{
    struct parse_options o = {0};
    struct buf tokens;
    struct buf text;
    buf_init(&tokens, 1 << 20);
    buf_init(&text, 1 << 20);
    assert_int_equal(statement_digest_tokens(slice_str(statement), &o, max, &tokens), ERR_OK);
    assert_true(tokens.len <= max);
    assert_int_equal(statement_digest_text(buf_slice(&tokens), &text), ERR_OK);
    if (!slice_eq(buf_slice(&text), slice_str(expected))) {
        fail_msg("%s\n  gives    %.*s\n  and not  %s", statement, (int)text.len, (char *)text.ptr,
                 expected);
    }
    buf_fini(&tokens);
    buf_fini(&text);
}

static void forms(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"select 1", "SELECT ?"},
        {"select -1, a-1, +-1, (1), (1,2)", "SELECT ? , `a` - ?, ... , (?) , (...)"},
        {"select a from t where a in (1,2) and b in (1) and c in (a,1)",
         "SELECT `a` FROM `t` WHERE `a` IN (...) AND `b` IN (...) AND `c` IN ( `a` , ? )"},
        {"insert into t values (1),(2);", "INSERT INTO `t` VALUES (?) /* , ... */"},
        {"insert into t values (1,2),(3,4)", "INSERT INTO `t` VALUES (...) /* , ... */"},
        {"select * from t where a is null or b = null",
         "SELECT * FROM `t` WHERE `a` IS NULL OR `b` = ?"},
        {"create table t (a int not null default 5, b varchar(10) null default null)",
         "CREATE TABLE `t` ( `a` INTEGER NOT NULL DEFAULT ? , `b` VARCHARACTER (?) NULL DEFAULT ? "
         ")"},
        {"select @a, @`b`, @@c, @@global.d", "SELECT @? , @`b` , @@`c` , @@GLOBAL . `d`"},
        {"select a from t order by 1, -2, b, 3 limit 1,2",
         "SELECT `a` FROM `t` ORDER BY 1 , ? , `b` , 3 LIMIT ?, ..."},
        {"select /*+ BKA(a@b) NO_MRR(`x y`) */ 1 /* no hint */",
         "SELECT /*+ BKA ( `a`@`b` ) NO_MRR ( `x y` ) */ ?"},
        {"select a, sum(b), min(c) from t group by a with rollup",
         "SELECT `a` , SUM ( `b` ) , MIN ( `c` ) FROM `t` GROUP BY `a` WITH ROLLUP"},
        {"select `a``b`, _latin1'x' -- y", "SELECT `a`b` , (_charset) ?"},
        {"", ""},
        {"select 'open", "SELECT"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        check(pairs[i][0], 1024, pairs[i][1]);
    }
}

static void limit(void **state)
{
    (void)state;
    check("select abc, def from t", 0, "");
    check("select abc, def from t", 8, "SELECT");
    check("select abc, def from t", 9, "SELECT `abc`");
    check("select abc, def from t", 15, "SELECT `abc` ,");
    check("select /*+ BKA(abc) */ 1", 8, "SELECT /*+ BKA (");
    check("select a from t order by 7", 19, "SELECT `a` FROM `t` ORDER BY");
}

/* Any bytes give tokens that give a text. */
static void noise(void **state)
{
    (void)state;
    static const char parts[] =
        "select\0from\0in\0(\0)\0,\0-\0null\0 1\0'x'\0`a`\0@a\0@@b\0/*+ BKA(a) */\0"
        "order by\0with\0rollup\0not\0?\0;\0.\0\"\0/*\0";
    uint32_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        char text[256] = "";
        size_t len = 0;
        for (int k = 0; k < 20; k++) {
            seed = seed * 1664525u + 1013904223u;
            const char *p = parts;
            for (uint32_t skip = (seed >> 16) % 23; skip > 0; skip--) {
                p += strlen(p) + 1;
            }
            int n = snprintf(text + len, sizeof(text) - len, "%s ", p);
            len += n > 0 && len + (size_t)n < sizeof(text) ? (size_t)n : 0;
        }
        struct parse_options o = {0};
        struct buf tokens;
        struct buf out;
        buf_init(&tokens, 1 << 20);
        buf_init(&out, 1 << 20);
        assert_int_equal(statement_digest_tokens(slice_str(text), &o, seed % 64, &tokens), ERR_OK);
        assert_int_equal(statement_digest_text(buf_slice(&tokens), &out), ERR_OK);
        buf_fini(&tokens);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(limit),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
