/* What a scan has read, for when it is run again with the same ranges: below a correlated subquery
 * or a lateral table, or in the rounds of a recursion, where the rows may lie on other nodes.
 *
 * Rows are kept from the second run on, before the scan's conditions, in memory only: when that is
 * short, or runs do not come to their end, the scan reads its storage as if nothing were kept. */
#ifndef SKEIN_SQL_EXEC_KEPT_ROWS_H
#define SKEIN_SQL_EXEC_KEPT_ROWS_H

#include "sql/exec/row_store.h"

enum kept_state {
    KEPT_NONE,  /* nothing yet: the first run */
    KEPT_OFF,   /* never */
    KEPT_ADDED, /* this run's rows are added */
    KEPT_WHOLE, /* all are there */
};

struct kept_rows {
    enum kept_state state;
    uint32_t unfinished; /* runs that were not read to their end while their rows were added */
    struct packed_format format;
    struct row_store store;
    struct vector **vectors;
    uint64_t at;
};

/* The scan is run again. Errors: ERR_LIMIT. */
MUST_USE db_err kept_rows_again(struct kept_rows *k, struct exec_ctx *ctx,
                                const struct plan_node *scan);
/* A chunk without a selection. */
void kept_rows_add(struct kept_rows *k, struct exec_ctx *ctx, struct chunk *c);
/* The scan has come to its end. */
void kept_rows_end(struct kept_rows *k);
/* KEPT_WHOLE: rows that are left; the next n of them, as many as the chunk has room for. */
uint32_t kept_rows_left(const struct kept_rows *k);
MUST_USE db_err kept_rows_read(struct kept_rows *k, struct exec_ctx *ctx, struct chunk *c,
                               uint32_t n);
void kept_rows_fini(struct kept_rows *k); /* also of a zeroed one */

#endif
