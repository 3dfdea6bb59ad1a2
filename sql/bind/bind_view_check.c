/* WITH CHECK OPTION of views that UPDATE changes as the derived tables that they are: joins, and
 * views whose conditions have subqueries.
 *
 * The conditions stand in the view's own tree, where the rows are chosen by them, and are needed
 * once more for the rows as they will be. So the view is bound a second time; of that tree only the
 * conditions are taken. They name its columns: pairs tell which column of the first tree is meant,
 * and what they read is carried up to the statement. The executor asks them of the row that was
 * read, with the new values in it. */
#include "sql/bind/bind_int.h"

#include "sql/bind/table_rules.h"

struct gather {
    struct binder *b;
    struct bound_target *target;
    const struct table_def *top;
    uint32_t check_cap, pair_cap;
};

static db_err add_check(struct gather *g, struct bexpr *e)
{
    struct bound_target *t = g->target;
    if (t->joined_count == g->check_cap) {
        uint32_t cap = g->check_cap * 2 + 4;
        struct rule_check *grown = BIND_ARRAY(g->b, struct rule_check, cap);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (t->joined_count != 0) {
            memcpy(grown, t->joined_checks, t->joined_count * sizeof(*grown));
        }
        t->joined_checks = grown;
        g->check_cap = cap;
    }
    t->joined_checks[t->joined_count++] = (struct rule_check){
        .expr = e, .of_view = true, .name = g->top->name, .schema = g->top->schema_name};
    return ERR_OK;
}

static db_err add_pair(struct gather *g, col_id_t here, col_id_t there)
{
    struct bound_target *t = g->target;
    if (t->pair_count == g->pair_cap) {
        uint32_t cap = g->pair_cap * 2 + 16;
        struct col_pair *grown = BIND_ARRAY(g->b, struct col_pair, cap);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (t->pair_count != 0) {
            memcpy(grown, t->pairs, t->pair_count * sizeof(*grown));
        }
        t->pairs = grown;
        g->pair_cap = cap;
    }
    t->pairs[t->pair_count++] = (struct col_pair){here, there};
    return ERR_OK;
}

/* MYSQL: as for views of one table (bind_view_target.c): CASCADED holds for the views below. */
static db_err gather_checks(struct gather *g, struct lnode *n, bool cascaded, bool checked)
{
    if (n->kind == LNODE_PROJECT && n->u.project.view != NULL) {
        enum view_check_option option = n->u.project.view->view.check_option;
        cascaded = cascaded || option == VIEW_CHECK_CASCADED;
        checked = cascaded || option == VIEW_CHECK_LOCAL;
    }
    for (uint32_t i = 0; checked && n->kind == LNODE_FILTER && i < n->u.filter.count; i++) {
        TRY(add_check(g, n->u.filter.conjuncts[i]));
    }
    for (uint32_t i = 0; checked && n->kind == LNODE_JOIN && i < n->u.join.on_count; i++) {
        TRY(add_check(g, n->u.join.on[i]));
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(gather_checks(g, n->children[i], cascaded, checked));
    }
    return ERR_OK;
}

static bool reads(const struct bexpr *e, col_id_t id)
{
    if (e->kind == BEXPR_COLUMN && e->u.column.id == id) {
        return true;
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        const struct bsubquery *sub = e->u.subquery.sub;
        for (uint32_t i = 0; i < sub->outer_count; i++) {
            if (sub->outer_columns[i] == id) {
                return true;
            }
        }
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (reads(e->args[i], id)) {
            return true;
        }
    }
    return false;
}

/* The trees are of one text; the first may have got columns behind its own. */
static db_err carry_read(struct gather *g, struct lnode *from, const struct lnode *here,
                         const struct lnode *there)
{
    for (uint32_t i = 0; i < there->column_count; i++) {
        bool needed = false;
        for (uint32_t k = 0; k < g->target->joined_count && !needed; k++) {
            needed = reads(g->target->joined_checks[k].expr, there->columns[i].id);
        }
        if (needed) {
            struct lcolumn c = here->columns[i];
            TRY(bind__carry(g->b, from, &c));
            TRY(add_pair(g, c.id, there->columns[i].id));
        }
    }
    for (uint32_t i = 0; i < there->child_count; i++) {
        TRY(carry_read(g, from, here->children[i], there->children[i]));
    }
    return ERR_OK;
}

db_err bind__joined_checks(struct binder *b, struct lnode *from, struct lnode *view,
                           struct bound_target *target)
{
    struct gather g = {.b = b, .target = target, .top = view->u.project.view};
    struct lnode *again;
    uint32_t needs = b->need_count;
    priv_t access = b->access;
    if (target->joined_count != 0) {
        return ERR_OK;
    }
    b->access = 0;
    TRY(bind__view(b, g.top, SLICE_EMPTY, &again));
    b->access = access;
    b->need_count = needs; /* the first time has asked for them */
    TRY(gather_checks(&g, again, false, false));
    return carry_read(&g, from, view, again);
}
