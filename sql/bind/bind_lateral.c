/* LATERAL: a table in FROM that reads columns of the tables to its left.
 *
 * For the binder such a table is a subquery of a block whose columns are those to the left: its
 * references become outer columns. Each join then looks which of them its own left side has and
 * passes those on, so that a table deep within a join tree gets each column from the join where
 * the two sides part. */
#include "sql/bind/bind_int.h"

db_err bind__lateral(struct binder *b, struct scope *scope, struct scope **ret_outer,
                     struct bsubquery **ret_reads)
{
    struct scope *outer = BIND_NEW(b, struct scope);
    struct lateral_use *use = BIND_NEW(b, struct lateral_use);
    if (outer == NULL || use == NULL) {
        return ERR_NOMEM;
    }
    *outer = (struct scope){.parent = scope->parent, .place = PLACE_FIELDS, .sub = scope->sub};
    for (const struct left_tables *l = scope->left; l != NULL; l = l->up) {
        outer->columns = bind__add_columns(b, l->columns, l->count, outer->columns, outer->count);
        if (outer->columns == NULL) {
            return ERR_NOMEM;
        }
        outer->count += l->count;
    }
    use->next = b->laterals;
    b->laterals = use;
    *ret_outer = outer;
    *ret_reads = &use->reads;
    return ERR_OK;
}

static bool has(const col_id_t *ids, uint32_t n, col_id_t id)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool gives(const struct lnode *n, col_id_t id)
{
    for (uint32_t i = 0; i < n->column_count; i++) {
        if (n->columns[i].id == id) {
            return true;
        }
    }
    return false;
}

db_err bind__lateral_join(struct binder *b, const struct lateral_use *mark, struct lnode *join)
{
    uint32_t most = 0;
    for (const struct lateral_use *u = b->laterals; u != mark; u = u->next) {
        most += u->reads.outer_count;
    }
    if (most == 0) {
        return ERR_OK;
    }
    col_id_t *ids = BIND_ARRAY(b, col_id_t, most);
    uint32_t n = 0;
    if (ids == NULL) {
        return ERR_NOMEM;
    }
    for (const struct lateral_use *u = b->laterals; u != mark; u = u->next) {
        for (uint32_t i = 0; i < u->reads.outer_count; i++) {
            col_id_t id = u->reads.outer_columns[i];
            if (gives(join->children[0], id) && !has(ids, n, id)) {
                ids[n++] = id;
            }
        }
    }
    join->u.join.lateral = n != 0;
    join->u.join.lateral_ids = ids;
    join->u.join.lateral_count = n;
    return ERR_OK;
}
