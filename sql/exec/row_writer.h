/* Writing rows with their index entries: shared by INSERT, REPLACE, UPDATE and DELETE. */
#ifndef SKEIN_SQL_EXEC_ROW_WRITER_H
#define SKEIN_SQL_EXEC_ROW_WRITER_H

#include "sql/catalog/table_format.h"
#include "sql/exec/row_rules.h"

struct row_writer {
    struct exec_ctx *ctx;
    const struct table_def *table;
    const struct table_format *format;
    struct buf key, value, old_key, old_value;
    struct whole_row rows; /* those that are read */
    uint32_t duplicate;    /* after ERR_SQL 1062: the index whose key another row has */
    bool bulk;  /* the statement neither reads nor writes the row again (STORAGE_W_BULK) */
    bool defer; /* inserts: that keys are new is checked by the commit; ERR_KEY_EXISTS is given as
           it is */
};

/* virtuals: the table's VIRTUAL columns (bind_virtual_columns), NULL: none, or no row is read. */
void row_writer_init(struct row_writer *w, struct exec_ctx *ctx, const struct table_def *table,
                     const struct table_rules *virtuals);
void row_writer_fini(struct row_writer *w);

/* Inserts a whole row (values by ordinal, already stored forms). ERR_SQL 1062 when a unique key has
 * it; ERR_KEY_EXISTS: the statement is to run again, with `defer` checked, with `bulk` and IGNORE
 * not in bulk. */
MUST_USE db_err row_insert(struct row_writer *w, const struct value *row);
/* Deletes a row that this transaction has read for update. */
MUST_USE db_err row_delete(struct row_writer *w, const struct value *row);
/* Replaces `old` (read for update) by `new`; touched[i]: index i may have changed, NULL: any. */
MUST_USE db_err row_update(struct row_writer *w, const struct value *old,
                           const struct value *new_row, const bool *touched);
/* What will be done to a row: the two are not both NULL. */
struct row_change {
    const struct value *old;     /* NULL: it is inserted */
    const struct value *new_row; /* NULL: it is deleted */
};
enum { ROW_LOCKS_MAX = 256 }; /* rows that are enough at a time */
/* row_locks.c: asks for the locks of unique keys that row_insert, row_delete and row_update of
 * these rows would ask for one by one. Waits for nobody; leaves all else to them. touched as for
 * row_update. Parks. */
MUST_USE db_err row_lock_keys(struct row_writer *w, const struct row_change *rows, uint32_t n,
                              const bool *touched);
/* The same for up to ROW_LOCKS_MAX of n rows, one behind the other, that row_insert will insert. */
MUST_USE db_err row_lock_new(struct row_writer *w, const struct value *rows, uint32_t n);
/* Is there anything that rows which are inserted, deleted (touched NULL) or updated would ask for?
 */
bool row_locks_worth(const struct row_writer *w, const bool *touched, bool inserts);
/* The first unique key of `row` that another row has: reads that row for update into ret_old
 * (strings in `arena`), as strictly as the statement is; NULL: it is only looked for. *ret_index:
 * index ordinal, -1 when there is no conflict. */
MUST_USE db_err row_find_conflict(struct row_writer *w, const struct value *row,
                                  struct arena *arena, struct value *ret_old, int *ret_index);
/* Appends a value as messages about keys show it. */
MUST_USE db_err row_print_part(struct exec_ctx *ctx, const struct sql_type *t,
                               const struct value *v, struct buf *out);
/* 1062 for index number `index` with the row's values. */
db_err row_duplicate_error(struct row_writer *w, uint32_t index, const struct value *row);

/* 1062 for a key that a row of the table has by now, as storage names it (the row is looked up;
 * when it is gone, or is not there yet, the values are what the key tells). Parks. */
db_err row_duplicate_key(struct row_writer *w, struct slice key);

/* Assigns v to column `ordinal` of row, as MySQL stores into columns (strictness, NULLs: 1048).
 * `number`: 1-based row. */
MUST_USE db_err row_assign(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                           const struct sql_type *type, const struct value *v, uint64_t number,
                           struct value *row);
/* The same where the row has a value, which some that cannot be stored leave as it is. */
MUST_USE db_err row_reassign(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                             const struct sql_type *type, const struct value *v, uint64_t number,
                             struct value *row);
/* The statement's time, cut to the column's decimals. */
MUST_USE db_err row_assign_now(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                               uint64_t number, struct value *row);
/* Text of the value becomes the statement's own (ctx->arena), so that what it was borrowed from may
 * go. */
MUST_USE db_err row_own(struct exec_ctx *ctx, struct value *v);
bool row_equal(const struct table_def *t, const struct value *a, const struct value *b);

/* A name for a table's sequence: AUTO_INCREMENT or hidden row ids. Key in out (room for 16 bytes).
 */
struct slice sequence_key(const struct table_def *t, bool row_id, uint8_t out[16]);

#endif
