/* What must come before what in a join. */
#ifndef SKEIN_SQL_OPT_RULE_JOIN_HINTS_H
#define SKEIN_SQL_OPT_RULE_JOIN_HINTS_H

#include "sql/opt/opt_int.h"

struct hint_block;

/* All relations of a STRAIGHT_JOIN's right side, [right, end), come behind those of its left one,
 * [left, right). */
struct straight {
    struct straight *next;
    uint32_t left, right, end;
};

struct join_deps {
    uint32_t count, words;
    uint64_t *before; /* by relation: the set of those that it depends on; NULL: none does */
};

/* The dependencies of relations in the order of the text, in the optimizer's arena. outer: NULL, or
 * by relation the left join whose right side it is. ERR_NOMEM. */
db_err join_deps_make(struct optimizer *o, struct lnode *const *rel, uint32_t count,
                      const struct straight *straight, struct lnode *const *outer,
                      struct join_deps *ret);
/* Are all that relation i depends on in use? */
bool join_deps_met(const struct join_deps *d, uint32_t i, const bool *used);
/* The query block in whose FROM the node stands; NULL: nothing is said of it. */
const struct hint_block *join_block(const struct lnode *n);

#endif
