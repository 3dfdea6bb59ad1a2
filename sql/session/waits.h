/* Private to sql/session: what this engine's sessions wait for besides rows (sql/storage/coord.h).
 * The contracts are those of struct sql_peer_ops. */
#ifndef SKEIN_SQL_SESSION_WAITS_H
#define SKEIN_SQL_SESSION_WAITS_H

#include "sql/storage/coord.h"

struct sql_engine;

MUST_USE db_err engine_waits(struct sql_engine *e, uint64_t until_ns, unsigned max,
                             struct arena *arena, struct sql_wait_edge **ret_edges,
                             unsigned *ret_count);
void engine_refuse_wait(struct sql_engine *e, uint64_t wait);
uint64_t engine_session_txn(struct sql_engine *e, uint64_t connection_id);

#endif
