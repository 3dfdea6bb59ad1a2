/* Building bound nodes: flags are inherited from the arguments, casts are put in where a function
 * asks for them, and what is constant is folded at once, so that later steps (and bind hooks) see
 * values. Folding runs the function itself on one row; a fold that fails or warns is not done: the
 * condition then comes up when, and if, the row is evaluated. */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"
#include "sql/types/cast.h"

db_err bind__too_deep(struct binder *b)
{
    return my_error(b->diag, ER_STACK_OVERRUN_NEED_MORE, (long)BEXPR_HEIGHT_MAX,
                    (long)BEXPR_HEIGHT_MAX, 1L);
}

void bind__tell(struct binder *b, int level, enum my_errno number, const char *text)
{
    if (b->opts->warn != NULL) {
        b->opts->warn(b->opts->env, level, (uint16_t)number, text);
    }
    if (b->stmt != NULL) {
        b->stmt->session_bound = true;
    }
}

void bind__warn_text(struct binder *b, enum my_errno number, const char *text)
{
    bind__tell(b, CAST_WARNING, number, text);
}

void bind__warn(struct binder *b, enum my_errno number, ...)
{
    struct diag d;
    va_list args;
    va_start(args, number);
    bind__warn_text(b, number, my_vtext(&d, number, args));
    va_end(args);
}

void bind__take_by_text(struct binder *b)
{
    if (b->func.by_text && b->stmt != NULL) {
        b->stmt->session_bound = true;
    }
    b->func.by_text = false;
}

void bind__inherit(struct bexpr *e)
{
    bool all_const = true;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        const struct bexpr *a = e->args[i];
        all_const = all_const && a->is_const;
        e->height = a->height >= e->height ? (uint16_t)(a->height + 1) : e->height;
        e->has_param = e->has_param || a->has_param;
        e->has_subquery = e->has_subquery || a->has_subquery;
        e->has_agg = e->has_agg || a->has_agg;
        e->has_window = e->has_window || a->has_window;
        e->is_volatile = e->is_volatile || a->is_volatile;
    }
    e->is_const = all_const && !e->is_volatile;
}

struct bexpr *bind__new(struct binder *b, enum bexpr_kind kind, const struct sql_type *type,
                        uint32_t arg_count)
{
    struct bexpr *e = BIND_NEW(b, struct bexpr);
    if (e == NULL) {
        return NULL;
    }
    e->kind = kind;
    e->type = *type;
    e->coercibility = type_is_string(type) ? 4 : 5;
    e->arg_count = arg_count;
    if (arg_count != 0) {
        e->args = BIND_ARRAY(b, struct bexpr *, arg_count);
        if (e->args == NULL) {
            return NULL;
        }
    }
    return e;
}

db_err bind__const(struct binder *b, const struct value *v, const struct sql_type *type,
                   uint8_t coercibility, struct bexpr **ret)
{
    struct bexpr *e = bind__new(b, BEXPR_CONST, type, 0);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    TRY(value_copy(v, b->arena, &e->u.constant));
    e->coercibility = coercibility;
    e->is_const = true;
    *ret = e;
    return ERR_OK;
}

struct sql_type bind__result_type(struct sql_type t)
{
    if (t.id == TYPE_VECTOR) {
        t.length = UINT32_MAX;
    } else if (type_is_integer(&t) && (t.flags & TYPE_F_ZEROFILL) == 0) {
        t.length = type_int_chars(&t);
    }
    return t;
}

/* Has CONVERT or CAST made text of a charset of it? A COLLATE clause has not. */
static bool is_recoded(const struct bexpr *e)
{
    if (e->kind == BEXPR_CONST) {
        return e->folded != NULL && is_recoded(e->folded);
    }
    bool text = e->kind == BEXPR_CAST || e->kind == BEXPR_FUNC;
    if (!text || !type_is_string(&e->type)) {
        return false;
    }
    if (e->kind == BEXPR_CAST && e->u.cast.explicit_cast && e->coercibility != 0) {
        return true;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (is_recoded(e->args[i])) {
            return true;
        }
    }
    return false;
}

static bool no_variable(const struct bexpr *e, void *ctx)
{
    (void)ctx;
    return e->kind != BEXPR_USER_VAR && !e->placeholder;
}

/* MYSQL: what hands a value on counts as what it hands on: NULLIF, an extreme, a subquery. */
static const struct bexpr *handed_on(const struct bexpr *e)
{
    for (;;) {
        if (e->kind == BEXPR_CONST && e->folded != NULL) {
            e = e->folded;
        } else if (e->kind == BEXPR_CASE && e->u.nullif) {
            e = e->args[2];
        } else if (e->kind == BEXPR_AGG && (strcmp(e->u.agg.call->def->name, "max") == 0 ||
                                            strcmp(e->u.agg.call->def->name, "min") == 0)) {
            e = e->args[0];
        } else if (e->kind == BEXPR_SUBQUERY_SCALAR &&
                   e->u.subquery.sub->root->kind == LNODE_PROJECT) {
            e = e->u.subquery.sub->root->u.project.exprs[e->u.subquery.column].expr;
        } else {
            return e;
        }
    }
}

/* The collation that a number has beside text, and how strong it is. */
static void note_text_collation(const struct bexpr *number, struct func_arg *io)
{
    bool column = number->kind == BEXPR_COLUMN || number->kind == BEXPR_OUTER;
    if (!type_is_integer(&number->type)) {
        return;
    }
    if (column && number->u.column.origin != NULL) {
        io->text_collation = number->u.column.origin->text_collation;
    } else if (number->kind == BEXPR_SUBQUERY_SCALAR) {
        const struct bsubquery *sub = number->u.subquery.sub;
        io->text_collation = sub->root->columns[number->u.subquery.column].text_collation;
    } else if (number->kind == BEXPR_FUNC && number->coercibility != 5) {
        io->text_collation = number->u.func->collation;
    }
    if (io->text_collation != 0) {
        io->coercibility = number->coercibility;
    }
}

struct func_arg bind__arg(const struct bexpr *e)
{
    struct func_arg a = {.type = e->type, .coercibility = e->coercibility};
    a.constant = e->kind == BEXPR_CONST ? &e->u.constant : NULL;
    a.is_const = e->is_const || (e->kind == BEXPR_PARAM && !e->own);
    a.is_given = a.is_const || e->own ||
                 (!e->is_volatile && (e->kind == BEXPR_USER_VAR || e->kind == BEXPR_SYSTEM_VAR));
    a.is_column = e->kind == BEXPR_COLUMN;
    a.is_outer = e->kind == BEXPR_OUTER;
    const struct bexpr *source = handed_on(e);
    a.is_variable = source->kind == BEXPR_USER_VAR;
    note_text_collation(source, &a);
    a.lifted = e->kind == BEXPR_PARAM ? e->lifted : NULL;
    if (a.is_column && e->u.column.origin != NULL) {
        a.name = e->u.column.origin->name;
        a.in_blob = e->u.column.origin->in_blob;
    }
    a.is_placeholder = e->placeholder && !e->placed && !e->own;
    a.recoded = is_recoded(e);
    a.of_param = type_is_string(&e->type) && e->type.collation == COLL_BINARY &&
                 !bexpr_walk(e, no_variable, NULL);
    a.decimals = e->kind == BEXPR_PARAM && !e->placeholder ? e->lifted_decimals : e->type.decimals;
    return a;
}

struct fold_watch {
    bool warned;
};

static void fold_warn(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    (void)level;
    (void)number;
    (void)text;
    ((struct fold_watch *)arg)->warned = true;
}

static void fold_context(struct binder *b, struct fold_watch *watch, struct diag *diag,
                         struct cast_ctx *cast)
{
    cast_ctx_init(cast, b->arena, diag);
    cast->sql_mode = b->opts->sql_mode;
    cast->collation = b->opts->connection_collation;
    cast->div_precision_increment = (uint8_t)b->opts->div_precision_increment;
    if (b->opts->tz != NULL) {
        cast->tz = b->opts->tz;
    }
    cast->warn = fold_warn;
    cast->warn_arg = watch;
}

static db_err fold_func(struct binder *b, const struct bexpr *e, struct eval_ctx *ctx,
                        struct value *ret)
{
    struct vector **args = BIND_ARRAY(b, struct vector *, e->arg_count);
    struct vector *store = BIND_ARRAY(b, struct vector, e->arg_count + 1);
    if (args == NULL || store == NULL) {
        return ERR_NOMEM;
    }
    struct vector *out = &store[e->arg_count];
    TRY(vector_init(out, &e->type, b->arena));
    for (uint32_t i = 0; i < e->arg_count; i++) {
        const struct bexpr *a = e->args[i];
        if (a->u.constant.is_null && (e->u.func->def->flags & FUNC_NULL_IF_ANY) != 0 &&
            !e->u.func->takes_null) {
            value_set_null(ret, &e->type);
            return ERR_OK;
        }
        args[i] = &store[i];
        TRY(vector_init_const(args[i], &a->type, &a->u.constant, b->arena));
    }
    TRY(e->u.func->def->eval(ctx, e->u.func, args, NULL, 1, out));
    vector_get(out, 0, ret);
    return value_copy(ret, b->arena, ret);
}

/* Replaces a call or cast of constants by its value. *ret = e when it cannot be folded. */
db_err bind__fold(struct binder *b, struct bexpr *e, struct bexpr **ret)
{
    enum { PACKET_LEAST = 1024 }; /* max_allowed_packet is never less */
    *ret = e;
    bool call = e->kind == BEXPR_FUNC && (e->u.func->def->flags & FUNC_PURE) != 0;
    if (!e->is_const || e->has_param || e->has_subquery || (!call && e->kind != BEXPR_CAST)) {
        return ERR_OK;
    }
    if (call && (e->u.func->def->flags & FUNC_LOCALE) != 0 && b->opts->localized) {
        b->stmt->session_bound = true;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (e->args[i]->kind != BEXPR_CONST) {
            return ERR_OK;
        }
    }
    struct fold_watch watch = {false};
    struct diag diag;
    struct cast_ctx cast;
    diag_reset(&diag);
    fold_context(b, &watch, &diag, &cast);
    struct value v;
    db_err err;
    if (call) {
        struct eval_ctx ctx = {
            .arena = b->arena, .statement = b->arena, .cast = &cast, .diag = &diag};
        err = fold_func(b, e, &ctx, &v);
    } else {
        err = value_cast(&cast, &e->args[0]->type, &e->args[0]->u.constant, &e->type, &v);
    }
    if (err != ERR_OK || watch.warned || cast.asked_now) {
        bool ended =
            err == ERR_NOMEM || err == ERR_LIMIT || err == ERR_CANCELED || err == ERR_TIMEOUT;
        return ended ? err : ERR_OK;
    }
    if (call && !v.is_null && v.phys == PHYS_STR && v.str.len > PACKET_LEAST) {
        if (b->opts->max_allowed_packet != 0 && v.str.len > b->opts->max_allowed_packet) {
            return ERR_OK; /* the call says so when it is computed: 1301 */
        }
        b->stmt->session_bound = true; /* another session's limit may be lower */
    }
    struct bexpr *c = NULL;
    TRY(bind__const(b, &v, &e->type, e->coercibility, &c));
    c->position = e->position;
    c->json_source = e->json_source;
    c->folded = e;
    *ret = c;
    return ERR_OK;
}

struct sql_type bind__text_in(const struct sql_type *from, uint16_t collation)
{
    struct sql_type t = *from;
    bool counted = t.id == TYPE_CHAR || t.id == TYPE_VARCHAR || !type_is_string(&t);
    const struct collation *own = collation_by_id(t.collation);
    if (collation == COLL_BINARY && counted && own != NULL) {
        t = type_char(TYPE_VARCHAR, t.length * own->cs->maxlen, collation);
    } else if (!type_is_string(&t)) {
        t = type_char(TYPE_VARCHAR, t.length, collation);
    }
    t.wire = from->wire;
    t.collation = collation;
    return t;
}

static struct early_cast *note_early(struct binder *b, struct bexpr *cast)
{
    struct early_cast *c = BIND_NEW(b, struct early_cast);
    if (c != NULL) {
        c->cast = cast;
        c->index = b->stmt->early_count++;
        c->next = b->stmt->early;
        b->stmt->early = c;
        cast->u.cast.early = c;
    }
    return c;
}

db_err bind__early(struct binder *b, struct bexpr *cast)
{
    struct early_cast *c = note_early(b, cast);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    c->lenient = !b->func.strict;
    return ERR_OK;
}

db_err bind__must_fit(struct binder *b, struct bexpr *text, const struct sql_type *to)
{
    struct sql_type t = type_char(TYPE_VARCHAR, text->type.length, to->collation);
    t.wire = TYPE_W_REFUSE_LOSS;
    if (text->kind == BEXPR_CONST) {
        struct fold_watch watch = {false};
        struct cast_ctx cast;
        struct value v;
        if (b->func.view) {
            return ERR_OK;
        }
        fold_context(b, &watch, b->diag, &cast);
        return value_cast(&cast, &text->type, &text->u.constant, &t, &v);
    }
    struct bexpr *ignored;
    return text->kind == BEXPR_PARAM ? bind__cast(b, text, &t, false, &ignored) : ERR_OK;
}

db_err bind__text_fits(struct binder *b, struct bexpr *text, unsigned collation)
{
    const struct sql_type *t = &text->type;
    if (!type_is_string(t) || t->collation == COLL_BINARY || collation == COLL_BINARY ||
        collation_by_id(t->collation)->cs == collation_by_id(collation)->cs) {
        return ERR_OK;
    }
    struct sql_type to = type_char(TYPE_VARCHAR, t->length, collation);
    return bind__must_fit(b, text, &to);
}

/* An aggregate that is computed, and hands no value on. */
static bool is_computed_agg(const struct bexpr *e)
{
    static const char *const names[] = {"sum",         "avg",     "stddev_pop",
                                        "stddev_samp", "var_pop", "var_samp"};
    bool is = false;
    for (size_t i = 0; i < ARRAY_COUNT(names) && e->kind == BEXPR_AGG; i++) {
        is = is || strcmp(e->u.agg.call->def->name, names[i]) == 0;
    }
    return is;
}

/* MYSQL: a function's or an aggregate's real that is asked for an integer must be in the range of
 * BIGINT, a DOUBLE column's is told of; a FLOAT column, a literal, a variable and a branch of IF
 * and CASE are neither. */
static uint16_t check_of_wide(const struct bexpr *e, const struct sql_type *to)
{
    bool is_double = e->type.id == TYPE_DOUBLE;
    bool whole = type_is_integer(to) || to->id == TYPE_YEAR;
    if (!whole || (!is_double && e->type.id != TYPE_FLOAT)) {
        return 0;
    }
    const struct bexpr *made = bexpr_only(e);
    made = made->kind == BEXPR_CONST && made->folded != NULL ? made->folded : made;
    bool is_column = made->kind == BEXPR_COLUMN || made->kind == BEXPR_OUTER;
    bool computed = made->kind == BEXPR_FUNC || made->kind == BEXPR_COALESCE ||
                    is_computed_agg(made) ||
                    (made->kind == BEXPR_CAST && made->u.cast.explicit_cast);
    return computed ? TYPE_W_REFUSE_WIDE : is_column && is_double ? TYPE_W_TELL_WIDE : 0;
}

/* An aggregate becomes a column that has no name. */
static db_err name_agg(struct binder *b, const struct bexpr *agg, const char **ret)
{
    struct buf text;
    buf_init(&text, DIAG_TEXT_SIZE);
    bexpr_print(agg, &text);
    *ret = arena_strdup(b->arena, slice_of(text.ptr, text.len));
    buf_fini(&text);
    return *ret == NULL ? ERR_NOMEM : ERR_OK;
}

db_err bind__cast_stored(struct binder *b, struct bexpr *e, const struct sql_type *to,
                         bool is_explicit, struct bexpr **ret)
{
    struct bexpr *c = bind__new(b, BEXPR_CAST, to, 1);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind__number_source(b, to, is_explicit, &e));
    c->type.wire &= is_explicit ? UINT16_MAX : (uint16_t)~TYPE_W_ZERO_NULL;
    c->type.wire |= check_of_wide(e, to);
    if (!is_explicit && type_is_string(to) &&
        (e->type.id == TYPE_DOUBLE || e->type.id == TYPE_FLOAT)) {
        c->type.wire |= TYPE_W_WHOLE_TEXT; /* MYSQL: a column's has two more than it announces */
    }
    c->args[0] = e;
    c->position = e->position;
    c->u.cast.explicit_cast = is_explicit;
    if (is_computed_agg(e)) {
        TRY(name_agg(b, to->id == TYPE_FLOAT ? c : e, &c->u.cast.wide));
    }
    c->coercibility = is_explicit ? 2 : e->coercibility;
    if (type_is_string(to) && !is_explicit && !type_is_string(&e->type)) {
        c->coercibility = e->type.id == TYPE_JSON ? 2 : 4;
    }
    c->type.flags =
        (uint8_t)((c->type.flags & ~TYPE_F_NOT_NULL) | (e->type.flags & TYPE_F_NOT_NULL));
    bind__inherit(c);
    bool known = !e->placeholder || (to->wire & TYPE_W_OF_PARAM) != 0;
    bool early = (to->wire & TYPE_W_REFUSE_LOSS) != 0 && e->kind == BEXPR_PARAM && known &&
                 !b->scalar && type_is_string(&e->type);
    if (early && note_early(b, c) == NULL) {
        return ERR_NOMEM;
    }
    return bind__fold(b, c, ret);
}

db_err bind__cast(struct binder *b, struct bexpr *e, const struct sql_type *to, bool is_explicit,
                  struct bexpr **ret)
{
    if (!type_is_string(to)) {
        return bind__cast_stored(b, e, to, is_explicit, ret);
    }
    struct bexpr *text;
    TRY(bind__own_decimals(b, e));
    TRY(bind__chosen_text(b, e, &text));
    if (text == NULL) {
        return bind__cast_stored(b, e, to, is_explicit, ret);
    }
    struct sql_type t = *to;
    t.length = !is_explicit && text->type.length > t.length ? text->type.length : t.length;
    TRY(bind__cast_stored(b, text, &t, is_explicit, ret));
    (*ret)->coercibility = is_explicit ? (*ret)->coercibility : 4;
    return ERR_OK;
}

static db_err own_decimals(struct binder *b, struct bexpr *e, bool coalesce);

/* A branch that was cast to the common DECIMAL: the value with the decimals it has. */
static db_err branch_decimals(struct binder *b, struct bexpr **io, bool coalesce)
{
    const struct bexpr *cast = (*io)->kind == BEXPR_CONST ? (*io)->folded : *io;
    if (cast == NULL || cast->kind != BEXPR_CAST || cast->u.cast.explicit_cast ||
        cast->type.id != TYPE_DECIMAL) {
        return own_decimals(b, *io, coalesce);
    }
    struct bexpr *own = cast->args[0];
    if (own->type.id != TYPE_DECIMAL && !type_is_integer(&own->type)) {
        return ERR_OK;
    }
    if (own->type.id == TYPE_DECIMAL) {
        *io = own;
        return own_decimals(b, own, coalesce);
    }
    struct sql_type t = type_decimal(cast->type.length, 0, type_is_unsigned(&own->type));
    return bind__cast(b, own, &t, false, io);
}

static db_err own_decimals(struct binder *b, struct bexpr *e, bool coalesce)
{
    if (e->type.id != TYPE_DECIMAL || e->arg_count == 0) {
        return ERR_OK;
    }
    if (e->kind == BEXPR_COALESCE && coalesce) {
        for (uint32_t i = 0; i < e->arg_count; i++) {
            TRY(branch_decimals(b, &e->args[i], coalesce));
        }
        return ERR_OK;
    }
    if (e->kind != BEXPR_CASE) {
        return ERR_OK;
    }
    for (uint32_t i = 1; i < e->arg_count; i += 2) {
        TRY(branch_decimals(b, &e->args[i], coalesce));
    }
    return e->arg_count % 2 == 0 ? ERR_OK
                                 : branch_decimals(b, &e->args[e->arg_count - 1], coalesce);
}

db_err bind__branch_decimals(struct binder *b, struct bexpr **io)
{
    return branch_decimals(b, io, true);
}

db_err bind__own_decimals(struct binder *b, struct bexpr *e)
{
    return own_decimals(b, e, false);
}

db_err bind__json_decimals(struct binder *b, struct bexpr *e)
{
    return own_decimals(b, e, true);
}

static db_err call_arguments(struct binder *b, struct func_call *call, struct func_arg *fa,
                             struct bexpr *e)
{
    const struct value **consts = BIND_ARRAY(b, const struct value *, call->arg_count);
    call->arg_types = BIND_ARRAY(b, struct sql_type, call->arg_count);
    if (call->arg_types == NULL || consts == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < call->arg_count; i++) {
        fa[i] = bind__arg(e->args[i]);
        call->arg_types[i] = fa[i].type;
        consts[i] = fa[i].constant;
    }
    call->arg_consts = consts;
    return ERR_OK;
}

static void print_source(const void *source, struct buf *out)
{
    bexpr_print(source, out);
}

static void print_source_arg(const void *source, uint32_t arg, struct buf *out)
{
    bexpr_print(((const struct bexpr *)source)->args[arg], out);
}

/* As conditions about a JSON value name the function that it comes from. */
static const char *json_name(const struct func_def *def)
{
    return strcmp(def->name, "op_json_cast") == 0      ? "cast_as_json"
           : strcmp(def->name, "op_json_extract") == 0 ? "json_extract"
           : strcmp(def->name, "op_json_value") == 0   ? "json_value"
                                                       : def->name;
}

/* The comparison's cast of constant text beside a column of numbers. */
static bool is_early_cast(const struct func_arg *column, const struct func_arg *text,
                          const struct bexpr *cast)
{
    bool number = type_is_integer(&column->type) || column->type.id == TYPE_YEAR ||
                  column->type.id == TYPE_DECIMAL;
    if (!column->is_column || !number || !text->want_cast || cast->kind != BEXPR_CAST) {
        return false;
    }
    const struct bexpr *from = cast->args[0];
    return (from->kind == BEXPR_CONST || from->kind == BEXPR_PARAM) &&
           type_is_string(&from->type) && type_phys(&cast->type) != PHYS_STR;
}

/* The comparison's cast of constant text beside a date. */
static bool is_early_date(const struct func_arg *text, const struct bexpr *cast)
{
    return text->want_cast && (text->want.wire & TYPE_W_COMPARED) != 0 &&
           cast->kind == BEXPR_CAST && cast->args[0]->kind != BEXPR_FUNC &&
           type_is_string(&cast->args[0]->type) &&
           (cast->args[0]->kind == BEXPR_CONST ||
            (cast->args[0]->kind == BEXPR_PARAM && !cast->args[0]->placeholder));
}

/* A cast to DOUBLE that stands in no expression. */
static db_err number_of(struct binder *b, struct bexpr *text, struct bexpr **ret)
{
    struct sql_type number = type_double();
    struct bexpr *e = bind__new(b, BEXPR_CAST, &number, 1);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->args[0] = text;
    *ret = e;
    return ERR_OK;
}

static db_err note_early_casts(struct binder *b, const struct func_def *def,
                               const struct func_arg *fa, struct bexpr *const *args, uint32_t count)
{
    bool listed = b->func.among && b->func.ahead;
    bool compares = (def->flags & FUNC_COMPARISON) != 0 && count == 2 && (!b->func.among || listed);
    for (uint32_t i = listed; i < count && compares && !b->scalar; i++) {
        struct bexpr *cast = args[i];
        if (fa[i].reads_number) {
            TRY(number_of(b, args[i], &cast));
        } else if (!is_early_cast(&fa[1 - i], &fa[i], args[i]) && !is_early_date(&fa[i], args[i])) {
            continue;
        }
        struct early_cast *c = note_early(b, cast);
        if (c == NULL) {
            return ERR_NOMEM;
        }
        c->unless_whole = fa[i].reads_number;
        c->lenient = (listed || type_has_date(&cast->type)) && !b->func.strict;
        c->decimal = fa[1 - i].type.id == TYPE_DECIMAL && !listed;
    }
    return ERR_OK;
}

static void name_compared(struct binder *b, struct bexpr *cast, struct slice column)
{
    if (cast->kind == BEXPR_CAST && (cast->type.wire & TYPE_W_COMPARED) != 0 &&
        column.ptr != NULL) {
        cast->u.cast.name = arena_strdup(b->arena, column);
    }
}

db_err bind__call(struct binder *b, const struct func_def *def, struct bexpr **args, uint32_t count,
                  struct bexpr **ret)
{
    struct sql_type unknown = type_null();
    struct bexpr *e = bind__new(b, BEXPR_FUNC, &unknown, 0);
    struct func_call *call = BIND_NEW(b, struct func_call);
    struct func_arg *fa = BIND_ARRAY(b, struct func_arg, count + 1);
    if (e == NULL || call == NULL || fa == NULL) {
        return ERR_NOMEM;
    }
    e->arg_count = count;
    e->args = args;
    e->u.func = call;
    call->source = e;
    call->print = print_source;
    call->print_arg = print_source_arg;
    call->def = def;
    call->arg_count = count;
    call->variant = def->variant;
    call->coercibility = 5;
    TRY(bind__take_vectors(b, def, args, count));
    TRY(bind__note_operands(b, def, args, count));
    TRY(call_arguments(b, call, fa, e));
    TRY(def->bind(&b->func, call, fa));
    if (b->func.refused) {
        b->func.refused = false;
        return ERR_SQL;
    }
    bind__take_by_text(b);
    const struct value **consts = (const struct value **)(uintptr_t)call->arg_consts;
    for (uint32_t i = 0; i < count; i++) {
        TRY(fa[i].asks_moment ? bind__moment_choice(b, &args[i]) : ERR_OK);
        if (fa[i].want_cast) {
            bool compared = (def->flags & FUNC_COMPARISON) != 0;
            if (type_is_integer(&fa[i].want) && !compared) {
                TRY(bind__note_argument(b, args[i]));
            }
            if (compared && count == 2) {
                bind__late_date(b, &fa[1 - i], &fa[i], args[i]);
                bind__only_date(b, args[1 - i], args[i], &fa[i]);
            }
            TRY(bind__cast_asked(b, args[i], &fa[i].want,
                                 compared ? BIND_ASKED_BY_COMPARISON : BIND_ASKED, &args[i]));
            name_compared(b, args[i], count == 2 ? fa[1 - i].name : SLICE_EMPTY);
        } else if (call->type.id == TYPE_JSON) {
            TRY(bind__json_decimals(b, args[i]));
        }
        call->arg_types[i] = args[i]->type;
        if (fa[i].reads_decimal) {
            call->arg_types[i].wire = (uint16_t)bind__text_source(args[i]);
        }
        consts[i] = args[i]->kind == BEXPR_CONST ? &args[i]->u.constant : NULL;
    }
    TRY(note_early_casts(b, def, fa, args, count));
    e->type = call->type;
    e->json_source = e->type.id == TYPE_JSON ? json_name(def) : NULL;
    e->type.flags |= TYPE_F_EXPR;
    call->type = e->type;
    e->coercibility = call->coercibility;
    bind__inherit(e);
    if (((def->flags & FUNC_VOLATILE) != 0 && !call->steady) || call->varies) {
        e->is_volatile = true;
        e->is_const = false;
        b->unsteady.random += (def->flags & FUNC_RANDOM) != 0;
    }
    return bind__fold(b, e, ret);
}

db_err bind__op(struct binder *b, const char *op, struct bexpr **args, uint32_t count,
                struct bexpr **ret)
{
    const struct func_def *def = func_find_op(op);
    if (def == NULL) {
        return my_error(b->diag, ER_NOT_SUPPORTED_YET, op);
    }
    return bind__call(b, def, args, count, ret);
}

db_err bind__op2(struct binder *b, const char *op, struct bexpr *x, struct bexpr *y,
                 struct bexpr **ret)
{
    struct bexpr **args = BIND_ARRAY(b, struct bexpr *, 2);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    args[0] = x;
    args[1] = y;
    return bind__op(b, op, args, 2, ret);
}

db_err bind__logic(struct binder *b, enum bexpr_kind kind, struct bexpr **args, uint32_t count,
                   struct bexpr **ret)
{
    struct sql_type t = type_int(TYPE_BIGINT, false);
    t.flags |= TYPE_F_BOOL | TYPE_F_EXPR;
    t.length = 1;
    if (count == 0) {
        struct value v = value_int(kind == BEXPR_AND);
        return bind__const(b, &v, &t, 5, ret);
    }
    if (count == 1) {
        *ret = args[0];
        return ERR_OK;
    }
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind__note_number(b, args[i], NUM_INT));
        total += args[i]->kind == kind ? args[i]->arg_count : 1;
    }
    struct bexpr *e = bind__new(b, kind, &t, total);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    bool not_null = true;
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        not_null = not_null && (args[i]->type.flags & TYPE_F_NOT_NULL) != 0;
        if (args[i]->kind == kind) {
            memcpy(e->args + n, args[i]->args, args[i]->arg_count * sizeof(*args));
            n += args[i]->arg_count;
        } else {
            e->args[n++] = args[i];
        }
    }
    e->type.flags |= not_null ? TYPE_F_NOT_NULL : 0;
    bind__inherit(e);
    *ret = e;
    return ERR_OK;
}

static db_err agree(struct binder *b, const char *operation, uint16_t wire, struct bexpr **args,
                    uint32_t count, struct sql_type *ret_type, uint8_t *ret_coercibility)
{
    struct func_arg *fa = BIND_ARRAY(b, struct func_arg, count);
    if (fa == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        fa[i] = bind__arg(args[i]);
    }
    TRY(func_agree_type(&b->func, operation, fa, count, ret_type, ret_coercibility));
    for (uint32_t i = 0; i < count; i++) {
        if (fa[i].want_cast) {
            fa[i].want.wire |= fa[i].want.id == TYPE_DECIMAL ? wire : 0;
            TRY(bind__cast(b, args[i], &fa[i].want, false, &args[i]));
        }
    }
    return ERR_OK;
}

db_err bind__agree(struct binder *b, const char *operation, struct bexpr **args, uint32_t count,
                   struct sql_type *ret_type, uint8_t *ret_coercibility)
{
    return agree(b, operation, 0, args, count, ret_type, ret_coercibility);
}

db_err bind__agree_branches(struct binder *b, const char *operation, struct bexpr **args,
                            uint32_t count, struct sql_type *ret_type, uint8_t *ret_coercibility)
{
    return agree(b, operation, TYPE_W_OWN_SCALE, args, count, ret_type, ret_coercibility);
}
