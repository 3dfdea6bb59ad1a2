/* A node's disk: writes become durable in the order in which they were submitted, some time later.
 * A crash loses what is still waiting, but for a random prefix: a write may have reached the
 * platter without anybody having been told. */
#include "tests/sim/sim.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

/* ---- the log as the core reads it: what is durable ---- */

static uint64_t log_first(void *ctx)
{
    const struct sim_replica *rep = ctx;
    return rep->disk.base_index + 1;
}

static uint64_t log_last(void *ctx)
{
    const struct sim_replica *rep = ctx;
    return sim_log_last(&rep->disk);
}

static db_err log_term(void *ctx, uint64_t index, uint64_t *ret_term)
{
    const struct sim_replica *rep = ctx;
    if (index == rep->disk.base_index) {
        *ret_term = rep->disk.base_term;
        return ERR_OK;
    }
    const struct sim_entry *e = sim_log_at(&rep->disk, index);
    if (e == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_term = e->e.term;
    return ERR_OK;
}

static db_err log_entries(void *ctx, uint64_t lo, uint64_t hi, size_t max_bytes,
                          struct arena *arena, const struct raft_entry **ret_entries,
                          size_t *ret_count)
{
    struct sim_replica *rep = ctx;
    struct sim *s = rep->sim;
    if (lo <= rep->disk.base_index) {
        return ERR_NOT_FOUND;
    }
    ASSERT(hi <= sim_log_last(&rep->disk) + 1);
    if (rep->raft != NULL && sim_chance(s, s->page_block_permille)) {
        if (!rep->log_ready_due) {
            rep->log_ready_due = true;
            struct sim_event *ev = sim_schedule(s, sim_pick(s, 100, 5000) * NS_PER_US,
                                                SIM_EV_LOG_READY, rep->node->slot);
            ev->group = rep->group;
            ev->a = rep->born;
        }
        return ERR_WOULD_BLOCK;
    }
    size_t n = 0;
    size_t bytes = 0;
    while (lo + n < hi) {
        size_t len = sim_log_at(&rep->disk, lo + n)->e.data.len;
        if (n > 0 && bytes + len > max_bytes) {
            break;
        }
        bytes += len;
        n++;
    }
    struct raft_entry *out = ARENA_ARRAY(arena, struct raft_entry, n);
    ASSERT(out != NULL);
    for (size_t i = 0; i < n; i++) {
        const struct raft_entry *e = &sim_log_at(&rep->disk, lo + i)->e;
        out[i] = *e;
        out[i].blob = NULL;
        uint8_t *copy = arena_alloc(arena, e->data.len);
        ASSERT(copy != NULL);
        if (e->data.len > 0) {
            memcpy(copy, e->data.ptr, e->data.len);
        }
        out[i].data = slice_of(copy, e->data.len);
    }
    *ret_entries = out;
    *ret_count = n;
    return ERR_OK;
}

static db_err log_snapshot_meta(void *ctx, struct raft_snapshot_meta *ret_meta)
{
    const struct sim_replica *rep = ctx;
    if (sim_chance(rep->sim, 100)) {
        return ERR_WOULD_BLOCK;
    }
    ret_meta->index = rep->state.applied;
    ret_meta->term = rep->state.term;
    ret_meta->conf = rep->state.conf;
    return ERR_OK;
}

const struct raft_log_ops sim_log_ops = {
    .name = "sim",
    .first_index = log_first,
    .last_index = log_last,
    .term = log_term,
    .entries = log_entries,
    .snapshot_meta = log_snapshot_meta,
};

/* ---- writes ---- */

static struct sim_write *push(struct sim_node *n)
{
    if (n->write_head + n->write_count == n->write_cap) {
        if (n->write_head > 0) {
            memmove(n->writes, n->writes + n->write_head, n->write_count * sizeof(*n->writes));
            n->write_head = 0;
        } else {
            n->write_cap = n->write_cap == 0 ? 16 : n->write_cap * 2;
            n->writes = mem_realloc(n->writes, n->write_cap * sizeof(*n->writes));
            ASSERT(n->writes != NULL);
        }
    }
    struct sim_write *w = &n->writes[n->write_head + n->write_count++];
    memset(w, 0, sizeof(*w));
    return w;
}

static void submit(struct sim_node *n, struct sim_write *w)
{
    struct sim *s = n->sim;
    uint64_t start = n->disk_busy_until > s->now ? n->disk_busy_until : s->now;
    w->done_at = start + sim_pick(s, n->disk_min_ns, n->disk_max_ns);
    /* Group commit: what comes while a sync runs shares the next one. */
    n->disk_busy_until = w->done_at > s->now + 4 * n->disk_max_ns ? start : w->done_at;
    w->done_at = n->disk_busy_until > w->done_at ? n->disk_busy_until : w->done_at;
    struct sim_event *ev = sim_schedule(s, w->done_at - s->now, SIM_EV_DISK, n->slot);
    ev->a = n->incarnation;
}

void sim_disk_submit(struct sim_replica *rep, const struct raft_ready *rd)
{
    if (rd->persist_seq != 0) {
        struct sim_write *w = push(rep->node);
        w->group = rep->group;
        w->born = rep->born;
        w->seq = rd->persist_seq;
        w->has_hs = rd->has_hard_state;
        w->hs = rd->hard_state;
        w->count = rd->entry_count;
        if (w->count > 0) {
            w->entries = mem_alloc(w->count * sizeof(*w->entries));
            ASSERT(w->entries != NULL);
        }
        for (size_t i = 0; i < w->count; i++) {
            w->entries[i] = rd->entries[i];
            if (w->entries[i].blob != NULL) {
                blob_ref(w->entries[i].blob);
            }
            sim_log_append(&rep->mem, &rd->entries[i]);
            sim_check_entry(rep, &rep->mem.v[rep->mem.count - 1]);
        }
        submit(rep->node, w);
    }
    if (rd->snapshot != NULL) {
        ASSERT(rep->staged_valid && rep->staged.applied == rd->snapshot->index);
        struct sim_write *w = push(rep->node);
        w->group = rep->group;
        w->born = rep->born;
        w->install = true;
        w->state = rep->staged;
        w->chain = rep->sim->groups[rep->group].chains[rep->staged.applied];
        submit(rep->node, w);
    }
}

static void write_free(struct sim_write *w)
{
    for (size_t i = 0; i < w->count; i++) {
        blob_unref(w->entries[i].blob);
    }
    mem_free(w->entries);
    w->entries = NULL;
    w->count = 0;
}

static void make_durable(struct sim_node *n, const struct sim_write *w)
{
    struct sim_replica *rep = &n->replicas[w->group];
    if (w->born != rep->born) {
        return; /* the replica it was for has been removed */
    }
    if (w->has_hs) {
        rep->hs = w->hs;
    }
    for (size_t i = 0; i < w->count; i++) {
        sim_log_append(&rep->disk, &w->entries[i]);
    }
    if (w->install) {
        sim_log_reset(&rep->disk, w->state.applied, w->state.term, w->chain);
        rep->durable_state = w->state;
    }
}

/* Tells the core of what has just become durable. */
static void complete(struct sim_node *n, const struct sim_write *w)
{
    struct sim_replica *rep = &n->replicas[w->group];
    if (w->born != rep->born || rep->raft == NULL) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_PERSISTED, .u.persist_seq = w->seq};
    if (w->install) {
        sim_log_reset(&rep->mem, w->state.applied, w->state.term, w->chain);
        rep->state = w->state;
        ev.type = RAFT_EV_SNAPSHOT_INSTALLED;
        ev.u.snapshot_installed.index = w->state.applied;
        ev.u.snapshot_installed.ok = true;
        n->sim->snapshots++;
    }
    if (sim_step(rep, &ev) != ERR_OK) {
        sim_violation(n->sim, "replica %lu refuses a completion", (unsigned long)rep->id);
    }
}

void sim_disk_event(struct sim_node *n)
{
    while (n->write_count > 0 && n->writes[n->write_head].done_at <= n->sim->now) {
        struct sim_write w = n->writes[n->write_head];
        n->write_head++;
        n->write_count--;
        make_durable(n, &w);
        complete(n, &w);
        write_free(&w);
    }
}

void sim_disk_crash(struct sim_node *n)
{
    bool none = n->write_count == 0 || n->sim->opt.scripted;
    size_t survive = none ? 0 : (size_t)sim_pick(n->sim, 0, n->write_count);
    for (size_t i = 0; i < n->write_count; i++) {
        struct sim_write *w = &n->writes[n->write_head + i];
        if (i < survive) {
            make_durable(n, w);
        }
        write_free(w);
    }
    n->write_head = n->write_count = 0;
    n->disk_busy_until = 0;
}

void sim_disk_flush(struct sim_replica *rep)
{
    struct sim *s = rep->sim;
    if (rep->raft == NULL || rep->state.applied < rep->durable_state.applied) {
        return;
    }
    rep->durable_state = rep->state;
    uint64_t keep = sim_pick(s, 0, 30);
    uint64_t to = rep->durable_state.applied;
    to = to > keep ? to - keep : 0;
    if (to <= sim_log_last(&rep->disk)) {
        sim_log_compact(&rep->disk, to);
        sim_log_compact(&rep->mem, to);
    }
}
