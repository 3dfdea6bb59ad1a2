#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "node/store/varint.h"

/* Handing a lease over, with the row locks.
 *
 * The leader keeps commands out (frozen), seals its lock table, so that what is held stays what is
 * held, and puts that into its log as an entry: number of the table, fences, locks. Then leadership
 * is transferred. Whoever leads next and finds that its own first entry comes right after that one
 * takes the locks over, with the table's number: transactions that hold them need not notice.
 *
 * Why the place in the log is proof enough: the old leader gives no lock and takes none back after
 * it has sealed the table, unless it has given up the transfer, and then only after another entry
 * of its log (empty, "void") was committed; and a leader in between has an entry of its own there,
 * its first one, before it serves. So right after the entry the locks are what they were, whoever
 * finds them, also after a restart. An entry whose place does not fit is no more than a few bytes
 * in memory.
 *
 * Waiters are not handed over: their waits end with ERR_NOT_LEADER, and their statements ask the
 * new leader, who makes them wait again; the order among them may change. With locks that do not
 * fit one entry the lease stays, unless it has to leave: then they are lost, and what was written
 * is validated at the commit, as after a death.
 *
 * Payload: nothing (void), or varint number of the table, then items: 1, varint node, varint
 * start_ts (a fence); 2, varint owner, varint start_ts, one byte mode, varint length, key; 3,
 * varint owner, varint start_ts, varint length, start, varint length, end (a span lock). */

enum { ITEM_FENCE = 1, ITEM_LOCK = 2, ITEM_SPAN = 3, HANDED_BYTES_MAX = 1 << 20, POLL_MS = 2 };

/* ---- encoding ---- */

struct exported {
    struct buf *b;
    size_t count;
};

static db_err put_varint(struct buf *b, uint64_t v)
{
    uint8_t bytes[VARINT_MAX];
    return buf_append(b, bytes, varint_put(bytes, v));
}

static db_err put_fence(void *arg, uint64_t node, ts_t start_ts)
{
    struct exported *x = arg;
    TRY(buf_append_u8(x->b, ITEM_FENCE));
    TRY(put_varint(x->b, node));
    return put_varint(x->b, start_ts);
}

static db_err put_key(struct buf *b, struct slice key)
{
    TRY(put_varint(b, key.len));
    return buf_append_slice(b, key);
}

static db_err put_lock(void *arg, const struct lock_export *l)
{
    struct exported *x = arg;
    x->count++;
    TRY(buf_append_u8(x->b, l->span ? ITEM_SPAN : ITEM_LOCK));
    TRY(put_varint(x->b, l->owner));
    TRY(put_varint(x->b, l->start_ts));
    if (l->span) {
        TRY(put_key(x->b, l->key));
        return put_key(x->b, l->end);
    }
    TRY(buf_append_u8(x->b, (uint8_t)l->mode));
    return put_key(x->b, l->key);
}

static bool take_key(const uint8_t **pos, const uint8_t *end, struct slice *ret_key)
{
    uint64_t len;
    if (!varint_get(pos, end, &len) || len > (size_t)(end - *pos)) {
        return false;
    }
    *ret_key = slice_of(*pos, (size_t)len);
    *pos += len;
    return true;
}

static db_err import_lock(struct lock_table *t, bool span, const uint8_t **pos, const uint8_t *end)
{
    struct lock_export l = {.span = span};
    if (!varint_get(pos, end, &l.owner) || !varint_get(pos, end, &l.start_ts) || *pos == end) {
        return ERR_CORRUPT;
    }
    uint8_t mode = span ? KV_LOCK_NONE : *(*pos)++;
    if ((!span && (mode < KV_LOCK_SHARED || mode > KV_LOCK_INSERT)) ||
        !take_key(pos, end, &l.key) || (span && !take_key(pos, end, &l.end)) ||
        (l.end.len != 0 && slice_cmp(l.key, l.end) >= 0)) {
        return ERR_CORRUPT;
    }
    l.mode = (enum kv_lock_mode)mode;
    return lock_table_import(t, &l);
}

static db_err import_all(struct lock_table *t, const uint8_t *pos, const uint8_t *end)
{
    while (pos != end) {
        uint8_t item = *pos++;
        uint64_t node, start_ts;
        if (item == ITEM_LOCK || item == ITEM_SPAN) {
            TRY(import_lock(t, item == ITEM_SPAN, &pos, end));
        } else if (item == ITEM_FENCE && varint_get(&pos, end, &node) &&
                   varint_get(&pos, end, &start_ts)) {
            lock_table_import_fence(t, node, start_ts);
        } else {
            return ERR_CORRUPT;
        }
    }
    return ERR_OK;
}

/* ---- who takes them ---- */

void handed_drop(struct handed_locks *h)
{
    mem_free(h->bytes);
    *h = (struct handed_locks){0};
}

db_err handed_apply(struct replica *r, uint64_t index, struct slice payload)
{
    handed_drop(&r->handed);
    if (payload.len == 0) {
        return ERR_OK;
    }
    r->handed.bytes = mem_alloc(payload.len);
    if (r->handed.bytes == NULL) {
        return ERR_OK; /* then without: the locks count as lost */
    }
    memcpy(r->handed.bytes, payload.ptr, payload.len);
    r->handed.len = payload.len;
    r->handed.index = index;
    return ERR_OK;
}

db_err handed_take(struct replica *r, const struct handed_locks *h)
{
    const uint8_t *pos = h->bytes;
    const uint8_t *end = pos + h->len;
    uint64_t number;
    if (!varint_get(&pos, end, &number) || number == 0) {
        return ERR_CORRUPT;
    }
    TRY(import_all(r->eval.locks, pos, end));
    atomic_store_explicit(&r->eval.lock_number, number, memory_order_release);
    return ERR_OK;
}

/* ---- who hands them over ---- */

static db_err step_transfer(struct range_loop *l, struct replica *r, void *arg)
{
    struct raft_event ev = {.type = RAFT_EV_TRANSFER, .u.transfer_to = *(const uint64_t *)arg};
    db_err err = ERR_NOT_LEADER;
    if (replica_runs(r) && !replica_step(l, r, &ev, &err)) {
        err = ERR_UNAVAILABLE;
    }
    replica_mark_dirty(l, r);
    return err;
}

/* Is the node there, with all of the log? Writes wait for a transfer: they must not wait for one
 * that cannot be. A new leader has first to hear of the others. */
static db_err wait_for_successor(struct replica *r, node_id_t node)
{
    uint64_t until = clock_mono_ns() + 3 * RANGE_HEARTBEAT_NS;
    for (;;) {
        struct range_status st;
        TRY(range_store_status(r->rs, r->id, &st));
        for (unsigned i = 0; i < st.member_count; i++) {
            const struct range_member_status *m = &st.members[i];
            if (m->node == node && st.role == RAFT_LEADER && m->live && m->caught_up) {
                return ERR_OK;
            }
        }
        if (clock_mono_ns() >= until) {
            return ERR_UNAVAILABLE;
        }
        TRY(fiber_sleep(POLL_MS * NS_PER_MS));
    }
}

static db_err propose_locks(struct replica *r, uint64_t term, struct slice payload)
{
    struct proposal p = {.kind = ENTRY_LOCKS, .lease_term = term, .payload = payload};
    struct diag diag;
    diag_reset(&diag);
    return replica_propose(r, &p, &diag);
}

struct sealed {
    uint64_t term;  /* of the lease */
    bool sealed;    /* the lock table */
    bool announced; /* in the log */
};

/* Frozen. Locks that are not handed over, because they do not fit or there is no space: ERR_BUSY,
 * or if they may be lost ERR_OK, and the transfer goes on without them. */
static db_err seal(struct replica *r, enum lease_locks locks, struct sealed *s, struct diag *diag)
{
    struct buf b;
    struct exported x = {.b = &b};
    buf_init(&b, HANDED_BYTES_MAX);
    s->term = atomic_load(&r->lease_term);
    db_err err = s->term == 0 ? ERR_NOT_LEADER : ERR_OK;
    if (err == ERR_OK) {
        err = put_varint(&b, atomic_load(&r->eval.lock_number));
    }
    if (err == ERR_OK) {
        err = lock_table_seal(r->eval.locks, put_fence, put_lock, &x);
        s->sealed = err == ERR_OK;
    }
    if (s->sealed && x.count != 0) {
        err = propose_locks(r, s->term, buf_slice(&b));
        s->announced = err == ERR_OK;
    }
    buf_fini(&b);
    if (err == ERR_OK || err == ERR_NOT_LEADER || err == ERR_COMMIT_UNKNOWN) {
        return err;
    }
    LOG_INFO("range.locks.stay", F_U64("range", r->id), F_U64("locks", x.count), F_ERR(err));
    if (s->sealed) { /* nothing is in the log */
        s->sealed = false;
        lock_table_unseal(r->eval.locks);
    }
    return locks == LEASE_MAY_LOSE_LOCKS
               ? ERR_OK
               : diag_set(diag, ERR_BUSY,
                          "range %llu keeps its lease until the large transaction that has its row "
                          "locks has ended: they cannot go along (%s)",
                          (unsigned long long)r->id, err_text(err));
}

/* The lease stays: what was announced is made void before any lock is given again. */
static void unseal(struct replica *r, const struct sealed *s)
{
    struct undisturbed u;
    bool done = false;
    undisturbed_begin(&u, DEADLINE_NONE);
    while (!done && atomic_load(&r->lease_term) == s->term && !atomic_load(&r->rs->stopping)) {
        done = !s->announced || propose_locks(r, s->term, SLICE_EMPTY) == ERR_OK;
        if (done) {
            lock_table_unseal(r->eval.locks);
        } else {
            db_err slept = fiber_sleep(POLL_MS * NS_PER_MS);
            (void)slept;
            undisturbed_go_on(&u);
        }
    }
    undisturbed_end(&u);
}

static db_err transfer(struct replica *r, uint64_t to, node_id_t node, enum lease_locks locks,
                       struct diag *diag)
{
    struct sealed s = {0};
    uint64_t until = clock_mono_ns() + RANGE_ELECTION_NS;
    TRY(eval_range_freeze(&r->eval, until));
    db_err err = seal(r, locks, &s, diag);
    if (err == ERR_OK) {
        err = replica_call(r, step_transfer, &to);
    }
    while (err == ERR_OK && atomic_load(&r->leader_node) != node) {
        err = clock_mono_ns() < until ? fiber_sleep(POLL_MS * NS_PER_MS) : ERR_TIMEOUT;
    }
    if (err != ERR_OK && s.sealed) {
        unseal(r, &s);
    }
    eval_range_thaw(&r->eval);
    return err;
}

static db_err reserve_and_transfer(struct replica *r, node_id_t node, enum lease_locks locks,
                                   struct diag *diag)
{
    struct range_store *rs = r->rs;
    range_id_t range = r->id;
    uint64_t to = 0;
    unsigned slot = ebr_enter(&rs->ebr);
    const struct range_desc *d = replica_desc(r);
    for (unsigned i = 0; i < d->replica_count; i++) {
        if (d->replicas[i].node == node && d->replicas[i].kind == REPLICA_VOTER) {
            to = d->replicas[i].replica_id;
        }
    }
    ebr_leave(&rs->ebr, slot);
    if (to == 0) {
        return diag_set(diag, ERR_INVALID, "node %llu has no voter of range %llu",
                        (unsigned long long)node, (unsigned long long)range);
    }
    if (atomic_exchange(&r->reshaping, true)) {
        return diag_set(diag, ERR_BUSY, "range %llu is being split or changed",
                        (unsigned long long)range);
    }
    const struct range_hooks *h = rs->opts.hooks;
    bool tell = h != NULL && h->handing_over != NULL;
    diag_reset(diag);
    db_err err = wait_for_successor(r, node);
    if (err == ERR_OK) {
        if (tell) {
            h->handing_over(h->ctx, range, true);
        }
        err = transfer(r, to, node, locks, diag);
        if (tell) {
            h->handing_over(h->ctx, range, false);
        }
    }
    atomic_store(&r->reshaping, false);
    return err == ERR_OK || diag->text[0] != '\0'
               ? err
               : diag_set(diag, err, "range %llu: node %llu does not take the lease: %s",
                          (unsigned long long)range, (unsigned long long)node, err_text(err));
}

db_err range_store_transfer_lease(struct range_store *rs, range_id_t range, node_id_t node,
                                  enum lease_locks locks, struct diag *diag)
{
    struct replica *r;
    TRY(replica_find_led(rs, range, diag, &r));
    atomic_fetch_add(&rs->proposers, 1);
    db_err err = node == rs->ident.node_id ? ERR_OK : reserve_and_transfer(r, node, locks, diag);
    replica_let_go(r);
    atomic_fetch_sub(&rs->proposers, 1);
    return err;
}
