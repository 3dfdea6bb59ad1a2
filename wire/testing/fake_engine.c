#include "wire/testing/fake_engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "wire/net/protocol.h"

enum { STATUS_AUTOCOMMIT = 2, SESSIONS_MAX = 4096, BATCH = 1024, PARAMS_MAX = 65535 };

struct sql_engine {
    struct fake_limits limits;
    pthread_mutex_t lock;
    struct sql_session *sessions[SESSIONS_MAX];
    unsigned count;
    _Atomic unsigned wrong_logins;
};

struct sql_session {
    struct sql_engine *engine;
    uint64_t id;
    char user[64];
    char host[64];
    bool multi_statements;
    uint32_t wait_timeout_s;
    size_t kept;
    _Atomic bool kill_query;
    _Atomic bool kill_connection;
    _Atomic bool sleeps;
    void (*wake)(void *ctx, bool connection);
    void *wake_ctx;
};

enum fake_kind { FAKE_ONE, FAKE_ROWS, FAKE_TYPES, FAKE_BIG, FAKE_LEN, FAKE_PARAMS, FAKE_WHO };

struct fake_result {
    enum fake_kind kind;
    uint64_t count;
    uint64_t number;
    struct slice text;
    const struct sql_param *params;
    struct sql_column columns[16];
    struct sql_column *many_columns;
    uint32_t column_count;
};

struct sql_rows {
    const struct fake_result *result;
    uint64_t first;
    uint32_t count;
};

struct sql_stmt {
    struct sql_session *session;
    char *text;
    size_t text_len;
    uint32_t param_count;
    struct sql_column *params;
    struct fake_result result;
    bool has_result;
    bool cursor;
    uint64_t cursor_pos;
};

/* --- engine, sessions --- */

struct sql_engine *fake_engine_new(const struct fake_limits *limits)
{
    struct sql_engine *e = mem_calloc(1, sizeof(*e));
    if (e != NULL) {
        e->limits = *limits;
        pthread_mutex_init(&e->lock, NULL);
    }
    return e;
}

void fake_engine_free(struct sql_engine *engine)
{
    pthread_mutex_destroy(&engine->lock);
    mem_free(engine);
}

unsigned fake_engine_sessions(const struct sql_engine *engine)
{
    struct sql_engine *e = (struct sql_engine *)(uintptr_t)engine;
    pthread_mutex_lock(&e->lock);
    unsigned n = e->count;
    pthread_mutex_unlock(&e->lock);
    return n;
}

unsigned fake_engine_wrong_logins(const struct sql_engine *engine)
{
    return atomic_load(&engine->wrong_logins);
}

bool fake_engine_sleeps(struct sql_engine *engine, uint64_t id)
{
    bool sleeps = false;
    pthread_mutex_lock(&engine->lock);
    for (unsigned i = 0; i < engine->count; i++) {
        sleeps |= engine->sessions[i]->id == id && atomic_load(&engine->sessions[i]->sleeps);
    }
    pthread_mutex_unlock(&engine->lock);
    return sleeps;
}

bool fake_engine_kill(struct sql_engine *engine, uint64_t id, bool connection)
{
    bool found = false;
    pthread_mutex_lock(&engine->lock);
    for (unsigned i = 0; i < engine->count; i++) {
        if (engine->sessions[i]->id == id) {
            sql_session_kill(engine->sessions[i], connection);
            found = true;
        }
    }
    pthread_mutex_unlock(&engine->lock);
    return found;
}

db_err sql_session_open(struct sql_engine *engine, const struct sql_session_opts *opts,
                        struct diag *diag, struct sql_session **ret_session)
{
    struct sql_session *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return diag_set(diag, ERR_NOMEM, "out of memory");
    }
    s->engine = engine;
    s->id = opts->connection_id;
    s->multi_statements = opts->multi_statements;
    s->wait_timeout_s = 28800;
    s->wake = opts->wake;
    s->wake_ctx = opts->wake_ctx;
    snprintf(s->user, sizeof(s->user), "%.*s", SLICE_FMT(opts->user));
    snprintf(s->host, sizeof(s->host), "%.*s", SLICE_FMT(opts->host));
    pthread_mutex_lock(&engine->lock);
    if (engine->count == SESSIONS_MAX) {
        pthread_mutex_unlock(&engine->lock);
        mem_free(s);
        return diag_set(diag, ERR_LIMIT, "too many sessions");
    }
    engine->sessions[engine->count++] = s;
    pthread_mutex_unlock(&engine->lock);
    *ret_session = s;
    return ERR_OK;
}

void sql_session_close(struct sql_session *session)
{
    if (session == NULL) {
        return;
    }
    struct sql_engine *e = session->engine;
    ASSERT(session->kept == 0);
    pthread_mutex_lock(&e->lock);
    for (unsigned i = 0; i < e->count; i++) {
        if (e->sessions[i] == session) {
            e->sessions[i] = e->sessions[--e->count];
            break;
        }
    }
    pthread_mutex_unlock(&e->lock);
    mem_free(session);
}

db_err sql_session_reset(struct sql_session *session, struct diag *diag UNUSED)
{
    session->wait_timeout_s = 28800;
    return ERR_OK;
}

db_err sql_session_change_user(struct sql_session *session, const struct sql_session_opts *opts,
                               struct diag *diag UNUSED)
{
    snprintf(session->user, sizeof(session->user), "%.*s", SLICE_FMT(opts->user));
    return ERR_OK;
}

db_err sql_session_use(struct sql_session *session UNUSED, struct slice schema, struct diag *diag)
{
    if (slice_eq(schema, SLICE_LIT("nosuch"))) {
        return diag_set_sql(diag, 1049, "42000", "Unknown database '%.*s'", SLICE_FMT(schema));
    }
    return ERR_OK;
}

void sql_session_log(struct sql_session *session, enum sql_logged what)
{
    (void)session, (void)what;
}

void sql_session_traffic(struct sql_session *session, uint64_t received, uint64_t sent)
{
    (void)session, (void)received, (void)sent;
}

void sql_session_count(struct sql_session *session, enum sql_counted what)
{
    (void)session, (void)what;
}

void sql_session_set_attributes(struct sql_session *session, const struct sql_attribute *list,
                                uint32_t count)
{
    (void)session, (void)list, (void)count;
}

void sql_session_set_multi_statements(struct sql_session *session, bool on)
{
    session->multi_statements = on;
}

void sql_session_kill(struct sql_session *session, bool connection)
{
    if (connection) {
        atomic_store(&session->kill_connection, true);
    }
    atomic_store(&session->kill_query, true);
    session->wake(session->wake_ctx, connection);
}

db_err sql_session_keep(struct sql_session *session, size_t bytes, struct diag *diag)
{
    size_t max = session->engine->limits.kept_max;
    if (max != 0 && session->kept + bytes > max) {
        return diag_set_sql(diag, 20003, "HY000", "more than it may keep");
    }
    session->kept += bytes;
    return ERR_OK;
}

void sql_session_give_back(struct sql_session *session, size_t bytes)
{
    ASSERT(bytes <= session->kept);
    session->kept -= bytes;
}

db_err sql_session_receive(struct sql_session *session, size_t bytes, struct diag *diag)
{
    return sql_session_keep(session, bytes, diag);
}

void sql_session_received(struct sql_session *session, size_t bytes)
{
    sql_session_give_back(session, bytes);
}

bool sql_session_killed(const struct sql_session *session)
{
    return atomic_load(&session->kill_connection);
}

bool sql_session_is_admin(const struct sql_session *session)
{
    return strcmp(session->user, "root") == 0;
}

uint16_t sql_session_status(const struct sql_session *session UNUSED)
{
    return STATUS_AUTOCOMMIT;
}

uint16_t sql_session_warning_count(const struct sql_session *session UNUSED)
{
    return 0;
}

uint32_t sql_session_max_allowed_packet(const struct sql_session *session)
{
    return session->engine->limits.max_allowed_packet;
}

uint32_t sql_session_wait_timeout_s(const struct sql_session *session)
{
    return session->wait_timeout_s;
}

uint32_t sql_session_net_write_timeout_s(const struct sql_session *session)
{
    return session->engine->limits.net_write_timeout_s;
}

uint32_t sql_session_net_read_timeout_s(const struct sql_session *session UNUSED)
{
    return 30;
}

uint64_t sql_engine_max_connections(const struct sql_engine *engine)
{
    return engine->limits.max_connections;
}

bool sql_engine_requires_secure_transport(const struct sql_engine *engine)
{
    (void)engine;
    return false;
}

uint32_t sql_engine_connect_timeout_s(const struct sql_engine *engine)
{
    return engine->limits.connect_timeout_s;
}

db_err sql_engine_statistics(struct sql_engine *engine, struct buf *out)
{
    return buf_printf(out, "Uptime: 1  Threads: %u", fake_engine_sessions(engine));
}

/* --- results --- */

static struct sql_column column(const char *name, uint8_t type, uint16_t flags)
{
    bool text = type == TYPE_VAR_STRING || type == TYPE_LONG_BLOB;
    return (struct sql_column){
        .name = slice_str(name),
        .org_name = slice_str(name),
        .table = SLICE_LIT("t"),
        .schema = SLICE_LIT("fake"),
        .charset_id = text ? 255 : 63,
        .length = text ? 1024 : 20,
        .type = type,
        .flags = flags,
        .decimals = type == TYPE_DOUBLE || type == TYPE_FLOAT ? 31 : 0,
    };
}

static void add_column(struct fake_result *r, const char *name, uint8_t type, uint16_t flags)
{
    r->columns[r->column_count++] = column(name, type, flags);
}

static void add_type_columns(struct fake_result *r)
{
    enum { FLAG_UNSIGNED = 32 };
    add_column(r, "tiny", TYPE_TINY, 0);
    add_column(r, "small", TYPE_SHORT, 0);
    add_column(r, "medium", TYPE_INT24, 0);
    add_column(r, "int", TYPE_LONG, FLAG_UNSIGNED);
    add_column(r, "big", TYPE_LONGLONG, 0);
    add_column(r, "ubig", TYPE_LONGLONG, FLAG_UNSIGNED);
    add_column(r, "float", TYPE_FLOAT, 0);
    add_column(r, "double", TYPE_DOUBLE, 0);
    add_column(r, "decimal", TYPE_NEWDECIMAL, 0);
    add_column(r, "date", TYPE_DATE, 0);
    add_column(r, "time", TYPE_TIME, 0);
    add_column(r, "datetime", TYPE_DATETIME, 0);
    add_column(r, "year", TYPE_YEAR, FLAG_UNSIGNED);
    add_column(r, "text", TYPE_VAR_STRING, 0);
    add_column(r, "null", TYPE_VAR_STRING, 0);
    add_column(r, "zf", TYPE_LONG, FLAG_UNSIGNED);
    r->columns[12].zerofill_width = 4;
    r->columns[15].zerofill_width = 8;
}

uint32_t sql_rows_count(const struct sql_rows *rows)
{
    return rows->count;
}

static struct sql_cell int_cell(int64_t v)
{
    return (struct sql_cell){.kind = SQL_CELL_INT, .v.i64 = v};
}

static struct sql_cell uint_cell(uint64_t v)
{
    return (struct sql_cell){.kind = SQL_CELL_UINT, .v.u64 = v};
}

static struct sql_cell text_cell(struct slice s)
{
    return (struct sql_cell){.kind = SQL_CELL_TEXT, .v.text = s};
}

static struct sql_cell type_cell(uint32_t column)
{
    struct sql_time t = {.decimals = 6,
                         .year = 2024,
                         .month = 2,
                         .day = 29,
                         .hour = 13,
                         .minute = 5,
                         .second = 9,
                         .microsecond = 250000};
    switch (column) {
    case 0: return int_cell(-128);
    case 1: return int_cell(-32768);
    case 2: return int_cell(8388607);
    case 3: return uint_cell(4294967295u);
    case 4: return int_cell(INT64_MIN);
    case 5: return uint_cell(UINT64_MAX);
    case 6: return (struct sql_cell){.kind = SQL_CELL_FLOAT, .decimals = 31, .v.f64 = 1.5};
    case 7: return (struct sql_cell){.kind = SQL_CELL_DOUBLE, .decimals = 31, .v.f64 = 0.1};
    case 8: return text_cell(SLICE_LIT("-12345.678"));
    case 9: return (struct sql_cell){.kind = SQL_CELL_DATE, .v.time = t};
    case 10:
        t.hour = 838;
        t.negative = true;
        return (struct sql_cell){.kind = SQL_CELL_TIME, .v.time = t};
    case 11: return (struct sql_cell){.kind = SQL_CELL_DATETIME, .v.time = t};
    case 12: return uint_cell(0);
    case 13: return text_cell(SLICE_LIT("h\xc3\xa9llo"));
    case 14: return (struct sql_cell){.kind = SQL_CELL_NULL};
    default: return uint_cell(42);
    }
}

void sql_rows_cell(const struct sql_rows *rows, uint32_t row, uint32_t column_index,
                   struct sql_cell *ret_cell)
{
    const struct fake_result *r = rows->result;
    uint64_t n = rows->first + row;
    switch (r->kind) {
    case FAKE_ONE: *ret_cell = int_cell(1); break;
    case FAKE_LEN: *ret_cell = uint_cell(r->number); break;
    case FAKE_BIG:
    case FAKE_WHO: *ret_cell = text_cell(r->text); break;
    case FAKE_TYPES: *ret_cell = type_cell(column_index); break;
    case FAKE_ROWS:
        if (column_index == 0) {
            *ret_cell = int_cell((int64_t)n);
        } else if (column_index == 1) {
            *ret_cell = text_cell(SLICE_LIT("a row of some length, as rows are"));
        } else if (n % 2 == 0) {
            *ret_cell = (struct sql_cell){.kind = SQL_CELL_NULL};
        } else {
            *ret_cell =
                (struct sql_cell){.kind = SQL_CELL_DOUBLE, .decimals = 31, .v.f64 = (double)n / 4};
        }
        break;
    case FAKE_PARAMS: {
        const struct sql_param *p = &r->params[column_index];
        *ret_cell = p->is_null ? (struct sql_cell){.kind = SQL_CELL_NULL} : p->cell;
        break;
    }
    }
}

static db_err send_rows(struct sql_sink *sink, const struct fake_result *r, uint64_t first,
                        uint64_t last)
{
    while (first < last) {
        uint64_t n = last - first < BATCH ? last - first : BATCH;
        struct sql_rows rows = {r, first, (uint32_t)n};
        TRY(sink->ops->rows(sink, &rows));
        first += n;
    }
    return ERR_OK;
}

static db_err send_result(struct sql_sink *sink, const struct fake_result *r, bool more)
{
    struct sql_status status = {.server_status = STATUS_AUTOCOMMIT};
    const struct sql_column *columns = r->many_columns != NULL ? r->many_columns : r->columns;
    TRY(sink->ops->columns(sink, columns, r->column_count));
    TRY(send_rows(sink, r, 0, r->count));
    return sink->ops->end(sink, &status, more);
}

static db_err send_error(struct sql_sink *sink, uint16_t number, const char *state,
                         const char *text)
{
    struct diag diag = {0};
    (void)diag_set_sql(&diag, number, state, "%s", text);
    return sink->ops->error(sink, &diag);
}

static db_err send_ok(struct sql_sink *sink)
{
    static const struct sql_state_change change = {
        .kind = SQL_TRACK_SYSVAR, .name = SLICE_LIT("autocommit"), .value = SLICE_LIT("ON")};
    struct sql_status status = {
        .affected_rows = 300,
        .last_insert_id = 70000,
        .warnings = 3,
        .server_status = STATUS_AUTOCOMMIT,
        .info = SLICE_LIT("Rows matched: 300  Changed: 300  Warnings: 3"),
        .state_changes = &change,
    };
    return sink->ops->ok(sink, &status, false);
}

static bool word(struct slice sql, const char *w, uint64_t *ret_number)
{
    size_t n = strlen(w);
    if (!slice_starts_with(sql, slice_str(w)) || (sql.len > n && sql.ptr[n] != ' ')) {
        return false;
    }
    char number[24] = "";
    struct slice rest = slice_from(sql, sql.len > n ? n + 1 : n);
    snprintf(number, sizeof(number), "%.*s", rest.len > 20 ? 20 : (int)rest.len,
             (const char *)rest.ptr);
    *ret_number = strtoull(number, NULL, 10);
    return true;
}

static bool make_result(struct sql_session *s, struct slice sql, struct fake_result *r, char *who,
                        size_t who_size)
{
    uint64_t n;
    *r = (struct fake_result){.count = 1};
    if (word(sql, "one", &n)) {
        r->kind = FAKE_ONE;
        add_column(r, "1", TYPE_LONGLONG, 0);
    } else if (word(sql, "rows", &n)) {
        r->kind = FAKE_ROWS;
        r->count = n;
        add_column(r, "id", TYPE_LONG, 0);
        add_column(r, "text", TYPE_VAR_STRING, 0);
        add_column(r, "real", TYPE_DOUBLE, 0);
    } else if (word(sql, "types", &n)) {
        r->kind = FAKE_TYPES;
        add_type_columns(r);
    } else if (word(sql, "len", &n)) {
        r->kind = FAKE_LEN;
        r->number = sql.len;
        add_column(r, "len", TYPE_LONGLONG, 0);
    } else if (word(sql, "whoami", &n)) {
        r->kind = FAKE_WHO;
        snprintf(who, who_size, "%s@%s", s->user, s->host);
        r->text = slice_str(who);
        add_column(r, "whoami", TYPE_VAR_STRING, 0);
    } else {
        return false;
    }
    return true;
}

static db_err run_sleep(struct sql_session *s, struct sql_sink *sink, uint64_t ms)
{
    struct sql_status status = {.server_status = STATUS_AUTOCOMMIT};
    atomic_store(&s->kill_query, false);
    atomic_store(&s->sleeps, true);
    db_err err = fiber_sleep(ms * NS_PER_MS);
    atomic_store(&s->sleeps, false);
    if (err == ERR_CANCELED) {
        fiber_clear_cancel();
        return send_error(sink, 1317, "70100", "Query execution was interrupted");
    }
    return sink->ops->ok(sink, &status, false);
}

static db_err run_big(struct sql_sink *sink, uint64_t n)
{
    struct fake_result r = {.kind = FAKE_BIG, .count = 1};
    uint8_t *text = mem_alloc(n + 1);
    if (text == NULL) {
        return ERR_NOMEM;
    }
    for (uint64_t i = 0; i < n; i++) {
        text[i] = (uint8_t)('a' + i % 26);
    }
    r.text = slice_of(text, n);
    add_column(&r, "big", TYPE_LONG_BLOB, 0);
    db_err err = send_result(sink, &r, false);
    mem_free(text);
    return err;
}

db_err sql_session_query(struct sql_session *session, struct slice sql, struct sql_sink *sink)
{
    struct fake_result r;
    uint64_t n;
    char who[160];
    if (make_result(session, sql, &r, who, sizeof(who))) {
        return send_result(sink, &r, false);
    }
    if (word(sql, "ok", &n)) {
        return send_ok(sink);
    }
    if (word(sql, "big", &n)) {
        return run_big(sink, n);
    }
    if (word(sql, "sleep", &n)) {
        return run_sleep(session, sink, n);
    }
    if (word(sql, "timeout", &n)) {
        session->wait_timeout_s = (uint32_t)n;
        return send_ok(sink);
    }
    if (word(sql, "multi", &n) && session->multi_statements) {
        struct sql_status status = {.server_status = STATUS_AUTOCOMMIT, .affected_rows = 5};
        if (!make_result(session, SLICE_LIT("one"), &r, who, sizeof(who))) {
            return ERR_INVALID;
        }
        TRY(send_result(sink, &r, true));
        return sink->ops->ok(sink, &status, false);
    }
    return send_error(sink, 1064, "42000", "You have an error in your SQL syntax");
}

db_err sql_session_field_list(struct sql_session *session UNUSED, struct slice table UNUSED,
                              struct slice wild UNUSED, struct sql_sink *sink)
{
    struct fake_result r = {.kind = FAKE_ROWS};
    struct sql_status status = {.server_status = STATUS_AUTOCOMMIT};
    add_column(&r, "id", TYPE_LONG, 0);
    add_column(&r, "text", TYPE_VAR_STRING, 0);
    r.columns[1].default_value = SLICE_LIT("dflt");
    TRY(sink->ops->columns(sink, r.columns, r.column_count));
    return sink->ops->end(sink, &status, false);
}

/* --- prepared statements --- */

db_err sql_stmt_prepare(struct sql_session *session, struct slice sql, struct diag *diag,
                        struct sql_stmt **ret_stmt)
{
    char who[1];
    struct sql_stmt *st = mem_calloc(1, sizeof(*st));
    if (st == NULL) {
        return diag_set(diag, ERR_NOMEM, "out of memory");
    }
    st->session = session;
    for (size_t i = 0; i < sql.len; i++) {
        st->param_count += sql.ptr[i] == '?';
    }
    if (st->param_count > PARAMS_MAX) {
        mem_free(st);
        return diag_set_sql(diag, 1390, "HY000",
                            "Prepared statement contains too many placeholders");
    }
    if (st->param_count > 0) {
        st->params = mem_calloc(st->param_count, sizeof(*st->params));
        for (uint32_t i = 0; st->params != NULL && i < st->param_count; i++) {
            st->params[i] = column("?", TYPE_VAR_STRING, 0);
        }
        st->result = (struct fake_result){
            .kind = FAKE_PARAMS,
            .count = 1,
            .many_columns = st->params,
            .column_count = st->param_count,
        };
        st->has_result = true;
    } else {
        st->has_result = make_result(session, sql, &st->result, who, sizeof(who));
    }
    if (!st->has_result && !slice_eq(sql, SLICE_LIT("ok"))) {
        sql_stmt_close(st);
        return diag_set_sql(diag, 1064, "42000", "You have an error in your SQL syntax");
    }
    *ret_stmt = st;
    return ERR_OK;
}

uint32_t sql_stmt_param_count(const struct sql_stmt *stmt)
{
    return stmt->param_count;
}

const struct sql_column *sql_stmt_params(const struct sql_stmt *stmt)
{
    return stmt->params;
}

const struct sql_column *sql_stmt_columns(const struct sql_stmt *stmt, uint32_t *ret_count)
{
    *ret_count = stmt->has_result ? stmt->result.column_count : 0;
    return stmt->params != NULL ? stmt->params : stmt->result.columns;
}

static void take_types(struct sql_stmt *st, const struct sql_param *params)
{
    for (uint32_t i = 0; i < st->param_count; i++) {
        bool text = params[i].is_null || params[i].cell.kind == SQL_CELL_TEXT;
        st->params[i] =
            column("?", text ? TYPE_VAR_STRING : params[i].type, params[i].is_unsigned ? 32 : 0);
    }
    st->result.params = params;
}

db_err sql_stmt_execute(struct sql_stmt *stmt, const struct sql_param *params,
                        uint32_t param_count UNUSED, bool cursor, struct sql_sink *sink)
{
    if (!stmt->has_result) {
        return send_ok(sink);
    }
    take_types(stmt, params);
    if (!cursor) {
        return send_result(sink, &stmt->result, false);
    }
    struct sql_status status = {.server_status = STATUS_AUTOCOMMIT | STATUS_CURSOR_EXISTS};
    stmt->cursor = true;
    stmt->cursor_pos = 0;
    uint32_t count;
    const struct sql_column *columns = sql_stmt_columns(stmt, &count);
    TRY(sink->ops->columns(sink, columns, count));
    return sink->ops->end(sink, &status, false);
}

db_err sql_stmt_fetch(struct sql_stmt *stmt, uint32_t rows_max, struct sql_sink *sink)
{
    enum { STATUS_LAST_ROW = 128 };
    struct sql_status status = {.server_status = STATUS_AUTOCOMMIT | STATUS_CURSOR_EXISTS};
    if (!stmt->cursor) {
        return send_error(sink, 1421, "HY000", "The statement (1) has no open cursor.");
    }
    uint64_t left = stmt->result.count - stmt->cursor_pos;
    if (left == 0) {
        stmt->cursor = false;
        status.server_status = STATUS_AUTOCOMMIT | STATUS_LAST_ROW;
        return sink->ops->end(sink, &status, false);
    }
    uint64_t n = left < rows_max ? left : rows_max;
    TRY(send_rows(sink, &stmt->result, stmt->cursor_pos, stmt->cursor_pos + n));
    stmt->cursor_pos += n;
    return sink->ops->end(sink, &status, false);
}

void sql_stmt_reset(struct sql_stmt *stmt)
{
    stmt->cursor = false;
}

void sql_stmt_close(struct sql_stmt *stmt)
{
    if (stmt != NULL) {
        mem_free(stmt->params);
        mem_free(stmt->text);
        mem_free(stmt);
    }
}

/* --- accounts: the stored hashes are what MySQL 9.7 made of the passwords --- */

static const char g_sha[] =
    "$A$00A$\x15\x7b\x55\x1f\x03\x65\x06\x5d\x6e\x72\x52\x0e\x53\x36\x0a\x79\x5a\x5e\x42\x64"
    "XlltRQuyBNLXl/ZP6CnNX0yJPJVwP6.m1dom.sAWGMB";
static const char g_longer[] = "$A$00A$\x22\x7e\x2c\x40\x74\x01\x27\x57\x49\x63\x72\x08\x46\x5a\x05"
                               "\x70\x37\x16\x72\x6f"
                               "g9Ita7gbbigyoeBByNqKONaJpneF33ovCnjlT6gTbT/";

struct fake_account {
    const char *user;
    const char *plugin;
    const char *auth;
    bool locked, tls, loopback, counted;
    const char *old;
};
static const struct fake_account g_accounts[] = {
    {"root", "caching_sha2_password", "", .loopback = true},
    {"sha", "caching_sha2_password", g_sha, .locked = false},
    {"two", "caching_sha2_password", g_sha, .old = g_longer},
    {"counted", "caching_sha2_password", g_sha, .counted = true},
    {"longer", "caching_sha2_password", g_longer, .locked = false},
    {"native", "mysql_native_password", "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7",
     .locked = false},
    {"locked", "mysql_native_password", "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7",
     .locked = true},
    {"tlsonly", "mysql_native_password", "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7", .tls = true},
};

db_err sql_engine_find_account(struct sql_engine *engine UNUSED, struct slice user,
                               struct slice host UNUSED, struct diag *diag UNUSED,
                               struct sql_account *ret_account)
{
    struct sql_account a = {.host_pattern = "%"};
    for (size_t i = 0; i < ARRAY_COUNT(g_accounts); i++) {
        const struct fake_account *f = &g_accounts[i];
        if (slice_eq(user, slice_str(f->user))) {
            a.exists = true;
            a.locked = f->locked;
            a.require_tls = f->tls;
            a.loopback_only = f->loopback;
            a.counts_failures = f->counted;
            a.old_auth_string_len = f->old == NULL ? 0 : strlen(f->old);
            memcpy(a.old_auth_string, f->old == NULL ? "" : f->old, a.old_auth_string_len);
            snprintf(a.plugin, sizeof(a.plugin), "%s", f->plugin);
            a.auth_string_len = strlen(f->auth);
            memcpy(a.auth_string, f->auth, a.auth_string_len);
        }
    }
    *ret_account = a;
    return ERR_OK;
}

bool sql_engine_certificate_fits(struct sql_engine *engine UNUSED, struct slice user UNUSED,
                                 struct slice host_pattern UNUSED,
                                 const struct sql_certificate *shown)
{
    return shown->subject != NULL;
}

db_err sql_engine_note_login(struct sql_engine *engine, struct slice user UNUSED,
                             struct slice host_pattern UNUSED, bool right, struct diag *diag UNUSED,
                             struct sql_login_block *ret_block)
{
    atomic_fetch_add(&engine->wrong_logins, right ? 0 : 1);
    *ret_block = (struct sql_login_block){.days = 0};
    return ERR_OK;
}
