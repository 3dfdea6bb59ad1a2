#include "node/main/lock_source.h"

#include "node/lock/lock_table.h"
#include "node/main/node.h"

struct pass_on {
    db_err (*fn)(void *arg, const struct sql_data_lock *l);
    void *arg;
};

static db_err pass_lock(void *ctx, const struct lock_info *l)
{
    const struct pass_on *p = ctx;
    const struct sql_data_lock out = {.txn = l->start_ts,
                                      .wait = l->wait,
                                      .span = l->span,
                                      .packed = l->packed,
                                      .shared = !l->span && l->mode == KV_LOCK_SHARED,
                                      .insert = l->mode == KV_LOCK_INSERT,
                                      .for_span = l->for_span,
                                      .key = l->key,
                                      .end = l->end};
    return p->fn(p->arg, &out);
}

db_err lock_source_each(void *ctx, db_err (*fn)(void *arg, const struct sql_data_lock *l),
                        db_err (*wait)(void *arg, const struct sql_wait_edge *e), void *arg)
{
    struct range_store *rs = node_ranges(ctx);
    struct pass_on p = {fn, arg};
    struct kv_wait_edge *edges;
    unsigned count;
    struct arena a;
    TRY(range_store_look_locks(rs, pass_lock, &p));
    arena_init(&a, NULL, NULL, 0);
    db_err err =
        lock_graph_edges(range_store_lock_graph(rs), UINT64_MAX, KV_WAITS_MAX, &a, &edges, &count);
    for (unsigned i = 0; err == ERR_OK && i < count; i++) {
        const struct sql_wait_edge e = {edges[i].wait, edges[i].waiter, edges[i].blocker};
        err = wait(arg, &e);
    }
    arena_fini(&a);
    return err;
}
