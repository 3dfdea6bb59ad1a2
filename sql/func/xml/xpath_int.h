/* The tree of an XPath query. Private to sql/func/xml. */
#ifndef SKEIN_SQL_FUNC_XML_XPATH_INT_H
#define SKEIN_SQL_FUNC_XML_XPATH_INT_H

#include "sql/func/xml/xml_int.h"

enum xpath_kind {
    XP_NUMBER,
    XP_STRING,
    XP_VARIABLE, /* of the user, `text` is its name */
    XP_BINARY,
    XP_NEGATE,
    XP_CALL,
    XP_ROOT,
    XP_CONTEXT,
    XP_STEP
};

enum xpath_op {
    XP_OR,
    XP_AND,
    XP_EQ,
    XP_NE,
    XP_LT,
    XP_LE,
    XP_GT,
    XP_GE,
    XP_ADD,
    XP_SUB,
    XP_MUL,
    XP_DIV,
    XP_MOD,
    XP_UNION,
};

enum xpath_axis {
    XP_CHILD,
    XP_DESCENDANT,
    XP_DESCENDANT_OR_SELF,
    XP_SELF,
    XP_PARENT,
    XP_ANCESTOR,
    XP_ANCESTOR_OR_SELF,
    XP_ATTRIBUTE,
};

enum xpath_function {
    XP_COUNT,
    XP_LAST,
    XP_POSITION,
    XP_TRUE,
    XP_FALSE,
    XP_NOT,
    XP_BOOLEAN,
    XP_CONCAT,
    XP_CONTAINS,
    XP_STRING_LENGTH,
    XP_SUBSTRING,
    XP_SUM,
    XP_ROUND, /* this and those behind it take a number */
    XP_TO_NUMBER,
    XP_FLOOR,
    XP_CEILING,
};

enum { XPATH_ARGS_MAX = 8, XPATH_PREDICATES_MAX = 8 };

struct xpath_expr {
    enum xpath_kind kind;
    int op; /* enum xpath_op, xpath_axis or xpath_function, by kind */
    double number;
    uint8_t decimals;  /* of the number */
    struct slice text; /* of a literal; the name that a step asks for */
    bool any_name;     /* `*` */
    bool any_node;     /* `.`, node(), text(): the step's input itself, as MySQL has it */
    uint32_t arg_count;
    struct xpath_expr *args[XPATH_ARGS_MAX]; /* STEP: args[0] is the input, then predicates */
};

enum xv_kind { XV_NUMBER, XV_TEXT, XV_TRUTH, XV_NODES };

struct xv {
    enum xv_kind kind;
    bool is_null;      /* of a division by zero, and what is computed with it */
    bool exact;        /* XV_NUMBER: a DECIMAL, whose half is rounded away from zero */
    double number;     /* also XV_TRUTH: 0 or 1 */
    uint8_t decimals;  /* XV_NUMBER: as many are shown; 0 and DECIMALS_NOT_FIXED: those there are */
    struct slice text; /* of a number as well, if it has a text of its own */
    bool of_variable;  /* XV_TEXT: nothing is told of what is no position */
    bool *marks;
};

/* What the user variable has now, in ctx->arena; its text in the collation's character set. ERR_SQL
 * where that does not have it. */
MUST_USE db_err xpath_variable(struct eval_ctx *ctx, struct slice name,
                               const struct collation *collation, struct xv *ret);

#endif
