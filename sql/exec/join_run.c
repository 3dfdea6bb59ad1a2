/* Pairs are collected until the chunk is full or the left chunk is at its end, then both sides are
 * laid side by side and the conditions are evaluated on all of them at once. A left row of an outer
 * join whose pairs all fail takes the place of its first pair, so that the order of the left side
 * holds. SEMI and ANTI only mark left rows; the left chunk then goes up with a selection.
 *
 * Conditions that are the same for all rows stand apart: they are asked before the right side is
 * read. FULL reads it anyway, and of NOT IN an unknown condition counts: there they are as others.
 */
#include "sql/exec/join_run.h"

#include "base/fiber.h"

enum { ROOM_FIRST = 64 }; /* pairs, while the inputs are small */

static db_err make_chunk(struct join_run *r, struct exec_ctx *ctx,
                         const struct sql_type *const *right_types,
                         const struct sql_type *carry_type)
{
    uint32_t nl = r->left_count;
    uint32_t nr = r->right_count;
    const struct plan_node *left = r->node->children[0];
    const struct sql_type **types = ARENA_ARRAY(ctx->arena, const struct sql_type *, nl + nr + 1);
    if (types == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < nl + nr; i++) {
        types[i] = i < nl ? left->types[i] : right_types[i - nl];
    }
    types[nl + nr] = carry_type;
    return chunk_init_rows(&r->chunk, types, nl + nr + (carry_type != NULL), r->room, ctx->arena);
}

/* Those that are the same for all rows to r->fixed. */
static db_err take_conditions(struct join_run *r, struct exec_ctx *ctx)
{
    const struct plan_node *n = r->node;
    uint32_t count = n->u.join.filter_count;
    struct expr_state **all;
    TRY(exec__prepare_conditions(ctx, n->u.join.filters, count, &all));
    r->filters = ARENA_ARRAY(ctx->arena, struct expr_state *, count);
    r->fixed = ARENA_ARRAY(ctx->arena, struct expr_state *, count);
    if (r->filters == NULL || r->fixed == NULL) {
        return ERR_LIMIT;
    }
    bool apart = r->kind != JOIN_FULL;
    for (uint32_t i = 0; i < count; i++) {
        if (apart && bexpr_is_fixed(n->u.join.filters[i])) {
            r->fixed[r->fixed_count++] = all[i];
        } else {
            r->filters[r->filter_count++] = all[i];
        }
    }
    return ERR_OK;
}

db_err join_run_init(struct join_run *r, struct exec_ctx *ctx, const struct plan_node *node,
                     const struct sql_type *const *right_types, uint32_t right_count,
                     const struct packed_format *right, uint32_t right_base,
                     const struct sql_type *carry_type)
{
    *r = (struct join_run){.node = node,
                           .kind = node->u.join.kind,
                           .left_count = node->children[0]->column_count,
                           .right_count = right_count,
                           .right = right,
                           .right_base = right_base,
                           .carry = carry_type != NULL};
    bool small = carry_type == NULL && node->rows < ROOM_FIRST / 2;
    r->room = small ? ROOM_FIRST : CHUNK_ROWS;
    arena_init(&r->arena, NULL, ctx->mem, 0);
    r->initialised = true;
    r->pairs = ARENA_ARRAY(ctx->arena, struct join_pair, r->room);
    r->partners = ARENA_ARRAY(ctx->arena, struct row_node *, r->room);
    r->rows = ARENA_ARRAY(ctx->arena, const struct packed_row *, r->room);
    r->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*r->sel));
    if (r->pairs == NULL || r->partners == NULL || r->rows == NULL || r->sel == NULL) {
        return ERR_LIMIT;
    }
    TRY(take_conditions(r, ctx));
    if (join_gives_left_only(r->kind) && r->filter_count != 0) {
        r->next_of = ARENA_ARRAY(ctx->arena, struct row_node *, CHUNK_ROWS);
        if (r->next_of == NULL) {
            return ERR_LIMIT;
        }
    }
    return make_chunk(r, ctx, right_types, carry_type);
}

db_err join_run_ask(struct join_run *r, struct exec_ctx *ctx, bool *ret_never)
{
    bool holds = true;
    for (uint32_t i = 0; i < r->fixed_count && !r->asked && holds; i++) {
        TRY(exec__fixed_holds(ctx, r->fixed[i], &holds));
    }
    r->never = r->never || !holds;
    r->asked = true;
    *ret_never = r->never;
    return ERR_OK;
}

void join_run_left(struct join_run *r, struct chunk *left)
{
    r->left = left;
    r->at = 0;
    r->in_row = r->done = false;
    r->candidate = NULL;
    r->round_width = 1;
    r->first_round = true;
    r->is_open = false;
    memset(r->matched, 0, sizeof(r->matched));
}

static bool is_matched(const struct join_run *r, uint32_t i)
{
    return (r->matched[i >> 6] >> (i & 63) & 1) != 0;
}

static void set_matched(struct join_run *r, uint32_t i)
{
    r->matched[i >> 6] |= 1ull << (i & 63);
}

static bool keeps_left(const struct join_run *r)
{
    return !r->partial && (r->kind == JOIN_LEFT || r->kind == JOIN_FULL);
}

static void push(struct join_run *r, uint32_t i, uint32_t row, struct row_node *partner)
{
    ASSERT_SLOW(r->n < r->room);
    r->pairs[r->n] = (struct join_pair){(uint16_t)i, (uint16_t)row};
    r->partners[r->n++] = partner;
}

/* ---- laying side by side ---- */

static void gather_left(const struct join_run *r, const struct vector *src, struct vector *dst)
{
    size_t width = phys_size_table[dst->phys];
    for (uint32_t k = 0; k < r->n; k++) {
        uint32_t row = r->pairs[k].row;
        if (vec_is_null(src, row)) {
            vec_set_null(dst, k);
        } else if (width == 8) {
            vec_i64s(dst)[k] = vec_i64(src, row);
        } else {
            memcpy((uint8_t *)dst->data + k * width,
                   (const uint8_t *)src->data + vec_at(src, row) * width, width);
        }
    }
}

static void lay_out(struct join_run *r)
{
    struct chunk *c = &r->chunk;
    chunk_reset(c);
    for (uint32_t i = 0; i < r->left_count; i++) {
        gather_left(r, &r->left->columns[i], &c->columns[i]);
    }
    for (uint32_t k = 0; k < r->n; k++) {
        r->rows[k] = r->partners[k] == NULL ? NULL : &r->partners[k]->row;
    }
    for (uint32_t i = 0; i < r->right_count; i++) {
        packed_read(r->right, r->rows, r->n, r->right_base + i, &c->columns[r->left_count + i], 0);
    }
    if (r->carry) {
        gather_left(r, &r->left->columns[r->left_count],
                    &c->columns[r->left_count + r->right_count]);
    }
    c->count = r->n;
}

/* ---- conditions ---- */

/* Pairs that hold, to r->sel. Left rows that come alone are not asked. */
static db_err filter_pairs(struct join_run *r, struct exec_ctx *ctx, uint32_t *ret_count)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < r->n; k++) {
        if (r->partners[k] != NULL) {
            r->sel[n++] = (uint16_t)k;
        }
    }
    r->chunk.sel = r->sel;
    r->chunk.count = n;
    arena_reset(&r->arena);
    struct saved_arenas saved = exec__enter_arena(ctx, &r->arena);
    db_err err = expr_filter(ctx, r->filters, r->filter_count, &r->chunk, r->sel, &n);
    exec__leave_arena(ctx, saved);
    *ret_count = n;
    return err;
}

/* Outer joins: drops the pairs that failed and puts left rows that are complete and without a
 * partner in their place. Returns whether one was put. */
static bool put_alone(struct join_run *r, uint32_t held)
{
    uint32_t out = 0;
    uint32_t next_held = 0;
    bool put = false;
    for (uint32_t k = 0; k < r->n;) {
        struct join_pair p = r->pairs[k];
        for (; k < r->n && r->pairs[k].i == p.i; k++) {
            bool holds = next_held < held && r->sel[next_held] == k;
            next_held += holds;
            if (holds || r->partners[k] == NULL) {
                r->pairs[out] = r->pairs[k];
                r->partners[out++] = r->partners[k];
            }
        }
        bool given = out != 0 && r->pairs[out - 1].i == p.i;
        if (!given && p.i < r->at && !is_matched(r, p.i)) {
            r->pairs[out] = p;
            r->partners[out++] = NULL;
            put = true;
        }
    }
    r->n = out;
    return put;
}

static void mark_pairs(struct join_run *r, const uint16_t *sel, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = sel == NULL ? i : sel[i];
        if (r->partners[k] != NULL) {
            set_matched(r, r->pairs[k].i);
            if (r->kind == JOIN_FULL) {
                r->partners[k]->row.mark = 1;
            }
        }
    }
}

/* *ret NULL: nothing came of the pairs. */
static db_err flush(struct join_run *r, struct exec_ctx *ctx, struct chunk **ret)
{
    *ret = NULL;
    if (r->n == 0) {
        return ERR_OK;
    }
    lay_out(r);
    if (r->filter_count == 0) {
        mark_pairs(r, NULL, r->n);
    } else {
        uint32_t pairs = r->n;
        uint32_t held;
        TRY(filter_pairs(r, ctx, &held));
        mark_pairs(r, r->sel, held);
        r->chunk.count = held;
        if (keeps_left(r) && held != pairs) {
            uint32_t kept = held;
            if (put_alone(r, held) || r->n != kept) {
                lay_out(r); /* pairs and lone rows mixed: anew */
            }
        }
    }
    r->n = 0;
    TRY(fiber_checkpoint());
    if (r->chunk.count != 0 && !join_gives_left_only(r->kind)) {
        *ret = &r->chunk;
    }
    return ERR_OK;
}

/* ---- the left chunk ---- */

/* The current row's candidates, as far as there is room. Returns whether the row is complete. */
static bool pair_row(struct join_run *r)
{
    uint32_t row = chunk_row(r->left, r->at);
    bool marks = join_gives_left_only(r->kind);
    if (!r->in_row) {
        r->candidate = r->cursor.first(r->cursor.arg, r->at, row);
        r->in_row = true;
    }
    while (r->candidate != NULL) {
        if (marks && (r->filter_count == 0 || is_matched(r, r->at))) {
            set_matched(r, r->at);
            break;
        }
        if (r->n == r->room) {
            return false;
        }
        push(r, r->at, row, r->candidate);
        if (r->filter_count == 0) {
            set_matched(r, r->at);
        }
        r->candidate = r->cursor.next(r->cursor.arg, r->candidate, r->at, row);
    }
    bool has_pair = r->n != 0 && r->pairs[r->n - 1].i == r->at;
    if (keeps_left(r) && !is_matched(r, r->at) && !has_pair) {
        if (r->n == r->room) {
            return false;
        }
        push(r, r->at, row, NULL);
    }
    r->at++;
    r->in_row = false;
    return true;
}

/* The rest of a round: pairs until there is no room or every row has had its turn; then, when rows
 * without a partner have candidates left, the next round begins with twice as many. */
static bool pair_round(struct join_run *r)
{
    for (; r->at < r->left->count; r->at++) {
        uint32_t row = chunk_row(r->left, r->at);
        if (r->first_round) {
            r->next_of[r->at] = r->cursor.first(r->cursor.arg, r->at, row);
        }
        struct row_node *n = is_matched(r, r->at) ? NULL : r->next_of[r->at];
        if (r->room - r->n < r->round_width && n != NULL && r->n != 0) {
            return false;
        }
        for (uint32_t k = 0; k < r->round_width && n != NULL && r->n < r->room; k++) {
            push(r, r->at, row, n);
            n = r->cursor.next(r->cursor.arg, n, r->at, row);
        }
        r->next_of[r->at] = n;
        r->is_open = r->is_open || n != NULL;
    }
    r->first_round = false;
    if (!r->is_open) {
        return false;
    }
    r->is_open = false;
    r->at = 0;
    r->round_width *= r->round_width < r->room / 2 ? 2 : 1;
    return r->n == 0; /* what this round found is asked first */
}

static void pair_rows(struct join_run *r)
{
    if (r->next_of != NULL) {
        while (pair_round(r)) {
        }
        return;
    }
    while (r->at < r->left->count && pair_row(r)) {
    }
}

static struct chunk *marked_rows(struct join_run *r)
{
    uint32_t n = 0;
    bool want = r->kind == JOIN_SEMI;
    for (uint32_t i = 0; i < r->left->count; i++) {
        r->sel[n] = (uint16_t)chunk_row(r->left, i);
        n += is_matched(r, i) == want;
    }
    r->result = *r->left;
    r->result.sel = r->sel;
    r->result.count = n;
    return n == 0 ? NULL : &r->result;
}

db_err join_run_next(struct join_run *r, struct exec_ctx *ctx, struct chunk **ret)
{
    *ret = NULL;
    while (r->left != NULL && *ret == NULL) {
        pair_rows(r);
        if (r->n != 0) {
            TRY(flush(r, ctx, ret));
        } else if (join_gives_left_only(r->kind) && !r->done) {
            r->done = true;
            *ret = r->partial ? NULL : marked_rows(r);
        } else {
            r->left = NULL;
        }
    }
    return ERR_OK;
}

db_err join_run_rest(struct join_run *r, struct row_node **io, struct chunk **ret)
{
    struct chunk *c = &r->chunk;
    uint32_t n = 0;
    *ret = NULL;
    chunk_reset(c);
    for (; *io != NULL && n < r->room; *io = (*io)->newer) {
        if ((*io)->row.mark == 0) {
            r->rows[n++] = &(*io)->row;
        }
    }
    for (uint32_t i = 0; i < r->left_count; i++) {
        vec_set_all_null(&c->columns[i]);
    }
    for (uint32_t i = 0; i < r->right_count; i++) {
        packed_read(r->right, r->rows, n, r->right_base + i, &c->columns[r->left_count + i], 0);
    }
    if (r->carry) { /* behind all others */
        struct vector *v = &c->columns[r->left_count + r->right_count];
        for (uint32_t i = 0; i < n; i++) {
            vec_set_i64(v, i, -1);
        }
    }
    c->count = n;
    *ret = n == 0 ? NULL : c;
    return fiber_checkpoint();
}

void join_run_fini(struct join_run *r)
{
    if (r->initialised) {
        arena_fini(&r->arena);
        r->initialised = false;
    }
}
