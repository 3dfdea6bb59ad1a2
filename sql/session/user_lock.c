/* GET_LOCK and relatives: named locks of this node, held by connections, re-entrant; FIFO waiting
 * by condition. */
#include "base/alloc.h"
#include "base/clock.h"
#include "sql/session/session_int.h"

struct user_lock {
    struct user_lock *next;
    uint64_t owner;
    uint32_t depth;
    struct slice name;
};

static struct user_lock **find(struct sql_engine *e, struct slice name)
{
    struct user_lock **link = &e->user_locks;
    while (*link != NULL && !slice_eq_nocase((*link)->name, name)) {
        link = &(*link)->next;
    }
    return link;
}

static void drop(struct user_lock **link)
{
    struct user_lock *l = *link;
    *link = l->next;
    mem_free(l);
}

static db_err add(struct sql_engine *e, uint64_t owner, struct slice name)
{
    struct user_lock *l = mem_calloc(1, sizeof(*l) + name.len);
    if (l == NULL) {
        return ERR_NOMEM;
    }
    memcpy(l + 1, name.ptr, name.len);
    l->name = slice_of(l + 1, name.len);
    l->owner = owner;
    l->depth = 1;
    l->next = e->user_locks;
    e->user_locks = l;
    return ERR_OK;
}

db_err user_lock_get(struct sql_engine *e, uint64_t owner, struct slice name, double timeout_s,
                     struct diag *diag, int *ret)
{
    enum { NAME_MAX_CHARS = 64 };
    uint64_t deadline = DEADLINE_NONE;
    if (name.len == 0 || name.len > NAME_MAX_CHARS * 4) {
        return my_error(diag, ER_USER_LOCK_WRONG_NAME, "");
    }
    if (timeout_s >= 0 && timeout_s < 1e9) {
        deadline = clock_mono_ns() + (uint64_t)(timeout_s * 1e9);
    }
    fiber_mutex_lock(&e->user_locks_mutex);
    db_err err = ERR_OK;
    *ret = 0;
    for (;;) {
        struct user_lock *l = *find(e, name);
        if (l == NULL) {
            err = add(e, owner, name);
            *ret = 1;
            break;
        }
        if (l->owner == owner) {
            l->depth++;
            *ret = 1;
            break;
        }
        err = fiber_cond_wait(&e->user_locks_freed, &e->user_locks_mutex, deadline);
        if (err != ERR_OK) {
            err = err == ERR_TIMEOUT ? ERR_OK : err;
            break;
        }
    }
    fiber_mutex_unlock(&e->user_locks_mutex);
    return err;
}

db_err user_lock_release(struct sql_engine *e, uint64_t owner, struct slice name, int *ret)
{
    fiber_mutex_lock(&e->user_locks_mutex);
    struct user_lock **link = find(e, name);
    *ret = *link == NULL ? -1 : (*link)->owner == owner;
    if (*ret == 1 && --(*link)->depth == 0) {
        drop(link);
        fiber_cond_broadcast(&e->user_locks_freed);
    }
    fiber_mutex_unlock(&e->user_locks_mutex);
    return ERR_OK;
}

int64_t user_lock_holder(struct sql_engine *e, struct slice name)
{
    fiber_mutex_lock(&e->user_locks_mutex);
    const struct user_lock *l = *find(e, name);
    int64_t owner = l == NULL ? -1 : (int64_t)l->owner;
    fiber_mutex_unlock(&e->user_locks_mutex);
    return owner;
}

int64_t user_locks_release_all(struct sql_engine *e, uint64_t owner)
{
    int64_t n = 0;
    fiber_mutex_lock(&e->user_locks_mutex);
    for (struct user_lock **link = &e->user_locks; *link != NULL;) {
        if ((*link)->owner == owner) {
            n += (*link)->depth;
            drop(link);
        } else {
            link = &(*link)->next;
        }
    }
    if (n != 0) {
        fiber_cond_broadcast(&e->user_locks_freed);
    }
    fiber_mutex_unlock(&e->user_locks_mutex);
    return n;
}
