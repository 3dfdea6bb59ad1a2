/* Conditions on expressions that a key holds.
 *
 * Where a condition has the very expression of a generated column that is part of an index (a
 * functional key part is one), the column stands in for it, so that the index can be used. The
 * column must give what the expression gives: their types agree. An expression without columns says
 * nothing of the table that has it: the same constant may stand where that table is not read. */
#include "sql/bind/table_rules.h"
#include "sql/opt/opt_int.h"

struct stand_in {
    struct stand_in *next;
    const struct bexpr *expr; /* on the ids of the table's node */
    const struct lcolumn *column;
};

static bool in_an_index(const struct table_def *t, uint32_t ordinal)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        for (uint32_t p = 0; p < t->indexes[i].part_count && !t->indexes[i].invisible; p++) {
            if (t->indexes[i].parts[p].column == ordinal) {
                return true;
            }
        }
    }
    return false;
}

static bool has_any(const struct table_def *t)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].generated != GENERATED_NO && in_an_index(t, i)) {
            return true;
        }
    }
    return false;
}

static bool same_values(const struct sql_type *a, const struct sql_type *b)
{
    return a->id == b->id && a->collation == b->collation && a->decimals == b->decimals &&
           a->length == b->length && ((a->flags ^ b->flags) & TYPE_F_UNSIGNED) == 0;
}

static bool reads_columns(const struct bexpr *e)
{
    bool found = e->kind == BEXPR_COLUMN;
    for (uint32_t i = 0; i < e->arg_count && !found; i++) {
        found = reads_columns(e->args[i]);
    }
    return found;
}

static void to_node(struct bexpr *e, const struct lnode *n)
{
    if (e->kind == BEXPR_COLUMN) {
        e->u.column.id = n->columns[e->u.column.slot].id;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        to_node(e->args[i], n);
    }
}

static db_err of_table(struct optimizer *o, const struct lnode *n, struct stand_in **io_list)
{
    const struct table_def *t = n->u.table.def;
    struct table_rules *rules;
    if (!has_any(t)) {
        return ERR_OK;
    }
    TRY(bind_table_rules(o->arena, o->opts->bind, t, RULES_NO_DEFAULTS, o->diag, &rules));
    for (uint32_t i = 0; i < rules->generated_count; i++) {
        const struct rule_column *g = &rules->generated[i];
        if (!in_an_index(t, g->column) || g->expr->kind == BEXPR_COLUMN ||
            !reads_columns(g->expr) || !same_values(&g->expr->type, &t->columns[g->column].type)) {
            continue;
        }
        struct stand_in *s = OPT_NEW(o, struct stand_in);
        if (s == NULL) {
            return ERR_NOMEM;
        }
        to_node(g->expr, n);
        *s = (struct stand_in){*io_list, g->expr, &n->columns[g->column]};
        *io_list = s;
    }
    return ERR_OK;
}

/* Of a row that an outer join makes up the column is NULL, but the expression need not be. */
static bool null_side(enum join_kind kind, uint32_t child)
{
    return kind == JOIN_FULL || (kind == JOIN_LEFT && child == 1) ||
           (kind == JOIN_RIGHT && child == 0);
}

static db_err collect(struct optimizer *o, const struct lnode *n, struct stand_in **io_list)
{
    if (n->kind == LNODE_TABLE && n->u.table.def->kind == TABLE_BASE) {
        TRY(of_table(o, n, io_list));
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (n->kind != LNODE_JOIN || !null_side(n->u.join.kind, i)) {
            TRY(collect(o, n->children[i], io_list));
        }
    }
    return ERR_OK;
}

static db_err replace(struct optimizer *o, const struct stand_in *list, struct bexpr **io)
{
    struct bexpr *e = *io;
    for (const struct stand_in *s = list; s != NULL && e->kind != BEXPR_COLUMN; s = s->next) {
        if (!bexpr_equal(e, s->expr)) {
            continue;
        }
        struct bexpr *c = OPT_NEW(o, struct bexpr);
        if (c == NULL) {
            return ERR_NOMEM;
        }
        c->kind = BEXPR_COLUMN;
        c->type = s->column->type;
        c->coercibility = e->coercibility;
        c->u.column.id = s->column->id;
        c->u.column.origin = s->column;
        *io = c;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(replace(o, list, &e->args[i]));
    }
    return ERR_OK;
}

static db_err in_conditions(struct optimizer *o, const struct stand_in *list, struct lnode *n)
{
    struct bexpr **conditions = n->kind == LNODE_FILTER ? n->u.filter.conjuncts
                                : n->kind == LNODE_JOIN ? n->u.join.on
                                                        : NULL;
    uint32_t count = n->kind == LNODE_FILTER ? n->u.filter.count
                     : n->kind == LNODE_JOIN ? n->u.join.on_count
                                             : 0;
    for (uint32_t i = 0; i < count; i++) {
        TRY(replace(o, list, &conditions[i]));
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(in_conditions(o, list, n->children[i]));
    }
    return ERR_OK;
}

db_err rule_generated_columns(struct optimizer *o, struct lnode **io_root)
{
    struct stand_in *list = NULL;
    TRY(collect(o, *io_root, &list));
    return list == NULL ? ERR_OK : in_conditions(o, list, *io_root);
}
