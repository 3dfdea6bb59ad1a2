#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"
#include "base/log.h"
#include "node/store/keyspace.h"
#include "node/store/varint.h"

/* Splitting a range in two.
 *
 * A split is an entry in the left range's log: the id of the new range and the key where it begins.
 * Applying it writes both descriptors, the new range's initial applied index and configuration, in
 * the same engine batch as the left range's applied index. So after any crash either the left range
 * is whole and its log will split it again, or both exist. The new range's log group is made when
 * its replica opens; a replay finds it as it was.
 *
 * At the leaseholder, writes are kept out (frozen) from before the proposal until the lock table
 * has been divided. Readers notice by the epoch, which they check again after reading. */

static db_err encode_split(struct buf *b, range_id_t new_id, struct slice at)
{
    uint8_t bytes[VARINT_MAX];
    TRY(buf_append(b, bytes, varint_put(bytes, new_id)));
    return buf_append_slice(b, at);
}

static db_err decode_split(struct slice payload, range_id_t *ret_id, struct slice *ret_at)
{
    const uint8_t *pos = payload.ptr;
    const uint8_t *end = payload.ptr + payload.len;
    uint64_t id;
    if (!varint_get(&pos, end, &id) || pos == end || id == 0) {
        return ERR_CORRUPT;
    }
    *ret_id = id;
    *ret_at = slice_of(pos, (size_t)(end - pos));
    return ERR_OK;
}

static db_err put_halves(struct engine_wbatch *wb, const struct range_desc *left,
                         const struct range_desc *right)
{
    struct raft_conf conf = {.count = right->replica_count};
    for (unsigned i = 0; i < right->replica_count; i++) {
        const struct replica_desc *d = &right->replicas[i];
        conf.members[i] = (struct raft_member){
            d->replica_id, d->kind == REPLICA_LEARNER ? RAFT_ROLE_LEARNER : RAFT_ROLE_VOTER};
    }
    TRY(store_put_desc(wb, left));
    TRY(store_put_desc(wb, right));
    TRY(store_put_conf(wb, right->id, &conf, 0));
    return engine_wbatch_applied(wb, right->id, RANGE_INIT_INDEX, RANGE_INIT_TERM);
}

db_err split_apply(struct range_loop *l, struct replica *r, struct slice payload,
                   struct split_ctx *ctx)
{
    range_id_t new_id;
    struct slice at;
    TRY(decode_split(payload, &new_id, &at));
    FAULT(range_before_split_apply);
    /* the descriptor as of this place in the log; it may not be published yet */
    struct range_desc left = r->apply_view->desc;
    if (!range_desc_contains(&left, at) || slice_eq(at, left.start)) {
        return ERR_CORRUPT;
    }
    struct range_desc right = left;
    left.epoch.version++;
    right.epoch = (struct range_epoch){.version = left.epoch.version, .conf = 1};
    right.id = new_id;
    right.start = at;
    left.end = at;

    struct applied_split *s = mem_calloc(1, sizeof(*s));
    struct range_view *v = range_view_new(&left);
    db_err err = s == NULL || v == NULL ? ERR_NOMEM : ERR_OK;
    struct replica *fresh = ctx == NULL ? NULL : ctx->right;
    if (err == ERR_OK && fresh == NULL) {
        err = replica_new(r->rs, &right, &fresh);
    } else if (err == ERR_OK) {
        struct range_view *rv = range_view_new(&right);
        err = rv == NULL ? ERR_NOMEM : ERR_OK;
        if (rv != NULL) {
            range_view_publish(fresh, rv);
            fresh->apply_view = rv;
            fresh->apply_version = right.epoch.version;
        }
    }
    if (err == ERR_OK) {
        err = put_halves(l->apply[l->apply_cur].wb, &left, &right);
    }
    if (err != ERR_OK) {
        mem_free(s);
        mem_free(v);
        return err;
    }
    if (ctx != NULL) {
        ctx->right = NULL;
    }
    list_init(&s->link);
    s->left = r;
    s->right = fresh;
    s->left_view = v;
    s->moved_locks = ctx != NULL;
    r->apply_version = left.epoch.version;
    r->apply_view = v;
    list_push_back(&l->apply[l->apply_cur].splits, &s->link);
    return ERR_OK;
}

void split_finish(struct range_loop *l, struct applied_split *s)
{
    struct replica *left = s->left;
    struct replica *right = s->right;
    /* first the epoch, then the locks: see eval_release */
    range_view_publish(left, s->left_view);
    if (s->moved_locks) {
        db_err err = eval_range_split(&left->eval, replica_desc(right)->start, &right->eval);
        if (err != ERR_OK) {
            /* Without their locks the transactions that hold them must not go on as if they had
             * them: a lease of a new term makes them validate. */
            LOG_WARN("range.split.locks", F_U64("range", left->id), F_ERR(err));
        }
        right->keep_locks = err == ERR_OK;
    }
    replica_register(l->rs, right);
    atomic_fetch_add(&l->rs->stat_splits, 1);
    if (replica_start(right) != ERR_OK) {
        range_store_fatal(l->rs, ERR_NOMEM, "no fiber to open a new range");
    }
    if (l->rs->opts.hooks != NULL && atomic_load(&left->lease_term) != 0) {
        l->rs->opts.hooks->changed(l->rs->opts.hooks->ctx, replica_desc(left));
    }
    mem_free(s);
}

/* ---- by command ---- */

static db_err split_checked(struct replica *r, const struct range_desc *desc, struct slice at,
                            struct diag *diag, range_id_t *ret_new_id)
{
    struct range_store *rs = r->rs;
    range_id_t new_id;
    struct replica *right;
    struct buf payload;
    TRY(rs->opts.hooks->new_range_id(rs->opts.hooks->ctx, diag, &new_id));
    struct range_desc rdesc = *desc;
    rdesc.id = new_id;
    rdesc.start = at;
    TRY(replica_new(rs, &rdesc, &right));
    struct split_ctx ctx = {.right = right};
    buf_init(&payload, STORE_BATCH_SIZE_MAX);
    db_err err = encode_split(&payload, new_id, at);
    bool left_frozen = false;
    bool right_frozen = false;
    if (err == ERR_OK) {
        err = eval_range_freeze(&r->eval, DEADLINE_NONE);
        left_frozen = err == ERR_OK;
    }
    if (err == ERR_OK) {
        err = eval_range_freeze(&right->eval, DEADLINE_NONE);
        right_frozen = err == ERR_OK;
    }
    if (err == ERR_OK) {
        struct proposal p = {.kind = ENTRY_SPLIT,
                             .epoch_version = desc->epoch.version,
                             .lease_term = atomic_load(&r->lease_term),
                             .payload = buf_slice(&payload),
                             .split = &ctx};
        err = replica_propose(r, &p, diag);
    }
    if (right_frozen) {
        eval_range_thaw(&right->eval);
    }
    if (left_frozen) {
        eval_range_thaw(&r->eval);
    }
    replica_free(ctx.right); /* not taken: the split was not applied here */
    buf_fini(&payload);
    if (err == ERR_OK) {
        *ret_new_id = new_id;
    }
    return err;
}

db_err range_store_split(struct range_store *rs, range_id_t id, struct slice at, struct diag *diag,
                         range_id_t *ret_new_id)
{
    struct replica *r = replica_find(rs, id);
    if (r == NULL) {
        return diag_set(diag, ERR_RANGE_NOT_FOUND, "range %llu is not on this node",
                        (unsigned long long)id);
    }
    if (atomic_load(&r->lease_term) == 0) {
        return diag_set(diag, ERR_NOT_LEADER, "this node does not lead range %llu",
                        (unsigned long long)id);
    }
    if (id == RANGE_ID_META) {
        return diag_set(diag, ERR_INVALID, "the meta range cannot be split");
    }
    if (atomic_exchange(&r->splitting, true)) {
        return diag_set(diag, ERR_BUSY, "range %llu is being split", (unsigned long long)id);
    }
    struct arena a;
    struct range_desc desc;
    arena_init(&a, NULL, NULL, 0);
    unsigned slot = ebr_enter(&rs->ebr);
    db_err err = range_desc_copy(&a, replica_desc(r), &desc);
    ebr_leave(&rs->ebr, slot);
    if (err == ERR_OK && (!range_desc_contains(&desc, at) || slice_eq(at, desc.start))) {
        err =
            diag_set(diag, ERR_INVALID, "the key is not inside range %llu", (unsigned long long)id);
    }
    if (err == ERR_OK) {
        err = split_checked(r, &desc, at, diag, ret_new_id);
    }
    arena_fini(&a);
    atomic_store(&r->splitting, false);
    return err;
}

/* ---- where to split ---- */

enum { MIDDLE_BYTES = 24 }; /* of a key that bisection looks at */

/* The byte string half-way between a and b, as numbers of n bytes. b empty: the greatest. */
static void halve(const uint8_t *a, const uint8_t *b, size_t n, uint8_t *out)
{
    unsigned carry = 0;
    uint16_t sum[MIDDLE_BYTES];
    for (size_t i = n; i-- > 0;) {
        unsigned v = (unsigned)a[i] + b[i] + carry;
        sum[i] = (uint16_t)(v & 0xff);
        carry = v >> 8;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned v = carry << 8 | sum[i];
        out[i] = (uint8_t)(v >> 1);
        carry = v & 1;
    }
}

static db_err size_below(struct engine *e, struct arena *a, struct slice from, struct slice to,
                         uint64_t *ret_size)
{
    struct slice lo;
    struct slice hi = SLICE_EMPTY;
    TRY(data_key_make(a, from, UINT64_MAX, &lo));
    if (to.len != 0) {
        TRY(data_key_make(a, to, UINT64_MAX, &hi));
    }
    return engine_approximate_size(e, ENGINE_DATA, lo, hi, ret_size);
}

static void load_bytes(struct slice key, size_t skip, uint8_t fill, uint8_t *out)
{
    memset(out, fill, MIDDLE_BYTES);
    if (key.len > skip) {
        size_t n = key.len - skip < MIDDLE_BYTES ? key.len - skip : MIDDLE_BYTES;
        memset(out, 0, MIDDLE_BYTES);
        memcpy(out, key.ptr + skip, n);
    }
}

/* The first user key at or after `key` that splits the range into two. Blocks. */
static db_err key_at(struct range_store *rs, const struct range_desc *desc, struct slice key,
                     struct arena *arena, bool *ret_found, struct slice *ret_key)
{
    struct engine_iter_opts opts = {.tier = ENGINE_ANY};
    struct engine_iter *it;
    struct slice from;
    TRY(data_key_make(arena, key, UINT64_MAX, &from));
    TRY(engine_iter_open(rs->opts.engine, ENGINE_DATA, &opts, &it));
    db_err err = engine_iter_seek(it, from);
    bool found = false;
    if (err == ERR_OK && it->valid) {
        struct slice user = data_key_user(it->key);
        if (range_desc_contains(desc, user) && !slice_eq(user, desc->start)) {
            found = true;
            err = arena_copy(arena, user, ret_key);
        }
    }
    engine_iter_close(it);
    *ret_found = err == ERR_OK && found;
    return err;
}

db_err split_find_middle(struct range_store *rs, const struct range_desc *desc, struct arena *arena,
                         bool *ret_found, struct slice *ret_key)
{
    struct engine *e = rs->opts.engine;
    uint8_t lo[MIDDLE_BYTES];
    uint8_t hi[MIDDLE_BYTES];
    uint8_t mid[MIDDLE_BYTES];
    uint64_t total;
    size_t skip = 0;
    while (skip < desc->start.len && skip < desc->end.len &&
           desc->start.ptr[skip] == desc->end.ptr[skip]) {
        skip++;
    }
    TRY(size_below(e, arena, desc->start, desc->end, &total));
    load_bytes(desc->start, skip, 0, lo);
    load_bytes(desc->end, skip, 0xff, hi);
    uint8_t *key = arena_alloc(arena, skip + MIDDLE_BYTES);
    if (key == NULL) {
        return ERR_NOMEM;
    }
    if (skip != 0) {
        memcpy(key, desc->start.ptr, skip);
    }
    for (int step = 0; step < 8 * MIDDLE_BYTES; step++) {
        uint64_t below;
        halve(lo, hi, MIDDLE_BYTES, mid);
        if (memcmp(mid, lo, MIDDLE_BYTES) == 0) {
            break;
        }
        memcpy(key + skip, mid, MIDDLE_BYTES);
        TRY(size_below(e, arena, desc->start, slice_of(key, skip + MIDDLE_BYTES), &below));
        bool close = below > total * 2 / 5 && below < total * 3 / 5;
        memcpy(below < total / 2 ? lo : hi, mid, MIDDLE_BYTES);
        if (close) {
            break;
        }
    }
    memcpy(key + skip, mid, MIDDLE_BYTES);
    return key_at(rs, desc, slice_of(key, skip + MIDDLE_BYTES), arena, ret_found, ret_key);
}
