/* Room for latches.
 *
 * A command with very many keys needs much of the table's memory, for a moment. When some of them
 * come together, each would find a part of what it needs and fail, though all of them could go one
 * after the other. So a command takes the room for all its keys at once, before it has any latch:
 * there is enough, or it waits, first come first served, until others have let go of theirs. Who
 * waits holds nothing, and who has room needs no more of it, so there is always one that goes on.
 * Row locks are held for much longer and are not waited for: with nobody else in the table the room
 * is there, or ERR_LOCK_TABLE_FULL.
 *
 * Whoever takes room counts as a user of it until he leaves. The last one to leave after somebody
 * has begun to wait sees that (both counters are sequentially consistent), or the one who waits
 * sees that there is no user. */
#include "node/lock/lock_int.h"

struct room_wait {
    struct list link;
    struct waiter w;
    size_t size;
    bool served;
};

static bool take_now(struct lock_table *t, size_t size)
{
    if (lock__charge(t, size) != ERR_OK) {
        return false;
    }
    atomic_fetch_add_explicit(&t->room_users, 1, memory_order_seq_cst);
    return true;
}

/* Under the mutex: all that can be served, in their order. */
static void serve(struct lock_table *t)
{
    while (!list_empty(&t->room_waiters)) {
        struct room_wait *first = CONTAINER_OF(t->room_waiters.next, struct room_wait, link);
        bool used = atomic_load_explicit(&t->room_users, memory_order_seq_cst) != 0;
        bool taken = take_now(t, first->size);
        if (!taken && used) {
            return;
        }
        list_remove(&first->link);
        atomic_fetch_sub_explicit(&t->room_waiting, 1, memory_order_relaxed);
        first->served = true;
        wait_signal(&first->w, taken ? ERR_OK : ERR_LOCK_TABLE_FULL);
    }
}

static db_err wait_for_room(struct lock_table *t, size_t size, uint64_t deadline_ns)
{
    struct room_wait rw = {.size = size};
    wait_init(&rw.w);
    pthread_mutex_lock(&t->room_mutex);
    atomic_fetch_add_explicit(&t->room_waiting, 1, memory_order_seq_cst);
    list_push_back(&t->room_waiters, &rw.link);
    serve(t);
    pthread_mutex_unlock(&t->room_mutex);
    db_err err = wait_block(&rw.w, deadline_ns);
    if (err == ERR_OK) {
        return (db_err)rw.w.result;
    }
    pthread_mutex_lock(&t->room_mutex);
    bool served = rw.served;
    if (!served) {
        list_remove(&rw.link);
        atomic_fetch_sub_explicit(&t->room_waiting, 1, memory_order_relaxed);
        serve(t); /* who came after may need less */
    }
    pthread_mutex_unlock(&t->room_mutex);
    if (served) {
        wait_block_uncancelable(&rw.w);
        if (rw.w.result == ERR_OK) {
            lock__room_leave(t, size);
        }
    }
    return err;
}

db_err lock__room_take(struct lock_table *t, size_t size, uint64_t deadline_ns)
{
    if (LIKELY(atomic_load_explicit(&t->room_waiting, memory_order_relaxed) == 0 &&
               take_now(t, size))) {
        return ERR_OK;
    }
    return size > t->memory_max ? ERR_LOCK_TABLE_FULL : wait_for_room(t, size, deadline_ns);
}

void lock__room_leave(struct lock_table *t, size_t unused)
{
    lock__release_memory(t, unused);
    atomic_fetch_sub_explicit(&t->room_users, 1, memory_order_seq_cst);
    if (UNLIKELY(atomic_load_explicit(&t->room_waiting, memory_order_seq_cst) != 0)) {
        pthread_mutex_lock(&t->room_mutex);
        serve(t);
        pthread_mutex_unlock(&t->room_mutex);
    }
}
