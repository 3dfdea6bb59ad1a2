/* Tables whose rows a provider makes: all rows are made when the scan begins, and kept packed. */
#include "base/fiber.h"
#include "sql/catalog/vtable_provider.h"
#include "sql/diag/my_error.h"
#include "sql/exec/exec_int.h"
#include "sql/exec/row_table.h"

struct op_virtual {
    struct op op;
    struct vtable_rows sink;
    struct exec_ctx *ctx; /* during fill */
    struct packed_format format;
    struct row_table rows;
    struct chunk one; /* the row being taken */
    struct vector **vectors;
    struct expr_state **filters;
    struct row_node *at;
    struct chunk chunk;
    uint16_t *sel;
    bool opened, filled;
};

static db_err add_row(struct vtable_rows *rows, const struct value *values)
{
    struct op_virtual *s = CONTAINER_OF(rows, struct op_virtual, sink);
    const struct scan_spec *spec = &s->op.node->u.scan;
    chunk_reset(&s->one);
    for (uint32_t i = 0; i < spec->column_count; i++) {
        struct vector *v = &s->one.columns[i];
        const struct value *x = &values[spec->columns[i]];
        if (x->is_null) {
            vec_set_null(v, 0);
        } else if (v->phys == PHYS_STR && x->phys == PHYS_STR) {
            vec_set_str_ref(v, 0, x->str);
        } else if (v->phys == x->phys) {
            TRY(vector_set(v, 0, x));
        } else {
            struct value converted;
            struct sql_type from = value_type(x);
            TRY(value_cast(s->ctx->eval.cast, &from, x, v->type, &converted));
            TRY(vector_set(v, 0, &converted));
        }
    }
    TRY(row_table_append(&s->rows, 0, s->vectors, 0));
    return fiber_checkpoint();
}

static db_err virtual_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_virtual *s = (struct op_virtual *)op;
    const struct plan_node *n = op->node;
    s->sink.add = add_row;
    TRY(packed_format_init(&s->format, n->types, n->column_count, ctx->arena));
    row_table_init(&s->rows, &s->format, 0, ctx->mem, SIZE_MAX);
    s->opened = true;
    TRY(chunk_init_rows(&s->one, n->types, n->column_count, 1, ctx->arena));
    TRY(chunk_init(&s->chunk, n->types, n->column_count, ctx->arena));
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, n->column_count + 1);
    s->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->sel));
    if (s->vectors == NULL || s->sel == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        s->vectors[i] = &s->one.columns[i];
    }
    return exec__prepare_conditions(ctx, n->u.scan.filters, n->u.scan.filter_count, &s->filters);
}

static db_err fill(struct op_virtual *s, struct exec_ctx *ctx)
{
    const struct table_def *t = s->op.node->u.scan.table;
    struct arena scratch;
    if (t->provider == NULL) {
        return my_error(ctx->diag, ER_NOT_SUPPORTED_YET, arena_strdup(ctx->arena, t->name));
    }
    arena_init(&scratch, NULL, ctx->mem, 0);
    struct saved_arenas saved = exec__enter_arena(ctx, &scratch);
    s->ctx = ctx;
    db_err err = t->provider->fill(t, ctx->session, &scratch, &s->sink, ctx->diag);
    s->ctx = NULL;
    exec__leave_arena(ctx, saved);
    arena_fini(&scratch);
    TRY(err);
    s->filled = true;
    s->at = s->rows.first;
    return ERR_OK;
}

static db_err virtual_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    enum { BATCH = 128 };
    struct op_virtual *s = (struct op_virtual *)op;
    const struct scan_spec *spec = &op->node->u.scan;
    *ret = NULL;
    if (!s->filled) {
        TRY(fill(s, ctx));
    }
    while (s->at != NULL) {
        chunk_reset(&s->chunk);
        while (s->at != NULL && s->chunk.count < CHUNK_ROWS) {
            const struct packed_row *rows[BATCH];
            uint32_t n = 0;
            for (; s->at != NULL && n < BATCH; s->at = s->at->newer) {
                rows[n++] = &s->at->row;
            }
            for (uint32_t c = 0; c < s->chunk.column_count; c++) {
                packed_read(&s->format, rows, n, c, &s->chunk.columns[c], s->chunk.count);
            }
            s->chunk.count += n;
        }
        if (spec->filter_count != 0) {
            TRY(expr_filter(ctx, s->filters, spec->filter_count, &s->chunk, s->sel,
                            &s->chunk.count));
            s->chunk.sel = s->sel;
        }
        if (s->chunk.count != 0) {
            *ret = &s->chunk;
            return ERR_OK;
        }
        TRY(fiber_checkpoint());
    }
    return ERR_OK;
}

static db_err virtual_rescan(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_virtual *s = (struct op_virtual *)op;
    s->at = s->rows.first;
    return ERR_OK;
}

static void virtual_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_virtual *s = (struct op_virtual *)op;
    if (s->opened) {
        row_table_fini(&s->rows);
        s->opened = false;
    }
}

static const struct op_ops g_virtual = {"virtual scan", virtual_open, virtual_next, virtual_rescan,
                                        virtual_close};
const struct op_kind op_virtual_scan_kind = {sizeof(struct op_virtual), &g_virtual};
