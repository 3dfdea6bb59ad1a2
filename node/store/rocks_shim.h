/* What the C API of RocksDB 7.8 cannot do: a compaction filter that also runs when a memtable is
 * flushed, and that drops a stretch of entries without leaving tombstones; to ask which files hold
 * deleted ranges, a batch what is in it, and two to become one; to be told what becomes of
 * memtables; to keep what is flushed in the cache; a file system of one's own. And the order of
 * data keys, which the C API would ask for by two calls more each time. Implemented in C++
 * (rocks_shim.cc, rocks_disk.cc), thin adapters. */
#ifndef SKEIN_NODE_STORE_ROCKS_SHIM_H
#define SKEIN_NODE_STORE_ROCKS_SHIM_H

#include <rocksdb/c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum rocks_verdict {
    ROCKS_KEEP,
    ROCKS_REMOVE,     /* becomes a tombstone where a deeper level may hold the same key */
    ROCKS_SKIP_UNTIL, /* it and all entries before `until` vanish without a tombstone */
};

enum { ROCKS_UNTIL_MAX = 1 << 16 };

struct rocks_filter_ops {
    const char *name;
    /* A filter for the entries of one flush or (sub)compaction, used by one thread. NULL: filter
     * nothing. */
    void *(*open)(void *state, bool flush);
    /* Entries come in order. For ROCKS_SKIP_UNTIL the key to go on at, greater than this one, is
     * written to until (room for the key's length), its length to *ret_until_len. */
    enum rocks_verdict (*one)(void *filter, const uint8_t *key, size_t key_len,
                              const uint8_t *value, size_t value_len, uint8_t *until,
                              size_t *ret_until_len);
    void (*close)(void *filter);
};

/* How many files of the family hold deleted ranges. compact: each of them is compacted first, all
 * the way down, which takes its time. Thread-safe. */
uint64_t rocks_shim_range_deletions(rocksdb_t *db, rocksdb_column_family_handle_t *cf,
                                    bool compact);

/* What becomes of the memtables of a family: the active one has been sealed, a new one is active; a
 * flush of all that are sealed begins; it has ended. */
enum rocks_memtable_event { ROCKS_MEMTABLE_SEALED, ROCKS_FLUSH_BEGUN, ROCKS_FLUSH_ENDED };
typedef void (*rocks_memtable_tell)(void *state, enum rocks_memtable_event event);
/* options: the database's. Told by any thread, one of RocksDB's own included. */
void rocks_shim_watch_memtables(rocksdb_options_t *options, const char *family,
                                rocks_memtable_tell tell, void *state);

/* Calls fn with the key of each put and deletion of the family in the batch, in order, and with
 * both bounds of each deleted range. */
void rocks_shim_batch_keys(rocksdb_writebatch_t *batch, rocksdb_column_family_handle_t *cf,
                           void (*fn)(void *arg, const uint8_t *key, size_t len), void *arg);

/* Adds what is in `from` to the end of `to`; all of it is of these families. */
void rocks_shim_batch_append(rocksdb_writebatch_t *to, rocksdb_writebatch_t *from,
                             rocksdb_column_family_handle_t *const *families, size_t count);

/* A file system on which flushes do not meet a full disk but wait for space (rocks_disk.cc). */
struct rocks_disk;
/* Flushes begin, or cease, to wait. On their thread; may not block, nor call into RocksDB. */
typedef void (*rocks_disk_tell)(void *state, bool waits);
/* No file of rows is begun with less than keep_free bytes free. Never fails; outlives the database.
 */
struct rocks_disk *rocks_disk_new(uint64_t keep_free, rocks_disk_tell tell, void *state);
void rocks_disk_use(struct rocks_disk *disk, rocksdb_options_t *options);
/* From now on they fail instead. Thread-safe. */
void rocks_disk_stop(struct rocks_disk *disk);
void rocks_disk_free(struct rocks_disk *disk); /* NULL is fine */

/* Blocks that a flush writes are in the block cache at once. The options have a block-based table
 * factory of their own. */
void rocks_shim_cache_flushed(rocksdb_options_t *options);

/* The family's keys are data keys, or in plain order (key_order.h). */
void rocks_shim_set_data_order(rocksdb_options_t *options);
void rocks_shim_set_plain_order(rocksdb_options_t *options);

/* Keys of this length that begin with this byte are few and written again and again: a write finds
 * its place in the memtable beside the one before. */
void rocks_shim_set_overwritten(rocksdb_options_t *options, uint8_t first, size_t len);

/* ops and state outlive the database. */
void rocks_shim_set_filter(rocksdb_options_t *options, const struct rocks_filter_ops *ops,
                           void *state);

#ifdef __cplusplus
}
#endif

#endif
