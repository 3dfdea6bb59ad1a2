/* Private to sql/func/compare. A comparison's call->variant is the operator, and COMPARE_NEAR when
 * doubles compare within a tolerance (func_compares_near); call->data points to the struct
 * compare_plan that bind has made. */
#ifndef SKEIN_SQL_FUNC_COMPARE_INT_H
#define SKEIN_SQL_FUNC_COMPARE_INT_H

#include "sql/charset/charset.h"
#include "sql/types/compare.h"

enum compare_op { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE };
enum { COMPARE_OP_MASK = 7, COMPARE_NEAR = 8 };

struct compare_plan {
    enum compare_kind kind;
    const struct collation *collation; /* COMPARE_STRING */
    bool bytewise;                     /* equal strings are equal bytes */
    double tolerance;                  /* COMPARE_NEAR */
    /* COMPARE_INT of an integer column and constant text whose value comes later: 1 + the text's
     * argument; else 0. */
    uint8_t text_arg;
    bool warns; /* text_arg: of text that is no number; else whoever runs the statement has said it
                 */
    /* GREATEST, LEAST of dates among texts: how the winner is written. */
    bool date_only;
    bool json; /* GREATEST, LEAST with JSON among the arguments */
    uint8_t decimals;
};

#endif
