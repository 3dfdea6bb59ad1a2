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
        return bind__set_chain(b, parent, sub, (const struct ast_setop *)body, operand, ret,
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
            body = ((const struct ast_setop *)body)->first;
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
