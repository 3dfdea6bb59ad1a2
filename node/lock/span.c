/* Span locks: who has read a stretch of keys keeps others from inserting into it.
 *
 * A span lock never waits and nobody waits for it but inserts, so all of them are in one tree by
 * start (base/span_tree.h), which an insert searches for its key. Without span locks that is one
 * atomic load. Of the other side, the inserts that are under way, each record of KV_LOCK_INSERT,
 * held or waiting, is in the tree of its key's shard ("marks"): a reader finds there what it must
 * wait for (those that are held), the end of a span lock finds whom it must wake.
 *
 * None slips through. An insert enters its mark, then looks for span locks, both under the shard's
 * mutex; a reader enters its span lock, then looks through the shards. Whoever comes second to the
 * shard sees the other. The two counters that save the look (span_count, marks) are each raised
 * before the other one is loaded, sequentially consistent: not both can miss. Writes that have no
 * such lock (an autocommit insert) announce their latches, then look for span locks; a reader
 * enters its span lock, then waits for the latches announced by then (latch.c): again one of them
 * sees the other, by the mutex of the list. A wake is not lost either: who ends a span lock takes
 * it out of the tree first and visits the shards then; an insert looks into the tree and queues
 * under the shard's mutex.
 *
 * As in InnoDB an insert that waits for span locks blocks nobody: the holder of the span lock, and
 * others, may get the same key meanwhile; and new span locks are given although an insert waits.
 * The waits among inserts of one key are first come first served.
 *
 * The parts of a scan that goes page by page, each of which begins where the one before ended, are
 * joined, so that a scan of any length is one lock. */
#include "node/lock/lock_int.h"

enum { JOIN_LOOKED_AT = 4 }; /* the newest span locks of a transaction that a new one may join */

/* ---- marks; under the shard's mutex ---- */

static struct insert_rec *insert_of(struct row_rec *rec)
{
    ASSERT(rec->mode == KV_LOCK_INSERT);
    return CONTAINER_OF(rec, struct insert_rec, rec);
}

void lock__mark(struct lock_shard *s, struct row_rec *rec)
{
    struct insert_rec *i = insert_of(rec);
    ASSERT(!rec->marked);
    span_node_point(&i->node, entry_key(rec->entry));
    span_tree_insert(&s->marks, &i->node);
    rec->marked = true;
    atomic_fetch_add_explicit(&s->table->marks, 1, memory_order_seq_cst);
}

void lock__unmark(struct lock_shard *s, struct row_rec *rec)
{
    if (rec->marked) {
        span_tree_remove(&s->marks, &insert_of(rec)->node);
        rec->marked = false;
        atomic_fetch_sub_explicit(&s->table->marks, 1, memory_order_relaxed);
    }
}

static bool wake_one(void *ctx UNUSED, struct span_node *n)
{
    struct row_rec *rec = &CONTAINER_OF(n, struct insert_rec, node)->rec;
    if (rec->state == ROW_WAITING) {
        lock__grant_waiters(rec->entry);
    }
    return false;
}

static void wake_inserts(struct lock_table *t, struct slice start, struct slice end)
{
    if (atomic_load_explicit(&t->marks, memory_order_seq_cst) == 0) {
        return;
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        struct lock_shard *s = &t->shards[i];
        pthread_mutex_lock(&s->mutex);
        if (!t->sealed) {
            (void)span_tree_visit(&s->marks, start, end, wake_one, NULL);
        }
        pthread_mutex_unlock(&s->mutex);
    }
}

struct search_mark {
    ts_t start_ts;
    struct slice first; /* found so far */
    bool found;
};

static bool first_held(void *ctx, struct span_node *n)
{
    struct search_mark *m = ctx;
    const struct row_rec *rec = &CONTAINER_OF(n, struct insert_rec, node)->rec;
    if (m->found && slice_cmp(n->start, m->first) >= 0) {
        return true;
    }
    if (rec->state != ROW_HELD || rec->start_ts == m->start_ts) {
        return false;
    }
    m->first = n->start;
    return true;
}

db_err insert_next(struct lock_table *t, struct slice start, struct slice end, ts_t start_ts,
                   struct arena *arena, bool *ret_found, struct slice *ret_key)
{
    struct search_mark m = {.start_ts = start_ts};
    if (LIKELY(atomic_load_explicit(&t->marks, memory_order_seq_cst) == 0)) {
        return lock__hull_next(t, start, end, start_ts, arena, ret_found, ret_key);
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        struct lock_shard *s = &t->shards[i];
        struct slice before = m.first;
        db_err err = ERR_OK;
        pthread_mutex_lock(&s->mutex);
        (void)span_tree_visit(&s->marks, start, end, first_held, &m);
        if (m.first.ptr != before.ptr) {
            m.found = true;
            err = arena_copy(arena, m.first, &m.first);
        }
        pthread_mutex_unlock(&s->mutex);
        TRY(err);
    }
    if (!m.found) {
        return lock__hull_next(t, start, end, start_ts, arena, ret_found, ret_key);
    }
    *ret_found = true;
    *ret_key = m.first;
    return ERR_OK;
}

/* ---- who blocks an insert ---- */

static struct span_rec *span_of(struct span_node *n)
{
    return CONTAINER_OF(n, struct span_rec, node);
}

static bool of_another(void *ctx, struct span_node *n)
{
    return span_of(n)->start_ts != *(const ts_t *)ctx;
}

size_t span_lock_count(const struct lock_table *t)
{
    return atomic_load_explicit(&t->span_count, memory_order_seq_cst);
}

bool span_lock_conflict(struct lock_table *t, struct slice key, ts_t start_ts)
{
    if (LIKELY(span_lock_count(t) == 0)) {
        return false;
    }
    pthread_mutex_lock(&t->span_mutex);
    bool found = span_tree_visit_key(&t->spans, key, of_another, &start_ts);
    pthread_mutex_unlock(&t->span_mutex);
    return found;
}

static struct lock_table *table_of(const struct row_rec *rec)
{
    return atomic_load_explicit(&rec->shard, memory_order_relaxed)->table;
}

bool lock__span_blocks(const struct row_rec *rec)
{
    return rec->mode == KV_LOCK_INSERT &&
           span_lock_conflict(table_of(rec), entry_key(rec->entry), rec->start_ts);
}

struct blockers {
    ts_t start_ts;
    void (*fn)(void *ctx, ts_t start_ts);
    void *ctx;
};

static bool tell_blocker(void *ctx, struct span_node *n)
{
    const struct blockers *b = ctx;
    if (span_of(n)->start_ts != b->start_ts) {
        b->fn(b->ctx, span_of(n)->start_ts);
    }
    return false;
}

void lock__span_blockers(const struct row_rec *rec, void (*fn)(void *ctx, ts_t start_ts), void *ctx)
{
    struct lock_table *t = table_of(rec);
    struct blockers b = {rec->start_ts, fn, ctx};
    if (rec->mode != KV_LOCK_INSERT || span_lock_count(t) == 0) {
        return;
    }
    pthread_mutex_lock(&t->span_mutex);
    (void)span_tree_visit_key(&t->spans, entry_key(rec->entry), tell_blocker, &b);
    pthread_mutex_unlock(&t->span_mutex);
}

/* ---- taking ---- */

static db_err span_new(struct lock_table *t, struct slice start, struct slice end, ts_t start_ts,
                       lock_owner_t owner, struct span_rec **ret)
{
    size_t cost = sizeof(struct span_rec) + start.len + end.len;
    TRY(lock__charge(t, cost));
    struct span_rec *r = mem_calloc(1, cost);
    if (r == NULL) {
        lock__release_memory(t, cost);
        return ERR_NOMEM;
    }
    if (start.len != 0) {
        memcpy(r->bytes, start.ptr, start.len);
    }
    if (end.len != 0) {
        memcpy(r->bytes + start.len, end.ptr, end.len);
    }
    r->node.start = slice_of(r->bytes, start.len);
    r->node.end = slice_of(r->bytes + start.len, end.len);
    r->start_ts = start_ts;
    r->owner = owner;
    r->cost = cost;
    list_init(&r->txn_link);
    *ret = r;
    return ERR_OK;
}

static void span_free(struct lock_table *t, struct span_rec *r)
{
    lock__release_memory(t, r->cost);
    mem_free(r);
}

/* Under the mutexes of the transaction's shard and of the spans. */
static void enter(struct lock_table *t, struct lock_txn *x, struct span_rec *r)
{
    list_push_front(&x->spans, &r->txn_link);
    span_tree_insert(&t->spans, &r->node);
    atomic_fetch_add_explicit(&t->rows, 1, memory_order_seq_cst);
    atomic_fetch_add_explicit(&t->span_count, 1, memory_order_seq_cst);
}

static void leave(struct lock_table *t, struct span_rec *r)
{
    list_remove(&r->txn_link);
    span_tree_remove(&t->spans, &r->node);
    atomic_fetch_sub_explicit(&t->span_count, 1, memory_order_seq_cst);
    atomic_fetch_sub_explicit(&t->rows, 1, memory_order_release);
}

static bool contains(const struct span_node *n, struct slice start, struct slice end)
{
    return slice_cmp(n->start, start) <= 0 &&
           (n->end.len == 0 || (end.len != 0 && slice_cmp(end, n->end) <= 0));
}

struct cover {
    ts_t start_ts;
    struct slice start, end;
};

static bool covers(void *ctx, struct span_node *n)
{
    const struct cover *c = ctx;
    return span_of(n)->start_ts == c->start_ts && contains(n, c->start, c->end);
}

/* Under the mutex of the transaction's shard. */
static db_err try_enter(struct lock_table *t, struct txn_shard *ts, struct span_rec *r,
                        uint64_t *ret_id)
{
    struct cover c = {r->start_ts, r->node.start, r->node.end};
    if (atomic_load_explicit(&t->closed, memory_order_acquire)) {
        return ERR_NOT_LEADER;
    }
    if (UNLIKELY(t->sealed)) {
        return ERR_BUSY;
    }
    if (t->end != NULL && (c.end.len == 0 || slice_cmp(c.end, slice_of(t->end, t->end_len)) > 0)) {
        return ERR_STALE_EPOCH;
    }
    struct lock_txn *x = lock__txn_find(ts, r->start_ts, true);
    if (x == NULL) {
        return ERR_NOMEM;
    }
    x->owner = r->owner != 0 ? r->owner : x->owner;
    pthread_mutex_lock(&t->span_mutex);
    bool have = span_tree_visit_key(&t->spans, c.start, covers, &c);
    if (!have) {
        r->id = ++t->span_id;
        enter(t, x, r);
    }
    pthread_mutex_unlock(&t->span_mutex);
    *ret_id = have ? 0 : r->id;
    return ERR_OK;
}

db_err span_lock(struct lock_table *t, struct slice start, struct slice end, ts_t start_ts,
                 lock_owner_t owner, uint64_t *ret_id)
{
    struct txn_shard *ts = lock__txn_shard(t, start_ts);
    struct span_rec *r;
    uint64_t id = 0;
    ASSERT(end.len == 0 || slice_cmp(start, end) < 0);
    TRY(span_new(t, start, end, start_ts, owner, &r));
    pthread_mutex_lock(&ts->mutex);
    db_err err = try_enter(t, ts, r, &id);
    pthread_mutex_unlock(&ts->mutex);
    if (err != ERR_OK || id == 0) {
        span_free(t, r);
    }
    TRY(err);
    *ret_id = id;
    return ERR_OK;
}

/* ---- keeping less, joining ---- */

static struct span_rec *find_id(const struct lock_txn *x, uint64_t id)
{
    LIST_FOREACH (it, &x->spans) {
        struct span_rec *r = CONTAINER_OF(it, struct span_rec, txn_link);
        if (r->id == id) {
            return r;
        }
    }
    return NULL;
}

/* One of the transaction's newest span locks that ends where [start, end) begins, or the reverse.
 */
static struct span_rec *neighbour(const struct lock_txn *x, const struct span_rec *r,
                                  struct slice start, struct slice end)
{
    int looked_at = 0;
    LIST_FOREACH (it, &x->spans) {
        struct span_rec *n = CONTAINER_OF(it, struct span_rec, txn_link);
        if (looked_at++ == JOIN_LOOKED_AT) {
            break;
        }
        bool touches = (n->node.end.len != 0 && slice_eq(n->node.end, start)) ||
                       (end.len != 0 && slice_eq(n->node.start, end));
        if (n != r && touches) {
            return n;
        }
    }
    return NULL;
}

static bool has_another(const struct lock_txn *x, const struct span_rec *r, struct slice start,
                        struct slice end)
{
    int looked_at = 0;
    LIST_FOREACH (it, &x->spans) {
        const struct span_rec *n = CONTAINER_OF(it, const struct span_rec, txn_link);
        if (looked_at++ == JOIN_LOOKED_AT) {
            break;
        }
        if (n != r && contains(&n->node, start, end)) {
            return true;
        }
    }
    return false;
}

/* Under the mutex of the transaction's shard. What is to be freed goes to `out`. */
static void keep(struct lock_table *t, struct lock_txn *x, struct span_rec *r, struct slice start,
                 struct slice end, struct list *out)
{
    struct span_rec *n = neighbour(x, r, start, end);
    struct span_rec *joined;
    if (has_another(x, r, start, end)) { /* the page was read once more */
        pthread_mutex_lock(&t->span_mutex);
        leave(t, r);
        pthread_mutex_unlock(&t->span_mutex);
        list_push_back(out, &r->txn_link);
        return;
    }
    if (n == NULL && slice_eq(r->node.start, start) && slice_eq(r->node.end, end)) {
        return;
    }
    if (n != NULL) {
        bool before = slice_cmp(n->node.start, start) < 0;
        start = before ? n->node.start : start;
        end = before ? end : n->node.end;
    }
    if (span_new(t, start, end, r->start_ts, r->owner, &joined) != ERR_OK) {
        return; /* then more than need be is locked */
    }
    joined->id = r->id;
    pthread_mutex_lock(&t->span_mutex);
    enter(t, x, joined);
    leave(t, r);
    if (n != NULL) {
        leave(t, n);
    }
    pthread_mutex_unlock(&t->span_mutex);
    list_push_back(out, &r->txn_link);
    if (n != NULL) {
        list_push_back(out, &n->txn_link);
    }
}

static void change(struct lock_table *t, ts_t start_ts, uint64_t id, bool keeps, struct slice start,
                   struct slice end)
{
    struct txn_shard *ts = lock__txn_shard(t, start_ts);
    struct list out;
    list_init(&out);
    if (id == 0) {
        return;
    }
    pthread_mutex_lock(&ts->mutex);
    struct lock_txn *x = t->sealed ? NULL : lock__txn_find(ts, start_ts, false);
    struct span_rec *r = x == NULL ? NULL : find_id(x, id);
    if (r != NULL && keeps) {
        keep(t, x, r, start, end, &out);
    } else if (r != NULL) {
        pthread_mutex_lock(&t->span_mutex);
        leave(t, r);
        pthread_mutex_unlock(&t->span_mutex);
        list_push_back(&out, &r->txn_link);
        lock__txn_drop_if_empty(ts, start_ts);
    }
    pthread_mutex_unlock(&ts->mutex);
    lock__spans_free(t, &out);
}

void span_keep(struct lock_table *t, ts_t start_ts, uint64_t id, struct slice start,
               struct slice end)
{
    change(t, start_ts, id, true, start, end);
}

void span_drop(struct lock_table *t, ts_t start_ts, uint64_t id)
{
    change(t, start_ts, id, false, SLICE_EMPTY, SLICE_EMPTY);
}

/* ---- releasing ---- */

void lock__spans_detach(struct lock_table *t, struct lock_txn *x, struct list *out)
{
    if (LIKELY(list_empty(&x->spans))) {
        return;
    }
    pthread_mutex_lock(&t->span_mutex);
    while (!list_empty(&x->spans)) {
        struct span_rec *r = CONTAINER_OF(x->spans.next, struct span_rec, txn_link);
        leave(t, r);
        list_push_back(out, &r->txn_link);
    }
    pthread_mutex_unlock(&t->span_mutex);
}

void lock__spans_free(struct lock_table *t, struct list *spans)
{
    struct list *l;
    while ((l = list_pop_front(spans)) != NULL) {
        struct span_rec *r = CONTAINER_OF(l, struct span_rec, txn_link);
        wake_inserts(t, r->node.start, r->node.end);
        span_free(t, r);
    }
}

/* ---- moving ---- */

static bool lies_right(const struct span_rec *r, struct slice at)
{
    return slice_cmp(r->node.start, at) >= 0;
}

static bool is_cut(const struct span_rec *r, struct slice at)
{
    return !lies_right(r, at) && (r->node.end.len == 0 || slice_cmp(r->node.end, at) > 0);
}

static db_err prepare_txn(struct lock_table *from, struct lock_table *to, struct lock_txn *x,
                          struct slice at)
{
    LIST_FOREACH (it, &x->spans) {
        struct span_rec *r = CONTAINER_OF(it, struct span_rec, txn_link);
        bool cut = is_cut(r, at);
        if (!cut && !lies_right(r, at)) {
            continue;
        }
        struct lock_txn *y = lock__txn_find(lock__txn_shard(to, x->start_ts), x->start_ts, true);
        if (y == NULL) {
            return ERR_NOMEM;
        }
        y->owner = r->owner != 0 ? r->owner : y->owner;
        if (cut) {
            TRY(span_new(from, r->node.start, at, r->start_ts, r->owner, &r->halves[0]));
            TRY(span_new(to, at, r->node.end, r->start_ts, r->owner, &r->halves[1]));
        }
    }
    return ERR_OK;
}

static void move_txn(struct lock_table *from, struct lock_table *to, struct lock_txn *x,
                     struct slice at)
{
    LIST_FOREACH_SAFE (it, &x->spans) {
        struct span_rec *r = CONTAINER_OF(it, struct span_rec, txn_link);
        bool cut = r->halves[0] != NULL;
        if (!cut && !lies_right(r, at)) {
            continue;
        }
        pthread_mutex_lock(&from->span_mutex);
        leave(from, r);
        if (cut) {
            r->halves[0]->id = r->id;
            enter(from, x, r->halves[0]);
        }
        pthread_mutex_unlock(&from->span_mutex);
        pthread_mutex_lock(&to->span_mutex);
        enter(to, lock__txn_find(lock__txn_shard(to, x->start_ts), x->start_ts, false),
              cut ? r->halves[1] : r);
        pthread_mutex_unlock(&to->span_mutex);
        if (cut) {
            span_free(from, r);
        } else {
            lock__release_memory(from, r->cost);
            atomic_fetch_add_explicit(&to->memory, r->cost, memory_order_relaxed);
        }
    }
}

static void undo_txn(struct lock_table *from, struct lock_table *to, struct lock_txn *x)
{
    LIST_FOREACH (it, &x->spans) {
        struct span_rec *r = CONTAINER_OF(it, struct span_rec, txn_link);
        for (int i = 0; i < 2; i++) {
            if (r->halves[i] != NULL) {
                span_free(i == 0 ? from : to, r->halves[i]);
                r->halves[i] = NULL;
            }
        }
    }
}

#define FOREACH_TXN(x, t)                                                                          \
    for (size_t i_ = 0; i_ < TXN_SHARDS; i_++)                                                     \
        for (size_t b_ = 0; b_ < TXN_BUCKETS; b_++)                                                \
            for (struct lock_txn *x = (t)->txns[i_].buckets[b_]; x != NULL; x = x->next)

db_err lock__spans_prepare(struct lock_table *from, struct lock_table *to, struct slice at)
{
    FOREACH_TXN(x, from)
    {
        TRY(prepare_txn(from, to, x, at));
    }
    return ERR_OK;
}

void lock__spans_move(struct lock_table *from, struct lock_table *to, struct slice at)
{
    uint64_t id = from->span_id > to->span_id ? from->span_id : to->span_id;
    FOREACH_TXN(x, from)
    {
        move_txn(from, to, x, at);
    }
    from->span_id = to->span_id = id;
}

void lock__spans_undo(struct lock_table *from, struct lock_table *to)
{
    FOREACH_TXN(x, from)
    {
        undo_txn(from, to, x);
    }
}
