#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/rand.h"

/* How much is asked of a range, and where in it.
 *
 * Evaluation tells what each command costs, in units of a point read (node/eval/eval_int.h). The
 * counting must cost nothing: a thread sums up on its own, and only when it has UNITS_TOLD does the
 * command at hand stand for all of them. A command comes to that in proportion to its units, so the
 * keys that are seen there are a sample by cost.
 *
 * Once a second upkeep makes a rate of it. When that stays above the limit, a sample of keys is
 * kept for a while: SAMPLES of them, chosen at random from all that come by, and for each how many
 * came by on its left and on its right since. The best one to split at is the one that has as many
 * on both sides. When even that leaves one side with most of it (one hot key), a split would not
 * help, and none is made.
 *
 * A range of one member is not split: nobody else could take a half. After a split by load, as
 * after one that was not possible, the range rests. Where the leases of the halves go is
 * placement's (node/meta/placement_choose.c); it is told the rate when that has changed much. */

enum {
    UNITS_TOLD = 32,
    SAMPLES = 24,
    SAMPLE_KEY_MAX = 256,
    SEEN_MIN = 300,  /* keys that came by before a decision, ... */
    SIDES_MIN = 100, /* ... and since one of the sample was taken */
    ROUNDS_MIN = 10, /* seconds over the limit */
    TOLD_MIN = 1000, /* a lower rate is the same as none for placement, ... */
    TOLD_PART = 16,  /* ... or one below this part of the limit */
};
#define LOAD_REST_NS (60 * NS_PER_S)

struct sample_key {
    size_t len;
    uint32_t left, right;
    uint8_t bytes[SAMPLE_KEY_MAX];
};

struct load_sample {
    pthread_mutex_t mutex;
    _Atomic bool on;
    struct rand rand;
    uint64_t seen;
    unsigned count;
    struct sample_key keys[SAMPLES];
};

static _Thread_local unsigned t_units;

/* ---- taking the sample ---- */

static void sample_key(struct load_sample *s, struct slice key)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct sample_key *k = &s->keys[i];
        if (slice_cmp(key, slice_of(k->bytes, k->len)) < 0) {
            k->left++;
        } else {
            k->right++;
        }
    }
    s->seen++;
    uint64_t at = s->count < SAMPLES ? s->count : rand_below(&s->rand, s->seen);
    if (at < SAMPLES && key.len <= SAMPLE_KEY_MAX) {
        struct sample_key *k = &s->keys[at];
        *k = (struct sample_key){.len = key.len};
        if (key.len != 0) {
            memcpy(k->bytes, key.ptr, key.len);
        }
        s->count += at == s->count;
    }
}

void load_note(struct eval_range *er, struct slice key, unsigned units)
{
    struct replica *r = replica_of(er);
    t_units += units;
    if (LIKELY(t_units < UNITS_TOLD)) {
        return;
    }
    atomic_fetch_add_explicit(&r->load_units, t_units, memory_order_relaxed);
    t_units = 0;
    struct load_sample *s = atomic_load_explicit(&r->load_sample, memory_order_acquire);
    if (s != NULL && atomic_load_explicit(&s->on, memory_order_relaxed) &&
        pthread_mutex_trylock(&s->mutex) == 0) {
        sample_key(s, key);
        pthread_mutex_unlock(&s->mutex);
    }
}

static void sample_begin(struct replica *r)
{
    struct load_sample *s = atomic_load(&r->load_sample);
    if (s == NULL) {
        s = mem_calloc(1, sizeof(*s));
        if (s == NULL) {
            return; /* another time */
        }
        pthread_mutex_init(&s->mutex, NULL);
        rand_seed(&s->rand, r->id ^ clock_mono_ns());
        atomic_store_explicit(&r->load_sample, s, memory_order_release);
    }
    pthread_mutex_lock(&s->mutex);
    s->seen = 0;
    s->count = 0;
    pthread_mutex_unlock(&s->mutex);
    atomic_store(&s->on, true);
}

static void sample_end(struct replica *r)
{
    struct load_sample *s = atomic_load(&r->load_sample);
    if (s != NULL) {
        atomic_store(&s->on, false);
    }
}

void load_free(struct replica *r)
{
    struct load_sample *s = atomic_load(&r->load_sample);
    if (s != NULL) {
        pthread_mutex_destroy(&s->mutex);
        mem_free(s);
    }
}

/* ---- deciding ---- */

enum verdict { VERDICT_WAIT, VERDICT_SPLIT, VERDICT_HOT_KEY };

/* A quarter of the load at least goes to each side. */
static enum verdict decide(struct load_sample *s, const struct range_desc *d, struct arena *arena,
                           struct slice *ret_key)
{
    const struct sample_key *best = NULL;
    double best_off = 1;
    unsigned judged = 0;
    if (s->seen < SEEN_MIN) {
        return VERDICT_WAIT;
    }
    for (unsigned i = 0; i < s->count; i++) {
        const struct sample_key *k = &s->keys[i];
        struct slice key = slice_of(k->bytes, k->len);
        uint32_t all = k->left + k->right;
        if (all < SIDES_MIN) {
            continue;
        }
        judged++;
        uint32_t off = k->left > k->right ? k->left - k->right : k->right - k->left;
        double part = (double)off / all;
        if (part < best_off && range_desc_contains(d, key) && !slice_eq(key, d->start)) {
            best = k;
            best_off = part;
        }
    }
    if (judged < SAMPLES / 2) {
        return VERDICT_WAIT;
    }
    if (best == NULL || best_off > 0.5) {
        return VERDICT_HOT_KEY;
    }
    return arena_copy(arena, slice_of(best->bytes, best->len), ret_key) == ERR_OK ? VERDICT_SPLIT
                                                                                  : VERDICT_WAIT;
}

static void split_for_load(struct replica *r, uint64_t now)
{
    struct range_store *rs = r->rs;
    struct load_sample *s = atomic_load(&r->load_sample);
    struct arena a;
    struct range_desc d;
    struct slice key = SLICE_EMPTY;
    arena_init(&a, NULL, NULL, 0);
    enum verdict v = VERDICT_WAIT;
    if (s != NULL && replica_copy_desc(r, &a, &d) == ERR_OK && d.replica_count > 1) {
        pthread_mutex_lock(&s->mutex);
        v = decide(s, &d, &a, &key);
        pthread_mutex_unlock(&s->mutex);
    }
    if (v == VERDICT_HOT_KEY) {
        LOG_INFO("range.load.hot_key", F_U64("range", r->id),
                 F_U64("load", atomic_load(&r->load_rate)));
    } else if (v == VERDICT_SPLIT) {
        struct diag diag;
        range_id_t id = 0;
        diag_reset(&diag);
        db_err err = range_store_split(rs, r->id, key, &diag, &id);
        struct replica *right = err == ERR_OK ? replica_find(rs, id) : NULL;
        LOG_INFO("range.load.split", F_U64("range", r->id), F_U64("new_range", id),
                 F_U64("load", atomic_load(&r->load_rate)), F_ERR(err));
        if (right != NULL) {
            right->load_rest_ns = now + LOAD_REST_NS;
        }
    }
    if (v != VERDICT_WAIT) {
        r->load_rest_ns = now + LOAD_REST_NS;
        r->load_rounds = 0;
        sample_end(r);
    }
    arena_fini(&a);
}

/* ---- the rate ---- */

static void measure(struct replica *r, uint64_t now)
{
    uint64_t units = atomic_load_explicit(&r->load_units, memory_order_relaxed);
    uint64_t since = now - r->load_seen_ns;
    if (r->load_seen_ns != 0 && since > NS_PER_S / 10) {
        double rate = (double)(units - r->load_seen) * (double)NS_PER_S / (double)since;
        double old = atomic_load(&r->load_rate);
        double smooth = old == 0 ? rate : (old * 2 + rate) / 3;
        bool leads = atomic_load(&r->lease_term) != 0;
        atomic_store(&r->load_rate, !leads || smooth < 1  ? 0
                                    : smooth > UINT32_MAX ? UINT32_MAX
                                                          : (uint32_t)smooth);
    }
    r->load_seen = units;
    r->load_seen_ns = now;
}

/* before: the rate of the last look, which went with the news of a lease that has begun since. */
static void tell(struct replica *r, uint32_t before)
{
    const struct range_hooks *h = r->rs->opts.hooks;
    uint32_t rate = atomic_load(&r->load_rate);
    uint32_t least = r->rs->opts.split_load / TOLD_PART;
    uint32_t now = rate < (least < TOLD_MIN ? least : TOLD_MIN) ? 0 : rate;
    uint64_t term = atomic_load(&r->lease_term);
    if (term != r->load_told_term) {
        r->load_told_term = term;
        r->load_told = before;
    }
    if (h == NULL || term == 0 || (now / 2 <= r->load_told && r->load_told / 2 <= now)) {
        return;
    }
    r->load_told = now;
    unsigned slot = ebr_enter(&r->rs->ebr);
    h->changed(h->ctx, replica_desc(r));
    ebr_leave(&r->rs->ebr, slot);
}

void load_look(struct replica *r, uint64_t now)
{
    uint32_t limit = r->rs->opts.split_load;
    if (!replica_is(r, REPLICA_LIVE)) {
        atomic_store(&r->load_rate, 0);
        return;
    }
    uint32_t before = atomic_load(&r->load_rate);
    measure(r, now);
    tell(r, before);
    if (limit == 0 || r->id == RANGE_ID_META) {
        return;
    }
    if (atomic_load(&r->load_rate) < limit || now < r->load_rest_ns) {
        if (r->load_rounds != 0) {
            r->load_rounds = 0;
            sample_end(r);
        }
        return;
    }
    if (r->load_rounds++ == 0) {
        sample_begin(r);
    }
    if (r->load_rounds > ROUNDS_MIN) {
        split_for_load(r, now);
    }
}
