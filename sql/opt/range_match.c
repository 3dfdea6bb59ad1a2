/* What a condition says of a part of an index.
 *
 * A condition serves when its other side is free of this block's columns (constant, parameter,
 * variable that the statement does not assign, outer column, subquery that runs once) and the
 * column stands bare or below a widening cast that keeps order. It gives values (=, <=>, IS NULL,
 * IN) or an interval. A disjunction gives what its members give, when each of them says something
 * of the part. Of a conjunction within it all members that say something of the part count; if
 * others are left, it lets more rows through, and the condition is tested again. */
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

/* Is text compared with blanks behind it that keys are without, and which count? Then keys tell of
 * equality alone, and that not exactly: what is looked for is trimmed (sql/exec/key_bounds.c). */
bool opt__padded_unlike_keys(const struct bexpr *e)
{
    return e->kind == BEXPR_COLUMN && e->u.column.padded &&
           collation_by_id(e->type.collation)->pad == COLLATION_NO_PAD;
}

static bool is_column(const struct bexpr *e, col_id_t id, bool *ret_bare)
{
    *ret_bare = e->kind == BEXPR_COLUMN;
    if (e->kind == BEXPR_CAST && keeps_order(e)) {
        e = e->args[0];
    }
    return e->kind == BEXPR_COLUMN && e->u.column.id == id;
}

static bool exact_bound(const struct lcolumn *c, const struct bexpr *x, const struct bexpr *v,
                        bool bare, const struct index_part *part)
{
    if (!bare || part->prefix_len != 0 || type_phys(&c->type) != type_phys(&v->type) ||
        opt__padded_unlike_keys(x)) {
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
                          .one.is_value = is_null,
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
        if (kind != MATCH_VALUES && opt__padded_unlike_keys(e->args[side])) {
            continue;
        }
        bool exact = exact_bound(c, e->args[side], value, bare, part);
        *ret = (struct match){.kind = kind, .count = 1, .exact = exact};
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
            ret->one.is_value = true;
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
    ret->several = OPT_ARRAY(o, struct scan_choice, count);
    if (ret->several == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        ret->several[i] = (struct scan_choice){.is_value = true, .value = e->args[i + 1]};
        ret->exact = ret->exact && exact_bound(c, e->args[0], e->args[i + 1], bare, part);
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

/* What a conjunction says, as far as it is known. */
struct conjunction {
    struct match values;       /* of the first member that gives values; count 0: none does */
    struct scan_choice bounds; /* the first of each side */
    struct scan_choice *more;  /* the others, and single values */
    bool not_null;
};

static db_err add_also(struct optimizer *o, const struct scan_choice *c, struct scan_choice **io)
{
    struct scan_choice *also = OPT_NEW(o, struct scan_choice);
    if (also == NULL) {
        return ERR_NOMEM;
    }
    *also = *c;
    also->also = *io;
    *io = also;
    return ERR_OK;
}

/* *ret_all: what the member says is kept to the full. */
static db_err add_member(struct optimizer *o, const struct match *m, struct conjunction *io,
                         bool *ret_all)
{
    *ret_all = true;
    if (m->kind == MATCH_VALUES && io->values.count == 0) {
        io->values = *m;
    } else if (m->count > 1) {
        *ret_all = false; /* one list is enough */
    } else if (m->kind == MATCH_NOT_NULL) {
        io->not_null = true;
    } else if (m->kind == MATCH_LOW && io->bounds.low == NULL) {
        io->bounds.low = m->one.low;
        io->bounds.low_inclusive = m->one.low_inclusive;
    } else if (m->kind == MATCH_HIGH && io->bounds.high == NULL) {
        io->bounds.high = m->one.high;
        io->bounds.high_inclusive = m->one.high_inclusive;
    } else {
        return add_also(o, match_choice(m, 0), &io->more);
    }
    return ERR_OK;
}

/* A conjunction within one: values if a member gives them, else an interval; each with what the
 * other members say. */
static db_err match_and(struct optimizer *o, const struct lcolumn *c, const struct index_part *part,
                        const struct bexpr *e, struct match *ret, bool *ret_is)
{
    struct conjunction all = {.more = NULL};
    bool exact = true;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        struct match m;
        bool is;
        bool kept = false;
        TRY(match_simple(o, c, part, e->args[i], &m, &is));
        TRY(is && m.kind != MATCH_MULTI ? add_member(o, &m, &all, &kept) : ERR_OK);
        exact = exact && kept && m.exact;
    }
    bool bounded = all.bounds.low != NULL || all.bounds.high != NULL;
    *ret_is = all.values.count != 0 || bounded;
    if (all.values.count == 0) {
        *ret = (struct match){.kind = MATCH_INTERVALS, .count = 1, .one = all.bounds};
    } else {
        TRY(bounded || all.not_null ? add_also(o, &all.bounds, &all.more) : ERR_OK);
        *ret = all.values;
    }
    for (uint32_t i = 0; i < ret->count; i++) {
        (ret->several == NULL ? &ret->one : &ret->several[i])->also = all.more;
    }
    ret->exact = exact;
    ret->chained = all.more != NULL;
    return ERR_OK;
}

/* The choices of a member behind those of the members before it. */
static db_err add_choices(struct optimizer *o, const struct match *m, struct match *io,
                          uint32_t *io_room)
{
    if (io->count + m->count > *io_room) {
        uint32_t room = (io->count + m->count) * 2;
        struct scan_choice *grown = OPT_ARRAY(o, struct scan_choice, room);
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
    io->chained = io->chained || m->chained;
    io->kind = m->kind == MATCH_VALUES ? io->kind : MATCH_INTERVALS;
    return ERR_OK;
}

/* Values among intervals are intervals; NULL is not. */
static void values_as_intervals(struct match *io)
{
    for (uint32_t i = 0; i < io->count; i++) {
        if (io->several[i].is_value && io->several[i].null_safe) {
            io->kind = MATCH_MIXED;
            return;
        }
    }
    for (uint32_t i = 0; i < io->count; i++) {
        struct scan_choice *k = &io->several[i];
        if (k->is_value) {
            *k = (struct scan_choice){.low = k->value,
                                      .high = k->value,
                                      .low_inclusive = true,
                                      .high_inclusive = true,
                                      .also = k->also};
        }
    }
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
    if (all.kind == MATCH_INTERVALS) {
        values_as_intervals(&all);
    }
    *ret_is = all.count != 0;
    *ret = all;
    return ERR_OK;
}

db_err opt__match(struct optimizer *o, const struct lcolumn *c, const struct index_part *part,
                  const struct bexpr *e, struct match *ret, bool *ret_is)
{
    return e->kind == BEXPR_OR ? match_or(o, c, part, e, ret, ret_is)
                               : match_simple(o, c, part, e, ret, ret_is);
}
