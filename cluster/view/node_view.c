#include "cluster/view/node_view.h"

#include "base/assert.h"

void node_view_init(struct node_view *v, node_id_t self, struct kv_service *self_kv)
{
    *v = (struct node_view){.self = self, .self_kv = self_kv};
    pthread_rwlock_init(&v->lock, NULL);
}

void node_view_fini(struct node_view *v)
{
    pthread_rwlock_destroy(&v->lock);
}

db_err node_view_set(struct node_view *v, node_id_t id, struct kv_service *kv)
{
    ASSERT(id != v->self);
    db_err err = ERR_OK;
    pthread_rwlock_wrlock(&v->lock);
    unsigned i = 0;
    while (i < v->count && v->ids[i] != id) {
        i++;
    }
    if (i == NODE_VIEW_MAX) {
        err = ERR_LIMIT;
    } else {
        v->ids[i] = id;
        v->kvs[i] = kv;
        v->count = i == v->count ? i + 1 : v->count;
    }
    pthread_rwlock_unlock(&v->lock);
    return err;
}

struct kv_service *node_view_kv(struct node_view *v, node_id_t id)
{
    if (LIKELY(id == v->self)) {
        return v->self_kv;
    }
    struct kv_service *kv = NULL;
    pthread_rwlock_rdlock(&v->lock);
    for (unsigned i = 0; i < v->count; i++) {
        if (v->ids[i] == id) {
            kv = v->kvs[i];
        }
    }
    pthread_rwlock_unlock(&v->lock);
    return kv;
}

bool node_view_others(struct node_view *v)
{
    return atomic_load_explicit(&v->count, memory_order_relaxed) != 0;
}
