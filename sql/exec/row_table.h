/* A hash table of packed rows, in memory: groups, distinct rows, a join's build side.
 *
 * The first key_count columns are the key. Rows stay where they are and are listed in the order
 * they came. Memory comes from an arena of the table's own, charged to the statement, and is
 * counted against a budget: past it (or when the tracker says no) adding gives ERR_LIMIT and
 * the table is as before, so that its owner can spill. Does not park. */
#ifndef SKEIN_SQL_EXEC_ROW_TABLE_H
#define SKEIN_SQL_EXEC_ROW_TABLE_H

#include "sql/exec/packed_row.h"

struct row_node {
    struct row_node *next;  /* in the bucket */
    struct row_node *newer; /* in order of arrival */
    void *extra;            /* the owner's */
    struct packed_row row;
};

struct row_table {
    const struct packed_format *format;
    uint32_t key_count;
    struct row_node **buckets;
    uint64_t bucket_count; /* a power of two, 0 = none yet */
    uint64_t count;
    struct row_node *first, *last;
    struct arena rows;
    struct mem_tracker *mem;
    size_t budget;
};

void row_table_init(struct row_table *t, const struct packed_format *format, uint32_t key_count,
                    struct mem_tracker *mem, size_t budget);
void row_table_fini(struct row_table *t);
/* Empty again; the budget stays. */
void row_table_clear(struct row_table *t);
size_t row_table_bytes(const struct row_table *t);
/* Should who holds `held` bytes of a budget spill rather than take more? When the budget is passed,
 * and before that when the statement as a whole has little left. */
bool row_memory_is_short(const struct mem_tracker *mem, size_t held, size_t budget);

/* The first row whose key equals row `row` of the vectors. */
static inline struct row_node *row_table_chain(const struct row_table *t, uint64_t hash)
{
    return t->bucket_count == 0 ? NULL : t->buckets[hash & (t->bucket_count - 1)];
}
struct row_node *row_table_match(const struct row_table *t, struct row_node *from, uint64_t hash,
                                 struct vector *const *keys, uint32_t row);
static inline struct row_node *row_table_find(const struct row_table *t, uint64_t hash,
                                              struct vector *const *keys, uint32_t row)
{
    return row_table_match(t, row_table_chain(t, hash), hash, keys, row);
}

/* A row of the vectors (all columns of the format), without looking for an equal one: insert can be
 * found at once, append only after row_table_build. ERR_LIMIT as above, ERR_NOMEM. */
MUST_USE db_err row_table_insert(struct row_table *t, uint64_t hash, struct vector *const *vectors,
                                 uint32_t row, struct row_node **ret_node);
MUST_USE db_err row_table_append(struct row_table *t, uint64_t hash, struct vector *const *vectors,
                                 uint32_t row);
/* append for a row that is packed already (its hash is in it). */
MUST_USE db_err row_table_append_packed(struct row_table *t, const struct packed_row *row);
/* Makes the buckets for all appended rows: rows of one key are found in the order they came.
 * ERR_LIMIT, ERR_NOMEM: the rows stay. */
MUST_USE db_err row_table_build(struct row_table *t);
/* The same with fewer buckets where there is no memory for all: slower. */
MUST_USE db_err row_table_build_small(struct row_table *t);

#endif
