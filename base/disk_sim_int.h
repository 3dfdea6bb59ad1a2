/* Private to disk_sim: nodes (files and directories) and what of them is not durable yet. */
#ifndef SKEIN_BASE_DISK_SIM_INT_H
#define SKEIN_BASE_DISK_SIM_INT_H

#include <pthread.h>

#include "base/disk_sim.h"
#include "base/list.h"
#include "base/rand.h"

/* A change of a file's content or size since its last sync. */
struct sim_change {
    struct list link;
    bool resize;     /* else: a write */
    uint64_t offset; /* of a resize: the new size */
    size_t len;
    uint8_t data[];
};

struct sim_content {
    uint8_t *data; /* what the process sees: the page cache */
    uint64_t size;
    uint64_t cap;
    uint8_t *durable; /* what a crash leaves when every pending change is lost */
    uint64_t durable_size;
    uint64_t durable_cap;
    struct list pending; /* struct sim_change, oldest first */
};

struct sim_node {
    struct list link; /* in sim_disk.nodes */
    unsigned refs;    /* entries, pending name changes, open files */
    bool is_dir;
    struct sim_content content; /* of a file */
    struct list entries;        /* of a directory: struct sim_entry */
    struct list renames;        /* of a directory: struct sim_name_change, oldest first */
};

/* disk_sim_content.c; all under the disk's lock. */
void sim_content_init(struct sim_content *c);
void sim_content_fini(struct sim_content *c);
size_t sim_content_read(const struct sim_content *c, void *out, size_t len, uint64_t offset);
/* ERR_NOMEM: nothing has changed. */
MUST_USE db_err sim_content_write(struct sim_content *c, const uint8_t *data, size_t len,
                                  uint64_t offset);
MUST_USE db_err sim_content_resize(struct sim_content *c, uint64_t size);
MUST_USE db_err sim_content_sync(struct sim_content *c);
/* Pending changes are kept or dropped by the dice and are pending no more. reset: the process, too,
 * now sees what is durable. Out of memory aborts: this is a test's tool. */
void sim_content_crash(struct sim_content *c, struct rand *r, bool reset);
void sim_content_flip(struct sim_content *c, uint64_t offset, unsigned bit);

#endif
