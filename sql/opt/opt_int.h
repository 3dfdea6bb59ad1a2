/* Private to sql/opt. */
#ifndef SKEIN_SQL_OPT_OPT_INT_H
#define SKEIN_SQL_OPT_OPT_INT_H

#include "sql/opt/optimize.h"

struct optimizer {
    struct arena *arena;
    struct plan *plan;
    struct bound_stmt *stmt;
    const struct opt_opts *opts;
    struct diag *diag;
    uint32_t node_count;
    struct col_set *idle; /* rule_prune_columns: VIRTUAL columns that a change leaves NULL */
};

#define OPT_NEW(o, type)      ARENA_NEW((o)->arena, type)
#define OPT_ARRAY(o, type, n) ARENA_ARRAY((o)->arena, type, (n) + 1)

/* A conjunction that grows. */
struct conjuncts {
    struct bexpr **list;
    uint32_t count, cap;
};
db_err opt__add_conjunct(struct optimizer *o, struct conjuncts *c, struct bexpr *e);

static inline bool opt__switch(const struct optimizer *o, enum opt_switch which)
{
    return (o->opts->switches >> which & 1) != 0;
}

/* ---- what expressions read (columns.c) ---- */

/* A set of columns, one bit per col_id. */
struct col_set {
    uint64_t *words;
    uint32_t word_count;
};
db_err opt__set_init(struct optimizer *o, struct col_set *s);
db_err opt__set_add(struct optimizer *o, struct col_set *s, col_id_t id);
bool opt__set_has(const struct col_set *s, col_id_t id);
/* Adds the columns that e reads (also what its subqueries read of the enclosing query). */
db_err opt__set_add_expr(struct optimizer *o, struct col_set *s, const struct bexpr *e);
/* All columns e reads are among the node's. */
bool opt__reads_only(const struct bexpr *e, const struct lnode *n);
bool opt__reads_any(const struct bexpr *e, const struct lnode *n);
/* No column of this query block, nothing that differs from row to row: constants, parameters,
 * variables, outer columns, subqueries that depend on nothing. */
bool opt__is_free(const struct bexpr *e);
/* An expression that reads the column. NULL: out of memory. */
bool opt__padded_unlike_keys(const struct bexpr *e); /* range_match.c */
struct bexpr *opt__column(struct optimizer *o, const struct lcolumn *c);
/* e with columns replaced: by[i] for column ids[i]; the rest as it is. NULL: out of memory. It may
 * be twice as high as others (opt__too_high): who keeps such a one asks for the stack that walking
 * it takes. */
struct bexpr *opt__substitute(struct optimizer *o, const struct bexpr *e, const struct lproj *by,
                              uint32_t count);
/* Would e with its columns replaced be too large? Where each column stands for several of others
 * which do so again, it doubles from one view to the next. */
bool opt__grows_too_large(const struct bexpr *e, const struct lproj *by, uint32_t count);
static inline bool opt__too_high(const struct bexpr *e)
{
    return e->height > BEXPR_HEIGHT_MAX;
}
MUST_USE db_err opt__stack_for(const struct optimizer *o, const struct bexpr *e);

/* ---- rules on logical trees ---- */

db_err opt__rewrite(struct optimizer *o, struct lnode **io_root);
/* Subqueries into joins (rule/unnest.c): before any of those in the tree is planned. */
db_err opt__unnest(struct optimizer *o, struct lnode **io_root, bool runs_often);
/* Of columns of an enclosing query: those that `outer` gives, all when that is NULL. */
bool opt__reads_outer(const struct bexpr *e, const struct lnode *outer);
bool opt__tree_reads_outer(const struct lnode *n, const struct lnode *outer);
/* A correlated scalar subquery (rule/unnest_scalar.c): *ret is what stands for it, of columns that
 * *io_input now gives; e itself when it stays. limited: few of the rows may be wanted. */
db_err opt__unnest_scalar(struct optimizer *o, struct bexpr *e, bool limited,
                          struct lnode **io_input, struct bexpr **ret);
/* e with the columns of `outer` that it reads as outer ones as columns. NULL: out of memory. */
struct bexpr *opt__from_within(struct optimizer *o, const struct bexpr *e,
                               const struct lnode *outer);
db_err rule_simplify_outer_joins(struct optimizer *o, struct lnode **io_root);
db_err rule_generated_columns(struct optimizer *o, struct lnode **io_root);
db_err rule_push_filters(struct optimizer *o, struct lnode **io_root);
db_err rule_late_project(struct optimizer *o, struct lnode **io_root);
db_err rule_prune_columns(struct optimizer *o, struct lnode **io_root);
db_err rule_order_joins(struct optimizer *o, struct lnode **io_root);

/* ---- estimates (cost.c) ---- */

double opt__table_rows(const struct optimizer *o, const struct table_def *t);
/* Of one value of the index's first parts; what ANALYZE has counted, or a guess. */
double opt__index_rows(const struct optimizer *o, const struct table_def *t,
                       const struct index_def *ix, uint32_t parts);
/* The share of rows for which it holds; of the table's columns histograms may tell (NULL: none). */
double opt__selectivity(const struct lnode *table, const struct bexpr *conjunct);
double opt__estimate(struct optimizer *o, struct lnode *n);

/* ---- physical ---- */

struct order_key {
    col_id_t id;
    bool descending;
};
/* A physical subtree with the col_id of each output slot and the order of its rows. */
struct phys {
    struct plan_node *node;
    col_id_t *cols;
    struct order_key *order;
    uint32_t order_count;
    bool one_row; /* at most one row */
};
/* What an index is read for. */
enum index_for { INDEX_FOR_JOIN, INDEX_FOR_ORDER, INDEX_FOR_GROUP };

/* What the parent would like. */
struct want {
    enum index_for order_for; /* JOIN: the one row that an aggregate takes */
    const struct lsort_key *order;
    uint32_t order_count;
    double limit; /* rows that will be read; < 0 = all */
};

struct plan_node *opt__node(struct optimizer *o, enum plan_kind kind, uint32_t columns);
db_err opt__physical(struct optimizer *o, struct lnode *n, const struct want *want,
                     struct phys *ret);
/* A node over the child, with its columns. NULL: out of memory. */
struct plan_node *opt__above(struct optimizer *o, enum plan_kind kind, const struct phys *child);
/* Copies e with slots for the layout. */
db_err opt__resolve(struct optimizer *o, const struct bexpr *e, const col_id_t *cols,
                    uint32_t count, struct bexpr **ret);
db_err opt__resolve_list(struct optimizer *o, struct bexpr *const *list, uint32_t n,
                         const col_id_t *cols, uint32_t count, struct bexpr ***ret);
uint32_t opt__slot(const col_id_t *cols, uint32_t count, col_id_t id); /* UINT32_MAX: none */

/* index_use.c */
bool opt__index_visible(const struct optimizer *o, const struct index_def *ix);
/* May the table be read by the index for this? Hints and optimizer hints say so. */
bool opt__index_allowed(const struct lnode *n, const struct index_def *ix, enum index_for what);
/* Is another way than an allowed index assumed to be very expensive? */
bool opt__index_forced(const struct lnode *n, enum index_for what);
/* NO_RANGE_OPTIMIZATION: by equalities with one value alone. */
bool opt__index_without_ranges(const struct lnode *n, const struct index_def *ix);

/* access_path.c */
db_err opt__scan(struct optimizer *o, struct lnode *n, const struct want *want, struct phys *ret);
/* The best index of table n for equality on the given columns (join keys): NULL when none fits.
 * *ret_keys: for each matched part the number of the key. */
const struct index_def *opt__lookup_index(const struct optimizer *o, const struct lnode *n,
                                          const col_id_t *keys, uint32_t key_count,
                                          uint32_t *ret_parts, uint32_t *ret_keys);
/* Is it so of all expressions in the scan's ranges and limits? */
bool opt__all_bounds(const struct scan_spec *s, bool (*is)(const struct bexpr *e));
/* from_entries: all columns wanted are in the entries of an index. Else VIRTUAL columns are
 * computed, and the scan also gives what they read. */
db_err opt__scan_columns(struct optimizer *o, const struct lnode *n, bool from_entries,
                         struct plan_node *p, struct phys *ret);
/* Key parts that a secondary index's entries carry suffice for the columns wanted. */
bool opt__covers(const struct table_def *t, const struct index_def *ix, const bool *used);

/* join.c */
db_err opt__join(struct optimizer *o, struct lnode *n, const struct want *want, struct phys *ret);
/* Does the join's right side give the same rows when the join is run again (steady.c)? */
bool opt__keeps_right(const struct optimizer *o, const struct plan_node *join);

/* change_wants.c */
/* Is it an UPDATE or DELETE of which opt__change_wants can tell what it wants? */
bool opt__change_is_plain(const struct optimizer *o);
/* The columns that it wants of its rows; apart from them those that need to be there, but not to be
 * computed, unless a condition reads them. */
db_err opt__change_wants(struct optimizer *o, struct col_set *wanted, struct col_set *idle);

/* derived.c */
/* Only tables, joins, conditions and expressions: as good as a table where it stands. */
bool opt__is_simple(const struct lnode *n);
/* Does the projection run as a query of its own, once, that keeps its rows? */
bool opt__derived_is_kept(const struct optimizer *o, const struct lnode *n);
/* May conditions of the query around it move into it? */
bool opt__derived_takes_conditions(const struct optimizer *o, const struct lnode *n);

/* cte.c */
/* *io runs as a common table expression, and becomes a reference to it. */
db_err opt__keep(struct optimizer *o, struct phys *io);
/* Puts expressions where they are used when that is once; plans the others. */
db_err opt__inline_ctes(struct optimizer *o);
db_err opt__plan_ctes(struct optimizer *o);
db_err opt__cte_ref(struct optimizer *o, struct lnode *n, struct phys *ret);
db_err opt__recursive(struct optimizer *o, struct lnode *n, struct phys *ret);

/* aggregate.c */
db_err opt__aggregate(struct optimizer *o, struct lnode *n, struct phys *ret);

/* window.c */
db_err opt__window(struct optimizer *o, struct lnode *n, const struct want *want, struct phys *ret);

/* gather.c: puts PLAN_GATHER where a part of the tree can run beside the data. eager: all of its
 * rows will be read. */
db_err opt__gather(struct optimizer *o, struct plan_node **io, bool eager);

/* reads.c: fills plan->reads. */
void opt__count_reads(struct plan *plan);

/* dml.c */
db_err opt__dml(struct optimizer *o);
/* The default of a column as an expression; *ret NULL: it has none (1364). */
db_err opt__column_default(struct optimizer *o, const struct table_def *t,
                           const struct column_def *c, struct bexpr **ret);

#endif
