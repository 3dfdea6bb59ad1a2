/* The content of one simulated file: what the process sees, what is durable, and the changes
 * between the two.
 *
 * A write is kept as a copy beside the visible content until the next sync puts it into the durable
 * one. A crash chooses for the whole file one of three weathers: everything pending survives,
 * nothing does, or each sector of each write tosses a coin and a random number of the oldest size
 * changes survives. Extending writes are a write and a size change, as they are in a journalling
 * file system: data without size and size without data (zeros) both happen. */
#include "base/disk_sim_int.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

enum weather { KEEP_ALL, KEEP_NONE, KEEP_SOME };
enum { GROW_MIN = 4096 };

void sim_content_init(struct sim_content *c)
{
    *c = (struct sim_content){0};
    list_init(&c->pending);
}

static void drop_pending(struct sim_content *c)
{
    struct list *n;
    while ((n = list_pop_front(&c->pending)) != NULL) {
        mem_free(CONTAINER_OF(n, struct sim_change, link));
    }
}

void sim_content_fini(struct sim_content *c)
{
    drop_pending(c);
    mem_free(c->data);
    mem_free(c->durable);
    sim_content_init(c);
}

/* Bytes from *cap on read as 0 afterwards. calloc leaves the pages of a large preallocated file
 * untouched. */
static db_err grow(uint8_t **data, uint64_t *cap, uint64_t used, uint64_t want)
{
    if (want <= *cap) {
        return ERR_OK;
    }
    uint64_t cap_new = *cap * 2 > GROW_MIN ? *cap * 2 : GROW_MIN;
    cap_new = cap_new > want ? cap_new : want;
    uint8_t *data_new = mem_calloc(1, cap_new);
    if (data_new == NULL) {
        return ERR_NOMEM;
    }
    if (used != 0) {
        memcpy(data_new, *data, used);
    }
    mem_free(*data);
    *data = data_new;
    *cap = cap_new;
    return ERR_OK;
}

size_t sim_content_read(const struct sim_content *c, void *out, size_t len, uint64_t offset)
{
    if (offset >= c->size) {
        return 0;
    }
    size_t n = len < c->size - offset ? len : (size_t)(c->size - offset);
    memcpy(out, c->data + offset, n);
    return n;
}

static struct sim_change *new_change(bool resize, uint64_t offset, size_t len)
{
    struct sim_change *change = mem_alloc(sizeof(*change) + len);
    if (change != NULL) {
        list_init(&change->link);
        change->resize = resize;
        change->offset = offset;
        change->len = len;
    }
    return change;
}

db_err sim_content_resize(struct sim_content *c, uint64_t size)
{
    TRY(grow(&c->data, &c->cap, c->size, size));
    struct sim_change *change = new_change(true, size, 0);
    if (change == NULL) {
        return ERR_NOMEM;
    }
    if (size < c->size) {
        memset(c->data + size, 0, c->size - size);
    }
    c->size = size;
    list_push_back(&c->pending, &change->link);
    return ERR_OK;
}

db_err sim_content_write(struct sim_content *c, const uint8_t *data, size_t len, uint64_t offset)
{
    if (len == 0) {
        return ERR_OK;
    }
    uint64_t end = offset + len;
    TRY(grow(&c->data, &c->cap, c->size, end));
    struct sim_change *change = new_change(false, offset, len);
    if (change == NULL) {
        return ERR_NOMEM;
    }
    if (end > c->size) {
        db_err err = sim_content_resize(c, end);
        if (err != ERR_OK) {
            mem_free(change);
            return err;
        }
    }
    memcpy(change->data, data, len);
    memcpy(c->data + offset, data, len);
    list_push_back(&c->pending, &change->link);
    return ERR_OK;
}

static db_err durable_write(struct sim_content *c, const struct sim_change *w, size_t from,
                            size_t len)
{
    TRY(grow(&c->durable, &c->durable_cap, c->durable_cap, w->offset + from + len));
    memcpy(c->durable + w->offset + from, w->data + from, len);
    return ERR_OK;
}

static db_err durable_resize(struct sim_content *c, uint64_t size)
{
    TRY(grow(&c->durable, &c->durable_cap, c->durable_cap, size));
    if (size < c->durable_size) {
        memset(c->durable + size, 0, c->durable_size - size);
    }
    c->durable_size = size;
    return ERR_OK;
}

db_err sim_content_sync(struct sim_content *c)
{
    /* Grown first, so that running out of memory changes nothing. */
    uint64_t end = c->size;
    LIST_FOREACH (n, &c->pending) {
        const struct sim_change *change = CONTAINER_OF(n, struct sim_change, link);
        end = change->offset + change->len > end ? change->offset + change->len : end;
    }
    TRY(grow(&c->durable, &c->durable_cap, c->durable_cap, end));
    LIST_FOREACH (n, &c->pending) {
        const struct sim_change *change = CONTAINER_OF(n, struct sim_change, link);
        TRY(change->resize ? durable_resize(c, change->offset)
                           : durable_write(c, change, 0, change->len));
    }
    ASSERT(c->durable_size == c->size);
    drop_pending(c);
    return ERR_OK;
}

static void crash_write(struct sim_content *c, const struct sim_change *w, enum weather weather,
                        struct rand *r)
{
    for (size_t from = 0; from < w->len;) {
        size_t to_sector_end = DISK_SIM_SECTOR - (size_t)((w->offset + from) % DISK_SIM_SECTOR);
        size_t len = w->len - from < to_sector_end ? w->len - from : to_sector_end;
        if (weather == KEEP_ALL || (weather == KEEP_SOME && rand_below(r, 2) == 0)) {
            db_err err = durable_write(c, w, from, len);
            ASSERT(err == ERR_OK);
        }
        from += len;
    }
}

void sim_content_crash(struct sim_content *c, struct rand *r, bool reset)
{
    enum weather weather = (enum weather)rand_below(r, 3);
    uint64_t resizes = 0;
    LIST_FOREACH (n, &c->pending) {
        resizes += CONTAINER_OF(n, struct sim_change, link)->resize;
    }
    uint64_t resizes_kept = weather == KEEP_ALL    ? resizes
                            : weather == KEEP_NONE ? 0
                                                   : rand_below(r, resizes + 1);
    LIST_FOREACH (n, &c->pending) {
        const struct sim_change *change = CONTAINER_OF(n, struct sim_change, link);
        if (!change->resize) {
            crash_write(c, change, weather, r);
        } else if (resizes_kept > 0) {
            resizes_kept--;
            db_err err = durable_resize(c, change->offset);
            ASSERT(err == ERR_OK);
        }
    }
    /* Sectors that were kept past the end are not part of the file. */
    if (c->durable_cap > c->durable_size) {
        memset(c->durable + c->durable_size, 0, c->durable_cap - c->durable_size);
    }
    drop_pending(c);
    if (reset) {
        if (c->size > 0) {
            memset(c->data, 0, c->size);
        }
        db_err err = grow(&c->data, &c->cap, 0, c->durable_size);
        ASSERT(err == ERR_OK);
        if (c->durable_size > 0) {
            memcpy(c->data, c->durable, c->durable_size);
        }
        c->size = c->durable_size;
    }
}

void sim_content_flip(struct sim_content *c, uint64_t offset, unsigned bit)
{
    uint8_t mask = (uint8_t)(1u << (bit & 7u));
    c->data[offset] ^= mask;
    if (offset < c->durable_size) {
        c->durable[offset] ^= mask;
    }
    LIST_FOREACH (n, &c->pending) {
        struct sim_change *w = CONTAINER_OF(n, struct sim_change, link);
        if (!w->resize && offset >= w->offset && offset - w->offset < w->len) {
            w->data[offset - w->offset] ^= mask;
        }
    }
}
