#include "base/sm.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_main.h"

enum { OPEN, BUSY, BROKEN, CLOSED };

static const struct sm_state g_states[] = {
    [OPEN] = {"open", SM_TO(BUSY) | SM_TO(CLOSED), SM_INITIAL},
    [BUSY] = {"busy", SM_TO(OPEN) | SM_TO(BROKEN), 0},
    [BROKEN] = {"broken", 0, SM_FINAL | SM_FAILURE},
    [CLOSED] = {"closed", 0, SM_FINAL},
};

struct thing {
    struct sm sm;
    unsigned checks;
    bool broken;
};

static bool check_thing(const struct sm *sm, void *ctx, unsigned previous)
{
    struct thing *t = ctx;
    t->checks++;
    assert_true(previous < sm->count);
    return !t->broken;
}

static void test_moves(void **state UNUSED)
{
    struct thing t = {0};
    sm_init(&t.sm, "thing", g_states, ARRAY_COUNT(g_states), OPEN, check_thing, &t);
    assert_int_equal(t.checks, 1);
    for (int i = 0; i < 20; i++) {
        assert_true(sm_can_move(&t.sm, BUSY));
        assert_false(sm_can_move(&t.sm, BROKEN));
        sm_move(&t.sm, BUSY);
        assert_string_equal(sm_state_name(&t.sm), "busy");
        sm_move(&t.sm, OPEN);
    }
    assert_int_equal(t.checks, 41);
    sm_move(&t.sm, CLOSED);
    assert_true(sm_is_final(&t.sm));
    assert_false(sm_can_move(&t.sm, OPEN));
    assert_false(sm_can_move(&t.sm, 99));
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(sm_trace(&t.sm, &out), ERR_OK);
    assert_int_equal(buf_append_u8(&out, 0), ERR_OK);
    const char *text = (const char *)out.ptr;
    assert_memory_equal(text, "thing: busy > open (sm_test.c:", 30);
    assert_non_null(strstr(text, " > closed (sm_test.c:"));
    unsigned arrows = 0;
    for (const char *p = text; (p = strstr(p, " > ")) != NULL; p++) {
        arrows++;
    }
    assert_int_equal(arrows, SM_TRACE);
    buf_fini(&out);
    sm_fini(&t.sm);
}

/* In a child, because it aborts. */
static bool aborts(void (*fn)(struct thing *))
{
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        struct thing t = {0};
        sm_init(&t.sm, "thing", g_states, ARRAY_COUNT(g_states), OPEN, check_thing, &t);
        fn(&t);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void bad_move(struct thing *t)
{
    sm_move(&t->sm, BROKEN);
}

static void bad_invariant(struct thing *t)
{
    t->broken = true;
    sm_move(&t->sm, BUSY);
}

static void bad_end(struct thing *t)
{
    sm_fini(&t->sm);
}

static void bad_initial(struct thing *t)
{
    sm_init(&t->sm, "thing", g_states, ARRAY_COUNT(g_states), BUSY, NULL, NULL);
}

static void good(struct thing *t)
{
    sm_move(&t->sm, CLOSED);
    sm_fini(&t->sm);
}

static void test_aborts(void **state UNUSED)
{
    assert_true(aborts(bad_move));
    assert_true(aborts(bad_invariant));
    assert_true(aborts(bad_end));
    assert_true(aborts(bad_initial));
    assert_false(aborts(good));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
