/* JSON_TABLE in FROM: a leaf whose document may read columns of the tables to its left, as LATERAL
 * does, without the word. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/types/cast.h"

enum { JSON_TABLE_COLUMNS_MAX = 4096, NESTED_MAX = 16 };

struct table_build {
    struct binder *b;
    struct lcolumn *cols;
    uint32_t count;
    struct slice table;
};

static db_err parse_path(struct binder *b, struct slice text, struct json_path *ret)
{
    size_t position;
    struct slice copy;
    TRY(arena_copy(b->arena, text, &copy));
    db_err err = json_path_parse(b->arena, copy, ret, &position, b->diag);
    if (err == ERR_INVALID) {
        return my_error(b->diag, ER_INVALID_JSON_PATH, (unsigned)position, "");
    }
    return err;
}

#define JSON_TABLE_DEFAULT "non-string DEFAULT value for a column in a JSON_TABLE expression"

/* The default is none, as b->diag says. MYSQL: SHOW WARNINGS has a second error then, `number`. */
static db_err invalid_default(struct binder *b, enum my_errno number, const char *column)
{
    struct diag second;
    if (b->opts->warn != NULL && b->diag != NULL) {
        diag_reset(&second);
        b->opts->warn(b->opts->env, CAST_ERROR, b->diag->number, b->diag->text);
        db_err err = my_error(&second, number, column);
        (void)err; /* the first is the statement's */
        b->opts->warn(b->opts->env, CAST_ERROR, second.number, second.text);
    }
    return ERR_SQL;
}

/* DEFAULT '...': JSON text whose value the column must be able to hold. */
static db_err default_value(struct binder *b, const struct json_table_column *c,
                            const struct ast_json_on *on, struct value *ret)
{
    struct bexpr *e;
    struct json_node *n;
    struct json_syntax why;
    struct slice text;
    struct slice doc;
    struct cast_ctx cast;
    bool fits;
    TRY(bind__expr(b, NULL, on->value, &e));
    if (e->kind != BEXPR_CONST || e->u.constant.phys != PHYS_STR) {
        return my_error(b->diag, ER_NOT_SUPPORTED_YET, JSON_TABLE_DEFAULT);
    }
    if (type_is_string(&e->type) && e->type.collation == COLL_BINARY) {
        (void)my_error(b->diag, ER_INVALID_JSON_CHARSET, "binary");
        return invalid_default(b, ER_INVALID_DEFAULT, c->name);
    }
    cast_ctx_init(&cast, b->arena, b->diag);
    cast.sql_mode = b->opts->sql_mode;
    cast.strict = true;
    cast.json_source = c->name;
    TRY(value_to_text(&cast, &e->type, &e->u.constant, &text));
    db_err err = json_parse(b->arena, text, &n, &why);
    if (err == ERR_INVALID) {
        err = why.message == NULL ? my_error(b->diag, ER_JSON_DOCUMENT_TOO_DEEP)
                                  : my_error(b->diag, ER_INVALID_JSON_TEXT_IN_PARAM, 1u,
                                             "JSON_TABLE", why.message, (unsigned)why.position, "");
        return err == ERR_SQL ? invalid_default(b, ER_INVALID_DEFAULT, c->name) : err;
    }
    TRY(err);
    TRY(json_write_arena(n, b->arena, b->diag, &doc));
    struct json_view v = json_view_of(doc);
    if (c->type.id == TYPE_JSON) {
        value_tag(ret, &c->type);
        ret->str = doc;
        return ERR_OK;
    }
    if (json_is_container(&v)) {
        return my_error(b->diag, ER_INVALID_DEFAULT, c->name);
    }
    if (v.type == JSON_NULL && type_is_string(&c->type)) { /* MYSQL: here it is its text */
        n = json_node_str(b->arena, SLICE_LIT("null"));
        if (n == NULL) {
            return ERR_NOMEM;
        }
        TRY(json_write_arena(n, b->arena, b->diag, &doc));
        v = json_view_of(doc);
    }
    fits = false;
    if (v.type != JSON_NULL) {
        TRY(json_coerce_column(&cast, &v, &c->type, true, ret, &fits));
    }
    if (fits) {
        return ERR_OK;
    }
    if (type_is_numeric(&c->type)) {
        db_err why_not = json_to_value(&cast, &v, &c->type, ret); /* says what is wrong */
        if (why_not != ERR_OK) {
            return why_not != ERR_SQL ? why_not
                                      : invalid_default(b, ER_JT_VALUE_OUT_OF_RANGE, c->name);
        }
    }
    return my_error(b->diag, ER_JT_VALUE_OUT_OF_RANGE, c->name);
}

static db_err bind_on(struct binder *b, struct json_table_column *c, const struct ast_json_on *on,
                      enum json_table_on *ret_on, struct value *ret_value)
{
    *ret_on = on->kind == AST_JSON_ON_ERROR     ? JSON_TABLE_ON_ERROR
              : on->kind == AST_JSON_ON_DEFAULT ? JSON_TABLE_ON_DEFAULT
                                                : JSON_TABLE_ON_NULL;
    return on->kind == AST_JSON_ON_DEFAULT ? default_value(b, c, on, ret_value) : ERR_OK;
}

static db_err column_type(struct binder *b, const struct ast_json_column *a, struct sql_type *ret)
{
    struct sql_type t;
    if (a->kind == AST_JSON_COL_ORDINALITY) {
        *ret = type_int(TYPE_BIGINT, false);
        ret->length = 10;
        return ERR_OK;
    }
    TRY(bind_type(b->arena, a->type, b->opts->connection_collation, b->opts, a->name, b->diag, &t));
    if (a->collation.ptr != NULL) {
        const struct collation *coll;
        TRY(collation_require(a->collation, b->diag, &coll));
        const struct collation *own = collation_by_id(t.collation);
        if (!type_is_string(&t) || own->cs != coll->cs) {
            return my_error(b->diag, ER_COLLATION_CHARSET_MISMATCH, coll->name, own->cs->name);
        }
        t.collation = coll->id;
    }
    *ret = t;
    return ERR_OK;
}

static db_err bind_column(struct table_build *t, const struct ast_json_column *a,
                          struct json_table_column *c)
{
    struct binder *b = t->b;
    struct slice name;
    TRY(arena_copy(b->arena, a->name, &name));
    for (uint32_t i = 0; i < t->count; i++) {
        if (slice_eq_nocase(t->cols[i].name, name)) {
            return my_error(b->diag, ER_DUP_FIELDNAME, arena_strdup(b->arena, name));
        }
    }
    c->name = arena_strdup(b->arena, name);
    c->out = t->count;
    c->kind = a->kind == AST_JSON_COL_ORDINALITY ? JSON_TABLE_ORDINALITY
              : a->kind == AST_JSON_COL_EXISTS   ? JSON_TABLE_EXISTS
                                                 : JSON_TABLE_PATH;
    TRY(column_type(b, a, &c->type));
    if (c->kind != JSON_TABLE_ORDINALITY) {
        TRY(parse_path(b, a->path, &c->path));
    }
    if (c->kind == JSON_TABLE_PATH) {
        TRY(bind_on(b, c, &a->on_empty, &c->on_empty, &c->empty_value));
        TRY(bind_on(b, c, &a->on_error, &c->on_error, &c->error_value));
    }
    t->cols[t->count++] = (struct lcolumn){.id = bind__new_col(b),
                                           .type = c->type,
                                           .coercibility = 2,
                                           .own_char = true,
                                           .name = name,
                                           .org_name = name,
                                           .table = t->table,
                                           .org_table = t->table};
    return ERR_OK;
}

static uint32_t count_columns(const struct ast_json_column_list *list, uint32_t *ret_nested)
{
    uint32_t n = 0;
    *ret_nested = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i]->kind == AST_JSON_COL_NESTED) {
            ++*ret_nested;
        } else {
            n++;
        }
    }
    return n;
}

static db_err bind_level(struct table_build *t, struct slice path,
                         const struct ast_json_column_list *list, uint32_t depth,
                         struct json_table_level *ret)
{
    uint32_t nested;
    uint32_t own = count_columns(list, &nested);
    if (depth > NESTED_MAX) {
        return my_error(t->b->diag, ER_JT_MAX_NESTED_PATH, (unsigned)NESTED_MAX, "");
    }
    ret->columns = BIND_ARRAY(t->b, struct json_table_column, own + 1);
    ret->nested = BIND_ARRAY(t->b, struct json_table_level, nested + 1);
    if (ret->columns == NULL || ret->nested == NULL) {
        return ERR_NOMEM;
    }
    TRY(parse_path(t->b, path, &ret->path));
    ret->first = t->count;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_json_column *a = list->items[i];
        if (a->kind == AST_JSON_COL_NESTED) {
            TRY(bind_level(t, a->path, &a->nested, depth + 1, &ret->nested[ret->nested_count++]));
        } else {
            if (t->count == JSON_TABLE_COLUMNS_MAX) {
                return my_error(t->b->diag, ER_TOO_MANY_FIELDS);
            }
            TRY(bind_column(t, a, &ret->columns[ret->column_count++]));
        }
    }
    ret->end = t->count;
    return ERR_OK;
}

/* All columns below, to know how much room they need. */
static uint32_t total_columns(const struct ast_json_column_list *list)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_json_column *a = list->items[i];
        n += a->kind == AST_JSON_COL_NESTED ? total_columns(&a->nested) : 1;
    }
    return n;
}

static bool has_table(const struct scope *scope, struct slice table)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        if (slice_eq(scope->columns[i].table, table)) {
            return true;
        }
    }
    return false;
}

static db_err bind_document(struct binder *b, struct scope *scope, const struct ast_expr *doc,
                            struct bexpr **ret)
{
    struct scope *outer;
    struct bsubquery *sub;
    TRY(bind__lateral(b, scope, &outer, &sub));
    /* The document stands one level below the tables it reads. */
    struct scope inner = {.parent = outer, .place = PLACE_TABLE_FUNC, .sub = sub, .document = true};
    outer->place = PLACE_TABLE_FUNC;
    db_err err = bind__expr(b, &inner, doc, ret);
    const struct ast_column *c = (const struct ast_column *)doc;
    if (err == ERR_SQL && b->diag != NULL && b->diag->number == ER_BAD_FIELD_ERROR &&
        doc->kind == AST_EXPR_COLUMN && c->table.ptr != NULL && !has_table(outer, c->table)) {
        return my_error(b->diag, ER_UNKNOWN_TABLE, arena_strdup(b->arena, c->table),
                        bind__place_name(PLACE_TABLE_FUNC));
    }
    TRY(err);
    return (*ret)->has_subquery ? my_error(b->diag, ER_WRONG_ARGUMENTS, "JSON_TABLE") : ERR_OK;
}

db_err bind__json_table(struct binder *b, struct scope *scope, const struct ast_json_table *a,
                        struct lnode **ret)
{
    if (a->alias.ptr == NULL) {
        return my_error(b->diag, ER_TF_MUST_HAVE_ALIAS);
    }
    struct table_build t = {.b = b};
    struct lnode *n = bind__node(b, LNODE_TABLE_FUNC, NULL);
    struct json_table *spec = BIND_NEW(b, struct json_table);
    t.cols = BIND_ARRAY(b, struct lcolumn, total_columns(&a->columns) + 1);
    if (n == NULL || spec == NULL || t.cols == NULL) {
        return ERR_NOMEM;
    }
    TRY(arena_copy(b->arena, a->alias, &t.table));
    TRY(bind_document(b, scope, a->doc, &n->u.table_func.doc));
    if (n->u.table_func.doc->kind == BEXPR_ROW) {
        return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
    }
    TRY(bind_level(&t, a->path, &a->columns, 0, &spec->root));
    spec->column_count = t.count;
    spec->name = arena_strdup(b->arena, t.table);
    n->u.table_func.spec = spec;
    n->columns = t.cols;
    n->column_count = t.count;
    *ret = n;
    return ERR_OK;
}
