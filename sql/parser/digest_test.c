#include "sql/parser/digest.h"

#include "sql/parser/ast_print.h"
#include "sql/parser/testlib.h"

static struct digest digest_of(const char *text)
{
    struct parse_options opts = {.mode = 0, .flags = 0};
    struct digest d = {0};
    if (digest_compute(&test_arena, slice_str(text), &opts, &d) != ERR_OK) {
        fail_msg("no digest: %s", text);
    }
    return d;
}

static bool same(const char *a, const char *b)
{
    struct digest x = digest_of(a);
    struct digest y = digest_of(b);
    return x.high == y.high && x.low == y.low;
}

static void equal(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"SELECT c FROM sbtest1 WHERE id=5", "select c from sbtest1 where id = 12345"},
        {"SELECT c FROM t WHERE id BETWEEN 1 AND 2", "SELECT c FROM t WHERE id BETWEEN 3 AND 4 ;"},
        {"SELECT c FROM t WHERE a IN (1,2)", "SELECT c FROM t WHERE a IN (3, 4)"},
        {"INSERT INTO t VALUES (1,'a'),(2,'b')", "INSERT INTO t VALUES (3,'cc'),(4,'d')"},
        {"UPDATE t SET a = 5 WHERE b = 'x'", "UPDATE t SET a=6 WHERE b='yy'"},
        {"DELETE FROM t WHERE a = 1 LIMIT 1", "DELETE FROM t WHERE a = 2 LIMIT 7"},
        {"SELECT a FROM t WHERE `b` = 1", "SELECT a FROM t WHERE b = 1"},
        {"SELECT a FROM t WHERE b = 1 -- x", "SELECT a FROM t WHERE /* y */ b = 2"},
        {"SELECT a FROM (SELECT b FROM u WHERE c = 1) d",
         "SELECT a FROM (SELECT b FROM u WHERE c = 2) d"},
        {"SELECT a FROM t WHERE b = 1.50", "SELECT a FROM t WHERE b = 2.25"},
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 1 ; ;\f"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        if (!same(pairs[i][0], pairs[i][1])) {
            fail_msg("%s | %s", pairs[i][0], pairs[i][1]);
        }
    }
}

static void different(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"SELECT 1", "SELECT 2"},
        {"SELECT a+1 FROM t", "SELECT a + 1 FROM t"},
        {"SELECT COUNT(*) FROM t", "SELECT count(*) FROM t"},
        {"SELECT a FROM t", "SELECT A FROM t"},
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 'x'"},
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 1.0"},
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 9223372036854775808"},
        {"SELECT a FROM t WHERE b = 1.5", "SELECT a FROM t WHERE b = 1.25"},
        {"SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = '\xC3\xA4'"},
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = -1"},
        {"SELECT a FROM t WHERE b = -1", "SELECT a FROM t WHERE b = -2"},
        {"SELECT a FROM t ORDER BY 1", "SELECT a FROM t ORDER BY 2"},
        {"SELECT a FROM t GROUP BY b = 1", "SELECT a FROM t GROUP BY b = 2"},
        {"SELECT a FROM t WHERE b = c + INTERVAL 1 DAY",
         "SELECT a FROM t WHERE b = c + INTERVAL 2 DAY"},
        {"SELECT a FROM t WHERE CAST(b AS CHAR(1)) = c",
         "SELECT a FROM t WHERE CAST(b AS CHAR(2)) = c"},
        {"SELECT a FROM t WHERE b = 'x' COLLATE c", "SELECT a FROM t WHERE b = 'y' COLLATE c"},
        {"SELECT a FROM t WHERE b = _latin1'x'", "SELECT a FROM t WHERE b = _latin1'y'"},
        {"SELECT a FROM t WHERE b LIKE 'x%'", "SELECT a FROM t WHERE b LIKE 'y%'"},
        {"SELECT a FROM Status", "SELECT a FROM status"},
        {"SELECT a FROM t WHERE b IN (1,2)", "SELECT a FROM t WHERE b IN (1,2,3)"},
        {"SELECT /*+ A */ a FROM t", "SELECT /*+ B */ a FROM t"},
        {"SELECT a FROM (SELECT 1 AS x FROM u) d", "SELECT a FROM (SELECT 2 AS x FROM u) d"},
        {"CREATE TABLE t (a INT DEFAULT 1)", "CREATE TABLE t (a INT DEFAULT 2)"},
        {"SET a = 1", "SET a = 2"},
        {"SELECT a FROM t WHERE f(b, 1) = 2", "SELECT a FROM t WHERE f(b, 3) = 2"},
        {"SELECT a FROM t WHERE b = 1 AND 2", "SELECT a FROM t WHERE b = 1 AND 3"},
        {"SELECT a FROM t WHERE f('a''b')", "SELECT a FROM t WHERE f(\"a''b\")"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        if (same(pairs[i][0], pairs[i][1])) {
            fail_msg("%s | %s", pairs[i][0], pairs[i][1]);
        }
    }
}

static void literals(void **state)
{
    (void)state;
    struct digest d =
        digest_of("INSERT INTO t VALUES (1, 'a''b', 1.5, -2, NULL, 2e3), (NOW(), 'x', 3, 4, 5, 6)");
    static const enum ast_literal_kind kinds[] = {AST_LIT_INT,   AST_LIT_STRING, AST_LIT_DECIMAL,
                                                  AST_LIT_FLOAT, AST_LIT_STRING, AST_LIT_INT,
                                                  AST_LIT_INT,   AST_LIT_INT,    AST_LIT_INT};
    assert_true(d.lifts);
    assert_int_equal(d.literal_count, ARRAY_COUNT(kinds));
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        assert_int_equal(d.literals[i].kind, kinds[i]);
    }
    struct ast_literal l;
    assert_int_equal(digest_literal_value(&test_arena, &d.literals[1], 0, &l), ERR_OK);
    assert_true(slice_eq(l.text, SLICE_LIT("a'b")));
    assert_int_equal(digest_literal_value(&test_arena, &d.literals[5], 0, &l), ERR_OK);
    assert_int_equal(l.u64, 3);
    d = digest_of("SELECT 1; SELECT 2");
    assert_int_equal(d.consumed, 9);
    struct parse_options opts = {.mode = 0, .flags = 0};
    assert_int_equal(digest_compute(&test_arena, SLICE_LIT("SELECT 'x"), &opts, &d), ERR_INVALID);
}

/* ---- the same numbers from the parser ---- */

static unsigned compared, lifted_total;

/* Every lifted literal is one parameter of the tree, with its number, at its place. */
static void compare(struct slice text, const struct ast_stmt *stmt, const struct digest *d)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    uint32_t found = 0;
    if (d->lifts) {
        assert_int_equal(ast_print_lifted(&buf, stmt), ERR_OK);
    }
    for (uint32_t i = 0; i < d->literal_count; i++) {
        char mark[64];
        int n = snprintf(mark, sizeof(mark), "$%u@%u", i, d->literals[i].token.offset);
        const uint8_t *p = memmem(buf.ptr, buf.len, mark, (size_t)n);
        if (p == NULL) {
            fail_msg("%.*s: no %s in %.*s", SLICE_FMT(text), mark, SLICE_FMT(buf_slice(&buf)));
        }
    }
    for (size_t i = 0; i + 1 < buf.len; i++) {
        found += buf.ptr[i] == '$' && buf.ptr[i + 1] >= '0' && buf.ptr[i + 1] <= '9' &&
                 memchr(buf.ptr + i, '@', buf.len - i < 12 ? buf.len - i : 12) != NULL;
    }
    if (found < d->literal_count) {
        fail_msg("%.*s: %u of %u", SLICE_FMT(text), found, d->literal_count);
    }
    buf_fini(&buf);
}

static void corpus_line(struct slice line)
{
    const uint8_t *tab = memchr(line.ptr, '\t', line.len);
    struct slice text = tab != NULL ? slice_from(line, (size_t)(tab + 1 - line.ptr)) : line;
    struct parse_options opts = {.mode = 0, .flags = PARSE_LIFT_LITERALS | PARSE_PREPARE};
    struct ast_stmt *stmt;
    size_t consumed;
    struct digest d;
    if (parser_parse(&test_arena, text, &opts, &test_diag, &stmt, &consumed) == ERR_OK) {
        assert_int_equal(digest_compute(&test_arena, text, &opts, &d), ERR_OK);
        compared++;
        lifted_total += d.literal_count;
        compare(text, stmt, &d);
    }
    arena_reset(&test_arena);
}

static void corpus(void **state)
{
    (void)state;
    test_lines(__FILE__, "corpus.txt", corpus_line);
    test_lines(__FILE__, "queries.txt", corpus_line);
    assert_true(compared > 2000);
    print_message("%u statements, %u lifted literals\n", compared, lifted_total);
    assert_true(lifted_total > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal),
        cmocka_unit_test(different),
        cmocka_unit_test(literals),
        cmocka_unit_test(corpus),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
