/* MYSQL: under ONLY_FULL_GROUP_BY a query with DISTINCT is ordered by its select list: by an item
 * as a whole, or by what reads selected columns and items named by their alias. Otherwise rows that
 * are one would have several places (3065, and 3066 of an aggregate). Where the groups make rows
 * distinct already, DISTINCT does nothing and nothing is asked. */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"

static bool selected(const struct bind_distinct_input *in, const struct bexpr *e)
{
    for (uint32_t i = 0; i < in->item_count; i++) {
        if (bexpr_equal(in->items[i], e)) {
            return true;
        }
    }
    return false;
}

static bool selects_column(const struct bind_distinct_input *in, col_id_t id)
{
    for (uint32_t i = 0; i < in->item_count; i++) {
        const struct bexpr *e = in->items[i];
        if (e->kind == BEXPR_COLUMN && e->u.column.id == id) {
            return true;
        }
    }
    return false;
}

/* Does the select list show every group? Sums over groups are rows of their own. */
static bool groups_selected(const struct bind_distinct_input *in)
{
    const struct lnode *n = in->aggregate;
    bool all = n != NULL && !n->u.aggregate.rollup;
    for (uint32_t i = 0; all && i < n->u.aggregate.group_count; i++) {
        all = selected(in, n->u.aggregate.groups[i].expr);
    }
    return all;
}

static db_err not_selected(struct binder *b, const struct bind_distinct_input *in, col_id_t id,
                           uint32_t number)
{
    return my_error(b->diag, ER_FIELD_IN_ORDER_NOT_SELECT, (unsigned)number,
                    bind__column_name(b, in->scope, id), "DISTINCT");
}

static db_err check_subquery(struct binder *b, const struct bind_distinct_input *in,
                             const struct bsubquery *sub, uint32_t number)
{
    for (uint32_t i = 0; i < sub->outer_count; i++) {
        for (uint32_t k = 0; k < in->scope->count; k++) {
            col_id_t id = in->scope->columns[k].id;
            if (id == sub->outer_columns[i] && !sub->outer_named[i] && !selects_column(in, id)) {
                return not_selected(b, in, id, number);
            }
        }
    }
    return ERR_OK;
}

static db_err check_parts(struct binder *b, const struct bind_distinct_input *in,
                          const struct bexpr *e, uint32_t number)
{
    if (e->by_name || bind__is_any_value(e)) {
        return ERR_OK;
    }
    if (e->kind == BEXPR_AGG) {
        return my_error(b->diag, ER_AGGREGATE_IN_ORDER_NOT_SELECT, (unsigned)number, "DISTINCT");
    }
    if (e->kind == BEXPR_COLUMN && !selects_column(in, e->u.column.id)) {
        return not_selected(b, in, e->u.column.id, number);
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        TRY(check_subquery(b, in, e->u.subquery.sub, number));
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(check_parts(b, in, e->args[i], number));
    }
    return ERR_OK;
}

db_err bind__distinct_order(struct binder *b, const struct bind_distinct_input *in)
{
    if (groups_selected(in)) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < in->order_count; i++) {
        if (!selected(in, in->order[i])) {
            TRY(check_parts(b, in, in->order[i], i + 1));
        }
    }
    return ERR_OK;
}
