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
 * Applying it writes both descriptors, the new range's initial applied index and configuration (the
 * same members, under the same replica ids; the term is that of the entry, so that no term of the
 * new range is one in which the old one gave locks away), in the same engine batch as the left
 * range's applied index. So after any crash either the left range is whole and its log will split
 * it again, or both exist. The new range's log group is made when its replica opens; a replay finds
 * it as it was.
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
                         const struct range_desc *right, uint64_t term)
{
    struct raft_conf conf;
    TRY(store_put_desc(wb, left));
    TRY(members_conf_of(right, &conf));
    TRY(store_put_desc(wb, right));
    TRY(store_put_conf(wb, right->id, &conf, 0));
    TRY(store_delete_gone(wb, right->id));
    return engine_wbatch_applied(wb, right->id, RANGE_INIT_INDEX, term);
}

/* What stood for it before; held, or NULL. */
static struct replica *find_shell(struct range_store *rs, range_id_t id)
{
    pthread_mutex_lock(&rs->map_lock); /* under which it would leave the map */
    struct replica *shell = replica_find(rs, id);
    if (shell != NULL) {
        replica_hold(shell);
    }
    pthread_mutex_unlock(&rs->map_lock);
    return shell;
}

/* Of a range that nothing stands for. */
static db_err lowest_replica(struct range_store *rs, range_id_t id, uint64_t *ret_min)
{
    struct gone_fate f = {0};
    if (gone_get(&rs->gone, id, &f) == GONE_PERHAPS) {
        return store_min_replica(rs->opts.engine, id, ret_min);
    }
    *ret_min = f.min_replica_id;
    return ERR_OK;
}

/* The replica that is to be the right half; held. *ret_right NULL: this node was a member of it
 * once and is not any more, which a replay or a late replica finds out here. */
static db_err right_half(struct replica *left, const struct range_desc *right,
                         struct split_ctx *ctx, struct replica **ret_right)
{
    struct range_store *rs = left->rs;
    uint64_t own = desc_replica_on(right, rs->ident.node_id);
    struct replica *shell = find_shell(rs, right->id);
    if (shell != NULL) {
        /* nobody else may take that part of the key space while the left half covers it */
        bool empty = replica_is(shell, REPLICA_EMPTY) && (ctx == NULL || ctx->right == NULL);
        bool comes = empty && own >= atomic_load(&shell->min_replica_id);
        *ret_right = comes ? shell : NULL;
        if (!comes) {
            replica_let_go(shell);
        }
        return empty ? ERR_OK : ERR_CORRUPT;
    }
    if (ctx == NULL) {
        uint64_t min = 0;
        TRY(lowest_replica(rs, right->id, &min));
        if (own < min) {
            *ret_right = NULL;
            return ERR_OK;
        }
        TRY(replica_new(rs, right, ret_right));
        atomic_store(&(*ret_right)->min_replica_id, min);
        replica_hold(*ret_right);
        return ERR_OK;
    }
    struct replica *fresh = ctx->right;
    struct range_view *v = range_view_new(right);
    if (v == NULL) {
        return ERR_NOMEM;
    }
    range_view_publish(fresh, v);
    fresh->apply_view = v;
    fresh->apply_version = right->epoch.version;
    fresh->replica_id = desc_replica_on(right, rs->ident.node_id);
    atomic_store(&fresh->pinned, right->replica_count > 1);
    ctx->right = NULL;
    replica_hold(fresh);
    *ret_right = fresh;
    return ERR_OK;
}

static db_err split_put(struct range_loop *l, const struct range_desc *left,
                        const struct range_desc *right, uint64_t term, bool here)
{
    struct engine_wbatch *wb = l->apply[l->apply_cur].wb;
    if (here) {
        return put_halves(wb, left, right, term);
    }
    TRY(store_put_desc(wb, left));
    return store_delete_data(l->rs->opts.engine, wb, right->start, right->end);
}

static db_err copy_right(struct applied_change *c, const struct range_desc *right)
{
    c->right_view = range_view_new(right);
    return c->right_view == NULL ? ERR_NOMEM : ERR_OK;
}

db_err split_apply(struct range_loop *l, struct replica *r, uint64_t term, struct slice payload,
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
    right.epoch.version = left.epoch.version; /* epoch.conf goes on: replica ids are made of it */
    right.id = new_id;
    right.start = at;
    left.end = at;
    left.right_id = new_id;

    bool by_command = ctx != NULL;
    struct applied_change *c = mem_calloc(1, sizeof(*c));
    struct range_view *v = range_view_new(&left);
    struct replica *half = NULL;
    db_err err = c == NULL || v == NULL ? ERR_NOMEM : right_half(r, &right, ctx, &half);
    if (err == ERR_OK) {
        err = split_put(l, &left, &right, term, half != NULL);
    }
    if (err != ERR_OK) { /* the replica breaks: what was made for it stays as it is */
        mem_free(c);
        mem_free(v);
        return err;
    }
    list_init(&c->link);
    c->replica = r;
    c->right = half;
    c->view = v;
    c->moved_locks = by_command;
    r->apply_version = left.epoch.version;
    r->apply_view = v;
    if (half != NULL && replica_is(half, REPLICA_EMPTY)) {
        err = copy_right(c, &right);
    }
    list_push_back(&l->apply[l->apply_cur].changes, &c->link);
    return err;
}

/* Registers the right half, or makes the shell that stands for it the real one. */
static db_err adopt_right(struct range_store *rs, struct applied_change *c)
{
    struct replica *left = c->replica;
    db_err err = ERR_OK;
    pthread_mutex_lock(&rs->map_lock);
    /* first the epoch, then the locks: see eval_release */
    range_view_publish(left, c->view);
    if (c->right_view != NULL) {
        err = replica_assign(c->right, &c->right_view->desc);
    } else if (c->right != NULL) {
        replica_register(rs, c->right);
    }
    pthread_mutex_unlock(&rs->map_lock);
    mem_free(c->right_view);
    return err;
}

/* The log is told that the split is committed: a start with an engine that does not hold it yet
 * makes the right half at once, not when the left one has a leader, and its right half after that,
 * one election after the other. The other members apply it as soon as they hear that it is
 * committed. */
static void after_split(struct range_loop *l, struct replica *left)
{
    bool leads = left->leading && atomic_load(&left->on_lane);
    struct raft_event events[] = {{.type = RAFT_EV_SAVE_COMMIT}, {.type = RAFT_EV_HEARTBEAT}};
    for (unsigned i = 0; i < (leads ? 2 : 1); i++) {
        db_err err;
        if (replica_runs(left) && replica_step(l, left, &events[i], &err)) {
            replica_mark_dirty(l, left);
        }
    }
}

void split_finish(struct range_loop *l, struct applied_change *c)
{
    struct replica *left = c->replica;
    struct replica *right = c->right;
    const struct range_hooks *h = l->rs->opts.hooks;
    db_err err = adopt_right(l->rs, c);
    atomic_store(&left->shaped_ns, clock_mono_ns());
    l->links_dirty = true;
    atomic_fetch_add(&l->rs->stat_splits, 1);
    if (right != NULL && c->moved_locks) {
        db_err moved = eval_range_split(&left->eval, replica_desc(right)->start, &right->eval);
        if (moved != ERR_OK) {
            /* Without their locks the transactions that hold them must not go on as if they had
             * them: the lease of the new range has another term, they validate. */
            LOG_WARN("range.split.locks", F_U64("range", left->id), F_ERR(moved));
        }
        right->keep_locks = moved == ERR_OK;
    }
    if (right != NULL && err == ERR_OK) {
        if (left->leading) { /* it need not wait for a time-out to have a leader */
            right->campaign_until_ns = clock_mono_ns() + RANGE_CAMPAIGN_FOR_NS;
        }
        err = replica_start(right);
    }
    if (err != ERR_OK) {
        range_store_fatal(l->rs, err, "a new range cannot be opened");
    }
    after_split(l, left);
    if (h != NULL && atomic_load(&left->lease_term) != 0) {
        h->changed(h->ctx, replica_desc(left));
    }
    if (right != NULL) {
        replica_let_go(right);
    }
    mem_free(c);
}

/* The right half where the left one leads: until there is a leader. The other members may need a
 * moment until they have applied the split. */
void split_campaign(struct loop_timer *timer)
{
    struct replica *r = CONTAINER_OF(timer, struct replica, campaign_timer);
    struct range_loop *l = range_loop_self(r->rs);
    uint64_t now = clock_mono_ns();
    if (!replica_runs(r) || atomic_load(&r->rs->closing) || atomic_load(&r->leader_node) != 0 ||
        now >= r->campaign_until_ns || !atomic_load(&r->on_lane)) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_CAMPAIGN};
    db_err err;
    replica_own(l, r);
    if (replica_step(l, r, &ev, &err)) {
        replica_mark_dirty(l, r);
        err = loop_timer_start(l->loop, timer, now + RANGE_CAMPAIGN_NS);
        ASSERT(err == ERR_OK);
    }
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
    replica_hold(right); /* once it is in the map it can come to its end while we wait */
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
    replica_let_go(right);
    replica_free(ctx.right); /* not taken: the split was not applied here */
    buf_fini(&payload);
    if (err == ERR_OK) {
        *ret_new_id = new_id;
    }
    return err;
}

static db_err reserve_and_split(struct replica *r, struct slice at, struct diag *diag,
                                range_id_t *ret_new_id)
{
    struct range_store *rs = r->rs;
    range_id_t id = r->id;
    struct arena a;
    struct range_desc desc;
    if (atomic_exchange(&r->reshaping, true)) {
        return diag_set(diag, ERR_BUSY, "range %llu is being split or changed",
                        (unsigned long long)id);
    }
    arena_init(&a, NULL, NULL, 0);
    db_err err = replica_copy_desc(r, &a, &desc);
    if (err == ERR_OK && (desc.merging_into != 0 || merge_pending_into(rs, id))) {
        err = diag_set(diag, ERR_BUSY, "range %llu is being merged", (unsigned long long)id);
    }
    if (err == ERR_OK && (!range_desc_contains(&desc, at) || slice_eq(at, desc.start))) {
        err =
            diag_set(diag, ERR_INVALID, "the key is not inside range %llu", (unsigned long long)id);
    }
    if (err == ERR_OK) {
        err = split_checked(r, &desc, at, diag, ret_new_id);
    }
    arena_fini(&a);
    atomic_store(&r->reshaping, false);
    return err;
}

db_err range_store_split(struct range_store *rs, range_id_t id, struct slice at, struct diag *diag,
                         range_id_t *ret_new_id)
{
    struct replica *r;
    if (id == RANGE_ID_META) {
        return diag_set(diag, ERR_INVALID, "the meta range cannot be split");
    }
    TRY(replica_find_led(rs, id, diag, &r));
    db_err err = reserve_and_split(r, at, diag, ret_new_id);
    replica_let_go(r);
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
