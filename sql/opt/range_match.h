/* What a condition says of a part of an index. Private to sql/opt. */
#ifndef SKEIN_SQL_OPT_RANGE_MATCH_H
#define SKEIN_SQL_OPT_RANGE_MATCH_H

#include "sql/opt/opt_int.h"

enum { RANGES_MAX = 16 * 1024 }; /* of a scan: some MB of a plan */

enum match_kind {
    MATCH_VALUES,    /* each choice is a value */
    MATCH_LOW,       /* the only choice is an interval that is open above */
    MATCH_HIGH,      /* or below */
    MATCH_INTERVALS, /* each choice is an interval */
    MATCH_MIXED,     /* values, NULL among them, and intervals: no ranges, but a limit of them */
    MATCH_NOT_NULL,
    MATCH_MULTI, /* the only choice's value is what is searched in a part with several values */
};

struct match {
    enum match_kind kind;
    uint32_t count;              /* of choices, RANGES_MAX at most */
    struct scan_choice *several; /* NULL: `one` is the only one */
    struct scan_choice one;
    bool exact;             /* whatever meets the choices meets the condition, nothing else */
    bool chained;           /* some choice has an `also`: their ranges alone are too wide */
    enum multi_match multi; /* MULTI */
};

static inline const struct scan_choice *match_choice(const struct match *m, uint32_t i)
{
    return m->several == NULL ? &m->one : &m->several[i];
}

/* The condition e on column c, which is the index's `part`; *ret_is: it says something of it. */
MUST_USE db_err opt__match(struct optimizer *o, const struct lcolumn *c,
                           const struct index_part *part, const struct bexpr *e, struct match *ret,
                           bool *ret_is);

#endif
