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
    MATCH_NOT_NULL,
    MATCH_MULTI, /* the only choice's value is what is searched in a part with several values */
};

/* One way to meet the condition. */
struct choice {
    struct bexpr *value;      /* NULL with null_safe: IS NULL */
    struct bexpr *low, *high; /* of an interval; NULL: open */
    bool null_safe;           /* a value that is NULL matches NULL, else nothing */
    bool low_inclusive, high_inclusive;
};

struct match {
    enum match_kind kind;
    uint32_t count;         /* of choices, RANGES_MAX at most */
    struct choice *several; /* NULL: `one` is the only one */
    struct choice one;
    bool exact; /* whatever lies in the ranges of the choices meets the condition, nothing else */
    enum multi_match multi; /* MULTI */
};

static inline const struct choice *match_choice(const struct match *m, uint32_t i)
{
    return m->several == NULL ? &m->one : &m->several[i];
}

/* The condition e on column c, which is the index's `part`; *ret_is: it says something of it. */
MUST_USE db_err opt__match(struct optimizer *o, const struct lcolumn *c,
                           const struct index_part *part, const struct bexpr *e, struct match *ret,
                           bool *ret_is);

#endif
