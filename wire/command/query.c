#include "wire/command/command_int.h"
#include "wire/command/params.h"

db_err command__query(struct client *cl, struct slice body)
{
    if ((cl->conn->caps & CAP_QUERY_ATTRIBUTES) != 0) {
        struct reader r = reader_of(body);
        if (!query_attributes_skip(&r)) {
            return command__malformed(cl);
        }
        body = read_rest(&r);
    }
    struct result_sink sink;
    result_sink_init(&sink, cl->conn, cl->session, RESULT_TEXT);
    db_err err = sql_session_query(cl->session, body, &sink.sink);
    result_sink_fini(&sink);
    TRY(err);
    command__refresh(cl);
    return ERR_OK;
}

db_err command__field_list(struct client *cl, struct slice body)
{
    struct reader r = reader_of(body);
    struct slice table = read_cstr(&r);
    if (r.bad) {
        return command__malformed(cl);
    }
    struct result_sink sink;
    result_sink_init(&sink, cl->conn, cl->session, RESULT_FIELD_LIST);
    db_err err = sql_session_field_list(cl->session, table, read_rest(&r), &sink.sink);
    result_sink_fini(&sink);
    return err;
}
