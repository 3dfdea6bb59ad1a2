#include "node/range/range_int.h"

#include "base/assert.h"
#include "base/log.h"

/* Upkeep of all ranges, in one fiber: once a second it lets the log forget what the engine holds
 * durably, flushes the engine when the log has grown too large for that or the node is at rest,
 * splits ranges that have grown, and lets replicas go that stand for nothing any more (retire.c).
 * It looks only at ranges that have changed, so idle ones cost nothing. */

/* Replicas whose log may be longer than needed, asked about together: what waits for the next flush
 * is asked about in every round, and may be many. */
enum { COMPACT_BATCH = 128 };
/* Groups in one round whose entries are written again, and how much of each at most. */
enum { REPEAT_BATCH = 32, REPEAT_BYTES_MAX = 256 << 10 };
/* A part of the largest size of a range that may be in memory when its middle is asked for. */
enum { MEMORY_PART = 8 };

struct compact_look {
    struct replica *r;
    uint64_t durable;
    db_err err;
};

struct compact_batch {
    struct compact_look looks[COMPACT_BATCH];
    unsigned count;
    bool short_of_space;
};

static void read_durable(void *arg)
{
    struct compact_batch *b = arg;
    for (unsigned i = 0; i < b->count; i++) {
        struct compact_look *k = &b->looks[i];
        uint64_t term;
        k->err = engine_applied_durable(k->r->rs->opts.engine, k->r->id, &k->durable, &term);
    }
}

static void compact_looked_at(const struct compact_look *k, bool short_of_space)
{
    struct replica *r = k->r;
    if (k->err != ERR_OK || k->durable <= atomic_load(&r->compacted_index) ||
        !replica_is(r, REPLICA_LIVE)) {
        return;
    }
    struct compact_msg m = {
        .msg.kind = INBOX_COMPACT, .index = k->durable, .short_of_space = short_of_space};
    wait_init(&m.waiter);
    inbox_push(r, &m.msg);
    wait_block_uncancelable(&m.waiter);
}

static void compact_all(struct compact_batch *b)
{
    if (b->count != 0) {
        blocking_run(read_durable, b);
    }
    for (unsigned i = 0; i < b->count; i++) {
        compact_looked_at(&b->looks[i], b->short_of_space);
    }
    b->count = 0;
}

static void compact_replica(struct compact_batch *b, struct replica *r)
{
    if (!replica_is(r, REPLICA_LIVE) ||
        atomic_load(&r->applied_index) <= atomic_load(&r->compacted_index)) {
        return;
    }
    b->looks[b->count++] = (struct compact_look){.r = r};
    if (b->count == COMPACT_BATCH) {
        compact_all(b);
    }
}

/* A start applies again what was logged since the last flush, some 50 MB a second: so there is one
 * when that has become much, and one when a node has come to rest. */
static bool flush_due(struct range_store *rs)
{
    struct raft_log_stats st;
    struct raft_log_holder holder;
    size_t count;
    struct flush_state *f = &rs->flush;
    raft_log_stats(rs->opts.log, &st);
    raft_log_oldest(rs->opts.log, &holder, 1, &count);
    uint64_t max = rs->opts.log_size_max;
    if ((atomic_load(&rs->disk_full) & FULL_SOON) != 0) {
        max /= 4; /* what the log gives back may be enough to go on */
    }
    if (!f->begun) {
        f->begun = true;
        f->replayed = count != 0 ? holder.behind_bytes : 0;
    }
    f->quiet_rounds = st.bytes == f->last_bytes ? f->quiet_rounds + 1 : 0;
    f->last_bytes = st.bytes;
    uint64_t since = st.bytes - f->flushed_bytes + f->replayed;
    unsigned left = atomic_load(&rs->logs_left);
    if (f->quiet_rounds >= FLUSH_QUIET_ROUNDS && (since > FLUSH_QUIET_MIN || left != 0)) {
        return true;
    }
    if (left >= FLUSH_LOGS_LEFT) {
        return true;
    }
    /* the log may be held by something that a flush does not help */
    return count != 0 && holder.behind_bytes > max && since > max / 4;
}

struct size_job {
    struct replica *r;
    struct range_desc desc;
    struct arena arena;
    struct data_size size;
    bool found;
    struct slice key;
    db_err err;
};

static uint64_t whole(const struct size_job *j)
{
    return j->size.in_files + j->size.in_memory;
}

static void measure(void *arg)
{
    struct size_job *j = arg;
    struct range_store *rs = j->r->rs;
    struct slice key;
    /* the whole range, then its middle if it is too large */
    j->err = split_find_middle(rs, &j->desc, &j->arena, &j->found, &key);
    if (j->err == ERR_OK && j->found) {
        j->key = key;
    }
}

static void measure_size(void *arg)
{
    struct size_job *j = arg;
    j->err = range_data_size(j->r->rs, &j->desc, &j->size);
}

static bool flush(struct range_store *rs)
{
    uint64_t number = atomic_fetch_add(&rs->flush_begun, 1) + 1;
    atomic_fetch_add(&rs->stat_flushes, 1);
    db_err err = engine_flush_wait(rs->opts.engine);
    if (err != ERR_OK && err != ERR_DISK_FULL) {
        LOG_WARN("range.flush.failed", F_ERR(err));
    }
    if (err == ERR_OK) {
        struct raft_log_stats st;
        raft_log_stats(rs->opts.log, &st);
        rs->flush.flushed_bytes = st.bytes;
        rs->flush.replayed = 0;
        atomic_store(&rs->flush_done, number);
    }
    return err == ERR_OK;
}

/* Memtables count, or a fast load would fill one range. Where the middle is the engine tells by its
 * files, and what is in memory is larger than in them: if there is much of it in a range that looks
 * too large, it is flushed first. */
static db_err full_size(struct replica *r, struct size_job *j)
{
    struct range_store *rs = r->rs;
    uint64_t max = rs->opts.range_size_max;
    blocking_run(measure_size, j);
    if (j->err == ERR_OK && whole(j) > max && j->size.in_memory > max / MEMORY_PART &&
        space_for_flush(rs) && flush(rs)) {
        blocking_run(measure_size, j);
    }
    if (j->err == ERR_OK) {
        atomic_store(&r->size, whole(j));
    }
    return j->err;
}

/* In the middle of the keys. Both halves are looked at again in the next round: the middle is an
 * estimate, and what was written meanwhile may be of one of them. Who leads the right one looks at
 * it because it is new. */
static void split_in_two(struct replica *r, struct size_job *j)
{
    struct range_store *rs = r->rs;
    struct diag diag;
    range_id_t id = 0;
    blocking_run(measure, j);
    if (j->err != ERR_OK || !j->found) {
        return;
    }
    r->look_again = true;
    diag_reset(&diag);
    j->err = range_store_split(rs, r->id, j->key, &diag, &id);
    if (j->err != ERR_OK) {
        LOG_WARN("range.split.failed", F_U64("range", r->id), F_ERR(j->err),
                 F_STR("reason", diag.text));
        return;
    }
    LOG_INFO("range.split", F_U64("range", r->id), F_U64("new_range", id), F_U64("size", whole(j)));
}

static void split_if_large(struct replica *r)
{
    struct range_store *rs = r->rs;
    uint64_t written = atomic_load(&r->written_bytes);
    uint64_t term = atomic_load(&r->lease_term);
    bool fresh = term != r->looked_term; /* who led it before may have been about to split it */
    if (r->id == RANGE_ID_META || term == 0 ||
        (written - r->looked_at < rs->opts.range_size_max / 16 && !r->look_again && !fresh)) {
        return;
    }
    r->looked_at = written;
    r->looked_term = term;
    r->look_again = false;
    struct size_job j = {.r = r};
    arena_init(&j.arena, NULL, NULL, 0);
    unsigned slot = ebr_enter(&rs->ebr);
    j.err = range_desc_copy(&j.arena, replica_desc(r), &j.desc);
    ebr_leave(&rs->ebr, slot);
    if (j.err == ERR_OK && full_size(r, &j) == ERR_OK && whole(&j) > rs->opts.range_size_max) {
        split_in_two(r, &j);
    }
    r->look_again = r->look_again || j.err != ERR_OK;
    arena_fini(&j.arena);
}

static bool log_too_long(struct range_store *rs)
{
    struct raft_log_holder holder;
    size_t count;
    raft_log_oldest(rs->opts.log, &holder, 1, &count);
    return count != 0 && holder.behind_bytes > 2 * rs->opts.log_size_max;
}

/* What members keep of the log for each other holds back too much of it. */
static bool short_of_space(struct range_store *rs)
{
    return (atomic_load(&rs->disk_full) & FULL_SOON) != 0 || log_too_long(rs);
}

/* Groups that hold the oldest segment when all that could be compacted is: replicas that wait for a
 * state, or have entries that nobody commits. What they hold goes to the end of the log. */
static void repeat_job(void *arg)
{
    struct range_store *rs = arg;
    struct raft_log_holder holders[REPEAT_BATCH];
    size_t count;
    raft_log_oldest(rs->opts.log, holders, REPEAT_BATCH, &count);
    for (size_t i = 0; i < count; i++) {
        struct diag diag;
        diag_reset(&diag);
        db_err err =
            raft_log_repeat(rs->opts.log, holders[i].group, REPEAT_BYTES_MAX, NULL, NULL, &diag);
        LOG_DEBUG("range.log.repeat", F_U64("range", holders[i].group), F_ERR(err));
    }
}

void range_store_upkeep(struct range_store *rs, bool force_flush)
{
    fiber_mutex_lock(&rs->upkeep_lock);
    if (force_flush || (flush_due(rs) && space_for_flush(rs))) {
        (void)flush(rs);
    }
    uint64_t now = clock_mono_ns();
    struct compact_batch batch = {.short_of_space = short_of_space(rs)};
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load_explicit(&rs->buckets[i], memory_order_acquire);
        for (; r != NULL && !atomic_load(&rs->stopping); r = r->map_next) {
            compact_replica(&batch, r);
            split_if_large(r);
            load_look(r, now);
            replica_tend(r);
            merge_resolve(r);
            replica_forget_log(r);
        }
    }
    compact_all(&batch);
    if (batch.short_of_space && log_too_long(rs)) {
        blocking_run(repeat_job, rs);
    }
    if (!atomic_load(&rs->stopping)) {
        replicas_retire(rs);
    }
    fiber_mutex_unlock(&rs->upkeep_lock);
}

static void upkeep_round(void *arg)
{
    struct range_store *rs = arg;
    if (!atomic_load(&rs->failed)) {
        range_store_upkeep(rs, false);
    }
}

db_err upkeep_start(struct range_store *rs)
{
    return periodic_start(&rs->upkeep, rs->loops[0].loop, RANGE_UPKEEP_NS, upkeep_round, rs);
}

void upkeep_stop(struct range_store *rs)
{
    ASSERT(atomic_load(&rs->stopping));
    periodic_stop(&rs->upkeep);
}
