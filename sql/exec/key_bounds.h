/* Bounds of key parts: values of any type as the column's type has them. Private to sql/exec.
 * Errors of all: what an expression says; ERR_LIMIT, ERR_NOMEM. Subqueries in an expression may
 * park. */
#ifndef SKEIN_SQL_EXEC_KEY_BOUNDS_H
#define SKEIN_SQL_EXEC_KEY_BOUNDS_H

#include "base/buf.h"
#include "sql/codec/key_codec.h"
#include "sql/exec/keys.h"

/* An end of an interval. */
struct bound {
    struct value v;
    bool given; /* else the interval is open there */
    bool inclusive;
};

/* *ret_order: what is stored compared with v; 0: it is v. */
MUST_USE db_err exec__stored_form(struct exec_ctx *ctx, const struct sql_type *column,
                                  const struct sql_type *type, const struct value *v,
                                  struct value *ret, int *ret_order);
/* The same of the value of an expression without columns, which may be NULL. */
MUST_USE db_err exec__eval_bound(struct exec_ctx *ctx, const struct bexpr *e,
                                 const struct sql_type *column, struct value *ret, int *ret_order);
/* e NULL: open. *ret_empty is set when no value meets the bound, else left. */
MUST_USE db_err exec__eval_interval_end(struct exec_ctx *ctx, const struct bexpr *e, bool inclusive,
                                        bool is_low, const struct sql_type *column,
                                        struct bound *ret, bool *ret_empty);
/* Appends the part's key of a value that is not NULL. */
MUST_USE db_err exec__put_value(const struct key_column *kc, const struct value *v,
                                struct buf *key);
/* The keys of the interval behind what is in `base`, which is changed; *ret_before is what was in
 * it. not_null: NULL is not in the interval even if an end of it is open. */
MUST_USE db_err exec__put_interval(struct exec_ctx *ctx, const struct key_column *kc, bool not_null,
                                   const struct bound *low, const struct bound *high,
                                   struct buf *base, struct slice *ret_before,
                                   struct key_range *ret);

#endif
