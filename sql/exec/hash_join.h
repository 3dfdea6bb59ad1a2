/* The run state of a hash join. Private to op_hash_join.c and hash_join_parts.c. */
#ifndef SKEIN_SQL_EXEC_HASH_JOIN_H
#define SKEIN_SQL_EXEC_HASH_JOIN_H

#include "sql/exec/join_run.h"
#include "sql/exec/sorter.h"

struct op_hash_join {
    struct op op;
    uint32_t key_count, left_width, right_width, out_width;
    struct expr_state **left_keys, **right_keys;
    struct packed_format format; /* keys, right columns */
    struct row_table table;
    struct vector **build; /* keys, right columns */
    struct vector **probe; /* keys of the left chunk */
    uint64_t *hashes;
    uint64_t right_rows;
    /* Of rows as they come, and of parts, whose left rows have numbers: what one has made it keeps,
     * as the join may be run again and again. */
    struct join_run runs[2];
    struct join_run *run;
    struct arena left_arena, right_arena, scratch;
    struct row_node *rest; /* FULL */
    struct chunk *ahead;   /* the left side's first chunk, read before the right side */
    bool opened, right_opened, built, ended;
    /* parts */
    bool spilled, sorted;
    struct packed_format left_format; /* left columns, number */
    const struct sql_type **left_types, **out_types;
    struct sql_type number_type;
    struct vector **left_vectors, **out_vectors;
    struct vector number;
    uint64_t next_number;
    struct spill_parts parts;
    struct spill_part *part;
    struct spill_reader reader;       /* of the part's left side */
    struct spill_reader build_reader; /* of its right side, behind the rows in the table */
    const struct packed_row *waiting; /* the row there that did not fit; NULL: all are read */
    /* The part's right side is read in blocks, its left side once for each: whether a left row has
     * met a partner in a block before, by its number in the part. NULL: it does not matter. */
    uint64_t *matched;
    uint64_t left_at; /* left rows read for this block */
    struct arena marks;
    struct chunk left_again, out;
    struct sort_key by_number;
    struct sorter sorter;
};

/* op_hash_join.c: gives the left side's next chunk with its keys and hashes; NULL at the end. */
MUST_USE db_err hash_join_next_left(struct op_hash_join *s, struct exec_ctx *ctx,
                                    struct chunk **ret);
MUST_USE db_err hash_join_use_run(struct op_hash_join *s, struct exec_ctx *ctx, bool numbered);

/* hash_join_parts.c: the table's rows, and one more, to the parts of a temporary file; the table is
 * empty after the first. */
MUST_USE db_err hash_join_spill_table(struct op_hash_join *s, struct exec_ctx *ctx);
MUST_USE db_err hash_join_spill_row(struct op_hash_join *s, struct exec_ctx *ctx, uint32_t row,
                                    uint64_t hash);
/* The right side is in the parts: reads the left side and gives all results to the sorter. */
MUST_USE db_err hash_join_parts(struct op_hash_join *s, struct exec_ctx *ctx);
void hash_join_drop_parts(struct op_hash_join *s);

#endif
