/* For the tests: what a log should hold, kept the simple way, and the comparison with what it does
 * hold. */
#ifndef SKEIN_NODE_LOG_LOG_MODEL_H
#define SKEIN_NODE_LOG_LOG_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/disk_sim.h"
#include "base/rand.h"
#include "node/log/log.h"

enum { MODEL_GROUPS = 4, MODEL_ENTRIES = 256, MODEL_DATA_MAX = 1500 };

struct model_entry {
    uint64_t term;
    uint64_t nonce;
    uint32_t len;
};
struct model_group {
    bool exists;
    bool has_hs;
    struct raft_log_hard_state hs;
    uint64_t compacted;
    uint64_t compacted_term;
    uint64_t last;
    struct model_entry entries[MODEL_ENTRIES]; /* index % MODEL_ENTRIES */
};
struct model {
    struct model_group groups[MODEL_GROUPS];
};

enum model_op_kind { OP_APPEND, OP_HARD, OP_COMPACT, OP_RESET, OP_REMOVE };
struct model_op {
    enum model_op_kind kind;
    unsigned group; /* 0.. */
    uint64_t index;
    uint64_t term;
    struct raft_log_hard_state hs;
    struct model_entry entry; /* OP_APPEND: one entry */
};

static inline void model_data(struct model_entry e, uint8_t *out)
{
    struct rand r;
    rand_seed(&r, e.nonce);
    for (uint32_t i = 0; i < e.len; i += 8) {
        uint64_t w = i == 0 ? e.nonce : rand_u64(&r);
        memcpy(out + i, &w, e.len - i < 8 ? e.len - i : 8);
    }
}

static inline void model_apply(struct model *m, const struct model_op *op)
{
    struct model_group *g = &m->groups[op->group];
    switch (op->kind) {
    case OP_APPEND:
        g->entries[op->index % MODEL_ENTRIES] = op->entry;
        g->last = op->index;
        g->exists = true;
        break;
    case OP_HARD:
        g->hs = op->hs;
        g->has_hs = g->exists = true;
        break;
    case OP_COMPACT:
        if (op->index > g->compacted) {
            g->compacted = op->index;
            g->compacted_term = op->term;
        }
        break;
    case OP_RESET:
        g->compacted = g->last = op->index;
        g->compacted_term = op->term;
        g->exists = true;
        break;
    case OP_REMOVE: memset(g, 0, sizeof(*g)); break;
    }
}

static inline uint64_t model_term(const struct model_group *g, uint64_t index)
{
    return index == g->compacted ? g->compacted_term : g->entries[index % MODEL_ENTRIES].term;
}

/* A random operation that the group's state allows; `budget` entries at most. Fills ops, returns
 * how many (an append of n entries is n operations of one call). */
static inline size_t model_pick(struct rand *r, const struct model *m, struct model_op *ops,
                                size_t max, bool allow_remove)
{
    unsigned gi = (unsigned)rand_below(r, MODEL_GROUPS);
    const struct model_group *g = &m->groups[gi];
    uint64_t dice = rand_below(r, 100);
    uint64_t last_term = g->exists ? model_term(g, g->last) : 0;
    struct model_op op = {.group = gi};
    if (dice < 12) {
        op.kind = OP_HARD;
        op.hs = (struct raft_log_hard_state){rand_u64(r), rand_u64(r), rand_u64(r)};
    } else if (dice < 30 && g->exists && g->last > g->compacted) {
        op.kind = OP_COMPACT;
        op.index = g->compacted + 1 + rand_below(r, g->last - g->compacted);
        op.term = model_term(g, op.index);
    } else if (dice < 32 && allow_remove && g->exists) {
        op.kind = OP_REMOVE;
    } else if (dice < 34) {
        op.kind = OP_RESET;
        op.index = g->last + 1 + rand_below(r, 50);
        op.term = last_term + 1;
    } else {
        uint64_t first = g->last + 1;
        uint64_t term = last_term + (rand_below(r, 8) == 0);
        if (dice > 92 && g->exists && g->last > g->compacted) {
            first = g->compacted + 1 + rand_below(r, g->last - g->compacted);
            term = last_term + 1;
        }
        size_t n = 1 + rand_below(r, max);
        if (first + n - g->compacted >= MODEL_ENTRIES) {
            if (g->last <= g->compacted) {
                return 0;
            }
            op.kind = OP_COMPACT;
            op.index = g->last;
            op.term = last_term;
            ops[0] = op;
            return 1;
        }
        for (size_t i = 0; i < n; i++) {
            term += i != 0 && rand_below(r, 16) == 0;
            ops[i] = (struct model_op){.kind = OP_APPEND, .group = gi, .index = first + i};
            ops[i].entry.term = term == 0 ? 1 : term;
            ops[i].entry.nonce = rand_u64(r);
            ops[i].entry.len = rand_below(r, 4) == 0 ? (uint32_t)rand_below(r, MODEL_DATA_MAX)
                                                     : (uint32_t)rand_below(r, 100);
            ops[i].entry.len += 8;
        }
        return n;
    }
    ops[0] = op;
    return 1;
}

/* The operations of one model_pick, as one call on the batch. */
static inline void model_encode(struct raft_log_batch *b, const struct model_op *ops, size_t count)
{
    static _Thread_local uint8_t data[64][MODEL_DATA_MAX + 8];
    static _Thread_local struct raft_log_entry entries[64];
    uint64_t group = ops[0].group + 1;
    switch (ops[0].kind) {
    case OP_APPEND:
        for (size_t i = 0; i < count; i++) {
            model_data(ops[i].entry, data[i]);
            entries[i] = (struct raft_log_entry){ops[i].index, ops[i].entry.term,
                                                 (uint8_t)ops[i].entry.nonce,
                                                 slice_of(data[i], ops[i].entry.len)};
        }
        assert_int_equal(raft_log_batch_append(b, group, entries, count), ERR_OK);
        break;
    case OP_HARD: assert_int_equal(raft_log_batch_hard_state(b, group, ops[0].hs), ERR_OK); break;
    case OP_COMPACT:
        assert_int_equal(raft_log_batch_compact(b, group, ops[0].index, ops[0].term), ERR_OK);
        break;
    case OP_RESET:
        assert_int_equal(raft_log_batch_reset(b, group, ops[0].index, ops[0].term), ERR_OK);
        break;
    case OP_REMOVE: assert_int_equal(raft_log_batch_remove(b, group), ERR_OK); break;
    }
}

/* What the log holds, with every entry read and its data checked against its nonce. */
static inline void model_extract(struct raft_log *log, struct model *m)
{
    memset(m, 0, sizeof(*m));
    for (unsigned gi = 0; gi < MODEL_GROUPS; gi++) {
        struct model_group *g = &m->groups[gi];
        struct raft_log_group info;
        if (raft_log_group_get(log, gi + 1, &info) != ERR_OK) {
            continue;
        }
        g->exists = true;
        g->has_hs = info.has_hard_state;
        g->hs = info.hard_state;
        g->compacted = info.compacted_index;
        g->compacted_term = info.compacted_term;
        g->last = info.last_index;
        struct arena a;
        arena_init(&a, NULL, NULL, 0);
        for (uint64_t i = info.first_index; i <= info.last_index;) {
            struct raft_log_page page;
            struct diag d;
            diag_reset(&d);
            db_err err = raft_log_entries(log, gi + 1, i, info.last_index + 1, 3000,
                                          RAFT_LOG_READ_ANY, &a, &d, &page);
            if (err != ERR_OK) {
                fail_msg("read of %llu: %s", (unsigned long long)i, d.text);
            }
            assert_true(page.count > 0);
            for (size_t k = 0; k < page.count; k++, i++) {
                uint8_t want[MODEL_DATA_MAX + 8];
                const struct raft_log_entry *e = &page.entries[k];
                struct model_entry me = {e->term, 0, (uint32_t)e->data.len};
                uint64_t term = 0;
                assert_int_equal(e->index, i);
                assert_true(e->data.len >= 8 && e->data.len <= sizeof(want));
                memcpy(&me.nonce, e->data.ptr, 8);
                model_data(me, want);
                assert_memory_equal(e->data.ptr, want, e->data.len);
                assert_int_equal(e->type, (uint8_t)me.nonce);
                assert_int_equal(raft_log_term(log, gi + 1, i, &term), ERR_OK);
                assert_int_equal(term, e->term);
                g->entries[i % MODEL_ENTRIES] = me;
            }
            arena_reset(&a);
        }
        arena_fini(&a);
    }
}

static inline bool model_group_equal(const struct model_group *a, const struct model_group *b)
{
    if (a->exists != b->exists || a->has_hs != b->has_hs ||
        memcmp(&a->hs, &b->hs, sizeof(a->hs)) != 0 || a->compacted != b->compacted ||
        a->compacted_term != b->compacted_term || a->last != b->last) {
        return false;
    }
    for (uint64_t i = a->compacted + 1; i <= a->last; i++) {
        const struct model_entry *x = &a->entries[i % MODEL_ENTRIES];
        const struct model_entry *y = &b->entries[i % MODEL_ENTRIES];
        if (x->term != y->term || x->nonce != y->nonce || x->len != y->len) {
            return false;
        }
    }
    return true;
}

static inline bool model_equal(const struct model *a, const struct model *b)
{
    for (unsigned i = 0; i < MODEL_GROUPS; i++) {
        if (!model_group_equal(&a->groups[i], &b->groups[i])) {
            return false;
        }
    }
    return true;
}

#endif
