/* For tests: a range that applies at once what is proposed, over a real engine in the current
 * directory, with a counter for an oracle. */
#ifndef SKEIN_NODE_EVAL_TESTING_H
#define SKEIN_NODE_EVAL_TESTING_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/test_main.h"
#include "node/eval/eval.h"

struct fake_range {
    struct eval_range r;
    _Atomic uint64_t ts;
    uint64_t term;
    bool slow;    /* propose parks for a while before it applies */
    bool unknown; /* once: nothing is applied, and nobody knows */
    /* Once: the lease is lost and comes back while a proposal is on its way, which then has this
     * outcome. */
    bool lose_lease;
    db_err outcome;
    bool lose_at_now; /* once: the lease is lost while a timestamp is asked for */
    /* Not 0: right after so many looks at the lease it is lost and comes back. */
    unsigned lose_after_checks;
    size_t batch_max; /* not 0: longer ones are refused */
    struct lock_graph *graph;
    char dir[64];
};

static struct fake_range *fake_of(struct eval_range *r)
{
    return CONTAINER_OF(r, struct fake_range, r);
}

static db_err fake_check(struct eval_range *r, const struct kv_request *req UNUSED,
                         struct slice start UNUSED, struct slice end UNUSED,
                         struct diag *diag UNUSED, struct kv_reply *reply UNUSED,
                         uint64_t *ret_term)
{
    if (fake_of(r)->term == 0) {
        return ERR_NOT_LEADER;
    }
    *ret_term = fake_of(r)->term;
    if (fake_of(r)->lose_after_checks != 0 && --fake_of(r)->lose_after_checks == 0) {
        eval_range_lease_end(r);
        TRY(eval_range_lease_begin(r, SLICE_EMPTY, SLICE_EMPTY, ++fake_of(r)->term, NULL));
    }
    return ERR_OK;
}

static db_err fake_propose(struct eval_range *r, const struct kv_request *req UNUSED,
                           uint64_t term UNUSED, const struct store_batch *batch, struct diag *diag,
                           struct kv_reply *reply UNUSED)
{
    struct engine_wbatch *b;
    if (fake_of(r)->slow) {
        db_err ignored = fiber_sleep(100 * NS_PER_US);
        (void)ignored;
    }
    if (fake_of(r)->unknown) {
        fake_of(r)->unknown = false;
        return ERR_COMMIT_UNKNOWN;
    }
    if (fake_of(r)->batch_max != 0 && store_batch_encoded(batch).len > fake_of(r)->batch_max) {
        return ERR_LIMIT;
    }
    TRY(engine_wbatch_new(r->engine, &b));
    bool lose = fake_of(r)->lose_lease;
    if (lose) { /* proposals of many loops come here: none writes without need */
        fake_of(r)->lose_lease = false;
    }
    db_err err = lose && fake_of(r)->outcome != ERR_OK
                     ? ERR_OK
                     : engine_wbatch_add(b, store_batch_encoded(batch));
    if (err == ERR_OK) {
        err = engine_apply(r->engine, b, diag);
    }
    engine_wbatch_free(b);
    if (err == ERR_OK && lose) {
        fake_of(r)->term++;
        eval_range_lease_end(r);
        TRY(eval_range_lease_begin(r, SLICE_EMPTY, SLICE_EMPTY, fake_of(r)->term, diag));
        err = fake_of(r)->outcome;
    }
    return err;
}

static db_err fake_now(struct eval_range *r, struct diag *diag UNUSED, ts_t *ret_ts)
{
    if (fake_of(r)->lose_at_now) {
        fake_of(r)->lose_at_now = false;
        fake_of(r)->term++;
    }
    *ret_ts = atomic_fetch_add(&fake_of(r)->ts, 1) + 1;
    return ERR_OK;
}

static db_err fake_bounds(struct eval_range *r UNUSED, struct arena *arena UNUSED,
                          struct slice *ret_start, struct slice *ret_end)
{
    *ret_start = *ret_end = SLICE_EMPTY;
    return ERR_OK;
}

static const struct eval_range_ops fake_ops = {.name = "fake",
                                               .check = fake_check,
                                               .propose = fake_propose,
                                               .now_ts = fake_now,
                                               .bounds = fake_bounds};

static UNUSED void fake_open(struct fake_range *f, const char *name)
{
    char cmd[128];
    struct engine *e;
    struct lock_table *t;
    struct diag d;
    memset(f, 0, sizeof(*f));
    diag_reset(&d);
    (void)snprintf(f->dir, sizeof(f->dir), "eval_test_%d_%s", (int)getpid(), name);
    (void)snprintf(cmd, sizeof(cmd), "rm -rf -- %s", f->dir);
    CHECK(system(cmd) == 0);
    CHECK_OK(engine_open_rocks(&(struct engine_opts){.path = f->dir}, &d, &e));
    CHECK_OK(lock_graph_new(&f->graph));
    CHECK_OK(lock_table_new(f->graph, NULL, &t));
    eval_range_init(&f->r, &fake_ops, e, t);
    f->term = 7;
    f->ts = 1000;
}

static UNUSED void fake_close(struct fake_range *f)
{
    char cmd[128];
    CHECK(row_lock_count(f->r.locks) == 0);
    lock_table_free(f->r.locks);
    lock_graph_free(f->graph);
    engine_close(f->r.engine, true);
    (void)snprintf(cmd, sizeof(cmd), "rm -rf -- %s", f->dir);
    CHECK(system(cmd) == 0);
}

static UNUSED struct kv_request request(struct arena *a)
{
    return (struct kv_request){.range = 1, .deadline_ns = DEADLINE_NONE, .arena = a};
}

static UNUSED ts_t now_ts(struct fake_range *f)
{
    return atomic_fetch_add(&f->ts, 1) + 1;
}

#endif
