#include "cluster/kv/kv_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/metrics.h"
#include "sql/pushdown/pushdown.h"

/* Fragments of plans over the ranges of their spans.
 *
 * The spans are cut at the borders of the ranges that are known; each part is a piece, and pieces
 * are handed out in key order. A piece whose range is led here is left to the caller as it is. The
 * others are asked for by messages, a page at a time, in fibers of this loop: as many pieces at
 * once as the window says, and for each the next page while the one before is being used. So at
 * most two pages a piece are ever held, and a node that is asked for nothing does nothing: pages
 * are the credit.
 *
 * What is known of ranges may be old. A page says up to which key it is right; whatever then fails
 * is found out for the rest of the piece alone: the cache is mended, the rest is asked of who leads
 * it now, page by page, and if that is this node, or the other could not run the fragment, the rest
 * becomes a piece for the caller.
 *
 * One loop: no locks. Fetching fibers are cancelled and waited for when the scan is closed. */

enum {
    PIECES_MAX = 4096,
    WINDOW_EAGER = 8,
    WINDOW_MAX = 4,          /* of a scan that may be left before its end */
    PAGE_BYTES = 512 * 1024, /* a page ends soon after that */
};

enum piece_state {
    PIECE_IDLE,    /* nothing is under way */
    PIECE_RUNNING, /* a fiber fetches */
    PIECE_READY,   /* `page`, or `err` */
};

struct piece {
    struct slice start, end; /* what is left; in the scan's arena (of start: or its pages') */
    bool here;
    bool done; /* no page comes after the one that is there */
    enum piece_state state;
    db_err err;
    struct slice page;
    struct arena arenas[2]; /* of the page that is used, and of the next */
    unsigned fetching;      /* which of them is the next */
    bool has_arenas;
    struct buf resume; /* memory of `start` */
    struct intents_met met;
};

struct fragment_scan {
    struct storage_scan base;
    struct ctxn *t;
    ts_t read_ts;
    ts_t own_ts;
    uint64_t deadline_ns;
    bool always;
    bool noted;
    struct buf plan;
    struct arena arena;
    struct piece *pieces;
    uint32_t count;
    uint32_t at;     /* the piece that is handed out */
    uint32_t window; /* pieces fetched at once */
    uint32_t window_max;
    unsigned running;
    bool closing;
    struct waiter *waiting; /* the statement's fiber */
    struct fiber *fibers[WINDOW_EAGER];
    struct diag diag; /* of the first error */
};

struct fetch {
    struct fragment_scan *s;
    struct piece *p;
    unsigned slot;
};

static struct fragment_scan *scan_of(struct storage_scan *base)
{
    return CONTAINER_OF(base, struct fragment_scan, base);
}

/* ---- pages ---- */

static db_err set_start(struct piece *p, struct slice key)
{
    struct buf b;
    buf_init(&b, STORAGE_KEY_SIZE_MAX + 16);
    TRY(buf_append_slice(&b, key));
    buf_fini(&p->resume);
    p->resume = b;
    p->start = buf_slice(&p->resume);
    return ERR_OK;
}

static db_err take_page(struct piece *p, const struct kv_fragment_req *req,
                        const struct kv_fragment_resp *resp)
{
    struct slice next = resp->more ? resp->resume : req->end;
    p->page = resp->page;
    p->done = !resp->more && slice_eq(req->end, p->end);
    return p->done ? ERR_OK : set_start(p, next);
}

/* The next page of the piece, or the news that the rest is for the caller. */
static db_err fetch_page(struct fragment_scan *s, struct piece *p, struct diag *diag)
{
    struct attempt at;
    struct resolver resolver;
    struct arena *arena = &p->arenas[p->fetching];
    attempt_init(&at, s->t->env->router);
    resolver_init(&resolver, s->t->env, &p->met);
    arena_reset(arena);
    for (;;) {
        struct route route;
        struct kv_reply reply = {0};
        struct kv_fragment_resp resp = {0};
        TRY(route_find(&at, p->start, arena, diag, &route));
        if (route.kv == s->t->env->router->view->self_kv || route.kv->ops->fragment == NULL) {
            p->here = true;
            return ERR_OK;
        }
        struct kv_fragment_req req = {.r = route_request(&route, s->deadline_ns, arena),
                                      .start = p->start,
                                      .end = p->end,
                                      .read_ts = s->read_ts,
                                      .own_ts = s->own_ts,
                                      .plan = buf_slice(&s->plan),
                                      .bytes_max = PAGE_BYTES};
        if (route.loc.end.len != 0 && (req.end.len == 0 || slice_cmp(route.loc.end, req.end) < 0)) {
            req.end = route.loc.end;
        }
        db_err err = route.kv->ops->fragment(route.kv, &req, diag, &reply, &resp);
        if (err == ERR_OK) {
            metrics_add(METRIC_pushdown_pages, 1);
            return take_page(p, &req, &resp);
        }
        if (err == ERR_UNSUPPORTED || err == ERR_LIMIT || err == ERR_SQL) {
            metrics_add(METRIC_pushdown_refused, 1);
            p->here = true;
            return ERR_OK;
        }
        if (err == ERR_KEY_LOCKED) {
            TRY(resolve_lock(&resolver, &reply.lock, diag));
            continue;
        }
        TRY(attempt_again(&at, err, &route, &reply, diag));
    }
}

static void finish(struct fragment_scan *s, struct piece *p, db_err err, const struct diag *diag)
{
    p->err = err;
    p->state = PIECE_READY;
    if (err != ERR_OK && s->diag.text[0] == '\0') {
        s->diag = *diag;
    }
}

static void wake(struct fragment_scan *s)
{
    struct waiter *w = s->waiting;
    if (w != NULL) {
        s->waiting = NULL;
        wait_signal(w, 0);
    }
}

static void fetch_main(void *arg)
{
    struct fetch f = *(struct fetch *)arg;
    struct diag diag;
    mem_free(arg);
    diag_reset(&diag);
    db_err err = ERR_CANCELED;
    if (!f.s->closing) {
        f.s->fibers[f.slot] = fiber_self();
        fiber_set_deadline(f.s->deadline_ns);
        err = fetch_page(f.s, f.p, &diag);
    }
    f.s->fibers[f.slot] = NULL;
    finish(f.s, f.p, err, &diag);
    f.s->running--;
    wake(f.s);
}

/* False: not now (no fiber, no memory); the caller fetches itself. */
static bool start_fetch(struct fragment_scan *s, struct piece *p)
{
    struct fetch *f = mem_alloc(sizeof(*f));
    unsigned slot = 0;
    while (slot < WINDOW_EAGER && s->fibers[slot] != NULL) {
        slot++;
    }
    if (f == NULL || slot == WINDOW_EAGER) {
        mem_free(f);
        return false;
    }
    *f = (struct fetch){s, p, slot};
    p->state = PIECE_RUNNING;
    s->fibers[slot] = fiber_self(); /* taken; the fiber puts itself there when it runs */
    s->running++;
    if (fiber_spawn(loop_current(), fetch_main, f) != ERR_OK) {
        s->running--;
        s->fibers[slot] = NULL;
        p->state = PIECE_IDLE;
        mem_free(f);
        return false;
    }
    return true;
}

static void prepare(struct piece *p)
{
    if (!p->has_arenas) {
        arena_init(&p->arenas[0], NULL, NULL, 0);
        arena_init(&p->arenas[1], NULL, NULL, 0);
        p->has_arenas = true;
    }
}

static bool can_start(const struct piece *p)
{
    return !p->here && !p->done && p->state == PIECE_IDLE;
}

/* Starts what the window has room for. */
static void fill_window(struct fragment_scan *s)
{
    for (uint32_t i = s->at; i < s->count && s->running < s->window; i++) {
        struct piece *p = &s->pieces[i];
        if (can_start(p)) {
            prepare(p);
            if (!start_fetch(s, p)) {
                return;
            }
        }
    }
}

/* ---- cutting spans ---- */

static db_err add_piece(struct fragment_scan *s, struct slice start, struct slice end, bool here,
                        uint32_t *io_cap)
{
    struct piece *last = s->count == 0 ? NULL : &s->pieces[s->count - 1];
    if (last != NULL && last->here && here && slice_eq(last->end, start)) {
        last->end = end;
        return ERR_OK;
    }
    if (s->count == *io_cap) {
        uint32_t cap = *io_cap * 2;
        struct piece *grown = cap > PIECES_MAX ? NULL : ARENA_ARRAY(&s->arena, struct piece, cap);
        if (grown == NULL) { /* the rest is one piece, which goes on over borders */
            last->end = end;
            return ERR_OK;
        }
        memcpy(grown, s->pieces, s->count * sizeof(*grown));
        s->pieces = grown;
        *io_cap = cap;
    }
    s->pieces[s->count++] = (struct piece){.start = start, .end = end, .here = here};
    buf_init(&s->pieces[s->count - 1].resume, STORAGE_KEY_SIZE_MAX + 16);
    return ERR_OK;
}

static db_err cut_span(struct fragment_scan *s, struct storage_span span, uint32_t *io_cap,
                       struct diag *diag, bool *io_away)
{
    struct router *router = s->t->env->router;
    struct attempt at;
    attempt_init(&at, router);
    for (struct slice start = span.start;;) {
        struct route route;
        TRY(route_find(&at, start, &s->arena, diag, &route));
        bool last = route.loc.end.len == 0 ||
                    (span.end.len != 0 && slice_cmp(span.end, route.loc.end) <= 0);
        /* over several ranges the leaders' nodes work side by side, which is worth the messages */
        bool one = last && slice_eq(start, span.start);
        bool copy =
            (one || s->t->opts.fresh_from_ns != 0) && follower_has(s->t, &route, start, diag);
        bool here = copy || route.kv == router->view->self_kv || route.kv->ops->fragment == NULL;
        *io_away = *io_away || !here;
        TRY(add_piece(s, start, last ? span.end : route.loc.end, here, io_cap));
        if (last) {
            return ERR_OK;
        }
        start = route.loc.end;
    }
}

static db_err cut(struct fragment_scan *s, const struct storage_span *spans, size_t count,
                  struct diag *diag, bool *ret_away)
{
    uint32_t cap = count < 8 ? 8 : (uint32_t)count;
    s->pieces = ARENA_ARRAY(&s->arena, struct piece, cap);
    *ret_away = false;
    if (s->pieces == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        struct storage_span copy;
        TRY(arena_copy(&s->arena, spans[i].start, &copy.start));
        TRY(arena_copy(&s->arena, spans[i].end, &copy.end));
        TRY(cut_span(s, copy, &cap, diag, ret_away));
    }
    return ERR_OK;
}

/* ---- the scan ---- */

static bool writes_in(const struct ctxn *t, const struct storage_span *span)
{
    struct wb_entry *e = wb_seek(&t->wb, span->start);
    while (e != NULL && (span->end.len == 0 || slice_cmp(e->key, span->end) < 0)) {
        if (wb_is_write(e)) {
            return true;
        }
        e = wb_next(e);
    }
    return false;
}

static bool possible(const struct ctxn *t, const struct storage_span *spans, size_t count)
{
    if (ctxn_read_mode(t, STORAGE_READ_PLAIN) != STORAGE_READ_PLAIN || count > PIECES_MAX / 4) {
        return false;
    }
    if (UNLIKELY(t->spill != NULL)) {
        return false; /* asking whether it has writes in there would take reads */
    }
    for (size_t i = 0; i < count && t->wb.write_count != 0; i++) {
        if (writes_in(t, &spans[i])) {
            return false;
        }
    }
    return true;
}

static db_err open_scan(struct fragment_scan *s, const struct storage_fragment *fragment,
                        const struct storage_span *spans, size_t count, struct diag *diag,
                        bool *ret_use)
{
    bool away;
    TRY(cut(s, spans, count, diag, &away));
    *ret_use = away || s->always;
    if (!away) {
        return ERR_OK;
    }
    db_err err = pushdown_encode(fragment, &s->plan);
    if (err == ERR_UNSUPPORTED) {
        *ret_use = false;
        return ERR_OK;
    }
    TRY(err);
    TRY(ctxn_need_snapshot(s->t, diag));
    s->read_ts = s->t->read_ts;
    s->own_ts = s->t->start_ts;
    ctxn_scan_opens(s->t, s->read_ts);
    s->noted = true;
    return ERR_OK;
}

db_err cluster_fragment_open(struct storage_txn *base, const struct storage_fragment *fragment,
                             const struct storage_span *spans, size_t count, bool always,
                             bool eager, struct diag *diag, struct storage_scan **ret_scan)
{
    struct ctxn *t = ctxn_of(base);
    bool use = false;
    *ret_scan = NULL;
    if (!possible(t, spans, count)) {
        return ERR_OK;
    }
    struct fragment_scan *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->base.ops = &cluster_storage_ops;
    s->t = t;
    s->always = always;
    s->deadline_ns = fiber_deadline();
    s->window = eager ? WINDOW_EAGER : 1;
    s->window_max = eager ? WINDOW_EAGER : WINDOW_MAX;
    diag_reset(&s->diag);
    arena_init(&s->arena, NULL, t->opts.mem, 0);
    buf_init(&s->plan, PUSHDOWN_PLAN_MAX);
    db_err err = open_scan(s, fragment, spans, count, diag, &use);
    if (err != ERR_OK || !use) {
        cluster_fragment_close(&s->base);
        return err;
    }
    *ret_scan = &s->base;
    return ERR_OK;
}

/* Waits until the piece's page is there. Alone, there is nobody to overlap with: fetched right
 * here. */
static db_err await(struct fragment_scan *s, struct piece *p, struct diag *diag)
{
    prepare(p);
    if (p->state == PIECE_IDLE && (s->at + 1 == s->count || !start_fetch(s, p))) {
        struct diag own;
        diag_reset(&own);
        finish(s, p, fetch_page(s, p, &own), &own);
    }
    fill_window(s);
    while (p->state == PIECE_RUNNING) {
        struct waiter w;
        wait_init(&w);
        s->waiting = &w;
        db_err err = wait_block(&w, s->deadline_ns);
        s->waiting = NULL;
        TRY(err);
    }
    if (p->err != ERR_OK && diag != NULL) {
        *diag = s->diag;
    }
    return p->err;
}

/* The page is the caller's until the next call; the one after it may be on its way meanwhile. */
static void hand_out(struct fragment_scan *s, struct piece *p, struct storage_piece *ret)
{
    *ret = (struct storage_piece){.page = p->page};
    p->page = SLICE_EMPTY;
    p->fetching ^= 1u;
    p->state = PIECE_IDLE;
    if (s->window < s->window_max) {
        s->window++;
    }
    if (!p->done && s->running < s->window) {
        (void)start_fetch(s, p);
    }
    fill_window(s);
}

db_err cluster_fragment_next(struct storage_scan *base, struct diag *diag,
                             struct storage_piece *ret_piece, bool *ret_end)
{
    struct fragment_scan *s = scan_of(base);
    for (; s->at < s->count; s->at++) {
        struct piece *p = &s->pieces[s->at];
        if (!p->here && p->state == PIECE_IDLE && p->done) {
            continue;
        }
        if (!p->here || p->state != PIECE_IDLE) {
            TRY(await(s, p, diag));
        }
        *ret_end = false;
        if (p->here) {
            *ret_piece = (struct storage_piece){.here = true, .span = {p->start, p->end}};
            fill_window(s);
            s->at++;
            return ERR_OK;
        }
        hand_out(s, p, ret_piece);
        return ERR_OK;
    }
    *ret_end = true;
    return ERR_OK;
}

void cluster_fragment_close(struct storage_scan *base)
{
    struct fragment_scan *s = scan_of(base);
    s->closing = true;
    for (unsigned i = 0; i < WINDOW_EAGER; i++) {
        if (s->fibers[i] != NULL && s->fibers[i] != fiber_self()) {
            fiber_cancel(s->fibers[i]);
        }
    }
    while (s->running != 0) {
        struct waiter w;
        wait_init(&w);
        s->waiting = &w;
        wait_block_uncancelable(&w);
    }
    for (uint32_t i = 0; i < s->count; i++) {
        struct piece *p = &s->pieces[i];
        if (p->has_arenas) {
            arena_fini(&p->arenas[0]);
            arena_fini(&p->arenas[1]);
        }
        buf_fini(&p->resume);
    }
    if (s->noted) {
        ctxn_scan_closes(s->t);
    }
    buf_fini(&s->plan);
    arena_fini(&s->arena);
    mem_free(s);
}
