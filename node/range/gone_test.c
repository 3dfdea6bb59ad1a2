#include "node/range/gone.h"

#include "base/rand.h"
#include "base/test_main.h"

/* What is remembered of ranges that are gone: against an array that has all, and its bound. */

enum { IDS = 300 };

static void check_one(struct gone_table *t, range_id_t id, bool there, const struct gone_fate *want)
{
    struct gone_fate f = {0};
    enum gone_answer answer = gone_get(t, id, &f);
    CHECK(answer == (there ? GONE_KNOWN : GONE_NOT));
    if (there) {
        CHECK(f.min_replica_id == want->min_replica_id && f.into == want->into);
        CHECK(f.ran == want->ran);
    }
}

static void test_model(void **state)
{
    (void)state;
    struct gone_table t;
    struct gone_fate fates[IDS];
    bool there[IDS] = {false};
    struct rand r;
    size_t count = 0;
    gone_init(&t, IDS);
    rand_seed(&r, 7);
    for (unsigned step = 0; step < 20000; step++) {
        unsigned at = (unsigned)rand_below(&r, IDS);
        if (rand_below(&r, 3) == 0) {
            gone_forget(&t, at + 1);
            count -= there[at];
            there[at] = false;
        } else {
            fates[at] = rand_below(&r, 2) == 0
                            ? (struct gone_fate){.min_replica_id = REPLICA_ID_NEVER,
                                                 .into = rand_below(&r, 1000)}
                            : (struct gone_fate){.min_replica_id = rand_below(&r, 1 << 20),
                                                 .ran = rand_below(&r, 2) == 0};
            CHECK_OK(gone_put(&t, at + 1, &fates[at]));
            count += !there[at];
            there[at] = true;
        }
        at = (unsigned)rand_below(&r, IDS);
        check_one(&t, at + 1, there[at], &fates[at]);
        CHECK(gone_count(&t) == count);
    }
    check_one(&t, IDS + 1, false, NULL);
    gone_fini(&t);
}

/* Past its bound the oldest are left to the engine, and it says so. */
static void test_bound(void **state)
{
    (void)state;
    struct gone_table t;
    struct gone_fate f = {.min_replica_id = REPLICA_ID_NEVER};
    gone_init(&t, 100);
    for (range_id_t id = 1000; id < 2000; id++) {
        f.into = id - 1;
        CHECK_OK(gone_put(&t, id, &f));
        CHECK(gone_count(&t) <= 100);
    }
    CHECK(gone_get(&t, 1999, &f) == GONE_KNOWN && f.into == 1998);
    CHECK(gone_get(&t, 1930, &f) == GONE_KNOWN);
    CHECK(gone_get(&t, 1000, &f) == GONE_PERHAPS);
    CHECK(gone_get(&t, 3, &f) == GONE_PERHAPS);   /* older still: who knows */
    for (range_id_t id = 1000; id < 2000; id++) { /* of none it says that it was never there */
        CHECK(gone_get(&t, id, &f) != GONE_NOT);
    }
    CHECK(gone_get(&t, 2000, &f) == GONE_NOT);
    f = (struct gone_fate){.min_replica_id = 513};
    CHECK_OK(gone_put(&t, 1000, &f)); /* one of the old again */
    CHECK(gone_get(&t, 1000, &f) == GONE_KNOWN && f.min_replica_id == 513);
    gone_forget(&t, 1000);
    CHECK(gone_get(&t, 1000, &f) == GONE_PERHAPS);
    gone_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
