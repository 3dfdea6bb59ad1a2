/* Removing duplicates from a stream of chunks: the first of each kind passes, in order.
 *
 * dedup_take for every input chunk; when the input is at its end dedup_end, then dedup_rest until
 * it gives NULL (rows that memory did not suffice for). May park. */
#ifndef SKEIN_SQL_EXEC_DEDUP_H
#define SKEIN_SQL_EXEC_DEDUP_H

#include "sql/exec/row_table.h"
#include "sql/exec/sorter.h"

struct dedup {
    struct packed_format format; /* the columns, then the number */
    uint32_t width;              /* columns */
    uint32_t keys;               /* the first of them decide */
    const struct sql_type **types;
    struct sql_type number_type;
    struct vector **vectors;
    struct vector number;
    uint64_t next_number;
    struct row_table seen;
    struct spill_parts parts;
    struct sorter sorter;
    struct sort_key by_number;
    struct arena scratch;
    struct chunk chunk; /* what is given */
    struct chunk again; /* rows read back */
    uint64_t *hashes;
    uint16_t *sel;
    bool initialised, has_file;
};

/* Rows are of one kind when their first `keys` columns are equal. The types outlive it. */
MUST_USE db_err dedup_init(struct dedup *d, struct exec_ctx *ctx,
                           const struct sql_type *const *types, uint32_t count, uint32_t keys);
/* *ret: the new rows of the chunk (it borrows the chunk); NULL: none. */
MUST_USE db_err dedup_take(struct dedup *d, struct exec_ctx *ctx, const struct chunk *in,
                           struct chunk **ret);
MUST_USE db_err dedup_end(struct dedup *d, struct exec_ctx *ctx);
MUST_USE db_err dedup_rest(struct dedup *d, struct exec_ctx *ctx, struct chunk **ret);
void dedup_clear(struct dedup *d); /* as after init */
void dedup_fini(struct dedup *d);  /* also of a zeroed one */

#endif
