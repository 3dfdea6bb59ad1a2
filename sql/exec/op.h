/* Vectorised operators: the run state beside an immutable plan.
 *
 * open → next until *ret_chunk is NULL → close. A chunk is valid until the next call on the
 * operator. All may park. close accepts a half-open operator and is the only call after an error.
 */
#ifndef SKEIN_SQL_EXEC_OP_H
#define SKEIN_SQL_EXEC_OP_H

#include "sql/func/func.h"
#include "sql/opt/explain.h"
#include "sql/opt/plan.h"
#include "sql/storage/storage.h"

struct exec_ctx;
struct op;
struct row_writer;

struct op_ops {
    const char *name;
    db_err (*open)(struct op *op, struct exec_ctx *ctx);
    db_err (*next)(struct op *op, struct exec_ctx *ctx, struct chunk **ret_chunk);
    db_err (*rescan)(struct op *op,
                     struct exec_ctx *ctx); /* from the start, with new outer values */
    void (*close)(struct op *op, struct exec_ctx *ctx);
};

struct op {
    const struct op_ops *ops;
    const struct plan_node *node;
    struct op *
        *children; /* as many as the node has, two at least: NULL where it has none, or not yet */
    /* Set before it is opened: who asks may stop before the last row (LIMIT, EXISTS). What
     * expressions of a row say, or that they fail, then counts only when the row is asked for. */
    bool some;
};

enum exec_pushdown {
    EXEC_PUSHDOWN_OFF,
    EXEC_PUSHDOWN_AUTO,   /* where rows lie on other nodes and there are more than a few */
    EXEC_PUSHDOWN_ALWAYS, /* for tests: wherever the plan can be split, also for rows of this node
                           */
};

/* What storage_fragment_open gets: the chain of plan nodes, and the values it is run with. The
 * plan's nodes are those of PLAN_GATHER; sql/pushdown encodes them. */
struct storage_fragment {
    struct exec_ctx *ctx;
    const struct plan_fragment *plan;
};

/* One execution of a plan. Filled by the session (sql/session/statement.c). */
struct exec_ctx {
    const struct plan *plan;
    struct storage *storage;
    struct storage_txn *txn;
    struct arena *arena; /* the statement's */
    struct arena *kept;  /* while that is a batch's, emptied after it: the statement's; or NULL */
    struct mem_tracker *mem; /* the statement's: operators that pass it spill or fail */
    struct diag *diag;
    struct eval_ctx eval; /* arena: the current chunk's, reset by the driver between root chunks */
    const struct value *params; /* plan->param_count, cast to param_types */
    /* plan->early_count, by index (set by exec_run); NULL: casts are done where they stand */
    struct value *early;
    const char *temp_dir;
    size_t spill_budget; /* bytes that an operator may hold before it spills; 0: its share of mem */
    struct node_counters *counters; /* EXPLAIN ANALYZE: by node id (sql/opt/explain.h); or NULL */
    bool ignore;                    /* INSERT/UPDATE/DELETE IGNORE */
    uint64_t sql_mode;
    uint32_t auto_inc_step, auto_inc_offset;
    uint32_t max_sort_length;  /* 0: keys are compared whole */
    uint64_t forced_insert_id; /* the first AUTO_INCREMENT number of the statement; 0: the next */
    bool foreign_key_checks, unique_checks;
    bool null_is_now;       /* NULL in a TIMESTAMP that is NOT NULL is the current time */
    uint32_t cte_depth_max; /* rounds of a recursive common table expression */
    /* results of DML */
    uint64_t affected_rows, found_rows, changed_rows, matched_rows, records, duplicates,
        deleted_rows;
    uint64_t examined_rows;                   /* that scans and lookups of this node have read */
    uint64_t sorts, sorted_rows, sort_merges; /* of this node; merges of what was spilled */
    uint64_t first_insert_id;      /* LAST_INSERT_ID() of this statement, 0 = none generated */
    uint64_t last_insert_id;       /* what the OK packet says */
    const struct load_input *load; /* LOAD DATA: the file (sql/exec/load_reader.h) */
    bool found_rows_flag;          /* CLIENT_FOUND_ROWS: affected = matched */
    bool short_paths;              /* statements whose plan has the shape run without operators */
    enum exec_pushdown pushdown;
    /* While a fragment runs on a part of its keys: its scan reads this span instead of its ranges.
     */
    const struct plan_node *span_node;
    struct storage_span span;
    struct buf *cursor_key; /* HANDLER: the scan gives its rows one by one, and here the key of the
                               last one; NULL: it does not */
    /* The statement is a transaction of its own: many new rows may be kept aside until the commit
     * (STORAGE_W_BULK). in_bulk is set when that was done: ERR_KEY_EXISTS of the commit is then for
     * exec_duplicate; with IGNORE the statement is to be run again without may_bulk. */
    bool may_bulk, in_bulk;
    /* UPDATE, DELETE (exec_may_change_in_bulk): rows are read in the snapshot, without locks, and
     * changed one by one as they come, with STORAGE_W_BULK; somebody keeps other writers of the
     * table out. */
    bool bulk_change;
    /* UPDATE, DELETE: of more rows than so many the statement ends with ERR_LOCK_TABLE_FULL before
     * it changes one, for the session to run it again with bulk_change; 0: of any number it goes
     * on. */
    uint64_t rows_until_bulk;
    bool defer_checks; /* INSERT VALUES: that keys are new is left to the commit (autocommit) */
    /* INSERT VALUES: the plan's row stands for these, whose values are those of its parameters 0..,
     * row-major; NULL: the plan's rows themselves */
    const struct value *given_rows;
    uint32_t given_row_count;
    struct value *insert_rows; /* INSERT VALUES: rows as they are written, by ordinal */
    uint32_t insert_row_count;
    const uint64_t *insert_made; /* what AUTO_INCREMENT made for each, 0: nothing; NULL: for none */
    struct fk_writer **fk_writers; /* of tables that foreign keys' actions change, by fk_table.id */
    /* run state of subqueries and CTEs, by id */
    struct subquery_state **subqueries;
    struct cte_state **ctes;
    /* values of outer columns while a correlated part runs; by depth then slot */
    struct outer_frame *outer;
    /* Counts what eval_list.c goes through; while it does so once more, the count of the first
     * time, else 0. */
    uint32_t once_round, once_again;
    uint64_t filters_said;   /* warnings of conditions */
    struct held_value *held; /* of the expressions around the one that is being evaluated */
    /* user and system variables (sql/session) */
    const struct exec_var_ops *vars;
    void *session;
};

struct exec_var_ops {
    db_err (*user_get)(struct exec_ctx *ctx, struct slice name, struct value *ret);
    db_err (*user_set)(struct exec_ctx *ctx, struct slice name, const struct value *v);
    db_err (*system_get)(struct exec_ctx *ctx, const struct bexpr *e, struct value *ret);
};

/* Builds the operator tree (in ctx->arena). */
MUST_USE db_err exec_build(struct exec_ctx *ctx, const struct plan_node *node, struct op **ret_op);
void exec_wants_some(struct op *op); /* op.some, and that of those below that give their rows on */
MUST_USE db_err op_open(struct op *op, struct exec_ctx *ctx);
MUST_USE db_err op_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret_chunk);
MUST_USE db_err op_rescan(struct op *op, struct exec_ctx *ctx);
void op_close(struct op *op, struct exec_ctx *ctx); /* NULL is fine */

/* Is it a statement that bulk_change is for, whatever number of rows it changes? */
bool exec_may_change_in_bulk(const struct plan *plan);

/* Runs a plan. SELECT: rows go to `rows` chunk by chunk (the columns are plan->result). DML:
 * counters in ctx. The short paths are taken by plan->shape. May park. */
typedef db_err (*exec_rows_fn)(void *arg, const struct chunk *chunk);
MUST_USE db_err exec_run(struct exec_ctx *ctx, exec_rows_fn rows, void *arg);
/* After ERR_KEY_EXISTS of a run with defer_checks, or of its commit, in a new transaction
 * (ctx->txn): writes the same rows with the checks made at once, so that ERR_SQL 1062 names the
 * right one. May park. */
MUST_USE db_err exec_insert_again(struct exec_ctx *ctx);

/* After ERR_KEY_EXISTS of a commit whose run has set in_bulk, in a new transaction (ctx->txn): 1062
 * for the key. May park. */
db_err exec_duplicate(struct exec_ctx *ctx, struct slice key);

/* Evaluates one expression on the logical rows of a chunk; *ret is valid until the evaluation arena
 * is reset. in == NULL: an expression without columns, one row. */
struct expr_state;
MUST_USE db_err expr_prepare(struct exec_ctx *ctx, const struct bexpr *e,
                             struct expr_state **ret_state);
MUST_USE db_err expr_eval(struct exec_ctx *ctx, struct expr_state *state, const struct chunk *in,
                          struct vector **ret);
/* A scalar without columns. */
MUST_USE db_err expr_eval_scalar(struct exec_ctx *ctx, const struct bexpr *e, struct value *ret);
/* Keeps the rows for which all conjuncts are true: writes a selection (physical rows) of
 * *ret_count. */
MUST_USE db_err expr_filter(struct exec_ctx *ctx, struct expr_state *const *states, uint32_t count,
                            const struct chunk *in, uint16_t *sel_out, uint32_t *ret_count);

#endif
