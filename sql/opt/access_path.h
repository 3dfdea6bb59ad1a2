/* One way to read a table. Private to sql/opt. */
#ifndef SKEIN_SQL_OPT_ACCESS_PATH_H
#define SKEIN_SQL_OPT_ACCESS_PATH_H

#include "sql/opt/range_match.h"

struct path {
    const struct index_def *index;
    uint32_t eq_count;
    uint32_t range_count;
    struct scan_range *ranges;
    uint32_t limit_count; /* a limit for each conjunct at most */
    struct scan_limit *limits;
    bool *taken;   /* by conjunct: the ranges come from it */
    bool *dropped; /* by conjunct: stated exactly by the ranges and limits */
    bool unique;   /* at most one row per range */
    bool covering;
    bool single;           /* of one range without an interval (NO_RANGE_OPTIMIZATION) */
    bool possible;         /* conditions make ranges of it, whether it has them or not */
    bool multi;            /* the index has several entries a row */
    bool ordered, reverse; /* read so, its rows are in the order wanted */
    double rows, cost;
};

/* The column that the index's part is of, as conditions name it. */
struct lcolumn *opt__part_column(struct lnode *n, const struct index_part *part);
/* The ranges and limits of p->index from the table's conjuncts; *p is new, with one range of no
 * bounds. *ret_interval: there is an interval behind the equalities. */
MUST_USE db_err opt__path_ranges(struct optimizer *o, struct lnode *n, struct path *p,
                                 bool *ret_interval);
/* The expressions of the ranges and limits as those of a plan. */
MUST_USE db_err opt__resolve_ranges(struct optimizer *o, struct path *p);

#endif
