/* What a select list computes of rows that LIMIT drops is never seen: it is computed above the
 * limit, of the rows that are shown, and what the order is of stays below.
 *
 * MYSQL: so are errors and warnings, which only rows that are shown tell of. What is not the same
 * each time it is computed stays below, with what it may have been computed with. */
#include "sql/opt/opt_int.h"

struct late {
    struct optimizer *o;
    struct lnode *sort;    /* or NULL */
    struct lnode *project; /* goes up */
    struct lproj *shown;   /* of it, by what stays below */
    struct lproj *below;   /* computed for the order, and columns that are handed on */
    struct lcolumn *columns;
    uint32_t below_count;
    bool computes; /* there is more in `below` than columns */
};

static bool is_plain(const struct bexpr *e)
{
    return e->kind == BEXPR_COLUMN || e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM ||
           e->kind == BEXPR_OUTER;
}

static bool is_key(const struct late *l, col_id_t out)
{
    for (uint32_t i = 0; l->sort != NULL && i < l->sort->u.sort.count; i++) {
        const struct bexpr *e = l->sort->u.sort.keys[i].expr;
        if (e->kind != BEXPR_COLUMN || e->u.column.id == out) {
            return true;
        }
    }
    return false;
}

static bool stays(const struct late *l, const struct lproj *p)
{
    return !is_plain(p->expr) && (p->expr->is_volatile || is_key(l, p->out));
}

static bool is_worth_it(const struct late *l)
{
    for (uint32_t i = 0; i < l->project->u.project.count; i++) {
        const struct lproj *p = &l->project->u.project.exprs[i];
        if (!is_plain(p->expr) && !stays(l, p)) {
            return true;
        }
    }
    return false;
}

static void hand_on(struct late *l, struct bexpr *e, const struct lcolumn *column)
{
    l->columns[l->below_count] = *column;
    l->below[l->below_count++] = (struct lproj){e, column->id};
}

/* What stays below gets a column of its own, which is shown in its place. */
static db_err keep_computed(struct late *l)
{
    const struct lnode *p = l->project;
    for (uint32_t i = 0; i < p->u.project.count; i++) {
        struct bexpr *e = p->u.project.exprs[i].expr;
        l->shown[i] = p->u.project.exprs[i];
        if (!stays(l, &p->u.project.exprs[i])) {
            continue;
        }
        struct lcolumn own = p->columns[i];
        own.id = ++l->o->stmt->next_col;
        own.type = e->type;
        hand_on(l, e, &own);
        l->shown[i].expr = opt__column(l->o, &own);
        if (l->shown[i].expr == NULL) {
            return ERR_NOMEM;
        }
        l->computes = true;
    }
    return ERR_OK;
}

static db_err hand_on_columns(struct late *l)
{
    struct lnode *input = l->project->children[0];
    struct col_set read;
    TRY(opt__set_init(l->o, &read));
    for (uint32_t i = 0; i < l->project->u.project.count; i++) {
        TRY(opt__set_add_expr(l->o, &read, l->shown[i].expr));
    }
    for (uint32_t i = 0; i < input->column_count; i++) {
        if (opt__set_has(&read, input->columns[i].id)) {
            struct bexpr *e = opt__column(l->o, &input->columns[i]);
            if (e == NULL) {
                return ERR_NOMEM;
            }
            hand_on(l, e, &input->columns[i]);
        }
    }
    return ERR_OK;
}

/* What is below the sort, or the limit, from now on. */
static db_err new_input(struct late *l, struct lnode **ret)
{
    struct lnode *input = l->project->children[0];
    uint32_t most = l->project->u.project.count + input->column_count;
    l->shown = OPT_ARRAY(l->o, struct lproj, l->project->u.project.count);
    l->below = OPT_ARRAY(l->o, struct lproj, most);
    l->columns = OPT_ARRAY(l->o, struct lcolumn, most);
    *ret = input;
    if (l->shown == NULL || l->below == NULL || l->columns == NULL) {
        return ERR_NOMEM;
    }
    TRY(keep_computed(l));
    if (!l->computes) {
        return ERR_OK;
    }
    TRY(hand_on_columns(l));
    struct lnode *n = lnode_new(l->o->arena, LNODE_PROJECT, 1);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->children[0] = input;
    n->u.project.exprs = l->below;
    n->u.project.count = n->column_count = l->below_count;
    n->columns = l->columns;
    *ret = n;
    return ERR_OK;
}

static void put_above(struct lnode *n, struct lnode *child)
{
    n->children[0] = child;
    n->columns = child->columns;
    n->column_count = child->column_count;
}

static db_err raise(struct optimizer *o, struct lnode **io)
{
    struct lnode *limit = *io;
    struct late l = {.o = o, .project = limit->children[0]};
    struct lnode *input;
    if (l.project->kind == LNODE_SORT) {
        l.sort = l.project;
        l.project = l.sort->children[0];
    }
    if (l.project->kind != LNODE_PROJECT || !is_worth_it(&l)) {
        return ERR_OK;
    }
    TRY(new_input(&l, &input));
    if (l.sort != NULL) {
        for (uint32_t i = 0; i < l.sort->u.sort.count; i++) {
            struct lsort_key *k = &l.sort->u.sort.keys[i];
            k->expr = opt__substitute(o, k->expr, l.shown, l.project->u.project.count);
            if (k->expr == NULL) {
                return ERR_NOMEM;
            }
            TRY(opt__stack_for(o, k->expr));
        }
        put_above(l.sort, input);
        input = l.sort;
    }
    put_above(limit, input);
    l.project->children[0] = limit;
    l.project->u.project.exprs = l.shown;
    *io = l.project;
    return ERR_OK;
}

static db_err walk(struct optimizer *o, struct lnode **io)
{
    for (uint32_t i = 0; i < (*io)->child_count; i++) {
        TRY(walk(o, &(*io)->children[i]));
    }
    return (*io)->kind == LNODE_LIMIT ? raise(o, io) : ERR_OK;
}

db_err rule_late_project(struct optimizer *o, struct lnode **io_root)
{
    bool changes = o->stmt->kind == BOUND_UPDATE || o->stmt->kind == BOUND_DELETE;
    return io_root == &o->stmt->root && changes ? ERR_OK : walk(o, io_root);
}
