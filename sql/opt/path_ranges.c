/* Ranges and limits of an index from the conditions on a table.
 *
 * The leading parts of an index are matched with the table's conjuncts (range_match.c): values on a
 * prefix of the parts, then an interval on the next. Several values or intervals, of IN and OR,
 * multiply the ranges (up to RANGES_MAX). Whatever else conjuncts say of these parts limits them:
 * another bound on the same side, bounds beside values, another list. Which bound is the tightest
 * is known when the scan opens.
 *
 * A conjunct that its range or limit states exactly is dropped; the others are kept as filters: at
 * run time a bound that the column's type cannot hold makes the range wider or empty, never wrong.
 *
 * The part of an index with several values a row is matched by MEMBER OF, JSON_CONTAINS and
 * JSON_OVERLAPS, whose values are known at run time and which stay as filters. */
#include "sql/charset/charset.h"
#include "sql/opt/access_path.h"

struct lcolumn *opt__part_column(struct lnode *n, const struct index_part *part)
{
    uint32_t at = part->column;
    bool multi = n->u.table.documents != NULL && n->u.table.def->columns[at].element != NULL;
    return &n->columns[multi ? n->u.table.documents[at] : at];
}

/* Every range so far as often as there are choices; the copies of a range stand together. */
static db_err multiply(struct optimizer *o, struct path *p, uint32_t choices)
{
    uint32_t count = p->range_count * choices;
    struct scan_range *ranges = OPT_ARRAY(o, struct scan_range, count);
    if (ranges == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t k = 0; k < count; k++) {
        ranges[k] = p->ranges[k / choices];
    }
    p->ranges = ranges;
    p->range_count = count;
    return ERR_OK;
}

/* One more equality; those so far may be another range's, too, and are copied. */
static db_err add_value(struct optimizer *o, struct scan_range *io, const struct match *m,
                        const struct scan_choice *choice)
{
    uint32_t n = io->eq_count;
    struct bexpr **eq = OPT_ARRAY(o, struct bexpr *, n + 1);
    bool *null_safe = OPT_ARRAY(o, bool, n + 1);
    if (eq == NULL || null_safe == NULL) {
        return ERR_NOMEM;
    }
    if (n != 0) {
        memcpy(eq, io->eq, n * sizeof(*eq));
        memcpy(null_safe, io->eq_null_safe, n * sizeof(*null_safe));
    }
    eq[n] = choice->value; /* NULL: IS NULL */
    null_safe[n] = choice->null_safe;
    io->eq = eq;
    io->eq_null_safe = null_safe;
    io->eq_count = n + 1;
    if (m->kind == MATCH_MULTI) {
        io->multi = n + 1;
        io->multi_match = m->multi;
    }
    return ERR_OK;
}

/* Every range so far times the values of one more equality. */
static db_err extend(struct optimizer *o, struct path *p, const struct match *m)
{
    TRY(multiply(o, p, m->count));
    for (uint32_t k = 0; k < p->range_count; k++) {
        TRY(add_value(o, &p->ranges[k], m, match_choice(m, k % m->count)));
    }
    p->eq_count++;
    return ERR_OK;
}

/* A search that does not know its values reads all that the parts before say. */
static bool behind_multi(const struct path *p)
{
    return p->ranges[0].multi != 0;
}

/* The conjunct that gives the fewest values of the part; *ret_at UINT32_MAX: none does. */
static db_err best_values(struct optimizer *o, struct lnode *n, const struct path *p,
                          const struct index_part *part, struct match *ret, uint32_t *ret_at)
{
    uint32_t most = p->single ? 1 : RANGES_MAX;
    *ret_at = UINT32_MAX;
    for (uint32_t i = 0; i < n->u.table.filter_count; i++) {
        struct match m;
        bool is;
        TRY(opt__match(o, opt__part_column(n, part), part, n->u.table.filters[i], &m, &is));
        if (is && (m.kind == MATCH_VALUES || m.kind == MATCH_MULTI) &&
            p->range_count * m.count <= most && (*ret_at == UINT32_MAX || m.count < ret->count)) {
            *ret = m;
            *ret_at = i;
        }
    }
    return ERR_OK;
}

/* ---- limits ---- */

/* Of the index's part `at`. A conjunct limits each part once, and may limit all of them: OR of
 * several columns. */
static db_err add_limit(struct optimizer *o, struct lnode *n, struct path *p, uint32_t at,
                        const struct match *m)
{
    struct scan_choice *choices = m->several;
    if (p->limits == NULL) {
        p->limits =
            OPT_ARRAY(o, struct scan_limit, (size_t)n->u.table.filter_count * p->index->part_count);
    }
    if (choices == NULL) {
        choices = OPT_NEW(o, struct scan_choice);
    }
    if (p->limits == NULL || choices == NULL) {
        return ERR_NOMEM;
    }
    if (m->several == NULL) {
        *choices = m->one;
    }
    ASSERT(p->limit_count < n->u.table.filter_count * p->index->part_count);
    p->limits[p->limit_count++] = (struct scan_limit){at, m->count, choices};
    return ERR_OK;
}

/* Are beginnings of texts in the order of the texts? Not where case or accents decide between texts
 * of the same letters only: 'Ab' is before 'abc' and behind 'ab'. */
static bool beginnings_in_order(const struct lnode *n, const struct index_part *part)
{
    const struct sql_type *t = &n->u.table.def->columns[part->column].type;
    return part->prefix_len == 0 || !type_is_string(t) ||
           collation_levels(collation_by_id(t->collation)) <= 1;
}

/* What the conjuncts say of the part `at`, but those that its ranges say: these only if
 * there is more in them. Limits of the part behind the values divide its ranges. */
static db_err limit_part(struct optimizer *o, struct lnode *n, struct path *p, uint32_t at)
{
    const struct index_part *part = &p->index->parts[at];
    bool in_order = beginnings_in_order(n, part);
    bool divides = at == p->eq_count;
    uint32_t product = divides ? p->range_count : 1;
    for (uint32_t i = 0; i < n->u.table.filter_count; i++) {
        struct match m;
        bool is;
        if (p->taken[i] && p->dropped[i]) {
            continue; /* most of them, and long lists take their time */
        }
        TRY(opt__match(o, opt__part_column(n, part), part, n->u.table.filters[i], &m, &is));
        if (!is || m.kind == MATCH_MULTI || (p->taken[i] && !m.chained) ||
            (!in_order && m.kind != MATCH_VALUES && m.kind != MATCH_NOT_NULL) ||
            product > RANGES_MAX / m.count) {
            continue;
        }
        TRY(add_limit(o, n, p, at, &m));
        p->dropped[i] = m.exact;
        product *= divides ? m.count : 1;
    }
    return ERR_OK;
}

/* ---- the parts with values ---- */

static db_err match_equalities(struct optimizer *o, struct lnode *n, struct path *p)
{
    while (p->eq_count < p->index->part_count) {
        const struct index_part *part = &p->index->parts[p->eq_count];
        struct match m = {.count = 0};
        uint32_t at;
        TRY(best_values(o, n, p, part, &m, &at));
        if (at == UINT32_MAX) {
            return ERR_OK;
        }
        TRY(extend(o, p, &m));
        if (!behind_multi(p)) {
            p->taken[at] = true;
            p->dropped[at] = m.exact && !m.chained;
            TRY(limit_part(o, n, p, p->eq_count - 1));
        }
        if (part->prefix_len != 0) {
            return ERR_OK; /* nothing behind a prefix part is in order */
        }
    }
    return ERR_OK;
}

/* ---- the part with intervals ---- */

static void set_low(struct scan_range *r, const struct scan_choice *c, bool prefix)
{
    r->low = c->low;
    r->low_inclusive = c->low_inclusive || prefix;
}

static void set_high(struct scan_range *r, const struct scan_choice *c, bool prefix)
{
    r->high = c->high;
    r->high_inclusive = c->high_inclusive || prefix;
}

/* Every range so far times the intervals. */
static db_err extend_intervals(struct optimizer *o, struct path *p, const struct match *m,
                               bool prefix)
{
    TRY(multiply(o, p, m->count));
    for (uint32_t k = 0; k < p->range_count; k++) {
        const struct scan_choice *choice = match_choice(m, k % m->count);
        p->ranges[k].not_null = true;
        set_low(&p->ranges[k], choice, prefix);
        set_high(&p->ranges[k], choice, prefix);
    }
    return ERR_OK;
}

/* Which ends of a path's intervals are given. */
struct ends {
    bool low, high;
    bool prefix; /* the part holds beginnings */
};

/* The bounds of a conjunct that is the first of its kind; *ret_fits: it is. */
static db_err add_ends(struct optimizer *o, struct path *p, const struct match *m, struct ends *io,
                       bool *ret_fits)
{
    bool several = m->kind == MATCH_INTERVALS && !io->low && !io->high &&
                   p->range_count <= RANGES_MAX / m->count;
    bool low = m->kind == MATCH_LOW && !io->low;
    bool high = m->kind == MATCH_HIGH && !io->high;
    *ret_fits = several || low || high || m->kind == MATCH_NOT_NULL;
    if (several) {
        TRY(extend_intervals(o, p, m, io->prefix));
    }
    for (uint32_t r = 0; r < p->range_count && *ret_fits; r++) {
        p->ranges[r].not_null = true;
        if (low) {
            set_low(&p->ranges[r], &m->one, io->prefix);
        } else if (high) {
            set_high(&p->ranges[r], &m->one, io->prefix);
        }
    }
    io->low = io->low || low || several;
    io->high = io->high || high || several;
    return ERR_OK;
}

static db_err match_interval(struct optimizer *o, struct lnode *n, struct path *p, bool *ret_found)
{
    *ret_found = false;
    if (p->eq_count >= p->index->part_count ||
        (p->eq_count > 0 && p->index->parts[p->eq_count - 1].prefix_len != 0)) {
        return ERR_OK;
    }
    const struct index_part *part = &p->index->parts[p->eq_count];
    bool in_order = beginnings_in_order(n, part);
    struct ends ends = {.prefix = part->prefix_len != 0};
    for (uint32_t i = 0; i < n->u.table.filter_count; i++) {
        struct match m;
        bool is;
        bool fits;
        TRY(opt__match(o, opt__part_column(n, part), part, n->u.table.filters[i], &m, &is));
        if (!is || (!in_order && m.kind != MATCH_NOT_NULL)) {
            continue;
        }
        TRY(add_ends(o, p, &m, &ends, &fits));
        if (fits) {
            p->taken[i] = true;
            p->dropped[i] = m.exact && !m.chained && !behind_multi(p);
            *ret_found = true;
        }
    }
    return *ret_found && !behind_multi(p) ? limit_part(o, n, p, p->eq_count) : ERR_OK;
}

db_err opt__path_ranges(struct optimizer *o, struct lnode *n, struct path *p, bool *ret_interval)
{
    TRY(match_equalities(o, n, p));
    return p->single ? ERR_OK : match_interval(o, n, p, ret_interval);
}

static db_err resolve(struct optimizer *o, struct bexpr **io)
{
    return *io == NULL ? ERR_OK : opt__resolve(o, *io, NULL, 0, io);
}

static db_err resolve_limit(struct optimizer *o, struct scan_limit *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        for (struct scan_choice *c = &l->choices[i]; c != NULL; c = c->also) {
            TRY(resolve(o, &c->value));
            TRY(resolve(o, &c->low));
            TRY(resolve(o, &c->high));
        }
    }
    return ERR_OK;
}

db_err opt__resolve_ranges(struct optimizer *o, struct path *p)
{
    for (uint32_t r = 0; r < p->range_count; r++) {
        struct scan_range *s = &p->ranges[r];
        for (uint32_t i = 0; i < s->eq_count; i++) {
            TRY(resolve(o, &s->eq[i]));
        }
        TRY(resolve(o, &s->low));
        TRY(resolve(o, &s->high));
    }
    for (uint32_t i = 0; i < p->limit_count; i++) {
        TRY(resolve_limit(o, &p->limits[i]));
    }
    return ERR_OK;
}

static bool all_of_choice(const struct scan_choice *c, bool (*is)(const struct bexpr *e))
{
    for (; c != NULL; c = c->also) {
        if ((c->value != NULL && !is(c->value)) || (c->low != NULL && !is(c->low)) ||
            (c->high != NULL && !is(c->high))) {
            return false;
        }
    }
    return true;
}

bool opt__all_bounds(const struct scan_spec *s, bool (*is)(const struct bexpr *e))
{
    for (uint32_t i = 0; i < s->range_count; i++) {
        const struct scan_range *r = &s->ranges[i];
        for (uint32_t k = 0; k < r->eq_count; k++) {
            if (r->eq[k] != NULL && !is(r->eq[k])) {
                return false;
            }
        }
        if ((r->low != NULL && !is(r->low)) || (r->high != NULL && !is(r->high))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < s->limit_count; i++) {
        for (uint32_t k = 0; k < s->limits[i].count; k++) {
            if (!all_of_choice(&s->limits[i].choices[k], is)) {
                return false;
            }
        }
    }
    return true;
}
