/* A deleted range is empty on every replica, whatever garbage collection has left of it there. */
#include "node/mvcc/mvcc.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/test_main.h"

struct replica {
    struct engine *e;
    char dir[32];
};

static void open_replica(struct replica *r)
{
    (void)snprintf(r->dir, sizeof(r->dir), "mvcc_delete_XXXXXX");
    CHECK(mkdtemp(r->dir) != NULL);
    CHECK_OK(engine_open_rocks(&(struct engine_opts){.path = r->dir, .manual = true}, NULL, &r->e));
}

static void close_replica(struct replica *r)
{
    char cmd[64];
    engine_close(r->e, true);
    (void)snprintf(cmd, sizeof(cmd), "rm -rf -- %s", r->dir);
    CHECK(system(cmd) == 0);
}

static void apply(struct replica *r, const struct store_batch *entry)
{
    struct engine_wbatch *wb;
    CHECK_OK(engine_wbatch_new(r->e, &wb));
    CHECK_OK(engine_wbatch_add(wb, store_batch_encoded(entry)));
    CHECK_OK(engine_apply(r->e, wb, NULL));
    engine_wbatch_free(wb);
}

static size_t versions(struct replica *r)
{
    struct engine_iter *it;
    size_t n = 0;
    CHECK_OK(
        engine_iter_open(r->e, ENGINE_DATA, &(struct engine_iter_opts){.tier = ENGINE_ANY}, &it));
    CHECK_OK(engine_iter_seek(it, SLICE_EMPTY));
    for (; it->valid; n++) {
        CHECK_OK(engine_iter_next(it));
    }
    engine_iter_close(it);
    return n;
}

static void test_replicas(void **state UNUSED)
{
    struct replica leader, follower;
    struct store_batch entry;
    open_replica(&leader);
    open_replica(&follower);
    store_batch_init(&entry);
    for (ts_t ts = 10; ts <= 30; ts += 10) {
        CHECK_OK(mvcc_write_version(&entry, SLICE_LIT("changed"), ts, KV_PUT, SLICE_LIT("v")));
        CHECK_OK(mvcc_write_version(&entry, SLICE_LIT("deleted"), ts, ts == 30 ? KV_DELETE : KV_PUT,
                                    SLICE_LIT("v")));
        CHECK_OK(mvcc_write_version(&entry, SLICE_LIT("other"), ts, KV_PUT, SLICE_LIT("v")));
    }
    apply(&leader, &entry);
    apply(&follower, &entry);
    /* The one has collected what the other still has. */
    engine_set_safe_point(leader.e, 40, NULL, 0);
    CHECK_OK(engine_flush_wait(leader.e));
    CHECK(versions(&leader) == 3 && versions(&follower) == 9);
    store_batch_reset(&entry);
    CHECK_OK(mvcc_write_delete_range(&entry, SLICE_LIT("c"), SLICE_LIT("e")));
    apply(&leader, &entry);
    apply(&follower, &entry);
    CHECK(versions(&leader) == 1 && versions(&follower) == 3);
    store_batch_fini(&entry);
    close_replica(&follower);
    close_replica(&leader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_replicas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
