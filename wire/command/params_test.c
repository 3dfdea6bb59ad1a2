#include "wire/command/params.h"

#include "base/rand.h"
#include "base/test_main.h"
#include "wire/net/protocol.h"

static struct sql_param read_one(uint16_t type, struct slice bytes, bool *ret_bad)
{
    struct reader r = reader_of(bytes);
    struct sql_param p;
    param_read(&r, type, &p);
    *ret_bad = r.bad;
    return p;
}

static void test_values(void **state)
{
    (void)state;
    bool bad;
    struct sql_param p = read_one(TYPE_TINY, SLICE_LIT("\xff"), &bad);
    assert_true(!bad && p.cell.kind == SQL_CELL_INT && p.cell.v.i64 == -1);
    p = read_one(TYPE_TINY | PARAM_UNSIGNED, SLICE_LIT("\xff"), &bad);
    assert_true(!bad && p.cell.kind == SQL_CELL_UINT && p.cell.v.u64 == 255);
    p = read_one(TYPE_SHORT, SLICE_LIT("\x00\x80"), &bad);
    assert_true(!bad && p.cell.v.i64 == -32768);
    p = read_one(TYPE_LONG, SLICE_LIT("\xfe\xff\xff\xff"), &bad);
    assert_true(!bad && p.cell.v.i64 == -2);
    p = read_one(TYPE_LONGLONG, SLICE_LIT("\0\0\0\0\0\0\0\x80"), &bad);
    assert_true(!bad && p.cell.v.i64 == INT64_MIN);
    p = read_one(TYPE_FLOAT, SLICE_LIT("\0\0\xc0\x3f"), &bad);
    assert_true(!bad && p.cell.kind == SQL_CELL_FLOAT && p.cell.v.f64 == 1.5);
    p = read_one(TYPE_DATETIME, SLICE_LIT("\x0b\xe8\x07\x02\x1d\x0d\x05\x09\x90\xd0\x03\x00"),
                 &bad);
    assert_true(!bad && p.cell.v.time.year == 2024 && p.cell.v.time.microsecond == 250000);
    assert_int_equal(p.cell.v.time.decimals, 6);
    p = read_one(TYPE_DATETIME, SLICE_LIT("\x07\xe8\x07\x02\x1d\x0d\x05\x09"), &bad);
    assert_true(!bad && p.cell.v.time.second == 9 && p.cell.v.time.decimals == 0);
    p = read_one(TYPE_TIME, SLICE_LIT("\x0c\x00\0\0\0\0\x01\x02\x03\x40\x42\x0f\0"), &bad);
    assert_true(!bad && p.cell.v.time.second == 3 && p.cell.v.time.decimals == 6);
    p = read_one(TYPE_DATE, SLICE_LIT("\x00"), &bad);
    assert_true(!bad && p.cell.kind == SQL_CELL_DATE && p.cell.v.time.year == 0);
    p = read_one(TYPE_TIME, SLICE_LIT("\x08\x01\x22\x00\x00\x00\x16\x05\x09"), &bad);
    assert_true(!bad && p.cell.v.time.negative && p.cell.v.time.hour == 838);
    assert_int_equal(p.cell.v.time.decimals, 0);
    p = read_one(TYPE_BLOB, SLICE_LIT("\x03xyz"), &bad);
    assert_true(!bad && slice_eq(p.cell.v.text, SLICE_LIT("xyz")));
    (void)read_one(TYPE_BLOB, SLICE_LIT("\x04xyz"), &bad);
    assert_true(bad);
    (void)read_one(TYPE_TIME, SLICE_LIT("\x05\x01\x22\x00\x00\x00"), &bad);
    assert_true(bad);
    (void)read_one(TYPE_BLOB, SLICE_LIT("\xfe\xff\xff\xff\xff\xff\xff\xff\xff"), &bad);
    assert_true(bad);
    (void)read_one(TYPE_DATE, SLICE_LIT("\x07\xe8\x07\x02\x1d\x0d\x05\x09"), &bad);
    assert_true(bad);
    assert_false(param_type_ok(0x99));
    assert_false(param_type_ok(TYPE_YEAR));
}

static void test_hostile(void **state)
{
    (void)state;
    struct rand r;
    uint8_t data[64];
    rand_seed(&r, 9);
    for (int i = 0; i < 300000; i++) {
        size_t size = rand_below(&r, sizeof(data) + 1);
        uint8_t *exact = data + (sizeof(data) - size);
        for (size_t k = 0; k < size; k++) {
            exact[k] = rand_below(&r, 2) == 0 ? (uint8_t)rand_below(&r, 4) : (uint8_t)rand_u64(&r);
        }
        struct reader rd = reader_of(slice_of(exact, size));
        uint32_t count;
        struct sql_attribute list[sizeof(data)];
        if (query_attributes_count(&rd, &count)) {
            (void)!query_attributes_read(&rd, count, list);
        }
        assert_true(rd.pos <= exact + size || size == 0);
        bool bad;
        (void)read_one((uint16_t)rand_below(&r, 256), slice_of(exact, size), &bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
