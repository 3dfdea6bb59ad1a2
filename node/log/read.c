/* Reading entries: from the tail cache, else from the segments.
 *
 * The plan of a read is made under the stripe's lock: which cached chunks, or which spans of which
 * segments. It takes a reference on each, and the bytes are looked at after the lock is gone. A
 * chunk's reference goes to the arena (dropped when it is reset): cached entries are not copied. A
 * segment's reference keeps its file from being recycled until the read is done. */
#include "node/log/log_int.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"

/* A page under construction. */
struct page_builder {
    struct raft_log_entry *entries;
    size_t count;
    size_t cap;
    size_t bytes;
    size_t max_bytes;
    struct arena *arena;
};

static db_err page_grow(struct page_builder *p)
{
    size_t cap = p->cap == 0 ? 64 : p->cap * 2;
    struct raft_log_entry *grown = arena_alloc(p->arena, cap * sizeof(*grown));
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (p->count != 0) {
        memcpy(grown, p->entries, p->count * sizeof(*grown));
    }
    p->entries = grown;
    p->cap = cap;
    return ERR_OK;
}

/* Adds the entries [lo, hi) that the APPEND record holds; *ret_full when the page is complete. The
 * record's bytes must live as long as the arena. */
static db_err page_add_record(struct page_builder *p, const struct log_rec_header *h, uint64_t lo,
                              uint64_t hi, bool *ret_full)
{
    struct log_append_body body;
    const uint8_t *at = log_rec_body(h);
    memcpy(&body, at, sizeof(body));
    const uint8_t *desc = at + sizeof(body);
    const uint8_t *data = desc + (size_t)h->count * sizeof(struct log_entry_desc);
    uint64_t term = body.term;
    *ret_full = false;
    for (uint64_t i = body.first_index; i < body.first_index + h->count && i < hi; i++) {
        struct log_entry_desc d;
        memcpy(&d, desc, sizeof(d));
        desc += sizeof(d);
        term += log_term_step(&d);
        if (i >= lo) {
            if (p->count != 0 && p->bytes + d.size > p->max_bytes) {
                *ret_full = true;
                return ERR_OK;
            }
            if (p->count == p->cap) {
                TRY(page_grow(p));
            }
            p->entries[p->count++] =
                (struct raft_log_entry){i, term, d.type, slice_of(data, d.size)};
            p->bytes += d.size;
        }
        data += d.size;
    }
    return ERR_OK;
}

/* ---- the cache */

enum { CACHED_PLAN_MAX = 256 };

struct cached_plan {
    struct {
        struct log_chunk *chunk;
        uint32_t off;
        uint64_t hi; /* the record's entries at or past this one are dead */
    } items[CACHED_PLAN_MAX];
    size_t count;
};

/* Stripe locked; lo is in the cache. */
static void cached_collect(const struct log_group *g, uint64_t lo, uint64_t hi, size_t max_bytes,
                           struct cached_plan *plan)
{
    plan->count = 0;
    size_t bytes = 0;
    uint32_t first = log__cached_at(g, lo);
    uint32_t i = first;
    while (i < g->cached.count && g->cached.items[i].first_index < hi &&
           plan->count < CACHED_PLAN_MAX && (bytes <= max_bytes || plan->count == 0)) {
        const struct log_cached *c = &g->cached.items[i];
        uint64_t end =
            i + 1 < g->cached.count ? g->cached.items[i + 1].first_index : g->last_index + 1;
        plan->items[plan->count].chunk = c->chunk;
        plan->items[plan->count].off = c->off;
        plan->items[plan->count].hi = end < hi ? end : hi;
        plan->count++;
        log__chunk_ref(c->chunk);
        const struct log_rec_header *h = (const void *)(c->chunk->data + c->off);
        bytes += i == first ? 0 : h->size; /* of the first, only a part may be wanted */
        i++;
    }
}

static void chunk_release(void *arg)
{
    log__chunk_unref(arg);
}

/* The plan's references pass to the arena; consecutive records of one chunk share one. */
static db_err cached_hold(struct cached_plan *plan, struct arena *arena)
{
    db_err err = ERR_OK;
    for (size_t i = 0; i < plan->count; i++) {
        struct log_chunk *c = plan->items[i].chunk;
        if (i != 0 && plan->items[i - 1].chunk == c) {
            log__chunk_unref(c); /* the one before holds it */
            continue;
        }
        db_err e = err == ERR_OK ? arena_on_reset(arena, chunk_release, c) : err;
        if (e != ERR_OK) {
            log__chunk_unref(c);
        }
        err = err_first(err, e);
    }
    return err;
}

static db_err cached_build(const struct cached_plan *plan, uint64_t lo, struct page_builder *p)
{
    bool full = false;
    for (size_t i = 0; i < plan->count && !full; i++) {
        const struct log_rec_header *h =
            (const void *)(plan->items[i].chunk->data + plan->items[i].off);
        TRY(page_add_record(p, h, lo, plan->items[i].hi, &full));
    }
    return ERR_OK;
}

/* ---- the disk */

struct disk_plan {
    struct {
        struct log_segment *seg;
        uint32_t off;
        uint32_t span;
        uint64_t hi;
    } items[LOG_PAGE_REFS_MAX];
    size_t count;
};

static void disk_collect(const struct log_group *g, uint64_t lo, uint64_t hi, size_t max_bytes,
                         struct disk_plan *plan)
{
    plan->count = 0;
    size_t bytes = 0;
    for (uint32_t i = log__ref_at(g, lo);
         i < g->refs.count && g->refs.items[i].first_index < hi && plan->count < LOG_PAGE_REFS_MAX;
         i++) {
        const struct log_ref *r = &g->refs.items[i];
        if (plan->count != 0 && bytes + r->span > max_bytes) {
            break;
        }
        uint64_t end = i + 1 < g->refs.count ? g->refs.items[i + 1].first_index : g->last_index + 1;
        plan->items[plan->count].seg = r->seg;
        plan->items[plan->count].off = r->off;
        plan->items[plan->count].span = r->span;
        plan->items[plan->count].hi = end < hi ? end : hi;
        plan->count++;
        bytes += r->span;
        atomic_fetch_add_explicit(&r->seg->refs, 1, memory_order_relaxed);
    }
}

static db_err damaged(const struct raft_log *log, const struct log_segment *seg, uint64_t off,
                      uint64_t group, const char *what, struct diag *diag)
{
    char path[DISK_PATH_MAX];
    log__segment_path(log, seg->no, path);
    return diag_set(
        diag, ERR_CORRUPT,
        "raft log: %.200s, offset %" PRIu64 ": %s of group %" PRIu64
        " is damaged on the disk. This replica cannot serve it: remove the replica from "
        "this node, or rebuild the node from its peers or a backup",
        path, off, what, group);
}

/* One span: records from `bytes` on; those of the group are checked and added. */
static db_err span_build(const struct raft_log *log, const struct log_segment *seg, uint64_t off,
                         const uint8_t *bytes, size_t size, uint64_t group, uint64_t lo,
                         uint64_t hi, struct page_builder *p, bool *ret_full, struct diag *diag)
{
    uint64_t salt = log_salt(log->log_id, seg->no);
    for (size_t at = 0; at < size;) {
        const struct log_rec_header *h = (const void *)(bytes + at);
        if (size - at < sizeof(*h) || h->size < sizeof(*h) || h->size > size - at ||
            h->size % LOG_ALIGN != 0) {
            return damaged(log, seg, off + at, group, "the header of a record", diag);
        }
        if (h->group == group && h->type == LOG_REC_APPEND) {
            uint32_t body_crc = crc32c(0, log_rec_body(h), h->size - sizeof(*h));
            if (log_rec_crc(body_crc, salt, h) != h->crc || !log__record_sound(h)) {
                return damaged(log, seg, off + at, group, "a record", diag);
            }
            TRY(page_add_record(p, h, lo, hi, ret_full));
            if (*ret_full) {
                return ERR_OK;
            }
        }
        at += h->size;
    }
    return ERR_OK;
}

static db_err disk_build(struct raft_log *log, const struct disk_plan *plan, uint64_t group,
                         uint64_t lo, struct page_builder *p, struct diag *diag)
{
    bool full = false;
    uint64_t next = lo;
    for (size_t i = 0; i < plan->count && !full; i++) {
        const struct log_segment *seg = plan->items[i].seg;
        uint8_t *bytes = arena_alloc(p->arena, plan->items[i].span);
        if (bytes == NULL) {
            return p->count != 0 ? ERR_OK : ERR_NOMEM;
        }
        db_err err = disk_pread_full(seg->files[0], bytes, plan->items[i].span, plan->items[i].off);
        if (err != ERR_OK && err != ERR_CORRUPT) {
            return diag_set(diag, err, "raft log: reading segment %016" PRIx64 " at %u: %s",
                            seg->no, plan->items[i].off, err_text(err));
        }
        if (err == ERR_CORRUPT) {
            return damaged(log, seg, plan->items[i].off, group, "the end", diag);
        }
        size_t before = p->count;
        TRY(span_build(log, seg, plan->items[i].off, bytes, plan->items[i].span, group, next,
                       plan->items[i].hi, p, &full, diag));
        next += p->count - before;
        if (!full && next != plan->items[i].hi) {
            return damaged(log, seg, plan->items[i].off, group, "a record", diag);
        }
    }
    return ERR_OK;
}

static db_err read_disk(struct raft_log *log, struct disk_plan *plan, uint64_t group, uint64_t lo,
                        struct page_builder *p, struct diag *diag)
{
    atomic_fetch_add_explicit(&log->st_disk_reads, 1, memory_order_relaxed);
    db_err err = disk_build(log, plan, group, lo, p, diag);
    for (size_t i = 0; i < plan->count; i++) {
        log__segment_unref(plan->items[i].seg);
    }
    return err;
}

static db_err read_cached(struct raft_log *log, struct cached_plan *plan, uint64_t lo,
                          struct page_builder *p)
{
    atomic_fetch_add_explicit(&log->st_cache_reads, 1, memory_order_relaxed);
    TRY(cached_hold(plan, p->arena));
    return cached_build(plan, lo, p);
}

db_err raft_log_entries(struct raft_log *log, uint64_t group, uint64_t lo, uint64_t hi,
                        size_t max_bytes, enum raft_log_read_mode mode, struct arena *arena,
                        struct diag *diag, struct raft_log_page *ret_page)
{
    ASSERT(lo < hi);
    struct page_builder p = {.max_bytes = max_bytes, .arena = arena};
    union {
        struct cached_plan cached;
        struct disk_plan disk;
    } plan;
    db_err err = ERR_OK;
    bool cached = false;
    struct log_stripe *s = log__stripe(log, group);
    (void)pthread_mutex_lock(&s->lock);
    const struct log_group *g = log__group_find(s, group);
    if (g == NULL || !g->exists || lo <= g->compacted_index || lo > g->last_index) {
        err = ERR_NOT_FOUND;
    } else if (g->cached.head != g->cached.count &&
               g->cached.items[g->cached.head].first_index <= lo) {
        cached = true;
        cached_collect(g, lo, hi, max_bytes, &plan.cached);
    } else if (mode == RAFT_LOG_READ_CACHED) {
        err = ERR_WOULD_BLOCK;
    } else {
        disk_collect(g, lo, hi, max_bytes, &plan.disk);
    }
    (void)pthread_mutex_unlock(&s->lock);
    TRY(err);
    err = cached ? read_cached(log, &plan.cached, lo, &p)
                 : read_disk(log, &plan.disk, group, lo, &p, diag);
    TRY(err);
    *ret_page = (struct raft_log_page){p.entries, p.count, p.bytes};
    return ERR_OK;
}
