#include "node/log/log.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/rand.h"
#include "node/log/writer_int.h"

static db_err opts_default(struct raft_log_opts *o, struct diag *diag)
{
    o->disk = o->disk != NULL ? o->disk : disk_real();
    o->segment_size = o->segment_size != 0 ? o->segment_size : LOG_SEGMENT_SIZE_DEFAULT;
    o->spare_segments = o->spare_segments != 0 ? o->spare_segments : LOG_SPARES_DEFAULT;
    o->writers = o->manual ? 1 : o->writers != 0 ? o->writers : LOG_WRITERS_DEFAULT;
    o->cache_size = o->cache_size != 0 ? o->cache_size : LOG_CACHE_SIZE_DEFAULT;
    if (o->writers > LOG_WRITERS_MAX) {
        return diag_set(diag, ERR_INVALID, "raft log: at most %d writers", LOG_WRITERS_MAX);
    }
    if (o->segment_size % LOG_DATA_START != 0 || o->segment_size < LOG_SEGMENT_SIZE_MIN ||
        o->segment_size > LOG_SEGMENT_SIZE_MAX) {
        return diag_set(diag, ERR_INVALID,
                        "raft log: a segment size must be a multiple of 4096 from 64 KiB to 1 GiB");
    }
    return ERR_OK;
}

static void list_free_segments(struct list *l)
{
    struct list *n;
    while ((n = list_pop_front(l)) != NULL) {
        log__segment_unref(CONTAINER_OF(n, struct log_segment, node));
    }
}

static void log_free(struct raft_log *log)
{
    log__cache_fini(log);
    log__index_fini(log);
    list_free_segments(&log->segments);
    list_free_segments(&log->ready);
    list_free_segments(&log->garbage);
    for (size_t i = 0; i < LOG_STRIPES; i++) {
        (void)pthread_mutex_destroy(&log->stripes[i].lock);
    }
    (void)pthread_mutex_destroy(&log->turn);
    (void)pthread_mutex_destroy(&log->seg_lock);
    (void)pthread_cond_destroy(&log->seg_wake);
    (void)pthread_cond_destroy(&log->seg_ready);
    mem_free(log->stage_memory);
    mem_free(log->dir);
    mem_free(log);
}

static db_err log_new(const char *dir, const struct raft_log_opts *opts, struct raft_log **ret_log)
{
    struct raft_log *log = mem_calloc(1, sizeof(*log));
    if (log == NULL) {
        return ERR_NOMEM;
    }
    log->opts = *opts;
    log->guest_writer = (struct log_writer){.log = log, .no = opts->writers};
    log->pending_tail = &log->pending;
    log->done_tail = &log->done_head;
    log->next_seq = log->durable_seq = 1;
    log->next_no = 1;
    log->marked = true;
    list_init(&log->cache);
    list_init(&log->segments);
    list_init(&log->ready);
    list_init(&log->garbage);
    for (size_t i = 0; i < LOG_STRIPES; i++) {
        (void)pthread_mutex_init(&log->stripes[i].lock, NULL);
    }
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&log->turn, NULL);
    (void)pthread_mutex_init(&log->seg_lock, NULL);
    (void)pthread_cond_init(&log->seg_wake, &attr);
    (void)pthread_cond_init(&log->seg_ready, &attr);
    (void)pthread_condattr_destroy(&attr);
    log->dir = mem_strdup(dir);
    log->stage_memory = mem_alloc(LOG_STAGE_SIZE + DISK_BLOCK);
    log->stage = (uint8_t *)log_round_up((uintptr_t)log->stage_memory, DISK_BLOCK);
    log->direct = true;
    if (log->dir == NULL || log->stage_memory == NULL || log__index_init(log) != ERR_OK) {
        log_free(log);
        return ERR_NOMEM;
    }
    *ret_log = log;
    return ERR_OK;
}

/* The first segments, before anyone waits for them: a disk without room for one refuses the open.
 */
static db_err prepare_first(struct raft_log *log, struct diag *diag)
{
    db_err err = ERR_OK;
    (void)pthread_mutex_lock(&log->seg_lock);
    while (log->ready_count == 0 && log->active == NULL && err == ERR_OK) {
        if (log__prepare_step(log)) {
            continue;
        }
        err = log->ready_state == LOG_READY_FULL ? ERR_DISK_FULL : ERR_IO;
    }
    if (log->opts.manual && err == ERR_OK) {
        while (log__prepare_step(log)) {
        }
    }
    (void)pthread_mutex_unlock(&log->seg_lock);
    if (err != ERR_OK) {
        return diag_set(diag, err,
                        "raft log: %.200s: no room for a segment of %llu bytes (%s). Free space or "
                        "choose a smaller segment",
                        log->dir, (unsigned long long)log->opts.segment_size, err_text(err));
    }
    return ERR_OK;
}

static void stop_threads(struct raft_log *log)
{
    atomic_store(&log->stopping, true);
    log__writers_wake(log);
    for (size_t i = 0; i < LOG_WRITERS_MAX; i++) {
        if (log->writers[i].started) {
            (void)pthread_join(log->writers[i].thread, NULL);
        }
    }
    if (log->prep_started) {
        (void)pthread_mutex_lock(&log->seg_lock);
        log->prep_stop = true;
        (void)pthread_cond_broadcast(&log->seg_wake);
        (void)pthread_mutex_unlock(&log->seg_lock);
        (void)pthread_join(log->prep_thread, NULL);
    }
}

static db_err start_threads(struct raft_log *log)
{
    if (log->opts.manual) {
        return ERR_OK;
    }
    if (pthread_create(&log->prep_thread, NULL, log__prepare_main, log) != 0) {
        return ERR_NOMEM;
    }
    log->prep_started = true;
    (void)pthread_setname_np(log->prep_thread, "log-prepare");
    for (unsigned i = 0; i < log->opts.writers; i++) {
        struct log_writer *w = &log->writers[i];
        w->log = log;
        w->no = i;
        if (pthread_create(&w->thread, NULL, log__writer_main, w) != 0) {
            return ERR_NOMEM;
        }
        w->started = true;
        (void)pthread_setname_np(w->thread, "log-writer");
    }
    return ERR_OK;
}

db_err raft_log_open(const char *dir, const struct raft_log_opts *opts, struct diag *diag,
                     struct raft_log **ret_log)
{
    struct raft_log_opts o = opts != NULL ? *opts : (struct raft_log_opts){0};
    struct raft_log *log = NULL;
    TRY(opts_default(&o, diag));
    if (strlen(dir) > DISK_PATH_MAX - 32) {
        return diag_set(diag, ERR_INVALID, "raft log: the path is too long");
    }
    TRY(log_new(dir, &o, &log));
    db_err err;
    TRY_GOTO(log__recover(log, diag), out);
    TRY_GOTO(prepare_first(log, diag), out);
    TRY_GOTO(start_threads(log), out);
    *ret_log = log;
    return ERR_OK;
out:
    stop_threads(log);
    log_free(log);
    return err;
}

void raft_log_close(struct raft_log *log)
{
    if (log == NULL) {
        return;
    }
    stop_threads(log);
    log__guests_leave(log);
    /* Manual mode, or what was submitted while the threads ended. */
    while (log__writer_round(log) || atomic_load(&log->queue) != NULL) {
    }
    log__writer_mark(log, true);
    log_free(log);
}

static void drop_chain(struct raft_log_batch *b)
{
    struct raft_log_batch *next;
    for (; b != NULL; b = next) {
        next = b->next;
        raft_log_batch_free(b);
    }
}

void raft_log_kill(struct raft_log *log)
{
    if (log == NULL) {
        return;
    }
    ASSERT(log->opts.manual);
    for (unsigned i = 0; i < log->flight_count; i++) {
        drop_chain(log->flight[(log->flight_head + i) % LOG_FLIGHT_MAX].head);
    }
    drop_chain(log->pending);
    drop_chain(atomic_exchange(&log->queue, NULL));
    log_free(log);
}

void raft_log_pump_ahead(struct raft_log *log)
{
    ASSERT(log->opts.manual);
    log__turn_take(log, 0);
    log__round_prepare(log);
    (void)log__round_write(log);
    log__turn_give(log);
}

bool raft_log_pump(struct raft_log *log)
{
    ASSERT(log->opts.manual);
    bool more = log__writer_round(log);
    (void)pthread_mutex_lock(&log->seg_lock);
    (void)log__prepare_step(log);
    (void)pthread_mutex_unlock(&log->seg_lock);
    return more || atomic_load(&log->queue) != NULL ||
           (!atomic_load(&log->failed) && log__trim_due(log));
}

static uint64_t get(_Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

void raft_log_stats(struct raft_log *log, struct raft_log_stats *ret_stats)
{
    struct raft_log_stats st = {
        .rounds = get(&log->st_rounds),
        .batches = get(&log->st_batches),
        .records = get(&log->st_records),
        .entries = get(&log->st_entries),
        .bytes = get(&log->st_bytes),
        .write_ns = get(&log->st_write_ns),
        .sync_ns = get(&log->st_sync_ns),
        .round_bytes_max = get(&log->st_round_max),
        .guest_rounds = get(&log->st_guest_rounds),
        .wakeups = get(&log->st_wakeups),
        .stalls = get(&log->st_stalls),
        .disk_full = get(&log->st_full),
        .disk_reads = get(&log->st_disk_reads),
        .cache_reads = get(&log->st_cache_reads),
        .cache_bytes = atomic_load_explicit(&log->cache_bytes, memory_order_relaxed),
        .groups = get(&log->group_count),
        .recovered_records = log->recovered_records,
        .cut_bytes = log->cut_bytes,
    };
    (void)pthread_mutex_lock(&log->seg_lock);
    st.segments_used = log->segment_count;
    st.segments_spare = log->ready_count;
    const struct list *lists[] = {&log->segments, &log->ready, &log->garbage};
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        LIST_FOREACH (n, lists[i]) {
            st.disk_bytes += CONTAINER_OF(n, struct log_segment, node)->size;
        }
    }
    if (!list_empty(&log->segments)) {
        st.oldest_segment = CONTAINER_OF(log->segments.next, struct log_segment, node)->no;
        st.newest_segment = CONTAINER_OF(log->segments.prev, struct log_segment, node)->no;
    }
    (void)pthread_mutex_unlock(&log->seg_lock);
    *ret_stats = st;
}
