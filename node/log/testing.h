/* For the tests: a log on a simulated disk, whose operations a test may replace. cmocka's
 * assertions are used: what fibers and
 * other threads call uses CHECK. */
#ifndef SKEIN_NODE_LOG_TESTING_H
#define SKEIN_NODE_LOG_TESTING_H

#include <stdatomic.h>
#include <string.h>

#include "base/disk.h"
#include "base/disk_sim.h"
#include "base/test_main.h"
#include "node/log/log.h"
#include "node/log/writer_int.h"

struct t_log {
    struct disk *disk;
    struct raft_log *log;
    struct raft_log_opts opts; /* of the next open */
    const struct disk_ops *plain;
    struct disk_ops special; /* what the disk does; at first the same as plain */
    _Atomic unsigned fatal;
};

/* Does the log end with a mark, behind which nothing is under way? */
static inline bool t_log_is_marked(struct t_log *t)
{
    log__turn_take(t->log, 0);
    bool marked = t->log->marked && t->log->flight_count == 0;
    log__turn_give(t->log);
    return marked;
}

/* A batch of one compaction. */
static inline void t_compact(struct raft_log *log, uint64_t group, uint64_t index, uint64_t term)
{
    struct raft_log_batch *b = NULL;
    CHECK_OK(raft_log_batch_new(log, 0, &b));
    CHECK_OK(raft_log_batch_compact(b, group, index, term));
    raft_log_submit(log, b, NULL, NULL);
}

static inline void t_on_fatal(void *arg, const struct diag *diag)
{
    CHECK(diag->text[0] != '\0');
    atomic_fetch_add(&((struct t_log *)arg)->fatal, 1);
}

static inline void t_log_open(struct t_log *t)
{
    struct diag diag;
    diag_reset(&diag);
    if (raft_log_open("/log", &t->opts, &diag, &t->log) != ERR_OK) {
        fail_msg("open: %s", diag.text);
    }
}

/* A disk with the log's directory; nothing is opened yet. space: of the disk, 0: enough. */
static inline void t_log_init(struct t_log *t, uint64_t space, uint64_t segment_size)
{
    memset(t, 0, sizeof(*t));
    assert_int_equal(disk_sim_new(space, &t->disk), ERR_OK);
    t->plain = t->disk->ops;
    t->special = *t->plain;
    t->disk->ops = &t->special;
    assert_int_equal(disk_mkdir(t->disk, "/log"), ERR_OK);
    assert_int_equal(disk_sync_dir(t->disk, "/"), ERR_OK);
    t->opts = (struct raft_log_opts){.disk = t->disk,
                                     .segment_size = segment_size,
                                     .log_id = 3,
                                     .on_fatal = t_on_fatal,
                                     .on_fatal_arg = t};
}

static inline void t_log_fini(struct t_log *t)
{
    raft_log_close(t->log);
    disk_sim_free(t->disk);
}

static inline void t_log_reopen(struct t_log *t)
{
    raft_log_close(t->log);
    t_log_open(t);
}

/* For operations that replace others: what the disk would do. */
static inline const struct disk_ops *t_plain(const struct disk *disk)
{
    return CONTAINER_OF(disk->ops, struct t_log, special)->plain;
}

static inline void t_log_pump(struct t_log *t)
{
    while (raft_log_pump(t->log)) {
    }
}

static inline struct raft_log_batch *t_batch_new(struct t_log *t)
{
    struct raft_log_batch *b = NULL;
    CHECK_OK(raft_log_batch_new(t->log, 0, &b));
    return b;
}

/* One entry whose bytes are all the index. */
static inline void t_batch_add(struct raft_log_batch *b, uint64_t group, uint64_t index,
                               uint64_t term, size_t size)
{
    static _Thread_local uint8_t data[400 << 10];
    CHECK(size <= sizeof(data));
    memset(data, (int)index, size);
    const struct raft_log_entry e = {index, term, 1, slice_of(data, size)};
    CHECK_OK(raft_log_batch_append(b, group, &e, 1));
}

static inline uint64_t t_last_of(struct t_log *t, uint64_t group)
{
    struct raft_log_group g = {0};
    db_err err = raft_log_group_get(t->log, group, &g);
    CHECK(err == ERR_OK || err == ERR_NOT_FOUND);
    return err == ERR_OK ? g.last_index : 0;
}

#endif
