#include "node/meta/meta_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/counter.h"
#include "base/log.h"

/* Named counters. The number up to which a counter may give is persisted ahead in blocks that grow
 * with demand, so that a busy counter writes seldom and a crash skips little. A clean stop writes
 * the exact numbers back. Taking numbers is arithmetic under the counter's mutex; only an extension
 * parks. */

#define SEQ_BUSY_NS (500 * NS_PER_MS) /* a block used up faster than this is doubled */

void sequences_free(struct meta *m)
{
    for (size_t i = 0; m->sequences.buckets != NULL && i <= m->sequences.mask; i++) {
        struct hash_node *n = m->sequences.buckets[i];
        while (n != NULL) {
            struct sequence *s = CONTAINER_OF(n, struct sequence, node);
            n = n->next;
            pthread_mutex_destroy(&s->mutex);
            mem_free(s);
        }
    }
    hash_fini(&m->sequences);
}

static struct slice name_of(const struct sequence *s)
{
    return slice_of(s->name, s->name_len);
}

static struct sequence *find(struct meta *m, struct slice name, uint64_t hash)
{
    struct hash_node *n = hash_first(&m->sequences, hash);
    while (n != NULL && !slice_eq(name_of(CONTAINER_OF(n, struct sequence, node)), name)) {
        n = hash_next(n);
    }
    return n == NULL ? NULL : CONTAINER_OF(n, struct sequence, node);
}

static struct sequence *find_or_make(struct meta *m, struct slice name)
{
    uint64_t hash = hash_bytes(name, 0);
    pthread_mutex_lock(&m->seq_lock);
    struct sequence *s = find(m, name, hash);
    if (s == NULL) {
        s = mem_calloc(1, sizeof(*s) + name.len);
        if (s != NULL && hash_insert(&m->sequences, &s->node, hash) != ERR_OK) {
            mem_free(s);
            s = NULL;
        }
        if (s != NULL) {
            pthread_mutex_init(&s->mutex, NULL);
            fiber_mutex_init(&s->extend);
            s->meta = m;
            s->block = SEQ_BLOCK_MIN;
            s->name_len = name.len;
            memcpy(s->name, name.ptr, name.len);
        }
    }
    pthread_mutex_unlock(&m->seq_lock);
    return s;
}

/* Under `extend`. */
static db_err load(struct sequence *s, uint64_t term)
{
    struct arena a;
    struct slice v;
    bool found;
    uint64_t limit = 0;
    arena_init(&a, NULL, NULL, 0);
    db_err err = meta_kv_get(s->meta, META_KEY_SEQUENCE, name_of(s), &a, &found, &v);
    if (err == ERR_OK && found) {
        err = meta_kv_u64(v, &limit);
    }
    arena_fini(&a);
    TRY(err);
    pthread_mutex_lock(&s->mutex);
    s->last = s->limit = limit;
    s->term = term;
    pthread_mutex_unlock(&s->mutex);
    return ERR_OK;
}

/* Under `extend`: may give up to `need` and a block more. */
static db_err raise_limit(struct sequence *s, uint64_t term, uint64_t need, struct diag *diag)
{
    uint64_t now = clock_mono_ns();
    uint64_t block = s->block;
    if (s->extended_ns != 0 && now - s->extended_ns < SEQ_BUSY_NS) {
        block = block * 2 < SEQ_BLOCK_MAX ? block * 2 : SEQ_BLOCK_MAX;
    } else if (block > SEQ_BLOCK_MIN) {
        block /= 2;
    }
    uint64_t limit = need > UINT64_MAX - block ? UINT64_MAX : need + block;
    db_err err = meta_kv_write_u64(s->meta, term, META_KEY_SEQUENCE, name_of(s), limit, diag);
    if (err == ERR_COMMIT_UNKNOWN) {
        return diag_set(diag, ERR_UNAVAILABLE, "a counter cannot be written");
    }
    TRY(err);
    s->extended_ns = now;
    pthread_mutex_lock(&s->mutex);
    s->limit = limit;
    s->block = block;
    pthread_mutex_unlock(&s->mutex);
    return ERR_OK;
}

/* Waits while the lease is being handed over: what is reserved then would be skipped. */
static db_err lock_extend(struct sequence *s)
{
    fiber_mutex_lock(&s->extend);
    while (UNLIKELY(atomic_load(&s->meta->handing_over) != 0)) {
        fiber_mutex_unlock(&s->extend);
        TRY(fiber_sleep(NS_PER_MS));
        fiber_mutex_lock(&s->extend);
    }
    return ERR_OK;
}

static db_err extend(struct sequence *s, uint64_t need, struct diag *diag)
{
    db_err err = ERR_OK;
    TRY(lock_extend(s));
    uint64_t term = atomic_load(&s->meta->term);
    if (term == 0) {
        err = meta_check(s->meta, diag);
        err = err == ERR_OK ? ERR_UNAVAILABLE : err;
    } else if (s->term != term) {
        err = load(s, term);
    } else if (s->limit < need) {
        err = raise_limit(s, term, need, diag);
    }
    fiber_mutex_unlock(&s->extend);
    return err;
}

static void prefetch_fiber(void *arg)
{
    struct sequence *s = arg;
    struct diag diag;
    diag_reset(&diag);
    pthread_mutex_lock(&s->mutex);
    uint64_t limit = s->limit;
    pthread_mutex_unlock(&s->mutex);
    db_err err = limit == UINT64_MAX ? ERR_OK : extend(s, limit + 1, &diag);
    if (err != ERR_OK) {
        LOG_WARN("meta.sequence.extend", F_ERR(err), F_STR("reason", diag.text));
    }
    atomic_store(&s->prefetching, false);
    meta_fiber_ends(s->meta);
}

static void prefetch(struct sequence *s)
{
    if (!atomic_exchange(&s->prefetching, true) &&
        meta_spawn(s->meta, prefetch_fiber, s) != ERR_OK) {
        atomic_store(&s->prefetching, false);
    }
}

/* Takes what is within the limit; else *ret_need says how far it would have to go. */
static db_err take(struct sequence *s, uint64_t floor, uint64_t count, uint64_t step,
                   uint64_t offset, bool *ret_taken, bool *ret_low, uint64_t *ret_need,
                   uint64_t *ret_first)
{
    pthread_mutex_lock(&s->mutex);
    uint64_t last = s->last;
    uint64_t first = 0;
    db_err err = ERR_OK;
    if (count == 0) {
        last = last > floor ? last : floor;
        first = last == UINT64_MAX ? UINT64_MAX : last + 1;
    } else {
        err = counter_take(&last, floor, count, step, offset, &first);
    }
    bool loaded = s->term != 0 && s->term == atomic_load(&s->meta->term);
    bool taken = err == ERR_OK && loaded && last <= s->limit;
    if (taken) {
        s->last = last;
    }
    *ret_low = taken && s->limit - last < s->block / 4;
    err = loaded ? err : ERR_OK;
    pthread_mutex_unlock(&s->mutex);
    *ret_taken = taken;
    *ret_need = last;
    *ret_first = first;
    return err;
}

db_err sequence_next(struct meta *m, struct slice name, uint64_t floor, uint64_t count,
                     uint64_t step, uint64_t offset, struct diag *diag, uint64_t *ret_first)
{
    struct sequence *s = find_or_make(m, name);
    if (s == NULL) {
        return ERR_NOMEM;
    }
    for (;;) {
        bool taken;
        bool low;
        uint64_t need;
        uint64_t first;
        db_err err = take(s, floor, count, step, offset, &taken, &low, &need, &first);
        if (err == ERR_LIMIT) {
            return diag_set(diag, err, "the counter has no more numbers");
        }
        TRY(err);
        if (LIKELY(taken)) {
            if (low && count != 0) {
                prefetch(s);
            }
            *ret_first = first;
            return ERR_OK;
        }
        TRY(extend(s, need, diag));
    }
}

/* All counters of now; they live as long as meta. */
static struct sequence **all_sequences(struct meta *m, size_t *ret_count)
{
    size_t n = 0;
    pthread_mutex_lock(&m->seq_lock);
    struct sequence **all = mem_alloc((m->sequences.count + 1) * sizeof(*all));
    for (size_t i = 0; all != NULL && m->sequences.buckets != NULL && i <= m->sequences.mask; i++) {
        for (struct hash_node *h = m->sequences.buckets[i]; h != NULL; h = h->next) {
            all[n++] = CONTAINER_OF(h, struct sequence, node);
        }
    }
    pthread_mutex_unlock(&m->seq_lock);
    *ret_count = n;
    return all;
}

/* No more is given than has been; what that is, is added to the batch. */
static db_err give_back(struct sequence *s, uint64_t term, struct store_batch *b)
{
    uint8_t bytes[8];
    fiber_mutex_lock(&s->extend); /* an extension under way ends first */
    pthread_mutex_lock(&s->mutex);
    bool due = s->term == term && s->last != s->limit;
    uint64_t last = s->last;
    s->limit = due ? last : s->limit;
    pthread_mutex_unlock(&s->mutex);
    fiber_mutex_unlock(&s->extend);
    for (int k = 0; k < 8; k++) {
        bytes[k] = (uint8_t)(last >> (56 - 8 * k));
    }
    return due ? meta_kv_put(b, META_KEY_SEQUENCE, name_of(s), slice_of(bytes, 8)) : ERR_OK;
}

void sequences_give_back(struct meta *m)
{
    struct store_batch b;
    uint64_t term = atomic_load(&m->term);
    size_t count;
    struct sequence **all = all_sequences(m, &count);
    store_batch_init(&b);
    db_err err = all == NULL ? ERR_NOMEM : ERR_OK;
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        err = give_back(all[i], term, &b);
    }
    if (err == ERR_OK && b.count != 0) {
        struct diag diag;
        diag_reset(&diag);
        err = meta_kv_write(m, term, &b, &diag);
    }
    if (err != ERR_OK) {
        LOG_WARN("meta.sequence.stop", F_ERR(err)); /* some numbers will be skipped */
    }
    store_batch_fini(&b);
    mem_free(all);
}
