/* Private to sql/session: this engine as the other nodes see it. */
#ifndef SKEIN_SQL_SESSION_PEER_H
#define SKEIN_SQL_SESSION_PEER_H

#include "base/buf.h"
#include "sql/infoschema/infoschema.h"
#include "sql/storage/coord.h"

extern const struct sql_peer_ops sql_engine_peer_ops;

MUST_USE db_err peer_session_put(struct buf *b, const struct infoschema_process *p);
/* The next of a list; slices point into it. False: the end, or what follows is damaged. */
bool peer_session_take(struct slice *io, struct infoschema_process *ret);

#endif
