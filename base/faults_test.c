#include "base/faults.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/test_main.h"

#if defined(SKEIN_FAULTS) && SKEIN_FAULTS

static int tear_down(void **state UNUSED)
{
    faults_reset();
    return atomic_load(&g_faults_armed) == 0 ? 0 : -1;
}

static db_err step(void)
{
    TRY(FAULT_ERR(base_selftest));
    return ERR_OK;
}

static void test_error(void **state UNUSED)
{
    assert_int_equal(step(), ERR_OK);
    assert_int_equal(faults_set("base_selftest", "error=DISK_FULL:after=2:count=3"), ERR_OK);
    const db_err want[] = {ERR_OK, ERR_OK, ERR_DISK_FULL, ERR_DISK_FULL, ERR_DISK_FULL, ERR_OK};
    for (unsigned i = 0; i < ARRAY_COUNT(want); i++) {
        assert_int_equal(step(), want[i]);
    }
    assert_int_equal(atomic_load(&g_faults_armed), 0); /* it has disarmed itself */
    uint64_t hits;
    uint64_t acted;
    assert_int_equal(faults_hits("base_selftest", &hits, &acted), ERR_OK);
    assert_int_equal(hits, 5);
    assert_int_equal(acted, 3);
    assert_int_equal(faults_hits("nothing", &hits, &acted), ERR_NOT_FOUND);
}

static void test_drop(void **state UNUSED)
{
    assert_int_equal(faults_set("base_selftest", "drop"), ERR_OK);
    assert_true(FAULT_DROP(base_selftest));
    assert_false(FAULT_DROP(base_selftest_other));
    assert_int_equal(step(), ERR_OK);
    assert_int_equal(faults_set("base_selftest", "off"), ERR_OK);
    assert_false(FAULT_DROP(base_selftest));
}

static unsigned drops_of_1000(const char *action)
{
    assert_int_equal(faults_set("base_selftest", action), ERR_OK);
    unsigned drops = 0;
    for (unsigned i = 0; i < 1000; i++) {
        drops += FAULT_DROP(base_selftest);
    }
    return drops;
}

static void test_probability(void **state UNUSED)
{
    unsigned drops = drops_of_1000("drop:prob=0.3:seed=5");
    assert_in_range(drops, 250, 350);
    assert_int_equal(drops_of_1000("drop:prob=0.3:seed=5"), drops);
    assert_int_equal(drops_of_1000("drop:prob=0"), 0);
    assert_int_equal(drops_of_1000("drop:prob=1"), 1000);
}

static void delayed_main(void *arg UNUSED)
{
    FAULT(base_selftest);
}

static void test_delay(void **state UNUSED)
{
    assert_int_equal(faults_set("base_selftest", "delay=20"), ERR_OK);
    uint64_t begin = clock_mono_ns();
    FAULT(base_selftest);
    assert_true(clock_mono_ns() - begin >= 20 * NS_PER_MS);
    begin = clock_mono_ns();
    assert_int_equal(loop_run_main(delayed_main, NULL), ERR_OK);
    assert_true(clock_mono_ns() - begin >= 20 * NS_PER_MS);
}

static void test_crash(void **state UNUSED)
{
    pid_t pid = fork();
    if (pid == 0) {
        setenv("SKEIN_FAULTS_ARM", "base_selftest_other=drop;base_selftest=crash:after=1", 1);
        db_err err = faults_arm_from_env(NULL);
        CHECK_OK(err);
        FAULT(base_selftest);
        if (!FAULT_DROP(base_selftest_other)) {
            _exit(2);
        }
        FAULT(base_selftest);
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 137);
}

static void test_bad_actions(void **state UNUSED)
{
    static const char *const bad[] = {
        "",        "boom",        "error",     "error=NOTHING", "error=OK",       "delay",
        "delay=x", "delay=-1",    "drop:",     "drop:after",    "drop:after=",    "drop:count=0",
        "crash=1", "drop:prob=2", "drop:drop", "off=1",         "drop:prob=0.5x",
    };
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(faults_set("base_selftest", bad[i]), ERR_INVALID);
    }
    assert_int_equal(atomic_load(&g_faults_armed), 0);
    assert_int_equal(faults_set("no_such_point", "drop"), ERR_NOT_FOUND);
    struct diag d;
    diag_reset(&d);
    assert_int_equal(faults_set_list("base_selftest", &d), ERR_INVALID);
    assert_int_equal(faults_set_list("base_selftest=drop;;x=y", &d), ERR_NOT_FOUND);
    assert_string_equal(d.text, "no fault point x");
}

static void test_list(void **state UNUSED)
{
    assert_int_equal(faults_set("base_selftest", "drop:count=9"), ERR_OK);
    assert_true(FAULT_DROP(base_selftest));
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_int_equal(faults_list(&out), ERR_OK);
    assert_int_equal(buf_append_u8(&out, 0), ERR_OK);
    assert_non_null(strstr((const char *)out.ptr, "base_selftest\tdrop:count=9\t1\t1\t"));
    assert_non_null(strstr((const char *)out.ptr, "base_selftest_other\toff\t"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_error, tear_down),
        cmocka_unit_test_teardown(test_drop, tear_down),
        cmocka_unit_test_teardown(test_probability, tear_down),
        cmocka_unit_test_teardown(test_delay, tear_down),
        cmocka_unit_test_teardown(test_crash, tear_down),
        cmocka_unit_test_teardown(test_bad_actions, tear_down),
        cmocka_unit_test_teardown(test_list, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_not_compiled_in(void **state UNUSED)
{
    assert_int_equal(faults_set("base_selftest", "drop"), ERR_UNSUPPORTED);
    assert_false(FAULT_DROP(base_selftest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_compiled_in)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
