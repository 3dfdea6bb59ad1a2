/* A physical plan as text, one line a node, children indented: what EXPLAIN shows. */
#ifndef SKEIN_SQL_OPT_EXPLAIN_H
#define SKEIN_SQL_OPT_EXPLAIN_H

#include "base/buf.h"
#include "sql/opt/plan.h"

/* fragments: there are other nodes that run parts of the plan: shows which. */
MUST_USE db_err plan_explain(const struct plan *plan, bool fragments, struct buf *out);

#endif
