#include "node/meta/meta_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"

/* Which range covers which keys: an array in order of start keys.
 *
 * The truth is the descriptor in each range's own state. Leaders report theirs when their lease
 * begins and when it changes; the index takes what is newer by epoch and forgets what it overlaps.
 * What is in the meta range is a copy that is written a moment later: after a crash it may be old,
 * and the reports repair it. */

db_err range_index_init(struct range_index *ix)
{
    buf_init(&ix->removed, 16 << 20);
    return pthread_rwlock_init(&ix->lock, NULL) == 0 ? ERR_OK : ERR_NOMEM;
}

void range_index_clear(struct range_index *ix)
{
    pthread_rwlock_wrlock(&ix->lock);
    for (size_t i = 0; i < ix->count; i++) {
        mem_free(ix->entries[i]);
    }
    ix->count = 0;
    buf_reset(&ix->removed);
    pthread_rwlock_unlock(&ix->lock);
}

void range_index_fini(struct range_index *ix)
{
    range_index_clear(ix);
    mem_free(ix->entries);
    buf_fini(&ix->removed);
    pthread_rwlock_destroy(&ix->lock);
}

static struct index_entry *entry_new(const struct range_desc *d)
{
    struct index_entry *e = mem_alloc(sizeof(*e) + d->start.len + d->end.len);
    if (e != NULL) {
        uint8_t *keys = (uint8_t *)(e + 1);
        *e = (struct index_entry){.desc = *d, .dirty = true};
        if (d->start.len != 0) {
            memcpy(keys, d->start.ptr, d->start.len);
        }
        if (d->end.len != 0) {
            memcpy(keys + d->start.len, d->end.ptr, d->end.len);
        }
        e->desc.start = slice_of(keys, d->start.len);
        e->desc.end = slice_of(keys + d->start.len, d->end.len);
    }
    return e;
}

/* The first entry that ends after key. */
static size_t lower(const struct range_index *ix, struct slice key)
{
    size_t lo = 0;
    size_t hi = ix->count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const struct range_desc *d = &ix->entries[mid]->desc;
        if (d->end.len != 0 && slice_cmp(d->end, key) <= 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static bool starts_before(const struct range_desc *d, struct slice end)
{
    return end.len == 0 || slice_cmp(d->start, end) < 0;
}

static bool newer(const struct range_desc *a, const struct range_desc *b)
{
    return a->epoch.version != b->epoch.version ? a->epoch.version > b->epoch.version
                                                : a->epoch.conf > b->epoch.conf;
}

static db_err note_removed(struct range_index *ix, struct slice start)
{
    uint32_t len = (uint32_t)start.len;
    TRY(buf_reserve(&ix->removed, sizeof(len) + start.len));
    TRY(buf_append(&ix->removed, &len, sizeof(len)));
    return buf_append_slice(&ix->removed, start);
}

static db_err make_room(struct range_index *ix)
{
    if (ix->count < ix->cap) {
        return ERR_OK;
    }
    size_t cap = ix->cap == 0 ? 64 : ix->cap * 2;
    struct index_entry **grown = mem_realloc(ix->entries, cap * sizeof(*grown));
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    ix->entries = grown;
    ix->cap = cap;
    return ERR_OK;
}

/* Under the lock. *ret_changed: something is to be written. */
static db_err update(struct range_index *ix, const struct range_desc *desc, bool *ret_changed)
{
    size_t at = lower(ix, desc->start);
    size_t end = at;
    *ret_changed = false;
    while (end < ix->count && starts_before(&ix->entries[end]->desc, desc->end)) {
        struct range_desc *d = &ix->entries[end]->desc;
        if (newer(d, desc)) {
            return ERR_OK; /* old news */
        }
        if (d->id == desc->id && !newer(desc, d)) {
            d->leader_hint = desc->leader_hint != 0 ? desc->leader_hint : d->leader_hint;
            d->load = desc->load;
            return ERR_OK;
        }
        end++;
    }
    struct index_entry *e = entry_new(desc);
    if (e == NULL || make_room(ix) != ERR_OK) {
        mem_free(e);
        return ERR_NOMEM;
    }
    db_err err = ERR_OK;
    for (size_t i = at; i < end; i++) {
        if (!slice_eq(ix->entries[i]->desc.start, desc->start) && err == ERR_OK) {
            err = note_removed(ix, ix->entries[i]->desc.start);
        }
        mem_free(ix->entries[i]);
    }
    memmove(ix->entries + at + 1, ix->entries + end, (ix->count - end) * sizeof(*ix->entries));
    ix->count = ix->count - (end - at) + 1;
    ix->entries[at] = e;
    *ret_changed = true;
    return err;
}

db_err range_index_changed(struct meta *m, const struct range_desc *desc, node_id_t leader)
{
    struct range_index *ix = &m->index;
    struct range_desc led = *desc;
    bool changed;
    led.leader_hint = leader;
    pthread_rwlock_wrlock(&ix->lock);
    db_err err = update(ix, &led, &changed);
    pthread_rwlock_unlock(&ix->lock);
    if (changed) {
        range_index_write_soon(m);
    }
    return err;
}

/* ---- the copy in the meta range ---- */

static db_err collect(struct range_index *ix, struct store_batch *b)
{
    struct buf value;
    db_err err = ERR_OK;
    buf_init(&value, 1 << 20);
    for (size_t pos = 0; pos < ix->removed.len && err == ERR_OK;) {
        uint32_t len;
        memcpy(&len, ix->removed.ptr + pos, sizeof(len));
        pos += sizeof(len);
        err = meta_kv_delete(b, META_KEY_RANGE, slice_of(ix->removed.ptr + pos, len));
        pos += len;
    }
    for (size_t i = 0; i < ix->count && err == ERR_OK; i++) {
        struct index_entry *e = ix->entries[i];
        if (!e->dirty) {
            continue;
        }
        buf_reset(&value);
        err = range_desc_encode(&value, &e->desc);
        if (err == ERR_OK) {
            err = meta_kv_put(b, META_KEY_RANGE, e->desc.start, buf_slice(&value));
        }
    }
    buf_fini(&value);
    return err;
}

static void mark_written(struct range_index *ix)
{
    for (size_t i = 0; i < ix->count; i++) {
        ix->entries[i]->dirty = false;
    }
    buf_reset(&ix->removed);
}

static void mark_all_dirty(struct range_index *ix)
{
    for (size_t i = 0; i < ix->count; i++) {
        ix->entries[i]->dirty = true;
    }
}

/* One batch with all that has changed. False: nothing had. */
static bool write_changes(struct meta *m, db_err *ret_err)
{
    struct range_index *ix = &m->index;
    struct store_batch b;
    struct diag diag;
    uint64_t term = atomic_load(&m->term);
    diag_reset(&diag);
    store_batch_init(&b);
    pthread_rwlock_wrlock(&ix->lock);
    db_err err = collect(ix, &b);
    bool any = b.count != 0;
    if (err == ERR_OK) {
        mark_written(ix);
    }
    if (err != ERR_OK || !any) {
        ix->writing = false;
    }
    pthread_rwlock_unlock(&ix->lock);
    if (err == ERR_OK && any) {
        err = term == 0 ? ERR_NOT_LEADER : meta_kv_write(m, term, &b, &diag);
        if (err != ERR_OK) {
            pthread_rwlock_wrlock(&ix->lock);
            mark_all_dirty(ix);
            ix->writing = false;
            pthread_rwlock_unlock(&ix->lock);
        }
    }
    store_batch_fini(&b);
    *ret_err = err;
    return any && err == ERR_OK;
}

static void write_fiber(void *arg)
{
    struct meta *m = arg;
    db_err err = ERR_OK;
    while (write_changes(m, &err)) {
    }
    if (err != ERR_OK && err != ERR_NOT_LEADER) {
        LOG_WARN("meta.index.write", F_ERR(err)); /* with the next change, or at the next start */
    }
    meta_fiber_ends(m);
}

void range_index_write_soon(struct meta *m)
{
    struct range_index *ix = &m->index;
    if (!atomic_load(&m->running)) {
        return; /* meta_follow_lease does it */
    }
    pthread_rwlock_wrlock(&ix->lock);
    bool start = !ix->writing;
    ix->writing = true;
    pthread_rwlock_unlock(&ix->lock);
    if (start && meta_spawn(m, write_fiber, m) != ERR_OK) {
        pthread_rwlock_wrlock(&ix->lock);
        ix->writing = false;
        pthread_rwlock_unlock(&ix->lock);
    }
}

static db_err load_one(void *arg, struct slice name, struct slice value)
{
    struct meta *m = arg;
    struct arena a;
    struct range_desc d;
    bool changed = false;
    arena_init(&a, NULL, NULL, 0);
    db_err err = range_desc_decode(value, &a, &d);
    if (err == ERR_OK && !slice_eq(d.start, name)) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        pthread_rwlock_wrlock(&m->index.lock);
        err = update(&m->index, &d, &changed);
        pthread_rwlock_unlock(&m->index.lock);
    }
    arena_fini(&a);
    return err;
}

db_err range_index_load(struct meta *m)
{
    return meta_kv_each(m, META_KEY_RANGE, load_one, m);
}

/* ---- asking ---- */

db_err range_index_lookup(struct range_index *ix, struct slice start, struct slice end,
                          unsigned max, struct arena *arena, struct range_desc **ret_descs,
                          unsigned *ret_count)
{
    db_err err = ERR_OK;
    unsigned count = 0;
    pthread_rwlock_rdlock(&ix->lock);
    size_t at = lower(ix, start);
    size_t last = at;
    while (last < ix->count && last - at < max && starts_before(&ix->entries[last]->desc, end)) {
        last++;
    }
    struct range_desc *descs = ARENA_ARRAY(arena, struct range_desc, last - at);
    if (descs == NULL) {
        err = ERR_NOMEM;
    }
    for (; err == ERR_OK && at + count < last; count++) {
        err = range_desc_copy(arena, &ix->entries[at + count]->desc, &descs[count]);
    }
    pthread_rwlock_unlock(&ix->lock);
    TRY(err);
    *ret_descs = descs;
    *ret_count = count;
    return ERR_OK;
}
