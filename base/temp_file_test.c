#include "base/temp_file.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/test_main.h"

enum { SIZE = 1024 * 1024, LIMIT = 64 * 1024 };

static uint8_t g_bytes[SIZE];

static void test_bytes_come_back(void **state)
{
    (void)state;
    struct temp_file f;
    struct diag d;
    uint8_t back[16];
    diag_reset(&d);
    temp_file_init(&f);
    memset(g_bytes, 'x', SIZE);
    temp_file_close(&f); /* not made */
    assert_int_equal(temp_file_make(&f, "/tmp", &d), ERR_OK);
    assert_int_equal(temp_file_write(&f, g_bytes, SIZE, 100, &d), ERR_OK);
    assert_int_equal(temp_file_read(&f, back, sizeof(back), 96, &d), ERR_OK);
    assert_memory_equal(back, "\0\0\0\0xxxxxxxxxxxx", sizeof(back));
    assert_int_equal(temp_file_read(&f, back, sizeof(back), SIZE + 90, &d), ERR_IO);
    temp_file_close(&f);
    assert_int_equal(f.fd, -1);
    temp_file_close(&f);
}

static void test_a_missing_directory_is_named(void **state)
{
    (void)state;
    struct temp_file f;
    struct diag d;
    diag_reset(&d);
    temp_file_init(&f);
    assert_int_equal(temp_file_make(&f, "/nonexistent/directory", &d), ERR_IO);
    assert_non_null(strstr(d.text, "/nonexistent/directory"));
}

/* A file that may not grow stands for a disk without room. */
static void test_a_full_disk_says_what_to_do(void **state)
{
    (void)state;
    struct rlimit before;
    struct temp_file f;
    struct diag d;
    diag_reset(&d);
    temp_file_init(&f);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit low = {.rlim_cur = LIMIT, .rlim_max = before.rlim_max};
    assert_int_equal(temp_file_make(&f, "/tmp", &d), ERR_OK);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    db_err err = temp_file_write(&f, g_bytes, SIZE, 0, &d);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, ERR_DISK_FULL);
    assert_non_null(strstr(d.text, "/tmp"));
    assert_non_null(strstr(d.text, "temp_dir"));
    temp_file_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_back),
        cmocka_unit_test(test_a_missing_directory_is_named),
        cmocka_unit_test(test_a_full_disk_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
