/* Deleted ranges, and why the cached tier does not look while there are any.
 *
 * An iterator that may not read from the disk fails with "incomplete" when a block is not in the
 * cache. An iterator of RocksDB 7.8 that minds deleted ranges forgets that failure: it skips from a
 * key that is covered to the end of the deletion, seeks the deeper levels again, and begins that
 * with a fresh status; and each file of a level ends with a mark, so that its deletions are known
 * to end there, behind which the level goes on to its next file without being asked for its status,
 * whether there are deletions or not. What the failed level holds is then missing from the result,
 * and nobody is told: rows that are there are not found, or older versions of them are.
 *
 * So iterators of the cached tier do not mind deleted ranges (rocks_options.c), and as long as a
 * memtable or a file may hold one they answer ERR_WOULD_BLOCK: every read is made where it may
 * block. Few deletions come here: of small ranges each key is deleted (rocks_batch.c). And they go
 * soon: a thread flushes and compacts the files that hold them, all the way down, where nothing is
 * left for them to hide. It waits for a moment without new ones, and longer when a pass has left
 * some over (a snapshot holds them). One that is announced may take its time until it is written,
 * while RocksDB stalls writes: a pass that finds none says nothing about it.
 *
 * The other tier may block, and fails only when the disk does. */
#include "node/store/rocks_int.h"

#include <time.h>

#include "base/assert.h"
#include "base/clock.h"

enum { QUIET_MS = 100, PAUSE_MS_MAX = 60000, POSTPONED_MAX = 20 };

static uint64_t count(struct rocks_engine *r, bool compact)
{
    uint64_t n = 0;
    for (size_t i = 0; i < ENGINE_CF_COUNT; i++) {
        n += rocks_shim_range_deletions(r->db, r->cf[i], compact);
    }
    return n;
}

void rocks__range_deletion_begin(struct rocks_engine *r)
{
    pthread_mutex_lock(&r->sweep_mutex);
    r->ranges_coming++;
    atomic_store_explicit(&r->ranges_deleted, true, memory_order_release);
    pthread_mutex_unlock(&r->sweep_mutex);
}

void rocks__range_deletion_end(struct rocks_engine *r)
{
    pthread_mutex_lock(&r->sweep_mutex);
    ASSERT(r->ranges_coming > 0);
    r->ranges_coming--;
    r->range_deletions++;
    pthread_cond_signal(&r->sweep_cond);
    pthread_mutex_unlock(&r->sweep_mutex);
}

/* Under the mutex. */
static void nap(struct rocks_engine *r, uint64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t ns = (uint64_t)at.tv_nsec + ms * NS_PER_MS;
    at.tv_sec += (time_t)(ns / NS_PER_S);
    at.tv_nsec = (long)(ns % NS_PER_S);
    while (!r->sweep_stop && pthread_cond_timedwait(&r->sweep_cond, &r->sweep_mutex, &at) == 0) {
    }
}

static void *sweep_main(void *arg)
{
    struct rocks_engine *r = arg;
    uint64_t pause = QUIET_MS;
    unsigned postponed = 0;
    pthread_mutex_lock(&r->sweep_mutex);
    while (!r->sweep_stop) {
        if (!atomic_load_explicit(&r->ranges_deleted, memory_order_relaxed)) {
            pthread_cond_wait(&r->sweep_cond, &r->sweep_mutex);
            continue;
        }
        uint64_t seen = r->range_deletions;
        nap(r, pause);
        if (r->sweep_stop || (seen != r->range_deletions && postponed++ < POSTPONED_MAX)) {
            continue;
        }
        postponed = 0;
        seen = r->range_deletions;
        pthread_mutex_unlock(&r->sweep_mutex);
        db_err err = engine_flush_wait(&r->base);
        uint64_t left = err == ERR_OK && count(r, true) == 0 ? 0 : count(r, false);
        pthread_mutex_lock(&r->sweep_mutex);
        if (err == ERR_OK && left == 0 && seen == r->range_deletions && r->ranges_coming == 0) {
            atomic_store_explicit(&r->ranges_deleted, false, memory_order_release);
        }
        pause = err == ERR_OK && left == 0 ? QUIET_MS : pause * 2;
        pause = pause > PAUSE_MS_MAX ? PAUSE_MS_MAX : pause;
    }
    pthread_mutex_unlock(&r->sweep_mutex);
    return NULL;
}

db_err rocks__sweep_start(struct rocks_engine *r)
{
    atomic_store_explicit(&r->ranges_deleted, count(r, false) != 0, memory_order_release);
    if (r->manual) {
        return ERR_OK;
    }
    if (pthread_create(&r->sweeper, NULL, sweep_main, r) != 0) {
        return ERR_NOMEM;
    }
    r->sweeper_started = true;
    return ERR_OK;
}

void rocks__sweep_stop(struct rocks_engine *r)
{
    if (!r->sweeper_started) {
        return;
    }
    pthread_mutex_lock(&r->sweep_mutex);
    r->sweep_stop = true;
    pthread_cond_signal(&r->sweep_cond);
    pthread_mutex_unlock(&r->sweep_mutex);
    rocksdb_disable_manual_compaction(r->db);
    pthread_join(r->sweeper, NULL);
    r->sweeper_started = false;
    rocksdb_enable_manual_compaction(r->db); /* the last flush is one */
}
