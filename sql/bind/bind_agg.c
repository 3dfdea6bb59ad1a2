/* Splits a block with GROUP BY or aggregate functions into an aggregate node and expressions on its
 * output.
 *
 * The node gives the grouping expressions and one column per distinct aggregate call. In the
 * expressions above, each part that equals a grouping expression, and each call, becomes a column
 * of the node. A column that is left must depend on the groups (ONLY_FULL_GROUP_BY, 1055 and 1140;
 * bind_depend.c). Such a column (and any, without the mode) takes the value of one row of
 * the group: the hidden aggregate "any_value". */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"
#include "sql/types/sql_mode.h"

struct split {
    struct binder *b;
    struct bind_agg_input *in;
    struct lnode *node;
    struct lnode *input;
    uint32_t agg_cap;
    struct bexpr **agg_exprs; /* the BEXPR_AGG of each of node's aggregates */
    uint32_t at;              /* number of the expression being rewritten, for messages */
    bool implicit;            /* no GROUP BY */
    const bool *known;        /* columns that depend on the groups, by id; NULL: not asked yet */
    col_id_t known_count;
    const struct block_window *window; /* whose definition is being rewritten */
};

db_err bind__selected(struct binder *b, const struct select_item *items, uint32_t count,
                      struct bexpr **io)
{
    const struct bexpr *e = *io;
    for (uint32_t i = 0; e->is_volatile && e->item == 0 && i < count; i++) {
        if (bexpr_same_form(items[i].expr, e)) {
            *io = bexpr_clone(b->arena, items[i].expr);
            return *io == NULL ? ERR_NOMEM : ERR_OK;
        }
    }
    return ERR_OK;
}

static db_err bind_groups(struct split *s)
{
    struct binder *b = s->b;
    const struct ast_expr_list *list = &s->in->ast->group_by;
    struct scope *scope = s->in->scope;
    bool rollup = s->in->ast->group_mode == AST_GROUP_ROLLUP;
    s->node->u.aggregate.groups = BIND_ARRAY(b, struct lproj, list->count + 1);
    if (s->node->u.aggregate.groups == NULL) {
        return ERR_NOMEM;
    }
    scope->place = PLACE_GROUP;
    scope->aggs_allowed = false;
    scope->windows = NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_expr *a = list->items[i];
        struct bexpr *e = NULL;
        if (a->kind == AST_EXPR_LITERAL && ((const struct ast_literal *)a)->kind == AST_LIT_INT) {
            uint64_t n = ((const struct ast_literal *)a)->u64;
            if (n == 0 || n > s->in->item_count) {
                return my_error(b->diag, ER_BAD_FIELD_ERROR,
                                arena_printf(b->arena, "%llu", (unsigned long long)n),
                                "group statement");
            }
            e = bexpr_clone(b->arena, s->in->items[n - 1].expr);
            if (e == NULL) {
                return ERR_NOMEM;
            }
            if (e->has_agg || e->has_window) {
                return my_error(b->diag, ER_WRONG_GROUP_FIELD,
                                arena_strdup(b->arena, s->in->items[n - 1].name));
            }
        } else {
            if (a->kind == AST_EXPR_COLUMN) {
                TRY(bind__listed_item(b, scope, (const struct ast_column *)a, &e));
            }
            TRY(e != NULL ? ERR_OK : bind__expr(b, scope, a, &e));
            TRY(bind__selected(b, s->in->items, s->in->item_count, &e));
        }
        if (e->kind == BEXPR_ROW) {
            return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
        }
        struct lproj *groups = s->node->u.aggregate.groups;
        bool twice = false;
        for (uint32_t k = 0; k < s->node->u.aggregate.group_count; k++) {
            twice = twice || (groups[k].expr == e || bexpr_equal(groups[k].expr, e));
        }
        if (!twice || rollup) {
            /* A grouped column keeps its id: subqueries of this block name it so. */
            col_id_t out = e->kind == BEXPR_COLUMN && !twice ? e->u.column.id : bind__new_col(b);
            groups[s->node->u.aggregate.group_count++] = (struct lproj){e, out};
        }
    }
    return ERR_OK;
}

/* The value of a column keeps the column's id, too, unless a group has it. */
static col_id_t agg_id(const struct split *s, const struct bexpr *e)
{
    bool kept = e->u.agg.call->arg_count == 1 && e->args[0]->kind == BEXPR_COLUMN &&
                strcmp(e->u.agg.call->def->name, "any_value") == 0;
    for (uint32_t i = 0; kept && i < s->node->u.aggregate.group_count; i++) {
        kept = s->node->u.aggregate.groups[i].out != e->args[0]->u.column.id;
    }
    return kept ? e->args[0]->u.column.id : bind__new_col(s->b);
}

/* Room for one more aggregate. */
static db_err grow_aggs(struct split *s)
{
    struct binder *b = s->b;
    uint32_t n = s->node->u.aggregate.agg_count;
    if (n != s->agg_cap) {
        return ERR_OK;
    }
    uint32_t cap = s->agg_cap == 0 ? 8 : s->agg_cap * 2;
    struct lagg *aggs = BIND_ARRAY(b, struct lagg, cap);
    struct bexpr **exprs = BIND_ARRAY(b, struct bexpr *, cap);
    if (aggs == NULL || exprs == NULL) {
        return ERR_NOMEM;
    }
    if (n != 0) {
        memcpy(aggs, s->node->u.aggregate.aggs, n * sizeof(*aggs));
        memcpy(exprs, s->agg_exprs, n * sizeof(struct bexpr *));
    }
    s->node->u.aggregate.aggs = aggs;
    s->agg_exprs = exprs;
    s->agg_cap = cap;
    return ERR_OK;
}

static db_err add_agg(struct split *s, struct bexpr *e, col_id_t out)
{
    TRY(grow_aggs(s));
    uint32_t i = s->node->u.aggregate.agg_count;
    struct lagg *agg = &s->node->u.aggregate.aggs[i];
    s->agg_exprs[i] = e;
    *agg = (struct lagg){.call = e->u.agg.call, .args = e->args, .out = out};
    agg->order_count = e->u.agg.order_count;
    agg->order = BIND_ARRAY(s->b, struct lsort_key, agg->order_count + 1);
    if (agg->order == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t k = 0; k < agg->order_count; k++) {
        agg->order[k] = (struct lsort_key){e->u.agg.order_by[k], e->u.agg.order_desc[k]};
    }
    s->node->u.aggregate.agg_count++;
    return ERR_OK;
}

static db_err agg_column(struct split *s, struct bexpr *e, struct bexpr **ret)
{
    uint32_t i = 0;
    while (i < s->node->u.aggregate.agg_count && !bexpr_equal(s->agg_exprs[i], e)) {
        i++;
    }
    if (i == s->node->u.aggregate.agg_count) {
        TRY(add_agg(s, e, agg_id(s, e)));
    }
    struct func_arg own = bind__arg(e);
    struct lcolumn c = {.id = s->node->u.aggregate.aggs[i].out,
                        .type = e->type,
                        .coercibility = own.coercibility,
                        .text_collation = own.text_collation};
    *ret = bind__made_column(s->b, &c);
    return *ret == NULL ? ERR_NOMEM : ERR_OK;
}

/* MYSQL: a group that is summed up shows as NULL; with ROLLUP it is an expression. */
static struct sql_type group_type(const struct split *s, const struct bexpr *e)
{
    struct sql_type t = e->type;
    if (s->node->u.aggregate.rollup) {
        t = bind__result_type(t);
        t.flags = (uint8_t)((t.flags & ~TYPE_F_NOT_NULL) | TYPE_F_EXPR);
    }
    return t;
}

static db_err depends_on_groups(struct split *s, col_id_t id, bool *ret)
{
    if (s->known == NULL) {
        TRY(bind__dependent_columns(s->b, s->input, s->node->u.aggregate.groups,
                                    s->node->u.aggregate.group_count, &s->known));
        s->known_count = s->b->next_col + 1;
    }
    *ret = id < s->known_count && s->known[id];
    return ERR_OK;
}

static db_err not_grouped(const struct split *s, const struct bexpr *e)
{
    struct binder *b = s->b;
    const char *name = bind__column_name(b, s->in->scope, e->u.column.id);
    uint32_t items = s->in->item_count;
    bool having = s->at >= items && s->at < items + s->in->having_count;
    bool order = s->at >= items + s->in->having_count;
    const char *clause = having ? "HAVING clause" : order ? "ORDER BY clause" : "SELECT list";
    if (s->window != NULL) {
        clause = arena_printf(b->arena, "PARTITION BY or ORDER BY clause of window '%.*s'",
                              SLICE_FMT(s->window->name));
        order = having = false;
    }
    uint32_t number = order ? s->at - items - s->in->having_count : having ? s->at - items : s->at;
    if (s->implicit) {
        return my_error(b->diag, ER_MIX_OF_GROUP_FUNC_AND_FIELDS, number + 1, clause, name);
    }
    return my_error(b->diag, ER_WRONG_FIELD_WITH_GROUP, number + 1, clause, name);
}

bool bind__is_any_value(const struct bexpr *e)
{
    return e->kind == BEXPR_FUNC && e->arg_count == 1 &&
           strcmp(e->u.func->def->name, "any_value") == 0;
}

static db_err any_value(struct split *s, struct bexpr *column, struct bexpr **ret)
{
    struct binder *b = s->b;
    const struct agg_def *def = agg_find(SLICE_LIT("any_value"));
    ASSERT(def != NULL); /* a row of the registry */
    struct bexpr *e = bind__new(b, BEXPR_AGG, &column->type, 1);
    struct agg_call *call = BIND_NEW(b, struct agg_call);
    if (e == NULL || call == NULL) {
        return ERR_NOMEM;
    }
    struct func_arg fa = bind__arg(column);
    e->args[0] = column;
    call->def = def;
    call->variant = def->variant;
    call->arg_count = 1;
    call->arg_types = BIND_ARRAY(b, struct sql_type, 1);
    if (call->arg_types == NULL) {
        return ERR_NOMEM;
    }
    call->arg_types[0] = column->type;
    TRY(def->bind_agg(&b->func, call, &fa));
    e->u.agg.call = call;
    e->coercibility = column->coercibility;
    return agg_column(s, e, ret);
}

static db_err small_int(struct binder *b, int64_t n, struct bexpr **ret)
{
    struct value v = value_int(n);
    struct sql_type t = type_int(TYPE_BIGINT, false);
    t.flags |= TYPE_F_NOT_NULL;
    return bind__const(b, &v, &t, 5, ret);
}

/* (what is rolled up >> group & 1) << shift */
static db_err grouping_bit(struct split *s, uint32_t group, uint32_t shift, struct bexpr **ret)
{
    struct binder *b = s->b;
    struct lcolumn c = {.id = s->node->u.aggregate.rolled_up,
                        .type = type_int(TYPE_BIGINT, false),
                        .coercibility = 5};
    struct bexpr *n;
    c.type.flags |= TYPE_F_NOT_NULL;
    *ret = bind__made_column(b, &c);
    if (*ret == NULL) {
        return ERR_NOMEM;
    }
    TRY(small_int(b, group, &n));
    TRY(bind__op2(b, "op_shr", *ret, n, ret));
    TRY(small_int(b, 1, &n));
    TRY(bind__op2(b, "op_bitand", *ret, n, ret));
    TRY(small_int(b, shift, &n));
    return bind__op2(b, "op_shl", *ret, n, ret);
}

/* GROUPING(a, b): a number with a bit for each argument, the first one's is the highest. */
static db_err grouping(struct split *s, const struct bexpr *e, struct bexpr **ret)
{
    struct binder *b = s->b;
    struct bexpr *sum;
    TRY(small_int(b, 0, &sum));
    for (uint32_t i = 0; i < e->arg_count; i++) {
        uint32_t g = 0;
        while (g < s->node->u.aggregate.group_count &&
               !bexpr_equal(s->node->u.aggregate.groups[g].expr, e->args[i])) {
            g++;
        }
        if (g == s->node->u.aggregate.group_count) {
            return my_error(b->diag, ER_FIELD_IN_GROUPING_NOT_GROUP_BY, (unsigned)(i + 1));
        }
        if (s->node->u.aggregate.rollup) {
            struct bexpr *bit;
            TRY(grouping_bit(s, g, e->arg_count - 1 - i, &bit));
            TRY(bind__op2(b, "op_bitor", sum, bit, &sum));
        }
    }
    TRY(bind__cast(b, sum, &e->type, false, ret));
    (*ret)->type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    return ERR_OK;
}

/* May this column of the groups' rows be read of any one of them? */
static db_err check_dependent(struct split *s, const struct bexpr *e)
{
    bool dependent = (s->b->opts->sql_mode & SQL_MODE_ONLY_FULL_GROUP_BY) == 0;
    if (!dependent &&
        !s->node->u.aggregate.rollup) { /* MYSQL: of sums over groups nothing depends */
        TRY(depends_on_groups(s, e->u.column.id, &dependent));
    }
    return dependent ? ERR_OK : not_grouped(s, e);
}

/* A column of the groups' rows: of one of them. */
static db_err of_one_row(struct split *s, struct bexpr *e, struct bexpr **ret)
{
    TRY(check_dependent(s, e));
    return any_value(s, e, ret);
}

static bool is_group(const struct split *s, col_id_t id)
{
    for (uint32_t i = 0; i < s->node->u.aggregate.group_count; i++) {
        if (s->node->u.aggregate.groups[i].out == id) {
            return true;
        }
    }
    return false;
}

/* What a subquery reads of the block has to come out of the aggregation under its id. An item that
 * it names has been looked at by itself, but sums over groups have no such row. */
static db_err subquery_columns(struct split *s, const struct bsubquery *sub)
{
    const struct scope *scope = s->in->scope;
    for (uint32_t i = 0; i < sub->outer_count; i++) {
        for (uint32_t k = 0; k < scope->count && !is_group(s, sub->outer_columns[i]); k++) {
            if (scope->columns[k].id == sub->outer_columns[i]) {
                bool named = sub->outer_named[i] && !s->node->u.aggregate.rollup;
                struct bexpr *e = bind__column_expr(s->b, &scope->columns[k]);
                TRY(e == NULL ? ERR_NOMEM : named ? ERR_OK : check_dependent(s, e));
                TRY(any_value(s, e, &e));
            }
        }
    }
    return ERR_OK;
}

/* MYSQL: within another expression one that is a group is looked through: each column that it reads
 * must be a group, or depend on the groups. */
static db_err check_part(struct split *s, const struct bexpr *e)
{
    if (e->kind == BEXPR_COLUMN) {
        return is_group(s, e->u.column.id) ? ERR_OK : check_dependent(s, e);
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        const struct bsubquery *sub = e->u.subquery.sub;
        const struct scope *scope = s->in->scope;
        for (uint32_t i = 0; i < sub->outer_count; i++) {
            for (uint32_t k = 0; k < scope->count; k++) {
                if (scope->columns[k].id == sub->outer_columns[i] && !sub->outer_named[i]) {
                    struct bexpr *column = bind__column_expr(s->b, &scope->columns[k]);
                    TRY(column == NULL ? ERR_NOMEM : check_part(s, column));
                }
            }
        }
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(check_part(s, e->args[i]));
    }
    return ERR_OK;
}

/* whole: an expression of the list that is rewritten, or a select item by its name. */
static db_err rewrite(struct split *s, struct bexpr *e, bool whole, struct bexpr **ret)
{
    whole = whole || e->by_name;
    if (e->kind == BEXPR_GROUPING) {
        return grouping(s, e, ret);
    }
    if (e->kind == BEXPR_AGG) {
        return agg_column(s, e, ret);
    }
    for (uint32_t i = 0; i < s->node->u.aggregate.group_count; i++) {
        const struct lproj *g = &s->node->u.aggregate.groups[i];
        if (bexpr_equal(g->expr, e)) {
            TRY(whole ? ERR_OK : check_part(s, e));
            struct lcolumn c = {.id = g->out,
                                .type = group_type(s, g->expr),
                                .coercibility = g->expr->coercibility};
            *ret = bind__made_column(s->b, &c);
            return *ret == NULL ? ERR_NOMEM : ERR_OK;
        }
    }
    /* Only now: a subquery that is a group itself is read from the aggregation. */
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        TRY(subquery_columns(s, e->u.subquery.sub));
    }
    if (bind__is_any_value(e)) {
        return any_value(s, e->args[0], ret);
    }
    if (e->kind == BEXPR_COLUMN) {
        return of_one_row(s, e, ret);
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(rewrite(s, e->args[i], false, &e->args[i]));
    }
    *ret = e;
    return ERR_OK;
}

static db_err rewrite_windows(struct split *s)
{
    for (uint32_t i = 0; i < s->in->windows->count; i++) {
        struct block_window *w = s->in->windows->list[i];
        s->window = w;
        for (s->at = 0; s->at < w->partition_count; s->at++) {
            TRY(rewrite(s, w->partition[s->at], true, &w->partition[s->at]));
        }
        for (uint32_t k = 0; k < w->order_count; k++, s->at++) {
            TRY(rewrite(s, w->order[k].expr, true, &w->order[k].expr));
        }
    }
    s->window = NULL;
    return ERR_OK;
}

static db_err output_columns(struct split *s)
{
    struct lnode *n = s->node;
    uint32_t g = n->u.aggregate.group_count;
    uint32_t a = n->u.aggregate.agg_count;
    n->columns = BIND_ARRAY(s->b, struct lcolumn, g + a + 2);
    if (n->columns == NULL) {
        return ERR_NOMEM;
    }
    n->column_count = g + a;
    for (uint32_t i = 0; i < g; i++) {
        const struct lproj *p = &n->u.aggregate.groups[i];
        n->columns[i] = (struct lcolumn){
            .id = p->out, .type = group_type(s, p->expr), .coercibility = p->expr->coercibility};
    }
    for (uint32_t i = 0; i < a; i++) {
        const struct lagg *x = &n->u.aggregate.aggs[i];
        n->columns[g + i] = (struct lcolumn){
            .id = x->out, .type = x->call->type, .coercibility = x->call->coercibility};
    }
    if (n->u.aggregate.rollup) {
        n->columns[n->column_count++] = (struct lcolumn){
            .id = n->u.aggregate.rolled_up, .type = type_int(TYPE_BIGINT, false), .hidden = true};
    }
    return ERR_OK;
}

/* MYSQL: rows are sorted by the groups when an aggregate cannot be kept in a temporary table's row,
 * and so the groups come in that order, which statements without an ORDER BY show. */
static bool sorts_groups(const struct lnode *n)
{
    for (uint32_t i = 0; i < n->u.aggregate.agg_count; i++) {
        const struct agg_call *c = n->u.aggregate.aggs[i].call;
        bool distinct = c->distinct && (c->def->flags & AGG_NO_DISTINCT_EFFECT) == 0;
        if (distinct || (c->def->flags & AGG_SORTS_GROUPS) != 0) {
            return n->u.aggregate.group_count != 0;
        }
    }
    return false;
}

db_err bind__aggregation(struct binder *b, struct bind_agg_input *in, struct lnode **io_root)
{
    struct split s = {
        .b = b, .in = in, .input = *io_root, .implicit = in->ast->group_by.count == 0};
    s.node = bind__node(b, LNODE_AGGREGATE, *io_root);
    if (s.node == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind_groups(&s));
    if (in->ast->group_mode == AST_GROUP_ROLLUP) {
        s.node->u.aggregate.rollup = true;
        s.node->u.aggregate.rolled_up = bind__new_col(b);
    }
    for (s.at = 0; s.at < in->count; s.at++) {
        struct bexpr *copy = bexpr_clone(b->arena, in->exprs[s.at]);
        if (copy == NULL) {
            return ERR_NOMEM;
        }
        TRY(rewrite(&s, copy, true, &in->exprs[s.at]));
    }
    TRY(rewrite_windows(&s));
    for (const struct outer_agg *a = in->scope->outer_aggs; a != NULL; a = a->next) {
        TRY(add_agg(&s, a->call, a->out));
    }
    s.node->u.aggregate.sorted = !s.node->u.aggregate.rollup && sorts_groups(s.node);
    TRY(output_columns(&s));
    *io_root = s.node;
    return ERR_OK;
}

db_err bind__idle_groups(struct binder *b, struct bind_agg_input *in)
{
    struct lnode unused = {.kind = LNODE_AGGREGATE};
    struct split s = {.b = b, .in = in, .node = &unused};
    return bind_groups(&s);
}
