/* A message as a plan again. Functions are found by name, and what their bind had prepared is made
 * anew. Peers are members of the cluster and run the same program; what they send is checked all
 * the same wherever a wrong number would lead out of memory that is ours. */
#include "sql/bind/bexpr.h"
#include "sql/pushdown/pushdown_int.h"

struct decoder {
    struct arena *arena;
    struct diag *diag;
    const pb_env *env;
    uint32_t width; /* columns of the rows that expressions read */
};

/* Empty text has an address here, as everywhere in SQL; missing bytes of a message have none. */
static struct slice slice_from_pb(ProtobufCBinaryData d)
{
    return d.len == 0 ? SLICE_LIT("") : slice_of(d.data, d.len);
}

static db_err take_type(struct decoder *x, const pb_type *p, struct sql_type *ret)
{
    if (p == NULL || p->id >= TYPE__COUNT || p->n_names > ENUM_MEMBERS_MAX) {
        return ERR_CORRUPT;
    }
    *ret = (struct sql_type){.id = (uint8_t)p->id,
                             .flags = (uint8_t)p->flags,
                             .decimals = (uint8_t)p->decimals,
                             .geometry = (uint8_t)p->geometry,
                             .length = p->length,
                             .collation = (uint16_t)p->collation,
                             .wire = (uint16_t)p->wire,
                             .srid_plus_1 = p->srid_plus_1};
    if (collation_by_id(ret->collation) == NULL && type_phys(ret) == PHYS_STR) {
        return ERR_CORRUPT;
    }
    if (p->n_names == 0) {
        return ret->id == TYPE_ENUM || ret->id == TYPE_SET ? ERR_CORRUPT : ERR_OK;
    }
    struct type_names *names = ARENA_NEW(x->arena, struct type_names);
    struct slice *list = ARENA_ARRAY(x->arena, struct slice, p->n_names);
    if (names == NULL || list == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < p->n_names; i++) {
        list[i] = slice_from_pb(p->names[i]);
    }
    *names = (struct type_names){(uint32_t)p->n_names, list};
    ret->names = names;
    return ERR_OK;
}

static db_err take_value(const pb_value *p, const struct sql_type *type, struct value *ret)
{
    if (p == NULL || p->phys >= PHYS__COUNT || p->type >= TYPE__COUNT) {
        return ERR_CORRUPT;
    }
    *ret = (struct value){.phys = (uint8_t)p->phys,
                          .type = (uint8_t)p->type,
                          .is_null = p->is_null != 0,
                          .is_unsigned = p->is_unsigned != 0,
                          .decimals = (uint8_t)p->decimals,
                          .collation = (uint16_t)p->collation};
    if (ret->is_null) {
        return ERR_OK;
    }
    if (ret->phys != (uint8_t)type_phys(type)) {
        return ERR_CORRUPT;
    }
    if (ret->phys == PHYS_STR) {
        ret->str = slice_from_pb(p->bytes);
    } else if (ret->phys == PHYS_DECIMAL) {
        return decimal_from_text(slice_from_pb(p->bytes), &ret->dec) == DECIMAL_OK ? ERR_OK
                                                                                   : ERR_CORRUPT;
    } else {
        memcpy(&ret->i, &p->number, sizeof(ret->i));
    }
    return ERR_OK;
}

/* ---- expressions ---- */

static db_err take_expr(struct decoder *x, const pb_expr *p, unsigned depth, struct bexpr **ret);

static db_err take_exprs(struct decoder *x, pb_expr *const *list, size_t count, unsigned depth,
                         struct bexpr ***ret)
{
    struct bexpr **out = ARENA_ARRAY(x->arena, struct bexpr *, count + 1);
    if (out == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        TRY(take_expr(x, list[i], depth, &out[i]));
    }
    *ret = out;
    return ERR_OK;
}

static db_err take_data(struct decoder *x, const struct bexpr *e, struct func_call *call)
{
    struct func_bind_ctx bind = {.arena = x->arena,
                                 .diag = x->diag,
                                 .sql_mode = x->env->sql_mode,
                                 .connection_collation = (uint16_t)x->env->connection_collation,
                                 .div_precision_increment = x->env->div_precision_increment,
                                 .max_allowed_packet = x->env->max_allowed_packet};
    uint8_t coercibilities[PUSHDOWN_ARGS_MAX];
    bool is_const[PUSHDOWN_ARGS_MAX];
    for (uint32_t i = 0; i < e->arg_count; i++) {
        coercibilities[i] = e->args[i]->coercibility;
        is_const[i] = e->args[i]->is_const;
    }
    db_err err = func_rebind(&bind, call, coercibilities, is_const);
    return err == ERR_SQL ? ERR_UNSUPPORTED : err;
}

static db_err take_func(struct decoder *x, const pb_expr *p, struct bexpr *e)
{
    char name[64];
    struct func_call *call = ARENA_NEW(x->arena, struct func_call);
    const struct value **consts = ARENA_ARRAY(x->arena, const struct value *, e->arg_count + 1);
    if (call == NULL || consts == NULL) {
        return ERR_NOMEM;
    }
    if (p->func.len >= sizeof(name)) {
        return ERR_CORRUPT;
    }
    memcpy(name, p->func.data, p->func.len);
    name[p->func.len] = '\0';
    call->def = func_find_op(name);
    if (call->def == NULL || (call->def->flags & FUNC_PURE) == 0 ||
        e->arg_count < call->def->args_min || e->arg_count > PUSHDOWN_ARGS_MAX ||
        e->arg_count > call->def->args_max) {
        return ERR_CORRUPT;
    }
    call->type = e->type;
    call->coercibility = e->coercibility;
    call->collation = (uint16_t)p->collation;
    call->variant = p->variant;
    call->arg_count = e->arg_count;
    call->arg_types = ARENA_ARRAY(x->arena, struct sql_type, e->arg_count + 1);
    if (call->arg_types == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        call->arg_types[i] = e->args[i]->type;
        consts[i] = e->args[i]->kind == BEXPR_CONST ? &e->args[i]->u.constant : NULL;
    }
    call->arg_consts = consts;
    e->u.func = call;
    return (p->flags & EXPR_HAS_DATA) != 0 ? take_data(x, e, call) : ERR_OK;
}

static db_err take_expr(struct decoder *x, const pb_expr *p, unsigned depth, struct bexpr **ret)
{
    struct bexpr *e = ARENA_NEW(x->arena, struct bexpr);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    if (depth > PUSHDOWN_EXPR_DEPTH_MAX) {
        return ERR_UNSUPPORTED;
    }
    e->kind = (enum bexpr_kind)p->kind;
    e->coercibility = (uint8_t)p->coercibility;
    e->is_const = (p->flags & EXPR_IS_CONST) != 0;
    e->arg_count = (uint32_t)p->n_args;
    TRY(take_type(x, p->type, &e->type));
    TRY(take_exprs(x, p->args, p->n_args, depth + 1, &e->args));
    *ret = e;
    switch ((int)e->kind) {
    case BEXPR_CONST: return take_value(p->constant, &e->type, &e->u.constant);
    case BEXPR_COLUMN:
        e->u.column.slot = p->slot;
        e->u.column.padded = (p->flags & EXPR_PADDED) != 0;
        return p->slot < x->width && (!e->u.column.padded || e->type.id == TYPE_CHAR) ? ERR_OK
                                                                                      : ERR_CORRUPT;
    case BEXPR_FUNC: return take_func(x, p, e);
    case BEXPR_IN_LIST:
        e->u.negated = (p->flags & EXPR_NEGATED) != 0;
        return e->arg_count >= 1 ? ERR_OK : ERR_CORRUPT;
    case BEXPR_CAST: return e->arg_count == 1 ? ERR_OK : ERR_CORRUPT;
    case BEXPR_CASE: return e->arg_count >= 2 ? ERR_OK : ERR_CORRUPT;
    case BEXPR_AND:
    case BEXPR_OR:
    case BEXPR_COALESCE: return e->arg_count >= 1 ? ERR_OK : ERR_CORRUPT;
    default: return ERR_CORRUPT;
    }
}

/* A limit as an expression. */
static struct bexpr *number(struct decoder *x, uint64_t v)
{
    struct bexpr *e = ARENA_NEW(x->arena, struct bexpr);
    if (e != NULL) {
        e->kind = BEXPR_CONST;
        e->type = type_int(TYPE_BIGINT, true);
        e->u.constant = value_uint(v);
        e->is_const = true;
    }
    return e;
}

/* ---- nodes ---- */

/* Conditions, then the expressions of VIRTUAL columns. */
static db_err take_conditions(struct decoder *x, const pb_node *p, struct scan_spec *s)
{
    struct bexpr **exprs;
    if (p->n_computed > p->n_exprs) {
        return ERR_CORRUPT;
    }
    TRY(take_exprs(x, p->exprs, p->n_exprs, 0, &exprs));
    s->filters = exprs;
    s->filter_count = (uint32_t)(p->n_exprs - p->n_computed);
    s->virtuals = ARENA_ARRAY(x->arena, struct scan_virtual, p->n_computed + 1);
    if (s->virtuals == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < p->n_computed; i++) {
        if (p->computed[i] >= s->column_count || (p->index != 0 && s->covering)) {
            return ERR_CORRUPT;
        }
        s->virtuals[s->virtual_count++] =
            (struct scan_virtual){p->computed[i], exprs[s->filter_count + i]};
    }
    return ERR_OK;
}

static db_err take_scan(struct decoder *x, const pb_node *p, struct plan_node *n,
                        struct decoded *ret)
{
    struct scan_spec *s = &n->u.scan;
    if (ret->table != NULL) {
        return ERR_CORRUPT;
    }
    TRY(table_descriptor_decode(slice_from_pb(p->table), &ret->table));
    s->table = table_descriptor_def(ret->table);
    if (p->index >= s->table->index_count || p->n_columns != n->column_count) {
        return ERR_CORRUPT;
    }
    s->index = &s->table->indexes[p->index];
    s->covering = p->covering != 0;
    s->column_count = (uint32_t)p->n_columns;
    s->columns = p->columns;
    for (uint32_t i = 0; i < s->column_count; i++) {
        if (s->columns[i] >= s->table->column_count ||
            type_phys(&s->table->columns[s->columns[i]].type) != type_phys(n->types[i])) {
            return ERR_CORRUPT;
        }
    }
    if (p->index != 0 && !s->covering) {
        return ERR_CORRUPT;
    }
    x->width = n->column_count;
    ret->scan = n;
    return take_conditions(x, p, s);
}

static db_err take_aggs(struct decoder *x, const pb_node *p, struct plan_node *n)
{
    if (p->n_exprs + p->n_aggs != n->column_count) {
        return ERR_CORRUPT;
    }
    TRY(take_exprs(x, p->exprs, p->n_exprs, 0, &n->u.agg.groups));
    n->u.agg.group_count = (uint32_t)p->n_exprs;
    n->u.agg.agg_count = (uint32_t)p->n_aggs;
    n->u.agg.aggs = ARENA_ARRAY(x->arena, struct plan_agg, p->n_aggs + 1);
    if (n->u.agg.aggs == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < p->n_aggs; i++) {
        const pb_agg *q = p->aggs[i];
        struct plan_agg *a = &n->u.agg.aggs[i];
        a->call = ARENA_NEW(x->arena, struct agg_call);
        if (a->call == NULL) {
            return ERR_NOMEM;
        }
        a->call->def = agg_find_part(slice_from_pb(q->name));
        a->call->collation = (uint16_t)q->collation;
        a->call->variant = q->variant;
        a->call->arg_count = (uint32_t)q->n_args;
        a->call->arg_types = ARENA_ARRAY(x->arena, struct sql_type, q->n_args + 1);
        if (a->call->def == NULL || q->n_args < a->call->def->args_min ||
            q->n_args > a->call->def->args_max) {
            return ERR_CORRUPT;
        }
        TRY(take_type(x, q->type, &a->call->type));
        TRY(take_exprs(x, q->args, q->n_args, 0, &a->args));
        for (size_t k = 0; a->call->arg_types != NULL && k < q->n_args; k++) {
            a->call->arg_types[k] = a->args[k]->type;
        }
    }
    return ERR_OK;
}

static db_err take_topn(struct decoder *x, const pb_node *p, struct plan_node *n)
{
    struct bexpr **keys;
    if (p->n_descending != p->n_exprs) {
        return ERR_CORRUPT;
    }
    TRY(take_exprs(x, p->exprs, p->n_exprs, 0, &keys));
    n->u.sort.keys = ARENA_ARRAY(x->arena, struct plan_sort_key, p->n_exprs + 1);
    n->u.sort.limit = number(x, p->limit);
    if (n->u.sort.keys == NULL || n->u.sort.limit == NULL) {
        return ERR_NOMEM;
    }
    n->u.sort.count = (uint32_t)p->n_exprs;
    for (size_t i = 0; i < p->n_exprs; i++) {
        n->u.sort.keys[i] = (struct plan_sort_key){keys[i], p->descending[i] != 0};
    }
    return ERR_OK;
}

static db_err take_body(struct decoder *x, const pb_node *p, struct plan_node *n,
                        struct decoded *ret)
{
    switch (p->kind) {
    case PLAN_TABLE_SCAN:
    case PLAN_INDEX_SCAN: return take_scan(x, p, n, ret);
    case PLAN_FILTER:
        n->u.filter.count = (uint32_t)p->n_exprs;
        return n->column_count != x->width
                   ? ERR_CORRUPT
                   : take_exprs(x, p->exprs, p->n_exprs, 0, &n->u.filter.conjuncts);
    case PLAN_PROJECT:
        return p->n_exprs != n->column_count
                   ? ERR_CORRUPT
                   : take_exprs(x, p->exprs, p->n_exprs, 0, &n->u.project.exprs);
    case PLAN_HASH_AGG:
    case PLAN_STREAM_AGG: return take_aggs(x, p, n);
    case PLAN_TOPN: return n->column_count != x->width ? ERR_CORRUPT : take_topn(x, p, n);
    case PLAN_LIMIT:
        n->u.limit.limit = number(x, p->limit);
        return n->column_count != x->width ? ERR_CORRUPT
               : n->u.limit.limit == NULL  ? ERR_NOMEM
                                           : ERR_OK;
    default: return ERR_CORRUPT;
    }
}

static db_err take_node(struct decoder *x, const pb_node *p, struct plan_node *child,
                        struct decoded *ret)
{
    struct plan_node *n = plan_node_new(x->arena, (enum plan_kind)p->kind);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->column_count = (uint32_t)p->n_types;
    n->types = ARENA_ARRAY(x->arena, const struct sql_type *, p->n_types + 1);
    struct sql_type *types = ARENA_ARRAY(x->arena, struct sql_type, p->n_types + 1);
    if (n->types == NULL || types == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < p->n_types; i++) {
        TRY(take_type(x, p->types[i], &types[i]));
        n->types[i] = &types[i];
    }
    bool leaf = n->kind == PLAN_TABLE_SCAN || n->kind == PLAN_INDEX_SCAN;
    if (leaf != (child == NULL)) {
        return ERR_CORRUPT;
    }
    n->children[0] = child;
    n->child_count = child != NULL;
    TRY(take_body(x, p, n, ret));
    x->width = n->column_count;
    ret->root = n;
    return ERR_OK;
}

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void release(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

db_err pushdown__decode(struct slice bytes, struct arena *arena, struct diag *diag,
                        struct decoded *ret)
{
    ProtobufCAllocator in_arena = {allocate, release, arena};
    TRY(my_stack_reserve(diag, PUSHDOWN_STACK)); /* protobuf-c recurses */
    const pb_fragment *m = skein__plan__fragment__unpack(&in_arena, bytes.len, bytes.ptr);
    *ret = (struct decoded){0};
    if (m == NULL || m->env == NULL || m->n_nodes == 0 || m->n_nodes > PUSHDOWN_DEPTH_MAX) {
        return diag_set(diag, ERR_CORRUPT, "a malformed fragment");
    }
    if (m->version != pushdown__version()) {
        return diag_set(diag, ERR_UNSUPPORTED, "a fragment of another version of the program");
    }
    struct decoder x = {.arena = arena, .diag = diag, .env = m->env};
    ret->env = m->env;
    for (size_t i = 0; i < m->n_nodes; i++) {
        db_err err = take_node(&x, m->nodes[i], ret->root, ret);
        if (err != ERR_OK) {
            return diag_set(diag, err, "a fragment that cannot be run here");
        }
    }
    return ERR_OK;
}
