/* Query expressions: WITH, set operations, VALUES, TABLE, and ORDER BY and LIMIT around them. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"

static db_err bind_body(struct binder *b, struct scope *parent, struct bsubquery *sub,
                        const struct ast_body *body, const struct ast_query *outer,
                        struct lnode **ret, uint32_t *ret_visible);

/* Drops hidden columns. */
db_err bind__trim(struct binder *b, struct lnode **io, uint32_t visible)
{
    if ((*io)->column_count == visible) {
        return ERR_OK;
    }
    struct select_item *items = BIND_ARRAY(b, struct select_item, visible + 1);
    if (items == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < visible; i++) {
        items[i].column = (*io)->columns[i];
        items[i].expr = bind__column_expr(b, &(*io)->columns[i]);
        if (items[i].expr == NULL) {
            return ERR_NOMEM;
        }
    }
    return bind__project(b, items, visible, io);
}

/* MYSQL: numbers that become text in a set operation do so without the zeros of their column. */
static db_err without_zeros(struct binder *b, struct bexpr **io)
{
    struct sql_type t = (*io)->type;
    if ((t.flags & TYPE_F_ZEROFILL) == 0 || t.id == TYPE_YEAR) {
        return ERR_OK;
    }
    t.flags &= (uint8_t)~TYPE_F_ZEROFILL;
    return bind__cast(b, *io, &t, false, io);
}

/* One side's columns, cast to the common types. */
static db_err cast_side(struct binder *b, struct lnode **io, const struct lcolumn *common,
                        uint32_t n)
{
    struct select_item *items = BIND_ARRAY(b, struct select_item, n + 1);
    bool any = false;
    if (items == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct lcolumn *c = &(*io)->columns[i];
        items[i].column = *c;
        items[i].column.def = items[i].column.base = items[i].column.keyed = NULL;
        items[i].expr = bind__column_expr(b, c);
        if (items[i].expr == NULL) {
            return ERR_NOMEM;
        }
        struct sql_type t = common[i].type;
        bool differs = type_phys(&c->type) != type_phys(&t) || c->type.id != t.id ||
                       c->type.decimals != t.decimals || c->type.collation != t.collation ||
                       type_is_unsigned(&c->type) != type_is_unsigned(&t);
        if (differs) {
            unsigned text = TYPE_W_REFUSE_LOSS | TYPE_W_STORED_TEXT;
            text |= type_is_blob(&t) ? 0u : TYPE_W_STORED_REAL;
            TRY(type_is_string(&t) ? without_zeros(b, &items[i].expr) : ERR_OK);
            t.wire |= (uint16_t)(type_is_string(&t)     ? text
                                 : type_is_temporal(&t) ? TYPE_W_ZERO_STORED
                                                        : 0u);
            TRY(bind__cast(b, items[i].expr, &t, false, &items[i].expr));
            if (items[i].expr->kind == BEXPR_CAST && type_is_temporal(&t)) {
                items[i].expr->u.cast.name = arena_strdup(b->arena, common[i].name);
            }
            any = true;
        }
    }
    TRY(any ? bind__project(b, items, n, io) : ERR_OK);
    return bind__pad_side(b, common, n, io);
}

/* MYSQL: the rows of a union, and of a derived table that is not merged, lie in a table: their
 * columns are described as a table's. */
void bind_stored_type(struct sql_type *io)
{
    uint8_t not_null = io->flags & TYPE_F_NOT_NULL;
    if (io->id == TYPE_NULL) {
        *io = type_char(TYPE_VARBINARY, 0, COLL_BINARY);
    }
    if (io->id == TYPE_DECIMAL) { /* a literal may have more digits than a column */
        unsigned decimals = io->decimals;
        unsigned more = decimals > DECIMAL_SCALE_MAX ? decimals - DECIMAL_SCALE_MAX : 0u;
        bool none = io->length < decimals; /* MYSQL: digits before the point, by its count */
        unsigned precision = none ? DECIMAL_PRECISION_MAX : io->length - more;
        io->decimals = (uint8_t)(decimals - more);
        io->length = precision > DECIMAL_PRECISION_MAX ? DECIMAL_PRECISION_MAX : precision;
    }
    io->flags &= (uint8_t) ~(TYPE_F_EXPR | TYPE_F_BOOL | TYPE_F_BYTES_NUMBER);
    io->flags |= (uint8_t)(not_null | (io->id == TYPE_YEAR ? TYPE_F_ZEROFILL : 0));
    io->wire = 0;
}

/* MYSQL: a set operation's table keeps text of many characters in a TEXT, and text that is longer
 * than its type can hold in a wider one. */
static void widen_text(struct sql_type *io)
{
    enum { CHARS_MAX = 512, MEDIUM_BYTES_MAX = 0xffffff };
    bool is_short = io->id == TYPE_CHAR || io->id == TYPE_VARCHAR || io->id == TYPE_BINARY ||
                    io->id == TYPE_VARBINARY;
    if (is_short && io->length > CHARS_MAX) {
        uint32_t bytes = io->length * collation_by_id(io->collation)->cs->maxlen;
        uint8_t not_null = io->flags & TYPE_F_NOT_NULL;
        *io = type_blob(io->collation == COLL_BINARY ? TYPE_BLOB : TYPE_TEXT, io->collation);
        io->length = bytes;
        io->flags |= not_null;
    }
    if (!type_is_blob(io) || io->length <= VARCHAR_BYTES_MAX) {
        return;
    }
    bool text = io->id <= TYPE_LONGTEXT;
    bool is_long = io->length > MEDIUM_BYTES_MAX;
    io->id = text ? (is_long ? TYPE_LONGTEXT : TYPE_MEDIUMTEXT)
                  : (is_long ? TYPE_LONGBLOB : TYPE_MEDIUMBLOB);
}

/* What a projection gives as the column. */
static struct bexpr *projected(const struct lnode *n, col_id_t id)
{
    for (uint32_t i = 0; i < n->u.project.count; i++) {
        if (n->u.project.exprs[i].out == id) {
            return n->u.project.exprs[i].expr;
        }
    }
    return NULL;
}

/* The side of a join that has the column and that the join does not fill with NULLs. */
static const struct lnode *whole_side(const struct lnode *n, col_id_t id)
{
    enum join_kind kind = n->u.join.kind;
    if (kind != JOIN_RIGHT && kind != JOIN_FULL && lnode_gives(n->children[0], id)) {
        return n->children[0];
    }
    bool right = kind == JOIN_INNER || kind == JOIN_CROSS || kind == JOIN_RIGHT;
    return right && lnode_gives(n->children[1], id) ? n->children[1] : NULL;
}

/* The column of a common table expression's query that a reference shows as `id`. */
static col_id_t behind(const struct lnode *reference, const struct lnode *query, col_id_t id)
{
    for (uint32_t i = 0; i < reference->column_count; i++) {
        if (reference->columns[i].id == id) {
            return query->columns[i].id;
        }
    }
    return id;
}

struct bexpr *bind__constant_of(const struct binder *b, const struct lnode *n, col_id_t id)
{
    bool below = false; /* in a table of the query, of which only those that are merged are seen */
    while (n != NULL) {
        switch ((int)n->kind) {
        case LNODE_PROJECT: {
            struct bexpr *e = projected(n, id);
            if (n->u.project.derived && bind__items_repeat(n)) {
                return NULL;
            }
            if (e == NULL || e->kind != BEXPR_COLUMN) {
                return e != NULL && (e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM) ? e : NULL;
            }
            id = e->u.column.id;
            below = true;
            n = n->children[0];
            break;
        }
        case LNODE_FILTER: n = n->children[0]; break;
        case LNODE_DISTINCT:
        case LNODE_SORT:
        case LNODE_LIMIT: n = below ? NULL : n->children[0]; break;
        case LNODE_JOIN: n = whole_side(n, id); break;
        case LNODE_CTE_REF: {
            const struct lnode *query =
                n->u.cte_ref.working ? NULL : b->stmt->ctes[n->u.cte_ref.cte];
            id = query == NULL ? id : behind(n, query, id);
            below = true;
            n = query == NULL || bind__items_repeat(query) ? NULL : query;
            break;
        }
        default: return NULL;
        }
    }
    return NULL;
}

/* MYSQL: a variable that was never set is text of the connection in a set operation; only where it
 * stands for itself it is bytes. */
static void unset_as_text(const struct binder *b, const struct lcolumn *c, struct sql_type *io)
{
    if (c->made != MADE_VARIABLE || c->type.id != TYPE_VARBINARY) {
        return;
    }
    unsigned maxlen = collation_by_id(b->opts->connection_collation)->cs->maxlen;
    *io = type_char(TYPE_VARCHAR, VARCHAR_BYTES_MAX / maxlen, b->opts->connection_collation);
}

/* MYSQL: each column of all operands of a set operation is agreed on at once. No certain collation
 * is an error, but in what is an operand itself. */
static db_err common_columns(struct binder *b, enum ast_setop_kind op,
                             struct lnode *const *operands, uint32_t count, bool operand,
                             struct lcolumn **ret)
{
    static const char *const names[] = {[AST_SETOP_UNION] = "UNION",
                                        [AST_SETOP_INTERSECT] = "INTERSECT",
                                        [AST_SETOP_EXCEPT] = "EXCEPT"};
    uint32_t width = operands[0]->column_count;
    struct lcolumn *columns = BIND_ARRAY(b, struct lcolumn, width + 1);
    struct func_arg *args = BIND_ARRAY(b, struct func_arg, count);
    struct bexpr **made = BIND_ARRAY(b, struct bexpr *, count);
    if (columns == NULL || args == NULL || made == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < width; i++) {
        for (uint32_t n = 0; n < count; n++) {
            const struct lcolumn *from = &operands[n]->columns[i];
            args[n] = (struct func_arg){.type = from->type,
                                        .coercibility = from->coercibility,
                                        .text_collation = from->text_collation};
            unset_as_text(b, from, &args[n].type);
            made[n] = bind__constant_of(b, operands[n], from->id);
            if (made[n] != NULL && made[n]->kind == BEXPR_CONST) {
                struct func_arg of = bind__arg(made[n]);
                args[n].constant = of.constant;
                args[n].recoded = of.recoded;
            }
        }
        struct lcolumn *c = &columns[i];
        *c = operands[0]->columns[i];
        TRY(func_agree_type(&b->func, names[op], args, count, &c->type, &c->coercibility));
        for (uint32_t n = 0; n < count && type_is_string(&c->type); n++) {
            bool later = made[n] != NULL && made[n]->kind == BEXPR_PARAM;
            TRY(later ? bind__text_fits(b, made[n], c->type.collation) : ERR_OK);
        }
        c->table = c->org_table = c->schema = SLICE_EMPTY;
        c->org_name = c->name;
        if (!operand || c->type.id != TYPE_NULL) { /* MYSQL: NULL is of any type around it */
            bind_stored_type(&c->type);
        }
        widen_text(&c->type);
        c->made = MADE_STORED;
        c->own_char = true;
        c->text_collation = 0;
        c->copied = NULL;
        c->def = c->base = c->keyed = NULL;
        c->hidden = false;
    }
    for (uint32_t i = 0; i < width && !operand; i++) { /* after what any column's texts refuse */
        if (columns[i].coercibility == COERCIBILITY_MIX) {
            return my_error(b->diag, ER_CANT_AGGREGATE_NCOLLATIONS, "UNION");
        }
    }
    *ret = columns;
    return ERR_OK;
}

/* A set operation of two sides that have the common columns' types. */
static db_err set_node(struct binder *b, enum ast_setop_kind op, bool all, struct lnode *l,
                       struct lnode *r, const struct lcolumn *common, struct lnode **ret)
{
    struct lnode *n = bind__node(b, LNODE_SETOP, NULL);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->column_count = l->column_count;
    n->columns = BIND_ARRAY(b, struct lcolumn, n->column_count + 1);
    if (n->columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        n->columns[i] = common[i];
        n->columns[i].id = bind__new_col(b);
    }
    n->children[0] = l;
    n->children[1] = r;
    n->child_count = 2;
    n->u.setop.op = op;
    n->u.setop.distinct = !all;
    *ret = n;
    return ERR_OK;
}

db_err bind__setop(struct binder *b, enum ast_setop_kind op, bool all, struct lnode *l, uint32_t vl,
                   struct lnode *r, uint32_t vr, struct lnode **ret)
{
    if (vl != vr) {
        return my_error(b->diag, ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT);
    }
    struct lnode *sides[2] = {l, r};
    struct lcolumn *common;
    TRY(bind__trim(b, &sides[0], vl));
    TRY(bind__trim(b, &sides[1], vr));
    TRY(common_columns(b, op, sides, 2, false, &common));
    TRY(cast_side(b, &sides[0], common, vl));
    TRY(cast_side(b, &sides[1], common, vr));
    return set_node(b, op, all, sides[0], sides[1], common, ret);
}

/* The set operation that a body is, also one in parentheses; not one with an order or a limit of
 * its own, which makes its rows before they meet others. */
static const struct ast_setop *set_within(const struct ast_body *body)
{
    while (body->kind == AST_BODY_QUERY) {
        const struct ast_query *q = ((const struct ast_body_query *)body)->query;
        if (q->with != NULL || q->order_by.count != 0 || q->limit != NULL ||
            q->locking.count != 0 || q->into != NULL) {
            return NULL;
        }
        body = q->body;
    }
    return body->kind == AST_BODY_SETOP ? (const struct ast_setop *)body : NULL;
}

/* A side of a set operation that is one of the same kind, or NULL. */
static const struct ast_setop *of_kind(const struct ast_setop *s, const struct ast_body *side)
{
    const struct ast_setop *in = set_within(side);
    return in != NULL && in->op == s->op ? in : NULL;
}

/* Does it keep ALL, and so does each part of it (same_set)? */
static bool keeps_all(const struct ast_setop *s, bool in_table)
{
    bool left = s->op == AST_SETOP_INTERSECT || (s->op == AST_SETOP_UNION && in_table);
    bool right = s->op == AST_SETOP_INTERSECT;
    const struct ast_setop *l = s->all && left ? of_kind(s, s->left) : NULL;
    const struct ast_setop *r = s->all && right ? of_kind(s, s->right) : NULL;
    return s->all && (l == NULL || keeps_all(l, in_table)) && (r == NULL || keeps_all(r, in_table));
}

/* MYSQL: one operation of many operands is made of several of the same kind: a side that is one
 * itself, or NULL. A UNION that is DISTINCT begins one that keeps ALL whose rows lie in a table,
 * and is no part of another; INTERSECT ALL is none of one that keeps ALL; what EXCEPT takes away
 * stays one set. */
static const struct ast_setop *same_set(const struct ast_setop *s, const struct ast_body *side,
                                        bool in_table)
{
    const struct ast_setop *in = of_kind(s, side);
    bool part = false;
    if (in != NULL) {
        switch (s->op) {
        case AST_SETOP_UNION:
            part = !s->all || (in_table && side == s->left) || keeps_all(in, in_table);
            break;
        case AST_SETOP_INTERSECT: part = !s->all || !keeps_all(in, in_table); break;
        case AST_SETOP_EXCEPT: part = side == s->left; break;
        }
    }
    return part ? in : NULL;
}

/* What a set operation of many operands is made of, from left to right. */
struct operands {
    struct lnode **items;
    uint32_t count, next, width;
    bool in_table; /* the rows lie in a table */
};

static uint32_t operand_count(const struct ast_setop *s, bool in_table)
{
    const struct ast_setop *l = same_set(s, s->left, in_table);
    const struct ast_setop *r = same_set(s, s->right, in_table);
    return (l == NULL ? 1 : operand_count(l, in_table)) +
           (r == NULL ? 1 : operand_count(r, in_table));
}

static db_err bind_operands(struct binder *b, struct scope *parent, struct bsubquery *sub,
                            const struct ast_setop *s, struct operands *io)
{
    if (s->left->kind == AST_BODY_SELECT && ((const struct ast_select *)s->left)->into != NULL) {
        return my_error(b->diag, ER_MISPLACED_INTO);
    }
    const struct ast_body *const sides[2] = {s->left, s->right};
    bool as_set = b->rows_asked == ROWS_AS_SET && !(s->op == AST_SETOP_EXCEPT && s->all);
    for (int i = 0; i < 2; i++) {
        const struct ast_setop *in = same_set(s, sides[i], io->in_table);
        b->rows_asked = as_set ? ROWS_AS_SET : ROWS_EACH;
        if (in != NULL) {
            TRY(bind_operands(b, parent, sub, in, io));
            continue;
        }
        struct lnode *n;
        uint32_t visible;
        b->operand = true;
        TRY(bind_body(b, parent, sub, sides[i], NULL, &n, &visible));
        if (io->count > 0 && visible != io->width) {
            return my_error(b->diag, ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT);
        }
        TRY(bind__trim(b, &n, visible));
        io->width = visible;
        io->items[io->count++] = n;
    }
    return ERR_OK;
}

static db_err combine(struct binder *b, const struct ast_setop *s, struct operands *io,
                      const struct lcolumn *common, struct lnode **ret)
{
    const struct ast_body *const sides[2] = {s->left, s->right};
    struct lnode *made[2];
    for (int i = 0; i < 2; i++) {
        const struct ast_setop *in = same_set(s, sides[i], io->in_table);
        if (in != NULL) {
            TRY(combine(b, in, io, common, &made[i]));
        } else {
            made[i] = io->items[io->next++];
            TRY(cast_side(b, &made[i], common, io->width));
        }
    }
    return set_node(b, s->op, s->all, made[0], made[1], common, ret);
}

/* MYSQL: the WITH of a first operand in parentheses is the whole operation's. */
static db_err push_first_ctes(struct binder *b, struct scope *parent, struct bsubquery *sub,
                              const struct ast_body *body)
{
    while (body->kind == AST_BODY_QUERY || body->kind == AST_BODY_SETOP) {
        if (body->kind == AST_BODY_SETOP) {
            body = ((const struct ast_setop *)body)->left;
            continue;
        }
        const struct ast_query *q = ((const struct ast_body_query *)body)->query;
        TRY(bind__push_ctes(b, parent, sub, q->with));
        body = q->body;
    }
    return ERR_OK;
}

static db_err bind_setop(struct binder *b, struct scope *parent, struct bsubquery *sub,
                         const struct ast_setop *s, bool operand, struct lnode **ret,
                         uint32_t *ret_visible)
{
    struct cte_def *saved = b->ctes;
    bool stored = b->set_in_table;
    bool in_table = stored || s->op != AST_SETOP_UNION || !s->all;
    struct operands o = {.in_table = in_table};
    struct lcolumn *common;
    o.items = BIND_ARRAY(b, struct lnode *, operand_count(s, in_table));
    if (o.items == NULL) {
        return ERR_NOMEM;
    }
    b->set_in_table = in_table;
    enum rows_asked asked = b->rows_asked;
    b->rows_asked = ROWS_EACH;
    TRY(push_first_ctes(b, parent, sub, s->left));
    b->rows_asked = asked;
    TRY(bind_operands(b, parent, sub, s, &o));
    b->ctes = saved;
    b->set_in_table = stored;
    TRY(common_columns(b, s->op, o.items, o.count, operand, &common));
    *ret_visible = o.width;
    return combine(b, s, &o, common, ret);
}

/* alone: nothing reads the rows but the client, or who takes a whole query's.
 * MYSQL: a DECIMAL is shown then as each row has it, as no table keeps it before. */
static db_err bind_values(struct binder *b, struct scope *parent, struct bsubquery *sub,
                          const struct ast_values *v, bool alone, struct lnode **ret,
                          uint32_t *ret_visible)
{
    struct lnode *n = bind__node(b, LNODE_VALUES, NULL);
    uint32_t rows = v->rows.count;
    uint32_t width = v->rows.items[0]->items.count;
    struct scope scope = {.parent = parent, .sub = sub, .place = PLACE_VALUES};
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->u.values.rows = BIND_ARRAY(b, struct bexpr **, rows);
    n->columns = BIND_ARRAY(b, struct lcolumn, width + 1);
    struct bexpr **column = BIND_ARRAY(b, struct bexpr *, rows);
    if (n->u.values.rows == NULL || n->columns == NULL || column == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < rows; i++) {
        if (v->rows.items[i]->items.count != width) {
            return my_error(b->diag, ER_WRONG_VALUE_COUNT_ON_ROW, i + 1ul);
        }
        n->u.values.rows[i] = BIND_ARRAY(b, struct bexpr *, width + 1);
        if (n->u.values.rows[i] == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t c = 0; c < width; c++) {
            const struct ast_expr *e = v->rows.items[i]->items.items[c];
            if (e->kind == AST_EXPR_DEFAULT && ((const struct ast_column *)e)->name.ptr == NULL) {
                return my_error(b->diag, ER_TABLE_VALUE_CONSTRUCTOR_CANNOT_HAVE_DEFAULT);
            }
            struct bexpr **value = &n->u.values.rows[i][c];
            TRY(bind__expr(b, &scope, e, value));
            if ((*value)->kind == BEXPR_ROW) {
                return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
            }
        }
    }
    for (uint32_t c = 0; c < width; c++) {
        struct lcolumn *lc = &n->columns[c];
        for (uint32_t i = 0; i < rows; i++) {
            column[i] = n->u.values.rows[i][c];
        }
        TRY(bind__agree(b, "UNION", column, rows, &lc->type, &lc->coercibility));
        for (uint32_t i = 0; i < rows; i++) {
            TRY(alone ? bind__branch_decimals(b, &column[i]) : ERR_OK);
            n->u.values.rows[i][c] = column[i];
        }
        lc->id = bind__new_col(b);
        lc->made = MADE_LITERAL;
        const char *name = arena_printf(b->arena, "column_%u", (unsigned)c);
        if (name == NULL) {
            return ERR_NOMEM;
        }
        lc->name = slice_str(name);
    }
    n->u.values.row_count = rows;
    n->column_count = width;
    *ret = n;
    *ret_visible = width;
    return ERR_OK;
}

/* MYSQL: a view keeps SELECT of the columns that the table has now. */
static db_err complete_table(struct binder *b, const struct ast_body_table *t, bool unnamed,
                             struct ast_table_base *from, const struct select_item *items,
                             uint32_t count)
{
    if (!b->opts->complete_tree) {
        return ERR_OK;
    }
    struct ast_select *s = BIND_NEW(b, struct ast_select);
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->body = t->body;
    s->body.kind = AST_BODY_SELECT;
    s->from = &from->table;
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind__complete_star(b, &items[i].column, unnamed, &s->items));
    }
    ((struct ast_body_table *)(uintptr_t)t)->select = s;
    return ERR_OK;
}

static db_err bind_table(struct binder *b, struct scope *parent, struct bsubquery *sub,
                         const struct ast_body_table *t, struct lnode **ret, uint32_t *ret_visible)
{
    struct lnode *n;
    struct scope scope = {.place = PLACE_FIELDS, .parent = parent, .sub = sub};
    struct ast_table_base *from = BIND_NEW(b, struct ast_table_base);
    if (from == NULL) {
        return ERR_NOMEM;
    }
    from->table.kind = AST_TABLE_BASE;
    from->name = t->name;
    TRY(bind__from(b, &scope, &from->table, &n));
    TRY(b->locking == NULL ? ERR_OK : bind__lock_block(b, &t->body, n));
    struct select_item *items = BIND_ARRAY(b, struct select_item, n->column_count + 1);
    uint32_t count = 0;
    if (items == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        const struct lcolumn *c = &n->columns[i];
        if (c->def != NULL && (c->def->hidden || c->def->invisible)) {
            continue;
        }
        items[count].column = *c;
        items[count].expr = bind__column_expr(b, c);
        if (items[count].expr == NULL) {
            return ERR_NOMEM;
        }
        TRY(bind__need_star(b, c));
        count++;
    }
    if (&t->body == b->source_body) {
        b->source_columns = n->columns;
        b->source_column_count = n->column_count;
    }
    TRY(complete_table(b, t, sub != NULL, from, items, count));
    TRY(bind__project(b, items, count, &n));
    *ret = n;
    *ret_visible = count;
    return ERR_OK;
}

static db_err bind_body(struct binder *b, struct scope *parent, struct bsubquery *sub,
                        const struct ast_body *body, const struct ast_query *outer,
                        struct lnode **ret, uint32_t *ret_visible)
{
    bool operand = b->operand;
    b->operand = operand && body->kind == AST_BODY_SELECT;
    if (body->kind == AST_BODY_VALUES || body->kind == AST_BODY_TABLE) {
        b->rows_asked = ROWS_EACH;
    }
    switch (body->kind) {
    case AST_BODY_SELECT:
        return bind__select(b, parent, sub, (const struct ast_select *)body, outer, ret,
                            ret_visible);
    case AST_BODY_SETOP:
        return bind_setop(b, parent, sub, (const struct ast_setop *)body, operand, ret,
                          ret_visible);
    case AST_BODY_VALUES:
        return bind_values(b, parent, sub, (const struct ast_values *)body,
                           parent == NULL && sub == NULL && b->derived_depth == 0 && !operand, ret,
                           ret_visible);
    case AST_BODY_TABLE:
        return bind_table(b, parent, sub, (const struct ast_body_table *)body, ret, ret_visible);
    case AST_BODY_QUERY:
        b->operand = operand;
        return bind__query(b, parent, sub, ((const struct ast_body_query *)body)->query, ret,
                           ret_visible);
    }
    return ERR_INVALID;
}

db_err bind__body(struct binder *b, struct scope *parent, struct bsubquery *sub,
                  const struct ast_body *body, struct lnode **ret, uint32_t *ret_visible)
{
    return bind_body(b, parent, sub, body, NULL, ret, ret_visible);
}

/* Is it a set operation, also in parentheses? */
static bool is_set(const struct ast_body *body)
{
    while (body->kind == AST_BODY_QUERY) {
        body = ((const struct ast_body_query *)body)->query->body;
    }
    return body->kind == AST_BODY_SETOP;
}

/* ORDER BY 2; *ret NULL: it is no position. */
static db_err output_position(struct binder *b, const struct lnode *n, uint32_t visible,
                              const struct ast_expr *e, struct bexpr **ret)
{
    *ret = NULL;
    if (e->kind != AST_EXPR_LITERAL || ((const struct ast_literal *)e)->kind != AST_LIT_INT) {
        return ERR_OK;
    }
    uint64_t at = ((const struct ast_literal *)e)->u64;
    if (at == 0 || at > visible) {
        return my_error(b->diag, ER_BAD_FIELD_ERROR,
                        arena_printf(b->arena, "%llu", (unsigned long long)at), "order clause");
    }
    *ret = bind__column_expr(b, &n->columns[at - 1]);
    return *ret == NULL ? ERR_NOMEM : ERR_OK;
}

static db_err sort_output(struct binder *b, const struct ast_order_list *order, struct bexpr **keys,
                          const struct block_windows *windows, struct lnode **io)
{
    if (windows->count != 0) {
        TRY(bind__compute_windows(b, windows, keys, order->count, io));
    }
    struct lnode *s = bind__node(b, LNODE_SORT, *io);
    struct lsort_key *sorted = BIND_ARRAY(b, struct lsort_key, order->count);
    if (s == NULL || sorted == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < order->count; i++) {
        sorted[i] = (struct lsort_key){keys[i], order->items[i]->desc};
    }
    s->u.sort.keys = sorted;
    s->u.sort.count = order->count;
    *io = s;
    return ERR_OK;
}

/* ORDER BY after a set operation (or VALUES, TABLE, a query in parentheses): output names only. */
static db_err order_output(struct binder *b, struct scope *parent, struct bsubquery *sub,
                           const struct ast_query *q, struct lnode **io, uint32_t visible)
{
    const struct ast_order_list *order = &q->order_by;
    if (order->count == 0) {
        return ERR_OK;
    }
    bool rows = q->body->kind == AST_BODY_VALUES;
    struct block_windows windows = {0};
    struct scope scope = {.parent = parent,
                          .sub = sub,
                          .columns = (*io)->columns,
                          .count = visible,
                          .aggs_allowed = !rows,
                          .windows = rows ? NULL : &windows,
                          .place = PLACE_ORDER};
    bool set = is_set(q->body);
    struct bexpr **keys = BIND_ARRAY(b, struct bexpr *, order->count);
    if (keys == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < order->count; i++) {
        const struct ast_expr *e = order->items[i]->expr;
        TRY(output_position(b, *io, visible, e, &keys[i]));
        TRY(keys[i] != NULL ? ERR_OK : bind__scalar_expr(b, &scope, e, &keys[i]));
        if (scope.has_agg || (set && keys[i]->has_window)) {
            return my_error(b->diag,
                            set ? ER_AGGREGATE_ORDER_FOR_UNION : ER_AGGREGATE_ORDER_NON_AGG_QUERY,
                            (unsigned)(i + 1));
        }
    }
    return sort_output(b, order, keys, &windows, io);
}

/* MYSQL: SQL_CALC_FOUND_ROWS of the first SELECT is the whole set operation's. */
static bool counts_rows(const struct ast_body *body)
{
    for (;;) {
        if (body->kind == AST_BODY_SETOP) {
            body = ((const struct ast_setop *)body)->left;
        } else if (body->kind == AST_BODY_QUERY) {
            body = ((const struct ast_body_query *)body)->query->body;
        } else {
            return body->kind == AST_BODY_SELECT && (((const struct ast_select *)body)->options &
                                                     AST_SELECT_SQL_CALC_FOUND_ROWS) != 0;
        }
    }
}

db_err bind__order_limit(struct binder *b, struct scope *parent, struct bsubquery *sub,
                         const struct ast_query *q, struct lnode **io_root, uint32_t visible)
{
    TRY(order_output(b, parent, sub, q, io_root, visible));
    bool top = parent == NULL && sub == NULL && b->derived_depth == 0;
    return bind__limit(b, q->limit, top && counts_rows(q->body), io_root);
}

/* A LIMIT counts rows, and takes the first of them; whether there is any row at all stays the same
 * unless it passes over some. */
static enum rows_asked asked_within(const struct binder *b, const struct ast_query *q)
{
    bool any = b->rows_asked == ROWS_AS_SET && !b->operand;
    bool counts = q->limit != NULL && (!any || q->limit->offset != NULL);
    return counts ? ROWS_EACH : b->rows_asked;
}

static db_err whole_query(struct binder *b, struct scope *parent, struct bsubquery *sub,
                          const struct ast_query *q, struct lnode **ret_root, uint32_t *ret_visible)
{
    TRY(my_stack_reserve(b->diag, MY_STACK_STEP));
    struct cte_def *saved = b->ctes;
    const struct locking_tail *locking = b->locking;
    struct locking_tail tail;
    bool operand = b->operand, stored = b->set_in_table;
    enum rows_asked asked = asked_within(b, q);
    TRY(bind__begin_locking(b, q, &tail));
    b->operand = false;
    b->rows_asked = ROWS_EACH;
    TRY(bind__push_ctes(b, parent, sub, q->with));
    b->operand = operand;
    b->rows_asked = asked;
    b->set_in_table = stored || q->order_by.count != 0;
    struct lnode *root;
    uint32_t visible;
    if (q->body->kind == AST_BODY_SELECT) {
        TRY(bind_body(b, parent, sub, q->body, q, &root, &visible));
    } else {
        TRY(bind_body(b, parent, sub, q->body, NULL, &root, &visible));
        TRY(bind__order_limit(b, parent, sub, q, &root, visible));
    }
    b->ctes = saved;
    b->locking = locking;
    b->set_in_table = stored;
    *ret_root = root;
    *ret_visible = visible;
    return ERR_OK;
}

db_err bind__query(struct binder *b, struct scope *parent, struct bsubquery *sub,
                   const struct ast_query *q, struct lnode **ret_root, uint32_t *ret_visible)
{
    bool of_block = b->of_block;
    b->of_block = true;
    db_err err = whole_query(b, parent, sub, q, ret_root, ret_visible);
    b->of_block = of_block;
    return err;
}
