/* skeindb range ls|split|merge|move|lease: through the admin port of any running node. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "node/ctl/ctl.h"

enum { TARGET_MAX = 512 };

static int usage(void)
{
    fprintf(stderr, "Usage: skeindb range [--admin HOST:PORT] ls\n"
                    "       skeindb range [--admin HOST:PORT] split KEY-IN-HEX\n"
                    "       skeindb range [--admin HOST:PORT] merge RANGE\n"
                    "       skeindb range [--admin HOST:PORT] move RANGE FROM-NODE TO-NODE\n"
                    "       skeindb range [--admin HOST:PORT] lease RANGE NODE\n"
                    "ls shows the ranges of the node that is asked; the others any node does.\n");
    return 2;
}

static bool all_of(const char *text, const char *digits)
{
    return text[0] != '\0' && strspn(text, digits) == strlen(text) && strlen(text) < TARGET_MAX / 2;
}

/* Writes /range/VERB?key=A-B-C. False: one is no number. */
static bool numbers(char *target, const char *verb, char **argv, int count)
{
    int n = snprintf(target, TARGET_MAX, "/range/%s?key=", verb);
    for (int i = 0; i < count; i++) {
        if (!all_of(argv[i], "0123456789") || strlen(argv[i]) > 20) {
            return false;
        }
        n += snprintf(target + n, (size_t)(TARGET_MAX - n), "%s%s", i == 0 ? "" : "-", argv[i]);
    }
    return true;
}

int ctl_range(int argc, char **argv)
{
    char target[TARGET_MAX];
    int at;
    const char *address = ctl_admin_address(argc, argv, &at);
    const char *verb = at < argc ? argv[at] : "";
    char **rest = argv + at + 1;
    int count = argc - at - 1;
    if (strcmp(verb, "ls") == 0 && count == 0) {
        return ctl_ask("range", address, "GET", "/ranges");
    }
    if (strcmp(verb, "split") == 0 && count == 1 && all_of(rest[0], "0123456789abcdefABCDEF")) {
        snprintf(target, sizeof(target), "/range/split?key=%s", rest[0]);
        return ctl_ask("range", address, "POST", target);
    }
    if ((strcmp(verb, "move") == 0 && count == 3 && numbers(target, verb, rest, count)) ||
        (strcmp(verb, "merge") == 0 && count == 1 && numbers(target, verb, rest, count)) ||
        (strcmp(verb, "lease") == 0 && count == 2 && numbers(target, verb, rest, count))) {
        return ctl_ask("range", address, "POST", target);
    }
    return usage();
}
