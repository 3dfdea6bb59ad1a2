#include "rpc/client/breaker.h"

#include "base/clock.h"
#include "base/test_main.h"

static void test_pauses(void **state UNUSED)
{
    struct breaker b;
    breaker_init(&b, 50, 2000, 1);
    assert_false(breaker_is_open(&b));
    uint64_t bound_ms = 50;
    for (int i = 0; i < 20; i++) {
        uint64_t pause_ns = breaker_failed(&b, 1000) - 1000;
        assert_true(breaker_is_open(&b));
        assert_true(pause_ns >= bound_ms * NS_PER_MS / 2);
        assert_true(pause_ns <= bound_ms * NS_PER_MS);
        bound_ms = bound_ms * 2 < 2000 ? bound_ms * 2 : 2000;
    }
    breaker_hurry(&b);
    assert_true(breaker_is_open(&b));
    assert_true(breaker_failed(&b, 0) <= 50 * NS_PER_MS);
    breaker_succeeded(&b);
    assert_false(breaker_is_open(&b));
    breaker_hurry(&b);
    assert_false(breaker_is_open(&b));
}

/* Two nodes do not dial at the same moments. */
static void test_jitter(void **state UNUSED)
{
    struct breaker a;
    struct breaker b;
    breaker_init(&a, 50, 2000, 1);
    breaker_init(&b, 50, 2000, 2);
    int same = 0;
    for (int i = 0; i < 20; i++) {
        same += breaker_failed(&a, 0) == breaker_failed(&b, 0);
    }
    assert_true(same < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pauses),
                                       cmocka_unit_test(test_jitter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
