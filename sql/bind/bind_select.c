/* One SELECT block: FROM, WHERE, select list, GROUP BY, HAVING, DISTINCT, ORDER BY, LIMIT.
 *
 * The tree, from the bottom: FROM → filter (WHERE) → aggregate → filter (HAVING) → project (select
 * list, then hidden ORDER BY expressions) → distinct → sort → limit. The first `visible` columns of
 * the result are the client's. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/types/cast.h"
#include "sql/types/sql_mode.h"

struct block {
    struct scope scope;
    const struct ast_select *ast;
    struct lnode *root;
    struct select_item *items;
    uint32_t count;
    struct bexpr **having;
    uint32_t having_count;
    struct lsort_key *order;
    uint32_t order_count;
    struct block_windows *windows;
    bool grouped; /* by GROUP BY */
};

static db_err add_item(struct binder *b, struct block *k, const struct select_item *item)
{
    if (k->count >= CATALOG_COLUMNS_MAX) {
        return my_error(b->diag, ER_TOO_MANY_FIELDS);
    }
    if ((k->count & (k->count + 1)) == 0) { /* grow at 0, 1, 3, 7, ... */
        struct select_item *grown = BIND_ARRAY(b, struct select_item, (k->count + 1) * 2);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (k->count != 0) {
            memcpy(grown, k->items, k->count * sizeof(*grown));
        }
        k->items = grown;
    }
    k->items[k->count++] = *item;
    return ERR_OK;
}

static db_err expand_star(struct binder *b, struct block *k, const struct ast_column *star,
                          struct ast_select_list *io_completed)
{
    bool any = false;
    bool known_table = false;
    for (uint32_t i = 0; i < k->scope.count; i++) {
        const struct lcolumn *c = &k->scope.columns[i];
        if (star->table.ptr != NULL) {
            if (!slice_eq(c->table, star->table) ||
                (star->schema.ptr != NULL && !slice_eq(c->schema, star->schema))) {
                continue;
            }
            known_table = true;
        } else if (c->hidden) {
            continue;
        }
        if (c->def != NULL && (c->def->hidden || c->def->invisible)) {
            continue;
        }
        struct select_item item = {.name = c->name, .column = *c};
        item.expr = bind__column_expr(b, c);
        if (item.expr == NULL) {
            return ERR_NOMEM;
        }
        TRY(add_item(b, k, &item));
        TRY(bind__need_star(b, c));
        TRY(bind__complete_star(b, c, k->scope.sub != NULL, io_completed));
        any = true;
    }
    if (star->table.ptr != NULL && !known_table) {
        return my_error(b->diag, ER_BAD_TABLE_ERROR, arena_strdup(b->arena, star->table));
    }
    if (!any && star->table.ptr == NULL) {
        return my_error(b->diag, ER_NO_TABLES_USED);
    }
    return ERR_OK;
}

static const struct lcolumn *column_by_id(const struct scope *s, col_id_t id)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->columns[i].id == id) {
            return &s->columns[i];
        }
    }
    return NULL;
}

/* MYSQL: the name that an item has from its text ends after as many bytes, with a whole character.
 */
static void shorten(struct slice *io)
{
    enum { NAME_BYTES_MAX = 255 };
    if (io->len > NAME_BYTES_MAX) {
        io->len = NAME_BYTES_MAX;
        while (io->len > 0 && ((unsigned char)io->ptr[io->len] & 0xC0) == 0x80) {
            io->len--;
        }
    }
}

/* MYSQL: names are utf8mb3: a character beyond it is shown as a question mark. */
static void plane_zero(struct slice *io)
{
    uint8_t *p = (uint8_t *)(uintptr_t)io->ptr;
    size_t n = 0;
    for (size_t i = 0; i < io->len; i++) {
        if (p[i] >= 0xf0) {
            p[n++] = '?';
            i += 3;
        } else {
            p[n++] = p[i];
        }
    }
    io->len = n;
}

/* Bytes as a name: what does not show at its start is dropped, what is no UTF-8 is a question mark.
 */
static db_err clean_name(struct binder *b, struct slice text, struct slice *ret)
{
    const struct charset *utf8 = collation_by_id(COLL_UTF8MB4_BIN)->cs;
    uint8_t *p = arena_alloc(b->arena, text.len + 1);
    size_t n = 0;
    if (p == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < text.len;) {
        uint32_t cp;
        unsigned len = charset_decode(utf8, text.ptr + i, text.ptr + text.len, &cp);
        if (n != 0 || (len > 1 || (len == 1 && cp > ' ' && cp != 0x7f))) {
            memcpy(p + n, len == 0 ? (const uint8_t *)"?" : text.ptr + i, len == 0 ? 1 : len);
            n += len == 0 ? 1 : len;
        }
        i += len == 0 ? 1 : len;
    }
    *ret = slice_of(p, n);
    return ERR_OK;
}

/* NAME_CONST names its value. */
static db_err const_name(struct binder *b, const struct bexpr *e, struct slice *io)
{
    const struct bexpr *call = e->kind == BEXPR_CONST ? e->folded : e;
    if (call == NULL || call->kind != BEXPR_FUNC ||
        strcmp(call->u.func->def->name, "name_const") != 0 || call->args[0]->kind != BEXPR_CONST) {
        return ERR_OK;
    }
    const struct bexpr *named = call->args[0];
    struct value text = named->u.constant;
    if (text.phys != PHYS_STR) {
        struct cast_ctx cast;
        struct sql_type t = func_text_type(func_text_chars(&named->type), COLL_UTF8MB4_BIN);
        cast_ctx_init(&cast, b->arena, b->diag);
        TRY(value_cast(&cast, &named->type, &named->u.constant, &t, &text));
    }
    return clean_name(b, text.str, io);
}

/* A literal's text is in the client's charset, names are UTF-8. */
static db_err from_client(struct binder *b, struct slice *io)
{
    const struct charset *utf8 = collation_by_id(COLL_UTF8MB4_BIN)->cs;
    const struct collation *client =
        b->opts->charset_client == 0 ? NULL : collation_by_id(b->opts->charset_client);
    if (client == NULL || client->cs->maxlen == 0 || utf8_is_ascii(*io)) {
        return ERR_OK;
    }
    return charset_convert_arena(client->cs, *io, utf8, b->arena, io, NULL);
}

static bool is_pi(const struct bexpr *e)
{
    return e->kind == BEXPR_FUNC && strcmp(e->u.func->def->name, "pi") == 0;
}

/* Notes what the item is, for CREATE TABLE ... SELECT. */
static void note_made(const struct block *k, const struct bexpr *e, struct lcolumn *io)
{
    io->made = MADE_CALL;
    if (e->kind == BEXPR_CONST && (e->folded == NULL || is_pi(e->folded))) {
        io->made = MADE_LITERAL;
    } else if (e->kind == BEXPR_WINDOW) {
        io->made = MADE_WINDOW;
    } else if (e->kind == BEXPR_SUBQUERY_SCALAR) {
        io->made = MADE_SUBQUERY;
    } else if (e->kind == BEXPR_USER_VAR) {
        io->made = MADE_VARIABLE;
    } else if (e->kind == BEXPR_AGG) {
        const char *name = e->u.agg.call->def->name;
        io->made = strcmp(name, "group_concat") == 0 ? MADE_CONCAT
                   : strcmp(name, "any_value") == 0  ? MADE_CALL
                                                     : MADE_SUM;
        bool copies = strcmp(name, "min") == 0 || strcmp(name, "max") == 0;
        const struct bexpr *of = e->arg_count == 1 ? e->args[0] : NULL;
        if (of != NULL && of->kind == BEXPR_CAST && !of->u.cast.explicit_cast) {
            of = of->args[0]; /* ENUM as text */
        }
        if (copies && of != NULL && of->kind == BEXPR_COLUMN) {
            const struct lcolumn *c = column_by_id(&k->scope, of->u.column.id);
            io->copied = c == NULL ? NULL : c->def;
        }
    }
}

/* MYSQL: a column is named after its alias, its column, the first part of a text literal, or its
 * source text. */
static db_err name_item(struct binder *b, struct block *k, const struct ast_select_item *a,
                        struct select_item *it)
{
    struct slice name = a->text;
    const struct ast_expr *e = a->expr;
    while (e->kind == AST_EXPR_UNARY && ((const struct ast_unary *)e)->op == AST_OP_PLUS) {
        e = ((const struct ast_unary *)e)->arg; /* MYSQL: a sign that does nothing is not there */
    }
    bool inner = e != a->expr || (e->flags & AST_EXPR_PARENS) != 0;
    struct func_arg own = bind__arg(it->expr);
    it->column = (struct lcolumn){.type = it->expr->type,
                                  .coercibility = own.coercibility,
                                  .text_collation = own.text_collation};
    note_made(k, it->expr, &it->column);
    if (it->expr->kind == BEXPR_COLUMN) {
        const struct lcolumn *c = column_by_id(&k->scope, it->expr->u.column.id);
        if (c != NULL) {
            it->column = *c;
            it->column.hidden = false;
        }
        if (e->kind == AST_EXPR_COLUMN) {
            name = c != NULL && c->own_name ? c->name : ((const struct ast_column *)e)->name;
        }
    } else if (e->kind == AST_EXPR_COLUMN) {
        name = ((const struct ast_column *)e)->name;
    } else if (e->kind == AST_EXPR_FUNC) {
        TRY(const_name(b, it->expr, &name));
        if (slice_eq_nocase(((const struct ast_func *)e)->name, SLICE_LIT("ifnull"))) {
            it->column.made = MADE_IFNULL;
        }
    } else if (e->kind == AST_EXPR_LITERAL) {
        const struct ast_literal *l = (const struct ast_literal *)e;
        if (l->kind == AST_LIT_STRING) {
            name = slice_of(l->text.ptr, l->first_part_len);
            while (name.len != 0 && name.ptr[0] <= ' ') {
                name = slice_from(name, 1);
            }
            TRY(from_client(b, &name));
        } else if (l->kind == AST_LIT_NULL) {
            name = SLICE_LIT("NULL");
        } else if (inner && l->text.len != 0 &&
                   (l->kind == AST_LIT_INT || l->kind == AST_LIT_DECIMAL ||
                    l->kind == AST_LIT_FLOAT)) {
            name = l->text;
        }
    }
    if (it->expr->kind == BEXPR_CAST && a->expr->kind == AST_EXPR_CAST &&
        it->expr->u.cast.name == NULL) {
        it->expr->u.cast.name = arena_strdup(b->arena, a->text);
    }
    it->has_alias = a->alias.ptr != NULL;
    if (it->has_alias) {
        name = a->alias;
    }
    TRY(arena_copy(b->arena, name, &it->name));
    plane_zero(&it->name);
    if (!it->has_alias) {
        shorten(&it->name);
    }
    it->column.name = it->name;
    if (it->expr->kind == BEXPR_WINDOW && k->scope.count != 0) {
        it->column.org_name = it->name;
    }
    return ERR_OK;
}

static db_err bind_items(struct binder *b, struct block *k)
{
    struct ast_select_list completed = {0};
    k->scope.place = PLACE_FIELDS;
    k->scope.aggs_allowed = true;
    k->scope.windows = k->windows;
    k->scope.ast_items = &k->ast->items;
    TRY(bind__windows(b, &k->scope, &k->ast->windows));
    for (uint32_t i = 0; i < k->ast->items.count; i++) {
        const struct ast_select_item *a = k->ast->items.items[i];
        if (a->expr->kind == AST_EXPR_STAR) {
            TRY(expand_star(b, k, (const struct ast_column *)a->expr, &completed));
            continue;
        }
        struct select_item it = {.ast = a->expr};
        TRY(bind__expr(b, &k->scope, a->expr, &it.expr));
        if (it.expr->kind == BEXPR_ROW) {
            return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
        }
        it.expr->item = it.expr->is_volatile ? bind__new_col(b) : 0;
        TRY(name_item(b, k, a, &it));
        TRY(bind__complete_item(b, a, it.name, k->scope.sub != NULL, &completed));
        TRY(add_item(b, k, &it));
        k->scope.items = k->items;
        k->scope.item_count = k->count;
    }
    bind__complete_items(b, k->ast, &completed);
    return ERR_OK;
}

/* ORDER BY 2: a bare integer names a select item. */
static db_err by_position(struct binder *b, const struct select_item *items, uint32_t count,
                          const struct ast_expr *e, enum bind_place place, struct bexpr **ret)
{
    *ret = NULL;
    if (e->kind != AST_EXPR_LITERAL || ((const struct ast_literal *)e)->kind != AST_LIT_INT) {
        return ERR_OK;
    }
    uint64_t n = ((const struct ast_literal *)e)->u64;
    if (n == 0 || n > count) {
        return my_error(b->diag, ER_BAD_FIELD_ERROR,
                        arena_printf(b->arena, "%llu", (unsigned long long)n),
                        bind__place_name(place));
    }
    *ret = bexpr_clone(b->arena, items[n - 1].expr);
    return *ret == NULL ? ERR_NOMEM : ERR_OK;
}

static db_err bind_order(struct binder *b, struct block *k, const struct ast_order_list *order)
{
    k->scope.place = PLACE_ORDER;
    k->scope.aggs_allowed = true;
    k->scope.windows = k->windows;
    if (order->count == 0) {
        return ERR_OK;
    }
    k->order = BIND_ARRAY(b, struct lsort_key, order->count);
    if (k->order == NULL) {
        return ERR_NOMEM;
    }
    bool aggregated = k->scope.grouped || k->scope.has_agg;
    for (uint32_t i = 0; i < order->count; i++) {
        struct bexpr *e;
        TRY(by_position(b, k->items, k->count, order->items[i]->expr, PLACE_ORDER, &e));
        if (e == NULL) {
            const struct ast_expr *a = order->items[i]->expr;
            if (a->kind == AST_EXPR_COLUMN) {
                TRY(bind__listed_item(b, &k->scope, (const struct ast_column *)a, &e));
            }
            TRY(e != NULL ? ERR_OK : bind__scalar_expr(b, &k->scope, a, &e));
            TRY(bind__selected(b, k->items, k->count, &e));
        }
        if (k->scope.has_agg && !aggregated && (e->has_agg || !e->has_window)) {
            return my_error(b->diag, ER_AGGREGATE_ORDER_NON_AGG_QUERY, (unsigned)(i + 1));
        }
        if (e->is_const || e->kind == BEXPR_CONST) {
            continue; /* a constant orders nothing */
        }
        k->order[k->order_count++] = (struct lsort_key){e, order->items[i]->desc};
    }
    return ERR_OK;
}

static db_err bind_having(struct binder *b, struct block *k)
{
    if (k->ast->having == NULL) {
        return ERR_OK;
    }
    k->scope.place = PLACE_HAVING;
    k->scope.aggs_allowed = true;
    k->scope.windows = NULL;
    return bind__conjuncts(b, &k->scope, k->ast->having, &k->having, &k->having_count);
}

db_err bind__project(struct binder *b, struct select_item *items, uint32_t count,
                     struct lnode **io_root)
{
    struct lnode *p = bind__node(b, LNODE_PROJECT, *io_root);
    struct lproj *exprs = BIND_ARRAY(b, struct lproj, count + 1);
    struct lcolumn *cols = BIND_ARRAY(b, struct lcolumn, count + 1);
    if (p == NULL || exprs == NULL || cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        exprs[i].expr = items[i].expr;
        exprs[i].out = bind__new_col(b);
        cols[i] = items[i].column;
        cols[i].id = exprs[i].out;
        cols[i].type = items[i].expr->type;
        cols[i].coercibility = items[i].expr->coercibility;
        if (items[i].column.def != NULL) {
            cols[i].type.flags = items[i].column.type.flags;
        }
        items[i].column.id = exprs[i].out;
    }
    p->u.project.exprs = exprs;
    p->u.project.count = count;
    p->columns = cols;
    p->column_count = count;
    *io_root = p;
    return ERR_OK;
}

/* Which projected column an ORDER BY expression is; added as a hidden one when it is none. */
static db_err order_columns(struct binder *b, struct block *k)
{
    for (uint32_t i = 0; i < k->order_count; i++) {
        uint32_t at = 0;
        while (at < k->count && !bexpr_equal(k->items[at].expr, k->order[i].expr)) {
            at++;
        }
        if (at == k->count) {
            struct select_item extra = {.expr = k->order[i].expr};
            extra.column.type = extra.expr->type;
            extra.column.hidden = true;
            TRY(add_item(b, k, &extra));
        }
        k->order[i].expr =
            (struct bexpr *)(uintptr_t)(at + 1); /* item number, resolved after projection */
    }
    return ERR_OK;
}

static db_err sort_input(struct binder *b, struct block *k)
{
    if (k->order_count == 0) {
        return ERR_OK;
    }
    struct lnode *s = bind__node(b, LNODE_SORT, k->root);
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->u.sort.keys = k->order;
    s->u.sort.count = k->order_count;
    k->root = s;
    return ERR_OK;
}

static db_err sort_node(struct binder *b, struct block *k)
{
    for (uint32_t i = 0; i < k->order_count; i++) {
        uint32_t at = (uint32_t)((uintptr_t)k->order[i].expr - 1);
        struct lcolumn c = k->items[at].column;
        c.type = k->items[at].expr->type;
        k->order[i].expr = bind__made_column(b, &c);
        if (k->order[i].expr == NULL) {
            return ERR_NOMEM;
        }
    }
    return sort_input(b, k);
}

/* MYSQL: SELECT @n := @n + 1 ... ORDER BY x LIMIT 3 counts the rows that are shown, in their order,
 * unless rows are kept between: in groups, windows, or because the order asks for the value. */
static bool assigns_last(const struct block *k, const struct ast_query *outer, bool distinct)
{
    bool kept = distinct || k->grouped || k->scope.has_agg || k->windows->count != 0;
    if (kept || outer == NULL || (k->order_count == 0 && outer->limit == NULL)) {
        return false;
    }
    for (uint32_t i = 0; i < k->order_count; i++) {
        if (k->order[i].expr->is_volatile || k->order[i].expr->has_subquery) {
            return false;
        }
    }
    for (uint32_t i = 0; i < k->count; i++) {
        if (bexpr_assigns(k->items[i].expr)) {
            return true;
        }
    }
    return false;
}

/* MYSQL: a name can only be a stored program's variable. */
static db_err limit_number(struct binder *b, const struct ast_expr *e)
{
    return e == NULL || e->kind != AST_EXPR_COLUMN
               ? ERR_OK
               : my_error(b->diag, ER_SP_UNDECLARED_VAR,
                          arena_strdup(b->arena, ((const struct ast_column *)e)->name));
}

db_err bind__limit(struct binder *b, const struct ast_limit *limit, bool calc_found_rows,
                   struct lnode **io_root)
{
    if (limit == NULL && !calc_found_rows) {
        return ERR_OK;
    }
    struct lnode *n = bind__node(b, LNODE_LIMIT, *io_root);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    struct scope none = {.place = PLACE_LIMIT};
    b->stmt->unsafe = b->stmt->unsafe || limit != NULL;
    if (limit != NULL) {
        TRY(limit_number(b, limit->count));
        TRY(limit_number(b, limit->offset));
        TRY(bind__expr(b, &none, limit->count, &n->u.limit.limit));
        if (limit->offset != NULL) {
            TRY(bind__expr(b, &none, limit->offset, &n->u.limit.offset));
        }
    }
    n->u.limit.calc_found_rows = calc_found_rows;
    if (calc_found_rows) {
        bind__warn_text(b, ER_WARN_DEPRECATED_SYNTAX,
                        "SQL_CALC_FOUND_ROWS is deprecated and will be removed in a future "
                        "release. Consider using two separate queries instead.");
    }
    *io_root = n;
    return ERR_OK;
}

static db_err having_filter(struct binder *b, struct block *k)
{
    if (k->having_count == 0) {
        return ERR_OK;
    }
    struct lnode *f = bind__node(b, LNODE_FILTER, k->root);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    f->u.filter.conjuncts = k->having;
    f->u.filter.count = k->having_count;
    k->root = f;
    return ERR_OK;
}

/* MYSQL: where a block's rows are asked for as a set, its groups are not made when nothing is
 * computed of them; so any column may be selected, and each row has its own. */
static bool is_grouped(const struct block *k, enum rows_asked asked)
{
    bool computed = k->scope.has_agg || k->ast->having != NULL || k->windows->count != 0 ||
                    k->ast->group_mode == AST_GROUP_ROLLUP;
    for (uint32_t i = 0; i < k->count; i++) {
        computed = computed || k->items[i].expr->has_agg; /* GROUPING() */
    }
    return k->ast->group_by.count != 0 && (computed || asked != ROWS_AS_SET);
}

/* All expressions of the block above its input, in one list for the aggregation to rewrite in
 * place. */
static db_err aggregate_block(struct binder *b, struct block *k)
{
    uint32_t total = k->count + k->having_count + k->order_count;
    struct bexpr **all = BIND_ARRAY(b, struct bexpr *, total + 1);
    if (all == NULL) {
        return ERR_NOMEM;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        all[n++] = k->items[i].expr;
    }
    for (uint32_t i = 0; i < k->having_count; i++) {
        all[n++] = k->having[i];
    }
    for (uint32_t i = 0; i < k->order_count; i++) {
        all[n++] = k->order[i].expr;
    }
    struct bind_agg_input in = {&k->scope,       k->ast, all,      k->count,
                                k->having_count, total,  k->items, k->windows};
    TRY(bind__aggregation(b, &in, &k->root));
    n = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        k->items[i].expr = all[n++];
        if (k->ast->group_mode == AST_GROUP_ROLLUP && k->items[i].column.def != NULL) {
            /* MYSQL: what may be summed up is no column any more. */
            k->items[i].column = (struct lcolumn){.type = k->items[i].expr->type,
                                                  .coercibility = k->items[i].expr->coercibility,
                                                  .name = k->items[i].name,
                                                  .made = MADE_CALL};
        }
    }
    for (uint32_t i = 0; i < k->having_count; i++) {
        k->having[i] = all[n++];
    }
    for (uint32_t i = 0; i < k->order_count; i++) {
        k->order[i].expr = all[n++];
    }
    return ERR_OK;
}

/* Splits off the aggregation; under ONLY_FULL_GROUP_BY, what it refuses comes before what DISTINCT
 * does. */
static db_err group_block(struct binder *b, struct block *k, bool distinct)
{
    bool grouped = k->grouped || k->scope.has_agg;
    struct bind_distinct_input in = {&k->scope, NULL, k->count, NULL, k->order_count, NULL};
    bool check =
        distinct && k->order_count != 0 && (b->opts->sql_mode & SQL_MODE_ONLY_FULL_GROUP_BY) != 0;
    if (check) {
        struct bexpr **asked = BIND_ARRAY(b, struct bexpr *, k->count + k->order_count);
        if (asked == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t i = 0; i < k->count; i++) {
            asked[i] = k->items[i].expr;
        }
        for (uint32_t i = 0; i < k->order_count; i++) {
            asked[k->count + i] = k->order[i].expr;
        }
        in.items = asked;
        in.order = asked + k->count;
    }
    if (grouped) {
        TRY(aggregate_block(b, k));
        in.aggregate = k->root;
    } else if (k->ast->group_by.count != 0) {
        struct bind_agg_input idle = {
            .scope = &k->scope, .ast = k->ast, .item_count = k->count, .items = k->items};
        TRY(bind__idle_groups(b, &idle));
    }
    return check ? bind__distinct_order(b, &in) : ERR_OK;
}

/* Window functions stand in the select list and in ORDER BY. */
static db_err window_block(struct binder *b, struct block *k)
{
    struct bexpr **all = BIND_ARRAY(b, struct bexpr *, k->count + k->order_count + 1);
    if (all == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < k->count; i++) {
        if (k->scope.count != 0) {
            bind__window_item(k->items[i].expr);
        }
        all[i] = k->items[i].expr;
    }
    for (uint32_t i = 0; i < k->order_count; i++) {
        all[k->count + i] = k->order[i].expr;
    }
    TRY(bind__compute_windows(b, k->windows, all, k->count + k->order_count, &k->root));
    for (uint32_t i = 0; i < k->count; i++) {
        k->items[i].expr = all[i];
    }
    for (uint32_t i = 0; i < k->order_count; i++) {
        k->order[i].expr = all[k->count + i];
    }
    return ERR_OK;
}

static db_err bind_where(struct binder *b, struct block *k)
{
    struct ast_expr *where = k->ast->where;
    TRY(bind__filter(b, &k->scope, where, &k->root));
    if (k->ast->group_mode == AST_GROUP_PLAIN) {
        TRY(bind__last_id(b, &k->scope, &where, k->root));
        bind__complete_where(b, &k->ast->where, where);
    }
    return ERR_OK;
}

static db_err bind_input(struct binder *b, struct block *k)
{
    for (uint32_t i = 0; i < k->ast->items.count && k->ast->from == NULL; i++) {
        const struct ast_expr *e = k->ast->items.items[i]->expr;
        if (e->kind == AST_EXPR_STAR && ((const struct ast_column *)e)->table.ptr == NULL) {
            return my_error(b->diag, ER_NO_TABLES_USED);
        }
    }
    if (k->ast->from == NULL) {
        TRY(bind__block_hints(b, &k->scope, k->ast->hints, NULL));
        k->root = bind__node(b, LNODE_DUAL, NULL);
        if (k->root == NULL) {
            return ERR_NOMEM;
        }
    } else {
        k->scope.place = PLACE_FIELDS;
        TRY(bind__block_hints(b, &k->scope, k->ast->hints, k->ast->from));
        k->scope.straight = (k->ast->options & AST_SELECT_STRAIGHT_JOIN) != 0;
        TRY(bind__from(b, &k->scope, k->ast->from, &k->root));
    }
    k->scope.columns = k->root->columns;
    k->scope.count = k->root->column_count;
    return k->scope.skip_on ? ERR_OK : bind_where(b, k);
}

/* The block's input; `condition_of` is set when one of its own conditions is wrong. */
static db_err input_of(struct binder *b, struct block *k)
{
    db_err err = bind_input(b, k);
    bool of_condition = k->scope.place == PLACE_WHERE || k->scope.place == PLACE_ON;
    if (err == ERR_SQL && of_condition && !bind__is_told(b, k->ast)) {
        /* a block around it comes first */
        b->condition_of = k->ast;
    }
    return err;
}

/* The second run: what is wrong in the select list comes before it, then in WHERE, then in the
 * joins' conditions. MYSQL: windows come later. */
static db_err tell_first(struct binder *b, struct block *k)
{
    k->scope.skip_on = true;
    TRY(bind_input(b, k));
    struct scope of_where = k->scope;
    db_err err = bind_items(b, k);
    if (err == ERR_OK) {
        err = bind__filter(b, &of_where, k->ast->where, &k->root);
        err = err == ERR_OK ? bind__joins_later(b, &of_where) : err;
    } else if (err == ERR_SQL && k->scope.window_err) {
        err = ERR_OK;
    }
    if (err == ERR_OK) {
        *b->diag = *b->condition_err;
        err = ERR_SQL;
    }
    return err;
}

static db_err refuse_later(struct binder *b, const struct ast_select *s)
{
    if (s->qualify != NULL) {
        /* MYSQL: answered so by a server with its default optimizer. */
        return my_error(b->diag, ER_SUPPORTED_ONLY_WITH_HYPERGRAPH, "QUALIFY clause");
    }
    if (s->group_mode == AST_GROUP_CUBE) {
        return my_error(b->diag, ER_SUPPORTED_ONLY_WITH_HYPERGRAPH, "CUBE");
    }
    return ERR_OK;
}

/* MYSQL: what is true or false where it stands is a number as a derived column, or from a subquery
 * over a table, in JSON too. */
static void numbers_of_truth(struct block *k, uint32_t visible)
{
    for (uint32_t i = 0; i < visible; i++) {
        k->items[i].expr->type.flags &= (uint8_t)~TYPE_F_BOOL;
        k->items[i].column.type.flags &= (uint8_t)~TYPE_F_BOOL;
    }
}

/* In the order of rows an item is still the value: that is selected once more. */
static db_err order_by_value(struct binder *b, struct block *k, uint32_t at)
{
    uint32_t value_at = k->count;
    for (uint32_t i = 0; i < k->order_count; i++) {
        if ((uintptr_t)k->order[i].expr != at + 1) {
            continue;
        }
        if (value_at == k->count) {
            struct select_item value = {.expr = k->items[at].expr};
            value.column.type = value.expr->type;
            value.column.hidden = true;
            TRY(add_item(b, k, &value));
        }
        k->order[i].expr = (struct bexpr *)(uintptr_t)(value_at + 1);
    }
    return ERR_OK;
}

static db_err sent_bits(struct binder *b, struct block *k, uint32_t visible, bool sorted)
{
    for (uint32_t i = 0; i < visible; i++) {
        struct bexpr *text;
        TRY(bind__sent_text(b, k->items[i].expr, &text));
        if (text == NULL) {
            continue;
        }
        struct sql_type *type = BIND_NEW(b, struct sql_type);
        if (type == NULL) {
            return ERR_NOMEM;
        }
        TRY(sorted ? ERR_OK : order_by_value(b, k, i));
        *type = k->items[i].expr->type;
        k->items[i].column.announced = type;
        k->items[i].expr = text;
    }
    return ERR_OK;
}

db_err bind__select(struct binder *b, struct scope *parent, struct bsubquery *sub,
                    const struct ast_select *s, const struct ast_query *outer,
                    struct lnode **ret_root, uint32_t *ret_visible)
{
    struct block_windows windows = {0};
    struct block k = {.scope = {.parent = parent,
                                .sub = sub,
                                .grouped = s->group_by.count != 0,
                                .group_by = &s->group_by},
                      .ast = s,
                      .windows = &windows};
    enum rows_asked asked = b->rows_asked;
    b->rows_asked = ROWS_EACH;
    bool operand = b->operand;
    b->operand = false;
    TRY(refuse_later(b, s));
    if (s->into != NULL && s != b->into_select) {
        return my_error(b->diag, ER_MISPLACED_INTO);
    }
    if (bind__is_told(b, s)) {
        return tell_first(b, &k);
    }
    TRY(input_of(b, &k));
    TRY(b->locking == NULL ? ERR_OK : bind__lock_block(b, &s->body, k.root));
    TRY(bind_items(b, &k));
    k.scope.items = k.items;
    k.scope.item_count = k.count;
    k.scope.items_known = true;
    TRY(bind__grouped_names(b, &k.scope));
    uint32_t visible = k.count;
    TRY(bind_having(b, &k));
    if (outer != NULL) {
        TRY(bind_order(b, &k, &outer->order_by));
    }
    bool one_row = s->group_by.count == 0 && k.scope.has_agg && windows.count == 0;
    if (one_row || asked != ROWS_EACH) {
        k.order_count = 0; /* MYSQL: one row needs no order, whatever it names */
    }
    k.grouped = is_grouped(&k, asked);
    bool distinct = (s->options & AST_SELECT_DISTINCT) != 0 && asked != ROWS_AS_SET;
    if ((s->options & AST_SELECT_SQL_NO_CACHE) != 0) {
        bind__warn_text(b, ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT,
                        "'SQL_NO_CACHE' is deprecated and will be removed in a future release.");
    }
    TRY(group_block(b, &k, distinct));
    if (&s->body == b->source_body && s->group_by.count == 0 && !k.scope.has_agg) {
        b->source_columns = k.scope.columns;
        b->source_column_count = k.scope.count;
    }
    TRY(having_filter(b, &k));
    if (windows.count != 0) {
        TRY(window_block(b, &k));
    }
    bool last = assigns_last(&k, outer, distinct);
    TRY(last ? sort_input(b, &k) : order_columns(b, &k));
    bool at_top = outer != NULL && parent == NULL && sub == NULL && b->derived_depth == 0;
    bool kept = distinct || windows.count != 0 || k.grouped;
    if (&s->body == b->sent && !kept) {
        TRY(sent_bits(b, &k, visible, last));
    }
    if (at_top && !operand && !kept) {
        for (uint32_t i = 0; i < visible; i++) {
            TRY(bind__own_decimals(b, k.items[i].expr));
        }
    }
    if (sub != NULL ? s->from != NULL : b->derived_depth > 0) {
        numbers_of_truth(&k, visible);
    }
    const struct ast_limit *limit = outer != NULL ? outer->limit : NULL;
    bool calc = at_top && (s->options & AST_SELECT_SQL_CALC_FOUND_ROWS) != 0;
    TRY(last ? bind__limit(b, limit, calc, &k.root) : ERR_OK);
    TRY(bind__project(b, k.items, k.count, &k.root));
    *ret_visible = visible;
    if (last) {
        *ret_root = k.root;
        return ERR_OK;
    }
    if (distinct) {
        k.root = bind__node(b, LNODE_DISTINCT, k.root);
        if (k.root == NULL) {
            return ERR_NOMEM;
        }
        k.root->u.distinct.keys = visible; /* what ORDER BY reads makes no more rows distinct */
    }
    TRY(sort_node(b, &k));
    TRY(bind__limit(b, limit, calc, &k.root));
    *ret_root = k.root;
    return ERR_OK;
}
