/* Logical plans: relational trees that the binder makes and the optimiser's rules rewrite.
 *
 * Each node gives an ordered list of output columns (col_ids). A bound statement (struct
 * bound_stmt) is a tree plus what the statement does with it. */
#ifndef SKEIN_SQL_BIND_LOGICAL_H
#define SKEIN_SQL_BIND_LOGICAL_H

#include "sql/bind/bexpr.h"
#include "sql/bind/hints.h"
#include "sql/bind/load_spec.h"
#include "sql/catalog/schema.h"
#include "sql/priv/need.h"

enum lnode_kind {
    LNODE_DUAL,   /* one row, no columns */
    LNODE_TABLE,  /* base or virtual table */
    LNODE_VALUES, /* rows of expressions */
    LNODE_FILTER,
    LNODE_PROJECT,
    LNODE_JOIN, /* columns: those of both children, in any order (USING): go by id */
    LNODE_AGGREGATE,
    LNODE_WINDOW,
    LNODE_DISTINCT,
    LNODE_SORT,
    LNODE_LIMIT,
    LNODE_SETOP,
    LNODE_CTE_REF,
    LNODE_RECURSIVE,
    LNODE_TABLE_FUNC, /* JSON_TABLE */
};

/* What a column of a select list was written as: CREATE TABLE ... SELECT makes other columns of
 * calls than of literals and of what lies in a table. */
enum column_made {
    MADE_STORED, /* a column, or of a table that the query keeps */
    MADE_CALL,
    MADE_LITERAL,
    MADE_IFNULL, /* its integers keep their type */
    MADE_CONCAT, /* GROUP_CONCAT */
    MADE_SUM,    /* another aggregate: its doubles keep their length */
    MADE_WINDOW,
    MADE_VARIABLE, /* a user variable */
    MADE_SUBQUERY, /* a scalar one */
};

/* MYSQL: how a message shows a column of a table: of a definition by less than its whole name. */
enum column_told {
    TOLD_WHOLE,
    TOLD_OF_TABLE, /* without the schema */
    TOLD_BARE,
};

struct lcolumn {
    col_id_t id;
    struct sql_type type;
    uint8_t coercibility;
    uint16_t text_collation; /* of a number that has one beside text; 0: it has none */
    /* for result metadata and name resolution; empty for expressions */
    struct slice name, org_name, table, org_table, schema;
    const struct column_def *def;   /* base column or NULL */
    const struct column_def *base;  /* of a derived table: the base column that it shows, or NULL */
    const struct column_def *keyed; /* of a merged derived table: the base column whose keys a
                                       result shows, or NULL */
    uint8_t told;                   /* enum column_told */
    bool hidden;                    /* not in SELECT *: USING duplicates, row ids */
    bool own_name; /* a result shows `name`, however the reference to it is written */
    uint8_t made;  /* enum column_made */
    bool own_char; /* a CHAR that is no expression, though it has no `def` */
    bool in_blob;  /* bytes: an expression that lies in a BLOB of a derived table kept apart */
    bool steady;   /* of a derived table: it has one value (bind__is_steady) */
    const struct sql_type *announced; /* to a client that is sent the value's text; or NULL */
    const struct column_def *copied;  /* MIN or MAX of a base column: that column, or NULL */
    /* Of a table or view that stands in the statement: its reference (bind_access.c), and which of
     * its columns this is. need 0: none. */
    uint32_t need, need_column;
};

enum join_kind { JOIN_INNER, JOIN_CROSS, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL, JOIN_SEMI, JOIN_ANTI };

enum join_way { JOIN_BY_COST, JOIN_BY_LOOKUP, JOIN_BY_HASH };

enum row_lock { ROW_LOCK_NONE, ROW_LOCK_SHARED, ROW_LOCK_EXCLUSIVE };
enum row_lock_wait { ROW_LOCK_WAIT, ROW_LOCK_NOWAIT, ROW_LOCK_SKIP };

struct lsort_key {
    struct bexpr *expr;
    bool descending;
};

struct lagg {
    struct agg_call *call;
    struct bexpr **args;
    struct lsort_key *order;
    uint32_t order_count;
    col_id_t out;
};

struct lproj {
    struct bexpr *expr;
    col_id_t out;
};

/* ---- windows ---- */

enum window_func {
    WINDOW_AGG, /* an aggregate function over the frame */
    WINDOW_ROW_NUMBER,
    WINDOW_RANK,
    WINDOW_DENSE_RANK,
    WINDOW_PERCENT_RANK,
    WINDOW_CUME_DIST,
    WINDOW_NTILE,
    WINDOW_LEAD,
    WINDOW_LAG,
    WINDOW_FIRST_VALUE,
    WINDOW_LAST_VALUE,
    WINDOW_NTH_VALUE,
};

enum frame_bound {
    FRAME_UNBOUNDED_PRECEDING,
    FRAME_PRECEDING,
    FRAME_CURRENT_ROW, /* RANGE: with all its peers */
    FRAME_FOLLOWING,
    FRAME_UNBOUNDED_FOLLOWING,
};

struct frame_end {
    enum frame_bound bound;
    /* FRAME_PRECEDING, FRAME_FOLLOWING. ROWS: how many, without columns. RANGE: the value that the
     * end of the row's frame has, and the ordering expression, both of one type. */
    struct bexpr *offset;
    struct bexpr *value, *key;
};

struct window_frame {
    bool rows; /* else RANGE */
    struct frame_end start, end;
};

/* One call: args[0..) are columns and constants as the function wants them (NTILE, LEAD, LAG,
 * NTH_VALUE: `number` is the argument without columns; LEAD and LAG: args[1] the default). */
struct lwindow_call {
    enum window_func func;
    struct agg_call *call; /* WINDOW_AGG */
    struct bexpr **args;
    uint32_t arg_count;
    struct bexpr *number;
    struct sql_type type;
    uint8_t coercibility;
    col_id_t out;
};

struct index_hint {
    int kind;  /* enum ast_index_hint_kind */
    int scope; /* enum ast_index_hint_scope */
    uint32_t count;
    const struct index_def **indexes;
};

struct json_table;
struct rule_check;

struct lnode {
    enum lnode_kind kind;
    uint32_t column_count;
    struct lcolumn *columns; /* output */
    uint32_t child_count;
    struct lnode **children; /* room for two at least */
    double rows;             /* estimate, < 0 = not made yet */
    union {
        struct {
            const struct table_def *def;
            struct slice alias;
            bool *used;      /* by ordinal: columns that anything above needs (set by a rule) */
            bool *idle;      /* of these: VIRTUAL ones that are not computed; NULL: none */
            bool in_derived; /* read through a derived table or a common table expression */
            const struct table_def *view; /* the outermost one that it is read through; or NULL */
            struct slice view_alias;      /* what the statement calls that */
            enum row_lock lock;
            enum row_lock_wait wait;
            uint32_t hint_count;
            struct index_hint *hints;
            const struct hint_block
                *block; /* optimizer hints on the block that reads it, or NULL */
            const struct hint_table *hinted; /* those on the table itself, or NULL */
            struct bexpr **filters;          /* pushed down by a rule: conjunction */
            uint32_t filter_count;
            struct rule_check *view_checks; /* as in struct bound_target */
            uint32_t view_check_count;
            uint32_t need;       /* its own reference, see struct lcolumn */
            uint32_t *via_views; /* those of the views through which its rows are changed */
            uint32_t via_view_count;
            /* By ordinal, of a key part with several values a row: the first such column with the
             * same document, which stands for all of them (set by a rule; NULL: there is none). */
            uint32_t *documents;
        } table;
        struct {
            uint32_t row_count;
            struct bexpr ***rows;
        } values;
        struct {
            struct bexpr **conjuncts;
            uint32_t count;
        } filter;
        struct {
            struct lproj *exprs;
            uint32_t count;
            const struct table_def *view;   /* the topmost node of a view's query; or NULL */
            uint32_t view_need;             /* the view's reference */
            bool derived;                   /* the topmost node of a derived table or view */
            const struct hint_block *block; /* as of a table: of a derived table or view */
            const struct hint_table *hinted;
        } project;
        struct {
            enum join_kind kind;
            struct bexpr **on; /* conjunction */
            uint32_t on_count;
            bool straight;         /* STRAIGHT_JOIN, of the join or of its SELECT: keep the order */
            bool lateral;          /* the right side reads columns of the left: */
            uint8_t way;           /* enum join_way: what hints say of a semijoin */
            col_id_t *lateral_ids; /* these, as outer columns */
            uint32_t lateral_count;
        } join;
        struct {
            struct lproj *groups;
            uint32_t group_count;
            struct lagg *aggs;
            uint32_t agg_count;
            bool rollup;
            bool sorted;        /* groups come in the order of their keys */
            col_id_t rolled_up; /* rollup: bit i of this column is set when group i is summed up */
        } aggregate;
        struct {
            /* The child's rows come sorted by the partition, then by the order. */
            struct bexpr **partition;
            uint32_t partition_count;
            struct lsort_key *order;
            uint32_t order_count;
            struct window_frame frame;
            struct lwindow_call *calls; /* output: the child's columns, then one for each */
            uint32_t call_count;
            struct slice name; /* for messages */
        } window;
        struct {
            struct lsort_key *keys;
            uint32_t count;
            bool groups; /* for an aggregation, by its groups */
            bool whole;  /* whatever max_sort_length says: what is above goes by the order */
        } sort;
        struct {
            struct bexpr *limit;  /* NULL = none; constant or parameter */
            struct bexpr *offset; /* NULL = 0 */
            bool calc_found_rows;
        } limit;
        struct {
            uint32_t keys; /* the first columns, by which rows differ */
        } distinct;
        struct {
            int op; /* enum ast_setop_kind, of all children: of the first with the others */
            bool distinct;
        } setop;
        struct {
            struct bexpr *doc; /* may read columns of the tables to the left, as outer columns */
            const struct json_table *spec; /* sql/bind/json_table.h */
        } table_func;
        struct {
            uint32_t cte;
            bool working; /* in a recursive query block: the rows of the last round */
            const struct hint_block *block; /* as of a table */
            const struct hint_table *hinted;
        } cte_ref;
        struct {
            uint32_t cte; /* whose working rows these are */
            bool distinct;
        } recursive; /* children: the first rows, the recursive blocks */
    } u;
};

enum bound_kind { BOUND_SELECT, BOUND_INSERT, BOUND_UPDATE, BOUND_DELETE, BOUND_OTHER };

struct bound_assign {
    uint32_t table;  /* UPDATE: which of the targets */
    uint32_t column; /* ordinal */
    struct bexpr *expr;
};

struct col_pair {
    col_id_t here, there;
};

struct bound_target { /* a table that DML changes */
    const struct table_def *def;
    struct lnode *table_node;
    col_id_t *columns;              /* by ordinal: where its columns are in the source */
    struct rule_check *view_checks; /* WITH CHECK OPTION (sql/bind/table_rules.h) */
    uint32_t view_check_count;
    /* UPDATE of a view that is a derived table: its checks name columns of another tree; `pairs`
     * tells which of ours are meant (here) */
    struct rule_check *joined_checks;
    uint32_t joined_count;
    struct col_pair *pairs;
    uint32_t pair_count;
};

/* struct param_place.number */
enum {
    PARAM_DATE = 4,              /* no number: among the branches of a DATE */
    PARAM_DATETIME = 5,          /* likewise of dates with a time of day */
    PARAM_TIME = 6,              /* likewise of a TIME */
    PARAM_MOMENTS = 7,           /* the bits of these three, with PARAM_NUMBER_COMPARED or not */
    PARAM_NUMBER_COMPARED = 8,   /* with what it is compared with */
    PARAM_NUMBER_QUOTIENT = 16,  /* an integer in a quotient */
    PARAM_NUMBER_ALONE = 24,     /* beside nothing: no number, until one is given */
    PARAM_NUMBER_ASKED = 32,     /* not of arithmetic */
    PARAM_NUMBER_TEXT = 64,      /* beside text: no number, until one is given */
    PARAM_NUMBER_ARGUMENT = 128, /* asked for an integer, whatever it is */
    PARAM_NUMBER_SECONDS = 160,  /* asked for a number that may have a fraction, likewise */
    PARAM_NUMBER_FLAGS = 248
};

/* What PREPARE knows of a parameter by the place where it stands (bind_param.c). */
struct param_place {
    bool known;           /* a place has said something */
    uint8_t number;       /* the kind of number (1 + enum func_number) that the place makes of it,
                             with a flag that says what the place is, or as what moment; 0: none */
    bool is_unsigned;     /* the number */
    bool is_compared;     /* the result is none of the operands */
    bool is_late;         /* text is read as that number where it is used: as often, and a branch of
                             IF, CASE or NULLIF may be asked for the text */
    bool is_long;         /* text that is no VARCHAR */
    uint8_t coercibility; /* of text that is given */
    uint16_t collation;   /* of text that is given; 0: the place says nothing */
    uint16_t stored;      /* of the column of text that it is stored in; 0: none */
};

struct bound_stmt {
    enum bound_kind kind;
    col_id_t next_col;      /* the last column id given */
    struct lnode *root;     /* the rows: SELECT's result; the source of INSERT; rows to change for
                               UPDATE/DELETE */
    struct lcolumn *result; /* SELECT: visible columns, root's first result_count */
    uint32_t result_count;
    uint32_t param_count;
    struct sql_type *param_types;
    uint32_t subquery_count;
    struct bsubquery **subqueries; /* by id */
    uint32_t cte_count;
    struct lnode **ctes;            /* by id; NULL: it stands where it is used */
    uint32_t *cte_references;       /* by id */
    const struct table_def **views; /* that the statement has read */
    uint32_t view_count;
    bool updatable; /* bind_view_query: MySQL would change rows through it */
    bool read_only; /* takes no locks */
    bool uses_tables;
    bool uses_variables; /* @name or @@name stands in it */
    bool unsafe; /* MYSQL: from a log of statements it might do something else than it does now */
    const struct early_cast *early; /* the last first */
    uint32_t early_count;
    bool hinted;                      /* optimizer hints stand in it */
    struct param_place *param_places; /* at PREPARE, by index; else NULL */
    bool session_bound; /* types came from variables of the session: not for the plan cache */
    /* DML */
    struct bound_target *targets;
    uint32_t target_count;
    uint32_t *insert_columns; /* ordinals in the order of root's columns */
    uint32_t insert_column_count;
    struct bound_assign *assigns; /* UPDATE SET, or ON DUPLICATE KEY UPDATE */
    uint32_t assign_count;
    col_id_t *odku_old;    /* by ordinal: the existing row's columns in assigns' expressions */
    col_id_t *odku_new;    /* by ordinal: the row that was to be inserted (VALUES(col)) */
    col_id_t *odku_source; /* columns of root behind the inserted ones that assigns read */
    uint32_t odku_source_count;
    struct load_spec *load; /* INSERT: of LOAD DATA, whose SET is in assigns; root has no rows */
    bool ignore, replace, low_priority;
    struct bexpr
        *dml_limit; /* UPDATE, DELETE ... LIMIT: counts changed rows; also a limit node in root */
    /* SELECT ... INTO */
    struct slice *into_vars;
    uint32_t into_var_count;
    struct into_file *into_file; /* or NULL */
    struct priv_needs needs;
};

/* ---- logical.c ---- */

/* A node that has `children` children, which the caller sets, and no columns yet. NULL: out of
 * memory. Room for two children is always there; a copy of the struct shares them. */
struct lnode *lnode_new(struct arena *arena, enum lnode_kind kind, uint32_t children);

/* The others are pure. */

/* Is it one of the node's columns? */
bool lnode_gives(const struct lnode *n, col_id_t id);
/* Is its text made as long as its type where it is read? Behind that, in what a query gives, it is
 * so already. */
bool lcolumn_reads_padded(const struct lcolumn *c, uint64_t sql_mode);
/* True when a conjunct cannot hold for a row whose columns of n are all NULL. made: by col_id, what
 * stands behind columns of projections between n and the conjunct; or NULL. */
bool lnode_nulls_refused(const struct lnode *n, struct bexpr *const *made,
                         const struct bexpr *conjunct);
/* What an outer join is when rows that it would make up, with NULLs for its left or its right side,
 * are refused above it. */
enum join_kind join_without_nulls(enum join_kind kind, bool left_refused, bool right_refused);

#endif
