/* Segments: files of a fixed size, made ready ahead of the writer.
 *
 * A commit must not pay for growing a file: new blocks, a new size, a new name each cost a journal
 * commit of the file system. So a preparer thread keeps a few segments ready: blocks allocated and
 * written once (a first write into allocated but unwritten blocks costs a journal commit too),
 * header written, name and content synced. The writer only ever overwrites. A dropped segment
 * becomes a ready one with a new number and a new header; its old bytes stay and are told from new
 * records by the checksum's salt.
 *
 * Two of the ready segments are kept back when the disk has not much space. Entries then wait for
 * the preparer rather than take one of them; only when the disk is known to be full (raft_log_low
 * then tells: nothing new) may those that were on their way fill one, so that they end with an
 * outcome. The last one is the reserve, never for entries: compactions, hard states and removals
 * still find room there, and they are what frees old segments, which are then recycled: the log
 * gets out of a full disk without help. It is also what a start on a full disk needs.
 *
 * The order of the steps makes every crash harmless: a file gets its new name (synced) before its
 * new header; a file whose header does not fit its name and that holds no record of that number was
 * never used. Removals are synced one by one, oldest first, so that what remains after a crash is
 * never a log with a hole. */
#include "node/log/log_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"

void log__segment_path(const struct raft_log *log, uint64_t no, char *path)
{
    (void)snprintf(path, DISK_PATH_MAX, "%s/%016" PRIx64 ".seg", log->dir, no);
}

db_err log__segment_new(uint64_t no, struct disk_file *file, uint64_t size,
                        struct log_segment **ret_seg)
{
    struct log_segment *seg = mem_calloc(1, sizeof(*seg));
    if (seg == NULL) {
        return ERR_NOMEM;
    }
    list_init(&seg->node);
    list_init(&seg->entry_groups);
    list_init(&seg->state_groups);
    atomic_init(&seg->refs, 1);
    atomic_init(&seg->used, LOG_DATA_START);
    seg->no = no;
    seg->files[0] = file;
    seg->size = size;
    *ret_seg = seg;
    return ERR_OK;
}

void log__segment_unref(struct log_segment *seg)
{
    if (atomic_fetch_sub_explicit(&seg->refs, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < LOG_HANDLES_MAX; i++) {
            disk_close(seg->files[i]);
        }
        disk_close(seg->direct);
        mem_free(seg);
    }
}

db_err log__segment_handles(struct raft_log *log, struct log_segment *seg)
{
    char path[DISK_PATH_MAX];
    log__segment_path(log, seg->no, path);
    size_t handles = log->opts.manual ? 1 : log->opts.writers + 1; /* the last one for guests */
    for (size_t i = 1; i < handles; i++) {
        if (seg->files[i] == NULL) {
            TRY(disk_open(log->opts.disk, path, DISK_WRITE, &seg->files[i]));
        }
    }
    if (seg->direct == NULL) {
        db_err err = disk_open(log->opts.disk, path, DISK_WRITE | DISK_DIRECT, &seg->direct);
        return err == ERR_INVALID ? ERR_OK : err;
    }
    return ERR_OK;
}

static db_err write_header(const struct raft_log *log, struct disk_file *file, uint64_t no,
                           uint64_t size)
{
    uint8_t page[LOG_DATA_START] = {0};
    struct log_seg_header h = {
        .version = LOG_FORMAT_VERSION, .log_id = log->log_id, .no = no, .size = size};
    memcpy(h.magic, LOG_SEG_MAGIC, sizeof(h.magic));
    h.crc = crc32c(0, (const uint8_t *)&h + 4, sizeof(h) - 4);
    memcpy(page, &h, sizeof(h));
    TRY(disk_pwrite(file, page, sizeof(page), 0));
    return disk_sync(file);
}

db_err log__segment_header(struct raft_log *log, struct log_segment *seg)
{
    return write_header(log, seg->files[0], seg->no, seg->size);
}

/* Synced step by step: one flush of a whole segment would stand before the commits in the disk's
 * queue. */
static db_err write_zeros(struct disk_file *file, uint64_t size)
{
    uint8_t *zeros = mem_calloc(1, LOG_ZERO_CHUNK);
    if (zeros == NULL) {
        return ERR_NOMEM;
    }
    db_err err = ERR_OK;
    for (uint64_t off = 0; off < size && err == ERR_OK; off += LOG_ZERO_CHUNK) {
        uint64_t rest = size - off;
        err = disk_pwrite(file, zeros, rest < LOG_ZERO_CHUNK ? rest : LOG_ZERO_CHUNK, off);
        err = err == ERR_OK ? disk_sync(file) : err;
    }
    mem_free(zeros);
    return err;
}

/* Would a new segment take what is to be left to others? */
static db_err check_space(const struct raft_log *log)
{
    uint64_t space;
    uint64_t total;
    if (log->opts.keep_free == 0) {
        return ERR_OK;
    }
    TRY(disk_space(log->opts.disk, log->dir, &space, &total));
    return space < log->opts.keep_free + log->opts.segment_size ? ERR_DISK_FULL : ERR_OK;
}

static db_err segment_create(struct raft_log *log, uint64_t no, bool needed,
                             struct log_segment **ret_seg)
{
    char path[DISK_PATH_MAX];
    uint64_t size = log->opts.segment_size;
    struct disk *disk = log->opts.disk;
    struct disk_file *file = NULL;
    struct log_segment *seg = NULL;
    log__segment_path(log, no, path);
    if (!needed) {
        TRY(check_space(log));
    }
    TRY(disk_open(disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file));
    db_err err;
    TRY_GOTO(disk_allocate(file, 0, size), out);
    TRY_GOTO(write_zeros(file, size), out);
    TRY_GOTO(write_header(log, file, no, size), out);
    TRY_GOTO(disk_sync_dir(disk, log->dir), out);
    TRY_GOTO(log__segment_new(no, file, size, &seg), out);
    TRY_GOTO(log__segment_handles(log, seg), out);
    *ret_seg = seg;
    return ERR_OK;
out:
    if (seg != NULL) {
        log__segment_unref(seg); /* closes the file */
    } else {
        disk_close(file);
    }
    /* A half-made file is recognised as such at the next open; removing it gives the space back
     * now. */
    (void)err_first(ERR_OK, disk_unlink(disk, path));
    return err;
}

/* The old file under a new number. On failure it is gone, or stays under the old one; the segment
 * is closed by the caller. */
static db_err segment_recycle(struct raft_log *log, struct log_segment *seg, uint64_t no)
{
    char from[DISK_PATH_MAX];
    char to[DISK_PATH_MAX];
    log__segment_path(log, seg->no, from);
    log__segment_path(log, no, to);
    TRY(disk_rename(log->opts.disk, from, to));
    db_err err;
    TRY_GOTO(disk_sync_dir(log->opts.disk, log->dir), out);
    TRY_GOTO(write_header(log, seg->files[0], no, seg->size), out);
    seg->no = no;
    TRY_GOTO(log__segment_handles(log, seg), out);
    seg->first_seq = 0;
    atomic_store_explicit(&seg->used, LOG_DATA_START, memory_order_relaxed);
    return ERR_OK;
out:
    (void)err_first(ERR_OK, disk_unlink(log->opts.disk, to)); /* else the next open finds it */
    return err;
}

static void segment_remove(struct raft_log *log, struct log_segment *seg)
{
    char path[DISK_PATH_MAX];
    log__segment_path(log, seg->no, path);
    /* A file that cannot be removed costs space only: its records are superseded by those in later
     * segments. */
    db_err err = disk_unlink(log->opts.disk, path);
    err = err_first(err, disk_sync_dir(log->opts.disk, log->dir));
    (void)err;
    log__segment_unref(seg);
}

static unsigned ready_target(const struct raft_log *log)
{
    return log->opts.spare_segments + 1;
}

/* Ready segments that are not for new entries. */
static unsigned kept(const struct raft_log *log)
{
    return log->opts.spare_segments < 2 ? log->opts.spare_segments : 2;
}

/* seg_lock held. */
static void tell_low(struct raft_log *log)
{
    bool low = log->ready_state == LOG_READY_FULL && log->ready_count <= kept(log);
    atomic_store_explicit(&log->low, low, memory_order_relaxed);
}

static void ready_set(struct raft_log *log, db_err err)
{
    if (err == ERR_OK) {
        log->ready_state = LOG_READY_OK;
    } else if (err == ERR_DISK_FULL || err == ERR_NOMEM) {
        log->ready_state = LOG_READY_FULL;
    } else {
        log->ready_state = LOG_READY_FAILED;
    }
    tell_low(log);
    (void)pthread_cond_broadcast(&log->seg_ready);
}

/* Numbers are given in the order in which segments become ready. */
static void ready_add(struct raft_log *log, struct log_segment *seg)
{
    list_push_back(&log->ready, &seg->node);
    log->ready_count++;
}

bool log__prepare_step(struct raft_log *log)
{
    if (log->prep_busy) {
        return false;
    }
    bool wanted = log->ready_count < ready_target(log);
    struct list *node = list_pop_front(&log->garbage);
    struct log_segment *seg = node == NULL ? NULL : CONTAINER_OF(node, struct log_segment, node);
    if (seg == NULL && (!wanted || log->ready_state == LOG_READY_FAILED)) {
        return false;
    }
    bool recycle = seg != NULL && wanted && seg->size == log->opts.segment_size &&
                   atomic_load_explicit(&seg->refs, memory_order_acquire) == 1;
    bool make = recycle || seg == NULL;
    bool needed = log->active == NULL && log->ready_count == 0; /* or the log does not open */
    uint64_t no = make ? log->next_no++ : 0;
    log->prep_busy = true;
    (void)pthread_mutex_unlock(&log->seg_lock);
    db_err err = ERR_OK;
    if (!make) {
        segment_remove(log, seg);
    } else if (recycle) {
        err = segment_recycle(log, seg, no);
        if (err != ERR_OK) {
            log__segment_unref(seg);
        }
    } else {
        err = segment_create(log, no, needed, &seg);
    }
    (void)pthread_mutex_lock(&log->seg_lock);
    log->prep_busy = false;
    if (make) {
        if (err == ERR_OK) {
            ready_add(log, seg);
        }
        ready_set(log, err);
    }
    return err == ERR_OK;
}

void *log__prepare_main(void *arg)
{
    struct raft_log *log = arg;
    (void)pthread_mutex_lock(&log->seg_lock);
    while (!log->prep_stop) {
        if (log__prepare_step(log) || log->prep_stop) { /* told while the lock was released */
            continue;
        }
        if (log->ready_state == LOG_READY_FULL) {
            struct timespec until;
            (void)clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_nsec += LOG_FULL_RETRY_MS * 1000000L;
            until.tv_sec += until.tv_nsec / 1000000000L;
            until.tv_nsec %= 1000000000L;
            (void)pthread_cond_timedwait(&log->seg_wake, &log->seg_lock, &until);
        } else {
            (void)pthread_cond_wait(&log->seg_wake, &log->seg_lock);
        }
    }
    (void)pthread_mutex_unlock(&log->seg_lock);
    return NULL;
}

/* So much space that whoever takes a segment now has all of it before the disk can be full. */
static bool has_plenty(const struct raft_log *log)
{
    uint64_t space;
    uint64_t total;
    return disk_space(log->opts.disk, log->dir, &space, &total) != ERR_OK ||
           space >= log->opts.keep_free + 4 * log->opts.segment_size;
}

/* seg_lock held. */
static bool may_take(const struct raft_log *log, bool append, bool plenty)
{
    unsigned keep = log->ready_state == LOG_READY_FULL ? 1 : plenty ? 0 : kept(log);
    return log->ready_count > (append ? keep : 0);
}

db_err log__segment_roll(struct raft_log *log, bool append)
{
    bool stalled = false;
    bool plenty = append && has_plenty(log);
    db_err err = ERR_OK;
    (void)pthread_mutex_lock(&log->seg_lock);
    while (!may_take(log, append, plenty) && err == ERR_OK) {
        stalled = true;
        bool alone = log->opts.manual || log->prep_stop;
        if (alone) {
            bool more = log__prepare_step(log);
            if (more || may_take(log, append, plenty)) {
                continue;
            }
        }
        if (log->ready_state == LOG_READY_FULL) {
            err = ERR_DISK_FULL;
        } else if (log->ready_state == LOG_READY_FAILED) {
            err = ERR_IO;
        } else if (!alone) {
            (void)pthread_cond_signal(&log->seg_wake);
            (void)pthread_cond_wait(&log->seg_ready, &log->seg_lock);
        }
    }
    if (err == ERR_OK) {
        log->active_reserve = log->ready_state == LOG_READY_FULL && log->ready_count == 1;
        struct list *node = list_pop_front(&log->ready);
        log->ready_count--;
        tell_low(log);
        log->active = CONTAINER_OF(node, struct log_segment, node);
        list_push_back(&log->segments, node);
        log->segment_count++;
        (void)pthread_cond_signal(&log->seg_wake);
    }
    (void)pthread_mutex_unlock(&log->seg_lock);
    if (stalled) {
        atomic_fetch_add_explicit(&log->st_stalls, 1, memory_order_relaxed);
    }
    return err;
}

bool log__segment_may_append(struct raft_log *log)
{
    if (log->active_reserve) {
        (void)pthread_mutex_lock(&log->seg_lock);
        if (log->ready_state != LOG_READY_FULL || log->ready_count > 0) {
            log->active_reserve = false;
        }
        (void)pthread_mutex_unlock(&log->seg_lock);
    }
    return !log->active_reserve;
}

bool raft_log_low(const struct raft_log *log)
{
    return atomic_load_explicit(&log->low, memory_order_relaxed);
}
