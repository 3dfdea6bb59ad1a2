/* Aggregates in two steps: parts of the rows are aggregated apart (on other nodes), and what comes
 * of them is joined.
 *
 * COUNT and the sums have partial results of their own: a sum of a part is not rounded to the type
 * of the whole, and AVG is a sum and a count. MIN, MAX and the bit aggregates join their own
 * results. Sums of doubles depend on the order of the rows: they are not split. */
#include "sql/func/families.h"

#include "sql/func/aggregate/aggregate_int.h"

/* What the sum has come to, as exact as it is; NULL without rows. */
static db_err result_part(struct eval_ctx *ctx, const struct agg_call *call, const void *state,
                          struct vector *out, uint32_t row)
{
    struct decimal d;
    (void)ctx;
    (void)call;
    if (((const struct agg_sum_state *)state)->count == 0) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    agg__sum_total(state, &d);
    vec_set_decimal(out, row, &d);
    return ERR_OK;
}

static db_err update_count_join(struct eval_ctx *ctx, const struct agg_call *call,
                                struct arena *arena, struct vector *const *args,
                                const uint16_t *sel, uint32_t n, void *const *states)
{
    (void)ctx;
    (void)call;
    (void)arena;
    EACH_ROW(row)
    {
        ((struct agg_count_state *)states[row_i])->count += vec_i64(args[0], row);
    }
    return ERR_OK;
}

/* Sum and count of a part. */
static db_err update_avg_join(struct eval_ctx *ctx, const struct agg_call *call,
                              struct arena *arena, struct vector *const *args, const uint16_t *sel,
                              uint32_t n, void *const *states)
{
    TRY(agg_update_sum(ctx, call, arena, args, sel, n, states));
    EACH_ROW(row)
    {
        struct agg_sum_state *s = states[row_i];
        if (!vec_is_null(args[0], row)) { /* the sum has counted one */
            s->count += vec_i64(args[1], row) - 1;
        }
    }
    return ERR_OK;
}

static const struct agg_def g_defs[] = {
    {"op_sum_part", 1, 1, 0, sizeof(struct agg_sum_state), agg_bind_sum, agg_update_sum,
     agg_merge_sum, result_part, 0},
    {"op_sum_join", 1, 1, 0, sizeof(struct agg_sum_state), agg_bind_sum, agg_update_sum,
     agg_merge_sum, agg_result_sum, 0},
    {"op_count_join", 1, 1, 0, sizeof(struct agg_count_state), agg_bind_count, update_count_join,
     agg_merge_count, agg_result_count, 0},
    {"op_avg_join", 2, 2, 0, sizeof(struct agg_sum_state), agg_bind_avg, update_avg_join,
     agg_merge_sum, agg_result_avg, 0},
};
enum { SUM_PART, SUM_JOIN, COUNT_JOIN, AVG_JOIN };

const struct agg_def *agg_find_part(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_defs); i++) {
        if (slice_eq(name, slice_str(g_defs[i].name))) {
            return &g_defs[i];
        }
    }
    return agg_find(name);
}

static struct agg_call *copy_call(struct arena *arena, const struct agg_call *call,
                                  const struct agg_def *def, const struct sql_type *type)
{
    struct agg_call *c = ARENA_NEW(arena, struct agg_call);
    if (c != NULL) {
        *c = *call;
        c->def = def;
        c->type = *type;
        c->distinct = false;
    }
    return c;
}

/* The call that takes the parts' results. */
static bool make_join(struct arena *arena, const struct agg_call *call, const struct agg_def *def,
                      int variant, struct agg_split *split)
{
    struct agg_call *join = copy_call(arena, call, def, &call->type);
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, split->part_count);
    if (join == NULL || types == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < split->part_count; i++) {
        if (split->parts[i] == NULL) {
            return false;
        }
        types[i] = split->parts[i]->type;
    }
    join->arg_types = types;
    join->arg_count = split->part_count;
    join->variant = variant;
    split->join = join;
    return true;
}

static bool split_sum(struct arena *arena, const struct agg_call *call, bool average,
                      struct agg_split *split)
{
    if (call->variant == NUM_DOUBLE) {
        return false;
    }
    struct sql_type sum = type_decimal(DECIMAL_PRECISION_MAX, call->type.decimals, false);
    struct sql_type count = func__bigint(21);
    split->part_count = average ? 2 : 1;
    split->parts[0] = copy_call(arena, call, &g_defs[SUM_PART], &sum);
    if (average) {
        split->parts[1] = copy_call(arena, call, agg_find(SLICE_LIT("count")), &count);
    }
    return make_join(arena, call, &g_defs[average ? AVG_JOIN : SUM_JOIN], NUM_DECIMAL, split);
}

bool agg_split(const struct agg_call *call, struct arena *arena, struct agg_split *ret)
{
    const char *name = call->def->name;
    bool distinct = call->distinct && (call->def->flags & AGG_NO_DISTINCT_EFFECT) == 0;
    *ret = (struct agg_split){0};
    if (distinct) {
        return false;
    }
    if (strcmp(name, "sum") == 0 || strcmp(name, "avg") == 0) {
        return split_sum(arena, call, name[0] == 'a', ret);
    }
    bool count = strcmp(name, "count") == 0;
    bool extreme = strcmp(name, "min") == 0 || strcmp(name, "max") == 0;
    bool bits = strncmp(name, "bit_", 4) == 0 && type_phys(&call->type) == PHYS_INT;
    if (!count && !(extreme && call->type.id != TYPE_JSON) && !bits) {
        return false;
    }
    ret->part_count = 1;
    ret->parts[0] = copy_call(arena, call, call->def, &call->type);
    return make_join(arena, call, count ? &g_defs[COUNT_JOIN] : call->def, call->variant, ret);
}
