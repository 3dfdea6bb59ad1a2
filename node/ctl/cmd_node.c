/* skeindb node ls|drain|undrain|decommission: through the admin port of any running node. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"
#include "node/ctl/ctl.h"
#include "node/ctl/http.h"

enum { TARGET_MAX = 128 };

static int usage(void)
{
    fprintf(stderr,
            "Usage: skeindb node [--admin HOST:PORT] ls\n"
            "       skeindb node [--admin HOST:PORT] drain ID\n"
            "       skeindb node [--admin HOST:PORT] undrain ID\n"
            "       skeindb node [--admin HOST:PORT] decommission ID [--no-wait]\n"
            "Any node's admin port will do. drain returns when the node's leases are with others,\n"
            "decommission when it holds nothing any more and has left.\n");
    return 2;
}

/* Asks again until it has left. Its own admin port ends with it. */
static int decommission(const char *address, const char *target)
{
    bool begun = false;
    for (;;) {
        SCOPE_BUF(reply, CTL_REPLY_MAX);
        struct diag diag = {0};
        unsigned status;
        db_err err = http_request(address, "POST", target, &diag, &reply, &status);
        if (err == ERR_OK) {
            err = buf_append_u8(&reply, '\0');
        }
        if (err != ERR_OK && begun) {
            fprintf(stderr, "the node that was asked has stopped\n");
            return 0;
        }
        if (err != ERR_OK || status != CTL_STATUS_OK) {
            fprintf(stderr, "skeindb node: %s\n",
                    err == ERR_OK ? (const char *)reply.ptr : diag.text);
            return 1;
        }
        if (strstr((const char *)reply.ptr, "\"left\"") != NULL) {
            fwrite(reply.ptr, 1, reply.len - 1, stdout);
            return 0;
        }
        begun = true;
        usleep(500 * 1000);
    }
}

int ctl_node(int argc, char **argv)
{
    char target[TARGET_MAX];
    int at;
    const char *address = ctl_admin_address(argc, argv, &at);
    const char *verb = at < argc ? argv[at] : "";
    if (strcmp(verb, "ls") == 0 && at + 1 == argc) {
        return ctl_ask("node", address, "GET", "/nodes?key=table");
    }
    bool leave = strcmp(verb, "decommission") == 0;
    bool wait = at + 2 == argc;
    if (!leave && strcmp(verb, "drain") != 0 && strcmp(verb, "undrain") != 0) {
        return usage();
    }
    if (at + 1 >= argc || strspn(argv[at + 1], "0123456789") != strlen(argv[at + 1]) ||
        (!wait && !(leave && at + 3 == argc && strcmp(argv[at + 2], "--no-wait") == 0))) {
        return usage();
    }
    snprintf(target, sizeof(target), "/node/%s?key=%.32s", verb, argv[at + 1]);
    return leave && wait ? decommission(address, target) : ctl_ask("node", address, "POST", target);
}
