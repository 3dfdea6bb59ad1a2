/* What the optimizer hints of a statement say, told apart by what they are about.
 *
 * hints_collect() goes once through a parsed statement, gives the query blocks their numbers, finds
 * the blocks that hints name, and drops with a warning what is doubled or contradicts an earlier
 * hint, in MySQL's order. The binder finds a block's hints in the syntax tree (struct
 * ast_hints.block), gives what is said of a table to its node and warns of tables and indexes that
 * there are none of (hints_check). A statement without any hint costs one test. */
#ifndef SKEIN_SQL_BIND_HINTS_H
#define SKEIN_SQL_BIND_HINTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "sql/parser/ast_hint.h"
#include "sql/diag/diag_area.h"

/* One hint about indexes of a table. */
struct hint_index {
    enum ast_hint_kind kind;
    bool off;
    bool all;            /* no index was named */
    struct slice *names; /* as written */
    uint32_t count;
    const struct ast_hint *hint;
    bool unresolved; /* an index that it names is not there (set by the binder) */
    struct hint_index *next;
};

struct hint_table {
    struct slice name; /* as written: the alias that it is to have */
    enum ast_tristate
        switches[HINT_KINDS]; /* of HINT_CLASS_TABLE: BKA, BNL, HASH_JOIN, MERGE ... */
    const struct ast_hint *said[HINT_KINDS]; /* which hint set the switch */
    struct hint_index *indexes;              /* in the order of the text */
    bool found;                              /* the block has such a table (set by the binder) */
    struct hint_table *next;
};

/* JOIN_ORDER, JOIN_PREFIX, JOIN_SUFFIX */
struct hint_order {
    enum ast_hint_kind kind;
    const struct ast_hint *hint;
    bool unresolved; /* a table that it names is not in the block (set by the binder) */
    struct hint_order *next;
};

struct hint_block {
    bool looked_at;    /* warnings of what it names were made */
    uint32_t number;   /* 1: the outermost, the first; as EXPLAIN numbers them */
    struct slice name; /* QB_NAME, or ptr NULL */
    enum ast_tristate switches[HINT_KINDS]; /* of HINT_CLASS_TABLE without tables, SEMIJOIN and
                                               JOIN_FIXED_ORDER */
    uint32_t semijoin;                      /* strategies of SEMIJOIN or NO_SEMIJOIN; 0: all */
    uint32_t subquery;                      /* HINT_MATERIALIZATION, HINT_INTOEXISTS or 0 */
    struct hint_order *orders;              /* in the order of the text */
    struct hint_table *tables;              /* in the order of the text */
    struct hint_block *next;
};

struct hint_var {
    const struct ast_hint *hint; /* HINT_SET_VAR */
    bool in_force;               /* the session has set it */
    struct hint_var *next;
};

/* All of a statement's hints. */
struct hint_set {
    bool has_time_limit;
    uint64_t time_limit_ms;      /* MAX_EXECUTION_TIME; 0: what the variable says */
    struct hint_var *vars;       /* in the order of the text, each variable once */
    struct slice resource_group; /* ptr NULL: none */
    struct hint_block *blocks;   /* in the order in which the text ends them */
};

/* Who listens, and what the session knows. */
struct hint_env {
    struct diag_area *warnings; /* NULL: nobody listens */
    /* Listens instead; the text is gone when it returns. NULL: `warnings` does. */
    void (*tell)(void *arg, enum my_errno number, const char *text);
    bool ansi_quotes; /* names are shown in double quotes */
    bool of_view;     /* the statement is the text of a view, which keeps its hints in front */
    void *arg;
    /* May SET_VAR set the variable? It warns when not; else the name is as the variable's, and
     * static. Not asked of views. */
    bool (*may_set)(void *arg, struct slice *io_name);
};

/* Sets stmt->hinted->set of a statement with hints (hinted is not NULL). All of it lives as long as
 * the tree; once for each tree. ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err hints_collect(struct arena *arena, const struct hint_env *env,
                              struct ast_stmt *stmt);

/* Finds the tables and indexes of a query whose tables all have their schemas, as the binder does
 * it; env is told of what is not there. Nothing is found when one of the tables is gone. arena:
 * scratch. ERR_NOMEM. */
struct catalog_snapshot;
MUST_USE db_err hints_resolve(struct arena *arena, const struct catalog_snapshot *snapshot,
                              const struct hint_env *env, const struct ast_hinted *hinted);

/* What EXPLAIN and views show of the hints whose tables and indexes have been found; nothing, or
 * with a blank at the end. style: of names; named: the first block's own name is among them.
 * Errors: those of the buffer. */
struct ast_name_style;
MUST_USE db_err hints_show(struct buf *out, const struct hint_set *set,
                           const struct ast_name_style *style, bool named);

/* Is a switch on or off for the table? What is said of the table itself counts before what is said
 * of its block. Either may be NULL. AST_UNSET: nothing is said. */
enum ast_tristate hints_switch(const struct hint_block *block, const struct hint_table *table,
                               enum ast_hint_kind kind);

#endif
