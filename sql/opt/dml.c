/* Plans of INSERT, UPDATE and DELETE, and the defaults of columns. */
#include "sql/bind/table_rules.h"
#include "sql/diag/my_error.h"
#include "sql/opt/opt_int.h"
#include "sql/parser/parser.h"
#include "sql/opt/fk_plan.h"

static db_err const_expr(struct optimizer *o, const struct value *v, const struct sql_type *t,
                         struct bexpr **ret)
{
    struct bexpr *e = OPT_NEW(o, struct bexpr);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->kind = BEXPR_CONST;
    e->type = *t;
    e->is_const = true;
    e->coercibility = 2;
    TRY(value_copy(v, o->arena, &e->u.constant));
    *ret = e;
    return ERR_OK;
}

static db_err text_expr(struct optimizer *o, struct slice text, const struct table_def *t,
                        struct bexpr **ret)
{
    struct parse_options po = {0};
    struct ast_expr *ast;
    struct bind_opts own = *o->opts->bind;
    own.utf8mb4_collation = 0; /* what is stored means the same to all */
    TRY(parser_parse_expr(o->arena, text, &po, o->diag, &ast));
    return bind_scalar(o->arena, &own, ast, t, o->diag, ret);
}

db_err opt__column_default(struct optimizer *o, const struct table_def *t,
                           const struct column_def *c, struct bexpr **ret)
{
    struct value null;
    value_set_null(&null, &c->type);
    *ret = NULL;
    if (c->auto_increment) {
        return const_expr(o, &null, &c->type, ret);
    }
    switch (c->default_kind) {
    case DEFAULT_NONE: return ERR_OK;
    case DEFAULT_NULL: return const_expr(o, &null, &c->type, ret);
    case DEFAULT_CONST: return const_expr(o, &c->default_value, &c->type, ret);
    case DEFAULT_NOW: {
        const char *text =
            arena_printf(o->arena, "CURRENT_TIMESTAMP(%u)", (unsigned)c->type.decimals);
        return text == NULL ? ERR_NOMEM : text_expr(o, slice_str(text), NULL, ret);
    }
    case DEFAULT_EXPR: return text_expr(o, c->default_expr, t, ret);
    }
    return ERR_INVALID;
}

/* Of a default bound by ordinal: its columns become those of the target. */
static void to_target(struct bexpr *e, const col_id_t *columns)
{
    if (e->kind == BEXPR_COLUMN) {
        e->u.column.id = columns[e->u.column.slot];
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        to_target(e->args[i], columns);
    }
}

/* DEFAULT in a value list or assignment becomes the column's default; that of a column without one
 * stays DEFAULT for the executor. `columns`: where the table's columns are, by ordinal; NULL in a
 * value list, where what is computed from the row stays DEFAULT, too. */
static db_err replace_default(struct optimizer *o, const struct table_def *t,
                              const struct column_def *c, const col_id_t *columns,
                              struct bexpr **io)
{
    struct bexpr *e = *io;
    if (e->kind == BEXPR_DEFAULT) {
        if (c->generated != GENERATED_NO) {
            return columns == NULL ? ERR_OK
                                   : const_expr(o, &(struct value){.is_null = true}, &c->type, io);
        }
        struct bexpr *d;
        TRY(opt__column_default(o, t, c, &d));
        if (d == NULL) { /* MYSQL: whether that is an error is the row's business */
            e->type = columns == NULL ? e->type : c->type;
            return ERR_OK;
        }
        if (bexpr_reads_columns(d)) {
            if (columns == NULL) {
                return ERR_OK;
            }
            to_target(d, columns);
        }
        *io = d;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(replace_default(o, t, c, columns, &e->args[i]));
    }
    return ERR_OK;
}

static db_err make_target(struct optimizer *o, const struct bound_target *bt,
                          const struct phys *rows, struct plan_target *ret)
{
    const struct table_def *t = bt->def;
    ret->table = t;
    ret->slots = OPT_ARRAY(o, uint32_t, t->column_count);
    ret->index_touched = OPT_ARRAY(o, bool, t->index_count);
    if (ret->slots == NULL || ret->index_touched == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; rows != NULL && i < t->column_count; i++) {
        ret->slots[i] = opt__slot(rows->cols, rows->node->column_count, bt->columns[i]);
        if (ret->slots[i] == UINT32_MAX) {
            return diag_set(o->diag, ERR_INVALID, "column %u of a changed table was pruned", i);
        }
    }
    return bind_virtual_columns(o->arena, o->opts->bind, t, NULL, o->diag, &ret->virtuals);
}

/* ---- check options of views ---- */

/* Slots of a table's columns under several names: which name it was is of no interest. */
static void fold_slots(struct bexpr *e, uint32_t width)
{
    if (e->kind == BEXPR_COLUMN) {
        e->u.column.slot %= width;
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        for (uint32_t i = 0; i < e->u.subquery.sub->outer_count; i++) {
            if (e->u.subquery.outer_slots[i] != UINT32_MAX) {
                e->u.subquery.outer_slots[i] %= width;
            }
        }
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        fold_slots(e->args[i], width);
    }
}

static db_err add_view_checks(struct optimizer *o, const struct bound_target *target,
                              struct table_rules **io_rules)
{
    uint32_t n = target->view_check_count;
    struct rule_check *checks = OPT_ARRAY(o, struct rule_check, n + 1);
    if (checks == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        checks[i] = target->view_checks[i];
        if (checks[i].ids != NULL) {
            TRY(opt__resolve(o, checks[i].expr, checks[i].ids, checks[i].id_count,
                             &checks[i].expr));
            fold_slots(checks[i].expr, target->def->column_count);
        }
    }
    return table_rules_add_checks(o->arena, target->def, checks, n, io_rules);
}

/* The checks name columns of the view's other tree. */
static db_err joined_checks(struct optimizer *o, const struct bound_target *target,
                            const struct phys *rows, struct plan_target *t)
{
    uint32_t width = rows->node->column_count;
    col_id_t *cols = OPT_ARRAY(o, col_id_t, width + 1);
    t->joined_checks = OPT_ARRAY(o, struct rule_check, target->joined_count + 1);
    if (cols == NULL || t->joined_checks == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < width; i++) {
        cols[i] = rows->cols[i];
        for (uint32_t k = 0; k < target->pair_count; k++) {
            if (target->pairs[k].here == rows->cols[i]) {
                cols[i] = target->pairs[k].there;
            }
        }
    }
    for (uint32_t i = 0; i < target->joined_count; i++) {
        t->joined_checks[i] = target->joined_checks[i];
        TRY(opt__resolve(o, target->joined_checks[i].expr, cols, width, &t->joined_checks[i].expr));
    }
    t->joined_count = target->joined_count;
    return ERR_OK;
}

/* The rules that an UPDATE's assignments concern; what it can change, by column. */
static db_err update_rules(struct optimizer *o, const struct table_def *t,
                           const struct plan_assign *assigns, uint32_t count, bool *ret_changed,
                           const struct bound_target *target, struct table_rules **ret)
{
    TRY(bind_table_rules(o->arena, o->opts->bind, t, RULES_NO_DEFAULTS, o->diag, ret));
    TRY(add_view_checks(o, target, ret));
    for (uint32_t i = 0; i < count; i++) {
        ret_changed[assigns[i].column] = true;
    }
    if (*ret != NULL) {
        *ret = table_rules_affected(*ret, t, ret_changed);
    }
    return ERR_OK;
}

static void touch_indexes(struct plan_target *t, const bool *changed)
{
    for (uint32_t i = 0; i < t->table->index_count; i++) {
        for (uint32_t p = 0; p < t->table->indexes[i].part_count; p++) {
            t->index_touched[i] =
                t->index_touched[i] || changed[t->table->indexes[i].parts[p].column];
        }
    }
}

/* Columns with ON UPDATE CURRENT_TIMESTAMP that are not assigned: an assignment after all others.
 */
static db_err on_update_now(struct optimizer *o, const struct table_def *t,
                            struct plan_assign *assigns, uint32_t *io_count)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column_def *c = &t->columns[i];
        bool assigned = false;
        for (uint32_t k = 0; k < *io_count; k++) {
            assigned = assigned || assigns[k].column == i;
        }
        if (!c->on_update_now || assigned) {
            continue;
        }
        const char *text =
            arena_printf(o->arena, "CURRENT_TIMESTAMP(%u)", (unsigned)c->type.decimals);
        if (text == NULL) {
            return ERR_NOMEM;
        }
        assigns[*io_count].column = i;
        assigns[*io_count].implicit = true;
        TRY(text_expr(o, slice_str(text), NULL, &assigns[*io_count].expr));
        (*io_count)++;
    }
    return ERR_OK;
}

/* ---- foreign keys ---- */

static void graph_init(struct optimizer *o, struct fk_graph *g)
{
    *g = (struct fk_graph){.arena = o->arena, .bind = o->opts->bind, .diag = o->diag};
}

static db_err graph_done(struct optimizer *o, struct fk_graph *g)
{
    o->plan->fk_locks = g->locks;
    o->plan->fk_lock_count = g->lock_count;
    o->plan->fk_table_count = g->table_count;
    return fk_graph_finish(g);
}

static bool action_reaches(const struct fk_graph *g, const struct table_def *t)
{
    for (uint32_t i = 0; i < g->table_count; i++) {
        if (g->tables[i]->table == t && g->tables[i]->changes) {
            return true;
        }
    }
    return false;
}

/* ---- INSERT ---- */

static db_err insert_updates(struct optimizer *o, struct plan_node *p, const struct table_def *t,
                             const struct phys *rows)
{
    struct bound_stmt *s = o->stmt;
    uint32_t n = t->column_count;
    if (s->assign_count == 0) {
        return ERR_OK;
    }
    uint32_t total = 2 * n + s->odku_source_count;
    col_id_t *cols = OPT_ARRAY(o, col_id_t, total);
    p->u.insert.sources = OPT_ARRAY(o, uint32_t, s->odku_source_count + 1);
    p->u.insert.updates = OPT_ARRAY(o, struct plan_assign, s->assign_count + n);
    if (cols == NULL || p->u.insert.updates == NULL || p->u.insert.sources == NULL) {
        return ERR_NOMEM;
    }
    memcpy(cols, s->odku_old, n * sizeof(*cols));
    memcpy(cols + n, s->odku_new, n * sizeof(*cols));
    for (uint32_t i = 0; i < s->odku_source_count; i++) {
        cols[2 * n + i] = s->odku_source[i];
        p->u.insert.sources[i] = opt__slot(rows->cols, rows->node->column_count, s->odku_source[i]);
    }
    p->u.insert.source_count = s->odku_source_count;
    for (uint32_t i = 0; i < s->assign_count; i++) {
        struct bound_assign *a = &s->assigns[i];
        if (t->columns[a->column].generated != GENERATED_NO) {
            continue; /* DEFAULT: it is computed in any case */
        }
        TRY(replace_default(o, t, &t->columns[a->column], s->odku_old, &a->expr));
        struct plan_assign *out = &p->u.insert.updates[p->u.insert.update_count++];
        out->column = a->column;
        TRY(opt__resolve(o, a->expr, cols, total, &out->expr));
    }
    TRY(on_update_now(o, t, p->u.insert.updates, &p->u.insert.update_count));
    bool *changed = OPT_ARRAY(o, bool, n);
    if (changed == NULL) {
        return ERR_NOMEM;
    }
    return update_rules(o, t, p->u.insert.updates, p->u.insert.update_count, changed,
                        &s->targets[0], &p->u.insert.target->odku_rules);
}

/* LOAD DATA: the rows come from a file, the assignments are its SET. */
static db_err plan_load(struct optimizer *o, struct plan_node **ret)
{
    struct bound_stmt *s = o->stmt;
    const struct bound_target *target = &s->targets[0];
    const struct table_def *t = target->def;
    struct plan_node *p = opt__node(o, PLAN_LOAD, 0);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->u.load.spec = s->load;
    p->u.load.sets = OPT_ARRAY(o, struct plan_assign, s->assign_count + 1);
    if (p->u.load.sets == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->assign_count; i++) {
        struct bound_assign *a = &s->assigns[i];
        if (t->columns[a->column].generated != GENERATED_NO) {
            continue; /* DEFAULT: it is computed in any case */
        }
        TRY(replace_default(o, t, &t->columns[a->column], target->columns, &a->expr));
        struct plan_assign *out = &p->u.load.sets[p->u.load.set_count++];
        out->column = a->column;
        TRY(opt__resolve(o, a->expr, target->columns, t->column_count, &out->expr));
    }
    *ret = p;
    return ERR_OK;
}

static bool tree_reads(const struct lnode *n, const struct table_def *t)
{
    if (n == NULL) {
        return false;
    }
    bool reads = n->kind == LNODE_TABLE && n->u.table.def->id == t->id;
    for (uint32_t i = 0; i < n->child_count && !reads; i++) {
        reads = tree_reads(n->children[i], t);
    }
    return reads;
}

/* Before the trees are planned: inlined expressions and subqueries count, too. */
static bool statement_reads(const struct bound_stmt *s, const struct table_def *t)
{
    bool reads = s->load == NULL && tree_reads(s->root, t); /* of LOAD it names the target */
    for (uint32_t i = 0; i < s->subquery_count && !reads; i++) {
        reads = tree_reads(s->subqueries[i]->root, t);
    }
    for (uint32_t i = 0; i < s->cte_count && !reads; i++) {
        reads = tree_reads(s->ctes[i], t);
    }
    return reads;
}

static bool limits(const struct plan_node *n)
{
    return n->kind == PLAN_LIMIT || n->kind == PLAN_TOPN;
}

/* What the query's rows are made by. MYSQL: not what a table of its own has kept before. */
static db_err insert_documents(struct optimizer *o, const struct plan_node *rows,
                               struct plan_node *insert)
{
    uint32_t count = insert->u.insert.column_count;
    const struct plan_node *n = rows;
    while (n->kind == PLAN_SORT || limits(n)) {
        n = n->children[0];
    }
    if (n->kind != PLAN_PROJECT) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_node *from = n->children[0];
        const struct bexpr *e = n->u.project.exprs[i];
        while (from->kind == PLAN_PROJECT && e->kind == BEXPR_COLUMN &&
               !limits(from->children[0])) { /* a merged table */
            e = from->u.project.exprs[e->u.column.slot];
            from = from->children[0];
        }
        bool groups = from->kind == PLAN_HASH_AGG || from->kind == PLAN_STREAM_AGG;
        bool total = groups && from->u.agg.group_count == 0;
        if (e->type.id != TYPE_JSON) {
            continue;
        }
        if (insert->u.insert.documents == NULL) {
            insert->u.insert.documents = OPT_ARRAY(o, struct plan_document, count);
        }
        if (insert->u.insert.documents == NULL) {
            return ERR_NOMEM;
        }
        bool computed = (total && e->kind == BEXPR_COLUMN) || bexpr_makes_document(e);
        insert->u.insert.documents[i] =
            (struct plan_document){computed && (total || !groups), e->json_source};
    }
    return ERR_OK;
}

static db_err plan_insert(struct optimizer *o)
{
    struct bound_stmt *s = o->stmt;
    const struct table_def *t = s->targets[0].def;
    struct want nothing = {.limit = -1};
    struct phys rows;
    bool reads_target = statement_reads(s, t);
    if (s->root->kind == LNODE_VALUES) {
        for (uint32_t r = 0; r < s->root->u.values.row_count; r++) {
            for (uint32_t c = 0; c < s->insert_column_count; c++) {
                TRY(replace_default(o, t, &t->columns[s->insert_columns[c]], NULL,
                                    &s->root->u.values.rows[r][c]));
            }
        }
    } else {
        TRY(opt__rewrite(o, &s->root));
    }
    if (s->load != NULL) {
        TRY(plan_load(o, &rows.node));
    } else {
        TRY(opt__physical(o, s->root, &nothing, &rows));
    }
    struct plan_node *p = opt__node(o, PLAN_INSERT, 0);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->children[0] = rows.node;
    p->child_count = 1;
    p->u.insert.target = OPT_NEW(o, struct plan_target);
    p->u.insert.defaults = OPT_ARRAY(o, struct bexpr *, t->column_count);
    if (p->u.insert.target == NULL || p->u.insert.defaults == NULL) {
        return ERR_NOMEM;
    }
    TRY(make_target(o, &s->targets[0], NULL, p->u.insert.target));
    TRY(bind_table_rules(o->arena, o->opts->bind, t, RULES_ROW_DEFAULTS, o->diag,
                         &p->u.insert.target->rules));
    TRY(add_view_checks(o, &s->targets[0], &p->u.insert.target->rules));
    p->u.insert.columns = s->insert_columns;
    p->u.insert.column_count = s->insert_column_count;
    TRY(insert_documents(o, rows.node, p));
    p->u.insert.replace = s->replace;
    p->u.insert.reads_target = reads_target;
    p->u.insert.ignore = s->ignore;
    for (uint32_t i = 0; i < t->column_count; i++) {
        bool given = false;
        for (uint32_t k = 0; k < s->insert_column_count; k++) {
            given = given || s->insert_columns[k] == i;
        }
        if (!given && t->columns[i].generated == GENERATED_NO) {
            TRY(opt__column_default(o, t, &t->columns[i], &p->u.insert.defaults[i]));
        }
    }
    if (s->load == NULL) {
        TRY(insert_updates(o, p, t, &rows));
    }
    struct fk_graph graph;
    graph_init(o, &graph);
    TRY(fk_graph_add(&graph, t, true, s->replace || s->assign_count != 0, NULL,
                     &p->u.insert.target->fks));
    TRY(graph_done(o, &graph));
    o->plan->root = p;
    if (rows.node->kind == PLAN_VALUES && s->assign_count == 0 && !s->replace && !s->ignore &&
        !reads_target) {
        o->plan->shape = PLAN_SHAPE_INSERT_VALUES;
    }
    return ERR_OK;
}

/* ---- UPDATE and DELETE ---- */

static bool below_outer_join(const struct lnode *n, const struct lnode *table, bool below)
{
    if (n == table) {
        return below;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        bool null_side = n->kind == LNODE_JOIN &&
                         ((n->u.join.kind == JOIN_LEFT && i == 1) || n->u.join.kind == JOIN_FULL);
        if (below_outer_join(n->children[i], table, below || null_side)) {
            return true;
        }
    }
    return false;
}

static bool is_target_before(const struct bound_stmt *s, uint32_t target)
{
    for (uint32_t i = 0; i < target; i++) {
        if (s->targets[i].def->id == s->targets[target].def->id) {
            return true;
        }
    }
    return false;
}

static db_err plan_assigns(struct optimizer *o, uint32_t target, const struct phys *rows,
                           struct fk_graph *graph, struct plan_target *t)
{
    struct bound_stmt *s = o->stmt;
    t->assigns = OPT_ARRAY(o, struct plan_assign, s->assign_count + t->table->column_count);
    if (t->assigns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->assign_count; i++) {
        struct bound_assign *a = &s->assigns[i];
        if (a->table != target) {
            continue;
        }
        if (t->table->columns[a->column].generated != GENERATED_NO) {
            continue; /* DEFAULT: it is computed in any case */
        }
        const struct column_def *c = &t->table->columns[a->column];
        if (a->expr->kind == BEXPR_DEFAULT && c->auto_increment) { /* MYSQL: no new number */
            struct value zero;
            value_set_zero(&zero, &c->type);
            TRY(const_expr(o, &zero, &c->type, &a->expr));
        }
        TRY(replace_default(o, t->table, c, s->targets[target].columns, &a->expr));
        struct plan_assign *out = &t->assigns[t->assign_count++];
        out->column = a->column;
        TRY(opt__resolve(o, a->expr, rows->cols, rows->node->column_count, &out->expr));
    }
    TRY(on_update_now(o, t->table, t->assigns, &t->assign_count));
    bool *changed = OPT_ARRAY(o, bool, t->table->column_count);
    if (changed == NULL) {
        return ERR_NOMEM;
    }
    TRY(update_rules(o, t->table, t->assigns, t->assign_count, changed, &s->targets[target],
                     &t->rules));
    touch_indexes(t, changed);
    TRY(joined_checks(o, &s->targets[target], rows, t));
    return fk_graph_add(graph, t->table, true, true, changed, &t->fks);
}

/* The limit node on top limits the rows read; nothing else is to be done for DML's LIMIT. */
static db_err plan_change(struct optimizer *o, enum plan_kind kind)
{
    struct bound_stmt *s = o->stmt;
    struct want nothing = {.limit = -1};
    struct phys rows;
    const struct lnode *top = s->root->kind == LNODE_LIMIT ? s->root->children[0] : s->root;
    bool ordered = top->kind == LNODE_SORT;
    TRY(opt__rewrite(o, &s->root));
    TRY(opt__physical(o, s->root, &nothing, &rows));
    struct plan_node *p = opt__node(o, kind, 0);
    if (p == NULL) {
        return ERR_NOMEM;
    }
    p->children[0] = rows.node;
    p->child_count = 1;
    p->rows = rows.node->rows;
    p->u.dml.targets = OPT_ARRAY(o, struct plan_target, s->target_count);
    if (p->u.dml.targets == NULL) {
        return ERR_NOMEM;
    }
    p->u.dml.target_count = s->target_count;
    p->u.dml.ignore = s->ignore;
    p->u.dml.ordered = ordered;
    struct fk_graph graph;
    graph_init(o, &graph);
    for (uint32_t i = 0; i < s->target_count; i++) {
        struct plan_target *t = &p->u.dml.targets[i];
        TRY(make_target(o, &s->targets[i], &rows, t));
        t->outer_joined = below_outer_join(s->root, s->targets[i].table_node, false);
        t->again = is_target_before(s, i);
        if (kind == PLAN_UPDATE) {
            TRY(plan_assigns(o, i, &rows, &graph, t));
        } else {
            TRY(fk_graph_add(&graph, t->table, false, true, NULL, &t->fks));
        }
    }
    for (uint32_t i = 0; i < s->target_count && graph.table_count != 0; i++) {
        p->u.dml.targets[i].reread = action_reaches(&graph, p->u.dml.targets[i].table);
    }
    TRY(graph_done(o, &graph));
    o->plan->root = p;
    if (rows.one_row && rows.node->kind == PLAN_POINT_GET && s->target_count == 1 &&
        s->targets[0].joined_count == 0) {
        o->plan->shape = kind == PLAN_UPDATE ? PLAN_SHAPE_POINT_UPDATE : PLAN_SHAPE_POINT_DELETE;
    }
    return ERR_OK;
}

db_err opt__dml(struct optimizer *o)
{
    switch ((int)o->stmt->kind) {
    case BOUND_INSERT: return plan_insert(o);
    case BOUND_UPDATE: return plan_change(o, PLAN_UPDATE);
    default: return plan_change(o, PLAN_DELETE);
    }
}
