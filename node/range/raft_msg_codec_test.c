#include "base/test_main.h"

#include "base/rand.h"
#include "node/range/transport.h"

/* Messages survive the way to bytes and back; no bytes crash the way in. */

static struct blob *random_blob(struct rand *r, size_t size)
{
    struct blob *b = blob_new(size);
    assert_non_null(b);
    for (size_t i = 0; i < size; i++) {
        b->data[i] = (uint8_t)rand_u64(r);
    }
    return b;
}

static uint64_t some(struct rand *r)
{
    return rand_below(r, 3) == 0 ? 0 : rand_u64(r) >> rand_below(r, 63);
}

static void random_msg(struct rand *r, struct raft_msg *m, struct raft_snapshot_meta *snap)
{
    *m = (struct raft_msg){.type = (uint8_t)(1 + rand_below(r, RAFT_MSG__END - 1)),
                           .flags = (uint8_t)rand_below(r, 8),
                           .from = some(r),
                           .to = some(r),
                           .term = some(r),
                           .index = some(r) >> 2,
                           .log_term = some(r) >> 8,
                           .commit = some(r),
                           .hint = some(r),
                           .sent_ns = some(r),
                           .context = some(r),
                           .epoch = some(r)};
    if (rand_below(r, 4) == 0) {
        *snap =
            (struct raft_snapshot_meta){.index = some(r), .term = some(r), .conf = {.count = 3}};
        for (unsigned i = 0; i < 3; i++) {
            snap->conf.members[i] =
                (struct raft_member){.id = i * 256 + 1, .roles = RAFT_ROLE_VOTER};
        }
        m->snapshot = snap;
    }
}

static void same(const struct raft_msg *a, const struct raft_msg *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->flags, b->flags);
    assert_true(a->from == b->from && a->to == b->to && a->term == b->term);
    assert_true(a->index == b->index && a->log_term == b->log_term && a->commit == b->commit);
    assert_true(a->hint == b->hint && a->sent_ns == b->sent_ns && a->context == b->context);
    assert_true(a->epoch == b->epoch);
    assert_int_equal(a->entry_count, b->entry_count);
    for (size_t i = 0; i < a->entry_count; i++) {
        assert_true(a->entries[i].index == b->entries[i].index);
        assert_true(a->entries[i].term == b->entries[i].term);
        assert_int_equal(a->entries[i].type, b->entries[i].type);
        assert_true(slice_eq(a->entries[i].data, b->entries[i].data));
    }
    assert_int_equal(a->snapshot == NULL, b->snapshot == NULL);
    if (a->snapshot != NULL) {
        assert_true(a->snapshot->index == b->snapshot->index);
        assert_true(a->snapshot->term == b->snapshot->term);
        assert_memory_equal(&a->snapshot->conf, &b->snapshot->conf, sizeof(a->snapshot->conf));
    }
}

enum { ENTRIES = 20, ENTRY_BYTES = 300 };

static void test_round_trip(void **state)
{
    struct rand r;
    (void)state;
    rand_seed(&r, 1);
    for (int round = 0; round < 2000; round++) {
        struct raft_entry entries[ENTRIES];
        struct raft_snapshot_meta snap;
        struct raft_msg m;
        struct raft_msg back;
        range_id_t range;
        struct arena a;
        struct buf b;
        struct blob *blob = random_blob(&r, ENTRIES * ENTRY_BYTES);
        random_msg(&r, &m, &snap);
        size_t used = 0;
        if (m.type == RAFT_MSG_APPEND) {
            m.entry_count = rand_below(&r, ENTRIES);
            m.entries = entries;
            for (size_t i = 0; i < m.entry_count; i++) {
                size_t len = rand_below(&r, ENTRY_BYTES);
                entries[i] = (struct raft_entry){.index = m.index + 1 + i,
                                                 .term = m.log_term + i / 3,
                                                 .data = slice_of(blob->data + used, len),
                                                 .blob = blob,
                                                 .type = (uint8_t)rand_below(&r, 3)};
                used += len;
            }
        }
        arena_init(&a, NULL, NULL, 0);
        buf_init(&b, 1 << 20);
        assert_int_equal(raft_msg_encode(&b, 77, &m), ERR_OK);
        assert_int_equal(raft_msg_payload_size(&m), used);
        assert_int_equal(
            raft_msg_decode(buf_slice(&b), blob, slice_of(blob->data, used), &a, &range, &back),
            ERR_OK);
        assert_int_equal(range, 77);
        same(&m, &back);
        if (used != 0) { /* not copied */
            assert_ptr_equal(back.entries[back.entry_count - 1].blob == NULL ? blob->data
                             : back.entries[0].data.len != 0 ? back.entries[0].data.ptr
                                                             : blob->data,
                             blob->data);
        }
        /* cut anywhere, it is no message */
        for (size_t cut = 0; cut < b.len; cut++) {
            assert_int_equal(raft_msg_decode(slice_of(b.ptr, cut), blob, slice_of(blob->data, used),
                                             &a, &range, &back),
                             ERR_CORRUPT);
            arena_reset(&a);
        }
        buf_fini(&b);
        arena_fini(&a);
        blob_unref(blob);
    }
}

static void test_random_bytes(void **state)
{
    struct rand r;
    struct arena a;
    (void)state;
    rand_seed(&r, 2);
    arena_init(&a, NULL, NULL, 0);
    struct blob *blob = random_blob(&r, 4096);
    unsigned good = 0;
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[128];
        struct raft_msg m;
        range_id_t range;
        size_t len = rand_below(&r, sizeof(bytes));
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)(rand_below(&r, 2) == 0 ? rand_below(&r, 4) : rand_u64(&r));
        }
        if (len != 0) {
            bytes[0] = 1;
        }
        db_err err = raft_msg_decode(slice_of(bytes, len), blob,
                                     slice_of(blob->data, rand_below(&r, 2) * rand_below(&r, 40)),
                                     &a, &range, &m);
        assert_true(err == ERR_OK || err == ERR_CORRUPT);
        good += err == ERR_OK;
        arena_reset(&a);
    }
    assert_true(good > 0);
    blob_unref(blob);
    arena_fini(&a);
}

static void test_link(void **state)
{
    uint8_t bytes[LINK_MSG_SIZE];
    struct link_msg m = {
        .kind = LINK_ACK, .lane = 3, .incarnation = 7, .sent_ns = 1ull << 60, .epoch = UINT64_MAX};
    struct link_msg back;
    (void)state;
    link_msg_encode(&m, bytes);
    assert_int_equal(link_msg_decode(slice_of(bytes, sizeof(bytes)), &back), ERR_OK);
    assert_int_equal(back.kind, m.kind);
    assert_int_equal(back.lane, m.lane);
    assert_true(back.incarnation == 7 && back.sent_ns == m.sent_ns && back.epoch == m.epoch);
    assert_int_equal(link_msg_decode(slice_of(bytes, sizeof(bytes) - 1), &back), ERR_CORRUPT);
    bytes[2] = RAFT_LANES;
    assert_int_equal(link_msg_decode(slice_of(bytes, sizeof(bytes)), &back), ERR_CORRUPT);
    bytes[2] = 0;
    bytes[1] = 9;
    assert_int_equal(link_msg_decode(slice_of(bytes, sizeof(bytes)), &back), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
