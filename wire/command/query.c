#include "wire/command/command_int.h"
#include "base/alloc.h"
#include "wire/command/params.h"

db_err command__attribute_room(struct client *cl, uint64_t count)
{
    if (count > cl->attribute_cap) {
        struct sql_attribute *more = mem_realloc(cl->attributes, count * sizeof(*more));
        if (more == NULL) {
            return ERR_NOMEM;
        }
        cl->attributes = more;
        cl->attribute_cap = (uint32_t)count;
    }
    return ERR_OK;
}

void command__forget_attributes(struct client *cl, uint32_t count)
{
    enum { KEPT_MAX = 64 };
    if (LIKELY(count == 0)) {
        return;
    }
    sql_session_set_attributes(cl->session, NULL, 0);
    if (cl->attribute_cap > KEPT_MAX) {
        mem_free(cl->attributes);
        cl->attributes = NULL;
        cl->attribute_cap = 0;
    }
}

db_err command__query(struct client *cl, struct slice body)
{
    uint32_t attributes = 0;
    if ((cl->conn->caps & CAP_QUERY_ATTRIBUTES) != 0) {
        struct reader r = reader_of(body);
        if (!query_attributes_count(&r, &attributes)) {
            return command__malformed(cl);
        }
        TRY(command__attribute_room(cl, attributes));
        if (!query_attributes_read(&r, attributes, cl->attributes)) {
            return command__malformed(cl);
        }
        body = read_rest(&r);
    }
    if (UNLIKELY(attributes != 0)) {
        sql_session_set_attributes(cl->session, cl->attributes, attributes);
    }
    struct result_sink sink;
    result_sink_init(&sink, cl->conn, cl->session, RESULT_TEXT);
    db_err err = sql_session_query(cl->session, body, &sink.sink);
    result_sink_fini(&sink);
    command__forget_attributes(cl, attributes);
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
