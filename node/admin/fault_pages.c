/* /faults: fault points of a test build (base/faults.h). */
#include <microhttpd.h>

#include "base/faults.h"
#include "node/admin/admin_int.h"

void admin__faults(struct request *r)
{
    db_err err = faults_list(&r->reply);
    if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "%s", err_text(err));
    }
}

void admin__faults_set(struct request *r)
{
    struct diag diag = {0};
    while (r->body.len > 0 && r->body.ptr[r->body.len - 1] == '\n') {
        r->body.len--;
    }
    db_err err = buf_append_u8(&r->body, '\0');
    if (err == ERR_OK) {
        err = faults_set_list((const char *)r->body.ptr, &diag);
    }
    if (err == ERR_UNSUPPORTED) {
        request_fail(r, MHD_HTTP_NOT_IMPLEMENTED, "fault points are not compiled in");
    } else if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_BAD_REQUEST, "%s",
                     diag.text[0] != '\0' ? diag.text : err_text(err));
    } else {
        admin__faults(r);
    }
}
