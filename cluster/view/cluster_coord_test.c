/* The licence: who renews it waits for nobody, and it comes when all that was missed has been read.
 */
#include "cluster/view/cluster_coord.h"

#include "base/test_main.h"

/* An engine that reads for as long as it is told to. */
struct slow_engine {
    struct sql_peer base;
    struct cluster_coord coord;
    bool reads_on;
    db_err answer;
    unsigned begun, ended;
};

static db_err refresh_schema(struct sql_peer *p, uint64_t version, struct diag *diag)
{
    struct slow_engine *e = CONTAINER_OF(p, struct slow_engine, base);
    (void)version;
    (void)diag;
    e->begun++;
    while (!e->reads_on) {
        db_err err = fiber_sleep(NS_PER_MS);
        if (err != ERR_OK) {
            e->ended++;
            return err;
        }
    }
    e->ended++;
    return e->answer;
}

static db_err refresh_others(struct sql_peer *p, struct diag *diag)
{
    (void)p;
    (void)diag;
    return ERR_OK;
}

static const struct sql_peer_ops g_ops = {.refresh_schema = refresh_schema,
                                          .refresh_accounts = refresh_others,
                                          .refresh_globals = refresh_others};

static void open_engine(struct slow_engine *e)
{
    static const struct coord_env env;
    *e = (struct slow_engine){.base = {&g_ops}, .reads_on = true};
    cluster_coord_init(&e->coord, 1, NULL, &env);
    cluster_coord_attach(&e->coord, &e->base);
}

static uint64_t licence(struct slow_engine *e)
{
    return e->coord.base.ops->licence(&e->coord.base);
}

static void renew(struct slow_engine *e, uint32_t fences)
{
    cluster_coord_renew(&e->coord, clock_mono_ns(),
                        fences); /* which does not wait for the engine */
    CHECK_OK(fiber_sleep(20 * NS_PER_MS));
}

/* Reads as often as this come to their end, and what was read is in the licence. */
static void wait_ended(struct slow_engine *e, unsigned ended)
{
    for (unsigned i = 0; i < 1000 && (e->ended < ended || licence(e) == 0); i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
}

/* Heartbeats go on while it reads, and what they tell meanwhile is read before there is a licence.
 */
static void slow_main(void *arg)
{
    struct slow_engine e;
    (void)arg;
    open_engine(&e);
    CHECK(licence(&e) == 0);
    renew(&e, 1);
    uint64_t first = licence(&e);
    CHECK(first != 0 && e.ended == 1);
    renew(&e, 1);
    CHECK(licence(&e) == first && e.begun == 1);
    e.reads_on = false;
    renew(&e, 2);
    renew(&e, 2);
    CHECK(licence(&e) == 0 && e.begun == 2);
    renew(&e, 3);
    e.reads_on = true;
    wait_ended(&e, 3);
    CHECK(licence(&e) > first && e.begun == 3 && e.ended == 3);
    /* in doubt */
    e.reads_on = false;
    e.coord.base.ops->lose_schema(&e.coord.base, NULL);
    CHECK(licence(&e) == 0);
    renew(&e, 3);
    e.coord.base.ops->lose_schema(&e.coord.base, NULL); /* once more, while it reads */
    renew(&e, 3);
    CHECK(licence(&e) == 0 && e.begun == 4);
    e.reads_on = true;
    wait_ended(&e, 5);
    CHECK(licence(&e) != 0 && e.begun == 5);
    cluster_coord_detach(&e.coord);
    CHECK(licence(&e) == 0);
}

/* What cannot be read is tried again with the next heartbeat, and no sooner. */
static void error_main(void *arg)
{
    struct slow_engine e;
    (void)arg;
    open_engine(&e);
    e.answer = ERR_UNAVAILABLE;
    renew(&e, 1);
    CHECK(licence(&e) == 0 && e.ended == 1);
    e.coord.base.ops->lose_schema(&e.coord.base, NULL);
    renew(&e, 1);
    CHECK(licence(&e) == 0 && e.ended == 2);
    e.answer = ERR_OK;
    renew(&e, 1);
    CHECK(licence(&e) != 0 && e.ended == 3);
    cluster_coord_detach(&e.coord);
}

/* The engine goes while it is read: nothing is asked of it afterwards. */
static void detach_main(void *arg)
{
    struct slow_engine e;
    (void)arg;
    open_engine(&e);
    e.reads_on = false;
    renew(&e, 1);
    CHECK(e.begun == 1 && e.ended == 0);
    cluster_coord_detach(&e.coord);
    CHECK(e.ended == 1);
    renew(&e, 2);
    CHECK(e.begun == 1 && licence(&e) == 0);
}

static void test_slow(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(slow_main, NULL), ERR_OK);
}

static void test_error(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(error_main, NULL), ERR_OK);
}

static void test_detach(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(detach_main, NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slow), cmocka_unit_test(test_error),
                                       cmocka_unit_test(test_detach)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
