/* For the tests: a table of locks, and fibers that wait for one. */
#ifndef SKEIN_NODE_LOCK_TESTING_H
#define SKEIN_NODE_LOCK_TESTING_H

#include "base/fiber.h"
#include "base/loop.h"
#include "base/test_main.h"
#include "node/lock/lock_table.h"

struct fixture {
    struct lock_graph *g;
    struct lock_table *t;
    struct lock_table_opts opts;
};

static inline void open_table(struct fixture *f, size_t memory_max, size_t pack_from)
{
    f->opts = (struct lock_table_opts){.memory_max = memory_max, .pack_from = pack_from};
    CHECK_OK(lock_graph_new(&f->g));
    CHECK_OK(lock_table_new(f->g, &f->opts, &f->t));
}

static inline void close_table(struct fixture *f)
{
    CHECK(row_lock_count(f->t) == 0 && span_lock_count(f->t) == 0);
    lock_table_free(f->t);
    lock_graph_free(f->g);
}

/* Without waiting. */
static inline db_err now(struct lock_table *t, struct slice key, ts_t ts, enum kv_lock_mode mode)
{
    return row_lock(t, key, ts, 0, mode, KV_NOWAIT, 0, DEADLINE_NONE);
}

/* A fiber that waits for a lock. */
struct attempt {
    struct lock_table *t;
    char key[24];
    ts_t ts;
    enum kv_lock_mode mode;
    bool done;
    db_err err;
};

static inline void attempt_fiber(void *arg)
{
    struct attempt *a = arg;
    a->err = row_lock(a->t, slice_str(a->key), a->ts, 0, a->mode, KV_WAIT, 60000, DEADLINE_NONE);
    a->done = true;
}

/* It waits now, if it must. */
static inline void start(struct attempt *a)
{
    CHECK_OK(fiber_spawn(loop_current(), attempt_fiber, a));
    CHECK_OK(fiber_sleep(NS_PER_MS));
}

/* For lock_table_seal, where nothing is fenced. */
static inline db_err no_fence(void *arg UNUSED, uint64_t node UNUSED, ts_t start_ts UNUSED)
{
    CHECK(false);
    return ERR_OK;
}

#endif
