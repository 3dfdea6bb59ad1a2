/* What a physical plan does, told in MySQL's forms.
 *
 * TREE and JSON version 2 show the plan's nodes; TRADITIONAL and JSON version 1 show a row for each
 * table that is read, ordered by query block. All of them describe the plan that runs: an index is
 * named when it is read, "Using filesort" stands where there is a sort. Numbers of query blocks are
 * given in the order of the plan, which for simple statements is that of the text. Nothing parks.
 */
#ifndef SKEIN_SQL_OPT_EXPLAIN_H
#define SKEIN_SQL_OPT_EXPLAIN_H

#include "base/buf.h"
#include "sql/opt/plan.h"

/* Of an answer; a statement may have thousands of query blocks. */
enum { EXPLAIN_TEXT_MAX = 16 * 1024 * 1024 };

/* What a node has done, by its id. */
struct node_counters {
    uint64_t loops; /* times that it was started */
    uint64_t rows, first_ns, total_ns;
    bool started; /* first_ns of the present loop is still to come */
};

struct explain_opts {
    bool fragments;                       /* parts run on other nodes: shows which */
    const struct node_counters *counters; /* EXPLAIN ANALYZE: of the run; NULL: it has not run */
    bool end_markers;   /* JSON 1: what ends says its name (@@end_markers_in_json) */
    struct slice query; /* JSON 2: the statement; may be empty */
};

/* FORMAT=TREE. Errors: ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err plan_explain_tree(const struct plan *plan, const struct explain_opts *opts,
                                  struct arena *arena, struct buf *out);
/* FORMAT=JSON, versions 1 and 2. */
MUST_USE db_err plan_explain_json(const struct plan *plan, const struct explain_opts *opts,
                                  unsigned version, struct arena *arena, struct buf *out);

struct explain_row {
    struct explain_row *next;
    uint32_t id;
    const char *select_type;
    struct slice table; /* ptr NULL: none (and nothing behind it but extra) */
    const char *type;   /* NULL: NULL, as all that follow */
    const char *possible_keys, *key, *key_len, *ref;
    bool has_rows;
    double rows, filtered; /* filtered: percent */
    const char *extra;
    /* JSON 1 */
    const struct scan_spec *scan;
    const char *condition;
    struct explain_block *derived; /* the table is the result of this block */
};

/* A query block: its tables, in the order in which they are read. */
struct explain_block {
    struct explain_block *next;
    uint32_t id;
    const char *select_type;
    bool temporary, filesort, dependent, subquery;
    double cost;
    struct explain_row *first, **last;
    struct explain_block *arms; /* of a union, linked by next_arm */
    struct explain_block *next_arm;
};

/* All blocks in the order in which FORMAT=TRADITIONAL shows them. */
MUST_USE db_err plan_explain_rows(const struct plan *plan, struct arena *arena,
                                  struct explain_block **ret_first);

#endif
