/* Private to sql/func/arith. call->variant holds enum func_number for arithmetic, and for bit
 * operators the row's number with ARITH_BITS_STRING when operands are binary strings. */
#ifndef SKEIN_SQL_FUNC_ARITH_INT_H
#define SKEIN_SQL_FUNC_ARITH_INT_H

enum { ARITH_BITS_STRING = 16 };

#endif
