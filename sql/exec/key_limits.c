/* Limits of ranges as keys.
 *
 * The limits of a part are made into spans of that part's keys alone, whatever stands before them:
 * sorted, apart from each other, and between all of the part's limits. The key of an equality must
 * lie in one of them; an interval is divided by them. As keys are in the order of their values
 * nothing is compared but bytes: of several bounds the tightest is what remains. */
#include "sql/exec/key_limits.h"

#include <stdlib.h>

#include "base/buf.h"
#include "sql/codec/table_keys.h"
#include "sql/exec/key_bounds.h"

enum { KEY_BUF_MAX = 16 * 1024 * 1024 };

/* The spans of a part: `start` empty: from the first key; `end` empty: to the last. */
struct spans {
    struct key_range *items;
    uint32_t count;
    bool limited; /* else there is no limit of the part */
};

struct key_limits {
    uint32_t part_count;
    struct spans parts[];
};

/* Where limits of a part are made. */
struct part_ctx {
    struct exec_ctx *exec;
    const struct key_column *kc;
    const struct sql_type *type;
    bool prefix; /* keys are of beginnings: an end of an interval is in it */
    struct buf key;
};

/* ---- spans ---- */

static int by_start(const void *a, const void *b)
{
    return slice_cmp(((const struct key_range *)a)->start, ((const struct key_range *)b)->start);
}

void exec__merge_ranges(struct key_range *ranges, uint32_t *io_count)
{
    uint32_t kept = 0;
    qsort(ranges, *io_count, sizeof(*ranges), by_start);
    for (uint32_t i = 0; i < *io_count; i++) {
        struct key_range *last = kept == 0 ? NULL : &ranges[kept - 1];
        if (last != NULL && (last->end.len == 0 || slice_cmp(ranges[i].start, last->end) <= 0)) {
            if (last->end.len != 0 &&
                (ranges[i].end.len == 0 || slice_cmp(ranges[i].end, last->end) > 0)) {
                last->end = ranges[i].end;
            }
            continue;
        }
        ranges[kept++] = ranges[i];
    }
    *io_count = kept;
}

/* Does a span that ends at `a` go further than one that ends at `b`? */
static bool ends_behind(struct slice a, struct slice b)
{
    return b.len != 0 && (a.len == 0 || slice_cmp(a, b) > 0);
}

static bool is_empty(const struct key_range *r)
{
    return r->end.len != 0 && slice_cmp(r->start, r->end) >= 0;
}

static struct key_range common(const struct key_range *a, const struct key_range *b)
{
    return (struct key_range){.start = slice_cmp(a->start, b->start) > 0 ? a->start : b->start,
                              .end = ends_behind(a->end, b->end) ? b->end : a->end};
}

/* What is in both lists. */
static db_err narrow(struct exec_ctx *ctx, const struct spans *by, struct spans *io)
{
    struct spans both = {.limited = true};
    both.items = ARENA_ARRAY(ctx->arena, struct key_range, (size_t)io->count + by->count + 1);
    if (both.items == NULL) {
        return ERR_LIMIT;
    }
    uint32_t a = 0;
    uint32_t b = 0;
    while (a < io->count && b < by->count) {
        struct key_range r = common(&io->items[a], &by->items[b]);
        if (!is_empty(&r)) {
            both.items[both.count++] = r;
        }
        if (ends_behind(io->items[a].end, by->items[b].end)) {
            b++;
        } else {
            a++;
        }
    }
    *io = both;
    return ERR_OK;
}

/* ---- choices ---- */

/* The keys of a value; *ret_empty: no row has it. */
static db_err value_span(struct part_ctx *p, const struct scan_choice *c, struct key_range *ret,
                         bool *ret_empty)
{
    struct value v;
    int order = 0;
    bool null = c->value == NULL;
    if (!null) {
        TRY(exec__eval_bound(p->exec, c->value, p->type, &v, &order));
        null = v.is_null;
    }
    *ret_empty = order != 0 || (null && (!c->null_safe || !p->kc->nullable));
    if (*ret_empty) {
        return ERR_OK;
    }
    TRY(null ? key_encode_null(p->kc, &p->key) : exec__put_value(p->kc, &v, &p->key));
    TRY(arena_copy(p->exec->arena, buf_slice(&p->key), &ret->start));
    key_prefix_end(&p->key);
    return arena_copy(p->exec->arena, buf_slice(&p->key), &ret->end);
}

static db_err interval_span(struct part_ctx *p, const struct scan_choice *c, struct key_range *ret,
                            bool *ret_empty)
{
    struct bound low;
    struct bound high;
    struct slice before;
    *ret_empty = false;
    TRY(exec__eval_interval_end(p->exec, c->low, c->low_inclusive || p->prefix, true, p->type, &low,
                                ret_empty));
    TRY(*ret_empty ? ERR_OK
                   : exec__eval_interval_end(p->exec, c->high, c->high_inclusive || p->prefix,
                                             false, p->type, &high, ret_empty));
    if (*ret_empty) {
        return ERR_OK;
    }
    TRY(exec__put_interval(p->exec, p->kc, true, &low, &high, &p->key, &before, ret));
    const struct bound *first = p->kc->desc ? &high : &low;
    *ret_empty = first->given && ret->start.len == 0; /* behind the last key that can be */
    return ERR_OK;
}

/* A choice and all that is to be met with it. */
static db_err choice_span(struct part_ctx *p, const struct scan_choice *c, struct key_range *ret,
                          bool *ret_empty)
{
    *ret = (struct key_range){0};
    for (; c != NULL; c = c->also) {
        struct key_range one;
        buf_reset(&p->key);
        TRY(c->is_value ? value_span(p, c, &one, ret_empty) : interval_span(p, c, &one, ret_empty));
        if (*ret_empty) {
            return ERR_OK;
        }
        *ret = common(ret, &one);
        *ret_empty = is_empty(ret);
    }
    return ERR_OK;
}

static db_err limit_spans(struct part_ctx *p, const struct scan_limit *l, struct spans *ret)
{
    *ret = (struct spans){.limited = true};
    ret->items = ARENA_ARRAY(p->exec->arena, struct key_range, l->count);
    if (ret->items == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        bool empty = false;
        TRY(choice_span(p, &l->choices[i], &ret->items[ret->count], &empty));
        ret->count += !empty;
    }
    if (ret->count > 1) {
        exec__merge_ranges(ret->items, &ret->count);
    }
    return ERR_OK;
}

static db_err add_limit(struct exec_ctx *ctx, const struct scan_spec *s, const struct scan_limit *l,
                        struct spans *io)
{
    const struct index_part *part = &s->index->parts[l->part];
    const struct index_format *f = &s->table->format->indexes[s->index - s->table->indexes];
    struct part_ctx p = {.exec = ctx,
                         .kc = &f->columns[l->part],
                         .type = column_key_type(&s->table->columns[part->column]),
                         .prefix = part->prefix_len != 0};
    struct spans spans;
    buf_init(&p.key, KEY_BUF_MAX);
    db_err err = limit_spans(&p, l, &spans);
    buf_fini(&p.key);
    TRY(err);
    if (io->limited) {
        return narrow(ctx, &spans, io);
    }
    *io = spans;
    return ERR_OK;
}

db_err exec__limits_eval(struct exec_ctx *ctx, const struct scan_spec *s,
                         const struct key_limits **ret, bool *ret_empty)
{
    uint32_t n = s->index->part_count;
    struct key_limits *limits =
        arena_calloc(ctx->arena, 1, sizeof(*limits) + n * sizeof(limits->parts[0]));
    *ret_empty = false;
    if (limits == NULL) {
        return ERR_LIMIT;
    }
    limits->part_count = n;
    for (uint32_t i = 0; i < s->limit_count && !*ret_empty; i++) {
        struct spans *part = &limits->parts[s->limits[i].part];
        TRY(add_limit(ctx, s, &s->limits[i], part));
        *ret_empty = part->count == 0;
    }
    *ret = limits;
    return ERR_OK;
}

/* ---- ranges ---- */

bool exec__limits_allow(const struct key_limits *l, uint32_t part, struct slice key)
{
    const struct spans *s = &l->parts[part];
    uint32_t from = 0;
    uint32_t to = s->count; /* the first span that starts behind the key is among [from, to] */
    ASSERT(part < l->part_count);
    if (!s->limited) {
        return true;
    }
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (slice_cmp(s->items[middle].start, key) <= 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from != 0 &&
           (s->items[from - 1].end.len == 0 || slice_cmp(key, s->items[from - 1].end) < 0);
}

uint32_t exec__limits_pieces(const struct key_limits *l, uint32_t part)
{
    return l->parts[part].limited ? l->parts[part].count : 0;
}

/* `key` behind what stands before it; no longer than any that is stored. */
static db_err put_behind(struct exec_ctx *ctx, struct slice before, struct slice key,
                         struct slice *ret)
{
    size_t room = before.len > STORAGE_KEY_SIZE_MAX ? 0 : STORAGE_KEY_SIZE_MAX - before.len;
    size_t n = key.len > room ? room : key.len;
    uint8_t *to = arena_alloc(ctx->arena, before.len + n);
    if (to == NULL) {
        return ERR_LIMIT;
    }
    memcpy(to, before.ptr, before.len);
    if (n != 0) {
        memcpy(to + before.len, key.ptr, n);
    }
    *ret = slice_of(to, before.len + n);
    return ERR_OK;
}

db_err exec__limits_divide(struct exec_ctx *ctx, const struct key_limits *l, uint32_t part,
                           struct slice before, const struct key_range *range,
                           struct key_range *io_items, uint32_t *io_count)
{
    const struct spans *s = &l->parts[part];
    ASSERT(s->limited);
    for (uint32_t i = 0; i < s->count; i++) {
        struct key_range span = {0};
        TRY(put_behind(ctx, before, s->items[i].start, &span.start));
        TRY(s->items[i].end.len == 0 ? ERR_OK
                                     : put_behind(ctx, before, s->items[i].end, &span.end));
        struct key_range piece = common(range, &span);
        if (!is_empty(&piece)) {
            io_items[(*io_count)++] = piece;
        }
    }
    return ERR_OK;
}
