/* Private to the files fk_*.c. */
#ifndef SKEIN_SQL_EXEC_FK_INT_H
#define SKEIN_SQL_EXEC_FK_INT_H

#include "base/scope.h"
#include "sql/diag/my_error.h"
#include "sql/exec/fk.h"

enum { FK_KEY_MAX = 64 * 1024 };

/* v as a value of a column of type `to`; *ret_fits false: no value of that type is equal to it. */
MUST_USE db_err fk__convert(struct exec_ctx *ctx, const struct sql_type *to,
                            const struct sql_type *from, const struct value *v, struct arena *arena,
                            struct value *ret, bool *ret_fits);
/* Appends the beginning of the keys under which index number `index` of `to` has rows whose columns
 * `to_columns` are equal to the columns `from_columns` of `row`. *ret_has false: NULL is among
 * them; *ret_fits as above. */
struct fk_key_of {
    const struct table_def *from, *to;
    const uint32_t *from_columns, *to_columns;
    uint32_t count, index;
};
MUST_USE db_err fk__key(struct exec_ctx *ctx, const struct fk_key_of *k, const struct value *row,
                        struct arena *arena, struct buf *out, bool *ret_has, bool *ret_fits);
bool fk__same(const struct value *a, const struct value *b, const uint32_t *columns,
              uint32_t count);

/* Rows of a table whose keys in an index begin with `prefix`, newest versions, locked: a few at a
 * time. Rows lie in `arena`, which is reset by each call. */
struct fk_matches {
    const struct table_def *table;
    uint32_t index;
    struct slice prefix;
    enum storage_read_mode mode;
    uint32_t batch; /* rows wanted at a time */
    struct arena arena;
    struct whole_row reader;
    struct buf next; /* where to go on */
    bool end;
    struct value *rows; /* row-major */
    uint32_t count;
};
/* virtuals: NULL: VIRTUAL columns need not be right. */
void fk__matches_init(struct fk_matches *m, struct exec_ctx *ctx, const struct table_def *table,
                      const struct table_rules *virtuals, uint32_t index, struct slice prefix,
                      enum storage_read_mode mode, uint32_t batch);
void fk__matches_fini(struct fk_matches *m);
/* count 0: the end. */
MUST_USE db_err fk__matches_next(struct fk_matches *m, struct exec_ctx *ctx);

/* 1451 or 1452. */
db_err fk__violation(struct exec_ctx *ctx, enum my_errno number, const struct table_def *child,
                     const struct foreign_key_def *def);
/* fk_check_row, but for one key (of an action that is going on; NULL: none). */
MUST_USE db_err fk__check_but(struct exec_ctx *ctx, const struct fk_table *fks,
                              const struct value *old, const struct value *row, const bool *known,
                              const struct foreign_key_def *but);

#endif
