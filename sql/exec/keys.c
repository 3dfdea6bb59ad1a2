/* Bounds of ranges as keys.
 *
 * A bound is a value of any type; the column's type may not have it. It is stored as the column
 * would (clipped, rounded) and compared with the original: if they differ, an equality has no row,
 * and an interval's end moves to the side that keeps the condition true for exactly the same column
 * values. Of c > 5.5 on INT 6 is stored, which is more, so that c >= 6 is looked for; of c >
 * 3000000000 it is 2147483647, which is less: c > 2147483647, nothing. A descending part has its
 * order of keys reversed, NULLs included. */
#include "sql/exec/keys.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "sql/codec/table_keys.h"
#include "sql/exec/multi_value.h"
#include "sql/types/sql_mode.h"

enum {
    SEARCH_CHARS_MAX = 64 * 1024, /* many times what a key can have: the rest decides nothing */
    KEY_BUF_MAX = 16 * 1024 * 1024,
    YEAR_MIN = 1901,
    YEAR_MAX = 2155
};

struct bound {
    struct value v;
    bool given;
    bool inclusive;
};

static void stored_integer(const struct sql_type *column, const struct value *v, struct value *ret,
                           int *ret_order)
{
    int64_t min;
    uint64_t max;
    type_int_range(column, &min, &max);
    bool negative = !v->is_unsigned && v->i < 0;
    *ret = *v;
    ret->is_unsigned = type_is_unsigned(column);
    ret->type = column->id;
    if (negative && v->i < min) {
        ret->i = min;
        *ret_order = 1; /* what is stored is greater than the bound */
    } else if (!negative && v->u > max) {
        ret->u = max;
        *ret_order = -1;
    }
}

/* Years are compared as the numbers that they are; those between 0 and YEAR_MIN are none. */
static db_err stored_year(struct cast_ctx *quiet, const struct sql_type *column,
                          const struct sql_type *type, const struct value *v, struct value *ret,
                          int *ret_order)
{
    double number;
    TRY(value_to_double(quiet, type, v, &number));
    double year = number <= 0         ? 0
                  : number < YEAR_MIN ? YEAR_MIN
                  : number > YEAR_MAX ? YEAR_MAX
                                      : floor(number);
    value_tag(ret, column);
    ret->u = (uint64_t)year;
    *ret_order = (year > number) - (year < number);
    return ERR_OK;
}

/* A date as a bound of TIMESTAMPs: what none of them is becomes the nearest one. Of others nothing
 * is done, and *ret_order is 0. */
static void nearest_stamp(const struct cast_ctx *cast, const struct sql_type *column,
                          const struct value *v, struct value *ret, int *ret_order)
{
    int64_t rounded;
    int64_t utc;
    bool truncate = (cast->sql_mode & SQL_MODE_TIME_TRUNCATE_FRACTIONAL) != 0;
    *ret_order = 0;
    if (column->id != TYPE_TIMESTAMP || v->phys != PHYS_TIME ||
        (v->type != TYPE_DATE && v->type != TYPE_DATETIME)) {
        return;
    }
    if (!datetime_round(v->t, column->decimals, truncate, &rounded)) {
        rounded = v->t;
    }
    *ret_order = timestamp_nearest(cast->tz, rounded, &utc);
    if (*ret_order != 0 && datetime_round(utc, column->decimals, true, &utc)) {
        value_tag(ret, column);
        ret->t = utc;
    }
}

static db_err stored_form(struct exec_ctx *ctx, const struct sql_type *column,
                          const struct sql_type *type, const struct value *v, struct value *ret,
                          int *ret_order)
{
    *ret_order = 0;
    bool same_text =
        column->id <= TYPE_LONGBLOB && type_phys(column) == PHYS_STR && v->phys == PHYS_STR;
    if (same_text) {
        *ret = *v;
        return ERR_OK;
    }
    bool named = type->id == TYPE_ENUM || type->id == TYPE_SET;
    if (v->phys == PHYS_INT && (type_is_integer(column) || (column->id == TYPE_BIT && !named))) {
        stored_integer(column, v, ret, ret_order);
        return ERR_OK;
    }
    struct cast_ctx quiet = *ctx->eval.cast;
    struct diag scratch;
    quiet.strict = false;
    quiet.warn = NULL;
    quiet.diag = &scratch;
    quiet.arena = ctx->arena;
    if (column->id == TYPE_YEAR && v->phys != PHYS_TIME && type->id != TYPE_JSON) {
        return stored_year(&quiet, column, type, v, ret, ret_order);
    }
    struct value number;
    struct sql_type real = type_double();
    if (type_is_integer(column) && v->phys == PHYS_STR) {
        if (text_whole_number(v->str, &number)) {
            stored_integer(column, &number, ret, ret_order);
            return ERR_OK;
        }
        TRY(value_cast(&quiet, type, v, &real, &number)); /* whoever compares says what is wrong */
        type = &real;
        v = &number;
    }
    if (type_is_temporal(column) && v->phys == PHYS_TIME && v->t == TEMPORAL_LOWEST) {
        value_tag(ret, column);
        ret->t = column->id == TYPE_TIME ? -TIME_MICROS_MAX : 0;
        *ret_order = 1; /* what is stored is greater, also a zero date */
        return ERR_OK;
    }
    if (type_has_date(column) && v->phys == PHYS_TIME) { /* any date is in the keys' order */
        quiet.sql_mode &= ~(uint64_t)(SQL_MODE_NO_ZERO_DATE | SQL_MODE_NO_ZERO_IN_DATE);
        quiet.sql_mode |= SQL_MODE_ALLOW_INVALID_DATES;
        nearest_stamp(&quiet, column, v, ret, ret_order);
        if (*ret_order != 0) {
            return ERR_OK;
        }
    }
    struct store_target target = {.column = "", .row = 1};
    TRY(type_store(&quiet, column, &target, type, v, ret));
    if (ret->is_null) {
        *ret_order = 1;
        return ERR_OK;
    }
    enum compare_kind kind = compare_kind(column, type);
    double tolerance = kind == COMPARE_DOUBLE ? compare_tolerance(column, type) : 0;
    if (tolerance != 0) {
        double stored;
        double searched;
        TRY(value_to_double(&quiet, column, ret, &stored));
        TRY(value_to_double(&quiet, type, v, &searched));
        *ret_order = compare_near(stored, searched, tolerance);
        return ERR_OK;
    }
    return value_compare(&quiet, kind, collation_by_id(column->collation), column, ret, type, v,
                         ret_order);
}

/* MYSQL: by the key of a DECIMAL column text is looked for to its last digit, also where rows and
 * text compare as doubles, of which many decimals of over 15 digits are the same one. What it was
 * made a double for has said what is wrong with it. *ret_exact: it is a number, *io now. */
static db_err take_digits(struct exec_ctx *ctx, const struct bexpr *e,
                          const struct sql_type *column, struct value *io, bool *ret_exact)
{
    struct value text;
    struct decimal d;
    *ret_exact = false;
    if (column->id != TYPE_DECIMAL || e->kind != BEXPR_CAST || e->type.id != TYPE_DOUBLE ||
        !type_is_string(&e->args[0]->type) ||
        !collation_by_id(e->args[0]->type.collation)->cs->ascii_superset) {
        return ERR_OK;
    }
    TRY(expr_eval_scalar(ctx, e->args[0], &text));
    if (!text.is_null && decimal_from_text(text.str, &d) == DECIMAL_OK) {
        *io = value_decimal(&d);
        *ret_exact = true;
    }
    return ERR_OK;
}

static db_err eval_bound(struct exec_ctx *ctx, const struct bexpr *e, const struct sql_type *column,
                         struct value *ret, int *ret_order)
{
    struct value v;
    bool exact;
    TRY(expr_eval_scalar(ctx, e, &v));
    TRY(take_digits(ctx, e, column, &v, &exact));
    *ret_order = 0;
    if (v.is_null) {
        *ret = v;
        return ERR_OK;
    }
    struct sql_type own = value_type(&v);
    bool other = e->type.id == TYPE_NULL || type_phys(&e->type) != (enum phys_kind)v.phys;
    const struct sql_type *type = exact || other ? &own : &e->type;
    return stored_form(ctx, column, type, &v, ret, ret_order);
}

static db_err eval_interval_end(struct exec_ctx *ctx, const struct bexpr *e, bool inclusive,
                                bool is_low, const struct sql_type *column, struct bound *ret,
                                bool *ret_empty)
{
    int order;
    *ret = (struct bound){.inclusive = inclusive};
    if (e == NULL) {
        return ERR_OK;
    }
    TRY(eval_bound(ctx, e, column, &ret->v, &order));
    if (ret->v.is_null) {
        *ret_empty = true;
        return ERR_OK;
    }
    bool date = type_is_temporal(column) && column->id != TYPE_YEAR;
    if (order != 0 && date && type_phys(&e->type) != PHYS_TIME) {
        return ERR_OK; /* a number that no column's value is: rows are compared, too */
    }
    ret->given = true;
    if (order != 0) {
        ret->inclusive = is_low ? order > 0 : order < 0;
    }
    return ERR_OK;
}

/* Text that is looked for may be longer than any that a key holds. No key that is stored is longer
 * than STORAGE_KEY_SIZE_MAX, and none is the beginning of another one: what a longer key has behind
 * that does not change where it stands among them. */
static db_err put_value(const struct key_column *kc, const struct value *v, struct buf *key)
{
    struct value searched = *v;
    if (!v->is_null && v->phys == PHYS_STR && v->str.len > SEARCH_CHARS_MAX) {
        searched.str = charset_substring(kc->collation->cs, v->str, 0, SEARCH_CHARS_MAX);
    }
    TRY(key_encode(kc, &searched, key));
    key->len = key->len > STORAGE_KEY_SIZE_MAX ? STORAGE_KEY_SIZE_MAX : key->len;
    return ERR_OK;
}

static db_err copy_key(struct exec_ctx *ctx, const struct buf *b, struct slice *ret)
{
    return arena_copy(ctx->arena, buf_slice(b), ret);
}

/* start/end of the interval behind the equalities in `base` (whose length stays). */
static db_err interval_start(struct exec_ctx *ctx, const struct key_column *kc,
                             const struct scan_range *r, const struct bound *low,
                             const struct bound *high, struct buf *base, struct key_range *ret)
{
    struct slice prefix; /* the end of a prefix of 0xff bytes changes what stands before it */
    TRY(copy_key(ctx, base, &prefix));
    const struct bound *first = kc->desc ? high : low;
    bool skip_null = kc->nullable && r->not_null;
    if (first->given) {
        TRY(put_value(kc, &first->v, base));
        if (!first->inclusive) {
            key_prefix_end(base);
        }
    } else if (skip_null && !kc->desc) {
        TRY(key_encode_null(kc, base));
        key_prefix_end(base);
    }
    TRY(copy_key(ctx, base, &ret->start));
    buf_reset(base);
    return buf_append_slice(base, prefix);
}

static db_err interval_end(struct exec_ctx *ctx, const struct key_column *kc,
                           const struct scan_range *r, const struct bound *low,
                           const struct bound *high, struct buf *base, struct key_range *ret)
{
    const struct bound *last = kc->desc ? low : high;
    bool skip_null = kc->nullable && r->not_null;
    if (last->given) {
        TRY(put_value(kc, &last->v, base));
        if (last->inclusive) {
            key_prefix_end(base);
        }
    } else if (skip_null && kc->desc) {
        TRY(key_encode_null(kc, base));
    } else {
        key_prefix_end(base);
    }
    return copy_key(ctx, base, &ret->end);
}

static uint32_t index_ordinal(const struct scan_spec *s)
{
    return (uint32_t)(s->index - s->table->indexes);
}

static const struct sql_type *part_type(const struct scan_spec *s, uint32_t part)
{
    return column_key_type(&s->table->columns[s->index->parts[part].column]);
}

/* element: what is looked for in the part with several values a row. */
static db_err append_equalities(struct exec_ctx *ctx, const struct scan_spec *s,
                                const struct scan_range *r, const struct value *element,
                                struct buf *key, bool *ret_empty)
{
    const struct index_format *f = &s->table->format->indexes[index_ordinal(s)];
    TRY(buf_append_slice(key, s->table->format->index_prefixes[index_ordinal(s)]));
    for (uint32_t i = 0; i < r->eq_count; i++) {
        const struct key_column *kc = &f->columns[i];
        struct value v;
        int order = 0;
        bool null = r->eq[i] == NULL;
        if (i + 1 == r->multi) {
            v = *element;
        } else if (!null) {
            TRY(eval_bound(ctx, r->eq[i], part_type(s, i), &v, &order));
            null = v.is_null;
        }
        if (order != 0 || (null && (!r->eq_null_safe[i] || !kc->nullable))) {
            *ret_empty = true;
            return ERR_OK;
        }
        TRY(null ? key_encode_null(kc, key) : put_value(kc, &v, key));
    }
    return ERR_OK;
}

static db_err range_into(struct exec_ctx *ctx, const struct scan_spec *s,
                         const struct scan_range *r, const struct value *element, struct buf *key,
                         struct key_range *ret, bool *ret_empty)
{
    const struct index_format *f = &s->table->format->indexes[index_ordinal(s)];
    TRY(append_equalities(ctx, s, r, element, key, ret_empty));
    if (*ret_empty) {
        return ERR_OK;
    }
    if (r->eq_count < s->index->part_count && (r->low != NULL || r->high != NULL || r->not_null)) {
        struct bound low;
        struct bound high;
        const struct sql_type *t = part_type(s, r->eq_count);
        const struct key_column *kc = &f->columns[r->eq_count];
        TRY(eval_interval_end(ctx, r->low, r->low_inclusive, true, t, &low, ret_empty));
        TRY(eval_interval_end(ctx, r->high, r->high_inclusive, false, t, &high, ret_empty));
        if (*ret_empty) {
            return ERR_OK;
        }
        TRY(interval_start(ctx, kc, r, &low, &high, key, ret));
        TRY(interval_end(ctx, kc, r, &low, &high, key, ret));
    } else {
        TRY(copy_key(ctx, key, &ret->start));
        key_prefix_end(key);
        TRY(copy_key(ctx, key, &ret->end));
    }
    *ret_empty = ret->end.len != 0 && slice_cmp(ret->start, ret->end) >= 0;
    return ERR_OK;
}

static int by_start(const void *a, const void *b)
{
    return slice_cmp(((const struct key_range *)a)->start, ((const struct key_range *)b)->start);
}

static void merge_ranges(struct key_range *ranges, uint32_t *io_count)
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

/* Ranges under construction. */
struct range_list {
    struct key_range *items;
    uint32_t count, room;
};

static db_err add_range(struct exec_ctx *ctx, const struct scan_spec *s, const struct scan_range *r,
                        const struct value *element, struct buf *key, struct range_list *io)
{
    bool empty = false;
    if (io->count == io->room) {
        struct key_range *grown = ARENA_ARRAY(ctx->arena, struct key_range, io->room * 2);
        if (grown == NULL) {
            return ERR_LIMIT;
        }
        memcpy(grown, io->items, io->count * sizeof(*grown));
        io->items = grown;
        io->room *= 2;
    }
    buf_reset(key);
    TRY(range_into(ctx, s, r, element, key, &io->items[io->count], &empty));
    io->count += !empty;
    return ERR_OK;
}

/* Of a condition on the part with several values a row: a range for each value that it asks for, or
 * the one of the parts before it. */
static db_err add_multi(struct exec_ctx *ctx, const struct scan_spec *s, const struct scan_range *r,
                        struct buf *key, struct range_list *io, bool *io_repeats)
{
    struct multi_search search;
    struct value v;
    const struct bexpr *e = r->eq[r->multi - 1];
    TRY(expr_eval_scalar(ctx, e, &v));
    struct sql_type own = value_type(&v);
    bool tagged = e->type.id != TYPE_NULL && type_phys(&e->type) == (enum phys_kind)v.phys;
    TRY(multi_search(ctx, (int)r->multi_match, part_type(s, r->multi - 1),
                     v.is_null || tagged ? &e->type : &own, &v, &search));
    if (search.all) {
        struct scan_range before = {
            .eq_count = r->multi - 1, .eq = r->eq, .eq_null_safe = r->eq_null_safe};
        *io_repeats = true;
        return add_range(ctx, s, &before, NULL, key, io);
    }
    for (uint32_t i = 0; i < search.count; i++) {
        TRY(add_range(ctx, s, r, &search.values[i], key, io));
    }
    return ERR_OK;
}

db_err exec__scan_ranges(struct exec_ctx *ctx, const struct scan_spec *s,
                         struct key_range **ret_ranges, uint32_t *ret_count, bool *ret_repeats)
{
    static const struct scan_range whole = {.eq_count = 0};
    uint32_t n = s->range_count == 0 ? 1 : s->range_count;
    struct range_list list = {ARENA_ARRAY(ctx->arena, struct key_range, n), 0, n};
    bool repeats = false;
    struct buf key;
    db_err err = ERR_OK;
    if (list.items == NULL) {
        return ERR_LIMIT;
    }
    buf_init(&key, KEY_BUF_MAX);
    for (uint32_t i = 0; i < n && err == ERR_OK; i++) {
        const struct scan_range *r = s->range_count == 0 ? &whole : &s->ranges[i];
        if (r->multi != 0) {
            err = add_multi(ctx, s, r, &key, &list, &repeats);
        } else {
            repeats = s->repeats;
            err = add_range(ctx, s, r, NULL, &key, &list);
        }
    }
    buf_fini(&key);
    TRY(err);
    *ret_repeats = s->repeats && (repeats || list.count > 1);
    if (list.count > 1) {
        merge_ranges(list.items, &list.count);
    }
    *ret_ranges = list.items;
    *ret_count = list.count;
    return ERR_OK;
}

db_err exec__point_key(struct exec_ctx *ctx, const struct scan_spec *s, uint32_t r,
                       struct slice *ret_key, bool *ret_empty)
{
    enum { ROOM = 256 };
    uint8_t room[ROOM]; /* enough for most keys; what does not fit is made again on the heap */
    struct buf key = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
    *ret_empty = false;
    db_err err = append_equalities(ctx, s, &s->ranges[r], NULL, &key, ret_empty);
    if (err != ERR_LIMIT) {
        TRY(err);
        return *ret_empty ? ERR_OK : copy_key(ctx, &key, ret_key);
    }
    buf_init(&key, KEY_BUF_MAX);
    *ret_empty = false;
    err = append_equalities(ctx, s, &s->ranges[r], NULL, &key, ret_empty);
    if (err == ERR_OK && !*ret_empty) {
        err = copy_key(ctx, &key, ret_key);
    }
    buf_fini(&key);
    return err;
}

db_err exec__key_of_values(struct exec_ctx *ctx, const struct scan_spec *s,
                           const struct sql_type *const *types, const struct value *values,
                           uint32_t count, struct arena *arena, struct slice *ret_key,
                           bool *ret_empty)
{
    const struct index_format *f = &s->table->format->indexes[index_ordinal(s)];
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
        err = stored_form(ctx, part_type(s, i), types[i], &values[i], &v, &order);
        *ret_empty = order != 0;
        if (err == ERR_OK && order == 0) {
            err = put_value(&f->columns[i], &v, &key);
        }
    }
    if (err == ERR_OK && !*ret_empty) {
        err = arena_copy(arena, buf_slice(&key), ret_key);
    }
    buf_fini(&key);
    return err;
}
