/* Runs in memory and on disk give the same records in key order, whatever the order they came in;
 * those of one key in the order they came. */
#include <stdio.h>

#include "base/loop.h"
#include "base/rand.h"
#include "sql/storage/write_runs.h"

#include "base/test_main.h"

enum { RECORDS = 20000, KEYS = 15000 };

struct sum {
    uint64_t count, twice;
};

static struct sum read_all(struct write_runs *w)
{
    struct write_runs_reader *r;
    struct write_record rec;
    struct sum sum = {0};
    struct diag diag;
    char last_key[32] = "";
    unsigned last_number = 0;
    bool end;
    diag_reset(&diag);
    CHECK_OK(write_runs_read(w, &diag, &r));
    for (;;) {
        CHECK_OK(write_runs_next(r, &diag, &rec, &end));
        if (end) {
            break;
        }
        char key[32];
        unsigned number;
        snprintf(key, sizeof(key), "%.*s", SLICE_FMT(rec.key));
        CHECK(rec.value.len >= 8);
        memcpy(&number, rec.value.ptr, sizeof(number));
        CHECK(rec.must_be_new == (number % 3 == 0) && rec.fresh == (number % 5 == 0));
        CHECK(rec.deleted == (number % 7 == 0) && rec.seen == (number % 11 == 0));
        int c = strcmp(last_key, key);
        CHECK(c < 0 || (c == 0 && last_number < number));
        sum.twice += c == 0;
        sum.count++;
        snprintf(last_key, sizeof(last_key), "%s", key);
        last_number = number;
    }
    write_runs_close(r);
    return sum;
}

static struct sum run_with(size_t run_bytes, bool ascending, bool want_spill)
{
    static uint8_t value[70000];
    struct mem_tracker mem;
    struct write_runs *w;
    struct rand rand;
    struct diag diag;
    mem_tracker_init(&mem, NULL, 0);
    rand_seed(&rand, 11);
    diag_reset(&diag);
    CHECK_OK(write_runs_new("/tmp", &mem, run_bytes, &w));
    for (unsigned i = 1; i <= RECORDS; i++) {
        char key[32];
        unsigned k = ascending ? i : (unsigned)rand_below(&rand, KEYS);
        snprintf(key, sizeof(key), "key%08u", k);
        memcpy(value, &i, sizeof(i));
        size_t len = i % 5000 == 0 ? sizeof(value) : 8 + i % 40; /* some are larger than a window */
        struct write_record r = {.key = slice_str(key),
                                 .value = {value, len},
                                 .must_be_new = i % 3 == 0,
                                 .fresh = i % 5 == 0,
                                 .deleted = i % 7 == 0,
                                 .seen = i % 11 == 0};
        CHECK_OK(write_runs_add(w, &r, &diag));
    }
    CHECK(write_runs_count(w) == RECORDS);
    CHECK(write_runs_spilled(w) == want_spill);
    struct sum first = read_all(w);
    struct sum again = read_all(w);
    CHECK(first.count == RECORDS && again.count == RECORDS && first.twice == again.twice);
    write_runs_free(w);
    CHECK(mem.used == 0);
    return first;
}

static void run(void *arg)
{
    (void)arg;
    struct sum in_memory = run_with((size_t)64 << 20, false, false);
    struct sum on_disk = run_with(20000, false, true);
    CHECK(in_memory.twice == on_disk.twice && in_memory.twice > 0);
    CHECK(run_with(20000, true, true).twice == 0);
}

static void test_orders(void **state)
{
    (void)state;
    CHECK_OK(loop_run_main(run, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
