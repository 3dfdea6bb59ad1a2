#include "cluster/txn/commit_int.h"

#include "base/assert.h"
#include "base/faults.h"
#include "base/log.h"

/* The commit of a transaction whose writes do not fit into memory: runs that were written without
 * looking back (sql/storage/write_runs.h), or a buffer that went to disk (spill.c). Never both.
 *
 * Always 2PC. What the write buffer has and what the runs have is read in key order, a batch at a
 * time; of a spilled buffer the rest goes to disk first, and all is read from there. Each batch is
 * prewritten as commit.c does it. When all are, the primary's commit decides, and a second pass
 * over the same keys settles the intents, after which the caller hears of it: it is what readers
 * would have to do otherwise, one by one. When a prewrite fails the intents that are there are
 * taken back in the same way.
 *
 * A key that comes twice is a duplicate: whoever adds to the runs promises that it is not to be
 * read or written again.
 *
 * Rows that were read in the snapshot and changed without a lock are checked by their version. Who
 * does that keeps other writers out in another way (sql/session/bulk_change.c): the check is there
 * for what it cannot know of, such as a commit whose outcome nobody has learned. */

enum { BATCH_BYTES = 8 << 20, BATCH_KEYS = 32768, LOOK_KEYS = 4096 };

/* The entries of a spill, in key order. */
struct spill_reader {
    struct write_spill *spill;
    struct arena arena; /* of the entries at hand */
    struct wb_entry **entries;
    size_t count, at;
    struct buf from;
    bool more;
    bool keys_only;
};

struct bulk_commit {
    struct commit own; /* what the write buffer has: mutations in key order, shared locks */
    size_t own_at;
    struct write_runs_reader *reader;
    struct write_record next; /* of the reader */
    bool reader_end;
    struct spill_reader spilled;
    struct arena arena; /* of the batch */
    struct commit batch;
    struct slice primary; /* in the transaction's scratch arena */
    uint64_t done;        /* mutations of batches that were begun */
    bool settling;        /* the second pass, which is for keys alone */
};

static void spill_open(struct spill_reader *r, struct write_spill *spill)
{
    *r = (struct spill_reader){.spill = spill, .more = spill != NULL};
    arena_init(&r->arena, NULL, NULL, 0);
    buf_init(&r->from, STORAGE_KEY_SIZE_MAX + 16);
}

static void spill_rewind(struct spill_reader *r)
{
    r->more = r->spill != NULL;
    r->count = r->at = 0;
    buf_reset(&r->from);
}

static void spill_close(struct spill_reader *r)
{
    arena_fini(&r->arena);
    buf_fini(&r->from);
}

/* NULL: the end. Valid until the next call. */
static db_err spill_next(struct spill_reader *r, struct diag *diag, const struct wb_entry **ret)
{
    while (r->at == r->count && r->more) {
        struct write_spill_span span = {.start = buf_slice(&r->from), .keys_only = r->keys_only};
        arena_reset(&r->arena);
        r->count = r->at = 0;
        TRY(write_spill_collect(r->spill, &span, LOOK_KEYS, &r->arena, diag, &r->entries, &r->count,
                                &r->more));
        if (r->count != 0) {
            buf_reset(&r->from);
            TRY(buf_append_slice(&r->from, r->entries[r->count - 1]->key));
            TRY(buf_append_u8(&r->from, 0));
        }
    }
    *ret = r->at == r->count ? NULL : r->entries[r->at++];
    return ERR_OK;
}

/* To the memory of the batch. */
static db_err keep_mutation(struct bulk_commit *b, struct kv_mutation *m)
{
    TRY(arena_copy(&b->arena, m->key, &m->key));
    if (b->settling) {
        m->value = SLICE_EMPTY;
    }
    return arena_copy(&b->arena, m->value, &m->value);
}

static db_err take_spilled(struct bulk_commit *b, struct diag *diag, struct kv_mutation *ret,
                           uint32_t *ret_slot, bool *ret_any)
{
    const struct wb_entry *e;
    do {
        TRY(spill_next(&b->spilled, diag, &e));
    } while (e != NULL && !commit_mutation(b->own.t, e, ret, ret_slot));
    *ret_any = e != NULL;
    return e == NULL ? ERR_OK : keep_mutation(b, ret);
}

static db_err rewind_sources(struct bulk_commit *b, struct diag *diag)
{
    write_runs_close(b->reader);
    b->reader = NULL;
    b->own_at = 0;
    spill_rewind(&b->spilled);
    if (b->spilled.spill != NULL) {
        b->reader_end = true;
        return ERR_OK;
    }
    TRY(write_runs_read(b->own.t->runs, diag, &b->reader));
    return write_runs_next(b->reader, diag, &b->next, &b->reader_end);
}

/* The next mutation in key order; the run's record wins over a mere lock. false: the end. */
static db_err take(struct bulk_commit *b, struct diag *diag, struct kv_mutation *ret,
                   uint32_t *ret_slot, bool *ret_any)
{
    if (b->spilled.spill != NULL) {
        return take_spilled(b, diag, ret, ret_slot, ret_any);
    }
    bool own = b->own_at < b->own.count;
    int c = !own ? 1 : b->reader_end ? -1 : slice_cmp(b->own.muts[b->own_at].key, b->next.key);
    *ret_any = own || !b->reader_end;
    if (!*ret_any) {
        return ERR_OK;
    }
    *ret_slot = 0;
    if (c < 0) {
        *ret = b->own.muts[b->own_at];
        *ret_slot = b->own.slots[b->own_at++];
        return ERR_OK;
    }
    if (c == 0 && b->own.muts[b->own_at].op == KV_LOCK_ONLY) {
        b->own_at++;
    }
    *ret = (struct kv_mutation){.op = b->next.deleted ? KV_DELETE : KV_PUT,
                                .check = b->next.must_be_new ? KV_CHECK_NOT_EXISTS
                                         : b->next.seen      ? KV_CHECK_VERSION
                                                             : KV_CHECK_NONE,
                                .inserts = b->next.fresh,
                                .key = b->next.key,
                                .value = b->next.value,
                                .version_ts = b->next.seen ? b->own.t->read_ts : 0};
    TRY(keep_mutation(b, ret));
    return write_runs_next(b->reader, diag, &b->next, &b->reader_end);
}

static db_err key_twice(struct bulk_commit *b, struct slice key, struct diag *diag)
{
    TRY(commit_copy_conflict(b->own.t, key));
    return diag_set(diag, ERR_KEY_EXISTS, "a key to be inserted exists");
}

/* count 0: the end. */
static db_err next_batch(struct bulk_commit *b, struct diag *diag)
{
    struct commit *c = &b->batch;
    *c = (struct commit){.t = b->own.t,
                         .env = b->own.env,
                         .arena = &b->arena,
                         .start_ts = b->own.start_ts,
                         .ttl_ms = b->own.ttl_ms};
    arena_reset(&b->arena);
    c->muts = ARENA_ARRAY(&b->arena, struct kv_mutation, BATCH_KEYS);
    c->slots = ARENA_ARRAY(&b->arena, uint32_t, BATCH_KEYS);
    if (c->muts == NULL || c->slots == NULL) {
        return ERR_NOMEM;
    }
    while (c->count < BATCH_KEYS && c->bytes < BATCH_BYTES) {
        struct kv_mutation *m = &c->muts[c->count];
        bool any;
        TRY(take(b, diag, m, &c->slots[c->count], &any));
        if (!any) {
            break;
        }
        if (c->count != 0 && slice_eq(m[-1].key, m->key)) {
            return key_twice(b, m->key, diag);
        }
        c->bytes += m->key.len + m->value.len + 32;
        c->count++;
    }
    /* The same key could begin the next batch: it would be found there already, as the
     * transaction's own intent, and left as it is. */
    bool own = b->own_at < b->own.count;
    if (c->count != 0 &&
        ((own && slice_eq(b->own.muts[b->own_at].key, c->muts[c->count - 1].key)) ||
         (!b->reader_end && slice_eq(b->next.key, c->muts[c->count - 1].key)))) {
        return key_twice(b, c->muts[c->count - 1].key, diag);
    }
    c->primary = b->primary;
    return ERR_OK;
}

static db_err prewrite_batch(struct bulk_commit *b, struct diag *diag)
{
    struct commit *c = &b->batch;
    struct slice conflict = SLICE_EMPTY;
    TRY(commit_plan(c, diag));
    b->done += c->count;
    db_err err = commit_prewrite_all(c, diag, &conflict);
    if (err == ERR_KEY_EXISTS) {
        db_err copied = commit_copy_conflict(c->t, conflict);
        err = copied != ERR_OK ? copied : err;
    }
    commit_note_spans(c);
    for (size_t i = 0; i < c->group_count; i++) {
        arena_fini(&c->groups[i].arena);
    }
    return err;
}

/* Everything that is to be written, as intents. */
static db_err prewrite(struct bulk_commit *b, struct heartbeat *beat, struct diag *diag)
{
    TRY(rewind_sources(b, diag));
    for (;;) {
        TRY(next_batch(b, diag));
        if (b->batch.count == 0) {
            return ERR_OK;
        }
        if (b->primary.len == 0) {
            TRY(arena_copy(b->own.arena, b->batch.muts[0].key, &b->primary));
            b->batch.primary = b->primary;
            heartbeat_start(beat, b->own.env, b->primary, b->own.start_ts);
        }
        TRY(prewrite_batch(b, diag));
        TRY(fiber_checkpoint());
    }
}

/* ---- after the decision ---- */

enum { HANDS = 4 };

struct hand {
    struct txn_env *env;
    enum finish_what what;
    ts_t start_ts, commit_ts;
    const struct slice *keys;
    size_t count;
    struct diag diag;
    db_err err;
    struct waiter done;
};

static void hand_main(void *arg)
{
    struct hand *h = arg;
    fiber_set_deadline(DEADLINE_NONE);
    h->err = finish_keys(h->env, h->what, h->start_ts, h->commit_ts, h->keys, h->count, &h->diag);
    wait_signal(&h->done, 0);
}

/* Several stretches of the keys at once. */
static db_err finish_parts(struct bulk_commit *b, enum finish_what what, ts_t commit_ts,
                           const struct slice *keys, size_t n, struct diag *diag)
{
    struct hand hands[HANDS];
    size_t part = n / HANDS + 1;
    size_t started = 0;
    size_t at = 0;
    for (; started < HANDS && at + part < n; started++, at += part) {
        struct hand *h = &hands[started];
        *h = (struct hand){.env = b->own.env,
                           .what = what,
                           .start_ts = b->own.start_ts,
                           .commit_ts = commit_ts,
                           .keys = keys + at,
                           .count = part};
        wait_init(&h->done);
        if (fiber_spawn(loop_current(), hand_main, h) != ERR_OK) {
            break;
        }
    }
    db_err err = finish_keys(b->own.env, what, b->own.start_ts, commit_ts, keys + at, n - at, diag);
    for (size_t i = 0; i < started; i++) {
        wait_block_uncancelable(&hands[i].done);
        if (hands[i].err != ERR_OK && err == ERR_OK) {
            *diag = hands[i].diag;
            err = hands[i].err;
        }
    }
    return err;
}

/* Commits or takes back the first b->done mutations. */
static db_err settle(struct bulk_commit *b, enum finish_what what, ts_t commit_ts,
                     struct diag *diag)
{
    uint64_t left = b->done;
    b->settling = b->spilled.keys_only = true;
    TRY(rewind_sources(b, diag));
    while (left != 0) {
        size_t n = 0;
        arena_reset(&b->arena);
        struct slice *keys = ARENA_ARRAY(&b->arena, struct slice, BATCH_KEYS);
        if (keys == NULL) {
            return ERR_NOMEM;
        }
        while (n < BATCH_KEYS && left != 0 && (n == 0 || b->arena.used < BATCH_BYTES)) {
            struct kv_mutation m;
            uint32_t slot;
            bool any;
            TRY(take(b, diag, &m, &slot, &any));
            if (!any) {
                left = 0;
                break;
            }
            left--;
            keys[n++] = m.key;
        }
        TRY(finish_parts(b, what, commit_ts, keys, n, diag));
    }
    return ERR_OK;
}

static void log_left(const struct bulk_commit *b, db_err err, const struct diag *diag)
{
    if (err != ERR_OK) { /* who meets an intent asks the primary */
        LOG_WARN("txn.finish", F_U64("start_ts", b->own.start_ts), F_ERR(err),
                 F_STR("reason", diag->text));
    }
}

/* The first key is the primary: once that is settled, whoever meets one of the others does not wait
 * for it. */
static void finish_all(struct bulk_commit *b, enum finish_what what, ts_t commit_ts)
{
    struct undisturbed u;
    struct diag ignored;
    diag_reset(&ignored);
    if (b->done == 0) {
        return;
    }
    undisturbed_begin(&u, DEADLINE_NONE);
    log_left(b, settle(b, what, commit_ts, &ignored), &ignored);
    undisturbed_end(&u);
}

static db_err decide(struct bulk_commit *b, struct diag *diag, ts_t *ret_ts)
{
    struct commit primary = {
        .t = b->own.t, .env = b->own.env, .start_ts = b->own.start_ts, .primary = b->primary};
    ts_t commit_ts;
    db_err err = ts_client_next(b->own.env->ts, diag, &commit_ts);
    err = err != ERR_OK              ? err
          : b->spilled.spill == NULL ? commit_check_shared(&b->own, diag)
                                     : commit_check_spilled(&b->own, diag);
    if (err == ERR_OK && fiber_canceled()) {
        err = ERR_CANCELED;
    }
    if (err != ERR_OK) {
        finish_all(b, FINISH_ROLLBACK, 0);
        return err;
    }
    if (b->primary.len == 0) { /* all was taken back to a savepoint */
        *ret_ts = commit_ts;
        return ERR_OK;
    }
    TRY(commit_primary(&primary, commit_ts, diag));
    FAULT(txn_after_primary);
    *ret_ts = commit_ts;
    return ERR_OK;
}

db_err commit_bulk(struct ctxn *t, struct diag *diag, ts_t *ret_ts)
{
    struct bulk_commit b = {.own = {.t = t, .env = t->env, .arena = &t->scratch}};
    struct heartbeat beat;
    TRY(ctxn_need_start(t, diag));
    b.own.start_ts = t->start_ts;
    if (t->spill != NULL) {
        TRY(ctxn_spill_rest(t, diag));
    }
    TRY(commit_collect(&b.own));
    TRY(commit_ttl(&b.own, diag));
    spill_open(&b.spilled, t->spill);
    arena_init(&b.arena, NULL, NULL, 0);
    db_err err = prewrite(&b, &beat, diag);
    if (err == ERR_OK) {
        FAULT(txn_after_prewrite);
        err = decide(&b, diag, ret_ts);
        if (err == ERR_OK) {
            atomic_fetch_add_explicit(&t->env->commits_2pc, 1, memory_order_relaxed);
            finish_all(&b, FINISH_COMMIT, *ret_ts);
        }
    } else {
        finish_all(&b, FINISH_ROLLBACK, 0);
    }
    if (b.primary.len != 0) {
        heartbeat_stop(&beat);
    }
    write_runs_close(b.reader);
    spill_close(&b.spilled);
    arena_fini(&b.arena);
    return err;
}

/* ---- shared locks of a spill ---- */

static db_err check_shared_batch(struct commit *c, struct spill_reader *r, struct diag *diag)
{
    const struct wb_entry *e = NULL;
    c->shared_count = 0;
    do {
        TRY(spill_next(r, diag, &e));
        if (e != NULL && commit_is_shared(c, e)) {
            TRY(arena_copy(c->arena, e->key, &c->shared[c->shared_count]));
            c->shared_slots[c->shared_count++] = e->slot;
        }
    } while (e != NULL && c->shared_count < LOOK_KEYS);
    return commit_check_shared_keys(c, diag);
}

db_err commit_check_spilled(struct commit *c, struct diag *diag)
{
    struct commit some = {
        .t = c->t, .env = c->env, .start_ts = c->start_ts, .read_only = c->read_only};
    struct spill_reader r;
    struct arena a;
    TRY(commit_check_shared(c, diag)); /* gaps */
    if (!c->read_only && !write_spill_has_shared(c->t->spill)) {
        return ERR_OK;
    }
    db_err err = ERR_OK;
    spill_open(&r, c->t->spill);
    r.keys_only = true;
    arena_init(&a, NULL, NULL, 0);
    some.arena = &a;
    while (err == ERR_OK && (r.more || r.at < r.count)) {
        arena_reset(&a);
        some.shared = ARENA_ARRAY(&a, struct slice, LOOK_KEYS);
        some.shared_slots = ARENA_ARRAY(&a, uint32_t, LOOK_KEYS);
        err = some.shared == NULL || some.shared_slots == NULL
                  ? ERR_NOMEM
                  : check_shared_batch(&some, &r, diag);
    }
    arena_fini(&a);
    spill_close(&r);
    return err;
}

/* What stayed in memory goes the usual ways. */
db_err commit_fold_runs(struct ctxn *t, struct diag *diag)
{
    struct write_runs_reader *r;
    struct write_record record;
    bool end = false;
    TRY(write_runs_read(t->runs, diag, &r));
    db_err err = ERR_OK;
    while (err == ERR_OK) {
        struct wb_entry *e;
        err = write_runs_next(r, diag, &record, &end);
        if (err != ERR_OK || end) {
            break;
        }
        ASSERT(!record.seen);
        err = wb_touch(&t->wb, record.key, &e);
        if (err == ERR_OK && e->now.op == WB_PUT && record.must_be_new) {
            err = commit_copy_conflict(t, record.key);
            err =
                err != ERR_OK ? err : diag_set(diag, ERR_KEY_EXISTS, "a key to be inserted exists");
        }
        err = err != ERR_OK    ? err
              : record.deleted ? wb_delete(&t->wb, e)
                               : wb_put(&t->wb, e, record.value,
                                        record.must_be_new && e->lock != WB_LOCK_EXCLUSIVE);
        if (err == ERR_OK) {
            e->fresh = e->fresh || record.fresh;
        }
    }
    write_runs_close(r);
    return err;
}
