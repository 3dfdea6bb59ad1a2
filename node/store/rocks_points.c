/* What garbage collection has been told, over restarts.
 *
 * A reader below the safe point that is not listed has to hear that versions may be missing
 * (engine_may_read). Who knows the safe point tells it to a node that has started a moment later at
 * the earliest, and by then files without those versions may be read for long. So the points by
 * which versions are dropped are written down before the first one is, in a file beside RocksDB's
 * own, and an engine begins with those that it finds.
 *
 * Only what is written down is gone by: when that fails, on a full disk for one, garbage collection
 * goes on with the points of the last time. They keep more, and never what they should not: a
 * reader that is allowed now was allowed then, or is above the safe point of then.
 *
 * Whoever gets a copy of a range from another engine does not have, either, what was dropped there:
 * it goes by both from then on.
 *
 * The file is replaced as a whole, by rename: a name, the safe point, the number of snapshots and
 * the snapshots (8 bytes each, big-endian), and the checksum of all that (crc32c, 4 bytes). */
#include "node/store/rocks_int.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/disk.h"

#define POINTS_FILE "GC_POINTS"

enum { NAME_SIZE = 8, HEAD_SIZE = NAME_SIZE + 8 + 8, CRC_SIZE = 4, FILE_MAX = 64 << 20 };

static const char file_name[NAME_SIZE] = "skeingc1";

static db_err put_u64(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];
    put_be64(bytes, v);
    return buf_append(b, bytes, sizeof(bytes));
}

static db_err encode(struct buf *b, uint64_t safe_point, const uint64_t *points, size_t count)
{
    TRY(buf_append(b, file_name, NAME_SIZE));
    TRY(put_u64(b, safe_point));
    TRY(put_u64(b, count));
    for (size_t i = 0; i < count; i++) {
        TRY(put_u64(b, points[i]));
    }
    uint32_t crc = __builtin_bswap32(crc32c(0, b->ptr, b->len));
    return buf_append(b, &crc, CRC_SIZE);
}

static db_err path_of(const char *dir, const char *suffix, char out[DISK_PATH_MAX])
{
    int n = snprintf(out, DISK_PATH_MAX, "%s/" POINTS_FILE "%s", dir, suffix);
    return n > 0 && n < DISK_PATH_MAX ? ERR_OK : ERR_INVALID;
}

static db_err write_file(const char *path, struct slice content)
{
    struct disk_file *file;
    TRY(disk_open(disk_real(), path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file));
    db_err err = disk_pwrite(file, content.ptr, content.len, 0);
    err = err == ERR_OK ? disk_sync(file) : err;
    disk_close(file);
    return err;
}

static db_err save(const char *dir, uint64_t safe_point, const uint64_t *points, size_t count)
{
    char path[DISK_PATH_MAX];
    char fresh[DISK_PATH_MAX];
    struct buf b;
    TRY(path_of(dir, "", path));
    TRY(path_of(dir, ".new", fresh));
    buf_init(&b, FILE_MAX);
    db_err err = encode(&b, safe_point, points, count);
    err = err == ERR_OK ? write_file(fresh, buf_slice(&b)) : err;
    err = err == ERR_OK ? disk_rename(disk_real(), fresh, path) : err;
    err = err == ERR_OK ? disk_sync_dir(disk_real(), dir) : err;
    buf_fini(&b);
    return err;
}

db_err rocks__points_keep(struct rocks_engine *r)
{
    pthread_mutex_lock(&r->gc_mutex);
    uint64_t safe_point = atomic_load_explicit(&r->safe_point, memory_order_relaxed);
    size_t count = r->gc_point_count;
    size_t size = count * sizeof(uint64_t);
    bool same = safe_point == r->kept_safe_point && count == r->kept_count &&
                (count == 0 || memcmp(r->gc_points, r->kept_points, size) == 0);
    uint64_t *copy = same || count == 0 ? NULL : mem_alloc(size);
    if (copy != NULL) {
        memcpy(copy, r->gc_points, size);
    }
    pthread_mutex_unlock(&r->gc_mutex);
    db_err err = same || count == 0 || copy != NULL ? ERR_OK : ERR_NOMEM;
    err = err == ERR_OK && !same ? save(r->path, safe_point, copy, count) : err;
    if (same || err != ERR_OK) {
        mem_free(copy);
        return err;
    }
    mem_free(r->kept_points);
    r->kept_points = copy;
    r->kept_count = count;
    r->kept_safe_point = safe_point;
    return ERR_OK;
}

db_err rocks__gone_points(struct engine *e, struct arena *arena, struct engine_points *ret_points)
{
    struct rocks_engine *r = rocks_of(e);
    pthread_mutex_lock(&r->kept_mutex);
    uint64_t *copy = ARENA_ARRAY(arena, uint64_t, r->kept_count);
    if (copy != NULL && r->kept_count != 0) {
        memcpy(copy, r->kept_points, r->kept_count * sizeof(*copy));
    }
    *ret_points = (struct engine_points){r->kept_safe_point, copy, r->kept_count};
    pthread_mutex_unlock(&r->kept_mutex);
    return copy == NULL ? ERR_NOMEM : ERR_OK;
}

/* ---- of two engines ---- */

/* Under gc_mutex: which of the listed snapshots may be read in both. Ascending, each once. */
static size_t common(const struct rocks_engine *r, const struct engine_points *p, uint64_t *out)
{
    size_t own = 0, other = 0, n = 0;
    while (own < r->gc_point_count || other < p->count) {
        bool take_own = other == p->count ||
                        (own < r->gc_point_count && r->gc_points[own] <= p->snapshots[other]);
        bool both = take_own && other < p->count && r->gc_points[own] == p->snapshots[other];
        uint64_t ts = take_own ? r->gc_points[own++] : p->snapshots[other++];
        bool there = both || !take_own || ts >= p->safe_point;
        bool again = n != 0 && out[n - 1] == ts;
        if (there && !again && rocks__may_read_locked(r, ts)) {
            out[n++] = ts;
        }
    }
    return n;
}

/* Under gc_mutex. What a listed snapshot at or above the new safe point is, need not be listed. */
static void join(struct rocks_engine *r, const struct engine_points *p, uint64_t *points)
{
    uint64_t safe_point = atomic_load_explicit(&r->safe_point, memory_order_relaxed);
    size_t n = common(r, p, points);
    safe_point = safe_point > p->safe_point ? safe_point : p->safe_point;
    while (n != 0 && points[n - 1] >= safe_point) {
        n--;
    }
    mem_free(r->gc_points);
    r->gc_points = points;
    r->gc_point_count = n;
    atomic_store_explicit(&r->safe_point, safe_point, memory_order_release);
}

db_err rocks__join_points(struct engine *e, const struct engine_points *points)
{
    struct rocks_engine *r = rocks_of(e);
    db_err err = ERR_NOMEM;
    pthread_mutex_lock(&r->kept_mutex);
    pthread_mutex_lock(&r->gc_mutex);
    uint64_t *both = mem_alloc((r->gc_point_count + points->count + 1) * sizeof(*both));
    if (both != NULL) {
        join(r, points, both);
    }
    pthread_mutex_unlock(&r->gc_mutex);
    if (both != NULL) {
        err = rocks__points_keep(r);
    }
    pthread_mutex_unlock(&r->kept_mutex);
    return err;
}

db_err rocks__points_copy(struct rocks_engine *r, const char *dir)
{
    pthread_mutex_lock(&r->kept_mutex);
    db_err err = r->kept_safe_point == 0
                     ? ERR_OK
                     : save(dir, r->kept_safe_point, r->kept_points, r->kept_count);
    pthread_mutex_unlock(&r->kept_mutex);
    return err;
}

/* ---- at the start ---- */

static db_err read_file(const char *path, struct buf *out)
{
    struct disk_file *file;
    uint64_t size = 0;
    TRY(disk_open(disk_real(), path, DISK_READ, &file));
    db_err err = disk_size(file, &size);
    if (err == ERR_OK && (size < HEAD_SIZE + CRC_SIZE || size > FILE_MAX)) {
        err = ERR_CORRUPT;
    }
    err = err == ERR_OK ? buf_reserve(out, (size_t)size) : err;
    err = err == ERR_OK ? disk_pread_full(file, out->ptr, (size_t)size, 0) : err;
    disk_close(file);
    out->len = err == ERR_OK ? (size_t)size : 0;
    return err;
}

static bool is_whole(struct slice s)
{
    uint32_t crc;
    memcpy(&crc, s.ptr + s.len - CRC_SIZE, CRC_SIZE);
    uint64_t count = get_be64(s.ptr + NAME_SIZE + 8);
    return memcmp(s.ptr, file_name, NAME_SIZE) == 0 &&
           __builtin_bswap32(crc) == crc32c(0, s.ptr, s.len - CRC_SIZE) &&
           count == (s.len - HEAD_SIZE - CRC_SIZE) / 8 && (s.len - HEAD_SIZE - CRC_SIZE) % 8 == 0;
}

/* Before anybody else knows the engine. */
static db_err begin_with(struct rocks_engine *r, struct slice s)
{
    size_t count = (size_t)get_be64(s.ptr + NAME_SIZE + 8);
    r->kept_safe_point = get_be64(s.ptr + NAME_SIZE);
    if (count != 0) {
        r->gc_points = mem_alloc(count * sizeof(uint64_t));
        r->kept_points = mem_alloc(count * sizeof(uint64_t));
        if (r->gc_points == NULL || r->kept_points == NULL) {
            return ERR_NOMEM;
        }
    }
    for (size_t i = 0; i < count; i++) {
        r->gc_points[i] = r->kept_points[i] = get_be64(s.ptr + HEAD_SIZE + i * 8);
    }
    r->gc_point_count = r->kept_count = count;
    atomic_store_explicit(&r->safe_point, r->kept_safe_point, memory_order_release);
    return ERR_OK;
}

db_err rocks__points_load(struct rocks_engine *r, struct diag *diag)
{
    char path[DISK_PATH_MAX];
    struct buf b;
    TRY(path_of(r->path, "", path));
    buf_init(&b, FILE_MAX);
    db_err err = read_file(path, &b);
    if (err == ERR_OK) {
        err = is_whole(buf_slice(&b)) ? begin_with(r, buf_slice(&b)) : ERR_CORRUPT;
    }
    buf_fini(&b);
    if (err == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    return err == ERR_OK ? ERR_OK : diag_set(diag, err, "store: %s: %s", path, err_text(err));
}
