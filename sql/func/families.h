/* Prototypes of what the families' .def files name, made from the same rows: a function without a
 * row does not compile, a row without its function does not link. */
#ifndef SKEIN_SQL_FUNC_FAMILIES_H
#define SKEIN_SQL_FUNC_FAMILIES_H

#include "sql/func/compare/compare_int.h"
#include "sql/func/func_int.h"
#include "sql/func/info/info_int.h"
#include "sql/func/json/json_func.h"
#include "sql/func/math/math_int.h"
#include "sql/func/temporal/temporal_int.h"

#define FUNC(name, min, max, flags, bind, eval, variant)                                           \
    db_err bind(struct func_bind_ctx *ctx, struct func_call *call, struct func_arg *args);         \
    db_err eval(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,    \
                const uint16_t *sel, uint32_t n, struct vector *out);
#include "sql/func/functions_all.def"
#undef FUNC

#define AGG(name, min, max, flags, state, bind, update, merge, result, variant)                    \
    db_err bind(struct func_bind_ctx *ctx, struct agg_call *call, struct func_arg *args);          \
    db_err update(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,          \
                  struct vector *const *args, const uint16_t *sel, uint32_t n,                     \
                  void *const *states);                                                            \
    db_err merge(struct eval_ctx *ctx, const struct agg_call *call, struct arena *arena,           \
                 void *into, const void *from);                                                    \
    db_err result(struct eval_ctx *ctx, const struct agg_call *call, const void *state,            \
                  struct vector *out, uint32_t row);
#include "sql/func/aggregate/aggregates.def"
#undef AGG

#endif
