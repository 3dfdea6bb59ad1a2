/* Packed rows by number: appended, then read in any order; what does not fit into memory goes to a
 * temporary file.
 *
 * Reading far apart places of a spilled store costs a block each; a few blocks are kept, so several
 * readers that move forward at different places do well. May park. Errors: those of spill.h. */
#ifndef SKEIN_SQL_EXEC_ROW_STORE_H
#define SKEIN_SQL_EXEC_ROW_STORE_H

#include "sql/exec/row_table.h"
#include "sql/exec/spill.h"

struct store_block;

struct row_store {
    const struct packed_format *format;
    uint64_t count;
    /* in memory: all rows, while nothing is spilled */
    const struct packed_row **refs;
    size_t cap;
    struct arena rows;
    struct mem_tracker *mem;
    size_t charged, budget;
    /* in the file: all rows */
    bool spilled;
    struct spill_file file;
    struct spill_run run;
    uint64_t *firsts; /* number of the first row of each block */
    uint32_t first_count, first_cap;
    struct store_block *cache;
    uint64_t clock;
    bool sealed;
};

void row_store_init(struct row_store *s, struct exec_ctx *ctx, const struct packed_format *format);
/* Row `row` of the vectors (all columns of the format); not after a get of a spilled store.
 * ERR_LIMIT: memory is short, the store is as before and may be spilled: what was read of it is
 * then gone. */
MUST_USE db_err row_store_add(struct row_store *s, struct exec_ctx *ctx,
                              struct vector *const *vectors, uint32_t row);
/* Moves the rows to a file. */
MUST_USE db_err row_store_spill(struct row_store *s, struct exec_ctx *ctx);
/* add, with a spill when it must be. */
MUST_USE db_err row_store_put(struct row_store *s, struct exec_ctx *ctx,
                              struct vector *const *vectors, uint32_t row);
/* Row `at` < count. Valid until a call that reads another block; rows of a store that is not
 * spilled: until it is cleared. */
MUST_USE db_err row_store_get(struct row_store *s, struct exec_ctx *ctx, uint64_t at,
                              const struct packed_row **ret_row);
/* Rows at, at + 1, ... all valid at once: at least one and at most `max`. */
MUST_USE db_err row_store_get_rows(struct row_store *s, struct exec_ctx *ctx, uint64_t at,
                                   uint32_t max, const struct packed_row **rows,
                                   uint32_t *ret_count);
/* Rows at .. at + n of the first columns into a chunk's columns from row `to`; strings stay valid
 * until the store is cleared or spilled, those of a file as long as the evaluation arena. */
MUST_USE db_err row_store_read(struct row_store *s, struct exec_ctx *ctx, uint64_t at, uint32_t n,
                               struct vector *columns, uint32_t column_count, uint32_t to);
MUST_USE db_err row_store_keep_strings(const struct row_store *s, struct exec_ctx *ctx,
                                       struct vector *v, uint32_t at, uint32_t n);
void row_store_clear(struct row_store *s, struct exec_ctx *ctx);
void row_store_fini(struct row_store *s); /* also of a zeroed one */

#endif
