/* Private to the explain*.c files. */
#ifndef SKEIN_SQL_OPT_EXPLAIN_INT_H
#define SKEIN_SQL_OPT_EXPLAIN_INT_H

#include "base/scope.h"
#include "sql/opt/explain.h"

/* ---- texts of expressions (explain_expr.c) ---- */

/* The expression stands in a node whose input are the rows of `left`, then those of `right` or of
 * the table `scan`; each may be NULL. */
struct explain_input {
    const struct plan_node *left, *right;
    const struct scan_spec *scan;
};
/* Texts in the arena; NULL: out of memory. */
const char *explain__expr(struct arena *a, const struct bexpr *e, const struct explain_input *in);
/* A conjunction: (x and y). */
const char *explain__conjuncts(struct arena *a, struct bexpr *const *list, uint32_t count,
                               const struct explain_input *in);
/* The ranges of a scan: (a = 1), (2 < a <= 5) OR ... */
const char *explain__ranges(struct arena *a, const struct scan_spec *s,
                            const struct explain_input *in);
/* Name of an aggregate with its arguments: sum(t.a). */
const char *explain__agg(struct arena *a, const struct plan_agg *agg,
                         const struct plan_node *below);
/* Parts of the index that the ranges use; all when there are none. */
uint32_t explain__used_parts(const struct scan_spec *s);
/* Bytes of a key of so many parts as MySQL counts them. */
uint32_t explain__key_length(const struct scan_spec *s, uint32_t parts);
struct slice explain__alias(const struct scan_spec *s);

/* ---- the tree (explain.c) ---- */

struct xfield { /* a member of JSON 2; the value is JSON text */
    struct xfield *next;
    const char *key, *value;
};

struct xnode {
    struct xnode *next, *first, **last;
    const char *text;
    const char *heading; /* JSON 2: of a subquery */
    struct xfield *fields;
    bool estimated;
    double rows, cost;
    const struct plan_node *counted; /* whose counters are its own; NULL: none */
};

/* Outputs the root. */
MUST_USE db_err explain__tree(const struct plan *plan, const struct explain_opts *opts,
                              struct arena *arena, struct xnode **ret_root);
/* explain_marks.c: the text with the names of objects and lists behind them. */
MUST_USE db_err explain__mark_ends(struct slice text, struct arena *arena, struct buf *out);
const char *explain__quoted(struct arena *a, struct slice text); /* a JSON string */

#endif
