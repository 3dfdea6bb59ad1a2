/* Window functions.
 *
 * A call becomes a BEXPR_WINDOW that names a window of its block by number. When the rest of the
 * block is bound (and aggregated), the calls of each window become columns of one window node above
 * a sort by the window's partition and order; windows with equal partition and order stand on top
 * of one another, so that the later ones find their input sorted.
 *
 * A window may take its partition, and its order when it has none of its own, from a named one. */
#include "sql/bind/bind_window.h"

#include "sql/diag/my_error.h"

enum { OUTER_NAME_MAX = 1024 }; /* three names of 64 characters */

const char *bind__window_name(struct binder *b, const struct block_window *w)
{
    const char *s = arena_strdup(b->arena, w->name);
    return s == NULL ? "?" : s;
}

static db_err add_window(struct binder *b, struct scope *scope, const struct ast_window *ast,
                         uint32_t *ret)
{
    struct block_windows *all = scope->windows;
    struct block_window *w = BIND_NEW(b, struct block_window);
    if (all->count == all->cap) {
        uint32_t cap = all->cap == 0 ? 8 : all->cap * 2;
        struct block_window **list = BIND_ARRAY(b, struct block_window *, cap);
        if (list == NULL) {
            return ERR_NOMEM;
        }
        if (all->count != 0) {
            memcpy(list, all->list, all->count * sizeof(struct block_window *));
        }
        all->list = list;
        all->cap = cap;
    }
    if (w == NULL) {
        return ERR_NOMEM;
    }
    w->ast = ast;
    w->scope = scope;
    TRY(arena_copy(b->arena, ast->name.ptr != NULL ? ast->name : SLICE_LIT("<unnamed window>"),
                   &w->name));
    *ret = all->count;
    all->list[all->count++] = w;
    return ERR_OK;
}

static struct block_window *named(const struct block_windows *all, struct slice name)
{
    for (uint32_t i = 0; i < all->named; i++) {
        if (slice_eq_nocase(all->list[i]->name, name)) {
            return all->list[i];
        }
    }
    return NULL;
}

/* ---- partition and order ---- */

/* MYSQL: a key is no column of an enclosing block; an expression of one may be a key. */
static db_err not_outer(struct binder *b, const struct ast_expr *ast, const struct bexpr *e)
{
    if (e->kind != BEXPR_OUTER || ast->kind != AST_EXPR_COLUMN) {
        return ERR_OK;
    }
    const struct ast_column *named = (const struct ast_column *)ast;
    const struct lcolumn *c = e->u.column.origin;
    struct buf name;
    buf_init(&name, OUTER_NAME_MAX);
    db_err err = ERR_OK;
    if (c == NULL || !slice_eq_nocase(c->name, named->name)) { /* an alias */
        err = buf_append_slice(&name, named->name);
    } else {
        const struct slice parts[] = {c->schema, c->table, c->name};
        for (uint32_t i = 0; i < 3 && err == ERR_OK; i++) {
            err = i != 0 && name.len != 0 ? buf_append(&name, ".", 1) : ERR_OK;
            err = err == ERR_OK ? buf_append_slice(&name, parts[i]) : err;
        }
    }
    err = err == ERR_OK ? my_error(b->diag, ER_INVALID_OUTER_REFERENCE,
                                   arena_strdup(b->arena, buf_slice(&name)))
                        : err;
    buf_fini(&name);
    return err;
}

static db_err not_a_position(struct binder *b, const struct block_window *w,
                             const struct ast_expr *e)
{
    if (e->kind == AST_EXPR_LITERAL && ((const struct ast_literal *)e)->kind == AST_LIT_INT) {
        return my_error(b->diag, ER_WINDOW_ILLEGAL_ORDER_BY, bind__window_name(b, w));
    }
    return ERR_OK;
}

static db_err bind_keys(struct binder *b, struct block_window *w)
{
    const struct ast_window *a = w->ast;
    struct scope *scope = w->scope;
    if (a->partition_by.count != 0) {
        w->partition = BIND_ARRAY(b, struct bexpr *, a->partition_by.count);
    }
    struct lsort_key *order = BIND_ARRAY(b, struct lsort_key, a->order_by.count + 1);
    if ((a->partition_by.count != 0 && w->partition == NULL) || order == NULL) {
        return ERR_NOMEM;
    }
    scope->place = PLACE_WINDOW_PARTITION;
    for (uint32_t i = 0; i < a->partition_by.count; i++) {
        TRY(not_a_position(b, w, a->partition_by.items[i]));
        struct bexpr **key = &w->partition[w->partition_count];
        TRY(bind__window_key(b, scope, a->partition_by.items[i], key));
        TRY(not_outer(b, a->partition_by.items[i], *key));
        w->partition_count++;
    }
    scope->place = PLACE_WINDOW_ORDER;
    for (uint32_t i = 0; i < a->order_by.count; i++) {
        TRY(not_a_position(b, w, a->order_by.items[i]->expr));
        TRY(bind__window_key(b, scope, a->order_by.items[i]->expr, &order[i].expr));
        TRY(not_outer(b, a->order_by.items[i]->expr, order[i].expr));
        order[i].descending = a->order_by.items[i]->desc;
    }
    if (a->order_by.count != 0) {
        w->order = order;
        w->order_count = a->order_by.count;
    }
    return ERR_OK;
}

static db_err bind_window(struct binder *b, struct block_window *w);

/* MYSQL: a window that builds on a named one has that one's partition; it may add an order, and a
 * frame of its own. */
static db_err inherit(struct binder *b, struct block_window *w)
{
    const struct ast_window *a = w->ast;
    struct block_window *base = named(w->scope->windows, a->parent);
    if (base == NULL) {
        return my_error(b->diag, ER_WINDOW_NO_SUCH_WINDOW, arena_strdup(b->arena, a->parent));
    }
    TRY(bind_window(b, base));
    if (a->partition_by.count != 0) {
        return my_error(b->diag, ER_WINDOW_NO_CHILD_PARTITIONING);
    }
    if (base->frame != NULL) {
        return my_error(b->diag, ER_WINDOW_NO_INHERIT_FRAME, bind__window_name(b, base));
    }
    if (base->order_count != 0 && a->order_by.count != 0) {
        return my_error(b->diag, ER_WINDOW_NO_REDEFINE_ORDER_BY, bind__window_name(b, w),
                        bind__window_name(b, base));
    }
    /* Copies: the aggregation rewrites each window's expressions in place. */
    w->partition_count = base->partition_count;
    w->partition = BIND_ARRAY(b, struct bexpr *, base->partition_count + 1);
    if (w->partition == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < base->partition_count; i++) {
        w->partition[i] = bexpr_clone(b->arena, base->partition[i]);
        if (w->partition[i] == NULL) {
            return ERR_NOMEM;
        }
    }
    if (a->order_by.count == 0 && base->order_count != 0) {
        w->order_count = base->order_count;
        w->order = BIND_ARRAY(b, struct lsort_key, base->order_count);
        if (w->order == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t i = 0; i < base->order_count; i++) {
            w->order[i].descending = base->order[i].descending;
            w->order[i].expr = bexpr_clone(b->arena, base->order[i].expr);
            if (w->order[i].expr == NULL) {
                return ERR_NOMEM;
            }
        }
    }
    return ERR_OK;
}

/* ---- frames ---- */

static bool is_temporal(const struct sql_type *t)
{
    return type_is_temporal(t) && t->id != TYPE_YEAR;
}

static db_err check_range_bound(struct binder *b, const struct block_window *w,
                                const struct ast_frame_bound *f)
{
    if (!window_is_offset(f)) {
        return ERR_OK;
    }
    const char *name = bind__window_name(b, w);
    const struct sql_type *t = w->order_count == 1 ? &w->order[0].expr->type : NULL;
    if (t == NULL || type_is_string(t) || t->id >= TYPE_ENUM || w->order[0].expr->is_volatile) {
        return my_error(b->diag, ER_WINDOW_RANGE_FRAME_ORDER_TYPE, name);
    }
    bool interval = f->value->kind == AST_EXPR_INTERVAL;
    if (is_temporal(t) && !interval) {
        return my_error(b->diag, ER_WINDOW_RANGE_FRAME_TEMPORAL_TYPE, name);
    }
    if (!is_temporal(t) && interval) {
        return my_error(b->diag, ER_WINDOW_RANGE_FRAME_NUMERIC_TYPE, name);
    }
    return ERR_OK;
}

static db_err check_rows_bound(struct binder *b, const struct block_window *w,
                               const struct ast_frame_bound *f)
{
    if (!window_is_offset(f)) {
        return ERR_OK;
    }
    if (f->value->kind == AST_EXPR_INTERVAL) {
        return my_error(b->diag, ER_WINDOW_ROWS_INTERVAL_USE, bind__window_name(b, w));
    }
    if (f->value->kind == AST_EXPR_LITERAL &&
        ((const struct ast_literal *)f->value)->kind != AST_LIT_INT) {
        return my_error(b->diag, ER_WINDOW_FRAME_ILLEGAL, bind__window_name(b, w));
    }
    return ERR_OK;
}

static db_err check_frame(struct binder *b, const struct block_window *w)
{
    const struct ast_window *a = w->ast;
    if (a->frame_unit == AST_FRAME_GROUPS || a->exclude != AST_EXCLUDE_NONE) {
        return my_error(b->diag, ER_NOT_SUPPORTED_YET,
                        a->frame_unit == AST_FRAME_GROUPS ? "GROUPS" : "EXCLUDE");
    }
    if (a->start.kind == AST_BOUND_UNBOUNDED_FOLLOWING) {
        return my_error(b->diag, ER_WINDOW_FRAME_START_ILLEGAL, bind__window_name(b, w));
    }
    if (a->end.kind == AST_BOUND_UNBOUNDED_PRECEDING) {
        return my_error(b->diag, ER_WINDOW_FRAME_END_ILLEGAL, bind__window_name(b, w));
    }
    if (a->start.kind > a->end.kind) {
        return my_error(b->diag, ER_WINDOW_FRAME_ILLEGAL, bind__window_name(b, w));
    }
    if (a->frame_unit == AST_FRAME_ROWS) {
        TRY(check_rows_bound(b, w, &a->start));
        return check_rows_bound(b, w, &a->end);
    }
    TRY(check_range_bound(b, w, &a->start));
    return check_range_bound(b, w, &a->end);
}

static db_err define(struct binder *b, struct block_window *w)
{
    struct scope *scope = w->scope;
    if (w->in_progress) {
        return my_error(b->diag, ER_WINDOW_CIRCULARITY_IN_WINDOW_GRAPH);
    }
    if (w->bound) {
        return ERR_OK;
    }
    w->in_progress = true;
    enum bind_place place = scope->place;
    const char *outer = scope->in_window_spec;
    scope->in_window_spec = bind__window_name(b, w);
    if (w->ast->parent.ptr != NULL) {
        TRY(inherit(b, w));
    }
    TRY(bind_keys(b, w));
    scope->in_window_spec = outer;
    scope->place = place;
    if (w->ast->frame_unit != AST_FRAME_NONE) {
        TRY(check_frame(b, w));
        w->frame = w->ast;
    }
    w->in_progress = false;
    w->bound = true;
    return ERR_OK;
}

static db_err bind_window(struct binder *b, struct block_window *w)
{
    db_err err = define(b, w);
    w->scope->window_err = w->scope->window_err || err != ERR_OK;
    return err;
}

db_err bind__windows(struct binder *b, struct scope *scope, const struct ast_window_list *defs)
{
    struct block_windows *all = scope->windows;
    for (uint32_t i = 0; i < defs->count; i++) {
        uint32_t at;
        if (named(all, defs->items[i]->name) != NULL) {
            return my_error(b->diag, ER_WINDOW_DUPLICATE_NAME,
                            arena_strdup(b->arena, defs->items[i]->name));
        }
        TRY(add_window(b, scope, defs->items[i], &at));
        all->named = all->count;
    }
    for (uint32_t i = 0; i < all->named; i++) {
        TRY(bind_window(b, all->list[i]));
    }
    return ERR_OK;
}

static db_err window_of(struct binder *b, struct scope *scope, const struct ast_window *over,
                        uint32_t *ret)
{
    const struct block_windows *all = scope->windows;
    if (over->reference_only) {
        for (uint32_t i = 0; i < all->named; i++) {
            if (slice_eq_nocase(all->list[i]->name, over->parent)) {
                *ret = i;
                return ERR_OK;
            }
        }
        return my_error(b->diag, ER_WINDOW_NO_SUCH_WINDOW, arena_strdup(b->arena, over->parent));
    }
    uint32_t at;
    TRY(add_window(b, scope, over, &at));
    *ret = at;
    return bind_window(b, all->list[at]);
}

/* ---- calls ---- */

static enum window_func func_of(enum ast_agg_func f)
{
    switch ((int)f) {
    case AST_WIN_ROW_NUMBER: return WINDOW_ROW_NUMBER;
    case AST_WIN_RANK: return WINDOW_RANK;
    case AST_WIN_DENSE_RANK: return WINDOW_DENSE_RANK;
    case AST_WIN_PERCENT_RANK: return WINDOW_PERCENT_RANK;
    case AST_WIN_CUME_DIST: return WINDOW_CUME_DIST;
    case AST_WIN_NTILE: return WINDOW_NTILE;
    case AST_WIN_LEAD: return WINDOW_LEAD;
    case AST_WIN_LAG: return WINDOW_LAG;
    case AST_WIN_FIRST_VALUE: return WINDOW_FIRST_VALUE;
    case AST_WIN_LAST_VALUE: return WINDOW_LAST_VALUE;
    case AST_WIN_NTH_VALUE: return WINDOW_NTH_VALUE;
    default: return WINDOW_AGG;
    }
}

static db_err refuse(struct binder *b, struct scope *scope, const struct ast_aggregate *a)
{
    if (scope != NULL && scope->in_window_spec != NULL) {
        return my_error(b->diag, ER_WINDOW_NESTED_WINDOW_FUNC_USE_IN_WINDOW_SPEC,
                        scope->in_window_spec);
    }
    if (scope == NULL || scope->windows == NULL || scope->in_agg > 0 || scope->in_window_call) {
        return my_error(b->diag, ER_WINDOW_INVALID_WINDOW_FUNC_USE, bind__agg_name(a->func));
    }
    const char *feature = NULL;
    if (a->ignore_nulls) {
        feature = "IGNORE NULLS";
    } else if (a->from_last) {
        feature = "FROM LAST";
    } else if (a->func == AST_AGG_GROUP_CONCAT) {
        feature = "group_concat as window function";
    } else if (a->distinct && a->func != AST_AGG_MIN && a->func != AST_AGG_MAX) {
        feature = "<window function>(DISTINCT ..)";
    }
    scope->window_err = scope->window_err || feature != NULL;
    return feature == NULL ? ERR_OK : my_error(b->diag, ER_NOT_SUPPORTED_YET, feature);
}

/* The argument that is the same for all rows: a number, a parameter or a user variable. */
static db_err bind_number(struct binder *b, struct scope *scope, const struct ast_aggregate *a,
                          const struct ast_expr *e, struct bexpr **ret)
{
    if (e->kind == AST_EXPR_COLUMN) {
        return my_error(b->diag, ER_SP_UNDECLARED_VAR,
                        arena_strdup(b->arena, ((const struct ast_column *)e)->name));
    }
    bool number =
        e->kind == AST_EXPR_LITERAL && ((const struct ast_literal *)e)->kind == AST_LIT_INT;
    if (!number && e->kind != AST_EXPR_PARAM && e->kind != AST_EXPR_USER_VAR) {
        return my_error(b->diag, ER_WRONG_ARGUMENTS, bind__agg_name(a->func));
    }
    struct sql_type t = type_int(TYPE_BIGINT, false);
    TRY(bind__expr(b, scope, e, ret));
    return e->kind == AST_EXPR_LITERAL ? ERR_OK : bind__cast(b, *ret, &t, false, ret);
}

static db_err bind_arguments(struct binder *b, struct scope *scope, const struct ast_aggregate *a,
                             struct bexpr *e)
{
    uint32_t n = a->star ? 0 : a->args.count;
    enum window_func f = (enum window_func)e->u.agg.window_func;
    int number = f == WINDOW_NTILE                                              ? 0
                 : f == WINDOW_LEAD || f == WINDOW_LAG || f == WINDOW_NTH_VALUE ? 1
                                                                                : -1;
    e->args = BIND_ARRAY(b, struct bexpr *, n + 1);
    if (e->args == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        if ((int)i == number) {
            TRY(bind_number(b, scope, a, a->args.items[i], &e->u.agg.number));
        } else {
            struct bexpr *arg;
            TRY(bind__scalar_expr(b, scope, a->args.items[i], &arg));
            if (f != WINDOW_AGG) {
                TRY(bind__refuse_vector(b, bind__agg_name(a->func), arg));
            }
            TRY(bind__settle_decimal(b, &arg));
            e->args[e->arg_count++] = arg;
        }
    }
    return ERR_OK;
}

/* A value of another row is of its argument's type. */
static void row_value_type(struct bexpr *e, const struct sql_type *t)
{
    e->type = *t;
    e->type.flags &= (uint8_t) ~(t->id == TYPE_YEAR ? 0 : TYPE_F_ZEROFILL);
}

static db_err type_lead(struct binder *b, const struct ast_aggregate *a, struct bexpr *e)
{
    struct sql_type t = e->args[0]->type;
    bool not_null = false;
    e->coercibility = e->args[0]->coercibility;
    if (e->arg_count == 2) {
        TRY(bind__note_branches(b, e->args, 2));
        TRY(bind__agree(b, bind__agg_name(a->func), e->args, 2, &t, &e->coercibility));
        not_null = (t.flags & TYPE_F_NOT_NULL) != 0;
        if (t.id == TYPE_DECIMAL && e->args[1]->placeholder) { /* with the decimals of the type */
            TRY(bind__cast(b, e->args[1], &t, false, &e->args[1]));
        }
    }
    func_agreed_sign(&t);
    row_value_type(e, &t);
    e->type.flags =
        (uint8_t)((e->type.flags & ~TYPE_F_NOT_NULL) | (not_null ? TYPE_F_NOT_NULL : 0));
    return ERR_OK;
}

/* MYSQL: result types. Numbers of rows are unsigned; values have their argument's type. */
static db_err type_call(struct binder *b, const struct ast_aggregate *a, struct bexpr *e)
{
    switch ((enum window_func)e->u.agg.window_func) {
    case WINDOW_AGG: {
        const struct agg_def *def = agg_find(slice_str(bind__agg_name(a->func)));
        if (def == NULL) {
            return my_error(b->diag, ER_NOT_SUPPORTED_YET, bind__agg_name(a->func));
        }
        TRY(bind__agg_call(b, a, def, e));
        e->u.agg.call->distinct = false;
        return ERR_OK;
    }
    case WINDOW_ROW_NUMBER:
    case WINDOW_RANK:
    case WINDOW_DENSE_RANK:
    case WINDOW_NTILE:
        e->type = type_int(TYPE_BIGINT, true);
        e->type.length = 21;
        e->type.flags |= TYPE_F_NOT_NULL;
        return ERR_OK;
    case WINDOW_PERCENT_RANK:
    case WINDOW_CUME_DIST:
        e->type = type_double();
        e->type.length = 23;
        e->type.flags |= TYPE_F_NOT_NULL;
        return ERR_OK;
    case WINDOW_LEAD:
    case WINDOW_LAG: return type_lead(b, a, e);
    case WINDOW_FIRST_VALUE:
    case WINDOW_LAST_VALUE:
    case WINDOW_NTH_VALUE: break;
    }
    row_value_type(e, &e->args[0]->type);
    e->coercibility = e->args[0]->coercibility;
    e->type.flags = (uint8_t)(e->type.flags & ~TYPE_F_NOT_NULL);
    return ERR_OK;
}

/* MYSQL: a member of ENUM or SET in another row is its text. */
static db_err names_as_text(struct binder *b, struct bexpr *e)
{
    if (e->u.agg.window_func == WINDOW_AGG || e->arg_count == 0 ||
        (e->args[0]->type.id != TYPE_ENUM && e->args[0]->type.id != TYPE_SET)) {
        return ERR_OK;
    }
    uint8_t coercibility = e->args[0]->coercibility;
    struct sql_type t =
        type_char(TYPE_VARCHAR, e->args[0]->type.length, e->args[0]->type.collation);
    TRY(bind__cast(b, e->args[0], &t, false, &e->args[0]));
    e->args[0]->coercibility = coercibility;
    return ERR_OK;
}

db_err bind__window(struct binder *b, struct scope *scope, const struct ast_aggregate *a,
                    struct bexpr **ret)
{
    struct sql_type t = type_null();
    TRY(refuse(b, scope, a));
    struct bexpr *e = bind__new(b, BEXPR_WINDOW, &t, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->u.agg.window_func = func_of(a->func);
    enum bind_place place = scope->place;
    scope->place = PLACE_FIELDS;
    scope->in_window_call = true;
    db_err err = bind_arguments(b, scope, a, e);
    scope->in_window_call = false;
    if (err == ERR_OK) {
        err = window_of(b, scope, a->over, &e->u.agg.window);
    }
    scope->place = place;
    TRY(err);
    TRY(names_as_text(b, e));
    TRY(type_call(b, a, e));
    if (scope->count != 0) {              /* MYSQL: they are columns of a table */
        if (!type_is_integer(&e->type)) { /* see bind__window_item() */
            e->type.flags = (uint8_t)(e->type.flags & ~TYPE_F_EXPR);
        }
        if (e->type.id == TYPE_CHAR || e->type.id == TYPE_BINARY) {
            e->type.id = e->type.id == TYPE_CHAR ? TYPE_VARCHAR : TYPE_VARBINARY;
        }
    } else {
        e->type.flags |= TYPE_F_EXPR;
    }
    bind__inherit(e);
    e->has_window = true;
    e->is_const = false;
    *ret = e;
    return ERR_OK;
}

void bind__window_item(struct bexpr *e)
{
    enum { INT_CHARS_MAX = 9 };
    if (e->kind == BEXPR_WINDOW && type_is_integer(&e->type)) {
        uint8_t flags = (uint8_t)(e->type.flags & ~(TYPE_F_EXPR | TYPE_F_ZEROFILL));
        uint32_t chars = type_int_chars(&e->type);
        e->type =
            type_int(chars > INT_CHARS_MAX ? TYPE_BIGINT : TYPE_INT, type_is_unsigned(&e->type));
        e->type.length = chars;
        e->type.flags = flags;
    }
}
