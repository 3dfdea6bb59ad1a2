/* ORDER BY of ALTER TABLE: the copy takes the old rows in that order.
 *
 * Who reads the new table without ORDER BY gets the rows as they lie, which is by the hidden row id
 * that they were given one after another; a table with a key that its rows lie by cannot be
 * ordered. Whole rows are sorted, so what does not fit into memory is on disk meanwhile. */
#include "base/fiber.h"
#include "sql/ddl/alter_int.h"

enum { ROWS_AT_A_TIME = 128 };

/* MYSQL: rows lie by the primary key, or by the first unique key of whole stored columns that
 * cannot be NULL. */
static bool is_clustered(const struct table_def *t)
{
    bool found = t->has_primary;
    for (uint32_t i = 1; i < t->index_count && !found; i++) {
        const struct index_def *ix = &t->indexes[i];
        found = ix->kind == INDEX_UNIQUE;
        for (uint32_t p = 0; p < ix->part_count && found; p++) {
            const struct column_def *c = &t->columns[ix->parts[p].column];
            found = (c->type.flags & TYPE_F_NOT_NULL) != 0 && ix->parts[p].prefix_len == 0 &&
                    c->generated != GENERATED_VIRTUAL;
        }
    }
    return found;
}

static void warn_ignored(struct alter *a)
{
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, ER_UNKNOWN_ERROR, my_error_sqlstate(ER_UNKNOWN_ERROR),
                 "ORDER BY ignored as there is a user-defined clustered index in the table '%.*s'",
                 SLICE_FMT(a->old->name));
    diag_area_add(a->ctx->warnings, DIAG_WARNING, &d);
}

static bool is_of_table(const struct table_def *t, const struct ast_column *c)
{
    return (c->table.ptr == NULL || slice_eq(c->table, t->name)) &&
           (c->schema.ptr == NULL || slice_eq(c->schema, t->schema_name));
}

/* MYSQL: columns of the table as it was. */
static db_err find_column(struct alter *a, const struct ast_column *c, uint32_t *ret)
{
    for (uint32_t i = 0; is_of_table(a->old, c) && i < a->old->column_count; i++) {
        const struct column_def *def = &a->old->columns[i];
        if (!def->hidden && slice_eq_nocase(def->name, c->name)) {
            *ret = i;
            return ERR_OK;
        }
    }
    SCOPE_BUF(name, 1024);
    const struct slice parts[] = {c->schema, c->table, c->name};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (parts[i].ptr != NULL) {
            TRY(buf_printf(&name, "%s%.*s", name.len == 0 ? "" : ".", SLICE_FMT(parts[i])));
        }
    }
    return my_error(a->ctx->diag, ER_BAD_FIELD_ERROR, ddl__text(a->ctx, buf_slice(&name)),
                    "order clause");
}

static db_err resolve(struct alter *a, struct row_order *o, bool *wanted)
{
    uint32_t n = a->order_by->count;
    o->keys = ARENA_ARRAY(a->ctx->arena, struct sort_key, n);
    if (o->keys == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct ast_order_item *x = a->order_by->items[i];
        TRY(find_column(a, (const struct ast_column *)x->expr, &o->keys[i].column));
        o->keys[i].descending = x->desc;
        wanted[o->keys[i].column] = true;
    }
    o->key_count = n;
    return ERR_OK;
}

static db_err make_room(struct alter *a, struct exec_ctx *exec, struct row_order *o)
{
    struct arena *arena = a->ctx->arena;
    uint32_t n = a->old->column_count;
    const struct sql_type **types = arena_alloc(arena, n * sizeof(*types));
    o->vectors = ARENA_ARRAY(arena, struct vector *, n);
    if (types == NULL || o->vectors == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        types[i] = &a->old->columns[i].type;
    }
    TRY(chunk_init_rows(&o->in, types, n, 1, arena));
    TRY(chunk_init_rows(&o->out, types, n, ROWS_AT_A_TIME, arena));
    for (uint32_t i = 0; i < n; i++) {
        o->vectors[i] = &o->in.columns[i];
    }
    return sorter_init(&o->sorter, exec, types, n, o->keys, o->key_count, UINT64_MAX, 0);
}

/* Text is not copied: the sorter packs the row before the next one is read. */
static db_err show_row(struct row_order *o, const struct value *row)
{
    for (uint32_t i = 0; i < o->in.column_count; i++) {
        struct vector *to = &o->in.columns[i];
        vector_reset(to);
        if (row[i].is_null) {
            vec_set_null(to, 0);
        } else if (row[i].phys == PHYS_STR) {
            vec_set_str_ref(to, 0, row[i].str);
        } else {
            TRY(vector_set(to, 0, &row[i]));
        }
    }
    return ERR_OK;
}

static db_err take_rows(struct alter *a, struct exec_ctx *exec, struct row_order *o,
                        struct row_scan *scan)
{
    bool row;
    for (;;) {
        TRY(ddl__scan_next(a->ctx, scan, &row));
        if (!row) {
            return sorter_finish(&o->sorter, exec);
        }
        if (o->virtuals.rules != NULL) {
            arena_reset(o->virtuals.values);
            TRY(row_rules_read(&o->virtuals, exec, false, scan->values));
        }
        TRY(show_row(o, scan->values));
        TRY(sorter_add(&o->sorter, exec, o->vectors, NULL, 1));
    }
}

db_err ddl__order_rows(struct alter *a, const struct table_def *def, struct exec_ctx *exec,
                       struct row_scan *scan, struct row_order *o)
{
    struct table_rules *rules;
    if (a->order_by == NULL) {
        return ERR_OK;
    }
    if (is_clustered(def)) {
        warn_ignored(a);
        return ERR_OK;
    }
    bool *wanted = ARENA_ARRAY(a->ctx->arena, bool, a->old->column_count);
    if (wanted == NULL) {
        return ERR_NOMEM;
    }
    TRY(resolve(a, o, wanted));
    TRY(bind_virtual_columns(a->ctx->arena, a->ctx->bind, a->old, wanted, a->ctx->diag, &rules));
    TRY(row_rules_init(&o->virtuals, exec, a->old, rules));
    o->virtuals.values = exec->eval.arena;
    TRY(make_room(a, exec, o));
    return take_rows(a, exec, o, scan);
}

db_err ddl__order_next(struct row_order *o, struct exec_ctx *exec, struct value *ret_values,
                       bool *ret_row)
{
    if (o->at == o->out.count) {
        TRY(fiber_checkpoint());
        TRY(sorter_next(&o->sorter, exec, ROWS_AT_A_TIME, &o->out));
        o->at = 0;
    }
    *ret_row = o->out.count != 0;
    for (uint32_t i = 0; *ret_row && i < o->out.column_count; i++) {
        vector_get(&o->out.columns[i], o->at, &ret_values[i]);
    }
    o->at++;
    return ERR_OK;
}

void ddl__order_fini(struct row_order *o)
{
    sorter_fini(&o->sorter);
}
