/* Calls and one-way messages between a client and a server in one process, over TCP on
 * the loops or (SKEIN_TEST_TRANSPORT=nng) over NNG. */
#include "rpc/testing/test_pair.h"

#include "base/fiber.h"
#include "base/rand.h"

static _Atomic int g_canceled; /* of the calls that ask to be cancelled */
static _Atomic int g_begun;
static _Atomic int g_ended;
static _Atomic uint64_t g_next;
static _Atomic int g_disorder;

static void on_oneway(void *ctx UNUSED, const struct rpc_peer_info *from, const struct rpc_msg *msg)
{
    CHECK(from->node == CLIENT_NODE);
    uint64_t n;
    memcpy(&n, msg->header.ptr, 8);
    CHECK(msg->payload.len == n % 300);
    if (n != atomic_load(&g_next)) {
        atomic_fetch_add(&g_disorder, 1);
    }
    atomic_store(&g_next, n + 1);
}

/* The header says what to do. */
static db_err on_call(void *ctx UNUSED, struct rpc_request *req, struct diag *diag)
{
    struct slice what = rpc_request_msg(req)->header;
    if (slice_eq(what, SLICE_LIT("sleep"))) {
        return fiber_sleep(20 * NS_PER_S);
    }
    if (slice_eq(what, SLICE_LIT("cancel me"))) {
        atomic_fetch_add(&g_begun, 1);
        db_err err = fiber_sleep(1000 * NS_PER_S);
        atomic_fetch_add(&g_canceled, err == ERR_CANCELED ? 1 : 0);
        atomic_fetch_add(&g_ended, 1);
        return err;
    }
    if (slice_eq(what, SLICE_LIT("fail"))) {
        rpc_request_set_error_header(req, SLICE_LIT("leader is 7"));
        diag_set_sql(diag, 1062, "23000", "Duplicate entry");
        diag->data = 99;
        diag->err = ERR_NOT_LEADER;
        return ERR_NOT_LEADER;
    }
    if (slice_eq(what, SLICE_LIT("nothing"))) {
        return ERR_OK;
    }
    if (slice_eq(what, SLICE_LIT("deadline"))) {
        uint64_t left_ms = (fiber_deadline() - clock_mono_ns()) / NS_PER_MS;
        char *text = arena_printf(rpc_request_arena(req), "%llu", (unsigned long long)left_ms);
        return rpc_respond(req, slice_str(text), NULL, 0);
    }
    const struct rpc_msg *msg = rpc_request_msg(req);
    const struct rpc_part part = {msg->payload, msg->blob};
    return rpc_respond(req, msg->header, &part, 1);
}

static bool g_direct; /* one-way messages are handled where they are read */

static void handlers(struct rpc_server *s, void *ctx)
{
    if (g_direct) {
        rpc_server_handle_oneway_direct(s, RPC_M_selftest_oneway, on_oneway, ctx);
    } else {
        rpc_server_handle_oneway(s, RPC_M_selftest_oneway, on_oneway, ctx);
    }
    rpc_server_handle_call(s, RPC_M_selftest_call, on_call, ctx);
}

static void start(struct pair *p)
{
    pair_init(p, 2);
    p->handlers = handlers;
    p->so.timing.dead_ms = p->co.timing.dead_ms = 60000; /* a machine with too much to do */
}

/* --- round trips --- */

static void round_trips(void *arg)
{
    struct pair *p = arg;
    static const size_t sizes[] = {0, 1, 100, 4096, 5000, 65536, 70000, 1 << 20, 20 << 20};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct blob *blob = blob_new(sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            blob->data[k] = (uint8_t)(k * 7 + i);
        }
        const struct rpc_part parts[2] = {
            {slice_of(blob->data, sizes[i] / 2), NULL},
            {slice_from(slice_of(blob->data, sizes[i]), sizes[i] / 2), blob}};
        const struct rpc_call call = {RPC_M_selftest_call, SLICE_LIT("head"), parts, 2, 0};
        struct diag diag = {0};
        struct rpc_reply reply;
        db_err err = rpc_call(p->peer, &call, &diag, &reply);
        CHECK_OK(err);
        CHECK(slice_eq(reply.msg.header, SLICE_LIT("head")));
        CHECK(slice_eq(reply.msg.payload, slice_of(blob->data, sizes[i])));
        rpc_msg_release(&reply.msg);
        blob_unref(blob);
    }
}

static void test_round_trips(void **state UNUSED)
{
    struct pair p;
    start(&p);
    pair_start(&p);
    run_on(p.loops[0], round_trips, &p);
    run_on(p.loops[1], round_trips, &p);
    pair_stop(&p);
}

/* --- errors --- */

static void errors(void *arg)
{
    struct pair *p = arg;
    struct diag diag = {0};
    struct rpc_reply reply;
    db_err err =
        call_bytes(p->peer, RPC_M_selftest_call, SLICE_LIT("fail"), SLICE_EMPTY, 0, &diag, &reply);
    CHECK(err == ERR_NOT_LEADER);
    CHECK(reply.executed_maybe);
    CHECK(diag.err == ERR_NOT_LEADER && diag.number == 1062 && diag.data == 99);
    CHECK(strcmp(diag.sqlstate, "23000") == 0 && strcmp(diag.text, "Duplicate entry") == 0);
    CHECK(slice_eq(reply.msg.header, SLICE_LIT("leader is 7")));
    rpc_msg_release(&reply.msg);

    err = call_bytes(p->peer, RPC_M_selftest_call, SLICE_LIT("nothing"), SLICE_EMPTY, 0, &diag,
                     &reply);
    CHECK(err == ERR_UNSUPPORTED);
    rpc_msg_release(&reply.msg);
    err = call_bytes(p->peer, RPC_M_kv, SLICE_EMPTY, SLICE_EMPTY, 0, &diag, &reply);
    CHECK(err == ERR_UNSUPPORTED);
    CHECK(strstr(diag.text, "kv") != NULL);
    rpc_msg_release(&reply.msg);

    struct rpc_peer *nobody = rpc_client_peer(p->client, 99);
    err = call_bytes(nobody, RPC_M_selftest_call, SLICE_EMPTY, SLICE_EMPTY, 0, &diag, &reply);
    CHECK(err == ERR_UNAVAILABLE && !reply.executed_maybe);

    struct blob *big = blob_new(65 << 20);
    const struct rpc_part part = {slice_of(big->data, big->size), big};
    const struct rpc_call call = {RPC_M_selftest_call, SLICE_EMPTY, &part, 1, 0};
    CHECK(rpc_call(p->peer, &call, &diag, &reply) == ERR_LIMIT);
    CHECK(!reply.executed_maybe);
    blob_unref(big);
}

static void test_errors(void **state UNUSED)
{
    struct pair p;
    start(&p);
    pair_start(&p);
    run_on(p.loops[0], errors, &p);
    pair_stop(&p);
}

/* --- deadline, cancellation --- */

static void deadline(void *arg)
{
    struct pair *p = arg;
    struct diag diag = {0};
    struct rpc_reply reply;
    uint64_t until = clock_mono_ns() + 2 * NS_PER_S;
    CHECK_OK(call_bytes(p->peer, RPC_M_selftest_call, SLICE_LIT("deadline"), SLICE_EMPTY, until,
                        &diag, &reply));
    char text[16] = {0};
    memcpy(text, reply.msg.header.ptr, reply.msg.header.len);
    unsigned long left = strtoul(text, NULL, 10);
    CHECK(left > 500 && left <= 2000);
    rpc_msg_release(&reply.msg);

    until = clock_mono_ns() + 50 * NS_PER_MS;
    db_err err = call_bytes(p->peer, RPC_M_selftest_call, SLICE_LIT("sleep"), SLICE_EMPTY, until,
                            &diag, &reply);
    CHECK(err == ERR_TIMEOUT && reply.executed_maybe);
    rpc_msg_release(&reply.msg);
}

static void canceled_call(void *arg)
{
    struct pair *p = arg;
    struct diag diag = {0};
    struct rpc_reply reply;
    atomic_store((struct fiber * _Atomic *)p->ctx, fiber_self());
    db_err err = call_bytes(p->peer, RPC_M_selftest_call, SLICE_LIT("cancel me"), SLICE_EMPTY, 0,
                            &diag, &reply);
    CHECK(err == ERR_CANCELED && reply.executed_maybe);
}

static void canceler(void *arg)
{
    struct pair *p = arg;
    for (int i = 0; i < 20000 && atomic_load(&g_begun) == 0; i++) {
        CHECK_OK(fiber_sleep(NS_PER_MS)); /* a call that has not begun has nobody to tell */
    }
    fiber_cancel(atomic_load((struct fiber * _Atomic *)p->ctx));
}

static void forget_counts(void)
{
    atomic_store(&g_begun, 0);
    atomic_store(&g_canceled, 0);
    atomic_store(&g_ended, 0);
}

static void test_deadline_and_cancel(void **state UNUSED)
{
    struct pair p;
    start(&p);
    pair_start(&p);
    run_on(p.loops[0], deadline, &p);
    struct fiber *_Atomic victim = NULL;
    p.ctx = &victim;
    forget_counts();
    CHECK_OK(fiber_spawn(p.loops[1], canceler, &p));
    run_on(p.loops[0], canceled_call, &p);
    /* The server's fiber is told. */
    WAIT_FOR(atomic_load(&g_canceled) == 1);
    assert_int_equal(atomic_load(&g_ended), 1);
    pair_stop(&p);
}

/* --- cancellations that meet the beginning of what they cancel --- */

enum { RACERS = 8, RACES = 150 };

struct racer {
    struct pair *p;
    struct loop *other;
    unsigned seed;
    struct fiber_mutex lock; /* the victim lives while its handle is here */
    struct fiber *victim;    /* guarded by lock */
    _Atomic bool over;
    _Atomic int *left;
};

static void spin(uint64_t ns)
{
    uint64_t until = clock_mono_ns() + ns;
    while (clock_mono_ns() < until) {
    }
}

/* Cancels the other fiber's call at a moment that nobody chose. */
static void race_cancel(void *arg)
{
    struct racer *r = arg;
    struct rand rand;
    rand_seed(&rand, r->seed);
    while (!atomic_load(&r->over)) {
        fiber_mutex_lock(&r->lock);
        if (r->victim != NULL) {
            spin(rand_below(&rand, 60) * NS_PER_US);
            fiber_cancel(r->victim);
        }
        fiber_mutex_unlock(&r->lock);
        fiber_yield();
    }
    atomic_fetch_sub(r->left, 1);
}

static void race_calls(void *arg)
{
    struct racer *r = arg;
    CHECK_OK(fiber_spawn(r->other, race_cancel, r));
    for (int i = 0; i < RACES; i++) {
        struct diag diag = {0};
        struct rpc_reply reply;
        fiber_mutex_lock(&r->lock);
        r->victim = fiber_self();
        fiber_mutex_unlock(&r->lock);
        db_err err = call_bytes(r->p->peer, RPC_M_selftest_call, SLICE_LIT("cancel me"),
                                SLICE_EMPTY, 0, &diag, &reply);
        CHECK(err == ERR_CANCELED);
        rpc_msg_release(&reply.msg);
        fiber_mutex_lock(&r->lock);
        r->victim = NULL;
        fiber_mutex_unlock(&r->lock);
        fiber_clear_cancel();
    }
    atomic_store(&r->over, true);
    atomic_fetch_sub(r->left, 1);
}

/* Whatever of the server has begun is ended by its cancellation: nothing else would end it. */
static void test_cancel_at_begin(void **state UNUSED)
{
    struct pair p;
    start(&p);
    pair_start(&p);
    static struct racer racers[RACERS];
    _Atomic int left = 2 * RACERS;
    forget_counts();
    for (unsigned i = 0; i < RACERS; i++) {
        struct racer *r = &racers[i];
        *r = (struct racer){.p = &p, .other = p.loops[(i + 1) % 2], .seed = i + 1, .left = &left};
        fiber_mutex_init(&r->lock);
        CHECK_OK(fiber_spawn(p.loops[i % 2], race_calls, r));
    }
    WAIT_FOR(atomic_load(&left) == 0);
    WAIT_FOR(atomic_load(&g_ended) == atomic_load(&g_begun));
    assert_int_equal(atomic_load(&g_canceled), atomic_load(&g_begun));
    pair_stop(&p);
}

/* --- one-way order --- */

static void send_many(void *arg)
{
    struct pair *p = arg;
    uint8_t bytes[300] = {0};
    uint64_t sent = 0;
    while (sent < 50000) {
        const struct rpc_part part = RPC_PART(slice_of(bytes, sent % 300));
        if (rpc_send(p->peer, RPC_M_selftest_oneway, slice_of(&sent, 8), &part, 1)) {
            sent++;
        } else {
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
        CHECK_OK(fiber_checkpoint());
    }
}

static void test_oneway(void **state UNUSED)
{
    struct pair p;
    start(&p);
    p.co.queue_max = 256 * 1024;
    pair_start(&p);
    atomic_store(&g_next, 0);
    atomic_store(&g_disorder, 0);
    run_on(p.loops[0], send_many, &p);
    WAIT_FOR(atomic_load(&g_next) == 50000);
    assert_int_equal(atomic_load(&g_disorder), 0);
    pair_stop(&p);
}

static void test_oneway_direct(void **state)
{
    g_direct = true;
    test_oneway(state);
    g_direct = false;
}

/* --- a connection goes where its messages go --- */

enum { MOVING = 2000 };

struct moving {
    struct pair *p;
    unsigned loop;
    _Atomic uint64_t got;
    _Atomic bool at_home; /* the last one was read where it was for */
};

/* The header: who sends, and a number. Each sender's are for another loop. */
static void on_moving(void *ctx, const struct rpc_peer_info *from, const struct rpc_msg *msg)
{
    struct moving *all = ctx;
    uint64_t words[2];
    CHECK(msg->header.len == sizeof(words));
    memcpy(words, msg->header.ptr, sizeof(words));
    struct moving *m = &all[words[0]];
    struct loop *home = m->p->loops[m->loop];
    rpc_oneway_was_for(from, home);
    atomic_store(&m->at_home, loop_current() == home);
    CHECK(words[1] == atomic_load(&m->got));
    atomic_fetch_add(&m->got, 1);
}

static void moving_handlers(struct rpc_server *s, void *ctx)
{
    rpc_server_handle_oneway_direct(s, RPC_M_selftest_oneway, on_moving, ctx);
}

/* One after the other has arrived, but for the first ones. */
static void send_moving(void *arg)
{
    struct moving *m = arg;
    for (uint64_t i = 0; i < MOVING; i++) {
        const uint64_t words[2] = {m->loop, i};
        while (
            !rpc_send(m->p->peer, RPC_M_selftest_oneway, slice_of(words, sizeof(words)), NULL, 0)) {
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
        while (i >= MOVING / 2 && atomic_load(&m->got) <= i) {
            CHECK_OK(fiber_sleep(50 * NS_PER_US));
        }
    }
}

/* Two loops send at the same time, by connections of their own, which end up at two others. */
static void test_oneway_moves(void **state UNUSED)
{
    struct pair p;
    if (pair_transport() != PAIR_TCP) {
        return;
    }
    start(&p);
    static struct moving senders[2];
    for (unsigned i = 0; i < 2; i++) {
        senders[i] = (struct moving){.p = &p, .loop = i};
    }
    p.handlers = moving_handlers;
    p.ctx = senders;
    pair_start(&p);
    CHECK_OK(fiber_spawn(p.loops[1], send_moving, &senders[0]));
    CHECK_OK(fiber_spawn(p.loops[0], send_moving, &senders[1]));
    for (unsigned i = 0; i < 2; i++) {
        WAIT_FOR(atomic_load(&senders[i].got) == MOVING);
    }
    assert_true(atomic_load(&senders[0].at_home) && atomic_load(&senders[1].at_home));
    assert_int_equal(rpc_server_connections(p.server, CLIENT_NODE), 2);
    pair_stop(&p);
}

/* --- many at once --- */

struct load {
    struct pair *p;
    unsigned seed;
    _Atomic int *left;
};

static void load_fiber(void *arg)
{
    struct load *l = arg;
    struct rand r;
    rand_seed(&r, l->seed);
    uint8_t bytes[9000];
    memset(bytes, (int)l->seed, sizeof(bytes));
    for (int i = 0; i < 200; i++) {
        size_t size = (size_t)rand_below(&r, i % 50 == 0 ? sizeof(bytes) : 300);
        struct diag diag = {0};
        struct rpc_reply reply;
        uint64_t until = i % 20 == 7 ? clock_mono_ns() + rand_below(&r, 300) * NS_PER_US : 0;
        db_err err = call_bytes(l->p->peer, RPC_M_selftest_call, slice_of(&i, sizeof(i)),
                                slice_of(bytes, size), until, &diag, &reply);
        CHECK(err == ERR_OK || (until != 0 && err == ERR_TIMEOUT));
        if (err == ERR_OK) {
            CHECK(slice_eq(reply.msg.header, slice_of(&i, sizeof(i))));
            CHECK(slice_eq(reply.msg.payload, slice_of(bytes, size)));
        }
        rpc_msg_release(&reply.msg);
    }
    atomic_fetch_sub(l->left, 1);
}

static void test_many(void **state UNUSED)
{
    enum { FIBERS = 100 };
    struct pair p;
    start(&p);
    pair_start(&p);
    static struct load loads[FIBERS];
    _Atomic int left = FIBERS;
    for (unsigned i = 0; i < FIBERS; i++) {
        loads[i] = (struct load){&p, i + 1, &left};
        CHECK_OK(fiber_spawn(p.loops[i % 2], load_fiber, &loads[i]));
    }
    WAIT_FOR(atomic_load(&left) == 0);
    pair_stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_deadline_and_cancel),
        cmocka_unit_test(test_cancel_at_begin),
        cmocka_unit_test(test_oneway),
        cmocka_unit_test(test_oneway_direct),
        cmocka_unit_test(test_oneway_moves),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
