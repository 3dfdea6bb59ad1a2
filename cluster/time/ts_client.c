#include "cluster/time/ts_client.h"

#include "base/assert.h"
#include "base/fiber.h"

/* The first request of a loop makes the call; those that come meanwhile queue up and are served by
 * the next call, which begins after they have come, as the promise of the oracle demands. Whoever
 * finishes a call goes on with its work, and who has waited longest of the queue makes the next one
 * for all that wait: nobody works for the others for longer than for itself, however many they are.
 *
 * A call may take long, while nobody leads the meta range. Who waits for one that another makes
 * leaves when its own deadline has passed, or when it is cancelled. Should the call fail, for a
 * deadline or a cancellation that is its maker's, each of those it was for asks for itself. */

struct ts_waiter {
    struct list node; /* in the queue, or of the call under way; guarded by the slot's mutex */
    struct waiter waiter;
    bool asked; /* a call is under way for it */
    bool leads; /* it is to make the next call */
    ts_t ts;
};

void ts_client_init(struct ts_client *c, struct meta_service *meta, const _Atomic bool *direct)
{
    c->meta = meta;
    c->direct = direct;
    for (unsigned i = 0; i < TS_CLIENT_SLOTS; i++) {
        pthread_mutex_init(&c->slots[i].mutex, NULL);
        c->slots[i].busy = false;
        c->slots[i].waiter_count = 0;
        c->slots[i].names_left = 0;
        c->slots[i].hungry_ns = 0;
        list_init(&c->slots[i].waiters);
    }
}

void ts_client_fini(struct ts_client *c)
{
    for (unsigned i = 0; i < TS_CLIENT_SLOTS; i++) {
        ASSERT(!c->slots[i].busy);
        pthread_mutex_destroy(&c->slots[i].mutex);
    }
}

static db_err ask(struct ts_client *c, uint32_t count, struct diag *diag, ts_t *ret_first)
{
    return c->meta->ops->timestamps(c->meta, count, diag, ret_first);
}

/* With the mutex: the call under way has ended. */
static void pass_on(struct ts_slot *s)
{
    struct list *node = list_pop_front(&s->waiters);
    s->busy = node != NULL;
    if (node != NULL) {
        struct ts_waiter *w = CONTAINER_OF(node, struct ts_waiter, node);
        s->waiter_count--;
        w->leads = true;
        wait_signal(&w->waiter, 0);
    }
}

/* One call for this fiber and for all that wait, with the mutex, which it gives back. The slot is
 * busy. */
static db_err lead(struct ts_client *c, struct ts_slot *s, struct diag *diag, ts_t *ret_ts)
{
    struct list batch;
    struct list *node;
    ts_t first = 0;
    uint32_t count = 1 + s->waiter_count;
    list_init(&batch);
    while ((node = list_pop_front(&s->waiters)) != NULL) {
        CONTAINER_OF(node, struct ts_waiter, node)->asked = true;
        list_push_back(&batch, node);
    }
    s->waiter_count = 0;
    pthread_mutex_unlock(&s->mutex);
    db_err err = ask(c, count, diag, &first);
    pthread_mutex_lock(&s->mutex);
    ts_t next = first;
    while ((node = list_pop_front(&batch)) != NULL) {
        struct ts_waiter *w = CONTAINER_OF(node, struct ts_waiter, node);
        w->ts = ++next;
        wait_signal(&w->waiter, (int)err);
    }
    pass_on(s);
    pthread_mutex_unlock(&s->mutex);
    if (err == ERR_OK) {
        *ret_ts = first;
    }
    return err;
}

/* The wait was broken off. */
static void leave(struct ts_slot *s, struct ts_waiter *w)
{
    pthread_mutex_lock(&s->mutex);
    bool told = list_empty(&w->node);
    list_remove(&w->node);
    s->waiter_count -= !told && !w->asked;
    if (w->leads) {
        pass_on(s);
    }
    pthread_mutex_unlock(&s->mutex);
    if (told) {
        wait_block_uncancelable(&w->waiter); /* signalled under the mutex: it has come */
    }
}

/* With the mutex, which it gives back: another fiber makes a call, and then this one, or another
 * for it. */
static db_err queue_up(struct ts_client *c, struct ts_slot *s, struct diag *diag, ts_t *ret_ts)
{
    struct ts_waiter w = {.ts = 0};
    wait_init(&w.waiter);
    list_push_back(&s->waiters, &w.node);
    s->waiter_count++;
    pthread_mutex_unlock(&s->mutex);
    db_err err = wait_block(&w.waiter, DEADLINE_NONE);
    if (UNLIKELY(err != ERR_OK)) {
        leave(s, &w);
        return diag_set(diag, err, "no timestamp came in time: %s", err_text(err));
    }
    if (w.leads) {
        pthread_mutex_lock(&s->mutex);
        return lead(c, s, diag, ret_ts);
    }
    if (UNLIKELY(w.waiter.result != 0)) { /* of that fiber's deadline, say: not of this one's */
        return ask(c, 1, diag, ret_ts);
    }
    *ret_ts = w.ts;
    return ERR_OK;
}

db_err ts_client_next(struct ts_client *c, struct diag *diag, ts_t *ret_ts)
{
    if (LIKELY(atomic_load_explicit(c->direct, memory_order_relaxed))) {
        return ask(c, 1, diag, ret_ts);
    }
    struct loop *loop = loop_current();
    struct ts_slot *s = &c->slots[loop == NULL ? 0 : loop_index(loop) % TS_CLIENT_SLOTS];
    pthread_mutex_lock(&s->mutex);
    if (s->busy) {
        return queue_up(c, s, diag, ret_ts);
    }
    s->busy = true;
    return lead(c, s, diag, ret_ts);
}

static bool take_name(struct ts_slot *s, ts_t floor, uint64_t now_ns, ts_t *ret_ts)
{
    if (s->names_left == 0 || s->name < floor || now_ns - s->names_ns > TS_NAMES_NS) {
        s->names_left = 0;
        return false;
    }
    *ret_ts = s->name++;
    s->names_left--;
    return true;
}

db_err ts_client_name(struct ts_client *c, ts_t floor, struct diag *diag, ts_t *ret_ts)
{
    if (LIKELY(atomic_load_explicit(c->direct, memory_order_relaxed))) {
        return ask(c, 1, diag, ret_ts);
    }
    struct loop *loop = loop_current();
    struct ts_slot *s = &c->slots[loop == NULL ? 0 : loop_index(loop) % TS_CLIENT_SLOTS];
    uint64_t now_ns = clock_mono_ns();
    pthread_mutex_lock(&s->mutex);
    bool found = take_name(s, floor, now_ns, ret_ts);
    bool often = now_ns - s->hungry_ns < TS_NAMES_NS;
    s->hungry_ns = found ? s->hungry_ns : now_ns;
    pthread_mutex_unlock(&s->mutex);
    if (found) {
        return ERR_OK;
    }
    if (!often) { /* one now and then: together with those who want to read */
        return ts_client_next(c, diag, ret_ts);
    }
    ts_t first;
    TRY(ask(c, TS_NAMES_AHEAD, diag, &first));
    pthread_mutex_lock(&s->mutex);
    s->name = first + 1;
    s->names_left = TS_NAMES_AHEAD - 1;
    s->names_ns = now_ns; /* as of before the call */
    pthread_mutex_unlock(&s->mutex);
    *ret_ts = first;
    return ERR_OK;
}

db_err ts_client_last(struct ts_client *c, struct diag *diag, ts_t *ret_ts)
{
    return ask(c, 0, diag, ret_ts);
}
