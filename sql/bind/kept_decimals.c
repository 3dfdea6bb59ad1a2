/* DECIMALs of rows that MySQL keeps in a table: of a derived table that is not merged, of windows.
 *
 * MYSQL: what is chosen among several DECIMALs (IF, COALESCE, LEAST) has the decimals of the one
 * that was chosen, which a quotient shows; what lies in a table has those of its column. */
#include "sql/bind/bind_int.h"

static bool has_scale_of_type(const struct bexpr *e, void *arg)
{
    (void)arg;
    if (e->kind == BEXPR_CONST) {
        return e->u.constant.is_null || e->u.constant.phys != PHYS_DECIMAL ||
               e->u.constant.dec.filled == 0;
    }
    return e->kind != BEXPR_CAST || (e->type.wire & TYPE_W_OWN_SCALE) == 0;
}

static bool column_is_chosen(const struct lnode *n, col_id_t id);

/* Can its value have fewer decimals than its type? n: what its columns are read from. */
static bool is_chosen(const struct lnode *n, const struct bexpr *e)
{
    return e->kind == BEXPR_COLUMN ? column_is_chosen(n, e->u.column.id)
                                   : !bexpr_walk(e, has_scale_of_type, NULL);
}

static bool column_is_chosen(const struct lnode *n, col_id_t id)
{
    if (n->kind == LNODE_PROJECT) {
        for (uint32_t i = 0; i < n->u.project.count; i++) {
            if (n->u.project.exprs[i].out == id) {
                return n->child_count != 0 && is_chosen(n->children[0], n->u.project.exprs[i].expr);
            }
        }
        return false;
    }
    for (uint32_t i = 0; i < n->column_count && n->kind == LNODE_SETOP; i++) {
        if (n->columns[i].id == id) {
            bool chosen = false;
            for (uint32_t k = 0; k < n->child_count && !chosen; k++) {
                const struct lnode *child = n->children[k];
                chosen = column_is_chosen(child, child->columns[i].id);
            }
            return chosen;
        }
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (column_is_chosen(n->children[i], id)) {
            return true;
        }
    }
    return false;
}

static db_err settle(struct binder *b, struct bexpr **io)
{
    struct sql_type t = (*io)->type;
    t.wire &= (uint16_t)~TYPE_W_OWN_SCALE;
    return bind__cast(b, *io, &t, false, io);
}

db_err bind__settle_decimal(struct binder *b, struct bexpr **io)
{
    bool chosen = (*io)->type.id == TYPE_DECIMAL && !bexpr_walk(*io, has_scale_of_type, NULL);
    return chosen ? settle(b, io) : ERR_OK;
}

db_err bind__settle_decimals(struct binder *b, struct lnode *n)
{
    while (n->kind == LNODE_SORT || n->kind == LNODE_LIMIT || n->kind == LNODE_DISTINCT ||
           n->kind == LNODE_FILTER) {
        n = n->children[0];
    }
    for (uint32_t i = 0; n->kind == LNODE_SETOP && i < n->child_count; i++) {
        TRY(bind__settle_decimals(b, n->children[i]));
    }
    for (uint32_t i = 0; n->kind == LNODE_PROJECT && i < n->u.project.count; i++) {
        struct bexpr **e = &n->u.project.exprs[i].expr;
        bool decimal = (*e)->type.id == TYPE_DECIMAL && n->child_count != 0;
        TRY(decimal && is_chosen(n->children[0], *e) ? settle(b, e) : ERR_OK);
    }
    return ERR_OK;
}
