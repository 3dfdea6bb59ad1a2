/* Readers that meet a write which waits for space. */
#include "node/eval/eval.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/test_main.h"
#include "node/lock/lock_table.h"

struct full_range {
    struct eval_range r;
    bool full;
};

static db_err full_check(struct eval_range *r UNUSED, const struct kv_request *req UNUSED,
                         struct slice start UNUSED, struct slice end UNUSED,
                         struct diag *diag UNUSED, struct kv_reply *reply UNUSED,
                         uint64_t *ret_term)
{
    *ret_term = 1;
    return ERR_OK;
}

static db_err full_admit(struct eval_range *r, struct diag *diag)
{
    return CONTAINER_OF(r, struct full_range, r)->full ? diag_set(diag, ERR_DISK_FULL, "full")
                                                       : ERR_OK;
}

static db_err full_bounds(struct eval_range *r UNUSED, struct arena *arena UNUSED,
                          struct slice *ret_start, struct slice *ret_end)
{
    *ret_start = *ret_end = SLICE_EMPTY;
    return ERR_OK;
}

static const struct eval_range_ops full_ops = {
    .name = "full", .check = full_check, .bounds = full_bounds, .admit = full_admit};

static db_err read_key(struct full_range *f, struct slice key, uint64_t deadline_ns)
{
    struct arena a;
    struct kv_reply reply = {0};
    struct kv_value v;
    struct diag diag;
    diag_reset(&diag);
    arena_init(&a, NULL, NULL, 0);
    struct kv_get_req get = {
        .r = {.range = 1, .deadline_ns = deadline_ns, .arena = &a}, .key = key, .read_ts = 100};
    db_err err = eval_get(&f->r, &get, &diag, &reply, &v);
    arena_fini(&a);
    return err;
}

static void body(void *arg)
{
    struct full_range *f = arg;
    struct slice keys[] = {SLICE_LIT("waits")};
    struct latch_guard g;
    CHECK_OK(latch_acquire(f->r.locks, keys, 1, DEADLINE_NONE, &g));
    latch_begin_pending(&g);
    latch_set_commit_ts(&g, 50);
    uint64_t soon = clock_mono_ns() + 50 * NS_PER_MS;
    CHECK(read_key(f, keys[0], soon) == ERR_TIMEOUT); /* its own deadline stays what it was */
    f->full = true;
    CHECK_OK(read_key(f, SLICE_LIT("another"), DEADLINE_NONE));
    soon = clock_mono_ns() + 50 * NS_PER_MS;
    CHECK(read_key(f, keys[0], soon) == ERR_TIMEOUT);
    CHECK(read_key(f, keys[0], DEADLINE_NONE) == ERR_DISK_FULL);
    latch_release(&g);
    CHECK_OK(read_key(f, keys[0], DEADLINE_NONE));
}

static void test_reads_on_a_full_disk(void **state UNUSED)
{
    struct full_range f = {.full = false};
    struct lock_graph *graph;
    struct lock_table *t;
    struct engine *e;
    struct diag d;
    char dir[64];
    char cmd[128];
    diag_reset(&d);
    (void)snprintf(dir, sizeof(dir), "full_disk_test_%d", (int)getpid());
    (void)snprintf(cmd, sizeof(cmd), "rm -rf -- %s", dir);
    CHECK(system(cmd) == 0);
    CHECK_OK(engine_open_rocks(&(struct engine_opts){.path = dir}, &d, &e));
    CHECK_OK(lock_graph_new(&graph));
    CHECK_OK(lock_table_new(graph, NULL, &t));
    eval_range_init(&f.r, &full_ops, e, t);
    CHECK_OK(loop_run_main(body, &f));
    lock_table_free(t);
    lock_graph_free(graph);
    engine_close(e, true);
    CHECK(system(cmd) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads_on_a_full_disk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
