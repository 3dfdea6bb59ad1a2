/* The same fields come out however the bytes are cut into pieces. */
#include "sql/exec/load_reader.h"

#include "base/test_main.h"
#include "sql/charset/charset.h"

struct pieces {
    struct slice rest;
    size_t size;
};

static db_err next(void *arg, struct slice *ret_piece)
{
    struct pieces *p = arg;
    size_t n = p->size < p->rest.len ? p->size : p->rest.len;
    *ret_piece = slice_of(p->rest.ptr, n);
    p->rest = slice_from(p->rest, n);
    return ERR_OK;
}

/* All fields, each in brackets, lines ended by '|'. */
static void read_all(const struct load_spec *spec, const char *text, size_t size, struct buf *out)
{
    struct pieces p = {slice_str(text), size};
    struct load_input in = {next, &p, NULL};
    struct load_reader r;
    bool end = false;
    assert_int_equal(load_reader_init(&r, spec, &in), ERR_OK);
    while (!end) {
        struct load_field f;
        bool found = true;
        while (found) {
            assert_int_equal(load_read_field(&r, &f, &found), ERR_OK);
            if (found) {
                assert_int_equal(
                    buf_printf(out, f.is_null ? "<%.*s>" : "[%.*s]", SLICE_FMT(f.text)), ERR_OK);
            }
        }
        assert_int_equal(load_next_line(&r, &end), ERR_OK);
        assert_int_equal(buf_append_u8(out, '|'), ERR_OK);
    }
    load_reader_fini(&r);
}

static void expect(const struct load_spec *spec, const char *text, const char *want)
{
    for (size_t size = 1; size <= 9; size += 2) {
        struct buf out;
        buf_init(&out, 1 << 20);
        read_all(spec, text, size, &out);
        assert_int_equal(out.len, strlen(want));
        assert_memory_equal(out.ptr, want, out.len);
        buf_fini(&out);
    }
}

static struct load_spec spec_of(const char *field, const char *line, int enclosed, int escaped)
{
    return (struct load_spec){.field_term = slice_str(field),
                              .line_term = slice_str(line),
                              .enclosed = enclosed,
                              .escaped = escaped,
                              .charset = charset_by_name(SLICE_LIT("utf8mb4"))};
}

static void test_plain(void **state)
{
    (void)state;
    struct load_spec s = spec_of("\t", "\n", LOAD_NO_CHAR, '\\');
    expect(&s, "a\tb\n\nc\\\td\t\\N\n", "[a][b]|[]|[c\td]<N>||");
    expect(&s, "last\\", "[last\\]|");
    expect(&s, "", "|");
}

static void test_long_terminators(void **state)
{
    (void)state;
    struct load_spec s = spec_of("<>", "<=>", LOAD_NO_CHAR, LOAD_NO_CHAR);
    expect(&s, "a<>b<<>c<=<=>d<=", "[a][b<][c<=]|[d<=]|");
    s.line_start = SLICE_LIT("aab");
    expect(&s, "xaaaab1<>2<=>aabaab3", "[1][2]|[aab3]|");
}

static void test_enclosed(void **state)
{
    (void)state;
    struct load_spec s = spec_of(",", "\r\n", '"', '\\');
    expect(&s, "\"a\"\"b\",\"c\"d\",NULL\r\n\"x\r\ny\",\"NULL\"\r\n\"open,",
           "[a\"b][c\"d]<NULL>|[x\r\ny][NULL]|[\"open,]|");
    s.escaped = '"';
    expect(&s, "\"a\"\"b\",c\"\"d", "[a\"b][c\"d]|");
}

static void test_multibyte(void **state)
{
    (void)state;
    struct load_spec s = spec_of(",", "\n", LOAD_NO_CHAR, '\\');
    s.charset = charset_by_name(SLICE_LIT("gbk"));
    s.multibyte = true;
    expect(&s, "\xbe\\n,\xff,b\n", "[\xbe\\n][\xff][b]||");
}

/* Columns without a width in lines that nothing ends: there is no end of lines to find. */
static void test_no_width(void **state)
{
    (void)state;
    struct load_spec s = spec_of("", "", LOAD_NO_CHAR, '\\');
    struct pieces text = {SLICE_LIT("abc"), 3};
    struct load_input input = {next, &text, NULL};
    struct load_reader r;
    struct slice line;
    bool found = true;
    assert_int_equal(load_reader_init(&r, &s, &input), ERR_OK);
    assert_int_equal(load_read_fixed(&r, &line, &found), ERR_OK);
    assert_false(found);
    load_reader_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_long_terminators),
        cmocka_unit_test(test_enclosed), cmocka_unit_test(test_multibyte),
        cmocka_unit_test(test_no_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
