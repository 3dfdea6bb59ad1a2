/* DECIMAL arithmetic and the text of floating numbers against what MySQL answered (vectors/). */
#include "sql/types/cast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static FILE *open_vectors(const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", TYPES_VECTORS, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static unsigned split(char *line, char **fields, unsigned max)
{
    unsigned n = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *p = line; n < max; n++) {
        fields[n] = p;
        p = strchr(p, '\t');
        if (p == NULL) {
            return n + 1;
        }
        *p++ = '\0';
    }
    return n;
}

static unsigned scale_of(const char *text)
{
    const char *point = strchr(text, '.');
    return point == NULL ? 0 : (unsigned)strlen(point + 1);
}

/* What an expression of this operator does with the result's scale. */
static bool compute(const char *op, const struct decimal *a, const struct decimal *b,
                    const char *want, char *out)
{
    struct decimal r;
    unsigned cond;
    switch (op[0]) {
    case '+': cond = decimal_add(a, b, &r); break;
    case '-': cond = decimal_sub(a, b, &r); break;
    case '*': cond = decimal_mul(a, b, &r); break;
    case '/': cond = decimal_div(a, b, 4, &r); break;
    default: cond = decimal_mod(a, b, &r); break;
    }
    if ((cond & DECIMAL_DIV_ZERO) != 0) {
        snprintf(out, DECIMAL_TEXT_MAX + 1, "\\N");
        return true;
    }
    if ((cond & DECIMAL_OVERFLOW) != 0) {
        return false;
    }
    if (r.scale > scale_of(want)) {
        (void)decimal_round(&r, (int)scale_of(want), DECIMAL_HALF_UP, &r);
    }
    out[decimal_to_text(&r, out)] = '\0';
    return true;
}

static void test_decimal(void **state UNUSED)
{
    FILE *f = open_vectors("decimal.txt");
    char line[1024];
    unsigned count = 0;
    unsigned failures = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        char *l[4];
        char out[NUMBER_TEXT_MAX] = "";
        assert_int_equal(split(line, l, 4), 4);
        struct decimal a;
        struct decimal b;
        assert_int_equal(decimal_from_text(slice_str(l[1]), &a), DECIMAL_OK);
        (void)decimal_from_text(slice_str(l[2]), &b);
        if (strcmp(l[0], "cmp") == 0) {
            snprintf(out, sizeof(out), "%d", decimal_cmp(&a, &b));
        } else if (strcmp(l[0], "double") == 0) {
            out[double_to_text(decimal_to_double(&a), DECIMALS_NOT_FIXED, out)] = '\0';
        } else if (strcmp(l[0], "round") == 0 || strcmp(l[0], "truncate") == 0) {
            int64_t digits = 0;
            (void)decimal_to_int(&b, &digits);
            int scale = (int)digits < (int)a.scale ? (int)digits : (int)a.scale;
            (void)decimal_round(&a, scale, l[0][0] == 'r' ? DECIMAL_HALF_UP : DECIMAL_TRUNCATE, &a);
            out[decimal_to_text(&a, out)] = '\0';
        } else if (!compute(l[0], &a, &b, l[3], out)) {
            continue; /* MySQL's message is the function's business */
        }
        count++;
        if (strcmp(out, l[3]) != 0 && ++failures < 40) {
            fprintf(stderr, "%s %s %s: want %s got %s\n", l[1], l[0], l[2], l[3], out);
        }
    }
    fclose(f);
    fprintf(stderr, "%u operations, %u differ\n", count, failures);
    assert_int_equal(failures, 0);
    assert_true(count > 1000);
}

static void test_doubles(void **state UNUSED)
{
    FILE *f = open_vectors("double.txt");
    char line[1024];
    unsigned failures = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        char *l[3];
        char out[NUMBER_TEXT_MAX];
        assert_int_equal(split(line, l, 3), 3);
        uint64_t bits = strtoull(l[1], NULL, 16);
        if (l[0][0] == 'd') {
            double d;
            memcpy(&d, &bits, sizeof(d));
            out[double_to_text(d, DECIMALS_NOT_FIXED, out)] = '\0';
        } else {
            uint32_t narrow = (uint32_t)bits;
            float v;
            memcpy(&v, &narrow, sizeof(v));
            out[float_to_text(v, DECIMALS_NOT_FIXED, out)] = '\0';
        }
        if (strcmp(out, l[2]) != 0 && ++failures < 40) {
            fprintf(stderr, "%s %s: want %s got %s\n", l[0], l[1], l[2], out);
        }
    }
    fclose(f);
    assert_int_equal(failures, 0);
}

static void test_fixed_form(void **state UNUSED)
{
    static const char *const texts[] = {
        "0", "-0.01", "99999999.99", "-99999999.99", "12345678901234567890.12", "-1", "0.5"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        for (unsigned precision = 22; precision <= 65; precision += 16) {
            struct decimal a;
            struct decimal b;
            uint8_t bytes[32];
            (void)decimal_from_text(slice_str(texts[i]), &a);
            decimal_to_fixed(&a, precision, 2, bytes);
            decimal_from_fixed(bytes, precision, 2, &b);
            assert_int_equal(decimal_cmp(&a, &b), 0);
            assert_int_equal(b.scale, 2);
            assert_true(decimal_hash(&a, 1) == decimal_hash(&b, 1));
        }
    }
}

static void parse(const char *text, struct decimal *ret)
{
    assert_int_equal(decimal_from_text(slice_str(text), ret), DECIMAL_OK);
}

/* 54 digits before the point and 27 behind it are what there is room for: nothing is lost. With one
 * more behind it the operands are cut, and it is said. */
static void test_sums_that_just_fit(void **state)
{
    static const char whole[] = "123456789012345678901234567890123456789012345678901234";
    char want[DECIMAL_TEXT_MAX + 1];
    char text[DECIMAL_TEXT_MAX + 1];
    struct decimal a, b, r;
    (void)state;
    parse(whole, &a);
    parse("0.000000000000000000000000001", &b);
    assert_int_equal(decimal_add(&a, &b, &r), DECIMAL_OK);
    snprintf(want, sizeof(want), "%s.000000000000000000000000001", whole);
    text[decimal_to_text(&r, text)] = '\0';
    assert_string_equal(text, want);
    assert_int_equal(decimal_sub(&r, &b, &r), DECIMAL_OK);
    assert_int_equal(decimal_cmp(&r, &a), 0);
    parse("0.0000000000000000000000000011", &b);
    assert_int_equal(decimal_add(&a, &b, &r), DECIMAL_TRUNCATED);
    text[decimal_to_text(&r, text)] = '\0';
    assert_string_equal(text, want);
    /* it is cut off the operand, not off the difference, which would end in 8 */
    assert_int_equal(decimal_sub(&a, &b, &r), DECIMAL_TRUNCATED);
    text[decimal_to_text(&r, text)] = '\0';
    assert_string_equal(
        text, "123456789012345678901234567890123456789012345678901233.999999999999999999999999999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_fixed_form),
        cmocka_unit_test(test_sums_that_just_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
