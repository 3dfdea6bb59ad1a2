/* How a table is read: which index, by its ranges (path_ranges.c).
 *
 * An index with several values a row (CAST(.. AS .. ARRAY)) has every row at least once; it is not
 * read as a whole, gives no order, and no row twice. */
#include "sql/opt/access_path.h"

#include <math.h>

#include "sql/bind/table_rules.h"
#include "sql/charset/charset.h"

enum { SEARCHED_VALUES = 3 }; /* of JSON_OVERLAPS, which are not known yet: a guess */

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
        p->unique = p->index->parts[i].prefix_len == 0;
        for (uint32_t r = 0; r < p->range_count && p->unique; r++) {
            p->unique = !p->ranges[r].eq_null_safe[i];
        }
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

/* Does reading the path in index order (or backwards) give the order wanted? allowed: hints let the
 * index order its rows; one row's order, or that of equal keys, is any path's. */
static bool gives_order(struct lnode *n, const struct path *p, const struct want *want,
                        bool allowed, bool *ret_reverse)
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
            fixed = fixed || opt__part_column(n, &p->index->parts[i])->id == e->u.column.id;
        }
        if (fixed) {
            continue;
        }
        part = part < p->eq_count ? p->eq_count : part;
        if (part >= p->index->part_count || p->index->parts[part].prefix_len != 0 ||
            opt__padded_unlike_keys(e) ||
            opt__part_column(n, &p->index->parts[part])->id != e->u.column.id) {
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
    return allowed || first;
}

/* The path by the index as a whole, or by the ranges that the conditions make. */
static db_err new_path(struct optimizer *o, struct lnode *n, const struct index_def *ix,
                       bool ranges, bool single, struct path *ret, bool *ret_interval)
{
    uint32_t filters = n->u.table.filter_count;
    *ret = (struct path){.index = ix,
                         .range_count = 1,
                         .single = single,
                         .multi = index_multi_part(n->u.table.def, ix) >= 0};
    ret->ranges = OPT_ARRAY(o, struct scan_range, 1);
    ret->dropped = OPT_ARRAY(o, bool, filters);
    ret->taken = OPT_ARRAY(o, bool, filters);
    *ret_interval = false;
    if (ret->ranges == NULL || ret->dropped == NULL || ret->taken == NULL) {
        return ERR_NOMEM;
    }
    return ranges ? opt__path_ranges(o, n, ret, ret_interval) : ERR_OK;
}

/* *ret_usable false: hints leave the index no use, or it has none as a whole. */
static db_err try_index(struct optimizer *o, struct lnode *n, const struct index_def *ix,
                        const struct want *want, struct path *ret, bool *ret_usable)
{
    bool interval;
    bool clustered = ix->id == INDEX_ID_CLUSTERED;
    bool for_join = opt__index_allowed(n, ix, INDEX_FOR_JOIN);
    bool for_order = opt__index_allowed(n, ix, want->order_for);
    TRY(new_path(o, n, ix, for_join, false, ret, &interval));
    bool possible = ret->eq_count != 0 || interval;
    if (possible && opt__index_without_ranges(n, ix)) {
        TRY(new_path(o, n, ix, true, true, ret, &interval));
    }
    ret->possible = possible;
    cost_path(o, n, ret, interval);
    if (ret->eq_count == 0 && !interval) {
        ret->range_count = 0;
    }
    ret->ordered = gives_order(n, ret, want, for_order, &ret->reverse);
    ret->reverse = ret->reverse && ret->ordered;
    *ret_usable = for_join || clustered || ret->ordered ||
                  (ret->covering && (opt__index_allowed(n, ix, INDEX_FOR_ORDER) ||
                                     opt__index_allowed(n, ix, INDEX_FOR_GROUP)));
    *ret_usable = *ret_usable && (ret->range_count != 0 || !ret->multi);
    return ERR_OK;
}

/* Rows that come in the order wanted are not sorted, and are read only until there are enough of
 * them. `found`: how many of the table's rows meet all conditions; when they are few, most of the
 * path is read to find them. */
static void cost_order(struct path *p, const struct want *want, double found)
{
    if (want->order_count != 0 && !p->ordered && !p->unique) {
        p->cost += p->rows * (0.2 * log2(p->rows + 2));
    } else if (want->limit >= 0 && p->ordered && want->limit < found) {
        p->cost *= want->limit / found;
    }
}

/* MYSQL: which optimizer_switch without prefer_ordering_index prefers to an order for few rows. */
static bool any_equality(const struct path *paths, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (paths[i].eq_count != 0 && paths[i].range_count == 1) {
            return true;
        }
    }
    return false;
}

/* FORCE INDEX: rows found by no index that is allowed are very expensive, and so is a sort. */
static void cost_force(const struct lnode *n, struct path *paths, uint32_t count,
                       const struct want *want)
{
    static const double expensive = 1e12;
    static const double less_expensive = 1e9;
    bool any_ranges = false;
    bool sort = want->order_count != 0 && opt__index_forced(n, want->order_for);
    if (!sort && !opt__index_forced(n, INDEX_FOR_JOIN)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        any_ranges = any_ranges || paths[i].range_count != 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct path *p = &paths[i];
        p->cost += any_ranges && p->range_count == 0 ? expensive : 0;
        p->cost += sort && !p->ordered && !p->unique ? less_expensive : 0;
    }
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

/* By ordinal; NULL: all. */
static db_err computed_columns(struct optimizer *o, const struct lnode *n, const bool **ret)
{
    const bool *used = n->u.table.used;
    *ret = used;
    if (n->u.table.idle == NULL) {
        return ERR_OK;
    }
    bool *computed = OPT_ARRAY(o, bool, n->u.table.def->column_count);
    if (computed == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->u.table.def->column_count; i++) {
        computed[i] = used[i] && !n->u.table.idle[i];
    }
    *ret = computed;
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
        const bool *computed;
        TRY(computed_columns(o, n, &computed));
        TRY(bind_virtual_columns(o->arena, o->opts->bind, t, computed, o->diag, &rules));
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
    TRY(opt__resolve_ranges(o, best));
    s->index = best->index;
    s->ranges = best->ranges;
    s->range_count = best->range_count;
    s->limits = best->limits;
    s->limit_count = best->limit_count;
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
static void tell_choice(const struct path *best, const struct index_def **possible, uint32_t count,
                        struct scan_spec *s)
{
    s->possible = possible;
    s->possible_count = count;
    s->by_order = best->ordered && best->range_count == 0;
}

db_err opt__scan(struct optimizer *o, struct lnode *n, const struct want *want, struct phys *ret)
{
    const struct table_def *t = n->u.table.def;
    *ret = (struct phys){0};
    if (t->kind == TABLE_VIRTUAL) {
        return virtual_scan(o, n, ret);
    }
    struct path *paths = OPT_ARRAY(o, struct path, t->index_count);
    struct path *best = NULL;
    uint32_t count = 0;
    uint32_t possible_count = 0;
    const struct index_def **possible = OPT_ARRAY(o, const struct index_def *, t->index_count);
    if (possible == NULL || paths == NULL) {
        return ERR_NOMEM;
    }
    double found = opt__estimate(o, n);
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        struct path *p = &paths[count];
        bool usable = opt__index_visible(o, ix);
        if (usable) {
            TRY(try_index(o, n, ix, want, p, &usable));
        }
        if (!usable) {
            continue;
        }
        if (p->possible) {
            possible[possible_count++] = ix;
        }
        found = p->rows < found ? p->rows : found;
        count++;
    }
    bool prefer = opt__switch(o, OPT_PREFER_ORDERING_INDEX) || !any_equality(paths, count);
    struct want all = {.order = want->order, .order_count = want->order_count, .limit = -1};
    for (uint32_t i = 0; i < count; i++) {
        cost_order(&paths[i], prefer ? want : &all, found);
    }
    cost_force(n, paths, count, want);
    for (uint32_t i = 0; i < count; i++) {
        best = best == NULL || paths[i].cost < best->cost ? &paths[i] : best;
    }
    TRY(build(o, n, best, best->reverse, ret));
    tell_choice(best, possible, possible_count, &ret->node->u.scan);
    return output_order(o, n, best, want, best->ordered, ret);
}

const struct index_def *opt__lookup_index(const struct optimizer *o, const struct lnode *n,
                                          const col_id_t *keys, uint32_t key_count,
                                          uint32_t *ret_parts, uint32_t *ret_keys)
{
    const struct table_def *t = n->u.table.def;
    const struct index_def *best = NULL;
    uint32_t best_parts = 0;
    bool best_unique = false;
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        uint32_t found[CATALOG_INDEX_PARTS_MAX];
        uint32_t parts = 0;
        if (!opt__index_visible(o, ix) || !opt__index_allowed(n, ix, INDEX_FOR_JOIN) ||
            index_multi_part(t, ix) >= 0) {
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
