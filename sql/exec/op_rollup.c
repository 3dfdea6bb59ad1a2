/* GROUP BY ... WITH ROLLUP on an input that comes sorted by the groups.
 *
 * For each number of leading groups, from none to all, one group is open, with states of its own:
 * a row goes into each of them. Where a row differs from the one before in group i, the groups with
 * more than i leading expressions end, the longest first. An empty input gives one row, of no
 * groups. */
#include "base/fiber.h"
#include "sql/exec/agg_run.h"
#include "sql/exec/exec_int.h"

struct level {
    struct agg_run run;
    void *state; /* NULL: no group is open */
};

struct op_rollup {
    struct op op;
    struct expr_state **group_states;
    struct vector **groups;
    struct packed_format format;
    struct packed_row *key; /* the groups of the last row */
    size_t key_cap;
    struct level *levels; /* by the number of leading groups */
    uint32_t count;
    uint32_t opened_levels;
    uint32_t ending; /* levels >= this one end before the next row; count: none */
    uint32_t next_end;
    struct chunk *in;
    uint32_t at;
    void **states;
    uint16_t *sel;
    struct arena input, keys;
    struct chunk chunk;
    bool opened, ended, any;
};

static db_err rollup_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_rollup *s = (struct op_rollup *)op;
    const struct plan_node *n = op->node;
    uint32_t groups = n->u.agg.group_count;
    s->count = groups + 1;
    s->ending = s->count;
    arena_init(&s->input, NULL, ctx->mem, 0);
    arena_init(&s->keys, NULL, ctx->mem, 0);
    s->opened = true;
    s->groups = ARENA_ARRAY(ctx->arena, struct vector *, groups + 1);
    s->levels = ARENA_ARRAY(ctx->arena, struct level, s->count);
    s->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->sel));
    s->states = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->states));
    if (s->groups == NULL || s->levels == NULL || s->sel == NULL || s->states == NULL) {
        return ERR_LIMIT;
    }
    TRY(packed_format_init(&s->format, n->types, groups, ctx->arena));
    TRY(exec__prepare_list(ctx, n->u.agg.groups, groups, &s->group_states));
    TRY(chunk_init(&s->chunk, n->types, n->column_count, ctx->arena));
    for (; s->opened_levels < s->count; s->opened_levels++) {
        TRY(agg_run_open(&s->levels[s->opened_levels].run, ctx, n));
    }
    return op_open(op->children[0], ctx);
}

static db_err take_chunk(struct op_rollup *s, struct exec_ctx *ctx)
{
    s->at = 0;
    arena_reset(&s->input);
    TRY(op_child_next(&s->op, ctx, 0, &s->in));
    if (s->in == NULL) {
        s->ended = true;
        return ERR_OK;
    }
    for (uint32_t i = 0; i + 1 < s->count; i++) {
        TRY(expr_eval(ctx, s->group_states[i], s->in, &s->groups[i]));
    }
    for (uint32_t i = 0; i < s->count; i++) {
        TRY(agg_run_eval(&s->levels[i].run, ctx, s->in));
    }
    return ERR_OK;
}

/* How many leading groups of row `row` equal the last row's. */
static uint32_t equal_groups(const struct op_rollup *s, uint32_t row)
{
    uint32_t i = 0;
    while (i + 1 < s->count &&
           packed_compare_vector(&s->format, i, s->groups[i], row, s->key) == 0) {
        i++;
    }
    return i;
}

static db_err keep_key(struct op_rollup *s, uint32_t row)
{
    size_t size = packed_size(&s->format, s->groups, row);
    if (size > s->key_cap) {
        s->key = arena_alloc(&s->keys, size * 2);
        if (s->key == NULL) {
            return ERR_LIMIT;
        }
        s->key_cap = size * 2;
    }
    packed_write(&s->format, s->groups, row, size, s->key);
    return ERR_OK;
}

static db_err open_groups(struct op_rollup *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct level *l = &s->levels[i];
        if (l->state == NULL) {
            l->state = agg_run_new_state(&l->run);
            if (l->state == NULL) {
                return ERR_LIMIT;
            }
        }
    }
    return ERR_OK;
}

/* Rows from `at` with the last key into all levels. */
static db_err take_rows(struct op_rollup *s, struct exec_ctx *ctx)
{
    uint32_t n = 0;
    uint32_t same = s->count - 1;
    while (s->at < s->in->count) {
        same = equal_groups(s, chunk_row(s->in, s->at));
        if (same + 1 < s->count) {
            break;
        }
        s->sel[n++] = (uint16_t)chunk_row(s->in, s->at++);
    }
    for (uint32_t i = 0; i < s->count && n != 0; i++) {
        for (uint32_t k = 0; k < n; k++) {
            s->states[k] = s->levels[i].state;
        }
        TRY(agg_run_update(&s->levels[i].run, ctx, s->sel, n, s->states));
    }
    if (s->at < s->in->count) {
        s->ending = same + 1;
        s->next_end = s->count - 1;
    }
    return ERR_OK;
}

/* The row of the open group with `leading` groups. */
static db_err end_level(struct op_rollup *s, struct exec_ctx *ctx, uint32_t leading,
                        struct arena *results)
{
    const struct plan_node *n = s->op.node;
    struct level *l = &s->levels[leading];
    uint32_t groups = n->u.agg.group_count;
    uint32_t at = s->chunk.count;
    const struct packed_row *key = s->key;
    uint64_t rolled_up = 0;
    TRY(agg_run_finish(&l->run, ctx));
    for (uint32_t c = 0; c < s->chunk.column_count; c++) {
        s->chunk.columns[c].arena = results;
    }
    for (uint32_t c = 0; c < groups; c++) {
        struct vector *out = &s->chunk.columns[c];
        if (c >= leading) {
            vec_set_null(out, at);
            rolled_up |= c < 64 ? 1ull << c : 0;
            continue;
        }
        packed_read(&s->format, &key, 1, c, out, at);
        if (out->phys == PHYS_STR && !vec_is_null(out, at) &&
            vec_str(out, at).len > STRV_INLINE_MAX) { /* the key will be written over */
            TRY(vec_set_str(out, at, vec_str(out, at)));
        }
    }
    TRY(agg_run_result(&l->run, ctx, l->state, s->chunk.columns + groups, at));
    vec_set_i64(&s->chunk.columns[s->chunk.column_count - 1], at, (int64_t)rolled_up);
    s->chunk.count++;
    l->state = NULL;
    return agg_run_reset(&l->run, ctx);
}

/* Ends levels next_end, ..., ending, as far as the chunk has room. */
static db_err end_levels(struct op_rollup *s, struct exec_ctx *ctx, struct arena *results)
{
    while (s->ending < s->count && s->chunk.count < CHUNK_ROWS) {
        TRY(end_level(s, ctx, s->next_end, results));
        if (s->next_end == s->ending) {
            s->ending = s->count;
        } else {
            s->next_end--;
        }
    }
    return ERR_OK;
}

static db_err at_the_end(struct op_rollup *s)
{
    s->ending = 0;
    s->next_end = s->any ? s->count - 1 : 0; /* an empty input: only the row of no groups */
    return s->any ? ERR_OK : open_groups(s);
}

static db_err fill(struct op_rollup *s, struct exec_ctx *ctx, struct arena *results)
{
    while (s->chunk.count < CHUNK_ROWS) {
        if (s->ending < s->count) {
            TRY(end_levels(s, ctx, results));
            continue;
        }
        if (!s->ended && (s->in == NULL || s->at == s->in->count)) {
            TRY(take_chunk(s, ctx));
            TRY(fiber_checkpoint());
            if (s->ended) {
                TRY(at_the_end(s));
            }
            continue;
        }
        if (s->ended) {
            return ERR_OK;
        }
        if (s->levels[s->count - 1].state == NULL) {
            TRY(keep_key(s, chunk_row(s->in, s->at)));
            TRY(open_groups(s));
            s->any = true;
        }
        TRY(take_rows(s, ctx));
    }
    return ERR_OK;
}

static db_err rollup_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_rollup *s = (struct op_rollup *)op;
    chunk_reset(&s->chunk);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->input);
    db_err err = fill(s, ctx, saved.eval);
    exec__leave_arena(ctx, saved);
    TRY(err);
    *ret = s->chunk.count == 0 ? NULL : &s->chunk;
    return ERR_OK;
}

static db_err rollup_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_rollup *s = (struct op_rollup *)op;
    for (uint32_t i = 0; i < s->count; i++) {
        s->levels[i].state = NULL;
        TRY(agg_run_reset(&s->levels[i].run, ctx));
    }
    s->ending = s->count;
    s->in = NULL;
    s->ended = s->any = false;
    return op_rescan(op->children[0], ctx);
}

static void rollup_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_rollup *s = (struct op_rollup *)op;
    for (uint32_t i = 0; s->levels != NULL && i < s->count; i++) {
        agg_run_close(&s->levels[i].run);
    }
    if (s->opened) {
        arena_fini(&s->input);
        arena_fini(&s->keys);
        s->opened = false;
    }
}

static const struct op_ops g_rollup = {"aggregation with rollup", rollup_open, rollup_next,
                                       rollup_rescan, rollup_close};
const struct op_kind op_rollup_kind = {sizeof(struct op_rollup), &g_rollup};
