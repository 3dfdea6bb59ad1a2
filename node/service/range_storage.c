#include "node/service/range_storage.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"

enum { FIRST_ROWS = 256, PAGE_ROWS = 1024, PAGE_BYTES = 1 << 20, PAGE_KEEP = 512 << 10 };

_Static_assert(sizeof(struct kv_pair) == sizeof(struct storage_kv) &&
                   offsetof(struct kv_pair, value) == offsetof(struct storage_kv, value),
               "pages are handed out as rows");

struct range_scan {
    struct storage_scan base;
    struct range_storage *s;
    struct arena page;
    struct slice end;
    bool done;
    uint32_t rows;
};

static struct range_storage *storage_of(struct storage_txn *t)
{
    return CONTAINER_OF(t, struct range_storage, txn);
}

static struct storage_caps caps(struct storage *s)
{
    (void)s;
    return (struct storage_caps){.persistent = true, .distributed = true};
}

static void close_storage(struct storage *s)
{
    (void)s;
}

static db_err txn_begin(struct storage *s, const struct storage_txn_opts *opts, struct diag *diag,
                        struct storage_txn **ret_txn)
{
    (void)opts;
    (void)diag;
    *ret_txn = &CONTAINER_OF(s, struct range_storage, base)->txn;
    return ERR_OK;
}

static db_err txn_commit(struct storage_txn *t, struct diag *diag, uint64_t *ret_ts)
{
    (void)diag;
    if (ret_ts != NULL) {
        *ret_ts = storage_of(t)->req->read_ts;
    }
    return ERR_OK;
}

static void txn_rollback(struct storage_txn *t)
{
    (void)t;
}

/* Rows that lie elsewhere would have to be asked for: fragments do not need them. */
static db_err get(struct storage_txn *t, struct slice key, enum storage_read_mode mode,
                  enum storage_wait wait, struct arena *arena, struct diag *diag, bool *ret_found,
                  struct slice *ret_value)
{
    (void)t;
    (void)key;
    (void)mode;
    (void)wait;
    (void)arena;
    (void)ret_found;
    (void)ret_value;
    return diag_set(diag, ERR_UNSUPPORTED, "a point read in a fragment");
}

static void scan_close(struct storage_scan *base)
{
    struct range_scan *scan = CONTAINER_OF(base, struct range_scan, base);
    arena_fini(&scan->page);
    mem_free(scan);
}

static db_err scan_open(struct storage_txn *t, const struct storage_scan_opts *opts,
                        struct diag *diag, struct storage_scan **ret_scan)
{
    struct range_storage *s = storage_of(t);
    if (opts->reverse || opts->mode != STORAGE_READ_PLAIN) {
        return diag_set(diag, ERR_UNSUPPORTED, "this kind of scan in a fragment");
    }
    struct range_scan *scan = mem_calloc(1, sizeof(*scan));
    if (scan == NULL) {
        return ERR_NOMEM;
    }
    scan->base.ops = s->base.ops;
    scan->s = s;
    scan->rows = FIRST_ROWS;
    scan->end = s->req->end; /* the span is the request's */
    arena_init(&scan->page, NULL, s->mem, 0);
    buf_reset(&s->resume);
    db_err err = buf_append_slice(&s->resume, opts->start);
    if (err != ERR_OK) {
        scan_close(&scan->base);
        return err;
    }
    *ret_scan = &scan->base;
    return ERR_OK;
}

/* Has the page cost enough? Not before there is something. */
static bool enough(const struct range_storage *s)
{
    return s->rows != 0 &&
           (s->rows >= RANGE_STORAGE_ROWS || clock_mono_ns() >= s->stop_ns ||
            atomic_load_explicit(&s->mem->used, memory_order_relaxed) > RANGE_STORAGE_MEMORY);
}

/* Errors that end the stretch where it is: what was read before is good. */
static bool in_the_way(db_err err)
{
    enum err_class class = err_class(err);
    return err == ERR_KEY_LOCKED || class == ERR_CLASS_RETRY_ROUTE || class == ERR_CLASS_RETRY_SAME;
}

static db_err read_page(struct range_scan *scan, struct diag *diag, struct kv_scan_resp *resp)
{
    struct range_storage *s = scan->s;
    struct kv_scan_req req = {.r = s->req->r,
                              .start = buf_slice(&s->resume),
                              .end = scan->end,
                              .rows_max = scan->rows,
                              .bytes_max = PAGE_BYTES,
                              .read_ts = s->req->read_ts,
                              .own_ts = s->req->own_ts};
    if (scan->page.used > PAGE_KEEP) {
        arena_fini(&scan->page);
        arena_init(&scan->page, NULL, s->mem, 0);
    } else {
        arena_reset(&scan->page);
    }
    req.r.arena = &scan->page;
    scan->rows = PAGE_ROWS;
    return s->kv->ops->scan(s->kv, &req, diag, s->reply, resp);
}

static db_err scan_next(struct storage_scan *base, struct diag *diag,
                        const struct storage_kv **ret_rows, size_t *ret_count)
{
    struct range_scan *scan = CONTAINER_OF(base, struct range_scan, base);
    struct range_storage *s = scan->s;
    struct kv_scan_resp resp = {0};
    *ret_count = 0;
    while (*ret_count == 0 && !scan->done) {
        if (enough(s)) {
            scan->done = s->stopped = true;
            return ERR_OK;
        }
        db_err err = read_page(scan, diag, &resp);
        if (err != ERR_OK && s->rows != 0 && in_the_way(err)) {
            *s->reply = (struct kv_reply){0};
            scan->done = s->stopped = true;
            return ERR_OK;
        }
        TRY(err);
        s->rows += resp.count;
        scan->done = !resp.more;
        if (resp.more) {
            buf_reset(&s->resume);
            TRY(buf_append_slice(&s->resume, resp.resume));
        }
        *ret_rows = (const struct storage_kv *)(const void *)resp.pairs;
        *ret_count = resp.count;
        TRY(fiber_checkpoint());
    }
    /* The rows just given may be the last that are asked for. */
    s->stopped = !scan->done;
    return ERR_OK;
}

static db_err estimate(struct storage *s, struct slice start, struct slice end, uint64_t *ret_rows,
                       uint64_t *ret_bytes)
{
    (void)s;
    (void)start;
    (void)end;
    *ret_rows = *ret_bytes = 0;
    return ERR_OK;
}

static const struct storage_ops range_ops = {
    .name = "range",
    .caps = caps,
    .close = close_storage,
    .txn_begin = txn_begin,
    .txn_commit = txn_commit,
    .txn_rollback = txn_rollback,
    .get = get,
    .scan_open = scan_open,
    .scan_next = scan_next,
    .scan_close = scan_close,
    .estimate = estimate,
};

void range_storage_init(struct range_storage *s, struct kv_service *kv,
                        const struct kv_fragment_req *req, struct kv_reply *reply,
                        struct mem_tracker *mem)
{
    *s = (struct range_storage){.base.ops = &range_ops,
                                .txn.ops = &range_ops,
                                .kv = kv,
                                .req = req,
                                .reply = reply,
                                .mem = mem,
                                .stop_ns = clock_mono_ns() + RANGE_STORAGE_MS * NS_PER_MS};
    buf_init(&s->resume, STORAGE_KEY_SIZE_MAX + 16);
}

void range_storage_fini(struct range_storage *s)
{
    buf_fini(&s->resume);
}
