/* The writes of one transaction, in key order, before they are committed.
 *
 * Shared by the storage implementations that buffer (mem, cluster). An entry also remembers what
 * the transaction knows about the key's lock: an entry with op WB_NONE is only such knowledge and
 * is no write. Savepoints number states; going back to one restores ops and values (locks stay
 * known: going back releases none).
 *
 * One owner at a time, nothing parks. Entries live until wb_reset; a value until wb_reset too (an
 * overwritten value is wasted until then), so that readers may borrow both. Memory comes from the
 * buffer's arena and is charged to the tracker given at wb_begin. Errors: ERR_NOMEM, ERR_LIMIT (the
 * tracker's); the buffer is then as before the call. */
#ifndef SKEIN_SQL_STORAGE_WRITE_BUFFER_H
#define SKEIN_SQL_STORAGE_WRITE_BUFFER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

enum { WB_HEIGHT_MAX = 12 };

enum wb_op { WB_NONE, WB_PUT, WB_DELETE };
enum wb_lock { WB_UNLOCKED, WB_LOCK_SHARED, WB_LOCK_EXCLUSIVE };

struct wb_state {
    uint8_t op;         /* enum wb_op */
    bool must_be_new;   /* commit has to find no committed version of the key */
    struct slice value; /* WB_PUT */
};

struct wb_entry {
    struct slice key;
    struct wb_state now;
    uint8_t lock; /* enum wb_lock: held at commit, unless lost with the lease */
    uint8_t height;
    bool may_insert;     /* with a lock for an insert */
    bool fresh;          /* the write, if it is a put, may be of a key that is not there yet */
    bool has_version;    /* version_ts was seen under the lock */
    bool exists;         /* with has_version: the newest version is a value, not a deletion */
    uint32_t slot;       /* the backend's own (route of the key, lock handle) */
    uint64_t version_ts; /* commit_ts of the newest committed version, 0 = none */
    uint64_t undo_pos;   /* internal */
    struct wb_entry *next[];
};

struct wb_undo;

struct write_buffer {
    struct arena arena;
    struct mem_tracker *mem;
    size_t charged;
    struct wb_entry *head[WB_HEIGHT_MAX];
    struct wb_entry *last[WB_HEIGHT_MAX]; /* rightmost entry by level: ascending keys cost O(1) */
    size_t write_count;                   /* entries that are writes */
    size_t entry_count;
    struct wb_undo *undo;
    size_t undo_count;
    size_t undo_cap;
    size_t mark; /* undo_count at the newest savepoint */
    bool has_savepoint;
    uint32_t rand;
};

void wb_init(struct write_buffer *wb);
void wb_fini(struct write_buffer *wb);
/* Empty again; keeps a little memory for the next transaction and charges nothing any more. */
void wb_reset(struct write_buffer *wb);
/* Who pays from now on (NULL: nobody). On an empty buffer. */
void wb_begin(struct write_buffer *wb, struct mem_tracker *mem);

/* NULL when the key has no entry. */
struct wb_entry *wb_find(const struct write_buffer *wb, struct slice key);
/* The key's entry, made if need be. Copies the key. */
MUST_USE db_err wb_touch(struct write_buffer *wb, struct slice key, struct wb_entry **ret_entry);
/* Sets a write. The value is copied. must_be_new is kept once set. */
MUST_USE db_err wb_put(struct write_buffer *wb, struct wb_entry *e, struct slice value,
                       bool must_be_new);
MUST_USE db_err wb_delete(struct write_buffer *wb, struct wb_entry *e);

uint64_t wb_savepoint(struct write_buffer *wb);
/* A savepoint taken later than `savepoint` is void afterwards; `savepoint` stays good. ERR_INVALID:
 * not a savepoint of this transaction. */
MUST_USE db_err wb_rollback_to(struct write_buffer *wb, uint64_t savepoint);

/* The states that going back to savepoints restores, the newest first: *pos begins as the entry's
 * undo_pos; what is returned is its state until the change of that number. NULL: no more. */
const struct wb_state *wb_before(const struct write_buffer *wb, uint64_t *pos);
/* What is known of a key that has no entry yet, as it is in `from`; no savepoint undoes it. */
MUST_USE db_err wb_adopt(struct write_buffer *wb, const struct wb_entry *from,
                         struct wb_entry **ret_entry);
/* Empty again, without savepoints, and pays for nothing; the memory of entries and values is the
 * caller's, who ends the arena when nobody borrows from it any more. */
void wb_hand_over(struct write_buffer *wb, struct arena *ret_arena);

/* In key order, all entries (also those that are no writes). The first at or after `key`; the last
 * before `key` (empty key: the last of all). NULL at the end. */
static inline struct wb_entry *wb_first(const struct write_buffer *wb)
{
    return wb->head[0];
}
static inline struct wb_entry *wb_next(const struct wb_entry *e)
{
    return e->next[0];
}
struct wb_entry *wb_seek(const struct write_buffer *wb, struct slice key);
struct wb_entry *wb_seek_before(const struct write_buffer *wb, struct slice key);

static inline bool wb_is_write(const struct wb_entry *e)
{
    return e->now.op != WB_NONE;
}

#endif
