/* Packed locks: what a transaction that locks very many rows holds without a record for each.
 *
 * A record and its entry take some 300 bytes. Of a transaction that has more than PACK_FROM, or
 * fewer when memory gets short, the oldest are packed: 48 bits of the key's hash go into a set that
 * the transaction has in the shard of the key, and record and entry go. With what chooses shard and
 * part of the set these are 60 bits of the hash, in some 8 bytes. Only records that nobody waits
 * for are packed.
 *
 * Every request looks into the sets of its shard, if there are any. Who has to wait for a lock of
 * another transaction makes it a record again first (lock__unpack) and then waits for that as for
 * any other: queues, deadlock detection and who shows locks know records only. The bits stay in
 * the set, which never becomes smaller: it goes as a whole, with all locks of the transaction.
 *
 * Two keys may have the same bits. What is in a set is locked, whether it was asked for or not, and
 * everybody agrees about it, its owner, too. Only a lock that another one has already counts for
 * more: the owner of the set waits for that one. So the worst that comes of it is that somebody
 * waits for a row that is not locked, once in 10^11 times even with millions of locks.
 *
 * Splits: a set does not know on which side its keys lie, so both halves get all of it; bits of
 * keys of the other side are never asked for. A merge joins both. A lease that is transferred does
 * not take packed locks along: those transactions validate at their commit, as they do after any
 * loss (a sealed table must be able to name all keys).
 *
 * Of packed locks the table has hulls: at most 16 stretches of keys, for a transaction and a mode,
 * that have them all, and how many that are. So they can be shown (lock_table_look), and so locks
 * for inserts are found, which are looked for by stretches of keys (insert_next): who locks a gap
 * that overlaps one waits for the transaction, as though one of its new rows were in the gap; and
 * it need not be. Stretches whose ends have the longest beginning in common are joined when there
 * are too many, so that they tend to be parts of one index each. */
#include "node/lock/lock_int.h"

#define VALUE_MASK (((uint64_t)1 << 48) - 1)

enum {
    PARTS = 1 << PACK_PARTS_BITS,
    FIRST_CAP = 16,
    SLOT_BYTES = sizeof(uint32_t) + sizeof(uint16_t),
    PARTS_BYTES = PARTS * sizeof(struct packed_part),
};

/* ---- one part ---- */

static uint64_t value_of(uint64_t hash)
{
    uint64_t v = hash & VALUE_MASK;
    return v != 0 ? v : 1;
}

static size_t part_of(uint64_t hash)
{
    return (hash >> 52) & (PARTS - 1);
}

static uint16_t *low_of(const struct packed_part *p)
{
    return (uint16_t *)(p->high + p->cap);
}

static uint64_t value_at(const struct packed_part *p, uint32_t slot)
{
    return (uint64_t)p->high[slot] << 16 | low_of(p)[slot];
}

/* Where the value is, or could be put. Some slot is always free. */
static uint32_t slot_of(const struct packed_part *p, uint64_t value)
{
    uint32_t slot = (uint32_t)((value >> 16) * p->cap >> 32);
    for (;;) {
        uint64_t there = value_at(p, slot);
        if (there == value || there == 0) {
            return slot;
        }
        slot = slot + 1 == p->cap ? 0 : slot + 1;
    }
}

static bool part_has(const struct packed_part *p, uint64_t value)
{
    return p->cap != 0 && value_at(p, slot_of(p, value)) != 0;
}

static void part_put(struct packed_part *p, uint64_t value)
{
    uint32_t slot = slot_of(p, value);
    if (value_at(p, slot) == 0) {
        p->high[slot] = (uint32_t)(value >> 16);
        low_of(p)[slot] = (uint16_t)value;
        p->count++;
    }
}

static db_err charge(struct lock_table *t, size_t size, bool always)
{
    if (always) {
        atomic_fetch_add_explicit(&t->memory, size, memory_order_relaxed);
        return ERR_OK;
    }
    return lock__charge(t, size);
}

static void *take_memory(struct lock_table *t, size_t size, bool always)
{
    void *p = NULL;
    if (charge(t, size, always) == ERR_OK) {
        p = mem_calloc(1, size);
        if (p == NULL) {
            lock__release_memory(t, size);
        }
    }
    return p;
}

/* A fifth of the slots stays free, or nearly. */
static bool part_grow(struct lock_table *t, struct packed_part *p, bool always)
{
    struct packed_part grown = {.cap = p->cap == 0 ? FIRST_CAP : p->cap + p->cap / 4};
    if (p->count + 1 <= p->cap - p->cap / 6) {
        return true;
    }
    grown.high = take_memory(t, (size_t)grown.cap * SLOT_BYTES, always);
    if (grown.high == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < p->cap; i++) {
        if (value_at(p, i) != 0) {
            part_put(&grown, value_at(p, i));
        }
    }
    lock__release_memory(t, (size_t)p->cap * SLOT_BYTES);
    mem_free(p->high);
    *p = grown;
    return true;
}

/* ---- sets; under the shard's mutex ---- */

static struct packed_set *find_set(const struct lock_shard *s, ts_t start_ts)
{
    struct packed_set *set = s->packed;
    while (set != NULL && set->start_ts != start_ts) {
        set = set->next;
    }
    return set;
}

static void set_free(struct lock_table *t, struct packed_set *set)
{
    size_t bytes = sizeof(*set);
    for (size_t m = 0; m < PACK_MODES; m++) {
        for (size_t i = 0; set->modes[m] != NULL && i < PARTS; i++) {
            bytes += (size_t)set->modes[m][i].cap * SLOT_BYTES;
            mem_free(set->modes[m][i].high);
        }
        bytes += set->modes[m] != NULL ? PARTS_BYTES : 0;
        mem_free(set->modes[m]);
    }
    lock__release_memory(t, bytes);
    mem_free(set);
}

static struct packed_set *get_set(struct lock_shard *s, ts_t start_ts, lock_owner_t owner,
                                  bool always)
{
    struct packed_set *set = find_set(s, start_ts);
    if (set == NULL) {
        set = take_memory(s->table, sizeof(*set), always);
        if (set == NULL) {
            return NULL;
        }
        set->start_ts = start_ts;
        set->owner = owner;
        set->next = s->packed;
        s->packed = set;
        atomic_fetch_add_explicit(&s->table->rows, 1, memory_order_seq_cst);
        atomic_fetch_add_explicit(&s->table->packed, 1, memory_order_seq_cst);
    }
    return set;
}

/* false: no memory. */
static bool set_put(struct lock_table *t, struct packed_set *set, enum kv_lock_mode mode,
                    size_t part, uint64_t value, bool always)
{
    struct packed_part **parts = &set->modes[mode - 1];
    if (*parts == NULL) {
        *parts = take_memory(t, PARTS_BYTES, always);
        if (*parts == NULL) {
            return false;
        }
    }
    struct packed_part *p = &(*parts)[part];
    if (!part_grow(t, p, always)) {
        return false;
    }
    part_put(p, value);
    return true;
}

static enum kv_lock_mode set_mode(const struct packed_set *set, uint64_t hash)
{
    for (size_t m = PACK_MODES; m-- > 0;) {
        if (set->modes[m] != NULL && part_has(&set->modes[m][part_of(hash)], value_of(hash))) {
            return (enum kv_lock_mode)(m + 1);
        }
    }
    return KV_LOCK_NONE;
}

enum kv_lock_mode lock__packed_mode(const struct lock_shard *s, uint64_t hash, ts_t start_ts)
{
    const struct packed_set *set = find_set(s, start_ts);
    return set == NULL ? KV_LOCK_NONE : set_mode(set, hash);
}

bool lock__packed_by_other(const struct lock_shard *s, uint64_t hash, ts_t start_ts)
{
    for (const struct packed_set *set = s->packed; set != NULL; set = set->next) {
        if (set->start_ts != start_ts && set_mode(set, hash) != KV_LOCK_NONE) {
            return true;
        }
    }
    return false;
}

static enum kv_lock_mode record_mode(const struct lock_entry *e, ts_t start_ts)
{
    enum kv_lock_mode mode = KV_LOCK_NONE;
    LIST_FOREACH (it, &e->holders) {
        const struct row_rec *h = CONTAINER_OF(it, struct row_rec, link);
        if (h->start_ts == start_ts && h->mode > mode) {
            mode = h->mode;
        }
    }
    return mode;
}

/* A packed lock in the way that is no record of the entry. */
static const struct packed_set *find_block(const struct lock_shard *s, const struct lock_entry *e,
                                           uint64_t hash, const struct row_rec *rec,
                                           enum kv_lock_mode *ret_mode)
{
    for (const struct packed_set *set = s->packed; set != NULL; set = set->next) {
        enum kv_lock_mode mode =
            set->start_ts == rec->start_ts ? KV_LOCK_NONE : set_mode(set, hash);
        if (mode == KV_LOCK_NONE || !lock__modes_conflict(mode, rec->mode)) {
            continue;
        }
        if (e == NULL || record_mode(e, set->start_ts) < mode) {
            *ret_mode = mode;
            return set;
        }
    }
    return NULL;
}

bool lock__packed_blocks(const struct lock_shard *s, const struct lock_entry *e, uint64_t hash,
                         const struct row_rec *rec)
{
    enum kv_lock_mode mode;
    return find_block(s, e, hash, rec, &mode) != NULL;
}

/* ---- unpacking ---- */

/* Under the mutexes of both shards. The transaction may have ended meanwhile. */
static db_err unpack_for(struct lock_table *t, struct txn_shard *ts, struct lock_shard *s,
                         struct slice key, uint64_t hash, ts_t holder)
{
    struct lock_txn *x = lock__txn_find(ts, holder, false);
    const struct packed_set *set = find_set(s, holder);
    enum kv_lock_mode mode = set == NULL ? KV_LOCK_NONE : set_mode(set, hash);
    struct lock_entry *e;
    struct row_rec *rec;
    if (x == NULL || mode == KV_LOCK_NONE) {
        return ERR_OK;
    }
    TRY(lock__find_or_add(s, key, hash, NULL, &e));
    if (record_mode(e, holder) >= mode) {
        return ERR_OK;
    }
    db_err err = lock__rec_make(t, s, holder, set->owner, mode, &rec);
    if (err != ERR_OK) {
        lock__drop_if_idle(s, e);
        return err;
    }
    rec->entry = e;
    rec->state = ROW_HELD;
    list_push_back(&e->holders, &rec->link);
    if (mode == KV_LOCK_INSERT) {
        lock__mark(s, rec);
    }
    list_push_back(&x->recs, &rec->txn_link);
    x->count++;
    return ERR_OK;
}

db_err lock__unpack(struct lock_table *t, struct slice key, uint64_t hash,
                    const struct row_rec *rec)
{
    struct lock_shard *s = lock__shard(t, hash);
    for (;;) {
        enum kv_lock_mode mode;
        pthread_mutex_lock(&s->mutex);
        const struct packed_set *set = find_block(s, lock__find(s, key, hash), hash, rec, &mode);
        ts_t holder = set == NULL ? 0 : set->start_ts;
        pthread_mutex_unlock(&s->mutex);
        if (holder == 0) {
            return ERR_OK;
        }
        struct txn_shard *ts = lock__txn_shard(t, holder);
        pthread_mutex_lock(&ts->mutex);
        pthread_mutex_lock(&s->mutex);
        db_err err = unpack_for(t, ts, s, key, hash, holder);
        pthread_mutex_unlock(&s->mutex);
        pthread_mutex_unlock(&ts->mutex);
        TRY(err);
    }
}

/* ---- hulls; under the mutex of the transaction's shard ---- */

static void hull_free(struct lock_table *t, struct packed_hull *h)
{
    lock__release_memory(t, h->min.len + (h->min.ptr == h->max.ptr ? 0 : h->max.len));
    if (h->max.ptr != h->min.ptr) {
        mem_free((void *)(uintptr_t)h->max.ptr);
    }
    mem_free((void *)(uintptr_t)h->min.ptr);
}

static size_t in_common(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    size_t i = 0;
    while (i < n && a.ptr[i] == b.ptr[i]) {
        i++;
    }
    return i;
}

/* Neighbours i and i + 1 become one. */
static void hulls_join(struct lock_table *t, struct packed_hulls *h, size_t i)
{
    struct packed_hull *a = &h->at[i];
    struct packed_hull *b = &h->at[i + 1];
    struct packed_hull inner = {.min = a->max, .max = b->min};
    bool a_single = a->max.ptr == a->min.ptr;
    bool b_single = b->max.ptr == b->min.ptr;
    a->max = b->max;
    a->locks += b->locks;
    if (!a_single) {
        lock__release_memory(t, inner.min.len);
        mem_free((void *)(uintptr_t)inner.min.ptr);
    }
    if (!b_single) {
        lock__release_memory(t, inner.max.len);
        mem_free((void *)(uintptr_t)inner.max.ptr);
    }
    memmove(b, b + 1, (h->count - i - 2) * sizeof(*b));
    h->count--;
}

static void hulls_limit(struct lock_table *t, struct packed_hulls *h)
{
    size_t best = 0;
    size_t most = 0;
    if (h->count <= HULLS_MAX) {
        return;
    }
    for (size_t i = 0; i + 1 < h->count; i++) {
        size_t n = in_common(h->at[i].max, h->at[i + 1].min);
        if (i == 0 || n >= most) {
            most = n;
            best = i;
        }
    }
    hulls_join(t, h, best);
}

/* A key with so many locks. false: no memory. */
static bool hulls_add(struct lock_table *t, struct packed_hulls *h, struct slice key, size_t locks,
                      bool always)
{
    size_t i = 0;
    while (i < h->count && slice_cmp(h->at[i].max, key) < 0) {
        i++;
    }
    if (i < h->count && slice_cmp(h->at[i].min, key) <= 0) {
        h->at[i].locks += locks;
        return true;
    }
    uint8_t *copy = take_memory(t, key.len == 0 ? 1 : key.len, always);
    if (copy == NULL) {
        return false;
    }
    if (key.len == 0) {
        lock__release_memory(t, 1);
    } else {
        memcpy(copy, key.ptr, key.len);
    }
    memmove(&h->at[i + 1], &h->at[i], (h->count - i) * sizeof(h->at[0]));
    h->at[i].min = h->at[i].max = slice_of(copy, key.len);
    h->at[i].locks = locks;
    h->count++;
    hulls_limit(t, h);
    return true;
}

static struct packed_hulls *get_hulls(struct lock_table *t, struct lock_txn *x,
                                      enum kv_lock_mode mode, bool always)
{
    struct packed_hulls **at = &x->hulls[mode - 1];
    if (*at == NULL) {
        struct packed_hulls *h = take_memory(t, sizeof(*h), always);
        if (h != NULL) {
            h->start_ts = x->start_ts;
            h->mode = mode;
            pthread_mutex_lock(&t->span_mutex);
            list_push_back(&t->hulls, &h->link);
            atomic_fetch_add_explicit(&t->insert_hulls, mode == KV_LOCK_INSERT,
                                      memory_order_seq_cst);
            pthread_mutex_unlock(&t->span_mutex);
        }
        *at = h;
    }
    return *at;
}

static bool note_locks(struct lock_table *t, struct lock_txn *x, enum kv_lock_mode mode,
                       struct slice key, size_t locks, bool always)
{
    struct packed_hulls *h = get_hulls(t, x, mode, always);
    if (h == NULL) {
        return false;
    }
    pthread_mutex_lock(&t->span_mutex);
    bool done = hulls_add(t, h, key, locks, always);
    pthread_mutex_unlock(&t->span_mutex);
    return done;
}

db_err lock__hull_next(struct lock_table *t, struct slice start, struct slice end, ts_t start_ts,
                       struct arena *arena, bool *ret_found, struct slice *ret_key)
{
    db_err err = ERR_OK;
    *ret_found = false;
    if (LIKELY(atomic_load_explicit(&t->insert_hulls, memory_order_seq_cst) == 0)) {
        return ERR_OK;
    }
    pthread_mutex_lock(&t->span_mutex);
    LIST_FOREACH (it, &t->hulls) {
        const struct packed_hulls *h = CONTAINER_OF(it, struct packed_hulls, link);
        bool sought = h->mode == KV_LOCK_INSERT && h->start_ts != start_ts;
        for (size_t i = 0; i < h->count && !*ret_found && sought; i++) {
            const struct packed_hull *hull = &h->at[i];
            if (slice_cmp(hull->max, start) >= 0 &&
                (end.len == 0 || slice_cmp(hull->min, end) < 0)) {
                err = arena_copy(arena, hull->min, ret_key);
                *ret_found = true;
            }
        }
    }
    pthread_mutex_unlock(&t->span_mutex);
    return err;
}

/* ---- packing ---- */

enum packing { PACKED, NOT_NOW, NO_MEMORY };

/* Under the mutexes of both shards. */
static enum packing pack(struct lock_table *t, struct lock_txn *x, struct lock_shard *s,
                         struct row_rec *rec)
{
    struct lock_entry *e = rec->entry;
    if (t->sealed) {
        return NO_MEMORY; /* what has been told of stays what it is */
    }
    if (rec->state != ROW_HELD || rec->busy || !list_empty(&e->row_waiters)) {
        return NOT_NOW;
    }
    struct packed_set *set = get_set(s, rec->start_ts, rec->owner, false);
    if (set == NULL) {
        return NO_MEMORY;
    }
    x->packed = true;
    const struct packed_part *parts = set->modes[rec->mode - 1];
    bool again = parts != NULL && part_has(&parts[part_of(e->hash)], value_of(e->hash));
    /* The hull before the mark goes: who looks for inserts looks there last. Hulls of other modes
     * are to be shown only, and small: no lock is refused for want of room for them. */
    if (!note_locks(t, x, rec->mode, entry_key(e), again ? 0 : 1, rec->mode != KV_LOCK_INSERT) ||
        !set_put(t, set, rec->mode, part_of(e->hash), value_of(e->hash), false)) {
        return NO_MEMORY;
    }
    lock__take_out(s, rec);
    lock__drop_if_idle(s, e);
    return PACKED;
}

static size_t pack_from(const struct lock_table *t)
{
    bool tight = atomic_load_explicit(&t->memory, memory_order_relaxed) > t->memory_max / 2;
    return tight && t->pack_from > PACK_TIGHT ? PACK_TIGHT : t->pack_from;
}

bool lock__should_pack(const struct lock_table *t, const struct lock_txn *x)
{
    return x->count >= pack_from(t) && x->count >= x->pack_at;
}

void lock__pack(struct lock_table *t, ts_t start_ts)
{
    struct txn_shard *ts = lock__txn_shard(t, start_ts);
    pthread_mutex_lock(&ts->mutex);
    struct lock_txn *x = lock__txn_find(ts, start_ts, false);
    size_t count = x == NULL ? 0 : x->count;
    size_t left = x == NULL || !lock__should_pack(t, x) ? 0 : PACK_BATCH;
    bool tried = left != 0;
    for (; left > 0 && x->count > pack_from(t) / 2; left--) {
        struct row_rec *rec = CONTAINER_OF(x->recs.next, struct row_rec, txn_link);
        struct lock_shard *s = lock__shard_of(&rec->shard);
        enum packing done = pack(t, x, s, rec);
        pthread_mutex_unlock(&s->mutex);
        list_remove(&rec->txn_link);
        if (done == PACKED) {
            x->count--;
            lock__rec_free(t, rec);
            continue;
        }
        list_push_back(&x->recs, &rec->txn_link);
        if (done == NO_MEMORY) {
            break;
        }
    }
    if (tried) { /* nothing: somebody waits for each of these */
        x->pack_at = x->count == count ? count + PACK_BATCH : 0;
    }
    pthread_mutex_unlock(&ts->mutex);
}

/* ---- all of a transaction ---- */

void lock__packed_gone_init(struct packed_gone *g)
{
    g->sets = NULL;
    list_init(&g->hulls);
}

static void leave_set(struct lock_shard *s, struct packed_set **link, struct packed_gone *out)
{
    struct packed_set *set = *link;
    *link = set->next;
    set->next = out->sets;
    out->sets = set;
    atomic_fetch_sub_explicit(&s->table->packed, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->table->rows, 1, memory_order_release);
}

static void leave_hulls(struct lock_table *t, struct lock_txn *x, struct packed_gone *out)
{
    for (size_t m = 0; m < PACK_MODES; m++) {
        struct packed_hulls *h = x->hulls[m];
        if (h == NULL) {
            continue;
        }
        pthread_mutex_lock(&t->span_mutex);
        list_remove(&h->link);
        atomic_fetch_sub_explicit(&t->insert_hulls, h->mode == KV_LOCK_INSERT,
                                  memory_order_relaxed);
        pthread_mutex_unlock(&t->span_mutex);
        list_push_back(&out->hulls, &h->link);
        x->hulls[m] = NULL;
    }
}

void lock__packed_detach(struct lock_table *t, struct lock_txn *x, struct packed_gone *out)
{
    if (LIKELY(!x->packed)) {
        return;
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        struct lock_shard *s = &t->shards[i];
        pthread_mutex_lock(&s->mutex);
        struct packed_set **link = &s->packed;
        while (*link != NULL && (*link)->start_ts != x->start_ts) {
            link = &(*link)->next;
        }
        if (*link != NULL) {
            leave_set(s, link, out);
        }
        pthread_mutex_unlock(&s->mutex);
    }
    leave_hulls(t, x, out);
    x->packed = false;
}

void lock__packed_free(struct lock_table *t, struct packed_gone *g)
{
    struct list *l;
    while (g->sets != NULL) {
        struct packed_set *set = g->sets;
        g->sets = set->next;
        set_free(t, set);
    }
    while ((l = list_pop_front(&g->hulls)) != NULL) {
        struct packed_hulls *h = CONTAINER_OF(l, struct packed_hulls, link);
        while (h->count != 0) {
            hull_free(t, &h->at[--h->count]);
        }
        lock__release_memory(t, sizeof(*h));
        mem_free(h);
    }
}

/* ---- split, merge ---- */

static bool copy_part(struct lock_table *to, struct packed_set *set, enum kv_lock_mode mode,
                      size_t part, const struct packed_part *p)
{
    for (uint32_t i = 0; i < p->cap; i++) {
        if (value_at(p, i) != 0 && !set_put(to, set, mode, part, value_at(p, i), true)) {
            return false;
        }
    }
    return true;
}

static bool copy_set(struct lock_shard *to, const struct packed_set *from)
{
    struct lock_table *t = to->table;
    struct lock_txn *x = lock__txn_find(lock__txn_shard(t, from->start_ts), from->start_ts, true);
    struct packed_set *set = x == NULL ? NULL : get_set(to, from->start_ts, from->owner, true);
    if (set == NULL) {
        return false;
    }
    x->owner = from->owner != 0 ? from->owner : x->owner;
    x->packed = true;
    for (size_t m = 0; m < PACK_MODES; m++) {
        for (size_t i = 0; from->modes[m] != NULL && i < PARTS; i++) {
            if (!copy_part(t, set, (enum kv_lock_mode)(m + 1), i, &from->modes[m][i])) {
                return false;
            }
        }
    }
    return true;
}

/* Hulls lie in order, with nothing of the same transaction between the ends of one: in the other
 * table their ends are enough to make them again, unless other ones come between. */
static bool copy_hulls(struct lock_table *to, const struct packed_hulls *from)
{
    struct lock_txn *x = lock__txn_find(lock__txn_shard(to, from->start_ts), from->start_ts, true);
    struct packed_hulls *h = x == NULL ? NULL : get_hulls(to, x, from->mode, true);
    if (h == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->count; i++) {
        struct packed_hull joined;
        if (!note_locks(to, x, from->mode, from->at[i].min, from->at[i].locks, true) ||
            !note_locks(to, x, from->mode, from->at[i].max, 0, true)) {
            return false;
        }
        joined = from->at[i];
        pthread_mutex_lock(&to->span_mutex);
        for (size_t k = 0; k + 1 < h->count;) {
            bool inside = slice_cmp(h->at[k].max, joined.min) >= 0 &&
                          slice_cmp(h->at[k + 1].min, joined.max) <= 0;
            if (inside) {
                hulls_join(to, h, k);
            } else {
                k++;
            }
        }
        pthread_mutex_unlock(&to->span_mutex);
    }
    return true;
}

db_err lock__packed_copy(struct lock_table *from, struct lock_table *to)
{
    bool good = true;
    for (size_t i = 0; good && i < LOCK_SHARDS; i++) {
        for (const struct packed_set *set = from->shards[i].packed; good && set != NULL;
             set = set->next) {
            good = copy_set(&to->shards[i], set);
        }
    }
    LIST_FOREACH (it, &from->hulls) {
        good = good && copy_hulls(to, CONTAINER_OF(it, const struct packed_hulls, link));
    }
    return good ? ERR_OK : ERR_NOMEM;
}

void lock__packed_drop(struct lock_table *t)
{
    struct packed_gone gone;
    lock__packed_gone_init(&gone);
    for (size_t i = 0; i < TXN_SHARDS; i++) {
        for (size_t b = 0; b < TXN_BUCKETS; b++) {
            for (struct lock_txn *x = t->txns[i].buckets[b]; x != NULL; x = x->next) {
                leave_hulls(t, x, &gone);
                x->packed = false;
            }
        }
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        while (t->shards[i].packed != NULL) {
            leave_set(&t->shards[i], &t->shards[i].packed, &gone);
        }
    }
    lock__packed_free(t, &gone);
}

/* ---- to be shown ---- */

db_err lock__packed_look(const struct lock_txn *x,
                         db_err (*fn)(void *arg, const struct lock_info *l), void *arg)
{
    for (size_t m = 0; m < PACK_MODES; m++) {
        const struct packed_hulls *h = x->hulls[m];
        for (size_t i = 0; h != NULL && i < h->count; i++) {
            const struct packed_hull *hull = &h->at[i];
            const struct lock_info l = {.key = hull->min,
                                        .end = hull->max,
                                        .start_ts = x->start_ts,
                                        .mode = h->mode,
                                        .packed = hull->locks};
            TRY(fn(arg, &l));
        }
    }
    return ERR_OK;
}
