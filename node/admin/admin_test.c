/* The HTTP port before the storage is open: pages, limits, requests from many threads. */
#include "node/admin/admin.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test_main.h"

static struct loop_group *g_loops;
static struct admin *g_admin;
static uint16_t g_port;

static db_err put_member(void *ctx, struct buf *inout_json)
{
    (void)ctx;
    return buf_printf(inout_json, ",\"extra\":1");
}

static int start(void **state)
{
    (void)state;
    struct loop_group_opts loops = {.count = 2};
    CHECK_OK(loop_group_start(&loops, &g_loops));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    CHECK(bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 64) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    g_port = ntohs(a.sin_port);
    struct admin_opts opts = {.listen_fd = fd,
                              .loops = g_loops,
                              .version = "v\"1",
                              .data_dir = "dir\\\n",
                              .status = put_member};
    struct diag diag = {0};
    CHECK_OK(admin_start(&opts, &diag, &g_admin));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    admin_stop(g_admin);
    loop_group_stop(g_loops);
    return 0;
}

/* Sends bytes (and does not shut down: the library takes that for a client that has gone); the
 * whole answer, NUL-terminated; its status, 0 without one. */
static unsigned exchange(const char *request, size_t len, char *out, size_t out_size)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(g_port)};
    CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = send(fd, request + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            break; /* answered and closed before all was sent */
        }
        sent += (size_t)n;
    }
    size_t have = 0;
    ssize_t n;
    while (have + 1 < out_size && (n = recv(fd, out + have, out_size - 1 - have, 0)) > 0) {
        have += (size_t)n;
    }
    close(fd);
    out[have] = '\0';
    unsigned status = 0;
    return sscanf(out, "HTTP/1.%*u %3u", &status) == 1 ? status : 0;
}

static unsigned get(const char *path, char *out, size_t out_size)
{
    char request[1024];
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    return exchange(request, (size_t)n, out, out_size);
}

static unsigned post(const char *path, const char *header, size_t body, char *out, size_t out_size)
{
    static _Thread_local char request[256 * 1024];
    int n = snprintf(request, sizeof(request), "POST %s HTTP/1.0\r\n%sContent-Length: %zu\r\n\r\n",
                     path, header, body);
    memset(request + n, 'x', body);
    return exchange(request, (size_t)n + body, out, out_size);
}

static void test_pages(void **state)
{
    (void)state;
    char out[65536];
    assert_int_equal(get("/livez", out, sizeof(out)), 200);
    assert_int_equal(get("/", out, sizeof(out)), 200);
    assert_non_null(strstr(out, "/range/split"));
    assert_int_equal(get("/status", out, sizeof(out)), 200);
    assert_non_null(strstr(out, "\"version\":\"v\\\"1\""));
    assert_non_null(strstr(out, "\"data_dir\":\"dir\\\\\\u000a\""));
    assert_non_null(strstr(out, ",\"extra\":1}"));
    assert_int_equal(get("/metrics", out, sizeof(out)), 200);
    assert_int_equal(get("/nothing", out, sizeof(out)), 404);
    assert_int_equal(get("/range/split?key=00", out, sizeof(out)), 405);
    assert_int_equal(get("/ranges", out, sizeof(out)), 503);
    assert_int_equal(post("/range/split?key=00", "", 0, out, sizeof(out)), 503);
}

static void test_readiness(void **state)
{
    (void)state;
    char out[4096];
    assert_int_equal(get("/readyz", out, sizeof(out)), 503);
    assert_non_null(strstr(out, "starting"));
    admin_set_state(g_admin, ADMIN_READY);
    assert_int_equal(get("/readyz", out, sizeof(out)), 200);
    admin_set_state(g_admin, ADMIN_DRAINING);
    assert_int_equal(get("/readyz", out, sizeof(out)), 503);
    assert_non_null(strstr(out, "draining"));
}

static void test_limits(void **state)
{
    (void)state;
    char out[4096];
    assert_int_equal(post("/faults", "", 100000, out, sizeof(out)), 413);
    assert_int_equal(post("/faults", "", 10, out, sizeof(out)), 400);
    assert_int_equal(post("/faults", "Origin: http://elsewhere\r\n", 0, out, sizeof(out)), 403);
    char path[600];
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    memcpy(path, "/status?key=", 12);
    assert_int_equal(get(path, out, sizeof(out)), 400);
    assert_int_equal(get("/livez", out, sizeof(out)), 200);
}

static void *many(void *arg)
{
    char out[65536];
    for (int i = 0; i < 50; i++) {
        CHECK(post("/range/split?key=00", "", 0, arg, 4096) == 503);
        CHECK(get(i % 2 == 0 ? "/status" : "/metrics", out, sizeof(out)) == 200);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    static char buffers[4][4096];
    pthread_t threads[3];
    for (unsigned i = 0; i < ARRAY_COUNT(threads); i++) {
        pthread_create(&threads[i], NULL, many, buffers[i]);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_readiness),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
