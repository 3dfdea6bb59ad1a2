#include "proto/kv_codec.h"

#include "base/assert.h"
#include "proto/codec_int.h"

/* Replies. The payload: GET a value · MULTI_GET, LOCK values · SCAN pairs · CHECK_TXN secondaries ·
 * FRAGMENT the page as it is.
 * A value: u8 flags, u64 version_ts, bytes. A pair: key, value, and with a lock mode u64
 * version_ts. */

enum kv_wire_reply_flag { REPLY_MORE = 1, REPLY_VERSIONS = 2, REPLY_ASYNC_COMMIT = 4 };
enum { VALUE_FOUND = 1, VALUE_SKIPPED = 2, VALUE_BYTES_MIN = 1 + 8 + 4, PAIR_BYTES_MIN = 4 + 4 };

/* ---- encoding ---- */

static db_err put_value(const struct kv_value *v, struct buf *b)
{
    TRY(buf_append_u8(b,
                      (uint8_t)((v->found ? VALUE_FOUND : 0) | (v->skipped ? VALUE_SKIPPED : 0))));
    TRY(put_u64(b, v->version_ts));
    return put_slice(b, v->found ? v->value : SLICE_EMPTY);
}

static db_err put_values(const struct kv_value *values, size_t count, struct buf *b)
{
    for (size_t i = 0; i < count; i++) {
        TRY(put_value(&values[i], b));
    }
    return ERR_OK;
}

static db_err put_scan(const struct kv_scan_resp *s, Skein__Kv__Reply *m, struct buf *b)
{
    if (s->count > UINT32_MAX) {
        return ERR_LIMIT;
    }
    m->count = (uint32_t)s->count;
    m->flags = (s->more ? REPLY_MORE : 0u) | (s->versions != NULL ? REPLY_VERSIONS : 0u);
    m->resume = proto_bytes(s->more ? s->resume : SLICE_EMPTY);
    m->lock_term = s->lock_term;
    for (size_t i = 0; i < s->count; i++) {
        TRY(put_slice(b, s->pairs[i].key));
        TRY(put_slice(b, s->pairs[i].value));
        if (s->versions != NULL) {
            TRY(put_u64(b, s->versions[i]));
        }
    }
    return ERR_OK;
}

static db_err put_check_txn(const struct kv_check_txn_resp *c, Skein__Kv__Reply *m, struct buf *b)
{
    if (c->secondary_count > UINT32_MAX) {
        return ERR_LIMIT;
    }
    m->state = c->state;
    m->commit_ts = c->commit_ts;
    m->ttl_ms = c->ttl_ms;
    m->flags = c->async_commit ? REPLY_ASYNC_COMMIT : 0u;
    m->min_commit_ts = c->min_commit_ts;
    m->count = (uint32_t)c->secondary_count;
    return put_slices(b, c->secondaries, c->secondary_count);
}

static db_err put_resp(enum kv_method method, const union kv_any_resp *resp, size_t count,
                       Skein__Kv__Reply *m, struct buf *b)
{
    switch ((int)method) {
    case KV_METHOD_GET: return put_value(&resp->value, b);
    case KV_METHOD_MULTI_GET: return put_values(resp->values, count, b);
    case KV_METHOD_SCAN: return put_scan(&resp->scan, m, b);
    case KV_METHOD_LOCK:
        m->lock_term = resp->lock.lock_term;
        return put_values(resp->lock.values, count, b);
    case KV_METHOD_PREWRITE:
        m->commit_ts = resp->prewrite.commit_ts;
        m->min_commit_ts = resp->prewrite.min_commit_ts;
        return ERR_OK;
    case KV_METHOD_CHECK_TXN: return put_check_txn(&resp->check_txn, m, b);
    case KV_METHOD_CLOSED: m->rows = resp->closed.index; return ERR_OK;
    case KV_METHOD_ESTIMATE:
        m->rows = resp->estimate.rows;
        m->bytes = resp->estimate.bytes;
        return ERR_OK;
    case KV_METHOD_FRAGMENT:
        m->flags = resp->fragment.more ? REPLY_MORE : 0u;
        m->resume = proto_bytes(resp->fragment.more ? resp->fragment.resume : SLICE_EMPTY);
        return buf_append_slice(b, resp->fragment.page);
    default: return ERR_OK;
    }
}

static db_err put_routing(const struct kv_reply *reply, struct arena *arena, Skein__Kv__Lock *lock,
                          Skein__Kv__Reply *m)
{
    m->leader = reply->leader;
    m->conflict_key = proto_bytes(reply->conflict_key);
    if (reply->desc_count != 0) {
        TRY(proto_ranges(reply->descs, reply->desc_count, arena, &m->ranges));
        m->n_ranges = reply->desc_count;
    }
    if (reply->lock.start_ts != 0) {
        lock->key = proto_bytes(reply->lock.key);
        lock->primary = proto_bytes(reply->lock.primary);
        lock->start_ts = reply->lock.start_ts;
        lock->min_commit_ts = reply->lock.min_commit_ts;
        lock->ttl_ms = reply->lock.ttl_ms;
        lock->async_commit = reply->lock.async_commit;
        m->lock = lock;
    }
    return ERR_OK;
}

db_err kv_reply_encode(enum kv_method method, db_err err, const struct diag *diag,
                       const struct kv_reply *reply, const union kv_any_resp *resp, size_t count,
                       struct kv_wire *w)
{
    Skein__Kv__Reply m = SKEIN__KV__REPLY__INIT;
    Skein__Kv__Lock lock = SKEIN__KV__LOCK__INIT;
    struct arena arena;
    db_err result = ERR_OK;
    m.err = (uint32_t)err;
    if (diag != NULL && err != ERR_OK) {
        m.text = proto_bytes(slice_of(diag->text, strnlen(diag->text, DIAG_TEXT_SIZE)));
        m.data = diag->data;
    }
    arena_init(&arena, NULL, NULL, 0);
    if (err == ERR_OK) {
        result = put_resp(method, resp, count, &m, &w->payload);
    }
    if (result == ERR_OK) {
        result = put_routing(reply, &arena, &lock, &m);
    }
    if (result == ERR_OK) {
        result = message_put(&m.base, &w->header);
    }
    arena_fini(&arena);
    return result;
}

/* ---- decoding ---- */

static void take_value(struct reader *r, struct kv_value *v)
{
    unsigned flags = take_u8(r);
    v->found = (flags & VALUE_FOUND) != 0;
    v->skipped = (flags & VALUE_SKIPPED) != 0;
    v->version_ts = take_u64(r);
    v->value = take_slice(r);
}

static void take_values(struct reader *r, struct kv_value *values, size_t count)
{
    for (size_t i = 0; i < count && !r->bad; i++) {
        take_value(r, &values[i]);
    }
}

static db_err take_scan(const Skein__Kv__Reply *m, struct reader *r, struct arena *arena,
                        struct kv_scan_resp *s)
{
    bool versions = (m->flags & REPLY_VERSIONS) != 0;
    if (m->count > (size_t)(r->end - r->pos) / PAIR_BYTES_MIN) {
        return ERR_CORRUPT;
    }
    *s = (struct kv_scan_resp){.count = m->count,
                               .more = (m->flags & REPLY_MORE) != 0,
                               .resume = proto_slice(m->resume),
                               .lock_term = m->lock_term};
    s->pairs = ARENA_ARRAY(arena, struct kv_pair, m->count);
    s->versions = versions ? ARENA_ARRAY(arena, ts_t, m->count) : NULL;
    if (s->pairs == NULL || (versions && s->versions == NULL)) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < s->count; i++) {
        s->pairs[i].key = take_slice(r);
        s->pairs[i].value = take_slice(r);
        if (versions) {
            s->versions[i] = take_u64(r);
        }
    }
    return ERR_OK;
}

static db_err take_check_txn(const Skein__Kv__Reply *m, struct reader *r, struct arena *arena,
                             struct kv_check_txn_resp *c)
{
    if (m->state > KV_TXN_ROLLED_BACK) {
        return ERR_CORRUPT;
    }
    *c = (struct kv_check_txn_resp){.state = (enum kv_txn_state)m->state,
                                    .commit_ts = m->commit_ts,
                                    .ttl_ms = m->ttl_ms,
                                    .async_commit = (m->flags & REPLY_ASYNC_COMMIT) != 0,
                                    .secondary_count = m->count,
                                    .min_commit_ts = m->min_commit_ts};
    return take_slices(r, m->count, arena, &c->secondaries);
}

static db_err take_resp(enum kv_method method, const Skein__Kv__Reply *m, struct slice payload,
                        size_t count, struct arena *arena, union kv_any_resp *resp)
{
    struct reader r = reader_of(payload);
    switch ((int)method) {
    case KV_METHOD_GET: take_value(&r, &resp->value); break;
    case KV_METHOD_MULTI_GET: take_values(&r, resp->values, count); break;
    case KV_METHOD_SCAN: TRY(take_scan(m, &r, arena, &resp->scan)); break;
    case KV_METHOD_LOCK:
        resp->lock.lock_term = m->lock_term;
        take_values(&r, resp->lock.values, count);
        break;
    case KV_METHOD_PREWRITE:
        resp->prewrite = (struct kv_prewrite_resp){m->commit_ts, m->min_commit_ts};
        break;
    case KV_METHOD_CHECK_TXN: TRY(take_check_txn(m, &r, arena, &resp->check_txn)); break;
    case KV_METHOD_CLOSED: resp->closed.index = m->rows; break;
    case KV_METHOD_ESTIMATE: resp->estimate = (struct kv_estimate_resp){m->rows, m->bytes}; break;
    case KV_METHOD_FRAGMENT:
        resp->fragment = (struct kv_fragment_resp){.page = payload,
                                                   .more = (m->flags & REPLY_MORE) != 0,
                                                   .resume = proto_slice(m->resume)};
        return ERR_OK;
    default: break;
    }
    return reader_end(&r);
}

static db_err take_routing(const Skein__Kv__Reply *m, struct arena *arena, struct kv_reply *reply)
{
    struct range_desc *descs = NULL;
    if (m->n_ranges != 0) {
        TRY(proto_ranges_take(m->ranges, m->n_ranges, arena, &descs));
    }
    reply->leader = m->leader;
    reply->descs = descs;
    reply->desc_count = (unsigned)m->n_ranges;
    reply->conflict_key = proto_slice(m->conflict_key);
    if (m->lock != NULL) {
        reply->lock = (struct kv_lock_info){.key = proto_slice(m->lock->key),
                                            .primary = proto_slice(m->lock->primary),
                                            .start_ts = m->lock->start_ts,
                                            .min_commit_ts = m->lock->min_commit_ts,
                                            .ttl_ms = m->lock->ttl_ms,
                                            .async_commit = m->lock->async_commit};
    }
    return ERR_OK;
}

db_err kv_reply_decode(enum kv_method method, struct slice header, struct slice payload,
                       size_t count, struct arena *arena, struct diag *diag, struct kv_reply *reply,
                       union kv_any_resp *ret_resp)
{
    const Skein__Kv__Reply *m =
        (const Skein__Kv__Reply *)message_take(&skein__kv__reply__descriptor, header, arena);
    if (m == NULL || m->err >= ERR__COUNT) {
        return diag_set(diag, ERR_CORRUPT, "a malformed reply");
    }
    TRY(take_routing(m, arena, reply));
    if (m->err != ERR_OK) {
        diag_set(diag, (db_err)m->err, "%.*s", SLICE_FMT(proto_slice(m->text)));
        if (diag != NULL) {
            diag->data = m->data;
        }
        return (db_err)m->err;
    }
    db_err err = take_resp(method, m, payload, count, arena, ret_resp);
    return err == ERR_OK ? err : diag_set(diag, err, "a malformed reply");
}
