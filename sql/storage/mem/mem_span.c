#include "sql/storage/mem/mem_int.h"

#include "base/alloc.h"
#include "base/assert.h"

/* Locks of spans against inserts (storage.h: gaps). They never wait; an insert waits for those of
 * others on its key. All are in one tree, as are the locks for inserts ("marks", held or waited
 * for), which a locking read looks through for rows that are inserted and not committed.
 *
 * A reader enters its span, then waits for a commit that is under way (mem_store_barrier), reads,
 * and looks for marks. An insert enters its mark, then looks for spans; a commit that has keys
 * without marks looks for spans inside the commit. So one of the two sees the other.
 *
 * Who ends a span goes through all waits (there are few) and lets those be granted that can be. */

struct mem_span {
    struct span_node node;
    struct mem_span *next; /* of the transaction, the newest first */
    const struct mem_txn *txn;
    uint8_t bytes[];
};

void mem_spans_init(struct mem_spans *s)
{
    pthread_mutex_init(&s->mutex, NULL);
}

void mem_spans_fini(struct mem_spans *s)
{
    ASSERT(s->spans.count == 0 && s->marks.count == 0);
    pthread_mutex_destroy(&s->mutex);
}

static struct mem_span *span_of(struct span_node *n)
{
    return CONTAINER_OF(n, struct mem_span, node);
}

/* ---- marks ---- */

void mem_mark(struct mem_spans *s, struct mem_mark *m, const struct mem_txn *t, struct slice key)
{
    m->txn = t;
    m->held = false;
    span_node_point(&m->node, key);
    pthread_mutex_lock(&s->mutex);
    span_tree_insert(&s->marks, &m->node);
    pthread_mutex_unlock(&s->mutex);
}

void mem_unmark(struct mem_spans *s, struct mem_mark *m)
{
    pthread_mutex_lock(&s->mutex);
    span_tree_remove(&s->marks, &m->node);
    pthread_mutex_unlock(&s->mutex);
}

void mem_mark_held(struct mem_spans *s, struct mem_mark *m)
{
    pthread_mutex_lock(&s->mutex);
    m->held = true;
    pthread_mutex_unlock(&s->mutex);
}

struct search_mark {
    const struct mem_txn *txn;
    struct span_node *found;
};

static bool held_by_another(void *ctx, struct span_node *n)
{
    struct search_mark *search = ctx;
    const struct mem_mark *m = CONTAINER_OF(n, const struct mem_mark, node);
    if (!m->held || m->txn == search->txn) {
        return false;
    }
    search->found = n;
    return true;
}

db_err mem_mark_next(struct mem_spans *s, const struct mem_txn *t, struct slice start,
                     struct slice end, struct arena *arena, bool *ret_found, struct slice *ret_key)
{
    struct search_mark search = {.txn = t};
    db_err err = ERR_OK;
    pthread_mutex_lock(&s->mutex);
    bool found = span_tree_visit(&s->marks, start, end, held_by_another, &search);
    if (found) {
        err = arena_copy(arena, search.found->start, ret_key);
    }
    pthread_mutex_unlock(&s->mutex);
    *ret_found = found;
    return err;
}

/* ---- who blocks an insert ---- */

static bool of_another(void *ctx, struct span_node *n)
{
    return span_of(n)->txn != ctx;
}

bool mem_span_blocks(struct mem_spans *s, const struct mem_txn *t, struct slice key)
{
    if (LIKELY(atomic_load(&s->span_count) == 0)) {
        return false;
    }
    pthread_mutex_lock(&s->mutex);
    bool found = span_tree_visit_key(&s->spans, key, of_another, (void *)(uintptr_t)t);
    pthread_mutex_unlock(&s->mutex);
    return found;
}

struct blockers {
    const struct mem_txn *txn;
    void (*fn)(void *ctx, uint64_t txn_id);
    void *ctx;
};

static bool tell(void *ctx, struct span_node *n)
{
    const struct blockers *b = ctx;
    if (span_of(n)->txn != b->txn) {
        b->fn(b->ctx, span_of(n)->txn->id);
    }
    return false;
}

void mem_span_blockers(struct mem_spans *s, const struct mem_txn *t, struct slice key,
                       void (*fn)(void *ctx, uint64_t txn_id), void *ctx)
{
    struct blockers b = {t, fn, ctx};
    pthread_mutex_lock(&s->mutex);
    (void)span_tree_visit_key(&s->spans, key, tell, &b);
    pthread_mutex_unlock(&s->mutex);
}

/* ---- taking and releasing; the transaction's own fiber ---- */

static struct mem_span *span_new(const struct mem_txn *t, struct slice start, struct slice end)
{
    struct mem_span *sp = mem_calloc(1, sizeof(*sp) + start.len + end.len);
    if (sp != NULL) {
        sp->txn = t;
        if (start.len != 0) {
            memcpy(sp->bytes, start.ptr, start.len);
        }
        if (end.len != 0) {
            memcpy(sp->bytes + start.len, end.ptr, end.len);
        }
        sp->node.start = slice_of(sp->bytes, start.len);
        sp->node.end = slice_of(sp->bytes + start.len, end.len);
    }
    return sp;
}

static void enter(struct mem_spans *s, struct mem_txn *t, struct mem_span *sp)
{
    sp->next = t->spans;
    t->spans = sp;
    pthread_mutex_lock(&s->mutex);
    span_tree_insert(&s->spans, &sp->node);
    atomic_fetch_add(&s->span_count, 1);
    pthread_mutex_unlock(&s->mutex);
}

static void leave(struct mem_spans *s, struct mem_txn *t, struct mem_span *sp)
{
    struct mem_span **link = &t->spans;
    while (*link != sp) {
        link = &(*link)->next;
    }
    *link = sp->next;
    pthread_mutex_lock(&s->mutex);
    span_tree_remove(&s->spans, &sp->node);
    atomic_fetch_sub(&s->span_count, 1);
    pthread_mutex_unlock(&s->mutex);
    mem_free(sp);
}

static bool contains(const struct span_node *n, struct slice start, struct slice end)
{
    return slice_cmp(n->start, start) <= 0 &&
           (n->end.len == 0 || (end.len != 0 && slice_cmp(end, n->end) <= 0));
}

db_err mem_span_lock(struct mem_locks *l, struct mem_txn *t, struct slice start, struct slice end,
                     bool *ret_new)
{
    if (t->spans != NULL && contains(&t->spans->node, start, end)) {
        *ret_new = false;
        return ERR_OK;
    }
    struct mem_span *sp = span_new(t, start, end);
    if (sp == NULL) {
        return ERR_NOMEM;
    }
    enter(&l->spans, t, sp);
    *ret_new = true;
    return ERR_OK;
}

db_err mem_span_keep(struct mem_locks *l, struct mem_txn *t, struct slice start, struct slice end)
{
    struct mem_span *last = t->spans;
    struct mem_span *before = last->next;
    const struct span_node *n = before == NULL ? NULL : &before->node;
    bool follows = n != NULL && n->end.len != 0 && slice_eq(n->end, start);
    bool leads = n != NULL && end.len != 0 && slice_eq(n->start, end);
    if (n == NULL || !contains(n, start, end)) {
        struct mem_span *sp = span_new(t, follows ? n->start : start, leads ? n->end : end);
        if (sp == NULL) {
            return ERR_NOMEM;
        }
        enter(&l->spans, t, sp); /* first: nothing is ever without a lock */
        if (follows || leads) {
            leave(&l->spans, t, before);
        }
    }
    leave(&l->spans, t, last);
    mem_locks_wake_inserts(l);
    return ERR_OK;
}

void mem_span_drop(struct mem_locks *l, struct mem_txn *t)
{
    leave(&l->spans, t, t->spans);
    mem_locks_wake_inserts(l);
}

void mem_spans_release(struct mem_locks *l, struct mem_txn *t)
{
    if (LIKELY(t->spans == NULL)) {
        return;
    }
    while (t->spans != NULL) {
        leave(&l->spans, t, t->spans);
    }
    mem_locks_wake_inserts(l);
}
