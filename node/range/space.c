#include "node/range/space.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/disk.h"
#include "base/log.h"
#include "node/log/limits.h"
#include "node/range/range_int.h"

/* A full disk is met before it is full.
 *
 * What has been given to the log can be neither taken back nor answered with certainty before it is
 * durable and applied. So new writes are refused while there still is room to finish those on their
 * way: their bytes fit the log's prepared segments, and a flush of the engine, without which it
 * would take no more batches, fits what is kept back. A fiber looks at the free space a few times a
 * second; it is one system call.
 *
 * The space can also be taken by others, down to nothing. For that there is the ballast, a file of
 * no use but its size. It is removed when there is less than a flush needs, which lets the engine
 * finish and the log give segments back, and made again when there is plenty.
 *
 * By size of the file system: writes stop below 1/16 (at least what a segment and a flush take, at
 * most 1 GiB), and go on above 5/4 of that. A memtable is at most 1/32 (8 to 128 MiB): RocksDB
 * comes back from a full disk only when one fits the free space. */

enum { SPACE_MIB = 1 << 20, SPACE_START_MIN = 4 << 20 };

static uint64_t between(uint64_t n, uint64_t least, uint64_t most)
{
    return n < least ? least : n > most ? most : n;
}

void space_plan_make(uint64_t disk_size, uint64_t segment_size, struct space_plan *ret_plan)
{
    struct space_plan p;
    segment_size = segment_size != 0 ? segment_size : LOG_SEGMENT_SIZE_DEFAULT;
    p.memtable = between(disk_size / 32, 8 * SPACE_MIB, 128 * SPACE_MIB);
    p.log_size = between(disk_size / 8, 16 * SPACE_MIB, LOG_SIZE_MAX_DEFAULT);
    p.keep_free = p.memtable + p.memtable / 2;
    p.refuse_at = between(disk_size / 16, p.keep_free + segment_size, 1024ull * SPACE_MIB);
    p.ballast = p.memtable + p.memtable / 2;
    p.release_at = p.memtable;
    *ret_plan = p;
}

enum { SPACE_PATH_MAX = 640 };

static db_err ballast_path(const char *dir, char *path)
{
    int n = snprintf(path, SPACE_PATH_MAX, "%s/ballast", dir);
    return n < 0 || n >= SPACE_PATH_MAX ? ERR_LIMIT : ERR_OK;
}

db_err space_prepare(const char *dir, uint64_t segment_size, struct diag *diag,
                     struct space_plan *ret_plan)
{
    char path[SPACE_PATH_MAX];
    struct space_plan plan;
    uint64_t space;
    uint64_t total;
    TRY(ballast_path(dir, path));
    TRY(disk_space(disk_real(), dir, &space, &total));
    space_plan_make(total, segment_size, &plan);
    if (space < plan.release_at && disk_unlink(disk_real(), path) == ERR_OK) {
        LOG_WARN("range.ballast.released", F_U64("free", space));
        TRY(disk_space(disk_real(), dir, &space, &total));
    }
    if (space < SPACE_START_MIN) { /* RocksDB may end the process when it cannot write on opening */
        return diag_set(diag, ERR_DISK_FULL,
                        "no space left for %.200s: %llu bytes are free, a start needs %d", dir,
                        (unsigned long long)space, SPACE_START_MIN);
    }
    *ret_plan = plan;
    return ERR_OK;
}

/* ---- refusing ---- */

db_err space_refuse(struct diag *diag)
{
    return diag_set(diag, ERR_DISK_FULL,
                    "the disk is full: writes are refused until space is free");
}

void range_store_set_full(struct range_store *rs, enum full_reason why, bool full)
{
    unsigned bit = (unsigned)why;
    if (((atomic_load_explicit(&rs->disk_full, memory_order_relaxed) & bit) != 0) == full) {
        return;
    }
    unsigned before =
        full ? atomic_fetch_or(&rs->disk_full, bit) : atomic_fetch_and(&rs->disk_full, ~bit);
    if (full && before == 0) {
        LOG_WARN("range.disk.full", F_STR("effect", "writes are refused or wait, reads go on"),
                 F_U64("free", atomic_load(&rs->space_free)));
    } else if (!full && before == bit) {
        LOG_INFO("range.disk.free");
    }
}

void space_note(struct range_store *rs)
{
    range_store_set_full(rs, FULL_KEPT,
                         raft_log_low(rs->opts.log) || engine_flush_waits(rs->opts.engine));
}

bool range_store_disk_full(const struct range_store *rs)
{
    return atomic_load_explicit(&rs->disk_full, memory_order_relaxed) != 0;
}

/* ---- the watch ---- */

struct look {
    struct range_store *rs;
    db_err err;
};

static void make_ballast(struct range_store *rs, const char *path)
{
    struct disk_file *file;
    if (disk_open(disk_real(), path, DISK_WRITE | DISK_CREATE, &file) != ERR_OK) {
        return;
    }
    db_err err = disk_allocate(file, 0, rs->opts.space.ballast);
    disk_close(file);
    if (err != ERR_OK) { /* later; half a ballast is none */
        err = disk_unlink(disk_real(), path);
    }
    rs->ballast = err == ERR_OK;
}

static void keep_ballast(struct range_store *rs, uint64_t space)
{
    const struct space_plan *plan = &rs->opts.space;
    char path[SPACE_PATH_MAX];
    if (ballast_path(rs->opts.data_dir, path) != ERR_OK) {
        return;
    }
    if (rs->ballast && space < plan->release_at) {
        db_err err = disk_unlink(disk_real(), path);
        rs->ballast = false;
        LOG_WARN("range.ballast.released", F_U64("free", space), F_ERR(err));
    } else if (!rs->ballast && space > 2 * plan->refuse_at + plan->ballast) {
        make_ballast(rs, path);
    }
}

static void look_job(void *arg)
{
    struct look *k = arg;
    uint64_t space;
    uint64_t total;
    k->err = disk_space(disk_real(), k->rs->opts.data_dir, &space, &total);
    if (k->err != ERR_OK) {
        return;
    }
    atomic_store(&k->rs->space_free, space);
    keep_ballast(k->rs, space);
}

bool space_to_refuse(const struct space_plan *plan, uint64_t space, bool refuse)
{
    return space < plan->refuse_at || (refuse && space <= plan->refuse_at + plan->refuse_at / 4);
}

static void watch_round(void *arg)
{
    struct range_store *rs = arg;
    const struct space_plan *plan = &rs->opts.space;
    struct look k = {.rs = rs};
    blocking_run(look_job, &k);
    space_note(rs);
    if (k.err != ERR_OK) {
        return; /* who cannot ask goes by what the log and the engine say */
    }
    uint64_t space = atomic_load(&rs->space_free);
    bool refuse = (atomic_load(&rs->disk_full) & FULL_SOON) != 0;
    range_store_set_full(rs, FULL_SOON, space_to_refuse(plan, space, refuse));
}

/* Twice what it takes: a RocksDB built with assertions may end the process when it meets the end of
 * the disk in the middle of one. */
bool space_for_flush(const struct range_store *rs)
{
    return rs->opts.data_dir == NULL || atomic_load(&rs->space_free) >= 2 * rs->opts.space.memtable;
}

static bool ballast_there(const struct range_store *rs)
{
    char path[SPACE_PATH_MAX];
    struct disk_file *file;
    uint64_t size = 0;
    if (ballast_path(rs->opts.data_dir, path) != ERR_OK ||
        disk_open(disk_real(), path, DISK_WRITE, &file) != ERR_OK) {
        return false;
    }
    db_err err = disk_size(file, &size);
    disk_close(file);
    return err == ERR_OK && size >= rs->opts.space.ballast;
}

db_err space_start(struct range_store *rs)
{
    if (rs->opts.data_dir == NULL) {
        return ERR_OK;
    }
    ASSERT(rs->opts.space.refuse_at != 0);
    rs->ballast = ballast_there(rs);
    watch_round(rs);
    return periodic_start(&rs->space_watch, rs->loops[0].loop, SPACE_WATCH_NS, watch_round, rs);
}

void space_stop(struct range_store *rs)
{
    periodic_stop(&rs->space_watch);
}
