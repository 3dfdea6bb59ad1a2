/* Fragments of plans on their way to the data: encoded where the statement runs, decoded and run
 * beside the leaseholder with the same operators and the same evaluator.
 *
 * A fragment is a chain (sql/opt/gather.c): a scan, conditions, projections, and on top perhaps the
 * first step of an aggregation, a top-N or a limit. Values of parameters and of functions of the
 * statement travel as constants, and so does what expressions ask the session for: sql_mode, time
 * zone, the connection's collation, div_precision_increment.
 *
 * What is run elsewhere says nothing to the user: at the first warning or error the run ends with
 * ERR_UNSUPPORTED, and the statement runs that part itself, with its own words. */
#ifndef SKEIN_SQL_PUSHDOWN_PUSHDOWN_H
#define SKEIN_SQL_PUSHDOWN_PUSHDOWN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "sql/storage/storage.h"

enum {
    PUSHDOWN_PLAN_MAX = 1 << 20,  /* bytes of an encoded fragment */
    PUSHDOWN_PAGE_MAX = 32 << 20, /* of a page, which ends soon after bytes_max */
};

/* Appends the fragment. On the fiber of its statement. ERR_UNSUPPORTED: it cannot travel. */
MUST_USE db_err pushdown_encode(const struct storage_fragment *fragment, struct buf *out);

struct pushdown_job {
    struct slice plan;
    struct storage *storage;  /* of one range's snapshot; it may end a scan before its end, when a
                                 page has cost enough: the caller knows where it stood */
    struct storage_span span; /* of the scan's keys */
    size_t bytes_max;         /* no chunk is begun when the page has that many */
    struct mem_tracker *mem;  /* charged; may be NULL */
};

/* Runs it and appends the page. *ret_complete: the fragment wants no more rows of any key (a limit
 * was met). May park. ERR_UNSUPPORTED as above; ERR_CORRUPT: no fragment of this program; errors of
 * the storage. */
MUST_USE db_err pushdown_run(const struct pushdown_job *job, struct diag *diag, struct buf *page,
                             bool *ret_complete);

#endif
