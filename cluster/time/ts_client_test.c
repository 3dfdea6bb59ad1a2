/* Requests of one loop that are gathered: nobody works for the others only, and nobody waits for
 * longer than it wants to. */
#include "cluster/time/ts_client.h"

#include "base/fiber.h"
#include "base/test_main.h"

/* An oracle whose calls take time. */
struct oracle {
    struct meta_service base;
    struct ts_client client;
    uint64_t call_ns;
    ts_t next;
    unsigned calls;
    struct fiber *cancel; /* as the next call ends */
};

static db_err timestamps(struct meta_service *s, uint32_t count, struct diag *diag, ts_t *ret_first)
{
    struct oracle *o = CONTAINER_OF(s, struct oracle, base);
    (void)diag;
    o->calls++;
    TRY(fiber_sleep(o->call_ns));
    *ret_first = o->next;
    o->next += count;
    if (o->cancel != NULL) {
        fiber_cancel(o->cancel);
        o->cancel = NULL;
    }
    return ERR_OK;
}

static const struct meta_service_ops g_ops = {.name = "test", .timestamps = timestamps};

static void open_oracle(struct oracle *o, uint64_t call_ns)
{
    static const _Atomic bool far;
    *o = (struct oracle){.base = {&g_ops}, .call_ns = call_ns, .next = 100};
    ts_client_init(&o->client, &o->base, &far);
}

/* A fiber that asks `times` times. */
struct asker {
    struct oracle *o;
    unsigned times;
    uint64_t deadline_ns; /* 0: none */
    struct fiber *fiber;
    db_err err;
    ts_t last;
    unsigned calls; /* of all, when it was through */
    uint64_t took_ns;
    struct waiter *done;
};

static void asker_main(void *arg)
{
    struct asker *a = arg;
    uint64_t began = clock_mono_ns();
    a->fiber = fiber_self();
    fiber_set_deadline(a->deadline_ns == 0 ? DEADLINE_NONE : a->deadline_ns);
    for (unsigned i = 0; i < a->times && a->err == ERR_OK; i++) {
        ts_t ts = 0;
        ts_t before = a->o->next;
        a->err = ts_client_next(&a->o->client, NULL, &ts);
        CHECK(a->err != ERR_OK || (ts >= before && ts > a->last));
        a->last = ts;
    }
    a->calls = a->o->calls;
    a->took_ns = clock_mono_ns() - began;
    wait_signal(a->done, 0);
}

static void start(struct asker *a, struct waiter *done)
{
    wait_init(done);
    a->done = done;
    CHECK_OK(fiber_spawn(loop_current(), asker_main, a));
    while (a->fiber == NULL) { /* in this order, and at once: calls end after a while */
        fiber_yield();
    }
}

enum { CROWD = 4, ROUNDS = 50 };

static void crowd_main(void *arg)
{
    struct oracle o;
    struct asker first = {.o = &o, .times = 1};
    struct asker crowd[CROWD];
    struct waiter done[CROWD + 1];
    (void)arg;
    open_oracle(&o, 20 * NS_PER_MS);
    start(&first, &done[CROWD]);
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = (struct asker){.o = &o, .times = ROUNDS};
        start(&crowd[i], &done[i]);
        o.call_ns = NS_PER_MS;
    }
    wait_block_uncancelable(&done[CROWD]);
    CHECK(first.err == ERR_OK && first.calls <= 2); /* its own; the next may have begun */
    for (unsigned i = 0; i < CROWD; i++) {
        wait_block_uncancelable(&done[i]);
        CHECK_OK(crowd[i].err);
    }
    CHECK(o.calls < 1 + CROWD * ROUNDS * 2 / 3); /* gathered */
    ts_client_fini(&o.client);
}

static void patience_main(void *arg)
{
    struct oracle o;
    struct asker a[4];
    struct waiter done[4];
    (void)arg;
    open_oracle(&o, 2 * NS_PER_S);
    for (unsigned i = 0; i < 4; i++) {
        a[i] = (struct asker){
            .o = &o, .times = 1, .deadline_ns = i == 1 ? clock_mono_ns() + 20 * NS_PER_MS : 0};
        start(&a[i], &done[i]);
    }
    fiber_cancel(a[2].fiber);
    wait_block_uncancelable(&done[1]);
    wait_block_uncancelable(&done[2]);
    CHECK(a[1].err == ERR_TIMEOUT && a[1].took_ns < o.call_ns);
    CHECK(a[2].err == ERR_CANCELED && a[2].took_ns < o.call_ns);
    wait_block_uncancelable(&done[0]);
    wait_block_uncancelable(&done[3]);
    CHECK(a[0].err == ERR_OK && a[3].err == ERR_OK && o.calls == 2);
    ts_client_fini(&o.client);
}

/* The deadline, or the cancellation, of whoever makes the call is not the others'. */
static void maker_main(void *arg)
{
    struct oracle o;
    struct asker a[4];
    struct waiter done[4];
    (void)arg;
    open_oracle(&o, 100 * NS_PER_MS);
    uint64_t begin = clock_mono_ns(); /* the second call ends later than 200 ms from here */
    for (unsigned i = 0; i < 4; i++) {
        a[i] = (struct asker){
            .o = &o, .times = 1, .deadline_ns = i == 1 ? begin + 150 * NS_PER_MS : 0};
        start(&a[i], &done[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        wait_block_uncancelable(&done[i]);
        CHECK(a[i].err == (i == 1 ? ERR_TIMEOUT : ERR_OK));
    }
    ts_client_fini(&o.client);
    open_oracle(&o, 60 * NS_PER_MS);
    for (unsigned i = 0; i < 4; i++) {
        a[i] = (struct asker){.o = &o, .times = 1};
        start(&a[i], &done[i]);
    }
    o.cancel = a[1].fiber; /* and in the same turn it is told to make the next call */
    for (unsigned i = 0; i < 4; i++) {
        wait_block_uncancelable(&done[i]);
        CHECK(a[i].err == (i == 1 ? ERR_CANCELED : ERR_OK));
    }
    CHECK(o.calls == 2);
    ts_client_fini(&o.client);
}

static void test_crowd(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(crowd_main, NULL), ERR_OK);
}

static void test_patience(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(patience_main, NULL), ERR_OK);
}

static void test_maker(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(maker_main, NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crowd),
                                       cmocka_unit_test(test_patience),
                                       cmocka_unit_test(test_maker)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
