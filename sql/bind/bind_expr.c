/* One expression of the grammar becomes one bound expression. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/types/temporal.h"

static db_err bind_list(struct binder *b, struct scope *scope, const struct ast_expr_list *list,
                        struct bexpr ***ret)
{
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, list->count + 1);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(bind__expr(b, scope, list->items[i], &args[i]));
    }
    *ret = args;
    return ERR_OK;
}

static db_err not_a_row(struct binder *b, const struct bexpr *e)
{
    return e->kind == BEXPR_ROW ? my_error(b->diag, ER_OPERAND_COLUMNS, 1) : ERR_OK;
}

db_err bind__scalar_expr(struct binder *b, struct scope *scope, const struct ast_expr *ast,
                         struct bexpr **ret)
{
    TRY(bind__expr(b, scope, ast, ret));
    return not_a_row(b, *ret);
}

/* MYSQL: JSON that is a condition by itself is told of when the statement (of a view, its
 * definition) is looked at, however often it is computed. IF and CASE convert it and say nothing.
 */
static void told_of_json(struct binder *b, const struct bexpr *condition)
{
    if (condition->type.id == TYPE_JSON && !b->opts->prepared && b->views == NULL) {
        bind__warn(b, ER_IMPLICIT_COMPARISON_FOR_JSON);
    }
}

static db_err bind_unary(struct binder *b, struct scope *scope, const struct ast_unary *u,
                         struct bexpr **ret)
{
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 1);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind__expr(b, scope, u->arg, &args[0]));
    TRY(not_a_row(b, args[0]));
    switch ((int)u->op) {
    case AST_OP_PLUS: *ret = args[0]; return ERR_OK;
    case AST_OP_NEG: return bind__op(b, "op_neg", args, 1, ret);
    case AST_OP_BIT_NOT: return bind__op(b, "op_bitnot", args, 1, ret);
    case AST_OP_NOT: told_of_json(b, args[0]); return bind__op(b, "op_not", args, 1, ret);
    default: break;
    }
    return bind__cast_binary(b, args[0], ret);
}

static const char *binary_name(enum ast_op op)
{
    switch ((int)op) {
    case AST_OP_XOR: return "op_xor";
    case AST_OP_ADD: return "op_add";
    case AST_OP_SUB: return "op_sub";
    case AST_OP_MUL: return "op_mul";
    case AST_OP_DIV: return "op_div";
    case AST_OP_INT_DIV: return "op_intdiv";
    case AST_OP_MOD: return "op_mod";
    case AST_OP_BIT_AND: return "op_bitand";
    case AST_OP_BIT_OR: return "op_bitor";
    case AST_OP_BIT_XOR: return "op_bitxor";
    case AST_OP_SHIFT_LEFT: return "op_shl";
    case AST_OP_SHIFT_RIGHT: return "op_shr";
    case AST_OP_CONCAT: return "op_concat";
    case AST_OP_JSON_EXTRACT: return "op_json_extract";
    default: return "op_member_of";
    }
}

/* a SOUNDS LIKE b is SOUNDEX(a) = SOUNDEX(b). */
static db_err bind_sounds_like(struct binder *b, struct bexpr *x, struct bexpr *y,
                               struct bexpr **ret)
{
    const struct func_def *def = func_find(SLICE_LIT("soundex"));
    struct bexpr *sides[2] = {x, y};
    for (int i = 0; i < 2; i++) {
        struct bexpr **arg = BIND_ARRAY(b, struct bexpr *, 1);
        if (arg == NULL) {
            return ERR_NOMEM;
        }
        arg[0] = sides[i];
        TRY(bind__call(b, def, arg, 1, &sides[i]));
    }
    return bind__comparison(b, AST_OP_EQ, sides[0], sides[1], ret);
}

/* a AND b AND c is a left-leaning tree: collected into one node without deep recursion. */
static db_err bind_logic(struct binder *b, struct scope *scope, const struct ast_binary *e,
                         struct bexpr **ret)
{
    uint32_t n = 1;
    const struct ast_expr *left = &e->expr;
    while (left->kind == AST_EXPR_BINARY && ((const struct ast_binary *)left)->op == e->op) {
        left = ((const struct ast_binary *)left)->left;
        n++;
    }
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, n);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    const struct ast_expr *at = &e->expr;
    const struct ast_expr **order = BIND_ARRAY(b, const struct ast_expr *, n);
    if (order == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = n; i-- > 1;) {
        order[i] = ((const struct ast_binary *)at)->right;
        at = ((const struct ast_binary *)at)->left;
    }
    order[0] = at;
    for (uint32_t i = 0; i < n; i++) {
        TRY(bind__expr(b, scope, order[i], &args[i]));
        TRY(not_a_row(b, args[i]));
        told_of_json(b, args[i]);
    }
    return bind__logic(b, e->op == AST_OP_AND ? BEXPR_AND : BEXPR_OR, args, n, ret);
}

static db_err bind_binary(struct binder *b, struct scope *scope, const struct ast_binary *e,
                          struct bexpr **ret)
{
    if (e->op == AST_OP_AND || e->op == AST_OP_OR) {
        return bind_logic(b, scope, e, ret);
    }
    bool arithmetic = e->op == AST_OP_ADD || e->op == AST_OP_SUB;
    if (arithmetic && e->right->kind == AST_EXPR_INTERVAL) {
        return bind__interval(b, scope, e->left, (const struct ast_interval *)e->right,
                              e->op == AST_OP_SUB, ret);
    }
    if (arithmetic && e->left->kind == AST_EXPR_INTERVAL) {
        return bind__interval(b, scope, e->right, (const struct ast_interval *)e->left, false, ret);
    }
    struct bexpr *x;
    struct bexpr *y;
    TRY(bind__expr(b, scope, e->left, &x));
    TRY(bind__expr(b, scope, e->right, &y));
    if (e->op >= AST_OP_EQ && e->op <= AST_OP_GE) {
        return bind__comparison(b, e->op, x, y, ret);
    }
    TRY(not_a_row(b, x));
    TRY(not_a_row(b, y));
    if (e->op == AST_OP_XOR) {
        told_of_json(b, x);
        told_of_json(b, y);
    }
    if (e->op == AST_OP_JSON_UNQUOTE) {
        struct bexpr **one = BIND_ARRAY(b, struct bexpr *, 1);
        if (one == NULL) {
            return ERR_NOMEM;
        }
        TRY(bind__op2(b, "op_json_extract", x, y, &one[0]));
        return bind__op(b, "json_unquote", one, 1, ret);
    }
    if (e->op == AST_OP_SOUNDS_LIKE) {
        return bind_sounds_like(b, x, y, ret);
    }
    return bind__op2(b, binary_name(e->op), x, y, ret);
}

static db_err bind_is(struct binder *b, struct scope *scope, const struct ast_is *e,
                      struct bexpr **ret)
{
    static const char *const names[][2] = {{"op_is_null", "op_is_not_null"},
                                           {"op_is_true", "op_is_not_true"},
                                           {"op_is_false", "op_is_not_false"},
                                           {"op_is_null", "op_is_not_null"}};
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 1);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind__expr(b, scope, e->arg, &args[0]));
    TRY(not_a_row(b, args[0]));
    if (e->test == AST_IS_TRUE || e->test == AST_IS_FALSE) {
        told_of_json(b, args[0]);
    }
    return bind__op(b, names[e->test][e->negated], args, 1, ret);
}

static db_err bind_like(struct binder *b, struct scope *scope, const struct ast_like *e,
                        struct bexpr **ret)
{
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 3);
    struct bexpr **one = BIND_ARRAY(b, struct bexpr *, 1);
    if (args == NULL || one == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind__expr(b, scope, e->arg, &args[0]));
    TRY(bind__expr(b, scope, e->pattern, &args[1]));
    TRY(not_a_row(b, args[0]));
    TRY(not_a_row(b, args[1]));
    uint32_t n = 2;
    if (e->escape != NULL) {
        TRY(bind__expr(b, scope, e->escape, &args[2]));
        n = 3;
    }
    TRY(bind__op(b, e->regexp ? "op_regexp" : "op_like", args, n, &one[0]));
    if (!e->negated) {
        *ret = one[0];
        return ERR_OK;
    }
    return bind__op(b, "op_not", one, 1, ret);
}

/* MYSQL: CASE of text compares dates and times as text; a parameter is of their type. */
static db_err time_as_text(struct binder *b, const struct bexpr *value, struct bexpr **when)
{
    enum type_id id = value->type.id;
    bool text = type_is_string(&value->type) || id == TYPE_ENUM || id == TYPE_SET;
    if (!text || value->placeholder || !type_is_temporal(&(*when)->type)) {
        return ERR_OK;
    }
    uint16_t collation = value->type.collation;
    struct sql_type t =
        type_char(TYPE_VARCHAR, TEMPORAL_TEXT_MAX,
                  collation == COLL_BINARY ? b->opts->connection_collation : collation);
    return bind__cast(b, *when, &t, false, when);
}

/* MYSQL: a parameter is as the first that is none, the value behind the WHENs. */
static db_err note_whens(struct binder *b, struct bexpr *value, struct bexpr *const *whens,
                         uint32_t n)
{
    struct bexpr **order = BIND_ARRAY(b, struct bexpr *, n + 1);
    if (order == NULL) {
        return ERR_NOMEM;
    }
    memcpy(order, whens, n * sizeof(*whens));
    order[n] = value;
    return bind__note_compared(b, order, n + 1, BIND_COMPARED_PAIR);
}

/* CASE value WHEN when: each becomes its comparison; args: the n whens, and what they lead to.
 * MYSQL: texts agree on one collation for all comparisons. */
static db_err compare_whens(struct binder *b, struct bexpr **value, struct bexpr **args, uint32_t n,
                            struct bexpr **ret_held)
{
    struct bexpr **all = BIND_ARRAY(b, struct bexpr *, n + 1);
    if (all == NULL) {
        return ERR_NOMEM;
    }
    all[0] = *value;
    for (uint32_t i = 0; i < n; i++) {
        all[i + 1] = args[2 * i];
    }
    TRY(note_whens(b, *value, all + 1, n));
    TRY(bind__agree_texts(b, "case", true, all, n + 1));
    *value = all[0];
    TRY(bind__hold(b, value, ret_held));
    for (uint32_t i = 0; i < n; i++) {
        struct bexpr *v = i == 0 ? *value : bexpr_clone(b->arena, *value);
        if (v == NULL) {
            return ERR_NOMEM;
        }
        TRY(time_as_text(b, v, &all[i + 1]));
        TRY(bind__json_when(b, &v, &all[i + 1]));
        b->func.by_value = true;
        db_err err = bind__comparison_among(b, AST_OP_EQ, v, all[i + 1], &args[2 * i]);
        b->func.by_value = false;
        TRY(err);
    }
    return ERR_OK;
}

static db_err bind_case(struct binder *b, struct scope *scope, const struct ast_case *c,
                        struct bexpr **ret)
{
    uint32_t n = c->whens.count;
    uint32_t total = 2 * n + 1; /* a missing ELSE is NULL */
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, total);
    struct bexpr **results = BIND_ARRAY(b, struct bexpr *, n + 1);
    if (args == NULL || results == NULL) {
        return ERR_NOMEM;
    }
    struct bexpr *value = NULL;
    struct bexpr *held = NULL;
    if (c->value != NULL) {
        TRY(bind__scalar_expr(b, scope, c->value, &value));
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(bind__scalar_expr(b, scope, c->whens.items[i]->when, &args[2 * i]));
        if (value == NULL) {
            TRY(bind__json_condition(b, &args[2 * i]));
        }
        TRY(bind__scalar_expr(b, scope, c->whens.items[i]->then, &results[i]));
    }
    if (c->otherwise != NULL) {
        TRY(bind__scalar_expr(b, scope, c->otherwise, &results[n]));
    } else {
        struct value null = value_null();
        struct sql_type t = type_null();
        TRY(bind__const(b, &null, &t, 6, &results[n]));
    }
    if (value != NULL) {
        TRY(compare_whens(b, &value, args, n, &held));
    }
    struct sql_type type;
    uint8_t coercibility;
    TRY(bind__note_branches(b, results, c->otherwise != NULL ? n + 1 : n));
    TRY(bind__agree_branches(b, "case", results, c->otherwise != NULL ? n + 1 : n, &type,
                             &coercibility));
    if (c->otherwise == NULL) {
        type.flags = (uint8_t)(type.flags & ~TYPE_F_NOT_NULL);
        TRY(type.id == TYPE_NULL ? ERR_OK : bind__cast(b, results[n], &type, false, &results[n]));
    }
    for (uint32_t i = 0; i < n; i++) {
        args[2 * i + 1] = results[i];
    }
    args[2 * n] = results[n];
    struct bexpr *e = bind__new(b, BEXPR_CASE, &type, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->args = args;
    e->arg_count = total;
    e->coercibility = coercibility;
    bind__inherit(e);
    *ret = e;
    return bind__release(b, held, value, ret);
}

static db_err bind_row(struct binder *b, struct scope *scope, const struct ast_row *r,
                       struct bexpr **ret)
{
    struct sql_type t = type_null();
    struct bexpr *e = bind__new(b, BEXPR_ROW, &t, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind_list(b, scope, &r->items, &e->args));
    e->arg_count = r->items.count;
    bind__inherit(e);
    *ret = e;
    return ERR_OK;
}

/* What a variable can hold: BIGINT, DECIMAL, DOUBLE or text. */
static db_err user_var_kind(struct binder *b, struct bexpr **io)
{
    struct sql_type t = (*io)->type;
    uint8_t not_null = t.flags & TYPE_F_NOT_NULL;
    switch ((int)t.id) {
    case TYPE_DECIMAL:
    case TYPE_JSON:
    case TYPE_GEOMETRY: return ERR_OK;
    case TYPE_VECTOR: t = type_blob(TYPE_LONGBLOB, COLL_BINARY); break;
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
        t = type_double();
        t.length = 23;
        break;
    case TYPE_NULL: t = type_char(TYPE_VARBINARY, 0, COLL_BINARY); break;
    default:
        if (type_is_string(&t)) {
            return ERR_OK;
        }
        if (type_phys(&t) == PHYS_INT && t.id != TYPE_ENUM && t.id != TYPE_SET) {
            t = type_int(TYPE_BIGINT, type_is_unsigned(&(*io)->type) || t.id == TYPE_BIT);
            t.length = (*io)->type.length;
        } else {
            bool names = t.id == TYPE_ENUM || t.id == TYPE_SET;
            t = func_text_type(func_text_chars(&t),
                               names ? t.collation : b->opts->connection_collation);
        }
        break;
    }
    t.flags |= (uint8_t)(not_null | TYPE_F_EXPR);
    return bind__cast(b, *io, &t, false, io);
}

static db_err bind_user_var(struct binder *b, struct scope *scope, const struct ast_user_var *v,
                            struct bexpr **ret)
{
    struct sql_type t =
        type_char(TYPE_VARCHAR, VARCHAR_BYTES_MAX / 4, b->opts->connection_collation);
    uint16_t collation = t.collation;
    bool set = v->expr.kind == AST_EXPR_USER_ASSIGN;
    bool loaded = !set && bind__load_variable(b, v->name, &t);
    struct bexpr *value = NULL;
    if (set) {
        TRY(bind__expr(b, scope, v->value, &value));
        TRY(not_a_row(b, value));
        TRY(user_var_kind(b, &value));
        if (value->type.id == TYPE_JSON) { /* MYSQL: a variable keeps the text */
            struct sql_type text = type_blob(TYPE_LONGTEXT, COLL_UTF8MB4_BIN);
            TRY(bind__cast(b, value, &text, true, &value));
        }
        t = value->type;
    } else if (!loaded && b->opts->user_var_type != NULL &&
               !b->opts->user_var_type(b->opts->env, v->name, &t, &collation)) {
        t = type_null();
        collation = 0;
    }
    struct bexpr *e = bind__new(b, set ? BEXPR_USER_VAR_SET : BEXPR_USER_VAR, &t, set ? 1 : 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    if (set) {
        e->args[0] = value;
        bind__inherit(e);
    }
    b->stmt->session_bound = b->stmt->uses_variables = true;
    TRY(arena_copy(b->arena, v->name, &e->u.var.name));
    e->u.var.collation = collation;
    if (!set) {
        e->type.flags = (uint8_t)(e->type.flags & ~TYPE_F_NOT_NULL);
    }
    e->type.flags |= TYPE_F_EXPR;
    e->type.wire = 0;
    if (set && (e->type.id == TYPE_CHAR || e->type.id == TYPE_BINARY)) {
        e->type.id = e->type.id == TYPE_CHAR ? TYPE_VARCHAR : TYPE_VARBINARY;
    }
    e->coercibility = 2;
    /* MYSQL: what nothing in the statement assigns is a constant of its execution. */
    e->is_volatile = v->assigned || loaded;
    b->unsteady.assigned += e->is_volatile;
    e->is_const = false;
    *ret = e;
    return ERR_OK;
}

static db_err bind_sys_var(struct binder *b, const struct ast_sys_var *v, struct bexpr **ret)
{
    if (b->opts->system_var == NULL) {
        return my_error(b->diag, ER_UNKNOWN_SYSTEM_VARIABLE, arena_strdup(b->arena, v->name));
    }
    struct sql_type t;
    const void *sysvar = NULL;
    bool unsafe = false;
    b->stmt->uses_variables = true;
    TRY(b->opts->system_var(b->opts->env, v->scope, v->name, b->diag, &t, &sysvar, &unsafe));
    b->stmt->unsafe = b->stmt->unsafe || unsafe;
    struct bexpr *e = bind__new(b, BEXPR_SYSTEM_VAR, &t, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    TRY(arena_copy(b->arena, v->name, &e->u.var.name));
    e->u.var.scope = v->scope;
    e->u.var.sysvar = sysvar;
    e->coercibility = 3;
    *ret = e;
    return ERR_OK;
}

static const struct column_def *definition(const struct scope *scope, const struct bexpr *column)
{
    for (const struct scope *s = scope; s != NULL; s = s->parent) {
        for (uint32_t i = 0; i < s->count; i++) {
            const struct lcolumn *c = &s->columns[i];
            if (c->id == column->u.column.id) {
                return c->def != NULL ? c->def : c->base;
            }
        }
    }
    return NULL;
}

/* DEFAULT(column) of a constant. NULL: it is none. */
static db_err constant_default(struct binder *b, const struct column_def *def, struct bexpr **ret)
{
    struct value null;
    *ret = NULL;
    if (def == NULL || def->generated != GENERATED_NO || def->auto_increment) {
        return ERR_OK;
    }
    switch (def->default_kind) {
    case DEFAULT_CONST: return bind__held_const(b, &def->default_value, &def->type, ret);
    case DEFAULT_NULL:
        value_set_null(&null, &def->type);
        return bind__const(b, &null, &def->type, 2, ret);
    case DEFAULT_NONE:
        return my_error(b->diag, ER_NO_DEFAULT_FOR_FIELD, arena_strdup(b->arena, def->name));
    case DEFAULT_NOW:
    case DEFAULT_EXPR: break;
    }
    return ERR_OK;
}

/* MYSQL: the number that comes next is 0 and the time of a change NULL, also where a row is made.
 */
static db_err other_default(struct binder *b, const struct column_def *def, struct slice name,
                            struct bexpr **ret)
{
    struct value v;
    if (def == NULL || def->generated != GENERATED_NO) {
        return my_error(b->diag, ER_NO_DEFAULT_FOR_FIELD, arena_strdup(b->arena, name));
    }
    if (def->auto_increment) {
        v = value_int(0);
        value_tag(&v, &def->type);
        return bind__const(b, &v, &def->type, 2, ret);
    }
    if (def->default_kind == DEFAULT_EXPR) {
        return my_error(b->diag, ER_DEFAULT_AS_VAL_GENERATED);
    }
    value_set_null(&v, &def->type);
    return bind__const(b, &v, &def->type, 2, ret);
}

/* Of a derived table whose rows are kept. */
static bool is_stored(const struct scope *scope, const struct bexpr *column)
{
    for (const struct scope *s = scope; s != NULL; s = s->parent) {
        for (uint32_t i = 0; i < s->count; i++) {
            if (s->columns[i].id == column->u.column.id) {
                return s->columns[i].made == MADE_STORED;
            }
        }
    }
    return false;
}

/* MYSQL: of a column that a derived table makes: NULL, or nothing of its type. */
static db_err made_default(struct binder *b, const struct sql_type *t, struct bexpr **ret)
{
    struct value v;
    if ((t->flags & TYPE_F_NOT_NULL) == 0 || t->id == TYPE_JSON) {
        value_set_null(&v, t);
    } else {
        value_set_zero(&v, t);
    }
    return bind__const(b, &v, t, 2, ret);
}

static db_err bind_default(struct binder *b, struct scope *scope, const struct ast_column *c,
                           struct bexpr **ret)
{
    struct sql_type t = type_null();
    if (c->name.ptr != NULL) {
        struct bexpr *column;
        TRY(bind__column(b, scope, c, &column));
        const struct column_def *def = definition(scope, column);
        if (def == NULL && is_stored(scope, column)) {
            return made_default(b, &column->type, ret);
        }
        TRY(constant_default(b, def, ret));
        return *ret != NULL ? ERR_OK : other_default(b, def, c->name, ret);
    }
    *ret = bind__new(b, BEXPR_DEFAULT, &t, 0);
    return *ret == NULL ? ERR_NOMEM : ERR_OK;
}

static db_err bind_values_ref(struct binder *b, struct scope *scope, const struct ast_column *c,
                              struct bexpr **ret)
{
    if (scope == NULL || scope->insert_target == NULL) {
        bind__warn_text(b, ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT,
                        "'VALUES function' is deprecated and will be removed in a future "
                        "release.");
        struct value null = value_null(); /* MYSQL: VALUES() elsewhere is NULL */
        struct sql_type t = type_null();
        return bind__const(b, &null, &t, 6, ret);
    }
    bind__warn_text(b, ER_WARN_DEPRECATED_SYNTAX,
                    "'VALUES function' is deprecated and will be removed in a future release. "
                    "Please use an alias (INSERT INTO ... VALUES (...) AS alias) and replace "
                    "VALUES(col) in the ON DUPLICATE KEY UPDATE clause with alias.col instead");
    const struct table_def *def = scope->insert_target->def;
    const struct column_def *col = table_column(def, c->name);
    if (col == NULL) {
        return my_error(b->diag, ER_BAD_FIELD_ERROR, arena_strdup(b->arena, c->name), "field list");
    }
    bind__complete_stored(b, c, def, col);
    struct bexpr *e = bind__new(b, BEXPR_COLUMN, &col->type, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->u.column.id = scope->insert_new[col->ordinal];
    e->u.column.padded = type_reads_padded(&col->type, b->opts->sql_mode);
    e->coercibility = 2;
    e->type.flags = (uint8_t)(e->type.flags & ~TYPE_F_NOT_NULL);
    *ret = e;
    return ERR_OK;
}

static const char *later_feature(enum ast_expr_kind kind)
{
    switch ((int)kind) {
    case AST_EXPR_MATCH: return "MATCH ... AGAINST";
    default: return "this expression";
    }
}

static db_err dispatch(struct binder *b, struct scope *scope, const struct ast_expr *e,
                       struct bexpr **ret)
{
    switch ((int)e->kind) {
    case AST_EXPR_LITERAL: return bind__literal(b, (const struct ast_literal *)e, ret);
    case AST_EXPR_PARAM: return bind__param(b, (const struct ast_param *)e, ret);
    case AST_EXPR_COLUMN: {
        struct scope none = {.place = PLACE_FIELDS};
        return bind__column(b, scope != NULL ? scope : &none, (const struct ast_column *)e, ret);
    }
    case AST_EXPR_USER_VAR:
    case AST_EXPR_USER_ASSIGN: return bind_user_var(b, scope, (const struct ast_user_var *)e, ret);
    case AST_EXPR_SYS_VAR: return bind_sys_var(b, (const struct ast_sys_var *)e, ret);
    case AST_EXPR_UNARY: return bind_unary(b, scope, (const struct ast_unary *)e, ret);
    case AST_EXPR_BINARY: return bind_binary(b, scope, (const struct ast_binary *)e, ret);
    case AST_EXPR_IS: return bind_is(b, scope, (const struct ast_is *)e, ret);
    case AST_EXPR_BETWEEN: return bind__between(b, scope, (const struct ast_between *)e, ret);
    case AST_EXPR_IN: return bind__in(b, scope, (const struct ast_in *)e, ret);
    case AST_EXPR_LIKE: return bind_like(b, scope, (const struct ast_like *)e, ret);
    case AST_EXPR_QUANTIFIED:
        return bind__quantified(b, scope, (const struct ast_quantified *)e, ret);
    case AST_EXPR_EXISTS: return bind__exists(b, scope, (const struct ast_subquery *)e, ret);
    case AST_EXPR_SUBQUERY:
        return bind__scalar_subquery(b, scope, (const struct ast_subquery *)e, ret);
    case AST_EXPR_ROW: return bind_row(b, scope, (const struct ast_row *)e, ret);
    case AST_EXPR_CASE: return bind_case(b, scope, (const struct ast_case *)e, ret);
    case AST_EXPR_CAST: return bind__cast_expr(b, scope, (const struct ast_cast *)e, ret);
    case AST_EXPR_CONVERT_USING:
    case AST_EXPR_COLLATE: return bind__collate(b, scope, (const struct ast_collate *)e, ret);
    case AST_EXPR_JSON_VALUE:
        return bind__json_value(b, scope, (const struct ast_json_value *)e, ret);
    case AST_EXPR_FUNC: return bind__func(b, scope, (const struct ast_func *)e, ret);
    case AST_EXPR_WINDOW: return bind__window(b, scope, (const struct ast_aggregate *)e, ret);
    case AST_EXPR_AGGREGATE: return bind__aggregate(b, scope, (const struct ast_aggregate *)e, ret);
    case AST_EXPR_DEFAULT: return bind_default(b, scope, (const struct ast_column *)e, ret);
    case AST_EXPR_VALUES: return bind_values_ref(b, scope, (const struct ast_column *)e, ret);
    case AST_EXPR_INTERVAL:
    case AST_EXPR_STAR: return my_error(b->diag, ER_PARSE_ERROR, "syntax error", "", 1);
    default: return my_error(b->diag, ER_NOT_SUPPORTED_YET, later_feature(e->kind));
    }
}

enum { CHECKED_HEIGHT = 64 };

/* Whoever walks a tree finds enough stack to do so: twice what its height says, for casts. */
static db_err check_height(struct binder *b, const struct bexpr *e)
{
    TRY(e->height <= BEXPR_HEIGHT_MAX ? ERR_OK : bind__too_deep(b));
    return my_stack_for_levels(b->diag, 2u * e->height);
}

db_err bind__expr(struct binder *b, struct scope *scope, const struct ast_expr *e,
                  struct bexpr **ret)
{
    TRY(my_stack_reserve(b->diag, MY_STACK_STEP));
    TRY(b->opts->use == BIND_USE_ANY ? ERR_OK : bind__definition_allows(b, e));
    TRY(dispatch(b, scope, e, ret));
    if ((*ret)->position == 0) {
        (*ret)->position = e->pos.offset + 1;
    }
    return LIKELY((*ret)->height < CHECKED_HEIGHT) ? ERR_OK : check_height(b, *ret);
}

db_err bind__conjuncts(struct binder *b, struct scope *scope, const struct ast_expr *e,
                       struct bexpr ***io_list, uint32_t *io_count)
{
    struct bexpr *bound;
    const struct ast_expr *around = scope->condition;
    scope->condition = e;
    TRY(bind__expr(b, scope, e, &bound));
    scope->condition = around;
    TRY(not_a_row(b, bound));
    told_of_json(b, bound);
    uint32_t n = bound->kind == BEXPR_AND ? bound->arg_count : 1;
    struct bexpr **list = BIND_ARRAY(b, struct bexpr *, *io_count + n);
    if (list == NULL) {
        return ERR_NOMEM;
    }
    if (*io_count != 0) {
        memcpy(list, *io_list, *io_count * sizeof(*list));
    }
    memcpy(list + *io_count, bound->kind == BEXPR_AND ? bound->args : &bound, n * sizeof(*list));
    *io_list = list;
    *io_count += n;
    return ERR_OK;
}
