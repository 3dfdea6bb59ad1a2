/* The writers: threads that make batches durable, in rounds (round.c). Now and then a loop does one
 * itself (guest.c).
 *
 * Each of them takes the turn, writes a round of what waits, gives the turn back, syncs, takes the
 * turn again and completes what its sync has covered. Mostly there is one that does anything: while
 * it syncs, the next round's batches gather in the queue: load makes rounds larger, not more
 * frequent, and an idle log has the latency of one sync. But disks work on several syncs at a time.
 * When a sync goes on for twice as long as usual, or its thread waits for a processor, a batch that
 * comes meanwhile wakes another writer, which writes and syncs the next round beside it. (Always to
 * do so was measured: on an idle machine the system calls of more and smaller rounds cost more than
 * the waiting saves.)
 *
 * A handle each. The kernel reports a failed write of a page once for each open file: writers that
 * shared one could take the error from each other, and the other's sync would seem to have
 * succeeded.
 *
 * Waiting. An idle writer sleeps on a futex of its own; a submit costs a system call
 * only when it wakes one. Looking at the queue for a while before sleeping (opts.spin_us)
 * was measured and does not pay: alone, a batch is dominated by the sync, and the spinning thread
 * takes the core that the completion's loop needs; under load the queue is never empty. The figures
 * are in README.md. */
#include "node/log/writer_int.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

void log__fail(struct raft_log *log, db_err err, const char *what, uint64_t segment_no)
{
    if (atomic_exchange(&log->failed, true) || log->opts.on_fatal == NULL) {
        return;
    }
    struct diag diag;
    char path[DISK_PATH_MAX];
    diag_reset(&diag);
    log__segment_path(log, segment_no, path);
    (void)diag_set(
        &diag, ERR_IO,
        "raft log: %s of %.200s failed (%s). What was acknowledged is safe; the log cannot "
        "go on. Check the disk, then start the node again: it recovers from what is on the "
        "disk",
        what, path, err_text(err));
    log->opts.on_fatal(log->opts.on_fatal_arg, &diag);
}

db_err log__mark_write(struct raft_log *log, bool clean)
{
    struct log_segment *seg = log->active;
    uint64_t used = atomic_load_explicit(&seg->used, memory_order_relaxed);
    struct log_rec_header h = {.size = sizeof(h),
                               .seq = log->next_seq,
                               .unsynced = (uint32_t)(log->next_seq - log->durable_seq),
                               .count = clean ? 1 : 0,
                               .type = LOG_REC_MARK};
    ASSERT(log__segment_room(seg) >= sizeof(h));
    h.crc = log_rec_crc(0, log_salt(log->log_id, seg->no), &h);
    TRY(log__write_end(log, &h, sizeof(h)));
    if (seg->first_seq == 0) {
        seg->first_seq = log->next_seq;
    }
    atomic_store_explicit(&seg->used, used + sizeof(h), memory_order_relaxed);
    log->next_seq++;
    log->active_dirty = true;
    return ERR_OK;
}

void log__writer_mark(struct raft_log *log, bool clean)
{
    if (log->flight_count != 0) {
        return; /* then it is not idle */
    }
    log->marked = true;
    if (log__segment_room(log->active) < sizeof(struct log_rec_header) ||
        atomic_load_explicit(&log->failed, memory_order_relaxed)) {
        return;
    }
    db_err err = log__mark_write(log, clean);
    if (err == ERR_DISK_FULL) {
        log__abandon_active(log);
    } else if (err != ERR_OK) {
        log__fail(log, err, "write", log->active->no);
    } else if (clean) {
        err = log__settle(log);
        (void)err; /* already reported; the next open then sees an unclean end */
    }
}

bool log__writer_round(struct raft_log *log)
{
    log__turn_take(log, 0);
    log__round_prepare(log);
    (void)log__round_write(log);
    db_err err = log__settle(log);
    (void)err; /* what it was about has been told */
    bool more = log->pending != NULL;
    log__turn_give(log);
    return more;
}

/* ---- the thread */

/* In one order with `sleeping`: either who submits sees that it sleeps, or it sees the batch. */
static bool queue_empty(const struct raft_log *log)
{
    return atomic_load(&log->queue) == NULL;
}

static void spin(struct raft_log *log)
{
    if (log->opts.spin_us == 0) {
        return;
    }
    uint64_t until = clock_mono_ns() + log->opts.spin_us * NS_PER_US;
    do {
        for (int i = 0; i < 32; i++) {
            if (!queue_empty(log)) {
                return;
            }
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
    } while (clock_mono_ns() < until);
}

/* The first writer looks after the queue. The others do one round when they are woken: what waits
 * after that either finds the first one awake or has woken it. */
static bool has_work(const struct log_writer *w)
{
    return w->no == 0 && !queue_empty(w->log);
}

/* False when the wait ended by time. */
static bool sleep_for_work(struct log_writer *w, const struct timespec *timeout)
{
    struct raft_log *log = w->log;
    uint32_t asleep = timeout == NULL ? WRITER_SLEEPS_LONG : WRITER_SLEEPS_SHORT;
    atomic_store(&w->sleeping, asleep);
    if (has_work(w) || (w->no == 0 && atomic_load(&log->attention)) ||
        atomic_load(&log->stopping)) {
        atomic_store(&w->sleeping, WRITER_AWAKE);
        return true;
    }
    long rc = syscall(SYS_futex, &w->sleeping, FUTEX_WAIT_PRIVATE, asleep, timeout, NULL, 0);
    bool timed_out = rc != 0 && errno == ETIMEDOUT;
    atomic_store(&w->sleeping, WRITER_AWAKE);
    return !timed_out;
}

/* What an idle writer waits for besides work. */
enum idle_for { IDLE_WORK, IDLE_MARK, IDLE_RETRY, IDLE_NOT };

static enum idle_for idle_plan(struct log_writer *w)
{
    struct raft_log *log = w->log;
    enum idle_for plan = IDLE_WORK;
    log__turn_take(log, w->no);
    bool failed = atomic_load_explicit(&log->failed, memory_order_relaxed);
    if (w->no == 0) { /* it looks at everything now */
        atomic_store(&log->attention, false);
    }
    if (log->pending != NULL || atomic_load(&log->guest_covers) != 0 ||
        (!failed && log__trim_due(log))) {
        plan = IDLE_NOT;
    } else if (!log->marked) {
        plan = IDLE_MARK;
    } else if (log->trim_retry_ns != 0) {
        plan = IDLE_RETRY;
    }
    log__turn_give(log);
    return plan;
}

static void idle(struct log_writer *w, enum idle_for plan)
{
    static const struct timespec mark_after = {.tv_nsec = LOG_IDLE_MARK_MS * 1000000L};
    static const struct timespec retry_after = {.tv_nsec = LOG_FULL_RETRY_MS * 1000000L};
    const struct timespec *timeout = plan == IDLE_MARK    ? &mark_after
                                     : plan == IDLE_RETRY ? &retry_after
                                                          : NULL;
    if (w->no == 0) {
        spin(w->log);
    }
    if (!has_work(w) && !sleep_for_work(w, timeout) && plan == IDLE_MARK) {
        log__turn_take(w->log, w->no);
        if (!w->log->marked) {
            log__writer_mark(w->log, false);
        }
        log__turn_give(w->log);
    }
}

/* What is usual follows faster syncs at once and slower ones little by little. */
static void sync_took(struct raft_log *log, uint64_t ns)
{
    uint64_t usual = atomic_load_explicit(&log->usual_sync_ns, memory_order_relaxed);
    stat_add(&log->st_sync_ns, ns);
    atomic_store_explicit(&log->usual_sync_ns,
                          usual == 0 || ns < usual ? ns : usual + usual / 64 + 1,
                          memory_order_relaxed);
}

void log__writer_round_sync(struct log_writer *w)
{
    struct raft_log *log = w->log;
    bool guest = w == &log->guest_writer;
    uint64_t covers = log__round_write(log);
    struct log_segment *seg = covers != 0 ? log->active : NULL;
    bool more = log->pending != NULL;
    bool marked = log->marked;
    if (seg != NULL) {
        atomic_fetch_add_explicit(&seg->refs, 1, memory_order_relaxed);
    }
    if (seg != NULL && guest) {
        atomic_store(&log->guest_busy, true);
    }
    log__turn_give(log);
    if (guest) {
        log__guest_left(log, more, marked);
    } else if (more) {
        atomic_store(&log->attention, true);
        log__writer_wake(log);
    }
    if (seg == NULL) {
        return;
    }
    uint64_t t0 = clock_mono_ns();
    atomic_store_explicit(&log->begun_ns, t0, memory_order_relaxed);
    db_err err = disk_sync(seg->files[w->no]);
    sync_took(log, clock_mono_ns() - t0);
    if (err != ERR_OK) { /* at once: nobody else's sync may speak for what this one could not */
        log__fail(log, err, "sync", seg->no);
    }
    if (guest) {
        log__guest_synced(log, covers);
    } else {
        log__turn_take(log, w->no);
        log__round_synced(log, covers);
        log__turn_give(log);
    }
    log__segment_unref(seg);
}

/* One round of what waits; nothing if nothing does. */
static void work(struct log_writer *w)
{
    log__turn_take(w->log, w->no);
    log__round_prepare(w->log);
    log__writer_round_sync(w);
}

/* A writer runs for some microseconds, and many wait for what it does then. Whoever asks the kernel
 * for short slices (sched(7); the default is milliseconds) gets the same share of the processors in
 * more and sooner turns. Kernels before 6.12 take no notice. */
static void ask_for_short_slices(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } attr = {0};
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) == 0 && attr.policy == SCHED_OTHER) {
        attr.size = sizeof(attr);
        attr.runtime_ns = LOG_SLICE_US * NS_PER_US;
        (void)syscall(SYS_sched_setattr, 0, &attr, 0);
    }
}

void *log__writer_main(void *arg)
{
    struct log_writer *w = arg;
    struct raft_log *log = w->log;
    ask_for_short_slices();
    for (;;) {
        work(w);
        if (has_work(w)) {
            continue;
        }
        enum idle_for plan = idle_plan(w);
        if (plan == IDLE_NOT) {
            continue;
        }
        if (atomic_load(&log->stopping)) {
            return NULL;
        }
        idle(w, plan);
    }
}
