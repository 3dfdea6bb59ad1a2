#include "node/main/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test_main.h"
#include "node/main/listen.h"
#include "node/main/memory.h"

static struct config make(void)
{
    struct config c;
    CHECK_OK(config_init(&c));
    return c;
}

static void test_defaults_are_valid(void **state)
{
    (void)state;
    struct config c = make();
    assert_string_equal(c.data, "./data");
    assert_string_equal(c.mysql.host, "127.0.0.1");
    assert_int_equal(c.mysql.port, 3306);
    assert_int_equal(c.memory, 0);
    assert_int_equal(c.range_size, 256 << 20);
    assert_int_equal(c.gc_age, 0);
    assert_false(c.insecure);
    for (unsigned i = 0; i < CONFIG__COUNT; i++) {
        assert_true(strlen(config_row((enum config_id)i)->help) > 0);
    }
    config_fini(&c);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t size;
    } good[] = {{"0", 0},        {"17", 17},          {"64k", 65536},
                {"2M", 2 << 20}, {"3GB", 3ull << 30}, {"1TiB", 1ull << 40},
                {"5B", 5}};
    static const char *const bad[] = {
        "", "-1", "K", "1X", "1KK", "99999999999999999999", " 1", "18446744073709551615G", "1.5G"};
    uint64_t n;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(config_parse_size(good[i].text, &n), ERR_OK);
        assert_int_equal(n, good[i].size);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(config_parse_size(bad[i], &n), ERR_INVALID);
    }
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        unsigned port;
    } good[] = {{"10.0.0.1:77", "10.0.0.1", 77},
                {"localhost:0", "127.0.0.1", 0},
                {"3307", "h", 3307},
                {"db1", "db1", 5},
                {"[::1]:9", "::1", 9},
                {"[::1]", "::1", 5},
                {"fe80::1", "fe80::1", 5},
                {"*:1", "0.0.0.0", 1}};
    static const char *const bad[] = {"",     ":1",   "h:",     "h:x", "h:65536",
                                      "h:-1", "[::1", "[::1]9", "[]:1"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct config_address a = {.host = "h", .port = 5};
        assert_int_equal(config_parse_address(good[i].text, &a), ERR_OK);
        assert_string_equal(a.host, good[i].host);
        assert_int_equal(a.port, good[i].port);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct config_address a = {.host = "h", .port = 5};
        assert_int_equal(config_parse_address(bad[i], &a), ERR_INVALID);
        assert_string_equal(a.host, "h");
    }
}

static void test_sources(void **state)
{
    (void)state;
    struct config c = make();
    struct diag diag = {0};
    assert_int_equal(config_set(&c, CONFIG_loops, "3", CONFIG_FROM_FLAG, &diag), ERR_OK);
    assert_int_equal(config_set(&c, CONFIG_loops, "4", CONFIG_FROM_FILE, &diag), ERR_OK);
    assert_int_equal(c.loops, 3);
    assert_int_equal(config_set(&c, CONFIG_loops, "x", CONFIG_FROM_FILE, &diag), ERR_INVALID);
    assert_int_equal(config_set(&c, CONFIG_loops, "2000", CONFIG_FROM_FLAG, &diag), ERR_INVALID);
    assert_non_null(strstr(diag.text, "between 0 and 1024"));
    assert_int_equal(config_set(&c, CONFIG_memory, "1M", CONFIG_FROM_FLAG, &diag), ERR_INVALID);
    assert_int_equal(config_set(&c, CONFIG_memory, "0", CONFIG_FROM_FLAG, &diag), ERR_OK);
    assert_int_equal(config_set(&c, CONFIG_storage, "tape", CONFIG_FROM_FLAG, &diag), ERR_INVALID);
    assert_non_null(strstr(diag.text, "disk|memory"));
    assert_int_equal(config_set(&c, CONFIG_storage, "memory", CONFIG_FROM_FLAG, &diag), ERR_OK);
    assert_int_equal(c.storage, 1);
    assert_int_equal(config_set(&c, CONFIG_config, "f", CONFIG_FROM_FILE, &diag), ERR_INVALID);
    config_fini(&c);
}

static db_err read_text(struct config *c, const char *text, struct diag *diag, char *ret_path)
{
    int fd = mkstemp(ret_path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    db_err err = config_read_file(c, ret_path, diag);
    unlink(ret_path);
    return err;
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *complaint; /* after the path */
    } bad[] = {{"[skeindb]\nmemory = 1G\nmemry = 2G\n", ":3: unknown option 'memry'"},
               {"[skeindb]\nloops = many\nx=1\n", ":2: option 'loops'"},
               {"[mysqld]\nport = 1\n", ":2: unknown section '[mysqld]'"},
               {"loops = 1\n", ":1: unknown section '[]'"},
               {"[skeindb]\nnonsense\n", ":2: neither"}};
    struct config c = make();
    struct diag diag = {0};
    char path[] = "config_test_XXXXXX";
    assert_int_equal(read_text(&c,
                               "# a comment\n[skeindb]\nlog-format = json ; and another\n"
                               "log_level=warn\nmysql = 0.0.0.0:1234\ninsecure = on\n",
                               &diag, path),
                     ERR_OK);
    assert_int_equal(c.log_format, 1);
    assert_int_equal(c.log_level, 2);
    assert_int_equal(c.mysql.port, 1234);
    assert_true(c.insecure);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char name[] = "config_test_XXXXXX";
        assert_int_equal(read_text(&c, bad[i].text, &diag, name), ERR_INVALID);
        assert_non_null(strstr(diag.text, bad[i].complaint));
        assert_int_equal(strncmp(diag.text, name, strlen(name)), 0);
    }
    assert_int_equal(config_read_file(&c, "no such file", &diag), ERR_NOT_FOUND);
    config_fini(&c);
}

static void test_flags(void **state)
{
    (void)state;
    char words[][32] = {"start",     "--data",         "d", "--mysql=127.0.0.1:0", "--insecure",
                        "--tls=off", "--stop-timeout", "2m"};
    char *argv[ARRAY_COUNT(words) + 1] = {NULL};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        argv[i] = words[i];
    }
    struct config c = make();
    struct diag diag = {0};
    assert_int_equal(config_parse_args(&c, ARRAY_COUNT(words), argv, &diag), ERR_OK);
    assert_string_equal(c.data, "d");
    assert_int_equal(c.mysql.port, 0);
    assert_true(c.insecure);
    assert_false(c.tls);
    assert_int_equal(c.stop_timeout, 120);
    config_fini(&c);
    char token[] = "--join-token=top secret";
    char *secret[] = {words[0], token, NULL};
    c = make();
    assert_int_equal(config_parse_args(&c, 2, secret, &diag), ERR_OK);
    assert_string_equal(c.join_token, "top secret");
    assert_null(strstr(token, "secret")); /* ps shows the arguments as they are now */
    config_fini(&c);
    char extra[] = "extra";
    char *stray[] = {words[0], extra, NULL};
    c = make();
    assert_int_equal(config_parse_args(&c, 2, stray, &diag), ERR_INVALID);
    config_fini(&c);
}

static void test_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool loopback;
    } cases[] = {{"127.0.0.1", true}, {"127.9.9.9", true}, {"::1", true},
                 {"0.0.0.0", false},  {"::", false},       {"10.1.2.3", false}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct config_address a = {.port = 1};
        snprintf(a.host, sizeof(a.host), "%s", cases[i].host);
        assert_int_equal(listen_is_loopback(&a), cases[i].loopback);
    }
    struct config_address a = {.host = "127.0.0.1"}, b;
    int fd, other;
    struct diag diag = {0};
    assert_int_equal(listen_open("mysql", 1, &a, &diag, &fd), ERR_OK);
    assert_int_not_equal(a.port, 0);
    b = a;
    assert_int_equal(listen_open("mysql", 1, &b, &diag, &other), ERR_IO);
    assert_non_null(strstr(diag.text, "in use"));
    close(fd);
}

static void test_memory(void **state)
{
    (void)state;
    static const uint64_t limits[] = {0, 128ull << 20, 1ull << 30, 1ull << 44};
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        struct memory_plan p = memory_divide(limits[i]);
        assert_true(p.limit > 0 && p.store > 0 && p.one_statement > 0);
        assert_true(p.store + p.statements + p.plan_cache <= p.limit);
        assert_true(p.one_statement <= p.statements);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_valid),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
