/* Unit tests of the core's contract that the simulation does not reach: encodings, bounds,
 * malformed messages, memory that runs out. Histories are the simulation's business (tests/sim). */
#include "node/raft/raft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "node/raft/raft_int.h"

/* ---- a small cluster: everything is durable and delivered at once ---- */

enum { NODES = 3, LOG_MAX = 4096, QUEUE_MAX = 256 };

struct node {
    struct raft *raft;
    struct raft_entry log[LOG_MAX + 1]; /* by index; data lives in the blobs */
    uint64_t last, base, base_term;
    struct raft_conf snapshot_conf;
    uint64_t applied;
    struct raft_hard_state hard_state;
    bool blocked;
    bool no_snapshot; /* now */
    struct raft_read read;
    size_t reads;
};

struct cluster {
    struct node nodes[NODES];
    struct raft_msg queue[QUEUE_MAX];
    struct raft_entry entries[QUEUE_MAX][64];
    struct raft_snapshot_meta meta[QUEUE_MAX];
    size_t head, count;
    uint64_t now;
    size_t sent;
    uint32_t cut; /* bits of nodes that are cut off */
};

static uint64_t log_first(void *ctx)
{
    return ((struct node *)ctx)->base + 1;
}

static uint64_t log_last(void *ctx)
{
    return ((struct node *)ctx)->last;
}

static db_err log_term(void *ctx, uint64_t index, uint64_t *ret_term)
{
    struct node *n = ctx;
    if (index < n->base || index > n->last) {
        return ERR_NOT_FOUND;
    }
    *ret_term = index == n->base ? n->base_term : n->log[index].term;
    return ERR_OK;
}

static db_err log_entries(void *ctx, uint64_t lo, uint64_t hi, size_t max_bytes,
                          struct arena *arena, const struct raft_entry **ret_entries,
                          size_t *ret_count)
{
    struct node *n = ctx;
    (void)max_bytes, (void)arena;
    if (lo <= n->base) {
        return ERR_NOT_FOUND;
    }
    if (n->blocked) {
        return ERR_WOULD_BLOCK;
    }
    *ret_entries = &n->log[lo];
    *ret_count = hi - lo > 2 ? 2 : (size_t)(hi - lo);
    return ERR_OK;
}

static db_err log_snapshot(void *ctx, struct raft_snapshot_meta *ret_meta)
{
    struct node *n = ctx;
    if (n->no_snapshot) {
        return ERR_WOULD_BLOCK;
    }
    ret_meta->index = n->applied;
    ret_meta->term = n->log[n->applied].term;
    ret_meta->conf = n->snapshot_conf;
    return ERR_OK;
}

static const struct raft_log_ops test_log = {.name = "test",
                                             .first_index = log_first,
                                             .last_index = log_last,
                                             .term = log_term,
                                             .entries = log_entries,
                                             .snapshot_meta = log_snapshot};

static struct raft_config config_of(struct cluster *c, uint64_t id, uint32_t voters)
{
    struct raft_config cfg = {.id = id,
                              .log = &test_log,
                              .log_ctx = &c->nodes[id - 1],
                              .now_ns = c->now,
                              .seed = id,
                              .external_heartbeat = true};
    for (uint32_t v = 0; v < voters; v++) {
        cfg.conf.members[cfg.conf.count++] =
            (struct raft_member){.id = v + 1, .roles = RAFT_ROLE_VOTER};
    }
    c->nodes[id - 1].snapshot_conf = cfg.conf;
    return cfg;
}

static struct cluster *cluster_new(uint32_t voters)
{
    struct cluster *c = mem_calloc(1, sizeof(*c));
    assert_non_null(c);
    c->now = 10 * NS_PER_S;
    for (uint64_t i = 0; i < NODES && i < voters; i++) {
        struct raft_config cfg = config_of(c, i + 1, voters);
        assert_int_equal(raft_new(&cfg, &c->nodes[i].raft), ERR_OK);
    }
    return c;
}

static void cluster_free(struct cluster *c)
{
    for (size_t i = 0; i < NODES; i++) {
        raft_free(c->nodes[i].raft);
        for (uint64_t k = 1; k <= c->nodes[i].last; k++) {
            blob_unref(c->nodes[i].log[k].blob);
        }
    }
    mem_free(c);
}

static db_err step(struct cluster *c, struct node *n, struct raft_event ev)
{
    ev.now_ns = c->now;
    return raft_step(n->raft, &ev);
}

static void post(struct cluster *c, const struct raft_msg *m)
{
    c->sent++;
    if (((c->cut >> (m->to - 1)) & 1) != 0 || ((c->cut >> (m->from - 1)) & 1) != 0) {
        return;
    }
    assert_true(c->count < QUEUE_MAX && m->entry_count <= 64);
    size_t at = (c->head + c->count++) % QUEUE_MAX;
    c->queue[at] = *m;
    if (m->entry_count > 0) {
        memcpy(c->entries[at], m->entries, m->entry_count * sizeof(*m->entries));
        c->queue[at].entries = c->entries[at];
        for (size_t i = 0; i < m->entry_count; i++) {
            if (c->entries[at][i].blob != NULL) {
                blob_ref(c->entries[at][i].blob);
            }
        }
    }
    if (m->snapshot != NULL) {
        c->meta[at] = *m->snapshot;
        c->queue[at].snapshot = &c->meta[at];
    }
}

static void persist(struct node *n, const struct raft_ready *rd)
{
    for (size_t i = 0; i < rd->entry_count; i++) {
        const struct raft_entry *e = &rd->entries[i];
        assert_true(e->index <= LOG_MAX);
        for (uint64_t k = e->index; k <= n->last; k++) {
            blob_unref(n->log[k].blob);
        }
        n->log[e->index] = *e;
        n->last = e->index;
        if (e->blob != NULL) {
            blob_ref(e->blob);
        }
    }
}

static bool serve(struct cluster *c, struct node *n)
{
    bool any = false;
    while (raft_has_ready(n->raft)) {
        struct raft_ready rd;
        db_err err = raft_ready(n->raft, &rd);
        if (err != ERR_OK) {
            assert_int_equal(err, ERR_NOMEM);
            continue;
        }
        any = true;
        for (size_t i = 0; i < rd.message_count; i++) {
            post(c, &rd.messages[i]);
        }
        persist(n, &rd);
        n->hard_state = rd.has_hard_state ? rd.hard_state : n->hard_state;
        for (size_t i = 0; i < rd.committed_count; i++) {
            assert_int_equal(rd.committed[i].index, n->applied + 1);
            n->applied++;
        }
        for (size_t i = 0; i < rd.read_count; i++) {
            n->read = rd.reads[i];
            n->reads++;
        }
        struct raft_event ev = {.type = RAFT_EV_PERSISTED, .u.persist_seq = rd.persist_seq};
        struct raft_event done = {.type = RAFT_EV_APPLIED, .u.applied_index = n->applied};
        raft_advance(n->raft);
        while (step(c, n, ev) == ERR_NOMEM) {
        }
        while (step(c, n, done) == ERR_NOMEM) {
        }
    }
    return any;
}

static void settle(struct cluster *c)
{
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < NODES; i++) {
            any |= c->nodes[i].raft != NULL && serve(c, &c->nodes[i]);
        }
        while (c->count > 0) {
            struct raft_msg m = c->queue[c->head];
            struct raft_entry *entries = c->entries[c->head];
            c->head = (c->head + 1) % QUEUE_MAX;
            c->count--;
            struct node *to = &c->nodes[m.to - 1];
            db_err err = ERR_OK;
            if (to->raft != NULL) {
                err = step(c, to, (struct raft_event){.type = RAFT_EV_MESSAGE, .u.message = &m});
            }
            assert_true(err == ERR_OK || err == ERR_NOMEM);
            for (size_t i = 0; i < m.entry_count; i++) {
                blob_unref(entries[i].blob);
            }
            any = true;
            if (to->raft != NULL) {
                (void)serve(c, to);
            }
        }
    }
}

static void elect(struct cluster *c, uint64_t id)
{
    struct node *n = &c->nodes[id - 1];
    for (unsigned i = 0; i < 100 && raft_role(n->raft) != RAFT_LEADER; i++) {
        c->now += 100 * NS_PER_MS;
        (void)(step(c, n, (struct raft_event){.type = RAFT_EV_CAMPAIGN}) == ERR_OK);
        settle(c);
    }
    assert_int_equal(raft_role(n->raft), RAFT_LEADER);
}

static db_err propose(struct cluster *c, struct node *n, size_t size)
{
    struct blob *blob = blob_new(size);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    memset(blob->data, 'x', size);
    struct slice data = slice_of(blob->data, size);
    struct raft_event ev = {.type = RAFT_EV_PROPOSE};
    ev.u.propose.data = &data;
    ev.u.propose.count = 1;
    ev.u.propose.blob = blob;
    db_err err = step(c, n, ev);
    blob_unref(blob);
    return err;
}

static void beat(struct cluster *c)
{
    c->now += 100 * NS_PER_MS;
    for (size_t i = 0; i < NODES; i++) {
        if (c->nodes[i].raft != NULL) {
            (void)(step(c, &c->nodes[i], (struct raft_event){.type = RAFT_EV_HEARTBEAT}) == ERR_OK);
        }
    }
    settle(c);
}

/* ---- configurations and quorums ---- */

static void test_conf_encoding(void **state)
{
    (void)state;
    struct raft_conf conf = {.count = 3};
    conf.members[0] = (struct raft_member){1, RAFT_ROLE_VOTER | RAFT_ROLE_OUTGOING};
    conf.members[1] = (struct raft_member){UINT64_MAX - 1, RAFT_ROLE_OUTGOING};
    conf.members[2] = (struct raft_member){UINT64_MAX, RAFT_ROLE_LEARNER};
    uint8_t bytes[RAFT_CONF_ENCODED_MAX];
    size_t size = raft_conf_encode(&conf, bytes);
    struct raft_conf back;
    assert_int_equal(raft_conf_decode(slice_of(bytes, size), &back), ERR_OK);
    assert_int_equal(back.count, 3);
    assert_int_equal(raft_conf_roles(&back, UINT64_MAX), RAFT_ROLE_LEARNER);
    assert_true(raft_conf_is_joint(&back));
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(raft_conf_decode(slice_of(bytes, cut), &back), ERR_CORRUPT);
    }
    bytes[2 + 8] = 0; /* a member without a role */
    assert_int_equal(raft_conf_decode(slice_of(bytes, size), &back), ERR_CORRUPT);
    bytes[2 + 8] = RAFT_ROLE_VOTER | RAFT_ROLE_LEARNER;
    assert_int_equal(raft_conf_decode(slice_of(bytes, size), &back), ERR_CORRUPT);
}

static void test_quorums(void **state)
{
    (void)state;
    struct raft r = {.conf = {.count = 5}};
    uint64_t values[] = {9, 7, 5, 3, 1};
    for (uint32_t i = 0; i < 5; i++) {
        r.conf.members[i] = (struct raft_member){i + 1, RAFT_ROLE_VOTER};
    }
    assert_int_equal(raft__quorum_value(&r, values), 5);
    r.conf.count = 4;
    assert_int_equal(raft__quorum_value(&r, values), 5);
    r.conf.count = 2;
    assert_int_equal(raft__quorum_value(&r, values), 7);
    /* joint: {1,2,3} and {3,4,5} */
    r.conf.count = 5;
    r.conf.members[0].roles = r.conf.members[1].roles = RAFT_ROLE_OUTGOING;
    r.conf.members[2].roles = RAFT_ROLE_OUTGOING | RAFT_ROLE_VOTER;
    r.conf_joint = true;
    assert_int_equal(raft__quorum_value(&r, values), 3);
    assert_int_equal(raft__quorum_votes(&r.conf, 0x07, 0), RAFT_VOTE_PENDING);
    assert_int_equal(raft__quorum_votes(&r.conf, 0x0e, 0), RAFT_VOTE_WON);
    assert_int_equal(raft__quorum_votes(&r.conf, 0x07, 0x18), RAFT_VOTE_LOST);
    r.conf.count = 0;
    r.conf_joint = false;
    assert_int_equal(raft__quorum_value(&r, values), 0);
    assert_int_equal(raft__quorum_votes(&r.conf, 0, 0), RAFT_VOTE_LOST);
}

/* ---- groups ---- */

static void test_sole_voter(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(1);
    settle(c);
    struct node *n = &c->nodes[0];
    assert_int_equal(raft_role(n->raft), RAFT_LEADER);
    assert_true(raft_lease(n->raft, c->now + 1000 * NS_PER_S).valid);
    assert_int_equal(propose(c, n, 100), ERR_OK);
    settle(c);
    assert_int_equal(n->applied, raft_last_index(n->raft));
    assert_int_equal(c->sent, 0);
    assert_int_equal(raft_deadline(n->raft), DEADLINE_NONE);
    cluster_free(c);
}

static void test_replication_and_reads(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 2);
    struct node *n = &c->nodes[1];
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(propose(c, n, 50), ERR_OK);
        settle(c);
    }
    assert_int_equal(n->applied, 101);
    beat(c);
    assert_int_equal(c->nodes[0].applied, 101);
    struct raft_lease lease = raft_lease(n->raft, c->now);
    assert_true(lease.valid && lease.until_ns > c->now);
    assert_false(raft_lease(n->raft, lease.until_ns).valid);
    assert_int_equal(step(c, n, (struct raft_event){.type = RAFT_EV_READ, .u.read_context = 7}),
                     ERR_OK);
    settle(c);
    assert_int_equal(n->reads, 1);
    assert_int_equal(n->read.context, 7);
    assert_int_equal(n->read.index, 101);
    /* through a follower */
    assert_int_equal(
        step(c, &c->nodes[2], (struct raft_event){.type = RAFT_EV_READ, .u.read_context = 8}),
        ERR_OK);
    settle(c);
    assert_int_equal(c->nodes[2].reads, 1);
    assert_int_equal(c->nodes[2].read.index, 101);
    assert_int_equal(propose(c, &c->nodes[0], 10), ERR_NOT_LEADER);
    cluster_free(c);
}

/* The owner knows that an entry is committed although no leader has said so here. */
static void test_committed_elsewhere(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 2);
    struct node *n = &c->nodes[1];
    struct node *f = &c->nodes[0];
    assert_int_equal(propose(c, n, 50), ERR_OK);
    settle(c);
    uint64_t index = n->last;
    uint64_t term = n->log[index].term;
    assert_int_equal(n->applied, index);
    assert_true(f->applied < index && f->last == index);
    c->cut = ~0u; /* nobody hears of anybody */
    struct raft_event ev = {.type = RAFT_EV_COMMITTED, .u.committed = {index + 1, term}};
    assert_int_equal(step(c, f, ev), ERR_NOT_FOUND);
    ev.u.committed.index = index;
    ev.u.committed.term = term + 1;
    assert_int_equal(step(c, f, ev), ERR_NOT_FOUND);
    ev.u.committed.term = term;
    assert_int_equal(step(c, f, ev), ERR_OK);
    settle(c);
    assert_int_equal(f->applied, index);
    ev.u.committed.term = term + 1; /* what is committed already needs no proof */
    assert_int_equal(step(c, f, ev), ERR_OK);
    cluster_free(c);
}

/* A follower that has everything and was cut off before it heard that the last entry is committed,
 * long enough to ask for votes: the leader has nothing to append, its heartbeat must be enough. */
static void test_commit_by_heartbeat(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 2);
    struct node *n = &c->nodes[1];
    struct node *f = &c->nodes[0];
    assert_int_equal(propose(c, n, 50), ERR_OK);
    settle(c);
    assert_true(f->applied < n->last && f->last == n->last);
    c->cut = 1;
    c->now += 5 * NS_PER_S;
    assert_int_equal(step(c, f, (struct raft_event){.type = RAFT_EV_CAMPAIGN}), ERR_OK);
    settle(c);
    assert_int_equal(raft_role(f->raft), RAFT_PRECANDIDATE);
    c->cut = 0;
    beat(c);
    beat(c);
    assert_int_equal(raft_role(f->raft), RAFT_FOLLOWER);
    assert_int_equal(f->applied, n->last);
    cluster_free(c);
}

/* A start applies as far as the log knows to be committed. The last entry's commit is not written
 * with it, only when it is asked for. */
static void test_commit_saved(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 1);
    struct node *n = &c->nodes[0];
    assert_int_equal(propose(c, n, 50), ERR_OK);
    settle(c);
    assert_true(n->applied == n->last && n->hard_state.commit < n->last);
    assert_int_equal(step(c, n, (struct raft_event){.type = RAFT_EV_SAVE_COMMIT}), ERR_OK);
    settle(c);
    assert_int_equal(n->hard_state.commit, n->last);
    uint64_t applied = n->applied;
    raft_free(n->raft);
    n->raft = NULL;
    struct raft_config cfg = config_of(c, 1, 3);
    cfg.hard_state = n->hard_state;
    cfg.applied = n->applied = applied - 1; /* the state machine had not kept it */
    assert_int_equal(raft_new(&cfg, &n->raft), ERR_OK);
    assert_true(serve(c, n));
    assert_int_equal(n->applied, applied);
    cluster_free(c);
}

/* A replica that may have made a promise keeps quiet, but not for what only an earlier process can
 * have promised a time-out ago. */
static void test_quiet_after_start(void **state)
{
    (void)state;
    for (unsigned late = 0; late < 2; late++) {
        struct cluster *c = cluster_new(3);
        elect(c, 1);
        struct node *n = &c->nodes[0];
        raft_free(n->raft);
        struct raft_config cfg = config_of(c, 1, 3);
        cfg.hard_state = n->hard_state;
        cfg.applied = n->applied;
        cfg.promised_before_ns = late ? c->now - RAFT_DEFAULT_ELECTION_NS : 0;
        assert_int_equal(raft_new(&cfg, &n->raft), ERR_OK);
        assert_int_equal(step(c, n, (struct raft_event){.type = RAFT_EV_CAMPAIGN}), ERR_OK);
        assert_int_equal(raft_role(n->raft), late ? RAFT_PRECANDIDATE : RAFT_FOLLOWER);
        cluster_free(c);
    }
}

/* Time goes on for those nodes alone (bits) until one of them leads; how long that took. */
static uint64_t until_led(struct cluster *c, unsigned nodes)
{
    uint64_t began = c->now;
    while (c->now < began + 5 * NS_PER_S) {
        for (size_t i = 0; i < NODES; i++) {
            if (((nodes >> i) & 1) != 0 && raft_role(c->nodes[i].raft) == RAFT_LEADER) {
                return c->now - began;
            }
        }
        c->now += 5 * NS_PER_MS;
        for (size_t i = 0; i < NODES; i++) {
            if (((nodes >> i) & 1) != 0) {
                assert_int_equal(step(c, &c->nodes[i], (struct raft_event){.type = RAFT_EV_TICK}),
                                 ERR_OK);
            }
        }
        settle(c);
    }
    return c->now - began;
}

/* A request for a vote that came while the other still kept its promise is repeated soon. */
static void test_stands_again_after_silence(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 1);
    beat(c);
    c->cut = 1u << 1; /* the third hears the leader once more */
    beat(c);
    c->cut = 1u << 0;
    c->now += RAFT_DEFAULT_ELECTION_NS - 50 * NS_PER_MS;
    struct raft_event stand = {.type = RAFT_EV_CAMPAIGN};
    assert_int_equal(step(c, &c->nodes[1], stand), ERR_OK);
    settle(c);
    assert_int_equal(raft_role(c->nodes[1].raft), RAFT_PRECANDIDATE);
    assert_in_range(until_led(c, 1u << 1), 1, RAFT_DEFAULT_ELECTION_NS * 3 / 4);
    cluster_free(c);
}

/* Two stand in the same moment, of three members: nobody has a majority. */
static void test_stands_again_after_split_votes(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 1);
    beat(c);
    c->cut = 1u << 0;
    c->now += 2 * RAFT_DEFAULT_ELECTION_NS;
    struct raft_event stand = {.type = RAFT_EV_CAMPAIGN};
    assert_int_equal(step(c, &c->nodes[1], stand), ERR_OK);
    assert_int_equal(step(c, &c->nodes[2], stand), ERR_OK);
    settle(c);
    assert_int_equal(raft_role(c->nodes[1].raft), RAFT_CANDIDATE);
    assert_int_equal(raft_role(c->nodes[2].raft), RAFT_CANDIDATE);
    assert_in_range(until_led(c, 6), 1, RAFT_DEFAULT_ELECTION_NS);
    cluster_free(c);
}

static void test_limits(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 1);
    struct node *n = &c->nodes[0];
    c->cut = 0x6;
    db_err err = ERR_OK;
    unsigned taken = 0;
    while (err == ERR_OK && taken < 1000) {
        err = propose(c, n, 1 << 20);
        taken += err == ERR_OK ? 1 : 0;
        settle(c);
    }
    assert_int_equal(err, ERR_BUSY);
    assert_in_range(taken, 16, 18);
    /* Check-quorum: without the others it is not a leader for long. */
    c->now += 1100 * NS_PER_MS;
    assert_int_equal(step(c, n, (struct raft_event){.type = RAFT_EV_TICK}), ERR_OK);
    assert_int_equal(raft_role(n->raft), RAFT_FOLLOWER);
    cluster_free(c);
}

static void test_paging_and_blocked_log(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 1);
    c->cut = 0x4; /* the third misses some; its leader forgets them from memory by a restart of the
                     first */
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(propose(c, &c->nodes[0], 10), ERR_OK);
        settle(c);
    }
    struct raft_status st;
    raft_status(c->nodes[0].raft, &st);
    raft_free(c->nodes[0].raft);
    struct raft_config cfg = config_of(c, 1, 3);
    cfg.hard_state = (struct raft_hard_state){st.term, 1, st.commit};
    cfg.applied = c->nodes[0].applied;
    assert_int_equal(raft_new(&cfg, &c->nodes[0].raft), ERR_OK);
    c->nodes[0].blocked = true;
    elect(c, 1);
    c->cut = 0;
    for (unsigned i = 0; i < 5; i++) {
        beat(c);
    }
    assert_true(c->nodes[2].applied <= 1); /* nothing could be read for it */
    c->nodes[0].blocked = false;
    assert_int_equal(step(c, &c->nodes[0], (struct raft_event){.type = RAFT_EV_LOG_READY}), ERR_OK);
    settle(c);
    beat(c);
    beat(c);
    assert_int_equal(c->nodes[2].applied, c->nodes[0].applied);
    /* A start that must scan the log waits for it. */
    c->nodes[2].blocked = true;
    cfg = config_of(c, 3, 3);
    cfg.hard_state.term = 1000;
    struct raft *raft = NULL;
    assert_int_equal(raft_new(&cfg, &raft), ERR_WOULD_BLOCK);
    assert_null(raft);
    cfg.hard_state.term = 0; /* less than the log's terms */
    assert_int_equal(raft_new(&cfg, &raft), ERR_CORRUPT);
    cluster_free(c);
}

static void test_conf_change_rules(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 1);
    struct node *n = &c->nodes[0];
    struct raft_event ev = {.type = RAFT_EV_CONF_CHANGE};
    struct raft_change all[] = {
        {RAFT_CHANGE_REMOVE, 1}, {RAFT_CHANGE_REMOVE, 2}, {RAFT_CHANGE_REMOVE, 3}};
    ev.u.conf_change.changes = all;
    ev.u.conf_change.count = 3;
    assert_int_equal(step(c, n, ev), ERR_INVALID); /* nobody left */
    ev.u.conf_change.count = 2;                    /* two at once: joint, and left by itself */
    assert_int_equal(step(c, n, ev), ERR_OK);
    assert_int_equal(step(c, n, ev), ERR_BUSY);
    struct raft_status st;
    raft_status(n->raft, &st);
    assert_true(raft_conf_is_joint(&st.conf));
    settle(c);
    beat(c);
    raft_status(c->nodes[2].raft, &st);
    assert_int_equal(st.conf.count, 1);
    assert_false(raft_conf_is_joint(&st.conf));
    settle(c);
    assert_int_equal(raft_role(c->nodes[2].raft), RAFT_LEADER); /* handed over at once */
    assert_int_not_equal(raft_role(n->raft), RAFT_LEADER);
    struct raft_change again = {RAFT_CHANGE_ADD_VOTER, 3};
    ev.u.conf_change.changes = &again;
    ev.u.conf_change.count = 1;
    assert_int_equal(step(c, &c->nodes[2], ev), ERR_INVALID); /* no effect */
    cluster_free(c);
}

static void test_snapshot(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 1);
    c->cut = 0x4;
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(propose(c, &c->nodes[0], 10), ERR_OK);
        settle(c);
    }
    struct node *n = &c->nodes[0];
    n->base = n->applied - 1;
    n->base_term = n->log[n->base].term;
    elect(c, 1);
    /* A new leader has nothing in memory; here the window of the old progress is dropped instead.
     */
    step(c, n, (struct raft_event){.type = RAFT_EV_UNREACHABLE, .u.peer = 3}) == ERR_OK ? (void)0
                                                                                        : fail();
    raft__entries_evict(n->raft);
    c->cut = 0;
    struct node *third = &c->nodes[2];
    uint64_t before = third->applied;
    for (unsigned i = 0; i < 10; i++) {
        c->now += 100 * NS_PER_MS;
        assert_int_equal(step(c, n, (struct raft_event){.type = RAFT_EV_HEARTBEAT}), ERR_OK);
        settle(c);
        struct raft_status st;
        raft_status(n->raft, &st);
        if (st.peers[2].state == RAFT_SNAPSHOT) {
            assert_true(third->raft->snapshot_pending);
            third->last = third->base = third->applied = third->raft->snapshot.index;
            third->base_term = third->raft->snapshot.term;
            for (uint64_t k = 1; k <= third->base; k++) { /* the test's own log is empty now */
                if (k <= before) {
                    blob_unref(third->log[k].blob);
                }
                third->log[k].blob = NULL;
            }
            struct raft_event ev = {.type = RAFT_EV_SNAPSHOT_INSTALLED};
            ev.u.snapshot_installed.index = third->base;
            ev.u.snapshot_installed.ok = true;
            assert_int_equal(step(c, third, ev), ERR_OK);
            settle(c);
        }
    }
    assert_int_equal(propose(c, n, 10), ERR_OK);
    settle(c);
    beat(c);
    assert_true(third->base > 1);
    assert_int_equal(third->applied, n->applied);
    cluster_free(c);
}

/* The log has let go of what a member lacks, and nobody can say what to offer it instead; nor is
 * there an event when that changes. */
static void test_offer_that_is_late(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    struct raft_status st;
    elect(c, 1);
    c->cut = 0x4;
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(propose(c, &c->nodes[0], 10), ERR_OK);
        settle(c);
    }
    struct node *n = &c->nodes[0];
    struct raft_event lost = {.type = RAFT_EV_UNREACHABLE, .u.peer = 3};
    assert_int_equal(step(c, n, lost), ERR_OK);
    raft__entries_evict(n->raft);
    n->base = n->applied - 1;
    n->base_term = n->log[n->base].term;
    n->no_snapshot = true;
    c->cut = 0;
    for (unsigned i = 0; i < 6; i++) {
        c->now += 100 * NS_PER_MS;
        assert_int_equal(step(c, n, (struct raft_event){.type = RAFT_EV_HEARTBEAT}), ERR_OK);
        settle(c);
        raft_status(n->raft, &st);
        assert_int_equal(st.peers[2].state, i < 3 ? RAFT_PROBE : RAFT_SNAPSHOT);
        n->no_snapshot = i < 2;
    }
    cluster_free(c);
}

/* A member that has acknowledged all comes back without its state: it is offered a snapshot, though
 * there is nothing to send it. */
static void test_member_without_state(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(propose(c, &c->nodes[0], 10), ERR_OK);
        settle(c);
    }
    beat(c);
    struct node *n = &c->nodes[0];
    struct raft_status st;
    raft_status(n->raft, &st);
    assert_true(st.peers[2].match == st.last_index && st.peers[2].state == RAFT_REPLICATE);
    c->cut = 0x4;
    struct raft_msg m = {.type = RAFT_MSG_HEARTBEAT_RESP,
                         .flags = RAFT_MSG_F_NO_STATE,
                         .from = 3,
                         .to = 1,
                         .term = st.term,
                         .context = c->now};
    struct raft_event ev = {.type = RAFT_EV_MESSAGE, .u.message = &m};
    assert_int_equal(step(c, n, ev), ERR_OK);
    raft_status(n->raft, &st);
    assert_int_equal(st.peers[2].state, RAFT_SNAPSHOT);
    struct raft_event failed = {.type = RAFT_EV_SNAPSHOT_STATUS};
    failed.u.snapshot_status.peer = 3;
    failed.u.snapshot_status.ok = false;
    assert_int_equal(step(c, n, failed), ERR_OK);
    raft_status(n->raft, &st);
    assert_int_equal(st.peers[2].state, RAFT_PROBE);
    assert_int_equal(step(c, n, ev), ERR_OK); /* asked for again as long as it says so */
    raft_status(n->raft, &st);
    assert_int_equal(st.peers[2].state, RAFT_SNAPSHOT);
    cluster_free(c);
}

/* ---- what a peer can send ---- */

static void test_malformed_messages(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(3);
    elect(c, 1);
    struct rand rng;
    rand_seed(&rng, 42);
    struct raft_entry entries[4];
    struct raft_snapshot_meta meta;
    unsigned refused = 0;
    for (unsigned i = 0; i < 200000; i++) {
        struct raft_msg m;
        memset(&m, 0, sizeof(m));
        m.type = (uint8_t)rand_below(&rng, RAFT_MSG__END + 1);
        m.flags = (uint8_t)rand_below(&rng, 16);
        m.from = rand_below(&rng, 5);
        m.to = 2 + rand_below(&rng, 2);
        m.term = rand_below(&rng, 4) == 0 ? rand_u64(&rng) : rand_below(&rng, 2);
        m.index = rand_below(&rng, 4) == 0 ? rand_u64(&rng) : rand_below(&rng, 4);
        m.log_term = rand_below(&rng, 4) == 0 ? rand_u64(&rng) : rand_below(&rng, 3);
        m.commit = rand_u64(&rng) >> rand_below(&rng, 64);
        m.hint = rand_u64(&rng) >> rand_below(&rng, 64);
        m.context = rand_u64(&rng);
        m.entry_count = (size_t)rand_below(&rng, 5);
        m.entries = entries;
        for (size_t k = 0; k < m.entry_count; k++) {
            memset(&entries[k], 0, sizeof(entries[k]));
            entries[k].index = m.index + 1 + k + (rand_below(&rng, 8) == 0 ? 1 : 0);
            entries[k].term = rand_below(&rng, 3);
            entries[k].type = (uint8_t)rand_below(&rng, 4);
        }
        m.snapshot = rand_below(&rng, 2) == 0 ? NULL : &meta;
        memset(&meta, 0, sizeof(meta));
        meta.index = rand_below(&rng, 2) * UINT64_MAX;
        meta.conf.count = (uint32_t)rand_below(&rng, 40);
        db_err err =
            step(c, &c->nodes[1], (struct raft_event){.type = RAFT_EV_MESSAGE, .u.message = &m});
        refused += err == ERR_INVALID ? 1 : 0;
        assert_true(err == ERR_OK || err == ERR_INVALID);
        struct raft_ready rd; /* answers are thrown away; terms of the far future are refused */
        if (raft_has_ready(c->nodes[1].raft) && i % 16 == 0) {
            assert_int_equal(raft_ready(c->nodes[1].raft, &rd), ERR_OK);
            persist(&c->nodes[1], &rd);
            c->nodes[1].applied += rd.committed_count;
            raft_advance(c->nodes[1].raft);
            struct raft_event ev = {.type = RAFT_EV_PERSISTED, .u.persist_seq = rd.persist_seq};
            assert_int_equal(step(c, &c->nodes[1], ev), ERR_OK);
        }
    }
    assert_true(refused > 10000);
    cluster_free(c);
}

/* ---- memory ---- */

static size_t g_fail_every, g_allocs;

static bool fail_now(void)
{
    return g_fail_every != 0 && ++g_allocs % g_fail_every == 0;
}

static void *flaky_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return fail_now() ? NULL : test_malloc(size);
}

static void *flaky_realloc(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    return fail_now() ? NULL : test_realloc(ptr, size);
}

static void flaky_free(void *ctx, void *ptr)
{
    (void)ctx;
    test_free(ptr);
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    static const struct mem_allocator flaky = {
        .name = "flaky", .alloc = flaky_alloc, .realloc = flaky_realloc, .free = flaky_free};
    mem_set_allocator(&flaky);
    struct cluster *c = cluster_new(3);
    for (size_t every = 2; every < 12; every++) {
        g_fail_every = every;
        for (unsigned i = 0; i < 100 && raft_role(c->nodes[0].raft) != RAFT_LEADER; i++) {
            c->now += 100 * NS_PER_MS;
            (void)(step(c, &c->nodes[0], (struct raft_event){.type = RAFT_EV_CAMPAIGN}) == ERR_OK);
            settle(c);
        }
        for (unsigned i = 0; i < 50; i++) {
            db_err err = propose(c, &c->nodes[0], 40);
            assert_true(err == ERR_OK || err == ERR_NOMEM);
            (void)(step(c, &c->nodes[1], (struct raft_event){.type = RAFT_EV_READ}) == ERR_OK);
            settle(c);
            if (i % 10 == 0) {
                beat(c);
            }
        }
    }
    g_fail_every = 0;
    beat(c);
    beat(c);
    beat(c);
    assert_true(c->nodes[0].applied > 100);
    assert_int_equal(c->nodes[1].applied, c->nodes[0].applied);
    assert_int_equal(c->nodes[2].applied, c->nodes[0].applied);
    cluster_free(c);
    mem_set_allocator(NULL);
}

static void test_bad_config(void **state)
{
    (void)state;
    struct node n = {0};
    struct raft *raft = NULL;
    struct raft_config cfg = {.log = &test_log, .log_ctx = &n};
    assert_int_equal(raft_new(&cfg, &raft), ERR_INVALID); /* no id */
    cfg.id = 1;
    cfg.lease_margin_ns = cfg.election_timeout_ns = NS_PER_S;
    assert_int_equal(raft_new(&cfg, &raft), ERR_INVALID);
    cfg.lease_margin_ns = 0;
    cfg.applied = 5; /* beyond the log */
    assert_int_equal(raft_new(&cfg, &raft), ERR_CORRUPT);
    raft_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conf_encoding),
        cmocka_unit_test(test_quorums),
        cmocka_unit_test(test_sole_voter),
        cmocka_unit_test(test_replication_and_reads),
        cmocka_unit_test(test_committed_elsewhere),
        cmocka_unit_test(test_commit_by_heartbeat),
        cmocka_unit_test(test_commit_saved),
        cmocka_unit_test(test_quiet_after_start),
        cmocka_unit_test(test_stands_again_after_silence),
        cmocka_unit_test(test_stands_again_after_split_votes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_paging_and_blocked_log),
        cmocka_unit_test(test_conf_change_rules),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_offer_that_is_late),
        cmocka_unit_test(test_member_without_state),
        cmocka_unit_test(test_malformed_messages),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_bad_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
