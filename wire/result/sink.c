/* The sink of a command.
 *
 * The EOF packet behind the column definitions (clients without CLIENT_DEPRECATE_EOF) is put off
 * until the first row or the end: with an open cursor there is only one, which carries
 * SERVER_STATUS_CURSOR_EXISTS, and only the end tells. */
#include "wire/result/result.h"

#include "base/alloc.h"
#include "base/assert.h"

static db_err put_due_eof(struct result_sink *r)
{
    if (!r->eof_due) {
        return ERR_OK;
    }
    r->eof_due = false;
    return result_mid_eof(r->conn, sql_session_status(r->session), 0);
}

db_err result_sink_columns(struct result_sink *r, const struct sql_column *columns, uint32_t count)
{
    if (count > RESULT_INLINE_COLUMNS && count > r->column_count) {
        struct result_format *formats = mem_calloc(count, sizeof(*formats));
        if (formats == NULL) {
            return ERR_NOMEM;
        }
        if (r->formats != r->inline_formats) {
            mem_free(r->formats);
        }
        r->formats = formats;
    }
    r->column_count = count;
    for (uint32_t i = 0; i < count; i++) {
        r->formats[i] = (struct result_format){columns[i].type, columns[i].zerofill_width};
    }
    return ERR_OK;
}

static db_err on_columns(struct sql_sink *sink, const struct sql_column *columns, uint32_t count)
{
    struct result_sink *r = (struct result_sink *)sink;
    struct conn *c = r->conn;
    r->answered = true;
    TRY(result_sink_columns(r, columns, count));
    if (r->kind == RESULT_FETCH) {
        return ERR_OK;
    }
    if (r->kind != RESULT_FIELD_LIST) {
        TRY(conn_begin(c));
        if ((c->caps & CAP_OPTIONAL_METADATA) != 0) {
            TRY(put_u8(&c->out, 1)); /* definitions follow */
        }
        TRY(put_lenenc(&c->out, count));
        TRY(conn_finish(c));
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(result_column(c, &columns[i], r->kind == RESULT_FIELD_LIST));
    }
    r->eof_due = r->kind != RESULT_FIELD_LIST;
    return ERR_OK;
}

static db_err on_rows(struct sql_sink *sink, const struct sql_rows *rows)
{
    struct result_sink *r = (struct result_sink *)sink;
    r->answered = true;
    TRY(put_due_eof(r));
    return r->kind == RESULT_TEXT ? result_text_rows(r->conn, r->formats, r->column_count, rows)
                                  : result_binary_rows(r->conn, r->formats, r->column_count, rows);
}

static db_err on_end(struct sql_sink *sink, const struct sql_status *status, bool more)
{
    struct result_sink *r = (struct result_sink *)sink;
    r->answered = true;
    if ((status->server_status & STATUS_CURSOR_EXISTS) == 0) {
        TRY(put_due_eof(r));
    }
    r->eof_due = false;
    return result_end(r->conn, status, more);
}

static db_err on_ok(struct sql_sink *sink, const struct sql_status *status, bool more)
{
    struct result_sink *r = (struct result_sink *)sink;
    r->answered = true;
    return result_ok(r->conn, status, more);
}

static db_err on_error(struct sql_sink *sink, const struct diag *diag)
{
    struct result_sink *r = (struct result_sink *)sink;
    r->answered = true;
    r->failed = true;
    return result_error(r->conn, diag);
}

/* The packets of the file come where the command's packet was: its memory is kept aside, for the
 * statement's text is in it. */
static db_err on_local_file(struct sql_sink *sink, struct slice name, struct slice *ret_piece)
{
    struct result_sink *r = (struct result_sink *)sink;
    struct conn *c = r->conn;
    if (!r->in_file) {
        r->answered = true;
        TRY(conn_begin(c));
        TRY(put_u8(&c->out, LOCAL_FILE_HEADER));
        TRY(put_bytes(&c->out, name));
        TRY(conn_finish(c));
        if (r->command.ptr == NULL) {
            TRY(conn_keep_packet(c, &r->command));
        }
        r->in_file = true;
    }
    struct slice piece;
    TRY(conn_read_packet(c, &piece));
    r->in_file = piece.len != 0;
    *ret_piece = piece;
    return ERR_OK;
}

static const struct sql_sink_ops g_sink_ops = {
    .columns = on_columns,
    .rows = on_rows,
    .end = on_end,
    .ok = on_ok,
    .error = on_error,
    .local_file = on_local_file,
};

void result_sink_init(struct result_sink *r, struct conn *c, const struct sql_session *session,
                      enum result_kind kind)
{
    r->sink.ops = &g_sink_ops;
    r->conn = c;
    r->session = session;
    r->kind = kind;
    r->eof_due = false;
    r->answered = false;
    r->failed = false;
    r->in_file = false;
    r->command = (struct packet_in){0};
    r->column_count = 0;
    r->formats = r->inline_formats;
}

void result_sink_fini(struct result_sink *r)
{
    if (r->formats != r->inline_formats) {
        mem_free(r->formats);
    }
    r->formats = r->inline_formats;
    if (r->command.ptr != NULL) {
        conn_drop_packet(r->conn, &r->command);
    }
}
