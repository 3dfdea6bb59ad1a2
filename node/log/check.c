/* Checking batches before they are written.
 *
 * A round holds many batches, several of one group among them, and none of them has taken effect
 * yet; nor have those of the rounds before it that are still on their way. So each group that they
 * touch carries a tentative state beside its real one: what it will be when the batches admitted so
 * far are durable. A batch is checked against that, whole: if one of its records contradicts,
 * nothing of it counts. Memory that applying needs is taken here. */
#include "node/log/writer_int.h"

#include <string.h>

#include "base/assert.h"

static void touch(struct raft_log *log, struct log_group *g)
{
    if (g->touched) {
        return;
    }
    g->touched = true;
    g->touch_next = log->touched;
    log->touched = g;
    g->tent_exists = g->exists;
    g->tent_compacted = g->compacted_index;
    g->tent_last = g->last_index;
    g->tent_appends = 0;
}

/* Does the group hold at this place in the log what it held when the batch was made? Nothing that
 * changes it is on its way, and nothing has since. */
static bool as_it_was(const struct log_group *g, const struct raft_log_batch *b)
{
    return g->changed == b->repeats_changed && g->tent_appends == 0 &&
           g->tent_exists == g->exists && g->tent_compacted == g->compacted_index &&
           g->tent_last == g->last_index;
}

static db_err check_append(struct raft_log *log, struct log_group *g,
                           const struct log_rec_header *h)
{
    struct log_append_body body;
    memcpy(&body, log_rec_body(h), sizeof(body));
    if (body.first_index > g->tent_last + 1) {
        return g->lost_failure != 0 ? ERR_DISK_FULL : ERR_INVALID;
    }
    if (body.first_index <= g->tent_compacted) {
        return ERR_INVALID;
    }
    uint32_t more = 1 + log__append_steps(h);
    TRY(log__group_reserve(log, g, g->tent_appends + more));
    g->tent_appends += more;
    g->tent_last = body.first_index + h->count - 1;
    g->tent_exists = true;
    return ERR_OK;
}

static db_err check_compact(struct log_group *g, const struct log_rec_header *h)
{
    struct log_compact_body body;
    memcpy(&body, log_rec_body(h), sizeof(body));
    if (h->type == LOG_REC_RESET) {
        g->tent_compacted = g->tent_last = body.index;
        g->tent_exists = true;
        return ERR_OK;
    }
    if (!g->tent_exists || body.index > g->tent_last) {
        return ERR_INVALID;
    }
    g->tent_compacted = body.index > g->tent_compacted ? body.index : g->tent_compacted;
    return ERR_OK;
}

/* What only a batch that comes is asked: since it was admitted, batches behind it may have failed
 * and those before it have taken effect. */
static db_err may_come(const struct log_group *g, const struct raft_log_batch *b)
{
    if (b->repeats) {
        return as_it_was(g, b) ? ERR_OK : ERR_BUSY;
    }
    return g->lost_failure > b->seen_failure ? ERR_DISK_FULL : ERR_OK;
}

static db_err check_record(struct raft_log *log, const struct raft_log_batch *b,
                           const struct log_rec_header *h, bool admitted)
{
    struct log_group *g = NULL;
    if (h->type == LOG_REC_TRIM) {
        return ERR_OK;
    }
    if (b->repeats && log__group_find(log__stripe(log, h->group), h->group) == NULL) {
        return ERR_BUSY; /* removed */
    }
    TRY(log__group_shell(log, h->group, &g));
    touch(log, g);
    TRY(admitted ? ERR_OK : may_come(g, b));
    switch (h->type) {
    case LOG_REC_APPEND: return check_append(log, g, h);
    case LOG_REC_COMPACT:
    case LOG_REC_RESET: return check_compact(g, h);
    case LOG_REC_HARD_STATE: g->tent_exists = true; return ERR_OK;
    case LOG_REC_REMOVE:
        g->tent_exists = false;
        g->tent_compacted = g->tent_last = 0;
        return ERR_OK;
    default: return ERR_OK; /* STATE repeats what is */
    }
}

static db_err check_batch(struct raft_log *log, const struct raft_log_batch *b, bool admitted)
{
    BATCH_EACH(h, b)
    {
        TRY(check_record(log, b, h, admitted));
    }
    return ERR_OK;
}

db_err log__check_batch(struct raft_log *log, const struct raft_log_batch *b)
{
    return check_batch(log, b, false);
}

void log__untouch_all(struct raft_log *log, bool keep_shells)
{
    while (log->touched != NULL) {
        struct log_group *g = log->touched;
        log->touched = g->touch_next;
        g->touched = false;
        if (!keep_shells && !g->exists && g->lost_failure == 0) {
            log__group_drop_shell(log, g);
        }
    }
}

static void check_again(struct raft_log *log, const struct round *r)
{
    for (const struct raft_log_batch *b = r->head; b != NULL; b = b->next) {
        db_err err = check_batch(log, b, true);
        ASSERT(err == ERR_OK);
    }
}

/* A batch was refused half-way: what its first records would have done is undone by starting over.
 * The other batches have passed before and pass again: the memory they need is there. */
void log__recheck_round(struct raft_log *log, const struct round *r)
{
    log__untouch_all(log, true);
    for (unsigned i = 0; i < log->flight_count; i++) {
        check_again(log, &log->flight[(log->flight_head + i) % LOG_FLIGHT_MAX]);
    }
    check_again(log, r);
}

/* The groups of a refused batch remember the failure. */
void log__lose_batch(struct raft_log *log, struct raft_log_batch *b)
{
    stat_add(&log->st_full, 1);
    b->failure = log__failure_next();
    BATCH_EACH(h, b)
    {
        struct log_group *g = NULL;
        if (h->group != 0 && log__group_shell(log, h->group, &g) == ERR_OK) {
            g->lost_failure = b->failure;
        }
    }
}
