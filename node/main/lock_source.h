/* The locks at this node's ranges, for the SQL engine (sql/storage/coord.h). */
#ifndef SKEIN_NODE_MAIN_LOCK_SOURCE_H
#define SKEIN_NODE_MAIN_LOCK_SOURCE_H

#include "sql/storage/coord.h"

/* struct sql_lock_source.each; ctx: the struct node. */
MUST_USE db_err lock_source_each(void *ctx, db_err (*fn)(void *arg, const struct sql_data_lock *l),
                                 db_err (*wait)(void *arg, const struct sql_wait_edge *e),
                                 void *arg);

#endif
