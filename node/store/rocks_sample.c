/* What memtables hold of a range, from a sample of their keys.
 *
 * RocksDB's own answer goes by where the levels of a skip list meet the bounds: of ten thousand
 * entries it may say nothing at all, or twice as many. So of the data entries that are written one
 * of some dozens is remembered by its key, by chance; each stands for as many. Of n entries the
 * answer is off by about the root of n times the gap: a tenth of some thousands, whatever else the
 * memtables hold.
 *
 * What a flush has written is forgotten: entries remember which memtable was the active one, and a
 * flush takes all that were sealed before it. A batch that becomes visible while its memtable is
 * sealed may be remembered with the next one, and counts twice until that is flushed.
 *
 * The sample has a size: when it is full every second key is forgotten, the others stand for twice
 * as many, and from then on fewer are taken. */
#include "node/store/rocks_int.h"

#include "base/alloc.h"
#include "base/assert.h"

enum {
    GAP_MIN = 32, /* one key of so many is taken while there is room */
    GAP_MAX = 1 << 20,
    KEYS_MAX = 16384,
    KEYS_SIZE_MAX = 2 << 20,
};

struct rocks_sample_key {
    struct rocks_sample_key *next; /* of a batch that is not written yet */
    uint64_t memtable;
    uint32_t times; /* for so many entries it stands */
    uint32_t entry_size;
    uint32_t len;
    uint8_t key[];
};

void rocks__sample_init(struct rocks_sample *s)
{
    pthread_mutex_init(&s->mutex, NULL);
    atomic_store_explicit(&s->gap, GAP_MIN, memory_order_relaxed);
}

void rocks__sample_fini(struct rocks_sample *s)
{
    for (size_t i = 0; i < s->count; i++) {
        mem_free(s->keys[i]);
    }
    mem_free(s->keys);
    pthread_mutex_destroy(&s->mutex);
}

/* ---- a batch ---- */

/* Some gap with the right mean: keys of rows and of their indexes take turns in a batch, and a
 * fixed gap would meet always the same of them. */
static void draw(struct rocks_sample *s, struct rocks_picked *p)
{
    p->gap = atomic_load_explicit(&s->gap, memory_order_relaxed);
    p->left = rand_below(&p->rand, 2 * (uint64_t)p->gap - 1);
}

void rocks__picked_init(struct rocks_sample *s, struct rocks_picked *p)
{
    *p = (struct rocks_picked){0};
    rand_seed(&p->rand, atomic_fetch_add_explicit(&s->batches, 1, memory_order_relaxed));
    draw(s, p);
}

void rocks__picked_reset(struct rocks_picked *p)
{
    while (p->first != NULL) {
        struct rocks_sample_key *next = p->first->next;
        mem_free(p->first);
        p->first = next;
    }
}

void rocks__pick(struct rocks_sample *s, struct rocks_picked *p, struct slice key, size_t size)
{
    struct rocks_sample_key *k = mem_alloc(sizeof(*k) + key.len);
    if (k != NULL) { /* else one is missing: it is only a sample */
        *k = (struct rocks_sample_key){.next = p->first,
                                       .times = p->gap,
                                       .entry_size = (uint32_t)size,
                                       .len = (uint32_t)key.len};
        memcpy(k->key, key.ptr, key.len);
        p->first = k;
    }
    draw(s, p);
}

/* ---- the sample ---- */

/* Those that stay move up; even: every second one goes. Under the mutex. */
static void thin(struct rocks_sample *s, bool even, uint64_t flushed)
{
    size_t kept = 0;
    s->size = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct rocks_sample_key *k = s->keys[i];
        if ((even && i % 2 == 0) || k->memtable < flushed) {
            mem_free(k);
            continue;
        }
        k->times *= even ? 2 : 1;
        s->size += k->len;
        s->keys[kept++] = k;
    }
    s->count = kept;
}

static void add(struct rocks_sample *s, struct rocks_sample_key *k)
{
    if (s->count == KEYS_MAX || s->size + k->len > KEYS_SIZE_MAX) {
        uint32_t gap = atomic_load_explicit(&s->gap, memory_order_relaxed);
        thin(s, true, 0);
        atomic_store_explicit(&s->gap, gap < GAP_MAX ? gap * 2 : gap, memory_order_relaxed);
    }
    if (s->count == s->cap) {
        size_t cap = s->cap == 0 ? 64 : s->cap * 2;
        struct rocks_sample_key **grown = mem_realloc(s->keys, cap * sizeof(*grown));
        if (grown == NULL) {
            mem_free(k);
            return;
        }
        s->keys = grown;
        s->cap = cap;
    }
    k->memtable = s->memtable;
    s->size += k->len;
    s->keys[s->count++] = k;
}

void rocks__sample_written(struct rocks_sample *s, struct rocks_picked *p)
{
    pthread_mutex_lock(&s->mutex);
    while (p->first != NULL) {
        struct rocks_sample_key *next = p->first->next;
        add(s, p->first);
        p->first = next;
    }
    pthread_mutex_unlock(&s->mutex);
}

void rocks__sample_told(void *state, enum rocks_memtable_event event)
{
    struct rocks_sample *s = state;
    pthread_mutex_lock(&s->mutex);
    switch (event) {
    case ROCKS_MEMTABLE_SEALED: s->memtable++; break;
    case ROCKS_FLUSH_BEGUN: s->flushing = s->memtable; break;
    case ROCKS_FLUSH_ENDED:
        thin(s, false, s->flushing);
        if (s->count < KEYS_MAX / 4) {
            atomic_store_explicit(&s->gap, GAP_MIN, memory_order_relaxed);
        }
        break;
    }
    pthread_mutex_unlock(&s->mutex);
}

void rocks__sample_ask(struct rocks_sample *s, struct slice start, struct slice end,
                       uint64_t *ret_entries, uint64_t *ret_bytes)
{
    uint64_t entries = 0;
    uint64_t bytes = 0;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->count; i++) {
        const struct rocks_sample_key *k = s->keys[i];
        struct slice key = slice_of(k->key, k->len);
        if (data_key_cmp(key, start) >= 0 && (end.len == 0 || data_key_cmp(key, end) < 0)) {
            entries += k->times;
            bytes += (uint64_t)k->times * k->entry_size;
        }
    }
    pthread_mutex_unlock(&s->mutex);
    *ret_entries = entries;
    *ret_bytes = bytes;
}
