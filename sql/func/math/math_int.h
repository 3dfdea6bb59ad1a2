/* Private to sql/func/math. */
#ifndef SKEIN_SQL_FUNC_MATH_INT_H
#define SKEIN_SQL_FUNC_MATH_INT_H

enum math_unary_op {
    MATH_SQRT,
    MATH_EXP,
    MATH_LN,
    MATH_LOG2,
    MATH_LOG10,
    MATH_SIN,
    MATH_COS,
    MATH_TAN,
    MATH_COT,
    MATH_ASIN,
    MATH_ACOS,
    MATH_DEGREES,
    MATH_RADIANS,
};

/* FORMAT's locale, where it is constant: it is looked up, and told of when unknown (1649), before
 * there is a row. */
MUST_USE db_err math__constant_locale(struct func_bind_ctx *ctx, struct func_call *call,
                                      const struct func_arg *arg);

#endif
