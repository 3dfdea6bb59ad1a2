/* JSON_TABLE: the rows of one document.
 *
 * The document is evaluated when the operator is opened or run again (it may depend on the left row
 * of a join), and all its rows are made then and kept packed; the rows of nested paths are made
 * depth first. Columns that belong to another branch than the one that gives the row are NULL. */
#include "base/fiber.h"
#include "sql/bind/json_table.h"
#include "sql/diag/my_error.h"
#include "sql/exec/exec_int.h"
#include "sql/exec/row_table.h"

struct op_json_table {
    struct op op;
    struct packed_format format;
    struct row_table rows;
    struct chunk one; /* the row being made */
    struct vector **vectors;
    struct value *values; /* of the row being made; NULL where a branch says nothing */
    struct expr_state *doc;
    struct row_node *at;
    struct chunk chunk;
    struct arena scratch; /* of the document and its values */
    bool opened, filled;
};

static const struct json_table *spec_of(const struct op_json_table *s)
{
    return s->op.node->u.table_func.spec;
}

static db_err json_table_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_json_table *s = (struct op_json_table *)op;
    const struct plan_node *n = op->node;
    TRY(packed_format_init(&s->format, n->types, n->column_count, ctx->arena));
    row_table_init(&s->rows, &s->format, 0, ctx->mem, SIZE_MAX);
    arena_init(&s->scratch, NULL, ctx->mem, 0);
    s->opened = true;
    TRY(chunk_init_rows(&s->one, n->types, n->column_count, 1, ctx->arena));
    TRY(chunk_init(&s->chunk, n->types, n->column_count, ctx->arena));
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, n->column_count + 1);
    s->values = ARENA_ARRAY(ctx->arena, struct value, n->column_count + 1);
    if (s->vectors == NULL || s->values == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        s->vectors[i] = &s->one.columns[i];
        value_set_null(&s->values[i], n->types[i]);
    }
    return expr_prepare(ctx, n->u.table_func.doc, &s->doc);
}

static db_err give_row(struct op_json_table *s)
{
    chunk_reset(&s->one);
    for (uint32_t i = 0; i < s->one.column_count; i++) {
        struct vector *v = &s->one.columns[i];
        if (s->values[i].is_null) {
            vec_set_null(v, 0);
        } else if (v->phys == PHYS_STR) {
            vec_set_str_ref(v, 0, s->values[i].str);
        } else {
            TRY(vector_set(v, 0, &s->values[i]));
        }
    }
    TRY(row_table_append(&s->rows, 0, s->vectors, 0));
    return fiber_checkpoint();
}

/* What ON EMPTY or ON ERROR says: NULL or the default. */
static void take_default(enum json_table_on on, const struct value *value,
                         const struct sql_type *type, struct value *ret)
{
    if (on == JSON_TABLE_ON_DEFAULT) {
        *ret = *value;
    } else {
        value_set_null(ret, type);
    }
}

static db_err on_error(struct exec_ctx *ctx, const struct json_table_column *c,
                       const struct json_view *v, bool no_scalar, struct value *ret)
{
    if (c->on_error != JSON_TABLE_ON_ERROR) {
        take_default(c->on_error, &c->error_value, &c->type, ret);
        return ERR_OK;
    }
    if (no_scalar) {
        return my_error(ctx->diag, ER_WRONG_JSON_TABLE_VALUE, c->name);
    }
    if (type_is_numeric(&c->type)) { /* may know better what is wrong */
        struct cast_ctx strict = *ctx->eval.cast;
        strict.strict = true;
        strict.warn = NULL;
        strict.json_source = c->name;
        TRY(json_to_value(&strict, v, &c->type, ret));
    }
    return my_error(ctx->diag, ER_JT_VALUE_OUT_OF_RANGE, c->name);
}

static db_err path_value(struct exec_ctx *ctx, struct op_json_table *s,
                         const struct json_table_column *c, const struct json_view *at,
                         struct value *ret)
{
    struct json_hits hits = {.arena = &s->scratch};
    struct json_view v;
    bool fits;
    TRY(json_seek(at, &c->path, JSON_SEEK_WRAP, &hits));
    if (hits.count == 0) {
        if (c->on_empty == JSON_TABLE_ON_ERROR) {
            return my_error(ctx->diag, ER_MISSING_JSON_TABLE_VALUE, c->name);
        }
        take_default(c->on_empty, &c->empty_value, &c->type, ret);
        return ERR_OK;
    }
    v = hits.views[0];
    bool json = c->type.id == TYPE_JSON;
    if (!json && (hits.count > 1 || json_is_container(&v))) {
        return on_error(ctx, c, &v, true, ret);
    }
    if (hits.count > 1) {
        struct json_node *a = json_node_new(&s->scratch, JSON_ARRAY);
        for (uint32_t i = 0; a != NULL && i < hits.count; i++) {
            struct json_node *item = json_node_of(&s->scratch, &hits.views[i]);
            if (item == NULL) {
                return ERR_LIMIT;
            }
            TRY(json_append_item(&s->scratch, a, item));
        }
        if (a == NULL) {
            return ERR_LIMIT;
        }
        value_tag(ret, &c->type);
        return json_write_arena(a, &s->scratch, ctx->diag, &ret->str);
    }
    bool checked = c->on_error == JSON_TABLE_ON_ERROR;
    TRY(json_coerce_column(ctx->eval.cast, &v, &c->type, checked, ret, &fits));
    return fits ? ERR_OK : on_error(ctx, c, &v, false, ret);
}

static db_err column_value(struct exec_ctx *ctx, struct op_json_table *s,
                           const struct json_table_column *c, const struct json_view *at,
                           uint32_t number)
{
    struct value *ret = &s->values[c->out];
    if (c->kind == JSON_TABLE_PATH) {
        return path_value(ctx, s, c, at, ret);
    }
    struct value n = value_int(number);
    if (c->kind == JSON_TABLE_EXISTS) {
        struct json_hits hits = {.arena = &s->scratch};
        TRY(json_seek(at, &c->path, JSON_SEEK_ONE | JSON_SEEK_WRAP, &hits));
        n = value_int(hits.count != 0);
    }
    const struct store_target target = {.column = c->name, .row = 1, .table = spec_of(s)->name};
    struct sql_type from = value_type(&n);
    return type_store(ctx->eval.cast, &c->type, &target, &from, &n, ret);
}

static db_err make_level(struct exec_ctx *ctx, struct op_json_table *s,
                         const struct json_table_level *level, const struct json_view *at,
                         bool *ret_any);

static db_err make_nested(struct exec_ctx *ctx, struct op_json_table *s,
                          const struct json_table_level *level, const struct json_view *at)
{
    bool any = false;
    for (uint32_t i = 0; i < level->nested_count; i++) {
        const struct json_table_level *n = &level->nested[i];
        bool some = false;
        TRY(make_level(ctx, s, n, at, &some));
        any = any || some;
        for (uint32_t c = n->first; c < n->end; c++) {
            value_set_null(&s->values[c], s->op.node->types[c]);
        }
    }
    return any ? ERR_OK : give_row(s);
}

static db_err make_level(struct exec_ctx *ctx, struct op_json_table *s,
                         const struct json_table_level *level, const struct json_view *at,
                         bool *ret_any)
{
    struct json_hits hits = {.arena = &s->scratch};
    TRY(json_seek(at, &level->path, JSON_SEEK_WRAP, &hits));
    for (uint32_t i = 0; i < hits.count; i++) {
        for (uint32_t c = 0; c < level->column_count; c++) {
            TRY(column_value(ctx, s, &level->columns[c], &hits.views[i], i + 1));
        }
        TRY(make_nested(ctx, s, level, &hits.views[i]));
    }
    *ret_any = hits.count != 0;
    return ERR_OK;
}

/* The document as bytes in the scratch arena. */
static db_err document(struct exec_ctx *ctx, struct op_json_table *s, struct slice *ret,
                       bool *ret_null)
{
    static const char name[] = "json_table";
    struct vector *v;
    struct json_syntax why;
    struct json_node *n;
    TRY(expr_eval(ctx, s->doc, NULL, &v));
    *ret_null = vec_is_null(v, 0);
    if (*ret_null) {
        return ERR_OK;
    }
    if (v->type->id == TYPE_JSON) {
        return arena_copy(&s->scratch, vec_str(v, 0), ret);
    }
    if (!type_is_string(v->type)) {
        return my_error(ctx->diag, ER_INVALID_TYPE_FOR_JSON, 1u, name);
    }
    if (v->type->collation == COLL_BINARY) {
        return my_error(ctx->diag, ER_INVALID_JSON_CHARSET, "binary");
    }
    struct slice text;
    TRY(charset_convert_arena(collation_by_id(v->type->collation)->cs, vec_str(v, 0),
                              charset_by_name(SLICE_LIT("utf8mb4")), &s->scratch, &text, NULL));
    db_err err = json_parse(&s->scratch, text, &n, &why);
    if (err == ERR_INVALID) {
        return why.message == NULL ? my_error(ctx->diag, ER_JSON_DOCUMENT_TOO_DEEP)
                                   : my_error(ctx->diag, ER_INVALID_JSON_TEXT_IN_PARAM, 1u, name,
                                              why.message, (unsigned)why.position, "");
    }
    TRY(err);
    return json_write_arena(n, &s->scratch, ctx->diag, ret);
}

static db_err fill_rows(struct op_json_table *s, struct exec_ctx *ctx)
{
    struct slice doc = SLICE_EMPTY;
    bool null;
    bool any;
    TRY(document(ctx, s, &doc, &null));
    if (null) {
        return ERR_OK;
    }
    struct json_view v = json_view_of(doc);
    return make_level(ctx, s, &spec_of(s)->root, &v, &any);
}

static db_err fill(struct op_json_table *s, struct exec_ctx *ctx)
{
    row_table_clear(&s->rows);
    arena_reset(&s->scratch);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->scratch);
    db_err err = fill_rows(s, ctx);
    exec__leave_arena(ctx, saved);
    s->filled = err == ERR_OK;
    s->at = s->rows.first;
    return err;
}

static db_err json_table_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    enum { BATCH = 128 };
    struct op_json_table *s = (struct op_json_table *)op;
    *ret = NULL;
    if (!s->filled) {
        TRY(fill(s, ctx));
    }
    chunk_reset(&s->chunk);
    while (s->at != NULL && s->chunk.count < CHUNK_ROWS) {
        const struct packed_row *rows[BATCH];
        uint32_t n = 0;
        for (; s->at != NULL && n < BATCH && s->chunk.count + n < CHUNK_ROWS;
             s->at = s->at->newer) {
            rows[n++] = &s->at->row;
        }
        for (uint32_t c = 0; c < s->chunk.column_count; c++) {
            packed_read(&s->format, rows, n, c, &s->chunk.columns[c], s->chunk.count);
        }
        s->chunk.count += n;
    }
    *ret = s->chunk.count == 0 ? NULL : &s->chunk;
    return ERR_OK;
}

static db_err json_table_rescan(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    ((struct op_json_table *)op)->filled = false;
    return ERR_OK;
}

static void json_table_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_json_table *s = (struct op_json_table *)op;
    if (s->opened) {
        row_table_fini(&s->rows);
        arena_fini(&s->scratch);
        s->opened = false;
    }
}

static const struct op_ops g_json_table = {"json table", json_table_open, json_table_next,
                                           json_table_rescan, json_table_close};
const struct op_kind op_json_table_kind = {sizeof(struct op_json_table), &g_json_table};
