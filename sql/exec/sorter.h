/* Sorting packed rows, in memory or with sorted runs in a temporary file.
 *
 * Give rows by sorter_add, then sorter_finish, then take chunks by sorter_next. The sort is stable:
 * equal keys come out in the order they went in, spilled or not. With a bound only the first
 * `bound` rows are kept. NULL is the lowest value. May park. */
#ifndef SKEIN_SQL_EXEC_SORTER_H
#define SKEIN_SQL_EXEC_SORTER_H

#include "sql/exec/row_table.h"
#include "sql/exec/spill.h"

struct sort_key {
    uint32_t column; /* of the format */
    bool descending;
};

struct sort_ref {
    uint64_t prefix; /* order of prefixes is that of the first key, as far as 64 bits can say */
    const struct packed_row *row;
};

struct merge_input;

struct sorter {
    struct packed_format format;
    const struct sort_key *keys;
    uint32_t key_count;
    uint64_t bound; /* UINT64_MAX: all rows */
    struct sort_ref *refs;
    size_t count, cap;
    size_t refs_charged;
    struct arena *rows,
        *other; /* `other`: where the kept rows go when a bounded sort drops the rest */
    struct arena arenas[2];
    size_t budget;
    struct spill_file file;
    struct spill_run *runs;
    uint32_t run_count, run_cap;
    struct merge_input **inputs; /* a heap by their heads */
    uint32_t input_count;
    size_t at; /* next row, in memory */
    uint64_t given;
    bool is_bounded_cut; /* refs[bound - 1] is the worst row that can still count */
    bool initialised;
};

/* s is zeroed, or has been freed: then types and keys are those that it had. types: of all columns,
 * keys among them; keys and types outlive the sorter. cut: keys whose collation pads are compared
 * by so many bytes of their weights (cut_collation.h); 0: whole. */
MUST_USE db_err sorter_init(struct sorter *s, struct exec_ctx *ctx,
                            const struct sql_type *const *types, uint32_t column_count,
                            const struct sort_key *keys, uint32_t key_count, uint64_t bound,
                            uint32_t cut);
MUST_USE db_err sorter_add(struct sorter *s, struct exec_ctx *ctx, struct vector *const *vectors,
                           const uint16_t *sel, uint32_t n);
MUST_USE db_err sorter_finish(struct sorter *s, struct exec_ctx *ctx);
/* The next rows into out->columns (its first columns are the format's first ones); at most `room`.
 * out->count 0 at the end. Strings borrow the sorter until the next call. */
MUST_USE db_err sorter_next(struct sorter *s, struct exec_ctx *ctx, uint32_t room,
                            struct chunk *out);
/* Rows that sorter_next will give, when none were spilled; else UINT64_MAX. */
uint64_t sorter_rows(const struct sorter *s);
void sorter_fini(struct sorter *s); /* also of a zeroed one */

#endif
