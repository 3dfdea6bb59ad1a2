/* Bound expressions: names resolved, types, collations and casts settled.
 *
 * They are immutable once bound and live in the plan's arena; evaluation state is elsewhere
 * (sql/func/func.h). Columns are named by col_id, unique within a statement, until the physical
 * planner has given each a slot of the operator's input (`slot`). */
#ifndef SKEIN_SQL_BIND_BEXPR_H
#define SKEIN_SQL_BIND_BEXPR_H

#include "sql/func/func.h"

typedef uint32_t col_id_t; /* 0 = none */
struct lnode;
struct lcolumn;
struct plan;

enum bexpr_kind {
    BEXPR_CONST,
    BEXPR_PARAM,  /* `?` or a lifted literal: value comes with the execution, type is fixed at bind
                   */
    BEXPR_COLUMN, /* of the input rows */
    BEXPR_OUTER,  /* a column of an enclosing query (correlated) */
    BEXPR_FUNC,
    BEXPR_CAST, /* explicit or inserted; try_null: failure gives NULL and a warning */
    BEXPR_AND,  /* n-ary, three-valued, left to right */
    BEXPR_OR,
    BEXPR_CASE,     /* args: when1, then1, ..., [else]; also IF */
    BEXPR_COALESCE, /* also IFNULL */
    BEXPR_IN_LIST,  /* args[0] IN (args[1..]); all of one comparison type; constants are hashed at
                       first use */
    BEXPR_SUBQUERY_SCALAR,
    BEXPR_SUBQUERY_EXISTS,
    BEXPR_SUBQUERY_IN,         /* args: the left side's columns */
    BEXPR_SUBQUERY_QUANTIFIED, /* op ANY/ALL */
    BEXPR_ROW,                 /* only below comparisons and IN; never evaluated itself */
    BEXPR_USER_VAR,
    BEXPR_USER_VAR_SET, /* args[0] := */
    BEXPR_SYSTEM_VAR,   /* read at execution */
    BEXPR_AGG,          /* only between bind and the aggregate's split-off; carries agg_call */
    BEXPR_WINDOW,       /* likewise for window functions */
    BEXPR_GROUPING,     /* GROUPING(args): likewise, resolved with the aggregate */
    BEXPR_INSERT_VALUE, /* VALUES(col) or the row alias in ON DUPLICATE KEY UPDATE: becomes a column
                         */
    BEXPR_DEFAULT,      /* DEFAULT in INSERT/UPDATE: resolved by the DML planner */
    BEXPR_HOLD, /* args[1], in which args[0] stands in several places as HELD but is evaluated
                   once a row: it is volatile, or high */
    BEXPR_HELD,
};

enum cmp_op { CMP_EQ, CMP_NULL_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };

struct hint_block;
struct bsubquery {
    struct lnode *root;      /* logical plan */
    const struct plan *plan; /* physical, once planned */
    bool correlated;         /* uses BEXPR_OUTER columns of ours or of those around us */
    bool repeats;            /* its value differs from row to row though it is not correlated */
    bool is_row;             /* several columns are read of its one row */
    bool exists;             /* EXISTS: what its rows hold is not looked at */
    bool unnested;           /* it became a join: nothing asks for it any more */
    const struct hint_block *block; /* optimizer hints on its query block, or NULL */
    struct bexpr **equal;           /* IN: by column, left side = column of `compared` */
    struct lnode *compared;  /* IN: the query before its columns are cast for the comparison */
    uint32_t id;             /* per statement: index of the run state that caches its result */
    col_id_t *outer_columns; /* columns of the enclosing query that it reads */
    bool *outer_named;       /* of these: only as part of select items, by their alias */
    uint32_t outer_count;
};

/* MYSQL: constant text beside a column of numbers is made a number, beside a date a date, and
 * beside text of another charset is converted, once, when the statement begins, and that is when it
 * warns or fails: also when no row is read. */
struct early_cast {
    const struct early_cast *next; /* of the statement */
    const struct bexpr *cast;      /* of what has its value then, without reading a table */
    uint32_t index;                /* among the statement's, in the order they are written */
    bool decimal;                  /* the column is DECIMAL: so the warning says */
    bool lenient;      /* what is said of it is no error, though the statement be a strict change */
    bool unless_whole; /* the comparison reads the text itself: only what is wrong with one that is
                          no whole number is said */
    bool quiet;        /* nothing is said of it */
};

/* No tree is higher: what would be is refused (1436), or, by the planner, not put together. */
enum { BEXPR_HEIGHT_MAX = 4000 };

struct bexpr {
    enum bexpr_kind kind;
    uint8_t coercibility; /* 0 explicit .. 6 ignorable, MySQL's */
    bool is_const;        /* no columns, no parameters, pure: may be folded */
    bool placeholder;     /* PARAM: a `?`, no lifted literal */
    bool placed;          /* that, of text by its place: compared as any text is */
    bool own;             /* that, of its value's type for all that its place says: as a variable */
    bool by_name;         /* a select item, where it is named by its alias */
    /* PARAM, a lifted number: its decimals as written. The type of all such numbers is one. */
    uint8_t lifted_decimals;
    const struct value *lifted; /* PARAM, a lifted literal: its value in the text that is bound.
                                   What is bound by it serves that text alone (session_bound) */
    bool has_param, has_subquery, has_agg, has_window, is_volatile;
    const struct bexpr *folded; /* CONST: the expression that it was, for messages; or NULL */
    uint16_t height;            /* levels below; casts that were put in later do not count */
    uint32_t position;          /* byte offset in the statement + 1; 0 = none */
    col_id_t item; /* of a volatile select item: its copies, made of its name, are it; else 0 */
    struct sql_type type;
    const char
        *json_source; /* JSON: the function or column it comes from, for conditions; or NULL */
    uint32_t arg_count;
    struct bexpr **args;
    union {
        struct value constant; /* CONST */
        uint32_t param;        /* PARAM: 0-based */
        struct {
            col_id_t id;
            uint32_t slot;                /* set by the physical planner */
            uint32_t depth;               /* OUTER: 1 = directly enclosing query */
            const struct lcolumn *origin; /* its names, for messages; or NULL */
            bool padded;        /* its text is read as long as its type (type_reads_padded) */
        } column;               /* COLUMN, OUTER, INSERT_VALUE */
        struct func_call *func; /* FUNC */
        struct {
            bool explicit_cast;
            bool try_null;
            bool silent;      /* nothing is told of what does not fit */
            const char *name; /* of the result column that it is, for messages; may be NULL */
            const char *wide; /* what 1690 calls it that is cast; NULL: as args[0] is shown */
            struct early_cast *early; /* done when the statement begins; or NULL */
        } cast;                       /* CAST: from args[0] to type */
        struct {
            struct bsubquery *sub;
            uint32_t *
                outer_slots; /* by sub->outer_columns: slot of the input, UINT32_MAX: further out */
            uint32_t column; /* SCALAR: of the subquery's row */
            bool negated;    /* NOT EXISTS, NOT IN */
            bool all;        /* QUANTIFIED: ALL, else ANY */
            enum cmp_op op;  /* QUANTIFIED */
        } subquery;
        bool negated; /* IN_LIST */
        struct {
            bool nullif; /* CASE: of NULLIF, of IF */
            bool is_if;
        };
        bool left_out; /* DEFAULT: of a row without values, where nothing is named */
        col_id_t held; /* HOLD, HELD: what makes them a pair */
        struct {
            struct slice name;
            int scope;          /* SYSTEM_VAR: enum ast_var_scope */
            uint16_t collation; /* USER_VAR: of its text, as COLLATE asks; 0: not known */
            const void *sysvar;
        } var;
        struct {
            struct agg_call *call;
            struct bexpr **order_by;
            bool *order_desc;
            uint32_t order_count;
            uint32_t window; /* WINDOW: index of the query block's window */
            int window_func; /* enum window_func; not WINDOW_AGG: call is NULL */
            struct bexpr *number;
        } agg;
    } u;
};

/* Calls fn on every node, parents first, not into subqueries; stops at the first false and returns
 * it. */
bool bexpr_walk(const struct bexpr *e, bool (*fn)(const struct bexpr *e, void *ctx), void *ctx);
/* The expression of `(SELECT expression)`, or e itself. */
const struct bexpr *bexpr_only(const struct bexpr *e);
/* Is there a column of the current row in it? */
bool bexpr_reads_columns(const struct bexpr *e);
/* Does it assign a variable? */
bool bexpr_assigns(const struct bexpr *e);
/* Made of constants, parameters and variables only: the same for all rows, those of enclosing
 * queries, too? */
bool bexpr_is_fixed(const struct bexpr *e);
/* A document that is computed, not read from a column. MYSQL: NULL of one is told of in another way
 * where a JSON column may not be NULL (1265). */
bool bexpr_makes_document(const struct bexpr *e);
/* Same meaning: kinds, types, constants, columns equal. A volatile expression is equal to nothing,
 * or, when it is a select item, to its copies. */
bool bexpr_equal(const struct bexpr *a, const struct bexpr *b);
/* The same also of volatile expressions: they are written alike. */
bool bexpr_same_form(const struct bexpr *a, const struct bexpr *b);
/* An aggregate's name in messages. */
const char *bexpr_agg_name(const struct agg_def *def);
/* The expression as MySQL shows it in messages: (`db`.`t`.`c` + 1). What does not fit is left out.
 */
void bexpr_print(const struct bexpr *e, struct buf *out);
/* The same for a plan: (t.c + 1). column writes the name of an input column by its slot, or returns
 * false: then it is that of the column's origin. */
struct bexpr_names {
    bool (*column)(void *arg, uint32_t slot, struct buf *out);
    void *arg;
};
void bexpr_print_named(const struct bexpr *e, const struct bexpr_names *names, struct buf *out);
struct bexpr *bexpr_clone(struct arena *arena, const struct bexpr *e); /* NULL: out of memory */

#endif
