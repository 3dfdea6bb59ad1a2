#include "proto/kv_codec.h"

#include "base/assert.h"
#include "base/clock.h"
#include "proto/codec_int.h"

/* Requests. The header has the numbers; the payload, in this order: GET key · MULTI_GET, LOCK,
 * COMMIT, ROLLBACK, RESOLVE keys · SCAN, DELETE_RANGE, ESTIMATE start, end · CHECK_TXN, HEARTBEAT
 * primary · PREWRITE primary, mutations, secondaries · FRAGMENT start, end, plan. A mutation: u8
 * op, u8 check (and whether it inserts), u64 version_ts, key, value. */

enum kv_wire_flag {
    WIRE_REVERSE = 1,
    WIRE_KEYS_ONLY = 2,
    WIRE_WANT_VALUES = 4,
    WIRE_TRY_1PC = 8,
    WIRE_ASYNC_COMMIT = 16,
    WIRE_ROLLBACK_MISSING = 32,
    WIRE_DROP = 64,
    WIRE_GAPS = 128,
    WIRE_UNREAD = 256,
    WIRE_ABSENT_SPAN = 512,
    WIRE_ABSENT_FREE = 1024,
    WIRE_NO_WAIT = 2048,
};

/* Of the byte `check`. */
enum { MUTATION_INSERTS = 0x80 };

/* Op, check, version and two lengths. */
enum { MUTATION_BYTES_MIN = 1 + 1 + 8 + 4 + 4 };

void kv_wire_init(struct kv_wire *w)
{
    buf_init_in(&w->header, w->header_space, sizeof(w->header_space), KV_WIRE_HEADER_MAX);
    buf_init_in(&w->payload, w->payload_space, sizeof(w->payload_space), KV_WIRE_PAYLOAD_MAX);
}

void kv_wire_fini(struct kv_wire *w)
{
    buf_fini(&w->header);
    buf_fini(&w->payload);
}

static unsigned flag(bool on, enum kv_wire_flag f)
{
    return on ? (unsigned)f : 0;
}

/* ---- encoding ---- */

static db_err put_keys(Skein__Kv__Request *m, const struct slice *keys, size_t count, struct buf *b)
{
    if (count > UINT32_MAX) {
        return ERR_LIMIT;
    }
    m->count = (uint32_t)count;
    return put_slices(b, keys, count);
}

static db_err put_scan(Skein__Kv__Request *m, const struct kv_scan_req *q, struct buf *b)
{
    m->ts = q->read_ts;
    m->own_ts = q->own_ts;
    m->flags = flag(q->reverse, WIRE_REVERSE) | flag(q->keys_only, WIRE_KEYS_ONLY) |
               flag(q->gaps, WIRE_GAPS);
    m->rows_max = q->rows_max;
    m->bytes_max = q->bytes_max;
    m->lock_mode = q->lock;
    m->wait = q->wait;
    m->lock_wait_ms = q->lock_wait_ms;
    TRY(put_slice(b, q->start));
    TRY(put_slice(b, q->end));
    return put_keys(m, q->under, q->under_count, b);
}

static db_err put_lock(Skein__Kv__Request *m, const struct kv_lock_req *q, struct buf *b)
{
    m->own_ts = q->own_ts;
    m->lock_mode = q->mode;
    m->wait = q->wait;
    m->lock_wait_ms = q->lock_wait_ms;
    m->flags = flag(q->want_values, WIRE_WANT_VALUES) | flag(q->unread, WIRE_UNREAD) |
               flag(q->absent == KV_ABSENT_SPAN, WIRE_ABSENT_SPAN) |
               flag(q->absent == KV_ABSENT_FREE, WIRE_ABSENT_FREE);
    return put_keys(m, q->keys, q->count, b);
}

static db_err put_mutation(const struct kv_mutation *u, struct buf *b)
{
    TRY(buf_append_u8(b, (uint8_t)u->op));
    TRY(buf_append_u8(b, (uint8_t)(u->check | (u->inserts ? MUTATION_INSERTS : 0))));
    TRY(put_u64(b, u->version_ts));
    TRY(put_slice(b, u->key));
    return put_slice(b, u->value);
}

static db_err put_prewrite(Skein__Kv__Request *m, const struct kv_prewrite_req *q, struct buf *b)
{
    if (q->count > UINT32_MAX || q->secondary_count > UINT32_MAX) {
        return ERR_LIMIT;
    }
    m->ts = q->start_ts;
    m->lock_term = q->lock_term;
    m->shared_term = q->shared_term;
    m->fences = q->fences;
    m->retried_above = q->retried_above;
    m->ttl_ms = q->ttl_ms;
    m->lock_wait_ms = q->lock_wait_ms;
    m->flags = flag(q->try_1pc, WIRE_TRY_1PC) | flag(q->async_commit, WIRE_ASYNC_COMMIT);
    m->count = (uint32_t)q->count;
    m->secondaries = (uint32_t)q->secondary_count;
    TRY(put_slice(b, q->primary));
    for (size_t i = 0; i < q->count; i++) {
        TRY(put_mutation(&q->mutations[i], b));
    }
    return put_slices(b, q->secondaries, q->secondary_count);
}

static db_err put_pair(struct slice a, struct slice z, struct buf *b)
{
    TRY(put_slice(b, a));
    return put_slice(b, z);
}

static db_err put_reads(enum kv_method method, const union kv_any_req *q, Skein__Kv__Request *m,
                        struct buf *b)
{
    switch ((int)method) {
    case KV_METHOD_GET:
        m->ts = q->get.read_ts;
        m->own_ts = q->get.own_ts;
        return put_slice(b, q->get.key);
    case KV_METHOD_MULTI_GET:
        m->ts = q->multi_get.read_ts;
        m->own_ts = q->multi_get.own_ts;
        return put_keys(m, q->multi_get.keys, q->multi_get.count, b);
    case KV_METHOD_SCAN: return put_scan(m, &q->scan, b);
    case KV_METHOD_LOCK: return put_lock(m, &q->lock, b);
    case KV_METHOD_CLOSED:
        m->ts = q->closed.ts;
        m->flags = flag(q->closed.no_wait, WIRE_NO_WAIT);
        return ERR_OK;
    case KV_METHOD_ESTIMATE: return put_pair(q->estimate.start, q->estimate.end, b);
    case KV_METHOD_FRAGMENT:
        m->ts = q->fragment.read_ts;
        m->own_ts = q->fragment.own_ts;
        m->bytes_max = q->fragment.bytes_max;
        TRY(put_pair(q->fragment.start, q->fragment.end, b));
        return put_slice(b, q->fragment.plan);
    default: return ERR_INVALID;
    }
}

static db_err put_writes(enum kv_method method, const union kv_any_req *q, Skein__Kv__Request *m,
                         struct buf *b)
{
    switch ((int)method) {
    case KV_METHOD_PREWRITE: return put_prewrite(m, &q->prewrite, b);
    case KV_METHOD_COMMIT:
    case KV_METHOD_ROLLBACK:
        m->ts = q->txn_keys.start_ts;
        m->commit_ts = q->txn_keys.commit_ts;
        return put_keys(m, q->txn_keys.keys, q->txn_keys.count, b);
    case KV_METHOD_RELEASE: m->ts = q->release.start_ts; return ERR_OK;
    case KV_METHOD_SWEEP:
        m->ts = q->sweep.before;
        m->flags = flag(q->sweep.drop, WIRE_DROP);
        return ERR_OK;
    case KV_METHOD_CHECK_TXN:
        m->ts = q->check_txn.start_ts;
        m->commit_ts = q->check_txn.caller_ts;
        m->flags = flag(q->check_txn.rollback_missing, WIRE_ROLLBACK_MISSING);
        m->retried_above = q->check_txn.retried_above;
        m->fences = q->check_txn.fences;
        return put_slice(b, q->check_txn.primary);
    case KV_METHOD_RESOLVE:
        m->ts = q->resolve.start_ts;
        m->commit_ts = q->resolve.commit_ts;
        return put_keys(m, q->resolve.keys, q->resolve.count, b);
    case KV_METHOD_HEARTBEAT:
        m->ts = q->heartbeat.start_ts;
        m->ttl_ms = q->heartbeat.ttl_ms;
        return put_slice(b, q->heartbeat.primary);
    case KV_METHOD_DELETE_RANGE: return put_pair(q->delete_range.start, q->delete_range.end, b);
    default: return put_reads(method, q, m, b);
    }
}

db_err kv_request_encode(enum kv_method method, const union kv_any_req *req, struct kv_wire *w)
{
    Skein__Kv__Request m = SKEIN__KV__REQUEST__INIT;
    m.range = req->r.range;
    m.version = req->r.epoch.version;
    m.conf = req->r.epoch.conf;
    m.owner = req->r.owner;
    TRY(put_writes(method, req, &m, &w->payload));
    return message_put(&m.base, &w->header);
}

/* ---- decoding ---- */

static bool has(const Skein__Kv__Request *m, enum kv_wire_flag f)
{
    return (m->flags & (unsigned)f) != 0;
}

static db_err take_lock_kind(const Skein__Kv__Request *m, enum kv_lock_mode *ret_mode,
                             enum kv_wait *ret_wait)
{
    if (m->lock_mode > KV_LOCK_INSERT || m->wait > KV_SKIP_LOCKED) {
        return ERR_CORRUPT;
    }
    *ret_mode = (enum kv_lock_mode)m->lock_mode;
    *ret_wait = (enum kv_wait)m->wait;
    return ERR_OK;
}

static db_err take_scan(const Skein__Kv__Request *m, struct reader *r, struct arena *arena,
                        struct kv_scan_req *q)
{
    q->read_ts = m->ts;
    q->own_ts = m->own_ts;
    q->reverse = has(m, WIRE_REVERSE);
    q->keys_only = has(m, WIRE_KEYS_ONLY);
    q->gaps = has(m, WIRE_GAPS);
    q->rows_max = m->rows_max;
    q->bytes_max = m->bytes_max;
    q->lock_wait_ms = m->lock_wait_ms;
    q->start = take_slice(r);
    q->end = take_slice(r);
    q->under_count = m->count;
    TRY(m->count == 0 ? ERR_OK : take_slices(r, m->count, arena, &q->under));
    return q->rows_max == 0 ? ERR_CORRUPT : take_lock_kind(m, &q->lock, &q->wait);
}

static db_err take_lock(const Skein__Kv__Request *m, struct reader *r, struct arena *arena,
                        struct kv_lock_req *q)
{
    q->own_ts = m->own_ts;
    q->lock_wait_ms = m->lock_wait_ms;
    q->want_values = has(m, WIRE_WANT_VALUES);
    q->unread = has(m, WIRE_UNREAD);
    q->absent = has(m, WIRE_ABSENT_SPAN)   ? KV_ABSENT_SPAN
                : has(m, WIRE_ABSENT_FREE) ? KV_ABSENT_FREE
                                           : KV_ABSENT_LOCK;
    q->count = m->count;
    TRY(take_lock_kind(m, &q->mode, &q->wait));
    return take_slices(r, m->count, arena, &q->keys);
}

static db_err take_mutations(struct reader *r, size_t count, struct arena *arena,
                             const struct kv_mutation **ret_mutations)
{
    if (count > (size_t)(r->end - r->pos) / MUTATION_BYTES_MIN) {
        return ERR_CORRUPT;
    }
    struct kv_mutation *u = ARENA_ARRAY(arena, struct kv_mutation, count);
    if (u == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned op = take_u8(r);
        unsigned check = take_u8(r);
        u[i].inserts = (check & MUTATION_INSERTS) != 0;
        check &= ~(unsigned)MUTATION_INSERTS;
        if (op > KV_LOCK_ONLY || check > KV_CHECK_LOCKED) {
            return ERR_CORRUPT;
        }
        u[i].op = (enum kv_op)op;
        u[i].check = (enum kv_check)check;
        u[i].version_ts = take_u64(r);
        u[i].key = take_slice(r);
        u[i].value = take_slice(r);
    }
    *ret_mutations = u;
    return ERR_OK;
}

static db_err take_prewrite(const Skein__Kv__Request *m, struct reader *r, struct arena *arena,
                            struct kv_prewrite_req *q)
{
    q->start_ts = m->ts;
    q->lock_term = m->lock_term;
    q->shared_term = m->shared_term;
    q->fences = m->fences;
    q->retried_above = m->retried_above;
    q->ttl_ms = m->ttl_ms;
    q->lock_wait_ms = m->lock_wait_ms;
    q->try_1pc = has(m, WIRE_TRY_1PC);
    q->async_commit = has(m, WIRE_ASYNC_COMMIT);
    q->count = m->count;
    q->secondary_count = m->secondaries;
    q->primary = take_slice(r);
    TRY(take_mutations(r, m->count, arena, &q->mutations));
    return take_slices(r, m->secondaries, arena, &q->secondaries);
}

static db_err take_reads(enum kv_method method, const Skein__Kv__Request *m, struct reader *r,
                         struct arena *arena, union kv_any_req *q)
{
    switch ((int)method) {
    case KV_METHOD_GET:
        q->get.read_ts = m->ts;
        q->get.own_ts = m->own_ts;
        q->get.key = take_slice(r);
        return ERR_OK;
    case KV_METHOD_MULTI_GET:
        q->multi_get.read_ts = m->ts;
        q->multi_get.own_ts = m->own_ts;
        q->multi_get.count = m->count;
        return take_slices(r, m->count, arena, &q->multi_get.keys);
    case KV_METHOD_SCAN: return take_scan(m, r, arena, &q->scan);
    case KV_METHOD_LOCK: return take_lock(m, r, arena, &q->lock);
    case KV_METHOD_CLOSED:
        q->closed.ts = m->ts;
        q->closed.no_wait = (m->flags & WIRE_NO_WAIT) != 0;
        return ERR_OK;
    case KV_METHOD_ESTIMATE:
        q->estimate.start = take_slice(r);
        q->estimate.end = take_slice(r);
        return ERR_OK;
    case KV_METHOD_FRAGMENT:
        q->fragment.read_ts = m->ts;
        q->fragment.own_ts = m->own_ts;
        q->fragment.bytes_max = m->bytes_max;
        q->fragment.start = take_slice(r);
        q->fragment.end = take_slice(r);
        q->fragment.plan = take_slice(r);
        return ERR_OK;
    default: return ERR_CORRUPT;
    }
}

static db_err take_writes(enum kv_method method, const Skein__Kv__Request *m, struct reader *r,
                          struct arena *arena, union kv_any_req *q)
{
    switch ((int)method) {
    case KV_METHOD_PREWRITE: return take_prewrite(m, r, arena, &q->prewrite);
    case KV_METHOD_COMMIT:
    case KV_METHOD_ROLLBACK:
        q->txn_keys.start_ts = m->ts;
        q->txn_keys.commit_ts = m->commit_ts;
        q->txn_keys.count = m->count;
        return take_slices(r, m->count, arena, &q->txn_keys.keys);
    case KV_METHOD_RELEASE: q->release.start_ts = m->ts; return ERR_OK;
    case KV_METHOD_SWEEP:
        q->sweep.before = m->ts;
        q->sweep.drop = has(m, WIRE_DROP);
        return ERR_OK;
    case KV_METHOD_CHECK_TXN:
        q->check_txn.start_ts = m->ts;
        q->check_txn.caller_ts = m->commit_ts;
        q->check_txn.rollback_missing = has(m, WIRE_ROLLBACK_MISSING);
        q->check_txn.retried_above = m->retried_above;
        q->check_txn.fences = m->fences;
        q->check_txn.primary = take_slice(r);
        return ERR_OK;
    case KV_METHOD_RESOLVE:
        q->resolve.start_ts = m->ts;
        q->resolve.commit_ts = m->commit_ts;
        q->resolve.count = m->count;
        return take_slices(r, m->count, arena, &q->resolve.keys);
    case KV_METHOD_HEARTBEAT:
        q->heartbeat.start_ts = m->ts;
        q->heartbeat.ttl_ms = m->ttl_ms;
        q->heartbeat.primary = take_slice(r);
        return ERR_OK;
    case KV_METHOD_DELETE_RANGE:
        q->delete_range.start = take_slice(r);
        q->delete_range.end = take_slice(r);
        return ERR_OK;
    default: return take_reads(method, m, r, arena, q);
    }
}

db_err kv_request_decode(enum kv_method method, struct slice header, struct slice payload,
                         struct arena *arena, union kv_any_req *ret_req)
{
    const Skein__Kv__Request *m =
        (const Skein__Kv__Request *)message_take(&skein__kv__request__descriptor, header, arena);
    if (m == NULL) {
        return ERR_CORRUPT;
    }
    union kv_any_req q;
    struct reader r = reader_of(payload);
    memset(&q, 0, sizeof(q));
    q.r = (struct kv_request){.range = m->range,
                              .epoch = {m->version, m->conf},
                              .deadline_ns = DEADLINE_NONE,
                              .arena = arena,
                              .owner = m->owner};
    TRY(take_writes(method, m, &r, arena, &q));
    TRY(reader_end(&r));
    *ret_req = q;
    return ERR_OK;
}
