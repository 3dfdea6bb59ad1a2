/* The wire server on the fake engine, for drivers, strace and perf by hand:
 *   wire_fake_server PORT [LOOPS [SOCKET [DATA_DIR [MAX_CONNECTIONS]]]]
 * Ends when its standard input does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "wire/testing/fake_engine.h"
#include "wire/wire.h"

static const char *arg(int argc, char **argv, int i, const char *otherwise)
{
    return i < argc ? argv[i] : otherwise;
}

int main(int argc, char **argv)
{
    struct fake_limits limits = {strtoull(arg(argc, argv, 5, "1000"), NULL, 10), 10, 64 << 20, 60,
                                 0};
    struct loop_group_opts group_opts = {.count =
                                             (unsigned)strtoul(arg(argc, argv, 2, "2"), NULL, 10)};
    struct loop_group *group;
    struct wire_server *server;
    struct diag diag;
    diag_reset(&diag);
    signal(SIGPIPE, SIG_IGN);
    if (loop_group_start(&group_opts, &group) != ERR_OK) {
        return 1;
    }
    struct sql_engine *engine = fake_engine_new(&limits);
    struct wire_server_opts opts = {
        .loops = group,
        .engine = engine,
        .version = "9.7.4-fake",
        .host = "127.0.0.1",
        .port = (uint16_t)strtoul(arg(argc, argv, 1, "0"), NULL, 10),
        .socket_path = arg(argc, argv, 3, NULL),
        .data_dir = arg(argc, argv, 4, NULL),
        .tls = true,
    };
    if (engine == NULL || wire_server_start(&opts, &diag, &server) != ERR_OK) {
        fprintf(stderr, "%s\n", diag.text);
        return 1;
    }
    printf("ready %u\n", wire_server_port(server));
    fflush(stdout);
    char c;
    while (read(0, &c, 1) > 0) {
    }
    struct wire_counters n;
    wire_server_counters(server, &n);
    printf("connections %llu commands %llu aborted %llu/%llu evicted %llu refused %llu buffers "
           "%llu\n",
           (unsigned long long)n.connections_total, (unsigned long long)n.commands,
           (unsigned long long)n.aborted_connects, (unsigned long long)n.aborted_clients,
           (unsigned long long)n.preauth_evicted, (unsigned long long)n.connections_refused,
           (unsigned long long)n.buffer_bytes);
    wire_server_stop(server);
    fake_engine_free(engine);
    loop_group_stop(group);
    return 0;
}
