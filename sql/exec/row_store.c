/* A store begins in memory. When its budget is short all rows are written to one run, and so is
 * what comes later; the number of each block's first row is kept, so that a row is found by a
 * binary search and a walk within its block. */
#include "sql/exec/row_store.h"

#include "base/alloc.h"
#include "sql/exec/exec_int.h"

enum { CACHED_BLOCKS = 8, FIRST_REFS = 64 };

struct store_block {
    uint32_t block; /* + 1; 0 = empty */
    uint64_t used;  /* clock of the last use */
    struct spill_reader reader;
    const struct packed_row **rows;
    uint32_t count, cap;
};

void row_store_init(struct row_store *s, struct exec_ctx *ctx, const struct packed_format *format)
{
    *s = (struct row_store){.format = format, .mem = ctx->mem};
    s->budget = spill_budget(ctx) / 2;
    arena_init(&s->rows, NULL, ctx->mem, 0);
    spill_file_init(&s->file);
}

/* A growing array of the store's, charged to the statement. */
static db_err grow(struct row_store *s, void **array, size_t have, size_t want)
{
    if (s->mem != NULL) {
        TRY(mem_tracker_charge(s->mem, want - have));
    }
    void *p = mem_realloc(*array, want);
    if (p == NULL) {
        if (s->mem != NULL) {
            mem_tracker_release(s->mem, want - have);
        }
        return ERR_NOMEM;
    }
    s->charged += want - have;
    *array = p;
    return ERR_OK;
}

static db_err note_first(struct row_store *s, uint64_t row)
{
    if (s->first_count == s->first_cap) {
        uint32_t cap = s->first_cap == 0 ? FIRST_REFS : s->first_cap * 2;
        void *p = s->firsts;
        TRY(grow(s, &p, s->first_cap * sizeof(*s->firsts), cap * sizeof(*s->firsts)));
        s->firsts = p;
        s->first_cap = cap;
    }
    s->firsts[s->first_count++] = row;
    return ERR_OK;
}

static db_err write_row(struct row_store *s, struct exec_ctx *ctx, uint64_t number,
                        const struct packed_row *row)
{
    uint32_t before = s->run.block_count;
    TRY(spill_write(&s->run, ctx, row));
    return number == 0 || s->run.block_count != before ? note_first(s, number) : ERR_OK;
}

db_err row_store_spill(struct row_store *s, struct exec_ctx *ctx)
{
    ASSERT(!s->spilled);
    spill_run_init(&s->run, ctx, &s->file);
    s->spilled = true;
    s->sealed = false;
    for (uint64_t i = 0; i < s->count; i++) {
        TRY(write_row(s, ctx, i, s->refs[i]));
    }
    arena_reset(&s->rows);
    return ERR_OK;
}

static db_err add_ref(struct row_store *s, const struct packed_row *row)
{
    if (s->count == s->cap) {
        size_t cap = s->cap == 0 ? FIRST_REFS : s->cap * 2;
        void *p = s->refs;
        TRY(grow(s, &p, s->cap * sizeof(void *), cap * sizeof(void *)));
        s->refs = p;
        s->cap = cap;
    }
    s->refs[s->count] = row;
    return ERR_OK;
}

db_err row_store_add(struct row_store *s, struct exec_ctx *ctx, struct vector *const *vectors,
                     uint32_t row)
{
    size_t size = packed_size(s->format, vectors, row);
    if (!s->spilled && s->count != 0 && spill_possible(ctx) &&
        row_memory_is_short(s->mem, s->rows.used + s->charged, s->budget)) {
        return ERR_LIMIT;
    }
    struct packed_row *p = arena_alloc(&s->rows, size);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    packed_write(s->format, vectors, row, size, p);
    if (s->spilled) {
        ASSERT(!s->sealed);
        TRY(write_row(s, ctx, s->count, p));
        arena_reset(&s->rows);
    } else {
        TRY(add_ref(s, p));
    }
    s->count++;
    return ERR_OK;
}

/* ---- reading a spilled store ---- */

static uint32_t block_of(const struct row_store *s, uint64_t at)
{
    uint32_t low = 0;
    uint32_t high = s->first_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (s->firsts[middle] <= at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static db_err load_block(struct row_store *s, struct exec_ctx *ctx, uint32_t block,
                         struct store_block *b)
{
    uint64_t end = block + 1 < s->first_count ? s->firsts[block + 1] : s->count;
    uint32_t rows = (uint32_t)(end - s->firsts[block]);
    b->block = 0;
    if (rows > b->cap) {
        void *p = b->rows;
        TRY(grow(s, &p, b->cap * sizeof(void *), rows * sizeof(void *)));
        b->rows = p;
        b->cap = rows;
    }
    if (b->reader.run == NULL) {
        spill_reader_init(&b->reader, &s->run);
    }
    b->reader.at = block;
    b->reader.pos = b->reader.len = 0;
    TRY(spill_read_rows(&b->reader, ctx, b->rows, rows, &b->count));
    ASSERT(b->count == rows);
    b->block = block + 1;
    return ERR_OK;
}

static db_err cached_block(struct row_store *s, struct exec_ctx *ctx, uint32_t block,
                           struct store_block **ret)
{
    struct store_block *oldest = &s->cache[0];
    for (uint32_t i = 0; i < CACHED_BLOCKS; i++) {
        struct store_block *b = &s->cache[i];
        if (b->block == block + 1) {
            b->used = ++s->clock;
            *ret = b;
            return ERR_OK;
        }
        oldest = b->used < oldest->used ? b : oldest;
    }
    TRY(load_block(s, ctx, block, oldest));
    oldest->used = ++s->clock;
    *ret = oldest;
    return ERR_OK;
}

static db_err spilled_block(struct row_store *s, struct exec_ctx *ctx, uint64_t at,
                            struct store_block **ret)
{
    if (!s->sealed) {
        TRY(spill_finish(&s->run, ctx));
        s->sealed = true;
    }
    if (s->cache == NULL) {
        s->cache = mem_calloc(CACHED_BLOCKS, sizeof(*s->cache));
        if (s->cache == NULL) {
            return ERR_NOMEM;
        }
    }
    return cached_block(s, ctx, block_of(s, at), ret);
}

db_err row_store_get(struct row_store *s, struct exec_ctx *ctx, uint64_t at,
                     const struct packed_row **ret_row)
{
    ASSERT(at < s->count);
    if (LIKELY(!s->spilled)) {
        *ret_row = s->refs[at];
        return ERR_OK;
    }
    struct store_block *b;
    TRY(spilled_block(s, ctx, at, &b));
    *ret_row = b->rows[at - s->firsts[b->block - 1]];
    return ERR_OK;
}

db_err row_store_get_rows(struct row_store *s, struct exec_ctx *ctx, uint64_t at, uint32_t max,
                          const struct packed_row **rows, uint32_t *ret_count)
{
    uint64_t left = s->count - at;
    const struct packed_row **from;
    ASSERT(at < s->count);
    if (LIKELY(!s->spilled)) {
        from = &s->refs[at];
    } else {
        struct store_block *b;
        TRY(spilled_block(s, ctx, at, &b));
        uint64_t in_block = at - s->firsts[b->block - 1];
        from = &b->rows[in_block];
        left = b->count - in_block;
    }
    uint32_t n = left < max ? (uint32_t)left : max;
    memcpy(rows, from, n * sizeof(*rows));
    *ret_count = n;
    return ERR_OK;
}

db_err row_store_keep_strings(const struct row_store *s, struct exec_ctx *ctx, struct vector *v,
                              uint32_t at, uint32_t n)
{
    if (!s->spilled || v->phys != PHYS_STR) {
        return ERR_OK;
    }
    for (uint32_t i = at; i < at + n; i++) {
        struct slice text = vec_str(v, i);
        if (vec_is_null(v, i) || text.len <= STRV_INLINE_MAX) {
            continue;
        }
        TRY(arena_copy(ctx->eval.arena, text, &text));
        vec_set_str_ref(v, i, text);
    }
    return ERR_OK;
}

db_err row_store_read(struct row_store *s, struct exec_ctx *ctx, uint64_t at, uint32_t n,
                      struct vector *columns, uint32_t column_count, uint32_t to)
{
    enum { BATCH = 256 };
    const struct packed_row *rows[BATCH];
    while (n != 0) {
        uint32_t got = n < BATCH ? n : BATCH;
        TRY(row_store_get_rows(s, ctx, at, got, rows, &got));
        for (uint32_t i = 0; i < column_count; i++) {
            packed_read(s->format, rows, got, i, &columns[i], to);
            TRY(row_store_keep_strings(s, ctx, &columns[i], to, got));
        }
        at += got;
        to += got;
        n -= got;
    }
    return ERR_OK;
}

static void drop_cache(struct row_store *s)
{
    for (uint32_t i = 0; s->cache != NULL && i < CACHED_BLOCKS; i++) {
        struct store_block *b = &s->cache[i];
        spill_reader_fini(&b->reader);
        mem_free(b->rows);
        if (s->mem != NULL && b->cap != 0) {
            mem_tracker_release(s->mem, b->cap * sizeof(void *));
        }
        s->charged -= b->cap * sizeof(void *);
    }
    mem_free(s->cache);
    s->cache = NULL;
}

static void drop_file(struct row_store *s)
{
    drop_cache(s);
    if (s->spilled) {
        spill_run_fini(&s->run);
        s->spilled = false;
    }
    spill_file_close(&s->file);
}

void row_store_clear(struct row_store *s, struct exec_ctx *ctx)
{
    (void)ctx;
    if (s->spilled) {
        drop_file(s);
        spill_file_init(&s->file);
    }
    arena_reset(&s->rows);
    s->count = 0;
    s->first_count = 0;
}

void row_store_fini(struct row_store *s)
{
    if (s->format == NULL) {
        return;
    }
    drop_file(s);
    arena_fini(&s->rows);
    mem_free(s->refs);
    mem_free(s->firsts);
    if (s->mem != NULL && s->charged != 0) {
        mem_tracker_release(s->mem, s->charged);
    }
    *s = (struct row_store){0};
}

db_err row_store_put(struct row_store *s, struct exec_ctx *ctx, struct vector *const *vectors,
                     uint32_t row)
{
    db_err err = row_store_add(s, ctx, vectors, row);
    if (err != ERR_LIMIT || s->spilled || s->count == 0) {
        return err;
    }
    TRY(row_store_spill(s, ctx));
    return row_store_add(s, ctx, vectors, row);
}
