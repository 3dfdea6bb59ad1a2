/* Streams between a client and a server in one process over NNG: order, credit, ends, aborts. */
#include "rpc/stream/stream.h"

#include "rpc/testing/test_pair.h"

#include "base/log.h"
#include "rpc/stream/endpoint.h"

enum { CHUNK = 100 * 1024, CHUNKS = 200 };

static _Atomic int g_read;
static _Atomic bool g_go_on;
static _Atomic int g_handler_err;

static void fill(uint8_t *bytes, size_t size, unsigned n)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(n * 31 + i);
    }
}

static db_err read_all(struct rpc_stream *s, bool slowly, struct diag *diag)
{
    static const size_t size = CHUNK;
    uint8_t *want = mem_alloc(size);
    db_err err = ERR_OK;
    for (unsigned n = 0;; n++) {
        struct rpc_msg chunk;
        bool end;
        err = rpc_stream_read(s, diag, &chunk, &end);
        if (err != ERR_OK || end) {
            break;
        }
        unsigned number;
        memcpy(&number, chunk.header.ptr, sizeof(number));
        fill(want, size, n);
        CHECK(number == n);
        CHECK(slice_eq(chunk.payload, slice_of(want, size)));
        rpc_msg_release(&chunk);
        atomic_fetch_add(&g_read, 1);
        while (slowly && !atomic_load(&g_go_on) && err == ERR_OK) {
            err = fiber_sleep(NS_PER_MS);
        }
    }
    mem_free(want);
    return err;
}

static db_err write_chunk(struct rpc_stream *s, unsigned n, struct diag *diag)
{
    struct blob *blob = blob_new(CHUNK);
    CHECK(blob != NULL);
    fill(blob->data, CHUNK, n);
    const struct rpc_part part = {slice_of(blob->data, CHUNK), blob};
    db_err err = rpc_stream_write(s, slice_of(&n, sizeof(n)), &part, 1, diag);
    blob_unref(blob);
    return err;
}

/* The header of the opening says what the handler does. */
static db_err on_stream(void *ctx UNUSED, const struct rpc_peer_info *from, struct slice header,
                        struct rpc_stream *s, struct diag *diag)
{
    CHECK(from->node == CLIENT_NODE);
    db_err err = ERR_OK;
    if (slice_eq(header, SLICE_LIT("take")) || slice_eq(header, SLICE_LIT("take slowly"))) {
        err = read_all(s, header.len > 4, diag);
    } else if (slice_eq(header, SLICE_LIT("give"))) {
        for (unsigned n = 0; n < CHUNKS && err == ERR_OK; n++) {
            err = write_chunk(s, n, diag);
        }
    } else if (slice_eq(header, SLICE_LIT("refuse"))) {
        struct rpc_msg chunk;
        bool end;
        CHECK_OK(rpc_stream_read(s, diag, &chunk, &end));
        rpc_msg_release(&chunk);
        err = diag_set(diag, ERR_DISK_FULL, "no room for the snapshot");
    } else if (slice_eq(header, SLICE_LIT("give, then fail"))) {
        CHECK_OK(write_chunk(s, 0, diag));
        err = diag_set(diag, ERR_CORRUPT, "half of it");
    }
    atomic_store(&g_handler_err, (int)err);
    return err;
}

static void handlers(struct rpc_server *s, void *ctx)
{
    rpc_server_handle_stream(s, RPC_M_selftest_stream, on_stream, ctx);
}

static struct rpc_stream *open_stream(struct pair *p, const char *what)
{
    struct diag diag = {0};
    struct rpc_stream *s;
    db_err err =
        rpc_stream_open(p->peer, RPC_M_selftest_stream, slice_str(what), DEADLINE_NONE, &diag, &s);
    CHECK_OK(err);
    return s;
}

static void start(struct pair *p)
{
    pair_init(p, 2);
    p->handlers = handlers;
    p->so.timing.dead_ms = p->co.timing.dead_ms = 60000; /* a machine with too much to do */
    pair_start(p);
}

static void run(void (*fn)(void *arg))
{
    struct pair p;
    start(&p);
    atomic_store(&g_read, 0);
    atomic_store(&g_go_on, false);
    atomic_store(&g_handler_err, -1);
    run_on(p.loops[0], fn, &p);
    pair_stop(&p);
}

static void push(void *arg)
{
    struct diag diag = {0};
    struct rpc_stream *s = open_stream(arg, "take");
    for (unsigned n = 0; n < CHUNKS; n++) {
        CHECK_OK(write_chunk(s, n, &diag));
    }
    CHECK_OK(rpc_stream_finish(s, &diag));
    CHECK(atomic_load(&g_read) == CHUNKS);
    rpc_stream_free(s);
}

static void pull(void *arg)
{
    struct diag diag = {0};
    struct rpc_stream *s = open_stream(arg, "give");
    CHECK_OK(read_all(s, false, &diag));
    CHECK(atomic_load(&g_read) == CHUNKS);
    CHECK_OK(rpc_stream_finish(s, &diag));
    rpc_stream_free(s);
}

struct writer {
    struct rpc_stream *s;
    _Atomic unsigned written;
    _Atomic bool done;
};

static void writer_main(void *arg)
{
    struct writer *w = arg;
    struct diag diag = {0};
    for (unsigned n = 0; n < 40; n++) {
        CHECK_OK(write_chunk(w->s, n, &diag));
        atomic_fetch_add(&w->written, 1);
    }
    CHECK_OK(rpc_stream_finish(w->s, &diag));
    atomic_store(&w->done, true);
}

/* A reader that does not read holds its writer back. */
static void held_back(void *arg)
{
    struct pair *p = arg;
    struct writer w = {.s = open_stream(arg, "take slowly")};
    CHECK_OK(fiber_spawn(p->loops[1], writer_main, &w));
    while (atomic_load(&w.written) < 5 || atomic_load(&g_read) < 1) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    CHECK_OK(fiber_sleep(200 * NS_PER_MS));
    unsigned written = atomic_load(&w.written);
    CHECK(written <= RPC_STREAM_WINDOW / CHUNK + 1);
    CHECK(atomic_load(&g_read) == 1);
    atomic_store(&g_go_on, true);
    while (!atomic_load(&w.done)) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    CHECK(atomic_load(&g_read) == 40);
    rpc_stream_free(w.s);
}

static void handler_fails(void *arg)
{
    struct diag diag = {0};
    struct rpc_stream *s = open_stream(arg, "refuse");
    db_err err = ERR_OK;
    for (unsigned n = 0; n < 100 && err == ERR_OK; n++) {
        err = write_chunk(s, n, &diag);
    }
    CHECK(err == ERR_DISK_FULL);
    CHECK(strcmp(diag.text, "no room for the snapshot") == 0);
    CHECK(rpc_stream_finish(s, &diag) == ERR_DISK_FULL);
    rpc_stream_free(s);
    /* What was written before can be read. */
    s = open_stream(arg, "give, then fail");
    struct rpc_msg chunk;
    bool end;
    CHECK_OK(rpc_stream_read(s, &diag, &chunk, &end));
    CHECK(!end && chunk.payload.len == CHUNK);
    rpc_msg_release(&chunk);
    CHECK(rpc_stream_read(s, &diag, &chunk, &end) == ERR_CORRUPT);
    rpc_stream_free(s);
}

static void opener_aborts(void *arg)
{
    struct diag diag = {0};
    struct rpc_stream *s = open_stream(arg, "take");
    CHECK_OK(write_chunk(s, 0, &diag));
    while (atomic_load(&g_read) < 1) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    rpc_stream_abort(s, ERR_SNAPSHOT_TOO_OLD, "not needed any more");
    CHECK(write_chunk(s, 1, &diag) == ERR_SNAPSHOT_TOO_OLD);
    rpc_stream_free(s);
    while (atomic_load(&g_handler_err) == -1) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    CHECK(atomic_load(&g_handler_err) == ERR_SNAPSHOT_TOO_OLD);
}

static void limits(void *arg)
{
    struct diag diag = {0};
    struct rpc_stream *s = open_stream(arg, "take");
    uint8_t *bytes = mem_calloc(1, RPC_STREAM_CHUNK_MAX + 1);
    const struct rpc_part part = RPC_PART(slice_of(bytes, RPC_STREAM_CHUNK_MAX + 1));
    CHECK(rpc_stream_write(s, SLICE_EMPTY, &part, 1, &diag) == ERR_LIMIT);
    mem_free(bytes);
    rpc_stream_free(s);
    /* A deadline breaks off a wait, not the stream. */
    s = open_stream(arg, "take slowly");
    fiber_set_deadline(clock_mono_ns() + 30 * NS_PER_MS);
    struct rpc_msg chunk;
    bool end;
    CHECK(rpc_stream_read(s, &diag, &chunk, &end) == ERR_TIMEOUT);
    fiber_set_deadline(DEADLINE_NONE);
    atomic_store(&g_go_on, true);
    CHECK_OK(write_chunk(s, 0, &diag));
    CHECK_OK(rpc_stream_finish(s, &diag));
    rpc_stream_free(s);
}

static void test_push(void **state UNUSED)
{
    run(push);
}
static void test_pull(void **state UNUSED)
{
    run(pull);
}
static void test_held_back(void **state UNUSED)
{
    run(held_back);
}
static void test_handler_fails(void **state UNUSED)
{
    run(handler_fails);
}
static void test_opener_aborts(void **state UNUSED)
{
    run(opener_aborts);
}
static void test_limits(void **state UNUSED)
{
    run(limits);
}

/* The connection goes while both sides wait. */
static void reader_main(void *arg)
{
    struct writer *w = arg;
    struct diag diag = {0};
    struct rpc_msg chunk;
    bool end;
    CHECK(rpc_stream_read(w->s, &diag, &chunk, &end) == ERR_OUTCOME_UNKNOWN);
    atomic_store(&w->done, true);
}

static void open_and_wait(void *arg)
{
    struct pair *p = arg;
    struct writer *w = p->ctx;
    w->s = open_stream(p, "take");
    CHECK_OK(fiber_spawn(p->loops[1], reader_main, w));
}

static void test_lost(void **state UNUSED)
{
    struct pair p;
    struct writer w = {.s = NULL};
    start(&p);
    atomic_store(&g_handler_err, -1);
    p.ctx = &w;
    run_on(p.loops[0], open_and_wait, &p);
    usleep(20000);
    rpc_peer_disconnect(p.peer);
    WAIT_FOR(atomic_load(&w.done));
    WAIT_FOR(atomic_load(&g_handler_err) == ERR_OUTCOME_UNKNOWN);
    rpc_stream_free(w.s);
    pair_stop(&p);
}

int main(void)
{
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push),          cmocka_unit_test(test_pull),
        cmocka_unit_test(test_held_back),     cmocka_unit_test(test_handler_fails),
        cmocka_unit_test(test_opener_aborts), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
