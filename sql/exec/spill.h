/* What does not fit into a statement's memory: packed rows in an unnamed temporary file.
 *
 * One file per operator, many runs in it (a run: rows in the order they were written, a sorted run
 * or one partition of a hash). Runs are written and read in blocks through the blocking pool. The
 * file has no name from the moment it exists, so that nothing is left after a crash. Everything may
 * park; one fiber at a time. Errors: ERR_LIMIT (block buffers), ERR_IO, ERR_DISK_FULL, ERR_SQL with
 * ctx->diag (no place for temporary files). */
#ifndef SKEIN_SQL_EXEC_SPILL_H
#define SKEIN_SQL_EXEC_SPILL_H

#include "base/temp_file.h"
#include "sql/exec/op.h"
#include "sql/exec/packed_row.h"

struct spill_file {
    struct temp_file file;
    uint64_t end;
    size_t block_size;
};

struct spill_block {
    uint64_t offset;
    uint32_t len;
};

struct spill_run {
    struct spill_file *file;
    struct spill_block *blocks;
    uint32_t block_count, block_cap;
    uint64_t rows;
    uint64_t bytes;
    struct buf out; /* the block being filled */
    struct mem_tracker *mem;
    size_t charged;
};

struct spill_reader {
    const struct spill_run *run;
    uint32_t at; /* next block */
    uint8_t *block;
    size_t len, pos, cap, charged;
};

enum { SPILL_PARTITION_BITS = 4, SPILL_PARTITIONS = 1 << SPILL_PARTITION_BITS };
enum { SPILL_DEPTH_MAX = 64 / SPILL_PARTITION_BITS - 1 };

/* How much of the statement's memory one operator may hold before it spills: a part of the least
 * limit around ctx->mem; SIZE_MAX without any limit. */
size_t spill_budget(const struct exec_ctx *ctx);
/* Is there a place for temporary files? */
bool spill_possible(const struct exec_ctx *ctx);

void spill_file_init(struct spill_file *f);
void spill_file_close(struct spill_file *f); /* runs first */

void spill_run_init(struct spill_run *r, struct exec_ctx *ctx, struct spill_file *f);
MUST_USE db_err spill_write(struct spill_run *r, struct exec_ctx *ctx,
                            const struct packed_row *row);
/* Writes what is left and gives the block buffer back. */
MUST_USE db_err spill_finish(struct spill_run *r, struct exec_ctx *ctx);
void spill_run_fini(struct spill_run *r);

/* The run is finished and outlives the reader. */
void spill_reader_init(struct spill_reader *r, const struct spill_run *run);
/* *ret_row NULL at the end; else valid until the block is read to its end: until the next call. */
MUST_USE db_err spill_read(struct spill_reader *r, struct exec_ctx *ctx,
                           const struct packed_row **ret_row);
/* Up to `max` rows at once, all of one block, valid until the next call; *ret_count 0 at the end.
 */
MUST_USE db_err spill_read_rows(struct spill_reader *r, struct exec_ctx *ctx,
                                const struct packed_row **rows, uint32_t max, uint32_t *ret_count);
void spill_reader_fini(struct spill_reader *r);

/* Rows divided by their hash, for one or two inputs (a join's sides, a set operation's). While a
 * level is open, rows go to its 16 parts; sealed, its parts wait to be taken and handled one by
 * one, and a part that is still too large is divided again by the next bits. */
struct spill_part {
    struct spill_part *next;
    uint32_t depth; /* of the level it came from */
    struct spill_run runs[2];
};
struct spill_parts {
    struct spill_file file;
    struct spill_part *open[SPILL_PARTITIONS];
    struct spill_part *pending;
    uint32_t depth;
    bool active; /* a level is open */
};

void spill_parts_init(struct spill_parts *p);
void spill_parts_start(struct spill_parts *p, uint32_t depth);
/* By row->hash. side: 0 or 1. */
MUST_USE db_err spill_parts_write(struct spill_parts *p, struct exec_ctx *ctx, unsigned side,
                                  const struct packed_row *row);
/* No more rows of this side in the open level: buffers are given back. */
MUST_USE db_err spill_parts_finish(struct spill_parts *p, struct exec_ctx *ctx, unsigned side);
/* Closes the level (all sides are finished); empty parts vanish. */
void spill_parts_seal(struct spill_parts *p);
/* The next waiting part, now the caller's, or NULL. */
struct spill_part *spill_parts_take(struct spill_parts *p);
void spill_part_free(struct spill_part *part); /* NULL is fine */
void spill_parts_fini(struct spill_parts *p);  /* not of a zeroed one: fd 0 */

/* The part of a hash that says the partition at a depth of recursion. */
static inline uint32_t spill_partition(uint64_t hash, uint32_t depth)
{
    uint32_t d = depth > SPILL_DEPTH_MAX ? SPILL_DEPTH_MAX : depth;
    return (uint32_t)(hash >> (64 - SPILL_PARTITION_BITS * (d + 1))) & (SPILL_PARTITIONS - 1);
}

#endif
