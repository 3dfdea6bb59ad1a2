/* A log with a hash chain, so that two logs can be compared at one index instead of entry by entry.
 */
#include "tests/sim/sim.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

void sim_log_truncate(struct sim_log *log, uint64_t from)
{
    ASSERT(from > log->base_index);
    while (log->count > 0 && log->v[log->count - 1].e.index >= from) {
        blob_unref(log->v[--log->count].e.blob);
    }
}

void sim_log_fini(struct sim_log *log)
{
    sim_log_truncate(log, log->base_index + 1);
    mem_free(log->v);
    memset(log, 0, sizeof(*log));
}

void sim_log_reset(struct sim_log *log, uint64_t index, uint64_t term, uint64_t chain)
{
    sim_log_truncate(log, log->base_index + 1);
    log->base_index = index;
    log->base_term = term;
    log->base_chain = chain;
}

uint64_t sim_log_last(const struct sim_log *log)
{
    return log->base_index + log->count;
}

void sim_log_append(struct sim_log *log, const struct raft_entry *e)
{
    ASSERT(e->index <= sim_log_last(log) + 1);
    sim_log_truncate(log, e->index);
    if (log->count == log->cap) {
        log->cap = log->cap == 0 ? 64 : log->cap * 2;
        log->v = mem_realloc(log->v, log->cap * sizeof(*log->v));
        ASSERT(log->v != NULL);
    }
    uint64_t chain = log->count == 0 ? log->base_chain : log->v[log->count - 1].chain;
    uint64_t head[3] = {e->index, e->term, e->type};
    chain = sim_hash(chain, head, sizeof(head));
    chain = sim_hash(chain, e->data.ptr, e->data.len);
    if (e->blob != NULL) {
        blob_ref(e->blob);
    }
    log->v[log->count++] = (struct sim_entry){.e = *e, .chain = chain};
}

void sim_log_compact(struct sim_log *log, uint64_t to)
{
    ASSERT(to <= sim_log_last(log));
    if (to <= log->base_index) {
        return;
    }
    size_t n = (size_t)(to - log->base_index);
    log->base_term = log->v[n - 1].e.term;
    log->base_chain = log->v[n - 1].chain;
    log->base_index = to;
    for (size_t i = 0; i < n; i++) {
        blob_unref(log->v[i].e.blob);
    }
    memmove(log->v, log->v + n, (log->count - n) * sizeof(*log->v));
    log->count -= n;
}

void sim_log_copy(struct sim_log *to, const struct sim_log *from)
{
    sim_log_reset(to, from->base_index, from->base_term, from->base_chain);
    for (size_t i = 0; i < from->count; i++) {
        sim_log_append(to, &from->v[i].e);
    }
}

const struct sim_entry *sim_log_at(const struct sim_log *log, uint64_t index)
{
    if (index <= log->base_index || index > sim_log_last(log)) {
        return NULL;
    }
    return &log->v[index - log->base_index - 1];
}

bool sim_log_chain(const struct sim_log *log, uint64_t index, uint64_t *ret_chain)
{
    const struct sim_entry *e = sim_log_at(log, index);
    if (e == NULL && index != log->base_index) {
        return false;
    }
    *ret_chain = e == NULL ? log->base_chain : e->chain;
    return true;
}
