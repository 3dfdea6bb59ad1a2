/* Private to sql/bind. */
#ifndef SKEIN_SQL_BIND_BIND_INT_H
#define SKEIN_SQL_BIND_BIND_INT_H

#include "sql/bind/bind.h"
#include "sql/bind/json_table.h"
#include "sql/diag/my_error.h"

/* Where an expression stands, for messages and for what is allowed there. */
enum bind_place {
    PLACE_FIELDS,
    PLACE_WHERE,
    PLACE_ON,
    PLACE_GROUP,
    PLACE_HAVING,
    PLACE_ORDER,
    PLACE_LIMIT,
    PLACE_TABLE_FUNC,
    PLACE_VALUES,
    PLACE_WINDOW_PARTITION,
    PLACE_WINDOW_ORDER,
};

struct select_item {
    struct slice name; /* alias or text */
    bool has_alias;
    const struct ast_expr *ast;
    struct bexpr *expr;
    struct lcolumn column; /* metadata of the result column; id given when projected */
};

/* The tables to the left of the one being bound, within one FROM clause: what LATERAL sees. */
struct left_tables {
    const struct left_tables *up; /* further left */
    const struct lcolumn *columns;
    uint32_t count;
};

/* A table that reads columns of tables to its left. */
struct lateral_use {
    struct lateral_use *next;
    struct bsubquery reads; /* outer_columns: what it reads of its left tables and of enclosing
                               queries */
};

/* A window of a query block: of its WINDOW clause, or of an OVER (...). */
struct block_window {
    const struct ast_window *ast;
    struct slice name;
    bool bound, in_progress;
    struct scope *scope; /* of the block */
    struct bexpr **partition;
    uint32_t partition_count;
    struct lsort_key *order;
    uint32_t order_count;
    const struct ast_window *frame; /* whose frame counts; NULL: the default */
};

struct block_windows {
    struct block_window **list; /* the named ones first */
    uint32_t count, named, cap;
};

/* A join's condition that is not bound yet, and what it sees. */
struct on_later {
    struct on_later *next;
    const struct ast_expr *on;
    struct lcolumn *columns;
    uint32_t count;
};

/* An aggregate function that stands in a subquery and reads columns of this block only. */
struct outer_agg {
    struct outer_agg *next;
    struct bexpr *call; /* BEXPR_AGG on this block's rows */
    col_id_t out;
};

/* One query block's names. */
struct scope {
    struct scope *parent;
    struct lcolumn *columns;
    uint32_t count;
    struct select_item *items; /* for GROUP BY, HAVING, ORDER BY */
    uint32_t item_count;
    const struct ast_select_list *ast_items;
    enum bind_place place;
    const struct ast_expr *condition; /* the whole ON, WHERE or HAVING that is bound; or NULL */
    bool aggs_allowed;
    bool has_agg;
    struct outer_agg *outer_aggs;
    bool grouped;                         /* there is a GROUP BY */
    bool items_known;                     /* the select list is bound */
    const struct ast_expr_list *group_by; /* HAVING knows its columns */
    uint32_t in_agg;                      /* nesting of aggregate calls being bound */
    bool straight;                        /* SELECT STRAIGHT_JOIN */
    bool skip_on;                         /* while FROM is bound: conditions of joins are not */
    struct on_later *on_later;            /* with skip_on: they, in MySQL's order */
    struct block_windows *windows;        /* NULL: window functions are not allowed here */
    const char *in_window_spec;           /* name of the window whose definition is being bound */
    bool window_err; /* what was wrong first is of a window, not of the values that it is over */
    bool in_window_call;
    struct bsubquery *sub;          /* the subquery this block belongs to, NULL at the top */
    const struct left_tables *left; /* while FROM is bound */
    const struct hint_block *hints; /* or NULL */
    bool document; /* of JSON_TABLE, whose columns are the parent's; subqueries see neither */
    /* ON DUPLICATE KEY UPDATE: VALUES(col) */
    const struct bound_target *insert_target;
    col_id_t *insert_new;
    /* UPDATE/INSERT: columns resolve by ordinal of this table (bind_scalar) */
    bool by_ordinal;
};

struct cte_def {
    struct cte_def *outer;
    const struct ast_cte *ast;
    struct scope *scope;   /* names its query may see */
    struct bsubquery *sub; /* the subquery it stands in, NULL at the top */
    bool recursive;        /* WITH RECURSIVE */
    /* once bound, unless it reads columns of enclosing queries: then each reference binds it */
    struct lnode *root;
    uint32_t id;
    /* while it is bound */
    bool in_progress;
    bool is_union;
    struct scope inner;            /* between `scope` and the query */
    struct bsubquery reads;        /* outer columns */
    const struct lcolumn *columns; /* of the recursive table; NULL: not known yet */
    uint32_t column_count;
    uint32_t references; /* recursive ones in the current query block */
    uint32_t derived_depth, null_side;
};

/* A view whose text is being bound. */
struct view_use {
    const struct view_use *outer;
    const struct table_def *def;
    struct slice alias;
    bool of_subquery; /* it is read by a subquery, through no derived table */
};

/* A table that a subquery reads through a view, none of whose rows are complete before. */
struct view_read {
    const struct view_read *next;
    const struct lnode *table;
};

struct open_temporary {
    struct open_temporary *next;
    const struct table_def *def;
    struct slice alias;
};

struct binder {
    struct arena *arena;
    const struct bind_opts *opts;
    struct diag *diag;
    struct func_bind_ctx func;
    struct bound_stmt *stmt;
    const struct locking_tail *locking;   /* clauses of the queries around; NULL: there are none */
    const struct ast_select *into_select; /* the query block that INTO may stand in; or NULL */
    const struct ast_body *sent;          /* whose rows go to a client; NULL: not one SELECT's */
    /* INSERT ... SELECT ... ON DUPLICATE KEY UPDATE may read the tables of this block, or of TABLE
     * t: their columns, once they are bound and the block does not group. */
    const struct ast_body *source_body;
    const struct lcolumn *source_columns;
    uint32_t source_column_count;
    struct cte_def *ctes;
    struct lateral_use *laterals; /* all so far, newest first */
    struct bsubquery **subqueries;
    uint32_t subquery_filled;
    col_id_t next_col;
    bool scalar;        /* bind_scalar: there is no statement that could run a subquery */
    uint32_t null_side; /* nesting of outer joins' inner sides */
    const struct ast_insert *insert;    /* that is being bound; NULL: none */
    bool dml_target;                    /* the FROM clause of UPDATE and DELETE is being bound */
    const struct view_use *views;       /* innermost first */
    const struct view_read *view_reads; /* newest first */
    bool of_subquery;                   /* the same of a view that is bound next (view_use) */
    struct open_temporary *temporaries; /* used so far */
    uint32_t derived_depth; /* > 0 inside a derived table or a common table expression */
    /* Calls of random functions, and uses of variables that the statement assigns, so far; not
     * those of derived tables that are complete. */
    struct unsteady {
        uint32_t random, assigned;
    } unsteady;
    /* A query block is bound, or the conditions of a change of several tables. MYSQL: only there
     * text is converted to the DATE that it is compared with (late_date.c). */
    bool of_block;
    bool joins_query; /* with func.apart: IN compares as a join with the subquery would */
    bool operand;     /* the body that is bound next is an operand of a set operation */
    /* The rows of a set operation that is bound next lie in a table of their own: those of a
     * subquery, those that are sorted, the operands of what is not UNION ALL. */
    bool set_in_table;
    /* What is asked of its rows: whether there are more of the same, and their order, means
     * nothing to EXISTS, IN, ANY and ALL, the order nothing to a query that is a value. */
    enum rows_asked { ROWS_EACH, ROWS_UNORDERED, ROWS_AS_SET } rows_asked;
    /* bind_access.c */
    struct priv_need *needs;
    uint32_t need_count, need_cap;
    struct acl_name definer; /* in whose name tables are read; user.ptr NULL: the session's */
    priv_t access;           /* of the next base table that is named: at least on one column */
    priv_t target_access;    /* the same of the tables of UPDATE and DELETE */
    int column_use;          /* PRIV_NEED_* of the columns that are bound */
    /* An ON or WHERE of this block is wrong. MYSQL: what is wrong in the select list is told first,
     * which another run (`condition_err` has the first one's error) finds out; and one more when
     * that is a block within it. */
    const void *condition_of; /* the block's struct ast_select, ast_update or ast_delete */
    const void *const *told;  /* the blocks of which that is known */
    uint32_t told_count;
    const struct diag *condition_err;
};

static inline bool bind__is_told(const struct binder *b, const void *block)
{
    for (uint32_t i = 0; i < b->told_count; i++) {
        if (b->told[i] == block) {
            return true;
        }
    }
    return false;
}

/* bind_access.c: each answers 1142, 1143, 1356, 1449 when the privilege is missing. */
/* A reference to a table or view; `any` is needed of it or of one of its columns. */
db_err bind__need(struct binder *b, const struct table_def *def, priv_t any, uint32_t *ret_need);
db_err bind__need_table(struct binder *b, uint32_t need, priv_t whole, priv_t any);
db_err bind__need_column(struct binder *b, uint32_t need, uint32_t ordinal, int kind);
/* SELECT ... FOR UPDATE: the right to change the rows, or LOCK TABLES. */
db_err bind__need_lock(struct binder *b, uint32_t need);
/* MYSQL: a column of * that may not be read is told as the table. */
db_err bind__need_star(struct binder *b, const struct lcolumn *c);
/* Before 1054 is told. */
db_err bind__need_unknown(struct binder *b, const struct scope *scope, struct slice name);
void bind__finish_needs(struct binder *b);
/* bind_dml.c: of the table that is written and of the views above it, the one that is named first;
 * of a column of it. */
db_err bind__need_target(struct binder *b, const struct lnode *table, priv_t whole, priv_t any);
db_err bind__need_written(struct binder *b, const struct lnode *table, uint32_t ordinal, int kind);

/* scope.c */
struct lcolumn *bind__add_columns(struct binder *b, const struct lcolumn *left, uint32_t left_count,
                                  const struct lcolumn *right, uint32_t right_count);
/* MYSQL: names in GROUP BY that are a column and, of the select list, something else: a warning, or
 * 1052 for what is two columns there. */
db_err bind__grouped_names(struct binder *b, struct scope *scope);
/* MYSQL: a name that is all of a key of GROUP BY or ORDER BY is the select list's when it is a
 * column of two tables; two columns of that list are ambiguous (1052). NULL: it is not there.
 */
db_err bind__listed_item(struct binder *b, struct scope *scope, const struct ast_column *c,
                         struct bexpr **ret);
db_err bind__column(struct binder *b, struct scope *scope, const struct ast_column *c,
                    struct bexpr **ret);
const char *bind__place_name(enum bind_place place);
/* MYSQL: an aggregate function belongs to the innermost block that it reads columns of, if that
 * may have one. The columns that subqueries read, before the arguments are bound: */
struct outer_reads;
db_err bind__outer_reads(struct binder *b, const struct scope *scope, struct outer_reads **ret);
/* The block that the arguments of e belong to: `scope`, or one around it that aggregates; then
 * they are made its own. *ret_depth: how far out. */
struct scope *bind__agg_owner(struct scope *scope, struct bexpr *e,
                              const struct outer_reads *before, uint32_t *ret_depth);
/* The call as a column of the block around. */
db_err bind__outer_agg(struct binder *b, struct scope *scope, struct scope *owner, uint32_t depth,
                       struct bexpr *call, struct bexpr **ret);
col_id_t bind__new_col(struct binder *b);
/* The one column of this very block's FROM that the name is; NULL: none, or several. */
const struct lcolumn *bind__column_here(const struct scope *scope, const struct ast_column *c);
/* Is it one of those that `*` or `table.*` stands for? */
bool bind__is_of_star(const struct lcolumn *c, const struct ast_column *star);
/* NULL: no memory. c lives as long as the expression. */
struct bexpr *bind__column_expr(struct binder *b, const struct lcolumn *c);
/* The same of a column whose description is the caller's: it is copied. */
struct bexpr *bind__made_column(struct binder *b, const struct lcolumn *c);
/* A column of the block as messages name it; \"?\" if it is none. */
const char *bind__column_name(struct binder *b, const struct scope *scope, col_id_t id);

/* bind_locking.c */
/* A query's locking clauses, and the block that they are of. */
struct locking_tail {
    const struct locking_tail *outer;
    const struct ast_locking_list *locking;
    const struct ast_body *block;
};
/* Before anything of q is bound: its locking clauses are looked at and become b->locking, whose
 * value before the caller puts back; tail is the caller's. ERR_SQL 3568, 3569. */
MUST_USE db_err bind__begin_locking(struct binder *b, const struct ast_query *q,
                                    struct locking_tail *tail);
/* Marks the tables of the block's FROM that b->locking locks. ERR_SQL 1142, 3550. */
MUST_USE db_err bind__lock_block(struct binder *b, const struct ast_body *block, struct lnode *n);

/* bind_expr.c */
/* As bind__expr; a row is refused (1241). */
db_err bind__scalar_expr(struct binder *b, struct scope *scope, const struct ast_expr *e,
                         struct bexpr **ret);
db_err bind__expr(struct binder *b, struct scope *scope, const struct ast_expr *e,
                  struct bexpr **ret);
db_err bind__conjuncts(struct binder *b, struct scope *scope, const struct ast_expr *e,
                       struct bexpr ***io_list, uint32_t *io_count);
/* make.c: nodes */
/* A warning of the statement as it is written; its plan is then not shared. */
/* ---- bind_hints.c ---- */

/* A query block begins: what hints say of it is in force, and names that they name in vain are
 * warned of. hints: those of the SELECT, UPDATE or DELETE, or NULL. */
/* What hint_env.tell is to be: arg is a binder. */
void bind__tell_hint(void *b, enum my_errno number, const char *text);
MUST_USE db_err bind__block_hints(struct binder *b, struct scope *scope,
                                  const struct ast_hints *hints, const struct ast_table *from);
MUST_USE db_err bind__insert_hints(struct binder *b, const struct ast_insert *s);
/* A table of the FROM clause is bound. */
void bind__table_hints(const struct scope *scope, const struct ast_table *t, struct lnode *io);

void bind__warn(struct binder *b, enum my_errno number, ...);
void bind__warn_text(struct binder *b, enum my_errno number, const char *text);
/* What func has bound goes by a literal of this text (func_bind_ctx.by_text): the plan is not
 * shared. */
void bind__take_by_text(struct binder *b);
/* As bind__warn_text, of any enum cast_level. */
void bind__tell(struct binder *b, int level, enum my_errno number, const char *text);
struct bexpr *bind__new(struct binder *b, enum bexpr_kind kind, const struct sql_type *type,
                        uint32_t arg_count);
db_err bind__const(struct binder *b, const struct value *v, const struct sql_type *type,
                   uint8_t coercibility, struct bexpr **ret);
db_err bind__cast(struct binder *b, struct bexpr *e, const struct sql_type *to, bool is_explicit,
                  struct bexpr **ret);
/* The same of a value that a table has kept: DECIMAL with the decimals of its type
 * (bind__own_decimals). */
db_err bind__cast_stored(struct binder *b, struct bexpr *e, const struct sql_type *to,
                         bool is_explicit, struct bexpr **ret);
/* Text of a charset that does not have it is error 3854: a constant's now, a parameter's when the
 * statement begins. Other expressions: nothing. */
db_err bind__must_fit(struct binder *b, struct bexpr *text, const struct sql_type *to);
/* The same of text whose charset is another one than the collation's. */
db_err bind__text_fits(struct binder *b, struct bexpr *text, unsigned collation);
/* The constant or parameter that a column of a query is, through derived tables that are merged;
 * NULL: it is none. */
struct bexpr *bind__constant_of(const struct binder *b, const struct lnode *n, col_id_t id);
/* Text that is compared with several texts (IN, BETWEEN, CASE) meets all of them in one collation,
 * to which they are cast. numbers: that may stand among them. With anything else among them nothing
 * is done. ERR_SQL 1267, 1270, 1271.
 * MYSQL: beside text a date or time is text, too, of latin1. */
db_err bind__agree_texts(struct binder *b, const char *operation, bool numbers, struct bexpr **args,
                         uint32_t count);
/* Calls a function row: arity, argument casts, folding. args is kept. */
db_err bind__call(struct binder *b, const struct func_def *def, struct bexpr **args, uint32_t count,
                  struct bexpr **ret);
db_err bind__op(struct binder *b, const char *op, struct bexpr **args, uint32_t count,
                struct bexpr **ret);
db_err bind__op2(struct binder *b, const char *op, struct bexpr *x, struct bexpr *y,
                 struct bexpr **ret);
/* padded_text.c. What is made a number of type `to`: a column that is read with blanks comes
 * without them. */
db_err bind__number_source(struct binder *b, const struct sql_type *to, bool is_explicit,
                           struct bexpr **io);
/* What a column of the type that holds v, or what is stored of e, is read as. */
db_err bind__held_const(struct binder *b, const struct value *v, const struct sql_type *type,
                        struct bexpr **ret);
db_err bind__held(struct binder *b, struct bexpr *e, const struct sql_type *type,
                  struct bexpr **ret);
/* A side of a set operation, whose columns have the types of the common ones: CHAR as long as that
 * is. */
db_err bind__pad_side(struct binder *b, const struct lcolumn *common, uint32_t count,
                      struct lnode **io);
/* AND/OR of a list; flattens; an empty list is TRUE/FALSE. */
db_err bind__logic(struct binder *b, enum bexpr_kind kind, struct bexpr **args, uint32_t count,
                   struct bexpr **ret);
/* One type for all, casts inserted. */
db_err bind__agree(struct binder *b, const char *operation, struct bexpr **args, uint32_t count,
                   struct sql_type *ret_type, uint8_t *ret_coercibility);
/* The same where one of them is chosen: a DECIMAL remembers the decimals that it had. */
db_err bind__agree_branches(struct binder *b, const char *operation, struct bexpr **args,
                            uint32_t count, struct sql_type *ret_type, uint8_t *ret_coercibility);
struct func_arg bind__arg(const struct bexpr *e);
/* The type of an expression whose values are those of type t, a column's perhaps: MYSQL: it forgets
 * how long a vector may be and how wide an integer is shown. */
struct sql_type bind__result_type(struct sql_type t);
/* IF or CASE as text that is read as a date: *io has that of the chosen branch (case_value.c). */
MUST_USE db_err bind__moment_choice(struct binder *b, struct bexpr **io);
/* Where text that becomes a DECIMAL comes from: TYPE_W_COLUMN_TEXT, TYPE_W_MADE_TEXT, or 0
 * (case_value.c). */
unsigned bind__text_source(const struct bexpr *e);
/* bind__cast of what is asked for a value, and not stored (case_value.c). */
enum bind_asker { BIND_ASKED, BIND_ASKED_BY_CAST, BIND_ASKED_BY_COMPARISON };
MUST_USE db_err bind__cast_asked(struct binder *b, struct bexpr *e, const struct sql_type *to,
                                 enum bind_asker asker, struct bexpr **ret);
/* Text, or a name of ENUM or SET, of a type as text of a collation: of BINARY as many bytes as its
 * characters may have. */
struct sql_type bind__text_in(const struct sql_type *from, uint16_t collation);
/* Text that is compared with a date and has no value before the execution (late_date.c): what the
 * comparison's cast of it says and refuses. source: the text's expression. */
void bind__late_date(const struct binder *b, const struct func_arg *date, struct func_arg *text,
                     const struct bexpr *source);
/* The comparison's cast of text to a DATETIME beside a DATE, when both differ from row to row: to a
 * DATE. */
void bind__only_date(const struct binder *b, const struct bexpr *date, const struct bexpr *text,
                     struct func_arg *io);
/* Has the column of a derived table's query one value in a statement? Of a table of one row at the
 * most it has, and so has what a merged table makes of no columns. */
bool bind__is_steady(const struct binder *b, const struct lnode *query, col_id_t id);
/* Is it a constant without the execution: of no column, variable, `?`, nor NOW() or USER()? */
bool bind__is_known_early(const struct bexpr *e);
/* MYSQL: a derived table is kept apart also for a select item with a subquery that is not the same
 * for all its rows (bind_depend.c). */
bool bind__items_repeat(const struct lnode *n);
/* never_true.c. Is one of the conditions not true whatever is read? What it says of a lifted
 * literal serves this text alone. */
MUST_USE db_err bind__never_true(struct binder *b, struct bexpr *const *conjuncts, uint32_t count,
                                 bool *ret);
/* The conditions of WHERE or ON, bound: which of their equalities refuse such text. */
MUST_USE db_err bind__refuse_dates(struct binder *b, struct bexpr **conjuncts, uint32_t count);
/* The cast is done once, when the statement begins. */
MUST_USE db_err bind__early(struct binder *b, struct bexpr *cast);
/* list_early.c. args: what IN looks up and its list, as bound: is the list computed before a row is
 * read? If so: a member of it, and a comparison with one. */
bool bind__list_is_early(const struct binder *b, struct bexpr *const *args, uint32_t count);
MUST_USE db_err bind__list_member_early(struct binder *b, struct bexpr **io);
MUST_USE db_err bind__list_part_early(struct binder *b, struct bexpr *part);
/* MYSQL: IF and CASE of DECIMAL, where their value becomes text at once, show each value with the
 * decimals that it has itself and not with those of the common type. */
MUST_USE db_err bind__own_decimals(struct binder *b, struct bexpr *e);
/* One of the values that were cast to a common DECIMAL: as it was. */
MUST_USE db_err bind__branch_decimals(struct binder *b, struct bexpr **io);
/* The same where the value becomes a number of a document, of IFNULL and COALESCE too. */
MUST_USE db_err bind__json_decimals(struct binder *b, struct bexpr *e);
/* case_text.c: the text that a client is sent for e, a BIT or DECIMAL of the outermost query, when
 * it is not that of the value; else NULL. */
MUST_USE db_err bind__sent_text(struct binder *b, struct bexpr *e, struct bexpr **ret);
/* The text of a number that IF, CASE or NULLIF choose, when it is not that of the value; else
 * NULL. e stays as it is. */
MUST_USE db_err bind__chosen_text(struct binder *b, struct bexpr *e, struct bexpr **ret);
db_err bind__fold(struct binder *b, struct bexpr *e, struct bexpr **ret);
void bind__inherit(struct bexpr *e);
db_err bind__too_deep(struct binder *b);

/* bind_literal.c */
db_err bind__literal(struct binder *b, const struct ast_literal *l, struct bexpr **ret);
db_err bind__param(struct binder *b, const struct ast_param *p, struct bexpr **ret);

/* bind_param.c: what PREPARE learns of parameters; at other times these do nothing */
/* How values are compared. */
enum bind_compared {
    BIND_COMPARED_PAIR, /* one by one */
    BIND_COMPARED_SPAN, /* BETWEEN: as the widest of their numbers */
    BIND_COMPARED_LIST, /* with what is known when the statement begins */
    BIND_COMPARED_TEXT  /* as text, whatever they are */
};
/* Values that are compared, or rows of them: parameters are as the first of the others. */
MUST_USE db_err bind__note_compared(struct binder *b, struct bexpr *const *args, uint32_t count,
                                    enum bind_compared how);
/* What is looked for among the rows of a subquery: MYSQL: those give it no collation. */
void bind__note_searched(struct binder *b, struct bexpr *x, const struct bexpr *found);
/* A parameter that is used as a number of this kind; nothing happens to another expression. */
MUST_USE db_err bind__note_number(struct binder *b, struct bexpr *e, enum func_number kind);
/* One that is asked for an integer when it is used, whatever it is then. */
MUST_USE db_err bind__note_argument(struct binder *b, struct bexpr *e);
/* Values one of which is the result: parameters are as the first of the others. */
MUST_USE db_err bind__note_branches(struct binder *b, struct bexpr *const *args, uint32_t count);
/* One that is asked for a moment: struct param_place.number. */
void bind__note_moment(struct binder *b, struct bexpr *e, unsigned number);
/* Arguments of a function. */
MUST_USE db_err bind__note_operands(struct binder *b, const struct func_def *def,
                                    struct bexpr **args, uint32_t count);
/* What is stored in a column of this type. */
MUST_USE db_err bind__note_stored(struct binder *b, const struct bexpr *e,
                                  const struct sql_type *column);

/* bind_compare.c */
db_err bind__comparison(struct binder *b, enum ast_op op, struct bexpr *x, struct bexpr *y,
                        struct bexpr **ret);
/* One of several comparisons of an IN list, BETWEEN or CASE. */
db_err bind__comparison_among(struct binder *b, enum ast_op op, struct bexpr *x, struct bexpr *y,
                              struct bexpr **ret);
/* A volatile *io, or one of many levels, that will stand in several places becomes what stands
 * there for it, *ret_held is the expression; of any other *ret_held is NULL and nothing happens.
 * bind__release then puts the expression around all of these places, so that it is evaluated once;
 * `as` is one of them. */
db_err bind__hold(struct binder *b, struct bexpr **io, struct bexpr **ret_held);
db_err bind__release(struct binder *b, struct bexpr *held, const struct bexpr *as,
                     struct bexpr **io);
db_err bind__in(struct binder *b, struct scope *scope, const struct ast_in *in, struct bexpr **ret);
db_err bind__between(struct binder *b, struct scope *scope, const struct ast_between *e,
                     struct bexpr **ret);

/* bind_func.c */
db_err bind__func(struct binder *b, struct scope *scope, const struct ast_func *f,
                  struct bexpr **ret);
db_err bind__interval(struct binder *b, struct scope *scope, const struct ast_expr *date,
                      const struct ast_interval *iv, bool subtract, struct bexpr **ret);
db_err bind__add_interval(struct binder *b, struct bexpr *date, struct bexpr *amount, int unit,
                          bool subtract, struct bexpr **ret);
db_err bind__aggregate(struct binder *b, struct scope *scope, const struct ast_aggregate *a,
                       struct bexpr **ret);
db_err bind__cast_expr(struct binder *b, struct scope *scope, const struct ast_cast *c,
                       struct bexpr **ret);
db_err bind__cast_binary(struct binder *b, struct bexpr *e, struct bexpr **ret);
/* The type of the values of CAST(value of `from` AS type ARRAY). 1235. */
db_err bind__array_element(struct binder *b, const struct ast_type *type,
                           const struct sql_type *from, struct sql_type *ret);
/* The type of CAST(value of `from` AS type), RETURNING type. name: what errors call it. */
db_err bind__cast_target(struct binder *b, const struct ast_type *type, const struct sql_type *from,
                         struct slice name, struct sql_type *ret);
db_err bind__collate(struct binder *b, struct scope *scope, const struct ast_collate *c,
                     struct bexpr **ret);

/* bind_definition.c: expressions of definitions (opts->use) */
db_err bind__definition_allows(struct binder *b, const struct ast_expr *e);
db_err bind__definition_unknown_column(struct binder *b, const char *name);
db_err bind__definition_function(struct binder *b, const char *name);
db_err bind__definition_row(struct binder *b);

/* bind_json.c */
db_err bind__json_value(struct binder *b, struct scope *scope, const struct ast_json_value *e,
                        struct bexpr **ret);

/* MYSQL: a condition of IF and CASE takes JSON as a number, others compare it with JSON's 0. */
db_err bind__json_condition(struct binder *b, struct bexpr **io);
/* bind_definition.c: no definition reads a VECTOR column (3064). */
MUST_USE db_err bind__definition_column(struct binder *b, const struct lcolumn *c);
/* bind_vector.c: 1210 for a VECTOR among the arguments of what takes none: a function, a form of
 * that name, an aggregate, a cast. */
MUST_USE db_err bind__take_vectors(struct binder *b, const struct func_def *def,
                                   struct bexpr **args, uint32_t count);
MUST_USE db_err bind__refuse_vector(struct binder *b, const char *name, const struct bexpr *arg);
MUST_USE db_err bind__refuse_agg_vectors(struct binder *b, const struct agg_def *def,
                                         struct bexpr *const *args, uint32_t count);
MUST_USE db_err bind__refuse_vector_cast(struct binder *b, const struct ast_type *to,
                                         const struct bexpr *arg);
/* For x op ANY or ALL (y). */
MUST_USE db_err bind__refuse_vector_order(struct binder *b, enum ast_op op,
                                          const struct sql_type *x, const struct sql_type *y);
/* A vector as the binary string that it is. */
MUST_USE db_err bind__vector_bytes(struct binder *b, struct bexpr **io);
/* MYSQL: BETWEEN takes JSON as text, or as a number beside numbers. */
db_err bind__json_between(struct binder *b, struct bexpr **x, struct bexpr **low,
                          struct bexpr **high);
/* MYSQL: CASE x WHEN y takes JSON beside a string as text, beside a number as a DOUBLE. */
db_err bind__json_when(struct binder *b, struct bexpr **x, struct bexpr **y);

/* bind_json_table.c */
db_err bind__json_table(struct binder *b, struct scope *scope, const struct ast_json_table *a,
                        struct lnode **ret);

/* bind_subquery.c */
db_err bind__scalar_subquery(struct binder *b, struct scope *scope, const struct ast_subquery *s,
                             struct bexpr **ret);
db_err bind__exists(struct binder *b, struct scope *scope, const struct ast_subquery *s,
                    struct bexpr **ret);
db_err bind__in_subquery(struct binder *b, struct scope *scope, struct bexpr *left,
                         const struct ast_query *q, bool quantified, bool negated,
                         struct bexpr **ret);
db_err bind__quantified(struct binder *b, struct scope *scope, const struct ast_quantified *q,
                        struct bexpr **ret);

/* bind_from.c */
db_err bind__from(struct binder *b, struct scope *scope, const struct ast_table *t,
                  struct lnode **ret);
db_err bind__base_table(struct binder *b, const struct ast_name *name, struct slice alias,
                        struct lnode **ret);
/* LATERAL: a scope in which what stands in `scope`'s FROM clause further left is visible as columns
 * of an enclosing query. Bind the table with *ret_outer as parent scope and *ret_reads as its
 * subquery: column references become BEXPR_OUTER and are noted there. The joins above then pass the
 * columns on (join.lateral, run by the nested-loop join as APPLY). */
db_err bind__lateral(struct binder *b, struct scope *scope, struct scope **ret_outer,
                     struct bsubquery **ret_reads);
/* A join whose right side was bound since `mark` (b->laterals before): sets u.join.lateral and
 * what it passes. */
db_err bind__lateral_join(struct binder *b, const struct lateral_use *mark, struct lnode *join);
struct lnode *bind__node(struct binder *b, enum lnode_kind kind, struct lnode *child);
/* Looks at the conditions of joins that bind__from has passed over. Errors: of the first wrong one.
 */
db_err bind__joins_later(struct binder *b, const struct scope *scope);
db_err bind__filter(struct binder *b, struct scope *scope, const struct ast_expr *where,
                    struct lnode **io_root);

/* null_column.c */
/* MYSQL: a DATE or DATETIME column that may not be NULL IS NULL where it is the zero date, if that
 * is all that a part of WHERE says. */
MUST_USE db_err bind__zero_date(struct binder *b, const struct scope *scope, struct bexpr **io);
/* MYSQL: with sql_auto_is_null an AUTO_INCREMENT column IS NULL where it is LAST_INSERT_ID(), if
 * that is all that WHERE says; not where an outer join may have made the row. `filter` is what
 * bind__filter has made of *io_where (NULL: nothing). *io_where: the condition as MySQL shows it.
 */
MUST_USE db_err bind__last_id(struct binder *b, struct scope *scope, struct ast_expr **io_where,
                              struct lnode *filter);

/* bind_select.c, bind_agg.c, bind_query.c */
db_err bind__query(struct binder *b, struct scope *parent, struct bsubquery *sub,
                   const struct ast_query *q, struct lnode **ret_root, uint32_t *ret_visible);
db_err bind__select(struct binder *b, struct scope *parent, struct bsubquery *sub,
                    const struct ast_select *s, const struct ast_query *outer,
                    struct lnode **ret_root, uint32_t *ret_visible);
/* Everything a block computes above its input; the expressions are rewritten in place. */
struct bind_agg_input {
    struct scope *scope;
    const struct ast_select *ast;
    struct bexpr **exprs; /* select list, HAVING, ORDER BY */
    uint32_t item_count;  /* the first of exprs */
    uint32_t having_count;
    uint32_t count;
    const struct select_item *items;
    struct block_windows *windows; /* their definitions are rewritten as well */
};
db_err bind__aggregation(struct binder *b, struct bind_agg_input *in, struct lnode **io_root);
/* The GROUP BY of a block that does not group: its names must be there all the same. */
db_err bind__idle_groups(struct binder *b, struct bind_agg_input *in);
/* MYSQL: what GROUP BY and ORDER BY write as the select list does is its item, with the same value
 * of RAND(). */
db_err bind__selected(struct binder *b, const struct select_item *items, uint32_t count,
                      struct bexpr **io);
/* ANY_VALUE(x): reads one of the group's rows, whatever the mode. */
bool bind__is_any_value(const struct bexpr *e);
/* Makes the names of a WITH clause known until the caller restores b->ctes. */
db_err bind__push_ctes(struct binder *b, struct scope *parent, struct bsubquery *sub,
                       const struct ast_with *with);
db_err bind__limit(struct binder *b, const struct ast_limit *limit, bool calc_found_rows,
                   struct lnode **io_root);
db_err bind__project(struct binder *b, struct select_item *items, uint32_t count,
                     struct lnode **io_root);

/* bind_distinct.c: may a query block with DISTINCT be ordered so? */
struct bind_distinct_input {
    const struct scope *scope;
    struct bexpr *const *items; /* as they were bound, before the aggregation is split off */
    uint32_t item_count;
    struct bexpr *const *order;
    uint32_t order_count;
    const struct lnode *aggregate; /* or NULL */
};
db_err bind__distinct_order(struct binder *b, const struct bind_distinct_input *in);

/* bind_depend.c: *ret_known[id] for every column made so far. */
db_err bind__dependent_columns(struct binder *b, const struct lnode *input,
                               const struct lproj *groups, uint32_t count, const bool **ret_known);

/* bind_window.c */
db_err bind__window(struct binder *b, struct scope *scope, const struct ast_aggregate *a,
                    struct bexpr **ret);
/* MYSQL: a call that is an item of a select list lies in a table, where integers are INT or BIGINT
 * by their digits; within an expression it is of its own type. */
void bind__window_item(struct bexpr *e);
/* The windows of the WINDOW clause, into scope->windows. */
db_err bind__windows(struct binder *b, struct scope *scope, const struct ast_window_list *defs);
/* Computes the window functions in exprs[0..count) above *io_root; each becomes a column there. */
db_err bind__compute_windows(struct binder *b, const struct block_windows *windows,
                             struct bexpr **exprs, uint32_t count, struct lnode **io_root);
/* The call of an aggregate: its type, the casts of its arguments. */
db_err bind__agg_call(struct binder *b, const struct ast_aggregate *a, const struct agg_def *def,
                      struct bexpr *e);
const char *bind__agg_name(enum ast_agg_func f);
/* What MySQL's parser refuses: a call without words among its arguments that has too few or too
 * many (1582), and arguments with names (`CONCAT(a b)`), which only loadable functions have (1583,
 * 1584).
 */
db_err bind__call_parses(struct binder *b, const struct ast_func *f);
/* Is there a function of this name, built or not? */
bool bind__is_known_call(const struct ast_func *f);

/* bind_cte.c */
/* A reference to a common table expression. */
db_err bind__cte(struct binder *b, struct scope *scope, struct cte_def *cte, struct slice alias,
                 struct lnode **ret);
/* bind_query.c: for it */
db_err bind__body(struct binder *b, struct scope *parent, struct bsubquery *sub,
                  const struct ast_body *body, struct lnode **ret, uint32_t *ret_visible);
db_err bind__trim(struct binder *b, struct lnode **io, uint32_t visible);
/* set_columns.c */
/* One operand's columns, cast to the common types. */
db_err bind__cast_operand(struct binder *b, struct lnode **io, const struct lcolumn *common,
                          uint32_t n);
/* MYSQL: each column of all operands of a set operation is agreed on at once. No certain collation
 * is an error, but in what is an operand itself. */
db_err bind__common_columns(struct binder *b, enum ast_setop_kind op, struct lnode *const *operands,
                            uint32_t count, bool operand, struct lcolumn **ret);
/* bind_setop.c */
db_err bind__set_chain(struct binder *b, struct scope *parent, struct bsubquery *sub,
                       const struct ast_setop *s, bool operand, struct lnode **ret,
                       uint32_t *ret_visible);
/* The chain up to a link, without it. NULL: out of memory. */
const struct ast_body *bind__chain_before(struct binder *b, const struct ast_setop *s,
                                          uint32_t link);
/* A union whose operands come one after the other, the types of each agreed on with those of all
 * before it. */
struct growing_union {
    struct lnode *node; /* the first operand; NULL: there is none yet */
    uint32_t width;
    uint32_t depth; /* of unions below each other, as operands are cast or ALL follows DISTINCT */
    bool made;      /* the node is a union of this one's operands */
};
db_err bind__add_to_union(struct binder *b, struct growing_union *u, bool all, struct lnode *n,
                          uint32_t visible);
/* ORDER BY and LIMIT around a set operation. */
db_err bind__order_limit(struct binder *b, struct scope *parent, struct bsubquery *sub,
                         const struct ast_query *q, struct lnode **io_root, uint32_t visible);
/* scope.c: the blocks from `from` up to `owner` read an outer column. */
db_err bind__note_outer(struct binder *b, struct scope *from, const struct scope *owner,
                        col_id_t id);
/* bind_from.c */
/* MYSQL: a derived table that does more than filter and join, or reads no table, is kept in a table
 * of its own. */
bool bind__is_stored(const struct binder *b, const struct lnode *n);
db_err bind__wrap(struct binder *b, struct lnode *root, uint32_t visible, struct lnode **ret);
db_err bind__derived_columns(struct binder *b, struct slice alias,
                             const struct ast_ident_list *names, struct lnode *root,
                             uint32_t visible);

void bind__column_as_stored(struct lcolumn *c);
/* kept_decimals.c: a derived table's query, when that is kept apart: its DECIMALs have the decimals
 * of their columns; and one such value of a kept row. */
MUST_USE db_err bind__settle_decimals(struct binder *b, struct lnode *query);
MUST_USE db_err bind__settle_decimal(struct binder *b, struct bexpr **io);

/* bind_view.c */
/* A reference to a view: its query as a derived table of the view's (or the alias') name. */
db_err bind__view(struct binder *b, const struct table_def *def, struct slice alias,
                  struct lnode **ret);
/* Whether MySQL would change rows through the node that bind__view has made. */
bool bind__view_could_change(const struct lnode *n);
/* bind_view_query: what the binder has found out goes into the tree. Without effect otherwise. */
/* unnamed: of an expression's subquery, whose columns nothing can name */
db_err bind__complete_star(struct binder *b, const struct lcolumn *c, bool unnamed,
                           struct ast_select_list *io_items);
db_err bind__complete_item(struct binder *b, const struct ast_select_item *a, struct slice name,
                           bool unnamed, struct ast_select_list *io_items);
void bind__complete_items(struct binder *b, const struct ast_select *s,
                          const struct ast_select_list *items);
void bind__complete_column(struct binder *b, const struct ast_column *c,
                           const struct lcolumn *found);
/* Of a column of the table that an INSERT writes, whatever view it was named through. */
void bind__complete_stored(struct binder *b, const struct ast_column *c,
                           const struct table_def *def, const struct column_def *column);
/* *ret: the target's column that an expression of an INSERT reads, untouched when it is another
 * table's. True: of the row that ON DUPLICATE KEY UPDATE knows under its alias. */
bool bind__inserted_column(const struct binder *b, const struct lcolumn *found,
                           const struct column_def **ret);
/* The two columns that USING or NATURAL merges become a condition of ON, as MySQL keeps them; then,
 * once all are merged, the join has these conditions only. */
MUST_USE db_err bind__complete_merged(struct binder *b, const struct ast_table_join *j,
                                      const struct lcolumn *left, const struct lcolumn *right);
/* x op y; NULL: there is no memory, or one of them is NULL. */
struct ast_expr *bind__ast_both(struct binder *b, enum ast_op op, struct ast_expr *x,
                                struct ast_expr *y);
/* written: where the tree has the condition. */
void bind__complete_where(struct binder *b, struct ast_expr *const *written,
                          struct ast_expr *where);
void bind__complete_join(struct binder *b, const struct ast_table_join *j);
void bind__complete_table(struct binder *b, const struct ast_name *name,
                          const struct table_def *def);

/* bind_view_target.c */
/* What bind__view has made, as a table under conditions whose rows can be changed; *ret_ids: the
 * table's column of each of the view's. *ret == view: it cannot be. */
db_err bind__view_target(struct binder *b, struct lnode *view, bool insert, col_id_t **ret_ids,
                         struct lnode **ret);
/* What a table has of the views through which it is changed: their check options, and what they
 * need of the account, the one that is named first. */
struct view_rules {
    struct rule_check *checks;
    uint32_t check_count;
    uint32_t *needs;
    uint32_t need_count;
};
MUST_USE db_err bind__add_view_need(struct binder *b, struct view_rules *rules, uint32_t need);
/* The table as the view shows it: with the rules, and columns (*ret_columns) that have no names
 * yet; those that the view shows get theirs by bind__show_as. */
MUST_USE db_err bind__under_view(struct binder *b, struct lnode *table, const struct lnode *view,
                                 const struct view_rules *rules, struct lcolumn **ret_columns);
static inline void bind__show_as(struct lcolumn *column, const struct lcolumn *shown)
{
    column->name = shown->name;
    column->need = shown->need;
    column->need_column = shown->need_column;
}
/* The table of such a node, or the table that it is; NULL: neither. */
struct lnode *bind__target_table(struct lnode *n);
db_err bind__view_insertable(struct binder *b, const struct lnode *table);

/* bind_dml.c */
/* The block at the end of a query's text; NULL: it ends with something else. */
const struct ast_select *bind__last_select(const struct ast_body *body);
db_err bind__insert(struct binder *b, const struct ast_insert *s);
db_err bind__load(struct binder *b, const struct ast_load_data *s);
/* LOAD DATA, and INTO OUTFILE: FIELDS and LINES with their defaults. 1083. */
db_err bind__file_format(struct binder *b, const struct ast_file_format *f, struct load_spec *ret);
/* The type of @name within LOAD DATA ... SET, if the statement's list fills it. */
bool bind__load_variable(const struct binder *b, struct slice name, struct sql_type *ret);
/* The table that rows go to, as the statement's only target. Of a view: the table behind it, and
 * its columns in the view's order (else NULL and 0). */
db_err bind__insert_target(struct binder *b, const struct ast_name *name, struct lnode **ret_table,
                           col_id_t **ret_view_ids, uint32_t *ret_view_count);
/* COALESCE of the args, which it keeps; `name` is for messages. */
db_err bind__coalesce(struct binder *b, const char *name, struct bexpr **args, uint32_t n,
                      struct bexpr **ret);
/* bind_view_change.c */
/* Gives the node, and those below it as far as needed, the column as its last one. 1235: the query
 * is not of a kind through which a column can be carried. */
db_err bind__carry(struct binder *b, struct lnode *n, const struct lcolumn *c);
/* UPDATE: the base column behind a view's, whose table's columns `from` gives from here on.
 * *ret_table NULL: it is no view's that could be changed. 1348, 1393. */
db_err bind__view_column(struct binder *b, struct lnode *from, const struct lcolumn *named,
                         struct lnode **ret_table, uint32_t *ret_ordinal);
/* DELETE: the only table behind the view; NULL as above. 1395. */
db_err bind__view_rows(struct binder *b, struct lnode *from, struct lnode *view,
                       struct lnode **ret_table);
bool bind__is_join_view(struct lnode *view);
/* A view of inner joins of base tables, or of one. */
bool bind__view_merges(const struct lnode *view);
/* bind_reads.c: a table that a view's text names has been bound. */
MUST_USE db_err bind__note_view_read(struct binder *b, struct lnode *table);
/* MYSQL: are the rows of this query, of a derived table or view, read as the query around it goes,
 * and not made before? */
bool bind__rows_merge(const struct lnode *n);
/* A subquery of a change of rows that reads the table changed: ERR_SQL (1093, 1443). */
MUST_USE db_err bind__check_reads(struct binder *b);
/* The view among the tables of `from` that shows the column; NULL: none. */
struct lnode *bind__view_of(struct lnode *from, col_id_t id);
bool bind__has_check(const struct lnode *view);
/* The table, at n or below, whose column is shown as this one. NULL: it is computed. */
struct lnode *bind__trace(struct lnode *n, col_id_t id, uint32_t *ret_ordinal);
bool bind__is_below(const struct lnode *n, const struct lnode *table);
/* MYSQL: LIMIT through a view (kind: "UPDATE", "DELETE") that shows no whole key of the table. 1288
 * or a note, as updatable_views_with_limit says. */
db_err bind__view_limit(struct binder *b, struct lnode *from, const char *kind);
/* bind_view_check.c: of a view that is changed as a derived table: its check options, once for a
 * target. */
db_err bind__joined_checks(struct binder *b, struct lnode *from, struct lnode *view,
                           struct bound_target *target);
/* bind_view_insert.c: the table of the columns that the INSERT names, under the view's names. 1348,
 * 1393, 1394, 1395. */
db_err bind__insert_into_join(struct binder *b, const struct ast_insert *s, struct lnode *view,
                              struct lnode **ret_table);
/* 1348 when the INSERT names a column that the view computes. */
db_err bind__computed_column_named(struct binder *b, const struct ast_insert *s,
                                   struct lnode *view);
/* bind_duplicate.c: ON DUPLICATE KEY UPDATE, after the rows are bound. */
db_err bind__on_duplicate(struct binder *b, const struct ast_insert *s, struct lnode *table);
/* By the name that the statement uses: a view's, when it names one. NULL: there is none. */
const struct column_def *bind__column_named(const struct lnode *table, const struct ast_column *c);
/* 3105 when a generated column is given a value of its own. */
db_err bind__check_generated(struct binder *b, const struct table_def *def, uint32_t ordinal,
                             const struct bexpr *e);
db_err bind__update(struct binder *b, const struct ast_update *s);
db_err bind__delete(struct binder *b, const struct ast_delete *s);

#define BIND_NEW(b, type)      ARENA_NEW((b)->arena, type)
#define BIND_ARRAY(b, type, n) ARENA_ARRAY((b)->arena, type, (n))

#endif
