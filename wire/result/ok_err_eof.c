#include "wire/result/result.h"

#include <stdarg.h>
#include <stdio.h>

static size_t change_size(const struct sql_state_change *s)
{
    if (s->kind == SQL_TRACK_STATE) {
        return s->value.len; /* MYSQL: the flag alone */
    }
    size_t value = lenenc_size(s->value.len) + s->value.len;
    if (s->kind == SQL_TRACK_SYSVAR) {
        return value + lenenc_size(s->name.len) + s->name.len;
    }
    return value;
}

static db_err put_state_changes(struct packet_out *o, const struct sql_state_change *first)
{
    size_t total = 0;
    for (const struct sql_state_change *s = first; s != NULL; s = s->next) {
        size_t size = change_size(s);
        total += 1 + lenenc_size(size) + size;
    }
    TRY(put_lenenc(o, total));
    for (const struct sql_state_change *s = first; s != NULL; s = s->next) {
        TRY(put_u8(o, (uint8_t)s->kind));
        TRY(put_lenenc(o, change_size(s)));
        if (s->kind == SQL_TRACK_SYSVAR) {
            TRY(put_lenenc_bytes(o, s->name));
        }
        TRY(s->kind == SQL_TRACK_STATE ? put_bytes(o, s->value) : put_lenenc_bytes(o, s->value));
    }
    return ERR_OK;
}

static db_err put_ok(struct conn *c, uint8_t header, const struct sql_status *s, bool more)
{
    struct packet_out *o = &c->out;
    bool tracks = (c->caps & CAP_SESSION_TRACK) != 0;
    bool changed = tracks && s->state_changes != NULL;
    uint16_t flags = (uint16_t)(s->server_status & ~(STATUS_MORE_RESULTS | STATUS_STATE_CHANGED));
    flags |= (uint16_t)((more ? STATUS_MORE_RESULTS : 0) | (changed ? STATUS_STATE_CHANGED : 0));
    TRY(conn_begin(c));
    TRY(put_u8(o, header));
    TRY(put_lenenc(o, s->affected_rows));
    TRY(put_lenenc(o, s->last_insert_id));
    TRY(put_uint(o, flags, 2));
    TRY(put_uint(o, s->warnings, 2));
    if (changed || s->info.len > 0) {
        TRY(put_lenenc_bytes(o, s->info));
    }
    if (changed) {
        TRY(put_state_changes(o, s->state_changes));
    }
    return conn_finish(c);
}

db_err result_ok(struct conn *c, const struct sql_status *status, bool more)
{
    return put_ok(c, 0x00, status, more);
}

db_err result_plain_ok(struct conn *c, const struct sql_session *session)
{
    struct sql_status status = {
        .server_status = sql_session_status(session),
        .warnings = sql_session_warning_count(session),
    };
    return put_ok(c, 0x00, &status, false);
}

static db_err put_eof(struct conn *c, uint16_t server_status, uint16_t warnings)
{
    enum { EOF_SIZE = 5 };
    TRY(conn_begin(c));
    uint8_t *p = packet_out_room(&c->out, EOF_SIZE);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    p[0] = 0xfe;
    memcpy(p + 1, &warnings, 2);
    memcpy(p + 3, &server_status, 2);
    c->out.len += EOF_SIZE;
    return conn_finish(c);
}

db_err result_end(struct conn *c, const struct sql_status *status, bool more)
{
    if ((c->caps & CAP_DEPRECATE_EOF) != 0) {
        struct sql_status end = *status;
        end.affected_rows = 0;
        end.last_insert_id = 0;
        return put_ok(c, 0xfe, &end, more);
    }
    uint16_t flags = (uint16_t)(status->server_status & ~STATUS_MORE_RESULTS);
    flags |= (uint16_t)(more ? STATUS_MORE_RESULTS : 0);
    return put_eof(c, flags, status->warnings);
}

db_err result_mid_eof(struct conn *c, uint16_t server_status, uint16_t warnings)
{
    if ((c->caps & CAP_DEPRECATE_EOF) != 0) {
        return ERR_OK;
    }
    return put_eof(c, server_status, warnings);
}

db_err result_error(struct conn *c, const struct diag *diag)
{
    uint16_t number = diag->number;
    const char *state = diag->sqlstate;
    const char *text = diag->text[0] == '\0' ? err_text(diag->err) : diag->text;
    if (number == 0) {
        number = diag->err == ERR_NOMEM ? 1037 : 1105;
        state = diag->err == ERR_NOMEM ? "HY001" : "HY000";
    }
    TRY(conn_put_error(c, number, state, slice_str(text)));
    return ERR_OK;
}

db_err result_error_text(struct conn *c, uint16_t number, const char *sqlstate, const char *fmt,
                         ...)
{
    char text[DIAG_TEXT_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return conn_put_error(c, number, sqlstate, slice_str(text));
}
