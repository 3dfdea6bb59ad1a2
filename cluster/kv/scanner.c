#include "cluster/kv/kv_int.h"

#include "base/alloc.h"
#include "base/assert.h"

/* Scans go page by page, range by range, and merge the transaction's own writes.
 *
 * A page holds the committed rows of a stretch of keys, from where the scan stands to where the
 * page ends ("cover"). Own writes inside that stretch are merged; beyond it, the next page is
 * fetched. Without own writes the page's rows are handed out as they came. Pages grow from a few
 * rows to 1,024, so that a LIMIT 1 reads little and a table scan calls seldom. */

_Static_assert(sizeof(struct kv_pair) == sizeof(struct storage_kv) &&
                   offsetof(struct kv_pair, value) == offsetof(struct storage_kv, value),
               "pages are handed out as rows");

enum { PAGE_KEEP = 512 * 1024 };

struct cluster_scan {
    struct storage_scan base;
    struct ctxn *t;
    struct storage_scan_opts opts;
    struct buf start; /* what is left: [start, end); end empty: to the end of all keys */
    struct buf end;
    bool done; /* nothing is left */
    uint32_t page_rows;
    ts_t read_ts; /* of the plain scan: the snapshot it was opened in */
    bool noted;   /* by ctxn_scan_opens */
    bool gaps;
    struct intents_met met;

    struct arena page; /* of the page's rows */
    const struct kv_pair *pairs;
    size_t count;
    size_t pos;
    bool has_page;
    bool last_page;   /* its cover is the scan's end */
    struct buf cover; /* forward: complete below it; reverse: complete from it on */

    struct arena rows_arena; /* of a merged batch */
};

db_err cluster_scan_open(struct storage_txn *base, const struct storage_scan_opts *opts,
                         struct diag *diag, struct storage_scan **ret_scan)
{
    struct ctxn *t = ctxn_of(base);
    enum storage_read_mode mode = ctxn_read_mode(t, opts->mode);
    if (mode == STORAGE_READ_PLAIN) {
        TRY(ctxn_need_snapshot(t, diag));
    } else {
        TRY(ctxn_need_start(t, diag));
    }
    struct cluster_scan *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->base.ops = &cluster_storage_ops;
    s->t = t;
    s->opts = *opts;
    s->opts.mode = mode;
    s->gaps = storage_mode_range(mode) && storage_locks_gaps(t->opts.isolation);
    s->read_ts = mode == STORAGE_READ_PLAIN ? t->read_ts : TS_MAX;
    if (s->opts.batch_rows == 0 || s->opts.batch_rows > SCAN_ROWS_MAX) {
        s->opts.batch_rows = SCAN_ROWS_MAX;
    }
    uint64_t unlimited = mode == STORAGE_READ_PLAIN ? SCAN_FIRST_ROWS : SCAN_FIRST_LOCKED;
    uint64_t first = opts->limit != 0 ? opts->limit : unlimited;
    s->page_rows = first < s->opts.batch_rows ? (uint32_t)first : s->opts.batch_rows;
    buf_init(&s->start, STORAGE_KEY_SIZE_MAX + 16);
    buf_init(&s->end, STORAGE_KEY_SIZE_MAX + 16);
    buf_init(&s->cover, STORAGE_KEY_SIZE_MAX + 16);
    arena_init(&s->page, NULL, NULL, 0);
    arena_init(&s->rows_arena, NULL, NULL, 0);
    db_err err = buf_append_slice(&s->start, opts->start);
    if (err == ERR_OK) {
        err = buf_append_slice(&s->end, opts->end);
    }
    if (err != ERR_OK) {
        cluster_scan_close(&s->base);
        return err;
    }
    if (mode == STORAGE_READ_PLAIN) {
        ctxn_scan_opens(t, s->read_ts);
        s->noted = true;
    }
    s->done = opts->end.len != 0 && slice_cmp(opts->start, opts->end) >= 0;
    *ret_scan = &s->base;
    return ERR_OK;
}

void cluster_scan_close(struct storage_scan *base)
{
    struct cluster_scan *s = CONTAINER_OF(base, struct cluster_scan, base);
    if (s->noted) {
        ctxn_scan_closes(s->t);
    }
    buf_fini(&s->start);
    buf_fini(&s->end);
    buf_fini(&s->cover);
    arena_fini(&s->page);
    arena_fini(&s->rows_arena);
    mem_free(s);
}

/* ---- pages ---- */

static db_err set_buf(struct buf *b, struct slice s)
{
    if (s.ptr == b->ptr && s.len <= b->len) {
        b->len = s.len;
        return ERR_OK;
    }
    buf_reset(b);
    return buf_append_slice(b, s);
}

static void bounds_in(const struct cluster_scan *s, const struct range_location *loc,
                      struct slice *ret_start, struct slice *ret_end)
{
    struct slice start = buf_slice(&s->start);
    struct slice end = buf_slice(&s->end);
    if (slice_cmp(start, loc->start) < 0) {
        start = loc->start;
    }
    if (loc->end.len != 0 && (end.len == 0 || slice_cmp(loc->end, end) < 0)) {
        end = loc->end;
    }
    *ret_start = start;
    *ret_end = end;
}

static db_err note_locks(struct cluster_scan *s, struct lock_span *span,
                         const struct kv_scan_resp *resp)
{
    for (size_t i = 0; i < resp->count; i++) {
        TRY(ctxn_note_lock(s->t, span, resp->lock_term, resp->pairs[i].key, s->opts.mode, true,
                           resp->versions[i]));
    }
    return ERR_OK;
}

static db_err note_gap(struct cluster_scan *s, const struct kv_scan_req *req,
                       const struct kv_scan_resp *resp)
{
    bool more = resp->more;
    return ctxn_note_gap(s->t, resp->lock_term, more && req->reverse ? resp->resume : req->start,
                         more && !req->reverse ? resp->resume : req->end);
}

static db_err take_page(struct cluster_scan *s, const struct kv_scan_req *req,
                        const struct kv_scan_resp *resp)
{
    struct slice cover = s->opts.reverse ? req->start : req->end;
    if (resp->more) {
        cover = resp->resume;
        s->last_page = false;
    } else {
        s->last_page = slice_eq(cover, s->opts.reverse ? buf_slice(&s->start) : buf_slice(&s->end));
    }
    TRY(set_buf(&s->cover, cover));
    s->pairs = resp->pairs;
    s->count = resp->count;
    s->pos = 0;
    s->has_page = true;
    return ERR_OK;
}

static db_err fetch_page(struct cluster_scan *s, struct diag *diag)
{
    struct ctxn *t = s->t;
    struct attempt at;
    struct resolver resolver;
    struct follower f = {0};
    bool locks = s->opts.mode != STORAGE_READ_PLAIN;
    uint64_t began_ns = locks ? clock_mono_ns() : 0;
    attempt_init(&at, t->env->router);
    resolver_init(&resolver, t->env, &s->met);
    if (s->page.used > PAGE_KEEP) {
        arena_fini(&s->page);
        arena_init(&s->page, NULL, NULL, 0);
    } else {
        arena_reset(&s->page);
    }
    for (;;) {
        struct route route;
        struct lock_span *span = NULL;
        struct kv_reply reply = {0};
        struct kv_scan_resp resp = {0};
        TRY(s->opts.reverse ? route_find_before(&at, buf_slice(&s->end), &s->page, diag, &route)
                            : route_find(&at, buf_slice(&s->start), &s->page, diag, &route));
        struct kv_scan_req req = {.r = route_request(&route, fiber_deadline(), &s->page),
                                  .reverse = s->opts.reverse,
                                  .keys_only = s->opts.keys_only,
                                  .rows_max = s->page_rows,
                                  .bytes_max = SCAN_BYTES_MAX,
                                  .read_ts = s->read_ts,
                                  .own_ts = t->start_ts,
                                  .lock = kv_mode_of(s->opts.mode),
                                  .gaps = s->gaps,
                                  .wait = kv_wait_of(s->opts.wait),
                                  .lock_wait_ms = locks ? ctxn_lock_wait_left_ms(t, began_ns) : 0};
        bounds_in(s, &route.loc, &req.start, &req.end);
        if (locks) {
            TRY(ctxn_note_span(t, &route.loc, &span));
        }
        follower_choose(&f, t, locks ? 0 : s->read_ts, &route, &req.r, diag);
        db_err err = route.kv->ops->scan(route.kv, &req, diag, &reply, &resp);
        if (follower_refused(&f, t, err, diag)) {
            continue;
        }
        if (err == ERR_OK) {
            if (locks) {
                TRY(note_locks(s, span, &resp));
            }
            if (s->gaps) {
                TRY(note_gap(s, &req, &resp));
            }
            return take_page(s, &req, &resp);
        }
        if (err == ERR_KEY_LOCKED) {
            TRY(resolve_lock(&resolver, &reply.lock, diag));
            continue;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

/* All of the page has been handed out: the scan stands at its end. */
static db_err leave_page(struct cluster_scan *s)
{
    s->has_page = false;
    s->done = s->last_page;
    TRY(set_buf(s->opts.reverse ? &s->end : &s->start, buf_slice(&s->cover)));
    if (s->page_rows < s->opts.batch_rows) {
        s->page_rows =
            s->page_rows * 4 < s->opts.batch_rows ? s->page_rows * 4 : s->opts.batch_rows;
    }
    return ERR_OK;
}

/* ---- merging ---- */

/* Own writes where the scan stands: in the buffer, and, of a large transaction, what it has on
 * disk up to some key. */
struct own {
    struct wb_entry *mem;
    struct wb_entry **spilled;
    size_t count, at;
    bool more; /* on disk, after those */
};

static struct wb_entry *own_in_cover(const struct cluster_scan *s, struct wb_entry *e)
{
    const struct write_buffer *wb = &s->t->wb;
    while (e != NULL && !wb_is_write(e)) {
        e = s->opts.reverse ? wb_seek_before(wb, e->key) : wb_next(e);
    }
    if (e == NULL) {
        return NULL;
    }
    if (s->opts.reverse) {
        return slice_cmp(e->key, buf_slice(&s->cover)) >= 0 ? e : NULL;
    }
    return s->cover.len == 0 || slice_cmp(e->key, buf_slice(&s->cover)) < 0 ? e : NULL;
}

static struct wb_entry *own_first(const struct cluster_scan *s)
{
    const struct write_buffer *wb = &s->t->wb;
    return own_in_cover(s, s->opts.reverse ? wb_seek_before(wb, buf_slice(&s->end))
                                           : wb_seek(wb, buf_slice(&s->start)));
}

static db_err own_begin(struct cluster_scan *s, struct diag *diag, struct own *ret)
{
    struct slice cover = buf_slice(&s->cover);
    struct write_spill_span span = {.start = s->opts.reverse ? cover : buf_slice(&s->start),
                                    .end = s->opts.reverse ? buf_slice(&s->end) : cover,
                                    .reverse = s->opts.reverse,
                                    .writes_only = true,
                                    .keys_only = s->opts.keys_only};
    struct own o = {0};
    if (UNLIKELY(s->t->spill != NULL)) {
        size_t max = s->page_rows < SCAN_FIRST_ROWS ? SCAN_FIRST_ROWS : s->page_rows;
        TRY(write_spill_collect(s->t->spill, &span, max, &s->rows_arena, diag, &o.spilled, &o.count,
                                &o.more));
    }
    o.mem = own_first(s); /* nothing parks from here on */
    *ret = o;
    return ERR_OK;
}

/* The next one; the buffer knows better. */
static const struct wb_entry *own_peek(const struct cluster_scan *s, const struct own *o)
{
    if (LIKELY(o->at == o->count)) {
        return o->mem;
    }
    const struct wb_entry *e = o->spilled[o->at];
    int c = o->mem == NULL ? 1 : slice_cmp(o->mem->key, e->key);
    c = s->opts.reverse && o->mem != NULL ? -c : c;
    return c <= 0 ? o->mem : e;
}

/* false: there may be more on disk than is known here. */
static bool own_pass(const struct cluster_scan *s, struct own *o, const struct wb_entry *e)
{
    bool spilled = o->at < o->count && slice_eq(o->spilled[o->at]->key, e->key);
    if (o->mem != NULL && slice_eq(o->mem->key, e->key)) {
        const struct write_buffer *wb = &s->t->wb;
        o->mem =
            own_in_cover(s, s->opts.reverse ? wb_seek_before(wb, o->mem->key) : wb_next(o->mem));
    }
    o->at += spilled;
    return !spilled || o->at < o->count || !o->more;
}

static db_err own_row(struct cluster_scan *s, const struct wb_entry *e, struct storage_kv *ret)
{
    struct storage_kv row = {e->key, s->opts.keys_only ? SLICE_EMPTY : e->now.value};
    if (ctxn_copies(s->t)) {
        TRY(arena_copy(&s->rows_arena, row.key, &row.key));
        TRY(arena_copy(&s->rows_arena, row.value, &row.value));
    }
    *ret = row;
    return ERR_OK;
}

/* < 0: the page's row comes first, 0: the same key, > 0: the own write. Not both are missing. */
static int order_of(const struct cluster_scan *s, const struct kv_pair *row,
                    const struct wb_entry *own)
{
    if (row == NULL || own == NULL) {
        return own == NULL ? -1 : 1;
    }
    int c = slice_cmp(row->key, own->key);
    return s->opts.reverse ? -c : c;
}

static db_err pass(struct cluster_scan *s, struct slice key)
{
    if (s->opts.reverse) {
        return set_buf(&s->end, key);
    }
    TRY(set_buf(&s->start, key));
    return buf_append_u8(&s->start, 0);
}

static db_err merge(struct cluster_scan *s, struct diag *diag, struct storage_kv *rows,
                    size_t *ret_count)
{
    size_t n = 0;
    struct slice last = SLICE_EMPTY;
    bool any = false;
    struct own o;
    bool ended = false;
    bool known = true;
    TRY(own_begin(s, diag, &o));
    while (n < s->opts.batch_rows && known) {
        const struct wb_entry *own = own_peek(s, &o);
        const struct kv_pair *row = s->pos < s->count ? &s->pairs[s->pos] : NULL;
        if (row == NULL && own == NULL) {
            ended = true;
            break;
        }
        int c = order_of(s, row, own);
        last = c < 0 ? row->key : own->key;
        any = true;
        if (c < 0) {
            rows[n++] = (struct storage_kv){row->key, row->value};
        } else if (own->now.op == WB_PUT) {
            TRY(own_row(s, own, &rows[n++]));
        }
        s->pos += c <= 0;
        if (c >= 0) {
            known = own_pass(s, &o, own);
        }
    }
    *ret_count = n;
    if (ended) {
        return leave_page(s);
    }
    return any ? pass(s, last) : ERR_OK;
}

static db_err hand_out(struct cluster_scan *s, struct diag *diag,
                       const struct storage_kv **ret_rows, size_t *ret_count)
{
    if (!ctxn_may_have_own(s->t)) {
        size_t n = s->count - s->pos;
        if (n == 0) { /* an empty page, without memory */
            *ret_count = 0;
            return leave_page(s);
        }
        n = n < s->opts.batch_rows ? n : s->opts.batch_rows;
        *ret_rows = (const struct storage_kv *)(const void *)(s->pairs + s->pos);
        *ret_count = n;
        s->pos += n;
        if (s->pos == s->count) {
            return leave_page(s);
        }
        return pass(s, s->pairs[s->pos - 1].key);
    }
    arena_reset(&s->rows_arena);
    struct storage_kv *rows = arena_alloc(&s->rows_arena, s->opts.batch_rows * sizeof(*rows));
    if (rows == NULL) {
        return ERR_NOMEM;
    }
    *ret_rows = rows;
    return merge(s, diag, rows, ret_count);
}

db_err cluster_scan_next(struct storage_scan *base, struct diag *diag,
                         const struct storage_kv **ret_rows, size_t *ret_count)
{
    struct cluster_scan *s = CONTAINER_OF(base, struct cluster_scan, base);
    const struct storage_kv *rows = NULL;
    size_t count = 0;
    if (s->opts.mode != STORAGE_READ_PLAIN) {
        TRY(ctxn_make_room(s->t, diag));
    }
    while (count == 0 && !(s->done && !s->has_page)) {
        if (!s->has_page) {
            TRY(fetch_page(s, diag));
        }
        TRY(hand_out(s, diag, &rows, &count));
        TRY(fiber_checkpoint());
    }
    *ret_rows = rows;
    *ret_count = count;
    return ERR_OK;
}
