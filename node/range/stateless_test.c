#include "base/test_apart.h"
#include "node/range/merge_testing.h"
#include "node/range/range_int.h"
#include "node/range/transfer_testing.h"
#include "node/range/snapshot.h"

/* Members without a state: what they held before still counts, and they get a state again, also
 * when nobody else has one to lead with. */

/* A member that had the right half, up to date, and forgot it: its engine had not made the split
 * durable when it died, and the left half came back by a snapshot of a later time. Nobody writes to
 * the right half meanwhile. It is brought back soon, and all that it held counts still. */
static void half_forgotten(struct tcluster *c)
{
    range_id_t id;
    struct diag diag;
    struct range_status st;
    diag_reset(&diag);
    c->log_keep_ms = 300;
    three_members(c);
    for (unsigned i = 0; i < 100; i++) {
        put_ok(c, i, i);
    }
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    id = split_at(c, 95000);
    CHECK(t_wait_leader(c, id, 60 * NS_PER_S) == 1);
    put_ok(c, 95001, 1);
    char kb[32];
    t_wait_same(c, three, 3, key_of(kb, 95000), SLICE_EMPTY);
    CHECK(range_store_status(c->nodes[3].rs, id, &st) == ERR_OK);
    t_stop(c, 3, true);
    put_large(c, 400);
    CHECK_OK(fiber_sleep(2 * NS_PER_S));
    range_store_upkeep(c->nodes[1].rs, true);
    range_store_upkeep(c->nodes[2].rs, true);
    /* there and back: the leader does not know any more how far the other's log went */
    t_transfer(c, 2, 1, 2, LEASE_WITH_LOCKS);
    t_transfer(c, 2, 2, 1, LEASE_WITH_LOCKS);
    CHECK(t_wait_leader(c, id, 60 * NS_PER_S) == 1);
    uint64_t began = clock_mono_ns();
    t_start(c, 3);
    CHECK(range_store_status(c->nodes[3].rs, id, &st) == ERR_RANGE_NOT_FOUND);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    st.leader_node = 0;
    for (int i = 0; i < 6000 && st.leader_node != 1; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
        (void)(range_store_status(c->nodes[3].rs, id, &st) == ERR_OK);
    }
    printf("  it is back after %llu ms\n",
           (unsigned long long)((clock_mono_ns() - began) / NS_PER_MS));
    CHECK(st.leader_node == 1);
    t_isolate(c, 2, true); /* it counts */
    put_ok(c, 95001, 2);
    t_isolate(c, 2, false);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop(c, 3, true);
    t_start(c, 3);
    put_ok(c, 95001, 3);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_half_forgotten(void **state)
{
    (void)state;
    t_run(3, half_forgotten);
}

/* ---- a right half of which there is a record ---- */

struct record_job {
    struct engine *engine;
    struct store_gone gone;
};

static void record_job(void *arg)
{
    struct record_job *j = arg;
    struct engine_wbatch *wb;
    CHECK_OK(engine_wbatch_new(j->engine, &wb));
    CHECK_OK(store_put_gone(wb, &j->gone));
    CHECK_OK(engine_apply(j->engine, wb, NULL));
    CHECK_OK(engine_flush_wait(j->engine));
    engine_wbatch_free(wb);
}

/* Node 3 misses a split, and has a record that replicas of the right half below one are not to
 * come. Then it hears of the split: the half comes if it is that one, with all its data, and not if
 * it is an older one. */
static void recorded_half(struct tcluster *c, uint64_t above)
{
    struct range_status st;
    struct range_status ahead;
    struct range_store_stats stats;
    struct diag diag;
    range_id_t id;
    char kb[32];
    struct slice at = key_of(kb, 95000);
    diag_reset(&diag);
    three_members(c);
    put_ok(c, 95001, 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    CHECK_OK(range_store_status(c->nodes[3].rs, 2, &st));
    uint64_t count = t_checksum(c, 3, at, SLICE_EMPTY).count;
    t_isolate(c, 3, true);
    atomic_store(&c->mute, atomic_load(&c->next_range));
    CHECK_OK(range_store_split(c->nodes[1].rs, 2, at, &diag, &id));
    CHECK_OK(range_store_status(c->nodes[1].rs, 2, &ahead));
    struct record_job j = {.engine = c->nodes[3].engine,
                           .gone = {.id = id, .min_replica_id = st.replica_id + above}};
    blocking_run(record_job, &j);
    t_stop(c, 3, true);
    t_start(c, 3);
    t_isolate(c, 3, false);
    for (int i = 0; i < 6000 && st.applied < ahead.applied; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
        CHECK_OK(range_store_status(c->nodes[3].rs, 2, &st));
    }
    CHECK(st.applied >= ahead.applied);
    db_err here = range_store_status(c->nodes[3].rs, id, &st);
    CHECK(here == (above == 0 ? ERR_OK : ERR_RANGE_NOT_FOUND));
    CHECK(t_checksum(c, 3, at, SLICE_EMPTY).count == (above == 0 ? count : 0));
    atomic_store(&c->mute, 0);
    put_ok(c, 95001, 2);
    if (above == 0) {
        t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
        range_store_get_stats(c->nodes[3].rs, &stats);
        CHECK(stats.snapshots_received == 0);
    }
    t_stop_all(c);
}

static void record_of_it(struct tcluster *c)
{
    recorded_half(c, 0);
}

static void record_of_later(struct tcluster *c)
{
    recorded_half(c, 1);
}

static void test_recorded_half(void **state)
{
    (void)state;
    t_run(3, record_of_it);
    t_run(3, record_of_later);
}

/* ---- snapshots for a replica that has nothing but its log ---- */

static void log_written(void *arg, db_err err)
{
    wait_signal(arg, (int)err);
}

/* Entries 11 .. 15 of term 7, after 10 of term 6. */
static void leave_log(struct tnode *n, range_id_t range)
{
    struct raft_log_entry e[5];
    struct raft_log_batch *b;
    struct waiter w;
    for (unsigned i = 0; i < 5; i++) {
        e[i] = (struct raft_log_entry){.index = 11 + i, .term = 7, .type = RAFT_ENTRY_NOOP};
    }
    CHECK_OK(raft_log_batch_new(n->log, 0, &b));
    CHECK_OK(raft_log_batch_reset(b, range, 10, 6));
    CHECK_OK(raft_log_batch_append(b, range, e, 5));
    CHECK_OK(raft_log_batch_hard_state(
        b, range, (struct raft_log_hard_state){.term = 8, .vote = 77, .commit = 14}));
    wait_init(&w);
    raft_log_submit(n->log, b, log_written, &w);
    wait_block_uncancelable(&w);
    CHECK(w.result == ERR_OK);
}

struct one_chunk {
    struct snapshot_reader reader; /* first */
    struct buf chunk;
    bool read;
    struct tnode *n;
    range_id_t meanwhile; /* the snapshot of another range that comes in; 0: none does */
    db_err verdict;       /* on that */
};

static db_err give_snapshot(struct tnode *n, range_id_t range, uint64_t index, uint64_t term);

static db_err next_chunk(struct snapshot_reader *r, struct slice *ret_chunk)
{
    struct one_chunk *o = (struct one_chunk *)r;
    if (o->meanwhile != 0 && !o->read) {
        o->verdict = give_snapshot(o->n, o->meanwhile, 20, 8);
    }
    *ret_chunk = o->read ? SLICE_EMPTY : buf_slice(&o->chunk);
    o->read = true;
    return ERR_OK;
}

static const struct snapshot_reader_ops one_chunk_ops = {.name = "one", .next = next_chunk};

/* Nothing between two keys: of the range alone, or up to where the last one ends. */
static db_err send_up_to(struct tnode *n, struct snapshot_head h, range_id_t last,
                         range_id_t meanwhile, db_err *ret_verdict)
{
    char start[32];
    char end[32];
    struct diag diag;
    struct one_chunk o = {.reader.ops = &one_chunk_ops, .n = n, .meanwhile = meanwhile};
    struct buf head;
    range_id_t range = h.range;
    snprintf(start, sizeof(start), "\x02s%llu", (unsigned long long)range);
    snprintf(end, sizeof(end), "\x02s%llu-", (unsigned long long)last);
    h.from = h.to - 1;
    h.desc = (struct range_desc){.id = range,
                                 .epoch = {1, 1},
                                 .start = slice_str(start),
                                 .end = slice_str(end),
                                 .replica_count = 3};
    for (unsigned i = 0; i < 3; i++) {
        h.desc.replicas[i] =
            (struct replica_desc){(n->id + i - 1) % 3 + 1, h.to + i, REPLICA_VOTER};
    }
    CHECK_OK(members_conf_of(&h.desc, &h.meta.conf));
    diag_reset(&diag);
    buf_init(&head, SNAPSHOT_HEADER_MAX);
    buf_init(&o.chunk, 1024);
    CHECK_OK(snapshot_head_encode(&head, &h));
    CHECK_OK(snapshot_end_put(&o.chunk, 0, 0));
    db_err err = range_store_receive_snapshot(n->rs, 1, buf_slice(&head), &o.reader, &diag);
    buf_fini(&head);
    buf_fini(&o.chunk);
    *ret_verdict = o.verdict;
    return err;
}

static db_err send_snapshot(struct tnode *n, struct snapshot_head h)
{
    db_err none;
    return send_up_to(n, h, h.range, 0, &none);
}

static db_err give_snapshot(struct tnode *n, range_id_t range, uint64_t index, uint64_t term)
{
    return send_snapshot(
        n, (struct snapshot_head){
               .range = range, .to = 258, .raft_term = 9, .meta = {.index = index, .term = term}});
}

static db_err lend_snapshot(struct tnode *n, range_id_t range, uint64_t index, uint64_t term)
{
    return send_snapshot(n, (struct snapshot_head){
                                .range = range, .to = 258, .meta = {.index = index, .term = term}});
}

static db_err lend_to(struct tnode *n, range_id_t range, uint64_t replica_id)
{
    return send_snapshot(
        n,
        (struct snapshot_head){.range = range, .to = replica_id, .meta = {.index = 99, .term = 9}});
}

static void log_is(struct tnode *n, range_id_t range, uint64_t first, uint64_t last)
{
    struct raft_log_group g;
    CHECK_OK(raft_log_group_get(n->log, range, &g));
    CHECK(g.first_index == first && g.last_index == last);
    CHECK(g.hard_state.term >= 8 && (g.hard_state.term > 8 || g.hard_state.vote == 77));
}

static void with_a_log(struct tcluster *c)
{
    struct range_status st;
    t_start(c, 1);
    t_start(c, 2);
    struct tnode *n = &c->nodes[2];
    for (range_id_t id = 201; id <= 205; id++) {
        leave_log(n, id);
    }
    for (range_id_t id = 207; id <= 208; id++) {
        leave_log(n, id);
    }
    CHECK(give_snapshot(n, 201, 12, 7) == ERR_OK); /* in the log: what follows stays */
    log_is(n, 201, 13, 15);
    CHECK(give_snapshot(n, 202, 12, 6) == ERR_BUSY); /* contradicts, and could lack something */
    log_is(n, 202, 11, 15);
    CHECK(range_store_status(n->rs, 202, &st) == ERR_RANGE_NOT_FOUND);
    CHECK(give_snapshot(n, 203, 9, 6) == ERR_BUSY); /* from before the log begins */
    log_is(n, 203, 11, 15);
    CHECK(give_snapshot(n, 204, 15, 7) == ERR_OK); /* all of it */
    log_is(n, 204, 16, 15);
    CHECK(give_snapshot(n, 205, 13, 8) == ERR_OK); /* of a later term */
    log_is(n, 205, 14, 13);
    CHECK(give_snapshot(n, 206, 13, 8) == ERR_OK);  /* there was none */
    CHECK(give_snapshot(n, 207, 9, 7) == ERR_BUSY); /* before it begins, in the term it ends in */
    log_is(n, 207, 11, 15);
    CHECK(give_snapshot(n, 208, 16, 7) == ERR_OK); /* in that term, and later */
    log_is(n, 208, 17, 16);
    for (range_id_t id = 201; id <= 208; id++) {
        bool taken = id != 202 && id != 203 && id != 207;
        CHECK((range_store_status(n->rs, id, &st) == ERR_OK) == taken);
    }
    t_stop(c, 2, true);
    t_start(c, 2); /* and they open again */
    log_is(n, 201, 13, 15);
    CHECK(range_store_status(n->rs, 201, &st) == ERR_OK);
    t_stop_all(c);
}

static void test_with_a_log(void **state)
{
    (void)state;
    t_run(2, with_a_log);
}

/* A replica with a state gets one that covers more: until it has it, nobody else takes what that
 * is. */
static void covers_more(struct tcluster *c)
{
    db_err meanwhile = ERR_OK;
    t_start(c, 1);
    t_start(c, 2);
    struct tnode *n = &c->nodes[2];
    CHECK_OK(give_snapshot(n, 206, 13, 8));
    const struct snapshot_head h = {
        .range = 206, .to = 258, .raft_term = 9, .meta = {.index = 30, .term = 9}};
    db_err err;
    while ((err = send_up_to(n, h, 207, 207, &meanwhile)) == ERR_BUSY) { /* its core is opened */
        CHECK(meanwhile == ERR_BUSY);
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    CHECK_OK(err);
    CHECK(meanwhile == ERR_BUSY);
    CHECK(give_snapshot(n, 207, 20, 8) == ERR_BUSY); /* it has it */
    CHECK_OK(give_snapshot(n, 208, 20, 8));
    t_stop_all(c);
}

static void test_covers_more(void **state)
{
    (void)state;
    t_run(2, covers_more);
}

/* ---- a right half that one member alone has ---- */

/* Waits until the log of node 1 begins after what it has applied by now. It keeps some for others
 * for a while. */
static void cut_log(struct tcluster *c)
{
    struct range_status st;
    CHECK_OK(range_store_status(c->nodes[1].rs, 2, &st));
    for (uint64_t applied = st.applied; st.compacted < applied;) {
        CHECK_OK(fiber_sleep(100 * NS_PER_MS));
        range_store_upkeep(c->nodes[1].rs, true);
        CHECK_OK(range_store_status(c->nodes[1].rs, 2, &st));
    }
}

/* The split is applied, but before anybody is elected in the right half all others have lost it:
 * node 3 was away and gets a snapshot of the left half as it is after the split; node 2 wrote the
 * split into its log, died before it heard that it is committed, and comes back as late. */
static void lonely_half(struct tcluster *c)
{
    struct range_status st;
    struct diag diag;
    range_id_t id;
    char kb[32];
    diag_reset(&diag);
    c->log_keep_ms = 300;
    three_members(c);
    put_ok(c, 95001, 1);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_isolate(c, 3, true);
    put_large(c, 400);
    atomic_store(&c->mute, atomic_load(&c->next_range));
    atomic_store(&c->uninformed, 2);
    CHECK_OK(range_store_split(c->nodes[1].rs, 2, key_of(kb, 95000), &diag, &id));
    t_stop(c, 2, true);
    atomic_store(&c->uninformed, 0);
    cut_log(c);
    /* alone it steps down: who leads next does not know how far the log of 2 went */
    CHECK_OK(fiber_sleep(2 * NS_PER_S));
    t_isolate(c, 3, false);
    t_isolate(c, 2, true);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    put_large(c, 400);
    cut_log(c);
    t_start(c, 2);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), key_of(kb, 95000));
    CHECK(range_store_status(c->nodes[1].rs, id, &st) == ERR_OK);
    CHECK(range_store_status(c->nodes[2].rs, id, &st) == ERR_RANGE_NOT_FOUND);
    CHECK(range_store_status(c->nodes[3].rs, id, &st) == ERR_RANGE_NOT_FOUND);
    uint64_t began = clock_mono_ns();
    atomic_store(&c->mute, 0);
    CHECK(t_wait_leader(c, id, 30 * NS_PER_S) != 0);
    printf("  it has a leader after %llu ms\n",
           (unsigned long long)((clock_mono_ns() - began) / NS_PER_MS));
    expect(c, 95001, 1);
    put_ok(c, 95001, 2);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    t_stop_all(c);
}

static void test_lonely_half(void **state)
{
    (void)state;
    t_run(3, lonely_half);
}

/* A state that is lent comes from who may not know what has become of the range. */
static void lent_too_late(struct tcluster *c)
{
    t_start(c, 1);
    t_start(c, 2);
    struct tnode *n = &c->nodes[2];
    leave_log(n, 201);
    CHECK(lend_snapshot(n, 201, 12, 6) == ERR_BUSY);
    CHECK(lend_snapshot(n, 201, 14, 7) == ERR_OK);
    CHECK(lend_snapshot(n, 201, 15, 7) == ERR_INVALID); /* it has one of its own */
    CHECK(lend_snapshot(n, 202, 15, 7) == ERR_OK);
    t_stop_all(c);
}

static void lent_of_merged(struct tcluster *c)
{
    struct range_status st;
    t_start_all(c);
    keys_from_to(c, 0, 40, 0);
    range_id_t right = split_at(c, 20);
    merge_ok(c, 2, right);
    wait_no_range(c, 1, right);
    struct tnode *n = &c->nodes[1];
    for (int i = 0; i < 3; i++) {
        range_store_upkeep(n->rs, true); /* its log goes */
    }
    for (int restarts = 0; restarts < 3; restarts++) {
        CHECK(lend_to(n, right, 2) == ERR_INVALID);
        CHECK(give_snapshot(n, right, 99, 9) == ERR_INVALID); /* nor from who thinks he leads it */
        CHECK(range_store_status(n->rs, right, &st) == ERR_RANGE_NOT_FOUND);
        t_stop(c, 1, restarts == 1);
        t_start(c, 1);
    }
    t_stop_all(c);
}

static void test_lent(void **state)
{
    (void)state;
    t_run(2, lent_too_late);
    t_run(1, lent_of_merged);
}

/* ---- promises to a replica that is gone ---- */

static void poke_the_gone(struct tcluster *c)
{
    struct replica_change out = {REPLICA_REMOVE, 1};
    struct range_status st;
    three_members(c);
    CHECK_OK(range_store_status(c->nodes[1].rs, 2, &st));
    const struct raft_msg poke = {.type = RAFT_MSG_POKE,
                                  .from = 513,
                                  .to = st.replica_id,
                                  .term = st.raft_term,
                                  .context = st.raft_term};
    CHECK_OK(t_change(c, 2, &out, 1));
    wait_no_range(c, 1, 2);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) > 1);
    uint64_t before = atomic_load(&c->sent[RAFT_MSG_RELEASE]);
    range_store_receive(c->nodes[1].rs, 2, 2, &poke);
    CHECK(atomic_load(&c->sent[RAFT_MSG_RELEASE]) == before + 1);
    /* it is a member again, under another id */
    CHECK_OK(t_add(c, 2, 1));
    CHECK_OK(range_store_status(c->nodes[1].rs, 2, &st));
    CHECK(st.replica_id > poke.to);
    range_store_receive(c->nodes[1].rs, 2, 2, &poke);
    for (int i = 0; i < 6000 && atomic_load(&c->sent[RAFT_MSG_RELEASE]) < before + 2; i++) {
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    CHECK(atomic_load(&c->sent[RAFT_MSG_RELEASE]) >= before + 2);
    t_stop_all(c);
}

static void test_poke_the_gone(void **state)
{
    (void)state;
    t_run(3, poke_the_gone);
}

/* ---- the log of one ---- */

struct appended {
    struct waiter waiter;
};

static void on_appended(void *arg, db_err err)
{
    wait_signal(&((struct appended *)arg)->waiter, (int)err);
}

/* A replica without a state, which nobody drives, has a few entries in the log: they do not keep
 * all that comes after them. */
static void holds_no_segment(struct tcluster *c)
{
    enum { SHELL = 777, ENTRIES = 3 };
    struct raft_log_entry e[ENTRIES];
    struct raft_log_batch *b;
    struct appended done;
    struct raft_log_stats before;
    struct raft_log_stats now;
    c->log_size_max = 1 << 20;
    t_start(c, 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    struct raft_log *log = c->nodes[1].log;
    for (unsigned i = 0; i < ENTRIES; i++) {
        e[i] = (struct raft_log_entry){21 + i, 6 + i, 1, SLICE_LIT("acknowledged once")};
    }
    CHECK_OK(raft_log_batch_new(log, 0, &b));
    CHECK_OK(raft_log_batch_reset(b, SHELL, 20, 6));
    CHECK_OK(raft_log_batch_append(b, SHELL, e, ENTRIES));
    CHECK_OK(raft_log_batch_hard_state(b, SHELL, (struct raft_log_hard_state){9, 2, 21}));
    wait_init(&done.waiter);
    raft_log_submit(log, b, on_appended, &done);
    wait_block_uncancelable(&done.waiter);
    CHECK_OK((db_err)done.waiter.result);
    raft_log_stats(log, &before);
    for (unsigned round = 0; round < 4; round++) {
        put_large(c, 200);
        range_store_upkeep(c->nodes[1].rs, true);
        CHECK_OK(fiber_sleep(50 * NS_PER_MS));
    }
    raft_log_stats(log, &now);
    CHECK(now.oldest_segment > before.oldest_segment + 1);
    for (unsigned crash = 0; crash < 2; crash++) {
        struct raft_log_group g;
        struct raft_log_page page;
        struct arena a;
        struct diag diag;
        t_stop(c, 1, crash == 1);
        t_start(c, 1);
        diag_reset(&diag);
        arena_init(&a, NULL, NULL, 0);
        CHECK_OK(raft_log_group_get(c->nodes[1].log, SHELL, &g));
        CHECK(g.compacted_index == 20 && g.last_index == 23 && g.last_term == 8 &&
              g.hard_state.vote == 2);
        CHECK_OK(raft_log_entries(c->nodes[1].log, SHELL, 21, 24, 1 << 20, RAFT_LOG_READ_ANY, &a,
                                  &diag, &page));
        CHECK(page.count == ENTRIES && page.entries[1].term == 7);
        CHECK(slice_eq(page.entries[2].data, e[2].data));
        arena_fini(&a);
    }
    t_stop_all(c);
}

static void test_holds_no_segment(void **state)
{
    (void)state;
    t_run(1, holds_no_segment);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_no_segment), cmocka_unit_test(test_half_forgotten),
        cmocka_unit_test(test_with_a_log),       cmocka_unit_test(test_covers_more),
        cmocka_unit_test(test_lonely_half),      cmocka_unit_test(test_lent),
        cmocka_unit_test(test_poke_the_gone),    cmocka_unit_test(test_recorded_half),
    };
    return tests_run_apart(tests, ARRAY_COUNT(tests), argc, argv);
}
