/* For tests of splits and merges over the network of testing.h. Tests only. */
#ifndef SKEIN_NODE_RANGE_MERGE_TESTING_H
#define SKEIN_NODE_RANGE_MERGE_TESTING_H

#include "base/faults.h"
#include "node/range/testing.h"

/* The key's range as some leader has it. False: nobody leads it. */
static inline bool t_led(struct tcluster *c, struct slice key, struct arena *a,
                         struct range_desc *ret)
{
    struct t_find f = {.key = key, .arena = a};
    for (node_id_t id = 1; id <= c->count && !f.found; id++) {
        struct tnode *n = t_use(c, id);
        if (n != NULL) {
            CHECK_OK(range_store_each(n->rs, t_find_desc, &f));
            t_done(n);
        }
    }
    *ret = f.desc;
    return f.found;
}

static inline range_id_t split_at(struct tcluster *c, unsigned k)
{
    char kb[32];
    struct slice at = key_of(kb, k);
    struct diag diag;
    struct arena a;
    range_id_t id = 0;
    db_err err = ERR_TIMEOUT;
    diag_reset(&diag);
    arena_init(&a, NULL, NULL, 0);
    for (int tries = 0; tries < 6000 && err != ERR_OK; tries++) {
        struct range_desc d;
        node_id_t on = t_led(c, at, &a, &d) ? t_leader(c, d.id) : 0;
        struct tnode *n = on == 0 ? NULL : t_use(c, on);
        if (n != NULL) {
            err = range_store_split(n->rs, d.id, at, &diag, &id);
            t_done(n);
        }
        CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    }
    arena_fini(&a);
    CHECK_OK(err);
    return id;
}

/* Its leader has all members at its side. */
static inline void wait_settled(struct tcluster *c, range_id_t range)
{
    for (int tries = 0; tries < 1000; tries++) {
        struct range_status st = {0};
        node_id_t on = t_wait_leader(c, range, 5 * NS_PER_S);
        bool all = on != 0 && range_store_status(c->nodes[on].rs, range, &st) == ERR_OK;
        for (unsigned i = 0; i < st.member_count; i++) {
            all = all && st.members[i].live && st.members[i].caught_up;
        }
        if (all) {
            return;
        }
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    T_FAIL("all members are at its side");
}

static inline db_err merge_once(struct tcluster *c, range_id_t left)
{
    struct diag diag;
    range_id_t right = 0;
    node_id_t on = t_leader(c, left);
    struct tnode *n = on == 0 ? NULL : t_use(c, on);
    diag_reset(&diag);
    if (n == NULL) {
        return ERR_NOT_LEADER;
    }
    db_err err = range_store_merge(n->rs, left, &diag, &right);
    t_done(n);
    return err;
}

/* The leases together, then the ranges. */
static inline void merge_ok(struct tcluster *c, range_id_t left, range_id_t right)
{
    struct diag diag;
    db_err err = ERR_TIMEOUT;
    diag_reset(&diag);
    for (int tries = 0; tries < 6000 && err != ERR_OK; tries++) {
        node_id_t on = t_wait_leader(c, left, 5 * NS_PER_S);
        node_id_t from = t_wait_leader(c, right, NS_PER_S);
        struct tnode *n = from == 0 || from == on ? NULL : t_use(c, from);
        if (n != NULL) {
            err = range_store_transfer_lease(n->rs, right, on, LEASE_WITH_LOCKS, &diag);
            t_done(n);
            t_wait_leader(c, right, NS_PER_S);
        }
        err = merge_once(c, left);
        CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    }
    if (err != ERR_OK) {
        fprintf(stderr, "merge of %llu: %s\n", (unsigned long long)left, err_name(err));
    }
    CHECK_OK(err);
}

static inline void wait_no_range(struct tcluster *c, node_id_t node, range_id_t range)
{
    struct range_status st;
    for (int i = 0; i < 6000; i++) {
        if (range_store_status(c->nodes[node].rs, range, &st) == ERR_RANGE_NOT_FOUND) {
            return;
        }
        CHECK_OK(fiber_sleep(10 * NS_PER_MS));
    }
    T_FAIL("the right range is gone");
}

static inline void keys_from_to(struct tcluster *c, unsigned from, unsigned to, unsigned add)
{
    for (unsigned i = from; i < to; i++) {
        put_ok(c, i, add + i);
    }
}

static inline void expect_all(struct tcluster *c, unsigned from, unsigned to, unsigned add)
{
    for (unsigned i = from; i < to; i++) {
        expect(c, i, add + i);
    }
}

struct merging_fiber {
    struct tcluster *c;
    range_id_t left;
    const char *point; /* tried until it comes to this; NULL: once */
    db_err err;
    struct waiter done;
};

static inline void merge_in_fiber(void *arg)
{
    struct merging_fiber *m = arg;
    uint64_t hits = 1;
    uint64_t acted;
    do {
        m->err = merge_once(m->c, m->left);
        if (m->point != NULL) { /* a lease that is not there for the moment is waited for */
            CHECK_OK(faults_hits(m->point, &hits, &acted));
            CHECK_OK(fiber_sleep(5 * NS_PER_MS));
        }
    } while (m->err != ERR_OK && hits == 0);
    wait_signal(&m->done, 0);
}

static inline void start_merge_until(struct tcluster *c, struct merging_fiber *m, const char *point)
{
    *m = (struct merging_fiber){.c = c, .left = 2, .point = point};
    wait_init(&m->done);
    CHECK_OK(fiber_spawn(loop_group_get(c->loops, 1), merge_in_fiber, m));
}

static inline void start_merge(struct tcluster *c, struct merging_fiber *m)
{
    start_merge_until(c, m, NULL);
}

/* The merge has come to the point that was armed before, where it is delayed. */
static inline void wait_hit(const char *point)
{
    uint64_t hits = 0;
    uint64_t acted;
    for (int i = 0; i < 30000 && hits == 0; i++) {
        CHECK_OK(fiber_sleep(2 * NS_PER_MS));
        CHECK_OK(faults_hits(point, &hits, &acted));
    }
    CHECK(hits > 0);
}

#endif
