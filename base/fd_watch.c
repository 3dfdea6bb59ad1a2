/* One epoll set for each loop, watched by the loop's libuv like any other descriptor. libuv's own
 * set may only be changed on the loop's thread, this one from anywhere, and edge-triggered, so that
 * a connection costs no call of the system but its reads and writes.
 *
 * An event names a slot and the slot's generation, not an address: one that was fetched before the
 * watch was removed finds nobody. */
#include "base/fd_watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/loop_int.h"
#include "base/scope.h"

enum { EVENTS_MAX = 64, SLOTS_FIRST = 16 };

struct watch_slot {
    struct fd_watch *watch; /* NULL: free */
    uint32_t generation;
    uint32_t next_free; /* number + 1 */
};

static struct fd_watch *take(struct loop *loop, uint64_t name)
{
    uint32_t slot = (uint32_t)name;
    SCOPE_LOCK(&loop->watch_lock);
    const struct watch_slot *s = &loop->watch_slots[slot];
    if (slot >= loop->watch_slot_count || s->generation != (uint32_t)(name >> 32) ||
        s->watch == NULL) {
        return NULL;
    }
    s->watch->hold(s->watch);
    return s->watch;
}

static void on_events(uv_poll_t *poll, int status, int events UNUSED)
{
    struct loop *loop = poll->data;
    struct epoll_event ev[EVENTS_MAX];
    int n = EVENTS_MAX;
    /* Awake: who posts to this loop from here need not wake it. */
    atomic_store_explicit(&loop->asleep, false, memory_order_release);
    while (status == 0 && n == EVENTS_MAX) {
        n = epoll_wait(loop->watch_fd, ev, EVENTS_MAX, 0);
        for (int i = 0; i < n; i++) {
            struct fd_watch *w = take(loop, ev[i].data.u64);
            if (w != NULL) {
                w->ready(w, (ev[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
            }
        }
    }
}

db_err loop__watch_open(struct loop *loop)
{
    loop->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->watch_fd < 0) {
        return ERR_IO;
    }
    pthread_mutex_init(&loop->watch_lock, NULL);
    int rc = uv_poll_init(&loop->uv, &loop->watch_poll, loop->watch_fd);
    if (rc == 0) {
        loop->watch_poll.data = loop;
        rc = uv_poll_start(&loop->watch_poll, UV_READABLE, on_events);
        ASSERT(rc == 0);
        return ERR_OK;
    }
    close(loop->watch_fd);
    pthread_mutex_destroy(&loop->watch_lock);
    return ERR_IO;
}

void loop__watch_close(struct loop *loop)
{
    close(loop->watch_fd);
    mem_free(loop->watch_slots);
    pthread_mutex_destroy(&loop->watch_lock);
}

/* With the lock held. */
static db_err grow(struct loop *loop)
{
    uint32_t count = loop->watch_slot_count == 0 ? SLOTS_FIRST : loop->watch_slot_count * 2;
    struct watch_slot *slots = mem_realloc(loop->watch_slots, count * sizeof(*slots));
    if (slots == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = count; i > loop->watch_slot_count; i--) {
        slots[i - 1] = (struct watch_slot){.generation = 1, .next_free = loop->watch_free};
        loop->watch_free = i;
    }
    loop->watch_slots = slots;
    loop->watch_slot_count = count;
    return ERR_OK;
}

static void give_back(struct loop *loop, uint32_t slot)
{
    struct watch_slot *s = &loop->watch_slots[slot];
    s->watch = NULL;
    s->generation++;
    s->next_free = loop->watch_free;
    loop->watch_free = slot + 1;
}

db_err fd_watch_add(struct loop *loop, struct fd_watch *w, int fd)
{
    ASSERT(w->hold != NULL && w->ready != NULL);
    if (loop_uv(loop) == NULL) {
        return ERR_UNSUPPORTED;
    }
    SCOPE_LOCK(&loop->watch_lock);
    if (loop->watch_free == 0) {
        TRY(grow(loop));
    }
    uint32_t slot = loop->watch_free - 1;
    struct watch_slot *s = &loop->watch_slots[slot];
    loop->watch_free = s->next_free;
    s->watch = w;
    w->loop = loop;
    w->fd = fd;
    w->slot = slot;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                             .data.u64 = (uint64_t)s->generation << 32 | slot};
    if (epoll_ctl(loop->watch_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
        give_back(loop, slot);
        return errno == ENOMEM ? ERR_NOMEM : ERR_LIMIT;
    }
    return ERR_OK;
}

void fd_watch_remove(struct fd_watch *w)
{
    struct loop *loop = w->loop;
    SCOPE_LOCK(&loop->watch_lock);
    ASSERT(loop->watch_slots[w->slot].watch == w);
    int rc = epoll_ctl(loop->watch_fd, EPOLL_CTL_DEL, w->fd, NULL);
    ASSERT(rc == 0);
    give_back(loop, w->slot);
}
