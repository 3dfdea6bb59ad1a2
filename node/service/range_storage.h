/* One range's snapshot as a storage (sql/storage/storage.h) for a fragment: plain forward scans of
 * one stretch of keys, through the KV service, which checks lease and epoch at each page.
 *
 * A scan ends before its end when it has cost enough, or when an intent, a split or a lease that
 * has gone is in the way of the next rows: `resume` says where it stands. So what a fragment gives
 * is always right for the keys before `resume`, and the caller goes on from there. */
#ifndef SKEIN_NODE_SERVICE_RANGE_STORAGE_H
#define SKEIN_NODE_SERVICE_RANGE_STORAGE_H

#include "proto/kv_api.h"
#include "sql/storage/storage.h"

struct range_storage {
    struct storage base;
    struct storage_txn txn;
    struct kv_service *kv;
    const struct kv_fragment_req *req;
    struct kv_reply *reply; /* filled with an error, as of a KV call */
    struct mem_tracker *mem;
    uint64_t stop_ns; /* a scan does not begin a page after that */
    uint64_t rows;    /* read so far */
    bool stopped;     /* before the end of the scan: at resume */
    struct buf resume;
};

/* In the caller's memory; all that is given outlives it. mem: a scan stops when more than
 * RANGE_STORAGE_MEMORY is charged to it. */
void range_storage_init(struct range_storage *s, struct kv_service *kv,
                        const struct kv_fragment_req *req, struct kv_reply *reply,
                        struct mem_tracker *mem);
void range_storage_fini(struct range_storage *s);

enum { RANGE_STORAGE_ROWS = 1 << 18, RANGE_STORAGE_MEMORY = 8 << 20, RANGE_STORAGE_MS = 100 };

#endif
