/* What the columns of a set operation's operands have in common, and what lies behind a column. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"

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

db_err bind__cast_operand(struct binder *b, struct lnode **io, const struct lcolumn *common,
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

db_err bind__common_columns(struct binder *b, enum ast_setop_kind op, struct lnode *const *operands,
                            uint32_t count, bool operand, struct lcolumn **ret)
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
