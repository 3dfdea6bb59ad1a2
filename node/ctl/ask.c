#include "node/ctl/ctl.h"

#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "node/ctl/http.h"

int ctl_ask(const char *command, const char *address, const char *method, const char *target)
{
    SCOPE_BUF(reply, CTL_REPLY_MAX);
    struct diag diag = {0};
    unsigned status;
    db_err err = http_request(address, method, target, &diag, &reply, &status);
    if (err != ERR_OK) {
        fprintf(stderr, "skeindb %s: %s\n", command,
                diag.text[0] != '\0' ? diag.text : err_text(err));
        return 1;
    }
    fwrite(reply.ptr, 1, reply.len, status == CTL_STATUS_OK ? stdout : stderr);
    return status == CTL_STATUS_OK ? 0 : 1;
}

const char *ctl_admin_address(int argc, char **argv, int *ret_next)
{
    bool given = argc > 2 && strcmp(argv[1], "--admin") == 0;
    *ret_next = given ? 3 : 1;
    return given ? argv[2] : CTL_ADMIN_DEFAULT;
}
