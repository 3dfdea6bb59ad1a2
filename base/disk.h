/* Files, as the store's log and the simulator's disk see them.
 *
 * A struct disk is one file system: the real one (disk_real) or one in memory that loses, tears and
 * spoils what was not synced (base/disk_sim.h). Code that must survive crashes takes a struct disk
 * and never calls open(2) itself.
 *
 * Durability, as POSIX has it: content is safe after disk_sync of the file; that a file exists, or
 * has this name, is safe after disk_sync_dir of its directory. After a failed disk_sync nothing
 * written since the last good one may be relied on: do not sync again and hope.
 *
 * All calls block (the simulated disk's do not): on a loop use blocking_run or a thread of your
 * own. Thread-safe; one file may be read and written by several threads at different offsets.
 *
 * Errors everywhere: ERR_DISK_FULL (no space, quota), ERR_NOT_FOUND, ERR_EXISTS, ERR_NOMEM (also
 * of descriptors), ERR_INVALID (not possible on this kind of file), ERR_IO for the rest. EINTR and
 * short transfers are dealt with inside. */
#ifndef SKEIN_BASE_DISK_H
#define SKEIN_BASE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct disk;

/* Begins every implementation's own file object. */
struct disk_file {
    struct disk *disk;
};

enum disk_open_flags {
    DISK_READ = 1,
    DISK_WRITE = 2,     /* implies DISK_READ */
    DISK_CREATE = 4,    /* make it if it is not there */
    DISK_EXCLUSIVE = 8, /* with DISK_CREATE: ERR_EXISTS if it is there */
    DISK_TRUNCATE = 16, /* cut to 0 bytes */
    /* Writes and reads go past the kernel's memory, where the file system can: offsets, lengths and
     * addresses must be multiples of DISK_BLOCK. Others' handles of the file see what was written.
     * Durable it is with disk_sync only. ERR_INVALID at the open or the first write: it cannot. */
    DISK_DIRECT = 32,
};

enum { DISK_IOV_MAX = 64, DISK_PATH_MAX = 1024, DISK_BLOCK = 4096 };

/* Called for each name in a directory ("." and ".." left out), in no order. A result other than
 * ERR_OK ends the listing and is returned. */
typedef db_err (*disk_list_fn)(void *ctx, const char *name);

/* Contracts: see the wrappers below, which are what callers use. */
struct disk_ops {
    const char *name;
    db_err (*open)(struct disk *disk, const char *path, unsigned flags,
                   struct disk_file **ret_file);
    void (*close)(struct disk_file *file);
    db_err (*pread)(struct disk_file *file, void *out, size_t len, uint64_t offset,
                    size_t *ret_len);
    db_err (*pwritev)(struct disk_file *file, const struct slice *parts, size_t count,
                      uint64_t offset);
    db_err (*sync)(struct disk_file *file);
    db_err (*allocate)(struct disk_file *file, uint64_t offset, uint64_t len);
    db_err (*truncate)(struct disk_file *file, uint64_t size);
    db_err (*size)(struct disk_file *file, uint64_t *ret_size);
    db_err (*rename)(struct disk *disk, const char *from, const char *to);
    db_err (*unlink)(struct disk *disk, const char *path);
    db_err (*mkdir)(struct disk *disk, const char *path);
    db_err (*rmdir)(struct disk *disk, const char *path);
    db_err (*sync_dir)(struct disk *disk, const char *path);
    db_err (*list)(struct disk *disk, const char *path, disk_list_fn fn, void *ctx);
    db_err (*space)(struct disk *disk, const char *path, uint64_t *ret_free, uint64_t *ret_total);
};

struct disk {
    const struct disk_ops *ops;
};

/* The machine's file system. Static; never freed. */
struct disk *disk_real(void);

/* The handle is the caller's until disk_close. */
MUST_USE db_err disk_open(struct disk *disk, const char *path, unsigned flags,
                          struct disk_file **ret_file);
/* NULL is fine. Syncs nothing. */
void disk_close(struct disk_file *file);
/* Reads up to len bytes; fewer only when the file ends before. */
MUST_USE db_err disk_pread(struct disk_file *file, void *out, size_t len, uint64_t offset,
                           size_t *ret_len);
/* As disk_pread, but a file that ends before gives ERR_CORRUPT. */
MUST_USE db_err disk_pread_full(struct disk_file *file, void *out, size_t len, uint64_t offset);
/* Writes all or fails; after a failure any part may have been written. */
MUST_USE db_err disk_pwrite(struct disk_file *file, const void *data, size_t len, uint64_t offset);
/* The parts one after the other, at most DISK_IOV_MAX. */
MUST_USE db_err disk_pwritev(struct disk_file *file, const struct slice *parts, size_t count,
                             uint64_t offset);
/* Content and size are durable (fdatasync). */
MUST_USE db_err disk_sync(struct disk_file *file);
/* Takes space for [offset, offset + len) and makes the file that long at least; new bytes read as
 * 0. A later write there cannot meet ERR_DISK_FULL and a sync after it need not write the size. */
MUST_USE db_err disk_allocate(struct disk_file *file, uint64_t offset, uint64_t len);
MUST_USE db_err disk_truncate(struct disk_file *file, uint64_t size);
MUST_USE db_err disk_size(struct disk_file *file, uint64_t *ret_size);

/* Replaces `to` atomically if it is there. */
MUST_USE db_err disk_rename(struct disk *disk, const char *from, const char *to);
MUST_USE db_err disk_unlink(struct disk *disk, const char *path);
/* One level. ERR_EXISTS when there is anything of that name. */
MUST_USE db_err disk_mkdir(struct disk *disk, const char *path);
/* Only when empty: ERR_EXISTS when it is not. */
MUST_USE db_err disk_rmdir(struct disk *disk, const char *path);
/* The names in the directory are durable. */
MUST_USE db_err disk_sync_dir(struct disk *disk, const char *path);
MUST_USE db_err disk_list(struct disk *disk, const char *path, disk_list_fn fn, void *ctx);
/* Bytes that this process may still take, and all, of the file system that holds the path. */
MUST_USE db_err disk_space(struct disk *disk, const char *path, uint64_t *ret_free,
                           uint64_t *ret_total);

#endif
