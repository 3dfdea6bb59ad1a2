/* Entries of the slow and the general query log, and their files. */
#include "sql/session/query_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"

enum { ENTRY_MAX = 64 * 1024 * 1024, TIME_TEXT = 40, LOG_OUTPUT_FILE = 2 };

struct entry {
    const char *path;
    struct slice header; /* of a new file */
    struct slice text;
    int error;
};

static int write_all(int fd, struct slice s)
{
    while (s.len != 0) {
        ssize_t n = write(fd, s.ptr, s.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return errno == 0 ? EIO : errno;
        }
        s = slice_from(s, (size_t)n);
    }
    return 0;
}

/* One write at the file's end for an entry, so that those of several sessions do not mix. */
static void append(void *arg)
{
    struct entry *e = arg;
    struct stat st;
    int fd = open(e->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
        e->error = errno;
        return;
    }
    bool empty = fstat(fd, &st) == 0 && st.st_size == 0;
    e->error = empty ? write_all(fd, e->header) : 0;
    e->error = e->error == 0 ? write_all(fd, e->text) : e->error;
    close(fd);
}

const char *query_log__path(struct sql_session *s, bool slow)
{
    struct sysvar_globals *g = engine__globals(s->engine);
    struct slice name = g->values[slow ? VAR_slow_query_log_file : VAR_general_log_file].s;
    const char *dir = s->engine->opts.data_dir == NULL ? "." : s->engine->opts.data_dir;
    char host[256] = "";
    const char *path;
    if (name.len == 0) {
        path = gethostname(host, sizeof(host) - 1) == 0
                   ? arena_printf(&s->stmt_arena, "%s/%s%s.log", dir, host, slow ? "-slow" : "")
                   : NULL;
    } else if (name.ptr[0] == '/') {
        path = arena_strdup(&s->stmt_arena, name);
    } else {
        path = arena_printf(&s->stmt_arena, "%s/%.*s", dir, SLICE_FMT(name));
    }
    sysvar_globals_unref(g);
    return path;
}

static bool to_file(struct sql_session *s)
{
    struct sysvar_globals *g = engine__globals(s->engine);
    bool on = (g->values[VAR_log_output].i & LOG_OUTPUT_FILE) != 0;
    sysvar_globals_unref(g);
    return on;
}

static void write_entry(struct sql_session *s, bool slow, struct slice text)
{
    struct entry e = {.path = query_log__path(s, slow), .text = text};
    e.header = SLICE_LIT("Time                 Id Command    Argument\n");
    if (e.path == NULL) {
        return;
    }
    if (fiber_self() != NULL) {
        blocking_run(append, &e);
    } else {
        append(&e);
    }
    if (e.error != 0) {
        LOG_WARN("sql.query_log.write", F_STR("path", e.path), F_STR("error", strerror(e.error)));
    }
}

static void time_text(uint64_t us, char out[TIME_TEXT])
{
    struct tm tm;
    time_t seconds = (time_t)(us / 1000000u);
    size_t n =
        gmtime_r(&seconds, &tm) == NULL ? 0 : strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, TIME_TEXT - n, ".%06uZ", (unsigned)(us % 1000000u));
}

static struct slice shown(const struct sql_session *s, struct slice text, bool secret)
{
    return secret && s->globals->values[VAR_log_raw].i == 0 ? SECRET_TEXT : text;
}

void query_log__general(struct sql_session *s, const char *command, struct slice text, bool secret)
{
    char when[TIME_TEXT];
    struct buf b;
    if (!to_file(s)) {
        return;
    }
    time_text(clock_wall_us(), when);
    buf_init(&b, ENTRY_MAX);
    struct slice body = shown(s, text, secret);
    if (buf_printf(&b, "%s\t%5llu %s\t", when, (unsigned long long)s->connection_id, command) ==
            ERR_OK &&
        buf_append_slice(&b, body) == ERR_OK && buf_append_u8(&b, '\n') == ERR_OK) {
        write_entry(s, false, buf_slice(&b));
    }
    buf_fini(&b);
}

void sql_session_log(struct sql_session *s, enum sql_logged what)
{
    static const char *const names[] = {"Connect", "Change user", "Init DB"};
    struct slice schema = s->has_schema ? s->schema : SLICE_EMPTY;
    char text[1024];
    if (!query_log__general_on(s)) {
        return;
    }
    if (what == SQL_LOGGED_INIT_DB) {
        query_log__general(s, names[what], schema, false);
        return;
    }
    const char *by = s->opts.tls_cipher != NULL ? "SSL/TLS"
                     : s->opts.unix_socket      ? "Socket"
                                                : "TCP/IP";
    int n = snprintf(text, sizeof(text), "%.*s@%.*s on %.*s", SLICE_FMT(s->user),
                     SLICE_FMT(s->host), SLICE_FMT(schema));
    if (what == SQL_LOGGED_CONNECT && n >= 0 && (size_t)n < sizeof(text)) {
        snprintf(text + n, sizeof(text) - (size_t)n, " using %s", by);
    }
    query_log__general(s, names[what], slice_str(text), false);
}

/* ---- slow queries ---- */

static db_err slow_text(struct sql_session *s, struct slice text, uint64_t start_us,
                        uint64_t took_us, struct buf *b)
{
    char when[TIME_TEXT];
    time_text(start_us + took_us, when);
    TRY(buf_printf(b, "# Time: %s\n# User@Host: %.*s[%.*s] @ %.*s []  Id: %5llu\n", when,
                   SLICE_FMT(s->user), SLICE_FMT(s->user), SLICE_FMT(s->host),
                   (unsigned long long)s->connection_id));
    TRY(buf_printf(b,
                   "# Query_time: %llu.%06u  Lock_time: 0.000000 Rows_sent: %llu  "
                   "Rows_examined: %llu\n",
                   (unsigned long long)(took_us / 1000000u), (unsigned)(took_us % 1000000u),
                   (unsigned long long)s->sent_rows, (unsigned long long)s->examined_rows));
    if (s->has_schema) {
        TRY(buf_printf(b, "use %.*s;\n", SLICE_FMT(s->schema)));
    }
    TRY(buf_printf(b, "SET timestamp=%llu;\n", (unsigned long long)(start_us / 1000000u)));
    TRY(buf_append_slice(b, shown(s, text, s->secret_text)));
    return buf_append_slice(b, SLICE_LIT(";\n"));
}

static void slow(struct sql_session *s, struct slice text, uint64_t start_us, uint64_t took_us)
{
    struct buf b;
    status__count(s, COUNT_SLOW_QUERIES);
    if (!atomic_load_explicit(&s->engine->slow_log, memory_order_relaxed) || !to_file(s)) {
        return;
    }
    while (text.len != 0 && (text.ptr[text.len - 1] == ';' || text.ptr[text.len - 1] <= ' ')) {
        text.len--;
    }
    buf_init(&b, ENTRY_MAX);
    if (slow_text(s, text, start_us, took_us, &b) == ERR_OK) {
        write_entry(s, true, buf_slice(&b));
    }
    buf_fini(&b);
}

/* ---- profiles ---- */

struct profile {
    uint64_t id, took_us;
    char *text;
};

void profile__free(struct sql_session *s)
{
    for (uint32_t i = 0; i < s->profile_count; i++) {
        mem_free(s->profiles[i].text);
    }
    mem_free(s->profiles);
    s->profiles = NULL;
    s->profile_count = 0;
}

static void keep_profile(struct sql_session *s, struct slice text, uint64_t took_us)
{
    enum { SHOWN_MAX = 300 }; /* MYSQL: characters of the text */
    uint32_t room = (uint32_t)vars__get(s, VAR_profiling_history_size)->i;
    size_t n = text.len < SHOWN_MAX ? text.len : SHOWN_MAX;
    while (s->profile_count != 0 && s->profile_count >= room) {
        mem_free(s->profiles[0].text);
        memmove(s->profiles, s->profiles + 1, --s->profile_count * sizeof(*s->profiles));
    }
    struct profile *grown = mem_realloc(s->profiles, (s->profile_count + 1) * sizeof(*grown));
    char *copy = grown == NULL || room == 0 ? NULL : mem_calloc(n + 1, 1);
    s->profiles = grown == NULL ? s->profiles : grown;
    s->profile_id++;
    if (copy != NULL) {
        memcpy(copy, text.ptr, n);
        s->profiles[s->profile_count++] = (struct profile){s->profile_id, took_us, copy};
    }
}

void query_log__ended(struct sql_session *s, struct slice text, uint64_t start_us, uint64_t took_us)
{
    if (took_us > s->vars.long_query_us && s->examined_rows >= s->vars.min_examined_rows) {
        slow(s, text, start_us, took_us);
    }
    if (s->vars.profiling && !s->hides_profile) {
        keep_profile(s, text, took_us);
    }
}

static void warn_deprecated(struct sql_session *s, const char *what)
{
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, ER_WARN_DEPRECATED_SYNTAX, my_error_sqlstate(ER_WARN_DEPRECATED_SYNTAX),
                 "'%s' is deprecated and will be removed in a future release. Please use "
                 "Performance Schema instead",
                 what);
    diag_area_add(&s->conditions, DIAG_WARNING, &d);
}

static struct sql_type seconds_type(uint8_t decimals)
{
    return (struct sql_type){
        .id = TYPE_DOUBLE, .decimals = decimals, .length = 10, .collation = COLL_BINARY};
}

static db_err show_profiles(struct statement *st)
{
    static const char *const names[] = {"Query_ID", "Duration", "Query"};
    struct sql_session *s = st->session;
    const struct sql_type types[] = {type_int(TYPE_INT, false), seconds_type(8),
                                     type_char(TYPE_VARCHAR, 300, COLL_UTF8MB3_GENERAL_CI)};
    struct text_result r;
    TRY(text_result_begin_typed(st, &r, names, types, ARRAY_COUNT(names)));
    for (uint32_t i = 0; i < s->profile_count; i++) {
        const struct profile *p = &s->profiles[i];
        char id[32];
        char took[32];
        snprintf(id, sizeof(id), "%llu", (unsigned long long)p->id);
        snprintf(took, sizeof(took), "%.8f", (double)p->took_us / 1e6);
        const struct slice cells[] = {slice_str(id), slice_str(took), slice_str(p->text)};
        TRY(text_result_row(&r, cells));
    }
    return text_result_end(&r);
}

/* One stage is known of a command: all of it. */
static db_err show_profile(struct statement *st, uint64_t query)
{
    static const char *const names[] = {"Status", "Duration"};
    struct sql_session *s = st->session;
    const struct sql_type types[] = {type_char(TYPE_VARCHAR, 30, COLL_UTF8MB3_GENERAL_CI),
                                     seconds_type(6)};
    struct text_result r;
    TRY(text_result_begin_typed(st, &r, names, types, ARRAY_COUNT(names)));
    for (uint32_t i = 0; i < s->profile_count; i++) {
        const struct profile *p = &s->profiles[i];
        if (query == 0 ? i + 1 == s->profile_count : p->id == query) {
            char took[32];
            snprintf(took, sizeof(took), "%.6f", (double)p->took_us / 1e6);
            const struct slice cells[] = {SLICE_LIT("executing"), slice_str(took)};
            TRY(text_result_row(&r, cells));
        }
    }
    return text_result_end(&r);
}

db_err profile__show(struct statement *st, const struct ast_show *show)
{
    bool all = show->what == AST_SHOW_PROFILES;
    if (show->profile_types != 0) { /* what a thread used is not what a statement used */
        return my_error(&st->session->diag, ER_NOT_SUPPORTED_YET, "SHOW PROFILE type");
    }
    st->session->hides_profile = true; /* MYSQL: it does not show itself */
    warn_deprecated(st->session, all ? "SHOW PROFILES" : "SHOW PROFILE");
    return all ? show_profiles(st) : show_profile(st, show->profile_query);
}
