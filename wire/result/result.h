/* Answers: OK, ERR and EOF packets, column definitions, and the sink that turns what the SQL engine
 * delivers into text or binary result sets, in the connection's output buffer and nowhere else.
 *
 * All functions may park (the output is sent when enough has gathered); an error means that the
 * connection cannot go on. */
#ifndef SKEIN_WIRE_RESULT_RESULT_H
#define SKEIN_WIRE_RESULT_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"
#include "sql/sql.h"
#include "wire/net/conn.h"

/* more: SERVER_MORE_RESULTS_EXISTS. */
MUST_USE db_err result_ok(struct conn *c, const struct sql_status *status, bool more);
/* An OK packet that only tells the session's state. */
MUST_USE db_err result_plain_ok(struct conn *c, const struct sql_session *session);
/* The end of a result set: an EOF packet, or OK with the EOF header under CLIENT_DEPRECATE_EOF. */
MUST_USE db_err result_end(struct conn *c, const struct sql_status *status, bool more);
/* The EOF packet between column definitions and rows; nothing under CLIENT_DEPRECATE_EOF. */
MUST_USE db_err result_mid_eof(struct conn *c, uint16_t server_status, uint16_t warnings);
/* An error of the engine; a diag without a MySQL number becomes 1105 (or 1037 for memory). */
MUST_USE db_err result_error(struct conn *c, const struct diag *diag);
MUST_USE db_err result_error_text(struct conn *c, uint16_t number, const char *sqlstate,
                                  const char *fmt, ...) PRINTF_LIKE(4, 5);
MUST_USE db_err result_column(struct conn *c, const struct sql_column *column, bool with_default);

enum { RESULT_INLINE_COLUMNS = 32 };

struct result_format {
    uint8_t type;
    uint8_t zerofill;
};

enum result_kind {
    RESULT_TEXT,
    RESULT_BINARY,
    RESULT_FETCH, /* binary rows and end only */
    RESULT_FIELD_LIST,
};

/* Implements sql_sink for one command. In the caller's memory. */
struct result_sink {
    struct sql_sink sink; /* first: hand &r->sink to the engine */
    struct conn *conn;
    const struct sql_session *session;
    enum result_kind kind;
    bool eof_due;             /* the EOF behind the column definitions waits for the first row */
    bool answered;            /* something was sent or told: an error is no surprise */
    bool failed;              /* an error packet was put */
    bool in_file;             /* the client sends a file */
    struct packet_in command; /* LOAD DATA LOCAL: keeps the command's packet */
    uint32_t column_count;
    struct result_format *formats;
    struct result_format inline_formats[RESULT_INLINE_COLUMNS];
};

void result_sink_init(struct result_sink *r, struct conn *c, const struct sql_session *session,
                      enum result_kind kind);
void result_sink_fini(struct result_sink *r);
/* For RESULT_FETCH, where no definitions come. ERR_NOMEM. */
MUST_USE db_err result_sink_columns(struct result_sink *r, const struct sql_column *columns,
                                    uint32_t count);

/* Rows, for the sink and tests: each as one packet. */
MUST_USE db_err result_text_rows(struct conn *c, const struct result_format *formats,
                                 uint32_t column_count, const struct sql_rows *rows);
MUST_USE db_err result_binary_rows(struct conn *c, const struct result_format *formats,
                                   uint32_t column_count, const struct sql_rows *rows);

#endif
