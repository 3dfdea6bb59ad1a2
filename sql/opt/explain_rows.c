/* The plan as rows of tables by query blocks: FORMAT=TRADITIONAL and JSON version 1.
 *
 * A plan does not say where the query blocks were: views and derived tables that could be merged
 * are gone, as in MySQL. What is left shows in the shape: within a block come, from the top, limit,
 * sort, distinct, window, aggregation, then joins of tables. Where that order would be broken, a
 * block of its own begins, a derived table. */
#include "sql/opt/explain_int.h"

#include "sql/parser/ast_query.h"

/* The steps of a block from its top; each may stand once (a sort anywhere). */
enum level { LEVEL_TABLES, LEVEL_AGGREGATE, LEVEL_WINDOW, LEVEL_DISTINCT, LEVEL_LIMIT, LEVEL_TOP };

struct pending { /* a block whose tables are still to be listed */
    struct pending *next;
    struct explain_block *block;
    const struct plan_node *node;
};

struct rows {
    struct arena *arena;
    const struct plan *plan;
    struct explain_block *first, **last;
    struct pending *pending, **pending_last;
    struct explain_block **ctes; /* by id, once one has been shown */
    uint32_t next_id;
};

static db_err tables(struct rows *r, struct explain_block *b, const struct plan_node *n,
                     enum level level);

static struct explain_block *new_block(struct rows *r, const char *type)
{
    struct explain_block *b = ARENA_NEW(r->arena, struct explain_block);
    if (b != NULL) {
        *b = (struct explain_block){.id = r->next_id++, .select_type = type};
        b->last = &b->first;
        *r->last = b;
        r->last = &b->next;
    }
    return b;
}

static struct explain_row *new_row(struct rows *r, struct explain_block *b)
{
    struct explain_row *row = ARENA_NEW(r->arena, struct explain_row);
    if (row != NULL) {
        *row = (struct explain_row){.id = b->id, .select_type = b->select_type, .extra = ""};
        *b->last = row;
        b->last = &row->next;
    }
    return row;
}

static db_err later(struct rows *r, struct explain_block *b, const struct plan_node *n)
{
    struct pending *p = ARENA_NEW(r->arena, struct pending);
    if (b == NULL || p == NULL) {
        return ERR_NOMEM;
    }
    *p = (struct pending){.block = b, .node = n};
    *r->pending_last = p;
    r->pending_last = &p->next;
    return ERR_OK;
}

/* Another remark in Extra. */
static void say(struct rows *r, struct explain_row *row, const char *text)
{
    const char *joined =
        *row->extra == '\0' ? text : arena_printf(r->arena, "%s; %s", row->extra, text);
    row->extra = joined == NULL ? row->extra : joined;
}

/* ---- a table ---- */

static bool no_column(const struct bexpr *e, void *arg)
{
    (void)arg;
    return e->kind != BEXPR_COLUMN && e->kind != BEXPR_OUTER;
}

/* NULL: IS NULL. */
static bool is_const(const struct bexpr *e)
{
    return e == NULL || bexpr_walk(e, no_column, NULL);
}

static const char *ref_of(struct rows *r, const struct bexpr *e)
{
    if (is_const(e)) {
        return "const";
    }
    while (e->kind == BEXPR_CAST) {
        e = e->args[0];
    }
    const struct lcolumn *c =
        e->kind == BEXPR_COLUMN || e->kind == BEXPR_OUTER ? e->u.column.origin : NULL;
    if (c == NULL || c->table.len == 0) {
        return "func";
    }
    return c->schema.len == 0
               ? arena_printf(r->arena, "%.*s.%.*s", SLICE_FMT(c->table), SLICE_FMT(c->name))
               : arena_printf(r->arena, "%.*s.%.*s.%.*s", SLICE_FMT(c->schema), SLICE_FMT(c->table),
                              SLICE_FMT(c->name));
}

static const char *refs_of(struct rows *r, const struct scan_spec *s)
{
    const char *text = NULL;
    for (uint32_t i = 0; i < s->ranges[0].eq_count; i++) {
        const char *one = ref_of(r, s->ranges[0].eq[i]);
        text = text == NULL ? one : arena_printf(r->arena, "%s,%s", text, one);
    }
    return text;
}

static const char *names_of(struct rows *r, const struct scan_spec *s)
{
    const char *text = NULL;
    for (uint32_t i = 0; i < s->possible_count; i++) {
        struct slice name = s->possible[i]->name;
        text = text == NULL ? arena_strdup(r->arena, name)
                            : arena_printf(r->arena, "%s,%.*s", text, SLICE_FMT(name));
    }
    return text;
}

static bool is_interval(const struct scan_spec *s)
{
    const struct scan_range *g = &s->ranges[0];
    return s->range_count > 1 || (g->multi != 0 && g->multi_match != MULTI_MEMBER) ||
           g->low != NULL || g->high != NULL || g->not_null;
}

static const char *access_of(const struct scan_spec *s, bool single, bool joined, bool change)
{
    bool clustered = s->index->id == INDEX_ID_CLUSTERED;
    if (s->range_count == 0) {
        return clustered && !s->by_order ? "ALL" : "index";
    }
    if (is_interval(s) || (change && !joined)) {
        return "range"; /* MYSQL: a change of one table says range for equalities, too */
    }
    const struct scan_range *g = &s->ranges[0];
    bool fixed = true;
    for (uint32_t i = 0; i < g->eq_count; i++) {
        fixed = fixed && is_const(g->eq[i]);
    }
    return !single ? "ref" : fixed && !joined ? "const" : "eq_ref";
}

/* MYSQL: conditions on the index's own columns are tested before the row is read. */
static void extra_of(struct rows *r, const struct scan_spec *s, const char *type,
                     struct explain_row *row)
{
    bool clustered = s->index->id == INDEX_ID_CLUSTERED;
    bool range = strcmp(type, "range") == 0;
    bool nulls = s->range_count == 1 && strcmp(type, "ref") == 0;
    for (uint32_t i = 0; nulls && i < s->ranges[0].eq_count; i++) {
        nulls = s->ranges[0].eq[i] == NULL;
    }
    bool pushed = (range || nulls) && !clustered && !s->covering;
    if (pushed && s->lock == ROW_LOCK_NONE) {
        say(r, row, "Using index condition");
    } else if (range && s->filter_count == 0) {
        say(r, row, "Using where");
    }
    if (s->filter_count != 0) {
        say(r, row, "Using where");
    }
    if (s->reverse) {
        say(r, row, "Backward index scan");
    }
    if (!clustered && s->covering) {
        say(r, row, "Using index");
    }
}

static db_err table_row(struct rows *r, struct explain_block *b, const struct scan_spec *s,
                        bool single, bool joined, double count, struct explain_row **ret)
{
    struct explain_row *row = new_row(r, b);
    if (row == NULL) {
        return ERR_NOMEM;
    }
    *ret = row;
    row->scan = s;
    row->table = explain__alias(s);
    row->type = "ALL";
    row->filtered = s->filtered * 100;
    row->rows = count < 1 ? 1 : count;
    row->has_rows = s->index != NULL;
    struct explain_input own = {.scan = s};
    if (s->filter_count != 0) {
        row->condition = explain__conjuncts(r->arena, s->filters, s->filter_count, &own);
    }
    if (s->index == NULL) {
        if (s->filter_count != 0) {
            say(r, row, "Using where");
        }
        return ERR_OK;
    }
    bool change = s->lock == ROW_LOCK_EXCLUSIVE && r->plan->kind != BOUND_SELECT;
    row->type = access_of(s, single, joined, change);
    row->possible_keys = names_of(r, s);
    if (strcmp(row->type, "ALL") != 0) {
        uint32_t parts = explain__used_parts(s);
        row->key = arena_strdup(r->arena, s->index->name);
        row->key_len = arena_printf(r->arena, "%u", (unsigned)explain__key_length(s, parts));
        if (row->key == NULL || row->key_len == NULL) {
            return ERR_NOMEM;
        }
    }
    if (s->range_count == 1 && !is_interval(s)) {
        row->ref = refs_of(r, s);
    }
    extra_of(r, s, row->type, row);
    return ERR_OK;
}

/* ---- joins ---- */

static const struct plan_node *below_projects(const struct plan_node *n)
{
    while (n->kind == PLAN_PROJECT || n->kind == PLAN_GATHER) {
        n = n->children[0];
    }
    return n;
}

static db_err right_side(struct rows *r, struct explain_block *b, const struct plan_node *n,
                         struct explain_row *left)
{
    struct explain_row **mark = b->last;
    if (n->kind == PLAN_LOOKUP_JOIN) {
        const struct scan_spec *s = &n->u.join.lookup;
        bool unique =
            s->index->kind != INDEX_PLAIN && s->ranges[0].eq_count == s->index->part_count;
        struct explain_row *row;
        TRY(table_row(r, b, s, unique, true, unique ? 1 : s->rows, &row));
    } else {
        TRY(tables(r, b, n->children[1], LEVEL_AGGREGATE));
    }
    struct explain_row *first = *mark;
    if (first == NULL) {
        return ERR_OK;
    }
    if (n->u.join.filter_count != 0 && n->kind != PLAN_LOOKUP_JOIN) {
        say(r, first, "Using where");
    }
    if (n->u.join.kind == JOIN_ANTI) {
        say(r, first, "Not exists");
    } else if (n->u.join.kind == JOIN_SEMI && left != NULL && left->table.ptr != NULL) {
        const char *text = arena_printf(r->arena, "FirstMatch(%.*s)", SLICE_FMT(left->table));
        say(r, first, text == NULL ? "FirstMatch" : text);
    }
    if (n->kind == PLAN_HASH_JOIN) {
        say(r, first, "Using join buffer (hash join)");
    } else if (n->kind == PLAN_NL_JOIN && !n->u.join.apply) {
        say(r, first, "Using join buffer (Block Nested Loop)");
    }
    return ERR_OK;
}

static struct explain_row *last_row(const struct explain_block *b)
{
    struct explain_row *row = b->first;
    while (row != NULL && row->next != NULL) {
        row = row->next;
    }
    return row;
}

static db_err join(struct rows *r, struct explain_block *b, const struct plan_node *n)
{
    TRY(tables(r, b, n->children[0], LEVEL_AGGREGATE));
    return right_side(r, b, n, last_row(b));
}

/* ---- blocks in blocks ---- */

static db_err derived_row(struct rows *r, struct explain_block *b, struct explain_block *of,
                          double count)
{
    struct explain_row *row = new_row(r, b);
    const char *name = of == NULL ? NULL : arena_printf(r->arena, "<derived%u>", (unsigned)of->id);
    if (row == NULL || name == NULL) {
        return ERR_NOMEM;
    }
    row->table = slice_str(name);
    row->type = "ALL";
    row->has_rows = true;
    row->rows = count < 1 ? 1 : count;
    row->filtered = 100;
    row->derived = of;
    return ERR_OK;
}

static db_err derived(struct rows *r, struct explain_block *b, const struct plan_node *n)
{
    struct explain_block *of = new_block(r, "DERIVED");
    TRY(later(r, of, n));
    return derived_row(r, b, of, n->rows);
}

static db_err cte_ref(struct rows *r, struct explain_block *b, const struct plan_node *n)
{
    uint32_t id = n->u.cte_ref.cte;
    if (n->u.cte_ref.working) {
        struct explain_row *row = new_row(r, b);
        if (row == NULL) {
            return ERR_NOMEM;
        }
        row->table = SLICE_LIT("<recursive>");
        row->type = "ALL";
        row->has_rows = true;
        row->rows = n->rows;
        row->filtered = 100;
        say(r, row, "Recursive");
        return ERR_OK;
    }
    if (r->ctes[id] == NULL && r->plan->ctes[id] != NULL) {
        r->ctes[id] = new_block(r, "DERIVED");
        TRY(later(r, r->ctes[id], r->plan->ctes[id]));
    }
    return r->ctes[id] == NULL ? ERR_OK : derived_row(r, b, r->ctes[id], n->rows);
}

/* The arms from left to right; each is a block. */
static db_err arms(struct rows *r, struct explain_block *b, const struct plan_node *n, int op,
                   bool distinct, struct explain_block ***io_tail, bool *io_first)
{
    static const char *const names[] = {"UNION", "INTERSECT", "EXCEPT"};
    const struct plan_node *in = below_projects(n);
    if (in->kind == PLAN_SETOP && in->u.setop.op == op && in->u.setop.distinct == distinct) {
        for (uint32_t i = 0; i < in->child_count; i++) {
            TRY(arms(r, b, in->children[i], op, distinct, io_tail, io_first));
        }
        return ERR_OK;
    }
    struct explain_block *arm = b;
    if (!*io_first) {
        arm = new_block(r, names[op]);
        TRY(later(r, arm, n));
    } else {
        TRY(tables(r, arm, n, LEVEL_TOP));
    }
    *io_first = false;
    **io_tail = arm;
    *io_tail = &arm->next_arm;
    return ERR_OK;
}

/* <union1,2,3>. MYSQL: as many arms as a name may be long, counted so; then the last one. */
static const char *result_name(struct rows *r, int op, const struct explain_block *arms)
{
    enum { NAME_MAX_CHARS = 64 };
    static const char *const words[] = {"<union", "<intersect", "<except"};
    SCOPE_BUF(name, 4 * NAME_MAX_CHARS);
    char last[16];
    const struct explain_block *end = arms;
    while (end->next_arm != NULL) {
        end = end->next_arm;
    }
    size_t more = strlen(words[op]) + (size_t)snprintf(last, sizeof(last), "%u", (unsigned)end->id);
    size_t before = 0; /* how long it was without the last number in it */
    db_err err = buf_append_slice(&name, slice_str(words[op]));
    const struct explain_block *a = arms;
    for (; a != NULL && err == ERR_OK && name.len + more < NAME_MAX_CHARS; a = a->next_arm) {
        before = name.len;
        err = buf_printf(&name, "%u,", (unsigned)a->id);
    }
    if (err != ERR_OK) {
        return NULL;
    }
    return a == NULL
               ? arena_printf(r->arena, "%.*s>", (int)(name.len - 1), (const char *)name.ptr)
               : arena_printf(r->arena, "%.*s...,%s>", (int)before, (const char *)name.ptr, last);
}

static db_err set_operation(struct rows *r, struct explain_block *b, const struct plan_node *n)
{
    static const char *const results[] = {"UNION RESULT", "INTERSECT RESULT", "EXCEPT RESULT"};
    struct explain_block *list = NULL;
    struct explain_block **tail = &list;
    bool first = true;
    int op = n->u.setop.op;
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(arms(r, b, n->children[i], op, n->u.setop.distinct, &tail, &first));
    }
    *tail = NULL;
    if (op == AST_SETOP_UNION && !n->u.setop.distinct) {
        return ERR_OK; /* MYSQL: rows are passed on, there is no result table */
    }
    const char *name = result_name(r, op, list);
    struct explain_block *result = new_block(r, results[op]);
    struct explain_row *row = result == NULL ? NULL : new_row(r, result);
    if (row == NULL || name == NULL) {
        return ERR_NOMEM;
    }
    result->arms = list;
    row->table = slice_str(name);
    row->type = "ALL";
    say(r, row, "Using temporary");
    return ERR_OK;
}

static bool always_false(struct bexpr *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct bexpr *e = list[i];
        if (e->kind == BEXPR_CONST &&
            (e->u.constant.is_null || (e->u.constant.phys == PHYS_INT && e->u.constant.i == 0))) {
            return true;
        }
    }
    return false;
}

static db_err no_table(struct rows *r, struct explain_block *b, const char *why)
{
    struct explain_row *row = new_row(r, b);
    if (row == NULL) {
        return ERR_NOMEM;
    }
    say(r, row, why);
    return ERR_OK;
}

static db_err filter(struct rows *r, struct explain_block *b, const struct plan_node *n,
                     enum level level)
{
    if (always_false(n->u.filter.conjuncts, n->u.filter.count)) {
        return no_table(r, b, "Impossible WHERE");
    }
    TRY(tables(r, b, n->children[0], level));
    const struct plan_node *in = below_projects(n->children[0]);
    struct explain_row *row = last_row(b);
    bool on_tables = in->kind <= PLAN_JSON_TABLE || in->kind == PLAN_NL_JOIN ||
                     in->kind == PLAN_HASH_JOIN || in->kind == PLAN_LOOKUP_JOIN;
    if (row != NULL && on_tables && row->table.ptr != NULL &&
        strstr(row->extra, "Using where") == NULL) {
        say(r, row, "Using where");
    }
    return ERR_OK;
}

static enum level level_of(const struct plan_node *n)
{
    switch ((int)n->kind) {
    case PLAN_LIMIT:
    case PLAN_TOPN: return LEVEL_LIMIT;
    case PLAN_DISTINCT: return LEVEL_DISTINCT;
    case PLAN_WINDOW: return LEVEL_WINDOW;
    case PLAN_HASH_AGG:
    case PLAN_STREAM_AGG:
    case PLAN_ROLLUP_AGG: return LEVEL_AGGREGATE;
    default: return LEVEL_TABLES;
    }
}

static db_err step(struct rows *r, struct explain_block *b, const struct plan_node *n,
                   enum level level)
{
    enum level own = level_of(n);
    if (own >= level) {
        return derived(r, b, n);
    }
    b->temporary = b->temporary || n->kind == PLAN_HASH_AGG || n->kind == PLAN_DISTINCT ||
                   n->kind == PLAN_WINDOW;
    b->filesort = b->filesort || n->kind == PLAN_TOPN;
    if (own == LEVEL_WINDOW) {
        own = LEVEL_DISTINCT; /* several windows of one block stand above each other */
    }
    return tables(r, b, n->children[0], own);
}

static db_err tables(struct rows *r, struct explain_block *b, const struct plan_node *n,
                     enum level level)
{
    struct explain_row *row;
    switch ((int)n->kind) {
    case PLAN_PROJECT:
    case PLAN_GATHER: return tables(r, b, n->children[0], level);
    case PLAN_DUAL:
        return b->first != NULL || level == LEVEL_TABLES ? ERR_OK
                                                         : no_table(r, b, "No tables used");
    case PLAN_VALUES: return no_table(r, b, "No tables used");
    case PLAN_TABLE_SCAN:
    case PLAN_INDEX_SCAN:
    case PLAN_POINT_GET:
    case PLAN_VIRTUAL_SCAN:
        if (always_false(n->u.scan.filters, n->u.scan.filter_count)) {
            return no_table(r, b, "Impossible WHERE");
        }
        return table_row(r, b, &n->u.scan, n->kind == PLAN_POINT_GET, false, n->rows, &row);
    case PLAN_JSON_TABLE:
        row = new_row(r, b);
        if (row == NULL) {
            return ERR_NOMEM;
        }
        row->table = SLICE_LIT("json_table");
        row->type = "ALL";
        row->has_rows = true;
        row->rows = n->rows;
        row->filtered = 100;
        say(r, row, "Table function: json_table; Using temporary");
        return ERR_OK;
    case PLAN_HASH_JOIN:
    case PLAN_NL_JOIN:
    case PLAN_LOOKUP_JOIN: return join(r, b, n);
    case PLAN_CTE_REF: return cte_ref(r, b, n);
    case PLAN_FILTER: return filter(r, b, n, level);
    case PLAN_SORT: b->filesort = true; return tables(r, b, n->children[0], level);
    case PLAN_RECURSIVE: {
        struct explain_block *again = new_block(r, "UNION");
        TRY(tables(r, b, n->children[0], LEVEL_TOP));
        return later(r, again, n->children[1]);
    }
    case PLAN_SETOP:
        return level == LEVEL_TOP || b->first == NULL ? set_operation(r, b, n) : derived(r, b, n);
    default: return step(r, b, n, level);
    }
}

/* ---- changes ---- */

static db_err insert(struct rows *r, const struct plan_node *n)
{
    struct explain_block *b = new_block(r, n->u.insert.replace ? "REPLACE" : "INSERT");
    struct explain_row *row = b == NULL ? NULL : new_row(r, b);
    if (row == NULL) {
        return ERR_NOMEM;
    }
    row->table = n->u.insert.target->table->name;
    row->type = "ALL";
    const struct plan_node *source = below_projects(n->children[0]);
    if (source->kind == PLAN_VALUES || source->kind == PLAN_LOAD) {
        return ERR_OK;
    }
    b->select_type = "SIMPLE"; /* of the tables that are read */
    return tables(r, b, n->children[0], LEVEL_TOP);
}

static db_err change(struct rows *r, const struct plan_node *n)
{
    const char *word = n->kind == PLAN_UPDATE ? "UPDATE" : "DELETE";
    struct explain_block *b = new_block(r, "SIMPLE");
    if (b == NULL) {
        return ERR_NOMEM;
    }
    TRY(tables(r, b, n->children[0], LEVEL_TOP));
    for (struct explain_row *row = b->first; row != NULL; row = row->next) {
        for (uint32_t i = 0; i < n->u.dml.target_count; i++) {
            if (row->scan != NULL && row->scan->table == n->u.dml.targets[i].table) {
                row->select_type = word;
            }
        }
    }
    return ERR_OK;
}

/* ---- the whole ---- */

static db_err subqueries(struct rows *r)
{
    for (uint32_t i = 0; i < r->plan->subquery_count; i++) {
        const struct bsubquery *s = r->plan->subqueries[i];
        if (s->unnested) {
            continue;
        }
        struct explain_block *b = new_block(r, s->repeats      ? "UNCACHEABLE SUBQUERY"
                                               : s->correlated ? "DEPENDENT SUBQUERY"
                                                               : "SUBQUERY");
        if (b == NULL) {
            return ERR_NOMEM;
        }
        b->subquery = true;
        b->dependent = s->correlated && !s->repeats;
        TRY(later(r, b, s->plan->root));
    }
    return ERR_OK;
}

static void finish(struct rows *r)
{
    for (struct explain_block *b = r->first; b != NULL; b = b->next) {
        if (b->first == NULL) {
            continue;
        }
        if (b->temporary) {
            say(r, b->first, "Using temporary");
        }
        if (b->filesort) {
            say(r, b->first, "Using filesort");
        }
        for (const struct explain_row *row = b->first; row != NULL; row = row->next) {
            b->cost += row->rows * 0.1 + 0.25;
        }
    }
    /* MYSQL: a statement of one block is SIMPLE, else its first is PRIMARY. */
    struct explain_block *b = r->first;
    for (struct explain_row *row = b->first; row != NULL && b->next != NULL; row = row->next) {
        row->select_type = strcmp(row->select_type, "SIMPLE") == 0 ? "PRIMARY" : row->select_type;
    }
}

db_err plan_explain_rows(const struct plan *plan, struct arena *arena,
                         struct explain_block **ret_first)
{
    struct rows r = {.arena = arena, .plan = plan, .next_id = 1};
    r.last = &r.first;
    r.pending_last = &r.pending;
    r.ctes = arena_calloc(arena, plan->cte_count + 1, sizeof(struct explain_block *));
    if (r.ctes == NULL) {
        return ERR_NOMEM;
    }
    const struct plan_node *root = plan->root;
    if (root->kind == PLAN_INSERT) {
        TRY(insert(&r, root));
    } else if (root->kind == PLAN_UPDATE || root->kind == PLAN_DELETE) {
        TRY(change(&r, root));
    } else {
        struct explain_block *b = new_block(&r, "SIMPLE");
        TRY(b == NULL ? ERR_NOMEM : tables(&r, b, root, LEVEL_TOP));
    }
    TRY(subqueries(&r));
    for (const struct pending *p = r.pending; p != NULL; p = p->next) {
        TRY(tables(&r, p->block, p->node, LEVEL_TOP));
    }
    finish(&r);
    *ret_first = r.first;
    return ERR_OK;
}
