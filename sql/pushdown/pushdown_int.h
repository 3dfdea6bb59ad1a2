/* Private to sql/pushdown. */
#ifndef SKEIN_SQL_PUSHDOWN_PUSHDOWN_INT_H
#define SKEIN_SQL_PUSHDOWN_PUSHDOWN_INT_H

#include "proto/plan.pb-c.h"
#include "sql/catalog/descriptor.h"
#include "sql/exec/exec_int.h"
#include "sql/pushdown/pushdown.h"

typedef Skein__Plan__Type pb_type;
typedef Skein__Plan__Value pb_value;
typedef Skein__Plan__Expr pb_expr;
typedef Skein__Plan__Agg pb_agg;
typedef Skein__Plan__Node pb_node;
typedef Skein__Plan__Env pb_env;
typedef Skein__Plan__Fragment pb_fragment;

/* Expressions with more levels are computed by who asks. */
enum {
    PUSHDOWN_DEPTH_MAX = 32,
    PUSHDOWN_EXPR_DEPTH_MAX = 100,
    PUSHDOWN_ARGS_MAX = 255,
    PUSHDOWN_STACK = 256 * 1024
};

enum expr_flag {
    EXPR_NEGATED = 1,  /* IN_LIST */
    EXPR_IS_CONST = 2, /* struct bexpr's is_const, as bind hooks of functions ask for it */
    EXPR_HAS_DATA = 4, /* FUNC: bind has prepared something */
    EXPR_PADDED = 8,   /* COLUMN: u.column.padded */
};

/* What must be the same at both ends: the functions and aggregates that there are, and the sizes of
 * what they work on. */
uint32_t pushdown__version(void);

/* decode.c: a fragment with everything that it needs, in the arena. */
struct decoded {
    struct plan_node *root;
    struct plan_node *scan;
    struct table_descriptor *table; /* to be freed */
    const pb_env *env;
};
db_err pushdown__decode(struct slice bytes, struct arena *arena, struct diag *diag,
                        struct decoded *ret);

#endif
