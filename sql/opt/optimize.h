/* From a bound statement to a physical plan. Nothing parks. */
#ifndef SKEIN_SQL_OPT_OPTIMIZE_H
#define SKEIN_SQL_OPT_OPTIMIZE_H

#include "sql/bind/bind.h"
#include "sql/opt/plan.h"

/* What of optimizer_switch is followed: the places of the words in its value. */
enum opt_switch {
    OPT_BLOCK_NESTED_LOOP = 8,
    OPT_MATERIALIZATION = 10,
    OPT_SEMIJOIN = 11,
    OPT_FIRSTMATCH = 13,
    OPT_DERIVED_MERGE = 18,
    OPT_USE_INVISIBLE_INDEXES = 19,
    OPT_PREFER_ORDERING_INDEX = 23,
    OPT_DERIVED_CONDITION_PUSHDOWN = 25,
};

struct opt_opts {
    const struct bind_opts *bind; /* for column defaults that are expressions */
    uint64_t switches;            /* bits by enum opt_switch; a hint counts before them */
    void *env;
    /* Rows of a base table, roughly; NULL: 1,000 each. */
    double (*table_rows)(void *env, const struct table_def *table);
};

/* An empty plan whose arena the caller binds into; one reference. NULL: out of memory. */
struct plan *plan_new(struct mem_tracker *mem);
/* It is whole, and may outlive its statement: its memory counts no more as mem's. */
void plan_keep(struct plan *plan);
/* Fills the plan from the statement that was bound in its arena. Errors: ERR_SQL, ERR_NOMEM,
 * ERR_LIMIT. */
MUST_USE db_err optimize(struct plan *plan, struct bound_stmt *stmt, const struct opt_opts *opts,
                         struct diag *diag);

#endif
