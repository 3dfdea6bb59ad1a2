/* What a condition says of a part of an index.
 *
 * A condition serves when its other side is free of this block's columns (constant, parameter,
 * variable that the statement does not assign, outer column, subquery that runs once) and the
 * column stands bare or below a widening cast that keeps order. It gives values (=, <=>, IS NULL,
 * IN) or an interval. A disjunction gives what its members give, when each of them says something
 * of the part; of a conjunction within it one member is enough: it lets more rows through, and the
 * condition is tested again. */
#include "sql/opt/range_match.h"

#include "sql/charset/charset.h"

/* int → decimal/double and date → datetime keep the order of the column. */
static bool keeps_order(const struct bexpr *cast)
{
    const struct sql_type *from = &cast->args[0]->type;
    const struct sql_type *to = &cast->type;
    if (cast->u.cast.explicit_cast) {
        return false;
    }
    if (type_is_integer(from)) {
        return to->id == TYPE_DECIMAL || to->id == TYPE_DOUBLE || type_is_integer(to);
    }
    if (from->id == TYPE_DECIMAL || from->id == TYPE_FLOAT) {
        return to->id == TYPE_DOUBLE || to->id == TYPE_DECIMAL;
    }
    return type_has_date(from) && to->id == TYPE_DATETIME;
}

static bool is_column(const struct bexpr *e, col_id_t id, bool *ret_bare)
{
    *ret_bare = e->kind == BEXPR_COLUMN;
    if (e->kind == BEXPR_CAST && keeps_order(e)) {
        e = e->args[0];
    }
    return e->kind == BEXPR_COLUMN && e->u.column.id == id;
}

static bool exact_bound(const struct lcolumn *c, const struct bexpr *v, bool bare,
                        const struct index_part *part)
{
    if (!bare || part->prefix_len != 0 || type_phys(&c->type) != type_phys(&v->type)) {
        return false;
    }
    if (type_is_string(&c->type)) {
        return v->type.collation == c->type.collation || v->coercibility > c->coercibility;
    }
    if (type_phys(&c->type) == PHYS_TIME) {
        return c->type.id == v->type.id && c->type.id != TYPE_TIMESTAMP;
    }
    return type_phys(&c->type) == PHYS_INT && c->type.id <= TYPE_BIGINT &&
           v->type.id <= TYPE_BIGINT;
}

/* Text compares under another collation than the index has: its order says nothing. */
static bool collation_fits(const struct lcolumn *c, uint16_t used)
{
    return !type_is_string(&c->type) || used == c->type.collation;
}

static bool match_null(const struct lcolumn *c, const struct bexpr *e, struct match *ret)
{
    bool bare;
    bool is_null = strcmp(e->u.func->def->name, "op_is_null") == 0;
    if ((!is_null && strcmp(e->u.func->def->name, "op_is_not_null") != 0) ||
        !is_column(e->args[0], c->id, &bare) || !bare) {
        return false;
    }
    *ret = (struct match){.kind = is_null ? MATCH_VALUES : MATCH_NOT_NULL,
                          .count = 1,
                          .one.null_safe = true,
                          .exact = true};
    return true;
}

static bool match_comparison(const struct lcolumn *c, const struct index_part *part,
                             const struct bexpr *e, struct match *ret)
{
    static const struct {
        const char *name;
        enum match_kind kind, swapped;
        bool inclusive;
    } ops[] = {
        {"op_eq", MATCH_VALUES, MATCH_VALUES, true},
        {"op_nulleq", MATCH_VALUES, MATCH_VALUES, true},
        {"op_lt", MATCH_HIGH, MATCH_LOW, false},
        {"op_le", MATCH_HIGH, MATCH_LOW, true},
        {"op_gt", MATCH_LOW, MATCH_HIGH, false},
        {"op_ge", MATCH_LOW, MATCH_HIGH, true},
    };
    size_t op = 0;
    while (op < ARRAY_COUNT(ops) && strcmp(e->u.func->def->name, ops[op].name) != 0) {
        op++;
    }
    for (uint32_t side = 0; side < 2 && op < ARRAY_COUNT(ops); side++) {
        struct bexpr *value = e->args[1 - side];
        bool bare;
        if (!is_column(e->args[side], c->id, &bare) || !opt__is_free(value) ||
            !collation_fits(c, e->u.func->collation)) {
            continue;
        }
        enum match_kind kind = side == 0 ? ops[op].kind : ops[op].swapped;
        *ret = (struct match){.kind = kind, .count = 1, .exact = exact_bound(c, value, bare, part)};
        switch ((int)kind) {
        case MATCH_LOW:
            ret->one.low = value;
            ret->one.low_inclusive = ops[op].inclusive;
            break;
        case MATCH_HIGH:
            ret->one.high = value;
            ret->one.high_inclusive = ops[op].inclusive;
            break;
        default:
            ret->one.value = value;
            ret->one.null_safe = strcmp(ops[op].name, "op_nulleq") == 0;
            break;
        }
        return true;
    }
    return false;
}

/* v MEMBER OF(c), JSON_CONTAINS(c, v), JSON_OVERLAPS of both. */
static bool match_members(const struct lcolumn *c, const struct bexpr *e, struct match *ret)
{
    static const struct {
        const char *name;
        enum multi_match multi;
        bool first, second; /* where the column may stand */
    } calls[] = {{"op_member_of", MULTI_MEMBER, false, true},
                 {"json_contains", MULTI_CONTAINS, true, false},
                 {"json_overlaps", MULTI_OVERLAPS, true, true}};
    if (e->kind != BEXPR_FUNC || e->arg_count != 2) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(calls); i++) {
        bool named = strcmp(e->u.func->def->name, calls[i].name) == 0;
        for (uint32_t side = 0; named && side < 2; side++) {
            bool bare;
            if ((side == 0 ? calls[i].first : calls[i].second) &&
                is_column(e->args[side], c->id, &bare) && bare && opt__is_free(e->args[1 - side])) {
                *ret = (struct match){.kind = MATCH_MULTI,
                                      .count = 1,
                                      .one.value = e->args[1 - side],
                                      .multi = calls[i].multi};
                return true;
            }
        }
    }
    return false;
}

static db_err match_in(struct optimizer *o, const struct lcolumn *c, const struct index_part *part,
                       const struct bexpr *e, struct match *ret, bool *ret_is)
{
    bool bare;
    uint32_t count = e->arg_count - 1;
    if (e->u.negated || count == 0 || count > RANGES_MAX || !is_column(e->args[0], c->id, &bare) ||
        !collation_fits(c, e->type.collation)) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!opt__is_free(e->args[i + 1])) {
            return ERR_OK;
        }
    }
    *ret = (struct match){.kind = MATCH_VALUES, .count = count, .exact = true};
    ret->several = OPT_ARRAY(o, struct choice, count);
    if (ret->several == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        ret->several[i] = (struct choice){.value = e->args[i + 1]};
        ret->exact = ret->exact && exact_bound(c, e->args[i + 1], bare, part);
    }
    *ret_is = true;
    return ERR_OK;
}

/* What is neither AND nor OR. */
static db_err match_simple(struct optimizer *o, const struct lcolumn *c,
                           const struct index_part *part, const struct bexpr *e, struct match *ret,
                           bool *ret_is)
{
    *ret_is = false;
    if (c->def != NULL && c->def->element != NULL) {
        *ret_is = match_members(c, e, ret);
    } else if (e->kind == BEXPR_FUNC && e->arg_count == 1) {
        *ret_is = match_null(c, e, ret);
    } else if (e->kind == BEXPR_FUNC && e->arg_count == 2) {
        *ret_is = match_comparison(c, part, e, ret);
    } else if (e->kind == BEXPR_IN_LIST) {
        return match_in(o, c, part, e, ret, ret_is);
    }
    return ERR_OK;
}

/* ---- disjunctions ---- */

/* A conjunction within one: values if a member gives them, else the interval of its members. */
static db_err match_and(struct optimizer *o, const struct lcolumn *c, const struct index_part *part,
                        const struct bexpr *e, struct match *ret, bool *ret_is)
{
    struct match all = {.kind = MATCH_INTERVALS, .count = 1, .exact = true};
    *ret_is = false;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        struct match m;
        bool is;
        TRY(match_simple(o, c, part, e->args[i], &m, &is));
        if (is && m.kind == MATCH_VALUES) {
            *ret = m;
            ret->exact = false;
            *ret_is = true;
            return ERR_OK;
        }
        if (is && m.kind == MATCH_LOW && all.one.low == NULL) {
            all.one.low = m.one.low;
            all.one.low_inclusive = m.one.low_inclusive;
        } else if (is && m.kind == MATCH_HIGH && all.one.high == NULL) {
            all.one.high = m.one.high;
            all.one.high_inclusive = m.one.high_inclusive;
        } else {
            is = false;
        }
        all.exact = all.exact && is && m.exact;
    }
    *ret_is = all.one.low != NULL || all.one.high != NULL;
    *ret = all;
    return ERR_OK;
}

/* The choices of a member behind those of the members before it. */
static db_err add_choices(struct optimizer *o, const struct match *m, struct match *io,
                          uint32_t *io_room)
{
    if (io->count + m->count > *io_room) {
        uint32_t room = (io->count + m->count) * 2;
        struct choice *grown = OPT_ARRAY(o, struct choice, room);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (io->count != 0) {
            memcpy(grown, io->several, io->count * sizeof(*grown));
        }
        io->several = grown;
        *io_room = room;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        io->several[io->count++] = *match_choice(m, i);
    }
    io->exact = io->exact && m->exact;
    io->kind = m->kind == MATCH_VALUES ? io->kind : MATCH_INTERVALS;
    return ERR_OK;
}

/* Values among intervals are intervals; NULL is not. */
static bool values_as_intervals(struct match *io)
{
    for (uint32_t i = 0; i < io->count && io->kind == MATCH_INTERVALS; i++) {
        struct choice *k = &io->several[i];
        if (k->low == NULL && k->high == NULL) {
            if (k->null_safe) {
                return false;
            }
            *k = (struct choice){
                .low = k->value, .high = k->value, .low_inclusive = true, .high_inclusive = true};
        }
    }
    return true;
}

static db_err match_or(struct optimizer *o, const struct lcolumn *c, const struct index_part *part,
                       const struct bexpr *e, struct match *ret, bool *ret_is)
{
    struct match all = {.kind = MATCH_VALUES, .exact = true};
    uint32_t room = 0;
    *ret_is = false;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        struct match m;
        bool is;
        TRY(e->args[i]->kind == BEXPR_AND ? match_and(o, c, part, e->args[i], &m, &is)
                                          : match_simple(o, c, part, e->args[i], &m, &is));
        if (!is || m.kind == MATCH_NOT_NULL || m.kind == MATCH_MULTI ||
            all.count + m.count > RANGES_MAX) {
            return ERR_OK;
        }
        TRY(add_choices(o, &m, &all, &room));
    }
    *ret_is = all.count != 0 && values_as_intervals(&all);
    *ret = all;
    return ERR_OK;
}

db_err opt__match(struct optimizer *o, const struct lcolumn *c, const struct index_part *part,
                  const struct bexpr *e, struct match *ret, bool *ret_is)
{
    return e->kind == BEXPR_OR ? match_or(o, c, part, e, ret, ret_is)
                               : match_simple(o, c, part, e, ret, ret_is);
}
