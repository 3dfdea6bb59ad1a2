/* Physical plans: immutable, shared by concurrent executions, kept in the plan cache.
 *
 * A plan node gives rows of `column_count` columns; expressions name columns by slot: the position
 * in the row that the node evaluates them on (its child's output; for joins the left columns
 * followed by the right ones). Run state is in the operators (sql/exec/op.h). Statements with point
 * access take the short path (PLAN_POINT_*), which builds no operator tree. */
#ifndef SKEIN_SQL_OPT_PLAN_H
#define SKEIN_SQL_OPT_PLAN_H

#include "base/arena.h"
#include "sql/bind/logical.h"

struct fk_table;
struct table_rules;

enum plan_kind {
    PLAN_DUAL,
    PLAN_VALUES,
    PLAN_TABLE_SCAN,   /* clustered index, whole or ranges */
    PLAN_INDEX_SCAN,   /* secondary index; covering, or looks rows up by primary key in batches */
    PLAN_POINT_GET,    /* full unique keys only */
    PLAN_VIRTUAL_SCAN, /* rows from a provider */
    PLAN_JSON_TABLE,   /* rows of a JSON document */
    PLAN_FILTER,
    PLAN_PROJECT,
    PLAN_SORT,
    PLAN_TOPN,
    PLAN_LIMIT,
    PLAN_HASH_AGG,
    PLAN_STREAM_AGG, /* input sorted by the groups, or no groups */
    PLAN_ROLLUP_AGG, /* input sorted by the groups; output: groups, aggregates, what is rolled up */
    PLAN_DISTINCT,
    PLAN_HASH_JOIN,   /* builds on the right side */
    PLAN_NL_JOIN,     /* right side kept in memory (or rescanned when correlated: APPLY) */
    PLAN_LOOKUP_JOIN, /* for a batch of left rows looks the right table up by an index */
    PLAN_SETOP,
    PLAN_WINDOW,
    PLAN_CTE_REF,
    PLAN_RECURSIVE,
    PLAN_LOAD,     /* the lines of a file, below PLAN_INSERT */
    PLAN_GATHER,   /* children[0], or `above` over what fragments beside the data give */
    PLAN_FRAGMENT, /* leaf of PLAN_GATHER's `above`: rows of its fragment, in key order */
    PLAN_INSERT,   /* child gives the rows */
    PLAN_UPDATE,
    PLAN_DELETE,
};

/* One range of an index: equal on the first eq_count parts, then an interval on the next part.
 * Bounds are expressions without columns (constants, parameters, variables that the statement does
 * not assign, outer columns, subqueries that run once), evaluated when the scan opens and converted
 * to the part's type there: a bound that no value of the type can meet makes the range empty or
 * open, never wrong. The conjuncts a range came from are kept as filters unless the planner proved
 * them exact. */
/* Conditions on a key part with several values a row. */
enum multi_match { MULTI_MEMBER, MULTI_CONTAINS, MULTI_OVERLAPS };

struct scan_range {
    uint32_t eq_count;
    struct bexpr **eq;
    bool *eq_null_safe; /* per eq: <=> or IS NULL (NULL matches); else a NULL value makes the range
                           empty */
    struct bexpr *low;  /* NULL = open */
    struct bexpr *high;
    bool low_inclusive, high_inclusive;
    bool not_null; /* IS NOT NULL on the next part, also implied by low/high */
    /* An equality on the part with several values a row: its number plus 1, 0: none. Its `eq` is
     * the other side of the condition, which may ask for several values. */
    uint32_t multi;
    enum multi_match multi_match;
};

/* One way to meet a condition on a key part: a value or an interval. */
struct scan_choice {
    bool is_value;
    struct bexpr *value;      /* NULL with null_safe: IS NULL */
    struct bexpr *low, *high; /* of an interval, in which is no NULL; NULL: open */
    bool null_safe;           /* a value that is NULL matches NULL, else nothing */
    bool low_inclusive, high_inclusive;
    struct scan_choice *also; /* what is to be met, too; NULL: nothing */
};

/* What a condition says of a part beside those that made the ranges: one of the choices is met. The
 * scan reads what lies in a range and meets every limit: of several bounds on one side the tightest
 * one counts, which is known when the scan opens. */
struct scan_limit {
    uint32_t part;
    uint32_t count;
    struct scan_choice *choices;
};

/* A VIRTUAL column that a scan gives: computed from columns of its output that stand before it or
 * are stored. */
struct scan_virtual {
    uint32_t out; /* position in the output */
    struct bexpr *expr;
};

struct scan_spec {
    const struct table_def *table;
    const struct index_def *index;
    uint32_t range_count; /* 0: the whole index */
    struct scan_range *ranges;
    uint32_t limit_count; /* 0 without ranges */
    struct scan_limit *limits;
    bool ranges_sorted; /* disjoint and ascending for all parameters: order is that of the index */
    bool reverse;
    bool covering; /* the index has every column wanted */
    bool repeats;  /* it has several entries a row: each row is given once */
    uint32_t column_count;
    uint32_t *columns;      /* ordinals to give, in output order */
    uint32_t virtual_count; /* in the order in which they are computed */
    struct scan_virtual *virtuals;
    struct bexpr **filters; /* on the output columns; conjunction */
    uint32_t filter_count;
    enum row_lock lock;
    enum row_lock_wait wait;
    double rows; /* estimate */
    /* for EXPLAIN */
    struct slice alias;
    double filtered; /* share of `rows` that the filters leave */
    bool by_order;   /* the index was taken for the order of its rows */
    uint32_t possible_count;
    const struct index_def **possible; /* indexes that fit the conditions */
};

struct plan_sort_key {
    struct bexpr *expr;
    bool descending;
};

struct plan_agg {
    struct agg_call *call;
    struct bexpr **args;
    struct plan_sort_key *order;
    uint32_t order_count;
};

struct plan_frame_end {
    enum frame_bound bound;
    struct bexpr *offset;      /* ROWS: without columns; RANGE: checked only, or NULL */
    struct bexpr *value, *key; /* RANGE */
};

struct plan_window_call {
    enum window_func func;
    struct agg_call *call;
    struct bexpr **args;
    uint32_t arg_count;
    struct bexpr *number;
};

/* The child's rows come sorted by partition and order. Output: its columns, then the calls. */
struct plan_window {
    struct bexpr **partition;
    uint32_t partition_count;
    struct bexpr **order;
    uint32_t order_count;
    bool descending; /* of the first order key */
    bool rows;       /* else RANGE */
    struct plan_frame_end start, end;
    struct plan_window_call *calls;
    uint32_t call_count;
    struct slice name;
};

struct plan_assign {
    uint32_t column; /* ordinal in the target */
    bool implicit;   /* ON UPDATE CURRENT_TIMESTAMP: done only if another column of the row has
                        changed */
    struct bexpr *expr;
};

/* A DML target and where its columns stand in the child's rows. */
struct plan_target {
    const struct table_def *table;
    uint32_t *slots; /* by ordinal; UINT32_MAX: not read (then not needed) */
    struct plan_assign *assigns;
    uint32_t assign_count;
    bool outer_joined;   /* a NULL-complemented row must be skipped */
    bool *index_touched; /* by index: a column that changes is part of it */
    /* Generated columns and checks (sql/bind/table_rules.h). INSERT: all, with defaults; UPDATE:
     * those that its assignments can change. NULL: none. */
    struct table_rules *rules;
    struct table_rules *odku_rules; /* INSERT ... ON DUPLICATE KEY UPDATE: of the update */
    struct table_rules *virtuals;   /* the VIRTUAL columns, for rows read whole; NULL: none */
    /* UPDATE: of views that are joins: asked of the child's row with the new values in it */
    struct rule_check *joined_checks;
    uint32_t joined_count;
    const struct fk_table *fks; /* foreign keys (sql/opt/fk_plan.h) that concern the statement;
                                   NULL: none */
    bool reread; /* an action of the statement's own may have changed the row since it was read */
    bool again;  /* a target before this one is the same table: it may have changed the row, too */
};

struct plan_node {
    enum plan_kind kind;
    uint32_t id; /* within the plan: index of run state and of EXPLAIN ANALYZE's counters */
    uint32_t column_count;
    const struct sql_type **types; /* of the output columns */
    uint32_t child_count;
    struct plan_node **children; /* room for two at least */
    double rows, cost;           /* estimates */
    union {
        struct {
            uint32_t row_count;
            struct bexpr ***rows;
        } values;
        struct scan_spec
            scan; /* TABLE_SCAN, INDEX_SCAN, POINT_GET, VIRTUAL_SCAN, LOOKUP_JOIN's right side */
        struct {
            struct bexpr **conjuncts;
            uint32_t count;
        } filter;
        struct {
            struct bexpr **exprs;
        } project;
        struct {
            struct plan_sort_key *keys;
            uint32_t count;
            struct bexpr *limit, *offset; /* TOPN */
            bool partial; /* TOPN of a fragment: gives also the rows that the offset skips */
            bool cuts;    /* keys are compared as far as max_sort_length says */
        } sort;
        struct {
            struct bexpr *limit, *offset;
            bool calc_found_rows;
            bool partial; /* of a fragment, as of TOPN */
        } limit;
        struct {
            struct bexpr **groups; /* output: groups, then aggregates */
            uint32_t group_count;
            struct plan_agg *aggs;
            uint32_t agg_count;
        } agg;
        struct {
            enum join_kind kind;
            uint32_t key_count;
            struct bexpr **left_keys, **right_keys; /* of one type per pair; hash, merge, lookup */
            bool *null_safe;
            struct bexpr **filters; /* rest of ON, on left ++ right */
            uint32_t filter_count;
            bool keeps_right;        /* HASH, NL: run again, it reads the left side only */
            bool apply;              /* NL: right side depends on the left row */
            struct scan_spec lookup; /* LOOKUP_JOIN: eq expressions are on the left row's columns */
            uint32_t *outer_slots;   /* APPLY: left slots passed as outer columns */
            col_id_t *outer_ids;     /* APPLY: the ids those columns have on the right side */
            uint32_t outer_count;
        } join;
        struct plan_window *window;
        struct {
            uint32_t keys; /* the first columns, by which rows differ */
        } distinct;
        struct {
            int op; /* of all children: of the first with the others */
            bool distinct;
        } setop;
        struct {
            struct bexpr *doc;
            const struct json_table *spec; /* sql/bind/json_table.h */
        } table_func;
        struct {
            uint32_t cte;
            bool working; /* the rows of the last round of a recursion */
        } cte_ref;
        /* A part of a plan that can be run in pieces of one scan's key ranges, elsewhere
         * (sql/opt/gather.c). Both nodes point to the same. */
        struct plan_fragment {
            struct plan_node *above; /* what is done with the pieces' rows: to a PLAN_FRAGMENT */
            struct plan_node *root;  /* the fragment: a chain without branches, down to the scan */
            struct plan_node *scan;
            bool eager; /* all pieces will be read */
        } * gather;
        struct {
            uint32_t cte;
            bool distinct;
            const char **names; /* of the columns, for messages */
        } recursive;
        struct {
            struct plan_target *target;
            uint32_t *columns; /* ordinals, in the order of the child's columns */
            uint32_t column_count;
            bool replace, ignore;
            bool reads_target; /* the source may read the table that is written */
            /* By position, of a query whose rows are inserted: where a column's documents come
             * from, for messages; NULL: there are none */
            struct plan_document {
                bool computed; /* bexpr_makes_document */
                const char *source;
            } * documents;
            /* ON DUPLICATE KEY UPDATE: expressions on old row ++ new row, both by ordinal, ++
             * those columns of the child */
            uint32_t *sources;
            uint32_t source_count;
            struct plan_assign *updates;
            uint32_t update_count;
            struct bexpr *
                *defaults; /* by ordinal: what a missing column gets; NULL = none (1364) */
        } insert;
        struct {
            const struct load_spec *spec;
            struct plan_assign *sets; /* SET: expressions on the row, by ordinal */
            uint32_t set_count;
        } load;
        struct {
            struct plan_target *targets;
            uint32_t target_count;
            bool ignore;
            bool ordered;        /* ORDER BY was said */
            struct bexpr *limit; /* single table; NULL = none */
        } dml;                   /* UPDATE, DELETE */
    } u;
};

/* A node without children, which has room for two. NULL: out of memory. */
static inline struct plan_node *plan_node_new(struct arena *arena, enum plan_kind kind)
{
    enum { ROOM = 2 };
    struct plan_node *n = arena_calloc(arena, 1, sizeof(*n) + ROOM * sizeof(*n->children));
    if (n != NULL) {
        n->kind = kind;
        n->children = (struct plan_node **)(n + 1);
    }
    return n;
}

struct plan_size {
    struct plan_size *next;
    const struct table_def *table;
    double rows;
};

enum plan_shape {
    PLAN_SHAPE_TREE,
    PLAN_SHAPE_POINT_SELECT, /* root is [PROJECT] POINT_GET of one key */
    PLAN_SHAPE_POINT_UPDATE, /* UPDATE of POINT_GET of one key */
    PLAN_SHAPE_POINT_DELETE,
    PLAN_SHAPE_INSERT_VALUES, /* INSERT of VALUES rows of parameters and constants */
};

/* How its tables are read: what SHOW STATUS counts as Select_ and Created_tmp_tables. */
struct plan_reads {
    uint32_t scans, ranges;           /* the first table of a query block */
    uint32_t full_joins, range_joins; /* the tables that are joined to it */
    uint32_t no_index;    /* of both kinds: tables read whole that have rows of their own */
    uint32_t temporaries; /* results that are kept while they come together */
};

/* What a plan does to tables, as MySQL counts it: FOR UPDATE writes, and tables without
 * transactions are apart. */
enum plan_use {
    PLAN_USE_READS = 1,
    PLAN_USE_READS_OTHER = 2,
    PLAN_USE_WRITES = 4,
    PLAN_USE_UNSAFE = 8 /* see struct bound_stmt */
};

struct plan {
    enum plan_shape shape;
    enum bound_kind kind;
    struct plan_node *root;
    uint32_t node_count;
    struct lcolumn *result; /* SELECT */
    uint32_t result_count;
    uint32_t param_count;
    struct sql_type *param_types;
    const struct param_place *param_places; /* see struct bound_stmt */
    const struct early_cast *early;         /* the last first */
    uint32_t early_count;
    uint32_t subquery_count;
    struct bsubquery **subqueries; /* by id; each has its plan */
    uint32_t cte_count;
    struct plan_node **ctes;
    size_t stack;   /* by how much planning it made the stack grow; running it asks for as much */
    bool read_only; /* takes no locks, changes nothing */
    bool uses_tables;
    bool cacheable;
    uint8_t use;            /* enum plan_use */
    uint64_t time_limit_ms; /* MAX_EXECUTION_TIME of a SELECT; 0: none */
    bool has_reads;         /* any of `reads` is not 0 */
    struct plan_reads reads;
    struct slice *into_vars;
    uint32_t into_var_count;
    const struct into_file *into_file;
    uint32_t table_count; /* all base tables, for metadata locks and privileges */
    const struct table_def **tables;
    uint32_t fk_lock_count; /* tables that foreign keys bring in, for metadata locks */
    const struct table_def **fk_locks;
    uint32_t fk_table_count; /* ids of fk_table */
    struct priv_needs needs; /* checked at each run */
    uint64_t catalog_version;
    uint64_t temporary_version;              /* of the session's temporary tables, 0: it had none */
    const struct catalog_snapshot *snapshot; /* reference held by the plan */
    /* For the session's statistics: ids of the statement's normal form, with one row and with
     * several (it may forget them); 0: not known yet; and the class of statements. */
    _Atomic uint64_t digests[2];
    uint16_t event_class;
    /* The sizes of tables that the optimizer asked for, and when they were last looked at
     * (sql/session/estimate.c). */
    struct plan_size *sizes;
    _Atomic uint64_t sizes_looked_ns, sizes_epoch;
    struct arena arena;
    _Atomic uint32_t refs;
};

void plan_ref(struct plan *plan);
void plan_unref(struct plan *plan); /* frees with the last */

#endif
