/* UPDATE and DELETE of one row by a full unique key, without operators.
 *
 * The row is read under its lock and decoded straight into values by ordinal. Only when an
 * assignment or a filter computes something from columns is the row shown to the evaluator as
 * vectors of one row; constants and parameters are stored as they are. What is written, counted and
 * warned of is what the operator does: both call change_row_update and row_delete. */
#include "sql/exec/change_row.h"
#include "sql/exec/fk.h"
#include "sql/exec/keys.h"
#include "sql/exec/short_path.h"

struct point_change {
    const struct plan_node *node;
    const struct plan_node *get;
    const struct plan_target *target;
    struct value *old; /* by ordinal */
    struct chunk row;  /* the same as the expressions see it */
    bool has_row;
};

static bool is_simple(const struct plan *plan, struct point_change *p)
{
    const struct plan_node *n = plan->root;
    if ((n->kind != PLAN_UPDATE && n->kind != PLAN_DELETE) || n->u.dml.target_count != 1 ||
        n->u.dml.limit != NULL) {
        return false;
    }
    p->node = n;
    p->get = n->children[0];
    p->target = &n->u.dml.targets[0];
    return p->get->kind == PLAN_POINT_GET && p->get->u.scan.range_count == 1 &&
           p->get->u.scan.table == p->target->table && !p->target->outer_joined &&
           !(n->u.dml.ignore && n->kind == PLAN_DELETE && p->target->fks != NULL);
}

static db_err show_row(struct exec_ctx *ctx, struct point_change *p)
{
    const struct scan_spec *spec = &p->get->u.scan;
    TRY(chunk_init_rows(&p->row, p->get->types, p->get->column_count, 1, ctx->arena));
    for (uint32_t i = 0; i < p->get->column_count; i++) {
        const struct value *v = &p->old[spec->columns[i]];
        struct vector *to = &p->row.columns[i];
        if (v->is_null) {
            vec_set_null(to, 0);
        } else if (v->phys == PHYS_STR) {
            vec_set_str_ref(to, 0, v->str);
        } else {
            TRY(vector_set(to, 0, v));
        }
    }
    p->row.count = 1;
    p->has_row = true;
    return ERR_OK;
}

/* The VIRTUAL columns that the plan reads: others are left NULL, as the operator leaves them. */
static db_err compute_virtuals(struct exec_ctx *ctx, struct point_change *p)
{
    struct scan_spec spec = p->get->u.scan;
    struct row_source source;
    spec.covering = false;
    if (spec.virtual_count == 0) {
        return ERR_OK;
    }
    TRY(show_row(ctx, p));
    TRY(exec__source_init(ctx, &spec, &p->row, &source));
    TRY(exec__source_compute(ctx, &source, &p->row));
    for (uint32_t i = 0; i < spec.virtual_count; i++) {
        struct value v;
        vector_get(&p->row.columns[spec.virtuals[i].out], 0, &v);
        TRY(value_copy(&v, ctx->arena, &p->old[spec.columns[spec.virtuals[i].out]]));
    }
    return ERR_OK;
}

/* The row is copied: what storage_get gives may be gone with the next write. */
static db_err decode(struct exec_ctx *ctx, struct point_change *p, struct slice stored)
{
    struct whole_row reader;
    struct slice copy;
    p->old = arena_alloc(ctx->arena, p->target->table->column_count * sizeof(*p->old));
    if (p->old == NULL) {
        return ERR_LIMIT;
    }
    TRY(arena_copy(ctx->arena, stored, &copy));
    whole_row_init(&reader, ctx->mem, p->target->table, NULL);
    reader.arena = ctx->arena;
    db_err err = whole_row_read(&reader, ctx, copy, ctx->arena, p->old);
    whole_row_fini(&reader);
    TRY(err);
    return compute_virtuals(ctx, p);
}

static db_err passes(struct exec_ctx *ctx, struct point_change *p, bool *ret_pass)
{
    const struct scan_spec *spec = &p->get->u.scan;
    struct expr_state **filters;
    uint16_t sel[1];
    uint32_t n = 1;
    if (spec->filter_count != 0) {
        TRY(p->has_row ? ERR_OK : show_row(ctx, p));
        TRY(exec__prepare_conditions(ctx, spec->filters, spec->filter_count, &filters));
        TRY(expr_filter(ctx, filters, spec->filter_count, &p->row, sel, &n));
    }
    *ret_pass = n != 0;
    return ERR_OK;
}

static db_err prepare_assigns(struct exec_ctx *ctx, struct point_change *p,
                              struct expr_state ***ret)
{
    const struct plan_target *t = p->target;
    struct expr_state **states = ARENA_ARRAY(ctx->arena, struct expr_state *, t->assign_count + 1);
    if (states == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t k = 0; k < t->assign_count; k++) {
        const struct bexpr *e = t->assigns[k].expr;
        if (e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM || e->kind == BEXPR_DEFAULT) {
            continue;
        }
        TRY(expr_prepare(ctx, e, &states[k]));
        if (!p->has_row) {
            TRY(show_row(ctx, p));
        }
    }
    *ret = states;
    return ERR_OK;
}

static db_err change(struct exec_ctx *ctx, struct point_change *p, struct row_writer *w,
                     struct slice stored)
{
    bool pass;
    TRY(decode(ctx, p, stored));
    TRY(passes(ctx, p, &pass));
    if (!pass) {
        return ERR_OK;
    }
    if (p->node->kind == PLAN_DELETE) {
        TRY(fk_delete_row(ctx, fk_wanted(ctx, p->target->fks), w, p->old, NULL));
        ctx->deleted_rows++;
        return ERR_OK;
    }
    struct change_row c = {.target = p->target, .writer = w, .ignore = p->node->u.dml.ignore};
    struct row_rules rules;
    TRY(row_rules_init(&rules, ctx, p->target->table, p->target->rules));
    c.rules = &rules;
    TRY(prepare_assigns(ctx, p, &c.assigns));
    c.scratch = p->has_row ? &p->row : NULL;
    return change_row_update(&c, ctx, p->old, 1);
}

db_err exec__point_change(struct exec_ctx *ctx, bool *ret_done)
{
    struct point_change p = {.has_row = false};
    struct slice stored;
    bool found;
    *ret_done = is_simple(ctx->plan, &p);
    if (!*ret_done) {
        return ERR_OK;
    }
    TRY(exec__point_read(ctx, &p.get->u.scan, &found, &stored));
    if (!found) {
        return ERR_OK;
    }
    struct row_writer w;
    row_writer_init(&w, ctx, p.target->table, p.target->virtuals);
    w.rows.arena = ctx->arena;
    db_err err = change(ctx, &p, &w, stored);
    row_writer_fini(&w);
    TRY(err);
    ctx->affected_rows = p.node->kind == PLAN_DELETE ? ctx->deleted_rows
                         : ctx->found_rows_flag      ? ctx->matched_rows
                                                     : ctx->changed_rows;
    return ERR_OK;
}
