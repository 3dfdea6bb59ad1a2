/* Table and index scans: the ranges in order, a storage batch at a time. A non-covering scan of a
 * secondary index fetches the rows of a batch with one multi-get. Conditions of the scan are
 * applied before the chunk goes up, so that whole batches may vanish here. */
#include <stdlib.h>

#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/kept_rows.h"
#include "sql/exec/key_set.h"
#include "sql/exec/keys.h"

/* Room of the first chunk: most scans of short statements give fewer rows; a larger batch makes the
 * chunk anew with room for any. */
enum { FIRST_ROWS = 128 };

struct op_scan {
    struct op op;
    struct chunk chunk;
    uint32_t room; /* rows of the chunk */
    struct row_source source;
    struct expr_state **filters;
    struct key_range *ranges;
    uint32_t range_count, at;
    struct storage_scan *scan;
    const struct storage_kv *held; /* of the storage's batch, given one by one (cursor_key) */
    size_t held_count;
    struct arena batch;  /* row keys and rows of an index scan's batch */
    struct arena eval;   /* what conditions and computed columns make of a batch */
    struct arena bounds; /* the ranges: a correlated scan makes them anew for each row */
    uint16_t *sel;
    bool opened;
    /* Of an index with several entries a row: the rows given so far, by primary key, and the
     * entries of a batch that point to others. */
    bool repeats;
    struct key_set given;
    struct storage_kv *fresh;
    struct some_rows some; /* of the chunk, while its rows are filtered */
    uint32_t passed;
    uint64_t met, met_last; /* exec__scan_met; rows of the last chunk before they were filtered */
    struct kept_rows kept;
};

static const struct scan_spec *spec_of(const struct op_scan *s)
{
    return &s->op.node->u.scan;
}

static void close_current(struct op_scan *s)
{
    storage_scan_close(s->scan);
    s->scan = NULL;
    s->held_count = 0;
}

/* The scan's own ranges, or the span that a fragment is run on. */
static db_err find_ranges(struct op_scan *s, struct exec_ctx *ctx)
{
    if (ctx->span_node != s->op.node) {
        struct arena *statement = ctx->arena;
        arena_reset(&s->bounds);
        struct saved_arenas saved = exec__enter_arena(ctx, &s->bounds);
        ctx->arena = &s->bounds;
        db_err err = exec__scan_ranges(ctx, spec_of(s), &s->ranges, &s->range_count, &s->repeats);
        ctx->arena = statement;
        exec__leave_arena(ctx, saved);
        return err;
    }
    if (s->ranges == NULL) {
        s->ranges = ARENA_NEW(ctx->arena, struct key_range);
    }
    if (s->ranges == NULL) {
        return ERR_LIMIT;
    }
    *s->ranges = (struct key_range){ctx->span.start, ctx->span.end};
    s->range_count = 1;
    return ERR_OK;
}

static db_err filter_rows(void *arg, struct exec_ctx *ctx, const struct chunk *rows)
{
    struct op_scan *s = arg;
    return expr_filter(ctx, s->filters, spec_of(s)->filter_count, rows, s->sel, &s->passed);
}

static db_err scan_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_scan *s = (struct op_scan *)op;
    const struct scan_spec *spec = &op->node->u.scan;
    arena_init(&s->batch, NULL, ctx->mem, 0);
    arena_init(&s->eval, NULL, ctx->mem, 0);
    arena_init(&s->bounds, NULL, ctx->mem, 0);
    key_set_init(&s->given, ctx->mem);
    s->opened = true;
    s->room = FIRST_ROWS;
    TRY(chunk_init_rows(&s->chunk, op->node->types, op->node->column_count, s->room, ctx->arena));
    TRY(exec__source_init(ctx, spec, &s->chunk, &s->source));
    TRY(exec__prepare_conditions(ctx, spec->filters, spec->filter_count, &s->filters));
    if (spec->filter_count != 0) {
        s->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(uint16_t));
        if (s->sel == NULL) {
            return ERR_LIMIT;
        }
        s->some = (struct some_rows){.eval = filter_rows, .arg = s};
        s->some.one_by_one = op->some && exec__evaluated_once(s->filters, spec->filter_count);
    }
    return find_ranges(s, ctx);
}

static db_err next_range(struct op_scan *s, struct exec_ctx *ctx)
{
    const struct scan_spec *spec = spec_of(s);
    uint32_t i = spec->reverse ? s->range_count - 1 - s->at : s->at;
    struct storage_scan_opts opts = {.start = s->ranges[i].start,
                                     .end = s->ranges[i].end,
                                     .reverse = spec->reverse,
                                     .mode = exec__read_mode(ctx, spec),
                                     .wait = exec__wait_mode(spec)};
    s->at++;
    return storage_scan_open(ctx->txn, &opts, ctx->diag, &s->scan);
}

static db_err fetch_rows(struct op_scan *s, struct exec_ctx *ctx, const struct storage_kv *kv,
                         size_t n)
{
    arena_reset(&s->batch);
    struct slice *keys = ARENA_ARRAY(&s->batch, struct slice, n);
    struct slice *values = ARENA_ARRAY(&s->batch, struct slice, n);
    bool *found = ARENA_ARRAY(&s->batch, bool, n);
    if (keys == NULL || values == NULL || found == NULL) {
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < n; i++) {
        TRY(exec__entry_row_key(&s->source, kv[i].key, kv[i].value, &s->batch, &keys[i]));
    }
    TRY(storage_multi_get(ctx->txn, keys, n, exec__read_mode(ctx, spec_of(s)),
                          exec__wait_mode(spec_of(s)), &s->batch, ctx->diag, found, values));
    for (size_t i = 0; i < n; i++) {
        if (found[i]) { /* an entry without a row: the row went after the entry was read (current
                           reads) or is locked */
            TRY(exec__source_row(&s->source, values[i], s->chunk.count));
            s->chunk.count++;
        }
    }
    return ERR_OK;
}

/* Leaves of a batch the entries of rows that were not given yet. */
static db_err skip_given(struct op_scan *s, struct exec_ctx *ctx, const struct storage_kv **io_kv,
                         size_t *io_n)
{
    size_t kept = 0;
    if (s->fresh == NULL) {
        s->fresh = ARENA_ARRAY(ctx->arena, struct storage_kv, CHUNK_ROWS);
    }
    if (s->fresh == NULL) {
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < *io_n; i++) {
        const struct storage_kv *kv = &(*io_kv)[i];
        struct index_entry entry;
        bool is_new;
        TRY(index_entry_parse(s->source.index, kv->key, kv->value, &entry));
        TRY(key_set_add(&s->given, entry.pk_bytes, &is_new));
        if (is_new) {
            s->fresh[kept++] = *kv;
        }
    }
    *io_kv = s->fresh;
    *io_n = kept;
    return ERR_OK;
}

static db_err make_room(struct op_scan *s, struct exec_ctx *ctx, size_t rows)
{
    const struct plan_node *node = s->op.node;
    if (rows <= s->room) {
        return ERR_OK;
    }
    TRY(chunk_init(&s->chunk, node->types, node->column_count, ctx->arena));
    s->room = CHUNK_ROWS;
    for (uint32_t i = 0; i < node->column_count; i++) {
        s->source.vectors[i] = &s->chunk.columns[i];
    }
    return ERR_OK;
}

static db_err fill(struct op_scan *s, struct exec_ctx *ctx, const struct storage_kv *kv, size_t n)
{
    TRY(make_room(s, ctx, n));
    chunk_reset(&s->chunk);
    if (s->source.index_ordinal == 0) {
        for (size_t i = 0; i < n; i++) {
            TRY(exec__source_row(&s->source, kv[i].value, (uint32_t)i));
        }
    } else if (spec_of(s)->covering) {
        for (size_t i = 0; i < n; i++) {
            TRY(exec__source_entry(ctx, &s->source, kv[i].key, kv[i].value, (uint32_t)i));
        }
    } else {
        return fetch_rows(s, ctx, kv, n);
    }
    s->chunk.count = (uint32_t)n;
    return ERR_OK;
}

/* One row: whoever stops after it finds its key in ctx->cursor_key. */
static db_err next_held(struct op_scan *s, struct exec_ctx *ctx, const struct storage_kv **ret_kv,
                        size_t *ret_n)
{
    if (s->held_count == 0) {
        TRY(storage_scan_next(s->scan, ctx->diag, &s->held, &s->held_count));
    }
    *ret_kv = s->held;
    *ret_n = s->held_count != 0 ? 1 : 0;
    if (s->held_count != 0) {
        buf_reset(ctx->cursor_key);
        TRY(buf_append_slice(ctx->cursor_key, s->held->key));
        s->held++;
        s->held_count--;
    }
    return ERR_OK;
}

/* Leaves of the next rows of the chunk those that pass. */
static db_err filter_some(struct op_scan *s, struct exec_ctx *ctx)
{
    struct chunk piece;
    TRY(exec__some_next(&s->some, ctx, &piece));
    s->chunk.sel = s->sel;
    s->chunk.count = s->passed;
    return ERR_OK;
}

/* Leaves the chunk's rows that pass. */
static db_err filter_chunk(struct op_scan *s, struct exec_ctx *ctx)
{
    const struct scan_spec *spec = spec_of(s);
    s->met += s->met_last;
    s->met_last = s->chunk.count;
    if (spec->filter_count == 0 || s->chunk.count == 0) {
        return ERR_OK;
    }
    if (s->op.some) {
        exec__some_begin(&s->some, &s->chunk);
        return filter_some(s, ctx);
    }
    TRY(filter_rows(s, ctx, &s->chunk));
    s->chunk.count = s->passed;
    s->chunk.sel = s->sel;
    return ERR_OK;
}

/* What is left of the chunk that was given last; *ret NULL: nothing that passes. */
static db_err next_left(struct op_scan *s, struct exec_ctx *ctx, struct chunk **ret)
{
    *ret = NULL;
    while (*ret == NULL && exec__some_left(&s->some)) {
        struct saved_arenas saved = exec__enter_arena(ctx, &s->eval);
        db_err err = filter_some(s, ctx);
        exec__leave_arena(ctx, saved);
        TRY(err);
        *ret = s->chunk.count != 0 ? &s->chunk : NULL;
    }
    return ERR_OK;
}

/* The rows of a batch that pass, to the chunk. */
static db_err take_batch(struct op_scan *s, struct exec_ctx *ctx, const struct storage_kv *kv,
                         size_t n)
{
    if (s->repeats) {
        TRY(skip_given(s, ctx, &kv, &n));
    }
    TRY(fill(s, ctx, kv, n));
    TRY(exec__source_compute(ctx, &s->source, &s->chunk));
    if (s->kept.state == KEPT_ADDED) {
        kept_rows_add(&s->kept, ctx, &s->chunk);
    }
    return filter_chunk(s, ctx);
}

static db_err take_kept(struct op_scan *s, struct exec_ctx *ctx, uint32_t n)
{
    TRY(make_room(s, ctx, n));
    TRY(kept_rows_read(&s->kept, ctx, &s->chunk, n));
    return filter_chunk(s, ctx);
}

static db_err next_kept(struct op_scan *s, struct exec_ctx *ctx, struct chunk **ret)
{
    for (;;) {
        uint32_t n = kept_rows_left(&s->kept);
        TRY(next_left(s, ctx, ret));
        if (*ret != NULL || n == 0) {
            return ERR_OK;
        }
        arena_reset(&s->eval);
        struct saved_arenas saved = exec__enter_arena(ctx, &s->eval);
        db_err err = take_kept(s, ctx, n);
        exec__leave_arena(ctx, saved);
        TRY(err);
        if (s->chunk.count != 0) {
            *ret = &s->chunk;
            return ERR_OK;
        }
        TRY(fiber_checkpoint());
    }
}

/* Batches that give nothing may be many: what is made of each goes with it. */
static db_err scan_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_scan *s = (struct op_scan *)op;
    const struct storage_kv *kv;
    size_t n;
    if (s->kept.state == KEPT_WHOLE) {
        return next_kept(s, ctx, ret);
    }
    for (;;) {
        TRY(next_left(s, ctx, ret));
        if (*ret != NULL) {
            return ERR_OK;
        }
        if (s->scan == NULL) {
            if (s->at == s->range_count) {
                if (s->kept.state == KEPT_ADDED) {
                    kept_rows_end(&s->kept);
                }
                *ret = NULL;
                return ERR_OK;
            }
            TRY(next_range(s, ctx));
        }
        bool one = UNLIKELY(ctx->cursor_key != NULL) && ctx->span_node == op->node;
        TRY(one ? next_held(s, ctx, &kv, &n) : storage_scan_next(s->scan, ctx->diag, &kv, &n));
        if (n == 0) {
            close_current(s);
            continue;
        }
        ASSERT(n <= CHUNK_ROWS);
        ctx->examined_rows += n;
        arena_reset(&s->eval);
        struct saved_arenas saved = exec__enter_arena(ctx, &s->eval);
        db_err err = take_batch(s, ctx, kv, n);
        exec__leave_arena(ctx, saved);
        TRY(err);
        if (s->chunk.count != 0) {
            *ret = &s->chunk;
            return ERR_OK;
        }
        TRY(fiber_checkpoint());
    }
}

uint64_t exec__scan_met(const struct op *scan)
{
    ASSERT(scan->ops == op_scan_kind.ops);
    return ((const struct op_scan *)scan)->met;
}

static db_err scan_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_scan *s = (struct op_scan *)op;
    close_current(s);
    exec__some_begin(&s->some, &(struct chunk){0});
    s->at = 0;
    key_set_clear(&s->given);
    TRY(kept_rows_again(&s->kept, ctx, op->node));
    if (s->kept.state == KEPT_WHOLE) {
        return ERR_OK;
    }
    return find_ranges(s, ctx); /* bounds may be outer columns */
}

static void scan_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_scan *s = (struct op_scan *)op;
    close_current(s);
    if (s->opened) {
        arena_fini(&s->batch);
        arena_fini(&s->eval);
        arena_fini(&s->bounds);
        key_set_fini(&s->given);
        kept_rows_fini(&s->kept);
        s->opened = false;
    }
}

static const struct op_ops g_scan = {"scan", scan_open, scan_next, scan_rescan, scan_close};
const struct op_kind op_scan_kind = {sizeof(struct op_scan), &g_scan};

/* ---- point gets ---- */

struct op_point {
    struct op op;
    struct chunk chunk;
    struct row_source source;
    struct expr_state **filters;
    struct arena batch, bounds;
    struct slice *keys; /* of the ranges, sorted and each once */
    uint32_t key_count, at;
    uint16_t *sel;
    uint32_t passed;
    struct some_rows some; /* of the chunk, while its rows are filtered */
    bool opened, known;    /* known: the keys are made */
};

static db_err point_rows(void *arg, struct exec_ctx *ctx, const struct chunk *rows)
{
    struct op_point *p = arg;
    uint32_t count = p->op.node->u.scan.filter_count;
    return expr_filter(ctx, p->filters, count, rows, p->sel, &p->passed);
}

static db_err point_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_point *p = (struct op_point *)op;
    const struct scan_spec *spec = &op->node->u.scan;
    arena_init(&p->batch, NULL, ctx->mem, 0);
    arena_init(&p->bounds, NULL, ctx->mem, 0);
    p->opened = true;
    uint32_t room = spec->range_count < CHUNK_ROWS ? spec->range_count : CHUNK_ROWS;
    room = room == 0 ? 1 : room;
    TRY(chunk_init_rows(&p->chunk, op->node->types, op->node->column_count, room, ctx->arena));
    p->sel = arena_alloc(ctx->arena, room * sizeof(*p->sel));
    struct scan_spec *rows = ARENA_NEW(ctx->arena, struct scan_spec);
    if (rows == NULL || p->sel == NULL) {
        return ERR_LIMIT;
    }
    *rows = *spec;
    rows->covering = false; /* the row itself is read in any case */
    TRY(exec__source_init(ctx, rows, &p->chunk, &p->source));
    TRY(exec__prepare_conditions(ctx, spec->filters, spec->filter_count, &p->filters));
    p->some = (struct some_rows){.eval = point_rows, .arg = p};
    p->some.one_by_one = op->some && exec__evaluated_once(p->filters, spec->filter_count);
    return ERR_OK;
}

static int by_key(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static db_err point_keys(struct op_point *p, struct exec_ctx *ctx)
{
    const struct scan_spec *spec = &p->op.node->u.scan;
    struct arena *statement = ctx->arena;
    uint32_t n;
    arena_reset(&p->bounds);
    p->keys = ARENA_ARRAY(&p->bounds, struct slice, spec->range_count);
    if (p->keys == NULL) {
        return ERR_LIMIT;
    }
    ctx->arena = &p->bounds;
    db_err err = exec__point_keys(ctx, spec, p->keys, &n);
    ctx->arena = statement;
    TRY(err);
    if (n > 1) {
        qsort(p->keys, n, sizeof(*p->keys), by_key);
    }
    p->key_count = p->at = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (p->key_count == 0 || !slice_eq(p->keys[p->key_count - 1], p->keys[i])) {
            p->keys[p->key_count++] = p->keys[i];
        }
    }
    p->known = true;
    return ERR_OK;
}

static db_err read_keys(struct op_point *p, struct exec_ctx *ctx, const struct slice *keys,
                        uint32_t n, bool *found, struct slice *values)
{
    const struct scan_spec *spec = &p->op.node->u.scan;
    if (n == 1) {
        found[0] = false;
        return storage_get(ctx->txn, keys[0], exec__read_mode(ctx, spec), exec__wait_mode(spec),
                           &p->batch, ctx->diag, &found[0], &values[0]);
    }
    return storage_multi_get(ctx->txn, keys, n, exec__read_mode(ctx, spec), exec__wait_mode(spec),
                             &p->batch, ctx->diag, found, values);
}

/* The rows of the next keys; of a secondary index, of what its entries point to. */
static db_err point_fill(struct op_point *p, struct exec_ctx *ctx)
{
    uint32_t left = p->key_count - p->at;
    uint32_t n = left < CHUNK_ROWS ? left : CHUNK_ROWS;
    const struct slice *keys = p->keys + p->at;
    arena_reset(&p->batch);
    struct slice *rows = ARENA_ARRAY(&p->batch, struct slice, n);
    struct slice *values = ARENA_ARRAY(&p->batch, struct slice, n);
    bool *found = ARENA_ARRAY(&p->batch, bool, n);
    if (rows == NULL || values == NULL || found == NULL) {
        return ERR_LIMIT;
    }
    p->at += n;
    TRY(read_keys(p, ctx, keys, n, found, values));
    if (p->source.index_ordinal != 0) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (found[i]) {
                TRY(exec__entry_row_key(&p->source, keys[i], values[i], &p->batch, &rows[count]));
                count++;
            }
        }
        n = count;
        if (n == 0) {
            return ERR_OK;
        }
        TRY(read_keys(p, ctx, rows, n, found, values));
    }
    for (uint32_t i = 0; i < n; i++) {
        if (found[i]) {
            ctx->examined_rows++;
            TRY(exec__source_row(&p->source, values[i], p->chunk.count));
            p->chunk.count++;
        }
    }
    return ERR_OK;
}

/* The rows of the next keys that pass, or of those that are left. */
static db_err point_chunk(struct op_point *p, struct exec_ctx *ctx)
{
    struct chunk piece;
    bool left = exec__some_left(&p->some);
    if (!left) {
        chunk_reset(&p->chunk);
        TRY(point_fill(p, ctx));
        TRY(exec__source_compute(ctx, &p->source, &p->chunk));
        if (p->op.node->u.scan.filter_count == 0 || p->chunk.count == 0) {
            return ERR_OK;
        }
    }
    if (!left && p->op.some) {
        exec__some_begin(&p->some, &p->chunk);
    }
    TRY(p->op.some ? exec__some_next(&p->some, ctx, &piece) : point_rows(p, ctx, &p->chunk));
    p->chunk.sel = p->sel;
    p->chunk.count = p->passed;
    return ERR_OK;
}

static db_err point_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_point *p = (struct op_point *)op;
    if (!p->known) {
        TRY(point_keys(p, ctx));
    }
    while (p->at < p->key_count || exec__some_left(&p->some)) {
        struct arena *own = op->some ? &p->batch : ctx->eval.arena;
        struct saved_arenas saved = exec__enter_arena(ctx, own);
        db_err err = point_chunk(p, ctx);
        exec__leave_arena(ctx, saved);
        TRY(err);
        if (p->chunk.count != 0) {
            *ret = &p->chunk;
            return ERR_OK;
        }
    }
    *ret = NULL;
    return ERR_OK;
}

static db_err point_rescan(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_point *p = (struct op_point *)op;
    p->known = false;
    exec__some_begin(&p->some, &(struct chunk){0});
    return ERR_OK;
}

static void point_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_point *p = (struct op_point *)op;
    if (p->opened) {
        arena_fini(&p->batch);
        arena_fini(&p->bounds);
        p->opened = false;
    }
}

static const struct op_ops g_point = {"point get", point_open, point_next, point_rescan,
                                      point_close};
const struct op_kind op_point_get_kind = {sizeof(struct op_point), &g_point};
