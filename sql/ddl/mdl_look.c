/* Who waits for whom, and who has what. All that is looked at is held still by the mutex, and by
 * the lock of a slot for the owners that are listed in it. */
#include "sql/ddl/mdl_int.h"

struct look {
    const struct mdl_request *r;
    struct mdl_wait_edge *out;
    uint32_t count, max;
};

static void add_edge(struct look *l, const struct mdl_owner *blocker)
{
    uint64_t waiter = l->r->owner->session;
    if (blocker->session != waiter && blocker->session != 0 && waiter != 0 && l->count < l->max) {
        l->out[l->count++] =
            (struct mdl_wait_edge){l->r->number, l->r->exclusive, waiter, blocker->session};
    }
}

/* Who was granted one of its tables, or comes before it in the queue. */
static void add_exclusive(const struct mdl *m, struct look *l)
{
    const struct mdl_request *r = l->r;
    for (uint32_t i = 0; i < m->granted_count; i++) {
        if (m->granted[i].owner != r->owner && mdl_names(r, m->granted[i].table_id)) {
            add_edge(l, m->granted[i].owner);
        }
    }
    LIST_FOREACH (it, &m->queue) {
        const struct mdl_request *q = CONTAINER_OF(it, struct mdl_request, node);
        if (q == r) {
            return;
        }
        for (uint32_t i = 0; i < r->count && q->exclusive && !r->passes; i++) {
            if (mdl_names(q, r->table_ids[i])) {
                add_edge(l, q->owner);
                break;
            }
        }
    }
}

static bool shares(const struct mdl_owner *o, const struct mdl_request *r)
{
    const struct mdl_ticket *t = mdl_tickets(o);
    for (uint32_t i = 0; i < o->count; i++) {
        for (uint32_t k = 0; k < r->count && t[i].slot != MDL_NO_SLOT; k++) {
            if (t[i].table_id == mdl_thing(r->table_ids[k])) {
                return true;
            }
        }
    }
    return false;
}

static void add_shared(struct mdl *m, struct look *l)
{
    for (uint32_t i = 0; i < MDL_SLOTS; i++) {
        struct mdl_slot *s = &m->slots[i];
        spin_lock(&s->lock);
        LIST_FOREACH (it, &s->owners) {
            const struct mdl_owner *o = CONTAINER_OF(it, struct mdl_owner, link);
            if (o != l->r->owner && shares(o, l->r)) {
                add_edge(l, o);
            }
        }
        spin_unlock(&s->lock);
    }
}

uint32_t mdl_waits(struct mdl *mdl, uint64_t until_ns, uint32_t max, struct mdl_wait_edge *out)
{
    struct look l = {.out = out, .max = max};
    pthread_mutex_lock(&mdl->mutex);
    LIST_FOREACH (it, &mdl->queue) {
        l.r = CONTAINER_OF(it, struct mdl_request, node);
        if (l.r->since_ns > until_ns) {
            continue;
        }
        add_exclusive(mdl, &l);
        if (l.r->exclusive) {
            add_shared(mdl, &l);
        }
    }
    pthread_mutex_unlock(&mdl->mutex);
    return l.count;
}

static uint32_t put_info(struct mdl_lock_info *out, uint32_t at, uint32_t max,
                         const struct mdl_owner *o, uint64_t id, bool exclusive, bool waits)
{
    if (at < max) {
        out[at] = (struct mdl_lock_info){o->session, id, exclusive, waits};
    }
    return at + 1;
}

uint32_t mdl_list(struct mdl *mdl, uint32_t max, struct mdl_lock_info *out)
{
    uint32_t n = 0;
    pthread_mutex_lock(&mdl->mutex);
    for (uint32_t i = 0; i < MDL_SLOTS; i++) {
        struct mdl_slot *s = &mdl->slots[i];
        spin_lock(&s->lock);
        LIST_FOREACH (it, &s->owners) {
            const struct mdl_owner *o = CONTAINER_OF(it, struct mdl_owner, link);
            const struct mdl_ticket *t = mdl_tickets(o);
            for (uint32_t k = 0; k < o->count; k++) {
                n = put_info(out, n, max, o, t[k].table_id, t[k].exclusive, false);
            }
        }
        spin_unlock(&s->lock);
    }
    LIST_FOREACH (it, &mdl->queue) {
        const struct mdl_request *r = CONTAINER_OF(it, struct mdl_request, node);
        for (uint32_t k = 0; k < r->count; k++) {
            n = put_info(out, n, max, r->owner, r->table_ids[k], r->exclusive, true);
        }
    }
    pthread_mutex_unlock(&mdl->mutex);
    return n;
}
