/* ns per operation of the collations. Run by hand in a release build. */
#include "sql/charset/charset.h"

#include <stdio.h>

#include "base/clock.h"

enum { ROUNDS = 400000 };

static volatile uint64_t sink;

static void run(const char *name, const char *what, struct slice a, struct slice b)
{
    const struct collation *c = collation_by_name(slice_str(name));
    struct buf key;
    buf_init(&key, 1 << 16);
    uint64_t start = clock_mono_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        sink += (uint64_t)collation_compare(c, a, b);
    }
    double compare = (double)(clock_mono_ns() - start) / ROUNDS;
    start = clock_mono_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        sink += collation_hash(c, a, i);
    }
    double hash = (double)(clock_mono_ns() - start) / ROUNDS;
    start = clock_mono_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        buf_reset(&key);
        sink += (uint64_t)collation_sort_key(c, a, &key);
    }
    double sort_key = (double)(clock_mono_ns() - start) / ROUNDS;
    printf("%-20s %-22s compare %6.1f  hash %6.1f  sort key %6.1f ns\n", name, what, compare, hash,
           sort_key);
    buf_fini(&key);
}

int main(void)
{
    static const char *const names[] = {"utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs",
                                        "utf8mb4_general_ci", "utf8mb4_bin"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        run(names[i], "17 bytes, case differs", SLICE_LIT("Mustermann, Erika"),
            SLICE_LIT("mustermann, erika"));
        run(names[i], "26 bytes, accents",
            SLICE_LIT("M\xc3\xbcstermann, \xc3\x89rika \xc3\x9f\xe6\x97\xa5\xe6\x9c\xac"),
            SLICE_LIT("m\xc3\xbcstermann, \xc3\xa9rika \xc3\x9f\xe6\x97\xa5\xe6\x9c\xac"));
    }
    return 0;
}
