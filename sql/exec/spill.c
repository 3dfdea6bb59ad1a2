/* Temporary files.
 *
 * A run collects rows in a block buffer; a full block goes to the end of the operator's file, and
 * the run remembers where. Runs of one file thus interleave, and a sort's runs or a hash's 16
 * partitions cost one descriptor. A row larger than a block is a block of its own. */
#include "sql/exec/spill.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/fiber.h"

enum {
    BLOCK_MIN = 4 * 1024,
    BLOCK_MAX = 256 * 1024,
    BUDGET_MIN = 32 * 1024,
    BUDGET_SHARE = 4,       /* of the least limit: several operators of a plan spill at a time */
    BLOCKS_PER_BUDGET = 64, /* 16 parts of two sides are open at a time */
};
#define SPILL_BLOCK_BYTES_MAX ((size_t)UINT32_MAX)

static size_t least_limit(const struct mem_tracker *t)
{
    size_t least = SIZE_MAX;
    for (; t != NULL; t = t->parent) {
        if (t->limit != 0 && t->limit < least) {
            least = t->limit;
        }
    }
    return least;
}

size_t spill_budget(const struct exec_ctx *ctx)
{
    if (ctx->spill_budget != 0 && spill_possible(ctx)) {
        return ctx->spill_budget;
    }
    size_t limit = least_limit(ctx->mem);
    if (limit == SIZE_MAX) {
        return SIZE_MAX;
    }
    return limit / BUDGET_SHARE < BUDGET_MIN ? BUDGET_MIN : limit / BUDGET_SHARE;
}

bool spill_possible(const struct exec_ctx *ctx)
{
    return ctx->temp_dir != NULL;
}

void spill_file_init(struct spill_file *f)
{
    *f = (struct spill_file){.end = 0};
    temp_file_init(&f->file);
}

void spill_file_close(struct spill_file *f)
{
    temp_file_close(&f->file);
}

static db_err ensure_file(struct spill_file *f, struct exec_ctx *ctx)
{
    if (f->file.fd >= 0) {
        return ERR_OK;
    }
    if (!spill_possible(ctx)) {
        return diag_set(ctx->diag, ERR_LIMIT,
                        "the statement needs more memory than it may have, and there is no "
                        "directory for temporary files");
    }
    TRY(temp_file_make(&f->file, ctx->temp_dir, ctx->diag));
    size_t block = spill_budget(ctx) / BLOCKS_PER_BUDGET;
    f->block_size = block < BLOCK_MIN ? BLOCK_MIN : block > BLOCK_MAX ? BLOCK_MAX : block;
    f->end = 0;
    return ERR_OK;
}

/* ---- writing ---- */

void spill_run_init(struct spill_run *r, struct exec_ctx *ctx, struct spill_file *f)
{
    *r = (struct spill_run){.file = f, .mem = ctx->mem};
    buf_init(&r->out, SPILL_BLOCK_BYTES_MAX);
}

static db_err charge(struct spill_run *r, size_t size)
{
    if (r->mem != NULL) {
        TRY(mem_tracker_charge(r->mem, size));
        r->charged += size;
    }
    return ERR_OK;
}

static db_err add_block(struct spill_run *r, uint64_t offset, size_t len)
{
    if (r->block_count == r->block_cap) {
        uint32_t cap = r->block_cap == 0 ? 8 : r->block_cap * 2;
        TRY(charge(r, (cap - r->block_cap) * sizeof(*r->blocks)));
        struct spill_block *grown = mem_realloc(r->blocks, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        r->blocks = grown;
        r->block_cap = cap;
    }
    r->blocks[r->block_count++] = (struct spill_block){offset, (uint32_t)len};
    return ERR_OK;
}

static db_err flush(struct spill_run *r, struct exec_ctx *ctx)
{
    if (r->out.len == 0) {
        return ERR_OK;
    }
    uint64_t offset = r->file->end;
    TRY(add_block(r, offset, r->out.len));
    r->file->end += r->out.len;
    TRY(temp_file_write(&r->file->file, r->out.ptr, r->out.len, offset, ctx->diag));
    buf_reset(&r->out);
    return fiber_checkpoint();
}

/* Memory for the block grows with what is in it: many partitions may be small. */
static db_err make_room(struct spill_run *r, size_t need)
{
    if (r->out.len + need <= r->out.cap) {
        return ERR_OK;
    }
    size_t before = r->out.cap;
    TRY(buf_reserve(&r->out, need));
    db_err err = charge(r, r->out.cap - before);
    if (err != ERR_OK) {
        return err;
    }
    return ERR_OK;
}

db_err spill_write(struct spill_run *r, struct exec_ctx *ctx, const struct packed_row *row)
{
    TRY(ensure_file(r->file, ctx));
    if (r->out.len != 0 && r->out.len + row->size > r->file->block_size) {
        TRY(flush(r, ctx));
    }
    TRY(make_room(r, row->size));
    TRY(buf_append(&r->out, row, row->size));
    r->rows++;
    r->bytes += row->size;
    return ERR_OK;
}

static void drop_buffer(struct spill_run *r)
{
    size_t keep = r->block_cap * sizeof(*r->blocks);
    if (r->mem != NULL && r->charged > keep) {
        mem_tracker_release(r->mem, r->charged - keep);
        r->charged = keep;
    }
    buf_fini(&r->out);
    buf_init(&r->out, SPILL_BLOCK_BYTES_MAX);
}

db_err spill_finish(struct spill_run *r, struct exec_ctx *ctx)
{
    TRY(flush(r, ctx));
    drop_buffer(r);
    return ERR_OK;
}

void spill_run_fini(struct spill_run *r)
{
    if (r->mem != NULL && r->charged != 0) {
        mem_tracker_release(r->mem, r->charged);
    }
    r->charged = 0;
    buf_fini(&r->out);
    mem_free(r->blocks);
    r->blocks = NULL;
    r->block_count = r->block_cap = 0;
}

/* ---- reading ---- */

void spill_reader_init(struct spill_reader *r, const struct spill_run *run)
{
    *r = (struct spill_reader){.run = run};
}

static db_err reader_room(struct spill_reader *r, size_t need)
{
    if (need <= r->cap) {
        return ERR_OK;
    }
    if (r->run->mem != NULL) {
        TRY(mem_tracker_charge(r->run->mem, need - r->cap));
        r->charged += need - r->cap;
    }
    mem_free(r->block);
    r->block = mem_alloc(need);
    r->cap = r->block == NULL ? 0 : need;
    return r->block == NULL ? ERR_NOMEM : ERR_OK;
}

static db_err next_block(struct spill_reader *r, struct exec_ctx *ctx, bool *ret_end)
{
    *ret_end = r->at == r->run->block_count;
    if (*ret_end) {
        return ERR_OK;
    }
    const struct spill_block *b = &r->run->blocks[r->at];
    r->len = r->pos = 0;
    TRY(reader_room(r, b->len));
    TRY(temp_file_read(&r->run->file->file, r->block, b->len, b->offset, ctx->diag));
    r->len = b->len;
    r->at++;
    return fiber_checkpoint();
}

db_err spill_read(struct spill_reader *r, struct exec_ctx *ctx, const struct packed_row **ret_row)
{
    uint32_t n;
    *ret_row = NULL;
    return spill_read_rows(r, ctx, ret_row, 1, &n);
}

db_err spill_read_rows(struct spill_reader *r, struct exec_ctx *ctx, const struct packed_row **rows,
                       uint32_t max, uint32_t *ret_count)
{
    uint32_t n = 0;
    if (r->pos == r->len) {
        bool end;
        TRY(next_block(r, ctx, &end));
        if (end) {
            *ret_count = 0;
            return ERR_OK;
        }
    }
    while (n < max && r->pos < r->len) {
        const struct packed_row *row = (const void *)(r->block + r->pos);
        ASSERT(row->size != 0 && row->size <= r->len - r->pos);
        rows[n++] = row;
        r->pos += row->size;
    }
    *ret_count = n;
    return ERR_OK;
}

void spill_reader_fini(struct spill_reader *r)
{
    if (r->run != NULL && r->run->mem != NULL && r->charged != 0) {
        mem_tracker_release(r->run->mem, r->charged);
    }
    mem_free(r->block);
    *r = (struct spill_reader){0};
}

/* ---- parts ---- */

void spill_parts_init(struct spill_parts *p)
{
    *p = (struct spill_parts){0};
    spill_file_init(&p->file);
}

void spill_parts_start(struct spill_parts *p, uint32_t depth)
{
    ASSERT(!p->active);
    p->active = true;
    p->depth = depth;
}

db_err spill_parts_write(struct spill_parts *p, struct exec_ctx *ctx, unsigned side,
                         const struct packed_row *row)
{
    struct spill_part **part = &p->open[spill_partition(row->hash, p->depth)];
    if (*part == NULL) {
        *part = mem_calloc(1, sizeof(**part));
        if (*part == NULL) {
            return ERR_NOMEM;
        }
        (*part)->depth = p->depth;
        spill_run_init(&(*part)->runs[0], ctx, &p->file);
        spill_run_init(&(*part)->runs[1], ctx, &p->file);
    }
    return spill_write(&(*part)->runs[side], ctx, row);
}

db_err spill_parts_finish(struct spill_parts *p, struct exec_ctx *ctx, unsigned side)
{
    for (uint32_t i = 0; i < SPILL_PARTITIONS; i++) {
        if (p->open[i] != NULL) {
            TRY(spill_finish(&p->open[i]->runs[side], ctx));
        }
    }
    return ERR_OK;
}

void spill_parts_seal(struct spill_parts *p)
{
    for (uint32_t i = 0; i < SPILL_PARTITIONS; i++) {
        if (p->open[i] != NULL) {
            p->open[i]->next = p->pending;
            p->pending = p->open[i];
            p->open[i] = NULL;
        }
    }
    p->active = false;
}

struct spill_part *spill_parts_take(struct spill_parts *p)
{
    struct spill_part *part = p->pending;
    if (part != NULL) {
        p->pending = part->next;
    }
    return part;
}

void spill_part_free(struct spill_part *part)
{
    if (part != NULL) {
        spill_run_fini(&part->runs[0]);
        spill_run_fini(&part->runs[1]);
        mem_free(part);
    }
}

void spill_parts_fini(struct spill_parts *p)
{
    spill_parts_seal(p);
    for (struct spill_part *part; (part = spill_parts_take(p)) != NULL;) {
        spill_part_free(part);
    }
    spill_file_close(&p->file);
}
