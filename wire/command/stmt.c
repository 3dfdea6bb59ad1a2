/* Prepared statements. */
#include "base/alloc.h"
#include "wire/command/command_int.h"
#include "wire/command/params.h"

enum { CURSOR_READ_ONLY = 1, PARAM_COUNT_GIVEN = 8 };

/* --- life --- */

static void free_pieces(struct client *cl, struct stmt *s)
{
    if (s->has_long_data) {
        for (uint32_t i = 0; i < s->param_count; i++) {
            buf_fini(&s->pieces[i].bytes);
            s->pieces[i].given = false;
        }
    }
    s->has_long_data = false;
    sql_session_give_back(cl->session, s->long_data_counted);
    s->long_data_counted = 0;
}

static void forget_long_data(struct client *cl, struct stmt *s)
{
    free_pieces(cl, s);
    s->bad_long_data = false;
    s->long_data_too_large = false;
    mem_free(s->long_data_why);
    s->long_data_why = NULL;
}

static void stmt_free(struct client *cl, struct stmt *s)
{
    forget_long_data(cl, s);
    sql_stmt_close(s->sql);
    mem_free(s->params);
    mem_free(s->types);
    mem_free(s->pieces);
    mem_free(s);
}

void command__free_stmts(struct client *cl)
{
    for (uint32_t i = 0; i < cl->stmts.capacity; i++) {
        if (cl->stmts.slots[i] != NULL) {
            stmt_free(cl, cl->stmts.slots[i]);
        }
    }
    stmt_table_fini(&cl->stmts);
}

static db_err unknown_stmt(struct client *cl, uint32_t id)
{
    return result_error_text(cl->conn, 1243, "HY000",
                             "Unknown prepared statement handler (%u) given to mysql_stmt_precheck",
                             id);
}

/* --- prepare --- */

static db_err put_definitions(struct conn *c, const struct sql_column *columns, uint32_t count,
                              uint16_t status)
{
    for (uint32_t i = 0; i < count; i++) {
        TRY(result_column(c, &columns[i], false));
    }
    return count == 0 ? ERR_OK : result_mid_eof(c, status, 0);
}

static db_err put_prepared(struct client *cl, const struct stmt *s)
{
    struct conn *c = cl->conn;
    struct packet_out *o = &c->out;
    uint32_t column_count;
    const struct sql_column *columns = sql_stmt_columns(s->sql, &column_count);
    uint16_t status = sql_session_status(cl->session);
    TRY(conn_begin(c));
    TRY(put_u8(o, 0));
    TRY(put_uint(o, s->id, 4));
    TRY(put_uint(o, column_count, 2));
    TRY(put_uint(o, s->param_count, 2));
    TRY(put_u8(o, 0));
    TRY(put_uint(o, sql_session_warning_count(cl->session), 2));
    if ((c->caps & CAP_OPTIONAL_METADATA) != 0) {
        TRY(put_u8(o, 1)); /* definitions follow */
    }
    TRY(conn_finish(c));
    TRY(put_definitions(c, sql_stmt_params(s->sql), s->param_count, status));
    return put_definitions(c, columns, column_count, status);
}

static db_err stmt_new(struct client *cl, struct sql_stmt *sql, struct stmt **ret_stmt)
{
    struct stmt *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        sql_stmt_close(sql);
        return ERR_NOMEM;
    }
    s->sql = sql;
    s->param_count = sql_stmt_param_count(sql);
    if (s->param_count > 0) {
        s->params = mem_calloc(s->param_count, sizeof(*s->params));
        s->types = mem_calloc(s->param_count, sizeof(*s->types));
        if (s->params == NULL || s->types == NULL) {
            stmt_free(cl, s);
            return ERR_NOMEM;
        }
    }
    do {
        s->id = cl->next_stmt_id++;
    } while (s->id == 0 || stmt_table_find(&cl->stmts, s->id) != NULL);
    if (stmt_table_add(&cl->stmts, s) != ERR_OK) {
        stmt_free(cl, s);
        return ERR_NOMEM;
    }
    *ret_stmt = s;
    return ERR_OK;
}

db_err command__stmt_prepare(struct client *cl, struct slice body)
{
    struct diag diag = {0};
    struct sql_stmt *sql;
    struct stmt *s;
    db_err err = sql_stmt_prepare(cl->session, body, &diag, &sql);
    if (err == ERR_OK) {
        err = stmt_new(cl, sql, &s);
    }
    if (err != ERR_OK) {
        diag.err = err;
        return result_error(cl->conn, &diag);
    }
    return put_prepared(cl, s);
}

/* --- execute --- */

enum bind_result { BIND_OK, BIND_MALFORMED, BIND_BAD_VALUE };

static enum bind_result bind_types(struct stmt *s, struct reader *r, uint32_t count, bool named)
{
    for (uint32_t i = 0; i < count; i++) {
        uint16_t type = read_u16(r);
        if (named) {
            (void)read_lenenc_bytes(r);
        }
        if (r->bad) {
            return BIND_MALFORMED;
        }
        if (!param_type_ok(type)) {
            return BIND_BAD_VALUE;
        }
        if (i < s->param_count) {
            s->types[i] = type;
        }
    }
    s->types_known = true;
    return BIND_OK;
}

/* types: where the types of this packet begin, for those that are attributes and not parameters. */
static enum bind_result bind_values(struct stmt *s, struct reader *r, struct slice nulls,
                                    uint32_t count, struct reader types,
                                    struct sql_attribute *attributes)
{
    for (uint32_t i = 0; i < count; i++) {
        bool null = (nulls.ptr[i / 8] >> (i % 8) & 1) != 0;
        bool mine = i < s->param_count;
        struct sql_attribute *attribute = mine ? NULL : &attributes[i - s->param_count];
        struct sql_param *p = mine ? &s->params[i] : &attribute->value;
        uint16_t type = mine ? s->types[i] : 0;
        if (count > s->param_count) { /* new types were sent: only then there are attributes */
            type = read_u16(&types);
            struct slice name = read_lenenc_bytes(&types);
            if (!mine) {
                attribute->name = name;
            }
        }
        if (mine && s->has_long_data && s->pieces[i].given) {
            *p = (struct sql_param){.type = (uint8_t)type, .cell.kind = SQL_CELL_TEXT};
            p->cell.v.text = buf_slice(&s->pieces[i].bytes);
        } else if (null) {
            *p = (struct sql_param){.type = (uint8_t)type, .is_null = true};
        } else {
            param_read(r, type, p);
        }
    }
    return r->bad ? BIND_MALFORMED : BIND_OK;
}

static enum bind_result bind_params(struct client *cl, struct stmt *s, struct reader *r,
                                    uint8_t flags, uint32_t *ret_attributes)
{
    bool named = (cl->conn->caps & CAP_QUERY_ATTRIBUTES) != 0;
    uint64_t count = s->param_count;
    if (named && (flags & PARAM_COUNT_GIVEN) != 0) {
        count = read_lenenc(r);
        if (r->bad || count < s->param_count || count > UINT16_MAX) {
            return BIND_MALFORMED;
        }
    }
    if (count == 0) {
        return BIND_OK;
    }
    struct slice nulls = read_bytes(r, (count + 7) / 8);
    bool new_types = read_u8(r) != 0;
    struct reader types = *r;
    if (r->bad) {
        return BIND_MALFORMED;
    }
    if (new_types) {
        enum bind_result b = bind_types(s, r, (uint32_t)count, named);
        if (b != BIND_OK) {
            return b;
        }
    } else if (!s->types_known || count > s->param_count) {
        return BIND_MALFORMED;
    }
    uint32_t attributes = (uint32_t)count - s->param_count; /* whose types were there */
    if (command__attribute_room(cl, attributes) != ERR_OK) {
        return BIND_BAD_VALUE;
    }
    *ret_attributes = attributes;
    return bind_values(s, r, nulls, (uint32_t)count, types, cl->attributes);
}

static db_err wrong_arguments(struct client *cl, const char *function)
{
    return result_error_text(cl->conn, 1210, "HY000", "Incorrect arguments to %s", function);
}

db_err command__stmt_execute(struct client *cl, struct slice body)
{
    struct reader r = reader_of(body);
    uint32_t id = read_u32(&r);
    uint8_t flags = read_u8(&r);
    (void)read_u32(&r); /* iterations: always 1 */
    if (r.bad) {
        return command__malformed(cl);
    }
    struct stmt *s = stmt_table_find(&cl->stmts, id);
    if (s == NULL) {
        return unknown_stmt(cl, id);
    }
    if (s->bad_long_data) {
        return wrong_arguments(cl, "mysql_stmt_precheck");
    }
    if (s->long_data_why != NULL) {
        db_err err = result_error(cl->conn, s->long_data_why);
        forget_long_data(cl, s);
        return err;
    }
    if (s->long_data_too_large) {
        forget_long_data(cl, s);
        return conn_put_error(cl->conn, 1105, "HY000",
                              SLICE_LIT("Parameter of prepared statement which is set through "
                                        "mysql_send_long_data() is longer than "
                                        "'max_allowed_packet' bytes"));
    }
    uint32_t attributes = 0;
    switch (bind_params(cl, s, &r, flags, &attributes)) {
    case BIND_MALFORMED: return command__malformed(cl);
    case BIND_BAD_VALUE: return wrong_arguments(cl, "mysqld_stmt_execute");
    case BIND_OK: break;
    }
    if (UNLIKELY(attributes != 0)) {
        sql_session_set_attributes(cl->session, cl->attributes, attributes);
    }
    struct result_sink sink;
    result_sink_init(&sink, cl->conn, cl->session, RESULT_BINARY);
    db_err err = sql_stmt_execute(s->sql, s->params, s->param_count,
                                  (flags & CURSOR_READ_ONLY) != 0, &sink.sink);
    result_sink_fini(&sink);
    command__forget_attributes(cl, attributes);
    forget_long_data(cl, s);
    TRY(err);
    command__refresh(cl);
    return ERR_OK;
}

db_err command__stmt_fetch(struct client *cl, struct slice body)
{
    struct reader r = reader_of(body);
    uint32_t id = read_u32(&r);
    uint32_t rows_max = read_u32(&r);
    if (r.bad) {
        return command__malformed(cl);
    }
    struct stmt *s = stmt_table_find(&cl->stmts, id);
    if (s == NULL) {
        return unknown_stmt(cl, id);
    }
    struct result_sink sink;
    uint32_t count;
    const struct sql_column *columns = sql_stmt_columns(s->sql, &count);
    result_sink_init(&sink, cl->conn, cl->session, RESULT_FETCH);
    db_err err = result_sink_columns(&sink, columns, count);
    if (err == ERR_OK) {
        err = sql_stmt_fetch(s->sql, rows_max, &sink.sink);
    }
    result_sink_fini(&sink);
    return err;
}

/* --- the rest --- */

db_err command__stmt_close(struct client *cl, struct slice body)
{
    struct reader r = reader_of(body);
    uint32_t id = read_u32(&r);
    if (r.bad) {
        return command__malformed(cl);
    }
    struct stmt *s = stmt_table_find(&cl->stmts, id);
    if (s != NULL) {
        sql_session_count(cl->session, SQL_COUNTED_STMT_CLOSE);
        stmt_table_remove(&cl->stmts, s);
        stmt_free(cl, s);
    }
    return ERR_OK; /* no answer */
}

db_err command__stmt_reset(struct client *cl, struct slice body)
{
    struct reader r = reader_of(body);
    uint32_t id = read_u32(&r);
    if (r.bad) {
        return command__malformed(cl);
    }
    struct stmt *s = stmt_table_find(&cl->stmts, id);
    if (s == NULL) {
        return unknown_stmt(cl, id);
    }
    forget_long_data(cl, s);
    sql_session_count(cl->session, SQL_COUNTED_STMT_RESET);
    sql_stmt_reset(s->sql);
    return result_plain_ok(cl->conn, cl->session);
}

static db_err first_piece(struct client *cl, struct stmt *s)
{
    if (s->pieces == NULL) {
        s->pieces = mem_calloc(s->param_count, sizeof(*s->pieces));
        if (s->pieces == NULL) {
            return ERR_NOMEM;
        }
    }
    if (!s->has_long_data) {
        for (uint32_t i = 0; i < s->param_count; i++) {
            buf_init(&s->pieces[i].bytes, cl->conn->max_packet);
        }
        s->has_long_data = true;
    }
    return ERR_OK;
}

/* Counts the memory. ERR_LIMIT: the session may not have it, and all that came for the statement is
 * forgotten; what comes on until it is executed is not taken. */
static db_err count_long_data(struct client *cl, struct stmt *s, size_t bytes)
{
    struct diag diag = {0};
    if (bytes == 0 || sql_session_keep(cl->session, bytes, &diag) == ERR_OK) {
        s->long_data_counted += bytes;
        return ERR_OK;
    }
    free_pieces(cl, s);
    s->long_data_why = mem_alloc(sizeof(diag));
    if (s->long_data_why == NULL) {
        return ERR_NOMEM;
    }
    *s->long_data_why = diag;
    return ERR_LIMIT;
}

/* Never answered: what is wrong is told by the execution. */
db_err command__stmt_send_long_data(struct client *cl, struct slice body)
{
    struct reader r = reader_of(body);
    uint32_t id = read_u32(&r);
    uint16_t index = read_u16(&r);
    if (r.bad) {
        return command__malformed(cl);
    }
    sql_session_count(cl->session, SQL_COUNTED_LONG_DATA);
    struct stmt *s = stmt_table_find(&cl->stmts, id);
    if (s == NULL || s->long_data_why != NULL) {
        return ERR_OK;
    }
    if (index >= s->param_count) {
        s->bad_long_data = true;
        return ERR_OK;
    }
    TRY(first_piece(cl, s));
    struct long_data *piece = &s->pieces[index];
    piece->given = true;
    size_t before = piece->bytes.cap;
    if (buf_append_slice(&piece->bytes, read_rest(&r)) != ERR_OK) {
        s->long_data_too_large = true;
    }
    db_err err = count_long_data(cl, s, piece->bytes.cap - before);
    return err == ERR_LIMIT ? ERR_OK : err;
}
