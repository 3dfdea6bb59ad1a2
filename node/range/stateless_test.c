#include "node/range/merge_testing.h"
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
    three_members(c);
    for (unsigned i = 0; i < 100; i++) {
        put_ok(c, i, i);
    }
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    id = split_at(c, 95000);
    CHECK(t_wait_leader(c, id, 5 * NS_PER_S) == 1);
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
    CHECK_OK(range_store_transfer_lease(c->nodes[1].rs, 2, 2, &diag));
    CHECK(t_wait_leader(c, 2, 5 * NS_PER_S) == 2);
    CHECK_OK(range_store_transfer_lease(c->nodes[2].rs, 2, 1, &diag));
    CHECK(t_wait_leader(c, 2, 5 * NS_PER_S) == 1);
    CHECK(t_wait_leader(c, id, NS_PER_S) == 1);
    uint64_t began = clock_mono_ns();
    t_start(c, 3);
    CHECK(range_store_status(c->nodes[3].rs, id, &st) == ERR_RANGE_NOT_FOUND);
    t_wait_same(c, three, 3, SLICE_LIT("\1"), SLICE_EMPTY);
    st.leader_node = 0;
    for (int i = 0; i < 1000 && st.leader_node != 1; i++) {
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
};

static db_err next_chunk(struct snapshot_reader *r, struct slice *ret_chunk)
{
    struct one_chunk *o = (struct one_chunk *)r;
    *ret_chunk = o->read ? SLICE_EMPTY : buf_slice(&o->chunk);
    o->read = true;
    return ERR_OK;
}

static const struct snapshot_reader_ops one_chunk_ops = {.name = "one", .next = next_chunk};

/* An empty range between two keys of its own. */
static db_err give_snapshot(struct tnode *n, range_id_t range, uint64_t index, uint64_t term)
{
    char start[32];
    char end[32];
    struct diag diag;
    struct one_chunk o = {.reader.ops = &one_chunk_ops};
    struct buf head;
    struct snapshot_head h = {.range = range, .from = 257, .to = 258, .raft_term = 9};
    snprintf(start, sizeof(start), "\x02s%llu", (unsigned long long)range);
    snprintf(end, sizeof(end), "\x02s%llu-", (unsigned long long)range);
    h.meta.index = index;
    h.meta.term = term;
    h.desc = (struct range_desc){.id = range,
                                 .epoch = {1, 1},
                                 .start = slice_str(start),
                                 .end = slice_str(end),
                                 .replica_count = 3};
    for (unsigned i = 0; i < 3; i++) {
        h.desc.replicas[i] = (struct replica_desc){i + 1, 257 + i, REPLICA_VOTER};
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
    return err;
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
    CHECK(give_snapshot(n, 206, 13, 8) == ERR_OK); /* there was none */
    for (range_id_t id = 201; id <= 206; id++) {
        CHECK((range_store_status(n->rs, id, &st) == ERR_OK) == (id != 202 && id != 203));
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_forgotten),
        cmocka_unit_test(test_with_a_log),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
