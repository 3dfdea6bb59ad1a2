/* One write at a replica. Tests only. */
#ifndef SKEIN_NODE_RANGE_WRITE_TESTING_H
#define SKEIN_NODE_RANGE_WRITE_TESTING_H

#include "base/clock.h"
#include "node/eval/eval.h"
#include "node/range/range.h"

/* A transaction of one write, asked of the range's replica `er`, whoever leads. */
static inline db_err t_write_to(struct eval_range *er, const struct range_desc *desc, ts_t start_ts,
                                struct slice key, struct slice value, struct arena *arena)
{
    struct diag diag;
    struct kv_reply reply = {0};
    struct kv_prewrite_resp resp;
    struct kv_mutation m = {.op = KV_PUT, .key = key, .value = value};
    struct kv_prewrite_req req = {.r = {.range = desc->id,
                                        .epoch = desc->epoch,
                                        .deadline_ns = clock_mono_ns() + 5 * NS_PER_S,
                                        .arena = arena},
                                  .mutations = &m,
                                  .count = 1,
                                  .primary = key,
                                  .start_ts = start_ts,
                                  .ttl_ms = 1000,
                                  .try_1pc = true};
    diag_reset(&diag);
    return eval_prewrite(er, &req, &diag, &reply, &resp);
}

#endif
