/* The whole public face of the SQL library. wire/, tests and tools include this and nothing else of
 * sql/.
 *
 * An engine is one per process: catalog cache, plan cache, registries, on top of one storage. A
 * session is one per connection and is used by one fiber at a time; it may park. Results go to a
 * struct sql_sink as they are made; its members may park (a slow reader stalls only its own
 * statement). */
#ifndef SKEIN_SQL_SQL_H
#define SKEIN_SQL_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

struct storage;
struct sql_coord; /* sql/storage/coord.h */
struct sql_wait_watch;
struct sql_lock_source;
struct sql_engine;
struct sql_session;
struct sql_stmt; /* a prepared statement of one session */
struct sql_rows; /* some rows of a result, see sql_rows_* */

/* ---- engine ---- */

struct sql_engine_opts {
    struct storage *storage; /* outlives the engine */
    struct sql_coord *coord; /* NULL: a process alone */
    /* Who finds deadlocks (sql/storage/coord.h); NULL: nobody. Copied */
    const struct sql_wait_watch *wait_watch;
    /* The storage's locks at this node (the same header); NULL: not known. Copied */
    const struct sql_lock_source *lock_source;
    const char *version;     /* VERSION(), e.g. "9.7.4-SkeinDB-0.1"; copied */
    size_t memory_limit;     /* for all statements together; 0 = none */
    size_t statement_memory; /* for one; 0 = 256 MiB */
    size_t plan_cache_bytes; /* 0 = 32 MiB */
    const char *temp_dir;    /* spill files; NULL: /tmp */
    uint16_t port;           /* shown as @@port */
    const char *socket_path; /* shown as @@socket */
    const char *data_dir;    /* shown as @@datadir */
    /* Where LOAD DATA INFILE, INTO OUTFILE and LOAD_FILE may go; "" anywhere; NULL: nowhere */
    const char *secure_file_priv;
    uint64_t server_id; /* node id */
};

/* Creates the system schema in an empty storage. May park. */
MUST_USE db_err sql_engine_open(const struct sql_engine_opts *opts, struct diag *diag,
                                struct sql_engine **ret_engine);
/* Bytes that statements hold now. Any thread. */
size_t sql_engine_memory(const struct sql_engine *engine);
/* What the other nodes of a cluster may ask of the engine (sql/storage/coord.h). */
struct sql_peer;
struct sql_peer *sql_engine_peer(struct sql_engine *engine);
/* All sessions must be closed. NULL is fine. */
void sql_engine_close(struct sql_engine *engine);

/* ---- values and columns as a client sees them ---- */

enum sql_cell_kind {
    SQL_CELL_NULL,
    SQL_CELL_INT,      /* i64 */
    SQL_CELL_UINT,     /* u64 */
    SQL_CELL_FLOAT,    /* f64, to be shown as a 4-byte float */
    SQL_CELL_DOUBLE,   /* f64 */
    SQL_CELL_TEXT,     /* bytes: strings in the result character set, DECIMAL as text, BIT, JSON as
                          text, ... */
    SQL_CELL_TIME,     /* time: TIME */
    SQL_CELL_DATE,     /* time: DATE */
    SQL_CELL_DATETIME, /* time: DATETIME, TIMESTAMP (in the session's time zone) */
};

struct sql_time {
    bool negative;
    uint8_t decimals; /* digits of the fraction to show */
    uint16_t year;
    uint8_t month, day;
    uint32_t hour; /* TIME: up to 838 */
    uint8_t minute, second;
    uint32_t microsecond;
};

struct sql_cell {
    enum sql_cell_kind kind;
    uint8_t decimals; /* FLOAT, DOUBLE: 31 = shortest; else fixed */
    union {
        int64_t i64;
        uint64_t u64;
        double f64;
        struct slice text;
        struct sql_time time;
    } v;
};

/* MySQL's column definition, ready for the protocol. Strings are owned by the statement. */
struct sql_column {
    struct slice schema, table, org_table, name, org_name; /* in the result character set */
    uint16_t charset_id;
    uint32_t length;
    uint8_t type;   /* enum_field_types */
    uint16_t flags; /* NOT_NULL_FLAG, ... */
    uint8_t decimals;
    uint8_t zerofill_width;     /* > 0: integers are shown with leading zeros up to it */
    struct slice default_value; /* COM_FIELD_LIST only; ptr NULL = none */
};

uint32_t sql_rows_count(const struct sql_rows *rows);
/* The cell of a row; text is valid until the sink's `rows` returns. */
void sql_rows_cell(const struct sql_rows *rows, uint32_t row, uint32_t column,
                   struct sql_cell *ret_cell);

/* ---- results ---- */

struct sql_status {
    uint64_t affected_rows;
    uint64_t last_insert_id;
    uint16_t warnings;
    uint16_t
        server_status; /* SERVER_STATUS_* without MORE_RESULTS, which the sink's `more` tells */
    struct slice info; /* "Rows matched: 1  Changed: 1  Warnings: 0" or empty */
    const struct sql_state_change *state_changes; /* session tracking, for CLIENT_SESSION_TRACK */
};

enum {
    SQL_TRACK_SYSVAR = 0,
    SQL_TRACK_SCHEMA = 1,
    SQL_TRACK_STATE = 2,
    SQL_TRACK_TXN_CHARACTERISTICS = 4,
    SQL_TRACK_TXN_STATE = 5
};
struct sql_state_change {
    const struct sql_state_change *next;
    int kind;
    struct slice name;  /* SYSVAR */
    struct slice value; /* all but STATE */
};

/* Receives the results of one command. Per statement either `ok`, or `columns`, any number of
 * `rows`, `end`; or at any point `error`, which ends the command. `more`: another statement's
 * result follows. A failing member (the client has gone) makes the engine stop and return that
 * error. */
struct sql_sink {
    const struct sql_sink_ops *ops;
};
struct sql_sink_ops {
    db_err (*columns)(struct sql_sink *sink, const struct sql_column *columns, uint32_t count);
    db_err (*rows)(struct sql_sink *sink, const struct sql_rows *rows);
    db_err (*end)(struct sql_sink *sink, const struct sql_status *status, bool more);
    db_err (*ok)(struct sql_sink *sink, const struct sql_status *status, bool more);
    db_err (*error)(struct sql_sink *sink, const struct diag *diag);
    /* LOAD DATA LOCAL: asks the client for a file and returns a piece at each call, empty = end.
     * NULL member: refused. */
    db_err (*local_file)(struct sql_sink *sink, struct slice name, struct slice *ret_piece);
};

/* ---- sessions ---- */

struct sql_session_opts {
    uint64_t connection_id;
    struct slice user, host;              /* the client's; copied */
    struct slice address;                 /* of the client, as text; empty: a socket; copied */
    const char *tls_cipher, *tls_version; /* as OpenSSL names them, for ever; NULL: no TLS */
    bool unix_socket;
    bool found_rows;   /* CLIENT_FOUND_ROWS */
    bool ends_by_ok;   /* CLIENT_DEPRECATE_EOF: what ends rows tells of changes of state */
    bool ignore_space; /* CLIENT_IGNORE_SPACE */
    bool local_files;  /* CLIENT_LOCAL_FILES */
    bool interactive;  /* wait_timeout from interactive_timeout */
    bool multi_statements;
    uint16_t charset; /* collation id of the handshake */
    /* The client's connect attributes: names and values, each behind its length as the protocol
     * writes it, cut off anywhere; copied */
    struct slice connect_attributes;
    struct slice account_host; /* sql_account.host_pattern that was authenticated; copied */
    bool anonymous;            /* sql_account.anonymous */
    bool used_password;        /* said in error 1045 */
    /* How sql_session_kill reaches the connection; NULL: nothing to wake. Called from any thread,
     * under whatever makes sure that the session is not closed meanwhile; does not block. Cancels
     * the fiber of the command that runs now (its waits end with ERR_CANCELED), or with
     * `connection` ends the connection, also an idle one. */
    void (*wake)(void *wake_ctx, bool connection);
    void *wake_ctx;
    /* A statement begins (or ends) to wait for long, for a named lock or in SLEEP(): until it ends
     * the connection wakes it as above if the client goes away. NULL: nobody watches. In the
     * session's fiber. */
    void (*watch)(void *wake_ctx, bool on);
};

MUST_USE db_err sql_session_open(struct sql_engine *engine, const struct sql_session_opts *opts,
                                 struct diag *diag, struct sql_session **ret_session);
/* Tells the general query log, when it is on, of what is no statement. May park. */
enum sql_logged { SQL_LOGGED_CONNECT, SQL_LOGGED_CHANGE_USER, SQL_LOGGED_INIT_DB };
void sql_session_log(struct sql_session *session, enum sql_logged what);
/* Counts, for SHOW STATUS, a command of the protocol that is no statement. */
enum sql_counted {
    SQL_COUNTED_INIT_DB,
    SQL_COUNTED_SET_OPTION,
    SQL_COUNTED_STATISTICS,
    SQL_COUNTED_PING,
    SQL_COUNTED_ADMIN, /* the others */
    SQL_COUNTED_STMT_CLOSE,
    SQL_COUNTED_STMT_RESET,
    SQL_COUNTED_LONG_DATA,
};
void sql_session_count(struct sql_session *session, enum sql_counted what);
/* The same of bytes that came from the client and went to it. In the session's fiber. */
void sql_session_traffic(struct sql_session *session, uint64_t received, uint64_t sent);
/* Rolls back, drops temporary objects, frees. NULL is fine. */
void sql_session_close(struct sql_session *session);
/* COM_RESET_CONNECTION: as a new session of the same account. */
MUST_USE db_err sql_session_reset(struct sql_session *session, struct diag *diag);
/* COM_CHANGE_USER after its authentication. */
MUST_USE db_err sql_session_change_user(struct sql_session *session,
                                        const struct sql_session_opts *opts, struct diag *diag);
/* COM_INIT_DB, and the database of the handshake. 1049, 1044. */
MUST_USE db_err sql_session_use(struct sql_session *session, struct slice schema,
                                struct diag *diag);

/* Any number of statements parted by ';' (one only unless multi_statements). All errors are also
 * told to the sink; the return value is ERR_OK when the sink got everything, also when a statement
 * failed. An error return means that the connection must close. */
MUST_USE db_err sql_session_query(struct sql_session *session, struct slice sql,
                                  struct sql_sink *sink);

/* The query attributes of the next command; text in `value` is in the client's character set. All
 * of it is borrowed until the command has ended; count 0: none. */
struct sql_attribute;
void sql_session_set_attributes(struct sql_session *session, const struct sql_attribute *list,
                                uint32_t count);

/* Memory that the protocol keeps for the session between commands (values that come in pieces) is
 * counted with what the session keeps. ERR_SQL: it may not have so much more; nothing is counted.
 * In the session's fiber. */
MUST_USE db_err sql_session_keep(struct sql_session *session, size_t bytes, struct diag *diag);
void sql_session_give_back(struct sql_session *session, size_t bytes);
/* The same for a command while it comes in, and until it has run. What it may be at most is known
 * (max_allowed_packet): it is counted with those of all sessions, which may have two thirds of what
 * statements may. On the session's loop. */
MUST_USE db_err sql_session_receive(struct sql_session *session, size_t bytes, struct diag *diag);
void sql_session_received(struct sql_session *session, size_t bytes);

/* COM_SET_OPTION: multi_statements on or off. */
void sql_session_set_multi_statements(struct sql_session *session, bool on);

/* For any thread: makes the session's running statement end with 1317 (or the whole session with
 * connection=true). */
void sql_session_kill(struct sql_session *session, bool connection);
bool sql_session_killed(const struct sql_session *session); /* the connection should close */
/* CONNECTION_ADMIN: may come when max_connections are there. */
bool sql_session_is_admin(const struct sql_session *session);
uint16_t sql_session_status(const struct sql_session *session); /* SERVER_STATUS_* now */
uint16_t sql_session_warning_count(const struct sql_session *session);
uint32_t sql_session_max_allowed_packet(const struct sql_session *session);
uint32_t sql_session_wait_timeout_s(const struct sql_session *session);
uint32_t sql_session_net_write_timeout_s(const struct sql_session *session);
uint32_t sql_session_net_read_timeout_s(const struct sql_session *session);
/* Connections now and the allowed number, KILL by id, SHOW PROCESSLIST are the engine's business.
 */
uint64_t sql_engine_max_connections(const struct sql_engine *engine);
/* Clients must come by TLS or a unix socket (@@require_secure_transport). */
bool sql_engine_requires_secure_transport(const struct sql_engine *engine);
uint32_t sql_engine_connect_timeout_s(const struct sql_engine *engine);

/* ---- prepared statements ---- */

struct sql_param { /* one bound parameter of COM_STMT_EXECUTE */
    uint8_t type;  /* enum_field_types */
    bool is_unsigned;
    bool is_null;
    struct sql_cell cell; /* INT/UINT/FLOAT/DOUBLE/TEXT/DATE/DATETIME/TIME by type */
};

struct sql_attribute {
    struct slice name;
    struct sql_param value;
};

MUST_USE db_err sql_stmt_prepare(struct sql_session *session, struct slice sql, struct diag *diag,
                                 struct sql_stmt **ret_stmt);
uint32_t sql_stmt_param_count(const struct sql_stmt *stmt);
/* Column definitions of the parameters and of the result (count 0: no result set); owned by the
 * statement. */
const struct sql_column *sql_stmt_params(const struct sql_stmt *stmt);
const struct sql_column *sql_stmt_columns(const struct sql_stmt *stmt, uint32_t *ret_count);
/* cursor: keep the result for sql_stmt_fetch (COM_STMT_EXECUTE with CURSOR_TYPE_READ_ONLY): the
 * sink then gets columns and end only, with SERVER_STATUS_CURSOR_EXISTS; a statement without a
 * result set answers ok as ever. */
MUST_USE db_err sql_stmt_execute(struct sql_stmt *stmt, const struct sql_param *params,
                                 uint32_t param_count, bool cursor, struct sql_sink *sink);
MUST_USE db_err sql_stmt_fetch(struct sql_stmt *stmt, uint32_t rows_max, struct sql_sink *sink);
/* COM_STMT_RESET: closes the cursor. (Long data is kept by wire until execution.) */
void sql_stmt_reset(struct sql_stmt *stmt);
void sql_stmt_close(struct sql_stmt *stmt); /* NULL is fine */

/* COM_FIELD_LIST: columns of a table, wild may be empty. The sink gets columns and end. */
MUST_USE db_err sql_session_field_list(struct sql_session *session, struct slice table,
                                       struct slice wild, struct sql_sink *sink);
/* COM_STATISTICS: the one-line text. */
MUST_USE db_err sql_engine_statistics(struct sql_engine *engine, struct buf *out);

/* ---- accounts, for the handshake ---- */

enum { SQL_AUTH_STRING_MAX = 256 };
struct sql_account {
    bool exists;     /* false: authenticate against a random secret and then refuse, so that nothing
                        leaks */
    char plugin[32]; /* "caching_sha2_password", "mysql_native_password" */
    char auth_string[SQL_AUTH_STRING_MAX]; /* as in mysql.user.authentication_string, "" = no
                                              password */
    size_t auth_string_len;
    char old_auth_string[SQL_AUTH_STRING_MAX]; /* a second password, likewise */
    size_t old_auth_string_len;                /* 0: there is none */
    char host_pattern[256];                    /* the host part that matched */
    bool anonymous;                            /* the account's user is '' */
    bool require_tls;
    bool require_certificate; /* of the client: sql_engine_certificate_fits decides */
    bool locked;              /* 3118 */
    bool password_expired;
    bool counts_failures; /* sql_engine_note_login wants to know of each log-in */
    bool loopback_only;   /* developer mode's password-less root */
};
/* The account that (user, host) maps to, MySQL's sorting rules. May park. */
MUST_USE db_err sql_engine_find_account(struct sql_engine *engine, struct slice user,
                                        struct slice host, struct diag *diag,
                                        struct sql_account *ret_account);
/* What a client has shown on a TLS connection; subject NULL: no certificate. */
struct sql_certificate {
    const char *cipher, *subject, *issuer;
};
/* REQUIRE X509, SUBJECT, ISSUER, CIPHER of the account of (user, host pattern). */
bool sql_engine_certificate_fits(struct sql_engine *engine, struct slice user,
                                 struct slice host_pattern, const struct sql_certificate *shown);
/* A log-in to the account of (user, host pattern) that has been found, with the right or a wrong
 * password. ret_block: blocked for so many days after so many failures in a row, -1 for ever; days
 * 0: it is not blocked (else 3955). May park. */
struct sql_login_block {
    int32_t days, days_left;
    uint32_t failures;
};
MUST_USE db_err sql_engine_note_login(struct sql_engine *engine, struct slice user,
                                      struct slice host_pattern, bool right, struct diag *diag,
                                      struct sql_login_block *ret_block);

#endif
