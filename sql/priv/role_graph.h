/* ROLES_GRAPHML: who has which role, as a document of GraphML. */
#ifndef SKEIN_SQL_PRIV_ROLE_GRAPH_H
#define SKEIN_SQL_PRIV_ROLE_GRAPH_H

#include "base/buf.h"
#include "sql/priv/acl.h"

/* Appends the document: a node for each account in the order of the generation, an edge from an
 * account to each role that it has, with 1 where it may grant the role on. `acl` NULL: one that
 * tells nothing. ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err role_graph_put(struct buf *out, const struct acl *acl);

#endif
