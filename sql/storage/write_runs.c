#include "sql/storage/write_runs.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/heap.h"
#include "base/temp_file.h"

/* A record, in memory as in the file: its head, the key, the value. The run in memory is one buffer
 * and the offsets of its records, which are what is sorted; loads come in key order more often than
 * not, which costs one comparison a record. A run is read through a window of its part of the file;
 * all windows together stay below WINDOWS_BYTES unless there are very many runs. */

enum {
    WINDOWS_BYTES = 4 << 20,
    WINDOW_MIN = 4 << 10,
    WINDOW_MAX = 256 << 10,
};

struct head {
    uint32_t key_len, value_len;
    uint8_t flags;
};
enum { MUST_BE_NEW = 1, FRESH = 2, DELETED = 4, SEEN = 8 };
enum { HEAD_SIZE = 9 };

struct run {
    uint64_t start, end; /* in the file */
};

struct write_runs {
    const char *dir;
    struct mem_tracker *mem;
    size_t charged;
    size_t run_bytes;
    struct temp_file file;
    uint64_t file_end;
    struct run *runs;
    size_t run_count, run_cap;
    struct buf bytes; /* the run in memory */
    size_t *offsets;
    size_t count, cap;
    bool unsorted;
    uint64_t total;
};

/* ---- records ---- */

static void put_head(uint8_t *p, const struct write_record *r)
{
    uint32_t key_len = (uint32_t)r->key.len;
    uint32_t value_len = (uint32_t)r->value.len;
    memcpy(p, &key_len, 4);
    memcpy(p + 4, &value_len, 4);
    p[8] = (uint8_t)((r->must_be_new ? MUST_BE_NEW : 0) | (r->fresh ? FRESH : 0) |
                     (r->deleted ? DELETED : 0) | (r->seen ? SEEN : 0));
}

static struct head get_head(const uint8_t *p)
{
    struct head h;
    memcpy(&h.key_len, p, 4);
    memcpy(&h.value_len, p + 4, 4);
    h.flags = p[8];
    return h;
}

static size_t record_size(const struct head *h)
{
    return HEAD_SIZE + (size_t)h->key_len + h->value_len;
}

static struct write_record record_at(const uint8_t *p)
{
    struct head h = get_head(p);
    return (struct write_record){.key = {p + HEAD_SIZE, h.key_len},
                                 .value = {p + HEAD_SIZE + h.key_len, h.value_len},
                                 .must_be_new = (h.flags & MUST_BE_NEW) != 0,
                                 .fresh = (h.flags & FRESH) != 0,
                                 .deleted = (h.flags & DELETED) != 0,
                                 .seen = (h.flags & SEEN) != 0};
}

/* ---- adding ---- */

db_err write_runs_new(const char *dir, struct mem_tracker *mem, size_t run_bytes,
                      struct write_runs **ret_runs)
{
    struct write_runs *w = mem_calloc(1, sizeof(*w));
    if (w == NULL) {
        return ERR_NOMEM;
    }
    w->dir = dir;
    w->mem = mem;
    w->run_bytes = run_bytes;
    temp_file_init(&w->file);
    buf_init(&w->bytes, (size_t)1 << 31);
    *ret_runs = w;
    return ERR_OK;
}

static void uncharge(struct write_runs *w)
{
    if (w->charged != 0) {
        mem_tracker_release(w->mem, w->charged);
        w->charged = 0;
    }
}

void write_runs_free(struct write_runs *w)
{
    if (w == NULL) {
        return;
    }
    temp_file_close(&w->file);
    uncharge(w);
    buf_fini(&w->bytes);
    mem_free(w->offsets);
    mem_free(w->runs);
    mem_free(w);
}

static db_err charge(struct write_runs *w)
{
    size_t held = w->bytes.cap + w->cap * sizeof(*w->offsets);
    if (w->mem != NULL && held > w->charged) {
        TRY(mem_tracker_charge(w->mem, held - w->charged));
        w->charged = held;
    }
    return ERR_OK;
}

static int by_key(const void *a, const void *b, void *ctx)
{
    const struct write_runs *w = ctx;
    size_t x = *(const size_t *)a;
    size_t y = *(const size_t *)b;
    int c = slice_cmp(record_at(w->bytes.ptr + x).key, record_at(w->bytes.ptr + y).key);
    return c != 0 ? c : (x > y) - (x < y);
}

static void sort(struct write_runs *w)
{
    if (w->unsorted) {
        qsort_r(w->offsets, w->count, sizeof(*w->offsets), by_key, w);
        w->unsorted = false;
    }
}

/* A sorted copy goes to the file: its records lie there one after the other. */
static db_err spill(struct write_runs *w, struct diag *diag)
{
    TRY(temp_file_make(&w->file, w->dir, diag));
    if (w->run_count == w->run_cap) {
        size_t cap = w->run_cap == 0 ? 16 : w->run_cap * 2;
        struct run *grown = mem_realloc(w->runs, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        w->runs = grown;
        w->run_cap = cap;
    }
    uint8_t *sorted = w->bytes.ptr;
    if (w->unsorted) {
        sort(w);
        sorted = mem_alloc(w->bytes.len);
        if (sorted == NULL) {
            return ERR_NOMEM;
        }
        uint8_t *to = sorted;
        for (size_t i = 0; i < w->count; i++) {
            const uint8_t *from = w->bytes.ptr + w->offsets[i];
            struct head h = get_head(from);
            memcpy(to, from, record_size(&h));
            to += record_size(&h);
        }
    }
    db_err err = temp_file_write(&w->file, sorted, w->bytes.len, w->file_end, diag);
    if (sorted != w->bytes.ptr) {
        mem_free(sorted);
    }
    TRY(err);
    w->runs[w->run_count++] = (struct run){w->file_end, w->file_end + w->bytes.len};
    w->file_end += w->bytes.len;
    buf_reset(&w->bytes);
    w->count = 0;
    return ERR_OK;
}

db_err write_runs_add(struct write_runs *w, const struct write_record *r, struct diag *diag)
{
    size_t size = HEAD_SIZE + r->key.len + r->value.len;
    if (w->count != 0 && w->bytes.len + size > w->run_bytes) {
        TRY(spill(w, diag));
    }
    if (w->count == w->cap) {
        size_t cap = w->cap == 0 ? 256 : w->cap * 2;
        size_t *grown = mem_realloc(w->offsets, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        w->offsets = grown;
        w->cap = cap;
    }
    TRY(buf_reserve(&w->bytes, size));
    TRY(charge(w));
    if (w->count != 0 &&
        slice_cmp(record_at(w->bytes.ptr + w->offsets[w->count - 1]).key, r->key) > 0) {
        w->unsorted = true;
    }
    uint8_t *p = w->bytes.ptr + w->bytes.len;
    put_head(p, r);
    memcpy(p + HEAD_SIZE, r->key.ptr, r->key.len);
    if (r->value.len != 0) {
        memcpy(p + HEAD_SIZE + r->key.len, r->value.ptr, r->value.len);
    }
    w->offsets[w->count++] = w->bytes.len;
    w->bytes.len += size;
    w->total++;
    return ERR_OK;
}

uint64_t write_runs_count(const struct write_runs *w)
{
    return w->total;
}

bool write_runs_spilled(const struct write_runs *w)
{
    return w->run_count != 0;
}

/* ---- reading ---- */

struct source {
    struct heap_node node;
    size_t number; /* of the run; the one in memory comes last */
    struct write_record now;
    /* of a run in the file */
    uint64_t at, end; /* what is not in the window yet */
    uint8_t *window;
    size_t cap, len, pos;
};

struct write_runs_reader {
    struct write_runs *runs;
    struct heap heap;
    struct source *sources; /* run_count + 1 */
    size_t next_in_memory;
    size_t window; /* bytes */
    size_t charged;
    struct source *given; /* whose record the caller has */
};

static bool source_less(const struct heap_node *a, const struct heap_node *b)
{
    const struct source *x = CONTAINER_OF(a, const struct source, node);
    const struct source *y = CONTAINER_OF(b, const struct source, node);
    int c = slice_cmp(x->now.key, y->now.key);
    return c != 0 ? c < 0 : x->number < y->number;
}

/* At least `size` bytes from `pos` on are in the window then. */
static db_err fill(struct write_runs_reader *r, struct source *s, size_t size, struct diag *diag)
{
    size_t rest = s->len - s->pos;
    size_t want = size > r->window ? size : r->window;
    if (s->cap < want) {
        if (r->runs->mem != NULL) {
            TRY(mem_tracker_charge(r->runs->mem, want - s->cap));
            r->charged += want - s->cap;
        }
        uint8_t *grown = mem_realloc(s->window, want);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        s->window = grown;
        s->cap = want;
    }
    if (rest != 0) {
        memmove(s->window, s->window + s->pos, rest);
    }
    s->pos = 0;
    s->len = rest;
    size_t more = s->cap - rest;
    more = more > s->end - s->at ? (size_t)(s->end - s->at) : more;
    if (rest + more < size) {
        return diag_set(diag, ERR_CORRUPT, "temporary file: a record is cut off");
    }
    TRY(temp_file_read(&r->runs->file, s->window + rest, more, s->at, diag));
    s->at += more;
    s->len += more;
    return ERR_OK;
}

static db_err advance(struct write_runs_reader *r, struct source *s, struct diag *diag,
                      bool *ret_end)
{
    struct write_runs *w = r->runs;
    *ret_end = false;
    if (s->number == w->run_count) {
        *ret_end = r->next_in_memory == w->count;
        if (!*ret_end) {
            s->now = record_at(w->bytes.ptr + w->offsets[r->next_in_memory++]);
        }
        return ERR_OK;
    }
    if (s->pos == s->len && s->at == s->end) {
        *ret_end = true;
        return ERR_OK;
    }
    if (s->len - s->pos < HEAD_SIZE) {
        TRY(fill(r, s, HEAD_SIZE, diag));
    }
    struct head h = get_head(s->window + s->pos);
    if (s->len - s->pos < record_size(&h)) {
        TRY(fill(r, s, record_size(&h), diag));
    }
    s->now = record_at(s->window + s->pos);
    s->pos += record_size(&h);
    return ERR_OK;
}

void write_runs_close(struct write_runs_reader *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i <= r->runs->run_count; i++) {
        mem_free(r->sources[i].window);
    }
    if (r->charged != 0) {
        mem_tracker_release(r->runs->mem, r->charged);
    }
    mem_free(r->sources);
    mem_free(r);
}

static db_err start(struct write_runs_reader *r, struct diag *diag)
{
    struct write_runs *w = r->runs;
    sort(w);
    for (size_t i = 0; i <= w->run_count; i++) {
        struct source *s = &r->sources[i];
        bool end;
        s->number = i;
        if (i < w->run_count) {
            s->at = w->runs[i].start;
            s->end = w->runs[i].end;
        }
        TRY(advance(r, s, diag, &end));
        if (!end) {
            heap_insert(&r->heap, &s->node, source_less);
        }
    }
    return ERR_OK;
}

db_err write_runs_read(struct write_runs *w, struct diag *diag,
                       struct write_runs_reader **ret_reader)
{
    struct write_runs_reader *r = mem_calloc(1, sizeof(*r));
    if (r == NULL) {
        return ERR_NOMEM;
    }
    r->runs = w;
    heap_init(&r->heap);
    r->sources = mem_calloc(w->run_count + 1, sizeof(*r->sources));
    if (r->sources == NULL) {
        mem_free(r);
        return ERR_NOMEM;
    }
    size_t window = WINDOWS_BYTES / (w->run_count + 1);
    r->window = window < WINDOW_MIN ? WINDOW_MIN : window > WINDOW_MAX ? WINDOW_MAX : window;
    db_err err = start(r, diag);
    if (err != ERR_OK) {
        write_runs_close(r);
        return err;
    }
    *ret_reader = r;
    return ERR_OK;
}

db_err write_runs_next(struct write_runs_reader *r, struct diag *diag,
                       struct write_record *ret_record, bool *ret_end)
{
    if (r->given != NULL) {
        struct source *s = r->given;
        bool end;
        r->given = NULL;
        TRY(advance(r, s, diag, &end));
        if (!end) {
            heap_insert(&r->heap, &s->node, source_less);
        }
    }
    struct heap_node *n = heap_pop(&r->heap, source_less);
    *ret_end = n == NULL;
    if (n != NULL) {
        r->given = CONTAINER_OF(n, struct source, node);
        *ret_record = r->given->now;
    }
    return ERR_OK;
}
