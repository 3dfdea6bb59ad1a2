#include "sql/storage/mem/mem_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"

/* The versions: a skip list of keys, each with a chain of versions, newest first.
 *
 * Readers take no lock. A commit runs alone (commit_lock, held for as long as it takes to link its
 * writes; values were copied before) and becomes visible at once, by one store to visible_ts:
 * readers pass over versions that are younger than their timestamp.
 *
 * Memory. What a commit makes superfluous (older versions that no snapshot can need, keys whose
 * newest version is an old deletion) is unlinked when the oldest snapshot has passed it: each
 * commit puts its keys into the cleaning queue, which is in order of timestamps. Unlinked memory is
 * freed when all guards that were entered before the unlinking have been left (epochs): a reader
 * enters a guard for each short section, in which it does not park.
 *
 * A read of what is current has no snapshot to protect the version it looks for: if the chain ends
 * too early, a commit became visible meanwhile, and the reader looks again. */

db_err mem_store_init(struct mem_store *s, size_t bytes_max)
{
    s->head = mem_calloc(1, sizeof(*s->head) + MEM_HEIGHT_MAX * sizeof(s->head->next[0]));
    if (s->head == NULL) {
        return ERR_NOMEM;
    }
    s->head->height = MEM_HEIGHT_MAX;
    s->bytes_max = bytes_max;
    s->rand = 0x2545f4914f6cdd1dull;
    atomic_init(&s->visible_ts, 1);
    atomic_init(&s->epoch, 1);
    pthread_mutex_init(&s->commit_lock, NULL);
    pthread_mutex_init(&s->snapshot_lock, NULL);
    list_init(&s->snapshots);
    return ERR_OK;
}

static void free_retired(struct mem_store *s, uint64_t before_epoch)
{
    while (s->retired_first != NULL && s->retired_first->epoch < before_epoch) {
        struct mem_retired *r = s->retired_first;
        s->retired_first = r->next;
        mem_free(r);
        atomic_fetch_sub_explicit(&s->retired, 1, memory_order_relaxed);
    }
    if (s->retired_first == NULL) {
        s->retired_last = NULL;
    }
}

void mem_store_fini(struct mem_store *s)
{
    if (s->head == NULL) {
        return;
    }
    ASSERT(list_empty(&s->snapshots));
    free_retired(s, UINT64_MAX);
    for (size_t i = 0; i < s->cleaning_count; i++) {
        struct mem_cleaning *c = &s->cleaning[(s->cleaning_first + i) % s->cleaning_cap];
        if (--c->node->queued == 0 && c->node->unlinked) {
            mem_free(c->node);
        }
    }
    for (struct mem_node *n = mem_store_next(s->head), *next; n != NULL; n = next) {
        next = mem_store_next(n);
        for (struct mem_version *v = atomic_load(&n->newest), *older; v != NULL; v = older) {
            older = atomic_load(&v->older);
            mem_free(v);
        }
        mem_free(n);
    }
    mem_free(s->head);
    mem_free(s->cleaning);
    pthread_mutex_destroy(&s->commit_lock);
    pthread_mutex_destroy(&s->snapshot_lock);
}

/* ---- guards ---- */

static _Thread_local unsigned tls_slot;

unsigned mem_guard_enter(struct mem_store *s)
{
    uint64_t epoch = atomic_load(&s->epoch);
    for (unsigned i = tls_slot;; i = (i + 1) % MEM_GUARD_SLOTS) {
        uint64_t expected = 0;
        if (atomic_load_explicit(&s->slots[i].epoch, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&s->slots[i].epoch, &expected, epoch)) {
            tls_slot = i;
            return i;
        }
    }
}

void mem_guard_leave(struct mem_store *s, unsigned slot)
{
    atomic_store_explicit(&s->slots[slot].epoch, 0, memory_order_release);
}

static void retire(struct mem_store *s, struct mem_retired *r)
{
    r->next = NULL;
    r->epoch = atomic_load(&s->epoch);
    if (s->retired_last == NULL) {
        s->retired_first = r;
    } else {
        s->retired_last->next = r;
    }
    s->retired_last = r;
    atomic_fetch_add_explicit(&s->retired, 1, memory_order_relaxed);
}

/* Frees what no guard can see any more. Under commit_lock. */
static void reclaim(struct mem_store *s)
{
    if (s->retired_first == NULL) {
        return;
    }
    uint64_t oldest = atomic_fetch_add(&s->epoch, 1) + 1;
    for (unsigned i = 0; i < MEM_GUARD_SLOTS; i++) {
        uint64_t e = atomic_load(&s->slots[i].epoch);
        if (e != 0 && e < oldest) {
            oldest = e;
        }
    }
    free_retired(s, oldest);
}

/* ---- the list ---- */

static int cmp_node(const struct mem_node *n, struct slice key)
{
    return slice_cmp(mem_node_key(n), key);
}

static struct mem_node *find_links(struct mem_store *s, struct slice key,
                                   struct mem_node **ret_prev)
{
    struct mem_node *prev = s->head;
    struct mem_node *at = NULL;
    for (int level = MEM_HEIGHT_MAX - 1; level >= 0; level--) {
        at = atomic_load(&prev->next[level]);
        while (at != NULL && cmp_node(at, key) < 0) {
            prev = at;
            at = atomic_load(&prev->next[level]);
        }
        if (ret_prev != NULL) {
            ret_prev[level] = prev;
        }
    }
    return at;
}

struct mem_node *mem_store_seek(struct mem_store *s, struct slice key)
{
    return find_links(s, key, NULL);
}

struct mem_node *mem_store_seek_before(struct mem_store *s, struct slice key)
{
    struct mem_node *prev = s->head;
    for (int level = MEM_HEIGHT_MAX - 1; level >= 0; level--) {
        struct mem_node *at = atomic_load(&prev->next[level]);
        while (at != NULL && (key.len == 0 || cmp_node(at, key) < 0)) {
            prev = at;
            at = atomic_load(&prev->next[level]);
        }
    }
    return prev == s->head ? NULL : prev;
}

struct mem_node *mem_store_find(struct mem_store *s, struct slice key)
{
    struct mem_node *n = find_links(s, key, NULL);
    return n != NULL && slice_eq(mem_node_key(n), key) ? n : NULL;
}

const struct mem_version *mem_node_version(struct mem_store *s, const struct mem_node *n,
                                           uint64_t ts)
{
    bool current = ts == MEM_TS_CURRENT;
    for (;;) {
        uint64_t at = current ? atomic_load(&s->visible_ts) : ts;
        const struct mem_version *v = atomic_load(&n->newest);
        while (v != NULL && v->ts > at) {
            v = atomic_load(&v->older);
        }
        if (v != NULL || !current || atomic_load(&s->visible_ts) == at) {
            return v;
        }
    }
}

/* ---- snapshots ---- */

void mem_snapshot_take(struct mem_store *s, struct mem_snapshot *snap)
{
    ASSERT(snap->ts == 0);
    pthread_mutex_lock(&s->snapshot_lock);
    snap->ts = atomic_load(&s->visible_ts);
    list_push_back(&s->snapshots, &snap->node);
    pthread_mutex_unlock(&s->snapshot_lock);
}

void mem_snapshot_drop(struct mem_store *s, struct mem_snapshot *snap)
{
    if (snap->ts != 0) {
        pthread_mutex_lock(&s->snapshot_lock);
        list_remove(&snap->node);
        pthread_mutex_unlock(&s->snapshot_lock);
        snap->ts = 0;
    }
}

static uint64_t oldest_needed(struct mem_store *s)
{
    pthread_mutex_lock(&s->snapshot_lock);
    uint64_t ts = list_empty(&s->snapshots)
                      ? atomic_load(&s->visible_ts)
                      : CONTAINER_OF(s->snapshots.next, struct mem_snapshot, node)->ts;
    pthread_mutex_unlock(&s->snapshot_lock);
    return ts;
}

/* ---- cleaning; all under commit_lock ---- */

static size_t version_size(const struct mem_version *v)
{
    return sizeof(*v) + v->len;
}

static size_t node_size(const struct mem_node *n)
{
    return sizeof(*n) + n->height * sizeof(n->next[0]) + n->key_len;
}

static void retire_chain(struct mem_store *s, struct mem_version *v)
{
    while (v != NULL) {
        struct mem_version *older = atomic_load(&v->older);
        atomic_fetch_sub_explicit(&s->bytes, version_size(v), memory_order_relaxed);
        atomic_fetch_sub_explicit(&s->versions, 1, memory_order_relaxed);
        retire(s, &v->retired);
        v = older;
    }
}

static void unlink_node(struct mem_store *s, struct mem_node *n)
{
    struct mem_node *prev[MEM_HEIGHT_MAX];
    struct mem_node *at = find_links(s, mem_node_key(n), prev);
    ASSERT(at == n && !n->unlinked);
    for (unsigned level = 0; level < n->height; level++) {
        ASSERT(atomic_load(&prev[level]->next[level]) == n);
        atomic_store(&prev[level]->next[level], atomic_load(&n->next[level]));
    }
    n->unlinked = true;
    atomic_fetch_sub_explicit(&s->bytes, node_size(n), memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->keys, 1, memory_order_relaxed);
    retire_chain(s, atomic_load(&n->newest));
    if (n->queued == 0) {
        retire(s, &n->retired);
    }
}

static void clean(struct mem_store *s)
{
    uint64_t oldest = oldest_needed(s);
    while (s->cleaning_count != 0 && s->cleaning[s->cleaning_first].ts <= oldest) {
        struct mem_node *n = s->cleaning[s->cleaning_first].node;
        s->cleaning_first = (s->cleaning_first + 1) % s->cleaning_cap;
        s->cleaning_count--;
        n->queued--;
        if (n->unlinked) {
            if (n->queued == 0) {
                retire(s, &n->retired);
            }
            continue;
        }
        struct mem_version *newest = atomic_load(&n->newest);
        struct mem_version *v = newest;
        while (v->ts > oldest && atomic_load(&v->older) != NULL) {
            v = atomic_load(&v->older);
        }
        if (v->ts <= oldest) {
            struct mem_version *superfluous = atomic_load(&v->older);
            if (superfluous != NULL) {
                atomic_store(&v->older, NULL);
                retire_chain(s, superfluous);
            }
            if (v == newest && v->deleted && n->queued == 0) {
                unlink_node(s, n);
            }
        }
    }
    reclaim(s);
}

static db_err reserve_cleaning(struct mem_store *s, size_t extra)
{
    if (s->cleaning_cap - s->cleaning_count >= extra) {
        return ERR_OK;
    }
    size_t cap = s->cleaning_cap == 0 ? 256 : s->cleaning_cap * 2;
    while (cap - s->cleaning_count < extra) {
        cap *= 2;
    }
    struct mem_cleaning *ring = mem_alloc(cap * sizeof(*ring));
    if (ring == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < s->cleaning_count; i++) {
        ring[i] = s->cleaning[(s->cleaning_first + i) % s->cleaning_cap];
    }
    mem_free(s->cleaning);
    s->cleaning = ring;
    s->cleaning_cap = cap;
    s->cleaning_first = 0;
    return ERR_OK;
}

/* ---- commit ---- */

struct planned {
    const struct wb_entry *entry;
    struct mem_version *version;
    struct mem_node *found; /* the key is there */
    struct mem_node *fresh; /* made for it */
};

static struct mem_node *new_node(struct mem_store *s, struct slice key)
{
    unsigned height = 1;
    s->rand ^= s->rand << 13;
    s->rand ^= s->rand >> 7;
    s->rand ^= s->rand << 17;
    for (uint64_t r = s->rand; height < MEM_HEIGHT_MAX && (r & 3u) == 0; r >>= 2) {
        height++;
    }
    size_t size = sizeof(struct mem_node) + height * sizeof(struct mem_node *);
    struct mem_node *n = mem_alloc(size + key.len);
    if (n != NULL) {
        memset(n, 0, size);
        n->key_len = (uint32_t)key.len;
        n->height = (uint8_t)height;
        memcpy((uint8_t *)n + size, key.ptr, key.len);
    }
    return n;
}

/* Copies the values; nothing is locked yet. */
static db_err make_versions(struct mem_store *s, struct write_buffer *wb, struct planned *plan,
                            size_t *ret_bytes)
{
    size_t i = 0;
    size_t bytes = 0;
    for (const struct wb_entry *e = wb_first(wb); e != NULL; e = wb_next(e)) {
        if (!wb_is_write(e)) {
            continue;
        }
        size_t len = e->now.op == WB_PUT ? e->now.value.len : 0;
        struct mem_version *v = mem_alloc(sizeof(*v) + len);
        if (v == NULL) {
            return ERR_NOMEM;
        }
        *v = (struct mem_version){.len = len, .deleted = e->now.op == WB_DELETE};
        if (len != 0) {
            memcpy(v->data, e->now.value.ptr, len);
        }
        plan[i++] = (struct planned){.entry = e, .version = v};
        bytes += version_size(v) + e->key.len;
    }
    ASSERT(i == wb->write_count);
    if (s->bytes_max != 0 && atomic_load(&s->bytes) + bytes > s->bytes_max) {
        return ERR_LIMIT;
    }
    *ret_bytes = bytes;
    return ERR_OK;
}

static db_err check_one(struct mem_store *s, struct planned *p, const struct mem_commit_opts *opts,
                        struct diag *diag)
{
    struct slice key = p->entry->key;
    struct buf *conflict = opts->conflict;
    uint64_t si_ts = opts->si_ts;
    if (p->entry->fresh && !p->entry->may_insert && opts->blocked != NULL &&
        p->entry->now.op == WB_PUT && opts->blocked(opts->ctx, key)) {
        return ERR_WOULD_BLOCK;
    }
    p->found = mem_store_find(s, key);
    if (p->found == NULL) {
        p->fresh = new_node(s, key);
        return p->fresh == NULL ? ERR_NOMEM : ERR_OK;
    }
    const struct mem_version *newest = atomic_load(&p->found->newest);
    if (p->entry->now.must_be_new && !newest->deleted) {
        if (conflict != NULL) {
            buf_reset(conflict);
            TRY(buf_append_slice(conflict, key));
        }
        return diag_set(diag, ERR_KEY_EXISTS, "a key to be inserted exists");
    }
    if (si_ts != 0 && newest->ts > si_ts) {
        return diag_set(diag, ERR_WRITE_CONFLICT, "a row changed after the snapshot was taken");
    }
    return ERR_OK;
}

static void link_one(struct mem_store *s, struct planned *p, uint64_t ts)
{
    struct mem_node *n = p->found != NULL ? p->found : p->fresh;
    p->version->ts = ts;
    atomic_store(&p->version->older, atomic_load(&n->newest));
    atomic_store(&n->newest, p->version);
    size_t bytes = version_size(p->version);
    if (p->fresh != NULL) {
        struct mem_node *prev[MEM_HEIGHT_MAX];
        struct mem_node *at = find_links(s, p->entry->key, prev);
        ASSERT_SLOW(at == NULL || cmp_node(at, p->entry->key) != 0);
        (void)at;
        for (unsigned level = 0; level < n->height; level++) {
            atomic_store(&n->next[level], atomic_load(&prev[level]->next[level]));
        }
        for (unsigned level = 0; level < n->height; level++) {
            atomic_store(&prev[level]->next[level], n);
        }
        bytes += node_size(n);
        atomic_fetch_add_explicit(&s->keys, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&s->bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->versions, 1, memory_order_relaxed);
    if (p->version->deleted || atomic_load(&p->version->older) != NULL) {
        s->cleaning[(s->cleaning_first + s->cleaning_count++) % s->cleaning_cap] =
            (struct mem_cleaning){ts, n};
        n->queued++;
    }
}

void mem_store_barrier(struct mem_store *s)
{
    pthread_mutex_lock(&s->commit_lock);
    pthread_mutex_unlock(&s->commit_lock);
}

db_err mem_store_commit(struct mem_store *s, struct write_buffer *wb,
                        const struct mem_commit_opts *opts, struct diag *diag,
                        const struct wb_entry **ret_blocked, uint64_t *ret_ts)
{
    size_t count = wb->write_count;
    struct planned *plan = arena_calloc(&wb->arena, count, sizeof(*plan));
    if (plan == NULL) {
        return ERR_NOMEM;
    }
    size_t bytes;
    db_err err = make_versions(s, wb, plan, &bytes);
    bool locked = err == ERR_OK;
    if (locked) {
        pthread_mutex_lock(&s->commit_lock);
        err = reserve_cleaning(s, count);
        for (size_t i = 0; i < count && err == ERR_OK; i++) {
            err = check_one(s, &plan[i], opts, diag);
            if (err == ERR_WOULD_BLOCK) {
                *ret_blocked = plan[i].entry;
            }
        }
    }
    if (err != ERR_OK) {
        if (locked) {
            pthread_mutex_unlock(&s->commit_lock);
        }
        for (size_t i = 0; i < count; i++) {
            mem_free(plan[i].version);
            mem_free(plan[i].fresh);
        }
        return err;
    }
    uint64_t ts = atomic_load(&s->visible_ts) + 1;
    uint64_t now = (clock_wall_us() / 1000) << 18;
    ts = now > ts ? now : ts;
    for (size_t i = 0; i < count; i++) {
        link_one(s, &plan[i], ts);
    }
    atomic_store(&s->visible_ts, ts);
    atomic_fetch_add_explicit(&s->commits, 1, memory_order_relaxed);
    clean(s);
    pthread_mutex_unlock(&s->commit_lock);
    *ret_ts = ts;
    return ERR_OK;
}

/* ---- whole ranges ---- */

void mem_store_delete_range(struct mem_store *s, struct slice start, struct slice end)
{
    bool more = true;
    while (more) {
        pthread_mutex_lock(&s->commit_lock);
        struct mem_node *n = mem_store_seek(s, start);
        int left = 1024;
        while (n != NULL && (end.len == 0 || cmp_node(n, end) < 0) && left-- > 0) {
            struct mem_node *next = mem_store_next(n);
            unlink_node(s, n);
            n = next;
        }
        more = left < 0;
        reclaim(s);
        pthread_mutex_unlock(&s->commit_lock);
    }
}

/* Counts on the highest level that still has a fair number of the range's keys. */
void mem_store_estimate(struct mem_store *s, struct slice start, struct slice end,
                        uint64_t *ret_rows, uint64_t *ret_bytes)
{
    enum { ENOUGH = 64 };
    uint64_t count = 0;
    uint64_t bytes = 0;
    int level = MEM_HEIGHT_MAX;
    unsigned slot = mem_guard_enter(s);
    struct mem_node *prev[MEM_HEIGHT_MAX];
    find_links(s, start, prev);
    while (count < ENOUGH && level-- > 0) {
        count = bytes = 0;
        struct mem_node *n = atomic_load(&prev[level]->next[level]);
        for (; n != NULL && (end.len == 0 || cmp_node(n, end) < 0); count++) {
            const struct mem_version *v = atomic_load(&n->newest);
            bytes += n->key_len + (v == NULL ? 0 : v->len);
            n = atomic_load(&n->next[level]);
        }
    }
    mem_guard_leave(s, slot);
    level = level < 0 ? 0 : level;
    *ret_rows = count << (2 * level);
    *ret_bytes = bytes << (2 * level);
}
