/* The tree of an XPath query. Private to sql/func/xml. */
#ifndef SKEIN_SQL_FUNC_XML_XPATH_INT_H
#define SKEIN_SQL_FUNC_XML_XPATH_INT_H

#include "sql/func/xml/xml_int.h"

enum xpath_kind {
    XP_NUMBER,
    XP_STRING,
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

#endif
