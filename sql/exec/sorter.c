/* References to the rows are sorted, not the rows: 16 bytes with the beginning of the first key, so
 * that most comparisons touch nothing else. Merge sort, from runs made by insertion.
 *
 * Past its budget the sorter sorts what it has and writes it as a run; at the end the runs are
 * merged, as many at a time as their blocks fit into the budget, through a heap of their heads. A
 * bounded sort lets rows pile up to twice the bound, sorts, and forgets the second half; from then
 * on rows that are not better than the last one kept are not even packed. */
#include "sql/exec/sorter.h"

#include "base/alloc.h"
#include "base/fiber.h"
#include "sql/exec/cut_collation.h"
#include "sql/types/json.h"

enum {
    RUN_ROWS = 12,
    REFS_MIN = 128,
    MERGE_WAYS_MIN = 16, /* small blocks; with fewer all is read and written more often */
    MERGE_WAYS_MAX = 64,
    BOUND_SLACK = 1024,
    CHECK_ROWS = 4096
};

struct merge_input {
    struct spill_reader reader;
    const struct packed_row *rows[64];
    uint32_t count, at;
    uint32_t order; /* of the run: ties come out in it */
};

static uint64_t first_bytes(struct slice s)
{
    uint64_t p = 0;
    for (size_t i = 0; i < 8; i++) {
        p = p << 8 | (i < s.len ? s.ptr[i] : 0);
    }
    return p;
}

/* The collations whose weight strings compare like the strings, and where a printable ASCII
 * character always has one weight of two bytes whatever comes next, as long as that is ASCII too.
 */
static bool has_plain_weights(const struct collation *c)
{
    return c->id == COLL_UTF8MB4_0900_AI_CI || c->id == COLL_UTF8MB4_0900_AS_CS ||
           c->id == COLL_UTF8MB4_0900_AS_CI;
}

/* The first 8 bytes of the weight string; 0 where no order can be told by them. */
static db_err string_prefix(const struct packed_column *c, struct slice s, uint64_t *ret)
{
    enum { CHARS = 4, ROOM = 128 };
    *ret = 0;
    if (c->collation == NULL) {
        *ret = first_bytes(s);
        return ERR_OK;
    }
    if (!has_plain_weights(c->collation)) {
        return ERR_OK;
    }
    bool plain = true;
    for (size_t i = 0; i < s.len && i <= CHARS; i++) {
        plain = plain && s.ptr[i] >= 0x20 && s.ptr[i] < 0x7f;
    }
    if (plain) {
        uint8_t room[ROOM];
        struct buf key = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
        s.len = s.len > CHARS ? CHARS : s.len;
        TRY(collation_sort_key(c->collation, s, &key));
        *ret = first_bytes(buf_slice(&key));
        return ERR_OK;
    }
    struct buf key;
    buf_init(&key, SIZE_MAX / 2);
    db_err err = collation_sort_key(c->collation, s, &key);
    *ret = err == ERR_OK ? first_bytes(buf_slice(&key)) : 0;
    buf_fini(&key);
    return err;
}

static db_err prefix_of(const struct sorter *s, const struct packed_row *r, uint64_t *ret)
{
    const struct sort_key *k = &s->keys[0];
    const struct packed_column *c = &s->format.columns[k->column];
    uint64_t p = 0;
    if (packed_is_null(r, k->column)) {
        *ret = k->descending ? UINT64_MAX : 0;
        return ERR_OK;
    }
    if (c->phys == PHYS_STR) {
        TRY(string_prefix(c, packed_str(&s->format, r, k->column), &p));
    } else if (c->phys != PHYS_DECIMAL) {
        int64_t bits = packed_i64(&s->format, r, k->column);
        if (c->phys == PHYS_DOUBLE) {
            double d;
            memcpy(&d, &bits, sizeof(d));
            bits = d == 0 ? 0 : bits; /* -0 */
            p = bits < 0 ? ~(uint64_t)bits : (uint64_t)bits ^ 1ull << 63;
        } else {
            p = c->is_unsigned ? (uint64_t)bits : (uint64_t)bits ^ 1ull << 63;
        }
    }
    p = p >> 1 | 1ull << 63; /* above NULL */
    *ret = k->descending ? ~p : p;
    return ERR_OK;
}

static int compare_rows(const struct sorter *s, const struct packed_row *a,
                        const struct packed_row *b)
{
    for (uint32_t i = 0; i < s->key_count; i++) {
        int c = packed_compare(&s->format, s->keys[i].column, a, b);
        if (c != 0) {
            return s->keys[i].descending ? -c : c;
        }
    }
    return 0;
}

static inline bool ref_less(const struct sorter *s, const struct sort_ref *a,
                            const struct sort_ref *b)
{
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix;
    }
    return compare_rows(s, a->row, b->row) < 0;
}

static void insertion_sort(const struct sorter *s, struct sort_ref *refs, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct sort_ref x = refs[i];
        size_t k = i;
        while (k > 0 && ref_less(s, &x, &refs[k - 1])) {
            refs[k] = refs[k - 1];
            k--;
        }
        refs[k] = x;
    }
}

static void merge_two(const struct sorter *s, const struct sort_ref *a, size_t na,
                      const struct sort_ref *b, size_t nb, struct sort_ref *out)
{
    while (na != 0 && nb != 0) {
        if (ref_less(s, b, a)) {
            *out++ = *b++;
            nb--;
        } else {
            *out++ = *a++;
            na--;
        }
    }
    memcpy(out, a, na * sizeof(*out));
    memcpy(out + na, b, nb * sizeof(*out));
}

/* refs has room for twice its rows: the second half is the scratch. */
static db_err sort_refs(struct sorter *s)
{
    size_t n = s->count;
    if (n == 0) { /* and no memory */
        return ERR_OK;
    }
    struct sort_ref *from = s->refs;
    struct sort_ref *to = s->refs + s->cap;
    for (size_t i = 0; i < n; i += RUN_ROWS) {
        insertion_sort(s, from + i, n - i < RUN_ROWS ? n - i : RUN_ROWS);
    }
    for (size_t width = RUN_ROWS; width < n; width *= 2) {
        size_t since = 0;
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t na = n - i < width ? n - i : width;
            size_t nb = n - i - na < width ? n - i - na : width;
            merge_two(s, from + i, na, from + i + na, nb, to + i);
            since += na + nb;
            if (since >= CHECK_ROWS) {
                TRY(fiber_checkpoint());
                since = 0;
            }
        }
        struct sort_ref *t = from;
        from = to;
        to = t;
    }
    if (from != s->refs) {
        memcpy(s->refs, from, n * sizeof(*from));
    }
    return ERR_OK;
}

db_err sorter_init(struct sorter *s, struct exec_ctx *ctx, const struct sql_type *const *types,
                   uint32_t column_count, const struct sort_key *keys, uint32_t key_count,
                   uint64_t bound, uint32_t cut)
{
    struct packed_format format = s->format;
    *s = (struct sorter){.format = format,
                         .keys = keys,
                         .key_count = key_count,
                         .bound = bound,
                         .budget = spill_budget(ctx)};
    spill_file_init(&s->file);
    arena_init(&s->arenas[0], NULL, ctx->mem, 0);
    arena_init(&s->arenas[1], NULL, ctx->mem, 0);
    s->rows = &s->arenas[0];
    s->other = &s->arenas[1];
    s->initialised = true;
    if (format.columns != NULL) {
        return ERR_OK; /* of the time before */
    }
    TRY(packed_format_init(&s->format, types, column_count, ctx->arena));
    for (uint32_t i = 0; i < key_count; i++) {
        if (types[keys[i].column]->id == TYPE_JSON) {
            s->format.columns[keys[i].column].collation = &json_order_collation;
        } else if (cut != 0) {
            TRY(cut_collation(types[keys[i].column], cut, ctx->arena,
                              &s->format.columns[keys[i].column].collation));
        }
    }
    return ERR_OK;
}

static db_err grow_refs(struct sorter *s, struct exec_ctx *ctx)
{
    size_t cap = s->cap == 0 ? REFS_MIN : s->cap * 2;
    size_t bytes = 2 * cap * sizeof(*s->refs);
    if (s->cap != 0 && row_memory_is_short(ctx->mem, s->rows->used + bytes, s->budget)) {
        return ERR_LIMIT;
    }
    if (ctx->mem != NULL) {
        TRY(mem_tracker_charge(ctx->mem, bytes - s->refs_charged));
        s->refs_charged = bytes;
    }
    struct sort_ref *grown = mem_realloc(s->refs, bytes);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    s->refs = grown;
    s->cap = cap;
    return ERR_OK;
}

/* Sorts, keeps the best `bound` rows in the other arena, and empties this one. */
static db_err cut(struct sorter *s)
{
    TRY(sort_refs(s));
    for (size_t i = 0; i < s->bound; i++) {
        const struct packed_row *r = s->refs[i].row;
        void *copy = arena_alloc(s->other, r->size);
        if (copy == NULL) {
            return ERR_LIMIT;
        }
        memcpy(copy, r, r->size);
        s->refs[i].row = copy;
    }
    s->count = s->bound;
    arena_reset(s->rows);
    struct arena *t = s->rows;
    s->rows = s->other;
    s->other = t;
    s->is_bounded_cut = true;
    return ERR_OK;
}

static bool is_too_late(const struct sorter *s, struct vector *const *vectors, uint32_t row)
{
    const struct packed_row *worst = s->refs[s->bound - 1].row;
    for (uint32_t i = 0; i < s->key_count; i++) {
        uint32_t column = s->keys[i].column;
        int c = packed_compare_vector(&s->format, column, vectors[column], row, worst);
        if (c != 0) {
            return (s->keys[i].descending ? -c : c) > 0;
        }
    }
    return true;
}

static db_err add_row(struct sorter *s, struct exec_ctx *ctx, struct vector *const *vectors,
                      uint32_t row)
{
    size_t size = packed_size(&s->format, vectors, row);
    if (s->count == s->cap) {
        TRY(grow_refs(s, ctx));
    }
    bool block_full = s->rows->pos == NULL || (size_t)(s->rows->end - s->rows->pos) < size;
    if (block_full && s->count != 0 &&
        row_memory_is_short(ctx->mem, s->rows->used + size + s->refs_charged, s->budget)) {
        return ERR_LIMIT;
    }
    struct packed_row *r = arena_alloc(s->rows, size);
    if (r == NULL) {
        return ERR_LIMIT;
    }
    packed_write(&s->format, vectors, row, size, r);
    struct sort_ref *ref = &s->refs[s->count];
    *ref = (struct sort_ref){.row = r};
    if (s->key_count != 0) {
        TRY(prefix_of(s, r, &ref->prefix));
    }
    s->count++;
    return ERR_OK;
}

/* ---- spilling ---- */

static db_err new_run(struct sorter *s, struct exec_ctx *ctx, struct spill_run **ret)
{
    if (s->run_count == s->run_cap) {
        uint32_t cap = s->run_cap == 0 ? 8 : s->run_cap * 2;
        struct spill_run *grown = mem_realloc(s->runs, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        s->runs = grown;
        s->run_cap = cap;
    }
    *ret = &s->runs[s->run_count++];
    spill_run_init(*ret, ctx, &s->file);
    return ERR_OK;
}

static db_err write_run(struct sorter *s, struct exec_ctx *ctx)
{
    struct spill_run *run;
    TRY(sort_refs(s));
    TRY(new_run(s, ctx, &run));
    uint64_t n = s->count < s->bound ? s->count : s->bound;
    for (size_t i = 0; i < n; i++) {
        TRY(spill_write(run, ctx, s->refs[i].row));
    }
    TRY(spill_finish(run, ctx));
    s->count = 0;
    s->is_bounded_cut = false;
    arena_reset(s->rows);
    return ERR_OK;
}

db_err sorter_add(struct sorter *s, struct exec_ctx *ctx, struct vector *const *vectors,
                  const uint16_t *sel, uint32_t n)
{
    if (s->bound == 0) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel == NULL ? i : sel[i];
        if (s->is_bounded_cut && is_too_late(s, vectors, row)) {
            continue;
        }
        db_err err = add_row(s, ctx, vectors, row);
        if (err == ERR_LIMIT && s->count != 0 && spill_possible(ctx)) {
            TRY(write_run(s, ctx));
            err = add_row(s, ctx, vectors, row);
        }
        TRY(err);
        if (s->bound < UINT64_MAX / 4 && s->count >= 2 * s->bound + BOUND_SLACK) {
            TRY(cut(s));
        }
    }
    return ERR_OK;
}

static db_err refill(struct merge_input *in, struct exec_ctx *ctx)
{
    in->at = 0;
    return spill_read_rows(&in->reader, ctx, in->rows, ARRAY_COUNT(in->rows), &in->count);
}

static bool input_less(const struct sorter *s, const struct merge_input *a,
                       const struct merge_input *b)
{
    int c = compare_rows(s, a->rows[a->at], b->rows[b->at]);
    return c != 0 ? c < 0 : a->order < b->order;
}

static void sift_down(struct sorter *s, uint32_t at)
{
    struct merge_input **h = s->inputs;
    for (;;) {
        uint32_t least = at;
        for (uint32_t k = 2 * at + 1; k <= 2 * at + 2 && k < s->input_count; k++) {
            if (input_less(s, h[k], h[least])) {
                least = k;
            }
        }
        if (least == at) {
            return;
        }
        struct merge_input *t = h[at];
        h[at] = h[least];
        h[least] = t;
        at = least;
    }
}

static void close_inputs(struct sorter *s)
{
    for (uint32_t i = 0; s->inputs != NULL && i < s->input_count; i++) {
        spill_reader_fini(&s->inputs[i]->reader);
        mem_free(s->inputs[i]);
    }
    mem_free(s->inputs);
    s->inputs = NULL;
    s->input_count = 0;
}

static db_err open_inputs(struct sorter *s, struct exec_ctx *ctx, uint32_t from, uint32_t n)
{
    s->inputs = mem_calloc(n, sizeof(*s->inputs));
    if (s->inputs == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct merge_input *in = mem_calloc(1, sizeof(*in));
        if (in == NULL) {
            return ERR_NOMEM;
        }
        s->inputs[s->input_count++] = in;
        in->order = i;
        spill_reader_init(&in->reader, &s->runs[from + i]);
        TRY(refill(in, ctx));
        ASSERT(in->count != 0); /* no run is empty */
    }
    for (uint32_t i = n / 2; i-- > 0;) {
        sift_down(s, i);
    }
    return ERR_OK;
}

/* Steps the least input behind the row that was just taken. */
static db_err step(struct sorter *s, struct exec_ctx *ctx)
{
    struct merge_input *top = s->inputs[0];
    if (++top->at == top->count) {
        TRY(refill(top, ctx));
        if (top->count == 0) {
            spill_reader_fini(&top->reader);
            mem_free(top);
            s->inputs[0] = s->inputs[--s->input_count];
        }
    }
    sift_down(s, 0);
    return ERR_OK;
}

static uint32_t merge_ways(const struct sorter *s)
{
    size_t ways = s->budget / s->file.block_size;
    return ways < MERGE_WAYS_MIN   ? MERGE_WAYS_MIN
           : ways > MERGE_WAYS_MAX ? MERGE_WAYS_MAX
                                   : (uint32_t)ways;
}

/* Merges neighbouring runs until few are left; neighbours, so that ties keep their order. */
static db_err reduce_runs(struct sorter *s, struct exec_ctx *ctx)
{
    uint32_t ways = merge_ways(s);
    while (s->run_count > ways) {
        uint32_t before = s->run_count;
        uint32_t kept = 0;
        for (uint32_t from = 0; from < before; from += ways) {
            uint32_t n = before - from < ways ? before - from : ways;
            struct spill_run out;
            TRY(open_inputs(s, ctx, from, n));
            ctx->sort_merges++;
            spill_run_init(&out, ctx, &s->file);
            db_err err = ERR_OK;
            while (err == ERR_OK && s->input_count != 0 && out.rows < s->bound) {
                err = spill_write(&out, ctx, s->inputs[0]->rows[s->inputs[0]->at]);
                err = err != ERR_OK ? err : step(s, ctx);
            }
            err = err != ERR_OK ? err : spill_finish(&out, ctx);
            close_inputs(s);
            if (err != ERR_OK) {
                spill_run_fini(&out);
                return err;
            }
            for (uint32_t i = 0; i < n; i++) {
                spill_run_fini(&s->runs[from + i]);
            }
            s->runs[kept++] = out;
        }
        s->run_count = kept;
    }
    return ERR_OK;
}

/* Memory for the rows is not needed while runs are merged. */
static void drop_memory(struct sorter *s, struct exec_ctx *ctx)
{
    if (s->refs_charged != 0) {
        mem_tracker_release(ctx->mem, s->refs_charged);
        s->refs_charged = 0;
    }
    mem_free(s->refs);
    s->refs = NULL;
    s->cap = s->count = 0;
    for (uint32_t i = 0; i < 2; i++) {
        arena_fini(&s->arenas[i]);
        arena_init(&s->arenas[i], NULL, ctx->mem, 0);
    }
}

db_err sorter_finish(struct sorter *s, struct exec_ctx *ctx)
{
    if (s->run_count == 0) {
        return sort_refs(s);
    }
    if (s->count != 0) {
        TRY(write_run(s, ctx));
    }
    drop_memory(s, ctx);
    TRY(reduce_runs(s, ctx));
    return open_inputs(s, ctx, 0, s->run_count);
}

uint64_t sorter_rows(const struct sorter *s)
{
    return s->run_count != 0 ? UINT64_MAX : s->count < s->bound ? s->count : s->bound;
}

/* ---- results ---- */

static void unpack(struct sorter *s, const struct packed_row *const *rows, uint32_t n,
                   struct chunk *out)
{
    for (uint32_t c = 0; c < out->column_count; c++) {
        packed_read(&s->format, rows, n, c, &out->columns[c], out->count);
    }
    out->count += n;
}

/* Rows of several blocks meet in a chunk: their strings are copied. */
static db_err unpack_merged(struct sorter *s, struct exec_ctx *ctx, uint32_t room,
                            struct chunk *out)
{
    arena_reset(s->rows);
    while (s->input_count != 0 && out->count < room && s->given < s->bound &&
           (out->count == 0 || s->rows->used < s->budget / 2)) {
        const struct packed_row *r = s->inputs[0]->rows[s->inputs[0]->at];
        void *copy = arena_alloc(s->rows, r->size);
        if (copy == NULL) {
            return ERR_LIMIT;
        }
        memcpy(copy, r, r->size);
        const struct packed_row *row = copy;
        unpack(s, &row, 1, out);
        s->given++;
        TRY(step(s, ctx));
    }
    return ERR_OK;
}

db_err sorter_next(struct sorter *s, struct exec_ctx *ctx, uint32_t room, struct chunk *out)
{
    enum { ROWS = 256 };
    const struct packed_row *rows[ROWS];
    chunk_reset(out);
    if (s->run_count != 0) {
        return unpack_merged(s, ctx, room, out);
    }
    uint64_t end = sorter_rows(s);
    while (s->at < end && out->count < room) {
        uint32_t n = 0;
        while (n < ROWS && out->count + n < room && s->at < end) {
            rows[n++] = s->refs[s->at++].row;
        }
        unpack(s, rows, n, out);
    }
    return ERR_OK;
}

void sorter_fini(struct sorter *s)
{
    if (!s->initialised) {
        return;
    }
    close_inputs(s);
    for (uint32_t i = 0; i < s->run_count; i++) {
        spill_run_fini(&s->runs[i]);
    }
    mem_free(s->runs);
    s->runs = NULL;
    s->run_count = s->run_cap = 0;
    spill_file_close(&s->file);
    if (s->refs_charged != 0) {
        mem_tracker_release(s->arenas[0].tracker, s->refs_charged);
        s->refs_charged = 0;
    }
    mem_free(s->refs);
    s->refs = NULL;
    s->count = s->cap = 0;
    arena_fini(&s->arenas[0]);
    arena_fini(&s->arenas[1]);
    s->initialised = false;
}
