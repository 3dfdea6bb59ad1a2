/* What a node remembers of ranges of which it has no replica any more, in 16 bytes each.
 *
 * Late messages, snapshots and requests still name them; the answers are "it was merged, into
 * that", or "replicas below this id were here and do not come back". The same is in the engine, for
 * good (store_gone); the table spares asking it. It is bounded: past that the lowest ids, those of
 * the oldest ranges, are left to the engine.
 *
 * Thread-safe; nothing parks. */
#ifndef SKEIN_NODE_RANGE_GONE_H
#define SKEIN_NODE_RANGE_GONE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "proto/kv_api.h"

/* min_replica_id of a range that is no more, merged into another. */
#define REPLICA_ID_NEVER UINT64_MAX

struct gone_fate {
    uint64_t min_replica_id; /* the lowest that may be here (again); REPLICA_ID_NEVER */
    range_id_t into;         /* of a merged one: what it became a part of; 0: not known */
    bool ran; /* of another: a core of it has run since the store was opened (or it may have) */
};

struct gone_note {
    range_id_t id;
    uint64_t fate;
};

struct gone_table {
    pthread_mutex_t lock;
    struct gone_note *notes; /* ascending by id */
    size_t count, cap, max;
    range_id_t dropped; /* ids up to this may be in the engine only; 0: none is */
};

enum gone_answer {
    GONE_NOT, /* the node had nothing to do with it, or has a replica */
    GONE_KNOWN,
    GONE_PERHAPS, /* the engine knows */
};

void gone_init(struct gone_table *t, size_t max);
void gone_fini(struct gone_table *t);
/* In the place of what was noted of it before. The engine has it. ERR_NOMEM. */
MUST_USE db_err gone_put(struct gone_table *t, range_id_t id, const struct gone_fate *fate);
enum gone_answer gone_get(struct gone_table *t, range_id_t id, struct gone_fate *ret_fate);
void gone_forget(struct gone_table *t, range_id_t id);
size_t gone_count(struct gone_table *t);

#endif
