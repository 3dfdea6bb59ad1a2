/* What the families share. */
#include "sql/func/func_int.h"

#include <stddef.h>
#include <stdio.h>

#include "base/assert.h"
#include "sql/types/json.h"
#include "sql/types/sql_mode.h"

/* ---- result types ---- */

static struct sql_type expr_type(struct sql_type t, bool not_null)
{
    t.flags = (uint8_t)((t.flags & (TYPE_F_UNSIGNED | TYPE_F_BOOL)) | TYPE_F_EXPR |
                        (not_null ? TYPE_F_NOT_NULL : 0));
    t.wire = 0;
    return t;
}

void func__result(struct func_call *call, const struct func_arg *args, struct sql_type type)
{
    bool not_null = true;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        not_null = not_null && (args[i].type.flags & TYPE_F_NOT_NULL) != 0;
    }
    call->type = expr_type(type, not_null);
}

void func__result_null(struct func_call *call, struct sql_type type)
{
    call->type = expr_type(type, false);
}

void func__result_not_null(struct func_call *call, struct sql_type type)
{
    call->type = expr_type(type, true);
}

struct sql_type func__bool(void)
{
    struct sql_type t = type_int(TYPE_BIGINT, false);
    t.length = 1;
    t.flags |= TYPE_F_BOOL;
    return t;
}

struct sql_type func__bigint(uint32_t length)
{
    struct sql_type t = type_int(TYPE_BIGINT, false);
    t.length = length;
    return t;
}

struct sql_type func__ubigint(uint32_t length)
{
    struct sql_type t = type_int(TYPE_BIGINT, true);
    t.length = length;
    return t;
}

struct sql_type func__double(void)
{
    struct sql_type t = type_double();
    t.length = 23;
    return t;
}

struct sql_type func__text(uint64_t chars, unsigned collation)
{
    const struct collation *c = collation_by_id(collation);
    bool binary = collation == COLL_BINARY;
    uint64_t bytes = chars * c->cs->maxlen;
    if (bytes <= VARCHAR_BYTES_MAX) {
        return type_char(binary ? TYPE_VARBINARY : TYPE_VARCHAR, (uint32_t)chars, collation);
    }
    enum type_id id = bytes <= 0xffffff ? TYPE_MEDIUMTEXT : TYPE_LONGTEXT;
    struct sql_type t = type_blob(
        binary ? (enum type_id)(id + (TYPE_MEDIUMBLOB - TYPE_MEDIUMTEXT)) : id, collation);
    t.length = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    return t;
}

struct sql_type func_text_type(uint64_t chars, unsigned collation)
{
    return func__text(chars, collation);
}

uint64_t func_text_chars(const struct sql_type *t)
{
    return func__chars(t);
}

void func__result_ascii(struct func_bind_ctx *ctx, struct func_call *call, uint64_t chars)
{
    uint16_t c = ctx->connection_collation != 0 ? ctx->connection_collation
                                                : (uint16_t)COLL_UTF8MB4_0900_AI_CI;
    struct sql_type t = func__text(chars, c);
    bool not_null = (call->type.flags & TYPE_F_NOT_NULL) != 0;
    call->type = expr_type(t, not_null);
    call->collation = c;
    call->coercibility = 4;
}

db_err func__result_text(struct func_bind_ctx *ctx, struct func_call *call, struct func_arg *args,
                         uint32_t first, uint32_t count, uint64_t chars)
{
    uint16_t collation;
    uint8_t coercibility;
    func__want_texts(ctx, args + first, count);
    TRY(func_agree_collation(ctx, call->def->name, args + first, count, &collation, &coercibility));
    bool text = false;
    for (uint32_t i = first; i < first + count; i++) {
        text = text || func__is_text(&args[i].type) || args[i].text_collation != 0;
    }
    bool nothing = count != 0;
    for (uint32_t i = first; i < first + count; i++) {
        nothing = nothing && args[i].type.id == TYPE_NULL;
    }
    if (nothing) { /* MYSQL: of NULLs alone the result is binary */
        collation = COLL_BINARY;
        coercibility = 6;
    }
    const struct charset *cs = collation_by_id(collation)->cs;
    for (uint32_t i = first; i < first + count; i++) {
        /* Numbers and dates become text of the result's own charset. */
        if (text && args[i].want_cast && !func__is_text(&args[i].type) &&
            collation != COLL_BINARY && collation_by_id(args[i].want.collation)->cs != cs) {
            args[i].want.collation = collation;
        }
    }
    call->collation = collation;
    call->coercibility = coercibility;
    func__result_null(call, func__text(chars, collation));
    return ERR_OK;
}

db_err func__cannot_convert(struct func_bind_ctx *ctx, struct slice text,
                            const struct collation *from, const struct collation *to)
{
    char shown[CAST_BYTES_TEXT_MAX];
    cast_bytes_start(text, shown);
    return my_error(ctx->diag, ER_CANNOT_CONVERT_STRING, arena_strdup(ctx->arena, slice_str(shown)),
                    from->cs->name, to->cs->name);
}

void func__want_valid(struct func_arg *a, unsigned collation)
{
    if (collation != COLL_BINARY && type_is_string(&a->type) && a->type.collation == COLL_BINARY) {
        a->want_cast = true;
        a->want = func__text(func__chars(&a->type), collation);
        a->want.wire |= TYPE_W_REFUSE_LOSS;
    }
}

static db_err join_subject(struct func_bind_ctx *ctx, struct func_arg *a,
                           const struct collation *to, bool at_once)
{
    bool text = type_is_string(&a->type);
    const struct collation *from = collation_by_id(text ? a->type.collation : a->want.collation);
    if (from->id == COLL_BINARY) {
        func__want_valid(a, to->id); /* bytes must be text of its charset */
        return ERR_OK;
    }
    if (to->id == COLL_BINARY || from->cs == to->cs) {
        return ERR_OK;
    }
    if (text) {
        a->want_cast = true;
        a->want = a->type;
        a->want.wire |= TYPE_W_REFUSE_LOSS | TYPE_W_WHOLE_TEXT;
        const struct value *v = a->constant;
        struct slice made;
        size_t lost = 0;
        if (at_once && v != NULL && !v->is_null && v->phys == PHYS_STR) {
            TRY(charset_convert_arena(from->cs, v->str, to->cs, ctx->arena, &made, &lost));
        }
        if (lost != 0 && !ctx->view) {
            return func__cannot_convert(ctx, v->str, from, to);
        }
    }
    a->want.collation = to->id;
    return ERR_OK;
}

static db_err subject_text(struct func_bind_ctx *ctx, struct func_call *call,
                           struct func_arg *subject, struct func_arg *const *others, uint32_t count,
                           bool at_once)
{
    func__want_text(ctx, subject);
    const struct sql_type *t = subject->want_cast ? &subject->want : &subject->type;
    bool number =
        subject->want_cast && !func__is_text(&subject->type) && !func__meets_as_text(subject);
    call->collation = t->collation;
    call->coercibility = subject->type.id == TYPE_NULL ? 6
                         : number && subject->type.id != TYPE_JSON && t->collation != COLL_BINARY
                             ? 4
                             : subject->coercibility;
    const struct collation *to;
    TRY(collation_require_id(call->collation, ctx->diag, &to));
    for (uint32_t i = 0; i < count; i++) {
        func__want_text(ctx, others[i]);
        TRY(join_subject(ctx, others[i], to, at_once));
    }
    return ERR_OK;
}

db_err func__subject_text(struct func_bind_ctx *ctx, struct func_call *call,
                          struct func_arg *subject, struct func_arg *const *others, uint32_t count)
{
    return subject_text(ctx, call, subject, others, count, true);
}

db_err func__subject_text_later(struct func_bind_ctx *ctx, struct func_call *call,
                                struct func_arg *subject, struct func_arg *const *others,
                                uint32_t count)
{
    return subject_text(ctx, call, subject, others, count, false);
}

/* ---- arguments ---- */

void func__want(struct func_arg *arg, struct sql_type type)
{
    type.flags &= TYPE_F_UNSIGNED;
    arg->want_cast = true;
    arg->want = type;
}

void func__want_int(struct func_arg *arg)
{
    if (type_phys(&arg->type) != PHYS_INT || arg->type.id == TYPE_ENUM ||
        arg->type.id == TYPE_SET || arg->type.id == TYPE_NULL) {
        bool bytes = (arg->type.flags & TYPE_F_BYTES_NUMBER) != 0;
        func__want(arg, type_int(TYPE_BIGINT, bytes || type_is_unsigned(&arg->type)));
    }
}

void func__want_double(struct func_arg *arg)
{
    if (type_phys(&arg->type) != PHYS_DOUBLE) {
        func__want(arg, type_double());
    }
}

void func__want_decimal(struct func_arg *arg)
{
    const struct sql_type *t = &arg->type;
    if (t->id == TYPE_DECIMAL) {
        return;
    }
    if (type_phys(t) == PHYS_INT && t->id != TYPE_ENUM && t->id != TYPE_SET) {
        func__want(arg, type_decimal(20, 0, false));
    } else if (type_is_temporal(t)) {
        func__want(arg, type_decimal(14u + t->decimals, t->decimals, false));
    } else {
        func__want(arg, type_decimal(DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, false));
    }
}

void func__want_text(struct func_bind_ctx *ctx, struct func_arg *arg)
{
    if (type_is_string(&arg->type)) {
        return;
    }
    unsigned collation =
        ctx->connection_collation != 0 ? ctx->connection_collation : COLL_UTF8MB4_0900_AI_CI;
    if (arg->type.id == TYPE_ENUM || arg->type.id == TYPE_SET) {
        collation = arg->type.collation;
    }
    if (arg->text_collation != 0) {
        collation = arg->text_collation;
    }
    if (arg->type.id == TYPE_JSON) {
        collation = COLL_UTF8MB4_BIN;
        arg->coercibility = 2;
    }
    if (arg->type.id == TYPE_BIT || arg->type.id == TYPE_GEOMETRY || arg->type.id == TYPE_VECTOR) {
        collation = COLL_BINARY;
    }
    /* MYSQL: a float, and a number with nothing but decimals, is longer than is announced. */
    bool real = arg->type.id == TYPE_DOUBLE || arg->type.id == TYPE_FLOAT;
    bool bare = arg->type.id == TYPE_DECIMAL && arg->type.length == arg->type.decimals;
    func__want(arg, func__text(real ? NUMBER_TEXT_MAX : func__chars(&arg->type) + bare, collation));
    if (arg->type.id == TYPE_NULL) {
        arg->want = type_char(TYPE_VARBINARY, 0, COLL_BINARY);
        arg->coercibility = 6;
    }
}

void func__want_texts(struct func_bind_ctx *ctx, struct func_arg *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        func__want_text(ctx, &args[i]);
    }
}

void func__want_date(struct func_arg *arg, bool lenient)
{
    if (arg->type.id == TYPE_TIMESTAMP) {
        func__want_datetime(arg);
    } else if (arg->type.id != TYPE_DATE && arg->type.id != TYPE_DATETIME) {
        func__want(arg, type_temporal(TYPE_DATE, 0));
        arg->want.wire = lenient ? TYPE_W_LENIENT_DATE : 0;
    }
}

void func__want_datetime(struct func_arg *arg)
{
    if (arg->type.id != TYPE_DATE && arg->type.id != TYPE_DATETIME) {
        func__want(arg,
                   type_temporal(TYPE_DATETIME, type_is_temporal(&arg->type) ? arg->type.decimals
                                                                             : TIME_DECIMALS_MAX));
    }
}

void func__want_time(struct func_arg *arg)
{
    if (arg->type.id != TYPE_TIME) {
        func__want(arg, type_temporal(TYPE_TIME, type_is_temporal(&arg->type) ? arg->type.decimals
                                                                              : TIME_DECIMALS_MAX));
    }
}

/* ---- facts ---- */

bool func__is_text(const struct sql_type *t)
{
    return type_is_string(t) || t->id == TYPE_ENUM || t->id == TYPE_SET;
}

uint64_t func__chars(const struct sql_type *t)
{
    if (type_is_blob(t)) {
        return t->length; /* MYSQL: as many characters as bytes */
    }
    switch ((int)t->id) {
    case TYPE_NULL: return 0;
    case TYPE_DECIMAL: return t->length + (t->decimals != 0) + !type_is_unsigned(t);
    case TYPE_FLOAT: return t->length;
    case TYPE_DOUBLE: return 22;
    case TYPE_JSON:
    case TYPE_GEOMETRY: return UINT32_MAX;
    case TYPE_VECTOR: /* MYSQL: a column's length is no limit, a function's is that of its text */
        return (t->flags & TYPE_F_EXPR) != 0 && t->length == VECTOR_LENGTH_MAX ? t->length * 4ull
                                                                               : UINT32_MAX;
    default: return type_is_integer(t) ? type_int_chars(t) : t->length;
    }
}

uint64_t func__byte_length(const struct sql_type *t)
{
    return func__chars(t) * (func__is_text(t) ? collation_by_id(t->collation)->cs->maxlen : 1u);
}

unsigned func__int_precision(const struct sql_type *t)
{
    if (t->id == TYPE_BIT) {
        return t->length;
    }
    if ((t->flags & TYPE_F_BYTES_NUMBER) != 0) {
        return t->length < 6 ? t->length * 3 : 20;
    }
    if (type_is_temporal(t)) {
        return t->id == TYPE_DATE ? 8 : t->id == TYPE_TIME ? 7 : 14;
    }
    if (t->id == TYPE_BIGINT && (t->flags & TYPE_F_EXPR) != 0) {
        unsigned sign = type_is_unsigned(t) ? 0 : 1;
        return t->length <= sign ? 1 : t->length - sign;
    }
    return t->id == TYPE_NULL ? 1 : type_int_digits(t);
}

unsigned func__precision(const struct sql_type *t)
{
    if (t->id == TYPE_DECIMAL) {
        return t->length;
    }
    return func__int_precision(t) + (type_is_temporal(t) ? t->decimals : 0u);
}

enum func_number func_number_of(const struct sql_type *t)
{
    return func__number(t);
}

enum func_number func__number(const struct sql_type *t)
{
    switch ((int)t->id) {
    case TYPE_DECIMAL: return NUM_DECIMAL;
    case TYPE_BIT:
    case TYPE_YEAR: return NUM_INT;
    case TYPE_DATE: return NUM_INT;
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: return t->decimals == 0 ? NUM_INT : NUM_DECIMAL;
    default:
        return type_is_integer(t) || (t->flags & TYPE_F_BYTES_NUMBER) != 0 ? NUM_INT : NUM_DOUBLE;
    }
}

static void relay_warning(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    const struct func_bind_ctx *ctx = arg;
    ctx->warn(ctx->warn_arg, level, number, text);
}

static bool warned_const_int(struct func_bind_ctx *ctx, const struct sql_type *type,
                             const struct value *v, int64_t *ret)
{
    struct diag unseen;
    struct cast_ctx cast;
    bool is_unsigned;
    int64_t i;
    diag_reset(&unseen);
    cast_ctx_init(&cast, ctx->arena, &unseen);
    if (ctx->warn != NULL) {
        cast.warn = relay_warning;
        cast.warn_arg = ctx;
        cast.strict = ctx->strict;
    }
    if (value_to_int(&cast, type, v, &i, &is_unsigned) != ERR_OK) {
        return false;
    }
    if (cast.refused && !ctx->refused) {
        ctx->refused = true;
        *ctx->diag = unseen;
    }
    *ret = is_unsigned && i < 0 ? INT64_MAX : i;
    return true;
}

bool func__const_int(struct func_bind_ctx *ctx, const struct func_arg *arg, int64_t *ret)
{
    if (arg->constant == NULL || arg->constant->is_null) {
        return false;
    }
    const struct value *v = arg->constant;
    struct value plain;
    struct sql_type t;
    if (arg->type.id == TYPE_JSON) {
        struct json_view doc = json_view_of(v->str);
        if (!json_natural(&doc, &plain, &t)) {
            return false;
        }
        v = &plain;
    }
    switch ((int)v->phys) {
    case PHYS_INT: *ret = v->is_unsigned && v->i < 0 ? INT64_MAX : v->i; return true;
    case PHYS_DECIMAL: {
        unsigned cond = decimal_to_int(&v->dec, ret);
        bool beyond = (cond & DECIMAL_OVERFLOW) != 0; /* warned of, as text is */
        return beyond ? warned_const_int(ctx, v == &plain ? &t : &arg->type, v, ret)
                      : cond == DECIMAL_OK;
    }
    case PHYS_DOUBLE:
        if (v->d > -9e18 && v->d < 9e18) {
            *ret = (int64_t)(v->d < 0 ? v->d - 0.5 : v->d + 0.5);
            return true;
        }
        return false;
    case PHYS_STR: return warned_const_int(ctx, v == &plain ? &t : &arg->type, v, ret);
    default: return false;
    }
}

void func__tell_two(struct eval_ctx *ctx, const struct diag *second)
{
    struct cast_ctx *cast = ctx->cast;
    if (cast != NULL && cast->warn != NULL && ctx->diag != NULL) {
        cast->warn(cast->warn_arg, CAST_ERROR, ctx->diag->number, ctx->diag->text);
        cast->warn(cast->warn_arg, CAST_ERROR, second->number, second->text);
    }
}

/* ---- conditions ---- */

void func__warn(struct eval_ctx *ctx, enum my_errno number, ...)
{
    if (ctx->cast == NULL || ctx->cast->warn == NULL) {
        return;
    }
    struct diag d;
    va_list args;
    va_start(args, number);
    const char *text = my_vtext(&d, number, args);
    va_end(args);
    cast_tell(ctx->cast, CAST_WARNING, (uint16_t)number, d.sqlstate, text);
}

void func__bind_warn(const struct func_bind_ctx *ctx, enum my_errno number, ...)
{
    if (ctx->warn == NULL) {
        return;
    }
    struct diag d;
    va_list args;
    va_start(args, number);
    ctx->warn(ctx->warn_arg, CAST_WARNING, (uint16_t)number, my_vtext(&d, number, args));
    va_end(args);
}

db_err func__div_zero(struct eval_ctx *ctx, struct vector *out, uint32_t row)
{
    vec_set_null(out, row);
    return func__division_by_zero(ctx);
}

db_err func__division_by_zero(struct eval_ctx *ctx)
{
    if ((ctx->cast->sql_mode & SQL_MODE_ERROR_FOR_DIVISION_BY_ZERO) == 0) {
        return ERR_OK;
    }
    if (ctx->cast->strict && ctx->cast->warn == NULL) {
        return my_error(ctx->diag, ER_DIVISION_BY_ZERO);
    }
    func__warn(ctx, ER_DIVISION_BY_ZERO);
    return ERR_OK;
}

db_err func__out_of_range(struct eval_ctx *ctx, const struct func_call *call, const char *kind)
{
    struct buf b;
    buf_init(&b, DIAG_TEXT_SIZE);
    if (call->print != NULL) {
        call->print(call->source, &b);
    }
    /* The text of a message: what does not fit is left out. */
    bool ended = b.len != 0 && buf_append_u8(&b, 0) == ERR_OK;
    db_err ret = my_error(ctx->diag, ER_DATA_OUT_OF_RANGE, kind,
                          ended ? (const char *)b.ptr : call->def->name);
    buf_fini(&b);
    return ret;
}

void func__wrong_value(struct eval_ctx *ctx, const struct func_call *call, uint32_t arg,
                       const char *what, struct vector *out, uint32_t row)
{
    struct buf b;
    buf_init(&b, DIAG_TEXT_SIZE);
    vec_set_null(out, row);
    if (call->print_arg != NULL) {
        call->print_arg(call->source, arg, &b);
    }
    bool ended = buf_append_u8(&b, 0) == ERR_OK;
    func__warn(ctx, ER_WRONG_VALUE_FOR_TYPE, what, ended ? (const char *)b.ptr : "",
               call->def->name);
    buf_fini(&b);
}

void func__warn_overflow(struct eval_ctx *ctx, const struct func_call *call, const char *what)
{
    struct buf b;
    buf_init(&b, DIAG_TEXT_SIZE);
    if (call->print != NULL) {
        call->print(call->source, &b);
    }
    bool ended = buf_append_u8(&b, 0) == ERR_OK;
    func__warn(ctx, ER_TEMPORAL_FUNCTION_OVERFLOW, what, ended ? (const char *)b.ptr : "");
    buf_fini(&b);
}

void func__temporal_overflow(struct eval_ctx *ctx, const struct func_call *call, const char *what,
                             struct vector *out, uint32_t row)
{
    vec_set_null(out, row);
    func__warn_overflow(ctx, call, what);
}

uint64_t func__packet_max(const struct eval_ctx *ctx)
{
    enum { PACKET_DEFAULT = 64 << 20 };
    return ctx->env != NULL && ctx->env->max_allowed_packet != 0 ? ctx->env->max_allowed_packet
                                                                 : (uint64_t)PACKET_DEFAULT;
}

void func__too_long(struct eval_ctx *ctx, const struct func_call *call, struct vector *out,
                    uint32_t row)
{
    vec_set_null(out, row);
    func__warn(ctx, ER_WARN_ALLOWED_PACKET_OVERFLOWED, call->def->name,
               (long)func__packet_max(ctx));
}

struct func_state {
    struct func_state *next;
    const struct func_call *call;
    max_align_t data[];
};

db_err func__state(struct eval_ctx *ctx, const struct func_call *call, size_t size, void **ret,
                   bool *ret_fresh)
{
    for (struct func_state *s = ctx->states; s != NULL; s = s->next) {
        if (s->call == call) {
            *ret = s->data;
            *ret_fresh = false;
            return ERR_OK;
        }
    }
    struct func_state *s = arena_alloc_aligned(ctx->statement, sizeof(*s) + size, 16);
    if (s == NULL) {
        return ERR_LIMIT;
    }
    memset(s, 0, sizeof(*s) + size);
    s->call = call;
    s->next = ctx->states;
    ctx->states = s;
    *ret = s->data;
    *ret_fresh = true;
    return ERR_OK;
}

/* ---- strings ---- */

db_err func__bytes(struct eval_ctx *ctx, size_t len, uint8_t **ret)
{
    uint8_t *p = arena_alloc(ctx->arena, len);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    *ret = p;
    return ERR_OK;
}

db_err func__set_buf(struct eval_ctx *ctx, struct vector *out, uint32_t row, const struct buf *b)
{
    struct slice s = buf_slice(b);
    if (s.len > STRV_INLINE_MAX) {
        TRY(arena_copy(ctx->arena, s, &s));
    }
    vec_set_str_ref(out, row, s);
    return ERR_OK;
}

db_err func__set_ascii(struct eval_ctx *ctx, struct vector *out, uint32_t row, struct slice s)
{
    const struct charset *to = func__charset(out->type);
    if (!to->ascii_superset && out->type->collation != COLL_BINARY) {
        const struct charset *ascii = collation_by_id(COLL_ASCII_GENERAL_CI)->cs;
        TRY(charset_convert_arena(ascii, s, to, ctx->arena, &s, NULL));
    }
    if (s.len > STRV_INLINE_MAX) {
        TRY(arena_copy(ctx->arena, s, &s));
    }
    vec_set_str_ref(out, row, s);
    return ERR_OK;
}
