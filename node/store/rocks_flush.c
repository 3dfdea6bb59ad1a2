/* Flushes and the upkeep thread.
 *
 * A flush has to take all families at once, or the applied index of a range could become durable
 * without the rows it speaks of. RocksDB does that by itself when a memtable is full
 * (atomic_flush), but its C API flushes one family only. A manual compaction whose keys are in a
 * memtable does flush all of them first, atomically: so a flush here writes a mark into the default
 * family, which holds nothing else, and compacts that one key.
 *
 * Garbage in a memtable: versions that GC may drop stay in a memtable until it is flushed, and
 * every scan steps over them. So scans report what they stepped over, and when since the last flush
 * they have paid about what a flush costs, the memtable is flushed, which leaves one version of
 * each row: at most twice the cost of an oracle that knew when to flush. The cost is mostly the
 * compaction that comes of it: every few flushes the files of level 0 are merged with the level
 * below, which for a small database is all of it, and what is read next is not in the cache. If
 * such a flush drops little (a snapshot protects the versions, or they are in files already), the
 * next one waits twice as long, but never so long that hot rows grow without bounds.
 *
 * One thread does the flushes, several requests by one flush, and drops idle iterators. It sleeps
 * without a time-out when there is nothing to do. */
#include "node/store/rocks_int.h"

#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/loop.h"

/* One attempt. *ret_durable tells whether the mark has reached the disk: the compaction itself
 * reports nothing. */
static db_err try_flush(struct rocks_engine *r, bool *ret_durable)
{
    static const char mark[] = "flush";
    uint8_t value[8];
    char *text = NULL;
    size_t len = 0;
    put_be64(value, ++r->flush_count);
    rocksdb_put_cf(r->db, r->write[1], r->meta, mark, sizeof(mark), (const char *)value,
                   sizeof(value), &text);
    if (text != NULL) {
        return rocks__err(text, NULL); /* a background error shows here */
    }
    rocksdb_compact_range_cf_opt(r->db, r->meta, r->compact_options, mark, sizeof(mark), mark,
                                 sizeof(mark));
    char *found =
        rocksdb_get_cf(r->db, r->read.persisted, r->meta, mark, sizeof(mark), &len, &text);
    if (text != NULL) {
        return rocks__err(text, NULL);
    }
    *ret_durable = found != NULL && len == sizeof(value) && memcmp(found, value, len) == 0;
    rocksdb_free(found);
    return ERR_OK;
}

/* A flush that meets the end of a recovery from a full disk does nothing and says nothing. */
enum { FLUSH_TRIES = 20, FLUSH_RETRY_MS = 100 };

db_err rocks__flush(struct rocks_engine *r)
{
    for (int i = 0; i < FLUSH_TRIES; i++) {
        bool durable = false;
        TRY(try_flush(r, &durable));
        if (durable) {
            return ERR_OK;
        }
        struct timespec pause = {.tv_nsec = FLUSH_RETRY_MS * (long)NS_PER_MS};
        (void)nanosleep(&pause, NULL);
    }
    return ERR_IO;
}

static void answer(struct engine_flush *list, db_err err)
{
    while (list != NULL) {
        struct engine_flush *next = list->next;
        list->fn(list, err);
        list = next;
    }
}

/* The request may have been answered meanwhile: see rocks__flush_told. */
static void serve(struct rocks_engine *r)
{
    db_err err = rocks__flush(r);
    if (err != ERR_OK) {
        atomic_store_explicit(&r->background_err, err, memory_order_relaxed);
    }
    pthread_mutex_lock(&r->mutex);
    struct engine_flush *list = r->served;
    r->served = NULL;
    pthread_mutex_unlock(&r->mutex);
    answer(list, err);
}

void rocks__flush_told(void *state, bool waits)
{
    struct rocks_engine *r = state;
    struct engine_flush *lists[2] = {NULL, NULL};
    pthread_mutex_lock(&r->mutex);
    ASSERT(waits || r->flush_waiters > 0);
    r->flush_waiters = waits ? r->flush_waiters + 1 : r->flush_waiters - 1;
    atomic_store_explicit(&r->flush_waits, r->flush_waiters != 0, memory_order_relaxed);
    if (waits) {
        lists[0] = r->served;
        lists[1] = r->flushes;
        r->served = r->flushes = NULL;
    }
    pthread_mutex_unlock(&r->mutex);
    answer(lists[0], ERR_DISK_FULL);
    answer(lists[1], ERR_DISK_FULL);
}

enum {
    STEPS_PER_ENTRY = 20,  /* an entry that is flushed or compacted, in steps of a scan */
    GC_ENTRIES_MIN = 2000, /* less is not worth a file */
    GC_USEFUL_PART = 8,    /* a flush was useful if it dropped one entry of so many */
    GC_PAUSE_S_MAX = 8,
};

void rocks__note_stepped(struct engine *e, uint64_t steps)
{
    struct rocks_engine *r = rocks_of(e);
    atomic_fetch_add_explicit(&r->stepped, steps, memory_order_relaxed);
    rocks__pool_touched(r); /* the thread looks once a second while anything is read */
}

/* What a flush of so many entries costs, in steps: theirs, and its share of the compaction of level
 * 0 into the next level, whose size is bounded. */
static uint64_t flush_cost(struct rocks_engine *r, uint64_t entries)
{
    rocksdb_column_family_handle_t *cf = r->cf[ENGINE_DATA];
    uint64_t all = rocks__property(r, cf, "rocksdb.estimate-num-keys");
    uint64_t size = rocks__property(r, cf, "rocksdb.live-sst-files-size");
    uint64_t below = all > entries ? all - entries : 0;
    if (size > ROCKS_BASE_SIZE) {
        below = (uint64_t)((double)below * ROCKS_BASE_SIZE / (double)size);
    }
    return (entries + below / ROCKS_L0_FILES) * STEPS_PER_ENTRY;
}

static void flush_garbage(struct rocks_engine *r, uint64_t now)
{
    uint64_t stepped = atomic_load_explicit(&r->stepped, memory_order_relaxed);
    if (stepped < GC_ENTRIES_MIN * STEPS_PER_ENTRY || now < r->gc_flush_next_ns) {
        return;
    }
    uint64_t entries =
        rocks__property(r, r->cf[ENGINE_DATA], "rocksdb.num-entries-active-mem-table");
    if (entries < GC_ENTRIES_MIN || stepped < flush_cost(r, entries)) {
        return;
    }
    uint64_t kept = atomic_load_explicit(&r->gc_flush_kept, memory_order_relaxed);
    db_err err = rocks__flush(r);
    if (err != ERR_OK) {
        atomic_store_explicit(&r->background_err, err, memory_order_relaxed);
    }
    kept = atomic_load_explicit(&r->gc_flush_kept, memory_order_relaxed) - kept;
    atomic_store_explicit(&r->stepped, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->gc_flushes, 1, memory_order_relaxed);
    if (err == ERR_OK && kept < entries - entries / GC_USEFUL_PART) {
        r->gc_flush_pause_ns = 0;
    } else {
        uint64_t pause = r->gc_flush_pause_ns * 2;
        r->gc_flush_pause_ns = pause == 0                          ? NS_PER_S
                               : pause > GC_PAUSE_S_MAX * NS_PER_S ? GC_PAUSE_S_MAX * NS_PER_S
                                                                   : pause;
    }
    r->gc_flush_next_ns = clock_mono_ns() + r->gc_flush_pause_ns;
}

static void wait_for_work(struct rocks_engine *r)
{
    if (!atomic_load_explicit(&r->pool_used, memory_order_relaxed)) {
        pthread_cond_wait(&r->cond, &r->mutex);
        return;
    }
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += 1;
    (void)pthread_cond_timedwait(&r->cond, &r->mutex, &at);
}

static void *upkeep_main(void *arg)
{
    struct rocks_engine *r = arg;
    uint64_t trimmed_ns = clock_mono_ns();
    pthread_mutex_lock(&r->mutex);
    while (!r->stop || r->flushes != NULL) {
        if (r->flushes == NULL) {
            wait_for_work(r);
        }
        r->served = r->flushes;
        r->flushes = NULL;
        bool asked = r->served != NULL;
        pthread_mutex_unlock(&r->mutex);
        if (asked) {
            serve(r);
        }
        uint64_t now = clock_mono_ns();
        if (now - trimmed_ns >= ITER_IDLE_NS_MAX) {
            trimmed_ns = now;
            atomic_store_explicit(&r->pool_used, false, memory_order_relaxed);
            rocks__iter_trim(r, now - ITER_IDLE_NS_MAX);
            flush_garbage(r, now);
        }
        pthread_mutex_lock(&r->mutex);
    }
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

void rocks__pool_touched(struct rocks_engine *r)
{
    if (LIKELY(atomic_load_explicit(&r->pool_used, memory_order_relaxed)) || r->manual) {
        return;
    }
    if (!atomic_exchange_explicit(&r->pool_used, true, memory_order_relaxed)) {
        pthread_mutex_lock(&r->mutex);
        pthread_cond_signal(&r->cond);
        pthread_mutex_unlock(&r->mutex);
    }
}

/* ---- without a thread ---- */

struct flush_task {
    struct loop_task task;
    struct rocks_engine *engine;
    struct engine_flush *flush;
};

static void serve_now(struct rocks_engine *r, struct engine_flush *f)
{
    pthread_mutex_lock(&r->mutex);
    f->next = r->served;
    r->served = f;
    pthread_mutex_unlock(&r->mutex);
    serve(r);
}

static void on_flush_task(struct loop_task *task)
{
    struct flush_task *t = CONTAINER_OF(task, struct flush_task, task);
    serve_now(t->engine, t->flush);
    rocks__iter_trim(t->engine, clock_mono_ns());
    mem_free(t);
}

static void flush_manual(struct rocks_engine *r, struct engine_flush *f)
{
    struct loop *loop = loop_current();
    struct flush_task *t = loop == NULL ? NULL : mem_alloc(sizeof(*t));
    f->next = NULL;
    if (loop == NULL) {
        serve_now(r, f);
    } else if (t == NULL) {
        f->fn(f, ERR_NOMEM);
    } else {
        *t = (struct flush_task){.task.fn = on_flush_task, .engine = r, .flush = f};
        loop_post(loop, &t->task);
    }
}

void rocks__flush_async(struct engine *e, struct engine_flush *f)
{
    struct rocks_engine *r = rocks_of(e);
    if (r->manual) {
        flush_manual(r, f);
        return;
    }
    pthread_mutex_lock(&r->mutex);
    bool waits = atomic_load_explicit(&r->flush_waits, memory_order_relaxed) && !r->hurry;
    if (!waits) {
        f->next = r->flushes;
        r->flushes = f;
        pthread_cond_signal(&r->cond);
    }
    pthread_mutex_unlock(&r->mutex);
    if (waits) {
        f->fn(f, ERR_DISK_FULL);
    }
}

void rocks__hurry(struct engine *e)
{
    struct rocks_engine *r = rocks_of(e);
    pthread_mutex_lock(&r->mutex);
    r->hurry = true;
    pthread_mutex_unlock(&r->mutex);
    rocks_disk_stop(r->disk);
}

db_err rocks__upkeep_start(struct rocks_engine *r)
{
    if (r->manual) {
        return ERR_OK;
    }
    if (pthread_create(&r->upkeep, NULL, upkeep_main, r) != 0) {
        return ERR_NOMEM;
    }
    r->upkeep_started = true;
    return ERR_OK;
}

void rocks__upkeep_stop(struct rocks_engine *r)
{
    if (!r->upkeep_started) {
        return;
    }
    pthread_mutex_lock(&r->mutex);
    r->stop = true;
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->mutex);
    pthread_join(r->upkeep, NULL);
    r->upkeep_started = false;
}
