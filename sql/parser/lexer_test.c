#include "sql/parser/lexer.h"

#include "sql/parser/lexer_word.h"
#include "sql/parser/testlib.h"
#include "sql_grammar.h"

/* Most expectations leave out the text. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct expect {
    int kind;
    const char *text; /* NULL: not looked at */
};

static void check(const char *text, uint32_t mode, const struct expect *want)
{
    struct lexer lx;
    struct lex_token t;
    lexer_init(&lx, slice_str(text), mode);
    for (;; want++) {
        lexer_next(&lx, &t);
        if (t.kind != want->kind) {
            fail_msg("%s: at %u kind %d instead of %d", text, t.offset, t.kind, want->kind);
        }
        if (want->text != NULL && !slice_eq(t.text, slice_str(want->text))) {
            fail_msg("%s: '%.*s' instead of '%s'", text, SLICE_FMT(t.text), want->text);
        }
        if (t.kind == 0 || t.kind == LEX_BAD) {
            return;
        }
    }
}

#define CHECK(text, mode, ...) check(text, mode, (const struct expect[]){__VA_ARGS__})

static void numbers(void **state)
{
    (void)state;
    CHECK("1 1. .5 1.5 1e5 1.e-5 .5E+3", 0, {NUM, "1"}, {DECIMAL_NUM, "1."}, {DECIMAL_NUM, ".5"},
          {DECIMAL_NUM, "1.5"}, {FLOAT_NUM, "1e5"}, {FLOAT_NUM, "1.e-5"}, {FLOAT_NUM, ".5E+3"},
          {0});
    CHECK("0x1F 0b01 x'4142' B'101' 0xZ 0b2 0x", 0, {HEX_NUM, "1F"}, {BIN_NUM, "01"},
          {HEX_NUM, "4142"}, {BIN_NUM, "101"}, {IDENT, "0xZ"}, {IDENT, "0b2"}, {IDENT, "0x"}, {0});
    CHECK("1a 1e 1e5x x'1'", 0, {IDENT, "1a"}, {IDENT, "1e"}, {FLOAT_NUM, "1e5"}, {IDENT, "x"},
          {LEX_BAD});
    CHECK("t.1 t.1e5 5.5", 0, {IDENT, "t"}, {DOT_IDENT}, {IDENT, "1"}, {IDENT, "t"}, {DOT_IDENT},
          {IDENT, "1e5"}, {DECIMAL_NUM, "5.5"}, {0});
}

/* A client may send the zero byte that ends its string. */
static void zeros(void **state)
{
    static const char ends[] = "a \0 \v\0\f";
    static const char inside[] = "a \0 b";
    struct lexer lx;
    struct lex_token t;
    (void)state;
    lexer_init(&lx, slice_of(ends, sizeof(ends) - 1), 0);
    lexer_next(&lx, &t);
    assert_int_equal(t.kind, IDENT);
    lexer_next(&lx, &t);
    assert_int_equal(t.kind, 0);
    lexer_init(&lx, slice_of(inside, sizeof(inside) - 1), 0);
    lexer_next(&lx, &t);
    lexer_next(&lx, &t);
    assert_int_equal(t.kind, LEX_BAD);
}

static void names(void **state)
{
    (void)state;
    CHECK("select SELECT `select` t.select select.t", 0, {KW_SELECT}, {KW_SELECT},
          {IDENT_QUOTED, "select"}, {IDENT, "t"}, {DOT_IDENT}, {IDENT, "select"}, {IDENT, "select"},
          {DOT_IDENT}, {IDENT, "t"}, {0});
    CHECK("$a a$b _x \xC3\xA4 t . a", 0, {IDENT, "$a"}, {IDENT, "a$b"}, {IDENT, "_x"},
          {IDENT, "\xC3\xA4"}, {IDENT, "t"}, {'.'}, {IDENT, "a"}, {0});
    CHECK("count(a) count (a)", 0, {FN_COUNT}, {'('}, {IDENT}, {')'}, {IDENT, "count"}, {'('},
          {IDENT}, {')'}, {0});
    CHECK("count (a)", PARSE_MODE_IGNORE_SPACE, {FN_COUNT}, {'('}, {IDENT}, {')'}, {0});
    CHECK("_utf8mb4'x' _nosuch N'x' n", 0, {CHARSET_INTRO, "utf8mb4"}, {TEXT_STRING, "x"},
          {IDENT, "_nosuch"}, {NCHAR_STRING, "x"}, {IDENT, "n"}, {0});
    CHECK("@x @`a b` @'c' @@x @@global.x u@h.d @", 0, {USER_VAR, "x"}, {USER_VAR, "a b"},
          {USER_VAR, "c"}, {AT_AT}, {IDENT, "x"}, {AT_AT}, {KW_GLOBAL}, {DOT_IDENT}, {IDENT, "x"},
          {IDENT, "u"}, {USER_VAR, "h.d"}, {USER_VAR, ""}, {0});
    CHECK("@@ x", 0, {AT_AT}, {LEX_BAD});
}

static void strings(void **state)
{
    (void)state;
    CHECK("'a''b' \"c\" 'd\\'e'", 0, {TEXT_STRING, "a''b"}, {TEXT_STRING, "c"},
          {TEXT_STRING, "d\\'e"}, {0});
    CHECK("\"c\" 'a\\'", PARSE_MODE_ANSI_QUOTES | PARSE_MODE_NO_BACKSLASH_ESCAPES,
          {IDENT_QUOTED, "c"}, {TEXT_STRING, "a\\"}, {0});
    CHECK("'abc", 0, {LEX_BAD});
    CHECK("`abc", 0, {LEX_BAD});
    CHECK("'abc\\", 0, {LEX_BAD});
    CHECK("$$ a 'b $$ $x$ c $$ $x$ $y$", 0, {DOLLAR_STRING, " a 'b "}, {DOLLAR_STRING, " c $$ "},
          {LEX_BAD});
}

static void comments(void **state)
{
    (void)state;
    CHECK("1 -- x\n2 # y\n3 /* z */ 4 --5", 0, {NUM, "1"}, {NUM, "2"}, {NUM, "3"}, {NUM, "4"},
          {'-'}, {'-'}, {NUM, "5"}, {0});
    CHECK("/*! 1 */ /*!80400 2 */ /*!90705 3 */ /*!99999 /* 4 */ 5 */ 6 --", 0, {NUM, "1"},
          {NUM, "2"}, {NUM, "6"}, {0});
    CHECK("SELECT /*+ A(b) */ 1 /*+ c */", 0, {KW_SELECT}, {HINT, " A(b) "}, {NUM, "1"}, {0});
    CHECK("1 /* x", 0, {NUM, "1"}, {LEX_BAD});
    CHECK("/*! 1", 0, {NUM, "1"}, {LEX_BAD});
}

static void operators(void **state)
{
    (void)state;
    CHECK("<= >= <> != <=> << >> := -> ->> || && ! ~ ^ ? = < >", 0, {OP_LE}, {OP_GE}, {OP_NE},
          {OP_NE}, {OP_NSEQ}, {OP_SHL}, {OP_SHR}, {OP_ASSIGN}, {OP_ARROW}, {OP_ARROW2}, {OP_OROR},
          {OP_ANDAND}, {'!'}, {'~'}, {'^'}, {'?'}, {'='}, {'<'}, {'>'}, {0});
    CHECK("a||b", PARSE_MODE_PIPES_AS_CONCAT, {IDENT}, {OP_CONCAT}, {IDENT}, {0});
    CHECK("1 == 2", 0, {NUM}, {LEX_BAD});
    CHECK("1=!2", 0, {NUM}, {LEX_BAD});
    CHECK("1=-2", 0, {NUM}, {'='}, {'-'}, {NUM}, {0});
    CHECK("\\", 0, {LEX_BAD});
}

static void check_unescape(const char *text, uint32_t mode, const char *want, size_t want_len)
{
    struct lexer lx;
    struct lex_token t;
    struct slice s;
    lexer_init(&lx, slice_str(text), mode);
    lexer_next(&lx, &t);
    assert_int_equal(lex_unescape(&test_arena, &t, mode, NULL, &s), ERR_OK);
    if (!slice_eq(s, slice_of(want, want_len))) {
        fail_msg("%s: '%.*s'", text, SLICE_FMT(s));
    }
}

static void unescape(void **state)
{
    (void)state;
    check_unescape("'abc'", 0, "abc", 3);
    check_unescape("'a''b\"\"'", 0, "a'b\"\"", 5);
    check_unescape("\"a\"\"b''\"", 0, "a\"b''", 5);
    check_unescape("'\\0\\b\\n\\r\\t\\Z\\\\\\'\\x'", 0, "\0\b\n\r\t\032\\'x", 9);
    check_unescape("'\\%\\_'", 0, "\\%\\_", 4);
    check_unescape("'a\\n'", PARSE_MODE_NO_BACKSLASH_ESCAPES, "a\\n", 3);
    check_unescape("`a``b\\n`", 0, "a`b\\n", 5);
    check_unescape("@'x''y'", 0, "x'y", 3);
}

/* Every word of the registry is found, in any case, and nothing else is. */
static void words(void **state)
{
    (void)state;
    static const char *const all[] = {
#define KEYWORD(word, class, token) #word,
#define FUNCTION_WORD(word, token)  #word,
#include "sql/parser/keywords.def"
#undef KEYWORD
#undef FUNCTION_WORD
    };
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        char mixed[64];
        size_t n = strlen(all[i]);
        for (size_t k = 0; k <= n; k++) {
            char c = all[i][k];
            mixed[k] = k % 2 == 0 && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        const struct word_entry *e = lex_word_find(slice_of(mixed, n));
        assert_non_null(e);
        assert_string_equal(e->word, all[i]);
        mixed[n] = '_';
        const struct word_entry *longer = lex_word_find(slice_of(mixed, n + 1));
        assert_true(longer == NULL || strlen(longer->word) == n + 1);
    }
    assert_null(lex_word_find(SLICE_LIT("NOSUCHWORD")));
    assert_null(lex_word_find(SLICE_EMPTY));
    assert_true(lex_is_reserved(SLICE_LIT("select")));
    assert_false(lex_is_reserved(SLICE_LIT("status")));
}

/* Shift-JIS: the second byte of a character may be a backslash. */
static size_t sjis_size(const void *arg, const uint8_t *p, const uint8_t *end)
{
    (void)arg;
    return (*p < 0xa0 || *p >= 0xe0) && p + 1 < end ? 2 : 1;
}

static void test_charset(void **state)
{
    static const struct parse_charset sjis = {.char_size = sjis_size};
    static const char text[] = "'\x83\x5c' '\\'\x83\x5c' \x83\x5c+1";
    struct lexer lx;
    struct lex_token t;
    struct slice s;
    (void)state;
    lexer_init(&lx, slice_str(text), 0);
    lx.charset = &sjis;
    lexer_next(&lx, &t);
    assert_int_equal(t.kind, TEXT_STRING);
    assert_true(slice_eq(t.text, SLICE_LIT("\x83\x5c")));
    lexer_next(&lx, &t);
    assert_int_equal(lex_unescape(&test_arena, &t, 0, &sjis, &s), ERR_OK);
    assert_true(slice_eq(s, SLICE_LIT("'\x83\x5c")));
    lexer_next(&lx, &t);
    assert_int_equal(t.kind, IDENT);
    assert_true(slice_eq(t.text, SLICE_LIT("\x83\x5c")));
    lexer_next(&lx, &t);
    assert_int_equal(t.kind, '+');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),  cmocka_unit_test(zeros),    cmocka_unit_test(names),
        cmocka_unit_test(strings),  cmocka_unit_test(comments), cmocka_unit_test(operators),
        cmocka_unit_test(unescape), cmocka_unit_test(words),    cmocka_unit_test(test_charset),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
