/* The plan as a tree: FORMAT=TREE, and the nodes that JSON version 2 shows.
 *
 * A plan node becomes one line or several: the conditions of a scan are a Filter above it, a hash
 * join has a Hash above its right side, a top-N is a Limit above a Sort. Projections are not
 * shown. Counters belong to the plan node, so they stand at the topmost of its lines. */
#include "sql/opt/explain_int.h"

#include "sql/parser/ast_query.h"

struct tree {
    struct arena *arena;
    const struct plan *plan;
    bool fragments;
    const struct node_counters *counters;
    bool *cte_shown;
};

static db_err walk(struct tree *t, struct xnode *parent, const struct plan_node *n);

static struct xnode *add(struct tree *t, struct xnode *parent, const char *text)
{
    struct xnode *x = text == NULL ? NULL : ARENA_NEW(t->arena, struct xnode);
    if (x != NULL) {
        *x = (struct xnode){.text = text};
        x->last = &x->first;
        *parent->last = x;
        parent->last = &x->next;
    }
    return x;
}

static db_err field(struct tree *t, struct xnode *x, const char *key, const char *value)
{
    struct xfield *f = value == NULL ? NULL : ARENA_NEW(t->arena, struct xfield);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    *f = (struct xfield){.next = x->fields, .key = key, .value = value};
    x->fields = f;
    return ERR_OK;
}

static db_err text_field(struct tree *t, struct xnode *x, const char *key, const char *value)
{
    return field(t, x, key, explain__quoted(t->arena, slice_str(value)));
}

/* ---- costs ---- */

/* The planner costs scans; what is above costs its input and something for each row. */
static double cost_of(const struct plan_node *n)
{
    double cost = n->child_count == 0 ? n->cost : 0;
    for (uint32_t i = 0; i < n->child_count; i++) {
        cost += cost_of(n->children[i]);
    }
    if (n->child_count != 0) {
        cost += n->rows * 0.1;
    }
    return cost;
}

static void estimate(struct xnode *x, const struct plan_node *n, double rows)
{
    x->estimated = true;
    x->rows = rows;
    x->cost = cost_of(n);
}

/* ---- scans ---- */

static db_err scan_fields(struct tree *t, struct xnode *x, const struct scan_spec *s,
                          const char *access)
{
    SCOPE_BUF(list, 256 * 1024);
    TRY(text_field(t, x, "access_type",
                   s->index == NULL || s->range_count != 0 || s->index->id != INDEX_ID_CLUSTERED ||
                           s->by_order
                       ? (s->index == NULL ? "table" : "index")
                       : "table"));
    TRY(field(t, x, "table_name", explain__quoted(t->arena, explain__alias(s))));
    TRY(field(t, x, "schema_name", explain__quoted(t->arena, s->table->schema_name)));
    TRY(buf_append_slice(&list, SLICE_LIT("[")));
    for (uint32_t i = 0; i < s->column_count; i++) {
        const char *name = explain__quoted(t->arena, s->table->columns[s->columns[i]].name);
        TRY(name == NULL ? ERR_NOMEM : buf_printf(&list, "%s%s", i == 0 ? "" : ", ", name));
    }
    TRY(buf_append_slice(&list, SLICE_LIT("]")));
    TRY(field(t, x, "used_columns", arena_strdup(t->arena, buf_slice(&list))));
    if (access != NULL) {
        TRY(field(t, x, "index_name", explain__quoted(t->arena, s->index->name)));
        TRY(text_field(t, x, "index_access_type", access));
        TRY(field(t, x, "covering",
                  s->covering && s->index->id != INDEX_ID_CLUSTERED ? "true" : "false"));
    }
    return ERR_OK;
}

struct access_words {
    const char *text, *json;
};

static struct access_words words_of(const struct scan_spec *s, bool single_row)
{
    if (s->index == NULL ||
        (s->range_count == 0 && s->index->id == INDEX_ID_CLUSTERED && !s->by_order)) {
        return (struct access_words){"Table scan", NULL};
    }
    if (s->range_count == 0) {
        return (struct access_words){"Index scan", "index_scan"};
    }
    const struct scan_range *r = &s->ranges[0];
    bool several = r->multi != 0 && r->multi_match != MULTI_MEMBER;
    if (s->range_count > 1 || several || r->low != NULL || r->high != NULL || r->not_null) {
        return (struct access_words){"Index range scan", "index_range_scan"};
    }
    return single_row ? (struct access_words){"Single-row index lookup", "index_lookup"}
                      : (struct access_words){"Index lookup", "index_lookup"};
}

static const char *scan_text(struct tree *t, const struct scan_spec *s, struct access_words w,
                             const char *ranges)
{
    static const char *const covered[][2] = {
        {"Index scan", "Covering index scan"},
        {"Index range scan", "Covering index range scan"},
        {"Single-row index lookup", "Single-row covering index lookup"},
        {"Index lookup", "Covering index lookup"}};
    bool covering = w.json != NULL && s->covering && s->index->id != INDEX_ID_CLUSTERED;
    const char *text = w.text;
    for (size_t i = 0; i < ARRAY_COUNT(covered) && covering; i++) {
        text = strcmp(covered[i][0], w.text) == 0 ? covered[i][1] : text;
    }
    if (w.json == NULL) {
        return arena_printf(t->arena, "%s on %.*s", text, SLICE_FMT(explain__alias(s)));
    }
    return arena_printf(t->arena, "%s on %.*s using %.*s%s%s%s", text, SLICE_FMT(explain__alias(s)),
                        SLICE_FMT(s->index->name),
                        s->range_count == 0                       ? ""
                        : strcmp(w.json, "index_range_scan") == 0 ? " over "
                                                                  : " ",
                        s->range_count == 0 ? "" : ranges, s->reverse ? " (reverse)" : "");
}

/* `left`: of a lookup join, whose rows the bounds read. */
static db_err scan(struct tree *t, struct xnode *parent, const struct scan_spec *s,
                   const struct plan_node *left, const struct plan_node *counted, bool single_row,
                   double rows, double cost)
{
    struct explain_input own = {.scan = s};
    struct explain_input from = {.left = left};
    if (s->filter_count != 0) {
        const char *conditions = explain__conjuncts(t->arena, s->filters, s->filter_count, &own);
        parent = add(t, parent, arena_printf(t->arena, "Filter: %s", conditions));
        if (parent == NULL || conditions == NULL) {
            return ERR_NOMEM;
        }
        parent->estimated = true;
        parent->rows = rows * s->filtered;
        parent->cost = cost;
        parent->counted = counted;
        counted = NULL;
        TRY(text_field(t, parent, "access_type", "filter"));
        TRY(text_field(t, parent, "condition", conditions));
    }
    const char *ranges = s->index == NULL ? "" : explain__ranges(t->arena, s, &from);
    struct access_words w = words_of(s, single_row);
    struct xnode *x = ranges == NULL ? NULL : add(t, parent, scan_text(t, s, w, ranges));
    if (x == NULL) {
        return ERR_NOMEM;
    }
    x->estimated = true;
    x->rows = rows;
    x->cost = cost;
    x->counted = counted;
    if (w.json != NULL && s->range_count != 0) {
        const char *quoted = explain__quoted(t->arena, slice_str(ranges));
        bool lookup = strcmp(w.json, "index_lookup") == 0;
        TRY(quoted == NULL ? ERR_NOMEM
                           : field(t, x, lookup ? "lookup_condition" : "ranges",
                                   lookup ? quoted : arena_printf(t->arena, "[%s]", quoted)));
    }
    return scan_fields(t, x, s, w.json);
}

/* ---- joins ---- */

static db_err join_conditions(struct tree *t, const struct plan_node *n, const char **ret_keys,
                              const char **ret_rest)
{
    const struct plan_node *left = n->children[0];
    const struct plan_node *right = n->child_count > 1 ? n->children[1] : NULL;
    struct explain_input li = {.left = left};
    struct explain_input ri = {.left = right};
    struct explain_input both = {.left = left, .right = right};
    SCOPE_BUF(keys, 64 * 1024);
    for (uint32_t i = 0; i < n->u.join.key_count && n->kind == PLAN_HASH_JOIN; i++) {
        const char *l = explain__expr(t->arena, n->u.join.left_keys[i], &li);
        const char *r = explain__expr(t->arena, n->u.join.right_keys[i], &ri);
        TRY(l == NULL || r == NULL ? ERR_NOMEM
                                   : buf_printf(&keys, "%s(%s %s %s)", i == 0 ? "" : ", ", l,
                                                n->u.join.null_safe[i] ? "<=>" : "=", r));
    }
    if (n->kind == PLAN_LOOKUP_JOIN) {
        both.scan = &n->u.join.lookup;
    }
    *ret_keys = arena_strdup(t->arena, buf_slice(&keys));
    *ret_rest = explain__conjuncts(t->arena, n->u.join.filters, n->u.join.filter_count, &both);
    return *ret_keys == NULL || *ret_rest == NULL ? ERR_NOMEM : ERR_OK;
}

static const char *join_name(struct tree *t, const struct plan_node *n, const char *keys,
                             const char *rest)
{
    static const char *const hash[] = {"Inner hash join", "Inner hash join", "Left hash join",
                                       "Right hash join", "Full hash join",  "Hash semijoin",
                                       "Hash antijoin"};
    static const char *const loop[] = {"Nested loop inner join", "Nested loop inner join",
                                       "Nested loop left join",  "Nested loop right join",
                                       "Nested loop full join",  "Nested loop semijoin",
                                       "Nested loop antijoin"};
    if (n->kind != PLAN_HASH_JOIN) {
        return *rest == '\0'
                   ? loop[n->u.join.kind]
                   : arena_printf(t->arena, "%s, conditions: %s", loop[n->u.join.kind], rest);
    }
    return arena_printf(t->arena, "%s %s%s%s", hash[n->u.join.kind], keys,
                        *rest == '\0' ? "" : ", extra conditions: ", rest);
}

static db_err join(struct tree *t, struct xnode *parent, const struct plan_node *n)
{
    static const char *const kinds[] = {"inner join", "inner join", "left join", "right join",
                                        "full join",  "semijoin",   "antijoin"};
    const char *keys;
    const char *rest;
    TRY(join_conditions(t, n, &keys, &rest));
    const struct scan_spec *s = &n->u.join.lookup;
    bool lookup = n->kind == PLAN_LOOKUP_JOIN;
    /* The keys that are looked up are among the conditions, which are checked again. */
    bool all_keys = lookup && n->u.join.filter_count == s->ranges[0].eq_count;
    struct xnode *x = add(t, parent, join_name(t, n, keys, all_keys ? "" : rest));
    if (x == NULL) {
        return ERR_NOMEM;
    }
    estimate(x, n, n->rows);
    x->counted = n;
    TRY(text_field(t, x, "access_type", "join"));
    TRY(text_field(t, x, "join_type", kinds[n->u.join.kind]));
    TRY(text_field(t, x, "join_algorithm", n->kind == PLAN_HASH_JOIN ? "hash" : "nested_loop"));
    TRY(walk(t, x, n->children[0]));
    if (lookup) {
        bool unique =
            s->index->kind != INDEX_PLAIN && s->ranges[0].eq_count == s->index->part_count;
        double rows = unique ? 1 : s->rows < 1 ? 1 : s->rows;
        return scan(t, x, s, n->children[0], NULL, unique, rows, rows);
    }
    struct xnode *under = x;
    if (n->kind == PLAN_HASH_JOIN) {
        under = add(t, x, "Hash");
        if (under == NULL) {
            return ERR_NOMEM;
        }
    }
    return walk(t, under, n->children[1]);
}

/* ---- the rest ---- */

static const char *agg_text(struct tree *t, const struct plan_node *n)
{
    SCOPE_BUF(text, 64 * 1024);
    const char *name = n->kind == PLAN_HASH_AGG     ? "Aggregate using temporary table"
                       : n->kind == PLAN_ROLLUP_AGG ? "Group aggregate with rollup"
                                                    : "Aggregate";
    db_err err = buf_printf(&text, "%s", name);
    for (uint32_t i = 0; i < n->u.agg.agg_count && n->kind != PLAN_HASH_AGG; i++) {
        const char *a = explain__agg(t->arena, &n->u.agg.aggs[i], n->children[0]);
        if (a == NULL || err != ERR_OK) {
            return NULL;
        }
        err = buf_printf(&text, "%s%s", i == 0 ? ": " : ", ", a);
    }
    return err != ERR_OK ? NULL : arena_strdup(t->arena, buf_slice(&text));
}

static const char *sort_text(struct tree *t, const struct plan_node *n)
{
    SCOPE_BUF(text, 64 * 1024);
    struct explain_input in = {.left = n->children[0]};
    db_err err = buf_printf(&text, "Sort");
    for (uint32_t i = 0; i < n->u.sort.count && err == ERR_OK; i++) {
        const char *k = explain__expr(t->arena, n->u.sort.keys[i].expr, &in);
        err = k == NULL ? ERR_NOMEM
                        : buf_printf(&text, "%s%s%s", i == 0 ? ": " : ", ", k,
                                     n->u.sort.keys[i].descending ? " DESC" : "");
    }
    const char *limit =
        n->kind == PLAN_TOPN ? explain__expr(t->arena, n->u.sort.limit, NULL) : NULL;
    if (limit != NULL && err == ERR_OK) {
        err = buf_printf(&text, ", limit input to %s row(s) per chunk", limit);
    }
    return err != ERR_OK ? NULL : arena_strdup(t->arena, buf_slice(&text));
}

static const char *limit_text(struct tree *t, const struct bexpr *limit, const struct bexpr *offset)
{
    const char *l = limit == NULL ? "all" : explain__expr(t->arena, limit, NULL);
    const char *f = offset == NULL ? NULL : explain__expr(t->arena, offset, NULL);
    if (l == NULL || (offset != NULL && f == NULL)) {
        return NULL;
    }
    return f == NULL ? arena_printf(t->arena, "Limit: %s row(s)", l)
                     : arena_printf(t->arena, "Limit/Offset: %s/%s row(s)", l, f);
}

static const char *change_text(struct tree *t, const struct plan_node *n)
{
    SCOPE_BUF(names, 4096);
    if (n->kind == PLAN_INSERT) {
        return arena_printf(t->arena, "%s into %.*s", n->u.insert.replace ? "Replace" : "Insert",
                            SLICE_FMT(n->u.insert.target->table->name));
    }
    for (uint32_t i = 0; i < n->u.dml.target_count; i++) {
        db_err err = buf_printf(&names, "%s%.*s (buffered)", i == 0 ? "" : ", ",
                                SLICE_FMT(n->u.dml.targets[i].table->name));
        (void)err;
    }
    return arena_printf(t->arena, "%s%.*s", n->kind == PLAN_UPDATE ? "Update " : "Delete from ",
                        SLICE_FMT(buf_slice(&names)));
}

static const char *setop_text(const struct plan_node *n)
{
    bool distinct = n->u.setop.distinct;
    switch ((int)n->u.setop.op) {
    case AST_SETOP_UNION: return distinct ? "Union materialize with deduplication" : "Append";
    case AST_SETOP_INTERSECT:
        return distinct ? "Intersect materialize with deduplication" : "Intersect all materialize";
    default: return distinct ? "Except materialize with deduplication" : "Except all materialize";
    }
}

struct line_words {
    const char *text, *json;
};

static struct line_words line_of(struct tree *t, const struct plan_node *n)
{
    struct explain_input in = {.left = n->child_count == 0 ? NULL : n->children[0]};
    switch ((int)n->kind) {
    case PLAN_FILTER: {
        const char *c = explain__conjuncts(t->arena, n->u.filter.conjuncts, n->u.filter.count, &in);
        return (struct line_words){arena_printf(t->arena, "Filter: %s", c), "filter"};
    }
    case PLAN_SORT: return (struct line_words){sort_text(t, n), "sort"};
    case PLAN_LIMIT:
        return (struct line_words){limit_text(t, n->u.limit.limit, n->u.limit.offset), "limit"};
    case PLAN_HASH_AGG:
    case PLAN_STREAM_AGG:
    case PLAN_ROLLUP_AGG: return (struct line_words){agg_text(t, n), "aggregate"};
    case PLAN_DISTINCT:
        return (struct line_words){"Temporary table with deduplication", "temp_table_with_dedup"};
    case PLAN_WINDOW: return (struct line_words){"Window aggregate", "window"};
    case PLAN_SETOP: return (struct line_words){setop_text(n), "union"};
    case PLAN_RECURSIVE:
        return (struct line_words){"Materialize recursive CTE, repeat until convergence",
                                   "materialize"};
    case PLAN_INSERT: return (struct line_words){change_text(t, n), "insert_values"};
    case PLAN_UPDATE: return (struct line_words){change_text(t, n), "update"};
    case PLAN_DELETE: return (struct line_words){change_text(t, n), "delete_rows"};
    case PLAN_JSON_TABLE:
        return (struct line_words){"Materialize table function", "materialized_table_function"};
    case PLAN_LOAD: return (struct line_words){"Lines of the file", "rows_fetched"};
    default:
        return (struct line_words){"Rows fetched before execution",
                                   "rows_fetched_before_execution"};
    }
}

static db_err cte_ref(struct tree *t, struct xnode *parent, const struct plan_node *n)
{
    uint32_t id = n->u.cte_ref.cte;
    struct xnode *x = add(t, parent,
                          n->u.cte_ref.working
                              ? "Scan new records of the recursive CTE"
                              : arena_printf(t->arena, "Table scan on CTE #%u", (unsigned)id + 1));
    if (x == NULL) {
        return ERR_NOMEM;
    }
    x->estimated = true;
    x->rows = n->rows;
    x->counted = n;
    TRY(text_field(t, x, "access_type", "table"));
    if (n->u.cte_ref.working || t->cte_shown[id] || t->plan->ctes[id] == NULL) {
        return ERR_OK;
    }
    t->cte_shown[id] = true;
    struct xnode *m = add(t, x, "Materialize CTE if needed");
    if (m == NULL) {
        return ERR_NOMEM;
    }
    TRY(text_field(t, m, "access_type", "materialize"));
    return walk(t, m, t->plan->ctes[id]);
}

static db_err line(struct tree *t, struct xnode *parent, const struct plan_node *n)
{
    if (n->kind == PLAN_TOPN) {
        struct xnode *l = add(t, parent, limit_text(t, n->u.sort.limit, n->u.sort.offset));
        if (l == NULL) {
            return ERR_NOMEM;
        }
        TRY(text_field(t, l, "access_type", "limit"));
        estimate(l, n, n->rows);
        l->counted = n;
        struct xnode *s = add(t, l, sort_text(t, n));
        if (s == NULL) {
            return ERR_NOMEM;
        }
        TRY(text_field(t, s, "access_type", "sort"));
        estimate(s, n, n->rows);
        return walk(t, s, n->children[0]);
    }
    struct line_words w = line_of(t, n);
    struct xnode *x = add(t, parent, w.text);
    if (x == NULL) {
        return ERR_NOMEM;
    }
    TRY(text_field(t, x, "access_type", w.json));
    bool change = n->kind == PLAN_INSERT || n->kind == PLAN_UPDATE || n->kind == PLAN_DELETE;
    if (!change && n->kind != PLAN_VALUES) {
        estimate(x, n, n->rows);
    }
    x->counted = n;
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(walk(t, x, n->children[i]));
    }
    return ERR_OK;
}

/* Which way was gone is known once the plan has run. */
static bool runs_fragments(const struct tree *t, const struct plan_fragment *f)
{
    return t->counters == NULL ? t->fragments : t->counters[f->above->id].loops != 0;
}

/* What runs on other nodes is not counted here. */
static void uncount(struct xnode *x)
{
    for (; x != NULL; x = x->next) {
        x->counted = NULL;
        uncount(x->first);
    }
}

static db_err walk(struct tree *t, struct xnode *parent, const struct plan_node *n)
{
    switch ((int)n->kind) {
    case PLAN_PROJECT: return walk(t, parent, n->children[0]);
    case PLAN_GATHER:
        return walk(t, parent,
                    runs_fragments(t, n->u.gather) ? n->u.gather->above : n->children[0]);
    case PLAN_FRAGMENT: {
        struct xnode *x = add(t, parent, "Gather rows of fragments, run where the data lies");
        if (x == NULL) {
            return ERR_NOMEM;
        }
        estimate(x, n, n->rows);
        TRY(text_field(t, x, "access_type", "gather"));
        x->counted = n;
        TRY(walk(t, x, n->u.gather->root));
        uncount(x->first);
        return ERR_OK;
    }
    case PLAN_TABLE_SCAN:
    case PLAN_INDEX_SCAN:
    case PLAN_POINT_GET:
    case PLAN_VIRTUAL_SCAN:
        return scan(t, parent, &n->u.scan, NULL, n, n->kind == PLAN_POINT_GET, n->rows, n->cost);
    case PLAN_HASH_JOIN:
    case PLAN_NL_JOIN:
    case PLAN_LOOKUP_JOIN: return join(t, parent, n);
    case PLAN_CTE_REF: return cte_ref(t, parent, n);
    default: return line(t, parent, n);
    }
}

db_err explain__tree(const struct plan *plan, const struct explain_opts *opts, struct arena *arena,
                     struct xnode **ret_root)
{
    struct tree t = {
        .arena = arena, .plan = plan, .fragments = opts->fragments, .counters = opts->counters};
    struct xnode *top = ARENA_NEW(arena, struct xnode);
    t.cte_shown = arena_calloc(arena, plan->cte_count + 1, sizeof(bool));
    if (top == NULL || t.cte_shown == NULL) {
        return ERR_NOMEM;
    }
    *top = (struct xnode){.text = ""};
    top->last = &top->first;
    TRY(walk(&t, top, plan->root));
    unsigned id = 2;
    for (uint32_t i = 0; i < plan->subquery_count; i++) {
        const struct bsubquery *s = plan->subqueries[i];
        if (s->unnested) {
            continue;
        }
        struct xnode *x = add(&t, top->first,
                              arena_printf(arena, "Select #%u (subquery; %s)", id++,
                                           s->repeats      ? "uncacheable"
                                           : s->correlated ? "dependent"
                                                           : "run only once"));
        if (x == NULL) {
            return ERR_NOMEM;
        }
        x->heading = x->text;
        TRY(walk(&t, x, s->plan->root));
    }
    *ret_root = top->first;
    return ERR_OK;
}

/* ---- text ---- */

/* MYSQL: about three digits. */
static db_err number(struct buf *out, double v)
{
    if (v >= 1e6) {
        return buf_printf(out, "%.3g", v);
    }
    int decimals = v >= 100 ? 0 : v >= 10 ? 1 : v >= 1 ? 2 : 3;
    char text[64];
    int len = snprintf(text, sizeof(text), "%.*f", decimals, v);
    while (decimals > 0 && (text[len - 1] == '0' || text[len - 1] == '.')) {
        bool point = text[--len] == '.';
        text[len] = '\0';
        if (point) {
            break;
        }
    }
    return buf_append_slice(out, slice_of(text, (size_t)len));
}

static db_err actual(const struct xnode *x, const struct explain_opts *opts, struct buf *out)
{
    if (opts->counters == NULL || x->counted == NULL) {
        return ERR_OK;
    }
    const struct node_counters *c = &opts->counters[x->counted->id];
    if (c->loops == 0) {
        return buf_append_slice(out, SLICE_LIT(" (never executed)"));
    }
    double loops = (double)c->loops;
    TRY(buf_append_slice(out, SLICE_LIT(" (actual time=")));
    TRY(number(out, (double)c->first_ns / loops / 1e6));
    TRY(buf_append_slice(out, SLICE_LIT("..")));
    TRY(number(out, (double)c->total_ns / loops / 1e6));
    TRY(buf_append_slice(out, SLICE_LIT(" rows=")));
    TRY(number(out, (double)c->rows / loops));
    return buf_printf(out, " loops=%llu)", (unsigned long long)c->loops);
}

static db_err node_text(const struct xnode *x, unsigned depth, const struct explain_opts *opts,
                        struct buf *out)
{
    TRY(buf_printf(out, "%*s-> %s", (int)(depth * 4), "", x->text));
    if (x->estimated) {
        TRY(buf_append_slice(out, SLICE_LIT("  (")));
        if (x->cost > 0) {
            TRY(buf_append_slice(out, SLICE_LIT("cost=")));
            TRY(number(out, x->cost));
            TRY(buf_append_slice(out, SLICE_LIT(" ")));
        }
        TRY(buf_append_slice(out, SLICE_LIT("rows=")));
        TRY(number(out, x->rows));
        TRY(buf_append_slice(out, SLICE_LIT(")")));
    }
    TRY(actual(x, opts, out));
    TRY(buf_append_slice(out, SLICE_LIT("\n")));
    for (const struct xnode *c = x->first; c != NULL; c = c->next) {
        TRY(node_text(c, depth + 1, opts, out));
    }
    return ERR_OK;
}

db_err plan_explain_tree(const struct plan *plan, const struct explain_opts *opts,
                         struct arena *arena, struct buf *out)
{
    struct xnode *root;
    TRY(explain__tree(plan, opts, arena, &root));
    return node_text(root, 0, opts, out);
}
