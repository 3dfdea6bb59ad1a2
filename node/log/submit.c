/* The ways in and out: batches come from any thread through a lock-free stack that the writer takes
 * whole; they leave as one chain per loop and round. */
#include "node/log/writer_int.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

enum { LOOPS_MAX = 64 };

/* Numbers of failures, over all logs of the process; and the newest one delivered on this thread.
 */
static _Atomic uint64_t failure_last;
static _Thread_local uint64_t failure_seen;

uint64_t log__failure_next(void)
{
    return atomic_fetch_add(&failure_last, 1) + 1;
}

static bool wake(struct raft_log *log, struct log_writer *w)
{
    if (atomic_load(&w->sleeping) == WRITER_AWAKE ||
        atomic_exchange(&w->sleeping, WRITER_AWAKE) == WRITER_AWAKE) {
        return false;
    }
    stat_add(&log->st_wakeups, 1);
    (void)syscall(SYS_futex, &w->sleeping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return true;
}

/* The first writer, if it sleeps. Another one only when what is under way has gone on for longer
 * than it should: the disk is slow for once, or the thread waits for a processor. */
void log__writer_wake(struct raft_log *log)
{
    if (wake(log, &log->writers[0])) {
        atomic_store_explicit(&log->begun_ns, clock_mono_ns(), memory_order_relaxed);
        return;
    }
    uint64_t now = clock_mono_ns();
    uint64_t begun = atomic_load_explicit(&log->begun_ns, memory_order_relaxed);
    uint64_t usual = atomic_load_explicit(&log->usual_sync_ns, memory_order_relaxed);
    if (begun + usual * 2 > now || begun + LOG_SLOW_SYNC_MIN_US * NS_PER_US > now) {
        return;
    }
    for (unsigned i = 1; i < log->opts.writers; i++) {
        if (wake(log, &log->writers[i])) {
            atomic_store_explicit(&log->begun_ns, now, memory_order_relaxed);
            return;
        }
    }
}

void log__writers_wake(struct raft_log *log)
{
    for (unsigned i = 0; i < log->opts.writers; i++) {
        (void)wake(log, &log->writers[i]);
    }
}

void raft_log_submit(struct raft_log *log, struct raft_log_batch *batch, raft_log_done_fn done,
                     void *arg)
{
    ASSERT(batch->log == log);
    batch->done = done;
    batch->arg = arg;
    batch->loop = loop_current();
    batch->seen_failure = batch->loop != NULL || log->opts.manual ? failure_seen : UINT64_MAX;
    bool guest = batch->loop != NULL && log__guest_takes(log, batch);
    struct raft_log_batch *head = atomic_load_explicit(&log->queue, memory_order_relaxed);
    do {
        batch->next = head;
    } while (!atomic_compare_exchange_weak(&log->queue, &head, batch));
    if (guest) {
        return;
    }
    if (!log->opts.manual) {
        log__writer_wake(log);
    } else if (log->opts.on_submit != NULL) {
        log->opts.on_submit(log->opts.on_submit_arg);
    }
}

/* The queue, turned into the order of submission, joins the pending batches. */
void log__take_queue(struct raft_log *log)
{
    struct raft_log_batch *b = atomic_exchange(&log->queue, NULL);
    struct raft_log_batch *reversed = NULL;
    struct raft_log_batch *last = b;
    while (b != NULL) {
        struct raft_log_batch *next = b->next;
        b->next = reversed;
        reversed = b;
        b = next;
    }
    if (reversed != NULL) {
        *log->pending_tail = reversed;
        log->pending_tail = &last->next;
    }
}

static void complete_chain(struct raft_log_batch *b)
{
    while (b != NULL) {
        struct raft_log_batch *next = b->next;
        /* A batch from elsewhere that completes here says nothing of those of this loop. */
        if (b->failure > failure_seen && b->loop == loop_current()) {
            failure_seen = b->failure;
        }
        if (b->done != NULL) {
            b->done(b->arg, b->err);
        }
        raft_log_batch_free(b);
        b = next;
    }
}

static void complete_task(struct loop_task *task)
{
    struct raft_log_batch *head = CONTAINER_OF(task, struct raft_log_batch, task);
    struct log_guest *guest = NULL; /* of the loop: the same for all that have one */
    unsigned batches = 0;
    for (const struct raft_log_batch *b = head; b != NULL; b = b->next) {
        guest = b->guest != NULL ? b->guest : guest;
        batches += b->guest != NULL;
    }
    if (guest != NULL) {
        log__guest_completed(guest, batches);
    }
    complete_chain(head);
}

void log__finish(struct raft_log *log, struct raft_log_batch *b, db_err err)
{
    b->err = err;
    b->next = NULL;
    *log->done_tail = b;
    log->done_tail = &b->next;
}

struct loop_chain {
    struct loop *loop;
    struct raft_log_batch *head, **tail;
};

static void deliver(struct loop_chain *c)
{
    if (c->loop == NULL) {
        complete_chain(c->head);
    } else {
        c->head->task.fn = complete_task;
        loop_post(c->loop, &c->head->task);
    }
}

void log__complete_round(struct raft_log *log)
{
    struct loop_chain chains[LOOPS_MAX];
    size_t count = 0;
    struct raft_log_batch *next;
    struct raft_log_batch *b = log->done_head;
    log->done_head = NULL;
    log->done_tail = &log->done_head;
    for (; b != NULL; b = next) {
        next = b->next;
        b->next = NULL;
        size_t i = 0;
        while (i < count && chains[i].loop != b->loop) {
            i++;
        }
        if (i == LOOPS_MAX) { /* more loops than slots: deliver one early to make room */
            i = 0;
            deliver(&chains[0]);
            chains[0] = (struct loop_chain){b->loop, NULL, &chains[0].head};
        } else if (i == count) {
            chains[count++] = (struct loop_chain){b->loop, NULL, &chains[i].head};
        }
        *chains[i].tail = b;
        chains[i].tail = &b->next;
    }
    for (size_t i = 0; i < count; i++) {
        deliver(&chains[i]);
    }
}
