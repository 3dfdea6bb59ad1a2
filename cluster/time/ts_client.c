#include "cluster/time/ts_client.h"

#include "base/assert.h"
#include "base/fiber.h"

/* The first request of a loop makes the call; those that come meanwhile queue up and are served by
 * the next call, which begins after they have come, as the promise of the oracle demands. Whoever
 * finishes a call makes the next one for all that wait; should that fail, for a deadline or a
 * cancellation that is its own, each of them asks for itself. */

struct ts_waiter {
    struct list node;
    struct waiter waiter;
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

/* Serves those that came during the last call, until none are left. */
static void serve_waiters(struct ts_client *c, struct ts_slot *s)
{
    for (;;) {
        struct list batch;
        list_init(&batch);
        pthread_mutex_lock(&s->mutex);
        uint32_t count = s->waiter_count;
        struct list *node;
        while ((node = list_pop_front(&s->waiters)) != NULL) {
            list_push_back(&batch, node);
        }
        s->waiter_count = 0;
        s->busy = count != 0;
        pthread_mutex_unlock(&s->mutex);
        if (count == 0) {
            return;
        }
        struct diag diag;
        ts_t first = 0;
        diag_reset(&diag);
        db_err err = ask(c, count, &diag, &first);
        while ((node = list_pop_front(&batch)) != NULL) {
            struct ts_waiter *w = CONTAINER_OF(node, struct ts_waiter, node);
            w->ts = first++;
            wait_signal(&w->waiter, (int)err);
        }
    }
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
        struct ts_waiter w = {0};
        wait_init(&w.waiter);
        list_push_back(&s->waiters, &w.node);
        s->waiter_count++;
        pthread_mutex_unlock(&s->mutex);
        wait_block_uncancelable(&w.waiter);
        if (UNLIKELY(w.waiter.result != 0)) { /* of that fiber's deadline, say: not of this one's */
            return ask(c, 1, diag, ret_ts);
        }
        *ret_ts = w.ts;
        return ERR_OK;
    }
    s->busy = true;
    pthread_mutex_unlock(&s->mutex);
    db_err err = ask(c, 1, diag, ret_ts);
    serve_waiters(c, s);
    return err;
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
