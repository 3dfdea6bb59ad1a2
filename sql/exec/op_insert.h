/* The INSERT operator's state: for op_insert.c and load_rows.c. */
#ifndef SKEIN_SQL_EXEC_OP_INSERT_H
#define SKEIN_SQL_EXEC_OP_INSERT_H

#include "sql/exec/exec_int.h"
#include "sql/exec/insert_rows.h"
#include "sql/exec/row_store.h"

struct op_insert {
    struct op op;
    struct row_writer writer;
    const struct table_def *table;
    struct insert_rows rows;
    struct expr_state **updates;
    struct row_rules update_rules;
    struct chunk scratch;        /* one row: old ++ new ++ what the updates read of the source */
    const struct value *sources; /* of all rows, row-major: the source's part; or NULL */
    uint32_t at;                 /* the row being written */
    bool inserted;               /* it has become a new one */
    bool has_updated;            /* it met another one, whose number is then updated_number */
    struct value updated_number;
    uint64_t effects;      /* rows that became new ones or changed another one */
    bool *known;           /* of rows on their way: by row, then foreign key (fk.h) */
    uint64_t *row_numbers; /* of the rows on their way, as messages call them; or NULL */
    struct listener heard; /* of these rows, where each is looked at before it is written */
    uint32_t known_max;
    uint64_t written;            /* rows so far */
    struct packed_format format; /* of `store` */
    struct row_store store;      /* the source's rows */
    bool kept;                   /* all of them are there */
    bool opened;
    bool done;
};

/* Numbers n completed rows, row-major, and writes them. May park. */
MUST_USE db_err exec__insert_write(struct op_insert *s, struct exec_ctx *ctx, struct value *rows,
                                   uint32_t n);

#endif
