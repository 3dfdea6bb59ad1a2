#include "node/range/range_int.h"

#include "base/log.h"

/* Which ranges become one by themselves.
 *
 * Once a second, where a range is led: if it and its right neighbour together are small, neither
 * has much load, and neither was split for a while, the neighbour is brought here and merged. The
 * limits are far below those of splits (a quarter of the size, an eighth of the load), so that what
 * was merged does not have to be split soon again.
 *
 * Ranges are looked at in turn, a round takes some time and no more, and one that could not be
 * merged is left alone for a while: shortly if it or its neighbour was busy (their own leaders may
 * be merging them), for long if they are too large. */

#define MERGE_QUEUE_NS (1 * NS_PER_S)
#define ROUND_TIME_NS  (1 * NS_PER_S)
#define AFTER_BUSY_NS  (2 * NS_PER_S)
#define AFTER_LARGE_NS (120 * NS_PER_S)
#define GATHER_TIME_NS (30 * NS_PER_S)
enum { SIZE_PART = 4, LOAD_PART = 8, LOAD_SMALL = 1000 };

struct weight_job {
    struct range_store *rs;
    struct range_desc desc;
    struct data_size size;
    db_err err;
};

static void weigh_job(void *arg)
{
    struct weight_job *j = arg;
    j->err = range_data_size(j->rs, &j->desc, &j->size);
}

static bool has_load(struct replica *r)
{
    uint32_t limit = r->rs->opts.split_load / LOAD_PART;
    return atomic_load(&r->load_rate) > (limit > LOAD_SMALL ? limit : LOAD_SMALL);
}

static bool too_young(const struct replica *r, uint64_t now)
{
    uint64_t after = (uint64_t)r->rs->opts.merge_after_ms * NS_PER_MS;
    return after == 0 || now - atomic_load(&r->shaped_ns) < after;
}

static db_err weigh(struct replica *r, uint64_t *ret_bytes)
{
    struct weight_job j = {.rs = r->rs};
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    j.err = replica_copy_desc(r, &a, &j.desc);
    if (j.err == ERR_OK) {
        blocking_run(weigh_job, &j);
    }
    arena_fini(&a);
    *ret_bytes = j.size.in_files + j.size.in_memory;
    return j.err;
}

db_err range_store_weigh(struct range_store *rs, range_id_t id, struct diag *diag,
                         uint64_t *ret_bytes)
{
    struct replica *r;
    TRY(replica_find_led(rs, id, diag, &r));
    /* who is merged or split by others holds it reserved; who asks for itself does too */
    bool not_now =
        atomic_load(&r->merging_into) != 0 || has_load(r) || too_young(r, clock_mono_ns());
    db_err err = not_now ? diag_set(diag, ERR_BUSY, "range %llu is not to be merged now",
                                    (unsigned long long)id)
                         : weigh(r, ret_bytes);
    replica_let_go(r);
    return err;
}

static bool is_candidate(const struct replica *r, uint64_t now)
{
    return r->id != RANGE_ID_META && replica_is(r, REPLICA_LIVE) &&
           atomic_load(&r->lease_term) != 0 && !atomic_load(&r->reshaping) &&
           atomic_load(&r->merging_into) == 0 && now >= r->merge_look_ns && !too_young(r, now);
}

static bool is_last(struct replica *r)
{
    unsigned slot = ebr_enter(&r->rs->ebr);
    bool last = replica_desc(r)->end.len == 0;
    ebr_leave(&r->rs->ebr, slot);
    return last;
}

static void consider(struct replica *r, uint64_t now)
{
    struct range_store *rs = r->rs;
    uint64_t max = rs->opts.range_size_max / SIZE_PART;
    uint64_t size = 0;
    range_id_t right;
    struct diag diag;
    diag_reset(&diag);
    if (is_last(r) || has_load(r)) {
        r->merge_look_ns = now + AFTER_BUSY_NS;
        return;
    }
    db_err err = weigh(r, &size);
    if (err == ERR_OK && size > max) {
        err = ERR_LIMIT;
    }
    if (err == ERR_OK) {
        fiber_set_deadline(now + GATHER_TIME_NS);
        err = merge_right_of(rs, r->id, max - size, &diag, &right);
        fiber_set_deadline(DEADLINE_NONE);
    }
    now = clock_mono_ns();
    if (err == ERR_OK) {
        r->merge_look_ns = 0; /* on to the next neighbour */
    } else {
        r->merge_look_ns = now + (err == ERR_LIMIT ? AFTER_LARGE_NS : AFTER_BUSY_NS);
        LOG_DEBUG("range.merge.not_now", F_U64("range", r->id), F_ERR(err),
                  F_STR("reason", diag.text));
    }
}

/* False: the round is over. */
static bool consider_bucket(struct range_store *rs, uint64_t until)
{
    struct replica *r = atomic_load(&rs->buckets[rs->merge_at]);
    bool in_map = true;
    while (r != NULL && in_map) {
        struct replica *held = NULL;
        uint64_t now = clock_mono_ns();
        if (now > until || atomic_load(&rs->stopping) || atomic_load(&rs->disk_full) != 0) {
            return false;
        }
        if (is_candidate(r, now)) {
            held = r;
            replica_hold(r);
            consider(r, now);
        }
        in_map = !atomic_load(&r->retired); /* else what came after it may be freed already */
        r = atomic_load(&r->map_next);
        if (held != NULL) {
            replica_let_go(held);
        }
    }
    return true;
}

void range_store_merge_round(struct range_store *rs)
{
    uint64_t until = clock_mono_ns() + ROUND_TIME_NS;
    for (unsigned n = 0; n < REPLICA_BUCKETS; n++) {
        if (!consider_bucket(rs, until)) {
            return;
        }
        rs->merge_at = (rs->merge_at + 1) % REPLICA_BUCKETS;
    }
}

static void merge_round(void *arg)
{
    struct range_store *rs = arg;
    if (!atomic_load(&rs->failed)) {
        range_store_merge_round(rs);
    }
}

db_err merge_queue_start(struct range_store *rs)
{
    return rs->opts.merge_after_ms == 0
               ? ERR_OK
               : periodic_start(&rs->merge_queue, rs->loops[rs->loop_count - 1].loop,
                                MERGE_QUEUE_NS, merge_round, rs);
}

void merge_queue_stop(struct range_store *rs)
{
    periodic_stop(&rs->merge_queue);
}
