/* Private to sql/session: the locks of all nodes, for tables of performance_schema. */
#ifndef SKEIN_SQL_SESSION_LOCK_LIST_H
#define SKEIN_SQL_SESSION_LOCK_LIST_H

#include "sql/infoschema/infoschema.h"
#include "sql/storage/coord.h"

struct sql_engine;

/* struct sql_peer_ops.list_locks of this engine. Parks. */
MUST_USE db_err engine_list_locks(struct sql_engine *e, struct buf *out);
/* struct infoschema_ops.locks. */
MUST_USE db_err session_locks(void *session, struct arena *arena, struct infoschema_locks *ret);

#endif
