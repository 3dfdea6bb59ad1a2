/* Assigning to DATE, DATETIME, TIMESTAMP and TIME columns. */
#include "sql/types/store_int.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static const char *kind_name(const struct sql_type *to)
{
    return to->id == TYPE_DATE ? "date" : to->id == TYPE_TIME ? "time" : "datetime";
}

/* The source as 1292 shows it: temporals with the column's digits (DATETIME rounded, TIME cut). */
static db_err shown_source(const struct store *s, char out[MESSAGE_VALUE_MAX])
{
    struct slice text;
    struct sql_type from = *s->from;
    struct value v = *s->v;
    if (v.phys == PHYS_TIME && from.id != TYPE_DATE) {
        from.decimals = s->to->decimals;
        if (from.id != TYPE_TIME) {
            (void)datetime_round(v.t, from.decimals, false, &v.t);
        }
    }
    TRY(value_to_text(s->ctx, &from, &v, &text));
    cast__printable(s->v->phys == PHYS_STR ? s->v->collation : COLL_UTF8MB4_BIN, text, out);
    return ERR_OK;
}

/* Strict: 1292 "Incorrect datetime value" as error (or note); loose: the number as a warning (or
 * note). */
static db_err complain(const struct store *s, uint16_t loose_number, bool only_note)
{
    unsigned long long row = s->target->row;
    if (!s->ctx->strict) {
        cast_warn(s->ctx, only_note ? CAST_NOTE : CAST_WARNING, loose_number, s->target->column,
                  row);
        return ERR_OK;
    }
    char shown[MESSAGE_VALUE_MAX];
    char where[256];
    TRY(shown_source(s, shown));
    snprintf(where, sizeof(where), " for column '%s' at row %llu", s->target->column, row);
    if (only_note) {
        cast_warn(s->ctx, CAST_NOTE, 1292, "Incorrect", kind_name(s->to), shown, where);
        return ERR_OK;
    }
    return cast_error(s->ctx, 1292, "Incorrect", kind_name(s->to), shown, where);
}

/* The loose number for a value that is no date: 1265 for what does not look like one at all, 1264
 * else. */
static uint16_t invalid_number(const struct store *s, unsigned cond)
{
    const struct value *v = s->v;
    if (v->phys == PHYS_STR) {
        return (cond & TEMPORAL_TRUNCATED) != 0 ? 1265 : 1264;
    }
    if (v->phys == PHYS_TIME) {
        return 1264;
    }
    int64_t whole;
    uint32_t nanos;
    bool neg;
    bool known = cast__split_number(v, &whole, &nanos, &neg);
    if (!known || neg || whole > 99991231235959ll ||
        (whole == 0 && (cond & (TEMPORAL_ZERO_DATE | TEMPORAL_ZERO_IN_DATE)) == 0)) {
        return 1264;
    }
    return 1265;
}

static void warn_notes(const struct store *s, const struct temporal_result *r)
{
    if (s->v->phys == PHYS_STR) {
        cast_warn_delimiter(s->ctx, r->cond, &r->note, s->v->collation, s->v->str);
    }
}

/* MYSQL: a YEAR column that is assigned is a number, and no date as in expressions. */
static const struct sql_type *from_of(const struct store *s, struct sql_type *room)
{
    if (s->from->id != TYPE_YEAR) {
        return s->from;
    }
    *room = *s->from;
    room->flags |= TYPE_F_EXPR;
    return room;
}

static db_err store_time(const struct store *s, unsigned flags, struct value *ret)
{
    struct temporal_result r = {0};
    if (s->v->phys == PHYS_INT && s->v->is_unsigned && s->v->i < 0) {
        ret->t = TIME_MICROS_MAX;
        return complain(s, 1264, false);
    }
    struct sql_type year;
    TRY(cast__to_time(s->ctx, from_of(s, &year), s->v, s->to->decimals, flags, &r));
    bool invalid = (r.cond & TEMPORAL_INVALID) != 0;
    ret->t = invalid ? 0 : r.v;
    if (!invalid) {
        warn_notes(s, &r);
    }
    if ((r.cond & TEMPORAL_EMPTY) != 0) {
        return ERR_OK; /* MySQL takes it for zero without a word */
    }
    if (invalid) {
        return complain(
            s, s->v->phys == PHYS_STR && (r.cond & TEMPORAL_TRUNCATED) != 0 ? 1265 : 1264, false);
    }
    if ((r.cond & TEMPORAL_OUT_OF_RANGE) != 0) {
        return complain(s, 1264, false);
    }
    if ((r.cond & TEMPORAL_TRUNCATED) != 0) {
        return complain(s, 1265, false);
    }
    if ((r.cond & TEMPORAL_IS_DATETIME) != 0) { /* the date is lost */
        return complain(s, 1265, true);
    }
    return ERR_OK;
}

/* Moves a packed local DATETIME into the column's form; false: out of TIMESTAMP's range. */
static bool settle(const struct store *s, int64_t *v, bool *ret_lost, bool *ret_gap)
{
    *ret_lost = false;
    *ret_gap = false;
    if (s->to->id == TYPE_DATE) {
        *ret_lost = *v != datetime_date(*v);
        *v = datetime_date(*v);
        return true;
    }
    if (s->to->id == TYPE_TIMESTAMP) {
        return timestamp_from_local(s->ctx->tz, *v, v, ret_gap);
    }
    return true;
}

db_err store__temporal(const struct store *s, struct value *ret)
{
    unsigned flags = temporal_flags(s->ctx->sql_mode);
    if (s->to->id == TYPE_TIME) {
        return store_time(s, flags, ret);
    }
    struct temporal_result r = {0};
    if (s->to->id == TYPE_TIMESTAMP) { /* only real dates have a moment */
        flags = (flags | TEMPORAL_F_NO_ZERO_IN_DATE) & ~(unsigned)TEMPORAL_F_INVALID_DATES;
    }
    struct sql_type year;
    TRY(cast__to_datetime(s->ctx, from_of(s, &year), s->v, s->to->decimals, flags, &r));
    ret->t = 0;
    if ((r.cond & TEMPORAL_INVALID) != 0) {
        if ((r.cond & TEMPORAL_OUT_OF_RANGE) != 0) {
            if (s->ctx->strict) {
                return cast_error(s->ctx, 1441, "datetime");
            }
            cast_warn(s->ctx, CAST_WARNING, 1441, "datetime");
            return complain(s, 1264, false);
        }
        return complain(s, invalid_number(s, r.cond), false);
    }
    warn_notes(s, &r);
    bool lost;
    bool gap;
    int64_t v = r.v;
    if (!settle(s, &v, &lost, &gap)) {
        return complain(s, 1264, false);
    }
    ret->t = v;
    if ((r.cond & TEMPORAL_TRUNCATED) != 0) {
        return complain(s, 1265, false);
    }
    if (gap) {
        return complain(s, 1264, false);
    }
    return lost ? complain(s, 1265, true) : ERR_OK;
}
