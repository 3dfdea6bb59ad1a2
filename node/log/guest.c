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
 *   - syncs must be short of late (LOG_GUEST_SYNC_MAX_US), and after one visit that was longer than
 *     LOG_GUEST_SLOW_US there are no guests, on any loop, for LOG_GUEST_REST times of what it was
 *     too long: so much of its time a loop is kept by a slow disk, and no more;
 *   - the loop must have been alone with its batches for a while: nothing else happened on it
 * between a submit and its completion, each of which counts one. What comes in while it is a guest
 * counts against it, by more (LOG_GUEST_HARM): who meets more than one in so many is no guest again
 *     until the loop has been quiet for long;
 *   - nothing that it knows of may wait for it (what has come from outside since it looked last is
 *     asked for once, behind the sync, and counts like what comes meanwhile), nobody may have the
 *     turn, no round may be on its way, and what waits must be little and fit the segment: a guest
 *     never waits for anything but its own write and sync.
 * It is tried at the end of a turn (loop_after_turn), when the replies have left. If anything is in
 * the way the writer is woken as if there were no guests. If somebody has the turn when the guest's
 * sync has ended, he may have it for long (he makes room, or syncs): then the guest leaves word how
 * far its sync reached (`guest_covers`), and a writer completes the rounds.
 *
 * The first writer sleeps meanwhile, and must not oversleep what is its own to do: a mark behind
 * the last round, and what a guest left over. `attention` says that there is something, and is set
 * before `sleeping` is looked at; the writer looks at it when it has set that.
 *
 * Whom the log outlives. A loop has tasks of its own on their way when the log is closed on another
 * thread: completions that were posted, a visit that is to come at the end of the turn. They find
 * the loop's struct log_guest, which counts them and the log; the log takes itself out of it when
 * it is closed, and waits for the visit that goes on (`lock`). */
#include "base/alloc.h"
#include "base/clock.h"
#include "node/log/writer_int.h"

static struct log_guest *guest_new(struct raft_log *log, struct loop *loop)
{
    struct log_guest *g = mem_calloc(1, sizeof(*g));
    if (g == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&g->lock, NULL);
    atomic_init(&g->refs, 1);
    g->log = log;
    g->loop = loop;
    return g;
}

static void guest_unref(struct log_guest *g, unsigned refs)
{
    if (atomic_fetch_sub_explicit(&g->refs, refs, memory_order_acq_rel) == refs) {
        (void)pthread_mutex_destroy(&g->lock);
        mem_free(g);
    }
}

/* NULL: no guest comes from this loop. */
static struct log_guest *guest_of(struct raft_log *log, struct loop *loop)
{
    unsigned i = loop_index(loop);
    if (i >= LOG_GUESTS_MAX || log->opts.manual) {
        return NULL;
    }
    struct log_guest *g = atomic_load_explicit(&log->guests[i], memory_order_acquire);
    if (g == NULL) {
        struct log_guest *made = guest_new(log, loop);
        if (made == NULL || atomic_compare_exchange_strong(&log->guests[i], &g, made)) {
            return made;
        }
        guest_unref(made, 1);
    }
    return g->loop == loop ? g : NULL; /* of another group of loops: one of the two is enough */
}

void log__guests_leave(struct raft_log *log)
{
    for (unsigned i = 0; i < LOG_GUESTS_MAX; i++) {
        struct log_guest *g = atomic_exchange(&log->guests[i], NULL);
        if (g != NULL) {
            (void)pthread_mutex_lock(&g->lock);
            g->log = NULL;
            (void)pthread_mutex_unlock(&g->lock);
            guest_unref(g, 1);
        }
    }
}

static void harm(struct log_guest *g, int much)
{
    g->quiet = g->quiet > much ? g->quiet - much : 0;
}

/* There is something for the first writer. wake: at once. */
static void leave_word(struct raft_log *log, bool wake)
{
    atomic_store(&log->attention, true);
    if (wake || atomic_load(&log->writers[0].sleeping) == WRITER_SLEEPS_LONG) {
        log__writer_wake(log);
    }
}

static bool is_small(const struct raft_log_batch *b)
{
    uint64_t bytes = 0;
    for (; b != NULL && bytes <= LOG_GUEST_BYTES_MAX; b = b->next) {
        bytes += b->chunk->len;
    }
    return bytes != 0 && bytes <= LOG_GUEST_BYTES_MAX;
}

/* With the turn: nothing here would wait, or do more than a small round. What waits is pending
 * then: what is submitted from now on is not of this round. */
static bool fits(struct raft_log *log)
{
    if (log->flight_count != 0 || log->pending != NULL || atomic_load(&log->guest_busy) ||
        atomic_load_explicit(&log->failed, memory_order_relaxed) ||
        log__segment_room(log->active) < LOG_GUEST_BYTES_MAX || log__trim_due(log)) {
        return false;
    }
    log__take_queue(log);
    return is_small(log->pending);
}

static bool write_and_sync(struct raft_log *log, struct log_guest *g)
{
    if (!log__turn_try(log, log->guest_writer.no)) {
        return false;
    }
    if (!fits(log)) {
        log__turn_give(log);
        return false;
    }
    stat_add(&log->st_guest_rounds, 1);
    log->guest_in = g; /* the log may be about to forget it */
    log__writer_round_sync(&log->guest_writer);
    return true;
}

static void visit(struct raft_log *log, struct log_guest *g)
{
    if (loop_is_occupied(g->loop)) {
        harm(g, LOG_GUEST_HARM);
        log__writer_wake(log);
        return;
    }
    g->turn = loop_turn_number(g->loop); /* until now it has been alone */
    uint64_t t0 = clock_mono_ns();
    if (!write_and_sync(log, g)) {
        leave_word(log, true);
        return;
    }
    uint64_t t1 = clock_mono_ns();
    if (t1 - t0 > LOG_GUEST_SLOW_US * NS_PER_US) {
        uint64_t late = t1 - t0 - LOG_GUEST_SLOW_US * NS_PER_US;
        atomic_store_explicit(&log->guests_rest_until_ns, t1 + late * LOG_GUEST_REST,
                              memory_order_relaxed);
    }
}

static void guest_task(struct loop_task *task)
{
    struct log_guest *g = CONTAINER_OF(task, struct log_guest, task);
    g->armed = false;
    (void)pthread_mutex_lock(&g->lock);
    if (g->log != NULL) {
        visit(g->log, g);
    }
    (void)pthread_mutex_unlock(&g->lock);
    guest_unref(g, 1);
}

/* Syncs have been short. */
static bool disk_is_fast(const struct raft_log *log, const struct loop *loop)
{
    return atomic_load_explicit(&log->usual_sync_ns, memory_order_relaxed) <=
               LOG_GUEST_SYNC_MAX_US * NS_PER_US &&
           loop_now_ns(loop) >=
               atomic_load_explicit(&log->guests_rest_until_ns, memory_order_relaxed);
}

bool log__guest_takes(struct raft_log *log, struct raft_log_batch *b)
{
    struct log_guest *g = guest_of(log, b->loop);
    b->guest = g;
    if (g == NULL) {
        return false;
    }
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    g->out++;
    g->turn = loop_turn_number(b->loop);
    if (g->armed) {
        return true;
    }
    if (!b->here || g->quiet < LOG_GUEST_QUIET || !disk_is_fast(log, b->loop)) {
        return false;
    }
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    g->armed = true;
    g->task.fn = guest_task;
    loop_after_turn(b->loop, &g->task);
    return true;
}

void log__guest_synced(struct raft_log *log, uint64_t covers)
{
    struct log_guest *g = log->guest_in;
    if (loop_is_wanted(g->loop)) { /* asked before what is completed makes it so */
        harm(g, LOG_GUEST_HARM);
    }
    if (log__turn_try(log, log->guest_writer.no)) {
        log__round_synced(log, covers);
        atomic_store(&log->guest_busy, false);
        log__turn_give(log);
        return;
    }
    atomic_store(&log->guest_covers, covers);
    atomic_store(&log->guest_busy, false); /* last: the next guest's word is of a later round */
    leave_word(log, true);
}

void log__guest_left(struct raft_log *log, bool pending, bool marked)
{
    if (pending || !marked) {
        leave_word(log, pending);
    }
}

void log__guest_completed(struct log_guest *g, unsigned batches)
{
    g->out -= batches;
    if (g->out == 0 && loop_turn_number(g->loop) == g->turn + 1) {
        g->quiet += g->quiet < LOG_GUEST_QUIET_MAX;
    } else {
        harm(g, LOG_GUEST_HARM);
    }
    guest_unref(g, batches);
}
