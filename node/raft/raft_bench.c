/* CPU per entry and replica on the happy path: G groups of three replicas in one thread; messages
 * and "disk" are passed in memory at once. Each round proposes one batch to every group and runs
 * all three replicas until the batch is applied everywhere (by the next round's commit index).
 *
 *     node_raft_raft_bench [entries per batch ...] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "node/raft/raft.h"

enum { REPLICAS = 3, ENTRY_SIZE = 128, INBOX_MAX = 16, BATCH_MAX = 256 };

/* A log of which nothing is ever asked: all entries are served from the core's memory. */
struct bench_log {
    uint64_t last, last_term;
};

static uint64_t log_first(void *ctx)
{
    (void)ctx;
    return 1;
}

static uint64_t log_last(void *ctx)
{
    return ((struct bench_log *)ctx)->last;
}

static db_err log_term(void *ctx, uint64_t index, uint64_t *ret_term)
{
    struct bench_log *log = ctx;
    if (index > log->last) {
        return ERR_NOT_FOUND;
    }
    *ret_term = log->last_term; /* one term in the whole run */
    return ERR_OK;
}

static db_err log_entries(void *ctx, uint64_t lo, uint64_t hi, size_t max_bytes,
                          struct arena *arena, const struct raft_entry **ret_entries,
                          size_t *ret_count)
{
    (void)ctx, (void)lo, (void)hi, (void)max_bytes, (void)arena, (void)ret_entries, (void)ret_count;
    return ERR_WOULD_BLOCK;
}

static db_err log_snapshot(void *ctx, struct raft_snapshot_meta *ret_meta)
{
    (void)ctx, (void)ret_meta;
    return ERR_WOULD_BLOCK;
}

static const struct raft_log_ops bench_log_ops = {.name = "bench",
                                                  .first_index = log_first,
                                                  .last_index = log_last,
                                                  .term = log_term,
                                                  .entries = log_entries,
                                                  .snapshot_meta = log_snapshot};

struct replica {
    struct raft *raft;
    struct bench_log log;
    uint64_t persist_seq;
    uint64_t applied;
    uint64_t applied_entries;
};

struct group {
    struct replica replicas[REPLICAS];
};

static uint64_t g_now = 1000000000;
/* Entries on their way; empty again whenever a group has settled. */
static struct raft_entry g_wire[64 * BATCH_MAX];
static size_t g_wire_count;
static struct raft_msg g_inbox[REPLICAS][INBOX_MAX];
static size_t g_inbox_count[REPLICAS];

static void step(struct replica *rep, struct raft_event ev)
{
    ev.now_ns = g_now;
    db_err err = raft_step(rep->raft, &ev);
    ASSERT(err == ERR_OK);
}

/* A round's entries are one proposal with one blob; only the first no-op has none. */
static struct blob *message_blob(const struct raft_msg *m)
{
    ASSERT(m->entry_count > 0);
    return m->entries[m->entry_count - 1].blob;
}

/* The network: entries are handed over with a reference on their blob, as a decoded message would
 * be. */
static void post(const struct raft_msg *m)
{
    size_t to = (size_t)m->to - 1;
    ASSERT(g_inbox_count[to] < INBOX_MAX && m->entry_count <= BATCH_MAX);
    struct raft_msg *copy = &g_inbox[to][g_inbox_count[to]++];
    *copy = *m;
    if (m->entry_count > 0) {
        ASSERT(g_wire_count + m->entry_count <= ARRAY_COUNT(g_wire));
        copy->entries = g_wire + g_wire_count;
        memcpy(g_wire + g_wire_count, m->entries, m->entry_count * sizeof(*m->entries));
        g_wire_count += m->entry_count;
        struct blob *blob = message_blob(m);
        if (blob != NULL) {
            blob_ref(blob);
        }
    }
}

static void post_done(const struct raft_msg *m)
{
    if (m->entry_count > 0) {
        blob_unref(message_blob(m));
    }
}

static bool serve(struct replica *rep)
{
    bool any = false;
    while (raft_has_ready(rep->raft)) {
        struct raft_ready rd;
        db_err err = raft_ready(rep->raft, &rd);
        ASSERT(err == ERR_OK);
        any = true;
        for (size_t i = 0; i < rd.message_count; i++) {
            post(&rd.messages[i]);
        }
        if (rd.entry_count > 0) {
            rep->log.last = rd.entries[rd.entry_count - 1].index;
            rep->log.last_term = rd.entries[rd.entry_count - 1].term;
        }
        if (rd.committed_count > 0) {
            rep->applied = rd.committed[rd.committed_count - 1].index;
            rep->applied_entries += rd.committed_count;
        }
        uint64_t seq = rd.persist_seq;
        bool applied = rd.committed_count > 0;
        raft_advance(rep->raft);
        if (seq != 0) {
            step(rep, (struct raft_event){.type = RAFT_EV_PERSISTED, .u.persist_seq = seq});
        }
        if (applied) {
            step(rep,
                 (struct raft_event){.type = RAFT_EV_APPLIED, .u.applied_index = rep->applied});
        }
    }
    return any;
}

static void settle(struct group *g)
{
    g_wire_count = 0;
    for (bool any = true; any;) {
        any = false;
        for (int i = 0; i < REPLICAS; i++) {
            struct replica *rep = &g->replicas[i];
            for (size_t m = 0; m < g_inbox_count[i]; m++) {
                step(rep,
                     (struct raft_event){.type = RAFT_EV_MESSAGE, .u.message = &g_inbox[i][m]});
                post_done(&g_inbox[i][m]);
                any = true;
            }
            g_inbox_count[i] = 0;
            any |= serve(rep);
        }
    }
}

static void group_open(struct group *g, uint64_t seed)
{
    for (uint64_t i = 0; i < REPLICAS; i++) {
        struct raft_config c = {.id = i + 1,
                                .log = &bench_log_ops,
                                .log_ctx = &g->replicas[i].log,
                                .now_ns = g_now,
                                .seed = seed * REPLICAS + i,
                                .external_heartbeat = true};
        for (uint64_t v = 0; v < REPLICAS; v++) {
            c.conf.members[c.conf.count++] =
                (struct raft_member){.id = v + 1, .roles = RAFT_ROLE_VOTER};
        }
        db_err err = raft_new(&c, &g->replicas[i].raft);
        ASSERT(err == ERR_OK);
    }
    settle(g);
    step(&g->replicas[0], (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    settle(g);
    ASSERT(raft_role(g->replicas[0].raft) == RAFT_LEADER);
}

static void propose(struct group *g, struct blob *blob, size_t count)
{
    struct slice data[BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        data[i] = slice_of(blob->data + i * ENTRY_SIZE, ENTRY_SIZE);
    }
    struct raft_event ev = {.type = RAFT_EV_PROPOSE};
    ev.u.propose.data = data;
    ev.u.propose.count = count;
    ev.u.propose.blob = blob;
    step(&g->replicas[0], ev);
}

static uint64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void run(size_t groups, size_t batch)
{
    struct group *all = mem_calloc(groups, sizeof(*all));
    ASSERT(all != NULL);
    for (size_t i = 0; i < groups; i++) {
        group_open(&all[i], i + 1);
    }
    uint64_t before = 0;
    for (size_t i = 0; i < groups; i++) {
        for (int k = 0; k < REPLICAS; k++) {
            before += all[i].replicas[k].applied_entries;
        }
    }
    size_t rounds = 1500000 / (groups * batch) + 1;
    uint64_t start = cpu_ns();
    for (size_t n = 0; n < rounds; n++) {
        g_now += 1000000;
        for (size_t i = 0; i < groups; i++) {
            struct blob *blob = blob_new(batch * ENTRY_SIZE);
            ASSERT(blob != NULL);
            propose(&all[i], blob, batch);
            blob_unref(blob);
            settle(&all[i]);
        }
    }
    uint64_t took = cpu_ns() - start;
    uint64_t applied = 0;
    for (size_t i = 0; i < groups; i++) {
        for (int k = 0; k < REPLICAS; k++) {
            applied += all[i].replicas[k].applied_entries;
            raft_free(all[i].replicas[k].raft);
        }
    }
    mem_free(all);
    printf("%5zu groups, batches of %3zu: %6.1f ns per entry and replica (%lu applied)\n", groups,
           batch, (double)took / (double)(rounds * groups * batch * REPLICAS),
           (unsigned long)(applied - before));
}

int main(int argc, char **argv)
{
    static const size_t group_counts[] = {200, 1000};
    static const size_t batches[] = {1, 4, 16, 64};
    for (size_t g = 0; g < ARRAY_COUNT(group_counts); g++) {
        for (size_t b = 0; argc == 1 && b < ARRAY_COUNT(batches); b++) {
            run(group_counts[g], batches[b]);
        }
        for (int i = 1; i < argc; i++) {
            size_t batch = (size_t)strtoul(argv[i], NULL, 10);
            run(group_counts[g], batch >= 1 && batch <= BATCH_MAX ? batch : 1);
        }
    }
    return 0;
}
