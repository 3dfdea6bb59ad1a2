/* skeindb range ls|split: through the admin port of a running node. */
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "node/ctl/ctl.h"
#include "node/ctl/http.h"

enum { REPLY_MAX = 64 << 20, TARGET_MAX = 512, STATUS_OK = 200 };

static int usage(void)
{
    fprintf(stderr, "Usage: skeindb range [--admin HOST:PORT] ls\n"
                    "       skeindb range [--admin HOST:PORT] split KEY-IN-HEX\n");
    return 2;
}

int ctl_range(int argc, char **argv)
{
    const char *address = "127.0.0.1:7380";
    char target[TARGET_MAX] = "/ranges";
    const char *method = "GET";
    int at = 1;
    if (at + 1 < argc && strcmp(argv[at], "--admin") == 0) {
        address = argv[at + 1];
        at += 2;
    }
    bool split = at + 2 == argc && strcmp(argv[at], "split") == 0;
    if (split) {
        const char *key = argv[at + 1];
        if (key[0] == '\0' || strspn(key, "0123456789abcdefABCDEF") != strlen(key) ||
            strlen(key) > TARGET_MAX / 2) {
            return usage();
        }
        snprintf(target, sizeof(target), "/range/split?key=%s", key);
        method = "POST";
    } else if (at + 1 != argc || strcmp(argv[at], "ls") != 0) {
        return usage();
    }
    SCOPE_BUF(reply, REPLY_MAX);
    struct diag diag = {0};
    unsigned status;
    db_err err = http_request(address, method, target, &diag, &reply, &status);
    if (err != ERR_OK) {
        fprintf(stderr, "skeindb range: %s\n", diag.text[0] != '\0' ? diag.text : err_text(err));
        return 1;
    }
    fwrite(reply.ptr, 1, reply.len, status == STATUS_OK ? stdout : stderr);
    return status == STATUS_OK ? 0 : 1;
}
