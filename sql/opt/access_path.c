/* How a table is read: which index, which ranges.
 *
 * For each index its leading parts are matched with the table's conjuncts: equalities (=, <=>, IS
 * NULL, IN) on a prefix of the parts, then an interval on the next. A conjunct serves when its
 * other side is free of this block's columns (constant, parameter, outer column) and the column
 * stands bare or below a widening cast that keeps order. An IN list multiplies the ranges (up to
 * RANGES_MAX). A conjunct that its range states exactly is dropped; the others are kept as filters:
 * at run time a bound that the column's type cannot hold makes the range wider or empty, never
 * wrong.
 *
 * An index with several values a row (CAST(.. AS .. ARRAY)) has every row at least once. Its part
 * is matched by MEMBER OF, JSON_CONTAINS and JSON_OVERLAPS, whose values are known at run time and
 * which stay as filters; such an index is not read as a whole, gives no order, and no row twice. */
#include "sql/opt/opt_int.h"

#include <math.h>

#include "sql/bind/table_rules.h"
#include "sql/charset/charset.h"

enum {
    RANGES_MAX = 1000,
    SEARCHED_VALUES = 3, /* of JSON_OVERLAPS, which are not known yet: a guess */
};

enum match_kind { MATCH_EQ, MATCH_IN, MATCH_LOW, MATCH_HIGH, MATCH_NOT_NULL, MATCH_MULTI };

struct match {
    enum match_kind kind;
    struct bexpr *value; /* EQ, LOW, HIGH */
    struct bexpr **list; /* IN */
    uint32_t list_count;
    bool null_safe, inclusive, exact;
    enum multi_match multi; /* MULTI */
};

struct path {
    const struct index_def *index;
    uint32_t eq_count;
    uint32_t range_count;
    struct scan_range *ranges;
    bool *dropped; /* by conjunct: stated exactly by the ranges */
    bool unique;   /* at most one row per range */
    bool covering;
    bool multi; /* the index has several entries a row */
    double rows, cost;
};

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

static bool match_call(const struct lcolumn *c, const struct index_part *part,
                       const struct bexpr *e, struct match *ret)
{
    const char *name = e->u.func->def->name;
    bool bare;
    if (e->arg_count == 1) {
        bool is_null = strcmp(name, "op_is_null") == 0;
        if ((!is_null && strcmp(name, "op_is_not_null") != 0) ||
            !is_column(e->args[0], c->id, &bare) || !bare) {
            return false;
        }
        *ret = (struct match){
            .kind = is_null ? MATCH_EQ : MATCH_NOT_NULL, .null_safe = true, .exact = true};
        return true;
    }
    static const struct {
        const char *name;
        enum match_kind kind, swapped;
        bool inclusive;
    } ops[] = {{"op_eq", MATCH_EQ, MATCH_EQ, true},     {"op_nulleq", MATCH_EQ, MATCH_EQ, true},
               {"op_lt", MATCH_HIGH, MATCH_LOW, false}, {"op_le", MATCH_HIGH, MATCH_LOW, true},
               {"op_gt", MATCH_LOW, MATCH_HIGH, false}, {"op_ge", MATCH_LOW, MATCH_HIGH, true}};
    for (size_t i = 0; i < ARRAY_COUNT(ops) && e->arg_count == 2; i++) {
        if (strcmp(name, ops[i].name) != 0) {
            continue;
        }
        for (uint32_t side = 0; side < 2; side++) {
            struct bexpr *value = e->args[1 - side];
            if (is_column(e->args[side], c->id, &bare) && opt__is_free(value) &&
                collation_fits(c, e->u.func->collation)) {
                *ret = (struct match){.kind = side == 0 ? ops[i].kind : ops[i].swapped,
                                      .value = value,
                                      .inclusive = ops[i].inclusive,
                                      .null_safe = i == 1,
                                      .exact = exact_bound(c, value, bare, part)};
                return true;
            }
        }
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
                *ret = (struct match){
                    .kind = MATCH_MULTI, .value = e->args[1 - side], .multi = calls[i].multi};
                return true;
            }
        }
    }
    return false;
}

static bool match_conjunct(const struct lcolumn *c, const struct index_part *part,
                           const struct bexpr *e, struct match *ret)
{
    bool bare;
    if (c->def != NULL && c->def->element != NULL) {
        return match_members(c, e, ret);
    }
    if (e->kind == BEXPR_FUNC) {
        return match_call(c, part, e, ret);
    }
    if (e->kind != BEXPR_IN_LIST || e->u.negated || !is_column(e->args[0], c->id, &bare) ||
        !collation_fits(c, e->type.collation)) {
        return false;
    }
    *ret = (struct match){
        .kind = MATCH_IN, .list = e->args + 1, .list_count = e->arg_count - 1, .exact = true};
    for (uint32_t i = 0; i < ret->list_count; i++) {
        if (!opt__is_free(ret->list[i])) {
            return false;
        }
        ret->exact = ret->exact && exact_bound(c, ret->list[i], bare, part);
    }
    return true;
}

static struct lcolumn *part_column(struct lnode *n, const struct index_part *part)
{
    uint32_t at = part->column;
    bool multi = n->u.table.documents != NULL && n->u.table.def->columns[at].element != NULL;
    return &n->columns[multi ? n->u.table.documents[at] : at];
}

/* Every range so far times the values of one more equality. */
static db_err extend(struct optimizer *o, struct path *p, const struct match *m)
{
    uint32_t times = m->kind == MATCH_IN ? m->list_count : 1;
    struct scan_range *ranges = OPT_ARRAY(o, struct scan_range, p->range_count * times);
    if (ranges == NULL) {
        return ERR_NOMEM;
    }
    uint32_t k = 0;
    for (uint32_t r = 0; r < p->range_count; r++) {
        for (uint32_t i = 0; i < times; i++) {
            struct scan_range *out = &ranges[k++];
            uint32_t n = p->eq_count;
            out->eq = OPT_ARRAY(o, struct bexpr *, n + 1);
            out->eq_null_safe = OPT_ARRAY(o, bool, n + 1);
            if (out->eq == NULL || out->eq_null_safe == NULL) {
                return ERR_NOMEM;
            }
            if (n != 0) {
                memcpy(out->eq, p->ranges[r].eq, n * sizeof(*out->eq));
                memcpy(out->eq_null_safe, p->ranges[r].eq_null_safe, n * sizeof(bool));
            }
            out->eq[n] = m->kind == MATCH_IN ? m->list[i] : m->value; /* NULL: IS NULL */
            out->eq_null_safe[n] = m->null_safe;
            out->eq_count = n + 1;
            out->multi = m->kind == MATCH_MULTI ? n + 1 : p->ranges[r].multi;
            out->multi_match = m->kind == MATCH_MULTI ? m->multi : p->ranges[r].multi_match;
        }
    }
    p->ranges = ranges;
    p->range_count = k;
    p->eq_count++;
    return ERR_OK;
}

/* A search that does not know its values reads all that the parts before say. */
static bool behind_multi(const struct path *p)
{
    return p->ranges[0].multi != 0;
}

static db_err match_equalities(struct optimizer *o, struct lnode *n, struct path *p)
{
    bool found = true;
    while (found && p->eq_count < p->index->part_count) {
        const struct index_part *part = &p->index->parts[p->eq_count];
        struct match m;
        found = false;
        for (uint32_t i = 0; i < n->u.table.filter_count && !found; i++) {
            if (!match_conjunct(part_column(n, part), part, n->u.table.filters[i], &m) ||
                (m.kind != MATCH_EQ && m.kind != MATCH_IN && m.kind != MATCH_MULTI)) {
                continue;
            }
            uint64_t times = m.kind == MATCH_IN ? m.list_count : 1;
            if (times == 0 || p->range_count * times > RANGES_MAX) {
                continue;
            }
            if (part->prefix_len != 0 || behind_multi(p)) {
                m.exact = false;
            }
            TRY(extend(o, p, &m));
            p->dropped[i] = m.exact;
            found = true;
            if (part->prefix_len != 0) {
                return ERR_OK; /* nothing behind a prefix part is in order */
            }
        }
    }
    return ERR_OK;
}

static void match_interval(struct lnode *n, struct path *p, bool *ret_found)
{
    *ret_found = false;
    if (p->eq_count >= p->index->part_count ||
        (p->eq_count > 0 && p->index->parts[p->eq_count - 1].prefix_len != 0)) {
        return;
    }
    const struct index_part *part = &p->index->parts[p->eq_count];
    bool have_low = false;
    bool have_high = false;
    for (uint32_t i = 0; i < n->u.table.filter_count; i++) {
        struct match m;
        if (!match_conjunct(part_column(n, part), part, n->u.table.filters[i], &m)) {
            continue;
        }
        bool low = m.kind == MATCH_LOW && !have_low;
        bool high = m.kind == MATCH_HIGH && !have_high;
        if (!low && !high && m.kind != MATCH_NOT_NULL) {
            continue;
        }
        have_low = have_low || low;
        have_high = have_high || high;
        for (uint32_t r = 0; r < p->range_count; r++) {
            struct scan_range *s = &p->ranges[r];
            s->not_null = true;
            if (low) {
                s->low = m.value;
                s->low_inclusive = m.inclusive || part->prefix_len != 0;
            } else if (high) {
                s->high = m.value;
                s->high_inclusive = m.inclusive || part->prefix_len != 0;
            }
        }
        p->dropped[i] = m.exact && part->prefix_len == 0 && !behind_multi(p);
        *ret_found = true;
    }
}

bool opt__covers(const struct table_def *t, const struct index_def *ix, const bool *used)
{
    for (uint32_t c = 0; c < t->column_count; c++) {
        if (!used[c]) {
            continue;
        }
        bool in = false;
        for (uint32_t i = 0; i < ix->part_count; i++) {
            in = in || (ix->parts[i].column == c && ix->parts[i].prefix_len == 0);
        }
        for (uint32_t i = 0; i < t->indexes[0].part_count; i++) {
            in = in ||
                 (t->indexes[0].parts[i].column == c && t->indexes[0].parts[i].prefix_len == 0);
        }
        const struct sql_type *type = &t->columns[c].type;
        /* Text keys hold weights, not the text, unless the collation is bytewise. */
        if (type_is_string(type) && !collation_is_bytewise(collation_by_id(type->collation))) {
            in = false;
        }
        if (!in || type->id >= TYPE_ENUM) {
            return false;
        }
    }
    return true;
}

static void cost_path(struct optimizer *o, struct lnode *n, struct path *p, bool interval)
{
    const struct table_def *t = n->u.table.def;
    double table = opt__table_rows(o, t);
    bool clustered = p->index->id == INDEX_ID_CLUSTERED;
    bool unique = (p->index->kind == INDEX_PRIMARY || p->index->kind == INDEX_UNIQUE) && !p->multi;
    bool has_ranges = p->eq_count != 0 || interval;
    p->unique =
        unique && p->eq_count == p->index->part_count && (clustered ? t->has_primary : true);
    for (uint32_t i = 0; i < p->eq_count && p->unique; i++) {
        p->unique = !p->ranges[0].eq_null_safe[i] && p->index->parts[i].prefix_len == 0;
    }
    double per_range = table;
    if (p->unique) {
        per_range = 1;
    } else if (has_ranges) {
        per_range = opt__index_rows(o, t, p->index, p->eq_count) * (interval ? 0.1 : 1);
        per_range = per_range < 1 ? 1 : per_range;
    }
    bool several = p->ranges[0].multi != 0 && p->ranges[0].multi_match == MULTI_OVERLAPS;
    p->rows = per_range * (has_ranges ? p->range_count : 1) * (several ? SEARCHED_VALUES : 1);
    p->rows = p->rows > table ? table : p->rows;
    p->covering = clustered || opt__covers(t, p->index, n->u.table.used);
    p->cost = p->rows * (p->covering ? (clustered ? 1.0 : 0.7) : 4.0) +
              (has_ranges ? p->range_count * 2.0 : 10);
}

/* May the planner read through the index? The clustered one always: a hidden row id is invisible to
 * SQL, not to the planner. */
static bool usable(const struct lnode *n, const struct index_def *ix)
{
    bool only_listed = false;
    bool listed = false;
    if (ix->kind == INDEX_FULLTEXT || ix->kind == INDEX_SPATIAL ||
        (ix->invisible && ix->id != INDEX_ID_CLUSTERED)) {
        return false;
    }
    for (uint32_t i = 0; i < n->u.table.hint_count; i++) {
        const struct index_hint *h = &n->u.table.hints[i];
        bool in = false;
        for (uint32_t k = 0; k < h->count; k++) {
            in = in || h->indexes[k] == ix;
        }
        if (h->kind == AST_HINT_IGNORE) {
            if (in) {
                return false;
            }
        } else {
            only_listed = true;
            listed = listed || in;
        }
    }
    return !only_listed || listed || ix->id == INDEX_ID_CLUSTERED;
}

/* Does reading the path in index order (or backwards) give the order wanted? */
static bool gives_order(struct lnode *n, const struct path *p, const struct want *want,
                        bool *ret_reverse)
{
    if (want->order_count == 0 || p->range_count > 1 || p->multi) {
        return false;
    }
    uint32_t part = 0;
    bool first = true;
    bool reverse = false;
    for (uint32_t k = 0; k < want->order_count; k++) {
        const struct bexpr *e = want->order[k].expr;
        if (e->kind != BEXPR_COLUMN) {
            return false;
        }
        bool fixed = false;
        for (uint32_t i = 0; i < p->eq_count; i++) {
            fixed = fixed || part_column(n, &p->index->parts[i])->id == e->u.column.id;
        }
        if (fixed) {
            continue;
        }
        part = part < p->eq_count ? p->eq_count : part;
        if (part >= p->index->part_count || p->index->parts[part].prefix_len != 0 ||
            part_column(n, &p->index->parts[part])->id != e->u.column.id) {
            return false;
        }
        bool back = want->order[k].descending != p->index->parts[part].descending;
        if (!first && back != reverse) {
            return false;
        }
        reverse = back;
        first = false;
        part++;
    }
    *ret_reverse = reverse;
    return true;
}

static db_err try_index(struct optimizer *o, struct lnode *n, const struct index_def *ix,
                        const struct want *want, struct path *ret, bool *ret_ordered,
                        bool *ret_reverse)
{
    bool interval;
    *ret = (struct path){
        .index = ix, .range_count = 1, .multi = index_multi_part(n->u.table.def, ix) >= 0};
    ret->ranges = OPT_ARRAY(o, struct scan_range, 1);
    ret->dropped = OPT_ARRAY(o, bool, n->u.table.filter_count);
    if (ret->ranges == NULL || ret->dropped == NULL) {
        return ERR_NOMEM;
    }
    TRY(match_equalities(o, n, ret));
    match_interval(n, ret, &interval);
    cost_path(o, n, ret, interval);
    if (ret->eq_count == 0 && !interval) {
        ret->range_count = 0;
    }
    *ret_ordered = gives_order(n, ret, want, ret_reverse);
    if (want->order_count != 0 && !*ret_ordered && !ret->unique) {
        ret->cost += ret->rows * (0.2 * log2(ret->rows + 2));
    } else if (want->limit >= 0 && *ret_ordered && want->limit < ret->rows) {
        ret->cost *= want->limit / ret->rows;
    }
    return ERR_OK;
}

/* Expressions of VIRTUAL columns on the scan's output. */
static db_err add_virtuals(struct optimizer *o, const struct table_rules *rules, const uint32_t *at,
                           struct scan_spec *s)
{
    s->virtuals = OPT_ARRAY(o, struct scan_virtual, rules->generated_count);
    if (s->virtuals == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < rules->generated_count; i++) {
        const struct rule_column *g = &rules->generated[i];
        struct bexpr *e = bexpr_clone(o->arena, g->expr); /* nodes may be shared before that */
        if (e == NULL) {
            return ERR_NOMEM;
        }
        bexpr_move_columns(e, at);
        s->virtuals[s->virtual_count++] = (struct scan_virtual){at[g->column], e};
    }
    return ERR_OK;
}

db_err opt__scan_columns(struct optimizer *o, const struct lnode *n, bool from_entries,
                         struct plan_node *p, struct phys *ret)
{
    const struct table_def *t = n->u.table.def;
    struct scan_spec *s = &p->u.scan;
    const bool *used = n->u.table.used;
    struct table_rules *rules = NULL;
    uint32_t *at = OPT_ARRAY(o, uint32_t, t->column_count); /* by ordinal: where it is given */
    if (!from_entries) {
        TRY(bind_virtual_columns(o->arena, o->opts->bind, t, used, o->diag, &rules));
    }
    s->columns = OPT_ARRAY(o, uint32_t, t->column_count);
    p->types = OPT_ARRAY(o, const struct sql_type *, t->column_count);
    ret->cols = OPT_ARRAY(o, col_id_t, t->column_count);
    if (s->columns == NULL || ret->cols == NULL || p->types == NULL || at == NULL) {
        return ERR_NOMEM;
    }
    s->column_count = 0;
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (used == NULL || used[i] || (rules != NULL && rules->reads[i])) {
            at[i] = s->column_count;
            s->columns[s->column_count] = i;
            p->types[s->column_count] = &t->columns[i].type;
            ret->cols[s->column_count++] = n->columns[i].id;
        }
    }
    p->column_count = s->column_count;
    s->table = t;
    s->alias = n->u.table.alias;
    s->filtered = 1;
    s->lock = n->u.table.lock;
    s->wait = n->u.table.wait;
    return rules == NULL ? ERR_OK : add_virtuals(o, rules, at, s);
}

static db_err resolve_ranges(struct optimizer *o, struct path *p)
{
    for (uint32_t r = 0; r < p->range_count; r++) {
        struct scan_range *s = &p->ranges[r];
        for (uint32_t i = 0; i < s->eq_count; i++) {
            if (s->eq[i] != NULL) {
                TRY(opt__resolve(o, s->eq[i], NULL, 0, &s->eq[i]));
            }
        }
        if (s->low != NULL) {
            TRY(opt__resolve(o, s->low, NULL, 0, &s->low));
        }
        if (s->high != NULL) {
            TRY(opt__resolve(o, s->high, NULL, 0, &s->high));
        }
    }
    return ERR_OK;
}

static db_err output_order(struct optimizer *o, struct lnode *n, const struct path *p,
                           const struct want *want, bool ordered, struct phys *ret)
{
    (void)n;
    (void)p;
    if (!ordered) {
        return ERR_OK;
    }
    ret->order = OPT_ARRAY(o, struct order_key, want->order_count);
    if (ret->order == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < want->order_count; i++) {
        ret->order[ret->order_count++] =
            (struct order_key){want->order[i].expr->u.column.id, want->order[i].descending};
    }
    return ERR_OK;
}

static db_err virtual_scan(struct optimizer *o, struct lnode *n, struct phys *ret)
{
    struct plan_node *p = opt__node(o, PLAN_VIRTUAL_SCAN, 0);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    TRY(opt__scan_columns(o, n, true, p, ret));
    TRY(opt__resolve_list(o, n->u.table.filters, n->u.table.filter_count, ret->cols,
                          p->column_count, &p->u.scan.filters));
    p->u.scan.filter_count = n->u.table.filter_count;
    p->rows = 100;
    ret->node = p;
    return ERR_OK;
}

static db_err build(struct optimizer *o, struct lnode *n, struct path *best, bool reverse,
                    struct phys *ret)
{
    bool clustered = best->index->id == INDEX_ID_CLUSTERED;
    enum plan_kind kind = best->unique ? PLAN_POINT_GET
                          : clustered  ? PLAN_TABLE_SCAN
                                       : PLAN_INDEX_SCAN;
    struct plan_node *p = opt__node(o, kind, 0);
    struct conjuncts rest = {0};
    if (p == NULL) {
        return ERR_NOMEM;
    }
    struct scan_spec *s = &p->u.scan;
    bool covering = best->covering && (n->u.table.lock == ROW_LOCK_NONE || clustered);
    TRY(opt__scan_columns(o, n, covering && kind == PLAN_INDEX_SCAN, p, ret));
    TRY(resolve_ranges(o, best));
    s->index = best->index;
    s->ranges = best->ranges;
    s->range_count = best->range_count;
    s->ranges_sorted = best->range_count <= 1;
    s->reverse = reverse;
    s->covering = covering;
    s->repeats = best->multi;
    s->rows = p->rows = best->rows;
    p->cost = best->cost;
    for (uint32_t i = 0; i < n->u.table.filter_count; i++) {
        if (!best->dropped[i]) {
            TRY(opt__add_conjunct(o, &rest, n->u.table.filters[i]));
        }
    }
    TRY(opt__resolve_list(o, rest.list, rest.count, ret->cols, p->column_count, &s->filters));
    s->filter_count = rest.count;
    for (uint32_t i = 0; i < rest.count; i++) {
        s->filtered *= opt__selectivity(n, rest.list[i]);
    }
    ret->node = p;
    ret->one_row = best->unique && best->range_count == 1;
    return ERR_OK;
}

/* What the paths tried say for EXPLAIN, of the one taken. */
static void tell_choice(const struct path *best, bool ordered, const struct index_def **possible,
                        uint32_t count, struct scan_spec *s)
{
    s->possible = possible;
    s->possible_count = count;
    s->by_order = ordered && best->range_count == 0;
}

db_err opt__scan(struct optimizer *o, struct lnode *n, const struct want *want, struct phys *ret)
{
    const struct table_def *t = n->u.table.def;
    *ret = (struct phys){0};
    if (t->kind == TABLE_VIRTUAL) {
        return virtual_scan(o, n, ret);
    }
    struct path best = {0};
    bool ordered = false;
    bool reverse = false;
    uint32_t possible_count = 0;
    const struct index_def **possible = OPT_ARRAY(o, const struct index_def *, t->index_count);
    if (possible == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        struct path p;
        bool p_ordered;
        bool p_reverse = false;
        if (!usable(n, ix)) {
            continue;
        }
        TRY(try_index(o, n, ix, want, &p, &p_ordered, &p_reverse));
        if (p.range_count == 0 && p.multi) {
            continue;
        }
        if (p.range_count != 0) {
            possible[possible_count++] = ix;
        }
        if (best.index == NULL || p.cost < best.cost) {
            best = p;
            ordered = p_ordered;
            reverse = p_ordered && p_reverse;
        }
    }
    TRY(build(o, n, &best, reverse, ret));
    tell_choice(&best, ordered, possible, possible_count, &ret->node->u.scan);
    return output_order(o, n, &best, want, ordered, ret);
}

const struct index_def *opt__lookup_index(const struct lnode *n, const col_id_t *keys,
                                          uint32_t key_count, uint32_t *ret_parts,
                                          uint32_t *ret_keys)
{
    const struct table_def *t = n->u.table.def;
    const struct index_def *best = NULL;
    uint32_t best_parts = 0;
    bool best_unique = false;
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        uint32_t found[CATALOG_INDEX_PARTS_MAX];
        uint32_t parts = 0;
        if (!usable(n, ix) || index_multi_part(t, ix) >= 0) {
            continue;
        }
        while (parts < ix->part_count && ix->parts[parts].prefix_len == 0) {
            uint32_t k = 0;
            while (k < key_count && n->columns[ix->parts[parts].column].id != keys[k]) {
                k++;
            }
            if (k == key_count) {
                break;
            }
            found[parts++] = k;
        }
        bool unique = ix->kind != INDEX_PLAIN && parts == ix->part_count;
        if (parts > 0 && (parts > best_parts || (unique && !best_unique))) {
            best = ix;
            best_parts = parts;
            best_unique = unique;
            memcpy(ret_keys, found, parts * sizeof(*found));
        }
    }
    *ret_parts = best_parts;
    return best;
}
