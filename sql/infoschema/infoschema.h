/* INFORMATION_SCHEMA: virtual tables whose rows are made from the catalog, the charset registry and
 * what the session tells. Tables and columns are those of MySQL 9.7 (tables.def). */
#ifndef SKEIN_SQL_INFOSCHEMA_INFOSCHEMA_H
#define SKEIN_SQL_INFOSCHEMA_INFOSCHEMA_H

#include "base/diag.h"
#include "sql/catalog/catalog.h"
#include "sql/priv/check.h"

struct infoschema;
struct storage;
struct timezone;

/* What the tables need of the session that reads them. Borrowed for the call. */
struct infoschema_env {
    const struct catalog_snapshot *snapshot; /* the statement's */
    const struct table_def *only;            /* a temporary table: show this one and no other */
    bool hides_generated_primary;            /* keys of table_has_generated_primary */
    uint16_t utf8mb4_collation;              /* shown as utf8mb4's; 0: its own */
    struct storage *storage;                 /* for estimates; may be NULL */
    const struct timezone *tz;               /* times are shown in it; NULL: UTC */
    const struct priv_session *priv;         /* decides which rows are shown */
};

struct infoschema_process {
    uint64_t id;
    struct slice user, host;
    struct slice schema;  /* ptr NULL: none */
    struct slice command; /* "Query", "Sleep" */
    uint64_t seconds;
    struct slice state, info; /* ptr NULL: NULL */
};

struct infoschema_process_sink {
    db_err (*add)(struct infoschema_process_sink *sink, const struct infoschema_process *p);
};

struct infoschema_name_sink {
    db_err (*add)(struct infoschema_name_sink *sink, struct slice name, struct slice value);
};

/* Locks of all nodes. */
struct infoschema_data_lock {
    uint64_t node, txn, wait; /* wait: its number at the node; 0: it is held */
    bool span;                /* of the keys [key, end), against inserts */
    bool shared, insert;
    bool for_span;   /* an insert that waits for locks of spans */
    uint64_t packed; /* not 0: of so many keys, from `key` to `end` */
    struct slice key, end;
};
struct infoschema_lock_wait {
    uint64_t node, wait, waiter, blocker; /* transactions */
};
struct infoschema_lock_session {
    uint64_t connection, txn;
};
struct infoschema_metadata_lock {
    uint64_t connection, id; /* id: as sql/ddl/mdl.h has it */
    bool exclusive, waits;
};
struct infoschema_named_lock {
    struct slice name;
    uint64_t connection;
    bool waits;
};
struct infoschema_locks {
    struct infoschema_data_lock *data;
    struct infoschema_lock_wait *waits;
    struct infoschema_lock_session *sessions;  /* that have a transaction */
    struct infoschema_metadata_lock *metadata; /* one of all nodes comes from each of them */
    struct infoschema_named_lock *named;
    uint32_t data_count, wait_count, session_count, metadata_count, named_count;
};

/* A row of a table of performance_schema, in the order of its columns. Text lives until the row is
 * taken. */
struct infoschema_cell {
    enum { CELL_NULL, CELL_TEXT, CELL_UINT, CELL_TIME, CELL_DOUBLE } kind;
    struct slice text;
    uint64_t u; /* TIME: unix microseconds */
    double d;
};
struct infoschema_row_sink {
    db_err (*row)(struct infoschema_row_sink *sink, const struct infoschema_cell *cells,
                  uint32_t count);
};

/* Implemented by the session. `session` is exec_ctx.session. Neither may park while it holds a
 * lock. */
struct infoschema_ops {
    db_err (*env)(void *session, struct infoschema_env *ret_env);
    /* All connections; NULL: PROCESSLIST is empty. `deprecated`: by the table whose reading warns.
     */
    db_err (*processes)(void *session, bool deprecated, struct infoschema_process_sink *sink);
    /* System and status variables, in order of name; values live until the call returns. NULL: no
     * rows. */
    db_err (*variables)(void *session, bool global, struct infoschema_name_sink *sink);
    db_err (*status)(void *session, bool global, struct infoschema_name_sink *sink);
    /* What SET PERSIST has kept. NULL: no rows. */
    db_err (*persisted)(void *session, struct infoschema_name_sink *sink);
    /* All locks, in the arena. NULL: no rows. */
    db_err (*locks)(void *session, struct arena *arena, struct infoschema_locks *ret);
    /* The rows of the table of performance_schema that has this name (perf_tables.def). */
    db_err (*perf)(void *session, struct slice table, struct infoschema_row_sink *sink);
};

/* Adds the tables to the catalog, once after catalog_open. ops and the result must live as long as
 * the catalog. ERR_NOMEM. */
MUST_USE db_err infoschema_register(struct catalog *catalog, const struct infoschema_ops *ops,
                                    struct infoschema **ret_infoschema);
void infoschema_free(struct infoschema *is); /* after catalog_close; NULL is fine */

#endif
