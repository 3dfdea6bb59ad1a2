/* Large statements come in as they came, when there is memory; nobody waits for ever. */
#include "base/test_main.h"
#include "sql/session/session_int.h"

enum { MIB = 1 << 20, LIMIT = 40 * MIB };

static struct sql_engine g_engine;

/* A session that takes room, and gives it back when it is told to. */
struct taker {
    struct sql_session session;
    size_t need;
    size_t granted;
    unsigned place; /* the how-manieth that was let in */
    bool in, leave;
    uint64_t waited_ns;
    struct fiber *fiber;
    struct waiter done;
};

static unsigned g_place;

static void take_main(void *arg)
{
    struct taker *t = arg;
    uint64_t began = clock_mono_ns();
    t->fiber = fiber_self();
    t->granted = statement_room_take_bytes(&t->session, t->need);
    t->waited_ns = clock_mono_ns() - began;
    t->place = ++g_place;
    t->in = true;
    fiber_clear_cancel();
    while (!t->leave) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    statement_room_give(&t->session, t->granted);
    wait_signal(&t->done, 0);
}

static void begin(struct taker *t, size_t need)
{
    *t = (struct taker){.need = need};
    t->session.engine = &g_engine;
    wait_init(&t->done);
    CHECK_OK(fiber_spawn(loop_current(), take_main, t));
    CHECK_OK(fiber_sleep(20 * NS_PER_MS));
}

static void end(struct taker *t)
{
    t->leave = true;
    wait_block_uncancelable(&t->done);
    CHECK_OK(fiber_sleep(20 * NS_PER_MS));
}

static void open_engine(void)
{
    memset(&g_engine, 0, sizeof(g_engine));
    mem_tracker_init(&g_engine.mem, NULL, LIMIT);
    statement_room_init(&g_engine.room);
    g_place = 0;
}

/* Three quarters are given away; who came first goes first, also before one that would fit. */
static void order_main(void *arg)
{
    static struct taker t[5];
    (void)arg;
    open_engine();
    begin(&t[0], 20 * MIB);
    begin(&t[1], 20 * MIB);
    begin(&t[2], 5 * MIB);
    begin(&t[3], MIB - 1); /* small ones do not wait */
    CHECK(t[0].in && t[0].granted == 20 * MIB && !t[1].in && !t[2].in);
    CHECK(t[3].in && t[3].granted == 0);
    end(&t[0]);
    CHECK(t[1].in && t[2].in && t[1].place < t[2].place);
    begin(&t[4], 100 * MIB); /* more than there is: when it is the only one */
    end(&t[1]);
    CHECK(!t[4].in);
    end(&t[2]);
    CHECK(t[4].in && t[4].granted == 100 * MIB);
    end(&t[3]);
    end(&t[4]);
    CHECK(g_engine.room.granted == 0 && list_empty(&g_engine.room.waiting));
}

/* One that is killed, or has waited for long, goes on without a grant, and the next one comes in.
 */
static void patience_main(void *arg)
{
    static struct taker t[4];
    (void)arg;
    open_engine();
    begin(&t[0], 30 * MIB);
    begin(&t[1], 30 * MIB);
    begin(&t[2], 2 * MIB);
    fiber_cancel(t[1].fiber);
    CHECK_OK(fiber_sleep(20 * NS_PER_MS));
    CHECK(t[1].in && t[1].granted == 0 && !t[2].in);
    begin(&t[3], 2 * MIB);
    CHECK_OK(fiber_sleep((STATEMENT_ROOM_WAIT_S + 1) * NS_PER_S));
    for (unsigned i = 2; i < 4; i++) {
        CHECK(t[i].in && t[i].granted == 0);
        CHECK(t[i].waited_ns >= (STATEMENT_ROOM_WAIT_S - 1) * NS_PER_S);
    }
    for (unsigned i = 0; i < 4; i++) {
        end(&t[i]);
    }
    CHECK(g_engine.room.granted == 0 && list_empty(&g_engine.room.waiting));
}

/* As long as others give back what they had, the line moves, and is waited in. */
static void slow_main(void *arg)
{
    static struct taker t[3];
    (void)arg;
    open_engine();
    for (unsigned i = 0; i < 3; i++) {
        begin(&t[i], 30 * MIB);
    }
    for (unsigned i = 0; i < 2; i++) {
        CHECK_OK(fiber_sleep((STATEMENT_ROOM_WAIT_S / 2 + 1) * NS_PER_S));
        CHECK(t[i].in && t[i].granted == 30 * MIB && !t[i + 1].in);
        end(&t[i]);
    }
    CHECK(t[2].in && t[2].granted == 30 * MIB);
    CHECK(t[2].waited_ns > STATEMENT_ROOM_WAIT_S * NS_PER_S);
    end(&t[2]);
    CHECK(g_engine.room.granted == 0 && list_empty(&g_engine.room.waiting));
}

static void params_main(void *arg)
{
    static uint8_t text[MIB];
    static struct taker t;
    struct sql_param p[3] = {{.cell = {.kind = SQL_CELL_TEXT}}, {.is_null = true}};
    (void)arg;
    open_engine();
    t.session.engine = &g_engine;
    CHECK(statement_room_take_params(&t.session, p, 3) == 0);
    p[2].cell.kind = SQL_CELL_TEXT;
    p[2].cell.v.text = slice_of(text, sizeof(text));
    size_t granted = statement_room_take_params(&t.session, p, 3);
    CHECK(granted >= 2 * sizeof(text) && granted == g_engine.room.granted);
    statement_room_give(&t.session, granted);
    CHECK(g_engine.room.granted == 0);
}

static void test_order(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(order_main, NULL), ERR_OK);
}

static void test_patience(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(patience_main, NULL), ERR_OK);
}

static void test_slow(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(slow_main, NULL), ERR_OK);
}

static void test_params(void **state)
{
    (void)state;
    assert_int_equal(loop_run_main(params_main, NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_patience), cmocka_unit_test(test_slow),
                                       cmocka_unit_test(test_params)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
