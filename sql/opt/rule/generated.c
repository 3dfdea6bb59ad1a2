/* Conditions on expressions that a key holds.
 *
 * Where a condition has the very expression of a generated column that is part of an index (a
 * functional key part is one), the column stands in for it, so that the index can be used. The
 * column must give what the expression gives: their types agree. An expression without columns says
 * nothing of the table that has it: the same constant may stand where that table is not read.
 *
 * A key part with several values a row is a column with the document that they are taken from. It
 * stands in only where a condition asks for members of that document. */
#include "sql/bind/table_rules.h"
#include "sql/opt/opt_int.h"

struct stand_in {
    struct stand_in *next;
    const struct bexpr *expr; /* on the ids of the table's node */
    const struct lcolumn *column;
    bool multi;
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

/* A column whose text is read with blanks: what the key holds was made without, or in another
 * sql_mode. */
static bool is_padded(const struct table_def *t, const struct bexpr *e, uint64_t sql_mode)
{
    bool found =
        e->kind == BEXPR_COLUMN && type_reads_padded(&t->columns[e->u.column.slot].type, sql_mode);
    for (uint32_t i = 0; i < e->arg_count && !found; i++) {
        found = is_padded(t, e->args[i], sql_mode);
    }
    return found;
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

/* Does argument i of the call stand for a document whose members are asked for? */
static bool asks_for_members(const struct bexpr *e, uint32_t i)
{
    const char *name = e->kind == BEXPR_FUNC ? e->u.func->def->name : "";
    return (strcmp(name, "op_member_of") == 0 && i == 1) || strcmp(name, "json_overlaps") == 0 ||
           (strcmp(name, "json_contains") == 0 && i == 0 && e->arg_count == 2);
}

static bool same_ascii(const struct bexpr *a, const struct bexpr *b)
{
    bool ascii = a->kind == BEXPR_CONST && b->kind == BEXPR_CONST && !a->u.constant.is_null &&
                 !b->u.constant.is_null && a->u.constant.phys == PHYS_STR &&
                 b->u.constant.phys == PHYS_STR && slice_eq(a->u.constant.str, b->u.constant.str);
    for (size_t i = 0; ascii && i < a->u.constant.str.len; i++) {
        ascii = a->u.constant.str.ptr[i] < 0x80;
    }
    return ascii;
}

static bool is_extract(const struct bexpr *e)
{
    const char *name = e->u.func->def->name;
    return strcmp(name, "json_extract") == 0 || strcmp(name, "op_json_extract") == 0;
}

/* What a path says does not depend on the character set that it is written in, as long as its bytes
 * do not: the connection's need not be that of the key. */
static bool same_value(const struct bexpr *a, const struct bexpr *b)
{
    if (bexpr_equal(a, b)) {
        return true;
    }
    if (a->kind != BEXPR_FUNC || b->kind != BEXPR_FUNC || a->arg_count != b->arg_count ||
        !is_extract(a) || !is_extract(b) || !same_value(a->args[0], b->args[0])) {
        return false;
    }
    bool same = true;
    for (uint32_t i = 1; same && i < a->arg_count; i++) {
        same = same_ascii(a->args[i], b->args[i]);
    }
    return same;
}

static const struct stand_in *find(const struct stand_in *list, const struct bexpr *e, bool multi)
{
    for (const struct stand_in *s = list; s != NULL && (e->kind != BEXPR_COLUMN || multi);
         s = s->next) {
        if (s->multi == multi && same_value(e, s->expr)) {
            return s;
        }
    }
    return NULL;
}

/* Each column stands for itself: also those that no condition has, as they are of no column. */
static db_err need_documents(struct optimizer *o, struct lnode *n)
{
    if (n->u.table.documents != NULL) {
        return ERR_OK;
    }
    n->u.table.documents = OPT_ARRAY(o, uint32_t, n->column_count);
    if (n->u.table.documents == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        n->u.table.documents[i] = i;
    }
    return ERR_OK;
}

/* Keys of several types may be on one document: conditions have it by the first of them. */
static db_err add_document(struct optimizer *o, struct lnode *n, uint32_t ordinal,
                           const struct stand_in *list, struct stand_in *io)
{
    const struct bexpr *e = io->expr;
    if (e->kind == BEXPR_FUNC && strcmp(e->u.func->def->name, "op_array_cast") == 0) {
        io->expr = e->args[0]; /* the functions take the text of a document, too */
    }
    TRY(need_documents(o, n));
    const struct stand_in *first = find(list, io->expr, true);
    io->column = first == NULL ? io->column : first->column;
    n->u.table.documents[ordinal] = (uint32_t)(io->column - n->columns);
    return ERR_OK;
}

static db_err of_table(struct optimizer *o, struct lnode *n, struct stand_in **io_list)
{
    const struct table_def *t = n->u.table.def;
    struct table_rules *rules;
    if (!has_any(t)) {
        return ERR_OK;
    }
    TRY(bind_table_rules(o->arena, o->opts->bind, t, RULES_NO_DEFAULTS, o->diag, &rules));
    for (uint32_t i = 0; i < rules->generated_count; i++) {
        const struct rule_column *g = &rules->generated[i];
        bool multi = t->columns[g->column].element != NULL;
        if (!in_an_index(t, g->column) || (g->expr->kind == BEXPR_COLUMN && !multi) ||
            !reads_columns(g->expr) || is_padded(t, g->expr, o->opts->bind->sql_mode) ||
            !same_values(&g->expr->type, &t->columns[g->column].type)) {
            continue;
        }
        struct stand_in *s = OPT_NEW(o, struct stand_in);
        if (s == NULL) {
            return ERR_NOMEM;
        }
        to_node(g->expr, n);
        *s = (struct stand_in){*io_list, g->expr, &n->columns[g->column], multi};
        if (multi) {
            TRY(add_document(o, n, g->column, *io_list, s));
        }
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

static db_err collect(struct optimizer *o, struct lnode *n, struct stand_in **io_list)
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

/* multi: where a column with several values may stand. */
static db_err replace(struct optimizer *o, const struct stand_in *list, bool multi,
                      struct bexpr **io)
{
    struct bexpr *e = *io;
    const struct stand_in *s = multi ? find(list, e, true) : NULL;
    s = s == NULL ? find(list, e, false) : s;
    if (s != NULL) {
        struct bexpr *c = OPT_NEW(o, struct bexpr);
        if (c == NULL) {
            return ERR_NOMEM;
        }
        c->kind = BEXPR_COLUMN;
        c->type = s->column->type;
        c->coercibility = e->coercibility;
        c->u.column.id = s->column->id;
        c->u.column.padded = type_reads_padded(&c->type, o->opts->bind->sql_mode);
        c->u.column.origin = s->column;
        *io = c;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(replace(o, list, asks_for_members(e, i), &e->args[i]));
    }
    return ERR_OK;
}

static db_err in_conditions(struct optimizer *o, const struct stand_in *list, struct lnode *n)
{
    struct bexpr **conditions = n->kind == LNODE_FILTER  ? n->u.filter.conjuncts
                                : n->kind == LNODE_JOIN  ? n->u.join.on
                                : n->kind == LNODE_TABLE ? n->u.table.filters
                                                         : NULL;
    uint32_t count = n->kind == LNODE_FILTER  ? n->u.filter.count
                     : n->kind == LNODE_JOIN  ? n->u.join.on_count
                     : n->kind == LNODE_TABLE ? n->u.table.filter_count
                                              : 0;
    for (uint32_t i = 0; i < count; i++) {
        TRY(replace(o, list, false, &conditions[i]));
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
