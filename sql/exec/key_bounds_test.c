/* Bounds as keys say what the condition says: of a value that the column has, its key lies in an
 * interval exactly when rows' comparison holds, whatever the bound's type. */
#include "sql/exec/key_bounds.h"

#include <stdio.h>
#include <string.h>

#include "base/test_main.h"
#include "sql/charset/charset.h"
#include "sql/codec/table_keys.h"
#include "sql/types/compare.h"
#include "sql/types/sql_mode.h"
#include "sql/types/timezone.h"

enum { KEY_MAX = 1 << 20, VALUES_MAX = 16 };

struct bench {
    struct arena arena;
    struct diag diag;
    struct cast_ctx cast;
    struct exec_ctx exec;
};

static void bench_init(struct bench *b, const char *zone)
{
    *b = (struct bench){0};
    arena_init(&b->arena, NULL, NULL, 0);
    diag_reset(&b->diag);
    cast_ctx_init(&b->cast, &b->arena, &b->diag);
    CHECK_OK(timezone_find(slice_str(zone), NULL, &b->cast.tz));
    b->exec.arena = &b->arena;
    b->exec.eval.cast = &b->cast;
}

/* As INSERT makes it of text, loosely. */
static struct value make(struct bench *b, const struct sql_type *type, const char *text)
{
    struct store_target target = {.column = "", .row = 1};
    struct value from = value_str(slice_str(text), COLL_UTF8MB4_BIN);
    struct sql_type text_type = value_type(&from);
    struct value ret;
    struct cast_ctx loose = b->cast;
    loose.sql_mode |= SQL_MODE_ALLOW_INVALID_DATES;
    CHECK_OK(type_store(&loose, type, &target, &text_type, &from, &ret));
    return ret;
}

static struct slice key_of(struct bench *b, const struct key_column *kc, const struct value *v)
{
    struct buf key;
    struct slice ret;
    buf_init(&key, KEY_MAX);
    CHECK_OK(v->is_null ? key_encode_null(kc, &key) : exec__put_value(kc, v, &key));
    CHECK_OK(arena_copy(&b->arena, buf_slice(&key), &ret));
    buf_fini(&key);
    return ret;
}

/* ---- one end ---- */

struct end_case {
    struct bench *b;
    struct sql_type column, type; /* the bound's */
    const char *text;
    struct value bound;
};

/* The column's value against the bound, as rows are compared. */
static int row_order(const struct end_case *c, const struct value *x)
{
    int order;
    enum compare_kind kind = compare_kind(&c->column, &c->type);
    double tolerance = kind == COMPARE_DOUBLE ? compare_tolerance(&c->column, &c->type) : 0;
    if (tolerance != 0) {
        double a;
        double b;
        CHECK_OK(value_to_double(&c->b->cast, &c->column, x, &a));
        CHECK_OK(value_to_double(&c->b->cast, &c->type, &c->bound, &b));
        return compare_near(a, b, tolerance);
    }
    struct cast_ctx any = c->b->cast;
    any.sql_mode = SQL_MODE_ALLOW_INVALID_DATES; /* dates that are there compare as they are */
    CHECK_OK(value_compare(&any, kind, collation_by_id(c->column.collation), &c->column, x,
                           &c->type, &c->bound, &order));
    return order;
}

static void told(const struct end_case *c, const char *x, const char *what, bool in)
{
    fprintf(stderr, "column of type %u, %s %s of type %u: %s is %s\n", c->column.id, what, c->text,
            c->type.id, x, in ? "in" : "not in");
}

/* x > bound, x >= bound, x < bound, x <= bound. */
static void check_ends(const struct end_case *c, const struct key_column *kc, const char *text,
                       const struct value *x)
{
    static const char *const names[] = {"<", "<=", ">", ">="};
    const struct bexpr e = {.kind = BEXPR_CONST, .type = c->type, .u.constant = c->bound};
    int rows = row_order(c, x);
    for (unsigned op = 0; op < 4; op++) {
        bool is_low = op >= 2;
        bool inclusive = op % 2 == 1;
        bool empty = false;
        struct bound end;
        CHECK_OK(
            exec__eval_interval_end(&c->b->exec, &e, inclusive, is_low, &c->column, &end, &empty));
        bool wanted = (is_low ? rows > 0 : rows < 0) || (inclusive && rows == 0);
        int order = end.given ? slice_cmp(key_of(c->b, kc, x), key_of(c->b, kc, &end.v)) : 0;
        bool in = !empty &&
                  (!end.given || (is_low ? order > 0 : order < 0) || (end.inclusive && order == 0));
        bool wider = !end.given && in && type_is_temporal(&c->column); /* rows are compared, too */
        if (in != wanted && !wider) {
            told(c, text, names[op], in);
        }
        CHECK(in == wanted || wider);
    }
}

/* x = bound; and what is searched for, but text, is a value that the column can have. */
static void check_stored(const struct end_case *c, const struct key_column *kc, const char *text,
                         const struct value *x)
{
    struct value stored;
    int order;
    CHECK_OK(exec__stored_form(&c->b->exec, &c->column, &c->type, &c->bound, &stored, &order));
    bool in = order == 0 && slice_eq(key_of(c->b, kc, x), key_of(c->b, kc, &stored));
    bool wanted = row_order(c, x) == 0;
    if (in != wanted) {
        told(c, text, "=", in);
    }
    CHECK(in == wanted);
    if (!stored.is_null && stored.phys != PHYS_STR) {
        struct value again;
        struct store_target target = {.column = "", .row = 1};
        struct cast_ctx loose = c->b->cast;
        loose.sql_mode |= SQL_MODE_ALLOW_INVALID_DATES;
        CHECK(stored.phys == type_phys(&c->column) && stored.type == c->column.id);
        CHECK(stored.phys != PHYS_INT || stored.is_unsigned == type_is_unsigned(&c->column));
        CHECK_OK(type_store(&loose, &c->column, &target, &c->column, &stored, &again));
        CHECK(value_compare_same(&stored, &again, collation_by_id(c->column.collation)) == 0);
    }
}

static void expect(struct bench *b, struct sql_type column, const char *const *xs,
                   struct sql_type type, const char *const *bounds)
{
    struct key_column kc;
    CHECK_OK(key_column_init(&kc, &column, 0, false, true));
    for (; *bounds != NULL; bounds++) {
        struct end_case c = {.b = b, .column = column, .type = type, .text = *bounds};
        c.bound = make(b, &type, *bounds);
        for (const char *const *x = xs; *x != NULL; x++) {
            struct value v = make(b, &column, *x);
            check_ends(&c, &kc, *x, &v);
            check_stored(&c, &kc, *x, &v);
        }
    }
    arena_reset(&b->arena);
}

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

/* Text that is a whole number is that one, to its last digit. */
static void check_whole_text(struct bench *b, const char *text, int64_t wanted, int order_wanted)
{
    struct sql_type whole = type_int(TYPE_BIGINT, false);
    struct value v = value_str(slice_str(text), COLL_UTF8MB4_BIN);
    struct sql_type type = value_type(&v);
    struct value stored;
    int order;
    CHECK_OK(exec__stored_form(&b->exec, &whole, &type, &v, &stored, &order));
    CHECK(stored.i == wanted && order == order_wanted);
}

static void test_integers(void **state UNUSED)
{
    struct bench b;
    bench_init(&b, "UTC");
    struct sql_type small = type_int(TYPE_TINYINT, false);
    struct sql_type natural = type_int(TYPE_TINYINT, true);
    struct sql_type whole = type_int(TYPE_BIGINT, false);
    struct sql_type positive = type_int(TYPE_BIGINT, true);
    struct sql_type text = type_char(TYPE_VARCHAR, 40, COLL_UTF8MB4_BIN);
    const char *const *in_small = LIST("-128", "-127", "-1", "0", "1", "126", "127");
    const char *const *in_natural = LIST("0", "1", "127", "128", "254", "255");
    const char *const *in_whole =
        LIST("-9223372036854775808", "-1", "0", "1", "9223372036854775806", "9223372036854775807");
    const char *const *in_positive =
        LIST("0", "1", "9223372036854775807", "9223372036854775808", "18446744073709551615");
    const char *const *wholes = LIST("-9223372036854775808", "-129", "-128", "-1", "0", "1", "127",
                                     "128", "255", "256", "9223372036854775807");
    const char *const *positives = LIST("0", "1", "127", "128", "255", "256", "9223372036854775807",
                                        "9223372036854775808", "18446744073709551615");
    const char *const *between =
        LIST("-1000000000000000000000.5", "-128.5", "-127.5", "-0.5", "0.5", "126.5", "127.5",
             "254.5", "255.5", "99999999999999.5");
    const struct {
        struct sql_type type;
        const char *const *values;
    } columns[] = {
        {small, in_small}, {natural, in_natural}, {whole, in_whole}, {positive, in_positive}};
    for (unsigned i = 0; i < ARRAY_COUNT(columns); i++) {
        expect(&b, columns[i].type, columns[i].values, whole, wholes);
        expect(&b, columns[i].type, columns[i].values, positive, positives);
        expect(&b, columns[i].type, columns[i].values, type_decimal(40, 10, false), between);
        expect(&b, columns[i].type, columns[i].values, type_double(),
               LIST("-1e30", "-128.5", "-0.5", "0.5", "127.5", "1e30"));
    }
    expect(&b, small, in_small, text, LIST("-129", "-128", "5", "127", "128", "1.5", "-0.5"));
    expect(&b, whole, in_whole, text, LIST("18446744073709551616", "0.5", "-1"));
    check_whole_text(&b, "9223372036854775806", INT64_MAX - 1, 0);
    check_whole_text(&b, "9223372036854775808", INT64_MAX, -1);
    expect(&b, type_bit(8), LIST("\x01", "\x05", "\xff"), whole,
           LIST("0", "5", "255", "256", "-1"));
    arena_fini(&b.arena);
}

/* Those between 0 and 1901 are none, nor are those beyond 2155. */
static void test_years(void **state UNUSED)
{
    struct bench b;
    bench_init(&b, "UTC");
    struct sql_type year = type_temporal(TYPE_YEAR, 0);
    const char *const *years = LIST("0000", "1901", "1902", "2000", "2154", "2155");
    expect(&b, year, years, type_int(TYPE_BIGINT, false),
           LIST("-1", "0", "1", "1000", "1900", "1901", "2000", "2155", "2156", "99999"));
    expect(&b, year, years, type_decimal(10, 2, false),
           LIST("-0.5", "0.5", "1900.5", "1901.5", "2000.5", "2154.5", "2155.5", "2156.5"));
    expect(&b, year, years, type_double(), LIST("-1e30", "0.5", "1901", "2154.5", "1e30"));
    arena_fini(&b.arena);
}

/* Moments before 1970 and behind 2038, and those that clocks pass over, are none of a TIMESTAMP. */
static void test_stamps(void **state UNUSED)
{
    struct bench b;
    bench_init(&b, "Europe/Berlin");
    struct sql_type moment = type_temporal(TYPE_DATETIME, 6);
    const char *const *moments =
        LIST("0000-00-00 00:00:00", "1960-01-01 00:00:00", "1970-01-01 01:00:00.4",
             "1970-01-01 01:00:00.6", "1970-01-01 01:00:01", "2024-03-31 01:59:59.6",
             "2024-03-31 02:00:00", "2024-03-31 02:30:00.5", "2024-03-31 02:59:59.9",
             "2024-03-31 03:00:00", "2024-00-00 00:00:00", "2038-01-19 04:14:07",
             "2038-01-19 04:14:07.6", "2038-01-19 04:14:08", "9999-12-31 23:59:59.999999");
    const char *const *stamps = LIST(
        "0000-00-00 00:00:00", "1970-01-01 01:00:01", "1970-01-01 01:00:02", "2024-03-31 01:59:59",
        "2024-03-31 03:00:00", "2024-03-31 03:00:01", "2038-01-19 04:14:06", "2038-01-19 04:14:07");
    const char *const *parts =
        LIST("1970-01-01 01:00:01", "1970-01-01 01:00:01.001", "2024-03-31 01:59:59.599",
             "2024-03-31 01:59:59.6", "2024-03-31 01:59:59.999", "2024-03-31 03:00:00",
             "2038-01-19 04:14:07.599", "2038-01-19 04:14:07.6", "2038-01-19 04:14:07.999");
    const char *const *days = LIST("0000-00-00", "1960-01-01", "2024-03-31", "2050-01-01");
    for (unsigned truncate = 0; truncate < 2; truncate++) {
        b.exec.sql_mode = b.cast.sql_mode = truncate ? SQL_MODE_TIME_TRUNCATE_FRACTIONAL : 0;
        for (unsigned decimals = 0; decimals <= 3; decimals += 3) {
            struct sql_type stamp = type_temporal(TYPE_TIMESTAMP, decimals);
            const char *const *values = decimals == 0 ? stamps : parts;
            expect(&b, stamp, values, moment, moments);
            expect(&b, stamp, values, type_temporal(TYPE_DATE, 0), days);
            expect(&b, stamp, values, type_temporal(TYPE_TIMESTAMP, 6), parts);
        }
    }
    arena_fini(&b.arena);
}

static void test_dates(void **state UNUSED)
{
    struct bench b;
    bench_init(&b, "UTC");
    b.exec.sql_mode = b.cast.sql_mode = SQL_MODE_NO_ZERO_DATE | SQL_MODE_NO_ZERO_IN_DATE;
    struct sql_type moment = type_temporal(TYPE_DATETIME, 6);
    struct sql_type day = type_temporal(TYPE_DATE, 0);
    const char *const *days =
        LIST("0001-01-01", "2024-02-28", "2024-02-29", "2024-03-01", "9999-12-31");
    const char *const *moments =
        LIST("0001-01-01 00:00:00", "2024-02-28 23:59:59.9", "2024-02-29 00:00:00",
             "2024-02-30 00:00:00", "2024-02-29 12:00:00", "9999-12-31 23:59:59.999999");
    expect(&b, day, days, moment, moments);
    expect(&b, day, days, day, LIST("0001-01-01", "2024-02-29", "2024-02-30", "9999-12-31"));
    expect(&b, type_temporal(TYPE_DATETIME, 0),
           LIST("0001-01-01 00:00:00", "2024-02-28 23:59:59", "2024-02-29 00:00:00",
                "2024-02-29 12:00:00", "2024-02-29 12:00:01", "9999-12-31 23:59:59"),
           moment, moments);
    expect(&b, type_temporal(TYPE_TIME, 0),
           LIST("-838:59:59", "-00:00:01", "00:00:00", "12:00:00", "12:00:01", "838:59:59"),
           type_temporal(TYPE_TIME, 6),
           LIST("-838:59:59", "-00:00:00.5", "00:00:00", "12:00:00.5", "838:59:59"));
    arena_fini(&b.arena);
}

/* A number is a bound of dates where it is one; else rows are compared. */
static void test_numbers_as_dates(void **state UNUSED)
{
    struct bench b;
    struct bound end;
    bool empty = false;
    struct sql_type day = type_temporal(TYPE_DATE, 0);
    struct bexpr e = {.kind = BEXPR_CONST,
                      .type = type_int(TYPE_BIGINT, false),
                      .u.constant = value_int(20240229)};
    bench_init(&b, "UTC");
    struct value wanted = make(&b, &day, "2024-02-29");
    CHECK_OK(exec__eval_interval_end(&b.exec, &e, true, true, &day, &end, &empty));
    CHECK(!empty && end.given && end.inclusive && end.v.t == wanted.t);
    e.u.constant = value_int(20240230);
    CHECK_OK(exec__eval_interval_end(&b.exec, &e, true, true, &day, &end, &empty));
    CHECK(!empty && !end.given);
    arena_fini(&b.arena);
}

/* What is no date is below all dates, and no value of any column. */
static void test_no_dates(void **state UNUSED)
{
    static const enum type_id ids[] = {TYPE_DATE, TYPE_DATETIME, TYPE_TIMESTAMP, TYPE_TIME};
    struct bench b;
    bench_init(&b, "UTC");
    for (unsigned i = 0; i < ARRAY_COUNT(ids); i++) {
        struct sql_type column = type_temporal(ids[i], 0);
        struct sql_type moment = type_temporal(ids[i] == TYPE_TIME ? TYPE_TIME : TYPE_DATETIME, 0);
        struct value least = make(&b, &column, ids[i] == TYPE_TIME ? "-838:59:59" : "0000-00-00");
        struct value none = make(&b, &moment, "00:00:00");
        struct value stored;
        int order;
        none.t = TEMPORAL_LOWEST;
        CHECK_OK(exec__stored_form(&b.exec, &column, &moment, &none, &stored, &order));
        CHECK(order > 0 && stored.t == least.t && stored.type == ids[i]);
    }
    arena_fini(&b.arena);
}

static void test_numbers(void **state UNUSED)
{
    struct bench b;
    bench_init(&b, "UTC");
    struct sql_type exact = type_decimal(6, 2, false);
    struct sql_type near = type_float();
    const char *const *prices = LIST("-9999.99", "-0.01", "0.00", "1.25", "1.26", "9999.99");
    expect(&b, exact, prices, type_decimal(30, 10, false),
           LIST("-10000", "-9999.995", "-0.005", "0.001", "1.25", "1.255", "1.2599", "9999.995",
                "1000000"));
    expect(&b, exact, prices, type_int(TYPE_BIGINT, false), LIST("-10000", "0", "1", "10000"));
    expect(&b, exact, prices, type_double(), LIST("-1e30", "0.5", "1.25", "1.251", "1e30"));
    near.length = 7;
    near.decimals = 2;
    expect(&b, near, LIST("0.33", "2.33", "2.34", "99999.99"), type_decimal(8, 3, false),
           LIST("0.33", "0.334", "0.336", "2.33", "2.335", "1000000"));
    expect(&b, type_double(), LIST("-1", "0", "0.1", "1e300"), type_decimal(5, 1, false),
           LIST("-1.0", "0.1", "0.2", "999.9"));
    arena_fini(&b.arena);
}

static void test_texts(void **state UNUSED)
{
    static const unsigned collations[] = {COLL_UTF8MB4_BIN, COLL_UTF8MB4_0900_AI_CI,
                                          COLL_UTF8MB4_0900_AS_CS, COLL_UTF8MB4_GENERAL_CI};
    struct bench b;
    bench_init(&b, "UTC");
    for (unsigned i = 0; i < ARRAY_COUNT(collations); i++) {
        struct sql_type text = type_char(TYPE_VARCHAR, 9, collations[i]);
        const char *const *bounds = LIST("", " ", "a", "a ", "a  ", "A", "aB", "b\t", "b ");
        expect(&b, text, LIST("", " ", "a", "A", "a ", "ab", "b", "b\t"), text, bounds);
        expect(&b, type_char(TYPE_CHAR, 9, collations[i]), LIST("", "a", "A", "ab", "b\t"), text,
               bounds);
    }
    /* CHAR that is read as long as it can be */
    struct sql_type column = type_char(TYPE_CHAR, 4, COLL_UTF8MB4_0900_AI_CI);
    struct value searched = value_str(slice_str("a   "), COLL_UTF8MB4_0900_AI_CI);
    struct value stored;
    int order;
    b.exec.sql_mode = SQL_MODE_PAD_CHAR_TO_FULL_LENGTH;
    CHECK_OK(exec__stored_form(&b.exec, &column, &column, &searched, &stored, &order));
    CHECK(order == 0 && slice_eq(stored.str, slice_str("a")));
    arena_fini(&b.arena);
}

static void test_null_and_open(void **state UNUSED)
{
    struct bench b;
    bench_init(&b, "UTC");
    struct sql_type column = type_int(TYPE_INT, false);
    struct bexpr e = {.kind = BEXPR_CONST, .type = type_null(), .u.constant = value_null()};
    struct bound end;
    bool empty = false;
    CHECK_OK(exec__eval_interval_end(&b.exec, NULL, true, true, &column, &end, &empty));
    CHECK(!empty && !end.given);
    CHECK_OK(exec__eval_interval_end(&b.exec, &e, true, true, &column, &end, &empty));
    CHECK(empty);
    e.u.constant = value_int(5); /* a parameter that had no type when the plan was made */
    empty = false;
    CHECK_OK(exec__eval_interval_end(&b.exec, &e, true, true, &column, &end, &empty));
    CHECK(!empty && end.given && end.inclusive && end.v.i == 5);
    e.type = type_char(TYPE_VARCHAR, 9, COLL_UTF8MB4_BIN); /* nor is it of the type that it had */
    CHECK_OK(exec__eval_interval_end(&b.exec, &e, false, true, &column, &end, &empty));
    CHECK(!empty && end.given && !end.inclusive && end.v.i == 5);
    struct sql_type exact = type_decimal(5, 1, false);
    e.u.constant = make(&b, &exact, "5.5");
    CHECK_OK(exec__eval_interval_end(&b.exec, &e, false, true, &column, &end, &empty));
    CHECK(!empty && end.given && end.inclusive && end.v.i == 6);
    struct sql_type day = type_temporal(TYPE_DATE, 0);
    e.type = type_null();
    e.u.constant = value_str(slice_str("2020-01-02"), COLL_UTF8MB4_BIN);
    struct value wanted = make(&b, &day, "2020-01-02");
    CHECK_OK(exec__eval_interval_end(&b.exec, &e, true, false, &day, &end, &empty));
    CHECK(!empty && end.given && end.inclusive && end.v.t == wanted.t);
    arena_fini(&b.arena);
}

/* ---- intervals ---- */

struct interval_case {
    struct key_column kc;
    bool not_null;
    struct bound low, high;
    const char *before;
};

/* number 0: NULL. */
static bool is_in(const struct interval_case *c, int number)
{
    if (number == 0) {
        return !c->not_null && !c->low.given;
    }
    int64_t n = number;
    return (!c->low.given || n > c->low.v.i || (c->low.inclusive && n == c->low.v.i)) &&
           (!c->high.given || n < c->high.v.i || (c->high.inclusive && n == c->high.v.i));
}

static void check_interval(struct bench *b, const struct interval_case *c)
{
    struct buf base;
    struct slice before;
    struct key_range range;
    buf_init(&base, KEY_MAX);
    CHECK_OK(buf_append_slice(&base, slice_str(c->before)));
    CHECK_OK(exec__put_interval(&b->exec, &c->kc, c->not_null, &c->low, &c->high, &base, &before,
                                &range));
    CHECK(slice_eq(before, slice_str(c->before)));
    for (int n = c->kc.nullable ? 0 : 1; n <= 5; n++) {
        struct value v = n == 0 ? value_null() : value_int(n);
        buf_reset(&base);
        CHECK_OK(buf_append_slice(&base, before));
        CHECK_OK(buf_append_slice(&base, key_of(b, &c->kc, &v)));
        struct slice key = buf_slice(&base);
        bool in = slice_cmp(key, range.start) >= 0 &&
                  (range.end.len == 0 || slice_cmp(key, range.end) < 0);
        CHECK(in == is_in(c, n));
    }
    /* nothing of what stands beside the keys with this beginning */
    CHECK(before.len == 0 || slice_starts_with(range.start, before) || range.start.len == 0 ||
          slice_cmp(range.start, range.end) >= 0);
    buf_fini(&base);
    arena_reset(&b->arena);
}

static void test_intervals(void **state UNUSED)
{
    static const char *const befores[] = {"", "p", "p\xff", "\xff\xff"};
    struct bench b;
    struct sql_type type = type_int(TYPE_INT, false);
    bench_init(&b, "UTC");
    /* every kind of column, every end: 0 open, 1 exclusive, 2 inclusive */
    for (unsigned i = 0; i < 2 * 2 * 2 * 3 * 3 * ARRAY_COUNT(befores); i++) {
        unsigned low = i / 8 % 3;
        unsigned high = i / 24 % 3;
        struct interval_case c = {
            .not_null = (i & 4) != 0,
            .low = {.v = value_int(2), .given = low != 0, .inclusive = low == 2},
            .high = {.v = value_int(4), .given = high != 0, .inclusive = high == 2},
            .before = befores[i / 72],
        };
        CHECK_OK(key_column_init(&c.kc, &type, 0, (i & 1) != 0, (i & 2) != 0));
        check_interval(&b, &c);
    }
    arena_fini(&b.arena);
}

/* ---- long text ---- */

/* What is searched for is the beginning of the text's key, as long as a stored one may be. */
static void test_long_text(void **state UNUSED)
{
    static const unsigned collations[] = {COLL_UTF8MB4_BIN, COLL_UTF8MB4_0900_AI_CI,
                                          COLL_UTF8MB4_GENERAL_CI};
    enum { LONGEST = 700 * 1000 }; /* its key is longer than what there is room for */
    static char text[LONGEST];
    struct bench b;
    bench_init(&b, "UTC");
    memset(text, 'x', sizeof(text));
    for (unsigned i = 0; i < ARRAY_COUNT(collations); i++) {
        static const size_t lens[] = {
            0, 1, 15, 1000, 16 * 1024 - 3, 16384, 64 * 1024, 64 * 1024 + 1, LONGEST};
        struct sql_type type = type_char(TYPE_VARCHAR, 1000, collations[i]);
        struct key_column kc;
        CHECK_OK(key_column_init(&kc, &type, 0, false, false));
        for (unsigned k = 0; k < ARRAY_COUNT(lens); k++) {
            struct value v = value_str(slice_of(text, lens[k]), collations[i]);
            struct slice searched = key_of(&b, &kc, &v);
            struct buf whole;
            buf_init(&whole, 4 * KEY_MAX);
            CHECK_OK(key_encode(&kc, &v, &whole));
            size_t n = whole.len > STORAGE_KEY_SIZE_MAX ? STORAGE_KEY_SIZE_MAX : whole.len;
            CHECK(slice_eq(searched, slice_of(whole.ptr, n)));
            buf_fini(&whole);
        }
    }
    arena_fini(&b.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),         cmocka_unit_test(test_years),
        cmocka_unit_test(test_stamps),           cmocka_unit_test(test_dates),
        cmocka_unit_test(test_no_dates),         cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_null_and_open),    cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_long_text),        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers_as_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
