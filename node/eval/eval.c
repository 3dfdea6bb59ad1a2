/* What the commands share: checks, intents on the way of readers, and the frame of a write.
 *
 * The number of intents. r->intents is an upper bound, so that readers and writers of a range
 * without intents skip the lock family: a write adds what it may create before it proposes, takes
 * it back when it certainly was not applied, and takes off what it removed after apply. Why a
 * reader may trust a zero: an intent that matters to read_ts belongs to a commit <= read_ts, whose
 * timestamp was asked for after the intent was counted (and for async commit, after the key was
 * pending); the argument is that of node/lock/lock_table.c with the counter in the place of the
 * table.
 *
 * A lease that begins counts anew. A write of an earlier lease may hear of its fate only after
 * that: what it added or removed is in the new count or is not, as the engine has it, and must not
 * be taken off once more. So the counter carries a generation, and a write takes off only from the
 * one it added to.
 *
 * It may stay too high: a lease begins with more intents than are worth counting, both halves of a
 * split begin with the number of the whole, a write may or may not have been applied. So who has
 * settled a whole range, or looked through it, finds out whether none is left: with writes kept out
 * for the time of a seek, and never when the fate of a write of this lease is open.
 *
 * Records that a 1PC has to look for. A 1PC leaves no intent, so that its late or lost request can
 * only be fenced by a record at its primary, which every 1PC would have to read before it commits.
 * Such records are rare, and which transactions can have one is known: all that were recorded
 * before the lease began have names below the first timestamp that was given under the lease, and
 * those recorded since are counted as they come. So a transaction that began under the lease reads
 * nothing, unless a younger one was recorded. */
#include "node/eval/eval.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sim_break.h"
#include "node/eval/eval_int.h"

void eval_range_init(struct eval_range *r, const struct eval_range_ops *ops, struct engine *engine,
                     struct lock_table *locks)
{
    r->ops = ops;
    r->engine = engine;
    r->locks = locks;
    atomic_init(&r->intents, INTENTS_UNKNOWN);
    atomic_init(&r->uncertain, false);
    atomic_init(&r->frozen, NULL);
    atomic_init(&r->lock_number, 0);
    atomic_init(&r->records_term, 0);
    atomic_init(&r->records_below, 0);
    atomic_init(&r->records_high, 0);
}

/* ---- the number of intents ---- */

#define INTENTS_MASK ((UINT64_C(1) << INTENTS_BITS) - 1)

static uint64_t intents_count(struct eval_range *r)
{
    return atomic_load_explicit(&r->intents, memory_order_acquire) & INTENTS_MASK;
}

static void intents_set(struct eval_range *r, uint64_t count)
{
    uint64_t old = atomic_load_explicit(&r->intents, memory_order_relaxed);
    uint64_t new;
    do {
        new = ((old >> INTENTS_BITS) + 1) << INTENTS_BITS | count;
    } while (!atomic_compare_exchange_weak_explicit(&r->intents, &old, new, memory_order_seq_cst,
                                                    memory_order_relaxed));
}

/* Returns the generation. Readers on all loops look at the word: who adds nothing leaves it alone.
 */
static uint64_t intents_add(struct eval_range *r, uint64_t n)
{
    uint64_t word = n == 0 ? atomic_load_explicit(&r->intents, memory_order_acquire)
                           : atomic_fetch_add_explicit(&r->intents, n, memory_order_seq_cst);
    return word >> INTENTS_BITS;
}

/* Of two ranges that become one, in the generation of the first. Not known and not known is not
 * known: the sum would carry into the generation and leave none. */
static void intents_join(struct eval_range *r, uint64_t n)
{
    uint64_t old = atomic_load_explicit(&r->intents, memory_order_relaxed);
    uint64_t new;
    do {
        uint64_t sum = (old & INTENTS_MASK) + n;
        new = (old & ~INTENTS_MASK) | (sum < INTENTS_UNKNOWN ? sum : INTENTS_UNKNOWN);
    } while (!atomic_compare_exchange_weak_explicit(&r->intents, &old, new, memory_order_seq_cst,
                                                    memory_order_relaxed));
}

static void intents_sub(struct eval_range *r, uint64_t generation, uint64_t n)
{
    if (n == 0) {
        return;
    }
    uint64_t old = atomic_load_explicit(&r->intents, memory_order_relaxed);
    uint64_t new;
    do {
        if (old >> INTENTS_BITS != generation) {
            return;
        }
        bool enough = (old & INTENTS_MASK) >= n;
        ASSERT_SLOW(enough);
        new = enough ? old - n : generation << INTENTS_BITS | INTENTS_UNKNOWN;
    } while (!atomic_compare_exchange_weak_explicit(&r->intents, &old, new, memory_order_release,
                                                    memory_order_relaxed));
}

static db_err still_led(struct eval_range *r, const struct kv_request *req)
{
    struct kv_reply reply = {0};
    struct diag diag;
    uint64_t term;
    diag_reset(&diag);
    return req->applied_min != 0
               ? ERR_NOT_LEADER
               : r->ops->check(r, req, SLICE_EMPTY, SLICE_EMPTY, &diag, &reply, &term);
}

void eval__intents_gone(struct eval_range *r, const struct kv_request *req)
{
    enum { PATIENCE_NS = 200 * NS_PER_MS };
    struct latch_guard guard;
    struct slice start, end;
    struct mvcc_intent_name *found;
    size_t count = 1;
    uint64_t deadline = clock_mono_ns() + PATIENCE_NS;
    if (intents_count(r) == 0 ||
        latch_acquire_all(r->locks, deadline < req->deadline_ns ? deadline : req->deadline_ns,
                          &guard) != ERR_OK) {
        return;
    }
    uint64_t old = atomic_load_explicit(&r->intents, memory_order_seq_cst);
    /* The lease may have ended while the latches were waited for. From then on nobody counts, and a
     * replica that reads without the lease has to look. If it ends later, the number changes. */
    db_err err = still_led(r, req);
    if (err == ERR_OK) {
        err = r->ops->bounds(r, req->arena, &start, &end);
    }
    if (err == ERR_OK) {
        err = mvcc_intent_scan(r->engine, start, end, 0, 1, req->arena, &found, &count);
    }
    if (err == ERR_OK && count == 0 && !atomic_load_explicit(&r->uncertain, memory_order_seq_cst)) {
        uint64_t none = ((old >> INTENTS_BITS) + 1) << INTENTS_BITS;
        atomic_compare_exchange_strong_explicit(&r->intents, &old, none, memory_order_seq_cst,
                                                memory_order_relaxed);
    }
    latch_release(&guard);
}

/* ---- records that a 1PC has to look for ---- */

static void raise_to(_Atomic uint64_t *at, uint64_t v)
{
    uint64_t old = atomic_load_explicit(at, memory_order_acquire);
    while (old < v && !atomic_compare_exchange_weak_explicit(at, &old, v, memory_order_release,
                                                             memory_order_acquire)) {
    }
}

void eval__note_record(struct eval_range *r, ts_t start_ts)
{
    raise_to(&r->records_high, start_ts);
}

void eval__records_known(struct eval_range *r, uint64_t term, ts_t now)
{
    if (LIKELY(atomic_load_explicit(&r->records_term, memory_order_acquire) == term)) {
        return;
    }
    /* Both only ascend: whoever still works in an older term looks for more than he needs to. */
    raise_to(&r->records_below, now);
    raise_to(&r->records_term, term);
}

/* ---- leases, splits ---- */

db_err eval_range_lease_begin(struct eval_range *r, struct slice start, struct slice end,
                              uint64_t lock_number, struct diag *diag UNUSED)
{
    enum { COUNT_MAX = 10000 };
    struct arena arena;
    struct mvcc_intent_name *names;
    size_t count = 0;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = mvcc_intent_scan(r->engine, start, end, 0, COUNT_MAX, &arena, &names, &count);
    arena_fini(&arena);
    TRY(err);
    if (SIM_BROKEN(SPLIT_INTENTS) && lock_number == 0) {
        count = 0;
    }
    atomic_store_explicit(&r->uncertain, false, memory_order_seq_cst);
    intents_set(r, count < COUNT_MAX ? count : INTENTS_UNKNOWN);
    TRY(lock_table_set_end(r->locks, end));
    if (lock_number != 0) {
        atomic_store_explicit(&r->lock_number, lock_number, memory_order_release);
    }
    lock_table_open(r->locks, lock_number == 0);
    return ERR_OK;
}

void eval_range_lease_end(struct eval_range *r)
{
    lock_table_close(r->locks);
    intents_set(r, INTENTS_UNKNOWN);
}

db_err eval_range_split(struct eval_range *r, struct slice at, struct eval_range *right)
{
    TRY(lock_table_split(r->locks, at, right->locks));
    atomic_store_explicit(&right->lock_number,
                          atomic_load_explicit(&r->lock_number, memory_order_acquire),
                          memory_order_release);
    intents_set(right, intents_count(r));
    return ERR_OK;
}

db_err eval_range_merge(struct eval_range *r, struct eval_range *right, uint64_t fresh, bool intact)
{
    db_err err = lock_table_merge(r->locks, right->locks);
    if (err != ERR_OK || !intact ||
        atomic_load(&r->lock_number) != atomic_load(&right->lock_number)) {
        /* Neither number would do: what a transaction noted under it for keys of the other half,
         * before a split, may have been lost since. */
        atomic_store_explicit(&r->lock_number, fresh, memory_order_release);
    }
    intents_join(r, intents_count(right));
    atomic_store_explicit(&r->records_term, 0, memory_order_release); /* right's are unknown */
    return err;
}

db_err eval_range_freeze(struct eval_range *r, uint64_t deadline_ns)
{
    struct latch_guard *g = mem_alloc(sizeof(*g));
    if (g == NULL) {
        return ERR_NOMEM;
    }
    db_err err = latch_acquire_all(r->locks, deadline_ns, g);
    if (err != ERR_OK) {
        mem_free(g);
        return err;
    }
    atomic_store_explicit(&r->frozen, g, memory_order_release);
    return ERR_OK;
}

void eval_range_thaw(struct eval_range *r)
{
    struct latch_guard *g = atomic_exchange_explicit(&r->frozen, NULL, memory_order_acq_rel);
    ASSERT(g != NULL);
    latch_release(g);
    mem_free(g);
}

/* ---- checks ---- */

db_err eval__check(struct eval_range *r, const struct kv_request *req, struct slice start,
                   struct slice end, struct diag *diag, struct kv_reply *reply, uint64_t *ret_term)
{
    return r->ops->check(r, req, start, end, diag, reply, ret_term);
}

db_err eval__check_again(struct eval_range *r, const struct kv_request *req, struct slice start,
                         struct slice end, uint64_t term, struct diag *diag, struct kv_reply *reply)
{
    uint64_t now;
    TRY(r->ops->check(r, req, start, end, diag, reply, &now));
    return LIKELY(now == term)
               ? ERR_OK
               : diag_set(diag, ERR_NOT_LEADER, "the lease changed hands meanwhile");
}

db_err eval__check_keys(struct eval_range *r, const struct kv_request *req,
                        const struct slice *keys, size_t count, struct diag *diag,
                        struct kv_reply *reply, uint64_t *ret_term)
{
    struct slice none = SLICE_EMPTY;
    if (count == 0) {
        return eval__check(r, req, none, none, diag, reply, ret_term);
    }
    TRY(eval__check(r, req, keys[0], none, diag, reply, ret_term));
    if (count > 1) {
        TRY(eval__check(r, req, keys[count - 1], none, diag, reply, ret_term));
    }
    return ERR_OK;
}

/* ---- intents ---- */

db_err eval__key_locked(const struct mvcc_intent *intent, struct slice key, struct diag *diag,
                        struct kv_reply *reply)
{
    reply->lock = (struct kv_lock_info){.key = key,
                                        .primary = intent->primary,
                                        .start_ts = intent->start_ts,
                                        .min_commit_ts = intent->min_commit_ts,
                                        .ttl_ms = intent->ttl_ms,
                                        .async_commit = intent->async_commit};
    db_err err = diag_set(diag, ERR_KEY_LOCKED, "a key is locked by transaction %llu",
                          (unsigned long long)intent->start_ts);
    if (diag != NULL) {
        diag->data = intent->start_ts;
    }
    return err;
}

db_err eval__intents_of_keys(struct eval_range *r, const struct slice *keys, size_t count,
                             ts_t read_ts, ts_t own_ts, struct arena *arena, struct diag *diag,
                             struct kv_reply *reply)
{
    if (LIKELY(!eval__may_have_intents(r))) {
        return ERR_OK;
    }
    struct slice key;
    for (size_t i = 0; i < count;) {
        size_t at;
        struct mvcc_intent in;
        TRY(mvcc_intent_find(r->engine, keys + i, count - i, own_ts, arena, &at, &in));
        if (at == count - i) {
            return ERR_OK;
        }
        i += at;
        if (mvcc_intent_blocks(&in, read_ts, own_ts)) {
            TRY(arena_copy(arena, keys[i], &key));
            return eval__key_locked(&in, key, diag, reply);
        }
        i++;
    }
    return ERR_OK;
}

/* ---- waiting for pending writes ---- */

static uint64_t patience(struct eval_range *r, uint64_t deadline_ns)
{
    struct diag diag;
    diag_reset(&diag);
    if (LIKELY(r->ops->admit == NULL || r->ops->admit(r, &diag) == ERR_OK)) {
        return deadline_ns;
    }
    uint64_t until = clock_mono_ns() + EVAL_FULL_WAIT_NS;
    return until < deadline_ns ? until : deadline_ns;
}

static db_err out_of_patience(struct diag *diag)
{
    return diag_set(diag, ERR_DISK_FULL,
                    "the disk is full, and a write to these rows waits for space");
}

db_err eval__await_keys(struct eval_range *r, const struct kv_request *req,
                        const struct slice *keys, size_t count, ts_t read_ts, struct diag *diag)
{
    uint64_t deadline = patience(r, req->deadline_ns);
    for (size_t i = 0; i < count; i++) {
        db_err err = pending_wait_key(r->locks, keys[i], read_ts, deadline);
        if (UNLIKELY(err != ERR_OK)) {
            return err == ERR_TIMEOUT && deadline != req->deadline_ns ? out_of_patience(diag) : err;
        }
    }
    return ERR_OK;
}

db_err eval__await_range(struct eval_range *r, const struct kv_request *req, struct slice start,
                         struct slice end, ts_t read_ts, struct diag *diag)
{
    uint64_t deadline = patience(r, req->deadline_ns);
    db_err err = pending_wait_range(r->locks, start, end, read_ts, deadline);
    return err == ERR_TIMEOUT && deadline != req->deadline_ns ? out_of_patience(diag) : err;
}

/* ---- writes ---- */

db_err eval__write_begin(struct eval_write *w, struct eval_range *r, const struct kv_request *req,
                         const struct slice *keys, size_t count, struct diag *diag,
                         struct kv_reply *reply)
{
    w->r = r;
    w->req = req;
    w->intents_added = 0;
    w->intents_removed = 0;
    TRY(latch_acquire(r->locks, keys, count, req->deadline_ns, &w->guard));
    db_err err = eval__check_keys(r, req, keys, count, diag, reply, &w->term);
    if (err != ERR_OK) {
        latch_release(&w->guard);
        return err;
    }
    store_batch_init(&w->batch);
    return ERR_OK;
}

db_err eval__write_propose(struct eval_write *w, struct diag *diag, struct kv_reply *reply)
{
    if (w->batch.count == 0) {
        return ERR_OK;
    }
    uint64_t generation = intents_add(w->r, w->intents_added);
    db_err err = w->r->ops->propose(w->r, w->req, w->term, &w->batch, diag, reply);
    if (err == ERR_OK) {
        intents_sub(w->r, generation, w->intents_removed);
    } else if (err != ERR_COMMIT_UNKNOWN) {
        intents_sub(w->r, generation, w->intents_added);
    } else {
        atomic_store_explicit(&w->r->uncertain, true, memory_order_seq_cst);
    }
    return err;
}

db_err eval__write_step(struct eval_write *w, size_t more, struct diag *diag,
                        struct kv_reply *reply)
{
    if (w->batch.count == 0 || w->batch.buf.len + more <= EVAL_STEP_BYTES) {
        return ERR_OK;
    }
    TRY(eval__write_propose(w, diag, reply));
    store_batch_reset(&w->batch);
    w->intents_added = w->intents_removed = 0;
    return ERR_OK;
}

void eval__write_end(struct eval_write *w)
{
    latch_release(&w->guard);
    store_batch_fini(&w->batch);
}

static int cmp_keys(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

db_err eval__sorted_keys(const struct kv_request *req, const struct slice *keys, size_t count,
                         struct slice **ret_keys, size_t *ret_count)
{
    struct slice *copy = ARENA_ARRAY(req->arena, struct slice, count);
    size_t n = 0;
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    if (count != 0) {
        memcpy(copy, keys, count * sizeof(*copy));
        qsort(copy, count, sizeof(*copy), cmp_keys);
    }
    for (size_t i = 0; i < count; i++) {
        if (n == 0 || !slice_eq(copy[n - 1], copy[i])) {
            copy[n++] = copy[i];
        }
    }
    *ret_keys = copy;
    *ret_count = n;
    return ERR_OK;
}

db_err eval__write_keys(struct eval_range *r, const struct kv_txn_keys_req *req, eval_keys_fn run,
                        struct diag *diag, struct kv_reply *reply)
{
    struct eval_write w;
    struct slice *keys;
    size_t count;
    struct arena a;
    TRY(eval__sorted_keys(&req->r, req->keys, req->count, &keys, &count));
    TRY(eval__write_begin(&w, r, &req->r, keys, count, diag, reply));
    arena_init(&a, NULL, NULL, 0);
    db_err err = run(&w, req, keys, count, &a, diag, reply);
    arena_fini(&a);
    eval__write_end(&w);
    return err;
}
