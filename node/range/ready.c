#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"

/* What a core asks for, done: its lease and role are published, its writes go into the loop's log
 * submission, messages to the transport, committed entries into the loop's engine batch.
 *
 * The log. All replicas of a turn share one submission. What was submitted is kept (the entries by
 * reference) until it is durable, because a full disk refuses whole submissions: those wait in
 * order and are given again when there is space; until then new proposals are refused. Memory for
 * this must be had: a core that has handed a write out cannot take it back, so running out of it
 * here ends the node. */

/* ---- the log as the core reads it ---- */

_Thread_local bool replica_log_may_block;

static uint64_t log_first_index(void *ctx)
{
    return ((struct replica *)ctx)->log_first;
}

static uint64_t log_last_index(void *ctx)
{
    return ((struct replica *)ctx)->log_last;
}

static db_err log_term(void *ctx, uint64_t index, uint64_t *ret_term)
{
    struct replica *r = ctx;
    return index == 0 ? (*ret_term = 0, ERR_OK)
                      : raft_log_term(r->rs->opts.log, r->id, index, ret_term);
}

/* From what was fetched from the disk before, copied. ERR_NOT_FOUND: it does not begin there. */
static db_err entries_fetched(const struct replica *r, uint64_t lo, uint64_t hi, size_t max_bytes,
                              struct arena *arena, const struct raft_entry **ret_entries,
                              size_t *ret_count)
{
    const struct raft_log_page *page = &r->fetched->page;
    if (page->count == 0 || lo < page->entries[0].index ||
        lo > page->entries[page->count - 1].index) {
        return ERR_NOT_FOUND;
    }
    const struct raft_log_entry *from = &page->entries[lo - page->entries[0].index];
    size_t left = page->count - (size_t)(from - page->entries);
    size_t count = 0;
    for (size_t bytes = 0; count < left && from[count].index < hi; count++) {
        bytes += from[count].data.len;
        if (count != 0 && bytes > max_bytes) {
            break;
        }
    }
    struct raft_entry *entries = ARENA_ARRAY(arena, struct raft_entry, count);
    if (entries == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        entries[i] =
            (struct raft_entry){.index = from[i].index, .term = from[i].term, .type = from[i].type};
        TRY(arena_copy(arena, from[i].data, &entries[i].data));
    }
    *ret_entries = entries;
    *ret_count = count;
    return ERR_OK;
}

static db_err log_entries(void *ctx, uint64_t lo, uint64_t hi, size_t max_bytes,
                          struct arena *arena, const struct raft_entry **ret_entries,
                          size_t *ret_count)
{
    struct replica *r = ctx;
    struct raft_log_page page;
    if (r->fetched != NULL) {
        db_err err = entries_fetched(r, lo, hi, max_bytes, arena, ret_entries, ret_count);
        if (err != ERR_NOT_FOUND) {
            return err;
        }
    }
    enum raft_log_read_mode mode = replica_log_may_block ? RAFT_LOG_READ_ANY : RAFT_LOG_READ_CACHED;
    db_err err =
        raft_log_entries(r->rs->opts.log, r->id, lo, hi, max_bytes, mode, arena, NULL, &page);
    if (err == ERR_WOULD_BLOCK) {
        r->want_lo = lo;
        r->want_hi = hi;
    }
    TRY(err);
    struct raft_entry *entries = ARENA_ARRAY(arena, struct raft_entry, page.count);
    if (entries == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < page.count; i++) {
        const struct raft_log_entry *e = &page.entries[i];
        entries[i] = (struct raft_entry){
            .index = e->index, .term = e->term, .data = e->data, .type = e->type};
        if (r->raft == NULL) { /* the core is being opened, and reads all that is not applied */
            members_learn_entry(r, &entries[i]);
        }
    }
    *ret_entries = entries;
    *ret_count = page.count;
    return ERR_OK;
}

static db_err log_snapshot_meta(void *ctx, struct raft_snapshot_meta *ret_meta)
{
    struct replica *r = ctx;
    struct raft_snapshot_meta meta = {.index = atomic_load(&r->applied_index),
                                      .conf = r->applied_conf};
    db_err err = raft_log_term(r->rs->opts.log, r->id, meta.index, &meta.term);
    if (err != ERR_OK) {
        return ERR_WOULD_BLOCK;
    }
    *ret_meta = meta;
    return ERR_OK;
}

const struct raft_log_ops replica_log_ops = {
    .name = "range",
    .first_index = log_first_index,
    .last_index = log_last_index,
    .term = log_term,
    .entries = log_entries,
    .snapshot_meta = log_snapshot_meta,
};

/* ---- submissions ---- */

static void *grow(void *array, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) {
        return array;
    }
    size_t want = *cap == 0 ? 16 : *cap * 2;
    while (want < need) {
        want *= 2;
    }
    void *grown = mem_realloc(array, want * size);
    if (grown != NULL) {
        *cap = want;
    }
    return grown;
}

static struct submission *filling(struct range_loop *l)
{
    if (l->filling != NULL && !l->filling->full) {
        return l->filling;
    }
    range_loop_submit(l);
    struct list *node = list_pop_front(&l->free_submissions);
    struct submission *s =
        node != NULL ? CONTAINER_OF(node, struct submission, link) : mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    list_init(&s->link);
    s->loop = l;
    s->item_count = s->entry_count = 0;
    s->full = false;
    if (raft_log_batch_new(l->rs->opts.log, 0, &s->batch) != ERR_OK) {
        mem_free(s->items);
        mem_free(s->entries);
        mem_free(s);
        return NULL;
    }
    l->filling = s;
    return s;
}

static struct submit_item *new_item(struct submission *s, struct replica *r)
{
    struct submit_item *items = grow(s->items, &s->item_cap, s->item_count + 1, sizeof(*s->items));
    if (items == NULL) {
        return NULL;
    }
    s->items = items;
    struct submit_item *item = &items[s->item_count++];
    *item = (struct submit_item){.replica = r, .first = s->entry_count};
    r->submits++;
    return item;
}

static db_err append_to_log(struct range_loop *l, struct raft_log_batch *batch, uint64_t group,
                            const struct raft_entry *entries, size_t count)
{
    struct raft_log_entry *scratch = grow(l->scratch, &l->scratch_cap, count, sizeof(*l->scratch));
    if (scratch == NULL) {
        return ERR_NOMEM;
    }
    l->scratch = scratch;
    for (size_t i = 0; i < count; i++) {
        scratch[i] = (struct raft_log_entry){.index = entries[i].index,
                                             .term = entries[i].term,
                                             .type = entries[i].type,
                                             .data = entries[i].data};
    }
    return raft_log_batch_append(batch, group, scratch, count);
}

/* As many of the entries as the submission takes (at least one); how many they were. */
static db_err add_entries(struct range_loop *l, struct submission *s, struct submit_item *item,
                          const struct raft_entry *entries, size_t count, size_t *ret_added)
{
    size_t n = 0;
    size_t bytes = raft_log_batch_size(s->batch);
    size_t before = bytes;
    while (n < count && (n == 0 || bytes < RANGE_SUBMIT_BYTES_MAX)) {
        bytes += entries[n++].data.len;
    }
    struct raft_entry *kept =
        grow(s->entries, &s->entry_cap, s->entry_count + n, sizeof(*s->entries));
    if (kept == NULL) {
        return ERR_NOMEM;
    }
    s->entries = kept;
    db_err err = append_to_log(l, s->batch, item->replica->id, entries, n);
    while (err == ERR_LIMIT && s->item_count == 1 && n > 1) { /* with their headers, or a log of
                                                                 small segments */
        s->full = true;
        n /= 2;
        err = append_to_log(l, s->batch, item->replica->id, entries, n);
    }
    if (err == ERR_LIMIT && s->item_count > 1) {
        *ret_added = 0; /* into the next one */
        s->full = true;
        return ERR_OK;
    }
    TRY(err);
    bytes = before;
    for (size_t i = 0; i < n; i++) {
        bytes += entries[i].data.len;
        ASSERT(entries[i].blob != NULL || entries[i].data.len == 0);
        kept[s->entry_count++] = entries[i];
        if (entries[i].blob != NULL) {
            blob_ref(entries[i].blob);
        }
    }
    item->count = n;
    retain_note(item->replica, entries[n - 1].index, bytes - before);
    s->full = s->full || bytes >= RANGE_SUBMIT_BYTES_MAX;
    *ret_added = n;
    return ERR_OK;
}

static db_err write_ready(struct range_loop *l, struct replica *r, const struct raft_ready *rd)
{
    size_t done = 0;
    bool hard_state = rd->has_hard_state;
    for (size_t i = 0; i < rd->entry_count; i++) {
        members_learn_entry(r, &rd->entries[i]);
    }
    do {
        struct submission *s = filling(l);
        struct submit_item *item = s == NULL ? NULL : new_item(s, r);
        if (item == NULL) {
            return ERR_NOMEM;
        }
        if (hard_state) {
            item->has_hard_state = true;
            item->hard_state = rd->hard_state;
            TRY(raft_log_batch_hard_state(s->batch, r->id,
                                          (struct raft_log_hard_state){rd->hard_state.term,
                                                                       rd->hard_state.vote,
                                                                       rd->hard_state.commit}));
            hard_state = false;
        }
        if (done < rd->entry_count) {
            size_t added;
            TRY(add_entries(l, s, item, rd->entries + done, rd->entry_count - done, &added));
            done += added;
        }
        if (done == rd->entry_count) {
            item->persist_seq = rd->persist_seq;
        }
    } while (done < rd->entry_count);
    return ERR_OK;
}

static void submission_recycle(struct submission *s)
{
    for (size_t i = 0; i < s->entry_count; i++) {
        blob_unref(s->entries[i].blob);
    }
    s->entry_count = s->item_count = 0;
    s->batch = NULL;
    list_push_front(&s->loop->free_submissions, &s->link);
}

static void item_persisted(struct range_loop *l, const struct submission *s,
                           const struct submit_item *item)
{
    struct replica *r = item->replica;
    ASSERT(r->submits > 0);
    r->submits--;
    if (item->count != 0) {
        r->log_last = s->entries[item->first + item->count - 1].index;
    }
    if (item->compact_index != 0) {
        r->log_first = item->compact_index + 1;
        atomic_store(&r->compacted_index, item->compact_index);
    }
    if (item->persist_seq != 0 && r->broken == ERR_OK) {
        struct raft_event ev = {.type = RAFT_EV_PERSISTED, .u.persist_seq = item->persist_seq};
        db_err err;
        if (replica_step(l, r, &ev, &err) && err != ERR_OK) {
            replica_break(l, r, err);
        }
    }
    replica_mark_dirty(l, r);
}

static void on_log_done(void *arg, db_err err)
{
    struct submission *s = arg;
    struct range_loop *l = s->loop;
    l->submits--;
    if (err == ERR_DISK_FULL || err == ERR_NOMEM) {
        range_store_set_full(l->rs, FULL_LOG, true);
        list_push_back(&l->failed, &s->link);
        db_err started =
            loop_timer_start(l->loop, &l->retry_timer, clock_mono_ns() + RANGE_RETRY_NS);
        ASSERT(started == ERR_OK);
        return;
    }
    if (err == ERR_OK) {
        range_store_set_full(l->rs, FULL_LOG, false);
    }
    space_note(l->rs);
    for (size_t i = 0; i < s->item_count; i++) {
        if (err == ERR_OK) {
            item_persisted(l, s, &s->items[i]);
        } else {
            s->items[i].replica->submits--;
            replica_break(l, s->items[i].replica, err);
            replica_mark_dirty(l, s->items[i].replica);
        }
    }
    submission_recycle(s);
}

static void submit(struct range_loop *l, struct submission *s)
{
    struct raft_log_batch *batch = s->batch;
    s->batch = NULL;
    l->submits++;
    if (atomic_load_explicit(&l->rs->peers, memory_order_relaxed) == NULL) {
        raft_log_batch_here(batch); /* no other node counts on hearing of this one in time */
    }
    atomic_fetch_add_explicit(&l->rs->stat_submits, 1, memory_order_relaxed);
    raft_log_submit(l->rs->opts.log, batch, on_log_done, s);
}

void range_loop_submit(struct range_loop *l)
{
    struct submission *s = l->filling;
    if (s == NULL) {
        return;
    }
    l->filling = NULL;
    if (!list_empty(&l->failed)) {
        /* behind those that wait: the log takes a group's writes in order only */
        raft_log_batch_free(s->batch);
        s->batch = NULL;
        list_push_back(&l->held, &s->link);
        return;
    }
    FAULT(range_before_submit);
    submit(l, s);
}

static db_err rebuild(struct range_loop *l, struct submission *s)
{
    TRY(raft_log_batch_new(l->rs->opts.log, 0, &s->batch));
    for (size_t i = 0; i < s->item_count; i++) {
        const struct submit_item *item = &s->items[i];
        uint64_t id = item->replica->id;
        if (item->has_hard_state) {
            TRY(raft_log_batch_hard_state(s->batch, id,
                                          (struct raft_log_hard_state){item->hard_state.term,
                                                                       item->hard_state.vote,
                                                                       item->hard_state.commit}));
        }
        if (item->count != 0) {
            TRY(append_to_log(l, s->batch, id, s->entries + item->first, item->count));
        }
        if (item->compact_index != 0) {
            TRY(raft_log_batch_compact(s->batch, id, item->compact_index, item->compact_term));
        }
    }
    return ERR_OK;
}

void range_loop_retry(struct loop_timer *timer)
{
    struct range_loop *l = CONTAINER_OF(timer, struct range_loop, retry_timer);
    if (l->submits != 0) { /* some have not come back yet: the order must be kept */
        db_err err = loop_timer_start(l->loop, timer, clock_mono_ns() + RANGE_RETRY_NS);
        ASSERT(err == ERR_OK);
        return;
    }
    struct list again;
    struct list *node;
    list_init(&again);
    while ((node = list_pop_front(&l->failed)) != NULL) {
        list_push_back(&again, node);
    }
    while ((node = list_pop_front(&l->held)) != NULL) {
        list_push_back(&again, node);
    }
    while ((node = list_pop_front(&again)) != NULL) {
        struct submission *s = CONTAINER_OF(node, struct submission, link);
        db_err err = rebuild(l, s);
        if (err != ERR_OK) {
            range_store_fatal(l->rs, err, "a write to the Raft log cannot be repeated");
            return;
        }
        submit(l, s);
    }
}

void replica_compact(struct range_loop *l, struct replica *r, uint64_t index, bool short_of_space)
{
    uint64_t term;
    if (!replica_runs(r) || r->installing) {
        return;
    }
    index = retain_limit(r, index, short_of_space);
    if (index < r->log_first || index > r->log_last ||
        raft_log_term(l->rs->opts.log, r->id, index, &term) != ERR_OK) {
        return;
    }
    struct submission *s = filling(l);
    struct submit_item *item = s == NULL ? NULL : new_item(s, r);
    if (item == NULL) {
        return; /* later */
    }
    if (raft_log_batch_compact(s->batch, r->id, index, term) != ERR_OK) {
        return; /* an item without effect */
    }
    item->compact_index = index;
    item->compact_term = term;
}

/* ---- driving ---- */

static void send_messages(struct range_loop *l, struct replica *r, const struct raft_ready *rd)
{
    for (size_t i = 0; i < rd->message_count; i++) {
        if (rd->messages[i].type == RAFT_MSG_SNAPSHOT) {
            snapshot_offer(l, r, &rd->messages[i]);
        } else {
            replica_send(l, r, &rd->messages[i]);
        }
    }
}

/* ---- entries that are on the disk only ---- */

enum { FETCH_BYTES = 4 << 20 };

static void fetch_job(void *arg)
{
    struct log_fetch *f = arg;
    f->err = raft_log_entries(f->replica->rs->opts.log, f->replica->id, f->lo, f->hi, FETCH_BYTES,
                              RAFT_LOG_READ_ANY, &f->arena, NULL, &f->page);
}

static void fetch_fiber(void *arg)
{
    struct log_fetch *f = arg;
    struct replica *r = f->replica;
    struct range_store *rs = r->rs;
    blocking_run(fetch_job, f);
    inbox_push(r, &f->msg);
    replica_let_go(r);
    atomic_fetch_sub(&rs->fibers, 1);
}

void log_fetch_free(struct log_fetch *f)
{
    if (f != NULL) {
        arena_fini(&f->arena);
        mem_free(f);
    }
}

static void fetch_wanted(struct range_loop *l, struct replica *r)
{
    if (r->want_lo == 0 || r->fetching) {
        return;
    }
    struct log_fetch *f = mem_calloc(1, sizeof(*f));
    if (f == NULL) {
        replica_break(l, r, ERR_NOMEM);
        return;
    }
    f->replica = r;
    f->msg.kind = INBOX_FETCHED;
    f->lo = r->want_lo;
    f->hi = r->want_hi;
    arena_init(&f->arena, NULL, NULL, 0);
    r->want_lo = 0;
    r->fetching = true;
    atomic_fetch_add(&l->rs->fibers, 1);
    replica_hold(r);
    if (fiber_spawn(l->loop, fetch_fiber, f) != ERR_OK) {
        replica_let_go(r);
        atomic_fetch_sub(&l->rs->fibers, 1);
        log_fetch_free(f);
        replica_break(l, r, ERR_NOMEM);
    }
}

static bool log_begins_after(const struct replica *r, uint64_t index)
{
    struct raft_log_group g;
    return raft_log_group_get(r->rs->opts.log, r->id, &g) == ERR_OK && g.first_index > index;
}

void replica_fetched(struct range_loop *l, struct replica *r, struct log_fetch *f)
{
    r->fetching = false;
    if (f->err == ERR_NOT_FOUND && log_begins_after(r, f->lo)) {
        /* Let go of meanwhile: the core looks again, and offers its member a snapshot. What it
         * needs for itself is not let go of. */
        log_fetch_free(f);
    } else if (f->err != ERR_OK) {
        db_err err = f->err;
        log_fetch_free(f);
        replica_break(l, r, err);
        return;
    } else {
        log_fetch_free(r->fetched);
        r->fetched = f;
    }
    struct raft_event ev = {.type = RAFT_EV_LOG_READY};
    db_err err;
    if (replica_step(l, r, &ev, &err) && err != ERR_OK) {
        replica_break(l, r, err);
    }
}

void replica_drive(struct range_loop *l, struct replica *r)
{
    while (replica_runs(r) && raft_has_ready(r->raft)) {
        struct raft_ready rd;
        db_err err = raft_ready(r->raft, &rd);
        if (err != ERR_OK) {
            replica_break(l, r, err);
            return;
        }
        if (rd.soft_changed || rd.lease_changed) {
            replica_soft_change(l, r, &rd);
        }
        if (rd.persist_seq != 0) {
            err = write_ready(l, r, &rd);
            if (err != ERR_OK) {
                replica_break(l, r, err);
                return;
            }
        }
        send_messages(l, r, &rd);
        if (rd.snapshot != NULL) {
            snapshot_accepted(l, r, rd.snapshot);
        }
        if (rd.committed_count != 0) {
            replica_apply_entries(l, r, rd.committed, rd.committed_count);
        }
        raft_advance(r->raft);
        if (r->offer_failed != 0) {
            struct raft_event ev = {.type = RAFT_EV_SNAPSHOT_STATUS,
                                    .u.snapshot_status = {.peer = r->offer_failed, .ok = false}};
            r->offer_failed = 0;
            if (!replica_step(l, r, &ev, &err)) {
                return;
            }
        }
    }
    if (replica_runs(r)) {
        fetch_wanted(l, r);
        replica_keep_awake(l, r);
        lane_note_sleep(l, r);
    }
}
