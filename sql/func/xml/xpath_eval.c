/* XPath queries on a document: nodes are sets, kept as marks by index, so that a union is an OR and
 * document order comes by itself. */
#include <math.h>

#include "sql/func/xml/xpath_int.h"
#include "sql/types/cast.h"

struct xcontext {
    struct arena *arena;
    struct eval_ctx *eval;
    const struct collation *collation; /* texts are compared by it */
    const struct xml_doc *doc;
    uint32_t node, position, size;
};

static db_err eval(const struct xcontext *c, const struct xpath_expr *e, struct xv *ret);

static db_err new_marks(const struct xcontext *c, bool **ret)
{
    *ret = ARENA_ARRAY(c->arena, bool, c->doc->count + 1);
    return *ret == NULL ? ERR_LIMIT : ERR_OK;
}

/* ---- conversions ---- */

static bool is_shown(const struct xcontext *c, const bool *marks, uint32_t i)
{
    const struct xml_node *n = &c->doc->nodes[i];
    return n->kind == XML_TEXT && marks[n->parent];
}

static db_err nodes_text(const struct xcontext *c, const bool *marks, struct slice *ret)
{
    size_t len = 0;
    for (uint32_t i = 0; i < c->doc->count; i++) {
        len += is_shown(c, marks, i) ? c->doc->nodes[i].text.len + 1 : 0;
    }
    uint8_t *p = arena_alloc(c->arena, len + 1);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    size_t at = 0;
    for (uint32_t i = 0; i < c->doc->count; i++) {
        if (!is_shown(c, marks, i)) {
            continue;
        }
        if (at != 0) {
            p[at++] = ' ';
        }
        memcpy(p + at, c->doc->nodes[i].text.ptr, c->doc->nodes[i].text.len);
        at += c->doc->nodes[i].text.len;
    }
    *ret = slice_of(p, at);
    return ERR_OK;
}

/* What is computed of a DECIMAL variable: its digits, then zeros (MYSQL: a variable has 30). */
static struct slice exact_text(double d, char text[NUMBER_TEXT_MAX])
{
    enum { DIGITS = 15 };
    int whole = d == 0 ? 1 : (int)floor(log10(fabs(d))) + 1;
    int known = whole >= DIGITS ? 0 : DIGITS - whole;
    known = known > DECIMAL_SCALE_MAX ? DECIMAL_SCALE_MAX : known;
    size_t len = double_to_text(d, (unsigned)known, text);
    if (known == 0) {
        text[len++] = '.';
    }
    for (int i = known; i < DECIMAL_SCALE_MAX; i++) {
        text[len++] = '0';
    }
    return slice_of(text, len);
}

static db_err to_text(const struct xcontext *c, const struct xv *v, struct slice *ret)
{
    if (v->kind == XV_TEXT || (v->kind == XV_NUMBER && v->text.ptr != NULL)) {
        *ret = v->text;
        return ERR_OK;
    }
    if (v->kind == XV_NODES) {
        return nodes_text(c, v->marks, ret);
    }
    char *text = arena_alloc(c->arena, NUMBER_TEXT_MAX);
    if (text == NULL) {
        return ERR_LIMIT;
    }
    int decimals = v->decimals == 0 ? DECIMALS_NOT_FIXED : v->decimals;
    *ret = v->decimals == DECIMAL_SCALE_MAX
               ? exact_text(v->number, text)
               : slice_of(text, double_to_text(v->number, decimals, text));
    return ERR_OK;
}

/* Its length without the blanks behind it. */
static size_t trimmed(struct slice text)
{
    size_t len = text.len;
    while (len != 0 && text.ptr[len - 1] == ' ') {
        len--;
    }
    return len;
}

static db_err to_number(const struct xcontext *c, const struct xv *v, double *ret)
{
    struct slice text;
    size_t used;
    bool overflow;
    if (v->kind == XV_NUMBER || v->kind == XV_TRUTH) {
        *ret = v->number;
        return ERR_OK;
    }
    TRY(to_text(c, v, &text));
    *ret = text_to_double(text, &used, &overflow);
    if (used < trimmed(text)) {
        func__warn(c->eval, ER_TRUNCATED_WRONG_VALUE, "DOUBLE", arena_strdup(c->arena, text));
    }
    return ERR_OK;
}

/* Of nodes whether there are any, of a text whether it is a number other than 0. NULL is not. */
static db_err truth(const struct xcontext *c, const struct xv *v, bool *ret)
{
    double d = 0;
    *ret = false;
    if (v->is_null) {
        return ERR_OK;
    }
    if (v->kind != XV_NODES) {
        TRY(to_number(c, v, &d));
        *ret = d != 0;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < c->doc->count && !*ret; i++) {
        *ret = v->marks[i];
    }
    return ERR_OK;
}

static struct xv number(double d)
{
    return (struct xv){.kind = XV_NUMBER, .number = d};
}

static struct xv fraction(double d, uint8_t decimals)
{
    return (struct xv){.kind = XV_NUMBER, .number = d, .decimals = decimals};
}

static struct xv null_value(void)
{
    return (struct xv){.kind = XV_NUMBER, .is_null = true};
}

static uint8_t decimals_of(const struct xv *v)
{
    return v->kind == XV_NUMBER ? v->decimals : v->kind == XV_TRUTH ? 0 : DECIMALS_NOT_FIXED;
}

static struct xv yes(bool b)
{
    return (struct xv){.kind = XV_TRUTH, .number = b};
}

/* ---- steps ---- */

static bool fits(const struct xpath_expr *e, const struct xml_node *n, bool self)
{
    bool kind = e->op == XP_ATTRIBUTE ? n->kind == XML_ATTRIBUTE : self || n->kind == XML_TAG;
    return kind && (e->any_name || slice_eq(n->text, e->text));
}

/* The axis's nodes below and including `from`, which stand together behind it. */
static uint32_t downwards(const struct xml_doc *d, const struct xpath_expr *e, uint32_t from,
                          uint32_t *found)
{
    bool self = e->op == XP_SELF || e->op == XP_DESCENDANT_OR_SELF;
    bool deep = e->op == XP_DESCENDANT || e->op == XP_DESCENDANT_OR_SELF;
    uint32_t count = 0;
    if (self && fits(e, &d->nodes[from], true)) {
        found[count++] = from;
    }
    for (uint32_t i = from + 1; i < d->count && d->nodes[i].parent >= from && e->op != XP_SELF;
         i++) {
        if ((deep || d->nodes[i].parent == from) && fits(e, &d->nodes[i], false)) {
            found[count++] = i;
        }
    }
    return count;
}

/* The axis's nodes above `from`, in document order. */
static uint32_t upwards(const struct xml_doc *d, const struct xpath_expr *e, uint32_t from,
                        uint32_t *found)
{
    uint32_t count = 0;
    if (e->op == XP_ANCESTOR_OR_SELF && fits(e, &d->nodes[from], true)) {
        found[count++] = from;
    }
    for (uint32_t i = from; i != 0;) {
        i = d->nodes[i].parent;
        if (fits(e, &d->nodes[i], true)) {
            found[count++] = i;
        }
        if (e->op == XP_PARENT) {
            break;
        }
    }
    for (uint32_t i = 0; i < count / 2; i++) {
        uint32_t t = found[i];
        found[i] = found[count - 1 - i];
        found[count - 1 - i] = t;
    }
    return count;
}

static uint32_t on_axis(const struct xml_doc *d, const struct xpath_expr *e, uint32_t from,
                        uint32_t *found)
{
    if (e->any_node) {
        found[0] = from;
        return 1;
    }
    bool up = e->op == XP_PARENT || e->op == XP_ANCESTOR || e->op == XP_ANCESTOR_OR_SELF;
    return up ? upwards(d, e, from, found) : downwards(d, e, from, found);
}

/* MYSQL: a number or text, rounded, is a position. */
static db_err fulfilled(const struct xcontext *c, const struct xv *v, bool *ret)
{
    double d = v->number;
    size_t used = 0;
    bool overflow;
    if (v->is_null || (v->kind != XV_NUMBER && v->kind != XV_TEXT)) {
        return truth(c, v, ret);
    }
    if (v->kind == XV_TEXT) {
        d = trunc(text_to_double(v->text, &used, &overflow));
        if (!v->of_variable &&
            (used < trimmed(v->text) || used == 0 || memchr(v->text.ptr, '.', used) != NULL)) {
            func__warn(c->eval, ER_TRUNCATED_WRONG_VALUE, "INTEGER",
                       arena_strdup(c->arena, v->text));
        }
    }
    *ret = (v->exact ? round(d) : rint(d)) == c->position;
    return ERR_OK;
}

/* Keeps of the `count` nodes those that the predicate is true of. */
static db_err filter(const struct xcontext *c, const struct xpath_expr *predicate, bool reverse,
                     uint32_t *nodes, uint32_t *io_count)
{
    uint32_t kept = 0;
    uint32_t count = *io_count;
    for (uint32_t i = 0; i < count; i++) {
        struct xcontext inner = *c;
        struct xv v;
        inner.node = nodes[i];
        inner.position = reverse ? count - i : i + 1;
        inner.size = count;
        TRY(eval(&inner, predicate, &v));
        bool keep;
        TRY(fulfilled(&inner, &v, &keep));
        if (keep) {
            nodes[kept++] = nodes[i];
        }
    }
    *io_count = kept;
    return ERR_OK;
}

static db_err eval_step(const struct xcontext *c, const struct xpath_expr *e, struct xv *ret)
{
    struct xv input;
    bool *marks;
    uint32_t *found = ARENA_ARRAY(c->arena, uint32_t, c->doc->count + 1);
    TRY(eval(c, e->args[0], &input));
    TRY(new_marks(c, &marks));
    if (found == NULL) {
        return ERR_LIMIT;
    }
    bool reverse = e->op == XP_ANCESTOR || e->op == XP_ANCESTOR_OR_SELF;
    for (uint32_t from = 0; from < c->doc->count && input.kind == XV_NODES; from++) {
        if (!input.marks[from]) {
            continue;
        }
        uint32_t count = on_axis(c->doc, e, from, found);
        for (uint32_t k = 1; k < e->arg_count; k++) {
            TRY(filter(c, e->args[k], reverse, found, &count));
        }
        for (uint32_t i = 0; i < count; i++) {
            marks[found[i]] = true;
        }
    }
    *ret = (struct xv){.kind = XV_NODES, .marks = marks};
    return ERR_OK;
}

/* ---- operators ---- */

static bool holds(enum xpath_op op, double order)
{
    switch ((int)op) {
    case XP_EQ: return order == 0;
    case XP_NE: return order != 0;
    case XP_LT: return order < 0;
    case XP_LE: return order <= 0;
    case XP_GT: return order > 0;
    default: return order >= 0;
    }
}

static db_err compare_two(const struct xcontext *c, enum xpath_op op, const struct xv *a,
                          const struct xv *b, bool *ret)
{
    bool numbers =
        a->kind == XV_NUMBER || b->kind == XV_NUMBER || a->kind == XV_TRUTH || b->kind == XV_TRUTH;
    if (numbers) {
        double x;
        double y;
        TRY(to_number(c, a, &x));
        TRY(to_number(c, b, &y));
        *ret = holds(op, x < y ? -1 : x > y ? 1 : 0);
        return ERR_OK;
    }
    struct slice x;
    struct slice y;
    TRY(to_text(c, a, &x));
    TRY(to_text(c, b, &y));
    *ret = holds(op, collation_compare(c->collation, x, y));
    return ERR_OK;
}

/* Nodes compare when the text of any of them does. */
static db_err compare(const struct xcontext *c, enum xpath_op op, const struct xv *a,
                      const struct xv *b, bool *ret)
{
    *ret = false;
    if (a->kind != XV_NODES && b->kind != XV_NODES) {
        return compare_two(c, op, a, b, ret);
    }
    bool left = a->kind == XV_NODES;
    for (uint32_t i = 0; i < c->doc->count && !*ret; i++) {
        if (!is_shown(c, left ? a->marks : b->marks, i)) {
            continue;
        }
        struct xv one = {.kind = XV_TEXT, .text = c->doc->nodes[i].text};
        TRY(left ? compare(c, op, &one, b, ret) : compare_two(c, op, a, &one, ret));
    }
    return ERR_OK;
}

static db_err eval_logic(const struct xcontext *c, const struct xpath_expr *e, struct xv *ret)
{
    struct xv v;
    bool is;
    bool unknown = false;
    bool decides = e->op == XP_OR;
    for (int i = 0; i < 2; i++) {
        TRY(eval(c, e->args[i], &v));
        TRY(truth(c, &v, &is));
        if (!v.is_null && is == decides) {
            *ret = yes(decides);
            return ERR_OK;
        }
        unknown = unknown || v.is_null;
    }
    *ret = unknown ? null_value() : yes(!decides);
    return ERR_OK;
}

static db_err eval_binary(const struct xcontext *c, const struct xpath_expr *e, struct xv *ret)
{
    struct xv a;
    struct xv b;
    double x = 0;
    double y = 0;
    bool same = false;
    if (e->op == XP_OR || e->op == XP_AND) {
        return eval_logic(c, e, ret);
    }
    TRY(eval(c, e->args[0], &a));
    TRY(eval(c, e->args[1], &b));
    if (a.is_null || b.is_null) {
        *ret = null_value();
        return ERR_OK;
    }
    uint8_t decimals = decimals_of(&a);
    decimals = decimals_of(&b) > decimals ? decimals_of(&b) : decimals;
    if (e->op >= XP_EQ && e->op <= XP_GE) {
        TRY(compare(c, (enum xpath_op)e->op, &a, &b, &same));
        *ret = yes(same);
        return ERR_OK;
    }
    if (e->op >= XP_ADD && e->op <= XP_MOD) {
        TRY(to_number(c, &a, &x));
        TRY(to_number(c, &b, &y));
    }
    switch (e->op) {
    case XP_ADD: *ret = fraction(x + y, decimals); return ERR_OK;
    case XP_SUB: *ret = fraction(x - y, decimals); return ERR_OK;
    case XP_MUL: *ret = fraction(x * y, decimals); return ERR_OK;
    case XP_DIV:
    case XP_MOD:
        if (y == 0) {
            *ret = null_value();
            return func__division_by_zero(c->eval);
        }
        *ret = e->op == XP_DIV ? number(trunc(x / y)) /* MYSQL: whole */
                               : fraction(fmod(x, y), decimals);
        return ERR_OK;
    default: break;
    }
    *ret = a;
    for (uint32_t i = 0; i < c->doc->count && a.kind == XV_NODES && b.kind == XV_NODES; i++) {
        ret->marks[i] = a.marks[i] || b.marks[i];
    }
    return ERR_OK;
}

/* ---- functions ---- */

static db_err count_or_sum(const struct xcontext *c, const struct xv *v, bool sum, struct xv *ret)
{
    double total = 0;
    size_t used;
    bool overflow;
    for (uint32_t i = 0; i < c->doc->count && v->kind == XV_NODES; i++) {
        if (!sum) {
            total += v->marks[i];
        } else if (is_shown(c, v->marks, i)) {
            total += text_to_double(c->doc->nodes[i].text, &used, &overflow);
        }
    }
    *ret = number(total);
    return ERR_OK;
}

static size_t characters(struct slice s, size_t limit, size_t *ret_bytes)
{
    size_t chars = 0;
    size_t i = 0;
    while (i < s.len && chars < limit) {
        do {
            i++;
        } while (i < s.len && (s.ptr[i] & 0xc0) == 0x80);
        chars++;
    }
    *ret_bytes = i;
    return chars;
}

static db_err concat(const struct xcontext *c, const struct slice *parts, uint32_t count,
                     struct xv *ret)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    uint8_t *p = arena_alloc(c->arena, len + 1);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(p + at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    *ret = (struct xv){.kind = XV_TEXT, .text = slice_of(p, len)};
    return ERR_OK;
}

static db_err substring(const struct xcontext *c, struct slice s, const struct xv *args,
                        uint32_t count, struct xv *ret)
{
    double from;
    double len = 1e18;
    size_t skip;
    size_t take;
    TRY(to_number(c, &args[1], &from));
    if (count == 3) {
        TRY(to_number(c, &args[2], &len));
    }
    from = from < 1 ? 1 : from;
    (void)characters(s, from > 1e15 ? SIZE_MAX : (size_t)from - 1, &skip);
    s = slice_from(s, skip);
    (void)characters(s, len < 0 ? 0 : len > 1e15 ? SIZE_MAX : (size_t)len, &take);
    *ret = (struct xv){.kind = XV_TEXT, .text = slice_of(s.ptr, take)};
    return ERR_OK;
}

static db_err call_text(const struct xcontext *c, const struct xpath_expr *e, const struct xv *args,
                        struct xv *ret)
{
    struct slice text[XPATH_ARGS_MAX] = {SLICE_EMPTY};
    size_t bytes;
    size_t at;
    for (uint32_t i = 0; i < e->arg_count || i == 0; i++) {
        TRY(to_text(c, &args[i], &text[i]));
    }
    switch (e->op) {
    case XP_CONCAT: return concat(c, text, e->arg_count, ret);
    case XP_CONTAINS:
        TRY(collation_locate(c->collation, text[0], text[1], 0, &at));
        *ret = yes(at != SIZE_MAX);
        return ERR_OK;
    case XP_STRING_LENGTH:
        *ret = number((double)characters(text[0], SIZE_MAX, &bytes));
        return ERR_OK;
    default: return substring(c, text[0], args, e->arg_count, ret);
    }
}

static db_err one_node(const struct xcontext *c, uint32_t node, struct xv *ret)
{
    *ret = (struct xv){.kind = XV_NODES};
    TRY(new_marks(c, &ret->marks));
    ret->marks[node] = true;
    return ERR_OK;
}

/* `.`, or `./.` */
static bool is_context(const struct xpath_expr *e)
{
    return e->kind == XP_CONTEXT || (e->kind == XP_STEP && e->op == XP_SELF && e->any_node &&
                                     e->arg_count == 1 && is_context(e->args[0]));
}

static db_err eval_call(const struct xcontext *c, const struct xpath_expr *e, struct xv *ret)
{
    struct xv args[XPATH_ARGS_MAX];
    double d = 0;
    bool is;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(eval(c, e->args[i], &args[i]));
        if (args[i].is_null) { /* MYSQL: of which boolean() is the truth */
            *ret = e->op == XP_BOOLEAN ? yes(false) : null_value();
            return ERR_OK;
        }
    }
    if (e->arg_count == 0) { /* what may have no argument takes the context node */
        TRY(one_node(c, c->node, &args[0]));
    }
    if (e->op >= XP_ROUND) {
        TRY(to_number(c, &args[0], &d));
    }
    switch (e->op) {
    case XP_COUNT:
        if (is_context(e->args[0])) { /* MYSQL: all nodes that the predicate is asked of */
            *ret = number(c->size);
            return ERR_OK;
        }
        return count_or_sum(c, &args[0], false, ret);
    case XP_SUM: return count_or_sum(c, &args[0], true, ret);
    case XP_LAST: *ret = number(c->size); return ERR_OK;
    case XP_POSITION: *ret = number(c->position); return ERR_OK;
    case XP_TRUE: *ret = yes(true); return ERR_OK;
    case XP_FALSE: *ret = yes(false); return ERR_OK;
    case XP_NOT:
    case XP_BOOLEAN:
        TRY(truth(c, &args[0], &is));
        *ret = yes(is == (e->op == XP_BOOLEAN));
        return ERR_OK;
    case XP_TO_NUMBER: *ret = number(d); return ERR_OK;
    case XP_ROUND: *ret = number(args[0].exact ? round(d) : rint(d)); return ERR_OK;
    case XP_FLOOR: *ret = number(floor(d)); return ERR_OK;
    case XP_CEILING: *ret = number(ceil(d)); return ERR_OK;
    default: return call_text(c, e, args, ret);
    }
}

static db_err eval(const struct xcontext *c, const struct xpath_expr *e, struct xv *ret)
{
    switch (e->kind) {
    case XP_NUMBER: *ret = fraction(e->number, e->decimals); return ERR_OK;
    case XP_STRING: *ret = (struct xv){.kind = XV_TEXT, .text = e->text}; return ERR_OK;
    case XP_VARIABLE: return xpath_variable(c->eval, e->text, c->collation, ret);
    case XP_BINARY: return eval_binary(c, e, ret);
    case XP_NEGATE: {
        struct xv v;
        double d = 0;
        TRY(eval(c, e->args[0], &v));
        TRY(v.is_null ? ERR_OK : to_number(c, &v, &d));
        *ret = v.is_null ? v : fraction(-d, decimals_of(&v));
        return ERR_OK;
    }
    case XP_CALL: return eval_call(c, e, ret);
    case XP_ROOT: return one_node(c, 0, ret);
    case XP_CONTEXT: return one_node(c, c->node, ret);
    case XP_STEP: return eval_step(c, e, ret);
    }
    return ERR_INVALID;
}

db_err xpath_text(struct eval_ctx *ctx, const struct xpath_expr *e, const struct xml_doc *doc,
                  const struct collation *collation, bool *ret_null, struct slice *ret)
{
    struct xcontext c = {.arena = ctx->arena,
                         .eval = ctx,
                         .doc = doc,
                         .collation = collation,
                         .position = 1,
                         .size = 1};
    struct xv v;
    TRY(eval(&c, e, &v));
    *ret_null = v.is_null;
    return v.is_null ? ERR_OK : to_text(&c, &v, ret);
}

db_err xpath_nodes(struct eval_ctx *ctx, const struct xpath_expr *e, const struct xml_doc *doc,
                   const struct collation *collation, bool **ret_marks)
{
    struct xcontext c = {.arena = ctx->arena,
                         .eval = ctx,
                         .doc = doc,
                         .collation = collation,
                         .position = 1,
                         .size = 1};
    struct xv v;
    TRY(eval(&c, e, &v));
    *ret_marks = v.kind == XV_NODES ? v.marks : NULL;
    return ERR_OK;
}
