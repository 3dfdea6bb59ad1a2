/* Elements of documents as values of keys.
 *
 * Two elements that are equal as JSON must become the same value: then a search that turns what it
 * looks for into a value in the same way misses nothing, and the condition itself, tested on each
 * row found, drops what is too much (1.4 and 1 are one value of an integer key). 1, 1.0 and 1e0 are
 * equal as JSON, so numbers take one way: whole ones as integers, all others as decimals. Where
 * equal elements may differ all the same (doubles beyond 2^53, the text of numbers), a search says
 * that it does not know, and all rows are read.
 *
 * Conversions run in a context of their own, without the session's mode and zone. */
#include "sql/exec/multi_value.h"

#include <math.h>
#include <stdlib.h>

#include "base/scope.h"
#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/opt/plan.h"
#include "sql/types/json.h"

/* MYSQL: what a row may have, in bytes with 2 for each value of a fixed size; text is counted
 * otherwise. */
enum { FIXED_BYTES_MAX = 16059, TEXT_BYTES_MAX = 5354, TEXT_COUNT_MAX = 5352 };

/* Beyond it not every integer is a double. */
static const double g_whole_max = 9007199254740992.0;

struct converter {
    const struct sql_type *element;
    struct cast_ctx cast;
    struct diag diag;
};

static void converter_init(struct converter *c, const struct sql_type *element, struct arena *arena)
{
    c->element = element;
    diag_reset(&c->diag);
    cast_ctx_init(&c->cast, arena, &c->diag);
    c->cast.strict = true;
}

/* ---- numbers ---- */

struct number {
    bool whole; /* i holds it */
    bool is_unsigned;
    int64_t i;
    struct decimal dec;
};

static bool number_of_double(double d, struct number *ret)
{
    const double top = 18446744073709551616.0;
    const double bottom = -9223372036854775808.0;
    if (d == trunc(d) && d >= bottom && d < top) {
        ret->whole = true;
        ret->is_unsigned = d >= 0;
        ret->i = d >= 0 ? (int64_t)(uint64_t)d : (int64_t)d;
        return true;
    }
    return (decimal_from_double(d, &ret->dec) & DECIMAL_OVERFLOW) == 0;
}

/* 0, or the number of the error. */
static int number_of(const struct json_view *v, struct number *ret)
{
    *ret = (struct number){.whole = false};
    switch ((int)v->type) {
    case JSON_INT:
    case JSON_UINT:
        ret->whole = true;
        ret->is_unsigned = v->type == JSON_UINT;
        ret->i = json_int(v);
        return 0;
    case JSON_BOOLEAN:
        ret->whole = true;
        ret->i = json_bool(v);
        return 0;
    case JSON_DOUBLE:
        return number_of_double(json_double(v), ret) ? 0
                                                     : ER_JSON_VALUE_OUT_OF_RANGE_FOR_FUNC_INDEX;
    case JSON_DECIMAL: json_decimal(v, &ret->dec); return 0;
    case JSON_STRING: {
        unsigned flags = decimal_from_text(json_str(v), &ret->dec);
        return flags == 0 || flags == DECIMAL_TRUNCATED ? 0 : ER_INVALID_JSON_VALUE_FOR_FUNC_INDEX;
    }
    default: return ER_INVALID_JSON_VALUE_FOR_FUNC_INDEX;
    }
}

static int to_integer(const struct sql_type *t, const struct number *n, struct value *ret)
{
    int64_t min;
    uint64_t max;
    int64_t i = n->i;
    bool is_unsigned = n->is_unsigned;
    if (!n->whole) {
        unsigned flags;
        is_unsigned = !n->dec.neg;
        if (is_unsigned) {
            uint64_t u = 0;
            flags = decimal_to_uint(&n->dec, &u);
            i = (int64_t)u;
        } else {
            flags = decimal_to_int(&n->dec, &i);
        }
        if ((flags & DECIMAL_OVERFLOW) != 0) {
            return ER_JSON_VALUE_OUT_OF_RANGE_FOR_FUNC_INDEX;
        }
    }
    type_int_range(t, &min, &max);
    bool negative = !is_unsigned && i < 0;
    if (negative ? i < min : (uint64_t)i > max) {
        return negative ? ER_WARN_DATA_OUT_OF_RANGE_FUNCTIONAL_INDEX
                        : ER_JSON_VALUE_OUT_OF_RANGE_FOR_FUNC_INDEX;
    }
    value_tag(ret, t);
    ret->i = i;
    return 0;
}

static int to_decimal(const struct sql_type *t, struct number *n, struct value *ret)
{
    struct decimal fit;
    if (n->whole && n->is_unsigned) {
        decimal_from_uint((uint64_t)n->i, &n->dec);
    } else if (n->whole) {
        decimal_from_int(n->i, &n->dec);
    }
    if ((decimal_fit(&n->dec, t->length, t->decimals, &fit) & DECIMAL_OVERFLOW) != 0) {
        return ER_WARN_DATA_OUT_OF_RANGE_FUNCTIONAL_INDEX;
    }
    value_tag(ret, t);
    ret->dec = fit;
    return 0;
}

/* ---- any element ---- */

static db_err to_text(struct converter *c, const struct json_view *v, struct value *ret,
                      int *ret_problem)
{
    const struct sql_type *t = c->element;
    struct slice s = SLICE_EMPTY;
    if (v->type == JSON_STRING) {
        s = json_str(v);
    } else {
        SCOPE_BUF(text, JSON_TEXT_MAX);
        TRY(json_print_unquoted(v, &text));
        TRY(arena_copy(c->cast.arena, buf_slice(&text), &s));
    }
    size_t length =
        t->id == TYPE_VARCHAR ? charset_char_count(collation_by_id(t->collation)->cs, s) : s.len;
    *ret_problem = length > t->length ? ER_FUNCTIONAL_INDEX_DATA_IS_TOO_LONG : 0;
    value_tag(ret, t);
    ret->str = s;
    return ERR_OK;
}

/* A time of day is of no day: what its date is would depend on when it is asked. */
static db_err to_temporal(struct converter *c, const struct json_view *v, struct value *ret,
                          int *ret_problem)
{
    const struct store_target target = {.column = "", .row = 1};
    struct value plain;
    struct sql_type from;
    bool timeless = v->type == JSON_TIME && c->element->id != TYPE_TIME;
    *ret_problem = ER_WARN_DATA_TRUNCATED_FUNCTIONAL_INDEX;
    if (timeless || v->type == JSON_BOOLEAN || !json_natural(v, &plain, &from)) {
        return ERR_OK;
    }
    db_err err = type_store(&c->cast, c->element, &target, &from, &plain, ret);
    if (err == ERR_SQL) {
        if (c->diag.number == ER_WARN_DATA_OUT_OF_RANGE) {
            *ret_problem = ER_WARN_DATA_OUT_OF_RANGE_FUNCTIONAL_INDEX;
        }
        diag_reset(&c->diag);
        return ERR_OK;
    }
    TRY(err);
    *ret_problem = ret->is_null ? ER_WARN_DATA_TRUNCATED_FUNCTIONAL_INDEX : 0;
    return ERR_OK;
}

/* *ret_problem: 0, or the number of the error that says why it is no value. */
static db_err convert(struct converter *c, const struct json_view *v, struct value *ret,
                      int *ret_problem)
{
    struct number n;
    if (v->type == JSON_NULL) {
        *ret_problem = ER_INVALID_JSON_VALUE_FOR_FUNC_INDEX;
        return ERR_OK;
    }
    if (json_is_container(v)) {
        *ret_problem = ER_WRONG_MVI_VALUE;
        return ERR_OK;
    }
    if (type_is_string(c->element)) {
        return to_text(c, v, ret, ret_problem);
    }
    if (type_is_temporal(c->element)) {
        return to_temporal(c, v, ret, ret_problem);
    }
    *ret_problem = number_of(v, &n);
    if (*ret_problem == 0) {
        *ret_problem = c->element->id == TYPE_DECIMAL ? to_decimal(c->element, &n, ret)
                                                      : to_integer(c->element, &n, ret);
    }
    return ERR_OK;
}

/* ---- documents ---- */

static uint32_t element_count(const struct json_view *v)
{
    return v->type == JSON_ARRAY ? json_count(v) : 1;
}

static struct json_view element_at(const struct json_view *v, uint32_t i)
{
    return v->type == JSON_ARRAY ? json_at(v, i) : *v;
}

static int by_value(const void *a, const void *b)
{
    return value_compare_same(a, b, NULL); /* text of keys is bytewise */
}

static void each_once(struct value *values, uint32_t *io_count)
{
    uint32_t kept = 0;
    if (*io_count > 1) {
        qsort(values, *io_count, sizeof(*values), by_value);
    }
    for (uint32_t i = 0; i < *io_count; i++) {
        if (kept == 0 || by_value(&values[kept - 1], &values[i]) != 0) {
            values[kept++] = values[i];
        }
    }
    *io_count = kept;
}

/* The first problem ends it. */
static db_err values_of(const struct sql_type *element, const struct value *document,
                        struct arena *arena, struct value **ret_values, uint32_t *ret_count,
                        int *ret_problem)
{
    struct converter c;
    *ret_values = NULL;
    *ret_count = 0;
    *ret_problem = 0;
    if (document->is_null) {
        return ERR_OK;
    }
    struct json_view doc = json_view_of(document->str);
    uint32_t n = element_count(&doc);
    struct value *values = ARENA_ARRAY(arena, struct value, n + 1);
    uint32_t count = 0;
    if (values == NULL) {
        return ERR_LIMIT;
    }
    converter_init(&c, element, arena);
    for (uint32_t i = 0; i < n; i++) {
        struct json_view v = element_at(&doc, i);
        int problem = 0;
        TRY(convert(&c, &v, &values[count], &problem));
        if (problem != 0 && *ret_problem == 0) {
            *ret_problem = problem;
        }
        count += problem == 0;
    }
    each_once(values, &count);
    *ret_values = values;
    *ret_count = count;
    return ERR_OK;
}

db_err multi_values(const struct sql_type *element, const struct value *document,
                    struct arena *arena, struct value **ret_values, uint32_t *ret_count)
{
    int problem;
    return values_of(element, document, arena, ret_values, ret_count, &problem);
}

db_err multi_print(const struct sql_type *element, const struct value *document,
                   struct arena *arena, struct slice *ret_text)
{
    struct value *values;
    uint32_t count;
    struct converter c;
    TRY(multi_values(element, document, arena, &values, &count));
    struct json_node *list = json_node_new(arena, JSON_ARRAY);
    struct slice bytes;
    if (list == NULL) {
        return ERR_LIMIT;
    }
    converter_init(&c, element, arena);
    for (uint32_t i = 0; i < count; i++) {
        struct json_node *n;
        TRY(json_from_value(&c.cast, element, &values[i], &n));
        TRY(json_append_item(arena, list, n));
    }
    TRY(json_write_arena(list, arena, &c.diag, &bytes));
    return json_text(bytes, arena, ret_text);
}

static uint32_t fixed_bytes(const struct sql_type *t)
{
    uint32_t fraction = (t->decimals + 1u) / 2;
    switch ((int)t->id) {
    case TYPE_DATE: return 3;
    case TYPE_TIME: return 3 + fraction;
    case TYPE_DATETIME: return 5 + fraction;
    case TYPE_DECIMAL: return t->length / 2;
    default: return 8;
    }
}

size_t multi_shown(const struct sql_type *element, struct slice text)
{
    uint32_t room = type_is_string(element) ? element->length * 4 : fixed_bytes(element);
    return text.len < room ? text.len : room;
}

db_err multi_of_key(const struct key_column *kc, const struct sql_type *element,
                    struct slice *io_key, struct arena *arena, struct value *ret)
{
    struct sql_type json = type_blob(TYPE_JSON, COLL_BINARY);
    struct json_node *n;
    struct converter c;
    struct value v;
    TRY(key_decode(kc, io_key, arena, &v));
    value_tag(ret, &json);
    if (v.is_null) {
        value_set_null(ret, &json);
        return ERR_OK;
    }
    converter_init(&c, element, arena);
    TRY(json_from_value(&c.cast, element, &v, &n));
    return json_write_arena(n, arena, &c.diag, &ret->str);
}

static const char *key_on(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        int part = index_multi_part(t, &t->indexes[i]);
        if (part >= 0 && t->indexes[i].parts[part].column == ordinal) {
            return arena_strdup(ctx->arena, t->indexes[i].name);
        }
    }
    return "";
}

/* ERR_SQL 3905, 3906. */
static db_err check_size(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                         const struct value *values, uint32_t count)
{
    const struct sql_type *element = t->columns[ordinal].element;
    bool text = type_is_string(element);
    uint32_t max = text ? TEXT_COUNT_MAX : FIXED_BYTES_MAX / (fixed_bytes(element) + 2);
    size_t bytes = 0;
    if (count > max) {
        return my_error(ctx->diag, ER_EXCEEDED_MV_KEYS_NUM, key_on(ctx, t, ordinal),
                        (unsigned)(count - max));
    }
    for (uint32_t i = 0; text && i < count; i++) {
        bytes += values[i].str.len;
    }
    return bytes <= TEXT_BYTES_MAX
               ? ERR_OK
               : my_error(ctx->diag, ER_EXCEEDED_MV_KEYS_SPACE, key_on(ctx, t, ordinal),
                          (unsigned)(bytes - TEXT_BYTES_MAX));
}

static db_err refuse(struct exec_ctx *ctx, int problem, const char *key, uint64_t number)
{
    bool rows = problem == ER_WARN_DATA_OUT_OF_RANGE_FUNCTIONAL_INDEX ||
                problem == ER_WARN_DATA_TRUNCATED_FUNCTIONAL_INDEX;
    return rows ? my_error(ctx->diag, (enum my_errno)problem, key, (long)number)
                : my_error(ctx->diag, (enum my_errno)problem, key);
}

db_err multi_check(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                   const struct value *document, uint64_t number)
{
    const struct sql_type *element = t->columns[ordinal].element;
    struct arena scratch;
    struct value *values;
    uint32_t count;
    int problem;
    if (document->is_null) {
        return ERR_OK;
    }
    struct json_view doc = json_view_of(document->str);
    if (doc.type == JSON_OBJECT || doc.type == JSON_BOOLEAN) {
        return my_error(ctx->diag, ER_NOT_SUPPORTED_YET,
                        doc.type == JSON_OBJECT ? "CAST-ing JSON OBJECT type to array"
                                                : "CAST-ing JSON BOOLEAN type to array");
    }
    arena_init(&scratch, NULL, ctx->mem, 0);
    db_err err = values_of(element, document, &scratch, &values, &count, &problem);
    if (err == ERR_OK && problem != 0) {
        err = refuse(ctx, problem, key_on(ctx, t, ordinal), number);
    } else if (err == ERR_OK) {
        err = check_size(ctx, t, ordinal, values, count);
    }
    arena_fini(&scratch);
    return err;
}

/* ---- searches ---- */

enum outcome {
    OUTCOME_VALUE,   /* rows with an equal element have the value */
    OUTCOME_NOTHING, /* no row has an equal element */
    OUTCOME_UNKNOWN, /* equal elements may be different values */
};

static bool far_number(const struct json_view *v)
{
    return (v->type == JSON_DOUBLE || v->type == JSON_DECIMAL) &&
           fabs(json_number(v)) >= g_whole_max;
}

static db_err search_one(struct converter *c, const struct json_view *v, struct value *ret,
                         enum outcome *ret_outcome)
{
    bool by_number = type_is_numeric(c->element) ? far_number(v) : json_is_number(v);
    int problem = 0;
    if (by_number) {
        *ret_outcome = OUTCOME_UNKNOWN;
        return ERR_OK;
    }
    TRY(convert(c, v, ret, &problem));
    *ret_outcome = problem == 0 ? OUTCOME_VALUE : OUTCOME_NOTHING;
    return ERR_OK;
}

/* The other side as a document; false: it is none. */
static db_err document_of(struct exec_ctx *ctx, int kind, const struct sql_type *type,
                          const struct value *v, struct json_view *ret, bool *ret_ok)
{
    struct cast_ctx cast = *ctx->eval.cast;
    struct diag ignored;
    struct json_node *n;
    struct slice bytes = v->str;
    db_err err;
    diag_reset(&ignored);
    cast.arena = ctx->arena;
    cast.warn = NULL;
    cast.diag = &ignored;
    *ret_ok = true;
    if (type->id == TYPE_JSON) {
        *ret = json_view_of(bytes);
        return ERR_OK;
    }
    if (kind == MULTI_MEMBER) {
        err = json_from_value(&cast, type, v, &n);
    } else if (!type_is_string(type) || type->collation == COLL_BINARY) {
        err = ERR_INVALID;
    } else {
        struct json_syntax why;
        TRY(charset_convert_arena(collation_by_id(type->collation)->cs, bytes,
                                  charset_by_name(SLICE_LIT("utf8mb4")), ctx->arena, &bytes, NULL));
        err = json_parse(ctx->arena, bytes, &n, &why);
    }
    if (err == ERR_OK) {
        err = json_write_arena(n, ctx->arena, &ignored, &bytes);
    }
    if (err == ERR_SQL || err == ERR_INVALID) { /* the condition itself will tell */
        *ret_ok = false;
        return ERR_OK;
    }
    TRY(err);
    *ret = json_view_of(bytes);
    return ERR_OK;
}

/* Any scalar within: each must be an element of the rows wanted. */
static bool first_scalar(const struct json_view *v, struct json_view *ret)
{
    if (!json_is_container(v)) {
        *ret = *v;
        return true;
    }
    for (uint32_t i = 0; v->type == JSON_ARRAY && i < json_count(v); i++) {
        struct json_view e = json_at(v, i);
        if (first_scalar(&e, ret)) {
            return true;
        }
    }
    return false;
}

static db_err add(struct converter *c, const struct json_view *v, struct multi_search *io)
{
    enum outcome outcome;
    TRY(search_one(c, v, &io->values[io->count], &outcome));
    io->all = io->all || outcome == OUTCOME_UNKNOWN;
    io->count += outcome == OUTCOME_VALUE;
    return ERR_OK;
}

db_err multi_search(struct exec_ctx *ctx, int kind, const struct sql_type *element,
                    const struct sql_type *type, const struct value *v, struct multi_search *ret)
{
    struct json_view doc;
    struct converter c;
    bool ok;
    *ret = (struct multi_search){.all = false};
    if (v->is_null) {
        return ERR_OK;
    }
    TRY(document_of(ctx, kind, type, v, &doc, &ok));
    if (!ok || (kind == MULTI_CONTAINS && !first_scalar(&doc, &doc))) {
        ret->all = true;
        return ERR_OK;
    }
    bool several = kind == MULTI_OVERLAPS && doc.type == JSON_ARRAY;
    uint32_t n = several ? json_count(&doc) : 1;
    ret->values = ARENA_ARRAY(ctx->arena, struct value, n + 1);
    if (ret->values == NULL) {
        return ERR_LIMIT;
    }
    converter_init(&c, element, ctx->arena);
    for (uint32_t i = 0; i < n && !ret->all; i++) {
        struct json_view e = several ? json_at(&doc, i) : doc;
        TRY(json_is_container(&e) ? ERR_OK : add(&c, &e, ret));
    }
    each_once(ret->values, &ret->count);
    return ERR_OK;
}
