/* Repeating what a group holds, so that an old segment can go.
 *
 * A group that is idle and cannot be compacted (its replica has no state yet, or has entries that
 * nobody commits) keeps the segment of its oldest entry, and with it all that came after, for ever.
 * It holds little: so that is written once more, as an append of all its entries from the first
 * on, which replaces them by themselves.
 *
 * It is right at any crash. The record is one, under one checksum: it is there wholly or cut off
 * with the torn tail, and then the old ones are still there, for they go only after a TRIM that is
 * written when this one is durable. Replay knows nothing of it: with the old records, the entries
 * are replaced by what they are; without them, the group's entries begin here, as they do after any
 * overwrite, and its compacted place is in a STATE record that was carried forward.
 *
 * Repeated is what the group holds at the record's place in the log, not what it held when it was
 * read: the writer refuses the batch if any record that changed the group came between (check.c).
 * What others submit behind it finds the group as they know it. */
#include "node/log/log_int.h"

#include <string.h>

/* Pages that are read for one group: what it holds may lie in as many places as it has entries, and
 * each page takes up to max_bytes of memory. */
enum { REPEAT_PAGES_MAX = 32 };

struct repeat {
    uint64_t first;
    uint64_t last;
    uint64_t changed;
};

static db_err look(struct raft_log *log, uint64_t group, struct repeat *ret)
{
    struct log_stripe *s = log__stripe(log, group);
    db_err err = ERR_NOT_FOUND;
    (void)pthread_mutex_lock(&s->lock);
    const struct log_group *g = log__group_find(s, group);
    if (g != NULL && g->exists && g->last_index > g->compacted_index) {
        *ret = (struct repeat){g->compacted_index + 1, g->last_index, g->changed};
        err = ERR_OK;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return err;
}

/* ERR_LIMIT: they do not go into one record. */
static db_err body_size(const struct raft_log_page *page, size_t *ret_size)
{
    size_t size = sizeof(struct log_append_body) + page->bytes;
    for (size_t i = 1; i < page->count; i++) {
        if (page->entries[i].term - page->entries[i - 1].term > LOG_TERM_STEP_MAX) {
            return ERR_LIMIT;
        }
    }
    *ret_size = size + page->count * sizeof(struct log_entry_desc);
    return ERR_OK;
}

static db_err make_batch(struct raft_log *log, uint64_t group, const struct repeat *r,
                         const struct raft_log_page *page, struct raft_log_batch **ret_batch)
{
    struct raft_log_batch *b = NULL;
    size_t size = 0;
    TRY(body_size(page, &size));
    TRY(raft_log_batch_new(log, size + sizeof(struct log_rec_header) + LOG_ALIGN, &b));
    db_err err = log__batch_append_record(b, group, page->entries, page->count, size);
    if (err != ERR_OK) {
        raft_log_batch_free(b);
        return err;
    }
    b->entries = (uint32_t)page->count;
    b->has_append = true;
    b->repeats = true;
    b->repeats_changed = r->changed;
    *ret_batch = b;
    return ERR_OK;
}

/* All that it held, in one page. */
static db_err read_pages(struct raft_log *log, uint64_t group, const struct repeat *r, size_t max,
                         struct arena *a, struct diag *diag, struct raft_log_page *ret_page)
{
    uint64_t count = r->last + 1 - r->first;
    if (count > LOG_RECORD_ENTRIES_MAX) {
        return ERR_LIMIT;
    }
    struct raft_log_entry *entries = ARENA_ARRAY(a, struct raft_log_entry, count);
    if (entries == NULL) {
        return ERR_NOMEM;
    }
    struct raft_log_page all = {.entries = entries};
    for (unsigned pages = 0; all.count < count; pages++) {
        struct raft_log_page p = {0};
        if (pages == REPEAT_PAGES_MAX) {
            return ERR_LIMIT;
        }
        TRY(raft_log_entries(log, group, r->first + all.count, r->last + 1, max - all.bytes,
                             RAFT_LOG_READ_ANY, a, diag, &p));
        if (p.bytes > max - all.bytes) {
            return ERR_LIMIT;
        }
        memcpy(entries + all.count, p.entries, p.count * sizeof(*entries));
        all.count += p.count;
        all.bytes += p.bytes;
    }
    *ret_page = all;
    return ERR_OK;
}

db_err raft_log_repeat(struct raft_log *log, uint64_t group, size_t max_bytes,
                       raft_log_done_fn done, void *arg, struct diag *diag)
{
    struct repeat r = {0};
    struct raft_log_page page = {0};
    struct raft_log_batch *b = NULL;
    struct arena a;
    TRY(look(log, group, &r));
    size_t max = max_bytes < RAFT_LOG_REPEAT_MAX ? max_bytes : RAFT_LOG_REPEAT_MAX;
    arena_init(&a, NULL, NULL, 0);
    db_err err = read_pages(log, group, &r, max, &a, diag, &page);
    if (err == ERR_OK) {
        err = make_batch(log, group, &r, &page, &b);
    }
    arena_fini(&a);
    TRY(err);
    raft_log_submit(log, b, done, arg);
    return ERR_OK;
}
