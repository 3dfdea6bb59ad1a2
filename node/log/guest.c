/* Guests: loops that write and sync what they have submitted themselves.
 *
 * Through a writer a batch costs two hand-offs between threads beside its sync: the writer is
 * woken, and so is the loop when it is done. On processors that sleep deeply (and in virtual
 * machines) these take as long as half a sync. A lone client's loop has nothing else to do
 * meanwhile: so it writes and syncs, as a writer does, with the turn and through a handle of its
 * own.
 *
 * When. Whoever syncs on a loop keeps all that the loop serves waiting. So
 *   - the submitter must have said that the loop may wait for the disk (raft_log_batch_here);
 *   - syncs must be short of late (LOG_GUEST_SYNC_MAX_US);
 *   - the loop must have been alone with its batches for a while: nothing else happened on it
 * between a submit and its completion, each of which counts one. What comes in while it is a guest
 * counts against it, by more (LOG_GUEST_HARM): who meets more than one in so many is no guest again
 *     until the loop has been quiet for long;
 *   - nothing that it knows of may wait for it (what has come from outside since it looked last is
 *     asked for once, behind the sync, and counts like what comes meanwhile), nobody may have the
 *     turn, no round may be on its way, and what is queued must be little and fit the segment: a
 *     guest never waits for anything but its own sync.
 * It is tried at the end of a turn (loop_after_turn), when the replies have left. If anything is in
 * the way the writer is woken as if there were no guests.
 *
 * The first writer sleeps meanwhile, and must not oversleep what is its own to do: a mark behind
 * the last round, and what a guest's round left over. `attention` says that there is something, and
 * is set before `sleeping` is looked at; the writer looks at it when it has set that. */
#include "base/assert.h"
#include "base/clock.h"
#include "node/log/writer_int.h"

/* NULL: no guest comes from this loop. */
static struct log_guest *guest_of(struct raft_log *log, struct loop *loop)
{
    unsigned i = loop_index(loop);
    if (i >= LOG_GUESTS_MAX || log->opts.manual) {
        return NULL;
    }
    struct log_guest *g = &log->guests[i];
    struct loop *owner = atomic_load_explicit(&g->loop, memory_order_acquire);
    if (owner == NULL && atomic_compare_exchange_strong(&g->loop, &owner, loop)) {
        owner = loop;
    }
    return owner == loop ? g : NULL; /* of another group of loops: one of the two is enough */
}

static void harm(struct log_guest *g, int much)
{
    g->quiet = g->quiet > much ? g->quiet - much : 0;
}

/* Only whoever has the turn takes from the queue, so what is seen here stays there. */
static bool queue_is_small(const struct raft_log *log)
{
    uint64_t bytes = 0;
    const struct raft_log_batch *b = atomic_load_explicit(&log->queue, memory_order_acquire);
    for (; b != NULL; b = b->next) {
        bytes += b->chunk->len;
        if (bytes > LOG_GUEST_BYTES_MAX) {
            return false;
        }
    }
    return bytes != 0;
}

/* With the turn: nothing here would wait, or do more than a round. */
static bool fits(struct raft_log *log)
{
    return log->flight_count == 0 && log->pending == NULL && !log->guest_busy &&
           !atomic_load_explicit(&log->failed, memory_order_relaxed) &&
           log__segment_room(log->active) >= LOG_GUEST_BYTES_MAX && !log__trim_due(log) &&
           queue_is_small(log);
}

static bool write_and_sync(struct raft_log *log)
{
    if (!log__turn_try(log, log->guest_writer.no)) {
        return false;
    }
    if (!fits(log)) {
        log__turn_give(log);
        return false;
    }
    stat_add(&log->st_guest_rounds, 1);
    log__writer_round_sync(&log->guest_writer);
    return true;
}

static void guest_task(struct loop_task *task)
{
    struct log_guest *g = CONTAINER_OF(task, struct log_guest, task);
    struct raft_log *log = g->log;
    struct loop *loop = loop_current();
    g->armed = false;
    if (loop_is_occupied(loop)) {
        harm(g, LOG_GUEST_HARM);
        log__writer_wake(log);
        return;
    }
    uint64_t t0 = clock_mono_ns();
    if (!write_and_sync(log)) {
        log__writer_wake(log);
        return;
    }
    if (clock_mono_ns() - t0 > LOG_GUEST_SLOW_US * NS_PER_US) {
        g->quiet = 0;
    }
}

bool log__guest_takes(struct raft_log *log, struct raft_log_batch *b)
{
    struct log_guest *g = guest_of(log, b->loop);
    if (g == NULL) {
        return false;
    }
    g->out++;
    g->turn = loop_turn_number(b->loop);
    if (g->armed) {
        return true;
    }
    uint64_t usual = atomic_load_explicit(&log->usual_sync_ns, memory_order_relaxed);
    if (!b->here || g->quiet < LOG_GUEST_QUIET || usual > LOG_GUEST_SYNC_MAX_US * NS_PER_US) {
        return false;
    }
    g->armed = true;
    g->log = log;
    g->task.fn = guest_task;
    loop_after_turn(b->loop, &g->task);
    return true;
}

void log__guest_synced(struct raft_log *log)
{
    struct loop *loop = loop_current();
    struct log_guest *g = guest_of(log, loop);
    if (loop_is_wanted(loop)) {
        harm(g, LOG_GUEST_HARM);
    }
}

void log__guest_left(struct raft_log *log, bool pending, bool marked)
{
    if (!pending && marked) {
        return;
    }
    atomic_store(&log->attention, true);
    if (pending || atomic_load(&log->writers[0].sleeping) == WRITER_SLEEPS_LONG) {
        log__writer_wake(log);
    }
}

void log__guest_completed(struct raft_log *log, struct loop *loop, unsigned batches)
{
    struct log_guest *g = guest_of(log, loop);
    if (g == NULL) {
        return;
    }
    g->out -= batches;
    if (g->out == 0 && loop_turn_number(loop) == g->turn + 1) {
        g->quiet += g->quiet < LOG_GUEST_QUIET_MAX;
    } else {
        harm(g, LOG_GUEST_HARM);
    }
}
