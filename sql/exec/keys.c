/* Ranges of a scan as keys.
 *
 * What a bound is as a key says key_bounds.c, what limits the ranges key_limits.c. */
#include "sql/exec/keys.h"

#include "base/buf.h"
#include "sql/codec/table_keys.h"
#include "sql/exec/key_bounds.h"
#include "sql/exec/key_limits.h"
#include "sql/exec/multi_value.h"

enum { KEY_BUF_MAX = 16 * 1024 * 1024 };

static db_err copy_key(struct exec_ctx *ctx, const struct buf *b, struct slice *ret)
{
    return arena_copy(ctx->arena, buf_slice(b), ret);
}

static uint32_t index_ordinal(const struct scan_spec *s)
{
    return (uint32_t)(s->index - s->table->indexes);
}

static const struct index_format *format_of(const struct scan_spec *s)
{
    return &s->table->format->indexes[index_ordinal(s)];
}

static const struct sql_type *part_type(const struct scan_spec *s, uint32_t part)
{
    return column_key_type(&s->table->columns[s->index->parts[part].column]);
}

/* element: what is looked for in the part with several values a row. */
static db_err append_equalities(struct exec_ctx *ctx, const struct scan_spec *s,
                                const struct key_limits *limits, const struct scan_range *r,
                                const struct value *element, struct buf *key, bool *ret_empty)
{
    const struct index_format *f = format_of(s);
    TRY(buf_append_slice(key, s->table->format->index_prefixes[index_ordinal(s)]));
    for (uint32_t i = 0; i < r->eq_count; i++) {
        const struct key_column *kc = &f->columns[i];
        struct value v;
        int order = 0;
        bool null = r->eq[i] == NULL;
        size_t at = key->len;
        if (i + 1 == r->multi) {
            v = *element;
        } else if (!null) {
            TRY(exec__eval_bound(ctx, r->eq[i], part_type(s, i), &v, &order));
            null = v.is_null;
        }
        if (order != 0 || (null && (!r->eq_null_safe[i] || !kc->nullable))) {
            *ret_empty = true;
            return ERR_OK;
        }
        TRY(null ? key_encode_null(kc, key) : exec__put_value(kc, &v, key));
        if (limits != NULL && !exec__limits_allow(limits, i, slice_from(buf_slice(key), at))) {
            *ret_empty = true;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* The range before any limit of the part behind its equalities. *ret_before: their keys, if that
 * part has an interval; else empty. */
static db_err range_into(struct exec_ctx *ctx, const struct scan_spec *s,
                         const struct key_limits *limits, const struct scan_range *r,
                         const struct value *element, struct buf *key, struct key_range *ret,
                         struct slice *ret_before, bool *ret_empty)
{
    *ret_before = (struct slice){0};
    TRY(append_equalities(ctx, s, limits, r, element, key, ret_empty));
    if (*ret_empty) {
        return ERR_OK;
    }
    if (r->eq_count < s->index->part_count && (r->low != NULL || r->high != NULL || r->not_null)) {
        struct bound low;
        struct bound high;
        const struct sql_type *t = part_type(s, r->eq_count);
        const struct key_column *kc = &format_of(s)->columns[r->eq_count];
        TRY(exec__eval_interval_end(ctx, r->low, r->low_inclusive, true, t, &low, ret_empty));
        TRY(exec__eval_interval_end(ctx, r->high, r->high_inclusive, false, t, &high, ret_empty));
        if (*ret_empty) {
            return ERR_OK;
        }
        TRY(exec__put_interval(ctx, kc, r->not_null, &low, &high, key, ret_before, ret));
    } else {
        TRY(copy_key(ctx, key, &ret->start));
        key_prefix_end(key);
        TRY(copy_key(ctx, key, &ret->end));
    }
    *ret_empty = ret->end.len != 0 && slice_cmp(ret->start, ret->end) >= 0;
    return ERR_OK;
}

/* Ranges under construction. */
struct range_list {
    const struct scan_spec *spec;
    const struct key_limits *limits; /* NULL: none */
    struct key_range *items;
    uint32_t count, room;
};

/* Room for `more` further ranges. */
static db_err reserve(struct exec_ctx *ctx, struct range_list *io, uint32_t more)
{
    if (io->count + more <= io->room) {
        return ERR_OK;
    }
    uint32_t room = (io->count + more) * 2;
    struct key_range *grown = ARENA_ARRAY(ctx->arena, struct key_range, room);
    if (grown == NULL) {
        return ERR_LIMIT;
    }
    memcpy(grown, io->items, io->count * sizeof(*grown));
    io->items = grown;
    io->room = room;
    return ERR_OK;
}

static db_err add_range(struct exec_ctx *ctx, const struct scan_range *r,
                        const struct value *element, struct buf *key, struct range_list *io)
{
    bool empty = false;
    struct slice before;
    struct key_range range;
    buf_reset(key);
    TRY(range_into(ctx, io->spec, io->limits, r, element, key, &range, &before, &empty));
    if (empty) {
        return ERR_OK;
    }
    uint32_t pieces =
        io->limits == NULL || before.len == 0 ? 0 : exec__limits_pieces(io->limits, r->eq_count);
    TRY(reserve(ctx, io, pieces == 0 ? 1 : pieces));
    if (pieces != 0) {
        return exec__limits_divide(ctx, io->limits, r->eq_count, before, &range, io->items,
                                   &io->count);
    }
    io->items[io->count++] = range;
    return ERR_OK;
}

/* Of a condition on the part with several values a row: a range for each value that it asks for, or
 * the one of the parts before it. */
static db_err add_multi(struct exec_ctx *ctx, const struct scan_range *r, struct buf *key,
                        struct range_list *io, bool *io_repeats)
{
    struct multi_search search;
    struct value v;
    const struct bexpr *e = r->eq[r->multi - 1];
    TRY(expr_eval_scalar(ctx, e, &v));
    struct sql_type own = value_type(&v);
    bool tagged = e->type.id != TYPE_NULL && type_phys(&e->type) == (enum phys_kind)v.phys;
    TRY(multi_search(ctx, (int)r->multi_match, part_type(io->spec, r->multi - 1),
                     v.is_null || tagged ? &e->type : &own, &v, &search));
    if (search.all) {
        struct scan_range before = {
            .eq_count = r->multi - 1, .eq = r->eq, .eq_null_safe = r->eq_null_safe};
        *io_repeats = true;
        return add_range(ctx, &before, NULL, key, io);
    }
    for (uint32_t i = 0; i < search.count; i++) {
        TRY(add_range(ctx, r, &search.values[i], key, io));
    }
    return ERR_OK;
}

static db_err add_ranges(struct exec_ctx *ctx, struct range_list *io, bool *ret_repeats)
{
    static const struct scan_range whole = {.eq_count = 0};
    const struct scan_spec *s = io->spec;
    struct buf key;
    db_err err = ERR_OK;
    *ret_repeats = false;
    buf_init(&key, KEY_BUF_MAX);
    for (uint32_t i = 0; i < (s->range_count == 0 ? 1 : s->range_count) && err == ERR_OK; i++) {
        const struct scan_range *r = s->range_count == 0 ? &whole : &s->ranges[i];
        if (r->multi != 0) {
            err = add_multi(ctx, r, &key, io, ret_repeats);
        } else {
            *ret_repeats = s->repeats;
            err = add_range(ctx, r, NULL, &key, io);
        }
    }
    buf_fini(&key);
    return err;
}

db_err exec__scan_ranges(struct exec_ctx *ctx, const struct scan_spec *s,
                         struct key_range **ret_ranges, uint32_t *ret_count, bool *ret_repeats)
{
    uint32_t n = s->range_count == 0 ? 1 : s->range_count;
    struct range_list list = {
        .spec = s, .items = ARENA_ARRAY(ctx->arena, struct key_range, n), .room = n};
    bool repeats = false;
    bool empty = false;
    if (list.items == NULL) {
        return ERR_LIMIT;
    }
    if (s->limit_count != 0) {
        TRY(exec__limits_eval(ctx, s, &list.limits, &empty));
    }
    TRY(empty ? ERR_OK : add_ranges(ctx, &list, &repeats));
    *ret_repeats = s->repeats && (repeats || list.count > 1);
    if (list.count > 1) {
        exec__merge_ranges(list.items, &list.count);
    }
    *ret_ranges = list.items;
    *ret_count = list.count;
    return ERR_OK;
}

static db_err point_key(struct exec_ctx *ctx, const struct scan_spec *s,
                        const struct key_limits *limits, uint32_t r, struct slice *ret_key,
                        bool *ret_empty)
{
    enum { ROOM = 256 };
    uint8_t room[ROOM]; /* enough for most keys; what does not fit is made again on the heap */
    struct buf key = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
    *ret_empty = false;
    db_err err = append_equalities(ctx, s, limits, &s->ranges[r], NULL, &key, ret_empty);
    if (err != ERR_LIMIT) {
        TRY(err);
        return *ret_empty ? ERR_OK : copy_key(ctx, &key, ret_key);
    }
    buf_init(&key, KEY_BUF_MAX);
    *ret_empty = false;
    err = append_equalities(ctx, s, limits, &s->ranges[r], NULL, &key, ret_empty);
    if (err == ERR_OK && !*ret_empty) {
        err = copy_key(ctx, &key, ret_key);
    }
    buf_fini(&key);
    return err;
}

db_err exec__point_key(struct exec_ctx *ctx, const struct scan_spec *s, struct slice *ret_key,
                       bool *ret_empty)
{
    const struct key_limits *limits = NULL;
    *ret_empty = false;
    if (s->limit_count != 0) {
        TRY(exec__limits_eval(ctx, s, &limits, ret_empty));
    }
    return *ret_empty ? ERR_OK : point_key(ctx, s, limits, 0, ret_key, ret_empty);
}

db_err exec__point_keys(struct exec_ctx *ctx, const struct scan_spec *s, struct slice *ret_keys,
                        uint32_t *ret_count)
{
    const struct key_limits *limits = NULL;
    bool none = false;
    uint32_t n = 0;
    if (s->limit_count != 0) {
        TRY(exec__limits_eval(ctx, s, &limits, &none));
    }
    for (uint32_t i = 0; i < s->range_count && !none; i++) {
        bool empty;
        TRY(point_key(ctx, s, limits, i, &ret_keys[n], &empty));
        n += !empty;
    }
    *ret_count = n;
    return ERR_OK;
}

db_err exec__key_of_values(struct exec_ctx *ctx, const struct scan_spec *s,
                           const struct sql_type *const *types, const struct value *values,
                           uint32_t count, struct arena *arena, struct slice *ret_key,
                           bool *ret_empty)
{
    const struct index_format *f = format_of(s);
    struct buf key;
    buf_init(&key, KEY_BUF_MAX);
    *ret_empty = false;
    db_err err = buf_append_slice(&key, s->table->format->index_prefixes[index_ordinal(s)]);
    for (uint32_t i = 0; i < count && err == ERR_OK && !*ret_empty; i++) {
        struct value v;
        int order = 0;
        if (values[i].is_null) {
            *ret_empty = true;
            break;
        }
        err = exec__stored_form(ctx, part_type(s, i), types[i], &values[i], &v, &order);
        *ret_empty = order != 0;
        if (err == ERR_OK && order == 0) {
            err = exec__put_value(&f->columns[i], &v, &key);
        }
    }
    if (err == ERR_OK && !*ret_empty) {
        err = arena_copy(arena, buf_slice(&key), ret_key);
    }
    buf_fini(&key);
    return err;
}
