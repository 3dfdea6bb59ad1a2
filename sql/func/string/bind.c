/* Result types of the string functions. Lengths are in characters of the result's charset: text in
 * a binary result counts its bytes. */
#include "sql/func/families.h"

enum { ANNOUNCED_MAX = 1 << 24 }; /* MYSQL: longer texts are not announced as such */

/* Characters of an argument in a result of that collation. */
static uint64_t chars_in(const struct sql_type *t, unsigned collation)
{
    uint64_t chars = func__chars(t);
    const struct collation *own = collation_by_id(t->collation);
    return collation == COLL_BINARY && own != NULL ? chars * own->cs->maxlen : chars;
}

static db_err text_of_first(struct func_bind_ctx *ctx, struct func_call *call,
                            struct func_arg *args)
{
    return func__result_text(ctx, call, args, 0, 1, func__chars(&args[0].type));
}

static void set_chars(struct func_call *call, uint64_t chars)
{
    func__result_null(call, func__text(chars, call->collation));
}

static bool has_separator(struct eval_ctx *ctx, const struct func_call *call,
                          struct vector *const *args, uint32_t k, uint32_t row)
{
    (void)ctx;
    (void)call;
    (void)k;
    return !vec_is_null(args[0], row);
}

db_err string_bind_concat(BIND_ARGS)
{
    TRY(func__result_text(ctx, call, args, 0, call->arg_count, 0));
    uint64_t chars = 0;
    for (uint32_t i = (uint32_t)call->variant; i < call->arg_count; i++) {
        chars += chars_in(&args[i].type, call->collation);
    }
    if (call->variant == 1) {
        call->needs = has_separator;
        chars += chars_in(&args[0].type, call->collation) * (call->arg_count - 2);
    }
    set_chars(call, chars);
    if (chars >= ANNOUNCED_MAX) {
        call->type.length = ANNOUNCED_MAX;
    }
    return ERR_OK;
}

db_err string_bind_measure(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    func__result(call, args, func__bigint(11));
    return ERR_OK;
}

db_err string_bind_same(BIND_ARGS)
{
    return text_of_first(ctx, call, args);
}

/* Of a text of so many characters, those from a place on. MYSQL: one of no 32 bits does not tell.
 */
static uint64_t chars_from(uint64_t chars, int64_t from)
{
    if (from < INT32_MIN || from > INT32_MAX) {
        return chars;
    }
    if (from < 0) {
        return (uint64_t)-from > chars ? 0 : (uint64_t)-from;
    }
    return from == 0 || (uint64_t)from > chars ? 0 : chars - ((uint64_t)from - 1);
}

/* variant 1: SUBSTRING(s, from [, count]); 0: LEFT, RIGHT. */
db_err string_bind_part(BIND_ARGS)
{
    int64_t v;
    TRY(text_of_first(ctx, call, args));
    uint64_t chars = chars_in(&args[0].type, call->collation);
    if (call->variant == 1 && func__const_int(ctx, &args[1], &v)) {
        chars = chars_from(chars, v);
    }
    uint32_t count_arg = call->variant == 1 ? 2 : 1;
    if (call->arg_count > count_arg && func__const_int(ctx, &args[count_arg], &v)) {
        uint64_t count = v < 0 ? 0 : (uint64_t)v;
        chars = count < chars ? count : chars;
    }
    for (uint32_t i = 1; i < call->arg_count; i++) {
        func__want_int(&args[i]);
    }
    set_chars(call, chars);
    return ERR_OK;
}

db_err string_bind_substring_index(BIND_ARGS)
{
    struct func_arg *others[] = {&args[1]};
    TRY(func__subject_text_later(ctx, call, &args[0], others, 1));
    func__want_int(&args[2]);
    set_chars(call, func__chars(&args[0].type));
    return ERR_OK;
}

/* LOCATE(needle, s [, from]), INSTR(s, needle): variant says which is which. */
db_err string_bind_locate(BIND_ARGS)
{
    uint32_t subject = call->variant == 0 ? 1 : 0;
    struct func_arg *others[] = {&args[1 - subject]};
    TRY(func__subject_text(ctx, call, &args[subject], others, 1));
    uint8_t coercibility = call->coercibility;
    if (call->arg_count == 3) {
        func__want_int(&args[2]);
    }
    func__result(call, args, func__bigint(11));
    call->coercibility = coercibility;
    return ERR_OK;
}

static db_err find_in_set(BIND_ARGS)
{
    uint8_t coercibility;
    const struct collation *c;
    func__want_texts(ctx, args, 2);
    TRY(func_agree_collation(ctx, call->def->name, args, 2, &call->collation, &coercibility));
    TRY(collation_require_id(call->collation, ctx->diag, &c));
    func__result(call, args, func__bigint(11));
    return ERR_OK;
}

db_err string_bind_replace(BIND_ARGS)
{
    struct func_arg *others[] = {&args[1], &args[2]};
    TRY(func__subject_text(ctx, call, &args[0], others, 2));
    uint64_t chars = chars_in(&args[0].type, call->collation);
    uint64_t to = chars_in(&args[2].type, call->collation);
    if (to > 2) { /* MYSQL: announced so, whatever is replaced */
        chars += chars * (to - 2);
    }
    set_chars(call, chars);
    return ERR_OK;
}

db_err string_bind_insert(BIND_ARGS)
{
    struct func_arg *others[] = {&args[3]};
    TRY(func__subject_text(ctx, call, &args[0], others, 1));
    func__want_int(&args[1]);
    func__want_int(&args[2]);
    set_chars(call,
              chars_in(&args[0].type, call->collation) + chars_in(&args[3].type, call->collation));
    return ERR_OK;
}

/* A text of so many characters, as a constant says: a negative number of them is a huge one. */
static void set_counted(struct func_call *call, uint64_t chars)
{
    set_chars(call, chars < ANNOUNCED_MAX ? chars : (uint64_t)ANNOUNCED_MAX);
    if (chars >= ANNOUNCED_MAX) {
        call->type.length = ANNOUNCED_MAX;
    }
}

static uint64_t max_chars(const struct func_bind_ctx *ctx)
{
    enum { PACKET_DEFAULT = 64 << 20 };
    uint64_t max =
        ctx->max_allowed_packet != 0 ? ctx->max_allowed_packet : (uint64_t)PACKET_DEFAULT;
    return max < ANNOUNCED_MAX ? max : (uint64_t)ANNOUNCED_MAX;
}

db_err string_bind_repeat(BIND_ARGS)
{
    int64_t count;
    TRY(text_of_first(ctx, call, args));
    bool known = func__const_int(ctx, &args[1], &count);
    func__want_int(&args[1]);
    if (known) {
        uint64_t all;
        bool huge =
            __builtin_mul_overflow(chars_in(&args[0].type, call->collation), (uint64_t)count, &all);
        set_counted(call, huge ? UINT64_MAX : all);
    } else {
        set_chars(call, max_chars(ctx));
    }
    return ERR_OK;
}

db_err string_bind_space(BIND_ARGS)
{
    int64_t count;
    uint64_t chars = max_chars(ctx);
    if (func__const_int(ctx, &args[0], &count)) {
        chars = count < 0 ? 0 : (uint64_t)count < chars ? (uint64_t)count : chars;
    }
    func__want_int(&args[0]);
    func__result_ascii(ctx, call, chars);
    if (chars >= ANNOUNCED_MAX) {
        call->type.length = ANNOUNCED_MAX;
    }
    return ERR_OK;
}

db_err string_bind_pad(BIND_ARGS)
{
    struct func_arg *others[] = {&args[2]};
    int64_t count;
    TRY(func__subject_text(ctx, call, &args[0], others, 1));
    bool known = func__const_int(ctx, &args[1], &count);
    func__want_int(&args[1]);
    if (known) {
        set_counted(call, (uint64_t)count);
    } else {
        set_chars(call, max_chars(ctx));
    }
    return ERR_OK;
}

/* TRIM(mode, s [, remove]). */
db_err string_bind_trim(BIND_ARGS)
{
    int64_t mode = 0;
    (void)func__const_int(ctx, &args[0], &mode);
    call->variant = (int)mode;
    struct func_arg *others[] = {&args[call->arg_count - 1]};
    TRY(func__subject_text_later(ctx, call, &args[1], others, call->arg_count == 3 ? 1 : 0));
    set_chars(call, chars_in(&args[1].type, call->collation));
    return ERR_OK;
}

db_err string_bind_code(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    func__result(call, args, func__bigint((uint32_t)call->variant));
    return ERR_OK;
}

db_err string_bind_char(BIND_ARGS)
{
    (void)ctx;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        func__want_int(&args[i]);
    }
    func__result_null(call, func__text(call->arg_count * 4ull, COLL_BINARY));
    call->coercibility = 4;
    return ERR_OK;
}

/* ELT(n, s...) and MAKE_SET(bits, s...): variant 1. */
static bool chooses(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,
                    uint32_t k, uint32_t row)
{
    (void)ctx;
    if (vec_is_null(args[0], row)) {
        return false;
    }
    return call->variant == 1 ? k <= 64 && (vec_u64(args[0], row) >> (k - 1) & 1) != 0
                              : vec_i64(args[0], row) == k;
}

db_err string_bind_elt(BIND_ARGS)
{
    call->needs = chooses;
    func__want_int(&args[0]);
    TRY(func__result_text(ctx, call, args, 1, call->arg_count - 1, 0));
    uint64_t chars = call->variant == 1 ? call->arg_count - 2 : 0;
    for (uint32_t i = 1; i < call->arg_count; i++) {
        const struct sql_type *t = &args[i].type; /* a TEXT has no more bytes than it says */
        uint64_t one = type_is_blob(t) ? func__chars(t) : chars_in(t, call->collation);
        chars = call->variant == 1 ? chars + one : one > chars ? one : chars;
    }
    set_chars(call, chars);
    if (call->variant == 1) {
        func__result(call, args, call->type);
    }
    return ERR_OK;
}

/* FIND_IN_SET(x, set_column): MySQL gives the member's place in the column's definition. */
db_err string_bind_find_in_set(BIND_ARGS)
{
    bool of_column = args[1].type.id == TYPE_SET && (args[1].is_column || args[1].is_outer);
    struct sql_type set = args[1].type;
    TRY(find_in_set(ctx, call, args));
    if (!of_column || set.names == NULL) {
        return ERR_OK;
    }
    struct sql_type *kept = ARENA_NEW(ctx->arena, struct sql_type);
    if (kept == NULL) {
        return ERR_NOMEM;
    }
    *kept = set;
    call->data = kept;
    args[1].want_cast = false; /* its bits are looked at */
    return ERR_OK;
}

db_err string_bind_field(BIND_ARGS)
{
    bool text = true;
    bool exact = true;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        const struct sql_type *t = &args[i].type;
        text = text && (func__is_text(t) || type_is_temporal(t) || t->id == TYPE_NULL ||
                        t->id == TYPE_JSON);
        exact = exact && (func__number(t) == NUM_INT || t->id == TYPE_NULL);
    }
    call->variant = text ? PHYS_STR : exact ? PHYS_INT : PHYS_DOUBLE;
    if (text) {
        struct func_arg **others = ARENA_ARRAY(ctx->arena, struct func_arg *, call->arg_count);
        if (others == NULL) {
            return arena_refusal(ctx->arena);
        }
        for (uint32_t i = 1; i < call->arg_count; i++) {
            others[i - 1] = &args[i];
        }
        TRY(func__subject_text(ctx, call, &args[0], others, call->arg_count - 1));
    }
    for (uint32_t i = 1; i < call->arg_count && text; i++) {
        args[i].want.wire |= args[i].is_placeholder ? TYPE_W_OF_PARAM : 0u;
    }
    /* Among doubles each row converts only as many as it looks at: the others do not warn. */
    for (uint32_t i = 0; i < call->arg_count && exact && !text; i++) {
        func__want_int(&args[i]);
    }
    func__result_not_null(call, func__bigint(11));
    return ERR_OK;
}

db_err string_bind_export_set(BIND_ARGS)
{
    enum { BITS = 64 };
    uint32_t texts = call->arg_count >= 4 ? 3 : 2;
    TRY(func__result_text(ctx, call, args, 1, texts, 0));
    func__want_int(&args[0]);
    if (call->arg_count == 5) {
        func__want_int(&args[4]);
    }
    uint64_t on = chars_in(&args[1].type, call->collation);
    uint64_t off = chars_in(&args[2].type, call->collation);
    uint64_t separator = texts == 3 ? chars_in(&args[3].type, call->collation) : 1;
    set_chars(call, (on > off ? on : off) * BITS + separator * (BITS - 1));
    return ERR_OK;
}

db_err string_bind_hex(BIND_ARGS)
{
    enum { INT_CHARS = 16 };
    uint64_t chars = INT_CHARS;
    if (type_is_numeric(&args[0].type)) {
        if (func__number(&args[0].type) != NUM_INT) {
            func__want(&args[0], type_int(TYPE_BIGINT, false));
        }
    } else {
        const struct collation *c = collation_by_id(args[0].type.collation);
        unsigned maxlen = func__is_text(&args[0].type) ? c->cs->maxlen : 1;
        chars = func__chars(&args[0].type) * maxlen * 2;
        func__want_text(ctx, &args[0]);
    }
    func__result_ascii(ctx, call, chars);
    return ERR_OK;
}

/* UNHEX, FROM_BASE64 (variant 1). */
db_err string_bind_decode(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    const struct collation *c = collation_by_id(args[0].type.collation);
    uint64_t bytes = func__chars(&args[0].type) * c->cs->maxlen;
    if (type_is_string(&args[0].type) && c->cs->minlen > 1) { /* it is characters that count */
        func__want(&args[0], func__text(func__chars(&args[0].type), COLL_UTF8MB4_BIN));
    }
    uint64_t chars = call->variant == 1 ? (bytes + 3) / 4 * 3 : (bytes + 1) / 2;
    func__result_null(call, func__text(chars, COLL_BINARY));
    call->coercibility = 4;
    return ERR_OK;
}

db_err string_bind_base64(BIND_ARGS)
{
    enum { LINE = 76 };
    func__want_text(ctx, &args[0]);
    const struct collation *c = collation_by_id(args[0].type.collation);
    uint64_t bytes = func__chars(&args[0].type) * c->cs->maxlen;
    uint64_t chars = (bytes + 2) / 3 * 4;
    chars += chars == 0 ? 0 : (chars - 1) / LINE;
    func__result_ascii(ctx, call, chars > FUNC_BLOB_MAX / 4 ? FUNC_BLOB_MAX / 4 : chars);
    return ERR_OK;
}

db_err string_bind_quote(BIND_ARGS)
{
    if (type_is_string(&args[0].type) && args[0].type.collation == COLL_BINARY) {
        func__want_valid(&args[0], ctx->connection_collation);
        call->collation = ctx->connection_collation;
        call->coercibility = 4;
        func__result_null(call, func__text(func__chars(&args[0].type) * 2 + 2, call->collation));
        return ERR_OK;
    }
    enum { NULL_CHARS = 4 };
    TRY(text_of_first(ctx, call, args));
    if (args[0].type.id == TYPE_NULL) {
        call->collation = ctx->connection_collation;
        call->coercibility = 6;
    }
    uint64_t chars = chars_in(&args[0].type, call->collation) * 2 + 2;
    set_chars(call, chars < NULL_CHARS ? (uint64_t)NULL_CHARS : chars);
    return ERR_OK;
}

db_err string_bind_soundex(BIND_ARGS)
{
    TRY(text_of_first(ctx, call, args));
    uint64_t chars = chars_in(&args[0].type, call->collation);
    set_chars(call, chars < 4 ? 4 : chars);
    return ERR_OK;
}

/* The argument's own collation, which a cast would lose: kept in data. */
db_err string_bind_name(BIND_ARGS)
{
    enum { NAME_CHARS = 64 };
    uint16_t id = COLL_BINARY;
    if (func__is_text(&args[0].type)) {
        id = args[0].type.collation;
    } else if (args[0].type.id == TYPE_JSON) {
        id = COLL_UTF8MB4_BIN;
    } else if (args[0].type.id == TYPE_NULL && args[0].is_placeholder) {
        id = ctx->connection_collation; /* MYSQL: text, until it is something else */
    } else if (args[0].type.id != TYPE_NULL && args[0].type.id != TYPE_BIT &&
               (type_is_numeric(&args[0].type) || type_is_temporal(&args[0].type))) {
        id = COLL_BINARY;
    }
    call->data = collation_by_id(id);
    call->unread = true;
    func__result_null(call, func__text(NAME_CHARS, COLL_UTF8MB3_GENERAL_CI));
    call->collation = COLL_UTF8MB3_GENERAL_CI;
    call->coercibility = 4;
    return ERR_OK;
}

db_err string_bind_coercibility(BIND_ARGS)
{
    (void)ctx;
    bool number = type_is_numeric(&args[0].type) || type_is_temporal(&args[0].type);
    number = number && !func__meets_as_text(&args[0]);
    bool bits = args[0].type.id == TYPE_BIT && args[0].is_column; /* MYSQL: a column of bytes */
    call->variant = args[0].type.id == TYPE_NULL ? 6 : bits ? 2 : number ? 5 : args[0].coercibility;
    call->unread = true;
    func__result_not_null(call, func__bigint(10));
    return ERR_OK;
}

/* Bytes of any length, made of one text. */
db_err string_bind_long_bytes(BIND_ARGS)
{
    func__want_text(ctx, &args[0]);
    struct sql_type t = type_blob(TYPE_LONGBLOB, COLL_BINARY);
    t.length = 1 << 24;
    func__result_null(call, t);
    call->coercibility = 4;
    return ERR_OK;
}
