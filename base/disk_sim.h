/* A disk in memory for tests and the simulator: it forgets what was not synced, tears writes, fills
 * up, fails and flips bits, all from a seed.
 *
 * Model. Content that was written since the file's last sync is pending: a crash keeps or drops
 * every 512-byte sector of every pending write on its own, and keeps or drops each pending change
 * of size. Changes of names (create, rename, unlink, mkdir, rmdir) since the directory's last
 * disk_sync_dir are pending too: a crash keeps a random number of the oldest and undoes the rest. A
 * rename must stay in its directory (ERR_UNSUPPORTED otherwise). Directories begin with "/" alone;
 * paths are absolute or not, "a/b" is the same as "/a/b". Thread-safe. */
#ifndef SKEIN_BASE_DISK_SIM_H
#define SKEIN_BASE_DISK_SIM_H

#include "base/disk.h"

enum { DISK_SIM_SECTOR = 512 };

/* space: bytes that files may hold together, 0 = no bound. ERR_NOMEM. */
MUST_USE db_err disk_sim_new(uint64_t space, struct disk **ret_disk);
/* Handles must be closed. NULL is fine. */
void disk_sim_free(struct disk *disk);

/* The machine loses power: pending changes are kept or lost as the seed says, handles that are open
 * become stale (each call on them but close gives ERR_CLOSED). The disk can be used again at once.
 */
void disk_sim_crash(struct disk *disk, uint64_t seed);
/* The process dies, the machine does not: handles become stale, nothing is lost. */
void disk_sim_kill_process(struct disk *disk);

/* As disk_sim_new's space; may be below what is used now: writes that need more then get
 * ERR_DISK_FULL. */
void disk_sim_set_space(struct disk *disk, uint64_t space);
uint64_t disk_sim_used(struct disk *disk);

enum disk_sim_op { DISK_SIM_READ, DISK_SIM_WRITE, DISK_SIM_SYNC, DISK_SIM_OPS };
/* After `skip` more calls of that kind the next `count` fail with err (count 0: none). A failed
 * write may have written some of its sectors; a failed sync drops a random part of what was pending
 * and forgets that it was. */
void disk_sim_fail(struct disk *disk, enum disk_sim_op op, uint64_t skip, uint64_t count,
                   db_err err);
/* Turns one bit of what is stored over, now and for good. ERR_NOT_FOUND, ERR_INVALID (past the
 * end). */
MUST_USE db_err disk_sim_flip_bit(struct disk *disk, const char *path, uint64_t offset,
                                  unsigned bit);

struct disk_sim_stats {
    uint64_t calls[DISK_SIM_OPS];
    uint64_t bytes_read;
    uint64_t bytes_written;
};
void disk_sim_get_stats(struct disk *disk, struct disk_sim_stats *ret_stats);

#endif
