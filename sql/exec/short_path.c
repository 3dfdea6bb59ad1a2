/* The point select: one key, one get, one row.
 *
 * No operators, no chunks of full size: the key is encoded on the stack, the wanted columns of the
 * stored row become vectors of one row, and the projection is a list of references to them unless
 * it computes something. What is kept for the statement comes from its arena, which a point select
 * does not outgrow. */
#include "sql/exec/short_path.h"

#include "sql/exec/exec_int.h"
#include "sql/exec/keys.h"

struct point {
    const struct plan_node *project; /* NULL: the columns as they are read */
    const struct plan_node *get;
    const struct scan_spec *spec;
    struct row_source source;
    struct chunk row;
};

static bool is_simple(const struct plan *plan, struct point *p)
{
    const struct plan_node *n = plan->root;
    p->project = NULL;
    if (n->kind == PLAN_PROJECT) {
        p->project = n;
        n = n->children[0];
    }
    if (n->kind != PLAN_POINT_GET || n->u.scan.range_count != 1) {
        return false;
    }
    p->get = n;
    p->spec = &n->u.scan;
    return true;
}

static db_err get(struct exec_ctx *ctx, const struct scan_spec *spec, struct slice key,
                  bool *ret_found, struct slice *ret_value)
{
    return storage_get(ctx->txn, key, exec__read_mode(ctx, spec), exec__wait_mode(spec),
                       ctx->eval.arena, ctx->diag, ret_found, ret_value);
}

db_err exec__point_read(struct exec_ctx *ctx, const struct scan_spec *spec, bool *ret_found,
                        struct slice *ret_stored)
{
    struct slice key;
    struct slice stored;
    bool empty;
    bool found = false;
    uint32_t index = (uint32_t)(spec->index - spec->table->indexes);
    *ret_found = false;
    TRY(exec__point_key(ctx, spec, &key, &empty));
    if (empty) {
        return ERR_OK;
    }
    TRY(get(ctx, spec, key, &found, &stored));
    if (found && index != 0) {
        const struct table_format *f = spec->table->format;
        struct row_source entry = {.format = f, .index = &f->indexes[index]};
        TRY(exec__entry_row_key(&entry, key, stored, ctx->eval.arena, &key));
        TRY(get(ctx, spec, key, &found, &stored));
    }
    *ret_found = found;
    if (found) {
        *ret_stored = stored;
    }
    return ERR_OK;
}

static db_err passes(struct exec_ctx *ctx, struct point *p, bool *ret_pass)
{
    ctx->examined_rows++;
    struct expr_state **filters;
    uint16_t sel[1];
    uint32_t n = 1;
    if (p->spec->filter_count != 0) {
        TRY(exec__prepare_conditions(ctx, p->spec->filters, p->spec->filter_count, &filters));
        TRY(expr_filter(ctx, filters, p->spec->filter_count, &p->row, sel, &n));
    }
    *ret_pass = n != 0;
    return ERR_OK;
}

static db_err give(struct exec_ctx *ctx, struct point *p, exec_rows_fn rows, void *arg)
{
    const struct plan_node *n = p->project;
    if (n == NULL) {
        return rows(arg, &p->row);
    }
    struct chunk out = {.count = 1, .column_count = n->column_count};
    out.columns = arena_alloc(ctx->arena, (n->column_count + 1) * sizeof(*out.columns));
    if (out.columns == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        const struct bexpr *e = n->u.project.exprs[i];
        struct vector *v;
        if (e->kind == BEXPR_COLUMN && !e->u.column.padded) {
            v = &p->row.columns[e->u.column.slot];
        } else {
            struct expr_state *s;
            TRY(expr_prepare(ctx, e, &s));
            TRY(expr_eval(ctx, s, &p->row, &v));
        }
        vector_ref(&out.columns[i], v);
        out.columns[i].type = n->types[i];
    }
    return rows(arg, &out);
}

db_err exec__point_select(struct exec_ctx *ctx, exec_rows_fn rows, void *arg, bool *ret_done)
{
    struct point p;
    struct slice stored;
    bool found;
    *ret_done = is_simple(ctx->plan, &p);
    if (!*ret_done) {
        return ERR_OK;
    }
    struct scan_spec spec = *p.spec;
    spec.covering = false; /* the row itself is read in any case */
    p.row = (struct chunk){.count = 0};
    TRY(chunk_init_rows(&p.row, p.get->types, p.get->column_count, 1, ctx->arena));
    TRY(exec__source_init(ctx, &spec, &p.row, &p.source));
    TRY(exec__point_read(ctx, &spec, &found, &stored));
    if (!found) {
        return ERR_OK;
    }
    TRY(exec__source_row(&p.source, stored, 0));
    p.row.count = 1;
    TRY(exec__source_compute(ctx, &p.source, &p.row));
    bool pass;
    TRY(passes(ctx, &p, &pass));
    return pass && rows != NULL ? give(ctx, &p, rows, arg) : ERR_OK;
}
