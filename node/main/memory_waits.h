/* Finds deadlocks among metadata locks and named locks where there is no node but the storage in
 * memory. With a node it is node/meta that does, over all of them. */
#ifndef SKEIN_NODE_MAIN_MEMORY_WAITS_H
#define SKEIN_NODE_MAIN_MEMORY_WAITS_H

#include "base/fiber.h"
#include "base/loop.h"
#include "sql/sql.h"
#include "sql/storage/coord.h"

struct memory_waits;

/* loops outlive it. ERR_NOMEM. */
MUST_USE db_err memory_waits_new(struct loop_group *loops, struct memory_waits **ret_waits);
/* For sql_wait_watch: ctx is the struct. */
void memory_waits_wait(void *ctx, bool begins);
/* Whose waits; NULL: nobody's any more. */
void memory_waits_attach(struct memory_waits *w, struct sql_engine *engine);
/* From a fiber; parks until nothing of it runs. NULL is fine. The engine outlives it. */
void memory_waits_free(struct memory_waits *w);

#endif
