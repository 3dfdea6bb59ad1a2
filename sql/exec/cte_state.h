/* Run state of a common table expression: its rows, and those of a recursion's last round. */
#ifndef SKEIN_SQL_EXEC_CTE_STATE_H
#define SKEIN_SQL_EXEC_CTE_STATE_H

#include "sql/exec/exec_int.h"
#include "sql/exec/row_store.h"

struct cte_state {
    bool filled;
    struct packed_format format;
    struct row_store store;
    struct op *root;           /* while it is filled */
    struct row_store *working; /* of the recursion that runs */
};

struct cte_state *exec__cte_state(struct exec_ctx *ctx, uint32_t cte); /* NULL: no memory */

#endif
