#include "sql/storage/write_buffer.h"

#include "base/alloc.h"
#include "base/assert.h"

/* A skip list with one owner. Loads write ascending keys more often than not, so the rightmost
 * entry of each level is kept and an append compares once. Nodes never move or go before the reset:
 * a scan that merges the buffer may stand on an entry while its own statement writes.
 *
 * Savepoints are an undo log. A write keeps the entry's state in the log only when the entry has no
 * record younger than the newest savepoint, so a row that one statement updates many times costs
 * one record, and a transaction without savepoints none. */

struct wb_undo {
    struct wb_entry *entry;
    struct wb_state before;
    uint64_t undo_pos;
};

enum { WB_KEEP_MAX = 64 * 1024, WB_UNDO_KEEP_MAX = 1024 };

void wb_init(struct write_buffer *wb)
{
    *wb = (struct write_buffer){.rand = 0x9e3779b9u};
    arena_init(&wb->arena, NULL, NULL, 0);
}

void wb_fini(struct write_buffer *wb)
{
    wb_reset(wb);
    arena_fini(&wb->arena);
    mem_free(wb->undo);
    wb->undo = NULL;
    wb->undo_cap = 0;
}

void wb_reset(struct write_buffer *wb)
{
    if (wb->charged != 0) {
        mem_tracker_release(wb->mem, wb->charged);
        wb->charged = 0;
    }
    wb->mem = NULL;
    if (wb->arena.blocks != NULL) {
        if (wb->arena.used > WB_KEEP_MAX) {
            arena_fini(&wb->arena);
            arena_init(&wb->arena, NULL, NULL, 0);
        } else {
            arena_reset(&wb->arena);
        }
    }
    if (wb->entry_count != 0) {
        memset(wb->head, 0, sizeof(wb->head));
        memset(wb->last, 0, sizeof(wb->last));
    }
    if (wb->undo_cap > WB_UNDO_KEEP_MAX) {
        mem_free(wb->undo);
        wb->undo = NULL;
        wb->undo_cap = 0;
    }
    wb->write_count = wb->entry_count = wb->undo_count = wb->mark = 0;
    wb->has_savepoint = false;
}

void wb_begin(struct write_buffer *wb, struct mem_tracker *mem)
{
    ASSERT(wb->entry_count == 0 && wb->charged == 0);
    wb->mem = mem;
}

/* Charges what the buffer has grown by; the memory is there already, the caller gives the write up.
 */
static db_err charge(struct write_buffer *wb)
{
    if (wb->mem == NULL) {
        return ERR_OK;
    }
    size_t held = wb->arena.used + wb->undo_cap * sizeof(*wb->undo);
    if (held > wb->charged) {
        TRY(mem_tracker_charge(wb->mem, held - wb->charged));
        wb->charged = held;
    }
    return ERR_OK;
}

static unsigned random_height(struct write_buffer *wb)
{
    wb->rand ^= wb->rand << 13;
    wb->rand ^= wb->rand >> 17;
    wb->rand ^= wb->rand << 5;
    unsigned h = 1;
    for (uint32_t r = wb->rand; h < WB_HEIGHT_MAX && (r & 3u) == 0; r >>= 2) {
        h++;
    }
    return h;
}

/* The link of each level that the key's entry hangs on or would hang on; returns the first entry at
 * or after the key. */
static struct wb_entry *find_links(struct write_buffer *wb, struct slice key,
                                   struct wb_entry **ret_prev)
{
    struct wb_entry *prev = NULL;
    struct wb_entry *at = NULL;
    for (int level = WB_HEIGHT_MAX - 1; level >= 0; level--) {
        at = prev == NULL ? wb->head[level] : prev->next[level];
        while (at != NULL && slice_cmp(at->key, key) < 0) {
            prev = at;
            at = at->next[level];
        }
        ret_prev[level] = prev;
    }
    return at;
}

struct wb_entry *wb_seek(const struct write_buffer *wb, struct slice key)
{
    const struct wb_entry *prev = NULL;
    struct wb_entry *at = NULL;
    if (wb->last[0] != NULL && slice_cmp(wb->last[0]->key, key) < 0) {
        return NULL;
    }
    for (int level = WB_HEIGHT_MAX - 1; level >= 0; level--) {
        at = prev == NULL ? wb->head[level] : prev->next[level];
        while (at != NULL && slice_cmp(at->key, key) < 0) {
            prev = at;
            at = at->next[level];
        }
    }
    return at;
}

struct wb_entry *wb_seek_before(const struct write_buffer *wb, struct slice key)
{
    if (key.len == 0) {
        return wb->last[0];
    }
    struct wb_entry *prev = NULL;
    for (int level = WB_HEIGHT_MAX - 1; level >= 0; level--) {
        struct wb_entry *at = prev == NULL ? wb->head[level] : prev->next[level];
        while (at != NULL && slice_cmp(at->key, key) < 0) {
            prev = at;
            at = at->next[level];
        }
    }
    return prev;
}

struct wb_entry *wb_find(const struct write_buffer *wb, struct slice key)
{
    if (wb->entry_count == 0) {
        return NULL;
    }
    struct wb_entry *e = wb_seek(wb, key);
    return e != NULL && slice_eq(e->key, key) ? e : NULL;
}

db_err wb_touch(struct write_buffer *wb, struct slice key, struct wb_entry **ret_entry)
{
    struct wb_entry *prev[WB_HEIGHT_MAX];
    if (wb->last[0] == NULL || slice_cmp(wb->last[0]->key, key) < 0) {
        memcpy(prev, wb->last, sizeof(prev));
    } else {
        struct wb_entry *at = find_links(wb, key, prev);
        if (at != NULL && slice_eq(at->key, key)) {
            *ret_entry = at;
            return ERR_OK;
        }
    }
    unsigned height = random_height(wb);
    size_t size = sizeof(struct wb_entry) + height * sizeof(struct wb_entry *);
    struct wb_entry *e = arena_alloc(&wb->arena, size + key.len);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    TRY(charge(wb));
    uint8_t *copy = (uint8_t *)e + size;
    memcpy(copy, key.ptr, key.len);
    *e = (struct wb_entry){.key = {copy, key.len}, .height = (uint8_t)height};
    for (unsigned level = 0; level < height; level++) {
        struct wb_entry **link = prev[level] == NULL ? &wb->head[level] : &prev[level]->next[level];
        e->next[level] = *link;
        *link = e;
        if (e->next[level] == NULL) {
            wb->last[level] = e;
        }
    }
    wb->entry_count++;
    *ret_entry = e;
    return ERR_OK;
}

static db_err keep_state(struct write_buffer *wb, struct wb_entry *e)
{
    if (!wb->has_savepoint || e->undo_pos > wb->mark) {
        return ERR_OK;
    }
    if (wb->undo_count == wb->undo_cap) {
        size_t cap = wb->undo_cap == 0 ? 64 : wb->undo_cap * 2;
        struct wb_undo *grown = mem_realloc(wb->undo, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        wb->undo = grown;
        wb->undo_cap = cap;
        TRY(charge(wb));
    }
    wb->undo[wb->undo_count++] = (struct wb_undo){e, e->now, e->undo_pos};
    e->undo_pos = wb->undo_count;
    return ERR_OK;
}

static void set_state(struct write_buffer *wb, struct wb_entry *e, struct wb_state state)
{
    wb->write_count += (size_t)(state.op != WB_NONE) - (size_t)(e->now.op != WB_NONE);
    e->now = state;
}

db_err wb_put(struct write_buffer *wb, struct wb_entry *e, struct slice value, bool must_be_new)
{
    struct wb_state state = {.op = WB_PUT, .must_be_new = e->now.must_be_new || must_be_new};
    uint8_t *copy = arena_alloc(&wb->arena, value.len);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    TRY(charge(wb));
    if (value.len != 0) {
        memcpy(copy, value.ptr, value.len);
    }
    state.value = (struct slice){copy, value.len};
    TRY(keep_state(wb, e));
    set_state(wb, e, state);
    return ERR_OK;
}

db_err wb_delete(struct write_buffer *wb, struct wb_entry *e)
{
    TRY(keep_state(wb, e));
    set_state(wb, e, (struct wb_state){.op = WB_DELETE, .must_be_new = e->now.must_be_new});
    return ERR_OK;
}

uint64_t wb_savepoint(struct write_buffer *wb)
{
    wb->has_savepoint = true;
    wb->mark = wb->undo_count;
    return wb->mark;
}

db_err wb_rollback_to(struct write_buffer *wb, uint64_t savepoint)
{
    if (!wb->has_savepoint || savepoint > wb->undo_count) {
        return ERR_INVALID;
    }
    while (wb->undo_count > savepoint) {
        struct wb_undo *u = &wb->undo[--wb->undo_count];
        set_state(wb, u->entry, u->before);
        u->entry->undo_pos = u->undo_pos;
    }
    wb->mark = wb->undo_count;
    return ERR_OK;
}

const struct wb_state *wb_before(const struct write_buffer *wb, uint64_t *pos)
{
    if (*pos == 0) {
        return NULL;
    }
    const struct wb_undo *u = &wb->undo[*pos - 1];
    *pos = u->undo_pos;
    return &u->before;
}

db_err wb_adopt(struct write_buffer *wb, const struct wb_entry *from, struct wb_entry **ret_entry)
{
    struct wb_entry *e;
    struct wb_state now = from->now;
    TRY(arena_copy(&wb->arena, from->now.value, &now.value));
    TRY(wb_touch(wb, from->key, &e));
    e->lock = from->lock;
    e->may_insert = from->may_insert;
    e->fresh = from->fresh;
    e->has_version = from->has_version;
    e->exists = from->exists;
    e->slot = from->slot;
    e->version_ts = from->version_ts;
    set_state(wb, e, now);
    *ret_entry = e;
    return ERR_OK;
}

void wb_hand_over(struct write_buffer *wb, struct arena *ret_arena)
{
    struct mem_tracker *mem = wb->mem;
    *ret_arena = wb->arena;
    arena_init(&wb->arena, NULL, NULL, 0);
    wb_reset(wb);
    wb->mem = mem;
}
