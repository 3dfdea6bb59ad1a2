/* Keys of an access path at run time, and rows from what the storage gives. */
#ifndef SKEIN_SQL_EXEC_KEYS_H
#define SKEIN_SQL_EXEC_KEYS_H

#include "sql/catalog/table_format.h"
#include "sql/exec/exec_int.h"

struct key_range {
    struct slice start, end; /* in the statement's arena; end empty = no bound */
};

/* All ranges of a scan: evaluated, empty ones dropped, sorted, duplicates and overlaps merged. One
 * range over the whole index when the scan has none. *ret_repeats: they may have several entries of
 * one row. */
MUST_USE db_err exec__scan_ranges(struct exec_ctx *ctx, const struct scan_spec *s,
                                  struct key_range **ret_ranges, uint32_t *ret_count,
                                  bool *ret_repeats);
/* The key of the only range, which is full and unique. *ret_empty: no key can fit. */
MUST_USE db_err exec__point_key(struct exec_ctx *ctx, const struct scan_spec *s,
                                struct slice *ret_key, bool *ret_empty);
/* The keys of all ranges, which are full and unique, in their order; ret_keys has room for all. */
MUST_USE db_err exec__point_keys(struct exec_ctx *ctx, const struct scan_spec *s,
                                 struct slice *ret_keys, uint32_t *ret_count);
/* Like exec__point_key with the values of the equalities given (a lookup join's left row); values
 * may be NULL: empty. */
MUST_USE db_err exec__key_of_values(struct exec_ctx *ctx, const struct scan_spec *s,
                                    const struct sql_type *const *types, const struct value *values,
                                    uint32_t count, struct arena *arena, struct slice *ret_key,
                                    bool *ret_empty);

/* Decodes stored rows or index entries into the scan's output columns. */
struct row_source {
    const struct scan_spec *spec;
    const struct table_format *format;
    const struct index_format *index; /* of the scan's index */
    uint32_t index_ordinal;
    struct row_reader *reader;
    struct vector **vectors; /* of the output chunk */
    /* covering scans of secondary indexes: for each key part and pk part the output column it
     * fills, or UINT32_MAX */
    uint32_t *part_out, *pk_out;
    struct expr_state **virtuals; /* of the scan's VIRTUAL columns */
};
MUST_USE db_err exec__source_init(struct exec_ctx *ctx, const struct scan_spec *s,
                                  struct chunk *out, struct row_source *ret);
/* For a chunk whose rows are all decoded: its VIRTUAL columns. */
MUST_USE db_err exec__source_compute(struct exec_ctx *ctx, struct row_source *s,
                                     const struct chunk *chunk);
/* Row `at` of the chunk from a stored row; text borrows `stored`. */
MUST_USE db_err exec__source_row(struct row_source *s, struct slice stored, uint32_t at);
/* Row `at` from an index entry that covers the columns. */
MUST_USE db_err exec__source_entry(struct exec_ctx *ctx, struct row_source *s, struct slice key,
                                   struct slice value, uint32_t at);
/* The row key that an index entry points to, in the arena. */
MUST_USE db_err exec__entry_row_key(const struct row_source *s, struct slice key,
                                    struct slice value, struct arena *arena, struct slice *ret_key);

static inline enum storage_read_mode exec__read_mode(const struct exec_ctx *ctx,
                                                     const struct scan_spec *s)
{
    return ctx->bulk_change                ? STORAGE_READ_PLAIN
           : s->lock == ROW_LOCK_EXCLUSIVE ? STORAGE_READ_EXCLUSIVE_RANGE
           : s->lock == ROW_LOCK_SHARED    ? STORAGE_READ_SHARED_RANGE
                                           : STORAGE_READ_PLAIN;
}
static inline enum storage_wait exec__wait_mode(const struct scan_spec *s)
{
    return s->wait == ROW_LOCK_NOWAIT ? STORAGE_NOWAIT
           : s->wait == ROW_LOCK_SKIP ? STORAGE_SKIP_LOCKED
                                      : STORAGE_WAIT;
}

#endif
