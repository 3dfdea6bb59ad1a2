/* Every method's request and reply goes through the bytes and comes back the same; malformed bytes
 * are refused. */
#include "proto/kv_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rand.h"

#define KEY(s) SLICE_LIT(s)

static struct slice keys[] = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"bb", 2}, {NULL, 0}};

static void assert_slice(struct slice a, struct slice b)
{
    assert_true(slice_eq(a, b));
}

static union kv_any_req through(enum kv_method method, const union kv_any_req *q, struct kv_wire *w,
                                struct arena *a)
{
    union kv_any_req out;
    buf_reset(&w->header);
    buf_reset(&w->payload);
    assert_int_equal(kv_request_encode(method, q, w), ERR_OK);
    assert_int_equal(
        kv_request_decode(method, buf_slice(&w->header), buf_slice(&w->payload), a, &out), ERR_OK);
    assert_int_equal(out.r.range, q->r.range);
    assert_int_equal(out.r.epoch.version, q->r.epoch.version);
    assert_int_equal(out.r.epoch.conf, q->r.epoch.conf);
    assert_int_equal(out.r.owner, q->r.owner);
    assert_ptr_equal(out.r.arena, a);
    return out;
}

static struct kv_request head(void)
{
    return (struct kv_request){7, {3, 4}, DEADLINE_NONE, NULL, lock_owner_make(3, 8), 0};
}

static void requests_come_back(void **state)
{
    struct kv_wire w;
    struct arena a;
    (void)state;
    kv_wire_init(&w);
    arena_init(&a, NULL, NULL, 0);

    union kv_any_req q = {.get = {head(), KEY("key"), TS_MAX, 9}};
    union kv_any_req o = through(KV_METHOD_GET, &q, &w, &a);
    assert_slice(o.get.key, KEY("key"));
    assert_true(o.get.read_ts == TS_MAX && o.get.own_ts == 9);

    q = (union kv_any_req){.scan = {.r = head(),
                                    .start = KEY("s"),
                                    .end = KEY("t"),
                                    .reverse = true,
                                    .keys_only = true,
                                    .rows_max = 5,
                                    .bytes_max = 6,
                                    .read_ts = 7,
                                    .own_ts = 8,
                                    .lock = KV_LOCK_SHARED,
                                    .wait = KV_SKIP_LOCKED,
                                    .lock_wait_ms = 10}};
    o = through(KV_METHOD_SCAN, &q, &w, &a);
    assert_slice(o.scan.start, KEY("s"));
    assert_slice(o.scan.end, KEY("t"));
    assert_true(o.scan.reverse && o.scan.keys_only && o.scan.rows_max == 5);
    assert_true(o.scan.bytes_max == 6 && o.scan.read_ts == 7 && o.scan.own_ts == 8);
    assert_true(o.scan.lock == KV_LOCK_SHARED && o.scan.wait == KV_SKIP_LOCKED);
    assert_int_equal(o.scan.lock_wait_ms, 10);

    q.scan.gaps = true;
    assert_true(!o.scan.gaps && through(KV_METHOD_SCAN, &q, &w, &a).scan.gaps);
    const struct slice under[] = {KEY("s1"), KEY("s2")};
    q.scan.under = under;
    q.scan.under_count = 2;
    o = through(KV_METHOD_SCAN, &q, &w, &a);
    assert_true(o.scan.under_count == 2);
    assert_slice(o.scan.under[1], KEY("s2"));

    q = (union kv_any_req){
        .lock = {head(), keys, 3, 5, KV_LOCK_EXCLUSIVE, KV_ABSENT_SPAN, true, KV_NOWAIT, 11, true}};
    o = through(KV_METHOD_LOCK, &q, &w, &a);
    assert_true(o.lock.absent == KV_ABSENT_SPAN && o.lock.unread);
    q.lock.mode = KV_LOCK_INSERT;
    q.lock.absent = KV_ABSENT_FREE;
    q.lock.unread = false;
    struct kv_lock_req other = through(KV_METHOD_LOCK, &q, &w, &a).lock;
    assert_true(other.mode == KV_LOCK_INSERT && other.absent == KV_ABSENT_FREE && !other.unread);
    assert_true(o.lock.count == 3 && o.lock.mode == KV_LOCK_EXCLUSIVE && o.lock.want_values);
    assert_slice(o.lock.keys[1], keys[1]);

    struct kv_mutation mutations[] = {
        {KV_PUT, KV_CHECK_NOT_EXISTS, true, KEY("k1"), KEY("v1"), 0},
        {KV_DELETE, KV_CHECK_LOCKED, false, KEY("k2"), SLICE_EMPTY, 77},
    };
    q = (union kv_any_req){.prewrite = {head(), mutations, 2, KEY("k1"), 100, 12, 3000, true, true,
                                        keys, 2, 750, 13, 14, 15}};
    o = through(KV_METHOD_PREWRITE, &q, &w, &a);
    assert_true(o.prewrite.count == 2 && o.prewrite.secondary_count == 2);
    assert_int_equal(o.prewrite.lock_wait_ms, 750);
    assert_int_equal(o.prewrite.shared_term, 13);
    assert_int_equal(o.prewrite.fences, 14);
    assert_int_equal(o.prewrite.retried_above, 15);
    assert_true(o.prewrite.try_1pc && o.prewrite.async_commit && o.prewrite.lock_term == 12);
    assert_true(o.prewrite.mutations[1].op == KV_DELETE);
    assert_true(o.prewrite.mutations[1].check == KV_CHECK_LOCKED);
    assert_true(o.prewrite.mutations[0].inserts && !o.prewrite.mutations[1].inserts);
    assert_true(o.prewrite.mutations[1].version_ts == 77);
    assert_slice(o.prewrite.mutations[0].value, KEY("v1"));
    assert_slice(o.prewrite.secondaries[0], keys[0]);

    q = (union kv_any_req){.txn_keys = {head(), keys, 2, 5, 6}};
    o = through(KV_METHOD_COMMIT, &q, &w, &a);
    assert_true(o.txn_keys.start_ts == 5 && o.txn_keys.commit_ts == 6 && o.txn_keys.count == 2);

    q = (union kv_any_req){.check_txn = {head(), KEY("p"), 5, 6, true, 7, 8}};
    o = through(KV_METHOD_CHECK_TXN, &q, &w, &a);
    assert_true(o.check_txn.caller_ts == 6 && o.check_txn.rollback_missing);
    assert_true(o.check_txn.retried_above == 7 && o.check_txn.fences == 8);

    for (unsigned no_wait = 0; no_wait < 2; no_wait++) {
        q = (union kv_any_req){.closed = {head(), 77, no_wait != 0}};
        o = through(KV_METHOD_CLOSED, &q, &w, &a);
        assert_true(o.closed.ts == 77 && o.closed.r.applied_min == 0);
        assert_true(o.closed.no_wait == (no_wait != 0));
    }

    q = (union kv_any_req){.resolve = {head(), 5, 0, NULL, 0}};
    o = through(KV_METHOD_RESOLVE, &q, &w, &a);
    assert_true(o.resolve.start_ts == 5 && o.resolve.count == 0);
    kv_wire_fini(&w);
    arena_fini(&a);
}

static void replies_come_back(void **state)
{
    struct kv_wire w;
    struct arena a;
    struct diag diag;
    struct kv_reply reply = {.leader = 3};
    (void)state;
    kv_wire_init(&w);
    arena_init(&a, NULL, NULL, 0);
    diag_reset(&diag);

    struct kv_pair pairs[] = {{KEY("a"), KEY("1")}, {KEY("b"), SLICE_EMPTY}};
    ts_t versions[] = {5, 6};
    union kv_any_resp resp = {.scan = {pairs, versions, 2, true, KEY("c"), 9}};
    struct kv_reply none = {0};
    assert_int_equal(kv_reply_encode(KV_METHOD_SCAN, ERR_OK, NULL, &none, &resp, 0, &w), ERR_OK);
    union kv_any_resp out;
    struct kv_reply got = {0};
    assert_int_equal(kv_reply_decode(KV_METHOD_SCAN, buf_slice(&w.header), buf_slice(&w.payload), 0,
                                     &a, &diag, &got, &out),
                     ERR_OK);
    assert_true(out.scan.count == 2 && out.scan.more && out.scan.lock_term == 9);
    assert_slice(out.scan.pairs[0].value, KEY("1"));
    assert_slice(out.scan.resume, KEY("c"));
    assert_true(out.scan.versions[1] == 6);

    struct range_desc d = {.id = 4,
                           .start = KEY("a"),
                           .end = KEY("z"),
                           .epoch = {2, 3},
                           .replica_count = 1,
                           .replicas = {{1, 2, REPLICA_LEARNER}}};
    reply.descs = &d;
    reply.desc_count = 1;
    reply.conflict_key = KEY("dup");
    reply.lock = (struct kv_lock_info){KEY("lk"), KEY("pr"), 8, 0, 100, true};
    buf_reset(&w.header);
    buf_reset(&w.payload);
    diag_set(&diag, ERR_STALE_EPOCH, "it was split");
    assert_int_equal(kv_reply_encode(KV_METHOD_GET, ERR_STALE_EPOCH, &diag, &reply, &resp, 0, &w),
                     ERR_OK);
    diag_reset(&diag);
    assert_int_equal(kv_reply_decode(KV_METHOD_GET, buf_slice(&w.header), buf_slice(&w.payload), 0,
                                     &a, &diag, &got, &out),
                     ERR_STALE_EPOCH);
    assert_string_equal(diag.text, "it was split");
    assert_true(got.leader == 3 && got.desc_count == 1 && got.descs[0].epoch.conf == 3);
    assert_true(got.descs[0].replicas[0].kind == REPLICA_LEARNER);
    assert_slice(got.lock.primary, KEY("pr"));
    assert_slice(got.conflict_key, KEY("dup"));
    kv_wire_fini(&w);
    arena_fini(&a);
}

static unsigned g_allocations;

static void *count_alloc(void *ctx, size_t size)
{
    (void)ctx;
    g_allocations++;
    return malloc(size);
}

static void *count_realloc(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    g_allocations++;
    return realloc(ptr, size);
}

static void count_free(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

/* A read of one key is asked and answered without memory of the heap. */
static void a_row_fits(void **state)
{
    static const struct mem_allocator counting = {"counting", count_alloc, count_realloc,
                                                  count_free, NULL};
    static uint8_t row[300];
    struct kv_wire w;
    struct kv_reply none = {0};
    union kv_any_req q = {.get = {head(), KEY("some bytes of a key"), TS_MAX, UINT64_MAX}};
    union kv_any_resp resp = {.value = {.found = true, .value = {row, sizeof(row)}}};
    (void)state;
    mem_set_allocator(&counting);
    kv_wire_init(&w);
    db_err asked = kv_request_encode(KV_METHOD_GET, &q, &w);
    kv_wire_fini(&w);
    kv_wire_init(&w);
    db_err told = kv_reply_encode(KV_METHOD_GET, ERR_OK, NULL, &none, &resp, 0, &w);
    kv_wire_fini(&w);
    mem_set_allocator(NULL);
    assert_int_equal(asked, ERR_OK);
    assert_int_equal(told, ERR_OK);
    assert_int_equal(g_allocations, 0);
}

static void meta_comes_back(void **state)
{
    struct buf b;
    struct arena a;
    struct range_desc d = {.id = 4, .epoch = {2, 3}};
    struct meta_call call = {.count = 3,
                             .name = KEY("seq"),
                             .end = KEY("e"),
                             .reads = {.floor = 5},
                             .descs = &d,
                             .desc_count = 1};
    struct meta_call got;
    (void)state;
    buf_init(&b, 1 << 20);
    arena_init(&a, NULL, NULL, 0);
    assert_int_equal(meta_call_encode(&call, &b), ERR_OK);
    assert_int_equal(meta_call_decode(buf_slice(&b), &a, &got), ERR_OK);
    assert_true(got.count == 3 && got.reads.floor == 5 && got.desc_count == 1 &&
                got.descs[0].id == 4);
    assert_slice(got.name, KEY("seq"));
    struct meta_answer answer = {.first = 9, .leader = 2};
    struct meta_answer back;
    buf_reset(&b);
    assert_int_equal(meta_answer_encode(ERR_NOT_LEADER, NULL, &answer, &b), ERR_OK);
    assert_int_equal(meta_answer_decode(buf_slice(&b), &a, NULL, &back), ERR_NOT_LEADER);
    assert_true(back.first == 9 && back.leader == 2);
    buf_fini(&b);
    arena_fini(&a);
}

/* Changed bytes may still mean something; they must never be read past their end. */
static void damage_is_refused_or_read_safely(void **state)
{
    struct kv_wire w;
    struct kv_mutation u = {KV_PUT, KV_CHECK_NONE, false, KEY("key"), KEY("value"), 1};
    union kv_any_req q = {
        .prewrite = {head(), &u, 1, KEY("key"), 100, 0, 0, true, false, keys, 2, 0, 0, 0, 0}};
    struct rand rnd;
    unsigned refused = 0;
    (void)state;
    rand_seed(&rnd, 42);
    kv_wire_init(&w);
    assert_int_equal(kv_request_encode(KV_METHOD_PREWRITE, &q, &w), ERR_OK);
    for (int i = 0; i < 20000; i++) {
        struct arena a;
        union kv_any_req o;
        uint8_t bytes[256];
        size_t n = w.payload.len;
        assert_true(n < sizeof(bytes));
        memcpy(bytes, w.payload.ptr, n);
        for (uint64_t k = rand_u64(&rnd) % 4; k > 0; k--) {
            bytes[rand_u64(&rnd) % n] = (uint8_t)rand_u64(&rnd);
        }
        n -= rand_u64(&rnd) % 3;
        arena_init(&a, NULL, NULL, 1 << 20);
        enum kv_method m = (enum kv_method)(1 + rand_u64(&rnd) % KV_METHOD__END);
        refused += kv_request_decode(m, buf_slice(&w.header), slice_of(bytes, n), &a, &o) != ERR_OK;
        arena_fini(&a);
    }
    assert_true(refused > 1000);
    kv_wire_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_back),
        cmocka_unit_test(replies_come_back),
        cmocka_unit_test(a_row_fits),
        cmocka_unit_test(meta_comes_back),
        cmocka_unit_test(damage_is_refused_or_read_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
