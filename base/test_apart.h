/* Unit tests that wait more than they work, side by side. */
#ifndef SKEIN_BASE_TEST_APART_H
#define SKEIN_BASE_TEST_APART_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_main.h"

/* The tests of a program, each in a process of its own, a few at the same time: they wait for
 * elections and time-outs more than they work. With an argument: those of that name, here. The exit
 * status. */
static inline void test__begin(const struct CMUnitTest *test, FILE *out, pid_t *ret_pid)
{
    fflush(NULL);
    *ret_pid = fork();
    CHECK(*ret_pid >= 0);
    if (*ret_pid == 0) {
        CHECK(dup2(fileno(out), STDOUT_FILENO) >= 0 && dup2(fileno(out), STDERR_FILENO) >= 0);
        exit(_cmocka_run_group_tests("tests", test, 1, NULL, NULL) == 0 ? 0 : 1);
    }
}

static inline int test__end(FILE *out, pid_t pid)
{
    char line[512];
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    rewind(out);
    while (fgets(line, sizeof(line), out) != NULL) {
        fputs(line, stdout);
    }
    fclose(out);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static inline int tests_run_apart(const struct CMUnitTest *tests, size_t count, int argc,
                                  char **argv)
{
    enum { AT_ONCE = 4, TESTS_MAX = 64 };
    FILE *outs[TESTS_MAX];
    pid_t pids[TESTS_MAX];
    int failed = 0;
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
        return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
    }
    CHECK(count <= TESTS_MAX);
    for (size_t i = 0; i < count + AT_ONCE; i++) {
        if (i >= AT_ONCE && i - AT_ONCE < count) {
            failed += test__end(outs[i - AT_ONCE], pids[i - AT_ONCE]);
        }
        if (i < count) {
            outs[i] = tmpfile();
            CHECK(outs[i] != NULL);
            test__begin(&tests[i], outs[i], &pids[i]);
        }
    }
    return failed;
}

#endif
