#include "sql/bind/bind.h"

#include "sql/bind/bind_int.h"
#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"

static void warn_of_func(void *arg, int level, uint16_t number, const char *text)
{
    bind__tell(arg, level, (enum my_errno)number, text);
}

static db_err binder_init(struct binder *b, struct arena *arena, const struct bind_opts *opts,
                          struct diag *diag)
{
    *b = (struct binder){.arena = arena, .opts = opts, .diag = diag};
    b->func = (struct func_bind_ctx){.arena = arena,
                                     .diag = diag,
                                     .sql_mode = opts->sql_mode,
                                     .connection_collation = opts->connection_collation,
                                     .div_precision_increment = opts->div_precision_increment,
                                     .max_allowed_packet = opts->max_allowed_packet,
                                     .view = opts->defines_view,
                                     .group_concat_max_len = opts->group_concat_max_len,
                                     .version_chars = opts->version_chars,
                                     .warn = warn_of_func,
                                     .warn_arg = b};
    b->stmt = ARENA_NEW(arena, struct bound_stmt);
    return b->stmt == NULL ? ERR_NOMEM : ERR_OK;
}

static db_err into_file(struct binder *b, const struct ast_into *into)
{
    struct into_file *f = BIND_ARRAY(b, struct into_file, 1);
    if (f == NULL) {
        return ERR_NOMEM;
    }
    f->dump = into->kind == AST_INTO_DUMPFILE;
    f->format = BIND_ARRAY(b, struct load_spec, 1);
    if (f->format == NULL) {
        return ERR_NOMEM;
    }
    TRY(arena_copy(b->arena, into->file, &f->format->file));
    if (into->format.charset.ptr != NULL) {
        TRY(charset_require(into->format.charset, b->diag, &f->charset));
        if (f->charset->default_collation == COLL_BINARY) {
            f->charset = NULL;
        }
    }
    b->stmt->into_file = f;
    return bind__file_format(b, &into->format, f->format);
}

static db_err into_vars(struct binder *b, const struct ast_into *into, uint32_t visible)
{
    if (into->kind != AST_INTO_VARS) {
        return into_file(b, into);
    }
    if (into->targets.count != visible) {
        return my_error(b->diag, ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT);
    }
    b->stmt->into_vars = BIND_ARRAY(b, struct slice, visible + 1);
    if (b->stmt->into_vars == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < visible; i++) {
        const struct ast_expr *e = into->targets.items[i];
        if (e->kind != AST_EXPR_USER_VAR) {
            return my_error(b->diag, ER_SP_UNDECLARED_VAR,
                            arena_strdup(b->arena, ((const struct ast_column *)e)->name));
        }
        TRY(arena_copy(b->arena, ((const struct ast_user_var *)e)->name, &b->stmt->into_vars[i]));
    }
    b->stmt->into_var_count = visible;
    return ERR_OK;
}

/* MYSQL: sql_select_limit holds for a SELECT statement that has no LIMIT of its own. */
static db_err session_limit(struct binder *b, struct lnode **io_root)
{
    struct lnode *n = bind__node(b, LNODE_LIMIT, *io_root);
    struct sql_type t = type_int(TYPE_BIGINT, true);
    struct value v = value_uint(b->opts->select_limit);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind__const(b, &v, &t, 5, &n->u.limit.limit));
    *io_root = n;
    return ERR_OK;
}

static db_err bind_select_stmt(struct binder *b, const struct ast_select_stmt *s)
{
    struct bound_stmt *st = b->stmt;
    uint32_t visible;
    st->kind = BOUND_SELECT;
    st->read_only = true;
    b->into_select = bind__last_select(s->query->body);
    bool into_any =
        s->query->into != NULL || (b->into_select != NULL && b->into_select->into != NULL);
    b->sent = b->opts->sent && !into_any ? s->query->body : NULL;
    TRY(bind__query(b, NULL, NULL, s->query, &st->root, &visible));
    if (b->opts->limits_select && s->query->limit == NULL) {
        TRY(session_limit(b, &st->root));
    }
    st->result = st->root->columns;
    st->result_count = visible;
    const struct ast_into *into = s->query->into;
    const struct ast_select *last = bind__last_select(s->query->body);
    if (last != NULL) {
        const struct ast_into *first = last->into;
        if (first != NULL && into != NULL) {
            return my_error(b->diag, ER_MULTIPLE_INTO_CLAUSES);
        }
        into = first != NULL ? first : into;
    }
    return into == NULL ? ERR_OK : into_vars(b, into, visible);
}

const struct ast_select *bind__last_select(const struct ast_body *body)
{
    while (body->kind == AST_BODY_SETOP) {
        body = ast_set_last((const struct ast_setop *)body)->body;
    }
    return body->kind == AST_BODY_SELECT ? (const struct ast_select *)body : NULL;
}

static db_err bind_any(struct binder *b, const struct ast_stmt *stmt)
{
    switch ((int)stmt->kind) {
    case AST_STMT_SELECT: return bind_select_stmt(b, (const struct ast_select_stmt *)stmt);
    case AST_STMT_INSERT: return bind__insert(b, (const struct ast_insert *)stmt);
    case AST_STMT_LOAD_DATA: return bind__load(b, (const struct ast_load_data *)stmt);
    case AST_STMT_UPDATE: return bind__update(b, (const struct ast_update *)stmt);
    case AST_STMT_DELETE: return bind__delete(b, (const struct ast_delete *)stmt);
    default: return ERR_INVALID;
    }
}

/* A condition of a query block is wrong: which error is told of first? */
static db_err bind_again(struct arena *arena, const struct bind_opts *opts,
                         const struct ast_stmt *stmt, const void *block, struct diag *diag)
{
    enum { RUNS_MAX = 8 };
    const void *told[RUNS_MAX] = {block};
    struct diag first = *diag;
    struct bind_opts quiet = *opts;
    quiet.warn = NULL;
    for (uint32_t n = 1;; n++) {
        struct binder b;
        diag_reset(diag);
        TRY(binder_init(&b, arena, &quiet, diag));
        b.told = told;
        b.told_count = n;
        b.condition_err = &first;
        db_err err = bind_any(&b, stmt);
        if (err == ERR_OK) {
            *diag = first;
            return ERR_SQL;
        }
        if (err != ERR_SQL || b.condition_of == NULL || n == RUNS_MAX) {
            return err;
        }
        told[n] = b.condition_of;
    }
}

db_err bind_statement(struct arena *arena, const struct bind_opts *opts,
                      const struct ast_stmt *stmt, struct diag *diag, struct bound_stmt **ret_bound)
{
    struct binder b;
    TRY(binder_init(&b, arena, opts, diag));
    db_err err = bind_any(&b, stmt);
    if (err == ERR_SQL && b.condition_of != NULL && diag != NULL) {
        return bind_again(arena, opts, stmt, b.condition_of, diag);
    }
    TRY(err);
    if (b.stmt->kind == BOUND_UPDATE || b.stmt->kind == BOUND_DELETE ||
        (b.stmt->kind == BOUND_INSERT && b.stmt->root->kind == LNODE_VALUES)) {
        TRY(bind__check_reads(&b));
    }
    b.stmt->subqueries = b.subqueries;
    b.stmt->next_col = b.next_col;
    bind__finish_needs(&b);
    *ret_bound = b.stmt;
    return ERR_OK;
}

static db_err table_scope(struct binder *b, const struct table_def *table, struct scope *scope)
{
    struct lcolumn *cols = BIND_ARRAY(b, struct lcolumn, table->column_count + 1);
    if (cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct column_def *c = &table->columns[i];
        cols[i] = (struct lcolumn){.id = i + 1,
                                   .type = c->type,
                                   .coercibility = 2,
                                   .name = c->name,
                                   .org_name = c->name,
                                   .table = table->name,
                                   .schema = table->schema_name,
                                   .told = b->opts->tells_table ? TOLD_OF_TABLE : TOLD_BARE,
                                   .def = c};
    }
    scope->columns = cols;
    scope->count = table->column_count;
    scope->by_ordinal = true;
    b->next_col = table->column_count;
    return ERR_OK;
}

static db_err scalar(struct binder *b, struct scope *scope, const struct ast_expr *expr,
                     struct bexpr **ret)
{
    struct bexpr *e;
    TRY(bind__expr(b, scope, expr, &e));
    if (e->kind == BEXPR_ROW) {
        return b->opts->use != BIND_USE_ANY ? bind__definition_row(b)
                                            : my_error(b->diag, ER_OPERAND_COLUMNS, 1);
    }
    if (b->opts->unsafe != NULL && b->stmt->unsafe) {
        *b->opts->unsafe = true;
    }
    *ret = e;
    return ERR_OK;
}

db_err bind_scalar(struct arena *arena, const struct bind_opts *opts, const struct ast_expr *expr,
                   const struct table_def *table, struct diag *diag, struct bexpr **ret_expr)
{
    struct binder b;
    struct scope scope = {.place = PLACE_FIELDS};
    TRY(binder_init(&b, arena, opts, diag));
    b.scalar = true;
    if (table != NULL) {
        TRY(table_scope(&b, table, &scope));
    }
    return scalar(&b, &scope, expr, ret_expr);
}

const struct ast_cast *bind_array_cast(const struct ast_expr *expr)
{
    const struct ast_cast *cast = (const struct ast_cast *)expr;
    bool array = expr->kind == AST_EXPR_CAST && (cast->type->flags & AST_TYPE_F_ARRAY) != 0;
    return array ? cast : NULL;
}

db_err bind_array_source(struct arena *arena, const struct bind_opts *opts,
                         const struct ast_cast *cast, const struct table_def *table,
                         struct diag *diag, struct bexpr **ret_source, struct sql_type *ret_element)
{
    struct binder b;
    struct scope scope = {.place = PLACE_FIELDS};
    struct sql_type element;
    struct bexpr *e;
    TRY(binder_init(&b, arena, opts, diag));
    b.scalar = true;
    TRY(table_scope(&b, table, &scope));
    TRY(scalar(&b, &scope, cast->arg, &e));
    TRY(bind__array_element(&b, cast->type, &e->type, &element));
    if (e->type.id != TYPE_JSON) {
        struct bexpr **args = BIND_ARRAY(&b, struct bexpr *, 1);
        if (args == NULL) {
            return ERR_NOMEM;
        }
        args[0] = e;
        TRY(bind__op(&b, "op_array_cast", args, 1, &e));
    }
    *ret_source = e;
    *ret_element = element;
    return ERR_OK;
}

db_err bind_literal(struct arena *arena, const struct bind_opts *opts,
                    const struct ast_literal *literal, struct diag *diag, struct value *ret_value)
{
    struct binder b;
    struct bexpr *e;
    TRY(binder_init(&b, arena, opts, diag));
    TRY(bind__literal(&b, literal, &e));
    *ret_value = e->u.constant;
    return ERR_OK;
}
