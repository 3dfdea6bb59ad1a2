#include "sql/opt/optimize.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/fiber.h"
#include "sql/catalog/catalog.h"
#include "sql/catalog/vtable_provider.h"
#include "sql/opt/opt_int.h"

struct plan *plan_new(struct mem_tracker *mem)
{
    struct plan *p = mem_calloc(1, sizeof(*p));
    if (p != NULL) {
        arena_init(&p->arena, NULL, mem, 0);
        atomic_init(&p->refs, 1);
    }
    return p;
}

void plan_ref(struct plan *plan)
{
    atomic_fetch_add_explicit(&plan->refs, 1, memory_order_relaxed);
}

void plan_keep(struct plan *plan)
{
    if (plan->arena.tracker != NULL) {
        mem_tracker_release(plan->arena.tracker, plan->arena.used);
        plan->arena.tracker = NULL;
    }
}

void plan_unref(struct plan *plan)
{
    if (plan == NULL || atomic_fetch_sub_explicit(&plan->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (plan->snapshot != NULL) {
        catalog_release(plan->snapshot);
    }
    arena_fini(&plan->arena);
    mem_free(plan);
}

db_err opt__rewrite(struct optimizer *o, struct lnode **io_root)
{
#define RULE(name, function, text) TRY(function(o, io_root));
#include "sql/opt/rules.def"
#undef RULE
    return ERR_OK;
}

static uint32_t count_tables(const struct lnode *n)
{
    uint32_t count = n->kind == LNODE_TABLE;
    for (uint32_t i = 0; i < n->child_count; i++) {
        count += count_tables(n->children[i]);
    }
    return count;
}

static void add_table(struct plan *p, const struct table_def *t)
{
    for (uint32_t i = 0; i < p->table_count; i++) {
        if (p->tables[i] == t) {
            return;
        }
    }
    p->tables[p->table_count++] = t;
}

static bool is_target(const struct bound_stmt *s, const struct lnode *table)
{
    for (uint32_t i = 0; i < s->target_count; i++) {
        if (s->targets[i].table_node == table) {
            return true;
        }
    }
    return false;
}

static uint8_t use_of(const struct bound_stmt *s, const struct lnode *n)
{
    const struct table_def *t = n->u.table.def;
    if (t->kind == TABLE_VIRTUAL && t->provider->kind != VTABLE_OF_DICTIONARY) {
        return t->provider->kind == VTABLE_OF_NO_ENGINE ? 0 : PLAN_USE_READS_OTHER;
    }
    return is_target(s, n) || n->u.table.lock == ROW_LOCK_EXCLUSIVE ? PLAN_USE_WRITES
                                                                    : PLAN_USE_READS;
}

static void list_tables(struct optimizer *o, const struct lnode *n)
{
    if (n->kind == LNODE_TABLE) {
        add_table(o->plan, n->u.table.def);
        o->plan->use |= use_of(o->stmt, n);
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        list_tables(o, n->children[i]);
    }
}

static db_err collect_tables(struct optimizer *o)
{
    struct bound_stmt *s = o->stmt;
    uint32_t total = s->target_count + s->view_count + count_tables(s->root);
    for (uint32_t i = 0; i < s->subquery_count; i++) {
        total += count_tables(s->subqueries[i]->root);
    }
    for (uint32_t i = 0; i < s->cte_count; i++) {
        total += s->ctes[i] == NULL ? 0 : count_tables(s->ctes[i]);
    }
    o->plan->tables = OPT_ARRAY(o, const struct table_def *, total);
    if (o->plan->tables == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->target_count; i++) {
        add_table(o->plan, s->targets[i].def);
        o->plan->use |= PLAN_USE_WRITES;
    }
    for (uint32_t i = 0; i < s->view_count; i++) {
        add_table(o->plan, s->views[i]);
    }
    list_tables(o, s->root);
    for (uint32_t i = 0; i < s->subquery_count; i++) {
        list_tables(o, s->subqueries[i]->root);
    }
    for (uint32_t i = 0; i < s->cte_count; i++) {
        if (s->ctes[i] != NULL) {
            list_tables(o, s->ctes[i]);
        }
    }
    return ERR_OK;
}

/* MYSQL: EXISTS evaluates nothing of the select list: its rows get no columns. */
static db_err show_nothing(struct optimizer *o, struct lnode **io_root)
{
    struct lnode *n = lnode_new(o->arena, LNODE_PROJECT, 1);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->children[0] = *io_root;
    *io_root = n;
    return ERR_OK;
}

static db_err plan_subqueries(struct optimizer *o)
{
    struct bound_stmt *s = o->stmt;
    struct want nothing = {.limit = -1};
    o->plan->subquery_count = s->subquery_count;
    o->plan->subqueries = s->subqueries;
    for (uint32_t i = 0; i < s->subquery_count; i++) {
        struct bsubquery *sub = s->subqueries[i];
        struct plan *p = OPT_NEW(o, struct plan);
        struct phys root;
        if (p == NULL) {
            return ERR_NOMEM;
        }
        if (sub->unnested) {
            continue;
        }
        TRY(opt__unnest(o, &sub->root, sub->correlated)); /* what it holds has a higher number */
        TRY(sub->exists ? show_nothing(o, &sub->root) : ERR_OK);
        TRY(opt__rewrite(o, &sub->root));
        TRY(opt__physical(o, sub->root, &nothing, &root));
        if (!sub->correlated) {
            TRY(opt__gather(o, &root.node, true));
        }
        p->kind = BOUND_SELECT;
        p->root = root.node;
        p->result = sub->root->columns;
        p->result_count = sub->root->column_count;
        sub->plan = p;
    }
    return ERR_OK;
}

static db_err plan_select(struct optimizer *o)
{
    struct bound_stmt *s = o->stmt;
    struct want nothing = {.limit = -1};
    struct phys root;
    TRY(opt__rewrite(o, &s->root));
    TRY(opt__physical(o, s->root, &nothing, &root));
    o->plan->root = root.node;
    o->plan->result = s->result;
    o->plan->result_count = s->result_count;
    const struct plan_node *n = root.node;
    if (n->kind == PLAN_PROJECT && n->children[0]->kind == PLAN_POINT_GET && root.one_row &&
        s->subquery_count == 0) {
        o->plan->shape = PLAN_SHAPE_POINT_SELECT;
        return ERR_OK;
    }
    return s->read_only ? opt__gather(o, &o->plan->root, true) : ERR_OK;
}

db_err optimize(struct plan *plan, struct bound_stmt *stmt, const struct opt_opts *opts,
                struct diag *diag)
{
    struct optimizer o = {
        .arena = &plan->arena, .plan = plan, .stmt = stmt, .opts = opts, .diag = diag};
    plan->kind = stmt->kind;
    plan->shape = PLAN_SHAPE_TREE;
    plan->read_only = stmt->read_only;
    plan->uses_tables = stmt->uses_tables;
    plan->param_count = stmt->param_count;
    plan->param_types = stmt->param_types;
    plan->param_places = stmt->param_places;
    plan->early = stmt->early;
    plan->early_count = stmt->early_count;
    plan->into_vars = stmt->into_vars;
    plan->into_var_count = stmt->into_var_count;
    plan->into_file = stmt->into_file;
    plan->cacheable = !stmt->session_bound && stmt->into_var_count == 0 && stmt->into_file == NULL;
    plan->use = stmt->unsafe ? PLAN_USE_UNSAFE : 0;
    TRY(collect_tables(&o));
    TRY(opt__inline_ctes(&o));
    TRY(opt__unnest(&o, &stmt->root, false)); /* before the subqueries are planned on their own */
    TRY(opt__plan_ctes(&o));
    TRY(plan_subqueries(&o));
    TRY(stmt->kind == BOUND_SELECT ? plan_select(&o) : opt__dml(&o));
    plan->node_count = o.node_count;
    plan->stack = fiber_stack_grown() + (fiber_stack_grown() != 0 ? MY_STACK_STEP : 0);
    opt__count_reads(plan);
    return ERR_OK;
}
