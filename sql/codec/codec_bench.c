/* ns per row or key: decoding rows into vectors, encoding keys. Run by hand in a release build. */
#include "sql/codec/index_codec.h"

#include <stdio.h>

#include "base/clock.h"
#include "sql/types/temporal.h"

enum { ROWS = 1024, ROUNDS = 400, COLUMNS = 6 };

static void report(const char *what, uint64_t start, uint64_t count)
{
    printf("%-34s %8.1f ns\n", what, (double)(clock_mono_ns() - start) / (double)count);
}

static void bench_keys(struct arena *arena)
{
    static const struct {
        const char *what;
        enum type_id id;
        unsigned collation;
    } cases[] = {{"key: bigint", TYPE_BIGINT, 0},
                 {"key: varchar(20) 0900_ai_ci", TYPE_VARCHAR, COLL_UTF8MB4_0900_AI_CI},
                 {"key: varchar(20) general_ci", TYPE_VARCHAR, COLL_UTF8MB4_GENERAL_CI},
                 {"key: varbinary(20)", TYPE_VARBINARY, COLL_BINARY}};
    struct buf key;
    buf_init(&key, 1 << 16);
    for (size_t c = 0; c < ARRAY_COUNT(cases); c++) {
        struct sql_type t = cases[c].id == TYPE_BIGINT
                                ? type_int(TYPE_BIGINT, false)
                                : type_char(cases[c].id, 20, cases[c].collation);
        struct key_column kc;
        if (key_column_init(&kc, &t, 0, false, false) != ERR_OK) {
            return;
        }
        struct value v;
        value_tag(&v, &t);
        if (cases[c].id == TYPE_BIGINT) {
            v.i = 123456;
        } else {
            v.str = SLICE_LIT("Mustermann, Erika");
        }
        uint64_t start = clock_mono_ns();
        for (unsigned i = 0; i < ROWS * ROUNDS; i++) {
            buf_reset(&key);
            if (index_key_prefix(&key, 1000, 1) != ERR_OK || key_encode(&kc, &v, &key) != ERR_OK) {
                return;
            }
        }
        report(cases[c].what, start, ROWS * ROUNDS);
    }
    buf_fini(&key);
    (void)arena;
}

int main(void)
{
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    struct row_column columns[COLUMNS] = {
        {.id = 1, .type = type_int(TYPE_INT, false)},
        {.id = 2, .type = type_int(TYPE_INT, false)},
        {.id = 3, .type = type_char(TYPE_CHAR, 120, COLL_UTF8MB4_0900_AI_CI)},
        {.id = 4, .type = type_char(TYPE_CHAR, 60, COLL_UTF8MB4_0900_AI_CI)},
        {.id = 5, .type = type_decimal(10, 2, false)},
        {.id = 6, .type = type_temporal(TYPE_DATETIME, 0)},
    };
    struct value values[COLUMNS];
    struct vector vectors[COLUMNS];
    struct vector *out[COLUMNS];
    uint32_t positions[COLUMNS];
    const struct row_layout *layout;
    struct row_reader *all;
    struct row_reader *two;
    struct buf row;
    buf_init(&row, 1 << 16);
    for (uint32_t i = 0; i < COLUMNS; i++) {
        value_set_null(&columns[i].absent, &columns[i].type);
        value_tag(&values[i], &columns[i].type);
        values[i].i = (int64_t)i * 1000;
        positions[i] = i;
        out[i] = &vectors[i];
        if (vector_init(&vectors[i], &columns[i].type, &arena) != ERR_OK) {
            return 1;
        }
    }
    values[2].str = SLICE_LIT("68487932199-96439406143-93774651418-41631865787-96406072701-"
                              "20604855487-25459966574-28203206787-41238978918");
    values[3].str = SLICE_LIT("22195207048-70116052123-74140395089-76317954521-98694025897");
    decimal_from_scaled(123456, 2, &values[4].dec);
    values[5].t = datetime_make(2024, 1, 31, 12, 34, 56, 0);
    if (row_layout_new(&arena, columns, COLUMNS, &layout) != ERR_OK ||
        row_encode(layout, values, &row) != ERR_OK ||
        row_reader_new(&arena, layout, positions, COLUMNS, &all) != ERR_OK ||
        row_reader_new(&arena, layout, positions, 2, &two) != ERR_OK) {
        return 1;
    }
    printf("row of %zu bytes\n", row.len);
    uint64_t start = clock_mono_ns();
    for (unsigned i = 0; i < ROWS * ROUNDS; i++) {
        if (row_read(all, buf_slice(&row), out, i % ROWS, false) != ERR_OK) {
            return 1;
        }
    }
    report("row: read 6 columns", start, ROWS * ROUNDS);
    start = clock_mono_ns();
    for (unsigned i = 0; i < ROWS * ROUNDS; i++) {
        if (row_read(two, buf_slice(&row), out, i % ROWS, false) != ERR_OK) {
            return 1;
        }
    }
    report("row: read 2 of 6 columns", start, ROWS * ROUNDS);
    struct buf copy;
    buf_init(&copy, 1 << 16);
    start = clock_mono_ns();
    for (unsigned i = 0; i < ROWS * ROUNDS; i++) {
        buf_reset(&copy);
        if (row_encode(layout, values, &copy) != ERR_OK) {
            return 1;
        }
    }
    report("row: encode 6 columns", start, ROWS * ROUNDS);
    buf_fini(&copy);
    bench_keys(&arena);
    buf_fini(&row);
    arena_fini(&arena);
    return 0;
}
