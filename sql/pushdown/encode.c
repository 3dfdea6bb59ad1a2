/* A fragment as a message: built in an arena of its own, from the plan and from the values of this
 * execution, and packed at once. */
#include "base/alloc.h"
#include "base/hash.h"
#include "sql/pushdown/pushdown_int.h"

struct encoder {
    struct arena arena;
    struct exec_ctx *ctx;
    struct buf table; /* the descriptor */
    uint32_t depth;   /* of the expression */
};

#define PB_NEW(x, var, type, init)                                                                 \
    type *var = ARENA_NEW(&(x)->arena, type);                                                      \
    if (var == NULL) {                                                                             \
        return ERR_NOMEM;                                                                          \
    }                                                                                              \
    init(var)

static ProtobufCBinaryData bytes_of(struct slice s)
{
    return (ProtobufCBinaryData){.len = s.len, .data = (uint8_t *)(uintptr_t)s.ptr};
}

uint32_t pushdown__version(void)
{
    enum { FORM = 2 }; /* counts changes of what nodes of the same functions may send */
    uint64_t h = hash_combine(FORM, sizeof(struct decimal));
    for (size_t i = 0; i < func_count(); i++) {
        h = hash_combine(h, hash_bytes(slice_str(func_at(i)->name), 1) ^ func_at(i)->flags);
    }
    for (size_t i = 0; i < agg_count(); i++) {
        h = hash_combine(h, hash_bytes(slice_str(agg_at(i)->name), 2) ^ agg_at(i)->state_size);
    }
    return (uint32_t)h | 1u;
}

/* ---- types and values ---- */

static db_err put_type(struct encoder *x, const struct sql_type *t, pb_type **ret)
{
    PB_NEW(x, p, pb_type, skein__plan__type__init);
    p->id = t->id;
    p->flags = t->flags;
    p->decimals = t->decimals;
    p->geometry = t->geometry;
    p->length = t->length;
    p->collation = t->collation;
    p->wire = t->wire;
    p->srid_plus_1 = t->srid_plus_1;
    if (t->names != NULL) {
        p->names = ARENA_ARRAY(&x->arena, ProtobufCBinaryData, t->names->count + 1);
        if (p->names == NULL) {
            return ERR_NOMEM;
        }
        p->n_names = t->names->count;
        for (uint32_t i = 0; i < t->names->count; i++) {
            p->names[i] = bytes_of(t->names->names[i]);
        }
    }
    *ret = p;
    return ERR_OK;
}

static db_err put_value(struct encoder *x, const struct value *v, pb_value **ret)
{
    PB_NEW(x, p, pb_value, skein__plan__value__init);
    p->phys = v->phys;
    p->type = v->type;
    p->is_null = v->is_null;
    p->is_unsigned = v->is_unsigned;
    p->decimals = v->decimals;
    p->collation = v->collation;
    *ret = p;
    if (v->is_null) {
        return ERR_OK;
    }
    if (v->phys == PHYS_STR) {
        p->bytes = bytes_of(v->str);
    } else if (v->phys == PHYS_DECIMAL) {
        char text[DECIMAL_TEXT_MAX];
        struct slice copy;
        unsigned len = decimal_to_text(&v->dec, text);
        TRY(arena_copy(&x->arena, slice_of(text, len), &copy));
        p->bytes = bytes_of(copy);
    } else {
        memcpy(&p->number, &v->i, sizeof(p->number));
    }
    return ERR_OK;
}

/* ---- expressions ---- */

static db_err put_expr(struct encoder *x, const struct bexpr *e, pb_expr **ret);

static db_err put_exprs(struct encoder *x, struct bexpr *const *list, uint32_t count,
                        pb_expr ***ret)
{
    pb_expr **out = ARENA_ARRAY(&x->arena, pb_expr *, count + 1);
    if (out == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(put_expr(x, list[i], &out[i]));
    }
    *ret = out;
    return ERR_OK;
}

/* As the constant that it is in this execution. */
static db_err put_constant(struct encoder *x, const struct bexpr *e, pb_expr *p)
{
    struct value v;
    TRY(expr_eval_scalar(x->ctx, e, &v));
    p->kind = BEXPR_CONST;
    p->flags |= EXPR_IS_CONST;
    return put_value(x, &v, &p->constant);
}

static db_err put_func(struct encoder *x, const struct bexpr *e, pb_expr *p)
{
    const struct func_call *call = e->u.func;
    if ((call->def->flags & FUNC_STATEMENT) != 0) {
        return put_constant(x, e, p);
    }
    if ((call->def->flags & FUNC_PURE) == 0 || e->arg_count > PUSHDOWN_ARGS_MAX) {
        return ERR_UNSUPPORTED;
    }
    p->func = bytes_of(slice_str(call->def->name));
    p->variant = call->variant;
    p->collation = call->collation;
    p->flags |= call->data != NULL ? EXPR_HAS_DATA : 0u;
    return ERR_OK;
}

static db_err put_expr(struct encoder *x, const struct bexpr *e, pb_expr **ret)
{
    PB_NEW(x, p, pb_expr, skein__plan__expr__init);
    *ret = p;
    p->kind = e->kind;
    p->coercibility = e->coercibility;
    p->flags = e->is_const ? EXPR_IS_CONST : 0u;
    TRY(put_type(x, &e->type, &p->type));
    switch ((int)e->kind) {
    case BEXPR_CONST:
    case BEXPR_PARAM:
    case BEXPR_USER_VAR:
    case BEXPR_SYSTEM_VAR: return put_constant(x, e, p);
    case BEXPR_COLUMN:
        p->slot = e->u.column.slot;
        p->flags |= e->u.column.padded ? EXPR_PADDED : 0u;
        return ERR_OK;
    case BEXPR_FUNC:
        TRY(put_func(x, e, p));
        if (p->kind == BEXPR_CONST) {
            return ERR_OK;
        }
        break;
    case BEXPR_IN_LIST: p->flags |= e->u.negated ? EXPR_NEGATED : 0u; break;
    case BEXPR_CAST:
        if (e->u.cast.early != NULL && x->ctx->early != NULL) {
            return put_constant(x, e, p);
        }
        break;
    case BEXPR_AND:
    case BEXPR_OR:
    case BEXPR_CASE:
    case BEXPR_COALESCE: break;
    default: return ERR_UNSUPPORTED;
    }
    if (x->depth == PUSHDOWN_EXPR_DEPTH_MAX) {
        return ERR_UNSUPPORTED;
    }
    p->n_args = e->arg_count;
    x->depth++;
    TRY(put_exprs(x, e->args, e->arg_count, &p->args));
    x->depth--;
    return ERR_OK;
}

/* ---- nodes ---- */

static db_err put_aggs(struct encoder *x, const struct plan_node *n, pb_node *p)
{
    p->n_aggs = n->u.agg.agg_count;
    p->aggs = ARENA_ARRAY(&x->arena, pb_agg *, p->n_aggs + 1);
    if (p->aggs == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->u.agg.agg_count; i++) {
        const struct plan_agg *a = &n->u.agg.aggs[i];
        PB_NEW(x, q, pb_agg, skein__plan__agg__init);
        if (a->order_count != 0 || a->call->data != NULL) {
            return ERR_UNSUPPORTED;
        }
        q->name = bytes_of(slice_str(a->call->def->name));
        q->collation = a->call->collation;
        q->variant = a->call->variant;
        q->n_args = a->call->arg_count;
        TRY(put_type(x, &a->call->type, &q->type));
        TRY(put_exprs(x, a->args, a->call->arg_count, &q->args));
        p->aggs[i] = q;
    }
    p->n_exprs = n->u.agg.group_count;
    return put_exprs(x, n->u.agg.groups, n->u.agg.group_count, &p->exprs);
}

static db_err put_limit(struct encoder *x, const struct bexpr *limit, const struct bexpr *offset,
                        pb_node *p)
{
    uint64_t skip;
    TRY(exec__limit_value(x->ctx, limit, UINT64_MAX, &p->limit));
    TRY(exec__limit_value(x->ctx, offset, 0, &skip));
    p->limit = p->limit == 0 || skip > UINT64_MAX - p->limit ? p->limit : p->limit + skip;
    return ERR_OK;
}

static db_err put_topn(struct encoder *x, const struct plan_node *n, pb_node *p)
{
    uint32_t count = n->u.sort.count;
    struct bexpr **keys = ARENA_ARRAY(&x->arena, struct bexpr *, count + 1);
    p->descending = ARENA_ARRAY(&x->arena, protobuf_c_boolean, count + 1);
    if (keys == NULL || p->descending == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = n->u.sort.keys[i].expr;
        p->descending[i] = n->u.sort.keys[i].descending;
    }
    p->n_descending = p->n_exprs = count;
    TRY(put_exprs(x, keys, count, &p->exprs));
    return put_limit(x, n->u.sort.limit, n->u.sort.offset, p);
}

static db_err put_scan(struct encoder *x, const struct plan_node *n, pb_node *p)
{
    const struct scan_spec *s = &n->u.scan;
    TRY(table_descriptor_encode(s->table, &x->table));
    p->table = bytes_of(buf_slice(&x->table));
    p->index = (uint32_t)(s->index - s->table->indexes);
    p->covering = s->covering;
    p->n_columns = s->column_count;
    p->columns = s->columns;
    uint32_t filters = s->filter_count;
    struct bexpr **exprs = ARENA_ARRAY(&x->arena, struct bexpr *, filters + s->virtual_count + 1);
    p->computed = ARENA_ARRAY(&x->arena, uint32_t, s->virtual_count + 1);
    if (exprs == NULL || p->computed == NULL) {
        return ERR_NOMEM;
    }
    if (filters != 0) {
        memcpy(exprs, s->filters, filters * sizeof(struct bexpr *));
    }
    for (uint32_t i = 0; i < s->virtual_count; i++) {
        exprs[filters + i] = s->virtuals[i].expr;
        p->computed[i] = s->virtuals[i].out;
    }
    p->n_computed = s->virtual_count;
    p->n_exprs = filters + s->virtual_count;
    return put_exprs(x, exprs, (uint32_t)p->n_exprs, &p->exprs);
}

static db_err put_node(struct encoder *x, const struct plan_node *n, pb_node **ret)
{
    PB_NEW(x, p, pb_node, skein__plan__node__init);
    *ret = p;
    p->kind = n->kind;
    p->types = ARENA_ARRAY(&x->arena, pb_type *, n->column_count + 1);
    if (p->types == NULL) {
        return ERR_NOMEM;
    }
    p->n_types = n->column_count;
    for (uint32_t i = 0; i < n->column_count; i++) {
        TRY(put_type(x, n->types[i], &p->types[i]));
    }
    switch ((int)n->kind) {
    case PLAN_TABLE_SCAN:
    case PLAN_INDEX_SCAN: return put_scan(x, n, p);
    case PLAN_FILTER:
        p->n_exprs = n->u.filter.count;
        return put_exprs(x, n->u.filter.conjuncts, n->u.filter.count, &p->exprs);
    case PLAN_PROJECT:
        p->n_exprs = n->column_count;
        return put_exprs(x, n->u.project.exprs, n->column_count, &p->exprs);
    case PLAN_HASH_AGG:
    case PLAN_STREAM_AGG: return put_aggs(x, n, p);
    case PLAN_TOPN: return put_topn(x, n, p);
    case PLAN_LIMIT: return put_limit(x, n->u.limit.limit, n->u.limit.offset, p);
    default: return ERR_UNSUPPORTED;
    }
}

/* ---- the whole ---- */

static void fill_env(const struct exec_ctx *ctx, pb_env *p)
{
    const struct eval_env *env = ctx->eval.env;
    struct cast_ctx *cast = ctx->eval.cast;
    p->sql_mode = cast->sql_mode;
    p->time_zone = bytes_of(slice_str(timezone_name(cast->tz)));
    p->div_precision_increment = cast->div_precision_increment;
    p->cast_collation = cast->collation;
    p->now_local = cast_now_local(cast);
    if (env != NULL) {
        p->default_week_format = env->default_week_format;
        p->block_encryption_mode = env->block_encryption_mode;
        p->group_concat_max_len = env->group_concat_max_len;
        p->max_allowed_packet = env->max_allowed_packet;
        p->connection_collation = env->connection_collation;
        p->now_us = env->now_us;
    }
}

static db_err encode(struct encoder *x, const struct plan_fragment *f, struct buf *out)
{
    const struct plan_node *chain[PUSHDOWN_DEPTH_MAX];
    pb_node *nodes[PUSHDOWN_DEPTH_MAX];
    pb_fragment m = SKEIN__PLAN__FRAGMENT__INIT;
    pb_env env = SKEIN__PLAN__ENV__INIT;
    uint32_t depth = 0;
    for (const struct plan_node *n = f->root;; n = n->children[0]) {
        if (depth == PUSHDOWN_DEPTH_MAX) {
            return ERR_UNSUPPORTED;
        }
        chain[depth++] = n;
        if (n == f->scan) {
            break;
        }
    }
    for (uint32_t i = 0; i < depth; i++) {
        TRY(put_node(x, chain[depth - 1 - i], &nodes[i]));
    }
    fill_env(x->ctx, &env);
    m.version = pushdown__version();
    m.n_nodes = depth;
    m.nodes = nodes;
    m.env = &env;
    size_t size = protobuf_c_message_get_packed_size(&m.base);
    if (size > PUSHDOWN_PLAN_MAX) {
        return ERR_UNSUPPORTED;
    }
    TRY(buf_reserve(out, size));
    out->len += protobuf_c_message_pack(&m.base, out->ptr + out->len);
    return ERR_OK;
}

db_err pushdown_encode(const struct storage_fragment *fragment, struct buf *out)
{
    struct encoder x = {.ctx = fragment->ctx};
    arena_init(&x.arena, NULL, fragment->ctx->mem, 0);
    buf_init(&x.table, PUSHDOWN_PLAN_MAX);
    db_err err = encode(&x, fragment->plan, out);
    buf_fini(&x.table);
    arena_fini(&x.arena);
    return err == ERR_SQL ? ERR_UNSUPPORTED : err;
}
