/* Private to sql/exec. */
#ifndef SKEIN_SQL_EXEC_EXEC_INT_H
#define SKEIN_SQL_EXEC_EXEC_INT_H

#include "sql/charset/charset.h"
#include "sql/exec/op.h"
#include "sql/exec/pace.h"
#include "sql/types/cast.h"
#include "sql/types/compare.h"

/* Values of enclosing queries' columns while a correlated subquery runs. */
struct outer_frame {
    struct outer_frame *up;
    uint32_t count;
    const col_id_t *ids;
    struct value *values;
};

/* What a BEXPR_HOLD holds for the rows that are being evaluated. */
struct held_value {
    struct held_value *up;
    col_id_t id;
    struct vector *value;
};

/* One node of an expression, ready to run. The vectors are made when first needed, small for few
 * rows. */
struct expr_state {
    const struct bexpr *e;
    uint32_t arg_count;
    uint32_t height; /* levels below */
    struct expr_state **args;
    struct vector *arg_vectors[4]; /* the first ones; more: `many` */
    struct vector **many;
    struct vector out;
    uint32_t cap;  /* rows that out.data has room for; 0 = not made yet */
    uint16_t *sel; /* scratch selection of CHUNK_ROWS, made when needed */
    /* The node in the condition before, of an AND, OR or list, that stands where this one stands.
     * When this one is evaluated nobody needs that one's result any more: its room serves again. */
    struct expr_state *before;
    struct pace pace;
    bool fixed;           /* the same for all rows of the execution */
    bool assigns;         /* variables: it is evaluated for one row after the other */
    bool known;           /* a fixed condition that has been looked at, and */
    bool truth;           /* what it says */
    uint32_t known_round; /* since when (exec_ctx.once_round) */
    bool once;            /* computed once in a statement (eval_once.c): by exec__eval_once */
    struct once_value *once_value;
    bool silent; /* a cast: nothing is told of what does not fit */
    struct in_list *in_list;
    bool or_looked; /* an OR: is there a table of its parts? */
    struct or_table *or_table;
    void *subquery;
};

/* Rows a batch of evaluation works on: sel[0..n) or 0..n). */
struct eval_rows {
    const struct chunk *in; /* NULL: no columns */
    const uint16_t *sel;
    uint32_t n;
};
static inline uint32_t eval_row(const struct eval_rows *r, uint32_t i)
{
    return r->sel == NULL ? i : r->sel[i];
}
/* One more than the highest row: what a result vector must hold. */
static inline uint32_t eval_extent(const struct eval_rows *r)
{
    return r->n == 0 ? 0 : r->sel == NULL ? r->n : (uint32_t)r->sel[r->n - 1] + 1;
}

db_err exec__eval(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                  struct vector **ret);
/* The node's own result vector, emptied, with room for the rows. */
db_err exec__result(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                    struct vector **ret);
/* As exec__result for a constant of one value. */
db_err exec__const_result(struct exec_ctx *ctx, struct expr_state *s, const struct value *v,
                          struct vector **ret);
/* eval_padded.c. Of the rows of *io, a column that is read with blanks behind its text. */
db_err exec__padded(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                    struct vector **io);
/* exec__const_result of such a column's value. */
db_err exec__padded_value(struct exec_ctx *ctx, struct expr_state *s, const struct value *v,
                          struct vector **ret);
/* A row whose values by ordinal may have been read so becomes what is stored. */
void exec__unpad_row(const struct exec_ctx *ctx, const struct table_def *t, struct value *row);
uint16_t *exec__scratch(struct exec_ctx *ctx, struct expr_state *s); /* NULL: out of memory */
/* eval_logic.c. Sets `before` in conditions that are looked at one after the other. */
void exec__share_room(struct expr_state *const *conditions, uint32_t count);
/* dst[row] = src[row] for the rows; same physical kind. */
void exec__copy_rows(struct vector *dst, const struct vector *src, const uint16_t *sel, uint32_t n);
/* A number's or text's truth as WHERE sees it: PHYS_INT and PHYS_DOUBLE at once, others through a
 * cast. */
db_err exec__truth(struct exec_ctx *ctx, const struct vector *v, uint32_t row, bool *ret);

/* ---- what is refused (eval_refused.c) ---- */

/* The index of the argument that a call with one of FUNC_ORDERS evaluates as the k-th. */
uint32_t exec__arg_in_order(unsigned orders, uint32_t count, uint32_t k);
/* Does the call, of one row, compute nothing more behind this argument, as there is an error? Its
 * result then. */
bool exec__stops(const struct exec_ctx *ctx, const struct expr_state *s,
                 const struct eval_rows *rows, uint32_t arg);
bool exec__case_stops(const struct expr_state *s, const struct eval_rows *rows, uint32_t cond,
                      bool holds);
db_err exec__stopped_result(struct exec_ctx *ctx, struct expr_state *s,
                            const struct eval_rows *rows, struct vector **ret);
/* In a strict change: the error of the first of the rows whose text is no truth value, and tells of
 * it. */
db_err exec__refuse_truths(struct exec_ctx *ctx, const struct vector *v,
                           const struct eval_rows *rows);
bool exec__may_repeat(const struct expr_state *s);
/* Rows have been evaluated, with err, and some of them were refused: tells of the first of those,
 * and returns its error. */
db_err exec__refused(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                     db_err err, struct vector **ret);

db_err exec__eval_and_or(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                         struct vector **ret);
/* Looks at an argument of AND or OR for the open rows. AND: false decides; OR: true decides. Rows
 * that are decided leave sel, their selection; NULL is remembered in out. */
db_err exec__decide(struct exec_ctx *ctx, struct expr_state *s, uint32_t arg, uint16_t *sel,
                    struct eval_rows *io_open, struct vector *out);
/* The value of a constant or a parameter, also of one that was cast when the statement began, or to
 * another collation of its characters, which changes no byte. NULL: e is none. */
const struct value *exec__constant(const struct exec_ctx *ctx, const struct bexpr *e);
/* eval_rows.c. Makes s->or_table, for an OR whose parts compare columns with constants. */
db_err exec__or_table(struct exec_ctx *ctx, struct expr_state *s);
/* The OR by that table; out says that it is false of all rows. */
db_err exec__eval_or_table(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                           struct vector *out);
db_err exec__eval_case(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                       struct vector **ret);
db_err exec__eval_coalesce(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                           struct vector **ret);
/* Does it take more than to look at it? */
static inline bool exec__is_computed(const struct bexpr *e)
{
    return e->arg_count != 0 || e->has_subquery;
}
/* FUNC_FIRST_EQUAL: is there an argument that is better not evaluated in vain? Then by this. */
bool exec__stops_at_equal(const struct expr_state *s);
db_err exec__eval_first_equal(struct exec_ctx *ctx, struct expr_state *s,
                              const struct eval_rows *rows, struct vector **ret);
db_err exec__eval_in_list(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                          struct vector **ret);
db_err exec__eval_subquery(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                           struct vector **ret);
void exec__subqueries_close(struct exec_ctx *ctx);
void exec__ctes_close(struct exec_ctx *ctx);

/* ---- operators ---- */

/* op_<name>.c: each gives the size of its state and its members. */
struct op_kind {
    size_t size; /* of the struct that begins with struct op */
    const struct op_ops *ops;
};
extern const struct op_kind op_dual_kind, op_values_kind, op_scan_kind, op_point_get_kind,
    op_virtual_scan_kind, op_filter_kind, op_project_kind, op_sort_kind, op_topn_kind,
    op_limit_kind, op_hash_agg_kind, op_stream_agg_kind, op_distinct_kind, op_hash_join_kind,
    op_apply_kind, op_lookup_join_kind, op_union_kind, op_setop_kind, op_insert_kind,
    op_update_kind, op_delete_kind, op_window_kind, op_cte_ref_kind, op_rollup_kind,
    op_recursive_kind, op_json_table_kind, op_gather_kind, op_fragment_kind;

/* enum ast_setop_kind */
enum setop { SETOP_UNION, SETOP_INTERSECT, SETOP_EXCEPT };

/* For a set operation, which has any number of children: builds and opens the child when it comes
 * to it, or lets it run again. */
db_err exec__start_child(struct op *op, struct exec_ctx *ctx, uint32_t child);
/* Nobody asks for the child's rows any more: what it holds is given back. */
void exec__end_child(struct op *op, struct exec_ctx *ctx, uint32_t child);
/* Opens the n-th child and gives its chunk. */
static inline db_err op_child_next(struct op *op, struct exec_ctx *ctx, uint32_t child,
                                   struct chunk **ret)
{
    return op_next(op->children[child], ctx, ret);
}
db_err exec__prepare_list(struct exec_ctx *ctx, struct bexpr *const *list, uint32_t count,
                          struct expr_state ***ret);
/* eval_once.c. The arguments of a comparison that MySQL computes once are marked. */
void exec__mark_compared(struct expr_state *s);
/* MYSQL: IN, BETWEEN and CASE make a number or a time of the text that they look for once, and
 * tell of it once, however many values they compare it with as such. */
void exec__mark_again(struct expr_state *s);
/* MYSQL: text beside a subquery of numbers (IN, ANY, ALL) is kept as text, and read as a number
 * without a word; but not where that is a whole condition, other than NOT
 * IN. */
void exec__mark_silent(struct expr_state *s, bool silent);
/* As exec__prepare_list, of conditions: what in them MySQL computes once is. */
db_err exec__prepare_conditions(struct exec_ctx *ctx, struct bexpr *const *list, uint32_t count,
                                struct expr_state ***ret);
/* For expr_state.once: a constant vector that lasts as long as the statement. */
db_err exec__eval_once(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                       struct vector **ret);
/* As exec__truth, of an argument that is fixed, not NULL, and text: what is wrong with it is told
 * of once. */
db_err exec__fixed_truth(struct exec_ctx *ctx, struct expr_state *s, const struct vector *v,
                         bool *ret);
static inline db_err exec__arg_truth(struct exec_ctx *ctx, struct expr_state *arg,
                                     const struct vector *v, uint32_t row, bool *ret)
{
    return v->phys == PHYS_STR && arg->fixed && vec_is_const(v)
               ? exec__fixed_truth(ctx, arg, v, ret)
               : exec__truth(ctx, v, row, ret);
}
/* eval_logic.c: is the condition, which is the same for all rows, true? */
db_err exec__fixed_holds(struct exec_ctx *ctx, struct expr_state *s, bool *ret_holds);
/* eval_list.c: what is said meanwhile, to be told later. The caller fills arena, and row as it goes
 * on; the arena outlives what is heard. Where nobody listens, or somebody else does so already,
 * nothing is heard. */
struct listener {
    struct arena *arena;
    uint64_t row; /* of what is said now */
    uint32_t count;
    struct heard *first, *last;
    void (*warn)(void *arg, enum cast_level level, uint16_t number, const char *text);
    void *warn_arg;
};
void exec__listen(struct exec_ctx *ctx, struct listener *l);
void exec__listen_end(struct exec_ctx *ctx, struct listener *l);
/* Tells what was said of the rows up to this one, and forgets it. Not while it listens. */
void exec__listen_tell(struct listener *l, uint64_t last_row);

/* eval_list.c: several expressions of the same rows. What they say comes in the order of the rows,
 * and so does the first error. The caller fills the first three; results[i] gets what expr_eval
 * gives. */
struct eval_list {
    struct expr_state **states;
    struct vector ***results;
    uint32_t count;
    bool known, ordered;
    uint32_t said;
};
db_err exec__eval_list(struct eval_list *l, struct exec_ctx *ctx, const struct chunk *in);
/* Ends listening, and tells what was heard for each of so many rows. */
void exec__say_per_row(struct exec_ctx *ctx, struct listener *said, uint32_t rows);
/* Tells all that was heard, and keeps it. Not while it listens. */
void exec__listen_retell(const struct listener *l);
/* The first row that it would tell of; UINT64_MAX: none. */
uint64_t exec__listen_row(const struct listener *l);
/* As exec__listen, also where somebody listens: what is told later goes to them. */
void exec__listen_within(struct exec_ctx *ctx, struct listener *l);
/* Nothing is told to anybody: for a listener's `warn`, or to evaluate what has been heard. */
void exec__hush(void *arg, enum cast_level level, uint16_t number, const char *text);

/* eval_some.c: rows of a chunk that are evaluated for somebody who may not want all of them
 * (op.some). Where nothing is said they come at once; else a piece ends before each row that has
 * something to say, and what it says, or that it fails, is told only when that row is asked for.
 * What may not be evaluated twice comes row by row.
 *
 * The caller fills the first three members once. The chunk, and what is made of it in the arena of
 * the evaluation, stays until its last piece has been asked for. */
struct some_rows {
    db_err (*eval)(void *arg, struct exec_ctx *ctx, const struct chunk *rows);
    void *arg;
    bool one_by_one;
    bool split;
    struct chunk in;
    uint32_t at;          /* rows of it that have been given */
    uint32_t failed;      /* the row that fails, by its place; or count */
    uint16_t *sel;        /* of all rows, when they are split */
    struct listener said; /* by the rows' places */
    uint64_t said_count;
    struct diag failure;
};
void exec__some_begin(struct some_rows *s, const struct chunk *in);
static inline bool exec__some_left(const struct some_rows *s)
{
    return s->at < s->in.count;
}
/* Evaluates the next rows; *ret_piece: which. There are some left. */
db_err exec__some_next(struct some_rows *s, struct exec_ctx *ctx, struct chunk *ret_piece);
/* Is there one that may not be evaluated twice? */
bool exec__evaluated_once(struct expr_state *const *states, uint32_t count);

/* Rows that a scan has met before the chunk that it has given last: its row 0 is the one after
 * them, and what its filters dropped is counted, too. */
uint64_t exec__scan_met(const struct op *scan);
/* LIMIT and OFFSET values. MYSQL: they are non-negative integers; a NULL parameter is 0. */
db_err exec__limit_value(struct exec_ctx *ctx, const struct bexpr *e, uint64_t none, uint64_t *ret);

/* For operators that take several chunks of a child per call: the child's results and what casts
 * make go to an arena of the operator's own. enter gives what leave puts back. */
struct saved_arenas {
    struct arena *eval, *cast;
};
static inline struct saved_arenas exec__enter_arena(struct exec_ctx *ctx, struct arena *own)
{
    struct saved_arenas saved = {ctx->eval.arena, ctx->eval.cast->arena};
    ctx->eval.arena = ctx->eval.cast->arena = own;
    return saved;
}
static inline void exec__leave_arena(struct exec_ctx *ctx, struct saved_arenas saved)
{
    ctx->eval.arena = saved.eval;
    ctx->eval.cast->arena = saved.cast;
}

/* What is made now outlives the batch: expressions make their vectors when they are first
 * evaluated. */
static inline struct arena *exec__enter_kept(struct exec_ctx *ctx)
{
    struct arena *saved = ctx->arena;
    ctx->arena = ctx->kept != NULL ? ctx->kept : ctx->arena;
    return saved;
}
static inline void exec__leave_kept(struct exec_ctx *ctx, struct arena *saved)
{
    ctx->arena = saved;
}

/* What a NOT NULL column gets for NULL when the mode lets it: 0, '', the zero date, and of an ENUM
 * the number 0. */
db_err exec__implicit_default(struct exec_ctx *ctx, const struct column_def *c, struct value *ret);
/* What it gets for NULL when the mode lets it: the same, but of an ENUM the empty one. */
void exec__null_default(const struct column_def *c, struct value *ret);
/* DEFAULT of a column that has none. MYSQL: strict: 1364, but for an ENUM; otherwise, with `tell`,
 * a warning, and NULL where the column may be NULL and is, is an ENUM, or the row is new (`before`
 * is NULL), else 0, '', the zero date, the first member. */
db_err exec__missing_default(struct exec_ctx *ctx, const struct column_def *c, bool tell,
                             const struct value *before, struct value *ret);
void exec__warn_text(struct exec_ctx *ctx, enum cast_level level, uint16_t number,
                     const char *text);

#endif
