#include "sql/storage/write_spill.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/temp_file.h"

/* A run is a sequence of records in key order, cut into blocks. In memory it has the first key of
 * each block, a Bloom filter of all keys, and the block that was read last: a walk over many runs
 * has a block of each. So blocks are small: the values of a record that has many bytes of them lie
 * before its block, and are read when they are wanted.
 *
 * A record has the entry's state and those before it that a savepoint could restore, each with the
 * number of the change that ended it. A savepoint is a number of changes: the state at it is the
 * oldest one that was not ended by then. Going back to a savepoint of a run is thus to remember the
 * number; going back behind a run is to forget it. No byte of the file is written twice but those
 * of runs that are forgotten.
 *
 * Runs are not merged: there are as many as the transaction's writes are larger than its memory,
 * and the owner makes them larger as they get more. */

enum {
    BLOCK_BYTES = 16 << 10,
    OUT_BYTES = 256 << 10,
    COLLECT_BYTES = 1 << 20,
    KEEP_BYTES = 64 << 10,  /* of a block in memory */
    INSIDE_BYTES = 4 << 10, /* of values that lie in the block */
    FILTER_BITS = 10,       /* a key */
    FILTER_PROBES = 6,
};
#define NOT_ENDED   UINT32_MAX
#define NOT_OUTSIDE UINT64_MAX

struct record_head {
    uint64_t size;      /* of all of it in the block */
    uint64_t values_at; /* OUTSIDE: in the file */
    uint64_t version_ts;
    uint32_t key_len;
    uint32_t states;
    uint32_t slot;
    uint8_t lock;
    uint8_t flags;
    uint8_t unused[2];
};
enum { MAY_INSERT = 1, FRESH = 2, HAS_VERSION = 4, EXISTS = 8, OUTSIDE = 16 };

/* The newest comes first; their values, in the same order, follow the key or lie OUTSIDE. */
struct state_head {
    uint32_t until; /* the change that ended it */
    uint32_t value_len;
    uint8_t op;
    uint8_t must_be_new;
    uint8_t unused[2];
};

struct block {
    uint64_t at, end;
    struct slice first;
};

struct run {
    uint64_t end;
    struct block *blocks;
    size_t block_count, block_cap;
    struct arena keys; /* of blocks */
    uint64_t *filter;
    uint64_t filter_bits;
    size_t charged;
    uint32_t as_of;       /* savepoint to which it was taken back */
    uint32_t first_write; /* savepoints from this one on have a write */
    bool shared;
    /* the block that was read last */
    bool loaded;
    size_t block;
    struct buf bytes;
    uint32_t *records; /* their offsets */
    size_t record_count, record_cap;
    /* of a walk */
    struct heap_node node; /* in its heap, while there are more records */
    size_t at;
    struct slice key;
    uint32_t number;
};

struct write_spill {
    const char *dir;
    struct mem_tracker *mem;
    struct temp_file file;
    struct run **runs;
    uint32_t count, cap;
};

db_err write_spill_new(const char *dir, struct mem_tracker *mem, struct write_spill **ret_spill)
{
    struct write_spill *w = mem_calloc(1, sizeof(*w));
    if (w == NULL) {
        return ERR_NOMEM;
    }
    w->dir = dir;
    w->mem = mem;
    temp_file_init(&w->file);
    *ret_spill = w;
    return ERR_OK;
}

static void run_free(struct write_spill *w, struct run *r)
{
    if (r->charged != 0) {
        mem_tracker_release(w->mem, r->charged);
    }
    arena_fini(&r->keys);
    buf_fini(&r->bytes);
    mem_free(r->blocks);
    mem_free(r->filter);
    mem_free(r->records);
    mem_free(r);
}

void write_spill_free(struct write_spill *w)
{
    if (w == NULL) {
        return;
    }
    while (w->count != 0) {
        run_free(w, w->runs[--w->count]);
    }
    temp_file_close(&w->file);
    mem_free(w->runs);
    mem_free(w);
}

uint32_t write_spill_count(const struct write_spill *w)
{
    return w->count;
}

void write_spill_back_to(struct write_spill *w, uint32_t run, uint64_t pos)
{
    while (w->count > run + 1) {
        run_free(w, w->runs[--w->count]);
    }
    struct run *r = w->runs[run];
    r->as_of = pos < r->as_of ? (uint32_t)pos : r->as_of;
}

bool write_spill_has_writes(const struct write_spill *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->runs[i]->first_write <= w->runs[i]->as_of) {
            return true;
        }
    }
    return false;
}

bool write_spill_has_shared(const struct write_spill *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->runs[i]->shared) {
            return true;
        }
    }
    return false;
}

/* ---- the filter ---- */

static uint64_t filter_step(uint64_t hash)
{
    return (hash >> 32) | 1;
}

static void filter_set(struct run *r, struct slice key)
{
    uint64_t h = hash_bytes(key, 0);
    for (unsigned i = 0; i < FILTER_PROBES; i++) {
        uint64_t bit = (h + i * filter_step(h)) % r->filter_bits;
        r->filter[bit / 64] |= (uint64_t)1 << (bit % 64);
    }
}

static bool filter_has(const struct run *r, uint64_t h)
{
    for (unsigned i = 0; i < FILTER_PROBES; i++) {
        uint64_t bit = (h + i * filter_step(h)) % r->filter_bits;
        if ((r->filter[bit / 64] & (uint64_t)1 << (bit % 64)) == 0) {
            return false;
        }
    }
    return true;
}

/* ---- adding ---- */

struct adder {
    struct write_spill *w;
    struct run *r;
    struct buf out;
    uint64_t at; /* in the file, of what is in `out` */
};

static uint64_t position(const struct adder *a)
{
    return a->at + a->out.len;
}

static db_err new_block(struct adder *a, struct slice key)
{
    struct run *r = a->r;
    if (r->block_count == r->block_cap) {
        size_t cap = r->block_cap == 0 ? 32 : r->block_cap * 2;
        struct block *grown = mem_realloc(r->blocks, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        r->blocks = grown;
        r->block_cap = cap;
    }
    struct block *b = &r->blocks[r->block_count];
    TRY(arena_copy(&r->keys, key, &b->first));
    b->at = b->end = position(a);
    r->block_count++;
    return ERR_OK;
}

static db_err put_state(struct buf *out, const struct wb_state *s, uint32_t until)
{
    struct state_head h = {.until = until,
                           .value_len = (uint32_t)s->value.len,
                           .op = s->op,
                           .must_be_new = s->must_be_new};
    return buf_append(out, &h, sizeof(h));
}

static void note_write(struct run *r, const struct wb_state *s, uint64_t from)
{
    if (s->op != WB_NONE && from < r->first_write) {
        r->first_write = (uint32_t)from;
    }
}

static size_t value_bytes(const struct write_buffer *wb, const struct wb_entry *e)
{
    const struct wb_state *s;
    size_t bytes = e->now.value.len;
    for (uint64_t pos = e->undo_pos; (s = wb_before(wb, &pos)) != NULL;) {
        bytes += s->value.len;
    }
    return bytes;
}

static db_err put_values(struct adder *a, const struct write_buffer *wb, const struct wb_entry *e)
{
    const struct wb_state *s;
    TRY(buf_append_slice(&a->out, e->now.value));
    for (uint64_t pos = e->undo_pos; (s = wb_before(wb, &pos)) != NULL;) {
        TRY(buf_append_slice(&a->out, s->value));
    }
    return ERR_OK;
}

/* values_at: of those that are in the file already; NOT_OUTSIDE: they belong to the record. */
static db_err put_record(struct adder *a, const struct write_buffer *wb, const struct wb_entry *e,
                         uint64_t values_at)
{
    const struct wb_state *s;
    struct buf *out = &a->out;
    bool outside = values_at != NOT_OUTSIDE;
    struct record_head h = {.values_at = values_at,
                            .version_ts = e->version_ts,
                            .key_len = (uint32_t)e->key.len,
                            .states = 1,
                            .slot = e->slot,
                            .lock = e->lock,
                            .flags = (uint8_t)((e->may_insert ? MAY_INSERT : 0) |
                                               (e->fresh ? FRESH : 0) |
                                               (e->has_version ? HAS_VERSION : 0) |
                                               (e->exists ? EXISTS : 0) | (outside ? OUTSIDE : 0))};
    size_t start = out->len;
    a->r->shared = a->r->shared || e->lock == WB_LOCK_SHARED;
    TRY(buf_append(out, &h, sizeof(h)));
    TRY(put_state(out, &e->now, NOT_ENDED));
    note_write(a->r, &e->now, e->undo_pos);
    uint64_t until;
    for (uint64_t pos = until = e->undo_pos; (s = wb_before(wb, &pos)) != NULL; until = pos) {
        TRY(put_state(out, s, (uint32_t)until));
        note_write(a->r, s, pos);
        h.states++;
    }
    TRY(buf_append_slice(out, e->key));
    if (!outside) {
        TRY(put_values(a, wb, e));
    }
    h.size = out->len - start;
    memcpy(out->ptr + start, &h, sizeof(h));
    return ERR_OK;
}

static db_err flush(struct adder *a, struct diag *diag)
{
    TRY(temp_file_write(&a->w->file, a->out.ptr, a->out.len, a->at, diag));
    a->at += a->out.len;
    buf_reset(&a->out);
    return ERR_OK;
}

static db_err charge(struct write_spill *w, struct run *r)
{
    size_t held = sizeof(*r) + r->keys.used + r->block_cap * sizeof(*r->blocks) +
                  (size_t)(r->filter_bits / 8) + 2 * BLOCK_BYTES;
    if (w->mem != NULL) {
        TRY(mem_tracker_charge(w->mem, held));
        r->charged = held;
    }
    return ERR_OK;
}

static db_err put_entry(struct adder *a, const struct write_buffer *wb, const struct wb_entry *e)
{
    struct run *r = a->r;
    struct block *last = r->block_count == 0 ? NULL : &r->blocks[r->block_count - 1];
    uint64_t values_at = NOT_OUTSIDE;
    if (value_bytes(wb, e) > INSIDE_BYTES) {
        values_at = position(a);
        TRY(put_values(a, wb, e));
    }
    if (values_at != NOT_OUTSIDE || last == NULL || last->end - last->at >= BLOCK_BYTES) {
        TRY(new_block(a, e->key));
    }
    TRY(put_record(a, wb, e, values_at));
    r->blocks[r->block_count - 1].end = position(a);
    filter_set(r, e->key);
    return ERR_OK;
}

static db_err fill(struct adder *a, const struct write_buffer *wb, struct diag *diag)
{
    struct run *r = a->r;
    r->filter_bits = ((uint64_t)wb->entry_count * FILTER_BITS + 64) / 64 * 64;
    r->filter = mem_calloc((size_t)(r->filter_bits / 64), sizeof(*r->filter));
    if (r->filter == NULL) {
        return ERR_NOMEM;
    }
    for (const struct wb_entry *e = wb_first(wb); e != NULL; e = wb_next(e)) {
        TRY(put_entry(a, wb, e));
        if (a->out.len >= OUT_BYTES) {
            TRY(flush(a, diag));
        }
    }
    TRY(flush(a, diag));
    r->end = a->at;
    return charge(a->w, r);
}

db_err write_spill_add(struct write_spill *w, const struct write_buffer *wb, struct diag *diag)
{
    if (wb->entry_count == 0) {
        return ERR_INVALID;
    }
    TRY(temp_file_make(&w->file, w->dir, diag));
    if (w->count == w->cap) {
        uint32_t cap = w->cap == 0 ? 16 : w->cap * 2;
        struct run **grown = mem_realloc(w->runs, cap * sizeof(struct run *));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        w->runs = grown;
        w->cap = cap;
    }
    struct adder a = {.w = w, .at = w->count == 0 ? 0 : w->runs[w->count - 1]->end};
    a.r = mem_calloc(1, sizeof(*a.r));
    if (a.r == NULL) {
        return ERR_NOMEM;
    }
    a.r->number = w->count;
    a.r->as_of = NOT_ENDED - 1;
    a.r->first_write = NOT_ENDED;
    arena_init(&a.r->keys, NULL, NULL, 0);
    buf_init(&a.r->bytes, SIZE_MAX / 2);
    buf_init(&a.out, SIZE_MAX / 2);
    db_err err = fill(&a, wb, diag);
    buf_fini(&a.out);
    if (err != ERR_OK) {
        run_free(w, a.r);
        return err;
    }
    w->runs[w->count++] = a.r;
    return ERR_OK;
}

/* ---- blocks ---- */

static struct record_head head_at(const struct run *r, size_t record)
{
    struct record_head h;
    memcpy(&h, r->bytes.ptr + r->records[record], sizeof(h));
    return h;
}

static struct slice key_at(const struct run *r, size_t record)
{
    struct record_head h = head_at(r, record);
    const uint8_t *p = r->bytes.ptr + r->records[record];
    return slice_of(p + sizeof(h) + h.states * sizeof(struct state_head), h.key_len);
}

static db_err split_block(struct run *r, struct diag *diag)
{
    r->record_count = 0;
    for (size_t at = 0; at < r->bytes.len;) {
        struct record_head h;
        if (r->record_count == r->record_cap) {
            size_t cap = r->record_cap == 0 ? 256 : r->record_cap * 2;
            uint32_t *grown = mem_realloc(r->records, cap * sizeof(*grown));
            if (grown == NULL) {
                return ERR_NOMEM;
            }
            r->records = grown;
            r->record_cap = cap;
        }
        if (r->bytes.len - at < sizeof(h)) {
            return diag_set(diag, ERR_CORRUPT, "temporary file: a record is cut off");
        }
        memcpy(&h, r->bytes.ptr + at, sizeof(h));
        if (h.size > r->bytes.len - at ||
            sizeof(h) + h.states * sizeof(struct state_head) + h.key_len > h.size) {
            return diag_set(diag, ERR_CORRUPT, "temporary file: a record is cut off");
        }
        r->records[r->record_count++] = (uint32_t)at;
        at += h.size;
    }
    return ERR_OK;
}

static db_err load(struct write_spill *w, struct run *r, size_t block, struct diag *diag)
{
    if (r->loaded && r->block == block) {
        return ERR_OK;
    }
    size_t len = (size_t)(r->blocks[block].end - r->blocks[block].at);
    r->loaded = false;
    buf_reset(&r->bytes);
    if (r->bytes.cap > KEEP_BYTES) {
        buf_fini(&r->bytes);
        buf_init(&r->bytes, SIZE_MAX / 2);
    }
    TRY(buf_reserve(&r->bytes, len));
    TRY(temp_file_read(&w->file, r->bytes.ptr, len, r->blocks[block].at, diag));
    r->bytes.len = len;
    TRY(split_block(r, diag));
    r->block = block;
    r->loaded = true;
    return ERR_OK;
}

/* How many blocks begin before the key, or at it. */
static size_t blocks_up_to(const struct run *r, struct slice key, bool and_at)
{
    size_t low = 0;
    size_t high = r->block_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = slice_cmp(r->blocks[mid].first, key);
        if (c < 0 || (c == 0 && and_at)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* The first record of the block that is at or after the key. */
static size_t search(const struct run *r, struct slice key)
{
    size_t low = 0;
    size_t high = r->record_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (slice_cmp(key_at(r, mid), key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* len bytes, `at` behind the first of the record's values. */
static db_err value_at(struct write_spill *w, const struct run *r, size_t record, uint64_t at,
                       size_t len, struct arena *arena, struct diag *diag, struct slice *ret)
{
    struct record_head h = head_at(r, record);
    struct slice key = key_at(r, record);
    bool outside = (h.flags & OUTSIDE) != 0;
    if (!outside || len == 0) {
        return arena_copy(arena, slice_of(key.ptr + key.len + (outside ? 0 : at), len), ret);
    }
    uint8_t *copy = arena_alloc(arena, len);
    if (copy == NULL) {
        return arena_refusal(arena);
    }
    TRY(temp_file_read(&w->file, copy, len, h.values_at + at, diag));
    *ret = slice_of(copy, len);
    return ERR_OK;
}

/* The entry as of the savepoint to which the run was taken back. */
static db_err entry_at(struct write_spill *w, const struct run *r, size_t record, bool key_only,
                       struct arena *arena, struct diag *diag, struct wb_entry *ret_entry)
{
    struct record_head h = head_at(r, record);
    const uint8_t *states = r->bytes.ptr + r->records[record] + sizeof(h);
    struct state_head s;
    uint64_t at = 0;
    uint64_t next = 0;
    struct wb_entry e = {.lock = h.lock,
                         .may_insert = (h.flags & MAY_INSERT) != 0,
                         .fresh = (h.flags & FRESH) != 0,
                         .has_version = (h.flags & HAS_VERSION) != 0,
                         .exists = (h.flags & EXISTS) != 0,
                         .slot = h.slot,
                         .version_ts = h.version_ts};
    for (uint32_t i = 0; i < h.states; i++) {
        memcpy(&s, states + i * sizeof(s), sizeof(s));
        if (s.until <= r->as_of) {
            break;
        }
        e.now.op = s.op;
        e.now.must_be_new = s.must_be_new != 0;
        at = next;
        next += s.value_len;
    }
    TRY(arena_copy(arena, key_at(r, record), &e.key));
    size_t len = key_only ? 0 : (size_t)(next - at);
    TRY(value_at(w, r, record, at, len, arena, diag, &e.now.value));
    *ret_entry = e;
    return ERR_OK;
}

db_err write_spill_find(struct write_spill *w, struct slice key, struct arena *arena,
                        struct diag *diag, bool *ret_found, struct wb_entry *ret_entry)
{
    uint64_t hash = hash_bytes(key, 0);
    for (uint32_t i = w->count; i-- > 0;) {
        struct run *r = w->runs[i];
        if (!filter_has(r, hash)) {
            continue;
        }
        size_t blocks = blocks_up_to(r, key, true);
        if (blocks == 0) {
            continue;
        }
        TRY(load(w, r, blocks - 1, diag));
        size_t at = search(r, key);
        if (at < r->record_count && slice_eq(key_at(r, at), key)) {
            TRY(entry_at(w, r, at, false, arena, diag, ret_entry));
            *ret_found = true;
            return ERR_OK;
        }
    }
    *ret_found = false;
    return ERR_OK;
}

/* ---- walks ---- */

/* All runs that have records where the walk has not been, by the keys that they have next: of one
 * key, the newest first. */
struct walk {
    struct write_spill *w;
    const struct write_spill_span *span;
    struct heap heap;
};

static struct run *run_of(struct heap_node *n)
{
    return CONTAINER_OF(n, struct run, node);
}

static bool forward_less(const struct heap_node *a, const struct heap_node *b)
{
    const struct run *x = CONTAINER_OF(a, const struct run, node);
    const struct run *y = CONTAINER_OF(b, const struct run, node);
    int c = slice_cmp(x->key, y->key);
    return c != 0 ? c < 0 : x->number > y->number;
}

static bool reverse_less(const struct heap_node *a, const struct heap_node *b)
{
    const struct run *x = CONTAINER_OF(a, const struct run, node);
    const struct run *y = CONTAINER_OF(b, const struct run, node);
    int c = slice_cmp(x->key, y->key);
    return c != 0 ? c > 0 : x->number > y->number;
}

/* The run stands on record `at` of the block that is loaded, or beside it. */
static db_err settle_run(struct walk *k, struct run *r, struct diag *diag)
{
    bool reverse = k->span->reverse;
    if (!reverse && r->at == r->record_count) {
        if (r->block + 1 == r->block_count) {
            return ERR_OK;
        }
        TRY(load(k->w, r, r->block + 1, diag));
        r->at = 0;
    } else if (reverse && r->at == SIZE_MAX) {
        if (r->block == 0) {
            return ERR_OK;
        }
        TRY(load(k->w, r, r->block - 1, diag));
        r->at = r->record_count - 1;
    }
    r->key = key_at(r, r->at);
    heap_insert(&k->heap, &r->node, reverse ? reverse_less : forward_less);
    return ERR_OK;
}

static db_err begin_run(struct walk *k, struct run *r, struct diag *diag)
{
    const struct write_spill_span *span = k->span;
    if (!span->reverse) {
        size_t blocks = blocks_up_to(r, span->start, true);
        TRY(load(k->w, r, blocks == 0 ? 0 : blocks - 1, diag));
        r->at = search(r, span->start);
        return settle_run(k, r, diag);
    }
    size_t blocks = span->end.len == 0 ? r->block_count : blocks_up_to(r, span->end, false);
    if (blocks == 0) {
        return ERR_OK;
    }
    TRY(load(k->w, r, blocks - 1, diag));
    r->at = (span->end.len == 0 ? r->record_count : search(r, span->end)) - 1;
    return settle_run(k, r, diag);
}

/* The run whose entry comes next. NULL: none is left in the span. */
static struct run *next_run(const struct walk *k)
{
    const struct write_spill_span *span = k->span;
    struct heap_node *n = heap_min(&k->heap);
    if (n == NULL) {
        return NULL;
    }
    struct slice key = run_of(n)->key;
    bool inside = span->reverse ? slice_cmp(key, span->start) >= 0
                                : span->end.len == 0 || slice_cmp(key, span->end) < 0;
    return inside ? run_of(n) : NULL;
}

static db_err pass_key(struct walk *k, struct slice key, struct diag *diag)
{
    struct heap_node *n;
    while ((n = heap_min(&k->heap)) != NULL && slice_eq(run_of(n)->key, key)) {
        struct run *r = run_of(n);
        heap_remove(&k->heap, n, k->span->reverse ? reverse_less : forward_less);
        r->at += k->span->reverse ? SIZE_MAX : 1;
        TRY(settle_run(k, r, diag));
    }
    return ERR_OK;
}

db_err write_spill_collect(struct write_spill *w, const struct write_spill_span *span, size_t max,
                           struct arena *arena, struct diag *diag, struct wb_entry ***ret_entries,
                           size_t *ret_count, bool *ret_more)
{
    struct walk k = {.w = w, .span = span};
    struct wb_entry **entries = arena_alloc(arena, max * sizeof(*entries));
    struct run *r;
    size_t count = 0;
    size_t bytes = 0;
    if (entries == NULL) {
        return ERR_NOMEM;
    }
    heap_init(&k.heap);
    for (uint32_t i = 0; i < w->count; i++) {
        TRY(begin_run(&k, w->runs[i], diag));
    }
    while ((r = next_run(&k)) != NULL && count < max && bytes < COLLECT_BYTES) {
        struct wb_entry *e = arena_alloc(arena, sizeof(*e));
        if (e == NULL) {
            return ERR_NOMEM;
        }
        TRY(entry_at(w, r, r->at, span->keys_only, arena, diag, e));
        TRY(pass_key(&k, e->key, diag));
        if (!span->writes_only || wb_is_write(e)) {
            entries[count++] = e;
            bytes += e->key.len + e->now.value.len;
        }
    }
    *ret_entries = entries;
    *ret_count = count;
    *ret_more = r != NULL;
    return ERR_OK;
}
