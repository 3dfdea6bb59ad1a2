/* Built-in functions: the registry's rows, and what their implementations see.
 *
 * A function works on vectors (sql/types/vector.h): for each selected row it reads its arguments
 * and writes the result vector. It sees the session only through struct eval_ctx. Operators (+, =,
 * LIKE ...) are functions too, under names that no SQL text can spell ("op_add"). What must not
 * evaluate all arguments (AND, OR, CASE, IF, COALESCE, IFNULL, subqueries, variables) is not a
 * function but a node kind of sql/bind/bexpr.h.
 *
 * Binding: the binder looks a call up by name, checks the arity (1582), types the arguments and
 * calls `bind`, which sets the result's type and says what each argument must be cast to; the
 * binder inserts those casts, so that the implementation finds exactly the physical kinds it asked
 * for. */
#ifndef SKEIN_SQL_FUNC_FUNC_H
#define SKEIN_SQL_FUNC_FUNC_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/rand.h"
#include "sql/types/type.h"
#include "sql/types/value.h"
#include "sql/types/vector.h"

struct diag_area;
struct cast_ctx;
struct eval_env;
struct func_state;

/* ---- evaluation ---- */

struct eval_ctx {
    struct arena *arena;     /* results of this chunk: reset by the executor between chunks */
    struct arena *statement; /* lives as long as the statement */
    struct cast_ctx *cast;   /* sql_mode, warnings, time zone (sql/types) */
    struct diag *diag;
    struct eval_env *env;      /* the session's facts; NULL in tests of pure functions */
    struct func_state *states; /* of calls that keep something between chunks; NULL at first */
};

/* The session as functions see it (implemented by sql/session). */
struct eval_env {
    const struct eval_env_ops *ops;
    uint64_t
        now_us; /* statement start, microseconds since 1970 UTC: NOW() is constant in a statement */
    uint64_t sql_mode;      /* SQL_MODE_* bits of sql/types */
    int64_t last_insert_id; /* LAST_INSERT_ID() */
    int64_t row_count;      /* ROW_COUNT() */
    int64_t found_rows;     /* FOUND_ROWS() */
    uint64_t connection_id;
    uint32_t div_precision_increment;
    uint32_t default_week_format;
    uint32_t block_encryption_mode; /* the variable's value */
    uint64_t group_concat_max_len;
    uint64_t max_allowed_packet;
    uint32_t regexp_time_limit, regexp_stack_limit; /* 0: the default */
    uint16_t connection_collation;
    const struct date_locale *locale; /* lc_time_names; NULL: en_US */
    struct slice current_schema;      /* ptr NULL: none */
    struct slice user;                /* "root@localhost" as the client gave it */
    struct slice current_user;        /* the account that matched */
    struct slice current_role;
    struct slice version;
    struct rand *rand;
    bool may_cut; /* whoever evaluates looks at `cut`, or comes to a checkpoint */
    bool cut;     /* a SLEEP() was ended early, because the statement is to end */
};
struct eval_env_ops {
    const char *name;
    void (*set_last_insert_id)(struct eval_env *env, uint64_t id);
    /* Parks. *ret_cut: it was ended early, with the statement. Where that may not be
     * (env->may_cut), it is an error: ERR_CANCELED, ERR_TIMEOUT. */
    db_err (*sleep)(struct eval_env *env, uint64_t us, bool *ret_cut);
    /* GET_LOCK and relatives: ret -1 = NULL. May park. */
    db_err (*get_lock)(struct eval_env *env, struct slice name, double timeout_s, struct diag *diag,
                       int *ret);
    db_err (*release_lock)(struct eval_env *env, struct slice name, struct diag *diag, int *ret);
    db_err (*lock_holder)(struct eval_env *env, struct slice name,
                          int64_t *ret_connection); /* -1 free */
    /* LOAD_FILE: the content, in the arena, or *ret_null. May park. */
    db_err (*load_file)(struct eval_env *env, struct slice name, struct arena *arena,
                        struct slice *ret, bool *ret_null);
    db_err (*release_all_locks)(struct eval_env *env, int64_t *ret_count);
    /* STATEMENT_DIGEST (hash) and STATEMENT_DIGEST_TEXT: in the arena. ERR_SQL 3676. */
    db_err (*digest)(struct eval_env *env, struct slice statement, bool hash, struct arena *arena,
                     struct diag *diag, struct slice *ret);
    /* performance_schema's number of a connection of this node; 0: there is no such connection. */
    uint64_t (*thread_id)(struct eval_env *env, uint64_t connection_id);
    /* Of the command that runs; ptr NULL: not given, or NULL. */
    db_err (*query_attribute)(struct eval_env *env, struct slice name, struct arena *arena,
                              struct slice *ret);
    /* EXTRACTVALUE and UPDATEXML: a user variable as it is now, in the arena; one that was never
     * set is NULL. */
    db_err (*user_variable)(struct eval_env *env, struct slice name, struct arena *arena,
                            struct sql_type *ret_type, struct value *ret);
    /* ROLES_GRAPHML: in the arena. */
    db_err (*role_graph)(struct eval_env *env, struct arena *arena, struct slice *ret);
};

/* ---- scalar functions ---- */

enum func_flags {
    FUNC_PURE = 1,        /* same arguments, same result: may be folded */
    FUNC_STATEMENT = 2,   /* constant during a statement: NOW(), USER() */
    FUNC_VOLATILE = 4,    /* each row anew: RAND(), UUID(), SLEEP() */
    FUNC_NULL_IF_ANY = 8, /* a NULL argument gives NULL: the implementation never sees NULL rows */
    FUNC_NO_PUSHDOWN = 16,
    FUNC_COMPARISON = 32, /* usable by the range analyser */
    FUNC_REPEATS = 128,   /* args[1] is evaluated as often as args[0] says (BENCHMARK) */
    FUNC_HIDDEN = 64,     /* an operator; no SQL text names it */
    FUNC_ARGS_EVEN = 256, /* an even number of arguments, an odd one: else 1582 */
    FUNC_ARGS_ODD = 512,
    FUNC_LOCALE = 2048,      /* depends on lc_time_names */
    FUNC_JSON_BYTES = 1024,  /* documents may be binary strings */
    FUNC_SESSION = 4096,     /* reads a session variable, and definitions of tables may hold it all
                                the same */
    FUNC_NOT_DEFINED = 8192, /* no definition of a table may hold it, not even a DEFAULT */
    FUNC_TAKES_VECTORS = 16384, /* VECTOR arguments come as they are; most refuse them (1210) */
    FUNC_VECTOR_BYTES = 32768,  /* they come as binary strings */
    FUNC_RANDOM = 65536,        /* MYSQL: a subquery that calls it is run anew for each row */
    /* With FUNC_NULL_IF_ANY. MYSQL: arguments are evaluated one after the other up to one that is
     * NULL; but these evaluate all of them, or begin with the last. */
    FUNC_SEES_ALL = 131072,
    FUNC_FROM_LAST = 262144,
    /* MYSQL: a constant when the statement is executed, but none when its text is looked at. */
    FUNC_EXECUTION = 524288,
    /* MYSQL: which argument is the first one's equal, 0: none. They are evaluated one after the
     * other up to it, and not at all where the first one is NULL. */
    FUNC_FIRST_EQUAL = 1048576,
    /* MYSQL: of a strict change that is refused: looks for an error behind each argument, and
     * computes no other then; behind the second one alone. Others stop at one that is NULL, and go
     * on else: the errors of all that are computed are listed. FUNC_GOES_ON: even then. */
    FUNC_STOPS = 1 << 21,
    FUNC_STOPS_SECOND = 1 << 25,
    FUNC_GOES_ON = 1 << 26,
    /* The order of the arguments, as FUNC_FROM_LAST: the first one last; the last one second; the
     * second one first. */
    FUNC_FIRST_LAST = 1 << 22,
    FUNC_LAST_SECOND = 1 << 23,
    FUNC_SECOND_FIRST = 1 << 24,
    /* With FUNC_NULL_IF_ANY. MYSQL: an argument is converted before those behind it are looked at
     * for NULL; other functions do not convert text for one that is NULL. */
    FUNC_CONVERTS_FIRST = 1 << 27,
    FUNC_TRUTHS = 1 << 28, /* the arguments are truth values. MYSQL: they are compared with 0 */
    /* The third and those behind it, then the second, then the first; the fourth and those behind
     * it, then the second, the third, the first. */
    FUNC_THIRD_FIRST = 1 << 29,
    FUNC_FOURTH_FIRST = 1 << 30,
    /* MYSQL: a statement that calls it would do something else if it was run again from a log. */
    FUNC_UNSAFE = 1u << 31,
    FUNC_ORDERS = FUNC_FROM_LAST | FUNC_FIRST_LAST | FUNC_LAST_SECOND | FUNC_SECOND_FIRST |
                  FUNC_THIRD_FIRST | FUNC_FOURTH_FIRST,
};

#define FUNC_VARARGS UINT16_MAX /* as many as one likes */

struct func_def;

/* One call, bound. Immutable after bind; shared by concurrent executions. */
struct func_call {
    const struct func_def *def;
    struct sql_type type; /* result */
    /* Of the result, 0..7. MYSQL: a number that is not 5 has `collation` beside text: a place in
     * text, or whether it is matched. */
    uint8_t coercibility;
    uint16_t collation; /* for comparisons: the collation agreed on */
    uint32_t arg_count;
    struct sql_type *arg_types;            /* after the casts asked for */
    const struct value *const *arg_consts; /* value when the argument is a constant, else NULL */
    const void *data; /* of bind: compiled regex, parsed format, ...; in the plan's arena */
    int variant;      /* of bind: lets one implementation serve several rows */
    bool steady; /* of bind: FUNC_VOLATILE, but as it is called here constant during a statement */
    bool varies; /* of bind: FUNC_STATEMENT, but as it is called here each row anew */
    bool unread; /* of bind: the arguments are not computed; only what they are counts */
    /* Of bind: does the row need argument k (not the one that is evaluated first)? Those evaluated
     * before it are there, where they were needed. Tells of nothing. MYSQL: what is not needed is
     * not evaluated. NULL: all are needed in all rows. */
    bool (*needs)(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,
                  uint32_t k, uint32_t row);
    bool among;   /* of bind: a comparison that IN, BETWEEN or CASE is made of */
    bool goes_on; /* of bind: FUNC_STOPS does not hold, as it is called here */
    /* Of bind, with FUNC_NULL_IF_ANY: the implementation gets all rows, also those where an
     * argument is NULL, to tell of another. */
    bool takes_null;
    /* The call as messages show it (1690): the binder's expression and how it prints. NULL in tests
     * of functions alone. */
    const void *source;
    void (*print)(const void *source, struct buf *out);
    void (*print_arg)(const void *source, uint32_t arg, struct buf *out);
};

struct func_bind_ctx {
    struct arena *arena; /* the plan's */
    struct diag *diag;
    uint64_t sql_mode;
    uint16_t connection_collation;
    uint32_t div_precision_increment;
    uint64_t max_allowed_packet;
    uint64_t group_concat_max_len; /* 0: the default */
    /* A warning of the statement that is bound; NULL: nobody listens. */
    void (*warn)(void *arg, int level, uint16_t number, const char *text);
    void *warn_arg;
    bool again;    /* func_rebind: the casts asked for before have been made */
    bool among;    /* a comparison is one of those of IN, BETWEEN or CASE: constant text that is no
                      date is no error there, and a TIME meets all text as a time */
    bool between;  /* with that: of BETWEEN */
    bool as_texts; /* with that: its times are compared as text */
    bool apart;    /* values of both sides are compared elsewhere: they must be made of one type */
    bool ahead;    /* with that: of a list that is computed before a row is read */
    bool by_value; /* with that: a constant number is not made of the column's type (CASE, rows) */
    bool view; /* a view is defined: whether constant text can be converted is seen when it is used
                */
    const char *operation;  /* as which a comparison is shown in messages; NULL: as its sign */
    uint32_t version_chars; /* of VERSION(); 0: not known */
    bool strict;            /* a change of data whose warnings about values are errors */
    bool refused;           /* set by bind, with strict: it has met such a value; diag says which */
    bool by_text; /* set by bind: another literal in the same place may be bound otherwise */
};

/* Coercibility of NULL and what is made of it, and of text that two collations have gone into: of
 * no certain one. */
enum { COERCIBILITY_NULL = 6, COERCIBILITY_MIX = 7 };

/* What an argument is to be cast to. want_cast false: as it is. */
struct func_arg {
    struct sql_type type; /* as found */
    uint8_t coercibility;
    uint16_t text_collation;      /* of a number that has one beside text; 0: it has none */
    const struct value *constant; /* or NULL */
    const struct value *lifted;   /* of a lifted literal, in the text that is bound: who goes by it
                                     sets func_bind_ctx.by_text; or NULL */
    struct slice name;            /* of a column; ptr NULL: it has none */
    bool is_const; /* no columns: a constant, or a parameter whose value comes later */
    bool is_given; /* that, or a variable that keeps its value while the statement is executed */
    bool is_column;
    bool is_outer;    /* a column of an enclosing query */
    bool in_blob;     /* a column that MySQL keeps in a BLOB, whatever its type says */
    bool is_variable; /* a user variable, read */
    bool is_subquery; /* of func_between_as_texts: its value is known when the statement begins */
    bool is_placeholder; /* a `?`: its type may be anything */
    bool of_param;       /* bytes in which a parameter or variable has a part */
    bool recoded;        /* a constant that CONVERT or CAST has made text of a charset: it does not
                            count as ASCII, whatever is in it */
    uint8_t decimals;    /* the type's; of a lifted literal as many as are written */
    bool want_cast;
    bool asks_moment;  /* text that is read as a date: of IF and CASE the chosen branch is asked */
    bool reads_number; /* text of which the call makes a number itself, with no word where it is
                          none */
    /* Text of which the call makes a DECIMAL itself: its type in arg_types says where it comes
     * from, TYPE_W_COLUMN_TEXT and TYPE_W_MADE_TEXT. */
    bool reads_decimal;
    struct sql_type want;
};

typedef db_err (*func_bind_fn)(struct func_bind_ctx *ctx, struct func_call *call,
                               struct func_arg *args);
/* Rows: sel[0..n) if sel != NULL, else 0..n). args[i] and out have CHUNK_ROWS capacity; out is
 * writable, its nulls are clear on entry. A constant argument is a const vector (vector_is_const).
 */
typedef db_err (*func_vec_fn)(struct eval_ctx *ctx, const struct func_call *call,
                              struct vector *const *args, const uint16_t *sel, uint32_t n,
                              struct vector *out);

struct func_def {
    const char *name; /* lower case */
    uint16_t args_min, args_max;
    uint32_t flags;
    func_bind_fn bind;
    func_vec_fn eval;
    int variant; /* copied to func_call.variant before bind */
};

/* Case-insensitive. NULL: unknown (1305). */
const struct func_def *func_find(struct slice name);
/* The operators' rows, for the binder. */
const struct func_def *func_find_op(const char *name);
/* Does MySQL have a function of this name? With func_find() NULL: it is not built here (1235). */
bool func_is_known(struct slice name);
/* One that only the server's own views may call (3566). */
bool func_is_internal(struct slice name);
size_t func_count(void);
const struct func_def *func_at(size_t i);

/* What a comparison (FUNC_COMPARISON) says of values that are equal; -1: it is none of two values.
 */
int func_of_equal(const struct func_call *call);

/* Is it a comparison of doubles within a tolerance (compare_tolerance)? Then `=` is no equivalence:
 * neither hashes nor keys of the values say what is equal. */
bool func_compares_near(const struct func_call *call);

/* Text of at most `chars` characters: VARCHAR, or the TEXT type that is wide enough. */
struct sql_type func_text_type(uint64_t chars, unsigned collation);
/* Characters a value of the type has as text at most. */
uint64_t func_text_chars(const struct sql_type *t);

/* A call made again from what a bound one has: def, variant, types, collation, arg_types and
 * arg_consts are filled; gives it `data` of its own, as bind made it. coercibilities: of the
 * arguments; is_const as in struct func_arg. ERR_UNSUPPORTED: it does not come out the same. */
MUST_USE db_err func_rebind(struct func_bind_ctx *ctx, struct func_call *call,
                            const uint8_t *coercibilities, const bool *is_const);

/* How an operand counts in arithmetic. */
enum func_number { NUM_INT, NUM_DECIMAL, NUM_DOUBLE };
enum func_number func_number_of(const struct sql_type *t);

/* UPDATE t SET j = JSON_SET(j, ...): the call may change the bytes of its first argument instead of
 * writing the document anew (sql/types/json.h). inner: the call that the first argument is, which
 * does the same; NULL: a column. False: it is no such function, nothing happened. Before the call
 * is shared. */
bool func_json_in_place(struct func_call *call, const struct func_call *inner);
/* Is it one that could? */
bool func_json_may_in_place(const struct func_call *call);

/* ---- how operands meet (collate.c, coerce.c) ---- */

/* One collation for the text among the arguments, by coercibility (MYSQL: collation coercibility in
 * expressions). An argument in another charset gets want_cast to the agreed collation. No text: the
 * connection's, coercibility 4. ERR_SQL 1267, 1270, 1271 (illegal mix); `operation` is the name
 * shown in it, and says by which rules they meet. */
MUST_USE db_err func_agree_collation(struct func_bind_ctx *ctx, const char *operation,
                                     struct func_arg *args, uint32_t count, uint16_t *ret_collation,
                                     uint8_t *ret_coercibility);
/* The same of what one text is compared with, one of several (IN, BETWEEN, CASE). */
MUST_USE db_err func_agree_compared(struct func_bind_ctx *ctx, const char *operation,
                                    struct func_arg *args, uint32_t count, uint16_t *ret_collation,
                                    uint8_t *ret_coercibility);
/* MYSQL: beside a column of dates or times a constant number is what the column would store of it:
 * true, and it wants to be that. One that is no date, and any number beside an expression, is
 * compared as a number. */
bool func_moment_of_number(struct func_bind_ctx *ctx, const struct func_arg *column,
                           struct func_arg *number);
/* x BETWEEN low AND high of times and text: are all of them compared as text? Constant text that is
 * no time is told of. */
MUST_USE db_err func_between_as_texts(struct func_bind_ctx *ctx, const struct func_arg args[3],
                                      bool *ret);
/* TYPE_W_REFUSE_* of a cast of text beside a date of this type. */
unsigned func_refuse_date(const struct sql_type *date);
/* The type that CASE, COALESCE, IF, UNION, GREATEST give for values of these types, and casts to it
 * where an argument differs in physical kind, charset or scale. ret_type's TYPE_F_NOT_NULL is set
 * only when all arguments have it. */
MUST_USE db_err func_agree_type(struct func_bind_ctx *ctx, const char *operation,
                                struct func_arg *args, uint32_t count, struct sql_type *ret_type,
                                uint8_t *ret_coercibility);
/* MYSQL: of numbers that stand in for one another only integers stay UNSIGNED. */
void func_agreed_sign(struct sql_type *io);

/* ---- aggregate functions ---- */

struct agg_def;
struct agg_call {
    const struct agg_def *def;
    struct sql_type type;
    uint8_t coercibility;
    uint16_t collation;
    uint32_t arg_count;
    struct sql_type *arg_types;
    bool distinct;    /* the operator removes duplicates before `update` */
    const void *data; /* GROUP_CONCAT: separator, ... */
    int variant;
};

/* States are fixed-size, zeroed, owned by the operator's arena; what a state needs more it takes
 * from `arena` (which the operator resets as a whole). Rows with NULL arguments are given too: each
 * function knows its rule. */
struct agg_def {
    const char *name;
    uint16_t args_min, args_max;
    uint16_t flags; /* AGG_* */
    size_t state_size;
    db_err (*bind_agg)(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args);
    /* states[i] belongs to row sel[i] (or i). */
    db_err (*update)(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                     struct vector *const *args, const uint16_t *sel, uint32_t n,
                     void *const *states);
    db_err (*merge)(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,
                    void *into, const void *from);
    /* Writes row `row` of out. */
    db_err (*result)(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                     struct vector *out, uint32_t row);
    int variant;
};
enum {
    AGG_ORDERED = 1,            /* takes ORDER BY */
    AGG_NO_DISTINCT_EFFECT = 2, /* MIN, MAX */
    AGG_SORTS_GROUPS = 4, /* MYSQL: groups come in the order of their keys; with DISTINCT any */
};

/* An aggregate in two steps: the parts are computed for pieces of the rows, the join takes their
 * results, in the order of the pieces, as its arguments, and gives what the call would have given
 * for all rows. */
enum { AGG_PARTS_MAX = 2 };
struct agg_split {
    uint32_t part_count;
    struct agg_call *parts[AGG_PARTS_MAX]; /* each on the call's own arguments */
    struct agg_call *join;
};
/* In the arena. False: the aggregate cannot be split exactly (or memory is out). */
bool agg_split(const struct agg_call *call, struct arena *arena, struct agg_split *ret);
/* As agg_find; also finds what agg_split makes and no SQL text can name. */
const struct agg_def *agg_find_part(struct slice name);

const struct agg_def *agg_find(struct slice name);
size_t agg_count(void);
const struct agg_def *agg_at(size_t i);

/* SHA-256 of bytes as lower-case text of FUNC_SHA256_HEX characters (out: one more); their number,
 * 0: no memory. */
enum { FUNC_SHA256_HEX = 64 };
size_t func_sha256_hex(struct slice bytes, char *out);

#endif
