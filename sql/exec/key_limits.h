/* Limits of a scan's ranges (struct scan_limit). Private to sql/exec. */
#ifndef SKEIN_SQL_EXEC_KEY_LIMITS_H
#define SKEIN_SQL_EXEC_KEY_LIMITS_H

#include "sql/exec/keys.h"

struct key_limits;

/* In ctx->arena; *ret_empty: nothing meets them, and the last of them may not have been looked at.
 * Errors: what an expression says; ERR_LIMIT, ERR_NOMEM. Subqueries may park. */
MUST_USE db_err exec__limits_eval(struct exec_ctx *ctx, const struct scan_spec *s,
                                  const struct key_limits **ret, bool *ret_empty);
/* Does the key of a part's value, alone, meet the limits of that part? */
bool exec__limits_allow(const struct key_limits *l, uint32_t part, struct slice key);
/* How many pieces a range can be divided into by the limits of a part; 0: it has none. */
uint32_t exec__limits_pieces(const struct key_limits *l, uint32_t part);
/* The pieces of a range that has an interval of the part behind the keys `before`. They go to
 * io_items, which has room for all. */
MUST_USE db_err exec__limits_divide(struct exec_ctx *ctx, const struct key_limits *l, uint32_t part,
                                    struct slice before, const struct key_range *range,
                                    struct key_range *io_items, uint32_t *io_count);
/* Sorts ranges; those that overlap or touch become one. */
void exec__merge_ranges(struct key_range *ranges, uint32_t *io_count);

#endif
