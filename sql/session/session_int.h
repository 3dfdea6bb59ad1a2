/* Private to sql/session and sql/engine.c. */
#ifndef SKEIN_SQL_SESSION_SESSION_INT_H
#define SKEIN_SQL_SESSION_SESSION_INT_H

#include <stdatomic.h>

#include "base/fiber.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/spin.h"
#include "sql/bind/bind.h"
#include "sql/catalog/catalog.h"
#include "sql/ddl/ddl.h"
#include "sql/ddl/mdl.h"
#include "sql/diag/diag_area.h"
#include "sql/diag/err_map.h"
#include "sql/diag/my_error.h"
#include "sql/exec/op.h"
#include "sql/infoschema/infoschema.h"
#include "sql/opt/optimize.h"
#include "sql/parser/ast_admin.h"
#include "sql/parser/ast_ddl.h"
#include "sql/parser/parser.h"
#include "sql/priv/check.h"
#include "sql/session/statement_room.h"
#include "sql/session/statement_stats.h"
#include "sql/session/sysvar.h"
#include "sql/sql.h"
#include "sql/storage/coord.h"
#include "sql/storage/storage.h"
#include "sql/types/cast.h"
#include "sql/types/sql_mode.h"
#include "sql/types/timezone.h"

enum {
    SERVER_STATUS_IN_TRANS = 1,
    SERVER_STATUS_AUTOCOMMIT = 2,
    SERVER_STATUS_NO_BACKSLASH = 512,
    SERVER_STATUS_IN_TRANS_READONLY = 8192,
    SERVER_STATUS_CURSOR_EXISTS = 64,
    SERVER_STATUS_LAST_ROW_SENT = 128
};

struct plan_cache;
struct session_perf;
struct statement_stats;
struct user_locks;

enum { ESTIMATE_SLOTS = 256 };
struct estimate_slot { /* estimate.c */
    struct spin lock;
    uint64_t table, rows, asked_ns;
    uint64_t come;    /* rows that statements here have inserted since */
    uint64_t changed; /* and with those that have gone, since plans were told */
};

/* What SHOW STATUS counts. Every statement does: each loop in a stripe of its own. */
enum engine_counter {
    COUNT_QUESTIONS,
    COUNT_NO_QUESTIONS, /* commands about prepared statements that are queries, but no questions */
    COUNT_CONNECTIONS,
    COUNT_SLOW_QUERIES,
    COUNT_ADMIN_COMMANDS,
    COUNT_STMT_CLOSE,
    COUNT_STMT_EXECUTE,
    COUNT_STMT_FETCH,
    COUNT_STMT_PREPARE,
    COUNT_STMT_REPREPARE,
    COUNT_STMT_RESET,
    COUNT_STMT_SEND_LONG_DATA,
    COUNT_BYTES_RECEIVED,
    COUNT_BYTES_SENT,
    COUNT_TMP_TABLES,
    COUNT_FULL_JOIN,
    COUNT_FULL_RANGE_JOIN,
    COUNT_RANGE,
    COUNT_SCAN,
    COUNT_SORT_MERGES,
    COUNT_SORT_ROWS,
    COUNT_SORTS,
    COUNT_CLASSES, /* of enum event_class, up to EVENT_SP_STMT */
    ENGINE_COUNTERS = COUNT_CLASSES + EVENT_SP_STMT
};
enum { COUNTER_STRIPES = 16 };
struct counter_stripe {
    _Alignas(64) _Atomic uint64_t counts[ENGINE_COUNTERS];
};

struct sql_engine {
    struct sql_engine_opts opts;
    struct sql_peer peer; /* for the other nodes: peer.c */
    struct sql_lock_source lock_source;
    char version[128];
    struct arena arena; /* copies of options */
    struct catalog *catalog;
    struct accounts *accounts;
    struct account_uses *uses; /* limits.h */
    struct infoschema *infoschema;
    struct mdl *mdl;
    struct mem_tracker mem;
    struct mem_tracker packets; /* commands that come in, while they or their statements wait */
    struct statement_room room;
    struct plan_cache *plans;
    /* system variables */
    struct fiber_mutex globals_mutex; /* one SET GLOBAL at a time */
    struct spin globals_lock;         /* load-and-reference of `globals` */
    struct sysvar_globals *globals;
    uint64_t globals_version; /* of the record (globals.c); guarded by globals_mutex */
    _Atomic uint64_t run;     /* of the cluster */
    _Atomic bool settled;     /* the record was read since the other nodes know this one */
    /* sessions: guarded by sessions_mutex */
    struct fiber_mutex sessions_mutex;
    struct list sessions;
    _Atomic uint32_t session_count;
    _Atomic uint64_t temporary_ids;
    uint64_t start_us;
    _Atomic uint64_t flushed_us;        /* FLUSH STATUS */
    _Atomic uint32_t session_count_max; /* since then */
    struct user_locks *user_locks;
    struct statement_stats *stats;
    struct estimate_slot estimates[ESTIMATE_SLOTS];
    _Atomic uint64_t estimate_epoch;             /* how often one was given up as out of date */
    _Atomic bool read_only, super_read_only;     /* super_read_only: then read_only, too */
    _Atomic bool offline, slow_log, general_log; /* global variables that every statement asks */
    _Atomic uint32_t prepared_count;             /* statements, of all sessions */
    struct counter_stripe counters[COUNTER_STRIPES];
};

void engine__count(struct sql_engine *e, enum engine_counter counter, uint64_t n);
uint64_t engine__counted(const struct sql_engine *e, enum engine_counter counter);

/* status.c: counts for the session and the engine; only by the session's own fiber. */
void status__count(struct sql_session *s, enum engine_counter counter);
void status__add(struct sql_session *s, enum engine_counter counter, uint64_t n);
/* What a statement has read and sorted. */
void status__count_run(struct sql_session *s, const struct plan *plan, const struct exec_ctx *ctx);
void status__count_class(struct sql_session *s, enum event_class class);
/* FLUSH STATUS; what all sessions did stays counted. */
void status__flush(struct sql_session *s);

/* What statements ask often, from the system variables. */
struct session_vars {
    uint64_t sql_mode;
    bool explicit_timestamps;
    bool autocommit, foreign_key_checks, fk_needs_unique, unique_checks, notes, big_selects,
        safe_updates, tx_read_only, short_paths, profiling, sql_log_off, sql_warnings, bulk_change;
    enum exec_pushdown pushdown;
    uint16_t charset_client, charset_results; /* default collations; results 0: NULL */
    uint16_t collation_connection, collation_database, collation_server;
    uint16_t utf8mb4_collation; /* what utf8mb4 alone means */
    uint32_t lock_wait_timeout_s, ddl_lock_wait_timeout_s;
    uint32_t div_precision_increment, default_week_format, block_encryption_mode;
    uint32_t cte_max_recursion_depth;
    uint32_t auto_increment_increment, auto_increment_offset;
    uint64_t max_join_size;
    size_t spill_budget; /* 0: a share of the statement's memory */
    uint32_t max_sort_length;
    uint64_t insert_id;         /* SET insert_id, until an INSERT has used it */
    uint64_t read_staleness_ms; /* 0: reads are of now */
    uint64_t max_execution_time_ms, sql_select_limit, group_concat_max_len, max_allowed_packet;
    uint64_t optimizer_switch; /* enum opt_switch */
    enum storage_isolation isolation;
    const struct timezone *tz;
    const struct date_locale *locale;
    double timestamp; /* SET timestamp, 0: the clock's */
    uint64_t long_query_us, min_examined_rows;
};

struct user_var {
    struct user_var *next;
    struct slice name;
    struct buf bytes; /* of text */
    size_t charged;   /* to the session's `kept` */
    struct value value;
    struct sql_type type; /* in expressions */
    uint16_t collation;   /* of its text, of the last value that was not NULL */
};

/* The types of a prepared statement's user variables: those that they had when it was prepared, or
 * when it was executed for the first time with a value in them. */
struct var_types {
    struct arena *arena; /* of the statement */
    bool unset;          /* one had never been set when the statement was planned */
    bool auto_is_null;   /* sql_auto_is_null when it was prepared */
    struct var_type {
        const struct var_type *next;
        struct slice name;
        struct sql_type type;
        uint16_t collation; /* of its text */
    } * first;
};

/* What SET TRANSACTION has said, until a transaction has ended and none is chained to it. */
struct txn_next {
    bool has_isolation, has_access, read_only;
    enum storage_isolation isolation;
};

/* What clients are told of the transaction: track_txn.c. */
enum track_flags {
    TRACK_EXPLICIT = 1,
    TRACK_IMPLICIT = 2,
    TRACK_READ = 4,
    TRACK_READ_OTHER = 8, /* of tables without transactions */
    TRACK_WRITE = 16,
    TRACK_UNSAFE = 32,
    TRACK_RESULT = 64, /* rows were sent */
    TRACK_SNAPSHOT = 128,
    TRACK_LOCKED = 256 /* LOCK TABLES */
};
struct txn_track {
    uint16_t now, told; /* enum track_flags */
    uint8_t isolation;  /* 1 + enum storage_isolation, for one transaction; 0: the session's */
    enum { TRACK_ACCESS_DEFAULT, TRACK_READ_WRITE, TRACK_READ_ONLY } access;
    bool on;    /* session_track_transaction_info is not OFF */
    bool again; /* the characteristics are to be told */
};

struct savepoint {
    struct savepoint *outer;
    struct slice name;
    uint64_t number;
};

struct override {
    enum sysvar_id id;
    struct sysvar_value value;
    char *text; /* where value.s lies */
};

enum { CHANGED_VARS_MAX = 16 };

enum txn_mode { TXN_NONE, TXN_STATEMENT, TXN_EXPLICIT, TXN_IMPLICIT };

/* Temporary tables (temporaries.c). */
struct session_temporaries {
    struct ddl_temporaries ops;
    struct temporary_table **tables;
    uint32_t count, cap;
    bool made, dropped; /* in this transaction: ROLLBACK warns */
    uint64_t changes;
    uint64_t version;        /* of what the names mean; 0: there are none */
    struct storage *storage; /* the engine's and `own` as one; NULL: no table was made yet */
    struct storage *own;     /* owned by `storage` */
    size_t charged;
};

/* LOCK TABLES (table_locks.c). */
struct session_table_locks {
    struct mdl_owner owner;
    struct sql_coord_lock *everywhere;
    struct table_lock *list;
    uint32_t count, cap;
    bool active;    /* LOCK TABLES is in force */
    bool has_arena; /* of the list */
    struct arena arena;
};

/* FLUSH TABLES WITH READ LOCK, LOCK INSTANCE FOR BACKUP (global_lock.c). */
struct global_lock {
    struct mdl_owner owner;
    struct sql_coord_lock *everywhere;
};
struct session_global_locks {
    struct global_lock definitions, rows, backup;
    struct global_lock accounts; /* of the statement that runs: account_commit.c */
    bool read;                   /* FLUSH TABLES WITH READ LOCK is in force: definitions and rows */
    bool instance;               /* LOCK INSTANCE: backup */
};

struct profile;
struct open_handler;

struct sql_session {
    struct sql_engine *engine;
    struct list node;
    uint64_t connection_id;
    struct arena arena;      /* of the account's names */
    struct mem_tracker mem;  /* the statement's, below the engine's */
    struct mem_tracker kept; /* user variables, prepared statements; likewise */
    /* refusals of mem, of kept and of the node, already told */
    size_t limits_seen, kept_limits_seen, node_limits_seen;
    struct arena stmt_arena;
    struct arena chunk_arena;
    struct diag diag;
    struct diag_area conditions;
    struct parse_warnings parse_warnings; /* to `conditions` */
    struct sql_session_opts opts;
    struct slice user, host, schema;
    struct slice account_host;
    struct priv_session priv;
    bool is_own_query;        /* own_query__run */
    _Atomic bool system_user; /* priv has SYSTEM_USER: what who says KILL looks at */
    struct account_use *use;  /* NULL: the account had no limits at the log-in */
    bool password_expired;    /* nothing but a new password is accepted: 1820 */
    bool has_schema, multi_statements;
    struct buf schema_buf;
    struct buf role_buf; /* CURRENT_ROLE() */
    /* variables */
    struct sysvar_globals *globals;
    struct override *overrides;
    uint32_t override_count, override_cap;
    const struct hint_set *hints; /* of the statement that is prepared or runs; NULL: none */
    struct hint_undo *hint_undo;  /* what they have changed (hint_vars.c) */
    struct session_vars vars;
    struct parse_charset client_charset; /* arg NULL: UTF-8 */
    struct user_var *user_vars;
    struct var_types *var_types; /* of the prepared statement that is planned; NULL: none */
    /* transaction */
    struct storage_txn *txn;
    _Atomic uint64_t txn_id; /* as lock tables know it; 0: they do not */
    struct mdl_owner mdl;
    enum txn_mode txn_mode;
    bool commits_alone; /* the statement that runs is a transaction of its own whatever autocommit
                         * says */
    bool txn_read_only;
    uint64_t txn_licence; /* of the cluster, when it began; 0: there is no cluster */
    struct txn_next next;
    struct txn_track txn_track;
    struct savepoint *savepoints;
    struct arena txn_arena;
    const struct catalog_snapshot *is_snapshot; /* of the statement that runs */
    struct session_temporaries temporaries;
    struct session_table_locks table_locks;
    struct session_global_locks global_locks;
    struct global_lock bulk_rows;     /* of the statement that runs: bulk_change.c */
    const struct statement *prepared; /* that runs, for its parameters; NULL: none */
    bool shows_charsets; /* SHOW CHARACTER SET, SHOW COLLATION: as the session has them */
    bool shows_status;   /* SHOW STATUS: it tells more than the tables that it reads */
    const struct table_def *is_only; /* SHOW COLUMNS or INDEX of a temporary table: that one */
    /* facts that functions ask */
    struct eval_env env;
    struct rand rand;
    uint64_t last_insert_id, last_insert_id_shown;
    bool insert_id_given; /* LAST_INSERT_ID(n) was called in this statement */
    int64_t row_count, found_rows;
    const struct sql_attribute *attributes; /* of the command that runs; the client's */
    uint32_t attribute_count;
    /* prepared statements by name (SQL PREPARE) */
    struct named_stmt *named;
    struct open_handler *handlers; /* handler_stmt.c */
    uint32_t handler_count;
    uint16_t changed_vars[CHANGED_VARS_MAX]; /* enum sysvar_id, by the statement that runs */
    uint32_t changed_var_count;
    bool state_changed; /* by the statement that runs: a variable of either kind */
    /* what others see: this, and user, host, has_schema and schema, which only the session's own
     * fiber changes */
    struct spin info_lock;
    char info[256];
    struct plan *running; /* EXPLAIN FOR CONNECTION; NULL: none, or one that needs no explaining */
    const char *command;
    uint64_t command_start_us;
    _Atomic(const char *) state; /* what it waits for, a literal; NULL: nothing */
    _Atomic bool lists_sessions; /* SHOW PROCESSLIST */
    _Atomic int killed;          /* 0, 1 statement, 2 connection */
    bool in_statement;
    /* what is told of the command that runs (query_log.h) */
    uint64_t sent_rows, examined_rows;
    uint64_t counts[ENGINE_COUNTERS]; /* what SHOW SESSION STATUS tells */
    bool secret_text;                 /* its text may hold a password */
    bool greeted;                     /* init_connect has run */
    bool hides_profile;               /* SHOW PROFILES does not tell of it */
    struct profile *profiles;
    uint32_t profile_count;
    struct session_perf *perf; /* perf_event.h */
    uint64_t profile_id;
};

struct named_stmt {
    struct named_stmt *next;
    struct slice name;
    struct sql_stmt *stmt;
    struct arena arena;
};

/* waits.c */
/* Its metadata locks are the connection's, for who looks at them. */
void waits__name_owners(struct sql_session *s);

/* ---- one statement's run (statement.c) ---- */

struct statement {
    struct sql_session *session;
    struct sql_sink *sink;
    struct slice text;
    bool more;  /* another statement follows */
    bool later; /* another one stands before it */
    const struct sql_param *params;
    uint32_t param_count;
    const struct value *values; /* of parameters, by index */
    const struct sql_type *types;
    const struct param_manner *manners; /* of parameters; NULL: of none */
    const struct value *row_values;     /* INSERT of many rows of literals: row-major; or NULL */
    uint32_t row_count;
    struct sql_status status;
    bool bulk_change;  /* it changes more rows than fit (bulk_change.h) */
    bool bulk_refused; /* somebody holds rows of the table: locks of rows first */
    bool no_bulk;      /* its rows must be looked at one by one (struct exec_ctx, may_bulk) */
    bool shows;        /* SHOW and DESCRIBE, which are a SELECT of ours */
    bool holds_answer; /* session__ok only fills `status`: the statement is a part of another */
    const struct load_input *load;   /* LOAD DATA: its file (sql/exec/load_reader.h) */
    struct node_counters *counters;  /* EXPLAIN ANALYZE: the statement runs, nothing is answered */
    const struct handler_walk *walk; /* HANDLER ... READ: where its scan reads; else NULL */
    struct diag_area_mark told;      /* the warnings of what came before it ran: of its text, and
                                      * of its hints */
};

/* For exec_ctx: the scan, its keys, and where the key of the row given last goes. */
struct handler_walk {
    const struct plan_node *scan;
    struct storage_span span;
    struct buf *key;
};

db_err session__fail(struct sql_session *s,
                     db_err err); /* the diag says a MySQL error afterwards; returns ERR_SQL */
db_err session__run(struct statement *st, const struct ast_stmt *ast);
db_err session__ok(struct statement *st, uint64_t affected, struct slice info);
uint16_t session__status(const struct sql_session *s);
void session__begin_statement(struct sql_session *s);
/* What functions ask of the variables is as these are now. */
void session__read_vars(struct sql_session *s);
/* A command begins: a KILL QUERY was for the one before. */
void session__forget_kill(struct sql_session *s);
/* Its text may hold a password: in logs and for other sessions SECRET_TEXT stands for it. */
bool session__secret(const struct ast_stmt *ast);
#define SECRET_TEXT SLICE_LIT("<a statement about accounts>")
/* Tells the sink of an error; the return value is for the connection. */
db_err session__finish(struct statement *st, db_err err);
/* Another statement (not only blanks and ';') is in the text. */
bool session__has_more(struct slice text);
uint32_t session__parse_mode(const struct sql_session *s);
/* Where parsing's warnings go. */
struct parse_warnings session__parse_warnings(struct diag_area *area);
/* The statement runs once more: what it has warned of so far it has not, but for what was said
 * before it ran (st->told). */
void session__forget_conditions(struct statement *st);
/* The same, when this is not its first try (0). */
static inline void session__again(struct statement *st, int attempt)
{
    if (attempt != 0) {
        session__forget_conditions(st);
    }
}
/* NULL: clients write UTF-8. */
const struct parse_charset *session__parse_charset(const struct sql_session *s);
/* KILL: 1094 when there is no such connection; 1095 when it is not one that `by` may end. */
db_err sql_engine_kill(struct sql_engine *e, uint64_t connection_id, bool connection,
                       const struct sql_killer *by, struct diag *diag);
/* The same among the connections of this node: ERR_NOT_FOUND, ERR_SQL. */
db_err sql_engine_kill_here(struct sql_engine *e, uint64_t connection_id, bool connection,
                            const struct sql_killer *by, struct diag *diag);
/* One line of the list of connections, in the arena; under sessions_mutex. */
db_err session__describe(struct sql_session *of, struct arena *a, struct infoschema_process *p);
/* The session's privileges are others, perhaps: what other sessions may ask of them. */
static inline void session__know_privileges(struct sql_session *s)
{
    bool has = (s->priv.subject.dynamic & DYN_BIT(SYSTEM_USER)) != 0;
    atomic_store_explicit(&s->system_user, has, memory_order_relaxed);
}
/* Accounts have changed: the other nodes are told. */
db_err session__publish_accounts(struct sql_session *s);
void session__set_info(struct sql_session *s, const char *command, struct slice text);
/* A statement of the command's text begins to run: what other sessions see of it is neither those
 * beside it nor, when it is secret, its text. */
void session__show_statement(const struct statement *st, size_t size, bool secret);
/* There is no current schema any more. */
void session__leave_schema(struct sql_session *s);
/* Before a session's first command: init_connect. ERR_SQL 1184: it failed, and the session is
 * killed. */
db_err session__greet(struct sql_session *s);
/* A command of that text is over: the session sleeps, the logs are written. May park. */
void session__end_command(struct sql_session *s, struct slice text, uint64_t end_us);

/* perf_rows.c: infoschema_ops.perf */
db_err session__perf_rows(void *session, struct slice table, struct infoschema_row_sink *sink);
/* TRUNCATE of a table of performance_schema. *ret_is false: it is none. */
db_err session__perf_truncate(struct statement *st, const struct ast_name *name, bool *ret_is);
/* statement_facts.c, for struct eval_env_ops */
db_err session__digest(struct eval_env *env, struct slice statement, bool hash, struct arena *arena,
                       struct diag *diag, struct slice *ret);
uint64_t session__thread_id(struct eval_env *env, uint64_t connection_id);
db_err session__query_attribute(struct eval_env *env, struct slice name, struct arena *arena,
                                struct slice *ret);
MUST_USE db_err session__user_variable(struct eval_env *env, struct slice name, struct arena *arena,
                                       struct sql_type *ret_type, struct value *ret);
db_err session__role_graph(struct eval_env *env, struct arena *arena, struct slice *ret);

/* query.c: SELECT, INSERT, UPDATE, DELETE */
db_err query__run(struct statement *st, const struct ast_stmt *ast);
/* The query of CREATE TABLE ... SELECT, and what puts its rows into the table (ddl.h). */
struct ddl_select {
    const struct bound_stmt *bound;
    db_err (*fill)(void *arg, const struct table_def *def); /* NULL: nobody */
    void *arg;
};
/* A schema statement without the answer to it. select may be NULL. */
db_err session__ddl(struct statement *st, const struct ast_stmt *ast,
                    const struct ddl_select *select, uint64_t *ret_affected, bool *ret_tells_rows);
/* A table that is in no catalog yet, for this session's statements until it is taken back. */
db_err temporaries__lend(struct sql_session *s, const struct table_def *def);
void temporaries__take_back(struct sql_session *s, table_id_t id);
db_err session__create_select(struct statement *st, const struct ast_create_table *c);
/* A text statement through the plan cache. *ret_done false: it is none of those (or cannot be
 * read): parse it. */
db_err query__run_cached(struct statement *st, bool *ret_done, size_t *ret_consumed);
/* Runs a SELECT text made by SHOW. */
db_err query__run_text(struct statement *st, struct slice sql);
void query__bind_opts(struct sql_session *s, const struct catalog_snapshot *snap,
                      struct bind_opts *ret);
/* st: whose parameters it is for; NULL: there are no values. */
db_err query__plan(struct sql_session *s, const struct ast_stmt *ast, const struct statement *st,
                   bool prepare, struct plan **ret);
/* The statement's parameters as the binder is told of them. */
void query__bind_params(const struct statement *st, struct bind_opts *ret);
/* For EXPLAIN: 1345 for views that may not be looked into. */
db_err query__plan_explained(struct sql_session *s, const struct statement *st,
                             const struct ast_stmt *ast, struct plan **ret);
db_err query__execute(struct statement *st, struct plan *plan);
db_err query__eval(struct sql_session *s, const struct ast_expr *e,
                   struct value *ret); /* no columns; text in stmt_arena */
void query__cast_ctx(struct sql_session *s, struct cast_ctx *ret, bool strict);
/* The tables that a plan changes. */
const struct plan_target *query__targets(const struct plan *plan, uint32_t *ret_count);
db_err query__explain(struct statement *st, const struct ast_explain *e);

/* handler_stmt.c: HANDLER */
db_err handler__run(struct statement *st, const struct ast_handler *h);
/* The session has changed definitions: handlers of tables that are others now, or gone, close. */
db_err handler__after_ddl(struct sql_session *s);
void handler__close_all(struct sql_session *s);

/* result.c */
struct sql_rows {
    const struct sql_session *session;
    const struct chunk *chunk;
    const struct lcolumn *columns;
    uint32_t column_count;
    struct arena *arena; /* converted text of this batch */
    bool *lost;          /* set when there was no memory for a cell's text; may be NULL */
};
/* plan: what the columns are of, or NULL. */
db_err result__columns(struct sql_session *s, const struct plan *plan, const struct lcolumn *cols,
                       uint32_t count, struct arena *arena, struct sql_column **ret);
/* A result of text (and integer) columns made row by row: SHOW. */
struct text_result {
    struct statement *st;
    struct lcolumn *cols;
    uint32_t count;
    struct chunk chunk;
    bool no_warnings; /* MYSQL: SHOW WARNINGS announces none of its own */
};
db_err text_result_begin(struct statement *st, struct text_result *r, const char *const *names,
                         const uint32_t *lengths, uint32_t count);
/* The same with types (without them: texts that are not NULL); cells of integers and doubles are
 * given as text, too. */
db_err text_result_begin_typed(struct statement *st, struct text_result *r,
                               const char *const *names, const struct sql_type *types,
                               uint32_t count);
db_err text_result_row(struct text_result *r, const struct slice *cells); /* ptr NULL: NULL */
/* Rows were sent: what their end tells of the session, in st->status. */
db_err result__told(struct statement *st);
db_err text_result_end(struct text_result *r);

/* txn_ctl.c */
db_err txn__begin_statement(struct sql_session *s, bool read_only_statement, bool single_get);
db_err txn__end_statement(struct sql_session *s, db_err err);
db_err txn__start(struct sql_session *s, const struct ast_begin *b);
db_err txn__commit(struct sql_session *s);
void txn__rollback(struct sql_session *s);
/* What SET TRANSACTION has said is over. */
void txn__forget_next(struct sql_session *s);
db_err txn__savepoint(struct sql_session *s, const struct ast_savepoint *sp);
db_err txn__rollback_to(struct sql_session *s, const struct ast_savepoint *sp);
db_err txn__release(struct sql_session *s, const struct ast_savepoint *sp);
db_err txn__implicit_commit(struct sql_session *s);
/* That, in front of a statement that may not run where the session is read-only (1792). */
db_err txn__commit_to_change(struct sql_session *s);
/* The transaction, or the next one when there is none. */
bool txn__is_read_only(const struct sql_session *s);

/* The options of a transaction that begins now. */
/* The cluster's licence for what begins now, in s->txn_licence; waited for when it has run out, as
 * it does for a moment when the meta range changes its leader. ERR_UNAVAILABLE. */
MUST_USE db_err txn__wait_licence(struct sql_session *s);
struct storage_txn_opts txn__opts(struct sql_session *s, bool read_only, bool autocommit,
                                  bool single_get);

/* temporaries.c */
struct storage *session__storage(const struct sql_session *s);
/* What names mean in this session, with a reference (catalog_release). ERR_NOMEM. */
MUST_USE db_err session__snapshot(struct sql_session *s,
                                  const struct catalog_snapshot **ret_snapshot);
void temporaries__init(struct sql_session *s);
void temporaries__drop_all(struct sql_session *s); /* no transaction is open */
/* No table is left and no transaction: the storage goes. */
void temporaries__trim(struct sql_session *s);
/* ROLLBACK [TO]: what it does not undo. */
void temporaries__warn_rollback(struct sql_session *s);
MUST_USE db_err temporaries__before_commit(struct sql_session *s);
bool temporaries__only_target(const struct plan *plan);

/* table_locks.c */
static inline bool table_locks__active(const struct sql_session *s)
{
    return UNLIKELY(s->table_locks.active);
}
db_err table_locks__lock(struct statement *st, const struct ast_lock_item_list *items);
db_err table_locks__unlock(struct statement *st);
db_err table_locks__flush(struct statement *st, const struct ast_name_list *tables);
void table_locks__release(struct sql_session *s);
bool table_locks__has(const struct sql_session *s, table_id_t id);
/* While they are active. 1100: not locked under the alias (bind_opts.may_use). */
db_err table_locks__may_use(void *env, struct slice schema, struct slice name, struct slice alias,
                            struct diag *diag);
/* FLUSH TABLES: 1099 when a table is locked for READ. */
db_err table_locks__check_flush(struct sql_session *s);
/* 1099: what the plan changes is locked for READ. */
db_err table_locks__check_targets(struct sql_session *s, const struct plan *plan);
db_err table_locks__check_name(struct sql_session *s, const struct catalog_snapshot *snap,
                               const struct ast_name *name, bool write);
/* 1099, 1100, 1192: before a schema statement; after it the list follows the tables. */
db_err table_locks__check_ddl(struct sql_session *s, const struct ast_stmt *ast);
db_err table_locks__after_ddl(struct sql_session *s);

/* global_lock.c */
db_err global_lock__read(struct statement *st);
void global_lock__unlock_read(struct sql_session *s);
db_err global_lock__instance(struct statement *st, bool lock);
void global_lock__release(struct sql_session *s); /* both; at the session's end */
/* For a statement that changes accounts, which others are kept from on all nodes, and its end. */
db_err global_lock__accounts(struct sql_session *s);
void global_lock__accounts_end(struct sql_session *s);
/* Before the schema or accounts are changed: waits for those locks of others, and keeps them out to
 * the end of s->mdl. 1223: the session's own. */
db_err global_lock__change_definitions(struct sql_session *s);

/* variables.c */
void vars__refresh(struct sql_session *s);
const struct sysvar_value *vars__get(const struct sql_session *s, enum sysvar_id id);
db_err vars__read(struct sql_session *s, enum sysvar_id id, bool global, struct arena *arena,
                  struct value *ret);
db_err vars__set(struct sql_session *s, enum sysvar_id id, enum ast_scope scope,
                 const struct value *v);
/* The value that a variable is to have: checked, with warnings. v NULL: DEFAULT. Text is in the
 * statement's memory. */
MUST_USE db_err vars__wanted(struct sql_session *s, enum sysvar_id id, enum ast_scope scope,
                             const struct value *v, struct sysvar_value *ret);
/* Sets the session's own, without a word to anybody; vars__refresh is left to the caller. */
MUST_USE db_err vars__change_own(struct sql_session *s, enum sysvar_id id,
                                 const struct sysvar_value *x);
/* Takes the session's own value away, with its text: the variable is as the globals say. False:
 * there is none. And gives it back: as many may be given as were taken. */
bool vars__take_own(struct sql_session *s, enum sysvar_id id, struct override *ret);
void vars__give_own(struct sql_session *s, const struct override *own);
/* variable_names.c */
/* *io: a value for the variable; of one that takes names, a name or number becomes the name as it
 * is shown. 1115, 1231, 1273, 1649. */
MUST_USE db_err vars__find_name(struct sql_session *s, enum sysvar_id id, struct value *io);
/* MYSQL: a character set by the number of a collation, where a collation moves with it, is that. */
enum sysvar_id vars__of_number(enum sysvar_id id, const struct value *v);
db_err vars__user_set(struct sql_session *s, struct slice name, const struct value *v);
const struct user_var *vars__user_get(const struct sql_session *s, struct slice name);
struct global_change;
/* The variable that moves with this one, and its value; false: there is none. */
bool vars__companion(enum sysvar_id id, const struct sysvar_value *v, struct global_change *ret);
/* 1228, 1229, 1238. */
MUST_USE db_err vars__check_scope(struct sql_session *s, enum sysvar_id id, enum ast_scope scope);
void vars__insert_id_used(struct sql_session *s);
void vars__free(struct sql_session *s);
db_err vars__bind_system(void *env, int scope, struct slice name, struct diag *diag,
                         struct sql_type *ret_type, const void **ret_sysvar, bool *ret_unsafe);
bool vars__bind_user(void *env, struct slice name, struct sql_type *ret_type,
                     uint16_t *ret_collation);
extern const struct exec_var_ops session_var_ops;
extern const struct eval_env_ops session_env_ops;
extern const struct infoschema_ops session_infoschema_ops; /* processlist.c */
/* variable_rows.c: infoschema_ops.variables and .status */
db_err session__variable_rows(void *session, bool global, struct infoschema_name_sink *sink);
db_err session__status_rows(void *session, bool global, struct infoschema_name_sink *sink);

/* table_admin.c */
db_err table_admin__run(struct statement *st, const struct ast_table_admin *a);
db_err table_admin__flush(struct statement *st, const struct ast_flush *f);
/* estimate.c: the next look at the table's row count asks the storage. */
void estimate_forget(struct sql_engine *e, table_id_t id);

/* set_stmt.c, show_stmt.c, account_stmt.c */
struct ast_get_diagnostics;
struct ast_signal;
db_err diag__get(struct statement *st, const struct ast_get_diagnostics *g);
db_err diag__signal(struct statement *st, const struct ast_signal *g);
db_err set__run(struct statement *st, const struct ast_set *set);
db_err set__transaction(struct statement *st, const struct ast_set_transaction *t);
db_err show__run(struct statement *st, const struct ast_show *show);
/* Of what this server does not have: logs, replicas, programs. Errors: MySQL's of each. */
MUST_USE
db_err show_none__run(struct statement *st, const struct ast_show *show);
db_err account__run(struct statement *st, const struct ast_stmt *ast, bool *ret_handled);

/* hint_vars.c */
/* What the optimizer hints of a tree say, in ast->hinted->set, if it has any; once for each tree,
 * whose arena it is. tell: warnings go to the session's conditions. ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err hints__read(struct sql_session *s, struct arena *arena, struct ast_stmt *ast,
                            bool tell);
/* They are in force, until hints__end: what SET_VAR asks is set, or warned of. The tree lives until
 * then. ERR_NOMEM, ERR_LIMIT: hints__end is called all the same. */
MUST_USE db_err hints__begin(struct sql_session *s, const struct ast_stmt *ast);
void hints__undo(struct sql_session *s);
/* The statement is over and has been answered. */
static inline void hints__end(struct sql_session *s)
{
    if (UNLIKELY(s->hints != NULL)) {
        hints__undo(s);
    }
}
/* The sql_mode that is there when hints are not in force any more. */
uint64_t hints__lasting_mode(const struct sql_session *s);
/* RESOURCE_GROUP: a warning, or nothing. MYSQL: only of a statement that is given as text. */
void hints__resource_group(struct sql_session *s, const struct ast_stmt *ast);

/* track.c */
/* A session's variable has a new value. */
void track__variable(struct sql_session *s, enum sysvar_id id);
/* What the answer tells of the session's state (session_track_*), in st->status. */
db_err track__answer(struct statement *st);
/* In front of what the list holds. */
db_err track__tell(struct statement *st, int kind, struct slice name, struct slice value,
                   const struct sql_state_change **io);

/* track_txn.c: what has become of the transaction. */
void track_txn__begin(struct sql_session *s, bool snapshot);
void track_txn__end(struct sql_session *s);
void track_txn__use(struct sql_session *s, unsigned what); /* enum track_flags */
void track_txn__use_plan(struct sql_session *s, const struct plan *plan, bool shows);
void track_txn__unlock(struct sql_session *s);
void track_txn__next(struct sql_session *s);     /* session.next is another */
void track_txn__switched(struct sql_session *s); /* session_track_transaction_info was set */
bool track_txn__has_news(const struct sql_session *s);
db_err track_txn__tell(struct statement *st, const struct sql_state_change **io);

/* guards.c */
/* Before anything is written: 1290. */
db_err guard__write(struct sql_session *s);
/* Before a plan runs: 1290, 1175, 1104. */
db_err guard__plan(struct sql_session *s, const struct plan *plan);

/* load_stmt.c */
db_err load__run(struct statement *st, const struct ast_load_data *l);

/* param_number.c */
struct param_state {
    struct param_place place; /* as PREPARE found it */
    uint8_t number;           /* as place.number, as it is now; 0: it is of its value's type */
    bool own_text;            /* it was given text then, and is of that text's collation */
    uint16_t given; /* the class of what it was given last when the others changed; 0: text */
};
/* A statement's parameters, by index. What is made of them is in the statement's memory. */
struct param_values {
    uint32_t count;
    struct value *values;
    struct sql_type *types;
    struct param_manner *manners; /* zeroed */
};
/* How many parameters stand alone, in a select list, DO or SET; their states are told of it, where
 * io_states is not NULL. MYSQL: such a one is text until a number is given, and a number then. */
uint32_t param__alone(const struct ast_stmt *ast, struct param_state *io_states);
/* The parameters' values as their places make them, which change with what is given. changes: the
 * statement is no query. 3988 for text that its place or the column which it is stored in cannot
 * have, whatever the mode. Does not park. */
MUST_USE db_err param__place(struct sql_session *s, struct param_state *io_states, bool changes,
                             struct param_values *io);

/* Likewise where no place says anything of any of them. */
void param__no_place(const struct sql_session *s, struct param_values *io);

/* prepared.c */
db_err prepared__sql(struct statement *st, const struct ast_stmt *ast);
void prepared__drop_all(struct sql_session *s);

/* Rows of a base table, roughly; asks the storage every few seconds, or when many have come or
 * gone. May park. */
double estimate_table_rows(struct sql_engine *e, struct storage *storage,
                           const struct table_def *t);
/* The statement has inserted or deleted that many rows. Costs nothing while they are few. */
void estimate_changed(struct sql_engine *e, const struct plan *plan, uint64_t rows);
/* As opt_opts.table_rows: the same for a new plan, which keeps what it was told. */
struct estimate_env {
    struct sql_session *session;
    struct plan *plan;
};
double estimate_for_plan(void *env, const struct table_def *t);
/* One of its tables has grown or shrunk so much since that the plan is to be made anew. May park,
 * every few seconds. */
bool estimate_outgrown(struct sql_session *s, struct plan *plan);

/* access.c: what statements of all kinds need. */
db_err access__check(struct statement *st, const struct ast_stmt *ast);
/* SHOW and DESCRIBE, once what they name is known to exist. */
db_err access__show(struct sql_session *s, const struct ast_stmt *ast);
/* May the table be opened by HANDLER? ERR_SQL 1142. */
MUST_USE db_err access__handler(struct sql_session *s, const struct ast_name *table);
db_err access__schema(struct sql_session *s, struct slice schema,
                      struct diag *diag); /* USE: 1044 */
db_err access__variable(struct sql_session *s, enum sysvar_id id, enum ast_scope scope);
/* May the session run in a resource group that somebody names? 1227. */
MUST_USE db_err access__resource_group(struct sql_session *s);
/* To change default_table_encryption. */
MUST_USE db_err access__encryption(struct sql_session *s);
/* RESET PERSIST of a variable that is kept. */
MUST_USE db_err access__reset_persist(struct sql_session *s, bool dynamic);

/* grant_stmt.c, role_stmt.c, account_stmt.c */
struct acl_change;
/* The name as a statement gives it: CURRENT_USER() is the session's account. 1470. */
db_err account__name(struct sql_session *s, const struct ast_user *u, struct acl_name *ret);
/* What a statement does to the password of one account (account_password.c). */
struct password_change {
    bool made;           /* there is a new one */
    bool forget;         /* with another plugin: old ones cannot be compared */
    struct slice clear;  /* its text; ptr NULL: given as a hash */
    struct slice random; /* its text, if the server made it up, for the answer; else ptr NULL */
};
/* IDENTIFIED ..., or DISCARD OLD PASSWORD, on a copy of the account. */
MUST_USE db_err account__authenticate(struct sql_session *s, const struct acl_name *n,
                                      const struct ast_user_spec *spec, struct account *a,
                                      struct password_change *ret);
/* Then the history, by the account's options (a): 3638, or it is written to u. */
MUST_USE db_err account__remember(struct sql_session *s, struct acl_user *u,
                                  const struct account *a, const struct password_change *c);
MUST_USE db_err account__set_password(struct sql_session *s, const struct acl_name *n,
                                      const struct ast_set_password *p, struct acl_user *u,
                                      struct password_change *ret);
/* RETAIN CURRENT PASSWORD and DISCARD OLD PASSWORD for the own account: 1227. */
MUST_USE db_err account__may_keep_old(struct sql_session *s);
db_err account__grant(struct statement *st, const struct ast_grant *g);
db_err account__revoke(struct statement *st, const struct ast_grant *g);
/* Has the session the role WITH ADMIN, or a privilege to grant any role? 1227. */
MUST_USE db_err account__may_give_role(struct sql_session *s, const struct acl_name *role);
/* GRANT and REVOKE of roles. */
db_err account__roles(struct sql_session *s, const struct ast_grant *g, struct acl_change *c,
                      bool revoke);
MUST_USE db_err account__choose_roles(struct sql_session *s, const struct priv_session *p,
                                      const struct ast_set_role *r, struct acl_name **ret,
                                      uint32_t *ret_count);
db_err account__set_role(struct statement *st, const struct ast_set_role *r);
db_err account__default_roles(struct sql_session *s, struct acl_change *c,
                              const struct acl_name *user, int kind,
                              const struct ast_user_list *roles, bool check_granted);
/* CURRENT_ROLE() as the active roles are now. */
db_err account__show_roles(struct sql_session *s);
db_err account__show_grants(struct statement *st, const struct ast_show *show);
db_err account__show_create(struct statement *st, const struct ast_show *show);
/* Commits, and makes the other nodes read the accounts again. */
db_err account__commit(struct sql_session *s, struct acl_change *c);
/* 1227 when the account has SYSTEM_USER and the session has not. */
db_err account__may_change(struct sql_session *s, const struct acl *acl,
                           const struct acl_name *name);
/* @@mandatory_roles as names, in the arena; what cannot be read is left out. */
db_err account__mandatory(struct sql_session *s, struct arena *arena, struct acl_name **ret,
                          uint32_t *ret_count);
/* Counts a statement against the account's limits: 1226. */
MUST_USE db_err session__count(struct sql_session *s, bool update);
bool engine__password_expired(struct sql_engine *e, const struct account *a);

/* session.c */
struct sysvar_globals *engine__globals(struct sql_engine *e);

#endif
