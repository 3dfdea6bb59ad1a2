/* Fragments of plans beside the data: the range's snapshot as a storage, the fragment run over it,
 * its page as the answer. */
#include "base/clock.h"
#include "node/service/range_storage.h"
#include "node/service/service.h"
#include "sql/pushdown/pushdown.h"

/* A fragment that needs more than this gives up; many at once are bounded by admission. */
enum { FRAGMENT_MEMORY_MAX = 32 << 20 };

db_err kv_service_fragment(struct kv_service *kv, const struct kv_fragment_req *req,
                           struct diag *diag, struct kv_reply *reply,
                           struct kv_fragment_resp *ret_resp)
{
    struct range_storage storage;
    struct mem_tracker mem;
    struct buf page;
    struct slice copy = SLICE_EMPTY;
    struct slice resume = SLICE_EMPTY;
    bool complete = false;
    mem_tracker_init(&mem, NULL, FRAGMENT_MEMORY_MAX);
    range_storage_init(&storage, kv, req, reply, &mem);
    buf_init(&page, PUSHDOWN_PAGE_MAX);
    const struct pushdown_job job = {.plan = req->plan,
                                     .storage = &storage.base,
                                     .span = {req->start, req->end},
                                     .bytes_max = req->bytes_max,
                                     .mem = &mem};
    db_err err = pushdown_run(&job, diag, &page, &complete);
    if (err == ERR_OK) {
        err = arena_copy(req->r.arena, buf_slice(&page), &copy);
    }
    bool more = storage.stopped && !complete;
    if (err == ERR_OK && more) {
        err = arena_copy(req->r.arena, buf_slice(&storage.resume), &resume);
    }
    buf_fini(&page);
    range_storage_fini(&storage);
    TRY(err);
    *ret_resp = (struct kv_fragment_resp){.page = copy, .more = more, .resume = resume};
    return ERR_OK;
}
