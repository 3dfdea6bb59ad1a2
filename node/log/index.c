/* What is where: the groups, their terms, and the places of their entries.
 *
 * Groups hang in striped hash tables. Only the writer (or recovery, before there is one) changes a
 * group, under its stripe's lock; readers take the lock for as long as it takes to copy a few
 * numbers and to take references. A group holds three vectors, all ordered by index and consumed at
 * the front by compaction, at the back by a suffix overwrite:
 *
 *   runs    where each term begins
 *   refs    places in segments. One reference stands for up to LOG_REF_SPAN bytes of log, so that a
 * busy group costs a few bytes per 16 KiB of log and not per entry; within the span a reader walks
 * the records. An overwrite always begins a new reference, therefore a span holds no two records of
 * the group for the same index, and what it holds at or past the next reference's first index is
 * dead. cached  APPEND records whose chunk is still in memory. Chunks leave the cache in the order
 * in which they were written, which is the order of every group's vector: leaving is popping the
 * front.
 *
 * Memory for a record's effect is taken before the record is written (log__group_reserve): once it
 * is durable, applying it cannot fail. */
#include "node/log/log_int.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

enum { BUCKETS_MIN = 16 };

#define VEC_EMPTY(v) ((v).head == (v).count)
#define VEC_FRONT(v) ((v).items[(v).head])
#define VEC_BACK(v)  ((v).items[(v).count - 1])

static db_err vec_reserve(void **items, uint32_t *head, uint32_t *count, uint32_t *cap,
                          uint32_t extra, size_t item_size)
{
    if (*cap - *count >= extra) {
        return ERR_OK;
    }
    uint32_t live = *count - *head;
    if (*head >= live && *cap - live >= extra) {
        memmove(*items, (char *)*items + *head * item_size, live * item_size);
        *head = 0;
        *count = live;
        return ERR_OK;
    }
    uint32_t want = *cap * 2 > *count + extra ? *cap * 2 : *count + extra;
    want = want < 4 ? 4 : want;
    void *grown = mem_realloc(*items, want * item_size);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    *items = grown;
    *cap = want;
    return ERR_OK;
}

#define VEC_RESERVE(v, extra)                                                                      \
    vec_reserve((void **)&(v).items, &(v).head, &(v).count, &(v).cap, (extra), sizeof(*(v).items))

static void group_clear_entries(struct log_group *g)
{
    g->runs.head = g->runs.count = 0;
    g->refs.head = g->refs.count = 0;
    g->cached.head = g->cached.count = 0;
}

static void group_free(struct log_group *g)
{
    mem_free(g->runs.items);
    mem_free(g->refs.items);
    mem_free(g->cached.items);
    mem_free(g);
}

/* ---- the table */

static uint64_t group_hash(uint64_t id)
{
    uint64_t x = id * 0x9e3779b97f4a7c15ull;
    return x ^ (x >> 32);
}

struct log_stripe *log__stripe(struct raft_log *log, uint64_t group)
{
    return &log->stripes[group_hash(group) % LOG_STRIPES];
}

static struct log_group **bucket_of(const struct log_stripe *s, uint64_t group)
{
    return &s->buckets[(group_hash(group) / LOG_STRIPES) & (s->bucket_count - 1)];
}

db_err log__index_init(struct raft_log *log)
{
    for (size_t i = 0; i < LOG_STRIPES; i++) {
        struct log_stripe *s = &log->stripes[i];
        s->buckets = mem_calloc(BUCKETS_MIN, sizeof(*s->buckets));
        if (s->buckets == NULL) {
            return ERR_NOMEM;
        }
        s->bucket_count = BUCKETS_MIN;
    }
    return ERR_OK;
}

void log__index_fini(struct raft_log *log)
{
    for (size_t i = 0; i < LOG_STRIPES; i++) {
        struct log_stripe *s = &log->stripes[i];
        for (size_t b = 0; s->buckets != NULL && b < s->bucket_count; b++) {
            struct log_group *next;
            for (struct log_group *g = s->buckets[b]; g != NULL; g = next) {
                next = g->hash_next;
                group_free(g);
            }
        }
        mem_free(s->buckets);
        s->buckets = NULL;
    }
}

struct log_group *log__group_find(const struct log_stripe *s, uint64_t group)
{
    struct log_group *g = *bucket_of(s, group);
    while (g != NULL && g->id != group) {
        g = g->hash_next;
    }
    return g;
}

/* Twice the buckets; without memory the chains grow instead. */
static void stripe_grow(struct log_stripe *s)
{
    struct log_group **old = s->buckets;
    size_t old_count = s->bucket_count;
    struct log_group **grown = mem_calloc(old_count * 2, sizeof(*grown));
    if (grown == NULL) {
        return;
    }
    s->buckets = grown;
    s->bucket_count = old_count * 2;
    for (size_t b = 0; b < old_count; b++) {
        struct log_group *next;
        for (struct log_group *g = old[b]; g != NULL; g = next) {
            next = g->hash_next;
            struct log_group **to = bucket_of(s, g->id);
            g->hash_next = *to;
            *to = g;
        }
    }
    mem_free(old);
}

db_err log__group_shell(struct raft_log *log, uint64_t group, struct log_group **ret_group)
{
    struct log_stripe *s = log__stripe(log, group);
    struct log_group *g = log__group_find(s, group);
    if (g == NULL) {
        g = mem_calloc(1, sizeof(*g));
        if (g == NULL) {
            return ERR_NOMEM;
        }
        g->id = group;
        list_init(&g->entry_node);
        list_init(&g->state_node);
        (void)pthread_mutex_lock(&s->lock);
        if (s->count >= s->bucket_count * 2) {
            stripe_grow(s);
        }
        struct log_group **b = bucket_of(s, group);
        g->hash_next = *b;
        *b = g;
        s->count++;
        (void)pthread_mutex_unlock(&s->lock);
    }
    *ret_group = g;
    return ERR_OK;
}

void log__group_drop_shell(struct raft_log *log, struct log_group *g)
{
    ASSERT(!g->exists);
    ASSERT(g->entry_seg == NULL && g->state_seg == NULL);
    struct log_stripe *s = log__stripe(log, g->id);
    (void)pthread_mutex_lock(&s->lock);
    struct log_group **at = bucket_of(s, g->id);
    while (*at != g) {
        at = &(*at)->hash_next;
    }
    *at = g->hash_next;
    s->count--;
    (void)pthread_mutex_unlock(&s->lock);
    group_free(g);
}

db_err log__group_reserve(struct raft_log *log, struct log_group *g, uint32_t n)
{
    struct log_stripe *s = log__stripe(log, g->id);
    (void)pthread_mutex_lock(&s->lock);
    db_err err = VEC_RESERVE(g->refs, n);
    err = err_first(err, VEC_RESERVE(g->runs, n));
    err = err_first(err, VEC_RESERVE(g->cached, n));
    (void)pthread_mutex_unlock(&s->lock);
    return err;
}

/* ---- positions */

/* The last item of [head, count) whose first_index is <= index; the caller knows that there is one.
 */
#define VEC_SEARCH(v, index)                                                                       \
    do {                                                                                           \
        uint32_t lo = (v).head;                                                                    \
        uint32_t hi = (v).count;                                                                   \
        while (hi - lo > 1) {                                                                      \
            uint32_t mid = lo + (hi - lo) / 2;                                                     \
            if ((v).items[mid].first_index <= (index)) {                                           \
                lo = mid;                                                                          \
            } else {                                                                               \
                hi = mid;                                                                          \
            }                                                                                      \
        }                                                                                          \
        return lo;                                                                                 \
    } while (0)

uint32_t log__ref_at(const struct log_group *g, uint64_t index)
{
    VEC_SEARCH(g->refs, index);
}

uint32_t log__cached_at(const struct log_group *g, uint64_t index)
{
    VEC_SEARCH(g->cached, index);
}

static uint32_t run_at(const struct log_group *g, uint64_t index)
{
    VEC_SEARCH(g->runs, index);
}

uint64_t log__term_at(const struct log_group *g, uint64_t index)
{
    ASSERT(index >= g->compacted_index && index <= g->last_index);
    return index == g->compacted_index ? g->compacted_term : g->runs.items[run_at(g, index)].term;
}

/* ---- effects of records */

#define VEC_POP_BACK_FROM(v, index)                                                                \
    do {                                                                                           \
        while (!VEC_EMPTY(v) && VEC_BACK(v).first_index >= (index)) {                              \
            (v).count--;                                                                           \
        }                                                                                          \
    } while (0)
#define VEC_POP_FRONT_BEFORE(v, index)                                                             \
    do {                                                                                           \
        while ((v).count - (v).head > 1 && (v).items[(v).head + 1].first_index <= (index)) {       \
            (v).head++;                                                                            \
        }                                                                                          \
    } while (0)

/* What holds nothing from the index on goes. */
static void drop_front(struct log_group *g, uint64_t index)
{
    VEC_POP_FRONT_BEFORE(g->runs, index);
    VEC_POP_FRONT_BEFORE(g->refs, index);
    VEC_POP_FRONT_BEFORE(g->cached, index);
}

static void append_ref(struct log_group *g, bool overwrite, const struct log_ref *r)
{
    if (!overwrite && !VEC_EMPTY(g->refs)) {
        struct log_ref *last = &VEC_BACK(g->refs);
        if (last->seg == r->seg && r->off + r->span - last->off <= LOG_REF_SPAN) {
            last->span = r->off + r->span - last->off;
            return;
        }
    }
    ASSERT(g->refs.count < g->refs.cap);
    g->refs.items[g->refs.count++] = *r;
}

static void begin_term(struct log_group *g, uint64_t index, uint64_t term)
{
    if (VEC_EMPTY(g->runs) || VEC_BACK(g->runs).term != term) {
        ASSERT(g->runs.count < g->runs.cap);
        g->runs.items[g->runs.count++] = (struct log_term_run){index, term};
    }
}

static void apply_terms(struct log_group *g, const struct log_rec_header *h,
                        const struct log_append_body *body)
{
    const uint8_t *desc = log_rec_body(h) + sizeof(*body);
    uint64_t term = body->term;
    begin_term(g, body->first_index, term);
    for (uint32_t i = 0; (h->flags & LOG_APPEND_TERMS) != 0 && i < h->count; i++) {
        struct log_entry_desc d;
        memcpy(&d, desc + i * sizeof(d), sizeof(d));
        term += log_term_step(&d);
        begin_term(g, body->first_index + i, term);
    }
}

static void apply_append(struct log_group *g, const struct log_rec_header *h,
                         struct log_segment *seg, uint64_t off, struct log_chunk *chunk,
                         uint32_t chunk_off)
{
    struct log_append_body body;
    memcpy(&body, log_rec_body(h), sizeof(body));
    ASSERT(body.first_index > g->compacted_index);
    ASSERT(body.first_index <= g->last_index + 1);
    bool overwrite = body.first_index <= g->last_index;
    VEC_POP_BACK_FROM(g->runs, body.first_index);
    VEC_POP_BACK_FROM(g->refs, body.first_index);
    VEC_POP_BACK_FROM(g->cached, body.first_index);
    apply_terms(g, h, &body);
    const struct log_ref ref = {body.first_index, seg, (uint32_t)off, h->size};
    append_ref(g, overwrite, &ref);
    if (chunk != NULL) {
        ASSERT(g->cached.count < g->cached.cap);
        g->cached.items[g->cached.count++] =
            (struct log_cached){body.first_index, chunk, chunk_off};
    }
    if (body.first_index == g->compacted_index + 1) { /* what is left holds compacted ones only */
        drop_front(g, body.first_index);
    }
    g->last_index = body.first_index + h->count - 1;
    g->exists = true;
}

static void apply_reset(struct log_group *g, uint64_t index, uint64_t term)
{
    group_clear_entries(g);
    g->compacted_index = index;
    g->compacted_term = term;
    g->last_index = index;
    g->gap_until = g->gap_known_index = g->gap_known_term = 0;
    g->exists = true;
}

static void apply_compact(struct log_group *g, uint64_t index, uint64_t term,
                          struct log_segment *seg)
{
    if (index < g->compacted_index || index == 0) {
        if (g->gap_until != 0 && index > g->gap_known_index) {
            g->gap_known_index = index;
            g->gap_known_term = term;
            g->compact_seg = seg;
        }
        return;
    }
    if (index >= g->last_index) {
        apply_reset(g, index, term);
    } else {
        g->compacted_index = index;
        g->compacted_term = term;
        g->gap_until = g->gap_known_index = g->gap_known_term = 0;
        drop_front(g, index + 1);
    }
    g->compact_seg = seg;
}

static void apply_hard(struct log_group *g, const struct log_hard_body *b, struct log_segment *seg)
{
    g->hard_state = (struct raft_log_hard_state){b->term, b->vote, b->commit};
    g->has_hard_state = true;
    g->hard_seg = seg;
    g->exists = true;
}

static void apply_small(struct log_group *g, const struct log_rec_header *h,
                        struct log_segment *seg)
{
    struct log_hard_body hard;
    struct log_compact_body compact;
    struct log_state_body state;
    const uint8_t *body = log_rec_body(h);
    switch (h->type) {
    case LOG_REC_HARD_STATE:
        memcpy(&hard, body, sizeof(hard));
        apply_hard(g, &hard, seg);
        break;
    case LOG_REC_COMPACT:
        memcpy(&compact, body, sizeof(compact));
        apply_compact(g, compact.index, compact.term, seg);
        break;
    case LOG_REC_RESET:
        memcpy(&compact, body, sizeof(compact));
        apply_reset(g, compact.index, compact.term);
        g->compact_seg = seg;
        break;
    case LOG_REC_STATE:
        memcpy(&state, body, sizeof(state));
        if ((state.flags & LOG_STATE_HAS_HARD) != 0) {
            apply_hard(g, &state.hard, seg);
        }
        apply_compact(g, state.compact.index, state.compact.term, seg);
        g->compact_seg = g->compact_seg != NULL ? seg : NULL; /* a reset to the beginning too */
        g->exists = true;
        break;
    case LOG_REC_REMOVE:
        apply_reset(g, 0, 0);
        g->hard_state = (struct raft_log_hard_state){0, 0, 0};
        g->has_hard_state = false;
        g->hard_seg = g->compact_seg = NULL;
        g->exists = false;
        break;
    default: break; /* the rest is not for groups, or not small */
    }
}

void log__apply(struct raft_log *log, struct log_group *g, const struct log_rec_header *h,
                struct log_segment *seg, uint64_t off, struct log_chunk *chunk, uint32_t chunk_off)
{
    struct log_stripe *s = log__stripe(log, g->id);
    (void)pthread_mutex_lock(&s->lock);
    bool existed = g->exists;
    if (h->type != LOG_REC_HARD_STATE && h->type != LOG_REC_STATE) {
        g->changed = h->seq;
    }
    if (h->type == LOG_REC_APPEND) {
        apply_append(g, h, seg, off, chunk, chunk_off);
    } else {
        apply_small(g, h, seg);
    }
    struct log_segment *oldest = VEC_EMPTY(g->refs) ? NULL : VEC_FRONT(g->refs).seg;
    bool exists = g->exists;
    (void)pthread_mutex_unlock(&s->lock);
    if (oldest != g->entry_seg) {
        log__entry_move(log, g, oldest);
    }
    if (h->type != LOG_REC_APPEND) {
        log__state_move(g);
    }
    if (existed != exists) {
        atomic_fetch_add_explicit(&log->group_count, exists ? 1 : (uint64_t)-1,
                                  memory_order_relaxed);
    }
}

/* ---- the tail cache */

/* The chunk's records leave the vectors of their groups. */
static void cache_forget(struct raft_log *log, const struct log_chunk *chunk)
{
    const struct log_rec_header *h;
    for (uint32_t off = 0; off < chunk->len; off += h->size) {
        h = (const struct log_rec_header *)(const void *)(chunk->data + off);
        if (h->type != LOG_REC_APPEND) {
            continue;
        }
        struct log_stripe *s = log__stripe(log, h->group);
        (void)pthread_mutex_lock(&s->lock);
        struct log_group *g = log__group_find(s, h->group);
        while (g != NULL && !VEC_EMPTY(g->cached) && VEC_FRONT(g->cached).chunk == chunk) {
            g->cached.head++;
        }
        (void)pthread_mutex_unlock(&s->lock);
    }
}

static size_t chunk_cost(const struct log_chunk *c)
{
    return sizeof(*c) + c->cap + 32; /* 32: the allocator's share and the reference in the group */
}

static void cache_evict(struct raft_log *log)
{
    struct list *first = list_pop_front(&log->cache);
    struct log_chunk *c = CONTAINER_OF(first, struct log_chunk, node);
    cache_forget(log, c);
    atomic_fetch_sub_explicit(&log->cache_bytes, chunk_cost(c), memory_order_relaxed);
    log__chunk_unref(c);
}

void log__cache_add(struct raft_log *log, struct log_chunk *chunk)
{
    log__chunk_ref(chunk);
    list_push_back(&log->cache, &chunk->node);
    atomic_fetch_add_explicit(&log->cache_bytes, chunk_cost(chunk), memory_order_relaxed);
    while (!list_empty(&log->cache) &&
           atomic_load_explicit(&log->cache_bytes, memory_order_relaxed) > log->opts.cache_size) {
        cache_evict(log);
    }
}

void log__cache_fini(struct raft_log *log)
{
    while (!list_empty(&log->cache)) {
        cache_evict(log);
    }
}

/* ---- questions that memory answers */

static void group_info(const struct log_group *g, struct raft_log_group *ret)
{
    ret->group = g->id;
    ret->first_index = g->compacted_index + 1;
    ret->last_index = g->last_index;
    ret->last_term = log__term_at(g, g->last_index);
    ret->compacted_index = g->compacted_index;
    ret->compacted_term = g->compacted_term;
    ret->hard_state = g->hard_state;
    ret->has_hard_state = g->has_hard_state;
}

db_err raft_log_group_get(struct raft_log *log, uint64_t group, struct raft_log_group *ret_info)
{
    struct log_stripe *s = log__stripe(log, group);
    db_err err = ERR_NOT_FOUND;
    (void)pthread_mutex_lock(&s->lock);
    const struct log_group *g = log__group_find(s, group);
    if (g != NULL && g->exists) {
        group_info(g, ret_info);
        err = ERR_OK;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return err;
}

void raft_log_group_each(struct raft_log *log,
                         void (*fn)(void *arg, const struct raft_log_group *info), void *arg)
{
    for (size_t i = 0; i < LOG_STRIPES; i++) {
        struct log_stripe *s = &log->stripes[i];
        (void)pthread_mutex_lock(&s->lock);
        for (size_t b = 0; b < s->bucket_count; b++) {
            for (const struct log_group *g = s->buckets[b]; g != NULL; g = g->hash_next) {
                struct raft_log_group info;
                if (g->exists) {
                    group_info(g, &info);
                    fn(arg, &info);
                }
            }
        }
        (void)pthread_mutex_unlock(&s->lock);
    }
}

db_err raft_log_term(struct raft_log *log, uint64_t group, uint64_t index, uint64_t *ret_term)
{
    struct log_stripe *s = log__stripe(log, group);
    db_err err = ERR_NOT_FOUND;
    (void)pthread_mutex_lock(&s->lock);
    const struct log_group *g = log__group_find(s, group);
    if (g != NULL && g->exists && index >= g->compacted_index && index <= g->last_index) {
        *ret_term = log__term_at(g, index);
        err = ERR_OK;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return err;
}
