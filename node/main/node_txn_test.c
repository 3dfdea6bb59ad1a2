/* What is left of transactions whose coordinator has died: their intents, and how readers and
 * writers get past them. The coordinator is played by hand, with the calls it would make. */
#include <stdio.h>
#include <stdlib.h>

#include "base/faults.h"
#include "base/metrics.h"
#include "base/test_main.h"
#include "cluster/kv/kv.h"
#include "cluster/txn/txn.h"
#include "node/mvcc/mvcc.h"
#include "base/fiber.h"
#include "node/eval/eval.h"
#include "node/main/node.h"

enum { TTL_MS = 80, LATER_TTL_MS = 1000, LONG_TTL_MS = 20000 };

struct world {
    struct loop_group *loops;
    struct node *n;
    struct storage *s;
    struct arena a;
    uint32_t ttl_ms; /* of intents */
    bool has_read;
    void (*body)(struct world *w);
};

static struct slice key(struct world *w, const char *name)
{
    char *text = arena_printf(&w->a, "\2txn/%s", name);
    CHECK(text != NULL);
    return slice_str(text);
}

/* Nobody is done with it: it stays. */
static struct eval_range *range_of(struct world *w, struct slice k, struct kv_request *ret_req)
{
    struct range_desc *d;
    struct eval_range *er;
    unsigned n;
    CHECK_OK(meta_lookup(node_meta(w->n), k, SLICE_EMPTY, 1, &w->a, NULL, &d, &n));
    CHECK(n == 1);
    CHECK_OK(range_store_find(node_ranges(w->n), d->id, &er));
    *ret_req = (struct kv_request){d->id, d->epoch, DEADLINE_NONE, &w->a, 0, 0};
    return er;
}

static void put(struct world *w, struct slice k, const char *value)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .autocommit = true};
    struct storage_txn *t;
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
    CHECK_OK(storage_put(t, k, slice_str(value), STORAGE_W_BLIND, NULL));
    CHECK_OK(storage_txn_commit(t, NULL, NULL));
}

static bool reads(struct world *w, struct slice k, const char *value)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    struct storage_txn *t;
    bool found = false;
    struct slice v = SLICE_EMPTY;
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
    CHECK_OK(storage_get(t, k, STORAGE_READ_PLAIN, STORAGE_WAIT, &w->a, NULL, &found, &v));
    storage_txn_rollback(t);
    return found && slice_eq(v, slice_str(value));
}

static ts_t now_ts(struct world *w)
{
    ts_t ts;
    CHECK_OK(meta_timestamps(node_meta(w->n), 1, NULL, &ts));
    return ts;
}

/* Leaves an intent of the transaction on k. */
static void prewrite(struct world *w, ts_t start_ts, struct slice k, const char *value,
                     struct slice primary, const struct slice *secondaries, size_t count,
                     bool async)
{
    struct kv_mutation m = {.op = KV_PUT, .key = k, .value = slice_str(value)};
    struct kv_prewrite_req req = {.mutations = &m,
                                  .count = 1,
                                  .primary = primary,
                                  .start_ts = start_ts,
                                  .ttl_ms = w->ttl_ms,
                                  .async_commit = async,
                                  .secondaries = secondaries,
                                  .secondary_count = count};
    struct kv_reply reply = {0};
    struct kv_prewrite_resp resp;
    struct eval_range *er = range_of(w, k, &req.r);
    CHECK_OK(eval_prewrite(er, &req, NULL, &reply, &resp));
}

static db_err commit(struct world *w, ts_t start_ts, struct slice k, ts_t commit_ts)
{
    struct kv_txn_keys_req req = {
        .keys = &k, .count = 1, .start_ts = start_ts, .commit_ts = commit_ts};
    struct kv_reply reply = {0};
    struct eval_range *er = range_of(w, k, &req.r);
    return eval_commit(er, &req, NULL, &reply);
}

/* Keys a.. lie in the first range, z.. in the second. */
static void body(struct world *w)
{
    struct slice a = key(w, "a");
    struct slice z = key(w, "z");
    range_id_t id;
    CHECK_OK(range_store_split(node_ranges(w->n), RANGE_ID_FIRST, key(w, "m"), NULL, &id));
    put(w, a, "old");
    put(w, z, "old");

    /* not committed: rolled back when its time is over, and its owner hears of it */
    ts_t t1 = now_ts(w);
    uint64_t start = clock_mono_ns();
    prewrite(w, t1, a, "t1", a, NULL, 0, false);
    prewrite(w, t1, z, "t1", a, NULL, 0, false);
    CHECK(reads(w, z, "old"));
    CHECK(clock_mono_ns() - start >= (TTL_MS - 20) * NS_PER_MS);
    CHECK(commit(w, t1, a, now_ts(w)) == ERR_TXN_ABORTED);
    CHECK(reads(w, a, "old"));

    /* the primary is committed: its other intents follow at once */
    ts_t t2 = now_ts(w);
    w->ttl_ms = LONG_TTL_MS;
    prewrite(w, t2, a, "t2", a, NULL, 0, false);
    prewrite(w, t2, z, "t2", a, NULL, 0, false);
    CHECK_OK(commit(w, t2, a, now_ts(w)));
    start = clock_mono_ns();
    CHECK(reads(w, z, "t2") && reads(w, a, "t2"));
    CHECK(clock_mono_ns() - start < LONG_TTL_MS / 2 * NS_PER_MS);
    w->ttl_ms = TTL_MS;

    /* async, all intents in place: committed, though nobody said so */
    ts_t t3 = now_ts(w);
    prewrite(w, t3, a, "t3", a, &z, 1, true);
    prewrite(w, t3, z, "t3", a, NULL, 0, true);
    CHECK(reads(w, z, "t3") && reads(w, a, "t3"));

    /* that is found out long before its time is over; one that is missing changes nothing then */
    ts_t t6 = now_ts(w);
    w->ttl_ms = LONG_TTL_MS;
    prewrite(w, t6, a, "t6", a, &z, 1, true);
    prewrite(w, t6, z, "t6", a, NULL, 0, true);
    start = clock_mono_ns();
    CHECK(reads(w, z, "t6") && reads(w, a, "t6"));
    CHECK(clock_mono_ns() - start < LONG_TTL_MS / 2 * NS_PER_MS);
    ts_t t7 = now_ts(w);
    w->ttl_ms = LATER_TTL_MS;
    start = clock_mono_ns();
    prewrite(w, t7, a, "t7", a, &z, 1, true);
    CHECK(reads(w, a, "t6") && reads(w, z, "t6"));
    CHECK(clock_mono_ns() - start >= (LATER_TTL_MS - 20) * NS_PER_MS);
    w->ttl_ms = TTL_MS;

    /* async, one is missing: rolled back, and it can never be written any more */
    ts_t t4 = now_ts(w);
    prewrite(w, t4, a, "t4", a, &z, 1, true);
    CHECK(reads(w, a, "t6") && reads(w, z, "t6"));
    struct kv_mutation late = {.op = KV_PUT, .key = z, .value = SLICE_LIT("t4")};
    struct kv_prewrite_req req = {.mutations = &late,
                                  .count = 1,
                                  .primary = a,
                                  .start_ts = t4,
                                  .ttl_ms = TTL_MS,
                                  .async_commit = true};
    struct kv_reply reply = {0};
    struct kv_prewrite_resp resp;
    struct eval_range *er = range_of(w, z, &req.r);
    CHECK(eval_prewrite(er, &req, NULL, &reply, &resp) == ERR_TXN_ABORTED);

    /* a writer gets past an abandoned intent too, and a scan past many */
    ts_t t5 = now_ts(w);
    for (int i = 0; i < 20; i++) {
        prewrite(w, t5, key(w, arena_printf(&w->a, "p%02d", i)), "t5", a, NULL, 0, false);
    }
    put(w, key(w, "p07"), "new");
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
    struct storage_txn *t;
    struct storage_scan *scan;
    const struct storage_kv *rows;
    size_t count;
    struct storage_scan_opts so = {.start = key(w, "p"), .end = key(w, "q")};
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
    CHECK_OK(storage_scan_open(t, &so, NULL, &scan));
    CHECK_OK(storage_scan_next(scan, NULL, &rows, &count));
    CHECK(count == 1 && slice_eq(rows[0].key, key(w, "p07")));
    storage_scan_close(scan);
    storage_txn_rollback(t);
    meta_gc_round(node_meta(w->n));
}

static enum mvcc_txn_record record(struct world *w, struct slice k, ts_t start_ts)
{
    struct kv_request r;
    enum mvcc_txn_record rec;
    ts_t commit_ts;
    struct eval_range *er = range_of(w, k, &r);
    CHECK_OK(mvcc_txn_get(er->engine, k, start_ts, &w->a, &rec, &commit_ts));
    return rec;
}

/* What is left of those that began before a moment is cleared away, in all ranges, and of no
 * others. */
static void swept(struct world *w)
{
    struct slice a = key(w, "a");
    struct slice z = key(w, "z");
    struct diag diag;
    range_id_t id;
    diag_reset(&diag);
    CHECK_OK(range_store_split(node_ranges(w->n), RANGE_ID_FIRST, key(w, "m"), NULL, &id));
    put(w, a, "old");
    put(w, z, "old");    /* from then on the new range is known */
    ts_t t1 = now_ts(w); /* committed, with an intent left in the other range */
    prewrite(w, t1, a, "t1", a, NULL, 0, false);
    prewrite(w, t1, z, "t1", a, NULL, 0, false);
    CHECK_OK(commit(w, t1, a, now_ts(w)));
    ts_t t2 = now_ts(w); /* given up before its primary was there */
    prewrite(w, t2, key(w, "zz"), "t2", key(w, "b"), NULL, 0, false);
    ts_t before = now_ts(w);
    ts_t t3 = now_ts(w);
    prewrite(w, t3, key(w, "c"), "t3", key(w, "c"), NULL, 0, false);
    CHECK_OK(commit(w, t3, key(w, "c"), now_ts(w)));
    CHECK(record(w, a, t1) == MVCC_TXN_COMMITTED);
    CHECK(record(w, key(w, "c"), t3) == MVCC_TXN_COMMITTED);
    CHECK_OK(cluster_storage_sweep(w->s, before, &diag));
    CHECK(record(w, a, t1) == MVCC_TXN_NONE && record(w, z, t1) == MVCC_TXN_NONE);
    CHECK(record(w, key(w, "b"), t2) == MVCC_TXN_NONE);
    CHECK(record(w, key(w, "c"), t3) == MVCC_TXN_COMMITTED);
    CHECK(reads(w, a, "t1") && reads(w, z, "t1") && reads(w, key(w, "c"), "t3"));
    CHECK(!reads(w, key(w, "zz"), "t2"));
}

/* ---- transactions whose writes have gone to disk ---- */

enum { LARGE = 300 }; /* too many for an async commit */

static struct storage_txn *large(struct world *w, bool with_locks)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
    struct storage_txn *t;
    char name[16];
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
    for (int i = 0; i < LARGE; i++) {
        snprintf(name, sizeof(name), "large%03d", i);
        CHECK_OK(
            storage_put(t, key(w, name), SLICE_LIT("new"), with_locks ? 0 : STORAGE_W_BLIND, NULL));
    }
    return t;
}

static bool everybody(void *ctx UNUSED, lock_owner_t owner UNUSED)
{
    return true;
}

/* A lock was taken after a savepoint, and a spill later the transaction goes back: what was read
 * under the lock may be used on, so it must not have been lost. */
static void lost_behind_spill(struct world *w)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
    struct slice row = key(w, "row");
    struct kv_request r;
    put(w, row, "10");
    struct eval_range *er = range_of(w, row, &r);
    cluster_storage_spill(w->s, 3, ".");
    for (int lose = 0; lose < 2; lose++) {
        struct storage_txn *t;
        uint64_t savepoint;
        bool found;
        struct slice v;
        CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
        CHECK_OK(storage_txn_savepoint(t, &savepoint));
        CHECK_OK(
            storage_get(t, row, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &w->a, NULL, &found, &v));
        for (int i = 0; i < 20; i++) {
            char name[16];
            snprintf(name, sizeof(name), "gone%d", i);
            CHECK_OK(storage_put(t, key(w, name), SLICE_LIT("x"), 0, NULL));
        }
        CHECK_OK(storage_txn_rollback_to(t, savepoint));
        if (lose != 0) {
            CHECK(lock_table_reap(er->locks, everybody, NULL) != 0);
            put(w, row, "20");
        }
        CHECK_OK(storage_put(t, row, SLICE_LIT("11"), 0, NULL)); /* 10 and one */
        db_err err = storage_txn_commit(t, NULL, NULL);
        CHECK(err == (lose != 0 ? ERR_LOCK_LOST : ERR_OK));
        CHECK(reads(w, row, lose != 0 ? "20" : "11") && !reads(w, key(w, "gone1"), "x"));
    }
}

/* ---- locks that are lost, of transactions that write nothing ---- */

enum lose { LOSE_NOTHING, LOSE_OWNER, LOSE_LEASE, LOSE__COUNT };

/* LOSE_OWNER: as one that was not heard of for too long; LOSE_LEASE: as one whose range's leader
 * was elected again. */
static void lose_locks(struct world *w, struct eval_range *er, enum lose how)
{
    if (how == LOSE_OWNER) {
        CHECK(lock_table_reap(er->locks, everybody, NULL) != 0);
    } else if (how == LOSE_LEASE) {
        struct slice start, end;
        uint64_t number = atomic_load(&er->lock_number);
        CHECK_OK(er->ops->bounds(er, &w->a, &start, &end));
        eval_range_lease_end(er);
        CHECK_OK(eval_range_lease_begin(er, start, end, number + 1, NULL));
    }
}

/* Locks that are there are waited for shortly; for others there is time, also where all is slow. */
enum { SHORT_WAIT_MS = 20, PATIENT_WAIT_MS = 20000 };

static uint32_t wait_for_locks(enum lose how)
{
    return how == LOSE_NOTHING ? SHORT_WAIT_MS : PATIENT_WAIT_MS;
}

/* Another one writes what the transaction believes to have locked: whoever relied on that hears of
 * it at the commit, though he has written nothing. Nobody else does. */
static void lost_by_reader(struct world *w)
{
    static const enum storage_isolation levels[] = {STORAGE_REPEATABLE_READ, STORAGE_READ_COMMITTED,
                                                    STORAGE_SERIALIZABLE};
    static const enum storage_read_mode modes[] = {STORAGE_READ_EXCLUSIVE, STORAGE_READ_SHARED};
    struct slice row = key(w, "row");
    struct kv_request r;
    put(w, row, "10");
    struct eval_range *er = range_of(w, row, &r);
    for (unsigned i = 0; i < ARRAY_COUNT(levels) * ARRAY_COUNT(modes) * LOSE__COUNT; i++) {
        struct storage_txn_opts opts = {.isolation = levels[i % ARRAY_COUNT(levels)],
                                        .lock_wait_timeout_ms = PATIENT_WAIT_MS};
        enum storage_read_mode mode = modes[i / ARRAY_COUNT(levels) % ARRAY_COUNT(modes)];
        enum lose how = i / ARRAY_COUNT(levels) / ARRAY_COUNT(modes);
        struct storage_txn *t;
        bool found;
        struct slice v;
        CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
        CHECK_OK(storage_get(t, row, mode, STORAGE_WAIT, &w->a, NULL, &found, &v));
        lose_locks(w, er, how);
        opts.autocommit = true;
        opts.lock_wait_timeout_ms = wait_for_locks(how);
        struct storage_txn *other;
        CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &other));
        db_err err = storage_put(other, row, SLICE_LIT("20"), 0, NULL);
        err = err != ERR_OK ? (storage_txn_rollback(other), err)
                            : storage_txn_commit(other, NULL, NULL);
        CHECK(err == (how == LOSE_NOTHING ? ERR_LOCK_WAIT_TIMEOUT : ERR_OK));
        CHECK(storage_txn_commit(t, NULL, NULL) == (how == LOSE_NOTHING ? ERR_OK : ERR_LOCK_LOST));
    }
    CHECK(row_lock_count(er->locks) == 0);
}

/* Both lock a row before they change something else, in the same range and in another: to keep each
 * other out. The first one does not commit when the other has come between, although the row is as
 * it was. A row that it has written need only be as it was. */
static void lost_mutex(struct world *w)
{
    struct slice row = key(w, "mutex");
    struct kv_request r;
    range_id_t id;
    put(w, row, "10");
    CHECK_OK(range_store_split(node_ranges(w->n), RANGE_ID_FIRST, key(w, "o"), NULL, &id));
    for (unsigned i = 0; i < 4 * LOSE__COUNT; i++) {
        struct storage_txn_opts opts = {.isolation = STORAGE_READ_COMMITTED};
        enum lose how = i / 4;
        bool written = i % 2 != 0;
        struct storage_txn *t[2];
        db_err err = ERR_OK;
        for (int k = 0; k < 2; k++) {
            bool found;
            struct slice v;
            struct slice to = key(w, arena_printf(&w->a, "%c%d", i % 4 < 2 ? 'a' : 'z', k));
            opts.lock_wait_timeout_ms = k == 0 ? PATIENT_WAIT_MS : wait_for_locks(how);
            CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t[k]));
            err = storage_get(t[k], row, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &w->a, NULL, &found,
                              &v);
            CHECK(err == ERR_OK || k == 1);
            if (err == ERR_OK) {
                CHECK_OK(storage_put(t[k], to, SLICE_LIT("x"), 0, NULL));
                lose_locks(w, range_of(w, row, &r), k == 0 ? how : LOSE_NOTHING);
            }
        }
        CHECK(err == (how == LOSE_NOTHING ? ERR_LOCK_WAIT_TIMEOUT : ERR_OK));
        if (written) {
            CHECK_OK(storage_put(t[0], row, SLICE_LIT("10"), 0, NULL));
        }
        err = err == ERR_OK ? storage_txn_commit(t[1], NULL, NULL)
                            : (storage_txn_rollback(t[1]), ERR_OK);
        CHECK_OK(err);
        CHECK(storage_txn_commit(t[0], NULL, NULL) ==
              (how == LOSE_NOTHING || written ? ERR_OK : ERR_LOCK_LOST));
    }
}

struct committing {
    struct storage_txn *t;
    struct fiber *fiber;
    bool done;
    db_err err;
};

static void committing_fiber(void *arg)
{
    struct committing *c = arg;
    c->fiber = fiber_self();
    c->err = storage_txn_commit(c->t, NULL, NULL);
    c->done = true;
}

static size_t intents(struct world *w)
{
    struct kv_request r;
    struct mvcc_intent_name *at;
    size_t n;
    struct eval_range *er = range_of(w, key(w, "a"), &r);
    CHECK_OK(
        mvcc_intent_scan(er->engine, key(w, "a"), key(w, "zzz"), 0, LARGE * 2, &w->a, &at, &n));
    return n;
}

/* A commit that is cancelled before its decision leaves no intents for others to wait for. */
static void canceled(struct world *w)
{
    for (int spilled = 0; spilled < 2; spilled++) {
        if (faults_set("txn_after_prewrite", "delay=3000:count=1") == ERR_UNSUPPORTED) {
            return;
        }
        cluster_storage_spill(w->s, spilled != 0 ? 16 : SIZE_MAX, ".");
        range_id_t id;
        if (spilled == 0) { /* several ranges, else it is one call */
            CHECK_OK(range_store_split(node_ranges(w->n), RANGE_ID_FIRST, key(w, "large100"), NULL,
                                       &id));
        }
        struct committing c = {.t = large(w, spilled != 0)};
        CHECK_OK(fiber_spawn(loop_current(), committing_fiber, &c));
        for (uint64_t acted = 0, hits = 0; acted == 0;) {
            CHECK_OK(fiber_sleep(NS_PER_MS));
            CHECK_OK(faults_hits("txn_after_prewrite", &hits, &acted));
            CHECK(!c.done);
        }
        CHECK(intents(w) == LARGE);
        fiber_cancel(c.fiber);
        while (!c.done) {
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
        CHECK(c.err == ERR_CANCELED);
        CHECK(intents(w) == 0);
        CHECK(!reads(w, key(w, "large000"), "new") && !reads(w, key(w, "large199"), "new"));
        faults_reset();
    }
}

/* ... also one that waits, in the second of two ranges, for a lock of another transaction. */
static void canceled_wait(struct world *w)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
    struct storage_txn *other;
    struct slice v;
    bool found;
    range_id_t id;
    CHECK_OK(range_store_split(node_ranges(w->n), RANGE_ID_FIRST, key(w, "m"), NULL, &id));
    put(w, key(w, "a"), "old");
    put(w, key(w, "z"), "old");
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &other));
    CHECK_OK(storage_get(other, key(w, "z"), STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &w->a, NULL,
                         &found, &v));
    struct committing c = {.done = false};
    opts.autocommit = true;
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &c.t));
    CHECK_OK(storage_put(c.t, key(w, "a"), SLICE_LIT("new"), STORAGE_W_BLIND, NULL));
    CHECK_OK(storage_put(c.t, key(w, "z"), SLICE_LIT("new"), STORAGE_W_BLIND, NULL));
    CHECK_OK(fiber_spawn(loop_current(), committing_fiber, &c));
    while (intents(w) == 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    CHECK_OK(fiber_sleep(20 * NS_PER_MS));
    CHECK(!c.done);
    uint64_t began = clock_mono_ns();
    fiber_cancel(c.fiber);
    while (!c.done) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    CHECK(clock_mono_ns() - began < 5 * NS_PER_S); /* not as long as locks are waited for */
    CHECK(c.err == ERR_CANCELED);
    CHECK(intents(w) == 0 && reads(w, key(w, "a"), "old"));
    storage_txn_rollback(other);
    put(w, key(w, "z"), "newer");
}

/* ---- locks of many keys that are to be inserted ---- */

enum { MANY_KEYS = 600 };

static struct storage_txn *begin_many(struct world *w)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
    struct storage_txn *t;
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
    return t;
}

/* A request for each range; the puts ask for what was refused, and no more. */
static void together(struct world *w)
{
    static struct slice keys[MANY_KEYS];
    range_id_t id;
    CHECK_OK(range_store_split(node_ranges(w->n), RANGE_ID_FIRST, key(w, "m"), NULL, &id));
    for (unsigned i = 0; i < MANY_KEYS; i++) { /* in no order, in both ranges */
        char *name = arena_printf(&w->a, "%c%03u", i % 2 == 0 ? 'a' : 'z', i * 7 % MANY_KEYS);
        CHECK(name != NULL);
        keys[i] = key(w, name);
    }
    put(w, keys[9], "there");
    struct storage_txn *other = begin_many(w);
    CHECK_OK(storage_lock(other, &keys[7], 1, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, NULL));
    struct storage_txn *t = begin_many(w);
    int64_t before = metrics_get(METRIC_kv_lock_requests);
    CHECK_OK(storage_lock_new(t, keys, MANY_KEYS, NULL)); /* does not wait */
    int64_t asked = metrics_get(METRIC_kv_lock_requests) - before;
    CHECK(asked >= 2 && asked <= 4);
    storage_txn_rollback(other);
    before = metrics_get(METRIC_kv_lock_requests);
    for (unsigned i = 0; i < MANY_KEYS; i++) {
        db_err err = storage_put(t, keys[i], slice_str("new"), STORAGE_W_INSERT, NULL);
        CHECK(err == (i == 9 ? ERR_KEY_EXISTS : ERR_OK));
    }
    CHECK(metrics_get(METRIC_kv_lock_requests) - before == 1); /* of keys[7] */
    /* They are locks like others. */
    other = begin_many(w);
    CHECK(storage_lock(other, &keys[11], 1, STORAGE_READ_SHARED, STORAGE_NOWAIT, NULL) ==
          ERR_LOCK_NOWAIT);
    storage_txn_rollback(other);
    CHECK_OK(storage_txn_commit(t, NULL, NULL));
    CHECK(reads(w, keys[7], "new") && reads(w, keys[9], "there") && reads(w, keys[11], "new"));
}

static void lock_row(struct world *w, struct storage_txn *t, const char *name)
{
    bool found;
    struct slice v;
    CHECK_OK(storage_get(t, key(w, name), STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &w->a, NULL, &found,
                         &v));
}

/* A transaction that locks rows of many ranges by turns remembers each range once. */
static void many_ranges(struct world *w)
{
    enum { RANGES = 12, ROUNDS = 5 };
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
    struct storage_txn *t;
    char name[16];
    range_id_t last = RANGE_ID_FIRST;
    for (int i = 1; i < RANGES; i++) {
        db_err err;
        snprintf(name, sizeof(name), "r%02d", i);
        while ((err = range_store_split(node_ranges(w->n), last, key(w, name), NULL, &last)) !=
               ERR_OK) { /* its lease begins soon */
            CHECK(err == ERR_NOT_LEADER || err == ERR_BUSY || err == ERR_UNAVAILABLE);
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
    }
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &t));
    for (int i = 0; i < RANGES * ROUNDS; i++) {
        snprintf(name, sizeof(name), "r%02d.%d", i % RANGES, i / RANGES);
        lock_row(w, t, name);
    }
    CHECK(ctxn_of(t)->span_count == RANGES);
    storage_txn_rollback(t);
}

static void reading_fiber(void *arg)
{
    struct world *w = arg;
    (void)reads(w, key(w, "a"), "new");
    w->has_read = true;
}

/* A commit of few keys that has written one and waits for a lock on the other lives: who meets the
 * first one's intent and finds no end of that does not take it for abandoned. */
static void waits_and_lives(struct world *w)
{
    enum { HELD_MS = 4500 }; /* longer than an intent lives without more */
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
    struct storage_txn *holder;
    struct committing c = {0};
    range_id_t id;
    CHECK_OK(range_store_split(node_ranges(w->n), RANGE_ID_FIRST, key(w, "m"), NULL, &id));
    put(w, key(w, "a"), "old");
    put(w, key(w, "z"), "old");
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &holder));
    lock_row(w, holder, "z");
    CHECK_OK(storage_txn_begin(w->s, &opts, NULL, &c.t));
    CHECK_OK(storage_put(c.t, key(w, "a"), SLICE_LIT("new"), STORAGE_W_BLIND, NULL));
    CHECK_OK(storage_put(c.t, key(w, "z"), SLICE_LIT("new"), STORAGE_W_BLIND, NULL));
    CHECK_OK(fiber_spawn(loop_current(), committing_fiber, &c));
    CHECK_OK(fiber_sleep(100 * NS_PER_MS));
    CHECK(intents(w) == 1);
    CHECK_OK(fiber_spawn(loop_current(), reading_fiber, w));
    CHECK_OK(fiber_sleep(HELD_MS * NS_PER_MS));
    CHECK(!c.done);
    storage_txn_rollback(holder);
    while (!c.done || !w->has_read) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    CHECK(c.err == ERR_OK);
    CHECK(reads(w, key(w, "a"), "new") && reads(w, key(w, "z"), "new"));
}

static void run_body(void *arg)
{
    struct world *w = arg;
    w->body(w);
}

static void in_world(void (*fn)(struct world *w))
{
    char dir[64] = "./txn_test.XXXXXX";
    char cmd[128];
    struct world w = {.body = fn, .ttl_ms = TTL_MS};
    struct loop_group_opts lo = {.count = 2};
    struct diag diag;
    diag_reset(&diag);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(loop_group_start(&lo, &w.loops), ERR_OK);
    struct node_opts opts = {.data_dir = dir, .loops = w.loops, .memory_size = 32 << 20};
    assert_int_equal(node_start(&opts, &diag, &w.n), ERR_OK);
    w.s = node_storage(w.n);
    arena_init(&w.a, NULL, NULL, 0);
    assert_int_equal(loop_run_main(run_body, &w), ERR_OK);
    arena_fini(&w.a);
    node_stop(w.n);
    loop_group_stop(w.loops);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    assert_int_equal(system(cmd), 0);
}

static void test_abandoned(void **state)
{
    (void)state;
    in_world(body);
}

static void test_swept(void **state)
{
    (void)state;
    in_world(swept);
}

static void test_lost_behind_spill(void **state)
{
    (void)state;
    in_world(lost_behind_spill);
}

static void test_lost_by_reader(void **state)
{
    (void)state;
    in_world(lost_by_reader);
}

static void test_lost_mutex(void **state)
{
    (void)state;
    in_world(lost_mutex);
}

static void test_canceled(void **state)
{
    (void)state;
    in_world(canceled);
}

static void test_canceled_wait(void **state)
{
    (void)state;
    in_world(canceled_wait);
}

static void test_together(void **state)
{
    (void)state;
    in_world(together);
}

static void test_many_ranges(void **state)
{
    (void)state;
    in_world(many_ranges);
}

static void test_waits_and_lives(void **state)
{
    (void)state;
    in_world(waits_and_lives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_abandoned),         cmocka_unit_test(test_swept),
        cmocka_unit_test(test_lost_behind_spill), cmocka_unit_test(test_lost_by_reader),
        cmocka_unit_test(test_lost_mutex),        cmocka_unit_test(test_canceled),
        cmocka_unit_test(test_canceled_wait),     cmocka_unit_test(test_together),
        cmocka_unit_test(test_many_ranges),       cmocka_unit_test(test_waits_and_lives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
