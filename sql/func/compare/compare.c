/* Comparisons over vectors: one loop per kind of data and operator, with the operator outside of
 * the loop. Strings of a bytewise collation compare by memcmp and mostly by their first bytes; for
 * the others, equal bytes decide equality before weights are looked at. */
#include "sql/func/families.h"

#include "sql/types/compare.h"
#include "sql/types/json.h"

/* One loop per operator: `a op b` over expressions of the row. */
#define OP_LOOPS(A, B)                                                                             \
    switch (op) {                                                                                  \
    case COMPARE_EQ:                                                                               \
        EACH_ROW(row)                                                                              \
        {                                                                                          \
            dst[row] = (A) == (B);                                                                 \
        }                                                                                          \
        break;                                                                                     \
    case COMPARE_NE:                                                                               \
        EACH_ROW(row)                                                                              \
        {                                                                                          \
            dst[row] = (A) != (B);                                                                 \
        }                                                                                          \
        break;                                                                                     \
    case COMPARE_LT:                                                                               \
        EACH_ROW(row)                                                                              \
        {                                                                                          \
            dst[row] = (A) < (B);                                                                  \
        }                                                                                          \
        break;                                                                                     \
    case COMPARE_LE:                                                                               \
        EACH_ROW(row)                                                                              \
        {                                                                                          \
            dst[row] = (A) <= (B);                                                                 \
        }                                                                                          \
        break;                                                                                     \
    case COMPARE_GT:                                                                               \
        EACH_ROW(row)                                                                              \
        {                                                                                          \
            dst[row] = (A) > (B);                                                                  \
        }                                                                                          \
        break;                                                                                     \
    case COMPARE_GE:                                                                               \
        EACH_ROW(row)                                                                              \
        {                                                                                          \
            dst[row] = (A) >= (B);                                                                 \
        }                                                                                          \
        break;                                                                                     \
    }

static bool unsigned_arg(const struct func_call *call, uint32_t i)
{
    const struct sql_type *t = &call->arg_types[i];
    return type_is_unsigned(t) || t->id == TYPE_BIT || t->id == TYPE_YEAR;
}

static void int_loops(enum compare_op op, const struct func_call *call, struct vector *const *args,
                      const uint16_t *sel, uint32_t n, int64_t *dst)
{
    bool ua = unsigned_arg(call, 0);
    bool ub = unsigned_arg(call, 1);
    if (ua && ub) {
        OP_LOOPS(vec_u64(args[0], row), vec_u64(args[1], row));
    } else if (!ua && !ub) {
        OP_LOOPS(vec_i64(args[0], row), vec_i64(args[1], row));
    } else {
        OP_LOOPS(compare_ints(vec_i64(args[0], row), ua, vec_i64(args[1], row), ub), 0);
    }
}

static void time_loops(enum compare_op op, struct vector *const *args, const uint16_t *sel,
                       uint32_t n, int64_t *dst)
{
    OP_LOOPS(vec_i64(args[0], row), vec_i64(args[1], row));
}

static void double_loops(enum compare_op op, struct vector *const *args, const uint16_t *sel,
                         uint32_t n, int64_t *dst)
{
    OP_LOOPS(vec_double(args[0], row), vec_double(args[1], row));
}

static void near_loops(enum compare_op op, double tolerance, struct vector *const *args,
                       const uint16_t *sel, uint32_t n, int64_t *dst)
{
    OP_LOOPS(compare_near(vec_double(args[0], row), vec_double(args[1], row), tolerance), 0);
}

static void decimal_loops(enum compare_op op, struct vector *const *args, const uint16_t *sel,
                          uint32_t n, int64_t *dst)
{
    OP_LOOPS(decimal_cmp(vec_decimal(args[0], row), vec_decimal(args[1], row)), 0);
}

/* Constant text beside an integer column: the whole number that it says, or the double. */
struct text_number {
    bool known; /* converted: once an execution, as is its warning */
    bool whole;
    struct value number;
    double d;
};

static db_err text_number(struct eval_ctx *ctx, const struct func_call *call, uint32_t arg,
                          const struct vector *text, uint32_t row, const struct text_number **ret)
{
    void *state;
    bool fresh;
    TRY(func__state(ctx, call, sizeof(struct text_number), &state, &fresh));
    struct text_number *n = state;
    if (!n->known) {
        struct value v;
        struct value d;
        struct sql_type to = type_double();
        struct cast_ctx cast = *ctx->cast;
        bool warns = ((const struct compare_plan *)call->data)->warns;
        cast.warn = warns ? cast.warn : NULL;
        vector_get(text, row, &v);
        n->whole = text_whole_number(v.str, &n->number);
        if (!n->whole) {
            TRY(value_cast(warns ? ctx->cast : &cast, &call->arg_types[arg], &v, &to, &d));
            n->d = d.d;
        }
        n->known = true;
    }
    *ret = n;
    return ERR_OK;
}

static enum compare_op mirrored(enum compare_op op)
{
    switch (op) {
    case COMPARE_LT: return COMPARE_GT;
    case COMPARE_LE: return COMPARE_GE;
    case COMPARE_GT: return COMPARE_LT;
    case COMPARE_GE: return COMPARE_LE;
    case COMPARE_EQ:
    case COMPARE_NE: break;
    }
    return op;
}

static db_err text_loops(struct eval_ctx *ctx, enum compare_op op, const struct func_call *call,
                         struct vector *const *args, const uint16_t *sel, uint32_t n, int64_t *dst)
{
    const struct compare_plan *p = call->data;
    uint32_t text = p->text_arg - 1U;
    const struct vector *column = args[1 - text];
    bool is_unsigned = unsigned_arg(call, 1 - text);
    const struct text_number *t;
    if (n == 0) {
        return ERR_OK;
    }
    TRY(text_number(ctx, call, text, args[text], sel == NULL ? 0 : sel[0], &t));
    if (text == 0) {
        op = mirrored(op);
    }
    if (t->whole) {
        int64_t i = t->number.i;
        bool large = t->number.is_unsigned;
        OP_LOOPS(compare_ints(vec_i64(column, row), is_unsigned, i, large), 0);
    } else if (is_unsigned) {
        OP_LOOPS((double)vec_u64(column, row), t->d);
    } else {
        OP_LOOPS((double)vec_i64(column, row), t->d);
    }
    return ERR_OK;
}

static const struct strv *view(const struct vector *v, uint32_t row)
{
    return &vec_strs(v)[row & v->index_mask];
}

static void string_loops(enum compare_op op, const struct compare_plan *p,
                         struct vector *const *args, const uint16_t *sel, uint32_t n, int64_t *dst)
{
    if (op == COMPARE_EQ || op == COMPARE_NE) {
        bool negate = op == COMPARE_NE;
        EACH_ROW(row)
        {
            const struct strv *a = view(args[0], row);
            const struct strv *b = view(args[1], row);
            bool equal = strv_eq(a, b);
            if (!equal && !p->bytewise) {
                equal = collation_compare(p->collation, strv_slice(a), strv_slice(b)) == 0;
            }
            dst[row] = equal != negate;
        }
        return;
    }
    if (p->bytewise) {
        OP_LOOPS(slice_cmp(strv_slice(view(args[0], row)), strv_slice(view(args[1], row))), 0);
        return;
    }
    OP_LOOPS(collation_compare(p->collation, strv_slice(view(args[0], row)),
                               strv_slice(view(args[1], row))),
             0);
}

static db_err loops(struct eval_ctx *ctx, enum compare_op op, const struct func_call *call,
                    struct vector *const *args, const uint16_t *sel, uint32_t n, int64_t *dst)
{
    const struct compare_plan *p = call->data;
    if (p->text_arg != 0) {
        return text_loops(ctx, op, call, args, sel, n, dst);
    }
    switch (p->kind) {
    case COMPARE_INT: int_loops(op, call, args, sel, n, dst); break;
    case COMPARE_DECIMAL: decimal_loops(op, args, sel, n, dst); break;
    case COMPARE_DOUBLE:
        if (p->tolerance != 0) {
            near_loops(op, p->tolerance, args, sel, n, dst);
        } else {
            double_loops(op, args, sel, n, dst);
        }
        break;
    case COMPARE_JSON:
    case COMPARE_STRING: string_loops(op, p, args, sel, n, dst); break;
    case COMPARE_DATETIME:
    case COMPARE_TIME: time_loops(op, args, sel, n, dst); break;
    case COMPARE_NULL: break; /* one side is NULL in every row: there are no rows here */
    }
    return ERR_OK;
}

db_err compare_eval(EVAL_ARGS)
{
    enum compare_op op = (enum compare_op)(call->variant & COMPARE_OP_MASK);
    return loops(ctx, op, call, args, sel, n, vec_i64s(out));
}

int func_of_equal(const struct func_call *call)
{
    if (call->def->eval != compare_eval && call->def->eval != compare_nulleq) {
        return -1;
    }
    switch (call->variant & COMPARE_OP_MASK) {
    case COMPARE_EQ:
    case COMPARE_LE:
    case COMPARE_GE: return 1;
    default: return 0;
    }
}

bool func_compares_near(const struct func_call *call)
{
    bool compares = call->def->eval == compare_eval || call->def->eval == compare_nulleq;
    return compares && (call->variant & COMPARE_NEAR) != 0;
}

db_err compare_nulleq(EVAL_ARGS)
{
    int64_t *dst = vec_i64s(out);
    if (!args[0]->has_nulls && !args[1]->has_nulls) {
        return loops(ctx, COMPARE_EQ, call, args, sel, n, dst);
    }
    EACH_ROW(row)
    {
        bool na = vec_is_null(args[0], row);
        bool nb = vec_is_null(args[1], row);
        if (na || nb) {
            dst[row] = na && nb;
        } else {
            uint16_t one = (uint16_t)row;
            TRY(loops(ctx, COMPARE_EQ, call, args, &one, 1, dst));
        }
    }
    return ERR_OK;
}

db_err compare_is_null(EVAL_ARGS)
{
    (void)ctx;
    int64_t *dst = vec_i64s(out);
    bool want = call->variant == 0;
    EACH_ROW(row)
    {
        dst[row] = vec_is_null(args[0], row) == want;
    }
    return ERR_OK;
}

static bool truth(const struct vector *v, uint32_t row)
{
    switch ((int)v->phys) {
    case PHYS_DOUBLE: return vec_double(v, row) != 0;
    case PHYS_DECIMAL: return !decimal_is_zero(vec_decimal(v, row));
    case PHYS_STR: return json_truth(vec_str(v, row));
    default: return vec_i64(v, row) != 0;
    }
}

/* variant: bit 0 the truth asked for, bit 1 NOT. */
db_err compare_is_truth(EVAL_ARGS)
{
    (void)ctx;
    bool want = (call->variant & 1) != 0;
    bool negate = (call->variant & 2) != 0;
    EACH_ROW(row)
    {
        bool is = !vec_is_null(args[0], row) && truth(args[0], row) == want;
        vec_set_i64(out, row, is != negate);
    }
    return ERR_OK;
}

db_err compare_not(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        vec_set_i64(out, row, !truth(args[0], row));
    }
    return ERR_OK;
}

db_err compare_xor(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        vec_set_i64(out, row, truth(args[0], row) != truth(args[1], row));
    }
    return ERR_OK;
}

/* AND of what is computed whatever the other says. */
db_err compare_both(EVAL_ARGS)
{
    (void)ctx;
    (void)call;
    EACH_ROW(row)
    {
        bool unknown = false;
        bool is = true;
        for (int i = 0; i < 2; i++) {
            bool null = vec_is_null(args[i], row);
            unknown = unknown || null;
            is = is && (null || truth(args[i], row));
        }
        if (is && unknown) {
            vec_set_null(out, row);
        } else {
            vec_set_i64(out, row, is);
        }
    }
    return ERR_OK;
}

db_err compare_strcmp(EVAL_ARGS)
{
    (void)ctx;
    const struct compare_plan *p = call->data;
    EACH_ROW(row)
    {
        int c = collation_compare(p->collation, vec_str(args[0], row), vec_str(args[1], row));
        vec_set_i64(out, row, (c > 0) - (c < 0));
    }
    return ERR_OK;
}

static void copy_row(struct vector *out, const struct vector *src, uint32_t row)
{
    size_t size = phys_size_table[out->phys];
    memcpy((uint8_t *)out->data + row * size,
           (const uint8_t *)src->data + (row & src->index_mask) * size, size);
}

/* Texts that compare as dates: what is no date compares as text. */
static db_err as_dates(struct eval_ctx *ctx, const struct sql_type *t, const struct value *a,
                       const struct value *b, const struct collation *collation, int *ret)
{
    int64_t x;
    int64_t y;
    bool null_x = false;
    bool null_y = false;
    TRY(value_to_datetime(ctx->cast, t, a, TIME_DECIMALS_MAX, &x, &null_x));
    TRY(value_to_datetime(ctx->cast, t, b, TIME_DECIMALS_MAX, &y, &null_y));
    *ret = null_x || null_y ? collation_compare(collation, a->str, b->str) : (x > y) - (x < y);
    return ERR_OK;
}

/* The winner among dates and texts, as a date. */
static db_err set_date_text(struct eval_ctx *ctx, const struct func_call *call,
                            const struct value *best, struct vector *out, uint32_t row)
{
    const struct compare_plan *p = call->data;
    char text[TEMPORAL_TEXT_MAX];
    int64_t v;
    bool null = false;
    TRY(value_to_datetime(ctx->cast, &call->type, best, TIME_DECIMALS_MAX, &v, &null));
    if (null) {
        vec_set_str_ref(out, row, best->str);
        return ERR_OK;
    }
    unsigned len = p->date_only ? date_to_text(v, text) : datetime_to_text(v, p->decimals, text);
    return func__set_ascii(ctx, out, row, slice_of(text, len));
}

db_err compare_extreme(EVAL_ARGS)
{
    const struct compare_plan *p = call->data;
    bool greatest = call->variant == 1;
    void *state;
    bool fresh = false;
    if (p->json) {
        TRY(func__state(ctx, call, 1, &state, &fresh));
    }
    if (fresh) {
        func__warn(ctx, ER_NOT_SUPPORTED_YET,
                   "comparison of JSON in the LEAST and GREATEST operators");
    }
    EACH_ROW(row)
    {
        const struct vector *best = args[0];
        struct value b;
        vector_get(best, row, &b);
        for (uint32_t i = 1; i < call->arg_count; i++) {
            struct value v;
            int c;
            vector_get(args[i], row, &v);
            if (p->kind == COMPARE_DATETIME) {
                TRY(as_dates(ctx, &call->type, &v, &b, p->collation, &c));
            } else {
                c = value_compare_same(&v, &b, p->collation);
            }
            /* of equal ones LEAST keeps the first and GREATEST the last */
            if (greatest ? c >= 0 : c < 0) {
                best = args[i];
                b = v;
            }
        }
        if (p->kind == COMPARE_DATETIME) {
            TRY(set_date_text(ctx, call, &b, out, row));
        } else {
            copy_row(out, best, row);
        }
    }
    return ERR_OK;
}

/* Is the i-th number there, and above the first argument? */
static bool is_above(const struct func_call *call, struct vector *const *args, uint32_t i,
                     uint32_t row)
{
    if (vec_is_null(args[i], row)) {
        return false;
    }
    return (call->variant == NUM_INT
                ? compare_ints(vec_i64(args[i], row), unsigned_arg(call, i), vec_i64(args[0], row),
                               unsigned_arg(call, 0))
                : compare_doubles(vec_double(args[i], row), vec_double(args[0], row))) > 0;
}

/* How many of the (ascending) numbers before the k-th are not above the first argument. */
static uint32_t not_above(const struct func_call *call, struct vector *const *args, uint32_t k,
                          uint32_t row)
{
    uint32_t i = 1;
    while (i < k && !is_above(call, args, i, row)) {
        i++;
    }
    return i - 1;
}

bool compare_interval_needs(struct eval_ctx *ctx, const struct func_call *call,
                            struct vector *const *args, uint32_t k, uint32_t row)
{
    (void)ctx;
    return !vec_is_null(args[0], row) && not_above(call, args, k, row) == k - 1;
}

/* -1 for NULL. */
db_err compare_interval(EVAL_ARGS)
{
    (void)ctx;
    EACH_ROW(row)
    {
        vec_set_i64(
            out, row,
            vec_is_null(args[0], row) ? -1 : (int64_t)not_above(call, args, call->arg_count, row));
    }
    return ERR_OK;
}
