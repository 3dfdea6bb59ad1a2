#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/test_main.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/faults.h"
#include "base/fiber.h"
#include "node/meta/meta_int.h"

/* Meta over a real range store in a temporary directory. */

struct world {
    char dir[64];
    struct loop_group *loops;
    struct engine *engine;
    struct raft_log *log;
    struct meta *m;
    struct range_store *rs;
    const struct meta_actions *actions;
    const char *join_token;
    struct meta_service *client;
    uint32_t tell_all_ms;
    uint32_t dead_after_ms;
    unsigned fibers_max; /* of a loop; 0: the default */
    void (*body)(struct world *w);
};

/* To the other members, of which there are records only. */
static void lose(struct replica_transport *t UNUSED, node_id_t to UNUSED, range_id_t range UNUSED,
                 const struct raft_msg *msg UNUSED)
{
}

static void lose_link(struct replica_transport *t UNUSED, node_id_t to UNUSED,
                      const struct link_msg *msg UNUSED)
{
}

static const struct replica_transport_ops g_lost_ops = {
    .name = "lost", .send = lose, .send_link = lose_link};
static struct replica_transport g_lost = {&g_lost_ops};

static void open_world(struct world *w)
{
    struct meta_opts mo = {.loops = w->loops,
                           .actions = w->actions,
                           .join_token = w->join_token,
                           .client = w->client,
                           .tell_all_ms = w->tell_all_ms,
                           .dead_after_ms = w->dead_after_ms};
    CHECK_OK(meta_new(&mo, &w->m));
    struct range_store_opts ro = {.loops = w->loops,
                                  .engine = w->engine,
                                  .log = w->log,
                                  .transport = w->join_token == NULL ? NULL : &g_lost,
                                  .hooks = meta_hooks(w->m)};
    CHECK_OK(range_store_open(&ro, NULL, &w->rs));
    CHECK_OK(range_store_wait_ready(w->rs, clock_mono_ns() + 20 * NS_PER_S));
    CHECK_OK(meta_start(w->m, w->rs, NULL));
}

struct turn {
    struct world *w;
    struct waiter done;
    bool clean;
};

static void turn_main(void *arg)
{
    struct turn *t = arg;
    open_world(t->w);
    t->w->body(t->w);
    if (t->clean) {
        meta_stop(t->w->m);
    } else { /* as a crash leaves it: nothing is written back */
        periodic_stop(&t->w->m->placement);
        periodic_stop(&t->w->m->heartbeat);
        periodic_stop(&t->w->m->gc);
        atomic_store(&t->w->m->running, false);
        while (atomic_load(&t->w->m->fibers) != 0) {
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
    }
    range_store_stop(t->w->rs);
    wait_signal(&t->done, 0);
}

static void turn_fiber(void *arg)
{
    struct turn *t = arg;
    wait_init(&t->done);
    CHECK_OK(fiber_spawn(loop_group_get(t->w->loops, 0), turn_main, t));
    wait_block_uncancelable(&t->done);
}

/* Opens everything, runs body in a fiber, closes everything. */
static void life(struct world *w, bool clean, void (*body)(struct world *w))
{
    char path[128];
    struct diag diag;
    diag_reset(&diag);
    struct loop_group_opts lo = {.count = 2, .fibers_max = w->fibers_max};
    CHECK_OK(loop_group_start(&lo, &w->loops));
    snprintf(path, sizeof(path), "%s/store", w->dir);
    struct engine_opts eo = {.path = path, .memory_size = 32 << 20};
    CHECK_OK(engine_open_rocks(&eo, &diag, &w->engine));
    snprintf(path, sizeof(path), "mkdir -p %s/log", w->dir);
    CHECK(system(path) == 0);
    snprintf(path, sizeof(path), "%s/log", w->dir);
    struct raft_log_opts ro = {.segment_size = 1 << 20};
    CHECK_OK(raft_log_open(path, &ro, &diag, &w->log));
    w->body = body;
    struct turn t = {.w = w, .clean = clean};
    CHECK_OK(loop_run_main(turn_fiber, &t));
    raft_log_close(w->log);
    range_store_free(w->rs);
    meta_free(w->m);
    engine_close(w->engine, !clean);
    loop_group_stop(w->loops);
}

static void make_dir(struct world *w)
{
    snprintf(w->dir, sizeof(w->dir), "./meta_test.XXXXXX");
    CHECK(mkdtemp(w->dir) != NULL);
}

static void remove_dir(struct world *w)
{
    char cmd[128];
    snprintf(cmd, sizeof(cmd), "rm -rf %s", w->dir);
    CHECK(system(cmd) == 0);
}

/* ---- the oracle ---- */

static ts_t g_last_ts;
static int64_t g_wall_shift_us;

static uint64_t shifted_mono(void *ctx)
{
    (void)ctx;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t shifted_wall(void *ctx)
{
    (void)ctx;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)((int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 + g_wall_shift_us);
}

/* What runs between the two has a calendar that is g_wall_shift_us off. */
static void shift_begin(struct world *w)
{
    static const struct clock_ops shifted = {"shifted", shifted_mono, shifted_wall, NULL};
    make_dir(w);
    g_wall_shift_us = 0;
    clock_set(&shifted);
}

static void shift_end(struct world *w)
{
    clock_set(NULL);
    remove_dir(w);
}

static void tso_body(struct world *w)
{
    for (uint32_t i = 0; i < 2000; i++) {
        ts_t ts;
        CHECK_OK(meta_timestamps(w->m, 1 + i % 7, NULL, &ts));
        CHECK(ts > g_last_ts);
        g_last_ts = ts + i % 7;
    }
    ts_t last; /* above what was given, and nothing is given any more up to it */
    ts_t again;
    CHECK_OK(meta_timestamps(w->m, 0, NULL, &last));
    CHECK(last > g_last_ts);
    CHECK_OK(meta_timestamps(w->m, 0, NULL, &again));
    CHECK(again == last);
    CHECK_OK(meta_timestamps(w->m, 1, NULL, &g_last_ts));
    CHECK(g_last_ts > last);
    CHECK_OK(meta_timestamps(w->m, 0, NULL, &again));
    CHECK(again > g_last_ts);
    g_last_ts = again;
}

static void test_tso(void **state)
{
    (void)state;
    struct world w = {0};
    g_last_ts = 0;
    shift_begin(&w);
    for (int round = 0; round < 6; round++) {
        /* the calendar jumps: forward by an hour, back by two, ... */
        g_wall_shift_us = round % 2 == 0 ? 0 : (round == 1 ? 3600ll : -7200ll) * 1000000;
        life(&w, round % 3 == 0, tso_body);
    }
    shift_end(&w);
}

/* Its time is over before the limit is written: it gives up, and lets go of the loop, which the
 * write needs. */
static void late_body(struct world *w)
{
    ts_t ts;
    CHECK_OK(meta_timestamps(w->m, 1, NULL, &ts));
    g_wall_shift_us += 3600ll * 1000000;
    fiber_set_deadline(clock_mono_ns());
    CHECK(meta_timestamps(w->m, 1, NULL, &ts) == ERR_TIMEOUT);
    fiber_set_deadline(DEADLINE_NONE);
    CHECK_OK(meta_timestamps(w->m, 1, NULL, &ts));
}

static void test_tso_late(void **state)
{
    (void)state;
    struct world w = {0};
    shift_begin(&w);
    life(&w, true, late_body);
    shift_end(&w);
}

/* The calendar is set back: the oracle's time goes on, slower. */
static void back_body(struct world *w)
{
    ts_t first;
    ts_t ts = 0;
    uint64_t begin = clock_mono_ns(), begun, asked, answered;
    CHECK_OK(meta_timestamps(w->m, 1, NULL, &first));
    begun = clock_mono_ns();
    g_wall_shift_us -= 3600ll * 1000000;
    do {
        asked = clock_mono_ns();
        CHECK_OK(meta_timestamps(w->m, 1, NULL, &ts));
        answered = clock_mono_ns();
        CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    } while (answered - begin < 600 * NS_PER_MS);
    uint64_t ms = (ts >> TS_LOGICAL_BITS) - (first >> TS_LOGICAL_BITS);
    CHECK(ms >= (asked - begun) / NS_PER_MS / 3 && ms < (answered - begin) / NS_PER_MS);
}

static void test_tso_set_back(void **state)
{
    (void)state;
    struct world w = {0};
    shift_begin(&w);
    life(&w, true, back_body);
    shift_end(&w);
}

struct tso_worker {
    struct world *w;
    struct waiter done;
    ts_t seen[500];
};

static void tso_worker(void *arg)
{
    struct tso_worker *t = arg;
    for (size_t i = 0; i < ARRAY_COUNT(t->seen); i++) {
        CHECK_OK(meta_timestamps(t->w->m, 3, NULL, &t->seen[i]));
        CHECK(i == 0 || t->seen[i] >= t->seen[i - 1] + 3);
    }
    wait_signal(&t->done, 0);
}

static int cmp_ts(const void *a, const void *b)
{
    ts_t x = *(const ts_t *)a;
    ts_t y = *(const ts_t *)b;
    return x < y ? -1 : x > y;
}

static void tso_race_body(struct world *w)
{
    enum { WORKERS = 8 };
    static struct tso_worker workers[WORKERS];
    static ts_t all[WORKERS * 500];
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].w = w;
        wait_init(&workers[i].done);
        CHECK_OK(fiber_spawn(loop_group_get(w->loops, i % 2), tso_worker, &workers[i]));
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        wait_block_uncancelable(&workers[i].done);
        memcpy(all + i * 500, workers[i].seen, sizeof(workers[i].seen));
    }
    qsort(all, ARRAY_COUNT(all), sizeof(all[0]), cmp_ts);
    for (size_t i = 1; i < ARRAY_COUNT(all); i++) {
        CHECK(all[i] >= all[i - 1] + 3);
    }
}

static void test_tso_race(void **state)
{
    (void)state;
    struct world w = {0};
    make_dir(&w);
    life(&w, true, tso_race_body);
    remove_dir(&w);
}

/* ---- counters ---- */

static uint64_t g_last_number;
static bool g_exact;

static uint64_t next_number(struct world *w, uint64_t floor, uint64_t count)
{
    uint64_t first = 0;
    CHECK_OK(meta_sequence_next(w->m, SLICE_LIT("\2t"), floor, count, 1, 0, NULL, &first));
    return first;
}

static void sequence_body(struct world *w)
{
    uint64_t first = next_number(w, 0, 1);
    CHECK(g_exact ? first == g_last_number + 1 : first > g_last_number);
    g_last_number = first;
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t n = next_number(w, 0, 1 + i % 5);
        CHECK(n == g_last_number + 1);
        g_last_number = n + i % 5;
    }
    /* a raise takes no number */
    CHECK(next_number(w, g_last_number + 1000, 0) == g_last_number + 1001);
    g_last_number += 1000;
    CHECK(next_number(w, 0, 1) == g_last_number + 1);
    g_last_number++;
}

static void test_sequences(void **state)
{
    (void)state;
    struct world w = {0};
    make_dir(&w);
    g_last_number = 0;
    g_exact = true;
    for (int round = 0; round < 6; round++) {
        bool clean = round % 2 == 0;
        life(&w, clean, sequence_body);
        g_exact = clean;
    }
    remove_dir(&w);
}

/* ---- the index ---- */

static struct range_desc desc(range_id_t id, uint64_t version, const char *start, const char *end)
{
    return (struct range_desc){.id = id,
                               .start = slice_str(start),
                               .end = slice_str(end),
                               .epoch = {.version = version, .conf = 1},
                               .replica_count = 1,
                               .replicas = {{1, 1, REPLICA_VOTER}}};
}

static void expect_index(struct meta *m, const char *want)
{
    struct arena a;
    struct range_desc *d;
    unsigned n;
    char text[256];
    size_t at = 0;
    arena_init(&a, NULL, NULL, 0);
    assert_int_equal(range_index_lookup(&m->index, SLICE_EMPTY, SLICE_EMPTY, 100, &a, &d, &n),
                     ERR_OK);
    for (unsigned i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%llu[%.*s,%.*s) ",
                               (unsigned long long)d[i].id, SLICE_FMT(d[i].start),
                               SLICE_FMT(d[i].end));
    }
    text[at] = '\0';
    assert_string_equal(text, want);
    arena_fini(&a);
}

static void *no_memory(void *ctx UNUSED, size_t size UNUSED)
{
    return NULL;
}

static void *no_more_memory(void *ctx UNUSED, void *ptr UNUSED, size_t size UNUSED)
{
    return NULL;
}

static void give_back(void *ctx UNUSED, void *ptr)
{
    free(ptr);
}

static void test_index(void **state)
{
    (void)state;
    static const struct mem_allocator none = {"none", no_memory, no_more_memory, give_back, NULL};
    struct meta_opts mo = {0};
    struct meta *m;
    assert_int_equal(meta_new(&mo, &m), ERR_OK);
    struct range_desc whole = desc(2, 1, "", "");
    struct range_desc left = desc(2, 2, "", "m");
    struct range_desc right = desc(3, 2, "m", "");
    struct range_desc mid = desc(4, 3, "p", "");
    struct range_desc right2 = desc(3, 3, "m", "p");
    assert_int_equal(range_index_changed(m, &whole, 1), ERR_OK);
    expect_index(m, "2[,) ");
    assert_int_equal(range_index_changed(m, &right, 1),
                     ERR_OK); /* the halves may report in any order */
    expect_index(m, "3[m,) ");
    assert_int_equal(range_index_changed(m, &left, 1), ERR_OK);
    expect_index(m, "2[,m) 3[m,) ");
    assert_int_equal(range_index_changed(m, &whole, 1), ERR_OK); /* old news */
    expect_index(m, "2[,m) 3[m,) ");
    assert_int_equal(range_index_changed(m, &right2, 1), ERR_OK);
    expect_index(m, "2[,m) 3[m,p) ");
    assert_int_equal(range_index_changed(m, &mid, 1), ERR_OK);
    assert_int_equal(range_index_changed(m, &right, 1), ERR_OK);
    expect_index(m, "2[,m) 3[m,p) 4[p,) ");
    struct arena a;
    struct range_desc *d;
    unsigned n;
    arena_init(&a, NULL, NULL, 0);
    assert_int_equal(range_index_lookup(&m->index, SLICE_LIT("n"), SLICE_LIT("q"), 100, &a, &d, &n),
                     ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(d[0].id, 3);
    assert_int_equal(range_index_lookup(&m->index, SLICE_LIT("p"), SLICE_EMPTY, 1, &a, &d, &n),
                     ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(d[0].id, 4);
    arena_fini(&a);
    /* Without memory it stays as it is, and who told is to tell it again. */
    struct range_desc last = desc(5, 4, "p", "");
    mem_set_allocator(&none);
    db_err err = range_index_changed(m, &last, 1);
    mem_set_allocator(NULL);
    assert_int_equal(err, ERR_NOMEM);
    expect_index(m, "2[,m) 3[m,p) 4[p,) ");
    assert_int_equal(range_index_changed(m, &last, 1), ERR_OK);
    expect_index(m, "2[,m) 3[m,p) 5[p,) ");
    meta_free(m);
}

/* As many ranges as fit whole pages of a round of placement. */
enum { WHOLE_PAGES = 256 };

static db_err no_replicas(void *ctx UNUSED, node_id_t leader UNUSED, range_id_t range UNUSED,
                          const struct replica_change *changes UNUSED, size_t count UNUSED,
                          struct diag *diag UNUSED)
{
    return ERR_UNAVAILABLE;
}

static db_err no_lease(void *ctx UNUSED, node_id_t leader UNUSED, range_id_t range UNUSED,
                       node_id_t to UNUSED, enum lease_locks locks UNUSED, struct diag *diag UNUSED)
{
    return ERR_UNAVAILABLE;
}

static void pages_body(struct world *w)
{
    static struct range_desc all[WHOLE_PAGES - 1]; /* besides meta's own */
    static char starts[WHOLE_PAGES][8];
    struct range_desc *d;
    unsigned n;
    struct arena a;
    for (unsigned i = 0; i < WHOLE_PAGES; i++) {
        (void)snprintf(starts[i], sizeof(starts[i]), i == 0 ? "\1" : "\2%04u", i);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(all); i++) {
        bool last = i + 1 == ARRAY_COUNT(all);
        all[i] = desc(100 + i, 1000, starts[i], last ? "" : starts[i + 1]);
    }
    CHECK_OK(meta_ranges_changed(w->m, 1, all, ARRAY_COUNT(all), NULL));
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(range_index_lookup(&w->m->index, SLICE_EMPTY, SLICE_EMPTY, 10000, &a, &d, &n));
    CHECK(n == WHOLE_PAGES);
    arena_fini(&a);
    (void)alarm(20);
    meta_placement_round(w->m); /* comes to an end */
    (void)alarm(0);
}

/* This node's way to the leader, which it is itself. */
struct way {
    struct meta_service base;
    struct world *w;
};

static struct meta *leader_of(struct meta_service *s)
{
    return CONTAINER_OF(s, struct way, base)->w->m;
}

static db_err way_heartbeat(struct meta_service *s, const struct node_info *self,
                            struct arena *arena, struct diag *diag, struct node_directory *ret_dir)
{
    return meta_heartbeat(leader_of(s), self, arena, diag, ret_dir);
}

static db_err way_ranges_changed(struct meta_service *s, node_id_t node,
                                 const struct range_desc *descs, unsigned count, struct diag *diag)
{
    return meta_ranges_changed(leader_of(s), node, descs, count, diag);
}

static const struct meta_service_ops g_way_ops = {
    .name = "test", .heartbeat = way_heartbeat, .ranges_changed = way_ranges_changed};

static node_id_t leads_first(struct world *w, struct arena *a, struct range_desc **ret)
{
    unsigned n;
    CHECK_OK(meta_lookup(w->m, SLICE_LIT("\2"), SLICE_EMPTY, 1, a, NULL, ret, &n));
    CHECK(n == 1 && (*ret)->id == RANGE_ID_FIRST);
    return (*ret)->leader_hint;
}

/* A report of a former leader comes late: what the index then says does not stay. */
static void late_report_body(struct world *w)
{
    enum { FORMER = 77 };
    struct range_desc *d;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    CHECK(leads_first(w, &a, &d) == w->m->self);
    node_id_t leader = 0;
    for (int i = 0; leader != FORMER && i < 100; i++) { /* the other report may come at once */
        CHECK_OK(meta_ranges_changed(w->m, FORMER, d, 1, NULL));
        leader = leads_first(w, &a, &d);
    }
    CHECK(leader == FORMER);
    uint64_t end = clock_mono_ns() + 10 * NS_PER_S;
    while (leads_first(w, &a, &d) == FORMER && clock_mono_ns() < end) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    CHECK(leads_first(w, &a, &d) == w->m->self);
    arena_fini(&a);
}

static void test_late_report(void **state)
{
    (void)state;
    struct world w = {.tell_all_ms = 100};
    struct way way = {.base = {&g_way_ops}, .w = &w};
    w.client = &way.base;
    make_dir(&w);
    life(&w, false, late_report_body);
    remove_dir(&w);
}

static void test_whole_pages(void **state)
{
    (void)state;
    static const struct meta_actions actions = {.change_replicas = no_replicas,
                                                .transfer_lease = no_lease};
    struct world w = {.actions = &actions};
    make_dir(&w);
    life(&w, false, pages_body);
    remove_dir(&w);
}

/* ---- the lease ---- */

static void nap_fiber(void *arg)
{
    while (!atomic_load((_Atomic bool *)arg)) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
}

/* The lease comes while there is no fiber to be had. */
static void no_fiber_body(struct world *w)
{
    _Atomic bool wake = false;
    CHECK(meta_leads(w->m));
    while (fiber_spawn(loop_current(), nap_fiber, &wake) == ERR_OK) {
    }
    meta_lease_changed(w->m, true);
    CHECK(!meta_leads(w->m));
    atomic_store(&wake, true);
    uint64_t end = clock_mono_ns() + 10 * NS_PER_S;
    while (!meta_leads(w->m)) {
        CHECK(clock_mono_ns() < end);
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
}

/* The lease comes when all is about to end. */
static void late_lease_body(struct world *w)
{
    meta_lease_changed(w->m, true);
}

/* A range changes after the new leader has looked at those that are led here, and before it
 * answers. */
static void change_while_taking_over_body(struct world *w)
{
    const struct range_hooks *h = meta_hooks(w->m);
    struct range_desc *d;
    struct arena a;
    unsigned n;
    uint64_t hits = 0;
    uint64_t acted;
    arena_init(&a, NULL, NULL, 0);
    leads_first(w, &a, &d);
    struct range_desc now = *d;
    now.epoch.version++;
    CHECK_OK(faults_set("meta_taking_over", "delay=300:count=1"));
    meta_lease_changed(w->m, true);
    while (hits == 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
        CHECK_OK(faults_hits("meta_taking_over", &hits, &acted));
    }
    CHECK(!meta_leads(w->m));
    h->changed(h->ctx, &now);
    uint64_t end = clock_mono_ns() + 10 * NS_PER_S;
    while (!meta_leads(w->m)) {
        CHECK(clock_mono_ns() < end);
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    faults_reset();
    CHECK_OK(meta_lookup(w->m, SLICE_LIT("\2"), SLICE_EMPTY, 1, &a, NULL, &d, &n));
    CHECK(n == 1 && d->epoch.version == now.epoch.version);
    arena_fini(&a);
}

static void test_change_while_taking_over(void **state)
{
    (void)state;
    struct world w = {0};
    make_dir(&w);
    life(&w, true, change_while_taking_over_body);
    remove_dir(&w);
}

static void test_lease(void **state)
{
    (void)state;
    struct world w = {.fibers_max = 64};
    make_dir(&w);
    life(&w, true, no_fiber_body);
    for (int round = 0; round < 5; round++) {
        life(&w, true, late_lease_body);
    }
    remove_dir(&w);
}

/* ---- members ---- */

static db_err join_one(struct world *w, unsigned boot_id, node_id_t *ret_id)
{
    struct node_info self = {.boot_id = boot_id};
    struct node_directory dir = {0};
    struct arena a;
    (void)snprintf(self.rpc, sizeof(self.rpc), "127.0.0.1:%u", boot_id);
    arena_init(&a, NULL, NULL, 0);
    db_err err = meta_join(w->m, SLICE_LIT("token"), &self, &a, NULL, &dir);
    arena_fini(&a);
    *ret_id = err == ERR_OK ? dir.you : 0;
    return err;
}

static void report_reads(struct world *w, ts_t floor, const ts_t *snapshots, size_t count)
{
    struct kv_reads reads = {.floor = floor, .snapshots = snapshots, .count = count};
    CHECK_OK(meta_report_reads(w->m, w->m->self, &reads, NULL));
}

static void safe_point_body(struct world *w)
{
    enum { DEAD_MS = 100 };
    const ts_t snapshots[] = {500, 1500};
    struct kv_reads kept;
    struct arena a;
    node_id_t other;
    arena_init(&a, NULL, NULL, 0);
    engine_set_safe_point(w->engine, 1000, NULL, 0);
    report_reads(w, 2000, snapshots, 2);
    CHECK_OK(safe_point_get(w->m, &a, &kept));
    /* What nobody kept is not taken up again. */
    CHECK(kept.floor == 2000 && kept.count == 1 && kept.snapshots[0] == 1500);
    /* A member of which this leader has never heard what it reads holds it, also while it counts as
     * dead. */
    CHECK_OK(join_one(w, 2, &other));
    CHECK_OK(fiber_sleep(4 * DEAD_MS * NS_PER_MS));
    report_reads(w, 3000, NULL, 0);
    CHECK_OK(safe_point_get(w->m, &a, &kept));
    CHECK(kept.floor == 2000);
    CHECK_OK(meta_set_node_state(w->m, other, NODE_LEFT, NULL));
    report_reads(w, 3000, NULL, 0);
    CHECK_OK(safe_point_get(w->m, &a, &kept));
    CHECK(kept.floor == 3000);
    arena_fini(&a);
}

static void test_safe_point(void **state)
{
    (void)state;
    struct world w = {.join_token = "token", .dead_after_ms = 100};
    make_dir(&w);
    life(&w, false, safe_point_body);
    remove_dir(&w);
}

/* A lease that somebody takes back each time. */
static struct world *g_taken_back_in;
static unsigned g_moves;

static struct range_desc led_by_two(void)
{
    struct range_desc d = desc(100, 1000, "\1", "");
    d.replica_count = 3;
    for (unsigned i = 0; i < 3; i++) {
        d.replicas[i] = (struct replica_desc){i + 1, i + 1, REPLICA_VOTER};
    }
    return d;
}

static db_err taken_back(void *ctx UNUSED, node_id_t leader UNUSED, range_id_t range, node_id_t to,
                         enum lease_locks locks, struct diag *diag UNUSED)
{
    struct range_desc d = led_by_two();
    CHECK(range == d.id && to == 1 && locks == LEASE_WITH_LOCKS);
    CHECK_OK(meta_ranges_changed(g_taken_back_in->m, to, &d, 1, NULL));
    g_moves++;
    return ERR_OK;
}

static void taken_back_body(struct world *w)
{
    struct range_desc d = led_by_two();
    node_id_t id;
    g_taken_back_in = w;
    g_moves = 0;
    CHECK_OK(join_one(w, 1000, &id));
    CHECK_OK(join_one(w, 1001, &id));
    uint64_t end = clock_mono_ns() + 3 * NS_PER_S;
    while (clock_mono_ns() < end) {
        CHECK_OK(meta_ranges_changed(w->m, 2, &d, 1, NULL));
        for (unsigned i = 0; i < 2; i++) { /* decides; sees that it is done */
            meta_placement_round(w->m);
            CHECK_OK(fiber_sleep(50 * NS_PER_MS));
        }
    }
    CHECK(g_moves == 1);
}

static void test_taken_back(void **state)
{
    (void)state;
    static const struct meta_actions actions = {.change_replicas = no_replicas,
                                                .transfer_lease = taken_back};
    struct world w = {.join_token = "token", .actions = &actions};
    make_dir(&w);
    life(&w, false, taken_back_body);
    remove_dir(&w);
}

static const struct node_info *member(struct world *w, node_id_t id)
{
    for (unsigned i = 0; i < w->m->registry.count; i++) {
        if (w->m->registry.members[i].info.id == id) {
            return &w->m->registry.members[i].info;
        }
    }
    return NULL;
}

static node_id_t g_newest_node;

static void crowd_body(struct world *w)
{
    node_id_t id;
    for (unsigned boot = 1000; w->m->registry.count < NODES_MAX; boot++) {
        CHECK_OK(join_one(w, boot, &g_newest_node));
        CHECK_OK(join_one(w, boot, &id)); /* its answer was lost */
        CHECK(id == g_newest_node);
    }
    for (unsigned i = 0; i < 3; i++) {
        CHECK(join_one(w, 1, &id) == ERR_LIMIT);
    }
}

/* Who comes next leads them all, and has a place for another when one has left. */
static void crowd_led_body(struct world *w)
{
    node_id_t id;
    CHECK(meta_leads(w->m) && w->m->registry.count == NODES_MAX);
    CHECK(join_one(w, 1, &id) == ERR_LIMIT);
    CHECK_OK(meta_set_node_state(w->m, 9, NODE_LEFT, NULL));
    CHECK_OK(meta_set_node_state(w->m, 5, NODE_LEFT, NULL));
    CHECK_OK(join_one(w, 1, &id));
    CHECK(id == g_newest_node + 1);
    g_newest_node = id;
}

static void crowd_kept_body(struct world *w)
{
    CHECK(meta_leads(w->m) && w->m->registry.count == NODES_MAX);
    CHECK(member(w, 5) == NULL && member(w, 9) != NULL && member(w, g_newest_node) != NULL);
}

static void test_crowd(void **state)
{
    (void)state;
    struct world w = {.join_token = "token"};
    make_dir(&w);
    life(&w, true, crowd_body);
    life(&w, true, crowd_led_body);
    life(&w, true, crowd_kept_body);
    remove_dir(&w);
}

struct sent_away {
    struct world *w;
    struct waiter done;
};

static void send_away(void *arg)
{
    struct sent_away *s = arg;
    CHECK_OK(meta_set_node_state(s->w->m, 2, NODE_DECOMMISSIONING, NULL));
    wait_signal(&s->done, 0);
}

/* A node is sent away while others go on without it. */
static void two_decide_body(struct world *w)
{
    struct sent_away s = {.w = w};
    node_id_t id;
    CHECK_OK(join_one(w, 1000, &id));
    CHECK(id == 2);
    wait_init(&s.done);
    CHECK_OK(fiber_spawn(loop_current(), send_away, &s));
    CHECK_OK(meta_fence(w->m, 2, 0, NULL));
    wait_block_uncancelable(&s.done);
}

static void two_decided_body(struct world *w)
{
    CHECK(member(w, 2)->state == NODE_DECOMMISSIONING);
    CHECK(member(w, 2)->fences == 1);
}

static void test_two_decide(void **state)
{
    (void)state;
    struct world w = {.join_token = "token"};
    make_dir(&w);
    life(&w, true, two_decide_body);
    life(&w, true, two_decided_body);
    remove_dir(&w);
}

static void test_desc_codec(void **state)
{
    (void)state;
    struct range_desc d = desc(77, 300, "a", "zz");
    struct range_desc back;
    struct buf b;
    struct arena a;
    buf_init(&b, 4096);
    arena_init(&a, NULL, NULL, 0);
    assert_int_equal(range_desc_encode(&b, &d), ERR_OK);
    assert_int_equal(range_desc_decode(buf_slice(&b), &a, &back), ERR_OK);
    assert_int_equal(back.id, 77);
    assert_int_equal(back.epoch.version, 300);
    assert_true(slice_eq(back.start, d.start) && slice_eq(back.end, d.end));
    assert_int_equal(back.replicas[0].replica_id, 1);
    for (size_t n = 0; n < b.len; n++) { /* every prefix is refused */
        assert_int_equal(range_desc_decode(slice_of(b.ptr, n), &a, &back), ERR_CORRUPT);
    }
    assert_int_equal(buf_append_u8(&b, 0), ERR_OK);
    assert_int_equal(range_desc_decode(buf_slice(&b), &a, &back), ERR_CORRUPT);
    arena_fini(&a);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tso),
        cmocka_unit_test(test_tso_race),
        cmocka_unit_test(test_tso_late),
        cmocka_unit_test(test_tso_set_back),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_whole_pages),
        cmocka_unit_test(test_late_report),
        cmocka_unit_test(test_safe_point),
        cmocka_unit_test(test_lease),
        cmocka_unit_test(test_taken_back),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_two_decide),
        cmocka_unit_test(test_desc_codec),
        cmocka_unit_test(test_change_while_taking_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
