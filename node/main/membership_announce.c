#include "base/assert.h"
#include "base/fiber.h"
#include "base/log.h"
#include "node/main/membership_int.h"

/* A node that comes back may listen elsewhere than before, and the others keep sending to where it
 * was: its replicas would hear of no leader, so it would not get ready, and heartbeats begin only
 * then. So a first heartbeat goes out as soon as the node listens, until somebody has taken it. */

#define ANNOUNCE_TIME_NS  (500 * NS_PER_MS) /* of one try; also what a stop may have to wait */
#define ANNOUNCE_RETRY_NS (50 * NS_PER_MS)
#define ANNOUNCE_POLL_NS  (2 * NS_PER_MS)

static db_err announce(struct membership *m)
{
    struct meta_service *s = &m->meta_client.base;
    struct node_info self = {.id = m->ident.node_id, .boot_id = m->boot_id};
    struct range_store_stats stats;
    struct node_directory dir;
    struct diag diag;
    struct arena arena;
    range_store_get_stats(m->ranges, &stats);
    self.ranges = (uint32_t)stats.ranges;
    self.leases = (uint32_t)stats.leases;
    m->actions.describe_self(m, &self);
    diag_reset(&diag);
    arena_init(&arena, NULL, NULL, 0);
    fiber_set_deadline(clock_mono_ns() + ANNOUNCE_TIME_NS);
    db_err err = s->ops->heartbeat(s, &self, &arena, &diag, &dir);
    fiber_set_deadline(DEADLINE_NONE);
    if (err == ERR_OK) {
        m->actions.members(m, &dir);
    }
    arena_fini(&arena);
    return err;
}

static void announce_main(void *arg)
{
    struct membership *m = arg;
    while (!atomic_load(&m->announce_end) && announce(m) != ERR_OK) {
        db_err err = fiber_sleep(ANNOUNCE_RETRY_NS);
        (void)err;
    }
    atomic_store(&m->announcing, false);
}

void membership_announce(struct membership *m)
{
    ASSERT(!atomic_load(&m->announcing));
    atomic_store(&m->announcing, true);
    if (fiber_spawn(loop_current(), announce_main, m) != ERR_OK) {
        atomic_store(&m->announcing, false); /* the heartbeats to come may do */
    }
}

void membership_announced(struct membership *m)
{
    atomic_store(&m->announce_end, true);
    while (atomic_load(&m->announcing)) {
        if (fiber_sleep(ANNOUNCE_POLL_NS) != ERR_OK) {
            fiber_yield();
        }
    }
}
